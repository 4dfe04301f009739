/*
 * Records of the stream of events and of the figures for Prometheus. It must
 * not know where either comes from.
 */
#ifndef SHARED_RPC_MESSAGES_EVENTS_H
#define SHARED_RPC_MESSAGES_EVENTS_H

#include "shared/record/record.h"

#include <stdint.h>

/** Events that one message between our processes holds at most. */
#define EVENT_PAGE_MAX 256
#define EVENT_DATA_MAX ((uint64_t)64 << 10)
#define METRICS_TEXT_MAX ((uint64_t)2 << 20)

struct event_query {
	bool resume; /* behind row `after`; else from now on */
	uint64_t after;
};
/** One row of the journal, as it is told. */
struct event_item {
	uint64_t row;
	char kind[32]; /* "lease.granted" */
	struct record_span data; /* a JSON object */
};
struct event_page {
	struct record_list items; /* event_item */
};

struct metrics_text {
	struct record_span text;
};

extern const struct record event_query_record, event_item_record,
    event_page_record, metrics_text_record;

#endif
