/*
 * Small questions about text and bytes: UTF-8, hex, base64url, numbers,
 * semantic versions. Encodings come from libsodium.
 */
#ifndef SHARED_BASE_TEXT_H
#define SHARED_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Well-formed UTF-8 (RFC 3629), no NUL. */
bool text_is_utf8(const char *text, size_t len);

/** Well-formed UTF-8 without control characters (C0, DEL, C1). */
bool text_is_printable(const char *text, size_t len);

/** Copy with its NUL; false (and out empty) when it does not fit. */
bool text_copy(char *out, size_t out_size, const char *text);
bool text_copy_n(char *out, size_t out_size, const char *text, size_t len);

/** Bytes of base64url without padding for `len` bytes, with its NUL. */
#define TEXT_BASE64_SIZE(len) (((len)*4 + 2) / 3 + 1)

/** base64url without padding (RFC 4648 section 5); out holds
 * TEXT_BASE64_SIZE(len). Returns the text's length. */
size_t text_to_base64(char *out, const uint8_t *data, size_t len);

/** Strict: no padding, no stray bits, no white space. Returns 0 or
 * ERR_BAD_REQUEST (also when it does not fit). */
int text_from_base64(uint8_t *out, size_t out_size, size_t *out_len,
    const char *text, size_t len);

/** Lower-case hex with its NUL; out holds 2 * len + 1. */
void text_to_hex(char *out, const uint8_t *data, size_t len);
int text_from_hex(uint8_t *out, size_t out_size, size_t *out_len,
    const char *text, size_t len);

/** Does the whole of `text` fit `pattern`? `*` stands for any characters, `?`
 * for one; ASCII letters fit in either case. Time is bounded by the product of
 * both lengths. */
bool text_fits(const char *pattern, const char *text);

/** A whole decimal number, digits only, no leading zero but "0" itself. */
bool text_to_u64(uint64_t *value, const char *text, size_t len);

/** Distance for "did you mean": the known word closest to `word`, or NULL
 * when none is within 2 edits. `known` ends with NULL. */
const char *text_closest(const char *word, const char *const *known);

/** A whole file of at most max bytes into malloc'd memory with a NUL behind.
 * Returns 0, ERR_NOT_FOUND, ERR_TOO_LARGE, ERR_NOMEM or ERR_IO (errno set). */
int file_read(uint8_t **data, size_t *len, const char *path, size_t max);

/** Write a file whole or not at all: temporary name, fsync, rename, fsync of
 * the folder. Returns 0, ERR_FULL or ERR_IO (errno set). */
int file_write(const char *path, const void *data, size_t len,
    unsigned int mode);

/**
 * Room on the disk for an environment's lock file, before LMDB maps it: it
 * leaves it sparse, and who touches a page of it that a full disk has no room
 * for is killed (SIGBUS).
 * @return 0 or an errno: ENOSPC, or why it cannot be opened
 */
int file_reserve_lmdb_lock(const char *folder);

#endif
