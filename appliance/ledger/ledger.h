/*
 * The ledger's core: one tenant's journal and state in one LMDB environment,
 * changed by two functions only, decide and fold (DESIGN 5). Time, nonces,
 * random bytes and credentials arrive in the command: the same commands give
 * the same rows, which is what the simulator stands on. It must not know of
 * sockets, sessions, loops, threads or clocks.
 *
 * One thread commits (ledger_commit); any number may read with views.
 */
#ifndef APPLIANCE_LEDGER_LEDGER_H
#define APPLIANCE_LEDGER_LEDGER_H

#include "appliance/ledger/idempotency.h"
#include "appliance/ledger/policy.h"
#include "shared/rpc/operations.h"

struct ledger;
struct ledger_view;

/** Slack between a signed span and the moment its seat is free, ms: covers the
 * rates of two clocks over a day (100 ppm) and the loop's own delay. */
#define LEDGER_SKEW_MS 10000

/** Leases of one device at most: what one renewal can carry. */
#define LEDGER_DEVICE_LEASES_MAX 4096

#define LEDGER_ENDED_MAX ((size_t)131072)

struct ledger_options {
	const char *path; /* folder of the environment */
	const char *site; /* id */
	const char *tenant;
	const uint8_t *site_public; /* 32; borrowed */
	/** Where it followed older ones: all, borrowed; NULL: that one alone.
	 */
	const struct site_keys *site_keys;
	const uint8_t *site_secret; /* 64; borrowed, in guarded memory */
	const uint8_t *tenant_key; /* 32; borrowed: encrypts, hashes */
	const uint8_t *ca_sha256; /* 32; for join tokens; NULL: zeros */
	size_t map_bytes; /* 0: 64 GiB, sparse */
	bool map_grows; /* ledger_grow may make it larger */
	bool volatile_; /* no fsync: for the simulator only */
	bool hold_format; /* an older version may have to open it (store.h) */
	/** Ended leases whose request ids are remembered ("gone" for a late
	 * retry); 0: LEDGER_ENDED_MAX. */
	size_t ended_max;
	/** Faults for tests: called at each named step of a commit ("begin",
	 * "decide", "fold", "append", "commit", "committed"), NULL otherwise. A
	 * non-zero result fails that step with it. After one at "committed" the
	 * batch is in the store and only ledger_close may follow: it stands for
	 * a crash before the replies went out. */
	int (*fault)(void *ctx, const char *step);
	void *fault_ctx;
};

/** Who asks; the process around found it out. */
struct principal {
	uint32_t kind; /* enum actor_kind */
	uint64_t id; /* device or admin key */
	char address[64];
};

/** Requests of the process itself; ids beyond the operations. */
enum ledger_internal {
	LEDGER_START = OPERATION_COUNT, /* struct ledger_start */
	LEDGER_EXPIRE, /* struct ledger_expire */
	LEDGER_DENIED, /* struct row_denied */
	LEDGER_CHECKPOINT, /* struct row_checkpoint */
	/** struct row_clock. The process around keeps the clock; the operations
	 * clock.confirm and clock.correct reach the ledger as this. The batch
	 * of a CLOCK_CORRECTED row still has a time that does not go back; from
	 * the next one on, `wall` of that row is the earliest time (the only
	 * way for a journal's time to go back, and it stands in the row). */
	LEDGER_CLOCK,
	/** struct row_tick. Without a row when the journal is there already. */
	LEDGER_TICK,
	/** struct ledger_generation. Without a row when the last one that began
	 * was for this very value of the counter: a crash came between. The
	 * only command that a frozen ledger takes. */
	LEDGER_GENERATION,
	LEDGER_ADOPT, /* struct ledger_adopt */
	LEDGER_REMEMBER, /* struct ledger_remember: no row */
	LEDGER_USER, /* struct ledger_user: whatever concerns people */
	LEDGER_USER_DENIED, /* struct row_user_denied */
	LEDGER_KEY_CREATE, /* struct ledger_key_create; ledger_key.h */
	LEDGER_KEY_CHANGE, /* struct ledger_key_change */
	LEDGER_KEY_ROTATE, /* struct ledger_key_rotate */
	LEDGER_KEY_DENIED, /* struct ledger_key_denied */
	LEDGER_TENANT, /* struct ledger_tenant_change; ledger_tenant.h */
	LEDGER_ALERT, /* struct ledger_alert; ledger_alert.h */
	LEDGER_CHANNEL_ADD, /* struct ledger_channel_add; ledger_channel.h */
	LEDGER_DELIVERED, /* struct ledger_delivered; mostly no row */
	LEDGER_ACT, /* struct ledger_act; acts.h */
	LEDGER_SYNC_MADE, /* struct sync_ask; sync.h */
	/** struct ledger_erase_again: in a copy from before an erasure, whose
	 * ids are known and whose name nobody knows any more. */
	LEDGER_ERASE_AGAIN,
	LEDGER_PRUNE, /* struct ledger_prune; prune.h */
	/** struct lease_ref: nobody works with it, as the policy has it. */
	LEDGER_IDLE,
	LEDGER_HUB_RENEW, /* struct hub_auto_renew; appliance/hub/hub.h */
	LEDGER_HUB_EXPIRE, /* struct hub_expire; appliance/hub/expire.h */
	LEDGER_HUB_CREDIT, /* struct hub_credit; appliance/hub/credit.h */
	LEDGER_HUB_INVOICE, /* struct hub_invoice_add; appliance/hub/invoice.h */
	LEDGER_UPDATE, /* struct ledger_update; ledger_update.h */
	LEDGER_UPDATE_ENDED, /* struct ledger_update_ended */
	LEDGER_MAINTENANCE, /* struct maintenance_event; maintenance_rows.h */
};

/** The daemon opened the journal; with it, a tick. */
struct ledger_start {
	struct row_started row; /* first; generation is filled in */
	struct row_tick tick; /* as for LEDGER_TICK; counter 0: none */
};

/** A deadline that passed: the fact the command rests on. */
struct ledger_expire {
	uint64_t lease;
	int64_t deadline; /* ledger time, ms; must not be after now */
};

/** An admin acknowledges that the store was put back; see struct
 * row_generation. */
struct ledger_generation {
	struct row_mark lost;
	uint32_t witness;
	uint64_t stored;
	uint64_t witnessed;
	uint64_t counter;
	char reason[128];
};

/** Numbers that a lost branch may have given are passed over: those to the next
 * whole of these, at least half as many. */
#define LEDGER_SKIP_LEASES UINT64_C(1000000000)
#define LEDGER_SKIP_DEVICES UINT64_C(1000000)

/** At most as many as one erasure has. */
struct ledger_erase_again {
	struct record_list subjects; /* row_subject */
	struct record_list users; /* row_number */
};

/** The answer to what was done, by its Idempotency-Key; len 0 and NULL: it is
 * not kept. */
struct ledger_remember {
	struct idempotency *asked;
	struct record_span answer;
};

/** Leases that one LEDGER_ADOPT may hold. */
#define LEDGER_ADOPT_MAX 512

/** A lease or a ticket that a device presents, as ledger_adopt_read found it:
 * granted by this site, in a batch that may or may not be of this journal. */
struct ledger_adopt_item {
	struct row_origin origin;
	struct record_span row;
	struct row_lease_granted grant; /* what the row says */
	bool borrowed; /* the row is a ticket: */
	struct row_ticket ticket;
	int64_t time; /* of the batch */
	int err; /* out: 0, it goes on (also: it did already), or why not */
};
struct ledger_adopt {
	struct ledger_adopt_item *items;
	uint32_t count;
};

/* --- people who log in ---------------------------------------------------- */

enum ledger_user_what {
	LEDGER_USER_CREATE, /* login, name, mail, role, hash, one_time */
	LEDGER_USER_SET, /* name, mail, role where `sets` says so */
	LEDGER_USER_STATE, /* state */
	LEDGER_USER_RESET, /* hash */
	LEDGER_USER_NO_TOTP,
	/* by himself: */
	LEDGER_USER_PASSWORD, /* epoch, hash */
	LEDGER_USER_TOTP_BEGIN, /* epoch, secret */
	LEDGER_USER_TOTP_CONFIRM, /* code, recovery */
	LEDGER_USER_TOTP_OFF, /* epoch, code */
	/** By the site, which has checked his password: code, and `epoch` of
	 * when it did; session. */
	LEDGER_USER_LOGIN,
	/** By the site, which has it from the directory: login, name, mail,
	 * role; he is created or set as that says. Then as above. */
	LEDGER_USER_DIRECTORY,
};

/** Prepared by the process: passwords are hashed, random ones made up. */
struct ledger_user {
	uint32_t what;
	uint64_t user;
	scope_set scopes; /* of who asks */
	char login[USER_LOGIN_MAX + 1]; /* as user_login_read has it */
	char name[128], mail[128];
	bool sets_name, sets_mail, sets_role;
	uint32_t role, state;
	char hash[128];
	bool one_time;
	uint64_t epoch;
	char code[64];
	uint64_t session;
	uint8_t secret[20];
	char recovery[10][18]; /* codes, as they are shown */
};

/** What a login is checked against; ERR_NOT_FOUND_INTERNAL: nobody's. */
struct ledger_login {
	uint64_t user;
	uint32_t role, state, source;
	uint64_t epoch;
	char hash[128];
	bool one_time, totp;
	uint32_t recovery;
	char login[USER_LOGIN_MAX + 1];
};
/** In the one spelling that is stored and compared: lower case. False when it
 * is none: 1 to 63 of a-z 0-9 . _ - @ +, and a letter or digit first. */
bool ledger_login_read(char out[USER_LOGIN_MAX + 1], const char *text);
/** What a role may, of its own tenant. */
scope_set ledger_role_scopes(uint32_t role);
int ledger_login(struct ledger_login *out, struct ledger_view *view,
    const char *login);
/** The same of a user whose number is known. */
int ledger_login_of(struct ledger_login *out, struct ledger_view *view,
    uint64_t user);

/** What the site's admin narrows of a license's terms for borrowing. Zero: they
 * stand as they are. */
struct ledger_borrow_policy {
	uint32_t max_s; /* longest borrow; 0: as the license says */
	uint32_t seats; /* most on loan of a pool; 0: as the license says */
	/** Low-water mark: so many seats of a pool stay here, free or not on
	 * loan to a device that is away. */
	uint32_t keep;
};

/** Whom the site's admin lets in at all. Zero: everybody. */
struct ledger_device_policy {
	uint32_t classes; /* a bit each of enum proof_class; 0: all */
	bool no_chips; /* no maker of TPMs is known: no device is a tpm */
};

/** What is told of a seat beside its row. */
struct ledger_seats {
	uint32_t total; /* of the pool, overage included */
	uint32_t commit;
	uint32_t used; /* taken, the lease at hand included */
	uint32_t used_overage;
	uint32_t free; /* for the next one */
	int64_t overage_per_use; /* price of the license in force */
	char currency[4];
};

/** What became of an API key's command. */
struct ledger_key_made {
	uint64_t device; /* its number */
	int64_t at;
	int64_t expires_at; /* 0: never */
	int64_t previous_until; /* of the secret before; 0: it ended */
};

/** Random bytes that a command may need: subject ids, salts, nonces. */
#define LEDGER_ENTROPY 320
/** From here on: of the row that says who asked for it. */
#define LEDGER_ENTROPY_ACT 256

/**
 * One command and its outcome. The caller owns it and what `request` points
 * to until ledger_commit returned; replies point into `arena`.
 */
struct command {
	uint32_t op; /* enum operation_id or ledger_internal */
	struct principal who;
	const void *request; /* the record of the operation */
	scope_set scopes; /* person.erase: of who asks */
	/** lease.release, LEDGER_IDLE and device.revoke: until when, in ledger time, a
	 * holder that could not be told may go on believing (its last signed
	 * span, grace and skew); the slot stays taken until then. 0: it was
	 * told. */
	int64_t held_until;
	/** The same two, and person.erase: leases from this number on were granted after the
	 * command was made, so nobody told their holder; their slots stay taken
	 * for the whole span of the grant. 0: there are none. */
	uint64_t unseen_from;
	/** person.erase: only find out whether it would be done; nothing is,
	 * and the reply is empty. */
	bool rehearses;
	/** person.erase: he was whom to call at the tenant, and is no more. */
	bool erases_contact;
	/** lease.checkout, borrow.take: seats of its pool that are on offer to waiters other
	 * than this command's; they count as taken for this decision. */
	uint32_t reserved;
	/** borrow.take, borrow.extend: what their proof is over besides the
	 * request. Whether it holds the process has found out, as of every
	 * proof in a request here. */
	uint8_t exporter[32];
	struct ledger_borrow_policy borrow; /* the same two */
	/** Of a device: what its counter was, at least, when its session began.
	 * A proof below that is an old one. 0: nobody knows. */
	uint64_t counter;
	/** device.enroll: what the device's TPM is, as the process has judged
	 * once the device had answered a challenge for it; NULL: it has none.
	 */
	const struct proof_endorsement *endorsement;
	struct ledger_device_policy devices; /* device.enroll, join.create */

	/** Its Idempotency-Key; NULL: none. Written with its rows, and so is the
	 * answer: `said`, or where that is NULL the reply below. */
	struct idempotency *again;
	/** Made beforehand, or by `say` (NULL: by nobody) in the transaction of
	 * the rows; it lasts as long as the command. */
	const void *said;
	int (*say)(struct command *command, struct ledger_view *view,
	    int64_t now_ms);

	/** Written with its rows, where there are some: who asked for it, for
	 * the audit. by, code, count and address are filled in. NULL: it has no
	 * such row. */
	const struct row_act *act;

	/* outcome */
	bool acted; /* that row was written */
	int err; /* 0, a refusal, or the fault of the whole batch */
	uint64_t license; /* that a refused checkout was about, or 0 */
	struct ledger_seats seats; /* lease.checkout that was granted */
	struct arena arena; /* owned; release after use */
	struct problem problem; /* when err is not 0 */
	union {
		struct enroll_reply enroll;
		struct checkout_reply checkout;
		struct lease_ended ended;
		struct license_view license;
		struct sync_imported imported;
		struct join_created join;
		struct join_number join_number;
		struct device_number device;
		struct checkpoint_reply checkpoint;
		struct person_erased person_erased;
		struct borrow_taken borrow_taken;
		struct borrow_prepared borrow_prepared;
		struct borrow_returned borrow_returned;
		struct borrow_written_off borrow_written_off;
		struct user_view user;
		struct user_number user_number;
		struct user_created user_created;
		struct totp_begun totp_begun;
		struct totp_confirmed totp_confirmed;
		struct ledger_login login;
		struct session_created session_created;
		struct ledger_key_made key;
		struct alert_number alert; /* 0: none is open */
		struct channel_number channel;
		struct delivery_ref delivery;
		struct policy_summary policy;
		struct usage_tracked usage_tracked;
		struct row_pruned pruned;
		struct update_view update;
	} reply;
	uint8_t entropy[LEDGER_ENTROPY];
};

/** What a batch did, told row by row after the commit, in order, on the
 * committing thread: liveness and projections live on it. */
struct ledger_observer {
	void *ctx;
	void (*row)(void *ctx, const struct row *row, int64_t time);
};

/** Time split of the commits so far, ns; for the load generator. */
struct ledger_timing {
	uint64_t commits, commands, rows;
	uint64_t decide_ns, fold_ns, tree_ns, sign_ns, commit_ns;
};

/** A new journal with its genesis batch. ERR_CONFLICT if one is there. */
int ledger_create(const struct ledger_options *options, int64_t now_ms);

/** Open: checks that the newest header is signed by this site and names this
 * tenant. ERR_BUSY when another process has it open for writing. */
int ledger_open(struct ledger **ledger, const struct ledger_options *options);
void ledger_close(struct ledger *ledger);
/** How its store's values are written (store.h). Any thread. */
uint32_t ledger_store_format(const struct ledger *ledger);

/**
 * Decide and fold every command in order in one write transaction, append one
 * signed batch of their rows, commit. Without rows nothing is written. On a
 * fault nothing has happened, every command has the fault in `err`, and the
 * fault is returned; the ledger stays usable.
 *
 * @param now_ms  Ledger time; taken as the last batch's time if before it.
 */
int ledger_commit(struct ledger *ledger, struct command *const *commands,
    size_t n, int64_t now_ms, const struct ledger_observer *observer);

/** Was anything owed to a channel since this was asked last? Any thread. */
bool ledger_owes(struct ledger *ledger);

void ledger_timing(struct ledger_timing *timing, const struct ledger *ledger);

/** Counted since it was opened; any thread. */
#define LEDGER_COMMIT_BUCKETS 12
/** Upper bounds of all but the last. */
extern const uint32_t ledger_commit_bounds_us[LEDGER_COMMIT_BUCKETS - 1];
struct ledger_figures {
	uint64_t commands;
	uint64_t commit_us; /* of all commits together */
	uint64_t buckets[LEDGER_COMMIT_BUCKETS]; /* commits by their time */
};
void ledger_figures(struct ledger_figures *out, const struct ledger *ledger);

/* --- reading ------------------------------------------------------------ */

/** A snapshot; cheap. Close it soon (50 ms): LMDB keeps pages for it. A view
 * may be moved between threads but used by one at a time. */
int ledger_view_open(struct ledger_view **view, struct ledger *ledger);
void ledger_view_close(struct ledger_view *view);

/**
 * The file `people.key` for a copy of this snapshot: without it no name in the
 * copy can be read. Whoever copies a store writes it, mode 0600, into the folder
 * of the copy. Any thread. ERR_BUSY when somebody was erased since the view was
 * opened: copy the store again.
 */
#define LEDGER_PERSON_KEY_NAME "people.key"
#define LEDGER_PERSON_KEY_BYTES 72
int ledger_person_key(uint8_t file[LEDGER_PERSON_KEY_BYTES],
    struct ledger_view *view);

/** The newest header: token in the arena, its fields and head. */
int ledger_newest(struct journal_header *header, uint8_t head[32],
    struct record_span *token, struct ledger_view *view, struct arena *arena);

/** The earliest time that the next batch may have: that of the newest one, or
 * what a correction of the clock put it back to. */
int64_t ledger_time(const struct ledger_view *view);

/** Devices that were ever enrolled. */
uint64_t ledger_devices(const struct ledger_view *view);
uint32_t ledger_generation(const struct ledger_view *view);
/** When the last one began that was not the first; 0: none did. */
int64_t ledger_generation_at(const struct ledger_view *view);
/** The last value of the site's counter in this journal; 0: none yet. */
uint64_t ledger_tick(const struct ledger_view *view);
/** Does this journal hold that head at its place? 0 or ERR_ROLLED_BACK. */
int ledger_holds(struct ledger_view *view, uint64_t batch,
    const uint8_t head[32]);
/** Where it stands. */
int ledger_mark(struct row_mark *mark, struct ledger_view *view);

/** inclusion and consistency of `known` in the history of the newest batch;
 * ERR_ROLLED_BACK when this journal does not hold it. Empty spans for a zero
 * `known`, for the newest batch itself, and for one that is not in the history
 * and of an earlier generation. */
int ledger_continue(struct record_span *inclusion,
    struct record_span *consistency, struct ledger_view *view,
    const struct journal_known *known, struct arena *arena);

/** A device as sessions need it; key points into the arena. ERR_UNKNOWN_DEVICE
 * or, with everything filled in, ERR_DEVICE_REVOKED. */
struct ledger_device {
	uint64_t device;
	uint32_t class_;
	struct record_span public_key;
	char name[64];
	enum device_state state;
	char reason[128]; /* why it was revoked, or "" */
	bool borrows; /* it has some, or is to prove a return */
};
int ledger_device(struct ledger_device *out, struct ledger_view *view,
    uint64_t device, struct arena *arena);

/** A lease as liveness needs it. */
struct ledger_lease {
	uint64_t lease;
	uint64_t device;
	uint64_t license;
	uint64_t row_number;
	uint32_t ttl_s; /* 0: it is borrowed, and lives by no beats */
	uint32_t grace_s;
	struct record_span row; /* bytes of the granting row, in the arena */
};
/** ERR_GONE when it has ended or never was. arena NULL: without the row. */
int ledger_lease(struct ledger_lease *out, struct ledger_view *view,
    uint64_t lease, struct arena *arena);
/**
 * A lease that a device presents with its evidence: is it one that this site
 * granted to it, in any generation? The header must be signed by it, of this
 * journal's name, and hold the row. Spans of `out` are those of `item`, lists
 * are in the arena. Any thread.
 */
int ledger_adopt_read(struct ledger_adopt_item *out,
    const struct ledger *ledger, const struct attach_item *item,
    uint64_t device, struct arena *arena);
/** The place that a header or a beat names, when it is signed by this site and
 * of this journal's name. Any thread. ERR_BAD_SIGNATURE and others. */
int ledger_read_evidence(struct row_mark *mark, const struct ledger *ledger,
    const char *token, size_t len);
/** Every lease held, in order; stops on non-zero, which is returned. */
int ledger_each_lease(struct ledger_view *view, uint64_t after,
    int (*each)(void *ctx, const struct ledger_lease *lease), void *ctx);

/**
 * The seats that a checkout of this product and feature draws from: a pool. A
 * feature's seats are its own; those of the product are the pool of feature "".
 *
 * A checkout of N seats with R seats reserved is granted when N + R <= free;
 * nothing is taken otherwise. Its refusals:
 *   ERR_NO_SEATS, ERR_OVERAGE_EXHAUSTED  not now: who waits may get them
 *   ERR_MAX_REACHED                      N is above `max_once`, or the device
 *                                        holds too many leases: waiting is
 *                                        no use
 * and others before them (ERR_NOT_ENTITLED, ERR_LICENSE_EXPIRED, ...), which no
 * waiting helps against either.
 */
struct ledger_pool {
	uint64_t license; /* its number */
	uint32_t total; /* seats of the license in force */
	uint32_t taken; /* by leases, and lingering; may be above total after a
			   renewal with fewer seats, and where the license is
			   advisory */
	uint32_t lingering; /* released, and not yet free */
	uint32_t free; /* seats that checkouts would get now, all together */
	uint32_t max_once; /* most that one checkout can ever get */
};
/** A few reads. As a batch at `now_ms` would find it: slots that waited until
 * then for a holder who could not be told are free. ERR_NOT_ENTITLED when the
 * license in force has no such pool, or there is none for the product. Versions
 * are not looked at, nor are dates but for `free` and `max_once`. */
int ledger_pool(struct ledger_pool *out, struct ledger_view *view,
    const char *product, const char *feature, int64_t now_ms);

/** Seats held for a person who is to be erased: a page of them, from `after`
 * on. `granted`: numbers of leases below this one were looked at when the pages
 * are through. Any thread. */
int ledger_person_leases(struct lease_page *page, uint64_t *granted,
    struct ledger_view *view, const struct person_erase *who, uint64_t after,
    struct arena *arena);

/** Is the key of the names that were erased last written over? Any thread. */
bool ledger_is_wiped(const struct ledger *ledger);

/** Refuse person.erase because of `held` seats, of which the first n are named.
 * Always 0. */
int ledger_refuse_held(struct command *command, uint64_t held,
    const uint64_t *leases, uint32_t n);

/**
 * What the tenant's policy says at this moment, for who waits; any thread. What
 * is being decided meanwhile may be in its counts or not: a decision alone is
 * binding. See policy.h.
 */
void ledger_policy_judge(struct policy_verdict *verdict, struct ledger *ledger,
    const struct policy_facts *facts, uint64_t free, uint64_t offered);
uint64_t ledger_policy_own(struct ledger *ledger,
    const struct policy_facts *facts);
uint32_t ledger_policy_idle_s(struct ledger *ledger, uint64_t lease,
    bool reports);
/** The one in force; 0: there is none. */
int ledger_policy_version(uint64_t *version, struct ledger *ledger);
/** What a policy would say to those who have seats: `out`, but for who waits;
 * and the policy itself, counted, for who does, owned by the caller. document
 * NULL: the one in force. Reads every lease: for a helper thread. Bad
 * documents: ERR_BAD_REQUEST and the field. */
int ledger_policy_check(struct policy_impact *out, struct policy **policy,
    struct ledger_view *view, const struct policy_document *document,
    struct arena *arena, struct record_error *error);
void ledger_policy_queue(struct policy_queue *out, struct ledger *ledger,
    const struct policy_facts *facts);

/** Every license, in order; stops on non-zero, which is returned. A license and
 * its features last for the call alone. */
int ledger_each_license(struct ledger_view *view,
    int (*each)(void *ctx, uint64_t number, const struct license *license),
    void *ctx);

/** When the last of the slots that wait for a holder who could not be told is
 * free; 0: there are none. */
int ledger_linger_end(int64_t *until, struct ledger_view *view);

/**
 * Borrows (DESIGN 9): how tickets and the return of seats work stands in
 * borrow.h, what is refused here:
 *   ERR_CLASS_NOT_ALLOWED  the license lends nothing to the device's class
 *   ERR_BORROW_LIMIT       longer, or more seats, than license or policy lend;
 *                          or the device has to prove a return first
 *   ERR_CONFLICT           a return that was begun comes first
 *   ERR_BAD_PROOF          the device's counter went back
 *   ERR_CLOCK_TAMPERED     the device's clock did
 * and those of a checkout.
 */

/** borrow.list of a device: its tickets with their evidence, and what it is to
 * prove. Reads and hashes a batch for each. */
int ledger_tickets(struct borrow_tickets *page, struct ledger_view *view,
    uint64_t device, const struct borrow_mine *query, struct arena *arena);

/** lease.list of a device: what it holds but for borrows, by number. */
int ledger_device_leases(struct lease_page *page, struct ledger_view *view,
    uint64_t device, const struct lease_query *query, struct arena *arena);

/** Answers of the query operations; reply is the operation's reply record and
 * points into the arena. Unknown ids: ERR_NOT_FOUND. Not told by it, for the
 * process knows: site_view.name, software, sessions, waiting, clock_*; what
 * device_view says of its session. */
int ledger_query(void *reply, struct ledger_view *view, uint32_t op,
    const void *request, int64_t now_ms, struct arena *arena,
    struct problem *problem);

/** All of its tables into a backup's dump: the whole store as this view sees
 * it. Reads everything: for a helper thread. */
struct dump_writer;
int ledger_dump(struct dump_writer *out, struct ledger_view *view);
/** Every subject in the clear, and every batch of the journal as it is stored;
 * each stops on non-zero, which is returned. Neither lasts longer than its
 * call. */
int ledger_each_subject(struct ledger_view *view,
    int (*each)(void *ctx, const struct subject_view *subject), void *ctx);
int ledger_each_batch(struct ledger_view *view,
    int (*each)(void *ctx, const void *blob, size_t len), void *ctx);

/** Where somebody is who follows the journal: the last row told, and the batch
 * that holds the next one. */
struct event_place {
	uint64_t row;
	uint64_t batch;
};
struct event_page;
/** With `resume` behind place->row (ERR_BAD_REQUEST: there is no such row),
 * else at the end. */
int ledger_events_begin(struct event_place *place, struct ledger_view *view,
    bool resume, struct arena *arena, struct problem *problem);
/** The next rows, none at the end; the place moves on. */
int ledger_events(struct event_page *page, struct event_place *place,
    struct ledger_view *view, struct arena *arena);

/** BLAKE2b-256 of the logical dump of the state tables, and the batch it
 * stands after. Reads everything: for a helper thread. */
int ledger_state_hash(uint8_t hash[32], struct journal_header *after,
    uint8_t head[32], struct ledger_view *view);

/** Fold every batch of `from` into a fresh environment at `to->path` (created),
 * verifying each: the new one's logical dump equals the old one's. Subjects
 * and sealed documents are copied. For the simulator, recovery and upgrades. */
int ledger_refold(struct ledger_view *from, const struct ledger_options *to);

/** The invariants of DESIGN 5 over the whole state; words on the first breach
 * and ERR_CORRUPT. */
int ledger_check(struct ledger_view *view, char *error, size_t error_size);

/** Room in its map and on its disk (store.h). Any thread. */
struct store_room;
void ledger_room(struct store_room *room, const struct ledger *ledger);
/** By the committing thread, after ERR_FULL: 0 when the commit may be tried
 * again, with a larger map. */
int ledger_grow(struct ledger *ledger);
/** Can it write again? Any thread; what it writes stands in no journal. */
int ledger_probe(struct ledger *ledger);
/** Did a commit fail so badly that the ledger must be opened anew? Any thread.
 */
bool ledger_is_broken(const struct ledger *ledger);

/** Decide nothing but LEDGER_GENERATION from now on: all else is refused as
 * rolled back. Any thread; commands that are being decided are still taken. */
void ledger_freeze(struct ledger *ledger, bool frozen);

/** Was the stop before this open an orderly one? The note of ledger_stop_clean
 * is cleared by the first commit after opening; the answer stays. */
bool ledger_was_clean(const struct ledger *ledger);

/** Mark an orderly stop, durably; nothing is committed after it. */
int ledger_stop_clean(struct ledger *ledger);

#endif
