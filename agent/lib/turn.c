#include "agent/lib/turn.h"

#include "shared/base/err.h"
#include "shared/rpc/rpc.h"

#include <stdio.h>
#include <string.h>

void
turn_ask(struct turn *turn, const uint8_t request[REQUEST_BYTES])
{
	memcpy(turn->request, request, REQUEST_BYTES);
	turn->ours = false;
	turn->over = 0;
	turn->told = false;
	atomic_store(&turn->news, false);
}

static void
take_waiting(struct turn *turn, const struct lease_waiting *waiting)
{
	turn->place = waiting->queue.place;
	turn->length = waiting->queue.length;
	/* Without a code it waits on, at a place that is not known now. */
	if (waiting->queue.place == 0 && waiting->code[0] != '\0')
		turn->over = err_from_code(waiting->code);
	if (waiting->queue.claim_s > 0)
		turn->ours = true;
}

bool
turn_notice(struct turn *turn, enum local_id id, const void *params)
{
	const struct lease_waiting *waiting = params;
	const struct lease_offered *offered = params;

	if (id == LOCAL_WAITING &&
	    memcmp(waiting->request, turn->request, REQUEST_BYTES) == 0)
		take_waiting(turn, waiting);
	else if (id == LOCAL_OFFERED &&
	    memcmp(offered->request, turn->request, REQUEST_BYTES) == 0)
		turn->ours = true;
	else
		return false;
	turn->told = true;
	atomic_store(&turn->news, true);
	return true;
}

int
turn_answer(struct turn *turn, const struct local_checkout_reply *reply)
{
	const struct queue_place *queue = &reply->queue;

	if (queue->place == 0 && queue->claim_s == 0)
		return ERR_CORRUPT;
	/* What a notice said since is newer. */
	if (!turn->told) {
		turn->place = queue->place;
		turn->length = queue->length;
	}
	turn->ours = turn->ours || queue->claim_s > 0;
	return 0;
}

void
turn_lose(struct turn *turn)
{
	turn->place = 0;
	turn->length = 0;
}

bool
turn_is_grant(const struct local_checkout_reply *reply)
{
	return reply->row_number != 0 && reply->row.len > 0 &&
	    reply->header.len > 0 && reply->issuer.len > 0 &&
	    reply->license.len > 0;
}

void
turn_problem(struct problem *problem, int err,
    const struct local_checkout *question, uint32_t wait_s)
{
	char seats[192];

	snprintf(seats, sizeof(seats), "%s of %s%s%s",
	    question->count > 1 ? "seats" : "a seat", question->product,
	    question->feature[0] != '\0' ? "/" : "", question->feature);
	switch (err) {
	case ERR_NO_SEATS:
	case ERR_OVERAGE_EXHAUSTED:
		problem_set(problem, err, NULL,
		    "%s %s came free within the %u s of the wait",
		    question->count > 1 ? "not enough" : "no",
		    seats + (question->count > 1 ? 0 : 2), wait_s);
		break;
	case ERR_UNAVAILABLE:
		problem_set(problem, err, "leasehold status",
		    "the site could not be reached while this waited for %s",
		    seats);
		break;
	case ERR_GONE:
		problem_set(problem, err, NULL,
		    "taken out of the queue for %s: by an admin, or because "
		    "its turn went by unclaimed or its process ended",
		    seats);
		break;
	default:
		problem_set(problem, err, NULL, "out of the queue for %s: %s",
		    seats, err_str(err));
		break;
	}
}
