/* The ledger process: what admins ask of it, and the site's time. */
#include "tests/unit/process_site.h"

#include "tests/unit/suite.h"

/* --- admins -------------------------------------------------------------- */

START_TEST(bad_keys_are_refused_and_limited_by_address)
{
	const struct empty empty = { 0 };
	struct site_view site;
	char bad[96];
	int refused = 0, limited = 0;

	snprintf(bad, sizeof(bad), "%s", world.key);
	bad[strlen(bad) - 2] = bad[strlen(bad) - 2] == 'A' ? 'B' : 'A';
	ck_assert_int_eq(admin_ask(&world, &site, "", "192.0.2.9", OP_SITE_SHOW,
			     &empty, NULL),
	    ERR_UNAUTHENTICATED);
	for (int i = 0; i < 100; i++) {
		int rc = admin_ask(&world, &site, bad, "192.0.2.8",
		    OP_SITE_SHOW, &empty, NULL);

		refused += rc == ERR_UNAUTHENTICATED;
		limited += rc == ERR_RATE_LIMITED;
	}
	ck_assert_int_eq(refused + limited, 100);
	ck_assert_int_ge(limited, 50);
	/* Neither the good key nor other addresses are slowed. */
	ck_assert_int_eq(admin_ask(&world, &site, world.key, "192.0.2.8",
			     OP_SITE_SHOW, &empty, NULL),
	    0);
	ck_assert_int_eq(admin_ask(&world, &site, bad, "192.0.2.7",
			     OP_SITE_SHOW, &empty, NULL),
	    ERR_UNAUTHENTICATED);
}
END_TEST

START_TEST(site_is_shown_with_what_the_process_knows)
{
	const struct empty empty = { 0 };
	const struct device_query query = { 0 };
	struct device_page page;
	struct site_view site;

	agent_enroll(&world, &alice, "alice", 1);
	ck_assert_int_eq(admin_do(&world, &site, OP_SITE_SHOW, &empty), 0);
	ck_assert_str_eq(site.site, world.site.site);
	ck_assert_str_eq(site.name, "Test");
	ck_assert_uint_eq(site.sessions, 1);
	ck_assert(!site.clock_held);
	ck_assert_int_eq(admin_do(&world, &page, OP_DEVICE_LIST, &query), 0);
	ck_assert_uint_eq(page.items.count, 1);
	ck_assert(((struct device_view *)page.items.items)->connected);
}
END_TEST

START_TEST(checkpoint_is_journaled)
{
	const struct empty empty = { 0 };
	struct checkpoint_reply reply;
	struct site_view site;

	ck_assert_int_eq(admin_do(&world, &reply, OP_JOURNAL_CHECKPOINT,
			     &empty),
	    0);
	ck_assert_uint_eq(reply.batch, 1);
	ck_assert_int_eq(admin_do(&world, &site, OP_SITE_SHOW, &empty), 0);
	ck_assert_uint_eq(site.batch, 2);
}
END_TEST

/* --- the site's time ----------------------------------------------------- */

START_TEST(time_goes_back_by_correction_only_and_stays_so)
{
	const struct empty empty = { 0 };
	struct clock_correct correct = { .reason = "a test" };
	struct site_view site;
	int64_t now = clock_wall_ms();

	make_older();
	/* Not forward, not before the site, and nothing is held. */
	correct.time = now + DAY_MS;
	ck_assert_int_eq(admin_do(&world, NULL, OP_CLOCK_CORRECT, &correct),
	    ERR_BAD_REQUEST);
	correct.time = now - 2 * DAY_MS;
	ck_assert_int_eq(admin_do(&world, NULL, OP_CLOCK_CORRECT, &correct),
	    ERR_BAD_REQUEST);
	ck_assert_int_eq(admin_do(&world, NULL, OP_CLOCK_CONFIRM, &empty),
	    ERR_CONFLICT);
	correct.time = now - DAY_MS / 2;
	ck_assert_int_eq(admin_do(&world, NULL, OP_CLOCK_CORRECT, &correct), 0);
	for (int i = 0; i < 2; i++) {
		/* By this site's wall clock it is half a day later. */
		install_license(&world, i == 0 ? "one" : "two", 1, 120, 300);
		ck_assert_int_eq(admin_do(&world, &site, OP_SITE_SHOW, &empty),
		    0);
		ck_assert_int_ge(site.time, correct.time);
		ck_assert_int_lt(site.time, correct.time + 60000);
		ck_assert(site.clock_held);
		ck_assert_int_ge(site.clock_wall, now);
		process_stop(&world, i == 0 ? SIGKILL : SIGTERM);
		process_start(&world);
		process_await_ready(&world);
	}
	ck_assert_int_eq(admin_do(&world, NULL, OP_CLOCK_CONFIRM, &empty), 0);
	ck_assert_int_eq(admin_do(&world, &site, OP_SITE_SHOW, &empty), 0);
	ck_assert(!site.clock_held);
	install_license(&world, "three", 1, 120, 300);
	ck_assert_int_eq(admin_do(&world, &site, OP_SITE_SHOW, &empty), 0);
	ck_assert_int_ge(site.time, now);
}
END_TEST

/* Running applications end with the contract: their last span and its grace.
 * It ended yesterday, and so far the site takes it for yesterday. */
START_TEST(lease_of_a_contract_that_is_over_is_not_renewed)
{
	const struct empty empty = { 0 };
	struct clock_correct correct = { .reason = "a test" };
	struct checkout_reply granted;
	struct renew_reply renewed;
	const uint8_t nonce[32] = { 1 };

	make_older();
	correct.time = clock_wall_ms() - DAY_MS;
	ck_assert_int_eq(admin_do(&world, NULL, OP_CLOCK_CORRECT, &correct), 0);
	install_serial(&world, PRODUCT, 1, 1, 120, 300, -1);
	agent_enroll(&world, &alice, "alice", 1);
	ck_assert_int_eq(agent_checkout(&world, &granted, &alice, PRODUCT,
			     NULL),
	    0);
	ck_assert_int_eq(renew_one(&renewed, &alice, granted.lease, nonce), 0);
	ck_assert_uint_eq(renewed.refused.count, 0);
	ck_assert_int_eq(admin_do(&world, NULL, OP_CLOCK_CONFIRM, &empty), 0);
	install_license(&world, "another", 1, 120, 300);
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(renew_one(&renewed, &alice, granted.lease,
				     nonce),
		    0);
		ck_assert_uint_eq(renewed.refused.count, 1);
		ck_assert_str_eq(((struct lease_refused *)renewed.refused.items)
				     ->code,
		    "license_expired");
		ck_assert_uint_eq(renewed.beat.len, 0);
		/* A process that starts knows it from the store. */
		if (i > 0)
			break;
		process_stop(&world, SIGKILL);
		process_start(&world);
		process_await_ready(&world);
		agent_login(&world, &alice, 1);
	}
	/* The vendor renewed it: they go on. */
	install_serial(&world, PRODUCT, 2, 1, 120, 300, 30);
	ck_assert_int_eq(renew_one(&renewed, &alice, granted.lease, nonce), 0);
	ck_assert_uint_eq(renewed.refused.count, 0);
}
END_TEST

Suite *
suite(void)
{
	Suite *suite = suite_create("process_admin");
	TCase *admins = tcase_create("admins");
	TCase *clock = tcase_create("clock");

	tcase_add_test(admins, bad_keys_are_refused_and_limited_by_address);
	tcase_add_test(admins, site_is_shown_with_what_the_process_knows);
	tcase_add_test(admins, checkpoint_is_journaled);
	tcase_add_test(clock, time_goes_back_by_correction_only_and_stays_so);
	tcase_add_test(clock, lease_of_a_contract_that_is_over_is_not_renewed);
	process_case_add(suite, admins);
	process_case_add(suite, clock);
	return suite;
}
