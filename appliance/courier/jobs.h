/*
 * What ledger and courier say to each other over ipc: a job with its id and
 * kind, and its result. The ledger alone begins. A job is finished when it gets
 * here: nothing is looked up for it. Payloads are MessagePack of the records
 * named here. It must not know what either side does with them.
 */
#ifndef APPLIANCE_COURIER_JOBS_H
#define APPLIANCE_COURIER_JOBS_H

#include "shared/journal/rows.h"
#include "shared/rpc/messages_user.h"

/** ipc_message.kind; `tag` is the job's id, `op` its enum courier_job. */
enum courier_message {
	COURIER_JOB = 1, /* ledger to courier */
	COURIER_RESULT, /* courier to ledger; an empty payload: no such job */
};

enum courier_job {
	COURIER_BIND = 1, /* courier_bind: courier_bound */
};

/** Jobs under way at once; beyond, they are refused. */
#define COURIER_JOBS_MAX 64

/** Does the directory know him by this password, and what may he? */
struct courier_bind {
	char login[USER_LOGIN_MAX + 1];
	struct record_span password;
};

enum courier_outcome {
	COURIER_DONE,
	COURIER_WRONG, /* login or password */
	COURIER_NO_ROLE, /* it knows him; none of his groups has a role */
	COURIER_UNAVAILABLE, /* it cannot be asked */
};
extern const char *const courier_outcome_names[];
struct courier_bound {
	uint32_t outcome;
	uint32_t role; /* enum user_role */
	char name[128];
	char mail[128];
};

extern const struct record courier_bind_record, courier_bound_record;

#endif
