/*
 * What a hub tells a CRM by itself: one event for each change of a license, for
 * usage beyond its seats that a site reported, and for an invoice. It names
 * companies and no person. It is no operation's request or reply: a webhook that
 * takes `crm` gets it.
 */
#ifndef SHARED_RPC_MESSAGES_CRM_H
#define SHARED_RPC_MESSAGES_CRM_H

#include "shared/rpc/messages_hub.h"

/** Numbers are stored. */
enum crm_event_kind {
	CRM_LICENSE_GENERATED,
	CRM_LICENSE_PROVISIONED, /* its site is known, and it is signed */
	CRM_LICENSE_ACTIVATED, /* its site has reported that it is installed */
	CRM_LICENSE_RENEWED,
	CRM_LICENSE_SUSPENDED,
	CRM_LICENSE_RESUMED,
	CRM_LICENSE_CANCELLED,
	CRM_LICENSE_EXPIRED, /* its contract is over */
	CRM_LICENSE_OVERAGE, /* a report told of use beyond its seats */
	CRM_INVOICE_MADE,
};
extern const char *const crm_event_names[];
#define CRM_EVENT_KINDS (CRM_INVOICE_MADE + 1)

/** What one row of a report adds; what comes later adds to it. */
struct crm_overage {
	char site[64];
	uint64_t report; /* its number, of the site's reports */
	uint64_t seats; /* that cost money */
};
struct crm_invoice {
	uint64_t invoice; /* its number */
	char period[8]; /* "2026-11" */
	int64_t total; /* minor units */
	char currency[4];
};

/** The body of a webhook: made once, and the same for each try. */
struct crm_event {
	char id[33]; /* of the event, hex; each channel has the same */
	uint32_t event; /* enum crm_event_kind */
	char source[16]; /* "leasehold" */
	char hub[64];
	char vendor_id[64];
	/** Goes up with each event of the account; several of one row of its
	 * journal have the same. */
	uint64_t sequence;
	int64_t at;
	char crm_account_id[64];
	char platform_customer_id[32]; /* "CUST-00001" */
	char customer_name[128];
	bool automatic; /* the hub did it by itself */
	struct hub_license_view license; /* as it was then; of its events */
	struct crm_overage overage; /* of CRM_LICENSE_OVERAGE */
	struct crm_invoice invoice; /* of CRM_INVOICE_MADE */
};

extern const struct record crm_overage_record, crm_invoice_record,
    crm_event_record;

#endif
