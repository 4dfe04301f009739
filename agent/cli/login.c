/* Logging in and out, and what everybody may do about himself. */
#include "agent/cli/secret.h"

#include "shared/base/err.h"
#include "shared/base/text.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

static struct record_span
span_of(const char *text)
{
	return (struct record_span){ text, (uint32_t)strlen(text) };
}

/* --- in and out ----------------------------------------------------------- */

static int
ask_site(struct cli *cli, const struct session_create *request,
    struct session_created *reply, struct arena *arena, bool *wants_code)
{
	struct problem problem = { 0 };

	cli->problem = &problem;
	int status = cli_call(cli, OP_SESSION_CREATE, request, reply, arena);

	cli->problem = NULL;
	*wants_code = strcmp(problem.code, "unauthenticated") == 0 &&
	    strcmp(problem.field, "code") == 0 && request->code[0] == '\0';
	/* What a key is told is no help to who has none. */
	if (strncmp(problem.hint, "the site does not know", 22) == 0)
		problem.hint[0] = '\0';
	if (status != CLI_DONE && problem.code[0] != '\0' && !*wants_code)
		cli_problem(cli, &problem);
	return status;
}

static int
say_hello(const struct cli *cli, const struct session_created *reply)
{
	if (cli->json) {
		struct session_created shown = *reply;

		/* It is in the file; not on the screen. */
		shown.token = (struct record_span){ NULL, 0 };
		cli_print_json(&session_created_record, &shown);
		return CLI_DONE;
	}
	cli_show("Logged in to %s as %s, %s of tenant %s.\n", cli->server,
	    reply->login, user_role_names[reply->session.role], reply->tenant);
	if (reply->change_password)
		puts("Change your password now; nothing else is allowed before:"
		     " leasehold user password");
	if (reply->recovery_codes > 0 && reply->recovery_codes < 4)
		printf("%u recovery codes are left. For new ones: leasehold "
		       "user totp off, and on again\n",
		    reply->recovery_codes);
	return CLI_DONE;
}

int
user_login(struct cli *cli, int argc, char **argv)
{
	struct session_create request = { .login = "" };
	char password[SECRET_MAX + 1] = "", code[SECRET_MAX + 1] = "";
	struct session_created reply;
	struct arena arena = { 0 };
	struct secrets secrets;
	bool wants_code = false;
	int status = secrets_open(&secrets, &argc, argv);

	if (status == CLI_DONE)
		status = cli_arguments(argc, argv, 1, 1,
		    "login LOGIN [--password-fd N]");
	if (status == CLI_DONE &&
	    !text_copy(request.login, sizeof(request.login), argv[1])) {
		cli_say("LOGIN: longer than %zu bytes",
		    sizeof(request.login) - 1);
		status = CLI_USAGE;
	}
	if (status == CLI_DONE)
		status = secrets_read(password, &secrets, "Password", false);
	if (status == CLI_DONE) {
		request.password = span_of(password);
		/* Whatever key there was: it is he who asks. */
		sodium_memzero(cli->key, sizeof(cli->key));
		status = ask_site(cli, &request, &reply, &arena, &wants_code);
	}
	if (wants_code) {
		status = secrets_read(code, &secrets,
		    "One-time code (or recovery code)", false);
		if (status == CLI_DONE &&
		    !text_copy(request.code, sizeof(request.code), code))
			status = CLI_USAGE;
		if (status == CLI_DONE)
			status = ask_site(cli, &request, &reply, &arena,
			    &wants_code);
	}
	if (status == CLI_DONE)
		status = login_keep(cli, &reply.token);
	if (status == CLI_DONE)
		status = say_hello(cli, &reply);
	sodium_memzero(password, sizeof(password));
	sodium_memzero(code, sizeof(code));
	sodium_memzero(&request, sizeof(request));
	arena_release(&arena);
	return status;
}

int
user_logout(struct cli *cli, int argc, char **argv)
{
	struct empty request = { 0 };
	struct session_number reply;
	struct arena arena = { 0 };
	int status = cli_arguments(argc, argv, 0, 0, "logout");

	if (status != CLI_DONE)
		return status;
	if (!cli->session) {
		cli_say(cli->key_given
			? "a key is given, and with it nobody is logged in"
			: "nobody is logged in here");
		return CLI_FAILED;
	}
	struct problem problem = { 0 };

	cli->problem = &problem;
	status = cli_call(cli, OP_SESSION_END, &request, &reply, &arena);
	cli->problem = NULL;
	/* One that has ended already is what was wanted. */
	if (strcmp(problem.code, "unauthenticated") == 0)
		status = CLI_DONE;
	else if (problem.code[0] != '\0')
		cli_problem(cli, &problem);
	login_forget();
	if (status == CLI_DONE && cli->json)
		puts("{\n  \"logged_out\": true\n}");
	else if (status == CLI_DONE)
		puts("Logged out.");
	else
		cli_say("the session is forgotten here; at the site it ends "
			"within half an hour");
	arena_release(&arena);
	return status;
}

int
user_whoami(struct cli *cli, int argc, char **argv)
{
	struct empty request = { 0 };
	struct session_shown reply;
	struct arena arena = { 0 };
	int status = cli_arguments(argc, argv, 0, 0, "user whoami");
	char ends[32];

	if (status == CLI_DONE)
		status =
		    cli_answer(cli, OP_SESSION_SHOW, &request, &reply, &arena);
	if (status == CLI_DONE && !cli->json) {
		cli_time(ends, reply.session.expires_at);
		cli_show("user-%llu %s, %s of tenant %s; session-%llu ends at "
			 "%s at the latest%s\n",
		    (unsigned long long)reply.user.user, reply.user.login,
		    user_role_names[reply.user.role], reply.tenant,
		    (unsigned long long)reply.session.session, ends,
		    reply.change_password ? "; change your password: leasehold "
					    "user password"
					  : "");
	}
	arena_release(&arena);
	return status;
}

/* --- password and second factor ------------------------------------------- */

int
user_password(struct cli *cli, int argc, char **argv)
{
	char old[SECRET_MAX + 1] = "", new[SECRET_MAX + 1] = "";
	struct password_change request = { { NULL, 0 }, { NULL, 0 } };
	struct user_number reply;
	struct arena arena = { 0 };
	struct secrets secrets;
	int status = secrets_open(&secrets, &argc, argv);

	if (status == CLI_DONE)
		status = cli_arguments(argc, argv, 0, 0,
		    "user password [--password-fd N]");
	if (status == CLI_DONE)
		status = secrets_read(old, &secrets, "Password", false);
	if (status == CLI_DONE)
		status = secrets_read_new(new, &secrets, "New password");
	request.password = span_of(old);
	request.new_password = span_of(new);
	if (status == CLI_DONE)
		status = cli_answer(cli, OP_PASSWORD_CHANGE, &request, &reply,
		    &arena);
	if (status == CLI_DONE && !cli->json)
		puts("The password is changed. All your other sessions have "
		     "ended.");
	sodium_memzero(old, sizeof(old));
	sodium_memzero(new, sizeof(new));
	arena_release(&arena);
	return status;
}

static void
show_codes(const struct totp_confirmed *reply)
{
	const struct recovery_code *codes = reply->recovery_codes.items;

	puts("From now on a code is asked for. Keep these recovery codes; each "
	     "is good once,\nwhen the authenticator is lost:");
	for (uint32_t i = 0; i < reply->recovery_codes.count; i++)
		cli_show("  %s\n", codes[i].code);
}

static int
confirm(struct cli *cli, const struct secrets *secrets)
{
	struct totp_confirm request = { .code = "" };
	char code[SECRET_MAX + 1];
	struct totp_confirmed reply;
	struct arena arena = { 0 };
	int status = secrets_read(code, secrets,
	    "Code that the authenticator shows", false);

	if (status == CLI_DONE &&
	    !text_copy(request.code, sizeof(request.code), code)) {
		cli_say("that is no code");
		status = CLI_USAGE;
	}
	if (status == CLI_DONE)
		status =
		    cli_answer(cli, OP_TOTP_CONFIRM, &request, &reply, &arena);
	if (status == CLI_DONE && !cli->json)
		show_codes(&reply);
	arena_release(&arena);
	return status;
}

int
user_totp_on(struct cli *cli, int argc, char **argv)
{
	struct totp_begin request = { { NULL, 0 } };
	char password[SECRET_MAX + 1] = "";
	struct totp_begun reply;
	struct arena arena = { 0 };
	struct secrets secrets;
	int status = secrets_open(&secrets, &argc, argv);

	if (status == CLI_DONE)
		status = cli_arguments(argc, argv, 0, 0,
		    "user totp on [--password-fd N]");
	if (status == CLI_DONE)
		status = secrets_read(password, &secrets, "Password", false);
	request.password = span_of(password);
	if (status == CLI_DONE)
		status = cli_call(cli, OP_TOTP_BEGIN, &request, &reply, &arena);
	if (status == CLI_DONE) {
		/* With --json one object follows: of the confirmation. */
		fprintf(cli->json ? stderr : stdout,
		    "Give this to your authenticator, as a picture or typed; "
		    "it is shown only now:\n  %s\n  secret: %s\n",
		    reply.uri, reply.secret);
		fflush(stdout);
		status = confirm(cli, &secrets);
	}
	sodium_memzero(password, sizeof(password));
	sodium_memzero(&reply, sizeof(reply));
	arena_release(&arena);
	return status;
}

int
user_totp_off(struct cli *cli, int argc, char **argv)
{
	char password[SECRET_MAX + 1] = "", code[SECRET_MAX + 1] = "";
	struct totp_off request = { { NULL, 0 }, "" };
	struct user_number reply;
	struct arena arena = { 0 };
	struct secrets secrets;
	int status = secrets_open(&secrets, &argc, argv);

	if (status == CLI_DONE)
		status = cli_arguments(argc, argv, 0, 0,
		    "user totp off [--password-fd N]");
	if (status == CLI_DONE)
		status = secrets_read(password, &secrets, "Password", false);
	if (status == CLI_DONE)
		status = secrets_read(code, &secrets,
		    "One-time code (or recovery code)", false);
	request.password = span_of(password);
	if (status == CLI_DONE &&
	    !text_copy(request.code, sizeof(request.code), code)) {
		cli_say("that is no code");
		status = CLI_USAGE;
	}
	if (status == CLI_DONE)
		status = cli_answer(cli, OP_TOTP_OFF, &request, &reply, &arena);
	if (status == CLI_DONE && !cli->json)
		puts("No code is asked for any more.");
	sodium_memzero(password, sizeof(password));
	sodium_memzero(code, sizeof(code));
	arena_release(&arena);
	return status;
}
