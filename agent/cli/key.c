/* The admin's commands about API keys: made, bound, renewed, ended. */
#include "agent/cli/cli.h"
#include "agent/cli/list.h"
#include "shared/base/err.h"
#include "shared/base/text.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

/* An option again and again, each into an item of `size` bytes. */
static int
read_many(struct record_list *out, void *items, size_t size, uint32_t most,
    int *argc, char **argv, const char *name)
{
	const char *value;
	uint32_t n = 0;
	int found;

	while ((found = cli_option(&value, argc, argv, name)) > 0) {
		if (n == most) {
			cli_say("%s: more than %u", name, most);
			return CLI_USAGE;
		}
		if (value[0] == '\0' ||
		    !text_copy((char *)items + n * size, size, value)) {
			cli_say("%s: '%s' is empty or longer than %zu bytes",
			    name, value, size - 1);
			return CLI_USAGE;
		}
		n++;
	}
	*out = (struct record_list){ items, n };
	return found < 0 ? CLI_USAGE : CLI_DONE;
}

static int
read_text(char *out, size_t size, int *argc, char **argv, const char *name)
{
	const char *value;
	int found = cli_option(&value, argc, argv, name);

	if (found > 0 && !text_copy(out, size, value)) {
		cli_say("%s: longer than %zu bytes", name, size - 1);
		return CLI_USAGE;
	}
	return found < 0 ? CLI_USAGE : CLI_DONE;
}

static int
read_number(uint32_t *out, int *argc, char **argv, const char *name,
    uint64_t least, uint64_t most)
{
	const char *value;
	uint64_t number;
	int found = cli_option(&value, argc, argv, name);

	if (found < 0 ||
	    (found > 0 && !cli_number(&number, value, name, least, most)))
		return CLI_USAGE;
	if (found > 0)
		*out = (uint32_t)number;
	return CLI_DONE;
}

static int
read_enum(uint32_t *out, int *argc, char **argv, const char *name,
    const char *const *names)
{
	const char *value;
	int found = cli_option(&value, argc, argv, name);

	if (found <= 0)
		return found < 0 ? CLI_USAGE : CLI_DONE;
	for (uint32_t i = 0; names[i] != NULL; i++)
		if (strcmp(names[i], value) == 0) {
			*out = i;
			return CLI_DONE;
		}
	const char *closest = text_closest(value, names);

	cli_say("%s: there is no '%s'%s%s%s", name, value,
	    closest != NULL ? "; did you mean '" : "",
	    closest != NULL ? closest : "", closest != NULL ? "'?" : "");
	return CLI_USAGE;
}

/* --- create, rotate --------------------------------------------------------- */

/* Standard output holds the key alone, so that it can go on from there. */
static void
say_generated(const struct key_generated *made)
{
	char until[32];

	printf("%s\n", made->api_key);
	cli_time(until, made->expires_at);
	cli_say("%s: this is the only time that it is shown. For the program: "
		"LICENSE_SERVER_URL=%s and LICENSE_API_KEY. It is good until "
		"%s",
	    made->key_id, made->tenant_url,
	    made->expires_at != 0 ? until : "it is revoked");
	if (made->previous_until == 0)
		return;
	cli_time(until, made->previous_until);
	cli_say("the key before it is good until %s", until);
}

static int
generate(struct cli *cli, enum operation_id op, const void *request)
{
	struct key_generated made;
	struct arena arena = { 0 };
	int status = cli_answer(cli, op, request, &made, &arena);

	if (status == CLI_DONE && !cli->json)
		say_generated(&made);
	sodium_memzero(&made, sizeof made);
	arena_release(&arena);
	return status;
}

static int
read_create(struct key_generate *request, struct key_scope *scopes,
    struct key_host *hosts, int *argc, char **argv)
{
	int status =
	    read_enum(&request->app_type, argc, argv, "--type", key_app_names);

	if (status == CLI_DONE)
		status = read_many(&request->scopes, scopes, sizeof *scopes,
		    KEY_SCOPES_MAX, argc, argv, "--scope");
	if (status == CLI_DONE)
		status = read_many(&request->allowed_hostnames, hosts,
		    sizeof *hosts, KEY_HOSTS_MAX, argc, argv, "--host");
	if (status == CLI_DONE)
		status = read_number(&request->expires_in_days, argc, argv,
		    "--for", 1, KEY_DAYS_MAX);
	if (status == CLI_DONE)
		status = read_text(request->client_cert_cn,
		    sizeof request->client_cert_cn, argc, argv, "--cert-cn");
	if (status == CLI_DONE)
		status = read_text(request->metadata.department,
		    sizeof request->metadata.department, argc, argv,
		    "--department");
	if (status == CLI_DONE)
		status = read_text(request->metadata.contact,
		    sizeof request->metadata.contact, argc, argv, "--contact");
	request->require_mtls = cli_flag(argc, argv, "--mtls");
	return status;
}

int
api_key_create(struct cli *cli, int argc, char **argv)
{
	struct key_scope scopes[KEY_SCOPES_MAX] = {
		{ "license:checkout" },
		{ "license:return" },
	};
	struct key_host hosts[KEY_HOSTS_MAX];
	struct key_generate request = { .app_type = KEY_CI_CD };
	int status = read_create(&request, scopes, hosts, &argc, argv);

	if (status == CLI_DONE)
		status = cli_arguments(argc, argv, 1, 1,
		    "key create NAME [--type TYPE] [--scope SCOPE]...");
	if (status != CLI_DONE)
		return status;
	if (request.scopes.count == 0)
		request.scopes = (struct record_list){ scopes, 2 };
	if (!text_copy(request.app_name, sizeof request.app_name, argv[1])) {
		cli_say("the name is longer than %zu bytes",
		    sizeof request.app_name - 1);
		return CLI_USAGE;
	}
	return generate(cli, OP_KEY_GENERATE, &request);
}

/* "key-17" or "17". */
static int
read_key_id(char out[32], int argc, char **argv, const char *usage)
{
	uint64_t number;
	int status = cli_only_id(&number, argc, argv, usage, "key-");

	if (status == CLI_DONE)
		snprintf(out, 32, "key-%llu", (unsigned long long)number);
	return status;
}

int
api_key_rotate(struct cli *cli, int argc, char **argv)
{
	struct key_rotate request = { .overlap_hours = 0 };
	int status = read_number(&request.overlap_hours, &argc, argv,
	    "--overlap", 1, KEY_OVERLAP_MAX_HOURS);

	if (status == CLI_DONE)
		status = read_number(&request.expires_in_days, &argc, argv,
		    "--for", 1, KEY_DAYS_MAX);
	request.at_once = cli_flag(&argc, argv, "--at-once");
	if (status == CLI_DONE)
		status =
		    read_key_id(request.key_id, argc, argv, "key rotate KEY");
	return status == CLI_DONE ? generate(cli, OP_KEY_ROTATE, &request)
				  : status;
}

/* --- list ------------------------------------------------------------------- */

static void
add_row(struct table *table, const void *item)
{
	const struct key_view *key = item;
	const struct key_scope *scopes = key->scopes.items;
	struct buf names = { .max = 512 };
	char when[32];

	for (uint32_t i = 0; i < key->scopes.count; i++)
		buf_printf(&names, "%s%s", i > 0 ? " " : "", scopes[i].scope);
	table_cell(table, "%s", key->key_id);
	table_cell(table, "%s", key->app_name);
	table_cell(table, "%s", api_key_state_names[key->state]);
	table_cell(table, "%s", names.failed ? "many" : buf_text(&names));
	table_cell(table, "%s", key->restricted ? "yes" : "no");
	cli_time(when, key->expires_at);
	table_cell(table, "%s", key->expires_at != 0 ? when : "never");
	cli_time(when, key->last_used_at);
	table_cell(table, "%s", key->last_used_at != 0 ? when : "never");
	buf_release(&names);
}

static int
list_site(struct cli *cli)
{
	static const char *const head[] = { "KEY", "NAME", "TENANT", "STATE",
		"MADE" };
	struct site_key_page page;
	struct empty request = { 0 };
	struct arena arena = { 0 };
	struct table table = { 0 };
	int status = cli_answer(cli, OP_SITE_KEY_LIST, &request, &page, &arena);
	const struct site_key_view *items = page.items.items;

	if (status == CLI_DONE && !cli->json) {
		table_head(&table, 5, head);
		for (uint32_t i = 0; i < page.items.count; i++) {
			char made[32];

			cli_time(made, items[i].created_at);
			table_cell(&table, "%s", items[i].key_id);
			table_cell(&table, "%s", items[i].name);
			table_cell(&table, "%s", items[i].tenant);
			table_cell(&table, "%s",
			    items[i].revoked ? "revoked" : "active");
			table_cell(&table, "%s", made);
		}
		table_flush(&table);
		table_end(&table);
	}
	arena_release(&arena);
	return status;
}

int
api_key_list(struct cli *cli, int argc, char **argv)
{
	static const char *const head[] = { "KEY", "NAME", "STATE", "SCOPES",
		"BOUND", "ENDS", "LAST USED" };
	struct key_query request = { .limit = LIST_LIMIT_MAX };
	struct key_page page;
	struct table table = { 0 };
	bool site = cli_flag(&argc, argv, "--site");

	request.all = cli_flag(&argc, argv, "--all");
	int status =
	    cli_arguments(argc, argv, 0, 0, "key list [--all | --site]");

	if (status != CLI_DONE)
		return status;
	if (site)
		return list_site(cli);
	const struct cli_list list = {
		.op = OP_KEY_LIST,
		.request = &request,
		.after = &request.after,
		.page = &page,
		.items = &page.items,
		.next = &page.next,
		.record = &key_view_record,
		.row = add_row,
		.none = request.all
		    ? "No key was ever made."
		    : "No key is good now. Make one: leasehold key create NAME",
	};

	table_head(&table, 7, head);
	return cli_list(cli, &list, &table);
}

/* --- show ------------------------------------------------------------------- */

static void
print_bounds(const struct key_restrictions *r)
{
	const struct key_host *hosts = r->allowed_hostnames.items;
	const struct key_range *ranges = r->allowed_ip_ranges.items;
	const struct key_known *known = r->allowed_fingerprints.items;
	const struct key_print *blocked = r->blocked_fingerprints.items;

	for (uint32_t i = 0; i < r->allowed_hostnames.count; i++)
		cli_show("host      %s\n", hosts[i].host);
	for (uint32_t i = 0; i < r->allowed_ip_ranges.count; i++)
		cli_show("address   %s\n", ranges[i].range);
	if (r->require_mtls || r->client_cert_cn[0] != '\0' ||
	    r->client_cert_sha256[0] != '\0')
		cli_show("client    a certificate%s%s%s%s\n",
		    r->client_cert_cn[0] != '\0' ? " of " : "",
		    r->client_cert_cn,
		    r->client_cert_sha256[0] != '\0' ? ", SHA-256 " : "",
		    r->client_cert_sha256);
	if (r->fingerprint_mode != KEY_PRINTS_OFF)
		cli_show("programs  %s\n",
		    key_prints_names[r->fingerprint_mode]);
	for (uint32_t i = 0; i < r->allowed_fingerprints.count; i++)
		cli_show("known     %s %s\n", known[i].fingerprint,
		    known[i].lib_version);
	for (uint32_t i = 0; i < r->blocked_fingerprints.count; i++)
		cli_show("blocked   %s\n", blocked[i].fingerprint);
	if (r->working_hours.days[0] != '\0')
		cli_show("hours     %s %s-%s %s\n", r->working_hours.days,
		    r->working_hours.from, r->working_hours.to,
		    r->working_hours.zone[0] != '\0' ? r->working_hours.zone
						     : "UTC");
	cli_show("rates     %u checkouts a minute, %u requests an hour\n",
	    r->checkouts_per_minute != 0 ? r->checkouts_per_minute
					 : KEY_CHECKOUTS_DEFAULT,
	    r->requests_per_hour != 0 ? r->requests_per_hour
				      : KEY_REQUESTS_DEFAULT);
}

static void
print_key(const struct key_details *details)
{
	const struct key_view *key = &details->key;
	const struct key_scope *scopes = key->scopes.items;
	char when[32];

	cli_show("key       %s  %s (%s)\n", key->key_id, key->app_name,
	    key_app_names[key->app_type]);
	cli_show("state     %s\n", api_key_state_names[key->state]);
	cli_show("may      ");
	for (uint32_t i = 0; i < key->scopes.count; i++)
		cli_show(" %s", scopes[i].scope);
	cli_time(when, key->created_at);
	cli_show("\nmade      %s by %s-%llu\n", when,
	    actor_kind_names[key->by.kind], (unsigned long long)key->by.id);
	cli_time(when, key->expires_at);
	cli_show("ends      %s\n", key->expires_at != 0 ? when : "never");
	cli_time(when, key->last_used_at);
	cli_show("last used %s\n", key->last_used_at != 0 ? when : "never");
	cli_time(when, key->previous_until);
	if (key->previous_until != 0)
		cli_show("rotated   the key before is good until %s\n", when);
	if (key->metadata.department[0] != '\0' ||
	    key->metadata.contact[0] != '\0')
		cli_show("for       %s %s\n", key->metadata.department,
		    key->metadata.contact);
	print_bounds(&details->restrictions);
}

int
api_key_show(struct cli *cli, int argc, char **argv)
{
	struct key_ref request;
	struct key_details reply;
	struct arena arena = { 0 };
	int status = read_key_id(request.key_id, argc, argv, "key show KEY");

	if (status == CLI_DONE)
		status = cli_answer(cli, OP_KEY_SHOW, &request, &reply, &arena);
	if (status == CLI_DONE && !cli->json)
		print_key(&reply);
	arena_release(&arena);
	return status;
}

/* --- restrict --------------------------------------------------------------- */

struct bounds {
	struct key_field clear[KEY_CLEAR_MAX];
	struct key_host hosts[KEY_HOSTS_MAX];
	struct key_range ranges[KEY_RANGES_MAX];
	struct key_print prints[KEY_PRINTS_MAX];
	struct key_known known[KEY_PRINTS_MAX];
	struct key_print blocked[KEY_BLOCKED_MAX];
};

/* "mon-fri 07:00-19:00 [ZONE]" */
static int
read_hours(struct key_hours *out, int *argc, char **argv)
{
	const char *value;
	int n = 0, found = cli_option(&value, argc, argv, "--hours");

	if (found <= 0)
		return found < 0 ? CLI_USAGE : CLI_DONE;
	if (sscanf(value, "%31s %5[0-9:]-%5[0-9:]%n %63s", out->days, out->from,
		out->to, &n, out->zone) >= 3 &&
	    n > 0 && strlen(value) < 110)
		return CLI_DONE;
	cli_say("--hours: '%s' is not as in 'mon-fri 07:00-19:00 "
		"Europe/Berlin'",
	    value);
	return CLI_USAGE;
}

static int
read_restrict(struct key_restrict *request, struct bounds *bounds, int *argc,
    char **argv)
{
	struct record_list prints = { 0 };
	int status = read_many(&request->clear, bounds->clear,
	    sizeof *bounds->clear, KEY_CLEAR_MAX, argc, argv, "--clear");

	if (status == CLI_DONE)
		status = read_many(&request->allowed_hostnames, bounds->hosts,
		    sizeof *bounds->hosts, KEY_HOSTS_MAX, argc, argv, "--host");
	if (status == CLI_DONE)
		status = read_many(&request->allowed_ip_ranges, bounds->ranges,
		    sizeof *bounds->ranges, KEY_RANGES_MAX, argc, argv,
		    "--address");
	if (status == CLI_DONE)
		status =
		    read_many(&prints, bounds->prints, sizeof *bounds->prints,
			KEY_PRINTS_MAX, argc, argv, "--fingerprint");
	for (uint32_t i = 0; i < prints.count; i++)
		memcpy(bounds->known[i].fingerprint,
		    bounds->prints[i].fingerprint,
		    sizeof bounds->known[i].fingerprint);
	request->allowed_fingerprints =
	    (struct record_list){ bounds->known, prints.count };
	if (status == CLI_DONE)
		status = read_many(&request->blocked_fingerprints,
		    bounds->blocked, sizeof *bounds->blocked, KEY_BLOCKED_MAX,
		    argc, argv, "--block");
	if (status == CLI_DONE)
		status = read_enum(&request->fingerprint_mode, argc, argv,
		    "--programs", key_prints_set_names);
	if (status == CLI_DONE)
		status = read_text(request->client_cert_cn,
		    sizeof request->client_cert_cn, argc, argv, "--cert-cn");
	if (status == CLI_DONE)
		status = read_text(request->client_cert_sha256,
		    sizeof request->client_cert_sha256, argc, argv,
		    "--cert-print");
	if (status == CLI_DONE)
		status = read_number(&request->checkouts_per_minute, argc, argv,
		    "--checkouts", 1, 1000000);
	if (status == CLI_DONE)
		status = read_number(&request->requests_per_hour, argc, argv,
		    "--requests", 1, 100000000);
	if (status == CLI_DONE)
		status = read_hours(&request->working_hours, argc, argv);
	request->require_mtls = cli_flag(argc, argv, "--mtls");
	return status;
}

int
api_key_restrict(struct cli *cli, int argc, char **argv)
{
	struct bounds bounds = { 0 };
	struct key_restrict request = { .require_mtls = false };
	struct key_details reply;
	struct arena arena = { 0 };
	int status = read_restrict(&request, &bounds, &argc, argv);

	if (status == CLI_DONE)
		status =
		    read_key_id(request.key_id, argc, argv, "key restrict KEY");
	if (status == CLI_DONE)
		status =
		    cli_answer(cli, OP_KEY_RESTRICT, &request, &reply, &arena);
	if (status == CLI_DONE && !cli->json)
		print_bounds(&reply.restrictions);
	arena_release(&arena);
	return status;
}

/* --- revoke ----------------------------------------------------------------- */

static int
revoke_site(struct cli *cli, const char *key_id)
{
	struct key_ref request, reply;
	struct arena arena = { 0 };

	text_copy(request.key_id, sizeof request.key_id, key_id);
	int status =
	    cli_answer(cli, OP_SITE_KEY_REVOKE, &request, &reply, &arena);

	if (status == CLI_DONE && !cli->json)
		printf("%s is revoked: it opens nothing any more.\n",
		    reply.key_id);
	arena_release(&arena);
	return status;
}

int
api_key_revoke(struct cli *cli, int argc, char **argv)
{
	struct key_revoke request = { .reason = "" };
	struct key_ref reply;
	struct arena arena = { 0 };
	int status = read_text(request.reason, sizeof request.reason, &argc,
	    argv, "--reason");

	if (status == CLI_DONE && argc == 2 && request.reason[0] == '\0' &&
	    strncmp(argv[1], "admin-", 6) == 0)
		return revoke_site(cli, argv[1]);
	if (status == CLI_DONE)
		status =
		    read_key_id(request.key_id, argc, argv, "key revoke KEY");
	if (status == CLI_DONE)
		status =
		    cli_answer(cli, OP_KEY_REVOKE, &request, &reply, &arena);
	if (status == CLI_DONE && !cli->json)
		printf("%s is revoked: it opens nothing any more, and its "
		       "seats are taken.\n",
		    reply.key_id);
	arena_release(&arena);
	return status;
}
