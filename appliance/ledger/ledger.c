/* Opening, closing, committing. See ledger.h. */
#include "appliance/ledger/core.h"
#include "appliance/ledger/ledger_key.h"
#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/base/text.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- open -------------------------------------------------------------- */

static int
ledger_new(struct ledger **out, const struct ledger_options *options,
    bool create)
{
	struct ledger *ledger = calloc(1, sizeof *ledger);

	if (ledger == NULL)
		return ERR_NOMEM;
	ledger->batch.ledger = ledger;
	pthread_mutex_init(&ledger->policy_lock, NULL);
	ledger->site_public = options->site_public;
	ledger->site_secret = options->site_secret;
	ledger->site_keys = options->site_keys != NULL
	    ? *options->site_keys
	    : site_keys_one(options->site_public);
	ledger->fault = options->fault;
	ledger->fault_ctx = options->fault_ctx;
	if (options->ca_sha256 != NULL)
		memcpy(ledger->ca_sha256, options->ca_sha256,
		    sizeof ledger->ca_sha256);
	ledger->tenant_key = options->tenant_key;
	ledger->key_hashes = ledger_key_hashes(options->tenant_key);
	ledger->subjects = subject_cache_new();
	ledger->cache = license_cache_new();
	ledger->requests = requests_new(
	    options->ended_max != 0 ? options->ended_max : LEDGER_ENDED_MAX);
	int err = ERR_NOMEM;

	if (!text_copy(ledger->site, sizeof ledger->site, options->site) ||
	    !text_copy(ledger->tenant, sizeof ledger->tenant, options->tenant))
		err = ERR_BAD_REQUEST;
	else if (ledger->key_hashes != NULL && ledger->subjects != NULL &&
	    ledger->cache != NULL && ledger->requests != NULL)
		err = store_open(&ledger->store,
		    &(struct store_options){
			.path = options->path,
			.map_bytes = options->map_bytes,
			.map_grows = options->map_grows,
			.volatile_ = options->volatile_,
			.create = create,
			.hold_format = options->hold_format,
		    });
	if (err == 0)
		err = reseal_open(ledger, options->path, create,
		    options->volatile_);
	if (err != 0) {
		ledger_close(ledger);
		return err;
	}
	*out = ledger;
	return 0;
}

bool
ledger_owes(struct ledger *ledger)
{
	return atomic_exchange(&ledger->owed, false);
}

uint32_t
ledger_store_format(const struct ledger *ledger)
{
	return store_format(ledger->store);
}

void
ledger_close(struct ledger *ledger)
{
	if (ledger == NULL)
		return;
	policy_free(ledger->policy);
	pthread_mutex_destroy(&ledger->policy_lock);
	store_close(ledger->store);
	requests_free(ledger->requests);
	license_cache_free(ledger->cache);
	subject_keys_free(ledger->keys);
	sealed_keys_free(ledger->sealed);
	person_key_close(ledger->person_key);
	user_keys_free(ledger->users);
	sodium_free(ledger->key_hashes);
	subject_cache_free(ledger->subjects);
	batch_release(&ledger->batch);
	tree_release(&ledger->old_tree);
	arena_release(&ledger->old_arena);
	free(ledger);
}

/* Is the newest header ours, and is it the newest of what is there? */
static int
check_newest(const struct ledger *ledger, struct state *state)
{
	struct state_newest newest;
	struct journal_header header;
	uint8_t head[32];
	int err = state_newest(&newest, state);

	if (err == 0)
		err = journal_header_verify(&header, head, newest.token.data,
		    newest.token.len,
		    site_keys_of(&ledger->site_keys, newest.token.data,
			newest.token.len));
	if (err != 0) {
		log_error("ledger",
		    "the newest header is not signed by this "
		    "site: %s",
		    err_str(err));
		return err == ERR_NOT_FOUND_INTERNAL ? ERR_CORRUPT : err;
	}
	if (strcmp(header.site, ledger->site) != 0 ||
	    strcmp(header.tenant, ledger->tenant) != 0) {
		log_error("ledger", "this journal is of site %s, tenant %s",
		    header.site, header.tenant);
		return ERR_MISMATCH;
	}
	if (header.batch + 1 != state->counters.batches ||
	    header.first_row + header.rows != state->counters.next_row ||
	    memcmp(head, newest.head, sizeof head) != 0) {
		log_error("ledger",
		    "the newest header, of batch %" PRIu64
		    ", does not fit the state",
		    header.batch);
		return ERR_CORRUPT;
	}
	return 0;
}

static int
ledger_load(struct ledger *ledger)
{
	struct state state;
	int err = state_begin(&state, ledger->store, false, NULL);

	if (err != 0)
		return err;
	err = check_newest(ledger, &state);
	if (err == 0)
		err = state_clean(&ledger->was_clean, &state);
	ledger->clean_noted = ledger->was_clean;
	if (err == 0)
		err = recall_requests(ledger, &state);
	if (err == 0)
		err = policy_load(ledger, &state);
	state_abort(&state);
	return err;
}

int
ledger_open(struct ledger **out, const struct ledger_options *options)
{
	struct ledger *ledger;
	int err = ledger_new(&ledger, options, false);

	if (err != 0)
		return err;
	err = ledger_load(ledger);
	if (err != 0) {
		ledger_close(ledger);
		return err;
	}
	*out = ledger;
	return 0;
}

static int
write_genesis(struct ledger *ledger, int64_t now_ms)
{
	struct batch *batch = &ledger->batch;
	int err = batch_begin(batch, now_ms);

	if (err != 0)
		return err;
	if (batch->state.counters.batches > 0)
		err = ERR_CONFLICT;
	struct row *row = err == 0 ? batch_row(batch, ROW_GENESIS) : NULL;

	if (err == 0 && row == NULL)
		err = ERR_NOMEM;
	if (row != NULL) {
		struct row_genesis *r = &row->u.genesis;

		memcpy(r->site, ledger->site, sizeof r->site);
		memcpy(r->tenant, ledger->tenant, sizeof r->tenant);
		memcpy(r->site_key, ledger->site_public, sizeof r->site_key);
		r->format = 1;
		err = batch_emit(batch);
	}
	if (err == 0)
		err = batch_seal(batch);
	if (err != 0) {
		batch_abort(batch);
		return err;
	}
	return batch_commit(batch);
}

int
ledger_create(const struct ledger_options *options, int64_t now_ms)
{
	struct ledger *ledger;
	int err = ledger_new(&ledger, options, true);

	if (err != 0)
		return err;
	err = write_genesis(ledger, now_ms);
	ledger_close(ledger);
	return err;
}

/* --- commit ------------------------------------------------------------ */

/* A batch is read as a whole, in one message between our processes: so much of
 * rows is enough. What the last command adds is far less. */
#define BATCH_BYTES_MAX ((size_t)2 << 20)

/* What it answers, where that has to be looked up: as the rows left it. */
static int
say(struct batch *batch, struct command *command)
{
	struct ledger_view view = { .ledger = batch->ledger,
		.state = batch->state };

	return command->say(command, &view, batch->place.time);
}

/* What a command with an Idempotency-Key did is noted where it is done, and with
 * it the answer, but for one that is shown once. */
static int
note_done(struct batch *batch, struct command *command)
{
	struct idempotency *again = command->again;
	const bool secret = idempotency_is_secret(again->reply);
	struct buf answer = { 0 };

	if (!secret)
		record_write_msgpack(&answer, again->reply,
		    command->said != NULL ? command->said : &command->reply);
	int err = answer.failed
	    ? ERR_NOMEM
	    : idempotency_put(&batch->state, batch->ledger->sealed, again,
		  batch->place.time, answer.data, answer.len);

	buf_release(&answer);
	batch->noted |= err == 0;
	return err;
}

static int
decide_one(struct batch *batch, struct command *command)
{
	if (batch->bytes.len < BATCH_BYTES_MAX) {
		size_t before = batch->n_rows;
		int err = decide(batch, command);

		if (err == 0 && command->err == 0 && command->say != NULL)
			err = say(batch, command);
		if (err == 0 && command->err == 0 && command->again != NULL)
			err = note_done(batch, command);
		if (err == 0 && command->err == 0 && command->act != NULL &&
		    batch->n_rows > before)
			err = decide_acted(batch, command);
		return err;
	}
	command->license = 0;
	return decide_refuse(command, ERR_BUSY, "",
	    "too much at once; try again");
}

static int
decide_all(struct batch *batch, struct command *const *commands, size_t n)
{
	struct ledger_timing *timing = &batch->ledger->timing;
	uint64_t start = core_now_ns();
	int err = 0;

	for (size_t i = 0; i < n && err == 0; i++) {
		err = ledger_fault(batch->ledger, "decide");
		if (err == 0)
			err = decide_one(batch, commands[i]);
	}
	timing->commands += n;
	timing->fold_ns += batch->fold_ns;
	timing->decide_ns += core_now_ns() - start - batch->fold_ns;
	return err;
}

static int
commit_all(struct batch *batch, struct command *const *commands, size_t n)
{
	int err = decide_all(batch, commands, n);

	if (err == 0 && batch->n_rows > 0)
		err = batch_seal(batch);
	if (err == 0)
		err = reply_grants(batch);
	if (err != 0 || (batch->n_rows == 0 && !batch->noted)) {
		batch_abort(batch);
		return err;
	}
	/* As batch_seal does: the note says that nothing came after a stop. */
	if (batch->n_rows == 0 && batch->ledger->clean_noted)
		err = state_clean_put(&batch->state, false);
	if (err != 0) {
		batch_abort(batch);
		return err;
	}
	return batch_commit(batch);
}

const uint32_t ledger_commit_bounds_us[LEDGER_COMMIT_BUCKETS - 1] = { 100, 250,
	500, 1000, 2500, 5000, 10000, 25000, 50000, 100000, 1000000 };

static void
count_commit(struct ledger *ledger, uint64_t took_us, size_t n)
{
	size_t i = 0;

	while (i < LEDGER_COMMIT_BUCKETS - 1 &&
	    took_us > ledger_commit_bounds_us[i])
		i++;
	atomic_fetch_add_explicit(&ledger->buckets[i], 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&ledger->commit_us, took_us,
	    memory_order_relaxed);
	atomic_fetch_add_explicit(&ledger->commands, n, memory_order_relaxed);
}

void
ledger_figures(struct ledger_figures *out, const struct ledger *ledger)
{
	out->commands =
	    atomic_load_explicit(&ledger->commands, memory_order_relaxed);
	out->commit_us =
	    atomic_load_explicit(&ledger->commit_us, memory_order_relaxed);
	for (size_t i = 0; i < LEDGER_COMMIT_BUCKETS; i++)
		out->buckets[i] = atomic_load_explicit(&ledger->buckets[i],
		    memory_order_relaxed);
}

int
ledger_commit(struct ledger *ledger, struct command *const *commands, size_t n,
    int64_t now_ms, const struct ledger_observer *observer)
{
	struct batch *batch = &ledger->batch;
	uint64_t start = core_now_ns();
	int err = batch_begin(batch, now_ms);

	if (err == 0)
		err = commit_all(batch, commands, n);
	if (err != 0) {
		for (size_t i = 0; i < n; i++)
			decide_refuse(commands[i], err, "", "%s", err_str(err));
		return err;
	}
	if (batch->n_rows > 0)
		count_commit(ledger, (core_now_ns() - start) / 1000, n);
	for (size_t i = 0; observer != NULL && i < batch->n_rows; i++)
		observer->row(observer->ctx, &batch->rows[i],
		    batch->place.time);
	return 0;
}

void
ledger_timing(struct ledger_timing *timing, const struct ledger *ledger)
{
	*timing = ledger->timing;
}

void
ledger_room(struct store_room *room, const struct ledger *ledger)
{
	store_room(room, ledger->store);
}

int
ledger_grow(struct ledger *ledger)
{
	return store_grow(ledger->store);
}

int
ledger_probe(struct ledger *ledger)
{
	return store_probe(ledger->store);
}

bool
ledger_is_broken(const struct ledger *ledger)
{
	return store_is_broken(ledger->store);
}

void
ledger_freeze(struct ledger *ledger, bool frozen)
{
	atomic_store(&ledger->frozen, frozen);
}

bool
ledger_was_clean(const struct ledger *ledger)
{
	return ledger->was_clean;
}

int
ledger_stop_clean(struct ledger *ledger)
{
	struct state state;
	int err = state_begin(&state, ledger->store, true, NULL);

	if (err != 0)
		return err;
	err = state_clean_put(&state, true);
	if (err != 0) {
		state_abort(&state);
		return err;
	}
	err = state_commit(&state);
	if (err == 0)
		ledger->clean_noted = true;
	return err;
}
