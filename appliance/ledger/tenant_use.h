/*
 * Using a tenant of the site, which may have to be opened first; all of it in
 * the loop. tenant_use.c says how and when they open and close. A tenant stays
 * open while a request of it is handled, a call is under way, or a session is
 * bound to it; else no pointer to it may be kept: an entry may.
 */
#ifndef APPLIANCE_LEDGER_TENANT_USE_H
#define APPLIANCE_LEDGER_TENANT_USE_H

#include "appliance/ledger/inside.h"

/**
 * The tenant, open.
 *
 * @retval ERR_NOT_FOUND  There is none of that name.
 * @retval ERR_BUSY       It is not open, and is being opened now: give this up
 *                        to dispatch.c, which parks the request and dispatches
 *                        it anew. No answer may have been given, and nothing
 *                        counted.
 */
int tenant_use(struct tenant **tenant, struct process *process,
    const char *name);
int tenant_use_entry(struct tenant **tenant, struct process *process,
    struct tenant_entry *entry);
/** The same for a handler, about a tenant other than the caller's: NULL when the
 * request was refused, or is kept until that one is open and handled anew from
 * its beginning. Nothing was done for it yet. */
struct tenant *tenant_for(const struct request *request, const char *name);
/** "https://NAME.SITE:PORT"; "" when the site has no host name. Any thread. */
void tenant_url(char *out, size_t size, const struct process *process,
    const char *name);
void tenant_say_unknown(struct problem *problem, const char *name);
/** Is it all zeros, as what was absent is? */
bool record_is_empty(const void *value, size_t size);
/** The tenant of a host name, as in a Host header without its port; `default`
 * for that of no tenant. Never NULL in a running site. */
struct tenant_entry *tenant_by_host(const struct process *process,
    const char *host);

/** After ERR_BUSY of the request at hand: keep the message until the tenant is
 * open; refuses it when too many wait. */
void tenant_park(struct front *front, const struct ipc_message *message,
    bool is_call);
/** Those of one tenant: all are refused, or dispatched anew. */
void tenant_parked_refuse(struct process *process, struct tenant_entry *entry,
    int err, const char *words);
void tenant_parked_dispatch(struct process *process,
    struct tenant_entry *entry);
/** Has the first of them waited as long as one may? */
bool tenant_parked_too_long(const struct tenant_entry *entry);
/** It was opened at the start, or by the opener: one of process->tenants. */
int tenant_join(struct process *process, struct tenant *tenant);
/** Choose its writer. */
void tenant_pin(struct tenant *tenant);
/** What the clock goes on from. */
struct tenant_times {
	int64_t latest; /* of all journals */
	int64_t linger; /* the last slot that waits for its time; 0: none */
};
/** At the start: read all tenants, and open those that are to be. Errors are
 * logged. */
int tenant_load_all(struct tenant_times *times, struct process *process);
/** Its start is journaled: requests reach it from now on. */
void tenant_started(struct tenant *tenant);
/** Its journal takes nothing, so its start is not in it yet: requests that need
 * no row reach it meanwhile. */
void tenant_cannot_start(struct tenant *tenant);
/** Close it, when nothing has gone on there for a while. True: it has left
 * process->tenants. */
bool tenant_close_idle(struct tenant *tenant);
/**
 * For who takes an open tenant away for good: does nothing go on there? What was
 * asked of it is to be refused already (its status), and its sessions closed.
 */
bool tenant_is_still(const struct tenant *tenant);
/** It has left process->tenants, and is the caller's to close, off the loop;
 * requests for it wait until tenant_give_back. */
void tenant_take(struct tenant *tenant);
/** It is closed. `entry` NULL: and gone. */
void tenant_give_back(struct process *process, struct tenant_entry *entry);
/** Once a second: close, open again, refuse who waited too long. */
void tenant_watch(struct process *process);
/** The site stops. */
void tenant_refuse_all(struct process *process);
void tenant_parked_release(struct process *process);

#endif
