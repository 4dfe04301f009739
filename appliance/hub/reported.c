#include "appliance/hub/reported_private.h"

#include "shared/base/err.h"
#include "shared/base/text.h"

#include <string.h>

static const struct record_field hub_reported_fields[] = {
	R_U64(hub_reported, seats, 0, U53_MAX, 0, "Overage seats that count."),
	R_U64(hub_reported, unbilled, 0, U53_MAX, RECORD_OPTIONAL,
	    "Of these: not issued to it."),
	R_U64(hub_reported, unbilled_hours, 0, U53_MAX, RECORD_OPTIONAL,
	    "Hours of metrics that no statement counts."),
	R_U64(hub_reported, others, 0, U53_MAX, 0, "Not shown."),
	R_U64(hub_reported, gaps, 0, U53_MAX, 0, "Gaps."),
	R_U64(hub_reported, forks, 0, U53_MAX, 0, "Forks."),
	R_U64(hub_reported, rollbacks, 0, U53_MAX, 0, "Acknowledged ones."),
	R_U64(hub_reported, refused, 0, U53_MAX, 0, "Reports refused."),
	R_U32(hub_reported, answer, 0, UINT32_MAX, 0, "The last answer."),
	R_U64(hub_reported, answered, 0, U53_MAX, 0, "To that report."),
	R_TIME(hub_reported, answered_at, 0, "When."),
	R_TEXT(hub_reported, reason, 0, 191, RECORD_OPTIONAL, "Why."),
	R_U64(hub_reported, gone, 0, U53_MAX, RECORD_OPTIONAL,
	    "Overage seats of lost branches."),
	R_U64(hub_reported, incidents, 0, U53_MAX, RECORD_OPTIONAL,
	    "Gaps, forks, rollbacks and other refusals."),
	R_TIME(hub_reported, hour_at, RECORD_OPTIONAL, "An hour begins."),
	R_U32(hub_reported, hour_refused, 0, UINT32_MAX, RECORD_OPTIONAL,
	    "Refused in it."),
	R_TIME(hub_reported, taking_at, RECORD_OPTIONAL, "Another begins."),
	R_U32(hub_reported, hour_taken, 0, UINT32_MAX, RECORD_OPTIONAL,
	    "Taken in that."),
};
RECORD_DEFINE(hub_reported, 1, "What came of a site's reports.");

/* How far the overage numbers of a license are. */
struct hub_overage {
	uint64_t last;
	uint32_t generation;
};
static const struct record_field hub_overage_fields[] = {
	R_U64(hub_overage, last, 0, U53_MAX, 0, "The last number."),
	R_U32(hub_overage, generation, 0, UINT32_MAX, 0, "Of its row."),
};
static const struct record hub_overage_record = {
	.name = "hub_overage",
	.doc = "Overage of a license.",
	.version = 1,
	.size = sizeof(struct hub_overage),
	.fields = hub_overage_fields,
	.n_fields = 2,
};

size_t
hub_reported_key(uint8_t key[HUB_REPORTED_KEY_MAX], uint64_t site, char what,
    uint64_t number)
{
	be64_write(key, site);
	key[8] = (uint8_t)what;
	be64_write(key + 9, number);
	return 17;
}

int
hub_reported_get(void *out, const struct record *record,
    const struct state *state, const uint8_t *key, size_t len)
{
	struct record_span value;
	struct arena arena = { .chunks = NULL };
	int err = store_get(&value, &state->txn, STORE_HUB_REPORTED, key, len);

	if (err != 0)
		return err;
	err = record_read_msgpack(out, record, value.data, value.len, NULL,
	    &arena, NULL);
	arena_release(&arena);
	return err == 0 || err == ERR_NOMEM ? err : ERR_CORRUPT;
}

int
hub_reported_put(struct state *state, const uint8_t *key, size_t len,
    const struct record *record, const void *value)
{
	struct buf bytes = { .data = NULL };

	record_write_msgpack(&bytes, record, value);
	int err = bytes.failed ? ERR_NOMEM
			       : store_put(&state->txn, STORE_HUB_REPORTED, key,
				     len, bytes.data, bytes.len);

	buf_release(&bytes);
	return err;
}

int
hub_reported(struct hub_reported *out, const struct state *state, uint64_t site)
{
	uint8_t key[HUB_REPORTED_KEY_MAX];
	size_t len = hub_reported_key(key, site, HUB_REPORTED_TALLY, 0);
	int err = hub_reported_get(out, &hub_reported_record, state, key, len);

	if (err != ERR_NOT_FOUND_INTERNAL)
		return err;
	memset(out, 0, sizeof *out);
	return 0;
}

int
hub_reported_tally_put(struct state *state, uint64_t site,
    const struct hub_reported *reported)
{
	uint8_t key[HUB_REPORTED_KEY_MAX];
	size_t len = hub_reported_key(key, site, HUB_REPORTED_TALLY, 0);

	return hub_reported_put(state, key, len, &hub_reported_record,
	    reported);
}

/* --- what a verifier asks -------------------------------------------------------- */

int
hub_known_overage(void *ctx, uint64_t *last, uint32_t *generation,
    uint64_t license)
{
	const struct hub_known *known = ctx;
	struct hub_overage overage = { 0, 0 };
	uint8_t key[HUB_REPORTED_KEY_MAX];
	size_t len =
	    hub_reported_key(key, known->site, HUB_REPORTED_OVERAGE, license);
	int err = hub_reported_get(&overage, &hub_overage_record, known->state,
	    key, len);

	if (err == ERR_NOT_FOUND_INTERNAL) {
		overage = (struct hub_overage){ 0, 0 };
		err = 0;
	}
	*last = overage.last;
	*generation = overage.generation;
	return err;
}

static size_t
installed_key(uint8_t key[HUB_REPORTED_KEY_MAX], uint64_t site,
    uint64_t license, const uint8_t digest[32])
{
	size_t len =
	    hub_reported_key(key, site, HUB_REPORTED_INSTALLED, license);

	memcpy(key + len, digest, 32);
	return len + 32;
}

int
hub_known_installed(void *ctx, struct report_installed *out, uint64_t license,
    const uint8_t digest[32])
{
	const struct hub_known *known = ctx;
	struct row_shown_license shown;
	uint8_t key[HUB_REPORTED_KEY_MAX];
	size_t len = installed_key(key, known->site, license, digest);
	int err = hub_reported_get(&shown, &row_shown_license_record,
	    known->state, key, len);

	if (err != 0)
		return err;
	memset(out, 0, sizeof *out);
	out->license = shown.license;
	out->serial = shown.serial;
	text_copy(out->license_id, sizeof out->license_id, shown.license_id);
	memcpy(out->digest, shown.digest, sizeof out->digest);
	return 0;
}

static size_t
counted_key(uint8_t key[HUB_REPORTED_KEY_MAX], uint64_t site,
    uint32_t generation, uint64_t row)
{
	size_t len =
	    hub_reported_key(key, site, HUB_REPORTED_COUNTED, generation);

	be64_write(key + len, row);
	return len + 8;
}

int
hub_known_counted(void *ctx, bool *yes, uint32_t generation, uint64_t row)
{
	const struct hub_known *known = ctx;
	struct record_span value;
	uint8_t key[HUB_REPORTED_KEY_MAX];
	size_t len = counted_key(key, known->site, generation, row);
	int err =
	    store_get(&value, &known->state->txn, STORE_HUB_REPORTED, key, len);

	*yes = err == 0;
	return err == ERR_NOT_FOUND_INTERNAL ? 0 : err;
}

/* --- rows ------------------------------------------------------------------------- */

/* A lease that goes on after its journal was put back stands for the row that it
 * was granted by: both are known from here on. */
static int
count_one(struct state *state, uint64_t site,
    const struct row_shown_overage *shown, struct hub_reported *reported)
{
	struct hub_overage overage = { shown->first + shown->count - 1,
		shown->generation };
	uint8_t key[HUB_REPORTED_KEY_MAX];
	size_t len =
	    hub_reported_key(key, site, HUB_REPORTED_OVERAGE, shown->license);
	int err =
	    hub_reported_put(state, key, len, &hub_overage_record, &overage);

	if (err == 0) {
		len = counted_key(key, site, shown->generation, shown->row);
		err = hub_reported_put(state, key, len,
		    &row_shown_overage_record, shown);
	}
	if (err != 0)
		return err;
	/* It is held again, and billed once. */
	if (shown->again) {
		reported->gone -= reported->gone < shown->count ? reported->gone
								: shown->count;
		return 0;
	}
	reported->seats += shown->count;
	reported->unbilled += shown->billed ? 0 : shown->count;
	if (shown->origin_row == 0)
		return 0;
	len =
	    counted_key(key, site, shown->origin_generation, shown->origin_row);
	return hub_reported_put(state, key, len, &row_shown_overage_record,
	    shown);
}

int
fold_report_metrics(struct state *state, const struct row *row)
{
	const struct row_report_metrics *r = &row->u.report_metrics;
	const struct row_shown_metric *shown = r->metrics.items;
	struct hub_reported reported = { .others = 0 };
	uint64_t n = 0;

	for (uint32_t i = 0; i < r->metrics.count; i++)
		n += !shown[i].billed && shown[i].events > 0;
	int err = n > 0 ? hub_reported(&reported, state, r->site) : 0;

	if (err != 0 || n == 0)
		return err;
	reported.unbilled_hours += n;
	return hub_reported_tally_put(state, r->site, &reported);
}

/* By the first row of each. */
static void
count_taken(struct hub_reported *reported, uint64_t sequence, int64_t now)
{
	if (reported->answer == REPORT_TAKEN && reported->answered == sequence)
		return;
	if (now - reported->taking_at >= HUB_HOUR_MS) {
		reported->taking_at = now;
		reported->hour_taken = 0;
	}
	reported->hour_taken++;
}

int
fold_report_shown(struct state *state, const struct row *row,
    const struct fold_place *place)
{
	const struct row_report_shown *r = &row->u.report_shown;
	const struct row_shown_license *licenses = r->licenses.items;
	const struct row_shown_overage *overage = r->overage.items;
	struct hub_reported reported = { .others = 0 };
	uint8_t key[HUB_REPORTED_KEY_MAX];
	int err = hub_reported(&reported, state, r->site);

	for (uint32_t i = 0; i < r->licenses.count && err == 0; i++)
		err = hub_reported_put(state, key,
		    installed_key(key, r->site, licenses[i].license,
			licenses[i].digest),
		    &row_shown_license_record, &licenses[i]);
	for (uint32_t i = 0; i < r->overage.count && err == 0; i++)
		err = count_one(state, r->site, &overage[i], &reported);
	reported.others += r->others;
	reported.rollbacks += r->rollbacks;
	if (err == 0)
		count_taken(&reported, r->sequence, place->time);
	reported.answer = REPORT_TAKEN;
	reported.answered = r->sequence;
	reported.answered_at = place->time;
	reported.reason[0] = '\0';
	return err == 0 ? hub_reported_tally_put(state, r->site, &reported)
			: err;
}

int
fold_report_refused(struct state *state, const struct row *row,
    const struct fold_place *place)
{
	const struct row_report_refused *r = &row->u.report_refused;
	struct hub_reported reported;
	int err = hub_reported(&reported, state, r->site);

	if (err != 0)
		return err;
	reported.refused++;
	if (place->time - reported.hour_at >= HUB_HOUR_MS) {
		reported.hour_at = place->time;
		reported.hour_refused = 0;
	}
	reported.hour_refused++;
	reported.gaps += r->answer == REPORT_GAP;
	reported.forks += r->answer == REPORT_FORK;
	reported.answer = r->answer;
	reported.answered = r->sequence;
	reported.answered_at = place->time;
	text_copy(reported.reason, sizeof reported.reason, r->reason);
	int what = r->answer == REPORT_GAP ? HUB_INCIDENT_GAP
	    : r->answer == REPORT_FORK     ? HUB_INCIDENT_FORK
					   : HUB_INCIDENT_REFUSED;
	struct hub_incident incident = {
		.what = (uint32_t)what,
		.at = place->time,
		.report = r->sequence,
		.answer = r->answer,
	};

	text_copy(incident.reason, sizeof incident.reason, r->reason);
	return hub_incident_add(state, r->site, &reported, &incident);
}
