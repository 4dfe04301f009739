/* Named metrics of a report: what its batches say, added up by hour; see
 * report.h. What a batch says is pending until the batch is taken, so that a
 * report ends between two batches and each event is told once. */
#include "shared/report/inside.h"

#include "shared/base/err.h"
#include "shared/base/text.h"

#include <stdlib.h>
#include <string.h>

#define SLOTS 32768u

_Static_assert(SLOTS >= 2 * REPORT_HOURS_MAX, "a free slot is soon found");
_Static_assert(JOURNAL_BATCH_ROWS_MAX <= REPORT_HOURS_MAX, "a batch fits");

/* A license of the journal, and its edition where the building is. */
struct report_usage_license {
	uint64_t number;
	uint64_t serial; /* 0: not asked yet */
	bool ours;
	char id[64];
};

static int
find_license(struct report_usage_license **out, struct report_usage *usage,
    uint64_t number)
{
	struct report_license found;

	for (uint32_t i = 0; i < usage->n_licenses; i++)
		if (usage->licenses[i].number == number) {
			*out = &usage->licenses[i];
			return 0;
		}
	int err = usage->source->license(usage->source->ctx, &found, number);

	if (err != 0)
		return err == ERR_NOT_FOUND_INTERNAL ? ERR_CORRUPT : err;
	struct report_usage_license *all =
	    realloc(usage->licenses, (usage->n_licenses + 1) * sizeof *all);

	if (all == NULL)
		return ERR_NOMEM;
	usage->licenses = all;
	*out = &all[usage->n_licenses++];
	**out = (struct report_usage_license){ .number = number,
		.ours = strcmp(found.vendor, usage->vendor) == 0 };
	text_copy((*out)->id, sizeof(*out)->id, found.license_id);
	return 0;
}

static int
add_pending(struct report_usage *usage, const struct report_hour *hour)
{
	if (usage->pending == NULL)
		usage->pending =
		    calloc(JOURNAL_BATCH_ROWS_MAX, sizeof *usage->pending);
	if (usage->pending == NULL)
		return ERR_NOMEM;
	if (usage->n_pending == JOURNAL_BATCH_ROWS_MAX)
		return ERR_CORRUPT;
	usage->pending[usage->n_pending++] = *hour;
	return 0;
}

static int
see_used(struct report_usage *usage, const struct row_usage_tracked *r,
    int64_t time)
{
	struct report_usage_license *license = NULL;
	int err = find_license(&license, usage, r->license);

	if (err != 0 || !license->ours)
		return err;
	if (license->serial == 0)
		err = usage->source->edition(usage->source->ctx,
		    &license->serial, r->license);
	if (err != 0)
		return err;
	struct report_hour hour = {
		.serial = license->serial,
		.start = report_hour_start(time),
		.metric = true,
		.kind = r->kind,
		.events = 1,
		.sum = r->amount,
		.max = r->amount,
		.last = r->amount,
	};

	text_copy(hour.license, sizeof hour.license, license->id);
	text_copy(hour.feature, sizeof hour.feature, r->metric);
	return add_pending(usage, &hour);
}

/* A gauge goes on under the new edition from then on. */
static int
see_installed(struct report_usage *usage, const struct row_license_installed *r,
    int64_t time)
{
	struct report_usage_license *license = NULL;
	int err = find_license(&license, usage, r->license);

	if (err != 0 || !license->ours)
		return err;
	license->serial = r->document.serial;
	if (license->serial < 2)
		return 0;
	struct report_hour hour = {
		.serial = license->serial,
		.start = report_hour_start(time),
		.metric = true,
	};

	text_copy(hour.license, sizeof hour.license, license->id);
	return add_pending(usage, &hour);
}

int
report_usage_see(struct report_usage *usage, const struct row *row,
    int64_t time)
{
	if (usage->source->edition == NULL)
		return 0;
	if (row->kind == ROW_USAGE_TRACKED)
		return see_used(usage, &row->u.usage_tracked, time);
	if (row->kind == ROW_LICENSE_INSTALLED)
		return see_installed(usage, &row->u.license_installed, time);
	return 0;
}

/* --- a batch is taken ------------------------------------------------------------ */

static uint64_t
sum_capped(uint64_t a, uint64_t b)
{
	return a > U53_MAX || b > U53_MAX - a ? U53_MAX : a + b;
}

bool
report_usage_fits(const struct report_usage *usage)
{
	uint64_t sum = usage->top;

	for (uint32_t i = 0; i < usage->n_pending; i++)
		sum = sum_capped(sum, usage->pending[i].sum);
	return usage->n_hours + usage->n_pending <= REPORT_HOURS_MAX &&
	    (usage->n_hours == 0 || sum < U53_MAX);
}

static uint32_t
hash_of(const struct report_hour *hour)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (const char *p = hour->license; *p != '\0'; p++)
		hash = (hash ^ (uint8_t)*p) * UINT64_C(0x100000001b3);
	for (const char *p = hour->feature; *p != '\0'; p++)
		hash = (hash ^ (uint8_t)*p) * UINT64_C(0x100000001b3);
	hash = (hash ^ hour->serial) * UINT64_C(0x100000001b3);
	hash = (hash ^ (uint64_t)hour->start) * UINT64_C(0x100000001b3);
	return (uint32_t)(hash ^ (hash >> 32)) % SLOTS;
}

static void
add_one(struct report_usage *usage, const struct report_hour *from)
{
	uint32_t slot = hash_of(from);
	struct report_hour *to;

	while (usage->slots[slot] != 0 &&
	    report_hour_compare(&usage->hours[usage->slots[slot] - 1], from) !=
		0)
		slot = (slot + 1) % SLOTS;
	if (usage->slots[slot] == 0) {
		to = &usage->hours[usage->n_hours++];
		*to = *from;
		usage->slots[slot] = (uint16_t)usage->n_hours;
	} else {
		to = &usage->hours[usage->slots[slot] - 1];
		to->events += from->events;
		to->sum = sum_capped(to->sum, from->sum);
		to->max = from->max > to->max ? from->max : to->max;
		to->last = from->last;
	}
	usage->top = to->sum > usage->top ? to->sum : usage->top;
}

int
report_usage_take(struct report_usage *usage)
{
	if (usage->n_pending == 0)
		return 0;
	if (usage->hours == NULL)
		usage->hours = calloc(REPORT_HOURS_MAX, sizeof *usage->hours);
	if (usage->slots == NULL)
		usage->slots = calloc(SLOTS, sizeof *usage->slots);
	if (usage->hours == NULL || usage->slots == NULL)
		return ERR_NOMEM;
	for (uint32_t i = 0; i < usage->n_pending; i++)
		add_one(usage, &usage->pending[i]);
	usage->n_pending = 0;
	return 0;
}

void
report_usage_release(struct report_usage *usage)
{
	free(usage->licenses);
	free(usage->pending);
	free(usage->hours);
	free(usage->slots);
}
