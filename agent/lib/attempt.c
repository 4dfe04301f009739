/*
 * From a question for seats to the agent's answer: asked, asked again over
 * another connection, waited for in the queue, given up. What the answer is
 * worth is not judged here.
 */
#include "agent/lib/client.h"

#include "agent/lib/stream.h"
#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/rpc/rpc.h"

#include <poll.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

/* One call of attempt_get. */
struct asking {
	struct lh_client *client;
	struct attempt *attempt;
	const struct lh_request *request;
	struct arena *arena;
	struct connection *connection; /* NULL: none now */
	struct waiting waiting;
	int64_t until_ms; /* CLOCK_BOOTTIME: the wait is over */
	int64_t tell_ms; /* `waiting` is called again */
	uint32_t place, length; /* as it was told */
	bool cancelled;
};

/* --- attempts of unknown outcome -------------------------------------------
 */

static bool
is_same_question(const struct local_checkout *a, const struct local_checkout *b)
{
	return strcmp(a->product, b->product) == 0 &&
	    strcmp(a->version, b->version) == 0 &&
	    strcmp(a->feature, b->feature) == 0 &&
	    strcmp(a->user, b->user) == 0 && a->count == b->count;
}

struct attempt *
attempt_take(struct lh_client *client, const struct local_checkout *question)
{
	struct attempt **at = &client->attempts;
	struct attempt *attempt;

	pthread_mutex_lock(&client->lock);
	while (*at != NULL && !is_same_question(&(*at)->request, question))
		at = &(*at)->next;
	attempt = *at;
	if (attempt != NULL)
		*at = attempt->next;
	pthread_mutex_unlock(&client->lock);
	/* But for the wait, a retry says word for word the same: the site would
	 * call it a conflict. */
	if (attempt == NULL && (attempt = calloc(1, sizeof(*attempt))) != NULL)
		attempt->request = *question;
	return attempt;
}

void
attempt_keep(struct lh_client *client, struct attempt *attempt)
{
	struct attempt **at = &client->attempts;

	pthread_mutex_lock(&client->lock);
	attempt->next = client->attempts;
	client->attempts = attempt;
	for (int n = 0; n < CLIENT_ATTEMPTS_MAX && *at != NULL; n++)
		at = &(*at)->next;
	attempt = *at;
	*at = NULL;
	pthread_mutex_unlock(&client->lock);
	free(attempt);
}

/* Could the site have granted it all the same? */
static bool
is_unknown(int err)
{
	return err == ERR_TIMEOUT || err == ERR_CLOSED || err == ERR_CORRUPT ||
	    err == ERR_UNAVAILABLE || err == ERR_NOMEM || err == ERR_SYSTEM;
}

/* The same question, as if it were asked for the first time. */
static void
attempt_freshen(struct attempt *attempt, struct lh_client *client)
{
	struct local_checkout *request = &attempt->request;

	known_get(&request->known, &attempt->floor, client->known,
	    attempt->site, attempt->tenant);
	randombytes_buf(request->nonce, sizeof(request->nonce));
	/* The span counts from here, before anybody can know the nonce. */
	attempt->sent_ms = clock_boottime_ms();
	attempt->queued = false;
}

/* A new question to this site, with what was seen of its journal. */
static void
attempt_begin(struct attempt *attempt, struct lh_client *client,
    const struct local_status *status)
{
	memcpy(attempt->site, status->site, sizeof(attempt->site));
	memcpy(attempt->tenant, status->tenant, sizeof(attempt->tenant));
	randombytes_buf(attempt->request.request,
	    sizeof(attempt->request.request));
	attempt_freshen(attempt, client);
}

/* --- the application's word ------------------------------------------------
 */

static int64_t
left_ms(int64_t until_ms)
{
	int64_t now_ms = clock_boottime_ms();

	return until_ms > now_ms ? until_ms - now_ms : 0;
}

static bool
may_wait(const struct asking *asking)
{
	return asking->request->wait_s > 0;
}

/* Tell the application where it stands, if that is due. False: it will not
 * wait any longer. */
static bool
tell(struct asking *asking)
{
	const struct lh_request *request = asking->request;
	struct lh_client *client = asking->client;
	uint32_t place, length;

	pthread_mutex_lock(&client->lock);
	place = asking->waiting.turn.place;
	length = asking->waiting.turn.length;
	pthread_mutex_unlock(&client->lock);
	if (!may_wait(asking) || request->waiting == NULL ||
	    (place == asking->place && length == asking->length &&
		left_ms(asking->tell_ms) > 0))
		return true;
	asking->place = place;
	asking->length = length;
	asking->cancelled = request->waiting(request->ctx, place, length) != 0;
	asking->tell_ms = clock_boottime_ms() + CLIENT_WAITING_MS;
	return !asking->cancelled;
}

/* ms for one sleep before the application is told again, or `until_ms`. */
static int
nap_ms(const struct asking *asking, int64_t until_ms)
{
	int64_t ms = left_ms(until_ms);

	if (may_wait(asking) && asking->request->waiting != NULL &&
	    left_ms(asking->tell_ms) < ms)
		ms = left_ms(asking->tell_ms);
	return ms > INT32_MAX ? INT32_MAX : (int)ms;
}

/* --- asking ----------------------------------------------------------------
 */

/* Leave the queue; nobody need answer that. */
static void
leave(struct asking *asking)
{
	struct local *local = asking->connection->local;
	struct lease_cancel cancel;
	struct local_waiter waiter;

	memcpy(cancel.request, asking->attempt->request.request,
	    sizeof(cancel.request));
	if (local_begin(&waiter, local, LOCAL_CANCEL, &cancel, -1,
		CLIENT_RETURN_MS, NULL) == 0)
		local_cancel(&waiter, local);
}

/* The question has not been answered and is not wanted any more. An answer that
 * crossed it may be a lease. */
static void
take_back(struct asking *asking, struct local_waiter *waiter)
{
	struct local *local = asking->connection->local;
	struct local_checkout_reply reply;

	leave(asking);
	(void)local_pause(local, waiter, NULL, -1, CLIENT_RETURN_MS);
	if (!local_done(local, waiter))
		local_cancel(waiter, local);
	else if (local_end(&reply, waiter, local, asking->arena, 0, NULL) ==
		0 &&
	    reply.lease != 0)
		seat_give_back(asking->client, &reply,
		    asking->attempt->request.count);
}

/* Ask, and wait for the answer. ERR_*; ERR_GONE when the application gave it
 * up. */
static int
put_question(struct local_checkout_reply *reply, struct asking *asking,
    struct problem *problem)
{
	struct local *local = asking->connection->local;
	struct local_checkout *request = &asking->attempt->request;
	int64_t deadline_ms = asking->until_ms + CLIENT_SITE_MS;
	struct local_waiter waiter;

	request->wait_s = (uint32_t)((left_ms(asking->until_ms) + 999) / 1000);
	pthread_mutex_lock(&asking->client->lock);
	turn_ask(&asking->waiting.turn, request->request);
	pthread_mutex_unlock(&asking->client->lock);
	int err = local_begin(&waiter, local, LOCAL_CHECKOUT, request, -1,
	    CLIENT_LOCAL_MS, problem);

	if (err != 0)
		return err;
	while (!local_done(local, &waiter) && local_error(local) == 0 &&
	    left_ms(deadline_ms) > 0) {
		(void)local_pause(local, &waiter, NULL, -1,
		    nap_ms(asking, deadline_ms));
		if (!local_done(local, &waiter) &&
		    left_ms(asking->tell_ms) == 0 && !tell(asking)) {
			take_back(asking, &waiter);
			return ERR_GONE;
		}
	}
	return local_end(reply, &waiter, local, asking->arena, 0, problem);
}

/* Which journal will the answer come from? */
static int
ask_site(struct local_status *status, struct local *local,
    struct problem *problem)
{
	struct arena arena = { .max_bytes = ATTEMPT_REPLY_BYTES };
	int err = local_call(status, local, LOCAL_STATUS, NULL, &arena,
	    CLIENT_LOCAL_MS, problem);

	arena_release(&arena);
	return err;
}

/* ERR_*; `reply` lives in the arena. */
static int
ask(struct local_checkout_reply *reply, struct asking *asking,
    struct problem *problem)
{
	struct attempt *attempt = asking->attempt;
	struct lh_client *client = asking->client;
	struct local_status status;
	int err = ask_site(&status, asking->connection->local, problem);

	if (err != 0)
		return err;
	/* The agent may be another site's by now, and know nothing of it. */
	bool retry = attempt->sent_ms != 0 &&
	    strcmp(attempt->site, status.site) == 0 &&
	    strcmp(attempt->tenant, status.tenant) == 0;

	if (!retry)
		attempt_begin(attempt, client, &status);
	else if (attempt->queued)
		attempt_freshen(attempt, client);
	err = put_question(reply, asking, problem);
	/* What the first try got has ended meanwhile: ask anew. */
	if (retry && !asking->cancelled &&
	    (err == ERR_GONE || err == ERR_CONFLICT)) {
		attempt_begin(attempt, client, &status);
		err = put_question(reply, asking, problem);
	}
	return err;
}

/* --- the queue -------------------------------------------------------------
 */

/* Is it our turn, or is the wait over? 0: neither; ERR_BUSY: ask again. */
static int
look(struct asking *asking)
{
	struct turn *turn = &asking->waiting.turn;
	int err;

	pthread_mutex_lock(&asking->client->lock);
	atomic_store(&turn->news, false);
	err = turn->over != 0 ? turn->over : turn->ours ? ERR_BUSY : 0;
	pthread_mutex_unlock(&asking->client->lock);
	return err;
}

/* 0: ask again. Else ERR_*: the wait is over, or the connection. */
static int
wait_turn(struct asking *asking, struct problem *problem)
{
	struct local *local = asking->connection->local;
	int64_t over_ms = asking->until_ms + CLIENT_OVER_MS;
	int err;

	while ((err = look(asking)) == 0) {
		if (!tell(asking))
			err = ERR_GONE;
		else if (left_ms(over_ms) == 0)
			err = ERR_NO_SEATS;
		if (err != 0) {
			leave(asking);
			break;
		}
		err = local_pause(local, NULL, &asking->waiting.turn.news, -1,
		    nap_ms(asking, over_ms));
		if (err != 0) {
			problem_set(problem, err, NULL,
			    "the agent hung up while this waited");
			return err;
		}
	}
	if (err == ERR_BUSY)
		return 0;
	turn_problem(problem, err, &asking->attempt->request,
	    (uint32_t)asking->request->wait_s);
	return err;
}

/* An answer: a grant, or what the queue then brings. ERR_BUSY: ask again. */
static int
take_answer(struct asking *asking, const struct local_checkout_reply *reply,
    struct problem *problem)
{
	int err = ERR_CORRUPT;

	if (reply->lease != 0) {
		err = turn_is_grant(reply) ? 0 : ERR_CORRUPT;
	} else if (may_wait(asking)) {
		pthread_mutex_lock(&asking->client->lock);
		err = turn_answer(&asking->waiting.turn, reply);
		pthread_mutex_unlock(&asking->client->lock);
		if (err == 0) {
			asking->attempt->queued = true;
			err = wait_turn(asking, problem);
			return err == 0 ? ERR_BUSY : err;
		}
	}
	if (err != 0)
		problem_set(problem, err, NULL,
		    "the agent's answer is neither a grant nor a place in the "
		    "queue");
	return err;
}

/* --- the whole -------------------------------------------------------------
 */

static void
release(struct asking *asking)
{
	if (asking->connection != NULL)
		client_release(asking->client, asking->connection);
	asking->connection = NULL;
}

/* An agent that is being restarted may be back within `back_ms`. */
static int
reach(struct asking *asking, int64_t back_ms, struct problem *problem)
{
	for (;;) {
		int err = client_connect(&asking->connection, asking->client,
		    CLIENT_LOCAL_MS, problem);

		if (err != ERR_CLOSED || left_ms(back_ms) == 0)
			return err;
		if (!tell(asking))
			return ERR_GONE;
		(void)poll(NULL, 0, CLIENT_RESTART_POLL_MS);
	}
}

/* An agent that was restarted hangs up in the midst; the request's id makes a
 * second try harmless, and in the queue a third. ERR_CLOSED: try again until
 * `back_ms`. */
static bool
may_try_again(int64_t *back_ms, struct asking *asking, int tries)
{
	bool waits = may_wait(asking) && left_ms(asking->until_ms) > 0;

	if (!waits && tries > 1)
		return false;
	*back_ms =
	    clock_boottime_ms() + (waits ? CLIENT_AWAY_MS : CLIENT_RESTART_MS);
	pthread_mutex_lock(&asking->client->lock);
	turn_lose(&asking->waiting.turn);
	pthread_mutex_unlock(&asking->client->lock);
	(void)poll(NULL, 0, CLIENT_RESTART_POLL_MS);
	return true;
}

/* ERR_*, and on 0 the connection that answered. */
static int
ask_until_answered(struct local_checkout_reply *reply, struct asking *asking,
    struct problem *problem)
{
	int64_t back_ms = 0;
	int err, tries = 0;

	for (;;) {
		err = reach(asking, back_ms, problem);
		if (err != 0)
			return err;
		int64_t asked_ms = clock_boottime_ms();

		err = ask(reply, asking, problem);
		if (err == 0)
			err = take_answer(asking, reply, problem);
		if (err == 0)
			return 0;
		release(asking);
		if (err == ERR_CLOSED) {
			if (!may_try_again(&back_ms, asking, ++tries))
				return err;
			continue;
		}
		if (err != ERR_BUSY)
			return err;
		/* However often an agent says that it is our turn. */
		if (left_ms(asked_ms + CLIENT_RESTART_POLL_MS) > 0)
			(void)poll(NULL, 0, CLIENT_RESTART_POLL_MS);
	}
}

static void
join(struct asking *asking)
{
	struct lh_client *client = asking->client;

	pthread_mutex_lock(&client->lock);
	asking->waiting.next = client->waitings;
	client->waitings = &asking->waiting;
	pthread_mutex_unlock(&client->lock);
}

static void
part(struct asking *asking)
{
	struct lh_client *client = asking->client;
	struct waiting **at = &client->waitings;

	pthread_mutex_lock(&client->lock);
	while (*at != &asking->waiting)
		at = &(*at)->next;
	*at = asking->waiting.next;
	pthread_mutex_unlock(&client->lock);
}

int
attempt_get(struct connection **connection, struct local_checkout_reply *reply,
    struct attempt *attempt, struct lh_client *client,
    const struct lh_request *request, struct arena *arena, bool *unknown)
{
	int64_t now_ms = clock_boottime_ms();
	struct asking asking = {
		.client = client,
		.attempt = attempt,
		.request = request,
		.arena = arena,
		.until_ms = now_ms + (int64_t)request->wait_s * 1000,
		.tell_ms = now_ms + CLIENT_WAITING_MS,
	};
	struct problem problem;

	join(&asking);
	int err = ask_until_answered(reply, &asking, &problem);

	part(&asking);
	*unknown = !asking.cancelled && !attempt->queued && is_unknown(err);
	if (asking.cancelled)
		return detail_set(LH_E_CANCELLED,
		    "no longer waiting for a seat of %s: the application gave "
		    "it up",
		    request->product);
	/* No lease has ended: there was none. */
	if (err == ERR_GONE && attempt->queued)
		return detail_problem(LH_E_REFUSED, &problem);
	if (err != 0)
		return detail_problem(error_from_err(err), &problem);
	*connection = asking.connection;
	return LH_OK;
}
