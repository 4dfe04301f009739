/*
 * The simulator of the ledger's core: random commands from thousands of
 * clients, against a model simple enough to be believed. Everything comes from
 * one seed: the same seed gives the same run. Time is a number. The process
 * around the core (deadlines, beats, the clock) is played here, as DESIGN 5, 7
 * and 8 ask of it.
 *
 * What must hold after every batch: each command's outcome is the one that the
 * model foresees; no seat is believed in by two, reachable or not; totals and
 * use agree. From time to time the whole state is checked; at the end of a run
 * the journal is verified and folded anew.
 */
#ifndef TESTS_SIM_SIM_H
#define TESTS_SIM_SIM_H

#include "tests/unit/ledger_world.h"

#define SIM_LICENSES_MAX 6
/** Features that a license may have: f0 to f3; renewals add, drop and shuffle
 * them. Its pools are those of the features, and the product's, the last. */
#define SIM_FEATURES 4
#define SIM_POOLS (SIM_FEATURES + 1)
/** Slots of the product's pool and of a feature's, at most. */
#define SIM_SLOTS_MAX 2048
#define SIM_FEATURE_SLOTS_MAX 256
/** Of each pool where licenses may be advisory: more than are ever held. */
#define SIM_ADVISORY_SLOTS 16384
#define SIM_BATCH_MAX 256
#define SIM_JOINS 8
/** Ended leases that the ledger remembers here: a small number, so that
 * forgetting happens too. */
#define SIM_ENDED_MAX 2048
/** A step of the wall clock that is adopted, at most (DESIGN 7). */
#define SIM_STEP_MAX INT64_C(3600000)

#define sim_must(sim, x)                                         \
	do {                                                     \
		if (!(x))                                        \
			sim_fail((sim), __FILE__, __LINE__, #x); \
	} while (0)

/* --- the model --------------------------------------------------------- */

struct sim_lease {
	uint32_t client;
	uint32_t device; /* index */
	uint32_t pool; /* index */
	uint32_t count; /* seats */
	uint32_t overage_count;
	uint64_t overage; /* number of the first one */
	struct row_slots *runs; /* its slots; owned */
	uint32_t n_runs;
	uint32_t span_s; /* ttl and grace */
	bool held;
	uint64_t ended_as; /* how many had ended when it did */
	int64_t deadline; /* the process's, true time */
	uint64_t ending_in; /* batch with a command that ends it: no beats */
};

/** A slot as the world sees it. */
struct sim_slot {
	uint64_t lease; /* holds it; 0: none */
	int64_t lingers_until; /* ledger time; 0: not */
	uint64_t believed; /* lease that somebody believes in */
	int64_t believed_until; /* true time */
};

/** The seats of a feature, or of the product. */
struct sim_pool {
	uint32_t license; /* index */
	char feature[64];
	struct sim_slot *slots; /* of the run's */
	uint32_t size;
	uint32_t commit, overage, lingering;
	uint32_t lowest; /* no free slot below */
};

struct sim_license {
	struct license document;
	struct license_feature features[SIM_FEATURES]; /* of the document */
	uint64_t number; /* 0: not installed yet */
	uint64_t overage_checkouts; /* of all its pools */
};

/** A slot that lingered until the batch came. */
struct sim_freed {
	uint32_t pool, slot;
	int64_t until;
};

struct sim_device {
	uint64_t number;
	uint8_t key[32];
	uint32_t join; /* index of the token last used, and which it was */
	uint64_t join_serial;
	bool pending;
	bool revoked;
};

struct sim_join {
	struct buf token;
	uint64_t serial;
	uint64_t number;
	bool approved, revoked;
	uint32_t uses, used;
	int64_t expires_at; /* ledger time */
};

enum sim_client_state {
	SIM_IDLE,
	SIM_ASKING, /* sent a checkout, has no answer */
	SIM_HOLDING, /* believes in a lease */
	SIM_GIVING, /* gives it back, until it hears that it did */
};

struct sim_client {
	enum sim_client_state state;
	uint32_t device; /* index */
	struct checkout body; /* of the last request */
	int64_t sent_at; /* true time, of the first time it was sent */
	uint64_t granted; /* lease the ledger gave for it, heard or not */
	char granted_user[64]; /* of the body that it was given for */
	uint64_t lease; /* that it heard of */
	int64_t believes_until; /* true time */
	int64_t silent_until; /* unreachable */
	uint64_t spoke_in; /* number of the batch it last sent a checkout in */
};

/* --- commands of a batch ----------------------------------------------- */

enum sim_kind {
	SIM_CHECKOUT,
	SIM_RETURN,
	SIM_RELEASE,
	SIM_EXPIRE,
	SIM_REVOKE,
	SIM_APPROVE,
	SIM_ENROLL,
	SIM_JOIN,
	SIM_JOIN_REVOKE,
	SIM_INSTALL,
	SIM_DENIED,
	SIM_START,
	SIM_CLOCK,
	SIM_CHECKPOINT,
};

struct sim_command {
	struct command command;
	enum sim_kind kind;
	uint32_t client;
	uint32_t index; /* of device, license or join */
	bool bad_known; /* presents a header that is not ours */
	bool lost; /* its answer does not arrive */
	union {
		struct checkout checkout;
		struct lease_return give;
		struct lease_ref ref;
		struct ledger_expire expire;
		struct device_number device;
		struct device_revoke revoke;
		struct join_number join_number;
		struct enroll enroll;
		struct join_create join;
		struct license_install install;
		struct row_denied denied;
		struct ledger_start started;
		struct row_clock clock;
		struct row_checkpoint checkpoint;
	} request;
	struct license document; /* SIM_INSTALL */
	struct license_feature features[SIM_FEATURES]; /* SIM_INSTALL */
	struct buf token; /* SIM_INSTALL */
	uint8_t key[32]; /* SIM_ENROLL */
};

struct sim_options {
	uint64_t seed;
	uint64_t commands; /* in this run */
};

/** What one run did, for the summary. */
struct sim_tally {
	uint64_t commands, batches, grants, refusals, retries, expiries;
	uint64_t of_features, of_many; /* grants */
	uint64_t beyond; /* grants beyond seats or contract */
	uint64_t crashes, lost_commits, full, reopens, checks, verified;
	uint64_t pruned;
};

struct sim {
	struct world world;
	uint64_t seed;
	uint64_t prng[2];
	struct sim_tally tally;

	/* How this run is. */
	uint32_t n_clients, n_devices, n_licenses, devices_max;
	uint32_t batch_mean, step_ms;
	uint32_t crash_in, full_in, lose_in, silent_in; /* one in so many */
	bool small_map;
	bool features, many; /* are asked for */
	bool advisory; /* some licenses grant beyond their seats */

	/* Time. */
	int64_t now; /* true time, ms: nobody's clock is faster */
	int64_t ahead; /* ledger time less true time */
	int64_t last; /* newest batch's time, or what a correction set */
	int64_t stepped_at;
	uint32_t longest_s; /* longest span ever signed */

	struct sim_client *clients;
	struct sim_device *devices;
	struct sim_license *licenses;
	struct sim_pool pools[SIM_LICENSES_MAX * SIM_POOLS];
	uint32_t n_pools;
	struct sim_slot *slots; /* of all pools, one behind the other */
	uint32_t n_slots;
	struct sim_join joins[SIM_JOINS];
	uint64_t join_serial;
	struct sim_lease *leases; /* by number */
	uint64_t n_leases, leases_size, ended;
	uint32_t scan; /* the next slot to look at for a deadline */
	struct journal_totals totals;
	bool wrote; /* the batch has a row */
	bool started; /* anew, and has not yet journaled it */
	bool stopped; /* in order, and nothing was written since */
	/** Leases up to this number were granted in batches that are given up:
	 * a restart does not remember those that ended. */
	uint64_t given_up;
	struct sim_freed *freed; /* room for every slot */
	uint32_t n_freed; /* by the batch's time */

	struct sim_command commands[SIM_BATCH_MAX];
	uint32_t n_commands;
	struct journal_known newest;
	const char *fault; /* step that fails in this batch; NULL: none */
	int fault_err;
	uint64_t fault_after;
};

/** Says seed and step, and exits 1. */
void sim_fail(const struct sim *sim, const char *file, int line,
    const char *what) __attribute__((noreturn));

uint64_t sim_random(struct sim *sim);
/** 0 to n - 1. */
uint32_t sim_below(struct sim *sim, uint32_t n);
/** True one time in n; never for 0. */
bool sim_one_in(struct sim *sim, uint32_t n);
void sim_bytes(struct sim *sim, void *out, size_t len);

/** Ledger time as the process would give it. */
int64_t sim_ledger_now(const struct sim *sim);

/* sim_world.c: a run's beginning and its end */
void sim_begin(struct sim *sim, const struct sim_options *options);
void sim_end(struct sim *sim);
/** Sign a license of this index and its terms; into command->token. */
void sim_sign_license(struct sim *sim, struct sim_command *command);
void sim_reopen(struct sim *sim);

/* sim_clients.c: what clients, admins and the process do next */
void sim_choose(struct sim *sim);
/** A command in this batch; its request is zeroed. */
struct sim_command *sim_add(struct sim *sim, enum sim_kind kind);

/* sim_admins.c: what does not happen often */
void sim_choose_features(struct sim *sim, struct license *document,
    struct license_feature features[SIM_FEATURES]);
void sim_choose_rare(struct sim *sim);
void sim_choose_last(struct sim *sim);

/* sim_seats.c: pools and slots, and who believes in them */
/** Pools of every license, all slots free. */
void sim_pools_begin(struct sim *sim);
void sim_pools_end(struct sim *sim);
/** The pool of a license's feature, whether it is in the license or not; NULL:
 * there was never such a one. "" is the product's. */
struct sim_pool *sim_pool_of(struct sim *sim, const struct sim_license *license,
    const char *feature);
/**
 * The lowest `count` free slots of a pool, of which those from seats->commit on
 * are overage: *overage of them. False when a bound forbids it, `reserved` more
 * seats counted in. Runs are the caller's to free.
 */
bool sim_slots_find(struct row_slots **runs, uint32_t *n_runs,
    uint32_t *overage, struct sim_pool *pool, const struct license_seats *seats,
    uint32_t count, uint32_t reserved);
/** What a license grants of a feature at a time, by the words of license.h;
 * false: nothing. */
bool sim_seats_at(struct license_seats *out, const struct license *terms,
    const char *feature, int64_t time);
/** The way a license is enforced, and how long its contract runs, by chance. */
void sim_choose_enforce(struct sim *sim, struct license *terms);
/** How many seats of it can be given at once. */
uint32_t sim_pool_free(struct sim_pool *pool,
    const struct license_seats *seats);
/** The journal's time frees what lingers; and a batch without rows does not. */
void sim_end_lingering(struct sim *sim, int64_t time);
void sim_undo_lingering(struct sim *sim);
/** A client hears of its lease, or of a beat, for a nonce that it sent then:
 * fails when somebody else believes in one of its slots. */
void sim_believe(struct sim *sim, struct sim_client *client, uint64_t lease,
    int64_t from);
void sim_stop_believing(struct sim *sim, struct sim_client *client);
bool sim_is_reachable(const struct sim *sim, const struct sim_client *client);
/** The lease has these slots now. */
void sim_lease_take(struct sim *sim, uint64_t lease);
void sim_lease_end(struct sim *sim, uint64_t lease, int64_t lingers_until,
    int64_t time);

/* sim_model.c: what must come of it */
void sim_apply(struct sim *sim, bool told, int64_t time);

/* sim_check.c */
void sim_check_batch(struct sim *sim);
void sim_check_all(struct sim *sim);
void sim_check_end(struct sim *sim);
/* sim_prune.c */
/** Give up old batches, some way or all of it. */
void sim_prune(struct sim *sim);
/** Check the evidence of a grant as a library would. */
void sim_check_grant(struct sim *sim, const struct sim_command *command);

#endif
