/* Is a report what the site's journal says, and does it continue what was taken
 * before? See report.h. Checks go from the outside in: whose it is, whether it is
 * whole, where it begins, then batch by batch. Within this file a function
 * returns 0, REFUSED (the finding says why) or a fault. */
#include "shared/report/inside.h"

#include "shared/base/err.h"
#include "shared/base/text.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define REFUSED 1
/** Licenses that one report shows overage of. */
#define LICENSES_MAX 1024

/* How far the overage numbers of a license are. */
struct counting {
	uint64_t license;
	uint64_t last;
	uint32_t generation; /* of its row */
};

struct verifying {
	const struct report_known *known;
	struct report_finding *out;
	struct arena *arena;
	const struct report *report;
	struct report_body body;
	struct journal_header last;
	uint8_t last_head[32];
	bool corrected; /* the clock went back within */
	struct report_editions editions; /* of those it shows */
	struct counting *licenses;
	uint32_t n_licenses;
	uint32_t n_rows;
	uint64_t shown; /* overage seats, `again` included */
	uint32_t rows_max;
};

static int refuse(struct report_finding *out, enum report_answer answer,
    const char *format, ...) __attribute__((format(printf, 3, 4)));

static int
refuse(struct report_finding *out, enum report_answer answer,
    const char *format, ...)
{
	va_list args;

	out->answer = answer;
	va_start(args, format);
	vsnprintf(out->reason, sizeof out->reason, format, args);
	va_end(args);
	return REFUSED;
}

/* --- whose it is, and is it whole ------------------------------------------------ */

static int
check_signature(struct verifying *v, const char *token, size_t len)
{
	struct report_finding *out = v->out;
	struct record_error error;
	struct report read;

	if (len > REPORT_TOKEN_MAX)
		return refuse(out, REPORT_MALFORMED,
		    "the report is longer than one can be");
	int err = license_document_read(&read, &report_record, TOKEN_REPORT,
	    token, len, site_keys_last(&v->known->keys), v->arena, &error);

	if (err == 0) {
		out->report = read;
		return 0;
	}
	if (err == ERR_NOMEM)
		return err;
	/* For words only. */
	if (report_peek(&out->report, token, len) != 0)
		memset(&out->report, 0, sizeof out->report);
	const uint8_t *key = site_keys_of(&v->known->keys, token, len);

	if (err == ERR_UNTRUSTED && key != site_keys_last(&v->known->keys) &&
	    license_document_read(&read, &report_record, TOKEN_REPORT, token,
		len, key, v->arena, &error) == 0)
		return refuse(out, REPORT_FORK,
		    "it is of the box of site %s whose key was retired when "
		    "the site went on in another one",
		    v->known->site);
	if (err == ERR_UNTRUSTED)
		return refuse(out, REPORT_FORGED,
		    "it is not signed by the key of site %s", v->known->site);
	if (err == ERR_BAD_REQUEST)
		return refuse(out, REPORT_MALFORMED,
		    "it is signed, and no report");
	return refuse(out, REPORT_ALTERED,
	    "its signature does not hold: it was altered on its way");
}

static int
check_parties(struct verifying *v)
{
	const struct report *report = v->report;

	if (strcmp(report->site, v->known->site) != 0)
		return refuse(v->out, REPORT_WRONG_SITE,
		    "it is of site %s, not of %s", report->site,
		    v->known->site);
	if (strcmp(report->tenant, v->known->tenant) != 0)
		return refuse(v->out, REPORT_WRONG_SITE,
		    "it is of tenant %s, not of %s", report->tenant,
		    v->known->tenant);
	if (strcmp(report->vendor, v->known->vendor) != 0)
		return refuse(v->out, REPORT_WRONG_VENDOR,
		    "it is for vendor %s, not for %s", report->vendor,
		    v->known->vendor);
	return 0;
}

static int
check_body(struct verifying *v, const uint8_t *body, size_t len)
{
	const struct report *report = v->report;
	uint8_t digest[32];

	if (len < report->body_bytes)
		return refuse(v->out, REPORT_TRUNCATED,
		    "%zu of its %" PRIu32 " bytes are here", len,
		    report->body_bytes);
	crypto_generichash(digest, sizeof digest, body, len, NULL, 0);
	if (len != report->body_bytes ||
	    memcmp(digest, report->body_digest, sizeof digest) != 0)
		return refuse(v->out, REPORT_ALTERED,
		    "what it shows is not what was signed");
	int err = record_read_msgpack(&v->body, &report_body_record, body, len,
	    NULL, v->arena, NULL);

	if (err == ERR_NOMEM)
		return err;
	return err == 0
	    ? 0
	    : refuse(v->out, REPORT_MALFORMED, "what it shows cannot be read");
}

/* It tells of people what it says that it tells, and no more. */
static int
check_people(struct verifying *v)
{
	const struct report *report = v->report;

	if ((report->people == REPORT_NOBODY && v->body.devices.count > 0) ||
	    (report->people != REPORT_CLEAR && v->body.names.count > 0))
		return refuse(v->out, REPORT_MALFORMED,
		    "it says to tell %s of people, and tells more",
		    report_people_names[report->people]);
	return 0;
}

/* --- where it begins -------------------------------------------------------------- */

static bool
marks_match(const struct report_mark *a, const struct report_mark *b)
{
	return a->sequence == b->sequence && a->batch == b->batch &&
	    a->generation == b->generation &&
	    memcmp(a->head, b->head, sizeof a->head) == 0;
}

static int
check_sequence(struct verifying *v)
{
	const struct report *report = v->report;
	const struct report_mark *mark = &v->known->mark;

	if (report->sequence != report->previous.sequence + 1)
		return refuse(v->out, REPORT_MALFORMED,
		    "it is number %" PRIu64 " and follows number %" PRIu64,
		    report->sequence, report->previous.sequence);
	if (report->last_batch == mark->batch &&
	    report->generation == mark->generation && mark->sequence > 0 &&
	    memcmp(report->last_head, mark->head, 32) != 0)
		return refuse(v->out, REPORT_FORK,
		    "batch %" PRIu64 " is another one than was reported before",
		    mark->batch);
	if (report->sequence <= mark->sequence)
		return refuse(v->out, REPORT_REPLAYED,
		    "report %" PRIu64
		    " was taken before; the last one is %" PRIu64,
		    report->sequence, mark->sequence);
	if (report->previous.sequence > mark->sequence)
		return refuse(v->out, REPORT_GAP,
		    "it is number %" PRIu64 ", and number %" PRIu64
		    " is not here yet",
		    report->sequence, mark->sequence + 1);
	if (!marks_match(&report->previous, mark)) {
		if (mark->sequence > 0 &&
		    report->previous.batch == mark->batch &&
		    report->previous.generation == mark->generation)
			return refuse(v->out, REPORT_FORK,
			    "batch %" PRIu64 " is another one than was "
			    "reported before",
			    mark->batch);
		return refuse(v->out, REPORT_GAP,
		    "it follows batch %" PRIu64 ", and batch %" PRIu64
		    " was the last one taken",
		    report->previous.batch, mark->batch);
	}
	return 0;
}

static int
check_range(struct verifying *v)
{
	const struct report *report = v->report;
	const struct report_mark *mark = &v->known->mark;
	const uint64_t next = mark->sequence == 0 ? 0 : mark->batch + 1;

	if (report->last_batch < report->first_batch)
		return refuse(v->out, REPORT_MALFORMED,
		    "its last batch is before its first one");
	v->out->restarted = mark->sequence > 0 &&
	    report->generation > mark->generation &&
	    v->body.inclusion.len == 0 && v->body.consistency.len == 0;
	if (v->out->restarted) {
		if (report->first_batch > next)
			return refuse(v->out, REPORT_GAP,
			    "it begins with batch %" PRIu64 " of a later "
			    "generation, behind batch %" PRIu64,
			    report->first_batch, next);
		return 0;
	}
	if (report->generation < mark->generation)
		return refuse(v->out, REPORT_FORK,
		    "its journal is of generation %" PRIu32 "; %" PRIu32
		    " was reported before",
		    report->generation, mark->generation);
	if (report->first_batch != next)
		return refuse(v->out, REPORT_GAP,
		    "it begins with batch %" PRIu64 ", and batch %" PRIu64
		    " is next",
		    report->first_batch, next);
	return 0;
}

/* The header that closes the range, and that it continues the mark. */
static int
check_last(struct verifying *v)
{
	const struct report *report = v->report;
	const struct report_batch *batches = v->body.batches.items;

	if (batches == NULL || v->body.batches.count == 0)
		return refuse(v->out, REPORT_MALFORMED, "it shows no batch");
	const struct report_batch *last = &batches[v->body.batches.count - 1];
	int err = journal_header_verify(&v->last, v->last_head,
	    last->header.data, last->header.len,
	    site_keys_of(&v->known->keys, (const char *)last->header.data,
		last->header.len));

	if (err == ERR_NOMEM)
		return err;
	if (err == ERR_UNTRUSTED)
		return refuse(v->out, REPORT_FORGED,
		    "its last batch is not signed by the site");
	if (err != 0)
		return refuse(v->out, REPORT_ALTERED,
		    "the signature of its last batch does not hold");
	if (v->last.batch != report->last_batch ||
	    memcmp(v->last_head, report->last_head, 32) != 0 ||
	    v->last.generation != report->generation ||
	    v->last.time != report->time ||
	    memcmp(&v->last.totals, &report->totals, sizeof report->totals) !=
		0 ||
	    strcmp(v->last.site, report->site) != 0 ||
	    strcmp(v->last.tenant, report->tenant) != 0)
		return refuse(v->out, REPORT_MALFORMED,
		    "its last batch is not the one that it names");
	return 0;
}

static int
check_continuity(struct verifying *v)
{
	const struct report_mark *mark = &v->known->mark;
	uint8_t leaf[32];

	if (mark->sequence == 0 || v->out->restarted)
		return 0;
	journal_head_leaf(leaf, mark->head);
	if (merkle_verify_path(&merkle_blake2b, v->last.history, leaf,
		mark->batch, v->last.batch, v->body.inclusion.data,
		v->body.inclusion.len / MERKLE_BYTES) != 0 ||
	    v->body.inclusion.len % MERKLE_BYTES != 0)
		return refuse(v->out, REPORT_FORK,
		    "its journal does not hold batch %" PRIu64
		    " as it was reported before",
		    mark->batch);
	if (v->body.consistency.len % MERKLE_BYTES != 0 ||
	    merkle_verify_consistency(&merkle_blake2b, mark->batch,
		mark->history, v->last.batch, v->last.history,
		v->body.consistency.data,
		v->body.consistency.len / MERKLE_BYTES) != 0)
		return refuse(v->out, REPORT_FORK,
		    "its journal does not continue the one that was reported "
		    "before");
	if (v->last.totals.overage < mark->overage)
		return refuse(v->out, REPORT_FORK,
		    "its running totals went back");
	return 0;
}

/* --- batches and rows --------------------------------------------------------------- */

static int
check_header(struct verifying *v, struct journal_header *header,
    const struct report_batch *batch, const struct journal_header *before)
{
	uint8_t head[32], leaf[32];
	int err = journal_header_verify(header, head, batch->header.data,
	    batch->header.len,
	    site_keys_of(&v->known->keys, (const char *)batch->header.data,
		batch->header.len));

	if (err == ERR_NOMEM)
		return err;
	if (err != 0)
		return refuse(v->out,
		    err == ERR_UNTRUSTED ? REPORT_FORGED : REPORT_ALTERED,
		    "a batch that it shows is not signed by the site");
	if (header->batch < v->report->first_batch ||
	    header->batch > v->report->last_batch ||
	    (before != NULL && header->batch <= before->batch) ||
	    header->generation > v->last.generation ||
	    (before != NULL && header->generation < before->generation) ||
	    strcmp(header->site, v->last.site) != 0 ||
	    strcmp(header->tenant, v->last.tenant) != 0)
		return refuse(v->out, REPORT_MALFORMED,
		    "batch %" PRIu64 " has no place in it", header->batch);
	if (header->batch == v->last.batch)
		return memcmp(head, v->last_head, 32) == 0 &&
			batch->inclusion.len == 0
		    ? 0
		    : refuse(v->out, REPORT_MALFORMED,
			  "its last batch is there twice");
	journal_head_leaf(leaf, head);
	if (batch->inclusion.len % MERKLE_BYTES != 0 ||
	    merkle_verify_path(&merkle_blake2b, v->last.history, leaf,
		header->batch, v->last.batch, batch->inclusion.data,
		batch->inclusion.len / MERKLE_BYTES) != 0)
		return refuse(v->out, REPORT_FORK,
		    "batch %" PRIu64 " is not of the journal that it ends with",
		    header->batch);
	return 0;
}

static int
find_counting(struct counting **out, struct verifying *v, uint64_t license)
{
	for (uint32_t i = 0; i < v->n_licenses; i++)
		if (v->licenses[i].license == license) {
			*out = &v->licenses[i];
			return 0;
		}
	if (v->n_licenses == LICENSES_MAX)
		return refuse(v->out, REPORT_MALFORMED,
		    "it shows more than %d licenses", LICENSES_MAX);
	struct counting *new = &v->licenses[v->n_licenses++];

	*out = new;
	new->license = license;
	return v->known->overage == NULL
	    ? 0
	    : v->known->overage(v->known->ctx, &new->last, &new->generation,
		  license);
}

/* Numbers go on where they ended. In a journal that was put back they may go on
 * from what it was put back to. */
static int
check_numbers(struct verifying *v, const struct report_overage *shown)
{
	struct counting *license = NULL;
	int err = find_counting(&license, v, shown->license);

	if (err != 0)
		return err;
	bool follows = shown->first == license->last + 1 ||
	    (shown->generation > license->generation &&
		shown->first <= license->last + 1);

	if (!follows)
		return refuse(v->out, REPORT_HOLE,
		    "row %" PRIu64 ": overage checkout %" PRIu64
		    " of license %.63s follows number %" PRIu64,
		    shown->row, shown->first, shown->license_id, license->last);
	license->last = shown->first + shown->count - 1;
	license->generation = shown->generation;
	return 0;
}

/* The edition that the row was granted under: shown here, or before. */
static int
find_installed(struct report_installed *out, struct verifying *v,
    uint64_t license, const uint8_t digest[32])
{
	const struct report_installed *shown =
	    report_editions_find(&v->editions, license, digest);

	if (shown != NULL) {
		*out = *shown;
		return 0;
	}
	return v->known->installed == NULL
	    ? ERR_NOT_FOUND_INTERNAL
	    : v->known->installed(v->known->ctx, out, license, digest);
}

static int
see_overage(struct verifying *v, const struct journal_header *header,
    const struct report_row *row, const struct report_seats *seats,
    uint64_t number)
{
	struct report_overage *shown = &v->out->overage[v->out->n_overage];
	const uint8_t *digest = seats->digest;
	struct report_installed installed;

	if (sodium_is_zero(digest, 32))
		digest = row->digest;
	*shown = (struct report_overage){
		.license = seats->license,
		.lease = seats->lease,
		.device = seats->device,
		.generation = header->generation,
		.batch = header->batch,
		.row = number,
		.time = header->time,
		.first = seats->first,
		.count = seats->count,
	};
	memcpy(shown->digest, digest, sizeof shown->digest);
	text_copy(shown->feature, sizeof shown->feature,
	    digest == row->digest ? row->feature : seats->feature);
	int err = find_installed(&installed, v, seats->license, digest);

	if (err == ERR_NOT_FOUND_INTERNAL)
		return refuse(v->out, REPORT_HOLE,
		    "row %" PRIu64 " was granted under a license that was "
		    "never shown",
		    number);
	if (err != 0)
		return err;
	shown->serial = installed.serial;
	text_copy(shown->license_id, sizeof shown->license_id,
	    installed.license_id);
	if (seats->origin != NULL) {
		shown->origin_generation = seats->origin->generation;
		shown->origin_row = seats->origin->row_number;
		if (v->known->counted != NULL)
			err = v->known->counted(v->known->ctx, &shown->again,
			    shown->origin_generation, shown->origin_row);
	}
	if (err == 0)
		err = check_numbers(v, shown);
	if (err != 0)
		return err;
	v->out->n_overage++;
	v->shown += shown->count;
	v->out->seats += shown->again ? 0 : shown->count;
	return 0;
}

static int
see_installed(struct verifying *v, const struct journal_header *header,
    const struct row *row)
{
	const struct row_license_installed *r = &row->u.license_installed;

	if (strcmp(r->document.vendor.id, v->report->vendor) != 0)
		return refuse(v->out, REPORT_MALFORMED,
		    "it shows a license of vendor %s", r->document.vendor.id);
	struct report_installed *shown =
	    &v->out->installed[v->out->n_installed++];

	shown->license = r->license;
	shown->serial = r->document.serial;
	shown->batch = header->batch;
	shown->row = row->number;
	shown->issuer = r->issuer_token;
	shown->token = r->license_token;
	memcpy(shown->digest, r->digest, sizeof shown->digest);
	text_copy(shown->license_id, sizeof shown->license_id,
	    r->document.license_id);
	report_editions_add(&v->editions, v->out->n_installed - 1);
	return 0;
}

static int
see_row(struct verifying *v, const struct journal_header *header,
    const struct report_row *shown)
{
	const uint64_t number = header->first_row + shown->index;
	struct report_seats seats;
	struct row row;

	if (shown->path.len % MERKLE_BYTES != 0 ||
	    journal_row_verify(header, number, shown->bytes.data,
		shown->bytes.len, shown->path.data,
		shown->path.len / MERKLE_BYTES) != 0)
		return refuse(v->out, REPORT_ALTERED,
		    "row %" PRIu64 " is not in the batch that it is shown in",
		    number);
	v->n_rows++;
	if (!report_may_show(shown->bytes.data, shown->bytes.len))
		return refuse(v->out, REPORT_MALFORMED,
		    "row %" PRIu64 " is of a kind that reports do not show",
		    number);
	int err = row_read(&row, number, shown->bytes.data, shown->bytes.len,
	    v->arena);

	if (err == 0)
		err = report_seats_of(&seats, &row, v->arena);
	if (err == ERR_NOMEM)
		return err;
	if (err != 0)
		return refuse(v->out, REPORT_MALFORMED,
		    "row %" PRIu64 " cannot be read", number);
	if (row.kind == ROW_LICENSE_INSTALLED)
		return see_installed(v, header, &row);
	if (row.kind == ROW_CLOCK) {
		v->corrected = true;
		return 0;
	}
	if (row.kind == ROW_GENERATION) {
		v->out->rollbacks[v->out->n_rollbacks++] =
		    (struct report_rollback){ row.u.generation, header->batch,
			    header->first_row, header->time };
		return 0;
	}
	return seats.count == 0
	    ? refuse(v->out, REPORT_MALFORMED,
		  "row %" PRIu64 " has nothing that counts", number)
	    : see_overage(v, header, shown, &seats, number);
}

static int
see_batch(struct verifying *v, struct journal_header *header,
    const struct report_batch *batch, const struct journal_header *before)
{
	const struct report_row *rows = batch->rows.items;
	int err = check_header(v, header, batch, before);

	for (uint32_t i = 0; i < batch->rows.count && err == 0; i++) {
		if (i > 0 && rows[i].index <= rows[i - 1].index)
			return refuse(v->out, REPORT_MALFORMED,
			    "batch %" PRIu64 " shows a row twice",
			    header->batch);
		err = see_row(v, header, &rows[i]);
	}
	return err;
}

static int
make_lists(struct verifying *v)
{
	const struct report_batch *batches = v->body.batches.items;
	uint64_t rows = 1; /* no list is empty memory */

	for (uint32_t i = 0; i < v->body.batches.count; i++)
		rows += batches[i].rows.count;
	if (rows > REPORT_ROWS_MAX + 1)
		return refuse(v->out, REPORT_MALFORMED,
		    "it shows more than %d rows", REPORT_ROWS_MAX);
	v->out->overage = arena_alloc(v->arena, rows * sizeof *v->out->overage);
	v->out->installed =
	    arena_alloc(v->arena, rows * sizeof *v->out->installed);
	v->out->rollbacks =
	    arena_alloc(v->arena, rows * sizeof *v->out->rollbacks);
	v->licenses = arena_alloc(v->arena, LICENSES_MAX * sizeof *v->licenses);
	return v->out->overage == NULL || v->out->installed == NULL ||
		v->out->rollbacks == NULL || v->licenses == NULL
	    ? ERR_NOMEM
	    : report_editions_begin(&v->editions, v->out->installed,
		  (uint32_t)rows, v->report->body_digest, v->arena);
}

static int
check_batches(struct verifying *v)
{
	const struct report_batch *batches = v->body.batches.items;
	struct journal_header headers[2];
	const struct journal_header *before = NULL;
	int err = make_lists(v);

	for (uint32_t i = 0; i < v->body.batches.count && err == 0; i++) {
		struct journal_header *header = &headers[i % 2];

		err = see_batch(v, header, &batches[i], before);
		before = header;
		if (err != 0 || i > 0 || !v->out->restarted)
			continue;
		if (v->out->n_rollbacks == 0 ||
		    header->batch != v->report->first_batch ||
		    header->generation <= v->known->mark.generation)
			return refuse(v->out, REPORT_FORK,
			    "its journal is another one, and no row of it says "
			    "that it was put back");
	}
	return err;
}

/* --- what follows -------------------------------------------------------------------- */

static int
check_totals(struct verifying *v)
{
	const struct report *report = v->report;
	const struct report_mark *mark = &v->known->mark;

	if (report->rows != v->n_rows || report->seats != v->shown)
		return refuse(v->out, REPORT_MALFORMED,
		    "it names %" PRIu64 " overage seats and shows %" PRIu64,
		    report->seats, v->shown);
	if (v->out->restarted)
		return 0;
	uint64_t passed = v->last.totals.overage - mark->overage;

	if (passed < v->shown)
		return refuse(v->out, REPORT_MALFORMED,
		    "the running totals count %" PRIu64
		    " overage seats, and %" PRIu64 " are shown",
		    passed, v->shown);
	v->out->others = passed - v->shown;
	return 0;
}

/* Of the rows of this range alone, which are no older than the mark. */
static int
check_metric(struct verifying *v, const struct report_hour *hour)
{
	const bool anew =
	    v->known->mark.sequence == 0 || v->corrected || v->out->restarted;
	const uint64_t seats = hour->checkouts | hour->seats | hour->borrows |
	    hour->peak | hour->seat_ms | hour->borrow_ms | hour->denials |
	    hour->denied.count;
	const bool edition = hour->feature[0] == '\0';

	if (seats != 0 || hour->max > hour->sum || hour->last > hour->max ||
	    edition != (hour->events == 0) || (edition && hour->sum != 0))
		return refuse(v->out, REPORT_MALFORMED,
		    "an hour of metric %s of license %s contradicts itself",
		    hour->feature, hour->license);
	if (!anew && hour->start < report_hour_start(v->known->mark.time))
		return refuse(v->out, REPORT_MALFORMED,
		    "an hour of metric %s of license %s is before what was "
		    "taken",
		    hour->feature, hour->license);
	return 0;
}

static int
check_hour(struct verifying *v, const struct report_hour *hour)
{
	const int64_t last = report_hour_start(v->report->time);

	if (hour->start % REPORT_HOUR_MS != 0 ||
	    (hour->start > last && !v->corrected))
		return refuse(v->out, REPORT_MALFORMED,
		    "an hour of license %s has no place in it", hour->license);
	return hour->metric ? check_metric(v, hour) : 0;
}

static int
check_hours(struct verifying *v)
{
	const struct report_hour *hours = v->body.hours.items;

	for (uint32_t i = 0; i < v->body.hours.count; i++) {
		if (i > 0 && report_hour_compare(&hours[i - 1], &hours[i]) >= 0)
			return refuse(v->out, REPORT_MALFORMED,
			    "an hour of license %s is there twice",
			    hours[i].license);
		int err = check_hour(v, &hours[i]);

		if (err != 0)
			return err;
	}
	return 0;
}

static int
verify_all(struct verifying *v, const char *token, size_t token_len,
    const uint8_t *body, size_t body_len)
{
	int err = check_signature(v, token, token_len);

	if (err == 0)
		err = check_parties(v);
	if (err == 0)
		err = check_sequence(v);
	if (err == 0)
		err = check_body(v, body, body_len);
	if (err == 0)
		err = check_people(v);
	if (err == 0)
		err = check_range(v);
	if (err == 0)
		err = check_last(v);
	if (err == 0)
		err = check_continuity(v);
	if (err == 0)
		err = check_batches(v);
	if (err == 0)
		err = check_totals(v);
	return err == 0 ? check_hours(v) : err;
}

int
report_verify(struct report_finding *out, const struct report_known *known,
    const char *token, size_t token_len, const uint8_t *body, size_t body_len,
    struct arena *arena)
{
	struct verifying v = {
		.known = known,
		.out = out,
		.arena = arena,
		.report = &out->report,
	};

	memset(out, 0, sizeof *out);
	out->mark = known->mark;
	int err = verify_all(&v, token, token_len, body, body_len);

	if (err != 0) {
		/* Nothing of what was refused is handed on. */
		out->n_overage = out->n_installed = out->n_rollbacks = 0;
		out->seats = out->others = 0;
		return err == REFUSED ? 0 : err;
	}
	out->mark = report_mark_of(out->report.sequence, &v.last, v.last_head);
	out->hours = v.body.hours.items;
	out->n_hours = v.body.hours.count;
	out->devices = v.body.devices.items;
	out->n_devices = v.body.devices.count;
	out->names = v.body.names.items;
	out->n_names = v.body.names.count;
	return 0;
}
