/* Statements, exports and their evidence. See billing_answer.h. */
#include "appliance/ledger/billing_answer.h"

#include "appliance/hub/hub.h"
#include "appliance/hub/invoice.h"
#include "appliance/ledger/view_query.h"

#include "shared/base/err.h"
#include "shared/base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EVIDENCE_DEFAULT 100

struct asked {
	void *reply;
	const void *request;
	struct ledger_view *view;
	struct metering *metering;
	struct arena *arena;
	struct problem *problem;
};

static int
refuse_statement(struct asked *asked, int err, const struct record_error *why)
{
	if (why->reason[0] == '\0')
		return err;
	return query_refuse(asked->problem,
	    err == ERR_MISMATCH ? ERR_CONFLICT : err, "%s %s", why->field,
	    why->reason);
}

static int
read_period(struct billing_period *period, struct asked *asked,
    const char *text)
{
	if (billing_period_read(period, text, strlen(text)) == 0)
		return 0;
	return query_refuse(asked->problem, ERR_BAD_REQUEST,
	    "period must be a month, 2026-11, or days, "
	    "2026-11-03/2026-11-20, at most %d of them",
	    BILLING_DAYS_MAX);
}

/* The bytes outlive the buffer that they were made in. */
static int
finish_document(struct asked *asked, uint32_t format, struct buf *out, int err)
{
	struct billing_document *document = asked->reply;

	if (err == 0 && out->failed)
		err = out->len >= BILLING_DOCUMENT_MAX / 2 ? ERR_TOO_LARGE
							   : ERR_NOMEM;
	if (err == ERR_TOO_LARGE && asked->problem->code[0] == '\0')
		err = query_refuse(asked->problem, err,
		    "it is more than one answer holds: ask license by license, "
		    "or for a shorter period");
	if (err == 0) {
		document->format = format;
		document->data.len = (uint32_t)out->len;
		document->data.data =
		    arena_copy(asked->arena, out->data, out->len);
		if (document->data.data == NULL)
			err = ERR_NOMEM;
	}
	buf_release(out);
	return err;
}

/* --- statements ------------------------------------------------------------------ */

static int
make(struct statement *statement, struct asked *asked,
    const struct billing_license *licenses, size_t n,
    const struct billing_period *period, const struct billing_credit *credits,
    size_t n_credits)
{
	const struct billing_input input = {
		.period = *period,
		.licenses = licenses,
		.n_licenses = n,
		.credits = credits,
		.n_credits = n_credits,
		.source = billing_source_metering(asked->metering),
	};
	struct record_error why = { "", "" };
	int err = billing_make(statement, &input, asked->arena, &why);

	return err == 0 ? 0 : refuse_statement(asked, err, &why);
}

static int
write_csv(struct buf *out, struct asked *asked,
    const struct statement *statement)
{
	size_t n = billing_overage_rows(NULL, 0, statement);
	struct billing_overage *rows =
	    arena_alloc(asked->arena, (n + 1) * sizeof(*rows));

	if (rows == NULL)
		return ERR_NOMEM;
	billing_overage_rows(rows, n, statement);
	billing_write_csv(out, rows, n);
	return 0;
}

static int
write_statement(struct buf *out, struct asked *asked,
    const struct statement *statement, uint32_t format)
{
	switch ((enum billing_format)format) {
	case BILLING_AS_JSON:
		billing_write_json(out, statement);
		return 0;
	case BILLING_AS_CSV:
		return write_csv(out, asked, statement);
	case BILLING_AS_PDF:
		return billing_write_pdf(out, statement, NULL);
	case BILLING_AS_TEXT:
		billing_write_text(out, statement);
		return 0;
	case BILLING_AS_INVOICE:
		billing_write_invoice(out, statement);
		return 0;
	}
	return ERR_BAD_REQUEST;
}

/* Of whom, and of which days, with its credits. */
static int
make_statement(struct statement *statement, struct asked *asked,
    const struct billing_whose *whose, const struct billing_period *period)
{
	struct billing_gathered gathered;
	struct billing_credit *credits = NULL;
	size_t n = 0;
	int err = billing_gather(&gathered, asked->view, whose, asked->arena,
	    asked->problem);

	if (err == 0)
		err = billing_credits(&credits, &n, asked->view, &gathered,
		    whose, period, asked->arena);
	return err == 0 ? make(statement, asked, gathered.licenses,
			      gathered.n_licenses, period, credits, n)
			: err;
}

static int
answer_statement(struct asked *asked)
{
	const struct billing_statement_query *query = asked->request;
	const struct billing_whose whose = { query->vendor, query->license,
		query->customer_crm_id, false, 0 };
	struct buf out = { .max = BILLING_DOCUMENT_MAX };
	struct billing_period period;
	struct statement statement;
	int err = read_period(&period, asked, query->period);

	if (err == 0)
		err = make_statement(&statement, asked, &whose, &period);
	if (err == 0)
		err = write_statement(&out, asked, &statement, query->format);
	return finish_document(asked, query->format, &out, err);
}

int
billing_invoice_known(struct hub_invoice_add *out, struct ledger_view *view)
{
	const char *text = out->asked.period;
	struct billing_period period;

	/* Who makes the bytes says what is wrong with it. */
	if (billing_period_read(&period, text, strlen(text)) != 0)
		return 0;
	return hub_invoice_known(&out->known, &view->state,
	    out->asked.customer_crm_id, period.first, period.last);
}

int
billing_invoice(struct hub_invoice_add *out, struct ledger_view *view,
    struct metering *metering, struct arena *arena, struct problem *problem)
{
	const struct billing_invoice_add *query = &out->asked;
	struct asked asked = { NULL, NULL, view, metering, arena, problem };
	const struct billing_whose whose = {
		.license = "",
		.vendor = "",
		.customer = query->customer_crm_id,
	};
	struct buf bytes = { .max = INVOICE_DOCUMENT_MAX };
	struct billing_period period;
	struct statement statement;
	int err = read_period(&period, &asked, query->period);

	if (err == 0)
		err = make_statement(&statement, &asked, &whose, &period);
	if (err != 0)
		return err;
	out->first = period.first;
	out->last = period.last;
	out->total = statement.total;
	if (statement.total != 0)
		text_copy(out->currency, sizeof out->currency,
		    statement.currency);
	billing_write_invoice(&bytes, &statement);
	if (bytes.failed)
		err = query_refuse(problem, ERR_TOO_LARGE,
		    "an invoice of %s holds %d bytes at most: ask for "
		    "statements license by license",
		    query->period, INVOICE_DOCUMENT_MAX);
	out->document.len = (uint32_t)bytes.len;
	out->document.data =
	    err == 0 ? arena_copy(arena, bytes.data, bytes.len) : NULL;
	buf_release(&bytes);
	return err == 0 && out->document.data == NULL ? ERR_NOMEM : err;
}

/* --- overage --------------------------------------------------------------------- */

static int
by_customer(const void *a, const void *b)
{
	const struct billing_overage *x = a, *y = b;
	int order =
	    strcmp(x->customer.crm_account_id, y->customer.crm_account_id);

	return order != 0 ? order : strcmp(x->license_id, y->license_id);
}

int
billing_answer_rows(struct billing_overage **rows, size_t *n,
    const struct billing_gathered *gathered,
    const struct billing_period *period, const char *customer,
    struct metering *metering, struct arena *arena, struct problem *problem)
{
	struct arena scratch = { .chunks = NULL };
	struct asked asked = { .metering = metering,
		.arena = &scratch,
		.problem = problem };
	int err = 0;

	*n = 0;
	*rows = arena_alloc(arena, gathered->n_licenses * sizeof(**rows));
	if (*rows == NULL)
		return ERR_NOMEM;
	/* License by license: they may be in several currencies. */
	for (size_t i = 0; i < gathered->n_licenses && err == 0; i++) {
		struct statement statement;

		err = make(&statement, &asked, &gathered->licenses[i], 1,
		    period, NULL, 0);
		if (err == 0 && statement.n_sections == 1 &&
		    (customer[0] == '\0' ||
			strcmp(customer, statement.customer.crm_account_id) ==
			    0))
			*n += billing_overage_rows(&(*rows)[*n], 1, &statement);
		arena_clear(&scratch);
	}
	if (err == 0 && *n > 1)
		qsort(*rows, *n, sizeof(**rows), by_customer);
	arena_release(&scratch);
	return err;
}

/* --- evidence --------------------------------------------------------------------- */

struct evidence {
	struct asked *asked;
	struct billing_evidence *items;
	uint32_t n, limit;
	uint64_t skip; /* of earlier pages */
	bool reported; /* by a site, to a hub */
	bool more;
};

static int
first_row(uint64_t *row, const struct asked *asked, uint64_t batch)
{
	struct arena arena = { 0 };
	struct journal_batch read;
	struct journal_header header;
	struct record_span blob;
	struct buf payload = { 0 };
	int err = state_batch(&blob, &asked->view->state, batch);

	if (err == 0)
		err = view_batch(&read, &blob, &arena);
	if (err == 0)
		err = token_peek(&payload, read.header.data, read.header.len);
	if (err == 0)
		err = record_read_json(&header, &journal_header_record,
		    (const char *)payload.data, payload.len, &arena, NULL);
	if (err == 0)
		*row = header.first_row;
	buf_release(&payload);
	arena_release(&arena);
	return err;
}

/* The last batch that begins at or before the row. What was given up reads as
 * not there, and lies before all that is. 0: it was given up. */
static int
find_batch(uint64_t *batch, const struct asked *asked, uint64_t row)
{
	uint64_t low = 0, high = asked->view->state.counters.batches;

	*batch = 0;
	while (low < high) {
		uint64_t middle = low + (high - low) / 2, first = 0;
		int err = first_row(&first, asked, middle);

		if (err != 0 && err != ERR_NOT_FOUND_INTERNAL)
			return err;
		if (err == 0 && first > row) {
			high = middle;
			continue;
		}
		if (err == 0)
			*batch = middle;
		low = middle + 1;
	}
	return 0;
}

static int
add_evidence(void *ctx, const struct metering_overage *overage)
{
	struct evidence *evidence = ctx;
	struct billing_evidence *item;

	if (evidence->skip > 0) {
		evidence->skip--;
		return 0;
	}
	if (evidence->n == evidence->limit) {
		evidence->more = true;
		return 1;
	}
	item = &evidence->items[evidence->n++];
	item->serial = overage->serial;
	memcpy(item->feature, overage->feature, sizeof(item->feature));
	item->overage = overage->first;
	item->count = overage->count;
	item->row = overage->row;
	item->time = overage->time;
	item->lease = overage->lease;
	/* Another journal's rows: the site finds their batches. */
	return evidence->reported
	    ? 0
	    : find_batch(&item->batch, evidence->asked, overage->row);
}

static int
answer_evidence(struct asked *asked)
{
	const struct billing_evidence_query *query = asked->request;
	struct billing_evidence_page *page = asked->reply;
	struct evidence evidence = {
		.asked = asked,
		.limit = query->limit != 0 ? query->limit : EVIDENCE_DEFAULT,
		.skip = query->after,
	};
	struct billing_period period;
	int64_t from, to;
	uint64_t order;
	int err = read_period(&period, asked, query->period);

	if (err != 0)
		return err;
	evidence.items =
	    arena_alloc(asked->arena, evidence.limit * sizeof(*evidence.items));
	if (evidence.items == NULL)
		return ERR_NOMEM;
	err = hub_name(&order, &asked->view->state, HUB_NAME_LICENSE,
	    query->license);
	if (err != 0 && err != ERR_NOT_FOUND_INTERNAL)
		return err;
	evidence.reported = err == 0;
	billing_period_ms(&from, &to, &period);
	err = metering_evidence(asked->metering, query->license, query->serial,
	    query->feature[0] != '\0' ? query->feature : NULL, from, to,
	    add_evidence, &evidence);
	if (err != 0 && !evidence.more)
		return err;
	page->items = (struct record_list){ evidence.items, evidence.n };
	page->next = evidence.more ? query->after + evidence.n : 0;
	return 0;
}

int
billing_answer(void *reply, enum operation_id op, const void *request,
    struct ledger_view *view, struct metering *metering, struct arena *arena,
    struct problem *problem)
{
	struct asked asked = { reply, request, view, metering, arena, problem };

	if (op == OP_BILLING_STATEMENT)
		return answer_statement(&asked);
	return answer_evidence(&asked);
}
