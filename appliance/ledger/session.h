/*
 * Agents' sessions: one for each WebSocket, and one live session for each
 * device: a newer one closes the older. hello shows the journal and gives a
 * nonce (session.c), prove answers it with the device's key over this TLS
 * connection, enroll makes a device (login.c); who is proved gets a nonce for
 * each proof about borrowing (lending.c). A device that no admin has let in is
 * known and connected, and nothing more is done for it. Only these three files
 * may include it; what others need of sessions is in inside.h.
 */
#ifndef APPLIANCE_LEDGER_SESSION_H
#define APPLIANCE_LEDGER_SESSION_H

#include "appliance/ledger/inside.h"

struct session {
	struct front *front;
	struct tenant *tenant;
	uint64_t conn;
	struct wire_peer peer;
	uint32_t hellos;
	bool said_hello;
	bool has_nonce; /* good for one proof */
	bool proved;
	bool pending; /* proved, and waits for an admin's approval */
	uint64_t counter; /* the device's, as it proved then */
	uint8_t nonce[PROOF_NONCE_BYTES];
	uint64_t device; /* as in hello; who it is once proved */
	char software[32]; /* as in hello */
	int64_t proved_at; /* site time */
	uint32_t n_calls;
	int64_t heard; /* boottime of its last request */
};

/** Its session ends: that is when the device was last seen. */
void login_note_seen(const struct session *session);
/** Site time, as remembered; 0: never. */
int64_t login_seen_at(const struct tenant *tenant, uint64_t device);

#endif
