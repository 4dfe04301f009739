#include "appliance/ledger/person_key.h"

#include "shared/base/err.h"
#include "shared/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const uint8_t magic[8] = "lhpeople";

struct person_key {
	int fd;
	bool volatile_;
	pthread_mutex_t lock; /* of the places */
	uint64_t generation; /* in force */
	uint8_t *places; /* guarded: two */
	char path[PATH_MAX];
};

static uint8_t *
place(const struct person_key *key, uint64_t generation)
{
	return key->places + generation % 2 * PERSON_KEY_BYTES;
}

static bool
is_empty(const struct person_key *key, uint64_t generation)
{
	return sodium_is_zero(place(key, generation), PERSON_KEY_BYTES);
}

static int
file_failed(const char *what, const char *path)
{
	int why = errno;

	log_error("person_key", "cannot %s %s: %s", what, path, strerror(why));
	return why == ENOSPC ? ERR_FULL : ERR_IO;
}

static int
write_all(int fd, const uint8_t *data, size_t len, off_t at)
{
	while (len > 0) {
		ssize_t n = pwrite(fd, data, len, at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		data += n;
		len -= (size_t)n;
		at += n;
	}
	return 0;
}

/* `fresh` NULL: nothing. */
static void
set_place(struct person_key *key, uint64_t generation, const uint8_t *fresh)
{
	pthread_mutex_lock(&key->lock);
	if (fresh != NULL)
		memcpy(place(key, generation), fresh, PERSON_KEY_BYTES);
	else
		sodium_memzero(place(key, generation), PERSON_KEY_BYTES);
	pthread_mutex_unlock(&key->lock);
}

/* One place as it is in memory. */
static int
store_place(const struct person_key *key, uint64_t generation)
{
	off_t at = (off_t)(sizeof magic + generation % 2 * PERSON_KEY_BYTES);

	if (write_all(key->fd, place(key, generation), PERSON_KEY_BYTES, at) !=
		0 ||
	    (!key->volatile_ && fdatasync(key->fd) != 0))
		return file_failed("write", key->path);
	return 0;
}

/* --- the file -------------------------------------------------------------- */

static int
join_path(char out[PATH_MAX], const char *folder)
{
	return snprintf(out, PATH_MAX, "%s/" PERSON_KEY_FILE, folder) < PATH_MAX
	    ? 0
	    : ERR_BAD_REQUEST;
}

static int
sync_folder(const char *folder)
{
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return -1;
	int rc = fsync(fd);

	close(fd);
	return rc;
}

int
person_key_write(const char *folder, const uint8_t file[PERSON_KEY_FILE_BYTES])
{
	char path[PATH_MAX];

	if (join_path(path, folder) != 0)
		return ERR_BAD_REQUEST;
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0)
		return file_failed("make", path);
	int rc = write_all(fd, file, PERSON_KEY_FILE_BYTES, 0);

	if (rc == 0)
		rc = fsync(fd);
	if (rc == 0)
		rc = sync_folder(folder);
	int err = rc == 0 ? 0 : file_failed("write", path);

	close(fd);
	return err;
}

/* A crash may have left less than a whole one: then no store can have been
 * written under it. */
static int
make_missing(const char *folder, const char *path)
{
	uint8_t file[PERSON_KEY_FILE_BYTES] = { 0 };
	struct stat st;

	if (stat(path, &st) == 0) {
		if (st.st_size == PERSON_KEY_FILE_BYTES)
			return 0;
		if (unlink(path) != 0)
			return file_failed("make", path);
	}
	memcpy(file, magic, sizeof magic);
	randombytes_buf(file + sizeof magic, PERSON_KEY_BYTES);
	int err = person_key_write(folder, file);

	sodium_memzero(file, sizeof file);
	return err;
}

static int
read_file(struct person_key *key)
{
	uint8_t file[PERSON_KEY_FILE_BYTES];

	key->fd = open(key->path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (key->fd < 0) {
		log_error("person_key",
		    "cannot open %s: %s; without it no name in this store can "
		    "be read: restore it with the store, from one backup",
		    key->path, strerror(errno));
		return errno == ENOENT ? ERR_CORRUPT : ERR_IO;
	}
	ssize_t n = pread(key->fd, file, sizeof file, 0);
	bool is =
	    n == (ssize_t)sizeof file && memcmp(file, magic, sizeof magic) == 0;

	if (is)
		memcpy(key->places, file + sizeof magic, 2 * PERSON_KEY_BYTES);
	else
		log_error("person_key", "%s is damaged", key->path);
	sodium_memzero(file, sizeof file);
	return is ? 0 : ERR_CORRUPT;
}

int
person_key_open(struct person_key **out, const char *folder, bool create,
    bool volatile_)
{
	struct person_key *key = calloc(1, sizeof *key);

	if (key == NULL)
		return ERR_NOMEM;
	key->fd = -1;
	key->volatile_ = volatile_;
	pthread_mutex_init(&key->lock, NULL);
	key->places = sodium_malloc((size_t)2 * PERSON_KEY_BYTES);
	int err =
	    key->places != NULL ? join_path(key->path, folder) : ERR_NOMEM;

	if (err == 0 && create)
		err = make_missing(folder, key->path);
	if (err == 0)
		err = read_file(key);
	if (err != 0) {
		person_key_close(key);
		return err;
	}
	*out = key;
	return 0;
}

void
person_key_close(struct person_key *key)
{
	if (key == NULL)
		return;
	if (key->fd >= 0)
		close(key->fd);
	sodium_free(key->places);
	pthread_mutex_destroy(&key->lock);
	free(key);
}

/* --- generations ------------------------------------------------------------ */

int
person_key_settle(struct person_key *key, uint64_t generation)
{
	if (is_empty(key, generation)) {
		log_error("person_key",
		    "%s holds no key for this store: one of the two is of "
		    "another time; restore both from one backup",
		    key->path);
		return ERR_CORRUPT;
	}
	key->generation = generation;
	/* What is in memory says nothing of the file when writing it failed. */
	set_place(key, generation + 1, NULL);
	return store_place(key, generation + 1);
}

int
person_key_root(uint8_t root[32], const struct person_key *key,
    uint64_t generation, const uint8_t tenant_key[32])
{
	static const uint8_t label[] = "leasehold people";
	crypto_generichash_state st;

	if (is_empty(key, generation))
		return ERR_CORRUPT;
	crypto_generichash_init(&st, tenant_key, 32, 32);
	crypto_generichash_update(&st, label, sizeof label);
	crypto_generichash_update(&st, place(key, generation),
	    PERSON_KEY_BYTES);
	crypto_generichash_final(&st, root, 32);
	sodium_memzero(&st, sizeof st);
	return 0;
}

int
person_key_next(struct person_key *key, const uint8_t fresh[PERSON_KEY_BYTES])
{
	set_place(key, key->generation + 1, fresh);
	return store_place(key, key->generation + 1);
}

void
person_key_back(struct person_key *key)
{
	set_place(key, key->generation + 1, NULL);
	(void)store_place(key, key->generation + 1);
}

int
person_key_copy(uint8_t file[PERSON_KEY_FILE_BYTES], struct person_key *key,
    uint64_t generation)
{
	memset(file, 0, PERSON_KEY_FILE_BYTES);
	memcpy(file, magic, sizeof magic);
	pthread_mutex_lock(&key->lock);
	bool is = !is_empty(key, generation);

	memcpy(file + sizeof magic + generation % 2 * PERSON_KEY_BYTES,
	    place(key, generation), PERSON_KEY_BYTES);
	pthread_mutex_unlock(&key->lock);
	return is ? 0 : ERR_BUSY;
}
