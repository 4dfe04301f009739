/*
 * Checkouts that stand in the site's queue: places and turns on their way to
 * the application, and its leaving on the way to the site. The place itself is
 * the site's; here is only who waits for it. A turn is taken by the application
 * asking again, because the span that it gets counts from the nonce it brings.
 */
#include "agent/keeper/checkout_way.h"

#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/base/text.h"

#include <event2/event.h>
#include <string.h>

/* The site says when a wait is over; without its word it is so much later. */
#define OVER_MS 1000
/* After a start, applications come back with questions that this keeper has
 * not heard of yet. */
#define RETURN_MS 10000
/* The site keeps a place so long for a device that it does not reach. */
#define ABSENT_MS 60000
/* What an application is told that is to ask again without an offer. */
#define RECLAIM_S 30

/* --- to the application --------------------------------------------------- */

static void
tell_place(struct checkout_way *way, const char *code)
{
	struct lease_waiting waiting = { .queue = way->place };

	memcpy(waiting.request, way->request, sizeof(waiting.request));
	text_copy(waiting.code, sizeof(waiting.code), code);
	application_notify(way->keeper, way->asker.application, LOCAL_WAITING,
	    &lease_waiting_record, &waiting);
}

static void
tell_turn(struct checkout_way *way, uint32_t claim_s)
{
	struct lease_offered offered = { .claim_s = claim_s };

	memcpy(offered.request, way->request, sizeof(offered.request));
	application_notify(way->keeper, way->asker.application, LOCAL_OFFERED,
	    &lease_offered_record, &offered);
}

/* From here on it waits without a question of the application's. */
static void
answer_place(struct checkout_way *way)
{
	struct local_checkout_reply reply = {
		.device = way->keeper->site.device,
		.queue = way->place,
	};
	int64_t left_ms = way->wait_until_ms - clock_boottime_ms();

	way->step = CHECKOUT_QUEUED;
	way->patience_ms = 0;
	way_wake_after(way, (left_ms > 0 ? left_ms : 0) + OVER_MS);
	application_answer(way->keeper, &way->asker,
	    &local_checkout_reply_record, &reply);
	way->asker.id = 0;
}

void
way_take_place(struct checkout_way *way, const struct queue_place *place)
{
	struct problem problem;

	if (place->place == 0 && place->claim_s == 0) {
		log_error("keeper",
		    "the site answers a checkout with neither "
		    "a lease nor a place");
		way_refuse(way, ERR_CORRUPT, NULL);
		return;
	}
	way->queued = true;
	way->unknown = false;
	way->place = *place;
	if (!way_is_wanted(way) || !process_lives(way->process)) {
		application_refuse(way->keeper, &way->asker, ERR_GONE, NULL);
		way->asker.application = 0;
		way_leave(way);
	} else if (way->wait_until_ms == 0) {
		problem_set(&problem, ERR_NO_SEATS, NULL, NULL);
		application_refuse(way->keeper, &way->asker, ERR_NO_SEATS,
		    &problem);
		way->asker.application = 0;
		way_leave(way);
	} else {
		answer_place(way);
		if (way->offered)
			tell_turn(way, RECLAIM_S);
	}
}

void
way_ask_back(struct checkout_way *way)
{
	if (way->step == CHECKOUT_QUEUED) {
		tell_turn(way, RECLAIM_S);
		return;
	}
	way->place = (struct queue_place){ .claim_s = RECLAIM_S };
	answer_place(way);
}

void
way_end_wait(struct checkout_way *way, const char *code)
{
	way->place = (struct queue_place){ 0 };
	tell_place(way, code);
	way->asker.application = 0;
	way_leave(way);
}

void
way_wait_over(struct checkout_way *way)
{
	if (!way_is_wanted(way))
		way_free(way);
	else
		way_end_wait(way,
		    err_code(session_is_up(way->keeper) ? ERR_NO_SEATS
							: ERR_UNAVAILABLE));
}

/* --- to the site ---------------------------------------------------------- */

static void
on_cancelled(void *ctx, int err, const void *reply,
    const struct problem *problem)
{
	(void)ctx;
	(void)reply;
	if (err != 0 && err != ERR_CLOSED)
		log_debug("keeper", "a place in the queue is not given up: %s",
		    problem->detail);
}

/* If the answer is lost, the site takes a turn that nobody claims back. */
static int
tell_site(struct keeper *keeper, const uint8_t request[REQUEST_BYTES])
{
	struct lease_cancel cancel;

	memcpy(cancel.request, request, sizeof(cancel.request));
	return calls_ask(keeper->calls, OP_LEASE_CANCEL, &cancel, on_cancelled,
	    keeper);
}

void
way_leave(struct checkout_way *way)
{
	if (way->queued && !session_is_up(way->keeper)) {
		/* When it is reached. */
		way->step = CHECKOUT_QUEUED;
		way_wake_after(way, ABSENT_MS);
		return;
	}
	if (way->queued)
		(void)tell_site(way->keeper, way->ask.request);
	way_free(way);
}

/* --- nobody waits --------------------------------------------------------- */

/* Nobody hears the answer. */
static void
forget(struct checkout_way *way)
{
	way->asker.application = 0;
	if (way->step == CHECKOUT_QUEUED ||
	    (way->step == CHECKOUT_OFFLINE && !way->unknown))
		way_leave(way);
}

void
checkouts_forget(struct keeper *keeper, uint64_t application)
{
	struct checkout_way *way, *next;

	for (way = TAILQ_FIRST(&keeper->checkouts); way != NULL; way = next) {
		next = TAILQ_NEXT(way, entry);
		if (way->asker.application == application)
			forget(way);
	}
}

void
checkouts_process_ended(struct keeper *keeper, struct process *process)
{
	struct checkout_way *way, *next;
	struct problem problem;

	problem_set(&problem, ERR_GONE, NULL,
	    "the process that the seat was for has ended");
	for (way = TAILQ_FIRST(&keeper->checkouts); way != NULL; way = next) {
		next = TAILQ_NEXT(way, entry);
		/* One that the site was asked for is given back when the
		 * answer comes. */
		if (way->process != process) {
			continue;
		} else if (way->step == CHECKOUT_QUEUED) {
			way_end_wait(way, err_code(ERR_GONE));
		} else if (way->step == CHECKOUT_OFFLINE) {
			application_refuse(keeper, &way->asker, ERR_GONE,
			    &problem);
			forget(way);
		}
	}
}

void
checkout_cancel(struct application *application, const struct asker *asker,
    const struct lease_cancel *request)
{
	static const struct empty nothing = { 0 };
	struct keeper *keeper = application->keeper;
	struct checkout_way *way;
	struct problem problem;

	TAILQ_FOREACH(way, &keeper->checkouts, entry)
		if (way->user == application->user &&
		    memcmp(way->request, request->request, REQUEST_BYTES) == 0)
			break;
	if (way != NULL) {
		problem_set(&problem, ERR_GONE, NULL,
		    "the question was taken back");
		if (way->asker.id != 0)
			application_refuse(keeper, &way->asker, ERR_GONE,
			    &problem);
		forget(way);
	}
	application_answer(keeper, asker, &empty_record, &nothing);
}

/* --- from the site -------------------------------------------------------- */

static struct checkout_way *
find_asked(struct keeper *keeper, const uint8_t request[REQUEST_BYTES])
{
	struct checkout_way *way;

	TAILQ_FOREACH(way, &keeper->checkouts, entry)
		if (memcmp(way->ask.request, request, REQUEST_BYTES) == 0)
			return way;
	return NULL;
}

void
checkouts_waiting(struct keeper *keeper, const struct lease_waiting *waiting)
{
	struct checkout_way *way = find_asked(keeper, waiting->request);

	/* While it is asked, the answer will say. */
	if (way == NULL || way->step != CHECKOUT_QUEUED)
		return;
	if (waiting->queue.place == 0) {
		way->queued = false; /* not any more */
		way_end_wait(way,
		    waiting->code[0] != '\0' ? waiting->code
					     : err_code(ERR_NO_SEATS));
		return;
	}
	way->place = waiting->queue;
	tell_place(way, "");
}

void
checkouts_offered(struct keeper *keeper, const struct lease_offered *offered)
{
	struct checkout_way *way = find_asked(keeper, offered->request);

	if (way == NULL) {
		/* Of an application that ended while the site was not reached,
		 * or with an earlier keeper. */
		if (clock_boottime_ms() - keeper->started_ms > RETURN_MS)
			(void)tell_site(keeper, offered->request);
	} else if (way->step == CHECKOUT_QUEUED) {
		tell_turn(way, offered->claim_s);
	} else {
		way->offered = true;
	}
}

void
checkouts_disconnected(struct keeper *keeper)
{
	struct checkout_way *way;

	TAILQ_FOREACH(way, &keeper->checkouts, entry) {
		way->place = (struct queue_place){ 0 };
		if (way->step == CHECKOUT_QUEUED)
			tell_place(way, "");
	}
}
