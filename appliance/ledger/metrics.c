#include "appliance/ledger/metrics.h"

#include "appliance/ledger/events.h"
#include "appliance/ledger/ledger_alert.h"
#include "appliance/ledger/ledger_channel.h"
#include "appliance/ledger/online.h"
#include "appliance/ledger/people.h"
#include "appliance/ledger/store.h"
#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/log.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Licenses of one tenant whose seats are told; the first ones. */
#define METRICS_LICENSES_MAX 200

struct gathering {
	struct call *asked; /* waits for the answer */
	struct call *parts; /* read, one a tenant */
	size_t left; /* not read yet */
	bool whole; /* the site's own figures too */
};

/* What one tenant's reader finds; its arena is the call's. */
struct part {
	struct gathering *gathering;
	struct site_view site;
	struct license_page licenses;
	struct store_room room;
	struct ledger_figures figures;
	uint64_t alerts[ALERT_KINDS]; /* open */
	uint64_t outbox[2]; /* by enum delivery_state */
	bool good;
};

void
metrics_count_refusal(struct process *process, int err)
{
	size_t n = sizeof(process->counts.by_code) /
	    sizeof(process->counts.by_code[0]);
	int known = err_from_code(err_code(err));
	size_t at = (size_t)(ERR_UNAUTHENTICATED - known);

	if (known <= ERR_UNAUTHENTICATED && at < n)
		process->counts.by_code[at]++;
}

/* --- reading -------------------------------------------------------------- */

static int
count_delivery(void *ctx, const struct state_delivery *delivery)
{
	((uint64_t *)ctx)[delivery->state == DELIVERY_IS_DEAD]++;
	return 0;
}

static void
run_part(struct work *work)
{
	struct call *call = (struct call *)work;
	struct part *part = call->request;
	struct license_query query = { .limit = METRICS_LICENSES_MAX };
	struct empty nothing = { 0 };
	struct problem problem;
	struct ledger_view *view;
	int64_t now = process_now(call->process);

	ledger_room(&part->room, call->tenant->ledger);
	ledger_figures(&part->figures, call->tenant->ledger);
	if (ledger_view_open(&view, call->tenant->ledger) != 0)
		return;
	part->good = ledger_query(&part->site, view, OP_SITE_SHOW, &nothing,
			 now, &call->arena, &problem) == 0 &&
	    ledger_query(&part->licenses, view, OP_LICENSE_LIST, &query, now,
		&call->arena, &problem) == 0 &&
	    ledger_count_alerts(part->alerts, view) == 0 &&
	    ledger_each_delivery(view, count_delivery, part->outbox) == 0;
	ledger_view_close(view);
}

/* --- writing -------------------------------------------------------------- */

static void
family(struct buf *out, const char *name, const char *type, const char *help)
{
	buf_printf(out, "# HELP leasehold_%s %s\n# TYPE leasehold_%s %s\n",
	    name, help, name, type);
}

static void
single(struct buf *out, const char *name, const char *type, const char *help,
    uint64_t value)
{
	family(out, name, type, help);
	buf_printf(out, "leasehold_%s %" PRIu64 "\n", name, value);
}

/* A label's value: backslash and quote escaped; there are no new lines. */
static void
label(struct buf *out, const char *name, const char *value)
{
	buf_printf(out, "%s=\"", name);
	for (; *value != '\0'; value++) {
		if (*value == '"' || *value == '\\')
			buf_add_byte(out, '\\');
		buf_add_byte(out, (uint8_t)*value);
	}
	buf_add_byte(out, '"');
}

/* One figure of every tenant that was read. */
static void
of_tenants(struct buf *out, const struct gathering *gathering, const char *name,
    const char *type, const char *help,
    uint64_t (*value)(const struct call *call, const struct part *part))
{
	family(out, name, type, help);
	for (const struct call *call = gathering->parts; call != NULL;
	     call = call->next) {
		buf_printf(out, "leasehold_%s{", name);
		label(out, "tenant", call->tenant->name);
		buf_printf(out, "} %" PRIu64 "\n", value(call, call->request));
	}
}

#define FIGURE(name, expression)                            \
	static uint64_t get_##name(const struct call *call, \
	    const struct part *part)                        \
	{                                                   \
		(void)call;                                 \
		(void)part;                                 \
		return (uint64_t)(expression);              \
	}
FIGURE(leases, part->site.leases)
FIGURE(devices, part->site.devices)
FIGURE(licenses, part->site.licenses)
FIGURE(batch, part->site.batch)
FIGURE(rows, part->site.rows)
FIGURE(sessions, call->tenant->sessions.count)
FIGURE(waiting, queue_count(&call->tenant->queue))
FIGURE(streams, events_count(call->tenant))
FIGURE(fault, call->tenant->fault != 0)
FIGURE(used, part->room.used_bytes)
FIGURE(map, part->room.map_bytes)
FIGURE(free, part->room.free_bytes)
FIGURE(commands, part->figures.commands)
#undef FIGURE

static void
write_tenants(struct buf *out, const struct gathering *g)
{
	of_tenants(out, g, "leases", "gauge", "Leases held.", get_leases);
	of_tenants(out, g, "devices", "gauge", "Devices enrolled.",
	    get_devices);
	of_tenants(out, g, "licenses", "gauge", "Licenses installed.",
	    get_licenses);
	of_tenants(out, g, "agents_connected", "gauge",
	    "Devices whose agent is connected.", get_sessions);
	of_tenants(out, g, "waiting", "gauge", "Checkouts that wait for seats.",
	    get_waiting);
	of_tenants(out, g, "event_streams", "gauge",
	    "Streams of events that are followed.", get_streams);
	of_tenants(out, g, "journal_batch", "gauge",
	    "Newest batch of the journal.", get_batch);
	of_tenants(out, g, "journal_rows", "gauge", "Rows in the journal.",
	    get_rows);
	of_tenants(out, g, "commands_total", "counter",
	    "Commands decided since the tenant was opened.", get_commands);
	of_tenants(out, g, "store_fault", "gauge",
	    "1 while the journal cannot be written.", get_fault);
	of_tenants(out, g, "store_used_bytes", "gauge",
	    "Used of the store's map.", get_used);
	of_tenants(out, g, "store_map_bytes", "gauge", "The store's map.",
	    get_map);
	of_tenants(out, g, "store_free_bytes", "gauge",
	    "Free on the store's disk.", get_free);
}

static void
write_alerts(struct buf *out, const struct gathering *gathering)
{
	family(out, "alerts_open", "gauge", "Alerts that are open, by kind.");
	for (const struct call *call = gathering->parts; call != NULL;
	     call = call->next) {
		const struct part *part = call->request;

		for (size_t i = 0; i < ALERT_KINDS; i++) {
			buf_add_str(out, "leasehold_alerts_open{");
			label(out, "tenant", call->tenant->name);
			buf_printf(out, ",kind=\"%s\"} %" PRIu64 "\n",
			    alert_kind_names[i], part->alerts[i]);
		}
	}
}

static void
write_outbox(struct buf *out, const struct gathering *gathering)
{
	family(out, "alert_deliveries", "gauge",
	    "Alerts on their way to a channel, and those given up.");
	for (const struct call *call = gathering->parts; call != NULL;
	     call = call->next) {
		const struct part *part = call->request;

		for (size_t i = 0; i < 2; i++) {
			buf_add_str(out, "leasehold_alert_deliveries{");
			label(out, "tenant", call->tenant->name);
			buf_printf(out, ",state=\"%s\"} %" PRIu64 "\n",
			    delivery_state_names[i], part->outbox[i]);
		}
	}
}

/* In the loop, as all that is written here: the vendors are the process's. */
static void
write_sync(struct buf *out, const struct gathering *gathering)
{
	static const struct {
		const char *name, *help;
	} figures[] = {
		{ "sync_failures",
		    "Tries in a row to reach a vendor's hub that came to "
		    "nothing." },
		{ "sync_last_success_timestamp_seconds",
		    "When a hub had taken all; 0: not yet." },
	};

	for (size_t i = 0; i < 2; i++) {
		family(out, figures[i].name, "gauge", figures[i].help);
		for (const struct call *call = gathering->parts; call != NULL;
		     call = call->next)
			for (const struct online_vendor *v =
				 call->tenant->online.first;
			     v != NULL; v = v->next) {
				buf_printf(out, "leasehold_%s{",
				    figures[i].name);
				label(out, "tenant", call->tenant->name);
				buf_add_str(out, ",");
				label(out, "vendor", v->vendor);
				buf_printf(out, "} %" PRIu64 "\n",
				    i == 0 ? (uint64_t)v->failures
					   : (uint64_t)v->synced_at / 1000);
			}
	}
}

static void
write_commits(struct buf *out, const struct gathering *gathering)
{
	family(out, "commit_seconds", "histogram",
	    "Time of a commit, from its first command to the disk.");
	for (const struct call *call = gathering->parts; call != NULL;
	     call = call->next) {
		const struct part *part = call->request;
		const struct ledger_figures *f = &part->figures;
		uint64_t sum = 0;

		for (size_t i = 0; i < LEDGER_COMMIT_BUCKETS; i++) {
			sum += f->buckets[i];
			buf_add_str(out, "leasehold_commit_seconds_bucket{");
			label(out, "tenant", call->tenant->name);
			if (i + 1 < LEDGER_COMMIT_BUCKETS)
				buf_printf(out, ",le=\"%g\"} %" PRIu64 "\n",
				    (double)ledger_commit_bounds_us[i] / 1e6,
				    sum);
			else
				buf_printf(out, ",le=\"+Inf\"} %" PRIu64 "\n",
				    sum);
		}
		buf_add_str(out, "leasehold_commit_seconds_sum{");
		label(out, "tenant", call->tenant->name);
		buf_printf(out, "} %.6f\n", (double)f->commit_us / 1e6);
		buf_add_str(out, "leasehold_commit_seconds_count{");
		label(out, "tenant", call->tenant->name);
		buf_printf(out, "} %" PRIu64 "\n", sum);
	}
}

struct seats {
	const char *tenant, *license, *product, *feature;
	uint64_t commit, overage;
};

static void
write_seat(struct buf *out, const char *name, const struct seats *seats)
{
	const struct {
		const char *type;
		uint64_t value;
	} rows[] = { { "commit", seats->commit },
		{ "overage", seats->overage } };

	for (size_t i = 0; i < 2; i++) {
		buf_printf(out, "leasehold_%s{", name);
		label(out, "tenant", seats->tenant);
		buf_add_byte(out, ',');
		label(out, "license", seats->license);
		buf_add_byte(out, ',');
		label(out, "product", seats->product);
		buf_add_byte(out, ',');
		label(out, "feature", seats->feature);
		buf_printf(out, ",type=\"%s\"} %" PRIu64 "\n", rows[i].type,
		    rows[i].value);
	}
}

static void
write_license(struct buf *out, const char *name, const char *tenant,
    const struct license_view *license, bool used)
{
	const struct license_feature_view *features = license->features.items;
	struct seats seats = {
		.tenant = tenant,
		.license = license->license_id,
		.product = license->product.id,
		.feature = "",
		.commit = used ? license->used_commit
			       : license->entitlement.commit_qty,
		.overage = used ? license->used_overage
				: license->entitlement.max_overage,
	};

	write_seat(out, name, &seats);
	for (uint32_t i = 0; i < license->features.count; i++) {
		seats.feature = features[i].id;
		seats.commit =
		    used ? features[i].used_commit : features[i].commit_qty;
		seats.overage =
		    used ? features[i].used_overage : features[i].max_overage;
		write_seat(out, name, &seats);
	}
}

static void
write_seats(struct buf *out, const struct gathering *gathering,
    const char *name, const char *help, bool used)
{
	family(out, name, "gauge", help);
	for (const struct call *call = gathering->parts; call != NULL;
	     call = call->next) {
		const struct part *part = call->request;
		const struct license_view *items = part->licenses.items.items;

		for (uint32_t i = 0; i < part->licenses.items.count; i++)
			write_license(out, name, call->tenant->name, &items[i],
			    used);
	}
}

static void
write_fronts(struct buf *out, const struct process *process)
{
	family(out, "front_agents", "gauge",
	    "WebSockets of a front that the ledger knows.");
	for (const struct front *front = process->fronts; front != NULL;
	     front = front->next)
		buf_printf(out, "leasehold_front_agents{front=\"%d\"} %zu\n",
		    front->index, front->sessions.count);
	family(out, "front_queue_bytes", "gauge",
	    "Answers that a front has not taken yet.");
	for (const struct front *front = process->fronts; front != NULL;
	     front = front->next)
		buf_printf(out,
		    "leasehold_front_queue_bytes{front=\"%d\"} %zu\n",
		    front->index, ipc_queued(front->ipc));
}

static void
write_refusals(struct buf *out, const struct process *process)
{
	const size_t n = sizeof(process->counts.by_code) /
	    sizeof(process->counts.by_code[0]);

	family(out, "refusals_total", "counter", "Refusals and faults.");
	for (size_t i = 0; i < n; i++) {
		int err = ERR_UNAUTHENTICATED - (int)i;

		/* No such error, or one whose code has another number. */
		if (err_from_code(err_code(err)) != err)
			continue;
		buf_printf(out,
		    "leasehold_refusals_total{code=\"%s\"} %" PRIu64 "\n",
		    err_code(err), process->counts.by_code[i]);
	}
}

static void
write_site(struct buf *out, struct process *process)
{
	struct site_view site = { 0 };

	rollback_fill_site(&site, process);
	pthread_mutex_lock(&process->clock.lock);
	bool held = process->clock.clock.held;

	pthread_mutex_unlock(&process->clock.lock);
	family(out, "build_info", "gauge", "The software.");
	buf_printf(out, "leasehold_build_info{version=\"%s\"} 1\n",
	    LEASEHOLD_VERSION);
	single(out, "ready", "gauge", "1 while the site takes requests.",
	    process->phase == PHASE_READY);
	single(out, "rolled_back", "gauge",
	    "1 while nothing is granted because the store is an older copy.",
	    site.rolled_back);
	single(out, "clock_held", "gauge",
	    "1 while a jump of the wall clock waits for an admin.", held);
	family(out, "time_seconds", "gauge", "The site's time.");
	buf_printf(out, "leasehold_time_seconds %.3f\n",
	    (double)process_now(process) / 1e3);
	family(out, "witness_ticks", "gauge",
	    "The site's own counter, by where it is kept.");
	buf_printf(out, "leasehold_witness_ticks{class=\"%s\"} %" PRIu64 "\n",
	    witness_class_names[site.witness], site.ticks);
	family(out, "witness_ticked_seconds", "gauge",
	    "When it last counted; 0: not since the start.");
	buf_printf(out, "leasehold_witness_ticked_seconds %.3f\n",
	    (double)site.ticked_at / 1e3);
	single(out, "requests_total", "counter",
	    "Requests that fronts passed on.", process->counts.requests);
	single(out, "calls_under_way", "gauge",
	    "Requests that wait for a commit or a reader.", process->n_calls);
	single(out, "call_bytes", "gauge", "Their bytes.", process->call_bytes);
	single(out, "passwords_hashed_total", "counter",
	    "Passwords that were hashed or checked.",
	    atomic_load(&process->people->hashed));
	single(out, "sessions", "gauge", "WebSockets of agents.",
	    process->n_sessions);
	single(out, "tenants_open", "gauge", "Tenants whose store is open.",
	    process->n_tenants);
	write_fronts(out, process);
	write_refusals(out, process);
}

/* --- one answer ----------------------------------------------------------- */

static void
write_all(struct buf *out, const struct gathering *gathering)
{
	if (gathering->whole)
		write_site(out, gathering->asked->process);
	write_tenants(out, gathering);
	write_seats(out, gathering, "seats", "Seats that a license gives.",
	    false);
	write_seats(out, gathering, "seats_in_use", "Seats that are held.",
	    true);
	write_alerts(out, gathering);
	write_outbox(out, gathering);
	write_sync(out, gathering);
	write_commits(out, gathering);
}

static void
answer(struct gathering *gathering)
{
	struct call *asked = gathering->asked;
	struct metrics_text *reply = arena_alloc(&asked->arena, sizeof(*reply));
	struct buf out = { .max = METRICS_TEXT_MAX };

	write_all(&out, gathering);
	asked->write.command.err = reply == NULL || out.failed
	    ? out.failed ? ERR_TOO_LARGE : ERR_NOMEM
	    : 0;
	if (reply != NULL)
		reply->text =
		    (struct record_span){ out.data, (uint32_t)out.len };
	asked->reply = reply;
	call_answer(asked);
	buf_release(&out);
	while (gathering->parts != NULL) {
		struct call *part = gathering->parts;

		gathering->parts = part->next;
		part->next = NULL;
		call_free(part);
	}
	free(gathering);
}

static void
finish_part(struct call *call)
{
	struct part *part = call->request;
	struct gathering *gathering = part->gathering;

	call->next = gathering->parts;
	gathering->parts = call;
	if (--gathering->left == 0)
		answer(gathering);
}

static void
begin_part(struct gathering *gathering, struct tenant *tenant)
{
	const struct part part = { .gathering = gathering };
	struct call *call =
	    call_new_own(tenant, OP_METRICS, &part, sizeof(part));

	if (call == NULL)
		return;
	gathering->left++;
	call->finish = finish_part;
	call_query(call, run_part);
}

void
metrics_asked(const struct request *request)
{
	struct process *process = request->process;
	struct request of = *request;

	/* Nobody's in particular, where anybody may ask. */
	if (of.tenant == NULL && process->n_tenants > 0)
		of.tenant = process->tenants[0];
	if (of.tenant == NULL) {
		request_refuse(request, ERR_UNAVAILABLE, NULL);
		return;
	}
	struct gathering *gathering = calloc(1, sizeof(*gathering));
	struct call *call = gathering != NULL ? call_new(&of) : NULL;

	if (call == NULL) {
		if (gathering == NULL)
			request_refuse(request, ERR_NOMEM, NULL);
		free(gathering);
		return;
	}
	gathering->asked = call;
	gathering->whole = (request->scopes & SCOPE_BIT(SCOPE_SITE)) != 0;
	if (!gathering->whole)
		begin_part(gathering, request->tenant);
	for (size_t i = 0; gathering->whole && i < process->n_tenants; i++)
		begin_part(gathering, process->tenants[i]);
	if (gathering->left == 0)
		answer(gathering);
}
