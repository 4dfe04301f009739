/* The vendor's commands about the account itself: its issuing key, its sites,
 * its figures. */
#include "agent/cli/hub.h"
#include "agent/cli/list.h"
#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int
hub_text(char *out, size_t size, int *argc, char **argv, const char *name)
{
	const char *value;
	int found = cli_option(&value, argc, argv, name);

	if (found > 0 && !text_copy(out, size, value)) {
		cli_say("%s: longer than %zu bytes", name, size - 1);
		return CLI_USAGE;
	}
	return found < 0 ? CLI_USAGE : CLI_DONE;
}

int
hub_one_of(uint32_t *out, int *argc, char **argv, const char *name,
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
	cli_say("%s: '%s' is not one of", name, value);
	for (uint32_t i = 0; names[i] != NULL; i++)
		cli_say("  %s", names[i]);
	return CLI_USAGE;
}

int
hub_only(char *out, size_t size, int argc, char **argv, const char *usage)
{
	int status = cli_arguments(argc, argv, 1, 1, usage);

	if (status == CLI_DONE && !text_copy(out, size, argv[1])) {
		cli_say("'%.20s...' is longer than %zu bytes", argv[1],
		    size - 1);
		return CLI_USAGE;
	}
	return status;
}

bool
hub_date(int32_t *out, const char *text, const char *what)
{
	if (clock_parse_date(out, text, strlen(text)) == 0)
		return true;
	cli_say("%s: '%s' is no day such as 2026-12-31", what, text);
	return false;
}

/* --- the issuing key -------------------------------------------------------------- */

static void
show_key(const struct hub_key_view *key)
{
	char from[32], to[32];

	if (key->public_key[0] != '\0')
		printf("%s\n", key->public_key);
	if (key->issuing != 0) {
		cli_time(from, key->not_before);
		cli_time(to, key->not_after);
		cli_say("key %llu issues for %s (%s), from %s to %s",
		    (unsigned long long)key->issuing, key->vendor.name,
		    key->vendor.id, from, to);
	}
	if (!key->vouched)
		cli_say("the vendor's root key has not vouched for key %llu "
			"yet: leasehold-vendor issuer DIR --key %s --out "
			"issuer.json; then: leasehold hub key install "
			"issuer.json",
		    (unsigned long long)key->key, key->public_key);
}

static int
ask_key(struct cli *cli, enum operation_id op, const void *request,
    struct arena *arena)
{
	struct hub_key_view reply;
	int status = cli_answer(cli, op, request, &reply, arena);

	if (status == CLI_DONE && !cli->json)
		show_key(&reply);
	return status;
}

int
hub_key_show(struct cli *cli, int argc, char **argv)
{
	const struct empty request = { 0 };
	struct hub_key_view reply;
	struct arena arena = { 0 };
	int status = cli_arguments(argc, argv, 0, 0, "hub key");

	if (status == CLI_DONE)
		status =
		    cli_call(cli, OP_HUB_KEY_SHOW, &request, &reply, &arena);
	if (status == CLI_DONE && reply.key == 0)
		status = ask_key(cli, OP_HUB_KEY_MAKE, &request, &arena);
	else if (status == CLI_DONE && cli->json)
		cli_print_json(&hub_key_view_record, &reply);
	else if (status == CLI_DONE)
		show_key(&reply);
	arena_release(&arena);
	return status;
}

int
hub_key_make(struct cli *cli, int argc, char **argv)
{
	const struct empty request = { 0 };
	struct arena arena = { 0 };
	int status = cli_arguments(argc, argv, 0, 0, "hub key make");

	if (status == CLI_DONE)
		status = ask_key(cli, OP_HUB_KEY_MAKE, &request, &arena);
	arena_release(&arena);
	return status;
}

int
hub_key_install(struct cli *cli, int argc, char **argv)
{
	struct license_issuer_file request;
	struct arena arena = { 0 };
	int status = cli_arguments(argc, argv, 1, 1, "hub key install FILE");

	if (status == CLI_DONE)
		status = cli_read_record(&request, &license_issuer_file_record,
		    argv[1], "word for an issuing key",
		    "it is made with leasehold-vendor issuer --key", &arena);
	if (status == CLI_DONE)
		status = ask_key(cli, OP_HUB_KEY_INSTALL, &request, &arena);
	arena_release(&arena);
	return status;
}

/* --- sites ------------------------------------------------------------------------ */

static int
read_file(struct record_span *out, const char *path, struct arena *arena)
{
	uint8_t *data;
	size_t len;
	int err = file_read(&data, &len, path, HUB_REQUEST_MAX);

	if (err != 0) {
		cli_say("%s cannot be read: %s", path,
		    err == ERR_TOO_LARGE ? "it is no activation request"
					 : strerror(errno));
		return CLI_FAILED;
	}
	while (len > 0 && strchr(" \t\r\n", data[len - 1]) != NULL)
		len--;
	out->len = (uint32_t)len;
	out->data = arena_copy(arena, data, len);
	free(data);
	return out->data != NULL ? CLI_DONE : CLI_FAILED;
}

static void
say_site(const struct hub_site_added *reply)
{
	const struct hub_license_name *issued = reply->issued.items;

	cli_show("site      %s  %s, tenant %s, of %s\n", reply->site.site,
	    reply->site.name, reply->site.tenant, reply->site.crm_account_id);
	for (uint32_t i = 0; i < reply->issued.count; i++)
		cli_show("issued    %s\n", issued[i].license_id);
	if (reply->issued.count > 0)
		cli_say("bring it there: leasehold hub license package %s "
			"FILE; on the site: leasehold license install FILE",
		    issued[0].license_id);
}

int
hub_site_add(struct cli *cli, int argc, char **argv)
{
	struct hub_site_add request = { .crm_account_id = "" };
	struct hub_site_added reply;
	struct arena arena = { 0 };
	int status = hub_text(request.crm_account_id,
	    sizeof request.crm_account_id, &argc, argv, "--customer");

	if (status == CLI_DONE)
		status = cli_arguments(argc, argv, 1, 1,
		    "hub site add REQUEST --customer ID");
	if (status == CLI_DONE && request.crm_account_id[0] == '\0') {
		cli_say("whose site is it: --customer ID");
		status = CLI_USAGE;
	}
	if (status == CLI_DONE)
		status = read_file(&request.request, argv[1], &arena);
	if (status == CLI_DONE)
		status =
		    cli_answer(cli, OP_HUB_SITE_ADD, &request, &reply, &arena);
	if (status == CLI_DONE && !cli->json)
		say_site(&reply);
	arena_release(&arena);
	return status;
}

int
hub_reissue(struct cli *cli, int argc, char **argv)
{
	struct hub_reissue request = { .confirm = false };
	struct hub_site_added reply;
	struct arena arena = { 0 };

	request.confirm = cli_flag(&argc, argv, "--confirm");
	int status =
	    cli_arguments(argc, argv, 1, 1, "hub reissue REQUEST [--confirm]");

	if (status == CLI_DONE)
		status = read_file(&request.request, argv[1], &arena);
	if (status == CLI_DONE)
		status =
		    cli_answer(cli, OP_HUB_REISSUE, &request, &reply, &arena);
	if (status == CLI_DONE && !cli->json)
		say_site(&reply);
	arena_release(&arena);
	return status;
}

static void
add_site(struct table *table, const void *item)
{
	const struct hub_site_view *site = item;
	char bound[32], reported[32];

	cli_time(bound, site->bound_at);
	cli_time(reported, site->reported_at);
	table_cell(table, "%s", site->site);
	table_cell(table, "%s", site->name);
	table_cell(table, "%s", site->tenant);
	table_cell(table, "%s", site->crm_account_id);
	table_cell(table, "%s", bound);
	table_cell(table, "%s", reported);
	table_cell(table, "%" PRIu64, site->seats);
	table_cell(table, "%" PRIu64, site->unbilled);
	table_cell(table, "%s%s%s", hub_boot_names[site->boot],
	    site->image[0] != '\0' ? " " : "", site->image);
}

int
hub_site_list(struct cli *cli, int argc, char **argv)
{
	static const char *const head[] = { "SITE", "NAME", "TENANT",
		"CUSTOMER", "SINCE", "REPORTED", "SEATS", "UNBILLED", "IMAGE" };
	struct hub_site_query query = { .limit = 100 };
	struct hub_site_page page;
	struct table table = { 0 };
	const struct cli_list list = {
		.op = OP_HUB_SITE_LIST,
		.request = &query,
		.after = &query.after,
		.page = &page,
		.items = &page.items,
		.next = &page.next,
		.record = &hub_site_view_record,
		.row = add_site,
		.none = "No site is known. Bring its request: leasehold hub "
			"site add FILE --customer ID",
	};
	int status = hub_text(query.crm_account_id, sizeof query.crm_account_id,
	    &argc, argv, "--customer");

	if (status == CLI_DONE)
		status = cli_arguments(argc, argv, 0, 0, "hub site list");
	if (status != CLI_DONE)
		return status;
	table_head(&table, 9, head);
	return cli_list(cli, &list, &table);
}

/* --- figures ------------------------------------------------------------------------ */

static void
show_statistics(const struct hub_statistics *s)
{
	const struct hub_fees *fees = s->fees.items;
	char fee[32];

	cli_show("customers %llu with %llu sites\n",
	    (unsigned long long)s->customers, (unsigned long long)s->sites);
	cli_show("licenses  %llu: %llu in force (%llu of them end within 30 "
		 "days), %llu wait for a site,\n          %llu not "
		 "provisioned, "
		 "%llu suspended, %llu over, %llu cancelled\n",
	    (unsigned long long)s->licenses, (unsigned long long)s->provisioned,
	    (unsigned long long)s->expiring_30_days,
	    (unsigned long long)s->awaiting_site,
	    (unsigned long long)s->generated, (unsigned long long)s->suspended,
	    (unsigned long long)s->expired, (unsigned long long)s->cancelled);
	cli_show("seats     %llu committed, %llu above them\n",
	    (unsigned long long)s->commit_seats,
	    (unsigned long long)s->overage_seats);
	for (uint32_t i = 0; i < s->fees.count; i++) {
		money_format(fee, fees[i].commit_fee_monthly, fees[i].currency);
		cli_show("fees      %s %s a month\n", fee, fees[i].currency);
	}
}

int
hub_statistics_show(struct cli *cli, int argc, char **argv)
{
	const struct empty request = { 0 };
	struct hub_statistics reply;
	struct arena arena = { 0 };
	int status = cli_arguments(argc, argv, 0, 0, "hub statistics");

	if (status == CLI_DONE)
		status = cli_answer(cli, OP_HUB_STATISTICS, &request, &reply,
		    &arena);
	if (status == CLI_DONE && !cli->json)
		show_statistics(&reply);
	arena_release(&arena);
	return status;
}
