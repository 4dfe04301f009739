/* A seat: made from a verified lease, looked at, given back. */
#include "agent/lib/client.h"

#include "agent/lib/stream.h"
#include "shared/base/clock.h"
#include "shared/base/err.h"

#include <stdlib.h>
#include <unistd.h>

/* However short a license makes its spans. */
#define INTERVAL_MIN_MS 100
#define SWAP(a, b)                         \
	do {                               \
		__typeof__(a) kept_ = (a); \
		(a) = (b);                 \
		(b) = kept_;               \
	} while (0)
/* A borrow that ends is asked about more and more often, for it may have been
 * extended; but no more often than this. */
#define BORROW_INTERVAL_MIN_MS 5000

int64_t
seat_interval_ms(const struct lh_seat *seat)
{
	int64_t interval_ms = (int64_t)seat->lease.ttl_s * 1000 / 3;
	int64_t third_ms = seat_span_ms(seat) / 3;

	if (seat->borrowed && third_ms < BORROW_INTERVAL_MIN_MS)
		third_ms = BORROW_INTERVAL_MIN_MS;
	if (seat->borrowed && third_ms < interval_ms)
		interval_ms = third_ms;
	return interval_ms < INTERVAL_MIN_MS ? INTERVAL_MIN_MS : interval_ms;
}

int64_t
seat_span_ms(const struct lh_seat *seat)
{
	return atomic_load(&seat->span_ms);
}

static void
seat_free(struct lh_seat *seat)
{
	/* With the lock, so nothing may be read: a notice would want it. */
	if (seat->asked != NULL) {
		local_cancel(&seat->waiter, seat->asked->local);
		client_release_locked(seat->asked);
	}
	buf_release(&seat->row);
	buf_release(&seat->path);
	buf_release(&seat->header);
	free(seat->question);
	free(seat);
}

void
seat_unref(struct lh_seat *seat)
{
	if (--seat->refs == 0)
		seat_free(seat);
}

static int64_t
grant_span_ms(const struct verify_lease *lease)
{
	return ((int64_t)lease->ttl_s + lease->grace_s) * 1000;
}

/* What it is renewed by: a grant by beats, a ticket by proofs. */
static int
set_kind(struct lh_seat *seat, const struct verify_borrow *borrow,
    const struct verify_question *question)
{
	if (borrow == NULL) {
		atomic_init(&seat->span_ms, grant_span_ms(&seat->lease));
		return LH_OK;
	}
	seat->borrowed = true;
	seat->borrow = *borrow;
	seat->question = malloc(sizeof(*question));
	if (seat->question == NULL)
		return LH_E_MEMORY;
	*seat->question = *question;
	atomic_init(&seat->span_ms,
	    verify_ticket_span_ms(&seat->lease, borrow));
	atomic_init(&seat->until_ms, borrow->until);
	return LH_OK;
}

int
seat_new(struct lh_seat **out, struct lh_client *client,
    const struct verify_lease *lease, const struct verify_borrow *borrow,
    const struct verify_question *question,
    const struct local_checkout_reply *reply, uint64_t connection,
    int64_t sent_ms)
{
	struct lh_seat *seat = calloc(1, sizeof(*seat));

	if (seat == NULL)
		return LH_E_MEMORY;
	seat->client = client;
	seat->refs = 1;
	seat->fresh = true;
	seat->mark = client->mark;
	seat->lease = *lease;
	seat->row_number = reply->row_number;
	buf_add(&seat->row, reply->row.data, reply->row.len);
	buf_add(&seat->path, reply->path.data, reply->path.len);
	buf_add(&seat->header, reply->header.data, reply->header.len);
	if (set_kind(seat, borrow, question) != LH_OK || seat->row.failed ||
	    seat->path.failed || seat->header.failed) {
		seat_free(seat);
		return LH_E_MEMORY;
	}
	seat->attached = connection;
	seat->next_ms = sent_ms + seat_interval_ms(seat);
	atomic_init(&seat->deadline_ms, sent_ms + seat_span_ms(seat));

	pthread_mutex_lock(&client->lock);
	seat->next = client->seats;
	client->seats = seat;
	pthread_mutex_unlock(&client->lock);
	client_wake(client);
	*out = seat;
	return LH_OK;
}

int
seat_renew_ticket(struct lh_seat *seat, struct lh_client *client,
    const struct verify_borrow *borrow,
    const struct local_checkout_reply *reply)
{
	struct buf row = { 0 }, path = { 0 }, header = { 0 };

	buf_add(&row, reply->row.data, reply->row.len);
	buf_add(&path, reply->path.data, reply->path.len);
	buf_add(&header, reply->header.data, reply->header.len);
	bool failed = row.failed || path.failed || header.failed;

	if (!failed) {
		pthread_mutex_lock(&client->lock);
		SWAP(seat->row, row);
		SWAP(seat->path, path);
		SWAP(seat->header, header);
		seat->row_number = reply->row_number;
		seat->borrow = *borrow;
		atomic_store(&seat->span_ms,
		    verify_ticket_span_ms(&seat->lease, borrow));
		atomic_store(&seat->until_ms, borrow->until);
		pthread_mutex_unlock(&client->lock);
	}
	buf_release(&row);
	buf_release(&path);
	buf_release(&header);
	return failed ? LH_E_MEMORY : LH_OK;
}

/* In a child of fork the page of the mark is empty. */
static bool
is_ours(const struct lh_seat *seat)
{
	return atomic_load_explicit(seat->mark, memory_order_relaxed) != 0 &&
	    (seat->client->wiped_on_fork || getpid() == seat->client->pid);
}

int64_t
lh_seat_left_ms(const struct lh_seat *seat)
{
	if (seat == NULL || !is_ours(seat))
		return 0;
	int64_t left_ms =
	    atomic_load_explicit(&seat->deadline_ms, memory_order_relaxed) -
	    clock_boottime_ms();

	return left_ms > 0 ? left_ms : 0;
}

int
lh_seat_valid(const struct lh_seat *seat)
{
	return lh_seat_left_ms(seat) > 0;
}

void
lh_seat_active(struct lh_seat *seat)
{
	if (seat != NULL && is_ours(seat))
		atomic_store_explicit(&seat->active_ms, clock_boottime_ms(),
		    memory_order_relaxed);
}

enum lh_seat_type
lh_seat_type(const struct lh_seat *seat)
{
	return seat->lease.type == SEAT_COMMIT ? LH_SEAT_COMMIT
					       : LH_SEAT_OVERAGE;
}

uint64_t
lh_seat_id(const struct lh_seat *seat)
{
	return seat->lease.lease;
}

uint32_t
lh_seat_count(const struct lh_seat *seat)
{
	return seat->lease.count;
}

int
lh_seat_is_borrowed(const struct lh_seat *seat)
{
	return seat != NULL && seat->borrowed;
}

int64_t
lh_seat_until_ms(const struct lh_seat *seat)
{
	return seat == NULL ? 0 : atomic_load(&seat->until_ms);
}

/* --- giving back -----------------------------------------------------------
 */

/* Seats of one borrow have one number: the count tells which. */
static struct local_return
return_of(const struct lh_seat *seat)
{
	return (struct local_return){ .lease = seat->lease.lease,
		.count = seat->borrowed ? seat->lease.count : 0 };
}

static void
tell_later(struct lh_client *client, const struct local_return *request)
{
	pthread_mutex_lock(&client->lock);
	if (client->n_returns < CLIENT_RETURNS_MAX)
		client->returns[client->n_returns++] = *request;
	pthread_mutex_unlock(&client->lock);
	client_wake(client);
}

/* Now, or later when it cannot be now. */
static void
tell_return(struct lh_client *client, const struct local_return *request)
{
	int64_t deadline = stream_deadline(CLIENT_RETURN_MS);
	struct connection *connection;
	struct problem problem;

	if (client_connect(&connection, client, CLIENT_RETURN_MS, &problem) !=
	    0) {
		tell_later(client, request);
		return;
	}
	/* Whatever the agent answers, and however late, it has been told. */
	int err = local_call(NULL, connection->local, LOCAL_RETURN, request,
	    NULL, stream_left(deadline), NULL);

	client_release(client, connection);
	if (err == ERR_CLOSED)
		tell_later(client, request);
}

void
seat_tell_returns(struct lh_client *client, struct connection *connection)
{
	struct local_return requests[CLIENT_RETURNS_MAX];
	unsigned int n;

	pthread_mutex_lock(&client->lock);
	n = client->n_returns;
	for (unsigned int i = 0; i < n; i++)
		requests[i] = client->returns[i];
	client->n_returns = 0;
	pthread_mutex_unlock(&client->lock);
	for (unsigned int i = 0; i < n; i++) {
		struct local_waiter waiter;

		if (local_begin(&waiter, connection->local, LOCAL_RETURN,
			&requests[i], -1, CLIENT_LOCAL_MS, NULL) == 0)
			local_cancel(&waiter, connection->local);
		else
			tell_later(client, &requests[i]);
	}
}

/* Off the client's list, and of no use from now on. With the lock. */
static void
take_off(struct lh_client *client, struct lh_seat *seat)
{
	struct lh_seat **at = &client->seats;

	while (*at != NULL && *at != seat)
		at = &(*at)->next;
	if (*at == seat)
		*at = seat->next;
	seat->returned = true;
	atomic_store(&seat->deadline_ms, 0);
}

void
lh_return(struct lh_seat *seat)
{
	if (seat == NULL || !is_ours(seat))
		return;
	struct lh_client *client = seat->client;
	struct local_return request = return_of(seat);

	pthread_mutex_lock(&client->lock);
	take_off(client, seat);
	/* After this call the application hears no more of the seat. */
	while (seat->calling && !pthread_equal(seat->caller, pthread_self()))
		pthread_cond_wait(&client->changed, &client->lock);
	bool ended = seat->ended;

	seat_unref(seat);
	pthread_mutex_unlock(&client->lock);
	if (!ended)
		tell_return(client, &request);
}

/* A refused answer may still be a lease, which nobody will use. */
void
seat_give_back(struct lh_client *client,
    const struct local_checkout_reply *reply, uint32_t count)
{
	bool borrowed = verify_is_ticket(reply);
	struct local_return request = { .lease = reply->lease,
		.count = borrowed ? count : 0 };
	bool ours = false;

	pthread_mutex_lock(&client->lock);
	for (struct lh_seat *seat = client->seats; seat != NULL;
	     seat = seat->next)
		ours =
		    ours || (!borrowed && seat->lease.lease == request.lease);
	pthread_mutex_unlock(&client->lock);
	if (!ours)
		tell_return(client, &request);
}

/* The seat's own question gives way to its return. */
static void
begin_return(struct lh_client *client, struct lh_seat *seat,
    struct connection *connection, int timeout_ms)
{
	struct local_return request = return_of(seat);

	if (seat->asked != NULL) {
		local_cancel(&seat->waiter, seat->asked->local);
		client_release(client, seat->asked);
		seat->asked = NULL;
	}
	if (seat->ended ||
	    local_begin(&seat->waiter, connection->local, LOCAL_RETURN,
		&request, -1, timeout_ms, NULL) != 0)
		return;
	pthread_mutex_lock(&client->lock);
	seat->asked = connection;
	connection->refs++;
	pthread_mutex_unlock(&client->lock);
}

/* All are told before the first answer is waited for. */
void
seat_return_all(struct lh_client *client)
{
	int64_t deadline = stream_deadline(CLIENT_RETURN_MS);
	struct connection *connection = NULL;
	struct problem problem;

	if (client->seats != NULL &&
	    client_connect(&connection, client, CLIENT_RETURN_MS, &problem) ==
		0) {
		for (struct lh_seat *seat = client->seats; seat != NULL;
		     seat = seat->next)
			begin_return(client, seat, connection,
			    stream_left(deadline));
		for (struct lh_seat *seat = client->seats; seat != NULL;
		     seat = seat->next) {
			if (seat->asked == NULL)
				continue;
			(void)local_end(NULL, &seat->waiter, connection->local,
			    NULL, stream_left(deadline), NULL);
			seat->asked = NULL;
			client_release(client, connection);
		}
		client_release(client, connection);
	}
	pthread_mutex_lock(&client->lock);
	while (client->seats != NULL) {
		struct lh_seat *seat = client->seats;

		take_off(client, seat);
		seat_unref(seat);
	}
	pthread_mutex_unlock(&client->lock);
}
