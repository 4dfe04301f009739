/* Decide on lending: borrow.take, borrow.extend (DESIGN 9 and 11). */
#include "appliance/ledger/borrow_decide.h"
#include "shared/base/err.h"
#include "shared/base/text.h"

#include <inttypes.h>
#include <string.h>

/* --- borrow.take ---------------------------------------------------------- */

/* So that the id of a borrow is never that of a checkout. */
static int
take_digest(uint8_t digest[16], const struct borrow_take *request)
{
	struct borrow_take body = *request;
	uint8_t hash[32];

	memset(body.ask.request, 0, sizeof body.ask.request);
	memset(body.ask.nonce, 0, sizeof body.ask.nonce);
	memset(&body.ask.known, 0, sizeof body.ask.known);
	body.ask.wait_s = 0;
	int err = borrow_take_digest(hash, &body);

	memcpy(digest, hash, 16);
	return err;
}

static int
answer_retry(struct batch *batch, struct command *command,
    const struct request *known, const uint8_t digest[16])
{
	struct state_borrow borrow;

	if (memcmp(known->digest, digest, sizeof known->digest) != 0)
		return decide_refuse(command, ERR_CONFLICT, "",
		    "another request was made with this id");
	if (known->ended)
		return decide_refuse(command, ERR_GONE, "",
		    "borrow-%" PRIu64 " was lent for this request and has "
		    "ended",
		    known->lease);
	int err =
	    state_borrow(&borrow, &batch->state, command->who.id, known->lease);

	if (err != 0)
		return err == ERR_NOT_FOUND_INTERNAL ? ERR_CORRUPT : err;
	command->reply.borrow_taken =
	    (struct borrow_taken){ borrow.lease, borrow.until };
	return 0;
}

/* What is proved now begins its time. */
static void
fill_ticket(struct row_ticket *ticket, const struct proving *proving,
    const struct batch *batch, uint32_t length_s)
{
	const struct proof *proof = &proving->row.proof;

	ticket->epoch = proof->counter;
	ticket->length_s = length_s;
	ticket->clock_ms = proof->clock_ms;
	ticket->resets = proof->resets;
	ticket->from = batch->place.time;
	ticket->until = batch->place.time + (int64_t)length_s * 1000;
}

static int
emit_borrowed(struct batch *batch, struct command *command,
    struct proving *proving, const struct grant *grant,
    const struct row_ticket *device)
{
	const struct borrow_take *request = command->request;
	struct grant_people people;
	int err = grant_find_people(&people, batch, command, grant);

	if (err == 0)
		err = proving_emit(proving, batch);
	if (err != 0)
		return err;
	struct row *row = batch_row(batch, ROW_BORROWED);

	if (row == NULL)
		return ERR_NOMEM;
	struct row_borrowed *r = &row->u.borrowed;

	grant_fill(&r->grant, batch, command, grant, &people);
	r->grant.ttl_s = BORROW_PROVE_MAX_S;
	r->ticket = *device;
	r->ticket.why = TICKET_TAKEN;
	fill_ticket(&r->ticket, proving, batch, request->length_s);
	command->reply.borrow_taken =
	    (struct borrow_taken){ r->grant.lease, r->ticket.until };
	uint64_t lease = r->grant.lease;

	err = batch_emit(batch);
	return err == 0 ? grant_count(batch, command, grant, lease) : err;
}

static int
check_room(struct batch *batch, struct command *command,
    const struct proving *proving)
{
	struct requests *requests = batch->ledger->requests;

	if (proving->n < BORROW_DEVICE_MAX &&
	    requests_device_count(requests, command->who.id) <
		LEDGER_DEVICE_LEASES_MAX)
		return 0;
	return decide_refuse(command, ERR_BORROW_LIMIT, "",
	    "device-%" PRIu64 " has %u borrows, and %d is the most",
	    command->who.id, proving->n, BORROW_DEVICE_MAX);
}

/* The bounds of the license and the site, before a seat is looked for. */
static int
check_bounds(struct row_ticket *device, struct batch *batch,
    struct command *command, const struct grant *grant, uint32_t length_s)
{
	const struct license *terms = &grant->license->document;
	int err = borrow_check_class(&device->class_, &device->public_key,
	    batch, command, terms);

	if (err == 0 && command->err == 0)
		err = borrow_check_length(batch, command, terms, length_s);
	if (err == 0 && command->err == 0)
		err = borrow_check_loan(batch, command, grant);
	return err;
}

static int
take(struct batch *batch, struct command *command, struct grant *grant)
{
	const struct borrow_take *request = command->request;
	struct proof_subject subject = { .purpose = PROOF_BORROW };
	struct row_ticket device = { .why = TICKET_TAKEN };
	struct proving proving;
	int err = borrow_take_digest(subject.request_digest, request);

	if (err != 0)
		return err;
	memcpy(subject.nonce, request->ask.nonce, sizeof subject.nonce);
	memcpy(subject.exporter, command->exporter, sizeof subject.exporter);
	err = grant_find_license(grant, batch, command);
	if (err == 0 && command->err == 0)
		err = grant_narrow_borrow(batch, command, grant);
	if (err == 0 && command->err == 0)
		err = check_bounds(&device, batch, command, grant,
		    request->length_s);
	if (err == 0 && command->err == 0)
		err = proving_begin(&proving, batch, command, command->who.id,
		    &request->proof, &subject);
	if (err == 0 && command->err == 0)
		err = proving_check_clock(&proving, command);
	if (err == 0 && command->err == 0)
		err = proving_check_settled(&proving, batch, command);
	if (err == 0 && command->err == 0)
		err = check_room(batch, command, &proving);
	if (err == 0 && command->err == 0)
		err = grant_choose_slots(grant, batch, command);
	if (err != 0 || command->err != 0)
		return err;
	return emit_borrowed(batch, command, &proving, grant, &device);
}

int
decide_borrow_take(struct batch *batch, struct command *command)
{
	const struct borrow_take *request = command->request;
	struct grant grant = { .request = &request->ask };
	struct request known;
	int err = decide_device(batch, command);

	if (err != 0 || command->err != 0)
		return err;
	grant.count = request->ask.count > 0 ? request->ask.count : 1;
	err = take_digest(grant.digest, request);
	if (err != 0)
		return err;
	if (requests_find(&known, batch->ledger->requests, command->who.id,
		request->ask.request))
		return answer_retry(batch, command, &known, grant.digest);
	return take(batch, command, &grant);
}

/* --- borrow.extend -------------------------------------------------------- */

/* The borrow, its lease, and the row that it was last written in. */
struct extending {
	struct state_borrow borrow;
	struct state_lease lease;
	struct row row;
	struct row_ticket device;
};

static int
find_borrow(struct extending *e, struct batch *batch, struct command *command,
    uint64_t number)
{
	int err =
	    state_borrow(&e->borrow, &batch->state, command->who.id, number);

	if (err == ERR_NOT_FOUND_INTERNAL) {
		bool was =
		    number > 0 && number < batch->state.counters.next_lease;

		return decide_refuse(command, was ? ERR_GONE : ERR_NOT_FOUND,
		    "", "device-%" PRIu64 " has no borrow-%" PRIu64,
		    command->who.id, number);
	}
	if (err == 0)
		err = state_lease(&e->lease, &batch->state, number);
	if (err == ERR_NOT_FOUND_INTERNAL)
		return ERR_CORRUPT;
	return err == 0
	    ? borrow_row_read(&e->row, batch, command, &e->borrow.now)
	    : err;
}

/* Its seats as the license in force calls them: a ticket names one license, and
 * must be true by it. */
static int
check_same_seats(const struct extending *e, const struct grant *grant,
    struct batch *batch, struct command *command)
{
	const struct row_lease_granted *r = &e->row.u.borrowed.grant;

	if (ticket_seats_are(r, &grant->license->document, batch->place.time))
		return 0;
	return decide_refuse(command, ERR_CONFLICT,
	    "return it and take another",
	    "the license for %s was changed since borrow-%" PRIu64 " was "
	    "taken, and has not its seats any more",
	    r->product, r->lease);
}

static int
emit_extended(struct batch *batch, struct command *command,
    const struct extending *e, struct proving *proving,
    const struct grant *grant)
{
	const struct borrow_extend *request = command->request;
	int err = proving_emit(proving, batch);

	if (err != 0)
		return err;
	struct row *row = batch_row(batch, ROW_BORROW_REISSUED);

	if (row == NULL)
		return ERR_NOMEM;
	struct row_borrowed *r = &row->u.borrowed;

	*r = e->row.u.borrowed;
	memcpy(r->grant.license_digest, grant->license->digest,
	    sizeof r->grant.license_digest);
	r->ticket.class_ = e->device.class_;
	r->ticket.public_key = e->device.public_key;
	r->ticket.why = TICKET_EXTENDED;
	fill_ticket(&r->ticket, proving, batch, request->length_s);
	command->reply.borrow_taken =
	    (struct borrow_taken){ r->grant.lease, r->ticket.until };
	return batch_emit(batch);
}

static int
check_extending(struct extending *e, struct proving *proving,
    struct batch *batch, struct command *command, const struct grant *grant)
{
	const struct borrow_extend *request = command->request;
	const struct license *terms = &grant->license->document;
	struct proof_subject subject = { .purpose = PROOF_BORROW };
	int err = borrow_extend_digest(subject.request_digest, request);

	if (err != 0)
		return err;
	memcpy(subject.nonce, request->nonce, sizeof subject.nonce);
	memcpy(subject.exporter, command->exporter, sizeof subject.exporter);
	err = borrow_check_class(&e->device.class_, &e->device.public_key,
	    batch, command, terms);
	if (err == 0 && command->err == 0)
		err = borrow_check_length(batch, command, terms,
		    request->length_s);
	if (err == 0 && command->err == 0)
		err = proving_begin(proving, batch, command, command->who.id,
		    &request->proof, &subject);
	if (err == 0 && command->err == 0)
		err = proving_check_clock(proving, command);
	if (err == 0 && command->err == 0)
		err = proving_check_settled(proving, batch, command);
	if (err == 0 && command->err == 0)
		err = check_same_seats(e, grant, batch, command);
	return err;
}

/* For whom it was lent; nobody, where he was erased. */
static int
find_people(struct checkout *ask, struct batch *batch,
    const struct row_lease_granted *r)
{
	const struct subject_keys *keys = batch->ledger->keys;
	struct subject subject;
	int err = subject_get(&subject, &batch->state, keys, r->user);

	if (err == 0)
		text_copy(ask->user, sizeof ask->user, subject.value);
	if (err == 0 || err == ERR_NOT_FOUND_INTERNAL)
		err = subject_get(&subject, &batch->state, keys, r->host);
	if (err == 0)
		text_copy(ask->host, sizeof ask->host, subject.value);
	return err == ERR_NOT_FOUND_INTERNAL ? 0 : err;
}

int
decide_borrow_extend(struct batch *batch, struct command *command)
{
	const struct borrow_extend *request = command->request;
	struct checkout ask = { .count = 1 };
	struct grant grant = { .request = &ask };
	struct extending e;
	struct proving proving;
	int err = decide_device(batch, command);

	if (err == 0 && command->err == 0)
		err = find_borrow(&e, batch, command, request->lease);
	if (err != 0 || command->err != 0)
		return err;
	/* What it was lent for, under the license in force today. */
	memcpy(ask.product, e.row.u.borrowed.grant.product, sizeof ask.product);
	memcpy(ask.version, e.row.u.borrowed.grant.version, sizeof ask.version);
	memcpy(ask.feature, e.row.u.borrowed.grant.feature, sizeof ask.feature);
	err = find_people(&ask, batch, &e.row.u.borrowed.grant);
	if (err == 0)
		err = grant_find_license(&grant, batch, command);
	if (err == 0 && command->err == 0)
		err = grant_narrow_borrow(batch, command, &grant);
	if (err == 0 && command->err == 0)
		err = check_extending(&e, &proving, batch, command, &grant);
	if (err != 0 || command->err != 0)
		return err;
	return emit_extended(batch, command, &e, &proving, &grant);
}
