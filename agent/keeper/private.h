/*
 * What the parts of the keeper share: one struct, one loop, one thread. Each
 * part owns its struct in here and is spoken to by its functions.
 *
 *   applications.c  connections of the local socket, and their lines
 *   users.c         who connects, and limits per user
 *   local.c         its operations but checkout
 *   checkout.c      from the question to the site's answer
 *   grant.c         from there to the lease
 *   queue.c         or to a place in the site's queue, and its turn
 *   leases.c        who holds what; how leases end
 *   resume.c        leases of before: this keeper, or this session
 *   renewal.c       rounds of nonces, beats
 *   session.c       the session with the site
 *   attempt.c       connecting to it, again and again
 *   journal.c       what was seen of its journal
 *   key.c           the device's key; proofs.c is what works with it
 *   enroll.c        becoming a device, from enroll_begin.c on
 *   show.c          what people are shown of all this
 *   borrow.h        seats that are borrowed, and the way back
 *   tickets.c       who gets to use them
 *   ticket_uses.c   who does
 *   ticket_proofs.c what the device proves to them
 *
 * Only this folder may include it.
 */
#ifndef AGENT_KEEPER_PRIVATE_H
#define AGENT_KEEPER_PRIVATE_H

#include "agent/keeper/borrow.h"
#include "agent/keeper/calls.h"
#include "agent/keeper/digest.h"
#include "agent/keeper/files.h"
#include "agent/keeper/keeper.h"
#include "agent/keeper/process.h"
#include "agent/keeper/proofs.h"
#include "shared/rpc/local.h"
#include "shared/rpc/rpc.h"

#include <sys/queue.h>

struct event;
struct evconnlistener;
struct bufferevent;

#define SOFTWARE "leasehold-agent " LEASEHOLD_VERSION

/* Of one user. */
#define USER_CONNECTIONS_MAX 64
#define USER_LEASES_MAX 1024
#define USER_CALLS_MAX 256
/* Of everybody. */
#define CONNECTIONS_MAX 4096

/* --- applications.c --------------------------------------------------------
 */

struct user {
	LIST_ENTRY(user) entry;
	uid_t uid;
	char name[64]; /* login name, or "uid-1000" */
	unsigned int refs; /* connections, leases, checkouts */
	unsigned int connections;
	unsigned int leases; /* and checkouts on their way */
	unsigned int calls;
};

/* One connection of the local socket. */
struct application {
	LIST_ENTRY(application) entry;
	struct keeper *keeper;
	uint64_t number; /* never used again: a late answer hits nobody */
	struct bufferevent *bev;
	struct user *user;
	struct process *process; /* the one that connected */
	bool privileged; /* may enroll */
	bool closing; /* after the last answer left */
	unsigned int calls; /* not answered yet */
};

/* Who waits for an answer: a connection by number, and the question's id. */
struct asker {
	uint64_t application;
	uint64_t id;
};

#define APPLICATION_BUCKETS 256
LIST_HEAD(application_list, application);
struct applications {
	struct evconnlistener *listener;
	struct event *accept_again; /* after a pause, out of descriptors */
	struct application_list buckets[APPLICATION_BUCKETS];
	LIST_HEAD(, user) users;
	uint64_t next_number;
	unsigned int count;
};

int applications_open(struct keeper *keeper, int listen_fd);
void applications_close(struct keeper *keeper);
/** NULL: it has hung up. */
struct application *application_find(struct keeper *keeper, uint64_t number);
/** One answer to each question; nothing happens when the asker is gone.
 * ERR_TOO_LARGE: the answer does not fit a line, and that was the answer. */
int application_answer(struct keeper *keeper, const struct asker *asker,
    const struct record *record, const void *reply);
void application_refuse(struct keeper *keeper, const struct asker *asker,
    int err, const struct problem *problem);
void application_notify(struct keeper *keeper, uint64_t number,
    enum local_id id, const struct record *record, const void *notice);
/** In local.c: act on a question. Answers now or later. */
void local_dispatch(struct application *application, uint64_t id,
    const struct local_operation *op, const void *request);

/** In users.c. NULL: no memory. */
struct user *user_ref(struct keeper *keeper, uid_t uid);
void user_unref(struct user *user);
/** Who is at the other end: fills in user, process and rights. Errors leave
 * what was taken to be released. */
int application_identify(struct application *application, int fd);

/* --- leases.c --------------------------------------------------------------
 */

/* Several leases given back by one question. */
struct giving_back {
	struct asker asker;
	struct local_returned reply;
	unsigned int left;
};

struct lease {
	LIST_ENTRY(lease) entry; /* of its bucket */
	TAILQ_ENTRY(lease) order; /* of all, oldest first */
	struct keeper *keeper;
	uint64_t lease;
	uint64_t row_number;
	uint8_t *row;
	uint32_t row_len;
	struct process *process; /* NULL: ended with it */
	struct user *user;
	uint64_t application; /* connection that speaks for it; 0: none */
	bool hold;
	char product[64];
	char version[32];
	char feature[64];
	uint32_t count;
	uint32_t type;
	uint32_t ttl_s;
	uint32_t grace_s;
	int64_t granted_at;
	int64_t valid_until_ms; /* CLOCK_BOOTTIME: end of the signed span */
	uint32_t generation; /* of the journal that it was granted in */
	uint8_t request[REQUEST_BYTES]; /* of its checkout */
	bool attached; /* this session's site knows that we hold it */
	/** 0, or why the site does not take it up, although it did grant it:
	 * it is held to the end of its signed span, and may be taken up yet. */
	int kept;
	bool asked; /* in this session, whether the site takes it up */

	/* renewal.c */
	bool wanted; /* wants to be in the next round, with `nonce` */
	uint8_t nonce[NONCE_BYTES];
	int64_t nonce_ms; /* when it came here */
	struct asker asker;

	/* its end: the site has not heard of it, or not answered */
	bool ending;
	bool told; /* in this session */
	uint32_t reason;
	struct giving_back *giving_back;
};

#define LEASE_BUCKETS 1024
LIST_HEAD(lease_bucket, lease);
TAILQ_HEAD(lease_list, lease);
struct leases {
	struct lease_bucket buckets[LEASE_BUCKETS];
	struct lease_list all;
	unsigned int held; /* not ending */
	struct event *sweep;
	char boot[40];
	bool reconciled; /* the site's list was compared with ours */
};

int leases_open(struct keeper *keeper);
/** Those of a keeper that was killed, from their files. */
int leases_load(struct keeper *keeper);
void leases_close(struct keeper *keeper);
struct lease *lease_find(struct keeper *keeper, uint64_t lease);
/** A lease of a process, kept in memory and in its file; refs are taken.
 * `file` holds the facts and evidence. */
int lease_add(struct lease **lease, struct keeper *keeper,
    const struct lease_file *file, struct process *process);
/** In memory only. */
int lease_new(struct lease **lease, struct keeper *keeper,
    const struct lease_file *file, struct process *process);
/** Tell the site that it has ended, unless it was told in this session. */
void lease_tell_end(struct lease *lease);
/** Give it back: the site is told now or when it is reached again. */
void lease_end(struct lease *lease, uint32_t reason,
    struct giving_back *giving_back);
/** The site says that it has ended: the application is told. */
void lease_lost(struct lease *lease, const char *code);
/** All of them, with the device. */
void leases_lost(struct keeper *keeper, const char *code);
/** A process ended. */
void leases_process_ended(void *ctx, struct process *process);
/** The session is proved: attach what is held, tell what ended, compare with
 * the site's list; session_resumed() when that is done. */
void leases_resume(struct keeper *keeper);
void leases_disconnected(struct keeper *keeper);
void giving_back_done(struct keeper *keeper, struct giving_back *giving_back);
/** A grant nobody wants any more. `request`: of its checkout; NULL: unknown. */
void leases_return_stray(struct keeper *keeper, uint64_t lease,
    const uint8_t request[REQUEST_BYTES]);
/** In resume.c: ask again for those that the site did not take up. */
void leases_attach_kept(struct keeper *keeper);

/* --- checkout.c ------------------------------------------------------------
 */

TAILQ_HEAD(checkout_list, checkout_way);

void checkout_begin(struct application *application, uint64_t id,
    const struct local_checkout *request);
/** The site is reached: ask what waits. */
void checkouts_resume(struct keeper *keeper);
/** Borrowed seats can be proved now: who waits for the site may have one. */
void checkouts_try_tickets(struct keeper *keeper);
/** The site will not have this device: nobody waits any longer. */
void checkouts_refuse(struct keeper *keeper);
/** It waits for an admin: who did not ask to wait is told. */
void checkouts_pending(struct keeper *keeper);
void checkouts_close(struct keeper *keeper);
/** The connection hung up: nobody waits. */
void checkouts_forget(struct keeper *keeper, uint64_t application);
/** A process ended: nothing is asked for it any more. */
void checkouts_process_ended(struct keeper *keeper, struct process *process);
/** lease.cancel: a question is taken back, whatever became of it. */
void checkout_cancel(struct application *application, const struct asker *asker,
    const struct lease_cancel *request);

/* --- queue.c ---------------------------------------------------------------
 */

/** The site's notices. */
void checkouts_waiting(struct keeper *keeper,
    const struct lease_waiting *waiting);
void checkouts_offered(struct keeper *keeper,
    const struct lease_offered *offered);
/** The site is not reached: nobody knows his place. */
void checkouts_disconnected(struct keeper *keeper);

/* --- renewal.c -------------------------------------------------------------
 */

struct renewal {
	struct event *round; /* leases that the keeper itself renews */
	struct event *soon; /* gathers nonces for a moment */
	struct renewal_round *flying;
	uint32_t renew_s; /* the site's upper bound */
};

int renewal_open(struct keeper *keeper);
void renewal_close(struct keeper *keeper);
void renewal_want(struct lease *lease, const uint8_t nonce[NONCE_BYTES],
    const struct asker *asker);
/** A lease came or a session began: (re)arm the timers. */
void renewal_schedule(struct keeper *keeper);
void renewal_resume(struct keeper *keeper, uint32_t renew_s);
/** The lease is about to be freed. */
void renewal_forget(struct lease *lease);

/* --- key.c -----------------------------------------------------------------
 */

enum key_state {
	KEY_OPENING,
	KEY_OPEN,
	KEY_CLOSED, /* and tried again later */
};

struct key {
	enum key_state state;
	enum proof_class class_; /* PROOF_TPM for any TPM */
	int err; /* of the last try */
	unsigned int failures;
	struct event *again;
};

/** A key file at once, or an error; a TPM when it comes to it. The parts that
 * a session needs are open by then. */
int key_open(struct keeper *keeper);
void key_close(struct keeper *keeper);
bool key_is_open(const struct keeper *keeper);
/** Of proofs made here; the site knows it better (site.class_). */
enum proof_class key_class(const struct keeper *keeper);
/** Why it is not open; "": it is. */
void key_trouble(char out[128], const struct keeper *keeper);
/** As the configuration has it, of a key in this folder. */
void key_options(struct identity_options *options, const struct keeper *keeper,
    const char *folder);
/** It is there: sessions may begin. */
void key_opened(struct keeper *keeper);

/* --- session.c -------------------------------------------------------------
 */

enum session_state {
	SESSION_IDLE, /* not enrolled, or no uplink */
	SESSION_WAITING, /* for the next attempt */
	SESSION_CONNECTING,
	SESSION_HELLO, /* said; waiting for the nonce */
	SESSION_PROVING,
	SESSION_PENDING, /* known, and waits for an admin's approval */
	SESSION_RESUMING, /* leases are being attached */
	SESSION_UP,
};

struct session {
	enum session_state state;
	struct event *timer; /* next attempt */
	struct event *watch; /* calls without an answer; what to write */
	unsigned int failures;
	unsigned int replaced; /* by another with our key, again and again */
	int64_t tried_ms; /* the last attempt began */
	int64_t retry_at_ms;
	int64_t since; /* wall clock: connected or disconnected */
	int64_t up_ms; /* boottime: the last session came up */
	uint8_t exporter[32];
	uint64_t attempt; /* number of this connection */
	int64_t proving_ms; /* boottime: its proof is being made since */
	bool told; /* `trouble` says already why this attempt ended */
	bool stopping; /* the site said that it is about to */
	uint32_t spread_ms; /* over which it wants its agents back */
	bool resumed; /* leases were taken up in this session */
	bool borrows; /* its site speaks of borrows of this device */
	/** 0, or why the site will not have this device, or this agent for it:
	 * nobody waits for it, and it is asked rarely. */
	int refused;
	char trouble[256];
	enum local_cause cause; /* of the trouble */
	char hint[192]; /* what the site says to do about it */
	char rollback[256]; /* "" or what is wrong with the site's journal */
	char fault[256]; /* "" or why the site could not write */
	int64_t fault_at;
	char site_name[128];
	int64_t hello_at; /* wall clock, when it was said */
	int64_t clock_ahead_ms;
	int64_t certificate_end;
	int64_t last_beat; /* wall clock */
	struct journal_seen seen;
	bool seen_dirty;
	/** Said hello without a known header, and with what shows that the
	 * site's journal does not go on from it. */
	bool asked_plain;
};

int session_open(struct keeper *keeper);
void session_close(struct keeper *keeper);
/** In attempt.c: its timer; connect now, whatever is; or after a pause. */
int session_attempts_open(struct keeper *keeper);
void session_connect(struct keeper *keeper);
void session_wait(struct keeper *keeper);
/** Connect now, if there is a site and an uplink. */
void session_start(struct keeper *keeper);
/** No session, no attempts, until session_start. */
void session_stop(struct keeper *keeper);
void session_hang_up(struct keeper *keeper, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/** Somebody wants the site: do not sit out a long pause. */
void session_hurry(struct keeper *keeper);
bool session_is_up(const struct keeper *keeper);
/** Proved, and no more until an admin approves of this device. */
bool session_waits_for_admin(const struct keeper *keeper);
/** From resume.c: all is attached; what is owed of borrows comes next. */
void session_resumed(struct keeper *keeper);
/** From borrow.c, or at once: all is settled. */
void session_ready(struct keeper *keeper);
/** In journal.c: from here on. */
void journal_seen_begin(struct journal_seen *seen,
    const struct journal_header *header, const uint8_t head[32]);
/** A header or beat that the site signed passed by: its batch may not go back.
 */
void session_saw(struct keeper *keeper, uint32_t generation, uint64_t batch,
    const uint8_t head[32], const struct record_span *token);
/** A grant's evidence, checked against the site's key; the header's fields
 * come back. */
int session_check_row(struct journal_header *header, uint8_t head[32],
    struct row *row, struct arena *arena, struct keeper *keeper,
    const struct checkout_reply *reply);
/** The same, and it grants a lease. */
int session_check_grant(struct journal_header *header, uint8_t head[32],
    struct row *row, struct arena *arena, struct keeper *keeper,
    const struct checkout_reply *reply);
/** The keeper's own known header goes on to this one, if it is proved. */
void session_advance(struct keeper *keeper, const struct journal_header *header,
    const uint8_t head[32], const struct record_span *inclusion,
    const struct record_span *consistency);
/** The header of a hello is the site's own: does it go on from what was seen?
 * False: it does not, and it was not told so yet. */
bool session_judge_journal(struct keeper *keeper,
    const struct hello_reply *reply, const struct journal_header *header,
    const uint8_t head[32]);
void session_report_rollback(struct keeper *keeper, uint64_t batch,
    const char *how);
/** To the disk, if it changed. */
void session_write_seen(struct keeper *keeper);
/* --- enroll.c --------------------------------------------------------------
 */

struct enrolling;
/** In enroll_begin.c. */
void enroll_begin(struct application *application, uint64_t id,
    const struct local_enroll *request);
/** The connection is an enrolment's and not a session's. */
bool enroll_is_talking(const struct keeper *keeper);
/** Called by session.c while it is. */
void enroll_opened(struct keeper *keeper, const struct uplink_peer *peer);
void enroll_closed(struct keeper *keeper, const char *reason);
/** The first session after it came about or did not. */
void enroll_session_result(struct keeper *keeper);
void enroll_close(struct keeper *keeper);
/** In enroll_check.c: nothing of the site of before is held. */
int enroll_check_idle(const struct keeper *keeper, struct problem *problem);
/** Another key, or another site: nothing borrowed is left behind that the site
 * of before would take back. */
int enroll_check_borrows(const struct keeper *keeper, struct problem *problem);
int enroll_check(struct keeper *keeper, const struct local_enroll *request,
    struct problem *problem);
/** "https://host[:port]" or "https://[v6]:port"; the port is 7443 if absent. */
int enroll_parse_url(char host[256], uint32_t *port, const char *url);

/* --- tickets.c -------------------------------------------------------------
 */

/* Seats of a borrow in use by a process: so many as it asked for, answered from
 * the book and proved by the device, with no word to the site. */
struct seat_use {
	TAILQ_ENTRY(seat_use) entry;
	struct keeper *keeper;
	uint64_t number; /* never used again in this keeper */
	uint64_t lease;
	uint32_t count;
	struct process *process;
	struct user *user;
	uint64_t application; /* connection that speaks for it; 0: none */
	uint8_t request[REQUEST_BYTES];
	bool hold;
	int64_t taken_at;
	int64_t proved_ms; /* boottime: the last nonce that was answered */
	uint32_t prove_s;
	unsigned int proofs; /* on their way */
	/** Its first proof is being made for this question; NULL after it. */
	struct checkout_way *way;
};
TAILQ_HEAD(seat_uses, seat_use);

struct tickets {
	struct seat_uses uses;
	unsigned int n;
	uint64_t next;
};

/** In ticket_uses.c. */
void tickets_open(struct keeper *keeper);
/** Who used them before this keeper, and lives. */
int tickets_load(struct keeper *keeper);
void tickets_close(struct keeper *keeper);
/** Take the seats of borrows that are over, or silent for too long. */
void tickets_watch(struct keeper *keeper);
/** A question for a seat: is there one in the book for it? Then it is answered
 * from there, or comes back to way_ask(). A borrowed seat is used before the
 * site is asked for another, so that nobody holds two. */
bool tickets_take(struct checkout_way *way);
/** Why not, for people; "" when nothing of the kind is borrowed. */
void tickets_why_not(char *out, size_t size, const struct checkout_way *way);
/** The question was taken back. */
void tickets_leave(struct checkout_way *way);
/** The same question again, after the answer. */
bool tickets_rejoin(struct application *application, const struct asker *asker,
    const struct local_checkout *request);
/* False: no borrowed seat of this asker's. */
bool tickets_renew(struct application *application, const struct asker *asker,
    const struct local_renew *request);
bool tickets_attach(struct application *application, const struct asker *asker,
    const struct local_attach *request);
/** How many went back. lease 0: all of this user's. */
uint32_t tickets_return(struct application *application, uint64_t lease,
    uint32_t count);
void tickets_process_ended(struct keeper *keeper, struct process *process);
/** Some may have come back: who waits without the site may have one. */
void tickets_freed(struct keeper *keeper);

/* In ticket_uses.c. */

/** Seats of a borrow that are in use. */
uint32_t tickets_used(const struct keeper *keeper, uint64_t lease);
/** NULL: no memory, or too many. A reference to the process is taken. */
struct seat_use *use_new(struct keeper *keeper, const struct ticket *ticket,
    uint32_t count, struct process *process, uid_t uid);
/** In memory only. */
void use_free(struct seat_use *use);
void use_drop(struct seat_use *use);
/** The seat is over: its application is told. */
void use_lost(struct seat_use *use, const char *code);
/** The note of them all. */
int uses_write(struct keeper *keeper);
/** In the order of their numbers; NULL: the first, or the last was before. */
const struct seat_use *tickets_next(const struct keeper *keeper,
    const struct seat_use *use);
struct seat_use *tickets_find(const struct keeper *keeper, uint64_t number);

/** In ticket_proofs.c. What a proof is made for. */
enum use_question { USE_CHECKOUT, USE_AGAIN, USE_RENEW, USE_HOLD };
/** A proof over the nonce and the ticket as it is, and the answer with both.
 * Refuses nobody when it returns an error. */
int use_prove(struct seat_use *use, enum use_question question,
    const uint8_t nonce[NONCE_BYTES], const struct asker *asker);

/* --- show.c ----------------------------------------------------------------
 */

/** Why there is no session, for people and their next command. Logged when it
 * is news. */
void session_trouble(struct keeper *keeper, enum local_cause cause,
    const char *words);
/** The site's own refusal is the cause. */
void session_blame(struct keeper *keeper, int err,
    const struct problem *problem);
/** What any question to the site came to: is it able to write? */
void session_note_answer(struct keeper *keeper, enum operation_id op, int err,
    const struct problem *problem);
/** The site named itself and its time. */
void session_met(struct keeper *keeper, const struct hello_reply *said);
/** For people; the counts are left to the caller. */
void session_status(struct local_status *status, const struct keeper *keeper);
void show_status(struct application *application, const struct asker *asker);
void show_leases(struct application *application, const struct asker *asker,
    const struct local_list *request);
void show_questions(struct application *application, const struct asker *asker);
/** In local.c: a uid sees its own leases only; root everybody's. */
bool local_may_see(const struct application *application, uid_t uid);

/* ---------------------------------------------------------------------------
 */

struct keeper {
	struct event_base *base;
	int64_t started_ms;
	struct keeper_options options;
	char host[128];
	struct files files;
	struct key key;
	bool enrolled;
	struct enrolment site;
	char *ca_pem;
	struct processes processes;
	struct digests *digests;
	struct calls *calls;
	struct applications applications;
	struct leases leases;
	struct checkout_list checkouts;
	struct renewal renewal;
	struct session session;
	struct proofs *proofs;
	struct borrows borrows;
	struct tickets tickets;
	struct enrolling *enrolling;
};

#endif
