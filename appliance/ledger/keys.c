#include "appliance/ledger/keys.h"

#include "appliance/ledger/alerts.h"
#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/base/text.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

/* Uses in one transaction at most; the rest in the next turn. */
#define SAVE_MAX 4096

/* What is remembered of a key, whichever secret it comes with. */
struct key_use {
	struct ledger_key_use kept;
	bool dirty;
	bool learning; /* a new application is on its way into its document */
};

/* A secret that was good when it was looked up. */
struct live_key {
	uint8_t hash[KEY_HASH_BYTES];
	uint64_t device;
	scope_set scopes;
	int64_t until; /* site time; INT64_MAX: it does not end */
	struct restrict_rules *rules;
	struct key_use *use;
};

struct keys {
	struct table by_hash; /* first bytes of the hash -> live_key */
	struct table uses; /* device -> key_use */
	bool saving;
	int64_t saved_at; /* boottime */
};

/* --- the memory ----------------------------------------------------------- */

static void
free_live(struct live_key *live)
{
	restrict_free(live->rules);
	free(live);
}

/* The hash is keyed, so nobody outside chooses where it lands. */
static uint64_t
place_of(const uint8_t hash[KEY_HASH_BYTES])
{
	return be64_read(hash);
}

static struct key_use *
use_of(struct keys *keys, uint64_t device)
{
	struct key_use *use = table_get(&keys->uses, device);

	if (use != NULL)
		return use;
	use = calloc(1, sizeof *use);
	if (use == NULL)
		return NULL;
	use->kept.device = device;
	if (table_put(&keys->uses, device, use) != 0) {
		free(use);
		return NULL;
	}
	return use;
}

static int
load_use(void *ctx, const struct ledger_key_use *kept)
{
	struct key_use *use = use_of(ctx, kept->device);

	if (use == NULL)
		return ERR_NOMEM;
	use->kept = *kept;
	return 0;
}

int
keys_open(struct tenant *tenant)
{
	struct ledger_view *view;

	tenant->keys = calloc(1, sizeof *tenant->keys);
	if (tenant->keys == NULL)
		return ERR_NOMEM;
	tenant->keys->saved_at = clock_boottime_ms();
	int err = ledger_view_open(&view, tenant->ledger);

	if (err != 0)
		return err;
	err = ledger_key_use_each(view, load_use, tenant->keys);
	ledger_view_close(view);
	return err;
}

void
keys_changed(struct tenant *tenant, uint64_t device)
{
	struct table *table = &tenant->keys->by_hash;
	struct live_key *live;
	size_t at = 0;

	/* Two secrets at most; taking one out moves others. */
	while ((live = table_next(table, &at)) != NULL) {
		if (live->device != device)
			continue;
		table_remove(table, place_of(live->hash));
		free_live(live);
		at = 0;
	}
}

void
keys_forget(struct tenant *tenant)
{
	struct table *table = &tenant->keys->by_hash;
	struct live_key *live;
	size_t at = 0;

	while ((live = table_next(table, &at)) != NULL)
		free_live(live);
	table_release(table);
	*table = (struct table){ 0 };
}

int64_t
keys_last_used(const struct tenant *tenant, uint64_t device)
{
	const struct key_use *use = table_get(&tenant->keys->uses, device);

	return use != NULL ? use->kept.last_used_at : 0;
}

/* --- keeping uses --------------------------------------------------------- */

struct saving {
	size_t n;
	struct ledger_key_use uses[SAVE_MAX];
};

static void
gather(struct saving *saving, struct keys *keys)
{
	struct key_use *use;
	size_t at = 0;

	saving->n = 0;
	while (saving->n < SAVE_MAX &&
	    (use = table_next(&keys->uses, &at)) != NULL) {
		if (!use->dirty)
			continue;
		use->dirty = false;
		saving->uses[saving->n++] = use->kept;
	}
}

static void
run_save(struct work *work)
{
	struct call *call = (struct call *)work;
	const struct saving *saving = call->request;

	call->write.command.err =
	    ledger_key_use_put(call->tenant->ledger, saving->uses, saving->n);
}

/* What could not be written is tried again with the next use. */
static void
saved(struct call *call)
{
	struct keys *keys = call->tenant->keys;

	keys->saving = false;
	if (call->write.command.err != 0)
		log_warn("keys", "uses of keys of %s were not kept: %s",
		    call->tenant->name, err_str(call->write.command.err));
	call_free(call);
}

void
keys_tick(struct tenant *tenant)
{
	struct keys *keys = tenant->keys;
	int64_t boottime = clock_boottime_ms();

	if (keys->saving || boottime - keys->saved_at < KEYS_SAVE_MS)
		return;
	keys->saved_at = boottime;
	struct saving *saving = malloc(sizeof *saving);

	if (saving == NULL)
		return;
	gather(saving, keys);
	struct call *call = saving->n == 0
	    ? NULL
	    : call_new_own(tenant, 0, saving,
		  offsetof(struct saving, uses) +
		      saving->n * sizeof saving->uses[0]);

	free(saving);
	if (call == NULL)
		return;
	keys->saving = true;
	call->finish = saved;
	call_help(call, run_save);
}

void
keys_close(struct tenant *tenant)
{
	struct keys *keys = tenant->keys;
	struct saving *saving;
	struct live_key *live;
	struct key_use *use;
	size_t at = 0;

	if (keys == NULL)
		return;
	saving = malloc(sizeof *saving);
	for (;;) {
		if (saving == NULL)
			break;
		gather(saving, keys);
		if (saving->n == 0 ||
		    ledger_key_use_put(tenant->ledger, saving->uses,
			saving->n) != 0)
			break;
	}
	free(saving);
	while ((live = table_next(&keys->by_hash, &at)) != NULL)
		free_live(live);
	at = 0;
	while ((use = table_next(&keys->uses, &at)) != NULL)
		free(use);
	table_release(&keys->by_hash);
	table_release(&keys->uses);
	free(keys);
	tenant->keys = NULL;
}

/* --- looking a key up ----------------------------------------------------- */

static int64_t
end_of(const struct ledger_key *key)
{
	int64_t until = key->expires_at != 0 ? key->expires_at : INT64_MAX;

	if (key->previous && key->previous_until < until)
		until = key->previous_until;
	return until;
}

static struct live_key *
keep(struct keys *keys, const uint8_t hash[KEY_HASH_BYTES],
    const struct ledger_key *key, struct restrict_rules *rules)
{
	struct live_key *live = calloc(1, sizeof *live);
	struct key_use *use = use_of(keys, key->device);

	if (live == NULL || use == NULL) {
		free(live);
		return NULL;
	}
	memcpy(live->hash, hash, sizeof live->hash);
	live->device = key->device;
	live->scopes = key->scopes;
	live->until = end_of(key);
	live->rules = rules;
	live->use = use;
	struct live_key *before = table_remove(&keys->by_hash, place_of(hash));

	if (before != NULL)
		free_live(before);
	if (table_put(&keys->by_hash, place_of(hash), live) != 0) {
		free(live);
		return NULL;
	}
	return live;
}

/* Of the store: read, decrypted and compiled, once until a row changes it. */
static int
load(struct live_key **out, struct ledger_key *key, struct tenant *tenant,
    const uint8_t hash[KEY_HASH_BYTES])
{
	struct key_document document;
	struct restrict_rules *rules;
	struct record_error error = { 0 };
	struct arena arena = { 0 };
	struct ledger_view *view;
	int err = ledger_view_open(&view, tenant->ledger);

	if (err != 0)
		return err;
	err = ledger_key_find(key, view, hash);
	if (err == 0 && key->revoked)
		err = ERR_DEVICE_REVOKED;
	if (err == 0)
		err = ledger_key_document(&document, view, key, &arena);
	ledger_view_close(view);
	if (err == 0)
		err = restrict_compile(&rules, &document.restrictions, &error);
	arena_release(&arena);
	if (err == ERR_NOT_FOUND_INTERNAL)
		return ERR_UNAUTHENTICATED;
	if (err == ERR_BAD_REQUEST || err == ERR_UNAVAILABLE) {
		log_error("keys",
		    "key-%llu of %s is refused: its restrictions cannot be "
		    "read: %s %s",
		    (unsigned long long)key->device, tenant->name, error.field,
		    error.reason);
		return ERR_UNAVAILABLE;
	}
	if (err != 0)
		return err;
	*out = keep(tenant->keys, hash, key, rules);
	if (*out == NULL)
		restrict_free(rules);
	return *out != NULL ? 0 : ERR_NOMEM;
}

/* Who has the secret, or had it, may be told what became of it. */
static int
refuse_ended(struct caller *caller, uint64_t device, bool revoked)
{
	problem_set(&caller->problem, ERR_UNAUTHENTICATED,
	    "ask the tenant's admin for a new one",
	    revoked ? "key-%llu was revoked"
		    : "key-%llu has expired, or was replaced by a new secret",
	    (unsigned long long)device);
	return ERR_UNAUTHENTICATED;
}

/* --- refusals and alerts -------------------------------------------------- */

void
keys_note_denial(struct tenant *tenant, uint64_t device,
    const struct wire_caller *wire, int err)
{
	struct denial *denial = denials_add(&tenant->denials, device, 0, "",
	    err_code(err), process_now(tenant->process));

	denials_say_from(denial, wire->address, wire->hostname, "",
	    wire->fingerprint);
}

/* -1: somebody may do nothing about it. */
static int
alert_kind(int err)
{
	switch (err) {
	case ERR_HOSTNAME_NOT_ALLOWED:
		return ALERT_UNKNOWN_HOST;
	case ERR_IP_NOT_ALLOWED:
		return ALERT_UNKNOWN_ADDRESS;
	case ERR_CERTIFICATE_NOT_ALLOWED:
		return ALERT_NO_CERTIFICATE;
	case ERR_FINGERPRINT_BLOCKED:
		return ALERT_UNKNOWN_FINGERPRINT;
	case ERR_OUTSIDE_HOURS:
		return ALERT_OUT_OF_HOURS;
	case ERR_RATE_LIMITED:
		return ALERT_UNUSUAL_RATE;
	default:
		return -1;
	}
}

static void
alert(struct tenant *tenant, const struct live_key *live,
    const struct wire_caller *wire, int kind)
{
	struct alert_fact fact = {
		.subject = { .about = ALERT_OF_KEY, .id = live->device },
		.address = wire->address,
		.host = wire->hostname,
		.fingerprint = wire->fingerprint,
	};

	if (kind < 0)
		return;
	fact.subject.kind = (uint32_t)kind;
	alert_raise(tenant, &fact);
}

/* --- learning applications ------------------------------------------------ */

static void
learned(struct call *call)
{
	struct key_use *use =
	    table_get(&call->tenant->keys->uses, call->device);

	call->device = 0;
	if (use != NULL)
		use->learning = false;
	call_free(call);
}

/* The document with one application more, into the call's arena. */
static int
add_print(struct ledger_key_change *change, struct arena *arena,
    struct tenant *tenant, const struct wire_caller *wire)
{
	struct key_document document;
	struct key_restrictions *r = &document.restrictions;
	struct ledger_key key;
	struct ledger_view *view;
	struct buf bytes = { 0 };
	int err = ledger_view_open(&view, tenant->ledger);

	if (err != 0)
		return err;
	err = ledger_key(&key, view, change->device);
	if (err == 0)
		err = ledger_key_document(&document, view, &key, arena);
	ledger_view_close(view);
	if (err == 0 && r->allowed_fingerprints.count >= KEY_PRINTS_MAX)
		err = ERR_FULL;
	if (err != 0)
		return err;
	uint32_t n = r->allowed_fingerprints.count;
	struct key_known *known = arena_alloc(arena, (n + 1) * sizeof *known);

	if (known == NULL)
		return ERR_NOMEM;
	if (n > 0)
		memcpy(known, r->allowed_fingerprints.items, n * sizeof *known);
	memset(&known[n], 0, sizeof known[n]);
	text_to_hex(known[n].fingerprint, wire->fingerprint, 32);
	text_copy(known[n].lib_version, sizeof known[n].lib_version,
	    wire->lib_version);
	r->allowed_fingerprints = (struct record_list){ known, n + 1 };
	memcpy(change->before, key.document, sizeof change->before);
	record_write_msgpack(&bytes, &key_document_record, &document);
	change->document.data =
	    bytes.failed ? NULL : arena_copy(arena, bytes.data, bytes.len);
	change->document.len = (uint32_t)bytes.len;
	buf_release(&bytes);
	return change->document.data != NULL ? 0 : ERR_NOMEM;
}

/* The request goes on; the document follows, by the site itself. */
static void
learn(struct tenant *tenant, struct live_key *live,
    const struct wire_caller *wire)
{
	struct ledger_key_change change = { .device = live->device };

	alert(tenant, live, wire, ALERT_UNKNOWN_FINGERPRINT);
	if (live->use->learning || tenant->fault != 0)
		return;
	struct call *call =
	    call_new_own(tenant, LEDGER_KEY_CHANGE, &change, sizeof change);

	if (call == NULL)
		return;
	if (add_print(call->request, &call->arena, tenant, wire) != 0) {
		call_free(call);
		return;
	}
	live->use->learning = true;
	call->device = live->device;
	call->finish = learned;
	call_commit(call);
}

/* --- checking ------------------------------------------------------------- */

static int
check_rules(struct caller *caller, struct tenant *tenant, struct live_key *live,
    const struct wire_caller *wire, int64_t now_ms)
{
	const struct restrict_facts facts = {
		.address = wire->address,
		.hostname = wire->hostname,
		.client_cn = wire->client_cn,
		.certificate = wire->certificate,
		.fingerprint = wire->fingerprint,
		.lib_version = wire->lib_version,
		.now_ms = now_ms,
	};
	enum restrict_print print;
	int err = restrict_check(live->rules, &print, &facts, &caller->problem);

	if (err == 0 && print == RESTRICT_PRINT_NEW)
		learn(tenant, live, wire);
	return err;
}

static void
fill_limits(struct wire_limits *out, int64_t full_at,
    const struct bucket_rate *rate, int64_t now_us)
{
	*out = (struct wire_limits){
		.limit = rate->limit,
		.remaining = bucket_left(full_at, rate, now_us),
		.reset_s = bucket_full_s(full_at, rate, now_us),
		.retry_s = bucket_wait_s(full_at, rate, now_us),
		.window_s = (uint32_t)(rate->window_us / 1000000),
	};
}

/* Of a checkout the bucket is told that is used up first. What is refused is
 * not counted. */
static int
check_rate(struct caller *caller, struct live_key *live,
    const struct operation *op, int64_t now_ms)
{
	const struct bucket_rate *hour = restrict_requests(live->rules);
	const struct bucket_rate *minute = restrict_checkouts(live->rules);
	struct ledger_key_use *use = &live->use->kept;
	int64_t now_us = now_ms * 1000;
	bool checkout =
	    op->scope == SCOPE_CHECKOUT && op->kind == OPERATION_COMMAND;
	bool good = bucket_take(&use->requests_until, hour, now_us);
	bool in_minute = true;

	if (good && checkout)
		in_minute = bucket_take(&use->checkouts_until, minute, now_us);
	if (good && !in_minute)
		bucket_give(&use->requests_until, hour);
	fill_limits(&caller->limits, use->requests_until, hour, now_us);
	if (checkout &&
	    (!in_minute ||
		bucket_left(use->checkouts_until, minute, now_us) <
		    caller->limits.remaining))
		fill_limits(&caller->limits, use->checkouts_until, minute,
		    now_us);
	if (good && in_minute)
		return 0;
	problem_set(&caller->problem, ERR_RATE_LIMITED, NULL,
	    "this key may make %u %s, and has; again in %u s",
	    caller->limits.limit,
	    in_minute ? "requests an hour" : "checkouts a minute",
	    caller->limits.retry_s);
	caller->problem.retry_after_s = caller->limits.retry_s;
	return ERR_RATE_LIMITED;
}

int
keys_find(struct caller *caller, struct tenant *tenant,
    const struct wire_caller *wire, const struct operation *op)
{
	uint8_t hash[KEY_HASH_BYTES];
	int64_t now_ms = process_now(tenant->process);
	struct ledger_key key = { 0 };

	ledger_key_hash(hash, tenant->ledger, wire->key.data, wire->key.len);
	struct live_key *live =
	    table_get(&tenant->keys->by_hash, place_of(hash));
	int err = 0;

	if (live == NULL || sodium_memcmp(live->hash, hash, sizeof hash) != 0)
		err = load(&live, &key, tenant, hash);
	if (err == ERR_DEVICE_REVOKED) {
		keys_note_denial(tenant, key.device, wire, err);
		return refuse_ended(caller, key.device, true);
	}
	if (err != 0)
		return err;
	if (now_ms >= live->until) {
		keys_note_denial(tenant, live->device, wire,
		    ERR_UNAUTHENTICATED);
		return refuse_ended(caller, live->device, false);
	}
	caller->tenant = tenant;
	caller->who.kind = ACTOR_KEY;
	caller->who.id = live->device;
	caller->scopes = live->scopes;
	err = check_rules(caller, tenant, live, wire, now_ms);
	if (err == 0)
		err = check_rate(caller, live, op, now_ms);
	live->use->dirty = true;
	if (err == 0) {
		live->use->kept.last_used_at = now_ms;
		return 0;
	}
	keys_note_denial(tenant, live->device, wire, err);
	alert(tenant, live, wire, alert_kind(err));
	return err;
}
