/* Tables of messages_journal.h. */
#include "shared/rpc/messages_journal.h"

#include "shared/rpc/tables.h"

static const struct record_field journal_view_fields[] = {
	R_U64(journal_view, batches, 0, U53_MAX, 0,
	    "Batches in all, those that were given up too."),
	R_U64(journal_view, rows, 0, U53_MAX, 0, "Rows in all."),
	R_U64(journal_view, begins, 0, U53_MAX, OPT,
	    "The first batch that is there; absent: all are."),
	R_U64(journal_view, first_row, 0, U53_MAX, OPT, "Its first row."),
	R_TIME(journal_view, given_up_to, OPT, "Time of the batch before it."),
	R_FIXED(journal_view, head, OPT, "Head of the batch before it."),
	R_STRING(journal_view, header, 0, HEADER_MAX, OPT,
	    "Signed header of the batch before it."),
	R_BLOB(journal_view, frontier, 0, 64 * 32, OPT,
	    "Complete subtrees of the history up to there."),
	R_U64(journal_view, checkpoint, 0, U53_MAX, OPT,
	    "The state after this batch is kept, for folding."),
	R_FIXED(journal_view, state_hash, OPT, "BLAKE2b-256 of it."),
	R_BOOL(journal_view, sweeping, OPT,
	    "What was given up is not all removed yet."),
	R_U32(journal_view, keep_days, 0, 36500, OPT,
	    "Days that are kept; absent: for ever."),
	R_U64(journal_view, used_bytes, 0, U53_MAX, 0,
	    "Of the tenant's store, room to be used again included."),
};
RECORD_DEFINE(journal_view, 1, "The journal as a whole.");

static const struct record_field journal_prune_fields[] = {
	R_TIME(journal_prune, before, 0,
	    "Batches before that time go; those of the last day never do."),
	R_BOOL(journal_prune, dry_run, OPT, "Only say what would go."),
};
RECORD_DEFINE(journal_prune, 1, "Give up what is old.");

static const struct record_field journal_pruned_fields[] = {
	R_U64(journal_pruned, begins, 0, U53_MAX, OPT,
	    "The first batch that stays; absent: there is nothing to give "
	    "up."),
	R_U64(journal_pruned, first_row, 0, U53_MAX, OPT, "Its first row."),
	R_TIME(journal_pruned, given_up_to, OPT,
	    "Time of the batch before it."),
	R_FIXED(journal_pruned, head, OPT, "Head of the batch before it."),
	R_U64(journal_pruned, batches, 0, U53_MAX, 0, "Batches that go."),
	R_U64(journal_pruned, size_bytes, 0, U53_MAX, 0, "Bytes of them."),
	R_U64(journal_pruned, kept, 0, U53_MAX, OPT,
	    "Older ones that stay for leases and borrows that are held."),
	R_BOOL(journal_pruned, done, 0, "Else it was only asked."),
};
RECORD_DEFINE(journal_pruned, 1, "What was given up.");
