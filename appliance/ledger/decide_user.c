/* Decide on people who log in: who may give what to whom, and that somebody is
 * left who may do everything. Passwords were checked, and hashed, by the
 * process around; codes are checked here, so that each is good once. */
#include "appliance/ledger/core.h"
#include "shared/base/err.h"

#include <inttypes.h>
#include <sodium.h>
#include <string.h>

/* One command on its way. */
struct change {
	struct batch *batch;
	struct command *command;
	const struct ledger_user *request;
	struct state_user user;
	struct user_document document;
	uint64_t totp_step; /* that a code used */
	size_t documents; /* written so far */
};

/* --- who may ------------------------------------------------------------- */

/* Nobody gives a role above his own, or touches who has one. A key counts for
 * the roles whose scopes it has. */
static int
check_rank(struct change *c, uint32_t role)
{
	const struct principal *who = &c->command->who;
	scope_set needs = ledger_role_scopes(role) & ~SCOPE_BIT(SCOPE_SELF);
	struct state_user asker;
	bool may = false;

	if (who->kind == ACTOR_ADMIN)
		return 0;
	if (who->kind == ACTOR_USER) {
		int err = state_user(&asker, &c->batch->state, who->id);

		if (err != 0 && err != ERR_NOT_FOUND_INTERNAL)
			return err;
		may = err == 0 && asker.state == USER_ACTIVE &&
		    asker.role <= role;
	} else if (who->kind == ACTOR_KEY) {
		may = (c->request->scopes & needs) == needs;
	}
	return may ? 0
		   : decide_refuse(c->command, ERR_FORBIDDEN,
			 "ask somebody who has that role, or an admin of the "
			 "site",
			 "the role %s is above yours: you can neither give it "
			 "nor change who has it",
			 user_role_names[role]);
}

static int
find_user(struct change *c)
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
static int
find_other(struct change *c)
{
	int err = find_user(c);

	if (err != 0 || c->command->err != 0)
		return err;
	return check_rank(c, c->user.role);
}

/* Himself, by the password that was checked when he was at this epoch. */
static int
find_self(struct change *c, bool checked)
{
	const struct principal *who = &c->command->who;
	int err = find_user(c);

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
static int
check_last_owner(struct change *c)
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

static int
emit_change(struct change *c, enum user_change what, const uint8_t *commitment)
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
static int
write_change(struct change *c, enum user_change what)
{
	uint8_t commitment[32];
	int err = write_document(c, commitment);

	return err == 0 ? emit_change(c, what, commitment) : err;
}

/* As the row left him. */
static int
view_changed(struct change *c, struct user_view *out)
{
	int err = state_user(&c->user, &c->batch->state, c->user.user);

	return err == 0 ? user_view_fill(out, &c->batch->state,
			      c->batch->ledger->sealed, &c->user)
			: err;
}

/* --- by admins ----------------------------------------------------------- */

static int
check_room(struct change *c)
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
	return err == 0 && next > USERS_MAX
	    ? decide_refuse(c->command, ERR_MAX_REACHED, "",
		  "there were %d users already", USERS_MAX)
	    : err;
}

static int
add_user(struct change *c, enum user_source source)
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

static int
decide_create(struct change *c)
{
	int err = check_rank(c, c->request->role);

	if (err == 0 && c->command->err == 0)
		err = check_room(c);
	if (err == 0 && c->command->err == 0)
		err = add_user(c, USER_LOCAL);
	if (err != 0 || c->command->err != 0)
		return err;
	return view_changed(c, &c->command->reply.user_created.user);
}

static int
set_role(struct change *c)
{
	int err = check_rank(c, c->request->role);

	if (err == 0 && c->command->err == 0 && c->request->role != USER_OWNER)
		err = check_last_owner(c);
	if (err == 0 && c->command->err == 0 &&
	    c->user.source == USER_DIRECTORY)
		return decide_refuse_field(c->command, "role", ERR_CONFLICT,
		    "change his groups in the directory",
		    "his role comes from the directory");
	return err;
}

static int
decide_set(struct change *c)
{
	const struct ledger_user *request = c->request;
	int err = find_other(c);

	if (err == 0 && c->command->err == 0 && request->sets_role)
		err = set_role(c);
	if (err != 0 || c->command->err != 0)
		return err;
	if (request->sets_name || request->sets_mail) {
		if (request->sets_name)
			memcpy(c->document.name, request->name,
			    sizeof c->document.name);
		if (request->sets_mail)
			memcpy(c->document.mail, request->mail,
			    sizeof c->document.mail);
		err = write_change(c, USER_CHANGED_PROFILE);
	}
	if (err == 0 && request->sets_role && request->role != c->user.role) {
		c->user.role = (enum user_role)request->role;
		err = emit_change(c, USER_CHANGED_ROLE, NULL);
	}
	return err == 0 ? view_changed(c, &c->command->reply.user) : err;
}

/* What was known of him goes; his number stays. */
static int
forget(struct change *c)
{
	struct state *state = &c->batch->state;
	int err = sealed_delete(state, c->user.document);

	if (err == 0)
		err = user_login_delete(state, c->batch->ledger->users,
		    c->document.login);
	memset(c->user.document, 0, sizeof c->user.document);
	return err;
}

static int
decide_state(struct change *c)
{
	uint32_t state = c->request->state;
	int err = find_other(c);

	if (err == 0 && c->command->err == 0 && state != USER_ACTIVE)
		err = check_last_owner(c);
	if (err != 0 || c->command->err != 0)
		return err;
	if (state == USER_REMOVED)
		err = forget(c);
	if (err == 0 && state != c->user.state) {
		c->user.state = (enum user_state)state;
		err = emit_change(c, USER_CHANGED_STATE, NULL);
	}
	if (err != 0)
		return err;
	if (state != USER_REMOVED)
		return view_changed(c, &c->command->reply.user);
	c->command->reply.user_number =
	    (struct user_number){ .user = c->user.user };
	return 0;
}

/* --- erased ----------------------------------------------------------------- */

/* His login, name or mail, in whatever case. */
static int
find_named(void *ctx, const struct record_span *key,
    const struct record_span *value)
{
	struct user_names *names = ctx;
	struct user_document document;
	struct state_user user;
	int err = state_user_read(&user, key, value);

	if (err != 0 || user.state == USER_REMOVED)
		return err;
	err = user_document_get(&document, names->state, names->sealed, &user);
	if (err == 0 && names->n < ERASURE_USERS_MAX &&
	    (strcasecmp(document.login, names->name) == 0 ||
		strcasecmp(document.mail, names->name) == 0 ||
		strcasecmp(document.name, names->name) == 0))
		names->users[names->n++].number = user.user;
	user_document_wipe(&document);
	return err == ERR_NOT_FOUND_INTERNAL ? ERR_CORRUPT : err;
}

int
user_named(struct user_names *names)
{
	names->n = 0;
	return store_each(&names->state->txn, STORE_USERS, NULL, 0, find_named,
	    names);
}

/* As if he were removed; who may not do that is refused. */
int
decide_user_erase(struct batch *batch, struct command *command, uint64_t user,
    bool try_only)
{
	const struct ledger_user request = { .user = user,
		.scopes = command->scopes };
	struct change change = { .batch = batch,
		.command = command,
		.request = &request };
	int err = find_other(&change);

	if (err == 0 && command->err == 0)
		err = check_last_owner(&change);
	if (err == 0 && command->err == 0 && !try_only) {
		err = forget(&change);
		change.user.state = USER_REMOVED;
		if (err == 0)
			err = emit_change(&change, USER_CHANGED_STATE, NULL);
	}
	user_document_wipe(&change.document);
	return err;
}

/* An admin who forgot his own goes the way of all: whoever sits down at his
 * screen must not get it by a word. */
static int
find_reset(struct change *c)
{
	const struct principal *who = &c->command->who;
	int err = find_other(c);

	if (err == 0 && c->command->err == 0 && who->kind == ACTOR_USER &&
	    who->id == c->user.user)
		return decide_refuse(c->command, ERR_FORBIDDEN,
		    "leasehold user password; leasehold user totp off",
		    "that is for others; of oneself the password is asked for");
	return err;
}

static int
check_local(struct change *c)
{
	return c->user.source == USER_LOCAL
	    ? 0
	    : decide_refuse(c->command, ERR_CONFLICT,
		  "change it in the directory",
		  "his password is the directory's");
}

static int
decide_reset(struct change *c)
{
	int err = find_reset(c);

	if (err == 0 && c->command->err == 0)
		err = check_local(c);
	if (err != 0 || c->command->err != 0)
		return err;
	memcpy(c->document.hash, c->request->hash, sizeof c->document.hash);
	c->document.one_time = true;
	err = write_change(c, USER_RESET_PASSWORD);
	return err == 0 ? view_changed(c, &c->command->reply.user_created.user)
			: err;
}

static void
drop_totp(struct user_document *document)
{
	document->totp = false;
	sodium_memzero(document->secret, sizeof document->secret);
	sodium_memzero(document->begun, sizeof document->begun);
	sodium_memzero(document->recovery, sizeof document->recovery);
	document->n_recovery = 0;
}

static int
decide_no_totp(struct change *c)
{
	int err = find_reset(c);

	if (err != 0 || c->command->err != 0)
		return err;
	drop_totp(&c->document);
	err = write_change(c, USER_TOTP_OFF);
	return err == 0 ? view_changed(c, &c->command->reply.user) : err;
}

/* --- codes --------------------------------------------------------------- */

static bool
take_recovery(struct change *c, const char *plain)
{
	struct user_document *document = &c->document;
	uint8_t hash[USER_RECOVERY_BYTES];

	user_recovery_hash(hash, c->batch->ledger->users, c->user.user, plain);
	for (uint32_t i = 0; i < document->n_recovery; i++) {
		if (sodium_memcmp(document->recovery[i], hash, sizeof hash) !=
		    0)
			continue;
		document->n_recovery--;
		memmove(document->recovery[i],
		    document->recovery[document->n_recovery],
		    USER_RECOVERY_BYTES);
		return true;
	}
	return false;
}

/* Where he has a second factor: `recovered` tells that it was a recovery code,
 * which is then gone from his document. */
static int
check_code(struct change *c, bool *recovered)
{
	char plain[PASSWORD_RECOVERY_LETTERS + 1];
	const char *code = c->request->code;

	*recovered = false;
	if (!c->document.totp)
		return 0;
	if (code[0] == '\0')
		return decide_refuse_field(c->command, "code",
		    ERR_UNAUTHENTICATED,
		    "type what the authenticator shows, or a recovery code",
		    "a one-time code is needed");
	if (totp_check(&c->totp_step, c->document.secret, code,
		c->batch->place.time, c->user.totp_step) == 0)
		return 0;
	if (password_plain_code(plain, PASSWORD_RECOVERY_LETTERS, code))
		*recovered = take_recovery(c, plain);
	sodium_memzero(plain, sizeof plain);
	return *recovered
	    ? 0
	    : decide_refuse_field(c->command, "code", ERR_UNAUTHENTICATED,
		  "wait for the next code; see that the clock of the "
		  "authenticator is right",
		  "the code is wrong, too old, or was used already");
}

/* --- by himself ---------------------------------------------------------- */

static int
decide_password(struct change *c)
{
	int err = find_self(c, true);

	if (err == 0 && c->command->err == 0)
		err = check_local(c);
	if (err != 0 || c->command->err != 0)
		return err;
	memcpy(c->document.hash, c->request->hash, sizeof c->document.hash);
	c->document.one_time = false;
	err = write_change(c, USER_CHANGED_PASSWORD);
	c->command->reply.user_number =
	    (struct user_number){ .user = c->user.user };
	return err;
}

static int
decide_totp_begin(struct change *c)
{
	int err = find_self(c, true);

	if (err == 0 && c->command->err == 0 && c->document.totp)
		return decide_refuse(c->command, ERR_CONFLICT,
		    "leasehold user totp off",
		    "there is a second factor already");
	if (err != 0 || c->command->err != 0)
		return err;
	memcpy(c->document.begun, c->request->secret, sizeof c->document.begun);
	return write_change(c, USER_TOTP_BEGUN);
}

static int
decide_totp_confirm(struct change *c)
{
	struct totp_confirmed *reply = &c->command->reply.totp_confirmed;
	char plain[PASSWORD_RECOVERY_LETTERS + 1];
	int err = find_self(c, false);

	if (err != 0 || c->command->err != 0)
		return err;
	if (c->document.totp ||
	    sodium_is_zero(c->document.begun, sizeof c->document.begun))
		return decide_refuse(c->command, ERR_CONFLICT,
		    "leasehold user totp on",
		    "there is no second factor to confirm");
	if (totp_check(&c->totp_step, c->document.begun, c->request->code,
		c->batch->place.time, c->user.totp_step) != 0)
		return decide_refuse_field(c->command, "code", ERR_BAD_REQUEST,
		    "see that the clock of the authenticator is right",
		    "that is not what an authenticator with the secret shows");
	struct recovery_code *codes = arena_alloc(&c->command->arena,
	    USER_RECOVERY_CODES * sizeof *codes);

	if (codes == NULL)
		return ERR_NOMEM;
	memcpy(c->document.secret, c->document.begun,
	    sizeof c->document.secret);
	sodium_memzero(c->document.begun, sizeof c->document.begun);
	c->document.totp = true;
	c->document.n_recovery = USER_RECOVERY_CODES;
	for (size_t i = 0; i < USER_RECOVERY_CODES; i++) {
		memset(&codes[i], 0, sizeof codes[i]);
		memcpy(codes[i].code, c->request->recovery[i],
		    sizeof c->request->recovery[i]);
		if (!password_plain_code(plain, PASSWORD_RECOVERY_LETTERS,
			codes[i].code))
			return ERR_CORRUPT;
		user_recovery_hash(c->document.recovery[i],
		    c->batch->ledger->users, c->user.user, plain);
	}
	sodium_memzero(plain, sizeof plain);
	reply->recovery_codes =
	    (struct record_list){ codes, USER_RECOVERY_CODES };
	return write_change(c, USER_TOTP_SET);
}

static int
decide_totp_off(struct change *c)
{
	bool recovered;
	int err = find_self(c, true);

	if (err == 0 && c->command->err == 0)
		err = check_code(c, &recovered);
	if (err != 0 || c->command->err != 0)
		return err;
	drop_totp(&c->document);
	c->command->reply.user_number =
	    (struct user_number){ .user = c->user.user };
	return write_change(c, USER_TOTP_OFF);
}

/* --- logging in ---------------------------------------------------------- */

static int
emit_login(struct change *c)
{
	struct row *row = batch_row(c->batch, ROW_USER_LOGIN);

	if (row == NULL)
		return ERR_NOMEM;
	row->u.user_login = (struct row_user_login){
		.user = c->user.user,
		.session = c->request->session,
		.totp_step = c->totp_step,
	};
	return batch_emit(c->batch);
}

static int
log_in(struct change *c)
{
	bool recovered;

	if (c->user.state != USER_ACTIVE)
		return decide_refuse(c->command, ERR_UNAUTHENTICATED, "",
		    "login, password or code is wrong");
	int err = check_code(c, &recovered);

	if (err != 0 || c->command->err != 0)
		return err;
	if (recovered) {
		/* It is he who used it up. */
		c->command->who.kind = ACTOR_USER;
		c->command->who.id = c->user.user;
		err = write_change(c, USER_RECOVERY_USED);
	}
	if (err == 0)
		err = emit_login(c);
	if (err == 0)
		err = state_user(&c->user, &c->batch->state, c->user.user);
	if (err == 0)
		user_login_fill(&c->command->reply.login, &c->user,
		    &c->document);
	return err;
}

static int
decide_login(struct change *c)
{
	int err = find_user(c);

	if (err != 0 || c->command->err != 0)
		return err;
	if (c->command->who.kind != ACTOR_SITE ||
	    c->user.epoch != c->request->epoch)
		return decide_refuse(c->command, ERR_UNAUTHENTICATED,
		    "log in again", "the login was changed meanwhile");
	return log_in(c);
}

/* The directory vouches for him, and says what he may. */
static int
update_from_directory(struct change *c)
{
	const struct ledger_user *request = c->request;
	int err = 0;

	if (c->user.source != USER_DIRECTORY || c->user.state != USER_ACTIVE)
		return decide_refuse(c->command, ERR_UNAUTHENTICATED, "",
		    "login, password or code is wrong");
	if (strcmp(c->document.name, request->name) != 0 ||
	    strcmp(c->document.mail, request->mail) != 0) {
		memcpy(c->document.name, request->name,
		    sizeof c->document.name);
		memcpy(c->document.mail, request->mail,
		    sizeof c->document.mail);
		err = write_change(c, USER_CHANGED_PROFILE);
	}
	if (err == 0 && c->user.role != request->role) {
		c->user.role = (enum user_role)request->role;
		err = emit_change(c, USER_CHANGED_ROLE, NULL);
	}
	return err;
}

static int
decide_directory(struct change *c)
{
	struct state *state = &c->batch->state;
	struct ledger_user found = *c->request;
	int err =
	    c->command->who.kind != ACTOR_SITE || c->request->role == USER_OWNER
	    ? ERR_FORBIDDEN
	    : user_find(&found.user, state, c->batch->ledger->users,
		  found.login);

	if (err == ERR_FORBIDDEN)
		return decide_refuse(c->command, err, "",
		    "a directory makes no owners");
	if (err == ERR_NOT_FOUND_INTERNAL) {
		err = check_room(c);
		if (err == 0 && c->command->err == 0)
			err = add_user(c, USER_DIRECTORY);
	} else if (err == 0) {
		const struct ledger_user *request = c->request;

		c->request = &found;
		err = find_user(c);
		c->request = request;
		if (err == 0 && c->command->err == 0)
			err = update_from_directory(c);
	}
	sodium_memzero(&found, sizeof found);
	return err == 0 && c->command->err == 0 ? log_in(c) : err;
}

/* --- the table ----------------------------------------------------------- */

static int (*const changes[])(struct change *c) = {
	[LEDGER_USER_CREATE] = decide_create,
	[LEDGER_USER_SET] = decide_set,
	[LEDGER_USER_STATE] = decide_state,
	[LEDGER_USER_RESET] = decide_reset,
	[LEDGER_USER_NO_TOTP] = decide_no_totp,
	[LEDGER_USER_PASSWORD] = decide_password,
	[LEDGER_USER_TOTP_BEGIN] = decide_totp_begin,
	[LEDGER_USER_TOTP_CONFIRM] = decide_totp_confirm,
	[LEDGER_USER_TOTP_OFF] = decide_totp_off,
	[LEDGER_USER_LOGIN] = decide_login,
	[LEDGER_USER_DIRECTORY] = decide_directory,
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
