/* Tables: API keys. */
#include "shared/rpc/messages_key.h"

#include "shared/base/text.h"
#include "shared/rpc/tables.h"

#include <string.h>

/* Whose key is not its member's name. */
#define R_TEXT_AS(S, f, k, lo, hi, fl, d)                                \
	{                                                                \
		.key = (k), .offset = offsetof(struct S, f),             \
		.size = sizeof(((struct S *)0)->f), .type = RECORD_TEXT, \
		.min = (lo), .max = (hi), .flags = (fl), .doc = (d)      \
	}
/* A list of such records is a JSON list of strings. */
#define BARE(NAME, doc_)                      \
	const struct record NAME##_record = { \
		.name = #NAME,                \
		.doc = (doc_),                \
		.version = 1,                 \
		.size = sizeof(struct NAME),  \
		.fields = NAME##_fields,      \
		.n_fields = 1,                \
		.bare = true,                 \
	}

const char *const key_prints_names[] = { "off", "learn", "enforce", NULL };
const char *const key_prints_set_names[] = { "keep", "off", "learn", "enforce",
	NULL };
const char *const api_key_state_names[] = { "active", "expired", "revoked",
	NULL };

static const struct record_field key_scope_fields[] = {
	R_TEXT(key_scope, scope, 1, 31, 0, "\"license:checkout\"."),
};
BARE(key_scope, "What a key may do.");

static const struct record_field key_host_fields[] = {
	R_TEXT(key_host, host, 1, 127, 0,
	    "\"build-7.example\", \"*.example\"."),
};
BARE(key_host, "A host name, or all below one.");

static const struct record_field key_range_fields[] = {
	R_TEXT(key_range, range, 2, 49, 0,
	    "\"192.0.2.0/24\", \"2001:db8::/32\" or an address."),
};
BARE(key_range, "A range of addresses.");

static const struct record_field key_print_fields[] = {
	R_TEXT(key_print, fingerprint, 64, 64, 0, "SHA-256 in hex."),
};
BARE(key_print, "Fingerprint of an application.");

static const struct record_field key_field_fields[] = {
	R_TEXT(key_field, field, 1, 31, 0, "\"allowed_hostnames\"."),
};
BARE(key_field, "A restriction by its name.");

static const struct record_field key_known_fields[] = {
	R_TEXT(key_known, fingerprint, 64, 64, 0, "SHA-256 in hex."),
	R_TEXT(key_known, lib_version, 0, 31, OPT,
	    "Version of its library; absent: any."),
};
RECORD_DEFINE(key_known, 1, "An application that may use a key.");

static const struct record_field key_metadata_fields[] = {
	R_TEXT(key_metadata, hostname, 0, 127, OPT, "Where it is used."),
	R_TEXT(key_metadata, department, 0, 63, OPT, "Whose it is."),
	R_TEXT(key_metadata, contact, 0, 127, OPT, "Whom to ask."),
};
RECORD_DEFINE(key_metadata, 1, "About a key, for people.");

static const struct record_field key_hours_fields[] = {
	R_TEXT(key_hours, days, 3, 31, 0, "\"mon-fri\", \"mon,wed,sat-sun\"."),
	R_TEXT(key_hours, from, 5, 5, 0, "\"07:00\"."),
	R_TEXT(key_hours, to, 5, 5, 0,
	    "\"19:00\"; 24:00 at most. Not after `from`: on the next day."),
	R_TEXT(key_hours, zone, 0, 63, OPT,
	    "IANA time zone, such as Europe/Berlin; absent: UTC."),
};
RECORD_DEFINE(key_hours, 1, "When a key may be used.");

#define RESTRICTIONS(S)                                                        \
	R_LIST(S, allowed_hostnames, &key_host_record, 0, KEY_HOSTS_MAX, OPT,  \
	    "Host names that callers may give in X-Hostname."),                \
	    R_LIST(S, allowed_ip_ranges, &key_range_record, 0, KEY_RANGES_MAX, \
		OPT, "Where calls may come from."),                            \
	    R_BOOL(S, require_mtls, OPT,                                       \
		"Callers show a certificate of the site's [tls] client_ca."),  \
	    R_TEXT(S, client_cert_cn, 0, 64, OPT,                              \
		"Common name that the certificate must have."),                \
	    R_TEXT(S, client_cert_sha256, 0, 64, OPT,                          \
		"SHA-256 of the certificate, in hex.")
#define MORE_RESTRICTIONS(S)                                                  \
	R_LIST(S, allowed_fingerprints, &key_known_record, 0, KEY_PRINTS_MAX, \
	    OPT, "Applications that may use it, by X-App-Fingerprint."),      \
	    R_LIST(S, blocked_fingerprints, &key_print_record, 0,             \
		KEY_BLOCKED_MAX, OPT, "Those that never may."),               \
	    R_U32(S, checkouts_per_minute, 0, 1000000, OPT,                   \
		"Checkouts a minute; absent: 100."),                          \
	    R_U32(S, requests_per_hour, 0, 100000000, OPT,                    \
		"Requests an hour; absent: 1000."),                           \
	    R_STRUCT(S, working_hours, &key_hours_record, OPT,                \
		"When it may be used; absent: always.")

static const struct record_field key_restrictions_fields[] = {
	RESTRICTIONS(key_restrictions),
	R_ENUM(key_restrictions, fingerprint_mode, key_prints_names, OPT,
	    "Are applications learned, or those not learned refused?"),
	MORE_RESTRICTIONS(key_restrictions),
};
RECORD_DEFINE(key_restrictions, 1, "Where, when and by whom a key is used.");

static const struct record_field key_document_fields[] = {
	R_TEXT(key_document, app_name, 1, 63, 0, "The program's name."),
	R_STRUCT(key_document, metadata, &key_metadata_record, OPT,
	    "For people."),
	R_STRUCT(key_document, restrictions, &key_restrictions_record, OPT,
	    "What it is bound to."),
};
RECORD_DEFINE(key_document, 1, "What is kept sealed of a key.");

static const struct record_field key_generate_fields[] = {
	R_TEXT(key_generate, app_name, 1, 63, 0, "The program's name."),
	R_ENUM(key_generate, app_type, key_app_names, 0,
	    "What kind of program it is."),
	R_LIST(key_generate, scopes, &key_scope_record, 1, KEY_SCOPES_MAX, 0,
	    "What it may do; none that you may not give."),
	R_U32(key_generate, expires_in_days, 0, KEY_DAYS_MAX, OPT,
	    "Days until it ends; absent: never."),
	R_LIST(key_generate, allowed_hostnames, &key_host_record, 0,
	    KEY_HOSTS_MAX, OPT,
	    "Host names that callers may give in X-Hostname; absent: any."),
	R_BOOL(key_generate, require_mtls, OPT,
	    "Callers show a client certificate."),
	R_TEXT(key_generate, client_cert_cn, 0, 64, OPT,
	    "Common name that it must have."),
	R_STRUCT(key_generate, metadata, &key_metadata_record, OPT,
	    "For people."),
};
RECORD_DEFINE(key_generate, 1, "A new API key.");

static const struct record_field key_environment_fields[] = {
	R_TEXT_AS(key_environment, server_url, "LICENSE_SERVER_URL", 1, 191, 0,
	    "Where the site is."),
	R_TEXT_AS(key_environment, api_key, "LICENSE_API_KEY", 1, 95,
	    RECORD_SECRET, "The key."),
};
static RECORD_DEFINE(key_environment, 1, "Environment of a program.");

static const struct record_field key_server_fields[] = {
	R_TEXT(key_server, url, 1, 191, 0, "Where the site is."),
	R_TEXT(key_server, api_key, 1, 95, RECORD_SECRET, "The key."),
};
static RECORD_DEFINE(key_server, 1, "The license server.");

static const struct record_field key_config_file_fields[] = {
	R_STRUCT(key_config_file, license_server, &key_server_record, 0,
	    "The license server."),
};
static RECORD_DEFINE(key_config_file, 1, "Configuration of a program.");

static const struct record_field key_snippet_fields[] = {
	R_STRUCT(key_snippet, environment_variables, &key_environment_record, 0,
	    "As environment."),
	R_STRUCT(key_snippet, config_file, &key_config_file_record, 0,
	    "As a file."),
};
static RECORD_DEFINE(key_snippet, 1, "What to give to the program.");

static const struct record_field key_generated_fields[] = {
	R_TEXT(key_generated, key_id, 1, 31, 0, "\"key-17\"."),
	R_TEXT(key_generated, api_key, 1, 95, RECORD_SECRET,
	    "The key itself; it is not shown again."),
	R_TEXT(key_generated, tenant_url, 1, 191, 0, "Where the site is."),
	R_LIST(key_generated, scopes, &key_scope_record, 0, KEY_SCOPES_MAX, 0,
	    "What it may do."),
	R_TIME(key_generated, expires_at, OPT, "When it ends; absent: never."),
	R_TIME(key_generated, created_at, 0, "When it was made."),
	R_TIME(key_generated, previous_until, OPT,
	    "Of a rotation: until when the old key is good too."),
	R_STRUCT(key_generated, integration_snippet, &key_snippet_record, 0,
	    "What to give to the program."),
};
RECORD_DEFINE(key_generated, 1, "An API key, the only time it is shown.");

static const struct record_field key_ref_fields[] = {
	R_TEXT(key_ref, key_id, 1, 31, 0, "\"key-17\"."),
};
RECORD_DEFINE(key_ref, 1, "An API key by its id.");

static const struct record_field key_rotate_fields[] = {
	R_TEXT(key_rotate, key_id, 1, 31, 0, "\"key-17\"."),
	R_U32(key_rotate, overlap_hours, 0, KEY_OVERLAP_MAX_HOURS, OPT,
	    "Hours that the old key stays good; absent: 24."),
	R_BOOL(key_rotate, at_once, OPT, "The old key ends at once."),
	R_U32(key_rotate, expires_in_days, 0, KEY_DAYS_MAX, OPT,
	    "Days until the new one ends; absent: when the old one would."),
};
RECORD_DEFINE(key_rotate, 1, "A new secret for an API key.");

static const struct record_field key_revoke_fields[] = {
	R_TEXT(key_revoke, key_id, 1, 31, 0, "\"key-17\"."),
	R_TEXT(key_revoke, reason, 0, 127, OPT, "Why, for the audit."),
};
RECORD_DEFINE(key_revoke, 1, "An API key is to end.");

static const struct record_field key_restrict_fields[] = {
	R_TEXT(key_restrict, key_id, 1, 31, 0, "\"key-17\"."),
	R_LIST(key_restrict, clear, &key_field_record, 0, KEY_CLEAR_MAX, OPT,
	    "Restrictions to lift; what is not named here nor given stays."),
	RESTRICTIONS(key_restrict),
	R_ENUM(key_restrict, fingerprint_mode, key_prints_set_names, OPT,
	    "Are applications learned, or those not learned refused?"),
	MORE_RESTRICTIONS(key_restrict),
};
RECORD_DEFINE(key_restrict, 1, "New restrictions of an API key.");

static const struct record_field key_view_fields[] = {
	R_TEXT(key_view, key_id, 1, 31, 0, "\"key-17\"."),
	R_TEXT(key_view, app_name, 0, 63, OPT,
	    "The program's name; absent: it was erased."),
	R_ENUM(key_view, app_type, key_app_names, 0,
	    "What kind of program uses it."),
	R_ENUM(key_view, state, api_key_state_names, 0, "Is it good?"),
	R_LIST(key_view, scopes, &key_scope_record, 0, KEY_SCOPES_MAX, 0,
	    "What it may do."),
	R_TIME(key_view, created_at, 0, "When it was made."),
	R_TIME(key_view, expires_at, OPT, "When it ends; absent: never."),
	R_TIME(key_view, rotated_at, OPT, "When its secret was renewed."),
	R_TIME(key_view, previous_until, OPT,
	    "Until when the secret before is good too."),
	R_TIME(key_view, last_used_at, OPT, "When it was used last."),
	R_STRUCT(key_view, by, &row_actor_record, 0, "Who made it."),
	R_STRUCT(key_view, metadata, &key_metadata_record, OPT, "For people."),
	R_BOOL(key_view, restricted, OPT, "It is bound to something."),
};
RECORD_DEFINE(key_view, 1, "An API key at a glance.");

static const struct record_field key_details_fields[] = {
	R_STRUCT(key_details, key, &key_view_record, 0, "The key."),
	R_STRUCT(key_details, restrictions, &key_restrictions_record, OPT,
	    "What it is bound to."),
};
RECORD_DEFINE(key_details, 1, "An API key and what it is bound to.");

static const struct record_field key_query_fields[] = {
	R_CURSOR(key_query, after, 'K', OPT, "Cursor: the `next` before."),
	R_U32(key_query, limit, 0, LIST_LIMIT_MAX, OPT,
	    "Keys a page at most; absent: 100."),
	R_BOOL(key_query, all, OPT, "Also those that are no good any more."),
};
RECORD_DEFINE(key_query, 1, "Which API keys.");

static const struct record_field key_page_fields[] = {
	R_LIST(key_page, items, &key_view_record, 0, LIST_LIMIT_MAX, 0,
	    "Keys in the order of their numbers."),
	R_CURSOR(key_page, next, 'K', OPT,
	    "Cursor of the next page; absent: that was all."),
};
RECORD_DEFINE(key_page, 1, "API keys.");

static const struct record_field site_key_view_fields[] = {
	R_TEXT(site_key_view, key_id, 1, 31, 0, "\"admin-3\"."),
	R_TEXT(site_key_view, name, 0, 63, OPT, "For people."),
	R_TEXT(site_key_view, tenant, 1, 63, 0, "The tenant it speaks for."),
	R_TIME(site_key_view, created_at, 0, "When it was made."),
	R_BOOL(site_key_view, revoked, OPT, "It is no good any more."),
};
RECORD_DEFINE(site_key_view, 1, "A key of the site's own admins.");

static const struct record_field site_key_page_fields[] = {
	R_LIST(site_key_page, items, &site_key_view_record, 0, LIST_LIMIT_MAX,
	    0, "Keys in the order of their numbers."),
};
RECORD_DEFINE(site_key_page, 1, "Keys of the site's own admins.");

uint64_t
key_number(const char *key_id, const char *prefix)
{
	size_t n = strlen(prefix);
	uint64_t number;

	if (strncmp(key_id, prefix, n) != 0 ||
	    !text_to_u64(&number, key_id + n, strlen(key_id + n)) ||
	    number > U53_MAX)
		return 0;
	return number;
}
