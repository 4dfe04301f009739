/*
 * The simulator of a whole site: a real ledger process with tenants, keys and
 * people, asked as a front would ask, against a model that is too simple to be
 * wrong. The process is stopped and killed at any moment; tenants close because
 * nothing goes on there. Time stands still but for what the simulator lets
 * pass, in the process too, so that a seed repeats its run.
 *
 * What must hold:
 *   - never more seats are believed in than were sold, whoever asked for them,
 *     at once or after a wait;
 *   - no key gets a seat after its revocation, its end, that of the secret it
 *     shows, outside of what it is bound to, or in a suspended tenant was
 *     answered; and whoever may, does get one while there are any;
 *   - nobody who logged in is heard after what his login rests on has changed;
 *   - no seat is granted that the policy in force forbids, none refused in
 *     its name that it allows, and nobody left waiting for one;
 *   - what was answered is still so after a kill;
 *   - at the end every tenant's journal verifies and folds to its tables.
 */
#ifndef TESTS_SIM_SITE_H
#define TESTS_SIM_SITE_H

/* In the place of check.h, for what is used of the unit tests: there is no
 * suite here. */
#define CHECK_H
void site_broke(const char *file, int line, const char *what)
    __attribute__((noreturn));
#define ck_assert(x)                                        \
	do {                                                \
		if (!(x))                                   \
			site_broke(__FILE__, __LINE__, #x); \
	} while (0)
#define ck_assert_msg(x, ...) ck_assert(x)
#define ck_abort_msg(...) ck_assert(false)
#define ck_assert_ptr_nonnull(a) ck_assert((a) != NULL)
#define ck_assert_int_eq(a, b) ck_assert((a) == (b))
#define ck_assert_int_ge(a, b) ck_assert((a) >= (b))
#define ck_assert_uint_eq(a, b) ck_assert((a) == (b))
#define ck_assert_uint_le(a, b) ck_assert((a) <= (b))

#define ANSWER_MS 60000
#include "tests/unit/process_world.h"

#include "appliance/ledger/user_sessions.h"
#include "appliance/ledger/users.h"

#define SITE_TENANTS 3 /* `default` is the first */
#define SITE_KEYS 48
#define SITE_LEASES 512
#define SITE_USERS 4 /* of a tenant; the first is an owner and stays */
#define SITE_LOGINS 24
#define SITE_WAITS 8
#define SITE_PEOPLE 6 /* who take seats */
#define SITE_PRODUCT "davinci"
#define SITE_TTL_S 60
#define SITE_GRACE_S 120
#define SITE_PASSWORD "a long enough pass phrase"

#define site_must(sim, x)                                         \
	do {                                                      \
		if (!(x))                                         \
			site_fail((sim), __FILE__, __LINE__, #x); \
	} while (0)

/** Users as bits; 0: there is no such rule. */
struct site_policy {
	uint32_t excluded, included;
	uint32_t each; /* seats of every single user */
	uint32_t of_group, group; /* so many seats of these */
	uint32_t reserved, reserved_for;
};

struct site_tenant {
	char name[TENANT_ID_MAX + 1];
	char admin[KEY_TEXT_SIZE]; /* a key that may all but hold seats */
	char host[160];
	uint32_t seats; /* sold */
	bool suspended;
	bool changing; /* that, on its way */
	uint32_t unsure; /* seats that were asked for as the process died */
	struct site_policy policy; /* in force */
	struct site_policy before;
	bool ruling; /* it follows `before`, and its answer is on its way */
};

struct site_key {
	uint32_t tenant;
	uint64_t number;
	char text[KEY_TEXT_SIZE];
	char before[KEY_TEXT_SIZE]; /* the secret of before; "" */
	int64_t before_until, expires_at; /* 0: never */
	bool revoked, bound;
	bool ending; /* its revocation is on its way */
	uint32_t asked; /* since it was made: rates are not hit below */
};

struct site_lease {
	uint32_t tenant, key;
	uint64_t number;
	uint32_t user;
	bool held; /* by the ledger */
	bool unsure; /* it was given back as the process died */
	int64_t deadline; /* when the process takes it back */
	int64_t taken_until; /* its slot is nobody else's until then */
	int64_t believed_until; /* by its program */
};

struct site_user {
	uint64_t number; /* 0: none */
	enum user_role role;
	enum user_state state;
	uint32_t serial; /* of his login */
};

struct site_login {
	bool alive;
	uint32_t tenant, user;
	char token[USER_TOKEN_TEXT];
	int64_t began, used;
};

/** A checkout that hangs. */
struct site_wait {
	bool open;
	uint32_t key, user;
	uint64_t tag;
	int64_t until;
};

struct site_tally {
	uint64_t steps, grants, waited, refused_keys, refused_seats, renewals;
	uint64_t keys, rotations, revocations, logins, refused_logins;
	uint64_t policies, refused_policy, looked;
	uint64_t suspensions, stops, kills, closings, journals;
};

struct site_sim {
	struct process_world world;
	uint64_t seed, prng;
	struct site_tally tally;
	struct site_tenant tenants[SITE_TENANTS];
	struct site_key keys[SITE_KEYS];
	uint32_t n_keys;
	struct site_lease leases[SITE_LEASES];
	uint32_t n_leases;
	const struct site_lease *spoken_of; /* in this step */
	struct site_user users[SITE_TENANTS][SITE_USERS];
	struct site_login logins[SITE_LOGINS];
	struct site_wait waits[SITE_WAITS];
	uint64_t serial; /* of what needs a name */
};

void site_fail(const struct site_sim *sim, const char *file, int line,
    const char *what) __attribute__((noreturn));
uint32_t site_below(struct site_sim *sim, uint32_t n);
bool site_one_in(struct site_sim *sim, uint32_t n);

/* --- site_world.c: the process, its time, and what it is asked ------------ */

/** Time as everybody here has it, ms. */
int64_t site_now(void);
/** Before anything else. */
void site_clock_init(void);
/** Let it pass, with all that is due then. */
void site_pass(struct site_sim *sim, int64_t ms);

void site_begin(struct site_sim *sim, uint64_t seed);
void site_end(struct site_sim *sim);
void site_stop(struct site_sim *sim);
void site_kill(struct site_sim *sim);

/** Ask, and hear of waits that end meanwhile. As front_answer. */
int site_ask(struct site_sim *sim, void *reply, uint32_t tenant,
    const char *credential, const char *address, uint16_t op,
    const void *request);
/** The same by the tenant's admin. */
int site_admin(struct site_sim *sim, void *reply, uint32_t tenant, uint16_t op,
    const void *request);
/** Send it only. Returns its tag. */
uint64_t site_send(struct site_sim *sim, uint32_t tenant,
    const char *credential, const char *address, const char *again, uint16_t op,
    const void *request);

/* --- site_keys.c ----------------------------------------------------------- */

void site_step_key(struct site_sim *sim);
/** May it take a seat, shown from there with this secret? */
bool site_key_may(const struct site_sim *sim, const struct site_key *key,
    bool before, bool inside);
struct site_key *site_key_any(struct site_sim *sim);

/* --- site_seats.c ---------------------------------------------------------- */

void site_step_seat(struct site_sim *sim);
/** A wait was answered. */
void site_wait_answered(struct site_sim *sim, struct site_wait *wait,
    const struct heard *heard);
/** The process is gone, or is here again. */
void site_seats_lost(struct site_sim *sim);
void site_seats_again(struct site_sim *sim);
/** Checkouts and returns whose answers nobody will hear. */
void site_seats_in_flight(struct site_sim *sim);
/** Does a lease run out within a moment of this time? */
bool site_seats_are_near(const struct site_sim *sim, int64_t now);
/** Was the key refused because it asks too often? */
bool site_key_was_too_fast(struct site_sim *sim, struct site_key *key, int err);
/** Time has passed. */
void site_seats_pass(struct site_sim *sim);
void site_key_leases_end(struct site_sim *sim, uint32_t key);
/** What the ledger says it holds is what the model says. */
void site_check_leases(struct site_sim *sim, uint32_t tenant);
bool site_has_waits(const struct site_sim *sim);

/* --- site_policy.c ---------------------------------------------------------- */

/** Another one comes into force. */
void site_step_policy(struct site_sim *sim);
/** One waits for what is reserved for others, and then for nobody. */
void site_step_let_in(struct site_sim *sim);
void site_begin_wait(struct site_sim *sim, struct site_key *key, uint32_t user);
/** All that was asked of the tenant so far has been done. */
void site_settle(struct site_sim *sim, uint32_t tenant);
/** Before the lease is the model's. */
void site_policy_granted(struct site_sim *sim, uint32_t tenant, uint32_t user);
/** True: the policy refused it, and might. */
bool site_policy_refused(struct site_sim *sim, uint32_t tenant, uint32_t user,
    int err, bool waited);
/** All that was asked of the tenant before was answered. */
void site_policy_check_waits(struct site_sim *sim, uint32_t tenant);
const char *site_user_name(uint32_t user);
uint32_t site_user_number(const char *name);

/* --- site_people.c --------------------------------------------------------- */

void site_people_begin(struct site_sim *sim, uint32_t tenant);
void site_step_people(struct site_sim *sim);
/** No login outlives the process. */
void site_people_lost(struct site_sim *sim);

#endif
