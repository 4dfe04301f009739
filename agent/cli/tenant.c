/* The site admin's commands about tenants. */
#include "agent/cli/cli.h"
#include "agent/cli/list.h"
#include "shared/base/clock.h"
#include "shared/base/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* --- what is given ------------------------------------------------------------ */

static int
read_text(char *out, size_t size, const char *name, int *argc, char **argv)
{
	const char *value;
	int found = cli_option(&value, argc, argv, name);

	if (found > 0 && !text_copy(out, size, value)) {
		cli_say("%s: more than %zu bytes", name, size - 1);
		return CLI_USAGE;
	}
	return found < 0 ? CLI_USAGE : CLI_DONE;
}

static int
read_number(uint64_t *out, const char *name, uint64_t most, int *argc,
    char **argv)
{
	const char *value;
	int found = cli_option(&value, argc, argv, name);

	if (found > 0 && !cli_number(out, value, name, 1, most))
		return CLI_USAGE;
	return found < 0 ? CLI_USAGE : CLI_DONE;
}

static int
read_limits(struct tenant_limits *limits, int *argc, char **argv)
{
	uint64_t users = 0, devices = 0, keys = 0;

	if (read_number(&limits->apiCallsPerDay, "--calls-per-day",
		UINT64_C(1000000000000), argc, argv) != CLI_DONE ||
	    read_number(&users, "--users", UINT32_MAX, argc, argv) !=
		CLI_DONE ||
	    read_number(&devices, "--devices", UINT32_MAX, argc, argv) !=
		CLI_DONE ||
	    read_number(&keys, "--keys", UINT32_MAX, argc, argv) != CLI_DONE)
		return CLI_USAGE;
	limits->users = (uint32_t)users;
	limits->devices = (uint32_t)devices;
	limits->keys = (uint32_t)keys;
	return CLI_DONE;
}

/* --host again and again. */
static int
read_hosts(struct record_list *list, struct tenant_host_name *hosts, int *argc,
    char **argv)
{
	const char *value;
	uint32_t n = 0;
	int found;

	while ((found = cli_option(&value, argc, argv, "--host")) > 0) {
		if (n == TENANT_HOSTS_MAX ||
		    !text_copy(hosts[n].host, sizeof(hosts[n].host), value)) {
			cli_say("--host: at most %d names of %zu bytes",
			    TENANT_HOSTS_MAX, sizeof(hosts[n].host) - 1);
			return CLI_USAGE;
		}
		n++;
	}
	*list = (struct record_list){ hosts, n };
	return found < 0 ? CLI_USAGE : CLI_DONE;
}

static int
read_contact(struct tenant_contact *contact, int *argc, char **argv)
{
	if (read_text(contact->name, sizeof(contact->name), "--contact", argc,
		argv) != CLI_DONE ||
	    read_text(contact->email, sizeof(contact->email), "--email", argc,
		argv) != CLI_DONE ||
	    read_text(contact->phone, sizeof(contact->phone), "--phone", argc,
		argv) != CLI_DONE)
		return CLI_USAGE;
	return CLI_DONE;
}

static int
read_type(uint32_t *type, int *argc, char **argv)
{
	static const char *const types[] = { "white-label", "api-access",
		"custom", NULL };
	const char *value;
	int found = cli_option(&value, argc, argv, "--type");

	*type = TENANT_CUSTOM;
	for (uint32_t i = 0; found > 0 && types[i] != NULL; i++)
		if (strcmp(types[i], value) == 0) {
			*type = i;
			return CLI_DONE;
		}
	if (found > 0)
		cli_say("--type: '%s' is none of white-label, api-access, "
			"custom",
		    value);
	return found == 0 ? CLI_DONE : CLI_USAGE;
}

static int
read_id(char id[TENANT_ID_MAX + 1], int argc, char **argv, const char *usage)
{
	int status = cli_arguments(argc, argv, 1, 1, usage);

	if (status == CLI_DONE && !text_copy(id, TENANT_ID_MAX + 1, argv[1])) {
		cli_say("'%s' is longer than a tenant's id", argv[1]);
		return CLI_USAGE;
	}
	return status;
}

/* --- create ------------------------------------------------------------------- */

static int
read_create(struct tenant_create *request, struct tenant_host_name *hosts,
    int *argc, char **argv)
{
	if (read_text(request->tenantId, sizeof(request->tenantId), "--id",
		argc, argv) != CLI_DONE ||
	    read_text(request->tier, sizeof(request->tier), "--tier", argc,
		argv) != CLI_DONE ||
	    read_type(&request->licenseType, argc, argv) != CLI_DONE ||
	    read_contact(&request->contactInfo, argc, argv) != CLI_DONE ||
	    read_limits(&request->usageLimits, argc, argv) != CLI_DONE)
		return CLI_USAGE;
	return read_hosts(&request->hosts, hosts, argc, argv);
}

static void
say_created(const struct tenant_new *tenant)
{
	printf("%.*s\n", (int)tenant->apiSecret.len,
	    (const char *)tenant->apiSecret.data);
	cli_say("tenant %s is made. Above is the key of its first admin, shown "
		"once; a key that may only look is %.*s",
	    tenant->tenantId, (int)tenant->apiKey.len,
	    (const char *)tenant->apiKey.data);
	if (tenant->dashboardUrl[0] != '\0')
		cli_say("Its admin and its workstations use %s",
		    tenant->dashboardUrl);
	else
		cli_say("It has no host name yet: the site's certificate has "
			"none, or give one: leasehold tenant set %s --host "
			"NAME",
		    tenant->tenantId);
}

int
tenant_create(struct cli *cli, int argc, char **argv)
{
	struct tenant_host_name hosts[TENANT_HOSTS_MAX];
	struct tenant_create request = { .tier = "" };
	struct tenant_created reply;
	struct arena arena = { 0 };
	int status = read_create(&request, hosts, &argc, argv);

	if (status == CLI_DONE)
		status = cli_arguments(argc, argv, 1, 1,
		    "tenant create NAME [--id ID] [--host NAME]...");
	if (status == CLI_DONE &&
	    !text_copy(request.partnerName, sizeof(request.partnerName),
		argv[1])) {
		cli_say("a name is at most %zu bytes",
		    sizeof(request.partnerName) - 1);
		status = CLI_USAGE;
	}
	if (status == CLI_DONE)
		status =
		    cli_answer(cli, OP_TENANT_CREATE, &request, &reply, &arena);
	if (status == CLI_DONE && !cli->json)
		say_created(&reply.tenant);
	arena_release(&arena);
	return status;
}

/* --- list, show ---------------------------------------------------------------- */

static void
add_row(struct table *table, const void *item)
{
	const struct tenant_view *tenant = item;
	char made[32];

	cli_time(made, tenant->createdAt);
	table_cell(table, "%s", tenant->tenantId);
	table_cell(table, "%s", tenant->partnerName);
	table_cell(table, "%s", tenant_status_names[tenant->status]);
	table_cell(table, "%s", tenant->open ? "open" : "quiet");
	table_cell(table, "%" PRIu64, tenant->usage.apiCallsToday);
	table_cell(table, "%u", tenant->usage.users);
	table_cell(table, "%" PRIu64, tenant->usage.storageUsed);
	table_cell(table, "%s", made);
}

/* The pages' lists are called tenants, as the B2B interface has them. */
int
tenant_list(struct cli *cli, int argc, char **argv)
{
	static const char *const head[] = { "TENANT", "NAME", "STATUS", "STORE",
		"CALLS TODAY", "USERS", "MB", "MADE" };
	struct tenant_query request = { .limit = 100 };
	struct tenant_page page;
	struct table table = { 0 };
	int status = cli_arguments(argc, argv, 0, 0, "tenant list");

	if (status != CLI_DONE)
		return status;
	const struct cli_list list = {
		.op = OP_TENANT_LIST,
		.request = &request,
		.after = &request.after,
		.page = &page,
		.items = &page.tenants,
		.next = &page.next,
		.record = &tenant_view_record,
		.row = add_row,
		.none = NULL,
	};

	table_head(&table, 8, head);
	return cli_list(cli, &list, &table);
}

static void
print_limits(const struct tenant_limits *limits)
{
	if (limits->apiCallsPerDay != 0)
		printf("  calls a day      %" PRIu64 "\n",
		    limits->apiCallsPerDay);
	if (limits->users != 0)
		printf("  users            %u\n", limits->users);
	if (limits->devices != 0)
		printf("  devices          %u\n", limits->devices);
	if (limits->keys != 0)
		printf("  API keys         %u\n", limits->keys);
}

static void
print_tenant(const struct tenant_view *tenant)
{
	const struct tenant_host_name *hosts = tenant->hosts.items;
	const struct tenant_contact *contact = &tenant->contactInfo;
	char made[32];

	cli_time(made, tenant->createdAt);
	printf("%s: %s\n", tenant->tenantId, tenant->partnerName);
	printf("  status           %s%s%s\n",
	    tenant_status_names[tenant->status],
	    tenant->reason[0] != '\0' ? ": " : "", tenant->reason);
	printf("  made             %s\n", made);
	printf("  store            %s, %" PRIu64 " MB\n",
	    tenant->open ? "open" : "quiet", tenant->usage.storageUsed);
	if (tenant->dashboardUrl[0] != '\0')
		printf("  address          %s\n", tenant->dashboardUrl);
	for (uint32_t i = 0; i < tenant->hosts.count; i++)
		printf("  host name        %s\n", hosts[i].host);
	if (contact->name[0] != '\0' || contact->email[0] != '\0')
		printf("  contact          %s %s %s\n", contact->name,
		    contact->email, contact->phone);
	printf("  calls today      %" PRIu64 "\n", tenant->usage.apiCallsToday);
	printf("  users today      %u\n", tenant->usage.users);
	print_limits(&tenant->limits);
}

int
tenant_show(struct cli *cli, int argc, char **argv)
{
	struct tenant_ref request = { .tenantId = "" };
	struct tenant_shown reply;
	struct arena arena = { 0 };
	int status =
	    read_id(request.tenantId, argc, argv, "tenant show TENANT");

	if (status == CLI_DONE)
		status =
		    cli_answer(cli, OP_TENANT_SHOW, &request, &reply, &arena);
	if (status == CLI_DONE && !cli->json)
		print_tenant(&reply.tenant);
	arena_release(&arena);
	return status;
}

/* --- usage --------------------------------------------------------------------- */

static void
print_usage(const struct tenant_usage_report *report)
{
	const struct tenant_usage_day *days = report->dailyBreakdown.items;
	static const char *const head[] = { "DAY", "CALLS", "USERS" };
	struct table table = { 0 };

	printf("%s: %" PRIu64 " calls, %s ms each on average, %s of them "
	       "refused or failed; at most %u leases at once\n",
	    report->period, report->summary.totalApiCalls,
	    report->summary.averageResponseTime, report->summary.errorRate,
	    report->summary.peakConcurrency);
	table_head(&table, 3, head);
	for (uint32_t i = 0; i < report->dailyBreakdown.count; i++) {
		char day[CLOCK_TEXT_SIZE];

		clock_format_date(day, days[i].date);
		table_cell(&table, "%s", day);
		table_cell(&table, "%" PRIu64, days[i].apiCalls);
		table_cell(&table, "%u", days[i].users);
	}
	if (report->dailyBreakdown.count > 0)
		table_flush(&table);
	table_end(&table);
}

int
tenant_usage_show(struct cli *cli, int argc, char **argv)
{
	struct tenant_usage_query request = { .period = "" };
	struct tenant_usage reply;
	struct arena arena = { 0 };
	int status = read_text(request.period, sizeof(request.period),
	    "--period", &argc, argv);

	if (status == CLI_DONE)
		status = read_id(request.tenantId, argc, argv,
		    "tenant usage TENANT [--period FIRST,LAST]");
	if (status == CLI_DONE)
		status =
		    cli_answer(cli, OP_TENANT_USAGE, &request, &reply, &arena);
	if (status == CLI_DONE && !cli->json)
		print_usage(&reply.usageReport);
	arena_release(&arena);
	return status;
}

/* --- changes ------------------------------------------------------------------- */

static int
change(struct cli *cli, const struct tenant_change *request)
{
	struct tenant_changed reply;
	struct arena arena = { 0 };
	int status = cli_answer(cli, OP_TENANT_CHANGE, request, &reply, &arena);

	if (status == CLI_DONE && !cli->json)
		printf("%s\n", reply.message);
	arena_release(&arena);
	return status;
}

int
tenant_set(struct cli *cli, int argc, char **argv)
{
	struct tenant_host_name hosts[TENANT_HOSTS_MAX];
	struct tenant_change request = { .status = "" };

	if (read_text(request.partnerName, sizeof(request.partnerName),
		"--name", &argc, argv) != CLI_DONE ||
	    read_text(request.tier, sizeof(request.tier), "--tier", &argc,
		argv) != CLI_DONE ||
	    read_contact(&request.contactInfo, &argc, argv) != CLI_DONE ||
	    read_limits(&request.usageLimits, &argc, argv) != CLI_DONE ||
	    read_hosts(&request.hosts, hosts, &argc, argv) != CLI_DONE)
		return CLI_USAGE;
	int status = read_id(request.tenantId, argc, argv,
	    "tenant set TENANT [--name NAME] [--host NAME]... [--users N]...");

	return status == CLI_DONE ? change(cli, &request) : status;
}

int
tenant_suspend(struct cli *cli, int argc, char **argv)
{
	struct tenant_change request = { .status = "suspended" };

	if (read_text(request.reason, sizeof(request.reason), "--reason", &argc,
		argv) != CLI_DONE)
		return CLI_USAGE;
	int status = read_id(request.tenantId, argc, argv,
	    "tenant suspend TENANT [--reason TEXT]");

	return status == CLI_DONE ? change(cli, &request) : status;
}

int
tenant_resume(struct cli *cli, int argc, char **argv)
{
	struct tenant_change request = { .status = "active" };
	int status =
	    read_id(request.tenantId, argc, argv, "tenant resume TENANT");

	return status == CLI_DONE ? change(cli, &request) : status;
}
