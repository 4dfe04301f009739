/*
 * Borrowing at this workstation: `leasehold borrow take`, `list`, `extend` and
 * `return`. The agent does it and proves it; what it says is told to a person.
 */
#include "agent/cli/borrow.h"
#include "agent/cli/ask.h"
#include "agent/cli/csv.h"
#include "agent/cli/screen.h"
#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/text.h"
#include "shared/base/version.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* What is asked for without --version: only licenses of all versions hold it. */
#define VERSION_UNSAID "0"
/* The agent gives up on the site before that. */
#define ANSWER_MS 60000

/* --- words ---------------------------------------------------------------- */

void
borrow_left(char out[32], int64_t until, int64_t now)
{
	if (until <= now)
		snprintf(out, 32, "over");
	else
		cli_span(out, (until - now) / 1000);
}

bool
borrow_id(uint64_t *id, const char *text)
{
	return cli_id(id, text, "BORROW",
	    strncmp(text, "lease-", 6) == 0 ? "lease-" : "borrow-");
}

/* One answer, said or printed. */
static void
show_borrow(const struct cli *cli, const struct local_borrow *borrow,
    const char *done)
{
	char until[32], length[32];

	if (cli->json) {
		cli_print_json(&local_borrow_record, borrow);
		return;
	}
	cli_time(until, borrow->until);
	cli_span(length, borrow->length_s);
	cli_show("%s: borrow-%llu, %u %s of %s%s%s (%s), until %s.\n", done,
	    (unsigned long long)borrow->lease, borrow->count,
	    borrow->count == 1 ? "seat" : "seats", borrow->product,
	    borrow->feature[0] != '\0' ? " " : "", borrow->feature,
	    seat_type_names[borrow->type], until);
	cli_show("It is good for %s of powered-on time%s, with the site or "
		 "without it.\n"
		 "Give it back when it is not needed: leasehold borrow return "
		 "borrow-%llu\n",
	    length,
	    borrow->uid == 0 ? ", for everybody on this workstation" : "",
	    (unsigned long long)borrow->lease);
}

/* --- take ----------------------------------------------------------------- */

static bool
length_option(uint32_t *length_s, const char *text)
{
	if (!cli_duration(length_s, text, "--for"))
		return false;
	if (*length_s >= 1 && *length_s <= LICENSE_BORROW_MAX_S)
		return true;
	cli_say("--for: '%s' is not from 1s to 366d", text);
	return false;
}

static int
read_take(struct local_borrow_take *request, int *argc, char **argv)
{
	static const char usage[] =
	    "borrow take PRODUCT --for TIME [--version V] [--feature F] "
	    "[--count N] [--user U]";
	const char *version = VERSION_UNSAID, *feature = "", *user = "";
	const char *count = "1", *length = NULL;
	struct version parsed;
	uint64_t n;

	if (cli_option(&version, argc, argv, "--version") < 0 ||
	    cli_option(&feature, argc, argv, "--feature") < 0 ||
	    cli_option(&user, argc, argv, "--user") < 0 ||
	    cli_option(&count, argc, argv, "--count") < 0 ||
	    cli_option(&length, argc, argv, "--for") < 0)
		return CLI_USAGE;
	int status = cli_arguments(*argc, argv, 1, 1, usage);

	if (status != CLI_DONE)
		return status;
	if (length == NULL) {
		cli_say("for how long? --for 7d; usage: leasehold %s", usage);
		return CLI_USAGE;
	}
	if (!text_copy(request->version, sizeof(request->version), version) ||
	    !text_copy(request->feature, sizeof(request->feature), feature) ||
	    !text_copy(request->user, sizeof(request->user), user) ||
	    !text_copy(request->product, sizeof(request->product), argv[1])) {
		cli_say("--version holds 31 bytes; PRODUCT, --user and "
			"--feature 63");
		return CLI_USAGE;
	}
	if (version_parse(&parsed, version) != 0) {
		cli_say("--version: '%s' is not up to four numbers like 8.1.0",
		    version);
		return CLI_USAGE;
	}
	if (!cli_number(&n, count, "--count", 1, LEASE_COUNT_MAX) ||
	    !length_option(&request->length_s, length))
		return CLI_USAGE;
	request->count = (uint32_t)n;
	return CLI_DONE;
}

/* The site's refusals are right for everybody; what to type here is ours. */
static void
add_hint(struct problem *problem, int err,
    const struct local_borrow_take *request)
{
	if (err == ERR_VERSION_NOT_COVERED &&
	    strcmp(request->version, VERSION_UNSAID) == 0)
		text_copy(problem->hint, sizeof(problem->hint),
		    "say which version runs: --version V");
	else if (err == ERR_TIMEOUT)
		text_copy(problem->hint, sizeof(problem->hint),
		    "it may have been lent all the same: leasehold borrow "
		    "list");
	else if (problem->hint[0] != '\0')
		return;
	else if (err == ERR_NO_SEATS || err == ERR_OVERAGE_EXHAUSTED)
		text_copy(problem->hint, sizeof(problem->hint),
		    "all are taken now; without borrowing, wait for one: "
		    "leasehold checkout PRODUCT --wait 15m");
	else if (err == ERR_CLASS_NOT_ALLOWED)
		text_copy(problem->hint, sizeof(problem->hint),
		    "the class of this workstation is shown by: leasehold "
		    "status");
	else if (err == ERR_BORROW_LIMIT)
		text_copy(problem->hint, sizeof(problem->hint),
		    "ask for less, or for a shorter time: --for TIME");
}

int
borrow_take(struct cli *cli, int argc, char **argv)
{
	struct local_borrow_take request = { .count = 1 };
	struct arena arena = { 0 };
	struct problem problem = { 0 };
	struct local_borrow reply;
	struct local *local;
	int status = read_take(&request, &argc, argv);

	if (status == CLI_DONE)
		status = ask_open(&local, cli);
	if (status != CLI_DONE)
		return status;
	randombytes_buf(request.request, sizeof(request.request));
	int err = local_call(&reply, local, LOCAL_BORROW_TAKE, &request, &arena,
	    ANSWER_MS, &problem);

	if (err != 0)
		add_hint(&problem, err, &request);
	status = ask_answer(cli, err, &problem);
	if (status == CLI_DONE)
		show_borrow(cli, &reply, "Borrowed");
	local_close(local);
	arena_release(&arena);
	return status;
}

int
borrow_extend(struct cli *cli, int argc, char **argv)
{
	static const char usage[] = "borrow extend BORROW --for TIME";
	struct local_borrow_extend request = { 0 };
	struct arena arena = { 0 };
	struct local_borrow reply;
	const char *length = NULL;
	int status;

	if (cli_option(&length, &argc, argv, "--for") < 0)
		return CLI_USAGE;
	status = cli_arguments(argc, argv, 1, 1, usage);
	if (status == CLI_DONE && length == NULL) {
		cli_say("for how long from now? --for 3d; usage: leasehold %s",
		    usage);
		status = CLI_USAGE;
	}
	if (status == CLI_DONE &&
	    (!borrow_id(&request.lease, argv[1]) ||
		!length_option(&request.length_s, length)))
		status = CLI_USAGE;
	if (status != CLI_DONE)
		return status;
	status = cli_ask(cli, LOCAL_BORROW_EXTEND, &request, &reply, &arena);
	if (status == CLI_DONE)
		show_borrow(cli, &reply, "Extended");
	arena_release(&arena);
	return status;
}

/* --- return --------------------------------------------------------------- */

/* Before anything is given back: can what is to be written be written? */
static int
open_file(int *fd, const char *path)
{
	*fd = -1;
	if (path == NULL)
		return CLI_DONE;
	*fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (*fd >= 0)
		return CLI_DONE;
	cli_say("%s cannot be written: %s; nothing was returned", path,
	    strerror(errno));
	return CLI_FAILED;
}

static int
write_file(int fd, const char *path, const struct borrow_file *file)
{
	struct buf text = { 0 };
	bool written = false;

	record_write_json_pretty(&text, &borrow_file_record, file);
	buf_add_byte(&text, '\n');
	if (!text.failed && ftruncate(fd, 0) == 0 &&
	    write(fd, text.data, text.len) == (ssize_t)text.len &&
	    fsync(fd) == 0)
		written = true;
	if (!written)
		cli_say("%s cannot be written: %s; the seats are given back "
			"here, and the agent tells the site when it reaches "
			"it. For another file: leasehold borrow return --all "
			"--offline FILE",
		    path, text.failed ? "out of memory" : strerror(errno));
	buf_release(&text);
	return written ? CLI_DONE : CLI_FAILED;
}

static void
say_returned(const struct local_borrow_returned *reply, const char *path)
{
	printf("%u %s returned", reply->count,
	    reply->count == 1 ? "borrow" : "borrows");
	if (reply->proved)
		puts(", and the seats are free at the site.");
	else if (path == NULL)
		puts(" here.\nThe site is not reached; the agent proves it "
		     "there as soon as it is, and then the seats are free.");
	else
		cli_show(" here.\nThe proof is in %s. The seats are free when "
			 "an admin brings it to the site:\n"
			 "  leasehold borrow deliver %s\n"
			 "or as soon as the agent reaches it.\n",
		    path, path);
}

int
borrow_return(struct cli *cli, int argc, char **argv)
{
	static const char usage[] =
	    "borrow return BORROW | --all [--offline FILE]";
	struct local_borrow_return request = { 0 };
	struct local_borrow_returned reply;
	struct arena arena = { 0 };
	const char *path = NULL;
	int status, fd;

	if (cli_option(&path, &argc, argv, "--offline") < 0)
		return CLI_USAGE;
	request.all = cli_flag(&argc, argv, "--all");
	request.offline = path != NULL;
	status = cli_arguments(argc, argv, request.all ? 0 : 1,
	    request.all ? 0 : 1, usage);
	if (status == CLI_DONE && !request.all &&
	    !borrow_id(&request.lease, argv[1]))
		status = CLI_USAGE;
	if (status == CLI_DONE)
		status = open_file(&fd, path);
	if (status != CLI_DONE)
		return status;
	status = cli_ask(cli, LOCAL_BORROW_RETURN, &request, &reply, &arena);
	if (status == CLI_DONE && path != NULL && !reply.proved)
		status = write_file(fd, path, &reply.file);
	if (fd >= 0)
		close(fd);
	if (status == CLI_DONE && cli->json)
		cli_print_json(&local_borrow_returned_record, &reply);
	else if (status == CLI_DONE)
		say_returned(&reply, path);
	arena_release(&arena);
	return status;
}

/* --- list ----------------------------------------------------------------- */

static const struct table_column columns_[] = { { .name = "BORROW" },
	{ .name = "PRODUCT", .least = 16 },
	{ .name = "FEATURE", .least = 8, .spare = true }, { .name = "VERSION" },
	{ .name = "SEATS", .right = true }, { .name = "IN USE", .right = true },
	{ .name = "TYPE" }, { .name = "FOR", .least = 8 }, { .name = "STATE" },
	{ .name = "UNTIL" }, { .name = "LEFT", .right = true } };
#define N_COLUMNS (sizeof(columns_) / sizeof(columns_[0]))

void
borrow_table(struct buf *out, const struct local_borrows *borrows,
    unsigned int columns, bool clip, int64_t now)
{
	const struct local_borrow *items = borrows->items.items;
	struct table table = { .clip = clip };

	table_begin(&table, N_COLUMNS, columns_);
	for (uint32_t i = 0; i < borrows->items.count; i++) {
		const struct local_borrow *borrow = &items[i];
		char until[32], left[32];

		cli_time(until, borrow->until);
		borrow_left(left, borrow->until, now);
		table_cell(&table, "borrow-%llu",
		    (unsigned long long)borrow->lease);
		table_cell(&table, "%s", borrow->product);
		table_cell(&table, "%s", borrow->feature);
		table_cell(&table, "%s", borrow->version);
		table_cell(&table, "%u", borrow->count);
		table_cell(&table, "%u", borrow->used);
		table_cell(&table, "%s", seat_type_names[borrow->type]);
		table_cell(&table, "%s",
		    borrow->uid == 0 ? "everybody" : borrow->user);
		table_cell(&table, "%s", borrow_state_names[borrow->state]);
		table_cell(&table, "%s", until);
		table_cell(&table, "%s", left);
		if (borrow->until <= now)
			table_mark(&table);
	}
	if (!table_render(out, &table, columns))
		out->failed = true;
	table_end(&table);
}

static void
add_csv(struct buf *out, const struct local_borrow *borrow)
{
	char taken[CLOCK_TEXT_SIZE], until[CLOCK_TEXT_SIZE];

	clock_format(taken, borrow->taken_at);
	clock_format(until, borrow->until);
	csv_number(out, borrow->lease, false);
	csv_text(out, borrow->product, false);
	csv_text(out, borrow->version, false);
	csv_text(out, borrow->feature, false);
	csv_number(out, borrow->count, false);
	csv_number(out, borrow->used, false);
	csv_text(out, seat_type_names[borrow->type], false);
	csv_text(out, borrow_state_names[borrow->state], false);
	csv_text(out, borrow->user, false);
	csv_text(out, taken, false);
	csv_text(out, until, false);
	csv_number(out, borrow->length_s, false);
	csv_number(out, borrow->epoch, true);
}

static int
print_borrows(const struct cli *cli, const struct local_borrows *borrows,
    bool csv)
{
	const struct local_borrow *items = borrows->items.items;
	struct buf out = { 0 };

	if (cli->json) {
		struct json_items all = { 0 };

		cli_add_items(&all, &local_borrow_record, &borrows->items);
		cli_end_items(&all);
		return CLI_DONE;
	}
	if (csv) {
		buf_add_str(&out, BORROW_CSV_LOCAL);
		for (uint32_t i = 0; i < borrows->items.count; i++)
			add_csv(&out, &items[i]);
	} else if (borrows->items.count == 0) {
		buf_add_str(&out,
		    "This workstation has borrowed nothing. To take seats "
		    "along: leasehold borrow take PRODUCT --for 7d\n");
	} else {
		borrow_table(&out, borrows, screen_columns(), false,
		    clock_wall_ms());
	}
	if (out.failed)
		cli_say("out of memory");
	else
		fwrite(out.data, 1, out.len, stdout);
	int status = out.failed ? CLI_FAILED : CLI_DONE;

	buf_release(&out);
	return status;
}

int
borrow_list(struct cli *cli, int argc, char **argv)
{
	struct empty request = { 0 };
	struct local_borrows reply;
	struct arena arena = { 0 };
	bool csv = cli_flag(&argc, argv, "--csv");
	int status;

	if (csv && cli->json) {
		cli_say("--csv and --json: name one of them");
		return CLI_USAGE;
	}
	if (cli_flag(&argc, argv, "--site"))
		return borrow_list_site(cli, argc, argv, csv);
	status = cli_arguments(argc, argv, 0, 0,
	    "borrow list [--csv] [--site [--product P] [--device D]]");
	if (status == CLI_DONE)
		status =
		    cli_ask(cli, LOCAL_BORROW_LIST, &request, &reply, &arena);
	if (status == CLI_DONE)
		status = print_borrows(cli, &reply, csv);
	arena_release(&arena);
	return status;
}
