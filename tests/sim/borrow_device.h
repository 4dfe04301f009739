/*
 * A device that borrows, for the simulator of borrows: a TPM that nobody can
 * put back, a disk that anybody can, and the steps of a return as DESIGN 9 asks
 * for them, each of which may be the last one before a crash. Whatever is said
 * to the site may be lost on the way there or back, and the site may die at
 * each step of its commit. Header only; one simulator includes it.
 */
#ifndef TESTS_SIM_BORROW_DEVICE_H
#define TESTS_SIM_BORROW_DEVICE_H

#include "tests/unit/ledger_borrow.h"

#define DEVICES 5
#define PRODUCT "davinci"
#define SEATS 7
#define TICKETS_MAX 8192
#define LEASES_MAX 8
#define RESET_LOST 3

/** The row of a ticket, as it was journaled. */
struct ticket_row {
	uint64_t row_number;
	uint32_t generation;
	bool lost; /* of a branch that was */
	uint32_t len;
	uint8_t row[BORROW_ROW_MAX];
};

/** A ticket as the device has it, or ever had. */
struct kept {
	uint64_t lease;
	uint32_t count;
	struct row_ticket ticket; /* its public_key is not looked at */
	uint64_t row_number; /* in the journal of that generation */
	uint32_t generation;
};

/** What a crash leaves, and an attacker may put back. */
struct disk {
	struct kept tickets[2 * BORROW_DEVICE_MAX];
	uint32_t n;
	bool returning; /* a return was begun */
	bool all;
	uint64_t leases[LEASES_MAX]; /* those that come back */
	uint32_t n_leases;
	uint64_t target; /* replacements for it are stored; 0: not yet */
};

struct device {
	struct borrower tpm;
	struct disk disk;
	struct disk old; /* a snapshot */
	bool restored; /* the disk was put back: what it says may be wrong */
	bool revoked;
	/** The site's journal was put back, and it has not shown yet what it
	 * has of the branch that was lost. */
	bool owes_show;
	/** What it could use then, and has not given back since: it keeps it. */
	struct kept must[2 * BORROW_DEVICE_MAX];
	uint32_t n_must;
	bool asked; /* a take whose answer is not known */
	struct borrow_take body;
	struct kept ever[TICKETS_MAX]; /* every ticket that was journaled */
	uint32_t n_ever;
	struct borrow_file file; /* made offline, not brought yet */
	bool has_file;
};

enum outcome { DONE, CRASHED, LOST, REFUSED };

struct sim {
	struct world world;
	uint64_t seed, prng[2];
	struct device devices[DEVICES];
	/* What goes wrong: one chance in so many, or exactly the n-th. */
	uint32_t fail_in;
	int64_t fail_at; /* -1: not so */
	int64_t chances;
	const char *fault; /* step of the next commit */
	uint64_t held[64]; /* leases of others, who take all there is */
	uint32_t n_held;
	uint64_t other;
	/* Of the site's journal, where it may be put back. */
	uint32_t generation; /* 0: it is not */
	uint64_t copy_rows; /* the copy's next row */
	uint64_t put_backs, adopted;
	struct ticket_row rows[TICKETS_MAX];
	uint32_t n_rows;
	uint64_t copy_held[64];
	uint32_t copy_n_held;
	uint64_t steps, crashes, lost, takes, ends, written_off, files,
	    restores;
};

void sim_fail(const struct sim *sim, int line, const char *what)
    __attribute__((noreturn));
#define sim_must(sim, x)                               \
	do {                                           \
		if (!(x))                              \
			sim_fail((sim), __LINE__, #x); \
	} while (0)

uint64_t sim_random(struct sim *sim);
uint32_t sim_below(struct sim *sim, uint32_t n);

/* Does it go wrong here? */
static inline bool
chance(struct sim *sim)
{
	int64_t n = sim->chances++;

	if (sim->fail_at >= 0)
		return n == sim->fail_at;
	return sim->fail_in != 0 && sim_below(sim, sim->fail_in) == 0;
}

/* --- the site ------------------------------------------------------------- */

static inline void
keep_row(struct sim *sim, uint64_t number, uint32_t generation,
    const uint8_t *row, size_t len)
{
	for (uint32_t i = 0; i < sim->n_rows; i++)
		if (sim->rows[i].row_number == number &&
		    sim->rows[i].generation == generation)
			return;
	sim_must(sim, sim->n_rows < TICKETS_MAX && len <= BORROW_ROW_MAX);
	struct ticket_row *kept = &sim->rows[sim->n_rows++];

	*kept = (struct ticket_row){ .row_number = number,
		.generation = generation,
		.len = (uint32_t)len };
	memcpy(kept->row, row, len);
}

/* Whom the world's commits tell of their rows: tickets are copied by who could
 * ever have read them, answers lost or not. */
static inline void
saw_row(void *ctx, const struct row *row, int64_t time)
{
	struct sim *sim = ctx;

	(void)time;
	if (row->kind == ROW_BORROW_ENDED)
		sim->ends++;
	for (size_t i = 0; i < DEVICES; i++)
		if (row->kind == ROW_DEVICE_REVOKED &&
		    row->u.device_revoked.device == sim->devices[i].tpm.device)
			sim->devices[i].revoked = true;
	if (row->kind != ROW_BORROWED && row->kind != ROW_BORROW_REISSUED)
		return;
	if (sim->generation != 0) {
		struct buf bytes = { 0 };

		row_write(&bytes, row);
		keep_row(sim, row->number, sim->generation, bytes.data,
		    bytes.len);
		buf_release(&bytes);
	}
	for (size_t i = 0; i < DEVICES; i++) {
		struct device *device = &sim->devices[i];

		if (device->tpm.device != row->u.borrowed.grant.device)
			continue;
		sim_must(sim, device->n_ever < TICKETS_MAX);
		device->ever[device->n_ever++] =
		    (struct kept){ row->u.borrowed.grant.lease,
			    row->u.borrowed.grant.count, row->u.borrowed.ticket,
			    row->number, sim->generation };
	}
}

static inline struct kept
kept_of(const struct borrow_ticket *ticket)
{
	return (struct kept){ ticket->lease, ticket->count, ticket->ticket,
		ticket->row_number, ticket->generation };
}

/* Nobody was told of the batch that the site died after. */
static inline void
look_again(struct sim *sim)
{
	struct borrow_ticket tickets[2 * BORROW_DEVICE_MAX];
	struct borrow_tickets last;

	for (size_t i = 0; i < DEVICES; i++) {
		struct device *device = &sim->devices[i];
		struct ledger_device known;
		struct arena arena = { .chunks = NULL };
		struct ledger_view *view;
		uint32_t n = borrow_tickets(tickets, 2 * BORROW_DEVICE_MAX,
		    &last, &sim->world, device->tpm.device);

		sim_must(sim, device->n_ever + n <= TICKETS_MAX);
		for (uint32_t j = 0; j < n; j++) {
			device->ever[device->n_ever++] = kept_of(&tickets[j]);
			if (sim->generation != 0)
				keep_row(sim, tickets[j].row_number,
				    tickets[j].generation, tickets[j].row,
				    tickets[j].row_len);
		}
		world_must(ledger_view_open(&view, sim->world.ledger) == 0);
		device->revoked =
		    ledger_device(&known, view, device->tpm.device, &arena) ==
		    ERR_DEVICE_REVOKED;
		ledger_view_close(view);
		arena_release(&arena);
	}
}

static inline int
sim_fault(void *ctx, const char *step)
{
	struct sim *sim = ctx;

	if (sim->fault == NULL || strcmp(step, sim->fault) != 0)
		return 0;
	sim->fault = NULL;
	return ERR_IO;
}

/* One command. LOST: it may have happened or not. */
static inline enum outcome
call(struct sim *sim, struct command *command, uint32_t op, uint32_t actor,
    uint64_t id, const void *request)
{
	static const char *const steps[] = { "begin", "decide", "fold",
		"append", "commit", "committed" };
	struct ledger_observer observer = { sim, saw_row };

	if (chance(sim)) { /* it never arrives */
		sim->lost++;
		return LOST;
	}
	for (size_t i = 0; i < 6 && sim->fault == NULL; i++)
		if (chance(sim))
			sim->fault = steps[i];
	*command = world_command(&sim->world, op, actor, id, request);
	/* Its session began with a proof. */
	for (size_t i = 0; i < DEVICES && actor == ACTOR_DEVICE; i++)
		if (sim->devices[i].tpm.device == id)
			command->counter = sim->devices[i].tpm.counter;
	int err = ledger_commit(sim->world.ledger, &command, 1, sim->world.now,
	    &observer);
	bool died = err == ERR_IO;

	sim->fault = NULL;
	arena_release(&command->arena);
	if (died) {
		sim->crashes++;
		world_reopen(&sim->world);
		look_again(sim);
		return LOST;
	}
	sim_must(sim, err == 0);
	if (chance(sim)) { /* the answer does not */
		sim->lost++;
		return LOST;
	}
	return command->err == 0 ? DONE : REFUSED;
}

/* --- the disk ------------------------------------------------------------- */

/* Whole or not at all, and then perhaps a crash. */
static inline enum outcome
disk_write(struct sim *sim, struct device *device, const struct disk *disk)
{
	if (chance(sim))
		return CRASHED;
	device->disk = *disk;
	return chance(sim) ? CRASHED : DONE;
}

static inline bool
disk_has(const struct disk *disk, uint64_t lease, uint64_t epoch)
{
	for (uint32_t i = 0; i < disk->n; i++)
		if (disk->tickets[i].lease == lease &&
		    disk->tickets[i].ticket.epoch == epoch)
			return true;
	return false;
}

static inline bool
disk_returns(const struct disk *disk, uint64_t lease)
{
	for (uint32_t i = 0; i < disk->n_leases; i++)
		if (disk->leases[i] == lease)
			return true;
	return disk->returning && disk->all;
}

/* The site has the proof: what is below is over. */
static inline void
disk_finish(struct disk *disk, uint64_t counter)
{
	uint32_t n = 0;

	disk->returning = disk->all = false;
	disk->n_leases = 0;
	disk->target = 0;
	for (uint32_t i = 0; i < disk->n; i++)
		if (disk->tickets[i].ticket.epoch >= counter)
			disk->tickets[n++] = disk->tickets[i];
	disk->n = n;
}

/* --- steps ---------------------------------------------------------------- */

/* Fetch what the site has for it, and store that in place of what it knew. */
static inline enum outcome
fetch(struct sim *sim, struct device *device, struct disk *disk,
    struct borrow_tickets *last)
{
	struct borrow_ticket tickets[2 * BORROW_DEVICE_MAX];

	if (chance(sim))
		return LOST;
	uint32_t n = borrow_tickets(tickets, 2 * BORROW_DEVICE_MAX, last,
	    &sim->world, device->tpm.device);

	disk->n = 0;
	for (uint32_t i = 0; i < n; i++)
		disk->tickets[disk->n++] = kept_of(&tickets[i]);
	return DONE;
}

/* In the middle of another one: a target of which no answer came left tickets
 * that this proof did not end. */
static inline bool
is_left(const struct disk *disk, uint32_t left, uint64_t counter)
{
	if (disk->all)
		return left > 0;
	for (uint32_t i = 0; i < disk->n; i++)
		if (disk_returns(disk, disk->tickets[i].lease) &&
		    disk->tickets[i].ticket.epoch >= counter)
			return true;
	return false;
}

/* Done, or *again: there is another round to go. */
static inline enum outcome
prove(struct sim *sim, struct device *device, bool *again)
{
	struct borrow_return request = {
		.proof = borrower_proof(&device->tpm),
	};
	struct command command;
	struct disk disk = device->disk;
	enum outcome outcome = call(sim, &command, OP_BORROW_RETURN,
	    ACTOR_DEVICE, device->tpm.device, &request);

	if (outcome != DONE)
		return outcome;
	*again = is_left(&disk, command.reply.borrow_returned.left,
	    device->tpm.counter);
	if (*again)
		disk.target = 0;
	else
		disk_finish(&disk, device->tpm.counter);
	return disk_write(sim, device, &disk);
}

static inline enum outcome
go_on_once(struct sim *sim, struct device *device, bool *again)
{
	struct disk disk = device->disk;
	struct borrow_tickets last;
	struct command command;
	enum outcome outcome;

	if (disk.target == 0) {
		struct lease_ref refs[LEASES_MAX];
		struct borrow_prepare request = { .all = disk.all,
			.leases = { refs, disk.n_leases },
			.proof = borrower_proof(&device->tpm) };

		for (uint32_t i = 0; i < disk.n_leases; i++)
			refs[i].lease = disk.leases[i];
		outcome = call(sim, &command, OP_BORROW_PREPARE, ACTOR_DEVICE,
		    device->tpm.device, &request);
		if (outcome != DONE)
			return outcome;
		uint64_t epoch = command.reply.borrow_prepared.epoch;

		if (epoch == 0) {
			disk_finish(&disk, device->tpm.counter);
			return disk_write(sim, device, &disk);
		}
		/* First the replacements, and with them that they are there. */
		outcome = fetch(sim, device, &disk, &last);
		if (outcome != DONE)
			return outcome;
		disk.target = epoch;
		outcome = disk_write(sim, device, &disk);
		if (outcome != DONE)
			return outcome;
	}
	while (device->tpm.counter < disk.target) {
		if (chance(sim))
			return CRASHED;
		device->tpm.counter++;
		if (chance(sim))
			return CRASHED;
	}
	return prove(sim, device, again);
}

/* The return that the disk speaks of, from wherever it stands. */
static inline enum outcome
go_on(struct sim *sim, struct device *device)
{
	enum outcome outcome;
	bool again;
	int rounds = 0;

	do {
		again = false;
		outcome = go_on_once(sim, device, &again);
	} while (outcome == DONE && again && rounds++ < 8);
	return outcome;
}

/* In borrow_lost.h: what the device has of a branch that was lost. */
static enum outcome show(struct sim *sim, struct device *device,
    const struct kept *tickets, uint32_t n);

/* What a keeper does when its session begins. */
static inline enum outcome
settle(struct sim *sim, struct device *device)
{
	struct disk disk = device->disk;
	struct borrow_tickets last;
	bool below = false, unproven = false;

	if (device->revoked)
		return REFUSED;
	if (device->owes_show) {
		enum outcome shown = show(sim, device, disk.tickets, disk.n);

		if (shown != DONE)
			return shown;
		device->owes_show = false;
	}
	if (disk.returning)
		return go_on(sim, device);
	enum outcome outcome = fetch(sim, device, &disk, &last);

	if (outcome != DONE)
		return outcome;
	for (uint32_t i = 0; i < disk.n; i++) {
		const struct row_ticket *ticket = &disk.tickets[i].ticket;

		below = below || ticket->epoch < device->tpm.counter;
		unproven = unproven || ticket->until <= sim->world.now;
	}
	outcome = disk_write(sim, device, &disk);
	if (outcome != DONE)
		return outcome;
	if (last.target > device->tpm.counter || unproven ||
	    (last.owed != 0 && device->tpm.counter <= last.owed)) {
		disk.returning = true;
		disk.target = 0;
		outcome = disk_write(sim, device, &disk);
		return outcome == DONE ? go_on(sim, device) : outcome;
	}
	return below ? prove(sim, device, &below) : DONE;
}

static inline enum outcome
take(struct sim *sim, struct device *device, uint32_t count, uint32_t length_s)
{
	struct borrow_tickets last;
	struct command command;
	struct disk disk;

	if (!device->asked) {
		device->body = borrow_take_body(&sim->world, &device->tpm,
		    PRODUCT, length_s);
		device->body.ask.count = count;
		device->asked = true;
	}
	/* A retry is proved anew. */
	device->body.proof = borrower_proof(&device->tpm);
	enum outcome outcome = call(sim, &command, OP_BORROW_TAKE, ACTOR_DEVICE,
	    device->tpm.device, &device->body);

	device->asked = outcome == LOST;
	if (outcome != DONE)
		return outcome;
	sim->takes++;
	disk = device->disk;
	outcome = fetch(sim, device, &disk, &last);
	return outcome == DONE ? disk_write(sim, device, &disk) : outcome;
}

static inline enum outcome
extend(struct sim *sim, struct device *device, uint64_t lease,
    uint32_t length_s)
{
	struct borrow_extend request = { .lease = lease,
		.length_s = length_s,
		.proof = borrower_proof(&device->tpm) };
	struct borrow_tickets last;
	struct command command;
	struct disk disk = device->disk;
	enum outcome outcome = call(sim, &command, OP_BORROW_EXTEND,
	    ACTOR_DEVICE, device->tpm.device, &request);

	if (outcome == DONE)
		outcome = fetch(sim, device, &disk, &last);
	return outcome == DONE ? disk_write(sim, device, &disk) : outcome;
}

/* lease 0: all. */
static inline enum outcome
give_back(struct sim *sim, struct device *device, uint64_t lease)
{
	struct disk disk = device->disk;

	disk.returning = true;
	disk.all = disk.all || lease == 0;
	if (lease != 0 && disk.n_leases < LEASES_MAX)
		disk.leases[disk.n_leases++] = lease;
	/* Another one than the target was made for. */
	disk.target = 0;
	enum outcome outcome = disk_write(sim, device, &disk);

	return outcome == DONE ? go_on(sim, device) : outcome;
}

/* Without the site: all of them, above every ticket that may be there. */
static inline enum outcome
give_back_offline(struct sim *sim, struct device *device)
{
	struct disk disk = device->disk;
	uint64_t target = device->tpm.counter + 1;

	/* The site may have made tickets for the next value. */
	if (disk.returning)
		target++;
	for (uint32_t i = 0; i < disk.n; i++)
		if (disk.tickets[i].ticket.epoch >= target)
			target = disk.tickets[i].ticket.epoch + 1;
	disk.returning = disk.all = true;
	disk.target = target;
	enum outcome outcome = disk_write(sim, device, &disk);

	while (outcome == DONE && device->tpm.counter < target) {
		device->tpm.counter++;
		if (chance(sim))
			return CRASHED;
	}
	if (outcome != DONE)
		return outcome;
	device->file = (struct borrow_file){ .device = device->tpm.device,
		.proof = borrower_proof(&device->tpm),
		.made_at = sim->world.now };
	snprintf(device->file.site, sizeof device->file.site, "site-test");
	snprintf(device->file.tenant, sizeof device->file.tenant, "default");
	device->has_file = true;
	sim->files++;
	return DONE;
}

#endif
