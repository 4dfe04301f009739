/* Logging in: the password on its thread, or by the directory; the second
 * factor in the core; then a session. */
#include "appliance/ledger/people.h"

#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/base/text.h"

#include <sodium.h>
#include <string.h>

static void
undo_try(struct call *call)
{
	struct person_call *person = call->own;

	lockout_undo(call->process->people->lockout, &person->try_,
	    process_now(call->process));
}

/* The same words whatever was wrong. */
static void
refuse_login(struct call *call)
{
	struct person_call *person = call->own;

	people_note(call->process->people, call->tenant->name,
	    person->found.user, ERR_UNAUTHENTICATED);
	call->process->counts.unauthenticated++;
	person_refuse(call, ERR_UNAUTHENTICATED, "",
	    "login or password is wrong");
}

/* --- a session ----------------------------------------------------------- */

static int
begin_session(struct call *call, const struct ledger_login *found)
{
	const struct session_create *request = call->request;
	struct person_call *person = call->own;
	struct session_created *reply =
	    arena_alloc(&call->arena, sizeof(*reply));
	char *token = arena_alloc(&call->arena, USER_TOKEN_TEXT);
	const struct user_session_start start = {
		.tenant = call->tenant->name,
		.login = found->login,
		.address = person->try_.address,
		.number = person->change.session,
		.user = found->user,
		.role = found->role,
		.scopes = found->one_time ? SCOPE_BIT(SCOPE_SELF)
					  : ledger_role_scopes(found->role),
		.cookie = request->cookie,
		.change_password = found->one_time,
	};

	if (reply == NULL || token == NULL)
		return ERR_NOMEM;
	const struct user_session *session =
	    user_sessions_add(token, call->process->people->sessions, &start,
		clock_boottime_ms(), process_now(call->process));

	if (session == NULL)
		return ERR_NOMEM;
	*reply = (struct session_created){
		.token = { token, (uint32_t)strlen(token) },
		.idle_s = USER_SESSION_IDLE_MS / 1000,
		.change_password = found->one_time,
		.recovery_codes = found->recovery,
	};
	user_session_view(&reply->session, session, session->number);
	text_copy(reply->login, sizeof(reply->login), found->login);
	text_copy(reply->tenant, sizeof(reply->tenant), call->tenant->name);
	call->reply = reply;
	return 0;
}

/* The core took it, or not. */
static void
finish_login(struct call *call)
{
	const struct session_create *request = call->request;
	struct person_call *person = call->own;
	struct command *command = &call->write.command;
	struct people *people = call->process->people;
	struct ledger_login found;

	if (command->err == 0) {
		found = command->reply.login;
		sodium_memzero(&command->reply, sizeof(command->reply));
		/* The directory gave him another role. */
		if (person->ask_directory && person->found.epoch != found.epoch)
			user_sessions_end_user(people->sessions,
			    call->tenant->name, found.user, 0);
		lockout_passed(people->lockout, &person->try_,
		    process_now(call->process));
		command->err = begin_session(call, &found);
		sodium_memzero(&found, sizeof(found));
	} else if (command->err != ERR_UNAUTHENTICATED ||
	    request->code[0] == '\0') {
		/* His password was right, and he was not asked before. */
		undo_try(call);
	} else {
		people_note(people, call->tenant->name, person->found.user,
		    ERR_UNAUTHENTICATED);
	}
	person_answer(call);
}

static void
commit_login(struct call *call)
{
	const struct session_create *request = call->request;
	struct person_call *person = call->own;
	struct ledger_user *change = &person->change;

	change->user = person->found.user;
	change->epoch = person->found.epoch;
	if (person->ask_directory) {
		change->what = LEDGER_USER_DIRECTORY;
		change->role = person->bound.role;
		memcpy(change->login, person->login_text,
		    sizeof(change->login));
		memcpy(change->name, person->bound.name, sizeof(change->name));
		memcpy(change->mail, person->bound.mail, sizeof(change->mail));
	}
	change->session = user_sessions_next(call->process->people->sessions);
	memcpy(change->code, request->code, sizeof(change->code));
	call->write.command.who.kind = ACTOR_SITE;
	call->write.command.who.id = 0;
	call->finish = finish_login;
	call_commit(call);
}

/* --- the password -------------------------------------------------------- */

/* Who is unknown costs as much as who is known. */
static void
run_login(struct work *work)
{
	struct call *call = (struct call *)work;
	struct person_call *person = call->own;
	struct people *people = call->process->people;
	struct ledger_view *view;
	int rc = ledger_view_open(&view, call->tenant->ledger);

	person->rc = rc;
	if (rc != 0)
		return;
	rc = ledger_login(&person->found, view, person->login_text);
	ledger_view_close(view);
	if (rc != 0)
		memset(&person->found, 0, sizeof(person->found));
	if (rc != 0 && rc != ERR_NOT_FOUND_INTERNAL) {
		person->rc = rc;
		return;
	}
	bool local = rc == 0 && person->found.hash[0] != '\0';

	atomic_fetch_add(&people->hashed, 1);
	person->rc = password_check(local ? person->found.hash : people->decoy,
	    person->password.data, person->password.len);
	if (person->rc == 0 && (!local || person->found.state != USER_ACTIVE))
		person->rc = ERR_UNAUTHENTICATED;
	/* A local user is asked about here only. */
	person->ask_directory = person->rc == ERR_UNAUTHENTICATED && !local &&
	    person->login_text[0] != '\0' &&
	    people_has_directory(call->process, call->tenant->name);
}

static void
checked_login(struct call *call)
{
	struct person_call *person = call->own;

	if (person->ask_directory)
		person_directory_answered(call);
	if (person->rc == 0) {
		commit_login(call);
	} else if (person->rc == ERR_UNAUTHENTICATED) {
		person_directory_wait(call, refuse_login);
	} else if (person->rc == ERR_FORBIDDEN) {
		undo_try(call);
		/* What he may from before, he may no more. */
		user_sessions_end_user(call->process->people->sessions,
		    call->tenant->name, person->found.user, 0);
		people_note(call->process->people, call->tenant->name,
		    person->found.user, ERR_FORBIDDEN);
		person_refuse(call, ERR_FORBIDDEN,
		    "ask who runs the directory for a group",
		    "the directory knows you, and none of your groups has a "
		    "role here");
	} else {
		undo_try(call);
		person_refuse(call, ERR_UNAVAILABLE, "",
		    person->ask_directory
			? "the directory cannot be asked right now"
			: "the password cannot be checked right now");
	}
}

void
session_create_asked(const struct request *request)
{
	char login[USER_LOGIN_MAX + 1] = "";
	struct person_call *person;
	struct call *call =
	    person_call_new(&person, request, LEDGER_USER_LOGIN);

	if (call == NULL)
		return;
	const struct session_create *asked = call->request;

	person->password = asked->password;
	/* What is no login is nobody's: it goes the same way, for as long. */
	if (!ledger_login_read(login, asked->login))
		login[0] = '\0';
	if (person_try(call, login))
		person_hash(call, run_login, checked_login);
}
