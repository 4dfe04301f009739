#include "appliance/ledger/caller.h"

#include "appliance/ledger/keys.h"
#include "appliance/ledger/people.h"
#include "appliance/ledger/tenant_use.h"

#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/text.h"

#include <string.h>

/* A key of the site's own: its admin's. */
static int
find_site_key(struct caller *caller, struct process *process,
    const struct wire_caller *wire)
{
	struct system_key key;
	int rc = system_key_find(&key, process->system, wire->key.data,
	    wire->key.len);

	if (rc != 0)
		return rc;
	rc = tenant_use(&caller->tenant, process, key.tenant);
	if (rc != 0)
		return rc == ERR_NOT_FOUND ? ERR_UNAUTHENTICATED : rc;
	caller->who.kind = ACTOR_ADMIN;
	caller->who.id = key.number;
	caller->scopes = key.scopes;
	return 0;
}

/* Both kinds look alike; a tenant's own are many and used often. */
static int
find_key(struct caller *caller, struct process *process,
    const struct wire_caller *wire, const struct operation *op)
{
	char name[SYSTEM_TENANT_MAX + 1];

	if (!system_key_has_shape(name, wire->key.data, wire->key.len))
		return ERR_UNAUTHENTICATED;
	struct tenant *tenant;
	int rc = tenant_use(&tenant, process, name);

	if (rc != 0)
		return rc == ERR_NOT_FOUND ? ERR_UNAUTHENTICATED : rc;
	rc = keys_find(caller, tenant, wire, op);

	/* With words: it is a key of the tenant, and no good any more. */
	if (rc != ERR_UNAUTHENTICATED || caller->problem.code[0] != '\0')
		return rc;
	return find_site_key(caller, process, wire);
}

int
caller_find(struct caller *caller, struct process *process,
    const struct wire_caller *wire, const struct operation *op)
{
	memset(caller, 0, sizeof(*caller));
	text_copy(caller->who.address, sizeof(caller->who.address),
	    wire->address);
	int rc = user_token_is_one(wire->key.data, wire->key.len)
	    ? user_session_find(caller, process, wire)
	    : find_key(caller, process, wire, op);

	if (rc == ERR_UNAUTHENTICATED && caller->problem.code[0] == '\0' &&
	    !auth_count_bad(&process->auth, wire->address, clock_boottime_ms()))
		return ERR_RATE_LIMITED;
	return rc;
}
