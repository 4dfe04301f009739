/* Users, as admins make and change them. */
#include "appliance/ledger/people.h"

#include "shared/base/err.h"
#include "shared/base/text.h"

#include <string.h>

/* Something that a login rests on is another now. */
static void
finish_ended(struct call *call)
{
	struct person_call *person = call->own;

	if (call->write.command.err == 0)
		user_sessions_end_user(call->process->people->sessions,
		    call->tenant->name, person->change.user, 0);
	person_answer(call);
}

/* Made up, for him to change at his first login. */
static void
make_up(struct person_call *person)
{
	password_make_code(person->made_up, PASSWORD_ONE_TIME_LETTERS);
	person->new_password.data = person->made_up;
	person->new_password.len = (uint32_t)strlen(person->made_up);
	person->change.one_time = true;
}

static void
finish_created(struct call *call)
{
	struct person_call *person = call->own;
	struct user_created *reply = &call->write.command.reply.user_created;

	if (call->write.command.err == 0) {
		text_copy(reply->password, sizeof(reply->password),
		    person->made_up);
		/* Of a reset: whoever waits need not any more. */
		lockout_clear(call->process->people->lockout,
		    call->tenant->name, reply->user.login);
	}
	finish_ended(call);
}

static void
commit_hashed(struct call *call)
{
	struct person_call *person = call->own;

	if (person->rc != 0) {
		person_refuse(call, ERR_UNAVAILABLE, "",
		    "the password cannot be hashed right now");
		return;
	}
	call->finish = finish_created;
	call_commit(call);
}

void
user_create_asked(const struct request *request)
{
	struct person_call *person;
	struct call *call =
	    person_call_new(&person, request, LEDGER_USER_CREATE);

	if (call == NULL)
		return;
	const struct user_create *asked = call->request;
	struct ledger_user *change = &person->change;

	if (!ledger_login_read(change->login, asked->login)) {
		person_refuse_field(call, "login", ERR_BAD_REQUEST,
		    "a login is 1 to 63 letters, digits and . _ - @ +, a "
		    "letter or digit first");
		return;
	}
	memcpy(change->name, asked->name, sizeof(change->name));
	memcpy(change->mail, asked->mail, sizeof(change->mail));
	change->role = asked->role;
	person->new_password = asked->password;
	if (asked->password.len == 0)
		make_up(person);
	else if (!person_password_is_good(call, &asked->password,
		     change->login))
		return;
	person_hash(call, person_run_hash, commit_hashed);
}

void
user_reset_asked(const struct request *request)
{
	struct person_call *person;
	bool totp = request->op->id == OP_USER_TOTP_RESET;
	struct call *call = person_call_new(&person, request,
	    totp ? LEDGER_USER_NO_TOTP : LEDGER_USER_RESET);

	if (call == NULL)
		return;
	person->change.user = ((struct user_number *)call->request)->user;
	if (totp) {
		call->finish = finish_ended;
		call_commit(call);
		return;
	}
	make_up(person);
	person_hash(call, person_run_hash, commit_hashed);
}

void
user_set_asked(const struct request *request)
{
	struct person_call *person;
	struct call *call = person_call_new(&person, request, LEDGER_USER_SET);

	if (call == NULL)
		return;
	const struct user_set *asked = call->request;
	struct ledger_user *change = &person->change;

	change->user = asked->user;
	change->sets_name = asked->name[0] != '\0';
	change->sets_mail = asked->mail[0] != '\0';
	change->sets_role = asked->role != 0;
	memcpy(change->name, asked->name, sizeof(change->name));
	memcpy(change->mail, asked->mail, sizeof(change->mail));
	change->role = asked->role != 0 ? asked->role - 1 : 0;
	if (change->sets_role)
		call->finish = finish_ended;
	call_commit(call);
}

void
user_state_asked(const struct request *request)
{
	struct person_call *person;
	struct call *call =
	    person_call_new(&person, request, LEDGER_USER_STATE);

	if (call == NULL)
		return;
	person->change.user = ((struct user_number *)call->request)->user;
	person->change.state = request->op->id == OP_USER_ENABLE ? USER_ACTIVE
	    : request->op->id == OP_USER_DISABLE                 ? USER_DISABLED
								 : USER_REMOVED;
	call->finish = finish_ended;
	call_commit(call);
}
