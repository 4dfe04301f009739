/*
 * Records of a hub's operations: a vendor's account, its customers, their
 * licenses and sites. Names of persons and their mail stand in them in the
 * clear: they are never logged, and lie sealed in the store.
 */
#ifndef SHARED_RPC_MESSAGES_HUB_H
#define SHARED_RPC_MESSAGES_HUB_H

#include "shared/journal/rows.h"
#include "shared/rpc/messages_measured.h"

/** An activation request as text at most. */
#define HUB_REQUEST_MAX 8192
/** Others that a search names beside the first. */
#define HUB_FOUND_MAX 20
#define HUB_PAGE_MAX 200
#define HUB_CURRENCIES_MAX 16

/* --- licenses ------------------------------------------------------------- */

/** The customer as the CRM has it; the first time it becomes one here. */
struct hub_for {
	char crm_account_id[64];
	char name[128];
	char tenant_id[64];
	char contact_email[128];
};

struct hub_generate {
	char crm_opportunity_id[64];
	struct hub_for customer;
	struct license_product product;
	struct license_entitlement entitlement;
	struct license_contract contract;
	bool auto_provision;
	/* As in a file of terms: */
	struct record_list features; /* license_feature */
	struct license_bounds terms;
	struct license_billing billing;
	uint32_t tier; /* enum license_tier */
	struct record_list limits; /* license_limit */
	struct license_sync sync;
};

enum hub_status {
	HUB_STATUS_ANY, /* in queries */
	HUB_STATUS_GENERATED, /* waits to be provisioned */
	HUB_STATUS_AWAITING_SITE,
	HUB_STATUS_PROVISIONED, /* issued, and not over */
	HUB_STATUS_SUSPENDED,
	HUB_STATUS_EXPIRED,
	HUB_STATUS_CANCELLED,
};
extern const char *const hub_status_names[];

struct hub_generated {
	char license_id[64];
	char crm_opportunity_id[64];
	char package_url[160]; /* below the hub's address; "": not yet */
	uint32_t status; /* enum hub_status */
	char customer_tenant[64]; /* "": not told */
	int64_t provisioned_at; /* 0: not yet */
};

struct hub_notification {
	char email[128];
	char message[512];
};
struct hub_crm {
	char crm_account_id[64];
};
struct hub_provision {
	char license_id[64];
	struct hub_crm customer;
	struct hub_notification notification;
	char site[64]; /* id; "": that which fits */
};
struct hub_provisioned {
	uint32_t status; /* enum hub_status */
	char tenant_url[160]; /* "": nobody knows it */
	int64_t provisioned_at;
	bool customer_notified;
};

struct hub_license_ref {
	char license_id[64];
};
/** In a list: a string. */
struct hub_license_name {
	char license_id[64];
};
/** Of suspend, resume and cancel. */
struct hub_license_change {
	char license_id[64];
	char reason[128];
};
struct hub_license_renew {
	char license_id[64];
	int32_t end_date; /* the new last day */
};
struct hub_license_query {
	char crm_account_id[64]; /* "": of all */
	uint32_t status; /* enum hub_status */
	uint32_t expiring_days; /* whose contract ends within; 0: any */
	uint64_t after;
	uint32_t limit;
};
struct hub_license_view {
	char license_id[64];
	uint32_t status; /* enum hub_status */
	char crm_opportunity_id[64];
	char crm_account_id[64];
	char customer_name[128];
	struct license_product product;
	struct license_entitlement entitlement;
	struct license_contract contract;
	uint64_t serial;
	char site[64];
	char tenant[64];
	int64_t ordered_at;
	int64_t issued_at;
	int64_t changed_at;
	uint64_t revisions;
};
struct hub_license_page {
	struct record_list items; /* hub_license_view */
	uint64_t next;
};

/* --- customers --------------------------------------------------------------- */

struct customer_search {
	char crm_account_id[64];
	char tenant_id[64];
	char name[128]; /* a part of it */
};
struct customer_brief {
	char crm_account_id[64];
	char platform_customer_id[32]; /* "CUST-00001" */
	char tenant_id[64];
	char tenant_url[160];
	char company_name[128];
	uint32_t status; /* enum customer_status */
	int64_t registered_at;
};
struct customer_found {
	bool found;
	struct customer_brief customer;
	struct record_list others; /* customer_brief: of a name */
};

struct customer_add {
	char crm_account_id[64];
	char name[128];
	char tenant_id[64];
	char country[3];
	char region[32];
	uint32_t plan; /* enum customer_plan */
	char contact_email[128];
	char contact_name[128];
	char tenant_url[160]; /* "": nobody said it */
};
/** All of it as it is to be; "" takes away. */
struct customer_put {
	char crm_account_id[64];
	char name[128];
	char tenant_id[64];
	char country[3];
	char region[32];
	uint32_t plan;
	bool suspended;
	char contact_email[128];
	char contact_name[128];
	char tenant_url[160]; /* "": nobody said it */
};
struct customer_view {
	char crm_account_id[64];
	char platform_customer_id[32];
	char name[128];
	char tenant_id[64];
	uint32_t status; /* enum customer_status */
	uint32_t plan; /* enum customer_plan */
	char domain[128];
	char country[3];
	char region[32];
	char contact_email[128];
	char contact_name[128];
	char tenant_url[160]; /* "": nobody said it */
	uint64_t licenses;
	int64_t registered_at;
	int64_t changed_at;
};
struct customer_query {
	uint64_t after;
	uint32_t limit;
};
struct customer_page {
	struct record_list items; /* customer_view, without contacts */
	uint64_t next;
};
/** What of a customer is sealed. */
struct customer_contact {
	char email[128];
	char name[128];
	char tax_id[64];
	char tenant_url[160];
};

/* --- registration ------------------------------------------------------------ */

struct register_company {
	char name[128];
	char domain[128];
	char country[3];
	char tax_id[64];
};
struct register_tenant {
	char id[64];
	char region[32];
	uint32_t plan; /* enum customer_plan */
};
struct register_admin {
	char email[128];
	char name[128];
};
struct tenant_register {
	struct register_company company;
	struct register_tenant tenant;
	struct register_admin admin;
};
struct register_record {
	char type[8]; /* "TXT" */
	char name[160]; /* "_leasehold.mercedes.example" */
	char value[128];
};
struct register_verification {
	char method[8]; /* "dns" */
	struct register_record dns_record;
};
struct register_step {
	char step[256];
};
struct tenant_registered {
	char tenant_id[64];
	uint32_t status; /* enum customer_status */
	struct register_verification verification;
	char verification_token[64];
	int64_t expires_at;
	struct record_list next_steps; /* register_step */
};
struct tenant_verify {
	char tenant_id[64];
	char verification_token[64];
};
struct tenant_verified {
	char tenant_id[64];
	char status[16]; /* "verified" */
	char crm_id[64]; /* "CUST-00001" */
	int64_t created_at;
};

/* --- the account: its keys, its sites ------------------------------------------ */

struct hub_key_view {
	uint64_t key; /* the newest; 0: there is none */
	char public_key[TOKEN_PUBLIC_TEXT];
	char kid[TOKEN_KID_TEXT];
	bool vouched; /* by the vendor's root */
	uint64_t issuing; /* which one issues; 0: none does */
	struct license_vendor vendor; /* of that one; so are these */
	int64_t not_before;
	int64_t not_after;
};

struct hub_site_add {
	char crm_account_id[64];
	struct record_span request; /* token */
};
struct hub_reissue {
	struct record_span request; /* token */
	bool confirm;
};
struct hub_site_view {
	char site[64];
	char name[128];
	char tenant[64];
	char crm_account_id[64];
	char software[32];
	int64_t bound_at;
	uint64_t sequence; /* of the last report; 0: none came */
	int64_t reported_at;
	/* What came of its reports; absent ones are 0. */
	uint64_t seats; /* overage seats that count */
	uint64_t unbilled; /* of these: of what was not issued to it */
	uint64_t unbilled_hours; /* of metrics: the same, or more than a
				  * statement can count */
	uint64_t gaps, forks, rollbacks, refused;
	uint64_t gone; /* seats billed of branches that it lost */
	char reason[192]; /* why the last one was refused; "": it was taken */
	uint32_t boot; /* enum hub_boot */
	char image[64]; /* that it is, or says to be */
	char boot_reason[128];
	int64_t boot_since;
};
/** Which; its tenant only where several are known here. */
struct hub_site_ref {
	char site[64];
	char tenant[64];
};
enum hub_incident_what {
	HUB_INCIDENT_REFUSED, /* a report, for another reason than these */
	HUB_INCIDENT_GAP,
	HUB_INCIDENT_FORK,
	HUB_INCIDENT_ROLLBACK, /* acknowledged at the site */
};
extern const char *const hub_incident_names[];
struct hub_incident {
	uint32_t what; /* enum hub_incident_what */
	int64_t at; /* here */
	uint64_t report; /* its number */
	uint32_t answer; /* enum report_answer */
	char reason[192]; /* of a refusal */
	/* Of a rollback: */
	uint32_t generation; /* that began, */
	uint64_t batch; /* with that batch, */
	uint64_t row; /* and row of its journal */
	int64_t time; /* when it was acknowledged there */
	uint64_t lost_batch; /* the furthest that is known to be lost */
	uint64_t seats; /* billed, and no part of its journal any more */
};
struct hub_site_shown {
	struct hub_site_view site;
	struct record_list incidents; /* hub_incident, newest first */
};
struct hub_site_added {
	struct hub_site_view site;
	struct record_list issued; /* hub_license_name */
};
struct hub_site_query {
	char crm_account_id[64]; /* "": of all */
	uint64_t after;
	uint32_t limit;
};
struct hub_site_page {
	struct record_list items; /* hub_site_view */
	uint64_t next;
};

struct hub_fees {
	char currency[4];
	int64_t commit_fee_monthly; /* of all that are in force */
};
struct hub_statistics {
	uint64_t customers, sites, licenses;
	uint64_t generated, awaiting_site, provisioned, suspended, expired,
	    cancelled;
	uint64_t expiring_30_days;
	uint64_t commit_seats, overage_seats; /* of those in force */
	struct record_list fees; /* hub_fees */
};

extern const struct record hub_for_record, hub_generate_record,
    hub_generated_record, hub_notification_record, hub_crm_record,
    hub_provision_record, hub_provisioned_record, hub_license_ref_record,
    hub_license_name_record, hub_license_change_record,
    hub_license_renew_record, hub_license_query_record, hub_license_view_record,
    hub_license_page_record, customer_search_record, customer_brief_record,
    customer_found_record, customer_add_record, customer_put_record,
    customer_view_record, customer_query_record, customer_page_record,
    customer_contact_record, register_company_record, register_tenant_record,
    register_admin_record, tenant_register_record, register_record_record,
    register_verification_record, register_step_record,
    tenant_registered_record, tenant_verify_record, tenant_verified_record,
    hub_key_view_record, hub_site_add_record, hub_reissue_record,
    hub_site_view_record, hub_site_ref_record, hub_incident_record,
    hub_site_shown_record, hub_site_added_record, hub_site_query_record,
    hub_site_page_record, hub_fees_record, hub_statistics_record;

#endif
