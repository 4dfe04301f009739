/* Which usage that a site reports costs money: see struct hub_editions. */
#include "appliance/hub/reported.h"

#include "shared/base/err.h"
#include "shared/base/text.h"

#include <string.h>

struct hub_edition {
	struct hub_edition *next;
	uint8_t digest[32];
	struct license license;
};

static struct hub_edition *
look(const struct hub_editions *editions, const struct report_overage *shown)
{
	struct hub_edition *at = editions->newest;

	while (at != NULL &&
	    (at->license.serial != shown->serial ||
		memcmp(at->digest, shown->digest, sizeof at->digest) != 0 ||
		strcmp(at->license.license_id, shown->license_id) != 0))
		at = at->next;
	return at;
}

/* The row of what was issued; ERR_NOT_FOUND_INTERNAL: to others, or not. */
static int
find_issued(struct row_license_issued *out, const struct hub_editions *editions,
    const struct report_overage *shown, struct arena *arena)
{
	struct hub_order order;
	uint64_t number;
	int err = hub_name(&number, editions->state, HUB_NAME_LICENSE,
	    shown->license_id);

	if (err == 0)
		err = hub_order(&order, editions->state, number, arena);
	if (err == 0 && order.site != editions->site)
		err = ERR_NOT_FOUND_INTERNAL;
	if (err == 0)
		err = hub_issued(out, editions->state, number, shown->serial,
		    arena);
	if (err == 0 &&
	    (out->site != editions->site ||
		memcmp(out->digest, shown->digest, sizeof out->digest) != 0))
		err = ERR_NOT_FOUND_INTERNAL;
	return err;
}

static int
keep(struct hub_edition **out, struct hub_editions *editions,
    const struct row_license_issued *issued)
{
	struct hub_edition *edition =
	    arena_alloc(editions->arena, sizeof *edition);
	int err = edition == NULL ? ERR_NOMEM : 0;

	if (err == 0)
		err = license_read_stored(&edition->license, issued->token.data,
		    issued->token.len, editions->arena);
	if (err == 0) {
		memcpy(edition->digest, issued->digest, sizeof edition->digest);
		edition->next = editions->newest;
		editions->newest = edition;
		*out = edition;
	}
	return err;
}

static int
learn(struct hub_edition **out, struct hub_editions *editions,
    const struct report_overage *shown)
{
	struct arena arena = { .chunks = NULL };
	struct row_license_issued issued;
	int err = find_issued(&issued, editions, shown, &arena);

	if (err == 0)
		err = keep(out, editions, &issued);
	arena_release(&arena);
	return err;
}

/* As its price is looked for. */
static bool
has_feature(const struct license *license, const char *feature)
{
	const struct license_feature *features = license->features.items;

	if (feature[0] == '\0')
		return true;
	for (uint32_t i = 0; i < license->features.count; i++)
		if (strcmp(features[i].id, feature) == 0)
			return true;
	return false;
}

int
hub_is_billed(bool *yes, struct hub_editions *editions,
    const struct report_overage *shown)
{
	struct hub_edition *edition = look(editions, shown);
	int err = edition == NULL ? learn(&edition, editions, shown) : 0;

	*yes = err == 0 && has_feature(&edition->license, shown->feature);
	return err == ERR_NOT_FOUND_INTERNAL ? 0 : err;
}

/* --- metrics ---------------------------------------------------------------------- */

static int
find_issued_serial(struct row_license_issued *issued,
    const struct hub_editions *editions, const char *license, uint64_t serial,
    struct arena *arena)
{
	struct hub_order order;
	uint64_t number;
	int err = hub_name(&number, editions->state, HUB_NAME_LICENSE, license);

	if (err == 0)
		err = hub_order(&order, editions->state, number, arena);
	if (err == 0 && order.site != editions->site)
		err = ERR_NOT_FOUND_INTERNAL;
	if (err == 0)
		err =
		    hub_issued(issued, editions->state, number, serial, arena);
	if (err == 0 && issued->site != editions->site)
		err = ERR_NOT_FOUND_INTERNAL;
	return err;
}

/* The edition of that serial, whichever its digest: hours name none. */
static int
edition_of(struct hub_edition **out, struct hub_editions *editions,
    const char *license, uint64_t serial)
{
	struct arena arena = { .chunks = NULL };
	struct row_license_issued issued;

	for (*out = editions->newest; *out != NULL; *out = (*out)->next)
		if ((*out)->license.serial == serial &&
		    strcmp((*out)->license.license_id, license) == 0)
			return 0;
	int err =
	    find_issued_serial(&issued, editions, license, serial, &arena);

	if (err == 0)
		err = keep(out, editions, &issued);
	arena_release(&arena);
	return err;
}

/* Of what was issued to that very site, and no more than a statement can add up:
 * so one site cannot keep a vendor from billing all others. */
int
hub_bill_metric(struct row_shown_metric *item, struct hub_editions *editions)
{
	const uint64_t amount =
	    item->kind == USAGE_GAUGE ? item->max : item->sum;
	struct hub_edition *edition;
	int err =
	    edition_of(&edition, editions, item->license_id, item->serial);

	item->billed = err == 0 &&
	    amount <= license_usage_max(&edition->license, item->metric);
	editions->unbilled_hours += !item->billed && item->events > 0;
	return err == ERR_NOT_FOUND_INTERNAL ? 0 : err;
}

static int
emit_piece(struct batch *batch, struct hub_editions *editions,
    const struct report_finding *found, struct row_shown_metric *items,
    uint32_t n)
{
	struct row *row = batch_row(batch, ROW_REPORT_METRICS);

	if (row == NULL)
		return ERR_NOMEM;
	struct row_report_metrics *r = &row->u.report_metrics;

	r->site = editions->site;
	r->sequence = found->report.sequence;
	r->metrics = (struct record_list){ items, n };
	return batch_emit(batch);
}

int
hub_emit_metrics(struct batch *batch, struct hub_editions *editions,
    const struct report_finding *found, struct arena *arena)
{
	struct row_shown_metric *items =
	    arena_alloc(arena, ROW_SHOWN_MAX * sizeof *items);
	uint32_t n = 0;
	int err = items != NULL ? 0 : ERR_NOMEM;

	for (uint32_t i = 0; i < found->n_hours && err == 0; i++) {
		const struct report_hour *hour = &found->hours[i];

		if (!hour->metric)
			continue;
		struct row_shown_metric *item = &items[n++];

		*item = (struct row_shown_metric){ .serial = hour->serial,
			.start = hour->start,
			.kind = hour->kind,
			.events = hour->events,
			.sum = hour->sum,
			.max = hour->max,
			.last = hour->last };
		text_copy(item->license_id, sizeof item->license_id,
		    hour->license);
		text_copy(item->metric, sizeof item->metric, hour->feature);
		err = hub_bill_metric(item, editions);
		if (err != 0 || n < ROW_SHOWN_MAX)
			continue;
		err = emit_piece(batch, editions, found, items, n);
		n = 0;
	}
	return err == 0 && n > 0 ? emit_piece(batch, editions, found, items, n)
				 : err;
}

/* --- hours of seats ------------------------------------------------------------ */

/* No money follows from them: what contradicts itself is not counted, and the
 * report is good. */
static bool
is_sound(const struct report_hour *hour)
{
	const struct report_denial *denied = hour->denied.items;
	const uint64_t hour_ms = 3600000;
	uint64_t sum = 0;

	for (uint32_t i = 0; i < hour->denied.count; i++) {
		if (denied[i].count > hour->denials - sum)
			return false;
		sum += denied[i].count;
	}
	return hour->borrows <= hour->checkouts &&
	    hour->checkouts <= hour->seats &&
	    hour->borrow_ms <= hour->seat_ms &&
	    hour->seat_ms <= hour->peak * hour_ms;
}

/* What an item needs in its row, at most. */
static size_t
seats_bytes(const struct report_hour *hour)
{
	return 96 + strlen(hour->license) + strlen(hour->feature) +
	    (size_t)hour->denied.count * 48;
}
/* Of all items of a row; the longest item is 1 KiB. */
#define SEATS_BYTES_MAX (JOURNAL_ROW_BYTES_MAX - 256)

static int
take_seats(struct row_shown_seats *item, const struct report_hour *hour,
    struct hub_editions *editions, struct arena *arena)
{
	const struct report_denial *from = hour->denied.items;
	struct row_shown_denial *denied = NULL;

	*item = (struct row_shown_seats){
		.serial = hour->serial,
		.start = hour->start,
		.checkouts = hour->checkouts,
		.seats = hour->seats,
		.borrows = hour->borrows,
		.peak = hour->peak,
		.seat_ms = hour->seat_ms,
		.borrow_ms = hour->borrow_ms,
		.denials = hour->denials,
	};
	text_copy(item->license_id, sizeof item->license_id, hour->license);
	text_copy(item->feature, sizeof item->feature, hour->feature);
	if (hour->denied.count > 0) {
		denied =
		    arena_alloc(arena, hour->denied.count * sizeof *denied);
		if (denied == NULL)
			return ERR_NOMEM;
	}
	for (uint32_t i = 0; i < hour->denied.count; i++) {
		denied[i].count = from[i].count;
		text_copy(denied[i].code, sizeof denied[i].code, from[i].code);
	}
	item->denied = (struct record_list){ denied, hour->denied.count };
	struct hub_edition *edition;
	int err = edition_of(&edition, editions, hour->license, hour->serial);

	item->issued =
	    err == 0 && has_feature(&edition->license, hour->feature);
	return err == ERR_NOT_FOUND_INTERNAL ? 0 : err;
}

static int
emit_seats(struct batch *batch, const struct hub_editions *editions,
    const struct report_finding *found, struct row_shown_seats *items,
    uint32_t n)
{
	struct row *row = n > 0 ? batch_row(batch, ROW_REPORT_SEATS) : NULL;

	if (row == NULL)
		return n > 0 ? ERR_NOMEM : 0;
	struct row_report_seats *r = &row->u.report_seats;

	r->site = editions->site;
	r->sequence = found->report.sequence;
	r->hours = (struct record_list){ items, n };
	return batch_emit(batch);
}

int
hub_emit_seats(struct batch *batch, struct hub_editions *editions,
    const struct report_finding *found, struct arena *arena)
{
	struct row_shown_seats *items =
	    arena_alloc(arena, ROW_SHOWN_MAX * sizeof *items);
	size_t bytes = 0;
	uint32_t n = 0;
	int err = items != NULL ? 0 : ERR_NOMEM;

	for (uint32_t i = 0; i < found->n_hours && err == 0; i++) {
		const struct report_hour *hour = &found->hours[i];
		const size_t more = seats_bytes(hour);

		if (hour->metric || !is_sound(hour))
			continue;
		if (n == ROW_SHOWN_MAX || bytes + more > SEATS_BYTES_MAX) {
			err = emit_seats(batch, editions, found, items, n);
			n = 0;
			bytes = 0;
		}
		if (err == 0)
			err = take_seats(&items[n++], hour, editions, arena);
		bytes += more;
	}
	return err == 0 ? emit_seats(batch, editions, found, items, n) : err;
}
