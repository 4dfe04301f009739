#include "agent/keeper/enroll_key.h"

#include "shared/base/err.h"
#include "shared/base/log.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

struct enroll_key {
	struct enroll_key_plan plan;
	/* the thread's, between a step's begin and end */
	struct identity *fresh;
	struct arena arena; /* of material and challenge */
	struct proof_material material;
	uint8_t public_key[PROOF_KEY_MAX];
	size_t public_len;
	struct proof_subject subject;
	struct proof proof;
	struct proof_challenge challenge;
	uint8_t secret[PROOF_SECRET_BYTES];
	/* the loop's */
	enroll_key_done *done;
	void *ctx;
	bool ended;
	enum enroll_key_end how;
	proofs_ran *after;
	void *after_ctx;
};

static bool
is_elsewhere(const struct enroll_key_plan *plan)
{
	return strcmp(plan->site, plan->old_site) != 0 ||
	    strcmp(plan->tenant, plan->old_tenant) != 0;
}

static void
key_free(struct enroll_key *key)
{
	identity_close(key->fresh);
	arena_release(&key->arena);
	sodium_memzero(key->secret, sizeof(key->secret));
	free(key);
}

/* --- steps ---------------------------------------------------------------- */

static void
on_step(void *ctx, int err)
{
	struct enroll_key *key = ctx;

	if (!key->ended)
		key->done(key->ctx, err);
}

static int
step(struct enroll_key *key, proofs_work *work, enroll_key_done *done)
{
	key->done = done;
	return proofs_run(key->plan.proofs, work, on_step, key);
}

static struct identity *
identity_of(const struct enroll_key *key, struct identity **current)
{
	return key->plan.fresh ? key->fresh : *current;
}

static int
work_begin(void *ctx, struct identity **current)
{
	struct enroll_key *key = ctx;
	const struct enroll_key_plan *plan = &key->plan;
	int err = 0;

	if (plan->fresh)
		err = identity_open_with(&key->fresh, &plan->options);
	struct identity *identity = identity_of(key, current);

	if (err == 0 && identity == NULL)
		err = ERR_UNAVAILABLE;
	if (err == 0)
		err = identity_bind(identity, plan->site, plan->tenant);
	if (err == 0)
		err = identity_enroll_material(&key->material, identity,
		    &key->arena);
	if (err == 0)
		key->public_len = identity_public(key->public_key, identity);
	return err;
}

int
enroll_key_begin(struct enroll_key **out, const struct enroll_key_plan *plan,
    enroll_key_done *done, void *ctx)
{
	struct enroll_key *key = calloc(1, sizeof(*key));

	if (key == NULL)
		return ERR_NOMEM;
	key->plan = *plan;
	key->plan.options.folder = key->plan.folder;
	key->ctx = ctx;
	int err = step(key, work_begin, done);

	if (err < 0) {
		key_free(key);
		return err;
	}
	*out = key;
	return 0;
}

size_t
enroll_key_public(uint8_t out[PROOF_KEY_MAX], const struct enroll_key *key)
{
	memcpy(out, key->public_key, sizeof(key->public_key));
	return key->public_len;
}

enum proof_class
enroll_key_class(const struct enroll_key *key)
{
	const struct identity_options *options = &key->plan.options;

	return options->tcti != NULL ? PROOF_TPM : options->class_;
}

const struct proof_material *
enroll_key_material(const struct enroll_key *key)
{
	return &key->material;
}

static int
work_prove(void *ctx, struct identity **current)
{
	struct enroll_key *key = ctx;
	struct identity *identity = identity_of(key, current);

	return identity == NULL
	    ? ERR_UNAVAILABLE
	    : proof_make(&key->proof, identity, &key->subject);
}

int
enroll_key_prove(struct enroll_key *key, const struct proof_subject *subject,
    enroll_key_done *done)
{
	key->subject = *subject;
	key->subject.site = key->plan.site;
	key->subject.tenant = key->plan.tenant;
	return step(key, work_prove, done);
}

const struct proof *
enroll_key_proof(const struct enroll_key *key)
{
	return &key->proof;
}

static int
work_answer(void *ctx, struct identity **current)
{
	struct enroll_key *key = ctx;
	struct identity *identity = identity_of(key, current);

	return identity == NULL
	    ? ERR_UNAVAILABLE
	    : identity_challenge_answer(key->secret, identity, &key->challenge);
}

static int
copy_span(struct record_span *out, const struct record_span *span,
    struct arena *arena)
{
	out->data = arena_copy(arena, span->data, span->len);
	out->len = span->len;
	return out->data != NULL ? 0 : ERR_NOMEM;
}

int
enroll_key_answer(struct enroll_key *key,
    const struct proof_challenge *challenge, enroll_key_done *done)
{
	int err = copy_span(&key->challenge.credential, &challenge->credential,
	    &key->arena);

	if (err == 0)
		err = copy_span(&key->challenge.seed, &challenge->seed,
		    &key->arena);
	return err == 0 ? step(key, work_answer, done) : err;
}

const uint8_t *
enroll_key_secret(const struct enroll_key *key)
{
	return key->secret;
}

/* --- the end -------------------------------------------------------------- */

/* What the device leaves. A counter that cannot be removed costs the TPM an
 * index, and nobody a seat. */
static void
leave(struct identity *identity, const char *site, const char *tenant)
{
	if (identity == NULL || site[0] == '\0')
		return;
	int err = identity_unbind(identity, site, tenant);

	if (err < 0 && err != ERR_NOT_FOUND)
		log_warn("keeper",
		    "the counter for site %s stays in the TPM: %s", site,
		    err_str(err));
}

static void
keep(struct enroll_key *key, struct identity **current)
{
	const struct enroll_key_plan *plan = &key->plan;

	if (!plan->fresh) {
		if (is_elsewhere(plan))
			leave(*current, plan->old_site, plan->old_tenant);
		return;
	}
	leave(*current, plan->old_site, plan->old_tenant);
	identity_close(*current);
	identity_remove(plan->old_folder);
	*current = key->fresh;
	key->fresh = NULL;
	log_info("keeper", "the device has a new key");
}

/* Back to where it was. */
static void
give_up(struct enroll_key *key, struct identity **current)
{
	const struct enroll_key_plan *plan = &key->plan;
	bool forget = key->how == ENROLL_KEY_FORGET;

	if (plan->fresh) {
		if (forget)
			leave(key->fresh, plan->site, plan->tenant);
		identity_close(key->fresh);
		key->fresh = NULL;
		if (forget)
			identity_remove(plan->folder);
		return;
	}
	if (*current == NULL || !is_elsewhere(plan))
		return;
	if (plan->old_site[0] != '\0' &&
	    identity_bind(*current, plan->old_site, plan->old_tenant) < 0)
		log_error("keeper",
		    "the key is not bound to site %s any more; restart the "
		    "agent",
		    plan->old_site);
	if (forget)
		leave(*current, plan->site, plan->tenant);
}

static int
work_end(void *ctx, struct identity **current)
{
	struct enroll_key *key = ctx;

	if (key->how == ENROLL_KEY_KEEP)
		keep(key, current);
	else
		give_up(key, current);
	return 0;
}

static void
on_ended(void *ctx, int err)
{
	struct enroll_key *key = ctx;

	if (key->after != NULL)
		key->after(key->after_ctx, err);
	key_free(key);
}

void
enroll_key_end(struct enroll_key *key, enum enroll_key_end how,
    proofs_ran *ended, void *ctx)
{
	if (key == NULL)
		return;
	key->ended = true;
	key->how = how;
	key->after = ended;
	key->after_ctx = ctx;
	/* Behind a step that is on its way, which is not told any more. */
	if (proofs_run(key->plan.proofs, work_end, on_ended, key) < 0)
		log_error("keeper", "no memory to put a key away");
}
