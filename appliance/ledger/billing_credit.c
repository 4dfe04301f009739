/* Credits of a statement, and what is owed before one is given. See
 * billing_answer.h. */
#include "appliance/ledger/billing_answer.h"

#include "appliance/hub/credit.h"
#include "appliance/ledger/credits.h"
#include "appliance/ledger/view_query.h"

#include "shared/base/err.h"
#include "shared/base/text.h"

#include <stdio.h>
#include <string.h>

static const char *const words[] = {
	[CREDIT_OTHER] = "Credit",
	[CREDIT_OUTAGE] = "Credit for an outage",
	[CREDIT_DEFECT] = "Credit for a defect",
	[CREDIT_BILLING_ERROR] = "Correction of an invoice",
	[CREDIT_UNUSED] = "Credit for what was not used",
	[CREDIT_GOODWILL] = "Credit as goodwill",
	[CREDIT_CONTRACT] = "Credit by contract",
};

struct gathering {
	const struct billing_gathered *gathered;
	const struct billing_whose *whose;
	const struct billing_period *period;
	struct billing_credit *credits;
	size_t n;
};

/* The month that it is of is within, whole; and it is of that license, or all
 * are asked for. */
static bool
stands(const struct gathering *g, const struct row_credit *credit)
{
	const char *vendor = g->gathered->vendor.id;

	return credit->first >= g->period->first &&
	    credit->last <= g->period->last &&
	    (credit->vendor[0] == '\0' ||
		strcmp(credit->vendor, vendor) == 0) &&
	    (g->whose->license[0] == '\0' ||
		strcmp(g->whose->license, credit->license_id) == 0);
}

static int
add_credit(void *ctx, const struct row_credit *credit)
{
	struct gathering *g = ctx;
	const char *evidence = credit->evidence;
	const char *license = credit->license_id;

	if (!stands(g, credit))
		return 0;
	if (g->n == BILLING_CREDITS_MAX)
		return ERR_TOO_LARGE;
	struct billing_credit *out = &g->credits[g->n++];

	*out = (struct billing_credit){ .amount = credit->amount };
	text_copy(out->id, sizeof out->id, credit->id);
	text_copy(out->currency, sizeof out->currency, credit->currency);
	snprintf(out->description, sizeof out->description, "%s%s%s%s%s",
	    words[credit->reason < CREDIT_REASONS ? credit->reason
						  : CREDIT_OTHER],
	    license[0] != '\0' ? ", license " : "", license,
	    evidence[0] != '\0' ? ", " : "", evidence);
	return 0;
}

int
billing_credits(struct billing_credit **credits, size_t *n,
    struct ledger_view *view, const struct billing_gathered *gathered,
    const struct billing_whose *whose, const struct billing_period *period,
    struct arena *arena)
{
	struct gathering g = { .gathered = gathered,
		.whose = whose,
		.period = period };

	g.credits = arena_alloc(arena, BILLING_CREDITS_MAX * sizeof *g.credits);
	if (g.credits == NULL)
		return ERR_NOMEM;
	int err =
	    state_each_credit(&view->state, gathered->customer, add_credit, &g);

	*credits = g.credits;
	*n = g.n;
	return err;
}

/* --- before one is given ----------------------------------------------------- */

static int
refuse_period(struct problem *problem)
{
	return query_refuse(problem, ERR_BAD_REQUEST,
	    "period must be a month: 2026-11");
}

static int
make(struct statement *statement, const struct billing_gathered *gathered,
    const struct billing_period *period, struct metering *metering,
    struct arena *arena, struct problem *problem)
{
	const struct billing_input input = {
		.period = *period,
		.licenses = gathered->licenses,
		.n_licenses = gathered->n_licenses,
		.source = billing_source_metering(metering),
	};
	struct record_error why = { "", "" };
	int err = billing_make(statement, &input, arena, &why);

	return err == 0 || why.reason[0] == '\0'
	    ? err
	    : query_refuse(problem, err == ERR_MISMATCH ? ERR_CONFLICT : err,
		  "%s %s", why.field, why.reason);
}

/* Of licenses in several currencies there is no one statement: then only that of
 * the license counts. */
int
billing_owed(struct hub_credit *out, struct ledger_view *view,
    struct metering *metering, struct arena *arena, struct problem *problem)
{
	const struct billing_credit_add *asked = &out->asked;
	struct billing_whose whose = { "", "", asked->customer_crm_id, false,
		0 };
	struct billing_gathered gathered;
	struct billing_period period;
	struct statement statement;
	int err =
	    billing_period_read(&period, asked->period, strlen(asked->period));

	if (err != 0 || strlen(asked->period) != strlen("2026-11"))
		return refuse_period(problem);
	out->first = period.first;
	out->last = period.last;
	err = billing_gather(&gathered, view, &whose, arena, problem);
	if (err == 0)
		err = make(&statement, &gathered, &period, metering, arena,
		    problem);
	if (err == ERR_BAD_REQUEST && asked->license[0] != '\0') {
		memset(problem, 0, sizeof *problem);
		whose.license = asked->license;
		out->alone = true;
		err = billing_gather(&gathered, view, &whose, arena, problem);
		if (err == 0)
			err = make(&statement, &gathered, &period, metering,
			    arena, problem);
	}
	if (err != 0)
		return err;
	text_copy(out->currency, sizeof out->currency, statement.currency);
	out->owed = statement.sum;
	for (size_t i = 0; i < statement.n_sections; i++)
		if (strcmp(statement.sections[i].license_id, asked->license) ==
		    0)
			out->owed_license = statement.sections[i].total;
	return 0;
}
