/* A client: its options, its connection, its end. */
#include "agent/lib/client.h"

#include "agent/lib/stream.h"
#include "shared/base/err.h"
#include "shared/rpc/rpc.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#define MARK_BYTES 4096

bool
client_is_foreign(const struct lh_client *client)
{
	if (atomic_load_explicit(client->mark, memory_order_relaxed) != 0 &&
	    (client->wiped_on_fork || getpid() == client->pid))
		return false;
	detail_set(LH_E_ARGUMENT,
	    "this client belongs to the parent process: make a new one after "
	    "fork()");
	return true;
}

void
client_wake(struct lh_client *client)
{
	(void)eventfd_write(client->wake_fd, 1);
}

int
client_wait(struct lh_client *client, int64_t deadline)
{
	struct timespec until;

	stream_timespec(&until, deadline);
	return pthread_cond_timedwait(&client->changed, &client->lock,
		   &until) == ETIMEDOUT
	    ? ERR_TIMEOUT
	    : 0;
}

/* --- the connection --------------------------------------------------------
 */

void
client_release_locked(struct connection *connection)
{
	if (connection == NULL || --connection->refs > 0)
		return;
	local_close(connection->local);
	free(connection);
}

void
client_release(struct lh_client *client, struct connection *connection)
{
	pthread_mutex_lock(&client->lock);
	client_release_locked(connection);
	pthread_mutex_unlock(&client->lock);
}

struct connection *
client_connection(struct lh_client *client)
{
	struct connection *connection = client->connection;

	if (connection != NULL && local_error(connection->local) != 0) {
		/* First, so that a child of fork never sees it freed. */
		client->connection = NULL;
		client_release_locked(connection);
		connection = NULL;
	}
	if (connection != NULL)
		connection->refs++;
	return connection;
}

/* A lease was taken from us. With the lock. */
static void
take_revoked(struct lh_client *client, const struct local_revoked *revoked)
{
	for (struct lh_seat *seat = client->seats; seat != NULL;
	     seat = seat->next) {
		if (seat->lease.lease != revoked->lease)
			continue;
		int err = err_from_code(revoked->code);

		renew_ended(seat, LH_E_GONE,
		    err == ERR_IDLE ? CLIENT_IDLE_WORDS
			: err == ERR_ROLLED_BACK
			? "the site's journal was rolled back or forked and "
			  "does not know this lease any more: its admin must "
			  "look into it"
			: "the lease was taken back: an admin released it or "
			  "revoked this device, or somebody typed leasehold "
			  "return");
	}
}

/* By whichever thread reads. */
static void
take_notice(void *ctx, enum local_id id, const void *params)
{
	struct lh_client *client = ctx;

	pthread_mutex_lock(&client->lock);
	if (id == LOCAL_REVOKED)
		take_revoked(client, params);
	else
		for (struct waiting *waiting = client->waitings;
		     waiting != NULL; waiting = waiting->next)
			(void)turn_notice(&waiting->turn, id, params);
	pthread_mutex_unlock(&client->lock);
	if (id == LOCAL_REVOKED)
		client_wake(client);
}

static int
open_connection(struct connection **out, struct lh_client *client,
    int timeout_ms, struct problem *problem)
{
	struct connection *connection = calloc(1, sizeof(*connection));

	if (connection == NULL) {
		problem_set(problem, ERR_NOMEM, NULL, NULL);
		return ERR_NOMEM;
	}
	int err = local_open(&connection->local, client->socket_path,
	    timeout_ms, problem);

	if (err != 0) {
		free(connection);
		return err;
	}
	local_on_notice(connection->local, take_notice, client);
	*out = connection;
	return 0;
}

int
client_connect(struct connection **out, struct lh_client *client,
    int timeout_ms, struct problem *problem)
{
	struct connection *connection;
	int err = 0;

	pthread_mutex_lock(&client->lock);
	while (client->connecting)
		pthread_cond_wait(&client->changed, &client->lock);
	connection = client_connection(client);
	if (connection == NULL) {
		client->connecting = true;
		pthread_mutex_unlock(&client->lock);
		err = open_connection(&connection, client, timeout_ms, problem);
		pthread_mutex_lock(&client->lock);
		client->connecting = false;
		if (err == 0) {
			connection->number = ++client->connections;
			connection->refs = 2; /* the client's, the caller's */
			client->connection = connection;
			client->retry_wait_ms = 0;
			for (struct lh_seat *seat = client->seats; seat != NULL;
			     seat = seat->next)
				seat->failures = 0;
			/* Its seats are to be attached. */
			client_wake(client);
		}
		pthread_cond_broadcast(&client->changed);
	}
	pthread_mutex_unlock(&client->lock);
	if (err != 0)
		return err == ERR_TIMEOUT ? ERR_CLOSED : err;
	*out = connection;
	return 0;
}

/* --- making and freeing ----------------------------------------------------
 */

/* Options grow at their end: an older application's are shorter, a newer one's
 * longer, and then what we do not know must not have been asked for. */
static int
read_options(struct lh_options *out, const struct lh_options *options)
{
	const uint8_t *bytes = (const uint8_t *)options;

	*out = (struct lh_options){ 0 };
	if (options == NULL || options->size < sizeof(*out))
		return detail_set(LH_E_ARGUMENT,
		    "options.size must be sizeof(struct lh_options)");
	for (uint32_t i = sizeof(*out); i < options->size; i++) {
		if (bytes[i] != 0)
			return detail_set(LH_E_ARGUMENT,
			    "options ask for what libleasehold %s does not "
			    "know",
			    lh_version());
	}
	memcpy(out, options, sizeof(*out));
	return LH_OK;
}

static int
open_mark(struct lh_client *client)
{
	void *page = mmap(NULL, MARK_BYTES, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (page == MAP_FAILED)
		return LH_E_SYSTEM;
	client->mark = page;
	client->wiped_on_fork = madvise(page, MARK_BYTES, MADV_WIPEONFORK) == 0;
	client->pid = getpid();
	atomic_init(client->mark, 1);
	return LH_OK;
}

static int
open_parts(struct lh_client *client, const struct lh_options *options)
{
	const char *socket = options->socket_path != NULL
	    ? options->socket_path
	    : local_default_path();
	char *folder = options->state_folder == NULL
	    ? known_default_folder()
	    : strdup(options->state_folder);
	int err = known_open(&client->known, folder, client->root);

	free(folder);
	client->socket_path = strdup(socket);
	client->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (err != 0 || client->socket_path == NULL)
		return detail_set(LH_E_MEMORY, "out of memory");
	if (client->wake_fd < 0 || open_mark(client) != LH_OK)
		return detail_set(LH_E_SYSTEM, "cannot make a client: %s",
		    strerror(errno));
	return LH_OK;
}

static void
free_parts(struct lh_client *client)
{
	while (client->attempts != NULL) {
		struct attempt *attempt = client->attempts;

		client->attempts = attempt->next;
		free(attempt);
	}
	while (client->borrow_attempts != NULL) {
		struct borrow_attempt *attempt = client->borrow_attempts;

		client->borrow_attempts = attempt->next;
		free(attempt);
	}
	known_close(client->known);
	free(client->socket_path);
	if (client->wake_fd >= 0)
		close(client->wake_fd);
	if (client->mark != NULL)
		munmap(client->mark, MARK_BYTES);
	pthread_cond_destroy(&client->changed);
	pthread_mutex_destroy(&client->lock);
	free(client);
}

int
lh_client_new(struct lh_client **out, const struct lh_options *given)
{
	struct lh_options options;
	pthread_condattr_t attr;

	detail_set(LH_OK, "%s", "");
	if (out == NULL)
		return detail_set(LH_E_ARGUMENT, "no place for the client");
	int error = read_options(&options, given);

	if (error != LH_OK)
		return error;
	if (sodium_init() < 0)
		return detail_set(LH_E_SYSTEM, "libsodium cannot start");
	struct lh_client *client = calloc(1, sizeof(*client));

	if (client == NULL)
		return detail_set(LH_E_MEMORY, "out of memory");
	client->wake_fd = -1;
	client->manual = options.manual_beats != 0;
	client->lost = options.lost;
	client->ctx = options.ctx;
	pthread_mutex_init(&client->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&client->changed, &attr);
	pthread_condattr_destroy(&attr);
	if (options.vendor_key == NULL ||
	    token_public_parse(client->root, options.vendor_key) != 0)
		error = detail_set(LH_E_ARGUMENT,
		    "options.vendor_key is no public key (\"k4.public....\")");
	else
		error = open_parts(client, &options);
	if (error != LH_OK)
		free_parts(client);
	else
		*out = client;
	return error;
}

void
lh_client_free(struct lh_client *client)
{
	if (client == NULL)
		return;
	if (client_is_foreign(client)) {
		/* Locks and lists may be in any state, and the seats are the
		 * parent's: let go of its descriptors and nothing else. */
		if (client->connection != NULL)
			local_abandon(client->connection->local);
		close(client->wake_fd);
		client->connection = NULL;
		client->wake_fd = -1;
		return;
	}
	beat_stop(client);
	seat_return_all(client);
	pthread_mutex_lock(&client->lock);
	struct connection *connection = client_connection(client);

	pthread_mutex_unlock(&client->lock);
	if (connection != NULL) {
		seat_tell_returns(client, connection);
		client_release(client, connection);
		client_release(client, client->connection);
	}
	free_parts(client);
}

/* --- a question of the application's ---------------------------------------- */

int
client_begin(const struct lh_client *client)
{
	detail_set(LH_OK, "%s", "");
	if (client == NULL)
		return detail_set(LH_E_ARGUMENT, "no client");
	return client_is_foreign(client) ? LH_E_ARGUMENT : LH_OK;
}

int
client_ask(void *reply, struct lh_client *client, enum local_id op,
    const void *request, struct arena *arena, int timeout_ms,
    struct problem *problem)
{
	int64_t deadline = stream_deadline(timeout_ms < 0 ? 0 : timeout_ms);
	struct connection *connection;
	int err =
	    client_connect(&connection, client, stream_left(deadline), problem);

	if (err != 0)
		return err;
	err = local_call(reply, connection->local, op, request, arena,
	    stream_left(deadline), problem);
	client_release(client, connection);
	return err;
}
