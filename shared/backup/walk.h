/*
 * All of an archive from its first frame to its end, and what can be checked of
 * it without a site: every frame, every dump, and every batch of every journal
 * in it against the site's public key and against what the header says of it.
 * Who restores listens in; nothing that was told is to be believed before 0 was
 * returned. It must not know where the bytes go.
 */
#ifndef SHARED_BACKUP_WALK_H
#define SHARED_BACKUP_WALK_H

#include "shared/backup/archive.h"
#include "shared/journal/journal.h"

/** Any of them may be NULL; non-zero ends the walk and is returned, and the
 * walk's error is empty then. */
struct backup_listener {
	void *ctx;
	/** A store begins: a tenant's, or the site's own (""). */
	int (*part)(void *ctx, const char *tenant);
	/** Bytes of its dump, as they came. */
	int (*data)(void *ctx, const void *data, size_t len);
	/** The same, taken apart. */
	int (*table)(void *ctx, const char *name);
	int (*entry)(void *ctx, const void *key, size_t key_len,
	    const void *value, size_t value_len);
	/** It is whole. `journal` is what was walked; NULL for the site's own.
	 */
	int (*part_end)(void *ctx, const char *tenant,
	    const struct journal_walk *journal);
	int (*file)(void *ctx, const struct archive_file *file);
};

/** What was found, in sum. */
struct backup_summary {
	bool system; /* the site's own store is in it */
	uint32_t tenants;
	uint64_t batches, rows, entries;
	bool site_key; /* keys/site.key is in it */
	bool tls; /* tls/ca.key is in it */
};

/**
 * Walk an archive that was unlocked.
 *
 * @param site_key  The key that must have signed; NULL: the one that the header
 *                  names.
 * @retval ERR_CORRUPT  Damaged, or a journal does not hold; `error` says what
 *                      and where.
 */
int backup_walk(struct backup_summary *summary, struct archive_reader *reader,
    const uint8_t site_key[32], const struct backup_listener *listener,
    char *error, size_t error_size);

/** "site-" and 13 characters of the hash of its public key: what a site of that
 * key is called. */
void backup_site_id(char site[64], const uint8_t site_key[32]);

#endif
