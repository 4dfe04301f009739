/*
 * Records of tenants of a site, as the site's admin sees them. Their keys are
 * spelled as customers of the B2B interface expect them, so the members are
 * too. It must not know how tenants are kept.
 */
#ifndef SHARED_RPC_MESSAGES_TENANT_H
#define SHARED_RPC_MESSAGES_TENANT_H

#include "shared/record/record.h"

#include <stdbool.h>

#define TENANT_ID_MAX 40
#define TENANT_HOSTS_MAX 16
#define TENANT_DAYS_MAX 366

enum tenant_status {
	TENANT_PROVISIONING, /* being made: no request reaches it */
	TENANT_ACTIVE,
	TENANT_SUSPENDED, /* it may look, and give back; nothing else */
	TENANT_DELETING, /* no request reaches it any more */
};
extern const char *const tenant_status_names[];

enum tenant_license_type {
	TENANT_WHITE_LABEL,
	TENANT_API_ACCESS,
	TENANT_CUSTOM,
};

/** Who to call; personal data. */
struct tenant_contact {
	char name[128], email[255], phone[64], address[256];
};
struct tenant_branding {
	char primaryColor[32], secondaryColor[32], logoUrl[512];
};
/** 0: no limit. */
struct tenant_limits {
	uint64_t apiCallsPerDay;
	uint32_t users;
	uint64_t storage; /* MB; not measured yet, so not enforced */
	uint64_t bandwidth; /* GB; the same */
	uint32_t devices, keys;
};
/** What people want to know of a tenant; kept sealed. */
struct tenant_profile {
	char partnerName[128];
	struct tenant_contact contactInfo;
	uint32_t licenseType; /* enum tenant_license_type */
	char tier[32];
	struct tenant_branding branding;
};
struct tenant_host_name {
	char host[128];
};

struct tenant_create {
	char partnerName[128];
	struct tenant_contact contactInfo;
	uint32_t licenseType;
	char tier[32];
	struct tenant_branding branding;
	char tenantId[TENANT_ID_MAX + 1]; /* "": made of partnerName */
	struct record_list hosts; /* struct tenant_host_name */
	struct tenant_limits usageLimits;
};
struct tenant_new {
	char _id[32]; /* "tenant-7" */
	char tenantId[TENANT_ID_MAX + 1];
	char partnerName[128];
	struct record_span apiKey, apiSecret; /* shown once */
	char dashboardUrl[192];
	uint32_t status;
};
struct tenant_created {
	bool success;
	struct tenant_new tenant;
};

struct tenant_ref {
	char tenantId[TENANT_ID_MAX + 1];
};
struct tenant_query {
	uint64_t after;
	uint32_t limit; /* 0: 100 */
};
struct tenant_usage_now {
	uint64_t apiCallsToday;
	uint32_t users; /* with a seat today */
	uint64_t storageUsed; /* MB */
};
struct tenant_view {
	char _id[32];
	char tenantId[TENANT_ID_MAX + 1];
	char partnerName[128];
	struct tenant_contact contactInfo;
	uint32_t licenseType;
	char tier[32];
	struct tenant_branding branding;
	struct record_list hosts;
	char dashboardUrl[192];
	struct tenant_usage_now usage;
	struct tenant_limits limits;
	uint32_t status;
	char reason[128]; /* why it is suspended */
	bool open; /* its store is open: something goes on there */
	int64_t createdAt;
};
struct tenant_shown {
	bool success;
	struct tenant_view tenant;
};
struct tenant_page {
	bool success;
	struct record_list tenants; /* struct tenant_view */
	uint64_t next; /* after this one; 0: that was all */
};

/** What is absent, or empty, stays as it is. */
struct tenant_change {
	char tenantId[TENANT_ID_MAX + 1];
	char partnerName[128];
	struct tenant_contact contactInfo;
	char tier[32];
	struct tenant_branding branding;
	struct record_list hosts;
	struct tenant_limits usageLimits;
	char status[16]; /* "active", "suspended" */
	char reason[128];
};
struct tenant_changed {
	bool success;
	char message[224];
};

struct tenant_usage_query {
	char tenantId[TENANT_ID_MAX + 1];
	char period[24]; /* "2026-11-01,2026-11-30"; "": this month */
};
struct tenant_usage_summary {
	uint64_t totalApiCalls;
	uint32_t peakConcurrency;
	char averageResponseTime[16]; /* ms, "0.412" */
	char errorRate[16]; /* "0.0031": 0.31 % */
};
struct tenant_usage_day {
	int32_t date; /* days since 1970 */
	uint64_t apiCalls;
	uint32_t users;
};
struct tenant_usage_report {
	char period[24];
	struct tenant_usage_summary summary;
	struct record_list dailyBreakdown; /* struct tenant_usage_day */
};
struct tenant_usage {
	bool success;
	struct tenant_usage_report usageReport;
};

extern const struct record tenant_contact_record, tenant_limits_record,
    tenant_profile_record, tenant_create_record, tenant_created_record,
    tenant_ref_record, tenant_query_record, tenant_view_record,
    tenant_shown_record, tenant_page_record, tenant_change_record,
    tenant_changed_record, tenant_usage_query_record, tenant_usage_record;

#endif
