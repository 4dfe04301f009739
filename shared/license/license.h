/*
 * The vendor's and the site's documents: what an issuer, a license, an
 * activation request and a join token say, and the check of the chain
 * vendor root -> issuer -> license -> site key. Used by the vendor's tool, the
 * ledger, the library and the CLI. It must not know what is installed where,
 * nor what time it is: the caller says.
 */
#ifndef SHARED_LICENSE_LICENSE_H
#define SHARED_LICENSE_LICENSE_H

#include "shared/record/record.h"
#include "shared/token/token.h"

/** Host patterns of one join token. */
#define JOIN_HOSTS_MAX 16
/** Keys that one join token of class assigned names. */
#define JOIN_KEYS_MAX 64
#define JOIN_VALID_MAX_S 31536000 /* 365 days */
#define LICENSE_SEATS_MAX 10000000
/** Most seats of one pool that an advisory license of fewer grants: what a site
 * can hold in memory. */
#define LICENSE_ADVISORY_SEATS 1000000
#define LICENSE_TTL_DEFAULT_S 120
#define LICENSE_GRACE_DEFAULT_S 300
#define LICENSE_FEATURES_MAX 64
#define LICENSE_BORROW_DEFAULT_S 604800
#define LICENSE_BORROW_MAX_S 31622400 /* a leap year */
#define LICENSE_CLASSES_MAX 5
#define LICENSE_GRACE_DAYS_MAX 365
/** Metrics that one license prices; limits; taxes. */
#define LICENSE_USAGE_MAX 16
#define LICENSE_LIMITS_MAX 16
#define LICENSE_TAXES_MAX 4
/** What is the whole, where a part is said in millionths. */
#define LICENSE_PPM 1000000
/** A token of a license at most; the most features with the longest names fit.
 */
#define LICENSE_TOKEN_MAX 40960
#define LICENSE_ISSUER_TOKEN_MAX 4096

struct license_vendor {
	char id[64];
	char name[128];
};

/** Who pays, by the vendor's own books: a statement names him so at the site and
 * at the hub alike. */
struct license_customer {
	char crm_account_id[64]; /* "ACC-98765" */
	char name[128]; /* of the company; "": the tenant's id stands for it */
};

struct license_product {
	char id[64]; /* "davinci-configurator-se" */
	char name[128]; /* for people */
	char version[96]; /* a range: ">=8.0.0" */
};

struct license_pricing {
	int64_t commit_fee_monthly; /* minor units */
	int64_t overage_per_use; /* minor units */
	char currency[4]; /* ISO 4217 */
};

struct license_entitlement {
	uint32_t total_licenses; /* commit_qty + max_overage */
	uint32_t commit_qty;
	uint32_t max_overage;
	struct license_pricing pricing;
};

/** A part of the product that is sold on its own: its seats stand beside those
 * of the product, and a checkout takes of the one or of the other. */
struct license_feature {
	char id[64]; /* "autosar" */
	char name[128]; /* for people */
	uint32_t total_licenses; /* commit_qty + max_overage */
	uint32_t commit_qty;
	uint32_t max_overage;
	int64_t overage_per_use; /* minor units */
	char currency[4]; /* the license's */
};

struct license_contract {
	int32_t start_date; /* first day, from 00:00 UTC */
	int32_t end_date; /* last day, to 24:00 UTC */
	bool auto_renew;
	uint32_t billing_cycle; /* enum license_cycle */
};
enum license_cycle { LICENSE_MONTHLY, LICENSE_ANNUAL };

/**
 * What happens where seats or contract are over. No license grants anything
 * before its first day.
 *
 * LICENSE_HARD      Nothing is granted beyond the seats, nor after the contract.
 * LICENSE_GRACE     As hard while the contract runs. For grace_days after it,
 *                   what the seats in all allow is granted, each of them as
 *                   overage. Nothing is lent beyond the contract.
 * LICENSE_ADVISORY  Everything is granted, up to LICENSE_ADVISORY_SEATS of a
 *                   pool: seats above commit_qty as overage, and all of them
 *                   after the contract.
 *
 * Leases that are held when the contract ends go on as what they are, as long
 * as the license grants anything.
 */
enum license_enforce { LICENSE_HARD, LICENSE_GRACE, LICENSE_ADVISORY };

/** A class of device in a list: enum proof_class. */
struct license_class {
	uint32_t class_;
};

/** What bounds the site's policy (DESIGN 11); absent ones get defaults. */
struct license_bounds {
	uint32_t ttl_s; /* a lease without a beat, 1 s to 1 day */
	uint32_t grace_s; /* after that, 0 to 7 days */
	uint32_t enforce; /* enum license_enforce */
	/** LICENSE_GRACE: days after the contract's last one, in which seats
	 * are granted as overage; 1 to 365. Else 0. */
	uint32_t grace_days;
	bool no_borrow; /* no seat is lent */
	uint32_t borrow_max_s; /* longest borrow; 7 days when absent */
	/** Most seats on loan at once, of the product and of each feature; 0:
	 * no bound but the seats there are. */
	uint32_t borrow_seats;
	/** license_class; empty: tpm alone. See license_may_borrow(). */
	struct record_list borrow_classes;
	/** license_class: who gets seats at all; empty: every class. */
	struct record_list classes;
};

/* --- what is paid for beside seats (DESIGN 12) ---------------------------- */

/** What a statement adds up. */
enum license_model {
	LICENSE_COMMIT_OVERAGE, /* commit fee and overage */
	LICENSE_SUBSCRIPTION, /* a fee a cycle, and nothing else */
	LICENSE_PER_USE, /* metrics by their price, and overage; no fee */
	LICENSE_HYBRID, /* commit fee, subscription, overage and metrics */
	LICENSE_REVENUE_SHARE, /* a part of a metric of money, and commit fee */
};

/** A price of a named metric: of each started `unit` above `included` in a
 * period. Of a gauge its highest value in the period counts. */
struct license_usage_price {
	char metric[64]; /* "api_calls" */
	uint64_t included;
	uint64_t unit; /* at least 1 */
	int64_t price; /* minor units */
	char currency[4]; /* the license's */
};

/** On top of all lines together. */
struct license_tax {
	char name[64]; /* "VAT 19 %" */
	uint32_t rate_ppm; /* 190000: 19 % */
};

struct license_billing {
	uint32_t model; /* enum license_model */
	int64_t subscription_fee; /* minor units, a billing cycle */
	char currency[4]; /* the license's */
	/** LICENSE_REVENUE_SHARE: the part of share_metric, whose amounts are
	 * minor units of the currency. */
	uint32_t share_ppm;
	char share_metric[64]; /* "revenue" */
	struct record_list usage; /* license_usage_price */
	struct record_list taxes; /* license_tax */
};

enum license_per {
	LICENSE_PER_MINUTE,
	LICENSE_PER_DAY, /* UTC */
	LICENSE_PER_MONTH, /* UTC */
	LICENSE_AT_ONCE, /* of a gauge: its value */
};
/** How much of a named metric may be used. */
struct license_limit {
	char metric[64];
	uint32_t per; /* enum license_per */
	uint64_t amount;
	bool soft; /* it is told, and not refused */
};
/** A named set of limits; what it stands for is the vendor's, and stands in
 * `limits` in full. */
enum license_tier {
	LICENSE_NO_TIER,
	LICENSE_STARTER,
	LICENSE_PROFESSIONAL,
	LICENSE_ENTERPRISE,
	LICENSE_CUSTOM,
};
extern const char *const license_tier_names[];

/** How the site and the vendor's hub keep in touch (DESIGN 13). */
struct license_sync {
	bool reports; /* usage is reported at all */
	/** Days without a receipt after which nothing is granted; 0: any. */
	uint32_t max_unsynced_days;
	/** When a suspension or the like is in force that never came: nothing
	 * is granted from then on before a newer document came. 0: never. */
	int64_t refresh_by;
	char hub[256]; /* "https://hub.vector.example"; "": by file alone */
};

/** The file a vendor writes: the terms without the parties, but for the name
 * under which he knows who pays. */
struct license_terms {
	struct license_product product;
	struct license_entitlement entitlement;
	struct record_list features; /* license_feature, up to 64 */
	struct license_contract contract;
	struct license_bounds terms;
	struct license_billing billing;
	uint32_t tier; /* enum license_tier */
	struct record_list limits; /* license_limit */
	struct license_sync sync;
	struct license_customer customer;
};

/** Payload of a TOKEN_LICENSE. Its lists live where it was read to: a copy of
 * the struct shares them. */
struct license {
	char license_id[64]; /* "lic-vector-mercedes-2026-001" */
	uint64_t serial; /* a higher one replaces a lower one */
	struct license_vendor vendor;
	char site[64];
	char tenant[64];
	uint8_t site_key[TOKEN_PUBLIC_BYTES];
	struct license_product product;
	struct license_entitlement entitlement;
	struct record_list features; /* license_feature, up to 64 */
	struct license_contract contract;
	struct license_bounds terms;
	struct license_billing billing;
	uint32_t tier; /* enum license_tier */
	struct record_list limits; /* license_limit */
	struct license_sync sync;
	struct license_customer customer;
	int64_t issued_at;
};

/** Payload of a TOKEN_ISSUER, signed by the vendor's root key. */
struct license_issuer {
	struct license_vendor vendor;
	uint8_t key[TOKEN_PUBLIC_BYTES];
	int64_t not_before;
	int64_t not_after;
};

/** Payload of a TOKEN_REQUEST, signed by the site key. */
#define LICENSE_ATTESTATION_BYTES 101

struct license_request {
	char site[64];
	char name[128];
	char tenant[64];
	uint8_t site_key[TOKEN_PUBLIC_BYTES];
	char key_class[16]; /* "file"; "tpm" to come */
	char software[32]; /* "leaseholdd 0.1.0" */
	/** The attestation key of the box's TPM, as proof.h has keys of class
	 * tpm; zero: the site has none. */
	uint8_t attestation[LICENSE_ATTESTATION_BYTES];
	struct record_list succession; /* succession_step */
	int64_t created_at;
};

/** Payload of a TOKEN_JOIN, signed by the site key. */
struct license_host_pattern {
	char pattern[128]; /* "ws-*.plant.example" */
};
struct license_join {
	char site[64];
	char tenant[64];
	uint64_t join; /* its number */
	uint8_t id[16];
	uint32_t uses;
	int64_t expires_at;
	uint32_t class_; /* enum proof_class */
	struct record_list hosts; /* license_host_pattern; empty: any */
	uint8_t ca_sha256[32]; /* of the DER of the site's CA */
};

/** The file that `leasehold-vendor issue` writes, as JSON: both tokens and the
 * root key that a site pins with the first license of a vendor. Nobody else
 * believes the key here: applications bring their own. */
struct license_file {
	uint8_t vendor_key[TOKEN_PUBLIC_BYTES]; /* zero: not told */
	struct record_span issuer; /* token */
	struct record_span license; /* token */
};

/** The file that `leasehold-vendor issuer --key` writes, as JSON: the root key's
 * word for an issuing key that a hub made, and the root key, which sites pin. */
struct license_issuer_file {
	uint8_t vendor_key[TOKEN_PUBLIC_BYTES];
	struct record_span issuer; /* token */
};

extern const struct record license_issuer_file_record;
extern const struct record license_vendor_record, license_customer_record,
    license_product_record, license_pricing_record, license_entitlement_record,
    license_feature_record, license_contract_record, license_class_record,
    license_bounds_record, license_usage_price_record, license_tax_record,
    license_billing_record, license_limit_record, license_sync_record,
    license_terms_record, license_record, license_issuer_record,
    license_request_record, license_host_pattern_record, license_join_record,
    license_file_record;

/** The seats that a feature has, or ("") the product itself. */
struct license_seats {
	uint32_t total;
	uint32_t commit;
	uint32_t overage;
};
/** False, and nothing, when the license has no such feature. */
bool license_seats(struct license_seats *out, const struct license *license,
    const char *feature);

/** Money, in minor units, that a metric may come to in a month at its site, and
 * what a hub takes of it for one hour: with more, statements could not be added
 * up any more. */
#define LICENSE_USAGE_MONEY_MAX INT64_C(1000000000000)
/** The highest amount of a metric that comes to no more; where the license has no
 * price for it, U53_MAX. */
uint64_t license_usage_max(const struct license *license, const char *metric);

/** May a device of this class (enum proof_class) have a seat? */
bool license_accepts(const struct license_bounds *terms, uint32_t class_);

/** May a device of this class (enum proof_class) borrow at all? */
bool license_may_borrow(const struct license_bounds *terms, uint32_t class_);

/**
 * The rules that one table row cannot say: total = commit + overage, a known
 * currency (the same in every feature and price), ids of features that differ, a
 * real version range, start not after end, days of grace with that mode alone,
 * a metric once, prices and shares that their model counts. Fills in absent
 * bounds.
 * Returns 0 or ERR_BAD_REQUEST with the field named.
 */
int license_terms_check(struct license_terms *terms,
    struct record_error *error);

/** Digest that names a license: BLAKE2b-256 of its token's text. */
void license_digest(uint8_t out[32], const char *token, size_t len);

/**
 * Verify issuer and license tokens.
 * @param root  pinned vendor root; NULL leaves the issuer token's signature
 *              unchecked: only for showing what a document says
 * @param arena holds the features of the license
 * Checks signatures, that vendor of both agree, that the license was issued
 * while the issuing key was valid, and license_terms_check. Not dates, not the
 * site: see license_check_for. Errors: ERR_BAD_TOKEN, ERR_BAD_SIGNATURE,
 * ERR_UNTRUSTED, ERR_EXPIRED, ERR_BAD_REQUEST; `error` says it in words.
 */
int license_verify(struct license *license, struct license_issuer *issuer,
    const char *issuer_token, size_t issuer_len, const char *license_token,
    size_t license_len, const uint8_t *root, struct arena *arena,
    struct record_error *error);

/** Is it for this site, tenant and key? ERR_MISMATCH names the field. */
int license_check_for(const struct license *license, const char *site,
    const char *tenant, const uint8_t site_key[TOKEN_PUBLIC_BYTES],
    struct record_error *error);

/** Is the contract running at this time? 0 or ERR_LICENSE_EXPIRED; `error`
 * says whether it is over or not yet begun. */
int license_check_dates(const struct license *license, int64_t now_ms,
    struct record_error *error);

/* What is granted when: in grants.c. */

/** The first ms after the contract. */
int64_t license_contract_end(const struct license *license);
/** From when on nothing is granted and no lease goes on; INT64_MAX: never. */
int64_t license_grants_until(const struct license *license);
/** As license_check_dates(), by the way the license is enforced. */
int license_check_grants(const struct license *license, int64_t now_ms,
    struct record_error *error);
/** Of a pool that has these by license_seats(): what it grants at this time,
 * seats that are held included. Slots below commit are commit seats, the others
 * overage. All 0 when it grants nothing. */
void license_seats_at(struct license_seats *out, const struct license *license,
    const struct license_seats *seats, int64_t now_ms);
/** Most seats that may ever be held of a pool with these. */
uint32_t license_seats_most(const struct license *license,
    const struct license_seats *seats);

/** Read a payload of one of the document records out of a verified token. */
int license_document_read(void *out, const struct record *record,
    enum token_kind kind, const char *token, size_t len,
    const uint8_t public_key[TOKEN_PUBLIC_BYTES], struct arena *arena,
    struct record_error *error);

/** Read a license that was verified before it was stored; anything else in it is
 * ERR_CORRUPT. Lists live in the arena. */
int license_read_stored(struct license *out, const char *token, size_t len,
    struct arena *arena);

/** Sign a document. */
int license_document_sign(struct buf *token, const struct record *record,
    const void *value, enum token_kind kind,
    const uint8_t secret[TOKEN_SECRET_BYTES]);

#endif
