/*
 * The last journal header seen of each site and tenant: in memory, and in the
 * user's state folder, so that the next process notices a site that was rolled
 * back too. Only ever moves forward, to a later batch or to a later generation of
 * the journal; never holds what was not verified. A file
 * that is missing, damaged or unreadable counts as nothing known, and a folder
 * that cannot be written as none: neither is a reason not to run. It must not
 * know how headers are verified.
 *
 * Entries are kept apart by the vendor's root: what the license of one vendor
 * vouched for says nothing to the application of another.
 *
 * Safe from any thread, and between processes by flock.
 */
#ifndef AGENT_LIB_KNOWN_H
#define AGENT_LIB_KNOWN_H

#include "shared/journal/journal.h"

/** Sites and tenants kept in memory at most; further ones only in files. */
#define KNOWN_ENTRIES_MAX 64

struct known;

/** `folder` NULL: in memory only; copied. Returns 0 or ERR_NOMEM. */
int known_open(struct known **known, const char *folder,
    const uint8_t root[32]);
void known_close(struct known *known);

/**
 * What is known of a site and tenant at this moment; zero when nothing is.
 * @param[out] kept   The last header, with which a journal's continuation is
 *                    proved.
 * @param[out] floor  The newest batch seen in a header or beat; its history is
 *                    not known. Whatever the site is asked from now on must
 *                    not be older.
 */
void known_get(struct journal_known *kept, struct journal_known *floor,
    struct known *known, const char *site, const char *tenant);

/** Keep a verified header, unless a newer one is kept. ERR_FORK: another head
 * of the same batch is. */
int known_put(struct known *known, const char *site, const char *tenant,
    const struct journal_known *header);

/** A verified beat stood on this batch. ERR_FORK as above. In memory only. */
int known_see(struct known *known, const char *site, const char *tenant,
    uint32_t generation, uint64_t batch, const uint8_t head[32]);

/**
 * The default folder: $XDG_STATE_HOME/leasehold, else ~/.local/state/leasehold
 * of $HOME, else of the password file. malloc'd; NULL: there is none, or the
 * program is set-uid and the environment not to be believed.
 */
char *known_default_folder(void);

#endif
