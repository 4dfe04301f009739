/* A statement out of its parts: parties, sections, lines in order; see
 * billing.h. */
#include "appliance/billing/inside.h"

#include "shared/base/err.h"
#include "shared/base/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int
billing_fail(struct making *making, int err, const char *field,
    const char *format, ...)
{
	struct record_error *error = making->error;
	va_list args;

	if (error == NULL)
		return err;
	text_copy(error->field, sizeof(error->field), field);
	va_start(args, format);
	vsnprintf(error->reason, sizeof(error->reason), format, args);
	va_end(args);
	return err;
}

struct billing_line *
billing_line_add(struct making *making, int *err)
{
	size_t room = making->room == 0 ? 16 : 2 * making->room;
	struct billing_line *lines;

	*err = 0;
	if (making->n_lines < making->room)
		return &making->lines[making->n_lines++];
	if (room > BILLING_LINES_MAX) {
		*err = billing_fail(making, ERR_TOO_LARGE, "lines",
		    "are more than %d in one statement; ask for one license or "
		    "a shorter period",
		    BILLING_LINES_MAX);
		return NULL;
	}
	lines = arena_alloc(making->arena, room * sizeof(*lines));
	if (lines == NULL) {
		*err = ERR_NOMEM;
		return NULL;
	}
	if (making->n_lines > 0)
		memcpy(lines, making->lines, making->n_lines * sizeof(*lines));
	making->lines = lines;
	making->room = room;
	return &making->lines[making->n_lines++];
}

static int
by_kind(const void *a, const void *b)
{
	const struct billing_line *x = a, *y = b;

	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	if (x->first != y->first)
		return x->first < y->first ? -1 : 1;
	if (x->serial != y->serial)
		return x->serial < y->serial ? -1 : 1;
	int order = strcmp(x->feature, y->feature);

	return order != 0 ? order : strcmp(x->metric, y->metric);
}

/* --- one license ------------------------------------------------------------------ */

/* The serial that says the names: the highest that began by the period's end,
 * or the lowest. */
static const struct license *
naming_license(const struct billing_license *license,
    const struct billing_period *period)
{
	for (size_t i = license->n_versions; i > 0; i--)
		if (license->versions[i - 1].first <= period->last)
			return license->versions[i - 1].license;
	return license->versions[0].license;
}

static bool
has_day(const struct billing_license *license,
    const struct billing_period *period)
{
	for (size_t i = 0; i < license->n_versions; i++) {
		struct billing_period force =
		    billing_force(&license->versions[i]);
		struct billing_period both = billing_overlap(&force, period);

		if (!billing_is_empty(&both))
			return true;
	}
	return false;
}

static int
add_up(struct making *making, struct billing_section *section)
{
	int err = 0;

	for (uint32_t i = 0; i < section->n_lines && err == 0; i++) {
		const struct billing_line *line =
		    &making->lines[section->first_line + i];

		err = billing_add(&section->total, line->amount);
		if (err == 0 && line->kind == BILLING_COMMIT_FEE)
			err = billing_add(&section->commit_fee, line->amount);
		if (err != 0 || line->kind != BILLING_OVERAGE)
			continue;
		section->overage += line->quantity;
		err = billing_add(&section->overage_cost, line->amount);
	}
	return err == 0
	    ? 0
	    : billing_fail(making, err, "total",
		  "of %s is more than an amount can be", section->license_id);
}

static int
make_section(struct making *making, const struct billing_license *license)
{
	struct billing_section *section = &making->sections[making->n_sections];
	const struct license *named =
	    naming_license(license, &making->input->period);
	size_t first = making->n_lines;

	making->license = license;
	int err = billing_add_fees(making);

	if (err == 0)
		err = billing_add_overage(making);
	if (err == 0)
		err = billing_add_metrics(making);
	if (err != 0 ||
	    (making->n_lines == first &&
		!has_day(license, &making->input->period)))
		return err;
	making->of[making->n_sections++] = license;
	section->product = named->product;
	text_copy(section->license_id, sizeof(section->license_id),
	    named->license_id);
	section->first_line = (uint32_t)first;
	section->n_lines = (uint32_t)(making->n_lines - first);
	if (section->n_lines > 0)
		qsort(making->lines + first, section->n_lines,
		    sizeof(*making->lines), by_kind);
	return add_up(making, section);
}

/* --- parties ---------------------------------------------------------------------- */

static int
take_customer(struct making *making, const struct license *license)
{
	struct license_customer *ours = &making->statement->customer;
	const struct license_customer *theirs = &license->customer;

	if (ours->crm_account_id[0] != '\0' &&
	    theirs->crm_account_id[0] != '\0' &&
	    strcmp(ours->crm_account_id, theirs->crm_account_id) != 0)
		return billing_fail(making, ERR_BAD_REQUEST, "customer",
		    "%s is for account %s, others for %s: ask license by "
		    "license",
		    license->license_id, theirs->crm_account_id,
		    ours->crm_account_id);
	if (ours->crm_account_id[0] == '\0')
		memcpy(ours->crm_account_id, theirs->crm_account_id,
		    sizeof(ours->crm_account_id));
	if (ours->name[0] == '\0')
		memcpy(ours->name, theirs->name, sizeof(ours->name));
	return 0;
}

static int
check_currency(struct making *making, const struct license *license)
{
	const char *theirs = license->entitlement.pricing.currency;
	struct statement *s = making->statement;

	if (s->currency[0] == '\0') {
		memcpy(s->currency, theirs, sizeof(s->currency));
		if (currency_decimals(theirs) < 0)
			return billing_fail(making, ERR_BAD_REQUEST, "currency",
			    "\"%.3s\" of %s is not in use", theirs,
			    license->license_id);
	}
	if (strcmp(s->currency, theirs) == 0)
		return 0;
	return billing_fail(making, ERR_BAD_REQUEST, "currency",
	    "%s is priced in %s, others in %s: ask license by license, and on "
	    "each side of a change",
	    license->license_id, theirs, s->currency);
}

/* Of every serial that has a line, and of the one that names. */
static int
check_currencies(struct making *making)
{
	int err = 0;

	for (size_t i = 0; i < making->n_sections && err == 0; i++) {
		const struct billing_section *section = &making->sections[i];

		err = check_currency(making,
		    naming_license(making->of[i], &making->input->period));
		for (uint32_t j = 0; j < section->n_lines && err == 0; j++)
			err = check_currency(making,
			    billing_version_get(making->of[i],
				making->lines[section->first_line + j].serial)
				->license);
	}
	return err;
}

static int
check_party(struct making *making, const struct license *license)
{
	struct statement *s = making->statement;

	if (s->tenant[0] == '\0') {
		s->vendor = license->vendor;
		text_copy(s->tenant, sizeof(s->tenant), license->tenant);
	}
	if (strcmp(s->vendor.id, license->vendor.id) == 0 &&
	    strcmp(s->tenant, license->tenant) == 0)
		return 0;
	return billing_fail(making, ERR_BAD_REQUEST, "license",
	    "%s is of %s for %s, others of %s for %s", license->license_id,
	    license->vendor.id, license->tenant, s->vendor.id, s->tenant);
}

static int
name_parties(struct making *making)
{
	const struct billing_input *input = making->input;
	struct statement *s = making->statement;
	int err = 0;

	for (size_t i = 0; i < input->n_licenses && err == 0; i++)
		for (size_t j = 0;
		     j < input->licenses[i].n_versions && err == 0; j++)
			err = check_party(making,
			    input->licenses[i].versions[j].license);
	for (size_t i = 0; i < making->n_sections && err == 0; i++)
		err = take_customer(making,
		    naming_license(making->of[i], &input->period));
	if (err == 0 && making->n_sections == 0) {
		const struct license *named =
		    naming_license(&input->licenses[0], &input->period);

		err = take_customer(making, named);
		if (err == 0)
			err = check_currency(making, named);
	}
	if (s->customer.name[0] == '\0')
		text_copy(s->customer.name, sizeof(s->customer.name),
		    s->tenant);
	return err == 0 ? check_currencies(making) : err;
}

/* --- the whole -------------------------------------------------------------------- */

static int
check_input(struct making *making)
{
	const struct billing_input *input = making->input;

	if (billing_period_check(&input->period) != 0)
		return billing_fail(making, ERR_BAD_REQUEST, "period",
		    "must be from one to %d days", BILLING_DAYS_MAX);
	if (input->n_licenses == 0 || input->n_licenses > BILLING_LICENSES_MAX)
		return billing_fail(making, ERR_BAD_REQUEST, "licenses",
		    "must be from one to %d", BILLING_LICENSES_MAX);
	if (input->n_credits > BILLING_CREDITS_MAX)
		return billing_fail(making, ERR_BAD_REQUEST, "credits",
		    "must be at most %d", BILLING_CREDITS_MAX);
	for (size_t i = 0; i < input->n_licenses; i++)
		if (input->licenses[i].n_versions == 0 ||
		    input->licenses[i].n_versions > BILLING_SERIALS_MAX)
			return billing_fail(making, ERR_BAD_REQUEST, "serials",
			    "must be from one to %d a license",
			    BILLING_SERIALS_MAX);
	return 0;
}

static int
make(struct making *making)
{
	const struct billing_input *input = making->input;
	int err = check_input(making);

	if (err != 0)
		return err;
	making->sections = arena_alloc(making->arena,
	    input->n_licenses * sizeof(*making->sections));
	making->of =
	    arena_alloc(making->arena, input->n_licenses * sizeof(*making->of));
	if (making->sections == NULL || making->of == NULL)
		return ERR_NOMEM;
	for (size_t i = 0; i < input->n_licenses && err == 0; i++)
		err = make_section(making, &input->licenses[i]);
	if (err == 0)
		err = name_parties(making);
	return err == 0 ? billing_settle(making) : err;
}

int
billing_make(struct statement *statement, const struct billing_input *input,
    struct arena *arena, struct record_error *error)
{
	struct making making = { .input = input,
		.statement = statement,
		.arena = arena,
		.error = error };

	memset(statement, 0, sizeof(*statement));
	if (error != NULL)
		memset(error, 0, sizeof(*error));
	statement->period = input->period;
	int err = make(&making);

	if (err != 0) {
		memset(statement, 0, sizeof(*statement));
		return err;
	}
	statement->sections = making.sections;
	statement->n_sections = making.n_sections;
	statement->lines = making.lines;
	statement->n_lines = making.n_lines;
	return 0;
}
