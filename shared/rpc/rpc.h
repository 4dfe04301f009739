/*
 * JSON-RPC 2.0 (jsonrpc.org) envelopes over the record tables, for both ends:
 * site and agent, agent and application. No batches. Ids are whole numbers
 * from 1 to 2^53 - 1, because both ends are ours. It must not know transports.
 */
#ifndef SHARED_RPC_RPC_H
#define SHARED_RPC_RPC_H

#include "shared/base/err.h"
#include "shared/record/record.h"
#include "shared/rpc/messages.h"

/** JSON-RPC's own codes, as `err` of rpc_write_error, for requests that are
 * broken before any operation sees them. */
enum rpc_code {
	RPC_PARSE = -32700, /* not JSON */
	RPC_INVALID = -32600, /* not a request */
	RPC_METHOD = -32601, /* no such operation */
	RPC_PARAMS = -32602, /* its parameters are refused */
};

struct rpc_envelope {
	uint64_t id; /* 0: a notice */
	const char *method; /* of a request; not NUL-terminated */
	size_t method_len;
	const char *params; /* raw JSON object, or NULL */
	size_t params_len;
	const char *result; /* of a response: raw JSON, or NULL */
	size_t result_len;
	const char *error; /* of a response: raw JSON object, or NULL */
	size_t error_len;
};

/** Take the envelope apart; strings point into `text`. One pass. Returns 0 or
 * ERR_BAD_REQUEST with words; `id` is set as soon as it was read, so that the
 * refusal can name it. */
int rpc_read(struct rpc_envelope *envelope, const char *text, size_t len,
    struct record_error *error);

void rpc_write_request(struct buf *out, uint64_t id, const char *method,
    const struct record *record, const void *params);
/** id 0 of a request is a notice. */
void rpc_write_result(struct buf *out, uint64_t id, const struct record *record,
    const void *result);
/** err is an ERR_* (the code is then -32000 + err) or one of enum rpc_code.
 * id 0, of a request that could not be read, is written null. data = problem.
 */
void rpc_write_error(struct buf *out, uint64_t id, int err,
    const struct problem *problem);

/** The problem out of an error object; unknown members are passed over.
 * Returns the refusal's ERR_*. */
int rpc_read_error(struct problem *problem, const char *error, size_t len);

/** The same out of application/problem+json (RFC 9457). ERR_BAD_REQUEST: it is
 * none. */
int rpc_read_problem(struct problem *problem, const char *text, size_t len);

/** Fill in a problem: code and detail from err when `format` is NULL. */
void problem_set(struct problem *problem, int err, const char *hint,
    const char *format, ...) __attribute__((format(printf, 4, 5)));

/** The words for a device that an admin has not let in yet: ERR_FORBIDDEN. */
void problem_set_pending(struct problem *problem, uint64_t device);

#endif
