#include "appliance/ledger/documents.h"

#include "appliance/ledger/inside.h"

#include "shared/base/err.h"
#include "shared/base/log.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* --- writing ---------------------------------------------------------------- */

void
document_begin(struct document *document, const char *folder)
{
	*document = (struct document){ .folder = folder, .fd = -1 };
}

static int
put(struct document *document, struct buf *out)
{
	int err = out->failed ? ERR_NOMEM : 0;

	if (err == 0 && document->fd < 0) {
		err = spool_file(&document->fd, document->folder);
		document->at = document->end = DOCUMENT_HEAD_MAX;
	}
	if (err == 0 && out->len > 0)
		err = spool_write_at(document->fd, out->data, out->len,
		    document->end);
	if (err == 0)
		document->end += out->len;
	buf_clear(out);
	return err;
}

int
document_write(struct document *document, struct buf *out)
{
	return out->len < DOCUMENT_PIECE && !out->failed ? 0
							 : put(document, out);
}

int
document_end(struct document *document, const struct buf *head, struct buf *out)
{
	if (head->failed || head->len > DOCUMENT_HEAD_MAX)
		return ERR_NOMEM;
	if (document->fd < 0 && head->len + out->len <= DOCUMENT_PIECE) {
		buf_add(&document->text, head->data, head->len);
		buf_add(&document->text, out->data, out->len);
		return out->failed || document->text.failed ? ERR_NOMEM : 0;
	}
	int err = put(document, out);

	if (err == 0 && head->len > 0) {
		document->at -= head->len;
		err = spool_write_at(document->fd, head->data, head->len,
		    document->at);
	}
	return err;
}

void
document_release(struct document *document)
{
	if (document->fd >= 0)
		close(document->fd);
	document->fd = -1;
	buf_release(&document->text);
}

/* --- sending ---------------------------------------------------------------- */

struct sending {
	uint64_t serial;
	const struct front *front;
	uint64_t conn, tag;
	uint16_t op;
	uint32_t format;
	struct document document;
};

static struct sending *
find(const struct front *front, uint64_t conn, uint64_t tag)
{
	struct sending *sending;
	size_t at = 0;

	while ((sending = table_next(&front->process->documents, &at)) != NULL)
		if (sending->front == front && sending->conn == conn &&
		    sending->tag == tag)
			return sending;
	return NULL;
}

static void
free_sending(struct process *process, struct sending *sending)
{
	table_remove(&process->documents, sending->serial);
	document_release(&sending->document);
	free(sending);
}

/* The next piece, which `data` has room for. */
static int
read_piece(struct billing_document *piece, struct document *document,
    uint8_t *data)
{
	uint64_t left = document->end - document->at;
	size_t len = left < DOCUMENT_PIECE ? (size_t)left : DOCUMENT_PIECE;
	size_t done = 0, got = 1;
	int err = 0;

	while (err == 0 && done < len && got > 0) {
		err = spool_read_at(&got, document->fd, data + done, len - done,
		    document->at + done);
		done += got;
	}
	if (err == 0 && done < len)
		err = ERR_IO;
	document->at += len;
	piece->data = (struct record_span){ data, (uint32_t)len };
	piece->more = document->at < document->end;
	return err;
}

bool
documents_fit(const struct process *process)
{
	return process->documents.count < DOCUMENTS_MAX;
}

void
documents_refuse(struct call *call)
{
	problem_set(&call->write.command.problem, ERR_UNAVAILABLE,
	    "ask again in a while",
	    "%d long documents are on their way already", DOCUMENTS_MAX);
}

/* Its front, which asks for the rest of it. */
static int
keep(struct call *call, struct document *document)
{
	struct process *process = call->process;
	const struct front *front = front_by_serial(process, call->front);
	const struct billing_document *reply = call->reply;

	if (front == NULL)
		return ERR_CLOSED;
	/* Others were written since this one was begun. */
	if (!documents_fit(process)) {
		documents_refuse(call);
		return ERR_UNAVAILABLE;
	}
	struct sending *sending = calloc(1, sizeof(*sending));

	if (sending == NULL)
		return ERR_NOMEM;
	*sending = (struct sending){ .serial = ++process->next_stream,
		.front = front,
		.conn = call->conn,
		.tag = call->tag,
		.op = (uint16_t)call->op->id,
		.format = reply->format,
		.document = *document };
	if (table_put(&process->documents, sending->serial, sending) != 0) {
		free(sending);
		return ERR_NOMEM;
	}
	document->fd = -1;
	return 0;
}

void
documents_answer(struct call *call, struct document *document)
{
	struct billing_document *reply = call->reply;
	/* What `document` points at goes with the call. */
	struct document taken = *document;
	uint8_t *data;
	int err = 0;

	if (taken.fd < 0) {
		reply->data = (struct record_span){ taken.text.data,
			(uint32_t)taken.text.len };
	} else {
		data = arena_alloc(&call->arena, DOCUMENT_PIECE);
		err =
		    data == NULL ? ERR_NOMEM : read_piece(reply, &taken, data);
		if (err == 0 && reply->more)
			err = keep(call, &taken);
	}
	call->write.command.err = err;
	call_answer(call);
	document_release(&taken);
}

static void
send_piece(struct front *front, const struct sending *sending,
    const struct billing_document *piece)
{
	struct buf *out = &front->process->out;

	buf_clear(out);
	record_write_msgpack(out, &billing_document_record, piece);
	front_send(front,
	    &(struct ipc_message){
		.kind = out->failed ? WIRE_END : WIRE_REPLY,
		.op = sending->op,
		.conn = sending->conn,
		.tag = sending->tag,
		.payload = out->failed ? NULL : out->data,
		.len = out->failed ? 0 : (uint32_t)out->len,
	    });
	if (out->failed)
		buf_release(out);
}

void
documents_more(const struct front *front, uint64_t conn, uint64_t tag)
{
	struct sending *sending = find(front, conn, tag);
	struct process *process = front->process;
	struct front *to = front_by_serial(process, front->serial);
	uint8_t *data;

	if (sending == NULL || to == NULL)
		return;
	struct billing_document piece = { .format = sending->format };

	data = malloc(DOCUMENT_PIECE);
	if (data != NULL && read_piece(&piece, &sending->document, data) == 0) {
		send_piece(to, sending, &piece);
	} else {
		/* It ends in the middle, and its reader sees that it does. */
		log_error("ledger", "a document cannot be read any more");
		front_send(to,
		    &(struct ipc_message){ .kind = WIRE_END,
			.op = sending->op,
			.conn = conn,
			.tag = tag });
		piece.more = false;
	}
	free(data);
	if (!piece.more)
		free_sending(process, sending);
}

/* --- ends ------------------------------------------------------------------- */

void
documents_abandoned(const struct front *front, uint64_t conn, uint64_t tag)
{
	struct sending *sending = find(front, conn, tag);

	if (sending != NULL)
		free_sending(front->process, sending);
}

void
documents_close_front(const struct front *front)
{
	struct sending *sending;
	size_t at = 0;

	/* Freeing one changes the table: begin anew each time. */
	while (
	    (sending = table_next(&front->process->documents, &at)) != NULL) {
		if (sending->front != front)
			continue;
		free_sending(front->process, sending);
		at = 0;
	}
}

void
documents_release(struct process *process)
{
	struct sending *sending;
	size_t at = 0;

	while ((sending = table_next(&process->documents, &at)) != NULL) {
		document_release(&sending->document);
		free(sending);
	}
	table_release(&process->documents);
}
