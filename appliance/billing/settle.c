/* Credits, taxes and sums of a statement; see billing.h. */
#include "appliance/billing/inside.h"

#include "shared/base/err.h"
#include "shared/base/text.h"

#include <string.h>

/* Lines that are taxed alike. */
struct group {
	const struct record_list *taxes; /* license_tax */
	int64_t sum; /* of its lines; then less its part of the credits */
};

struct settling {
	struct making *making;
	struct group *groups;
	uint32_t n_groups;
};

static int
too_large(struct making *making, const char *what)
{
	return billing_fail(making, ERR_TOO_LARGE, what,
	    "is more than an amount can be");
}

/* --- groups --------------------------------------------------------------------- */

static bool
is_same_tax(const struct license_tax *a, const struct license_tax *b)
{
	return a->rate_ppm == b->rate_ppm && strcmp(a->name, b->name) == 0;
}

static bool
are_same_taxes(const struct record_list *a, const struct record_list *b)
{
	const struct license_tax *x = a->items, *y = b->items;

	if (a->count != b->count)
		return false;
	for (uint32_t i = 0; i < a->count; i++)
		if (!is_same_tax(&x[i], &y[i]))
			return false;
	return true;
}

static uint32_t
group_of(struct settling *settling, const struct record_list *taxes)
{
	uint32_t i;

	for (i = 0; i < settling->n_groups; i++)
		if (are_same_taxes(settling->groups[i].taxes, taxes))
			return i;
	settling->groups[settling->n_groups++].taxes = taxes;
	return i;
}

/* Each group has a line of its own. */
static int
group_lines(struct settling *settling)
{
	struct making *making = settling->making;
	struct statement *s = making->statement;

	for (size_t i = 0; i < making->n_sections; i++) {
		const struct billing_section *section = &making->sections[i];

		for (uint32_t j = 0; j < section->n_lines; j++) {
			struct billing_line *line =
			    &making->lines[section->first_line + j];
			const struct billing_version *v =
			    billing_version_get(making->of[i], line->serial);

			line->taxes =
			    group_of(settling, &v->license->billing.taxes);
			if (billing_add(&settling->groups[line->taxes].sum,
				line->amount) != 0 ||
			    billing_add(&s->sum, line->amount) != 0)
				return too_large(making, "sum");
		}
	}
	return 0;
}

/* --- credits ---------------------------------------------------------------------- */

static int
add_credits(struct settling *settling)
{
	struct making *making = settling->making;
	const struct billing_input *input = making->input;
	struct statement *s = making->statement;
	struct billing_credit_line *lines;

	if (input->n_credits == 0)
		return 0;
	lines = arena_alloc(making->arena, input->n_credits * sizeof(*lines));
	if (lines == NULL)
		return ERR_NOMEM;
	for (size_t i = 0; i < input->n_credits; i++) {
		const struct billing_credit *credit = &input->credits[i];
		int64_t room = s->sum - s->credited;

		if (credit->amount <= 0 || credit->amount > (int64_t)U53_MAX ||
		    strcmp(credit->currency, s->currency) != 0)
			return billing_fail(making, ERR_BAD_REQUEST, "credits",
			    "%s must be an amount above 0 in %s", credit->id,
			    s->currency);
		memcpy(lines[i].id, credit->id, sizeof(lines[i].id));
		memcpy(lines[i].description, credit->description,
		    sizeof(lines[i].description));
		lines[i].amount = credit->amount;
		lines[i].applied =
		    credit->amount < room ? credit->amount : room;
		s->credited += lines[i].applied;
		if (billing_add(&s->credit_left,
			lines[i].amount - lines[i].applied) != 0)
			return too_large(making, "credits");
	}
	s->credits = lines;
	s->n_credits = input->n_credits;
	return 0;
}

/* In proportion, so that the parts add up and none is above its group. */
static void
spread_credits(struct settling *settling)
{
	const struct statement *s = settling->making->statement;
	billing_wide sums = 0, spread = 0;

	if (s->credited == 0)
		return;
	for (uint32_t i = 0; i < settling->n_groups; i++) {
		sums += settling->groups[i].sum;
		billing_wide to =
		    billing_round((billing_wide)s->credited * sums, s->sum);

		settling->groups[i].sum -= (int64_t)(to - spread);
		spread = to;
	}
}

/* --- taxes ------------------------------------------------------------------------ */

static bool
is_listed(const struct record_list *taxes, const struct license_tax *tax,
    uint32_t n)
{
	const struct license_tax *items = taxes->items;

	for (uint32_t i = 0; i < n; i++)
		if (is_same_tax(&items[i], tax))
			return true;
	return false;
}

/* Did an earlier group (or place in this one) have it already? */
static bool
is_told(const struct settling *settling, uint32_t group, uint32_t at)
{
	const struct record_list *taxes = settling->groups[group].taxes;
	const struct license_tax *tax =
	    &((const struct license_tax *)taxes->items)[at];

	for (uint32_t i = 0; i < group; i++)
		if (is_listed(settling->groups[i].taxes, tax,
			settling->groups[i].taxes->count))
			return true;
	return is_listed(taxes, tax, at);
}

static int
add_tax(struct settling *settling, struct billing_tax_line *line,
    const struct license_tax *tax)
{
	struct statement *s = settling->making->statement;

	memcpy(line->name, tax->name, sizeof(line->name));
	line->rate_ppm = tax->rate_ppm;
	for (uint32_t i = 0; i < settling->n_groups; i++)
		if (is_listed(settling->groups[i].taxes, tax,
			settling->groups[i].taxes->count))
			line->base += settling->groups[i].sum;
	if (billing_narrow(&line->amount,
		billing_round((billing_wide)line->base * tax->rate_ppm,
		    LICENSE_PPM)) != 0 ||
	    billing_add(&s->tax, line->amount) != 0)
		return too_large(settling->making, "tax");
	return 0;
}

static int
add_taxes(struct settling *settling)
{
	struct making *making = settling->making;
	struct billing_tax_line *lines;
	size_t n = 0;
	int err = 0;

	for (uint32_t i = 0; i < settling->n_groups; i++)
		n += settling->groups[i].taxes->count;
	if (n == 0)
		return 0;
	lines = arena_alloc(making->arena, n * sizeof(*lines));
	if (lines == NULL)
		return ERR_NOMEM;
	n = 0;
	for (uint32_t i = 0; i < settling->n_groups; i++) {
		const struct record_list *taxes = settling->groups[i].taxes;
		const struct license_tax *items = taxes->items;

		for (uint32_t j = 0; j < taxes->count && err == 0; j++)
			if (!is_told(settling, i, j))
				err = add_tax(settling, &lines[n++], &items[j]);
	}
	making->statement->taxes = lines;
	making->statement->n_taxes = n;
	return err;
}

int
billing_settle(struct making *making)
{
	struct settling settling = { .making = making };
	struct statement *s = making->statement;

	/* A line has one at most; one more, so that it is never nothing. */
	settling.groups = arena_alloc(making->arena,
	    (making->n_lines + 1) * sizeof(*settling.groups));
	if (settling.groups == NULL)
		return ERR_NOMEM;
	int err = group_lines(&settling);

	if (err == 0)
		err = add_credits(&settling);
	if (err != 0)
		return err;
	spread_credits(&settling);
	err = add_taxes(&settling);
	if (err != 0)
		return err;
	s->net = s->sum - s->credited;
	s->total = s->net;
	return billing_add(&s->total, s->tax) == 0 ? 0
						   : too_large(making, "total");
}
