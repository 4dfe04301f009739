/*
 * Records of a hub's analytics: who used what, how much of it beyond what he
 * bought, when, and what it brought. They must not know how a statement is calculated.
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

/** Checkouts that were refused. */
struct analytics_denial {
	char code[32]; /* "no_seats" */
	uint64_t count;
};
#define ANALYTICS_DENIALS_MAX 16

/** One license. Money is in minor units, without credits and taxes. What is said
 * of all checkouts comes from hours that sites report, and is 0 where they do
 * not; overage comes from the rows that prove it. */
struct analytics_line {
	char crm_account_id[64];
	char customer_name[128];
	char product_id[64];
	char product_name[128];
	char license_id[64];
	uint32_t commit_seats;
	uint64_t checkouts;
	uint64_t seat_seconds; /* seats times how long they were held */
	uint32_t peak_seats; /* of one feature, held at once */
	uint64_t denials;
	uint64_t overage_checkouts;
	uint32_t overage_percent; /* of the seats that were given out */
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

/** An hour of the week, UTC, in which seats were used. */
struct analytics_hour {
	uint32_t weekday; /* 1 is Monday, 7 Sunday */
	uint32_t hour;
	uint64_t checkouts;
	uint64_t seat_seconds;
	uint64_t overage_checkouts;
};

/** Sums are of all that was asked for, items of one page of it. */
struct analytics {
	uint64_t customers;
	uint64_t licenses;
	uint64_t licenses_with_overage;
	uint64_t checkouts;
	uint64_t seat_seconds;
	uint64_t denials;
	uint64_t overage_checkouts;
	uint32_t overage_percent; /* of the seats that were given out */
	struct record_list denied; /* analytics_denial, by code */
	struct record_list revenue; /* analytics_revenue, by currency */
	struct record_list hours; /* analytics_hour, the busiest first */
	struct record_list items; /* analytics_line */
	uint64_t next;
};

extern const struct record analytics_query_record, analytics_line_record,
    analytics_revenue_record, analytics_hour_record, analytics_denial_record,
    analytics_record;

#endif
