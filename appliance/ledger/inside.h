/*
 * What the parts of the ledger process share: the process, its tenants, its
 * fronts, and a call on its way to an answer. All of it belongs to the loop's
 * thread, but what says otherwise. The core (ledger.h) must not know any of
 * it.
 */
#ifndef APPLIANCE_LEDGER_INSIDE_H
#define APPLIANCE_LEDGER_INSIDE_H

#include "appliance/ledger/acts.h"
#include "appliance/ledger/audit_asked.h"
#include "appliance/ledger/auth.h"
#include "appliance/ledger/contracts.h"
#include "appliance/ledger/denials.h"
#include "appliance/ledger/entropy.h"
#include "appliance/ledger/guard.h"
#include "appliance/ledger/invoicing.h"
#include "appliance/ledger/ledger.h"
#include "appliance/ledger/liveness.h"
#include "appliance/ledger/metering_asked.h"
#include "appliance/ledger/process.h"
#include "appliance/ledger/pruning.h"
#include "appliance/ledger/queue.h"
#include "appliance/ledger/spool.h"
#include "appliance/ledger/system.h"
#include "appliance/ledger/table.h"
#include "appliance/ledger/tenants.h"
#include "appliance/ledger/wire.h"
#include "appliance/ledger/work.h"
#include "appliance/ledger/writer.h"
#include "appliance/setup/setup.h"
#include "shared/ipc/ipc.h"
#include "shared/rpc/rpc.h"

struct event_base;
struct event;
struct session;
struct by_key;
struct alerts;
struct deliver;
struct online_vendor;
struct people;
struct box_page;

#define PROCESS_SOFTWARE "leaseholdd " LEASEHOLD_VERSION
#define PROCESS_WRITERS 4
#define PROCESS_SIGNALS 4
/** Calls that wait for a commit or a reader, and the bytes of their requests,
 * at most; beyond, `unavailable`. */
#define PROCESS_CALLS_MAX 65536
#define PROCESS_CALL_BYTES_MAX ((size_t)64 << 20)
/** Calls of one connection under way at once; beyond, `rate_limited`. */
#define SESSION_CALLS_MAX 4096
/** Answers that wait for a slow front before it is not read from any more. */
#define FRONT_QUEUE_MAX ((size_t)32 << 20)

/** WebSocket close codes that an agent acts on (DESIGN 10). */
#define CLOSE_RESTART 1012 /* RFC 6455's register: come again */
#define CLOSE_REPLACED 4001 /* a newer session of the same device */
#define CLOSE_REVOKED 4003
#define CLOSE_SUSPENDED 4004 /* its tenant */

enum process_phase {
	PHASE_STARTING, /* the start is not journaled yet */
	PHASE_READY,
	PHASE_DRAINING, /* SIGTERM: what is queued is still done */
};

/** A look whether a store can be written again. */
struct tenant_probe {
	struct work work; /* first */
	struct tenant *tenant;
	bool running;
	int rc;
};

/** What it slept through while it was closed: rows that its journal gets before
 * that of its start. */
struct tenant_sleep {
	bool owes_generation;
	struct ledger_generation generation;
	struct row_actor by;
	bool owes_clock;
	struct row_clock clock;
};

/** What root does about maintenance: maintaining.h. */
struct tenant_maintaining {
	bool busy; /* looking */
};

/** Whether an update of the box is under way: updating.h. */
struct tenant_updating {
	bool looked; /* in the journal, since it was opened */
	bool pending;
	bool busy; /* looking */
};

/** One open tenant and what lives around its ledger. */
/** Leases that a policy would refuse are to end. A restart forgets it. */
struct tenant_revoking {
	uint64_t version; /* of the policy; 0: none are */
	int64_t at; /* boottime, ms */
	struct principal who;
	bool looking; /* for them */
	uint32_t rounds;
};

/** Reports over the network: online.h. Zero-initialised is empty. */
struct tenant_online {
	struct online_vendor *first;
	bool looking;
	int64_t looked; /* boottime; 0: it is to look at once */
};

struct tenant {
	struct process *process;
	struct tenant_entry *entry;
	char name[64];
	struct ledger *ledger;
	uint8_t *key; /* guarded */
	struct writer *writer;
	size_t n_calls; /* under way */
	size_t n_sessions; /* bound to it, proved or not */
	int64_t busy_at; /* boottime: something went on there */
	struct tenant_sleep slept;
	struct tenant_owed *owed; /* as it opened; tenant_owed.h */
	uint64_t revision; /* that its journal knows, of entry->facts */
	unsigned int settling; /* what it is owed since, under way */
	bool caught_up; /* that was journaled as it opened */
	struct call *deleting; /* waits until nothing goes on there */
	struct tenant_restore *restoring; /* the same, once a copy is checked */
	struct liveness liveness;
	struct contracts contracts;
	struct table sessions; /* device -> its live session */
	struct table devices; /* device -> struct device_memory */
	struct denials denials;
	struct acts acts;
	struct keys *keys; /* API keys that were used */
	struct queue queue; /* who waits for a seat */
	int64_t ticked_at; /* boottime of the last tick of the queue; ms */
	int64_t looked_at; /* all pools were, for what no event tells; ms */
	bool started; /* its ROW_STARTED is committed */
	bool starting; /* on its way */
	int fault; /* of the last commit; 0: it went well */
	int64_t faulted_at; /* boottime: of the last one; 0: never */
	struct tenant_probe probe; /* while there is a fault */
	struct alerts *alerts; /* that are open: alerts.h */
	int64_t licenses_looked; /* boottime: at the ends of contracts */
	struct deliver *deliver; /* what it owes to channels: deliver.h */
	struct tenant_online online;
	bool drained; /* its last words were journaled */
	bool checking; /* a checkpoint is on its way */
	uint64_t checkpoint_batch;
	int64_t checkpoint_boottime;
	int64_t linger_until; /* as the start found it; site time */
	bool news; /* was committed since the last tick */
	uint64_t proved; /* batch of the newest evidence against it */
	struct tenant_audit audit;
	struct tenant_pruning pruning;
	struct tenant_metering metering;
	struct tenant_revoking revoking;
	struct tenant_updating updating;
	struct tenant_maintaining maintaining;
	struct tenant_invoicing invoicing;
	int64_t hub_looked; /* boottime: for contracts that renew; ms */
};

/** What is remembered of a device while the process lives. */
struct device_memory {
	uint64_t sequence; /* of its last proof */
	int64_t login_from; /* boottime: ahead of now by the logins it made */
	int64_t seen_at; /* site time; of the end of its last session */
};

struct front {
	struct process *process;
	struct front *next;
	uint64_t serial; /* never used again, so a late answer hits nothing */
	int index;
	struct ipc *ipc;
	struct table sessions; /* conn -> session */
	bool paused;
	bool told; /* these two: */
	uint16_t state;
	struct health health;
	bool odd_told; /* that it sends what no front would */
};

/** Is the store the newest? The guard runs on a thread of its own, for a TPM
 * takes its time; what it found is told to the loop. */
struct own_guard {
	struct witness *witness;
	struct guard guard; /* of no tenant; each piece of work has its own,
			       made by tick_guard */
	struct worker *worker;
	struct guard_report report; /* the loop's; while nothing runs there */
	bool frozen; /* rolled back: nothing is granted or journaled */
	bool acknowledging;
	size_t n_proving; /* looks at what somebody showed, under way */
	bool ticking;
	bool wanted; /* a tick, as soon as may be */
	bool ticked; /* once at least since the start */
	bool finally; /* the tick before the stop was tried */
	bool failing; /* the last one that was tried came to nothing */
	size_t rows_left; /* tenants whose row is on its way */
	int err; /* of the tick, or acknowledgement, on its way */
	int64_t began; /* boottime: of the last tick, tried or done */
	int64_t ticked_at; /* site time */
	struct call *first, *last; /* wait for the tick on its way */
};

/** Counters of what leaves no row. */
struct process_counts {
	uint64_t requests;
	uint64_t unauthenticated;
	uint64_t rate_limited;
	uint64_t refused; /* other refusals */
	uint64_t by_code[64]; /* both, from ERR_UNAUTHENTICATED downwards */
	uint64_t rolled_back; /* clients that saw a newer journal */
	int64_t rolled_back_told;
	uint64_t read_ns, write_ns; /* records in and out */
};

struct process {
	const struct ledger_process_options *options;
	const struct supervisor_child *child;
	struct event_base *base;
	struct event *signals[PROCESS_SIGNALS];
	struct event *control; /* new fronts arrive here */
	struct event *tick; /* once a second */
	struct event *turn; /* activated when pools of a queue are due */
	struct site_file site;
	uint8_t *secret; /* of the site, guarded */
	struct site_keys site_keys; /* that one, and those it followed */
	struct succession succession; /* how; in the arena */
	struct arena succession_arena;
	struct identity *identity; /* in the box's TPM; NULL: it has none */
	uint8_t ca_sha256[32];
	struct system_store *system; /* any thread */
	struct table streams; /* of events: see events.h */
	uint64_t next_stream;
	struct table documents; /* on their way: documents.h */
	struct table going; /* deliveries with the courier: deliver.h */
	uint64_t next_going;
	struct table reporting; /* reports with the courier: online.h */
	uint64_t next_reporting;
	struct table again; /* calls with an Idempotency-Key under way */
	struct tenants known; /* all that there are */
	struct tenant **tenants; /* those that are open, or about to be */
	size_t n_tenants;
	struct tenant_entry *wanted; /* that the request at hand waits for */
	size_t parked_bytes; /* of requests that wait for a tenant */
	bool tenant_changing; /* what one is, in the system store */
	size_t n_moving; /* tenants that are being opened or closed */
	struct worker *opener; /* opens and closes them */
	struct worker *auditor; /* audit_asked.h */
	bool putting_back; /* one, on a thread: tenant_restore.h */
	struct usage_saving *usage_saving; /* on its way to the store */
	int64_t usage_saved; /* boottime */
	int32_t usage_day; /* as the last tick saw it */
	struct front *fronts;
	uint64_t next_serial;
	size_t n_sessions;
	struct shared_clock clock; /* any thread, by its functions */
	struct system_clock clock_saved;
	bool clock_saving; /* its offset is being kept */
	bool clock_untold; /* held at start: to be journaled once ready */
	bool clock_turning; /* an admin confirms or corrects it */
	struct own_guard guard;
	struct outbox *outbox; /* any thread, by its functions */
	struct writer *writers[PROCESS_WRITERS];
	size_t n_writers;
	struct worker *reader; /* queries */
	struct worker *checker; /* proofs */
	uint64_t next_checking;
	struct enrolling *first_enrolling, *last_enrolling; /* oldest first */
	size_t n_enrolling;
	struct worker *helper; /* hashes, the system store */
	struct worker *vault; /* copies of whole stores: seconds at a time */
	struct spools spools; /* what they made */
	struct entropy *entropy;
	struct auth auth;
	struct people *people;
	struct box_page *box_page; /* NULL: this is no appliance */
	struct process_counts counts;
	enum process_phase phase;
	bool probing; /* whether a fault of some tenant is over */
	size_t next_probe; /* its place */
	size_t n_calls; /* under way, the process's own included */
	size_t call_bytes; /* of their requests */
	struct by_key *hanging; /* checkouts by key that wait: by_key.h */
	struct call *kept; /* calls that are over, the last one first */
	size_t n_kept;
	int status; /* to exit with */
	struct arena arena; /* of the request at hand */
	struct buf out; /* of the answer at hand */
};

/** Site time, ms. Any thread. */
int64_t process_now(struct process *process);
/** One that is open now, or NULL; what is asked of a tenant opens it:
 * tenant_use.h. */
struct tenant *process_tenant(const struct process *process, const char *name);
/** Open its store, read its leases; `time`: from where its journal goes on.
 * Errors are logged. */
int tenant_open(struct tenant **tenant, struct process *process,
    const char *name, int64_t *time);
/** Its writer has ended. Takes NULL. */
void tenant_close(struct tenant *tenant);
/** Of the last commit; 0: it went well. Fronts are told of a change. */
void tenant_set_fault(struct tenant *tenant, int fault);
/** Nobody may come who writes: whether faults are over is tried by the process
 * itself, of one tenant at a time, once a second; when one is over, of the others
 * at once. */
void tenant_watch_faults(struct process *process);
void tenant_log_timing(const struct tenant *tenant);
/** Drained and nothing under way: stop for good. */
void process_settle(struct process *process);
/** Nothing can go on: end, to be started again. */
void process_fail(struct process *process);

/* --- a request as it came in --------------------------------------------- */

/** Borrowed by a handler until it returns. */
struct request {
	struct process *process;
	struct tenant *tenant;
	struct front *front;
	struct session *session; /* NULL on HTTP */
	const struct ipc_message *message; /* as it came */
	const struct wire_caller *caller; /* NULL but on HTTP */
	const struct operation *op;
	uint64_t conn, tag;
	const uint8_t *payload; /* the request record */
	size_t len;
	struct principal who;
	scope_set scopes; /* of the credential */
	uint64_t login; /* session of the user who asks; 0: none */
	struct idempotency again; /* its Idempotency-Key */
	bool repeated; /* it was done before, and then the journal said so */
};

/** Read the request's record into the process's arena; refuses it otherwise
 * and returns NULL. */
void *request_read(const struct request *request);
void request_reply(const struct request *request, const void *reply);
/** The reply's record in MessagePack. */
void request_reply_bytes(const struct request *request,
    const struct record_span *reply);
/** problem NULL: the words of `err`. */
void request_refuse(const struct request *request, int err,
    const struct problem *problem);

/* again.c */

/** A command with an Idempotency-Key: true when it was answered, for it was
 * done before, is being done, or the key was used for something else. */
bool again_answered(struct request *request);
/** The call that does it; ERR_NOMEM. */
int again_begin(struct call *call, const struct request *request);
void again_end(struct call *call);
/** Before the answer of what succeeded and is REPEAT_SAME: keep it. True: not
 * now, the call goes on to do that, and is answered then. */
bool again_keep(struct call *call);
/** Before the answer: what is left of the caller's rates. */
void request_tell_limits(const struct request *request,
    const struct wire_limits *limits);

/* --- a call: a request that is answered later ---------------------------- */

struct call {
	struct write write; /* first; its work serves readers too */
	struct process *process;
	struct tenant *tenant;
	const struct operation *op; /* NULL: the process's own */
	uint64_t front; /* serial; 0: nobody waits */
	uint64_t conn, tag;
	struct arena arena; /* request; a query's reply */
	void *request;
	void *reply; /* of a query */
	size_t bytes; /* counted in call_bytes */
	int64_t began; /* monotonic, ns */
	uint64_t lease; /* marked as ending, or 0 */
	uint64_t device; /* whose leases are marked as ending, or 0 */
	uint64_t waiter; /* whose claim it is, or 0 */
	bool behind; /* others wait for what it asks */
	void *own; /* of its handler; in the arena */
	void *wipe; /* a secret in the arena, for as long as the call is */
	size_t wipe_len;
	struct call *next; /* kept, or waits for the same tick */
	struct idempotency again;
	uint64_t again_id; /* among those under way */
	struct record_span kept; /* as it goes out, once it is remembered */
	/** In the loop, before the answer; may be NULL. */
	void (*finish)(struct call *call);
	/** A checkout: what comes in place of command_finish; may be NULL. */
	void (*answer)(struct call *call);
};

/** Calls that are over are kept for the next ones: to get and zero the memory
 * of one takes longer than to read its request. */
#define CALLS_KEPT 1024
#define CALL_ARENA_KEPT ((size_t)4 << 10)
void calls_release(struct process *process);

/** For a request: copies and reads its record; refuses it (too much under way,
 * malformed) and returns NULL. Work for the caller to queue. */
struct call *call_new(const struct request *request);
/** Of the process's own; `request` is copied. NULL when out of memory. */
struct call *call_new_own(struct tenant *tenant, uint32_t op,
    const void *request, size_t size);
/** Answer it, if somebody waits, and free it; write.command.err tells. */
void call_answer(struct call *call);
void call_free(struct call *call);

/** Queue for the tenant's writer, reader or helper; owned by it until
 * `finish`. */
void call_commit(struct call *call);
void call_query(struct call *call, void (*run)(struct work *work));
/** `run` of a call_query(): call->reply from what ledger_query() says, or why
 * not in write.command. */
void query_run(struct work *work);
void call_help(struct call *call, void (*run)(struct work *work));
/** On the thread that opens and closes tenants. */
void call_open(struct call *call, void (*run)(struct work *work));
/** On the thread of the audit projections. */
void call_audit(struct call *call, void (*run)(struct work *work));
/** On the thread for copies of whole stores. */
void call_vault(struct call *call, void (*run)(struct work *work));
/** On the thread for passwords: see person_hash() in people.h. */
void call_hash(struct call *call, void (*run)(struct work *work));
/** On the thread that checks proofs. */
void call_check(struct call *call, void (*run)(struct work *work));
/** On the guard's thread. */
void call_guard(struct call *call, void (*run)(struct work *work));

/* --- handlers; each answers or queues its request ------------------------ */

void session_hello(const struct request *request);
void session_prove(const struct request *request);
/** In joining.c. */
void session_enroll(const struct request *request);
void session_activate(const struct request *request);
void join_create_asked(const struct request *request);
/** Forget challenges that nobody answered in time. */
void enrolling_expire(struct process *process);
void lease_renew(const struct request *request);
void lease_attach(const struct request *request);
void lease_mine(const struct request *request);
void command_plain(const struct request *request);
/** Of a command: notes a denial, counts, answers. */
void command_finish(struct call *call);
void command_end_lease(const struct request *request);
/** Commit the return of a lease by its holder, and answer. */
void command_return(struct call *call, uint64_t lease);
void command_revoke(const struct request *request);
/** Commit a call that revokes this device; its leases are told, or held. */
void command_revoke_device(struct call *call, uint64_t device);
void query_plain(const struct request *request);
void site_request(const struct request *request);
void site_health(const struct request *request);
/** Why nothing is granted; NULL: it is. */
const char *site_trouble(const struct process *process);
void clock_confirm_asked(const struct request *request);
void clock_correct_asked(const struct request *request);
void checkpoint_asked(const struct request *request);
void rollback_acknowledge(const struct request *request);
/** In tenant_admin.c and tenant_views.c. */
void tenant_create_asked(const struct request *request);
void tenant_list_asked(const struct request *request);
void tenant_show_asked(const struct request *request);
void tenant_change_asked(const struct request *request);
void tenant_usage_asked(const struct request *request);
/** In hub_asked.c. */
void hub_key_make_asked(const struct request *request);
void hub_report_asked(const struct request *request);
void hub_verify_asked(const struct request *request);
/** In hub_notify.c. */
void hub_provision_asked(const struct request *request);
void hub_tick(struct tenant *tenant);
void hub_watch(struct process *process);
/** In erasure.c: seats held are looked for first, on the reader's thread. */
void erasure_asked(const struct request *request);
void person_export_asked(const struct request *request);
/** A license, or whatever else is answered after a tick. */
void command_ticked(const struct request *request);
/** `finish` of such a call, when its command is through. */
void command_finish_ticked(struct call *call);

/** The lease, if this device holds it and nothing that ends it is on its way.
 */
struct live_lease *lease_held_by(const struct request *request,
    uint64_t number);
/** A beat over leaves of 32 bytes each. Errors are for the caller to log. */
int lease_sign_beat(struct buf *token, const struct request *request,
    const uint8_t *leaves, uint32_t count);
/** One more that is refused; there is room. */
void lease_refuse(struct record_list *refused, uint64_t lease, int err);
/** In lending.c: borrow.challenge; what carries a proof; borrow.list of a
 * device. */
void lending_challenge(const struct request *request);
void lending_asked(const struct request *request);
void lending_tickets(const struct request *request);

/** In policy_admin.c. */
void policy_put_asked(const struct request *request);
void policy_check_asked(const struct request *request);
void policy_revoke_asked(const struct request *request);
/** Once a second: leases whose grace is over end. */
void policy_tick(struct tenant *tenant);
/** In command.c: take a lease from who holds it, who is told why. */
/** Take it back because nobody works with it, if the policy says so of it.
 * False: it goes on. */
bool command_take_idle(struct tenant *tenant, struct live_lease *lease,
    int64_t boottime);
void command_take_lease(struct tenant *tenant, uint64_t lease,
    const struct principal *who, int err);

/* --- fronts and sessions ------------------------------------------------- */

int front_add(struct process *process, int fd, int index);
struct front *front_by_serial(const struct process *process, uint64_t serial);
void front_free(struct front *front);
/** Tell every front the phase (WIRE_STATE). */
void front_tell_state(struct process *process);
/** Listen again to those that took their answers. */
void front_resume(struct process *process);
void front_send(struct front *front, const struct ipc_message *message);
/** Have it close a WebSocket; its session is freed by who calls. */
void front_close(struct front *front, uint64_t conn, uint16_t code,
    const char *reason);

struct session *session_new(struct front *front, uint64_t conn,
    const struct wire_peer *peer);
void session_free(struct session *session);
/** Close every session of that tenant, bound to it or about to be. */
void session_close_all(struct process *process,
    const struct tenant_entry *entry, const char *reason);
/** The same, and they are to come again. */
void session_restart_all(struct process *process,
    const struct tenant_entry *entry, const char *reason);
bool session_is_proved(const struct session *session);
/** It proved a device that no admin has let in yet. */
bool session_is_pending(const struct session *session);
void session_fill_who(struct principal *who, const struct session *session);
/** Its tenant, which stays open while the session lasts. Returns what
 * tenant_use does. */
int session_bind(struct tenant **tenant, struct session *session);
/** What its device's counter was when it was proved; 0: nobody knows. */
uint64_t session_counter(const struct session *session);
/** Something came in on it. */
void session_heard(struct session *session);
/** Will a notice to the device's live session most likely arrive? */
bool session_is_reachable(const struct tenant *tenant, uint64_t device);
/** Count a call under way in or out; false: too many. */
bool session_begin_call(struct session *session);
void session_end_call(struct session *session);
/** Tell a device's live session, if there is one; `notice` is the record of
 * the operation. */
void session_notify(const struct tenant *tenant, uint64_t device,
    enum operation_id op, const void *notice);
/** Likewise every device that was let in. */
void session_notify_all(const struct tenant *tenant, enum operation_id op,
    const void *notice);
/** Tell a device's live session, if there is one, that a lease was taken. */
void session_tell_revoked(struct tenant *tenant, uint64_t device,
    uint64_t lease, const char *code);
/** Its device was approved: a live session that waits for it goes on as a full
 * one, and is told. */
void session_approve(struct tenant *tenant, uint64_t device);
/** Close a device's live session, if there is one, with words for people. */
void session_close_device(struct tenant *tenant, uint64_t device, uint16_t code,
    const char *format, ...) __attribute__((format(printf, 4, 5)));
/** Its device was revoked: the words are the admin's. */
void session_close_revoked(struct tenant *tenant, uint64_t device);
/** What a session knows of its device; nothing when there is none. */
void session_fill_device(struct device_view *out, const struct tenant *tenant);

/** A WIRE_REQUEST or WIRE_CALL: scope first, by the table of operations. */
void dispatch_request(struct front *front, const struct ipc_message *message);
void dispatch_call(struct front *front, const struct ipc_message *message);

/* --- the process's own commands ------------------------------------------ */

/** Read leases and ends of contracts into memory, every deadline from now. */
int own_load_leases(struct tenant *tenant);
void own_start(struct tenant *tenant);
/** Tell everybody, once all that were opened at the start have it journaled. */
void own_ready(struct process *process);
void own_expire_due(struct tenant *tenant);
/** Those of minutes that are over; all with `now`. */
void own_flush_denials(struct tenant *tenant, bool now);
void own_checkpoint(struct tenant *tenant);
void own_step_clock(struct process *process);
/** A jump is held since the start: alert and row. */
void own_tell_held(struct process *process);
/* site_tpm.c */

bool site_tpm_is_set(const struct process *process);
/** Groups that the ledger's user needs to open it: 0 or 1. */
size_t site_tpm_group(gid_t *group, const struct process *process);
/** enum sandbox_profile: a TPM behind a socket needs one. */
int site_tpm_profile(const struct process *process);
/** Nothing where none is set. Errors are logged, with what to do. */
int site_tpm_open(struct process *process);
/** Site time, as far as the TPM's clock has counted it since the last tick; 0:
 * nobody knows. */
int64_t site_tpm_time(struct process *process);
/** The site key, sealed to it or not. Errors are logged. */
int site_tpm_read_key(struct process *process);

/* tick.c */

/** A guard of all tenants that are open; its parts are the caller's to free.
 * ERR_NOMEM. */
int tick_guard(struct guard *guard, const struct process *process);
/** Open the witness and look, before anything else is done. Errors are logged:
 * then nothing may start. */
int tick_open(struct process *process);
/** Once the threads run. */
int tick_start(struct process *process);
void tick_close(struct process *process);
/** Once a second. */
void tick_watch(struct process *process);
/** The row of the next one. */
struct row_tick tick_next(const struct process *process);
/** Journal what is there, and count. Nothing while one is on its way. */
void tick_begin(struct process *process);
/**
 * A reply after which the site must not be put back unseen: it goes out once a
 * tick has covered what was committed. At most one tick in 30 s: where the last
 * one is not so long ago it goes out at once, and the next tick comes as soon
 * as it may. The call is held meanwhile; then its `finish` is called.
 *
 * While the counter does not go on (its TPM is away, its disk full) nothing of
 * that kind is answered with yes: ERR_UNAVAILABLE, though it was journaled; who
 * asks again gets the same answer late.
 */
void tick_before(struct call *call);
/** Before the stop: is one still to be done, or on its way? */
bool tick_is_due_at_stop(struct process *process);

/* rollback.c */

/** Stop granting: logged, told to everybody. */
void rollback_freeze(struct process *process, const char *words);
/**
 * A session shows a place in the tenant's journal, signed by this site. When
 * that proves that the store was put back, granting stops here and now.
 */
void rollback_look(struct tenant *tenant, const struct row_mark *mark,
    const char *address, uint64_t device);
void rollback_fill_site(struct site_view *site, struct process *process);

/** Journal what the clock found, in every tenant. */
void own_clock_row(struct process *process, const struct row_clock *row,
    const struct tenant *except, uint64_t turn);
/** The writer's callback: what a batch changed. */
void own_batch(void *ctx, const struct write_outcome *outcome);

#endif
