/* Requests with an Idempotency-Key, around the core: what was done before is
 * answered as it was, what is being done is not done beside it. */
#include "appliance/ledger/inside.h"

#include "shared/base/err.h"
#include "shared/base/log.h"

#include <string.h>

static uint64_t
short_id(const struct request *request)
{
	uint64_t id;

	/* The tenant and the principal belong to it; the id alone is of the
	 * key. */
	memcpy(&id, request->again.id, sizeof(id));
	return id ^ request->again.principal * UINT64_C(0x9e3779b97f4a7c15) ^
	    (uint64_t)(uintptr_t)request->tenant ^ request->again.kind;
}

static void
refuse(const struct request *request, int err, const char *words)
{
	struct problem problem;

	problem_set(&problem, err, NULL, "%s", words);
	request_refuse(request, err, &problem);
}

/* One that this release's record does not fit any more was kept by another. */
static void *
read_answer(const struct request *request, const struct record_span *answer)
{
	struct arena *arena = &request->process->arena;
	void *reply = arena_alloc(arena,
	    request->op->reply->size > 0 ? request->op->reply->size : 1);

	if (reply == NULL ||
	    record_read_msgpack(reply, request->op->reply, answer->data,
		answer->len, NULL, arena, NULL) != 0)
		return NULL;
	return reply;
}

static void
answer_kept(const struct request *request, void *reply)
{
	struct person_erased *erased = reply;

	/* Not known yet when it was written: that is done after the commit. */
	if (request->op->id == OP_PERSON_ERASE)
		erased->wiped = ledger_is_wiped(request->tenant->ledger);
	request_reply(request, reply);
}

/* It was shown once, and the wire ate it. */
static const char *
next_step(uint32_t op)
{
	static const struct {
		uint32_t op;
		const char *hint;
	} hints[] = {
		{ OP_KEY_GENERATE,
		    "find it: leasehold key list; give it another secret: "
		    "leasehold key rotate" },
		{ OP_KEY_ROTATE,
		    "rotate it once more, with another Idempotency-Key" },
		{ OP_JOIN_CREATE,
		    "make another; end that one: leasehold token list, "
		    "leasehold token revoke" },
		{ OP_USER_CREATE,
		    "give the user another password: leasehold user reset" },
		{ OP_USER_RESET,
		    "reset it once more, with another Idempotency-Key" },
		{ OP_TOTP_BEGIN, "begin anew, with another Idempotency-Key" },
		{ OP_TOTP_CONFIRM,
		    "for other recovery codes take the second factor off and "
		    "set it up anew" },
	};

	for (size_t i = 0; i < sizeof(hints) / sizeof(hints[0]); i++)
		if (hints[i].op == op)
			return hints[i].hint;
	return "look at what is there now, and go on from that";
}

static void
refuse_gone(const struct request *request)
{
	struct problem problem;

	problem_set(&problem, ERR_GONE, next_step(request->op->id),
	    "this was done already; its answer %s",
	    idempotency_is_secret(request->op->reply)
		? "holds a secret, which is shown once and not kept"
		: "was not kept");
	request_refuse(request, ERR_GONE, &problem);
}

static bool
answer(const struct request *request, enum idempotency_found found,
    const struct record_span *kept)
{
	if (found == IDEMPOTENCY_NEW)
		return false;
	void *reply =
	    found == IDEMPOTENCY_SAME ? read_answer(request, kept) : NULL;

	if (found == IDEMPOTENCY_OTHER)
		refuse(request, ERR_CONFLICT,
		    "this Idempotency-Key was used for another request");
	else if (reply != NULL)
		answer_kept(request, reply);
	else
		refuse_gone(request);
	return true;
}

bool
again_answered(struct request *request)
{
	const struct operation *op = request->op;
	const char *key = request->caller->idempotency_key;
	enum idempotency_found found;
	struct record_span kept = { 0 };

	/* Seats by key have the key as their own request id. */
	if (key[0] == '\0' || !operation_takes_key(op) ||
	    op->repeat == REPEAT_ROW)
		return false;
	idempotency_init(&request->again, op->id, request->who.kind,
	    request->who.id, key, request->payload, request->len, op->reply);
	if (table_get(&request->process->again, short_id(request)) != NULL) {
		refuse(request, ERR_CONFLICT,
		    "a request with this Idempotency-Key is under way; ask "
		    "again in a moment");
		return true;
	}
	int err = idempotency_find(&found, &kept, request->tenant->ledger,
	    &request->again, process_now(request->process),
	    &request->process->arena);

	if (err != 0) {
		request_refuse(request, err, NULL);
		return true;
	}
	request->repeated =
	    found == IDEMPOTENCY_SAME || found == IDEMPOTENCY_GONE;
	return answer(request, found, &kept);
}

int
again_begin(struct call *call, const struct request *request)
{
	if (!request->again.used)
		return 0;
	call->again_id = short_id(request);
	if (table_put(&call->process->again, call->again_id, call) != 0)
		return ERR_NOMEM;
	call->again = request->again;
	if (call->op->repeat == REPEAT_ONCE)
		call->write.command.again = &call->again;
	return 0;
}

void
again_end(struct call *call)
{
	if (call->again.used)
		table_remove(&call->process->again, call->again_id);
	call->again.used = false;
}

static void
finish_kept(struct call *call)
{
	struct command *command = &call->write.command;

	/* It was done all the same. */
	if (command->err != 0)
		log_error("ledger",
		    "the answer to %s is not kept for its Idempotency-Key: %s",
		    call->op->name, err_str(command->err));
	command->err = 0;
	call_answer(call);
}

bool
again_keep(struct call *call)
{
	struct command *command = &call->write.command;
	struct buf bytes = { 0 };

	if (!call->again.used || command->err != 0 || call->again.noted)
		return false;
	const bool secret = idempotency_is_secret(call->op->reply);

	/* Nothing was committed for it: its handler forgets the key. */
	if (call->op->repeat == REPEAT_ONCE)
		log_error("ledger",
		    "%s is done once, and its Idempotency-Key was not written "
		    "with it",
		    call->op->name);
	call->again.noted = true;
	record_write_msgpack(&bytes, call->op->reply,
	    call->reply != NULL ? call->reply : &command->reply);
	struct ledger_remember *request =
	    arena_alloc(&call->arena, sizeof(*request));
	void *copy = bytes.failed || bytes.len > IPC_PAYLOAD_MAX
	    ? NULL
	    : arena_copy(&call->arena, bytes.data, bytes.len);

	call->kept = (struct record_span){ copy,
		copy != NULL ? (uint32_t)bytes.len : 0 };
	buf_release(&bytes);
	if (request == NULL || copy == NULL) {
		log_error("ledger", "no memory to keep the answer to %s",
		    call->op->name);
		call->kept.len = 0;
		return false;
	}
	*request = (struct ledger_remember){ .asked = &call->again };
	if (!secret)
		request->answer = call->kept;
	command->op = LEDGER_REMEMBER;
	command->request = request;
	command->again = NULL;
	command->who = (struct principal){ .kind = ACTOR_SITE };
	call->finish = finish_kept;
	call_commit(call);
	return true;
}
