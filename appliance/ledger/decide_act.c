/* Rows that say who asked for what: of what a batch does, with its facts; of all
 * else, by a command of the process. See acts.h. */
#include "appliance/ledger/core.h"
#include "shared/base/err.h"
#include "shared/base/text.h"

#include <string.h>

static int
emit_act(struct batch *batch, struct command *command,
    const struct row_act *act, const char *address)
{
	uint8_t id[SUBJECT_BYTES];
	int err = decide_subject(id, batch, SUBJECT_ADDRESS, address,
	    command->entropy + LEDGER_ENTROPY_ACT);

	if (err != 0)
		return err;
	struct row *row = batch_row(batch, ROW_ACT);

	if (row == NULL)
		return ERR_NOMEM;
	row->u.act = *act;
	memcpy(row->u.act.address, id, sizeof(row->u.act.address));
	return batch_emit(batch);
}

/* Who logs in is known when he has. */
static struct row_actor
actor_of(const struct command *command)
{
	const struct ledger_user *user = command->request;

	if (command->op == LEDGER_USER && command->who.kind == ACTOR_SITE)
		return (struct row_actor){ ACTOR_USER,
			user->what == LEDGER_USER_DIRECTORY
			    ? command->reply.login.user
			    : user->user };
	return decide_actor(&command->who);
}

int
decide_acted(struct batch *batch, struct command *command)
{
	struct row_act act = *command->act;

	act.by = actor_of(command);
	act.count = 1;
	text_copy(act.code, sizeof(act.code), "done");
	int err = emit_act(batch, command, &act, command->who.address);

	command->acted = err == 0;
	return err;
}

int
decide_act(struct batch *batch, struct command *command)
{
	const struct ledger_act *request = command->request;

	return emit_act(batch, command, &request->row, request->address);
}
