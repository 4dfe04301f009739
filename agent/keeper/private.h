/*
 * What the parts of the keeper share: one struct, one loop, one thread. Each
 * part owns its struct and is spoken to by its functions; the larger ones have
 * a header of their own, which only this one includes.
 *
 *   listen.c          the place of the local socket, for main.c
 *   application.h
 *     applications.c  connections of the local socket, and their lines
 *     users.c         who connects, and limits per user
 *   local.c           its operations but checkout
 *   checkout.c        a question for a seat
 *   checkout_ask.c    from there to the site's answer
 *   grant.c           from there to the lease
 *   queue.c           or to a place in the site's queue, and its turn
 *   lease.h
 *     leases.c        who holds what; how leases end
 *     resume.c        leases of before: this keeper, or this session
 *     renewal.c       rounds of nonces, beats
 *   session.h
 *     session.c       the session with the site
 *     attempt.c       connecting to it, again and again
 *     journal.c       what was seen of its journal
 *   key.c             the device's key; proofs.c is what works with it
 *   enroll.c          becoming a device, from enroll_begin.c on
 *   show.c            what people are shown of all this
 *   borrow.h          seats that are borrowed, and the way back
 *   tickets.h
 *     tickets.c       who gets to use them
 *     ticket_uses.c   who does
 *     ticket_proofs.c what the device proves to them
 *   usage.h           what was used beside seats
 *
 * Only this folder may include it.
 */
#ifndef AGENT_KEEPER_PRIVATE_H
#define AGENT_KEEPER_PRIVATE_H

#include "agent/keeper/application.h"
#include "agent/keeper/borrow.h"
#include "agent/keeper/calls.h"
#include "agent/keeper/digest.h"
#include "agent/keeper/files.h"
#include "agent/keeper/keeper.h"
#include "agent/keeper/lease.h"
#include "agent/keeper/process.h"
#include "agent/keeper/proofs.h"
#include "agent/keeper/session.h"
#include "agent/keeper/tickets.h"
#include "agent/keeper/usage.h"
#include "shared/rpc/local.h"
#include "shared/rpc/rpc.h"

#include <sys/queue.h>

struct event;

#define SOFTWARE "leasehold-agent " LEASEHOLD_VERSION

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

/* --- show.c ----------------------------------------------------------------
 */

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
	struct record_list succession; /* of the site's key; in the arena */
	struct arena succession_arena;
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
	struct usage_list usage;
};

#endif
