/* The overage export: rows of licenses, as CSV and JSON, one after the other; see
 * billing.h. */
#include "appliance/billing/inside.h"

#include "shared/base/err.h"
#include "shared/base/text.h"

#include <inttypes.h>
#include <string.h>

size_t
billing_overage_rows(struct billing_overage *out, size_t size,
    const struct statement *s)
{
	for (size_t i = 0; i < s->n_sections && i < size; i++) {
		const struct billing_section *section = &s->sections[i];
		struct billing_overage *row = &out[i];

		memset(row, 0, sizeof(*row));
		row->customer = s->customer;
		text_copy(row->tenant, sizeof(row->tenant), s->tenant);
		text_copy(row->license_id, sizeof(row->license_id),
		    section->license_id);
		row->product = section->product;
		row->period = s->period;
		text_copy(row->currency, sizeof(row->currency), s->currency);
		row->checkouts = section->overage;
		row->cost = section->overage_cost;
		row->commit_fee = section->commit_fee;
		row->total = section->total;
	}
	return s->n_sections;
}

#define CSV_HEAD                                                        \
	"CRM_Account_ID,Customer_Name,Product,Total_Overage_Checkouts," \
	"Total_Cost,Currency,Billing_Period\r\n"

/* --- CSV -------------------------------------------------------------------------- */

/* Would a spreadsheet look into it? OWASP's list, and the full-width forms that
 * some turn into the narrow ones. */
static bool
is_formula(const char *text)
{
	static const char *const wide[] = { "\xef\xbc\x9d", "\xef\xbc\x8b",
		"\xef\xbc\x8d", "\xef\xbc\xa0" };

	if (text[0] != '\0' && strchr("=+-@\t\r\n", text[0]) != NULL)
		return true;
	for (size_t i = 0; i < sizeof(wide) / sizeof(wide[0]); i++)
		if (strncmp(text, wide[i], 3) == 0)
			return true;
	return false;
}

static void
put_cell(struct buf *out, const char *text)
{
	size_t len = strlen(text);
	bool formula = is_formula(text);

	if (!formula && strpbrk(text, "\",\r\n") == NULL &&
	    (len == 0 || (text[0] != ' ' && text[len - 1] != ' '))) {
		buf_add(out, text, len);
		return;
	}
	buf_add_str(out, formula ? "\"'" : "\"");
	for (const char *p = text; *p != '\0'; p++) {
		if (*p == '"')
			buf_add_byte(out, '"');
		buf_add_byte(out, (uint8_t)*p);
	}
	buf_add_byte(out, '"');
}

static void
put_csv_row(struct buf *out, const struct billing_overage *row)
{
	char cost[BILLING_MONEY_SIZE], period[BILLING_PERIOD_SIZE];

	put_cell(out, row->customer.crm_account_id);
	buf_add_byte(out, ',');
	put_cell(out, row->customer.name);
	buf_add_byte(out, ',');
	put_cell(out, billing_product(&row->product));
	money_format(cost, row->cost, row->currency);
	billing_period_format(period, &row->period);
	buf_printf(out, ",%" PRIu64 ",%s,", row->checkouts, cost);
	put_cell(out, row->currency);
	buf_printf(out, ",%s\r\n", period);
}

void
billing_write_csv(struct buf *out, const struct billing_overage *rows, size_t n)
{
	buf_add_str(out, CSV_HEAD);
	for (size_t i = 0; i < n; i++)
		put_csv_row(out, &rows[i]);
}

/* --- JSON ------------------------------------------------------------------------- */

static bool
is_same_customer(const struct billing_overage *a,
    const struct billing_overage *b)
{
	return strcmp(a->customer.crm_account_id, b->customer.crm_account_id) ==
	    0 &&
	    strcmp(a->tenant, b->tenant) == 0;
}

static void
put_product(struct buf *out, const struct billing_overage *row)
{
	buf_add_byte(out, '{');
	billing_put_text(out, "product_id", row->product.id);
	billing_put_text(out, "product_name", billing_product(&row->product));
	billing_put_text(out, "license_id", row->license_id);
	billing_put_u64(out, "overage_checkouts", row->checkouts);
	billing_put_money(out, "overage_cost", row->cost, row->currency);
	billing_put_money(out, "commit_fee", row->commit_fee, row->currency);
	billing_put_money(out, "total_billable", row->total, row->currency);
	buf_add_byte(out, '}');
}

static int
put_json_row(struct billing_export *export, struct buf *out,
    const struct billing_overage *row)
{
	const struct billing_overage *last = &export->last;

	if (export->n > 0 && strcmp(row->currency, last->currency) != 0)
		return ERR_BAD_REQUEST;
	if (billing_add(&export->revenue, row->cost) != 0)
		return ERR_TOO_LARGE;
	if (export->n > 0 && is_same_customer(row, last)) {
		buf_add_byte(out, ',');
		put_product(out, row);
		return 0;
	}
	buf_add_str(out, export->n > 0 ? "]},{" : "{");
	billing_put_text(out, "crm_account_id", row->customer.crm_account_id);
	billing_put_text(out, "tenant_id", row->tenant);
	billing_put_text(out, "customer_name", row->customer.name);
	billing_put_key(out, "products");
	buf_add_byte(out, '[');
	put_product(out, row);
	return 0;
}

static void
put_json_head(struct buf *out, const struct billing_export *export)
{
	const char *currency = export->n > 0 ? export->last.currency : "";

	buf_add_byte(out, '{');
	billing_put_text(out, "vendor_id", export->vendor.id);
	billing_put_key(out, "period");
	buf_add_byte(out, '{');
	billing_put_day(out, "start", export->period.first);
	billing_put_day(out, "end", export->period.last);
	buf_add_byte(out, '}');
	/* Of nothing, in no currency, it is nothing. */
	if (export->n > 0)
		billing_put_money(out, "total_overage_revenue", export->revenue,
		    currency);
	else
		billing_put_u64(out, "total_overage_revenue", 0);
	billing_put_text(out, "currency", currency);
	billing_put_key(out, "customers");
	buf_add_byte(out, '[');
}

/* --- row by row ------------------------------------------------------------------- */

int
billing_export_begin(struct billing_export *export,
    enum billing_export_form form, const struct license_vendor *vendor,
    const struct billing_period *period, const struct billing_fonts *fonts)
{
	memset(export, 0, sizeof(*export));
	export->form = form;
	export->vendor = *vendor;
	export->period = *period;
	return form == BILLING_EXPORT_PDF
	    ? billing_list_begin(&export->list, vendor, period, fonts)
	    : 0;
}

int
billing_export_row(struct billing_export *export, struct buf *out,
    const struct billing_overage *row)
{
	int err = 0;

	switch (export->form) {
	case BILLING_EXPORT_CSV:
		put_csv_row(out, row);
		break;
	case BILLING_EXPORT_JSON:
		err = put_json_row(export, out, row);
		break;
	case BILLING_EXPORT_PDF:
		err = billing_list_row(export->list, row);
		break;
	}
	export->n++;
	export->last = *row;
	return err;
}

int
billing_export_end(struct billing_export *export, struct buf *head,
    struct buf *out)
{
	struct billing_list *list = export->list;

	export->list = NULL;
	switch (export->form) {
	case BILLING_EXPORT_CSV:
		buf_add_str(head, CSV_HEAD);
		break;
	case BILLING_EXPORT_JSON:
		put_json_head(head, export);
		buf_add_str(out, export->n > 0 ? "]}]}" : "]}");
		break;
	case BILLING_EXPORT_PDF:
		return billing_list_end(out, list);
	}
	return 0;
}

void
billing_export_release(struct billing_export *export)
{
	billing_list_free(export->list);
	export->list = NULL;
}

/* --- all rows at once ------------------------------------------------------------- */

int
billing_write_overage(struct buf *out, enum billing_export_form form,
    const struct license_vendor *vendor, const struct billing_period *period,
    const struct billing_overage *rows, size_t n,
    const struct billing_fonts *fonts)
{
	struct buf body = { 0 };
	struct billing_export export;
	int err = billing_export_begin(&export, form, vendor, period, fonts);

	for (size_t i = 0; i < n && err == 0; i++)
		err = billing_export_row(&export, &body, &rows[i]);
	if (err == 0)
		err = billing_export_end(&export, out, &body);
	billing_export_release(&export);
	if (err == 0)
		buf_add(out, body.data, body.len);
	if (err == 0 && body.failed)
		err = ERR_NOMEM;
	buf_release(&body);
	return err;
}
