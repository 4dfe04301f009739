/*
 * `leasehold status`: this workstation in one screen. First whether all is
 * well, else what is wrong, what that means and what to type; then site,
 * identity, leases, and who waits.
 */
#include "agent/cli/ask.h"
#include "agent/cli/borrow.h"
#include "agent/cli/screen.h"
#include "agent/cli/table.h"
#include "agent/cli/verdict.h"
#include "agent/cli/visible.h"
#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/text.h"

#include <stdio.h>
#include <string.h>

#define ANSWER_MS 10000
/* The agent bounds a user's leases; root sees everybody's. */
#define LEASES_MAX 100000

/* All that is known. The first member is local_status: its keys stand at the
 * top of the JSON, too. */
struct status_report {
	struct local_status status;
	struct verdict verdict;
	struct record_list warnings;
	struct record_list held; /* local_lease */
	struct record_list borrowed; /* local_borrow */
	struct record_list waiting; /* local_question */
	uint32_t waiting_more;
	/* not written */
	struct warning warning[WARNINGS_MAX];
	struct arena arena;
};

static const struct record_field report_fields[] = {
	R_STRUCT(status_report, verdict, &verdict_record, 0,
	    "How this workstation is."),
	R_LIST(status_report, warnings, &warning_record, 0, WARNINGS_MAX, 0,
	    "What may become a problem."),
	R_LIST(status_report, held, &local_lease_record, 0, LEASES_MAX, 0,
	    "Leases of the asking user; root: of everybody."),
	R_LIST(status_report, borrowed, &local_borrow_record, 0,
	    BORROW_DEVICE_MAX, 0,
	    "Borrows of the asking user and of everybody's; root: all."),
	R_LIST(status_report, waiting, &local_question_record, 0,
	    LIST_LIMIT_MAX, 0, "Questions without an answer, likewise."),
	R_U32(status_report, waiting_more, 0, UINT32_MAX, RECORD_OPTIONAL,
	    "Not listed."),
};
#define N_REPORT (sizeof(report_fields) / sizeof(report_fields[0]))

/* --- asking --------------------------------------------------------------- */

static int
ask(void *reply, struct local *local, struct cli *cli, enum local_id op,
    const void *request, struct arena *arena)
{
	struct problem problem = { 0 };

	return ask_answer(cli,
	    local_call(reply, local, op, request, arena, ANSWER_MS, &problem),
	    &problem);
}

static int
ask_leases(struct status_report *report, struct local *local, struct cli *cli)
{
	struct local_list from = { 0 };
	struct local_leases page;
	struct buf all = { .max = LEASES_MAX * sizeof(struct local_lease) };
	int status;

	do {
		status =
		    ask(&page, local, cli, LOCAL_LIST, &from, &report->arena);
		if (status != CLI_DONE)
			break;
		buf_add(&all, page.items.items,
		    page.items.count * sizeof(struct local_lease));
		if (page.next == 0)
			break;
		status = cli_next_page(&from.after, page.next);
	} while (status == CLI_DONE);
	report->held.items = arena_copy(&report->arena, all.data, all.len);
	report->held.count = (uint32_t)(all.len / sizeof(struct local_lease));
	if (status == CLI_DONE &&
	    (all.failed || (all.len > 0 && report->held.items == NULL))) {
		cli_say("out of memory");
		status = CLI_FAILED;
	}
	buf_release(&all);
	return status;
}

/* An agent that is older than this command borrows nothing. */
static int
ask_borrows(struct status_report *report, struct local *local, struct cli *cli)
{
	struct problem problem = { 0 };
	struct local_borrows reply = { 0 };
	int err = local_call(&reply, local, LOCAL_BORROW_LIST, NULL,
	    &report->arena, ANSWER_MS, &problem);

	if (err == ERR_BAD_REQUEST)
		return CLI_DONE;
	report->borrowed = reply.items;
	return ask_answer(cli, err, &problem);
}

static int
gather(struct status_report *report, struct cli *cli)
{
	struct local_questions questions = { 0 };
	struct empty nothing = { 0 };
	struct local *local;
	int status = ask_open(&local, cli);

	/* Of all reasons this is the workstation's own. */
	if (status != CLI_DONE)
		return CLI_FAILED;
	status = ask(&report->status, local, cli, LOCAL_STATUS, &nothing,
	    &report->arena);
	if (status == CLI_DONE)
		status = ask_leases(report, local, cli);
	if (status == CLI_DONE)
		status = ask_borrows(report, local, cli);
	if (status == CLI_DONE)
		status = ask(&questions, local, cli, LOCAL_QUESTIONS, &nothing,
		    &report->arena);
	local_close(local);
	if (status != CLI_DONE)
		return CLI_FAILED;
	report->waiting = questions.items;
	report->waiting_more = questions.more;
	verdict_of(&report->verdict, &report->status);
	report->warnings.items = report->warning;
	report->warnings.count =
	    verdict_warnings(report->warning, &report->status, clock_wall_ms());
	return CLI_DONE;
}

/* --- for programs --------------------------------------------------------- */

/* One object: the agent's own status, and what is made of it. */
static void
add_json(struct buf *out, const struct status_report *report)
{
	struct record_field fields[64];
	size_t n = local_status_record.n_fields;
	const struct record record = {
		.name = "status_report",
		.doc = "This workstation.",
		.version = 1,
		.size = sizeof(*report),
		.fields = fields,
		.n_fields = n + N_REPORT,
	};

	if (n + N_REPORT > sizeof(fields) / sizeof(fields[0])) {
		out->failed = true;
		return;
	}
	memcpy(fields, report_fields, sizeof(report_fields));
	memcpy(fields + N_REPORT, local_status_record.fields,
	    n * sizeof(fields[0]));
	record_write_json_pretty(out, &record, report);
	buf_add_byte(out, '\n');
}

/* --- for people ----------------------------------------------------------- */

#define INDENT 10

static void add_line(struct frame *frame, const char *name, const char *format,
    ...) __attribute__((format(printf, 3, 4)));

/* "site      words", wrapped at words; they may be strangers'. */
static void
add_line(struct frame *frame, const char *name, const char *format, ...)
{
	struct buf words = { 0 };
	char text[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	visible_add(&words, text, strlen(text), 0);
	buf_printf(&frame->out, "%-*s", INDENT, name);
	visible_add_wrapped(&frame->out, buf_text(&words), frame->columns,
	    INDENT);
	buf_add_byte(&frame->out, '\n');
	buf_release(&words);
}

/* "problem: words", the first word in a tone. */
static void
add_headline(struct frame *frame, enum screen_tone tone, const char *name,
    const char *text)
{
	struct buf words = { 0 };

	visible_add(&words, text, strlen(text), 0);
	buf_printf(&frame->out, "%s%s%s: ", screen_tone(tone), name,
	    screen_tone_end());
	visible_add_wrapped(&frame->out, buf_text(&words), frame->columns,
	    (unsigned int)strlen(name) + 2);
	buf_add_byte(&frame->out, '\n');
	buf_release(&words);
}

/* The site's own advice, where ours does not say as much. */
static bool
wants_hint(const struct status_report *report)
{
	uint32_t cause = report->status.cause;

	return !report->verdict.ok && report->status.hint[0] != '\0' &&
	    (cause == CAUSE_OTHER || cause == CAUSE_UNAVAILABLE ||
		cause == CAUSE_PROTOCOL || cause == CAUSE_CLASS);
}

static void
add_verdict(struct frame *frame, const struct status_report *report)
{
	const struct verdict *verdict = &report->verdict;

	add_headline(frame, verdict->ok ? TONE_GOOD : TONE_BAD,
	    verdict->ok ? "ok" : "problem", verdict->summary);
	if (verdict->meaning[0] != '\0')
		add_line(frame, "  means", "%s", verdict->meaning);
	if (verdict->next[0] != '\0')
		add_line(frame, "  next", "%s", verdict->next);
	if (wants_hint(report))
		add_line(frame, "  site", "says: %s", report->status.hint);
	for (uint32_t i = 0; i < report->warnings.count; i++) {
		add_headline(frame, TONE_WARNING, "warning",
		    report->warning[i].summary);
		if (report->warning[i].next[0] != '\0')
			add_line(frame, "  next", "%s",
			    report->warning[i].next);
	}
	buf_add_byte(&frame->out, '\n');
}

static const char *
key_words(uint32_t class_)
{
	switch ((enum proof_class)class_) {
	case PROOF_SOFTWARE:
		return "its key is a file, which root can copy";
	case PROOF_TPM:
		return "its key is in the TPM";
	case PROOF_VTPM:
		return "its key is in a virtual TPM";
	case PROOF_ASSIGNED:
		return "its fingerprint was approved beforehand";
	case PROOF_KEY:
		return "it is an API key";
	}
	return "";
}

/* "2026-11-22 08:42:25Z (3 min ago)" */
static void
time_and_age(char out[80], int64_t time, int64_t now)
{
	char text[32], span[32];

	cli_time(text, time);
	cli_span(span, (now - time) / 1000);
	snprintf(out, 80, "%s (%s ago)", text, span);
}

static void
add_tpm(struct frame *frame, const struct local_status *status)
{
	if (status->tpm[0] != '\0')
		add_line(frame, "TPM", "%s%s%s", status->tpm,
		    status->key_trouble[0] != '\0' ? ": " : "",
		    status->key_trouble);
}

static void
add_site(struct frame *frame, const struct local_status *status, int64_t now)
{
	char since[80], end[32];

	time_and_age(since, status->since, now);
	if (status->url[0] == '\0') {
		add_line(frame, "site", "none yet");
		add_tpm(frame, status);
		return;
	}
	add_line(frame, "site", "%s%s%s at %s, tenant %s", status->site_name,
	    status->site_name[0] != '\0' ? ", " : "", status->site, status->url,
	    status->tenant);
	add_line(frame, "", "%sreached since %s",
	    status->connected ? "" : "not ", since);
	if (!status->connected && status->retry_s > 0)
		add_line(frame, "", "next attempt in %u s", status->retry_s);
	if (status->last_beat != 0) {
		time_and_age(since, status->last_beat, now);
		add_line(frame, "", "leases renewed at %s", since);
	}
	if (status->policy != 0) {
		time_and_age(since, status->policy_at, now);
		add_line(frame, "", "version %llu of its policy since %s",
		    (unsigned long long)status->policy, since);
	}
	if (status->certificate_end != 0) {
		cli_time(end, status->certificate_end);
		add_line(frame, "", "its certificate ends at %s", end);
	}
	add_line(frame, "device", "device-%llu \"%s\", class %s: %s",
	    (unsigned long long)status->device, status->name,
	    proof_class_names[status->class_], key_words(status->class_));
	add_tpm(frame, status);
}

static void
add_leases(struct frame *frame, const struct status_report *report, int64_t now)
{
	static const struct table_column columns[] = { { .name = "LEASE" },
		{ .name = "PRODUCT", .least = 16 },
		{ .name = "FEATURE", .least = 8, .spare = true },
		{ .name = "VERSION" }, { .name = "SEATS", .right = true },
		{ .name = "TYPE" }, { .name = "USER", .least = 8 },
		{ .name = "PROCESS", .right = true },
		{ .name = "COMMAND", .least = 8 },
		{ .name = "HELD", .right = true },
		{ .name = "LEFT", .right = true },
		{ .name = "GRACE", .right = true } };
	const struct local_lease *items = report->held.items;
	struct table table = { .clip = frame->rows > 0 };

	add_line(frame, "leases", "%u on this workstation", report->held.count);
	if (report->held.count == 0)
		return;
	table_begin(&table, 12, columns);
	for (uint32_t i = 0; i < report->held.count; i++) {
		const struct local_lease *lease = &items[i];
		char held[32], left[32], grace[32];

		cli_span(held, (now - lease->granted_at) / 1000);
		cli_span(left, lease->left_s);
		cli_span(grace, lease->grace_s);
		table_cell(&table, "%s-%llu",
		    lease->borrowed ? "borrow" : "lease",
		    (unsigned long long)lease->lease);
		table_cell(&table, "%s", lease->product);
		table_cell(&table, "%s", lease->feature);
		table_cell(&table, "%s", lease->version);
		table_cell(&table, "%u", lease->count);
		table_cell(&table, "%s", seat_type_names[lease->type]);
		table_cell(&table, "%s", lease->user);
		table_cell(&table, "%llu", (unsigned long long)lease->pid);
		table_cell(&table, "%s", lease->command);
		table_cell(&table, "%s", held);
		table_cell(&table, "%s", left);
		table_cell(&table, "%s", grace);
		if (lease->left_s == 0)
			table_mark(&table);
	}
	if (!table_render(&frame->out, &table, frame->columns))
		frame->out.failed = true;
	table_end(&table);
	buf_add_str(&frame->out,
	    report->status.connected
		? "          Beats renew what is LEFT; without them the grace "
		  "follows, then the seat is gone.\n"
		: "          Without the site a seat is gone after what is "
		  "LEFT "
		  "and the grace.\n");
}

static void
add_borrows(struct frame *frame, const struct status_report *report,
    int64_t now)
{
	const struct local_borrows borrows = { report->borrowed };

	if (report->borrowed.count == 0)
		return;
	buf_add_byte(&frame->out, '\n');
	add_line(frame, "borrowed", "%u, which work without the site",
	    report->borrowed.count);
	borrow_table(&frame->out, &borrows, frame->columns, frame->rows > 0,
	    now);
}

static void
place_words(char out[48], const struct local_question *question)
{
	static const char *const words[] = { "the agent", "the site",
		"the site's answer", "a seat", "an admin" };

	if (question->queue.claim_s > 0)
		snprintf(out, 48, "its turn");
	else if (question->queue.place > 0)
		snprintf(out, 48, "place %u of %u", question->queue.place,
		    question->queue.length);
	else
		snprintf(out, 48, "%s", words[question->waits]);
}

static void
add_waiting(struct frame *frame, const struct status_report *report)
{
	static const struct table_column columns[] = { { .name = "WAITS FOR",
							   .least = 16 },
		{ .name = "FEATURE", .least = 8, .spare = true },
		{ .name = "SEATS", .right = true },
		{ .name = "USER", .least = 8 },
		{ .name = "PROCESS", .right = true },
		{ .name = "COMMAND", .least = 8 }, { .name = "IN" },
		{ .name = "GIVES UP IN", .right = true } };
	const struct local_question *items = report->waiting.items;
	struct table table = { .clip = frame->rows > 0 };

	if (report->waiting.count == 0)
		return;
	buf_add_byte(&frame->out, '\n');
	table_begin(&table, 8, columns);
	for (uint32_t i = 0; i < report->waiting.count; i++) {
		char place[48], left[32];

		place_words(place, &items[i]);
		cli_span(left, items[i].left_s);
		table_cell(&table, "%s", items[i].product);
		table_cell(&table, "%s", items[i].feature);
		table_cell(&table, "%u", items[i].count);
		table_cell(&table, "%s", items[i].user);
		table_cell(&table, "%llu", (unsigned long long)items[i].pid);
		table_cell(&table, "%s", items[i].command);
		table_cell(&table, "%s", place);
		table_cell(&table, "%s", left);
	}
	if (!table_render(&frame->out, &table, frame->columns))
		frame->out.failed = true;
	table_end(&table);
	if (report->waiting_more > 0)
		add_line(frame, "", "and %u more", report->waiting_more);
}

/* --- the command ---------------------------------------------------------- */

static int
draw_status(void *ctx, struct frame *frame)
{
	struct cli *cli = ctx;
	struct status_report report = { 0 };
	int64_t now = clock_wall_ms();
	int status = gather(&report, cli);

	if (status == CLI_DONE && cli->json) {
		add_json(&frame->out, &report);
		status = (int)report.verdict.status;
	} else if (status == CLI_DONE) {
		add_verdict(frame, &report);
		add_line(frame, "agent", "%s on %s", report.status.software,
		    cli->socket);
		add_site(frame, &report.status, now);
		add_leases(frame, &report, now);
		add_borrows(frame, &report, now);
		add_waiting(frame, &report);
		status = (int)report.verdict.status;
	}
	arena_release(&report.arena);
	return status;
}

int
agent_status(struct cli *cli, int argc, char **argv)
{
	struct frame frame = { .columns = screen_columns() };
	uint64_t seconds;
	int watch = screen_watch_option(&seconds, &argc, argv);
	int status;

	if (watch < 0)
		return CLI_USAGE;
	status = cli_arguments(argc, argv, 0, 0, "status [--watch [SECONDS]]");
	if (status != CLI_DONE)
		return status;
	if (watch > 0)
		return screen_watch(cli, seconds, draw_status, cli);
	status = draw_status(cli, &frame);
	if (frame.out.failed) {
		cli_say("out of memory");
		status = CLI_FAILED;
	} else if (frame.out.len > 0) {
		fwrite(frame.out.data, 1, frame.out.len, stdout);
	}
	buf_release(&frame.out);
	return status;
}
