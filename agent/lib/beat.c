/* The rounds of renewals: the client's thread, and lh_beat(). */
#include "agent/lib/client.h"

#include "agent/lib/stream.h"
#include "shared/base/clock.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>

#define THREAD_STACK_BYTES ((size_t)512 << 10)
/* Never sleep longer: a bound on what a forgotten wake-up could cost. */
#define SLEEP_MAX_MS (60 * 60 * 1000)

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
		beat_sleep(client, pass_run(client), -1);
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
		int64_t next_ms = pass_run(client);

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
		if (pass_is_held(seat) && (only == NULL || only == seat))
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

		if (pass_is_held(seat) &&
		    (interval_ms == 0 || ms < interval_ms))
			interval_ms = ms;
	}
	pthread_mutex_unlock(&client->lock);
	return interval_ms > INT_MAX ? INT_MAX : (int)interval_ms;
}
