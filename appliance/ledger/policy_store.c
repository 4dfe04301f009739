/*
 * The policy in force, and who holds what of it, for decisions and for other
 * threads (core.h). Where its text lies is policy_text.c's.
 */
#include "appliance/ledger/borrow.h"
#include "appliance/ledger/core.h"
#include "shared/base/err.h"
#include "shared/base/log.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* --- who holds what ------------------------------------------------------- */

struct walk {
	const struct ledger *ledger;
	const struct state *state;
	const struct batch *batch;
	int (*each)(void *ctx, const struct policy_lease *lease);
	void *ctx;
	/* The batch that the last lease stood in: its neighbours follow. */
	bool is_read;
	uint64_t number;
	struct journal_batch stored;
	struct arena batch_arena, arena;
	char user[SUBJECT_VALUE_MAX + 1], host[SUBJECT_VALUE_MAX + 1];
};

static int
read_stored(struct row_lease_granted *grant, struct walk *walk,
    const struct state_lease *lease)
{
	struct record_span blob;
	struct row row;
	int err = 0;

	if (!walk->is_read || walk->number != lease->batch) {
		arena_clear(&walk->batch_arena);
		err = state_batch(&blob, walk->state, lease->batch);
		if (err == 0)
			err = view_batch(&walk->stored, &blob,
			    &walk->batch_arena);
		walk->is_read = err == 0;
		walk->number = lease->batch;
	}
	if (err != 0)
		return err == ERR_NOT_FOUND_INTERNAL ? ERR_CORRUPT : err;
	if (lease->index >= walk->stored.rows.count)
		return ERR_CORRUPT;
	const struct journal_row_bytes *rows = walk->stored.rows.items;
	const struct record_span *bytes = &rows[lease->index].bytes;

	err = row_read(&row, lease->row_number, bytes->data, bytes->len,
	    &walk->arena);
	return err == 0 ? row_grant(grant, &row, &walk->arena) : err;
}

static int
read_name(char out[SUBJECT_VALUE_MAX + 1], const struct walk *walk,
    const uint8_t id[SUBJECT_BYTES])
{
	struct subject subject;
	int err = subject_get(&subject, walk->state, walk->ledger->keys, id);

	out[0] = '\0'; /* erased */
	if (err == 0)
		memcpy(out, subject.value, sizeof subject.value);
	sodium_memzero(&subject, sizeof subject);
	return err == ERR_NOT_FOUND_INTERNAL ? 0 : err;
}

static int
walk_lease(void *ctx, const struct record_span *key,
    const struct record_span *value)
{
	struct walk *walk = ctx;
	struct policy_lease out;
	struct state_lease lease;
	int err = state_lease_read(&lease, key, value);

	if (err != 0)
		return err;
	arena_clear(&walk->arena);
	/* One of this very batch is not stored yet. */
	if (walk->batch != NULL && lease.batch == walk->batch->place.batch)
		err = lease.index < walk->batch->n_rows
		    ? row_grant(&out.grant, &walk->batch->rows[lease.index],
			  &walk->arena)
		    : ERR_CORRUPT;
	else
		err = read_stored(&out.grant, walk, &lease);
	if (err == 0)
		err = read_name(walk->user, walk, out.grant.user);
	if (err == 0)
		err = read_name(walk->host, walk, out.grant.host);
	if (err != 0)
		return err;
	out.lease = lease.lease;
	out.license = lease.license;
	out.borrowed = lease_is_borrow(&lease);
	out.facts = (struct policy_facts){ .user = walk->user,
		.host = walk->host,
		.device = lease.device,
		.product = out.grant.product,
		.version = out.grant.version,
		.feature = out.grant.feature,
		.count = lease.count };
	return walk->each(walk->ctx, &out);
}

int
policy_each_lease(const struct ledger *ledger, const struct state *state,
    const struct batch *batch,
    int (*each)(void *ctx, const struct policy_lease *lease), void *ctx)
{
	struct walk walk = { .ledger = ledger,
		.state = state,
		.batch = batch,
		.each = each,
		.ctx = ctx };
	int err =
	    store_each(&state->txn, STORE_LEASES, NULL, 0, walk_lease, &walk);

	arena_release(&walk.batch_arena);
	arena_release(&walk.arena);
	sodium_memzero(walk.user, sizeof walk.user);
	sodium_memzero(walk.host, sizeof walk.host);
	return err;
}

static int
hold_one(void *ctx, const struct policy_lease *lease)
{
	return policy_hold(ctx, lease->lease, &lease->facts);
}

static int
count_held(struct policy *policy, const struct ledger *ledger,
    const struct state *state, const struct batch *batch)
{
	return policy_counts(policy)
	    ? policy_each_lease(ledger, state, batch, hold_one, policy)
	    : 0;
}

/* --- the one in force ----------------------------------------------------- */

static int
read_newest(struct policy **out, struct ledger *ledger,
    const struct state *state)
{
	struct policy_document document;
	struct record_error error = { .reason = "" };
	struct state_policy newest;
	struct arena arena = { 0 };
	int err = state_policy_newest(&newest, state);

	*out = NULL;
	if (err != 0 || newest.version == 0)
		return err;
	err = policy_text_get(&document, state, ledger->sealed, newest.version,
	    &arena);
	if (err == 0)
		err = policy_compile(out, &document, &error);
	arena_release(&arena);
	if (err == ERR_NOT_FOUND_INTERNAL || err == ERR_BAD_REQUEST) {
		log_error("policy",
		    "tenant %s: version %" PRIu64 " of the policy is not to "
		    "be had: %s %s",
		    ledger->tenant, newest.version, error.field, error.reason);
		err = ERR_CORRUPT;
	}
	return err;
}

static void
take_place(struct ledger *ledger, struct policy *policy)
{
	pthread_mutex_lock(&ledger->policy_lock);
	ledger->policy = policy;
	pthread_mutex_unlock(&ledger->policy_lock);
}

static int
load(struct ledger *ledger, const struct state *state)
{
	struct policy *policy, *before = ledger->policy;
	int err = read_newest(&policy, ledger, state);

	if (err == 0 && policy != NULL)
		err = count_held(policy, ledger, state, NULL);
	if (err != 0) {
		policy_free(policy);
		return err;
	}
	take_place(ledger, policy);
	policy_free(before);
	ledger->policy_stale = false;
	return 0;
}

int
policy_load(struct ledger *ledger, const struct state *state)
{
	return load(ledger, state);
}

int
policy_refresh(struct batch *batch)
{
	struct ledger *ledger = batch->ledger;

	return ledger->policy_stale ? load(ledger, &batch->state) : 0;
}

int
policy_replace(struct batch *batch, struct policy *policy)
{
	struct ledger *ledger = batch->ledger;
	struct policy *before = ledger->policy;
	int err = count_held(policy, ledger, &batch->state, batch);

	if (err != 0)
		return err;
	take_place(ledger, policy);
	if (batch->ruled)
		policy_free(before);
	else
		batch->policy_before = before;
	batch->ruled = true;
	return 0;
}

void
policy_keep(struct ledger *ledger)
{
	struct batch *batch = &ledger->batch;

	if (batch->ruled)
		policy_free(batch->policy_before);
	batch->policy_before = NULL;
	batch->ruled = false;
}

void
policy_undo(struct batch *batch)
{
	struct ledger *ledger = batch->ledger;
	struct policy *given_up = ledger->policy;

	/* What was counted for rows that are none now. */
	if (batch->n_rows > 0)
		ledger->policy_stale = true;
	if (!batch->ruled)
		return;
	take_place(ledger, batch->policy_before);
	policy_free(given_up);
	batch->policy_before = NULL;
	batch->ruled = false;
}

int
policy_granted(struct batch *batch, uint64_t lease,
    const struct policy_facts *facts)
{
	struct ledger *ledger = batch->ledger;

	if (!policy_counts(ledger->policy))
		return 0;
	pthread_mutex_lock(&ledger->policy_lock);
	int err = policy_hold(ledger->policy, lease, facts);

	pthread_mutex_unlock(&ledger->policy_lock);
	return err;
}

void
policy_ended(struct batch *batch, uint64_t lease)
{
	struct ledger *ledger = batch->ledger;

	if (!policy_counts(ledger->policy))
		return;
	pthread_mutex_lock(&ledger->policy_lock);
	policy_end(ledger->policy, lease);
	pthread_mutex_unlock(&ledger->policy_lock);
}

/* --- for other threads ------------------------------------------------------ */

void
ledger_policy_judge(struct policy_verdict *verdict, struct ledger *ledger,
    const struct policy_facts *facts, uint64_t free, uint64_t offered)
{
	pthread_mutex_lock(&ledger->policy_lock);
	policy_judge(verdict, ledger->policy, facts, free, offered);
	pthread_mutex_unlock(&ledger->policy_lock);
}

uint64_t
ledger_policy_own(struct ledger *ledger, const struct policy_facts *facts)
{
	pthread_mutex_lock(&ledger->policy_lock);
	uint64_t own = policy_own(ledger->policy, facts);

	pthread_mutex_unlock(&ledger->policy_lock);
	return own;
}

uint32_t
ledger_policy_idle_s(struct ledger *ledger, uint64_t lease, bool reports)
{
	pthread_mutex_lock(&ledger->policy_lock);
	uint32_t idle_s = policy_idle_s(ledger->policy, lease, reports);

	pthread_mutex_unlock(&ledger->policy_lock);
	return idle_s;
}

void
ledger_policy_queue(struct policy_queue *out, struct ledger *ledger,
    const struct policy_facts *facts)
{
	pthread_mutex_lock(&ledger->policy_lock);
	policy_of_queue(out, ledger->policy, facts);
	pthread_mutex_unlock(&ledger->policy_lock);
}

int
ledger_policy_version(uint64_t *version, struct ledger *ledger)
{
	struct state_policy newest;
	struct ledger_view *view;
	int err = ledger_view_open(&view, ledger);

	*version = 0;
	if (err != 0)
		return err;
	err = state_policy_newest(&newest, &view->state);
	ledger_view_close(view);
	*version = newest.version;
	return err;
}
