/* Tables: a vendor's account on a hub. */
#include "shared/rpc/messages_hub.h"

#include "shared/report/report.h"

#include "shared/rpc/tables.h"

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

const char *const hub_status_names[] = { "any", "generated", "awaiting_site",
	"provisioned", "suspended", "expired", "cancelled", NULL };

#define CRM(S, fl) \
	R_TEXT(S, crm_account_id, 1, 63, fl, "The customer's id in the CRM.")
#define LICENSE_ID(S, fl) \
	R_TEXT(S, license_id, 1, 63, fl, "\"lic-vector-mercedes-2026-001\".")

/* --- licenses ------------------------------------------------------------------ */

static const struct record_field hub_for_fields[] = {
	CRM(hub_for, 0),
	R_TEXT(hub_for, name, 1, 127, OPT,
	    "Name of the company; needed when it is not known yet."),
	R_TEXT(hub_for, tenant_id, 1, 63, OPT, "What its tenant is called."),
	R_TEXT(hub_for, contact_email, 3, 127, OPT, "Whom to write to."),
};
RECORD_DEFINE(hub_for, 1, "A customer, as the CRM has it.");

static const struct record_field hub_generate_fields[] = {
	R_TEXT(hub_generate, crm_opportunity_id, 1, 63, 0,
	    "The deal: the same again is no second license."),
	R_STRUCT(hub_generate, customer, &hub_for_record, 0, "Whom it is for."),
	R_STRUCT(hub_generate, product, &license_product_record, 0,
	    "The product."),
	R_STRUCT(hub_generate, entitlement, &license_entitlement_record, 0,
	    "The seats."),
	R_STRUCT(hub_generate, contract, &license_contract_record, 0,
	    "The contract."),
	R_BOOL(hub_generate, auto_provision, OPT,
	    "Issue it as soon as the customer's site is known."),
	R_LIST(hub_generate, features, &license_feature_record, 0,
	    LICENSE_FEATURES_MAX, OPT, "Features with seats of their own."),
	R_STRUCT(hub_generate, terms, &license_bounds_record, OPT,
	    "Bounds of the site's policy; absent: the defaults."),
	R_STRUCT(hub_generate, billing, &license_billing_record, OPT,
	    "What is paid for beside seats."),
	R_ENUM(hub_generate, tier, license_tier_names, OPT,
	    "Name of its set of limits."),
	R_LIST(hub_generate, limits, &license_limit_record, 0,
	    LICENSE_LIMITS_MAX, OPT, "Limits of named metrics."),
	R_STRUCT(hub_generate, sync, &license_sync_record, OPT,
	    "How the site keeps in touch."),
};
RECORD_DEFINE(hub_generate, 1, "A license for a customer, from the CRM.");

static const struct record_field hub_generated_fields[] = {
	LICENSE_ID(hub_generated, 0),
	R_TEXT(hub_generated, crm_opportunity_id, 1, 63, OPT, "The deal."),
	R_TEXT(hub_generated, package_url, 1, 159, OPT,
	    "Where the license file is, below the hub's address; absent: it "
	    "is not issued yet."),
	R_ENUM(hub_generated, status, hub_status_names, 0, "How it is."),
	R_TEXT(hub_generated, customer_tenant, 1, 63, OPT,
	    "Tenant that it is for."),
	R_TIME(hub_generated, provisioned_at, OPT, "When it was issued."),
};
RECORD_DEFINE(hub_generated, 1, "A license that was ordered.");

static const struct record_field hub_notification_fields[] = {
	R_TEXT(hub_notification, email, 3, 127, 0, "Whom to tell."),
	R_TEXT(hub_notification, message, 1, 511, OPT, "In which words."),
};
RECORD_DEFINE(hub_notification, 1, "Somebody is to be told.");

static const struct record_field hub_crm_fields[] = { CRM(hub_crm, 0) };
RECORD_DEFINE(hub_crm, 1, "A customer by its id in the CRM.");

static const struct record_field hub_provision_fields[] = {
	LICENSE_ID(hub_provision, 0),
	R_STRUCT(hub_provision, customer, &hub_crm_record, OPT,
	    "Whose it is: refused when it is another's."),
	R_STRUCT(hub_provision, notification, &hub_notification_record, OPT,
	    "Who is to be told."),
	R_TEXT(hub_provision, site, 1, 63, OPT,
	    "Id of the site, when the customer has several."),
};
RECORD_DEFINE(hub_provision, 1, "A license is to be issued.");

static const struct record_field hub_provisioned_fields[] = {
	R_ENUM(hub_provisioned, status, hub_status_names, 0, "How it is."),
	R_TEXT(hub_provisioned, tenant_url, 1, 159, OPT,
	    "Where the customer's tenant is, as its customer record says."),
	R_TIME(hub_provisioned, provisioned_at, OPT, "When it was issued."),
	R_BOOL(hub_provisioned, customer_notified, 0,
	    "The mail server took the mail that was asked for."),
};
RECORD_DEFINE(hub_provisioned, 1, "What became of it.");

static const struct record_field hub_license_ref_fields[] = {
	LICENSE_ID(hub_license_ref, 0),
};
RECORD_DEFINE(hub_license_ref, 1, "A license by its id.");

static const struct record_field hub_license_name_fields[] = {
	LICENSE_ID(hub_license_name, 0),
};
BARE(hub_license_name, "A license by its id.");

static const struct record_field hub_license_change_fields[] = {
	LICENSE_ID(hub_license_change, 0),
	R_TEXT(hub_license_change, reason, 1, 127, OPT, "Why, in words."),
};
RECORD_DEFINE(hub_license_change, 1, "A license is to be otherwise.");

static const struct record_field hub_license_renew_fields[] = {
	LICENSE_ID(hub_license_renew, 0),
	R_DATE(hub_license_renew, end_date, 0,
	    "The contract's new last day; after the one it has."),
};
RECORD_DEFINE(hub_license_renew, 1, "A license goes on for longer.");

static const struct record_field hub_license_query_fields[] = {
	CRM(hub_license_query, OPT),
	R_ENUM(hub_license_query, status, hub_status_names, OPT,
	    "Only those that are so."),
	R_U32(hub_license_query, expiring_days, 1, 3650, OPT,
	    "Only those in force whose contract ends within so many days."),
	R_CURSOR(hub_license_query, after, 'H', OPT, "Where to go on."),
	R_U32(hub_license_query, limit, 1, 1000, OPT, "At most so many."),
};
RECORD_DEFINE(hub_license_query, 1, "Which licenses.");

static const struct record_field hub_license_view_fields[] = {
	LICENSE_ID(hub_license_view, 0),
	R_ENUM(hub_license_view, status, hub_status_names, 0, "How it is."),
	R_TEXT(hub_license_view, crm_opportunity_id, 1, 63, OPT, "The deal."),
	CRM(hub_license_view, 0),
	R_TEXT(hub_license_view, customer_name, 1, 127, 0, "Its name."),
	R_STRUCT(hub_license_view, product, &license_product_record, 0,
	    "The product."),
	R_STRUCT(hub_license_view, entitlement, &license_entitlement_record, 0,
	    "The seats."),
	R_STRUCT(hub_license_view, contract, &license_contract_record, 0,
	    "The contract in force."),
	R_U64(hub_license_view, serial, 1, U53_MAX, OPT,
	    "Of the license file."),
	R_TEXT(hub_license_view, site, 1, 63, OPT, "The site it is for."),
	R_TEXT(hub_license_view, tenant, 1, 63, OPT, "And the tenant there."),
	R_TIME(hub_license_view, ordered_at, 0, "When it was ordered,"),
	R_TIME(hub_license_view, issued_at, OPT, "first issued,"),
	R_TIME(hub_license_view, changed_at, 0, "and last changed."),
	R_U64(hub_license_view, revisions, 1, U53_MAX, OPT,
	    "So many changes since."),
};
RECORD_DEFINE(hub_license_view, 1, "A license of a customer.");

static const struct record_field hub_license_page_fields[] = {
	R_LIST(hub_license_page, items, &hub_license_view_record, 0, 1000, 0,
	    "In the order of their making."),
	R_CURSOR(hub_license_page, next, 'H', OPT, "Where to go on."),
};
RECORD_DEFINE(hub_license_page, 1, "Licenses.");

/* --- customers -------------------------------------------------------------------- */

static const struct record_field customer_search_fields[] = {
	CRM(customer_search, OPT),
	R_TEXT(customer_search, tenant_id, 1, 63, OPT, "Its tenant."),
	R_TEXT(customer_search, name, 2, 127, OPT,
	    "A part of its name; case does not count."),
};
RECORD_DEFINE(customer_search, 1, "Whom to find, by one of these.");

static const struct record_field customer_brief_fields[] = {
	CRM(customer_brief, 0),
	R_TEXT(customer_brief, platform_customer_id, 1, 31, 0,
	    "\"CUST-00001\"."),
	R_TEXT(customer_brief, tenant_id, 1, 63, OPT, "Its tenant."),
	R_TEXT(customer_brief, tenant_url, 1, 159, OPT,
	    "Where that is, when it is known."),
	R_TEXT(customer_brief, company_name, 1, 127, 0, "Its name."),
	R_ENUM(customer_brief, status, customer_status_names, 0, "How it is."),
	R_TIME(customer_brief, registered_at, 0, "Since then."),
};
RECORD_DEFINE(customer_brief, 1, "A customer, in short.");

static const struct record_field customer_found_fields[] = {
	R_BOOL(customer_found, found, 0, "Is there one?"),
	R_STRUCT(customer_found, customer, &customer_brief_record, OPT,
	    "The first."),
	R_LIST(customer_found, others, &customer_brief_record, 0, HUB_FOUND_MAX,
	    OPT, "Others of that name."),
};
RECORD_DEFINE(customer_found, 1, "Who was found.");

#define CUSTOMER_FIELDS(S)                                                  \
	R_TEXT(S, name, 1, 127, 0, "Name of the company."),                 \
	    R_TEXT(S, tenant_id, 1, 63, OPT, "What its tenant is called."), \
	    R_TEXT(S, country, 2, 2, OPT, "ISO 3166-1: \"DE\"."),           \
	    R_TEXT(S, region, 1, 31, OPT, "Where its data is to be."),      \
	    R_ENUM(S, plan, customer_plan_names, OPT,                       \
		"free (10 licenses), startup (100), professional (1,000), " \
		"enterprise (any number).")
#define CONTACT_FIELDS(S)                                           \
	R_TEXT(S, contact_email, 3, 127, OPT, "Whom to write to."), \
	    R_TEXT(S, contact_name, 1, 127, OPT, "And his name."),  \
	    R_TEXT(S, tenant_url, 9, 159, OPT,                      \
		"Where its tenant is: \"https://mercedes.plant.example\".")

static const struct record_field customer_add_fields[] = {
	CRM(customer_add, 0),
	CUSTOMER_FIELDS(customer_add),
	CONTACT_FIELDS(customer_add),
};
RECORD_DEFINE(customer_add, 1, "A new customer.");

static const struct record_field customer_put_fields[] = {
	CRM(customer_put, 0),
	CUSTOMER_FIELDS(customer_put),
	R_BOOL(customer_put, suspended, OPT, "Nothing is issued for it."),
	CONTACT_FIELDS(customer_put),
};
RECORD_DEFINE(customer_put, 1,
    "A customer as it is to be; what is left out is taken away.");

static const struct record_field customer_view_fields[] = {
	CRM(customer_view, 0),
	R_TEXT(customer_view, platform_customer_id, 1, 31, 0,
	    "\"CUST-00001\"."),
	CUSTOMER_FIELDS(customer_view),
	R_ENUM(customer_view, status, customer_status_names, 0, "How it is."),
	R_TEXT(customer_view, domain, 1, 127, OPT,
	    "Domain that it registered with."),
	CONTACT_FIELDS(customer_view),
	R_U64(customer_view, licenses, 0, U53_MAX, 0, "So many were ordered."),
	R_TIME(customer_view, registered_at, 0, "Since then."),
	R_TIME(customer_view, changed_at, 0, "And so since then."),
};
RECORD_DEFINE(customer_view, 1, "A customer.");

static const struct record_field customer_query_fields[] = {
	R_CURSOR(customer_query, after, 'M', OPT, "Where to go on."),
	R_U32(customer_query, limit, 1, 1000, OPT, "At most so many."),
};
RECORD_DEFINE(customer_query, 1, "Which page.");

static const struct record_field customer_page_fields[] = {
	R_LIST(customer_page, items, &customer_view_record, 0, 1000, 0,
	    "Customers, without their contacts."),
	R_CURSOR(customer_page, next, 'M', OPT, "Where to go on."),
};
RECORD_DEFINE(customer_page, 1, "Customers.");

static const struct record_field customer_contact_fields[] = {
	R_TEXT(customer_contact, email, 1, 127, OPT, "Whom to write to."),
	R_TEXT(customer_contact, name, 1, 127, OPT, "And his name."),
	R_TEXT(customer_contact, tax_id, 1, 63, OPT, "The company's tax id."),
	R_TEXT(customer_contact, tenant_url, 1, 159, OPT,
	    "Where its tenant is."),
};
RECORD_DEFINE(customer_contact, 1, "What of a customer is sealed.");

/* --- registration ----------------------------------------------------------------- */

static const struct record_field register_company_fields[] = {
	R_TEXT(register_company, name, 1, 127, 0, "Its name."),
	R_TEXT(register_company, domain, 3, 127, 0,
	    "Its domain, which it proves to be its own."),
	R_TEXT(register_company, country, 2, 2, OPT, "ISO 3166-1: \"DE\"."),
	R_TEXT(register_company, tax_id, 1, 63, OPT, "Its tax id."),
};
RECORD_DEFINE(register_company, 1, "A company.");

static const struct record_field register_tenant_fields[] = {
	R_TEXT(register_tenant, id, 1, 63, 0,
	    "What it is to be called: a-z, 0-9 and -."),
	R_TEXT(register_tenant, region, 1, 31, OPT, "Where its data is to be."),
	R_ENUM(register_tenant, plan, customer_plan_names, OPT,
	    "What it may have."),
};
RECORD_DEFINE(register_tenant, 1, "A tenant to be.");

static const struct record_field register_admin_fields[] = {
	R_TEXT(register_admin, email, 3, 127, 0, "Whom to write to."),
	R_TEXT(register_admin, name, 1, 127, OPT, "And his name."),
};
RECORD_DEFINE(register_admin, 1, "Who answers for it.");

static const struct record_field tenant_register_fields[] = {
	R_STRUCT(tenant_register, company, &register_company_record, 0,
	    "The company."),
	R_STRUCT(tenant_register, tenant, &register_tenant_record, 0,
	    "The tenant."),
	R_STRUCT(tenant_register, admin, &register_admin_record, 0,
	    "Its admin."),
};
RECORD_DEFINE(tenant_register, 1, "A company wants to be a customer.");

static const struct record_field register_record_fields[] = {
	R_TEXT(register_record, type, 1, 7, 0, "\"TXT\"."),
	R_TEXT(register_record, name, 1, 159, 0, "Where it is to stand."),
	R_TEXT(register_record, value, 1, 127, 0, "What it is to say."),
};
RECORD_DEFINE(register_record, 1, "A record of the DNS.");

static const struct record_field register_verification_fields[] = {
	R_TEXT(register_verification, method, 1, 7, 0, "\"dns\"."),
	R_STRUCT(register_verification, dns_record, &register_record_record, 0,
	    "The record that proves it."),
};
RECORD_DEFINE(register_verification, 1, "How a domain is proved.");

static const struct record_field register_step_fields[] = {
	R_TEXT(register_step, step, 1, 255, 0, "What to do."),
};
BARE(register_step, "What to do next.");

static const struct record_field tenant_registered_fields[] = {
	R_TEXT(tenant_registered, tenant_id, 1, 63, 0, "The tenant to be."),
	R_ENUM(tenant_registered, status, customer_status_names, 0,
	    "How it is."),
	R_STRUCT(tenant_registered, verification, &register_verification_record,
	    0, "How to prove the domain."),
	R_TEXT(tenant_registered, verification_token, 1, 63, 0,
	    "For POST /api/v1/tenants/verify."),
	R_TIME(tenant_registered, expires_at, 0, "Until when."),
	R_LIST(tenant_registered, next_steps, &register_step_record, 0, 8, 0,
	    "What to do."),
};
RECORD_DEFINE(tenant_registered, 1, "A registration that waits.");

static const struct record_field tenant_verify_fields[] = {
	R_TEXT(tenant_verify, tenant_id, 1, 63, 0, "The tenant to be."),
	R_TEXT(tenant_verify, verification_token, 1, 63, 0,
	    "What the registration answered."),
};
RECORD_DEFINE(tenant_verify, 1, "The record stands there: look.");

static const struct record_field tenant_verified_fields[] = {
	R_TEXT(tenant_verified, tenant_id, 1, 63, 0, "The tenant."),
	R_TEXT(tenant_verified, status, 1, 15, 0, "\"verified\"."),
	R_TEXT(tenant_verified, crm_id, 1, 63, 0, "What it is called here."),
	R_TIME(tenant_verified, created_at, 0, "When it registered."),
};
RECORD_DEFINE(tenant_verified, 1, "The domain is its own.");

/* --- the account ------------------------------------------------------------------- */

static const struct record_field hub_key_view_fields[] = {
	R_U64(hub_key_view, key, 0, U53_MAX, 0,
	    "Number of the newest; 0: there is none."),
	R_TEXT(hub_key_view, public_key, 1, TOKEN_PUBLIC_TEXT - 1, OPT,
	    "Its public half, for leasehold-vendor issuer --key."),
	R_TEXT(hub_key_view, kid, 1, TOKEN_KID_TEXT - 1, OPT, "Its id."),
	R_BOOL(hub_key_view, vouched, 0, "Does the root key vouch for it?"),
	R_U64(hub_key_view, issuing, 0, U53_MAX, 0,
	    "Number of the key that issues; 0: none does."),
	R_STRUCT(hub_key_view, vendor, &license_vendor_record, OPT,
	    "Whom that one issues for."),
	R_TIME(hub_key_view, not_before, OPT, "From then on,"),
	R_TIME(hub_key_view, not_after, OPT, "and until then."),
};
RECORD_DEFINE(hub_key_view, 1, "The issuing keys of an account.");

static const struct record_field hub_site_add_fields[] = {
	CRM(hub_site_add, 0),
	R_STRING(hub_site_add, request, 1, HUB_REQUEST_MAX, 0,
	    "What leasehold site request prints there."),
};
RECORD_DEFINE(hub_site_add, 1, "The site of a customer.");

static const struct record_field hub_reissue_fields[] = {
	R_STRING(hub_reissue, request, 1, HUB_REQUEST_MAX, 0,
	    "What leasehold site request prints on the new box."),
	R_BOOL(hub_reissue, confirm, OPT,
	    "The old box's key is to be retired; without it that is refused, "
	    "with what it means."),
};
RECORD_DEFINE(hub_reissue, 1, "A site goes on in another box.");

static const struct record_field hub_site_view_fields[] = {
	R_TEXT(hub_site_view, site, 1, 63, 0, "Its id."),
	R_TEXT(hub_site_view, name, 1, 127, 0, "Its name."),
	R_TEXT(hub_site_view, tenant, 1, 63, 0, "The tenant there."),
	CRM(hub_site_view, 0),
	R_TEXT(hub_site_view, software, 1, 31, OPT, "What runs there."),
	R_TIME(hub_site_view, bound_at, 0, "Known since."),
	R_U64(hub_site_view, sequence, 1, U53_MAX, OPT, "Its last report."),
	R_TIME(hub_site_view, reported_at, OPT, "When that was taken."),
	R_U64(hub_site_view, seats, 0, U53_MAX, OPT,
	    "Overage seats that it reported."),
	R_U64(hub_site_view, unbilled, 0, U53_MAX, OPT,
	    "Of these: of licenses or serials that were not issued to it, "
	    "which no statement counts."),
	R_U64(hub_site_view, unbilled_hours, 0, U53_MAX, OPT,
	    "Hours of metrics that no statement counts: of what was not issued "
	    "to it, or of more than 10,000,000,000.00 in money."),
	R_U64(hub_site_view, gaps, 0, U53_MAX, OPT,
	    "Reports refused for a gap."),
	R_U64(hub_site_view, forks, 0, U53_MAX, OPT,
	    "Reports refused for a fork."),
	R_U64(hub_site_view, rollbacks, 0, U53_MAX, OPT,
	    "So often its journal was put back, and that acknowledged."),
	R_U64(hub_site_view, refused, 0, U53_MAX, OPT,
	    "Reports refused, for whatever reason."),
	R_U64(hub_site_view, gone, 0, U53_MAX, OPT,
	    "Overage seats that were billed and lie on a branch of its journal "
	    "that was lost, held by nobody any more. They stay billed."),
	R_TEXT(hub_site_view, reason, 0, 191, OPT,
	    "Why the last one was; absent: it was taken."),
	R_ENUM(hub_site_view, boot, hub_boot_names, OPT,
	    "Was its machine started from a released image?"),
	R_TEXT(hub_site_view, image, 0, 63, OPT,
	    "Which one it is, or says to be."),
	R_TEXT(hub_site_view, boot_reason, 0, 127, OPT,
	    "Why it is not genuine."),
	R_TIME(hub_site_view, boot_since, OPT, "Since when that is so."),
};
RECORD_DEFINE(hub_site_view, 1, "A site of a customer.");

const char *const hub_incident_names[] = { "refused", "gap", "fork", "rollback",
	NULL };

static const struct record_field hub_site_ref_fields[] = {
	R_TEXT(hub_site_ref, site, 1, 63, 0, "Its id."),
	R_TEXT(hub_site_ref, tenant, 0, 63, OPT,
	    "The tenant there, where there are several."),
};
RECORD_DEFINE(hub_site_ref, 1, "A site.");

static const struct record_field hub_incident_fields[] = {
	R_ENUM(hub_incident, what, hub_incident_names, 0, "What it is."),
	R_TIME(hub_incident, at, 0, "When it was seen here."),
	R_U64(hub_incident, report, 0, U53_MAX, 0, "In this report."),
	R_ENUM(hub_incident, answer, report_answer_names, OPT,
	    "How that was answered."),
	R_TEXT(hub_incident, reason, 0, 191, OPT, "Why it was refused."),
	R_U32(hub_incident, generation, 0, UINT32_MAX, OPT,
	    "Of a rollback: the generation of its journal that began."),
	R_U64(hub_incident, batch, 0, U53_MAX, OPT, "With this batch."),
	R_U64(hub_incident, row, 0, U53_MAX, OPT, "And this row."),
	R_TIME(hub_incident, time, OPT,
	    "When it was acknowledged, by the site's clock."),
	R_U64(hub_incident, lost_batch, 0, U53_MAX, OPT,
	    "The furthest batch that is known to be lost."),
	R_U64(hub_incident, seats, 0, U53_MAX, OPT,
	    "Overage seats that were billed and are no part of its journal any "
	    "more. They stay billed."),
};
RECORD_DEFINE(hub_incident, 1, "What went wrong with a site's reports.");

static const struct record_field hub_site_shown_fields[] = {
	R_STRUCT(hub_site_shown, site, &hub_site_view_record, 0, "The site."),
	R_LIST(hub_site_shown, incidents, &hub_incident_record, 0, 100, OPT,
	    "Newest first."),
};
RECORD_DEFINE(hub_site_shown, 1, "A site, and what went wrong.");

static const struct record_field hub_site_added_fields[] = {
	R_STRUCT(hub_site_added, site, &hub_site_view_record, 0, "The site."),
	R_LIST(hub_site_added, issued, &hub_license_name_record, 0, 1000, OPT,
	    "Licenses that waited for it and are issued now."),
};
RECORD_DEFINE(hub_site_added, 1, "A site is known.");

static const struct record_field hub_site_query_fields[] = {
	CRM(hub_site_query, OPT),
	R_CURSOR(hub_site_query, after, 'Z', OPT, "Where to go on."),
	R_U32(hub_site_query, limit, 1, 1000, OPT, "At most so many."),
};
RECORD_DEFINE(hub_site_query, 1, "Which sites.");

static const struct record_field hub_site_page_fields[] = {
	R_LIST(hub_site_page, items, &hub_site_view_record, 0, 1000, 0,
	    "In the order in which they came."),
	R_CURSOR(hub_site_page, next, 'Z', OPT, "Where to go on."),
};
RECORD_DEFINE(hub_site_page, 1, "Sites.");

static const struct record_field hub_fees_fields[] = {
	R_TEXT(hub_fees, currency, 3, 3, 0, "ISO 4217."),
	R_MONEY(hub_fees, commit_fee_monthly, currency, 0,
	    "Of all licenses in force."),
};
RECORD_DEFINE(hub_fees, 1, "Fees of a month.");

static const struct record_field hub_statistics_fields[] = {
	R_U64(hub_statistics, customers, 0, U53_MAX, 0, "Customers."),
	R_U64(hub_statistics, sites, 0, U53_MAX, 0, "Their sites."),
	R_U64(hub_statistics, licenses, 0, U53_MAX, 0, "Licenses, of which"),
	R_U64(hub_statistics, generated, 0, U53_MAX, 0, "not provisioned,"),
	R_U64(hub_statistics, awaiting_site, 0, U53_MAX, 0,
	    "waiting for a site,"),
	R_U64(hub_statistics, provisioned, 0, U53_MAX, 0, "in force,"),
	R_U64(hub_statistics, suspended, 0, U53_MAX, 0, "suspended,"),
	R_U64(hub_statistics, expired, 0, U53_MAX, 0, "over,"),
	R_U64(hub_statistics, cancelled, 0, U53_MAX, 0, "cancelled."),
	R_U64(hub_statistics, expiring_30_days, 0, U53_MAX, 0,
	    "In force, and over within 30 days."),
	R_U64(hub_statistics, commit_seats, 0, U53_MAX, 0,
	    "Seats of those in force."),
	R_U64(hub_statistics, overage_seats, 0, U53_MAX, 0, "And above them."),
	R_LIST(hub_statistics, fees, &hub_fees_record, 0, HUB_CURRENCIES_MAX,
	    OPT, "Their fees by currency."),
};
RECORD_DEFINE(hub_statistics, 1, "An account in figures.");
