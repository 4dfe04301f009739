/*
 * A question for a seat on its way to the site: asked, answered, or kept until
 * the site is reached; and asked again where that is right.
 */
#include "agent/keeper/checkout_way.h"

#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/log.h"

#include <event2/event.h>
#include <sodium.h>
#include <sys/time.h>

/* How long a question waits for a site that is not reached. */
#define PATIENCE_MS 10000
/* And one that was sent before the connection broke. */
#define PATIENCE_UNKNOWN_MS 30000
/* A nonce that came so long ago is asked for again before it is used: the span
 * of what it gets counts from then. */
#define STALE_MS 5000
/* A site that could not write is asked again so much later. */
#define AGAIN_MS 5000

void
way_wake_after(struct checkout_way *way, int64_t ms)
{
	struct timeval wait = {
		.tv_sec = ms / 1000,
		.tv_usec = (ms % 1000) * 1000,
	};

	if (event_add(way->timer, &wait) < 0)
		log_error("keeper", "no memory for a timer");
}

/* --- the site's answer ---------------------------------------------------- */

/* The site can write nothing now, or is about to stop. It keeps the place of
 * who waits, and so do we. */
static bool
may_ask_later(const struct checkout_way *way, int err)
{
	return err == ERR_UNAVAILABLE && (way->queued || way->unknown) &&
	    way_is_wanted(way) && way->wait_until_ms > clock_boottime_ms();
}

static void
way_ask_later(struct checkout_way *way)
{
	int64_t left_ms = way->wait_until_ms - clock_boottime_ms();

	way->step = CHECKOUT_OFFLINE;
	way->patience_ms = way->wait_until_ms;
	way->again = true;
	way_wake_after(way, left_ms < AGAIN_MS ? left_ms : AGAIN_MS);
}

/* The next try is a new question: an id is good for one answer. */
static void
way_ask_anew(struct checkout_way *way)
{
	randombytes_buf(way->ask.request, sizeof(way->ask.request));
	way->unknown = false;
	way->queued = false;
	if (way->hold) {
		randombytes_buf(way->ask.nonce, sizeof(way->ask.nonce));
		way->sent_ms = clock_boottime_ms();
	}
	way_ask(way);
}

static void
on_answered(void *ctx, int err, const void *reply,
    const struct problem *problem)
{
	struct checkout_way *way = ctx;
	const struct checkout_reply *grant = reply;

	if (err == ERR_CLOSED) {
		way->unknown = true;
		way_ask(way);
	} else if (err == 0 && grant->lease != 0) {
		way_take_grant(way, grant);
	} else if (err == 0) {
		way_take_place(way, &grant->queue);
	} else if ((err == ERR_GONE || err == ERR_CONFLICT) &&
	    (way->unknown || way->hold) && way_is_wanted(way)) {
		/* What the lost answer granted has ended meanwhile. */
		way_ask_anew(way);
	} else if (may_ask_later(way, err)) {
		way_ask_later(way);
	} else {
		way_refuse(way, err, problem);
	}
}

/* --- asking --------------------------------------------------------------- */

void
way_give_up(struct checkout_way *way)
{
	const struct session *session = &way->keeper->session;
	const char *trouble =
	    session->trouble[0] != '\0' ? session->trouble : "not connected";
	struct problem problem;
	char borrowed[96];
	int err = session->refused != 0 ? session->refused : ERR_UNAVAILABLE;

	tickets_why_not(borrowed, sizeof(borrowed), way);
	problem_set(&problem, err, "leasehold status", "%s%s%s", borrowed,
	    session->refused != 0 ? "" : "the site cannot be reached: ",
	    trouble);
	if (session_waits_for_admin(way->keeper)) {
		err = ERR_FORBIDDEN;
		problem_set_pending(&problem, way->keeper->site.device);
	}
	application_refuse(way->keeper, &way->asker, err, &problem);
	way->asker.application = 0;
	/* The site may have granted it, or keep a place for it: stays, to hear
	 * of it and give it back. */
	if (!way->unknown && !way->queued)
		way_free(way);
}

static void
way_go_offline(struct checkout_way *way)
{
	int64_t now_ms = clock_boottime_ms();
	int64_t until_ms =
	    now_ms + (way->unknown ? PATIENCE_UNKNOWN_MS : PATIENCE_MS);

	way->step = CHECKOUT_OFFLINE;
	if (way->keeper->session.refused != 0 ||
	    (session_waits_for_admin(way->keeper) && way->wait_until_ms == 0)) {
		way_give_up(way);
		return;
	}
	if (until_ms < way->wait_until_ms)
		until_ms = way->wait_until_ms;
	if (way->patience_ms == 0)
		way->patience_ms = until_ms;
	way_wake_after(way,
	    way->patience_ms > now_ms ? way->patience_ms - now_ms : 0);
	session_hurry(way->keeper);
}

void
way_ask(struct checkout_way *way)
{
	struct keeper *keeper = way->keeper;
	int64_t left_ms = way->wait_until_ms - clock_boottime_ms();

	way->again = false;
	/* What the site was asked for, it is asked to the end. */
	if (!way->unknown && !way->queued && way_is_wanted(way) &&
	    tickets_take(way))
		return;
	/* A wait may last a little longer there than here, not shorter. */
	way->ask.wait_s = left_ms > 0 && way_is_wanted(way)
	    ? (uint32_t)((left_ms + 999) / 1000)
	    : 0;
	if (!session_is_up(keeper) ||
	    calls_ask(keeper->calls, OP_LEASE_CHECKOUT, &way->ask, on_answered,
		way) < 0) {
		way_go_offline(way);
		return;
	}
	way->step = CHECKOUT_ASKED;
	way->offered = false;
	way->patience_ms = 0;
	event_del(way->timer);
}

static void
way_ask_again(struct checkout_way *way)
{
	way->again = false;
	if (!session_is_up(way->keeper)) {
		way_go_offline(way);
	} else if (way->unknown) {
		way_ask(way); /* word for word */
	} else if (way->hold) {
		randombytes_buf(way->ask.nonce, sizeof(way->ask.nonce));
		way->sent_ms = clock_boottime_ms();
		way_ask(way);
	} else {
		way_ask_back(way);
	}
}

void
way_on_timer(evutil_socket_t fd, short what, void *ctx)
{
	struct checkout_way *way = ctx;

	(void)fd;
	(void)what;
	if (way->step == CHECKOUT_OFFLINE && way->again) {
		way_ask_again(way);
	} else if (way->step == CHECKOUT_OFFLINE) {
		way_give_up(way);
	} else if (way->step == CHECKOUT_QUEUED) {
		way_wait_over(way);
	}
}

/* --- the session comes and goes ------------------------------------------- */

static void
resume(struct checkout_way *way)
{
	bool stale =
	    !way->unknown && clock_boottime_ms() - way->sent_ms > STALE_MS;

	if (way->step != CHECKOUT_OFFLINE && way->step != CHECKOUT_QUEUED)
		return;
	if (!way->unknown && !way_is_wanted(way)) {
		way_leave(way);
	} else if (way->step == CHECKOUT_QUEUED ||
	    (stale && !way->hold && way->wait_until_ms != 0)) {
		way_ask_back(way);
	} else {
		if (stale && way->hold) {
			randombytes_buf(way->ask.nonce, sizeof(way->ask.nonce));
			way->sent_ms = clock_boottime_ms();
		}
		way_ask(way);
	}
}

void
checkouts_resume(struct keeper *keeper)
{
	struct checkout_way *way, *next;

	for (way = TAILQ_FIRST(&keeper->checkouts); way != NULL; way = next) {
		next = TAILQ_NEXT(way, entry);
		resume(way);
	}
}

void
checkouts_try_tickets(struct keeper *keeper)
{
	struct checkout_way *way, *next;

	for (way = TAILQ_FIRST(&keeper->checkouts); way != NULL; way = next) {
		next = TAILQ_NEXT(way, entry);
		way->no_ticket = false;
		if (way->step == CHECKOUT_OFFLINE && !way->again)
			way_ask(way);
	}
}

void
checkouts_refuse(struct keeper *keeper)
{
	struct checkout_way *way, *next;

	for (way = TAILQ_FIRST(&keeper->checkouts); way != NULL; way = next) {
		next = TAILQ_NEXT(way, entry);
		if (way->step == CHECKOUT_OFFLINE)
			way_give_up(way);
		else if (way->step == CHECKOUT_QUEUED)
			way_end_wait(way, err_code(keeper->session.refused));
	}
}

void
checkouts_pending(struct keeper *keeper)
{
	struct checkout_way *way, *next;

	for (way = TAILQ_FIRST(&keeper->checkouts); way != NULL; way = next) {
		next = TAILQ_NEXT(way, entry);
		if (way->step == CHECKOUT_OFFLINE && way->wait_until_ms == 0)
			way_give_up(way);
	}
}
