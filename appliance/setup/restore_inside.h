/*
 * Between the files that make stores out of a backup: one part of it at a time,
 * from the stream of its dump to a store that was opened and checked. The whole
 * site is restore.c's, one tenant of a stopped site restore_tenant.c's, one of a
 * running site restore_beside.c's. It must not know where what it made goes.
 */
#ifndef APPLIANCE_SETUP_RESTORE_INSIDE_H
#define APPLIANCE_SETUP_RESTORE_INSIDE_H

#include "appliance/setup/making.h"
#include "appliance/setup/restore.h"
#include "shared/backup/walk.h"

struct load_store;

struct restoring {
	const struct setup_restore *asked;
	struct making *making;
	struct archive_reader *reader;
	struct load_store *load; /* of the part at hand */
	bool at_key; /* the table at hand is the part's key */
	bool has_key; /* the site's */
	uint8_t *heir; /* guarded: opens the keys instead; NULL */
	struct site_keys keys; /* the site's, when its key follows others */
	char path[SETUP_PATH_MAX]; /* of the part's store */
	char name[64]; /* of its key: the tenant, or "system" */
	bool has_etc;
	bool has_tls;
	const char *only; /* this tenant; NULL: all of it */
	bool skip; /* the part at hand is another's */
	bool found;
	bool told; /* the error at hand was logged */
	bool keyless; /* the tenant's key is not written to a file */
	/** Takes the files of a site's folder; NULL: they are not wanted. */
	int (*file)(void *ctx, const struct archive_file *file);
	/** What was found wrong with a store, for who asked; "". */
	char words[320];
};

/* Each logs its errors. */

/** The site's key from that file; it must be the one whose backup it is. */
int restoring_site_key(struct restoring *restoring, const char *path);

/** The recovery key, and a new key for the site. */
int restoring_heir(struct restoring *restoring);
void restoring_other_heir(void);
int restoring_new_key(struct restoring *restoring);

/** What the old box's root sealed for the heir: its files, where the backup does
 * not have them plainly. */
int restoring_box(struct restoring *restoring, const void *sealed, size_t len);

/** The old key's word for that heir is used: it is followed by the new one. */
int restoring_follow(struct restoring *restoring, const void *token,
    size_t len);

/** One part: what the walk, or who reads a dump by himself, tells. */
int restoring_part(void *ctx, const char *tenant);
int restoring_table(void *ctx, const char *name);
int restoring_entry(void *ctx, const void *key, size_t key_len,
    const void *value, size_t value_len);
/** The store is on the disk, opens, fits the journal that was walked, and is what
 * that folds to. */
int restoring_part_end(void *ctx, const char *tenant,
    const struct journal_walk *journal);

/** The header, and what `check` says to it; then the passphrase. */
int restoring_open(struct restoring *restoring, FILE *file,
    int (*check)(const struct archive_header *header,
	const struct setup_restore *asked));
/** All parts, or `only` that one, below making->folder. */
int restoring_walk(struct restoring *restoring, struct backup_summary *summary);

/** making->key is the tenant's, as it was in the backup: is it still? */
int restoring_check_key(struct restoring *restoring, const char *state);
/** STATE/tenants/ONLY/ledger and that below making->folder change places in one
 * step of the file system. */
int restoring_exchange(const struct restoring *restoring, const char *state);

#endif
