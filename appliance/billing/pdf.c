/* A statement as pages: parties, a table, what it adds up to; see billing.h. */
#include "appliance/billing/inside.h"
#include "appliance/billing/sheet.h"

#include "shared/base/clock.h"
#include "shared/base/err.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DESCRIPTION_WIDTH 258.0F
#define QUANTITY_END 366.0F
#define UNIT_END 452.0F
/* Lines that stay free below the table for what is carried over. */
#define CARRY_ROOM SHEET_LINE

struct paper {
	struct sheet sheet;
	const struct statement *s;
	int64_t carried; /* of the lines so far */
};

static void
format(char out[BILLING_MONEY_SIZE], const struct paper *paper, int64_t amount)
{
	money_format(out, amount, paper->s->currency);
}

/* --- heads ----------------------------------------------------------------------------- */

static void
put_table_head(struct paper *paper)
{
	struct sheet *sheet = &paper->sheet;
	char amount[32];

	snprintf(amount, sizeof(amount), "Amount %s", paper->s->currency);
	sheet_text(sheet, true, SHEET_SIZE, SHEET_LEFT, 0, "Description");
	sheet_right(sheet, true, SHEET_SIZE, QUANTITY_END, 0, "Quantity");
	sheet_right(sheet, true, SHEET_SIZE, UNIT_END, 0, "Unit price");
	sheet_right(sheet, true, SHEET_SIZE, SHEET_RIGHT, 0, amount);
	sheet->y += SHEET_LINE;
	sheet_rule(sheet, 0);
	sheet->y += 4;
}

static float
put_party(struct paper *paper, float x, const char *what, const char *name,
    const char *id_word, const char *id)
{
	struct sheet *sheet = &paper->sheet;
	char line[256];
	float from = sheet->y;

	sheet_text(sheet, false, 7.5F, x, 0, what);
	sheet->y += SHEET_LINE;
	sheet->y +=
	    SHEET_LINE * (float)sheet_wrapped(sheet, true, 10, x, 220, name);
	if (id[0] != '\0') {
		snprintf(line, sizeof(line), "%s %s", id_word, id);
		sheet->y += SHEET_LINE *
		    (float)sheet_wrapped(sheet, false, SHEET_SIZE, x, 220,
			line);
	}
	float height = sheet->y - from;

	sheet->y = from;
	return height;
}

static void
put_fact(struct paper *paper, const char *what, const char *value)
{
	sheet_text(&paper->sheet, false, SHEET_SIZE, SHEET_LEFT, 0, what);
	sheet_text(&paper->sheet, false, SHEET_SIZE, SHEET_LEFT + 90, 0, value);
	paper->sheet.y += SHEET_LINE;
}

static void
put_first_head(struct paper *paper)
{
	const struct statement *s = paper->s;
	struct sheet *sheet = &paper->sheet;
	char period[BILLING_PERIOD_SIZE], days[96];
	char first[CLOCK_TEXT_SIZE], last[CLOCK_TEXT_SIZE];

	billing_period_format(period, &s->period);
	clock_format_date(first, s->period.first);
	clock_format_date(last, s->period.last);
	snprintf(days, sizeof(days), "%s to %s (UTC)", first, last);
	sheet_text(sheet, true, 18, SHEET_LEFT, 0, "Statement");
	sheet_right(sheet, true, 12, SHEET_RIGHT, 5, period);
	sheet->y += 40;
	float left = put_party(paper, SHEET_LEFT, "From", s->vendor.name,
	    "Vendor", s->vendor.id);
	float right = put_party(paper, 306, "To", s->customer.name, "Account",
	    s->customer.crm_account_id);

	sheet->y += (left > right ? left : right) + 16;
	put_fact(paper, "Period", days);
	put_fact(paper, "Tenant", s->tenant);
	put_fact(paper, "Currency", s->currency);
	sheet->y += 16;
	put_table_head(paper);
}

static void
put_carried(struct paper *paper, const char *text)
{
	char money[BILLING_MONEY_SIZE];

	format(money, paper, paper->carried);
	sheet_text(&paper->sheet, true, SHEET_SIZE, SHEET_LEFT, 0, text);
	sheet_right(&paper->sheet, true, SHEET_SIZE, SHEET_RIGHT, 0, money);
	paper->sheet.y += SHEET_LINE;
}

/* Room for that many lines, on this page or a new one. */
static void
need(struct paper *paper, uint32_t lines)
{
	struct sheet *sheet = &paper->sheet;

	if (sheet->y + (float)lines * SHEET_LINE + CARRY_ROOM <= SHEET_BOTTOM)
		return;
	sheet->y = SHEET_BOTTOM - SHEET_LINE;
	put_carried(paper, "Carried over");
	sheet_page(sheet);
	put_table_head(paper);
	put_carried(paper, "Brought forward");
	sheet->y += 4;
}

/* --- the table ----------------------------------------------------------------------------- */

static void
put_line(struct paper *paper, const struct billing_line *line)
{
	struct sheet *sheet = &paper->sheet;
	char quantity[24], unit[BILLING_MONEY_SIZE], amount[BILLING_MONEY_SIZE];
	uint32_t n = sheet_lines(sheet, false, SHEET_SIZE, DESCRIPTION_WIDTH,
	    line->description);

	need(paper, n);
	snprintf(quantity, sizeof(quantity), "%" PRIu64, line->quantity);
	format(unit, paper, line->unit_price);
	format(amount, paper, line->amount);
	sheet_wrapped(sheet, false, SHEET_SIZE, SHEET_LEFT, DESCRIPTION_WIDTH,
	    line->description);
	sheet_right(sheet, false, SHEET_SIZE, QUANTITY_END, 0, quantity);
	sheet_right(sheet, false, SHEET_SIZE, UNIT_END, 0, unit);
	sheet_right(sheet, false, SHEET_SIZE, SHEET_RIGHT, 0, amount);
	sheet->y += (float)n * SHEET_LINE;
	paper->carried += line->amount;
}

static void
put_section(struct paper *paper, const struct billing_section *section)
{
	const struct statement *s = paper->s;
	struct sheet *sheet = &paper->sheet;
	char name[256], money[BILLING_MONEY_SIZE];

	snprintf(name, sizeof(name), "%s, license %s",
	    billing_product(&section->product), section->license_id);
	uint32_t n = sheet_lines(sheet, true, SHEET_SIZE,
	    SHEET_RIGHT - SHEET_LEFT, name);

	/* Not alone at the foot of a page. */
	need(paper, n + 3);
	sheet->y += SHEET_LINE *
	    (float)sheet_wrapped(sheet, true, SHEET_SIZE, SHEET_LEFT,
		SHEET_RIGHT - SHEET_LEFT, name);
	for (uint32_t i = 0; i < section->n_lines; i++)
		put_line(paper, &s->lines[section->first_line + i]);
	if (section->n_lines == 0) {
		sheet_text(sheet, false, SHEET_SIZE, SHEET_LEFT, 0,
		    "Nothing to pay");
		sheet->y += SHEET_LINE;
	}
	if (s->n_sections > 1 && section->n_lines > 0) {
		need(paper, 1);
		format(money, paper, section->total);
		sheet_text(sheet, true, SHEET_SIZE, SHEET_LEFT, 0, "Subtotal");
		sheet_right(sheet, true, SHEET_SIZE, SHEET_RIGHT, 0, money);
		sheet->y += SHEET_LINE;
	}
	sheet->y += 6;
}

/* --- what it adds up to ----------------------------------------------------------------------- */

static void
put_sum(struct paper *paper, bool bold, const char *text, int64_t amount)
{
	struct sheet *sheet = &paper->sheet;
	char money[BILLING_MONEY_SIZE];
	uint32_t n = sheet_lines(sheet, bold, SHEET_SIZE, 300, text);

	need(paper, n);
	format(money, paper, amount);
	sheet_wrapped(sheet, bold, SHEET_SIZE, SHEET_LEFT, 300, text);
	sheet_right(sheet, bold, SHEET_SIZE, SHEET_RIGHT, 0, money);
	sheet->y += (float)n * SHEET_LINE;
}

static void
put_settlement(struct paper *paper)
{
	const struct statement *s = paper->s;
	struct sheet *sheet = &paper->sheet;
	char text[BILLING_TEXT_MAX + 96], rate[16], base[BILLING_MONEY_SIZE];

	need(paper, 6);
	sheet_rule(sheet, 0);
	sheet->y += 4;
	put_sum(paper, false, "Sum", s->sum);
	for (size_t i = 0; i < s->n_credits; i++) {
		snprintf(text, sizeof(text), "Credit %s%s%s", s->credits[i].id,
		    s->credits[i].description[0] != '\0' ? ": " : "",
		    s->credits[i].description);
		put_sum(paper, false, text, -s->credits[i].applied);
		paper->carried -= s->credits[i].applied;
	}
	if (s->n_credits > 0)
		put_sum(paper, false, "Net", s->net);
	for (size_t i = 0; i < s->n_taxes; i++) {
		billing_percent(rate, s->taxes[i].rate_ppm);
		format(base, paper, s->taxes[i].base);
		snprintf(text, sizeof(text), "%s: %s %% of %s",
		    s->taxes[i].name, rate, base);
		put_sum(paper, false, text, s->taxes[i].amount);
		paper->carried += s->taxes[i].amount;
	}
	need(paper, 3);
	sheet_rule(sheet, 2);
	sheet->y += 7;
	snprintf(text, sizeof(text), "Total %s", s->currency);
	put_sum(paper, true, text, s->total);
	sheet_rule(sheet, 2);
	sheet_rule(sheet, 4);
	sheet->y += 12;
	if (s->credit_left > 0)
		put_sum(paper, false, "Credit that is left, not paid out",
		    s->credit_left);
}

int
billing_write_pdf(struct buf *out, const struct statement *s,
    const struct billing_fonts *fonts)
{
	struct paper *paper = calloc(1, sizeof(*paper));
	char period[BILLING_PERIOD_SIZE], title[64];

	if (paper == NULL)
		return ERR_NOMEM;
	paper->s = s;
	billing_period_format(period, &s->period);
	snprintf(title, sizeof(title), "Statement %s", period);
	int err = sheet_open(&paper->sheet, fonts, title);

	if (err == 0) {
		snprintf(paper->sheet.foot, sizeof(paper->sheet.foot),
		    "Statement %s, %s to %s", period, s->vendor.id,
		    s->customer.crm_account_id[0] != '\0'
			? s->customer.crm_account_id
			: s->tenant);
		sheet_page(&paper->sheet);
		put_first_head(paper);
		for (size_t i = 0; i < s->n_sections; i++)
			put_section(paper, &s->sections[i]);
		put_settlement(paper);
	}
	err = sheet_close(out, &paper->sheet);
	free(paper);
	return err;
}
