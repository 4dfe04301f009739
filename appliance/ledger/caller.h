/*
 * Who makes an HTTP call: from what its front passed on (wire_caller) to the
 * tenant, the principal and his scopes. The credential's prefix says of which
 * kind it is; each kind is looked up by a keyed hash in its own store. It must
 * not know what is asked: dispatch.c compares the scopes.
 */
#ifndef APPLIANCE_LEDGER_CALLER_H
#define APPLIANCE_LEDGER_CALLER_H

#include "appliance/ledger/inside.h"

struct caller {
	struct tenant *tenant;
	struct principal who;
	scope_set scopes;
	uint64_t login; /* of a user: his session (user_sessions.h) */
	/** What is left of its rates; limit 0: it has none. Also when it is
	 * refused. */
	struct wire_limits limits;
	/** Why it is refused; code "": the words of the error serve. */
	struct problem problem;
};

/**
 * By the credential of a call; in the loop. Nothing of `wire` is kept. A rate
 * is counted by what `op` is.
 *
 * @retval ERR_UNAUTHENTICATED  None, malformed, unknown, run out or revoked:
 *                              which of them is not told.
 * @retval ERR_RATE_LIMITED     Too many bad ones from this address.
 * @retval ERR_BUSY             Its tenant is being opened: dispatch.c keeps the
 *                              request until then, and asks again.
 * Others: with words in `problem`, when the credential is good and what it was
 * given forbids this call.
 */
int caller_find(struct caller *caller, struct process *process,
    const struct wire_caller *wire, const struct operation *op);

#endif
