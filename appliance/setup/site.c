/* Reading a site's folder, and the request that activates it. */
#include "appliance/setup/certificates.h"
#include "appliance/setup/setup.h"

#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/base/sandbox.h"
#include "shared/base/text.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define SITE_FILE_MAX 4096
#define PEM_MAX ((size_t)64 << 10)

static const struct record_field site_file_fields[] = {
	R_TEXT(site_file, site, 1, 63, 0, "Id of the site"),
	R_TEXT(site_file, name, 1, 127, 0, "Name for people"),
	R_U32(site_file, format, 1, UINT32_MAX, 0, "Format of the folder"),
	R_TIME(site_file, created_at, 0, "When it was made"),
};
RECORD_DEFINE(site_file, 1, "What a site is");

int
setup_path(char out[SETUP_PATH_MAX], const char *state, const char *name)
{
	int len = snprintf(out, SETUP_PATH_MAX, "%s/%s", state, name);

	if (len > 0 && len < SETUP_PATH_MAX)
		return 0;
	log_error("setup", "the path of the site's folder is too long: %s",
	    state);
	return ERR_TOO_LARGE;
}

static int
parse_site(struct site_file *site, const char *path, const uint8_t *data,
    size_t len)
{
	struct record_error error = { 0 };
	struct arena arena = { 0 };
	int rc = record_read_json(site, &site_file_record, (const char *)data,
	    len, &arena, &error);

	arena_release(&arena);
	if (rc != 0) {
		log_error("setup", "%s is damaged: %s %s", path, error.field,
		    error.reason);
		return ERR_CORRUPT;
	}
	if (site->format == SETUP_FORMAT)
		return 0;
	log_error("setup",
	    "%s has format %u and this program knows only %d: install the "
	    "release that made it, or a later one",
	    path, site->format, SETUP_FORMAT);
	return ERR_CORRUPT;
}

int
setup_read(struct site_file *site, const char *state)
{
	char path[SETUP_PATH_MAX];
	uint8_t *data = NULL;
	size_t len;
	int rc = setup_path(path, state, "site.json");

	if (rc != 0)
		return rc;
	rc = file_read(&data, &len, path, SITE_FILE_MAX);
	if (rc == ERR_NOT_FOUND) {
		log_error("setup",
		    "there is no site in %s; make one with: leaseholdd init "
		    "--state %s --name NAME --host HOST",
		    state, state);
		return rc;
	}
	if (rc != 0) {
		log_error("setup", "cannot read %s: %s", path,
		    rc == ERR_IO ? strerror(errno) : err_str(rc));
		return rc;
	}
	rc = parse_site(site, path, data, len);
	free(data);
	return rc;
}

int
setup_witness_path(char out[SETUP_PATH_MAX], const char *state,
    const char *chosen)
{
	bool ours = chosen == NULL || chosen[0] == '\0';
	size_t len = strlen(state);

	while (len > 1 && state[len - 1] == '/')
		len--;
	int n = ours
	    ? snprintf(out, SETUP_PATH_MAX, "%.*s.witness", (int)len, state)
	    : snprintf(out, SETUP_PATH_MAX, "%s", chosen);

	if (n > 0 && n < SETUP_PATH_MAX)
		return 0;
	log_error("setup", "the path of the witness is too long");
	return ERR_TOO_LARGE;
}

int
setup_witness_folder(const char *path, uid_t uid, gid_t gid)
{
	if (mkdir(path, 0700) != 0) {
		if (errno == EEXIST)
			return 0;
		log_error("setup", "cannot make %s: %s", path, strerror(errno));
		return errno == EACCES || errno == EPERM ? ERR_FORBIDDEN
							 : ERR_IO;
	}
	if (uid != (uid_t)-1 && chown(path, uid, gid) != 0) {
		log_error("setup", "cannot give %s away: %s", path,
		    strerror(errno));
		rmdir(path);
		return ERR_FORBIDDEN;
	}
	return 0;
}

int
setup_become_owner(const char *state, const char *name)
{
	char path[SETUP_PATH_MAX];
	struct stat st;
	int rc = setup_path(path, state, name);

	if (rc != 0 || geteuid() != 0 || lstat(path, &st) != 0 ||
	    !S_ISDIR(st.st_mode) || st.st_uid == 0)
		return rc;
	return sandbox_drop_user(st.st_uid, st.st_gid, 0);
}

int
setup_site_key(uint8_t secret[TOKEN_SECRET_BYTES], const char *state)
{
	char path[SETUP_PATH_MAX];
	int rc = setup_path(path, state, "keys/site.key");

	if (rc != 0)
		return rc;
	rc = token_key_read(secret, path);
	if (rc == ERR_NOT_FOUND && setup_site_key_is_sealed(state)) {
		log_error("setup",
		    "the site key is sealed to a TPM: say which in "
		    "leaseholdd.ini, [site] tpm=; a request for a vendor comes "
		    "from the running site: leasehold site request");
		return ERR_MISMATCH;
	}
	if (rc == ERR_FORBIDDEN)
		log_error("setup",
		    "others may read the site key; type: chmod 600 %s", path);
	else if (rc != 0)
		log_error("setup", "cannot read the site key %s: %s", path,
		    err_str(rc));
	return rc;
}

static int
check_key_mode(const char *path)
{
	struct stat st;

	if (stat(path, &st) != 0) {
		log_error("setup", "cannot read the key %s: %s", path,
		    strerror(errno));
		return errno == ENOENT ? ERR_NOT_FOUND : ERR_IO;
	}
	if ((st.st_mode & 077) == 0)
		return 0;
	log_error("setup", "others may read a key; type: chmod 600 %s", path);
	return ERR_FORBIDDEN;
}

int
setup_key(uint8_t key[SETUP_KEY_BYTES], const char *state, const char *name)
{
	char path[SETUP_PATH_MAX], file[96];
	uint8_t *data = NULL;
	size_t len = 0, got = 0;

	snprintf(file, sizeof(file), "keys/%s.key", name);
	int rc = setup_path(path, state, file);

	if (rc != 0 || (rc = check_key_mode(path)) != 0)
		return rc;
	rc = file_read(&data, &len, path, 256);
	if (rc != 0) {
		log_error("setup", "cannot read the key %s: %s", path,
		    err_str(rc));
		return rc;
	}
	size_t digits = len > 0 && data[len - 1] == '\n' ? len - 1 : len;

	rc = text_from_hex(key, SETUP_KEY_BYTES, &got, (const char *)data,
	    digits);
	sodium_memzero(data, len);
	free(data);
	if (rc == 0 && got == SETUP_KEY_BYTES)
		return 0;
	sodium_memzero(key, SETUP_KEY_BYTES);
	log_error("setup", "the key %s is damaged", path);
	return ERR_CORRUPT;
}

int
setup_ca_digest(uint8_t sha256[32], const char *state)
{
	char path[SETUP_PATH_MAX];
	uint8_t *pem = NULL;
	size_t len;
	int rc = setup_path(path, state, "tls/ca.pem");

	if (rc != 0)
		return rc;
	rc = file_read(&pem, &len, path, PEM_MAX);
	if (rc == 0)
		rc = certificate_digest(sha256, pem, len);
	free(pem);
	if (rc != 0)
		log_error("setup", "cannot read the site's CA %s: %s", path,
		    err_str(rc));
	return rc;
}

/* Until the site has run its TPM counts for nothing, and no key is told. */
static void
fill_attestation(struct license_request *request, struct identity *identity)
{
	uint8_t key[PROOF_KEY_MAX];

	static_assert(LICENSE_ATTESTATION_BYTES == PROOF_KEY_BYTES_TPM,
	    "a key of class tpm");
	if (identity_class(identity) == PROOF_TPM &&
	    identity_public(key, identity) == PROOF_KEY_BYTES_TPM)
		memcpy(request->attestation, key, sizeof(request->attestation));
}

int
setup_request_sign(struct buf *token, const struct site_file *site,
    const char *tenant, int64_t now_ms,
    const uint8_t secret[TOKEN_SECRET_BYTES], struct identity *identity,
    const struct succession *succession)
{
	struct license_request request = { .created_at = now_ms,
		.succession = succession->steps };

	text_copy(request.site, sizeof(request.site), site->site);
	text_copy(request.name, sizeof(request.name), site->name);
	text_copy(request.tenant, sizeof(request.tenant), tenant);
	text_copy(request.key_class, sizeof(request.key_class),
	    identity != NULL ? "tpm" : "file");
	if (identity != NULL)
		fill_attestation(&request, identity);
	text_copy(request.software, sizeof(request.software),
	    "leaseholdd " LEASEHOLD_VERSION);
	/* libsodium keeps the public half behind the seed. */
	memcpy(request.site_key, secret + 32, TOKEN_PUBLIC_BYTES);
	return license_document_sign(token, &license_request_record, &request,
	    TOKEN_REQUEST, secret);
}

int
setup_request(struct buf *token, const char *state)
{
	struct site_file site;
	struct site_keys keys;
	struct succession succession;
	struct arena arena = { 0 };
	int rc = setup_read(&site, state);

	if (rc != 0)
		return rc;
	uint8_t *secret = sodium_malloc(TOKEN_SECRET_BYTES);

	if (secret == NULL)
		return ERR_NOMEM;
	rc = setup_site_key(secret, state);
	if (rc == 0)
		rc = setup_succession(&keys, &succession, &arena, state,
		    site.site, secret + 32);
	if (rc == 0)
		rc = setup_request_sign(token, &site, SETUP_TENANT,
		    clock_wall_ms(), secret, NULL, &succession);
	arena_release(&arena);
	sodium_free(secret);
	return rc;
}

/* The children of a daemon that was killed a moment ago hold the lock until
 * they have ended too: wait a little before calling it another daemon. */
static bool
lock_soon(int fd)
{
	const struct timespec pause = { .tv_nsec = 20000000 };

	for (int tries = 0; tries < 100; tries++) {
		if (flock(fd, LOCK_EX | LOCK_NB) == 0)
			return true;
		nanosleep(&pause, NULL);
	}
	return false;
}

int
setup_lock(int *out, const char *state)
{
	char path[SETUP_PATH_MAX], pid[24] = "";
	int rc = setup_path(path, state, "lock");

	if (rc != 0)
		return rc;
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0) {
		log_error("setup", "cannot open %s: %s", path, strerror(errno));
		return ERR_IO;
	}
	if (!lock_soon(fd)) {
		ssize_t len = read(fd, pid, sizeof(pid) - 1);

		pid[len > 0 ? len : 0] = '\0';
		pid[strspn(pid, "0123456789")] = '\0';
		log_error("setup",
		    "another leaseholdd (pid %s) runs this site: %s; stop it "
		    "first, or name another --state",
		    pid[0] != '\0' ? pid : "unknown", state);
		close(fd);
		return ERR_BUSY;
	}
	snprintf(pid, sizeof(pid), "%ld\n", (long)getpid());
	if (ftruncate(fd, 0) != 0 ||
	    write(fd, pid, strlen(pid)) != (ssize_t)strlen(pid))
		log_warn("setup", "cannot note the pid in %s: %s", path,
		    strerror(errno));
	*out = fd;
	return 0;
}
