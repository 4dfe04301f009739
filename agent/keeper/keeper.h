/*
 * The keeper: the agent's core. It holds the device's key, the local socket
 * that applications ask on, and which process holds which lease. It learns
 * who is asking from the kernel and speaks to the site through the uplink
 * only. It must not own a socket of the network, nor decide who may have a
 * seat: that is the site's, and whether to believe it the library's.
 */
#ifndef AGENT_KEEPER_KEEPER_H
#define AGENT_KEEPER_KEEPER_H

#include "shared/base/supervisor.h"

#include <sys/types.h>

struct event_base;
struct keeper;

struct keeper_options {
	const char *state; /* folder; made when missing */
	int listen_fd; /* of the local socket; borrowed */
	const char *tcti; /* of the TPM; NULL: a key file */
	bool tpm_p256; /* its endorsement key; else RSA */
	const char *key_file; /* that was handed over; NULL: none was */
	bool drop; /* become uid and gid: started as root */
	uid_t uid;
	gid_t gid;
	gid_t admin_gid; /* group that may enroll; (gid_t)-1: none */
};

/** supervisor.core_main: the exit status; 2 when the state folder is not
 * usable. */
int keeper_main(const struct keeper_options *options,
    const struct supervisor_child *child);

/** The parts without the process around them. */
int keeper_new(struct keeper **keeper, struct event_base *base,
    const struct keeper_options *options);
/** Leases stay held: the next keeper finds them. Takes NULL. */
void keeper_free(struct keeper *keeper);
/** Take an uplink's descriptor, and drop the one before. */
int keeper_add_uplink(struct keeper *keeper, int fd);

#endif
