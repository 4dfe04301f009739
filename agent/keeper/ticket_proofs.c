/*
 * What the device proves to applications that use borrowed seats: the ticket
 * as the book has it, and a proof over their nonce and its row. Each is looked
 * at here as the application will (shared/journal/ticket.h): a ticket whose
 * time is used up, by the device's own clock, is given to nobody.
 */
#include "agent/keeper/checkout_way.h"
#include "agent/keeper/private.h"

#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/base/text.h"

#include <stdlib.h>
#include <string.h>

/* Of one use, on their way: a library asks for one after the other, and the TPM
 * is everybody's. */
#define USE_PROOFS_MAX 2

/* One proof on its way. The use may be gone when it is made. */
struct proving {
	struct keeper *keeper;
	uint64_t use;
	enum use_question question;
	uint64_t row_number; /* of the ticket that it is over */
	uint8_t nonce[NONCE_BYTES];
	struct asker asker; /* but of a checkout: its way's */
	int64_t asked_ms;
};

/* --- answers -------------------------------------------------------------- */

static void
refuse(struct seat_use *use, const struct proving *proving, int err,
    const struct problem *problem)
{
	struct checkout_way *way = use->way;

	if (proving->question != USE_CHECKOUT || way == NULL) {
		application_refuse(proving->keeper, &proving->asker, err,
		    problem);
		return;
	}
	/* Another ticket, or the site. */
	use_drop(use);
	way_ask(way);
}

static int
fill_reply(struct local_checkout_reply *reply, struct keeper *keeper,
    const struct ticket *ticket, const struct proof *proof, struct arena *arena)
{
	struct license_file license;
	int err = files_read_license(&license, &keeper->files, ticket->license,
	    arena);

	*reply = (struct local_checkout_reply){
		.lease = ticket->lease,
		.row_number = ticket->row_number,
		.row = { ticket->row.data, (uint32_t)ticket->row.len },
		.path = { ticket->path.data, (uint32_t)ticket->path.len },
		.header = { ticket->header.data, (uint32_t)ticket->header.len },
		.device = keeper->site.device,
		.proof = *proof,
	};
	if (err != 0) {
		log_error("keeper", "the license of borrow-%llu: %s",
		    (unsigned long long)ticket->lease, err_str(err));
		return err;
	}
	reply->issuer = license.issuer;
	reply->license = license.license;
	return 0;
}

/* The first answer: the use is its process's from now on. */
static void
answer_way(struct seat_use *use, const struct local_checkout_reply *reply)
{
	struct checkout_way *way = use->way;
	struct keeper *keeper = use->keeper;

	use->way = NULL;
	way->use = NULL;
	use->application = way->asker.application;
	use->proved_ms = way->sent_ms;
	if (!process_lives(way->process) || !way_is_wanted(way)) {
		use_drop(use);
		way_refuse(way, ERR_GONE, NULL);
		return;
	}
	if (application_answer(keeper, &way->asker,
		&local_checkout_reply_record, reply) < 0)
		use_drop(use);
	way_free(way);
}

static void
answer(struct seat_use *use, const struct proving *proving,
    const struct local_checkout_reply *reply)
{
	struct keeper *keeper = use->keeper;
	struct local_renew_reply renewed = { .ticket = *reply };

	if (proving->asked_ms > use->proved_ms)
		use->proved_ms = proving->asked_ms;
	if (proving->question == USE_CHECKOUT && use->way != NULL) {
		answer_way(use, reply);
	} else if (proving->question == USE_AGAIN) {
		use->application = proving->asker.application;
		application_answer(keeper, &proving->asker,
		    &local_checkout_reply_record, reply);
	} else if (proving->question == USE_RENEW) {
		application_answer(keeper, &proving->asker,
		    &local_renew_reply_record, &renewed);
	}
}

/* --- what was proved ------------------------------------------------------ */

/* Its time is used up, or its clock went back: nobody gets it any more, and the
 * site is told. */
static void
end_ticket(struct seat_use *use, struct ticket *ticket,
    const struct proving *proving, int err, const struct ticket_now *now)
{
	struct keeper *keeper = use->keeper;
	uint64_t lease = use->lease;
	struct problem problem;
	char words[192];

	ticket_explain(words, sizeof(words), err, &ticket->ticket, now);
	log_warn("keeper", "borrow-%llu is over: %s", (unsigned long long)lease,
	    words);
	problem_set(&problem, ERR_GONE, "leasehold borrow list",
	    "borrow-%llu is over: %s", (unsigned long long)lease, words);
	ticket->over = true;
	refuse(use, proving, ERR_GONE, &problem);
	tickets_watch(keeper);
	borrows_settle(keeper);
}

static void
take_proof(struct seat_use *use, const struct proving *proving,
    const struct proof *proof)
{
	struct keeper *keeper = use->keeper;
	struct arena arena = { .max_bytes = 1 << 20 };
	struct local_checkout_reply reply;
	struct ticket *ticket;
	struct ticket_now now = { .counter = proof->counter,
		.clock_ms = proof->clock_ms,
		.resets = proof->resets,
		.wall_ms = clock_wall_ms() };
	int64_t left_ms;
	int err;

	ticket = book_find(&keeper->borrows.book, use->lease, proof->counter);
	if (ticket == NULL) {
		refuse(use, proving, ERR_GONE, NULL);
		return;
	}
	if (ticket->row_number != proving->row_number) {
		/* Another was put in its place meanwhile. */
		err = use_prove(use, proving->question, proving->nonce,
		    &proving->asker);
		if (err < 0)
			refuse(use, proving, err, NULL);
		return;
	}
	err = ticket_left_ms(&left_ms, &ticket->ticket, &now);
	if (err != 0) {
		end_ticket(use, ticket, proving, err, &now);
		return;
	}
	err = fill_reply(&reply, keeper, ticket, proof, &arena);
	if (err == 0)
		answer(use, proving, &reply);
	else
		refuse(use, proving, ERR_UNAVAILABLE, NULL);
	arena_release(&arena);
}

static void
on_proof(void *ctx, int err, const struct proof *proof)
{
	struct proving *proving = ctx;
	struct keeper *keeper = proving->keeper;
	struct seat_use *use;
	struct problem problem;

	if (err == ERR_CLOSED) {
		free(proving);
		return;
	}
	/* May end uses, this one among them. */
	if (err == 0)
		borrows_saw_counter(keeper, proof->counter);
	use = tickets_find(keeper, proving->use);
	if (use != NULL)
		use->proofs--;
	problem_set(&problem, ERR_UNAVAILABLE, "leasehold status",
	    "this workstation's key cannot prove its borrows now: %s",
	    err_str(err));
	if (use == NULL) {
		application_refuse(keeper, &proving->asker, ERR_GONE, NULL);
	} else if (err == 0) {
		take_proof(use, proving, proof);
	} else {
		if (use->way != NULL)
			use->way->no_ticket = true;
		refuse(use, proving, ERR_UNAVAILABLE, &problem);
	}
	free(proving);
}

int
use_prove(struct seat_use *use, enum use_question question,
    const uint8_t nonce[NONCE_BYTES], const struct asker *asker)
{
	struct keeper *keeper = use->keeper;
	const struct ticket *ticket = borrows_find(keeper, use->lease);
	struct proving *proving;
	struct proof_subject subject;

	if (ticket == NULL)
		return ERR_GONE;
	if (use->proofs >= USE_PROOFS_MAX)
		return ERR_RATE_LIMITED;
	proving = calloc(1, sizeof(*proving));
	if (proving == NULL)
		return ERR_NOMEM;
	proving->keeper = keeper;
	proving->use = use->number;
	proving->question = question;
	proving->row_number = ticket->row_number;
	memcpy(proving->nonce, nonce, sizeof(proving->nonce));
	if (question != USE_CHECKOUT)
		proving->asker = *asker;
	proving->asked_ms = clock_boottime_ms();
	ticket_subject(&subject, keeper->site.site, keeper->site.tenant,
	    keeper->site.device, nonce, ticket->row.data, ticket->row.len);
	int err = proofs_make(keeper->proofs, &subject, on_proof, proving);

	if (err < 0)
		free(proving);
	else
		use->proofs++;
	return err;
}
