/* Calls on an identity in a TPM, each a connection; see tpm_identity.h. */
#include "shared/proof/tpm_identity.h"

#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/proof/template.h"
#include "shared/proof/tpm_private.h"

#include <signal.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* --- one call ------------------------------------------------------------- */

/* tss2 writes to sockets that may have closed. */
static void
hold_sigpipe(sigset_t *before)
{
	sigset_t pipe;

	sigemptyset(&pipe);
	sigaddset(&pipe, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, &pipe, before);
}

static void
release_sigpipe(const sigset_t *before)
{
	const struct timespec at_once = { 0 };
	sigset_t pipe;

	sigemptyset(&pipe);
	sigaddset(&pipe, SIGPIPE);
	if (sigismember(before, SIGPIPE) == 0)
		(void)sigtimedwait(&pipe, NULL, &at_once);
	pthread_sigmask(SIG_SETMASK, before, NULL);
}

/* A call's work: said twice when the TPM went away meanwhile, so it must be
 * harmless to say again. */
typedef int work_fn(struct tpm_identity *tpm, void *call);

static int
try_once(struct tpm_identity *tpm, work_fn *work, void *call)
{
	tpm->link.lost = false;
	int err = tpm_link_open(&tpm->link);

	if (err == 0)
		err = work(tpm, call);
	tpm_link_rest(&tpm->link);
	return err;
}

static int
run(struct tpm_identity *tpm, work_fn *work, void *call)
{
	sigset_t before;

	hold_sigpipe(&before);
	tpm->link.again = false;
	int err = try_once(tpm, work, call);

	if (err < 0 && tpm->link.lost) {
		tpm_keys_forget(tpm);
		tpm->link.again = true;
		err = try_once(tpm, work, call);
	}
	release_sigpipe(&before);
	return err;
}

/* --- opening -------------------------------------------------------------- */

static int
work_make(struct tpm_identity *tpm, void *call)
{
	(void)call;
	int err = tpm_keys_find_ek(tpm, true);

	return err == 0 ? tpm_keys_make_ak(tpm) : err;
}

static int
work_check(struct tpm_identity *tpm, void *call)
{
	ESYS_TR ak;
	int err = tpm_ak_load(tpm, &ak);

	(void)call;
	tpm_flush(tpm, &ak);
	return err;
}

static int
open_store(struct tpm_identity *tpm, enum identity_ek ek)
{
	int err = tpm_store_read(tpm->store, tpm->folder);

	if (err == 0)
		return run(tpm, work_check, NULL);
	if (err != ERR_NOT_FOUND)
		return err;
	memset(tpm->store, 0, sizeof(*tpm->store));
	tpm->store->ek_len = ek == IDENTITY_P256 ? TEMPLATE_EK_P256_BYTES
						 : TEMPLATE_EK_RSA_BYTES;
	err = run(tpm, work_make, NULL);
	return err == 0 ? tpm_store_write(tpm->store, tpm->folder) : err;
}

int
tpm_identity_open(struct tpm_identity **out, const char *folder,
    const struct identity_options *options)
{
	struct tpm_identity *tpm = calloc(1, sizeof(*tpm));

	if (tpm == NULL)
		return ERR_NOMEM;
	tpm->folder = folder;
	tpm->owner_auth = options->owner_auth;
	tpm->store = sodium_malloc(sizeof(*tpm->store));
	int err = tpm->store == NULL ? ERR_NOMEM : 0;

	if (err == 0) {
		memset(tpm->store, 0, sizeof(*tpm->store));
		err = tpm_link_parse(&tpm->link, options->tcti);
	}
	if (err == 0)
		err = open_store(tpm, options->ek);
	if (err < 0) {
		tpm_identity_close(tpm);
		return err;
	}
	*out = tpm;
	return 0;
}

void
tpm_identity_close(struct tpm_identity *tpm)
{
	if (tpm == NULL)
		return;
	tpm_link_close(&tpm->link);
	tpm_keys_forget(tpm);
	sodium_free(tpm->store);
	free(tpm);
}

/* --- sites ---------------------------------------------------------------- */

struct define_call {
	const struct tpm_site *site;
	bool fresh; /* its index may be somebody else's */
};

static int
work_define(struct tpm_identity *tpm, void *call)
{
	struct define_call *c = call;

	return tpm_counter_define(tpm, c->site, c->fresh);
}

static int
work_remove(struct tpm_identity *tpm, void *call)
{
	return tpm_counter_remove(tpm, call);
}

static bool
is_taken(const struct tpm_store *store, uint32_t index)
{
	for (uint32_t i = 0; i < store->n_sites; i++)
		if (store->sites[i].index == index)
			return true;
	return false;
}

/* The site stands in the file before its counter is in the TPM: after a crash
 * the next call finds the secret of what is half made. */
static int
try_index(struct tpm_identity *tpm, struct tpm_site *site, uint32_t index)
{
	struct define_call call = { site, true };

	site->index = index;
	int err = tpm_store_write(tpm->store, tpm->folder);

	return err == 0 ? run(tpm, work_define, &call) : err;
}

static int
add_site(struct tpm_site **out, struct tpm_identity *tpm, const char *site,
    const char *tenant)
{
	struct tpm_site *added;
	int err = tpm_store_add(&added, tpm->store, site, tenant);

	if (err != 0)
		return err;
	err = ERR_CONFLICT;
	for (uint32_t i = 0; i < TEMPLATE_COUNTERS && err == ERR_CONFLICT; i++)
		if (!is_taken(tpm->store, TEMPLATE_COUNTER_FIRST + i))
			err = try_index(tpm, added, TEMPLATE_COUNTER_FIRST + i);
	if (err == 0) {
		*out = added;
		return 0;
	}
	if (err == ERR_CONFLICT) {
		log_error("proof",
		    "the TPM at %s has no index free from 0x%x to 0x%x",
		    tpm->link.tcti, TEMPLATE_COUNTER_FIRST,
		    TEMPLATE_COUNTER_FIRST + TEMPLATE_COUNTERS - 1);
		err = ERR_FULL;
	}
	tpm_store_remove(tpm->store, added);
	(void)tpm_store_write(tpm->store, tpm->folder);
	return err;
}

/* Somebody else's counter stands where ours was: what it counted is lost, and
 * the device enrolls with another. */
static int
renew_site(struct tpm_site **out, struct tpm_identity *tpm,
    struct tpm_site *site)
{
	struct tpm_site lost = *site;

	log_warn("proof",
	    "the counter for site %s was replaced in the TPM at %s: taking a "
	    "new one",
	    site->site, tpm->link.tcti);
	tpm_store_remove(tpm->store, site);
	sodium_memzero(lost.secret, sizeof(lost.secret));
	return add_site(out, tpm, lost.site, lost.tenant);
}

int
tpm_identity_bind(struct tpm_identity *tpm, const char *site,
    const char *tenant)
{
	struct tpm_site *found = tpm_store_find(tpm->store, site, tenant);
	struct tpm_site *before;
	int err;

	if (found == NULL) {
		err = add_site(&found, tpm, site, tenant);
	} else {
		struct define_call call = { found, false };

		err = run(tpm, work_define, &call);
		if (err == ERR_CONFLICT)
			err = renew_site(&found, tpm, found);
	}
	if (err != 0 || found->bound)
		return err;
	before = tpm_store_bound(tpm->store);
	if (before != NULL)
		before->bound = false;
	found->bound = true;
	return tpm_store_write(tpm->store, tpm->folder);
}

int
tpm_identity_unbind(struct tpm_identity *tpm, const char *site,
    const char *tenant)
{
	struct tpm_site *found = tpm_store_find(tpm->store, site, tenant);

	if (found == NULL)
		return ERR_NOT_FOUND;
	int err = run(tpm, work_remove, found);

	if (err < 0)
		return err;
	tpm_store_remove(tpm->store, found);
	return tpm_store_write(tpm->store, tpm->folder);
}

size_t
tpm_identity_public(uint8_t out[PROOF_KEY_MAX], const struct tpm_identity *tpm)
{
	const struct tpm_store *store = tpm->store;
	const struct tpm_site *site = tpm_store_bound(tpm->store);
	uint8_t ek_public[TEMPLATE_PUBLIC_MAX], qualified[32];

	if (site == NULL)
		return 0;
	struct template_key key = {
		.index = site->index,
		.ek_qualified = qualified,
		.x = store->ak,
		.y = store->ak + 32,
	};

	template_ek_qualified(qualified, ek_public,
	    template_ek_public(ek_public, store->ek, store->ek_len));
	template_key_write(out, &key);
	return PROOF_KEY_BYTES_TPM;
}

static int
bound_site(const struct tpm_site **site, struct tpm_identity *tpm)
{
	*site = tpm_store_bound(tpm->store);
	if (*site != NULL)
		return 0;
	log_error("proof", "the identity in %s counts for no site yet",
	    tpm->folder);
	return ERR_MISMATCH;
}

/* --- proofs, counter, clock ----------------------------------------------- */

struct certify_call {
	struct proof *proof;
	const struct tpm_site *site;
	uint8_t qualifying[32];
};

static int
work_certify(struct tpm_identity *tpm, void *call)
{
	struct certify_call *c = call;

	return tpm_certify(c->proof, tpm, c->site, c->qualifying);
}

int
tpm_identity_make(struct proof *proof, struct tpm_identity *tpm,
    const struct proof_subject *subject)
{
	struct certify_call call = { .proof = proof };
	int err = bound_site(&call.site, tpm);

	if (err < 0)
		return err;
	if (strcmp(subject->site, call.site->site) != 0 ||
	    strcmp(subject->tenant, call.site->tenant) != 0) {
		log_error("proof",
		    "a proof for site %s is asked of an identity that is bound "
		    "to %s",
		    subject->site, call.site->site);
		return ERR_MISMATCH;
	}
	proof_qualifying_data(call.qualifying, subject);
	return run(tpm, work_certify, &call);
}

struct counter_call {
	uint64_t *value;
	uint64_t to;
	const struct tpm_site *site;
};

static int
work_read(struct tpm_identity *tpm, void *call)
{
	struct counter_call *c = call;

	return tpm_counter_read(c->value, tpm, c->site);
}

int
tpm_identity_counter_read(uint64_t *value, struct tpm_identity *tpm)
{
	struct counter_call call = { .value = value };
	int err = bound_site(&call.site, tpm);

	return err == 0 ? run(tpm, work_read, &call) : err;
}

static int
work_raise(struct tpm_identity *tpm, void *call)
{
	struct counter_call *c = call;

	return tpm_counter_raise(tpm, c->site, c->to);
}

int
tpm_identity_counter_raise(struct tpm_identity *tpm, uint64_t to)
{
	struct counter_call call = { .to = to };
	int err = bound_site(&call.site, tpm);

	return err == 0 ? run(tpm, work_raise, &call) : err;
}

static int
work_clock(struct tpm_identity *tpm, void *call)
{
	return tpm_clock_read(call, tpm);
}

int
tpm_identity_clock_read(struct identity_clock *clock, struct tpm_identity *tpm)
{
	return run(tpm, work_clock, clock);
}

struct quote_call {
	struct quote *quote;
	const uint8_t *qualifying;
};

static int
work_quote(struct tpm_identity *tpm, void *call)
{
	struct quote_call *c = call;

	return tpm_quote(c->quote, tpm, c->qualifying);
}

int
tpm_identity_quote(struct quote *quote, struct tpm_identity *tpm,
    const uint8_t qualifying[32])
{
	struct quote_call call = { quote, qualifying };
	const struct tpm_site *site;
	int err = bound_site(&site, tpm);

	return err == 0 ? run(tpm, work_quote, &call) : err;
}

/* --- enrolment ------------------------------------------------------------ */

static int
work_certificate(struct tpm_identity *tpm, void *call)
{
	struct buf *certificate = call;

	buf_clear(certificate);
	return tpm_certificate_read(certificate, tpm);
}

int
tpm_identity_material(struct proof_material *out, struct tpm_identity *tpm,
    struct arena *arena)
{
	struct buf certificate = { .max = PROOF_CERTIFICATE_MAX };
	int err = run(tpm, work_certificate, &certificate);

	if (err == 0) {
		out->ek.len = tpm->store->ek_len;
		out->ek.data = arena_copy(arena, tpm->store->ek, out->ek.len);
		out->certificate.len = (uint32_t)certificate.len;
		out->certificate.data =
		    arena_copy(arena, certificate.data, certificate.len);
		if (out->ek.data == NULL || out->certificate.data == NULL) {
			*out = (struct proof_material){ 0 };
			err = ERR_NOMEM;
		}
	}
	buf_release(&certificate);
	return err;
}

struct answer_call {
	uint8_t *secret;
	const struct proof_challenge *challenge;
};

static int
work_answer(struct tpm_identity *tpm, void *call)
{
	struct answer_call *c = call;

	return tpm_activate(c->secret, tpm, c->challenge);
}

int
tpm_identity_answer(uint8_t secret[PROOF_SECRET_BYTES],
    struct tpm_identity *tpm, const struct proof_challenge *challenge)
{
	struct answer_call call = { secret, challenge };

	return run(tpm, work_answer, &call);
}

/* --- sealing -------------------------------------------------------------- */

struct seal_call {
	struct buf *out;
	const void *secret;
	size_t len;
	uint32_t pcrs;
};

static int
work_seal(struct tpm_identity *tpm, void *call)
{
	struct seal_call *c = call;

	return tpm_seal(c->out, tpm, c->secret, c->len, c->pcrs);
}

int
tpm_identity_seal(struct buf *blob, struct tpm_identity *tpm,
    const void *secret, size_t len, uint32_t pcrs)
{
	struct seal_call call = { blob, secret, len, pcrs };

	return run(tpm, work_seal, &call);
}

struct unseal_call {
	uint8_t *secret;
	size_t *len;
	const void *blob;
	size_t blob_len;
};

static int
work_unseal(struct tpm_identity *tpm, void *call)
{
	struct unseal_call *c = call;

	return tpm_unseal(c->secret, c->len, tpm, c->blob, c->blob_len);
}

int
tpm_identity_unseal(uint8_t secret[IDENTITY_SEAL_MAX], size_t *len,
    struct tpm_identity *tpm, const void *blob, size_t blob_len)
{
	struct unseal_call call = { secret, len, blob, blob_len };
	int err;

	*len = 0;
	err = run(tpm, work_unseal, &call);
	if (err < 0)
		sodium_memzero(secret, IDENTITY_SEAL_MAX);
	return err;
}
