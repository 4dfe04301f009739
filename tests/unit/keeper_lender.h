/*
 * A site that lends, for the keeper's tests: what appliance/ledger/borrow.h
 * says, for one device, with real rows, headers and checks of proofs, and
 * without a store. It can fall silent before or after any step.
 */
#ifndef TESTS_UNIT_KEEPER_LENDER_H
#define TESTS_UNIT_KEEPER_LENDER_H

#include "shared/journal/ticket.h"
#include "tests/unit/keeper_test.h"

#define LENDER_MAX 8

struct lent_ticket {
	uint64_t epoch; /* 0: there is none */
	uint64_t row_number;
	struct buf row, header;
};
struct lent {
	uint64_t lease; /* 0: free place */
	struct row_borrowed row;
	struct row_slots slots;
	struct lent_ticket now, next;
};

struct lender {
	struct lent lent[LENDER_MAX];
	uint64_t leases; /* given out */
	uint64_t proven, target, owed;
	uint8_t nonce[PROOF_NONCE_BYTES];
	uint32_t prove_s;
	/* Tickets begin so much powered-on time ago; the machine was on as long. */
	int64_t clock_back_ms;
	int refuse; /* the next take, with this error */
	uint64_t far; /* it names targets that are so much too high */
	bool endless; /* its lists have a next page, for ever */
	uint32_t silent_at; /* takes this question and says nothing */
	uint32_t dies_at; /* does it, and says nothing */
	unsigned int ended; /* borrows that a proof ended */
};
static struct lender lender;

/* --- tickets -------------------------------------------------------------- */

static inline void
lender_write(struct lent_ticket *ticket, struct lent *lent, enum row_kind kind,
    uint64_t epoch)
{
	struct row row = { .kind = kind, .number = world.batches + 1 };

	lent->row.ticket.epoch = epoch;
	row.u.borrowed = lent->row;
	buf_clear(&ticket->row);
	buf_clear(&ticket->header);
	row_write(&ticket->row, &row);
	world_commit(&world, ticket->row.data, ticket->row.len);
	buf_add(&ticket->header, world.token.data, world.token.len);
	ticket->row_number = row.number;
	ticket->epoch = epoch;
}

static inline struct lent *
lender_find(uint64_t lease)
{
	for (size_t i = 0; i < LENDER_MAX; i++)
		if (lender.lent[i].lease == lease)
			return &lender.lent[i];
	return NULL;
}

static inline uint64_t
lent_epoch(const struct lent *lent)
{
	return lent->next.epoch != 0 ? lent->next.epoch : lent->now.epoch;
}

static inline unsigned int
lender_count(void)
{
	unsigned int n = 0;

	for (size_t i = 0; i < LENDER_MAX; i++)
		n += lender.lent[i].lease != 0;
	return n;
}

/* --- proofs --------------------------------------------------------------- */

static inline bool
lender_believes(const struct proof *proof, const struct proof_subject *subject)
{
	return proof_verify(proof, subject, world.device_key,
		   world.device_key_len) == 0 &&
	    proof->counter >= lender.proven;
}

static inline bool
lender_believes_return(const struct proof *proof, const uint8_t nonce[32])
{
	struct proof_subject subject;

	ticket_return_subject(&subject, WORLD_SITE, "default", 3, nonce);
	return lender_believes(proof, &subject);
}

/* A proof frees what is below, and nothing else does. */
static inline uint32_t
lender_settle(uint64_t counter)
{
	uint32_t ended = 0;

	for (size_t i = 0; i < LENDER_MAX; i++) {
		struct lent *lent = &lender.lent[i];

		if (lent->lease == 0)
			continue;
		if (lent_epoch(lent) < counter) {
			lent->lease = 0;
			ended++;
		} else if (lent->next.epoch == counter) {
			struct lent_ticket now = lent->now;

			lent->now = lent->next;
			lent->next = now;
			lent->next.epoch = 0;
		}
	}
	lender.proven = counter;
	if (lender.target <= counter)
		lender.target = 0;
	if (lender.owed < counter)
		lender.owed = 0;
	lender.ended += ended;
	return ended;
}

/* --- answers -------------------------------------------------------------- */

static inline bool
lender_take(struct borrow_taken *reply, const struct borrow_take *ask)
{
	struct proof_subject subject = { .purpose = PROOF_BORROW,
		.site = WORLD_SITE,
		.tenant = "default",
		.device = 3 };
	struct lent *lent;

	for (size_t i = 0; i < LENDER_MAX; i++) {
		lent = &lender.lent[i];
		if (lent->lease == 0 ||
		    memcmp(lent->row.grant.request, ask->ask.request,
			REQUEST_BYTES) != 0)
			continue;
		*reply = (struct borrow_taken){ lent->lease,
			lent->row.ticket.until };
		return true;
	}
	memcpy(subject.nonce, lender.nonce, 32);
	ck_assert_mem_eq(ask->ask.nonce, lender.nonce, 32);
	memset(subject.exporter, 9, 32);
	ck_assert_int_eq(borrow_take_digest(subject.request_digest, ask), 0);
	if (!lender_believes(&ask->proof, &subject))
		return false;
	lent = lender_find(0);
	ck_assert_ptr_nonnull(lent);
	lent->lease = 500 + ++lender.leases;
	lent->slots = (struct row_slots){ 0, ask->ask.count };
	lent->row = (struct row_borrowed){ 0 };
	struct row_lease_granted *grant = &lent->row.grant;
	struct row_ticket *ticket = &lent->row.ticket;

	grant->lease = lent->lease;
	grant->license = 1;
	license_digest(grant->license_digest, "license-token", 13);
	grant->device = 3;
	grant->count = ask->ask.count;
	grant->slots = (struct record_list){ &lent->slots, 1 };
	memcpy(grant->nonce, ask->ask.nonce, NONCE_BYTES);
	memcpy(grant->request, ask->ask.request, REQUEST_BYTES);
	memcpy(grant->product, ask->ask.product, sizeof(grant->product));
	memcpy(grant->version, ask->ask.version, sizeof(grant->version));
	grant->ttl_s = lender.prove_s;
	ticket->public_key =
	    (struct record_span){ world.device_key, world.device_key_len };
	ticket->length_s = ask->length_s;
	ticket->clock_ms = ask->proof.clock_ms - (uint64_t)lender.clock_back_ms;
	ticket->resets = ask->proof.resets;
	ticket->from = clock_wall_ms();
	ticket->until = ticket->from + (int64_t)ask->length_s * 1000;
	lender.proven = ask->proof.counter;
	lender_write(&lent->now, lent, ROW_BORROWED, ask->proof.counter);
	*reply = (struct borrow_taken){ lent->lease, ticket->until };
	return true;
}

static inline bool
lender_extend(struct borrow_taken *reply, const struct borrow_extend *ask)
{
	struct proof_subject subject = { .purpose = PROOF_BORROW,
		.site = WORLD_SITE,
		.tenant = "default",
		.device = 3 };
	struct lent *lent = lender_find(ask->lease);

	memcpy(subject.nonce, lender.nonce, 32);
	memset(subject.exporter, 9, 32);
	ck_assert_int_eq(borrow_extend_digest(subject.request_digest, ask), 0);
	if (lent == NULL || !lender_believes(&ask->proof, &subject))
		return false;
	struct row_ticket *ticket = &lent->row.ticket;

	ticket->why = TICKET_EXTENDED;
	ticket->length_s = ask->length_s;
	ticket->clock_ms = ask->proof.clock_ms;
	ticket->from = clock_wall_ms();
	ticket->until = ticket->from + (int64_t)ask->length_s * 1000;
	lender_write(&lent->now, lent, ROW_BORROW_REISSUED, lent->now.epoch);
	*reply = (struct borrow_taken){ lent->lease, ticket->until };
	return true;
}

static inline bool
lender_names(const struct borrow_prepare *ask, const struct lent *lent)
{
	const struct lease_ref *leases = ask->leases.items;
	bool back = ask->all || lent->row.ticket.until <= clock_wall_ms() ||
	    (lender.target != 0 && lent_epoch(lent) < lender.target);

	for (uint32_t i = 0; i < ask->leases.count; i++)
		back = back || leases[i].lease == lent->lease;
	return back;
}

static inline bool
lender_prepare(struct borrow_prepared *reply, const struct borrow_prepare *ask)
{
	uint64_t counter = ask->proof.counter;
	bool any, back[LENDER_MAX] = { false };

	if (!lender_believes_return(&ask->proof, ask->nonce))
		return false;
	lender_settle(counter);
	uint64_t target = counter + 1;

	if (target < lender.target)
		target = lender.target;
	any = lender.owed != 0;
	if (any && target <= lender.owed)
		target = lender.owed + 1;
	for (size_t i = 0; i < LENDER_MAX; i++) {
		struct lent *lent = &lender.lent[i];

		back[i] = lent->lease != 0 && lender_names(ask, lent);
		any = any || back[i];
		if (back[i] && lent_epoch(lent) >= target)
			target = lent_epoch(lent) + 1;
	}
	reply->epoch = any ? target + lender.far : 0;
	if (!any)
		return true;
	lender.target = target;
	for (size_t i = 0; i < LENDER_MAX; i++) {
		struct lent *lent = &lender.lent[i];

		if (lent->lease != 0 && !back[i] && lent_epoch(lent) < target)
			lender_write(&lent->next, lent, ROW_BORROW_REISSUED,
			    target);
	}
	return true;
}

static inline bool
lender_return(struct borrow_returned *reply, const struct borrow_return *ask)
{
	if (!lender_believes_return(&ask->proof, ask->nonce))
		return false;
	reply->ended = lender_settle(ask->proof.counter);
	reply->counter = lender.proven;
	reply->left = lender_count();
	return true;
}

/* One ticket a page. */
static inline void
lender_list(struct borrow_tickets *reply, struct borrow_evidence *item,
    const struct borrow_mine *ask)
{
	uint32_t found = 0;

	*reply = (struct borrow_tickets){ .target = lender.target,
		.owed = lender.owed };
	for (uint64_t cursor = ask->after + 1; cursor < 2000; cursor++) {
		const struct lent *lent =
		    cursor / 2 == 0 ? NULL : lender_find(cursor / 2);
		const struct lent_ticket *ticket = lent == NULL ? NULL
		    : cursor % 2 == 0                           ? &lent->now
								: &lent->next;

		if (ticket == NULL || ticket->epoch == 0)
			continue;
		if (++found == 2) {
			reply->next = item->lease * 2 +
			    (item->row_number ==
				lender_find(item->lease)->next.row_number);
			return;
		}
		*item = (struct borrow_evidence){ .lease = lent->lease,
			.row_number = ticket->row_number,
			.row = { ticket->row.data, (uint32_t)ticket->row.len },
			.header = { ticket->header.data,
			    (uint32_t)ticket->header.len } };
		reply->items = (struct record_list){ item, 1 };
	}
}

static inline bool
lender_does(void *reply, struct borrow_evidence *item, uint32_t op,
    void *request)
{
	struct borrow_challenge *challenge = reply;

	switch (op) {
	case OP_BORROW_CHALLENGE:
		randombytes_buf(lender.nonce, sizeof(lender.nonce));
		memcpy(challenge->nonce, lender.nonce, sizeof(lender.nonce));
		return true;
	case OP_BORROW_TAKE:
		return lender_take(reply, request);
	case OP_BORROW_EXTEND:
		return lender_extend(reply, request);
	case OP_BORROW_PREPARE:
		return lender_prepare(reply, request);
	case OP_BORROW_RETURN:
		return lender_return(reply, request);
	default:
		lender_list(reply, item, request);
		return true;
	}
}

static inline bool
lender_answer(struct world *w, uint32_t op, uint64_t tag, void *request)
{
	union {
		struct borrow_challenge challenge;
		struct borrow_taken taken;
		struct borrow_prepared prepared;
		struct borrow_returned returned;
		struct borrow_tickets tickets;
	} reply;
	struct borrow_evidence item = { 0 };

	if (op < OP_BORROW_CHALLENGE || op > OP_BORROW_MINE)
		return false;
	memset(&reply, 0, sizeof(reply));
	if (op == lender.silent_at)
		return true;
	if (op == OP_BORROW_TAKE && lender.refuse != 0) {
		world_refuse(w, op, tag, lender.refuse);
		return true;
	}
	bool done = lender_does(&reply, &item, op, request);

	if (op == OP_BORROW_MINE && lender.endless)
		reply.tickets.next = 1;

	w->borrows = lender_count() > 0 || lender.owed != 0;
	if (op == lender.dies_at)
		return true;
	if (done)
		world_reply(w, op, tag, &reply);
	else
		world_refuse(w, op, tag, ERR_BAD_PROOF);
	return true;
}

static inline void
lender_setup(void)
{
	setup();
	lender = (struct lender){ .prove_s = 3600 };
	world.answer = lender_answer;
}

static inline void
lender_teardown(void)
{
	for (size_t i = 0; i < LENDER_MAX; i++) {
		buf_release(&lender.lent[i].now.row);
		buf_release(&lender.lent[i].now.header);
		buf_release(&lender.lent[i].next.row);
		buf_release(&lender.lent[i].next.header);
	}
	teardown();
}

#endif
