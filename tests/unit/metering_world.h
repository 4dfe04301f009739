/*
 * For tests of the metering projection: its file in a folder of its own, rows as
 * a journal brings them, and questions. Header only.
 */
#ifndef TESTS_UNIT_METERING_WORLD_H
#define TESTS_UNIT_METERING_WORLD_H

#include "appliance/metering/metering.h"
#include "shared/base/err.h"
#include "shared/base/text.h"
#include "tests/unit/suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define HOUR METERING_HOUR_MS
#define DAY (24 * HOUR)

static char folder[64];
static struct metering *metering;
static struct metering_txn *txn;
static uint64_t next_row, next_batch;

static inline void
setup(void)
{
	snprintf(folder, sizeof(folder), "/tmp/metering-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	ck_assert_int_eq(metering_open(&metering, folder, 1 << 28, true), 0);
	next_row = 1;
	next_batch = 0;
}

static inline void
teardown(void)
{
	char name[96];

	metering_close(metering);
	snprintf(name, sizeof(name), "%s/data.mdb", folder);
	unlink(name);
	snprintf(name, sizeof(name), "%s/lock.mdb", folder);
	unlink(name);
	rmdir(folder);
}

static inline void
reopen(void)
{
	metering_close(metering);
	ck_assert_int_eq(metering_open(&metering, folder, 1 << 28, true), 0);
}

static inline void
begin(void)
{
	ck_assert_int_eq(metering_begin(&txn, metering), 0);
}

static inline void
tell(struct row row, int64_t time)
{
	static const uint8_t head[32] = { 7 };

	row.number = next_row;
	ck_assert_int_eq(metering_row(txn, &row, time), 0);
	metering_batch(txn, next_batch++, head, next_row++, time);
}

static inline void
commit(void)
{
	ck_assert_int_eq(metering_commit(txn), 0);
}

static inline int64_t
at(const char *text)
{
	struct tm tm = { 0 };

	ck_assert_ptr_nonnull(strptime(text, "%Y-%m-%d %H:%M", &tm));
	return (int64_t)timegm(&tm) * 1000;
}

/* --- rows ------------------------------------------------------------------- */

static inline struct row
installed(uint64_t number, const char *id, uint64_t serial)
{
	struct row row = { .kind = ROW_LICENSE_INSTALLED };
	struct row_license_installed *r = &row.u.license_installed;

	r->license = number;
	r->digest[0] = (uint8_t)number;
	r->digest[1] = (uint8_t)serial;
	text_copy(r->document.license_id, sizeof(r->document.license_id), id);
	r->document.serial = serial;
	return row;
}

struct grant {
	uint64_t lease, license, serial, overage;
	uint32_t count, overage_count;
	const char *feature;
	uint8_t user, host;
};

static inline struct row
granted(struct grant grant, bool borrowed)
{
	struct row row = { .kind =
			       borrowed ? ROW_BORROWED : ROW_LEASE_GRANTED };
	struct row_lease_granted *r =
	    borrowed ? &row.u.borrowed.grant : &row.u.lease_granted;

	r->lease = grant.lease;
	r->license = grant.license;
	r->license_digest[0] = (uint8_t)grant.license;
	r->license_digest[1] = (uint8_t)grant.serial;
	r->count = grant.count;
	r->overage = grant.overage;
	r->overage_count = grant.overage_count;
	text_copy(r->feature, sizeof(r->feature), grant.feature);
	r->user[0] = grant.user;
	r->host[0] = grant.host;
	return row;
}

static inline struct row
ended(uint64_t lease, bool borrowed)
{
	struct row row = { .kind =
			       borrowed ? ROW_BORROW_ENDED : ROW_LEASE_ENDED };

	if (borrowed)
		row.u.borrow_ended.lease = lease;
	else
		row.u.lease_ended.lease = lease;
	return row;
}

static inline struct row
denied(uint64_t license, const char *code, uint64_t count, int64_t minute)
{
	struct row row = { .kind = ROW_DENIED };

	row.u.denied.license = license;
	text_copy(row.u.denied.code, sizeof(row.u.denied.code), code);
	row.u.denied.count = count;
	row.u.denied.minute = minute;
	return row;
}

static inline struct row
tracked(uint64_t license, const char *metric, enum usage_kind kind,
    uint64_t amount)
{
	struct row row = { .kind = ROW_USAGE_TRACKED };

	row.u.usage_tracked.license = license;
	text_copy(row.u.usage_tracked.metric,
	    sizeof(row.u.usage_tracked.metric), metric);
	row.u.usage_tracked.kind = kind;
	row.u.usage_tracked.amount = amount;
	return row;
}

/* --- questions -------------------------------------------------------------- */

#define FOUND_MAX 20000

struct found {
	uint32_t n;
	struct metering_rollup *rollups;
};

static inline int
collect(void *ctx, const struct metering_rollup *rollup)
{
	struct found *found = ctx;

	ck_assert_uint_lt(found->n, FOUND_MAX);
	found->rollups[found->n++] = *rollup;
	return 0;
}

static struct found all;

static inline void
ask(struct metering_question question)
{
	if (all.rollups == NULL)
		all.rollups = calloc(FOUND_MAX, sizeof(*all.rollups));
	ck_assert_ptr_nonnull(all.rollups);
	all.n = 0;
	ck_assert_int_eq(metering_read(metering, &question, collect, &all), 0);
}

static inline struct metering_question
question(enum metering_scope scope, enum metering_step step, int64_t from,
    int64_t to)
{
	return (struct metering_question){ .scope = scope,
		.from = from,
		.to = to,
		.step = step,
		.now = INT64_MIN };
}

/* --- evidence ------------------------------------------------------------- */

struct evidence {
	uint32_t n;
	uint64_t rows[16], numbers[16];
};

static inline int
keep_evidence(void *ctx, const struct metering_overage *overage)
{
	struct evidence *evidence = ctx;

	ck_assert_uint_lt(evidence->n, 16);
	evidence->rows[evidence->n] = overage->row;
	evidence->numbers[evidence->n++] = overage->first;
	return 0;
}

#endif
