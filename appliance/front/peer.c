/* Connections by name, and the answers that they wait for. */
#include "appliance/front/inside.h"

#include "shared/base/log.h"

#include <stdlib.h>
#include <string.h>

/* Names hold an index that is dense (net.h), so a table of pointers does: every
 * message looks one up. */
static struct peer **
place(const struct front *front, net_conn conn)
{
	uint32_t index = net_conn_index(conn);

	return index < front->peers_size ? &front->peers[index] : NULL;
}

static int
reserve(struct front *front, net_conn conn)
{
	size_t index = net_conn_index(conn);
	size_t size = front->peers_size == 0 ? 64 : front->peers_size;

	if (index < front->peers_size)
		return 0;
	while (size <= index)
		size *= 2;
	struct peer **peers =
	    reallocarray(front->peers, size, sizeof(struct peer *));

	if (peers == NULL)
		return -1;
	memset(peers + front->peers_size, 0,
	    (size - front->peers_size) * sizeof(struct peer *));
	front->peers = peers;
	front->peers_size = size;
	return 0;
}

struct peer *
peer_get(struct front *front, net_conn conn)
{
	struct peer **at = place(front, conn);

	return at != NULL && *at != NULL && (*at)->conn == conn ? *at : NULL;
}

struct peer *
peer_new(struct front *front, net_conn conn, bool is_call)
{
	struct peer *peer = calloc(1, sizeof(*peer));

	if (peer == NULL)
		return NULL;
	peer->conn = conn;
	peer->is_call = is_call;
	if (reserve(front, conn) != 0 || *place(front, conn) != NULL) {
		log_error("front", "cannot keep a connection");
		free(peer);
		return NULL;
	}
	*place(front, conn) = peer;
	front->n_peers++;
	return peer;
}

void
peer_free(struct front *front, struct peer *peer)
{
	*place(front, peer->conn) = NULL;
	front->n_peers--;
	front->n_waiting -= peer->waiting;
	free(peer);
}

struct peer **
peer_list(struct buf *list, const struct front *front, size_t *n)
{
	for (size_t i = 0; i < front->peers_size; i++)
		if (front->peers[i] != NULL)
			buf_add(list, &front->peers[i], sizeof(struct peer *));
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
	for (size_t i = 0; i < front->peers_size; i++)
		free(front->peers[i]);
	free(front->peers);
	front->peers = NULL;
	front->peers_size = 0;
}
