/*
 * Rows of the journal into lines. See metering.h.
 */
#include "appliance/metering/inside.h"

#include "shared/base/err.h"
#include "shared/base/text.h"

#include <stdio.h>
#include <string.h>

/* The lines that one lease counts in, in this order. */
enum part {
	OF_TENANT,
	OF_LICENSE,
	OF_FEATURE,
	OF_PRICED,
	OF_USER,
	OF_HOST,
	PARTS
};

/* A lease that is open, as it is carried. */
struct held {
	uint32_t line[PARTS]; /* 0: none */
	uint32_t count;
	bool borrowed;
};
#define HELD_BYTES ((size_t)PARTS * 4 + 4 + 1)

static int
held_put(struct metering_txn *txn, uint64_t lease, const struct held *held)
{
	uint8_t key[8], bytes[HELD_BYTES];

	be64_write(key, lease);
	for (size_t i = 0; i < PARTS; i++)
		be32_write(bytes + 4 * i, held->line[i]);
	be32_write(bytes + PARTS * 4, held->count);
	bytes[PARTS * 4 + 4] = held->borrowed ? 1 : 0;
	return metering_put(txn, METERING_LEASES, key, sizeof(key), bytes,
	    sizeof(bytes));
}

/* And forget it. */
static int
held_take(struct held *held, struct metering_txn *txn, uint64_t lease)
{
	uint8_t key[8];
	MDB_val at = { sizeof(key), key }, value;

	be64_write(key, lease);
	int err = metering_get(&value, txn, METERING_LEASES, key, sizeof(key));

	if (err == 0 && value.mv_size != HELD_BYTES)
		err = ERR_CORRUPT;
	if (err != 0)
		return err;
	const uint8_t *p = value.mv_data;

	for (size_t i = 0; i < PARTS; i++)
		held->line[i] = be32_read(p + 4 * i);
	held->count = be32_read(p + PARTS * 4);
	held->borrowed = p[PARTS * 4 + 4] != 0;
	return metering_error(mdb_del(txn->txn,
				  txn->metering->base.table[METERING_LEASES],
				  &at, NULL),
	    "end a lease");
}

/* --- licenses ----------------------------------------------------------------- */

struct known_license {
	uint64_t serial;
	char id[64];
};

static int
license_get(struct known_license *out, const struct metering_txn *txn,
    uint64_t number)
{
	uint8_t key[8];
	MDB_val value;

	*out = (struct known_license){ .serial = 0 };
	if (number == 0)
		return 0;
	be64_write(key, number);
	int err =
	    metering_get(&value, txn, METERING_LICENSES, key, sizeof(key));

	if (err == ERR_NOT_FOUND_INTERNAL) {
		/* A journal that begins later than its license. */
		snprintf(out->id, sizeof(out->id), "license-%llu",
		    (unsigned long long)number);
		return 0;
	}
	if (err == 0 &&
	    (value.mv_size < 8 || value.mv_size - 8 >= sizeof(out->id)))
		err = ERR_CORRUPT;
	if (err != 0)
		return err;
	out->serial = be64_read(value.mv_data);
	memcpy(out->id, (const uint8_t *)value.mv_data + 8, value.mv_size - 8);
	return 0;
}

/* The serial whose price holds for what names this license document. */
static int
serial_of(uint64_t *serial, const struct metering_txn *txn,
    const struct known_license *license, const uint8_t digest[32])
{
	MDB_val value;
	int err = digest == NULL
	    ? ERR_NOT_FOUND_INTERNAL
	    : metering_get(&value, txn, METERING_DIGESTS, digest, 32);

	*serial = license->serial;
	if (err == 0 && value.mv_size != 8)
		return ERR_CORRUPT;
	if (err == 0)
		*serial = be64_read(value.mv_data);
	return err == ERR_NOT_FOUND_INTERNAL ? 0 : err;
}

/* --- gauges across a renewal ----------------------------------------------------- */

static int
set_gauge(struct metering_txn *txn, const struct metering_line *line,
    uint32_t hour, uint64_t value, bool event)
{
	struct hot *hot;
	int err = hot_named(&hot, txn, line);

	if (err == 0)
		err = hot_enter(txn, hot, hour);
	if (err != 0)
		return err;
	struct metering_metric *metric = &hot->hour.metric;

	/* What it came into the hour with was its value too. */
	if (metric->events == 0 && hot->state.gauge &&
	    hot->state.value > metric->max)
		metric->max = hot->state.value;
	metric->kind = METERING_GAUGE;
	metric->events += event;
	if (event)
		metric->sum = hour_sum(metric->sum, value);
	metric->max = value > metric->max ? value : metric->max;
	metric->last = value;
	hot->state.gauge = true;
	hot->state.value = value;
	hot->hour_dirty = hot->state_dirty = true;
	return 0;
}

/* The next metric of a license, of whatever serial. */
static int
next_metric(struct metering_line *line, struct metering_txn *txn,
    const char *license, uint8_t name[NAME_BYTES_MAX], size_t *len)
{
	MDB_val key = { *len, name }, value;
	MDB_cursor *cursor;
	int rc = mdb_cursor_open(txn->txn,
	    txn->metering->base.table[METERING_NAMES], &cursor);

	if (rc != 0)
		return metering_error(rc, "look for metrics");
	rc = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
	if (rc == 0 && key.mv_size == *len &&
	    memcmp(key.mv_data, name, *len) == 0)
		rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
	if (rc == 0 && !name_read(line, &key))
		rc = MDB_CORRUPTED;
	if (rc == 0 &&
	    (line->scope != METERING_METRIC ||
		strcmp(line->license, license) != 0))
		rc = MDB_NOTFOUND;
	if (rc == 0) {
		*len = key.mv_size;
		memcpy(name, key.mv_data, key.mv_size);
	}
	mdb_cursor_close(cursor);
	return metering_error(rc, "look for metrics");
}

/* Under this serial from that hour on: a gauge of an earlier one holds no longer
 * than into it; and (`carry`) the new one begins with its value. */
int
metering_end_gauges(struct metering_txn *txn, const char *license,
    const char *metric, uint64_t serial, uint32_t hour, bool carry)
{
	struct metering_line line = { .scope = METERING_METRIC };
	uint8_t name[NAME_BYTES_MAX];

	text_copy(line.license, sizeof(line.license), license);
	size_t len = name_write(name, &line);
	int err;

	while ((err = next_metric(&line, txn, license, name, &len)) == 0) {
		struct hot *hot;

		if (line.serial >= serial ||
		    (metric != NULL && strcmp(line.feature, metric) != 0))
			continue;
		err = hot_named(&hot, txn, &line);
		if (err != 0)
			return err;
		uint64_t value = hot->state.value;

		if (!hot->state.gauge || hot->state.until <= hour)
			continue;
		bool holds = hot->state.until == UINT32_MAX;

		hot->state.until = hour;
		hot->state_dirty = true;
		line.serial = serial;
		if (carry && holds)
			err = set_gauge(txn, &line, hour, value, false);
		if (err != 0)
			return err;
	}
	return err == ERR_NOT_FOUND_INTERNAL ? 0 : err;
}

static int
learn_license(struct metering_txn *txn, const struct row_license_installed *r,
    int64_t time)
{
	uint8_t key[8], serial[8], bytes[8 + sizeof(r->document.license_id)];
	size_t len = strlen(r->document.license_id);

	be64_write(key, r->license);
	be64_write(serial, r->document.serial);
	memcpy(bytes, serial, 8);
	memcpy(bytes + 8, r->document.license_id, len);
	int err = metering_put(txn, METERING_LICENSES, key, sizeof(key), bytes,
	    8 + len);

	if (err == 0)
		err = metering_put(txn, METERING_DIGESTS, r->digest, 32, serial,
		    sizeof(serial));
	return err == 0 ? metering_end_gauges(txn, r->document.license_id, NULL,
			      r->document.serial, hour_of(time), true)
			: err;
}

/* --- leases --------------------------------------------------------------------- */

/* Names of the lines of a grant; scope 0: there is none. */
static void
name_parts(struct metering_line line[PARTS],
    const struct known_license *license, uint64_t serial, const char *feature)
{
	static const enum metering_scope scopes[PARTS] = {
		[OF_TENANT] = METERING_TENANT,
		[OF_LICENSE] = METERING_LICENSE,
		[OF_FEATURE] = METERING_FEATURE,
		[OF_PRICED] = METERING_PRICED,
		[OF_USER] = METERING_USER,
		[OF_HOST] = METERING_HOST,
	};

	for (int i = 0; i < PARTS; i++) {
		line[i] = (struct metering_line){ .scope = scopes[i] };
		if (i != OF_TENANT)
			text_copy(line[i].license, sizeof(line[i].license),
			    license->id);
		if (i > OF_LICENSE)
			text_copy(line[i].feature, sizeof(line[i].feature),
			    feature);
	}
	line[OF_PRICED].serial = serial;
}

/* Overage seats in every line; their numbers where they say something. */
static void
count_overage(struct hot *hot, int part, uint64_t first, uint64_t count)
{
	bool numbered = part >= OF_LICENSE && part <= OF_PRICED;

	if (count != 0)
		hour_overage(&hot->hour.seats, numbered ? first : 0, count);
}

int
metering_put_overage(struct metering_txn *txn, uint32_t line, uint64_t row,
    int64_t time, uint64_t first, uint32_t count, uint64_t lease)
{
	uint8_t key[OVERAGE_KEY_BYTES], bytes[OVERAGE_BYTES];

	if (count == 0)
		return 0;
	be32_write(key, line);
	be64_write(key + 4, (uint64_t)time);
	be64_write(key + 12, row);
	be64_write(bytes, first);
	be32_write(bytes + 8, count);
	be64_write(bytes + 12, lease);
	return metering_put(txn, METERING_OVERAGES, key, sizeof(key), bytes,
	    sizeof(bytes));
}

/* One line of a grant: seats are held from now on. */
static int
begin_in(struct hot *hot, struct metering_txn *txn, int part,
    const struct row_lease_granted *grant, bool checkout, bool borrowed,
    int64_t time)
{
	struct metering_seats *seats = &hot->hour.seats;
	int err = hot_settle(txn, hot, time);

	if (err == 0)
		err = hot_enter(txn, hot, hour_of(time));
	if (err != 0)
		return err;
	hot->state.held += grant->count;
	hot->state.borrowed += borrowed ? grant->count : 0;
	if (checkout) {
		seats->checkouts++;
		seats->seats += grant->count;
		seats->borrows += borrowed;
	}
	if (hot->state.held > seats->peak)
		seats->peak = hot->state.held;
	count_overage(hot, part, grant->overage, grant->overage_count);
	hot->hour_dirty = true;
	return 0;
}

static int
end_lease(struct metering_txn *txn, struct held *held, uint64_t lease,
    int64_t time)
{
	int err = held_take(held, txn, lease);

	for (int i = 0; i < PARTS && err == 0; i++) {
		struct hot *hot;

		if (held->line[i] == 0)
			continue;
		err = hot_numbered(&hot, txn, held->line[i]);
		if (err == 0)
			err = hot_settle(txn, hot, time);
		if (err != 0)
			break;
		uint32_t n = held->count;

		hot->state.held -= n < hot->state.held ? n : hot->state.held;
		if (held->borrowed)
			hot->state.borrowed -=
			    n < hot->state.borrowed ? n : hot->state.borrowed;
	}
	return err;
}

static int
begin_lease(struct metering_txn *txn, const struct row *row,
    const struct row_lease_granted *grant, bool checkout, bool borrowed,
    int64_t time)
{
	static const uint8_t nobody[SUBJECT_BYTES];
	struct metering_line line[PARTS];
	struct held held = { .count = grant->count, .borrowed = borrowed };
	struct known_license license;
	struct held before;
	uint64_t serial;
	int err = end_lease(txn, &before, grant->lease, time);

	if (err == 0 || err == ERR_NOT_FOUND_INTERNAL)
		err = license_get(&license, txn, grant->license);
	if (err == 0)
		err = serial_of(&serial, txn, &license, grant->license_digest);
	if (err != 0)
		return err;
	name_parts(line, &license, serial, grant->feature);
	memcpy(line[OF_USER].subject, grant->user, SUBJECT_BYTES);
	memcpy(line[OF_HOST].subject, grant->host, SUBJECT_BYTES);
	for (int i = 0; i < PARTS && err == 0; i++) {
		struct hot *hot;

		if (i >= OF_USER &&
		    memcmp(line[i].subject, nobody, SUBJECT_BYTES) == 0)
			continue;
		err = hot_named(&hot, txn, &line[i]);
		if (err == 0)
			err = begin_in(hot, txn, i, grant, checkout, borrowed,
			    time);
		if (err == 0)
			held.line[i] = hot->line;
	}
	if (err == 0)
		err = metering_put_overage(txn, held.line[OF_PRICED],
		    row->number, time, grant->overage, grant->overage_count,
		    grant->lease);
	return err == 0 ? held_put(txn, grant->lease, &held) : err;
}

/* A borrow that was given up: seats that stay taken in its place may be
 * overage. */
static int
end_borrow(struct metering_txn *txn, const struct row *row, int64_t time)
{
	const struct row_borrow_ended *r = &row->u.borrow_ended;
	struct held held = { .count = 0 };
	int err = end_lease(txn, &held, r->lease, time);

	if (err == ERR_NOT_FOUND_INTERNAL) {
		/* A journal that begins later: the feature is not known. */
		struct metering_line line[PARTS];
		struct known_license license;

		err = license_get(&license, txn, r->license);
		if (err == 0)
			name_parts(line, &license, license.serial, "");
		for (int i = 0; i < OF_USER && err == 0; i++) {
			struct hot *hot;

			err = hot_named(&hot, txn, &line[i]);
			held.line[i] = err == 0 ? hot->line : 0;
		}
	}
	for (int i = 0; i < PARTS && err == 0 && r->overage_count != 0; i++) {
		struct hot *hot;

		if (held.line[i] == 0)
			continue;
		err = hot_numbered(&hot, txn, held.line[i]);
		if (err == 0)
			err = hot_enter(txn, hot, hour_of(time));
		if (err != 0)
			break;
		count_overage(hot, i, r->overage, r->overage_count);
		hot->hour_dirty = true;
	}
	return err == 0
	    ? metering_put_overage(txn, held.line[OF_PRICED], row->number, time,
		  r->overage, r->overage_count, r->lease)
	    : err;
}

/* --- denials, metrics --------------------------------------------------------------- */

static int
deny(struct metering_txn *txn, const struct row_denied *denied)
{
	struct metering_line line[PARTS];
	struct known_license license;
	int err = license_get(&license, txn, denied->license);

	if (err != 0)
		return err;
	/* Under the serial in force, so that a report of it tells them. */
	name_parts(line, &license, license.serial, "");
	for (int i = 0; i <= OF_PRICED && err == 0; i++) {
		struct hot *hot;

		if (i == OF_PRICED && license.serial == 0)
			break;
		err = hot_named(&hot, txn, &line[i]);
		/* They happened in the minute; the row came after it. */
		if (err == 0)
			err = hot_enter(txn, hot, hour_of(denied->minute));
		if (err != 0)
			break;
		hot->hour.seats.denials += denied->count;
		hour_deny(&hot->hour.seats, denied->code, denied->count);
		hot->hour_dirty = true;
	}
	return err;
}

static int
count_amount(struct metering_txn *txn, const struct metering_line *line,
    uint32_t hour, uint64_t amount)
{
	struct hot *hot;
	int err = hot_named(&hot, txn, line);

	if (err == 0)
		err = hot_enter(txn, hot, hour);
	if (err != 0)
		return err;
	struct metering_metric *metric = &hot->hour.metric;

	metric->kind = METERING_COUNTER;
	metric->events++;
	metric->sum = hour_sum(metric->sum, amount);
	metric->max = amount > metric->max ? amount : metric->max;
	metric->last = amount;
	hot->hour_dirty = true;
	return 0;
}

static int
track(struct metering_txn *txn, const struct row_usage_tracked *r, int64_t time)
{
	struct metering_line line = { .scope = METERING_METRIC };
	struct known_license license;
	int err = license_get(&license, txn, r->license);

	if (err != 0)
		return err;
	text_copy(line.license, sizeof(line.license), license.id);
	text_copy(line.feature, sizeof(line.feature), r->metric);
	line.serial = license.serial;
	return r->kind == USAGE_GAUGE
	    ? set_gauge(txn, &line, hour_of(time), r->amount, true)
	    : count_amount(txn, &line, hour_of(time), r->amount);
}

int
metering_row(struct metering_txn *txn, const struct row *row, int64_t time)
{
	struct row_lease_granted grant;
	struct held held;
	int err = 0;

	/* Only these count; all other rows are of no use here. */
	if (row->kind == ROW_LICENSE_INSTALLED)
		return learn_license(txn, &row->u.license_installed, time);
	if (row->kind == ROW_LEASE_GRANTED)
		return begin_lease(txn, row, &row->u.lease_granted, true, false,
		    time);
	if (row->kind == ROW_BORROWED)
		return begin_lease(txn, row, &row->u.borrowed.grant, true, true,
		    time);
	if (row->kind == ROW_LEASE_ENDED)
		err = end_lease(txn, &held, row->u.lease_ended.lease, time);
	if (row->kind == ROW_BORROW_ENDED)
		err = end_borrow(txn, row, time);
	if (row->kind == ROW_DENIED)
		return deny(txn, &row->u.denied);
	if (row->kind == ROW_KEY_DENIED)
		return deny(txn, &row->u.key_denied.denied);
	if (row->kind == ROW_USAGE_TRACKED)
		return track(txn, &row->u.usage_tracked, time);
	if (row->kind == ROW_REPORT_SHOWN || row->kind == ROW_REPORT_METRICS ||
	    row->kind == ROW_REPORT_SEATS)
		return metering_shown(txn, row);
	if (row->kind == ROW_LEASE_ADOPTED) {
		arena_clear(&txn->arena);
		err = row_grant(&grant, row, &txn->arena);
		/* The row says under which number the license is here. */
		grant.license = row->u.lease_adopted.license;
		if (err == 0)
			err = begin_lease(txn, row, &grant, false,
			    row_adopts_borrow(&row->u.lease_adopted), time);
	}
	return err == ERR_NOT_FOUND_INTERNAL ? 0 : err;
}
