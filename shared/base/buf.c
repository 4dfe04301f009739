/* Growing bytes and arenas; see buf.h. */
#include "shared/base/buf.h"

#include <assert.h>
#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool
buf_reserve(struct buf *buf, size_t len)
{
	size_t max = buf->max != 0 ? buf->max : BUF_MAX_BYTES;

	if (buf->failed)
		return false;
	if (buf->data != NULL && len <= buf->size - buf->len)
		return true;
	if (buf->len > max || len > max - buf->len)
		goto fail;

	size_t need = buf->len + len;
	size_t size = buf->size != 0 ? buf->size : 64;

	while (size < need)
		size *= 2;
	if (size > max)
		size = max;
	if (size == 0)
		size = 1;
	uint8_t *data = realloc(buf->data, size);

	if (data == NULL)
		goto fail;
	buf->data = data;
	buf->size = size;
	return true;
fail:
	buf->failed = true;
	return false;
}

void
buf_clear(struct buf *buf)
{
	buf->len = 0;
	buf->failed = false;
}

void
buf_release(struct buf *buf)
{
	if (buf == NULL)
		return;
	free(buf->data);
	buf->data = NULL;
	buf->len = 0;
	buf->size = 0;
	buf->failed = false;
}

uint8_t *
buf_extend(struct buf *buf, size_t len)
{
	if (!buf_reserve(buf, len))
		return NULL;
	uint8_t *at = buf->data + buf->len;

	buf->len += len;
	return at;
}

void
buf_add(struct buf *buf, const void *data, size_t len)
{
	uint8_t *at = buf_extend(buf, len);

	if (at != NULL && len != 0)
		memcpy(at, data, len);
}

void
buf_add_byte(struct buf *buf, uint8_t byte)
{
	uint8_t *at = buf_extend(buf, 1);

	if (at != NULL)
		*at = byte;
}

void
buf_add_str(struct buf *buf, const char *text)
{
	buf_add(buf, text, strlen(text));
}

void
buf_add_be16(struct buf *buf, uint16_t value)
{
	uint8_t *at = buf_extend(buf, 2);

	if (at != NULL)
		be16_write(at, value);
}

void
buf_add_be32(struct buf *buf, uint32_t value)
{
	uint8_t *at = buf_extend(buf, 4);

	if (at != NULL)
		be32_write(at, value);
}

void
buf_add_be64(struct buf *buf, uint64_t value)
{
	uint8_t *at = buf_extend(buf, 8);

	if (at != NULL)
		be64_write(at, value);
}

void
buf_printf(struct buf *buf, const char *format, ...)
{
	va_list args;

	if (!buf_reserve(buf, 0))
		return;
	size_t room = buf->size - buf->len;

	va_start(args, format);
	int n = vsnprintf((char *)buf->data + buf->len, room, format, args);
	va_end(args);
	if (n < 0) {
		buf->failed = true;
		return;
	}
	size_t len = (size_t)n;

	if (len >= room) {
		/* vsnprintf wants room for its NUL, which is not counted; with
		 * the bound one byte too near the text does not fit. */
		if (!buf_reserve(buf, len + 1))
			return;
		va_start(args, format);
		vsnprintf((char *)buf->data + buf->len, len + 1, format, args);
		va_end(args);
	}
	buf->len += len;
}

const char *
buf_text(struct buf *buf)
{
	if (!buf_reserve(buf, 1))
		return "";
	buf->data[buf->len] = '\0';
	return (const char *)buf->data;
}

uint16_t
be16_read(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

uint32_t
be32_read(const uint8_t *p)
{
	return (uint32_t)be16_read(p) << 16 | be16_read(p + 2);
}

uint64_t
be64_read(const uint8_t *p)
{
	return (uint64_t)be32_read(p) << 32 | be32_read(p + 4);
}

void
be16_write(uint8_t *p, uint16_t value)
{
	p[0] = (uint8_t)(value >> 8);
	p[1] = (uint8_t)value;
}

void
be32_write(uint8_t *p, uint32_t value)
{
	be16_write(p, (uint16_t)(value >> 16));
	be16_write(p + 2, (uint16_t)value);
}

void
be64_write(uint8_t *p, uint64_t value)
{
	be32_write(p, (uint32_t)(value >> 32));
	be32_write(p + 4, (uint32_t)value);
}

/* --- arena ---------------------------------------------------------------- */

struct arena_chunk {
	struct arena_chunk *next;
	size_t size;
	size_t used;
	alignas(max_align_t) uint8_t data[];
};

/* A first chunk holds an ordinary request; what arena_clear keeps is small
 * enough to be kept by thousands of arenas. */
#define ARENA_CHUNK_FIRST ((size_t)4 << 10)
#define ARENA_CHUNK_LARGE ((size_t)1 << 20)
#define ARENA_CHUNK_KEPT ((size_t)64 << 10)

static struct arena_chunk *
arena_chunk_new(const struct arena *arena, size_t size)
{
	size_t want = ARENA_CHUNK_FIRST;

	if (arena->chunks != NULL)
		want = arena->chunks->size * 2;
	if (want > ARENA_CHUNK_LARGE)
		want = ARENA_CHUNK_LARGE;
	if (want < size)
		want = size;
	struct arena_chunk *chunk = malloc(sizeof(*chunk) + want);

	if (chunk == NULL)
		return NULL;
	chunk->size = want;
	chunk->used = 0;
	return chunk;
}

void *
arena_alloc(struct arena *arena, size_t size)
{
	const size_t align = alignof(max_align_t);
	size_t max = arena->max_bytes != 0 ? arena->max_bytes : BUF_MAX_BYTES;

	if (size > max)
		return NULL;
	size = (size + align - 1) / align * align;
	if (size == 0)
		size = align;
	if (arena->used_bytes > max || size > max - arena->used_bytes)
		return NULL;

	struct arena_chunk *chunk = arena->chunks;

	if (chunk == NULL || size > chunk->size - chunk->used) {
		chunk = arena_chunk_new(arena, size);
		if (chunk == NULL)
			return NULL;
		chunk->next = arena->chunks;
		arena->chunks = chunk;
	}
	uint8_t *at = chunk->data + chunk->used;

	chunk->used += size;
	arena->used_bytes += size;
	return memset(at, 0, size);
}

void *
arena_copy(struct arena *arena, const void *data, size_t len)
{
	if (len == SIZE_MAX)
		return NULL;
	uint8_t *copy = arena_alloc(arena, len + 1);

	if (copy != NULL && len != 0)
		memcpy(copy, data, len);
	return copy;
}

void
arena_clear(struct arena *arena)
{
	struct arena_chunk *kept = NULL;
	struct arena_chunk *next;

	for (struct arena_chunk *c = arena->chunks; c != NULL; c = next) {
		next = c->next;
		if (kept == NULL && c->size <= ARENA_CHUNK_KEPT)
			kept = c;
		else
			free(c);
	}
	if (kept != NULL) {
		kept->next = NULL;
		kept->used = 0;
	}
	arena->chunks = kept;
	arena->used_bytes = 0;
}

void
arena_release(struct arena *arena)
{
	struct arena_chunk *next;

	if (arena == NULL)
		return;
	for (struct arena_chunk *c = arena->chunks; c != NULL; c = next) {
		next = c->next;
		free(c);
	}
	arena->chunks = NULL;
	arena->used_bytes = 0;
}
