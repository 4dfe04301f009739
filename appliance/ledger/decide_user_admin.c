/* People, as those change them who may: made, renamed, given a role, stopped,
 * removed, erased, helped to a new password. See decide_user.h. */
#include "appliance/ledger/decide_user.h"

#include "shared/base/err.h"

#include <string.h>

/* --- by admins ----------------------------------------------------------- */

int
decide_user_create(struct change *c)
{
	int err = user_check_rank(c, c->request->role);

	if (err == 0 && c->command->err == 0)
		err = user_check_room(c);
	if (err == 0 && c->command->err == 0)
		err = user_change_add(c, USER_LOCAL);
	if (err != 0 || c->command->err != 0)
		return err;
	return user_change_view(c, &c->command->reply.user_created.user);
}

static int
set_role(struct change *c)
{
	int err = user_check_rank(c, c->request->role);

	if (err == 0 && c->command->err == 0 && c->request->role != USER_OWNER)
		err = user_check_last_owner(c);
	if (err == 0 && c->command->err == 0 &&
	    c->user.source == USER_DIRECTORY)
		return decide_refuse_field(c->command, "role", ERR_CONFLICT,
		    "change his groups in the directory",
		    "his role comes from the directory");
	return err;
}

int
decide_user_set(struct change *c)
{
	const struct ledger_user *request = c->request;
	int err = user_change_find_other(c);

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
		err = user_change_write(c, USER_CHANGED_PROFILE);
	}
	if (err == 0 && request->sets_role && request->role != c->user.role) {
		c->user.role = (enum user_role)request->role;
		err = user_change_emit(c, USER_CHANGED_ROLE, NULL);
	}
	return err == 0 ? user_change_view(c, &c->command->reply.user) : err;
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

int
decide_user_state(struct change *c)
{
	uint32_t state = c->request->state;
	int err = user_change_find_other(c);

	if (err == 0 && c->command->err == 0 && state != USER_ACTIVE)
		err = user_check_last_owner(c);
	if (err != 0 || c->command->err != 0)
		return err;
	if (state == USER_REMOVED)
		err = forget(c);
	if (err == 0 && state != c->user.state) {
		c->user.state = (enum user_state)state;
		err = user_change_emit(c, USER_CHANGED_STATE, NULL);
	}
	if (err != 0)
		return err;
	if (state != USER_REMOVED)
		return user_change_view(c, &c->command->reply.user);
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
	bool his = err == 0 &&
	    (strcasecmp(document.login, names->name) == 0 ||
		strcasecmp(document.mail, names->name) == 0 ||
		strcasecmp(document.name, names->name) == 0);

	user_document_wipe(&document);
	if (his && names->n == ERASURE_USERS_MAX) {
		names->more = true;
		return ERR_FULL;
	}
	if (his)
		names->users[names->n++].number = user.user;
	return err == ERR_NOT_FOUND_INTERNAL ? ERR_CORRUPT : err;
}

int
user_named(struct user_names *names)
{
	uint8_t from[8];

	names->n = 0;
	names->more = false;
	be64_write(from, names->after + 1);
	int err = store_each(&names->state->txn, STORE_USERS, from, sizeof from,
	    find_named, names);

	return names->more ? 0 : err;
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
	int err = user_change_find_other(&change);

	if (err == 0 && command->err == 0)
		err = user_check_last_owner(&change);
	if (err == 0 && command->err == 0 && !try_only) {
		err = forget(&change);
		change.user.state = USER_REMOVED;
		if (err == 0)
			err =
			    user_change_emit(&change, USER_CHANGED_STATE, NULL);
	}
	user_document_wipe(&change.document);
	return err;
}

/* --- help ------------------------------------------------------------------ */

/* An admin who forgot his own goes the way of all: whoever sits down at his
 * screen must not get it by a word. */
static int
find_reset(struct change *c)
{
	const struct principal *who = &c->command->who;
	int err = user_change_find_other(c);

	if (err == 0 && c->command->err == 0 && who->kind == ACTOR_USER &&
	    who->id == c->user.user)
		return decide_refuse(c->command, ERR_FORBIDDEN,
		    "leasehold user password; leasehold user totp off",
		    "that is for others; of oneself the password is asked for");
	return err;
}

int
decide_user_reset(struct change *c)
{
	int err = find_reset(c);

	if (err == 0 && c->command->err == 0)
		err = user_check_local(c);
	if (err != 0 || c->command->err != 0)
		return err;
	memcpy(c->document.hash, c->request->hash, sizeof c->document.hash);
	c->document.one_time = true;
	err = user_change_write(c, USER_RESET_PASSWORD);
	return err == 0
	    ? user_change_view(c, &c->command->reply.user_created.user)
	    : err;
}

int
decide_user_no_totp(struct change *c)
{
	int err = find_reset(c);

	if (err != 0 || c->command->err != 0)
		return err;
	user_drop_totp(&c->document);
	err = user_change_write(c, USER_TOTP_OFF);
	return err == 0 ? user_change_view(c, &c->command->reply.user) : err;
}
