/*
 * WebSocket messages: pieces put together, and a bounded queue of what is to
 * go out. A message is written at once when nothing waits before it; the rest
 * waits for the socket to become writable.
 */
#include "shared/net/net_private.h"

#include "shared/base/err.h"
#include "shared/base/log.h"

#include <stdlib.h>
#include <string.h>

int
net_input(const uint8_t **data, size_t *len, struct net_connection *conn,
    const uint8_t *piece, size_t piece_len, bool binary)
{
	struct buf *input = &conn->input;
	size_t left = lws_remaining_packet_payload(conn->wsi);
	bool whole = left == 0 && lws_is_final_fragment(conn->wsi);

	*data = NULL;
	if (binary)
		return LWS_CLOSE_STATUS_UNACCEPTABLE_OPCODE;
	/* The header says how much is to come: no need to wait for it. */
	if (left > NET_MESSAGE_MAX ||
	    input->len + piece_len + left > NET_MESSAGE_MAX)
		return LWS_CLOSE_STATUS_MESSAGE_TOO_LARGE;
	if (whole && input->len == 0) {
		*data = piece;
		*len = piece_len;
		return 0;
	}
	size_t before = input->size;

	if (!net_input_fits(conn, piece_len))
		return 1013; /* try again later */
	input->max = NET_MESSAGE_MAX;
	buf_add(input, piece, piece_len);
	net_input_count(conn, input->size, before);
	if (input->failed)
		return LWS_CLOSE_STATUS_UNEXPECTED_CONDITION;
	if (whole) {
		*data = input->data;
		*len = input->len;
	}
	return 0;
}

void
net_input_release(struct net_connection *conn)
{
	net_input_count(conn, 0, conn->input.size);
	buf_release(&conn->input);
}

void
net_output_release(struct net_connection *conn)
{
	while (conn->first != NULL) {
		struct net_message *message = conn->first;

		conn->first = message->next;
		free(message);
	}
	conn->last = NULL;
	net_output_count(conn, 0, conn->queued_bytes);
	conn->queued_bytes = 0;
	net_writing(conn, false);
}

static int
queue(struct net_connection *conn, const void *data, size_t len)
{
	if (conn->queued_bytes + len > NET_QUEUE_MAX ||
	    !net_output_fits(conn, len))
		return ERR_FULL;
	struct net_message *message = malloc(sizeof(*message) + LWS_PRE + len);

	if (message == NULL)
		return ERR_FULL;
	message->next = NULL;
	message->len = len;
	memcpy(message->data + LWS_PRE, data, len);
	if (conn->last != NULL)
		conn->last->next = message;
	else
		conn->first = message;
	conn->last = message;
	conn->queued_bytes += len;
	net_output_count(conn, len, 0);
	if (conn->writing_since_ms == 0)
		net_writing(conn, true);
	return 0;
}

int
net_send(struct net *net, net_conn name, const void *data, size_t len)
{
	struct net_connection *conn = net_connection_get(net, name);

	if (conn == NULL || !conn->open || conn->closing ||
	    conn->kind == NET_HTTP)
		return ERR_CLOSED;
	if (len > NET_MESSAGE_MAX)
		return ERR_TOO_LARGE;
	if (conn->first == NULL && !lws_partial_buffered(conn->wsi)) {
		memcpy(net->scratch + LWS_PRE, data, len);
		if (lws_write(conn->wsi, net->scratch + LWS_PRE, len,
			LWS_WRITE_TEXT) < 0) {
			net_kill(conn);
			return ERR_CLOSED;
		}
		if (lws_partial_buffered(conn->wsi)) {
			net_writing(conn, true);
			lws_callback_on_writable(conn->wsi);
			net_schedule(net, false);
		}
		return 0;
	}
	if (queue(conn, data, len) != 0) {
		log_info("net", "dropped a slow reader: address=%s queued=%zu",
		    conn->peer->address, conn->queued_bytes);
		net_output_release(conn);
		net_kill(conn);
		return ERR_FULL;
	}
	lws_callback_on_writable(conn->wsi);
	net_schedule(net, false);
	return 0;
}

int
net_flush(struct net_connection *conn)
{
	while (conn->first != NULL && !lws_partial_buffered(conn->wsi)) {
		struct net_message *message = conn->first;

		conn->first = message->next;
		if (conn->first == NULL)
			conn->last = NULL;
		conn->queued_bytes -= message->len;
		net_output_count(conn, 0, message->len);
		net_writing(conn, true); /* it moves */
		int n = lws_write(conn->wsi, message->data + LWS_PRE,
		    message->len, LWS_WRITE_TEXT);

		free(message);
		if (n < 0)
			return -1;
	}
	if (conn->first != NULL || lws_partial_buffered(conn->wsi)) {
		lws_callback_on_writable(conn->wsi);
		return 0;
	}
	net_writing(conn, false);
	if (conn->close_code == 0)
		return 0;
	unsigned char *reason = (unsigned char *)conn->close_reason;

	lws_close_reason(conn->wsi, (enum lws_close_status)conn->close_code,
	    reason, reason != NULL ? strlen(conn->close_reason) : 0);
	conn->close_code = 0;
	/* To return -1 would close twice, and lose the close frame (README). */
	lws_set_timeout(conn->wsi, PENDING_TIMEOUT_CLOSE_SEND,
	    LWS_TO_KILL_SYNC);
	return 0;
}

void
net_close(struct net *net, net_conn name, uint16_t code, const char *reason)
{
	struct net_connection *conn = net_connection_get(net, name);

	if (conn == NULL || conn->closing)
		return;
	if (conn->kind == NET_CLIENT && !conn->open) {
		net_client_abort(conn, reason);
		return;
	}
	if (!conn->open || conn->kind == NET_HTTP) {
		net_kill(conn);
		return;
	}
	conn->closing = true;
	conn->close_code = code;
	if (reason != NULL)
		conn->close_reason = strndup(reason, NET_REASON_SIZE - 1);
	lws_set_timeout(conn->wsi, PENDING_TIMEOUT_CLOSE_SEND, NET_CLOSE_S);
	lws_callback_on_writable(conn->wsi);
	net_schedule(net, true);
}
