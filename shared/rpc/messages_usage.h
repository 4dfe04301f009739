/*
 * What is used beside seats, by named metric, and what was used in all: events
 * that programs send, and figures of a period. Source: DESIGN 12, REQUIREMENTS
 * C. It must not know how anything is counted.
 */
#ifndef SHARED_RPC_MESSAGES_USAGE_H
#define SHARED_RPC_MESSAGES_USAGE_H

#include "shared/rpc/messages.h"
#include "shared/rpc/messages_alert.h"

/** Events of one request. */
#define USAGE_EVENTS_MAX 100
/** Days of one report; lines of one page. */
#define USAGE_DAYS_MAX 366
#define USAGE_PAGE_MAX 1000

struct usage_event {
	/** Counts once, however often it is sent, for a week. */
	char event_id[65];
	char license_id[64]; /* this, or: */
	char product[64];
	char metric[64];
	uint32_t kind; /* enum usage_kind */
	uint64_t amount;
	int64_t timestamp; /* 0: now */
	char user[128];
};
struct usage_track {
	struct record_list events; /* usage_event */
};

enum usage_outcome {
	USAGE_COUNTED,
	USAGE_REPEATED, /* it had been counted */
	USAGE_REFUSED, /* `code` says why */
};
struct usage_result {
	char event_id[65];
	uint32_t outcome; /* enum usage_outcome */
	char code[32];
	char metric[64];
	uint64_t license; /* its number; 0: none fits. Not told. */
	/** In the narrowest hard limit's window, or this month: with it. */
	uint64_t used;
	uint64_t limit; /* 0: there is none */
};
struct usage_tracked {
	uint32_t counted, repeated, refused;
	struct record_list results; /* usage_result, as the events */
};

struct usage_limit_view {
	uint32_t per; /* enum license_per */
	uint64_t amount;
	bool soft;
	uint64_t used;
	uint32_t percent; /* at most 1000000 */
};
struct usage_metric_view {
	char metric[64];
	uint32_t kind; /* enum usage_kind */
	uint64_t value; /* of a gauge; the last amount of a counter */
	uint64_t this_minute, today, this_month;
	int64_t last_at; /* 0: never */
	struct record_list limits; /* usage_limit_view */
};
struct usage_license_view {
	char license_id[64];
	char product[64];
	uint32_t status; /* enum license_status */
	uint32_t tier; /* enum license_tier */
	uint32_t used; /* seats, of the product itself */
	uint32_t total;
	uint64_t overage_checkouts;
	struct record_list metrics; /* usage_metric_view */
};
struct usage_current {
	int64_t at;
	struct record_list licenses; /* usage_license_view */
};

struct usage_query {
	char period[24]; /* "2026-11-01,2026-11-30"; "": this month */
	char license_id[64];
};
struct usage_summary {
	uint64_t totalApiCalls;
	uint32_t peakConcurrency;
	char averageResponseTime[16]; /* ms, "0.412" */
	char errorRate[16]; /* "0.0031" */
	uint64_t checkouts, denials, overage;
	uint64_t seatHours;
};
struct usage_day {
	int32_t date; /* days since 1970 */
	uint64_t apiCalls;
	uint64_t users; /* gauge */
	uint64_t storageUsed; /* MB; gauge */
	uint64_t bandwidthUsed; /* GB; counter */
	uint64_t checkouts, denials, overage;
	uint32_t peakConcurrency;
};
struct usage_report_body {
	char period[24];
	struct usage_summary summary;
	struct record_list dailyBreakdown; /* usage_day */
};
struct usage_report {
	bool success;
	struct usage_report_body usageReport;
	uint64_t behind; /* rows that are not counted yet */
};

enum usage_by {
	USAGE_BY_FEATURE,
	USAGE_BY_LICENSE,
	USAGE_BY_SERIAL, /* as a statement has it */
	USAGE_BY_USER,
	USAGE_BY_HOST,
	USAGE_BY_METRIC,
	USAGE_BY_GROUP, /* of the policy in force, by its users */
};
enum usage_step { USAGE_WHOLE, USAGE_HOUR, USAGE_DAY, USAGE_MONTH };
struct usage_stats_query {
	char period[24];
	char license_id[64];
	uint32_t by; /* enum usage_by */
	uint32_t step; /* enum usage_step; absent: whole */
	uint64_t after; /* lines of earlier pages */
	uint32_t limit;
};
struct usage_denied {
	char code[32];
	uint64_t count;
};
struct usage_line {
	char license_id[64];
	uint64_t serial;
	char feature[64];
	char metric[64];
	char user[128];
	char hostname[128];
	int64_t from, to;
	uint64_t checkouts, seats, borrows;
	uint32_t peak;
	uint64_t seat_seconds, borrow_seconds;
	uint64_t overage, overage_first, overage_last;
	uint64_t denials;
	struct record_list denied; /* usage_denied */
	uint64_t events, sum, max, last; /* of a metric */
	char group[64];
};
struct usage_page {
	struct record_list items; /* usage_line */
	uint64_t next;
	uint64_t behind;
};

/** What `leasehold license install` takes beside a license. */
struct license_change_file {
	uint8_t vendor_key[TOKEN_PUBLIC_BYTES]; /* the vendor's root */
	struct record_span issuer; /* token */
	struct record_span change; /* token */
};

extern const char *const usage_outcome_names[], *const usage_by_names[],
						    *const usage_step_names[];
extern const struct record usage_event_record, usage_track_record,
    usage_result_record, usage_tracked_record, usage_current_record,
    usage_query_record, usage_report_record, usage_stats_query_record,
    usage_page_record, license_change_file_record;

#endif
