/* What time does to a queue: deadlines, and telling who waits its place. */
#include "appliance/ledger/queue_inside.h"

#include <stddef.h>

/* --- deadlines ----------------------------------------------------------- */

void
queue_time_add(struct queue *queue, struct waiter *waiter)
{
	/* An offer made is good to its end, also beyond the wait. */
	if (waiter->state == WAITER_WAITING)
		waiter->in_time.major = waiter->until;
	else if (waiter->state == WAITER_OFFERED)
		waiter->in_time.major = waiter->claim_until;
	else
		return;
	rank_add(&queue->times, &waiter->in_time);
}

void
queue_time_remove(struct queue *queue, struct waiter *waiter)
{
	if (waiter->state != WAITER_CLAIMING)
		rank_remove(&queue->times, &waiter->in_time);
}

void
queue_set_until(struct queue *queue, struct waiter *waiter, int64_t until)
{
	queue_time_remove(queue, waiter);
	waiter->until = until;
	queue_time_add(queue, waiter);
}

/* One that may leave: a claim on its way is waited for. */
static struct waiter *
take_absent(const struct queue *queue, int64_t now)
{
	const struct queue_device *device = queue->first_absent;

	for (; device != NULL && device->absent_until <= now;
	     device = device->next)
		for (struct waiter *waiter = device->waiters; waiter != NULL;
		     waiter = waiter->next)
			if (waiter->state != WAITER_CLAIMING)
				return waiter;
	return NULL;
}

struct waiter *
queue_take_over(enum queue_over *over, const struct queue *queue, int64_t now)
{
	const struct rank_node *node = rank_first(&queue->times);

	if (node != NULL && node->major <= now) {
		struct waiter *waiter = node->owner;

		*over = waiter->state == WAITER_OFFERED ? QUEUE_OFFER_OVER
							: QUEUE_WAIT_OVER;
		return waiter;
	}
	*over = QUEUE_ABSENT_OVER;
	return take_absent(queue, now);
}

/* --- places -------------------------------------------------------------- */

struct telling {
	void (*tell)(void *ctx, const struct waiter *waiter);
	void *ctx;
	uint32_t left; /* notices of this round */
};

/* False when there are no notices left for it. */
static bool
tell_one(struct telling *telling, struct waiter *waiter, uint32_t place)
{
	if (waiter->state != WAITER_WAITING ||
	    waiter->device->absent_until != 0 || waiter->told_place == place)
		return true;
	if (telling->left == 0)
		return false;
	telling->left--;
	waiter->told_place = place;
	telling->tell(telling->ctx, waiter);
	return true;
}

/* Where the round goes on behind the first ones: `node`, standing at *place
 * (from 0), or further back. */
static struct rank_node *
go_on(uint32_t *place, struct queue_pool *pool, struct rank_node *node)
{
	if (pool->cursor_minor == 0) {
		pool->round_moves = pool->moves;
		return node;
	}
	struct rank_node *from =
	    rank_after(&pool->order, pool->cursor_major, pool->cursor_minor);

	if (from == NULL)
		return NULL;
	uint32_t at = rank_of(from);

	if (at <= *place)
		return node;
	*place = at;
	return from;
}

/* The first ones, then a share of the others. A round that nothing moved in
 * has told everybody. False when there are no notices left. */
static bool
tell_pool(struct telling *telling, struct queue_pool *pool)
{
	struct rank_node *node = rank_first(&pool->order);
	uint32_t share = queue_pool_length(pool) / QUEUE_TELL_ROUNDS + 1;
	uint32_t place = 0;

	if (pool->told_moves == pool->moves)
		return true;
	for (; node != NULL && place < QUEUE_TELL_FIRST;
	     node = rank_next(node), place++)
		if (!tell_one(telling, node->owner, place + 1))
			return false;
	node = go_on(&place, pool, node);
	for (; node != NULL && share > 0;
	     node = rank_next(node), place++, share--) {
		if (!tell_one(telling, node->owner, place + 1))
			return false;
		pool->cursor_major = node->major;
		pool->cursor_minor = node->minor;
	}
	if (node != NULL)
		return true;
	pool->cursor_minor = 0;
	if (pool->round_moves == pool->moves)
		pool->told_moves = pool->moves;
	return true;
}

void
queue_tell_places(struct queue *queue,
    void (*tell)(void *ctx, const struct waiter *waiter), void *ctx)
{
	struct telling telling = { tell, ctx, QUEUE_TELL_MAX };
	struct queue_pool *first =
	    queue->last_told != NULL ? queue->last_told : queue->first_pool;
	struct queue_pool *pool = first;

	if (pool == NULL)
		return;
	do {
		if (!tell_pool(&telling, pool)) {
			queue->last_told = pool;
			return;
		}
		pool = pool->next != NULL ? pool->next : queue->first_pool;
	} while (pool != first);
	queue->last_told = NULL;
}
