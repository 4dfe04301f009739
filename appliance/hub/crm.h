/*
 * What a CRM is told: an event is decided with the row that it is about, in its
 * transaction, and its body, made then, lies beside what is owed to the channels
 * that take such (../ledger/ledger_channel.h) until each of them has taken it.
 * So it is there exactly when the row is, and the same bytes go out with each
 * try, whatever became of the license meanwhile. It must not know how anything
 * is sent, nor decide anything: who calls it has.
 *
 *   license.generated    row license.ordered
 *   license.provisioned  license.issued, of serial 1
 *   license.activated    report.shown: its site tells for the first time that it
 *                        has installed that serial
 *   license.renewed, license.suspended, license.resumed, license.cancelled
 *                        license.revised
 *   license.expired      license.expired: the hub looked, and its contract was
 *                        over; once for each end that a contract had
 *   license.overage      report.shown: seats of it that cost money
 *   invoice.made         invoice.made
 *
 * In order for one customer and channel. Nothing is bounded or given up, as with
 * invoices: a CRM that is away finds all of it, and holds up nobody. An account
 * without such a channel makes no events; one that is added hears of what comes.
 */
#ifndef APPLIANCE_HUB_CRM_H
#define APPLIANCE_HUB_CRM_H

#include "appliance/hub/hub.h"
#include "shared/rpc/messages_crm.h"

/** Of the row just emitted; the order as it left it. `kind`: of a license. */
int hub_tell_license(struct batch *batch, const struct command *command,
    enum crm_event_kind kind, const struct hub_order *order);

/** Of the row just emitted. */
int hub_tell_invoice(struct batch *batch, const struct command *command,
    const struct row_invoice *invoice);

/** Which licenses of a row that is to be emitted nobody knew of: by their
 * places. A function of its own, for the fold knows them all afterwards. */
struct hub_crm_shown {
	bool nobody; /* takes it */
	bool fresh[ROW_SHOWN_MAX];
};
int hub_tell_before(struct hub_crm_shown *out, const struct state *state,
    const struct row_report_shown *shown);
/** Of the row just emitted: what was activated, and which use costs money. */
int hub_tell_shown(struct batch *batch, struct command *command,
    const struct hub_site *site, const struct hub_crm_shown *before,
    const struct row_report_shown *shown);

#endif
