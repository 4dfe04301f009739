/*
 * Statements of a tenant: its licenses with all their serials out of a view of
 * the ledger (at a hub: those that the account issued to its customers), what was used out of the metering projection, handed to
 * appliance/billing. It must not know processes, prices or how anything is added
 * up.
 */
#ifndef APPLIANCE_LEDGER_BILLING_ANSWER_H
#define APPLIANCE_LEDGER_BILLING_ANSWER_H

#include "appliance/billing/billing.h"

#include "shared/rpc/operations.h"
#include "shared/rpc/rpc.h"

struct ledger_view;

/** Licenses of one vendor, in order of their ids; in an arena. */
struct billing_gathered {
	struct billing_license *licenses;
	size_t n_licenses;
	struct license_vendor vendor;
};

/** Which licenses. */
struct billing_whose {
	const char *vendor; /* its id; "": that of the licenses */
	const char *license; /* id of one; "": all */
	/** At a hub: his account's id in the CRM; "": that of the licenses. */
	const char *customer;
	/** They may be of several, and are all gathered, whosoever is asked
	 * for. */
	bool customers;
};

/**
 * Those that were installed (at a site), and those that were issued (at a hub);
 * in the store of either is nothing of the other.
 *
 * @retval ERR_NOT_FOUND    There is none.
 * @retval ERR_BAD_REQUEST  Of several vendors or customers; the problem names
 *                          them.
 */
int billing_gather(struct billing_gathered *out, struct ledger_view *view,
    const struct billing_whose *whose, struct arena *arena,
    struct problem *problem);

/** Statement, overage export or evidence, as the operation says. The reply is
 * zeroed; its spans and lists go to the arena. */
int billing_answer(void *reply, enum operation_id op, const void *request,
    struct ledger_view *view, struct metering *metering, struct arena *arena,
    struct problem *problem);

#endif
