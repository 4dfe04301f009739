/* Text, encodings and whole files; see text.h. */
#include "shared/base/text.h"

#include "shared/base/err.h"

#include <sodium.h>
#include <string.h>

/* Length of the well-formed sequence at p, 0 when it is not one. Table 3-7 of
 * the Unicode standard: no overlong forms, no surrogates, nothing above
 * U+10FFFF. */
static size_t
utf8_sequence(const uint8_t *p, size_t len)
{
	uint8_t low = 0x80;
	uint8_t high = 0xbf;
	size_t n;

	if (p[0] < 0x80)
		return p[0] != 0 ? 1 : 0;
	if (p[0] >= 0xc2 && p[0] <= 0xdf)
		n = 2;
	else if (p[0] >= 0xe0 && p[0] <= 0xef)
		n = 3;
	else if (p[0] >= 0xf0 && p[0] <= 0xf4)
		n = 4;
	else
		return 0;
	if (n > len)
		return 0;
	if (p[0] == 0xe0)
		low = 0xa0;
	else if (p[0] == 0xed)
		high = 0x9f;
	else if (p[0] == 0xf0)
		low = 0x90;
	else if (p[0] == 0xf4)
		high = 0x8f;
	if (p[1] < low || p[1] > high)
		return 0;
	for (size_t i = 2; i < n; i++)
		if (p[i] < 0x80 || p[i] > 0xbf)
			return 0;
	return n;
}

bool
text_is_utf8(const char *text, size_t len)
{
	const uint8_t *p = (const uint8_t *)text;

	while (len > 0) {
		size_t n = utf8_sequence(p, len);

		if (n == 0)
			return false;
		p += n;
		len -= n;
	}
	return true;
}

bool
text_is_printable(const char *text, size_t len)
{
	const uint8_t *p = (const uint8_t *)text;

	while (len > 0) {
		size_t n = utf8_sequence(p, len);

		if (n == 0 || p[0] < 0x20 || p[0] == 0x7f)
			return false;
		/* C1: U+0080 to U+009F */
		if (p[0] == 0xc2 && p[1] < 0xa0)
			return false;
		p += n;
		len -= n;
	}
	return true;
}

bool
text_copy(char *out, size_t out_size, const char *text)
{
	return text_copy_n(out, out_size, text, strlen(text));
}

bool
text_copy_n(char *out, size_t out_size, const char *text, size_t len)
{
	if (out_size == 0)
		return false;
	if (len >= out_size) {
		out[0] = '\0';
		return false;
	}
	if (len != 0)
		memcpy(out, text, len);
	out[len] = '\0';
	return true;
}

size_t
text_to_base64(char *out, const uint8_t *data, size_t len)
{
	sodium_bin2base64(out, TEXT_BASE64_SIZE(len), data, len,
	    sodium_base64_VARIANT_URLSAFE_NO_PADDING);
	return TEXT_BASE64_SIZE(len) - 1;
}

int
text_from_base64(uint8_t *out, size_t out_size, size_t *out_len,
    const char *text, size_t len)
{
	*out_len = 0;
	/* libsodium 1.0.18 takes bytes from 0x80 on for digits where char is
	 * signed: they would be a second text of the same bytes. */
	for (size_t i = 0; i < len; i++)
		if ((uint8_t)text[i] >= 0x80)
			return ERR_BAD_REQUEST;
	if (sodium_base642bin(out, out_size, text, len, NULL, out_len, NULL,
		sodium_base64_VARIANT_URLSAFE_NO_PADDING) != 0)
		return ERR_BAD_REQUEST;
	return 0;
}

void
text_to_hex(char *out, const uint8_t *data, size_t len)
{
	sodium_bin2hex(out, 2 * len + 1, data, len);
}

int
text_from_hex(uint8_t *out, size_t out_size, size_t *out_len, const char *text,
    size_t len)
{
	*out_len = 0;
	if (sodium_hex2bin(out, out_size, text, len, NULL, out_len, NULL) != 0)
		return ERR_BAD_REQUEST;
	return 0;
}

static char
lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* Only the last star is ever tried again: what fitted before it fits as early
 * as it can. */
bool
text_fits(const char *pattern, const char *text)
{
	const char *star = NULL, *from = NULL;

	while (*text != '\0') {
		if (*pattern == '*') {
			star = ++pattern;
			from = text;
		} else if (*pattern == '?' || lower(*pattern) == lower(*text)) {
			pattern++;
			text++;
		} else if (star != NULL) {
			pattern = star;
			text = ++from;
		} else {
			return false;
		}
	}
	return pattern[strspn(pattern, "*")] == '\0';
}

bool
text_to_u64(uint64_t *value, const char *text, size_t len)
{
	uint64_t sum = 0;

	if (len == 0 || (len > 1 && text[0] == '0'))
		return false;
	for (size_t i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
		uint64_t digit = (uint64_t)(text[i] - '0');

		if (__builtin_mul_overflow(sum, 10, &sum) ||
		    __builtin_add_overflow(sum, digit, &sum))
			return false;
	}
	*value = sum;
	return true;
}

#define CLOSEST_WORD_MAX 64

static size_t
smallest(size_t a, size_t b, size_t c)
{
	size_t least = a < b ? a : b;

	return least < c ? least : c;
}

/* Edits from a to b: insert, delete, replace, swap of neighbours (optimal
 * string alignment). Both at most CLOSEST_WORD_MAX long. */
static size_t
text_distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
	size_t rows[3][CLOSEST_WORD_MAX + 1];
	size_t *before = rows[0];
	size_t *last = rows[1];
	size_t *row = rows[2];

	for (size_t j = 0; j <= b_len; j++)
		last[j] = j;
	for (size_t i = 1; i <= a_len; i++) {
		row[0] = i;
		for (size_t j = 1; j <= b_len; j++) {
			size_t cost = a[i - 1] == b[j - 1] ? 0 : 1;

			row[j] = smallest(last[j] + 1, row[j - 1] + 1,
			    last[j - 1] + cost);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] &&
			    a[i - 2] == b[j - 1] && before[j - 2] + 1 < row[j])
				row[j] = before[j - 2] + 1;
		}
		size_t *spare = before;

		before = last;
		last = row;
		row = spare;
	}
	return last[b_len];
}

const char *
text_closest(const char *word, const char *const *known)
{
	size_t len = strlen(word);
	const char *closest = NULL;
	/* In a word of two letters two edits would find anything. */
	size_t best = len < 3 ? len : 3;

	if (len > CLOSEST_WORD_MAX)
		return NULL;
	for (; *known != NULL; known++) {
		size_t known_len = strlen(*known);

		if (known_len > CLOSEST_WORD_MAX)
			continue;
		size_t distance = text_distance(word, len, *known, known_len);

		if (distance < best) {
			best = distance;
			closest = *known;
		}
	}
	return closest;
}
