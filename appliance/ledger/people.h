/*
 * People around the ledger's core: who logs in, with what, and how often it may
 * be tried. A password is checked on a thread that does nothing else, one after
 * the other (each takes the memory and the time of Argon2id), and what waits
 * for it is bounded, of all and of each address. Everything else here belongs
 * to the loop. The core decides who may what (decide_user.h).
 *
 * Where a directory judges logins, the time of a refusal must not tell whose a
 * login is, ours or the directory's. Each costs one Argon2id, whoever it is, and
 * none is refused before as long after that as the directory lately took.
 */
#ifndef APPLIANCE_LEDGER_PEOPLE_H
#define APPLIANCE_LEDGER_PEOPLE_H

#include "appliance/ledger/caller.h"
#include "appliance/ledger/lockout.h"
#include "appliance/ledger/outward.h"
#include "appliance/ledger/password.h"
#include "appliance/ledger/user_sessions.h"

#include <stdatomic.h>

/** Passwords that wait to be checked or hashed: of all, and of one address. */
#define PEOPLE_HASHING_MAX 16
#define PEOPLE_HASHING_EACH 3
/** The least, and at first, that a refusal waits for a directory. */
#define PEOPLE_DIRECTORY_MS 250
/** Kinds of refusals that are counted at once. */
#define PEOPLE_DENIED_MAX 256

struct people_denied {
	char tenant[64];
	struct row_user_denied row;
};

struct people {
	struct process *process;
	struct user_sessions *sessions;
	struct lockout *lockout;
	struct worker *hasher;
	struct outward *outward; /* to the courier */
	struct call *hashing[PEOPLE_HASHING_MAX]; /* NULL: free */
	int64_t directory_ms; /* as long it took lately, and some more */
	_Atomic uint64_t hashed; /* so often was Argon2id computed */
	enum password_cost cost;
	char decoy[PASSWORD_HASH_TEXT];
	char path[SETUP_PATH_MAX]; /* of the waits */
	bool saving;
	struct people_denied denied[PEOPLE_DENIED_MAX];
	size_t n_denied;
};

/** A call of or about somebody; call->own. */
struct person_call {
	struct ledger_user change; /* the command's request */
	struct ledger_login found;
	struct record_span password; /* to be checked; in the request */
	struct record_span new_password; /* to be hashed; may be empty */
	uint64_t login; /* the session that asks; 0: none */
	struct lockout_try try_;
	char login_text[USER_LOGIN_MAX + 1];
	int rc; /* of what the thread, or the directory, did */
	bool ask_directory; /* it is for the directory to say */
	int64_t hashed_at; /* boottime: its thread was through */
	struct courier_bound bound; /* what it said */
	char made_up[PASSWORD_ONE_TIME_TEXT];
	/** In the loop, once the thread is through. */
	void (*hashed)(struct call *call);
};

/** Before the sandbox: starts a thread. Errors are logged. */
int people_open(struct process *process);
/** Its thread has ended. Takes NULL. */
void people_close(struct people *people);
/** End the thread. Takes NULL. */
void people_stop(struct people *people);
/** Once a second: what is to be written. */
void people_tick(struct people *people);
/** An edge has started: true when it is the courier, and was taken. */
bool people_edge(struct process *process, int fd, int index);
/** Does a directory know users of this tenant? */
bool people_has_directory(const struct process *process, const char *tenant);
/** The tenant is suspended or gone. */
void people_end_tenant(struct people *people, const char *tenant);

/** caller_find() of a user's session. ERR_UNAUTHENTICATED: not, or not any
 * more. */
int user_session_find(struct caller *caller, struct process *process,
    const struct wire_caller *wire);

/* --- what the files of this part share ------------------------------------ */

/** A call with its person_call, the command prepared as LEDGER_USER. NULL: it
 * was answered. */
struct call *person_call_new(struct person_call **own,
    const struct request *request, enum ledger_user_what what);
/** Wipe what is secret in it, and answer. */
void person_answer(struct call *call);
/** The same, with a refusal. */
void person_refuse(struct call *call, int err, const char *hint,
    const char *format, ...) __attribute__((format(printf, 4, 5)));
void person_refuse_field(struct call *call, const char *field, int err,
    const char *format, ...) __attribute__((format(printf, 4, 5)));
/** On the thread for passwords; then `hashed`. Answers when there are too
 * many. */
void person_hash(struct call *call, void (*run)(struct work *work),
    void (*hashed)(struct call *call));
/** May he try a password now? False: answered. */
bool person_try(struct call *call, const char *login);
/** Count a refused login. */
void people_note(struct people *people, const char *tenant, uint64_t user,
    int err);
/** Runs: hash new_password into the change; check `password` of change.user
 * first, where there is one. */
void person_run_hash(struct work *work);
/** In people_directory.c: `hashed` follows, in the loop. */
void person_ask_directory(struct call *call);
/** The directory has answered: how long did it take? */
void person_directory_answered(struct call *call);
/** Go on with `then` when a directory could have answered by now, whether it was
 * asked or not; at once where there is none. */
void person_directory_wait(struct call *call, void (*then)(struct call *call));
/** Is a new password good? False: answered. */
bool person_password_is_good(struct call *call,
    const struct record_span *password, const char *login);
struct user_session *person_session(const struct call *call);

/* --- handlers ------------------------------------------------------------- */

void session_create_asked(const struct request *request);
void session_show_asked(const struct request *request);
void session_end_asked(const struct request *request);
void session_list_asked(const struct request *request);
void session_revoke_asked(const struct request *request);
void password_change_asked(const struct request *request);
void totp_begin_asked(const struct request *request);
void totp_confirm_asked(const struct request *request);
void totp_off_asked(const struct request *request);
void user_create_asked(const struct request *request);
void user_set_asked(const struct request *request);
void user_state_asked(const struct request *request);
void user_reset_asked(const struct request *request);

#endif
