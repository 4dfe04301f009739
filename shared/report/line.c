#include "shared/report/line.h"

#include "shared/base/err.h"

#include <string.h>

static const struct record_field report_line_fields[] = {
	R_TEXT(report_line, site, 1, 63, 0, "Id of the site."),
	R_TEXT(report_line, tenant, 1, 63, 0, "Whose reports come."),
	R_TEXT(report_line, vendor, 1, 63, 0, "Whose hub is spoken to."),
	R_FIXED(report_line, certificate, 0,
	    "SHA-256 of the certificate that the connection shows."),
	R_TIME(report_line, at, 0, "When it was signed."),
};
RECORD_DEFINE(report_line, 1, "Who speaks for a site.");

int
report_line_sign(struct buf *token, const struct report_line *line,
    const uint8_t secret[TOKEN_SECRET_BYTES])
{
	return license_document_sign(token, &report_line_record, line,
	    TOKEN_LINE, secret);
}

int
report_line_peek(struct report_line *line, const char *token, size_t len)
{
	struct buf payload = { .data = NULL };
	struct arena arena = { .chunks = NULL };

	memset(line, 0, sizeof *line);
	if (len > REPORT_LINE_MAX)
		return ERR_TOO_LARGE;
	int err = token_peek(&payload, token, len);

	if (err == 0 &&
	    record_read_json(line, &report_line_record, (char *)payload.data,
		payload.len, &arena, NULL) != 0)
		err = ERR_BAD_TOKEN;
	if (err != 0)
		memset(line, 0, sizeof *line);
	buf_release(&payload);
	arena_release(&arena);
	return err;
}

int
report_line_verify(struct report_line *line, const char *token, size_t len,
    const uint8_t site_key[TOKEN_PUBLIC_BYTES])
{
	struct arena arena = { .chunks = NULL };

	memset(line, 0, sizeof *line);
	if (len > REPORT_LINE_MAX)
		return ERR_TOO_LARGE;
	int err = license_document_read(line, &report_line_record, TOKEN_LINE,
	    token, len, site_key, &arena, NULL);

	if (err != 0)
		memset(line, 0, sizeof *line);
	arena_release(&arena);
	return err;
}
