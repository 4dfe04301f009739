/*
 * What the files of the library share: a client, its one connection, its
 * seats. Not for applications, whose whole view is leasehold.h.
 *
 * Threads. `client->lock` guards everything in the client and its seats but
 * what is atomic or says otherwise; it is never held while waiting for the
 * agent nor while calling the application. Renewals move forward in
 * pass_run(), which one thread at a time runs (`driving`): the client's own,
 * or lh_beat() with manual beats. lh_seat_valid() reads three words and a
 * clock.
 *
 * Forks. Each client has a page that the kernel empties in a child
 * (MADV_WIPEONFORK), so a child finds its seats invalid and its client
 * unusable without anybody having to register anything; where the kernel cannot
 * do it, the process id is compared.
 */
#ifndef AGENT_LIB_CLIENT_H
#define AGENT_LIB_CLIENT_H

#include "agent/lib/known.h"
#include "agent/lib/leasehold.h"
#include "agent/lib/local.h"
#include "agent/lib/turn.h"
#include "agent/lib/verify.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>

/** Knocking at the agent's socket, and its answers that need no site; ms. */
#define CLIENT_LOCAL_MS 5000
/** The agent asks the site; beyond that and the wait it is a timeout. */
#define CLIENT_SITE_MS 20000
/** lh_return() waits this long to hear that the seat is back, lh_client_free()
 * that all are. */
#define CLIENT_RETURN_MS 2000
/** An agent that hung up in the midst of a checkout is being restarted, and
 * may be back within this; how often to look. In the midst of a wait there is
 * more to lose: the site keeps the place for so long. */
#define CLIENT_RESTART_MS 2000
#define CLIENT_RESTART_POLL_MS 50
#define CLIENT_AWAY_MS 60000
/** While it waits, the application is asked this often whether to go on. */
#define CLIENT_WAITING_MS 1000
/** The agent and the site say when a wait is over; without their word it is
 * over so much later. */
#define CLIENT_OVER_MS 3000
/** Between attempts to reach the agent: at first and at most. */
#define CLIENT_RETRY_FIRST_MS 100
#define CLIENT_RETRY_MAX_MS 5000
/** Checkouts of unknown outcome remembered for a retry; further ones push out
 * the oldest. */
#define CLIENT_ATTEMPTS_MAX 32
/** Returns to tell the agent later; further ones end by their deadline. */
#define CLIENT_RETURNS_MAX 64

/** A connection lives as long as somebody uses it. */
struct connection {
	struct local *local;
	unsigned int refs;
	uint64_t number; /* from 1; seats remember on which they are attached */
};

/** One lh_checkout_with(), for the notices of its turn: on the stack of its
 * thread, and in the client's list as long as that lasts. */
struct waiting {
	struct waiting *next;
	struct turn turn; /* with the client's lock, but its news */
};

/** A checkout whose outcome is unknown: the retry must be the same request,
 * and its answer is judged by what was known when it was first sent. */
struct attempt {
	struct attempt *next;
	/** The last answer was a place in the queue: nothing was granted, and
	 * the next question is under the same id with a fresh nonce. */
	bool queued;
	struct local_checkout request;
	char site[64];
	char tenant[64];
	struct journal_known floor;
	int64_t sent_ms; /* CLOCK_BOOTTIME, when this nonce first was */
};

/** A borrow.take whose outcome is unknown: the retry is the same request. */
struct borrow_attempt {
	struct borrow_attempt *next;
	struct local_borrow_take request;
};

/** Of a seat that a policy's idle took back. */
#define CLIENT_IDLE_WORDS                                                      \
	"the lease was taken back: nobody worked with it for longer than the " \
	"site's policy lets a seat lie idle; take another when it is needed"

struct lh_seat {
	struct lh_client *client;
	struct lh_seat *next;
	unsigned int refs; /* the application's, and one while driven */
	/* Never changes. */
	const _Atomic uint32_t *mark; /* 0 in a child of fork */
	struct verify_lease lease;
	bool borrowed;
	struct verify_question *question; /* NULL: it is not borrowed */
	/* Changed by the one who drives, where it is borrowed. */
	struct verify_borrow borrow;
	struct buf row; /* to attach it again */
	struct buf path;
	struct buf header;
	uint64_t row_number;
	/* Read without the lock. CLOCK_BOOTTIME in ms; 0: lost. */
	_Atomic int64_t deadline_ms;
	_Atomic int64_t span_ms; /* from asking on, as was last signed or
				    proved */
	_Atomic int64_t active_ms; /* when it was worked with; 0: not told */
	_Atomic int64_t until_ms; /* wall clock: the borrow ends; 0: none */
	/* With the lock. */
	int64_t next_ms; /* when to renew */
	uint64_t attached; /* number of the connection that speaks for it */
	unsigned int failures; /* in a row */
	int last_error; /* why it was not renewed */
	char why[VERIFY_WHY];
	bool fresh; /* not yet the application's: it cannot lose it */
	bool ended; /* the agent says that the lease is over */
	bool lost; /* the application has been told */
	bool returned; /* lh_return() was called */
	bool calling; /* `lost` runs for it, in the thread `caller` */
	pthread_t caller;
	uint64_t beat; /* the lh_beat() that waits for it; 0: none */
	uint64_t beat_done; /* the last one that was answered, and how */
	int beat_error;
	/* The question on its way, of the one who drives. */
	struct connection *asked; /* NULL: none */
	struct local_waiter waiter;
	uint8_t nonce[NONCE_BYTES];
	int64_t active_asked_ms; /* active_ms when it was sent */
	int64_t active_heard_ms; /* and when the last one that was answered was
				  */
	int64_t sent_ms;
	struct journal_known floor; /* when it was sent */
};

struct lh_client {
	/* Never changes. */
	uint8_t root[32];
	char *socket_path;
	bool manual;
	void (*lost)(void *ctx, struct lh_seat *seat, int error);
	void *ctx;
	struct known *known;
	_Atomic uint32_t *mark; /* 1; 0 in a child of fork */
	bool wiped_on_fork;
	pid_t pid;
	int wake_fd; /* eventfd: something changed for the one who drives */
	/* With the lock. */
	pthread_mutex_t lock;
	pthread_cond_t changed; /* CLOCK_MONOTONIC */
	bool has_thread;
	pthread_t thread;
	bool closing;
	bool driving;
	bool connecting;
	bool beating; /* a manual lh_beat() runs */
	struct connection *connection;
	uint64_t connections;
	int64_t retry_ms; /* when to try again to connect */
	int retry_wait_ms;
	struct lh_seat *seats;
	struct attempt *attempts;
	struct borrow_attempt *borrow_attempts;
	struct waiting *waitings;
	struct local_return returns[CLIENT_RETURNS_MAX];
	unsigned int n_returns;
	uint64_t beats;
};

/* --- error.c ---------------------------------------------------------------
 */

/** LH_E_* of an ERR_*. */
int error_from_err(int err);
/** Set this thread's lh_detail(); returns `error`. */
int detail_set(int error, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/** The same from what the agent told. */
int detail_problem(int error, const struct problem *problem);

/* --- client.c --------------------------------------------------------------
 */

/** Not the process that made the client? Sets the detail. */
bool client_is_foreign(const struct lh_client *client);
void client_wake(struct lh_client *client);
/** The connection, made within timeout_ms if there is none or it has ended; to
 * be released. ERR_*, with words in `problem`; ERR_CLOSED: nobody is there.
 * Without the lock. */
int client_connect(struct connection **connection, struct lh_client *client,
    int timeout_ms, struct problem *problem);
/** A call of it begins: no words of an earlier one. LH_E_ARGUMENT: none, or in
 * a child. */
int client_begin(const struct lh_client *client);
/** Ask the agent and wait. ERR_*, with words in `problem`. */
int client_ask(void *reply, struct lh_client *client, enum local_id op,
    const void *request, struct arena *arena, int timeout_ms,
    struct problem *problem);
/** The connection if there is a good one, else NULL. With the lock. */
struct connection *client_connection(struct lh_client *client);
void client_release(struct lh_client *client, struct connection *connection);
/** The same with the lock. */
void client_release_locked(struct connection *connection);
/** Wait on `changed` until the deadline (stream_deadline). With the lock. */
int client_wait(struct lh_client *client, int64_t deadline);

/* --- attempt.c -------------------------------------------------------------
 */

#define ATTEMPT_REPLY_BYTES ((size_t)256 << 10)

/** The attempt that asked the same and never heard, or a new one; NULL: no
 * memory. */
struct attempt *attempt_take(struct lh_client *client,
    const struct local_checkout *question);
/** Its outcome is unknown: keep it for a retry. */
void attempt_keep(struct lh_client *client, struct attempt *attempt);
/** Ask, wait for the turn as long as `request` says, and ask again, until there
 * is an answer: LH_OK, a grant that nobody has looked at yet, in `arena`, and
 * the connection it came by, to be released. Else LH_E_* with its detail, and
 * whether the site may have granted it all the same. */
int attempt_get(struct connection **connection,
    struct local_checkout_reply *reply, struct attempt *attempt,
    struct lh_client *client, const struct lh_request *request,
    struct arena *arena, bool *unknown);

/* --- checkout.c ------------------------------------------------------------
 */

/** Copy a text that the application gave, within its bounds; LH_E_ARGUMENT. */
int question_text(char *out, size_t size, const char *name, const char *text,
    bool required);
/** Up to four numbers? LH_E_ARGUMENT. */
int question_version(const char *version);
/** Requests grow at their end: an older application's are shorter (but not
 * than the first that there was), a newer one's longer, and then what we do not
 * know must not have been asked for. LH_E_ARGUMENT. */
int question_copy(void *out, size_t size, const void *request, uint32_t given,
    size_t first);

/* --- seat.c ----------------------------------------------------------------
 */

/** A verified lease becomes a seat in the client's list. `borrow` and
 * `question` are those of a ticket, else NULL. */
int seat_new(struct lh_seat **seat, struct lh_client *client,
    const struct verify_lease *lease, const struct verify_borrow *borrow,
    const struct verify_question *question,
    const struct local_checkout_reply *reply, uint64_t connection,
    int64_t sent_ms);
/** Take over a verified ticket of the same borrow. Without the lock; LH_OK or
 * LH_E_MEMORY. */
int seat_renew_ticket(struct lh_seat *seat, struct lh_client *client,
    const struct verify_borrow *borrow,
    const struct local_checkout_reply *reply);
/** With the lock. */
void seat_unref(struct lh_seat *seat);
/** ms between beats: three chances within a span. */
int64_t seat_interval_ms(const struct lh_seat *seat);
/** ms from sending a nonce to the end of what its answer signs or proves. */
int64_t seat_span_ms(const struct lh_seat *seat);
/** Give back what an answer named and nobody will use, unless a seat of ours is
 * that lease. Of a borrow the seats with `count` that this process took last. */
void seat_give_back(struct lh_client *client,
    const struct local_checkout_reply *reply, uint32_t count);
/** Give back every seat of a client that nobody drives any more, and wait
 * CLIENT_RETURN_MS for all of them together. */
void seat_return_all(struct lh_client *client);
/** Tell what could not be told before, without waiting for answers. */
void seat_tell_returns(struct lh_client *client, struct connection *connection);

/* --- renew.c ---------------------------------------------------------------
 */

/** Take in a seat's answer, if it is there. Without the lock. */
void renew_collect(struct lh_client *client, struct lh_seat *seat);
/** Ask for a seat what it needs now: to be attached, or renewed. */
void renew_ask(struct lh_client *client, struct lh_seat *seat,
    struct connection *connection);
/** It could not be asked, or was refused: try again later. With the lock. */
void renew_failed(struct lh_seat *seat, int error, const char *why);
/** The lease is over, as the agent says or the device proves. With the lock. */
void renew_ended(struct lh_seat *seat, int error, const char *why);
/** When a question is given up; ms after it was sent. */
int64_t renew_patience_ms(const struct lh_seat *seat);

/* --- pass.c ----------------------------------------------------------------
 */

/** Do for all seats what is to be done now: take answers, tell losses, ask.
 * Never waits for an answer. Returns when there is more to do, ms of
 * CLOCK_BOOTTIME; -1: when something happens. */
int64_t pass_run(struct lh_client *client);
/** Neither lost nor returned. With the lock. */
bool pass_is_held(const struct lh_seat *seat);

/* --- beat.c ----------------------------------------------------------------
 */

/** Start the client's thread if it wants one and has none. */
int beat_start(struct lh_client *client);
/** End it. */
void beat_stop(struct lh_client *client);
/** Renew one seat (NULL: all) now; LH_OK, the first error or LH_E_TIMEOUT. */
int beat_now(struct lh_client *client, const struct lh_seat *seat,
    int timeout_ms);

#endif
