/* `journal show`, `journal prune`, `journal archive`: how long the journal is,
 * and giving up what is old. */
#include "agent/cli/journal.h"

#include "shared/base/err.h"
#include "shared/base/text.h"

#include <stdio.h>

int
journal_begin(struct journal_walk *walk, struct journal_view *view,
    struct cli *cli, const struct site_keys *keys, struct arena *arena)
{
	struct empty nothing = { 0 };
	int status = cli_call(cli, OP_JOURNAL_SHOW, &nothing, view, arena);

	if (status != CLI_DONE || keys == NULL)
		return status;
	if (view->begins == 0) {
		journal_walk_init(walk, site_keys_last(keys));
		journal_walk_trust(walk, keys);
		return CLI_DONE;
	}
	const struct journal_anchor anchor = { view->begins, view->header,
		view->frontier };
	int err = journal_walk_anchor(walk,
	    site_keys_of(keys, anchor.header.data, anchor.header.len), &anchor);

	if (err == 0)
		journal_walk_trust(walk, keys);
	if (err == 0)
		return CLI_DONE;
	cli_say("what stands in place of the batches before %llu does not "
		"hold: %s",
	    (unsigned long long)view->begins, err_str(err));
	cli_say("what this means: somebody else's key signed it, or it was "
		"altered. Keep the store as it is and tell your vendor.");
	return CLI_FAILED;
}

static void
print_size(char out[32], uint64_t bytes)
{
	if (bytes < (1 << 20))
		snprintf(out, 32, "%.1f KiB", (double)bytes / (1 << 10));
	else
		snprintf(out, 32, "%.1f MiB", (double)bytes / (1 << 20));
}

static void
print_view(const struct journal_view *view)
{
	char size[32], time[32], hex[65];

	print_size(size, view->used_bytes);
	printf("%llu batches, %llu rows; the store has %s.\n",
	    (unsigned long long)view->batches, (unsigned long long)view->rows,
	    size);
	if (view->begins == 0) {
		puts("All of it is there, from its genesis on.");
	} else {
		cli_time(time, view->given_up_to);
		text_to_hex(hex, view->head, 32);
		printf("It begins with batch %llu, row %llu. What was before, "
		       "to %s, was given up;\nits last head was %s.\n",
		    (unsigned long long)view->begins,
		    (unsigned long long)view->first_row, time, hex);
		text_to_hex(hex, view->state_hash, 32);
		printf("The state after batch %llu is kept: %s.\n",
		    (unsigned long long)view->checkpoint, hex);
	}
	if (view->sweeping)
		puts("What was given up is being removed.");
	if (view->keep_days != 0)
		printf("What is older than %u days is given up by itself.\n",
		    view->keep_days);
}

int
journal_show_command(struct cli *cli, int argc, char **argv)
{
	struct arena arena = { 0 };
	struct journal_view view;
	int status = cli_arguments(argc, argv, 0, 0, "journal show");

	if (status == CLI_DONE)
		status = journal_begin(NULL, &view, cli, NULL, &arena);
	if (status == CLI_DONE && cli->json)
		cli_print_json(&journal_view_record, &view);
	else if (status == CLI_DONE)
		print_view(&view);
	arena_release(&arena);
	return status;
}

/* --- archive, prune ------------------------------------------------------------- */

/* What would go. */
static int
ask_plan(struct journal_pruned *plan, struct cli *cli, int64_t before)
{
	const struct journal_prune request = { before, true };
	struct arena arena = { 0 };
	int status = cli_call(cli, OP_JOURNAL_PRUNE, &request, plan, &arena);

	arena_release(&arena);
	return status;
}

static void
print_plan(const struct journal_pruned *plan)
{
	char size[32], time[32];

	print_size(size, plan->size_bytes);
	cli_time(time, plan->given_up_to);
	printf("%llu batches to %s %s, %s: their rows can be read no more.\n"
	       "What stays: every batch from %llu on, the heads of all, and "
	       "the state.\n",
	    (unsigned long long)plan->batches, time,
	    plan->done ? "are given up" : "would go", size,
	    (unsigned long long)plan->begins);
	if (plan->kept > 0)
		printf("%llu older batches stay as long as a lease or borrow "
		       "in them is held.\n",
		    (unsigned long long)plan->kept);
}

static int
read_before(int64_t *before, int *argc, char **argv)
{
	const char *value;
	int found = cli_option(&value, argc, argv, "--before");

	if (found < 0 ||
	    (found > 0 && !audit_read_time(before, value, "--before")))
		return CLI_USAGE;
	if (found > 0)
		return CLI_DONE;
	cli_say("--before: what is older is meant: 2026-01-01, or 400d");
	return CLI_USAGE;
}

int
journal_archive_command(struct cli *cli, int argc, char **argv)
{
	struct journal_pruned plan;
	int64_t before = 0;
	int status = read_before(&before, &argc, argv);

	if (status == CLI_DONE)
		status = cli_arguments(argc, argv, 1, 1,
		    "journal archive FILE --before TIME");
	if (status == CLI_DONE)
		status = ask_plan(&plan, cli, before);
	if (status != CLI_DONE)
		return status;
	if (plan.begins == 0) {
		cli_say("nothing in the journal is that old");
		return CLI_FAILED;
	}
	status = audit_archive(cli, argv[1], plan.begins, plan.head);
	if (status == CLI_DONE && cli->json)
		cli_print_json(&journal_pruned_record, &plan);
	else if (status == CLI_DONE)
		printf("The batches before %llu are in %s. Anybody checks it "
		       "with: leasehold audit verify %s --site-key K\n",
		    (unsigned long long)plan.begins, argv[1], argv[1]);
	return status;
}

static int
give_up(struct cli *cli, const struct journal_pruned *plan)
{
	/* What the archive has, and nothing more. */
	const struct journal_prune request = { plan->given_up_to + 1, false };
	struct journal_pruned reply;
	struct arena arena = { 0 };
	int status = cli_call(cli, OP_JOURNAL_PRUNE, &request, &reply, &arena);

	arena_release(&arena);
	if (status != CLI_DONE)
		return status;
	if (cli->json)
		cli_print_json(&journal_pruned_record, &reply);
	else if (reply.begins == 0)
		puts("It was given up meanwhile.");
	else
		print_plan(&reply);
	return CLI_DONE;
}

int
journal_prune_command(struct cli *cli, int argc, char **argv)
{
	struct journal_pruned plan;
	const char *file = NULL;
	int64_t before = 0;
	bool dry = cli_flag(&argc, argv, "--dry-run");
	bool none = cli_flag(&argc, argv, "--no-archive");
	int status = read_before(&before, &argc, argv);

	if (status == CLI_DONE &&
	    cli_option(&file, &argc, argv, "--archive") < 0)
		status = CLI_USAGE;
	if (status == CLI_DONE)
		status = cli_arguments(argc, argv, 0, 0,
		    "journal prune --before TIME --archive FILE");
	if (status == CLI_DONE && !dry && (file != NULL) == none) {
		cli_say("say where what goes is kept, --archive FILE, or that "
			"it is not: --no-archive");
		status = CLI_USAGE;
	}
	if (status == CLI_DONE)
		status = ask_plan(&plan, cli, before);
	if (status != CLI_DONE)
		return status;
	if (plan.begins == 0 || dry) {
		if (cli->json)
			cli_print_json(&journal_pruned_record, &plan);
		else if (plan.begins == 0)
			puts("Nothing in the journal is that old.");
		else
			print_plan(&plan);
		return CLI_DONE;
	}
	if (file != NULL)
		status = audit_archive(cli, file, plan.begins, plan.head);
	return status == CLI_DONE ? give_up(cli, &plan) : status;
}
