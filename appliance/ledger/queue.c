#include "appliance/ledger/queue_inside.h"

#include "shared/base/err.h"
#include "shared/base/text.h"

#include <stdlib.h>
#include <string.h>

uint32_t
queue_count(const struct queue *queue)
{
	return rank_size(&queue->all);
}

/* --- devices ------------------------------------------------------------- */

static int
device_open(struct queue_device **out, struct queue *queue, uint64_t number)
{
	struct queue_device *device = table_get(&queue->devices, number);

	if (device == NULL) {
		device = calloc(1, sizeof(*device));
		if (device == NULL)
			return ERR_NOMEM;
		device->device = number;
		if (table_put(&queue->devices, number, device) != 0) {
			free(device);
			return ERR_NOMEM;
		}
	}
	*out = device;
	return 0;
}

static void
join_absent(struct queue *queue, struct queue_device *device, int64_t until)
{
	if (queue->first_absent == NULL)
		queue->last_absent = &queue->first_absent;
	device->absent_until = until;
	device->next = NULL;
	device->link = queue->last_absent;
	*queue->last_absent = device;
	queue->last_absent = &device->next;
}

static void
leave_absent(struct queue *queue, struct queue_device *device)
{
	if (device->absent_until == 0)
		return;
	*device->link = device->next;
	if (device->next != NULL)
		device->next->link = device->link;
	else
		queue->last_absent = device->link;
	device->absent_until = 0;
}

static void
device_close_empty(struct queue *queue, struct queue_device *device)
{
	if (device->waiters != NULL)
		return;
	leave_absent(queue, device);
	free(table_remove(&queue->devices, device->device));
}

struct waiter *
queue_of_device(const struct queue *queue, uint64_t number)
{
	const struct queue_device *device = table_get(&queue->devices, number);

	return device == NULL ? NULL : device->waiters;
}

void
queue_set_absent(struct queue *queue, uint64_t number, int64_t now)
{
	struct queue_device *device = table_get(&queue->devices, number);

	if (device == NULL || device->absent_until != 0)
		return;
	join_absent(queue, device, now + queue->limits.absent_ms);
	for (struct waiter *waiter = device->waiters; waiter != NULL;
	     waiter = waiter->next) {
		/* The next may ask for less. */
		if (queue_head(waiter->pool) == waiter)
			queue_pool_set_due(queue, waiter->pool);
		if (waiter->state == WAITER_OFFERED &&
		    waiter->offers < QUEUE_OFFERS_MAX)
			queue_wait_again(queue, waiter);
		else
			queue_set_ready(queue, waiter);
	}
}

void
queue_set_present(struct queue *queue, uint64_t number)
{
	struct queue_device *device = table_get(&queue->devices, number);

	if (device == NULL || device->absent_until == 0)
		return;
	leave_absent(queue, device);
	for (struct waiter *waiter = device->waiters; waiter != NULL;
	     waiter = waiter->next) {
		waiter->pool->moves++;
		queue_set_ready(queue, waiter);
	}
}

/* --- waiters ------------------------------------------------------------- */

struct waiter *
queue_find(const struct queue *queue, uint64_t device,
    const uint8_t request[REQUEST_BYTES])
{
	/* Few a device, and a device cannot make those of others slow. */
	struct waiter *waiter = queue_of_device(queue, device);

	while (waiter != NULL &&
	    memcmp(waiter->request, request, REQUEST_BYTES) != 0)
		waiter = waiter->next;
	return waiter;
}

struct waiter *
queue_after(const struct queue *queue, uint64_t number)
{
	struct rank_node *node = rank_after(&queue->all, 0, number);

	return node == NULL ? NULL : node->owner;
}

struct waiter *
queue_get(const struct queue *queue, uint64_t number)
{
	struct waiter *waiter =
	    number == 0 ? NULL : queue_after(queue, number - 1);

	return waiter != NULL && waiter->number == number ? waiter : NULL;
}

uint32_t
queue_place(const struct waiter *waiter)
{
	return rank_of(&waiter->in_pool) + 1;
}

static struct waiter *
waiter_new(const struct queue_ask *ask, uint64_t number, int64_t now)
{
	struct waiter *waiter = calloc(1, sizeof(*waiter));

	if (waiter == NULL)
		return NULL;
	waiter->number = number;
	memcpy(waiter->request, ask->request, REQUEST_BYTES);
	memcpy(waiter->digest, ask->digest, QUEUE_DIGEST_BYTES);
	waiter->count = ask->count;
	waiter->priority = ask->priority;
	waiter->refusal = ask->refusal;
	waiter->since = now;
	waiter->until = now + ask->wait_ms;
	text_copy(waiter->user, sizeof(waiter->user), ask->user);
	text_copy(waiter->host, sizeof(waiter->host), ask->host);
	if (ask->version != NULL)
		text_copy(waiter->version, sizeof(waiter->version),
		    ask->version);
	if (ask->address != NULL)
		text_copy(waiter->address, sizeof(waiter->address),
		    ask->address);
	waiter->in_pool = (struct rank_node){ .owner = waiter,
		.major = -(int64_t)ask->priority,
		.minor = number };
	waiter->in_all = (struct rank_node){ .owner = waiter, .minor = number };
	waiter->in_time =
	    (struct rank_node){ .owner = waiter, .minor = number };
	return waiter;
}

static void
join_device(struct queue_device *device, struct waiter *waiter)
{
	waiter->device = device;
	waiter->next = device->waiters;
	waiter->link = &device->waiters;
	if (waiter->next != NULL)
		waiter->next->link = &waiter->next;
	device->waiters = waiter;
	device->count++;
}

static bool
is_full(const struct queue *queue, const struct queue_ask *ask)
{
	const struct queue_device *device =
	    table_get(&queue->devices, ask->device);
	const struct queue_pool *pool =
	    queue_pool_find(queue, ask->product, ask->feature);

	return queue_count(queue) >= queue->limits.total_max ||
	    (device != NULL && device->count >= queue->limits.device_max) ||
	    (pool != NULL && queue_pool_length(pool) >= queue->limits.pool_max);
}

int
queue_join(struct waiter **out, struct queue *queue,
    const struct queue_ask *ask, int64_t now)
{
	struct queue_device *device = NULL;
	struct queue_pool *pool = NULL;

	if (is_full(queue, ask))
		return ERR_QUEUE_FULL;
	struct waiter *waiter = waiter_new(ask, queue->next_number + 1, now);

	if (waiter == NULL || device_open(&device, queue, ask->device) != 0 ||
	    queue_pool_open(&pool, queue, ask->product, ask->feature,
		ask->license) != 0) {
		if (device != NULL)
			device_close_empty(queue, device);
		free(waiter);
		return ERR_NOMEM;
	}
	queue->next_number++;
	if (!ask->present && device->absent_until == 0)
		join_absent(queue, device, now + queue->limits.absent_ms);
	join_device(device, waiter);
	waiter->pool = pool;
	rank_add(&queue->all, &waiter->in_all);
	rank_add(&pool->order, &waiter->in_pool);
	queue_time_add(queue, waiter);
	queue_set_ready(queue, waiter);
	if (rank_next(&waiter->in_pool) != NULL)
		pool->moves++;
	*out = waiter;
	return 0;
}

void
queue_leave(struct queue *queue, struct waiter *waiter)
{
	struct queue_device *device = waiter->device;
	struct queue_pool *pool = waiter->pool;
	bool was_next = queue_head(pool) == waiter;

	if (waiter->state == WAITER_OFFERED) {
		pool->offered -= waiter->count;
	} else if (waiter->state == WAITER_CLAIMING) {
		pool->claiming -= waiter->count;
		pool->n_claiming--;
	}
	if (was_next || waiter->state != WAITER_WAITING)
		queue_pool_set_due(queue, pool);
	pool->n_held -= waiter->held != WAITER_NOT_HELD;
	pool->n_held_back -= waiter->held == WAITER_HELD_BACK;
	if (rank_next(&waiter->in_pool) != NULL)
		pool->moves++;
	queue_time_remove(queue, waiter);
	rank_remove(&queue->all, &waiter->in_all);
	rank_remove(&pool->order, &waiter->in_pool);
	*waiter->link = waiter->next;
	if (waiter->next != NULL)
		waiter->next->link = waiter->link;
	device->count--;
	free(waiter);
	device_close_empty(queue, device);
	queue_pool_close_empty(queue, pool);
}

void
queue_release(struct queue *queue)
{
	struct waiter *waiter;

	while ((waiter = queue_after(queue, 0)) != NULL)
		queue_leave(queue, waiter);
	table_release(&queue->devices);
	table_release(&queue->pools);
	table_release(&queue->licenses);
}
