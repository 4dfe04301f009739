/*
 * A tenant's store made out of a dump beside the one that is in use, by the
 * ledger of a site that runs: tenants/NAME.restore in the site's folder. All of
 * it is checked there, and nothing that is in use is touched before the two
 * change places. It must not know whether the tenant is open: who calls closes
 * it before the exchange, and says in the system store what a crash leaves
 * (ledger/tenant_restore.h).
 */
#ifndef APPLIANCE_SETUP_RESTORE_BESIDE_H
#define APPLIANCE_SETUP_RESTORE_BESIDE_H

#include "appliance/setup/setup.h"

#include <stdint.h>

struct setup_beside {
	const char *state; /* the site's folder */
	const char *site; /* id */
	uint8_t *secret; /* of the site; borrowed, only read */
	const struct site_keys *keys; /* of the site; NULL: one */
	const char *tenant;
	int fd; /* the dump */
	uint64_t bytes;
	char words[320]; /* out: what is wrong with it, for people; or "" */
};

/**
 * Read the dump and check everything: every batch of the journal is signed by
 * this site and for this tenant, its key is the one that the tenant has, the
 * store opens and stands where its journal ends, and the state in it is what
 * its journal folds to. On an error nothing is left. Takes long: not in a loop.
 */
int setup_beside_make(struct setup_beside *beside);
/** Where the store is until the exchange. */
int setup_beside_path(char out[SETUP_PATH_MAX], const char *state,
    const char *tenant);
/** The two change places, on the disk when it returns 0. */
int setup_beside_exchange(const char *state, const char *tenant);
/** What is there, if anything: the store that was replaced, or one that came to
 * nothing. */
int setup_beside_clear(const char *state, const char *tenant);

#endif
