/* Record tables of wire.h. */
#include "appliance/ledger/wire.h"

static const struct record_field wire_peer_fields[] = {
	R_TEXT(wire_peer, address, 0, 63, 0, "Address of the peer"),
	R_FIXED(wire_peer, exporter, 0, "TLS exporter of the connection"),
	R_TEXT(wire_peer, client_cn, 0, 64, 0,
	    "Common name of a verified client certificate"),
	R_TEXT(wire_peer, host, 0, 127, 0, "Host header, without port"),
};
RECORD_DEFINE(wire_peer, 1, "An agent's connection, as its front saw it");

uint32_t
wire_spread_ms(size_t agents)
{
	const size_t most = 600000 / 1000 * WIRE_AGENTS_PER_S;

	if (agents > most)
		agents = most;
	if (agents < WIRE_AGENTS_PER_S)
		return 0;
	return (uint32_t)(agents * 1000 / WIRE_AGENTS_PER_S);
}

static const struct record_field wire_caller_fields[] = {
	R_TEXT(wire_caller, address, 0, 63, 0, "Address of the caller"),
	R_TEXT(wire_caller, client_cn, 0, 64, 0,
	    "Common name of a verified client certificate"),
	R_FIXED(wire_caller, certificate, 0, "SHA-256 of that certificate"),
	R_FIXED(wire_caller, shown, 0, "SHA-256 of one that is not verified"),
	R_TEXT(wire_caller, host, 0, 127, 0, "Host header, without port"),
	R_U32(wire_caller, host_port, 0, 65535, 0, "The port"),
	R_STRING(wire_caller, key, 0, 255, RECORD_SECRET, "Bearer credential"),
	R_TEXT(wire_caller, idempotency_key, 0, 63, 0,
	    "Idempotency-Key header"),
	R_TEXT(wire_caller, hostname, 0, 127, 0, "X-Hostname header"),
	R_FIXED(wire_caller, fingerprint, 0, "X-App-Fingerprint header"),
	R_TEXT(wire_caller, lib_version, 0, 31, 0, "X-Lib-Version header"),
	R_TEXT(wire_caller, vendor, 0, 63, 0, "X-Vendor-ID header"),
};
RECORD_DEFINE(wire_caller, 5, "Who makes an HTTP call, and with what key");

static const struct record_field wire_limits_fields[] = {
	R_U32(wire_limits, limit, 1, UINT32_MAX, 0, "Requests"),
	R_U32(wire_limits, window_s, 1, UINT32_MAX, 0, "in so many seconds"),
	R_U32(wire_limits, remaining, 0, UINT32_MAX, 0, "Requests left"),
	R_U32(wire_limits, reset_s, 0, UINT32_MAX, 0, "Until all are there"),
	R_U32(wire_limits, retry_s, 0, UINT32_MAX, 0, "Until there is one"),
};
RECORD_DEFINE(wire_limits, 1, "How much is left of a key's rate");
