/*
 * Invoices of an account: one for a customer and a month, made when the month is
 * over and its sites have reported all of it, and never changed. Its bytes are
 * those of the statement's invoice form, made around the core, which keeps them
 * and owes them to the channels that take invoices. It must not know how a
 * statement is added up, nor how anything is sent.
 *
 *   number   of the account, from 1; a gap only where the store was put back
 *            (hub_next()); the table hub_invoices
 *   name     customer and month, so that there is one
 *   again    the same bytes, to the channels that there are now
 *   by itself  ../ledger/invoicing.h, as an admin would
 */
#ifndef APPLIANCE_HUB_INVOICE_H
#define APPLIANCE_HUB_INVOICE_H

#include "appliance/ledger/ledger.h"

struct state;
struct row;
struct fold_place;
struct batch;
struct command;

/** LEDGER_HUB_INVOICE: made of what was asked for. */
struct hub_invoice_add {
	struct billing_invoice_add asked;
	uint64_t known; /* hub_invoice_known() before its bytes were made */
	int32_t first, last; /* days of the month */
	int64_t total;
	char currency[4]; /* "": there is nothing to pay for */
	struct record_span document;
};
extern const struct record hub_invoice_add_record;

struct hub_invoice {
	struct row_invoice row;
	uint64_t owed_by; /* number of the row that it was sent for last */
	int64_t at;
};
extern const struct record hub_invoice_record;

/** ERR_NOT_FOUND_INTERNAL: there is none of that number. */
int hub_invoice(struct hub_invoice *out, const struct state *state,
    uint64_t number, struct arena *arena);

/**
 * What of a customer's usage and credits of a month is here, as a number that
 * goes up with each report and credit that may stand in its invoice: bytes that
 * were made since it was taken, and before it changed, tell of all of it. A site
 * that has reported beyond the month adds nothing to it any more. 0: there is no
 * such customer.
 */
int hub_invoice_known(uint64_t *known, const struct state *state,
    const char *crm_account_id, int32_t first, int32_t last);
/** For who makes them by himself. */
struct hub_billed {
	uint64_t number;
	char crm_account_id[64];
	uint64_t orders; /* so many licenses he has */
	/** All of his sites have reported until then, ms; 0: one of them
	 * nothing; INT64_MAX: he has none. */
	int64_t reported_until;
};
/** The first one from that number on. ERR_NOT_FOUND_INTERNAL: there are no
 * more. */
int hub_billed(struct hub_billed *out, struct ledger_view *view, uint64_t from);
/** Is there one for the month of that first day? */
int hub_invoice_made(bool *made, struct ledger_view *view, uint64_t customer,
    int32_t first);

int decide_hub_invoice(struct batch *batch, struct command *command);
int fold_invoice(struct state *state, const struct row *row,
    const struct fold_place *place);

#endif
