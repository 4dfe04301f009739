/* What is so or not, looked at once a second: quotas, contracts, room, and of
 * the site as a whole, told in its own tenant: clock, disk, rollback. */
#include "appliance/ledger/alerts.h"

#include "appliance/hub/expire.h"
#include "appliance/ledger/alert_words.h"
#include "appliance/ledger/ledger_sync.h"
#include "appliance/ledger/ledger_tenant.h"
#include "appliance/ledger/store.h"
#include "appliance/ledger/tenant_use.h"
#include "appliance/ledger/usage.h"
#include "shared/base/clock.h"
#include "shared/base/err.h"

#include <string.h>

#define DAY_MS ((int64_t)24 * 60 * 60 * 1000)
#define LICENSES_EVERY_MS ((int64_t)60 * 1000)
/* So far may the wall clock be behind, and so near must it be again. */
#define BEHIND_MS ((int64_t)60 * 1000)
#define NEAR_MS ((int64_t)10 * 1000)

/* --- room ------------------------------------------------------------------- */

static void
watch_map(struct tenant *tenant, const struct store_room *room)
{
	struct alert_fact fact = {
		.subject = { .kind = ALERT_MAP, .about = ALERT_OF_TENANT },
	};

	if (tenant->process->options->map_grows || room->map_bytes == 0)
		return;
	fact.value = room->used_bytes / (room->map_bytes / 100 + 1);
	alert_set(tenant, &fact,
	    alert_crosses(alert_is_on(tenant, &fact.subject), fact.value, 70,
		65));
}

static void
watch_disk(struct tenant *tenant, const struct store_room *room)
{
	struct alert_fact fact = {
		.subject = { .kind = ALERT_DISK, .about = ALERT_OF_SITE },
	};
	uint64_t used = room->disk_bytes - room->free_bytes;

	if (room->disk_bytes == 0)
		return;
	fact.value = used / (room->disk_bytes / 100 + 1);
	alert_set(tenant, &fact,
	    alert_crosses(alert_is_on(tenant, &fact.subject), fact.value, 90,
		85));
}

bool
alerts_fill(const struct tenant *tenant)
{
	const struct alert_subject map = { .kind = ALERT_MAP,
		.about = ALERT_OF_TENANT };
	const struct alert_subject disk = { .kind = ALERT_DISK,
		.about = ALERT_OF_SITE };

	return alert_is_on(tenant, &map) || alert_is_on(tenant, &disk);
}

/* --- the site --------------------------------------------------------------- */

static void
watch_clock(struct tenant *tenant)
{
	struct process *process = tenant->process;
	struct alert_fact ahead = {
		.subject = { ALERT_CLOCK, ALERT_OF_SITE, 0, ALERT_CLOCK_AHEAD },
		.logged = true,
	};
	struct alert_fact behind = {
		.subject = { ALERT_CLOCK, ALERT_OF_SITE, 0,
		    ALERT_CLOCK_BEHIND },
		.logged = true,
	};

	pthread_mutex_lock(&process->clock.lock);
	bool held = process->clock.clock.held;

	pthread_mutex_unlock(&process->clock.lock);
	alert_set(tenant, &ahead, held);
	int64_t late = process_now(process) - clock_wall_ms();

	alert_set(tenant, &behind,
	    late >
		(alert_is_on(tenant, &behind.subject) ? NEAR_MS : BEHIND_MS));
}

static void
watch_site(struct tenant *tenant, const struct store_room *room)
{
	const struct alert_fact rollback = {
		.subject = { .kind = ALERT_ROLLBACK, .about = ALERT_OF_SITE },
		.logged = true,
	};

	watch_disk(tenant, room);
	watch_clock(tenant);
	alert_set(tenant, &rollback, tenant->process->guard.frozen);
}

/* --- quotas ----------------------------------------------------------------- */

static void
watch_quota(struct tenant *tenant, enum alert_quota quota, uint64_t value,
    uint64_t limit)
{
	static const uint32_t stages[] = { 80, 100 };

	for (size_t i = 0; i < 2; i++) {
		struct alert_fact fact = {
			.subject = { ALERT_QUOTA, ALERT_OF_TENANT, 0,
			    ALERT_LIMIT_STAGE(quota, stages[i]) },
			.value = value,
			.limit = limit,
		};
		uint64_t percent = limit == 0 ? 0
		    : value >= limit
		    ? 100
		    : (uint64_t)((double)value * 100.0 / (double)limit);

		alert_set(tenant, &fact,
		    alert_crosses(alert_is_on(tenant, &fact.subject), percent,
			stages[i], stages[i] - 5));
	}
}

static void
watch_calls(struct tenant *tenant)
{
	const struct tenant_entry *entry = tenant->entry;
	bool today = entry->usage_day == tenant->process->usage_day;

	watch_quota(tenant, ALERT_QUOTA_CALLS, today ? entry->usage.calls : 0,
	    entry->facts.limits.apiCallsPerDay);
}

static void
watch_counted(struct tenant *tenant)
{
	const struct tenant_limits *limits = &tenant->entry->facts.limits;
	const bool any =
	    limits->devices != 0 || limits->keys != 0 || limits->users != 0;
	struct ledger_tenant_has has = { .devices = 0 };
	struct ledger_view *view;
	int err = any ? ledger_view_open(&view, tenant->ledger) : 0;

	if (err != 0)
		return;
	if (any) {
		bool due =
		    alerts_take_count_due(tenant, ledger_tenant_made(view));

		if (due)
			err = ledger_tenant_has(&has, view);
		ledger_view_close(view);
		if (!due || err != 0)
			return;
	}
	watch_quota(tenant, ALERT_QUOTA_DEVICES, has.devices, limits->devices);
	watch_quota(tenant, ALERT_QUOTA_KEYS, has.keys, limits->keys);
	watch_quota(tenant, ALERT_QUOTA_USERS, has.users, limits->users);
}

/* --- contracts -------------------------------------------------------------- */

struct watching {
	struct tenant *tenant;
	struct ledger_view *view;
	int64_t now;
};

int
alert_license_stage(int64_t left_ms)
{
	static const int stages[] = { 1, 7, 30 };

	if (left_ms <= 0)
		return 0;
	for (size_t i = 0; i < 3; i++)
		if (left_ms <= stages[i] * DAY_MS)
			return stages[i];
	return -1;
}

/* Are more seats held, of the product or of a feature, than the license in
 * force has? Only where that is how it is enforced: after a renewal with fewer
 * seats they go back by themselves. */
static bool
is_over(struct watching *w, const struct license *license)
{
	const struct license_feature *features = license->features.items;
	const char *feature = "";
	struct ledger_pool pool;

	if (license->terms.enforce != LICENSE_ADVISORY)
		return false;
	for (uint32_t i = 0;; i++) {
		if (ledger_pool(&pool, w->view, license->product.id, feature,
			w->now) == 0 &&
		    pool.taken > pool.total)
			return true;
		if (i == license->features.count)
			return false;
		feature = features[i].id;
	}
}

static void
set_overrun(struct watching *w, uint64_t number, enum alert_overrun stage,
    bool on)
{
	const struct alert_fact fact = {
		.subject = { ALERT_LICENSE_OVERRUN, ALERT_OF_LICENSE, number,
		    stage },
	};

	alert_set(w->tenant, &fact, on);
}

/* Before the want of a receipt ends it. */
static void
watch_unsynced(struct watching *w, uint64_t number,
    const struct license *license)
{
	static const uint32_t stages[] = { 80, 100 };
	uint64_t percent, days;

	if (sync_unsynced(&percent, &days, w->view, license, w->now) != 0)
		return;
	for (size_t i = 0; i < 2; i++) {
		const struct alert_fact fact = {
			.subject = { ALERT_UNSYNCED, ALERT_OF_LICENSE, number,
			    stages[i] },
			.value = days,
			.limit = license->sync.max_unsynced_days,
		};

		alert_set(w->tenant, &fact, percent >= stages[i]);
	}
}

static int
watch_license(void *ctx, uint64_t number, const struct license *license)
{
	static const uint32_t stages[] = { 0, 1, 7, 30 };
	struct watching *w = ctx;
	int64_t end = license_contract_end(license);
	bool overrun = w->now >= end && w->now < license_grants_until(license);
	int stage = overrun ? -1 : alert_license_stage(end - w->now);

	for (size_t i = 0; i < 4; i++) {
		const struct alert_fact fact = {
			.subject = { ALERT_LICENSE_EXPIRING, ALERT_OF_LICENSE,
			    number, stages[i] },
		};

		alert_set(w->tenant, &fact, (int)stages[i] == stage);
	}
	set_overrun(w, number, ALERT_OVERRUN_CONTRACT, overrun);
	set_overrun(w, number, ALERT_OVERRUN_SEATS, is_over(w, license));
	watch_unsynced(w, number, license);
	return 0;
}

/* Of a vendor's account, before nothing is signed any more. */
static void
watch_issuer(struct watching *w)
{
	static const uint32_t stages[] = { 0, 1, 7, 30 };
	int64_t end;
	int err = hub_issuer_ends(&end, w->view);
	int stage = err == 0 ? alert_license_stage(end - w->now) : -1;

	if (err != 0 && err != ERR_NOT_FOUND_INTERNAL)
		return;
	for (size_t i = 0; i < 4; i++) {
		const struct alert_fact fact = {
			.subject = { ALERT_ISSUER_EXPIRING, ALERT_OF_TENANT, 0,
			    stages[i] },
		};

		alert_set(w->tenant, &fact, (int)stages[i] == stage);
	}
}

static void
watch_licenses(struct tenant *tenant)
{
	int64_t now = clock_boottime_ms();
	struct watching w = { tenant, NULL, process_now(tenant->process) };

	if (!alerts_take_licenses_due(tenant) &&
	    now - tenant->licenses_looked < LICENSES_EVERY_MS)
		return;
	tenant->licenses_looked = now;
	if (ledger_view_open(&w.view, tenant->ledger) != 0)
		return;
	ledger_each_license(w.view, watch_license, &w);
	watch_issuer(&w);
	ledger_view_close(w.view);
}

void
alerts_watch(struct tenant *tenant)
{
	struct store_room room;

	if (tenant->ledger == NULL || tenant->entry->phase != TENANT_OPEN)
		return;
	ledger_room(&room, tenant->ledger);
	watch_map(tenant, &room);
	if (strcmp(tenant->name, SETUP_TENANT) == 0)
		watch_site(tenant, &room);
	watch_calls(tenant);
	watch_counted(tenant);
	watch_licenses(tenant);
	metering_watch(tenant);
}
