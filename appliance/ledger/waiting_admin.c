/* The queue as admins see it. */
#include "appliance/ledger/waiting.h"

#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/text.h"

#include <string.h>

/* Waiters looked at for one page; a product's may be few among many. */
#define SCAN_MAX 4096

static void
fill_view(struct waiter_view *view, const struct waiter *waiter,
    int64_t site_offset)
{
	const struct queue_pool *pool = waiter->pool;

	*view = (struct waiter_view){
		.waiter = waiter->number,
		.count = waiter->count,
		.place = queue_place(waiter),
		.priority = waiter->priority,
		.device = waiter->device->device,
		.since = waiter->since + site_offset,
		.until = waiter->until + site_offset,
		.offered = waiter->state != WAITER_WAITING,
		.connected = waiter->device->absent_until == 0,
	};
	memcpy(view->product, pool->product, sizeof(view->product));
	memcpy(view->feature, pool->feature, sizeof(view->feature));
	memcpy(view->user, waiter->user, sizeof(view->user));
	memcpy(view->host, waiter->host, sizeof(view->host));
}

static void
fill_page(struct waiter_page *page, const struct request *request,
    const struct waiter_query *query, uint32_t limit)
{
	const struct queue *queue = &request->tenant->queue;
	struct waiter_view *views = page->items.items;
	struct waiter *waiter = queue_after(queue, query->after);
	/* The queue counts time since the machine started. */
	int64_t offset = process_now(request->process) - clock_boottime_ms();
	uint64_t last = 0;

	for (int i = 0; waiter != NULL; i++) {
		if (page->items.count == limit || i == SCAN_MAX) {
			page->next = last;
			return;
		}
		last = waiter->number;
		if (query->product[0] == '\0' ||
		    strcmp(query->product, waiter->pool->product) == 0)
			fill_view(&views[page->items.count++], waiter, offset);
		waiter = queue_after(queue, last);
	}
}

void
waiting_list(const struct request *request)
{
	const struct waiter_query *query = request_read(request);
	struct waiter_page page = { 0 };

	if (query == NULL)
		return;
	uint32_t limit = query->limit == 0 ? LIST_LIMIT_DEFAULT : query->limit;
	uint32_t count = queue_count(&request->tenant->queue);

	if (limit > count)
		limit = count > 0 ? count : 1;
	page.items.items = arena_alloc(&request->process->arena,
	    limit * sizeof(struct waiter_view));
	if (page.items.items == NULL) {
		request_refuse(request, ERR_NOMEM, NULL);
		return;
	}
	fill_page(&page, request, query, limit);
	request_reply(request, &page);
}

void
waiting_remove(const struct request *request)
{
	struct tenant *tenant = request->tenant;
	const struct waiter_number *number = request_read(request);
	struct problem problem;

	if (number == NULL)
		return;
	struct waiter *waiter = queue_get(&tenant->queue, number->waiter);

	if (waiter != NULL) {
		if (waiter->state == WAITER_WAITING)
			waiting_note_denial(tenant, waiter, waiter->refusal);
		waiting_end(tenant, waiter, ERR_GONE, false);
		waiting_wake(tenant);
		request_reply(request, number);
		return;
	}
	bool was = number->waiter <= tenant->queue.next_number;
	int rc = was ? ERR_GONE : ERR_NOT_FOUND;

	problem_set(&problem, rc, "see who waits: leasehold queue list",
	    was ? "waiter %llu does not wait any more"
		: "there is no waiter %llu",
	    (unsigned long long)number->waiter);
	request_refuse(request, rc, &problem);
}
