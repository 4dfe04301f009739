/* From an agent's status to a sentence and the next command; sorted leases. */
#include "agent/cli/lease_sort.h"
#include "agent/cli/verdict.h"
#include "shared/base/text.h"
#include "tests/unit/suite.h"

#include <stdio.h>
#include <string.h>

static struct local_status
a_status(void)
{
	struct local_status status = { .software = "leasehold-agent 1",
		.url = "https://site.example:7443",
		.site = "site-1",
		.tenant = "default",
		.device = 7,
		.connected = true,
		.leases = 1 };

	return status;
}

START_TEST(all_is_well_in_one_line)
{
	struct local_status status = a_status();
	struct verdict verdict;

	verdict_of(&verdict, &status);
	ck_assert(verdict.ok);
	ck_assert_str_eq(verdict.code, "ok");
	ck_assert_int_eq((int)verdict.status, CLI_DONE);
	ck_assert_ptr_nonnull(strstr(verdict.summary, "site-1"));
	ck_assert_str_eq(verdict.next, "");
	text_copy(status.site_name, sizeof(status.site_name), "Stuttgart");
	verdict_of(&verdict, &status);
	ck_assert_ptr_nonnull(strstr(verdict.summary, "Stuttgart"));
}
END_TEST

START_TEST(who_is_not_enrolled_is_told_how)
{
	struct local_status status = { .software = "leasehold-agent 1" };
	struct verdict verdict;

	verdict_of(&verdict, &status);
	ck_assert(!verdict.ok);
	ck_assert_str_eq(verdict.code, "not_enrolled");
	ck_assert_int_eq((int)verdict.status, CLI_REFUSED);
	ck_assert_ptr_nonnull(strstr(verdict.next, "leasehold enroll URL"));
}
END_TEST

/* Whatever an agent may say: words, a meaning, a command, a status, and a
 * record that is within its bounds. */
START_TEST(every_cause_has_a_sentence_and_a_next_command)
{
	struct local_status status = a_status();

	status.connected = false;
	memset(status.trouble, 'x', sizeof(status.trouble) - 1);
	memset(status.url + 8, 'h', sizeof(status.url) - 9);
	for (uint32_t i = 0; local_cause_names[i] != NULL; i++) {
		struct verdict verdict;
		struct record_error error = { 0 };

		status.cause = i;
		status.retry_s = i % 2;
		verdict_of(&verdict, &status);
		ck_assert_str_eq(verdict.code, local_cause_names[i]);
		ck_assert(!verdict.ok);
		ck_assert(verdict.status == CLI_REFUSED ||
		    verdict.status == CLI_UNREACHABLE);
		ck_assert_str_ne(verdict.summary, "");
		ck_assert_str_ne(verdict.meaning, "");
		ck_assert_str_ne(verdict.next, "");
		ck_assert_ptr_null(strchr(verdict.meaning, '{'));
		ck_assert_ptr_null(strchr(verdict.next, '{'));
		ck_assert_msg(record_check(&verdict_record, &verdict, &error) ==
			0,
		    "%s: %s %s", verdict.code, error.field, error.reason);
	}
}
END_TEST

START_TEST(a_hint_names_the_site_of_this_agent)
{
	struct local_status status = a_status();
	struct verdict verdict;

	status.connected = false;
	status.cause = CAUSE_NAME;
	verdict_of(&verdict, &status);
	ck_assert_str_eq(verdict.next, "getent hosts site.example");
	text_copy(status.url, sizeof(status.url), "https://[::1]:7443");
	verdict_of(&verdict, &status);
	ck_assert_str_eq(verdict.next, "getent hosts ::1");
	status.cause = CAUSE_REVOKED;
	verdict_of(&verdict, &status);
	ck_assert_ptr_nonnull(
	    strstr(verdict.next, "leasehold enroll https://[::1]:7443 "));
	ck_assert_int_eq((int)verdict.status, CLI_REFUSED);
}
END_TEST

START_TEST(who_waits_for_approval_is_told_whom_to_ask)
{
	struct local_status status = a_status();
	struct verdict verdict;

	status.pending = true;
	verdict_of(&verdict, &status);
	ck_assert(!verdict.ok);
	ck_assert_str_eq(verdict.code, "pending");
	ck_assert_ptr_nonnull(
	    strstr(verdict.next, "leasehold device approve device-7"));
	ck_assert_int_eq((int)verdict.status, CLI_REFUSED);
}
END_TEST

START_TEST(a_rollback_is_no_ok_though_connected)
{
	struct local_status status = a_status();
	struct verdict verdict;

	text_copy(status.rollback, sizeof(status.rollback), "batch 9 is gone");
	verdict_of(&verdict, &status);
	ck_assert_str_eq(verdict.code, "rolled_back");
	ck_assert_ptr_nonnull(strstr(verdict.summary, "batch 9"));
	ck_assert_int_eq((int)verdict.status, CLI_REFUSED);
}
END_TEST

START_TEST(a_site_that_cannot_write_is_no_ok)
{
	struct local_status status = a_status();
	struct verdict verdict;

	text_copy(status.fault, sizeof(status.fault), "no room on the disk");
	verdict_of(&verdict, &status);
	ck_assert_str_eq(verdict.code, "site_fault");
	ck_assert_ptr_nonnull(strstr(verdict.summary, "no room"));
	ck_assert_ptr_nonnull(strstr(verdict.next, "df"));
	ck_assert_int_eq((int)verdict.status, CLI_UNREACHABLE);
}
END_TEST

START_TEST(clocks_apart_by_more_than_a_minute_are_a_warning)
{
	struct warning warnings[WARNINGS_MAX];
	struct local_status status = a_status();

	ck_assert_uint_eq(verdict_warnings(warnings, &status, 0), 0);
	status.clock_ahead_ms = 60000;
	ck_assert_uint_eq(verdict_warnings(warnings, &status, 0), 0);
	status.clock_ahead_ms = 300000;
	ck_assert_uint_eq(verdict_warnings(warnings, &status, 0), 1);
	ck_assert_str_eq(warnings[0].code, "clock");
	ck_assert_ptr_nonnull(strstr(warnings[0].summary, "5 min ahead"));
	status.clock_ahead_ms = -300000;
	ck_assert_uint_eq(verdict_warnings(warnings, &status, 0), 1);
	ck_assert_ptr_nonnull(strstr(warnings[0].summary, "5 min behind"));
}
END_TEST

START_TEST(a_certificate_that_ends_soon_is_a_warning)
{
	const int64_t day = INT64_C(86400000);
	struct warning warnings[WARNINGS_MAX];
	struct local_status status = a_status();

	status.certificate_end = 100 * day;
	ck_assert_uint_eq(verdict_warnings(warnings, &status, 85 * day), 0);
	ck_assert_uint_eq(verdict_warnings(warnings, &status, 90 * day), 1);
	ck_assert_str_eq(warnings[0].code, "certificate");
	ck_assert_ptr_nonnull(strstr(warnings[0].summary, "10 d"));
}
END_TEST

/* --- sorting -------------------------------------------------------------- */

static struct lease_view
a_lease(uint64_t number, const char *user, const char *product, uint32_t left_s)
{
	struct lease_view lease = { .lease = number,
		.granted_at = (int64_t)(1000 - number),
		.device = number + 1,
		.license = 3,
		.count = 2,
		.left_s = left_s,
		.connected = number % 2 == 0 };

	text_copy(lease.user, sizeof(lease.user), user);
	text_copy(lease.product, sizeof(lease.product), product);
	text_copy(lease.host, sizeof(lease.host), product);
	return lease;
}

static void
sorts(enum lease_order order, bool reverse, const char *like)
{
	const struct lease_view leases[] = { a_lease(1, "bob", "y", 30),
		a_lease(2, "alice", "z", 10), a_lease(3, "bob", "x", 10),
		a_lease(4, "carol", "x", 20) };
	struct lease_sort *sort = lease_sort_new();
	char numbers[8] = "";

	ck_assert_ptr_nonnull(sort);
	for (size_t i = 0; i < 4; i++)
		ck_assert_int_eq(lease_sort_add(sort, &leases[i]), 0);
	lease_sort_run(sort, order, reverse);
	ck_assert_uint_eq(lease_sort_count(sort), 4);
	for (uint32_t i = 0; i < 4; i++) {
		struct lease_view lease;

		lease_sort_get(&lease, sort, i);
		numbers[i] = (char)('0' + lease.lease);
		/* nothing of it was lost */
		ck_assert_mem_eq(&lease, &leases[lease.lease - 1],
		    sizeof(lease));
	}
	ck_assert_str_eq(numbers, like);
	lease_sort_free(sort);
}

START_TEST(leases_are_sorted_by_what_is_named)
{
	sorts(ORDER_NUMBER, false, "1234");
	sorts(ORDER_NUMBER, true, "4321");
	sorts(ORDER_SINCE, false, "4321");
	sorts(ORDER_USER, false, "2134");
	sorts(ORDER_USER, true, "4312");
	sorts(ORDER_HOST, false, "3412");
	sorts(ORDER_PRODUCT, false, "3412");
	sorts(ORDER_LEFT, false, "2341");
	sorts(ORDER_LEFT, true, "1432");
}
END_TEST

START_TEST(nothing_to_sort_is_no_mistake)
{
	struct lease_sort *sort = lease_sort_new();

	lease_sort_run(sort, ORDER_USER, false);
	ck_assert_uint_eq(lease_sort_count(sort), 0);
	lease_sort_free(sort);
	lease_sort_free(NULL);
}
END_TEST

Suite *
suite(void)
{
	Suite *s = suite_create("cli_verdict");
	TCase *verdict = tcase_create("verdict");
	TCase *sort = tcase_create("sort");

	tcase_add_test(verdict, all_is_well_in_one_line);
	tcase_add_test(verdict, who_is_not_enrolled_is_told_how);
	tcase_add_test(verdict, every_cause_has_a_sentence_and_a_next_command);
	tcase_add_test(verdict, a_hint_names_the_site_of_this_agent);
	tcase_add_test(verdict, who_waits_for_approval_is_told_whom_to_ask);
	tcase_add_test(verdict, a_rollback_is_no_ok_though_connected);
	tcase_add_test(verdict, a_site_that_cannot_write_is_no_ok);
	tcase_add_test(verdict,
	    clocks_apart_by_more_than_a_minute_are_a_warning);
	tcase_add_test(verdict, a_certificate_that_ends_soon_is_a_warning);
	suite_add_tcase(s, verdict);
	tcase_add_test(sort, leases_are_sorted_by_what_is_named);
	tcase_add_test(sort, nothing_to_sort_is_no_mistake);
	suite_add_tcase(s, sort);
	return s;
}
