/* Tables: alerts. */
#include "shared/rpc/messages_alert.h"

#include "shared/rpc/tables.h"

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

/* --- where they go ------------------------------------------------------------ */

const char *const alert_event_names[] = { "alert.opened", "alert.closed",
	"made", NULL };
const char *const delivery_state_names[] = { "waits", "dead", NULL };

static const struct record_field channel_address_fields[] = {
	R_TEXT(channel_address, address, 3, 255, 0, "\"ops@plant.example\"."),
};
const struct record channel_address_record = {
	.name = "channel_address",
	.doc = "A mail address.",
	.version = 1,
	.size = sizeof(struct channel_address),
	.fields = channel_address_fields,
	.n_fields = 1,
	.bare = true,
};

#define TO(S)                                                          \
	R_LIST(S, to, &channel_address_record, 0, CHANNEL_TO_MAX, OPT, \
	    "Of mail: who gets it.")
#define URL(S) R_TEXT(S, url, 0, 1023, OPT, "Of a webhook: https://...")

static const struct record_field channel_document_fields[] = {
	R_TEXT(channel_document, name, 1, 63, 0, "For people."),
	URL(channel_document),
	R_TEXT(channel_document, secret, 0, 63, OPT | RECORD_SECRET,
	    "That bodies are signed with."),
	TO(channel_document),
};
RECORD_DEFINE(channel_document, 1, "What is kept of a channel.");

static const struct record_field channel_add_fields[] = {
	R_TEXT(channel_add, name, 1, 63, 0, "For people."),
	R_ENUM(channel_add, kind, channel_kind_names, 0, "What it is."),
	R_ENUM(channel_add, least, alert_severity_names, OPT,
	    "How bad it must be to go there; absent: all goes."),
	R_ENUM(channel_add, takes, channel_takes_names, OPT,
	    "What goes there: alerts, or a hub's invoices or news for a CRM; "
	    "absent: alerts."),
	URL(channel_add),
	TO(channel_add),
};
RECORD_DEFINE(channel_add, 1, "Send alerts, or invoices, there too.");

static const struct record_field channel_added_fields[] = {
	R_U64(channel_added, channel, 1, U53_MAX, 0, "Its number."),
	R_TEXT(channel_added, secret, 0, 63, OPT | RECORD_SECRET,
	    "Of a webhook: its body is signed with it. Shown once."),
};
RECORD_DEFINE(channel_added, 1, "Alerts go there too.");

static const struct record_field channel_number_fields[] = {
	R_U64(channel_number, channel, 1, U53_MAX, 0, "Its number."),
};
RECORD_DEFINE(channel_number, 1, "A channel.");

static const struct record_field channel_view_fields[] = {
	R_U64(channel_view, channel, 1, U53_MAX, 0, "Its number."),
	R_ENUM(channel_view, kind, channel_kind_names, 0, "What it is."),
	R_ENUM(channel_view, least, alert_severity_names, 0,
	    "How bad it must be to go there."),
	R_ENUM(channel_view, takes, channel_takes_names, 0, "What goes there."),
	R_TEXT(channel_view, name, 0, 63, 0, "For people."),
	URL(channel_view),
	TO(channel_view),
	R_TIME(channel_view, created_at, 0, "Since when."),
	R_STRUCT(channel_view, by, &row_actor_record, 0, "Who made it."),
};
RECORD_DEFINE(channel_view, 1, "Where alerts go.");

static const struct record_field channel_page_fields[] = {
	R_LIST(channel_page, items, &channel_view_record, 0, CHANNELS_MAX, 0,
	    "All of them."),
};
RECORD_DEFINE(channel_page, 1, "Where alerts go.");

static const struct record_field delivery_view_fields[] = {
	R_TEXT(delivery_view, delivery, 32, 32, 0,
	    "Its id, as its receiver knows it."),
	R_ENUM(delivery_view, of, channel_takes_names, 0, "What it is of."),
	R_U64(delivery_view, alert, 0, U53_MAX, OPT, "Of this alert."),
	R_U64(delivery_view, invoice, 0, U53_MAX, OPT, "Of this invoice."),
	R_U64(delivery_view, customer, 0, U53_MAX, OPT,
	    "News for a CRM, of the customer of this number:"),
	R_TEXT(delivery_view, news, 0, 31, OPT, "\"license.renewed\"."),
	R_U64(delivery_view, channel, 1, U53_MAX, 0, "To this channel."),
	R_ENUM(delivery_view, event, alert_event_names, 0, "What it tells."),
	R_ENUM(delivery_view, state, delivery_state_names, 0,
	    "Will it be tried again?"),
	R_U32(delivery_view, attempts, 0, UINT32_MAX, 0, "Tries so far."),
	R_TIME(delivery_view, created_at, 0, "Since when."),
	R_TIME(delivery_view, due_at, OPT, "When it is tried next."),
	R_U32(delivery_view, status, 0, 999, OPT, "What was answered last."),
	R_TEXT(delivery_view, error, 0, 127, OPT, "What went wrong last."),
};
RECORD_DEFINE(delivery_view, 1, "What is on its way to a channel.");

static const struct record_field delivery_ref_fields[] = {
	R_TEXT(delivery_ref, delivery, 32, 32, 0, "Its id."),
};
RECORD_DEFINE(delivery_ref, 1, "A delivery.");

static const struct record_field delivery_query_fields[] = {
	R_BOOL(delivery_query, dead, OPT, "Those alone that are given up."),
};
RECORD_DEFINE(delivery_query, 1, "Which deliveries?");

static const struct record_field delivery_page_fields[] = {
	R_LIST(delivery_page, items, &delivery_view_record, 0,
	    DELIVERY_PAGE_MAX, 0, "The first ones, in order."),
	R_U64(delivery_page, waiting, 0, U53_MAX, 0, "All that wait."),
	R_U64(delivery_page, dead, 0, U53_MAX, 0, "All that are given up."),
};
RECORD_DEFINE(delivery_page, 1, "What is on its way.");

static const struct record_field alert_event_fields[] = {
	R_TEXT(alert_event, id, 32, 32, 0, "The same for each try."),
	R_ENUM(alert_event, event, alert_event_names, 0, "What happened."),
	R_TEXT(alert_event, site, 1, 63, 0, "Id of the site."),
	R_TEXT(alert_event, tenant, 1, 63, 0, "Whose it is."),
	R_TIME(alert_event, sent_at, 0, "When this try was made."),
	R_STRUCT(alert_event, alert, &alert_view_record, 0,
	    "The alert as it is now."),
};
RECORD_DEFINE(alert_event, 1, "What a webhook gets.");
