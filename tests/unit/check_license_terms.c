/* Terms: defaults, exact money, and every way to get them wrong. */
#include "tests/unit/license_terms.h"
#include "tests/unit/suite.h"

START_TEST(terms_without_bounds_get_the_defaults)
{
	struct license_terms terms;
	struct record_error error;

	ck_assert_int_eq(terms_read(&terms, TERMS, &error), 0);
	ck_assert_uint_eq(terms.terms.ttl_s, 120);
	ck_assert_uint_eq(terms.terms.grace_s, 300);
	ck_assert_uint_eq(terms.terms.enforce, LICENSE_HARD);
	ck_assert_uint_eq(terms.contract.billing_cycle, LICENSE_MONTHLY);
	ck_assert(terms.contract.auto_renew);
}
END_TEST

START_TEST(a_grace_of_zero_can_be_said)
{
	struct license_terms terms;
	struct record_error error;

	ck_assert_int_eq(terms_read(&terms,
			     TERMS_HEAD ENTITLEMENT CONTRACT
			     ",\"terms\":{\"ttl_s\":30,\"grace_s\":0,"
			     "\"enforce\":\"advisory\"}}",
			     &error),
	    0);
	ck_assert_uint_eq(terms.terms.ttl_s, 30);
	ck_assert_uint_eq(terms.terms.grace_s, 0);
	ck_assert_uint_eq(terms.terms.enforce, LICENSE_ADVISORY);
	/* And is still 0 when it is written and read again. */
	struct buf json = { 0 };
	struct license_terms again;

	record_write_json(&json, &license_terms_record, &terms);
	ck_assert_int_eq(terms_read(&again, buf_text(&json), &error), 0);
	ck_assert_mem_eq(&again, &terms, sizeof(terms));
	buf_release(&json);
}
END_TEST

#define E(total, commit, overage, pricing)                                     \
	"\"entitlement\":{\"total_licenses\":" total ",\"commit_qty\":" commit \
	",\"max_overage\":" overage "," pricing "},"
#define P(fee, price, currency)                    \
	"\"pricing\":{\"commit_fee_monthly\":" fee \
	",\"overage_per_use\":" price ",\"currency\":\"" currency "\"}"
#define C(start, end)                                                    \
	"\"contract\":{\"start_date\":\"" start "\",\"end_date\":\"" end \
	"\",\"auto_renew\":false,\"billing_cycle\":\"annual\"}"
#define V(version) "{\"product\":{\"id\":\"p\",\"version\":\"" version "\"},"

#define FEATURE(id, total, commit, overage, price, currency)  \
	"{\"id\":\"" id "\",\"total_licenses\":" total        \
	",\"commit_qty\":" commit ",\"max_overage\":" overage \
	",\"overage_per_use\":" price ",\"currency\":\"" currency "\"}"
#define FINE FEATURE("autosar", "5", "2", "3", "120.50", "EUR")
#define F(features) \
	TERMS_HEAD ENTITLEMENT CONTRACT ",\"features\":[" features "]}"

START_TEST(features_have_seats_and_prices_of_their_own)
{
	struct license_terms terms, again;
	struct record_error error = { "", "" };
	struct arena arena = { 0 };
	struct buf json = { 0 };
	const char *text =
	    F(FINE "," FEATURE("calibration", "3", "3", "0", "0", "EUR"));

	ck_assert_int_eq(record_read_json(&terms, &license_terms_record, text,
			     strlen(text), &arena, &error),
	    0);
	ck_assert_int_eq(license_terms_check(&terms, &error), 0);
	const struct license_feature *features = terms.features.items;

	ck_assert_uint_eq(terms.features.count, 2);
	ck_assert_str_eq(features[0].id, "autosar");
	ck_assert_uint_eq(features[0].commit_qty, 2);
	ck_assert_uint_eq(features[0].max_overage, 3);
	ck_assert_int_eq(features[0].overage_per_use, 12050);
	ck_assert_str_eq(features[1].id, "calibration");
	/* Those of the product are none of theirs. */
	ck_assert_uint_eq(terms.entitlement.total_licenses, 20);
	record_write_json(&json, &license_terms_record, &terms);
	ck_assert_int_eq(record_read_json(&again, &license_terms_record,
			     buf_text(&json), json.len, &arena, &error),
	    0);
	ck_assert_mem_eq(again.features.items, features, 2 * sizeof(*features));
	buf_release(&json);
	arena_release(&arena);
}
END_TEST

START_TEST(seats_are_found_by_feature)
{
	static struct license_feature features[] = {
		{ "autosar", "", 5, 2, 3, 12050, "EUR" },
		{ "calibration", "", 3, 3, 0, 0, "EUR" },
	};
	struct license license = { .entitlement = { .total_licenses = 20,
				       .commit_qty = 5,
				       .max_overage = 15 },
		.features = { features, 2 } };
	struct license_seats seats;

	ck_assert(license_seats(&seats, &license, ""));
	ck_assert_uint_eq(seats.total, 20);
	ck_assert(license_seats(&seats, &license, "calibration"));
	ck_assert_uint_eq(seats.total, 3);
	ck_assert_uint_eq(seats.commit, 3);
	ck_assert_uint_eq(seats.overage, 0);
	ck_assert(!license_seats(&seats, &license, "auto"));
	ck_assert_uint_eq(seats.total, 0);
	license.features.count = 1;
	ck_assert(!license_seats(&seats, &license, "calibration"));
}
END_TEST

/* json, field, and the reason or a part of it */
/* A part of the terms behind the contract. */
#define AND(part) TERMS_HEAD ENTITLEMENT CONTRACT "," part "}"
#define BOUNDS(more) AND("\"terms\":{\"ttl_s\":60,\"grace_s\":1" more "}")
#define BILLING(more) AND("\"billing\":{\"currency\":\"EUR\"," more "}")
#define CALLS(currency)                            \
	"{\"metric\":\"api_calls\",\"unit\":1000," \
	"\"price\":0.05,\"currency\":\"" currency "\"}"
#define LIMIT                                          \
	"{\"metric\":\"api_calls\",\"per\":\"month\"," \
	"\"amount\":10000}"

static const struct {
	const char *json;
	const char *field;
	const char *reason;
} bad_terms[] = {
	{ TERMS_HEAD E("20", "30", "15", PRICING) CONTRACT "}",
	    "entitlement.commit_qty", "30 is above total_licenses 20" },
	{ TERMS_HEAD E("20", "5", "10", PRICING) CONTRACT "}",
	    "entitlement.total_licenses",
	    "must be commit_qty + max_overage (5 + 10 = 15), is 20" },
	{ TERMS_HEAD E("20", "5", "21", PRICING) CONTRACT "}",
	    "entitlement.max_overage", "21 is above total_licenses 20" },
	{ TERMS_HEAD E("0", "0", "0", PRICING) CONTRACT "}",
	    "entitlement.total_licenses", "whole number from 1" },
	{ TERMS_HEAD E("10000001", "10000001", "0", PRICING) CONTRACT "}",
	    "entitlement.total_licenses", "to 10000000" },
	{ TERMS_HEAD E("20", "-5", "25", PRICING) CONTRACT "}",
	    "entitlement.commit_qty", "whole number from 0" },
	{ TERMS_HEAD E("20", "5.0", "15", PRICING) CONTRACT "}",
	    "entitlement.commit_qty", "whole number" },
	{ TERMS_HEAD E("20", "\"5\"", "15", PRICING) CONTRACT "}",
	    "entitlement.commit_qty", "whole number" },
	{ TERMS_HEAD E("20", "5", "15", P("5000.001", "1", "EUR")) CONTRACT "}",
	    "entitlement.pricing.commit_fee_monthly", "" },
	{ TERMS_HEAD E("20", "5", "15", P("5000", "1.5", "JPY")) CONTRACT "}",
	    "entitlement.pricing.overage_per_use", "" },
	{ TERMS_HEAD E("20", "5", "15", P("-1", "1", "EUR")) CONTRACT "}",
	    "entitlement.pricing.commit_fee_monthly", "" },
	{ TERMS_HEAD E("20", "5", "15", P("1e3", "1", "EUR")) CONTRACT "}",
	    "entitlement.pricing.commit_fee_monthly", "" },
	{ TERMS_HEAD E("20", "5", "15", P("1", "1", "EUX")) CONTRACT "}",
	    "entitlement.pricing.currency", "ISO 4217" },
	{ TERMS_HEAD E("20", "5", "15", P("1", "1", "eur")) CONTRACT "}",
	    "entitlement.pricing.currency", "ISO 4217" },
	{ V(">=x") ENTITLEMENT CONTRACT "}", "product.version",
	    "\">=x\" is not a version range" },
	{ V("latest") ENTITLEMENT CONTRACT "}", "product.version",
	    "\"latest\" is not a version range" },
	{ TERMS_HEAD ENTITLEMENT C("2024-10-02", "2024-10-01") "}",
	    "contract.end_date", "is before start_date" },
	{ TERMS_HEAD ENTITLEMENT C("2024-02-30", "2024-10-01") "}",
	    "contract.start_date", "must be a date" },
	{ TERMS_HEAD ENTITLEMENT C("2024-2-3", "2024-10-01") "}",
	    "contract.start_date", "must be a date" },
	{ TERMS_HEAD ENTITLEMENT CONTRACT ",\"terms\":{}}", "terms.ttl_s",
	    "is missing" },
	{ TERMS_HEAD ENTITLEMENT CONTRACT ",\"terms\":{\"ttl_s\":0,"
					  "\"grace_s\":0}}",
	    "terms.ttl_s", "whole number from 1 to 86400" },
	{ TERMS_HEAD ENTITLEMENT CONTRACT ",\"terms\":{\"ttl_s\":60,"
					  "\"grace_s\":604801}}",
	    "terms.grace_s", "whole number from 0 to 604800" },
	{ TERMS_HEAD ENTITLEMENT CONTRACT ",\"terms\":{\"ttl_s\":60,"
					  "\"grace_s\":1,\"enforce\":\"x\"}}",
	    "terms.enforce", "\"hard\", \"grace\", \"advisory\"" },
	{ TERMS_HEAD ENTITLEMENT CONTRACT ",\"seats\":1}", "seats",
	    "is not known here" },
	{ TERMS_HEAD TERMS_HEAD, "", "is not JSON" },
	{ TERMS_HEAD ENTITLEMENT CONTRACT "," CONTRACT "}", "contract",
	    "is given twice" },
	{ TERMS_HEAD ENTITLEMENT "\"x\":1}", "x", "is not known here" },
	{ TERMS_HEAD CONTRACT "}", "entitlement", "is missing" },
	{ TERMS_HEAD "\"entitlement\":{\"total_licenses\":1,\"commit_qty\":1,"
		     "\"max_overage\":0}," CONTRACT "}",
	    "entitlement.pricing", "is missing" },
	{ F(FINE "," FEATURE("b", "3", "4", "0", "1", "EUR")),
	    "features[1].commit_qty", "4 is above total_licenses 3" },
	{ F(FEATURE("b", "3", "1", "4", "1", "EUR")), "features[0].max_overage",
	    "4 is above total_licenses 3" },
	{ F(FINE "," FEATURE("b", "3", "1", "1", "1", "EUR") "," FEATURE("c",
	      "4", "1", "1", "1", "EUR")),
	    "features[1].total_licenses",
	    "must be commit_qty + max_overage (1 + 1 = 2), is 3" },
	{ F(FEATURE("b", "0", "0", "0", "1", "EUR")),
	    "features[0].total_licenses", "whole number from 1" },
	{ F(FINE "," FEATURE("b", "2", "1", "1", "1.001", "EUR")),
	    "features[1].overage_per_use", "" },
	{ F(FEATURE("b", "2", "1", "1", "1", "USD")), "features[0].currency",
	    "is USD, and the license is priced in EUR" },
	{ F(FINE "," FEATURE("b", "1", "1", "0", "0", "EUR") "," FINE),
	    "features[2].id", "\"autosar\" is that of features[0] too" },
	{ F(FEATURE("", "2", "1", "1", "1", "EUR")), "features[0].id", "" },
	{ F("{\"id\":\"x\"}"), "features[0].total_licenses", "is missing" },
	{ BOUNDS(",\"enforce\":\"grace\""), "terms.grace_days",
	    "is required with enforce grace" },
	{ BOUNDS(",\"enforce\":\"advisory\",\"grace_days\":3"),
	    "terms.grace_days", "is for enforce grace" },
	{ BOUNDS(",\"enforce\":\"grace\",\"grace_days\":366"),
	    "terms.grace_days", "from 1 to 365" },
	{ AND("\"billing\":{\"currency\":\"USD\",\"model\":\"hybrid\"}"),
	    "billing.currency", "is USD, and the license is priced in EUR" },
	{ BILLING("\"model\":\"per_use\",\"subscription_fee\":1"),
	    "billing.subscription_fee", "subscription and hybrid" },
	{ BILLING("\"model\":\"subscription\",\"usage\":[" CALLS("EUR") "]"),
	    "billing.usage", "per_use and hybrid" },
	{ BILLING("\"model\":\"hybrid\",\"usage\":[" CALLS("EUR") "," CALLS(
	      "EUR") "]"),
	    "billing.usage[1].metric", "has a price in billing.usage[0] too" },
	{ BILLING("\"model\":\"hybrid\",\"usage\":[" CALLS("USD") "]"),
	    "billing.usage[0].currency", "is USD" },
	{ BILLING("\"model\":\"revenue_share\""), "billing.share_ppm",
	    "is required with the model revenue_share" },
	{ BILLING("\"model\":\"revenue_share\",\"share_ppm\":1000001"),
	    "billing.share_ppm", "from 1 to 1000000" },
	{ BILLING("\"model\":\"hybrid\",\"share_metric\":\"x\""),
	    "billing.share_metric", "is for the model revenue_share" },
	{ BILLING("\"model\":\"hybrid\",\"taxes\":[{\"name\":\"VAT\","
		  "\"rate_ppm\":1000001}]"),
	    "billing.taxes[0].rate_ppm", "from 0 to 1000000" },
	{ AND("\"limits\":[" LIMIT "," LIMIT "]"), "limits[1].metric",
	    "is limited so in limits[0] too" },
	{ AND("\"tier\":\"gold\""), "tier", "\"starter\"" },
	{ AND("\"sync\":{}"), "sync.reports", "is missing" },
	{ "", "", "is not JSON" },
	{ "[]", "", "must be an object" },
};

#define WHOLE                                                             \
	BOUNDS(",\"enforce\":\"grace\",\"grace_days\":14},"               \
	       "\"tier\":\"starter\",\"limits\":[" LIMIT "],"             \
	       "\"sync\":{\"reports\":true,\"max_unsynced_days\":45,"     \
	       "\"hub\":\"https://hub.vector.example\"},"                 \
	       "\"billing\":{\"model\":\"per_use\",\"currency\":\"EUR\"," \
	       "\"usage\":[" CALLS(                                       \
		   "EUR") "],\"taxes\":[{"                                \
			  "\"name\":\"VAT 19 %\",\"rate_ppm\":190000}]")
START_TEST(what_is_paid_for_beside_seats_is_read)
{
	struct license_terms terms;
	struct record_error error = { "", "" };

	ck_assert_msg(terms_read(&terms, WHOLE, &error) == 0, "%s: %s",
	    error.field, error.reason);
	ck_assert_uint_eq(terms.terms.grace_days, 14);
	ck_assert_uint_eq(terms.tier, LICENSE_STARTER);
	ck_assert_uint_eq(terms.limits.count, 1);
	ck_assert_uint_eq(terms.billing.usage.count, 1);
	ck_assert_uint_eq(terms.billing.taxes.count, 1);
	ck_assert_uint_eq(terms.sync.max_unsynced_days, 45);
}
END_TEST

START_TEST(bad_terms_name_the_field_and_the_reason)
{
	struct license_terms terms;
	struct record_error error = { "", "" };

	ck_assert_int_eq(terms_read(&terms, bad_terms[_i].json, &error),
	    ERR_BAD_REQUEST);
	ck_assert_str_eq(error.field, bad_terms[_i].field);
	ck_assert_str_ne(error.reason, "");
	ck_assert_msg(strstr(error.reason, bad_terms[_i].reason) != NULL,
	    "%s: %s", error.field, error.reason);
}
END_TEST

START_TEST(money_of_terms_is_exact)
{
	static const struct {
		const char *json;
		int64_t fee;
		int64_t price;
	} cases[] = {
		{ TERMS_HEAD E("1", "1", "0", P("0.29", "1.1", "EUR")) CONTRACT
		    "}",
		    29, 110 },
		{ TERMS_HEAD E("1", "1", "0",
		      P("4503599627370.49", "0.07", "USD")) CONTRACT "}",
		    450359962737049, 7 },
		{ TERMS_HEAD E("1", "1", "0", P("100000", "1", "JPY")) CONTRACT
		    "}",
		    100000, 1 },
		{ TERMS_HEAD E("1", "1", "0", P("1.001", "0", "KWD")) CONTRACT
		    "}",
		    1001, 0 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct license_terms terms;
		struct record_error error = { "", "" };

		ck_assert_int_eq(terms_read(&terms, cases[i].json, &error), 0);
		ck_assert_int_eq(terms.entitlement.pricing.commit_fee_monthly,
		    cases[i].fee);
		ck_assert_int_eq(terms.entitlement.pricing.overage_per_use,
		    cases[i].price);
	}
}
END_TEST

Suite *
suite(void)
{
	Suite *s = suite_create("license terms");
	TCase *tc = tcase_create("license terms");

	tcase_add_test(tc, terms_without_bounds_get_the_defaults);
	tcase_add_test(tc, a_grace_of_zero_can_be_said);
	tcase_add_test(tc, what_is_paid_for_beside_seats_is_read);
	tcase_add_loop_test(tc, bad_terms_name_the_field_and_the_reason, 0,
	    (int)(sizeof(bad_terms) / sizeof(bad_terms[0])));
	tcase_add_test(tc, money_of_terms_is_exact);
	tcase_add_test(tc, features_have_seats_and_prices_of_their_own);
	tcase_add_test(tc, seats_are_found_by_feature);
	suite_add_tcase(s, tc);
	return s;
}
