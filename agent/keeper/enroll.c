/*
 * Becoming a device: a join token names the site and the fingerprint of its
 * CA, so that the first contact is no act of faith. The token itself is checked
 * once the site has named its key: whoever signed the token must be who
 * answers.
 */
#include "agent/keeper/enrolling.h"

#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/base/text.h"

#include <event2/event.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

bool
enrolling_is_another(const struct keeper *keeper)
{
	const struct enrolling *enrolling = keeper->enrolling;

	return enrolling->fresh ||
	    strcmp(keeper->site.site, enrolling->terms.site) != 0 ||
	    strcmp(keeper->site.tenant, enrolling->terms.tenant) != 0;
}

void
enrolling_free(struct keeper *keeper)
{
	struct enrolling *enrolling = keeper->enrolling;

	keeper->enrolling = NULL;
	if (enrolling->timeout != NULL)
		event_free(enrolling->timeout);
	if (enrolling->join != NULL)
		sodium_memzero(enrolling->join, enrolling->join_len);
	free(enrolling->join);
	free(enrolling->ca_pem);
	free(enrolling->header);
	enroll_key_end(enrolling->key, ENROLL_KEY_LEAVE, NULL, NULL);
	free(enrolling);
}

bool
enroll_is_talking(const struct keeper *keeper)
{
	const struct enrolling *enrolling = keeper->enrolling;

	return enrolling != NULL && enrolling->begun && !enrolling->enrolled;
}

void
enroll_close(struct keeper *keeper)
{
	if (keeper->enrolling != NULL)
		enrolling_free(keeper);
}

void
enroll_fail(struct keeper *keeper, int err, const struct problem *problem)
{
	struct asker asker = keeper->enrolling->asker;

	log_warn("keeper", "enrolment failed: %s",
	    problem != NULL ? problem->detail : err_str(err));
	application_refuse(keeper, &asker, err, problem);
	/* First hang up, while what comes of it is still nobody's session. */
	if (keeper->enrolling->begun)
		calls_hang_up(keeper->calls);
	enrolling_free(keeper);
	session_start(keeper);
}

void
enroll_fail_words(struct keeper *keeper, int err, const char *words)
{
	struct problem problem;

	problem_set(&problem, err, NULL, "%s", words);
	enroll_fail(keeper, err, &problem);
}

/* --- the conversation ----------------------------------------------------- */

static void
on_kept(void *ctx, int err)
{
	struct keeper *keeper = ctx;

	if (err == 0 && !key_is_open(keeper))
		key_opened(keeper);
}

/* The enrolment names its key, so both changed in one step; what is left of the
 * old one is of no use to anybody. */
static void
take_key(struct keeper *keeper)
{
	struct enrolling *enrolling = keeper->enrolling;

	keeper->key.class_ = enroll_key_class(enrolling->key);
	enroll_key_end(enrolling->key, ENROLL_KEY_KEEP, on_kept, keeper);
	enrolling->key = NULL;
}

/* Everything holds: it is ours from now on. */
static void
adopt(struct keeper *keeper)
{
	struct enrolling *enrolling = keeper->enrolling;
	int err = files_write_enrolment(&keeper->files, &enrolling->site,
	    enrolling->ca_pem);

	if (err == 0)
		err = files_write_seen(&keeper->files, &enrolling->seen);
	if (err < 0) {
		enroll_fail_words(keeper, err,
		    "the enrolment cannot be written down");
		return;
	}
	if (enrolling_is_another(keeper))
		borrows_forget(keeper);
	take_key(keeper);
	keeper->site = enrolling->site;
	free(keeper->ca_pem);
	keeper->ca_pem = enrolling->ca_pem;
	enrolling->ca_pem = NULL;
	keeper->enrolled = true;
	keeper->session.seen = enrolling->seen;
	keeper->session.seen_dirty = false;
	keeper->session.policy = 0; /* that was another site's, or tenant's */
	keeper->session.policy_at = 0;
	keeper->session.rollback[0] = '\0';
	keeper->session.trouble[0] = '\0';
	keeper->session.failures = 0;
	keeper->session.refused = 0;
	keeper->session.replaced = 0;
	keeper->leases.reconciled = true; /* a new device holds nothing */
	log_info("keeper", "enrolled at site %s as device-%llu",
	    keeper->site.site, (unsigned long long)keeper->site.device);
	enrolling->enrolled = true;
	session_start(keeper);
}

/* The token and the journal are both of the key that the site has named. */
static int
check_site_key(struct enrolling *enrolling)
{
	struct arena arena = { .max_bytes = 1 << 18 };
	struct journal_header header;
	struct license_join join;
	struct record_error error;
	uint8_t head[32];
	int err = license_document_read(&join, &license_join_record, TOKEN_JOIN,
	    enrolling->join, enrolling->join_len, enrolling->site.site_key,
	    &arena, &error);

	arena_release(&arena);
	if (err == 0)
		err = journal_header_verify(&header, head,
		    (const char *)enrolling->header, enrolling->header_len,
		    enrolling->site.site_key);
	if (err == 0 &&
	    (strcmp(header.site, enrolling->site.site) != 0 ||
		strcmp(header.tenant, enrolling->site.tenant) != 0))
		err = ERR_MISMATCH;
	if (err != 0)
		return err;
	journal_seen_begin(&enrolling->seen, &header, head);
	(void)text_copy_n(enrolling->seen.token, sizeof(enrolling->seen.token),
	    (const char *)enrolling->header, enrolling->header_len);
	return 0;
}

/* The site does not want it. A new key whose answer was lost is kept: asked
 * again, the site knows it and counts no second device. */
static void
forget_key(struct keeper *keeper)
{
	struct enrolling *enrolling = keeper->enrolling;

	enroll_key_end(enrolling->key, ENROLL_KEY_FORGET, NULL, NULL);
	enrolling->key = NULL;
}

void
enroll_fail_key(struct keeper *keeper, int err, const char *what)
{
	struct problem problem;

	problem_set(&problem, err, NULL, "%s: %s; the agent's log says why",
	    what, err_str(err));
	enroll_fail(keeper, err, &problem);
}

static void on_enrolled(void *ctx, int err, const void *reply,
    const struct problem *problem);

static void
on_challenge_answered(void *ctx, int err)
{
	struct keeper *keeper = ctx;
	struct enroll_activate request;

	if (err == ERR_CLOSED)
		return;
	if (err < 0) {
		enroll_fail_key(keeper, err,
		    "the site's challenge is not answered");
		return;
	}
	memcpy(request.secret, enroll_key_secret(keeper->enrolling->key),
	    sizeof(request.secret));
	err = calls_ask(keeper->calls, OP_DEVICE_ACTIVATE, &request,
	    on_enrolled, keeper);
	sodium_memzero(&request, sizeof(request));
	if (err < 0)
		enroll_fail_words(keeper, err, err_str(err));
}

/* The site wants to see that the key is in the TPM that was shown. */
static void
answer_challenge(struct keeper *keeper, const struct enroll_reply *said)
{
	int err = enroll_key_answer(keeper->enrolling->key, &said->challenge,
	    on_challenge_answered);

	if (err < 0)
		enroll_fail_words(keeper, err, err_str(err));
}

static void
on_enrolled(void *ctx, int err, const void *reply,
    const struct problem *problem)
{
	struct keeper *keeper = ctx;
	struct enrolling *enrolling = keeper->enrolling;
	const struct enroll_reply *said = reply;

	if (err == ERR_CLOSED || !enroll_is_talking(keeper))
		return; /* enroll_closed follows, or it timed out */
	if (err != 0) {
		forget_key(keeper);
		enroll_fail(keeper, err, problem);
		return;
	}
	if (said->device == 0) {
		answer_challenge(keeper, said);
		return;
	}
	if (strcmp(said->site, enrolling->terms.site) != 0 ||
	    strcmp(said->tenant, enrolling->terms.tenant) != 0) {
		enroll_fail_words(keeper, ERR_MISMATCH,
		    "another site than the token's answers");
		return;
	}
	enrolling->site.device = said->device;
	enrolling->site.class_ = said->class_;
	memcpy(enrolling->site.site, said->site, sizeof(said->site));
	memcpy(enrolling->site.tenant, said->tenant, sizeof(said->tenant));
	memcpy(enrolling->site.site_key, said->site_key,
	    sizeof(said->site_key));
	if (check_site_key(enrolling) < 0) {
		enroll_fail_words(keeper, ERR_UNTRUSTED,
		    "the token was not signed by the site that answers");
		return;
	}
	adopt(keeper);
}

static void
on_proof(void *ctx, int err)
{
	struct keeper *keeper = ctx;
	struct enrolling *enrolling = keeper->enrolling;
	uint8_t public_key[PROOF_KEY_MAX];

	if (err == ERR_CLOSED)
		return;
	if (err < 0) {
		enroll_fail_key(keeper, err, "no proof can be made");
		return;
	}
	struct enroll request = {
		.join = { enrolling->join, (uint32_t)enrolling->join_len },
		.class_ = enroll_key_class(enrolling->key),
		.public_key = { public_key,
		    (uint32_t)enroll_key_public(public_key, enrolling->key) },
		.proof = *enroll_key_proof(enrolling->key),
		.material = *enroll_key_material(enrolling->key),
	};

	memcpy(request.name, enrolling->site.name, sizeof(request.name));
	memcpy(request.host, keeper->host, sizeof(request.host));
	err = calls_ask(keeper->calls, OP_DEVICE_ENROLL, &request, on_enrolled,
	    keeper);
	if (err < 0)
		enroll_fail_words(keeper, err, err_str(err));
}

static int
ask_to_enroll(struct keeper *keeper, const struct hello_reply *said)
{
	const struct enrolling *enrolling = keeper->enrolling;
	struct proof_subject subject = { .purpose = PROOF_ENROLL };

	memcpy(subject.nonce, said->nonce, sizeof(subject.nonce));
	memcpy(subject.exporter, enrolling->exporter, sizeof(subject.exporter));
	crypto_hash_sha256(subject.request_digest,
	    (const uint8_t *)enrolling->join, enrolling->join_len);
	return enroll_key_prove(enrolling->key, &subject, on_proof);
}

static void
on_hello(void *ctx, int err, const void *reply, const struct problem *problem)
{
	struct keeper *keeper = ctx;
	struct enrolling *enrolling = keeper->enrolling;
	const struct hello_reply *said = reply;

	if (err == ERR_CLOSED || !enroll_is_talking(keeper))
		return;
	if (err != 0) {
		enroll_fail(keeper, err, problem);
		return;
	}
	if (strcmp(said->site, enrolling->terms.site) != 0 ||
	    strcmp(said->tenant, enrolling->terms.tenant) != 0) {
		enroll_fail_words(keeper, ERR_MISMATCH,
		    "another site than the token's answers");
		return;
	}
	free(enrolling->header);
	enrolling->header = malloc(said->header.len);
	if (enrolling->header == NULL) {
		enroll_fail_words(keeper, ERR_NOMEM, "out of memory");
		return;
	}
	memcpy(enrolling->header, said->header.data, said->header.len);
	enrolling->header_len = said->header.len;
	err = ask_to_enroll(keeper, said);
	if (err < 0)
		enroll_fail_words(keeper, err, err_str(err));
}

void
enroll_opened(struct keeper *keeper, const struct uplink_peer *peer)
{
	struct enrolling *enrolling = keeper->enrolling;
	struct hello request = {
		.protocol = PROTOCOL_VERSION,
		.software = SOFTWARE,
	};

	memcpy(enrolling->exporter, peer->exporter,
	    sizeof(enrolling->exporter));
	free(enrolling->ca_pem);
	enrolling->ca_pem = peer->ca_pem.len == 0
	    ? NULL
	    : strndup(peer->ca_pem.data, peer->ca_pem.len);
	if (enrolling->ca_pem == NULL) {
		enroll_fail_words(keeper, ERR_UNTRUSTED,
		    "the site does not show the CA of the token");
		return;
	}
	int err = calls_ask(keeper->calls, OP_SESSION_HELLO, &request, on_hello,
	    keeper);

	if (err < 0)
		enroll_fail_words(keeper, err, err_str(err));
}

void
enroll_closed(struct keeper *keeper, const char *reason)
{
	struct problem problem;

	problem_set(&problem, ERR_UNAVAILABLE,
	    "check the URL, and that the token is of this site",
	    "the site cannot be reached: %s", reason);
	enroll_fail(keeper, ERR_UNAVAILABLE, &problem);
}

void
enroll_session_result(struct keeper *keeper)
{
	struct enrolling *enrolling = keeper->enrolling;
	struct local_status reply;

	if (enrolling == NULL || !enrolling->enrolled)
		return;
	session_status(&reply, keeper);
	application_answer(keeper, &enrolling->asker, &local_status_record,
	    &reply);
	enrolling_free(keeper);
}
