/*
 * Credit notes, for the process around the core: it has looked what a customer
 * owes for the month, which the core cannot know. It must not know how that is
 * added up.
 */
#ifndef APPLIANCE_HUB_CREDIT_H
#define APPLIANCE_HUB_CREDIT_H

#include "appliance/ledger/ledger.h"

/** Credits of one customer that stand in one month's statement at most; a
 * statement of a year still holds them all. */
#define HUB_CREDITS_MONTH_MAX 20

/** LEDGER_HUB_CREDIT. */
struct hub_credit {
	struct billing_credit_add asked;
	int32_t first, last; /* days of the month */
	char currency[4]; /* of the statement; "": it has no line */
	/** The sum of its lines, before credits and taxes, and of those of the
	 * license alone; all as far as was reported. */
	int64_t owed;
	int64_t owed_license;
	/** The customer's licenses are in several currencies, and have no one
	 * sum: `owed` is that of the license. */
	bool alone;
};
extern const struct record hub_credit_record;

#endif
