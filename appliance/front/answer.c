/* Answers over HTTP: records as JSON, and problems as RFC 9457 has them. */
#include "appliance/front/inside.h"

#include "shared/base/err.h"
#include "shared/record/json.h"

#include <stdio.h>
#include <string.h>

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

void
answer_problem(struct front *front, net_conn conn, int status,
    const struct problem *problem, const char *allow)
{
	struct buf *out = &front->text;
	char extra[128] = "";

	if (status == 401)
		snprintf(extra, sizeof(extra),
		    "WWW-Authenticate: Bearer realm=\"leasehold\"\r\n");
	else if (status == 405)
		snprintf(extra, sizeof(extra), "Allow: %s\r\n", allow);
	else if (status == 503 || status == 429 || problem->retry_after_s > 0)
		snprintf(extra, sizeof(extra), "Retry-After: %u\r\n",
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

	buf_clear(out);
	record_write_json(out, record, value);
	if (out->failed) {
		buf_release(out);
		problem_set(&problem, ERR_TOO_LARGE, NULL,
		    "the answer is too large; ask for less at once");
		answer_problem(front, conn, 500, &problem, NULL);
		return;
	}
	(void)net_reply(front->net, conn, status, "application/json", extra,
	    out->data, out->len);
}
