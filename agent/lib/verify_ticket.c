/* A borrowed seat: the chain of a ticket, and the device's proof over it. */
#include "agent/lib/verify_parts.h"

#include "agent/lib/leasehold.h"
#include "shared/base/err.h"
#include "shared/base/version.h"
#include "shared/journal/ticket.h"

#include <sodium.h>
#include <string.h>

/* row -> what is asked. A ticket was made before anybody asked, so no nonce of
 * the application's stands in it: the proof is over that. Of its seats the
 * application uses some. */
static int
check_question(const struct row_lease_granted *grant,
    const struct license *license, const struct local_checkout_reply *reply,
    const struct verify_question *question, char why[static VERIFY_WHY])
{
	const char *other = NULL;

	if (strcmp(grant->product, question->product) != 0)
		other = "product";
	else if (strcmp(grant->feature, question->feature) != 0)
		other = "feature";
	else if (grant->count < question->count)
		other = "number of seats";
	else if (grant->lease != reply->lease)
		other = "lease";
	else if (grant->device != reply->device)
		other = "device";
	if (other != NULL)
		return verify_say(why, LH_E_MISMATCH,
		    "the borrowed seat is a true one, but for another %s",
		    other);
	/* It was borrowed for a version, and may be used by any other that the
	 * license covers. */
	if (!version_in_range(question->version, license->product.version))
		return verify_say(why, LH_E_VERSION,
		    "the license covers %s %s, not %s", license->product.id,
		    license->product.version, question->version);
	return LH_OK;
}

/* ticket -> license: what the vendor lets the site lend, and to whom. */
static int
check_borrow(const struct row_borrowed *row,
    const struct journal_header *header, const struct license *license,
    char why[static VERIFY_WHY])
{
	const struct license_bounds *terms = &license->terms;
	const struct row_ticket *ticket = &row->ticket;

	if (!ticket_is_sound(row) || ticket->from > header->time)
		return verify_say(why, LH_E_MISMATCH,
		    "the parts of the ticket do not agree with each other");
	if (!license_may_borrow(terms, ticket->class_))
		return verify_say(why, LH_E_MISMATCH,
		    "the license %s lends no seat to a device of class %s",
		    license->license_id, proof_class_names[ticket->class_]);
	if (ticket->length_s > terms->borrow_max_s)
		return verify_say(why, LH_E_MISMATCH,
		    "the seat is borrowed for %u s, and the license lends for "
		    "%u s at most",
		    ticket->length_s, terms->borrow_max_s);
	if (terms->borrow_seats != 0 && row->grant.count > terms->borrow_seats)
		return verify_say(why, LH_E_MISMATCH,
		    "%u seats are borrowed, and the license lends %u at most",
		    row->grant.count, terms->borrow_seats);
	if (terms->enforce != LICENSE_ADVISORY &&
	    ticket->until > license_contract_end(license))
		return verify_say(why, LH_E_MISMATCH,
		    "the seat is borrowed for longer than the contract of %s "
		    "runs",
		    license->license_id);
	return verify_contract(license, ticket->from, why);
}

/* ticket -> device, now: it holds the key, and says so of this nonce and this
 * row, for this purpose. */
static int
check_proof(const struct row_borrowed *row, const struct verify_lease *lease,
    const struct local_checkout_reply *reply,
    const struct verify_question *question, char why[static VERIFY_WHY])
{
	const struct row_ticket *ticket = &row->ticket;
	struct proof_subject subject;

	ticket_subject(&subject, lease->header.site, lease->header.tenant,
	    row->grant.device, question->nonce, reply->row.data,
	    reply->row.len);
	if (proof_class_fits(reply->proof.class_, ticket->class_) &&
	    proof_verify(&reply->proof, &subject, ticket->public_key.data,
		ticket->public_key.len) == 0)
		return LH_OK;
	return verify_say(why, LH_E_BAD_PROOF,
	    "the proof is not one of device-%llu, which borrowed the seat, for "
	    "this program now",
	    (unsigned long long)row->grant.device);
}

/* What is left of it, by a proof that holds. */
static int
check_left(struct verify_borrow *borrow, const struct row_ticket *ticket,
    const struct proof *proof, int64_t wall_ms, char why[static VERIFY_WHY])
{
	const struct ticket_now now = {
		.counter = proof->counter,
		.clock_ms = proof->clock_ms,
		.resets = proof->resets,
		.wall_ms = wall_ms,
	};
	int err = ticket_left_ms(&borrow->left_ms, ticket, &now);

	if (err != 0) {
		ticket_explain(why, VERIFY_WHY, err, ticket, &now);
		return err == ERR_CLOCK_TAMPERED ? LH_E_CLOCK : LH_E_GONE;
	}
	borrow->until = ticket->until;
	if (ticket->until - wall_ms < borrow->left_ms)
		borrow->left_ms = ticket->until - wall_ms;
	borrow->clock_ms = proof->clock_ms;
	borrow->resets = proof->resets;
	return LH_OK;
}

/* What no key but the vendor's need be believed for. */
static int
verify_evidence(struct verify_lease *lease, struct license *license,
    struct row *row, const struct local_checkout_reply *reply,
    const struct verify_question *question, struct arena *arena,
    char why[static VERIFY_WHY])
{
	const struct row_borrowed *borrowed = &row->u.borrowed;
	int error =
	    verify_chain(lease, license, reply, question->root, arena, why);

	if (error == LH_OK)
		error = verify_row(row, lease, reply, arena, why);
	if (error == LH_OK && row->kind != ROW_BORROWED &&
	    row->kind != ROW_BORROW_REISSUED)
		error = verify_say(why, LH_E_MISMATCH,
		    "row %llu of the site's journal lends nothing",
		    (unsigned long long)reply->row_number);
	if (error == LH_OK)
		error = check_question(&borrowed->grant, license, reply,
		    question, why);
	if (error == LH_OK)
		error = verify_terms(&borrowed->grant, license, reply, why);
	if (error == LH_OK)
		error = check_borrow(borrowed, &lease->header, license, why);
	if (error == LH_OK &&
	    (row->kind == ROW_BORROWED ||
		!ticket_seats_are(&borrowed->grant, license,
		    lease->header.time)))
		error = verify_seats(&borrowed->grant, license,
		    lease->header.time, why);
	return error;
}

int
verify_ticket(struct verify_lease *lease, struct verify_borrow *borrow,
    const struct local_checkout_reply *reply,
    const struct verify_question *question, int64_t wall_ms,
    char why[static VERIFY_WHY])
{
	struct arena arena = { .max_bytes = VERIFY_ARENA_BYTES };
	const struct row_borrowed *borrowed;
	struct license license;
	struct row row;

	why[0] = '\0';
	/* What no check filled in must match nothing. */
	memset(&license, 0, sizeof(license));
	memset(&row, 0, sizeof(row));
	borrowed = &row.u.borrowed;
	int error = verify_evidence(lease, &license, &row, reply, question,
	    &arena, why);

	if (error == LH_OK)
		error = check_proof(borrowed, lease, reply, question, why);
	if (error == LH_OK)
		error = check_left(borrow, &borrowed->ticket, &reply->proof,
		    wall_ms, why);
	if (error == LH_OK) {
		verify_fill(lease, &borrowed->grant, &license);
		lease->count = question->count;
		borrow->device = borrowed->grant.device;
	}
	arena_release(&arena);
	return error;
}

bool
verify_is_ticket(const struct local_checkout_reply *reply)
{
	return reply->proof.counter != 0;
}

int
verify_ticket_goes_on(const struct verify_lease *lease,
    const struct verify_borrow *borrow, const struct verify_lease *before,
    const struct verify_borrow *was, char why[static VERIFY_WHY])
{
	const char *other = NULL;

	if (strcmp(lease->header.site, before->header.site) != 0)
		other = "site";
	else if (strcmp(lease->header.tenant, before->header.tenant) != 0)
		other = "tenant";
	else if (lease->lease != before->lease)
		other = "borrow";
	else if (borrow->device != was->device)
		other = "device";
	else if (lease->type != before->type)
		other = "kind of seat";
	if (other != NULL)
		return verify_say(why, LH_E_MISMATCH,
		    "the ticket is a true one, but of another %s", other);
	if (borrow->resets < was->resets ||
	    (borrow->resets == was->resets && borrow->clock_ms < was->clock_ms))
		return verify_say(why, LH_E_CLOCK,
		    "the device's own clock went back while the seat was used");
	return LH_OK;
}

int64_t
verify_ticket_span_ms(const struct verify_lease *lease,
    const struct verify_borrow *borrow)
{
	int64_t ttl_ms = (int64_t)lease->ttl_s * 1000;

	return borrow->left_ms < ttl_ms ? borrow->left_ms : ttl_ms;
}
