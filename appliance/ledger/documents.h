/*
 * Answers that are documents, of any length. One that is short is a buffer; what
 * is longer lies in a file without a name while it is written and sent, a piece
 * at a time, the next once the last is with the kernel: a slow reader costs a
 * file, and no memory. Its front asks (WIRE_MORE), or says that nobody reads it
 * any more. It must not know what is in them.
 */
#ifndef APPLIANCE_LEDGER_DOCUMENTS_H
#define APPLIANCE_LEDGER_DOCUMENTS_H

#include "shared/base/buf.h"

#include <stdint.h>

/** Bytes that are written and sent at once: a front queues no more. */
#define DOCUMENT_PIECE ((size_t)32 << 10)
/** On their way at once, in files. */
#define DOCUMENTS_MAX 32
/** Of what comes first, and is written last. */
#define DOCUMENT_HEAD_MAX 1024

/** While it is written; on any one thread. */
struct document {
	const char *folder;
	int fd; /* -1: it is short so far */
	struct buf text; /* a short one */
	uint64_t at, end; /* in the file */
};

void document_begin(struct document *document, const char *folder);
/** Takes what is in `out`, and clears it, once that is worth it. */
int document_write(struct document *document, struct buf *out);
/** Takes what is left, and what comes before all of it. */
int document_end(struct document *document, const struct buf *head,
    struct buf *out);
/** On any thread, as long as nobody sends it. */
void document_release(struct document *document);

/* --- in the loop ------------------------------------------------------------- */

struct call;
struct front;
struct process;

/** Answer a call, whose reply is a billing_document (its format set), with a
 * document, which is taken. */
void documents_answer(struct call *call, struct document *document);
/** Is there room for one more? */
bool documents_fit(const struct process *process);
/** The words for it, where there is not. */
void documents_refuse(struct call *call);
/** WIRE_MORE: the last piece is out. */
void documents_more(const struct front *front, uint64_t conn, uint64_t tag);
/** Nobody reads it any more. */
void documents_abandoned(const struct front *front, uint64_t conn,
    uint64_t tag);
void documents_close_front(const struct front *front);
void documents_release(struct process *process);

#endif
