/* Reading an archive of anybody's making, a frame at a time. */
#include "shared/backup/inside.h"

#include "shared/base/err.h"

#include <sodium.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define FRAME_MAX (ARCHIVE_ITEM_MAX + ARCHIVE_FRAME_EXTRA)

struct archive_reader {
	FILE *file; /* borrowed */
	struct archive_header header;
	struct arena arena; /* its tenants */
	uint8_t header_hash[32];
	crypto_secretstream_xchacha20poly1305_state *stream; /* guarded */
	uint8_t *sealed;
	uint8_t *plain; /* guarded */
	uint64_t frame; /* number of the next one */
	uint64_t at; /* bytes read so far */
	bool unlocked, ended;
	char error[200];
};

static int fail(struct archive_reader *reader, int err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static int
fail(struct archive_reader *reader, int err, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(reader->error, sizeof(reader->error), format, args);
	va_end(args);
	return err;
}

/* 0, or the number of bytes that were there, less than wanted. */
static bool
take(size_t *got, struct archive_reader *reader, void *out, size_t len)
{
	*got = fread(out, 1, len, reader->file);
	reader->at += *got;
	return *got == len;
}

static int
cut_off(struct archive_reader *reader, const char *where)
{
	if (ferror(reader->file))
		return fail(reader, ERR_IO, "it cannot be read");
	return fail(reader, ERR_CORRUPT, "cut off after %llu bytes, %s",
	    (unsigned long long)reader->at, where);
}

/* --- the header ------------------------------------------------------------ */

static int
read_header(struct archive_reader *reader, uint32_t len)
{
	struct record_error error;
	uint8_t *text = malloc(len);
	size_t got;

	if (text == NULL)
		return fail(reader, ERR_NOMEM, "out of memory");
	if (!take(&got, reader, text, len)) {
		free(text);
		return cut_off(reader, "within its header");
	}
	archive_header_hash(reader->header_hash, text, len);
	int rc = record_read_json(&reader->header, &archive_header_record,
	    (const char *)text, len, &reader->arena, &error);

	free(text);
	return rc == 0
	    ? 0
	    : fail(reader, ERR_BAD_REQUEST,
		  "its header is not understood: %s%s%s", error.field,
		  error.field[0] != '\0' ? ": " : "", error.reason);
}

int
archive_open(struct archive_reader **out, FILE *file)
{
	static const char magic[] = ARCHIVE_MAGIC;
	const size_t magic_len = sizeof(magic) - 1;
	uint8_t front[sizeof(magic) - 1 + 4];
	struct archive_reader *reader = calloc(1, sizeof(*reader));
	size_t got;

	*out = reader;
	if (reader == NULL)
		return ERR_NOMEM;
	reader->file = file;
	reader->arena.max_bytes = (size_t)ARCHIVE_HEADER_MAX;
	bool whole = take(&got, reader, front, sizeof(front));
	size_t there = got < magic_len ? got : magic_len;

	if (there > 0 && memcmp(front, magic, there) != 0) {
		/* "leasehold-backup 2" */
		if (got >= magic_len &&
		    memcmp(front, magic, magic_len - 2) == 0)
			return fail(reader, ERR_BAD_REQUEST,
			    "it is of another version than this program reads");
		if (front[0] == 0)
			return fail(reader, ERR_BAD_REQUEST,
			    "its making was interrupted");
		return fail(reader, ERR_BAD_REQUEST,
		    "it is no backup of a Leasehold site");
	}
	if (!whole)
		return got == 0 ? fail(reader, ERR_BAD_REQUEST, "it is empty")
				: cut_off(reader, "within its header");
	uint32_t len = be32_read(front + magic_len);

	if (len == 0 || len > ARCHIVE_HEADER_MAX)
		return fail(reader, ERR_CORRUPT,
		    "its header was changed: a length of %u bytes", len);
	return read_header(reader, len);
}

const struct archive_header *
archive_header(const struct archive_reader *reader)
{
	return &reader->header;
}

const char *
archive_error(const struct archive_reader *reader)
{
	return reader == NULL ? "out of memory" : reader->error;
}

void
archive_close(struct archive_reader *reader)
{
	if (reader == NULL)
		return;
	sodium_free(reader->stream);
	sodium_free(reader->plain);
	free(reader->sealed);
	arena_release(&reader->arena);
	free(reader);
}

/* --- the passphrase -------------------------------------------------------- */

static int
begin_stream(struct archive_reader *reader, const uint8_t key[32])
{
	reader->stream = sodium_malloc(sizeof(*reader->stream));
	reader->plain = sodium_malloc(FRAME_MAX);
	reader->sealed = malloc(FRAME_MAX);
	if (reader->stream == NULL || reader->plain == NULL ||
	    reader->sealed == NULL)
		return fail(reader, ERR_NOMEM, "out of memory");
	if (crypto_secretstream_xchacha20poly1305_init_pull(reader->stream,
		reader->header.stream, key) != 0)
		return fail(reader, ERR_CORRUPT, "its header was changed");
	reader->unlocked = true;
	return 0;
}

int
archive_unlock(struct archive_reader *reader, const char *passphrase,
    size_t passphrase_len)
{
	uint8_t check[ARCHIVE_CHECK_BYTES];
	uint8_t *key = sodium_malloc(32);

	if (reader->unlocked || key == NULL) {
		sodium_free(key);
		return fail(reader, ERR_NOMEM, "out of memory");
	}
	int rc = archive_derive(key, check, &reader->header, passphrase,
	    passphrase_len);

	if (rc != 0)
		rc = fail(reader, rc,
		    "there is no memory for its Argon2id (%llu MiB)",
		    (unsigned long long)reader->header.memory >> 20);
	else if (sodium_memcmp(check, reader->header.check, sizeof(check)) != 0)
		rc = fail(reader, ERR_FORBIDDEN,
		    "it is another passphrase, or its header was changed");
	else
		rc = begin_stream(reader, key);
	sodium_free(key);
	return rc;
}

/* --- frames ---------------------------------------------------------------- */

static int
read_frame(uint32_t *len, struct archive_reader *reader)
{
	uint8_t head[ARCHIVE_FRAME_HEAD];
	unsigned long long frame = reader->frame;
	char where[48];
	size_t got;

	snprintf(where, sizeof(where), "within frame %llu", frame);
	if (!take(&got, reader, head, sizeof(head))) {
		if (got == 0)
			snprintf(where, sizeof(where), "before frame %llu",
			    frame);
		return cut_off(reader, where);
	}
	uint64_t number = be64_read(head + 4);

	*len = be32_read(head);
	if (*len <= ARCHIVE_FRAME_EXTRA - 1 || *len > FRAME_MAX)
		return fail(reader, ERR_CORRUPT,
		    "frame %llu was changed: a length of %u bytes", frame,
		    *len);
	if (number != frame)
		return fail(reader, ERR_CORRUPT,
		    "frames are missing or out of order: number %llu stands "
		    "where %llu is due",
		    (unsigned long long)number, frame);
	if (!take(&got, reader, reader->sealed, *len))
		return cut_off(reader, where);
	return 0;
}

/* The last one: nothing follows, and the header is the one that was written. */
static int
check_end(struct archive_reader *reader, const uint8_t *data, size_t len)
{
	uint8_t more;
	size_t got;

	if (len != sizeof(reader->header_hash) ||
	    sodium_memcmp(data, reader->header_hash, len) != 0)
		return fail(reader, ERR_CORRUPT,
		    "its header was changed: it is not the one that the end "
		    "of the file vouches for");
	if (take(&got, reader, &more, 1))
		return fail(reader, ERR_CORRUPT,
		    "there are bytes behind its end");
	reader->ended = true;
	return 0;
}

static int
open_frame(enum archive_item *item, struct record_span *data,
    struct archive_reader *reader, uint32_t len)
{
	unsigned long long opened = 0, frame = reader->frame;
	uint8_t number[8], tag = 0;

	be64_write(number, frame);
	if (crypto_secretstream_xchacha20poly1305_pull(reader->stream,
		reader->plain, &opened, &tag, reader->sealed, len, number,
		sizeof(number)) != 0)
		return fail(reader, ERR_CORRUPT,
		    "frame %llu was changed, or is of another file", frame);
	reader->frame++;
	bool last = tag == crypto_secretstream_xchacha20poly1305_TAG_FINAL;
	uint8_t kind = reader->plain[0];

	if (opened < 1 || kind < ARCHIVE_PART || kind > ARCHIVE_END ||
	    last != (kind == ARCHIVE_END))
		return fail(reader, ERR_CORRUPT,
		    "frame %llu is of a kind that this program does not know",
		    frame);
	*item = (enum archive_item)kind;
	*data =
	    (struct record_span){ reader->plain + 1, (uint32_t)(opened - 1) };
	if (!last)
		return 0;
	int rc = check_end(reader, data->data, data->len);

	*data = (struct record_span){ NULL, 0 };
	return rc;
}

int
archive_next(enum archive_item *item, struct record_span *data,
    struct archive_reader *reader)
{
	uint32_t len = 0;

	/* After a fault nothing that follows is of any worth. */
	if (!reader->unlocked || reader->ended || reader->error[0] != '\0')
		return reader->error[0] != '\0'
		    ? ERR_CORRUPT
		    : fail(reader, ERR_CORRUPT, "nothing more is in it");
	int rc = read_frame(&len, reader);

	return rc == 0 ? open_frame(item, data, reader, len) : rc;
}
