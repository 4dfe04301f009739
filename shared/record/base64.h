/*
 * base64url without padding (RFC 4648 section 5) by table, for what is no
 * secret: five times as fast as libsodium's, whose time says nothing about the
 * bytes and which RECORD_SECRET fields go on using. It must not be given
 * secrets.
 */
#ifndef SHARED_RECORD_BASE64_H
#define SHARED_RECORD_BASE64_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Writes (len * 4 + 2) / 3 characters, no NUL; returns how many. */
size_t base64_write(char *out, const uint8_t *data, size_t len);

/** Bytes that `len` characters stand for; len % 4 == 1 stands for none. */
static inline size_t
base64_size(size_t len)
{
	return len / 4 * 3 + len % 4 * 3 / 4;
}

/** Writes base64_size(len) bytes. False: other characters, a length that
 * cannot be, or bits behind the last byte. */
bool base64_read(uint8_t *out, const char *text, size_t len);

#endif
