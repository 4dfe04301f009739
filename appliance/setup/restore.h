/*
 * A site made anew out of its backup (shared/backup), in a folder that is not
 * there or empty, while no daemon runs. It is an older copy then, and says so
 * at its start: an admin acknowledges it as any rollback (ledger/guard.h). It
 * must not know of running sites.
 */
#ifndef APPLIANCE_SETUP_RESTORE_H
#define APPLIANCE_SETUP_RESTORE_H

#include "appliance/setup/setup.h"
#include "shared/backup/archive.h"

struct setup_restore {
	struct setup_options options; /* state, user; hosts: where the backup
					 has certificates beside theirs */
	const char *file;
	const char *passphrase_file; /* NULL: the terminal */
	/** The site's recovery key, for a new box with a key of its own; NULL:
	 * it gets the old one. */
	const char *recovery_file;
	const char *site_key; /* a copy of keys/site.key; NULL: from the file */
};

/**
 * Whole or not at all: nothing gets its name before all of the backup was read
 * and checked, journals and stores, and each store is what its journal folds to. Every error is logged in words.
 * @param[out] made  Site, name and time of what was restored.
 */
int setup_restore(struct archive_header *made,
    const struct setup_restore *restore);

/**
 * One tenant of a site that is there and stopped, out of a backup of it alone or
 * of the whole site: its store is made beside the one that is there, checked,
 * and takes its place in one step; then the other one is removed. A crash leaves
 * either. Site and key must be the same. ERR_BUSY: a daemon runs there. (Then
 * the ledger does it: restore_beside.h.)
 */
int setup_restore_tenant(struct archive_header *made,
    const struct setup_restore *restore, const char *tenant);

#endif
