/* The metering projection: single facts, metrics, evidence, its file, and months
 * as they are. */
#include "tests/unit/metering_world.h"

/* --- single facts ------------------------------------------------------------- */

START_TEST(a_lease_across_hours_counts_in_each)
{
	int64_t t = at("2026-11-22 10:30");

	begin();
	tell(installed(1, "lic-a", 1), t - HOUR);
	tell(granted((struct grant){ .lease = 1,
			 .license = 1,
			 .serial = 1,
			 .count = 2,
			 .feature = "",
			 .user = 1,
			 .host = 1 },
		 false),
	    t);
	tell(ended(1, false), t + 2 * HOUR);
	commit();
	ask(question(METERING_PRICED, METERING_HOUR, at("2026-11-22 00:00"),
	    at("2026-11-23 00:00")));
	ck_assert_uint_eq(all.n, 3);
	ck_assert_uint_eq(all.rollups[0].seats.checkouts, 1);
	ck_assert_uint_eq(all.rollups[0].seats.seats, 2);
	ck_assert_uint_eq(all.rollups[0].seats.seat_ms, HOUR);
	ck_assert_uint_eq(all.rollups[1].seats.seat_ms, 2 * HOUR);
	ck_assert_uint_eq(all.rollups[1].seats.peak, 2);
	ck_assert_uint_eq(all.rollups[1].seats.checkouts, 0);
	ck_assert_uint_eq(all.rollups[2].seats.seat_ms, HOUR);
	ck_assert_str_eq(all.rollups[2].line.license, "lic-a");
}
END_TEST

START_TEST(what_is_held_now_is_counted_up_to_now)
{
	int64_t t = at("2026-11-22 10:00");
	struct metering_question now =
	    question(METERING_TENANT, METERING_WHOLE, t, t + DAY);

	begin();
	tell(installed(1, "lic-a", 1), t);
	tell(granted((struct grant){ .lease = 1,
			 .license = 1,
			 .serial = 1,
			 .count = 1,
			 .feature = "" },
		 false),
	    t);
	commit();
	ask(now);
	ck_assert_uint_eq(all.rollups[0].seats.seat_ms, 0);
	now.now = t + 5 * HOUR + 7;
	ask(now);
	ck_assert_uint_eq(all.rollups[0].seats.seat_ms, 5 * HOUR + 7);
	/* The same after it ended as before. */
	begin();
	tell(ended(1, false), t + 5 * HOUR + 7);
	commit();
	ask(now);
	ck_assert_uint_eq(all.n, 1);
	ck_assert_uint_eq(all.rollups[0].seats.seat_ms, 5 * HOUR + 7);
	ck_assert_uint_eq(all.rollups[0].seats.peak, 1);
}
END_TEST

START_TEST(a_renewal_in_mid_month_makes_two_serials)
{
	int64_t from = at("2026-11-01 00:00"), to = at("2026-12-01 00:00");

	begin();
	tell(installed(1, "lic-a", 1), from);
	for (uint64_t i = 1; i <= 10; i++) {
		uint64_t serial = i <= 4 ? 1 : 2;

		if (i == 5)
			tell(installed(1, "lic-a", 2), from + 15 * DAY);
		tell(granted((struct grant){ .lease = i,
				 .license = 1,
				 .serial = serial,
				 .count = 1,
				 .feature = i % 2 == 0 ? "autosar" : "",
				 .overage = i,
				 .overage_count = 1 },
			 false),
		    from + (int64_t)i * 3 * DAY);
	}
	commit();
	struct metering_question q =
	    question(METERING_PRICED, METERING_MONTH, from, to);

	ask(q);
	/* serial 1: "" 1, 3; autosar 2, 4; serial 2: "" 5, 7, 9; autosar 6, 8
	 */
	ck_assert_uint_eq(all.n, 4);
	ck_assert_uint_eq(all.rollups[0].line.serial, 1);
	ck_assert_uint_eq(all.rollups[0].seats.overage, 2);
	ck_assert_uint_eq(all.rollups[0].seats.overage_first, 1);
	ck_assert_uint_eq(all.rollups[0].seats.overage_last, 3);
	ck_assert_str_eq(all.rollups[1].line.feature, "autosar");
	ck_assert_uint_eq(all.rollups[2].line.serial, 2);
	ck_assert_uint_eq(all.rollups[2].seats.overage, 3);
	ck_assert_uint_eq(all.rollups[2].seats.overage_first, 5);
	ck_assert_uint_eq(all.rollups[2].seats.overage_last, 9);
	ck_assert_uint_eq(all.rollups[3].seats.overage, 2);
	/* Both pools, both serials, at once; the tenth is on 1 December. */
	q.scope = METERING_LICENSE;
	ask(q);
	ck_assert_uint_eq(all.n, 1);
	ck_assert_uint_eq(all.rollups[0].seats.peak, 9);
	ck_assert_uint_eq(all.rollups[0].seats.overage, 9);
}
END_TEST

START_TEST(months_are_utc_and_a_leap_day_is_a_day)
{
	int64_t from = at("2028-02-01 00:00"), to = at("2028-04-01 00:00");

	setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1);
	tzset();
	begin();
	tell(installed(1, "lic-a", 1), from);
	tell(granted((struct grant){ .lease = 1,
			 .license = 1,
			 .serial = 1,
			 .count = 1,
			 .feature = "" },
		 false),
	    from);
	tell(ended(1, false), to);
	commit();
	struct metering_question q =
	    question(METERING_TENANT, METERING_MONTH, from, to);

	ask(q);
	ck_assert_uint_eq(all.n, 2);
	ck_assert_uint_eq(all.rollups[0].seats.seat_ms, 29 * DAY);
	ck_assert_int_eq(all.rollups[0].end, at("2028-03-01 00:00"));
	/* In March clocks go forward somewhere; an hour is an hour. */
	ck_assert_uint_eq(all.rollups[1].seats.seat_ms, 31 * DAY);
	q.step = METERING_DAY;
	ask(q);
	ck_assert_uint_eq(all.n, 60);
	for (uint32_t i = 0; i < all.n; i++)
		ck_assert_uint_eq(all.rollups[i].seats.seat_ms, DAY);
	q.step = METERING_HOUR;
	ask(q);
	ck_assert_uint_eq(all.n, 60 * 24);
}
END_TEST

START_TEST(denials_are_told_by_code_in_their_hour)
{
	int64_t t = at("2026-11-22 10:59");

	begin();
	tell(installed(1, "lic-a", 1), t);
	tell(denied(1, "no_seats", 3, t), t + 2 * 60000);
	tell(denied(1, "excluded", 1, t), t + 2 * 60000);
	tell(denied(1, "no_seats", 2, t), t + 2 * 60000);
	tell(denied(0, "not_entitled", 5, t), t + 2 * 60000);
	commit();
	ask(question(METERING_LICENSE, METERING_HOUR, 0, t + 61 * 60000));
	ck_assert_uint_eq(all.n, 2);
	ck_assert_str_eq(all.rollups[0].line.license, "");
	ck_assert_uint_eq(all.rollups[0].seats.denials, 5);
	ck_assert_int_eq(all.rollups[1].start, at("2026-11-22 10:00"));
	ck_assert_uint_eq(all.rollups[1].seats.denials, 6);
	ck_assert_uint_eq(all.rollups[1].seats.n_denied, 2);
	ck_assert_str_eq(all.rollups[1].seats.denied[0].code, "excluded");
	ck_assert_str_eq(all.rollups[1].seats.denied[1].code, "no_seats");
	ck_assert_uint_eq(all.rollups[1].seats.denied[1].count, 5);
}
END_TEST

START_TEST(many_codes_end_in_other)
{
	int64_t t = at("2026-11-22 10:00");
	uint64_t sum = 0;

	begin();
	for (unsigned int i = 0; i < 40; i++) {
		char code[32];

		snprintf(code, sizeof(code), "code_%02u", i);
		tell(denied(0, code, i + 1, t), t);
	}
	commit();
	ask(question(METERING_TENANT, METERING_HOUR, t, t + HOUR));
	ck_assert_uint_eq(all.n, 1);
	ck_assert_uint_eq(all.rollups[0].seats.n_denied, METERING_DENIALS_MAX);
	for (uint32_t i = 0; i < METERING_DENIALS_MAX; i++)
		sum += all.rollups[0].seats.denied[i].count;
	ck_assert_uint_eq(sum, 40 * 41 / 2);
}
END_TEST

START_TEST(a_borrow_given_up_counts_its_overage)
{
	int64_t t = at("2026-11-22 10:00");
	struct row end = ended(1, true);

	begin();
	tell(installed(1, "lic-a", 1), t);
	tell(granted((struct grant){ .lease = 1,
			 .license = 1,
			 .serial = 1,
			 .count = 2,
			 .feature = "autosar" },
		 true),
	    t);
	tell(installed(1, "lic-a", 2), t + HOUR);
	end.u.borrow_ended.license = 1;
	end.u.borrow_ended.overage = 17;
	end.u.borrow_ended.overage_count = 2;
	tell(end, t + 3 * HOUR);
	commit();
	ask(question(METERING_PRICED, METERING_WHOLE, t, t + DAY));
	ck_assert_uint_eq(all.n, 1);
	/* At the price that it was lent for. */
	ck_assert_uint_eq(all.rollups[0].line.serial, 1);
	ck_assert_str_eq(all.rollups[0].line.feature, "autosar");
	ck_assert_uint_eq(all.rollups[0].seats.overage, 2);
	ck_assert_uint_eq(all.rollups[0].seats.overage_first, 17);
	ck_assert_uint_eq(all.rollups[0].seats.overage_last, 18);
	ck_assert_uint_eq(all.rollups[0].seats.borrows, 1);
	ck_assert_uint_eq(all.rollups[0].seats.borrow_ms, 6 * HOUR);
	ck_assert_uint_eq(all.rollups[0].seats.seat_ms, 6 * HOUR);
}
END_TEST

START_TEST(a_clock_that_is_put_right_counts_no_hour_twice)
{
	int64_t t = at("2026-11-22 10:00");

	begin();
	tell(installed(1, "lic-a", 1), t);
	tell(granted((struct grant){ .lease = 1,
			 .license = 1,
			 .serial = 1,
			 .count = 1,
			 .feature = "" },
		 false),
	    t);
	tell(granted((struct grant){ .lease = 2,
			 .license = 1,
			 .serial = 1,
			 .count = 1,
			 .feature = "" },
		 false),
	    t + 5 * HOUR);
	/* It was four hours ahead. */
	tell(ended(2, false), t + HOUR);
	tell(ended(1, false), t + 6 * HOUR);
	commit();
	ask(question(METERING_TENANT, METERING_WHOLE, t, t + DAY));
	ck_assert_uint_eq(all.rollups[0].seats.seat_ms, 6 * HOUR);
	ck_assert_uint_eq(all.rollups[0].seats.peak, 2);
	ck_assert_uint_eq(all.rollups[0].seats.checkouts, 2);
}
END_TEST

/* --- metrics ------------------------------------------------------------------- */

START_TEST(counters_add_up_and_gauges_hold)
{
	int64_t from = at("2026-11-01 00:00"), to = at("2026-12-01 00:00");
	struct metering_question q =
	    question(METERING_METRIC, METERING_MONTH, from, to);

	begin();
	tell(installed(1, "lic-a", 1), from - DAY);
	tell(tracked(1, "users", USAGE_GAUGE, 80), from - HOUR);
	tell(tracked(1, "api_calls", USAGE_COUNTER, 10), from - 1);
	tell(tracked(1, "api_calls", USAGE_COUNTER, 10), from);
	tell(tracked(1, "api_calls", USAGE_COUNTER, 32), from + 3 * DAY);
	tell(tracked(1, "users", USAGE_GAUGE, 50), from + 4 * DAY);
	commit();
	q.now = to;
	ask(q);
	ck_assert_uint_eq(all.n, 2);
	ck_assert_str_eq(all.rollups[0].line.feature, "api_calls");
	ck_assert_uint_eq(all.rollups[0].metric.sum, 42);
	ck_assert_uint_eq(all.rollups[0].metric.events, 2);
	ck_assert_str_eq(all.rollups[1].line.feature, "users");
	/* 80 were there when the month began. */
	ck_assert_uint_eq(all.rollups[1].metric.max, 80);
	ck_assert_uint_eq(all.rollups[1].metric.last, 50);
	ck_assert_uint_eq(all.rollups[1].metric.events, 1);
	q.feature = "users";
	q.step = METERING_DAY;
	ask(q);
	ck_assert_uint_eq(all.n, 30);
	ck_assert_uint_eq(all.rollups[3].metric.max, 80);
	/* It came into the day with 80. */
	ck_assert_uint_eq(all.rollups[5].metric.max, 50);
	ck_assert_uint_eq(all.rollups[29].metric.last, 50);
}
END_TEST

START_TEST(a_gauge_goes_on_under_the_next_serial)
{
	int64_t from = at("2026-11-01 00:00"), to = at("2026-12-01 00:00");
	struct metering_question q =
	    question(METERING_METRIC, METERING_HOUR, from, to);

	begin();
	tell(installed(1, "lic-a", 1), from);
	tell(tracked(1, "storage_mb", USAGE_GAUGE, 700), from + HOUR);
	tell(installed(1, "lic-a", 2), from + 10 * HOUR);
	commit();
	q.now = to;
	q.serial = 1;
	ask(q);
	ck_assert_uint_eq(all.n, 10); /* hours 1 to 10 */
	q.serial = 2;
	ask(q);
	ck_assert_uint_eq(all.n, 30 * 24 - 10);
	ck_assert_uint_eq(all.rollups[0].metric.max, 700);
	ck_assert_uint_eq(all.rollups[0].metric.events, 0);
}
END_TEST

/* --- evidence ------------------------------------------------------------------- */

START_TEST(overage_leads_to_its_rows)
{
	int64_t from = at("2026-11-01 00:00"), to = at("2026-12-01 00:00");
	struct evidence evidence = { 0 };

	begin();
	tell(installed(1, "lic-a", 1), from);
	tell(installed(2, "lic-ab", 1), from);
	for (uint64_t i = 1; i <= 6; i++)
		tell(granted((struct grant){ .lease = i,
				 .license = 1 + i % 2,
				 .serial = 1,
				 .count = 1,
				 .feature = "",
				 .overage = i,
				 .overage_count = 1 },
			 false),
		    from + (int64_t)i * 6 * DAY);
	commit();
	ck_assert_int_eq(metering_evidence(metering, "lic-a", 0, NULL, from, to,
			     keep_evidence, &evidence),
	    0);
	/* Leases 2 and 4; the sixth is in December. */
	ck_assert_uint_eq(evidence.n, 2);
	ck_assert_uint_eq(evidence.rows[0], 4);
	ck_assert_uint_eq(evidence.numbers[0], 2);
	ck_assert_uint_eq(evidence.rows[1], 6);
	evidence.n = 0;
	ck_assert_int_eq(metering_evidence(metering, "lic-a", 9, NULL, from, to,
			     keep_evidence, &evidence),
	    0);
	ck_assert_uint_eq(evidence.n, 0);
}
END_TEST

/* --- many lines ------------------------------------------------------------------- */

START_TEST(hours_of_people_go_and_totals_stay)
{
	static const enum metering_scope totals[] = { METERING_TENANT,
		METERING_LICENSE, METERING_FEATURE, METERING_PRICED };
	int64_t t = at("2026-11-01 00:00"), to = t + 60 * DAY;
	uint64_t before[4];
	uint32_t rounds = 0;
	bool more = true;

	/* 600 hours of 40 users and hosts each: more than one page. */
	begin();
	tell(installed(1, "lic-a", 1), t);
	for (uint64_t i = 0; i < 600 * 40; i++) {
		tell(granted((struct grant){ .lease = i + 1,
				 .license = 1,
				 .serial = 1,
				 .count = 1,
				 .feature = "",
				 .user = (uint8_t)(1 + i % 40),
				 .host = (uint8_t)(1 + i % 40) },
			 false),
		    t + (int64_t)(i / 40) * HOUR);
		tell(ended(i + 1, false), t + (int64_t)(i / 40) * HOUR + 60000);
	}
	commit();
	for (size_t i = 0; i < 4; i++) {
		ask(question(totals[i], METERING_WHOLE, t, to));
		ck_assert_uint_eq(all.n, 1);
		before[i] = all.rollups[0].seats.seat_ms;
		ck_assert_uint_eq(all.rollups[0].seats.checkouts, 600 * 40);
	}
	for (; more; rounds++)
		ck_assert_int_eq(metering_forget_people(&more, metering,
				     t + 590 * HOUR),
		    0);
	ck_assert_uint_gt(rounds, 1);
	for (size_t i = 0; i < 4; i++) {
		ask(question(totals[i], METERING_WHOLE, t, to));
		ck_assert_uint_eq(all.n, 1);
		ck_assert_uint_eq(all.rollups[0].seats.checkouts, 600 * 40);
		ck_assert_uint_eq(all.rollups[0].seats.seat_ms, before[i]);
	}
	for (int scope = METERING_USER; scope <= METERING_HOST; scope++) {
		ask(question((enum metering_scope)scope, METERING_HOUR, t, to));
		ck_assert_uint_eq(all.n, 10 * 40);
		for (uint32_t i = 0; i < all.n; i++)
			ck_assert_int_ge(all.rollups[i].start, t + 590 * HOUR);
	}
	/* Nothing is left to do, and what comes is counted as ever. */
	ck_assert_int_eq(metering_forget_people(&more, metering,
			     t + 590 * HOUR),
	    0);
	ck_assert(!more);
	begin();
	tell(granted((struct grant){ .lease = 100000,
			 .license = 1,
			 .serial = 1,
			 .count = 1,
			 .feature = "",
			 .user = 1,
			 .host = 1 },
		 false),
	    t + 601 * HOUR);
	commit();
	ask(question(METERING_USER, METERING_WHOLE, t + 590 * HOUR, to));
	ck_assert_uint_eq(all.n, 40);
	ck_assert_uint_eq(all.rollups[0].seats.checkouts, 11);
}
END_TEST

/* More lines than are kept at hand. */
START_TEST(many_lines_are_no_more_memory)
{
	int64_t t = at("2026-11-22 10:00");
	uint64_t checkouts = 0, ms = 0;

	begin();
	tell(installed(1, "lic-a", 1), t);
	for (uint32_t i = 0; i < 12000; i++) {
		struct row row = granted((struct grant){ .lease = i + 1,
					     .license = 1,
					     .serial = 1,
					     .count = 1,
					     .feature = "" },
		    false);

		row.u.lease_granted.user[1] = (uint8_t)(i >> 8);
		row.u.lease_granted.user[2] = (uint8_t)i;
		row.u.lease_granted.user[3] = 1;
		tell(row, t);
	}
	for (uint32_t i = 0; i < 12000; i++)
		tell(ended(i + 1, false), t + HOUR);
	commit();
	ask(question(METERING_USER, METERING_HOUR, t, t + DAY));
	ck_assert_uint_eq(all.n, 12000);
	for (uint32_t i = 0; i < all.n; i++) {
		checkouts += all.rollups[i].seats.checkouts;
		ms += all.rollups[i].seats.seat_ms;
	}
	ck_assert_uint_eq(checkouts, 12000);
	ck_assert_uint_eq(ms, 12000 * (uint64_t)HOUR);
	ask(question(METERING_TENANT, METERING_HOUR, t, t + DAY));
	ck_assert_uint_eq(all.n, 1);
	ck_assert_uint_eq(all.rollups[0].seats.peak, 12000);
}
END_TEST

/* --- its file ---------------------------------------------------------------------- */

START_TEST(a_damaged_file_is_made_anew)
{
	struct metering_place place;
	char name[96];

	begin();
	tell(installed(1, "lic-a", 1), at("2026-11-22 10:00"));
	commit();
	metering_close(metering);
	snprintf(name, sizeof(name), "%s/data.mdb", folder);

	FILE *file = fopen(name, "w");

	ck_assert_ptr_nonnull(file);
	for (int i = 0; i < 4096; i++)
		fputc('x', file);
	ck_assert_int_eq(fclose(file), 0);
	ck_assert_int_eq(metering_open(&metering, folder, 1 << 28, true), 0);
	ck_assert_int_eq(metering_place(&place, metering), 0);
	ck_assert_uint_eq(place.batch, 0);
	ck_assert_int_eq(place.time, INT64_MIN);
}
END_TEST

START_TEST(a_full_map_fails_the_page_and_no_more)
{
	int64_t t = at("2026-11-22 10:00");
	int err = 0;

	metering_close(metering);
	ck_assert_int_eq(metering_open(&metering, folder, 1 << 18, true), 0);
	ck_assert_int_eq(metering_begin(&txn, metering), 0);
	for (uint64_t i = 1; err == 0 && i < 100000; i++) {
		struct row row = granted((struct grant){ .lease = i,
					     .license = 1,
					     .serial = 1,
					     .count = 1,
					     .feature = "" },
		    false);

		row.number = i;
		err = metering_row(txn, &row, t);
	}
	ck_assert_int_eq(err, ERR_FULL);
	metering_abort(txn);
	ask(question(METERING_TENANT, METERING_HOUR, t, t + DAY));
	ck_assert_uint_eq(all.n, 0);
}
END_TEST

Suite *
suite(void)
{
	Suite *metered = suite_create("metering");
	TCase *one = tcase_create("facts");

	tcase_add_checked_fixture(one, setup, teardown);
	tcase_set_timeout(one, 120);
	tcase_add_test(one, a_lease_across_hours_counts_in_each);
	tcase_add_test(one, what_is_held_now_is_counted_up_to_now);
	tcase_add_test(one, a_renewal_in_mid_month_makes_two_serials);
	tcase_add_test(one, months_are_utc_and_a_leap_day_is_a_day);
	tcase_add_test(one, denials_are_told_by_code_in_their_hour);
	tcase_add_test(one, many_codes_end_in_other);
	tcase_add_test(one, a_borrow_given_up_counts_its_overage);
	tcase_add_test(one, a_clock_that_is_put_right_counts_no_hour_twice);
	tcase_add_test(one, counters_add_up_and_gauges_hold);
	tcase_add_test(one, a_gauge_goes_on_under_the_next_serial);
	tcase_add_test(one, overage_leads_to_its_rows);
	tcase_add_test(one, hours_of_people_go_and_totals_stay);
	tcase_add_test(one, many_lines_are_no_more_memory);
	tcase_add_test(one, a_damaged_file_is_made_anew);
	tcase_add_test(one, a_full_map_fails_the_page_and_no_more);
	suite_add_tcase(metered, one);
	return metered;
}
