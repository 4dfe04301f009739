#include "appliance/setup/restore_beside.h"

#include "appliance/ledger/ledger.h"
#include "appliance/ledger/load_store.h"
#include "appliance/ledger/spool.h"
#include "appliance/setup/restore_inside.h"
#include "appliance/setup/tenant.h"
#include "shared/backup/dump.h"
#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/base/text.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define READ_BYTES ((size_t)256 << 10)
#define SPARE_BYTES ((uint64_t)16 << 20)

struct reading {
	struct setup_beside *beside;
	struct restoring restoring;
	struct making making;
	struct journal_walk *journal;
	struct dump_reader *dump;
	bool batches; /* the table at hand is the journal */
	bool meta; /* or the one that says where it begins */
	bool sealed; /* its key was there */
};

static int
folder_of(char out[SETUP_PATH_MAX], const char *state, const char *tenant)
{
	char name[128];

	snprintf(name, sizeof(name), "tenants/%s.restore", tenant);
	return setup_path(out, state, name);
}

int
setup_beside_path(char out[SETUP_PATH_MAX], const char *state,
    const char *tenant)
{
	char name[200];

	snprintf(name, sizeof(name), "tenants/%s.restore/tenants/%s/ledger",
	    tenant, tenant);
	return setup_path(out, state, name);
}

int
setup_beside_clear(const char *state, const char *tenant)
{
	char path[SETUP_PATH_MAX];
	char name[256];

	snprintf(name, sizeof(name), "tenants/%s.restore/tenants/%s/ledger/%s",
	    tenant, tenant, LEDGER_PERSON_KEY_NAME);
	int rc = setup_path(path, state, name);

	/* What is left of the rest cannot be read without. */
	if (rc == 0)
		rc = setup_remove_key(path);
	if (rc == 0)
		rc = folder_of(path, state, tenant);
	return rc == 0 ? making_remove(path) : rc;
}

static int
say(struct reading *reading, int rc, const char *words)
{
	if (reading->beside->words[0] == '\0') {
		text_copy(reading->beside->words,
		    sizeof(reading->beside->words), words);
		log_error("restore", "the copy of tenant %s is not used: %s",
		    reading->beside->tenant, words);
	}
	return rc;
}

/* --- the dump -------------------------------------------------------------- */

static int
on_table(void *ctx, const char *name)
{
	struct reading *reading = ctx;

	reading->batches = strcmp(name, "batches") == 0;
	reading->meta = strcmp(name, "meta") == 0;
	reading->sealed |= strcmp(name, DUMP_KEY_TABLE) == 0;
	int rc = restoring_table(&reading->restoring, name);

	return rc == ERR_CORRUPT
	    ? say(reading, rc, "it has a table that this release does not know")
	    : rc;
}

static int
walk_batch(struct reading *reading, const uint8_t *key, size_t key_len,
    const void *value, size_t value_len)
{
	char words[200] = "", said[320];

	int rc = journal_walk_stored(reading->journal, reading->batches, key,
	    key_len, value, value_len, words, sizeof(words));

	if (rc == 0 || rc == ERR_NOMEM)
		return rc;
	snprintf(said, sizeof(said), "its journal does not hold: %s",
	    words[0] != '\0' ? words : err_str(rc));
	return say(reading, ERR_CORRUPT, said);
}

static int
on_entry(void *ctx, const void *key, size_t key_len, const void *value,
    size_t value_len)
{
	struct reading *reading = ctx;
	int rc = reading->batches || reading->meta
	    ? walk_batch(reading, key, key_len, value, value_len)
	    : 0;

	if (rc == 0)
		rc = restoring_entry(&reading->restoring, key, key_len, value,
		    value_len);
	if (rc == ERR_BAD_SIGNATURE)
		return say(reading, rc,
		    "its key was not sealed by this site for this tenant");
	return rc;
}

static int
feed(struct reading *reading)
{
	const struct setup_beside *beside = reading->beside;
	uint8_t *data = malloc(READ_BYTES);
	int rc = data == NULL ? ERR_NOMEM : 0;
	uint64_t at = 0;
	size_t got = 0;

	while (rc == 0 && at < beside->bytes) {
		rc = spool_read_at(&got, beside->fd, data, READ_BYTES, at);
		if (rc == 0 && got == 0)
			rc = ERR_IO;
		if (rc == 0)
			rc = dump_feed(reading->dump, data, got);
		at += got;
	}
	free(data);
	if (rc == 0)
		rc = dump_finish(reading->dump);
	return rc == ERR_CORRUPT && dump_error(reading->dump)[0] != '\0'
	    ? say(reading, rc, dump_error(reading->dump))
	    : rc;
}

/* --- what is in it ----------------------------------------------------------- */

static int
check_journal(struct reading *reading)
{
	const struct setup_beside *beside = reading->beside;
	const struct journal_walk *journal = reading->journal;
	char words[320];

	if (!reading->sealed)
		return say(reading, ERR_CORRUPT, "its key is not there");
	if (journal->next_batch == 0 || journal->next_batch == journal->anchor)
		return say(reading, ERR_CORRUPT, "its journal is not there");
	if (!journal_walk_is_explained(journal))
		return say(reading, ERR_CORRUPT,
		    "the beginning of its journal is missing, and nothing in "
		    "it says that it was given up");
	if (strcmp(journal->site, beside->site) == 0 &&
	    strcmp(journal->tenant, beside->tenant) == 0)
		return 0;
	snprintf(words, sizeof(words),
	    "its journal is that of site %.63s, tenant %.63s", journal->site,
	    journal->tenant);
	return say(reading, ERR_CORRUPT, words);
}

/* LMDB's lock file is written through a map: on a disk that is full, making a
 * store ends the process with a signal. So there is to be room for the store,
 * for what its journal folds to, and besides. */
static int
check_room(const struct setup_beside *beside)
{
	struct statvfs disk;

	if (statvfs(beside->state, &disk) != 0)
		return making_failed("look at", beside->state);
	if ((uint64_t)disk.f_bavail * disk.f_frsize / 2 >=
	    beside->bytes + SPARE_BYTES)
		return 0;
	log_error("restore", "there is no room in %s for tenant %s",
	    beside->state, beside->tenant);
	return ERR_FULL;
}

static int
make(struct reading *reading)
{
	struct making *making = &reading->making;
	struct restoring *restoring = &reading->restoring;
	const char *state = reading->beside->state;
	int rc = setup_beside_clear(state, restoring->only);

	if (rc == 0)
		rc = check_room(reading->beside);
	if (rc == 0 && mkdir(making->folder, 0700) != 0)
		rc = making_failed("make", making->folder);
	if (rc == 0)
		rc = making_add_folder(making, "tenants", 0700);
	if (rc == 0)
		rc = restoring_part(restoring, restoring->only);
	if (rc == 0)
		rc = feed(reading);
	if (rc == 0)
		rc = check_journal(reading);
	if (rc == 0)
		rc = restoring_part_end(restoring, restoring->only,
		    reading->journal);
	if (rc == 0)
		rc = restoring_check_key(restoring, state);
	if (rc == ERR_MISMATCH)
		say(reading, rc,
		    "the tenant has another key now: it was deleted since and "
		    "made again under its name");
	if (rc != 0 && restoring->words[0] != '\0')
		say(reading, rc, restoring->words);
	load_store_cancel(restoring->load);
	if (rc != 0)
		setup_beside_clear(state, restoring->only);
	return rc;
}

int
setup_beside_make(struct setup_beside *beside)
{
	struct reading reading = {
		.beside = beside,
		.restoring = { .only = beside->tenant,
		    .has_key = true,
		    .keyless = true },
		.making = { .lock = -1, .secret = beside->secret },
	};
	const struct dump_callbacks callbacks = { &reading, on_table,
		on_entry };

	beside->words[0] = '\0';
	int rc =
	    folder_of(reading.making.folder, beside->state, beside->tenant);

	if (rc != 0)
		return rc;
	text_copy(reading.making.site.site, sizeof(reading.making.site.site),
	    beside->site);
	reading.restoring.making = &reading.making;
	reading.making.key = sodium_malloc(SETUP_KEY_BYTES);
	reading.journal = malloc(sizeof(*reading.journal));
	reading.dump = dump_reader_new(&callbacks);
	rc = ERR_NOMEM;
	if (reading.making.key != NULL && reading.journal != NULL &&
	    reading.dump != NULL) {
		journal_walk_init(reading.journal, beside->secret + 32);
		reading.restoring.keys = beside->keys != NULL
		    ? *beside->keys
		    : site_keys_one(beside->secret + 32);
		journal_walk_trust(reading.journal, &reading.restoring.keys);
		rc = make(&reading);
	}
	dump_reader_free(reading.dump);
	free(reading.journal);
	sodium_free(reading.making.key);
	return rc;
}

int
setup_beside_exchange(const char *state, const char *tenant)
{
	struct making making = { .lock = -1 };
	const struct restoring restoring = { .only = tenant,
		.making = &making };
	int rc = folder_of(making.folder, state, tenant);

	return rc == 0 ? restoring_exchange(&restoring, state) : rc;
}
