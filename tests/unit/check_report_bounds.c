/* A report that shows as many rows as one can: each seat is still found under the
 * edition that it was granted under. */
#define MAKER_ROWS 140
#include "tests/unit/report_world.h"
#include "tests/unit/suite.h"

#define BATCHES 30
#define EACH 136
#define EDITIONS (BATCHES * EACH)

static struct report_world *world;

static void
setup(void)
{
	ck_assert_int_ge(sodium_init(), 0);
	world = report_world_new(1);
}

static void
teardown(void)
{
	report_world_release(world);
}

static void
edition(uint8_t digest[32], uint64_t serial)
{
	crypto_generichash(digest, 32, (const uint8_t *)&serial, sizeof serial,
	    NULL, 0);
}

static void
install(uint64_t serial, uint64_t number)
{
	struct row row = world_install(1, serial);

	edition(row.u.license_installed.digest, number);
	maker_add(world->maker, &row);
}

static void
grant(uint64_t number)
{
	struct row row = world_grant(number, 1, number);

	edition(row.u.lease_granted.license_digest, number);
	maker_add(world->maker, &row);
}

static enum report_answer
verify(void)
{
	struct report_known known = {
		.site = "site-test",
		.tenant = "default",
		.vendor = "vector",
	};

	known.keys = site_keys_one(world->site_key);
	ck_assert_int_eq(report_verify(&world->finding, &known,
			     (const char *)world->token.data, world->token.len,
			     world->body.data, world->body.len, &world->arena),
	    0);
	return world->finding.answer;
}

START_TEST(each_seat_of_the_largest_report_has_its_own_edition)
{
	const struct report_finding *found = &world->finding;

	for (uint64_t i = 1; i <= EDITIONS; i++) {
		install(i + 1, i);
		if (i % EACH == 0)
			maker_commit(world->maker);
	}
	for (uint64_t i = 1; i <= EDITIONS; i++) {
		grant(i);
		if (i % EACH == 0)
			maker_commit(world->maker);
	}
	world->body_goal = REPORT_BODY_MAX;
	ck_assert_int_eq(world_report_as(world, "vector"), 0);
	ck_assert_int_eq(verify(), REPORT_TAKEN);
	ck_assert_uint_eq(found->n_installed, EDITIONS + 2);
	ck_assert_uint_eq(found->n_overage, EDITIONS);
	for (uint32_t i = 0; i < found->n_overage; i++)
		ck_assert_uint_eq(found->overage[i].serial,
		    found->overage[i].first + 1);
}
END_TEST

START_TEST(of_two_editions_that_are_alike_the_first_is_found)
{
	install(7, 1);
	install(8, 1);
	grant(1);
	maker_commit(world->maker);
	ck_assert_int_eq(world_report_as(world, "vector"), 0);
	ck_assert_int_eq(verify(), REPORT_TAKEN);
	ck_assert_uint_eq(world->finding.overage[0].serial, 7);
}
END_TEST

START_TEST(an_edition_that_comes_after_its_seat_is_a_hole)
{
	grant(1);
	install(7, 1);
	maker_commit(world->maker);
	ck_assert_int_eq(world_report_as(world, "vector"), 0);
	ck_assert_int_eq(verify(), REPORT_HOLE);
}
END_TEST

Suite *
suite(void)
{
	Suite *suite = suite_create("report_bounds");
	TCase *tcase = tcase_create("bounds");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase,
	    each_seat_of_the_largest_report_has_its_own_edition);
	tcase_add_test(tcase,
	    of_two_editions_that_are_alike_the_first_is_found);
	tcase_add_test(tcase, an_edition_that_comes_after_its_seat_is_a_hole);
	suite_add_tcase(suite, tcase);
	return suite;
}
