/* Metrics, events and statuses as stored values. See metered.h. */
#include "appliance/ledger/metered.h"

#include "appliance/ledger/codec.h"
#include "shared/base/text.h"

#include <time.h>

#define MINUTE_MS INT64_C(60000)
#define DAY_MS INT64_C(86400000)
/* Of ids that are old, so many go with each that comes. */
#define FORGET_AT_ONCE 4

/* --- metrics ---------------------------------------------------------------- */

static int64_t
month_of(int64_t time)
{
	time_t seconds = (time_t)(time / 1000);
	struct tm tm;

	gmtime_r(&seconds, &tm);
	struct tm first = { .tm_year = tm.tm_year,
		.tm_mon = tm.tm_mon,
		.tm_mday = 1 };

	return (int64_t)timegm(&first) * 1000;
}

static size_t
metric_key(uint8_t key[8 + 64], uint64_t license, const char *metric)
{
	size_t len = strnlen(metric, 63);

	be64_write(key, license);
	memcpy(key + 8, metric, len);
	return 8 + len;
}

static int
metric_read(struct state_metric *out, const struct record_span *key,
    const struct record_span *value)
{
	struct codec_reader r = codec_reader_of(value);
	const uint8_t *k = key->data;

	*out = (struct state_metric){ .kind = codec_get_u32(&r) };
	out->value = codec_get_u64(&r);
	out->minute = (int64_t)codec_get_u64(&r);
	out->day = (int64_t)codec_get_u64(&r);
	out->month = (int64_t)codec_get_u64(&r);
	out->in_minute = codec_get_u64(&r);
	out->in_day = codec_get_u64(&r);
	out->in_month = codec_get_u64(&r);
	out->events = codec_get_u64(&r);
	out->at = (int64_t)codec_get_u64(&r);
	if (key->len <= 8 || key->len - 8 >= sizeof out->metric)
		r.failed = true;
	else
		memcpy(out->metric, k + 8, key->len - 8);
	if (!r.failed)
		out->license = be64_read(k);
	return codec_end(&r, "metric");
}

static int
metric_put(struct state *state, const struct state_metric *metric)
{
	struct codec_writer w = { .len = 0 };
	uint8_t key[8 + 64];
	size_t len = metric_key(key, metric->license, metric->metric);

	codec_put_u8(&w, CODEC_FORMAT);
	codec_put_u32(&w, metric->kind);
	codec_put_u64(&w, metric->value);
	codec_put_u64(&w, (uint64_t)metric->minute);
	codec_put_u64(&w, (uint64_t)metric->day);
	codec_put_u64(&w, (uint64_t)metric->month);
	codec_put_u64(&w, metric->in_minute);
	codec_put_u64(&w, metric->in_day);
	codec_put_u64(&w, metric->in_month);
	codec_put_u64(&w, metric->events);
	codec_put_u64(&w, (uint64_t)metric->at);
	return store_put(&state->txn, STORE_USAGE, key, len, w.data, w.len);
}

/* Windows that are over begin anew. */
static void
turn_windows(struct state_metric *metric, int64_t now)
{
	const int64_t minute = now - now % MINUTE_MS, day = now - now % DAY_MS,
		      month = month_of(now);
	uint64_t held = metric->kind == USAGE_GAUGE ? metric->value : 0;

	if (metric->minute != minute) {
		metric->minute = minute;
		metric->in_minute = held;
	}
	if (metric->day != day) {
		metric->day = day;
		metric->in_day = held;
	}
	if (metric->month != month) {
		metric->month = month;
		metric->in_month = held;
	}
}

int
state_metric(struct state_metric *out, const struct state *state,
    uint64_t license, const char *metric, int64_t now)
{
	uint8_t bytes[8 + 64];
	struct record_span key = { bytes,
		(uint32_t)metric_key(bytes, license, metric) };
	struct record_span value;
	int err =
	    store_get(&value, &state->txn, STORE_USAGE, key.data, key.len);

	if (err == 0)
		err = metric_read(out, &key, &value);
	if (err == 0)
		turn_windows(out, now);
	return err;
}

struct each_metric {
	uint64_t license;
	int64_t now;
	int (*each)(void *ctx, const struct state_metric *metric);
	void *ctx;
};
/* Above all errors and what a caller returns. */
#define PAST_IT 0x7fff0001

static int
tell_metric(void *ctx, const struct record_span *key,
    const struct record_span *value)
{
	const struct each_metric *each = ctx;
	struct state_metric metric;
	int err = metric_read(&metric, key, value);

	if (err != 0)
		return err;
	if (each->license != 0 && metric.license != each->license)
		return PAST_IT;
	turn_windows(&metric, each->now);
	return each->each(each->ctx, &metric);
}

int
state_each_metric(const struct state *state, uint64_t license, int64_t now,
    int (*each)(void *ctx, const struct state_metric *metric), void *ctx)
{
	struct each_metric all = { license, now, each, ctx };
	uint8_t from[8];

	be64_write(from, license);
	int err = store_each(&state->txn, STORE_USAGE, from, sizeof from,
	    tell_metric, &all);

	return err == PAST_IT ? 0 : err;
}

/* --- ids of events ------------------------------------------------------------ */

/* By the day they came, so that old ones lie together. */
#define EVENT_KEY_BYTES (4 + 8 + 16)

static uint32_t
day_of(int64_t time)
{
	return time < 0 ? 0 : (uint32_t)(time / DAY_MS);
}

static void
event_key(uint8_t key[EVENT_KEY_BYTES], uint32_t day, uint64_t license,
    const uint8_t event[16])
{
	be32_write(key, day);
	be64_write(key + 4, license);
	memcpy(key + 12, event, 16);
}

int
state_usage_known(bool *known, const struct state *state, uint64_t license,
    const uint8_t event[16], int64_t now)
{
	uint8_t key[EVENT_KEY_BYTES];
	struct record_span value;
	uint32_t today = day_of(now);

	*known = false;
	for (uint32_t i = 0; i < METERED_DAYS && i <= today; i++) {
		event_key(key, today - i, license, event);
		int err = store_get(&value, &state->txn, STORE_USAGE_EVENTS,
		    key, sizeof key);

		*known = err == 0;
		if (err != ERR_NOT_FOUND_INTERNAL)
			return err;
	}
	return 0;
}

struct old_events {
	uint32_t before;
	uint32_t n;
	uint8_t key[FORGET_AT_ONCE][EVENT_KEY_BYTES];
};

static int
find_old(void *ctx, const struct record_span *key,
    const struct record_span *value)
{
	struct old_events *old = ctx;

	(void)value;
	if (key->len != EVENT_KEY_BYTES)
		return ERR_CORRUPT;
	if (be32_read(key->data) >= old->before || old->n == FORGET_AT_ONCE)
		return PAST_IT;
	memcpy(old->key[old->n++], key->data, EVENT_KEY_BYTES);
	return 0;
}

static int
remember_event(struct state *state, const struct row_usage_tracked *r,
    int64_t now)
{
	static const uint8_t format = CODEC_FORMAT;
	uint32_t today = day_of(now);
	struct old_events old = {
		.before = today < METERED_DAYS ? 0 : today - METERED_DAYS + 1
	};
	uint8_t key[EVENT_KEY_BYTES];
	int err = store_each(&state->txn, STORE_USAGE_EVENTS, NULL, 0, find_old,
	    &old);

	if (err == PAST_IT)
		err = 0;
	for (uint32_t i = 0; i < old.n && err == 0; i++)
		err = store_delete(&state->txn, STORE_USAGE_EVENTS, old.key[i],
		    EVENT_KEY_BYTES);
	event_key(key, today, r->license, r->event);
	return err == 0 ? store_put(&state->txn, STORE_USAGE_EVENTS, key,
			      sizeof key, &format, 1)
			: err;
}

static uint64_t
add(uint64_t a, uint64_t b)
{
	return a > U53_MAX - b ? U53_MAX : a + b;
}

int
fold_usage_tracked(struct state *state, const struct row *row,
    const struct fold_place *place)
{
	const struct row_usage_tracked *r = &row->u.usage_tracked;
	struct state_metric metric;
	int err =
	    state_metric(&metric, state, r->license, r->metric, place->time);

	if (err == ERR_NOT_FOUND_INTERNAL) {
		metric = (struct state_metric){ .license = r->license,
			.kind = r->kind };
		text_copy(metric.metric, sizeof metric.metric, r->metric);
		turn_windows(&metric, place->time);
	} else if (err != 0) {
		return err;
	}
	if (metric.kind == USAGE_GAUGE) {
		uint64_t *const highest[] = { &metric.in_minute, &metric.in_day,
			&metric.in_month };

		for (size_t i = 0; i < 3; i++)
			if (r->amount > *highest[i])
				*highest[i] = r->amount;
	} else {
		metric.in_minute = add(metric.in_minute, r->amount);
		metric.in_day = add(metric.in_day, r->amount);
		metric.in_month = add(metric.in_month, r->amount);
	}
	metric.value = r->amount;
	metric.events++;
	metric.at = place->time;
	err = metric_put(state, &metric);
	return err == 0 ? remember_event(state, r, place->time) : err;
}

/* --- what a vendor says of a license -------------------------------------------- */

int
state_status(struct state_status *out, const struct state *state,
    uint64_t license)
{
	struct record_span value;
	uint8_t key[8];

	*out = (struct state_status){ .status = LICENSE_IS_ACTIVE };
	be64_write(key, license);
	int err = store_get(&value, &state->txn, STORE_LICENSE_STATUS, key,
	    sizeof key);

	if (err == ERR_NOT_FOUND_INTERNAL)
		return 0;
	if (err != 0)
		return err;
	struct codec_reader r = codec_reader_of(&value);

	out->status = codec_get_u32(&r);
	out->revision = codec_get_u64(&r);
	out->from = (int64_t)codec_get_u64(&r);
	out->before = codec_get_u32(&r);
	out->since = (int64_t)codec_get_u64(&r);
	out->said = (int64_t)codec_get_u64(&r);
	codec_get_bytes(out->digest, &r, sizeof out->digest);
	return codec_end(&r, "status of a license");
}

uint32_t
state_status_at(const struct state_status *status,
    const struct license *license, int64_t now)
{
	uint32_t is = now < status->from ? status->before : status->status;

	return is == LICENSE_IS_ACTIVE && now >= license_contract_end(license)
	    ? LICENSE_IS_EXPIRED
	    : is;
}

/* A renewal ends a cancellation, and leaves a suspension as it is. */
static uint32_t
turn(uint32_t before, uint32_t to)
{
	static const uint32_t follows[] = {
		[LICENSE_TURN_SUSPEND] = LICENSE_IS_SUSPENDED,
		[LICENSE_TURN_RESUME] = LICENSE_IS_ACTIVE,
		[LICENSE_TURN_CANCEL] = LICENSE_IS_CANCELLED,
	};

	if (to == LICENSE_TURN_RENEW)
		return before == LICENSE_IS_CANCELLED ? LICENSE_IS_ACTIVE
						      : before;
	return before == LICENSE_IS_CANCELLED ? before : follows[to];
}

int
fold_license_changed(struct state *state, const struct row *row,
    const struct fold_place *place)
{
	const struct row_license_changed *r = &row->u.license_changed;
	struct codec_writer w = { .len = 0 };
	struct state_status status;
	uint8_t key[8];
	int err = state_status(&status, state, r->license);

	if (err != 0)
		return err;
	if (r->revision <= status.revision) {
		log_error("state",
		    "row %llu says of license %llu what is older than what was "
		    "said",
		    (unsigned long long)row->number,
		    (unsigned long long)r->license);
		return ERR_CORRUPT;
	}
	/* What was to come after this one counts no more. */
	uint32_t before =
	    place->time < status.from ? status.before : status.status;

	int64_t said = r->from != 0 ? r->from : r->issued_at;

	if (before == LICENSE_IS_CANCELLED && r->turn != LICENSE_TURN_RENEW)
		said = status.said;
	be64_write(key, r->license);
	codec_put_u8(&w, CODEC_FORMAT);
	codec_put_u32(&w, turn(before, r->turn));
	codec_put_u64(&w, r->revision);
	codec_put_u64(&w,
	    (uint64_t)(r->from > place->time ? r->from : place->time));
	codec_put_u32(&w, before);
	codec_put_u64(&w, (uint64_t)place->time);
	codec_put_u64(&w, (uint64_t)said);
	codec_put_bytes(&w, r->digest, sizeof r->digest);
	return store_put(&state->txn, STORE_LICENSE_STATUS, key, sizeof key,
	    w.data, w.len);
}
