/* What the documents hold, row by row; see license.h. */
#include "shared/license/license.h"
#include "shared/license/succession.h"
#include "shared/proof/proof.h"

static const char *const cycle_names[] = { "monthly", "annual", NULL };
static const char *const enforce_names[] = { "hard", "grace", "advisory",
	NULL };

static const struct record_field license_vendor_fields[] = {
	R_TEXT(license_vendor, id, 1, 63, 0, "Id of the vendor: \"vector\"."),
	R_TEXT(license_vendor, name, 1, 127, 0, "Its name, for people."),
};
RECORD_DEFINE(license_vendor, 1, "Who sells the product.");

static const struct record_field license_customer_fields[] = {
	R_TEXT(license_customer, crm_account_id, 0, 63, RECORD_OPTIONAL,
	    "His account in the vendor's CRM: \"ACC-98765\"."),
	R_TEXT(license_customer, name, 0, 127, RECORD_OPTIONAL,
	    "Name of the company, as statements have it."),
};
RECORD_DEFINE(license_customer, 1, "Who pays, by the vendor's books.");

static const struct record_field license_product_fields[] = {
	R_TEXT(license_product, id, 1, 63, 0,
	    "Id that applications check out: \"davinci-configurator-se\"."),
	R_TEXT(license_product, name, 0, 127, RECORD_OPTIONAL,
	    "Its name, for people."),
	R_TEXT(license_product, version, 1, 95, 0,
	    "Versions covered: \">=8.0.0 <9.0.0\", \"8.2\", \"*\"."),
};
RECORD_DEFINE(license_product, 1, "A product and the versions covered.");

static const struct record_field license_pricing_fields[] = {
	R_MONEY(license_pricing, commit_fee_monthly, currency, 0,
	    "Fee for the committed seats, a month."),
	R_MONEY(license_pricing, overage_per_use, currency, 0,
	    "Price of one overage checkout."),
	R_TEXT(license_pricing, currency, 3, 3, 0, "ISO 4217 code: \"EUR\"."),
};
RECORD_DEFINE(license_pricing, 1, "What seats cost.");

static const struct record_field license_entitlement_fields[] = {
	R_U32(license_entitlement, total_licenses, 1, LICENSE_SEATS_MAX, 0,
	    "Seats in all: commit_qty + max_overage."),
	R_U32(license_entitlement, commit_qty, 0, LICENSE_SEATS_MAX, 0,
	    "Seats covered by the monthly fee."),
	R_U32(license_entitlement, max_overage, 0, LICENSE_SEATS_MAX, 0,
	    "Seats above them; each checkout of one is billed."),
	R_STRUCT(license_entitlement, pricing, &license_pricing_record, 0,
	    "What seats cost."),
};
RECORD_DEFINE(license_entitlement, 1, "How many seats, at what price.");

static const struct record_field license_feature_fields[] = {
	R_TEXT(license_feature, id, 1, 63, 0,
	    "Id that applications ask for: \"autosar\"."),
	R_TEXT(license_feature, name, 0, 127, RECORD_OPTIONAL,
	    "Its name, for people."),
	R_U32(license_feature, total_licenses, 1, LICENSE_SEATS_MAX, 0,
	    "Seats in all: commit_qty + max_overage."),
	R_U32(license_feature, commit_qty, 0, LICENSE_SEATS_MAX, 0,
	    "Seats covered by the monthly fee."),
	R_U32(license_feature, max_overage, 0, LICENSE_SEATS_MAX, 0,
	    "Seats above them; each seat of a checkout there is billed."),
	R_MONEY(license_feature, overage_per_use, currency, 0,
	    "Price of one overage seat, a checkout."),
	R_TEXT(license_feature, currency, 3, 3, 0,
	    "ISO 4217 code, that of the license."),
};
RECORD_DEFINE(license_feature, 1,
    "A feature of the product, with seats of its own.");

static const struct record_field license_contract_fields[] = {
	R_DATE(license_contract, start_date, 0,
	    "First day, from 00:00 UTC on."),
	R_DATE(license_contract, end_date, 0, "Last day, to 24:00 UTC."),
	R_BOOL(license_contract, auto_renew, 0,
	    "Does the vendor renew it without being asked?"),
	R_ENUM(license_contract, billing_cycle, cycle_names, 0,
	    "How often a statement is made."),
};
RECORD_DEFINE(license_contract, 1, "How long it runs and is billed.");

/* Those of shared/proof, which the vendor's tool does not link. */
static const char *const class_names[] = {
	[PROOF_SOFTWARE] = "software",
	[PROOF_TPM] = "tpm",
	[PROOF_VTPM] = "vtpm",
	[PROOF_ASSIGNED] = "assigned",
	[PROOF_KEY] = "key",
	[PROOF_KEY + 1] = NULL,
};
static const struct record_field license_class_fields[] = {
	/* `class` is a word of C++. */
	{ .key = "class",
	    .doc = "A class of device: \"tpm\".",
	    .type = RECORD_ENUM,
	    .offset = offsetof(struct license_class, class_),
	    .size = sizeof(((struct license_class *)0)->class_),
	    .names = class_names },
};
const struct record license_class_record = {
	.name = "license_class",
	.doc = "A class of device.",
	.version = 1,
	.size = sizeof(struct license_class),
	.fields = license_class_fields,
	.n_fields = 1,
	.bare = true,
};

/* Both spans are required, so that a grace of 0 can be said: who wants the
 * defaults leaves out the whole object. */
static const struct record_field license_bounds_fields[] = {
	R_U32(license_bounds, ttl_s, 1, 86400, 0,
	    "Seconds that a lease holds without a sign of life of the site."),
	R_U32(license_bounds, grace_s, 0, 604800, 0,
	    "Seconds that an application may go on after that."),
	R_ENUM(license_bounds, enforce, enforce_names, RECORD_OPTIONAL,
	    "What happens when seats or contract are over."),
	R_U32(license_bounds, grace_days, 1, LICENSE_GRACE_DAYS_MAX,
	    RECORD_OPTIONAL,
	    "With enforce grace: days after the contract's last one in which "
	    "seats are granted, and billed as overage."),
	R_BOOL(license_bounds, no_borrow, RECORD_OPTIONAL,
	    "No seat may be borrowed."),
	R_U32(license_bounds, borrow_max_s, 1, LICENSE_BORROW_MAX_S,
	    RECORD_OPTIONAL,
	    "Seconds of the longest borrow; 604800 when absent."),
	R_U32(license_bounds, borrow_seats, 1, LICENSE_SEATS_MAX,
	    RECORD_OPTIONAL,
	    "Most seats on loan at once, of the product and of each feature; "
	    "absent: all of them."),
	R_LIST(license_bounds, borrow_classes, &license_class_record, 0,
	    LICENSE_CLASSES_MAX, RECORD_OPTIONAL,
	    "Classes of device that may borrow; absent: tpm alone."),
	R_LIST(license_bounds, classes, &license_class_record, 0,
	    LICENSE_CLASSES_MAX, RECORD_OPTIONAL,
	    "Classes of device that get seats; absent: all."),
};
RECORD_DEFINE(license_bounds, 1, "What bounds the policy of the site.");

static const char *const model_names[] = { "commit_overage", "subscription",
	"per_use", "hybrid", "revenue_share", NULL };
static const char *const per_names[] = { "minute", "day", "month", "at_once",
	NULL };
const char *const license_tier_names[] = { "none", "starter", "professional",
	"enterprise", "custom", NULL };

static const struct record_field license_usage_price_fields[] = {
	R_TEXT(license_usage_price, metric, 1, 63, 0,
	    "Name of the metric: \"api_calls\"."),
	R_U64(license_usage_price, included, 0, U53_MAX, RECORD_OPTIONAL,
	    "So much of it in a period costs nothing."),
	R_U64(license_usage_price, unit, 1, U53_MAX, 0,
	    "So much of it, or a part, has the price: 1000."),
	R_MONEY(license_usage_price, price, currency, 0, "Price of a unit."),
	R_TEXT(license_usage_price, currency, 3, 3, 0,
	    "ISO 4217 code, that of the license."),
};
RECORD_DEFINE(license_usage_price, 1, "What a named metric costs.");

static const struct record_field license_tax_fields[] = {
	R_TEXT(license_tax, name, 1, 63, 0, "For people: \"VAT 19 %\"."),
	R_U32(license_tax, rate_ppm, 0, LICENSE_PPM, 0,
	    "Millionths of the sum: 190000 is 19 %."),
};
RECORD_DEFINE(license_tax, 1, "A tax on top of a statement's lines.");

static const struct record_field license_billing_fields[] = {
	R_ENUM(license_billing, model, model_names, 0,
	    "What a statement adds up."),
	R_MONEY(license_billing, subscription_fee, currency, RECORD_OPTIONAL,
	    "Fee of a billing cycle."),
	R_TEXT(license_billing, currency, 3, 3, 0,
	    "ISO 4217 code, that of the license."),
	R_U32(license_billing, share_ppm, 1, LICENSE_PPM, RECORD_OPTIONAL,
	    "Of model revenue_share: millionths of the metric that are the "
	    "vendor's."),
	R_TEXT(license_billing, share_metric, 1, 63, RECORD_OPTIONAL,
	    "That metric, in minor units of the currency: \"revenue\"."),
	R_LIST(license_billing, usage, &license_usage_price_record, 0,
	    LICENSE_USAGE_MAX, RECORD_OPTIONAL, "Prices of named metrics."),
	R_LIST(license_billing, taxes, &license_tax_record, 0,
	    LICENSE_TAXES_MAX, RECORD_OPTIONAL, "Taxes, each on the sum."),
};
RECORD_DEFINE(license_billing, 1, "What is paid for beside seats, and how.");

static const struct record_field license_limit_fields[] = {
	R_TEXT(license_limit, metric, 1, 63, 0,
	    "Name of the metric: \"api_calls\"."),
	R_ENUM(license_limit, per, per_names, 0, "In which time."),
	R_U64(license_limit, amount, 0, U53_MAX, 0, "So much at most."),
	R_BOOL(license_limit, soft, RECORD_OPTIONAL,
	    "More is told to people and not refused."),
};
RECORD_DEFINE(license_limit, 1, "How much of a named metric may be used.");

static const struct record_field license_sync_fields[] = {
	R_BOOL(license_sync, reports, 0, "Is usage reported to the vendor?"),
	R_U32(license_sync, max_unsynced_days, 1, 3650, RECORD_OPTIONAL,
	    "Days without a receipt after which nothing is granted."),
	R_TIME(license_sync, refresh_by, RECORD_OPTIONAL,
	    "Nothing is granted from then on unless a newer document came."),
	R_TEXT(license_sync, hub, 1, 255, RECORD_OPTIONAL,
	    "Where reports go: \"https://hub.vector.example\"; absent: by "
	    "file alone."),
};
RECORD_DEFINE(license_sync, 1, "How site and vendor keep in touch.");

static const struct record_field license_terms_fields[] = {
	R_STRUCT(license_terms, product, &license_product_record, 0,
	    "The product."),
	R_STRUCT(license_terms, entitlement, &license_entitlement_record, 0,
	    "The seats."),
	R_LIST(license_terms, features, &license_feature_record, 0,
	    LICENSE_FEATURES_MAX, RECORD_OPTIONAL,
	    "Features of the product that have seats of their own."),
	R_STRUCT(license_terms, contract, &license_contract_record, 0,
	    "The contract."),
	R_STRUCT(license_terms, terms, &license_bounds_record, RECORD_OPTIONAL,
	    "Bounds of the site's policy; without it the defaults: ttl_s 120, "
	    "grace_s 300, enforce hard, borrow_max_s 604800."),
	R_STRUCT(license_terms, billing, &license_billing_record,
	    RECORD_OPTIONAL,
	    "What is paid for beside seats; absent: model commit_overage."),
	R_ENUM(license_terms, tier, license_tier_names, RECORD_OPTIONAL,
	    "Name of its set of limits."),
	R_LIST(license_terms, limits, &license_limit_record, 0,
	    LICENSE_LIMITS_MAX, RECORD_OPTIONAL, "Limits of named metrics."),
	R_STRUCT(license_terms, sync, &license_sync_record, RECORD_OPTIONAL,
	    "How the site keeps in touch; absent: it need not."),
	R_STRUCT(license_terms, customer, &license_customer_record,
	    RECORD_OPTIONAL, "Who pays; absent: the tenant."),
};
RECORD_DEFINE(license_terms, 1,
    "What a vendor grants, without the parties: the file for issuing.");

static const struct record_field license_fields[] = {
	R_TEXT(license, license_id, 1, 63, 0,
	    "Id of the license: \"lic-vector-mercedes-2026-001\"."),
	R_U64(license, serial, 1, U53_MAX, 0,
	    "A higher one of the same id replaces a lower one."),
	R_STRUCT(license, vendor, &license_vendor_record, 0, "Who grants it."),
	R_TEXT(license, site, 1, 63, 0, "The only site it is for."),
	R_TEXT(license, tenant, 1, 63, 0, "The only tenant it is for."),
	R_FIXED(license, site_key, 0, "The site's Ed25519 key."),
	R_STRUCT(license, product, &license_product_record, 0, "The product."),
	R_STRUCT(license, entitlement, &license_entitlement_record, 0,
	    "The seats."),
	R_LIST(license, features, &license_feature_record, 0,
	    LICENSE_FEATURES_MAX, RECORD_OPTIONAL,
	    "Features of the product that have seats of their own."),
	R_STRUCT(license, contract, &license_contract_record, 0,
	    "The contract."),
	R_STRUCT(license, terms, &license_bounds_record, 0,
	    "Bounds of the site's policy."),
	R_STRUCT(license, billing, &license_billing_record, RECORD_OPTIONAL,
	    "What is paid for beside seats; absent: model commit_overage."),
	R_ENUM(license, tier, license_tier_names, RECORD_OPTIONAL,
	    "Name of its set of limits."),
	R_LIST(license, limits, &license_limit_record, 0, LICENSE_LIMITS_MAX,
	    RECORD_OPTIONAL, "Limits of named metrics."),
	R_STRUCT(license, sync, &license_sync_record, RECORD_OPTIONAL,
	    "How the site keeps in touch; absent: it need not."),
	R_STRUCT(license, customer, &license_customer_record, RECORD_OPTIONAL,
	    "Who pays; absent: the tenant."),
	R_TIME(license, issued_at, 0, "When the vendor signed it."),
};
RECORD_DEFINE(license, 1, "A vendor's grant to one tenant of one site.");

static const struct record_field license_issuer_fields[] = {
	R_STRUCT(license_issuer, vendor, &license_vendor_record, 0,
	    "Whose key it is."),
	R_FIXED(license_issuer, key, 0, "The issuing Ed25519 key."),
	R_TIME(license_issuer, not_before, 0,
	    "Licenses issued before are not its."),
	R_TIME(license_issuer, not_after, 0, "Nor are licenses issued after."),
};
RECORD_DEFINE(license_issuer, 1, "An issuing key and its validity.");

static const struct record_field license_request_fields[] = {
	R_TEXT(license_request, site, 1, 63, 0, "Id of the site."),
	R_TEXT(license_request, name, 1, 127, 0, "Its name, for people."),
	R_TEXT(license_request, tenant, 1, 63, 0, "The tenant that asks."),
	R_FIXED(license_request, site_key, 0,
	    "The site's Ed25519 key, which signs this request."),
	R_TEXT(license_request, key_class, 1, 15, 0,
	    "How the key is kept: \"file\"."),
	R_TEXT(license_request, software, 1, 31, 0,
	    "What runs there: \"leaseholdd 0.1.0\"."),
	R_FIXED(license_request, attestation, RECORD_OPTIONAL,
	    "The key with which its TPM vouches for the machine's start."),
	SUCCESSION_FIELD(license_request),
	R_TIME(license_request, created_at, 0, "When it was asked."),
};
RECORD_DEFINE(license_request, 1, "A site asks a vendor for a license.");

static const struct record_field license_file_fields[] = {
	R_FIXED(license_file, vendor_key, RECORD_OPTIONAL,
	    "The vendor's root key, which the site pins."),
	R_STRING(license_file, issuer, 1, LICENSE_ISSUER_TOKEN_MAX, 0,
	    "Token of the issuing key, signed by the vendor's root key."),
	R_STRING(license_file, license, 1, LICENSE_TOKEN_MAX, 0,
	    "Token of the license, signed by the issuing key."),
};
RECORD_DEFINE(license_file, 1, "A license and the proof of who issued it.");

static const struct record_field license_issuer_file_fields[] = {
	R_FIXED(license_issuer_file, vendor_key, 0, "The vendor's root key."),
	R_STRING(license_issuer_file, issuer, 1, LICENSE_ISSUER_TOKEN_MAX, 0,
	    "Its word for the issuing key of a hub."),
};
RECORD_DEFINE(license_issuer_file, 1,
    "A vendor's word for the issuing key of its account on a hub.");
