/*
 * What front and ledger say to each other over ipc. The front is believed
 * about addresses, exporter and client certificate and passes bearer keys on;
 * about nothing else (DESIGN 3). Payloads are MessagePack of the records named
 * here. It must not know what either side does with them.
 */
#ifndef APPLIANCE_LEDGER_WIRE_H
#define APPLIANCE_LEDGER_WIRE_H

#include "shared/record/record.h"

enum wire_kind {
	/* front to ledger */
	WIRE_OPENED = 1, /* conn; wire_peer: an agent's WebSocket is up */
	WIRE_CLOSED, /* conn */
	WIRE_REQUEST, /* conn, tag, op; the operation's request record */
	WIRE_CALL, /* conn, tag, op; wire_caller, then the request record:
			    HTTP, each call carries its own credentials */
	WIRE_MORE, /* conn, tag: what was told of a stream is out */
	WIRE_ABANDONED, /* conn, tag: nobody waits for the answer to a call */
	/* ledger to front */
	WIRE_REPLY, /* conn, tag, op; the reply record */
	WIRE_PROBLEM, /* conn, tag, op; problem_record; then an i32 big-endian
			 with the ERR_* (for the HTTP status) */
	WIRE_NOTICE, /* conn, op; the notice's record */
	WIRE_CLOSE, /* conn; op is the WebSocket close code, payload the
			 reason as text */
	WIRE_END, /* conn, tag: a stream (each page a WIRE_REPLY) ends */
	WIRE_LIMITS, /* conn, tag, op; wire_limits: how much is left of the
			rates of the key that a call came with; before the
			answer */
	WIRE_STATE, /* struct health; op: 0 starting, 1 ready, 2 draining, 3 it
		       cannot write,
		       4 rolled back */
};

struct wire_peer {
	char address[64];
	uint8_t exporter[32];
	char client_cn[65];
	char host[128]; /* Host header of the upgrade, without port, or "" */
};
struct wire_caller {
	char address[64];
	char client_cn[65];
	uint8_t certificate[32]; /* SHA-256 of it; zero: none was shown */
	/** The same of one that no CA of the site's speaks for (at a hub). */
	uint8_t shown[32];
	char host[128]; /* Host header */
	uint32_t host_port; /* of it; 0: it named none */
	struct record_span key; /* bearer credential, or empty */
	char idempotency_key[64];
	/* What the client says of itself; claims, no proof. */
	char hostname[128]; /* X-Hostname, or "" */
	uint8_t fingerprint[32]; /* X-App-Fingerprint; zero: none */
	char lib_version[32]; /* X-Lib-Version, or "" */
	char vendor[64]; /* X-Vendor-ID, or "" */
};
/** Of one token bucket: that which is used up first. */
struct wire_limits {
	uint32_t limit; /* requests in `window_s` */
	uint32_t window_s;
	uint32_t remaining;
	uint32_t reset_s; /* until all are there again */
	uint32_t retry_s; /* until there is one; 0: there is */
};
/** Agents that come back are spread so that so many come a second. */
#define WIRE_AGENTS_PER_S 125
/** Over how long so many agents are to come back; below one second it is not
 * worth a wait. */
uint32_t wire_spread_ms(size_t agents);

extern const struct record wire_peer_record, wire_caller_record,
    wire_limits_record;

#endif
