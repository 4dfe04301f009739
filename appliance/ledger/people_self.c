/* What everybody who logged in may: look at himself, change his password, have
 * a second factor, log out. */
#include "appliance/ledger/people.h"

#include "appliance/ledger/totp.h"
#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/text.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

/* --- sessions ------------------------------------------------------------ */

static void
run_show(struct work *work)
{
	struct call *call = (struct call *)work;
	struct person_call *person = call->own;
	struct command *command = &call->write.command;
	struct user_number number = { .user = command->who.id };
	struct session_shown *reply = arena_alloc(&call->arena, sizeof(*reply));
	struct ledger_view *view;

	command->err = reply == NULL
	    ? ERR_NOMEM
	    : ledger_view_open(&view, call->tenant->ledger);
	if (command->err != 0)
		return;
	memset(reply, 0, sizeof(*reply));
	command->err = ledger_query(&reply->user, view, OP_USER_SHOW, &number,
	    process_now(call->process), &call->arena, &command->problem);
	ledger_view_close(view);
	call->reply = reply;
	person->rc = 0;
}

static void
finish_show(struct call *call)
{
	struct session_shown *reply = call->reply;
	const struct user_session *session = person_session(call);

	if (call->write.command.err == 0 && session == NULL) {
		call->reply = NULL;
		call->write.command.err = ERR_UNAUTHENTICATED;
	} else if (call->write.command.err == 0) {
		user_session_view(&reply->session, session, session->number);
		reply->change_password = session->change_password;
		text_copy(reply->tenant, sizeof(reply->tenant),
		    session->tenant);
	}
	person_answer(call);
}

void
session_show_asked(const struct request *request)
{
	struct person_call *person;
	struct call *call =
	    person_call_new(&person, request, LEDGER_USER_LOGIN);

	if (call == NULL)
		return;
	call->finish = finish_show;
	call_query(call, run_show);
}

void
session_end_asked(const struct request *request)
{
	struct user_sessions *sessions = request->process->people->sessions;
	struct session_number reply = { .session = request->login };
	struct user_session *session =
	    user_sessions_get(sessions, request->login, clock_boottime_ms());

	if (session != NULL)
		user_sessions_end(sessions, session);
	request_reply(request, &reply);
}

static bool
may_see_others(const struct request *request)
{
	return (request->scopes & SCOPE_BIT(SCOPE_USERS)) != 0;
}

void
session_list_asked(const struct request *request)
{
	const struct session_query *query = request_read(request);
	const struct user_session *found[USER_SESSIONS_EACH];
	struct login_session items[USER_SESSIONS_EACH];

	if (query == NULL)
		return;
	uint64_t user = query->user != 0 ? query->user : request->who.id;

	if (user != request->who.id && !may_see_others(request)) {
		struct problem problem;

		problem_set(&problem, ERR_FORBIDDEN, NULL,
		    "the sessions of others need the scope %s",
		    scope_name(SCOPE_USERS));
		request_refuse(request, ERR_FORBIDDEN, &problem);
		return;
	}
	size_t n = user_sessions_list(found, USER_SESSIONS_EACH,
	    request->process->people->sessions, request->tenant->name, user,
	    clock_boottime_ms());

	for (size_t i = 0; i < n; i++)
		user_session_view(&items[i], found[i], request->login);
	request_reply(request,
	    &(struct session_page){ .items = { items, (uint32_t)n } });
}

/* One's own, or, for who may change users, those of roles not above his. */
void
session_revoke_asked(const struct request *request)
{
	struct user_sessions *sessions = request->process->people->sessions;
	const struct session_number *asked = request_read(request);
	int64_t boottime = clock_boottime_ms();

	if (asked == NULL)
		return;
	struct session_number reply = *asked;
	const struct user_session *own =
	    user_sessions_get(sessions, request->login, boottime);
	struct user_session *session =
	    user_sessions_get(sessions, asked->session, boottime);
	bool mine = session != NULL &&
	    strcmp(session->tenant, request->tenant->name) == 0 &&
	    (session->user == request->who.id ||
		(own != NULL && may_see_others(request) &&
		    own->role <= session->role));

	if (!mine) {
		struct problem problem;

		problem_set(&problem, ERR_NOT_FOUND, NULL,
		    "there is no session %llu that is yours to end",
		    (unsigned long long)asked->session);
		request_refuse(request, ERR_NOT_FOUND, &problem);
		return;
	}
	user_sessions_end(sessions, session);
	request_reply(request, &reply);
}

/* --- the password -------------------------------------------------------- */

/* His own call: the command is about himself. */
static struct call *
new_own(struct person_call **person, const struct request *request,
    enum ledger_user_what what)
{
	struct call *call = person_call_new(person, request, what);

	if (call != NULL)
		(*person)->change.user = call->write.command.who.id;
	return call;
}

/* Whoever has the session must know the password as well. */
static bool
try_own(struct call *call)
{
	const struct user_session *session = person_session(call);

	if (session == NULL) {
		person_refuse(call, ERR_UNAUTHENTICATED, "log in again",
		    "the session has ended");
		return false;
	}
	return person_try(call, session->login);
}

/* The thread has looked: go on, or say why not. */
static bool
checked_own(struct call *call)
{
	struct person_call *person = call->own;
	struct people *people = call->process->people;

	if (person->rc == 0) {
		lockout_passed(people->lockout, &person->try_,
		    process_now(call->process));
		return true;
	}
	if (person->rc == ERR_UNAUTHENTICATED) {
		people_note(people, call->tenant->name, person->change.user,
		    ERR_UNAUTHENTICATED);
		person_refuse_field(call, "password", ERR_FORBIDDEN,
		    "the password is wrong");
		return false;
	}
	lockout_undo(people->lockout, &person->try_,
	    process_now(call->process));
	person_refuse(call, ERR_UNAVAILABLE, "",
	    "the password cannot be checked right now");
	return false;
}

/* What he logs in with is another now: all but this session end. */
static void
finish_changed(struct call *call)
{
	struct person_call *person = call->own;

	if (call->write.command.err == 0)
		user_sessions_end_user(call->process->people->sessions,
		    call->tenant->name, person->change.user, person->login);
	person_answer(call);
}

static void
finish_password(struct call *call)
{
	struct user_session *session = person_session(call);

	if (call->write.command.err == 0 && session != NULL) {
		session->change_password = false;
		session->scopes = ledger_role_scopes(session->role);
	}
	finish_changed(call);
}

static void
commit_password(struct call *call)
{
	if (!checked_own(call))
		return;
	call->finish = finish_password;
	call_commit(call);
}

void
password_change_asked(const struct request *request)
{
	struct person_call *person;
	struct call *call = new_own(&person, request, LEDGER_USER_PASSWORD);

	if (call == NULL)
		return;
	const struct password_change *asked = call->request;
	const struct user_session *session = person_session(call);

	person->password = asked->password;
	person->new_password = asked->new_password;
	if (!person_password_is_good(call, &asked->new_password,
		session != NULL ? session->login : ""))
		return;
	if (asked->password.len == asked->new_password.len &&
	    sodium_memcmp(asked->password.data, asked->new_password.data,
		asked->password.len) == 0) {
		person_refuse_field(call, "new_password", ERR_BAD_REQUEST,
		    "the new password is the old one");
		return;
	}
	if (try_own(call))
		person_hash(call, person_run_hash, commit_password);
}

/* --- the second factor --------------------------------------------------- */

static void
finish_begin(struct call *call)
{
	struct person_call *person = call->own;
	struct totp_begun *reply = &call->write.command.reply.totp_begun;
	char issuer[200];

	if (call->write.command.err == 0) {
		memset(reply, 0, sizeof(*reply));
		snprintf(issuer, sizeof(issuer), "%s",
		    call->process->site.name[0] != '\0'
			? call->process->site.name
			: "Leasehold");
		totp_secret_text(reply->secret, person->change.secret);
		totp_uri(reply->uri, issuer, person->login_text,
		    person->change.secret);
	}
	person_answer(call);
}

static void
commit_begin(struct call *call)
{
	if (!checked_own(call))
		return;
	call->finish = finish_begin;
	call_commit(call);
}

void
totp_begin_asked(const struct request *request)
{
	struct person_call *person;
	struct call *call = new_own(&person, request, LEDGER_USER_TOTP_BEGIN);

	if (call == NULL)
		return;
	const struct totp_begin *asked = call->request;

	person->password = asked->password;
	randombytes_buf(person->change.secret, sizeof(person->change.secret));
	if (try_own(call))
		person_hash(call, person_run_hash, commit_begin);
}

void
totp_confirm_asked(const struct request *request)
{
	struct person_call *person;
	struct call *call = new_own(&person, request, LEDGER_USER_TOTP_CONFIRM);

	if (call == NULL)
		return;
	const struct totp_confirm *asked = call->request;

	memcpy(person->change.code, asked->code, sizeof(person->change.code));
	for (size_t i = 0; i < 10; i++)
		password_make_code(person->change.recovery[i],
		    PASSWORD_RECOVERY_LETTERS);
	call->finish = finish_changed;
	call_commit(call);
}

static void
commit_off(struct call *call)
{
	if (!checked_own(call))
		return;
	call->finish = finish_changed;
	call_commit(call);
}

void
totp_off_asked(const struct request *request)
{
	struct person_call *person;
	struct call *call = new_own(&person, request, LEDGER_USER_TOTP_OFF);

	if (call == NULL)
		return;
	const struct totp_off *asked = call->request;

	person->password = asked->password;
	memcpy(person->change.code, asked->code, sizeof(person->change.code));
	if (try_own(call))
		person_hash(call, person_run_hash, commit_off);
}
