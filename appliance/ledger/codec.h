/*
 * Stored values: fixed fields, big-endian, a version byte first, one encoding
 * for each value. Inline, because the hot tables go through here a few times a
 * checkout. It must not know what the fields are.
 */
#ifndef APPLIANCE_LEDGER_CODEC_H
#define APPLIANCE_LEDGER_CODEC_H

#include "shared/base/buf.h"
#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/record/record.h"

#include <string.h>

/* First byte of every value: the encoding's version. */
#define CODEC_FORMAT 1

/* Values are written into a small array; the sizes are known beforehand. */
struct codec_writer {
	uint8_t data[256];
	size_t len;
};

static inline void
codec_put_bytes(struct codec_writer *w, const void *data, size_t len)
{
	memcpy(w->data + w->len, data, len);
	w->len += len;
}

static inline void
codec_put_u8(struct codec_writer *w, uint8_t value)
{
	w->data[w->len++] = value;
}

static inline void
codec_put_u32(struct codec_writer *w, uint32_t value)
{
	be32_write(w->data + w->len, value);
	w->len += 4;
}

static inline void
codec_put_u64(struct codec_writer *w, uint64_t value)
{
	be64_write(w->data + w->len, value);
	w->len += 8;
}

struct codec_reader {
	const uint8_t *data;
	size_t left;
	bool failed; /* it was too short */
};

static inline const uint8_t *
codec_get_some(struct codec_reader *r, size_t len)
{
	static const uint8_t zero[64];
	const uint8_t *at = r->data;

	if (r->failed || r->left < len) {
		r->failed = true;
		return zero;
	}
	r->data += len;
	r->left -= len;
	return at;
}

static inline void
codec_get_bytes(void *out, struct codec_reader *r, size_t len)
{
	memcpy(out, codec_get_some(r, len), len);
}

static inline uint8_t
codec_get_u8(struct codec_reader *r)
{
	return *codec_get_some(r, 1);
}

static inline uint32_t
codec_get_u32(struct codec_reader *r)
{
	return be32_read(codec_get_some(r, 4));
}

static inline uint64_t
codec_get_u64(struct codec_reader *r)
{
	return be64_read(codec_get_some(r, 8));
}

static inline struct codec_reader
codec_reader_of(const struct record_span *value)
{
	struct codec_reader r = { value->data, value->len, false };

	if (codec_get_u8(&r) != CODEC_FORMAT)
		r.failed = true;
	return r;
}

static inline int
codec_end(const struct codec_reader *r, const char *what)
{
	if (!r->failed && r->left == 0)
		return 0;
	log_error("state", "a stored %s is damaged", what);
	return ERR_CORRUPT;
}

#endif
