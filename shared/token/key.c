/* Keys as PASERK text, their ids and their files; see token.h. */
#include "shared/token/token.h"

#include "shared/base/err.h"
#include "shared/base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PUBLIC_PREFIX "k4.public."
#define SECRET_PREFIX "k4.secret."
#define KID_PREFIX "k4.pid."

/* PASERK ids: BLAKE2b with 33 bytes, so that base64 needs no padding. */
#define KID_HASH_BYTES 33

/* "k4.secret." and 86 characters, without the NUL. */
#define SECRET_TEXT_LEN \
	(sizeof(SECRET_PREFIX) - 1 + TEXT_BASE64_SIZE(TOKEN_SECRET_BYTES) - 1)

_Static_assert(TOKEN_PUBLIC_TEXT ==
	sizeof(PUBLIC_PREFIX) - 1 + TEXT_BASE64_SIZE(TOKEN_PUBLIC_BYTES),
    "PASERK k4.public");
_Static_assert(TOKEN_KID_TEXT ==
	sizeof(KID_PREFIX) - 1 + TEXT_BASE64_SIZE(KID_HASH_BYTES),
    "PASERK k4.pid");

void
token_public_format(char out[TOKEN_PUBLIC_TEXT],
    const uint8_t public_key[TOKEN_PUBLIC_BYTES])
{
	memcpy(out, PUBLIC_PREFIX, sizeof(PUBLIC_PREFIX) - 1);
	text_to_base64(out + sizeof(PUBLIC_PREFIX) - 1, public_key,
	    TOKEN_PUBLIC_BYTES);
}

int
token_public_parse(uint8_t public_key[TOKEN_PUBLIC_BYTES], const char *text)
{
	size_t len;

	if (strlen(text) != TOKEN_PUBLIC_TEXT - 1 ||
	    memcmp(text, PUBLIC_PREFIX, sizeof(PUBLIC_PREFIX) - 1) != 0)
		return ERR_BAD_REQUEST;
	return text_from_base64(public_key, TOKEN_PUBLIC_BYTES, &len,
	    text + sizeof(PUBLIC_PREFIX) - 1,
	    TOKEN_PUBLIC_TEXT - sizeof(PUBLIC_PREFIX));
}

void
token_key_id(char kid[TOKEN_KID_TEXT],
    const uint8_t public_key[TOKEN_PUBLIC_BYTES])
{
	char text[sizeof(KID_PREFIX) - 1 + TOKEN_PUBLIC_TEXT];
	uint8_t hash[KID_HASH_BYTES];

	/* PASERK, operations/ID: H("k4.pid." || paserk). */
	memcpy(text, KID_PREFIX, sizeof(KID_PREFIX) - 1);
	token_public_format(text + sizeof(KID_PREFIX) - 1, public_key);
	crypto_generichash(hash, sizeof(hash), (const uint8_t *)text,
	    sizeof(text) - 1, NULL, 0);
	memcpy(kid, KID_PREFIX, sizeof(KID_PREFIX) - 1);
	text_to_base64(kid + sizeof(KID_PREFIX) - 1, hash, sizeof(hash));
}

/* --- key files ------------------------------------------------------------ */

static int
system_error(void)
{
	switch (errno) {
	case ENOSPC:
	case EDQUOT:
		return ERR_FULL;
	case EEXIST:
		return ERR_CONFLICT;
	case ENOENT:
	case ENOTDIR:
		return ERR_NOT_FOUND;
	case EACCES:
	case EPERM:
		return ERR_FORBIDDEN;
	default:
		return ERR_IO;
	}
}

static int
write_synced(int fd, const char *text, size_t len)
{
	ssize_t n = write(fd, text, len);

	if (n >= 0 && (size_t)n != len) {
		/* A short write of a hundred bytes: no room for the rest. */
		errno = ENOSPC;
		return ERR_FULL;
	}
	if (n < 0 || fsync(fd) != 0)
		return system_error();
	return 0;
}

/* The new name is on the disk only after its folder is. */
static int
sync_folder(const char *path)
{
	char folder[PATH_MAX];
	const char *slash = strrchr(path, '/');

	if (slash == NULL)
		text_copy(folder, sizeof(folder), ".");
	else if (!text_copy_n(folder, sizeof(folder), path,
		     (size_t)(slash - path) + 1))
		return ERR_IO;
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return system_error();
	int err = fsync(fd) == 0 ? 0 : system_error();

	close(fd);
	return err;
}

/* Under a temporary name first, so that a crash leaves no half key; the last
 * step does not replace what is there. */
static int
write_new_file(const char *path, const char *text, size_t len)
{
	char temporary[PATH_MAX];
	int n = snprintf(temporary, sizeof(temporary), "%s.XXXXXX", path);

	if (n < 0 || (size_t)n >= sizeof(temporary)) {
		errno = ENAMETOOLONG;
		return ERR_IO;
	}
	int fd = mkostemp(temporary, O_CLOEXEC); /* mode 0600 */

	if (fd < 0)
		return system_error();
	int err = write_synced(fd, text, len);

	close(fd);
	if (err == 0 &&
	    renameat2(AT_FDCWD, temporary, AT_FDCWD, path, RENAME_NOREPLACE) !=
		0)
		err = system_error();
	if (err != 0) {
		int saved = errno;

		unlink(temporary);
		errno = saved;
		return err;
	}
	return sync_folder(path);
}

int
token_key_create(uint8_t secret[TOKEN_SECRET_BYTES], const char *path)
{
	uint8_t public_key[TOKEN_PUBLIC_BYTES];
	char text[SECRET_TEXT_LEN + 2];

	crypto_sign_keypair(public_key, secret);
	memcpy(text, SECRET_PREFIX, sizeof(SECRET_PREFIX) - 1);
	text_to_base64(text + sizeof(SECRET_PREFIX) - 1, secret,
	    TOKEN_SECRET_BYTES);
	text[SECRET_TEXT_LEN] = '\n';
	int err = write_new_file(path, text, SECRET_TEXT_LEN + 1);

	sodium_memzero(text, sizeof(text));
	if (err != 0)
		sodium_memzero(secret, TOKEN_SECRET_BYTES);
	return err;
}

static int
secret_parse(uint8_t secret[TOKEN_SECRET_BYTES], const char *text, size_t len)
{
	uint8_t *pair;
	size_t n;
	int err = ERR_CORRUPT;

	if (len == SECRET_TEXT_LEN + 1 && text[len - 1] == '\n')
		len--;
	if (len != SECRET_TEXT_LEN ||
	    memcmp(text, SECRET_PREFIX, sizeof(SECRET_PREFIX) - 1) != 0 ||
	    text_from_base64(secret, TOKEN_SECRET_BYTES, &n,
		text + sizeof(SECRET_PREFIX) - 1,
		len - sizeof(SECRET_PREFIX) + 1) != 0 ||
	    n != TOKEN_SECRET_BYTES)
		return ERR_CORRUPT;
	/* Signing with a foreign public half gives the key away: derive the
	 * pair from the seed again and compare. */
	pair = sodium_malloc(TOKEN_SECRET_BYTES);
	if (pair == NULL)
		return ERR_NOMEM;
	uint8_t public_key[TOKEN_PUBLIC_BYTES];

	crypto_sign_seed_keypair(public_key, pair, secret);
	if (sodium_memcmp(pair, secret, TOKEN_SECRET_BYTES) == 0)
		err = 0;
	sodium_free(pair);
	return err;
}

int
token_key_read(uint8_t secret[TOKEN_SECRET_BYTES], const char *path)
{
	char text[SECRET_TEXT_LEN + 3];
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	int err;

	if (fd < 0)
		return system_error();
	if (fstat(fd, &st) != 0) {
		err = system_error();
	} else if (!S_ISREG(st.st_mode)) {
		err = ERR_CORRUPT;
	} else if ((st.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
		err = ERR_FORBIDDEN;
	} else {
		/* One byte more than the longest: then it is too long. */
		ssize_t n = read(fd, text, sizeof(text));

		err = n < 0 ? system_error()
			    : secret_parse(secret, text, (size_t)n);
		sodium_memzero(text, sizeof(text));
	}
	close(fd);
	if (err != 0)
		sodium_memzero(secret, TOKEN_SECRET_BYTES);
	return err;
}
