#include "appliance/ledger/liveness.h"

#include "appliance/ledger/ledger.h"
#include "shared/base/err.h"

#include <stdlib.h>

/* --- the heap: smallest key on top --------------------------------------- */

static void
heap_set(struct liveness *liveness, size_t at, struct live_lease *lease)
{
	liveness->heap[at] = lease;
	lease->heap_at = at;
}

static void
heap_up(struct liveness *liveness, size_t at, struct live_lease *lease)
{
	while (at > 0) {
		size_t parent = (at - 1) / 2;

		if (liveness->heap[parent]->heap_key <= lease->heap_key)
			break;
		heap_set(liveness, at, liveness->heap[parent]);
		at = parent;
	}
	heap_set(liveness, at, lease);
}

static void
heap_down(struct liveness *liveness, size_t at, struct live_lease *lease)
{
	for (;;) {
		size_t child = 2 * at + 1;

		if (child >= liveness->heap_len)
			break;
		if (child + 1 < liveness->heap_len &&
		    liveness->heap[child + 1]->heap_key <
			liveness->heap[child]->heap_key)
			child++;
		if (lease->heap_key <= liveness->heap[child]->heap_key)
			break;
		heap_set(liveness, at, liveness->heap[child]);
		at = child;
	}
	heap_set(liveness, at, lease);
}

static int
heap_add(struct liveness *liveness, struct live_lease *lease)
{
	if (liveness->heap_len == liveness->heap_size) {
		size_t size =
		    liveness->heap_size == 0 ? 64 : liveness->heap_size * 2;
		struct live_lease **heap =
		    reallocarray(liveness->heap, size, sizeof(*heap));

		if (heap == NULL)
			return ERR_NOMEM;
		liveness->heap = heap;
		liveness->heap_size = size;
	}
	heap_up(liveness, liveness->heap_len++, lease);
	return 0;
}

static void
heap_remove(struct liveness *liveness, struct live_lease *lease)
{
	size_t at = lease->heap_at;
	struct live_lease *last = liveness->heap[--liveness->heap_len];

	if (last == lease)
		return;
	if (last->heap_key < lease->heap_key)
		heap_up(liveness, at, last);
	else
		heap_down(liveness, at, last);
}

/* --- devices ------------------------------------------------------------- */

static int
join_device(struct liveness *liveness, struct live_lease *lease)
{
	struct live_device *device =
	    table_get(&liveness->devices, lease->device);

	if (device == NULL) {
		device = calloc(1, sizeof(*device));
		if (device == NULL)
			return ERR_NOMEM;
		device->device = lease->device;
		if (table_put(&liveness->devices, lease->device, device) != 0) {
			free(device);
			return ERR_NOMEM;
		}
	}
	lease->next = device->leases;
	lease->link = &device->leases;
	if (lease->next != NULL)
		lease->next->link = &lease->next;
	device->leases = lease;
	device->count++;
	return 0;
}

static void
leave_device(struct liveness *liveness, struct live_lease *lease)
{
	struct live_device *device =
	    table_get(&liveness->devices, lease->device);

	*lease->link = lease->next;
	if (lease->next != NULL)
		lease->next->link = lease->link;
	if (--device->count == 0)
		free(table_remove(&liveness->devices, lease->device));
}

/* --- leases -------------------------------------------------------------- */

static int64_t
deadline_from(const struct live_lease *lease, int64_t boottime)
{
	return boottime +
	    ((int64_t)lease->ttl_s + (int64_t)lease->grace_s) * 1000 +
	    LEDGER_SKEW_MS;
}

int
liveness_add(struct liveness *liveness, uint64_t number, uint64_t device,
    uint64_t license, uint32_t ttl_s, uint32_t grace_s, int64_t boottime)
{
	struct live_lease *lease = liveness_get(liveness, number);

	if (lease != NULL) {
		liveness_renew(lease, boottime);
		return 0;
	}
	lease = calloc(1, sizeof(*lease));
	if (lease == NULL)
		return ERR_NOMEM;
	lease->lease = number;
	lease->device = device;
	lease->license = license;
	lease->ttl_s = ttl_s;
	lease->grace_s = grace_s;
	lease->active_at = boottime;
	lease->deadline = deadline_from(lease, boottime);
	lease->heap_key = lease->deadline;
	if (table_put(&liveness->leases, number, lease) != 0)
		goto fail;
	if (join_device(liveness, lease) != 0)
		goto fail_table;
	if (heap_add(liveness, lease) != 0)
		goto fail_device;
	if (number > liveness->newest)
		liveness->newest = number;
	return 0;

fail_device:
	leave_device(liveness, lease);
fail_table:
	table_remove(&liveness->leases, number);
fail:
	free(lease);
	return ERR_NOMEM;
}

void
liveness_remove(struct liveness *liveness, uint64_t number)
{
	struct live_lease *lease = table_remove(&liveness->leases, number);

	if (lease == NULL)
		return;
	heap_remove(liveness, lease);
	leave_device(liveness, lease);
	free(lease);
}

struct live_lease *
liveness_get(const struct liveness *liveness, uint64_t lease)
{
	return table_get(&liveness->leases, lease);
}

struct live_lease *
liveness_of_device(const struct liveness *liveness, uint64_t number)
{
	struct live_device *device = table_get(&liveness->devices, number);

	return device == NULL ? NULL : device->leases;
}

size_t
liveness_count_device(const struct liveness *liveness, uint64_t number)
{
	struct live_device *device = table_get(&liveness->devices, number);

	return device == NULL ? 0 : device->count;
}

void
liveness_note(struct live_lease *lease, bool reports, bool active,
    int64_t boottime)
{
	lease->reports = lease->reports || reports || active;
	if (active)
		lease->active_at = boottime;
}

void
liveness_renew(struct live_lease *lease, int64_t boottime)
{
	int64_t deadline = deadline_from(lease, boottime);

	if (deadline > lease->deadline)
		lease->deadline = deadline;
}

static void
put_off(struct liveness *liveness, struct live_lease *lease, int64_t key)
{
	lease->heap_key = key;
	heap_down(liveness, lease->heap_at, lease);
}

struct live_lease *
liveness_due(struct liveness *liveness, int64_t boottime, int64_t again_ms)
{
	while (liveness->heap_len > 0) {
		struct live_lease *lease = liveness->heap[0];

		if (lease->heap_key > boottime)
			return NULL;
		if (lease->deadline > boottime) {
			put_off(liveness, lease, lease->deadline);
			continue;
		}
		put_off(liveness, lease, boottime + again_ms);
		if (lease->ending == 0)
			return lease;
	}
	return NULL;
}

int64_t
liveness_wait_ms(const struct liveness *liveness, int64_t boottime)
{
	if (liveness->heap_len == 0)
		return -1;
	int64_t wait = liveness->heap[0]->heap_key - boottime;

	return wait > 0 ? wait : 0;
}

void
liveness_release(struct liveness *liveness)
{
	for (size_t i = 0; i < liveness->heap_len; i++)
		free(liveness->heap[i]);
	struct live_device *device;
	size_t at = 0;

	while ((device = table_next(&liveness->devices, &at)) != NULL)
		free(device);
	free(liveness->heap);
	table_release(&liveness->leases);
	table_release(&liveness->devices);
	*liveness = (struct liveness){ 0 };
}
