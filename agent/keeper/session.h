/*
 * The session with the site: connecting, proving, what was seen of its journal,
 * and what people are told when there is none. Of private.h.
 */
#ifndef AGENT_KEEPER_SESSION_H
#define AGENT_KEEPER_SESSION_H

#include "agent/keeper/files.h"
#include "shared/journal/journal.h"
#include "shared/rpc/local.h"
#include "shared/rpc/operations.h"
#include "shared/rpc/rpc.h"

struct event;
struct keeper;

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
	uint64_t policy; /* as the site last told; 0: it did not */
	int64_t policy_at; /* wall clock: when it did */
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
/** The site's key, and the one before it where there was one. */
struct site_keys session_site_keys(const struct keeper *keeper);
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

/* --- show.c ---------------------------------------------------------------- */

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

#endif
