/* One tenant of a site that is stopped; see restore.h. */
#include "appliance/ledger/system.h"
#include "appliance/setup/restore_inside.h"
#include "shared/base/err.h"
#include "shared/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int
check_any(const struct archive_header *header,
    const struct setup_restore *asked)
{
	struct site_file site;
	int rc = setup_read(&site, asked->options.state);

	if (rc != 0 || strcmp(site.site, header->site) == 0)
		return rc;
	log_error("restore", "%s is a backup of %s, and in %s is %s",
	    asked->file, header->site, asked->options.state, site.site);
	return ERR_MISMATCH;
}

/* Its names lie under the site's store too: one that was deleted since is no
 * tenant any more. */
static int
open_system(struct system_store **system, struct restoring *restoring)
{
	const char *state = restoring->asked->options.state;
	uint8_t *key = restoring->making->key;
	struct system_tenant tenant;
	char path[SETUP_PATH_MAX];
	int rc = setup_key(key, state, "system");

	if (rc == 0)
		rc = setup_path(path, state, "system");
	if (rc == 0)
		rc = system_open(system, path, key);
	if (rc != 0)
		return rc;
	rc = system_tenant_load(&tenant, *system, restoring->only);
	if (rc == 0 && tenant.status != TENANT_DELETING)
		return 0;
	log_error("restore", "the site has no tenant %s", restoring->only);
	system_close(*system);
	return rc == 0 ? ERR_NOT_FOUND : rc;
}

static int
make_beside(struct restoring *restoring)
{
	const struct making *making = restoring->making;
	struct backup_summary summary;
	int rc = making_remove(making->folder);

	if (rc == 0 && mkdir(making->folder, 0700) != 0)
		rc = making_failed("make", making->folder);
	if (rc == 0)
		rc = making_add_folder(making, "keys", 0700);
	if (rc == 0)
		rc = making_add_folder(making, "tenants", 0700);
	if (rc == 0)
		rc = restoring_walk(restoring, &summary);
	if (rc != 0 || restoring->found)
		return rc;
	log_error("restore", "tenant %s is not in %s", restoring->only,
	    restoring->asked->file);
	return ERR_NOT_FOUND;
}

int
restoring_check_key(struct restoring *restoring, const char *state)
{
	uint8_t *now = sodium_malloc(SETUP_KEY_BYTES);
	int rc =
	    now == NULL ? ERR_NOMEM : setup_key(now, state, restoring->only);

	if (rc == 0 &&
	    sodium_memcmp(now, restoring->making->key, SETUP_KEY_BYTES) != 0) {
		log_error("restore",
		    "tenant %s has another key now: it was deleted since and "
		    "made again under its name",
		    restoring->only);
		rc = ERR_MISMATCH;
	}
	sodium_free(now);
	return rc;
}

static int
sync_path(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int rc = fd >= 0 && fsync(fd) == 0 ? 0 : making_failed("sync", path);

	if (fd >= 0)
		close(fd);
	return rc;
}

int
restoring_exchange(const struct restoring *restoring, const char *state)
{
	const struct making *making = restoring->making;
	char name[128], made[SETUP_PATH_MAX], there[SETUP_PATH_MAX];
	char folder[SETUP_PATH_MAX];
	struct stat st;

	snprintf(name, sizeof(name), "tenants/%s/ledger", restoring->only);
	int rc = setup_path(made, making->folder, name);

	if (rc == 0)
		rc = setup_path(there, state, name);
	if (rc == 0 && stat(there, &st) != 0)
		rc = making_failed("look at", there);
	/* The ledger itself may give nothing away, and need not. */
	if (rc == 0 && (st.st_uid != geteuid() || st.st_gid != getegid()))
		rc = making_give(making, name, st.st_uid, st.st_gid);
	if (rc == 0)
		rc = sync_path(made);
	if (rc != 0)
		return rc;
	if (renameat2(AT_FDCWD, made, AT_FDCWD, there, RENAME_EXCHANGE) != 0)
		return making_failed("put a store in place of", there);
	snprintf(name, sizeof(name), "tenants/%s", restoring->only);
	rc = setup_path(folder, state, name);
	return rc == 0 ? sync_path(folder) : rc;
}

static int
restore_there(struct restoring *restoring)
{
	struct making *making = restoring->making;
	const struct setup_restore *asked = restoring->asked;
	struct system_store *system = NULL;
	int rc = open_system(&system, restoring);

	if (rc != 0)
		return rc;
	rc = asked->site_key != NULL
	    ? restoring_site_key(restoring, asked->site_key)
	    : setup_site_key(making->secret, asked->options.state);
	restoring->has_key = rc == 0;
	if (rc == 0)
		rc = make_beside(restoring);
	if (rc == 0)
		rc = restoring_check_key(restoring, asked->options.state);
	/* Where a note says that it is closed, it says where it ends. */
	if (rc == 0)
		rc = system_quiet_clear(system, restoring->only);
	if (rc == 0)
		rc = restoring_exchange(restoring, asked->options.state);
	system_close(system);
	/* What was there until now, or what came to nothing. */
	making_remove(making->folder);
	return rc;
}

static int
restore_locked(struct restoring *restoring)
{
	struct making making = { .lock = -1 };
	const char *state = restoring->asked->options.state;
	char name[128];

	snprintf(name, sizeof(name), "tenants/%s.restore", restoring->only);
	int rc = setup_path(making.folder, state, name);

	if (rc == 0)
		rc = setup_read(&making.site, state);
	if (rc != 0)
		return rc;
	making.options = &restoring->asked->options;
	making.secret = sodium_malloc(TOKEN_SECRET_BYTES);
	making.key = sodium_malloc(SETUP_KEY_BYTES);
	restoring->making = &making;
	rc = making.secret != NULL && making.key != NULL
	    ? restore_there(restoring)
	    : ERR_NOMEM;
	sodium_free(making.secret);
	sodium_free(making.key);
	restoring->making = NULL;
	return rc;
}

int
setup_restore_tenant(struct archive_header *made,
    const struct setup_restore *asked, const char *tenant)
{
	struct restoring restoring = { .asked = asked, .only = tenant };
	int lock = -1;

	if (!system_tenant_is_valid(tenant)) {
		log_error("restore", "no tenant can be called %s", tenant);
		return ERR_BAD_REQUEST;
	}
	FILE *file = fopen(asked->file, "re");

	if (file == NULL) {
		log_error("restore", "cannot read %s: %s", asked->file,
		    strerror(errno));
		return ERR_NOT_FOUND;
	}
	int rc = restoring_open(&restoring, file, check_any);

	if (rc == 0)
		rc = setup_lock(&lock, asked->options.state);
	if (rc == 0)
		rc = restore_locked(&restoring);
	if (rc == 0) {
		*made = *archive_header(restoring.reader);
		made->tenants.items = NULL;
		made->succession.items = NULL;
	}
	if (lock >= 0)
		close(lock);
	archive_close(restoring.reader);
	fclose(file);
	return rc;
}
