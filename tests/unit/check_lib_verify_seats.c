/* Features and several seats: an answer must be about the seats that were asked
 * for, and the license must have them. */
#include "tests/unit/lib_question.h"
#include "tests/unit/suite.h"

/* Ask for seats of a feature, and be granted those from `slot` on. */
static void
grant_of(const char *feature, uint32_t count, uint32_t slot)
{
	ask();
	text_copy(request.feature, sizeof(request.feature), feature);
	text_copy(question.feature, sizeof(question.feature), feature);
	request.count = question.count = count;
	chain_prepare(&chain, &request, slot);
	commit_again();
}

static void
assert_mismatch(const char *words)
{
	ck_assert_int_eq(verify(), LH_E_MISMATCH);
	ck_assert_msg(strstr(why, words) != NULL, "%s", why);
}

START_TEST(seats_of_a_feature_hold)
{
	/* The third seat of the feature is committed, of the product not. */
	grant_of("simulation", 1, 2);
	ck_assert_int_eq(verify(), LH_OK);
	ck_assert_uint_eq(lease.type, SEAT_COMMIT);
	ck_assert_uint_eq(lease.slot, 2);
	ck_assert_uint_eq(lease.count, 1);
	grant_of("", 1, 2);
	ck_assert_int_eq(verify(), LH_OK);
	ck_assert_uint_eq(lease.type, SEAT_OVERAGE);
}
END_TEST

START_TEST(several_seats_hold)
{
	grant_of("simulation", 3, 1);
	ck_assert_int_eq(verify(), LH_OK);
	ck_assert_uint_eq(lease.type, SEAT_OVERAGE);
	ck_assert_uint_eq(lease.slot, 1);
	ck_assert_uint_eq(lease.count, 3);
	grant_of("", 5, 0);
	ck_assert_int_eq(verify(), LH_OK);
	/* Not side by side. */
	grant_of("simulation", 3, 0);
	chain.slots[0] = (struct row_slots){ 0, 1 };
	chain.slots[1] = (struct row_slots){ 2, 2 };
	granted()->slots.count = 2;
	granted()->overage = granted()->overage_count = 1;
	granted()->type = SEAT_OVERAGE;
	commit_again();
	ck_assert_int_eq(verify(), LH_OK);
}
END_TEST

/* Both are features of the license. */
START_TEST(seats_of_another_feature_are_a_mismatch)
{
	static const char *const pairs[][2] = { { "simulation", "autosar" },
		{ "", "autosar" }, { "simulation", "" } };

	for (size_t i = 0; i < 3; i++) {
		grant_of(pairs[i][1], 1, 0);
		ck_assert_int_eq(verify(), LH_OK);
		text_copy(question.feature, sizeof(question.feature),
		    pairs[i][0]);
		assert_mismatch("another feature");
	}
}
END_TEST

START_TEST(feature_that_is_not_in_the_license_is_a_mismatch)
{
	grant_of("tracing", 1, 0);
	granted()->type = SEAT_COMMIT;
	granted()->overage = granted()->overage_count = 0;
	commit_again();
	assert_mismatch("has no feature tracing");
	granted()->type = SEAT_OVERAGE;
	granted()->overage = granted()->overage_count = 1;
	commit_again();
	assert_mismatch("has no feature tracing");
	/* Nor when seats beyond the license are allowed. */
	chain.license.terms.enforce = LICENSE_ADVISORY;
	chain_sign(&chain);
	grant_of("tracing", 1, 0);
	assert_mismatch("has no feature tracing");
}
END_TEST

START_TEST(fewer_or_more_seats_are_a_mismatch)
{
	grant_of("simulation", 3, 0);
	for (uint32_t count = 1; count <= 5; count++) {
		question.count = count;
		if (count == 3)
			ck_assert_int_eq(verify(), LH_OK);
		else
			assert_mismatch("another number of seats");
	}
}
END_TEST

START_TEST(slots_that_do_not_add_up_are_a_mismatch)
{
	static const struct row_slots bad[][2] = {
		{ { 0, 1 }, { 2, 1 } }, /* two */
		{ { 0, 2 }, { 3, 2 } }, /* four */
		{ { 0, 2 }, { 1, 1 } }, /* one twice */
		{ { 2, 1 }, { 0, 2 } }, /* down */
		{ { 0, 1 }, { 0, 2 } },
		{ { 0, 1 }, { 1, 2 } }, /* one run in two */
	};

	chain.features[0].commit_qty = 4;
	chain.features[0].max_overage = 0;
	chain_sign(&chain);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		grant_of("simulation", 3, 0);
		ck_assert_int_eq(verify(), LH_OK);
		memcpy(chain.slots, bad[i], sizeof(bad[i]));
		granted()->slots.count = 2;
		commit_again();
		assert_mismatch("are not those of 3 seats");
	}
}
END_TEST

START_TEST(type_that_contradicts_the_numbers_is_a_mismatch)
{
	grant_of("simulation", 2, 0);
	granted()->type = SEAT_OVERAGE;
	commit_again();
	assert_mismatch("are not those of 2 seats");
	granted()->type = SEAT_COMMIT;
	granted()->overage = 7;
	commit_again();
	assert_mismatch("are not those of 2 seats");
}
END_TEST

START_TEST(overage_that_is_called_committed_is_a_mismatch)
{
	/* Slots 2 and 3, of which 3 is overage. */
	grant_of("simulation", 2, 2);
	ck_assert_int_eq(verify(), LH_OK);
	granted()->type = SEAT_COMMIT;
	granted()->overage = granted()->overage_count = 0;
	commit_again();
	assert_mismatch("0 of 2 seats are called overage, and 1 are");
	granted()->type = SEAT_OVERAGE;
	granted()->overage = 1;
	granted()->overage_count = 2;
	commit_again();
	assert_mismatch("2 of 2 seats are called overage, and 1 are");
}
END_TEST

START_TEST(slot_beyond_the_seats_of_the_feature_is_a_mismatch)
{
	/* The product has five, the feature four. */
	grant_of("", 1, 4);
	ck_assert_int_eq(verify(), LH_OK);
	grant_of("simulation", 1, 4);
	assert_mismatch("beyond the 4 seats");
	grant_of("simulation", 2, 3);
	assert_mismatch("beyond the 4 seats");
	chain.license.terms.enforce = LICENSE_ADVISORY;
	chain_sign(&chain);
	grant_of("simulation", 2, 3);
	ck_assert_int_eq(verify(), LH_OK);
}
END_TEST

Suite *
suite(void)
{
	Suite *s = suite_create("lib verify seats");
	TCase *tc = tcase_create("seats");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, seats_of_a_feature_hold);
	tcase_add_test(tc, several_seats_hold);
	tcase_add_test(tc, seats_of_another_feature_are_a_mismatch);
	tcase_add_test(tc, feature_that_is_not_in_the_license_is_a_mismatch);
	tcase_add_test(tc, fewer_or_more_seats_are_a_mismatch);
	tcase_add_test(tc, slots_that_do_not_add_up_are_a_mismatch);
	tcase_add_test(tc, type_that_contradicts_the_numbers_is_a_mismatch);
	tcase_add_test(tc, overage_that_is_called_committed_is_a_mismatch);
	tcase_add_test(tc, slot_beyond_the_seats_of_the_feature_is_a_mismatch);
	suite_add_tcase(s, tc);
	return s;
}
