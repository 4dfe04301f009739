/*
 * libleasehold: hold a seat of a licensed product, and know that you do.
 *
 * The library believes nobody but the vendor whose public key the application
 * brings: not the agent, not the site, not the network. Every answer is checked
 * whole: vendor root -> license -> site key -> batch -> row -> product,
 * version, device, window, nonce; and every header it saw must continue the one
 * before.
 *
 * Threads. A client may be used by several threads at once, a seat too;
 * lh_client_free() and lh_return() are the last calls on what they free. The
 * client starts one thread with all signals blocked when the first seat is
 * taken (none with manual_beats). Strings given are copied, and nothing that is
 * returned is to be freed but clients and seats.
 *
 * Forks. In a child of fork() every seat is invalid and the client answers
 * LH_E_ARGUMENT: a seat is for the process that took it. Make a new client
 * after the fork, daemon() included. In the child lh_client_free() closes the
 * inherited descriptors and frees no memory; lh_return() does nothing.
 *
 * Time. A seat is valid for the license's ttl_s plus its signed grace_s from
 * the moment its last renewal was asked for, by CLOCK_BOOTTIME: setting the
 * wall clock changes nothing, sleeping counts.
 *
 * Borrowed seats. Where this workstation has borrowed seats (lh_borrow_take(),
 * or `leasehold borrow take`), a checkout may get one of them, without the site.
 * Such a seat is verified from the vendor's key as any other is, and in the
 * place of renewals by the site the device that borrowed it proves, over a fresh
 * nonce of this library, that it has it still: a seat is valid for an hour at
 * most from the last such proof, and no longer than what is left of the borrow.
 * After a sleep of the machine that was longer it is valid again as soon as it
 * is proved again, which is tried at once.
 *
 * The library writes to no descriptor of the application, logs nothing, raises
 * no SIGPIPE, installs no signal handler, and its descriptors close on exec.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef LEASEHOLD_H
#define LEASEHOLD_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LH_API __attribute__((visibility("default")))
#define LH_MUST_CHECK __attribute__((warn_unused_result))

#define LH_VERSION_MAJOR 0
#define LH_VERSION_MINOR 1

/** Results. 0 is good; refusals are expected answers; the rest are faults or
 * findings of the verifier. Values are stable. */
enum lh_error {
	LH_OK = 0,
	/* faults */
	LH_E_MEMORY = -1,
	LH_E_ARGUMENT = -2, /* a parameter is out of its bounds */
	LH_E_AGENT = -3, /* no agent answers on the socket */
	LH_E_SITE = -4, /* the agent cannot reach the site */
	LH_E_TIMEOUT = -5, /* outcome unknown; a retry takes no second seat */
	LH_E_PROTOCOL = -6, /* the agent said something impossible */
	LH_E_SYSTEM = -7, /* the operating system refused */
	/* refusals */
	LH_E_NO_SEATS = -20,
	LH_E_OVERAGE_EXHAUSTED = -21,
	LH_E_NOT_ENTITLED = -22,
	LH_E_VERSION = -23, /* the license does not cover this version */
	LH_E_EXPIRED = -24, /* the contract is not running */
	LH_E_SUSPENDED = -25,
	LH_E_REFUSED = -26, /* another refusal: see lh_detail() */
	LH_E_GONE = -27, /* the lease has ended */
	LH_E_CANCELLED = -28, /* `waiting` said to wait no longer */
	LH_E_CLOCK = -29, /* a clock went back: of the machine or its TPM */
	/* the verifier: somebody lied */
	LH_E_BAD_SIGNATURE = -40, /* does not chain to the vendor's key */
	LH_E_NOT_IN_JOURNAL = -41, /* the row is not in the signed batch */
	LH_E_FORK = -42, /* the site's journal was rolled back or forked */
	LH_E_MISMATCH = -43, /* a true answer to another question */
	LH_E_BAD_PROOF = -44, /* a borrow's device did not say so, or not now */
};

struct lh_client; /* a vendor's key and a way to the agent */
struct lh_seat; /* one lease held */

struct lh_options {
	uint32_t size; /* sizeof(struct lh_options) */
	/** The vendor's root, "k4.public....", compiled into the application.
	 * Required; copied. */
	const char *vendor_key;
	/** The agent's socket; NULL: $LEASEHOLD_SOCKET, else
	 * /run/leasehold/agent.sock. Copied. */
	const char *socket_path;
	/** Where the last header seen of each site is kept, so that a rolled
	 * back site is noticed by the next process too; NULL:
	 * $XDG_STATE_HOME/leasehold, else ~/.local/state/leasehold; "": in this
	 * process only. Copied. */
	const char *state_folder;
	/** No thread: the application calls lh_beat() at least every
	 * lh_beat_interval_ms(). */
	int manual_beats;
	/** Called when a seat is lost, from the beat thread or lh_beat(); may
	 * be NULL. LH_E_EXPIRED: the contract ended while the seat was held,
	 * and after a renewal of the license a new checkout is needed. May
	 * look at seats, return them (this one too) and ask lh_detail(); must
	 * call nothing else of the library. Renewals of other seats wait for
	 * it. */
	void (*lost)(void *ctx, struct lh_seat *seat, int error);
	void *ctx;
};

/**
 * Make a client. Does not connect.
 *
 * @param[out] client   On LH_OK the client, to be freed with lh_client_free().
 * @param[in]  options  Borrowed for the call.
 * @retval LH_E_ARGUMENT  vendor_key is missing or no Ed25519 PASERK key.
 */
LH_API LH_MUST_CHECK int lh_client_new(struct lh_client **client,
    const struct lh_options *options);

/** Return every seat and free everything, the seats included. Waits for the
 * agent at most two seconds for all seats together, and before that for the
 * client's thread, which an agent that hangs may hold for up to five. Takes
 * NULL. No other thread may be in a
 * call of the client, nor begin one. */
LH_API void lh_client_free(struct lh_client *client);

/** What to ask for. Zero-initialise, so that what is not set is absent: the
 * struct grows at its end. All of it is borrowed for the call. */
struct lh_request {
	uint32_t size; /* sizeof(struct lh_request) */
	/** UTF-8, 1 to 63 bytes. Required. */
	const char *product;
	/** The version that runs: up to four numbers, "8.1.0", 1 to 31 bytes.
	 * Required. */
	const char *version;
	/** A feature of the product, which has seats of its own; UTF-8, at most
	 * 63 bytes. NULL: the product itself. */
	const char *feature;
	/** Who it is for; UTF-8, at most 63 bytes. NULL: the login name. */
	const char *user;
	/** Seats, all or none, held as one lease: 1 to 1024; 0 is 1. */
	uint32_t count;
	/** Seconds to stand in the site's queue when no seat is free, 0 to
	 * 86400. 0: an answer at once. */
	int wait_s;
	/**
	 * Called while this waits: when the wait begins, when the place
	 * changes, and about once a second anyway, so that a program can show
	 * it and can ask to stop. May be NULL.
	 *
	 * Runs on the thread that is in lh_checkout_with(), with nothing
	 * locked: it may call the library (LH_E_ARGUMENT in a child of fork,
	 * as ever), but not lh_client_free(). What it takes the wait does not
	 * wait for: return soon, or the turn may pass to the next.
	 *
	 * @param place   1: next; 0: not known now, because the site or the
	 *                agent is being reached again.
	 * @param length  How many stand in this queue; 0 with place 0.
	 * @return 0 to go on; anything else leaves the queue, and the checkout
	 *         ends with LH_E_CANCELLED.
	 */
	int (*waiting)(void *ctx, uint32_t place, uint32_t length);
	void *ctx; /* for `waiting` */
};

/**
 * Take seats of a product for as long as this process lives.
 *
 * With a wait, the first come are the first served: who stands in the queue is
 * offered the seat before anybody who comes later. The span that the lease is
 * valid for counts from the claim of that offer, however long the wait was.
 * The place is kept through a restart of the agent or the site, and given up
 * when this process ends.
 *
 * @param[out] seat     On LH_OK the seat, owned by the caller, given back with
 *                      lh_return(). Untouched otherwise.
 * @param[in]  client   Borrowed; may be used by several threads, each of which
 *                      may wait.
 * @param[in]  request  Borrowed for the call.
 * @retval LH_E_NO_SEATS      Expected: fewer seats are free than asked for, or
 *                            others wait for them, until the wait was over.
 * @retval LH_E_OVERAGE_EXHAUSTED The same, where a license has overage.
 * @retval LH_E_CANCELLED     `waiting` returned other than 0. No seat is held.
 * @retval LH_E_REFUSED       Another refusal, as queue_full: see lh_detail().
 * @retval LH_E_ARGUMENT      A field is out of its bounds, or `size` is.
 * @retval LH_E_BAD_SIGNATURE The answer does not chain to the vendor's key.
 * @retval LH_E_NOT_IN_JOURNAL The lease stands in no signed journal.
 * @retval LH_E_FORK          The site's journal is not the one seen before.
 * @retval LH_E_MISMATCH      A true lease, but for another question, or more
 *                            than the license allows.
 * @retval LH_E_BAD_PROOF     A borrowed seat, of which no device proves that it
 *                            has it.
 * @retval LH_E_GONE          A borrowed seat that was given back, or whose time
 *                            is used up.
 * @retval LH_E_CLOCK         A borrowed seat, and a clock went back.
 * @retval LH_E_TIMEOUT       Outcome unknown; a retry takes no second seat. So
 *                            too LH_E_SITE, LH_E_AGENT and LH_E_PROTOCOL.
 * Blocks for wait_s and at most 20 s more; what `waiting` takes comes on top.
 * What is refused by the verifier is given back to the agent.
 */
LH_API LH_MUST_CHECK int lh_checkout_with(struct lh_seat **seat,
    struct lh_client *client, const struct lh_request *request);

/** lh_checkout_with() for one seat, and nothing to be told while it waits. */
LH_API LH_MUST_CHECK int lh_checkout(struct lh_seat **seat,
    struct lh_client *client, const char *product, const char *version,
    const char *feature, const char *user, int wait_s);

/** Give the seat back and free it, also when the site cannot be told now (the
 * agent tells it later). Waits at most two seconds to hear that it is back, and
 * for a `lost` that runs for it. Takes NULL. */
LH_API void lh_return(struct lh_seat *seat);

/**
 * May the application run on this seat right now? No system call, no lock: a
 * verified deadline against a vDSO clock. Takes NULL, which is not valid.
 * @retval 1  Yes, within a signed span or its signed grace.
 * @retval 0  No.
 */
LH_API int lh_seat_valid(const struct lh_seat *seat);

/**
 * Say that somebody works with it right now: call it where work is seen (a key
 * pressed, a job done), as often as you like. It costs a clock and a store; the
 * site hears of it with the next renewal. A site's policy may take seats back
 * that nobody works with, from applications that call this at all: such a seat
 * is lost with LH_E_GONE, and lh_detail() says why. Takes NULL. Any thread.
 */
LH_API void lh_seat_active(struct lh_seat *seat);

enum lh_seat_type { LH_SEAT_COMMIT = 0, LH_SEAT_OVERAGE = 1 };
LH_API enum lh_seat_type lh_seat_type(const struct lh_seat *seat);
LH_API uint64_t lh_seat_id(const struct lh_seat *seat);
/** How many seats the lease is of, 1 to 1024. */
LH_API uint32_t lh_seat_count(const struct lh_seat *seat);
/** Milliseconds until it is no longer valid, grace included; 0: it is not, as
 * NULL. */
LH_API int64_t lh_seat_left_ms(const struct lh_seat *seat);
/** Is it one that this workstation has borrowed? 1 or 0, as NULL. */
LH_API int lh_seat_is_borrowed(const struct lh_seat *seat);
/** When the borrow is over by the wall clock, ms since 1970 UTC; it may be over
 * earlier, by what the device proves. Later after lh_borrow_extend(), once the
 * seat was renewed. 0: it is not borrowed, as NULL. */
LH_API int64_t lh_seat_until_ms(const struct lh_seat *seat);

/** Renew every seat now (manual beats; beside the thread too). Blocks until the
 * agent answered, at most timeout_ms: then LH_E_TIMEOUT, and a late answer
 * still counts. The first error is returned; seats stay valid to the end of
 * what was signed. */
LH_API int lh_beat(struct lh_client *client, int timeout_ms);
/** How often to call it; 0 when no seat is held. */
LH_API int lh_beat_interval_ms(struct lh_client *client);

/* --- borrows: seats taken along, offline ---------------------------------- */

enum lh_borrow_state {
	LH_BORROW_LENT = 0,
	LH_BORROW_RETURNING = 1, /* the workstation began to give it back */
	LH_BORROW_UNPROVEN = 2, /* over, and the site has no proof yet */
};

/** A borrow, as the agent tells it: what it is worth is verified when one of
 * its seats is checked out. The struct grows at its end. */
struct lh_borrow {
	/** Of lh_borrow_take() and lh_borrow_extend() sizeof(struct lh_borrow),
	 * set before; in lh_borrow_list() the library's. */
	uint32_t size;
	uint32_t count; /* seats, 1 to 1024 */
	uint64_t id; /* of the lease, as lh_seat_id() */
	uint32_t used; /* seats of it that applications hold here now */
	enum lh_seat_type type;
	enum lh_borrow_state state;
	uint32_t length_s; /* powered-on time that it is good for */
	int64_t taken_at_ms; /* since 1970 UTC: when that time began */
	int64_t until_ms; /* and when it is over at the latest */
	char product[64];
	char version[32];
	char feature[64]; /* "": none */
};

/** What to borrow. Zero-initialise; it grows at its end. All of it is borrowed
 * for the call. */
struct lh_borrow_request {
	uint32_t size; /* sizeof(struct lh_borrow_request) */
	/** Seats, all or none, as one borrow: 1 to 1024; 0 is 1. */
	uint32_t count;
	/** As in struct lh_request. */
	const char *product;
	const char *version;
	const char *feature;
	const char *user;
	/** Seconds of powered-on time that it is to last, 1 to 31622400 (a leap
	 * year). License and site have limits of their own. */
	uint32_t length_s;
};

/**
 * Borrow seats for this workstation, so that checkouts find them without the
 * site. They are this user's; those that root borrows are for everybody here.
 * A seat of them is taken with lh_checkout() as ever.
 *
 * All calls here block until the agent answered, at most timeout_ms.
 *
 * @param[in,out] borrow  Its size set; on LH_OK the rest. Untouched otherwise.
 * @retval LH_E_REFUSED   borrow_limit, class_not_allowed and others: see
 *                        lh_detail().
 * @retval LH_E_TIMEOUT   Outcome unknown; the same again takes no second one. So
 *                        too LH_E_SITE, LH_E_AGENT and LH_E_PROTOCOL.
 * The others as lh_checkout_with().
 */
LH_API LH_MUST_CHECK int lh_borrow_take(struct lh_borrow *borrow,
    struct lh_client *client, const struct lh_borrow_request *request,
    int timeout_ms);

/** Make a borrow last for length_s from now on: longer, or shorter. The seats
 * of it that are held go on. Asks the site. LH_E_GONE: it is over. */
LH_API LH_MUST_CHECK int lh_borrow_extend(struct lh_borrow *borrow,
    struct lh_client *client, uint64_t id, uint32_t length_s, int timeout_ms);

/**
 * Give a borrow back before its end; id 0: all of this user's. Seats of it that
 * are held are lost (LH_E_GONE).
 *
 * @param[out] proved  On LH_OK 1: the site has the proof, and the seats are free
 *                     there. 0: they cannot be used here any more, and the site
 *                     is told as soon as the agent reaches it. May be NULL.
 * @retval LH_E_SITE     It needs the site: other borrows of the workstation stay.
 * @retval LH_E_GONE     It is over already.
 */
LH_API LH_MUST_CHECK int lh_borrow_return(int *proved, struct lh_client *client,
    uint64_t id, int timeout_ms);

/** Tell each borrow of this user, and of everybody's, in the order of their
 * numbers. `each` runs in this thread, with nothing locked, after the agent has
 * answered; what it is given is valid until it returns. */
LH_API LH_MUST_CHECK int lh_borrow_list(struct lh_client *client,
    void (*each)(void *ctx, const struct lh_borrow *borrow), void *ctx,
    int timeout_ms);

/* --- usage: what is counted beside seats ---------------------------------- */

enum lh_usage_kind {
	LH_USAGE_COUNTER = 0, /* amounts add up */
	LH_USAGE_GAUGE = 1, /* it is what there is now, until the next */
};

/** Something was used. Zero-initialise; it grows at its end. All of it is
 * borrowed for the call. */
struct lh_usage {
	uint32_t size; /* sizeof(struct lh_usage) */
	enum lh_usage_kind kind; /* the same for all events of a metric */
	/** Yours: the same event has the same id, and counts once in eight days
	 * for the license, whoever tells it: make it unique everywhere, as a
	 * UUID is. UTF-8, 1 to 64 bytes. Required. */
	const char *event_id;
	/** Whose license it is counted on; UTF-8, 1 to 63 bytes. Required. */
	const char *product;
	/** "api_calls", "storage_mb", or any name; UTF-8, 1 to 63 bytes.
	 * Required. */
	const char *metric;
	uint64_t amount; /* below 2 to the power of 53 */
	/** Who used it; UTF-8, at most 127 bytes. NULL: the login name. */
	const char *user;
	/** When it was, ms since 1970 UTC, at most seven days ago; it counts
	 * when it arrives. 0: now. */
	int64_t at_ms;
};

/**
 * Tell the site what was used, by metric. Needs the agent and the site, and no
 * seat. Nothing is kept here or by the agent: who is not told LH_OK tells it
 * again, with the same event_id.
 *
 * @param[out] repeated  On LH_OK 1: the site had counted this event before; 0:
 *                       it counts now. May be NULL.
 * @param[in]  usage     Borrowed for the call.
 * @retval LH_E_REFUSED     quota_exceeded, where a hard limit of the license
 *                          would be passed, and others: see lh_detail(). It is
 *                          not counted.
 * @retval LH_E_NOT_ENTITLED No license for the product is installed.
 * @retval LH_E_SUSPENDED   It was suspended or cancelled.
 * @retval LH_E_TIMEOUT     Outcome unknown; the same event again counts once. So
 *                          too LH_E_SITE, LH_E_AGENT and LH_E_PROTOCOL.
 * Blocks for at most timeout_ms.
 */
LH_API LH_MUST_CHECK int lh_usage_report(int *repeated,
    struct lh_client *client, const struct lh_usage *usage, int timeout_ms);

/** "no seats" and the like; static. */
LH_API const char *lh_strerror(int error);
/** What the last failed call of this thread was told, for people: what
 * happened, what it means, what to type. Never NULL; valid until the next
 * call of this thread. */
LH_API const char *lh_detail(void);
/** "0.1.0" */
LH_API const char *lh_version(void);

#ifdef __cplusplus
}
#endif
#endif
