/* A statement as JSON, whole and as an invoice; see billing.h. Written by hand
 * and not from record tables: amounts stand in the currency of the statement,
 * deep below it, and those of credits are negative in an invoice. */
#include "appliance/billing/inside.h"

#include "shared/base/clock.h"
#include "shared/record/json.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* --- pieces ---------------------------------------------------------------------- */

const char *
billing_product(const struct license_product *product)
{
	return product->name[0] != '\0' ? product->name : product->id;
}

void
billing_percent(char out[16], uint32_t ppm)
{
	int n = snprintf(out, 16, "%u.%04u", ppm / 10000, ppm % 10000);

	while (n > 0 && out[n - 1] == '0')
		out[--n] = '\0';
	if (n > 0 && out[n - 1] == '.')
		out[n - 1] = '\0';
}

void
billing_put_string(struct buf *out, const char *text)
{
	json_add_string(out, text, strlen(text));
}

void
billing_put_key(struct buf *out, const char *key)
{
	if (out->len > 0 && out->data[out->len - 1] != '{')
		buf_add_byte(out, ',');
	billing_put_string(out, key);
	buf_add_byte(out, ':');
}

void
billing_put_text(struct buf *out, const char *key, const char *text)
{
	billing_put_key(out, key);
	billing_put_string(out, text);
}

void
billing_put_money(struct buf *out, const char *key, int64_t minor,
    const char *currency)
{
	char text[BILLING_MONEY_SIZE];

	money_format(text, minor, currency);
	billing_put_key(out, key);
	buf_add_str(out, text);
}

void
billing_put_u64(struct buf *out, const char *key, uint64_t value)
{
	billing_put_key(out, key);
	buf_printf(out, "%" PRIu64, value);
}

void
billing_put_day(struct buf *out, const char *key, int32_t day)
{
	char text[CLOCK_TEXT_SIZE];

	clock_format_date(text, day);
	billing_put_text(out, key, text);
}

static void
put_item(struct buf *out, size_t i)
{
	buf_add_str(out, i > 0 ? ",{" : "{");
}

/* --- the whole statement ------------------------------------------------------------ */

static const char *const kind_names[] = {
	[BILLING_COMMIT_FEE] = "commit_fee",
	[BILLING_SUBSCRIPTION] = "subscription",
	[BILLING_OVERAGE] = "overage",
	[BILLING_USAGE] = "usage",
	[BILLING_SHARE] = "revenue_share",
};

static void
put_line(struct buf *out, const struct billing_line *line, const char *currency)
{
	billing_put_text(out, "kind", kind_names[line->kind]);
	billing_put_u64(out, "serial", line->serial);
	billing_put_text(out, "description", line->description);
	billing_put_day(out, "start", line->first);
	billing_put_day(out, "end", line->last);
	billing_put_u64(out, "quantity", line->quantity);
	billing_put_money(out, "unit_price", line->unit_price, currency);
	billing_put_money(out, "amount", line->amount, currency);
	if (line->of_days != 0) {
		billing_put_u64(out, "days", line->days);
		billing_put_u64(out, "of_days", line->of_days);
	}
	if (line->kind == BILLING_OVERAGE) {
		billing_put_text(out, "feature", line->feature);
		billing_put_u64(out, "overage_first", line->overage_first);
		billing_put_u64(out, "overage_last", line->overage_last);
	}
	if (line->kind == BILLING_USAGE || line->kind == BILLING_SHARE) {
		billing_put_text(out, "metric", line->metric);
		billing_put_u64(out, "used", line->used);
	}
	if (line->kind == BILLING_USAGE)
		billing_put_u64(out, "included", line->included);
	if (line->kind == BILLING_SHARE)
		billing_put_u64(out, "share_ppm", line->share_ppm);
}

static void
put_section(struct buf *out, const struct statement *s,
    const struct billing_section *section)
{
	billing_put_text(out, "license_id", section->license_id);
	billing_put_text(out, "product_id", section->product.id);
	billing_put_text(out, "product_name",
	    billing_product(&section->product));
	billing_put_u64(out, "overage_checkouts", section->overage);
	billing_put_money(out, "overage_cost", section->overage_cost,
	    s->currency);
	billing_put_money(out, "commit_fee", section->commit_fee, s->currency);
	billing_put_money(out, "total", section->total, s->currency);
	billing_put_key(out, "lines");
	buf_add_byte(out, '[');
	for (uint32_t i = 0; i < section->n_lines; i++) {
		put_item(out, i);
		put_line(out, &s->lines[section->first_line + i], s->currency);
		buf_add_byte(out, '}');
	}
	buf_add_byte(out, ']');
}

static void
put_parties(struct buf *out, const struct statement *s)
{
	char period[BILLING_PERIOD_SIZE];

	billing_period_format(period, &s->period);
	billing_put_key(out, "vendor");
	buf_add_byte(out, '{');
	billing_put_text(out, "id", s->vendor.id);
	billing_put_text(out, "name", s->vendor.name);
	buf_add_byte(out, '}');
	billing_put_key(out, "customer");
	buf_add_byte(out, '{');
	billing_put_text(out, "crm_account_id", s->customer.crm_account_id);
	billing_put_text(out, "name", s->customer.name);
	billing_put_text(out, "tenant_id", s->tenant);
	buf_add_byte(out, '}');
	billing_put_key(out, "period");
	buf_add_byte(out, '{');
	billing_put_text(out, "name", period);
	billing_put_day(out, "start", s->period.first);
	billing_put_day(out, "end", s->period.last);
	buf_add_byte(out, '}');
	billing_put_text(out, "currency", s->currency);
}

static void
put_settlement(struct buf *out, const struct statement *s)
{
	billing_put_key(out, "credits");
	buf_add_byte(out, '[');
	for (size_t i = 0; i < s->n_credits; i++) {
		put_item(out, i);
		billing_put_text(out, "id", s->credits[i].id);
		billing_put_text(out, "description", s->credits[i].description);
		billing_put_money(out, "amount", s->credits[i].amount,
		    s->currency);
		billing_put_money(out, "applied", s->credits[i].applied,
		    s->currency);
		buf_add_byte(out, '}');
	}
	buf_add_str(out, "],\"taxes\":[");
	for (size_t i = 0; i < s->n_taxes; i++) {
		put_item(out, i);
		billing_put_text(out, "name", s->taxes[i].name);
		billing_put_u64(out, "rate_ppm", s->taxes[i].rate_ppm);
		billing_put_money(out, "base", s->taxes[i].base, s->currency);
		billing_put_money(out, "amount", s->taxes[i].amount,
		    s->currency);
		buf_add_byte(out, '}');
	}
	buf_add_byte(out, ']');
	billing_put_money(out, "sum", s->sum, s->currency);
	billing_put_money(out, "credited", s->credited, s->currency);
	billing_put_money(out, "credit_left", s->credit_left, s->currency);
	billing_put_money(out, "net", s->net, s->currency);
	billing_put_money(out, "tax", s->tax, s->currency);
	billing_put_money(out, "total", s->total, s->currency);
}

void
billing_write_json(struct buf *out, const struct statement *s)
{
	buf_add_byte(out, '{');
	put_parties(out, s);
	billing_put_key(out, "licenses");
	buf_add_byte(out, '[');
	for (size_t i = 0; i < s->n_sections; i++) {
		put_item(out, i);
		put_section(out, s, &s->sections[i]);
		buf_add_byte(out, '}');
	}
	buf_add_byte(out, ']');
	put_settlement(out, s);
	buf_add_byte(out, '}');
}

/* --- the invoice ---------------------------------------------------------------------- */

static void
put_invoice_line(struct buf *out, size_t *n, const char *before,
    const char *description, int64_t amount, int64_t unit_price,
    uint64_t quantity, const char *currency)
{
	char text[sizeof(struct license_product) + BILLING_TEXT_MAX];

	snprintf(text, sizeof(text), "%s%s%s", before,
	    before[0] != '\0' ? ": " : "", description);
	put_item(out, (*n)++);
	billing_put_text(out, "description", text);
	billing_put_money(out, "amount", amount, currency);
	billing_put_money(out, "unit_price", unit_price, currency);
	billing_put_u64(out, "quantity", quantity);
	buf_add_byte(out, '}');
}

static void
put_invoice_lines(struct buf *out, const struct statement *s)
{
	size_t n = 0;

	for (size_t i = 0; i < s->n_sections; i++) {
		const struct billing_section *section = &s->sections[i];
		const struct billing_line *line =
		    &s->lines[section->first_line];

		for (uint32_t j = 0; j < section->n_lines; j++, line++)
			put_invoice_line(out, &n,
			    billing_product(&section->product),
			    line->description, line->amount, line->unit_price,
			    line->quantity, s->currency);
	}
	for (size_t i = 0; i < s->n_credits; i++)
		if (s->credits[i].applied > 0)
			put_invoice_line(out, &n, s->credits[i].id,
			    s->credits[i].description, -s->credits[i].applied,
			    -s->credits[i].applied, 1, s->currency);
	for (size_t i = 0; i < s->n_taxes; i++)
		put_invoice_line(out, &n, "", s->taxes[i].name,
		    s->taxes[i].amount, s->taxes[i].amount, 1, s->currency);
}

void
billing_write_invoice(struct buf *out, const struct statement *s)
{
	char period[BILLING_PERIOD_SIZE];

	billing_period_format(period, &s->period);
	buf_add_byte(out, '{');
	billing_put_text(out, "source", "leasehold");
	billing_put_text(out, "period", period);
	billing_put_text(out, "crm_account_id", s->customer.crm_account_id);
	billing_put_key(out, "line_items");
	buf_add_byte(out, '[');
	put_invoice_lines(out, s);
	buf_add_byte(out, ']');
	billing_put_money(out, "total", s->total, s->currency);
	billing_put_text(out, "currency", s->currency);
	buf_add_byte(out, '}');
}
