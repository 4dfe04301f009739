/* Answers over HTTP: records as JSON, and problems as RFC 9457 has them. */
#include "appliance/front/inside.h"

#include "shared/base/err.h"
#include "shared/record/json.h"

#include <stdio.h>
#include <string.h>

/* Headers of one answer. */
#define EXTRA_MAX 320

static void
add_string(struct buf *out, const char *key, const char *text)
{
	if (out->len > 1)
		buf_add_byte(out, ',');
	json_add_string(out, key, strlen(key));
	buf_add_byte(out, ':');
	json_add_string(out, text, strlen(text));
}

static void
write_problem(struct buf *out, int status, const struct problem *problem)
{
	char type[64];
	const char *title = err_str(err_from_code(problem->code));

	snprintf(type, sizeof(type), "urn:leasehold:problem:%s", problem->code);
	buf_add_byte(out, '{');
	add_string(out, "type", type);
	add_string(out, "title", title);
	buf_printf(out, ",\"status\":%d", status);
	add_string(out, "detail", problem->detail);
	add_string(out, "code", problem->code);
	if (problem->hint[0] != '\0')
		add_string(out, "hint", problem->hint);
	if (problem->field[0] != '\0')
		add_string(out, "field", problem->field);
	if (problem->retry_after_s > 0)
		buf_printf(out, ",\"retry_after_s\":%u",
		    problem->retry_after_s);
	buf_add_byte(out, '}');
}

/* As the drafts of the HTTP working group name them, in the form that clients
 * know: draft-ietf-httpapi-ratelimit-headers-06. */
static size_t
write_limits(char *out, size_t size, struct front *front)
{
	const struct wire_limits limits = front->limits;

	out[0] = '\0';
	memset(&front->limits, 0, sizeof(front->limits));
	if (limits.limit == 0)
		return 0;
	int len = snprintf(out, size,
	    "RateLimit-Limit: %u\r\nRateLimit-Remaining: %u\r\n"
	    "RateLimit-Reset: %u\r\nRateLimit-Policy: %u;w=%u\r\n",
	    limits.limit, limits.remaining, limits.reset_s, limits.limit,
	    limits.window_s);

	return (size_t)len < size ? (size_t)len : size - 1;
}

void
answer_problem(struct front *front, net_conn conn, int status,
    const struct problem *problem, const char *allow)
{
	struct buf *out = &front->text;
	char extra[EXTRA_MAX];
	size_t len = write_limits(extra, sizeof(extra), front);

	if (status == 401)
		snprintf(extra + len, sizeof(extra) - len,
		    "WWW-Authenticate: Bearer realm=\"leasehold\"\r\n");
	else if (status == 405)
		snprintf(extra + len, sizeof(extra) - len, "Allow: %s\r\n",
		    allow);
	else if (status == 503 || status == 429 || problem->retry_after_s > 0)
		snprintf(extra + len, sizeof(extra) - len,
		    "Retry-After: %u\r\n",
		    problem->retry_after_s > 0 ? problem->retry_after_s : 1);
	buf_clear(out);
	write_problem(out, status, problem);
	/* A connection that has gone meanwhile needs no answer. */
	(void)net_reply(front->net, conn, out->failed ? 500 : status,
	    "application/problem+json", extra, out->data,
	    out->failed ? 0 : out->len);
}

void
answer_record(struct front *front, net_conn conn, int status,
    const struct record *record, const void *value, const char *extra)
{
	struct buf *out = &front->text;
	struct problem problem;
	char limits[EXTRA_MAX];

	buf_clear(out);
	record_write_json(out, record, value);
	if (out->failed) {
		buf_release(out);
		problem_set(&problem, ERR_TOO_LARGE, NULL,
		    "the answer is too large; ask for less at once");
		answer_problem(front, conn, 500, &problem, NULL);
		return;
	}
	size_t len = write_limits(limits, sizeof(limits), front);
	struct buf headers = { 0 };

	if (len > 0 && extra != NULL) {
		buf_add(&headers, limits, len);
		buf_add(&headers, extra, strlen(extra) + 1);
	}
	(void)net_reply(front->net, conn, status, "application/json",
	    headers.len > 0 ? (const char *)headers.data
		: len > 0   ? limits
			    : extra,
	    out->data, out->len);
	buf_release(&headers);
}
