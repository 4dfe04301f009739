/* Tables of the rows about reports to vendors; see rows.h. */
#include "shared/journal/rows_private.h"

/** enum report_answer: shared/report says what each means. */
#define ANSWERS_MAX 15

static const struct record_field row_report_made_fields[] = {
	R_TEXT(row_report_made, vendor, 1, 63, 0, "Whom it is for."),
	R_U64(row_report_made, sequence, 1, U53_MAX, 0, "Its number."),
	R_STRUCT(row_report_made, by, &row_actor_record, 0, "Who asked."),
};
RECORD_DEFINE(row_report_made, 1, "A report was made.");

static const struct record_field row_taken_fields[] = {
	R_U64(row_taken, sequence, 0, U53_MAX, 0,
	    "Number of the last report taken."),
	R_U64(row_taken, batch, 0, U53_MAX, 0, "Its last batch."),
	R_FIXED(row_taken, head, 0, "Head of that."),
	R_FIXED(row_taken, history, 0, "History of that."),
	R_U32(row_taken, generation, 0, UINT32_MAX, 0, "Generation of that."),
	R_TIME(row_taken, time, 0, "Time of that."),
	R_U64(row_taken, overage, 0, U53_MAX, 0,
	    "Overage seats granted until then."),
};
RECORD_DEFINE(row_taken, 1, "Up to where usage was taken.");

static const struct record_field row_receipt_taken_fields[] = {
	R_TEXT(row_receipt_taken, vendor, 1, 63, 0, "Who answered."),
	R_U64(row_receipt_taken, report, 0, U53_MAX, 0,
	    "Number of the report."),
	R_U32(row_receipt_taken, answer, 0, ANSWERS_MAX, 0, "The answer."),
	R_TEXT(row_receipt_taken, reason, 0, 191, RECORD_OPTIONAL,
	    "Why it was refused."),
	R_STRUCT(row_receipt_taken, taken, &row_taken_record, 0,
	    "Up to where usage was taken."),
	R_TIME(row_receipt_taken, at, 0, "When, as the vendor says."),
	R_FIXED(row_receipt_taken, digest, 0, "BLAKE2b-256 of the receipt."),
	R_STRUCT(row_receipt_taken, by, &row_actor_record, 0,
	    "Who brought it."),
};
RECORD_DEFINE(row_receipt_taken, 1, "A vendor answered a report.");
