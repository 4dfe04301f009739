#include "agent/uplink/cause.h"

/* Close codes of the site's own (appliance/ledger). */
#define CLOSED_REPLACED 4001
#define CLOSED_REVOKED 4003

enum local_cause
uplink_cause(const struct net *net)
{
	static const enum local_cause causes[] = {
		[NET_TROUBLE_OTHER] = CAUSE_OTHER,
		[NET_TROUBLE_NAME] = CAUSE_NAME,
		[NET_TROUBLE_REFUSED] = CAUSE_REFUSED,
		[NET_TROUBLE_ROUTE] = CAUSE_ROUTE,
		[NET_TROUBLE_SILENT] = CAUSE_SILENT,
		[NET_TROUBLE_STRANGER] = CAUSE_STRANGER,
		[NET_TROUBLE_CA] = CAUSE_CERTIFICATE_CA,
		[NET_TROUBLE_EXPIRED] = CAUSE_CERTIFICATE_TIME,
		[NET_TROUBLE_HOST] = CAUSE_CERTIFICATE_HOST,
		[NET_TROUBLE_TLS] = CAUSE_CERTIFICATE,
		[NET_TROUBLE_CLOSED] = CAUSE_CLOSED,
		[NET_TROUBLE_LOST] = CAUSE_LOST,
	};

	if (net_trouble(net) == NET_TROUBLE_CLOSED &&
	    net_trouble_code(net) == CLOSED_REPLACED)
		return CAUSE_REPLACED;
	if (net_trouble(net) == NET_TROUBLE_CLOSED &&
	    net_trouble_code(net) == CLOSED_REVOKED)
		return CAUSE_REVOKED;
	return causes[net_trouble(net)];
}
