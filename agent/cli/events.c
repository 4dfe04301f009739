/* Server-sent events (WHATWG HTML, section 9.2): told as they come, and gone on
 * with behind the last one when the connection ends. */
#include "agent/cli/cli.h"
#include "shared/base/err.h"
#include "shared/base/text.h"
#include "shared/record/json.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/** A line at most: an event's data, and its name before it. */
#define LINE_MAX_BYTES ((size_t)2 << 20)
/** The site was not reached: until the next attempt, at first and at most. */
#define AGAIN_S 1
#define AGAIN_MAX_S 30

struct following {
	struct cli *cli;
	bool follow;
	uint64_t end; /* without follow: it ends with this one */
	uint64_t last; /* that was told, or is known */
	bool greeted; /* the first comment has come */
	bool over; /* all is told that was wanted */
	bool strange; /* what came is no event */
	struct buf line;
	struct buf data;
	uint64_t id;
	char kind[32];
};

static bool
is_object(const struct buf *data)
{
	struct json_reader reader;
	struct json_token token;

	json_open(&reader, (const char *)data->data, data->len,
	    RECORD_DEPTH_MAX);
	return json_next(&reader, &token) == 0 && token.type == JSON_OBJECT &&
	    json_skip(&reader, &token) == 0 && json_finish(&reader) == 0;
}

static void
tell_event(struct following *f)
{
	if (!is_object(&f->data)) {
		f->strange = true;
		return;
	}
	if (f->cli->json)
		printf("{\"id\":%" PRIu64 ",\"event\":\"%s\",\"data\":%.*s}\n",
		    f->id, f->kind, (int)f->data.len,
		    (const char *)f->data.data);
	else
		cli_show("%" PRIu64 "  %s  %.*s\n", f->id, f->kind,
		    (int)f->data.len, (const char *)f->data.data);
	fflush(stdout);
	f->last = f->id;
}

/* An empty line ends an event. */
static void
end_event(struct following *f)
{
	if (f->data.len > 0 && f->kind[0] != '\0' && f->id > f->last)
		tell_event(f);
	if (!f->follow && f->last >= f->end)
		f->over = true;
	buf_clear(&f->data);
	f->kind[0] = '\0';
}

/* Its value, without the blank behind the colon; NULL: another field's. */
static const char *
value_of(const char *line, const char *field)
{
	size_t len = strlen(field);

	if (strncmp(line, field, len) != 0 || line[len] != ':')
		return NULL;
	line += len + 1;
	return line + (*line == ' ');
}

/* A comment after the first is a sign of life: nothing was left to tell. */
static void
hear_comment(struct following *f)
{
	if (f->greeted && !f->follow)
		f->over = true;
	f->greeted = true;
}

static void
hear_line(struct following *f, const char *line)
{
	const char *value;

	if (line[0] == '\0')
		end_event(f);
	else if (line[0] == ':')
		hear_comment(f);
	else if ((value = value_of(line, "id")) != NULL)
		f->strange |= !text_to_u64(&f->id, value, strlen(value));
	else if ((value = value_of(line, "event")) != NULL)
		f->strange |= !text_is_printable(value, strlen(value)) ||
		    strpbrk(value, "\"\\") != NULL ||
		    !text_copy(f->kind, sizeof(f->kind), value);
	else if ((value = value_of(line, "data")) != NULL)
		buf_add_str(&f->data, value);
}

static bool
hear(void *ctx, const char *data, size_t len)
{
	struct following *f = ctx;

	while (len > 0 && !f->over && !f->strange) {
		const char *end = memchr(data, '\n', len);
		size_t n = end != NULL ? (size_t)(end - data) : len;

		buf_add(&f->line, data, n);
		if (f->line.failed || f->line.len > LINE_MAX_BYTES ||
		    f->data.failed) {
			f->strange = true;
			break;
		}
		if (end != NULL) {
			hear_line(f, buf_text(&f->line));
			buf_clear(&f->line);
		}
		data += n + (end != NULL);
		len -= n + (end != NULL);
	}
	return !f->over && !f->strange;
}

/* Once, from behind the last one that was told; the header says which. */
static int
ask(struct following *f)
{
	const struct event_query query = { .resume = true };
	struct arena arena = { 0 };

	snprintf(f->cli->last_event, sizeof(f->cli->last_event), "%" PRIu64,
	    f->last);
	buf_clear(&f->line);
	buf_clear(&f->data);
	f->kind[0] = '\0';
	f->greeted = false;
	int status = cli_stream(f->cli, OP_EVENTS, &query, hear, f, &arena);

	arena_release(&arena);
	return status;
}

/* The end of a stream, or of a site that answered, is no end. A refusal is
 * one. What is said of a site that is away is said once. */
static int
follow(struct following *f)
{
	unsigned int wait_s = AGAIN_S;
	int status = ask(f);
	struct problem problem = { 0 };

	while (!f->over && !f->strange &&
	    (status == CLI_DONE || (status == CLI_UNREACHABLE && f->follow))) {
		const bool away = status == CLI_UNREACHABLE;

		sleep(wait_s);
		f->cli->quiet = away ? &problem : NULL;
		status = ask(f);
		f->cli->quiet = NULL;
		if (away && status != CLI_UNREACHABLE && status != CLI_DONE)
			cli_problem(f->cli, &problem);
		wait_s = status == CLI_DONE    ? AGAIN_S
		    : wait_s * 2 < AGAIN_MAX_S ? wait_s * 2
					       : AGAIN_MAX_S;
	}
	return status;
}

/* Where the journal ends now: there it begins, or ends. */
static int
find_end(struct following *f, bool since)
{
	struct arena arena = { 0 };
	struct site_view site;
	const struct empty empty = { 0 };
	int status = cli_call(f->cli, OP_SITE_SHOW, &empty, &site, &arena);

	arena_release(&arena);
	if (status != CLI_DONE)
		return status;
	if (f->follow && !since)
		f->last = site.rows;
	f->end = site.rows;
	f->over = !f->follow && f->last >= f->end;
	return CLI_DONE;
}

int
events_command(struct cli *cli, int argc, char **argv)
{
	struct following f = { .cli = cli };
	const char *since = NULL;
	int status = CLI_DONE;

	f.follow = cli_flag(&argc, argv, "--follow");
	if (cli_option(&since, &argc, argv, "--since") < 0 ||
	    (since != NULL &&
		!cli_number(&f.last, since, "--since", 0, U53_MAX)))
		return CLI_USAGE;
	status = cli_arguments(argc, argv, 0, 0,
	    "events [--since ID] [--follow] [--json]");
	if (status == CLI_DONE)
		status = find_end(&f, since != NULL);
	if (status == CLI_DONE && !f.over)
		status = follow(&f);
	if (f.strange) {
		cli_say("what the site tells is no stream of events; are site "
			"and leasehold of one release?");
		status = CLI_FAILED;
	}
	buf_release(&f.line);
	buf_release(&f.data);
	return status;
}
