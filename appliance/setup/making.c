#include "appliance/setup/making.h"

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

int
making_failed(const char *verb, const char *path)
{
	int rc = errno == ENOSPC || errno == EDQUOT ? ERR_FULL
	    : errno == ENOMEM                       ? ERR_NOMEM
						    : ERR_IO;

	log_error("setup", "cannot %s %s: %s", verb, path, strerror(errno));
	return rc;
}

int
making_add_folder(const struct making *making, const char *name,
    unsigned int mode)
{
	char path[SETUP_PATH_MAX];
	struct stat st;
	int rc = setup_path(path, making->folder, name);

	if (rc != 0)
		return rc;
	if (mkdir(path, 0700) != 0 || stat(path, &st) != 0)
		return making_failed("make", path);
	/* The umask is not ours to trust. A ledger that runs may not chmod, and
	 * makes what is its own alone. */
	if ((st.st_mode & 07777) != mode && chmod(path, mode) != 0)
		return making_failed("make", path);
	return 0;
}

int
making_add_folders(const struct making *making)
{
	static const struct {
		const char *name;
		unsigned int mode;
	} folders[] = {
		{ "keys", 0700 },
		{ "tls", 0755 },
		{ "system", 0700 },
		{ "tenants", 0700 },
		{ "empty", 0555 },
	};

	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
		int rc =
		    making_add_folder(making, folders[i].name, folders[i].mode);

		if (rc != 0)
			return rc;
	}
	return 0;
}

int
making_write(const struct making *making, const char *name, const void *data,
    size_t len, unsigned int mode)
{
	char path[SETUP_PATH_MAX];
	int rc = setup_path(path, making->folder, name);

	if (rc == 0 && file_write(path, data, len, mode) != 0)
		rc = making_failed("write", path);
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

int
making_remove(const char *path)
{
	if (nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS) == 0 ||
	    errno == ENOENT)
		return 0;
	return making_failed("clear", path);
}

/* No folder, or an empty one (a package's or systemd's): may be a site. */
static int
check_vacant(const char *state)
{
	DIR *dir = opendir(state);
	struct dirent *entry;
	bool vacant = true;

	if (dir == NULL)
		return errno == ENOENT ? 0 : making_failed("look into", state);
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
		return making_failed("open", making->folder);
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
			return making_failed("make", making->folder);
		int rc = lock_folder(making);

		if (rc == 0)
			rc = making_remove(making->folder);
		if (rc != 0)
			return rc;
		close(making->lock);
		making->lock = -1;
		if (mkdir(making->folder, 0700) != 0)
			return making_failed("make", making->folder);
	}
	return lock_folder(making);
}

int
making_write_site(const struct making *making)
{
	struct buf text = { 0 };

	record_write_json_pretty(&text, &site_file_record, &making->site);
	buf_add_byte(&text, '\n');
	int rc = text.failed
	    ? ERR_NOMEM
	    : making_write(making, "site.json", text.data, text.len, 0644);

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
		owner->rc = making_failed("give away", name);
		return;
	}
	int fd =
	    openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return; /* a file */
	DIR *dir = fdopendir(fd);
	struct dirent *entry;

	if (dir == NULL) {
		owner->rc = making_failed("look into", name);
		close(fd);
		return;
	}
	while ((entry = readdir(dir)) != NULL)
		if (strcmp(entry->d_name, ".") != 0 &&
		    strcmp(entry->d_name, "..") != 0)
			give_tree(owner, dirfd(dir), entry->d_name);
	closedir(dir);
}

int
making_give(const struct making *making, const char *name, uid_t uid, gid_t gid)
{
	struct owner owner = { .uid = uid, .gid = gid };
	int fd = open(making->folder,
	    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return making_failed("open", making->folder);
	give_tree(&owner, fd, name);
	close(fd);
	return owner.rc;
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
	int rc = fd >= 0 && fsync(fd) == 0 ? 0 : making_failed("sync", path);

	if (fd >= 0)
		close(fd);
	return rc;
}

/* The rename replaces an empty folder and fails on any other. */
static int
publish(const struct making *making, const char *state)
{
	if (fchmod(making->lock, 0755) != 0 || fsync(making->lock) != 0)
		return making_failed("sync", making->folder);
	if (rename(making->folder, state) != 0) {
		bool taken = errno == ENOTEMPTY || errno == EEXIST;
		int rc = making_failed("make", state);

		/* It is removed, and parts of it are the ledger's already. */
		(void)!fchmod(making->lock, 0700);
		return taken ? ERR_CONFLICT : rc;
	}
	return sync_parent(state);
}

static int
make_in_folder(struct making *making, const char *state,
    int (*fill)(struct making *making, void *ctx), void *ctx)
{
	int rc = open_folder(making);

	if (rc == 0) {
		rc = fill(making, ctx);
		if (rc == 0)
			rc = give_away(making);
		if (rc == 0)
			rc = make_witness_folder(making, state);
		if (rc == 0)
			rc = publish(making, state);
		if (rc != 0)
			making_remove(making->folder);
	}
	if (making->lock >= 0)
		close(making->lock);
	return rc;
}

/* STATE without a slash at its end, and STATE.new. */
static bool
name_folder(struct making *making, char state[SETUP_PATH_MAX], const char *name)
{
	size_t len = strlen(name);

	while (len > 1 && name[len - 1] == '/')
		len--;
	if (len == 0 || len + sizeof(".new") + 32 > SETUP_PATH_MAX) {
		log_error("setup", "the state folder's path is %s",
		    len == 0 ? "empty" : "too long");
		return false;
	}
	memcpy(state, name, len);
	state[len] = '\0';
	snprintf(making->folder, sizeof(making->folder), "%.*s.new",
	    (int)(SETUP_PATH_MAX - sizeof(".new") - 1), state);
	return true;
}

void
making_clear(const char *state)
{
	struct making making = { .lock = -1 };
	char name[SETUP_PATH_MAX];
	struct stat st;

	if (!name_folder(&making, name, state))
		return;
	making.lock = open(making.folder,
	    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (making.lock < 0)
		return;
	/* Ours, and nobody works there. */
	if (fstat(making.lock, &st) == 0 && st.st_uid == geteuid() &&
	    flock(making.lock, LOCK_EX | LOCK_NB) == 0 &&
	    fchmod(making.lock, 0700) == 0 && making_remove(making.folder) == 0)
		log_warn("setup",
		    "%s was left by an init or restore that did not end, and "
		    "is cleared away",
		    making.folder);
	close(making.lock);
}

int
making_run(const struct setup_options *options,
    int (*fill)(struct making *making, void *ctx), void *ctx)
{
	struct making making = { .options = options, .lock = -1 };
	char state[SETUP_PATH_MAX];

	if (!name_folder(&making, state, options->state))
		return ERR_BAD_REQUEST;
	int rc = check_vacant(state);

	if (rc != 0)
		return rc;
	making.secret = sodium_malloc(TOKEN_SECRET_BYTES);
	making.key = sodium_malloc(SETUP_KEY_BYTES);
	rc = making.secret != NULL && making.key != NULL
	    ? make_in_folder(&making, state, fill, ctx)
	    : ERR_NOMEM;
	sodium_free(making.secret);
	sodium_free(making.key);
	return rc;
}
