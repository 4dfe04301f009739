/*
 * From the network's words for the end of a connection to those that people
 * are told what to do by. It must not know what anybody does about it.
 */
#ifndef AGENT_UPLINK_CAUSE_H
#define AGENT_UPLINK_CAUSE_H

#include "shared/net/net.h"
#include "shared/rpc/local.h"

/** While `close` of a client connection is called. */
enum local_cause uplink_cause(const struct net *net);

#endif
