/*
 * A tenant put back into its running site out of a backup: the file is checked
 * here from its first frame to its last before the site is asked anything; then
 * the tenant's store is sent in pieces, and the site checks it by itself. The
 * passphrase stays here, and the tenant's keys stay sealed.
 */
#include "agent/cli/cli.h"
#include "shared/backup/passphrase.h"
#include "shared/backup/walk.h"
#include "shared/base/err.h"
#include "shared/base/text.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* The site folds the whole journal anew before it says yes: it is asked how far
 * that is, and so often in vain. */
#define LOOK_FIRST_MS 100
#define LOOK_MS 2000
#define LOOKS 5
/* Times that a site may ask to wait a little. */
#define PATIENCE 60

struct sending {
	struct cli *cli;
	const char *path;
	const char *tenant;
	struct passphrase passphrase;
	char site[64];
	bool ours; /* the part at hand is the tenant's */
	bool found;
	uint64_t bytes; /* of it */
	/* while it is sent */
	uint64_t part; /* 0: nothing was begun */
	uint64_t sent;
	uint8_t *piece;
	uint32_t len;
	int status; /* what the site's answer means, where it is no yes */
};

static void
rest(long ms)
{
	const struct timespec time = { ms / 1000, ms % 1000 * 1000000 };

	nanosleep(&time, NULL);
}

static int
on_part(void *ctx, const char *tenant)
{
	struct sending *sending = ctx;

	sending->ours = strcmp(tenant, sending->tenant) == 0;
	sending->found |= sending->ours;
	return 0;
}

static int
count(void *ctx, const void *data, size_t len)
{
	struct sending *sending = ctx;

	(void)data;
	if (sending->ours)
		sending->bytes += len;
	return 0;
}

/* A large store is more than a site takes from one address in a moment: then the
 * same is sent again, which does no harm. */
static int
ask(struct cli *cli, enum operation_id op, const void *request, void *reply,
    struct arena *arena)
{
	struct problem *told = cli->problem;
	struct problem heard = { 0 };
	int status = CLI_FAILED;

	for (int i = 0; i < PATIENCE; i++) {
		heard = (struct problem){ 0 };
		cli->problem = &heard;
		status = cli_call(cli, op, request, reply, arena);
		cli->problem = told;
		if (strcmp(heard.code, "rate_limited") != 0)
			break;
		rest(heard.retry_after_s == 1 ? LOOK_MS / 2 : LOOK_MS);
	}
	if (status != CLI_DONE && heard.code[0] != '\0')
		cli_problem(cli, &heard);
	return status;
}

/* --- to the site ------------------------------------------------------------- */

static int
put_piece(struct sending *sending)
{
	const struct restore_put request = {
		.part = sending->part,
		.offset = sending->sent,
		.data = { sending->piece, sending->len },
	};
	struct restore_place place = { 0 };
	struct arena arena = { 0 };

	if (sending->len == 0)
		return 0;
	sending->status =
	    ask(sending->cli, OP_RESTORE_PUT, &request, &place, &arena);
	arena_release(&arena);
	if (sending->status == CLI_DONE &&
	    place.offset != sending->sent + sending->len) {
		cli_say("the site has another number of bytes than were sent");
		sending->status = CLI_FAILED;
	}
	sending->sent += sending->len;
	sending->len = 0;
	return sending->status == CLI_DONE ? 0 : ERR_IO;
}

static int
send_data(void *ctx, const void *data, size_t len)
{
	struct sending *sending = ctx;
	const uint8_t *at = data;
	int rc = 0;

	while (sending->ours && len > 0 && rc == 0) {
		size_t n = VAULT_PIECE_MAX - sending->len;

		if (n > len)
			n = len;
		memcpy(sending->piece + sending->len, at, n);
		sending->len += (uint32_t)n;
		at += n;
		len -= n;
		if (sending->len == VAULT_PIECE_MAX)
			rc = put_piece(sending);
	}
	return rc;
}

static int
begin(struct sending *sending)
{
	struct restore_begin request = { .bytes = sending->bytes };
	struct restore_place place;
	struct arena arena = { 0 };

	text_copy(request.tenant, sizeof(request.tenant), sending->tenant);
	memcpy(request.site, sending->site, sizeof(request.site));
	int status =
	    ask(sending->cli, OP_RESTORE_BEGIN, &request, &place, &arena);

	if (status == CLI_DONE)
		sending->part = place.part;
	arena_release(&arena);
	return status;
}

/* What the site holds of it is thrown away, when it came to nothing. */
static void
drop(struct sending *sending)
{
	const struct backup_ref ref = { .part = sending->part };
	struct problem unheard = { 0 };
	struct arena arena = { 0 };
	struct empty nothing;
	struct problem *told = sending->cli->problem;

	sending->cli->problem = &unheard;
	cli_call(sending->cli, OP_RESTORE_DROP, &ref, &nothing, &arena);
	sending->cli->problem = told;
	arena_release(&arena);
}

/* --- the file ------------------------------------------------------------------ */

static int
say_unlocked(const struct sending *sending, struct archive_reader *reader)
{
	cli_say("%s cannot be opened: %s", sending->path,
	    archive_error(reader));
	return CLI_FAILED;
}

/* All of it, with its journals; `data` gets the tenant's bytes. */
static int
walk(struct sending *sending, struct archive_reader *reader,
    int (*data)(void *ctx, const void *data, size_t len))
{
	const struct backup_listener listener = {
		.ctx = sending,
		.part = on_part,
		.data = data,
	};
	const struct archive_header *header = archive_header(reader);
	struct backup_summary summary;
	char error[256];

	memcpy(sending->site, header->site, sizeof(sending->site));
	if (archive_unlock(reader, sending->passphrase.text,
		sending->passphrase.len) != 0)
		return say_unlocked(sending, reader);
	sending->status = CLI_DONE;
	int err = backup_walk(&summary, reader, NULL, &listener, error,
	    sizeof(error));

	if (err == 0)
		return CLI_DONE;
	/* Then it was said. */
	if (sending->status != CLI_DONE)
		return sending->status;
	cli_say("%s does not hold: %s; nothing was put back", sending->path,
	    error[0] != '\0' ? error : err_str(err));
	return CLI_FAILED;
}

static int
read_file(struct sending *sending,
    int (*data)(void *ctx, const void *data, size_t len))
{
	struct archive_reader *reader = NULL;
	FILE *file = fopen(sending->path, "re");
	int status = CLI_FAILED;

	if (file == NULL) {
		cli_say("%s cannot be read: %s", sending->path,
		    strerror(errno));
		return CLI_FAILED;
	}
	if (archive_open(&reader, file) != 0)
		cli_say("%s is not to be used: %s", sending->path,
		    archive_error(reader));
	else
		status = walk(sending, reader, data);
	archive_close(reader);
	fclose(file);
	return status;
}

static int
check_file(struct sending *sending)
{
	int status = read_file(sending, count);

	if (status != CLI_DONE || sending->found)
		return status;
	cli_say("tenant %s is not in %s; see: leasehold backup show %s",
	    sending->tenant, sending->path, sending->path);
	return CLI_FAILED;
}

static int
send_file(struct sending *sending)
{
	int status = begin(sending);

	if (status != CLI_DONE)
		return status;
	sending->piece = malloc(VAULT_PIECE_MAX);
	if (sending->piece == NULL) {
		cli_say("out of memory");
		return CLI_FAILED;
	}
	status = read_file(sending, send_data);
	if (status == CLI_DONE && put_piece(sending) != 0)
		status = sending->status;
	free(sending->piece);
	return status;
}

/* --- the command --------------------------------------------------------------- */

/* What holds all the same. */
static void
print_carried(const struct restore_done *done)
{
	const struct {
		uint64_t n;
		const char *what;
	} lines[] = {
		{ done->erasedSubjects, "names that were erased" },
		{ done->erasedUsers, "accounts that were erased" },
		{ done->removedUsers, "accounts that were removed or locked" },
		{ done->revokedKeys, "API keys that were revoked" },
		{ done->revokedDevices, "devices that were revoked" },
		{ done->revokedTokens, "enrolment tokens that were revoked" },
	};
	bool any = false;

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		if (lines[i].n == 0)
			continue;
		if (!any)
			puts("Done since the copy was made, and done again in "
			     "it:");
		any = true;
		cli_show("%8llu %s\n", (unsigned long long)lines[i].n,
		    lines[i].what);
	}
	puts("A key's secret that was replaced since, and passwords, are those "
	     "of the copy again.");
}

static void
print_done(const struct restore_done *done)
{
	char time[32], lost[32];

	cli_time(time, done->time);
	cli_show("Tenant %s is what it was at batch %llu, of %s.\n",
	    done->tenant, (unsigned long long)done->batch, time);
	if (done->lost_generation != 0) {
		cli_time(lost, done->lost_time);
		cli_show("Its journal went to batch %llu, of %s: what was "
			 "granted after the copy is taken\nover from the "
			 "devices that hold it, all else since then is lost.\n",
		    (unsigned long long)done->lost_batch, lost);
	}
	cli_show("Generation %u begins.\n", done->generation);
	print_carried(done);
}

/* One answer that did not come says nothing: what goes on there goes on. */
static int
look(struct sending *sending, struct restore_view *view, struct arena *arena)
{
	const struct backup_ref ref = { .part = sending->part };
	int status = CLI_UNREACHABLE;

	for (int i = 0; i < LOOKS && status == CLI_UNREACHABLE; i++) {
		if (i > 0)
			rest(LOOK_MS);
		status = ask(sending->cli, OP_RESTORE_LOOK, &ref, view, arena);
	}
	return status;
}

static bool
goes_on(const struct restore_view *view)
{
	return view->state != RESTORE_DONE && view->state != RESTORE_FAILED;
}

static int
tell(struct cli *cli, const struct restore_view *view)
{
	struct problem problem = { 0 };

	if (view->state != RESTORE_DONE) {
		text_copy(problem.code, sizeof(problem.code),
		    view->failure.code);
		text_copy(problem.detail, sizeof(problem.detail),
		    view->failure.detail);
		text_copy(problem.hint, sizeof(problem.hint),
		    view->failure.hint);
		cli_problem(cli, &problem);
		return CLI_FAILED;
	}
	if (cli->json)
		cli_print_json(&restore_done_record, &view->done);
	else
		print_done(&view->done);
	return CLI_DONE;
}

static int
finish(struct sending *sending, const char *reason)
{
	struct restore_finish request = { .part = sending->part };
	struct restore_view view = { 0 };
	struct arena arena = { 0 };
	long wait_ms = LOOK_FIRST_MS;

	text_copy(request.reason, sizeof(request.reason), reason);
	int status = ask(sending->cli, OP_RESTORE_END, &request, &view, &arena);

	/* Whether it was heard is seen by looking. */
	if (status == CLI_UNREACHABLE)
		status = look(sending, &view, &arena);
	while (status == CLI_DONE && goes_on(&view)) {
		if (view.state == RESTORE_RECEIVING) {
			cli_say("the site did not hear of it; nothing was put "
				"back: try again");
			status = CLI_UNREACHABLE;
			break;
		}
		rest(wait_ms);
		wait_ms = wait_ms * 2 < LOOK_MS ? wait_ms * 2 : LOOK_MS;
		status = look(sending, &view, &arena);
	}
	if (status == CLI_DONE)
		status = tell(sending->cli, &view);
	arena_release(&arena);
	return status;
}

static int
restore(struct sending *sending, const char *passphrase_file,
    const char *reason)
{
	char error[700];

	if (passphrase_read(&sending->passphrase, passphrase_file, false, error,
		sizeof(error)) != 0) {
		cli_say("%s", error);
		return CLI_FAILED;
	}
	int status = check_file(sending);

	if (status == CLI_DONE)
		status = send_file(sending);
	passphrase_release(&sending->passphrase);
	if (status == CLI_DONE)
		status = finish(sending, reason);
	/* Or the answer, which is here. */
	if (sending->part != 0)
		drop(sending);
	return status;
}

int
restore_tenant(struct cli *cli, int argc, char **argv)
{
	static const char usage[] =
	    "restore FILE --tenant T --reason TEXT [--passphrase-file FILE]";
	struct sending sending = { .cli = cli };
	const char *file = NULL, *reason = NULL;

	if (cli_option(&sending.tenant, &argc, argv, "--tenant") < 0 ||
	    cli_option(&reason, &argc, argv, "--reason") < 0 ||
	    cli_option(&file, &argc, argv, "--passphrase-file") < 0)
		return CLI_USAGE;
	int status = cli_arguments(argc, argv, 1, 1, usage);

	if (status != CLI_DONE)
		return status;
	sending.path = argv[1];
	if (sending.tenant == NULL || sending.tenant[0] == '\0') {
		cli_say(
		    "say which tenant: --tenant T. A whole site is restored "
		    "on its box: leaseholdd restore FILE --state DIR");
		return CLI_USAGE;
	}
	if (reason == NULL || reason[0] == '\0' ||
	    strlen(reason) > RESTORE_REASON_MAX) {
		cli_say("say why, in 1 to %d bytes, for the tenant's journal: "
			"--reason TEXT",
		    RESTORE_REASON_MAX);
		return CLI_USAGE;
	}
	if (strlen(sending.tenant) >= sizeof(sending.site)) {
		cli_say("--tenant: longer than 63 bytes");
		return CLI_USAGE;
	}
	return restore(&sending, file, reason);
}
