/*
 * Requests and replies about alerts: what somebody must know of, in words, and
 * what to type against it. Kinds are those of the rows.
 */
#ifndef SHARED_RPC_MESSAGES_ALERT_H
#define SHARED_RPC_MESSAGES_ALERT_H

#include "shared/journal/rows.h"
#include "shared/record/record.h"

#define ALERT_TEXT_MAX 383
#define ALERT_ANSWER_MAX 191

enum alert_severity { ALERT_INFO, ALERT_WARNING, ALERT_CRITICAL };
extern const char *const alert_severity_names[];
enum alert_state { ALERT_OPEN, ALERT_ACKNOWLEDGED, ALERT_CLOSED };
extern const char *const alert_state_names[];

struct alert_view {
	uint64_t alert; /* 0: not journaled yet, for nothing can be */
	uint32_t kind; /* enum alert_kind */
	uint32_t severity;
	uint32_t state;
	char about[96]; /* "key-17" */
	uint32_t stage;
	uint64_t count;
	int64_t first_at, last_at;
	int64_t acknowledged_at, closed_at; /* 0: not */
	struct row_actor by; /* who acknowledged it */
	char address[64], host[128];
	char fingerprint[65];
	char text[ALERT_TEXT_MAX + 1];
	char answer[ALERT_ANSWER_MAX + 1]; /* a command */
};

struct alert_number {
	uint64_t alert;
};
struct alert_query {
	uint64_t after;
	uint32_t limit;
	bool all; /* those too that are closed */
};
/** A page may hold fewer than asked for, or none, and have a next one. */
struct alert_page {
	struct record_list items; /* alert_view */
	uint64_t next;
};

extern const struct record alert_view_record, alert_number_record,
    alert_query_record, alert_page_record;

#endif
