#include "shared/report/credit.h"

#include "shared/base/err.h"
#include "shared/base/text.h"

#include <string.h>

static const struct record_field report_credit_fields[] = {
	R_TEXT(report_credit, site, 1, 63, 0, "Id of the site."),
	R_TEXT(report_credit, tenant, 1, 63, 0, "Who is credited."),
	R_TEXT(report_credit, vendor, 1, 63, 0, "By whom."),
	R_STRUCT(report_credit, credit, &row_credit_record, 0, "What."),
};
RECORD_DEFINE(report_credit, 1, "A vendor's credit note.");

/* What is wrong with it; NULL: nothing. */
static const char *
find_fault(const struct report_credit *credit, const char *site,
    const char *tenant, const char *vendor)
{
	if (strcmp(credit->site, site) != 0)
		return "site";
	if (strcmp(credit->tenant, tenant) != 0)
		return "tenant";
	if (strcmp(credit->vendor, vendor) != 0)
		return "vendor";
	return NULL;
}

int
report_credit_verify(struct report_credit *out, const char *token, size_t len,
    const uint8_t issuer_key[32], const char *site, const char *tenant,
    const char *vendor, struct record_error *error)
{
	struct arena arena = { .chunks = NULL };
	const char *field;

	memset(out, 0, sizeof *out);
	if (len > REPORT_CREDIT_MAX)
		return ERR_TOO_LARGE;
	int err = license_document_read(out, &report_credit_record,
	    TOKEN_CREDIT, token, len, issuer_key, &arena, error);

	arena_release(&arena);
	if (err != 0)
		return err;
	field = find_fault(out, site, tenant, vendor);
	if (field == NULL && out->credit.amount > 0 &&
	    out->credit.last >= out->credit.first)
		return 0;
	if (error != NULL) {
		text_copy(error->field, sizeof error->field,
		    field != NULL ? field : "amount");
		text_copy(error->reason, sizeof error->reason,
		    field != NULL ? "the credit is another's"
				  : "the credit says nothing");
	}
	memset(out, 0, sizeof *out);
	return field != NULL ? ERR_MISMATCH : ERR_BAD_REQUEST;
}
