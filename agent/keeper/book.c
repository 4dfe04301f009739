#include "agent/keeper/book.h"

#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/log.h"

#include <stdlib.h>
#include <string.h>

/* Twice the most tickets with the longest rows, in base64. */
#define BOOK_BYTES_MAX ((size_t)6 << 20)

/* --- the file ------------------------------------------------------------- */

struct book_ticket {
	struct borrow_evidence evidence;
	uint32_t uid;
};
struct book_file {
	struct record_list tickets; /* book_ticket */
	uint8_t taking[REQUEST_BYTES];
	uint32_t taker;
	bool returning;
	bool all;
	struct record_list leases; /* lease_ref */
	uint64_t target;
};

static const struct record_field book_ticket_fields[] = {
	R_STRUCT(book_ticket, evidence, &borrow_evidence_record, 0,
	    "The ticket, and that the site signed it."),
	R_U32(book_ticket, uid, 0, UINT32_MAX, 0,
	    "Whose it is; 0: everybody's."),
};
static RECORD_DEFINE(book_ticket, 1, "A ticket of this workstation.");

static const struct record_field book_file_fields[] = {
	R_LIST(book_file, tickets, &book_ticket_record, 0,
	    2 * BORROW_DEVICE_MAX, 0, "Tickets."),
	R_FIXED(book_file, taking, RECORD_OPTIONAL,
	    "The last request for more; absent: none."),
	R_U32(book_file, taker, 0, UINT32_MAX, RECORD_OPTIONAL, "Whose."),
	R_BOOL(book_file, returning, RECORD_OPTIONAL, "A return was begun."),
	R_BOOL(book_file, all, RECORD_OPTIONAL, "Of all borrows."),
	R_LIST(book_file, leases, &lease_ref_record, 0, BORROW_DEVICE_MAX,
	    RECORD_OPTIONAL, "Or of these."),
	R_U64(book_file, target, 0, U53_MAX, RECORD_OPTIONAL,
	    "What the counter may be raised to; absent: not yet."),
};
static RECORD_DEFINE(book_file, 1, "What this workstation has borrowed.");

static struct record_span
span_of(const struct buf *buf)
{
	return (struct record_span){ buf->data, (uint32_t)buf->len };
}

int
book_write(const struct book *book, const struct files *files)
{
	struct book_ticket tickets[2 * BORROW_DEVICE_MAX];
	struct lease_ref leases[BORROW_DEVICE_MAX];
	struct book_file file = { .tickets = { tickets, 0 },
		.taker = book->taker,
		.returning = book->returning,
		.all = book->all,
		.leases = { leases, book->n_leases },
		.target = book->target };
	const struct ticket *ticket;

	memcpy(file.taking, book->taking, sizeof(file.taking));
	TAILQ_FOREACH(ticket, &book->tickets, entry)
		tickets[file.tickets.count++] = (struct book_ticket){
			.evidence = { .lease = ticket->lease,
			    .row_number = ticket->row_number,
			    .row = span_of(&ticket->row),
			    .path = span_of(&ticket->path),
			    .header = span_of(&ticket->header) },
			.uid = ticket->uid,
		};
	for (uint32_t i = 0; i < book->n_leases; i++)
		leases[i].lease = book->leases[i];
	return files_write_record(files, "borrows.json", &book_file_record,
	    &file);
}

static int
take_file(struct book *book, const struct book_file *file)
{
	const struct book_ticket *tickets = file->tickets.items;
	const struct lease_ref *leases = file->leases.items;
	int err = 0;

	memcpy(book->taking, file->taking, sizeof(book->taking));
	book->taker = file->taker;
	book->returning = file->returning;
	book->all = file->all;
	book->target = file->target;
	for (uint32_t i = 0; i < file->leases.count; i++)
		book->leases[book->n_leases++] = leases[i].lease;
	for (uint32_t i = 0; i < file->tickets.count && err == 0; i++)
		err = book_add(book, &tickets[i].evidence, tickets[i].uid);
	return err;
}

int
book_read(struct book *book, const struct files *files)
{
	struct arena arena = { .max_bytes = 2 * BOOK_BYTES_MAX };
	struct book_file file;
	int err = files_read_record(&file, files, "borrows.json",
	    &book_file_record, BOOK_BYTES_MAX, &arena);

	if (err == 0)
		err = take_file(book, &file);
	arena_release(&arena);
	if (err == ERR_CORRUPT)
		log_error("keeper",
		    "borrows.json holds a ticket that is none; the site tells "
		    "again what is borrowed");
	return err == ERR_NOT_FOUND ? 0 : err;
}

void
book_remove(const struct files *files)
{
	files_remove_record(files, "borrows.json");
}

/* --- in memory ------------------------------------------------------------ */

void
book_init(struct book *book)
{
	*book = (struct book){ .n = 0 };
	TAILQ_INIT(&book->tickets);
}

static void
ticket_free(struct ticket *ticket)
{
	if (ticket == NULL)
		return;
	buf_release(&ticket->row);
	buf_release(&ticket->path);
	buf_release(&ticket->header);
	free(ticket);
}

static void
clear(struct book *book)
{
	struct ticket *ticket;

	while ((ticket = TAILQ_FIRST(&book->tickets)) != NULL) {
		TAILQ_REMOVE(&book->tickets, ticket, entry);
		ticket_free(ticket);
	}
	book->n = 0;
}

void
book_release(struct book *book)
{
	clear(book);
}

static int
read_row(struct ticket *ticket, const struct borrow_evidence *evidence)
{
	struct arena arena = { .max_bytes = 1 << 17 };
	struct row row;
	const struct row_borrowed *r = &row.u.borrowed;
	int err = row_read(&row, evidence->row_number, evidence->row.data,
	    evidence->row.len, &arena);

	if (err == ERR_UNKNOWN_ROW ||
	    (err == 0 &&
		((row.kind != ROW_BORROWED &&
		     row.kind != ROW_BORROW_REISSUED) ||
		    !ticket_is_sound(r) || r->grant.lease != evidence->lease)))
		err = ERR_CORRUPT;
	if (err == 0) {
		ticket->device = r->grant.device;
		memcpy(ticket->request, r->grant.request,
		    sizeof(ticket->request));
		memcpy(ticket->product, r->grant.product,
		    sizeof(ticket->product));
		memcpy(ticket->version, r->grant.version,
		    sizeof(ticket->version));
		memcpy(ticket->feature, r->grant.feature,
		    sizeof(ticket->feature));
		memcpy(ticket->license, r->grant.license_digest,
		    sizeof(ticket->license));
		ticket->count = r->grant.count;
		ticket->type = r->grant.type;
		ticket->prove_s = r->grant.ttl_s;
		ticket->ticket = r->ticket;
		ticket->ticket.public_key = (struct record_span){ NULL, 0 };
	}
	arena_release(&arena);
	return err;
}

int
book_add(struct book *book, const struct borrow_evidence *evidence,
    uint32_t uid)
{
	struct ticket *ticket = calloc(1, sizeof(*ticket));

	if (ticket == NULL)
		return ERR_NOMEM;
	ticket->lease = evidence->lease;
	ticket->row_number = evidence->row_number;
	ticket->uid = uid;
	buf_add(&ticket->row, evidence->row.data, evidence->row.len);
	buf_add(&ticket->path, evidence->path.data, evidence->path.len);
	buf_add(&ticket->header, evidence->header.data, evidence->header.len);
	int err =
	    ticket->row.failed || ticket->path.failed || ticket->header.failed
	    ? ERR_NOMEM
	    : read_row(ticket, evidence);

	if (err == 0 && book->n == 2 * BORROW_DEVICE_MAX)
		err = ERR_FULL;
	if (err < 0) {
		ticket_free(ticket);
		return err;
	}
	TAILQ_INSERT_TAIL(&book->tickets, ticket, entry);
	book->n++;
	return 0;
}

void
book_replace(struct book *book, struct book *from)
{
	clear(book);
	TAILQ_CONCAT(&book->tickets, &from->tickets, entry);
	book->n = from->n;
	from->n = 0;
}

bool
book_give_back(struct book *book, uint64_t lease)
{
	bool known = false;

	for (uint32_t i = 0; i < book->n_leases; i++)
		known = known || book->leases[i] == lease;
	if (!known && book->n_leases == BORROW_DEVICE_MAX)
		return false;
	if (!known)
		book->leases[book->n_leases++] = lease;
	book->returning = true;
	book->target = 0;
	return true;
}

static void
drop_below(struct book *book, uint64_t counter)
{
	struct ticket *ticket, *next;

	for (ticket = TAILQ_FIRST(&book->tickets); ticket != NULL;
	     ticket = next) {
		next = TAILQ_NEXT(ticket, entry);
		if (ticket->ticket.epoch >= counter)
			continue;
		TAILQ_REMOVE(&book->tickets, ticket, entry);
		ticket_free(ticket);
		book->n--;
	}
}

void
book_finish(struct book *book, uint64_t counter)
{
	book->returning = book->all = false;
	book->n_leases = 0;
	book->target = 0;
	drop_below(book, counter);
}

struct ticket *
book_find(const struct book *book, uint64_t lease, uint64_t counter)
{
	struct ticket *ticket;

	TAILQ_FOREACH(ticket, &book->tickets, entry)
		if (ticket->lease == lease && ticket->ticket.epoch == counter)
			return ticket;
	return NULL;
}

struct ticket *
book_find_any(const struct book *book, uint64_t lease)
{
	struct ticket *ticket;

	TAILQ_FOREACH(ticket, &book->tickets, entry)
		if (ticket->lease == lease)
			return ticket;
	return NULL;
}

bool
book_is_over(const struct ticket *ticket)
{
	return ticket->over || ticket->ticket.until <= clock_wall_ms();
}

bool
book_is_due(const struct book *book)
{
	const struct ticket *ticket;
	bool due = book->returning;

	TAILQ_FOREACH(ticket, &book->tickets, entry)
		due = due || book_is_over(ticket);
	return due;
}

bool
book_returns(const struct book *book, uint64_t lease)
{
	if (!book->returning)
		return false;
	for (uint32_t i = 0; i < book->n_leases; i++)
		if (book->leases[i] == lease)
			return true;
	return book->all;
}

uint64_t
book_highest(const struct book *book)
{
	const struct ticket *ticket;
	uint64_t highest = 0;

	TAILQ_FOREACH(ticket, &book->tickets, entry)
		if (ticket->ticket.epoch > highest)
			highest = ticket->ticket.epoch;
	return highest;
}
