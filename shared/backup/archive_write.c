/* Writing an archive: under another name until its last byte is on the disk. */
#include "shared/backup/inside.h"

#include "shared/base/err.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The header is written last and stands first: room for what it may grow to.
 * A tenant has 64 bytes of name, 43 of hash and three numbers. */
#define HEADER_ROOM 2048
#define TENANT_ROOM 320

struct archive_writer {
	char path[PATH_MAX];
	char partial[PATH_MAX]; /* its name until the end */
	int fd;
	size_t header_len; /* bytes kept for it */
	uint64_t frame; /* number of the next one */
	/* as they were made at the beginning */
	struct archive_header made;
	crypto_secretstream_xchacha20poly1305_state *stream; /* guarded */
	uint8_t *plain; /* of a frame, guarded */
	uint8_t *out; /* the same, sealed */
	int err;
};

static int
io_error(void)
{
	if (errno == ENOSPC || errno == EDQUOT || errno == EFBIG)
		return ERR_FULL;
	return errno == EEXIST ? ERR_CONFLICT : ERR_IO;
}

static int
write_all(int fd, const void *data, size_t len)
{
	const uint8_t *at = data;

	while (len > 0) {
		ssize_t n = write(fd, at, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return io_error();
		at += n;
		len -= (size_t)n;
	}
	return 0;
}

/* A file of that name is not ours to replace. */
static int
open_partial(struct archive_writer *writer, const char *path)
{
	struct stat st;

	if (snprintf(writer->path, sizeof(writer->path), "%s", path) >=
		PATH_MAX ||
	    snprintf(writer->partial, sizeof(writer->partial), "%s.partial",
		path) >= PATH_MAX) {
		errno = ENAMETOOLONG;
		return ERR_IO;
	}
	if (lstat(path, &st) == 0)
		return ERR_CONFLICT;
	/* What a backup that was killed left behind. */
	if (unlink(writer->partial) != 0 && errno != ENOENT)
		return io_error();
	writer->fd = open(writer->partial,
	    O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	return writer->fd >= 0 ? 0 : io_error();
}

static int
set_up_crypto(struct archive_writer *writer, const char *passphrase,
    size_t passphrase_len, const struct archive_cost *cost)
{
	struct archive_header *made = &writer->made;
	uint8_t *key = sodium_malloc(32);

	writer->stream = sodium_malloc(sizeof(*writer->stream));
	writer->out =
	    malloc(ARCHIVE_FRAME_HEAD + ARCHIVE_ITEM_MAX + ARCHIVE_FRAME_EXTRA);
	writer->plain = sodium_malloc(1 + ARCHIVE_ITEM_MAX);
	if (key == NULL || writer->stream == NULL || writer->out == NULL ||
	    writer->plain == NULL) {
		sodium_free(key);
		return ERR_NOMEM;
	}
	made->passes = cost != NULL && cost->passes != 0
	    ? cost->passes
	    : (uint32_t)crypto_pwhash_OPSLIMIT_MODERATE;
	made->memory = cost != NULL && cost->memory != 0
	    ? cost->memory
	    : crypto_pwhash_MEMLIMIT_MODERATE;
	randombytes_buf(made->salt, sizeof(made->salt));
	int rc =
	    archive_derive(key, made->check, made, passphrase, passphrase_len);

	if (rc == 0 &&
	    crypto_secretstream_xchacha20poly1305_init_push(writer->stream,
		made->stream, key) != 0)
		rc = ERR_NOMEM;
	sodium_free(key);
	return rc;
}

/* Nothing but zeros: whoever finds it there knows that it is not whole. */
static int
keep_room(struct archive_writer *writer, const struct archive_header *header)
{
	size_t room = HEADER_ROOM + (size_t)header->tenants.count * TENANT_ROOM;
	uint8_t *zeros;

	if (room > ARCHIVE_HEADER_MAX)
		return ERR_TOO_LARGE;
	writer->header_len = room;
	room += sizeof(ARCHIVE_MAGIC) - 1 + 4;
	zeros = calloc(1, room);
	if (zeros == NULL)
		return ERR_NOMEM;
	int rc = write_all(writer->fd, zeros, room);

	free(zeros);
	return rc;
}

int
archive_create(struct archive_writer **out, const char *path,
    const struct archive_header *header, const char *passphrase,
    size_t passphrase_len, const struct archive_cost *cost)
{
	if (passphrase_len < ARCHIVE_PASSPHRASE_MIN ||
	    passphrase_len > ARCHIVE_PASSPHRASE_MAX)
		return ERR_BAD_REQUEST;
	struct archive_writer *writer = calloc(1, sizeof(*writer));

	if (writer == NULL)
		return ERR_NOMEM;
	writer->fd = -1;
	int rc = open_partial(writer, path);

	if (rc == 0)
		rc = set_up_crypto(writer, passphrase, passphrase_len, cost);
	if (rc == 0)
		rc = keep_room(writer, header);
	if (rc != 0) {
		int saved = errno;

		archive_cancel(writer);
		errno = saved;
		return rc;
	}
	*out = writer;
	return 0;
}

static int
put_frame(struct archive_writer *writer, enum archive_item item,
    const void *data, size_t len, uint8_t tag)
{
	uint8_t *plain = writer->plain, *out = writer->out;
	unsigned long long sealed = 0;

	plain[0] = (uint8_t)item;
	if (len > 0)
		memcpy(plain + 1, data, len);
	be64_write(out + 4, writer->frame);
	crypto_secretstream_xchacha20poly1305_push(writer->stream,
	    out + ARCHIVE_FRAME_HEAD, &sealed, plain, 1 + len, out + 4, 8, tag);
	be32_write(out, (uint32_t)sealed);
	writer->frame++;
	return write_all(writer->fd, out, ARCHIVE_FRAME_HEAD + (size_t)sealed);
}

int
archive_put(struct archive_writer *writer, enum archive_item item,
    const void *data, size_t len)
{
	if (len == 0 || len > ARCHIVE_ITEM_MAX)
		return ERR_TOO_LARGE;
	/* After a fault the stream has a hole. */
	if (writer->err == 0)
		writer->err = put_frame(writer, item, data, len,
		    crypto_secretstream_xchacha20poly1305_TAG_MESSAGE);
	return writer->err;
}

/* The header's text, blanks behind it. */
static int
write_header(struct buf *out, const struct archive_writer *writer,
    const struct archive_header *header)
{
	struct archive_header whole = *header;
	const struct archive_header *made = &writer->made;

	whole.passes = made->passes;
	whole.memory = made->memory;
	memcpy(whole.salt, made->salt, sizeof(whole.salt));
	memcpy(whole.check, made->check, sizeof(whole.check));
	memcpy(whole.stream, made->stream, sizeof(whole.stream));
	record_write_json(out, &archive_header_record, &whole);
	if (out->failed)
		return ERR_NOMEM;
	if (out->len >= writer->header_len)
		return ERR_TOO_LARGE;
	while (out->len < writer->header_len - 1)
		buf_add_byte(out, ' ');
	buf_add_byte(out, '\n');
	return out->failed ? ERR_NOMEM : 0;
}

static int
sync_folder(const char *path)
{
	char copy[PATH_MAX];

	snprintf(copy, sizeof(copy), "%s", path);
	int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return io_error();
	int rc = fsync(fd) == 0 ? 0 : io_error();

	close(fd);
	return rc;
}

/* What came into its place meanwhile is not replaced. */
static int
give_name(const struct archive_writer *writer)
{
	if (link(writer->partial, writer->path) == 0)
		return 0;
	/* Not on every file system, as on FAT sticks; and some do not know how to
	 * look first either. */
	if (errno != EEXIST &&
	    (renameat2(AT_FDCWD, writer->partial, AT_FDCWD, writer->path,
		 RENAME_NOREPLACE) == 0 ||
		(errno == EINVAL &&
		    rename(writer->partial, writer->path) == 0)))
		return 0;
	return io_error();
}

static int
settle(struct archive_writer *writer, const struct buf *header)
{
	struct buf front = { 0 };

	buf_add_str(&front, ARCHIVE_MAGIC);
	buf_add_be32(&front, (uint32_t)header->len);
	buf_add(&front, header->data, header->len);
	if (front.failed) {
		buf_release(&front);
		return ERR_NOMEM;
	}
	errno = ENOSPC; /* half of it */
	ssize_t n = pwrite(writer->fd, front.data, front.len, 0);
	int rc = n == (ssize_t)front.len ? 0 : io_error();

	buf_release(&front);
	if (rc == 0 && fsync(writer->fd) != 0)
		rc = io_error();
	if (rc == 0)
		rc = give_name(writer);
	return rc == 0 ? sync_folder(writer->path) : rc;
}

int
archive_finish(struct archive_writer *writer,
    const struct archive_header *header)
{
	struct buf text = { .max = ARCHIVE_HEADER_MAX };
	uint8_t hash[32];
	int rc = writer->err;

	if (rc == 0)
		rc = write_header(&text, writer, header);
	if (rc == 0) {
		archive_header_hash(hash, text.data, text.len);
		rc = put_frame(writer, ARCHIVE_END, hash, sizeof(hash),
		    crypto_secretstream_xchacha20poly1305_TAG_FINAL);
	}
	if (rc == 0)
		rc = settle(writer, &text);
	int saved = errno;

	buf_release(&text);
	archive_cancel(writer);
	errno = saved;
	return rc;
}

void
archive_cancel(struct archive_writer *writer)
{
	if (writer == NULL)
		return;
	if (writer->fd >= 0) {
		close(writer->fd);
		unlink(writer->partial);
	}
	sodium_free(writer->stream);
	sodium_free(writer->plain);
	free(writer->out);
	free(writer);
}
