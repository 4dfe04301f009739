/*
 * All tenants that the site has, by name and by host name, open or not: what
 * the loop looks up with every request. A tenant opens when something is asked
 * of it and closes when nothing goes on there any more (tenant_use.c); while it
 * is closed this entry and its file are all that is left of it. It must not
 * know how a tenant opens, nor who waits for it.
 *
 * A host name belongs to a tenant when it was given to it, or when it is the
 * tenant's name under one of the site's own host names (those of the server's
 * certificate): mercedes.site.example. Any other is the tenant `default`'s.
 */
#ifndef APPLIANCE_LEDGER_TENANTS_H
#define APPLIANCE_LEDGER_TENANTS_H

#include "appliance/ledger/system.h"

#include <stdbool.h>
#include <stddef.h>

/** So many may be open at once: maps of 64 GiB in 47 bits of addresses, and
 * four descriptors each. So many a site may have. */
#define TENANTS_MAX 1500
#define TENANTS_BUCKETS 1024

struct tenant;
struct parked;

enum tenant_phase {
	TENANT_CLOSED,
	TENANT_OPENING, /* to the commit of its start */
	TENANT_OPEN,
	TENANT_CLOSING,
};

/** One tenant; lasts as long as the registry does, so pointers to it may be
 * kept. */
struct tenant_entry {
	struct system_tenant facts; /* as the system store has them */
	enum tenant_phase phase;
	struct tenant *open; /* while TENANT_OPEN */
	bool taken; /* is about to be closed: requests wait until it is back */
	int64_t hub_woken; /* boottime: its contracts were looked at */
	int64_t online_woken; /* boottime: its vendors were looked at */
	int64_t refused_until; /* boottime: it failed to open a moment ago */
	struct parked *first, *last; /* requests that wait for it */
	uint32_t n_parked;
	int32_t usage_day; /* usage.h */
	bool usage_dirty; /* more than the store has */
	int64_t usage_ns; /* less than a microsecond that was not counted */
	struct system_usage usage; /* of that day */
	struct tenant_entry *next; /* of the same bucket */
	struct tenant_entry *following; /* in the order of their names' age */
};

struct tenant_host;

/** Zero-initialised is empty and valid. */
struct tenants {
	struct tenant_entry *names[TENANTS_BUCKETS];
	struct tenant_host *hosts[TENANTS_BUCKETS];
	struct tenant_entry *first, **last;
	size_t count;
	char (*site_hosts)[128]; /* of the server's certificate */
	size_t n_site_hosts;
};

void tenants_release(struct tenants *tenants);

/** ERR_CONFLICT: it is there. ERR_NOMEM. */
int tenants_add(struct tenant_entry **entry, struct tenants *tenants,
    const struct system_tenant *facts);
/** It was deleted; nothing points to it any more. */
void tenants_remove(struct tenants *tenants, struct tenant_entry *entry);
struct tenant_entry *tenants_find(const struct tenants *tenants,
    const char *name);

/** Takes a host name away from who had it. ERR_NOMEM. */
int tenants_set_host(struct tenants *tenants, struct tenant_entry *entry,
    const char *host);
/** All host names that were given to it. */
void tenants_clear_hosts(struct tenants *tenants,
    const struct tenant_entry *entry);
/** DNS names of the site itself; wildcards and addresses are passed over. */
int tenants_add_site_host(struct tenants *tenants, const char *host);
/** The tenant of a host name, as it stands in a Host header without its port:
 * case and a last dot do not matter. NULL only when there is no `default`. */
struct tenant_entry *tenants_by_host(const struct tenants *tenants,
    const char *host);

#endif
