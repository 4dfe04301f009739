/* Logging in, by a password of ours or by the word of a directory. See
 * decide_user.h. */
#include "appliance/ledger/decide_user.h"

#include "shared/base/err.h"

#include <sodium.h>
#include <string.h>

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
	int err = user_check_code(c, &recovered);

	if (err != 0 || c->command->err != 0)
		return err;
	if (recovered) {
		/* It is he who used it up. */
		c->command->who.kind = ACTOR_USER;
		c->command->who.id = c->user.user;
		err = user_change_write(c, USER_RECOVERY_USED);
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

int
decide_user_login(struct change *c)
{
	int err = user_change_find(c);

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
		err = user_change_write(c, USER_CHANGED_PROFILE);
	}
	if (err == 0 && c->user.role != request->role) {
		c->user.role = (enum user_role)request->role;
		err = user_change_emit(c, USER_CHANGED_ROLE, NULL);
	}
	return err;
}

int
decide_user_directory(struct change *c)
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
		err = user_check_room(c);
		if (err == 0 && c->command->err == 0)
			err = user_change_add(c, USER_DIRECTORY);
	} else if (err == 0) {
		const struct ledger_user *request = c->request;

		c->request = &found;
		err = user_change_find(c);
		c->request = request;
		if (err == 0 && c->command->err == 0)
			err = update_from_directory(c);
	}
	sodium_memzero(&found, sizeof found);
	return err == 0 && c->command->err == 0 ? log_in(c) : err;
}
