/* What the files of queries share; see ledger_query in ledger.h. */
#ifndef APPLIANCE_LEDGER_VIEW_QUERY_H
#define APPLIANCE_LEDGER_VIEW_QUERY_H

#include "appliance/ledger/core.h"

struct query {
	void *reply;
	struct ledger_view *view;
	const void *request;
	int64_t now_ms;
	struct arena *arena;
	struct problem *problem;
};

/** Fills the problem; returns err. */
int query_refuse(struct problem *problem, int err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/** What a page holds at most: the asked-for, the default, the bound. */
uint32_t query_limit(uint32_t limit);

int query_device(struct query *q);
int query_devices(struct query *q);
int query_joins(struct query *q);
int query_lease(struct query *q);
int query_leases(struct query *q);
int query_person(struct query *q);
int query_person_data(struct query *q);
int query_erasures(struct query *q);
int query_key(struct query *q);
int query_keys(struct query *q);
int query_borrow(struct query *q);
int query_borrows(struct query *q);
int query_user(struct query *q);
int query_users(struct query *q);
/** How many alerts nobody has seen, and the worst of them. */
int view_worst_alerts(struct site_view *out, struct query *q);
int query_alert(struct query *q);
int query_alerts(struct query *q);
int query_channels(struct query *q);
int query_deliveries(struct query *q);
int query_policy(struct query *q);
int query_policy_version(struct query *q);
int query_policies(struct query *q);
/* appliance/hub/query.c */
int query_hub_customer(struct query *q);
int query_hub_customers(struct query *q);
int query_hub_search(struct query *q);
int query_hub_key(struct query *q);
int query_hub_sites(struct query *q);
int query_hub_images(struct query *q);
int query_hub_site(struct query *q);
int query_hub_credits(struct query *q);
int query_hub_invoices(struct query *q);
int query_hub_license(struct query *q);
int query_hub_licenses(struct query *q);
int query_hub_package(struct query *q);
int query_hub_statistics(struct query *q);
int query_sync(struct query *q);
int query_usage(struct query *q);
int query_usage_alerts(struct query *q);

#endif
