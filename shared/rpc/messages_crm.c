/* Tables: what a CRM is told. */
#include "shared/rpc/messages_crm.h"

#include "shared/rpc/tables.h"

const char *const crm_event_names[] = { "license.generated",
	"license.provisioned", "license.activated", "license.renewed",
	"license.suspended", "license.resumed", "license.cancelled",
	"license.expired", "license.overage", "invoice.made", NULL };

static const struct record_field crm_overage_fields[] = {
	R_TEXT(crm_overage, site, 1, 63, 0, "The site that reported it."),
	R_U64(crm_overage, report, 1, U53_MAX, 0, "In this report."),
	R_U64(crm_overage, seats, 1, U53_MAX, 0,
	    "So many that cost money; they add to those told before."),
};
RECORD_DEFINE(crm_overage, 1, "Use beyond the seats.");

static const struct record_field crm_invoice_fields[] = {
	R_U64(crm_invoice, invoice, 1, U53_MAX, 0, "Its number."),
	R_TEXT(crm_invoice, period, 7, 7, 0, "Its month."),
	R_MONEY(crm_invoice, total, currency, 0, "What is to be paid."),
	R_TEXT(crm_invoice, currency, 3, 3, 0, "In this."),
};
RECORD_DEFINE(crm_invoice, 1, "An invoice that was made.");

static const struct record_field crm_event_fields[] = {
	R_TEXT(crm_event, id, 32, 32, 0,
	    "Of the event: the same for each try and each channel."),
	R_ENUM(crm_event, event, crm_event_names, 0, "What happened."),
	R_TEXT(crm_event, source, 1, 15, 0, "Who tells: leasehold."),
	R_TEXT(crm_event, hub, 1, 63, 0, "Id of the hub."),
	R_TEXT(crm_event, vendor_id, 1, 63, 0, "The vendor's account."),
	R_U64(crm_event, sequence, 1, U53_MAX, 0,
	    "Row of the account's journal: it goes up."),
	R_TIME(crm_event, at, 0, "When it happened."),
	R_TEXT(crm_event, crm_account_id, 1, 63, 0, "Whose it is."),
	R_TEXT(crm_event, platform_customer_id, 1, 31, 0, "The same, here."),
	R_TEXT(crm_event, customer_name, 1, 127, 0, "The company."),
	R_BOOL(crm_event, automatic, OPT, "The hub did it by itself."),
	R_STRUCT(crm_event, license, &hub_license_view_record, OPT,
	    "The license, as it was then."),
	R_STRUCT(crm_event, overage, &crm_overage_record, OPT,
	    "What was used beyond its seats."),
	R_STRUCT(crm_event, invoice, &crm_invoice_record, OPT, "The invoice."),
};
RECORD_DEFINE(crm_event, 1, "What a CRM is told.");
