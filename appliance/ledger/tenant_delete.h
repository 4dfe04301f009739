/*
 * Deleting a tenant for good. The order, so that a crash leaves either the
 * tenant or a deletion that the next start ends:
 *   1  it takes no requests any more, its sessions are closed, and what is under
 *      way ends
 *   2  the system store says that it is being deleted, with its certificate,
 *      signed: from here on it goes on, whatever happens
 *   3  its store is closed; its keys are written over; its files are removed
 *   4  the system store forgets it, and keeps the certificate
 */
#ifndef APPLIANCE_LEDGER_TENANT_DELETE_H
#define APPLIANCE_LEDGER_TENANT_DELETE_H

#include "appliance/ledger/inside.h"

void tenant_delete_asked(const struct request *request);
void certificate_list_asked(const struct request *request);

/** Its deletion waits: go on, if nothing else does there. True: it has left
 * process->tenants. */
bool tenant_delete_step(struct tenant *tenant);
/** Give it up before step 2: it is as it was. */
void tenant_delete_refuse(struct tenant *tenant, const char *words);
/** Steps 3 and 4, its store closed. Not in a loop. Errors are logged. */
int tenant_delete_end(struct process *process, const char *name);

#endif
