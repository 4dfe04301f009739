#include "appliance/ledger/clock.h"

static void
begin_day(struct site_clock *clock, int64_t boottime)
{
	clock->day_began = boottime;
	clock->day_sum = 0;
}

enum clock_start
clock_begin(struct site_clock *clock, int64_t last, bool same_boot,
    int64_t offset, int64_t linger, int64_t counted, int64_t boottime,
    int64_t wall)
{
	*clock = (struct site_clock){ .offset = last - boottime };
	if (same_boot && offset > clock->offset)
		clock->offset = offset;
	if (!same_boot && counted - boottime > clock->offset)
		clock->offset = counted - boottime;
	begin_day(clock, boottime);
	clock_keep_steady(clock, linger - clock->offset);
	int64_t ahead = wall - clock_time(clock, boottime);

	if (ahead <= 0)
		return ahead < -CLOCK_JUMP_MS ? CLOCK_START_BEHIND
					      : CLOCK_START_FINE;
	if (same_boot || counted != 0)
		return clock_step(clock, boottime, wall) == CLOCK_HELD_NOW
		    ? CLOCK_START_HELD
		    : CLOCK_START_FINE;
	clock->offset += ahead;
	return ahead > CLOCK_JUMP_MS ? CLOCK_START_AHEAD : CLOCK_START_FINE;
}

enum clock_finding
clock_step(struct site_clock *clock, int64_t boottime, int64_t wall)
{
	int64_t ahead = wall - clock_time(clock, boottime);

	if (boottime - clock->day_began >= CLOCK_DAY_MS)
		begin_day(clock, boottime);
	if (ahead <= 0) {
		/* Set right again before anybody confirmed it. */
		clock->held = false;
		clock->held_wall = 0;
		return CLOCK_FINE;
	}
	if (clock->day_sum + ahead <= CLOCK_JUMP_MS) {
		if (!clock_is_steady(clock, boottime)) {
			clock->offset += ahead;
			clock->day_sum += ahead;
		}
		clock->held = false;
		clock->held_wall = 0;
		return CLOCK_FINE;
	}
	bool began = !clock->held;

	clock->held = true;
	clock->held_wall = wall;
	return began ? CLOCK_HELD_NOW : CLOCK_FINE;
}

void
clock_keep_steady(struct site_clock *clock, int64_t until)
{
	if (until > clock->steady_until)
		clock->steady_until = until;
}

bool
clock_is_steady(const struct site_clock *clock, int64_t boottime)
{
	return boottime < clock->steady_until;
}

int64_t
clock_time(const struct site_clock *clock, int64_t boottime)
{
	return boottime + clock->offset;
}

static void
let_go(struct site_clock *clock, int64_t boottime)
{
	clock->held = false;
	clock->held_wall = 0;
	begin_day(clock, boottime);
}

bool
clock_confirm(struct site_clock *clock, int64_t boottime, int64_t wall)
{
	if (!clock->held)
		return false;
	if (wall > clock_time(clock, boottime))
		clock->offset = wall - boottime;
	let_go(clock, boottime);
	return true;
}

bool
clock_put_back(struct site_clock *clock, int64_t time, int64_t boottime,
    int64_t wall)
{
	if (time > clock_time(clock, boottime))
		return false;
	clock->offset = time - boottime;
	let_go(clock, boottime);
	/* The admin saw it: a wall clock that is still wrong is held without
	 * another row. */
	clock_step(clock, boottime, wall);
	return true;
}
