/*
 * The courier: the process that calls out. It has network and the credentials
 * for it, and nothing else: no store, no signing key, no listener. It gets
 * finished jobs from the ledger over ipc (jobs.h), does each on one of a few
 * threads, and sends the result back. What a server at the other end does, it
 * does to this process: time, memory and the number of jobs are bounded, and a
 * job that takes too long is given up. It asks a directory (LDAP) about logins,
 * and delivers webhooks, mails and lines for the system's log, and brings
 * reports to vendors' hubs, where it shows a certificate of its own (post.h,
 * own.h).
 */
#ifndef APPLIANCE_COURIER_COURIER_H
#define APPLIANCE_COURIER_COURIER_H

#include "appliance/courier/directory.h"
#include "appliance/courier/post.h"
#include "shared/base/supervisor.h"

#include <sys/types.h>

struct courier_options {
	const struct directory_options *directory;
	const struct post_options *post;
	bool drop; /* become uid and gid (root at start) */
	uid_t uid;
	gid_t gid;
};

/** supervisor.edge_main: `ctx` is a struct courier_options. Status 2 when the
 * configuration is at fault. */
int courier_main(void *ctx, const struct supervisor_child *child);

#endif
