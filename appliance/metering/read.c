/* Rollups by period, and the rows behind overage. See metering.h. */
#include "appliance/metering/inside.h"

#include "shared/base/err.h"

#include <string.h>
#include <time.h>

struct reading {
	struct metering *metering;
	MDB_txn *txn;
	MDB_cursor *hours;
	const struct metering_question *question;
	int64_t now;
	int (*each)(void *ctx, const struct metering_rollup *rollup);
	void *ctx;
	/* The line at hand. */
	uint32_t line;
	struct line_state state;
	struct metering_rollup rollup;
	bool any; /* something is in the span at hand */
};

/* --- spans ------------------------------------------------------------------ */

#define DAY_MS (24 * METERING_HOUR_MS)

static int64_t
month_start(int64_t time, int months)
{
	time_t seconds = (time_t)(time / 1000);
	struct tm tm;

	gmtime_r(&seconds, &tm);
	struct tm first = { .tm_year = tm.tm_year,
		.tm_mon = tm.tm_mon + months,
		.tm_mday = 1 };

	return (int64_t)timegm(&first) * 1000;
}

/* The span that an hour is in, cut to what was asked for. */
static void
span_of(int64_t *start, int64_t *end, const struct metering_question *question,
    int64_t time)
{
	*start = question->from;
	*end = question->to;
	switch (question->step) {
	case METERING_HOUR:
		*start = time - time % METERING_HOUR_MS;
		*end = *start + METERING_HOUR_MS;
		break;
	case METERING_DAY:
		*start = time - time % DAY_MS;
		*end = *start + DAY_MS;
		break;
	case METERING_MONTH:
		*start = month_start(time, 0);
		*end = month_start(time, 1);
		break;
	case METERING_WHOLE:
		break;
	}
	if (*start < question->from)
		*start = question->from;
	if (*end > question->to)
		*end = question->to;
}

static int
emit(struct reading *reading)
{
	int err = 0;

	if (reading->any)
		err = reading->each(reading->ctx, &reading->rollup);
	reading->any = false;
	return err;
}

/* Make the span of this time the one at hand. */
static int
turn_to(struct reading *reading, int64_t time)
{
	struct metering_rollup *rollup = &reading->rollup;
	int err;

	if (reading->any && time >= rollup->start && time < rollup->end)
		return 0;
	err = emit(reading);
	span_of(&rollup->start, &rollup->end, reading->question, time);
	rollup->seats = (struct metering_seats){ .checkouts = 0 };
	rollup->metric = (struct metering_metric){ .events = 0 };
	return err;
}

static int
add_hour(struct reading *reading, uint32_t at, const struct hour *hour)
{
	struct hour sum;
	int err = turn_to(reading, hour_start(at));

	if (err != 0)
		return err;
	sum = (struct hour){ reading->rollup.seats, reading->rollup.metric };
	hour_add(&sum, hour);
	reading->rollup.seats = sum.seats;
	reading->rollup.metric = sum.metric;
	reading->any = true;
	return 0;
}

/* --- the hours of a line ---------------------------------------------------- */

static int
hour_at(uint32_t *at, struct hour *hour, struct reading *reading, uint32_t from,
    MDB_cursor_op op)
{
	uint8_t bytes[HOUR_KEY_BYTES];
	MDB_val key = { sizeof(bytes), bytes }, value;

	be32_write(bytes, reading->line);
	be32_write(bytes + 4, from);
	int rc = mdb_cursor_get(reading->hours, &key, &value, op);

	if (rc == 0 && op == MDB_SET_RANGE && key.mv_size != sizeof(bytes))
		rc = MDB_CORRUPTED;
	if (rc == 0 && be32_read(key.mv_data) != reading->line)
		rc = MDB_NOTFOUND;
	if (rc == 0 && !hour_read(hour, &value))
		rc = MDB_CORRUPTED;
	if (rc == 0)
		*at = be32_read((const uint8_t *)key.mv_data + 4);
	return metering_error(rc, "read an hour");
}

/* What is held and is in no hour yet. */
static int
add_held(struct reading *reading)
{
	const struct metering_question *question = reading->question;
	const struct line_state *state = &reading->state;
	int64_t from = state->since, to = reading->now;
	int err = 0;

	if (state->held == 0)
		return 0;
	if (from < question->from)
		from = question->from;
	if (to > question->to)
		to = question->to;
	while (from < to && err == 0) {
		uint32_t at = hour_of(from);
		int64_t end = hour_start(at + 1) < to ? hour_start(at + 1) : to;
		uint64_t ms = (uint64_t)(end - from);
		struct hour hour = { .seats = {
					 .peak = state->held,
					 .seat_ms = ms * state->held,
					 .borrow_ms = ms * state->borrowed,
				     } };

		err = add_hour(reading, at, &hour);
		from = end;
	}
	return err;
}

static int
read_seats(struct reading *reading)
{
	uint32_t at = 0, end = hour_of(reading->question->to);
	MDB_cursor_op op = MDB_SET_RANGE;
	struct hour hour = { .seats = { .peak = 0 } };
	int err;

	while ((err = hour_at(&at, &hour, reading,
		    hour_of(reading->question->from), op)) == 0 &&
	    at < end) {
		err = add_hour(reading, at, &hour);
		if (err != 0)
			return err;
		op = MDB_NEXT;
	}
	if (err != 0 && err != ERR_NOT_FOUND_INTERNAL)
		return err;
	err = add_held(reading);
	return err == 0 ? emit(reading) : err;
}

/* --- metrics ---------------------------------------------------------------- */

/* Its value when the period begins. */
static int
value_before(bool *set, uint64_t *value, struct reading *reading)
{
	uint8_t bytes[HOUR_KEY_BYTES];
	MDB_val key = { sizeof(bytes), bytes }, found;
	struct hour hour = { .seats = { .peak = 0 } };

	*set = false;
	be32_write(bytes, reading->line);
	be32_write(bytes + 4, hour_of(reading->question->from));
	int rc = mdb_cursor_get(reading->hours, &key, &found, MDB_SET_RANGE);

	rc = mdb_cursor_get(reading->hours, &key, &found,
	    rc == MDB_NOTFOUND ? MDB_LAST : MDB_PREV);
	if (rc == MDB_NOTFOUND)
		return 0;
	if (rc != 0)
		return metering_error(rc, "read a gauge");
	if (be32_read(key.mv_data) != reading->line)
		return 0;
	if (!hour_read(&hour, &found))
		return ERR_CORRUPT;
	*set = hour.metric.kind == METERING_GAUGE;
	*value = hour.metric.last;
	return 0;
}

/* A gauge goes on from hour to hour, also where nobody said anything. */
static int
hold_until(struct reading *reading, uint32_t *from, uint32_t to, bool set,
    uint64_t value)
{
	const struct hour hour = { .metric = { .kind = METERING_GAUGE,
				       .max = value,
				       .last = value } };
	int err = 0;

	for (; *from < to && err == 0; ++*from)
		if (set)
			err = add_hour(reading, *from, &hour);
	return err;
}

static int
read_metric(struct reading *reading)
{
	const struct metering_question *question = reading->question;
	uint32_t next = hour_of(question->from), end = hour_of(question->to);
	/* The hour in which now is, is one that it holds in. */
	uint32_t until = hour_of(reading->now) + 1;
	MDB_cursor_op op = MDB_SET_RANGE;
	struct hour hour = { .seats = { .peak = 0 } };
	uint64_t value = 0;
	uint32_t at = 0;
	bool set;
	int err = value_before(&set, &value, reading);

	if (reading->state.until < until)
		until = reading->state.until + 1;
	if (until > end || reading->now == INT64_MIN)
		until = end;
	if (err != 0)
		return err;
	while ((err = hour_at(&at, &hour, reading, hour_of(question->from),
		    op)) == 0 &&
	    at < end) {
		err = hold_until(reading, &next, at < until ? at : until, set,
		    value);
		if (err == 0)
			err = add_hour(reading, at, &hour);
		if (err != 0)
			return err;
		next = at + 1;
		set = hour.metric.kind == METERING_GAUGE;
		value = hour.metric.last;
		op = MDB_NEXT;
	}
	if (err != 0 && err != ERR_NOT_FOUND_INTERNAL)
		return err;
	err = hold_until(reading, &next, until, set, value);
	return err == 0 ? emit(reading) : err;
}

/* --- lines ------------------------------------------------------------------ */

static bool
fits(const struct metering_question *question, const struct metering_line *line)
{
	return (question->license == NULL ||
		   strcmp(question->license, line->license) == 0) &&
	    (question->serial == 0 || question->serial == line->serial) &&
	    (question->feature == NULL ||
		strcmp(question->feature, line->feature) == 0) &&
	    (question->subject == NULL ||
		memcmp(question->subject, line->subject, SUBJECT_BYTES) == 0);
}

static int
take_line(struct reading *reading, const MDB_val *number)
{
	uint8_t key_bytes[4];
	MDB_val key = { sizeof(key_bytes), key_bytes }, value;

	if (number->mv_size != 4)
		return ERR_CORRUPT;
	reading->line = be32_read(number->mv_data);
	reading->state = (struct line_state){ .until = UINT32_MAX };
	be32_write(key_bytes, reading->line);
	int rc = mdb_get(reading->txn,
	    reading->metering->base.table[METERING_LINES], &key, &value);

	if (rc == MDB_NOTFOUND)
		return 0;
	if (rc != 0)
		return metering_error(rc, "read a line");
	return line_read(&reading->state, &value) ? 0 : ERR_CORRUPT;
}

/* The first name that may fit. */
static size_t
first_name(uint8_t out[NAME_BYTES_MAX], enum metering_scope scope,
    const char *license)
{
	size_t len = license == NULL ? 0 : strnlen(license, 63);

	out[0] = (uint8_t)scope;
	if (license == NULL)
		return 1;
	memcpy(out + 1, license, len);
	out[1 + len] = 0;
	return 2 + len;
}

static int
read_lines(struct reading *reading)
{
	const struct metering_question *question = reading->question;
	uint8_t name[NAME_BYTES_MAX];
	size_t len = first_name(name, question->scope, question->license);
	MDB_val key = { len, name }, value;
	MDB_cursor *names;
	int err = 0;
	int rc = mdb_cursor_open(reading->txn,
	    reading->metering->base.table[METERING_NAMES], &names);

	if (rc != 0)
		return metering_error(rc, "read lines");
	for (rc = mdb_cursor_get(names, &key, &value, MDB_SET_RANGE);
	     rc == 0 && err == 0;
	     rc = mdb_cursor_get(names, &key, &value, MDB_NEXT)) {
		struct metering_rollup *rollup = &reading->rollup;

		if (key.mv_size < len || memcmp(key.mv_data, name, len) != 0)
			break;
		if (!name_read(&rollup->line, &key))
			err = ERR_CORRUPT;
		else if (!fits(question, &rollup->line))
			continue;
		if (err == 0)
			err = take_line(reading, &value);
		if (err == 0)
			err = question->scope == METERING_METRIC
			    ? read_metric(reading)
			    : read_seats(reading);
	}
	mdb_cursor_close(names);
	return err != 0          ? err
	    : rc == MDB_NOTFOUND ? 0
				 : metering_error(rc, "read lines");
}

int
metering_read(struct metering *metering,
    const struct metering_question *question,
    int (*each)(void *ctx, const struct metering_rollup *rollup), void *ctx)
{
	struct reading reading = { .metering = metering,
		.question = question,
		.each = each,
		.ctx = ctx };
	struct metering_place place;
	uint32_t next_line;

	if (question->from < 0 || question->to < question->from ||
	    question->from % METERING_HOUR_MS != 0 ||
	    question->to % METERING_HOUR_MS != 0)
		return ERR_BAD_REQUEST;
	int err = metering_reader(&reading.txn, metering);

	if (err != 0)
		return err;
	err = metering_place_read(&place, &next_line, metering, reading.txn);
	if (err == 0)
		err = metering_error(mdb_cursor_open(reading.txn,
					 metering->base.table[METERING_HOURS],
					 &reading.hours),
		    "begin to read");
	reading.now = question->now > place.time ? question->now : place.time;
	if (err == 0)
		err = read_lines(&reading);
	if (reading.hours != NULL)
		mdb_cursor_close(reading.hours);
	metering_reader_end(reading.txn, metering);
	return err;
}

/* --- evidence --------------------------------------------------------------- */

struct proving {
	MDB_cursor *cursor;
	int64_t from, to;
	int (*each)(void *ctx, const struct metering_overage *overage);
	void *ctx;
};

static int
prove_line(const struct proving *proving, const struct metering_line *line,
    uint32_t number)
{
	uint8_t bytes[OVERAGE_KEY_BYTES] = { 0 };
	MDB_val key = { sizeof(bytes), bytes }, value;
	struct metering_overage overage = { .serial = line->serial };
	int err = 0;

	memcpy(overage.license, line->license, sizeof(overage.license));
	memcpy(overage.feature, line->feature, sizeof(overage.feature));
	be32_write(bytes, number);
	be64_write(bytes + 4, (uint64_t)proving->from);
	int rc = mdb_cursor_get(proving->cursor, &key, &value, MDB_SET_RANGE);

	for (; rc == 0 && err == 0;
	     rc = mdb_cursor_get(proving->cursor, &key, &value, MDB_NEXT)) {
		const uint8_t *k = key.mv_data, *v = value.mv_data;

		if (key.mv_size != OVERAGE_KEY_BYTES ||
		    value.mv_size != OVERAGE_BYTES)
			return ERR_CORRUPT;
		overage.time = (int64_t)be64_read(k + 4);
		if (be32_read(k) != number || overage.time >= proving->to)
			return 0;
		overage.row = be64_read(k + 12);
		overage.first = be64_read(v);
		overage.count = be32_read(v + 8);
		overage.lease = be64_read(v + 12);
		err = proving->each(proving->ctx, &overage);
	}
	return err != 0          ? err
	    : rc == MDB_NOTFOUND ? 0
				 : metering_error(rc, "read overage");
}

static int
prove_lines(const struct proving *proving, MDB_cursor *names,
    const struct metering_question *question)
{
	uint8_t name[NAME_BYTES_MAX];
	size_t len = first_name(name, question->scope, question->license);
	MDB_val key = { len, name }, value;
	int rc = mdb_cursor_get(names, &key, &value, MDB_SET_RANGE);
	int err = 0;

	for (; rc == 0 && err == 0;
	     rc = mdb_cursor_get(names, &key, &value, MDB_NEXT)) {
		struct metering_line line;

		if (key.mv_size < len || memcmp(key.mv_data, name, len) != 0)
			return 0;
		if (!name_read(&line, &key) || value.mv_size != 4)
			return ERR_CORRUPT;
		if (fits(question, &line))
			err = prove_line(proving, &line,
			    be32_read(value.mv_data));
	}
	return err != 0          ? err
	    : rc == MDB_NOTFOUND ? 0
				 : metering_error(rc, "read lines");
}

int
metering_evidence(struct metering *metering, const char *license,
    uint64_t serial, const char *feature, int64_t from, int64_t to,
    int (*each)(void *ctx, const struct metering_overage *overage), void *ctx)
{
	const struct metering_question question = { .scope = METERING_PRICED,
		.license = license,
		.serial = serial,
		.feature = feature };
	struct proving proving = { NULL, from < 0 ? 0 : from, to, each, ctx };
	MDB_cursor *names = NULL;
	MDB_txn *txn;
	int err = metering_reader(&txn, metering);

	if (err != 0)
		return err;
	int rc =
	    mdb_cursor_open(txn, metering->base.table[METERING_NAMES], &names);

	if (rc == 0)
		rc = mdb_cursor_open(txn,
		    metering->base.table[METERING_OVERAGES], &proving.cursor);
	err = metering_error(rc, "begin to read");
	if (err == 0)
		err = prove_lines(&proving, names, &question);
	if (proving.cursor != NULL)
		mdb_cursor_close(proving.cursor);
	if (names != NULL)
		mdb_cursor_close(names);
	metering_reader_end(txn, metering);
	return err;
}
