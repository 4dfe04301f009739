/* The pools of a queue, and offers of their seats. */
#include "appliance/ledger/queue_inside.h"

#include "shared/base/err.h"
#include "shared/base/text.h"

#include <stdlib.h>
#include <string.h>

/* FNV-1a. The names are those of installed licenses, and the bytes after each
 * name keep "a" "bc" apart from "ab" "c". */
static uint64_t
hash_text(uint64_t hash, const char *text)
{
	size_t len = strlen(text) + 1;

	for (size_t i = 0; i < len; i++)
		hash = (hash ^ (uint8_t)text[i]) * UINT64_C(0x100000001b3);
	return hash;
}

static uint64_t
hash_names(const char *product, const char *feature)
{
	return hash_text(hash_text(UINT64_C(0xcbf29ce484222325), product),
	    feature);
}

struct queue_pool *
queue_pool_find(const struct queue *queue, const char *product,
    const char *feature)
{
	struct queue_pool *pool =
	    table_get(&queue->pools, hash_names(product, feature));

	while (pool != NULL &&
	    (strcmp(pool->product, product) != 0 ||
		strcmp(pool->feature, feature) != 0))
		pool = pool->next_same;
	return pool;
}

/* --- which license it draws from ----------------------------------------- */

static int
join_license(struct queue *queue, struct queue_pool *pool, uint64_t license)
{
	struct queue_pool *first = table_get(&queue->licenses, license);
	int rc = table_put(&queue->licenses, license, pool);

	if (rc != 0)
		return rc;
	pool->license = license;
	pool->next_of_license = first;
	pool->license_link = NULL; /* in the table */
	if (first != NULL)
		first->license_link = &pool->next_of_license;
	return 0;
}

static void
leave_license(struct queue *queue, struct queue_pool *pool)
{
	struct queue_pool *next = pool->next_of_license;

	if (next != NULL)
		next->license_link = pool->license_link;
	if (pool->license_link != NULL)
		*pool->license_link = next;
	else if (next == NULL)
		table_remove(&queue->licenses, pool->license);
	else /* replaced, which needs no memory */
		(void)table_put(&queue->licenses, pool->license, next);
}

int
queue_pool_set_license(struct queue *queue, struct queue_pool *pool,
    uint64_t license)
{
	uint64_t old = pool->license;

	if (old == license)
		return 0;
	leave_license(queue, pool);
	int rc = join_license(queue, pool, license);

	/* There was room a moment ago. */
	if (rc != 0)
		(void)join_license(queue, pool, old);
	return rc;
}

/* --- making and freeing -------------------------------------------------- */

int
queue_pool_open(struct queue_pool **out, struct queue *queue,
    const char *product, const char *feature, uint64_t license)
{
	uint64_t hash = hash_names(product, feature);
	struct queue_pool *pool = queue_pool_find(queue, product, feature);

	*out = pool;
	if (pool != NULL)
		return 0;
	pool = calloc(1, sizeof(*pool));
	if (pool == NULL)
		return ERR_NOMEM;
	text_copy(pool->product, sizeof(pool->product), product);
	text_copy(pool->feature, sizeof(pool->feature), feature);
	if (join_license(queue, pool, license) != 0) {
		free(pool);
		return ERR_NOMEM;
	}
	pool->next_same = table_get(&queue->pools, hash);
	if (table_put(&queue->pools, hash, pool) != 0) {
		leave_license(queue, pool);
		free(pool);
		return ERR_NOMEM;
	}
	pool->next = queue->first_pool;
	pool->link = &queue->first_pool;
	if (pool->next != NULL)
		pool->next->link = &pool->next;
	queue->first_pool = pool;
	*out = pool;
	return 0;
}

static void
leave_hash(struct queue *queue, struct queue_pool *pool)
{
	uint64_t hash = hash_names(pool->product, pool->feature);
	struct queue_pool *first = table_get(&queue->pools, hash);

	if (first == pool && pool->next_same == NULL) {
		table_remove(&queue->pools, hash);
	} else if (first == pool) {
		/* Replaced, which needs no memory. */
		(void)table_put(&queue->pools, hash, pool->next_same);
	} else {
		while (first->next_same != pool)
			first = first->next_same;
		first->next_same = pool->next_same;
	}
}

static void
leave_due(struct queue_pool *pool)
{
	if (!pool->due)
		return;
	pool->due = false;
	*pool->due_link = pool->next_due;
	if (pool->next_due != NULL)
		pool->next_due->due_link = pool->due_link;
}

void
queue_pool_close_empty(struct queue *queue, struct queue_pool *pool)
{
	if (queue_pool_length(pool) > 0)
		return;
	leave_due(pool);
	leave_license(queue, pool);
	leave_hash(queue, pool);
	if (queue->last_told == pool)
		queue->last_told = pool->next;
	*pool->link = pool->next;
	if (pool->next != NULL)
		pool->next->link = pool->link;
	free(pool);
}

uint32_t
queue_pool_length(const struct queue_pool *pool)
{
	return rank_size(&pool->order);
}

uint32_t
queue_pool_ahead(const struct queue_pool *pool)
{
	return rank_count_ready(&pool->order);
}

/* --- turns --------------------------------------------------------------- */

void
queue_pool_set_due(struct queue *queue, struct queue_pool *pool)
{
	if (pool->due)
		return;
	pool->due = true;
	pool->next_due = queue->first_due;
	pool->due_link = &queue->first_due;
	if (pool->next_due != NULL)
		pool->next_due->due_link = &pool->next_due;
	queue->first_due = pool;
}

void
queue_license_set_due(struct queue *queue, uint64_t license)
{
	struct queue_pool *pool = table_get(&queue->licenses, license);

	for (; pool != NULL; pool = pool->next_of_license)
		queue_pool_set_due(queue, pool);
}

void
queue_all_set_due(struct queue *queue)
{
	for (struct queue_pool *pool = queue->first_pool; pool != NULL;
	     pool = pool->next)
		queue_pool_set_due(queue, pool);
}

struct queue_pool *
queue_take_due(struct queue *queue, int64_t now)
{
	struct queue_pool *pool = queue->first_due;

	while (pool != NULL && pool->not_before > now)
		pool = pool->next_due;
	if (pool != NULL)
		leave_due(pool);
	return pool;
}

void
queue_pool_put_off(struct queue *queue, struct queue_pool *pool, int64_t until)
{
	if (until > pool->not_before)
		pool->not_before = until;
	queue_pool_set_due(queue, pool);
}

/* --- offers -------------------------------------------------------------- */

struct waiter *
queue_head(const struct queue_pool *pool)
{
	struct rank_node *node = rank_first_ready(&pool->order);

	return node == NULL ? NULL : node->owner;
}

struct waiter *
queue_next(const struct queue_pool *pool, uint64_t free)
{
	struct waiter *head = queue_head(pool);

	if (head == NULL || pool->offered + pool->claiming + head->count > free)
		return NULL;
	return head;
}

void
queue_set_ready(struct queue *queue, struct waiter *waiter)
{
	bool ready = waiter->state == WAITER_WAITING &&
	    waiter->held == WAITER_NOT_HELD &&
	    waiter->device->absent_until == 0;

	rank_set_ready(&waiter->in_pool, ready);
	if (ready && queue_head(waiter->pool) == waiter)
		queue_pool_set_due(queue, waiter->pool);
}

void
queue_set_held(struct queue *queue, struct waiter *waiter,
    enum waiter_held held)
{
	struct queue_pool *pool = waiter->pool;

	pool->n_held -= waiter->held != WAITER_NOT_HELD;
	pool->n_held_back -= waiter->held == WAITER_HELD_BACK;
	waiter->held = held;
	pool->n_held += held != WAITER_NOT_HELD;
	pool->n_held_back += held == WAITER_HELD_BACK;
	queue_set_ready(queue, waiter);
}

void
queue_let_go(struct queue_pool *pool)
{
	struct rank_node *node =
	    pool->n_held == 0 ? NULL : rank_first(&pool->order);

	for (; node != NULL; node = rank_next(node)) {
		struct waiter *waiter = node->owner;

		waiter->held = WAITER_NOT_HELD;
		rank_set_ready(node,
		    waiter->state == WAITER_WAITING &&
			waiter->device->absent_until == 0);
	}
	pool->n_held = pool->n_held_back = 0;
}

void
queue_offer(struct queue *queue, struct waiter *waiter, int64_t now)
{
	queue_time_remove(queue, waiter);
	waiter->state = WAITER_OFFERED;
	waiter->offers++;
	waiter->claim_until = now + queue->limits.claim_ms;
	waiter->pool->offered += waiter->count;
	queue_time_add(queue, waiter);
	queue_set_ready(queue, waiter);
}

void
queue_claim(struct queue *queue, struct waiter *waiter)
{
	struct queue_pool *pool = waiter->pool;

	queue_time_remove(queue, waiter);
	waiter->state = WAITER_CLAIMING;
	pool->offered -= waiter->count;
	pool->claiming += waiter->count;
	pool->n_claiming++;
}

/* From an offer or a claim: the seats are not set aside any more. */
void
queue_wait_again(struct queue *queue, struct waiter *waiter)
{
	struct queue_pool *pool = waiter->pool;

	queue_time_remove(queue, waiter);
	if (waiter->state == WAITER_OFFERED) {
		pool->offered -= waiter->count;
	} else {
		pool->claiming -= waiter->count;
		pool->n_claiming--;
	}
	waiter->state = WAITER_WAITING;
	queue_time_add(queue, waiter);
	queue_set_ready(queue, waiter);
	queue_pool_set_due(queue, pool);
}

void
queue_unclaim(struct queue *queue, struct waiter *waiter)
{
	waiter->offers--;
	queue_wait_again(queue, waiter);
}
