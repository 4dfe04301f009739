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

/* --- where they go ---------------------------------------------------------- */

/** Channels of a tenant at once, and of mail the addresses of one. */
#define CHANNELS_MAX 32
#define CHANNEL_TO_MAX 16

struct channel_address {
	char address[256];
};
/** What is kept sealed of a channel. */
struct channel_document {
	char name[64];
	char url[1024]; /* of a webhook */
	char secret[64]; /* its body is signed with */
	struct record_list to; /* of mail: channel_address */
};
struct channel_add {
	char name[64];
	uint32_t kind; /* enum channel_kind */
	uint32_t least; /* enum alert_severity */
	uint32_t takes; /* enum channel_takes */
	char url[1024];
	struct record_list to; /* channel_address */
};
struct channel_added {
	uint64_t channel;
	char secret[64]; /* of a webhook: the only time that it is shown */
};
struct channel_number {
	uint64_t channel;
};
struct channel_view {
	uint64_t channel;
	uint32_t kind, least, takes;
	char name[64];
	char url[1024];
	struct record_list to;
	int64_t created_at;
	struct row_actor by;
};
struct channel_page {
	struct record_list items; /* channel_view */
};

/** Of an alert, opened or closed. */
enum alert_event_kind {
	ALERT_EVENT_OPENED,
	ALERT_EVENT_CLOSED,
	ALERT_EVENT_MADE, /* what is none */
};
extern const char *const alert_event_names[];
enum delivery_state { DELIVERY_WAITS, DELIVERY_IS_DEAD };
extern const char *const delivery_state_names[];
struct delivery_view {
	char delivery[33]; /* hex: its id, as its receiver knows it */
	uint32_t of; /* enum channel_takes */
	uint64_t alert, invoice; /* its number, the other 0 */
	uint64_t customer; /* of news for a CRM; else 0 */
	char news[32]; /* "license.renewed"; else "" */
	uint64_t channel;
	uint32_t event; /* enum alert_event_kind */
	uint32_t state;
	uint32_t attempts;
	int64_t created_at;
	int64_t due_at; /* of the next try */
	uint32_t status; /* of the last answer; 0: none */
	char error[128];
};
struct delivery_ref {
	char delivery[33];
};
struct delivery_query {
	bool dead; /* those alone that are given up */
};
/** The first ones, in order. */
#define DELIVERY_PAGE_MAX 256
struct delivery_page {
	struct record_list items; /* delivery_view */
	uint64_t waiting, dead; /* all of them */
};

/** What a webhook gets. */
struct alert_event {
	char id[33]; /* the same for each try */
	uint32_t event;
	char site[64], tenant[64];
	int64_t sent_at;
	struct alert_view alert; /* as it is now */
};

extern const struct record alert_view_record, alert_number_record,
    alert_query_record, alert_page_record, channel_address_record,
    channel_document_record, channel_add_record, channel_added_record,
    channel_number_record, channel_view_record, channel_page_record,
    delivery_view_record, delivery_ref_record, delivery_query_record,
    delivery_page_record, alert_event_record;

#endif
