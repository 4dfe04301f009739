/*
 * Registrations that wait for a record in the DNS, for who can look there: the
 * process asks the courier for it, and commits the verification when it is
 * there. It must not know sockets.
 */
#ifndef APPLIANCE_HUB_REGISTER_H
#define APPLIANCE_HUB_REGISTER_H

#include "appliance/ledger/ledger.h"

struct hub_pending {
	bool verified; /* it is already: nothing is to be looked for */
	char name[160]; /* of the record */
	char text[128]; /* what it is to say */
};
/** Refuses, with words, what does not wait: ERR_NOT_FOUND (no such tenant),
 * ERR_FORBIDDEN (the token is another), ERR_GONE (it waited too long). */
int hub_pending(struct hub_pending *out, struct ledger_view *view,
    const struct tenant_verify *asked, int64_t now_ms, struct arena *arena,
    struct problem *problem);

#endif
