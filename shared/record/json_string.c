#include "shared/base/err.h"
#include "shared/base/text.h"
#include "shared/record/json.h"
#include "shared/record/plain.h"

#include <string.h>

/* Four hex digits, which the tokenizer has checked. */
static uint32_t
hex4_read(const char *p)
{
	uint32_t value = 0;

	for (int i = 0; i < 4; i++) {
		uint32_t c = (uint8_t)p[i];
		uint32_t digit = c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10;

		value = value << 4 | digit;
	}
	return value;
}

static size_t
utf8_write(char *out, uint32_t code)
{
	if (code < 0x80) {
		out[0] = (char)code;
		return 1;
	}
	if (code < 0x800) {
		out[0] = (char)(0xc0 | code >> 6);
		out[1] = (char)(0x80 | (code & 0x3f));
		return 2;
	}
	if (code < 0x10000) {
		out[0] = (char)(0xe0 | code >> 12);
		out[1] = (char)(0x80 | (code >> 6 & 0x3f));
		out[2] = (char)(0x80 | (code & 0x3f));
		return 3;
	}
	out[0] = (char)(0xf0 | code >> 18);
	out[1] = (char)(0x80 | (code >> 12 & 0x3f));
	out[2] = (char)(0x80 | (code >> 6 & 0x3f));
	out[3] = (char)(0x80 | (code & 0x3f));
	return 4;
}

/* \uXXXX at p, or a pair of them; the bytes passed over, 0 when it stands for
 * no character we take. */
static size_t
unicode_escape_read(uint32_t *code, const char *p, const char *end)
{
	*code = hex4_read(p + 2);
	if (*code == 0 || (*code >= 0xdc00 && *code < 0xe000))
		return 0;
	if (*code < 0xd800 || *code >= 0xe000)
		return 6;
	if (end - p < 12 || p[6] != '\\' || p[7] != 'u')
		return 0;
	uint32_t low = hex4_read(p + 8);

	if (low < 0xdc00 || low >= 0xe000)
		return 0;
	*code = 0x10000 + ((*code - 0xd800) << 10) + (low - 0xdc00);
	return 12;
}

int
json_unescape(char *out, size_t *out_len, const struct json_token *token)
{
	static const char from[] = "\"\\/bfnrt";
	static const char to[] = "\"\\/\b\f\n\r\t";
	const char *p = token->text;
	const char *end = p + token->len;
	char *start = out;

	while (p < end) {
		if (*p != '\\') {
			*out++ = *p++;
			continue;
		}
		if (p[1] != 'u') {
			*out++ = to[strchr(from, p[1]) - from];
			p += 2;
			continue;
		}
		uint32_t code;
		size_t used = unicode_escape_read(&code, p, end);

		if (used == 0) {
			*start = '\0';
			*out_len = 0;
			return ERR_BAD_REQUEST;
		}
		out += utf8_write(out, code);
		p += used;
	}
	*out = '\0';
	*out_len = (size_t)(out - start);
	return 0;
}

/* Bytes that cannot stand as they are: the letter after the backslash, or 'u'
 * for \u00XX. */
static const char escapes[256] = {
	[0 ... 7] = 'u',
	['\b'] = 'b',
	['\t'] = 't',
	['\n'] = 'n',
	[11] = 'u',
	['\f'] = 'f',
	['\r'] = 'r',
	[14 ... 31] = 'u',
	['"'] = '"',
	['\\'] = '\\',
};

static char *
json_write_escape(char *out, uint8_t c)
{
	static const char hex[] = "0123456789abcdef";

	*out++ = '\\';
	*out++ = escapes[c];
	if (escapes[c] == 'u') {
		*out++ = '0';
		*out++ = '0';
		*out++ = hex[c >> 4];
		*out++ = hex[c & 15];
	}
	return out;
}

/* Length of the well-formed UTF-8 sequence at text; 0: there is none. */
static size_t
utf8_sequence_len(const char *text, size_t len)
{
	for (size_t n = 1; n <= 4 && n <= len; n++)
		if (text_is_utf8(text, n))
			return n;
	return 0;
}

/* Text that was cut in the middle of a character (snprintf does that), or was
 * never UTF-8: what is broken becomes U+FFFD, so that the JSON stays valid. */
static void
json_add_broken(struct buf *buf, const char *text, size_t len)
{
	buf_add_byte(buf, '"');
	for (size_t at = 0; at < len;) {
		uint8_t c = (uint8_t)text[at];
		char escape[6];

		if (escapes[c] != 0) {
			char *end = json_write_escape(escape, c);

			buf_add(buf, escape, (size_t)(end - escape));
			at++;
			continue;
		}
		size_t n = utf8_sequence_len(text + at, len - at);

		if (n == 0)
			buf_add(buf, "\xef\xbf\xbd", 3);
		else
			buf_add(buf, text + at, n);
		at += n == 0 ? 1 : n;
	}
	buf_add_byte(buf, '"');
}

void
json_add_string(struct buf *buf, const char *text, size_t len)
{
	size_t extra = 0;
	uint8_t seen = 0;

	for (size_t i = plain_run(text, len); i < len; i++) {
		uint8_t c = (uint8_t)text[i];

		seen |= c;
		if (escapes[c] != 0)
			extra += escapes[c] == 'u' ? 5 : 1;
	}
	if (seen >= 0x80 && !text_is_utf8(text, len)) {
		json_add_broken(buf, text, len);
		return;
	}
	char *out = (char *)buf_extend(buf, len + extra + 2);

	if (out == NULL)
		return;
	*out++ = '"';
	if (extra == 0) {
		if (len > 0) /* text may be NULL then */
			memcpy(out, text, len);
		out += len;
	} else {
		for (size_t i = 0; i < len; i++) {
			uint8_t c = (uint8_t)text[i];

			if (escapes[c] != 0)
				out = json_write_escape(out, c);
			else
				*out++ = (char)c;
		}
	}
	*out = '"';
}
