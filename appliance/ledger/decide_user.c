/* Decide on people who log in: what every change of one needs. See
 * decide_user.h. */
#include "appliance/ledger/decide_user.h"

#include "appliance/ledger/limits.h"
#include "shared/base/err.h"

#include <inttypes.h>
#include <sodium.h>
#include <string.h>

/* --- who may ------------------------------------------------------------- */

static int
has_role(bool *has, struct change *c, uint64_t number, uint32_t role,
    bool active)
{
	struct state_user user;
	int err = state_user(&user, &c->batch->state, number);

	*has = err == 0 && user.role <= role &&
	    (!active || user.state == USER_ACTIVE);
	return err == ERR_NOT_FOUND_INTERNAL ? 0 : err;
}

/* Its scopes are not all: an admin may give a key as much as an owner has, and
 * is no owner for that. */
static int
key_has_role(bool *has, struct change *c, uint32_t role)
{
	scope_set needs = ledger_role_scopes(role) & ~SCOPE_BIT(SCOPE_SELF);
	struct state_key key;
	int err = state_key(&key, &c->batch->state, c->command->who.id);

	*has = false;
	if (err != 0 || (c->request->scopes & needs) != needs)
		return err == ERR_NOT_FOUND_INTERNAL ? 0 : err;
	if (key.by.kind == ACTOR_USER)
		return has_role(has, c, key.by.id, role, false);
	*has = key.by.kind == ACTOR_ADMIN || key.by.kind == ACTOR_SITE;
	return 0;
}

int
user_check_rank(struct change *c, uint32_t role)
{
	const struct principal *who = &c->command->who;
	bool may = who->kind == ACTOR_ADMIN;
	int err = 0;

	if (who->kind == ACTOR_USER)
		err = has_role(&may, c, who->id, role, true);
	else if (who->kind == ACTOR_KEY)
		err = key_has_role(&may, c, role);
	if (err != 0)
		return err;
	return may ? 0
		   : decide_refuse(c->command, ERR_FORBIDDEN,
			 "ask somebody who has that role, or an admin of the "
			 "site",
			 "the role %s is above yours: you can neither give it "
			 "nor change who has it",
			 user_role_names[role]);
}

int
user_change_find(struct change *c)
{
	int err = state_user(&c->user, &c->batch->state, c->request->user);

	if (err == 0 && c->user.state == USER_REMOVED)
		return decide_refuse(c->command, ERR_GONE, "",
		    "user %" PRIu64 " was removed", c->request->user);
	if (err == ERR_NOT_FOUND_INTERNAL)
		return decide_refuse(c->command, ERR_NOT_FOUND,
		    "see: leasehold user list", "there is no user %" PRIu64,
		    c->request->user);
	if (err == 0)
		err = user_document_get(&c->document, &c->batch->state,
		    c->batch->ledger->sealed, &c->user);
	return err == ERR_NOT_FOUND_INTERNAL ? ERR_CORRUPT : err;
}

/* One whom an admin changes. */
int
user_change_find_other(struct change *c)
{
	int err = user_change_find(c);

	if (err != 0 || c->command->err != 0)
		return err;
	return user_check_rank(c, c->user.role);
}

/* Himself, by the password that was checked when he was at this epoch. */
int
user_change_find_self(struct change *c, bool checked)
{
	const struct principal *who = &c->command->who;
	int err = user_change_find(c);

	if (err != 0 || c->command->err != 0)
		return err;
	if (who->kind != ACTOR_USER || who->id != c->user.user ||
	    c->user.state != USER_ACTIVE)
		return decide_refuse(c->command, ERR_FORBIDDEN, "",
		    "only he himself can do that");
	if (checked && c->user.epoch != c->request->epoch)
		return decide_refuse(c->command, ERR_UNAUTHENTICATED,
		    "log in again", "his login was changed meanwhile");
	return 0;
}

struct owners {
	uint64_t but;
	uint64_t count;
};

static int
count_owner(void *ctx, const struct record_span *key,
    const struct record_span *value)
{
	struct owners *owners = ctx;
	struct state_user user;
	int err = state_user_read(&user, key, value);

	if (err == 0 && user.role == USER_OWNER && user.state == USER_ACTIVE &&
	    user.user != owners->but)
		owners->count++;
	return err;
}

/* Before an owner is no more one who can log in. */
int
user_check_last_owner(struct change *c)
{
	struct owners owners = { .but = c->user.user };

	if (c->user.role != USER_OWNER || c->user.state != USER_ACTIVE)
		return 0;
	int err = store_each(&c->batch->state.txn, STORE_USERS, NULL, 0,
	    count_owner, &owners);

	if (err != 0 || owners.count > 0)
		return err;
	return decide_refuse(c->command, ERR_CONFLICT,
	    "make another owner first: leasehold user set USER --role owner",
	    "he is the last owner: somebody must be left who may do "
	    "everything");
}

/* --- rows ---------------------------------------------------------------- */

/* A new document takes the place of the old one. Each has random bytes of its
 * own. */
static int
write_document(struct change *c, uint8_t commitment[32])
{
	struct state *state = &c->batch->state;
	const uint8_t *entropy =
	    c->command->entropy + c->documents++ * SEALED_ENTROPY;
	uint8_t id[SEALED_ID_BYTES];
	int err = 0;

	_Static_assert(2 * SEALED_ENTROPY <= LEDGER_ENTROPY, "for two");
	if (c->documents > 2)
		return ERR_TOO_LARGE;
	if (!sodium_is_zero(c->user.document, sizeof c->user.document))
		err = sealed_delete(state, c->user.document);
	if (err == 0)
		err = user_document_put(id, commitment, state,
		    c->batch->ledger->sealed, &c->document, entropy);
	if (err == 0)
		memcpy(c->user.document, id, sizeof id);
	return err;
}

int
user_change_emit(struct change *c, enum user_change what,
    const uint8_t *commitment)
{
	struct row *row = batch_row(c->batch, ROW_USER_CHANGED);

	if (row == NULL)
		return ERR_NOMEM;
	struct row_user_changed *r = &row->u.user_changed;

	r->user = c->user.user;
	r->what = what;
	r->role = c->user.role;
	r->state = c->user.state;
	memcpy(r->document, c->user.document, sizeof r->document);
	if (commitment != NULL)
		memcpy(r->commitment, commitment, sizeof r->commitment);
	r->totp_step = what == USER_TOTP_SET ? c->totp_step : 0;
	r->by = decide_actor(&c->command->who);
	return batch_emit(c->batch);
}

/* His document changed. */
int
user_change_write(struct change *c, enum user_change what)
{
	uint8_t commitment[32];
	int err = write_document(c, commitment);

	return err == 0 ? user_change_emit(c, what, commitment) : err;
}

/* As the row left him. */
int
user_change_view(struct change *c, struct user_view *out)
{
	int err = state_user(&c->user, &c->batch->state, c->user.user);

	return err == 0 ? user_view_fill(out, &c->batch->state,
			      c->batch->ledger->sealed, &c->user)
			: err;
}

/* --- a new one ----------------------------------------------------------- */

int
user_check_room(struct change *c)
{
	struct state *state = &c->batch->state;
	uint64_t taken, next;
	int err = user_find(&taken, state, c->batch->ledger->users,
	    c->request->login);

	if (err == 0)
		return decide_refuse_field(c->command, "login", ERR_CONFLICT,
		    "see: leasehold user list",
		    "the login %s is user %" PRIu64 "'s", c->request->login,
		    taken);
	if (err != ERR_NOT_FOUND_INTERNAL)
		return err;
	err = state_user_next(&next, state);
	c->user.user = next;
	if (err == 0 && next > USERS_MAX)
		return decide_refuse(c->command, ERR_MAX_REACHED, "",
		    "there were %d users already", USERS_MAX);
	return err == 0 ? decide_limit(c->batch, c->command, LIMIT_USERS) : err;
}

int
user_change_add(struct change *c, enum user_source source)
{
	const struct ledger_user *request = c->request;
	uint8_t commitment[32];

	memcpy(c->document.login, request->login, sizeof c->document.login);
	memcpy(c->document.name, request->name, sizeof c->document.name);
	memcpy(c->document.mail, request->mail, sizeof c->document.mail);
	memcpy(c->document.hash, request->hash, sizeof c->document.hash);
	c->document.one_time = request->one_time;
	int err = write_document(c, commitment);

	if (err == 0)
		err = user_login_put(&c->batch->state, c->batch->ledger->users,
		    request->login, c->user.user);
	struct row *row =
	    err == 0 ? batch_row(c->batch, ROW_USER_CREATED) : NULL;

	if (row == NULL)
		return err != 0 ? err : ERR_NOMEM;
	struct row_user_created *r = &row->u.user_created;

	r->user = c->user.user;
	r->role = request->role;
	r->source = source;
	memcpy(r->document, c->user.document, sizeof r->document);
	memcpy(r->commitment, commitment, sizeof r->commitment);
	r->by = decide_actor(&c->command->who);
	err = batch_emit(c->batch);
	return err == 0 ? state_user(&c->user, &c->batch->state, r->user) : err;
}

/* --- the table ----------------------------------------------------------- */

static int (*const changes[])(struct change *c) = {
	[LEDGER_USER_CREATE] = decide_user_create,
	[LEDGER_USER_SET] = decide_user_set,
	[LEDGER_USER_STATE] = decide_user_state,
	[LEDGER_USER_RESET] = decide_user_reset,
	[LEDGER_USER_NO_TOTP] = decide_user_no_totp,
	[LEDGER_USER_PASSWORD] = decide_user_password,
	[LEDGER_USER_TOTP_BEGIN] = decide_user_totp_begin,
	[LEDGER_USER_TOTP_CONFIRM] = decide_user_totp_confirm,
	[LEDGER_USER_TOTP_OFF] = decide_user_totp_off,
	[LEDGER_USER_LOGIN] = decide_user_login,
	[LEDGER_USER_DIRECTORY] = decide_user_directory,
};

int
decide_user(struct batch *batch, struct command *command)
{
	struct change change = {
		.batch = batch,
		.command = command,
		.request = command->request,
	};

	if (change.request->what >= sizeof changes / sizeof *changes ||
	    change.request->role >= USER_ROLES ||
	    change.request->state > USER_REMOVED)
		return decide_refuse(command, ERR_BAD_REQUEST, "",
		    "there is no such change");
	int err = changes[change.request->what](&change);

	user_document_wipe(&change.document);
	return err;
}

int
decide_user_denied(struct batch *batch, struct command *command)
{
	struct row *row = batch_row(batch, ROW_USER_DENIED);

	if (row == NULL)
		return ERR_NOMEM;
	row->u.user_denied = *(const struct row_user_denied *)command->request;
	return batch_emit(batch);
}
