/* Tables of the rows of a hub; see rows_hub.h. */
#include "shared/journal/rows_private.h"

const char *const customer_status_names[] = { "active", "pending_verification",
	"expired", "suspended", NULL };
const char *const customer_plan_names[] = { "none", "free", "startup",
	"professional", "enterprise", NULL };
const char *const revision_what_names[] = { "renewed", "suspended", "resumed",
	"cancelled", NULL };

static const struct record_field row_account_key_fields[] = {
	R_U64(row_account_key, key, 1, U53_MAX, 0, "Which one it is."),
	R_FIXED(row_account_key, public_key, 0, "Its public half."),
	R_FIXED(row_account_key, document, 0, "Where its secret is sealed."),
	R_FIXED(row_account_key, commitment, 0,
	    "BLAKE2b-256 of a salt and the secret."),
	R_STRUCT(row_account_key, by, &row_actor_record, 0, "Who made it."),
};
RECORD_DEFINE(row_account_key, 1, "The account has a new issuing key.");

static const struct record_field row_account_issuer_fields[] = {
	R_U64(row_account_issuer, key, 1, U53_MAX, 0, "Which key."),
	R_FIXED(row_account_issuer, root, 0, "The vendor's root key."),
	R_STRUCT(row_account_issuer, vendor, &license_vendor_record, 0,
	    "Whose keys they are."),
	R_TIME(row_account_issuer, not_before, 0, "It issues from then on,"),
	R_TIME(row_account_issuer, not_after, 0, "and until then."),
	R_STRING(row_account_issuer, issuer, 1, LICENSE_ISSUER_TOKEN_MAX, 0,
	    "The root key's word."),
	R_STRUCT(row_account_issuer, by, &row_actor_record, 0,
	    "Who installed it."),
};
RECORD_DEFINE(row_account_issuer, 1,
    "The vendor's root key vouches for an issuing key.");

static const struct record_field row_customer_fields[] = {
	R_U64(row_customer, customer, 1, U53_MAX, 0, "Its number here."),
	R_TEXT(row_customer, crm_account_id, 1, 63, 0, "Its id in the CRM."),
	R_TEXT(row_customer, name, 1, 127, 0, "Name of the company."),
	R_TEXT(row_customer, tenant_id, 1, 63, RECORD_OPTIONAL,
	    "What its tenant is called."),
	R_TEXT(row_customer, domain, 1, 127, RECORD_OPTIONAL,
	    "Domain that it registered with."),
	R_TEXT(row_customer, country, 2, 2, RECORD_OPTIONAL, "ISO 3166-1."),
	R_TEXT(row_customer, region, 1, 31, RECORD_OPTIONAL,
	    "Where its data is kept."),
	R_ENUM(row_customer, plan, customer_plan_names, RECORD_OPTIONAL,
	    "What it may have."),
	R_ENUM(row_customer, status, customer_status_names, 0, "How it is."),
	R_FIXED(row_customer, document, RECORD_OPTIONAL,
	    "Where its contact is sealed; zero: there is none."),
	R_FIXED(row_customer, commitment, RECORD_OPTIONAL,
	    "BLAKE2b-256 of a salt and that."),
	R_STRUCT(row_customer, by, &row_actor_record, 0, "Who did it."),
};
RECORD_DEFINE(row_customer, 1, "A customer of the account, as it is now.");

static const struct record_field row_license_ordered_fields[] = {
	R_U64(row_license_ordered, order, 1, U53_MAX, 0, "Its number here."),
	R_U64(row_license_ordered, customer, 1, U53_MAX, 0, "Whom it is for."),
	R_TEXT(row_license_ordered, license_id, 1, 63, 0,
	    "Id of the license to be."),
	R_TEXT(row_license_ordered, opportunity, 1, 63, RECORD_OPTIONAL,
	    "What the CRM calls the deal."),
	R_FIXED(row_license_ordered, asked, 0,
	    "BLAKE2b-256 of what was asked for."),
	R_BOOL(row_license_ordered, provision, 0,
	    "Issued as soon as its site is known."),
	R_STRUCT(row_license_ordered, terms, &license_terms_record, 0,
	    "What it grants."),
	R_STRUCT(row_license_ordered, by, &row_actor_record, 0,
	    "Who ordered it."),
};
RECORD_DEFINE(row_license_ordered, 1, "A license is to be for a customer.");

static const struct record_field row_site_bound_fields[] = {
	R_U64(row_site_bound, number, 1, U53_MAX, 0, "Its number here."),
	R_U64(row_site_bound, customer, 1, U53_MAX, 0, "Whose it is."),
	R_STRUCT(row_site_bound, request, &license_request_record, 0,
	    "What it said of itself, signed by its key."),
	R_STRUCT(row_site_bound, by, &row_actor_record, 0, "Who brought it."),
};
RECORD_DEFINE(row_site_bound, 1, "A site is a customer's.");

static const struct record_field row_site_reissued_fields[] = {
	R_U64(row_site_reissued, number, 1, U53_MAX, 0, "Which site."),
	R_FIXED(row_site_reissued, retired, 0, "The key that it had."),
	R_STRUCT(row_site_reissued, request, &license_request_record, 0,
	    "What its new box says, signed with the new key."),
	R_STRUCT(row_site_reissued, by, &row_actor_record, 0,
	    "Who confirmed it."),
};
RECORD_DEFINE(row_site_reissued, 1, "A site goes on in another box.");

static const struct record_field row_license_released_fields[] = {
	R_U64(row_license_released, order, 1, U53_MAX, 0, "Which order."),
	R_STRUCT(row_license_released, by, &row_actor_record, 0,
	    "Who said so."),
};
RECORD_DEFINE(row_license_released, 1, "An ordered license may be issued.");

static const struct record_field row_license_issued_fields[] = {
	R_U64(row_license_issued, order, 1, U53_MAX, 0, "Which order."),
	R_U64(row_license_issued, serial, 1, U53_MAX, 0, "Its serial."),
	R_U64(row_license_issued, site, 1, U53_MAX, 0, "Number of its site."),
	R_U64(row_license_issued, key, 1, U53_MAX, 0, "Key that signed it."),
	R_TIME(row_license_issued, at, 0, "When, as it says."),
	R_STRUCT(row_license_issued, contract, &license_contract_record, 0,
	    "Its contract."),
	R_FIXED(row_license_issued, digest, 0, "BLAKE2b-256 of the token."),
	R_STRING(row_license_issued, token, 1, LICENSE_TOKEN_MAX, 0,
	    "The license."),
	R_STRUCT(row_license_issued, by, &row_actor_record, 0, "Who did it."),
};
RECORD_DEFINE(row_license_issued, 1, "A license was signed.");

static const struct record_field row_license_revised_fields[] = {
	R_U64(row_license_revised, order, 1, U53_MAX, 0, "Which order."),
	R_U64(row_license_revised, revision, 1, U53_MAX, 0,
	    "Which one of this order."),
	R_ENUM(row_license_revised, what, revision_what_names, 0,
	    "What became of it."),
	R_U64(row_license_revised, serial, 0, U53_MAX, 0,
	    "Serial in force; 0: it was never issued."),
	R_BOOL(row_license_revised, automatic, RECORD_OPTIONAL,
	    "The hub did it by itself."),
	R_FIXED(row_license_revised, reason, RECORD_OPTIONAL,
	    "Words of an admin; zero: there are none."),
	R_STRING(row_license_revised, token, 1, LICENSE_TOKEN_MAX * 2,
	    RECORD_OPTIONAL, "The signed change, for the site."),
	R_STRUCT(row_license_revised, by, &row_actor_record, 0, "Who did it."),
};
RECORD_DEFINE(row_license_revised, 1, "A license was changed.");

static const struct record_field row_license_expired_fields[] = {
	R_U64(row_license_expired, order, 1, U53_MAX, 0, "Which order."),
	R_U64(row_license_expired, serial, 1, U53_MAX, 0, "Its serial."),
	R_DATE(row_license_expired, end_date, 0, "Its last day."),
};
RECORD_DEFINE(row_license_expired, 1, "The contract of a license is over.");

static const struct record_field row_report_taken_fields[] = {
	R_U64(row_report_taken, site, 1, U53_MAX, 0, "Number of its site."),
	R_U64(row_report_taken, sequence, 1, U53_MAX, 0, "Which report."),
	R_U64(row_report_taken, batch, 0, U53_MAX, 0, "Where it ends,"),
	R_FIXED(row_report_taken, head, 0, "that batch's head"),
	R_FIXED(row_report_taken, history, 0, "and history,"),
	R_U32(row_report_taken, generation, 0, UINT32_MAX, 0,
	    "its generation,"),
	R_TIME(row_report_taken, time, 0, "its time"),
	R_U64(row_report_taken, overage, 0, U53_MAX, 0,
	    "and running total of overage."),
	R_FIXED(row_report_taken, digest, 0, "BLAKE2b-256 of the report."),
	R_STRING(row_report_taken, receipt, 1, 8192, 0, "The signed answer."),
};
RECORD_DEFINE(row_report_taken, 1, "A report of a site was taken.");
