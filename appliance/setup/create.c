/*
 * Making a site. Everything is made in STATE.new, which this process holds a
 * lock on, and renamed at the end: a crash leaves either no site or a whole
 * one, and the next attempt clears what was left.
 */
#include "appliance/ledger/ledger.h"
#include "appliance/ledger/system.h"
#include "appliance/setup/certificates.h"
#include "appliance/setup/setup.h"

#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/base/sandbox.h"
#include "shared/base/text.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

struct making {
	const struct setup_options *options;
	char folder[SETUP_PATH_MAX]; /* STATE.new */
	int lock; /* on that folder */
	uint8_t *secret; /* site key, guarded */
	uint8_t *key; /* of the tenant or system, guarded */
	struct site_file site;
};

static int
io_failed(const char *verb, const char *path)
{
	int rc = errno == ENOSPC || errno == EDQUOT ? ERR_FULL
	    : errno == ENOMEM                       ? ERR_NOMEM
						    : ERR_IO;

	log_error("setup", "cannot %s %s: %s", verb, path, strerror(errno));
	return rc;
}

static int
make_folder(const struct making *making, const char *name, unsigned int mode)
{
	char path[SETUP_PATH_MAX];
	int rc = setup_path(path, making->folder, name);

	if (rc != 0)
		return rc;
	/* chmod, because the umask is not ours to trust. */
	if (mkdir(path, 0700) != 0 || chmod(path, mode) != 0)
		return io_failed("make", path);
	return 0;
}

static int
write_file(const struct making *making, const char *name, const void *data,
    size_t len, unsigned int mode)
{
	char path[SETUP_PATH_MAX];
	int rc = setup_path(path, making->folder, name);

	if (rc == 0 && file_write(path, data, len, mode) != 0)
		rc = io_failed("write", path);
	return rc;
}

/* --- the folder ---------------------------------------------------------- */

static int
remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path) == 0 || errno == ENOENT ? 0 : -1;
}

static int
remove_tree(const char *path)
{
	if (nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS) == 0 ||
	    errno == ENOENT)
		return 0;
	return io_failed("clear", path);
}

/* No folder, or an empty one (a package's or systemd's): may be a site. */
static int
check_vacant(const char *state)
{
	DIR *dir = opendir(state);
	struct dirent *entry;
	bool vacant = true;

	if (dir == NULL)
		return errno == ENOENT ? 0 : io_failed("look into", state);
	while (vacant && (entry = readdir(dir)) != NULL)
		vacant = strcmp(entry->d_name, ".") == 0 ||
		    strcmp(entry->d_name, "..") == 0;
	closedir(dir);
	if (vacant)
		return 0;
	log_error("setup",
	    "%s is there already: nothing was changed; name another --state, "
	    "or move it away",
	    state);
	return ERR_CONFLICT;
}

static int
lock_folder(struct making *making)
{
	making->lock = open(making->folder,
	    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (making->lock < 0)
		return io_failed("open", making->folder);
	if (flock(making->lock, LOCK_EX | LOCK_NB) == 0)
		return 0;
	log_error("setup", "another init is at work in %s", making->folder);
	return ERR_BUSY;
}

/* STATE.new, empty and locked by us. A leftover is cleared only when nobody
 * holds its lock. */
static int
open_folder(struct making *making)
{
	if (mkdir(making->folder, 0700) != 0) {
		if (errno != EEXIST)
			return io_failed("make", making->folder);
		int rc = lock_folder(making);

		if (rc == 0)
			rc = remove_tree(making->folder);
		if (rc != 0)
			return rc;
		close(making->lock);
		making->lock = -1;
		if (mkdir(making->folder, 0700) != 0)
			return io_failed("make", making->folder);
	}
	return lock_folder(making);
}

static int
make_folders(const struct making *making)
{
	static const struct {
		const char *name;
		unsigned int mode;
	} folders[] = {
		{ "keys", 0700 },
		{ "tls", 0755 },
		{ "system", 0700 },
		{ "tenants", 0700 },
		{ "tenants/" SETUP_TENANT, 0700 },
		{ "tenants/" SETUP_TENANT "/ledger", 0700 },
		{ "empty", 0555 },
	};

	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
		int rc = make_folder(making, folders[i].name, folders[i].mode);

		if (rc != 0)
			return rc;
	}
	return 0;
}

/* --- what goes into it --------------------------------------------------- */

static int
make_site_key(struct making *making)
{
	static const char alphabet[] = "0123456789abcdefghjkmnpqrstvwxyz";
	char path[SETUP_PATH_MAX];
	uint8_t hash[32];
	int rc = setup_path(path, making->folder, "keys/site.key");

	if (rc == 0 && (rc = token_key_create(making->secret, path)) != 0)
		log_error("setup", "cannot make the site key %s: %s", path,
		    err_str(rc));
	if (rc != 0)
		return rc;
	crypto_generichash(hash, sizeof(hash), making->secret + 32,
	    TOKEN_PUBLIC_BYTES, NULL, 0);
	struct site_file *site = &making->site;

	text_copy(site->site, sizeof(site->site), "site-");
	for (size_t i = 0; i < 13; i++) {
		size_t bit = i * 5;
		unsigned int pair =
		    (unsigned int)hash[bit / 8] << 8 | hash[bit / 8 + 1];

		site->site[5 + i] = alphabet[(pair >> (11 - bit % 8)) & 31];
	}
	site->format = SETUP_FORMAT;
	site->created_at = clock_wall_ms();
	if (text_copy(site->name, sizeof(site->name), making->options->name) &&
	    site->name[0] != '\0' &&
	    text_is_printable(site->name, strlen(site->name)))
		return 0;
	log_error("setup", "a site's name is 1 to 127 printable characters");
	return ERR_BAD_REQUEST;
}

/* A random key into making->key and keys/NAME.key. */
static int
make_key(const struct making *making, const char *name)
{
	char *text = sodium_malloc(2 * SETUP_KEY_BYTES + 2);
	char file[96];

	if (text == NULL)
		return ERR_NOMEM;
	randombytes_buf(making->key, SETUP_KEY_BYTES);
	text_to_hex(text, making->key, SETUP_KEY_BYTES);
	text[2 * SETUP_KEY_BYTES] = '\n';
	text[2 * SETUP_KEY_BYTES + 1] = '\0';
	snprintf(file, sizeof(file), "keys/%s.key", name);
	int rc = write_file(making, file, text, strlen(text), 0600);

	sodium_free(text);
	return rc;
}

static int
write_pem(const struct making *making, const char *name, struct buf *pem,
    unsigned int mode)
{
	int rc = pem->failed
	    ? ERR_NOMEM
	    : write_file(making, name, pem->data, pem->len, mode);

	if (pem->data != NULL)
		sodium_memzero(pem->data, pem->size);
	buf_release(pem);
	return rc;
}

static int
write_certificate(const struct making *making, const char *name,
    const struct certificate *certificate, const struct certificate *ca)
{
	char cert_name[64], key_name[64];
	struct buf pem = { 0 };

	snprintf(cert_name, sizeof(cert_name), "tls/%s.pem", name);
	snprintf(key_name, sizeof(key_name), "tls/%s.key", name);
	int rc = certificate_write(&pem, certificate);

	if (rc == 0 && ca != NULL)
		rc = certificate_write(&pem, ca);
	if (rc == 0)
		rc = write_pem(making, cert_name, &pem, 0644);
	if (rc == 0)
		rc = certificate_write_key(&pem, certificate);
	if (rc == 0)
		rc = write_pem(making, key_name, &pem, 0600);
	buf_release(&pem);
	return rc;
}

static int
make_certificates(const struct making *making)
{
	struct certificate ca = { 0 }, server = { 0 };
	int rc = certificate_make_ca(&ca, making->site.site, making->site.name);

	if (rc == 0)
		rc = certificate_make_server(&server, &ca,
		    making->options->hosts);
	if (rc == 0)
		rc = write_certificate(making, "ca", &ca, NULL);
	if (rc == 0)
		rc = write_certificate(making, "server", &server, &ca);
	certificate_release(&server);
	certificate_release(&ca);
	return rc;
}

static int
make_system(const struct making *making, char admin_key[96])
{
	char path[SETUP_PATH_MAX];
	struct system_store *system = NULL;
	int rc = make_key(making, "system");

	if (rc == 0)
		rc = setup_path(path, making->folder, "system");
	if (rc == 0)
		rc = system_create(path);
	if (rc == 0)
		rc = system_open(&system, path, making->key);
	if (rc == 0)
		rc = system_tenant_add(system, SETUP_TENANT,
		    making->site.created_at);
	if (rc == 0)
		rc = system_key_add(admin_key, system, SETUP_TENANT,
		    "first admin key", making->site.created_at);
	system_close(system);
	return rc;
}

static int
make_tenant(const struct making *making)
{
	char path[SETUP_PATH_MAX];
	int rc = make_key(making, SETUP_TENANT);

	if (rc == 0)
		rc = setup_path(path, making->folder,
		    "tenants/" SETUP_TENANT "/ledger");
	if (rc != 0)
		return rc;
	struct ledger_options options = {
		.path = path,
		.site = making->site.site,
		.tenant = SETUP_TENANT,
		.site_public = making->secret + 32,
		.site_secret = making->secret,
		.tenant_key = making->key,
	};

	rc = ledger_create(&options, making->site.created_at);
	if (rc != 0)
		log_error("setup", "cannot make the journal in %s: %s", path,
		    err_str(rc));
	return rc;
}

/* Last, because it is what makes a folder a site. */
static int
write_site(const struct making *making)
{
	struct buf text = { 0 };

	record_write_json_pretty(&text, &site_file_record, &making->site);
	buf_add_byte(&text, '\n');
	int rc = text.failed
	    ? ERR_NOMEM
	    : write_file(making, "site.json", text.data, text.len, 0644);

	buf_release(&text);
	return rc;
}

/* --- owners -------------------------------------------------------------- */

struct owner {
	uid_t uid;
	gid_t gid;
	int rc;
};

/* nftw has no context argument: the tree is small, so it is walked by hand. */
static void
give_tree(struct owner *owner, int at, const char *name)
{
	if (owner->rc != 0)
		return;
	if (fchownat(at, name, owner->uid, owner->gid, AT_SYMLINK_NOFOLLOW) !=
	    0) {
		owner->rc = io_failed("give away", name);
		return;
	}
	int fd =
	    openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return; /* a file */
	DIR *dir = fdopendir(fd);
	struct dirent *entry;

	if (dir == NULL) {
		owner->rc = io_failed("look into", name);
		close(fd);
		return;
	}
	while ((entry = readdir(dir)) != NULL)
		if (strcmp(entry->d_name, ".") != 0 &&
		    strcmp(entry->d_name, "..") != 0)
			give_tree(owner, dirfd(dir), entry->d_name);
	closedir(dir);
}

/* Keys and stores belong to the ledger's user; TLS stays root's, whose parent
 * process reads it for the fronts. */
static int
give_away(const struct making *making)
{
	static const char *const mine[] = { "keys", "system", "tenants" };
	struct owner owner = { 0 };

	if (making->options->user == NULL)
		return 0;
	if (sandbox_user_parse(&owner.uid, &owner.gid, making->options->user) !=
	    0) {
		log_error("setup",
		    "there is no user \"%s\"; make one with: useradd "
		    "--system %s",
		    making->options->user, making->options->user);
		return ERR_NOT_FOUND;
	}
	if (geteuid() != 0 && geteuid() != owner.uid) {
		log_error("setup",
		    "only root can make a site for another user (%s)",
		    making->options->user);
		return ERR_FORBIDDEN;
	}
	for (size_t i = 0; i < sizeof(mine) / sizeof(mine[0]); i++)
		give_tree(&owner, making->lock, mine[i]);
	return owner.rc;
}

/* Beside the site's folder; the counter itself begins with the first start. */
static int
make_witness_folder(const struct making *making, const char *state)
{
	uid_t uid = (uid_t)-1;
	gid_t gid = (gid_t)-1;
	char path[SETUP_PATH_MAX];
	int rc = setup_witness_path(path, state, NULL);

	if (rc == 0 && making->options->user != NULL &&
	    sandbox_user_parse(&uid, &gid, making->options->user) != 0)
		rc = ERR_NOT_FOUND;
	return rc == 0 ? setup_witness_folder(path, uid, gid) : rc;
}

/* --- the whole ----------------------------------------------------------- */

static int
fill_folder(struct making *making, char admin_key[96])
{
	int rc = make_folders(making);

	if (rc == 0)
		rc = make_site_key(making);
	if (rc == 0)
		rc = make_certificates(making);
	if (rc == 0)
		rc = make_system(making, admin_key);
	if (rc == 0)
		rc = make_tenant(making);
	if (rc == 0)
		rc = write_site(making);
	if (rc == 0)
		rc = give_away(making);
	return rc;
}

static int
sync_parent(const char *state)
{
	char path[SETUP_PATH_MAX];

	if (!text_copy(path, sizeof(path), state))
		return ERR_TOO_LARGE;
	char *slash = strrchr(path, '/');

	if (slash == NULL)
		text_copy(path, sizeof(path), ".");
	else if (slash == path)
		slash[1] = '\0';
	else
		*slash = '\0';
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int rc = fd >= 0 && fsync(fd) == 0 ? 0 : io_failed("sync", path);

	if (fd >= 0)
		close(fd);
	return rc;
}

/* The rename replaces an empty folder and fails on any other. */
static int
publish(const struct making *making, const char *state)
{
	if (fchmod(making->lock, 0755) != 0 || fsync(making->lock) != 0)
		return io_failed("sync", making->folder);
	if (rename(making->folder, state) != 0) {
		bool taken = errno == ENOTEMPTY || errno == EEXIST;
		int rc = io_failed("make", state);

		return taken ? ERR_CONFLICT : rc;
	}
	return sync_parent(state);
}

static int
make_site(struct making *making, const char *state, char admin_key[96])
{
	int rc = open_folder(making);

	if (rc == 0) {
		rc = fill_folder(making, admin_key);
		if (rc == 0)
			rc = make_witness_folder(making, state);
		if (rc == 0)
			rc = publish(making, state);
		if (rc != 0)
			remove_tree(making->folder);
	}
	if (making->lock >= 0)
		close(making->lock);
	return rc;
}

int
setup_create(char admin_key[96], const struct setup_options *options)
{
	struct making making = { .options = options, .lock = -1 };
	char state[SETUP_PATH_MAX];
	size_t len = strlen(options->state);

	while (len > 1 && options->state[len - 1] == '/')
		len--;
	if (len == 0 || len + sizeof(".new") + 32 > sizeof(state)) {
		log_error("setup", "the state folder's path is %s",
		    len == 0 ? "empty" : "too long");
		return ERR_BAD_REQUEST;
	}
	memcpy(state, options->state, len);
	state[len] = '\0';
	snprintf(making.folder, sizeof(making.folder), "%.*s.new",
	    (int)(sizeof(state) - sizeof(".new") - 1), state);
	int rc = check_vacant(state);

	if (rc != 0)
		return rc;
	making.secret = sodium_malloc(TOKEN_SECRET_BYTES);
	making.key = sodium_malloc(SETUP_KEY_BYTES);
	rc = making.secret != NULL && making.key != NULL
	    ? make_site(&making, state, admin_key)
	    : ERR_NOMEM;
	sodium_free(making.secret);
	sodium_free(making.key);
	if (rc != 0)
		sodium_memzero(admin_key, 96);
	return rc;
}
