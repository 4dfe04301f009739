/*
 * The uplink: the agent's only process with a socket of the network. It holds
 * one WebSocket to the site and turns records of the keeper into JSON-RPC and
 * back, so that a stranger's JSON never reaches the device's key. It ends when
 * the keeper's channel closes. It must not know leases, keys or applications.
 */
#ifndef AGENT_UPLINK_UPLINK_H
#define AGENT_UPLINK_UPLINK_H

#include "shared/base/supervisor.h"

#include <sys/types.h>

struct uplink_options {
	bool drop; /* become uid and gid: started as root */
	uid_t uid;
	gid_t gid;
};

/** supervisor.edge_main: the exit status. */
int uplink_main(const struct uplink_options *options,
    const struct supervisor_child *child);

#endif
