/* appliance/front: HTTP on one side, a ledger on the other. */
#include "tests/unit/front_world.h"

#include "shared/record/json.h"
#include "tests/unit/suite.h"

/* What a site_view must have besides. */
#define SITE_REST .tenant = "default", .software = "leaseholdd 0"

static struct front_world world;
static struct visitor v;

static void
setup(void)
{
	memset(&world, 0, sizeof(world));
	front_world_open(&world);
}

static void
teardown(void)
{
	front_world_close(&world);
}

/* --- what the front answers itself --------------------------------------- */

START_TEST(health_is_good_and_readiness_is_the_ledgers)
{
	visitor_open(&v, &world);
	visitor_asks(&v, "GET", "/healthz", "", NULL);
	ck_assert_int_eq(visitor_hears(&v), 200);
	ck_assert(visitor_got(&v, "{\"status\":\"ok\"}"));
	visitor_asks(&v, "GET", "/readyz", "", NULL);
	ck_assert_int_eq(visitor_hears(&v), 503);
	ck_assert(visitor_got(&v, "application/problem+json"));
	ck_assert(visitor_got(&v, "\"code\":\"unavailable\""));
	ledger_says(&world, 1);
	int status = 0;

	for (int i = 0; i < 100 && status != 200; i++) {
		usleep(5000);
		visitor_asks(&v, "GET", "/readyz", "", NULL);
		status = visitor_hears(&v);
	}
	ck_assert_int_eq(status, 200);
	ck_assert(ledger_hears_nothing(&world));
	visitor_leave(&v);
}
END_TEST

START_TEST(the_description_is_json)
{
	visitor_open(&v, &world);
	visitor_asks(&v, "GET", "/api/v1/openapi.json", "", NULL);
	ck_assert_int_eq(visitor_hears(&v), 200);
	const char *body = strstr(v.text, "\r\n\r\n") + 4;

	ck_assert_int_eq(json_check(body, strlen(body), 32), 0);
	ck_assert_ptr_nonnull(strstr(body, "/api/v1/leases/{lease}"));
	visitor_leave(&v);
}
END_TEST

START_TEST(an_unknown_path_is_a_problem)
{
	visitor_open(&v, &world);
	visitor_asks(&v, "GET", "/api/v1/nothing", "", NULL);
	ck_assert_int_eq(visitor_hears(&v), 404);
	ck_assert(visitor_got(&v, "application/problem+json"));
	ck_assert(
	    visitor_got(&v, "\"type\":\"urn:leasehold:problem:not_found\""));
	ck_assert(visitor_got(&v, "\"title\":\""));
	ck_assert(visitor_got(&v, "\"status\":404"));
	ck_assert(visitor_got(&v, "\"hint\":\""));
	visitor_leave(&v);
}
END_TEST

START_TEST(a_wrong_method_is_told_the_right_ones)
{
	visitor_open(&v, &world);
	visitor_asks(&v, "PUT", "/api/v1/leases/7", "", "{}");
	ck_assert_int_eq(visitor_hears(&v), 405);
	ck_assert(visitor_got(&v, "Allow: GET, HEAD, DELETE, OPTIONS\r\n"));
	visitor_leave(&v);
}
END_TEST

START_TEST(a_body_that_cannot_be_read_is_a_problem)
{
	visitor_open(&v, &world);
	visitor_asks(&v, "POST", "/api/v1/licenses",
	    "Transfer-Encoding: chunked\r\n", NULL);
	ck_assert_int_eq(visitor_hears(&v), 411);
	ck_assert(visitor_got(&v, "\"code\":\"bad_request\""));
	visitor_leave(&v);
	visitor_open(&v, &world);
	visitor_asks(&v, "POST", "/api/v1/licenses",
	    "Content-Length: 2000000\r\n", NULL);
	ck_assert_int_eq(visitor_hears(&v), 413);
	ck_assert(visitor_got(&v, "\"code\":\"too_large\""));
	visitor_leave(&v);
}
END_TEST

/* --- calls --------------------------------------------------------------- */

START_TEST(a_call_reaches_the_ledger_with_its_credentials)
{
	struct wire_caller caller;
	struct lease_ref request;
	struct lease_view reply = { .lease = 7,
		.count = 1,
		.product = "configurator",
		.license = 1,
		.device = 1 };

	visitor_open(&v, &world);
	visitor_asks(&v, "GET", "/api/v1/leases/7",
	    "Authorization: bearer clsk_default_abc\r\n"
	    "Idempotency-Key: again-1\r\nX-Hostname: ci-7\r\n"
	    "X-App-Fingerprint: 00112233445566778899aabbccddeeff"
	    "00112233445566778899AABBCCDDEEFF\r\nX-Lib-Version: 2.1\r\n",
	    NULL);
	ledger_hears(&world, WIRE_CALL);
	ck_assert_int_eq(world.heard.op, OP_LEASE_SHOW);
	ledger_reads_call(&world, &caller, &lease_ref_record, &request);
	ck_assert_uint_eq(request.lease, 7);
	ck_assert_uint_eq(caller.key.len, strlen("clsk_default_abc"));
	ck_assert_mem_eq(caller.key.data, "clsk_default_abc", caller.key.len);
	ck_assert_str_eq(caller.address, "127.0.0.1");
	ck_assert_str_eq(caller.host, "localhost");
	ck_assert_str_eq(caller.idempotency_key, "again-1");
	ck_assert_str_eq(caller.hostname, "ci-7");
	ck_assert_str_eq(caller.lib_version, "2.1");
	ck_assert_uint_eq(caller.fingerprint[1], 0x11);
	ck_assert_uint_eq(caller.fingerprint[31], 0xff);
	ledger_replies(&world, &lease_view_record, &reply);
	ck_assert_int_eq(visitor_hears(&v), 200);
	ck_assert(visitor_got(&v, "Content-Type: application/json\r\n"));
	ck_assert(visitor_got(&v, "\"product\":\"configurator\""));
	visitor_leave(&v);
}
END_TEST

START_TEST(parameters_of_the_query_are_decoded)
{
	struct wire_caller caller;
	struct lease_query request;
	struct lease_page reply = { 0 };

	visitor_open(&v, &world);
	visitor_asks(&v, "GET",
	    "/api/v1/leases?product=a%26b%20c&limit=25"
	    "&after=TAAAAAAAAAyAecNq",
	    "", NULL);
	ledger_hears(&world, WIRE_CALL);
	ck_assert_int_eq(world.heard.op, OP_LEASE_LIST);
	ledger_reads_call(&world, &caller, &lease_query_record, &request);
	ck_assert_str_eq(request.product, "a&b c");
	ck_assert_uint_eq(request.limit, 25);
	ck_assert_uint_eq(request.after, 12);
	ck_assert_uint_eq(caller.key.len, 0);
	ledger_replies(&world, &lease_page_record, &reply);
	ck_assert_int_eq(visitor_hears(&v), 200);
	visitor_leave(&v);
}
END_TEST

static void
expect_bad(const char *method, const char *path, const char *headers,
    const char *body, int status, const char *words)
{
	visitor_open(&v, &world);
	visitor_asks(&v, method, path, headers, body);
	ck_assert_int_eq(visitor_hears(&v), status);
	ck_assert(visitor_got(&v, "application/problem+json"));
	ck_assert_msg(visitor_got(&v, words), "answer is %s", v.text);
	ck_assert(ledger_hears_nothing(&world));
	visitor_leave(&v);
}

#define AS_JSON "Content-Type: application/json; charset=utf-8\r\n"

START_TEST(an_unknown_parameter_is_refused_by_name)
{
	expect_bad("GET", "/api/v1/leases?limit=1&colour=red", "", NULL, 400,
	    "\"field\":\"colour\"");
}
END_TEST

START_TEST(a_doubled_parameter_is_refused_by_name)
{
	expect_bad("GET", "/api/v1/leases?limit=1&limit=2", "", NULL, 400,
	    "\"field\":\"limit\"");
}
END_TEST

START_TEST(a_cursor_of_another_list_is_refused_by_name)
{
	/* Of devices; with a slip; no cursor at all. */
	expect_bad("GET", "/api/v1/devices?after=TAAAAAAAAAyAecNq", "", NULL,
	    400, "\"field\":\"after\"");
	expect_bad("GET", "/api/v1/leases?after=TAAAAAAAAA2AecNq", "", NULL,
	    400, "\"field\":\"after\"");
	expect_bad("GET", "/api/v1/leases?after=12", "", NULL, 400,
	    "\"field\":\"after\"");
}
END_TEST

START_TEST(an_answer_of_another_kind_than_accepted_is_406)
{
	expect_bad("GET", "/api/v1/leases", "Accept: text/html\r\n", NULL, 406,
	    "Accept");
	expect_bad("GET", "/api/v1/leases",
	    "Accept: text/html, application/json;q=0\r\n", NULL, 406, "Accept");
	expect_bad("GET", "/metrics", "Accept: application/json\r\n", NULL, 406,
	    "Accept");
}
END_TEST

START_TEST(a_body_cannot_say_again_what_the_path_says)
{
	expect_bad("POST", "/api/v1/devices/7/approve", AS_JSON,
	    "{\"device\":8}", 400, "\"field\":\"device\"");
	expect_bad("POST", "/api/v1/devices/7/approve", AS_JSON, "[]", 400,
	    "\"code\":\"bad_request\"");
	expect_bad("POST", "/api/v1/devices/7/approve", AS_JSON, "{},{}", 400,
	    "\"code\":\"bad_request\"");
	expect_bad("POST", "/api/v1/devices/7/approve?device=8", AS_JSON, "{}",
	    400, "not from a query");
}
END_TEST

START_TEST(an_id_is_taken_as_people_write_it)
{
	static const char *const paths[] = { "/api/v1/devices/7/approve",
		"/api/v1/devices/device-7/approve",
		"/api/v1/devices/vtpm-7/approve" };
	struct wire_caller caller;
	struct device_number request;
	struct device_number reply = { 7 };

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		visitor_open(&v, &world);
		visitor_asks(&v, "POST", paths[i], AS_JSON, " { } ");
		ledger_hears(&world, WIRE_CALL);
		ledger_reads_call(&world, &caller, &device_number_record,
		    &request);
		ck_assert_uint_eq(request.device, 7);
		ledger_replies(&world, &device_number_record, &reply);
		ck_assert_int_eq(visitor_hears(&v), 200);
		visitor_leave(&v);
	}
	expect_bad("GET", "/api/v1/devices/lease-7", "", NULL, 400,
	    "\"field\":\"device\"");
	expect_bad("GET", "/api/v1/devices/device-07", "", NULL, 400,
	    "\"field\":\"device\"");
	expect_bad("GET", "/api/v1/devices/device--7", "", NULL, 400,
	    "\"field\":\"device\"");
}
END_TEST

START_TEST(options_name_the_methods_and_no_origin)
{
	visitor_open(&v, &world);
	visitor_asks(&v, "OPTIONS", "/api/v1/leases/7",
	    "Origin: https://evil.example\r\n", NULL);
	ck_assert_int_eq(visitor_hears(&v), 200);
	ck_assert(visitor_got(&v, "Allow: GET, HEAD, DELETE, OPTIONS\r\n"));
	ck_assert(!visitor_got(&v, "Access-Control"));
	visitor_leave(&v);
}
END_TEST

START_TEST(a_number_that_is_none_is_refused_by_name)
{
	expect_bad("GET", "/api/v1/leases?limit=many", "", NULL, 400,
	    "\"field\":\"limit\"");
	expect_bad("GET", "/api/v1/leases?limit=007", "", NULL, 400,
	    "\"field\":\"limit\"");
}
END_TEST

START_TEST(a_parameter_cannot_smuggle_members_in)
{
	expect_bad("GET", "/api/v1/leases?limit=1%2C%22after%22%3A2", "", NULL,
	    400, "\"field\":\"limit\"");
}
END_TEST

START_TEST(a_path_parameter_must_fit)
{
	expect_bad("GET", "/api/v1/leases/seven", "", NULL, 400,
	    "\"field\":\"lease\"");
}
END_TEST

START_TEST(an_unknown_member_is_refused_by_name)
{
	expect_bad("POST", "/api/v1/devices/tokens", AS_JSON,
	    "{\"uses\":1,\"colour\":\"red\"}", 400, "\"field\":\"colour\"");
}
END_TEST

START_TEST(a_body_that_is_no_json_is_refused)
{
	expect_bad("POST", "/api/v1/devices/tokens", AS_JSON, "{\"uses\":", 400,
	    "\"code\":\"bad_request\"");
}
END_TEST

START_TEST(a_body_of_another_type_gets_415)
{
	expect_bad("POST", "/api/v1/devices/tokens",
	    "Content-Type: text/plain\r\n", "{\"uses\":1}", 415,
	    "application/json");
	expect_bad("POST", "/api/v1/devices/tokens", "", "{\"uses\":1}", 415,
	    "application/json");
}
END_TEST

START_TEST(a_get_takes_no_body)
{
	expect_bad("GET", "/api/v1/leases", AS_JSON, "{\"limit\":1}", 400,
	    "takes no body");
}
END_TEST

START_TEST(parameters_beside_a_body_are_refused)
{
	expect_bad("POST", "/api/v1/devices/tokens?uses=1", AS_JSON,
	    "{\"uses\":1}", 400, "not from a query");
}
END_TEST

START_TEST(another_scheme_than_bearer_gets_401)
{
	expect_bad("GET", "/api/v1/site", "Authorization: Basic YTpi\r\n", NULL,
	    401, "WWW-Authenticate: Bearer");
}
END_TEST

START_TEST(too_long_a_header_is_refused)
{
	char headers[400];

	snprintf(headers, sizeof(headers), "Idempotency-Key: %0200d\r\n", 7);
	expect_bad("GET", "/api/v1/site", headers, NULL, 400,
	    "Idempotency-Key");
}
END_TEST

START_TEST(a_fingerprint_that_is_no_sha256_is_refused)
{
	expect_bad("GET", "/api/v1/site", "X-App-Fingerprint: 0011\r\n", NULL,
	    400, "X-App-Fingerprint");
	expect_bad("GET", "/api/v1/site", "X-App-Fingerprint: 0g\r\n", NULL,
	    400, "X-App-Fingerprint");
}
END_TEST

START_TEST(a_body_becomes_a_record_and_a_reply_has_its_status)
{
	struct wire_caller caller;
	struct join_create request;
	struct join_created reply = { .join = 3, .token = { "token", 5 } };

	visitor_open(&v, &world);
	visitor_asks(&v, "POST", "/api/v1/devices/tokens", AS_JSON,
	    "{\"uses\":3}");
	ledger_hears(&world, WIRE_CALL);
	ck_assert_int_eq(world.heard.op, OP_JOIN_CREATE);
	ledger_reads_call(&world, &caller, &join_create_record, &request);
	ck_assert_uint_eq(request.uses, 3);
	ledger_replies(&world, &join_created_record, &reply);
	ck_assert_int_eq(visitor_hears(&v), 201);
	ck_assert(visitor_got(&v, "\"join\":3,\"token\":\"token\""));
	visitor_leave(&v);
}
END_TEST

START_TEST(a_refusal_has_its_status_and_hint)
{
	visitor_open(&v, &world);
	visitor_asks(&v, "GET", "/api/v1/site", "", NULL);
	ledger_hears(&world, WIRE_CALL);
	ledger_refuses(&world, ERR_UNAUTHENTICATED, "log in first");
	ck_assert_int_eq(visitor_hears(&v), 401);
	ck_assert(visitor_got(&v, "WWW-Authenticate: Bearer"));
	ck_assert(visitor_got(&v, "\"code\":\"unauthenticated\""));
	ck_assert(visitor_got(&v, "\"hint\":\"log in first\""));
	visitor_asks(&v, "GET", "/api/v1/site", "", NULL);
	ledger_hears(&world, WIRE_CALL);
	ledger_refuses(&world, ERR_FORBIDDEN, NULL);
	ck_assert_int_eq(visitor_hears(&v), 403);
	visitor_leave(&v);
}
END_TEST

START_TEST(an_answer_for_another_call_is_dropped)
{
	struct site_view wrong = { .site = "wrong", SITE_REST };
	struct site_view right = { .site = "right", SITE_REST };

	visitor_open(&v, &world);
	visitor_asks(&v, "GET", "/api/v1/site", "", NULL);
	ledger_hears(&world, WIRE_CALL);
	world.heard.tag++;
	ledger_replies(&world, &site_view_record, &wrong);
	world.heard.tag--;
	ledger_replies(&world, &site_view_record, &right);
	ck_assert_int_eq(visitor_hears(&v), 200);
	ck_assert(visitor_got(&v, "\"site\":\"right\""));
	/* And one to many. */
	ledger_replies(&world, &site_view_record, &wrong);
	visitor_asks(&v, "GET", "/healthz", "", NULL);
	ck_assert_int_eq(visitor_hears(&v), 200);
	ck_assert(!visitor_got(&v, "wrong"));
	visitor_leave(&v);
}
END_TEST

/* Its connection was ended while it was made, as after NET_ANSWER_S: the ledger
 * would keep it until this front ends. */
START_TEST(a_long_document_that_nobody_waits_for_is_left)
{
	const struct billing_document document = { .format = BILLING_AS_CSV,
		.data = { "a,b\r\n", 5 },
		.more = true };

	visitor_open(&v, &world);
	visitor_asks(&v, "GET",
	    "/api/v1/billing/"
	    "overage?start_date=2026-01-01&end_date=2026-01-31",
	    "Authorization: Bearer clsk_a\r\n", NULL);
	ledger_hears(&world, WIRE_CALL);
	const uint64_t conn = world.heard.conn, tag = world.heard.tag;

	world.heard.tag = tag + 1000;
	ledger_replies(&world, &billing_document_record, &document);
	ledger_hears(&world, WIRE_ABANDONED);
	ck_assert_uint_eq(world.heard.op, OP_BILLING_OVERAGE);
	ck_assert_uint_eq(world.heard.conn, conn);
	ck_assert_uint_eq(world.heard.tag, tag + 1000);
	/* Whoever waits gets his: the next piece is asked for. */
	world.heard.tag = tag;
	ledger_replies(&world, &billing_document_record, &document);
	ledger_hears(&world, WIRE_MORE);
	ck_assert_uint_eq(world.heard.tag, tag);
	visitor_leave(&v);
}
END_TEST

START_TEST(a_head_request_leaves_a_long_document)
{
	const struct billing_document document = { .format = BILLING_AS_CSV,
		.data = { "a,b\r\n", 5 },
		.more = true };

	visitor_open(&v, &world);
	visitor_asks(&v, "HEAD",
	    "/api/v1/billing/"
	    "overage?start_date=2026-01-01&end_date=2026-01-31",
	    "Authorization: Bearer clsk_a\r\n", NULL);
	ledger_hears(&world, WIRE_CALL);
	ledger_replies(&world, &billing_document_record, &document);
	ledger_hears(&world, WIRE_ABANDONED);
	ck_assert_uint_eq(world.heard.op, OP_BILLING_OVERAGE);
	/* Nothing of it is taken for the next answer. */
	visitor_asks(&v, "GET", "/healthz", "Connection: close\r\n", NULL);
	while (visitor_hears(&v) != 0)
		ck_assert(!visitor_got(&v, "a,b"));
	visitor_leave(&v);
}
END_TEST

START_TEST(a_head_request_is_a_get_without_a_body)
{
	visitor_open(&v, &world);
	visitor_asks(&v, "HEAD", "/healthz", "Connection: close\r\n", NULL);
	while (SSL_read(v.ssl, v.text + v.len, 1) == 1)
		v.text[++v.len] = '\0';
	ck_assert(visitor_got(&v, "HTTP/1.1 200"));
	ck_assert(visitor_got(&v, "Content-Length: 15\r\n"));
	ck_assert(!visitor_got(&v, "status"));
	visitor_leave(&v);
}
END_TEST

static TCase *
call_case(void)
{
	TCase *call = tcase_create("front");

	tcase_add_checked_fixture(call, setup, teardown);
	tcase_set_timeout(call, 30);
	tcase_add_test(call, health_is_good_and_readiness_is_the_ledgers);
	tcase_add_test(call, the_description_is_json);
	tcase_add_test(call, an_unknown_path_is_a_problem);
	tcase_add_test(call, a_wrong_method_is_told_the_right_ones);
	tcase_add_test(call, a_body_that_cannot_be_read_is_a_problem);
	tcase_add_test(call, a_call_reaches_the_ledger_with_its_credentials);
	tcase_add_test(call, parameters_of_the_query_are_decoded);
	tcase_add_test(call, an_unknown_parameter_is_refused_by_name);
	tcase_add_test(call, a_doubled_parameter_is_refused_by_name);
	tcase_add_test(call, a_number_that_is_none_is_refused_by_name);
	tcase_add_test(call, a_cursor_of_another_list_is_refused_by_name);
	tcase_add_test(call, an_answer_of_another_kind_than_accepted_is_406);
	tcase_add_test(call, a_body_cannot_say_again_what_the_path_says);
	tcase_add_test(call, an_id_is_taken_as_people_write_it);
	tcase_add_test(call, options_name_the_methods_and_no_origin);
	tcase_add_test(call, a_parameter_cannot_smuggle_members_in);
	tcase_add_test(call, a_path_parameter_must_fit);
	tcase_add_test(call, an_unknown_member_is_refused_by_name);
	tcase_add_test(call, a_body_that_is_no_json_is_refused);
	tcase_add_test(call, a_body_of_another_type_gets_415);
	tcase_add_test(call, a_get_takes_no_body);
	tcase_add_test(call, parameters_beside_a_body_are_refused);
	tcase_add_test(call, another_scheme_than_bearer_gets_401);
	tcase_add_test(call, too_long_a_header_is_refused);
	tcase_add_test(call, a_fingerprint_that_is_no_sha256_is_refused);
	tcase_add_test(call,
	    a_body_becomes_a_record_and_a_reply_has_its_status);
	tcase_add_test(call, a_refusal_has_its_status_and_hint);
	tcase_add_test(call, an_answer_for_another_call_is_dropped);
	tcase_add_test(call, a_long_document_that_nobody_waits_for_is_left);
	tcase_add_test(call, a_head_request_leaves_a_long_document);
	tcase_add_test(call, a_head_request_is_a_get_without_a_body);
	return call;
}

Suite *
suite(void)
{
	Suite *front = suite_create("front");

	suite_add_tcase(front, call_case());
	return front;
}
