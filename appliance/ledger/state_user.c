/* People who log in, as stored values, and what follows from their rows; see
 * users.h. */
#include "appliance/ledger/codec.h"
#include "appliance/ledger/users.h"

#include "shared/base/log.h"

int
state_user_read(struct state_user *out, const struct record_span *key,
    const struct record_span *value)
{
	struct codec_reader r = codec_reader_of(value);
	uint8_t role = codec_get_u8(&r), state = codec_get_u8(&r);
	uint8_t source = codec_get_u8(&r);

	codec_get_bytes(out->document, &r, sizeof out->document);
	out->created_at = (int64_t)codec_get_u64(&r);
	out->login_at = (int64_t)codec_get_u64(&r);
	out->epoch = codec_get_u64(&r);
	out->totp_step = codec_get_u64(&r);
	if (key->len != 8 || role >= USER_ROLES || state > USER_REMOVED ||
	    source > USER_DIRECTORY)
		r.failed = true;
	else
		out->user = be64_read(key->data);
	out->role = (enum user_role)role;
	out->state = (enum user_state)state;
	out->source = (enum user_source)source;
	return codec_end(&r, "user");
}

int
state_user(struct state_user *out, const struct state *state, uint64_t user)
{
	struct record_span value;
	uint8_t key[8];

	be64_write(key, user);
	int err = store_get(&value, &state->txn, STORE_USERS, key, sizeof key);

	return err != 0 ? err
			: state_user_read(out,
			      &(struct record_span){ key, sizeof key }, &value);
}

int
state_user_put(struct state *state, const struct state_user *user)
{
	struct codec_writer w = { .len = 0 };
	uint8_t key[8];

	be64_write(key, user->user);
	codec_put_u8(&w, CODEC_FORMAT);
	codec_put_u8(&w, (uint8_t)user->role);
	codec_put_u8(&w, (uint8_t)user->state);
	codec_put_u8(&w, (uint8_t)user->source);
	codec_put_bytes(&w, user->document, sizeof user->document);
	codec_put_u64(&w, (uint64_t)user->created_at);
	codec_put_u64(&w, (uint64_t)user->login_at);
	codec_put_u64(&w, user->epoch);
	codec_put_u64(&w, user->totp_step);
	return store_put(&state->txn, STORE_USERS, key, sizeof key, w.data,
	    w.len);
}

int
state_user_next(uint64_t *user, const struct state *state)
{
	return store_next(user, &state->txn, STORE_USERS);
}

/* --- fold ---------------------------------------------------------------- */

static int
contradicted(const struct row *row, const char *why)
{
	log_error("fold", "row %llu (%s): %s", (unsigned long long)row->number,
	    row_kind_name(row->kind), why);
	return ERR_CORRUPT;
}

static int
existing(struct state_user *user, const struct state *state,
    const struct row *row, uint64_t number)
{
	int err = state_user(user, state, number);

	return err == ERR_NOT_FOUND_INTERNAL
	    ? contradicted(row, "there is no such user")
	    : err;
}

int
fold_user_created(struct state *state, const struct row *row,
    const struct fold_place *place)
{
	const struct row_user_created *r = &row->u.user_created;
	struct state_user user = {
		.user = r->user,
		.role = (enum user_role)r->role,
		.state = USER_ACTIVE,
		.source = (enum user_source)r->source,
		.created_at = place->time,
		.epoch = row->number,
	};
	uint64_t next;
	int err = state_user_next(&next, state);

	if (err == 0 && r->user != next)
		return contradicted(row, "user numbers have a gap");
	memcpy(user.document, r->document, sizeof user.document);
	return err == 0 ? state_user_put(state, &user) : err;
}

/* Does a login that was made before still hold? */
static bool
ends_logins(uint32_t what)
{
	return what != USER_CHANGED_PROFILE && what != USER_TOTP_BEGUN &&
	    what != USER_RECOVERY_USED;
}

int
fold_user_changed(struct state *state, const struct row *row,
    const struct fold_place *place)
{
	const struct row_user_changed *r = &row->u.user_changed;
	struct state_user user;
	int err = existing(&user, state, row, r->user);

	(void)place;
	if (err != 0)
		return err;
	if (user.state == USER_REMOVED)
		return contradicted(row, "he was removed");
	user.role = (enum user_role)r->role;
	user.state = (enum user_state)r->state;
	memcpy(user.document, r->document, sizeof user.document);
	if (ends_logins(r->what))
		user.epoch = row->number;
	/* Another secret counts from the beginning. */
	if (r->what == USER_TOTP_OFF)
		user.totp_step = 0;
	if (r->totp_step > user.totp_step)
		user.totp_step = r->totp_step;
	return state_user_put(state, &user);
}

int
fold_user_login(struct state *state, const struct row *row,
    const struct fold_place *place)
{
	const struct row_user_login *r = &row->u.user_login;
	struct state_user user;
	int err = existing(&user, state, row, r->user);

	if (err != 0)
		return err;
	if (r->totp_step != 0 && r->totp_step <= user.totp_step)
		return contradicted(row, "a one-time code is used again");
	if (r->totp_step != 0)
		user.totp_step = r->totp_step;
	user.login_at = place->time;
	return state_user_put(state, &user);
}
