/* Pages of A4 through libharu; see sheet.h. */
#include "appliance/billing/sheet.h"

#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/base/text.h"

#include <stdio.h>
#include <string.h>

#define FONT_FOLDER "/usr/share/fonts/truetype/dejavu/"
#define HEIGHT 841.89F
/* Of one text on a page. */
#define TEXT_MAX 1024
#define PDF_MAX ((size_t)32 << 20)

/* --- what libharu says --------------------------------------------------------------- */

static bool
is_well(struct sheet *sheet)
{
	if (sheet->err == 0 && HPDF_GetError(sheet->pdf) != HPDF_OK) {
		log_error("billing", "a page of a PDF cannot be made: 0x%lx",
		    (unsigned long)HPDF_GetError(sheet->pdf));
		sheet->err = ERR_SYSTEM;
	}
	return sheet->err == 0;
}

static HPDF_Font
load_font(struct sheet *sheet, const char *path)
{
	const char *name = HPDF_LoadTTFontFromFile(sheet->pdf, path, HPDF_TRUE);
	HPDF_Font font =
	    name != NULL ? HPDF_GetFont(sheet->pdf, name, "UTF-8") : NULL;

	if (font != NULL)
		return font;
	log_error("billing",
	    "the font %s cannot be read (0x%lx): no PDF can be made. Install "
	    "fonts-dejavu-core",
	    path, (unsigned long)HPDF_GetError(sheet->pdf));
	sheet->err = ERR_NOT_FOUND;
	return NULL;
}

int
sheet_open(struct sheet *sheet, const struct billing_fonts *fonts,
    const char *title)
{
	const char *regular = FONT_FOLDER "DejaVuSans.ttf";
	const char *bold = FONT_FOLDER "DejaVuSans-Bold.ttf";

	memset(sheet, 0, sizeof(*sheet));
	sheet->pdf = HPDF_New(NULL, NULL);
	if (sheet->pdf == NULL)
		return sheet->err = ERR_NOMEM;
	if (fonts != NULL && fonts->regular != NULL)
		regular = fonts->regular;
	if (fonts != NULL && fonts->bold != NULL)
		bold = fonts->bold;
	HPDF_SetCompressionMode(sheet->pdf, HPDF_COMP_ALL);
	HPDF_UseUTFEncodings(sheet->pdf);
	HPDF_SetInfoAttr(sheet->pdf, HPDF_INFO_TITLE, title);
	if (is_well(sheet))
		sheet->regular = load_font(sheet, regular);
	if (sheet->err == 0)
		sheet->bold = load_font(sheet, bold);
	return sheet->err;
}

/* --- text ------------------------------------------------------------------------------- */

/* What the encoder takes: UTF-8 of the basic plane, without controls; the rest
 * shows as U+FFFD. */
static void
clean(char out[TEXT_MAX], const char *text)
{
	size_t n = 0;

	for (size_t at = 0, len; text[at] != '\0' && n + 4 < TEXT_MAX;
	     at += len) {
		for (len = 1; ((uint8_t)text[at + len] & 0xc0) == 0x80; len++)
			;
		if (len <= 3 && text_is_printable(text + at, len)) {
			memcpy(out + n, text + at, len);
			n += len;
		} else {
			memcpy(out + n, "\xef\xbf\xbd", 3);
			n += 3;
		}
	}
	out[n] = '\0';
}

static float
width_of(struct sheet *sheet, bool bold, float size, const char *text)
{
	HPDF_Page_SetFontAndSize(sheet->page,
	    bold ? sheet->bold : sheet->regular, size);
	return HPDF_Page_TextWidth(sheet->page, text);
}

static void
put(struct sheet *sheet, bool bold, float size, float x, float down,
    const char *text)
{
	HPDF_Page_SetFontAndSize(sheet->page,
	    bold ? sheet->bold : sheet->regular, size);
	HPDF_Page_BeginText(sheet->page);
	HPDF_Page_TextOut(sheet->page, x, HEIGHT - sheet->y - down - size,
	    text);
	HPDF_Page_EndText(sheet->page);
}

void
sheet_text(struct sheet *sheet, bool bold, float size, float x, float down,
    const char *text)
{
	char cleaned[TEXT_MAX];

	if (!is_well(sheet))
		return;
	clean(cleaned, text);
	put(sheet, bold, size, x, down, cleaned);
}

void
sheet_right(struct sheet *sheet, bool bold, float size, float x, float down,
    const char *text)
{
	char cleaned[TEXT_MAX];

	if (!is_well(sheet))
		return;
	clean(cleaned, text);
	put(sheet, bold, size, x - width_of(sheet, bold, size, cleaned), down,
	    cleaned);
}

static size_t
next_character(const char *text)
{
	size_t len = 1;

	while (((uint8_t)text[len] & 0xc0) == 0x80)
		len++;
	return len;
}

/* Bytes of `text` that fit, at least a character; after a space if one is
 * there. */
static size_t
fit(struct sheet *sheet, bool bold, float size, float width, const char *text)
{
	char piece[TEXT_MAX];
	size_t at = 0, space = 0;

	while (text[at] != '\0') {
		size_t len = next_character(text + at);

		memcpy(piece + at, text + at, len);
		piece[at + len] = '\0';
		if (at > 0 && text[at] != ' ' &&
		    width_of(sheet, bold, size, piece) > width)
			return space > 0 ? space : at;
		at += len;
		if (piece[at - len] == ' ')
			space = at;
	}
	return at;
}

static uint32_t
wrap(struct sheet *sheet, bool bold, float size, float x, float width,
    const char *text, bool draw)
{
	char cleaned[TEXT_MAX], piece[TEXT_MAX];
	uint32_t n = 0;

	if (!is_well(sheet))
		return 1;
	clean(cleaned, text);
	for (const char *p = cleaned; *p != '\0' && sheet->err == 0;) {
		size_t len = fit(sheet, bold, size, width, p);

		memcpy(piece, p, len);
		piece[len] = '\0';
		if (draw)
			put(sheet, bold, size, x, (float)n * SHEET_LINE, piece);
		n++;
		p += len;
	}
	return n > 0 ? n : 1;
}

uint32_t
sheet_lines(struct sheet *sheet, bool bold, float size, float width,
    const char *text)
{
	return wrap(sheet, bold, size, 0, width, text, false);
}

uint32_t
sheet_wrapped(struct sheet *sheet, bool bold, float size, float x, float width,
    const char *text)
{
	return wrap(sheet, bold, size, x, width, text, true);
}

/* --- pages --------------------------------------------------------------------------------- */

void
sheet_rule(struct sheet *sheet, float down)
{
	if (!is_well(sheet))
		return;
	HPDF_Page_SetLineWidth(sheet->page, 0.5F);
	HPDF_Page_MoveTo(sheet->page, SHEET_LEFT, HEIGHT - sheet->y - down);
	HPDF_Page_LineTo(sheet->page, SHEET_RIGHT, HEIGHT - sheet->y - down);
	HPDF_Page_Stroke(sheet->page);
}

void
sheet_page(struct sheet *sheet)
{
	if (!is_well(sheet))
		return;
	if (sheet->n_pages == BILLING_PAGES_MAX) {
		sheet->err = ERR_TOO_LARGE;
		return;
	}
	sheet->page = HPDF_AddPage(sheet->pdf);
	if (!is_well(sheet))
		return;
	HPDF_Page_SetSize(sheet->page, HPDF_PAGE_SIZE_A4, HPDF_PAGE_PORTRAIT);
	sheet->pages[sheet->n_pages++] = sheet->page;
	sheet->y = 50;
}

/* How many there are is only known now. */
static void
number_pages(struct sheet *sheet)
{
	char text[32];

	for (uint32_t i = 0; i < sheet->n_pages; i++) {
		sheet->page = sheet->pages[i];
		sheet->y = SHEET_BOTTOM + 24;
		snprintf(text, sizeof(text), "%u / %u", i + 1, sheet->n_pages);
		sheet_text(sheet, false, 7.5F, SHEET_LEFT, 0, sheet->foot);
		sheet_right(sheet, false, 7.5F, SHEET_RIGHT, 0, text);
	}
}

static void
save(struct buf *out, struct sheet *sheet)
{
	HPDF_SaveToStream(sheet->pdf);
	if (!is_well(sheet))
		return;
	uint32_t len = HPDF_GetStreamSize(sheet->pdf);

	if (len > PDF_MAX) {
		sheet->err = ERR_TOO_LARGE;
		return;
	}
	uint8_t *bytes = buf_extend(out, len);
	HPDF_UINT32 n = len;

	if (bytes == NULL) {
		sheet->err = ERR_NOMEM;
		return;
	}
	HPDF_ResetStream(sheet->pdf);
	HPDF_ReadFromStream(sheet->pdf, bytes, &n);
	if (is_well(sheet) && n != len)
		sheet->err = ERR_SYSTEM;
}

int
sheet_close(struct buf *out, struct sheet *sheet)
{
	if (sheet->pdf == NULL)
		return sheet->err;
	if (sheet->err == 0)
		number_pages(sheet);
	if (sheet->err == 0)
		save(out, sheet);
	HPDF_Free(sheet->pdf);
	sheet->pdf = NULL;
	return sheet->err;
}
