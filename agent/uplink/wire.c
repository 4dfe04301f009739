/* Record tables of wire.h. */
#include "agent/uplink/wire.h"

static const struct record_field uplink_target_fields[] = {
	R_TEXT(uplink_target, host, 1, 255, 0, "Name or address of the site."),
	R_U32(uplink_target, port, 1, 65535, 0, "TCP port."),
	R_STRING(uplink_target, ca_pem, 0, 65536, RECORD_OPTIONAL,
	    "The CA to trust; empty on first contact."),
	R_FIXED(uplink_target, ca_sha256, RECORD_OPTIONAL,
	    "Then this is the CA's fingerprint."),
};
RECORD_DEFINE(uplink_target, 1, "Where to connect.");

static const struct record_field uplink_peer_fields[] = {
	R_FIXED(uplink_peer, exporter, 0, "TLS exporter of the connection."),
	R_STRING(uplink_peer, ca_pem, 0, 65536, RECORD_OPTIONAL,
	    "The CA to keep, after first contact."),
	R_TIME(uplink_peer, certificate_end, RECORD_OPTIONAL,
	    "When the site's certificate ends."),
};
RECORD_DEFINE(uplink_peer, 1, "A connection that is up.");
