/*
 * Sessions of people who logged in: a token, whose it is, and until when. In
 * memory only: they do not survive the process, so that none can be found in a
 * file or a backup, or come back with one. A token is kept as a keyed hash. One
 * ends when it was not used for half an hour, after twelve hours whatever was
 * done, and at once with what it rests on (password, role, state). What it began
 * and still goes on (a stream of events) is no use of it, and ends with it. Time
 * comes in, as CLOCK_BOOTTIME for what ends and site time for what is shown. It
 * must not know of requests or stores.
 */
#ifndef APPLIANCE_LEDGER_USER_SESSIONS_H
#define APPLIANCE_LEDGER_USER_SESSIONS_H

#include "shared/rpc/operations.h"

#define USER_SESSION_IDLE_MS ((int64_t)30 * 60 * 1000)
#define USER_SESSION_MAX_MS ((int64_t)12 * 60 * 60 * 1000)
/** Of one user, and of all: the one that was used least lately gives way. */
#define USER_SESSIONS_EACH 16
#define USER_SESSIONS_ALL 8192

struct user_session {
	uint64_t number; /* of this run, from 1 */
	uint64_t user;
	uint32_t role;
	scope_set scopes;
	bool cookie;
	bool change_password; /* nothing else is allowed */
	char tenant[64];
	char login[USER_LOGIN_MAX + 1];
	char address[64];
	int64_t created_at, used_at; /* site time */
	int64_t began, used; /* boottime */
	uint8_t hash[32];
	struct user_session *next; /* the one that was used before it */
	struct user_session *previous;
};

struct user_sessions;
struct user_sessions *user_sessions_new(void);
void user_sessions_free(struct user_sessions *sessions);
/** Called for each that ends, however it ends, but for those that
 * user_sessions_free() ends. `ended` must not call back. */
void user_sessions_on_end(struct user_sessions *sessions,
    void (*ended)(void *ctx, const struct user_session *session), void *ctx);
/** Once a second: those that ran out end now, though nobody asks. */
void user_sessions_tick(struct user_sessions *sessions, int64_t boottime_ms);

struct user_session_start {
	const char *tenant, *login, *address;
	uint64_t number; /* of user_sessions_next */
	uint64_t user;
	uint32_t role;
	scope_set scopes;
	bool cookie, change_password;
};
/** A number that none had. */
uint64_t user_sessions_next(struct user_sessions *sessions);
/** Begin one: `token` is the only place where it stands in the clear. NULL: no
 * memory. */
struct user_session *user_sessions_add(char token[USER_TOKEN_TEXT],
    struct user_sessions *sessions, const struct user_session_start *start,
    int64_t boottime_ms, int64_t now_ms);

/** Is it written like a token of ours? */
bool user_token_is_one(const char *text, size_t len);
/** The one of a token, which is thereby used; NULL when it has ended, or never
 * was. */
struct user_session *user_sessions_find(struct user_sessions *sessions,
    const char *text, size_t len, int64_t boottime_ms, int64_t now_ms);
struct user_session *user_sessions_get(struct user_sessions *sessions,
    uint64_t number, int64_t boottime_ms);
void user_sessions_end(struct user_sessions *sessions,
    struct user_session *session);
/** All of a user, but one (0: all). */
void user_sessions_end_user(struct user_sessions *sessions, const char *tenant,
    uint64_t user, uint64_t but);
/** All of a tenant. */
void user_sessions_end_tenant(struct user_sessions *sessions,
    const char *tenant);
/** Of a user, the one used last first; at most `size`. */
size_t user_sessions_list(const struct user_session **out, size_t size,
    struct user_sessions *sessions, const char *tenant, uint64_t user,
    int64_t boottime_ms);
size_t user_sessions_count(const struct user_sessions *sessions);
void user_session_view(struct login_session *out,
    const struct user_session *session, uint64_t current);

#endif
