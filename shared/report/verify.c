/* Is a report what the site's journal says, and does it continue what was taken
 * before? See report.h. Checks go from the outside in: whose it is, whether it is
 * whole, where it begins, then batch by batch (verify_rows.c), then what follows
 * from them. */
#include "shared/report/verify.h"

#include "shared/base/err.h"
#include "shared/base/text.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int
report_refuse(struct report_finding *out, enum report_answer answer,
    const char *format, ...)
{
	va_list args;

	out->answer = answer;
	va_start(args, format);
	vsnprintf(out->reason, sizeof out->reason, format, args);
	va_end(args);
	return REPORT_REFUSED;
}

/* --- whose it is, and is it whole ------------------------------------------------ */

static int
check_signature(struct verifying *v, const char *token, size_t len)
{
	struct report_finding *out = v->out;
	struct record_error error;
	struct report read;

	if (len > REPORT_TOKEN_MAX)
		return report_refuse(out, REPORT_MALFORMED,
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
		return report_refuse(out, REPORT_FORK,
		    "it is of the box of site %s whose key was retired when "
		    "the site went on in another one",
		    v->known->site);
	if (err == ERR_UNTRUSTED)
		return report_refuse(out, REPORT_FORGED,
		    "it is not signed by the key of site %s", v->known->site);
	if (err == ERR_BAD_REQUEST)
		return report_refuse(out, REPORT_MALFORMED,
		    "it is signed, and no report");
	return report_refuse(out, REPORT_ALTERED,
	    "its signature does not hold: it was altered on its way");
}

static int
check_parties(struct verifying *v)
{
	const struct report *report = v->report;

	if (strcmp(report->site, v->known->site) != 0)
		return report_refuse(v->out, REPORT_WRONG_SITE,
		    "it is of site %s, not of %s", report->site,
		    v->known->site);
	if (strcmp(report->tenant, v->known->tenant) != 0)
		return report_refuse(v->out, REPORT_WRONG_SITE,
		    "it is of tenant %s, not of %s", report->tenant,
		    v->known->tenant);
	if (strcmp(report->vendor, v->known->vendor) != 0)
		return report_refuse(v->out, REPORT_WRONG_VENDOR,
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
		return report_refuse(v->out, REPORT_TRUNCATED,
		    "%zu of its %" PRIu32 " bytes are here", len,
		    report->body_bytes);
	crypto_generichash(digest, sizeof digest, body, len, NULL, 0);
	if (len != report->body_bytes ||
	    memcmp(digest, report->body_digest, sizeof digest) != 0)
		return report_refuse(v->out, REPORT_ALTERED,
		    "what it shows is not what was signed");
	int err = record_read_msgpack(&v->body, &report_body_record, body, len,
	    NULL, v->arena, NULL);

	if (err == ERR_NOMEM)
		return err;
	return err == 0 ? 0
			: report_refuse(v->out, REPORT_MALFORMED,
			      "what it shows cannot be read");
}

/* It tells of people what it says that it tells, and no more. */
static int
check_people(struct verifying *v)
{
	const struct report *report = v->report;

	if ((report->people == REPORT_NOBODY && v->body.devices.count > 0) ||
	    (report->people != REPORT_CLEAR && v->body.names.count > 0))
		return report_refuse(v->out, REPORT_MALFORMED,
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
		return report_refuse(v->out, REPORT_MALFORMED,
		    "it is number %" PRIu64 " and follows number %" PRIu64,
		    report->sequence, report->previous.sequence);
	if (report->last_batch == mark->batch &&
	    report->generation == mark->generation && mark->sequence > 0 &&
	    memcmp(report->last_head, mark->head, 32) != 0)
		return report_refuse(v->out, REPORT_FORK,
		    "batch %" PRIu64 " is another one than was reported before",
		    mark->batch);
	if (report->sequence <= mark->sequence)
		return report_refuse(v->out, REPORT_REPLAYED,
		    "report %" PRIu64
		    " was taken before; the last one is %" PRIu64,
		    report->sequence, mark->sequence);
	if (report->previous.sequence > mark->sequence)
		return report_refuse(v->out, REPORT_GAP,
		    "it is number %" PRIu64 ", and number %" PRIu64
		    " is not here yet",
		    report->sequence, mark->sequence + 1);
	if (!marks_match(&report->previous, mark)) {
		if (mark->sequence > 0 &&
		    report->previous.batch == mark->batch &&
		    report->previous.generation == mark->generation)
			return report_refuse(v->out, REPORT_FORK,
			    "batch %" PRIu64 " is another one than was "
			    "reported before",
			    mark->batch);
		return report_refuse(v->out, REPORT_GAP,
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
		return report_refuse(v->out, REPORT_MALFORMED,
		    "its last batch is before its first one");
	v->out->restarted = mark->sequence > 0 &&
	    report->generation > mark->generation &&
	    v->body.inclusion.len == 0 && v->body.consistency.len == 0;
	if (v->out->restarted) {
		if (report->first_batch > next)
			return report_refuse(v->out, REPORT_GAP,
			    "it begins with batch %" PRIu64 " of a later "
			    "generation, behind batch %" PRIu64,
			    report->first_batch, next);
		return 0;
	}
	if (report->generation < mark->generation)
		return report_refuse(v->out, REPORT_FORK,
		    "its journal is of generation %" PRIu32 "; %" PRIu32
		    " was reported before",
		    report->generation, mark->generation);
	if (report->first_batch != next)
		return report_refuse(v->out, REPORT_GAP,
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
		return report_refuse(v->out, REPORT_MALFORMED,
		    "it shows no batch");
	const struct report_batch *last = &batches[v->body.batches.count - 1];
	int err = journal_header_verify(&v->last, v->last_head,
	    last->header.data, last->header.len,
	    site_keys_of(&v->known->keys, (const char *)last->header.data,
		last->header.len));

	if (err == ERR_NOMEM)
		return err;
	if (err == ERR_UNTRUSTED)
		return report_refuse(v->out, REPORT_FORGED,
		    "its last batch is not signed by the site");
	if (err != 0)
		return report_refuse(v->out, REPORT_ALTERED,
		    "the signature of its last batch does not hold");
	if (v->last.batch != report->last_batch ||
	    memcmp(v->last_head, report->last_head, 32) != 0 ||
	    v->last.generation != report->generation ||
	    v->last.time != report->time ||
	    memcmp(&v->last.totals, &report->totals, sizeof report->totals) !=
		0 ||
	    strcmp(v->last.site, report->site) != 0 ||
	    strcmp(v->last.tenant, report->tenant) != 0)
		return report_refuse(v->out, REPORT_MALFORMED,
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
		return report_refuse(v->out, REPORT_FORK,
		    "its journal does not hold batch %" PRIu64
		    " as it was reported before",
		    mark->batch);
	if (v->body.consistency.len % MERKLE_BYTES != 0 ||
	    merkle_verify_consistency(&merkle_blake2b, mark->batch,
		mark->history, v->last.batch, v->last.history,
		v->body.consistency.data,
		v->body.consistency.len / MERKLE_BYTES) != 0)
		return report_refuse(v->out, REPORT_FORK,
		    "its journal does not continue the one that was reported "
		    "before");
	if (v->last.totals.overage < mark->overage)
		return report_refuse(v->out, REPORT_FORK,
		    "its running totals went back");
	return 0;
}
/* --- what follows -------------------------------------------------------------------- */

static int
check_totals(struct verifying *v)
{
	const struct report *report = v->report;
	const struct report_mark *mark = &v->known->mark;

	if (report->rows != v->n_rows || report->seats != v->shown)
		return report_refuse(v->out, REPORT_MALFORMED,
		    "it names %" PRIu64 " overage seats and shows %" PRIu64,
		    report->seats, v->shown);
	if (v->out->restarted)
		return 0;
	uint64_t passed = v->last.totals.overage - mark->overage;

	if (passed < v->shown)
		return report_refuse(v->out, REPORT_MALFORMED,
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
		return report_refuse(v->out, REPORT_MALFORMED,
		    "an hour of metric %s of license %s contradicts itself",
		    hour->feature, hour->license);
	if (!anew && hour->start < report_hour_start(v->known->mark.time))
		return report_refuse(v->out, REPORT_MALFORMED,
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
		return report_refuse(v->out, REPORT_MALFORMED,
		    "an hour of license %s has no place in it", hour->license);
	return hour->metric ? check_metric(v, hour) : 0;
}

static int
check_hours(struct verifying *v)
{
	const struct report_hour *hours = v->body.hours.items;

	for (uint32_t i = 0; i < v->body.hours.count; i++) {
		if (i > 0 && report_hour_compare(&hours[i - 1], &hours[i]) >= 0)
			return report_refuse(v->out, REPORT_MALFORMED,
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
		err = report_verify_batches(v);
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
		return err == REPORT_REFUSED ? 0 : err;
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
