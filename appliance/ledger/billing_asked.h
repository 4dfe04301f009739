/*
 * Statements as they are asked for: on the auditor's thread, whose the metering
 * projection is; a PDF is made there too, and nothing else waits for it. It must
 * not know what a statement is.
 */
#ifndef APPLIANCE_LEDGER_BILLING_ASKED_H
#define APPLIANCE_LEDGER_BILLING_ASKED_H

struct request;
struct tenant;
struct ledger_view;
struct problem;

/** Statement, overage export, evidence. */
void billing_asked(const struct request *request);
/** A credit note: what is owed is looked up, then the core decides. */
void credit_asked(const struct request *request);
/** billing.invoice.add: what is in it is looked up, then it is journaled. */
void invoice_asked(const struct request *request);

/** A view of which metering has counted all: a bill is whole or there is none.
 * ERR_UNAVAILABLE, with words: not yet. On the auditor's thread. */
int billing_open_view(struct ledger_view **view, struct tenant *tenant,
    struct problem *problem);

#endif
