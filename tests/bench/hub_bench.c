/*
 * A vendor's hub with as many sites as are said, each of a customer of its own
 * with one license: what their reports cost, and what an overage export over all
 * of them does. The ledger's core alone, on the disk of the folder.
 *
 *   hub_bench reports FOLDER SITES SEATS GATHER
 *   hub_bench overage FOLDER SITES csv|json
 *   hub_bench analytics FOLDER SITES FEATURES
 *
 * GATHER reports are in one commit, as many as wait while one is under way; a
 * hundredth of them goes one by one. Beside that the same disk's own
 * fdatasync of a page is measured, before and after. Analytics are over 31 days,
 * in each hour of which each feature of each license was used. Prints a line of
 * JSON.
 */
#include "appliance/hub/hub.h"
#include "appliance/hub/reported.h"
#include "appliance/ledger/analytics.h"
#include "appliance/ledger/billing_overage.h"
#include "appliance/metering/metering.h"
#include "shared/base/text.h"
#include "tests/bench/report_site.h"
#include "tests/unit/ledger_world.h"

#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <sys/stat.h>
#include <time.h>

#define TOGETHER 256 /* commands of what is made before */
#define SYNCS 100

static double
seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* --- a hub ------------------------------------------------------------------ */

static void
open_hub(struct world *world, const char *folder)
{
	memset(world, 0, sizeof *world);
	world->now = WORLD_NOW;
	snprintf(world->path, sizeof world->path, "%s/store", folder);
	world_keypair(world, world->site_public, world->site_secret);
	world_random(world, world->tenant_key, 32);
	world_vendor_new(&world->vendor, world, "vector");
	world->options = (struct ledger_options){ .path = world->path,
		.site = "hub",
		.tenant = "vector",
		.site_public = world->site_public,
		.site_secret = world->site_secret,
		.tenant_key = world->tenant_key,
		.ca_sha256 = world->ca,
		.map_bytes = (size_t)16 << 30,
		.volatile_ = true };
	world_must(ledger_create(&world->options, world->now) == 0);
	world_open(world);
}

/* The key is made here, and the root's word for it brought. */
static void
vouch(uint8_t key[32], struct world *world)
{
	const struct empty none = { 0 };
	struct license_issuer issuer = { .not_before = world->now - 1000,
		.not_after = world->now + 300 * WORLD_DAY };
	struct license_issuer_file file;
	struct buf token = { 0 };
	struct command command =
	    world_command(world, OP_HUB_KEY_MAKE, ACTOR_KEY, 1, &none);

	world_must(world_do(world, &command) == 0);
	world_must(
	    token_public_parse(key,
		((const struct hub_key_view *)command.said)->public_key) == 0);
	arena_release(&command.arena);
	text_copy(issuer.vendor.id, sizeof issuer.vendor.id, "vector");
	text_copy(issuer.vendor.name, sizeof issuer.vendor.name, "Vector");
	memcpy(issuer.key, key, sizeof issuer.key);
	world_must(license_document_sign(&token, &license_issuer_record,
		       &issuer, TOKEN_ISSUER, world->vendor.root_secret) == 0);
	memcpy(file.vendor_key, world->vendor.root_public, 32);
	file.issuer = (struct record_span){ token.data, (uint32_t)token.len };
	command = world_command(world, OP_HUB_KEY_INSTALL, ACTOR_KEY, 1, &file);
	world_must(world_do(world, &command) == 0);
	arena_release(&command.arena);
	buf_release(&token);
}

static void
commit(struct world *world, struct command *commands, size_t n)
{
	struct command *list[TOGETHER] = { NULL };

	for (size_t i = 0; i < n; i++)
		list[i] = &commands[i];
	world->now++;
	world_must(
	    ledger_commit(world->ledger, list, n, world->now, NULL) == 0);
	for (size_t i = 0; i < n; i++)
		if (commands[i].err != 0) {
			fprintf(stderr, "hub_bench: %s: %s\n",
			    err_name(commands[i].err),
			    commands[i].problem.detail);
			exit(1);
		}
}

static void
order_all(struct world *world, uint64_t first, size_t n)
{
	static struct hub_generate orders[TOGETHER];
	static struct command commands[TOGETHER];

	for (size_t i = 0; i < n; i++) {
		struct hub_generate *o = &orders[i];
		unsigned long long number = first + i;

		*o = (struct hub_generate){
			.product = { "davinci", "DaVinci Configurator SE",
			    ">=8" },
			.entitlement = { 20, 5, 15, { 500000, 50000, "EUR" } },
			.contract = { WORLD_TODAY - 10, WORLD_TODAY + 354, true,
			    LICENSE_MONTHLY },
			.auto_provision = true,
		};
		snprintf(o->crm_opportunity_id, sizeof o->crm_opportunity_id,
		    "OPP-%llu", number);
		snprintf(o->customer.crm_account_id,
		    sizeof o->customer.crm_account_id, "ACC-%08llu", number);
		snprintf(o->customer.name, sizeof o->customer.name,
		    "Company %llu AG", number);
		snprintf(o->customer.tenant_id, sizeof o->customer.tenant_id,
		    "tenant-%llu", number);
		commands[i] =
		    world_command(world, OP_HUB_GENERATE, ACTOR_KEY, 1, o);
	}
	commit(world, commands, n);
	for (size_t i = 0; i < n; i++)
		arena_release(&commands[i].arena);
}

static void
bind_all(struct world *world, uint64_t first, size_t n)
{
	static struct hub_site_add sites[TOGETHER];
	static struct command commands[TOGETHER];
	static struct buf tokens[TOGETHER];

	for (size_t i = 0; i < n; i++) {
		buf_clear(&tokens[i]);
		report_site_request(&tokens[i], first + i, world->now);
		sites[i] = (struct hub_site_add){
			.request = { tokens[i].data, (uint32_t)tokens[i].len }
		};
		snprintf(sites[i].crm_account_id,
		    sizeof sites[i].crm_account_id, "ACC-%08llu",
		    (unsigned long long)(first + i));
		commands[i] = world_command(world, OP_HUB_SITE_ADD, ACTOR_KEY,
		    1, &sites[i]);
	}
	commit(world, commands, n);
	for (size_t i = 0; i < n; i++)
		arena_release(&commands[i].arena);
}

static void
fill(struct world *world, uint64_t sites)
{
	for (uint64_t at = 1; at <= sites; at += TOGETHER) {
		uint64_t left = sites - at + 1;
		size_t n = left < TOGETHER ? (size_t)left : TOGETHER;

		order_all(world, at, n);
		bind_all(world, at, n);
	}
}

/* --- reports ---------------------------------------------------------------- */

static void
make_files(struct buf *files, struct world *world, uint64_t sites,
    uint32_t seats, const uint8_t key[32])
{
	struct arena arena = { 0 };
	struct ledger_view *view;

	world_must(ledger_view_open(&view, world->ledger) == 0);
	for (uint64_t i = 1; i <= sites; i++) {
		struct report_site_license license;
		struct row_license_issued issued;
		struct hub_order order;

		world_must(hub_order(&order, &view->state, i, &arena) == 0);
		world_must(
		    hub_issued(&issued, &view->state, i, 1, &arena) == 0);
		text_copy(license.license_id, sizeof license.license_id,
		    order.row.license_id);
		license_digest(license.digest, (const char *)issued.token.data,
		    issued.token.len);
		report_site_file(&files[i - 1], i, &license, seats, "vector",
		    key);
		arena_clear(&arena);
	}
	ledger_view_close(view);
	arena_release(&arena);
}

static void
take(struct world *world, const struct buf *files, size_t n, uint32_t seats)
{
	static struct command commands[TOGETHER];
	static struct sync_file requests[TOGETHER];

	for (size_t i = 0; i < n; i++) {
		requests[i].file = (struct record_span){ files[i].data,
			(uint32_t)files[i].len };
		commands[i] = world_command(world, OP_HUB_REPORT_IMPORT,
		    ACTOR_KEY, 1, &requests[i]);
	}
	commit(world, commands, n);
	for (size_t i = 0; i < n; i++) {
		const struct hub_reports_taken *said = commands[i].said;
		const struct hub_report_view *told = said->items.items;

		world_must(said->items.count == 1 &&
		    told->answer == REPORT_TAKEN && told->seats == seats &&
		    told->unbilled == 0 && said->file.len > 0);
		arena_release(&commands[i].arena);
	}
}

/* Of a page, as the disk alone does it: so many a second. */
static double
sync_rate(const char *folder)
{
	char path[512], page[4096] = { 1 };

	snprintf(path, sizeof path, "%s/sync", folder);
	int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
	double began = seconds();

	world_must(fd >= 0);
	for (int i = 0; i < SYNCS; i++)
		world_must(pwrite(fd, page, sizeof page,
			       (off_t)i * (off_t)sizeof page) ==
			(ssize_t)sizeof page &&
		    fdatasync(fd) == 0);
	double took = seconds() - began;

	close(fd);
	unlink(path);
	return SYNCS / took;
}

static void
reports(struct world *world, const char *folder, uint64_t sites, uint32_t seats,
    size_t gather, const uint8_t key[32])
{
	struct buf *files = calloc(sites, sizeof *files);
	uint64_t alone = sites / 100 + 1, at = 0;
	size_t bytes = 0;

	world_must(files != NULL);
	make_files(files, world, sites, seats, key);
	ledger_close(world->ledger);
	world->options.volatile_ = false;
	world_open(world);
	double before = sync_rate(folder), began = seconds();

	for (; at < alone; at++)
		take(world, &files[at], 1, seats);
	double single = seconds() - began;

	began = seconds();
	for (; at < sites; at += gather)
		take(world, &files[at],
		    sites - at < gather ? (size_t)(sites - at) : gather, seats);
	double took = seconds() - began;
	double syncs = (before + sync_rate(folder)) / 2;
	double rate = (double)(sites - alone) / took;

	for (uint64_t i = 0; i < sites; i++) {
		bytes += files[i].len;
		buf_release(&files[i]);
	}
	free(files);
	printf("{\"sites\":%" PRIu64 ",\"report_bytes\":%zu,\"gather\":%zu,"
	       "\"per_second\":%.0f,\"single_per_second\":%.0f,"
	       "\"syncs_per_second\":%.0f,\"ratio\":%.2f}\n",
	    sites, bytes / sites, gather, rate, (double)alone / single, syncs,
	    rate / syncs);
}

/* --- overage ---------------------------------------------------------------- */

/* KiB of what is its own, as often as it can be looked at. */
struct watch {
	long most;
	bool over;
};

static long
own_kb(void)
{
	FILE *file = fopen("/proc/self/status", "r");
	char line[256];
	long kb = 0;

	while (file != NULL && fgets(line, sizeof line, file) != NULL)
		if (strncmp(line, "RssAnon:", 8) == 0)
			kb = strtol(line + 8, NULL, 10);
	if (file != NULL)
		fclose(file);
	return kb;
}

static void *
watch(void *ctx)
{
	struct watch *watch = ctx;

	while (!__atomic_load_n(&watch->over, __ATOMIC_ACQUIRE)) {
		const struct timespec little = { .tv_nsec = 200000 };
		long kb = own_kb();

		watch->most = kb > watch->most ? kb : watch->most;
		nanosleep(&little, NULL);
	}
	return NULL;
}

static void
overage(struct world *world, const char *folder, uint64_t sites,
    const char *form)
{
	const struct billing_overage_query query = {
		.start_date = WORLD_TODAY,
		.end_date = WORLD_TODAY,
		.format =
		    strcmp(form, "csv") == 0 ? BILLING_AS_CSV : BILLING_AS_JSON,
	};
	struct problem problem = { .code = "" };
	struct watch seen = { 0 };
	struct document document;
	struct metering *metering;
	struct ledger_view *view;
	char path[512];
	pthread_t thread;

	snprintf(path, sizeof path, "%s/metering", folder);
	world_must(mkdir(path, 0700) == 0 &&
	    metering_open(&metering, path, 0, true) == 0);
	world_must(ledger_view_open(&view, world->ledger) == 0);
	long before = own_kb();
	double began = seconds();

	world_must(pthread_create(&thread, NULL, watch, &seen) == 0);
	int err = billing_overage(&document, view, metering, &query, folder,
	    &problem);
	double took = seconds() - began;

	__atomic_store_n(&seen.over, true, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
	world_must(err == 0);
	printf("{\"lines\":%" PRIu64 ",\"form\":\"%s\",\"bytes\":%" PRIu64
	       ",\"seconds\":%.2f,\"own_before_kb\":%ld,\"own_most_kb\":%ld}\n",
	    sites, form,
	    document.fd < 0 ? (uint64_t)document.text.len
			    : document.end - document.at,
	    took, before, seen.most);
	document_release(&document);
	ledger_view_close(view);
	metering_close(metering);
}

/* --- analytics -------------------------------------------------------------- */

#define TOLD_DAYS 31

/* What reports told of a license: each feature in each hour. */
static void
tell_hours(struct metering_txn *txn, const char *license_id, uint32_t features,
    int64_t first)
{
	static struct row_shown_seats hours[ROW_SHOWN_MAX];
	struct row row = { .kind = ROW_REPORT_SEATS };
	uint32_t n = 0, all = TOLD_DAYS * 24 * features;

	for (uint32_t i = 0; i < all; i++) {
		struct row_shown_seats *hour = &hours[n++];

		*hour = (struct row_shown_seats){ .serial = 1,
			.start =
			    first + i % (TOLD_DAYS * 24) * INT64_C(3600000),
			.checkouts = 2,
			.seats = 2,
			.peak = 2,
			.seat_ms = 3600000,
			.issued = true };
		text_copy(hour->license_id, sizeof hour->license_id,
		    license_id);
		snprintf(hour->feature, sizeof hour->feature, "feature-%u",
		    i / (TOLD_DAYS * 24));
		if (n < ROW_SHOWN_MAX && i + 1 < all)
			continue;
		row.u.report_seats.hours = (struct record_list){ hours, n };
		world_must(metering_row(txn, &row, first) == 0);
		n = 0;
	}
}

static void
tell_all(struct metering *metering, struct ledger_view *view, uint64_t sites,
    uint32_t features, int64_t first)
{
	struct arena arena = { 0 };
	struct metering_txn *txn = NULL;

	for (uint64_t i = 1; i <= sites; i++) {
		struct hub_order order;

		if (txn == NULL)
			world_must(metering_begin(&txn, metering) == 0);
		world_must(hub_order(&order, &view->state, i, &arena) == 0);
		tell_hours(txn, order.row.license_id, features, first);
		arena_clear(&arena);
		if (i % 50 != 0 && i != sites)
			continue;
		world_must(metering_commit(txn) == 0);
		txn = NULL;
	}
	arena_release(&arena);
}

static void
analytics(struct world *world, const char *folder, uint64_t sites,
    uint32_t features)
{
	const int64_t first = (WORLD_TODAY - TOLD_DAYS) * WORLD_DAY;
	const time_t from = (time_t)(first / 1000);
	const time_t last = from + (TOLD_DAYS - 1) * 86400;
	struct analytics_query query = { .limit = 100 };
	struct problem problem = { .code = "" };
	struct arena arena = { 0 };
	struct analytics got;
	struct metering *metering;
	struct ledger_view *view;
	char path[512];
	struct tm tm;
	size_t at = strftime(query.period, sizeof query.period, "%Y-%m-%d/",
	    gmtime_r(&from, &tm));

	strftime(query.period + at, sizeof query.period - at, "%Y-%m-%d",
	    gmtime_r(&last, &tm));
	snprintf(path, sizeof path, "%s/metering", folder);
	world_must(mkdir(path, 0700) == 0 &&
	    metering_open(&metering, path, (size_t)16 << 30, true) == 0);
	world_must(ledger_view_open(&view, world->ledger) == 0);
	tell_all(metering, view, sites, features, first);
	long before = own_kb();
	double began = seconds();
	int err =
	    analytics_answer(&got, &query, view, metering, &arena, &problem);
	double took = seconds() - began;

	if (err != 0)
		fprintf(stderr, "hub_bench: %s: %s\n", err_name(err),
		    problem.detail);
	world_must(err == 0 && got.licenses == sites &&
	    got.checkouts == sites * features * TOLD_DAYS * 24 * 2);
	printf("{\"sites\":%" PRIu64 ",\"features\":%u,\"hours\":%" PRIu64
	       ",\"seconds\":%.2f,\"own_before_kb\":%ld,"
	       "\"own_after_kb\":%ld}\n",
	    sites, features, sites * features * TOLD_DAYS * 24, took, before,
	    own_kb());
	arena_release(&arena);
	ledger_view_close(view);
	metering_close(metering);
}

int
main(int argc, char **argv)
{
	static struct world world;
	uint8_t key[32];

	if (argc < 5 || sodium_init() < 0) {
		fprintf(stderr,
		    "hub_bench reports FOLDER SITES SEATS GATHER\n"
		    "hub_bench overage FOLDER SITES csv|json\n"
		    "hub_bench analytics FOLDER SITES FEATURES\n");
		return 2;
	}
	uint64_t sites = strtoull(argv[3], NULL, 10);
	size_t gather = argc > 5 ? strtoul(argv[5], NULL, 10) : 0;

	open_hub(&world, argv[2]);
	vouch(key, &world);
	fill(&world, sites);
	if (strcmp(argv[1], "overage") == 0)
		overage(&world, argv[2], sites, argv[4]);
	else if (strcmp(argv[1], "analytics") == 0)
		analytics(&world, argv[2], sites,
		    (uint32_t)strtoul(argv[4], NULL, 10));
	else if (gather > 0 && gather <= TOGETHER)
		reports(&world, argv[2], sites,
		    (uint32_t)strtoul(argv[4], NULL, 10), gather, key);
	ledger_close(world.ledger);
	buf_release(&world.vendor.issuer);
	return 0;
}
