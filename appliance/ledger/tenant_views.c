/*
 * What the site's admin is shown of tenants: the list, one, and what one used.
 * Read from the system store by the helper; what is counted today is the
 * loop's. A tenant is not opened for it.
 */
#include "appliance/ledger/tenant_use.h"
#include "appliance/ledger/usage.h"

#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define PAGE 100
#define DAY_MS ((int64_t)24 * 60 * 60 * 1000)

bool
record_is_empty(const void *value, size_t size)
{
	const uint8_t *bytes = value;

	for (size_t i = 0; i < size; i++)
		if (bytes[i] != 0)
			return false;
	return true;
}

void
tenant_say_unknown(struct problem *problem, const char *name)
{
	problem_set(problem, ERR_NOT_FOUND, "see: leasehold tenant list",
	    "the site has no tenant '%s'", name);
}

/* --- one view ----------------------------------------------------------------- */

struct viewing {
	struct process *process;
	struct arena *arena;
	struct tenant_view *views;
	uint32_t count;
	uint32_t limit;
	uint64_t after;
	const char *only; /* this one; NULL: a page */
	bool more;
};

static uint64_t
megabytes(const struct process *process, const char *name)
{
	char path[SETUP_PATH_MAX], part[96];
	struct stat st;

	snprintf(part, sizeof(part), "tenants/%s/ledger/data.mdb", name);
	if (setup_path(path, process->options->state, part) != 0 ||
	    stat(path, &st) != 0)
		return 0;
	return ((uint64_t)st.st_blocks * 512 + (1 << 20) - 1) >> 20;
}

static int
fill_view(struct tenant_view *view, const struct viewing *viewing,
    const struct system_tenant *facts)
{
	struct process *process = viewing->process;
	struct tenant_profile profile = { .tier = "" };
	int rc = system_profile_load(&profile, process->system, facts->name);

	if (rc != 0 && rc != ERR_NOT_FOUND)
		return rc;
	*view = (struct tenant_view){
		.contactInfo = profile.contactInfo,
		.licenseType = profile.licenseType,
		.branding = profile.branding,
		.usage.storageUsed = megabytes(process, facts->name),
		.limits = facts->limits,
		.status = facts->status,
		.createdAt = facts->created_at,
	};
	snprintf(view->_id, sizeof(view->_id), "tenant-%" PRIu64,
	    facts->number);
	text_copy(view->tenantId, sizeof(view->tenantId), facts->name);
	memcpy(view->partnerName, profile.partnerName,
	    sizeof(view->partnerName));
	memcpy(view->tier, profile.tier, sizeof(view->tier));
	memcpy(view->reason, facts->reason, sizeof(view->reason));
	tenant_url(view->dashboardUrl, sizeof(view->dashboardUrl), process,
	    facts->name);
	return 0;
}

static int
by_number(const void *a, const void *b)
{
	const struct system_tenant *x = a, *y = b;

	return x->number < y->number ? -1 : x->number > y->number;
}

struct found {
	struct system_tenant *tenants;
	size_t n;
};

static int
note(void *ctx, const struct system_tenant *tenant)
{
	struct found *found = ctx;

	if (found->n == TENANTS_MAX || tenant->status == TENANT_PROVISIONING)
		return 0;
	found->tenants[found->n++] = *tenant;
	return 0;
}

static int
add_host(void *ctx, const char *host, const char *tenant)
{
	struct viewing *viewing = ctx;

	for (uint32_t i = 0; i < viewing->count; i++) {
		struct tenant_view *view = &viewing->views[i];
		struct tenant_host_name *hosts = view->hosts.items;

		if (strcmp(view->tenantId, tenant) != 0 ||
		    view->hosts.count == TENANT_HOSTS_MAX)
			continue;
		if (hosts == NULL)
			hosts = arena_alloc(viewing->arena,
			    TENANT_HOSTS_MAX * sizeof(*hosts));
		if (hosts == NULL)
			return ERR_NOMEM;
		view->hosts.items = hosts;
		text_copy(hosts[view->hosts.count++].host, sizeof(hosts->host),
		    host);
		return 0;
	}
	return 0;
}

static int
view_found(struct viewing *viewing, const struct found *found)
{
	int rc = 0;

	viewing->views = arena_alloc(viewing->arena,
	    (viewing->limit + 1) * sizeof(*viewing->views));
	if (viewing->views == NULL)
		return ERR_NOMEM;
	for (size_t i = 0; i < found->n && rc == 0; i++) {
		const struct system_tenant *facts = &found->tenants[i];

		if (viewing->only != NULL
			? strcmp(facts->name, viewing->only) != 0
			: facts->number <= viewing->after)
			continue;
		if (viewing->count == viewing->limit) {
			viewing->more = true;
			break;
		}
		rc = fill_view(&viewing->views[viewing->count], viewing, facts);
		viewing->after = facts->number;
		viewing->count++;
	}
	return rc == 0
	    ? system_each_host(viewing->process->system, add_host, viewing)
	    : rc;
}

static int
look(struct viewing *viewing)
{
	struct found found = {
		.tenants = calloc(TENANTS_MAX, sizeof(*found.tenants)),
	};
	int rc = found.tenants == NULL
	    ? ERR_NOMEM
	    : system_each_tenant(viewing->process->system, note, &found);

	if (rc == 0) {
		qsort(found.tenants, found.n, sizeof(*found.tenants),
		    by_number);
		rc = view_found(viewing, &found);
	}
	free(found.tenants);
	return rc;
}

/* What the loop alone knows. */
static void
add_usage(struct process *process, struct tenant_view *views, uint32_t n)
{
	int32_t day = (int32_t)(process_now(process) / DAY_MS);

	for (uint32_t i = 0; i < n; i++) {
		struct tenant_entry *entry =
		    tenants_find(&process->known, views[i].tenantId);
		const struct system_usage *usage =
		    entry != NULL ? usage_today(process, entry, day) : NULL;

		views[i].open = entry != NULL && entry->open != NULL;
		if (usage == NULL)
			continue;
		views[i].usage.apiCallsToday = usage->calls;
		views[i].usage.users = usage_users(usage);
	}
}

/* --- the list, and one ---------------------------------------------------------- */

static void
run_list(struct work *work)
{
	struct call *call = (struct call *)work;
	const struct tenant_query *query = call->request;
	struct tenant_page *page = arena_alloc(&call->arena, sizeof(*page));
	struct viewing viewing = {
		.process = call->process,
		.arena = &call->arena,
		.limit = query->limit != 0 ? query->limit : PAGE,
		.after = query->after,
	};

	call->write.command.err = page == NULL ? ERR_NOMEM : look(&viewing);
	if (call->write.command.err != 0)
		return;
	*page = (struct tenant_page){
		.success = true,
		.tenants = { viewing.views, viewing.count },
		.next = viewing.more ? viewing.after : 0,
	};
	call->reply = page;
}

static void
finish_list(struct call *call)
{
	struct tenant_page *page = call->reply;

	if (call->write.command.err == 0)
		add_usage(call->process, page->tenants.items,
		    page->tenants.count);
	call_answer(call);
}

void
tenant_list_asked(const struct request *request)
{
	struct call *call = call_new(request);

	if (call == NULL)
		return;
	call->finish = finish_list;
	call_help(call, run_list);
}

static void
run_show(struct work *work)
{
	struct call *call = (struct call *)work;
	const struct tenant_ref *ref = call->request;
	struct tenant_shown *shown = arena_alloc(&call->arena, sizeof(*shown));
	struct viewing viewing = {
		.process = call->process,
		.arena = &call->arena,
		.limit = 1,
		.only = ref->tenantId,
	};
	int rc = shown == NULL ? ERR_NOMEM : look(&viewing);

	if (rc == 0 && viewing.count == 0) {
		tenant_say_unknown(&call->write.command.problem, ref->tenantId);
		rc = ERR_NOT_FOUND;
	}
	call->write.command.err = rc;
	if (rc != 0)
		return;
	*shown = (struct tenant_shown){
		.success = true,
		.tenant = viewing.views[0],
	};
	call->reply = shown;
}

static void
finish_show(struct call *call)
{
	struct tenant_shown *shown = call->reply;

	if (call->write.command.err == 0)
		add_usage(call->process, &shown->tenant, 1);
	call_answer(call);
}

void
tenant_show_asked(const struct request *request)
{
	struct call *call = call_new(request);

	if (call == NULL)
		return;
	call->finish = finish_show;
	call_help(call, run_show);
}

/* --- usage ------------------------------------------------------------------------ */

struct using
{
	int32_t first, last;
	struct system_usage now; /* of today, as the loop has it */
	int32_t today;
	bool has_now;
	struct tenant_usage reply;
	struct tenant_usage_day *days;
	uint32_t n;
	uint64_t errors, micros;
};

static int
add_day(void *ctx, int32_t day, const struct system_usage *usage)
{
	struct using *using = ctx;
	struct tenant_usage_summary *summary =
	    &using->reply.usageReport.summary;

	if (using->n == TENANT_DAYS_MAX || usage->calls == 0)
		return 0;
	using->days[using->n++] = (struct tenant_usage_day){
		.date = day,
		.apiCalls = usage->calls,
		.users = usage_users(usage),
	};
	summary->totalApiCalls += usage->calls;
	if (usage->peak > summary->peakConcurrency)
		summary->peakConcurrency = usage->peak;
	using->errors += usage->errors;
	using->micros += usage->micros;
	return 0;
}

/* The store has up to a minute less of today. */
static int
add_stored(void *ctx, int32_t day, const struct system_usage *usage)
{
	struct using *using = ctx;

	return using->has_now && day == using->today ? 0
						     : add_day(ctx, day, usage);
}

static void
run_usage(struct work *work)
{
	struct call *call = (struct call *)work;
	const struct tenant_usage_query *query = call->request;
	struct using *using = call->own;
	struct tenant_usage_report *report = &using->reply.usageReport;
	int rc = system_each_usage(call->process->system, query->tenantId,
	    using->first, using->last, add_stored, using);

	call->write.command.err = rc;
	if (rc != 0)
		return;
	if (using->has_now && using->today >= using->first &&
	    using->today <= using->last)
		add_day(using, using->today, &using->now);
	uint64_t calls = report->summary.totalApiCalls;

	snprintf(report->summary.averageResponseTime,
	    sizeof(report->summary.averageResponseTime), "%.3f",
	    calls == 0 ? 0.0 : (double)using->micros / 1000.0 / (double)calls);
	snprintf(report->summary.errorRate, sizeof(report->summary.errorRate),
	    "%.4f", calls == 0 ? 0.0 : (double)using->errors / (double)calls);
	report->dailyBreakdown = (struct record_list){ using->days, using->n };
	using->reply.success = true;
	call->reply = &using->reply;
}

/* "2026-11-01,2026-11-30" */
static bool
read_period(struct using *using, const char *text)
{
	const char *comma = strchr(text, ',');

	return comma != NULL &&
	    clock_parse_date(&using->first, text, (size_t)(comma - text)) ==
	    0 &&
	    clock_parse_date(&using->last, comma + 1, strlen(comma + 1)) == 0 &&
	    using->first <= using->last &&
	    using->last - using->first < TENANT_DAYS_MAX;
}

static int
take_usage(struct using *using, struct call *call)
{
	const struct tenant_usage_query *query = call->request;
	struct process *process = call->process;
	struct problem *problem = &call->write.command.problem;
	struct tenant_entry *entry =
	    tenants_find(&process->known, query->tenantId);
	char first[CLOCK_TEXT_SIZE], last[CLOCK_TEXT_SIZE];

	using->today = (int32_t)(process_now(process) / DAY_MS);
	if (entry == NULL) {
		tenant_say_unknown(problem, query->tenantId);
		return ERR_NOT_FOUND;
	}
	using->last = using->today;
	using->first = using->today;
	clock_format_date(last, using->today);
	text_copy(first, sizeof(first), last);
	memcpy(first + 8, "01", 2);
	if (query->period[0] == '\0')
		clock_parse_date(&using->first, first, strlen(first));
	else if (!read_period(using, query->period)) {
		problem_set(problem, ERR_BAD_REQUEST, NULL,
		    "period is two days, like 2026-11-01,2026-11-30, at most "
		    "%d of them",
		    TENANT_DAYS_MAX);
		text_copy(problem->field, sizeof(problem->field), "period");
		return ERR_BAD_REQUEST;
	}
	clock_format_date(first, using->first);
	clock_format_date(last, using->last);
	snprintf(using->reply.usageReport.period,
	    sizeof(using->reply.usageReport.period), "%.10s,%.10s", first,
	    last);
	const struct system_usage *now =
	    usage_today(process, entry, using->today);

	using->has_now = now != NULL;
	if (now != NULL)
		using->now = *now;
	return 0;
}

void
tenant_usage_asked(const struct request *request)
{
	struct call *call = call_new(request);

	if (call == NULL)
		return;
	struct using *using = arena_alloc(&call->arena, sizeof(*using));
	struct tenant_usage_day *days =
	    arena_alloc(&call->arena, TENANT_DAYS_MAX * sizeof(*days));

	if (using == NULL || days == NULL) {
		call->write.command.err = ERR_NOMEM;
		call_answer(call);
		return;
	}
	memset(using, 0, sizeof(*using));
	using->days = days;
	call->own = using;
	call->write.command.err = take_usage(using, call);
	if (call->write.command.err != 0)
		call_answer(call);
	else
		call_help(call, run_usage);
}
