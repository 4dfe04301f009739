#include "appliance/setup/restore.h"

#include "appliance/ledger/ledger.h"
#include "appliance/ledger/load_store.h"
#include "appliance/ledger/system.h"
#include "appliance/setup/certificates.h"
#include "appliance/setup/making.h"
#include "shared/backup/dump.h"
#include "shared/backup/passphrase.h"
#include "shared/backup/walk.h"
#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct restoring {
	const struct setup_restore *asked;
	struct making *making;
	struct archive_reader *reader;
	struct load_store *load; /* of the part at hand */
	bool at_key; /* the table at hand is the part's key */
	bool has_key; /* the site's */
	char path[SETUP_PATH_MAX]; /* of the part's store */
	char name[64]; /* of its key: the tenant, or "system" */
	const char *only; /* this tenant; NULL: all of it */
	bool skip; /* the part at hand is another's */
	bool found;
	bool told; /* the error at hand was logged */
};

/* --- the site's own files --------------------------------------------------- */

static int
use_site_key(struct restoring *restoring)
{
	const struct archive_header *header = archive_header(restoring->reader);
	uint8_t *secret = restoring->making->secret;

	restoring->has_key = true;
	if (memcmp(secret + 32, header->site_key, 32) == 0)
		return 0;
	log_error("restore",
	    "the site key is not that of %s, whose backup "
	    "it is",
	    header->site);
	restoring->told = true;
	return ERR_MISMATCH;
}

static int
read_site_key(struct restoring *restoring, const char *path)
{
	int rc = token_key_read(restoring->making->secret, path);

	if (rc == 0)
		return use_site_key(restoring);
	if (rc == ERR_FORBIDDEN)
		log_error("restore",
		    "others may read the site key; type: chmod 600 %s", path);
	else
		log_error("restore", "cannot read the site key %s: %s", path,
		    rc == ERR_IO ? strerror(errno) : err_str(rc));
	restoring->told = true;
	return rc;
}

/* The copy from the safe, in the form that the file has. */
static int
take_site_key(struct restoring *restoring)
{
	const char *from = restoring->asked->site_key;
	uint8_t *data = NULL;
	size_t len;

	if (from == NULL)
		return 0;
	int rc = read_site_key(restoring, from);

	if (rc != 0)
		return rc;
	if (file_read(&data, &len, from, 4096) != 0)
		return making_failed("read", from);
	rc = making_write(restoring->making, "keys/site.key", data, len, 0600);
	sodium_memzero(data, len);
	free(data);
	return rc;
}

static int
on_file(void *ctx, const struct archive_file *file)
{
	static const struct {
		const char *name;
		unsigned int mode;
	} known[] = {
		{ "keys/site.key", 0600 },
		{ "tls/ca.pem", 0644 },
		{ "tls/ca.key", 0600 },
		{ "tls/server.pem", 0644 },
		{ "tls/server.key", 0600 },
	};
	struct restoring *restoring = ctx;
	char path[SETUP_PATH_MAX];

	/* They are there already. */
	if (restoring->only != NULL)
		return 0;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (strcmp(file->name, known[i].name) != 0)
			continue;
		if (i == 0 && restoring->has_key)
			return 0;
		int rc = making_write(restoring->making, file->name,
		    file->data.data, file->data.len, known[i].mode);

		if (rc == 0 && i == 0)
			rc = setup_path(path, restoring->making->folder,
			    file->name);
		if (rc == 0 && i == 0)
			rc = read_site_key(restoring, path);
		restoring->told |= rc != 0;
		return rc;
	}
	log_error("restore",
	    "the backup has a file %s, which belongs to no "
	    "site that this release knows",
	    file->name);
	restoring->told = true;
	return ERR_CORRUPT;
}

/* --- stores ----------------------------------------------------------------- */

static int
refuse_without_key(struct restoring *restoring)
{
	log_error("restore",
	    "the site's own key is not in the backup: name the copy of "
	    "keys/site.key that was kept in a safe, with --site-key FILE");
	restoring->told = true;
	return ERR_NOT_FOUND;
}

static int
make_place(struct restoring *restoring, const char *tenant)
{
	char name[128];
	int rc;

	if (tenant[0] == '\0')
		return setup_path(restoring->path, restoring->making->folder,
		    "system");
	/* It becomes a folder's name. */
	if (!system_tenant_is_valid(tenant) || strcmp(tenant, "system") == 0) {
		log_error("restore", "no tenant can be called %s", tenant);
		return ERR_CORRUPT;
	}
	snprintf(name, sizeof(name), "tenants/%s", tenant);
	rc = making_add_folder(restoring->making, name, 0700);
	snprintf(name, sizeof(name), "tenants/%s/ledger", tenant);
	if (rc == 0)
		rc = making_add_folder(restoring->making, name, 0700);
	return rc == 0
	    ? setup_path(restoring->path, restoring->making->folder, name)
	    : rc;
}

static int
on_part(void *ctx, const char *tenant)
{
	struct restoring *restoring = ctx;

	restoring->skip =
	    restoring->only != NULL && strcmp(restoring->only, tenant) != 0;
	if (restoring->skip)
		return 0;
	restoring->found = true;
	if (!restoring->has_key)
		return refuse_without_key(restoring);
	text_copy(restoring->name, sizeof(restoring->name),
	    tenant[0] != '\0' ? tenant : "system");
	restoring->at_key = false;
	int rc = make_place(restoring, tenant);

	if (rc == 0)
		rc = load_store_open(&restoring->load, restoring->path,
		    tenant[0] != '\0');
	restoring->told |= rc != 0;
	return rc;
}

static int
on_table(void *ctx, const char *name)
{
	struct restoring *restoring = ctx;

	if (restoring->skip)
		return 0;
	restoring->at_key = strcmp(name, DUMP_KEY_TABLE) == 0;
	int rc =
	    restoring->at_key ? 0 : load_store_table(restoring->load, name);

	restoring->told |= rc != 0;
	return rc;
}

static int
write_key(struct restoring *restoring, const void *sealed, size_t len)
{
	struct making *making = restoring->making;
	char *text = sodium_malloc(2 * SETUP_KEY_BYTES + 2);
	char name[96];
	int rc = text == NULL
	    ? ERR_NOMEM
	    : dump_unseal(making->key, SETUP_KEY_BYTES, sealed, len,
		  restoring->name, DUMP_KEY, making->secret);

	if (rc != 0) {
		log_error("restore", "the key of %s cannot be opened: %s",
		    restoring->name, err_str(rc));
	} else {
		text_to_hex(text, making->key, SETUP_KEY_BYTES);
		text[2 * SETUP_KEY_BYTES] = '\n';
		snprintf(name, sizeof(name), "keys/%s.key", restoring->name);
		rc = making_write(making, name, text, 2 * SETUP_KEY_BYTES + 1,
		    0600);
	}
	sodium_free(text);
	return rc;
}

/* It lies beside the store. */
static int
write_people_key(struct restoring *restoring, const void *sealed, size_t len)
{
	struct making *making = restoring->making;
	uint8_t *key = sodium_malloc(LEDGER_PERSON_KEY_BYTES);
	char name[128];
	int rc = key == NULL
	    ? ERR_NOMEM
	    : dump_unseal(key, LEDGER_PERSON_KEY_BYTES, sealed, len,
		  restoring->name, DUMP_PEOPLE_KEY, making->secret);

	if (rc != 0) {
		log_error("restore",
		    "the key of the names in %s cannot be opened: %s",
		    restoring->name, err_str(rc));
	} else {
		snprintf(name, sizeof(name), "tenants/%s/ledger/%s",
		    restoring->name, LEDGER_PERSON_KEY_NAME);
		rc = making_write(making, name, key, LEDGER_PERSON_KEY_BYTES,
		    0600);
	}
	sodium_free(key);
	return rc;
}

static int
take_key(struct restoring *restoring, const void *key, size_t key_len,
    const void *value, size_t value_len)
{
	if (key_len == strlen(DUMP_KEY) && memcmp(key, DUMP_KEY, key_len) == 0)
		return write_key(restoring, value, value_len);
	if (key_len == strlen(DUMP_PEOPLE_KEY) &&
	    memcmp(key, DUMP_PEOPLE_KEY, key_len) == 0 &&
	    strcmp(restoring->name, "system") != 0)
		return write_people_key(restoring, value, value_len);
	log_error("restore",
	    "the backup has a key that this release does not "
	    "know");
	return ERR_CORRUPT;
}

static int
on_entry(void *ctx, const void *key, size_t key_len, const void *value,
    size_t value_len)
{
	struct restoring *restoring = ctx;

	if (restoring->skip)
		return 0;
	int rc = restoring->at_key
	    ? take_key(restoring, key, key_len, value, value_len)
	    : load_store_entry(restoring->load, key, key_len, value, value_len);

	restoring->told |= rc != 0;
	return rc;
}

/* The store opens as this site's, and stands where its journal ends. */
static int
check_store(const struct restoring *restoring, const char *tenant,
    const struct journal_walk *journal)
{
	const struct making *making = restoring->making;
	const struct ledger_options options = {
		.path = restoring->path,
		.site = making->site.site,
		.tenant = tenant,
		.site_public = making->secret + 32,
		.site_secret = making->secret,
		.tenant_key = making->key,
	};
	struct ledger *ledger;
	struct ledger_view *view;
	struct row_mark mark;
	char words[200] = "";
	int rc = ledger_open(&ledger, &options);

	if (rc == 0) {
		rc = ledger_view_open(&view, ledger);
		if (rc == 0) {
			rc = ledger_mark(&mark, view);
			if (rc == 0 &&
			    (mark.batch != journal->next_batch - 1 ||
				memcmp(mark.head, journal->head, 32) != 0))
				rc = ERR_CORRUPT;
			if (rc == 0)
				rc = ledger_check(view, words, sizeof(words));
			ledger_view_close(view);
		}
		ledger_close(ledger);
	}
	if (rc != 0)
		log_error("restore",
		    "the store of tenant %s does not fit its journal: %s",
		    tenant, words[0] != '\0' ? words : err_str(rc));
	return rc;
}

static int
check_system(const struct restoring *restoring)
{
	const struct archive_header *header = archive_header(restoring->reader);
	const struct archive_tenant *tenants = header->tenants.items;
	struct system_store *system;
	int rc = system_open(&system, restoring->path, restoring->making->key);

	if (rc != 0)
		return rc;
	/* Its notes of tenants that were closed then are not of the copies that
	 * were taken a moment later: all open at the first start. */
	for (size_t i = 0; i < header->tenants.count && rc == 0; i++)
		rc = system_quiet_clear(system, tenants[i].tenant);
	system_close(system);
	return rc;
}

static int
on_part_end(void *ctx, const char *tenant, const struct journal_walk *journal)
{
	struct restoring *restoring = ctx;

	if (restoring->skip)
		return 0;
	int rc = load_store_finish(restoring->load);

	restoring->load = NULL;
	if (rc == 0)
		rc = journal != NULL ? check_store(restoring, tenant, journal)
				     : check_system(restoring);
	restoring->told |= rc != 0;
	return rc;
}

/* --- the whole -------------------------------------------------------------- */

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
		{ "empty", 0555 },
	};
	int rc = 0;

	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]) && rc == 0;
	     i++)
		rc =
		    making_add_folder(making, folders[i].name, folders[i].mode);
	return rc;
}

static int
walk(struct restoring *restoring, struct backup_summary *summary)
{
	const struct backup_listener listener = {
		.ctx = restoring,
		.part = on_part,
		.table = on_table,
		.entry = on_entry,
		.part_end = on_part_end,
		.file = on_file,
	};
	char error[256];
	int rc = backup_walk(summary, restoring->reader, NULL, &listener, error,
	    sizeof(error));

	load_store_cancel(restoring->load);
	restoring->load = NULL;
	if (rc != 0 && !restoring->told)
		log_error("restore", "%s does not hold: %s",
		    restoring->asked->file,
		    error[0] != '\0' ? error : err_str(rc));
	return rc;
}

/* The agents pin the CA: with another one they would have to enroll again. */
static int
make_certificates(struct restoring *restoring,
    const struct backup_summary *summary)
{
	if (summary->tls)
		return 0;
	log_warn("restore",
	    "the site's certificates are not in the backup: it has a new CA, "
	    "which agents and programs are to be given (tls/ca.pem)");
	return making_certificates(restoring->making);
}

static int
fill_folder(struct making *making, void *ctx)
{
	struct restoring *restoring = ctx;
	const struct archive_header *header = archive_header(restoring->reader);
	struct backup_summary summary;

	restoring->making = making;
	memcpy(making->site.site, header->site, sizeof(making->site.site));
	text_copy(making->site.name, sizeof(making->site.name),
	    header->name[0] != '\0' ? header->name : header->site);
	making->site.format = SETUP_FORMAT;
	making->site.created_at = clock_wall_ms();
	int rc = make_folders(making);

	if (rc == 0)
		rc = take_site_key(restoring);
	if (rc == 0)
		rc = walk(restoring, &summary);
	if (rc == 0)
		rc = make_certificates(restoring, &summary);
	return rc == 0 ? making_write_site(making) : rc;
}

/* What can be said before anything is made. */
static int
check_asked(const struct archive_header *header,
    const struct setup_restore *asked)
{
	if (!header->whole) {
		log_error("restore",
		    "%s is of one tenant: it is restored into its site, while "
		    "that is stopped, with --tenant NAME",
		    asked->file);
		return ERR_BAD_REQUEST;
	}
	if (!header->keys && asked->site_key == NULL) {
		log_error("restore",
		    "the site's own key is not in %s: name the copy of "
		    "keys/site.key that was kept in a safe, with --site-key "
		    "FILE",
		    asked->file);
		return ERR_NOT_FOUND;
	}
	if (!header->keys && asked->options.hosts[0] == NULL) {
		log_error("restore",
		    "the site's certificates are not in %s: name the names or "
		    "addresses that agents use, with --host HOST",
		    asked->file);
		return ERR_BAD_REQUEST;
	}
	return 0;
}

static int
unlock(struct restoring *restoring)
{
	const struct setup_restore *asked = restoring->asked;
	struct passphrase passphrase;
	char error[700];
	int rc = passphrase_read(&passphrase, asked->passphrase_file, false,
	    error, sizeof(error));

	if (rc != 0) {
		log_error("restore", "%s", error);
		return rc;
	}
	rc = archive_unlock(restoring->reader, passphrase.text, passphrase.len);
	passphrase_release(&passphrase);
	if (rc != 0)
		log_error("restore", "%s cannot be opened: %s", asked->file,
		    archive_error(restoring->reader));
	return rc;
}

/* The header, and what `check` says to it; then the passphrase. */
static int
open_archive(struct restoring *restoring, FILE *file,
    int (*check)(const struct archive_header *header,
	const struct setup_restore *asked))
{
	int rc = archive_open(&restoring->reader, file);

	if (rc != 0)
		log_error("restore", "%s is not to be used: %s",
		    restoring->asked->file, archive_error(restoring->reader));
	if (rc == 0)
		rc = check(archive_header(restoring->reader), restoring->asked);
	return rc == 0 ? unlock(restoring) : rc;
}

int
setup_restore(struct archive_header *made, const struct setup_restore *asked)
{
	struct restoring restoring = { .asked = asked };
	FILE *file = fopen(asked->file, "re");

	if (file == NULL) {
		log_error("restore", "cannot read %s: %s", asked->file,
		    strerror(errno));
		return ERR_NOT_FOUND;
	}
	int rc = open_archive(&restoring, file, check_asked);

	if (rc == 0)
		rc = making_run(&asked->options, fill_folder, &restoring);
	if (rc == 0) {
		*made = *archive_header(restoring.reader);
		made->tenants.items = NULL;
	}
	archive_close(restoring.reader);
	fclose(file);
	return rc;
}

/* --- one tenant --------------------------------------------------------------- */

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
		rc = walk(restoring, &summary);
	if (rc != 0 || restoring->found)
		return rc;
	log_error("restore", "tenant %s is not in %s", restoring->only,
	    restoring->asked->file);
	return ERR_NOT_FOUND;
}

/* making->key is the tenant's, as it was in the backup. */
static int
check_tenant_key(struct restoring *restoring)
{
	uint8_t *now = sodium_malloc(SETUP_KEY_BYTES);
	int rc = now == NULL
	    ? ERR_NOMEM
	    : setup_key(now, restoring->asked->options.state, restoring->only);

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

/* The two change places in one step of the file system. */
static int
exchange(struct restoring *restoring)
{
	const struct making *making = restoring->making;
	char name[128], made[SETUP_PATH_MAX], there[SETUP_PATH_MAX];
	char folder[SETUP_PATH_MAX];
	struct stat st;

	snprintf(name, sizeof(name), "tenants/%s/ledger", restoring->only);
	int rc = setup_path(made, making->folder, name);

	if (rc == 0)
		rc = setup_path(there, restoring->asked->options.state, name);
	if (rc == 0 && stat(there, &st) != 0)
		rc = making_failed("look at", there);
	if (rc == 0)
		rc = making_give(making, name, st.st_uid, st.st_gid);
	if (rc == 0)
		rc = sync_path(made);
	if (rc != 0)
		return rc;
	if (renameat2(AT_FDCWD, made, AT_FDCWD, there, RENAME_EXCHANGE) != 0)
		return making_failed("put a store in place of", there);
	snprintf(name, sizeof(name), "tenants/%s", restoring->only);
	rc = setup_path(folder, restoring->asked->options.state, name);
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
	    ? read_site_key(restoring, asked->site_key)
	    : setup_site_key(making->secret, asked->options.state);
	restoring->has_key = rc == 0;
	if (rc == 0)
		rc = make_beside(restoring);
	if (rc == 0)
		rc = check_tenant_key(restoring);
	/* Where a note says that it is closed, it says where it ends. */
	if (rc == 0)
		rc = system_quiet_clear(system, restoring->only);
	if (rc == 0)
		rc = exchange(restoring);
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
	int rc = open_archive(&restoring, file, check_any);

	if (rc == 0)
		rc = setup_lock(&lock, asked->options.state);
	if (rc == 0)
		rc = restore_locked(&restoring);
	if (rc == 0) {
		*made = *archive_header(restoring.reader);
		made->tenants.items = NULL;
	}
	if (lock >= 0)
		close(lock);
	archive_close(restoring.reader);
	fclose(file);
	return rc;
}
