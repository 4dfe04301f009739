/* Lock-out: doubling waits, who is spared, memory, the file. */
#include "appliance/ledger/lockout.h"
#include "shared/base/err.h"
#include "tests/unit/suite.h"

#include <stdio.h>
#include <string.h>

static const uint8_t key[LOCKOUT_KEY_BYTES] = { 1, 2, 3 };
static struct lockout *lockout;
static int64_t now;

static void
set_up(void)
{
	lockout = lockout_new(key);
	ck_assert_ptr_nonnull(lockout);
	now = INT64_C(1790000000000);
}

static void
tear_down(void)
{
	lockout_free(lockout);
}

static struct lockout_try
of(const char *login, const char *address)
{
	return (struct lockout_try){ "acme", login, address };
}

static int64_t
guess(const char *login, const char *address)
{
	struct lockout_try try_ = of(login, address);

	return lockout_begin(lockout, &try_, now);
}

static void
pass(const char *login, const char *address)
{
	struct lockout_try try_ = of(login, address);

	ck_assert_int_eq(lockout_begin(lockout, &try_, now), 0);
	lockout_passed(lockout, &try_, now);
}

START_TEST(wait_doubles_after_a_few_failures_and_ends_at_a_minute)
{
	static const int64_t waits[] = { 1000, 2000, 4000, 8000, 16000, 32000,
		60000, 60000, 60000 };

	for (int i = 0; i < LOCKOUT_LOGIN_FREE; i++)
		ck_assert_int_eq(guess("jo", "10.0.0.1"), 0);
	for (size_t i = 0; i < sizeof(waits) / sizeof(waits[0]); i++) {
		ck_assert_int_eq(guess("jo", "10.0.0.1"), waits[i]);
		now += waits[i] - 1;
		ck_assert_int_eq(guess("jo", "10.0.0.1"), 1);
		now++;
		ck_assert_int_eq(guess("jo", "10.0.0.1"), 0);
	}
}
END_TEST

START_TEST(asking_while_locked_makes_no_wait_longer)
{
	for (int i = 0; i < LOCKOUT_LOGIN_FREE; i++)
		guess("jo", "10.0.0.1");
	for (int i = 0; i < 1000; i++)
		ck_assert_int_eq(guess("jo", "10.0.0.2"), 1000);
	now += 1000;
	ck_assert_int_eq(guess("jo", "10.0.0.3"), 0);
}
END_TEST

START_TEST(login_is_counted_from_all_addresses_together)
{
	char address[32];

	for (int i = 0; i < LOCKOUT_LOGIN_FREE; i++) {
		snprintf(address, sizeof(address), "10.0.0.%d", i);
		ck_assert_int_eq(guess("jo", address), 0);
	}
	ck_assert_int_eq(guess("jo", "10.9.9.9"), 1000);
	ck_assert_int_eq(guess("ann", "10.9.9.9"), 0);
}
END_TEST

START_TEST(address_is_counted_over_all_logins_and_ends_at_a_quarter_hour)
{
	char login[32];

	for (int i = 0; i < LOCKOUT_ADDRESS_FREE; i++) {
		snprintf(login, sizeof(login), "user%d", i);
		ck_assert_int_eq(guess(login, "10.0.0.1"), 0);
	}
	ck_assert_int_eq(guess("ann", "10.0.0.1"), 1000);
	ck_assert_int_eq(guess("ann", "10.0.0.2"), 0);
	for (int i = 0; i < 30; i++) {
		snprintf(login, sizeof(login), "more%d", i);
		int64_t wait = guess(login, "10.0.0.1");

		ck_assert_int_le(wait, LOCKOUT_ADDRESS_MAX_MS);
		now += wait;
		ck_assert_int_eq(guess(login, "10.0.0.1"), 0);
	}
	ck_assert_int_gt(guess("ann", "10.0.0.1"), LOCKOUT_ADDRESS_MAX_MS / 2);
}
END_TEST

START_TEST(addresses_of_one_ipv6_network_are_one)
{
	char login[32], address[64];

	for (int i = 0; i < LOCKOUT_ADDRESS_FREE; i++) {
		snprintf(login, sizeof(login), "user%d", i);
		snprintf(address, sizeof(address), "2001:db8:1:2::%x", i + 1);
		ck_assert_int_eq(guess(login, address), 0);
	}
	ck_assert_int_eq(guess("ann", "2001:db8:1:2:ffff::1"), 1000);
	ck_assert_int_eq(guess("ann", "2001:db8:1:3::1"), 0);
}
END_TEST

START_TEST(mapped_ipv4_is_ipv4)
{
	char login[32];

	for (int i = 0; i < LOCKOUT_ADDRESS_FREE; i++) {
		snprintf(login, sizeof(login), "user%d", i);
		guess(login, "::ffff:10.0.0.1");
	}
	ck_assert_int_eq(guess("ann", "10.0.0.1"), 1000);
	ck_assert_int_eq(guess("ann", "::ffff:10.0.0.2"), 0);
}
END_TEST

/* The owner works; somebody tries his login from everywhere, for ever. */
START_TEST(attacker_cannot_lock_out_who_got_in_from_his_own_address)
{
	char address[32];

	pass("owner", "192.0.2.1");
	for (int i = 0; i < 5000; i++) {
		snprintf(address, sizeof(address), "10.%d.%d.1", i / 250,
		    i % 250);
		now += guess("owner", address);
		guess("owner", address);
	}
	ck_assert_int_gt(guess("owner", "10.200.0.1"), 0);
	pass("owner", "192.0.2.1");
	/* From elsewhere he waits a minute at most. */
	ck_assert_int_le(guess("owner", "192.0.2.77"), LOCKOUT_LOGIN_MAX_MS);
}
END_TEST

START_TEST(neighbours_at_the_same_address_do_not_lock_him_out)
{
	char login[32];

	pass("owner", "192.0.2.1");
	for (int i = 0; i < 200; i++) {
		snprintf(login, sizeof(login), "user%d", i);
		guess(login, "192.0.2.1");
	}
	ck_assert_int_gt(guess("ann", "192.0.2.1"), 0);
	pass("owner", "192.0.2.1");
}
END_TEST

START_TEST(known_address_is_counted_too_and_by_itself)
{
	pass("owner", "192.0.2.1");
	for (int i = 0; i < LOCKOUT_LOGIN_FREE; i++)
		ck_assert_int_eq(guess("owner", "192.0.2.1"), 0);
	ck_assert_int_eq(guess("owner", "192.0.2.1"), 1000);
	for (int i = 0; i < 20; i++) {
		int64_t wait = guess("owner", "192.0.2.1");

		ck_assert_int_le(wait, LOCKOUT_LOGIN_MAX_MS);
		now += wait;
		ck_assert_int_eq(guess("owner", "192.0.2.1"), 0);
	}
	now += LOCKOUT_LOGIN_MAX_MS;
	pass("owner", "192.0.2.1");
	for (int i = 0; i < LOCKOUT_LOGIN_FREE; i++)
		ck_assert_int_eq(guess("owner", "192.0.2.1"), 0);
}
END_TEST

START_TEST(own_account_does_not_buy_guesses_at_others)
{
	char login[32];

	for (int i = 0; i < LOCKOUT_ADDRESS_FREE; i++) {
		snprintf(login, sizeof(login), "user%d", i);
		ck_assert_int_eq(guess(login, "10.0.0.1"), 0);
		if (i == 0)
			pass("mine", "10.0.0.1");
		else if (i < 5)
			pass("mine", "10.0.0.1");
	}
	ck_assert_int_gt(guess("ann", "10.0.0.1"), 0);
}
END_TEST

START_TEST(known_address_is_forgotten_after_a_month)
{
	pass("owner", "192.0.2.1");
	now += LOCKOUT_KNOWN_MS + 1;
	for (int i = 0; i < LOCKOUT_LOGIN_FREE; i++)
		guess("owner", "10.0.0.1");
	ck_assert_int_eq(guess("owner", "192.0.2.1"), 1000);
}
END_TEST

START_TEST(success_forgets_the_failures_of_the_login)
{
	for (int i = 0; i < LOCKOUT_LOGIN_FREE - 1; i++)
		guess("jo", "10.0.0.1");
	pass("jo", "10.0.0.1");
	for (int i = 0; i < LOCKOUT_LOGIN_FREE; i++)
		ck_assert_int_eq(guess("jo", "10.0.0.2"), 0);
	ck_assert_int_eq(guess("jo", "10.0.0.2"), 1000);
}
END_TEST

START_TEST(attempt_that_was_no_guess_costs_nothing)
{
	struct lockout_try try_ = of("jo", "10.0.0.1");

	for (int i = 0; i < 100; i++) {
		ck_assert_int_eq(lockout_begin(lockout, &try_, now), 0);
		lockout_undo(lockout, &try_, now);
	}
	for (int i = 0; i < LOCKOUT_LOGIN_FREE; i++)
		ck_assert_int_eq(guess("jo", "10.0.0.1"), 0);
}
END_TEST

START_TEST(failures_are_forgiven_with_time)
{
	for (int i = 0; i < LOCKOUT_LOGIN_FREE; i++)
		guess("jo", "10.0.0.1");
	now += 2 * LOCKOUT_FORGIVE_MS;
	ck_assert_int_eq(guess("jo", "10.0.0.1"), 0);
	ck_assert_int_eq(guess("jo", "10.0.0.1"), 0);
	ck_assert_int_eq(guess("jo", "10.0.0.1"), 1000);
}
END_TEST

START_TEST(admin_frees_a_login)
{
	for (int i = 0; i < LOCKOUT_LOGIN_FREE; i++)
		guess("jo", "10.0.0.1");
	lockout_clear(lockout, "other", "jo");
	ck_assert_int_eq(guess("jo", "10.0.0.1"), 1000);
	lockout_clear(lockout, "acme", "jo");
	ck_assert_int_eq(guess("jo", "10.0.0.1"), 0);
}
END_TEST

START_TEST(tenants_do_not_share_logins)
{
	struct lockout_try other = { "other", "jo", "10.0.0.2" };

	for (int i = 0; i < LOCKOUT_LOGIN_FREE; i++)
		guess("jo", "10.0.0.1");
	ck_assert_int_eq(lockout_begin(lockout, &other, now), 0);
}
END_TEST

START_TEST(clock_that_is_set_back_makes_no_wait_longer)
{
	for (int i = 0; i < LOCKOUT_LOGIN_FREE + 6; i++)
		now += guess("jo", "10.0.0.1");
	guess("jo", "10.0.0.1");
	now -= INT64_C(86400000);
	ck_assert_int_le(guess("jo", "10.0.0.1"), LOCKOUT_LOGIN_MAX_MS);
	now += LOCKOUT_LOGIN_MAX_MS;
	ck_assert_int_eq(guess("jo", "10.0.0.1"), 0);
}
END_TEST

START_TEST(flood_of_addresses_does_not_free_a_login_or_forget_the_known)
{
	char address[32], login[32];

	pass("owner", "192.0.2.1");
	for (int i = 0; i < LOCKOUT_LOGIN_FREE + 4; i++)
		now += guess("jo", "10.0.0.1");
	guess("jo", "10.0.0.1");
	for (int i = 0; i < 100000; i++) {
		snprintf(address, sizeof(address), "11.%d.%d.%d", i >> 16,
		    i >> 8 & 255, i & 255);
		snprintf(login, sizeof(login), "x%d", i);
		guess(login, address);
	}
	ck_assert_int_gt(guess("jo", "10.0.0.9"), 0);
	for (int i = 0; i < LOCKOUT_LOGIN_FREE; i++)
		guess("owner", "10.0.0.77");
	pass("owner", "192.0.2.1");
}
END_TEST

START_TEST(file_brings_waits_and_known_addresses_back)
{
	struct buf bytes = { 0 };

	pass("owner", "192.0.2.1");
	for (int i = 0; i < LOCKOUT_LOGIN_FREE + 3; i++)
		now += guess("owner", "10.0.0.1");
	int64_t wait = guess("owner", "10.0.0.1");

	ck_assert_int_eq(wait, 0);
	wait = guess("owner", "10.0.0.1");
	ck_assert_int_gt(wait, 1000);
	ck_assert(lockout_is_dirty(lockout));
	lockout_write(&bytes, lockout);
	ck_assert(!lockout_is_dirty(lockout));
	ck_assert_ptr_null(memmem(bytes.data, bytes.len, "owner", 5));
	lockout_free(lockout);
	lockout = lockout_new(key);
	ck_assert_int_eq(lockout_read(lockout, bytes.data, bytes.len), 0);
	ck_assert_int_eq(guess("owner", "10.0.0.1"), wait);
	pass("owner", "192.0.2.1");
	buf_release(&bytes);
}
END_TEST

START_TEST(damaged_file_is_refused_whole)
{
	struct buf bytes = { 0 };

	guess("jo", "10.0.0.1");
	lockout_write(&bytes, lockout);
	for (size_t i = 0; i < bytes.len; i++)
		ck_assert_int_eq(i == 8 ? 0
					: lockout_read(lockout, bytes.data, i),
		    i == 8 || (i > 8 && (i - 8) % 37 == 0) ? 0 : ERR_CORRUPT);
	/* Times before 1970: a difference to now would be no number. */
	for (size_t at = 8 + 21; at < 8 + 37; at += 8) {
		bytes.data[at] ^= 0x80;
		ck_assert_int_eq(lockout_read(lockout, bytes.data, bytes.len),
		    ERR_CORRUPT);
		bytes.data[at] ^= 0x80;
	}
	bytes.data[8] = 9;
	ck_assert_int_eq(lockout_read(lockout, bytes.data, bytes.len),
	    ERR_CORRUPT);
	buf_release(&bytes);
}
END_TEST

Suite *
suite(void)
{
	Suite *suite = suite_create("lockout");
	TCase *tcase = tcase_create("lockout");

	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase,
	    wait_doubles_after_a_few_failures_and_ends_at_a_minute);
	tcase_add_test(tcase, asking_while_locked_makes_no_wait_longer);
	tcase_add_test(tcase, login_is_counted_from_all_addresses_together);
	tcase_add_test(tcase,
	    address_is_counted_over_all_logins_and_ends_at_a_quarter_hour);
	tcase_add_test(tcase, addresses_of_one_ipv6_network_are_one);
	tcase_add_test(tcase, mapped_ipv4_is_ipv4);
	tcase_add_test(tcase,
	    attacker_cannot_lock_out_who_got_in_from_his_own_address);
	tcase_add_test(tcase,
	    neighbours_at_the_same_address_do_not_lock_him_out);
	tcase_add_test(tcase, known_address_is_counted_too_and_by_itself);
	tcase_add_test(tcase, own_account_does_not_buy_guesses_at_others);
	tcase_add_test(tcase, known_address_is_forgotten_after_a_month);
	tcase_add_test(tcase, success_forgets_the_failures_of_the_login);
	tcase_add_test(tcase, attempt_that_was_no_guess_costs_nothing);
	tcase_add_test(tcase, failures_are_forgiven_with_time);
	tcase_add_test(tcase, admin_frees_a_login);
	tcase_add_test(tcase, tenants_do_not_share_logins);
	tcase_add_test(tcase, clock_that_is_set_back_makes_no_wait_longer);
	tcase_add_test(tcase,
	    flood_of_addresses_does_not_free_a_login_or_forget_the_known);
	tcase_add_test(tcase, file_brings_waits_and_known_addresses_back);
	tcase_add_test(tcase, damaged_file_is_refused_whole);
	suite_add_tcase(suite, tcase);
	return suite;
}
