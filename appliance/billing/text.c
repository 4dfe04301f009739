/* A statement for a terminal of 80 columns; see billing.h. */
#include "appliance/billing/inside.h"

#include "shared/base/clock.h"
#include "shared/base/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define WIDTH 80
#define LEFT 50 /* columns of a description */

/* Bytes of at most `columns` characters; breaks at the last space, if any. */
static size_t
piece(const char *text, size_t columns, size_t *used)
{
	size_t at = 0, n = 0, space = 0, space_n = 0;

	while (text[at] != '\0' && n < columns) {
		if (text[at] == ' ') {
			space = at;
			space_n = n;
		}
		at++;
		while (((uint8_t)text[at] & 0xc0) == 0x80)
			at++;
		n++;
	}
	if (text[at] != '\0' && text[at] != ' ' && space > 0) {
		at = space;
		n = space_n;
	}
	*used = n;
	return at;
}

/* What a terminal would obey, or is no UTF-8, shows as '?'. */
static void
put_clean(struct buf *out, const char *text, size_t len)
{
	for (size_t at = 0; at < len;) {
		size_t n = 1;

		while (at + n < len && ((uint8_t)text[at + n] & 0xc0) == 0x80)
			n++;
		if (text_is_printable(text + at, n))
			buf_add(out, text + at, n);
		else
			buf_add_byte(out, '?');
		at += n;
	}
}

static void
put_spaces(struct buf *out, size_t n)
{
	while (n-- > 0)
		buf_add_byte(out, ' ');
}

static void
put_rule(struct buf *out)
{
	for (int i = 0; i < WIDTH; i++)
		buf_add_byte(out, '-');
	buf_add_byte(out, '\n');
}

/* Description, wrapped; what is right of it stands in its first line. */
static void
put_row(struct buf *out, const char *text, const char *quantity,
    const char *amount)
{
	size_t used, len = piece(text, LEFT, &used);

	put_clean(out, text, len);
	put_spaces(out, LEFT - used);
	buf_printf(out, " %8s %20s\n", quantity, amount);
	for (text += len; *text != '\0'; text += len) {
		text += strspn(text, " ");
		if (*text == '\0')
			break;
		len = piece(text, LEFT - 2, &used);
		buf_add_str(out, "  ");
		put_clean(out, text, len);
		buf_add_byte(out, '\n');
	}
}

static void
put_amount(struct buf *out, const char *text, int64_t amount,
    const char *currency)
{
	char money[BILLING_MONEY_SIZE];

	money_format(money, amount, currency);
	put_row(out, text, "", money);
}

static void
put_named(struct buf *out, const char *what, const char *name, const char *id)
{
	buf_printf(out, "%-10s", what);
	put_clean(out, name, strlen(name));
	if (id[0] != '\0') {
		buf_add_str(out, " (");
		put_clean(out, id, strlen(id));
		buf_add_byte(out, ')');
	}
	buf_add_byte(out, '\n');
}

static void
put_section(struct buf *out, const struct statement *s,
    const struct billing_section *section)
{
	const struct billing_line *line = &s->lines[section->first_line];

	put_rule(out);
	put_named(out, "License", section->license_id,
	    billing_product(&section->product));
	for (uint32_t i = 0; i < section->n_lines; i++, line++) {
		char money[BILLING_MONEY_SIZE], quantity[24];

		money_format(money, line->amount, s->currency);
		snprintf(quantity, sizeof(quantity), "%" PRIu64,
		    line->quantity);
		put_row(out, line->description, quantity, money);
	}
	if (section->n_lines == 0)
		buf_add_str(out, "Nothing to pay.\n");
}

static void
put_settlement(struct buf *out, const struct statement *s)
{
	char text[BILLING_TEXT_MAX + 96], rate[16];

	put_amount(out, "Sum", s->sum, s->currency);
	for (size_t i = 0; i < s->n_credits; i++) {
		snprintf(text, sizeof(text), "Credit %s: %s", s->credits[i].id,
		    s->credits[i].description);
		put_amount(out, text, -s->credits[i].applied, s->currency);
	}
	if (s->n_credits > 0)
		put_amount(out, "Net", s->net, s->currency);
	for (size_t i = 0; i < s->n_taxes; i++) {
		char base[BILLING_MONEY_SIZE];

		billing_percent(rate, s->taxes[i].rate_ppm);
		money_format(base, s->taxes[i].base, s->currency);
		snprintf(text, sizeof(text), "%s: %s %% of %s",
		    s->taxes[i].name, rate, base);
		put_amount(out, text, s->taxes[i].amount, s->currency);
	}
	put_rule(out);
	snprintf(text, sizeof(text), "Total %s", s->currency);
	put_amount(out, text, s->total, s->currency);
	if (s->credit_left > 0)
		put_amount(out, "Credit that is left", s->credit_left,
		    s->currency);
}

void
billing_write_text(struct buf *out, const struct statement *s)
{
	char period[BILLING_PERIOD_SIZE];
	char first[CLOCK_TEXT_SIZE], last[CLOCK_TEXT_SIZE];

	billing_period_format(period, &s->period);
	clock_format_date(first, s->period.first);
	clock_format_date(last, s->period.last);
	buf_printf(out, "Statement %s, days %s to %s UTC, in %s\n\n", period,
	    first, last, s->currency);
	put_named(out, "Vendor", s->vendor.name, s->vendor.id);
	put_named(out, "Customer", s->customer.name,
	    s->customer.crm_account_id);
	put_named(out, "Tenant", s->tenant, "");
	for (size_t i = 0; i < s->n_sections; i++)
		put_section(out, s, &s->sections[i]);
	put_rule(out);
	put_settlement(out, s);
}
