/* What bounds a borrow: what its device proves and owes, and what license and
 * site lend. See borrow_decide.h. */
#include "appliance/ledger/borrow_decide.h"
#include "shared/base/clock.h"
#include "shared/base/err.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* --- what a proof says ---------------------------------------------------- */

int
proving_begin(struct proving *proving, struct batch *batch,
    struct command *command, uint64_t device, const struct proof *proof,
    const struct proof_subject *subject)
{
	struct row_device_proved *row = &proving->row;
	int err = state_borrower(&proving->borrower, &batch->state, device);

	if (err == 0)
		err = state_borrows_of(proving->borrows, &proving->n,
		    &batch->state, device);
	if (err != 0)
		return err;
	proving->device = device;
	*row = (struct row_device_proved){ .device = device,
		.purpose = subject->purpose,
		.proof = *proof };
	memcpy(row->nonce, subject->nonce, sizeof row->nonce);
	memcpy(row->exporter, subject->exporter, sizeof row->exporter);
	memcpy(row->request_digest, subject->request_digest,
	    sizeof row->request_digest);
	if (proof->counter < command->counter)
		return decide_refuse(command, ERR_BAD_PROOF, "",
		    "the proof of device-%" PRIu64 " is an old one: its "
		    "counter was at %" PRIu64 " already when it logged in",
		    device, command->counter);
	if (proof->counter >= proving->borrower.proven)
		return 0;
	return decide_refuse(command, ERR_BAD_PROOF,
	    "its TPM, or the file of its key, was put back to an earlier state",
	    "the counter of device-%" PRIu64 " stands at %" PRIu64
	    ", and it has proved %" PRIu64,
	    device, proof->counter, proving->borrower.proven);
}

int
proving_emit(struct proving *proving, struct batch *batch)
{
	const struct proof *proof = &proving->row.proof;
	const struct state_borrower *borrower = &proving->borrower;

	if (!borrower_is_unfenced(borrower, batch->state.counters.generation) &&
	    proof->counter == borrower->proven &&
	    proof->clock_ms == borrower->clock_ms &&
	    proof->resets == borrower->resets)
		return 0;
	struct row *row = batch_row(batch, ROW_DEVICE_PROVED);

	if (row == NULL)
		return ERR_NOMEM;
	row->u.device_proved = proving->row;
	return batch_emit(batch);
}

int
borrow_row_read(struct row *out, struct batch *batch, struct command *command,
    const struct borrow_ticket_place *place)
{
	struct record_span bytes;
	int err = view_row(&bytes, &batch->state, place->batch, place->index,
	    &command->arena);

	if (err != 0)
		return err == ERR_NOT_FOUND_INTERNAL ? ERR_CORRUPT : err;
	const uint8_t *copy =
	    arena_copy(&command->arena, bytes.data, bytes.len);

	if (copy == NULL)
		return ERR_NOMEM;
	err =
	    row_read(out, place->row_number, copy, bytes.len, &command->arena);
	if (err == 0 && out->kind != ROW_BORROWED &&
	    out->kind != ROW_BORROW_REISSUED)
		err = ERR_CORRUPT;
	return err;
}

/* Time that a ticket counts begins at this clock: it has not gone back. */
int
proving_check_clock(const struct proving *proving, struct command *command)
{
	const struct proof *proof = &proving->row.proof;
	const struct state_borrower *borrower = &proving->borrower;

	if (proof->resets > borrower->resets ||
	    (proof->resets == borrower->resets &&
		proof->clock_ms >= borrower->clock_ms))
		return 0;
	return decide_refuse(command, ERR_CLOCK_TAMPERED, "",
	    "the clock of device-%" PRIu64 " itself went back since it was "
	    "last proved",
	    proving->device);
}

/* --- what is owed --------------------------------------------------------- */

/* A borrow whose time is over, and whose return nothing proves. */
static const struct state_borrow *
find_unproven(const struct state_borrow *borrows, uint32_t n, int64_t now)
{
	for (uint32_t i = 0; i < n; i++)
		if (borrows[i].until <= now)
			return &borrows[i];
	return NULL;
}

static int
refuse_owing(struct command *command, const struct state_borrower *borrower,
    const struct state_borrow *unproven)
{
	static const char hint[] =
	    "its agent does so by itself while it is connected: leasehold "
	    "borrow return --all";

	if (unproven != NULL)
		return decide_refuse(command, ERR_BORROW_LIMIT, hint,
		    "borrow-%" PRIu64 " of device-%" PRIu64 " ran out without "
		    "a proof of its return: that comes first",
		    unproven->lease, borrower->device);
	return decide_refuse(command, ERR_BORROW_LIMIT, hint,
	    "a borrow of device-%" PRIu64 " was given up without a proof of "
	    "its return: that comes first",
	    borrower->device);
}

static int
check_owed(struct batch *batch, struct command *command,
    const struct state_borrower *borrower, const struct state_borrow *borrows,
    uint32_t n, uint64_t counter)
{
	const struct state_borrow *unproven =
	    find_unproven(borrows, n, batch->place.time);

	if (unproven != NULL ||
	    (borrower->owed != 0 && counter <= borrower->owed))
		return refuse_owing(command, borrower, unproven);
	return 0;
}

int
decide_owes_nothing(struct batch *batch, struct command *command)
{
	struct state_borrow borrows[BORROW_DEVICE_MAX];
	struct state_borrower borrower;
	uint32_t n = 0;
	int err = state_borrower(&borrower, &batch->state, command->who.id);

	if (err == 0 && borrower.borrows > 0)
		err = state_borrows_of(borrows, &n, &batch->state,
		    command->who.id);
	return err == 0
	    ? check_owed(batch, command, &borrower, borrows, n, borrower.proven)
	    : err;
}

/* A device that lends anew is through with what it gave back: nothing is below
 * its counter, and no return is half done. */
int
proving_check_settled(const struct proving *proving, struct batch *batch,
    struct command *command)
{
	uint64_t counter = proving->row.proof.counter;
	bool half = proving->borrower.target > counter;
	uint32_t generation = batch->state.counters.generation;

	if (counter > BORROW_COUNTER_MAX)
		return decide_refuse(command, ERR_BORROW_LIMIT,
		    "let the workstation enroll with a new key: leasehold "
		    "enroll URL --token TOKEN --new-key",
		    "the counter of device-%" PRIu64 " is used up",
		    proving->device);
	/* A fence of an earlier generation says nothing of this one. */
	if (borrower_is_unfenced(&proving->borrower, generation) ||
	    (proving->borrower.fence != 0 &&
		counter <= proving->borrower.fence))
		return decide_refuse(command, ERR_BORROW_LIMIT,
		    "its agent does so by itself while it is connected: "
		    "leasehold borrow return --all",
		    "the site's journal was put back since device-%" PRIu64
		    " borrowed: that what it had then is over, or known here, "
		    "is to be proved first",
		    proving->device);
	for (uint32_t i = 0; i < proving->n; i++)
		half = half || borrow_epoch(&proving->borrows[i]) < counter;
	if (half)
		return decide_refuse(command, ERR_CONFLICT,
		    "its agent goes on with it by itself while it is connected",
		    "device-%" PRIu64 " is about to return a borrow: that "
		    "comes first",
		    proving->device);
	return check_owed(batch, command, &proving->borrower, proving->borrows,
	    proving->n, counter);
}

/* --- bounds --------------------------------------------------------------- */

int
borrow_check_class(uint32_t *class_, struct record_span *key,
    struct batch *batch, struct command *command, const struct license *terms)
{
	struct state_device device;
	char hint[192];
	size_t len;
	int err = state_device(&device, &batch->state, command->who.id);

	if (err != 0)
		return err == ERR_NOT_FOUND_INTERNAL ? ERR_CORRUPT : err;
	*class_ = device.class_;
	key->data = arena_copy(&command->arena, device.public_key,
	    device.public_key_len);
	key->len = device.public_key_len;
	if (key->data == NULL)
		return ERR_NOMEM;
	if (license_may_borrow(&terms->terms, device.class_))
		return 0;
	len = (size_t)snprintf(hint, sizeof hint, "it lends to: ");
	for (uint32_t i = 0; i <= PROOF_KEY && len < sizeof hint - 16; i++)
		if (license_may_borrow(&terms->terms, i))
			len += (size_t)snprintf(hint + len, sizeof hint - len,
			    "%s ", proof_class_names[i]);
	if (terms->terms.no_borrow)
		snprintf(hint, sizeof hint, "it lends nothing at all");
	return decide_refuse(command, ERR_CLASS_NOT_ALLOWED, hint,
	    "license %s for %s lends no seat to a device of class %s",
	    terms->license_id, terms->product.id,
	    proof_class_names[device.class_]);
}

int
borrow_check_length(struct batch *batch, struct command *command,
    const struct license *terms, uint32_t length_s)
{
	/* 0: it was installed before licenses said so. */
	uint32_t max_s = terms->terms.borrow_max_s != 0
	    ? terms->terms.borrow_max_s
	    : LICENSE_BORROW_DEFAULT_S;
	bool by_site =
	    command->borrow.max_s != 0 && command->borrow.max_s < max_s;
	int64_t until = batch->place.time + (int64_t)length_s * 1000;

	if (by_site)
		max_s = command->borrow.max_s;
	if (length_s > max_s)
		return decide_refuse_field(command, "length_s",
		    ERR_BORROW_LIMIT, "",
		    "asked for %u s, and %s lends %s for %u s (%u h) at most",
		    length_s, by_site ? "this site" : "the license",
		    terms->product.id, max_s, max_s / 3600);
	if (terms->terms.enforce != LICENSE_ADVISORY &&
	    until > license_contract_end(terms)) {
		char end[CLOCK_TEXT_SIZE];

		clock_format_date(end, terms->contract.end_date);
		return decide_refuse_field(command, "length_s",
		    ERR_BORROW_LIMIT, "",
		    "the contract of %s ends with %s, and nothing is lent "
		    "beyond that",
		    terms->license_id, end);
	}
	return 0;
}

/* Most seats of a pool that may be on loan. */
static uint32_t
loan_max(const struct command *command, const struct grant *grant,
    uint32_t total)
{
	uint32_t most = total, keep = command->borrow.keep;
	uint32_t by_license = grant->license->document.terms.borrow_seats;

	if (by_license != 0 && by_license < most)
		most = by_license;
	if (command->borrow.seats != 0 && command->borrow.seats < most)
		most = command->borrow.seats;
	if (keep > total)
		keep = total;
	return total - keep < most ? total - keep : most;
}

int
borrow_check_loan(struct batch *batch, struct command *command,
    const struct grant *grant)
{
	struct license_seats seats;
	struct pool_id id = grant->id;
	uint32_t loan;
	int err = state_pool_find(&id.pool, &batch->state, id.license,
	    grant->request->feature);

	if (err == 0)
		err = state_on_loan(&loan, &batch->state, id);
	if (err != 0)
		return err == ERR_NOT_FOUND_INTERNAL ? ERR_CORRUPT : err;
	license_seats(&seats, &grant->license->document,
	    grant->request->feature);
	uint32_t most = loan_max(command, grant, seats.total);

	/* Where all may be lent, all that can be missing is a free one. */
	if ((uint64_t)loan + grant->count <= most || most == seats.total)
		return 0;
	return decide_refuse(command, ERR_BORROW_LIMIT,
	    "see who has them: leasehold borrow list",
	    "asked for %u seats of %s; %u of at most %u that are lent are on "
	    "loan",
	    grant->count, grant->request->product, loan, most);
}
