/*
 * Statements of made-up months: a case a line on standard input, as JSON; of
 * each the statement on standard output, a line, or "! CODE FIELD". It is for
 * comparing with a calculation that shares no code.
 *
 *   bill_tool json|overage|invoice|csv|text|pdf
 */
#include "appliance/billing/billing.h"

#include "shared/base/err.h"
#include "shared/record/record.h"
#include "tests/unit/billing_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct bill_overage {
	char license[64];
	uint64_t serial;
	char feature[64];
	int32_t day;
	uint64_t first;
	uint64_t count;
};
struct bill_usage {
	char license[64];
	uint64_t serial;
	char metric[64];
	bool gauge;
	int32_t day;
	uint64_t amount;
};
struct bill_credit {
	char id[64];
	char description[BILLING_TEXT_MAX];
	int64_t amount;
	char currency[4];
};
struct bill_cancelled {
	char license[64];
	int32_t day;
};
struct bill_case {
	char period[BILLING_PERIOD_SIZE];
	struct record_list licenses; /* license, those of one id side by side */
	struct record_list cancelled;
	struct record_list overage;
	struct record_list usage;
	struct record_list credits;
};

static const struct record_field bill_overage_fields[] = {
	R_TEXT(bill_overage, license, 1, 63, 0, ""),
	R_U64(bill_overage, serial, 1, U53_MAX, 0, ""),
	R_TEXT(bill_overage, feature, 0, 63, RECORD_OPTIONAL, ""),
	R_DATE(bill_overage, day, 0, ""),
	R_U64(bill_overage, first, 1, U53_MAX, 0, ""),
	R_U64(bill_overage, count, 1, U53_MAX, 0, ""),
};
static RECORD_DEFINE(bill_overage, 1, "");
static const struct record_field bill_usage_fields[] = {
	R_TEXT(bill_usage, license, 1, 63, 0, ""),
	R_U64(bill_usage, serial, 1, U53_MAX, 0, ""),
	R_TEXT(bill_usage, metric, 1, 63, 0, ""),
	R_BOOL(bill_usage, gauge, RECORD_OPTIONAL, ""),
	R_DATE(bill_usage, day, 0, ""),
	R_U64(bill_usage, amount, 0, U53_MAX, 0, ""),
};
static RECORD_DEFINE(bill_usage, 1, "");
static const struct record_field bill_credit_fields[] = {
	R_TEXT(bill_credit, id, 1, 63, 0, ""),
	R_TEXT(bill_credit, description, 0, 255, RECORD_OPTIONAL, ""),
	R_MONEY(bill_credit, amount, currency, 0, ""),
	R_TEXT(bill_credit, currency, 3, 3, 0, ""),
};
static RECORD_DEFINE(bill_credit, 1, "");
static const struct record_field bill_cancelled_fields[] = {
	R_TEXT(bill_cancelled, license, 1, 63, 0, ""),
	R_DATE(bill_cancelled, day, 0, ""),
};
static RECORD_DEFINE(bill_cancelled, 1, "");
static const struct record_field bill_case_fields[] = {
	R_TEXT(bill_case, period, 7, 21, 0, ""),
	R_LIST(bill_case, licenses, &license_record, 1, 4096, 0, ""),
	R_LIST(bill_case, cancelled, &bill_cancelled_record, 0, 256,
	    RECORD_OPTIONAL, ""),
	R_LIST(bill_case, overage, &bill_overage_record, 0, 100000,
	    RECORD_OPTIONAL, ""),
	R_LIST(bill_case, usage, &bill_usage_record, 0, 100000, RECORD_OPTIONAL,
	    ""),
	R_LIST(bill_case, credits, &bill_credit_record, 0, 256, RECORD_OPTIONAL,
	    ""),
};
static RECORD_DEFINE(bill_case, 1, "");

_Static_assert(sizeof(struct bill_overage) == sizeof(struct world_overage) &&
	sizeof(struct bill_usage) == sizeof(struct world_usage) &&
	sizeof(struct bill_credit) == sizeof(struct billing_credit),
    "the same members, with tags of their own for the tables");

static void *
must(void *memory)
{
	if (memory == NULL) {
		fputs("bill_tool: out of memory\n", stderr);
		exit(1);
	}
	return memory;
}

static int32_t
cancelled_on(const struct bill_case *c, const char *license)
{
	const struct bill_cancelled *items = c->cancelled.items;

	for (uint32_t i = 0; i < c->cancelled.count; i++)
		if (strcmp(items[i].license, license) == 0)
			return items[i].day;
	return INT32_MAX;
}

/* Those of one id lie side by side. */
static int
arrange(struct billing_input *input, const struct bill_case *c,
    struct arena *arena)
{
	const struct license *items = c->licenses.items;
	struct billing_version *versions =
	    must(arena_alloc(arena, c->licenses.count * sizeof(*versions)));
	struct billing_license *licenses =
	    must(arena_alloc(arena, c->licenses.count * sizeof(*licenses)));
	int err = 0;

	for (uint32_t i = 0, end; i < c->licenses.count && err == 0; i = end) {
		struct billing_license *l = &licenses[input->n_licenses++];

		for (end = i; end < c->licenses.count &&
		     strcmp(items[end].license_id, items[i].license_id) == 0;
		     end++)
			versions[end].license = &items[end];
		l->versions = &versions[i];
		l->n_versions = end - i;
		err = billing_versions_arrange(&versions[i], end - i,
		    cancelled_on(c, items[i].license_id));
	}
	input->licenses = licenses;
	return err;
}

static int
write_form(struct buf *out, const char *form, const struct statement *s)
{
	static struct billing_overage rows[BILLING_LICENSES_MAX];
	size_t n = billing_overage_rows(rows, BILLING_LICENSES_MAX, s);

	if (strcmp(form, "json") == 0)
		billing_write_json(out, s);
	else if (strcmp(form, "invoice") == 0)
		billing_write_invoice(out, s);
	else if (strcmp(form, "csv") == 0)
		billing_write_csv(out, rows, n);
	else if (strcmp(form, "text") == 0)
		billing_write_text(out, s);
	else if (strcmp(form, "overage") == 0)
		return billing_write_overage(out, BILLING_EXPORT_JSON,
		    &s->vendor, &s->period, rows, n, NULL);
	else if (strcmp(form, "pdf") == 0)
		return billing_write_pdf(out, s, NULL);
	else if (strcmp(form, "overage-pdf") == 0)
		return billing_write_overage(out, BILLING_EXPORT_PDF,
		    &s->vendor, &s->period, rows, n, NULL);
	else
		return ERR_BAD_REQUEST;
	return 0;
}

static int
bill(struct buf *out, const char *form, const char *line, size_t len,
    struct arena *arena, struct record_error *error)
{
	struct bill_case c;
	struct billing_input input = { 0 };
	struct world_facts facts;
	struct statement statement;
	int err =
	    record_read_json(&c, &bill_case_record, line, len, arena, error);

	if (err == 0)
		err = billing_period_read(&input.period, c.period,
		    strlen(c.period));
	if (err == 0)
		err = arrange(&input, &c, arena);
	if (err != 0)
		return err;
	facts = (struct world_facts){ c.overage.items, c.overage.count,
		c.usage.items, c.usage.count };
	input.credits = c.credits.items;
	input.n_credits = c.credits.count;
	input.source = world_source(&facts);
	err = billing_make(&statement, &input, arena, error);
	return err == 0 ? write_form(out, form, &statement) : err;
}

int
main(int argc, char **argv)
{
	char *line = NULL;
	size_t size = 0;
	ssize_t len;

	if (argc != 2) {
		fputs("usage: bill_tool json|overage|invoice|csv|text|pdf\n",
		    stderr);
		return 2;
	}
	while ((len = getline(&line, &size, stdin)) > 0) {
		struct arena arena = { 0 };
		struct buf out = { 0 };
		struct record_error error = { "", "" };
		int err =
		    bill(&out, argv[1], line, (size_t)len, &arena, &error);

		if (err == 0 && out.failed)
			err = ERR_NOMEM;
		if (err != 0)
			printf("! %s %s: %s", err_name(err), error.field,
			    error.reason);
		else
			fwrite(out.data, 1, out.len, stdout);
		if (argv[1][0] != 'p')
			putchar('\n');
		fflush(stdout);
		arena_release(&arena);
		buf_release(&out);
	}
	free(line);
	return ferror(stdout) ? 1 : 0;
}
