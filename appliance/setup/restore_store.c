/* Stores out of the parts of a backup; see restore_inside.h. */
#include "appliance/setup/restore_inside.h"

#include "appliance/ledger/ledger.h"
#include "appliance/ledger/load_store.h"
#include "appliance/ledger/system.h"
#include "shared/backup/dump.h"
#include "shared/backup/passphrase.h"
#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/base/text.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

/* --- the site's key -------------------------------------------------------- */

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

int
restoring_site_key(struct restoring *restoring, const char *path)
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

/* --- stores ---------------------------------------------------------------- */

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

int
restoring_part(void *ctx, const char *tenant)
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

int
restoring_table(void *ctx, const char *name)
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
open_key(void *key, size_t key_len, const struct restoring *restoring,
    const void *sealed, size_t len, const char *entry, const char *heirs)
{
	return restoring->heir != NULL
	    ? dump_unseal_heir(key, key_len, sealed, len, restoring->name,
		  heirs, restoring->heir)
	    : dump_unseal(key, key_len, sealed, len, restoring->name, entry,
		  restoring->making->secret);
}

static int
write_key(struct restoring *restoring, const void *sealed, size_t len)
{
	struct making *making = restoring->making;
	char *text = sodium_malloc(2 * SETUP_KEY_BYTES + 2);
	char name[96];
	int rc = text == NULL
	    ? ERR_NOMEM
	    : open_key(making->key, SETUP_KEY_BYTES, restoring, sealed, len,
		  DUMP_KEY, DUMP_HEIR_KEY);

	if (rc == ERR_BAD_SIGNATURE && restoring->heir != NULL) {
		restoring_other_heir();
	} else if (rc != 0) {
		log_error("restore", "the key of %s cannot be opened: %s",
		    restoring->name, err_str(rc));
	} else if (!restoring->keyless) {
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
	    : open_key(key, LEDGER_PERSON_KEY_BYTES, restoring, sealed, len,
		  DUMP_PEOPLE_KEY, DUMP_HEIR_PEOPLE_KEY);

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

static bool
is_entry(const void *key, size_t key_len, const char *name)
{
	return key_len == strlen(name) && memcmp(key, name, key_len) == 0;
}

static int
take_key(struct restoring *restoring, const void *key, size_t key_len,
    const void *value, size_t value_len)
{
	bool heir = restoring->heir != NULL;
	bool system = strcmp(restoring->name, "system") == 0;

	if (is_entry(key, key_len, DUMP_KEY))
		return heir ? 0 : write_key(restoring, value, value_len);
	if (is_entry(key, key_len, DUMP_HEIR_KEY))
		return heir ? write_key(restoring, value, value_len) : 0;
	if (is_entry(key, key_len, DUMP_HEIR_BOX) && system)
		return heir ? restoring_box(restoring, value, value_len) : 0;
	if (is_entry(key, key_len, DUMP_PEOPLE_KEY) && !system)
		return heir ? 0 : write_people_key(restoring, value, value_len);
	if (is_entry(key, key_len, DUMP_HEIR_PEOPLE_KEY) && !system)
		return heir ? write_people_key(restoring, value, value_len) : 0;
	if (is_entry(key, key_len, DUMP_HEIR_WORD) && system)
		return heir ? restoring_follow(restoring, value, value_len) : 0;
	log_error("restore",
	    "the backup has a key that this release does not "
	    "know");
	return ERR_CORRUPT;
}

int
restoring_entry(void *ctx, const void *key, size_t key_len, const void *value,
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

static struct ledger_options
options_of(const struct restoring *restoring, const char *tenant,
    const char *path)
{
	const struct making *making = restoring->making;

	return (struct ledger_options){
		.path = path,
		.site = making->site.site,
		.tenant = tenant,
		.site_public = making->secret + 32,
		.site_keys = restoring->keys.n > 0 ? &restoring->keys : NULL,
		.site_secret = making->secret,
		.tenant_key = making->key,
		.hold_format = true, /* whoever runs it raises it */
	};
}

/* The journal is signed, its state is not: it is to be what the journal folds
 * to. */
static int
check_folded(const struct restoring *restoring, const char *tenant,
    struct ledger_view *view, char words[200])
{
	char path[SETUP_PATH_MAX];
	int rc = setup_path(path, restoring->making->folder, "folded");

	if (rc != 0)
		return rc;
	const struct ledger_options folded =
	    options_of(restoring, tenant, path);

	rc = ledger_refold(view, &folded);
	if (rc == ERR_CORRUPT)
		text_copy(words, 200,
		    "what it says of seats, devices and people is not what its "
		    "journal says");
	int removed = making_remove(path);

	return rc == 0 ? removed : rc;
}

static int
check_view(struct restoring *restoring, const char *tenant,
    const struct journal_walk *journal, struct ledger_view *view,
    char words[200])
{
	struct row_mark mark;
	int rc = ledger_mark(&mark, view);

	if (rc == 0 &&
	    (mark.batch != journal->next_batch - 1 ||
		memcmp(mark.head, journal->head, 32) != 0))
		rc = ERR_CORRUPT;
	if (rc == 0)
		rc = ledger_check(view, words, 200);
	return rc == 0 ? check_folded(restoring, tenant, view, words) : rc;
}

/* The store opens as this site's, stands where its journal ends, and says what
 * the journal says. */
static int
check_store(struct restoring *restoring, const char *tenant,
    const struct journal_walk *journal)
{
	const struct ledger_options options =
	    options_of(restoring, tenant, restoring->path);
	struct ledger *ledger;
	struct ledger_view *view;
	char words[200] = "";
	int rc = ledger_open(&ledger, &options);

	if (rc == 0) {
		rc = ledger_view_open(&view, ledger);
		if (rc == 0) {
			rc =
			    check_view(restoring, tenant, journal, view, words);
			ledger_view_close(view);
		}
		ledger_close(ledger);
	}
	if (rc == 0)
		return 0;
	snprintf(restoring->words, sizeof(restoring->words),
	    "the store of tenant %.63s does not fit its journal: %.150s",
	    tenant, words[0] != '\0' ? words : err_str(rc));
	log_error("restore", "%s", restoring->words);
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

int
restoring_part_end(void *ctx, const char *tenant,
    const struct journal_walk *journal)
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

/* --- the file -------------------------------------------------------------- */

int
restoring_walk(struct restoring *restoring, struct backup_summary *summary)
{
	const struct backup_listener listener = {
		.ctx = restoring,
		.part = restoring_part,
		.table = restoring_table,
		.entry = restoring_entry,
		.part_end = restoring_part_end,
		.file = restoring->file,
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
int
restoring_open(struct restoring *restoring, FILE *file,
    int (*check)(const struct archive_header *header,
	const struct setup_restore *asked))
{
	int rc = archive_open(&restoring->reader, file);

	if (rc != 0)
		log_error("restore", "%s is not to be used: %s",
		    restoring->asked->file, archive_error(restoring->reader));
	if (rc != 0)
		return rc;
	const struct archive_header *header = archive_header(restoring->reader);

	rc = check(header, restoring->asked);
	if (rc == 0 && header->succession.count > 0 &&
	    (rc = succession_keys(&restoring->keys, header->site, NULL,
		 &header->succession)) != 0)
		log_error("restore",
		    "what %s says of the site's keys does not hold: %s",
		    restoring->asked->file, err_str(rc));
	return rc == 0 ? unlock(restoring) : rc;
}
