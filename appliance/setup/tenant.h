/*
 * The files of one tenant in the site's folder: keys/NAME.key and
 * tenants/NAME/. It must not know the system store, which says whether they
 * count; the caller keeps the order.
 */
#ifndef APPLIANCE_SETUP_TENANT_H
#define APPLIANCE_SETUP_TENANT_H

#include "appliance/setup/setup.h"

/** What a new journal is of. */
struct setup_tenant {
	const char *state; /* the site's folder */
	const char *name; /* the caller has checked it */
	const char *site; /* id */
	const uint8_t *secret; /* of the site; borrowed */
	int64_t now_ms;
};

/** A new key and a journal with its genesis, all on the disk when it returns.
 * What was left there before is cleared. Takes some syncs: not in a loop. Errors
 * are logged; what was made until then is left. */
int setup_tenant_make(const struct setup_tenant *tenant);
/** Key and folder, and a copy beside it, as far as they are there. Errors are logged. */
int setup_tenant_remove(const char *state, const char *name);

/** A key's file, written over first; none is fine. Errors are logged. */
int setup_remove_key(const char *path);

/** Every DNS name of the server's certificate; stops on non-zero, which is
 * returned. Errors are logged. */
int setup_each_host(const char *state, int (*each)(void *ctx, const char *host),
    void *ctx);

#endif
