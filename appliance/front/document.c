/* Answers that are documents: a short one whole, a long one in pieces, by the way
 * of streams (stream.c). */
#include "appliance/front/inside.h"

#include <string.h>

static const char *
document_headers(uint32_t format)
{
	static const char *const headers[] = {
		[BILLING_AS_CSV] = "Content-Disposition: attachment; "
				   "filename=\"statement.csv\"\r\n",
		[BILLING_AS_PDF] = "Content-Disposition: attachment; "
				   "filename=\"statement.pdf\"\r\n",
		[BILLING_AS_TEXT] = NULL,
		[BILLING_AS_JSON] = NULL,
		[BILLING_AS_INVOICE] = NULL,
	};

	return headers[format];
}

void
document_reply(struct front *front, net_conn conn,
    const struct billing_document *document)
{
	(void)net_reply(front->net, conn, 200,
	    billing_format_types[document->format],
	    document_headers(document->format), document->data.data,
	    document->data.len);
}

bool
document_is_long(const struct peer *peer,
    const struct billing_document *document)
{
	return peer->streams || document->more;
}

/* The next one comes once this one is with the kernel. */
void
document_piece(struct front *front, struct peer *peer,
    const struct billing_document *piece)
{
	net_conn conn = peer->conn;
	int err = 0;

	if (!peer->streams) {
		net_trust(front->net, conn);
		front->limits = peer->limits;
		peer->streams = true;
		peer->opened_ms = front_now_ms();
		err = net_reply_begin(front->net, conn, 200,
		    billing_format_types[piece->format],
		    document_headers(piece->format));
		memset(&front->limits, 0, sizeof(front->limits));
	}
	peer->told_ms = front_now_ms();
	peer->owes_more = piece->more;
	if (err == 0)
		err = net_reply_chunk(front->net, conn, piece->data.data,
		    piece->data.len);
	/* It may have ended meanwhile: call_aborted. */
	peer = peer_get(front, conn);
	if (peer == NULL || !peer->is_call)
		return;
	if (err != 0 && piece->more) {
		call_abandon(front, peer);
	} else if (!piece->more) {
		peer_free(front, peer);
		(void)net_reply_end(front->net, conn);
	}
}
