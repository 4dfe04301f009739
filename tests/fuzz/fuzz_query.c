/* The query of an HTTP request: whatever it holds becomes one JSON object, or
 * is refused; no value becomes a member of its own. */
#include "appliance/front/inside.h"
#include "shared/record/json.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Members of the object, at its top. */
static size_t
count_members(const struct buf *text)
{
	struct json_reader reader;
	struct json_token token;
	size_t n = 0;

	json_open(&reader, (const char *)text->data, text->len, 4);
	assert(json_next(&reader, &token) == 0 && token.type == JSON_OBJECT);
	for (;;) {
		assert(json_next_key(&reader, &token) == 0);
		if (token.type == JSON_END)
			break;
		assert(json_next(&reader, &token) == 0);
		assert(token.type != JSON_OBJECT && token.type != JSON_ARRAY);
		n++;
	}
	assert(json_finish(&reader) == 0);
	return n;
}

static size_t
count_pieces(const char *query)
{
	size_t n = 0;

	while (*query != '\0') {
		size_t len = strcspn(query, "&");

		n += len > 0;
		query += len + (query[len] == '&');
	}
	return n;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct problem problem = { 0 };
	struct buf out = { 0 };
	char *query = malloc(size + 1);

	assert(query != NULL);
	if (size != 0)
		memcpy(query, data, size);
	query[size] = '\0';
	if (query_to_json(&out, &lease_query_record, NULL, 0, query, NULL, 0,
		&problem) == 0)
		assert(count_members(&out) == count_pieces(query));
	else
		assert(problem.code[0] != '\0');
	buf_release(&out);
	free(query);
	return 0;
}
