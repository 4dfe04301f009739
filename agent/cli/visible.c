#include "agent/cli/visible.h"

#include "shared/base/text.h"

#include <locale.h>
#include <stdio.h>
#include <string.h>
#include <wchar.h>

/** The longest way to show one character: "\u{10ffff}". */
#define SHOWN_MAX 16

void
visible_init(void)
{
	(void)setlocale(LC_CTYPE, "C.UTF-8");
}

/* Marks without a glyph: they turn the direction of what follows, or hide in a
 * name that looks like another. Joiners of Indic scripts and emoji stay. */
static bool
deceives(uint32_t c)
{
	static const struct {
		uint32_t first, last;
	} marks[] = {
		{ 0x00ad, 0x00ad }, /* soft hyphen */
		{ 0x061c, 0x061c }, /* Arabic letter mark */
		{ 0x115f, 0x1160 }, /* Hangul fillers */
		{ 0x180e, 0x180e }, { 0x200b, 0x200b }, /* zero width space */
		{ 0x200e, 0x200f }, /* direction */
		{ 0x2028, 0x202e }, /* line, paragraph; direction */
		{ 0x2060, 0x206f }, { 0x3164, 0x3164 },
		{ 0xfe00, 0xfe0e }, /* variants of glyphs */
		{ 0xfeff, 0xfeff }, { 0xffa0, 0xffa0 }, { 0xfff9, 0xfffb },
		{ 0xe0000, 0xe0fff }, /* tags */
	};

	for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++)
		if (c >= marks[i].first && c <= marks[i].last)
			return true;
	return false;
}

/* Columns of a character, -1: it is not shown as it is. */
static int
columns_of(uint32_t c)
{
	if (c < 0x80)
		return c >= 0x20 && c != 0x7f ? 1 : -1;
	return deceives(c) ? -1 : wcwidth((wchar_t)c);
}

/* The next character; its bytes, 0: they are no UTF-8. */
static size_t
next_character(uint32_t *c, const char *text, size_t len)
{
	unsigned char first = (unsigned char)text[0];
	size_t size = first < 0x80 ? 1
	    : first >= 0xf0        ? 4
	    : first >= 0xe0        ? 3
				   : 2;

	/* text_is_utf8 takes no NUL, which is shown escaped. */
	if (size > len || (first != 0 && !text_is_utf8(text, size)))
		return 0;
	*c = size == 1 ? first : first & (0x7fU >> size);
	for (size_t i = 1; i < size; i++)
		*c = *c << 6 | ((unsigned char)text[i] & 0x3fU);
	return size;
}

/* How the next character is shown; the bytes of it that were taken. */
static size_t
show_next(char shown[SHOWN_MAX], size_t *shown_len, unsigned int *columns,
    const char *text, size_t len)
{
	uint32_t c = 0;
	size_t size = next_character(&c, text, len);
	int width = size == 0 ? -1 : columns_of(c);

	if (width >= 0) {
		memcpy(shown, text, size);
		*shown_len = size;
		*columns = (unsigned int)width;
		return size;
	}
	*shown_len = (size_t)(size == 0
		? snprintf(shown, SHOWN_MAX, "\\x%02x", (unsigned char)text[0])
		: snprintf(shown, SHOWN_MAX, "\\u{%02x}", (unsigned int)c));
	*columns = (unsigned int)*shown_len;
	return size == 0 ? 1 : size;
}

unsigned int
visible_add(struct buf *out, const char *text, size_t len, unsigned int most)
{
	char shown[SHOWN_MAX];
	size_t shown_len, at = 0;
	unsigned int columns, width = 0;
	/* Where the text ends if it has to be cut. */
	size_t cut_len = out != NULL ? out->len : 0;
	unsigned int cut_width = 0;
	bool marked = wcwidth(L'\u2026') == 1;

	while (at < len) {
		at +=
		    show_next(shown, &shown_len, &columns, text + at, len - at);
		if (most != 0 && width + columns > most)
			break;
		if (out != NULL)
			buf_add(out, shown, shown_len);
		width += columns;
		if (width < most) {
			cut_len = out != NULL ? out->len : 0;
			cut_width = width;
		}
		if (at == len)
			return width;
	}
	if (len == 0)
		return 0;
	if (out != NULL && !out->failed) {
		out->len = cut_len;
		buf_add_str(out, marked ? "\u2026" : "~");
	}
	return cut_width + 1;
}

unsigned int
visible_width(const char *text)
{
	return visible_add(NULL, text, strlen(text), 0);
}

void
visible_add_lines(struct buf *out, const char *text)
{
	while (*text != '\0') {
		size_t len = strcspn(text, "\n");

		visible_add(out, text, len, 0);
		text += len;
		if (*text == '\n') {
			buf_add_byte(out, '\n');
			text++;
		}
	}
}

/* The bytes of what comes next, and the columns it takes: a character, or a
 * tone, which takes none. A frame's text is safe to show as it is. */
static size_t
next_piece(unsigned int *columns, const char *text, size_t len)
{
	size_t size = 1;

	*columns = 0;
	if (text[0] == '\033') {
		while (size < len && text[size - 1] != 'm')
			size++;
		return size;
	}
	while (size < len && ((unsigned char)text[size] & 0xc0) == 0x80)
		size++;
	*columns = visible_add(NULL, text, size, 0);
	return size;
}

size_t
visible_fit(const char *text, size_t len, unsigned int most)
{
	unsigned int used = 0, columns;
	size_t at = 0, blank = 0;

	while (at < len) {
		size_t size = next_piece(&columns, text + at, len - at);

		if (used + columns > most && text[at] == ' ')
			return at + 1;
		if (used + columns > most)
			return blank > 0 ? blank : at;
		used += columns;
		at += size;
		if (text[at - 1] == ' ' && at < len)
			blank = at;
	}
	return len;
}

void
visible_add_wrapped(struct buf *out, const char *text, unsigned int most,
    unsigned int indent)
{
	size_t len = strlen(text);

	if (most <= indent)
		most = 0;
	while (len > 0) {
		size_t size =
		    most == 0 ? len : visible_fit(text, len, most - indent);
		size_t shown;

		if (size == 0)
			size = len; /* not one character fits */
		shown = size;
		while (shown > 1 && size < len && text[shown - 1] == ' ')
			shown--;
		buf_add(out, text, shown);
		text += size;
		len -= size;
		if (len > 0)
			buf_printf(out, "\n%*s", (int)indent, "");
	}
}
