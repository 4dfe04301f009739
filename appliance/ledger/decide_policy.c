/* Decide on policies: another one comes into force. */
#include "appliance/ledger/core.h"
#include "shared/base/err.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static int
refuse_document(struct command *command, const struct record_error *error)
{
	char field[sizeof error->field + 8];

	snprintf(field, sizeof field, "policy%s%s",
	    error->field[0] != '\0' ? "." : "", error->field);
	return decide_refuse_field(command, field, ERR_BAD_REQUEST,
	    "what stands there now: leasehold policy export", "%s",
	    error->reason);
}

static int
store_document(struct row_policy_set *r, struct batch *batch,
    struct command *command)
{
	const struct policy_put *request = command->request;
	struct buf bytes = { 0 };
	int err = ERR_NOMEM;

	record_write_msgpack(&bytes, &policy_document_record, &request->policy);
	if (bytes.len > POLICY_BYTES_MAX)
		err = decide_refuse_field(command, "policy", ERR_TOO_LARGE, "",
		    "it has more than %zu bytes", POLICY_BYTES_MAX);
	else if (!bytes.failed)
		err = policy_text_put(r->commitment, &batch->state,
		    batch->ledger->sealed, r->version, bytes.data, bytes.len,
		    command->entropy);
	buf_release(&bytes);
	return err;
}

static int
emit_policy(struct batch *batch, struct command *command,
    const struct row_policy_set *policy)
{
	struct row *row = batch_row(batch, ROW_POLICY_SET);

	if (row == NULL)
		return ERR_NOMEM;
	row->u.policy_set = *policy;
	command->reply.policy = (struct policy_summary){
		.version = policy->version,
		.at = batch->place.time,
		.by = policy->by,
		.rules = policy->rules,
		.groups = policy->groups,
		.members = policy->members,
		.in_force = true,
		.kept = true,
	};
	memcpy(command->reply.policy.commitment, policy->commitment, 32);
	return batch_emit(batch);
}

/* The policy is counted before its row is there: it decides nothing yet. */
static int
put(struct batch *batch, struct command *command, struct policy *policy,
    struct row_policy_set *r)
{
	int err = store_document(r, batch, command);

	if (err == 0 && command->err == 0)
		err = policy_replace(batch, policy);
	if (err != 0 || command->err != 0) {
		policy_free(policy);
		return err;
	}
	return emit_policy(batch, command, r);
}

int
decide_policy_put(struct batch *batch, struct command *command)
{
	const struct policy_put *request = command->request;
	const struct policy_document *document = &request->policy;
	struct record_error error = { .reason = "" };
	struct state_policy newest;
	struct policy *policy;
	int err = state_policy_newest(&newest, &batch->state);

	if (err != 0)
		return err;
	if (request->follows != 0 && request->follows != newest.version)
		return decide_refuse_field(command, "follows", ERR_CONFLICT,
		    "look at it, and apply again: leasehold policy show",
		    "version %" PRIu64 " is in force by now, not %" PRIu64,
		    newest.version, request->follows);
	err = policy_compile(&policy, document, &error);
	if (err == ERR_BAD_REQUEST)
		return refuse_document(command, &error);
	if (err != 0)
		return err;
	struct row_policy_set r = {
		.version = newest.version + 1,
		.rules = document->rules.count,
		.groups = document->groups.count,
		.members = policy_count_members(document),
		.by = decide_actor(&command->who),
	};

	return put(batch, command, policy, &r);
}
