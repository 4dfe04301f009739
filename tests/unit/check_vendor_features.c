/* Features in the terms: issued as they stand, told, and bounded. */
#include "tests/unit/suite.h"
#include "tests/unit/vendor_run.h"

#define HEAD                                                          \
	"{\"product\":{\"id\":\"davinci\",\"version\":\">=8.0.0\"},"  \
	"\"entitlement\":{\"total_licenses\":20,\"commit_qty\":5,"    \
	"\"max_overage\":15,\"pricing\":{\"commit_fee_monthly\":1.0," \
	"\"overage_per_use\":5.00,\"currency\":\"EUR\"}},"            \
	"\"features\":["
#define TAIL                                               \
	"],\"contract\":{\"start_date\":\"2020-01-01\","   \
	"\"end_date\":\"9000-12-31\",\"auto_renew\":true," \
	"\"billing_cycle\":\"monthly\"}}"
#define NUMBERS                                         \
	"\"total_licenses\":5,\"commit_qty\":2,"        \
	"\"max_overage\":3,\"overage_per_use\":120.50," \
	"\"currency\":\"EUR\"}"

START_TEST(features_are_issued_and_told)
{
	spill("terms.json",
	    HEAD "{\"id\":\"autosar\",\"name\":\"AUTOSAR\"," NUMBERS TAIL);
	vendor_ready();
	ck_assert_int_eq(run(ISSUE), 0);
	ck_assert_str_eq(err, "");
	has(out, "feature  autosar: 2 committed, 3 overage at 120.50 EUR each");
	struct license l = license_of("a.lic");
	const struct license_feature *f = l.features.items;

	ck_assert_uint_eq(l.features.count, 1);
	ck_assert_str_eq(f->id, "autosar");
	ck_assert_str_eq(f->name, "AUTOSAR");
	ck_assert_uint_eq(f->total_licenses, 5);
	ck_assert_int_eq(f->overage_per_use, 12050);
	ck_assert_int_eq(run("show a.lic --key v/root.pub"), 0);
	has(out, "\"features\": [");
	has(out, "\"id\": \"autosar\"");
	has(out, "\"overage_per_use\": 120.50");
	ck_assert_int_eq(run("--json " ISSUE), 0);
	has(out, "\"features\":[{\"id\":\"autosar\"");
}
END_TEST

START_TEST(features_that_are_wrong_are_refused_by_name)
{
	spill("terms.json",
	    HEAD "{\"id\":\"a\"," NUMBERS ",{\"id\":\"a\"," NUMBERS TAIL);
	vendor_ready();
	ck_assert_int_eq(run(ISSUE), 1);
	has(err, "terms.json: features[1].id: \"a\" is that of features[0]");
	has(err, "nothing was issued");
	spill("terms.json", HEAD "{\"id\":\"a\",\"seats\":1," NUMBERS TAIL);
	ck_assert_int_eq(run(ISSUE), 1);
	has(err, "features[0].seats: is not known here");
}
END_TEST

static void
add_times(struct buf *text, const char *letter, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		buf_add_str(text, letter);
}

/* The longest ids and names, of this letter as JSON writes it. */
static void
write_many(unsigned int n, const char *letter)
{
	struct buf text = { 0 };

	buf_add_str(&text, HEAD);
	for (unsigned int i = 0; i < n; i++) {
		buf_printf(&text, "%s{\"id\":\"%03u", i > 0 ? "," : "", i);
		add_times(&text, letter, 60);
		buf_add_str(&text, "\",\"name\":\"");
		add_times(&text, letter, 127);
		buf_add_str(&text, "\"," NUMBERS);
	}
	buf_add_str(&text, TAIL);
	spill("terms.json", buf_text(&text));
	buf_release(&text);
}

START_TEST(the_most_features_with_the_longest_names_fit)
{
	vendor_ready();
	write_many(LICENSE_FEATURES_MAX, "x");
	ck_assert_int_eq(run(ISSUE), 0);
	struct license l = license_of("a.lic");

	ck_assert_uint_eq(l.features.count, LICENSE_FEATURES_MAX);
	/* One more does not. */
	write_many(LICENSE_FEATURES_MAX + 1, "x");
	ck_assert_int_eq(run(ISSUE), 1);
	has(err, "features: must be a list of 0 to 64 items");
}
END_TEST

START_TEST(a_license_too_long_for_a_site_is_not_issued)
{
	vendor_ready();
	write_many(LICENSE_FEATURES_MAX, "\\\"");
	ck_assert_int_eq(run(ISSUE), 1);
	has(err, "the names of its features are too long");
	has(err, "No license was written");
}
END_TEST

Suite *
suite(void)
{
	Suite *s = suite_create("vendor features");
	TCase *tc = tcase_create("features");

	tcase_add_checked_fixture(tc, start, finish);
	tcase_add_test(tc, features_are_issued_and_told);
	tcase_add_test(tc, features_that_are_wrong_are_refused_by_name);
	tcase_add_test(tc, the_most_features_with_the_longest_names_fit);
	tcase_add_test(tc, a_license_too_long_for_a_site_is_not_issued);
	suite_add_tcase(s, tc);
	return s;
}
