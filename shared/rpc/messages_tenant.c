/* Tables of tenants. */
#include "shared/rpc/messages_tenant.h"

#include "shared/rpc/tables.h"

const char *const tenant_status_names[] = { "provisioning", "active",
	"suspended", "deleting", NULL };
static const char *const license_types[] = { "white-label", "api-access",
	"custom", NULL };

static const struct record_field tenant_contact_fields[] = {
	R_TEXT(tenant_contact, name, 0, 127, OPT, "Name of a person."),
	R_TEXT(tenant_contact, email, 0, 254, OPT, "Mail address."),
	R_TEXT(tenant_contact, phone, 0, 63, OPT, "Telephone number."),
	R_TEXT(tenant_contact, address, 0, 255, OPT, "Postal address."),
};
RECORD_DEFINE(tenant_contact, 1, "Who to call.");

static const struct record_field tenant_branding_fields[] = {
	R_TEXT(tenant_branding, primaryColor, 0, 31, OPT, "As in CSS."),
	R_TEXT(tenant_branding, secondaryColor, 0, 31, OPT, "As in CSS."),
	R_TEXT(tenant_branding, logoUrl, 0, 511, OPT, "Where the logo is."),
};
static RECORD_DEFINE(tenant_branding, 1, "How its pages are to look.");

static const struct record_field tenant_limits_fields[] = {
	R_U64(tenant_limits, apiCallsPerDay, 0, U53_MAX, OPT,
	    "Requests of programs and agents a day (UTC) before "
	    "quota_exceeded; absent: no limit."),
	R_U32(tenant_limits, users, 0, UINT32_MAX, OPT,
	    "Users it may have; those that were removed do not count."),
	R_U64(tenant_limits, storage, 0, U53_MAX, OPT,
	    "MB; kept, and not enforced: it is not metered."),
	R_U64(tenant_limits, bandwidth, 0, U53_MAX, OPT,
	    "GB; kept, and not enforced: it is not metered."),
	R_U32(tenant_limits, devices, 0, UINT32_MAX, OPT,
	    "Devices it may have, those that wait for approval included; keys "
	    "and what was revoked do not count."),
	R_U32(tenant_limits, keys, 0, UINT32_MAX, OPT,
	    "API keys it may have; those that were revoked do not count."),
};
RECORD_DEFINE(tenant_limits, 1, "What a tenant may use.");

static const struct record_field tenant_profile_fields[] = {
	R_TEXT(tenant_profile, partnerName, 0, 127, OPT, "Its name."),
	R_STRUCT(tenant_profile, contactInfo, &tenant_contact_record, OPT,
	    "Who to call."),
	R_ENUM(tenant_profile, licenseType, license_types, 0, "Kind."),
	R_TEXT(tenant_profile, tier, 0, 31, OPT, "Tier."),
	R_STRUCT(tenant_profile, branding, &tenant_branding_record, OPT,
	    "How its pages are to look."),
};
RECORD_DEFINE(tenant_profile, 1, "What people want to know of a tenant.");

static const struct record_field tenant_host_name_fields[] = {
	R_TEXT(tenant_host_name, host, 1, 127, 0,
	    "A host name, in lower case, without a port."),
};
static const struct record tenant_host_name_record = {
	.name = "tenant_host_name",
	.doc = "A host name of a tenant.",
	.version = 1,
	.size = sizeof(struct tenant_host_name),
	.fields = tenant_host_name_fields,
	.n_fields = 1,
	.bare = true,
};

static const struct record_field tenant_create_fields[] = {
	R_TEXT(tenant_create, partnerName, 1, 127, 0,
	    "The tenant's name, for people."),
	R_STRUCT(tenant_create, contactInfo, &tenant_contact_record, OPT,
	    "Who to call."),
	R_ENUM(tenant_create, licenseType, license_types, 0, "Its kind."),
	R_TEXT(tenant_create, tier, 0, 31, OPT, "Its tier, as you name them."),
	R_STRUCT(tenant_create, branding, &tenant_branding_record, OPT,
	    "How its pages are to look."),
	R_TEXT(tenant_create, tenantId, 0, TENANT_ID_MAX, OPT,
	    "Lower-case letters, digits and '-', and a letter or digit first; "
	    "it stands in host names and keys, and stays. Absent: made of "
	    "partnerName."),
	R_LIST(tenant_create, hosts, &tenant_host_name_record, 0,
	    TENANT_HOSTS_MAX, OPT,
	    "Host names besides tenantId under the site's own."),
	R_STRUCT(tenant_create, usageLimits, &tenant_limits_record, OPT,
	    "What it may use; absent: all."),
};
RECORD_DEFINE(tenant_create, 1, "A tenant to be made.");

static const struct record_field tenant_new_fields[] = {
	R_TEXT(tenant_new, _id, 1, 31, 0, "Never given twice."),
	R_TEXT(tenant_new, tenantId, 1, TENANT_ID_MAX, 0, "Its id."),
	R_TEXT(tenant_new, partnerName, 1, 127, 0, "Its name."),
	R_STRING(tenant_new, apiKey, 1, 127, RECORD_SECRET,
	    "A key that may look (admin:read, usage:read); shown once."),
	R_STRING(tenant_new, apiSecret, 1, 127, RECORD_SECRET,
	    "The key of its first admin (admin:*); shown once."),
	R_TEXT(tenant_new, dashboardUrl, 0, 191, OPT,
	    "Where it is reached: its own host name."),
	R_ENUM(tenant_new, status, tenant_status_names, 0, "Its status."),
};
static RECORD_DEFINE(tenant_new, 1, "A tenant that was made.");

static const struct record_field tenant_created_fields[] = {
	R_BOOL(tenant_created, success, 0, "True."),
	R_STRUCT(tenant_created, tenant, &tenant_new_record, 0, "The tenant."),
};
RECORD_DEFINE(tenant_created, 1, "A tenant was made.");

static const struct record_field tenant_ref_fields[] = {
	R_TEXT(tenant_ref, tenantId, 1, TENANT_ID_MAX, 0, "The tenant's id."),
};
RECORD_DEFINE(tenant_ref, 1, "A tenant by its id.");

static const struct record_field tenant_query_fields[] = {
	R_CURSOR(tenant_query, after, 'N', OPT, "From an earlier page."),
	R_U32(tenant_query, limit, 0, 1000, OPT, "So many at most; 100."),
};
RECORD_DEFINE(tenant_query, 1, "Which tenants.");

static const struct record_field tenant_usage_now_fields[] = {
	R_U64(tenant_usage_now, apiCallsToday, 0, U53_MAX, 0,
	    "Requests of programs and agents since midnight UTC."),
	R_U32(tenant_usage_now, users, 0, UINT32_MAX, 0,
	    "People who got a seat today."),
	R_U64(tenant_usage_now, storageUsed, 0, U53_MAX, 0,
	    "MB of its journal and state. bandwidthUsed is not metered yet, "
	    "and so not here."),
};
static RECORD_DEFINE(tenant_usage_now, 1, "What a tenant uses today.");

static const struct record_field tenant_view_fields[] = {
	R_TEXT(tenant_view, _id, 1, 31, 0, "Never given twice."),
	R_TEXT(tenant_view, tenantId, 1, TENANT_ID_MAX, 0, "Its id."),
	R_TEXT(tenant_view, partnerName, 0, 127, OPT, "Its name."),
	R_STRUCT(tenant_view, contactInfo, &tenant_contact_record, OPT,
	    "Who to call."),
	R_ENUM(tenant_view, licenseType, license_types, 0, "Its kind."),
	R_TEXT(tenant_view, tier, 0, 31, OPT, "Its tier."),
	R_STRUCT(tenant_view, branding, &tenant_branding_record, OPT,
	    "How its pages are to look."),
	R_LIST(tenant_view, hosts, &tenant_host_name_record, 0,
	    TENANT_HOSTS_MAX, OPT,
	    "Host names besides tenantId under the site's own."),
	R_TEXT(tenant_view, dashboardUrl, 0, 191, OPT, "Where it is reached."),
	R_STRUCT(tenant_view, usage, &tenant_usage_now_record, 0, "Today."),
	R_STRUCT(tenant_view, limits, &tenant_limits_record, OPT,
	    "What it may use; absent: all."),
	R_ENUM(tenant_view, status, tenant_status_names, 0, "Its status."),
	R_TEXT(tenant_view, reason, 0, 127, OPT, "Why it is suspended."),
	R_BOOL(tenant_view, open, 0,
	    "Its store is open: something goes on there."),
	R_TIME(tenant_view, createdAt, 0, "When it was made."),
};
RECORD_DEFINE(tenant_view, 1, "A tenant of the site.");

static const struct record_field tenant_shown_fields[] = {
	R_BOOL(tenant_shown, success, 0, "True."),
	R_STRUCT(tenant_shown, tenant, &tenant_view_record, 0, "The tenant."),
};
RECORD_DEFINE(tenant_shown, 1, "A tenant.");

static const struct record_field tenant_page_fields[] = {
	R_BOOL(tenant_page, success, 0, "True."),
	R_LIST(tenant_page, tenants, &tenant_view_record, 0, 1000, 0,
	    "In the order in which they were made."),
	R_CURSOR(tenant_page, next, 'N', OPT,
	    "For the next page; absent: that was all."),
};
RECORD_DEFINE(tenant_page, 1, "Tenants of the site.");

static const struct record_field tenant_change_fields[] = {
	R_TEXT(tenant_change, tenantId, 1, TENANT_ID_MAX, 0,
	    "The tenant's id."),
	R_TEXT(tenant_change, partnerName, 0, 127, OPT, "A new name."),
	R_STRUCT(tenant_change, contactInfo, &tenant_contact_record, OPT,
	    "Who to call, as a whole."),
	R_TEXT(tenant_change, tier, 0, 31, OPT, "A new tier."),
	R_STRUCT(tenant_change, branding, &tenant_branding_record, OPT,
	    "How its pages are to look, as a whole."),
	R_LIST(tenant_change, hosts, &tenant_host_name_record, 0,
	    TENANT_HOSTS_MAX, OPT, "Its host names, in place of all before."),
	R_STRUCT(tenant_change, usageLimits, &tenant_limits_record, OPT,
	    "What it may use, as a whole."),
	R_TEXT(tenant_change, status, 0, 15, OPT, "active or suspended."),
	R_TEXT(tenant_change, reason, 0, 127, OPT,
	    "Why it is suspended: its people are told."),
};
RECORD_DEFINE(tenant_change, 1,
    "What changes of a tenant; what is absent stays.");

static const struct record_field tenant_changed_fields[] = {
	R_BOOL(tenant_changed, success, 0, "True."),
	R_TEXT(tenant_changed, message, 0, 223, 0, "What was done."),
};
RECORD_DEFINE(tenant_changed, 1, "A tenant was changed.");

static const struct record_field tenant_usage_query_fields[] = {
	R_TEXT(tenant_usage_query, tenantId, 1, TENANT_ID_MAX, 0,
	    "The tenant's id."),
	R_TEXT(tenant_usage_query, period, 0, 23, OPT,
	    "First and last day: 2026-11-01,2026-11-30; at most 366 days. "
	    "Absent: this month so far."),
};
RECORD_DEFINE(tenant_usage_query, 1, "Of which tenant, and from when on.");

static const struct record_field tenant_usage_summary_fields[] = {
	R_U64(tenant_usage_summary, totalApiCalls, 0, U53_MAX, 0,
	    "Requests of programs and agents."),
	R_U32(tenant_usage_summary, peakConcurrency, 0, UINT32_MAX, 0,
	    "Most leases held at once; borrowed ones are not counted."),
	R_TEXT(tenant_usage_summary, averageResponseTime, 1, 15, 0,
	    "Milliseconds from the ledger's reading a request to its answer."),
	R_TEXT(tenant_usage_summary, errorRate, 1, 15, 0,
	    "Requests that were refused or failed, of all: 0.0031."),
};
static RECORD_DEFINE(tenant_usage_summary, 1, "The whole period.");

static const struct record_field tenant_usage_day_fields[] = {
	R_DATE(tenant_usage_day, date, 0, "The day, UTC."),
	R_U64(tenant_usage_day, apiCalls, 0, U53_MAX, 0,
	    "Requests of programs and agents."),
	R_U32(tenant_usage_day, users, 0, UINT32_MAX, 0,
	    "People who got a seat: exact for some dozens, an estimate "
	    "above. storageUsed and bandwidthUsed are not metered by day "
	    "yet, and so not here."),
};
static RECORD_DEFINE(tenant_usage_day, 1, "One day.");

static const struct record_field tenant_usage_report_fields[] = {
	R_TEXT(tenant_usage_report, period, 1, 23, 0, "First and last day."),
	R_STRUCT(tenant_usage_report, summary, &tenant_usage_summary_record, 0,
	    "The whole period."),
	R_LIST(tenant_usage_report, dailyBreakdown, &tenant_usage_day_record, 0,
	    TENANT_DAYS_MAX, 0, "Days on which something was asked."),
};
static RECORD_DEFINE(tenant_usage_report, 1, "What a tenant used.");

static const struct record_field tenant_usage_fields[] = {
	R_BOOL(tenant_usage, success, 0, "True."),
	R_STRUCT(tenant_usage, usageReport, &tenant_usage_report_record, 0,
	    "The report."),
};
RECORD_DEFINE(tenant_usage, 1, "What a tenant used.");
