#include "shared/report/change.h"

#include "shared/base/err.h"

#include <stdio.h>
#include <string.h>

const char *const license_change_names[] = { "renew", "suspend", "resume",
	"cancel", NULL };

static const struct record_field license_change_fields[] = {
	R_TEXT(license_change, site, 1, 63, 0, "Id of the site."),
	R_TEXT(license_change, tenant, 1, 63, 0, "Whose license it is."),
	R_TEXT(license_change, vendor, 1, 63, 0, "Who changes it."),
	R_TEXT(license_change, license_id, 1, 63, 0, "The license."),
	R_U64(license_change, revision, 1, U53_MAX, 0,
	    "Number of the change of this license, from 1."),
	R_ENUM(license_change, what, license_change_names, 0,
	    "What happens to it."),
	R_U64(license_change, serial, 1, U53_MAX, 0,
	    "Edition that it is about; of a renewal the new one."),
	R_TIME(license_change, from, RECORD_OPTIONAL,
	    "In force not before; absent: as soon as it is there."),
	R_TIME(license_change, issued_at, 0, "When it was signed."),
	R_STRING(license_change, license, 0, LICENSE_TOKEN_MAX, RECORD_OPTIONAL,
	    "A renewal: the license."),
	R_STRING(license_change, issuer, 0, LICENSE_ISSUER_TOKEN_MAX,
	    RECORD_OPTIONAL, "A renewal: who signed that."),
};
RECORD_DEFINE(license_change, 1, "A vendor changes an installed license.");

static int
change_fail(struct record_error *error, int err, const char *field,
    const char *reason)
{
	if (error != NULL) {
		snprintf(error->field, sizeof error->field, "%s", field);
		snprintf(error->reason, sizeof error->reason, "%s", reason);
	}
	return err;
}

/* A renewal is a whole license, which stands by its own signatures. */
static int
check_renewal(const struct license_change *change,
    const uint8_t root[TOKEN_PUBLIC_BYTES], struct arena *arena,
    struct record_error *error)
{
	struct license license;
	struct license_issuer issuer;
	int err = license_verify(&license, &issuer, change->issuer.data,
	    change->issuer.len, change->license.data, change->license.len, root,
	    arena, error);

	if (err != 0)
		return err;
	if (strcmp(license.license_id, change->license_id) != 0 ||
	    strcmp(license.vendor.id, change->vendor) != 0 ||
	    license.serial != change->serial)
		return change_fail(error, ERR_MISMATCH, "license",
		    "is not the edition that the change is about");
	if (strcmp(license.site, change->site) != 0 ||
	    strcmp(license.tenant, change->tenant) != 0)
		return change_fail(error, ERR_MISMATCH, "license",
		    "is for another site or tenant");
	return 0;
}

static int
check_parties(const struct license_change *change,
    const struct license_issuer *issuer, const char *site, const char *tenant,
    struct record_error *error)
{
	const bool renews = change->what == LICENSE_RENEW;

	if (strcmp(change->vendor, issuer->vendor.id) != 0)
		return change_fail(error, ERR_MISMATCH, "vendor",
		    "is not the vendor whose key signed it");
	if (strcmp(change->site, site) != 0)
		return change_fail(error, ERR_MISMATCH, "site",
		    "is for another site");
	if (strcmp(change->tenant, tenant) != 0)
		return change_fail(error, ERR_MISMATCH, "tenant",
		    "is for another tenant");
	if (change->issued_at < issuer->not_before ||
	    change->issued_at >= issuer->not_after)
		return change_fail(error, ERR_EXPIRED, "issued_at",
		    "the issuing key was not valid then");
	if (renews != (change->license.len > 0) ||
	    renews != (change->issuer.len > 0))
		return change_fail(error, ERR_BAD_REQUEST, "license",
		    "a renewal carries a license, nothing else does");
	return 0;
}

int
license_change_verify(struct license_change *out, const char *token, size_t len,
    const char *issuer_token, size_t issuer_len,
    const uint8_t root[TOKEN_PUBLIC_BYTES], const char *site,
    const char *tenant, struct arena *arena, struct record_error *error)
{
	struct license_issuer issuer;

	memset(out, 0, sizeof *out);
	if (len > LICENSE_CHANGE_TOKEN_MAX ||
	    issuer_len > LICENSE_ISSUER_TOKEN_MAX)
		return change_fail(error, ERR_TOO_LARGE, "",
		    "is longer than such a document can be");
	int err = license_document_read(&issuer, &license_issuer_record,
	    TOKEN_ISSUER, issuer_token, issuer_len, root, arena, error);

	if (err == 0)
		err = license_document_read(out, &license_change_record,
		    TOKEN_CHANGE, token, len, issuer.key, arena, error);
	if (err == 0)
		err = check_parties(out, &issuer, site, tenant, error);
	if (err == 0 && out->what == LICENSE_RENEW)
		err = check_renewal(out, root, arena, error);
	if (err != 0)
		memset(out, 0, sizeof *out);
	return err;
}
