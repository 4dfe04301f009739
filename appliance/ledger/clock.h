/*
 * The time a site believes in (DESIGN 7). It never goes back by itself, and a
 * wall clock that jumps more than an hour ahead of CLOCK_BOOTTIME is not
 * followed until an admin says so. It is a pure step over two readings: it
 * must not know where they come from, nor who journals what it finds.
 *
 * The rule: site time = CLOCK_BOOTTIME + offset. The offset follows the wall
 * clock up, never down. What the wall clock is ahead of the site's time is
 * adopted while the sum of a day's adoptions stays within an hour (so that an
 * hour cannot be had again every minute); more is *held*: time goes on by
 * CLOCK_BOOTTIME alone and `held` says what the wall clock would have it.
 *
 * While a slot waits for a holder that could not be told (its end is journaled
 * in site time) the clock is kept steady: a step ahead would make the wait
 * shorter than the span that was signed. It is adopted afterwards.
 *
 * At start within the same boot of the machine the last offset is known (the
 * system store keeps it with the boot id), so stopping the daemon, setting the
 * clock and starting it again is held like any jump. After a reboot there is
 * no witness of the time between without a TPM: a forward difference cannot be
 * told from a long power-off, so it is adopted and told to the log; a wall
 * clock behind the last journaled time is never adopted, time goes on from
 * that one. With a TPM its clock is the witness: it counts while the machine is
 * on, so time goes on from the last tick and what was counted since, and a wall
 * clock that is more than an hour ahead of that is held, a long power-off too:
 * an admin knows which it was, and confirms.
 */
#ifndef APPLIANCE_LEDGER_CLOCK_H
#define APPLIANCE_LEDGER_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#define CLOCK_JUMP_MS ((int64_t)60 * 60 * 1000)
#define CLOCK_DAY_MS ((int64_t)24 * 60 * 60 * 1000)

struct site_clock {
	int64_t offset; /* site time less boottime */
	int64_t day_began; /* boottime */
	int64_t day_sum; /* adopted since then, ms */
	bool held;
	int64_t steady_until; /* boottime: before it no step is adopted */
	int64_t held_wall; /* what the wall clock said when it was last read;
			      0: it is no longer ahead */
};

/** What a step found, to be logged and journaled. */
enum clock_finding {
	CLOCK_FINE,
	CLOCK_HELD_NOW, /* a jump began: journal CLOCK_JUMP_SEEN, once */
};

/** What the start found. */
enum clock_start {
	CLOCK_START_FINE,
	CLOCK_START_BEHIND, /* the wall clock is behind the journal */
	CLOCK_START_AHEAD, /* over an hour ahead, adopted (after a reboot) */
	CLOCK_START_HELD, /* over an hour ahead within one boot, or of what the
			     TPM counted: held */
};

/**
 * @param last     the earliest time that the next batch may have
 * @param same_boot  the offset is of this boot of the machine
 * @param linger   until when it is kept steady, in site time; 0: it is not.
 *                 After a reboot nobody knows how long the power was off, so
 *                 the wall clock is believed then all the same
 * @param counted  site time by the TPM's clock; 0: there is none
 */
enum clock_start clock_begin(struct site_clock *clock, int64_t last,
    bool same_boot, int64_t offset, int64_t linger, int64_t counted,
    int64_t boottime, int64_t wall);

/** Look at the wall clock; then clock_time is the time. */
enum clock_finding clock_step(struct site_clock *clock, int64_t boottime,
    int64_t wall);

/** Adopt no step before this boottime. */
void clock_keep_steady(struct site_clock *clock, int64_t until);
/** Is it kept steady? Then clock_confirm is to wait. */
bool clock_is_steady(const struct site_clock *clock, int64_t boottime);

int64_t clock_time(const struct site_clock *clock, int64_t boottime);

/** An admin adopts the wall clock. False when nothing is held. */
bool clock_confirm(struct site_clock *clock, int64_t boottime, int64_t wall);

/** An admin puts time back to `time`, which is not after the site's: false
 * then. What the wall clock says beyond an hour of it is held. */
bool clock_put_back(struct site_clock *clock, int64_t time, int64_t boottime,
    int64_t wall);

#endif
