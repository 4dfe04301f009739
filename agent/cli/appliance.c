/*
 * The box that the site runs on: what it is, and its updates. A bundle is sent
 * in pieces and named by its digest, so the same command goes on where it was
 * cut; then the box is watched until the new version is confirmed, or the old
 * one runs again.
 */
#include "agent/cli/cli.h"
#include "shared/base/err.h"
#include "shared/base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LOOK_MS 2000
/* A box starts, checks itself and maybe starts again meanwhile. */
#define WATCH_S 1800
/* Times that a site may ask to wait a little. */
#define PATIENCE 60
/* Times that it may not answer in the middle: it hashes what was sent, and its
 * disk may be slow. Each asks for the same. */
#define SILENCE 30

struct updating {
	struct cli *cli;
	const char *path;
	int fd;
	uint8_t digest[32];
	uint64_t bytes;
	bool loud; /* progress for a person */
	uint32_t told; /* phase */
	uint32_t percent;
};

static void
rest(long ms)
{
	const struct timespec time = { ms / 1000, ms % 1000 * 1000000 };

	nanosleep(&time, NULL);
}

/* `quiet`: nobody is told that the site could not be reached: it starts. */
static int
ask(struct cli *cli, enum operation_id op, const void *request,
    struct update_view *view, bool quiet)
{
	struct problem *told = cli->problem;
	struct problem heard = { 0 };
	struct arena arena = { 0 };
	int status = CLI_FAILED;
	int silent =
	    op == OP_UPDATE_PUT || op == OP_UPDATE_INSTALL ? SILENCE : 0;

	for (int i = 0; i < PATIENCE; i++) {
		heard = (struct problem){ 0 };
		memset(view, 0, sizeof(*view));
		cli->problem = cli->quiet = &heard;
		status = cli_call(cli, op, request, view, &arena);
		cli->problem = told;
		cli->quiet = NULL;
		if (strcmp(heard.code, "rate_limited") != 0 &&
		    (status != CLI_UNREACHABLE || silent-- == 0))
			break;
		rest(LOOK_MS);
	}
	arena_release(&arena);
	if (status != CLI_DONE && !quiet && heard.code[0] != '\0')
		cli_problem(cli, &heard);
	return status;
}

/* --- the file ------------------------------------------------------------------- */

static int
say_file(const struct updating *updating, const char *why)
{
	cli_say("%s cannot be read: %s", updating->path, why);
	return CLI_FAILED;
}

static int
open_file(struct updating *updating)
{
	struct stat found;

	updating->fd = open(updating->path, O_RDONLY | O_CLOEXEC);
	if (updating->fd < 0 || fstat(updating->fd, &found) != 0)
		return say_file(updating, strerror(errno));
	if (!S_ISREG(found.st_mode) || found.st_size == 0)
		return say_file(updating, "it is no file with anything in it");
	updating->bytes = (uint64_t)found.st_size;
	return CLI_DONE;
}

static int
read_piece(uint8_t *piece, size_t *len, const struct updating *updating,
    uint64_t offset)
{
	*len = 0;
	while (*len < UPDATE_PIECE_MAX) {
		ssize_t n = pread(updating->fd, piece + *len,
		    UPDATE_PIECE_MAX - *len, (off_t)(offset + *len));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return say_file(updating, strerror(errno));
		if (n == 0)
			break;
		*len += (size_t)n;
	}
	return CLI_DONE;
}

static int
hash_file(struct updating *updating, uint8_t *piece)
{
	crypto_generichash_state st;
	uint64_t offset = 0;
	size_t len = 1;
	int status = CLI_DONE;

	crypto_generichash_init(&st, NULL, 0, 32);
	while (status == CLI_DONE && len > 0) {
		status = read_piece(piece, &len, updating, offset);
		crypto_generichash_update(&st, piece, len);
		offset += len;
	}
	crypto_generichash_final(&st, updating->digest, 32);
	updating->bytes = offset;
	return status;
}

/* --- telling --------------------------------------------------------------------- */

static const char *
words_of(uint32_t phase)
{
	switch ((enum update_phase)phase) {
	case UPDATE_NONE:
		return "there was none";
	case UPDATE_RECEIVING:
		return "is being sent";
	case UPDATE_REQUESTED:
		return "asked for";
	case UPDATE_CHECKING:
		return "signature and floor are checked";
	case UPDATE_INSTALLING:
		return "is being written";
	case UPDATE_RESTARTING:
		return "is written; the box starts it";
	case UPDATE_TRYING:
		return "runs, and is being checked";
	case UPDATE_DONE:
		return "runs and is confirmed";
	case UPDATE_FAILED:
		return "was not installed; the box is as before";
	case UPDATE_FELL_BACK:
		return "did not pass its check; the old version runs again";
	}
	return "?";
}

static void
tell_progress(struct updating *updating, const struct update_view *view)
{
	const bool news = view->phase != updating->told ||
	    view->percent >= updating->percent + 10;

	if (!updating->loud || !news)
		return;
	updating->told = view->phase;
	updating->percent = view->percent;
	if (view->phase == UPDATE_INSTALLING && view->percent > 0)
		cli_show("%s: %u %%\n", words_of(view->phase), view->percent);
	else if (view->phase < UPDATE_DONE)
		cli_show("%s\n", words_of(view->phase));
	fflush(stdout);
}

static int
tell_end(const struct updating *updating, const struct update_view *view)
{
	if (updating->cli->json)
		cli_print_json(&update_view_record, view);
	else if (view->phase == UPDATE_DONE)
		cli_show("Version %s %s.\n", view->version,
		    words_of(view->phase));
	if (view->phase == UPDATE_DONE)
		return CLI_DONE;
	cli_say("version %s %s%s%s",
	    view->version[0] != '\0' ? view->version : "?",
	    words_of(view->phase), view->reason[0] != '\0' ? ": " : "",
	    view->reason);
	return CLI_FAILED;
}

/* --- the way of it --------------------------------------------------------------- */

static int
send_file(struct updating *updating, uint8_t *piece, struct update_view *view)
{
	struct update_begin begin = { .bytes = updating->bytes };
	struct update_put put = { .offset = 0 };
	uint64_t told = 0;
	size_t len = 0;

	memcpy(begin.digest, updating->digest, 32);
	memcpy(put.digest, updating->digest, 32);
	int status = ask(updating->cli, OP_UPDATE_BEGIN, &begin, view, false);

	if (status == CLI_DONE && updating->loud && view->offset > 0 &&
	    view->phase == UPDATE_RECEIVING)
		cli_show("It goes on at byte %llu.\n",
		    (unsigned long long)view->offset);
	while (status == CLI_DONE && view->phase == UPDATE_RECEIVING &&
	    view->offset < updating->bytes) {
		put.offset = view->offset;
		status = read_piece(piece, &len, updating, put.offset);
		if (status == CLI_DONE && len == 0)
			return say_file(updating, "it became shorter");
		put.data = (struct record_span){ piece, (uint32_t)len };
		if (status == CLI_DONE)
			status = ask(updating->cli, OP_UPDATE_PUT, &put, view,
			    false);
		if (status == CLI_DONE && view->offset < put.offset + len) {
			cli_say("the site has fewer bytes than were sent");
			return CLI_FAILED;
		}
		if (status == CLI_DONE && updating->loud &&
		    view->offset * 10 / updating->bytes > told) {
			told = view->offset * 10 / updating->bytes;
			cli_show("%s: %llu %%\n", words_of(UPDATE_RECEIVING),
			    (unsigned long long)told * 10);
			fflush(stdout);
		}
	}
	return status;
}

/* Of a stick nobody knows the digest before it was read: its number says which
 * it is. */
static int
look(struct updating *updating, uint64_t number, struct update_view *view)
{
	struct problem heard = { 0 }, *told = updating->cli->problem;
	struct appliance_status reply = { 0 };
	struct arena arena = { 0 };
	const struct empty nothing = { 0 };

	updating->cli->problem = updating->cli->quiet = &heard;
	int status = cli_call(updating->cli, OP_APPLIANCE_STATUS, &nothing,
	    &reply, &arena);

	updating->cli->problem = told;
	updating->cli->quiet = NULL;
	*view = reply.last;
	arena_release(&arena);
	/* It starts: there are many ways of no answer. */
	if (status != CLI_DONE)
		return strcmp(heard.code, "forbidden") == 0 ||
			strcmp(heard.code, "unauthenticated") == 0
		    ? CLI_REFUSED
		    : CLI_UNREACHABLE;
	return view->update == number ? CLI_DONE : CLI_FAILED;
}

static int
watch(struct updating *updating, uint64_t number)
{
	const time_t until = time(NULL) + WATCH_S;
	struct update_view view;

	while (time(NULL) < until) {
		int status = look(updating, number, &view);

		if (status == CLI_DONE)
			tell_progress(updating, &view);
		if (status == CLI_DONE && view.phase >= UPDATE_DONE)
			return tell_end(updating, &view);
		if (status == CLI_FAILED || status == CLI_REFUSED) {
			cli_say("the box tells of another update by now; see: "
				"leasehold appliance status");
			return status;
		}
		rest(LOOK_MS);
	}
	cli_say("the box has not said in half an hour how it ended; look at "
		"its console, and: leasehold appliance status");
	return CLI_UNREACHABLE;
}

static int
install(struct updating *updating, enum operation_id op, bool wait)
{
	struct update_ref ref = { { 0 } };
	const struct empty nothing = { 0 };
	struct update_view view;

	memcpy(ref.digest, updating->digest, 32);
	int status = ask(updating->cli, op,
	    op == OP_UPDATE_USB ? (const void *)&nothing : &ref, &view, false);

	if (status != CLI_DONE)
		return status;
	if (wait)
		return watch(updating, view.update);
	if (updating->cli->json)
		cli_print_json(&update_view_record, &view);
	else
		cli_show("Update %llu is asked for; see: leasehold appliance "
			 "status\n",
		    (unsigned long long)view.update);
	return CLI_DONE;
}

static int
update_file(struct updating *updating, bool wait)
{
	uint8_t *piece = malloc(UPDATE_PIECE_MAX);
	struct update_view view;
	int status = CLI_FAILED;

	if (piece == NULL)
		cli_say("out of memory");
	else
		status = open_file(updating);
	if (status == CLI_DONE)
		status = hash_file(updating, piece);
	if (status == CLI_DONE)
		status = send_file(updating, piece, &view);
	if (status == CLI_DONE)
		status = install(updating, OP_UPDATE_INSTALL, wait);
	if (updating->fd >= 0)
		close(updating->fd);
	free(piece);
	return status;
}

int
appliance_update(struct cli *cli, int argc, char **argv)
{
	static const char usage[] = "appliance update FILE | --usb [--no-wait]";
	struct updating updating = {
		.cli = cli,
		.fd = -1,
		.loud = !cli->json,
	};
	const bool usb = cli_flag(&argc, argv, "--usb");
	const bool wait = !cli_flag(&argc, argv, "--no-wait");
	int status = cli_arguments(argc, argv, usb ? 0 : 1, usb ? 0 : 1, usage);

	if (status != CLI_DONE)
		return status;
	if (usb)
		return install(&updating, OP_UPDATE_USB, wait);
	updating.path = argv[1];
	return update_file(&updating, wait);
}

int
appliance_drop(struct cli *cli, int argc, char **argv)
{
	struct updating updating = { .cli = cli, .fd = -1 };
	struct update_ref ref;
	struct update_view view;
	int status = cli_arguments(argc, argv, 1, 1, "appliance drop FILE");
	uint8_t *piece = malloc(UPDATE_PIECE_MAX);

	if (status == CLI_DONE && piece == NULL)
		status = CLI_FAILED;
	if (status == CLI_DONE) {
		updating.path = argv[1];
		status = open_file(&updating);
	}
	if (status == CLI_DONE)
		status = hash_file(&updating, piece);
	memcpy(ref.digest, updating.digest, 32);
	if (status == CLI_DONE)
		status = ask(cli, OP_UPDATE_DROP, &ref, &view, false);
	if (status == CLI_DONE)
		puts("What was sent of it is thrown away.");
	if (updating.fd >= 0)
		close(updating.fd);
	free(piece);
	return status;
}

/* --- the box ---------------------------------------------------------------------- */

static void
print_last(const struct update_view *last)
{
	char time[32];

	if (last->phase == UPDATE_NONE) {
		cli_show("Last update:  none\n");
		return;
	}
	cli_time(time, last->requested_at);
	cli_show("Last update:  update-%llu of %s, version %s: %s",
	    (unsigned long long)last->update, time,
	    last->version[0] != '\0' ? last->version : "not known yet",
	    words_of(last->phase));
	if (last->phase == UPDATE_INSTALLING)
		cli_show(" (%u %%)", last->percent);
	cli_show("%s%s\n", last->reason[0] != '\0' ? ": " : "", last->reason);
}

int
appliance_show(struct cli *cli, int argc, char **argv)
{
	const struct empty nothing = { 0 };
	struct appliance_status reply = { 0 };
	struct arena arena = { 0 };
	int status = cli_arguments(argc, argv, 0, 0, "appliance status");

	if (status == CLI_DONE)
		status = cli_answer(cli, OP_APPLIANCE_STATUS, &nothing, &reply,
		    &arena);
	if (status == CLI_DONE && !cli->json) {
		const struct appliance_warning *warning = reply.warnings.items;

		cli_show("Version:      %s (build %s), slot %s, %s\n",
		    reply.version[0] != '\0' ? reply.version : "unknown",
		    reply.build[0] != '\0' ? reply.build : "unknown",
		    reply.slot[0] != '\0' ? reply.slot : "unknown",
		    reply.confirmed ? "confirmed" : "not confirmed");
		cli_show("Level:        %u; below %u is refused\n", reply.level,
		    reply.floor);
		cli_show("Stores:       format %u\n", reply.store_format);
		print_last(&reply.last);
		for (uint32_t i = 0; i < reply.warnings.count; i++)
			cli_show("Warning:      %s\n", warning[i].text);
	}
	arena_release(&arena);
	return status;
}
