/* What went wrong with the reports of a site, with dates, and what was billed of
 * a branch of its journal that it has lost. */
#include "appliance/hub/reported_private.h"

#include "shared/base/err.h"

#include <string.h>

/** Generations that are told apart: a site that was put back more often is. */
#define GENERATIONS_MAX 256

int
hub_incident_add(struct state *state, uint64_t site,
    struct hub_reported *reported, const struct hub_incident *incident)
{
	uint8_t key[HUB_REPORTED_KEY_MAX];
	size_t len = hub_reported_key(key, site, HUB_REPORTED_INCIDENT,
	    reported->incidents % HUB_INCIDENTS_KEPT);
	int err =
	    hub_reported_put(state, key, len, &hub_incident_record, incident);

	reported->incidents++;
	return err == 0 ? hub_reported_tally_put(state, site, reported) : err;
}

int
hub_each_incident(const struct state *state, uint64_t site,
    int (*each)(void *ctx, const struct hub_incident *incident), void *ctx)
{
	struct hub_reported reported;
	int err = hub_reported(&reported, state, site);
	uint64_t at = reported.incidents;

	for (unsigned int n = 0; err == 0 && at > 0 && n < HUB_INCIDENTS_KEPT;
	     n++) {
		uint8_t key[HUB_REPORTED_KEY_MAX];
		struct hub_incident incident;
		size_t len = hub_reported_key(key, site, HUB_REPORTED_INCIDENT,
		    --at % HUB_INCIDENTS_KEPT);

		err = hub_reported_get(&incident, &hub_incident_record, state,
		    key, len);
		if (err == ERR_NOT_FOUND_INTERNAL)
			err = ERR_CORRUPT;
		if (err == 0)
			err = each(ctx, &incident);
	}
	return err;
}

/* --- what is gone ------------------------------------------------------------- */

/* Where a generation of the site began. */
struct began {
	uint64_t generation;
	uint64_t row; /* its first */
};

struct lost {
	uint64_t site;
	uint64_t row; /* from that one on */
	uint64_t below; /* generations */
	struct began began[GENERATIONS_MAX];
	size_t n;
	/* While one generation is walked: */
	uint64_t generation, end;
	uint64_t next; /* generation to go on with; 0: none */
	uint64_t seats;
	int err;
};

static bool
is_of(const struct lost *lost, const struct record_span *key, char what)
{
	const uint8_t *bytes = key->data;

	return key->len >= 17 && be64_read(bytes) == lost->site &&
	    bytes[8] == (uint8_t)what;
}

static int
see_began(void *ctx, const struct record_span *key,
    const struct record_span *value)
{
	struct lost *lost = ctx;
	const uint8_t *bytes = key->data;

	if (!is_of(lost, key, HUB_REPORTED_GENERATION) || value->len != 8 ||
	    lost->n == GENERATIONS_MAX)
		return 1;
	lost->began[lost->n++] =
	    (struct began){ be64_read(bytes + 9), be64_read(value->data) };
	return 0;
}

/* Rows of it from there on were lost before. */
static uint64_t
end_of(const struct lost *lost, uint64_t generation)
{
	uint64_t end = UINT64_MAX;

	for (size_t i = 0; i < lost->n; i++)
		if (lost->began[i].generation > generation &&
		    lost->began[i].generation < lost->below &&
		    lost->began[i].row < end)
			end = lost->began[i].row;
	return end;
}

static int
see_counted(void *ctx, const struct record_span *key,
    const struct record_span *value)
{
	struct lost *lost = ctx;
	const uint8_t *bytes = key->data;
	struct row_shown_overage shown;
	struct arena arena = { .chunks = NULL };

	if (!is_of(lost, key, HUB_REPORTED_COUNTED) || key->len != 25)
		return 1;
	if (be64_read(bytes + 9) != lost->generation) {
		lost->next = be64_read(bytes + 9);
		return 1;
	}
	if (be64_read(bytes + 17) >= lost->end) {
		lost->next = lost->generation + 1;
		return 1;
	}
	lost->err = record_read_msgpack(&shown, &row_shown_overage_record,
	    value->data, value->len, NULL, &arena, NULL);
	arena_release(&arena);
	/* The other row of an adopted lease is the same seats. */
	if (lost->err == 0 && shown.generation == lost->generation &&
	    shown.row == be64_read(bytes + 17))
		lost->seats += shown.count;
	return lost->err != 0;
}

int
hub_gone(uint64_t *seats, const struct state *state, uint64_t site,
    uint32_t generation, uint64_t row)
{
	struct lost lost = { .site = site,
		.row = row,
		.below = generation,
		.next = 0 };
	uint8_t key[HUB_REPORTED_KEY_MAX];
	size_t len = hub_reported_key(key, site, HUB_REPORTED_GENERATION, 0);
	int err = store_each(&state->txn, STORE_HUB_REPORTED, key, len,
	    see_began, &lost);

	*seats = 0;
	if (err != 0 && err != 1)
		return err;
	/* Each generation that rows were counted of, once. */
	do {
		lost.generation = lost.next;
		lost.end = end_of(&lost, lost.generation);
		lost.next = 0;
		len = hub_reported_key(key, site, HUB_REPORTED_COUNTED,
		    lost.generation);
		be64_write(key + len, row);
		err = store_each(&state->txn, STORE_HUB_REPORTED, key, len + 8,
		    see_counted, &lost);
		if (lost.err != 0)
			return lost.err == ERR_NOMEM ? ERR_NOMEM : ERR_CORRUPT;
		if (err != 0 && err != 1)
			return err;
	} while (lost.next != 0 && lost.next < generation);
	*seats = lost.seats;
	return 0;
}

int
fold_site_rolled_back(struct state *state, const struct row *row,
    const struct fold_place *place)
{
	const struct row_site_rolled_back *r = &row->u.site_rolled_back;
	struct hub_incident incident = {
		.what = HUB_INCIDENT_ROLLBACK,
		.at = place->time,
		.report = r->sequence,
		.generation = r->generation,
		.batch = r->batch,
		.row = r->row,
		.time = r->time,
		.lost_batch = r->lost_batch,
		.seats = r->seats,
	};
	uint8_t key[HUB_REPORTED_KEY_MAX], began[8];
	size_t len = hub_reported_key(key, r->site, HUB_REPORTED_GENERATION,
	    r->generation);
	struct hub_reported reported;
	int err = hub_reported(&reported, state, r->site);

	if (err != 0)
		return err;
	be64_write(began, r->row);
	reported.gone += r->seats;
	err = store_put(&state->txn, STORE_HUB_REPORTED, key, len, began,
	    sizeof began);
	return err == 0 ? hub_incident_add(state, r->site, &reported, &incident)
			: err;
}
