/* What the documents hold, row by row; see report.h. */
#include "shared/report/report.h"

const char *const report_answer_names[] = { "taken", "replayed", "gap", "fork",
	"hole", "altered", "forged", "wrong_vendor", "wrong_site", "truncated",
	"malformed", NULL };
const char *const report_log_names[] = { "none", "replays", "contradicts",
	"unreadable", NULL };
const char *const report_people_names[] = { "pseudonyms", "none", "clear",
	NULL };
static const char *const subject_names[] = { "user", "host", NULL };
static const char *const kind_names[] = { "counter", "gauge", NULL };

static const struct record_field report_mark_fields[] = {
	R_U64(report_mark, sequence, 0, U53_MAX, 0,
	    "Of the last report taken; 0: there is none."),
	R_U64(report_mark, batch, 0, U53_MAX, 0, "Its last batch."),
	R_FIXED(report_mark, head, 0, "Head of that."),
	R_FIXED(report_mark, history, 0, "History of that."),
	R_U32(report_mark, generation, 0, UINT32_MAX, 0, "Generation of that."),
	R_TIME(report_mark, time, 0, "Time of that."),
	R_U64(report_mark, overage, 0, U53_MAX, 0,
	    "Overage seats granted until then, of all vendors."),
};
RECORD_DEFINE(report_mark, 1, "Up to where usage was taken.");

static const struct record_field report_proof_fields[] = {
	R_U64(report_proof, counter, 0, U53_MAX, 0,
	    "Last value of the site's counter in its journal."),
	R_ENUM(report_proof, witness, witness_class_names, 0,
	    "Where the site keeps it: tpm cannot be put back."),
	R_TIME(report_proof, clock, 0, "The site's time."),
	R_BOOL(report_proof, clock_doubted, 0,
	    "The wall clock says otherwise by an hour or more."),
};
RECORD_DEFINE(report_proof, 1, "What the site says of itself.");

static const struct record_field report_measured_fields[] = {
	R_TEXT(report_measured, image, 0, 63, RECORD_OPTIONAL,
	    "Version of the image that it says to run."),
	R_ENUM(report_measured, log, report_log_names, RECORD_OPTIONAL,
	    "What the site found in its event log."),
	R_FIXED(report_measured, log_digest, RECORD_OPTIONAL,
	    "SHA-256 of that log."),
	R_STRUCT(report_measured, quote, &quote_record, RECORD_OPTIONAL,
	    "Of its TPM, over the rest of the report."),
};
RECORD_DEFINE(report_measured, 1, "How the site's machine was started.");

static const struct record_field report_fields[] = {
	R_TEXT(report, site, 1, 63, 0, "Id of the site."),
	R_TEXT(report, tenant, 1, 63, 0, "Whose usage it is."),
	R_TEXT(report, vendor, 1, 63, 0, "Whom it is for."),
	R_U64(report, sequence, 1, U53_MAX, 0, "Number, from 1."),
	R_STRUCT(report, previous, &report_mark_record, 0,
	    "Where the one before ended."),
	R_U64(report, first_batch, 0, U53_MAX, 0, "First batch of its range."),
	R_U64(report, last_batch, 0, U53_MAX, 0, "Last one."),
	R_FIXED(report, last_head, 0, "Head of the last one."),
	R_U32(report, generation, 0, UINT32_MAX, 0, "Of the last one."),
	R_TIME(report, time, 0, "Of the last one."),
	R_STRUCT(report, totals, &journal_totals_record, 0, "Of the last one."),
	R_U32(report, rows, 0, REPORT_ROWS_MAX, 0, "Rows that it shows."),
	R_U64(report, seats, 0, U53_MAX, 0, "Overage seats that they have."),
	R_STRUCT(report, proof, &report_proof_record, 0,
	    "What the site says of itself."),
	R_STRUCT(report, measured, &report_measured_record, RECORD_OPTIONAL,
	    "How its machine was started."),
	R_TEXT(report, software, 1, 31, 0, "What measured."),
	R_U32(report, body_bytes, 1, REPORT_BODY_MAX, 0, "Size of its body."),
	R_FIXED(report, body_digest, 0, "BLAKE2b-256 of its body."),
	R_ENUM(report, people, report_people_names, RECORD_OPTIONAL,
	    "What it tells of who used seats; absent: pseudonyms."),
};
RECORD_DEFINE(report, 1, "Usage of one tenant and vendor, signed by the site.");

static const struct record_field report_row_fields[] = {
	R_U32(report_row, index, 0, JOURNAL_BATCH_ROWS_MAX - 1, 0,
	    "Its place in the batch."),
	R_BLOB(report_row, bytes, 3, JOURNAL_ROW_BYTES_MAX, 0,
	    "As it is stored and hashed."),
	R_BLOB(report_row, path, 0, MERKLE_PATH_MAX *MERKLE_BYTES,
	    RECORD_OPTIONAL, "To the batch's root."),
	R_FIXED(report_row, digest, RECORD_OPTIONAL,
	    "Of the license of a borrow that was given up."),
	R_TEXT(report_row, feature, 0, 63, RECORD_OPTIONAL,
	    "Of a borrow that was given up."),
};
RECORD_DEFINE(report_row, 1, "A row of the journal.");

static const struct record_field report_batch_fields[] = {
	R_STRING(report_batch, header, 1, 8192, 0, "Signed header."),
	R_BLOB(report_batch, inclusion, 0, MERKLE_PATH_MAX *MERKLE_BYTES,
	    RECORD_OPTIONAL, "Its head in the last one's history."),
	R_LIST(report_batch, rows, &report_row_record, 0, REPORT_ROWS_MAX,
	    RECORD_OPTIONAL, "What is shown of it."),
};
RECORD_DEFINE(report_batch, 1, "A batch of the journal.");

static const struct record_field report_denial_fields[] = {
	R_TEXT(report_denial, code, 1, 31, 0, "Why: \"no_seats\"."),
	R_U64(report_denial, count, 0, U53_MAX, 0, "How often."),
};
RECORD_DEFINE(report_denial, 1, "Denials of one code.");

static const struct record_field report_hour_fields[] = {
	R_TEXT(report_hour, license, 1, 63, 0, "The vendor's id of it."),
	R_U64(report_hour, serial, 1, U53_MAX, 0, "Edition in force."),
	R_TEXT(report_hour, feature, 0, 63, RECORD_OPTIONAL,
	    "Feature or metric; absent: the product."),
	R_TIME(report_hour, start, 0, "Start of the hour, UTC."),
	R_BOOL(report_hour, metric, RECORD_OPTIONAL,
	    "It is a metric, not seats."),
	R_U64(report_hour, checkouts, 0, U53_MAX, RECORD_OPTIONAL,
	    "Leases and borrows granted."),
	R_U64(report_hour, seats, 0, U53_MAX, RECORD_OPTIONAL,
	    "Seats of them."),
	R_U64(report_hour, borrows, 0, U53_MAX, RECORD_OPTIONAL,
	    "Of them taken offline."),
	R_U32(report_hour, peak, 0, UINT32_MAX, RECORD_OPTIONAL,
	    "Most seats held at once."),
	R_U64(report_hour, seat_ms, 0, U53_MAX, RECORD_OPTIONAL,
	    "Seats times how long they were held."),
	R_U64(report_hour, borrow_ms, 0, U53_MAX, RECORD_OPTIONAL,
	    "Of that, offline."),
	R_U64(report_hour, denials, 0, U53_MAX, RECORD_OPTIONAL,
	    "Checkouts refused."),
	R_LIST(report_hour, denied, &report_denial_record, 0, 16,
	    RECORD_OPTIONAL, "Why."),
	R_ENUM(report_hour, kind, kind_names, RECORD_OPTIONAL,
	    "Of a metric: how amounts count."),
	R_U64(report_hour, events, 0, U53_MAX, RECORD_OPTIONAL,
	    "Of a metric: how often it was told."),
	R_U64(report_hour, sum, 0, U53_MAX, RECORD_OPTIONAL,
	    "Of a metric: of all amounts."),
	R_U64(report_hour, max, 0, U53_MAX, RECORD_OPTIONAL,
	    "Of a metric: the highest amount."),
	R_U64(report_hour, last, 0, U53_MAX, RECORD_OPTIONAL,
	    "Of a metric: the newest amount."),
};
RECORD_DEFINE(report_hour, 1, "What was in an hour.");

static const struct record_field report_device_fields[] = {
	R_U64(report_device, device, 1, U53_MAX, 0, "As rows name it."),
	R_FIXED(report_device, pseudonym, 0,
	    "As this vendor may know it: a keyed hash under the tenant's key."),
};
RECORD_DEFINE(report_device, 1, "A device, by a name for this vendor alone.");

static const struct record_field report_name_fields[] = {
	R_FIXED(report_name, subject, 0, "As rows name it."),
	R_ENUM(report_name, kind, subject_names, 0, "Whose name it is."),
	R_TEXT(report_name, name, 1, 127, 0, "In the clear."),
};
RECORD_DEFINE(report_name, 1,
    "A name, where the tenant's policy tells them to this vendor.");

static const struct record_field report_body_fields[] = {
	R_LIST(report_body, batches, &report_batch_record, 1,
	    REPORT_BATCHES_MAX, 0, "What is shown of the journal."),
	R_BLOB(report_body, inclusion, 0, MERKLE_PATH_MAX *MERKLE_BYTES,
	    RECORD_OPTIONAL, "The last one's head in this one's history."),
	R_BLOB(report_body, consistency, 0,
	    (MERKLE_PATH_MAX + 1) * MERKLE_BYTES, RECORD_OPTIONAL,
	    "That history continues the last one's."),
	R_LIST(report_body, hours, &report_hour_record, 0, REPORT_HOURS_MAX,
	    RECORD_OPTIONAL, "What was used, hour by hour."),
	R_LIST(report_body, devices, &report_device_record, 0,
	    REPORT_DEVICES_MAX, RECORD_OPTIONAL, "Devices of the rows."),
	R_LIST(report_body, names, &report_name_record, 0, REPORT_NAMES_MAX,
	    RECORD_OPTIONAL, "Names, where they are told."),
};
RECORD_DEFINE(report_body, 1, "What a report shows.");

static const struct record_field report_receipt_fields[] = {
	R_TEXT(report_receipt, site, 1, 63, 0, "Id of the site."),
	R_TEXT(report_receipt, tenant, 1, 63, 0, "Whose usage it is."),
	R_TEXT(report_receipt, vendor, 1, 63, 0, "Who took it."),
	R_U64(report_receipt, report, 0, U53_MAX, 0,
	    "Number of the report that is answered."),
	R_ENUM(report_receipt, answer, report_answer_names, 0,
	    "What became of it."),
	R_TEXT(report_receipt, reason, 0, 191, RECORD_OPTIONAL,
	    "Why it was refused."),
	R_STRUCT(report_receipt, mark, &report_mark_record, 0,
	    "Up to where usage was taken."),
	R_TIME(report_receipt, at, 0, "When."),
	R_U32(report_receipt, generation, 0, UINT32_MAX, RECORD_OPTIONAL,
	    "Of the hub's journal, when it was put back."),
};
RECORD_DEFINE(report_receipt, 1, "The answer to a report.");
