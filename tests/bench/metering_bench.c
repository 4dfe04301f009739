/* A month's rollups over many rows: what following them costs a row, and how
 * soon what a statement reads is there, in how much memory. */
#include "appliance/metering/metering.h"
#include "shared/base/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#define USERS 500
#define HOSTS 200
#define LICENSES 4
#define FEATURES 3
#define HELD 400
#define PAGE 20000
#define MONTH_MS (INT64_C(30) * 24 * METERING_HOUR_MS)
/* 2026-11-01 */
#define BEGIN INT64_C(1793491200000)

static const char *const features[FEATURES] = { "", "autosar", "can" };

static double
seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static long
resident_kb(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_maxrss;
}

static void
die(const char *what)
{
	fprintf(stderr, "metering_bench: %s failed\n", what);
	exit(1);
}

static uint64_t
draw(uint64_t below)
{
	static uint64_t seed = 7;

	seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
	return (seed >> 33) % below;
}

/* Leases come and go: the row before last ends what began long ago. */
static void
make_row(struct row *row, uint64_t i, uint64_t overage[LICENSES])
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
	r->license = 1 + draw(LICENSES);
	r->license_digest[0] = (uint8_t)r->license;
	r->count = 1;
	text_copy(r->feature, sizeof(r->feature), features[draw(FEATURES)]);
	r->user[0] = (uint8_t)draw(USERS / 2);
	r->user[1] = (uint8_t)(1 + draw(2));
	r->host[0] = (uint8_t)(1 + draw(HOSTS));
	if (draw(20) == 0) {
		r->overage = ++overage[r->license - 1];
		r->overage_count = 1;
	}
}

static void
fill(struct metering *metering, uint64_t rows)
{
	static const uint8_t head[32] = { 1 };
	uint64_t overage[LICENSES] = { 0 };
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
		int64_t time = BEGIN +
		    (int64_t)((double)MONTH_MS * (double)i / (double)rows);

		make_row(&row, i, overage);
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

static int
count(void *ctx, const struct metering_rollup *rollup)
{
	uint64_t *overage = ctx;

	*overage += rollup->seats.overage;
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
	uint64_t rows = argc > 2 ? strtoull(argv[2], NULL, 10) : 10000000;
	struct metering_question question = { .scope = METERING_PRICED,
		.from = BEGIN,
		.to = BEGIN + MONTH_MS,
		.step = METERING_WHOLE,
		.now = INT64_MIN };
	uint64_t overage = 0, proved = 0;
	struct metering *metering;

	if (argc < 2 || metering_open(&metering, argv[1], 0, false) != 0)
		die("open");
	double start = seconds();

	fill(metering, rows);
	double told = seconds();
	long before = resident_kb();

	if (metering_read(metering, &question, count, &overage) != 0)
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

	printf("%" PRIu64 " rows followed in %.2f s, %.2f us each; file %.1f "
	       "MB\n",
	    rows, told - start, (told - start) * 1e6 / (double)rows,
	    (double)metering_bytes(metering) / 1e6);
	printf("input of a month's statement in %.3f s, %" PRIu64
	       " overage seats; at most %ld KB before, %ld KB after\n",
	    read - told, overage, before, resident_kb());
	printf("evidence of all of them in %.3f s\n", evidence - read);
	metering_close(metering);
	return overage == proved && read - told < 2.0 ? 0 : 1;
}
