/*
 * Invoices of a hub that are made by themselves ([billing] invoice_day): for each
 * customer of an account, and each month since invoice_from that is over and
 * whose day has come, the one that an admin would make. Once an hour, and when a
 * day begins (also since an admin confirmed that time went on), all customers are
 * looked at, one after the other, on the auditor's thread; what is found is
 * committed by the hub itself as billing.invoice.add would be, one at a time, so
 * that there is one for a customer and month however often this is cut short. A
 * month that not every site of the customer has reported waits. What was not made
 * for a year is left to people, and what was due when a generation of the journal
 * began: it may stand in what was lost, and was sent then. It must not know what
 * stands in an invoice, nor where it goes.
 */
#ifndef APPLIANCE_LEDGER_INVOICING_H
#define APPLIANCE_LEDGER_INVOICING_H

#include <stdbool.h>
#include <stdint.h>

struct tenant;

/** A part of a tenant; while `busy` it is the auditor thread's. */
struct tenant_invoicing {
	bool busy;
	int64_t next_at; /* boottime, ms: of the next round */
	int32_t day; /* of the last round's begin, since the epoch */
	uint64_t customer; /* looked at next; 0: a round begins */
	uint32_t waiting; /* for reports: of this round */
	uint32_t told; /* as the log has it */
	uint32_t left; /* to people: of this round */
	uint32_t left_told;
};

/** Once a second. */
void invoicing_tick(struct tenant *tenant);

#endif
