/* Records made in code: amounts, the check, what is written, the schema. */
#include "shared/base/text.h"
#include "shared/record/json.h"
#include "shared/record/record_fields.h"
#include "tests/unit/record_tables.h"

#include <stdio.h>
#include <string.h>

static void
assert_money(const char *fee, const char *currency, int64_t minor,
    const char *written)
{
	struct price price;
	char text[96];

	snprintf(text, sizeof(text), "{\"fee\":%s,\"currency\":\"%s\"}", fee,
	    currency);
	ck_assert_msg(read_text(&price, &price_record, text) == 0, "%s: %s %s",
	    text, err.field, err.reason);
	ck_assert_int_eq(price.fee, minor);
	snprintf(text, sizeof(text), "{\"currency\":\"%s\",\"fee\":%s}",
	    currency, fee);
	ck_assert_int_eq(read_text(&price, &price_record, text), 0);
	ck_assert_int_eq(price.fee, minor);
	snprintf(text, sizeof(text), "{\"fee\":%s,\"currency\":\"%s\"}",
	    written, currency);
	assert_written(&price_record, &price, text);
}

START_TEST(money_is_exact_in_the_currency_s_decimals)
{
	assert_money("5000.00", "EUR", 500000, "5000.00");
	assert_money("5000", "EUR", 500000, "5000.00");
	assert_money("0.1", "USD", 10, "0.10");
	assert_money("0", "USD", 0, "0.00");
	assert_money("0.07", "USD", 7, "0.07");
	assert_money("12", "JPY", 12, "12");
	assert_money("1.234", "BHD", 1234, "1.234");
	assert_money("1.0001", "CLF", 10001, "1.0001");
	assert_money("90071992547409.92", "EUR", INT64_C(1) << 53,
	    "90071992547409.92");
}
END_TEST

START_TEST(money_that_does_not_fit_is_refused)
{
	static const char bounds[] =
	    "must be an amount like 1250.50, not negative, without an "
	    "exponent, at most 2^53 minor units";
	static const char *const bad[] = { "-1", "-0", "1e2", "1.5E1", "\"5\"",
		"true", "90071992547409.93", "99999999999999999999",
		"9007199254740993", "null" };
	char text[96];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(text, sizeof(text),
		    "{\"fee\":%s,\"currency\":\"EUR\"}", bad[i]);
		assert_refused(&price_record, text, "fee", bounds);
	}
	assert_refused(&price_record, "{\"fee\":5.000,\"currency\":\"EUR\"}",
	    "fee", "has three decimals; EUR has two");
	assert_refused(&price_record, "{\"currency\":\"JPY\",\"fee\":5.0}",
	    "fee", "has one decimal; JPY has none");
	assert_refused(&price_record,
	    "{\"currency\":\"KWD\",\"fee\":0.00000000001}", "fee",
	    "has many decimals; KWD has three");
	assert_refused(&price_record, "{\"fee\":5,\"currency\":\"EUX\"}",
	    "currency", "must be an ISO 4217 currency code in use, like EUR");
	assert_refused(&price_record, "{\"fee\":0,\"currency\":\"eur\"}",
	    "currency", "must be an ISO 4217 currency code in use, like EUR");
	assert_refused(&price_record, "{\"fee\":5}", "currency", "is missing");
}
END_TEST

START_TEST(currencies_have_their_decimals)
{
	char out[32];

	ck_assert_int_eq(currency_decimals("EUR"), 2);
	ck_assert_int_eq(currency_decimals("AED"), 2);
	ck_assert_int_eq(currency_decimals("ZWG"), 2);
	ck_assert_int_eq(currency_decimals("JPY"), 0);
	ck_assert_int_eq(currency_decimals("ISK"), 0);
	ck_assert_int_eq(currency_decimals("TND"), 3);
	ck_assert_int_eq(currency_decimals("UYW"), 4);
	ck_assert_int_eq(currency_decimals(""), -1);
	ck_assert_int_eq(currency_decimals("EU"), -1);
	ck_assert_int_eq(currency_decimals("EUR "), -1);
	ck_assert_int_eq(currency_decimals("UR "), -1);
	ck_assert_int_eq(currency_decimals("DEM"), -1);
	ck_assert_int_eq(currency_decimals("XXX"), -1);
	money_format(out, 2700000, "EUR");
	ck_assert_str_eq(out, "27000.00");
	money_format(out, 5, "EUR");
	ck_assert_str_eq(out, "0.05");
	money_format(out, -1250, "EUR");
	ck_assert_str_eq(out, "-12.50");
	money_format(out, 0, "JPY");
	ck_assert_str_eq(out, "0");
	money_format(out, 1200, "JPY");
	ck_assert_str_eq(out, "1200");
	money_format(out, INT64_MIN, "CLF");
	ck_assert_str_eq(out, "-922337203685477.5808");
	money_format(out, INT64_MIN, "???");
	ck_assert_str_eq(out, "-9223372036854775808 minor");
}
END_TEST

START_TEST(a_record_made_in_code_is_checked)
{
	struct all all;
	struct part *parts;

	ck_assert_int_eq(read_text(&all, &all_record, ALL_JSON), 0);
	parts = all.parts.items;
	ck_assert_int_eq(record_check(&all_record, &all, NULL), 0);
	parts[1].commit_qty = 1000001;
	ck_assert_int_eq(record_check(&all_record, &all, &err),
	    ERR_BAD_REQUEST);
	ck_assert_str_eq(err.field, "parts[1].commit_qty");
	parts[1].commit_qty = 1;
	all.color = 3;
	ck_assert_int_eq(record_check(&all_record, &all, &err),
	    ERR_BAD_REQUEST);
	ck_assert_str_eq(err.field, "color");
	all.color = 0;
	memset(all.name, 'x', sizeof(all.name));
	ck_assert_int_eq(record_check(&all_record, &all, &err),
	    ERR_BAD_REQUEST);
	ck_assert_str_eq(err.field, "name");
	memcpy(all.name, "x", 2);
	all.price.fee = -1;
	ck_assert_int_eq(record_check(&all_record, &all, &err),
	    ERR_BAD_REQUEST);
	ck_assert_str_eq(err.field, "price.fee");
	all.price.fee = 1;
	memcpy(all.price.currency, "EUU", 4);
	ck_assert_int_eq(record_check(&all_record, &all, &err),
	    ERR_BAD_REQUEST);
	ck_assert_str_eq(err.field, "price.currency");
	memcpy(all.price.currency, "EUR", 4);
	all.parts.count = 0;
	ck_assert_int_eq(record_check(&all_record, &all, &err),
	    ERR_BAD_REQUEST);
	ck_assert_str_eq(err.field, "parts");
	memset(&all, 0, sizeof(all));
	ck_assert_int_eq(record_check(&none_record, &all, &err), 0);
	all.time = -1;
	ck_assert_int_eq(record_check(&none_record, &all, &err),
	    ERR_BAD_REQUEST);
	ck_assert_str_eq(err.field, "time");
}
END_TEST

START_TEST(an_amount_without_a_currency_is_not_written)
{
	struct price price = { .fee = 5 };
	struct buf buf = { 0 };

	record_write_json(&buf, &price_record, &price);
	ck_assert(buf.failed);
	buf_release(&buf);
}
END_TEST

START_TEST(people_s_files_are_indented)
{
	struct all all;
	struct buf buf = { 0 };

	ck_assert_int_eq(read_text(&all, &none_record,
			     "{\"small\":1,\"parts\":[{\"commit_qty\":2,"
			     "\"words\":[\"a\",\"b\"]},{\"commit_qty\":3}]}"),
	    0);
	record_write_json_pretty(&buf, &none_record, &all);
	ck_assert_str_eq(buf_text(&buf),
	    "{\n"
	    "  \"small\": 1,\n"
	    "  \"parts\": [\n"
	    "    {\n"
	    "      \"commit_qty\": 2,\n"
	    "      \"words\": [\n"
	    "        \"a\",\n"
	    "        \"b\"\n"
	    "      ]\n"
	    "    },\n"
	    "    {\n"
	    "      \"commit_qty\": 3\n"
	    "    }\n"
	    "  ]\n"
	    "}");
	buf_clear(&buf);
	memset(&all, 0, sizeof(all));
	record_write_json_pretty(&buf, &none_record, &all);
	ck_assert_str_eq(buf_text(&buf), "{}");
	buf_release(&buf);
}
END_TEST

START_TEST(a_schema_says_what_the_table_says)
{
	struct buf buf = { 0 };

	record_write_schema(&buf, &part_record);
	ck_assert_str_eq(buf_text(&buf),
	    "{\"type\":\"object\",\"description\":\"A part.\","
	    "\"properties\":{\"commit_qty\":{\"type\":\"integer\","
	    "\"minimum\":0,\"maximum\":1000000},\"words\":{\"type\":\"array\","
	    "\"items\":{\"$ref\":\"#/components/schemas/word\"},"
	    "\"maxItems\":4}},\"required\":[\"commit_qty\"],"
	    "\"additionalProperties\":false}");
	buf_clear(&buf);
	record_write_schema(&buf, &word_record);
	ck_assert_str_eq(buf_text(&buf),
	    "{\"type\":\"string\",\"minLength\":1,\"maxLength\":7,"
	    "\"x-maxBytes\":7,"
	    "\"pattern\":\"^[^\\u0000-\\u001f\\u007f-\\u009f]*$\","
	    "\"description\":\"One word.\"}");
	buf_clear(&buf);
	record_write_schema(&buf, &void_record);
	ck_assert_str_eq(buf_text(&buf),
	    "{\"type\":\"object\",\"description\":\"Nothing.\","
	    "\"properties\":{},\"additionalProperties\":false}");
	buf_clear(&buf);
	record_write_schema(&buf, &all_record);
	ck_assert_int_eq(json_check((const char *)buf.data, buf.len, 8), 0);
	ck_assert_ptr_nonnull(strstr(buf_text(&buf),
	    "\"description\":\"A \\\"small\\\" number.\""));
	ck_assert_ptr_nonnull(strstr(buf_text(&buf),
	    "\"key\":{\"type\":\"string\",\"contentEncoding\":\"base64url\","
	    "\"pattern\":\"^[A-Za-z0-9_-]*$\",\"minLength\":6,"
	    "\"maxLength\":6}"));
	ck_assert_ptr_nonnull(
	    strstr(buf_text(&buf), "\"enum\":[\"red\",\"green\",\"blue\"]"));
	buf_release(&buf);
}
END_TEST

START_TEST(a_closure_names_each_record_once)
{
	const struct record *out[8];

	ck_assert_uint_eq(record_closure(out, 8, &all_record), 4);
	ck_assert_ptr_eq(out[0], &all_record);
	ck_assert_ptr_eq(out[1], &price_record);
	ck_assert_ptr_eq(out[2], &part_record);
	ck_assert_ptr_eq(out[3], &word_record);
	ck_assert_uint_eq(record_closure(out, 2, &all_record), 2);
	ck_assert_uint_eq(record_closure(out, 0, &all_record), 0);
	ck_assert_uint_eq(record_closure(out, 8, &loop_record), 1);
}
END_TEST

/* The fast step over plain text changes nothing. */
START_TEST(every_byte_at_every_place_of_a_text_is_judged_alike)
{
	char text[24];

	for (size_t len = 1; len <= sizeof(text); len++) {
		for (size_t at = 0; at < len; at++) {
			for (unsigned int byte = 0; byte < 256; byte++) {
				memset(text, 'a', len);
				text[at / 2] = '\\';
				text[at] = (char)byte;
				bool good = text_is_printable(text, len);

				ck_assert_int_eq(record_text_is_valid(
						     RECORD_TEXT, text, len),
				    good);
				good |= byte == '\n' || byte == '\t';
				ck_assert_int_eq(record_text_is_valid(
						     RECORD_STRING, text, len),
				    good);
			}
		}
	}
}
END_TEST

Suite *
suite(void)
{
	Suite *s = suite_create("record_made");
	TCase *t = tcase_create("record_made");

	tcase_add_checked_fixture(t, NULL, release);
	tcase_add_test(t, money_is_exact_in_the_currency_s_decimals);
	tcase_add_test(t, money_that_does_not_fit_is_refused);
	tcase_add_test(t, currencies_have_their_decimals);
	tcase_add_test(t, a_record_made_in_code_is_checked);
	tcase_add_test(t, an_amount_without_a_currency_is_not_written);
	tcase_add_test(t, people_s_files_are_indented);
	tcase_add_test(t, a_schema_says_what_the_table_says);
	tcase_add_test(t, a_closure_names_each_record_once);
	tcase_add_test(t, every_byte_at_every_place_of_a_text_is_judged_alike);
	suite_add_tcase(s, t);
	return s;
}
