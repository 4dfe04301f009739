#include "shared/journal/erasure.h"

#include "shared/base/err.h"

#include <sodium.h>

static const struct record_field erased_subject_fields[] = {
	R_FIXED(erased_subject, subject, 0, "The id that means nobody now."),
	R_ENUM(erased_subject, kind, subject_kind_names, 0, "What it was."),
	R_FIXED(erased_subject, commitment, 0,
	    "As in the row that introduced it."),
};
RECORD_DEFINE(erased_subject, 1, "A subject that was erased.");

static const struct record_field erasure_fields[] = {
	R_TEXT(erasure, site, 1, 63, 0, "The site's id."),
	R_TEXT(erasure, tenant, 1, 63, 0, "The tenant."),
	R_U64(erasure, erasure, 1, U53_MAX, 0, "Its number in the tenant."),
	R_TIME(erasure, at, 0, "When."),
	R_STRUCT(erasure, by, &row_actor_record, 0, "By whose order."),
	R_LIST(erasure, subjects, &erased_subject_record, 0,
	    ERASURE_SUBJECTS_MAX, 0, "What was erased."),
	R_LIST(erasure, users, &row_number_record, 0, ERASURE_USERS_MAX,
	    RECORD_OPTIONAL, "Users whose accounts are gone."),
	R_U32(erasure, keys, 0, ERASURE_KEYS_MAX, RECORD_OPTIONAL,
	    "So many API keys do not name him any more."),
	R_U32(erasure, contacts, 0, 1, RECORD_OPTIONAL,
	    "1: nor does the tenant's contact."),
	R_U32(erasure, generation, 1, UINT32_MAX, 0,
	    "Of the journal, at that time."),
	R_U64(erasure, batch, 0, U53_MAX, 0,
	    "The batch that journals it: it covers the journal up to there."),
};
RECORD_DEFINE(erasure, 1, "A person was erased.");

int
erasure_sign(struct buf *token, uint8_t digest[32],
    const struct erasure *erasure, const uint8_t secret[TOKEN_SECRET_BYTES])
{
	int err = license_document_sign(token, &erasure_record, erasure,
	    TOKEN_ERASURE, secret);

	if (err == 0)
		crypto_generichash(digest, 32, token->data, token->len, NULL,
		    0);
	return err;
}

int
erasure_verify(struct erasure *out, const char *token, size_t len,
    const uint8_t site_key[TOKEN_PUBLIC_BYTES], struct arena *arena,
    struct record_error *error)
{
	if (len > ERASURE_TOKEN_MAX)
		return ERR_TOO_LARGE;
	return license_document_read(out, &erasure_record, TOKEN_ERASURE, token,
	    len, site_key, arena, error);
}
