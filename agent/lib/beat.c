/* The rounds of renewals: the client's thread, and lh_beat(). */
#include "agent/lib/client.h"

#include "agent/lib/stream.h"
#include "shared/base/clock.h"
#include "shared/rpc/rpc.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#define THREAD_STACK_BYTES ((size_t)512 << 10)
/* Never sleep longer: a bound on what a forgotten wake-up could cost. */
#define SLEEP_MAX_MS (60 * 60 * 1000)
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
static bool
is_held(const struct lh_seat *seat)
{
	return !seat->lost && !seat->returned;
}

/* The span is over, or the lease: say so, once. */
static void
tell_lost(struct lh_client *client, struct lh_seat *seat)
{
	char why[VERIFY_WHY];

	pthread_mutex_lock(&client->lock);
	if (!is_held(seat) ||
	    clock_boottime_ms() < atomic_load(&seat->deadline_ms)) {
		pthread_mutex_unlock(&client->lock);
		return;
	}
	int error = seat->last_error == LH_OK ? LH_E_TIMEOUT : seat->last_error;

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
		any = is_held(pass->seats[i]) &&
		    pass->seats[i]->asked == NULL &&
		    due_ms(pass->seats[i], number) <= now_ms;
	for (size_t i = 0; i < pass->n; i++) {
		struct lh_seat *seat = pass->seats[i];
		int64_t early_ms =
		    seat->failures == 0 ? seat_interval_ms(seat) / 4 : 0;

		due[i] = any && is_held(seat) && seat->asked == NULL &&
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
		int error = client_connect(&connection, client, &problem);

		if (error != LH_OK) {
			retry_later(client, pass, due, error, &problem);
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

		if (!is_held(seat))
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
		if (end_ms < next_ms)
			next_ms = end_ms;
	}
	if (client->n_returns > 0 && number == 0 && retry_ms < next_ms)
		next_ms = retry_ms;
	pthread_mutex_unlock(&client->lock);
	return next_ms == INT64_MAX ? -1 : next_ms;
}

/* Do what is to be done now and say when there is more. Never waits for an
 * answer. */
static int64_t
beat_pass(struct lh_client *client)
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

/* Sleep until then, or until an answer, a notice or a wake-up. */
static void
beat_sleep(struct lh_client *client, int64_t next_ms, int64_t deadline)
{
	int64_t left_ms =
	    next_ms < 0 ? SLEEP_MAX_MS : next_ms - clock_boottime_ms();
	int most_ms = stream_left(deadline);
	eventfd_t count;

	left_ms = left_ms < 0        ? 0
	    : left_ms > SLEEP_MAX_MS ? SLEEP_MAX_MS
				     : left_ms;
	if (most_ms >= 0 && left_ms > most_ms)
		left_ms = most_ms;
	pthread_mutex_lock(&client->lock);
	struct connection *connection = client_connection(client);

	pthread_mutex_unlock(&client->lock);
	if (connection != NULL) {
		(void)local_wait(connection->local, client->wake_fd,
		    (int)left_ms);
		client_release(client, connection);
	} else {
		struct pollfd fd = { .fd = client->wake_fd, .events = POLLIN };

		(void)poll(&fd, 1, (int)left_ms);
	}
	(void)eventfd_read(client->wake_fd, &count);
}

/* --- the thread ------------------------------------------------------------
 */

static bool
is_closing(struct lh_client *client)
{
	pthread_mutex_lock(&client->lock);
	bool closing = client->closing;

	pthread_mutex_unlock(&client->lock);
	return closing;
}

static void *
beat_main(void *arg)
{
	struct lh_client *client = arg;

	while (!is_closing(client))
		beat_sleep(client, beat_pass(client), -1);
	return NULL;
}

int
beat_start(struct lh_client *client)
{
	pthread_attr_t attr;
	sigset_t all, before;
	int failed = 0;

	pthread_mutex_lock(&client->lock);
	if (!client->manual && !client->has_thread) {
		/* The application's signals are the application's. */
		sigfillset(&all);
		pthread_sigmask(SIG_SETMASK, &all, &before);
		pthread_attr_init(&attr);
		pthread_attr_setstacksize(&attr, THREAD_STACK_BYTES);
		failed =
		    pthread_create(&client->thread, &attr, beat_main, client);
		pthread_attr_destroy(&attr);
		pthread_sigmask(SIG_SETMASK, &before, NULL);
		client->has_thread = failed == 0;
	}
	pthread_mutex_unlock(&client->lock);
	if (failed != 0)
		return detail_set(LH_E_SYSTEM,
		    "cannot start the thread that renews seats: %s",
		    strerror(failed));
	return LH_OK;
}

void
beat_stop(struct lh_client *client)
{
	pthread_mutex_lock(&client->lock);
	client->closing = true;
	bool has_thread = client->has_thread;

	pthread_mutex_unlock(&client->lock);
	if (!has_thread)
		return;
	client_wake(client);
	pthread_join(client->thread, NULL);
	client->has_thread = false;
}

/* --- now -------------------------------------------------------------------
 */

/* With the lock. */
static bool
is_waiting(const struct lh_client *client, uint64_t beat)
{
	for (const struct lh_seat *seat = client->seats; seat != NULL;
	     seat = seat->next)
		if (seat->beat >= beat)
			return true;
	return false;
}

static void
wait_for_thread(struct lh_client *client, uint64_t beat, int64_t deadline)
{
	client_wake(client);
	pthread_mutex_lock(&client->lock);
	while (is_waiting(client, beat) && client_wait(client, deadline) == 0)
		;
	pthread_mutex_unlock(&client->lock);
}

static void
drive_until(struct lh_client *client, uint64_t beat, int64_t deadline)
{
	pthread_mutex_lock(&client->lock);
	while (client->beating && client_wait(client, deadline) == 0)
		;
	bool mine = !client->beating;

	client->beating = true;
	pthread_mutex_unlock(&client->lock);
	while (mine) {
		int64_t next_ms = beat_pass(client);

		pthread_mutex_lock(&client->lock);
		mine = is_waiting(client, beat) && stream_left(deadline) != 0;
		if (!mine) {
			client->beating = false;
			pthread_cond_broadcast(&client->changed);
		}
		pthread_mutex_unlock(&client->lock);
		if (mine)
			beat_sleep(client, next_ms, deadline);
	}
}

/* The first error of those that were asked; who still waits is let go. */
static int
beat_result(struct lh_client *client, uint64_t beat)
{
	int error = LH_OK;

	pthread_mutex_lock(&client->lock);
	for (struct lh_seat *seat = client->seats; seat != NULL;
	     seat = seat->next) {
		bool late = seat->beat == beat;

		if (error == LH_OK && (late || seat->beat_done >= beat)) {
			error = late ? LH_E_TIMEOUT : seat->beat_error;
			if (late)
				detail_set(error,
				    "the agent has not answered yet");
			else if (error != LH_OK)
				detail_set(error, "%s", seat->why);
		}
		if (late)
			seat->beat = 0;
	}
	pthread_mutex_unlock(&client->lock);
	return error;
}

int
beat_now(struct lh_client *client, const struct lh_seat *only, int timeout_ms)
{
	int64_t deadline = stream_deadline(timeout_ms < 0 ? 0 : timeout_ms);

	pthread_mutex_lock(&client->lock);
	uint64_t beat = ++client->beats;
	bool has_thread = client->has_thread;

	for (struct lh_seat *seat = client->seats; seat != NULL;
	     seat = seat->next)
		if (is_held(seat) && (only == NULL || only == seat))
			seat->beat = beat;
	pthread_mutex_unlock(&client->lock);
	if (has_thread)
		wait_for_thread(client, beat, deadline);
	else
		drive_until(client, beat, deadline);
	return beat_result(client, beat);
}

int
lh_beat(struct lh_client *client, int timeout_ms)
{
	detail_set(LH_OK, "%s", "");
	if (client == NULL)
		return detail_set(LH_E_ARGUMENT, "no client");
	if (client_is_foreign(client))
		return LH_E_ARGUMENT;
	return beat_now(client, NULL, timeout_ms);
}

int
lh_beat_interval_ms(struct lh_client *client)
{
	int64_t interval_ms = 0;

	if (client == NULL || client_is_foreign(client))
		return 0;
	pthread_mutex_lock(&client->lock);
	for (const struct lh_seat *seat = client->seats; seat != NULL;
	     seat = seat->next) {
		int64_t ms = seat_interval_ms(seat);

		if (is_held(seat) && (interval_ms == 0 || ms < interval_ms))
			interval_ms = ms;
	}
	pthread_mutex_unlock(&client->lock);
	return interval_ms > INT_MAX ? INT_MAX : (int)interval_ms;
}
