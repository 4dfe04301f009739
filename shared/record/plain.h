/*
 * The fast step over text that needs no care: nearly all strings of requests
 * and replies are plain ASCII from end to end. Eight bytes at a time, in
 * ordinary registers. It must not decide what to do about the rest.
 */
#ifndef SHARED_RECORD_PLAIN_H
#define SHARED_RECORD_PLAIN_H

#include <stddef.h>
#include <stdint.h>

#define PLAIN_BYTES(c) (UINT64_C(0x0101010101010101) * (c))

/* The high bit of every byte that is zero; bits above the lowest one set may
 * be wrong (Mycroft's test), which is why only the lowest one is used. */
static inline uint64_t
plain_zeros(uint64_t word)
{
	return (word - PLAIN_BYTES(1)) & ~word & PLAIN_BYTES(0x80);
}

/** How many bytes at the start are printable ASCII other than the quote and
 * the backslash. */
static inline size_t
plain_run(const char *text, size_t len)
{
	size_t at = 0;

	for (; len - at >= 8; at += 8) {
		uint64_t word;

		__builtin_memcpy(&word, text + at, 8);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
		word = __builtin_bswap64(word);
#endif
		uint64_t care = ((word - PLAIN_BYTES(0x20)) & ~word) |
		    plain_zeros(word ^ PLAIN_BYTES('"')) |
		    plain_zeros(word ^ PLAIN_BYTES('\\')) |
		    plain_zeros(word ^ PLAIN_BYTES(0x7f)) | word;

		care &= PLAIN_BYTES(0x80);
		if (care != 0)
			return at + (size_t)__builtin_ctzll(care) / 8;
	}
	for (; at < len; at++) {
		uint8_t c = (uint8_t)text[at];

		if (c < 0x20 || c > 0x7e || c == '"' || c == '\\')
			break;
	}
	return at;
}

#endif
