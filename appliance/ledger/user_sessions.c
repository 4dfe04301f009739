#include "appliance/ledger/user_sessions.h"

#include "appliance/ledger/table.h"
#include "shared/base/buf.h"
#include "shared/base/text.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PREFIX "lhus_"
#define PREFIX_LEN (sizeof(PREFIX) - 1)
#define RANDOM_BYTES 32
#define RANDOM_TEXT 43 /* of base64url */

/* Those that were used last come first, so that the end of the list is where
 * they run out. */
struct user_sessions {
	uint8_t key[crypto_generichash_KEYBYTES];
	struct table by_hash; /* first bytes of the hash -> session */
	struct table by_number;
	struct user_session *first, *last;
	uint64_t next;
	void (*ended)(void *ctx, const struct user_session *session);
	void *ctx;
};

struct user_sessions *
user_sessions_new(void)
{
	struct user_sessions *sessions = sodium_malloc(sizeof(*sessions));

	if (sessions == NULL)
		return NULL;
	memset(sessions, 0, sizeof(*sessions));
	randombytes_buf(sessions->key, sizeof(sessions->key));
	return sessions;
}

void
user_sessions_free(struct user_sessions *sessions)
{
	if (sessions == NULL)
		return;
	sessions->ended = NULL;
	while (sessions->first != NULL)
		user_sessions_end(sessions, sessions->first);
	table_release(&sessions->by_hash);
	table_release(&sessions->by_number);
	sodium_free(sessions);
}

void
user_sessions_on_end(struct user_sessions *sessions,
    void (*ended)(void *ctx, const struct user_session *session), void *ctx)
{
	sessions->ended = ended;
	sessions->ctx = ctx;
}

/* --- the list ------------------------------------------------------------ */

static void
unlink_session(struct user_sessions *sessions, struct user_session *session)
{
	if (session->previous != NULL)
		session->previous->next = session->next;
	else
		sessions->first = session->next;
	if (session->next != NULL)
		session->next->previous = session->previous;
	else
		sessions->last = session->previous;
	session->next = session->previous = NULL;
}

static void
link_first(struct user_sessions *sessions, struct user_session *session)
{
	session->previous = NULL;
	session->next = sessions->first;
	if (sessions->first != NULL)
		sessions->first->previous = session;
	else
		sessions->last = session;
	sessions->first = session;
}

static uint64_t
hash_key(const uint8_t hash[32])
{
	return be64_read(hash);
}

void
user_sessions_end(struct user_sessions *sessions, struct user_session *session)
{
	unlink_session(sessions, session);
	table_remove(&sessions->by_hash, hash_key(session->hash));
	table_remove(&sessions->by_number, session->number);
	if (sessions->ended != NULL)
		sessions->ended(sessions->ctx, session);
	sodium_memzero(session, sizeof(*session));
	free(session);
}

static bool
is_over(const struct user_session *session, int64_t boottime)
{
	return boottime - session->used >= USER_SESSION_IDLE_MS ||
	    boottime - session->began >= USER_SESSION_MAX_MS;
}

/* Those that nobody used stand at the end. */
static void
expire(struct user_sessions *sessions, int64_t boottime)
{
	while (sessions->last != NULL &&
	    boottime - sessions->last->used >= USER_SESSION_IDLE_MS)
		user_sessions_end(sessions, sessions->last);
}

static bool
is_of(const struct user_session *session, const char *tenant, uint64_t user)
{
	return session->user == user && strcmp(session->tenant, tenant) == 0;
}

static void
make_room(struct user_sessions *sessions, const char *tenant, uint64_t user)
{
	struct user_session *oldest = NULL;
	size_t n = 0;

	for (struct user_session *s = sessions->first; s != NULL; s = s->next)
		if (is_of(s, tenant, user)) {
			n++;
			oldest = s;
		}
	if (n >= USER_SESSIONS_EACH)
		user_sessions_end(sessions, oldest);
	else if (sessions->by_number.count >= USER_SESSIONS_ALL)
		user_sessions_end(sessions, sessions->last);
}

/* --- tokens -------------------------------------------------------------- */

bool
user_token_is_one(const char *text, size_t len)
{
	return len > PREFIX_LEN && memcmp(text, PREFIX, PREFIX_LEN) == 0;
}

static void
hash_token(uint8_t hash[32], const struct user_sessions *sessions,
    const char *text, size_t len)
{
	crypto_generichash(hash, 32, (const uint8_t *)text, len, sessions->key,
	    sizeof(sessions->key));
}

static void
make_token(char token[USER_TOKEN_TEXT], const char *tenant)
{
	uint8_t random[RANDOM_BYTES];
	char text[TEXT_BASE64_SIZE(RANDOM_BYTES)];

	randombytes_buf(random, sizeof(random));
	text_to_base64(text, random, sizeof(random));
	snprintf(token, USER_TOKEN_TEXT, PREFIX "%.40s_%s", tenant, text);
	sodium_memzero(random, sizeof(random));
	sodium_memzero(text, sizeof(text));
}

/* --- sessions ------------------------------------------------------------ */

uint64_t
user_sessions_next(struct user_sessions *sessions)
{
	return ++sessions->next;
}

static int
keep(struct user_sessions *sessions, struct user_session *session)
{
	int err = table_put(&sessions->by_number, session->number, session);

	if (err == 0) {
		err = table_put(&sessions->by_hash, hash_key(session->hash),
		    session);
		if (err != 0)
			table_remove(&sessions->by_number, session->number);
	}
	return err;
}

struct user_session *
user_sessions_add(char token[USER_TOKEN_TEXT], struct user_sessions *sessions,
    const struct user_session_start *start, int64_t boottime_ms, int64_t now_ms)
{
	struct user_session *session = calloc(1, sizeof(*session));

	if (session == NULL)
		return NULL;
	expire(sessions, boottime_ms);
	make_room(sessions, start->tenant, start->user);
	session->number = start->number;
	session->user = start->user;
	session->role = start->role;
	session->scopes = start->scopes;
	session->cookie = start->cookie;
	session->change_password = start->change_password;
	text_copy(session->tenant, sizeof(session->tenant), start->tenant);
	text_copy(session->login, sizeof(session->login), start->login);
	text_copy(session->address, sizeof(session->address), start->address);
	session->created_at = session->used_at = now_ms;
	session->began = session->used = boottime_ms;
	make_token(token, start->tenant);
	hash_token(session->hash, sessions, token, strlen(token));
	if (keep(sessions, session) != 0) {
		sodium_memzero(token, USER_TOKEN_TEXT);
		free(session);
		return NULL;
	}
	link_first(sessions, session);
	return session;
}

struct user_session *
user_sessions_find(struct user_sessions *sessions, const char *text, size_t len,
    int64_t boottime_ms, int64_t now_ms)
{
	uint8_t hash[32];

	if (!user_token_is_one(text, len) || len >= USER_TOKEN_TEXT)
		return NULL;
	hash_token(hash, sessions, text, len);
	struct user_session *session =
	    table_get(&sessions->by_hash, hash_key(hash));

	if (session == NULL ||
	    sodium_memcmp(session->hash, hash, sizeof(hash)) != 0)
		return NULL;
	if (is_over(session, boottime_ms)) {
		user_sessions_end(sessions, session);
		return NULL;
	}
	session->used = boottime_ms;
	session->used_at = now_ms;
	unlink_session(sessions, session);
	link_first(sessions, session);
	return session;
}

struct user_session *
user_sessions_get(struct user_sessions *sessions, uint64_t number,
    int64_t boottime_ms)
{
	struct user_session *session = table_get(&sessions->by_number, number);

	return session != NULL && !is_over(session, boottime_ms) ? session
								 : NULL;
}

void
user_sessions_end_user(struct user_sessions *sessions, const char *tenant,
    uint64_t user, uint64_t but)
{
	struct user_session *next;

	for (struct user_session *s = sessions->first; s != NULL; s = next) {
		next = s->next;
		if (is_of(s, tenant, user) && s->number != but)
			user_sessions_end(sessions, s);
	}
}

void
user_sessions_end_tenant(struct user_sessions *sessions, const char *tenant)
{
	struct user_session *next;

	for (struct user_session *s = sessions->first; s != NULL; s = next) {
		next = s->next;
		if (strcmp(s->tenant, tenant) == 0)
			user_sessions_end(sessions, s);
	}
}

void
user_sessions_tick(struct user_sessions *sessions, int64_t boottime_ms)
{
	struct user_session *next;

	for (struct user_session *s = sessions->first; s != NULL; s = next) {
		next = s->next;
		if (is_over(s, boottime_ms))
			user_sessions_end(sessions, s);
	}
}

size_t
user_sessions_list(const struct user_session **out, size_t size,
    struct user_sessions *sessions, const char *tenant, uint64_t user,
    int64_t boottime_ms)
{
	size_t n = 0;

	expire(sessions, boottime_ms);
	for (const struct user_session *s = sessions->first;
	     s != NULL && n < size; s = s->next)
		if (is_of(s, tenant, user) && !is_over(s, boottime_ms))
			out[n++] = s;
	return n;
}

size_t
user_sessions_count(const struct user_sessions *sessions)
{
	return sessions->by_number.count;
}

void
user_session_view(struct login_session *out, const struct user_session *session,
    uint64_t current)
{
	*out = (struct login_session){
		.session = session->number,
		.user = session->user,
		.role = session->role,
		.created_at = session->created_at,
		.used_at = session->used_at,
		.expires_at = session->created_at + USER_SESSION_MAX_MS,
		.cookie = session->cookie,
		.current = session->number == current,
	};
	memcpy(out->address, session->address, sizeof(out->address));
}
