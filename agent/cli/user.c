/* Users of the site, as admins see and change them. */
#include "agent/cli/list.h"
#include "agent/cli/secret.h"

#include "shared/base/err.h"
#include "shared/base/text.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

static bool
read_role(uint32_t *role, const char *text)
{
	for (uint32_t i = 0; user_role_names[i] != NULL; i++)
		if (strcmp(user_role_names[i], text) == 0) {
			*role = i;
			return true;
		}
	cli_say("--role: '%s' is not one of owner, admin, operator, auditor, "
		"viewer",
	    text);
	return false;
}

/* --- who ------------------------------------------------------------------ */

/* "user-3", "3", or his login. */
static int
find_user(uint64_t *user, struct cli *cli, const char *text)
{
	const char *number = strncmp(text, "user-", 5) == 0 ? text + 5 : text;
	struct user_query request = { .limit = LIST_LIMIT_MAX };
	struct user_page page;
	struct arena arena = { 0 };
	int status = CLI_DONE;

	if (text_to_u64(user, number, strlen(number)) && *user >= 1 &&
	    *user < 1ULL << 53)
		return CLI_DONE;
	*user = 0;
	while (status == CLI_DONE && *user == 0) {
		status = cli_call(cli, OP_USER_LIST, &request, &page, &arena);
		const struct user_view *items = page.items.items;

		for (uint32_t i = 0; status == CLI_DONE && i < page.items.count;
		     i++)
			if (strcasecmp(items[i].login, text) == 0)
				*user = items[i].user;
		if (status != CLI_DONE || page.next == 0)
			break;
		status = cli_next_page(&request.after, page.next);
		arena_clear(&arena);
	}
	arena_release(&arena);
	if (status != CLI_DONE || *user != 0)
		return status;
	cli_say("there is no user '%s'; see: leasehold user list", text);
	return CLI_FAILED;
}

static int
only_user(uint64_t *user, struct cli *cli, int argc, char **argv,
    const char *usage)
{
	int status = cli_arguments(argc, argv, 1, 1, usage);

	return status == CLI_DONE ? find_user(user, cli, argv[1]) : status;
}

/* --- making --------------------------------------------------------------- */

static void
say_password(const struct user_created *reply)
{
	if (reply->password[0] != '\0')
		cli_show("Password, to be changed at the first login; shown "
			 "only now:\n  %s\n",
		    reply->password);
}

static int
create_options(struct user_create *request, int *argc, char **argv)
{
	const char *role = NULL, *name = "", *mail = "";

	if (cli_option(&role, argc, argv, "--role") < 0 ||
	    cli_option(&name, argc, argv, "--name") < 0 ||
	    cli_option(&mail, argc, argv, "--mail") < 0)
		return CLI_USAGE;
	if (role == NULL) {
		cli_say("say what he may: --role owner, admin, operator, "
			"auditor or viewer");
		return CLI_USAGE;
	}
	if (!text_copy(request->name, sizeof(request->name), name) ||
	    !text_copy(request->mail, sizeof(request->mail), mail)) {
		cli_say("--name, --mail: longer than %zu bytes",
		    sizeof(request->name) - 1);
		return CLI_USAGE;
	}
	return read_role(&request->role, role) ? CLI_DONE : CLI_USAGE;
}

int
user_create(struct cli *cli, int argc, char **argv)
{
	struct user_create request = { .login = "" };
	char password[SECRET_MAX + 1] = "";
	struct user_created reply;
	struct arena arena = { 0 };
	struct secrets secrets;
	int status = secrets_open(&secrets, &argc, argv);

	if (status == CLI_DONE)
		status = create_options(&request, &argc, argv);
	if (status == CLI_DONE)
		status = cli_arguments(argc, argv, 1, 1,
		    "user create LOGIN --role ROLE [--name NAME] [--mail MAIL] "
		    "[--password-fd N]");
	if (status == CLI_DONE &&
	    !text_copy(request.login, sizeof(request.login), argv[1])) {
		cli_say("LOGIN: longer than %d bytes", USER_LOGIN_MAX);
		status = CLI_USAGE;
	}
	if (status == CLI_DONE && secrets.fd >= 0) {
		status = secrets_read_new(password, &secrets, "Password");
		request.password.data = password;
		request.password.len = (uint32_t)strlen(password);
	}
	if (status == CLI_DONE)
		status =
		    cli_answer(cli, OP_USER_CREATE, &request, &reply, &arena);
	if (status == CLI_DONE && !cli->json) {
		cli_show("user-%llu %s may log in, as %s.\n",
		    (unsigned long long)reply.user.user, reply.user.login,
		    user_role_names[reply.user.role]);
		say_password(&reply);
	}
	sodium_memzero(password, sizeof(password));
	sodium_memzero(&reply, sizeof(reply));
	arena_release(&arena);
	return status;
}

/* --- looking -------------------------------------------------------------- */

static void
add_row(struct table *table, const void *item)
{
	const struct user_view *user = item;
	char login_at[32];

	cli_time(login_at, user->login_at);
	table_cell(table, "user-%llu", (unsigned long long)user->user);
	table_cell(table, "%s", user->login);
	table_cell(table, "%s", user_role_names[user->role]);
	table_cell(table, "%s%s", user_state_names[user->state],
	    user->change_password ? ", password to be changed" : "");
	table_cell(table, "%s", user->totp ? "yes" : "no");
	table_cell(table, "%s", user_source_names[user->source]);
	table_cell(table, "%s", user->name);
	table_cell(table, "%s", login_at);
}

int
user_list(struct cli *cli, int argc, char **argv)
{
	static const char *const head[] = { "USER", "LOGIN", "ROLE", "STATE",
		"CODE", "PASSWORD", "NAME", "LAST LOGIN" };
	struct user_query request = { .limit = LIST_LIMIT_MAX };
	struct user_page page;
	struct table table = { 0 };

	request.all = cli_flag(&argc, argv, "--all");
	int status = cli_arguments(argc, argv, 0, 0, "user list [--all]");

	if (status != CLI_DONE)
		return status;
	const struct cli_list list = {
		.op = OP_USER_LIST,
		.request = &request,
		.after = &request.after,
		.page = &page,
		.items = &page.items,
		.next = &page.next,
		.record = &user_view_record,
		.row = add_row,
		.none = "There are no users. Make the first: leasehold user "
			"create LOGIN --role owner",
	};

	table_head(&table, 8, head);
	return cli_list(cli, &list, &table);
}

static void
show_user(const struct user_view *user)
{
	char created[32], login_at[32];

	cli_time(created, user->created_at);
	cli_time(login_at, user->login_at);
	cli_show("User:        user-%llu %s\n", (unsigned long long)user->user,
	    user->login);
	cli_show("Name:        %s\n", user->name);
	cli_show("Mail:        %s\n", user->mail);
	cli_show("Role:        %s\n", user_role_names[user->role]);
	cli_show("State:       %s\n", user_state_names[user->state]);
	cli_show("Password:    %s%s\n", user_source_names[user->source],
	    user->change_password ? ", to be changed" : "");
	if (user->totp)
		cli_show("Code:        asked for; %u recovery codes left\n",
		    user->recovery_codes);
	else
		cli_show("Code:        not asked for\n");
	cli_show("Created:     %s\n", created);
	cli_show("Last login:  %s\n", login_at[0] != '\0' ? login_at : "never");
}

/* Of the operations that answer with him as he is now. */
static int
change(struct cli *cli, enum operation_id op, const void *request,
    const char *words)
{
	struct user_view reply;
	struct arena arena = { 0 };
	int status = cli_answer(cli, op, request, &reply, &arena);

	if (status == CLI_DONE && !cli->json && words == NULL)
		show_user(&reply);
	else if (status == CLI_DONE && !cli->json)
		cli_show("user-%llu %s %s\n", (unsigned long long)reply.user,
		    reply.login, words);
	arena_release(&arena);
	return status;
}

int
user_show(struct cli *cli, int argc, char **argv)
{
	struct user_number request = { 0 };
	int status =
	    only_user(&request.user, cli, argc, argv, "user show USER");

	return status == CLI_DONE ? change(cli, OP_USER_SHOW, &request, NULL)
				  : status;
}

/* --- changing ------------------------------------------------------------- */

int
user_set(struct cli *cli, int argc, char **argv)
{
	struct user_set request = { .user = 0 };
	const char *role = NULL, *name = "", *mail = "";

	if (cli_option(&role, &argc, argv, "--role") < 0 ||
	    cli_option(&name, &argc, argv, "--name") < 0 ||
	    cli_option(&mail, &argc, argv, "--mail") < 0)
		return CLI_USAGE;
	if (!text_copy(request.name, sizeof(request.name), name) ||
	    !text_copy(request.mail, sizeof(request.mail), mail)) {
		cli_say("--name, --mail: longer than %zu bytes",
		    sizeof(request.name) - 1);
		return CLI_USAGE;
	}
	if (role != NULL && !read_role(&request.role, role))
		return CLI_USAGE;
	request.role += role != NULL;
	int status = only_user(&request.user, cli, argc, argv,
	    "user set USER [--role ROLE] [--name NAME] [--mail MAIL]");

	return status == CLI_DONE ? change(cli, OP_USER_SET, &request, NULL)
				  : status;
}

int
user_disable(struct cli *cli, int argc, char **argv)
{
	struct user_number request = { 0 };
	int status =
	    only_user(&request.user, cli, argc, argv, "user disable USER");

	return status == CLI_DONE
	    ? change(cli, OP_USER_DISABLE, &request,
		  "cannot log in any more, and his sessions have ended.")
	    : status;
}

int
user_enable(struct cli *cli, int argc, char **argv)
{
	struct user_number request = { 0 };
	int status =
	    only_user(&request.user, cli, argc, argv, "user enable USER");

	return status == CLI_DONE
	    ? change(cli, OP_USER_ENABLE, &request, "may log in again.")
	    : status;
}

int
user_totp_reset(struct cli *cli, int argc, char **argv)
{
	struct user_number request = { 0 };
	int status =
	    only_user(&request.user, cli, argc, argv, "user totp reset USER");

	return status == CLI_DONE
	    ? change(cli, OP_USER_TOTP_RESET, &request,
		  "logs in without a code now, and his sessions have ended.")
	    : status;
}

int
user_reset(struct cli *cli, int argc, char **argv)
{
	struct user_number request = { 0 };
	struct user_created reply;
	struct arena arena = { 0 };
	int status =
	    only_user(&request.user, cli, argc, argv, "user reset USER");

	if (status == CLI_DONE)
		status =
		    cli_answer(cli, OP_USER_RESET, &request, &reply, &arena);
	if (status == CLI_DONE && !cli->json) {
		cli_show("user-%llu %s has another password, and his sessions "
			 "have ended.\n",
		    (unsigned long long)reply.user.user, reply.user.login);
		say_password(&reply);
	}
	sodium_memzero(&reply, sizeof(reply));
	arena_release(&arena);
	return status;
}

int
user_remove(struct cli *cli, int argc, char **argv)
{
	struct user_number request = { 0 }, reply;
	struct arena arena = { 0 };
	int status =
	    only_user(&request.user, cli, argc, argv, "user remove USER");

	if (status == CLI_DONE)
		status =
		    cli_answer(cli, OP_USER_REMOVE, &request, &reply, &arena);
	if (status == CLI_DONE && !cli->json)
		printf("user-%llu is removed. The journal keeps his number; "
		       "login, name and mail are gone.\n",
		    (unsigned long long)reply.user);
	arena_release(&arena);
	return status;
}

/* --- sessions ------------------------------------------------------------- */

static void
list_sessions(const struct session_page *page)
{
	static const char *const head[] = { "SESSION", "ROLE", "FROM", "BEGAN",
		"USED", "ENDS", "" };
	const struct login_session *items = page->items.items;
	struct table table = { 0 };
	char began[32], used[32], ends[32];

	table_head(&table, 7, head);
	for (uint32_t i = 0; i < page->items.count; i++) {
		cli_time(began, items[i].created_at);
		cli_time(used, items[i].used_at);
		cli_time(ends, items[i].expires_at);
		table_cell(&table, "session-%llu",
		    (unsigned long long)items[i].session);
		table_cell(&table, "%s", user_role_names[items[i].role]);
		table_cell(&table, "%s", items[i].address);
		table_cell(&table, "%s", began);
		table_cell(&table, "%s", used);
		table_cell(&table, "%s", ends);
		table_cell(&table, "%s",
		    items[i].current      ? "this one"
			: items[i].cookie ? "page"
					  : "");
	}
	table_print(&table);
}

int
user_sessions_command(struct cli *cli, int argc, char **argv)
{
	struct session_query request = { 0 };
	struct session_page page;
	struct arena arena = { 0 };
	int status = cli_arguments(argc, argv, 0, 1, "user sessions [USER]");

	if (status == CLI_DONE && argc > 1)
		status = find_user(&request.user, cli, argv[1]);
	if (status == CLI_DONE)
		status =
		    cli_answer(cli, OP_SESSION_LIST, &request, &page, &arena);
	if (status == CLI_DONE && !cli->json) {
		if (page.items.count == 0)
			puts("There are no sessions.");
		else
			list_sessions(&page);
	}
	arena_release(&arena);
	return status;
}

int
user_end(struct cli *cli, int argc, char **argv)
{
	struct session_number request = { 0 }, reply;
	struct arena arena = { 0 };
	int status = cli_only_id(&request.session, argc, argv,
	    "user end SESSION", "session-");

	if (status == CLI_DONE)
		status = cli_answer(cli, OP_SESSION_REVOKE, &request, &reply,
		    &arena);
	if (status == CLI_DONE && !cli->json)
		printf("session-%llu has ended.\n",
		    (unsigned long long)reply.session);
	arena_release(&arena);
	return status;
}
