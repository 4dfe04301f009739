/* Metering at a hub: what the reports of its sites show, counted once and as the
 * sites themselves count it. */
#include "tests/unit/metering_world.h"

static struct row_shown_overage
shown(uint64_t row, int64_t time, uint64_t first, bool billed, bool again)
{
	struct row_shown_overage out = { .license = 1,
		.serial = 2,
		.row = row,
		.time = time,
		.first = first,
		.count = 2,
		.lease = 40 + row,
		.billed = billed,
		.again = again };

	text_copy(out.license_id, sizeof(out.license_id), "lic-a");
	text_copy(out.feature, sizeof(out.feature), "autosar");
	return out;
}

START_TEST(a_hub_counts_what_is_billed_when_it_was_granted)
{
	int64_t from = at("2026-11-01 00:00"), to = at("2026-12-01 00:00");
	struct row_shown_overage items[] = {
		shown(10, to - HOUR, 5, true, false),
		shown(20, to - HOUR, 7, true, true), /* known already */
		shown(30, to - HOUR, 9, false, false), /* not issued to it */
		shown(40, to + HOUR, 11, true, false), /* in December */
		shown(50, from + DAY, 3, true, false), /* from a later file */
	};
	struct row row = { .kind = ROW_REPORT_SHOWN };
	struct evidence evidence = { 0 };

	row.u.report_shown.overage = (struct record_list){ items, 5 };
	begin();
	tell(row, to + 9 * DAY); /* when it came does not matter */
	commit();
	ask(question(METERING_PRICED, METERING_WHOLE, from, to));
	ck_assert_uint_eq(all.n, 1);
	ck_assert_str_eq(all.rollups[0].line.license, "lic-a");
	ck_assert_str_eq(all.rollups[0].line.feature, "autosar");
	ck_assert_uint_eq(all.rollups[0].line.serial, 2);
	ck_assert_uint_eq(all.rollups[0].seats.overage, 4);
	ck_assert_uint_eq(all.rollups[0].seats.overage_first, 3);
	ck_assert_uint_eq(all.rollups[0].seats.overage_last, 6);
	ask(question(METERING_PRICED, METERING_WHOLE, to, to + DAY));
	ck_assert_uint_eq(all.n, 1);
	ck_assert_uint_eq(all.rollups[0].seats.overage, 2);
	ck_assert_int_eq(metering_evidence(metering, "lic-a", 2, "autosar",
			     from, to, keep_evidence, &evidence),
	    0);
	ck_assert_uint_eq(evidence.n, 2);
	ck_assert_uint_eq(evidence.rows[0], 50);
	ck_assert_uint_eq(evidence.rows[1], 10);
}
END_TEST

/* As the site's report tells what is kept of its hours. */
static struct row
told(struct row_shown_seats *items, const struct metering_rollup *kept,
    uint32_t n, bool issued)
{
	struct row row = { .kind = ROW_REPORT_SEATS };

	for (uint32_t i = 0; i < n; i++) {
		const struct metering_seats *seats = &kept[i].seats;

		items[i] = (struct row_shown_seats){
			.serial = kept[i].line.serial,
			.start = kept[i].start,
			.checkouts = seats->checkouts,
			.seats = seats->seats,
			.borrows = seats->borrows,
			.peak = seats->peak,
			.seat_ms = seats->seat_ms,
			.borrow_ms = seats->borrow_ms,
			.denials = seats->denials,
			/* The same form. */
			.denied = { (void *)(uintptr_t)seats->denied,
			    seats->n_denied },
			.issued = issued,
		};
		text_copy(items[i].license_id, sizeof(items[i].license_id),
		    kept[i].line.license);
		text_copy(items[i].feature, sizeof(items[i].feature),
		    kept[i].line.feature);
	}
	row.u.report_seats.hours = (struct record_list){ items, n };
	return row;
}
_Static_assert(sizeof(struct row_shown_denial) ==
	sizeof(struct metering_denial),
    "denials of a report are those of an hour");

START_TEST(hours_of_a_report_count_once_and_say_the_same)
{
	int64_t from = at("2026-11-01 00:00"), to = at("2026-12-01 00:00");
	static struct metering_rollup kept[2000], month[8];
	static struct row_shown_seats items[2000];
	struct row_shown_overage overage =
	    shown(10, from + HOUR / 2, 5, true, false);
	struct row row = { .kind = ROW_REPORT_SHOWN };
	uint32_t n, n_month;

	begin();
	tell(installed(1, "lic-a", 1), from - 2 * DAY);
	tell(granted((struct grant){ .lease = 1,
			 .license = 1,
			 .serial = 1,
			 .count = 3,
			 .feature = "autosar" },
		 false),
	    from + HOUR / 2);
	tell(installed(1, "lic-a", 2), from + 2 * DAY + 99);
	tell(granted((struct grant){ .lease = 2,
			 .license = 1,
			 .serial = 2,
			 .count = 2,
			 .feature = "autosar" },
		 true),
	    from + 3 * DAY);
	tell(denied(1, "no_seats", 4, from + 3 * DAY), from + 3 * DAY + 9);
	tell(ended(1, false), from + 5 * DAY);
	tell(ended(2, true), from + 6 * DAY);
	commit();
	struct metering_question q =
	    question(METERING_PRICED, METERING_HOUR, from, to);

	ask(q);
	n = all.n;
	memcpy(kept, all.rollups, n * sizeof(kept[0]));
	q.step = METERING_MONTH;
	ask(q);
	n_month = all.n;
	memcpy(month, all.rollups, n_month * sizeof(month[0]));
	/* A denial is of the product, under the serial in force. */
	ck_assert_uint_eq(n_month, 3);
	ck_assert_str_eq(month[1].line.feature, "");
	ck_assert_uint_eq(month[1].seats.denials, 4);
	ck_assert_int_eq(metering_clear(metering), 0);
	/* First a report that knew less of an hour, then all of it, twice; and
	 * what was never issued to that site. */
	begin();
	struct metering_rollup less = kept[0];

	less.seats.checkouts = 99;
	tell(told(items, &less, 1, true), to);
	for (int twice = 0; twice < 2; twice++)
		tell(told(items, kept, n, true), to);
	less.line.serial = 77;
	tell(told(items, &less, 1, false), to);
	commit();
	ask(q);
	ck_assert_uint_eq(all.n, n_month);
	for (uint32_t k = 0; k < all.n; k++)
		ck_assert_mem_eq(&all.rollups[k], &month[k], sizeof(month[0]));
	/* Overage is counted by its own rows, before or after. */
	row.u.report_shown.overage = (struct record_list){ &overage, 1 };
	begin();
	tell(row, to);
	tell(told(items, kept, n, true), to);
	commit();
	ask(question(METERING_PRICED, METERING_WHOLE, from, to));
	uint64_t sum = 0;

	for (uint32_t k = 0; k < all.n; k++)
		sum += all.rollups[k].seats.overage;
	ck_assert_uint_eq(sum, 2);
}
END_TEST

Suite *
suite(void)
{
	Suite *metered = suite_create("metering_hub");
	TCase *one = tcase_create("hub");

	tcase_add_checked_fixture(one, setup, teardown);
	tcase_set_timeout(one, 120);
	tcase_add_test(one, a_hub_counts_what_is_billed_when_it_was_granted);
	tcase_add_test(one, hours_of_a_report_count_once_and_say_the_same);
	suite_add_tcase(metered, one);
	return metered;
}
