/* Folding a whole journal into a fresh environment: for the simulator,
 * recovery and upgrades. See ledger.h; of one that was pruned, prune.h. */
#include "appliance/ledger/base.h"
#include "shared/base/err.h"
#include "shared/base/log.h"

#include <inttypes.h>
#include <string.h>

/* Batches of the journal in one transaction of the copy. */
#define REFOLD_BATCHES 256
/* Heads of batches that are gone, in one. */
#define REFOLD_HEADS 65536

struct refold {
	struct ledger_view *from;
	const char *folder; /* of the copy */
	struct store *store;
	struct license_cache *cache;
	struct state state;
	struct fold_place place;
	struct journal_walk walk;
	struct buf scratch;
	struct arena arena;
	/* Of one that was pruned: */
	struct ledger_base base; /* chunks 0: it was not */
	uint64_t before; /* the first batch that is there */
	bool proved; /* a row says the base's hash */
};

static int
refold_row(void *ctx, const struct row *row, int64_t time)
{
	struct refold *refold = ctx;
	int err = 0;

	if (row->kind == ROW_CHECKPOINT && refold->base.chunks != 0 &&
	    row->u.checkpoint.batch == refold->base.batch)
		refold->proved = memcmp(row->u.checkpoint.state_hash,
				     refold->base.hash, 32) == 0;
	if (refold->place.index == 0) {
		refold->place.time = time;
		err = fold_batch(&refold->state, &refold->place);
	}
	if (err == 0)
		err = fold_row(&refold->state, row, &refold->place);

	refold->place.index++;
	return err;
}

/* What it did is in the base already. */
static bool
is_in_base(const struct refold *refold, uint64_t number)
{
	return refold->base.chunks != 0 && number <= refold->base.batch;
}

static int
refold_batch(struct refold *refold, uint64_t number)
{
	struct record_span blob;
	struct journal_batch batch;
	struct journal_header header;
	uint8_t head[32];
	char error[160] = "";
	int err = state_batch(&blob, &refold->from->state, number);

	if (err != 0)
		return err == ERR_NOT_FOUND_INTERNAL ? ERR_CORRUPT : err;
	refold->place = (struct fold_place){ .batch = number };
	err = journal_walk_batch(&refold->walk, blob.data, blob.len,
	    is_in_base(refold, number) ? NULL : refold_row, refold, error,
	    sizeof error);
	if (err != 0) {
		log_error("refold", "batch %" PRIu64 ": %s", number,
		    error[0] != '\0' ? error : err_str(err));
		return err;
	}
	arena_clear(&refold->arena);
	err = view_batch(&batch, &blob, &refold->arena);
	if (err == 0)
		err = journal_header_verify(&header, head, batch.header.data,
		    batch.header.len,
		    journal_walk_key(&refold->walk, batch.header.data,
			batch.header.len));
	if (err == 0)
		err = batch_store(&refold->state, &header, head, &batch.header,
		    blob.data, blob.len, &refold->scratch);
	return err;
}

static int
refold_some(struct refold *refold, uint64_t from, uint64_t end)
{
	int err =
	    state_begin(&refold->state, refold->store, true, refold->cache);

	if (err != 0)
		return err;
	for (uint64_t i = from; i < end && err == 0; i++)
		err = refold_batch(refold, i);
	if (err != 0) {
		state_abort(&refold->state);
		return err;
	}
	return state_commit(&refold->state);
}

struct copy {
	struct state *to;
	enum store_table table;
};

static int
copy_entry(void *ctx, const struct record_span *key,
    const struct record_span *value)
{
	const struct copy *copy = ctx;

	return store_append(&copy->to->txn, copy->table, key->data, key->len,
	    value->data, value->len);
}

static int
copy_private(struct refold *refold)
{
	static const enum store_table tables[] = { STORE_SUBJECTS,
		STORE_SUBJECT_INDEX, STORE_SEALED, STORE_USER_LOGINS,
		STORE_ERASURE_TOKENS, STORE_POLICY_TEXTS };
	int err = state_begin(&refold->state, refold->store, true, NULL);

	if (err != 0)
		return err;
	for (size_t i = 0; i < sizeof tables / sizeof *tables && err == 0;
	     i++) {
		struct copy copy = { &refold->state, tables[i] };

		err = store_each(&refold->from->state.txn, tables[i], NULL, 0,
		    copy_entry, &copy);
	}
	if (err == 0)
		err = reseal_copy(&refold->state, refold->folder, refold->from);
	if (err != 0) {
		state_abort(&refold->state);
		return err;
	}
	return state_commit(&refold->state);
}

/* The copy's dump is the original's. */
static int
compare_state(struct refold *refold)
{
	struct ledger_view to = { .ledger = refold->from->ledger };
	struct journal_header header;
	uint8_t ours[32], theirs[32], head[32];
	int err = state_begin(&to.state, refold->store, false, NULL);

	if (err != 0)
		return err;
	err = ledger_state_hash(ours, &header, head, &to);
	state_abort(&to.state);
	if (err == 0)
		err = ledger_state_hash(theirs, &header, head, refold->from);
	if (err == 0 && memcmp(ours, theirs, sizeof ours) != 0) {
		log_error("refold",
		    "the journal folds to another state than "
		    "the one stored");
		err = ERR_CORRUPT;
	}
	return err;
}

/* --- of one that was pruned ------------------------------------------------- */

static int
copy_history(struct refold *refold)
{
	int err = 0;

	for (uint64_t i = 0; i < refold->before && err == 0;
	     i += REFOLD_HEADS) {
		uint64_t end = i + REFOLD_HEADS < refold->before
		    ? i + REFOLD_HEADS
		    : refold->before;

		err = state_begin(&refold->state, refold->store, true, NULL);
		if (err != 0)
			return err;
		err =
		    history_copy(&refold->state, &refold->from->state, i, end);
		if (err == 0)
			err = state_commit(&refold->state);
		else
			state_abort(&refold->state);
	}
	return err;
}

/* A batch that is there for a lease: ours, and at its place. */
static int
copy_kept(void *ctx, const struct record_span *key,
    const struct record_span *value)
{
	struct refold *refold = ctx;
	struct journal_header header;
	struct journal_known known;
	uint64_t number = key->len == 8 ? be64_read(key->data) : UINT64_MAX;

	if (number >= refold->before)
		return 1;
	int err = journal_batch_verify(&header, known.head, value->data,
	    value->len, refold->walk.keys);

	known.batch = number;
	if (err == 0)
		err = header.batch == number
		    ? history_holds(&refold->state, &known)
		    : ERR_CORRUPT;
	if (err == 0)
		err = state_batch_append(&refold->state, number, value->data,
		    value->len);
	if (err == 0 || err == ERR_NOMEM || err == ERR_FULL)
		return err;
	log_error("refold", "batch %" PRIu64 " does not hold: %s", number,
	    err_str(err));
	return ERR_CORRUPT;
}

/* The heads before are what the first batch that is there says they are. */
static int
check_history(struct refold *refold)
{
	struct journal_header header;
	struct record_span blob;
	uint8_t head[32], root[MERKLE_BYTES];
	int err = state_batch(&blob, &refold->from->state, refold->before);

	if (err == 0)
		err = journal_batch_verify(&header, head, blob.data, blob.len,
		    refold->walk.keys);
	if (err == 0)
		err = history_root(root, &refold->state, refold->before);
	if (err == 0 && memcmp(root, header.history, sizeof root) != 0)
		err = ERR_CORRUPT;
	if (err == 0 || err == ERR_NOMEM)
		return err;
	log_error("refold",
	    "the heads of batches before %" PRIu64 " are not those of this "
	    "journal",
	    refold->before);
	return ERR_CORRUPT;
}

static int
copy_beginning(struct refold *refold, const struct journal_anchor *anchor)
{
	int err = state_begin(&refold->state, refold->store, true, NULL);

	if (err != 0)
		return err;
	err = check_history(refold);
	if (err == 0 &&
	    refold->state.counters.batches != refold->base.batch + 1)
		err = ERR_CORRUPT;
	if (err == 0)
		err = store_each(&refold->from->state.txn, STORE_BATCHES, NULL,
		    0, copy_kept, refold);
	if (err == 1)
		err = 0;
	if (err == 0)
		err = anchor_put(&refold->state, anchor);
	if (err == 0)
		err = base_put(&refold->state, &refold->base);
	if (err != 0) {
		state_abort(&refold->state);
		return err;
	}
	return state_commit(&refold->state);
}

/* What stands in place of the batches that are gone. */
static int
refold_beginning(struct refold *refold)
{
	struct journal_anchor anchor;
	int err = ledger_anchor(&anchor, refold->from);

	if (err != 0 || anchor.before == 0)
		return err;
	refold->before = anchor.before;
	const struct site_keys *keys = refold->walk.keys;

	err = base_get(&refold->base, &refold->from->state);
	if (err == 0 &&
	    (refold->base.chunks == 0 || refold->base.batch < anchor.before))
		err = ERR_CORRUPT;
	if (err == 0)
		err = journal_walk_anchor(&refold->walk,
		    site_keys_of(keys, anchor.header.data, anchor.header.len),
		    &anchor);
	if (err == 0)
		journal_walk_trust(&refold->walk, keys);
	if (err == 0)
		err = base_load(refold->store, &refold->base,
		    &refold->from->state);
	if (err == 0)
		err = copy_history(refold);
	return err == 0 ? copy_beginning(refold, &anchor) : err;
}

/* The base is signed by a row behind it, and so is what is missing. */
static int
check_proved(const struct refold *refold)
{
	if (refold->base.chunks == 0)
		return 0;
	if (refold->proved && journal_walk_is_explained(&refold->walk))
		return 0;
	log_error("refold",
	    "nothing in the journal says that what is missing was given up, "
	    "or what the state was then");
	return ERR_CORRUPT;
}

static int
refold_all(struct refold *refold)
{
	uint64_t end = refold->from->state.counters.batches;
	int err = refold_beginning(refold);

	for (uint64_t i = refold->before; i < end && err == 0;
	     i += REFOLD_BATCHES)
		err = refold_some(refold, i,
		    i + REFOLD_BATCHES < end ? i + REFOLD_BATCHES : end);
	if (err == 0)
		err = check_proved(refold);
	if (err == 0)
		err = copy_private(refold);
	return err == 0 ? compare_state(refold) : err;
}

int
ledger_refold(struct ledger_view *from, const struct ledger_options *to)
{
	struct refold refold = { .from = from, .folder = to->path };
	uint64_t there = 0;
	int err = store_open(&refold.store,
	    &(struct store_options){
		.path = to->path,
		.map_bytes = to->map_bytes,
		.map_grows = to->map_grows,
		.volatile_ = to->volatile_,
		.create = true,
	    });

	if (err != 0)
		return err;
	const struct site_keys one = site_keys_one(to->site_public);

	journal_walk_init(&refold.walk, to->site_public);
	journal_walk_trust(&refold.walk,
	    to->site_keys != NULL ? to->site_keys : &one);
	refold.cache = license_cache_new();
	if (refold.cache == NULL)
		err = ERR_NOMEM;
	if (err == 0)
		err = state_begin(&refold.state, refold.store, true, NULL);
	if (err == 0) {
		there = refold.state.counters.batches;
		state_abort(&refold.state);
	}
	if (err == 0)
		err = there > 0 ? ERR_CONFLICT : refold_all(&refold);
	license_cache_free(refold.cache);
	buf_release(&refold.scratch);
	arena_release(&refold.arena);
	store_close(refold.store);
	return err;
}
