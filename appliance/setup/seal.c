/*
 * The site key where the box has a TPM: sealed, so that a copy of the disk is
 * worth nothing in another box. The way there loses the key at no step: the
 * sealed one is written, synced, read again and opened before the old file is
 * overwritten and removed, and as long as both are there either is enough.
 */
#include "appliance/setup/setup.h"

#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PLAIN_FILE "keys/site.key"
#define SEALED_FILE "keys/site.key.sealed"
#define SEALED_FILE_MAX 8192
#define SEALED_BLOB_MAX 4096
#define SEALED_FORMAT 1

struct sealed_key {
	uint32_t format;
	uint8_t site_key[TOKEN_PUBLIC_BYTES]; /* the public half */
	uint32_t pcrs;
	struct record_span blob;
};
static const struct record_field sealed_key_fields[] = {
	R_U32(sealed_key, format, 1, UINT32_MAX, 0, "Format of the file"),
	R_FIXED(sealed_key, site_key, 0, "The site's public key"),
	R_U32(sealed_key, pcrs, 0, UINT32_MAX, 0, "Mask of the PCRs it is to"),
	R_BLOB(sealed_key, blob, 1, SEALED_BLOB_MAX, 0, "What the TPM opens"),
};
static RECORD_DEFINE(sealed_key, 1, "A site key that is sealed to a TPM");

/* A site's key on its way from or into a TPM. */
struct sealing {
	struct identity *identity;
	uint32_t pcrs;
	uint8_t *secret; /* the caller's */
	uint8_t *opened; /* guarded: TOKEN_SECRET_BYTES and no less */
	struct arena arena;
	char plain[SETUP_PATH_MAX];
	char sealed[SETUP_PATH_MAX];
};

/* --- the sealed file ------------------------------------------------------ */

static int
read_sealed(struct sealed_key *key, struct sealing *s)
{
	uint8_t *data = NULL;
	size_t len;
	int rc = file_read(&data, &len, s->sealed, SEALED_FILE_MAX);

	if (rc == ERR_NOT_FOUND)
		return rc;
	if (rc == 0)
		rc = record_read_json(key, &sealed_key_record,
		    (const char *)data, len, &s->arena, NULL);
	free(data);
	if (rc == 0 && key->format == SEALED_FORMAT)
		return 0;
	log_error("setup", "the sealed site key %s cannot be read: %s",
	    s->sealed,
	    rc == 0 ? "a later release made it" : err_str(ERR_CORRUPT));
	return rc == ERR_NOMEM || rc == ERR_IO ? rc : ERR_CORRUPT;
}

/* Into s->opened. */
static int
open_sealed(struct sealing *s, const struct sealed_key *key)
{
	uint8_t seed_public[TOKEN_PUBLIC_BYTES];
	size_t len = 0;
	int rc = identity_unseal(s->opened, &len, s->identity, key->blob.data,
	    key->blob.len);

	if (rc != 0)
		return rc;
	if (len == TOKEN_SECRET_BYTES) {
		crypto_sign_ed25519_sk_to_pk(seed_public, s->opened);
		if (memcmp(seed_public, key->site_key, sizeof(seed_public)) ==
		    0)
			return 0;
	}
	sodium_memzero(s->opened, TOKEN_SECRET_BYTES);
	log_error("setup", "%s holds another key than it says", s->sealed);
	return ERR_CORRUPT;
}

static int
write_sealed(struct sealing *s, const struct buf *blob)
{
	struct sealed_key key = {
		.format = SEALED_FORMAT,
		.pcrs = s->pcrs,
		.blob = { blob->data, (uint32_t)blob->len },
	};
	struct buf text = { 0 };

	crypto_sign_ed25519_sk_to_pk(key.site_key, s->secret);
	record_write_json_pretty(&text, &sealed_key_record, &key);
	buf_add_byte(&text, '\n');
	int rc = text.failed ? ERR_NOMEM
			     : file_write(s->sealed, text.data, text.len, 0600);

	buf_release(&text);
	if (rc != 0)
		log_error("setup", "cannot write %s: %s", s->sealed,
		    rc == ERR_IO ? strerror(errno) : err_str(rc));
	return rc;
}

/* Seals s->secret; what is on the disk then opens to it. */
static int
seal(struct sealing *s)
{
	struct buf blob = { .max = SEALED_BLOB_MAX };
	struct sealed_key key;
	int rc = identity_seal(&blob, s->identity, s->secret,
	    TOKEN_SECRET_BYTES, s->pcrs);

	if (rc == 0)
		rc = write_sealed(s, &blob);
	buf_release(&blob);
	if (rc == 0)
		rc = read_sealed(&key, s);
	if (rc == 0)
		rc = open_sealed(s, &key);
	if (rc == 0 &&
	    sodium_memcmp(s->opened, s->secret, TOKEN_SECRET_BYTES) != 0)
		rc = ERR_CORRUPT;
	if (rc != 0)
		log_error("setup",
		    "the site key could not be sealed to the TPM: %s",
		    err_str(rc));
	return rc;
}

/* --- the plain file ------------------------------------------------------- */

static int
sync_folder(const char *path)
{
	char folder[SETUP_PATH_MAX];

	text_copy(folder, sizeof(folder), path);
	*strrchr(folder, '/') = '\0';
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return ERR_IO;
	int rc = fsync(fd) == 0 ? 0 : ERR_IO;

	close(fd);
	return rc;
}

static int
overwrite(int fd, size_t len, bool random)
{
	uint8_t bytes[256];

	for (size_t at = 0; at < len; at += sizeof(bytes)) {
		size_t n = len - at < sizeof(bytes) ? len - at : sizeof(bytes);

		if (random)
			randombytes_buf(bytes, n);
		else
			memset(bytes, 0, n);
		if (pwrite(fd, bytes, n, (off_t)at) != (ssize_t)n)
			return ERR_IO;
	}
	return fsync(fd) == 0 ? 0 : ERR_IO;
}

/* What the file system, or the disk below it, moves elsewhere when it writes
 * stays there; see leaseholdd.ini(5). */
static int
wipe_plain(const struct sealing *s)
{
	struct stat st;
	int fd = open(s->plain, O_WRONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY);
	int rc = 0;

	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) ||
	    st.st_size > SEALED_FILE_MAX)
		rc = ERR_IO;
	if (rc == 0)
		rc = overwrite(fd, (size_t)st.st_size, true);
	if (rc == 0)
		rc = overwrite(fd, (size_t)st.st_size, false);
	if (fd >= 0)
		close(fd);
	if (rc == 0 && (unlink(s->plain) != 0 || sync_folder(s->plain) != 0))
		rc = ERR_IO;
	if (rc != 0)
		log_error("setup",
		    "the site key is sealed, and its old file %s cannot be "
		    "wiped: %s",
		    s->plain, strerror(errno));
	else
		log_info("setup",
		    "the site key is sealed to the TPM; its old file was "
		    "overwritten and removed");
	return rc;
}

/* --- the whole ------------------------------------------------------------ */

static int
say_locked(const struct sealing *s, int rc)
{
	log_error("setup",
	    "the site key %s does not open in this box. It opens only with the "
	    "TPM that it was sealed with%s. To go on in another box, restore "
	    "a backup with the site's recovery key (man leasehold-disaster), "
	    "or put the copy of keys/site.key that was kept in a safe in its "
	    "place, and "
	    "remove keys/site.key.sealed and keys/tpm; if none was kept, make "
	    "a new site (leaseholdd init) and ask the vendors to move its "
	    "licenses",
	    s->sealed,
	    rc == ERR_FORBIDDEN ? ", and while the machine is started as it "
				  "was then (its PCRs)"
				: "");
	return rc;
}

/* It was opened; whatever is left of the plain one goes. */
static int
take_opened(struct sealing *s, uint32_t pcrs, int plain)
{
	int rc = 0;

	if (plain == 0 &&
	    sodium_memcmp(s->opened, s->secret, TOKEN_SECRET_BYTES) != 0) {
		log_error("setup",
		    "%s and %s are two keys: one of them is another site's; "
		    "move the wrong one away",
		    s->plain, s->sealed);
		return ERR_CONFLICT;
	}
	memcpy(s->secret, s->opened, TOKEN_SECRET_BYTES);
	if (pcrs != s->pcrs)
		rc = seal(s);
	return rc == 0 && plain != ERR_NOT_FOUND ? wipe_plain(s) : rc;
}

static int
with_tpm(struct sealing *s)
{
	struct sealed_key key;
	int plain = token_key_read(s->secret, s->plain);
	int sealed = read_sealed(&key, s);
	int rc = sealed;

	if (sealed == 0) {
		rc = open_sealed(s, &key);
		if (rc == 0)
			return take_opened(s, key.pcrs, plain);
		if (plain != 0)
			return rc == ERR_UNAVAILABLE || rc == ERR_BUSY
			    ? rc
			    : say_locked(s, rc);
	}
	if (plain != 0) {
		log_error("setup", "cannot read the site key %s: %s", s->plain,
		    err_str(plain));
		return plain == ERR_NOT_FOUND && rc != ERR_NOT_FOUND ? rc
								     : plain;
	}
	rc = seal(s);
	return rc == 0 ? wipe_plain(s) : rc;
}

int
setup_site_key_in_tpm(uint8_t secret[TOKEN_SECRET_BYTES], const char *state,
    struct identity *identity, uint32_t pcrs)
{
	struct sealing s = { .identity = identity,
		.pcrs = pcrs,
		.secret = secret };
	int rc = setup_path(s.plain, state, PLAIN_FILE);

	if (rc == 0)
		rc = setup_path(s.sealed, state, SEALED_FILE);
	if (rc != 0)
		return rc;
	_Static_assert(TOKEN_SECRET_BYTES == IDENTITY_SEAL_MAX,
	    "what is unsealed has room");
	s.opened = sodium_malloc(IDENTITY_SEAL_MAX);
	rc = s.opened == NULL ? ERR_NOMEM : with_tpm(&s);
	sodium_free(s.opened);
	arena_release(&s.arena);
	if (rc != 0)
		sodium_memzero(secret, TOKEN_SECRET_BYTES);
	return rc;
}

bool
setup_site_key_is_sealed(const char *state)
{
	char path[SETUP_PATH_MAX];

	return setup_path(path, state, SEALED_FILE) == 0 &&
	    access(path, F_OK) == 0;
}
