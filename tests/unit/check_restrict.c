/* What an API key is bound to: ranges against a naive matcher, hours against
 * known days, buckets over restarts, each rule with its own code. */
#include "appliance/ledger/restrict.h"
#include "shared/base/err.h"
#include "shared/base/zone.h"
#include "tests/unit/suite.h"

#include <arpa/inet.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define T(year_s) ((int64_t)(year_s)*1000)

static const uint8_t none[32];
static struct key_restrictions document;
static struct restrict_rules *rules;
static struct restrict_facts facts;

static void
setup(void)
{
	memset(&document, 0, sizeof document);
	rules = NULL;
	facts = (struct restrict_facts){
		.address = "192.0.2.7",
		.hostname = "",
		.client_cn = "",
		.certificate = none,
		.fingerprint = none,
		.lib_version = "",
		.now_ms = T(1800000000),
	};
}

static void
teardown(void)
{
	restrict_free(rules);
}

static int
check(void)
{
	enum restrict_print print;
	struct problem problem = { .code = "" };
	struct record_error error = { .reason = "" };

	if (rules == NULL)
		ck_assert_msg(restrict_compile(&rules, &document, &error) == 0,
		    "%s %s", error.field, error.reason);
	int err = restrict_check(rules, &print, &facts, &problem);

	if (err != 0)
		ck_assert_str_eq(problem.code, err_code(err));
	return err;
}

/* --- ranges ---------------------------------------------------------------- */

/* Bit by bit, of texts: no code in common. */
static bool
naive_fits(int family, const uint8_t *net, uint32_t bits, int other,
    const uint8_t *address)
{
	if (family != other)
		return false;
	for (uint32_t i = 0; i < bits; i++)
		if ((net[i / 8] & (0x80 >> i % 8)) !=
		    (address[i / 8] & (0x80 >> i % 8)))
			return false;
	return true;
}

static int
random_address(uint8_t out[16], const uint8_t *near)
{
	int family = randombytes_uniform(2) ? AF_INET : AF_INET6;
	size_t len = family == AF_INET ? 4 : 16;

	randombytes_buf(out, 16);
	/* Often the same but for a bit or two. */
	if (near != NULL && randombytes_uniform(4) != 0) {
		memcpy(out, near, 16);
		uint32_t bit = randombytes_uniform((uint32_t)len * 8);

		out[bit / 8] ^= (uint8_t)(0x80 >> bit % 8);
	}
	/* No IPv6 address that stands for one of IPv4. */
	if (family == AF_INET6)
		out[0] |= 0x20;
	return family;
}

START_TEST(ranges_fit_as_a_naive_matcher_says)
{
	for (int i = 0; i < 200000; i++) {
		uint8_t net[16], address[16], parsed[16];
		char text[64], whole[80];
		const char *reason;
		struct restrict_range range;
		int family = random_address(net, NULL);
		uint32_t most = family == AF_INET ? 32 : 128;
		uint32_t bits = randombytes_uniform(most + 1);

		for (uint32_t bit = bits; bit < most; bit++)
			net[bit / 8] &= (uint8_t) ~(0x80 >> bit % 8);
		inet_ntop(family, net, text, sizeof text);
		snprintf(whole, sizeof whole, "%s/%u", text, bits);
		ck_assert_msg(restrict_read_range(&range, whole, &reason), "%s",
		    whole);
		int other = random_address(address, net);

		inet_ntop(other, address, text, sizeof text);
		ck_assert(restrict_read_address(parsed, text));
		ck_assert_msg(restrict_in_range(&range, parsed) ==
			naive_fits(family, net, bits, other, address),
		    "%s in %s", text, whole);
	}
}
END_TEST

START_TEST(a_mapped_address_is_the_one_it_stands_for)
{
	static const struct {
		const char *range, *address;
		bool fits;
	} cases[] = {
		{ "10.0.0.0/8", "::ffff:10.1.2.3", true },
		{ "::ffff:10.0.0.0/104", "10.1.2.3", true },
		{ "::ffff:10.0.0.0/104", "11.1.2.3", false },
		{ "::/0", "10.1.2.3", false },
		{ "::/0", "2001:db8::1", true },
		{ "0.0.0.0/0", "2001:db8::1", false },
		{ "0.0.0.0/0", "255.255.255.255", true },
		{ "2001:db8::7", "2001:db8::7", true },
		{ "2001:db8::7", "2001:db8::8", false },
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct restrict_range range;
		uint8_t address[16];
		const char *reason;

		ck_assert(restrict_read_range(&range, cases[i].range, &reason));
		ck_assert(restrict_read_address(address, cases[i].address));
		ck_assert_msg(restrict_in_range(&range, address) ==
			cases[i].fits,
		    "%s in %s", cases[i].address, cases[i].range);
	}
}
END_TEST

START_TEST(what_is_no_range_is_refused)
{
	static const char *const bad[] = { "", "/8", "10.0.0.0/", "10.0.0.0/33",
		"10.0.0.0/-1", "10.0.0.0/08x", "10.0.0.1/8", "10.0.0/8",
		"2001:db8::/129", "2001:db8::1/64", "fe80::1%eth0", "host",
		" 10.0.0.0/8", "10.0.0.0/8 ", "010.0.0.0/8" };

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct restrict_range range;
		const char *reason = NULL;

		ck_assert_msg(!restrict_read_range(&range, bad[i], &reason),
		    "%s", bad[i]);
		ck_assert_ptr_nonnull(reason);
	}
}
END_TEST

/* --- hours ----------------------------------------------------------------- */

START_TEST(days_are_read_in_lists_and_ranges)
{
	ck_assert_uint_eq(restrict_read_days("mon-fri"), 0x3e);
	ck_assert_uint_eq(restrict_read_days("sat-mon"), 0x43);
	ck_assert_uint_eq(restrict_read_days("mon,wed,sun"), 0x0b);
	ck_assert_uint_eq(restrict_read_days("sun-sat"), 0x7f);
	ck_assert_uint_eq(restrict_read_days(""), 0);
	ck_assert_uint_eq(restrict_read_days("mo"), 0);
	ck_assert_uint_eq(restrict_read_days("mon-"), 0);
	ck_assert_uint_eq(restrict_read_days("mon,"), 0);
	ck_assert_uint_eq(restrict_read_days("Mon"), 0);
	ck_assert_int_eq(restrict_read_minute("24:00"), 1440);
	ck_assert_int_eq(restrict_read_minute("24:01"), -1);
	ck_assert_int_eq(restrict_read_minute("07:60"), -1);
	ck_assert_int_eq(restrict_read_minute("7:00"), -1);
}
END_TEST

static void
hours(const char *days, const char *from, const char *to, const char *zone)
{
	restrict_free(rules);
	rules = NULL;
	snprintf(document.working_hours.days, 32, "%s", days);
	snprintf(document.working_hours.from, 6, "%s", from);
	snprintf(document.working_hours.to, 6, "%s", to);
	snprintf(document.working_hours.zone, 64, "%s", zone);
}

START_TEST(hours_are_those_of_their_zone_and_cross_midnight)
{
	/* 2026-11-20 was a Friday; in seconds UTC. */
	const int64_t friday = 1795132800;

	hours("mon-fri", "07:00", "19:00", "");
	facts.now_ms = T(friday + 7 * 3600);
	ck_assert_int_eq(check(), 0);
	facts.now_ms = T(friday + 7 * 3600 - 1);
	ck_assert_int_eq(check(), ERR_OUTSIDE_HOURS);
	facts.now_ms = T(friday + 19 * 3600);
	ck_assert_int_eq(check(), ERR_OUTSIDE_HOURS);
	facts.now_ms = T(friday + 24 * 3600 + 12 * 3600);
	ck_assert_int_eq(check(), ERR_OUTSIDE_HOURS);
	/* Winter: an hour ahead of UTC. Summer: two. */
	hours("mon-fri", "07:00", "19:00", "Europe/Berlin");
	facts.now_ms = T(friday + 6 * 3600);
	ck_assert_int_eq(check(), 0);
	facts.now_ms = T(friday + 6 * 3600 - 1);
	ck_assert_int_eq(check(), ERR_OUTSIDE_HOURS);
	facts.now_ms = T(1782450000); /* Friday, 2026-06-26 05:00 UTC */
	ck_assert_int_eq(check(), 0);
	facts.now_ms = T(1782450000 - 1);
	ck_assert_int_eq(check(), ERR_OUTSIDE_HOURS);
	/* The night from Friday to Saturday is Friday's. */
	hours("fri", "22:00", "06:00", "UTC");
	facts.now_ms = T(friday + 23 * 3600);
	ck_assert_int_eq(check(), 0);
	facts.now_ms = T(friday + 29 * 3600);
	ck_assert_int_eq(check(), 0);
	facts.now_ms = T(friday + 5 * 3600);
	ck_assert_int_eq(check(), ERR_OUTSIDE_HOURS);
	facts.now_ms = T(friday + 30 * 3600);
	ck_assert_int_eq(check(), ERR_OUTSIDE_HOURS);
}
END_TEST

START_TEST(zones_agree_with_the_system_far_into_the_future)
{
	static const char *const names[] = { "Europe/Berlin",
		"America/New_York", "Australia/Sydney", "Asia/Kolkata",
		"America/St_Johns", "Africa/Casablanca", "Pacific/Chatham",
		"Europe/Dublin", "America/Sao_Paulo" };

	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		struct zone *zone;

		ck_assert_int_eq(zone_open(&zone, names[i]), 0);
		setenv("TZ", names[i], 1);
		tzset();
		/* A week less a bit, so that hours differ; to 2075. */
		for (time_t t = 0; t < 3313500000; t += 601234) {
			struct tm tm;

			localtime_r(&t, &tm);
			ck_assert_msg(zone_offset(zone, t) == tm.tm_gmtoff,
			    "%s at %lld: %d, not %ld", names[i], (long long)t,
			    zone_offset(zone, t), tm.tm_gmtoff);
		}
		zone_free(zone);
	}
}
END_TEST

START_TEST(what_is_no_zone_is_refused)
{
	struct zone *zone;

	ck_assert_int_eq(zone_open(&zone, "../../../etc/passwd"),
	    ERR_BAD_REQUEST);
	ck_assert_int_eq(zone_open(&zone, "/etc/localtime"), ERR_BAD_REQUEST);
	ck_assert_int_eq(zone_open(&zone, "Europe/Atlantis"), ERR_NOT_FOUND);
	ck_assert_int_ne(zone_open(&zone, "Europe"), 0);
	ck_assert_int_eq(zone_read(&zone, (const uint8_t *)"TZif2", 5),
	    ERR_CORRUPT);
}
END_TEST

/* --- buckets --------------------------------------------------------------- */

START_TEST(a_bucket_gives_its_limit_and_fills_within_its_window)
{
	static const uint32_t limits[] = { 1, 7, 100, 1000, 700000 };

	for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
		const struct bucket_rate rate = { limits[i], BUCKET_MINUTE_US };
		int64_t full_at = 0, now = INT64_C(1800000000000000);

		for (uint32_t n = 0; n < limits[i]; n++) {
			ck_assert_uint_eq(bucket_left(full_at, &rate, now),
			    limits[i] - n);
			ck_assert(bucket_take(&full_at, &rate, now));
		}
		ck_assert(!bucket_take(&full_at, &rate, now));
		ck_assert_uint_eq(bucket_left(full_at, &rate, now), 0);
		/* What was refused took nothing. */
		int64_t before = full_at;
		uint32_t wait = bucket_wait_s(full_at, &rate, now);

		ck_assert(!bucket_take(&full_at, &rate, now));
		ck_assert_int_eq(full_at, before);
		ck_assert_uint_ge(wait, 1);
		ck_assert(bucket_take(&full_at, &rate,
		    now + (int64_t)wait * 1000000));
		ck_assert_uint_eq(bucket_left(full_at, &rate,
				      now + 2 * BUCKET_MINUTE_US + wait),
		    limits[i]);
	}
}
END_TEST

START_TEST(a_restart_or_a_clock_put_back_does_not_fill_a_bucket)
{
	const struct bucket_rate rate = { 100, BUCKET_MINUTE_US };
	int64_t full_at = 0, now = INT64_C(1800000000000000);

	for (int i = 0; i < 100; i++)
		ck_assert(bucket_take(&full_at, &rate, now));
	/* As it was kept and read again, five seconds later. */
	int64_t kept = full_at;

	ck_assert_uint_eq(bucket_left(kept, &rate, now + 5000000), 8);
	/* An hour back: no more is missing than fits in. */
	ck_assert_uint_eq(bucket_left(kept, &rate, now - BUCKET_HOUR_US), 0);
	ck_assert_uint_le(bucket_full_s(kept, &rate, now - BUCKET_HOUR_US), 60);
	/* A lower limit owes no more than its own window. */
	const struct bucket_rate lower = { 10, BUCKET_MINUTE_US };

	ck_assert_uint_le(bucket_wait_s(kept, &lower, now), 60);
}
END_TEST

/* --- all together ---------------------------------------------------------- */

START_TEST(each_rule_refuses_alone_with_its_own_code)
{
	uint8_t mine[32] = { 1 }, other[32] = { 2 };
	struct key_host hosts[] = { { "build-7" }, { "*.plant.example" } };
	struct key_range ranges[] = { { "192.0.2.0/24" } };
	struct key_known known[1] = { { .lib_version = "2.1" } };
	struct key_print blocked[1];

	sodium_bin2hex(known[0].fingerprint, 65, mine, 32);
	sodium_bin2hex(blocked[0].fingerprint, 65, other, 32);
	document.allowed_hostnames = (struct record_list){ hosts, 2 };
	document.allowed_ip_ranges = (struct record_list){ ranges, 1 };
	document.allowed_fingerprints = (struct record_list){ known, 1 };
	document.blocked_fingerprints = (struct record_list){ blocked, 1 };
	document.fingerprint_mode = KEY_PRINTS_ENFORCE;
	snprintf(document.client_cert_cn, 65, "build-7");
	facts.hostname = "Build-7";
	facts.fingerprint = mine;
	facts.lib_version = "2.1";
	facts.certificate = mine;
	facts.client_cn = "build-7";
	ck_assert_int_eq(check(), 0);
	facts.hostname = "build-8";
	ck_assert_int_eq(check(), ERR_HOSTNAME_NOT_ALLOWED);
	facts.hostname = "plant.example";
	ck_assert_int_eq(check(), ERR_HOSTNAME_NOT_ALLOWED);
	facts.hostname = "xplant.example";
	ck_assert_int_eq(check(), ERR_HOSTNAME_NOT_ALLOWED);
	facts.hostname = "a.plant.example";
	ck_assert_int_eq(check(), 0);
	facts.address = "192.0.3.7";
	ck_assert_int_eq(check(), ERR_IP_NOT_ALLOWED);
	facts.address = "nonsense";
	ck_assert_int_eq(check(), ERR_IP_NOT_ALLOWED);
	facts.address = "::ffff:192.0.2.9";
	ck_assert_int_eq(check(), 0);
	facts.client_cn = "build-70";
	ck_assert_int_eq(check(), ERR_CERTIFICATE_NOT_ALLOWED);
	facts.client_cn = "build-7";
	facts.certificate = none;
	ck_assert_int_eq(check(), ERR_CERTIFICATE_NOT_ALLOWED);
	facts.certificate = mine;
	facts.fingerprint = other;
	ck_assert_int_eq(check(), ERR_FINGERPRINT_BLOCKED);
	facts.fingerprint = mine;
	facts.lib_version = "2.2";
	ck_assert_int_eq(check(), ERR_FINGERPRINT_BLOCKED);
	facts.lib_version = "2.1";
	ck_assert_int_eq(check(), 0);
}
END_TEST

START_TEST(defaults_are_those_that_customers_were_told)
{
	ck_assert_int_eq(check(), 0);
	ck_assert_uint_eq(restrict_checkouts(rules)->limit, 100);
	ck_assert_int_eq(restrict_checkouts(rules)->window_us,
	    BUCKET_MINUTE_US);
	ck_assert_uint_eq(restrict_requests(rules)->limit, 1000);
	ck_assert_int_eq(restrict_requests(rules)->window_us, BUCKET_HOUR_US);
}
END_TEST

Suite *
suite(void)
{
	Suite *s = suite_create("restrict");
	TCase *t = tcase_create("restrict");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, ranges_fit_as_a_naive_matcher_says);
	tcase_add_test(t, a_mapped_address_is_the_one_it_stands_for);
	tcase_add_test(t, what_is_no_range_is_refused);
	tcase_add_test(t, days_are_read_in_lists_and_ranges);
	tcase_add_test(t, hours_are_those_of_their_zone_and_cross_midnight);
	tcase_add_test(t, zones_agree_with_the_system_far_into_the_future);
	tcase_add_test(t, what_is_no_zone_is_refused);
	tcase_add_test(t, a_bucket_gives_its_limit_and_fills_within_its_window);
	tcase_add_test(t, a_restart_or_a_clock_put_back_does_not_fill_a_bucket);
	tcase_add_test(t, each_rule_refuses_alone_with_its_own_code);
	tcase_add_test(t, defaults_are_those_that_customers_were_told);
	suite_add_tcase(s, t);
	return s;
}
