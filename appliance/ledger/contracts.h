/*
 * When each license of one tenant grants nothing any more, in memory: a renewal
 * must not read the store. Filled at start, kept up by what is installed. It
 * decides about renewals only; what is granted is the core's (decide). It must
 * not know of leases, stores or clocks.
 */
#ifndef APPLIANCE_LEDGER_CONTRACTS_H
#define APPLIANCE_LEDGER_CONTRACTS_H

#include "shared/license/license.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Zero-initialised is empty and valid. */
struct contracts {
	int64_t *ends; /* by license number - 1, which are dense */
	size_t n;
};

/** From when on leases of this license are not renewed:
 * license_grants_until(). */
int64_t contracts_end(const struct license *license);

/** A license was installed or replaced. ERR_NOMEM. */
int contracts_set(struct contracts *contracts, uint64_t license, int64_t end);

/** Is it over? Not for a license that is not known. */
bool contracts_are_over(const struct contracts *contracts, uint64_t license,
    int64_t now);

void contracts_release(struct contracts *contracts);

#endif
