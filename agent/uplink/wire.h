/*
 * What keeper and uplink say to each other over ipc. The uplink turns
 * JSON-RPC into records and back, so that no stranger's JSON reaches the
 * keeper; the keeper holds the device's key and never a socket of the network.
 * It must not know what either does with it.
 */
#ifndef AGENT_UPLINK_WIRE_H
#define AGENT_UPLINK_WIRE_H

#include "shared/record/record.h"

/* `conn` of a message numbers the attempt to connect: the keeper chooses it in
 * UPLINK_CONNECT, the uplink repeats it, and what comes late from an earlier
 * connection is told apart. */
enum uplink_kind {
	/* keeper to uplink */
	UPLINK_CONNECT = 1, /* uplink_target: connect now (drops the old one) */
	UPLINK_CALL, /* tag, op; the request record in MessagePack */
	UPLINK_HANGUP, /* close the connection */
	/* uplink to keeper */
	UPLINK_OPENED, /* uplink_peer */
	UPLINK_CLOSED, /* op: enum local_cause; reason as text; also after a
			  failed CONNECT */
	UPLINK_REPLY, /* tag, op; the reply record */
	UPLINK_PROBLEM, /* tag, op; problem_record, then i32 ERR_* */
	UPLINK_NOTICE, /* op; the notice's record */
};

struct uplink_target {
	char host[256];
	uint32_t port;
	struct record_span ca_pem; /* empty on first contact */
	uint8_t ca_sha256[32]; /* then this */
};
struct uplink_peer {
	uint8_t exporter[32];
	struct record_span ca_pem; /* after first contact: the CA to keep */
	int64_t certificate_end; /* of the site */
};
extern const struct record uplink_target_record, uplink_peer_record;

#endif
