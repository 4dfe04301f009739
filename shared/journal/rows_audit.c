/* The table of rows about what was asked for and how it ended; see rows.h. */
#include "shared/journal/rows_private.h"

static const struct record_field row_act_fields[] = {
	R_STRUCT(row_act, by, &row_actor_record, 0, "Who asked."),
	R_TEXT(row_act, operation, 1, 47, 0, "For what: device.revoke."),
	R_TEXT(row_act, code, 1, 31, 0,
	    "How it ended: done, or the code of the refusal."),
	R_U64(row_act, count, 1, U53_MAX, 0, "How often."),
	R_TIME(row_act, minute, RECORD_OPTIONAL,
	    "Start of the minute, where it stands for several."),
	R_FIXED(row_act, address, RECORD_OPTIONAL,
	    "Subject id of the address that it came from, of the first."),
	R_U64(row_act, device, 0, U53_MAX, RECORD_OPTIONAL,
	    "Device or key that it is about."),
	R_U64(row_act, license, 0, U53_MAX, RECORD_OPTIONAL, "License."),
	R_U64(row_act, lease, 0, U53_MAX, RECORD_OPTIONAL, "Lease."),
	R_U64(row_act, object, 0, U53_MAX, RECORD_OPTIONAL,
	    "Number of whatever else it is about."),
	R_TEXT(row_act, about, 0, 63, RECORD_OPTIONAL,
	    "The same where it is no number: a tenant."),
};
RECORD_DEFINE(row_act, 1, "Somebody asked for something.");

static const struct record_field row_pruned_fields[] = {
	R_U64(row_pruned, before, 1, U53_MAX, 0, "The first batch that stays."),
	R_U64(row_pruned, first_row, 1, U53_MAX, 0, "Its first row."),
	R_TIME(row_pruned, time, 0, "Time of the batch before it."),
	R_FIXED(row_pruned, head, 0, "Head of the batch before it."),
	R_U64(row_pruned, checkpoint, 0, U53_MAX, 0,
	    "The batch after which a checkpoint tells the state."),
	R_STRUCT(row_pruned, by, &row_actor_record, 0, "Who gave them up."),
};
RECORD_DEFINE(row_pruned, 1, "Old batches are given up.");
