#include "appliance/ledger/carry.h"

#include "appliance/ledger/core.h"
#include "appliance/ledger/ledger_key.h"
#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/journal/erasure.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#define WHY "revoked before the tenant was put back"

struct carrying {
	struct ledger *copy;
	const struct ledger *newer;
	struct ledger_view *to; /* of the copy as it is; NULL: none at hand */
	const struct principal *who;
	int64_t now;
	struct carried *out;
	/* of erasures, until there are enough for one */
	struct row_subject subjects[ERASURE_SUBJECTS_MAX];
	struct row_number users[ERASURE_USERS_MAX];
	uint32_t n_subjects, n_users;
	int64_t held_until; /* of the revocation at hand */
	bool keys_named; /* an erasure since changed keys' documents */
};

/* A view lasts until the next commit: names lie under another key then, and the
 * map may have grown. */
static int
see(struct carrying *carrying)
{
	return carrying->to != NULL
	    ? 0
	    : ledger_view_open(&carrying->to, carrying->copy);
}

static void
look_away(struct carrying *carrying)
{
	if (carrying->to != NULL)
		ledger_view_close(carrying->to);
	carrying->to = NULL;
}

/* One command, one commit: each may write as much as a batch has room for. */
static int
commit(struct carrying *carrying, uint32_t op, const void *request)
{
	struct command command = {
		.op = op,
		.who = *carrying->who,
		.request = request,
		.scopes = ~(scope_set)0,
		.held_until = carrying->held_until,
	};
	struct command *commands[] = { &command };
	int err = 0;

	look_away(carrying);
	for (int tries = 0; tries < 2; tries++) {
		randombytes_buf(command.entropy, sizeof command.entropy);
		err = ledger_commit(carrying->copy, commands, 1, carrying->now,
		    NULL);
		if (err != ERR_FULL || ledger_grow(carrying->copy) != 0)
			break;
		arena_clear(&command.arena);
	}
	if (err == 0 && command.err != 0) {
		err = command.err;
		log_error("carry", "the copy of tenant %s: %s",
		    carrying->copy->tenant, command.problem.detail);
	}
	if (err == 0 && op == LEDGER_ERASE_AGAIN) {
		carrying->out->subjects +=
		    command.reply.person_erased.subjects.count;
		carrying->out->erased_users +=
		    command.reply.person_erased.users.count;
	}
	arena_release(&command.arena);
	return err;
}

/* --- erasures ---------------------------------------------------------------- */

static int
flush(struct carrying *carrying)
{
	const struct ledger_erase_again request = {
		.subjects = { carrying->subjects, carrying->n_subjects },
		.users = { carrying->users, carrying->n_users },
	};

	if (carrying->n_subjects == 0 && carrying->n_users == 0)
		return 0;
	carrying->n_subjects = carrying->n_users = 0;
	return commit(carrying, LEDGER_ERASE_AGAIN, &request);
}

static int
note_subject(struct carrying *carrying, const uint8_t id[SUBJECT_BYTES])
{
	struct subject subject;
	int err = see(carrying);

	if (err == 0)
		err = subject_get(&subject, &carrying->to->state,
		    carrying->copy->keys, id);
	sodium_memzero(&subject, sizeof subject);
	if (err != 0)
		return err == ERR_NOT_FOUND_INTERNAL ? 0 : err;
	if (carrying->n_subjects == ERASURE_SUBJECTS_MAX)
		return ERR_TOO_LARGE;
	memcpy(carrying->subjects[carrying->n_subjects++].subject, id,
	    SUBJECT_BYTES);
	return 0;
}

/* The one whose number it is in both; false: there is none. */
static int
find_user(bool *there, struct state_user *out, struct carrying *carrying,
    const struct state_user *newer)
{
	int err = see(carrying);

	if (err == 0)
		err = state_user(out, &carrying->to->state, newer->user);

	*there = err == 0 && out->created_at == newer->created_at &&
	    out->state != USER_REMOVED;
	return err == ERR_NOT_FOUND_INTERNAL ? 0 : err;
}

static int
note_user(struct carrying *carrying, const struct state *newer, uint64_t number)
{
	struct state_user user, copied;
	bool there = false;
	int err = state_user(&user, newer, number);

	if (err == 0)
		err = find_user(&there, &copied, carrying, &user);
	if (err != 0 || !there)
		return err == ERR_NOT_FOUND_INTERNAL ? ERR_CORRUPT : err;
	if (carrying->n_users == ERASURE_USERS_MAX)
		return ERR_TOO_LARGE;
	carrying->users[carrying->n_users++].number = number;
	return 0;
}

/* One erasure has no more than a command takes. */
static int
carry_erasure(struct carrying *carrying, const struct state *newer,
    const struct erasure *erasure)
{
	const struct erased_subject *subjects = erasure->subjects.items;
	const struct row_number *users = erasure->users.items;
	int err = 0;

	carrying->keys_named |= erasure->keys > 0;
	if (carrying->n_subjects + erasure->subjects.count >
		ERASURE_SUBJECTS_MAX ||
	    carrying->n_users + erasure->users.count > ERASURE_USERS_MAX)
		err = flush(carrying);
	for (uint32_t i = 0; i < erasure->subjects.count && err == 0; i++)
		err = note_subject(carrying, subjects[i].subject);
	for (uint32_t i = 0; i < erasure->users.count && err == 0; i++)
		err = note_user(carrying, newer, users[i].number);
	return err;
}

struct walking {
	struct carrying *carrying;
	const struct state *newer;
};

static int
on_erasure(void *ctx, const struct record_span *key,
    const struct record_span *value)
{
	struct walking *walking = ctx;
	struct state_erasure found;
	struct record_span token;
	struct erasure erasure;
	struct record_error error = { .reason = "" };
	struct arena arena = { .chunks = NULL };
	int err = state_erasure_read(&found, key, value);

	if (err == 0)
		err =
		    state_erasure_token(&token, walking->newer, found.erasure);
	if (err == 0)
		err = erasure_verify(&erasure, (const char *)token.data,
		    token.len,
		    site_keys_of(&walking->carrying->newer->site_keys,
			(const char *)token.data, token.len),
		    &arena, &error);
	if (err == 0)
		err =
		    carry_erasure(walking->carrying, walking->newer, &erasure);
	else
		log_error("carry", "erasure %llu of tenant %s: %s",
		    (unsigned long long)found.erasure,
		    walking->carrying->newer->tenant,
		    error.reason[0] != '\0' ? error.reason : err_str(err));
	arena_release(&arena);
	return err == ERR_NOT_FOUND_INTERNAL ? ERR_CORRUPT : err;
}

/* --- revocations --------------------------------------------------------------- */

/* Nobody says any more whether it was told: whoever holds a lease of it may
 * believe in it for a span from when it was revoked. */
struct spans {
	uint64_t device;
	int64_t longest_ms;
};

static int
measure(void *ctx, const struct ledger_lease *lease)
{
	struct spans *spans = ctx;
	int64_t span =
	    ((int64_t)lease->ttl_s + lease->grace_s) * 1000 + LEDGER_SKEW_MS;

	if (lease->device == spans->device && span > spans->longest_ms)
		spans->longest_ms = span;
	return 0;
}

static int
revoke_device(struct carrying *carrying, const struct state_device *device)
{
	const struct device_revoke request = { .device = device->device,
		.reason = WHY };
	struct spans spans = { .device = device->device };
	int err = ledger_each_lease(carrying->to, 0, measure, &spans);

	if (err != 0)
		return err;
	if (device->decided_at + spans.longest_ms > carrying->now)
		carrying->held_until = device->decided_at + spans.longest_ms;
	err = commit(carrying, OP_DEVICE_REVOKE, &request);
	carrying->held_until = 0;
	return err;
}

static int
on_device(void *ctx, const struct record_span *key,
    const struct record_span *value)
{
	struct walking *walking = ctx;
	struct carrying *carrying = walking->carrying;
	struct state_device device, copied;
	int err = state_device_read(&device, key, value);

	if (err != 0 || device.state != DEVICE_REVOKED)
		return err;
	err = see(carrying);
	if (err == 0)
		err =
		    state_device(&copied, &carrying->to->state, device.device);
	if (err != 0 || copied.state == DEVICE_REVOKED ||
	    copied.enrolled_at != device.enrolled_at)
		return err == ERR_NOT_FOUND_INTERNAL ? 0 : err;
	err = revoke_device(carrying, &device);
	if (err == 0 && device.class_ == PROOF_KEY)
		carrying->out->keys++;
	else if (err == 0)
		carrying->out->devices++;
	return err;
}

/* Who was erased may stand in what is kept of a key, which an erasure wrote
 * anew: then that goes into the copy. */
static int
on_key(void *ctx, const struct record_span *key,
    const struct record_span *value)
{
	struct walking *walking = ctx;
	struct carrying *carrying = walking->carrying;
	struct ledger_key_change request = { 0 };
	struct state_device device;
	struct state_key found, copied;
	struct sealed *sealed;
	int err = state_key_read(&found, key, value);

	if (err == 0 && carrying->keys_named)
		err = see(carrying);
	if (err != 0 || !carrying->keys_named)
		return err;
	err = state_key(&copied, &carrying->to->state, found.device);
	if (err == 0)
		err = state_device(&device, &carrying->to->state, found.device);
	if (err != 0 || device.state == DEVICE_REVOKED ||
	    memcmp(found.document, copied.document, sizeof found.document) == 0)
		return err == ERR_NOT_FOUND_INTERNAL ? 0 : err;
	sealed = sodium_malloc(sizeof *sealed);
	if (sealed == NULL)
		return ERR_NOMEM;
	err = sealed_get(sealed, walking->newer, carrying->newer->sealed,
	    SEALED_KEY, found.document);
	if (err == 0) {
		request.device = found.device;
		memcpy(request.before, copied.document, sizeof request.before);
		request.document =
		    (struct record_span){ sealed->data, sealed->len };
		err = commit(carrying, LEDGER_KEY_CHANGE, &request);
	}
	sodium_free(sealed);
	return err == ERR_NOT_FOUND_INTERNAL ? 0 : err;
}

static int
on_user(void *ctx, const struct record_span *key,
    const struct record_span *value)
{
	struct walking *walking = ctx;
	struct carrying *carrying = walking->carrying;
	struct ledger_user request = { .what = LEDGER_USER_STATE,
		.scopes = ~(scope_set)0 };
	struct state_user user, copied;
	bool there = false;
	int err = state_user_read(&user, key, value);

	if (err != 0 || user.state == USER_ACTIVE)
		return err;
	err = find_user(&there, &copied, carrying, &user);
	if (err != 0 || !there || copied.state == user.state)
		return err;
	request.user = user.user;
	request.state = user.state;
	err = commit(carrying, LEDGER_USER, &request);
	carrying->out->users += err == 0;
	return err;
}

static int
on_join(void *ctx, const struct record_span *key,
    const struct record_span *value)
{
	struct walking *walking = ctx;
	struct carrying *carrying = walking->carrying;
	struct state_join join, copied;
	int err = state_join_read(&join, key, value);

	if (err != 0 || !join.revoked)
		return err;
	err = see(carrying);
	if (err == 0)
		err = state_join(&copied, &carrying->to->state, join.join);
	if (err != 0 || copied.revoked ||
	    memcmp(copied.id, join.id, sizeof join.id) != 0)
		return err == ERR_NOT_FOUND_INTERNAL ? 0 : err;
	const struct join_number request = { .join = join.join };

	err = commit(carrying, OP_JOIN_REVOKE, &request);
	carrying->out->joins += err == 0;
	return err;
}

static int
carry_all(struct carrying *carrying, const struct state *newer)
{
	static const struct {
		enum store_table table;
		int (*each)(void *ctx, const struct record_span *key,
		    const struct record_span *value);
	} tables[] = {
		{ STORE_ERASURES, on_erasure },
		{ STORE_KEYS, on_key },
		{ STORE_DEVICES, on_device },
		{ STORE_USERS, on_user },
		{ STORE_JOINS, on_join },
	};
	struct walking walking = { carrying, newer };
	int err = 0;

	for (size_t i = 0; i < sizeof tables / sizeof *tables && err == 0;
	     i++) {
		err = store_each(&newer->txn, tables[i].table, NULL, 0,
		    tables[i].each, &walking);
		if (err == 0 && i == 0)
			err = flush(carrying);
	}
	return err;
}

int
ledger_carry(struct carried *out, struct ledger *copy, struct ledger *newer,
    const struct principal *who, int64_t now)
{
	struct carrying carrying = {
		.copy = copy,
		.newer = newer,
		.who = who,
		.now = now,
		.out = out,
	};
	struct ledger_view *from;

	*out = (struct carried){ 0 };
	int err = ledger_view_open(&from, newer);

	if (err != 0)
		return err;
	err = carry_all(&carrying, &from->state);
	look_away(&carrying);
	ledger_view_close(from);
	return err;
}
