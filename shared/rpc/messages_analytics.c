/* Tables of messages_analytics.h. */
#include "shared/rpc/messages_analytics.h"

#include "shared/rpc/tables.h"

static const struct record_field analytics_query_fields[] = {
	R_TEXT(analytics_query, period, 7, 21, 0,
	    "A month, \"2026-11\", or days, both included: "
	    "\"2026-11-03/2026-11-20\"; of UTC, at most 366."),
	R_TEXT(analytics_query, customer_crm_id, 0, 63, OPT,
	    "Of one customer: the account's id in the vendor's CRM."),
	R_TEXT(analytics_query, product_id, 0, 63, OPT, "Of one product."),
	R_CURSOR(analytics_query, after, 'Y', OPT, "From an earlier page."),
	R_U32(analytics_query, limit, 0, ANALYTICS_ITEMS_MAX, OPT,
	    "Items at most; absent: 100."),
};
RECORD_DEFINE(analytics_query, 1, "Usage of which days and whom.");

static const struct record_field analytics_denial_fields[] = {
	R_TEXT(analytics_denial, code, 1, 31, 0, "Why."),
	R_U64(analytics_denial, count, 1, U53_MAX, 0, "So often."),
};
RECORD_DEFINE(analytics_denial, 1, "Refusals of one kind.");

static const struct record_field analytics_line_fields[] = {
	R_TEXT(analytics_line, crm_account_id, 0, 63, 0, "The customer."),
	R_TEXT(analytics_line, customer_name, 0, 127, OPT, "His name."),
	R_TEXT(analytics_line, product_id, 0, 63, 0, "The product."),
	R_TEXT(analytics_line, product_name, 0, 127, OPT, "Its name."),
	R_TEXT(analytics_line, license_id, 0, 63, 0, "The license."),
	R_U32(analytics_line, commit_seats, 0, UINT32_MAX, 0,
	    "Seats that are paid for anyway."),
	R_U64(analytics_line, checkouts, 0, U53_MAX, OPT,
	    "Leases and borrows, as its site reports by the hour; absent: none "
	    "were reported."),
	R_U64(analytics_line, seat_seconds, 0, U53_MAX, OPT,
	    "Seats times how long they were held."),
	R_U32(analytics_line, peak_seats, 0, UINT32_MAX, OPT,
	    "Most seats of one feature held at once."),
	R_U64(analytics_line, denials, 0, U53_MAX, OPT, "Checkouts refused."),
	R_U64(analytics_line, overage_checkouts, 0, U53_MAX, 0,
	    "Seats taken beyond them."),
	R_U32(analytics_line, overage_percent, 0, 100, OPT,
	    "Of the seats that were given out, rounded down."),
	R_U64(analytics_line, overage_per_100_seats, 0, U53_MAX, 0,
	    "The same for each 100 of them, rounded down."),
	R_TEXT(analytics_line, currency, 3, 3, 0, "ISO 4217."),
	R_MONEY(analytics_line, overage_cost, currency, 0,
	    "What the overage costs."),
	R_MONEY(analytics_line, commit_fee, currency, 0, "The fee."),
	R_MONEY(analytics_line, revenue, currency, 0,
	    "Both, and what else the license bills; without credits and "
	    "taxes."),
};
RECORD_DEFINE(analytics_line, 1, "What one license was used for.");

static const struct record_field analytics_revenue_fields[] = {
	R_TEXT(analytics_revenue, currency, 3, 3, 0, "ISO 4217."),
	R_MONEY(analytics_revenue, overage_cost, currency, 0, "Of overage."),
	R_MONEY(analytics_revenue, commit_fee, currency, 0, "Of fees."),
	R_MONEY(analytics_revenue, revenue, currency, 0, "Of all."),
};
RECORD_DEFINE(analytics_revenue, 1, "Revenue in one currency.");

static const struct record_field analytics_hour_fields[] = {
	R_U32(analytics_hour, weekday, 1, 7, 0, "1 is Monday, 7 Sunday; UTC."),
	R_U32(analytics_hour, hour, 0, 23, OPT, "It begins then; absent: 0."),
	R_U64(analytics_hour, checkouts, 0, U53_MAX, OPT,
	    "Leases and borrows begun in it."),
	R_U64(analytics_hour, seat_seconds, 0, U53_MAX, OPT,
	    "Seats times how long they were held in it."),
	R_U64(analytics_hour, overage_checkouts, 0, U53_MAX, OPT,
	    "Seats taken beyond the commitment, of the whole period."),
};
RECORD_DEFINE(analytics_hour, 1, "An hour of the week.");

static const struct record_field analytics_fields[] = {
	R_U64(analytics, customers, 0, U53_MAX, 0, "Customers."),
	R_U64(analytics, licenses, 0, U53_MAX, 0, "Their licenses, of which"),
	R_U64(analytics, licenses_with_overage, 0, U53_MAX, 0,
	    "were used beyond their seats,"),
	R_U64(analytics, overage_checkouts, 0, U53_MAX, 0, "so many times."),
	R_U32(analytics, overage_percent, 0, 100, OPT,
	    "Of the seats that were given out, rounded down."),
	R_U64(analytics, checkouts, 0, U53_MAX, OPT,
	    "Leases and borrows, as sites report by the hour."),
	R_U64(analytics, seat_seconds, 0, U53_MAX, OPT,
	    "Seats times how long they were held."),
	R_U64(analytics, denials, 0, U53_MAX, OPT, "Checkouts refused."),
	R_LIST(analytics, denied, &analytics_denial_record, 0,
	    ANALYTICS_DENIALS_MAX, OPT, "Why."),
	R_LIST(analytics, revenue, &analytics_revenue_record, 0,
	    ANALYTICS_CURRENCIES_MAX, OPT, "By currency."),
	R_LIST(analytics, hours, &analytics_hour_record, 0, ANALYTICS_HOURS,
	    OPT, "Hours of the week with use, the busiest first."),
	R_LIST(analytics, items, &analytics_line_record, 0, ANALYTICS_ITEMS_MAX,
	    0, "License by license, by customer."),
	R_CURSOR(analytics, next, 'Y', OPT,
	    "For `after`; absent: that was all."),
};
RECORD_DEFINE(analytics, 1, "Usage of customers.");
