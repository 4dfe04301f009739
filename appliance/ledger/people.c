#include "appliance/ledger/people.h"

#include "appliance/ledger/events.h"
#include "appliance/ledger/online.h"
#include "appliance/ledger/tenant_use.h"

#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/base/text.h"

#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MINUTE_MS 60000
#define DAY_MS INT64_C(86400000)
/* The courier says by itself what takes too long; this is for one that says
 * nothing: above its longest time ([ldap] and [courier] timeout_s). */
#define PATIENCE_MS 70000
#define WAITS_MAX ((size_t)1 << 20) /* of the file */

/* --- the waits, kept over a restart --------------------------------------- */

struct saving {
	struct work work; /* first */
	struct people *people;
	struct buf bytes;
	int rc;
};

static int
open_lockout(struct people *people)
{
	const char *state = people->process->options->state;
	uint8_t *key = sodium_malloc(SETUP_KEY_BYTES + LOCKOUT_KEY_BYTES);
	uint8_t *data = NULL;
	size_t len;
	int rc = key == NULL ? ERR_NOMEM : setup_key(key, state, "system");

	if (rc == 0) {
		crypto_kdf_derive_from_key(key + SETUP_KEY_BYTES,
		    LOCKOUT_KEY_BYTES, 1, "lhlockot", key);
		people->lockout = lockout_new(key + SETUP_KEY_BYTES);
	}
	sodium_free(key);
	if (rc == 0 && people->lockout == NULL)
		rc = ERR_NOMEM;
	if (rc == 0)
		rc = setup_path(people->path, state, "system/waits");
	if (rc != 0)
		return rc;
	rc = file_read(&data, &len, people->path, WAITS_MAX);
	if (rc == 0)
		rc = lockout_read(people->lockout, data, len);
	free(data);
	/* Better no waits than no site. */
	if (rc != 0 && rc != ERR_NOT_FOUND)
		log_warn("ledger",
		    "%s cannot be read: waits after wrong passwords begin "
		    "anew",
		    people->path);
	return 0;
}

static void
run_saving(struct work *work)
{
	struct saving *saving = (struct saving *)work;

	saving->rc = file_write(saving->people->path, saving->bytes.data,
	    saving->bytes.len, 0600);
}

static void
saved(struct work *work)
{
	struct saving *saving = (struct saving *)work;
	struct process *process = saving->people->process;

	if (saving->rc != 0)
		log_warn("ledger",
		    "waits after wrong passwords are not kept: "
		    "%s",
		    err_str(saving->rc));
	saving->people->saving = false;
	buf_release(&saving->bytes);
	free(saving);
	if (process->phase == PHASE_DRAINING)
		process_settle(process);
}

static void
save_lockout(struct people *people)
{
	if (people->saving || !lockout_is_dirty(people->lockout))
		return;
	struct saving *saving = calloc(1, sizeof(*saving));

	if (saving == NULL)
		return;
	lockout_write(&saving->bytes, people->lockout);
	if (saving->bytes.failed) {
		buf_release(&saving->bytes);
		free(saving);
		return;
	}
	saving->people = people;
	saving->work.run = run_saving;
	saving->work.done = saved;
	people->saving = true;
	worker_put(people->process->helper, &saving->work);
}

static void
save_at_stop(struct people *people)
{
	struct buf bytes = { 0 };

	if (people->lockout == NULL || !lockout_is_dirty(people->lockout))
		return;
	lockout_write(&bytes, people->lockout);
	if (!bytes.failed)
		(void)file_write(people->path, bytes.data, bytes.len, 0600);
	buf_release(&bytes);
}

/* --- refusals ------------------------------------------------------------ */

void
people_note(struct people *people, const char *tenant, uint64_t user, int err)
{
	int64_t now = process_now(people->process);
	int64_t minute = now - now % MINUTE_MS;
	const char *code = err_code(err);

	for (size_t i = 0; i < people->n_denied; i++) {
		struct people_denied *denied = &people->denied[i];

		if (denied->row.user == user && denied->row.minute == minute &&
		    strcmp(denied->row.code, code) == 0 &&
		    strcmp(denied->tenant, tenant) == 0) {
			denied->row.count++;
			return;
		}
	}
	if (err == ERR_LOCKED_OUT)
		log_warn("ledger",
		    "tenant %s: logins of user %llu wait after wrong passwords",
		    tenant, (unsigned long long)user);
	if (people->n_denied == PEOPLE_DENIED_MAX) {
		log_warn("ledger", "a refused login got no row");
		return;
	}
	struct people_denied *denied = &people->denied[people->n_denied++];

	*denied = (struct people_denied){
		.row = { .user = user, .count = 1, .minute = minute },
	};
	text_copy(denied->tenant, sizeof(denied->tenant), tenant);
	text_copy(denied->row.code, sizeof(denied->row.code), code);
}

/* Those of minutes that are over. */
static void
flush_denied(struct people *people)
{
	struct process *process = people->process;
	int64_t now = process_now(process);
	int64_t minute = now - now % MINUTE_MS;
	size_t kept = 0;

	if (process->guard.frozen)
		return;
	for (size_t i = 0; i < people->n_denied; i++) {
		struct people_denied *denied = &people->denied[i];
		struct tenant *tenant = process_tenant(process, denied->tenant);
		struct call *call = NULL;

		/* Who was removed with his tenant is missed by nobody. */
		if (tenant == NULL && now - denied->row.minute > DAY_MS)
			continue;
		if (tenant != NULL && denied->row.minute < minute &&
		    tenant->started && tenant->fault == 0)
			call = call_new_own(tenant, LEDGER_USER_DENIED,
			    &denied->row, sizeof(denied->row));
		if (call == NULL) {
			people->denied[kept++] = *denied;
			continue;
		}
		call->finish = call_free;
		call_commit(call);
	}
	people->n_denied = kept;
}

/* --- its life ------------------------------------------------------------ */

/* What it follows is told nothing more. */
static void
session_ended(void *ctx, const struct user_session *session)
{
	struct people *people = ctx;

	events_close_login(people->process, session->number);
}

int
people_open(struct process *process)
{
	struct people *people = calloc(1, sizeof(*people));

	if (people == NULL)
		return ERR_NOMEM;
	process->people = people;
	people->process = process;
	people->cost = process->options->password_cost;
	people->directory_ms = PEOPLE_DIRECTORY_MS;
	password_decoy(people->decoy, people->cost);
	people->sessions = user_sessions_new();
	if (people->sessions == NULL)
		return ERR_NOMEM;
	user_sessions_on_end(people->sessions, session_ended, people);
	int rc = open_lockout(people);

	if (rc == 0) {
		people->outward = outward_new(PATIENCE_MS);
		rc = people->outward != NULL ? 0 : ERR_NOMEM;
	}
	if (rc == 0)
		online_start(process);
	if (rc == 0)
		people->hasher = worker_new("passwords", process->outbox);
	return rc == 0 && people->hasher == NULL ? ERR_SYSTEM : rc;
}

void
people_stop(struct people *people)
{
	if (people == NULL)
		return;
	if (people->hasher != NULL)
		worker_free(people->hasher);
	people->hasher = NULL;
	save_at_stop(people);
}

void
people_close(struct people *people)
{
	if (people == NULL)
		return;
	outward_free(people->outward);
	user_sessions_free(people->sessions);
	lockout_free(people->lockout);
	free(people);
}

void
people_tick(struct people *people)
{
	user_sessions_tick(people->sessions, clock_boottime_ms());
	save_lockout(people);
	flush_denied(people);
	if (people->outward != NULL)
		outward_tick(people->outward);
}

void
people_end_tenant(struct people *people, const char *tenant)
{
	user_sessions_end_tenant(people->sessions, tenant);
}

int
user_session_find(struct caller *caller, struct process *process,
    const struct wire_caller *wire)
{
	const struct user_session *session =
	    user_sessions_find(process->people->sessions, wire->key.data,
		wire->key.len, clock_boottime_ms(), process_now(process));

	if (session == NULL)
		return ERR_UNAUTHENTICATED;
	int rc = tenant_use(&caller->tenant, process, session->tenant);

	if (rc != 0)
		return rc == ERR_NOT_FOUND ? ERR_UNAUTHENTICATED : rc;
	caller->who.kind = ACTOR_USER;
	caller->who.id = session->user;
	caller->scopes = session->scopes;
	caller->login = session->number;
	return 0;
}

/* --- calls of people ------------------------------------------------------ */

struct call *
person_call_new(struct person_call **own, const struct request *request,
    enum ledger_user_what what)
{
	struct call *call = call_new(request);

	if (call == NULL)
		return NULL;
	struct person_call *person =
	    arena_alloc(&call->arena, sizeof(struct person_call));

	if (person == NULL) {
		request_refuse(request, ERR_NOMEM, NULL);
		call_free(call);
		return NULL;
	}
	memset(person, 0, sizeof(*person));
	person->change.what = what;
	person->change.scopes = request->scopes;
	person->login = request->login;
	call->own = person;
	call->write.command.op = LEDGER_USER;
	call->write.command.request = &person->change;
	call->finish = person_answer;
	*own = person;
	return call;
}

static void
wipe_span(const struct record_span *span)
{
	/* Of the call's own copy of its request. */
	if (span->len > 0)
		sodium_memzero((void *)(uintptr_t)span->data, span->len);
}

void
person_answer(struct call *call)
{
	struct person_call *person = call->own;

	if (call->write.command.err != 0)
		call->process->counts.refused++;
	wipe_span(&person->password);
	wipe_span(&person->new_password);
	sodium_memzero(person, sizeof(*person));
	call->own = NULL;
	call->write.command.request = NULL;
	call_answer(call);
}

static void refuse(struct call *call, const char *field, int err,
    const char *hint, const char *format, va_list args)
    __attribute__((format(printf, 5, 0)));

static void
refuse(struct call *call, const char *field, int err, const char *hint,
    const char *format, va_list args)
{
	struct problem *problem = &call->write.command.problem;

	memset(problem, 0, sizeof(*problem));
	call->write.command.err = err;
	text_copy(problem->code, sizeof(problem->code), err_code(err));
	text_copy(problem->hint, sizeof(problem->hint), hint);
	text_copy(problem->field, sizeof(problem->field), field);
	vsnprintf(problem->detail, sizeof(problem->detail), format, args);
	if (err == ERR_UNAVAILABLE)
		problem->retry_after_s = 2;
	person_answer(call);
}

void
person_refuse(struct call *call, int err, const char *hint, const char *format,
    ...)
{
	va_list args;

	va_start(args, format);
	refuse(call, "", err, hint, format, args);
	va_end(args);
}

void
person_refuse_field(struct call *call, const char *field, int err,
    const char *format, ...)
{
	va_list args;

	va_start(args, format);
	refuse(call, field, err, "", format, args);
	va_end(args);
}

struct user_session *
person_session(const struct call *call)
{
	const struct person_call *person = call->own;

	return user_sessions_get(call->process->people->sessions, person->login,
	    clock_boottime_ms());
}

/* --- passwords ----------------------------------------------------------- */

bool
person_try(struct call *call, const char *login)
{
	struct people *people = call->process->people;
	struct person_call *person = call->own;
	struct problem *problem = &call->write.command.problem;

	text_copy(person->login_text, sizeof(person->login_text), login);
	person->try_ = (struct lockout_try){
		.tenant = call->tenant->name,
		.login = person->login_text,
		.address = call->write.command.who.address,
	};
	int64_t wait = lockout_begin(people->lockout, &person->try_,
	    process_now(call->process));

	if (wait == 0)
		return true;
	people_note(people, call->tenant->name, person->change.user,
	    ERR_LOCKED_OUT);
	uint32_t wait_s = (uint32_t)((wait + 999) / 1000);

	problem_set(problem, ERR_LOCKED_OUT,
	    "wait; or ask an admin: leasehold user reset",
	    "too many wrong passwords; the next try is possible in %u s",
	    wait_s);
	problem->retry_after_s = wait_s;
	call->write.command.err = ERR_LOCKED_OUT;
	person_answer(call);
	return false;
}

static struct call **
hashing_place(struct people *people, const char *address)
{
	struct call **free_place = NULL;
	size_t same = 0;

	for (size_t i = 0; i < PEOPLE_HASHING_MAX; i++) {
		struct call *other = people->hashing[i];

		if (other == NULL)
			free_place = &people->hashing[i];
		else if (strcmp(other->write.command.who.address, address) == 0)
			same++;
	}
	return same < PEOPLE_HASHING_EACH ? free_place : NULL;
}

static void
finish_hash(struct call *call)
{
	struct people *people = call->process->people;
	struct person_call *person = call->own;

	for (size_t i = 0; i < PEOPLE_HASHING_MAX; i++)
		if (people->hashing[i] == call)
			people->hashing[i] = NULL;
	call->finish = person_answer;
	person->hashed_at = clock_boottime_ms();
	if (person->ask_directory)
		person_ask_directory(call);
	else
		person->hashed(call);
}

void
person_hash(struct call *call, void (*run)(struct work *work),
    void (*hashed)(struct call *call))
{
	struct people *people = call->process->people;
	struct person_call *person = call->own;
	struct call **place =
	    hashing_place(people, call->write.command.who.address);

	if (place == NULL) {
		if (person->try_.login != NULL)
			lockout_undo(people->lockout, &person->try_,
			    process_now(call->process));
		person_refuse(call, ERR_UNAVAILABLE, "",
		    "too many passwords wait to be checked; try again soon");
		return;
	}
	*place = call;
	person->hashed = hashed;
	call->finish = finish_hash;
	call_hash(call, run);
}

/* His own, as it is now. */
static int
check_own(struct call *call)
{
	struct person_call *person = call->own;
	struct ledger_view *view;
	int rc = ledger_view_open(&view, call->tenant->ledger);

	if (rc != 0)
		return rc;
	rc = ledger_login_of(&person->found, view, person->change.user);
	ledger_view_close(view);
	if (rc != 0)
		return rc == ERR_NOT_FOUND_INTERNAL ? ERR_UNAUTHENTICATED : rc;
	person->change.epoch = person->found.epoch;
	if (person->found.source == USER_DIRECTORY) {
		person->ask_directory = true;
		return ERR_UNAVAILABLE;
	}
	atomic_fetch_add(&call->process->people->hashed, 1);
	return password_check(person->found.hash, person->password.data,
	    person->password.len);
}

void
person_run_hash(struct work *work)
{
	struct call *call = (struct call *)work;
	struct person_call *person = call->own;
	const struct record_span *new = &person->new_password;

	person->rc = person->password.len > 0 ? check_own(call) : 0;
	if (person->rc != 0 || new->len == 0)
		return;
	atomic_fetch_add(&call->process->people->hashed, 1);
	person->rc = password_hash(person->change.hash, new->data, new->len,
	    call->process->people->cost);
}

bool
person_password_is_good(struct call *call, const struct record_span *password,
    const char *login)
{
	const char *fault =
	    password_fault(password->data, password->len, login);

	if (fault == NULL)
		return true;
	person_refuse_field(call,
	    call->op->id == OP_PASSWORD_CHANGE ? "new_password" : "password",
	    ERR_BAD_REQUEST, "the new password %s", fault);
	return false;
}
