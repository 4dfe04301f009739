/* The overage export as pages: a row a license, a total a currency; see
 * billing.h. */
#include "appliance/billing/inside.h"
#include "appliance/billing/sheet.h"

#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CUSTOMER_WIDTH 170.0F
#define PRODUCT_AT 236.0F
#define PRODUCT_WIDTH 150.0F
#define CHECKOUTS_END 442.0F
#define TOTALS_MAX 256 /* ISO 4217 has fewer */

struct billing_list {
	struct sheet sheet;
	struct {
		char currency[4];
		int64_t sum;
	} totals[TOTALS_MAX];
	uint32_t n;
};

static void
put_head(struct sheet *sheet)
{
	sheet_text(sheet, true, SHEET_SIZE, SHEET_LEFT, 0, "Customer");
	sheet_text(sheet, true, SHEET_SIZE, PRODUCT_AT, 0, "Product");
	sheet_right(sheet, true, SHEET_SIZE, CHECKOUTS_END, 0, "Checkouts");
	sheet_right(sheet, true, SHEET_SIZE, SHEET_RIGHT, 0, "Cost");
	sheet->y += SHEET_LINE;
	sheet_rule(sheet, 0);
	sheet->y += 4;
}

static void
need(struct sheet *sheet, uint32_t lines)
{
	if (sheet->y + (float)lines * SHEET_LINE <= SHEET_BOTTOM)
		return;
	sheet_page(sheet);
	put_head(sheet);
}

static uint32_t
larger(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

static void
put_cost(struct sheet *sheet, bool bold, int64_t cost, const char *currency)
{
	char money[BILLING_MONEY_SIZE], text[BILLING_MONEY_SIZE + 8];

	money_format(money, cost, currency);
	snprintf(text, sizeof(text), "%s %s", money, currency);
	sheet_right(sheet, bold, SHEET_SIZE, SHEET_RIGHT, 0, text);
}

static void
put_row(struct sheet *sheet, const struct billing_overage *row)
{
	char customer[256], product[256], count[24];

	snprintf(customer, sizeof(customer), "%s%s%s",
	    row->customer.crm_account_id,
	    row->customer.crm_account_id[0] != '\0' ? " " : "",
	    row->customer.name);
	snprintf(product, sizeof(product), "%s, %s",
	    billing_product(&row->product), row->license_id);
	uint32_t n = larger(sheet_lines(sheet, false, SHEET_SIZE,
				CUSTOMER_WIDTH, customer),
	    sheet_lines(sheet, false, SHEET_SIZE, PRODUCT_WIDTH, product));

	need(sheet, n);
	snprintf(count, sizeof(count), "%" PRIu64, row->checkouts);
	sheet_wrapped(sheet, false, SHEET_SIZE, SHEET_LEFT, CUSTOMER_WIDTH,
	    customer);
	sheet_wrapped(sheet, false, SHEET_SIZE, PRODUCT_AT, PRODUCT_WIDTH,
	    product);
	sheet_right(sheet, false, SHEET_SIZE, CHECKOUTS_END, 0, count);
	put_cost(sheet, false, row->cost, row->currency);
	sheet->y += (float)n * SHEET_LINE + 2;
}

static int
add_total(struct billing_list *list, const struct billing_overage *row)
{
	uint32_t i = 0;

	while (i < list->n && strcmp(list->totals[i].currency, row->currency))
		i++;
	if (i == TOTALS_MAX)
		return ERR_TOO_LARGE;
	if (i == list->n) {
		text_copy(list->totals[i].currency,
		    sizeof(list->totals[i].currency), row->currency);
		list->n++;
	}
	return billing_add(&list->totals[i].sum, row->cost);
}

int
billing_list_begin(struct billing_list **out,
    const struct license_vendor *vendor, const struct billing_period *period,
    const struct billing_fonts *fonts)
{
	struct billing_list *list = calloc(1, sizeof(*list));
	char name[BILLING_PERIOD_SIZE], title[64];

	*out = list;
	if (list == NULL)
		return ERR_NOMEM;
	struct sheet *sheet = &list->sheet;

	billing_period_format(name, period);
	snprintf(title, sizeof(title), "Overage %s", name);
	int err = sheet_open(sheet, fonts, title);

	if (err != 0)
		return err;
	snprintf(sheet->foot, sizeof(sheet->foot), "%s, %s", title,
	    vendor->name);
	sheet_page(sheet);
	sheet_text(sheet, true, 18, SHEET_LEFT, 0, "Overage");
	sheet_right(sheet, true, 12, SHEET_RIGHT, 5, name);
	sheet->y += 32;
	sheet->y += SHEET_LINE *
	    (float)sheet_wrapped(sheet, false, SHEET_SIZE, SHEET_LEFT,
		SHEET_RIGHT - SHEET_LEFT, vendor->name);
	sheet->y += 16;
	put_head(sheet);
	return sheet->err;
}

int
billing_list_row(struct billing_list *list, const struct billing_overage *row)
{
	int err = add_total(list, row);

	if (err == 0)
		put_row(&list->sheet, row);
	return err != 0 ? err : list->sheet.err;
}

/* One of each currency, in order of first appearance. */
int
billing_list_end(struct buf *out, struct billing_list *list)
{
	struct sheet *sheet = &list->sheet;

	need(sheet, 2);
	sheet_rule(sheet, 0);
	sheet->y += 4;
	for (uint32_t i = 0; i < list->n; i++) {
		need(sheet, 1);
		sheet_text(sheet, true, SHEET_SIZE, SHEET_LEFT, 0, "Total");
		put_cost(sheet, true, list->totals[i].sum,
		    list->totals[i].currency);
		sheet->y += SHEET_LINE;
	}
	int err = sheet_close(out, sheet);

	free(list);
	return err;
}

void
billing_list_free(struct billing_list *list)
{
	if (list == NULL)
		return;
	/* Nothing is written. */
	if (list->sheet.err == 0)
		list->sheet.err = ERR_CLOSED;
	(void)sheet_close(NULL, &list->sheet);
	free(list);
}
