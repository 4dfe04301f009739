/* A report out of a journal: which rows are shown, and what proves them; see
 * report.h. */
#include "shared/report/inside.h"

#include "shared/base/err.h"
#include "shared/base/text.h"
#include "shared/journal/tree.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

/* What a batch, a row and an hour need in a body beside their bytes, at most,
 * so that the size is known before it is written. */
#define BATCH_ROOM (MERKLE_PATH_MAX * MERKLE_BYTES + 32)
#define ROW_ROOM 128
#define HOUR_ROOM 192
#define SEATS_ROOM 192 /* an hour of seats, beside its names */
#define DENIAL_ROOM 48

/* A report in the making. */
struct building {
	const struct report_source *source;
	const struct report_asked *asked;
	struct arena arena; /* what is shown */
	struct arena scratch; /* one batch as it is stored */
	struct tree tree;
	int64_t span_ms;

	struct report_batch *batches;
	uint64_t *numbers; /* of each */
	uint32_t n_batches;
	struct report_row *rows; /* of all of them */
	uint32_t n_rows;
	uint64_t *devices; /* one a row, or 0 */
	struct report_named named;
	uint64_t seats;
	size_t bytes;

	/* The last batch of the range, as far as it goes. */
	bool any;
	struct journal_header header;
	uint8_t head[32];
	struct buf token;
	int64_t from; /* the earliest time */

	struct report_hour *hours;
	uint32_t n_hours;
	size_t hours_bytes; /* of seats */
	struct report_usage usage;
};

/* One batch while it is looked at. */
struct looking {
	struct journal_batch stored;
	struct journal_header header;
	uint8_t head[32];
	uint32_t first; /* of its rows in building.rows */
	uint32_t n; /* shown */
	uint64_t seats;
	size_t bytes;
};

static void *
keep(struct building *b, const void *data, size_t len)
{
	return arena_copy(&b->arena, data, len);
}

/* --- one batch --------------------------------------------------------------- */

static int
read_stored(struct looking *look, struct building *b, uint64_t number)
{
	struct record_span blob;
	struct buf payload = { .data = NULL };
	int err = b->source->batch(b->source->ctx, &blob, number);

	memset(look, 0, sizeof *look);
	arena_clear(&b->scratch);
	if (err == 0)
		err = record_read_msgpack(&look->stored, &journal_batch_record,
		    blob.data, blob.len, NULL, &b->scratch, NULL);
	if (err == 0)
		err = token_peek(&payload, look->stored.header.data,
		    look->stored.header.len);
	if (err == 0)
		err = record_read_json(&look->header, &journal_header_record,
		    (const char *)payload.data, payload.len, &b->scratch, NULL);
	if (err == 0)
		journal_head(look->head, payload.data, payload.len);
	buf_release(&payload);
	if (err == 0 &&
	    (look->header.batch != number ||
		look->header.rows != look->stored.rows.count))
		err = ERR_CORRUPT;
	look->first = b->n_rows;
	look->bytes = look->stored.header.len + BATCH_ROOM;
	return err;
}

/* Is the license the vendor's? */
static int
is_ours(bool *ours, struct building *b, uint64_t license)
{
	struct report_license found;
	int err = b->source->license(b->source->ctx, &found, license);

	*ours = err == 0 && strcmp(found.vendor, b->asked->vendor) == 0;
	return err == ERR_NOT_FOUND_INTERNAL ? ERR_CORRUPT : err;
}

static int
show(struct building *b, struct looking *look, uint32_t index,
    const struct row *row, const struct report_seats *seats)
{
	const struct journal_row_bytes *bytes = look->stored.rows.items;

	if (b->n_rows == REPORT_ROWS_MAX)
		return ERR_TOO_LARGE;
	struct report_row *shown = &b->rows[b->n_rows];

	memset(shown, 0, sizeof *shown);
	shown->index = index;
	shown->bytes = bytes[index].bytes;
	shown->bytes.data = keep(b, shown->bytes.data, shown->bytes.len);
	if (shown->bytes.data == NULL)
		return ERR_NOMEM;
	b->devices[b->n_rows] = seats->device;
	report_named_see(&b->named, b->n_rows, seats);
	b->n_rows++;
	look->n++;
	look->seats += seats->count;
	look->bytes += shown->bytes.len + ROW_ROOM;
	if (b->named.subjects != NULL)
		look->bytes += REPORT_NAMED_ROOM;
	if (row->kind != ROW_BORROW_ENDED)
		return 0;
	return b->source->lent(b->source->ctx, shown->digest, shown->feature,
	    seats->license, seats->lease);
}

static int
look_at_row(struct building *b, struct looking *look, uint32_t index)
{
	const struct journal_row_bytes *bytes = look->stored.rows.items;
	const struct record_span *span = &bytes[index].bytes;
	struct report_seats seats;
	struct row row;
	bool ours = true;
	const bool used = span->len >= 2 &&
	    be16_read(span->data) == ROW_USAGE_TRACKED &&
	    b->source->edition != NULL;

	if (!used && !report_may_show(span->data, span->len))
		return 0;
	int err = row_read(&row, look->header.first_row + index, span->data,
	    span->len, &b->scratch);

	if (err == 0)
		err = report_usage_see(&b->usage, &row, look->header.time);
	if (err == 0 && !used)
		err = report_seats_of(&seats, &row, &b->scratch);
	if (err != 0 || used)
		return err;
	if (row.kind == ROW_LICENSE_INSTALLED)
		ours = strcmp(row.u.license_installed.document.vendor.id,
			   b->asked->vendor) == 0;
	else if (row.kind == ROW_CLOCK)
		ours = row.u.clock.event == CLOCK_CORRECTED;
	else if (row.kind != ROW_GENERATION) {
		if (seats.count == 0)
			return 0;
		err = is_ours(&ours, b, seats.license);
	}
	return err == 0 && ours ? show(b, look, index, &row, &seats) : err;
}

/* The paths of what is shown; only then are all rows hashed. */
static int
add_paths(struct building *b, struct looking *look)
{
	const struct journal_row_bytes *bytes = look->stored.rows.items;
	const uint32_t n = look->stored.rows.count;
	uint8_t root[MERKLE_BYTES], path[MERKLE_PATH_MAX][MERKLE_BYTES];
	int err = tree_reserve(&b->tree, n);

	if (err != 0)
		return err;
	for (uint32_t i = 0; i < n; i++)
		journal_row_leaf(b->tree.hashes[i], look->header.tenant,
		    look->header.first_row + i, bytes[i].bytes.data,
		    bytes[i].bytes.len);
	tree_build(root, &b->tree, n);
	if (memcmp(root, look->header.root, sizeof root) != 0)
		return ERR_CORRUPT;
	for (uint32_t i = 0; i < look->n; i++) {
		struct report_row *row = &b->rows[look->first + i];
		size_t len = tree_path(path, &b->tree, row->index);

		row->path.len = (uint32_t)(len * MERKLE_BYTES);
		row->path.data = keep(b, path, row->path.len);
		if (row->path.data == NULL)
			return ERR_NOMEM;
		look->bytes += row->path.len;
	}
	return 0;
}

static size_t
body_goal(const struct building *b)
{
	return b->asked->body_goal != 0 ? b->asked->body_goal
					: REPORT_BODY_GOAL;
}

static bool
has_room(const struct building *b, const struct looking *look)
{
	if (look->n == 0 && b->usage.n_pending == 0)
		return true;
	size_t bytes = b->bytes + (look->n > 0 ? look->bytes : 0) +
	    ((size_t)b->usage.n_hours + b->usage.n_pending) * HOUR_ROOM;

	return bytes <= body_goal(b) && b->n_batches < REPORT_BATCHES_MAX - 1 &&
	    report_usage_fits(&b->usage);
}

static int
take(struct building *b, struct looking *look)
{
	b->any = true;
	b->header = look->header;
	memcpy(b->head, look->head, sizeof b->head);
	if (b->from > look->header.time)
		b->from = look->header.time;
	buf_clear(&b->token);
	buf_add(&b->token, look->stored.header.data, look->stored.header.len);
	int err = b->token.failed ? ERR_NOMEM : report_usage_take(&b->usage);

	if (err != 0 || look->n == 0)
		return err;
	struct record_span header = look->stored.header;

	header.data = keep(b, header.data, header.len);
	if (header.data == NULL)
		return ERR_NOMEM;
	b->batches[b->n_batches] = (struct report_batch){
		.header = header,
		.rows = { &b->rows[look->first], look->n },
	};
	b->numbers[b->n_batches++] = look->header.batch;
	b->bytes += look->bytes;
	b->seats += look->seats;
	return 0;
}

/* ERR_TOO_LARGE: the report ends before it. */
static int
look_at_batch(struct building *b, uint64_t number, int64_t *begun)
{
	struct looking look;
	int err = read_stored(&look, b, number);

	if (err == 0 && !b->any)
		*begun = look.header.time;
	if (err == 0 && b->any && look.header.time - *begun > b->span_ms)
		err = ERR_TOO_LARGE;
	for (uint32_t i = 0; i < look.stored.rows.count && err == 0; i++)
		err = look_at_row(b, &look, i);
	if (err == 0 && look.n > 0)
		err = add_paths(b, &look);
	if (err == 0 && b->any && !has_room(b, &look))
		err = ERR_TOO_LARGE;
	if (err == 0)
		err = take(b, &look);
	if (err != 0)
		b->n_rows = look.first;
	return err;
}

/* --- the range ---------------------------------------------------------------- */

static uint64_t
first_batch(const struct report_asked *asked)
{
	if (asked->restarts)
		return asked->restart;
	return asked->previous.sequence == 0 ? 0 : asked->previous.batch + 1;
}

static int
look_at_range(struct building *b)
{
	const uint64_t first = first_batch(b->asked);
	int64_t begun = 0;
	int err = 0;

	if (first > b->asked->newest)
		return ERR_NOT_FOUND_INTERNAL;
	b->from = INT64_MAX;
	for (uint64_t at = first; at <= b->asked->newest && err == 0 &&
	     at - first < REPORT_RANGE_MAX;
	     at++)
		err = look_at_batch(b, at, &begun);
	/* What there was room for is a report. */
	return err == ERR_TOO_LARGE && b->any ? 0 : err;
}

/* The last batch closes the list, with or without rows; the heads of all others
 * have their paths to its history. */
static int
add_inclusions(struct building *b)
{
	const uint64_t last = b->header.batch;
	uint8_t path[MERKLE_PATH_MAX][MERKLE_BYTES];
	size_t len;

	if (b->n_batches == 0 || b->numbers[b->n_batches - 1] != last) {
		b->batches[b->n_batches] = (struct report_batch){
			.header = { b->token.data, (uint32_t)b->token.len },
		};
		b->numbers[b->n_batches++] = last;
	}
	for (uint32_t i = 0; i + 1 < b->n_batches; i++) {
		int err = merkle_source_path(path, &len, &b->source->history,
		    b->numbers[i], last);
		struct record_span *inclusion = &b->batches[i].inclusion;

		if (err != 0)
			return err;
		inclusion->len = (uint32_t)(len * MERKLE_BYTES);
		inclusion->data = keep(b, path, inclusion->len);
		if (inclusion->data == NULL)
			return ERR_NOMEM;
	}
	return 0;
}

static int
add_continuity(struct building *b, struct report_body *body)
{
	const struct report_asked *asked = b->asked;
	uint8_t path[MERKLE_PATH_MAX + 1][MERKLE_BYTES];
	size_t len;

	if (asked->restarts || asked->previous.sequence == 0)
		return 0;
	int err = merkle_source_path(path, &len, &b->source->history,
	    asked->previous.batch, b->header.batch);

	if (err != 0)
		return err;
	body->inclusion.len = (uint32_t)(len * MERKLE_BYTES);
	body->inclusion.data = keep(b, path, body->inclusion.len);
	err = merkle_source_consistency(path, &len, &b->source->history,
	    asked->previous.batch, b->header.batch);
	if (err != 0)
		return err;
	body->consistency.len = (uint32_t)(len * MERKLE_BYTES);
	body->consistency.data = keep(b, path, body->consistency.len);
	return body->inclusion.data != NULL && body->consistency.data != NULL
	    ? 0
	    : ERR_NOMEM;
}

/* --- what is told beside the rows ---------------------------------------------- */

static int
add_hour(void *sink, const struct report_hour *hour)
{
	struct building *b = sink;

	if (b->n_hours == REPORT_HOURS_MAX)
		return ERR_TOO_LARGE;
	if (!hour->metric)
		b->hours_bytes += SEATS_ROOM + strlen(hour->license) +
		    strlen(hour->feature) + hour->denied.count * DENIAL_ROOM;
	if (b->hours_bytes > body_goal(b) / 8 * 3)
		return ERR_TOO_LARGE;
	struct report_hour *kept = &b->hours[b->n_hours];

	*kept = *hour;
	if (hour->denied.count > 0) {
		kept->denied.items = keep(b, hour->denied.items,
		    hour->denied.count * sizeof(struct report_denial));
		if (kept->denied.items == NULL)
			return ERR_NOMEM;
	}
	b->n_hours++;
	return 0;
}

/* Seats are held while nothing is written: so what is told begins where the last
 * report ended, if that is not too long ago. */
static int64_t
hours_begin(const struct building *b)
{
	const struct report_mark *mark = &b->asked->previous;
	int64_t from = b->from;

	if (mark->sequence > 0 && mark->time < from)
		from = mark->time;
	if (from < b->header.time - b->span_ms - REPORT_HOUR_MS)
		from = b->header.time - b->span_ms - REPORT_HOUR_MS;
	return from > 0 ? report_hour_start(from) : 0;
}

static int
add_hours(struct building *b, struct report_body *body)
{
	int err = 0;

	if (b->source->hours == NULL && b->usage.n_hours == 0)
		return 0;
	b->hours = calloc(REPORT_HOURS_MAX, sizeof *b->hours);
	if (b->hours == NULL)
		return ERR_NOMEM;
	if (b->source->hours != NULL)
		err = b->source->hours(b->source->ctx, hours_begin(b),
		    b->header.time, add_hour, b);
	for (uint32_t i = 0; i < b->usage.n_hours && err == 0; i++)
		err = add_hour(b, &b->usage.hours[i]);
	if (err == 0 && b->n_hours > 1)
		qsort(b->hours, b->n_hours, sizeof *b->hours,
		    report_hour_compare);
	body->hours = (struct record_list){ b->hours, b->n_hours };
	return err;
}

static int
compare_numbers(const void *a, const void *b)
{
	uint64_t x, y;

	memcpy(&x, a, sizeof x);
	memcpy(&y, b, sizeof y);
	return (x > y) - (x < y);
}

static int
add_devices(struct building *b, struct report_body *body)
{
	uint32_t n = 0;

	if (b->source->pseudonym == NULL || b->n_rows == 0)
		return 0;
	qsort(b->devices, b->n_rows, sizeof *b->devices, compare_numbers);
	struct report_device *devices =
	    arena_alloc(&b->arena, b->n_rows * sizeof *devices);

	if (devices == NULL)
		return ERR_NOMEM;
	for (uint32_t i = 0; i < b->n_rows; i++) {
		if (b->devices[i] == 0 ||
		    (i > 0 && b->devices[i] == b->devices[i - 1]))
			continue;
		devices[n].device = b->devices[i];
		int err = b->source->pseudonym(b->source->ctx,
		    devices[n].pseudonym, devices[n].device);

		if (err != 0)
			return err;
		n++;
	}
	body->devices = (struct record_list){ devices, n };
	return 0;
}

/* --- the whole ------------------------------------------------------------------ */

static void
fill_report(struct report *out, struct report_mark *next,
    const struct building *b, const struct buf *body)
{
	const struct report_asked *asked = b->asked;
	const struct journal_header *header = &b->header;

	*out = (struct report){
		.sequence = asked->previous.sequence + 1,
		.previous = asked->previous,
		.first_batch = first_batch(asked),
		.last_batch = header->batch,
		.generation = header->generation,
		.time = header->time,
		.totals = header->totals,
		.rows = b->n_rows,
		.seats = b->seats,
		.proof = asked->proof,
		.measured = asked->measured,
		.people = asked->people,
		.body_bytes = (uint32_t)body->len,
	};
	text_copy(out->site, sizeof out->site, asked->site);
	text_copy(out->tenant, sizeof out->tenant, asked->tenant);
	text_copy(out->vendor, sizeof out->vendor, asked->vendor);
	text_copy(out->software, sizeof out->software, asked->software);
	memcpy(out->last_head, b->head, sizeof out->last_head);
	crypto_generichash(out->body_digest, sizeof out->body_digest,
	    body->data, body->len, NULL, 0);
	*next = report_mark_of(out->sequence, header, b->head);
}

int
report_subject(uint8_t out[32], const struct report *report)
{
	static const char purpose[] = "leasehold.v1.measured";
	crypto_hash_sha256_state state;
	struct report without = *report;
	struct buf bytes = { .data = NULL };

	memset(&without.measured.quote, 0, sizeof without.measured.quote);
	record_write_msgpack(&bytes, &report_record, &without);
	crypto_hash_sha256_init(&state);
	crypto_hash_sha256_update(&state, (const uint8_t *)purpose,
	    sizeof purpose);
	if (!bytes.failed)
		crypto_hash_sha256_update(&state, bytes.data, bytes.len);
	crypto_hash_sha256_final(&state, out);
	int err = bytes.failed ? ERR_NOMEM : 0;

	buf_release(&bytes);
	return err;
}

static int
add_quote(const struct building *b, struct report *report)
{
	uint8_t subject[32];
	struct quote quote;

	if (b->source->quote == NULL)
		return 0;
	int err = report_subject(subject, report);

	if (err == 0 && b->source->quote(b->source->ctx, &quote, subject) == 0)
		report->measured.quote = quote;
	return err;
}

static int
write_report(struct building *b, struct buf *token, struct buf *out,
    struct report *report, struct report_mark *next, const uint8_t secret[64])
{
	struct report_body body = { .batches.count = 0 };
	int err = add_inclusions(b);

	if (err == 0)
		err = add_continuity(b, &body);
	if (err == 0)
		err = add_hours(b, &body);
	if (err == 0)
		err = add_devices(b, &body);
	if (err == 0)
		err = report_named_list(&body.names, &b->named, b->n_rows,
		    b->source, &b->arena);
	if (err != 0)
		return err;
	body.batches = (struct record_list){ b->batches, b->n_batches };
	record_write_msgpack(out, &report_body_record, &body);
	if (out->failed)
		return ERR_NOMEM;
	if (out->len > REPORT_BODY_MAX)
		return ERR_TOO_LARGE;
	fill_report(report, next, b, out);
	err = add_quote(b, report);
	if (err != 0)
		return err;
	return license_document_sign(token, &report_record, report,
	    TOKEN_REPORT, secret);
}

static void
building_release(struct building *b)
{
	free(b->batches);
	free(b->numbers);
	free(b->rows);
	free(b->devices);
	free(b->hours);
	report_named_release(&b->named);
	report_usage_release(&b->usage);
	buf_release(&b->token);
	tree_release(&b->tree);
	arena_release(&b->arena);
	arena_release(&b->scratch);
}

static int
try_build(struct buf *token, struct buf *body, struct report *report,
    struct report_mark *next, struct building *b, const uint8_t secret[64])
{
	b->batches = calloc(REPORT_BATCHES_MAX, sizeof *b->batches);
	b->numbers = calloc(REPORT_BATCHES_MAX, sizeof *b->numbers);
	b->rows = calloc(REPORT_ROWS_MAX, sizeof *b->rows);
	b->devices = calloc(REPORT_ROWS_MAX, sizeof *b->devices);
	if (b->batches == NULL || b->numbers == NULL || b->rows == NULL ||
	    b->devices == NULL)
		return ERR_NOMEM;
	int err = report_named_begin(&b->named, b->source);

	if (err == 0)
		err = look_at_range(b);
	return err == 0 ? write_report(b, token, body, report, next, secret)
			: err;
}

/* What does not fit is told in shorter spans. */
static int
build_in_spans(struct buf *token, struct buf *body, struct report *report,
    struct report_mark *next, const struct report_source *source,
    const struct report_asked *asked, int64_t shortest,
    const uint8_t secret[64])
{
	int64_t span = REPORT_SPAN_MS;
	int err;

	do {
		struct building b = {
			.source = source,
			.asked = asked,
			.span_ms = span,
			.usage = { .source = source, .vendor = asked->vendor },
		};

		buf_clear(token);
		buf_clear(body);
		err = try_build(token, body, report, next, &b, secret);
		building_release(&b);
		span /= 2;
	} while (err == ERR_TOO_LARGE && span > shortest);
	return err;
}

int
report_build(struct buf *token, struct buf *body, struct report *report,
    struct report_mark *next, const struct report_source *source,
    const struct report_asked *asked, const uint8_t site_secret[64])
{
	struct report_source without = *source;
	int err = ERR_TOO_LARGE;

	if (source->hours != NULL)
		err = build_in_spans(token, body, report, next, source, asked,
		    REPORT_HOUR_MS, site_secret);
	/* No money is in hours of seats: what has no room for them goes. */
	without.hours = NULL;
	return err == ERR_TOO_LARGE ? build_in_spans(token, body, report, next,
					  &without, asked, 0, site_secret)
				    : err;
}

void
report_pseudonym(uint8_t out[16], const uint8_t tenant_key[32],
    const char *vendor, uint64_t device)
{
	static const char purpose[] = "leasehold.v1.pseudonym";
	crypto_generichash_state state;
	uint8_t number[8], len[2];

	be64_write(number, device);
	be16_write(len, (uint16_t)strlen(vendor));
	crypto_generichash_init(&state, tenant_key, 32, 16);
	crypto_generichash_update(&state, (const uint8_t *)purpose,
	    sizeof purpose);
	crypto_generichash_update(&state, len, sizeof len);
	crypto_generichash_update(&state, (const uint8_t *)vendor,
	    strlen(vendor));
	crypto_generichash_update(&state, number, sizeof number);
	crypto_generichash_final(&state, out, 16);
	sodium_memzero(&state, sizeof state);
}
