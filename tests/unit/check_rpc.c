/* Envelopes, the table of operations, routes, and what is made of them. */
#include "shared/rpc/local.h"
#include "shared/rpc/operations.h"
#include "shared/rpc/rpc.h"

#include "shared/base/err.h"
#include "shared/record/json.h"
#include "tests/unit/suite.h"

#include <stdio.h>
#include <string.h>

static int
read_text(struct rpc_envelope *envelope, const char *text)
{
	struct record_error error;

	return rpc_read(envelope, text, strlen(text), &error);
}

START_TEST(request_is_taken_apart)
{
	struct rpc_envelope envelope;

	ck_assert_int_eq(read_text(&envelope,
			     " {\"params\": {\"a\": [1, {\"b\": \"}\"}]} , "
			     "\"id\":7,\"method\":\"lease.renew\","
			     "\"jsonrpc\":\"2.0\"}\n"),
	    0);
	ck_assert_uint_eq(envelope.id, 7);
	ck_assert_uint_eq(envelope.method_len, 11);
	ck_assert_mem_eq(envelope.method, "lease.renew", 11);
	ck_assert_uint_eq(envelope.params_len,
	    strlen("{\"a\": [1, {\"b\": \"}\"}]}"));
	ck_assert_mem_eq(envelope.params, "{\"a\": [1, {\"b\": \"}\"}]}",
	    envelope.params_len);
	ck_assert_ptr_null(envelope.result);
}
END_TEST

START_TEST(notice_has_no_id)
{
	struct rpc_envelope envelope;

	ck_assert_int_eq(read_text(&envelope,
			     "{\"jsonrpc\":\"2.0\",\"method\":\"x\"}"),
	    0);
	ck_assert_uint_eq(envelope.id, 0);
	ck_assert_ptr_null(envelope.params);
}
END_TEST

static const char *const broken[] = {
	"",
	"[]",
	"1",
	"{",
	"{}",
	"{\"jsonrpc\":\"2.0\"}",
	"{\"jsonrpc\":\"2.0\",\"id\":1}",
	"{\"jsonrpc\":\"1.0\",\"id\":1,\"method\":\"x\"}",
	"{\"jsonrpc\":2.0,\"id\":1,\"method\":\"x\"}",
	"{\"id\":1,\"method\":\"x\"}",
	"{\"jsonrpc\":\"2.0\",\"id\":0,\"method\":\"x\"}",
	"{\"jsonrpc\":\"2.0\",\"id\":-1,\"method\":\"x\"}",
	"{\"jsonrpc\":\"2.0\",\"id\":1.5,\"method\":\"x\"}",
	"{\"jsonrpc\":\"2.0\",\"id\":\"1\",\"method\":\"x\"}",
	"{\"jsonrpc\":\"2.0\",\"id\":null,\"method\":\"x\"}",
	"{\"jsonrpc\":\"2.0\",\"id\":9007199254740992,\"method\":\"x\"}",
	"{\"jsonrpc\":\"2.0\",\"id\":1,\"id\":1,\"method\":\"x\"}",
	"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"x\",\"extra\":1}",
	"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\"}",
	"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"a\\u0062\"}",
	"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"x\",\"params\":[]}",
	"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"x\",\"params\":null}",
	"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"x\",\"result\":{}}",
	"{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{},\"error\":{}}",
	"{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{},\"params\":{}}",
	"{\"jsonrpc\":\"2.0\",\"id\":null,\"result\":{}}",
	"{\"jsonrpc\":\"2.0\",\"result\":{}}",
	"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"x\"} x",
	"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"x\"}{}",
	"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"x\",\"params\":{\"a\":}}",
	"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"x\",\"params\":{\"a\":1}",
};

START_TEST(broken_envelope_is_refused)
{
	struct rpc_envelope envelope;

	ck_assert_msg(read_text(&envelope, broken[_i]) == ERR_BAD_REQUEST, "%s",
	    broken[_i]);
}
END_TEST

START_TEST(refusal_can_name_the_id)
{
	struct rpc_envelope envelope;

	ck_assert_int_eq(read_text(&envelope,
			     "{\"jsonrpc\":\"2.0\",\"id\":12,\"method\":3}"),
	    ERR_BAD_REQUEST);
	ck_assert_uint_eq(envelope.id, 12);
}
END_TEST

START_TEST(what_is_written_reads_back)
{
	struct renew_item item = { .lease = 9 }, back;
	struct rpc_envelope envelope;
	struct arena arena = { 0 };
	struct buf text = { 0 };

	memset(item.nonce, 7, sizeof(item.nonce));
	rpc_write_request(&text, 3, "lease.renew", &renew_item_record, &item);
	ck_assert_int_eq(read_text(&envelope, buf_text(&text)), 0);
	ck_assert_uint_eq(envelope.id, 3);
	ck_assert_int_eq(record_read_json(&back, &renew_item_record,
			     envelope.params, envelope.params_len, &arena,
			     NULL),
	    0);
	ck_assert_mem_eq(&item, &back, sizeof(item));
	buf_clear(&text);
	rpc_write_result(&text, 4, &renew_item_record, &item);
	ck_assert_int_eq(read_text(&envelope, buf_text(&text)), 0);
	ck_assert_ptr_null(envelope.method);
	ck_assert_int_eq(record_read_json(&back, &renew_item_record,
			     envelope.result, envelope.result_len, &arena,
			     NULL),
	    0);
	ck_assert_uint_eq(back.lease, 9);
	buf_clear(&text);
	rpc_write_request(&text, 0, "lease.revoked", &renew_item_record, &item);
	ck_assert_ptr_null(strstr(buf_text(&text), "\"id\""));
	buf_release(&text);
	arena_release(&arena);
}
END_TEST

START_TEST(every_refusal_survives_the_wire)
{
#define X(name, value, code, text) name,
	static const int all[] = { ERR_LIST(X) };
#undef X
	struct buf text = { 0 };

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		struct problem problem, back;
		struct rpc_envelope envelope;

		if (all[i] > ERR_UNAUTHENTICATED)
			continue; /* faults travel as what they mean */
		problem_set(&problem, all[i], "type this", NULL);
		buf_clear(&text);
		rpc_write_error(&text, 5, all[i], &problem);
		ck_assert_int_eq(read_text(&envelope, buf_text(&text)), 0);
		ck_assert_int_eq(rpc_read_error(&back, envelope.error,
				     envelope.error_len),
		    all[i]);
		ck_assert_mem_eq(&problem, &back, sizeof(problem));
	}
	buf_release(&text);
}
END_TEST

START_TEST(error_without_an_id_says_null)
{
	struct problem problem;
	struct rpc_envelope envelope;
	struct buf text = { 0 };

	problem_set(&problem, ERR_BAD_REQUEST, NULL, "not JSON");
	rpc_write_error(&text, 0, RPC_PARSE, &problem);
	ck_assert_ptr_nonnull(strstr(buf_text(&text), "\"id\":null"));
	ck_assert_ptr_nonnull(strstr(buf_text(&text), "-32700"));
	ck_assert_int_eq(read_text(&envelope, buf_text(&text)), 0);
	ck_assert_uint_eq(envelope.id, 0);
	ck_assert_ptr_nonnull(envelope.error);
	buf_release(&text);
}
END_TEST

START_TEST(words_of_strangers_are_made_harmless)
{
	static const char error[] =
	    "{\"code\":-32049,\"message\":\"m\",\"data\":{\"new\":[1,{}],"
	    "\"detail\":\"a\\u001b[31m\\nb\",\"code\":\"no_seats\","
	    "\"hint\":\"\\u00e4\"}}";
	struct problem problem;
	struct buf packed = { 0 };

	ck_assert_int_eq(rpc_read_error(&problem, error, strlen(error)),
	    ERR_NO_SEATS);
	ck_assert_str_eq(problem.detail, "a?[31m?b");
	ck_assert_str_eq(problem.hint, "\xc3\xa4");
	ck_assert_int_eq(record_check(&problem_record, &problem, NULL), 0);
	buf_release(&packed);
}
END_TEST

START_TEST(long_words_are_cut_at_a_character)
{
	struct buf text = { 0 };
	struct problem problem;
	const char *error;

	buf_add_str(&text,
	    "{\"code\":1,\"message\":\"\",\"data\":{\"detail\":\"");
	for (int i = 0; i < 200; i++)
		buf_add_str(&text, "\xc3\xa4");
	buf_add_str(&text, "\",\"code\":\"gone\"}}");
	error = buf_text(&text);
	ck_assert_int_eq(rpc_read_error(&problem, error, strlen(error)),
	    ERR_GONE);
	ck_assert_uint_eq(strlen(problem.detail), 254);
	ck_assert_int_eq(record_check(&problem_record, &problem, NULL), 0);
	problem_set(&problem, ERR_GONE, NULL, "%s", error + 45);
	ck_assert_int_eq(record_check(&problem_record, &problem, NULL), 0);
	buf_release(&text);
}
END_TEST

START_TEST(malformed_error_is_unavailable)
{
	struct problem problem;

	ck_assert_int_eq(rpc_read_error(&problem, "{\"code\":", 8),
	    ERR_UNAVAILABLE);
	ck_assert_int_eq(rpc_read_error(&problem, "{}", 2), ERR_BAD_REQUEST);
}
END_TEST

/* --- operations ----------------------------------------------------------- */

START_TEST(every_id_has_its_row)
{
	ck_assert_ptr_null(operation_get(OP_NONE));
	ck_assert_ptr_null(operation_get(OPERATION_COUNT));
	for (uint32_t id = OP_NONE + 1; id < OPERATION_COUNT; id++) {
		const struct operation *op = operation_get(id);

		ck_assert_uint_eq(op->id, id);
		ck_assert_ptr_nonnull(op->request);
		ck_assert_ptr_nonnull(op->reply);
		ck_assert((op->method == NULL) == (op->path == NULL));
		ck_assert((op->scope != SCOPE_SESSION &&
			      op->scope != SCOPE_DEVICE) == (op->path != NULL));
		ck_assert(op->scope < SCOPE_COUNT);
		ck_assert(
		    op->scope <= SCOPE_DEVICE || scope_name(op->scope) != NULL);
	}
}
END_TEST

/* Those that are not done once by their Idempotency-Key, and why that is as
 * good. test_repeat.py asks each operation twice. */
static const struct {
	enum operation_id id;
	enum operation_repeat repeat;
} repeats[] = {
	{ OP_SEAT_CHECKOUT, REPEAT_ROW }, /* the key is the request's id */
	{ OP_SEAT_RETURN, REPEAT_SAME }, /* it has ended already */
	{ OP_SEAT_RENEW, REPEAT_SAME }, /* until later, no more */
	{ OP_SEAT_CANCEL, REPEAT_SAME }, /* it does not wait */
	{ OP_QUEUE_REMOVE, REPEAT_SAME }, /* he does not wait any more */
	{ OP_POLICY_REVOKE, REPEAT_SAME }, /* it is due no later */
	{ OP_SITE_KEY_REVOKE, REPEAT_SAME }, /* it is ended */
	{ OP_ROLLBACK_ACKNOWLEDGE, REPEAT_SAME }, /* nothing is left */
	{ OP_TENANT_CREATE, REPEAT_SAME }, /* the name is taken */
	{ OP_TENANT_CHANGE, REPEAT_SAME }, /* to what it is already */
	{ OP_TENANT_DELETE, REPEAT_SAME }, /* it is gone */
	{ OP_SESSION_END, REPEAT_SAME },
	{ OP_SESSION_REVOKE, REPEAT_SAME },
	{ OP_BACKUP_END, REPEAT_SAME },
	{ OP_EXPORT_END, REPEAT_SAME },
	{ OP_RESTORE_PUT, REPEAT_SAME }, /* the same bytes at their place */
	{ OP_RESTORE_END, REPEAT_SAME }, /* it was put in place: gone */
	{ OP_RESTORE_DROP, REPEAT_SAME },
	{ OP_UPDATE_BEGIN, REPEAT_SAME }, /* it goes on where it was cut */
	{ OP_UPDATE_PUT, REPEAT_SAME }, /* the same bytes at their place */
	{ OP_UPDATE_INSTALL, REPEAT_SAME }, /* it is under way */
	{ OP_UPDATE_USB, REPEAT_SAME },
	{ OP_UPDATE_DROP, REPEAT_SAME },
	{ OP_MAINTENANCE_OPEN, REPEAT_SAME }, /* it opens once */
	{ OP_USAGE_TRACK, REPEAT_SAME }, /* an event counts once */
	{ OP_LICENSE_CHANGE, REPEAT_SAME }, /* its revision is in force */
	{ OP_AUDIT_REBUILD, REPEAT_SAME }, /* it is made of the journal */
	{ OP_HUB_GENERATE, REPEAT_SAME }, /* once for each opportunity */
	{ OP_HUB_PROVISION, REPEAT_SAME }, /* it is issued */
	{ OP_HUB_LICENSE_RENEW, REPEAT_SAME }, /* it ends on that day */
	{ OP_HUB_LICENSE_SUSPEND, REPEAT_SAME }, /* it is suspended */
	{ OP_HUB_LICENSE_RESUME, REPEAT_SAME }, /* it is not */
	{ OP_HUB_LICENSE_CANCEL, REPEAT_SAME }, /* it is cancelled */
	{ OP_CUSTOMER_ADD, REPEAT_SAME }, /* the id is taken */
	{ OP_CUSTOMER_SET, REPEAT_SAME }, /* to what it is already */
	{ OP_TENANT_REGISTER, REPEAT_SAME }, /* it waits to be verified */
	{ OP_TENANT_VERIFY, REPEAT_SAME }, /* it is verified */
	{ OP_HUB_SITE_ADD, REPEAT_SAME }, /* it is known */
	{ OP_HUB_REISSUE, REPEAT_SAME }, /* it has that key */
	{ OP_HUB_KEY_MAKE, REPEAT_SAME }, /* one waits already */
	{ OP_HUB_KEY_INSTALL, REPEAT_SAME }, /* it is that word */
	{ OP_HUB_IMAGE_ADD, REPEAT_SAME }, /* it is known */
	{ OP_HUB_IMAGE_REMOVE, REPEAT_SAME }, /* it is gone */
	{ OP_BILLING_CREDIT_ADD, REPEAT_SAME }, /* its id is known */
	{ OP_BILLING_INVOICE_ADD, REPEAT_SAME }, /* one for a month */
	{ OP_JOURNAL_PRUNE, REPEAT_SAME }, /* what is old is gone */
	/* Copies and sessions end by themselves. */
	{ OP_SYNC_EXPORT, REPEAT_ANEW },
	{ OP_SYNC_NOW, REPEAT_SAME }, /* it is under way */
	{ OP_HUB_REPORT_IMPORT, REPEAT_SAME },
	{ OP_HUB_REPORT_TAKE, REPEAT_ANEW }, /* nobody's key is kept for it */
	{ OP_RESTORE_BEGIN, REPEAT_ANEW },
	{ OP_BACKUP_BEGIN, REPEAT_ANEW },
	{ OP_TENANT_EXPORT, REPEAT_ANEW },
	{ OP_EXPORT_BEGIN, REPEAT_ANEW },
	{ OP_SESSION_CREATE, REPEAT_ANEW },
};

static enum operation_repeat
repeat_of(const struct operation *op)
{
	for (size_t i = 0; i < sizeof(repeats) / sizeof(repeats[0]); i++)
		if (repeats[i].id == op->id)
			return repeats[i].repeat;
	if (op->path == NULL)
		return REPEAT_AGENT;
	return strcmp(op->method, "GET") == 0 || op->kind == OPERATION_QUERY
	    ? REPEAT_READS
	    : REPEAT_ONCE;
}

START_TEST(what_is_asked_twice_is_done_once)
{
	for (uint32_t id = OP_NONE + 1; id < OPERATION_COUNT; id++) {
		const struct operation *op = operation_get(id);

		ck_assert_msg(op->repeat == repeat_of(op),
		    "%s: what does a repeat do?", op->name);
		/* Its record needs a commit to be part of. */
		ck_assert(
		    op->repeat != REPEAT_ONCE || op->kind == OPERATION_COMMAND);
		ck_assert(op->repeat != REPEAT_READS ||
		    op->kind != OPERATION_COMMAND);
		ck_assert(
		    (operation_repeat_name(op) == NULL) == (op->path == NULL));
	}
}
END_TEST

START_TEST(agents_find_only_their_own_operations)
{
	ck_assert_uint_eq(operation_by_name("lease.list", 10)->id,
	    OP_LEASE_MINE);
	ck_assert_uint_eq(operation_by_name("lease.checkout", 14)->id,
	    OP_LEASE_CHECKOUT);
	ck_assert_ptr_null(operation_by_name("lease.release", 13));
	ck_assert_ptr_null(operation_by_name("site.show", 9));
	ck_assert_ptr_null(operation_by_name("healthz", 7));
	ck_assert_ptr_null(operation_by_name("lease.checkou", 13));
	ck_assert_ptr_null(operation_by_name("", 0));
}
END_TEST

static const struct operation *
route(int *status, char *allow, struct operation_parameter *parameters,
    size_t *n, const char *method, const char *path)
{
	return operation_by_route(parameters, n, status, allow, 64, method,
	    path);
}

START_TEST(routes_find_their_operation)
{
	struct operation_parameter parameters[OPERATION_PARAMETERS_MAX];
	char allow[64];
	int status;
	size_t n;

	for (uint32_t id = OP_NONE + 1; id < OPERATION_COUNT; id++) {
		const struct operation *op = operation_get(id);
		char path[128], *brace;

		if (op->path == NULL)
			continue;
		strcpy(path, op->path);
		brace = strchr(path, '{');
		if (brace != NULL) {
			strcpy(brace, "17");
			strcat(path, strchr(op->path, '}') + 1);
		}
		ck_assert_ptr_eq(route(&status, allow, parameters, &n,
				     op->method, path),
		    op);
		ck_assert_uint_eq(n, brace != NULL);
		if (brace != NULL)
			ck_assert_mem_eq(parameters[0].value, "17", 2);
	}
}
END_TEST

START_TEST(parameters_are_named)
{
	struct operation_parameter parameters[OPERATION_PARAMETERS_MAX];
	char allow[64];
	int status;
	size_t n;

	route(&status, allow, parameters, &n, "GET", "/api/v1/leases/1042");
	ck_assert_uint_eq(n, 1);
	ck_assert_uint_eq(parameters[0].key_len, 5);
	ck_assert_mem_eq(parameters[0].key, "lease", 5);
	ck_assert_uint_eq(parameters[0].value_len, 4);
}
END_TEST

START_TEST(unknown_paths_are_404)
{
	static const char *const paths[] = { "/", "", "/api/v1", "/api/v1/",
		"/api/v1/leases/", "/api/v1/leases/1/2", "/api/v1/leases//",
		"/api/v2/leases", "/api/v1/leasesx", "//api/v1/leases",
		"/healthz/", "api/v1/leases" };
	struct operation_parameter parameters[OPERATION_PARAMETERS_MAX];
	char allow[64];
	size_t n;

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		int status = 0;

		ck_assert_msg(route(&status, allow, parameters, &n, "GET",
				  paths[i]) == NULL,
		    "%s", paths[i]);
		ck_assert_int_eq(status, 404);
	}
}
END_TEST

START_TEST(other_methods_are_405_and_named)
{
	struct operation_parameter parameters[OPERATION_PARAMETERS_MAX];
	char allow[64], tiny[6];
	int status;
	size_t n;

	ck_assert_ptr_null(
	    route(&status, allow, parameters, &n, "PUT", "/api/v1/leases/7"));
	ck_assert_int_eq(status, 405);
	ck_assert_str_eq(allow, "GET, HEAD, DELETE, OPTIONS");
	/* A literal path is not shadowed by the one with a parameter. */
	ck_assert_ptr_null(route(&status, allow, parameters, &n, "DELETE",
	    "/api/v1/devices/tokens"));
	ck_assert_int_eq(status, 405);
	ck_assert_str_eq(allow, "POST, GET, HEAD, OPTIONS");
	operation_by_route(parameters, &n, &status, tiny, sizeof(tiny), "PUT",
	    "/api/v1/leases/7");
	ck_assert_str_eq(tiny, "GET");
}
END_TEST

static size_t
count(const char *text, const char *word)
{
	size_t n = 0;

	for (const char *at = text; (at = strstr(at, word)) != NULL; at++)
		n++;
	return n;
}

START_TEST(openapi_names_every_http_operation_once)
{
	struct buf out = { 0 };
	char word[96];

	operations_write_openapi(&out, "0.1.0");
	const char *text = buf_text(&out);

	ck_assert(!out.failed);
	ck_assert_int_eq(json_check(text, out.len, 64), 0);
	for (uint32_t id = OP_NONE + 1; id < OPERATION_COUNT; id++) {
		const struct operation *op = operation_get(id);

		if (op->path == NULL)
			continue;
		snprintf(word, sizeof(word), "\"operationId\":\"%s\"",
		    op->name);
		ck_assert_uint_eq(count(text, word), 1);
		snprintf(word, sizeof(word), "\"%s\":{", op->path);
		ck_assert_uint_eq(count(text, word), 1);
		snprintf(word, sizeof(word), "\"%s\":{\"", op->reply->name);
		if (op->reply->n_fields > 0 && op->content_type == NULL)
			ck_assert_uint_ge(count(text, word), 1);
	}
	ck_assert_uint_ge(count(text, "\"license_vendor\":{"), 1);
	ck_assert_uint_eq(count(text, "\"crm_event\":{"), 1);
	ck_assert_uint_eq(count(text, "schemas/crm_event\""), 1);
	ck_assert_ptr_null(strstr(text, "session.hello"));
	buf_release(&out);
}
END_TEST

START_TEST(zero_uses_are_refused_and_none_is_one)
{
	struct join_create create;
	struct arena arena = { 0 };

	ck_assert_int_eq(record_read_json(&create, &join_create_record, "{}", 2,
			     &arena, NULL),
	    0);
	ck_assert_uint_eq(create.uses, 0);
	ck_assert_int_lt(record_read_json(&create, &join_create_record,
			     "{\"uses\":0}", 10, &arena, NULL),
	    0);
	arena_release(&arena);
}
END_TEST

START_TEST(local_operations_are_found)
{
	for (uint32_t id = LOCAL_NONE + 1; id < LOCAL_COUNT; id++) {
		const struct local_operation *op = local_get(id);

		ck_assert_ptr_nonnull(op);
		ck_assert_ptr_eq(local_by_name(op->name, strlen(op->name)), op);
		ck_assert(op->privileged == (id == LOCAL_ENROLL));
	}
	ck_assert_ptr_null(local_get(LOCAL_NONE));
	ck_assert_ptr_null(local_get(LOCAL_COUNT));
	ck_assert_ptr_null(local_by_name("session.hello", 13));
}
END_TEST

Suite *
suite(void)
{
	Suite *s = suite_create("rpc");
	TCase *envelopes = tcase_create("envelope");
	TCase *table = tcase_create("operations");

	tcase_add_test(envelopes, request_is_taken_apart);
	tcase_add_test(envelopes, notice_has_no_id);
	tcase_add_loop_test(envelopes, broken_envelope_is_refused, 0,
	    sizeof(broken) / sizeof(broken[0]));
	tcase_add_test(envelopes, refusal_can_name_the_id);
	tcase_add_test(envelopes, what_is_written_reads_back);
	tcase_add_test(envelopes, every_refusal_survives_the_wire);
	tcase_add_test(envelopes, error_without_an_id_says_null);
	tcase_add_test(envelopes, words_of_strangers_are_made_harmless);
	tcase_add_test(envelopes, long_words_are_cut_at_a_character);
	tcase_add_test(envelopes, malformed_error_is_unavailable);
	suite_add_tcase(s, envelopes);
	tcase_add_test(table, every_id_has_its_row);
	tcase_add_test(table, what_is_asked_twice_is_done_once);
	tcase_add_test(table, agents_find_only_their_own_operations);
	tcase_add_test(table, routes_find_their_operation);
	tcase_add_test(table, parameters_are_named);
	tcase_add_test(table, unknown_paths_are_404);
	tcase_add_test(table, other_methods_are_405_and_named);
	tcase_add_test(table, openapi_names_every_http_operation_once);
	tcase_add_test(table, zero_uses_are_refused_and_none_is_one);
	tcase_add_test(table, local_operations_are_found);
	suite_add_tcase(s, table);
	return s;
}
