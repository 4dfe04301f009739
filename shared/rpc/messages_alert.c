/* Tables: alerts. */
#include "shared/rpc/messages_alert.h"

#include "shared/rpc/tables.h"

const char *const alert_severity_names[] = { "info", "warning", "critical",
	NULL };
const char *const alert_state_names[] = { "open", "acknowledged", "closed",
	NULL };

static const struct record_field alert_view_fields[] = {
	R_U64(alert_view, alert, 0, U53_MAX, 0,
	    "Its number; 0: it is not journaled yet, for nothing can be."),
	R_ENUM(alert_view, kind, alert_kind_names, 0, "What happened."),
	R_ENUM(alert_view, severity, alert_severity_names, 0, "How bad it is."),
	R_ENUM(alert_view, state, alert_state_names, 0, "What became of it."),
	R_TEXT(alert_view, about, 1, 95, 0, "\"key-17\", \"site\"."),
	R_U32(alert_view, stage, 0, UINT32_MAX, OPT,
	    "How far it has come: percent, days."),
	R_U64(alert_view, count, 1, U53_MAX, 0, "How often it happened."),
	R_TIME(alert_view, first_at, 0, "When it happened first."),
	R_TIME(alert_view, last_at, 0, "And last."),
	R_TIME(alert_view, acknowledged_at, OPT, "When somebody had seen it."),
	R_STRUCT(alert_view, by, &row_actor_record, OPT, "Who it was."),
	R_TIME(alert_view, closed_at, OPT, "When it was over."),
	R_TEXT(alert_view, address, 0, 63, OPT, "Where the first came from."),
	R_TEXT(alert_view, host, 0, 127, OPT, "The host that it named."),
	R_TEXT(alert_view, fingerprint, 0, 64, OPT,
	    "Of its application, as it said; in hex."),
	R_TEXT(alert_view, text, 1, ALERT_TEXT_MAX, 0, "In words."),
	R_TEXT(alert_view, answer, 0, ALERT_ANSWER_MAX, OPT,
	    "The command that answers it."),
};
RECORD_DEFINE(alert_view, 1, "Something that somebody must know.");

static const struct record_field alert_number_fields[] = {
	R_U64(alert_number, alert, 1, U53_MAX, 0, "Number of the alert."),
};
RECORD_DEFINE(alert_number, 1, "An alert.");

static const struct record_field alert_query_fields[] = {
	R_CURSOR(alert_query, after, 'A', OPT, "Cursor: the `next` before."),
	R_U32(alert_query, limit, 0, LIST_LIMIT_MAX, OPT, "Most of a page."),
	R_BOOL(alert_query, all, OPT, "Those too that are over."),
};
RECORD_DEFINE(alert_query, 1, "Which alerts?");

static const struct record_field alert_page_fields[] = {
	R_LIST(alert_page, items, &alert_view_record, 0, LIST_LIMIT_MAX + 64, 0,
	    "In order of their numbers."),
	R_CURSOR(alert_page, next, 'A', OPT,
	    "For the next page; absent: the end."),
};
RECORD_DEFINE(alert_page, 1, "A page of alerts.");
