/*
 * Why a client's connection did not come about, out of what socket and
 * libwebsockets say of it. Only client.c includes it.
 */
#ifndef SHARED_NET_TROUBLE_H
#define SHARED_NET_TROUBLE_H

#include "shared/net/net_private.h"

/** What the socket itself says, which libwebsockets does not pass on: an
 * errno, or 0. */
int net_trouble_number(struct lws *wsi);
/** Of the last address that was tried: fills in trouble and reason, unless
 * they are known already. `answered`: something spoke there. */
void net_trouble_explain(struct net_connection *conn, int number, bool answered,
    const char *words);
/** libwebsockets says nothing of a connect() that failed at once: it is tried
 * again here. */
void net_trouble_at_once(struct net_connection *conn,
    const struct addrinfo *address);

#endif
