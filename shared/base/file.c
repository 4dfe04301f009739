/*
 * Whole files, read and written (declared in text.h). Buffers are wiped when
 * given up, because keys pass here.
 */
#include "shared/base/err.h"
#include "shared/base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int
file_error(void)
{
	if (errno == ENOSPC || errno == EDQUOT)
		return ERR_FULL;
	if (errno == ENOENT || errno == ENOTDIR)
		return ERR_NOT_FOUND;
	return ERR_IO;
}

/* Close without losing the errno of what went wrong before. */
static void
close_quietly(int fd)
{
	int saved = errno;

	close(fd);
	errno = saved;
}

static void
wipe_free(uint8_t *data, size_t size)
{
	if (data != NULL)
		sodium_memzero(data, size);
	free(data);
}

/* Like realloc, but the old place does not keep a copy. */
static uint8_t *
grow(uint8_t *data, size_t len, size_t size)
{
	uint8_t *larger = malloc(size);

	if (larger == NULL)
		return NULL;
	if (len != 0)
		memcpy(larger, data, len);
	wipe_free(data, len);
	return larger;
}

/* Reads to the end; at most max bytes, and always keeps a byte for the NUL. */
static int
read_all(uint8_t **data, size_t *len, int fd, size_t size, size_t max)
{
	uint8_t *bytes = NULL;
	size_t used = 0;
	size_t room = 0;
	int err;

	for (;;) {
		if (used + 1 >= room) {
			size_t larger = room == 0 ? size : 2 * room;
			uint8_t *moved = grow(bytes, used, larger);

			if (moved == NULL) {
				err = ERR_NOMEM;
				goto out;
			}
			bytes = moved;
			room = larger;
		}
		ssize_t n = read(fd, bytes + used, room - used - 1);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			err = ERR_IO;
			goto out;
		}
		if (n == 0)
			break;
		used += (size_t)n;
		if (used > max) {
			err = ERR_TOO_LARGE;
			errno = EFBIG;
			goto out;
		}
	}
	bytes[used] = '\0';
	*data = bytes;
	*len = used;
	bytes = NULL;
	err = 0;
out:
	wipe_free(bytes, used);
	return err;
}

int
file_read(uint8_t **data, size_t *len, const char *path, size_t max)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

	if (fd < 0)
		return file_error();
	if (fstat(fd, &st) != 0) {
		close_quietly(fd);
		return ERR_IO;
	}
	size_t size = 4096;

	if (S_ISREG(st.st_mode)) {
		if (st.st_size < 0 || (uint64_t)st.st_size > max) {
			close(fd);
			errno = EFBIG;
			return ERR_TOO_LARGE;
		}
		/* One byte to see the end, one for the NUL. */
		size = (size_t)st.st_size + 2;
	}
	int err = read_all(data, len, fd, size, max);

	close_quietly(fd);
	return err;
}

static int
write_all(int fd, const uint8_t *data, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, data, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

/* The entry of a rename is on the disk only after its folder is. */
static int
sync_folder_of(const char *path)
{
	char folder[PATH_MAX];
	const char *slash = strrchr(path, '/');

	if (slash == NULL)
		text_copy(folder, sizeof(folder), ".");
	else if (slash == path)
		text_copy(folder, sizeof(folder), "/");
	else if (!text_copy_n(folder, sizeof(folder), path,
		     (size_t)(slash - path))) {
		errno = ENAMETOOLONG;
		return -1;
	}
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return -1;
	int result = fsync(fd);

	close_quietly(fd);
	return result;
}

int
file_write(const char *path, const void *data, size_t len, unsigned int mode)
{
	char temporary[PATH_MAX];
	int n = snprintf(temporary, sizeof(temporary), "%s.XXXXXX", path);

	if (n < 0 || (size_t)n >= sizeof(temporary)) {
		errno = ENAMETOOLONG;
		return ERR_IO;
	}
	int fd = mkostemp(temporary, O_CLOEXEC);

	if (fd < 0)
		return errno == ENOSPC || errno == EDQUOT ? ERR_FULL : ERR_IO;
	int failed = write_all(fd, data, len) != 0 || fchmod(fd, mode) != 0 ||
	    fsync(fd) != 0;

	close_quietly(fd);
	if (!failed && rename(temporary, path) == 0)
		return sync_folder_of(path) == 0 ? 0 : ERR_IO;
	int saved = errno;

	unlink(temporary);
	errno = saved;
	return saved == ENOSPC || saved == EDQUOT ? ERR_FULL : ERR_IO;
}

/* LMDB's own size for 126 readers, unless told otherwise. */
#define LMDB_LOCK_BYTES 8192

int
file_reserve_lmdb_lock(const char *folder)
{
	char path[PATH_MAX];
	struct stat st;

	if (snprintf(path, sizeof(path), "%s/lock.mdb", folder) >=
	    (int)sizeof(path))
		return ENAMETOOLONG;
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return errno;
	int rc = fstat(fd, &st) == 0 ? 0 : errno;
	off_t size = rc == 0 && st.st_size > LMDB_LOCK_BYTES ? st.st_size
							     : LMDB_LOCK_BYTES;

	/* What a file system cannot promise is as it was. */
	if (rc == 0 && fallocate(fd, 0, 0, size) != 0 && errno != EOPNOTSUPP)
		rc = errno;
	close(fd);
	return rc;
}
