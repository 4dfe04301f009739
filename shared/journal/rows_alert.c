/* Tables of the rows about alerts; see rows.h. */
#include "shared/journal/rows_private.h"

const char *const alert_kind_names[] = { "unknown_address", "unknown_host",
	"unknown_fingerprint", "no_certificate", "unusual_rate", "out_of_hours",
	"quota", "license_expiring", "rollback", "clock", "disk", "map", "test",
	"license_overrun", "usage_limit", "license_status", "sync", "unsynced",
	"issuer_expiring", NULL };
const char *const alert_about_names[] = { "site", "tenant", "key", "license",
	"device", "channel", NULL };
const char *const alert_end_names[] = { "ended", "quiet", NULL };

static const struct record_field alert_subject_fields[] = {
	R_ENUM(alert_subject, kind, alert_kind_names, 0, "What happened."),
	R_ENUM(alert_subject, about, alert_about_names, 0, "What it is about."),
	R_U64(alert_subject, id, 0, U53_MAX, 0,
	    "Number of what it is about; 0: there is one only."),
	R_U32(alert_subject, stage, 0, UINT32_MAX, 0,
	    "How far it has come: percent, days."),
};
RECORD_DEFINE(alert_subject, 1, "What one alert is about.");

static const struct record_field row_alert_opened_fields[] = {
	R_U64(row_alert_opened, alert, 1, U53_MAX, 0, "Its number."),
	R_STRUCT(row_alert_opened, subject, &alert_subject_record, 0,
	    "What it is about."),
	R_FIXED(row_alert_opened, address, RECORD_OPTIONAL,
	    "Subject id of the address of the first."),
	R_FIXED(row_alert_opened, host, RECORD_OPTIONAL,
	    "Subject id of the host that it named."),
	R_FIXED(row_alert_opened, fingerprint, RECORD_OPTIONAL,
	    "Fingerprint of its application, as it said."),
	R_U64(row_alert_opened, value, 0, U53_MAX, RECORD_OPTIONAL,
	    "What was found."),
	R_U64(row_alert_opened, limit, 0, U53_MAX, RECORD_OPTIONAL,
	    "What it should not be above."),
	R_U64(row_alert_opened, count, 1, U53_MAX, 0, "So often."),
	R_TIME(row_alert_opened, first_at, 0, "When it happened first."),
	R_TIME(row_alert_opened, last_at, 0, "And last."),
};
RECORD_DEFINE(row_alert_opened, 1, "Something that somebody must know.");

static const struct record_field row_alert_again_fields[] = {
	R_U64(row_alert_again, alert, 1, U53_MAX, 0, "Its number."),
	R_U64(row_alert_again, count, 1, U53_MAX, 0,
	    "So often since the row before."),
	R_TIME(row_alert_again, last_at, 0, "The last time."),
};
RECORD_DEFINE(row_alert_again, 1, "It happened again.");

static const struct record_field row_alert_acknowledged_fields[] = {
	R_U64(row_alert_acknowledged, alert, 1, U53_MAX, 0, "Its number."),
	R_STRUCT(row_alert_acknowledged, by, &row_actor_record, 0, "Who did."),
};
RECORD_DEFINE(row_alert_acknowledged, 1, "Somebody has seen it.");

static const struct record_field row_alert_closed_fields[] = {
	R_U64(row_alert_closed, alert, 1, U53_MAX, 0, "Its number."),
	R_ENUM(row_alert_closed, why, alert_end_names, 0, "Why."),
};
RECORD_DEFINE(row_alert_closed, 1, "It is over.");

/* --- where they go ------------------------------------------------------------ */

const char *const channel_takes_names[] = { "alerts", "invoices", "crm", NULL };
const char *const channel_kind_names[] = { "webhook", "mail", "syslog", NULL };
const char *const alert_severity_names[] = { "info", "warning", "critical",
	NULL };
const char *const delivery_event_names[] = { "dead", "retried", "dropped",
	NULL };

static const struct record_field row_channel_added_fields[] = {
	R_U64(row_channel_added, channel, 1, U53_MAX, 0, "Its number."),
	R_ENUM(row_channel_added, kind, channel_kind_names, 0, "What it is."),
	R_ENUM(row_channel_added, least, alert_severity_names, 0,
	    "How bad it must be to go there."),
	R_ENUM(row_channel_added, takes, channel_takes_names, RECORD_OPTIONAL,
	    "What goes there; absent: alerts."),
	R_FIXED(row_channel_added, document, 0, "Id of its document."),
	R_FIXED(row_channel_added, commitment, 0,
	    "BLAKE2b-256 of salt, kind and document."),
	R_STRUCT(row_channel_added, by, &row_actor_record, 0, "Who did."),
};
RECORD_DEFINE(row_channel_added, 1, "Alerts go there too.");

static const struct record_field row_channel_removed_fields[] = {
	R_U64(row_channel_removed, channel, 1, U53_MAX, 0, "Its number."),
	R_STRUCT(row_channel_removed, by, &row_actor_record, 0, "Who did."),
};
RECORD_DEFINE(row_channel_removed, 1, "Alerts do not go there any more.");

static const struct record_field row_delivery_fields[] = {
	R_FIXED(row_delivery, delivery, 0, "Its id, as its receiver knows it."),
	R_ENUM(row_delivery, of, channel_takes_names, RECORD_OPTIONAL,
	    "What it is of; absent: an alert."),
	R_U64(row_delivery, alert, 1, U53_MAX, 0, "Its number."),
	R_U64(row_delivery, channel, 1, U53_MAX, 0, "To this channel."),
	R_ENUM(row_delivery, event, delivery_event_names, 0,
	    "What became of it."),
	R_STRUCT(row_delivery, by, &row_actor_record, 0, "Who did it."),
};
RECORD_DEFINE(row_delivery, 1, "A delivery that did not go by itself.");
