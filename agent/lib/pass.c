/* One pass over all seats; who runs it drives. */
#include "agent/lib/client.h"

#include "shared/base/clock.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NO_MEMORY_MS 1000

/* The seats of one pass, each held by a reference. */
struct pass {
	struct lh_seat **seats;
	size_t n;
};

/* Become the one who drives. */
static int
pass_begin(struct pass *pass, struct lh_client *client)
{
	size_t n = 0;

	pthread_mutex_lock(&client->lock);
	while (client->driving)
		pthread_cond_wait(&client->changed, &client->lock);
	for (struct lh_seat *seat = client->seats; seat != NULL;
	     seat = seat->next)
		n++;
	pass->n = 0;
	pass->seats = calloc(n + 1, sizeof(struct lh_seat *));
	if (pass->seats != NULL) {
		client->driving = true;
		for (struct lh_seat *seat = client->seats; seat != NULL;
		     seat = seat->next) {
			seat->refs++;
			pass->seats[pass->n++] = seat;
		}
	}
	pthread_mutex_unlock(&client->lock);
	return pass->seats == NULL ? LH_E_MEMORY : LH_OK;
}

static void
pass_end(struct pass *pass, struct lh_client *client)
{
	pthread_mutex_lock(&client->lock);
	for (size_t i = 0; i < pass->n; i++)
		seat_unref(pass->seats[i]);
	client->driving = false;
	pthread_cond_broadcast(&client->changed);
	pthread_mutex_unlock(&client->lock);
	free(pass->seats);
}

/* With the lock. */
bool
pass_is_held(const struct lh_seat *seat)
{
	return !seat->lost && !seat->returned;
}

/* A machine that slept for longer than a proof is good for has not been asked
 * since: a borrowed seat is not valid then, and not lost before one proof was
 * asked for in vain. With the lock. */
static bool
may_be_proved(const struct lh_seat *seat)
{
	return seat->borrowed && !seat->ended && seat->failures == 0 &&
	    seat_span_ms(seat) >= seat->lease.ttl_s * 1000LL;
}

/* Nothing went wrong, and nothing came. Returns what it is called; with the
 * lock. */
static int
say_over(struct lh_seat *seat)
{
	if (seat->borrowed && seat_span_ms(seat) < seat->lease.ttl_s * 1000LL) {
		snprintf(seat->why, sizeof(seat->why),
		    "the time is over for which the seat was borrowed (lease "
		    "%llu)",
		    (unsigned long long)seat->lease.lease);
		return LH_E_GONE;
	}
	snprintf(seat->why, sizeof(seat->why),
	    seat->borrowed ? "the device did not prove within %u s that it has "
			     "the borrowed seat"
			   : "no renewal came within the %u s that the site "
			     "signed",
	    seat->lease.ttl_s + seat->lease.grace_s);
	return LH_E_TIMEOUT;
}

/* The span is over, or the lease: say so, once. */
static void
tell_lost(struct lh_client *client, struct lh_seat *seat)
{
	char why[VERIFY_WHY];

	pthread_mutex_lock(&client->lock);
	if (!pass_is_held(seat) || seat->fresh || may_be_proved(seat) ||
	    clock_boottime_ms() < atomic_load(&seat->deadline_ms)) {
		pthread_mutex_unlock(&client->lock);
		return;
	}
	int error =
	    seat->last_error == LH_OK ? say_over(seat) : seat->last_error;

	memcpy(why, seat->why, sizeof(why));
	if (seat->beat != 0)
		renew_failed(seat, error, why);
	seat->lost = true;
	atomic_store(&seat->deadline_ms, 0);
	seat->calling = true;
	seat->caller = pthread_self();
	pthread_mutex_unlock(&client->lock);

	detail_set(error, "%s", why);
	if (client->lost != NULL)
		client->lost(client->ctx, seat, error);

	pthread_mutex_lock(&client->lock);
	seat->calling = false;
	pthread_cond_broadcast(&client->changed);
	pthread_mutex_unlock(&client->lock);
}

/* When the seat wants to ask; with the lock. `number`: of the connection. */
static int64_t
due_ms(const struct lh_seat *seat, uint64_t number)
{
	if (seat->beat != 0 ||
	    (seat->attached != number && seat->failures == 0))
		return 0;
	return seat->next_ms;
}

/* What is asked now goes out together: one round of the agent serves all. */
static size_t
find_due(bool due[], struct lh_client *client, const struct pass *pass,
    uint64_t number)
{
	int64_t now_ms = clock_boottime_ms();
	bool any = false;
	size_t n = 0;

	pthread_mutex_lock(&client->lock);
	for (size_t i = 0; i < pass->n && !any; i++)
		any = pass_is_held(pass->seats[i]) &&
		    pass->seats[i]->asked == NULL &&
		    due_ms(pass->seats[i], number) <= now_ms;
	for (size_t i = 0; i < pass->n; i++) {
		struct lh_seat *seat = pass->seats[i];
		int64_t early_ms =
		    seat->failures == 0 ? seat_interval_ms(seat) / 4 : 0;

		due[i] = any && pass_is_held(seat) && seat->asked == NULL &&
		    due_ms(seat, number) - early_ms <= now_ms;
		n += due[i];
	}
	pthread_mutex_unlock(&client->lock);
	return n;
}

/* The agent cannot be reached: wait longer each time, and not in step with
 * every other application of a restarted agent. */
static void
retry_later(struct lh_client *client, const struct pass *pass, const bool due[],
    int error, const struct problem *problem)
{
	pthread_mutex_lock(&client->lock);
	client->retry_wait_ms = client->retry_wait_ms == 0
	    ? CLIENT_RETRY_FIRST_MS
	    : 2 * client->retry_wait_ms;
	if (client->retry_wait_ms > CLIENT_RETRY_MAX_MS)
		client->retry_wait_ms = CLIENT_RETRY_MAX_MS;
	client->retry_ms = clock_boottime_ms() + client->retry_wait_ms / 2 +
	    randombytes_uniform((uint32_t)client->retry_wait_ms / 2 + 1);
	for (size_t i = 0; i < pass->n; i++) {
		struct lh_seat *seat = pass->seats[i];

		if (due[i] &&
		    (seat->beat != 0 || seat->attached == 0 ||
			seat->next_ms <= clock_boottime_ms()))
			renew_failed(seat, error, problem->detail);
	}
	pthread_mutex_unlock(&client->lock);
}

/* Is it time to knock again? With nothing to ask there is no need to. */
static bool
may_connect(struct lh_client *client, const struct pass *pass)
{
	pthread_mutex_lock(&client->lock);
	bool forced = false;

	for (size_t i = 0; i < pass->n; i++)
		forced = forced || pass->seats[i]->beat != 0;
	bool may = forced || client->retry_wait_ms == 0 ||
	    clock_boottime_ms() >= client->retry_ms;

	pthread_mutex_unlock(&client->lock);
	return may;
}

static void
pass_ask(struct pass *pass, struct lh_client *client, bool due[])
{
	struct problem problem;

	pthread_mutex_lock(&client->lock);
	struct connection *connection = client_connection(client);
	unsigned int n_returns = client->n_returns;

	pthread_mutex_unlock(&client->lock);
	size_t n = find_due(due, client, pass,
	    connection == NULL ? 0 : connection->number);

	if (connection == NULL && (n > 0 || n_returns > 0) &&
	    may_connect(client, pass)) {
		int err = client_connect(&connection, client, CLIENT_LOCAL_MS,
		    &problem);

		if (err != 0) {
			retry_later(client, pass, due, error_from_err(err),
			    &problem);
			return;
		}
		(void)find_due(due, client, pass, connection->number);
	}
	if (connection == NULL)
		return;
	seat_tell_returns(client, connection);
	for (size_t i = 0; i < pass->n; i++)
		if (due[i])
			renew_ask(client, pass->seats[i], connection);
	client_release(client, connection);
}

/* The next moment at which something is to be done; -1: none. */
static int64_t
pass_next(const struct pass *pass, struct lh_client *client)
{
	int64_t next_ms = INT64_MAX;

	pthread_mutex_lock(&client->lock);
	uint64_t number =
	    client->connection == NULL ? 0 : client->connection->number;
	int64_t retry_ms = client->retry_wait_ms == 0 ? 0 : client->retry_ms;

	for (size_t i = 0; i < pass->n; i++) {
		struct lh_seat *seat = pass->seats[i];
		int64_t end_ms = atomic_load(&seat->deadline_ms);
		int64_t then_ms;

		if (!pass_is_held(seat))
			continue;
		if (seat->asked != NULL)
			then_ms = seat->sent_ms + renew_patience_ms(seat);
		else
			then_ms = due_ms(seat, number);
		/* Without an agent nothing happens before the next attempt. */
		if (number == 0 && seat->asked == NULL && then_ms < retry_ms)
			then_ms = retry_ms;
		if (then_ms < next_ms)
			next_ms = then_ms;
		if (!seat->fresh && !may_be_proved(seat) && end_ms < next_ms)
			next_ms = end_ms;
	}
	if (client->n_returns > 0 && number == 0 && retry_ms < next_ms)
		next_ms = retry_ms;
	pthread_mutex_unlock(&client->lock);
	return next_ms == INT64_MAX ? -1 : next_ms;
}

int64_t
pass_run(struct lh_client *client)
{
	struct pass pass;

	if (pass_begin(&pass, client) != LH_OK)
		return clock_boottime_ms() + NO_MEMORY_MS;
	bool *due = calloc(pass.n + 1, sizeof(bool));

	for (size_t i = 0; i < pass.n; i++)
		renew_collect(client, pass.seats[i]);
	for (size_t i = 0; i < pass.n; i++)
		tell_lost(client, pass.seats[i]);
	if (due != NULL)
		pass_ask(&pass, client, due);
	int64_t next_ms = due == NULL ? clock_boottime_ms() + NO_MEMORY_MS
				      : pass_next(&pass, client);

	free(due);
	pass_end(&pass, client);
	return next_ms;
}
