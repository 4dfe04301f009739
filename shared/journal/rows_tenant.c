/* Tables of the row about the tenant itself; see rows.h. */
#include "shared/journal/rows_private.h"

static const struct record_field row_limits_fields[] = {
	R_U64(row_limits, calls_per_day, 0, U53_MAX, RECORD_OPTIONAL,
	    "Requests a day."),
	R_U64(row_limits, storage_mb, 0, U53_MAX, RECORD_OPTIONAL, "MB."),
	R_U64(row_limits, bandwidth_gb, 0, U53_MAX, RECORD_OPTIONAL, "GB."),
	R_U32(row_limits, users, 0, UINT32_MAX, RECORD_OPTIONAL,
	    "People who may log in."),
	R_U32(row_limits, devices, 0, UINT32_MAX, RECORD_OPTIONAL, "Devices."),
	R_U32(row_limits, keys, 0, UINT32_MAX, RECORD_OPTIONAL, "API keys."),
};
RECORD_DEFINE(row_limits, 1, "What a tenant may use; 0: no limit.");

static const struct record_field row_tenant_changed_fields[] = {
	R_U64(row_tenant_changed, revision, 1, U53_MAX, 0,
	    "Of the site's store of tenants; goes up."),
	R_TIME(row_tenant_changed, at, 0, "When the site's store got it."),
	R_BOOL(row_tenant_changed, suspended, 0, "Is it suspended?"),
	R_STRUCT(row_tenant_changed, limits, &row_limits_record,
	    RECORD_OPTIONAL, "What it may use."),
	R_FIXED(row_tenant_changed, reason, 0,
	    "Words of an admin; zero: there are none."),
	R_STRUCT(row_tenant_changed, by, &row_actor_record, 0, "Who did it."),
};
RECORD_DEFINE(row_tenant_changed, 1,
    "The tenant was suspended or goes on, or has other limits.");
