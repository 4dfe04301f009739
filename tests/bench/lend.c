/* See lend.h. */
#include "tests/bench/lend.h"

#include "shared/base/text.h"
#include "shared/journal/ticket.h"
#include "shared/rpc/borrow.h"

#include <sodium.h>

#define LENGTH_S 3600

int
lend_begin(struct lend *lend)
{
	const struct empty empty = { 0 };

	lend->step = LEND_CHALLENGE;
	return entry_ask(lend->entry, OP_BORROW_CHALLENGE, &empty);
}

static int
take(struct lend *lend, const uint8_t nonce[PROOF_NONCE_BYTES])
{
	struct entry *entry = lend->entry;
	struct proof_subject subject = entry_subject(entry);
	struct borrow_take take = {
		.ask = { .version = "8.1.0", .count = 1 },
		.length_s = LENGTH_S,
	};

	snprintf(take.ask.user, sizeof(take.ask.user), "user-%u",
	    entry->number);
	snprintf(take.ask.host, sizeof(take.ask.host), "ws-%u", entry->number);
	text_copy(take.ask.product, sizeof(take.ask.product), lend->product);
	randombytes_buf(take.ask.request, sizeof(take.ask.request));
	memcpy(take.ask.nonce, nonce, sizeof(take.ask.nonce));
	subject.purpose = PROOF_BORROW;
	memcpy(subject.nonce, nonce, sizeof(subject.nonce));
	if (socket_exporter(subject.exporter, &entry->socket) != 0 ||
	    borrow_take_digest(subject.request_digest, &take) != 0 ||
	    device_prove(&take.proof, entry->device, &subject) != 0)
		return -1;
	lend->step = LEND_TAKE;
	return entry_ask(entry, OP_BORROW_TAKE, &take);
}

static int
prove_return(uint8_t nonce[PROOF_NONCE_BYTES], struct proof *proof,
    const struct lend *lend)
{
	const struct entry *entry = lend->entry;
	struct proof_subject subject;

	randombytes_buf(nonce, PROOF_NONCE_BYTES);
	ticket_return_subject(&subject, entry->site, entry->tenant,
	    entry->device->number, nonce);
	return device_prove(proof, entry->device, &subject);
}

static int
prepare(struct lend *lend)
{
	struct lease_ref ref = { lend->lease };
	struct borrow_prepare prepare = { .leases = { &ref, 1 } };

	if (prove_return(prepare.nonce, &prepare.proof, lend) != 0)
		return -1;
	lend->step = LEND_PREPARE;
	return entry_ask(lend->entry, OP_BORROW_PREPARE, &prepare);
}

static int
give_back(struct lend *lend, uint64_t epoch)
{
	struct borrow_return back = { 0 };

	lend->entry->device->counter = epoch;
	if (prove_return(back.nonce, &back.proof, lend) != 0)
		return -1;
	lend->step = LEND_RETURN;
	return entry_ask(lend->entry, OP_BORROW_RETURN, &back);
}

static int
next_step(struct lend *lend, const struct rpc_envelope *envelope,
    struct arena *arena)
{
	const struct borrow_mine mine = { 0 };
	struct record_error error;
	struct borrow_challenge challenge;
	struct borrow_taken taken;
	struct borrow_prepared prepared;
	struct borrow_returned returned;
	const char *result = envelope->result;
	size_t len = envelope->result_len;

	switch (lend->step) {
	case LEND_CHALLENGE:
		if (record_read_json(&challenge, &borrow_challenge_record,
			result, len, arena, &error) != 0)
			return -1;
		return take(lend, challenge.nonce);
	case LEND_TAKE:
		if (record_read_json(&taken, &borrow_taken_record, result, len,
			arena, &error) != 0)
			return -1;
		lend->lease = taken.lease;
		lend->step = LEND_TICKETS;
		return entry_ask(lend->entry, OP_BORROW_MINE, &mine);
	case LEND_TICKETS:
		return prepare(lend);
	case LEND_PREPARE:
		if (record_read_json(&prepared, &borrow_prepared_record, result,
			len, arena, &error) != 0)
			return -1;
		return give_back(lend, prepared.epoch);
	case LEND_RETURN:
		if (record_read_json(&returned, &borrow_returned_record, result,
			len, arena, &error) != 0)
			return -1;
		return returned.ended == 1 && returned.left == 0 ? 1 : -1;
	}
	return -1;
}

int
lend_heard(struct lend *lend, const char *text, size_t len)
{
	struct rpc_envelope envelope;
	struct record_error error;
	struct arena arena = { 0 };
	int rc = -1;

	if (rpc_read(&envelope, text, len, &error) == 0) {
		if (envelope.id == 0)
			return 0; /* a notice */
		if (envelope.result != NULL)
			rc = next_step(lend, &envelope, &arena);
	}
	if (rc < 0)
		fprintf(stderr, "step %d of a borrow: %.*s\n", (int)lend->step,
		    (int)len, text);
	arena_release(&arena);
	return rc;
}
