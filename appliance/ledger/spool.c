#include "appliance/ledger/spool.h"

#include "shared/base/err.h"
#include "shared/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NAME_MAX_BYTES 600

static int
spool_failed(const char *verb)
{
	int err = errno == ENOSPC || errno == EDQUOT || errno == EFBIG
	    ? ERR_FULL
	    : ERR_IO;

	log_error("spool", "cannot %s a copy: %s", verb, strerror(errno));
	return err;
}

/* Where the file system has no files without a name: one whose name is gone at
 * once. */
static int
open_named(const char *folder)
{
	char name[NAME_MAX_BYTES];

	if (snprintf(name, sizeof(name), "%s/spool", folder) >=
	    (int)sizeof(name)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	unlink(name);
	int fd = open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd >= 0)
		unlink(name);
	return fd;
}

int
spool_file(int *fd, const char *folder)
{
	*fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (*fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR))
		*fd = open_named(folder);
	return *fd >= 0 ? 0 : spool_failed("make");
}

bool
spools_reserve(struct spools *spools)
{
	if (spools->count >= SPOOLS_MAX)
		return false;
	spools->count++;
	return true;
}

void
spools_give_up(struct spools *spools)
{
	spools->count--;
}

struct spool *
spools_add(struct spools *spools, int fd, uint64_t bytes, int64_t now)
{
	struct spool *spool = calloc(1, sizeof(*spool));

	if (spool == NULL) {
		close(fd);
		spools_give_up(spools);
		return NULL;
	}
	spool->number = ++spools->next_number;
	spool->fd = fd;
	spool->bytes = bytes;
	spool->used_at = now;
	spool->next = spools->first;
	spools->first = spool;
	return spool;
}

struct spool *
spools_find(const struct spools *spools, uint64_t number)
{
	struct spool *spool = spools->first;

	while (spool != NULL && spool->number != number)
		spool = spool->next;
	return spool;
}

void
spools_remove(struct spools *spools, struct spool *spool)
{
	struct spool **at = &spools->first;

	while (*at != spool)
		at = &(*at)->next;
	*at = spool->next;
	close(spool->fd);
	free(spool->kept);
	free(spool);
	spools->count--;
}

void
spools_expire(struct spools *spools, int64_t now)
{
	struct spool *spool = spools->first;

	while (spool != NULL) {
		struct spool *next = spool->next;

		if (spool->busy == 0 && now - spool->used_at > SPOOL_IDLE_MS)
			spools_remove(spools, spool);
		spool = next;
	}
}

void
spools_release(struct spools *spools)
{
	while (spools->first != NULL)
		spools_remove(spools, spools->first);
}

void
spool_empty(struct spool *spool)
{
	if (ftruncate(spool->fd, 0) != 0)
		log_warn("spool", "cannot empty a copy: %s", strerror(errno));
}

/* --- bytes ----------------------------------------------------------------- */

int
spool_write(int fd, const void *data, size_t len)
{
	const uint8_t *at = data;

	while (len > 0) {
		ssize_t n = write(fd, at, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return spool_failed("write");
		at += n;
		len -= (size_t)n;
	}
	return 0;
}

int
spool_write_at(int fd, const void *data, size_t len, uint64_t offset)
{
	const uint8_t *at = data;

	while (len > 0) {
		ssize_t n = pwrite(fd, at, len, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return spool_failed("write");
		at += n;
		offset += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

int
spool_read_at(size_t *got, int fd, void *out, size_t len, uint64_t offset)
{
	uint8_t *at = out;

	*got = 0;
	while (*got < len) {
		ssize_t n =
		    pread(fd, at + *got, len - *got, (off_t)(offset + *got));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return spool_failed("read");
		if (n == 0)
			break;
		*got += (size_t)n;
	}
	return 0;
}
