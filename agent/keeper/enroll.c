/*
 * Becoming a device: a join token names the site and the fingerprint of its
 * CA, so that the first contact is no act of faith. The token itself is checked
 * once the site has named its key: whoever signed the token must be who
 * answers.
 */
#include "agent/keeper/private.h"

#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/base/text.h"

#include <event2/event.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#define ENROLL_S 20

struct enrolling {
	struct asker asker;
	struct event *timeout;
	bool begun; /* the connection is ours */
	bool enrolled; /* waits for its first session only */
	char *join;
	size_t join_len;
	struct license_join terms; /* of the token; `hosts` is not kept */
	struct enrolment site;
	char *ca_pem;
	uint8_t exporter[32];
	struct identity *identity; /* a new one; NULL: the keeper's */
	struct journal_seen seen;
	uint8_t *header; /* token of the hello, until its key is known */
	size_t header_len;
};

static void
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
	identity_close(enrolling->identity);
	free(enrolling);
}

static struct identity *
identity_of(const struct keeper *keeper)
{
	struct identity *own = keeper->enrolling->identity;

	return own != NULL ? own : keeper->identity;
}

bool
enroll_is_talking(const struct keeper *keeper)
{
	return keeper->enrolling != NULL && !keeper->enrolling->enrolled;
}

void
enroll_close(struct keeper *keeper)
{
	if (keeper->enrolling != NULL)
		enrolling_free(keeper);
}

static void
fail(struct keeper *keeper, int err, const struct problem *problem)
{
	struct asker asker = keeper->enrolling->asker;

	log_warn("keeper", "enrolment failed: %s",
	    problem != NULL ? problem->detail : err_str(err));
	application_refuse(keeper, &asker, err, problem);
	/* First hang up, while what comes of it is still nobody's session. */
	calls_hang_up(keeper->calls);
	enrolling_free(keeper);
	session_start(keeper);
}

static void
fail_words(struct keeper *keeper, int err, const char *words)
{
	struct problem problem;

	problem_set(&problem, err, NULL, "%s", words);
	fail(keeper, err, &problem);
}

/* --- the conversation ----------------------------------------------------- */

/* The enrolment names its key, so both changed in one step; what is left of the
 * old one is of no use to anybody. */
static void
take_identity(struct keeper *keeper)
{
	char old[PATH_MAX];

	files_identity_path(old, &keeper->files, keeper->site.identity);
	identity_close(keeper->identity);
	identity_remove(old);
	keeper->identity = keeper->enrolling->identity;
	keeper->enrolling->identity = NULL;
	log_info("keeper", "the device has a new key");
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
		fail_words(keeper, err, "the enrolment cannot be written down");
		return;
	}
	if (enrolling->identity != NULL)
		take_identity(keeper);
	keeper->site = enrolling->site;
	free(keeper->ca_pem);
	keeper->ca_pem = enrolling->ca_pem;
	enrolling->ca_pem = NULL;
	keeper->enrolled = true;
	keeper->session.seen = enrolling->seen;
	keeper->session.seen_dirty = false;
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
forget_identity(struct keeper *keeper)
{
	struct enrolling *enrolling = keeper->enrolling;
	char folder[PATH_MAX];

	if (enrolling->identity == NULL)
		return;
	files_identity_path(folder, &keeper->files, enrolling->site.identity);
	identity_close(enrolling->identity);
	enrolling->identity = NULL;
	identity_remove(folder);
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
		forget_identity(keeper);
		fail(keeper, err, problem);
		return;
	}
	if (strcmp(said->site, enrolling->terms.site) != 0 ||
	    strcmp(said->tenant, enrolling->terms.tenant) != 0) {
		fail_words(keeper, ERR_MISMATCH,
		    "another site than the token's answers");
		return;
	}
	enrolling->site.device = said->device;
	memcpy(enrolling->site.site, said->site, sizeof(said->site));
	memcpy(enrolling->site.tenant, said->tenant, sizeof(said->tenant));
	memcpy(enrolling->site.site_key, said->site_key,
	    sizeof(said->site_key));
	if (check_site_key(enrolling) < 0) {
		fail_words(keeper, ERR_UNTRUSTED,
		    "the token was not signed by the site that answers");
		return;
	}
	adopt(keeper);
}

static int
ask_to_enroll(struct keeper *keeper, const struct hello_reply *said)
{
	struct enrolling *enrolling = keeper->enrolling;
	uint8_t public_key[PROOF_KEY_MAX];
	struct proof_subject subject = {
		.purpose = PROOF_ENROLL,
		.site = said->site,
		.tenant = said->tenant,
	};
	struct enroll request = {
		.join = { enrolling->join, (uint32_t)enrolling->join_len },
		.class_ = identity_class(identity_of(keeper)),
		.public_key = { public_key, 0 },
	};

	request.public_key.len =
	    (uint32_t)identity_public(public_key, identity_of(keeper));
	memcpy(request.name, enrolling->site.name, sizeof(request.name));
	memcpy(request.host, keeper->host, sizeof(request.host));
	memcpy(subject.nonce, said->nonce, sizeof(subject.nonce));
	memcpy(subject.exporter, enrolling->exporter, sizeof(subject.exporter));
	crypto_hash_sha256(subject.request_digest,
	    (const uint8_t *)enrolling->join, enrolling->join_len);
	int err = proof_make(&request.proof, identity_of(keeper), &subject);

	if (err < 0)
		return err;
	return calls_ask(keeper->calls, OP_DEVICE_ENROLL, &request, on_enrolled,
	    keeper);
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
		fail(keeper, err, problem);
		return;
	}
	if (strcmp(said->site, enrolling->terms.site) != 0 ||
	    strcmp(said->tenant, enrolling->terms.tenant) != 0) {
		fail_words(keeper, ERR_MISMATCH,
		    "another site than the token's answers");
		return;
	}
	free(enrolling->header);
	enrolling->header = malloc(said->header.len);
	if (enrolling->header == NULL) {
		fail_words(keeper, ERR_NOMEM, "out of memory");
		return;
	}
	memcpy(enrolling->header, said->header.data, said->header.len);
	enrolling->header_len = said->header.len;
	err = ask_to_enroll(keeper, said);
	if (err < 0)
		fail_words(keeper, err, err_str(err));
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
		fail_words(keeper, ERR_UNTRUSTED,
		    "the site does not show the CA of the token");
		return;
	}
	int err = calls_ask(keeper->calls, OP_SESSION_HELLO, &request, on_hello,
	    keeper);

	if (err < 0)
		fail_words(keeper, err, err_str(err));
}

void
enroll_closed(struct keeper *keeper, const char *reason)
{
	struct problem problem;

	if (!keeper->enrolling->begun)
		return; /* the session from before, which made room */
	problem_set(&problem, ERR_UNAVAILABLE,
	    "check the URL, and that the token is of this site",
	    "the site cannot be reached: %s", reason);
	fail(keeper, ERR_UNAVAILABLE, &problem);
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

static void
on_timeout(evutil_socket_t fd, short what, void *ctx)
{
	struct keeper *keeper = ctx;

	(void)fd;
	(void)what;
	if (keeper->enrolling->enrolled)
		enroll_session_result(keeper);
	else
		fail_words(keeper, ERR_TIMEOUT, "the site does not answer");
}

/* --- the question --------------------------------------------------------- */

/* What the token says, not yet verified: nobody's key is known before the
 * site was reached by the fingerprint in it. */
static int
read_token(struct enrolling *enrolling, const struct local_enroll *request,
    struct problem *problem)
{
	struct arena arena = { .max_bytes = 1 << 18 };
	struct record_error error = { 0 };
	struct buf payload = { 0 };
	int err = token_peek(&payload, request->join.data, request->join.len);

	if (err == 0)
		err = record_read_json(&enrolling->terms, &license_join_record,
		    (const char *)payload.data, payload.len, &arena, &error);
	enrolling->terms.hosts = (struct record_list){ 0 };
	if (err == 0 && enrolling->terms.expires_at < clock_wall_ms())
		log_warn("keeper",
		    "by this machine's clock the token has "
		    "expired; the site decides");
	if (err < 0) {
		problem_set(problem, ERR_BAD_REQUEST,
		    "leasehold join create, at the site",
		    "this is no enrolment token%s%s",
		    error.reason[0] != '\0' ? ": " : "", error.reason);
		text_copy(problem->field, sizeof(problem->field), "join");
		err = ERR_BAD_REQUEST;
	}
	sodium_memzero(payload.data, payload.len);
	buf_release(&payload);
	arena_release(&arena);
	if (err < 0)
		return err;
	enrolling->join_len = request->join.len;
	enrolling->join = malloc(request->join.len);
	if (enrolling->join == NULL)
		return ERR_NOMEM;
	memcpy(enrolling->join, request->join.data, request->join.len);
	return 0;
}

/* Beside the one in use, until the site has taken it. */
static int
make_identity(struct keeper *keeper)
{
	static const char prefix[] = "identity-";
	struct enrolling *enrolling = keeper->enrolling;
	const char *now = keeper->site.identity;
	uint64_t number = 1;
	char folder[PATH_MAX];

	if (strncmp(now, prefix, sizeof(prefix) - 1) == 0)
		(void)text_to_u64(&number, now + sizeof(prefix) - 1,
		    strlen(now) - (sizeof(prefix) - 1));
	snprintf(enrolling->site.identity, sizeof(enrolling->site.identity),
	    "%s%llu", prefix, (unsigned long long)number + 1);
	files_identity_path(folder, &keeper->files, enrolling->site.identity);
	return identity_open(&enrolling->identity, folder,
	    keeper->options.tcti);
}

static void
begin_connecting(struct keeper *keeper)
{
	struct enrolling *enrolling = keeper->enrolling;
	struct uplink_target target = { .port = enrolling->site.port };

	memcpy(target.host, enrolling->site.host, sizeof(target.host));
	memcpy(target.ca_sha256, enrolling->terms.ca_sha256,
	    sizeof(target.ca_sha256));
	session_stop(keeper);
	int err = calls_connect(keeper->calls, &target);

	enrolling->begun = true;
	if (err < 0)
		fail_words(keeper, err, err_str(err));
}

void
enroll_begin(struct application *application, uint64_t id,
    const struct local_enroll *request)
{
	struct keeper *keeper = application->keeper;
	struct asker asker = { application->number, id };
	struct timeval most = { .tv_sec = ENROLL_S };
	struct enrolling *enrolling;
	struct problem problem;
	int err = enroll_check(keeper, request, &problem);

	if (err < 0) {
		application_refuse(keeper, &asker, err, &problem);
		return;
	}
	enrolling = calloc(1, sizeof(*enrolling));
	if (enrolling == NULL) {
		application_refuse(keeper, &asker, ERR_NOMEM, NULL);
		return;
	}
	keeper->enrolling = enrolling;
	enrolling->asker = asker;
	enrolling->timeout = event_new(keeper->base, -1, 0, on_timeout, keeper);
	problem_set(&problem, ERR_NOMEM, NULL, NULL);
	err = read_token(enrolling, request, &problem);
	if (err == 0 &&
	    (enrolling->timeout == NULL ||
		event_add(enrolling->timeout, &most) < 0))
		err = ERR_NOMEM;
	memcpy(enrolling->site.identity, keeper->site.identity,
	    sizeof(enrolling->site.identity));
	if (err == 0 && request->new_key) {
		err = make_identity(keeper);
		problem_set(&problem, err, NULL,
		    "a new key cannot be made; the agent's log says why");
	}
	if (err < 0) {
		application_refuse(keeper, &asker, err, &problem);
		enrolling_free(keeper);
		return;
	}
	memcpy(enrolling->site.url, request->url, sizeof(request->url));
	(void)enroll_parse_url(enrolling->site.host, &enrolling->site.port,
	    request->url);
	text_copy_n(enrolling->site.name, sizeof(enrolling->site.name),
	    request->name[0] != '\0' ? request->name : keeper->host,
	    strnlen(request->name[0] != '\0' ? request->name : keeper->host,
		sizeof(enrolling->site.name) - 1));
	begin_connecting(keeper);
}
