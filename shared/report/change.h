/*
 * A vendor's word on a license that is installed already (DESIGN 8): renew,
 * suspend, resume, cancel. Signed by the issuing key (TOKEN_CHANGE); it comes
 * back with receipts, or by hand. Those of one license have numbers that go up
 * (`revision`) and hold in that order: what is older than the last
 * one applied changes nothing. It must not know where a license is installed.
 */
#ifndef SHARED_REPORT_CHANGE_H
#define SHARED_REPORT_CHANGE_H

#include "shared/license/license.h"

/** Of the token's text: a license's may be within. */
#define LICENSE_CHANGE_TOKEN_MAX 65536

enum license_change_what {
	LICENSE_RENEW, /* `license` replaces the one that is installed */
	LICENSE_SUSPEND, /* nothing is granted until it is resumed */
	LICENSE_RESUME,
	LICENSE_CANCEL, /* nothing is granted any more, but by a later renewal */
};
extern const char *const license_change_names[];

/** Payload of a TOKEN_CHANGE. */
struct license_change {
	char site[64];
	char tenant[64];
	char vendor[64];
	char license_id[64];
	uint64_t revision;
	uint32_t what; /* enum license_change_what */
	uint64_t serial; /* of the edition that it is about; of the new one */
	int64_t from; /* in force not before; 0: as soon as it is there */
	int64_t issued_at;
	struct record_span license; /* LICENSE_RENEW: its token; else empty */
	struct record_span issuer; /* LICENSE_RENEW: who signed that */
};
extern const struct record license_change_record;

/**
 * Verify one: by the issuing key that the issuer token names, which `root` must
 * vouch for, when it was issued. Then its parties, and of a renewal that its
 * license is a whole one for the same license id, site and tenant. Lists and
 * spans live in the arena. Errors as license_verify() and ERR_MISMATCH.
 */
int license_change_verify(struct license_change *out, const char *token,
    size_t len, const char *issuer, size_t issuer_len,
    const uint8_t root[TOKEN_PUBLIC_BYTES], const char *site,
    const char *tenant, struct arena *arena, struct record_error *error);

#endif
