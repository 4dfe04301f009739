/* Tables of messages_audit.h. */
#include "shared/rpc/messages_audit.h"
#include "shared/license/succession.h"

#include "shared/rpc/tables.h"

static const struct record_field audit_query_fields[] = {
	R_TEXT(audit_query, user, 0, 127, OPT, "Whose seat, or who asked."),
	R_TEXT(audit_query, hostname, 0, 127, OPT, "Of which host."),
	R_TEXT(audit_query, ip_address, 0, 63, OPT,
	    "From which address, or range of them: 192.0.2.0/24."),
	R_TEXT(audit_query, product, 0, 63, OPT, "About which product."),
	R_TEXT(audit_query, result, 0, 47, OPT,
	    "With which result: granted, done, no_seats; refused: any "
	    "refusal."),
	R_TEXT(audit_query, event, 0, 47, OPT,
	    "What happened or was asked for: lease.granted, device.revoke."),
	R_TEXT(audit_query, actor, 0, 31, OPT,
	    "Who did it: site, admin-1, user-3, device-9, key-7."),
	R_TEXT(audit_query, device_id, 0, 31, OPT, "\"device-9\"."),
	R_TEXT(audit_query, api_key_id, 0, 31, OPT, "\"key-7\"."),
	R_TEXT(audit_query, fingerprint, 0, 64, OPT,
	    "SHA-256 of an application, 64 hexadecimal digits."),
	R_TIME(audit_query, from, OPT, "Not before."),
	R_TIME(audit_query, to, OPT, "Before."),
	R_BOOL(audit_query, oldest_first, OPT, "Else the newest come first."),
	R_CURSOR(audit_query, after, 'A', OPT, "From an earlier page."),
	R_U32(audit_query, limit, 0, AUDIT_PAGE_MAX, OPT,
	    "Entries at most; absent: 100."),
};
RECORD_DEFINE(audit_query, 1, "Which entries of the audit.");

static const struct record_field audit_item_fields[] = {
	R_U64(audit_item, row, 1, U53_MAX, 0,
	    "Number of the row in the journal that it was made from."),
	R_TIME(audit_item, timestamp, 0, "When."),
	R_TEXT(audit_item, tenant_id, 1, 63, 0, "Of which tenant."),
	R_TEXT(audit_item, event, 1, 47, 0, "What happened or was asked for."),
	R_TEXT(audit_item, result, 0, 47, OPT,
	    "How it ended: granted, done, or the code of a refusal."),
	R_TEXT(audit_item, actor, 0, 31, OPT,
	    "Who: site, admin-1, user-3, device-9, key-7."),
	R_TEXT(audit_item, api_key_id, 0, 31, OPT, "The API key: key-7."),
	R_TEXT(audit_item, device_id, 0, 31, OPT, "The device: device-9."),
	R_TEXT(audit_item, product, 0, 63, OPT, "The product."),
	R_TEXT(audit_item, user, 0, 127, OPT, "The user, as he was named."),
	R_TEXT(audit_item, hostname, 0, 127, OPT, "The host, as it was named."),
	R_TEXT(audit_item, ip_address, 0, 63, OPT, "Where it came from."),
	R_TEXT(audit_item, fingerprint, 0, 64, OPT,
	    "SHA-256 of the application, in hexadecimal."),
	R_U64(audit_item, license, 0, U53_MAX, OPT, "The license's number."),
	R_U64(audit_item, lease, 0, U53_MAX, OPT, "The lease's number."),
	R_U64(audit_item, object, 0, U53_MAX, OPT,
	    "Number of the user, enrolment token or erasure that it is about."),
	R_U64(audit_item, count, 0, U53_MAX, OPT,
	    "So many of one cause within a minute; absent: one."),
	R_TEXT(audit_item, reason, 0, 127, OPT, "The words of who did it."),
};
RECORD_DEFINE(audit_item, 1, "A decision or an act.");

static const struct record_field audit_page_fields[] = {
	R_LIST(audit_page, items, &audit_item_record, 0, AUDIT_PAGE_MAX, 0,
	    "In the order asked for."),
	R_CURSOR(audit_page, next, 'A', OPT,
	    "For `after`; absent: that was all."),
	R_U64(audit_page, behind, 0, U53_MAX, OPT,
	    "Rows of the journal that are not searched yet."),
};
RECORD_DEFINE(audit_page, 1, "Entries of the audit.");

static const struct record_field audit_state_fields[] = {
	R_U64(audit_state, rows, 0, U53_MAX, 0, "Rows of the journal."),
	R_U64(audit_state, behind, 0, U53_MAX, 0,
	    "Of them, that are not in the projection yet."),
	R_U64(audit_state, entries, 0, U53_MAX, 0, "Entries."),
	R_U64(audit_state, size_bytes, 0, U53_MAX, 0, "Of its file."),
	R_U64(audit_state, given_up_to, 0, U53_MAX, OPT,
	    "Entries of rows up to this one were given up; the rows stay in "
	    "the journal."),
	R_U32(audit_state, keep_days, 0, 36500, OPT,
	    "How long entries are kept; absent: for ever."),
};
RECORD_DEFINE(audit_state, 1, "How far the audit projection is.");

static const struct record_field audit_line_fields[] = {
	{ .key = "export",
	    .doc = "What this is.",
	    .type = RECORD_TEXT,
	    .flags = OPT,
	    .offset = offsetof(struct audit_line, export_),
	    .size = sizeof(((struct audit_line *)0)->export_),
	    .max = 31 },
	R_U32(audit_line, version, 0, 1000, OPT, "Of its form."),
	R_TEXT(audit_line, site, 0, 63, OPT, "Of which site."),
	R_TEXT(audit_line, tenant, 0, 63, OPT, "Of which tenant."),
	R_TEXT(audit_line, site_key, 0, 127, OPT,
	    "The key that is said to have signed it."),
	SUCCESSION_FIELD(audit_line),
	R_TIME(audit_line, made_at, OPT, "When it was made."),
	R_BOOL(audit_line, filtered, OPT,
	    "Not every row of its batches has its entry."),
	R_STRING(audit_line, checkpoint, 0, HEADER_MAX, OPT,
	    "Signed header of the batch before the first one."),
	R_BLOB(audit_line, frontier, 0, 64 * 32, OPT,
	    "Complete subtrees of the history up to there."),
	R_BLOB(audit_line, blob, 0, BLOB_MAX, OPT,
	    "A batch: header and rows as they are stored."),
	R_STRUCT(audit_line, entry, &audit_item_record, OPT,
	    "An entry of a row of the batch above."),
	R_BOOL(audit_line, end, OPT, "Nothing follows."),
	R_U64(audit_line, batches, 0, U53_MAX, OPT, "Batches above."),
	R_U64(audit_line, entries, 0, U53_MAX, OPT, "Entries above."),
};
RECORD_DEFINE(audit_line, 1, "A line of an audit export.");
