/* What people and programs are shown. */
#include "agent/cli/cli.h"
#include "agent/cli/visible.h"
#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void
show(FILE *file, const char *format, va_list args)
{
	char text[4096];
	struct buf visible = { 0 };

	vsnprintf(text, sizeof(text), format, args);
	visible_add_lines(&visible, text);
	fputs(buf_text(&visible), file);
	buf_release(&visible);
}

void
cli_say(const char *format, ...)
{
	va_list args;

	fputs("leasehold: ", stderr);
	va_start(args, format);
	show(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
}

void
cli_show(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	show(stdout, format, args);
	va_end(args);
}

void
cli_print_json(const struct record *record, const void *value)
{
	struct buf buf = { 0 };

	record_write_json_pretty(&buf, record, value);
	puts(buf_text(&buf));
	buf_release(&buf);
}

void
cli_add_items(struct json_items *items, const struct record *record,
    const struct record_list *page)
{
	struct buf buf = { 0 };

	for (uint32_t i = 0; i < page->count; i++) {
		fputs(items->count++ == 0 ? "{\"items\": [\n  " : ",\n  ",
		    stdout);
		buf_clear(&buf);
		record_write_json(&buf, record,
		    (const uint8_t *)page->items + i * record->size);
		fputs(buf_text(&buf), stdout);
	}
	buf_release(&buf);
}

void
cli_end_items(struct json_items *items)
{
	puts(items->count == 0 ? "{\"items\": []}" : "\n]}");
}

void
cli_problem(const struct cli *cli, const struct problem *problem)
{
	if (cli->json) {
		struct buf buf = { 0 };

		record_write_json_pretty(&buf, &problem_record, problem);
		fprintf(stderr, "%s\n", buf_text(&buf));
		buf_release(&buf);
		return;
	}
	if (problem->field[0] != '\0')
		cli_say("%s: %s: %s", problem->code, problem->field,
		    problem->detail);
	else
		cli_say("%s: %s", problem->code, problem->detail);
	if (problem->hint[0] != '\0')
		cli_say("%s", problem->hint);
}

int
cli_status(int err)
{
	switch (err) {
	case 0:
		return CLI_DONE;
	case ERR_NO_SEATS:
	case ERR_OVERAGE_EXHAUSTED:
	case ERR_NOT_ENTITLED:
	case ERR_VERSION_NOT_COVERED:
	case ERR_LICENSE_EXPIRED:
	case ERR_LICENSE_SUSPENDED:
	case ERR_EXCLUDED:
	case ERR_MAX_REACHED:
	case ERR_POLICY_MAX:
	case ERR_RESERVED:
	case ERR_IDLE:
	case ERR_BORROW_LIMIT:
	case ERR_QUEUE_FULL:
	case ERR_QUOTA_EXCEEDED:
	case ERR_RATE_LIMITED:
	case ERR_UNAUTHENTICATED:
	case ERR_FORBIDDEN:
	case ERR_UNKNOWN_DEVICE:
	case ERR_DEVICE_REVOKED:
	case ERR_CLASS_NOT_ALLOWED:
	case ERR_HOSTNAME_NOT_ALLOWED:
	case ERR_IP_NOT_ALLOWED:
	case ERR_FINGERPRINT_BLOCKED:
	case ERR_WRONG_TENANT:
	case ERR_CERTIFICATE_NOT_ALLOWED:
	case ERR_OUTSIDE_HOURS:
	case ERR_TENANT_SUSPENDED:
	case ERR_LOCKED_OUT:
	case ERR_ROLLED_BACK:
		return CLI_REFUSED;
	case ERR_CLOSED:
	case ERR_TIMEOUT:
	case ERR_UNAVAILABLE:
		return CLI_UNREACHABLE;
	default:
		return CLI_FAILED;
	}
}

void
cli_time(char out[32], int64_t time_ms)
{
	char text[CLOCK_TEXT_SIZE];

	out[0] = '\0';
	if (time_ms == 0)
		return;
	clock_format(text, time_ms);
	snprintf(out, 32, "%.10s %.8sZ", text, text + 11);
}

void
cli_span(char out[32], int64_t seconds)
{
	long long s = seconds < 0 ? 0 : (long long)seconds;

	if (s >= 2 * 86400)
		snprintf(out, 32, "%lld d %lld h", s / 86400, s % 86400 / 3600);
	else if (s >= 2 * 3600)
		snprintf(out, 32, "%lld h %lld min", s / 3600, s % 3600 / 60);
	else if (s >= 120)
		snprintf(out, 32, "%lld min", s / 60);
	else
		snprintf(out, 32, "%lld s", s);
}

/* --- files ---------------------------------------------------------------- */

/* A policy of the most rules is the longest. */
#define FILE_BYTES_MAX ((size_t)1 << 20)

int
cli_read_record(void *out, const struct record *record, const char *path,
    const char *what, const char *hint, struct arena *arena)
{
	struct record_error error = { .field = "" };
	uint8_t *data;
	size_t len;
	int err = file_read(&data, &len, path, FILE_BYTES_MAX);

	if (err != 0) {
		cli_say("%s cannot be read: %s", path,
		    err == ERR_TOO_LARGE ? "it is larger than 1 MiB"
					 : strerror(errno));
		return CLI_FAILED;
	}
	err = record_read_json(out, record, (const char *)data, len, arena,
	    &error);
	free(data);
	if (err == 0)
		return CLI_DONE;
	cli_say("%s is no %s: %s%s%s%s%s", path, what, error.field,
	    error.field[0] != '\0' ? ": " : "", error.reason,
	    hint != NULL ? "; " : "", hint != NULL ? hint : "");
	return CLI_FAILED;
}
