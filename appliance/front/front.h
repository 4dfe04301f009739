/*
 * The front: the process that faces the network. TLS, HTTP and WebSocket come
 * in (shared/net), records go to the ledger over ipc (wire.h) and back. It
 * holds the TLS key and connections, and nothing else worth stealing: it opens
 * no file, no store and no signing key, and it must not know what an operation
 * does (DESIGN 3).
 */
#ifndef APPLIANCE_FRONT_FRONT_H
#define APPLIANCE_FRONT_FRONT_H

#include "shared/base/supervisor.h"

#include <stdbool.h>
#include <sys/types.h>

struct front_options {
	int listen_fd; /* shared by all fronts; each takes a copy */
	/** PEM text in memory that the parent shares; on SIGHUP it holds the
	 * new certificate and key, for connections to come. */
	const char *cert_pem;
	const char *key_pem;
	/** CAs of client certificates; NULL: none is asked for. */
	const char *client_ca_pem;
	bool client_any; /* a hub: net.h */
	int connections_max; /* of this front */
	int fronts; /* that share the port; 0: it alone */
	/** Of this front, from one address; see net_server_options. */
	int address_connections_max;
	int address_strangers_max;
	int address_rate;
	int prove_ms; /* an agent proves itself in this time; 0: 30 s */
	bool drop; /* root at start: empty root, then uid and gid */
	uid_t uid;
	gid_t gid;
	const char *empty_root; /* folder for chroot; with drop */
};

/** supervisor.edge_main: `ctx` is a struct front_options. */
int front_main(void *ctx, const struct supervisor_child *child);

#endif
