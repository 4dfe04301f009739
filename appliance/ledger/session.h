/*
 * Agents' sessions: one for each WebSocket, and one live session for each
 * device: a newer one closes the older. hello shows the journal and gives a
 * nonce (session.c), prove answers it with the device's key over this TLS
 * connection (login.c), enroll and activate make a device (joining.c); who is
 * proved gets a nonce for each proof about borrowing (lending.c). A device that
 * no admin has let in is known and connected, and nothing more is done for it.
 * While a proof is checked on its thread, the session waits for it: there is no
 * hello, and no other proof without one. Only these four files
 * may include it; what others need of sessions is in inside.h.
 */
#ifndef APPLIANCE_LEDGER_SESSION_H
#define APPLIANCE_LEDGER_SESSION_H

#include "appliance/ledger/inside.h"

/** A proof that is being checked on another thread. */
struct checking {
	uint64_t number; /* of this one, as the session has it */
	struct proof_subject subject;
};

struct enrolling;

struct session {
	struct front *front;
	struct tenant_entry *entry; /* of the host that it asked for */
	struct tenant *tenant; /* bound to it, and open; NULL until it has said
				  something */
	uint64_t conn;
	struct wire_peer peer;
	uint32_t hellos;
	bool said_hello;
	uint32_t generation; /* of the journal, just before its hello */
	bool has_nonce; /* good for one proof */
	bool proved;
	bool pending; /* proved, and waits for an admin's approval */
	uint64_t counter; /* the device's, as it proved then */
	uint8_t nonce[PROOF_NONCE_BYTES];
	uint64_t checking; /* number of the proof that is checked; 0: none */
	struct enrolling *enrolling; /* it was given a challenge; or NULL */
	uint64_t device; /* as in hello; who it is once proved */
	char software[32]; /* as in hello */
	int64_t proved_at; /* site time */
	uint32_t n_calls;
	int64_t heard; /* boottime of its last request */
};

/** Of the tenant's journal, as it stands; 0: it cannot be read. */
uint32_t session_generation(const struct tenant *tenant);

/** What the proof of this request is over: the session's nonce, which is used
 * up, whatever comes of it, and its connection. */
int session_take_nonce(struct checking *checking, const struct request *request,
    struct problem *problem);
/** In the loop: the session whose proof was checked; NULL: it is gone, and the
 * call is nobody's. */
struct session *session_checked(const struct call *call,
    const struct checking *checking);

/** Forget the challenge that it was given, if it was. */
void enrolling_forget(struct session *session);

/** Its session ends: that is when the device was last seen. */
void login_note_seen(const struct session *session);
/** Site time, as remembered; 0: never. */
int64_t login_seen_at(const struct tenant *tenant, uint64_t device);

#endif
