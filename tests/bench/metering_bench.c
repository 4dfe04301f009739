/*
 * A month of rows: what following them costs, how soon what a statement reads is
 * there, in how much memory; and the same rows as CSV, for peers.
 *
 *   metering_bench FOLDER ROWS         a projection in the folder; a line of JSON
 *   metering_bench --csv FOLDER ROWS   files of a million rows each
 */
#include "appliance/metering/metering.h"
#include "shared/base/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define USERS 500
#define HOSTS 200
#define LICENSES 4
#define FEATURES 3
#define HELD 400
#define PAGE 20000
#define CSV_ROWS 1000000
#define MONTH_MS (INT64_C(30) * 24 * METERING_HOUR_MS)
/* 2026-11-01 */
#define BEGIN INT64_C(1793491200000)

static const char *const features[FEATURES] = { "", "autosar", "can" };

/** The same rows each time. */
struct source {
	uint64_t seed, rows;
	uint64_t overage[LICENSES];
};

static double
seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void
die(const char *what)
{
	fprintf(stderr, "metering_bench: %s failed\n", what);
	exit(1);
}

/* In KiB: what is its own, and with it what of the file is mapped. */
static long
memory_kb(const char *name)
{
	FILE *file = fopen("/proc/self/status", "r");
	char line[256];
	long kb = -1;

	while (file != NULL && fgets(line, sizeof(line), file) != NULL)
		if (strncmp(line, name, strlen(name)) == 0)
			kb = strtol(line + strlen(name) + 1, NULL, 10);
	if (file == NULL || kb < 0)
		die(name);
	fclose(file);
	return kb;
}

static uint64_t
draw(struct source *source, uint64_t below)
{
	source->seed =
	    source->seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
	return (source->seed >> 33) % below;
}

static int64_t
time_of(const struct source *source, uint64_t i)
{
	return BEGIN +
	    (int64_t)((double)MONTH_MS * (double)i / (double)source->rows);
}

/* Leases come and go: each second row ends what began long ago. */
static void
make_row(struct row *row, struct source *source, uint64_t i)
{
	uint64_t lease = i / 2 + 1;

	*row = (struct row){ .number = i + 1 };
	if (i % 2 == 1) {
		row->kind = ROW_LEASE_ENDED;
		row->u.lease_ended.lease = lease > HELD ? lease - HELD : 0;
		return;
	}
	struct row_lease_granted *r = &row->u.lease_granted;

	row->kind = ROW_LEASE_GRANTED;
	r->lease = lease;
	r->license = 1 + draw(source, LICENSES);
	r->license_digest[0] = (uint8_t)r->license;
	r->count = 1;
	text_copy(r->feature, sizeof(r->feature),
	    features[draw(source, FEATURES)]);
	r->user[0] = (uint8_t)draw(source, USERS / 2);
	r->user[1] = (uint8_t)(1 + draw(source, 2));
	r->host[0] = (uint8_t)(1 + draw(source, HOSTS));
	if (draw(source, 20) == 0) {
		r->overage = ++source->overage[r->license - 1];
		r->overage_count = 1;
	}
}

/* number,time,kind,lease,license,feature,user,host,overage,count; kind 1 is a
 * grant, 2 an end. */
static void
write_row(FILE *file, const struct row *row, int64_t time)
{
	const struct row_lease_granted *r = &row->u.lease_granted;

	if (row->kind == ROW_LEASE_ENDED)
		fprintf(file,
		    "%" PRIu64 ",%" PRId64 ",2,%" PRIu64 ",0,\"\",0,0,0,0\n",
		    row->number, time, row->u.lease_ended.lease);
	else
		fprintf(file,
		    "%" PRIu64 ",%" PRId64 ",1,%" PRIu64 ",%" PRIu64
		    ",\"%s\",%d,%d,%" PRIu64 ",%u\n",
		    row->number, time, r->lease, r->license, r->feature,
		    r->user[0] * 256 + r->user[1], r->host[0], r->overage,
		    r->overage_count);
}

static void
write_csv(const char *folder, uint64_t rows)
{
	struct source source = { .seed = 7, .rows = rows };
	FILE *file = NULL;
	struct row row;

	for (uint64_t i = 0; i < rows; i++) {
		char path[4096];

		if (i % CSV_ROWS == 0) {
			snprintf(path, sizeof(path), "%s/rows-%03u.csv", folder,
			    (unsigned int)(i / CSV_ROWS));
			if (file != NULL && fclose(file) != 0)
				die("a file");
			file = fopen(path, "w");
			if (file == NULL)
				die(path);
		}
		make_row(&row, &source, i);
		write_row(file, &row, time_of(&source, i));
	}
	if (file != NULL && fclose(file) != 0)
		die("a file");
}

static void
fill(struct metering *metering, uint64_t rows)
{
	static const uint8_t head[32] = { 1 };
	struct source source = { .seed = 7, .rows = rows };
	struct metering_txn *txn;
	struct row row;

	if (metering_begin(&txn, metering) != 0)
		die("begin");
	for (uint64_t i = 1; i <= LICENSES; i++) {
		struct row_license_installed *r = &row.u.license_installed;

		row = (struct row){ .kind = ROW_LICENSE_INSTALLED };
		r->license = i;
		r->digest[0] = (uint8_t)i;
		r->document.serial = 1;
		snprintf(r->document.license_id, sizeof(r->document.license_id),
		    "lic-%" PRIu64, i);
		if (metering_row(txn, &row, BEGIN) != 0)
			die("a license");
	}
	for (uint64_t i = 0; i < rows; i++) {
		int64_t time = time_of(&source, i);

		make_row(&row, &source, i);
		if (metering_row(txn, &row, time) != 0)
			die("a row");
		metering_batch(txn, i, head, i + 1, time);
		if ((i + 1) % PAGE != 0)
			continue;
		if (metering_commit(txn) != 0 ||
		    metering_begin(&txn, metering) != 0)
			die("a page");
	}
	if (metering_commit(txn) != 0)
		die("commit");
}

struct found {
	uint64_t checkouts, overage;
};

static int
count(void *ctx, const struct metering_rollup *rollup)
{
	struct found *found = ctx;

	found->checkouts += rollup->seats.checkouts;
	found->overage += rollup->seats.overage;
	return 0;
}

static int
count_evidence(void *ctx, const struct metering_overage *overage)
{
	uint64_t *seats = ctx;

	*seats += overage->count;
	return 0;
}

int
main(int argc, char **argv)
{
	struct metering_question question = { .scope = METERING_PRICED,
		.from = BEGIN,
		.to = BEGIN + MONTH_MS,
		.step = METERING_WHOLE,
		.now = INT64_MIN };
	struct found found = { 0 };
	struct metering *metering;
	uint64_t proved = 0;

	if (argc == 4 && strcmp(argv[1], "--csv") == 0) {
		write_csv(argv[2], strtoull(argv[3], NULL, 10));
		return 0;
	}
	if (argc != 3 || metering_open(&metering, argv[1], 0, false) != 0)
		die("open");
	uint64_t rows = strtoull(argv[2], NULL, 10);
	double start = seconds();

	fill(metering, rows);
	double told = seconds();
	long own = memory_kb("RssAnon:");

	if (metering_read(metering, &question, count, &found) != 0)
		die("read");
	double read = seconds();

	for (int i = 1; i <= LICENSES; i++) {
		char license[64];

		snprintf(license, sizeof(license), "lic-%d", i);
		if (metering_evidence(metering, license, 0, NULL, question.from,
			question.to, count_evidence, &proved) != 0)
			die("evidence");
	}
	double evidence = seconds();

	printf("{\"rows\":%" PRIu64 ",\"follow_s\":%.3f,\"file_mb\":%.1f,"
	       "\"statement_s\":%.6f,\"checkouts\":%" PRIu64
	       ",\"overage\":%" PRIu64
	       ",\"evidence_s\":%.6f,\"evidence\":%" PRIu64
	       ",\"own_before_kb\":%ld,\"own_kb\":%ld,\"peak_kb\":%ld}\n",
	    rows, told - start, (double)metering_bytes(metering) / 1e6,
	    read - told, found.checkouts, found.overage, evidence - read,
	    proved, own, memory_kb("RssAnon:"), memory_kb("VmHWM:"));
	metering_close(metering);
	return found.overage == proved ? 0 : 1;
}
