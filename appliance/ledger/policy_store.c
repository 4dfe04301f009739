/*
 * Where a policy lies, and who holds what of it. Documents are sealed as other
 * texts are that name people; nothing that is folded needs them (core.h).
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

#define SALT_BYTES 16

/* --- documents ------------------------------------------------------------ */

/* A text of another version, put in its place, does not open. */
static void
text_id(uint8_t id[SEALED_ID_BYTES], uint64_t version)
{
	memcpy(id, "policy..", 8);
	be64_write(id + 8, version);
}

static int
put_sealed(struct state *state, const struct sealed_keys *keys,
    uint64_t version, const void *text, size_t len)
{
	uint8_t id[SEALED_ID_BYTES], key[8];
	struct buf sealed = { 0 };

	text_id(id, version);
	be64_write(key, version);
	int err = sealed_text_add(&sealed, keys, id, text, len);

	if (err == 0)
		err = store_put(&state->txn, STORE_POLICY_TEXTS, key,
		    sizeof key, sealed.data, sealed.len);
	buf_release(&sealed);
	return err;
}

int
policy_text_put(uint8_t commitment[32], struct state *state,
    const struct sealed_keys *keys, uint64_t version, const void *document,
    size_t len, const uint8_t salt[SALT_BYTES])
{
	struct buf text = { 0 };
	uint8_t old[8];
	int err = ERR_NOMEM;

	buf_add(&text, salt, SALT_BYTES);
	buf_add(&text, document, len);
	if (!text.failed) {
		crypto_generichash(commitment, 32, text.data, text.len, NULL,
		    0);
		err = put_sealed(state, keys, version, text.data, text.len);
		sodium_memzero(text.data, text.len);
	}
	buf_release(&text);
	if (err != 0 || version <= POLICY_TEXTS_KEPT)
		return err;
	be64_write(old, version - POLICY_TEXTS_KEPT);
	err = store_delete(&state->txn, STORE_POLICY_TEXTS, old, sizeof old);
	return err == ERR_NOT_FOUND_INTERNAL ? 0 : err;
}

/* Salt and document, opened. */
static int
get_text(struct record_span *out, const struct state *state,
    const struct sealed_keys *keys, uint64_t version, struct arena *arena)
{
	uint8_t id[SEALED_ID_BYTES], key[8];
	struct record_span value;

	text_id(id, version);
	be64_write(key, version);
	int err =
	    store_get(&value, &state->txn, STORE_POLICY_TEXTS, key, sizeof key);

	if (err != 0)
		return err;
	if (value.len < SEALED_TEXT_EXTRA + SALT_BYTES)
		return ERR_CORRUPT;
	uint8_t *text = arena_alloc(arena, value.len - SEALED_TEXT_EXTRA);

	if (text == NULL)
		return ERR_NOMEM;
	if (!sealed_text_open(text, keys, id, value.data, value.len)) {
		log_error("policy", "version %" PRIu64 " does not decrypt",
		    version);
		return ERR_CORRUPT;
	}
	*out = (struct record_span){ text,
		(uint32_t)(value.len - SEALED_TEXT_EXTRA) };
	return 0;
}

static int
read_text(struct policy_document *out, const struct record_span *text,
    struct arena *arena)
{
	int err = record_read_msgpack(out, &policy_document_record,
	    (const uint8_t *)text->data + SALT_BYTES, text->len - SALT_BYTES,
	    NULL, arena, NULL);

	return err == 0 || err == ERR_NOMEM ? err : ERR_CORRUPT;
}

int
policy_text_get(struct policy_document *out, const struct state *state,
    const struct sealed_keys *keys, uint64_t version, struct arena *arena)
{
	struct record_span text;
	int err = get_text(&text, state, keys, version, arena);

	return err == 0 ? read_text(out, &text, arena) : err;
}

/* --- somebody is erased --------------------------------------------------- */

static bool
strike_users(const struct record_list *list, const char *name, bool any_case)
{
	struct policy_user *users = list->items;
	bool found = false;

	for (uint32_t i = 0; i < list->count; i++) {
		if (any_case ? strcasecmp(users[i].user, name) != 0
			     : strcmp(users[i].user, name) != 0)
			continue;
		memcpy(users[i].user, POLICY_ERASED, sizeof POLICY_ERASED);
		found = true;
	}
	return found;
}

static bool
strike_hosts(const struct record_list *list, const char *name)
{
	struct policy_host *hosts = list->items;
	bool found = false;

	for (uint32_t i = 0; i < list->count; i++) {
		if (strcasecmp(hosts[i].host, name) != 0)
			continue;
		memcpy(hosts[i].host, POLICY_ERASED, sizeof POLICY_ERASED);
		found = true;
	}
	return found;
}

/* False: he does not stand in it. */
static bool
strike(struct policy_document *document, const struct person_query *who)
{
	const struct policy_group *groups = document->groups.items;
	const struct policy_rule *rules = document->rules.items;
	bool any_case = document->ignore_case, found = false;

	for (uint32_t i = 0; i < document->groups.count; i++) {
		found |= strike_users(&groups[i].users, who->name, any_case);
		if (who->hosts)
			found |= strike_hosts(&groups[i].hosts, who->name);
	}
	for (uint32_t i = 0; i < document->rules.count; i++) {
		found |= strike_users(&rules[i].users, who->name, any_case);
		if (who->hosts)
			found |= strike_hosts(&rules[i].hosts, who->name);
	}
	if (who->mentions && strcasestr(document->comment, who->name) != NULL) {
		memset(document->comment, 0, sizeof document->comment);
		found = true;
	}
	return found;
}

/* Those that are kept: from `first` to `last`. */
static int
kept_versions(uint64_t *first, uint64_t *last, const struct state *state)
{
	struct state_policy newest;
	int err = state_policy_newest(&newest, state);

	*last = newest.version;
	*first = newest.version > POLICY_TEXTS_KEPT
	    ? newest.version - POLICY_TEXTS_KEPT + 1
	    : 1;
	return err;
}

int
policy_texts_name(bool *named, const struct state *state,
    const struct sealed_keys *keys, const struct person_query *who)
{
	struct policy_document document;
	struct arena arena = { 0 };
	uint64_t at, last;
	int err = kept_versions(&at, &last, state);

	*named = false;
	for (; err == 0 && at <= last && !*named; at++) {
		arena_clear(&arena);
		err = policy_text_get(&document, state, keys, at, &arena);
		if (err == 0)
			*named = strike(&document, who);
		else if (err == ERR_NOT_FOUND_INTERNAL)
			err = 0;
	}
	arena_release(&arena);
	return err;
}

static int
turn_text(struct state *state, const struct sealed_keys *keys,
    const struct person_query *who, uint64_t version, struct arena *arena)
{
	struct policy_document document;
	struct record_span text;
	struct buf bytes = { 0 };
	int err = get_text(&text, state, keys, version, arena);

	if (err == 0)
		err = read_text(&document, &text, arena);
	if (err != 0)
		return err == ERR_NOT_FOUND_INTERNAL ? 0 : err;
	if (who != NULL && strike(&document, who)) {
		buf_add(&bytes, text.data, SALT_BYTES);
		record_write_msgpack(&bytes, &policy_document_record,
		    &document);
		text = (struct record_span){ bytes.data, (uint32_t)bytes.len };
	}
	err = bytes.failed
	    ? ERR_NOMEM
	    : put_sealed(state, keys, version, text.data, text.len);
	buf_release(&bytes);
	return err;
}

int
policy_texts_turn(struct state *state, const struct sealed_keys *keys,
    const struct person_query *who)
{
	struct arena arena = { 0 };
	uint64_t at, last;
	int err = kept_versions(&at, &last, state);

	for (; err == 0 && at <= last; at++) {
		arena_clear(&arena);
		err = turn_text(state, keys, who, at, &arena);
	}
	arena_release(&arena);
	return err;
}

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
