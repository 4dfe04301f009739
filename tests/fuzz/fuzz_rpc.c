/* Every operation's records, as the front and the uplink read them from
 * strangers: JSON in an envelope becomes a record, MessagePack, and the same
 * again. The first byte picks the operation, the second the side. */
#include "tests/fuzz/fuzz.h"

#include "shared/record/json.h"
#include "shared/rpc/local.h"
#include "shared/rpc/operations.h"
#include "shared/rpc/rpc.h"

/* What is read must say the same, whichever way it travels. */
static void
travel(const struct record *record, const char *text, size_t len)
{
	struct arena arena = { .max_bytes = (size_t)16 << 20 };
	struct buf json = { 0 }, packed = { 0 }, again = { 0 };
	struct record_error error = { 0 };
	void *value = calloc(1, record->size > 0 ? record->size : 1);

	fuzz_must(value != NULL);
	if (record_read_json(value, record, text, len, &arena, &error) != 0) {
		fuzz_must(memchr(error.field, '\0', sizeof(error.field)));
		fuzz_must(memchr(error.reason, '\0', sizeof(error.reason)));
		goto out;
	}
	fuzz_must(record_check(record, value, NULL) == 0);
	record_write_msgpack(&packed, record, value);
	record_write_json(&json, record, value);
	fuzz_must(!packed.failed && !json.failed);
	size_t used = 0;

	fuzz_must(record_read_msgpack(value, record, packed.data, packed.len,
		      &used, &arena, NULL) == 0);
	fuzz_must(used == packed.len);
	record_write_json(&again, record, value);
	fuzz_must(again.len == json.len &&
	    memcmp(again.data, json.data, json.len) == 0);
	fuzz_must(record_read_json(value, record, (char *)json.data, json.len,
		      &arena, NULL) == 0);
out:
	free(value);
	buf_release(&json);
	buf_release(&packed);
	buf_release(&again);
	arena_release(&arena);
}

static void
check_within(const char *part, size_t len, const char *text, size_t size)
{
	if (part == NULL)
		return;
	fuzz_must(
	    part >= text && len <= size && (size_t)(part - text) <= size - len);
	fuzz_must(json_check(part, len, RECORD_DEPTH_MAX + 1) == 0);
}

static void
take_envelope(const char *text, size_t size, uint8_t pick)
{
	struct rpc_envelope envelope;
	struct record_error error = { 0 };

	if (rpc_read(&envelope, text, size, &error) != 0)
		return;
	check_within(envelope.params, envelope.params_len, text, size);
	check_within(envelope.result, envelope.result_len, text, size);
	check_within(envelope.error, envelope.error_len, text, size);
	if (envelope.error != NULL) {
		struct problem problem;

		fuzz_must(rpc_read_error(&problem, envelope.error,
			      envelope.error_len) < 0);
		fuzz_must(record_check(&problem_record, &problem, NULL) == 0);
	}
	if (envelope.method == NULL) {
		const struct operation *op =
		    operation_get(1 + pick % (OPERATION_COUNT - 1));

		if (envelope.result != NULL && op != NULL)
			travel(op->reply, envelope.result, envelope.result_len);
		return;
	}
	const struct operation *op =
	    operation_by_name(envelope.method, envelope.method_len);
	const struct local_operation *local =
	    local_by_name(envelope.method, envelope.method_len);

	if (envelope.params == NULL)
		return;
	if (op != NULL)
		travel(op->request, envelope.params, envelope.params_len);
	if (local != NULL)
		travel(local->request, envelope.params, envelope.params_len);
}

static void
take_path(const uint8_t *data, size_t size)
{
	static const char *const methods[] = { "GET", "POST", "PUT", "DELETE",
		"HEAD", "" };
	struct operation_parameter parameters[OPERATION_PARAMETERS_MAX];
	char allow[64], path[512];
	size_t n = 0;
	int status = 0;

	if (size >= sizeof(path))
		size = sizeof(path) - 1;
	memcpy(path, data, size);
	path[size] = '\0';
	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
		const struct operation *op = operation_by_route(parameters, &n,
		    &status, allow, sizeof(allow), methods[i], path);

		if (op == NULL) {
			fuzz_must(status == 404 || status == 405);
			continue;
		}
		fuzz_must(n <= OPERATION_PARAMETERS_MAX);
		for (size_t j = 0; j < n; j++)
			fuzz_must(parameters[j].value >= path &&
			    parameters[j].value + parameters[j].value_len <=
				path + size);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input input = { data, size };
	uint8_t pick = fuzz_byte(&input), side = fuzz_byte(&input);
	const struct operation *op =
	    operation_get(1 + pick % (OPERATION_COUNT - 1));
	const struct local_operation *local =
	    local_get(1 + (uint32_t)pick % (LOCAL_COUNT - 1));
	const char *text = (const char *)input.data;

	switch (side % 6) {
	case 0:
		take_envelope(text, input.size, pick);
		break;
	case 1:
		travel(op->request, text, input.size);
		break;
	case 2:
		travel(op->reply, text, input.size);
		break;
	case 3:
		travel(local->request, text, input.size);
		break;
	case 4:
		travel(local->reply, text, input.size);
		break;
	case 5:
		take_path(input.data, input.size);
		break;
	}
	return 0;
}
