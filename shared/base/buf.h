/*
 * A growing run of bytes with a bound, and an arena for what lives as long as
 * one request. Neither knows what the bytes mean.
 */
#ifndef SHARED_BASE_BUF_H
#define SHARED_BASE_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** The most a buf holds unless it says otherwise: 64 MiB. */
#define BUF_MAX_BYTES ((size_t)64 << 20)

/**
 * Bytes owned by the buf. Zero-initialised is empty and valid. After an
 * allocation failed or the bound was hit, `failed` stays set and every further
 * append is ignored: check once, at the end.
 */
struct buf {
	uint8_t *data;
	size_t len;
	size_t size;
	size_t max; /* 0: BUF_MAX_BYTES */
	bool failed;
};

/** Empty it and keep its memory. */
void buf_clear(struct buf *buf);

/** Release its memory; the buf is empty and usable. Takes NULL. */
void buf_release(struct buf *buf);

/** Room for `len` bytes at the end, len added; NULL when failed. */
uint8_t *buf_extend(struct buf *buf, size_t len);

void buf_add(struct buf *buf, const void *data, size_t len);
void buf_add_byte(struct buf *buf, uint8_t byte);
void buf_add_str(struct buf *buf, const char *text);
void buf_add_be16(struct buf *buf, uint16_t value);
void buf_add_be32(struct buf *buf, uint32_t value);
void buf_add_be64(struct buf *buf, uint64_t value);
void buf_printf(struct buf *buf, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/** NUL-terminate (the NUL is not counted) and lend the text; "" if failed. */
const char *buf_text(struct buf *buf);

uint16_t be16_read(const uint8_t *p);
uint32_t be32_read(const uint8_t *p);
uint64_t be64_read(const uint8_t *p);
void be16_write(uint8_t *p, uint16_t value);
void be32_write(uint8_t *p, uint32_t value);
void be64_write(uint8_t *p, uint64_t value);

/** Memory that is freed at once; zero-initialised is empty and valid. */
struct arena_chunk;
struct arena {
	struct arena_chunk *chunks;
	size_t used_bytes;
	size_t max_bytes; /* 0: BUF_MAX_BYTES */
};

/** Zeroed, aligned for any type; NULL when out of memory or over the bound. */
void *arena_alloc(struct arena *arena, size_t size);

/** A copy with a NUL behind it (not counted). */
void *arena_copy(struct arena *arena, const void *data, size_t len);

/** Free everything but one chunk, for the next request. */
void arena_clear(struct arena *arena);
void arena_release(struct arena *arena);

#endif
