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
	/* the verifier: somebody lied */
	LH_E_BAD_SIGNATURE = -40, /* does not chain to the vendor's key */
	LH_E_NOT_IN_JOURNAL = -41, /* the row is not in the signed batch */
	LH_E_FORK = -42, /* the site's journal was rolled back or forked */
	LH_E_MISMATCH = -43, /* a true answer to another question */
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
	 * and after a renewal of the license a new checkout is needed. Must not call the library but lh_seat_* and lh_detail. */
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

/**
 * Take one seat of a product for as long as this process lives.
 *
 * @param[out] seat     On LH_OK the seat, owned by the caller, given back with
 *                      lh_return(). Untouched otherwise.
 * @param[in]  client   Borrowed; may be used by several threads.
 * @param[in]  product  UTF-8, 1 to 63 bytes; copied.
 * @param[in]  version  "8.1.0", 1 to 31 bytes; copied.
 * @param[in]  feature  UTF-8, at most 63 bytes, or NULL for the product itself.
 * @param[in]  user     Who it is for, at most 63 bytes; NULL: the login name.
 * @param[in]  wait_s   Seconds to wait for a seat; 0 does not wait.
 * @retval LH_E_NO_SEATS      Expected: every seat is taken.
 * @retval LH_E_BAD_SIGNATURE The answer does not chain to the vendor's key.
 * @retval LH_E_NOT_IN_JOURNAL The lease stands in no signed journal.
 * @retval LH_E_FORK          The site's journal is not the one seen before.
 * @retval LH_E_MISMATCH      A true lease, but for another question, or more
 *                            than the license allows.
 * @retval LH_E_TIMEOUT       Outcome unknown; a retry takes no second seat. So
 *                            too LH_E_SITE, LH_E_AGENT and LH_E_PROTOCOL.
 * Blocks for wait_s and at most 20 s more. What is refused by the verifier is
 * given back to the agent.
 */
LH_API LH_MUST_CHECK int lh_checkout(struct lh_seat **seat,
    struct lh_client *client, const char *product, const char *version,
    const char *feature, const char *user, int wait_s);

/** Give the seat back and free it, also when the site cannot be told now (the
 * agent tells it later). Waits at most two seconds to hear that it is back, and
 * for a `lost` that runs for it. Takes NULL. */
LH_API void lh_return(struct lh_seat *seat);

/**
 * May the application run on this seat right now? No system call, no lock: a
 * verified deadline against a vDSO clock.
 * @retval 1  Yes, within a signed span or its signed grace.
 * @retval 0  No.
 */
LH_API int lh_seat_valid(const struct lh_seat *seat);

enum lh_seat_type { LH_SEAT_COMMIT = 0, LH_SEAT_OVERAGE = 1 };
LH_API enum lh_seat_type lh_seat_type(const struct lh_seat *seat);
LH_API uint64_t lh_seat_id(const struct lh_seat *seat);
/** Milliseconds until it is no longer valid, grace included; 0: it is not. */
LH_API int64_t lh_seat_left_ms(const struct lh_seat *seat);

/** Renew every seat now (manual beats; beside the thread too). Blocks until the
 * agent answered, at most timeout_ms: then LH_E_TIMEOUT, and a late answer
 * still counts. The first error is returned; seats stay valid to the end of
 * what was signed. */
LH_API int lh_beat(struct lh_client *client, int timeout_ms);
/** How often to call it; 0 when no seat is held. */
LH_API int lh_beat_interval_ms(struct lh_client *client);

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
