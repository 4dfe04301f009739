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
learn(struct hub_edition **out, struct hub_editions *editions,
    const struct report_overage *shown)
{
	struct arena arena = { .chunks = NULL };
	struct row_license_issued issued;
	struct hub_edition *edition = NULL;
	int err = find_issued(&issued, editions, shown, &arena);

	if (err == 0) {
		edition = arena_alloc(editions->arena, sizeof *edition);
		err = edition == NULL ? ERR_NOMEM : 0;
	}
	if (err == 0)
		err = license_read_stored(&edition->license, issued.token.data,
		    issued.token.len, editions->arena);
	if (err == 0) {
		memcpy(edition->digest, issued.digest, sizeof edition->digest);
		edition->next = editions->newest;
		editions->newest = edition;
		*out = edition;
	}
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
find_issued_serial(struct hub_editions *editions, const char *license,
    uint64_t serial, struct arena *arena)
{
	struct row_license_issued issued;
	struct hub_order order;
	uint64_t number;
	int err = hub_name(&number, editions->state, HUB_NAME_LICENSE, license);

	if (err == 0)
		err = hub_order(&order, editions->state, number, arena);
	if (err == 0 && order.site != editions->site)
		err = ERR_NOT_FOUND_INTERNAL;
	if (err == 0)
		err =
		    hub_issued(&issued, editions->state, number, serial, arena);
	if (err == 0 && issued.site != editions->site)
		err = ERR_NOT_FOUND_INTERNAL;
	return err;
}

int
hub_is_issued(bool *yes, struct hub_editions *editions, const char *license,
    uint64_t serial)
{
	struct arena arena = { .chunks = NULL };
	int err = find_issued_serial(editions, license, serial, &arena);

	arena_release(&arena);
	*yes = err == 0;
	return err == ERR_NOT_FOUND_INTERNAL ? 0 : err;
}

/* Hours stand sorted by license and serial: each is asked for once. */
static int
mark_billed(struct row_shown_metric *items, uint32_t n,
    struct hub_editions *editions)
{
	int err = 0;

	for (uint32_t i = 0; i < n && err == 0; i++) {
		if (i > 0 && items[i].serial == items[i - 1].serial &&
		    strcmp(items[i].license_id, items[i - 1].license_id) == 0)
			items[i].billed = items[i - 1].billed;
		else
			err = hub_is_issued(&items[i].billed, editions,
			    items[i].license_id, items[i].serial);
	}
	return err;
}

static int
emit_piece(struct batch *batch, struct hub_editions *editions,
    const struct report_finding *found, struct row_shown_metric *items,
    uint32_t n)
{
	int err = mark_billed(items, n, editions);
	struct row *row =
	    err == 0 ? batch_row(batch, ROW_REPORT_METRICS) : NULL;

	if (row == NULL)
		return err != 0 ? err : ERR_NOMEM;
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
		if (n < ROW_SHOWN_MAX)
			continue;
		err = emit_piece(batch, editions, found, items, n);
		n = 0;
	}
	return err == 0 && n > 0 ? emit_piece(batch, editions, found, items, n)
				 : err;
}
