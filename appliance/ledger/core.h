/*
 * What the core's own files share: the ledger, a view, and one batch in the
 * making. Nothing outside the core includes it.
 */
#ifndef APPLIANCE_LEDGER_CORE_H
#define APPLIANCE_LEDGER_CORE_H

#include "appliance/ledger/acts.h"
#include "appliance/ledger/fold.h"
#include "appliance/ledger/history.h"
#include "appliance/ledger/ledger.h"
#include "appliance/ledger/person_key.h"
#include "appliance/ledger/policy.h"
#include "appliance/ledger/requests.h"
#include "appliance/ledger/sealed.h"
#include "appliance/ledger/subjects.h"
#include "appliance/ledger/users.h"
#include "shared/journal/tree.h"

#include <pthread.h>
#include <stdatomic.h>

/** Proofs of one commit for what clients know; by batch number, so that many
 * clients with the same few headers share them. */
#define BATCH_PROOFS 64

/** A checkout that was granted, and where its row stands. */
struct batch_grant {
	struct command *command;
	uint64_t batch;
	uint32_t index;
};

/**
 * A commit: commands come in, rows come out, and are hashed, signed and stored.
 * Kept from one commit to the next for its memory.
 */
struct batch {
	struct ledger *ledger;
	struct state state; /* the write transaction */
	struct fold_place place;

	struct row *rows; /* as decided; for fold and the observer */
	struct journal_row_bytes *spans; /* of each, in `bytes` */
	size_t *starts; /* of each, in `bytes` */
	size_t n_rows, rows_size;
	struct batch_grant *grants; /* to be answered with evidence */
	size_t n_grants, grants_size;
	struct buf bytes; /* rows as they are hashed and stored */
	uint64_t fold_ns; /* in this batch */
	bool noted; /* something changed outside of the journal: commit it */
	bool owed; /* there is more for a channel */
	bool turned; /* somebody is erased: all names lie under other keys */
	struct command *erased; /* that asked for it */
	bool ruled; /* another policy is in force: it holds if this does */
	struct policy *policy_before; /* then: the one it replaces */

	struct tree tree;
	struct journal_header header;
	uint8_t head[32];
	struct buf token; /* the header, signed */
	struct buf blob;
	struct buf scratch;

	/** Made when somebody needs them: they are large, and most tenants
	 * have few clients. */
	struct history_proof *proofs[BATCH_PROOFS];
	bool proof_made[BATCH_PROOFS];
};

/** How many there are, as limits count them: limits.h. */
struct ledger_tally {
	bool known;
	uint64_t n[3]; /* enum limit */
};

struct ledger {
	struct store *store;
	char site[64];
	char tenant[64];
	const uint8_t *site_public;
	struct site_keys site_keys; /* older ones too: of what is there */
	const uint8_t *site_secret;
	uint8_t ca_sha256[32];
	atomic_bool frozen; /* nothing is decided */
	const uint8_t *tenant_key;
	struct person_key *person_key;
	uint64_t person_generation; /* of that key, as committed */
	atomic_bool wipe_due; /* its old place could not be written over */
	struct subject_keys *keys;
	struct sealed_keys *sealed;
	struct user_keys *users;
	uint8_t *key_hashes; /* guarded: hashes API keys */
	struct subject_cache *subjects;
	struct license_cache *cache;
	struct requests *requests;
	bool was_clean;
	bool clean_noted; /* the note stands in the store */
	int (*fault)(void *ctx, const char *step);
	void *fault_ctx;
	atomic_bool owed; /* since somebody asked: ledger_owes() */
	struct ledger_tally tally;
	struct ledger_timing timing;
	/* The same for other threads: struct ledger_figures. */
	atomic_uint_fast64_t commands, commit_us;
	atomic_uint_fast64_t buckets[LEDGER_COMMIT_BUCKETS];
	/** What is decided by, and what it counts; changed by the committing
	 * thread, and asked by others, under the lock. NULL: there is none. */
	pthread_mutex_t policy_lock;
	struct policy *policy;
	bool policy_stale; /* its counts are not those of the store */
	struct batch batch;
	struct tree old_tree; /* of a batch that a retry asks about */
	struct arena old_arena;
};

struct ledger_view {
	struct ledger *ledger;
	struct state state;
};

static inline int
ledger_fault(const struct ledger *ledger, const char *step)
{
	return ledger->fault == NULL ? 0
				     : ledger->fault(ledger->fault_ctx, step);
}

uint64_t core_now_ns(void);

/* --- reseal.c ------------------------------------------------------------ */

/** Open the key of people beside the store, and what is derived from it. */
int reseal_open(struct ledger *ledger, const char *folder, bool create,
    bool volatile_);
/** The generation of that key in a snapshot. */
int reseal_generation(uint64_t *generation, const struct state *state);
/**
 * Within a batch: everything that names people is sealed anew under a new key,
 * but the subjects that `what` says are to be erased, and the names of `who` in
 * policies (NULL: nobody knows them). Once a batch; ERR_BUSY the second time.
 * `entropy`: 64 random bytes.
 */
#define RESEAL_ENTROPY 64
int reseal_begin(struct batch *batch, const struct subject_turn *what,
    const struct person_query *who, const uint8_t entropy[64]);
/** The batch was given up. */
void reseal_back(struct batch *batch);
/** The batch is committed: throw the old key away. When that fails it is
 * logged, and tried again with the next commit and at the next start. */
int reseal_settle(struct ledger *ledger);
/** Into a copy of a store: which key its names lie under, and that key. */
int reseal_copy(struct state *to, const char *folder, struct ledger_view *from);

/* --- batch.c -------------------------------------------------------------- */

/** Begin a write transaction; the batch's time is now_ms or the last one's. */
int batch_begin(struct batch *batch, int64_t now_ms);
/** The next row, zeroed, to be filled and then emitted; NULL: no memory. Valid
 * until the next batch_row. */
struct row *batch_row(struct batch *batch, enum row_kind kind);
/** Encode and fold the row that batch_row gave. */
int batch_emit(struct batch *batch);
/** This checkout was granted by the row at that place. */
int batch_granted(struct batch *batch, struct command *command, uint64_t number,
    uint32_t index);
/** Hash, sign, append. Needs a row. */
int batch_seal(struct batch *batch);
/** Commit; what the batch did stays. */
int batch_commit(struct batch *batch);
/** Nothing has happened. */
void batch_abort(struct batch *batch);
void batch_release(struct batch *batch);

/** Store a sealed batch: blob, head, newest. For commits and refolds. */
int batch_store(struct state *state, const struct journal_header *header,
    const uint8_t head[32], const struct record_span *token, const void *blob,
    size_t len, struct buf *scratch);

/* --- decide.c ------------------------------------------------------------- */

/**
 * Read, apply policy, decide; rows are emitted into the batch, the outcome is
 * written into the command. Checks come before rows: a refused command leaves
 * none. Returns 0 (also when refused) or a fault, which ends the batch.
 */
int decide(struct batch *batch, struct command *command);

/** Refuse; always 0. `hint` is the next thing to type or "". */
int decide_refuse(struct command *command, int err, const char *hint,
    const char *format, ...) __attribute__((format(printf, 4, 5)));
/** The same, and names the field of the request. */
int decide_refuse_field(struct command *command, const char *field, int err,
    const char *hint, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
/** Refuse a device that no admin has let in yet. */
int decide_refuse_pending(struct command *command, uint64_t device);
/** Refuse for what a verifier of documents said. A fault is passed on. */
int decide_refuse_document(struct command *command, int err,
    const struct record_error *error);

/** The subject of a value, introduced with a row when first seen. */
int decide_subject(uint8_t id[SUBJECT_BYTES], struct batch *batch,
    enum subject_kind kind, const char *value,
    const uint8_t entropy[SUBJECT_ENTROPY]);

int decide_checkout(struct batch *batch, struct command *command);
int decide_return(struct batch *batch, struct command *command);
int decide_release(struct batch *batch, struct command *command);
int decide_idle(struct batch *batch, struct command *command);
int decide_expire(struct batch *batch, struct command *command);
int decide_join(struct batch *batch, struct command *command);
int decide_join_revoke(struct batch *batch, struct command *command);
int decide_erase(struct batch *batch, struct command *command);
int decide_erase_again(struct batch *batch, struct command *command);
int decide_enroll(struct batch *batch, struct command *command);
int decide_approve(struct batch *batch, struct command *command);
int decide_revoke(struct batch *batch, struct command *command);
int decide_install(struct batch *batch, struct command *command);
int decide_tick(struct batch *batch, struct command *command);
int decide_tick_at(struct batch *batch, struct command *command,
    const struct row_tick *tick);
int decide_generation(struct batch *batch, struct command *command);
/** The first number of a generation where `next` would be the next one: behind a
 * whole `step`, at least half of one away, so that people can tell it from those
 * of before. And one step for each generation: a copy from before the last one
 * that was abandoned is put back, and that one gave numbers too. */
uint64_t generation_skip(uint64_t next, uint64_t step, uint32_t generation);
int decide_remember(struct batch *batch, struct command *command);
int decide_adopt(struct batch *batch, struct command *command);
/** A device that may hold seats; else a refusal that says why not. */
int decide_device(struct batch *batch, struct command *command);
int decide_borrow_take(struct batch *batch, struct command *command);
int decide_borrow_extend(struct batch *batch, struct command *command);
int decide_borrow_prepare(struct batch *batch, struct command *command);
int decide_borrow_return(struct batch *batch, struct command *command);
int decide_borrow_deliver(struct batch *batch, struct command *command);
int decide_borrow_write_off(struct batch *batch, struct command *command);
int decide_user(struct batch *batch, struct command *command);
/** Users of that login, mail or name. */
struct user_names {
	const struct state *state;
	const struct sealed_keys *sealed;
	const char *name;
	uint64_t after; /* in: only those of higher numbers */
	bool more; /* not all had room */
	uint32_t n;
	struct row_number users[ERASURE_USERS_MAX];
};
int user_named(struct user_names *names);
/** Remove his account, or (try_only) only find out whether he may be. */
int decide_user_erase(struct batch *batch, struct command *command,
    uint64_t user, bool try_only);
int decide_user_denied(struct batch *batch, struct command *command);

/* decide_key.c */
int decide_key_create(struct batch *batch, struct command *command);
int decide_key_change(struct batch *batch, struct command *command);
int decide_key_rotate(struct batch *batch, struct command *command);
int decide_key_denied(struct batch *batch, struct command *command);
/* decide_act.c */
int decide_act(struct batch *batch, struct command *command);
/** The command wrote rows: one more says who asked for it. */
int decide_acted(struct batch *batch, struct command *command);
extern const struct record ledger_key_create_record, ledger_key_change_record,
    ledger_key_rotate_record, ledger_key_denied_record;

/* decide_alert.c */
int decide_alert(struct batch *batch, struct command *command);
int decide_alert_acknowledge(struct batch *batch, struct command *command);
/* decide_channel.c */
int decide_channel_add(struct batch *batch, struct command *command);
int decide_channel_remove(struct batch *batch, struct command *command);
int decide_channel_test(struct batch *batch, struct command *command);
int decide_delivered(struct batch *batch, struct command *command);
int decide_delivery_retry(struct batch *batch, struct command *command);
int decide_delivery_drop(struct batch *batch, struct command *command);
extern const struct record ledger_alert_record, ledger_channel_add_record,
    ledger_delivered_record;

/** A row that ends a lease. */
int decide_end(struct batch *batch, const struct state_lease *lease,
    enum lease_end reason, int64_t deadline, const struct principal *who);
/** Until when the slot of a lease taken by force stays taken. */
int64_t decide_held_until(const struct command *command, struct batch *batch,
    const struct state_lease *lease);
struct row_actor decide_actor(const struct principal *who);

/* --- recall.c ---------------------------------------------------------- */

/** Fill the empty memory of requests from what is stored. */
int recall_requests(struct ledger *ledger, const struct state *state);

/* --- reply.c -------------------------------------------------------------- */

/** Evidence into the commands that were granted, of this batch (sealed, if it
 * has rows) or an older one. */
int reply_grants(struct batch *batch);

/* --- person.c ------------------------------------------------------------- */

/** Is this subject his? */
bool person_has(const struct person_query *who, const struct subject *subject);
/** The ids that a lease may have of him, found by the index: user, and where
 * asked for host, device, address. */
#define PERSON_NAMES_MAX 4
int person_names(struct row_subject out[PERSON_NAMES_MAX], uint32_t *n,
    const struct state *state, const struct subject_keys *keys,
    const struct person_query *who);

/* --- policy_store.c ------------------------------------------------------- */

#define POLICY_TEXTS_KEPT 100

/** Of the version in force, with what its leases count. NULL: there is none. */
int policy_load(struct ledger *ledger, const struct state *state);
/** Before a batch: when the last one was given up, count anew. */
int policy_refresh(struct batch *batch);
/** What a batch makes of it: another one is in force, counted as of now. */
int policy_replace(struct batch *batch, struct policy *policy);
void policy_keep(struct ledger *ledger);
void policy_undo(struct batch *batch);

/** Seal a document, and delete one that is too old. */
int policy_text_put(uint8_t commitment[32], struct state *state,
    const struct sealed_keys *keys, uint64_t version, const void *document,
    size_t len, const uint8_t salt[16]);
/** ERR_NOT_FOUND_INTERNAL: it is not kept. The lists are in the arena. */
int policy_text_get(struct policy_document *out, const struct state *state,
    const struct sealed_keys *keys, uint64_t version, struct arena *arena);
/** Is he named in one? */
int policy_texts_name(bool *named, const struct state *state,
    const struct sealed_keys *keys, const struct person_query *who);
/** After sealed_keys_turn: all anew, and without him. */
int policy_texts_turn(struct state *state, const struct sealed_keys *keys,
    const struct person_query *who);

/** Leases that are held, with who holds them, in the order of numbers; stops on
 * non-zero. Within a batch those of its own too. */
struct policy_lease {
	uint64_t lease, license;
	bool borrowed;
	struct policy_facts facts;
	struct row_lease_granted grant;
};
int policy_each_lease(const struct ledger *ledger, const struct state *state,
    const struct batch *batch,
    int (*each)(void *ctx, const struct policy_lease *lease), void *ctx);

/** What a row of the batch does to the counts. `facts`: of a grant. */
int policy_granted(struct batch *batch, uint64_t lease,
    const struct policy_facts *facts);
void policy_ended(struct batch *batch, uint64_t lease);

/* --- decide_policy.c ------------------------------------------------------ */

int decide_policy_put(struct batch *batch, struct command *command);

/* --- views ---------------------------------------------------------------- */

/** Features go into the arena. */
int view_license(struct license_view *out, const struct state *state,
    const struct state_license *license, int64_t now_ms, struct arena *arena);

/** The value behind a subject's id; SUBJECT_ERASED when it was erased. */
int view_subject(char *out, size_t size, struct ledger_view *view,
    const uint8_t id[SUBJECT_BYTES]);

/** A page of leases whose user or host is one of those ids. */
int view_leases_naming(struct lease_page *out, struct ledger_view *view,
    const struct row_subject *named, uint32_t n, uint64_t after,
    struct arena *arena);

/** Rows of a stored batch: header token and row spans, borrowed from blob. */
int view_batch(struct journal_batch *out, const struct record_span *blob,
    struct arena *arena);
/** Bytes of row `index` of batch `batch`, borrowed from the transaction. */
int view_row(struct record_span *bytes, const struct state *state,
    uint64_t batch, uint32_t index, struct arena *arena);

#endif
