/*
 * What the front reads of a request besides its body: the cookie of a page,
 * Last-Event-ID, and the query of each operation with its cursors. First byte:
 * the operation; then lines: cookie, X-Leasehold-Page, Last-Event-ID, query.
 */
#include "tests/fuzz/fuzz.h"

#include "appliance/front/inside.h"
#include "shared/base/err.h"

#include <string.h>

#define NAME "__Host-leasehold="

/* The next line, NUL-terminated, of one's own. */
static char *
take_line(struct fuzz_input *input)
{
	const uint8_t *end =
	    input->size > 0 ? memchr(input->data, '\n', input->size) : NULL;
	size_t len = end != NULL ? (size_t)(end - input->data) : input->size;
	char *line = malloc(len + 1);

	fuzz_must(line != NULL);
	if (len > 0)
		memcpy(line, input->data, len);
	line[len] = '\0';
	input->data += len + (end != NULL);
	input->size -= len + (end != NULL);
	return line;
}

/* In another way: split first, then look. */
static size_t
count_tokens(const char *cookies)
{
	char *copy = strdup(cookies), *rest = copy, *one;
	size_t n = 0;

	fuzz_must(copy != NULL);
	while ((one = strsep(&rest, ";")) != NULL) {
		one += strspn(one, " \t");
		n += strncmp(one, NAME, strlen(NAME)) == 0;
	}
	free(copy);
	return n;
}

/* What was set is what comes back. */
static void
check_round(const struct record_span *token)
{
	char header[COOKIE_HEADER];
	struct record_span again = { 0 };
	struct problem problem = { 0 };
	struct net_request request = { .method = "GET", .page = "" };

	if (token->len == 0 || token->len > 120)
		return;
	cookie_set(header, sizeof(header), token);
	fuzz_must(strstr(header, "; HttpOnly; SameSite=Strict\r\n") != NULL);
	char *cookie = strchr(header, ' ') + 1;

	cookie[strcspn(cookie, ";")] = '\0';
	request.cookie = cookie;
	fuzz_must(cookie_read(&again, &request, &problem) == 0);
	fuzz_must(again.len == token->len &&
	    memcmp(again.data, token->data, again.len) == 0);
}

static void
check_cookie(const char *method, const char *cookie, const char *page)
{
	const struct net_request request = { .method = method,
		.cookie = cookie,
		.page = page };
	struct record_span token = { 0 };
	struct problem problem = { 0 };
	const size_t n = count_tokens(cookie);
	const bool changes = strcmp(method, "GET") != 0;
	int err = cookie_read(&token, &request, &problem);

	fuzz_must((err == ERR_BAD_REQUEST) == (n > 1));
	fuzz_must((err == ERR_FORBIDDEN) ==
	    (n == 1 && changes && strcmp(page, "1") != 0));
	fuzz_must(err == 0 || problem.code[0] != '\0');
	if (err != 0)
		return;
	fuzz_must((token.data != NULL) == (n == 1));
	if (n == 0)
		return;
	const char *value = token.data;

	fuzz_must(
	    value >= cookie && value + token.len <= cookie + strlen(cookie));
	fuzz_must(memchr(value, ';', token.len) == NULL);
	check_round(&token);
}

static void
check_resume(const char *last_event)
{
	struct event_query query = { 0 };
	struct problem problem = { 0 };
	int err = stream_resume(&query, last_event, &problem);

	fuzz_must(err == 0 || problem.code[0] != '\0');
	fuzz_must(err != 0 || query.after <= U53_MAX);
	fuzz_must(err != 0 || query.resume == (last_event[0] != '\0'));
}

static void
check_query(const struct operation *op, const char *text)
{
	struct arena arena = { .max_bytes = REQUEST_ARENA_MAX };
	struct problem problem = { 0 };
	struct record_error error = { 0 };
	struct buf json = { 0 };
	void *value = calloc(1, op->request->size > 0 ? op->request->size : 1);

	fuzz_must(value != NULL);
	if (query_to_json(&json, op->request, NULL, 0, text, NULL, 0,
		&problem) != 0)
		fuzz_must(problem.code[0] != '\0');
	else if (record_read_json(value, op->request, (const char *)json.data,
		     json.len, &arena, &error) == 0)
		fuzz_must(record_check(op->request, value, &error) == 0);
	else
		fuzz_must(error.reason[0] != '\0');
	buf_release(&json);
	free(value);
	arena_release(&arena);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input input = { data, size };
	const struct operation *op = operation_get(
	    OP_NONE + 1 + fuzz_byte(&input) % (OPERATION_COUNT - 1));
	char *cookie = take_line(&input), *page = take_line(&input);
	char *last_event = take_line(&input), *text = take_line(&input);

	check_cookie(op->method != NULL ? op->method : "GET", cookie, page);
	check_resume(last_event);
	check_query(op, text);
	free(cookie);
	free(page);
	free(last_event);
	free(text);
	return 0;
}
