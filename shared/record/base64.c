#include "shared/record/base64.h"

static const char digits[64] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/* A digit's value plus one; 0 is no digit. Made from `digits`. */
/* clang-format off */
static const uint8_t values[256] = {
	['A'] = 1, ['B'] = 2, ['C'] = 3, ['D'] = 4, ['E'] = 5, ['F'] = 6,
	['G'] = 7, ['H'] = 8, ['I'] = 9, ['J'] = 10, ['K'] = 11, ['L'] = 12,
	['M'] = 13, ['N'] = 14, ['O'] = 15, ['P'] = 16, ['Q'] = 17, ['R'] = 18,
	['S'] = 19, ['T'] = 20, ['U'] = 21, ['V'] = 22, ['W'] = 23, ['X'] = 24,
	['Y'] = 25, ['Z'] = 26, ['a'] = 27, ['b'] = 28, ['c'] = 29, ['d'] = 30,
	['e'] = 31, ['f'] = 32, ['g'] = 33, ['h'] = 34, ['i'] = 35, ['j'] = 36,
	['k'] = 37, ['l'] = 38, ['m'] = 39, ['n'] = 40, ['o'] = 41, ['p'] = 42,
	['q'] = 43, ['r'] = 44, ['s'] = 45, ['t'] = 46, ['u'] = 47, ['v'] = 48,
	['w'] = 49, ['x'] = 50, ['y'] = 51, ['z'] = 52, ['0'] = 53, ['1'] = 54,
	['2'] = 55, ['3'] = 56, ['4'] = 57, ['5'] = 58, ['6'] = 59, ['7'] = 60,
	['8'] = 61, ['9'] = 62, ['-'] = 63, ['_'] = 64,
};
/* clang-format on */

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
/* 16 digits at a time, in whatever vectors the machine has. */
typedef int8_t digits16 __attribute__((vector_size(16)));
typedef uint64_t words2 __attribute__((vector_size(16)));

/* Six bytes as a number; reads eight. */
static inline uint64_t
six_bytes(const uint8_t *data)
{
	uint64_t word;

	__builtin_memcpy(&word, data, 8);
	return __builtin_bswap64(word) >> 16;
}

/* 12 bytes to 16 digits; reads 14 bytes. */
static inline void
write_block(char *out, const uint8_t *data)
{
	words2 w = { six_bytes(data), six_bytes(data + 6) };

	/* 48 bits to 2 x 24, 4 x 12 and 8 x 6, the first one lowest. */
	w = w >> 24 | (w & 0xffffff) << 32;
	w = (w >> 12 & UINT64_C(0x00000fff00000fff)) |
	    (w & UINT64_C(0x00000fff00000fff)) << 16;
	w = (w >> 6 & UINT64_C(0x003f003f003f003f)) |
	    (w & UINT64_C(0x003f003f003f003f)) << 8;
	digits16 v = (digits16)w;

	/* A comparison is -1 where it holds. */
	v += 'A' + ((v > 25) & 6) - ((v > 51) & 75) - ((v > 61) & 13) +
	    ((v > 62) & 49);
	__builtin_memcpy(out, &v, 16);
}
#endif

size_t
base64_write(char *out, const uint8_t *data, size_t len)
{
	char *p = out;

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	for (; len >= 14; len -= 12, data += 12, p += 16)
		write_block(p, data);
#endif
	for (; len >= 3; len -= 3, data += 3) {
		uint32_t bits =
		    (uint32_t)data[0] << 16 | (uint32_t)data[1] << 8 | data[2];

		*p++ = digits[bits >> 18];
		*p++ = digits[bits >> 12 & 63];
		*p++ = digits[bits >> 6 & 63];
		*p++ = digits[bits & 63];
	}
	if (len > 0) {
		uint32_t bits = (uint32_t)data[0] << 16 |
		    (len > 1 ? (uint32_t)data[1] << 8 : 0);

		*p++ = digits[bits >> 18];
		*p++ = digits[bits >> 12 & 63];
		if (len > 1)
			*p++ = digits[bits >> 6 & 63];
	}
	return (size_t)(p - out);
}

/* 2 or 3 digits at the end: 1 or 2 bytes, and no bits left over. */
static bool
read_tail(uint8_t *out, const uint8_t *text, size_t len)
{
	uint8_t a = values[text[0]], b = values[text[1]];
	uint8_t c = len == 3 ? values[text[2]] : 1;

	if (a == 0 || b == 0 || c == 0)
		return false;
	uint32_t bits = (uint32_t)(a - 1) << 18 | (uint32_t)(b - 1) << 12 |
	    (uint32_t)(c - 1) << 6;

	out[0] = (uint8_t)(bits >> 16);
	if (len == 3)
		out[1] = (uint8_t)(bits >> 8);
	return (bits & (len == 3 ? 0xff : 0xffff)) == 0;
}

bool
base64_read(uint8_t *out, const char *text, size_t len)
{
	const uint8_t *p = (const uint8_t *)text;

	if (len % 4 == 1)
		return false;
	for (; len >= 4; len -= 4, p += 4) {
		uint8_t a = values[p[0]], b = values[p[1]];
		uint8_t c = values[p[2]], d = values[p[3]];

		if (a == 0 || b == 0 || c == 0 || d == 0)
			return false;
		uint32_t bits = (uint32_t)(a - 1) << 18 |
		    (uint32_t)(b - 1) << 12 | (uint32_t)(c - 1) << 6 |
		    (uint32_t)(d - 1);

		*out++ = (uint8_t)(bits >> 16);
		*out++ = (uint8_t)(bits >> 8);
		*out++ = (uint8_t)bits;
	}
	return len == 0 || read_tail(out, p, len);
}
