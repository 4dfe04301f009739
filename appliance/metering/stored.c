/* The forms of lines and hours on disk, and how hours add up. See inside.h. */
#include "appliance/metering/inside.h"

#include <string.h>

/* --- numbers: most are small ------------------------------------------------ */

static uint8_t *
put_number(uint8_t *p, uint64_t value)
{
	for (; value >= 0x80; value >>= 7)
		*p++ = (uint8_t)(value | 0x80);
	*p++ = (uint8_t)value;
	return p;
}

struct reading {
	const uint8_t *p, *end;
	bool failed;
};

static uint64_t
get_number(struct reading *in)
{
	uint64_t value = 0;

	for (unsigned int shift = 0; in->p < in->end && shift < 64;
	     shift += 7) {
		uint8_t byte = *in->p++;

		value |= (uint64_t)(byte & 0x7f) << shift;
		if ((byte & 0x80) == 0)
			return value;
	}
	in->failed = true;
	return 0;
}

/* --- lines ------------------------------------------------------------------ */

void
line_write(uint8_t out[LINE_BYTES], const struct line_state *in)
{
	be32_write(out, in->held);
	be32_write(out + 4, in->borrowed);
	be64_write(out + 8, (uint64_t)in->since);
	out[16] = in->gauge ? 1 : 0;
	be64_write(out + 17, in->value);
	be32_write(out + 25, in->until);
}

bool
line_read(struct line_state *out, const MDB_val *value)
{
	const uint8_t *p = value->mv_data;

	if (value->mv_size != LINE_BYTES)
		return false;
	*out = (struct line_state){ .held = be32_read(p),
		.borrowed = be32_read(p + 4),
		.since = (int64_t)be64_read(p + 8),
		.gauge = p[16] != 0,
		.value = be64_read(p + 17),
		.until = be32_read(p + 25) };
	return true;
}

size_t
name_write(uint8_t out[NAME_BYTES_MAX], const struct metering_line *line)
{
	size_t license = strnlen(line->license, sizeof(line->license) - 1);
	size_t feature = strnlen(line->feature, sizeof(line->feature) - 1);
	uint8_t *p = out;

	*p++ = (uint8_t)line->scope;
	memcpy(p, line->license, license);
	p[license] = 0;
	p += license + 1;
	be64_write(p, line->serial);
	p += 8;
	memcpy(p, line->feature, feature);
	p[feature] = 0;
	p += feature + 1;
	if (line->scope == METERING_USER || line->scope == METERING_HOST) {
		memcpy(p, line->subject, SUBJECT_BYTES);
		p += SUBJECT_BYTES;
	}
	return (size_t)(p - out);
}

bool
name_read(struct metering_line *out, const MDB_val *key)
{
	const uint8_t *p = key->mv_data, *end = p + key->mv_size;

	*out = (struct metering_line){ .serial = 0 };
	if (key->mv_size < 1 || key->mv_size > NAME_BYTES_MAX)
		return false;
	out->scope = *p++;
	size_t license = strnlen((const char *)p, (size_t)(end - p));

	if (license >= sizeof(out->license) ||
	    (size_t)(end - p) < license + 1 + 8 + 1)
		return false;
	memcpy(out->license, p, license);
	p += license + 1;
	out->serial = be64_read(p);
	p += 8;
	size_t feature = strnlen((const char *)p, (size_t)(end - p));

	if (feature >= sizeof(out->feature) || p + feature == end)
		return false;
	memcpy(out->feature, p, feature);
	p += feature + 1;
	if (out->scope != METERING_USER && out->scope != METERING_HOST)
		return p == end;
	if (end - p != SUBJECT_BYTES)
		return false;
	memcpy(out->subject, p, SUBJECT_BYTES);
	return true;
}

/* --- hours ------------------------------------------------------------------ */

size_t
hour_write(uint8_t out[HOUR_BYTES_MAX], const struct hour *in)
{
	const struct metering_seats *seats = &in->seats;
	const struct metering_metric *metric = &in->metric;
	const uint64_t numbers[] = { seats->checkouts, seats->seats,
		seats->borrows, seats->peak, seats->seat_ms, seats->borrow_ms,
		seats->overage, seats->overage_first, seats->overage_last,
		seats->denials, metric->kind, metric->events, metric->sum,
		metric->max, metric->last, seats->n_denied };
	uint8_t *p = out;

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		p = put_number(p, numbers[i]);
	for (uint32_t i = 0; i < seats->n_denied; i++) {
		size_t len = strlen(seats->denied[i].code);

		*p++ = (uint8_t)len;
		memcpy(p, seats->denied[i].code, len);
		p = put_number(p + len, seats->denied[i].count);
	}
	return (size_t)(p - out);
}

_Static_assert(HOUR_BYTES_MAX >= 16 * 10 + METERING_DENIALS_MAX * (1 + 31 + 10),
    "the longest fits");

bool
hour_read(struct hour *out, const MDB_val *value)
{
	struct reading in = { value->mv_data, NULL, false };
	struct metering_seats *seats = &out->seats;
	struct metering_metric *metric = &out->metric;
	uint64_t *const numbers[] = { &seats->checkouts, &seats->seats,
		&seats->borrows, NULL, &seats->seat_ms, &seats->borrow_ms,
		&seats->overage, &seats->overage_first, &seats->overage_last,
		&seats->denials, NULL, &metric->events, &metric->sum,
		&metric->max, &metric->last };

	in.end = in.p + value->mv_size;
	*out = (struct hour){ .seats = { .checkouts = 0 } };
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		uint64_t number = get_number(&in);

		if (numbers[i] != NULL)
			*numbers[i] = number;
		else if (i == 3)
			seats->peak = (uint32_t)number;
		else
			metric->kind = number == METERING_GAUGE
			    ? METERING_GAUGE
			    : METERING_COUNTER;
	}
	uint64_t n = get_number(&in);

	if (n > METERING_DENIALS_MAX)
		return false;
	for (seats->n_denied = 0; seats->n_denied < n; seats->n_denied++) {
		struct metering_denial *denied =
		    &seats->denied[seats->n_denied];
		size_t len = in.p < in.end ? *in.p++ : sizeof(denied->code);

		if (len >= sizeof(denied->code) ||
		    len > (size_t)(in.end - in.p))
			return false;
		memcpy(denied->code, in.p, len);
		in.p += len;
		denied->count = get_number(&in);
	}
	return !in.failed && in.p == in.end;
}

uint64_t
hour_sum(uint64_t a, uint64_t b)
{
	return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

/* In the order of the codes, whatever order they came in: a sum of hours is the
 * same as one hour of all. */
void
hour_deny(struct metering_seats *seats, const char *code, uint64_t count)
{
	uint32_t at = 0;

	while (at < seats->n_denied && strcmp(seats->denied[at].code, code) < 0)
		at++;
	if (at < seats->n_denied && strcmp(seats->denied[at].code, code) == 0) {
		seats->denied[at].count =
		    hour_sum(seats->denied[at].count, count);
		return;
	}
	if (seats->n_denied >= METERING_DENIALS_MAX - 1 &&
	    strcmp(code, "other") != 0) {
		hour_deny(seats, "other", count);
		return;
	}
	memmove(&seats->denied[at + 1], &seats->denied[at],
	    (seats->n_denied - at) * sizeof(seats->denied[0]));
	seats->denied[at] = (struct metering_denial){ .count = count };
	strncpy(seats->denied[at].code, code,
	    sizeof(seats->denied[at].code) - 1);
	seats->n_denied++;
}

/* `first` 0: what has no numbers of its own. */
void
hour_overage(struct metering_seats *seats, uint64_t first, uint64_t count)
{
	uint64_t last = first == 0 ? 0 : first + count - 1;

	seats->overage += count;
	if (seats->overage_first == 0 ||
	    (first != 0 && first < seats->overage_first))
		seats->overage_first = first;
	if (last > seats->overage_last)
		seats->overage_last = last;
}

static void
add_seats(struct metering_seats *sum, const struct metering_seats *more)
{
	sum->checkouts += more->checkouts;
	sum->seats += more->seats;
	sum->borrows += more->borrows;
	sum->peak = more->peak > sum->peak ? more->peak : sum->peak;
	sum->seat_ms += more->seat_ms;
	sum->borrow_ms += more->borrow_ms;
	sum->denials += more->denials;
	sum->overage += more->overage;
	if (sum->overage_first == 0 ||
	    (more->overage_first != 0 &&
		more->overage_first < sum->overage_first))
		sum->overage_first = more->overage_first;
	if (more->overage_last > sum->overage_last)
		sum->overage_last = more->overage_last;
	for (uint32_t i = 0; i < more->n_denied; i++)
		hour_deny(sum, more->denied[i].code, more->denied[i].count);
}

void
hour_add(struct hour *sum, const struct hour *more)
{
	add_seats(&sum->seats, &more->seats);
	sum->metric.kind = more->metric.kind;
	sum->metric.events += more->metric.events;
	sum->metric.sum = hour_sum(sum->metric.sum, more->metric.sum);
	sum->metric.max = more->metric.max > sum->metric.max ? more->metric.max
							     : sum->metric.max;
	sum->metric.last = more->metric.last;
}
