/* Events for a CRM: what they say, and when. See crm.h. */
#include "appliance/hub/crm.h"

#include "appliance/hub/decide.h"
#include "appliance/hub/reported.h"
#include "appliance/ledger/ledger_channel.h"

#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/text.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

static int
takes(bool *yes, const struct state *state)
{
	uint32_t n;
	int err = delivery_channels(&n, state, CHANNEL_CRM);

	*yes = err == 0 && n > 0;
	return err;
}

/* --- one event -------------------------------------------------------------- */

/* Random, so that a row of the same number in a journal that was put back gives
 * another one; the same for every channel. */
static void
write_id(char out[33], uint64_t row, uint32_t part,
    const uint8_t entropy[DELIVERY_ENTROPY])
{
	static const uint8_t name[] = "crm";
	crypto_generichash_state hash;
	uint8_t id[16], number[8];

	crypto_generichash_init(&hash, entropy, DELIVERY_ENTROPY, sizeof id);
	crypto_generichash_update(&hash, name, sizeof name);
	be64_write(number, row);
	crypto_generichash_update(&hash, number, sizeof number);
	be64_write(number, part);
	crypto_generichash_update(&hash, number, sizeof number);
	crypto_generichash_final(&hash, id, sizeof id);
	text_to_hex(out, id, sizeof id);
}

/* `event` has what is its own; whose it is comes here. */
static int
tell(struct batch *batch, const struct command *command,
    struct crm_event *event, uint64_t number, uint32_t part)
{
	const uint64_t row = batch->state.counters.next_row - 1;
	struct arena arena = { .chunks = NULL };
	struct hub_customer customer;
	struct buf body = { .max = COURIER_BODY_MAX };
	int err = hub_customer(&customer, &batch->state, number, &arena);

	if (err == ERR_NOT_FOUND_INTERNAL)
		err = ERR_CORRUPT;
	if (err == 0) {
		write_id(event->id, row, part, command->entropy);
		text_copy(event->source, sizeof event->source, "leasehold");
		text_copy(event->hub, sizeof event->hub, batch->ledger->site);
		text_copy(event->vendor_id, sizeof event->vendor_id,
		    batch->ledger->tenant);
		event->sequence = row;
		event->at = batch->place.time;
		event->automatic = command->who.kind == ACTOR_SITE;
		text_copy(event->crm_account_id, sizeof event->crm_account_id,
		    customer.row.crm_account_id);
		text_copy(event->customer_name, sizeof event->customer_name,
		    customer.row.name);
		hub_customer_id(event->platform_customer_id, number);
		record_write_json(&body, &crm_event_record, event);
		err = body.failed ? ERR_NOMEM : 0;
	}
	if (err == 0)
		err = delivery_add_news(batch,
		    &(struct delivery_news){ .event = event->event,
			.part = part,
			.customer = number,
			.body = { body.data, (uint32_t)body.len } },
		    command->entropy);
	buf_release(&body);
	arena_release(&arena);
	return err;
}

static int
tell_license(struct batch *batch, const struct command *command,
    struct crm_event *event, const struct hub_order *order, uint32_t part)
{
	struct arena arena = { .chunks = NULL };
	int err = hub_view_order(&event->license, &batch->state, order,
	    batch->place.time, &arena);

	if (err == 0)
		err = tell(batch, command, event, order->row.customer, part);
	arena_release(&arena);
	return err;
}

int
hub_tell_license(struct batch *batch, const struct command *command,
    enum crm_event_kind kind, const struct hub_order *order)
{
	struct crm_event event;
	bool yes;
	int err = takes(&yes, &batch->state);

	if (err != 0 || !yes)
		return err;
	memset(&event, 0, sizeof event);
	event.event = kind;
	return tell_license(batch, command, &event, order, 0);
}

int
hub_tell_invoice(struct batch *batch, const struct command *command,
    const struct row_invoice *invoice)
{
	struct crm_event event;
	char day[CLOCK_TEXT_SIZE];
	bool yes;
	int err = takes(&yes, &batch->state);

	if (err != 0 || !yes)
		return err;
	memset(&event, 0, sizeof event);
	event.event = CRM_INVOICE_MADE;
	event.invoice.invoice = invoice->number;
	event.invoice.total = invoice->total;
	memcpy(event.invoice.currency, invoice->currency,
	    sizeof event.invoice.currency);
	clock_format_date(day, invoice->first);
	snprintf(event.invoice.period, sizeof event.invoice.period, "%.7s",
	    day);
	return tell(batch, command, &event, invoice->customer, 0);
}

/* --- of a report ---------------------------------------------------------------- */

int
hub_tell_before(struct hub_crm_shown *out, const struct state *state,
    const struct row_report_shown *shown)
{
	const struct row_shown_license *licenses = shown->licenses.items;
	struct hub_known known = { state, shown->site };
	struct report_installed before;
	bool yes;
	int err = takes(&yes, state);

	out->nobody = !yes;
	for (uint32_t i = 0; i < shown->licenses.count && yes && err == 0;
	     i++) {
		err = hub_known_installed(&known, &before, licenses[i].license,
		    licenses[i].digest);
		out->fresh[i] = err == ERR_NOT_FOUND_INTERNAL;
		if (err == ERR_NOT_FOUND_INTERNAL)
			err = 0;
	}
	return err;
}

struct telling {
	struct batch *batch;
	struct command *command;
	const struct hub_site *site;
	const struct row_report_shown *shown;
	uint32_t part; /* of the row: the next event */
	struct arena arena;
};

static int
find_order(struct hub_order *order, bool *found, struct telling *telling,
    const char *license_id)
{
	const struct state *state = &telling->batch->state;
	uint64_t number;
	int err = hub_name(&number, state, HUB_NAME_LICENSE, license_id);

	if (err == 0)
		err = hub_order(order, state, number, &telling->arena);
	*found = err == 0;
	return err == ERR_NOT_FOUND_INTERNAL ? 0 : err;
}

/* A site signs what it likes: only the very document that was issued to it is
 * its license. */
static int
tell_activated(struct telling *telling, const struct row_shown_license *shown)
{
	struct row_license_issued issued;
	struct crm_event event;
	struct hub_order order;
	bool its;
	int err = find_order(&order, &its, telling, shown->license_id);

	if (err == 0 && its) {
		err = hub_issued(&issued, &telling->batch->state,
		    order.row.order, shown->serial, &telling->arena);
		its = err == 0 && issued.site == telling->site->row.number &&
		    memcmp(issued.digest, shown->digest,
			sizeof issued.digest) == 0;
		if (err == ERR_NOT_FOUND_INTERNAL)
			err = 0;
	}
	if (err != 0 || !its)
		return err;
	memset(&event, 0, sizeof event);
	event.event = CRM_LICENSE_ACTIVATED;
	return tell_license(telling->batch, telling->command, &event, &order,
	    telling->part++);
}

static bool
costs(const struct row_shown_overage *shown)
{
	return shown->billed && !shown->again;
}

/* All of one license is one event, with the first of them. */
static int
tell_overage(struct telling *telling, uint32_t first)
{
	const struct row_shown_overage *all = telling->shown->overage.items;
	const char *license_id = all[first].license_id;
	struct crm_event event;
	struct hub_order order;
	bool found;

	for (uint32_t i = 0; i < first; i++)
		if (costs(&all[i]) &&
		    strcmp(all[i].license_id, license_id) == 0)
			return 0;
	int err = find_order(&order, &found, telling, license_id);

	if (err != 0 || !found)
		return err;
	memset(&event, 0, sizeof event);
	event.event = CRM_LICENSE_OVERAGE;
	event.overage.report = telling->shown->sequence;
	text_copy(event.overage.site, sizeof event.overage.site,
	    telling->site->row.request.site);
	for (uint32_t i = first; i < telling->shown->overage.count; i++)
		if (costs(&all[i]) &&
		    strcmp(all[i].license_id, license_id) == 0)
			event.overage.seats += all[i].count;
	return tell_license(telling->batch, telling->command, &event, &order,
	    telling->part++);
}

int
hub_tell_shown(struct batch *batch, struct command *command,
    const struct hub_site *site, const struct hub_crm_shown *before,
    const struct row_report_shown *shown)
{
	const struct row_shown_license *licenses = shown->licenses.items;
	const struct row_shown_overage *overage = shown->overage.items;
	struct telling telling = { batch, command, site, shown, 0,
		{ .chunks = NULL } };
	int err = 0;

	if (before->nobody)
		return 0;
	for (uint32_t i = 0; i < shown->licenses.count && err == 0; i++) {
		if (before->fresh[i])
			err = tell_activated(&telling, &licenses[i]);
		arena_clear(&telling.arena);
	}
	for (uint32_t i = 0; i < shown->overage.count && err == 0; i++) {
		if (costs(&overage[i]))
			err = tell_overage(&telling, i);
		arena_clear(&telling.arena);
	}
	arena_release(&telling.arena);
	return err;
}
