/*
 * The journal's own shape: leaves, batches, signed headers, and every check
 * that somebody who trusts only the site's public key can make (DESIGN 4 and
 * 5). Ledger, library, CLI and hub use the same code. It must not know where
 * batches are stored.
 *
 * leaf of a row  = H(0x00 || be16(len tenant) || tenant || be64(number) || bytes)
 * root           = Merkle root over the batch's leaves
 * head           = BLAKE2b-256 of the header token's exact payload
 * leaf of a head = H(0x00 || head); the history tree of batch n has the heads
 *                  of batches 0 to n - 1 as its leaves 0 to n - 1
 */
#ifndef SHARED_JOURNAL_JOURNAL_H
#define SHARED_JOURNAL_JOURNAL_H

#include "shared/journal/merkle.h"
#include "shared/journal/rows.h"
#include "shared/license/succession.h"

/** Rows in one batch at most. */
#define JOURNAL_BATCH_ROWS_MAX 8192
/** Bytes of one row at most; a license with its tokens is the longest. */
#define JOURNAL_ROW_BYTES_MAX 65536
/** Licenses whose overage numbers a walk follows. */
#define JOURNAL_WALK_LICENSES 4096

/** Running totals since genesis: a hole cannot be hidden. */
struct journal_totals {
	uint64_t grants;
	uint64_t ends;
	uint64_t overage;
};

/** Payload of a TOKEN_BATCH. */
struct journal_header {
	char site[64];
	char tenant[64];
	/** From 1. One more for each time that the journal was put back to an
	 * older copy and an admin acknowledged it: the batch that holds the
	 * ROW_GENERATION is its first. */
	uint32_t generation;
	uint64_t batch; /* from 0 */
	uint64_t first_row; /* number of its first row; rows count from 1 */
	uint32_t rows; /* at least 1 */
	uint8_t root[32];
	uint8_t history[32];
	int64_t time;
	struct journal_totals totals;
};
extern const struct record journal_totals_record, journal_header_record;

/** A batch as it is stored and sent: header token and row bytes. */
struct journal_row_bytes {
	struct record_span bytes;
};
struct journal_batch {
	struct record_span header; /* token */
	struct record_list rows; /* journal_row_bytes, bare */
};
extern const struct record journal_row_bytes_record, journal_batch_record;

/** What somebody keeps of the last header seen. */
struct journal_known {
	uint64_t batch;
	uint8_t head[32];
	uint8_t history[32];
	/** 0, as in what was kept by older releases, counts as 1. */
	uint32_t generation;
};
extern const struct record journal_known_record;

/** Payload of a TOKEN_BEAT: root over (lease, nonce, ttl_s) in order. */
struct journal_beat {
	char site[64];
	char tenant[64];
	uint32_t generation;
	uint64_t batch; /* newest batch then, and its head */
	uint8_t head[32];
	int64_t time;
	uint32_t count;
	uint8_t root[32];
};
extern const struct record journal_beat_record;

void journal_row_leaf(uint8_t leaf[32], const char *tenant, uint64_t number,
    const void *bytes, size_t len);
void journal_head(uint8_t head[32], const void *payload, size_t len);
void journal_head_leaf(uint8_t leaf[32], const uint8_t head[32]);
void journal_beat_leaf(uint8_t leaf[32], uint64_t lease,
    const uint8_t nonce[32], uint32_t ttl_s);

/** Sign a header; appends the token, gives its head. */
int journal_header_sign(struct buf *token, uint8_t head[32],
    const struct journal_header *header, const uint8_t secret[64]);

/** Verify and read one: ERR_BAD_TOKEN, ERR_BAD_SIGNATURE, ERR_UNTRUSTED. */
int journal_header_verify(struct journal_header *header, uint8_t head[32],
    const char *token, size_t len, const uint8_t site_key[32]);

/** Is the row in the batch? `path` is path_len * 32 bytes. ERR_BAD_PATH. */
int journal_row_verify(const struct journal_header *header, uint64_t number,
    const void *bytes, size_t len, const uint8_t *path, size_t path_hashes);

/** The generation that a known header was of; see struct journal_known. */
uint32_t journal_known_generation(const struct journal_known *known);

/**
 * Does the journal of `header` continue what was known? Same batch: the heads
 * must be equal. Later: the known head stands at its place in the history
 * (`inclusion`) and the known history is its beginning (`consistency`), both
 * as concatenated hashes. Earlier: ERR_FORK. Whatever proves nothing is
 * ERR_FORK. A `known` of batch 0 with a zero head (nothing is known yet) is
 * continued by everything. A header of a later generation continues all that
 * was known of an earlier one: an admin acknowledged that some of it is lost,
 * and the journal says so. One of an earlier generation is ERR_FORK.
 */
int journal_continues(const struct journal_known *known,
    const struct journal_header *header, const uint8_t head[32],
    const uint8_t *inclusion, size_t inclusion_hashes,
    const uint8_t *consistency, size_t consistency_hashes);

/** Is (lease, nonce, ttl_s) number `index` of the beat? ERR_BAD_PATH. */
int journal_beat_verify(const struct journal_beat *beat, uint64_t lease,
    const uint8_t nonce[32], uint32_t ttl_s, uint32_t index,
    const uint8_t *path, size_t path_hashes);

/**
 * Walk a whole journal, batch after batch from 0: signatures, roots, history,
 * the genesis, numbers of batches, rows and overage checkouts without gaps,
 * generations that go up by one in a batch with a ROW_GENERATION and nowhere
 * else, ticks that go up within one, times that do not go back (but after a
 * batch with a CLOCK_CORRECTED row: not before its `wall`), totals. State is constant (40
 * KB: keep it off small stacks). Licenses are numbered from 1 in each journal;
 * the overage numbers of those above JOURNAL_WALK_LICENSES are not followed but
 * counted in `overage_unchecked`, so that a caller can say so.
 *
 * `row` may be NULL; it sees every row after signature, root and history of its
 * batch held. What it returns, unless 0, ends the walk and is returned, with an
 * empty `error`. All other errors are said in words: "batch 17: root does not
 * match its rows". After any error the walk is over.
 */
struct journal_walk {
	/** That signed the last batch; journal_walk_trust() has more. */
	uint8_t site_key[32];
	const struct site_keys *keys; /* borrowed; NULL: that one alone */
	uint64_t next_batch;
	uint64_t next_row;
	int64_t time;
	struct journal_totals totals;
	char site[64];
	char tenant[64];
	uint8_t frontier[64][32]; /* complete subtrees of the history */
	uint8_t head[32]; /* of the last batch */
	uint32_t generation;
	uint64_t tick; /* of the site's counter, the last one */
	uint64_t overage[JOURNAL_WALK_LICENSES]; /* last one by license - 1 */
	uint64_t overage_unchecked;
	/** It began in the middle: what a license's overage numbers, and the
	 * counter, were before is not known; the first that is seen is taken. */
	bool partial;
	/** It resumed before this batch; 0: it began with the genesis. And what
	 * is known of the one before. */
	uint64_t anchor;
	uint8_t anchor_head[32];
	/** Batches before this one were given up, as a row says; 0: none. */
	uint64_t pruned;
};
/**
 * Go on behind a batch whose header is known: from a signed header and the
 * complete subtrees of the history as of the batch after it, which are believed
 * because that one's signed `history` must be their root. `frontier`: those in
 * use, from the lowest level on. ERR_CORRUPT: too many or too few of them.
 */
int journal_walk_resume(struct journal_walk *walk, const uint8_t site_key[32],
    const char *header, size_t len, const uint8_t *frontier, size_t hashes);
/** What another walk resumes with, here: 64 * 32 bytes; returns the hashes. */
size_t journal_walk_frontier(uint8_t *out, const struct journal_walk *walk);
void journal_walk_init(struct journal_walk *walk, const uint8_t site_key[32]);
/**
 * Of a site whose key followed older ones: all of them, borrowed until the walk
 * is over. Between init, resume or anchor and the first batch; each generation
 * is then signed with one of them, and none with an older key than the one
 * before.
 */
void journal_walk_trust(struct journal_walk *walk,
    const struct site_keys *keys);
/** The key with which it is to be signed: one of them. */
const uint8_t *journal_walk_key(const struct journal_walk *walk,
    const char *token, size_t len);
int journal_walk_batch(struct journal_walk *walk, const uint8_t *blob,
    size_t len, int (*row)(void *ctx, const struct row *row, int64_t time),
    void *ctx, char *error, size_t error_size);

/* --- anchor.c: a journal whose beginning was given up ------------------------ */

/** What stands in place of the batches before `before`: enough to go on behind
 * them, and nothing of what was in them. A store keeps it under this key in its
 * table "meta". */
struct journal_anchor {
	uint64_t before; /* at least 1 */
	struct record_span header; /* token of the batch before it */
	struct record_span frontier; /* as journal_walk_resume() takes it */
};
#define JOURNAL_ANCHOR_KEY "anchor"
extern const struct record journal_anchor_record;

/** Resume with it: signed header and number must agree. ERR_CORRUPT and those
 * of journal_walk_resume(). */
int journal_walk_anchor(struct journal_walk *walk, const uint8_t site_key[32],
    const struct journal_anchor *anchor);

/** Is its beginning there, or does a row say that it was given up? At the end
 * of a walk. */
bool journal_walk_is_explained(const struct journal_walk *walk);

/** A batch by itself, as some are kept that stand before an anchor: its
 * signature and its rows; where it stands in the history is not looked at. */
int journal_batch_verify(struct journal_header *header, uint8_t head[32],
    const uint8_t *blob, size_t len, const struct site_keys *keys);

/**
 * An entry of the tables of a stored journal, in the order of a dump: the anchor
 * from "meta", then each entry of "batches". Batches that are kept before the
 * anchor are checked by themselves. ERR_CORRUPT with words.
 */
int journal_walk_stored(struct journal_walk *walk, bool batches,
    const void *key, size_t key_len, const void *value, size_t value_len,
    char *error, size_t error_size);

#endif
