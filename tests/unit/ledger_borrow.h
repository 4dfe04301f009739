/*
 * Borrowing in the ledger's core, in one line each; for its unit tests and its
 * simulator. Proofs are not signed here: whether they hold is found out by the
 * process around the core. Header only.
 */
#ifndef TESTS_UNIT_LEDGER_BORROW_H
#define TESTS_UNIT_LEDGER_BORROW_H

#include "shared/journal/ticket.h"
#include "tests/unit/ledger_world.h"

#define BORROW_DAY_S 86400u
/* Of the tickets of tests. */
#define BORROW_ROW_MAX 640

/* A device as its TPM would have it. */
struct borrower {
	uint64_t device;
	uint64_t counter;
	uint64_t clock_ms;
	uint64_t resets;
};

static inline struct proof
borrower_proof(const struct borrower *borrower)
{
	return (struct proof){ .class_ = PROOF_SOFTWARE,
		.counter = borrower->counter,
		.clock_ms = borrower->clock_ms,
		.resets = borrower->resets };
}

/* A license that lends to the class of the tests. */
static inline struct license
borrow_license(const struct world *world, const char *product, uint32_t commit,
    uint32_t overage)
{
	static struct license_class classes[] = { { PROOF_TPM },
		{ PROOF_SOFTWARE } };
	struct license license = world_license(world, product, commit, overage);

	license.terms.borrow_classes = (struct record_list){ classes, 2 };
	return license;
}

static inline struct borrower
borrower_new(struct world *world, const char *name)
{
	return (struct borrower){ .device = world_device(world, name),
		.counter = 1,
		.clock_ms = 5000000,
		.resets = 2 };
}

static inline struct borrow_take
borrow_take_body(struct world *world, const struct borrower *borrower,
    const char *product, uint32_t length_s)
{
	return (struct borrow_take){
		.ask = world_checkout_body(world, product, "alice"),
		.length_s = length_s,
		.proof = borrower_proof(borrower),
	};
}

static inline int
borrow_do(struct world *world, struct command *command, uint32_t op,
    uint32_t actor, uint64_t id, const void *request)
{
	*command = world_command(world, op, actor, id, request);
	int err = world_do(world, command);

	arena_release(&command->arena);
	command->request = NULL;
	return err;
}

/* Its number; 0 when refused, with the problem in *command. */
static inline uint64_t
borrow_take_as(struct world *world, struct command *command,
    const struct borrower *borrower, const struct borrow_take *body)
{
	int err = borrow_do(world, command, OP_BORROW_TAKE, ACTOR_DEVICE,
	    borrower->device, body);

	return err == 0 ? command->reply.borrow_taken.lease : 0;
}

static inline uint64_t
borrow_take(struct world *world, const struct borrower *borrower,
    const char *product, uint32_t length_s)
{
	struct borrow_take body =
	    borrow_take_body(world, borrower, product, length_s);
	struct command command;

	return borrow_take_as(world, &command, borrower, &body);
}

static inline int
borrow_extend(struct world *world, struct command *command,
    const struct borrower *borrower, uint64_t lease, uint32_t length_s)
{
	struct borrow_extend request = { .lease = lease,
		.length_s = length_s,
		.proof = borrower_proof(borrower) };

	return borrow_do(world, command, OP_BORROW_EXTEND, ACTOR_DEVICE,
	    borrower->device, &request);
}

/* The epoch to raise to; lease 0: all. */
static inline int
borrow_prepare(struct world *world, uint64_t *epoch,
    const struct borrower *borrower, uint64_t lease)
{
	struct lease_ref ref = { lease };
	struct borrow_prepare request = { .all = lease == 0,
		.leases = { &ref, lease == 0 ? 0 : 1 },
		.proof = borrower_proof(borrower) };
	struct command command;
	int err = borrow_do(world, &command, OP_BORROW_PREPARE, ACTOR_DEVICE,
	    borrower->device, &request);

	*epoch = err == 0 ? command.reply.borrow_prepared.epoch : 0;
	return err;
}

static inline int
borrow_prove(struct world *world, struct borrow_returned *returned,
    const struct borrower *borrower)
{
	struct borrow_return request = { .proof = borrower_proof(borrower) };
	struct command command;
	int err = borrow_do(world, &command, OP_BORROW_RETURN, ACTOR_DEVICE,
	    borrower->device, &request);

	*returned = err == 0 ? command.reply.borrow_returned
			     : (struct borrow_returned){ 0 };
	return err;
}

static inline int
borrow_write_off(struct world *world, struct command *command, uint64_t lease,
    bool overage)
{
	struct borrow_write_off request = { lease, overage };

	return borrow_do(world, command, OP_BORROW_WRITE_OFF, ACTOR_ADMIN, 7,
	    &request);
}

/* The tickets of a device, all pages, each checked as its keeper would. */
struct borrow_ticket {
	uint64_t lease;
	struct row_ticket ticket;
	uint32_t count;
	uint64_t row_number;
	uint32_t generation;
	uint8_t row[BORROW_ROW_MAX];
	uint32_t row_len;
};
static inline uint32_t
borrow_tickets(struct borrow_ticket *out, uint32_t max,
    struct borrow_tickets *last, struct world *world, uint64_t device)
{
	struct borrow_mine query = { .after = 0 };
	struct arena arena = { .chunks = NULL };
	struct ledger_view *view;
	uint32_t n = 0;

	world_must(ledger_view_open(&view, world->ledger) == 0);
	do {
		world_must(
		    ledger_tickets(last, view, device, &query, &arena) == 0);
		const struct borrow_evidence *items = last->items.items;

		for (uint32_t i = 0; i < last->items.count; i++) {
			const struct borrow_evidence *e = &items[i];
			struct journal_header header;
			uint8_t head[32];
			struct row row;

			world_must(
			    journal_header_verify(&header, head, e->header.data,
				e->header.len, world->site_public) == 0);
			world_must(journal_row_verify(&header, e->row_number,
				       e->row.data, e->row.len, e->path.data,
				       e->path.len / MERKLE_BYTES) == 0);
			world_must(row_read(&row, e->row_number, e->row.data,
				       e->row.len, &arena) == 0);
			world_must(row.kind == ROW_BORROWED ||
			    row.kind == ROW_BORROW_REISSUED);
			world_must(ticket_is_sound(&row.u.borrowed));
			world_must(row.u.borrowed.grant.lease == e->lease);
			world_must(row.u.borrowed.grant.device == device);
			world_must(n < max && e->row.len <= BORROW_ROW_MAX);
			struct borrow_ticket *ticket = &out[n++];

			ticket->lease = e->lease;
			ticket->ticket = row.u.borrowed.ticket;
			ticket->count = row.u.borrowed.grant.count;
			ticket->row_number = e->row_number;
			ticket->generation = header.generation;
			ticket->row_len = e->row.len;
			memcpy(ticket->row, e->row.data, e->row.len);
		}
		query.after = last->next;
	} while (last->next != 0);
	ledger_view_close(view);
	arena_release(&arena);
	return n;
}

/* Has the device a ticket for this borrow at this epoch? */
static inline bool
borrow_has(struct world *world, uint64_t device, uint64_t lease, uint64_t epoch)
{
	struct borrow_ticket tickets[2 * BORROW_DEVICE_MAX];
	struct borrow_tickets last;
	uint32_t n = borrow_tickets(tickets, 2 * BORROW_DEVICE_MAX, &last,
	    world, device);

	for (uint32_t i = 0; i < n; i++)
		if (tickets[i].lease == lease &&
		    tickets[i].ticket.epoch == epoch)
			return true;
	return false;
}

/* Seats of a product's pool that are free to be taken. */
static inline uint32_t
world_seats_free(struct world *world, const char *product)
{
	struct ledger_view *view;
	struct ledger_pool pool;

	world_must(ledger_view_open(&view, world->ledger) == 0);
	world_must(ledger_pool(&pool, view, product, "", world->now) == 0);
	ledger_view_close(view);
	return pool.free;
}

#endif
