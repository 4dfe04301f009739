/* Connections by name, and the answers that they wait for. */
#include "appliance/front/inside.h"

#include "shared/base/log.h"

#include <search.h>
#include <stdlib.h>

static int
compare_peers(const void *a, const void *b)
{
	const struct peer *left = a, *right = b;

	return (left->conn > right->conn) - (left->conn < right->conn);
}

struct peer *
peer_get(struct front *front, net_conn conn)
{
	const struct peer key = { .conn = conn };
	void *found = tfind(&key, &front->peers, compare_peers);

	return found != NULL ? *(struct peer **)found : NULL;
}

struct peer *
peer_new(struct front *front, net_conn conn, bool is_call)
{
	struct peer *peer = calloc(1, sizeof(*peer));

	if (peer == NULL)
		return NULL;
	peer->conn = conn;
	peer->is_call = is_call;
	void *found = tsearch(peer, &front->peers, compare_peers);

	if (found == NULL || *(struct peer **)found != peer) {
		log_error("front", "cannot keep a connection");
		free(peer);
		return NULL;
	}
	front->n_peers++;
	return peer;
}

void
peer_free(struct front *front, struct peer *peer)
{
	tdelete(peer, &front->peers, compare_peers);
	front->n_peers--;
	front->n_waiting -= peer->waiting;
	free(peer);
}

static void
list_one(const void *node, VISIT visit, void *ctx)
{
	if (visit == postorder || visit == leaf)
		buf_add(ctx, node, sizeof(struct peer *));
}

struct peer **
peer_list(struct buf *list, const struct front *front, size_t *n)
{
	twalk_r(front->peers, list_one, list);
	*n = list->failed ? 0 : list->len / sizeof(struct peer *);
	return (struct peer **)(void *)list->data;
}

void
peer_answered(struct front *front, struct peer *peer)
{
	if (peer->waiting == 0)
		return;
	peer->waiting--;
	front->n_waiting--;
}

void
peer_free_all(struct front *front)
{
	tdestroy(front->peers, free);
	front->peers = NULL;
}
