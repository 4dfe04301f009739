/* Who speaks on a connection: the word of the site key for the certificate that
 * was shown (shared/report/line.h). A stranger costs a look-up and one
 * signature. */
#include "appliance/hub/decide.h"
#include "appliance/hub/reported.h"

#include "shared/base/err.h"

#include <sodium.h>
#include <string.h>

/* Is it the word of a key that was retired? */
static bool
is_retired(const struct hub_site *site, const char *text, size_t len)
{
	struct report_line line;
	struct site_keys keys;

	if (hub_site_keys(&keys, site) != 0)
		return false;
	const uint8_t *key = site_keys_of(&keys, text, len);

	return key != site_keys_last(&keys) &&
	    report_line_verify(&line, text, len, key) == 0;
}

static int
refuse_line(struct command *command, const struct report_line *line)
{
	return decide_refuse_field(command, "line", ERR_CERTIFICATE_NOT_ALLOWED,
	    "leasehold sync now; or bring the report as a file",
	    "it is no word of site %s for the certificate of this connection",
	    line->site);
}

int
hub_find_speaker(struct hub_site *site, struct batch *batch,
    struct command *command, const struct hub_report_sent *sent)
{
	const char *text = (const char *)sent->line.data;
	struct report_line line;

	if (sodium_is_zero(sent->certificate, sizeof sent->certificate))
		return decide_refuse(command, ERR_UNAUTHENTICATED,
		    "a site shows one by itself, when [sync] interval_s is set",
		    "no client certificate was shown");
	int err = report_line_peek(&line, text, sent->line.len);

	if (err == ERR_NOMEM)
		return err;
	if (err != 0)
		return decide_refuse_field(command, "line", ERR_BAD_REQUEST, "",
		    "it is no word of a site for its certificate");
	err = hub_site_by_id(site, &batch->state, line.site, line.tenant,
	    &command->arena);
	if (err == ERR_NOT_FOUND_INTERNAL)
		return decide_refuse(command, ERR_NOT_FOUND,
		    "leasehold hub site add REQUEST --customer ID",
		    "tenant %s of site %s is not known here", line.tenant,
		    line.site);
	if (err == 0)
		err = report_line_verify(&line, text, sent->line.len,
		    site->row.request.site_key);
	if (err == ERR_UNTRUSTED && is_retired(site, text, sent->line.len))
		return decide_refuse_field(command, "line",
		    ERR_CERTIFICATE_NOT_ALLOWED,
		    "the site goes on in another box; switch this one off",
		    "the key of this box of site %s was retired", line.site);
	if (err == ERR_BAD_SIGNATURE || err == ERR_UNTRUSTED ||
	    err == ERR_BAD_TOKEN)
		return refuse_line(command, &line);
	if (err != 0)
		return err;
	if (sodium_memcmp(line.certificate, sent->certificate,
		sizeof line.certificate) != 0)
		return refuse_line(command, &line);
	if (strcmp(line.vendor, batch->ledger->tenant) != 0)
		return decide_refuse_field(command, "line",
		    ERR_CERTIFICATE_NOT_ALLOWED,
		    "send it to that vendor's account",
		    "the site speaks to vendor %s, and this is %s", line.vendor,
		    batch->ledger->tenant);
	return 0;
}
