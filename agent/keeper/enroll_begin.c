/* An enrolment's question: the token, and the key to enroll with; then the site
 * is called, and enroll.c goes on. */
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

/* A TPM makes a new key in seconds, an old one in half a minute. */
#define KEY_S 90
#define ENROLL_S 20

static void
fail_other_tpm(struct keeper *keeper)
{
	struct problem problem;

	problem_set(&problem, ERR_CONFLICT,
	    "leasehold enroll URL --token TOKEN --new-key",
	    "this device's key is in another TPM, or the TPM was cleared: it "
	    "needs a new one");
	enroll_fail(keeper, ERR_CONFLICT, &problem);
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
		enroll_fail_words(keeper, ERR_TIMEOUT,
		    "the site does not answer");
}

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

/* A new key's folder is beside that of the one in use, until the site has taken
 * it. */
static void
name_folder(struct keeper *keeper)
{
	static const char prefix[] = "identity-";
	struct enrolling *enrolling = keeper->enrolling;
	const char *now = keeper->site.identity;
	uint64_t number = 1;

	memcpy(enrolling->site.identity, now, sizeof(enrolling->site.identity));
	if (!enrolling->fresh)
		return;
	if (strncmp(now, prefix, sizeof(prefix) - 1) == 0)
		(void)text_to_u64(&number, now + sizeof(prefix) - 1,
		    strlen(now) - (sizeof(prefix) - 1));
	snprintf(enrolling->site.identity, sizeof(enrolling->site.identity),
	    "%s%llu", prefix, (unsigned long long)number + 1);
}

static int
begin_key(struct keeper *keeper, enroll_key_done *done)
{
	struct enrolling *enrolling = keeper->enrolling;
	struct enroll_key_plan plan = {
		.proofs = keeper->proofs,
		.fresh = enrolling->fresh,
	};

	name_folder(keeper);
	files_identity_path(plan.folder, &keeper->files,
	    enrolling->site.identity);
	files_identity_path(plan.old_folder, &keeper->files,
	    keeper->site.identity);
	key_options(&plan.options, keeper, plan.folder);
	if (!enrolling->fresh && keeper->key.class_ == PROOF_SOFTWARE) {
		plan.options.tcti = NULL;
		plan.options.class_ = PROOF_SOFTWARE;
	}
	memcpy(plan.site, enrolling->terms.site, sizeof(plan.site));
	memcpy(plan.tenant, enrolling->terms.tenant, sizeof(plan.tenant));
	memcpy(plan.old_site, keeper->site.site, sizeof(plan.old_site));
	memcpy(plan.old_tenant, keeper->site.tenant, sizeof(plan.old_tenant));
	return enroll_key_begin(&enrolling->key, &plan, done, keeper);
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
	/* The end of the connection before is told in here. */
	int err = calls_connect(keeper->calls, &target);

	enrolling->begun = true;
	if (err < 0)
		enroll_fail_words(keeper, err, err_str(err));
}

/* The session of before ends here. Only now the clock of the site's answer
 * runs. */
static void
on_key(void *ctx, int err)
{
	struct keeper *keeper = ctx;
	struct timeval most = { .tv_sec = ENROLL_S };
	struct problem problem;

	if (err == ERR_CLOSED)
		return;
	if (err == ERR_MISMATCH ||
	    (err < 0 && !keeper->enrolling->fresh &&
		keeper->key.err == ERR_MISMATCH)) {
		fail_other_tpm(keeper);
		return;
	}
	if (err < 0) {
		enroll_fail_key(keeper, err, "the device's key cannot be used");
		return;
	}
	/* Applications were served meanwhile. */
	err = enroll_check_idle(keeper, &problem);
	if (err == 0 && enrolling_is_another(keeper))
		err = enroll_check_borrows(keeper, &problem);
	if (err < 0) {
		enroll_fail(keeper, err, &problem);
		return;
	}
	if (keeper->key.class_ != PROOF_SOFTWARE)
		most.tv_sec = KEY_S;
	if (event_add(keeper->enrolling->timeout, &most) < 0) {
		enroll_fail(keeper, ERR_NOMEM, NULL);
		return;
	}
	begin_connecting(keeper);
}

void
enroll_begin(struct application *application, uint64_t id,
    const struct local_enroll *request)
{
	struct keeper *keeper = application->keeper;
	struct asker asker = { application->number, id };
	struct timeval most = { .tv_sec = KEY_S };
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
	enrolling->fresh = request->new_key;
	enrolling->timeout = event_new(keeper->base, -1, 0, on_timeout, keeper);
	problem_set(&problem, ERR_NOMEM, NULL, NULL);
	err = read_token(enrolling, request, &problem);
	if (err == 0 &&
	    (enrolling->timeout == NULL ||
		event_add(enrolling->timeout, &most) < 0))
		err = ERR_NOMEM;
	memcpy(enrolling->site.url, request->url, sizeof(request->url));
	(void)enroll_parse_url(enrolling->site.host, &enrolling->site.port,
	    request->url);
	text_copy_n(enrolling->site.name, sizeof(enrolling->site.name),
	    request->name[0] != '\0' ? request->name : keeper->host,
	    strnlen(request->name[0] != '\0' ? request->name : keeper->host,
		sizeof(enrolling->site.name) - 1));
	if (err == 0)
		err = begin_key(keeper, on_key);
	if (err < 0) {
		application_refuse(keeper, &asker, err, &problem);
		enrolling_free(keeper);
	}
}
