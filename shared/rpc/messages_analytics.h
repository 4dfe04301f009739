/*
 * Records of a hub's analytics: who used what beyond what he bought, when, and
 * what it brought. They must not know how a statement is calculated.
 */
#ifndef SHARED_RPC_MESSAGES_ANALYTICS_H
#define SHARED_RPC_MESSAGES_ANALYTICS_H

#include "shared/record/record.h"

#include <stdint.h>

#define ANALYTICS_ITEMS_MAX 500
#define ANALYTICS_CURRENCIES_MAX 32
/** Hours of a week. */
#define ANALYTICS_HOURS 168

struct analytics_query {
	char period[24]; /* as of a statement */
	char customer_crm_id[64]; /* "": every customer */
	char product_id[64]; /* "": every product */
	uint64_t after; /* cursor */
	uint32_t limit;
};

/** One license. Money is in minor units, without credits and taxes. */
struct analytics_line {
	char crm_account_id[64];
	char customer_name[128];
	char product_id[64];
	char product_name[128];
	char license_id[64];
	uint32_t commit_seats;
	uint64_t overage_checkouts;
	uint64_t overage_per_100_seats; /* rounded down */
	char currency[4];
	int64_t overage_cost;
	int64_t commit_fee;
	int64_t revenue; /* all lines of its statement */
};

struct analytics_revenue {
	char currency[4];
	int64_t overage_cost;
	int64_t commit_fee;
	int64_t revenue;
};

/** An hour of the week, UTC, in which there was overage. */
struct analytics_hour {
	uint32_t weekday; /* 1 is Monday, 7 Sunday */
	uint32_t hour;
	uint64_t overage_checkouts;
};

/** Sums are of all that was asked for, items of one page of it. */
struct analytics {
	uint64_t customers;
	uint64_t licenses;
	uint64_t licenses_with_overage;
	uint64_t overage_checkouts;
	struct record_list revenue; /* analytics_revenue, by currency */
	struct record_list hours; /* analytics_hour, the busiest first */
	struct record_list items; /* analytics_line */
	uint64_t next;
};

extern const struct record analytics_query_record, analytics_line_record,
    analytics_revenue_record, analytics_hour_record, analytics_record;

#endif
