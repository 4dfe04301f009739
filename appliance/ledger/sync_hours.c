#include "appliance/ledger/sync_hours.h"

#include "appliance/ledger/core.h"
#include "appliance/metering/metering.h"

#include "shared/base/err.h"
#include "shared/base/text.h"

#include <string.h>

struct telling {
	int (*each)(void *sink, const struct report_hour *hour);
	void *sink;
};

static uint64_t
bounded(uint64_t n)
{
	return n < U53_MAX ? n : U53_MAX;
}

static int
tell_hour(void *ctx, const struct metering_rollup *rollup)
{
	const struct telling *telling = ctx;
	const struct metering_seats *seats = &rollup->seats;
	struct report_denial denied[METERING_DENIALS_MAX];
	struct report_hour hour = {
		.serial = rollup->line.serial,
		.start = rollup->start,
		.checkouts = bounded(seats->checkouts),
		.seats = bounded(seats->seats),
		.borrows = bounded(seats->borrows),
		.peak = seats->peak,
		.seat_ms = bounded(seats->seat_ms),
		.borrow_ms = bounded(seats->borrow_ms),
		.denials = bounded(seats->denials),
		.denied = { denied, seats->n_denied },
	};

	/* One of overage alone is told by its rows. */
	if (hour.serial == 0 ||
	    (hour.checkouts | hour.seat_ms | hour.denials) == 0)
		return 0;
	text_copy(hour.license, sizeof(hour.license), rollup->line.license);
	text_copy(hour.feature, sizeof(hour.feature), rollup->line.feature);
	for (uint32_t i = 0; i < seats->n_denied; i++) {
		denied[i].count = bounded(seats->denied[i].count);
		text_copy(denied[i].code, sizeof(denied[i].code),
		    seats->denied[i].code);
	}
	return telling->each(telling->sink, &hour);
}

static int
tell(const struct sync_hours *hours, struct ledger_view *view,
    const char *vendor, int64_t from, int64_t to,
    int (*each)(void *sink, const struct report_hour *hour), void *sink)
{
	const struct sync_metered *metered = (const void *)hours;
	struct arena arena = { .chunks = NULL };
	struct telling telling = { each, sink };
	struct metering_question question = {
		.scope = METERING_PRICED,
		.from = from,
		.to = to - to % METERING_HOUR_MS + METERING_HOUR_MS,
		.step = METERING_HOUR,
		.now = to,
	};
	int err = 0;

	for (uint64_t i = 1; i < view->state.counters.next_license && err == 0;
	     i++) {
		const struct state_license *license;

		arena_clear(&arena);
		err = state_license(&license, &view->state, i, &arena);
		if (err != 0 ||
		    strcmp(license->document.vendor.id, vendor) != 0)
			continue;
		question.license = license->document.license_id;
		err = metering_read(metered->metering, &question, tell_hour,
		    &telling);
	}
	arena_release(&arena);
	return err == ERR_NOT_FOUND_INTERNAL ? ERR_CORRUPT : err;
}

void
sync_hours_of(struct sync_metered *metered, struct metering *metering)
{
	*metered = (struct sync_metered){ { tell }, metering };
}
