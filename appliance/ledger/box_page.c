/* See box_page.h. One reading is under way at a time: each open tenant is asked
 * on the reader's thread, and the last answer writes the file. */
#include "appliance/ledger/box_page.h"

#include "appliance/ledger/ledger_alert.h"
#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/base/text.h"
#include "shared/box/status.h"
#include "shared/rpc/messages_sync.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EVERY_MS 3000

struct box_page {
	struct call *parts; /* read, one a tenant */
	size_t left; /* not read yet */
	bool reading;
	int64_t begun; /* boottime of the last one */
	bool failing; /* the last file could not be written: told once */
};

/* What one tenant's reader finds; its arena is the call's. */
struct part {
	struct site_view site;
	struct license_page licenses;
	struct sync_status sync;
	uint64_t alerts[ALERT_KINDS]; /* open */
	bool good;
};

/* A page on its way into the file. */
struct making {
	struct box_status status;
	struct box_license licenses[BOX_LICENSES_MAX];
	struct box_warning warnings[BOX_WARNINGS_MAX];
	uint64_t alerts[ALERT_KINDS];
};

/* --- reading -------------------------------------------------------------- */

static void
run_part(struct work *work)
{
	struct call *call = (struct call *)work;
	struct part *part = call->request;
	struct license_query query = { .limit = BOX_LICENSES_MAX };
	struct empty nothing = { 0 };
	struct problem problem;
	struct ledger_view *view;
	int64_t now = process_now(call->process);

	if (ledger_view_open(&view, call->tenant->ledger) != 0)
		return;
	part->good = ledger_query(&part->site, view, OP_SITE_SHOW, &nothing,
			 now, &call->arena, &problem) == 0 &&
	    ledger_query(&part->licenses, view, OP_LICENSE_LIST, &query, now,
		&call->arena, &problem) == 0 &&
	    ledger_query(&part->sync, view, OP_SYNC_STATUS, &nothing, now,
		&call->arena, &problem) == 0 &&
	    ledger_count_alerts(part->alerts, view) == 0;
	ledger_view_close(view);
}

/* --- making --------------------------------------------------------------- */

static void __attribute__((format(printf, 2, 3)))
warn(struct making *making, const char *format, ...)
{
	struct record_list *list = &making->status.warnings;
	va_list args;

	if (list->count == BOX_WARNINGS_MAX)
		return;
	struct box_warning *warning = &making->warnings[list->count++];

	va_start(args, format);
	vsnprintf(warning->text, sizeof(warning->text), format, args);
	va_end(args);
}

static void
add_licenses(struct making *making, const struct license_page *page)
{
	struct record_list *list = &making->status.items;
	const struct license_view *from = page->items.items;

	for (uint32_t i = 0;
	     i < page->items.count && list->count < BOX_LICENSES_MAX; i++) {
		struct box_license *to = &making->licenses[list->count++];

		text_copy(to->license_id, sizeof(to->license_id),
		    from[i].license_id);
		text_copy(to->product, sizeof(to->product), from[i].product.id);
		text_copy(to->state, sizeof(to->state), from[i].state);
		to->used = from[i].used_commit;
		to->seats = from[i].entitlement.commit_qty;
		to->overage_used = from[i].used_overage;
		to->overage_seats = from[i].entitlement.max_overage;
	}
}

static void
add_sync(struct making *making, const struct sync_status *sync)
{
	struct box_status *status = &making->status;
	const struct sync_vendor_view *items = sync->items.items;

	for (uint32_t i = 0; i < sync->items.count; i++) {
		const struct sync_vendor_view *vendor = &items[i];

		if (vendor->receipt_at != 0 &&
		    (status->receipt_at == 0 ||
			vendor->receipt_at < status->receipt_at))
			status->receipt_at = vendor->receipt_at;
		status->unreported += vendor->waiting_batches;
		if (vendor->stops_at != 0 &&
		    (status->stops_at == 0 ||
			vendor->stops_at < status->stops_at))
			status->stops_at = vendor->stops_at;
	}
}

static void
add_part(struct making *making, const struct call *call)
{
	const struct part *part = call->request;
	const struct tenant *tenant = call->tenant;
	struct box_status *status = &making->status;

	status->tenants++;
	status->connected += tenant->sessions.count;
	status->waiting += queue_count(&tenant->queue);
	if (!part->good) {
		warn(making,
		    "a store cannot be read; see: leasehold site show");
		return;
	}
	status->licenses += part->site.licenses;
	status->leases += part->site.leases;
	status->devices += part->site.devices;
	add_licenses(making, &part->licenses);
	add_sync(making, &part->sync);
	for (size_t i = 0; i < ALERT_KINDS; i++)
		making->alerts[i] += part->alerts[i];
	if (part->site.devices_pending > 0)
		warn(making,
		    "%" PRIu64 " device%s for approval: leasehold device list",
		    part->site.devices_pending,
		    part->site.devices_pending == 1 ? " waits" : "s wait");
}

static void
add_alerts(struct making *making)
{
	for (size_t i = 0; i < ALERT_KINDS; i++) {
		if (making->alerts[i] == 0)
			continue;
		making->status.alerts += making->alerts[i];
		warn(making,
		    "alert %s: %" PRIu64 " open; leasehold alerts list",
		    alert_kind_names[i], making->alerts[i]);
	}
}

static void
add_site(struct making *making, struct process *process)
{
	struct box_status *status = &making->status;
	const char *trouble = site_trouble(process);

	status->time = process_now(process);
	status->boottime_ms = (uint64_t)clock_boottime_ms();
	status->state = process->phase == PHASE_STARTING ? BOX_STARTING
	    : process->phase == PHASE_DRAINING           ? BOX_STOPPING
	    : trouble != NULL                            ? BOX_REFUSING
							 : BOX_READY;
	if (status->state == BOX_REFUSING)
		text_copy(status->reason, sizeof(status->reason), trouble);
	text_copy(status->site, sizeof(status->site), process->site.site);
	text_copy(status->name, sizeof(status->name), process->site.name);
	text_copy(status->software, sizeof(status->software), PROCESS_SOFTWARE);
	status->port = process->options->port;
	memcpy(status->ca_sha256, process->ca_sha256,
	    sizeof(status->ca_sha256));
	pthread_mutex_lock(&process->clock.lock);
	bool held = process->clock.clock.held;

	pthread_mutex_unlock(&process->clock.lock);
	if (held)
		warn(making,
		    "the clock jumped and waits: leasehold site clock confirm");
}

static void
write_page(struct process *process, const struct making *making)
{
	struct box_page *page = process->box_page;
	struct buf out = { .max = BOX_STATUS_BYTES_MAX };
	char path[PATH_MAX];
	int rc = ERR_TOO_LARGE;
	int n = snprintf(path, sizeof(path), "%s/" BOX_STATUS_FILE,
	    process->options->appliance);

	record_write_json(&out, &box_status_record, &making->status);
	if (n > 0 && (size_t)n < sizeof(path) && !out.failed)
		rc = file_write(path, out.data, out.len, 0644);
	if (rc != 0 && !page->failing)
		log_warn("ledger",
		    "the console's page cannot be written: %s: "
		    "%s (%s)",
		    path, err_str(rc), strerror(errno));
	page->failing = rc != 0;
	buf_release(&out);
}

static void
make_page(struct process *process)
{
	struct box_page *page = process->box_page;
	struct making *making = calloc(1, sizeof(*making));

	if (making != NULL) {
		making->status.items.items = making->licenses;
		making->status.warnings.items = making->warnings;
		add_site(making, process);
		for (struct call *call = page->parts; call != NULL;
		     call = call->next)
			add_part(making, call);
		add_alerts(making);
		write_page(process, making);
		free(making);
	}
	while (page->parts != NULL) {
		struct call *part = page->parts;

		page->parts = part->next;
		part->next = NULL;
		call_free(part);
	}
	page->reading = false;
}

static void
finish_part(struct call *call)
{
	struct process *process = call->process;
	struct box_page *page = process->box_page;

	call->next = page->parts;
	page->parts = call;
	if (--page->left == 0)
		make_page(process);
}

void
box_page_tick(struct process *process)
{
	struct box_page *page = process->box_page;
	int64_t now = clock_boottime_ms();

	if (process->options->appliance == NULL)
		return;
	if (page == NULL)
		page = process->box_page = calloc(1, sizeof(*page));
	if (page == NULL || page->reading ||
	    (page->begun != 0 && now - page->begun < EVERY_MS))
		return;
	page->begun = now;
	page->reading = true;
	for (size_t i = 0; i < process->n_tenants; i++) {
		const struct part part = { .good = false };
		struct tenant *tenant = process->tenants[i];
		struct call *call = tenant->started
		    ? call_new_own(tenant, OP_SITE_SHOW, &part, sizeof(part))
		    : NULL;

		if (call == NULL)
			continue;
		page->left++;
		call->finish = finish_part;
		call_query(call, run_part);
	}
	if (page->left == 0)
		make_page(process);
}

void
box_page_stop(struct process *process)
{
	if (process->box_page == NULL)
		return;
	process->box_page->parts = NULL;
	make_page(process);
	free(process->box_page);
	process->box_page = NULL;
}
