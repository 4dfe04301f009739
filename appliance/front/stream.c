/* Server-sent events (WHATWG HTML, section 9.2): pages of the ledger become
 * text, one page at a time, the next once the last is with the kernel. Long
 * documents come by the same way (document.c). */
#include "appliance/front/inside.h"

#include "shared/base/err.h"
#include "shared/base/text.h"

#include <inttypes.h>
#include <string.h>

/* Silence before a comment, for proxies; and how long one answer lasts: who
 * comes again shows his credential again. */
#define STREAM_SILENCE_MS 15000
#define STREAM_LIFE_MS 3600000

int
stream_resume(struct event_query *query, const char *last_event,
    struct problem *problem)
{
	if (query->after > 0)
		query->resume = true;
	if (last_event[0] == '\0')
		return 0;
	query->resume = true;
	if (text_to_u64(&query->after, last_event, strlen(last_event)) &&
	    query->after < UINT64_C(1) << 53)
		return 0;
	problem_set(problem, ERR_BAD_REQUEST, NULL,
	    "Last-Event-ID is the number of a row");
	text_copy(problem->field, sizeof(problem->field), "Last-Event-ID");
	return ERR_BAD_REQUEST;
}

static void
write_page(struct buf *out, const struct event_page *page)
{
	const struct event_item *items = page->items.items;

	for (uint32_t i = 0; i < page->items.count; i++) {
		buf_printf(out,
		    "id: %" PRIu64 "\nevent: %s\ndata: ", items[i].row,
		    items[i].kind);
		buf_add(out, items[i].data.data, items[i].data.len);
		buf_add_str(out, "\n\n");
	}
}

/* False: it is ending. */
static bool
say(struct front *front, struct peer *peer, const void *text, size_t len)
{
	peer->told_ms = front_now_ms();
	return net_reply_chunk(front->net, peer->conn, text, len) == 0;
}

void
stream_reply(struct front *front, struct peer *peer,
    const struct event_page *page)
{
	static const char hello[] = "retry: 2000\n: follow\n\n";
	struct buf *out = &front->text;
	net_conn conn = peer->conn;

	buf_clear(out);
	if (!peer->streams) {
		peer->streams = true;
		peer->opened_ms = front_now_ms();
		net_trust(front->net, conn);
		if (net_reply_begin(front->net, conn, 200, "text/event-stream",
			"X-Accel-Buffering: no\r\n") != 0)
			return;
		buf_add(out, hello, sizeof(hello) - 1);
	}
	write_page(out, page);
	if (out->failed) {
		buf_release(out);
		stream_end(front, peer);
		return;
	}
	peer->owes_more = true;
	/* What ends it is told by call_aborted. */
	(void)say(front, peer, out->data, out->len);
}

void
stream_sent(void *ctx, net_conn conn)
{
	struct front *front = ctx;
	struct peer *peer = peer_get(front, conn);

	if (peer == NULL || !peer->is_call || !peer->owes_more)
		return;
	peer->owes_more = false;
	if (front_tell(front,
		&(struct ipc_message){ .kind = WIRE_MORE,
		    .op = (uint16_t)peer->op->id,
		    .conn = conn,
		    .tag = peer->tag }) != 0)
		peer->owes_more = true; /* stream_look asks again */
}

void
stream_end(struct front *front, struct peer *peer)
{
	net_conn conn = peer->conn;

	bool whole = peer->op->id == OP_EVENTS;

	peer_free(front, peer);
	/* Events have no end of their own; a document has. */
	if (whole)
		(void)net_reply_end(front->net, conn);
	else
		net_reply_cut(front->net, conn);
}

/* The ledger keeps no stream that nobody reads. */
static void
leave(struct front *front, struct peer *peer)
{
	(void)front_tell(front,
	    &(struct ipc_message){ .kind = WIRE_ABANDONED,
		.op = (uint16_t)peer->op->id,
		.conn = peer->conn,
		.tag = peer->tag });
	stream_end(front, peer);
}

void
stream_look(struct front *front)
{
	static const char sign[] = ":\n\n";
	int64_t now_ms = front_now_ms();
	struct buf list = { 0 };
	size_t n;
	struct peer **peers = peer_list(&list, front, &n);

	for (size_t i = 0; i < n; i++) {
		struct peer *peer = peers[i];

		if (!peer->is_call || !peer->streams)
			continue;
		if (net_is_gone(front->net, peer->conn) ||
		    now_ms - peer->opened_ms > STREAM_LIFE_MS)
			leave(front, peer);
		else if (peer->owes_more)
			stream_sent(front, peer->conn);
		else if (peer->op->id == OP_EVENTS &&
		    now_ms - peer->told_ms > STREAM_SILENCE_MS)
			(void)say(front, peer, sign, sizeof(sign) - 1);
	}
	buf_release(&list);
}
