/*
 * One seat's questions to the agent, one at a time and each with a fresh
 * nonce: to be attached to a new connection, to be renewed. Only the one who
 * drives calls here, so that a seat's question is nobody else's.
 */
#include "agent/lib/client.h"

#include "shared/base/clock.h"
#include "shared/base/err.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#define REPLY_BYTES ((size_t)128 << 10)
#define BACKOFF_FIRST_MS 500
#define BACKOFF_DOUBLINGS 5
#define PATIENCE_MIN_MS 10000

int64_t
renew_patience_ms(const struct lh_seat *seat)
{
	int64_t ttl_ms = (int64_t)seat->lease.ttl_s * 1000;

	/* The agent answers after its next round with the site, and a site
	 * that is away for a while may be back before the span is over. But a
	 * proof needs no site. */
	if (seat->borrowed && ttl_ms > CLIENT_SITE_MS)
		return CLIENT_SITE_MS;
	return ttl_ms > PATIENCE_MIN_MS ? ttl_ms : PATIENCE_MIN_MS;
}

static void
beat_answered(struct lh_seat *seat, int error)
{
	if (seat->beat == 0)
		return;
	seat->beat_done = seat->beat;
	seat->beat_error = error;
	seat->beat = 0;
}

void
renew_failed(struct lh_seat *seat, int error, const char *why)
{
	int64_t interval_ms = seat_interval_ms(seat);
	int64_t wait_ms = (int64_t)BACKOFF_FIRST_MS
	    << (seat->failures < BACKOFF_DOUBLINGS ? seat->failures
						   : BACKOFF_DOUBLINGS);

	seat->failures++;
	seat->last_error = error;
	snprintf(seat->why, sizeof(seat->why), "%s", why);
	seat->next_ms = clock_boottime_ms() +
	    (wait_ms < interval_ms ? wait_ms : interval_ms);
	beat_answered(seat, error);
}

void
renew_ended(struct lh_seat *seat, int error, const char *why)
{
	seat->ended = true;
	atomic_store(&seat->deadline_ms, 0);
	renew_failed(seat, error, why);
}

/* Verified from signature to nonce; without the lock. LH_*. */
static int
check_beat(struct lh_client *client, struct lh_seat *seat,
    const struct local_renew_reply *reply, char why[static VERIFY_WHY])
{
	struct journal_beat beat;
	int error =
	    verify_beat_token(&beat, &seat->lease, reply, &seat->floor, why);

	if (error == LH_OK)
		error =
		    verify_beat(&beat, &seat->lease, reply, seat->nonce, why);
	if (error == LH_OK &&
	    known_see(client->known, beat.site, beat.tenant, beat.generation,
		beat.batch, beat.head) != 0) {
		snprintf(why, VERIFY_WHY,
		    "site %s shows two different batches %llu of its journal",
		    beat.site, (unsigned long long)beat.batch);
		error = LH_E_FORK;
	}
	/* Last: what such a beat says of the journal still counts. */
	if (error == LH_OK)
		error = verify_beat_contract(&beat, &seat->lease, why);
	return error;
}

/* Without the lock. LH_E_GONE and LH_E_CLOCK: that is proved, and the end. */
static int
check_ticket(struct lh_client *client, struct lh_seat *seat,
    const struct local_checkout_reply *reply, char why[static VERIFY_WHY])
{
	struct verify_question question = *seat->question;
	struct verify_borrow borrow;
	struct verify_lease lease;

	memcpy(question.nonce, seat->nonce, sizeof(question.nonce));
	int error = verify_ticket(&lease, &borrow, reply, &question,
	    clock_wall_ms(), why);

	if (error == LH_OK)
		error = verify_ticket_goes_on(&lease, &borrow, &seat->lease,
		    &seat->borrow, why);
	if (error == LH_OK &&
	    known_see(client->known, lease.header.site, lease.header.tenant,
		lease.header.generation, lease.header.batch, lease.head) != 0) {
		snprintf(why, VERIFY_WHY,
		    "site %s shows two different batches %llu of its journal",
		    lease.header.site, (unsigned long long)lease.header.batch);
		error = LH_E_FORK;
	}
	if (error == LH_OK &&
	    seat_renew_ticket(seat, client, &borrow, reply) != LH_OK) {
		snprintf(why, VERIFY_WHY, "out of memory");
		error = LH_E_MEMORY;
	}
	return error;
}

static void
take_renewed(struct lh_client *client, struct lh_seat *seat,
    const struct local_renew_reply *reply)
{
	char why[VERIFY_WHY] = "";
	int error = seat->borrowed
	    ? check_ticket(client, seat, &reply->ticket, why)
	    : check_beat(client, seat, reply, why);
	bool over =
	    seat->borrowed && (error == LH_E_GONE || error == LH_E_CLOCK);

	pthread_mutex_lock(&client->lock);
	if (over) {
		renew_ended(seat, error, why);
	} else if (error != LH_OK) {
		renew_failed(seat, error, why);
	} else if (!seat->ended && !seat->lost && !seat->returned) {
		atomic_store(&seat->deadline_ms,
		    seat->sent_ms + seat_span_ms(seat));
		seat->next_ms = seat->sent_ms + seat_interval_ms(seat);
		seat->active_heard_ms = seat->active_asked_ms;
		seat->failures = 0;
		seat->last_error = LH_OK;
		beat_answered(seat, LH_OK);
	}
	pthread_mutex_unlock(&client->lock);
}

static void
take_refused(struct lh_client *client, struct lh_seat *seat, enum local_id op,
    int err, const struct problem *problem)
{
	pthread_mutex_lock(&client->lock);
	if (err == ERR_IDLE) {
		renew_ended(seat, LH_E_GONE, CLIENT_IDLE_WORDS);
	} else if (err == ERR_GONE ||
	    (err == ERR_NOT_FOUND && op == LOCAL_ATTACH)) {
		renew_ended(seat, LH_E_GONE, problem->detail);
	} else {
		/* An agent that forgot the lease is told again whose it is. */
		if (err == ERR_NOT_FOUND)
			seat->attached = 0;
		renew_failed(seat, error_from_err(err), problem->detail);
	}
	pthread_mutex_unlock(&client->lock);
}

void
renew_collect(struct lh_client *client, struct lh_seat *seat)
{
	struct connection *asked = seat->asked;
	struct arena arena = { .max_bytes = REPLY_BYTES };
	struct local_renew_reply reply;
	struct problem problem;

	if (asked == NULL ||
	    (!local_done(asked->local, &seat->waiter) &&
		local_error(asked->local) == 0 &&
		clock_boottime_ms() < seat->sent_ms + renew_patience_ms(seat)))
		return;
	enum local_id op = seat->waiter.op;
	int err = local_end(op == LOCAL_RENEW ? &reply : NULL, &seat->waiter,
	    asked->local, &arena, 0, &problem);

	seat->asked = NULL;
	if (err != 0) {
		take_refused(client, seat, op, err, &problem);
	} else if (op == LOCAL_RENEW) {
		take_renewed(client, seat, &reply);
	} else {
		pthread_mutex_lock(&client->lock);
		seat->attached = asked->number;
		/* A new agent knows no nonce of ours yet. */
		seat->next_ms = clock_boottime_ms();
		pthread_mutex_unlock(&client->lock);
	}
	arena_release(&arena);
	client_release(client, asked);
}

static struct record_span
span_of(const struct buf *buf)
{
	return (
	    struct record_span){ .data = buf->data, .len = (uint32_t)buf->len };
}

static int
begin_attach(struct lh_client *client, struct lh_seat *seat,
    struct connection *connection, struct problem *problem)
{
	struct local_attach request = {
		.lease = seat->lease.lease,
		.row_number = seat->row_number,
		.row = span_of(&seat->row),
		.path = span_of(&seat->path),
		.header = span_of(&seat->header),
		.count = seat->borrowed ? seat->lease.count : 0,
	};

	return local_begin(&seat->waiter, connection->local, LOCAL_ATTACH,
	    &request, client->wake_fd, CLIENT_LOCAL_MS, problem);
}

static int
begin_renew(struct lh_client *client, struct lh_seat *seat,
    struct connection *connection, struct problem *problem)
{
	struct local_renew request = { .lease = seat->lease.lease };
	struct journal_known kept;

	known_get(&kept, &seat->floor, client->known, seat->lease.header.site,
	    seat->lease.header.tenant);
	randombytes_buf(seat->nonce, sizeof(seat->nonce));
	memcpy(request.nonce, seat->nonce, sizeof(request.nonce));
	seat->active_asked_ms = atomic_load(&seat->active_ms);
	request.reports = seat->active_asked_ms != 0;
	request.active = seat->active_asked_ms != seat->active_heard_ms;
	/* The span counts from here, before anybody can know the nonce. */
	seat->sent_ms = clock_boottime_ms();
	return local_begin(&seat->waiter, connection->local, LOCAL_RENEW,
	    &request, client->wake_fd, CLIENT_LOCAL_MS, problem);
}

void
renew_ask(struct lh_client *client, struct lh_seat *seat,
    struct connection *connection)
{
	struct problem problem;
	int err;

	seat->sent_ms = clock_boottime_ms();
	if (seat->attached != connection->number)
		err = begin_attach(client, seat, connection, &problem);
	else
		err = begin_renew(client, seat, connection, &problem);
	pthread_mutex_lock(&client->lock);
	if (err == 0) {
		seat->asked = connection;
		connection->refs++;
	} else {
		renew_failed(seat, error_from_err(err), problem.detail);
	}
	pthread_mutex_unlock(&client->lock);
}
