/*
 * The owner of an appliance lets somebody in: his key, and the tokens that it
 * signs, made without asking any site; and what an admin asks of the box about
 * it.
 */
#include "shared/box/maintenance.h"
#include "agent/cli/cli.h"
#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/text.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VALID_DEFAULT_S (4 * 3600)

static const char *
key_words(int err)
{
	return err == ERR_FORBIDDEN ? "others can read it; want mode 0600"
				    : err_str(err);
}

int
maintenance_key(struct cli *cli, int argc, char **argv)
{
	int status =
	    cli_arguments(argc, argv, 1, 1, "appliance maintenance key FILE");
	char text[TOKEN_PUBLIC_TEXT];

	(void)cli;
	if (status != CLI_DONE)
		return status;
	uint8_t *secret = sodium_malloc(TOKEN_SECRET_BYTES);

	if (secret == NULL) {
		cli_say("out of memory");
		return CLI_FAILED;
	}
	int err = token_key_read(secret, argv[1]);
	bool made = err == ERR_NOT_FOUND;

	if (made)
		err = token_key_create(secret, argv[1]);
	if (err == 0)
		token_public_format(text, secret + 32);
	sodium_free(secret);
	if (err != 0) {
		cli_say("%s: %s", argv[1], key_words(err));
		return CLI_FAILED;
	}
	printf("%s\n", text);
	if (made)
		cli_say("made %s; whoever has it may open your boxes: keep it "
			"off them. Write the line above into owner.pub on a "
			"USB stick labelled LEASEHOLD and put that into the "
			"box, which takes its first owner and no other",
		    argv[1]);
	return CLI_DONE;
}

struct asked {
	const char *key, *site, *box, *minutes, *reason, *valid, *out;
};

/* CLI_DONE, and the grant but for its key. */
static int
read_grant(struct maintenance_grant *grant, const struct asked *asked)
{
	uint32_t valid_s = VALID_DEFAULT_S;
	uint64_t minutes = 0;

	if (asked->key == NULL || asked->site == NULL || asked->box == NULL ||
	    asked->minutes == NULL || asked->reason == NULL) {
		cli_say("--owner, --site, --box, --minutes and --reason are "
			"needed; both ids: "
			"leasehold appliance maintenance show");
		return CLI_USAGE;
	}
	if (!cli_number(&minutes, asked->minutes, "--minutes", 1,
		MAINTENANCE_MINUTES_MAX) ||
	    (asked->valid != NULL &&
		!cli_duration(&valid_s, asked->valid, "--valid")))
		return CLI_USAGE;
	if (valid_s == 0 ||
	    valid_s * INT64_C(1000) > MAINTENANCE_VALID_MAX_MS) {
		cli_say("--valid: at most 24h");
		return CLI_USAGE;
	}
	if (!text_copy(grant->site, sizeof(grant->site), asked->site) ||
	    !text_copy(grant->box, sizeof(grant->box), asked->box) ||
	    !text_copy(grant->reason, sizeof(grant->reason), asked->reason)) {
		cli_say("--site, --box or --reason is too long");
		return CLI_USAGE;
	}
	randombytes_buf(grant->id, sizeof(grant->id));
	grant->minutes = (uint32_t)minutes;
	grant->issued_at = clock_wall_ms();
	grant->not_after = grant->issued_at + valid_s * INT64_C(1000);
	return CLI_DONE;
}

static int
sign(const struct asked *asked, const struct maintenance_grant *grant)
{
	struct record_error error = { .field = "", .reason = "" };
	struct buf token = { .max = MAINTENANCE_TOKEN_MAX };
	uint8_t *secret = sodium_malloc(TOKEN_SECRET_BYTES);
	int status = CLI_FAILED;
	int err =
	    secret != NULL ? token_key_read(secret, asked->key) : ERR_NOMEM;

	if (err != 0) {
		cli_say("%s: %s", asked->key, key_words(err));
		goto out;
	}
	err = maintenance_sign(&token, grant, secret, &error);
	buf_add_byte(&token, '\n');
	if (err == ERR_BAD_REQUEST) {
		cli_say("%s: %s", error.field, error.reason);
		status = CLI_USAGE;
		goto out;
	}
	if (err == 0 && !token.failed && asked->out != NULL)
		err = file_write(asked->out, token.data, token.len, 0600);
	else if (err == 0 && !token.failed)
		fputs(buf_text(&token), stdout);
	if (err == 0 && !token.failed)
		status = CLI_DONE;
	else
		cli_say("no token: %s", err_str(err != 0 ? err : ERR_NOMEM));
out:
	buf_release(&token);
	sodium_free(secret);
	return status;
}

int
maintenance_token(struct cli *cli, int argc, char **argv)
{
	struct maintenance_grant grant = { 0 };
	struct asked asked = { 0 };

	(void)cli;
	if (cli_option(&asked.key, &argc, argv, "--owner") < 0 ||
	    cli_option(&asked.site, &argc, argv, "--site") < 0 ||
	    cli_option(&asked.box, &argc, argv, "--box") < 0 ||
	    cli_option(&asked.minutes, &argc, argv, "--minutes") < 0 ||
	    cli_option(&asked.reason, &argc, argv, "--reason") < 0 ||
	    cli_option(&asked.valid, &argc, argv, "--valid") < 0 ||
	    cli_option(&asked.out, &argc, argv, "--out") < 0)
		return CLI_USAGE;
	int status = cli_arguments(argc, argv, 0, 0,
	    "appliance maintenance token --owner FILE --site SITE --box BOX "
	    "--minutes N --reason TEXT [--valid TIME] [--out FILE]");

	if (status == CLI_DONE)
		status = read_grant(&grant, &asked);
	if (status == CLI_DONE)
		status = sign(&asked, &grant);
	if (status == CLI_DONE && asked.out != NULL)
		cli_say("%s opens a shell on the console of %s once: leasehold "
			"appliance maintenance open %s (or name it "
			"maintenance.token on a stick labelled LEASEHOLD)",
		    asked.out, grant.site, asked.out);
	return status;
}

/* --- of the site ----------------------------------------------------------- */

static void
print_state(const struct maintenance_view *view)
{
	const struct maintenance_event *events = view->events.items;
	char time[32];

	cli_show("Site:   %s\nBox:    %s\nOwner:  %s\n", view->site,
	    view->box[0] != '\0' ? view->box : "not told yet",
	    view->owner[0] != '\0' ? view->owner : "nobody");
	if (view->open) {
		cli_time(time, view->until);
		cli_show("A shell is open on the console, until %s at most\n",
		    time);
	} else {
		cli_show("Nothing is open%s\n",
		    view->asked ? "; a token is being looked at" : "");
	}
	for (uint32_t i = 0; i < view->events.count; i++) {
		cli_time(time, events[i].at);
		cli_show("%s  %s%s%s\n", time,
		    maintenance_step_names[events[i].step],
		    events[i].reason[0] != '\0' ? ": " : "", events[i].reason);
	}
}

int
maintenance_show(struct cli *cli, int argc, char **argv)
{
	const struct empty nothing = { 0 };
	struct maintenance_view reply = { 0 };
	struct arena arena = { 0 };
	int status =
	    cli_arguments(argc, argv, 0, 0, "appliance maintenance show");

	if (status == CLI_DONE)
		status = cli_answer(cli, OP_MAINTENANCE_SHOW, &nothing, &reply,
		    &arena);
	if (status == CLI_DONE && !cli->json)
		print_state(&reply);
	arena_release(&arena);
	return status;
}

int
maintenance_ask(struct cli *cli, int argc, char **argv)
{
	struct maintenance_ask request = { { 0 } };
	struct maintenance_view reply = { 0 };
	struct arena arena = { 0 };
	uint8_t *text = NULL;
	size_t len = 0;
	int status =
	    cli_arguments(argc, argv, 1, 1, "appliance maintenance open FILE");

	if (status != CLI_DONE)
		return status;
	int err = file_read(&text, &len, argv[1], MAINTENANCE_TOKEN_MAX);

	if (err == 0) {
		memcpy(request.token, text, len);
		request.token[strcspn(request.token, "\r\n")] = '\0';
	} else {
		cli_say("%s: %s", argv[1], err_str(err));
		status = CLI_FAILED;
	}
	free(text);
	if (status == CLI_DONE)
		status = cli_answer(cli, OP_MAINTENANCE_OPEN, &request, &reply,
		    &arena);
	if (status == CLI_DONE && !cli->json)
		puts("The box looks at it; what came of it: leasehold "
		     "appliance maintenance show");
	arena_release(&arena);
	return status;
}
