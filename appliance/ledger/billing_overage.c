#include "appliance/ledger/billing_overage.h"

#include "appliance/hub/hub.h"
#include "appliance/ledger/billing_answer.h"
#include "appliance/ledger/view_query.h"

#include "shared/base/err.h"

#include <string.h>

struct exporting {
	struct ledger_view *view;
	struct metering *metering;
	const struct billing_overage_query *query;
	struct problem *problem;
	struct billing_period period;
	struct document *document;
	struct billing_export export;
	bool begun;
	uint64_t only; /* at a hub: this customer; 0: all */
	struct buf out;
	struct arena arena; /* of one customer */
};

static enum billing_export_form
form(uint32_t format)
{
	if (format == BILLING_AS_CSV)
		return BILLING_EXPORT_CSV;
	return format == BILLING_AS_PDF ? BILLING_EXPORT_PDF
					: BILLING_EXPORT_JSON;
}

static int
refuse_currencies(struct exporting *exporting)
{
	return query_refuse(exporting->problem, ERR_BAD_REQUEST,
	    "the licenses are priced in several currencies, which one total "
	    "cannot add: ask for format=csv");
}

static int
refuse_pages(struct exporting *exporting)
{
	return query_refuse(exporting->problem, ERR_TOO_LARGE,
	    "it is more than %d pages: ask customer by customer, or for "
	    "format=csv",
	    BILLING_PAGES_MAX);
}

static int
begin(struct exporting *exporting, const struct license_vendor *vendor)
{
	if (exporting->begun)
		return 0;
	exporting->begun = true;
	return billing_export_begin(&exporting->export,
	    form(exporting->query->format), vendor, &exporting->period, NULL);
}

static int
put_rows(struct exporting *exporting, const struct billing_overage *rows,
    size_t n)
{
	int err = 0;

	for (size_t i = 0; i < n && err == 0; i++) {
		err = billing_export_row(&exporting->export, &exporting->out,
		    &rows[i]);
		if (err == ERR_BAD_REQUEST)
			return refuse_currencies(exporting);
		if (err == ERR_TOO_LARGE &&
		    exporting->export.form == BILLING_EXPORT_PDF)
			return refuse_pages(exporting);
		if (err == 0)
			err = document_write(exporting->document,
			    &exporting->out);
	}
	return err;
}

/* Of one customer, or of a site, whose customer is one. */
static int
put_group(struct exporting *exporting, uint64_t customer, bool rows_too)
{
	const struct billing_whose whose = { exporting->query->vendor, "",
		exporting->query->customer_crm_id, true, customer };
	struct billing_gathered gathered;
	struct billing_overage *rows;
	size_t n;
	int err = billing_gather(&gathered, exporting->view, &whose,
	    &exporting->arena, exporting->problem);

	/* Nothing was issued to that one yet. */
	if (err == ERR_NOT_FOUND && customer != 0) {
		memset(exporting->problem, 0, sizeof(*exporting->problem));
		err = 0;
	} else if (err == 0) {
		err = begin(exporting, &gathered.vendor);
		if (err == 0 && rows_too)
			err = billing_answer_rows(&rows, &n, &gathered,
			    &exporting->period,
			    exporting->query->customer_crm_id,
			    exporting->metering, &exporting->arena,
			    exporting->problem);
		if (err == 0 && rows_too)
			err = put_rows(exporting, rows, n);
	}
	arena_clear(&exporting->arena);
	return err;
}

static int
each_customer(void *ctx, uint64_t customer)
{
	return put_group(ctx, customer, true);
}

/* The first one that has a license: whose vendor all are of. */
static int
each_vendor(void *ctx, uint64_t customer)
{
	struct exporting *exporting = ctx;
	int err = put_group(exporting, customer, false);

	return err == 0 && exporting->begun ? 1 : err;
}

static int
put_all(struct exporting *exporting)
{
	const struct state *state = &exporting->view->state;
	const char *named = exporting->query->customer_crm_id;
	uint64_t orders, customer = 0;
	int err = hub_last(&orders, state, STORE_HUB_ORDERS);

	if (err != 0 && err != ERR_NOT_FOUND_INTERNAL)
		return err;
	if (err != 0 || orders == 0)
		return put_group(exporting, 0, true); /* a site */
	if (named[0] == '\0')
		err = hub_each_customer(state, each_customer, exporting);
	else
		err = hub_name(&customer, state, HUB_NAME_CRM, named);
	if (err == 0 && customer != 0)
		err = put_group(exporting, customer, true);
	if ((err == 0 || err == ERR_NOT_FOUND_INTERNAL) && !exporting->begun)
		err = hub_each_customer(state, each_vendor, exporting);
	if (err == 1 || (err == 0 && exporting->begun))
		return 0;
	return err != 0 ? err
			: query_refuse(exporting->problem, ERR_NOT_FOUND,
			      "there is no license");
}

static int
finish(struct exporting *exporting)
{
	struct buf head = { 0 };
	int err =
	    billing_export_end(&exporting->export, &head, &exporting->out);

	if (err == ERR_TOO_LARGE)
		err = refuse_pages(exporting);
	if (err == 0)
		err = document_end(exporting->document, &head, &exporting->out);
	buf_release(&head);
	return err;
}

static int
check(struct exporting *exporting)
{
	const uint32_t format = exporting->query->format;

	if (billing_period_check(&exporting->period) != 0)
		return query_refuse(exporting->problem, ERR_BAD_REQUEST,
		    "end_date must be from start_date on, at most %d days",
		    BILLING_DAYS_MAX);
	if (format == BILLING_AS_TEXT || format == BILLING_AS_INVOICE)
		return query_refuse(exporting->problem, ERR_BAD_REQUEST,
		    "format must be json, csv or pdf");
	return 0;
}

int
billing_overage(struct document *document, struct ledger_view *view,
    struct metering *metering, const struct billing_overage_query *query,
    const char *folder, struct problem *problem)
{
	struct exporting exporting = { .view = view,
		.metering = metering,
		.query = query,
		.problem = problem,
		.period = { query->start_date, query->end_date },
		.document = document };

	document_begin(document, folder);
	int err = check(&exporting);

	if (err == 0)
		err = put_all(&exporting);
	if (err == 0)
		err = finish(&exporting);
	if (exporting.begun)
		billing_export_release(&exporting.export);
	buf_release(&exporting.out);
	arena_release(&exporting.arena);
	if (err != 0)
		document_release(document);
	return err;
}
