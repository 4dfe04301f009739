/*
 * The site's journal put back to an older copy, for the simulator of borrows:
 * an admin acknowledges it, and devices show what they have of the branch that
 * was lost (borrow.h says what that is worth). Header only; one simulator
 * includes it.
 */
#ifndef TESTS_SIM_BORROW_LOST_H
#define TESTS_SIM_BORROW_LOST_H

#include "tests/sim/borrow_device.h"

#include <fcntl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>

/* Whether a row is in the journal of today the process around the core finds
 * out; here it is known. */
static const struct ticket_row *
lost_row(const struct sim *sim, const struct kept *kept)
{
	for (uint32_t i = 0; i < sim->n_rows; i++)
		if (sim->rows[i].lost &&
		    sim->rows[i].row_number == kept->row_number &&
		    sim->rows[i].generation == kept->generation)
			return &sim->rows[i];
	return NULL;
}

static enum outcome
show(struct sim *sim, struct device *device, const struct kept *tickets,
    uint32_t n)
{
	struct ledger_adopt_item items[2 * BORROW_DEVICE_MAX];
	struct ledger_adopt request = { .items = items };
	struct arena arena = { .chunks = NULL };
	struct command command;
	enum outcome outcome = DONE;

	for (uint32_t i = 0; i < n && request.count < 2 * BORROW_DEVICE_MAX;
	     i++) {
		const struct ticket_row *lost = lost_row(sim, &tickets[i]);
		struct ledger_adopt_item *item = &items[request.count];
		struct row row;

		if (lost == NULL)
			continue;
		sim_must(sim,
		    row_read(&row, lost->row_number, lost->row, lost->len,
			&arena) == 0);
		*item = (struct ledger_adopt_item){
			.origin = { lost->generation, 1, { 1 },
			    lost->row_number },
			.row = { lost->row, lost->len },
			.grant = row.u.borrowed.grant,
			.borrowed = true,
			.ticket = row.u.borrowed.ticket,
		};
		request.count++;
	}
	if (request.count > 0)
		outcome = call(sim, &command, LEDGER_ADOPT, ACTOR_DEVICE,
		    device->tpm.device, &request);
	for (uint32_t i = 0; i < request.count && outcome == DONE; i++)
		sim->adopted += items[i].err == 0;
	arena_release(&arena);
	return outcome;
}

/* --- the copy -------------------------------------------------------------- */

static void
copy_store(struct sim *sim, bool back)
{
	char store[160], copy[160];

	snprintf(store, sizeof store, "%s/data.mdb", sim->world.path);
	snprintf(copy, sizeof copy, "%s/copy", sim->world.dir);
	ledger_close(sim->world.ledger);
	int in = open(back ? copy : store, O_RDONLY);
	int out = open(back ? store : copy, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	struct stat st;

	sim_must(sim, in >= 0 && out >= 0 && fstat(in, &st) == 0);
	for (off_t at = 0; at < st.st_size;)
		sim_must(sim,
		    sendfile(out, in, &at, (size_t)(st.st_size - at)) > 0);
	close(in);
	close(out);
	world_open(&sim->world);
}

static struct ledger_generation
place_of(struct sim *sim, uint64_t *rows)
{
	struct ledger_generation out = { .reason = "the disk failed" };
	struct journal_header header;
	struct record_span token;
	struct arena arena = { .chunks = NULL };
	struct ledger_view *view;
	uint8_t head[32];

	world_must(ledger_view_open(&view, sim->world.ledger) == 0);
	world_must(ledger_mark(&out.lost, view) == 0);
	world_must(ledger_newest(&header, head, &token, view, &arena) == 0);
	*rows = header.first_row + header.rows;
	ledger_view_close(view);
	arena_release(&arena);
	return out;
}

static void
take_copy(struct sim *sim)
{
	(void)place_of(sim, &sim->copy_rows);
	copy_store(sim, false);
	memcpy(sim->copy_held, sim->held, sizeof sim->held);
	sim->copy_n_held = sim->n_held;
}

/* An honest device loses nothing of this by it. */
static void
note_usable(struct sim *sim, struct device *device)
{
	const struct disk *disk = &device->disk;

	if (device->owes_show)
		return; /* it stands since the last time */
	device->n_must = 0;
	if (device->restored || device->revoked || disk->returning ||
	    sim->written_off > 0)
		return;
	for (uint32_t i = 0; i < disk->n; i++)
		if (disk->tickets[i].ticket.epoch == device->tpm.counter)
			device->must[device->n_must++] = disk->tickets[i];
}

/* Back it goes, and an admin acknowledges it, with deaths on the way. */
static void
put_back(struct sim *sim)
{
	uint64_t rows;
	struct ledger_generation request = place_of(sim, &rows);
	struct command command;
	enum outcome outcome;

	for (size_t i = 0; i < DEVICES; i++)
		note_usable(sim, &sim->devices[i]);
	copy_store(sim, true);
	for (uint32_t i = 0; i < sim->n_rows; i++)
		if (sim->rows[i].row_number >= sim->copy_rows)
			sim->rows[i].lost = true;
	/* Leases of others that were lost: their holders are gone. */
	memcpy(sim->held, sim->copy_held, sizeof sim->held);
	sim->n_held = sim->copy_n_held;
	sim->world.now += 1000;
	sim->put_backs++;
	request.counter = 1000 * sim->put_backs;
	do
		outcome = call(sim, &command, LEDGER_GENERATION, ACTOR_ADMIN, 7,
		    &request);
	while (outcome == LOST);
	sim_must(sim, outcome == DONE);
	request = place_of(sim, &rows);
	sim->generation = request.lost.generation;
	for (size_t i = 0; i < DEVICES; i++)
		sim->devices[i].owes_show = true;
	look_again(sim);
	/* From here on it can be put back again, or to before all that. */
	if (sim_below(sim, 2) == 0)
		take_copy(sim);
}

/* --- what must hold then ---------------------------------------------------- */

/* Is the device through with what was lost: fenced, and proved above it? */
static bool
is_through(struct sim *sim, const struct device *device)
{
	struct borrow_mine query = { .after = 0 };
	struct borrow_tickets page;
	struct arena arena = { .chunks = NULL };
	struct ledger_view *view;

	world_must(ledger_view_open(&view, sim->world.ledger) == 0);
	world_must(ledger_tickets(&page, view, device->tpm.device, &query,
		       &arena) == 0);
	ledger_view_close(view);
	arena_release(&arena);
	return !device->owes_show && page.owed == 0;
}

static void
check_kept(struct sim *sim, const struct device *device)
{
	const struct disk *disk = &device->disk;

	if (device->restored || device->revoked || disk->returning ||
	    sim->written_off > 0)
		return;
	for (uint32_t i = 0; i < device->n_must; i++)
		sim_must(sim,
		    device->must[i].ticket.until <= sim->world.now ||
			disk_has(disk, device->must[i].lease,
			    device->tpm.counter));
}

#endif
