/*
 * Requests and replies about API keys, and the private document that is kept
 * of each. Names and shapes are those that programs of customers were told.
 */
#ifndef SHARED_RPC_MESSAGES_KEY_H
#define SHARED_RPC_MESSAGES_KEY_H

#include "shared/journal/rows.h"
#include "shared/record/record.h"

/** "clsk_", a tenant of up to 40 bytes, "_", 43 characters, NUL. */
#define KEY_TEXT_SIZE 96
#define KEY_SCOPES_MAX 16
#define KEY_HOSTS_MAX 16
#define KEY_RANGES_MAX 64
#define KEY_PRINTS_MAX 64
#define KEY_BLOCKED_MAX 32
#define KEY_DAYS_MAX 3650
#define KEY_OVERLAP_MAX_HOURS 720
#define KEY_OVERLAP_DEFAULT_HOURS 24
#define KEY_CHECKOUTS_DEFAULT 100 /* a minute */
#define KEY_REQUESTS_DEFAULT 1000 /* an hour */

struct key_scope {
	char scope[32];
};
/** "build-7.example" or "*.example". */
struct key_host {
	char host[128];
};
/** "192.0.2.0/24", "2001:db8::/32", or one address. */
struct key_range {
	char range[50];
};
/** SHA-256 in hex. */
struct key_print {
	char fingerprint[65];
};
struct key_known {
	char fingerprint[65];
	char lib_version[32]; /* "": any */
};

enum key_prints { KEY_PRINTS_OFF, KEY_PRINTS_LEARN, KEY_PRINTS_ENFORCE };
extern const char *const key_prints_names[];

struct key_metadata {
	char hostname[128];
	char department[64];
	char contact[128];
};

/** When it may be used, by the clock of `zone`. */
struct key_hours {
	char days[32]; /* "mon-fri", "sat,sun" */
	char from[6]; /* "07:00" */
	char to[6]; /* "19:00"; not after `from`: on the next day */
	char zone[64]; /* "Europe/Berlin"; "": UTC */
};

/** Empty and zero: nothing is restricted, and the defaults of rates. */
struct key_restrictions {
	struct record_list allowed_hostnames; /* key_host */
	struct record_list allowed_ip_ranges; /* key_range */
	bool require_mtls;
	char client_cert_cn[65];
	char client_cert_sha256[65];
	uint32_t fingerprint_mode; /* enum key_prints */
	struct record_list allowed_fingerprints; /* key_known */
	struct record_list blocked_fingerprints; /* key_print */
	uint32_t checkouts_per_minute;
	uint32_t requests_per_hour;
	struct key_hours working_hours;
};

/** What is kept sealed of a key. */
struct key_document {
	char app_name[64];
	struct key_metadata metadata;
	struct key_restrictions restrictions;
};

struct key_generate {
	char app_name[64];
	uint32_t app_type; /* enum key_app */
	struct record_list scopes; /* key_scope */
	uint32_t expires_in_days; /* 0: never */
	struct record_list allowed_hostnames; /* key_host */
	bool require_mtls;
	char client_cert_cn[65];
	struct key_metadata metadata;
};

struct key_environment {
	char server_url[192];
	char api_key[KEY_TEXT_SIZE];
};
struct key_server {
	char url[192];
	char api_key[KEY_TEXT_SIZE];
};
struct key_config_file {
	struct key_server license_server;
};
struct key_snippet {
	struct key_environment environment_variables;
	struct key_config_file config_file;
};
/** The only time that the key is shown. */
struct key_generated {
	char key_id[32]; /* "key-17" */
	char api_key[KEY_TEXT_SIZE];
	char tenant_url[192];
	struct record_list scopes; /* key_scope */
	int64_t expires_at; /* 0: never */
	int64_t created_at;
	int64_t previous_until; /* of a rotation: the old secret's end */
	struct key_snippet integration_snippet;
};

struct key_ref {
	char key_id[32];
};
struct key_rotate {
	char key_id[32];
	uint32_t overlap_hours; /* 0: KEY_OVERLAP_DEFAULT_HOURS */
	bool at_once; /* the old secret ends now */
	uint32_t expires_in_days; /* 0: it ends when it did before */
};
struct key_revoke {
	char key_id[32];
	char reason[128];
};

/** enum key_prints, one up; 0: as it is. */
enum key_prints_set { KEY_PRINTS_KEEP };
extern const char *const key_prints_set_names[];

/** What is empty or zero stays as it is; what `clear` names is lifted first. */
struct key_restrict {
	char key_id[32];
	struct record_list clear; /* key_scope's shape: names of fields */
	struct record_list allowed_hostnames;
	struct record_list allowed_ip_ranges;
	bool require_mtls;
	char client_cert_cn[65];
	char client_cert_sha256[65];
	uint32_t fingerprint_mode; /* enum key_prints_set */
	struct record_list allowed_fingerprints;
	struct record_list blocked_fingerprints;
	uint32_t checkouts_per_minute;
	uint32_t requests_per_hour;
	struct key_hours working_hours;
};
struct key_field {
	char field[32];
};
#define KEY_CLEAR_MAX 10

enum api_key_state { API_KEY_ACTIVE, API_KEY_EXPIRED, API_KEY_REVOKED };
extern const char *const api_key_state_names[];
struct key_view {
	char key_id[32];
	char app_name[64];
	uint32_t app_type;
	uint32_t state; /* enum api_key_state */
	struct record_list scopes; /* key_scope */
	int64_t created_at;
	int64_t expires_at;
	int64_t rotated_at;
	int64_t previous_until;
	int64_t last_used_at;
	struct row_actor by;
	struct key_metadata metadata;
	bool restricted;
};
struct key_details {
	struct key_view key;
	struct key_restrictions restrictions;
};
struct key_query {
	uint64_t after; /* cursor: number of the last key seen */
	uint32_t limit;
	bool all; /* also those that are no good any more */
};
/** A page may hold fewer than asked for, or none, and have a next one. */
struct key_page {
	struct record_list items; /* key_view */
	uint64_t next;
};

/** Keys of the site's own admins. */
struct site_key_view {
	char key_id[32]; /* "admin-3" */
	char name[64];
	char tenant[64];
	int64_t created_at;
	bool revoked;
};
struct site_key_page {
	struct record_list items; /* site_key_view */
};

extern const struct record key_scope_record, key_host_record, key_range_record,
    key_print_record, key_known_record, key_field_record, key_metadata_record,
    key_hours_record, key_restrictions_record, key_document_record,
    key_generate_record, key_generated_record, key_ref_record,
    key_rotate_record, key_revoke_record, key_restrict_record, key_view_record,
    key_details_record, key_query_record, key_page_record, site_key_view_record,
    site_key_page_record;

/** "key-17" or "admin-3" to 17 or 3; 0: it is none. */
uint64_t key_number(const char *key_id, const char *prefix);

#endif
