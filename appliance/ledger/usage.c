#include "appliance/ledger/usage.h"

#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/log.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SAVE_MS ((int64_t)60 * 1000)
#define DAY_MS ((int64_t)24 * 60 * 60 * 1000)
#define USER_BITS (SYSTEM_USERS_BYTES * 8)

int64_t
usage_clock_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int32_t
today(struct process *process)
{
	return (int32_t)(process_now(process) / DAY_MS);
}

int
usage_load(struct process *process)
{
	int32_t day = today(process);

	process->usage_day = day;
	for (struct tenant_entry *entry = process->known.first; entry != NULL;
	     entry = entry->following) {
		int rc = system_usage_load(&entry->usage, process->system,
		    entry->facts.name, day);

		if (rc != 0 && rc != ERR_NOT_FOUND)
			return rc;
		entry->usage_day = day;
	}
	return 0;
}

/* --- counting -------------------------------------------------------------- */

/* The day is looked at once a second: a request does not ask the clock. */
static struct system_usage *
usage_of(struct tenant *tenant)
{
	struct tenant_entry *entry = tenant->entry;
	int32_t day = tenant->process->usage_day;

	if (entry->usage_day != day && !entry->usage_dirty) {
		entry->usage_day = day;
		entry->usage = (struct system_usage){ .calls = 0 };
	}
	entry->usage_dirty = true;
	return &entry->usage;
}

static bool
is_used_up(const struct tenant_entry *entry)
{
	uint64_t limit = entry->facts.limits.apiCallsPerDay;

	return limit != 0 && entry->usage.calls > limit;
}

bool
usage_counts(const struct operation *op)
{
	return op->scope != SCOPE_OPEN;
}

bool
usage_call(struct tenant *tenant)
{
	usage_of(tenant)->calls++;
	return !is_used_up(tenant->entry);
}

void
usage_took(struct tenant *tenant, int64_t ns)
{
	struct tenant_entry *entry = tenant->entry;

	/* Rounded down for each, a thousand quick ones would take no time. */
	entry->usage_ns += ns;
	if (entry->usage_ns < 1000)
		return;
	usage_of(tenant)->micros += (uint64_t)(entry->usage_ns / 1000);
	entry->usage_ns %= 1000;
}

void
usage_error(struct tenant *tenant)
{
	usage_of(tenant)->errors++;
}

void
usage_seat(struct tenant *tenant, uint64_t user)
{
	struct system_usage *usage = usage_of(tenant);
	size_t held = tenant->liveness.leases.count;
	size_t bit = user % USER_BITS;

	if (held > usage->peak)
		usage->peak = (uint32_t)held;
	usage->users[bit / 8] |= (uint8_t)(1u << (bit % 8));
}

uint32_t
usage_users(const struct system_usage *usage)
{
	uint32_t set = 0;

	for (size_t i = 0; i < SYSTEM_USERS_BYTES; i++)
		set += (uint32_t)__builtin_popcount(usage->users[i]);
	/* So many throws it takes, on average, to hit so many bits: some hit
	 * one that was set. */
	double throws = 0.5;

	for (uint32_t i = 0; i < set; i++)
		throws += (double)USER_BITS / (double)(USER_BITS - i);
	return (uint32_t)throws;
}

const struct system_usage *
usage_today(struct process *process, struct tenant_entry *entry, int32_t day)
{
	return day == entry->usage_day && day == today(process) ? &entry->usage
								: NULL;
}

/* --- keeping ---------------------------------------------------------------- */

struct usage_saving {
	struct work work; /* first */
	struct process *process;
	struct system_usage_item *items;
	size_t n;
	int rc;
};

static struct usage_saving *
gather(struct process *process)
{
	struct usage_saving *saving = calloc(1, sizeof(*saving));
	size_t n = 0;

	for (struct tenant_entry *entry = process->known.first; entry != NULL;
	     entry = entry->following)
		n += entry->usage_dirty;
	if (saving == NULL || n == 0) {
		free(saving);
		return NULL;
	}
	saving->process = process;
	saving->items = calloc(n, sizeof(*saving->items));
	if (saving->items == NULL) {
		free(saving);
		return NULL;
	}
	for (struct tenant_entry *entry = process->known.first; entry != NULL;
	     entry = entry->following) {
		if (!entry->usage_dirty)
			continue;
		saving->items[saving->n++] = (struct system_usage_item){
			.day = entry->usage_day,
			.usage = entry->usage,
		};
		memcpy(saving->items[saving->n - 1].tenant, entry->facts.name,
		    sizeof(entry->facts.name));
		entry->usage_dirty = false;
	}
	return saving;
}

static void
run_save(struct work *work)
{
	struct usage_saving *saving = (struct usage_saving *)work;

	saving->rc = system_usage_save(saving->process->system, saving->items,
	    saving->n);
}

static void
free_saving(struct usage_saving *saving)
{
	free(saving->items);
	free(saving);
}

static void
saved(struct work *work)
{
	struct usage_saving *saving = (struct usage_saving *)work;
	struct process *process = saving->process;

	/* The next one has all of the day again. */
	if (saving->rc != 0)
		log_warn("ledger", "what tenants did cannot be kept: %s",
		    err_str(saving->rc));
	process->usage_saving = NULL;
	free_saving(saving);
	if (process->phase == PHASE_DRAINING)
		process_settle(process);
}

void
usage_watch(struct process *process)
{
	int64_t now = clock_boottime_ms();
	int32_t day = today(process);

	if (process->usage_saving != NULL ||
	    (day == process->usage_day && now - process->usage_saved < SAVE_MS))
		return;
	process->usage_saving = gather(process);
	process->usage_saved = now;
	process->usage_day = day;
	if (process->usage_saving == NULL)
		return;
	process->usage_saving->work.run = run_save;
	process->usage_saving->work.done = saved;
	worker_put(process->helper, &process->usage_saving->work);
}

void
usage_save_all(struct process *process)
{
	struct usage_saving *saving = gather(process);

	if (saving == NULL)
		return;
	run_save(&saving->work);
	free_saving(saving);
}
