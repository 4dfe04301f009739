/* Record tables of wire.h. */
#include "appliance/ledger/wire.h"

static const struct record_field wire_peer_fields[] = {
	R_TEXT(wire_peer, address, 0, 63, 0, "Address of the peer"),
	R_FIXED(wire_peer, exporter, 0, "TLS exporter of the connection"),
	R_TEXT(wire_peer, client_cn, 0, 64, 0,
	    "Common name of a verified client certificate"),
};
RECORD_DEFINE(wire_peer, 1, "An agent's connection, as its front saw it");

static const struct record_field wire_caller_fields[] = {
	R_TEXT(wire_caller, address, 0, 63, 0, "Address of the caller"),
	R_TEXT(wire_caller, client_cn, 0, 64, 0,
	    "Common name of a verified client certificate"),
	R_TEXT(wire_caller, host, 0, 127, 0, "Host header, without port"),
	R_STRING(wire_caller, key, 0, 255, RECORD_SECRET, "Bearer credential"),
	R_TEXT(wire_caller, idempotency_key, 0, 63, 0,
	    "Idempotency-Key header"),
};
RECORD_DEFINE(wire_caller, 1, "Who makes an HTTP call, and with what key");
