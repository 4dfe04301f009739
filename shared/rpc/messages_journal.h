/*
 * Records about the journal as a whole: where it begins, and giving up what is
 * old. It must not know how that is done.
 */
#ifndef SHARED_RPC_MESSAGES_JOURNAL_H
#define SHARED_RPC_MESSAGES_JOURNAL_H

#include "shared/record/record.h"

#include <stdint.h>

struct journal_view {
	uint64_t batches; /* in all, those that were given up too */
	uint64_t rows;
	/** The first that is there; 0: all are. What follows is empty then. */
	uint64_t begins;
	uint64_t first_row; /* of it */
	int64_t given_up_to; /* time of the batch before it */
	uint8_t head[32]; /* of that one */
	struct record_span header; /* of that one, signed */
	struct record_span frontier; /* 32 bytes each */
	uint64_t checkpoint; /* the state after this batch is kept */
	uint8_t state_hash[32]; /* of it */
	bool sweeping; /* what was given up is not all removed yet */
	uint32_t keep_days; /* of the site's settings; 0: for ever */
	uint64_t used_bytes; /* of the store; pages that are free included */
};

struct journal_prune {
	int64_t before;
	bool dry_run;
};

struct journal_pruned {
	/** The first batch that stays; 0: there is nothing to give up. */
	uint64_t begins;
	uint64_t first_row;
	int64_t given_up_to;
	uint8_t head[32]; /* of the batch before */
	uint64_t batches; /* that go */
	uint64_t size_bytes; /* of them */
	uint64_t kept; /* older ones that stay for what is held */
	bool done; /* else it was asked what would go */
};

extern const struct record journal_view_record, journal_prune_record,
    journal_pruned_record;

#endif
