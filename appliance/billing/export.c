/* The overage export: rows of licenses, as CSV and JSON; see billing.h. */
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

void
billing_write_csv(struct buf *out, const struct billing_overage *rows, size_t n)
{
	char cost[BILLING_MONEY_SIZE], period[BILLING_PERIOD_SIZE];

	buf_add_str(out,
	    "CRM_Account_ID,Customer_Name,Product,Total_Overage_Checkouts,"
	    "Total_Cost,Currency,Billing_Period\r\n");
	for (size_t i = 0; i < n; i++) {
		const struct billing_overage *row = &rows[i];

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

static void
put_customers(struct buf *out, const struct billing_overage *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct billing_overage *row = &rows[i];

		if (i > 0 && is_same_customer(row, &rows[i - 1])) {
			buf_add_byte(out, ',');
			put_product(out, row);
			continue;
		}
		buf_add_str(out, i > 0 ? "]},{" : "{");
		billing_put_text(out, "crm_account_id",
		    row->customer.crm_account_id);
		billing_put_text(out, "tenant_id", row->tenant);
		billing_put_text(out, "customer_name", row->customer.name);
		billing_put_key(out, "products");
		buf_add_byte(out, '[');
		put_product(out, row);
	}
	if (n > 0)
		buf_add_str(out, "]}");
}

int
billing_write_overage_json(struct buf *out, const struct license_vendor *vendor,
    const struct billing_period *period, const struct billing_overage *rows,
    size_t n)
{
	int64_t revenue = 0;

	for (size_t i = 0; i < n; i++) {
		if (strcmp(rows[i].currency, rows[0].currency) != 0)
			return ERR_BAD_REQUEST;
		if (billing_add(&revenue, rows[i].cost) != 0)
			return ERR_TOO_LARGE;
	}
	const char *currency = n > 0 ? rows[0].currency : "";

	buf_add_byte(out, '{');
	billing_put_text(out, "vendor_id", vendor->id);
	billing_put_key(out, "period");
	buf_add_byte(out, '{');
	billing_put_day(out, "start", period->first);
	billing_put_day(out, "end", period->last);
	buf_add_byte(out, '}');
	/* Of nothing, in no currency, it is nothing. */
	if (n > 0)
		billing_put_money(out, "total_overage_revenue", revenue,
		    currency);
	else
		billing_put_u64(out, "total_overage_revenue", 0);
	billing_put_text(out, "currency", currency);
	billing_put_key(out, "customers");
	buf_add_byte(out, '[');
	put_customers(out, rows, n);
	buf_add_str(out, "]}");
	return 0;
}
