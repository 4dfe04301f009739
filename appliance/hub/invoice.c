/* Invoices: kept, decided on, told of. See invoice.h. */
#include "appliance/hub/invoice.h"

#include "appliance/hub/crm.h"
#include "appliance/hub/decide.h"
#include "appliance/ledger/borrow.h"
#include "appliance/ledger/credits.h"
#include "appliance/ledger/ledger_channel.h"
#include "appliance/ledger/view_query.h"

#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define DAY_MS INT64_C(86400000)
#define NAME_SIZE 48

const struct record hub_invoice_add_record = {
	.name = "hub_invoice_add",
	.doc = "An invoice, and its bytes.",
	.version = 1,
	.size = sizeof(struct hub_invoice_add),
};

static const struct record_field hub_invoice_fields[] = {
	R_STRUCT(hub_invoice, row, &row_invoice_record, 0, "As it was made."),
	R_U64(hub_invoice, owed_by, 1, U53_MAX, 0, "The row that sent it."),
	R_TIME(hub_invoice, at, 0, "When it was made."),
};
RECORD_DEFINE(hub_invoice, 1, "An invoice.");

/* --- state ------------------------------------------------------------------ */

int
hub_invoice(struct hub_invoice *out, const struct state *state, uint64_t number,
    struct arena *arena)
{
	return hub_get(out, state, STORE_HUB_INVOICES, number, 0,
	    &hub_invoice_record, arena);
}

static void
write_period(char out[24], int32_t first)
{
	char day[CLOCK_TEXT_SIZE];

	clock_format_date(day, first);
	snprintf(out, 24, "%.7s", day);
}

static void
write_name(char out[NAME_SIZE], uint64_t customer, int32_t first)
{
	char period[24];

	write_period(period, first);
	snprintf(out, NAME_SIZE, "%" PRIu64 "/%s", customer, period);
}

static int
fold_made(struct state *state, const struct row *row,
    const struct fold_place *place)
{
	const struct row_invoice *r = &row->u.invoice;
	const struct hub_invoice invoice = { *r, row->number, place->time };
	struct arena arena = { .chunks = NULL };
	struct hub_customer customer;
	char name[NAME_SIZE];
	uint64_t last, known;
	int err = hub_customer(&customer, state, r->customer, &arena);

	arena_release(&arena);
	if (err == ERR_NOT_FOUND_INTERNAL)
		return fold_contradicted(row, "there is no such customer");
	if (err == 0)
		err = hub_last(&last, state, STORE_HUB_INVOICES);
	if (err != 0)
		return err;
	write_name(name, r->customer, r->first);
	if (r->number <= last)
		return fold_contradicted(row, "invoices go back");
	if (hub_name(&known, state, HUB_NAME_INVOICE, name) == 0)
		return fold_contradicted(row, "that month has one");
	err = hub_name_put(state, HUB_NAME_INVOICE, name, r->number);
	return err == 0 ? hub_put(state, STORE_HUB_INVOICES, r->number, 0,
			      &hub_invoice_record, &invoice)
			: err;
}

static int
fold_again(struct state *state, const struct row *row)
{
	const struct row_invoice_again *r = &row->u.invoice_again;
	struct arena arena = { .chunks = NULL };
	struct hub_invoice invoice;
	int err = hub_invoice(&invoice, state, r->number, &arena);

	if (err == 0) {
		invoice.row.channels = r->channels;
		invoice.owed_by = row->number;
		/* Its bytes are the arena's, not the map's. */
		const uint8_t *copy = arena_copy(&arena,
		    invoice.row.document.data, invoice.row.document.len);

		invoice.row.document.data = copy;
		err = copy == NULL
		    ? ERR_NOMEM
		    : hub_put(state, STORE_HUB_INVOICES, r->number, 0,
			  &hub_invoice_record, &invoice);
	}
	arena_release(&arena);
	return err == ERR_NOT_FOUND_INTERNAL
	    ? fold_contradicted(row, "there is no such invoice")
	    : err;
}

int
fold_invoice(struct state *state, const struct row *row,
    const struct fold_place *place)
{
	return row->kind == ROW_INVOICE_MADE ? fold_made(state, row, place)
					     : fold_again(state, row);
}

/* --- told of ------------------------------------------------------------------ */

static int
view_invoice(struct billing_invoice_view *out, const struct state *state,
    const struct hub_invoice *invoice, struct arena *arena)
{
	struct state_delivery worst = { .row = 0 };
	struct hub_customer customer;
	uint32_t waiting;
	int err = hub_customer(&customer, state, invoice->row.customer, arena);

	if (err == 0)
		err =
		    delivery_waiting(&waiting, &worst, state, invoice->owed_by);
	if (err != 0)
		return err == ERR_NOT_FOUND_INTERNAL ? ERR_CORRUPT : err;
	*out = (struct billing_invoice_view){
		.invoice = invoice->row.number,
		.total = invoice->row.total,
		.at = invoice->at,
		.state = invoice->row.channels == 0 ? INVOICE_KEPT
		    : waiting > 0                   ? INVOICE_WAITING
						    : INVOICE_SENT,
	};
	write_period(out->period, invoice->row.first);
	text_copy(out->customer_crm_id, sizeof out->customer_crm_id,
	    customer.row.crm_account_id);
	text_copy(out->currency, sizeof out->currency, invoice->row.currency);
	if (waiting > 0) {
		out->attempts = worst.attempts;
		out->due_at = worst.due_at;
		text_copy(out->error, sizeof out->error, worst.error);
	}
	return 0;
}

int
query_hub_invoices(struct query *q)
{
	const struct billing_invoice_query *request = q->request;
	struct billing_invoice_page *page = q->reply;
	const struct state *state = &q->view->state;
	const uint32_t limit = query_limit(request->limit);
	struct billing_invoice_view *items =
	    arena_alloc(q->arena, limit * sizeof *items);
	uint64_t customer = 0, last = 0, number = request->after;
	int err = items == NULL ? ERR_NOMEM
				: hub_last(&last, state, STORE_HUB_INVOICES);

	if (err == 0 && request->customer_crm_id[0] != '\0')
		err = hub_name(&customer, state, HUB_NAME_CRM,
		    request->customer_crm_id);
	if (err == ERR_NOT_FOUND_INTERNAL)
		return query_refuse(q->problem, ERR_NOT_FOUND,
		    "there is no customer %s", request->customer_crm_id);
	page->items = (struct record_list){ items, 0 };
	while (err == 0 && number < last && page->items.count < limit) {
		struct hub_invoice invoice;

		err = hub_invoice(&invoice, state, ++number, q->arena);
		if (err == ERR_NOT_FOUND_INTERNAL) {
			err = 0; /* left out: hub_next() */
			continue;
		}
		if (err == 0 &&
		    (customer == 0 || invoice.row.customer == customer))
			err = view_invoice(&items[page->items.count++], state,
			    &invoice, q->arena);
	}
	page->next = number < last ? number : 0;
	return err == ERR_NOT_FOUND_INTERNAL ? ERR_CORRUPT : err;
}

/* --- what its bytes may tell of ----------------------------------------------- */

/** Above the number of any report. */
#define ALL_REPORTED (UINT64_C(1) << 53)

struct knowing {
	const struct state *state;
	int32_t first, last;
	uint64_t known;
};

static bool
has_reported(const struct hub_site *site, int32_t last)
{
	return site->sequence != 0 &&
	    site->time >= ((int64_t)last + 1) * DAY_MS;
}

static int
add_reports(void *ctx, uint64_t number)
{
	struct knowing *knowing = ctx;
	struct arena arena = { .chunks = NULL };
	struct hub_site site;
	int err = hub_site(&site, knowing->state, number, &arena);

	arena_release(&arena);
	if (err == 0)
		knowing->known += has_reported(&site, knowing->last)
		    ? ALL_REPORTED
		    : site.sequence;
	return err;
}

static int
add_credit(void *ctx, const struct row_credit *credit)
{
	struct knowing *knowing = ctx;

	knowing->known += credit->first == knowing->first;
	return 0;
}

int
hub_invoice_known(uint64_t *known, const struct state *state,
    const char *crm_account_id, int32_t first, int32_t last)
{
	struct knowing knowing = { state, first, last, 0 };
	uint64_t customer;
	int err = hub_name(&customer, state, HUB_NAME_CRM, crm_account_id);

	*known = 0;
	if (err != 0)
		return err == ERR_NOT_FOUND_INTERNAL ? 0 : err;
	err = hub_each_site(state, customer, 0, add_reports, &knowing);
	if (err == 0)
		err = state_each_credit(state, customer, add_credit, &knowing);
	if (err == 0)
		*known = knowing.known;
	return err;
}

/* --- for who makes them ------------------------------------------------------------ */

struct reported {
	const struct state *state;
	int64_t until;
};

static int
add_reported(void *ctx, uint64_t number)
{
	struct reported *reported = ctx;
	struct arena arena = { .chunks = NULL };
	struct hub_site site;
	int err = hub_site(&site, reported->state, number, &arena);
	const int64_t until = err == 0 && site.sequence != 0 ? site.time : 0;

	arena_release(&arena);
	if (until < reported->until)
		reported->until = until;
	return err;
}

static int
take_number(void *ctx, const struct record_span *key,
    const struct record_span *value)
{
	(void)value;
	*(uint64_t *)ctx = be64_read(key->data);
	return 1;
}

int
hub_billed(struct hub_billed *out, struct ledger_view *view, uint64_t from)
{
	struct reported reported = { &view->state, INT64_MAX };
	struct arena arena = { .chunks = NULL };
	struct hub_customer customer;
	uint64_t number = 0;
	uint8_t key[8];

	be64_write(key, from);
	int err = store_each(&view->state.txn, STORE_HUB_CUSTOMERS, key,
	    sizeof key, take_number, &number);

	if (err == 1)
		err = hub_customer(&customer, &view->state, number, &arena);
	else if (err == 0)
		err = ERR_NOT_FOUND_INTERNAL;

	if (err == 0) {
		out->number = number;
		out->orders = customer.orders;
		text_copy(out->crm_account_id, sizeof out->crm_account_id,
		    customer.row.crm_account_id);
		err = hub_each_site(&view->state, number, 0, add_reported,
		    &reported);
		out->reported_until = reported.until;
	}
	arena_release(&arena);
	return err;
}

int
hub_invoice_made(bool *made, struct ledger_view *view, uint64_t customer,
    int32_t first)
{
	char name[NAME_SIZE];
	uint64_t number;

	write_name(name, customer, first);
	int err = hub_name(&number, &view->state, HUB_NAME_INVOICE, name);

	*made = err == 0;
	return err == ERR_NOT_FOUND_INTERNAL ? 0 : err;
}

/* --- may it be made --------------------------------------------------------------- */

struct completeness {
	struct batch *batch;
	struct command *command;
	int32_t last; /* day of the month */
};

static int
check_site(void *ctx, uint64_t number)
{
	struct completeness *c = ctx;
	struct command *command = c->command;
	struct hub_site site;
	char until[CLOCK_TEXT_SIZE];
	int err = hub_site(&site, &c->batch->state, number, &command->arena);

	if (err != 0 || has_reported(&site, c->last))
		return err;
	clock_format_date(until, (int32_t)(site.time / DAY_MS));
	(void)decide_refuse_field(command, "period", ERR_CONFLICT,
	    "wait for its next report, or make it all the same: --incomplete",
	    "the site %s has %s%.10s: what it used would be on no invoice",
	    site.row.request.site,
	    site.sequence != 0 ? "reported until " : "reported nothing yet",
	    site.sequence != 0 ? until : "");
	return 1;
}

static int
check(struct batch *batch, struct command *command,
    const struct hub_customer *customer)
{
	const struct hub_invoice_add *request = command->request;
	const struct billing_invoice_add *asked = &request->asked;
	struct completeness c = { batch, command, request->last };

	if (batch->place.time < ((int64_t)request->last + 1) * DAY_MS)
		return decide_refuse_field(command, "period", ERR_CONFLICT,
		    "look at what there is: leasehold bill statement",
		    "%s is not over", asked->period);
	if (request->currency[0] == '\0')
		return decide_refuse_field(command, "period", ERR_NOT_FOUND,
		    "look at it: leasehold bill statement",
		    "customer %s has nothing to pay for %s",
		    asked->customer_crm_id, asked->period);
	uint64_t known;
	int err = hub_invoice_known(&known, &batch->state,
	    asked->customer_crm_id, request->first, request->last);

	if (err != 0)
		return err;
	/* It never changes: what came meanwhile would be on none. */
	if (known != request->known)
		return decide_refuse(command, ERR_BUSY, "ask again",
		    "a report or a credit of customer %s came while the "
		    "invoice was made",
		    asked->customer_crm_id);
	if (asked->incomplete)
		return 0;
	err = hub_each_site(&batch->state, customer->row.customer, 0,
	    check_site, &c);

	return err == 1 ? 0 : err;
}

/* --- making it -------------------------------------------------------------------- */

static int
next_number(uint64_t *number, const struct state *state, struct arena *arena)
{
	struct hub_invoice newest = { .at = 0 };
	uint64_t last;
	int err = hub_last(&last, state, STORE_HUB_INVOICES);

	if (err == 0 && last > 0)
		err = hub_invoice(&newest, state, last, arena);
	*number = err == 0 ? hub_next(last, newest.at, state) : 0;
	return err == ERR_NOT_FOUND_INTERNAL ? ERR_CORRUPT : err;
}

static int
make(struct hub_invoice *out, struct batch *batch, struct command *command,
    const struct hub_customer *customer)
{
	const struct hub_invoice_add *request = command->request;
	uint64_t number;
	int err = next_number(&number, &batch->state, &command->arena);
	struct row_invoice r = {
		.number = number,
		.customer = customer->row.customer,
		.first = request->first,
		.last = request->last,
		.total = request->total,
		.document = request->document,
		.by = decide_actor(&command->who),
	};

	memcpy(r.currency, request->currency, sizeof r.currency);
	if (err == 0)
		err = delivery_channels(&r.channels, &batch->state,
		    CHANNEL_INVOICES);
	struct row *row = err == 0 ? batch_row(batch, ROW_INVOICE_MADE) : NULL;

	if (row == NULL)
		return err != 0 ? err : ERR_NOMEM;
	row->u.invoice = r;
	err = batch_emit(batch);
	if (err == 0)
		err = delivery_add_invoice(batch, r.number, r.customer,
		    command->entropy);
	if (err == 0)
		err = hub_tell_invoice(batch, command, &r);
	return err == 0
	    ? hub_invoice(out, &batch->state, r.number, &command->arena)
	    : err;
}

/* What waits goes by itself: only what arrived is sent again. */
static int
send_again(struct hub_invoice *invoice, struct batch *batch,
    struct command *command)
{
	struct row_invoice_again r = { .number = invoice->row.number,
		.by = decide_actor(&command->who) };
	const uint64_t customer = invoice->row.customer;
	uint32_t waiting;
	int err =
	    delivery_waiting(&waiting, NULL, &batch->state, invoice->owed_by);

	if (err != 0 || waiting > 0)
		return err;
	err = delivery_channels(&r.channels, &batch->state, CHANNEL_INVOICES);
	struct row *row = err == 0 ? batch_row(batch, ROW_INVOICE_AGAIN) : NULL;

	if (row == NULL)
		return err != 0 ? err : ERR_NOMEM;
	row->u.invoice_again = r;
	err = batch_emit(batch);
	if (err == 0)
		err = delivery_add_invoice(batch, r.number, customer,
		    command->entropy);
	return err == 0
	    ? hub_invoice(invoice, &batch->state, r.number, &command->arena)
	    : err;
}

int
decide_hub_invoice(struct batch *batch, struct command *command)
{
	const struct hub_invoice_add *request = command->request;
	struct billing_invoice_view *reply = hub_reply(command, sizeof *reply);
	struct hub_customer customer;
	struct hub_invoice invoice;
	char name[NAME_SIZE];
	uint64_t number;
	int err = reply == NULL ? ERR_NOMEM
				: hub_find_customer(&customer, batch, command,
				      request->asked.customer_crm_id);

	if (err != 0 || command->err != 0)
		return err;
	write_name(name, customer.row.customer, request->first);
	err = hub_name(&number, &batch->state, HUB_NAME_INVOICE, name);
	if (err == ERR_NOT_FOUND_INTERNAL) {
		err = check(batch, command, &customer);
		if (err == 0 && command->err == 0)
			err = make(&invoice, batch, command, &customer);
	} else if (err == 0) {
		err = hub_invoice(&invoice, &batch->state, number,
		    &command->arena);
		if (err == 0 && request->asked.again)
			err = send_again(&invoice, batch, command);
	}
	return err != 0 || command->err != 0
	    ? err
	    : view_invoice(reply, &batch->state, &invoice, &command->arena);
}
