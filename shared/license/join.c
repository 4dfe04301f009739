/*
 * The join token's table; see license.h. In a file of its own, because it
 * speaks of device classes: programs without devices link the rest alone.
 */
#include "shared/license/license.h"
#include "shared/proof/proof.h"

static const struct record_field license_host_pattern_fields[] = {
	R_TEXT(license_host_pattern, pattern, 1, 127, 0,
	    "A host name in any case; * stands for any characters, ? for one: "
	    "\"ws-*.example\"."),
};
const struct record license_host_pattern_record = {
	.name = "license_host_pattern",
	.doc = "Host names that may join.",
	.version = 1,
	.size = sizeof(struct license_host_pattern),
	.fields = license_host_pattern_fields,
	.n_fields = 1,
	.bare = true,
};

static const struct record_field license_join_fields[] = {
	R_TEXT(license_join, site, 1, 63, 0, "Id of the site."),
	R_TEXT(license_join, tenant, 1, 63, 0, "The tenant to join."),
	R_U64(license_join, join, 1, UINT64_MAX >> 11, 0,
	    "Number of this token."),
	R_FIXED(license_join, id, 0, "Random: no other token is this one."),
	R_U32(license_join, uses, 1, 1000000, 0, "Devices that may use it."),
	R_TIME(license_join, expires_at, 0, "When it ends."),
	/* `class` is a word of C++: the member has an underscore, the
	 * document has not. */
	{ .key = "class",
	    .doc = "The class of device that may join.",
	    .type = RECORD_ENUM,
	    .offset = offsetof(struct license_join, class_),
	    .size = sizeof(((struct license_join *)0)->class_),
	    .names = proof_class_names },
	R_LIST(license_join, hosts, &license_host_pattern_record, 0,
	    JOIN_HOSTS_MAX, RECORD_OPTIONAL,
	    "Host names that may join; none given: any."),
	R_FIXED(license_join, ca_sha256, 0,
	    "SHA-256 of the site's CA certificate."),
};
RECORD_DEFINE(license_join, 1, "An enrolment token.");
