/* The metering projection against a naive recount of random rows, exact across
 * restarts and crashes. */
#include "tests/unit/metering_world.h"

#define STEPS 600
#define LEASES 400

/* A line as a person would count it: changes in their order. */
struct change {
	int64_t time;
	int32_t seats, borrowed;
	struct grant grant;
	bool checkout, is_borrow;
};
static struct change changes[STEPS];
static uint32_t n_changes;

static const char *const ids[] = { "", "lic-a", "lic-b" };
static const char *const features[] = { "", "autosar" };

static bool
is_of(const struct change *change, const struct metering_line *line)
{
	const struct grant *grant = &change->grant;

	if (line->scope == METERING_TENANT)
		return true;
	if (strcmp(line->license, ids[grant->license]) != 0)
		return false;
	if (line->scope == METERING_LICENSE)
		return true;
	if (strcmp(line->feature, grant->feature) != 0)
		return false;
	if (line->scope == METERING_PRICED)
		return line->serial == grant->serial;
	if (line->scope == METERING_USER)
		return line->subject[0] == grant->user;
	if (line->scope == METERING_HOST)
		return line->subject[0] == grant->host;
	return true;
}

static void
recount(struct metering_seats *out, const struct metering_line *line,
    int64_t from, int64_t to, int64_t now)
{
	uint32_t held = 0, borrowed = 0;
	int64_t since = 0;

	*out = (struct metering_seats){ 0 };
	for (uint32_t i = 0; i <= n_changes; i++) {
		const struct change *change = &changes[i];
		int64_t time = i < n_changes ? change->time : now;
		int64_t a = since > from ? since : from;
		int64_t b = time < to ? time : to;

		if (a < b && held > 0) {
			out->seat_ms += held * (uint64_t)(b - a);
			out->borrow_ms += borrowed * (uint64_t)(b - a);
			out->peak = held > out->peak ? held : out->peak;
		}
		since = time;
		if (i == n_changes || !is_of(change, line))
			continue;
		held = (uint32_t)((int32_t)held + change->seats);
		borrowed = (uint32_t)((int32_t)borrowed + change->borrowed);
		if (!change->checkout || time < from || time >= to)
			continue;
		out->checkouts++;
		out->seats += (uint32_t)change->seats;
		out->borrows += change->is_borrow;
		out->overage += change->grant.overage_count;
		out->peak = held > out->peak ? held : out->peak;
	}
}

static uint64_t seed;

static uint32_t
roll(uint32_t n)
{
	seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)(seed >> 33) % n;
}

static uint32_t
compare_scope(enum metering_scope scope, enum metering_step step, int64_t from,
    int64_t to, int64_t now)
{
	struct metering_question q = question(scope, step, from, to);

	q.now = now;
	ask(q);
	for (uint32_t i = 0; i < all.n; i++) {
		const struct metering_rollup *is = &all.rollups[i];
		struct metering_seats want;

		recount(&want, &is->line, is->start, is->end, now);
		ck_assert_uint_eq(is->seats.checkouts, want.checkouts);
		ck_assert_uint_eq(is->seats.seats, want.seats);
		ck_assert_uint_eq(is->seats.borrows, want.borrows);
		ck_assert_uint_eq(is->seats.seat_ms, want.seat_ms);
		ck_assert_uint_eq(is->seats.borrow_ms, want.borrow_ms);
		ck_assert_uint_eq(is->seats.peak, want.peak);
		ck_assert_uint_eq(is->seats.overage, want.overage);
	}
	return all.n;
}

/* Nothing is left out either: all spans together are the whole. */
static void
compare_sum(enum metering_scope scope, int64_t from, int64_t to, int64_t now)
{
	struct metering_line line = { .scope = METERING_TENANT };
	struct metering_question q = question(scope, METERING_HOUR, from, to);
	struct metering_seats want;
	uint64_t ms = 0, checkouts = 0, overage = 0;

	q.now = now;
	ask(q);
	for (uint32_t i = 0; i < all.n; i++) {
		ms += all.rollups[i].seats.seat_ms;
		checkouts += all.rollups[i].seats.checkouts;
		overage += all.rollups[i].seats.overage;
	}
	recount(&want, &line, from, to, now);
	ck_assert_uint_eq(ms, want.seat_ms);
	ck_assert_uint_eq(checkouts, want.checkouts);
	ck_assert_uint_eq(overage, want.overage);
}

struct lease {
	bool held, borrowed;
	uint32_t change;
};

/* One step of the journal; a row, and what a person writes down. */
static struct row
make_row(struct lease leases[LEASES], uint32_t step, int64_t time,
    uint64_t overage[3])
{
	uint32_t number = roll(LEASES);
	struct lease *lease = &leases[number];
	struct change *change = &changes[n_changes];

	if (lease->held) {
		*change = changes[lease->change];
		change->time = time;
		change->seats = -change->seats;
		change->borrowed = -change->borrowed;
		change->checkout = false;
		lease->held = false;
		n_changes++;
		return ended(number + 1, lease->borrowed);
	}
	struct grant grant = { .lease = number + 1,
		.license = 1 + roll(2),
		.serial = step < STEPS / 2 ? 1 + roll(1) : 1 + roll(2),
		.count = 1 + roll(3),
		.feature = features[roll(2)],
		.user = (uint8_t)(1 + roll(5)),
		.host = (uint8_t)(1 + roll(3)) };

	if (roll(3) == 0) {
		grant.overage_count = 1 + roll(grant.count);
		grant.overage = overage[grant.license] + 1;
		overage[grant.license] += grant.overage_count;
	}
	lease->held = true;
	lease->borrowed = roll(4) == 0;
	lease->change = n_changes;
	*change = (struct change){ .time = time,
		.seats = (int32_t)grant.count,
		.borrowed = lease->borrowed ? (int32_t)grant.count : 0,
		.grant = grant,
		.checkout = true,
		.is_borrow = lease->borrowed };
	n_changes++;
	return granted(grant, lease->borrowed);
}

static void
set_out(int64_t time)
{
	begin();
	for (uint64_t license = 1; license <= 2; license++)
		for (uint64_t serial = 1; serial <= 2; serial++)
			tell(installed(license, ids[license], serial), time);
	commit();
}

/* A page that is told again after a crash, a restart: nothing shows. */
START_TEST(rollups_equal_a_naive_recount)
{
	static const enum metering_scope scopes[] = { METERING_TENANT,
		METERING_LICENSE, METERING_FEATURE, METERING_PRICED,
		METERING_USER, METERING_HOST };
	static struct row rows[STEPS];
	static int64_t times[STEPS];
	struct lease leases[LEASES] = { { false } };
	uint64_t overage[3] = { 0 };
	int64_t from = at("2028-02-20 00:00"), time = from;
	uint32_t told = 0;

	seed = 77 + (uint64_t)_i;
	n_changes = 0;
	set_out(from);
	for (uint32_t i = 0; i < STEPS; i++) {
		time += roll(5) == 0 ? 0 : (int64_t)roll(2 * HOUR);
		times[i] = time;
		rows[i] = make_row(leases, i, time, overage);
	}
	while (told < STEPS) {
		uint32_t page = 1 + roll(60), row = (uint32_t)next_row;
		uint32_t batch = (uint32_t)next_batch;
		bool crash = roll(3) == 0;

		begin();
		for (uint32_t i = told; i < STEPS && i < told + page; i++)
			tell(rows[i], times[i]);
		if (crash) {
			metering_abort(txn);
			next_row = row;
			next_batch = batch;
		} else {
			commit();
			told = told + page < STEPS ? told + page : STEPS;
		}
		if (roll(2) == 0)
			reopen();
		struct metering_place place;

		ck_assert_int_eq(metering_place(&place, metering), 0);
		ck_assert_uint_eq(place.row, next_row - 1);
	}
	int64_t now = time + (int64_t)roll(3 * HOUR);
	int64_t to = now - now % DAY + DAY;

	for (size_t i = 0; i < sizeof(scopes) / sizeof(scopes[0]); i++) {
		for (enum metering_step step = METERING_HOUR;
		     step <= METERING_WHOLE; step++)
			ck_assert_uint_gt(compare_scope(scopes[i], step, from,
					      to, now),
			    0);
		compare_sum(scopes[i], from, to, now);
	}
}
END_TEST

Suite *
suite(void)
{
	Suite *metered = suite_create("metering_recount");
	TCase *one = tcase_create("recount");

	tcase_add_checked_fixture(one, setup, teardown);
	tcase_set_timeout(one, 300);
	tcase_add_loop_test(one, rollups_equal_a_naive_recount, 0, 8);
	suite_add_tcase(metered, one);
	return metered;
}
