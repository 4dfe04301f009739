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

struct hub_credit;
struct hub_invoice_add;
struct ledger_view;

/** Licenses of one vendor, in order of their ids; in an arena. */
struct billing_gathered {
	struct billing_license *licenses;
	size_t n_licenses;
	struct license_vendor vendor;
	uint64_t customer; /* at a hub; 0: a site, or of several */
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
	/** At a hub: the licenses of the customer of that number alone; 0: as
	 * above. */
	uint64_t number;
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

/**
 * Overage of each of those licenses in a period, in order of customers and
 * licenses. `customer`: of him alone; "": of all. A license that owes nothing has
 * a row too where its statement has a section.
 */
int billing_answer_rows(struct billing_overage **rows, size_t *n,
    const struct billing_gathered *gathered,
    const struct billing_period *period, const char *customer,
    struct metering *metering, struct arena *arena, struct problem *problem);

/** Credits that stand in the statement of that period, by their numbers; at most
 * BILLING_CREDITS_MAX, else ERR_TOO_LARGE. */
int billing_credits(struct billing_credit **credits, size_t *n,
    struct ledger_view *view, const struct billing_gathered *gathered,
    const struct billing_whose *whose, const struct billing_period *period,
    struct arena *arena);
/** What is owed for the month of a credit that is to be given: fills in all but
 * `asked`. */
int billing_owed(struct hub_credit *out, struct ledger_view *view,
    struct metering *metering, struct arena *arena, struct problem *problem);

/** Of the invoice that is asked for: fills in `known`. Before what was used is
 * counted for the view of billing_invoice(). */
int billing_invoice_known(struct hub_invoice_add *out,
    struct ledger_view *view);
/** What goes into it: fills in all but `asked` and `known`; bytes in the arena. */
int billing_invoice(struct hub_invoice_add *out, struct ledger_view *view,
    struct metering *metering, struct arena *arena, struct problem *problem);

/** Statement or evidence, as the operation says. The reply is
 * zeroed; its spans and lists go to the arena. */
int billing_answer(void *reply, enum operation_id op, const void *request,
    struct ledger_view *view, struct metering *metering, struct arena *arena,
    struct problem *problem);

#endif
