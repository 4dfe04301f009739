/*
 * The signed word that a person was erased (DESIGN 5 and 8): which subject ids
 * mean nobody any more, by whose order, and up to where in the journal they
 * may stand. It says no name. Whoever has it and the site's public key can
 * check it without the site; the digest of its text stands in the journal's
 * row. It must not know stores.
 */
#ifndef SHARED_JOURNAL_ERASURE_H
#define SHARED_JOURNAL_ERASURE_H

#include "shared/journal/rows.h"

/** Subjects of one erasure; who has more is erased in several. */
#define ERASURE_SUBJECTS_MAX 128
#define ERASURE_USERS_MAX 16
#define ERASURE_KEYS_MAX 64
#define ERASURE_TOKEN_MAX ((uint64_t)56 << 10)

/** One id that means nobody any more. The commitment is that of the row which
 * introduced it: its salt is gone, so nobody can try names on it. */
struct erased_subject {
	uint8_t subject[SUBJECT_BYTES];
	uint32_t kind; /* enum subject_kind */
	uint8_t commitment[32];
};

/** Payload of a TOKEN_ERASURE. */
struct erasure {
	char site[64];
	char tenant[64];
	uint64_t erasure; /* its number in the tenant */
	int64_t at;
	struct row_actor by;
	struct record_list subjects; /* erased_subject */
	struct record_list users; /* row_number: accounts that are gone */
	/** API keys whose documents named him, and whether he was the one to
	 * call at the tenant: the mark stands there now. */
	uint32_t keys;
	uint32_t contacts;
	uint32_t generation;
	/** The batch that journals it: the ids may stand in this one and those
	 * before, and in later ones only where they name what began before. */
	uint64_t batch;
};

extern const struct record erased_subject_record, erasure_record;

/** Sign; the text is appended to `token`, its digest is for the row. */
int erasure_sign(struct buf *token, uint8_t digest[32],
    const struct erasure *erasure, const uint8_t secret[TOKEN_SECRET_BYTES]);
/** Lists are in the arena. Errors of license_document_read(). */
int erasure_verify(struct erasure *out, const char *token, size_t len,
    const uint8_t site_key[TOKEN_PUBLIC_BYTES], struct arena *arena,
    struct record_error *error);

#endif
