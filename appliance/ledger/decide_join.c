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

/* A token that lets nobody in is said to be none. */
static int
check_class(struct command *command, const struct join_create *request)
{
	const struct ledger_device_policy *policy = &command->devices;
	const char *name = proof_class_names[request->class_];

	if (request->class_ == PROOF_KEY)
		return decide_refuse_field(command, "class",
		    ERR_CLASS_NOT_ALLOWED, "",
		    "an API key is no device that enrolls");
	if (request->class_ == PROOF_TPM && policy->no_chips)
		return decide_refuse_field(command, "class",
		    ERR_CLASS_NOT_ALLOWED,
		    "name them in leaseholdd.ini, [devices] tpm_ca and "
		    "tpm_issuers, and restart leaseholdd; or: --class vtpm",
		    "this site knows no maker of TPMs, so no device is of "
		    "class tpm here");
	/* A better class may come with it than it names. */
	uint32_t enough = 1u << request->class_;

	if (request->class_ == PROOF_SOFTWARE || request->class_ == PROOF_VTPM)
		enough |= 1u << PROOF_TPM;
	if (request->class_ == PROOF_SOFTWARE)
		enough |= 1u << PROOF_VTPM;
	if (policy->classes != 0 && (policy->classes & enough) == 0)
		return decide_refuse_field(command, "class",
		    ERR_CLASS_NOT_ALLOWED,
		    "[devices] classes in leaseholdd.ini says which are let in",
		    "this site lets in no devices of class %s", name);
	if ((request->class_ == PROOF_ASSIGNED) != (request->keys.count > 0))
		return decide_refuse_field(command, "keys", ERR_BAD_REQUEST,
		    "leasehold join create --class assigned --fingerprint HEX",
		    request->keys.count > 0
			? "only a token of class assigned names keys"
			: "a token of class assigned names the keys that may "
			  "use it");
	return 0;
}

int
decide_join(struct batch *batch, struct command *command)
{
	const struct join_create *request = command->request;
	const struct ledger *ledger = batch->ledger;
	uint32_t uses_default =
	    request->keys.count > 0 ? request->keys.count : USES_DEFAULT;
	struct license_join join = {
		.join = batch->state.counters.next_join,
		.uses = request->uses != 0 ? request->uses : uses_default,
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

	int err = check_class(command, request);

	if (err != 0 || command->err != 0)
		return err;
	err = sign_join(command, batch, &join,
	    request->approved || request->class_ == PROOF_ASSIGNED);
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
	r->approved = request->approved || request->class_ == PROOF_ASSIGNED;
	r->hosts = hosts;
	r->keys = request->keys;
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
