/* Tables of messages_events.h. */
#include "shared/rpc/messages_events.h"

#include "shared/rpc/tables.h"

static const struct record_field event_query_fields[] = {
	R_BOOL(event_query, resume, OPT,
	    "Begin behind the row that `after` names, not with what comes "
	    "now."),
	R_U64(event_query, after, 0, U53_MAX, OPT,
	    "The last row already seen; the header Last-Event-ID says the "
	    "same."),
};
RECORD_DEFINE(event_query, 1, "Where a stream of events begins.");

static const struct record_field event_item_fields[] = {
	R_U64(event_item, row, 1, U53_MAX, 0, "The row's number: the id."),
	R_TEXT(event_item, kind, 1, 31, 0, "What happened, lease.granted."),
	R_STRING(event_item, data, 2, EVENT_DATA_MAX, 0, "As a JSON object."),
};
RECORD_DEFINE(event_item, 1, "A row of the journal as an event.");

static const struct record_field event_page_fields[] = {
	R_LIST(event_page, items, &event_item_record, 0, EVENT_PAGE_MAX, 0,
	    "In the order of the journal."),
};
RECORD_DEFINE(event_page, 1, "Events, in the order of the journal.");

static const struct record_field metrics_text_fields[] = {
	R_STRING(metrics_text, text, 0, METRICS_TEXT_MAX, 0,
	    "In the text format of Prometheus."),
};
RECORD_DEFINE(metrics_text, 1, "Figures, in the text format of Prometheus.");
