/* Decide on join tokens: made, and made worthless (DESIGN 9). What comes of
 * them is in decide_device.c. */
#include "appliance/ledger/core.h"
#include "shared/base/err.h"

#include <inttypes.h>
#include <sodium.h>
#include <string.h>

#define USES_DEFAULT 1
#define VALID_DEFAULT_S 3600

static int
sign_join(struct command *command, const struct batch *batch,
    const struct license_join *join, bool approved)
{
	struct buf token = { .len = 0 };
	int err = license_document_sign(&token, &license_join_record, join,
	    TOKEN_JOIN, batch->ledger->site_secret);
	void *copy = NULL;

	if (err == 0)
		copy = arena_copy(&command->arena, token.data, token.len);
	if (err == 0 && copy == NULL)
		err = ERR_NOMEM;
	if (err == 0)
		command->reply.join = (struct join_created){
			.join = join->join,
			.token = { copy, (uint32_t)token.len },
			.expires_at = join->expires_at,
			.approved = approved,
		};
	sodium_memzero(token.data, token.len);
	buf_release(&token);
	return err;
}

/* A pattern may be somebody's name as well as a host may. The command's random
 * bytes are enough for a few subjects: each gets its own from them all. */
static int
add_hosts(struct record_list *out, struct batch *batch, struct command *command,
    const struct record_list *hosts)
{
	const struct license_host_pattern *patterns = hosts->items;
	struct row_subject *subjects =
	    arena_alloc(&command->arena, hosts->count * sizeof *subjects + 1);
	int err = 0;

	if (subjects == NULL)
		return ERR_NOMEM;
	for (uint32_t i = 0; i < hosts->count && err == 0; i++) {
		uint8_t entropy[SUBJECT_ENTROPY];
		uint8_t salt = (uint8_t)i;

		crypto_generichash(entropy, sizeof entropy, &salt, sizeof salt,
		    command->entropy, crypto_generichash_KEYBYTES_MAX);
		err = decide_subject(subjects[i].subject, batch,
		    SUBJECT_PATTERN, patterns[i].pattern, entropy);
		sodium_memzero(entropy, sizeof entropy);
	}
	*out = (struct record_list){ subjects, hosts->count };
	return err;
}

int
decide_join(struct batch *batch, struct command *command)
{
	const struct join_create *request = command->request;
	const struct ledger *ledger = batch->ledger;
	struct license_join join = {
		.join = batch->state.counters.next_join,
		.uses = request->uses != 0 ? request->uses : USES_DEFAULT,
		.class_ = request->class_,
		.hosts = request->hosts,
	};
	uint32_t valid_s =
	    request->valid_s != 0 ? request->valid_s : VALID_DEFAULT_S;
	struct record_list hosts;

	join.expires_at = batch->place.time + (int64_t)valid_s * 1000;
	memcpy(join.site, ledger->site, sizeof join.site);
	memcpy(join.tenant, ledger->tenant, sizeof join.tenant);
	memcpy(join.ca_sha256, ledger->ca_sha256, sizeof join.ca_sha256);
	/* Behind what add_hosts makes its own of. */
	memcpy(join.id, command->entropy + crypto_generichash_KEYBYTES_MAX,
	    sizeof join.id);

	int err = sign_join(command, batch, &join, request->approved);

	if (err == 0)
		err = add_hosts(&hosts, batch, command, &request->hosts);
	if (err != 0)
		return err;
	struct row *row = batch_row(batch, ROW_JOIN_CREATED);

	if (row == NULL)
		return ERR_NOMEM;
	struct row_join_created *r = &row->u.join_created;

	r->join = join.join;
	memcpy(r->id, join.id, sizeof r->id);
	r->uses = join.uses;
	r->expires_at = join.expires_at;
	r->class_ = join.class_;
	r->approved = request->approved;
	r->hosts = hosts;
	r->by = decide_actor(&command->who);
	return batch_emit(batch);
}

int
decide_join_revoke(struct batch *batch, struct command *command)
{
	const struct join_number *request = command->request;
	struct state_join join;
	int err = state_join(&join, &batch->state, request->join);

	if (err == ERR_NOT_FOUND_INTERNAL)
		return decide_refuse_field(command, "join", ERR_NOT_FOUND,
		    "see what there is: leasehold join list --all",
		    "there is no join-%" PRIu64, request->join);
	if (err != 0)
		return err;
	command->reply.join_number = *request;
	if (join.revoked)
		return 0; /* it is as asked for */
	struct row *row = batch_row(batch, ROW_JOIN_REVOKED);

	if (row == NULL)
		return ERR_NOMEM;
	row->u.join_revoked.join = request->join;
	row->u.join_revoked.by = decide_actor(&command->who);
	return batch_emit(batch);
}
