/* What is read of a report before it is verified, and the answer to one. */
#include "shared/report/report.h"

#include "shared/base/err.h"
#include "shared/base/text.h"

#include <string.h>

int
report_peek(struct report *report, const char *token, size_t len)
{
	struct buf payload = { .data = NULL };
	struct arena arena = { .chunks = NULL };

	memset(report, 0, sizeof *report);
	if (len > REPORT_TOKEN_MAX)
		return ERR_TOO_LARGE;
	int err = token_peek(&payload, token, len);

	if (err == 0 &&
	    record_read_json(report, &report_record, (char *)payload.data,
		payload.len, &arena, NULL) != 0)
		err = ERR_BAD_TOKEN;
	if (err != 0)
		memset(report, 0, sizeof *report);
	buf_release(&payload);
	arena_release(&arena);
	return err;
}

int
report_receipt_verify(struct report_receipt *out, const char *token, size_t len,
    const uint8_t issuer_key[32], const char *site, const char *tenant,
    const char *vendor, struct record_error *error)
{
	struct arena arena = { .chunks = NULL };
	const char *field = NULL;

	memset(out, 0, sizeof *out);
	if (len > REPORT_RECEIPT_MAX)
		return ERR_TOO_LARGE;
	int err = license_document_read(out, &report_receipt_record,
	    TOKEN_RECEIPT, token, len, issuer_key, &arena, error);

	arena_release(&arena);
	if (err != 0)
		return err;
	if (strcmp(out->site, site) != 0)
		field = "site";
	else if (strcmp(out->tenant, tenant) != 0)
		field = "tenant";
	else if (strcmp(out->vendor, vendor) != 0)
		field = "vendor";
	if (field == NULL)
		return 0;
	if (error != NULL) {
		text_copy(error->field, sizeof error->field, field);
		text_copy(error->reason, sizeof error->reason,
		    "the receipt is another's");
	}
	memset(out, 0, sizeof *out);
	return ERR_MISMATCH;
}
