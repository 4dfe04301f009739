/*
 * The session with the site: connect, hello with the last header seen, check
 * that the journal continues it, prove who we are, take up the leases. A
 * journal that was rolled back or forked is reported as loudly as possible, and
 * the session goes on: whether a lease is good is the library's to decide.
 */
#include "agent/keeper/backoff.h"
#include "agent/keeper/private.h"

#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/base/text.h"

#include <event2/event.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

/* A session that stood for so long was nobody else's to take. */
#define UNDISPUTED_MS 1800000
#define WATCH_S 10
#define ANSWER_MAX_MS 30000
#define PROOF_MAX_MS 60000

static void say_hello(struct keeper *keeper);

bool
session_is_up(const struct keeper *keeper)
{
	return keeper->session.state == SESSION_UP;
}

bool
session_waits_for_admin(const struct keeper *keeper)
{
	return keeper->session.state == SESSION_PENDING;
}

void
session_hang_up(struct keeper *keeper, const char *format, ...)
{
	char words[256];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(words, sizeof(words), format, arguments);
	va_end(arguments);
	session_trouble(keeper, CAUSE_OTHER, words);
	keeper->session.told = true;
	if (keeper->session.state > SESSION_CONNECTING)
		keeper->session.state = SESSION_CONNECTING;
	calls_hang_up(keeper->calls);
}

/* --- hello and proof ------------------------------------------------------ */

/* These do not get better by asking often, nor by waiting. */
static void
refused(struct keeper *keeper, int err)
{
	if (err != ERR_DEVICE_REVOKED && err != ERR_UNKNOWN_DEVICE &&
	    err != ERR_BAD_PROOF && err != ERR_CLASS_NOT_ALLOWED)
		return;
	keeper->session.failures = BACKOFF_DOUBLINGS;
	keeper->session.refused = err;
	checkouts_refuse(keeper);
}

/* Connected and known, and nothing more: no lease is there to be taken up, and
 * the site says when an admin has let it in. */
static void
wait_for_approval(struct keeper *keeper)
{
	struct session *session = &keeper->session;
	struct problem problem;

	session->state = SESSION_PENDING;
	session->failures = 0;
	session->refused = 0;
	session->since = clock_wall_ms();
	session->cause = CAUSE_NONE;
	problem_set_pending(&problem, keeper->site.device);
	memcpy(session->trouble, problem.detail, sizeof(session->trouble));
	memcpy(session->hint, problem.hint, sizeof(session->hint));
	log_warn("keeper", "connected to site %s: %s; %s", keeper->site.site,
	    problem.detail, problem.hint);
	enroll_session_result(keeper);
	checkouts_pending(keeper);
}

static void
begin_resuming(struct keeper *keeper)
{
	keeper->session.state = SESSION_RESUMING;
	keeper->session.resumed = true;
	leases_resume(keeper);
}

static void
on_proved(void *ctx, int err, const void *reply, const struct problem *problem)
{
	struct keeper *keeper = ctx;
	const struct prove_reply *said = reply;

	if (err == ERR_CLOSED)
		return;
	if (err != 0) {
		session_hang_up(keeper, "the site refuses this device: %s",
		    problem->detail);
		session_blame(keeper, err, problem);
		refused(keeper, err);
		return;
	}
	keeper->site.class_ = said->class_;
	keeper->renewal.renew_s = said->renew_s;
	keeper->session.spread_ms = said->spread_ms;
	keeper->session.borrows = said->borrows;
	if (said->pending)
		wait_for_approval(keeper);
	else
		begin_resuming(keeper);
}

/* A proof that is being made, for one connection. */
struct login {
	struct keeper *keeper;
	uint64_t attempt;
};

static void
on_proof(void *ctx, int err, const struct proof *proof)
{
	struct login *login = ctx;
	struct keeper *keeper = login->keeper;
	bool ours = login->attempt == keeper->session.attempt &&
	    keeper->session.proving_ms != 0;
	struct prove request;

	free(login);
	if (err == ERR_CLOSED || !ours)
		return; /* its connection is over */
	keeper->session.proving_ms = 0;
	if (err == 0) {
		request.proof = *proof;
		err = calls_ask(keeper->calls, OP_SESSION_PROVE, &request,
		    on_proved, keeper);
	}
	if (err == 0)
		return;
	session_hang_up(keeper, "no proof can be made: %s", err_str(err));
	if (key_class(keeper) == PROOF_TPM)
		keeper->session.cause =
		    err == ERR_MISMATCH ? CAUSE_OTHER_TPM : CAUSE_TPM;
}

static void
prove(struct keeper *keeper, const struct hello_reply *said)
{
	struct login *login = malloc(sizeof(*login));
	struct proof_subject subject = {
		.purpose = PROOF_LOGIN,
		.site = keeper->site.site,
		.tenant = keeper->site.tenant,
		.device = keeper->site.device,
	};

	memcpy(subject.nonce, said->nonce, sizeof(subject.nonce));
	memcpy(subject.exporter, keeper->session.exporter,
	    sizeof(subject.exporter));
	int err = ERR_NOMEM;

	if (login != NULL) {
		*login = (struct login){ keeper, keeper->session.attempt };
		err = proofs_make(keeper->proofs, &subject, on_proof, login);
	}
	if (err < 0) {
		free(login);
		session_hang_up(keeper, "no proof can be made: %s",
		    err_str(err));
		return;
	}
	keeper->session.state = SESSION_PROVING;
	keeper->session.proving_ms = clock_boottime_ms();
}

struct site_keys
session_site_keys(const struct keeper *keeper)
{
	struct site_keys keys = site_keys_one(keeper->site.site_key);

	if (!sodium_is_zero(keeper->site.former_key,
		sizeof(keeper->site.former_key))) {
		memcpy(keys.key[1], keys.key[0], sizeof(keys.key[0]));
		memcpy(keys.key[0], keeper->site.former_key,
		    sizeof(keys.key[0]));
		keys.n = 2;
	}
	return keys;
}

static void
keep_succession(struct keeper *keeper, const struct record_list *steps)
{
	struct arena *arena = &keeper->succession_arena;
	const struct succession_step *said = steps->items;

	keeper->succession = (struct record_list){ NULL, 0 };
	arena_clear(arena);
	struct succession_step *kept =
	    arena_alloc(arena, steps->count * sizeof(*kept));

	for (uint32_t i = 0; kept != NULL && i < steps->count; i++) {
		kept[i] = said[i];
		kept[i].heir.data =
		    arena_copy(arena, said[i].heir.data, said[i].heir.len);
		kept[i].word.data =
		    arena_copy(arena, said[i].word.data, said[i].word.len);
		if (kept[i].heir.data == NULL || kept[i].word.data == NULL)
			return; /* applications ask for a new seat */
	}
	if (kept != NULL)
		keeper->succession = (struct record_list){ kept, steps->count };
}

/* The site's box was lost, and it goes on in another one with another key: the
 * one that is pinned here says whom it left that to. */
static void
follow_site(struct keeper *keeper, const struct record_list *steps)
{
	struct enrolment *site = &keeper->site;
	struct site_keys keys;
	char kid[TOKEN_KID_TEXT];

	if (steps->count == 0)
		return;
	int err = succession_keys(&keys, site->site, site->site_key, steps);

	if (err < 0) {
		log_error("keeper",
		    "what site %s says of its key does not lead from the one "
		    "that is known here: %s",
		    site->site, err_str(err));
		return;
	}
	keep_succession(keeper, steps);
	if (keys.n == 1)
		return;
	struct enrolment next = *site;

	memcpy(next.former_key, keys.key[keys.n - 2], sizeof(next.former_key));
	memcpy(next.site_key, site_keys_last(&keys), sizeof(next.site_key));
	if (files_keep_enrolment(&keeper->files, &next) < 0)
		return; /* it is said again */
	*site = next;
	token_key_id(kid, site->site_key);
	log_warn("keeper",
	    "site %s goes on in another box with the key %s, as the key that "
	    "is known here provided for",
	    site->site, kid);
}

static void
take_hello(struct keeper *keeper, const struct hello_reply *said)
{
	struct journal_header header;
	uint8_t head[32];

	if (strcmp(said->site, keeper->site.site) != 0 ||
	    strcmp(said->tenant, keeper->site.tenant) != 0) {
		session_hang_up(keeper, "another site answers: %s, tenant %s",
		    said->site, said->tenant);
		keeper->session.cause = CAUSE_OTHER_SITE;
		return;
	}
	follow_site(keeper, &said->succession);
	const struct site_keys keys = session_site_keys(keeper);
	int err = journal_header_verify(&header, head, said->header.data,
	    said->header.len,
	    site_keys_of(&keys, (const char *)said->header.data,
		said->header.len));

	if (err == 0 &&
	    (strcmp(header.site, keeper->site.site) != 0 ||
		strcmp(header.tenant, keeper->site.tenant) != 0))
		err = ERR_MISMATCH;
	if (err < 0) {
		session_hang_up(keeper,
		    "the site's journal is not signed by the key this device "
		    "was enrolled with: %s",
		    err_str(err));
		keeper->session.cause = CAUSE_OTHER_KEY;
		return;
	}
	session_met(keeper, said);
	if (session_judge_journal(keeper, said, &header, head)) {
		prove(keeper, said);
		return;
	}
	keeper->session.asked_plain = true;
	say_hello(keeper);
}

static void
on_hello(void *ctx, int err, const void *reply, const struct problem *problem)
{
	struct keeper *keeper = ctx;

	if (err == ERR_CLOSED)
		return;
	if (err == 0) {
		take_hello(keeper, reply);
	} else if (err == ERR_ROLLED_BACK && !keeper->session.asked_plain) {
		log_error("keeper", "the site says: %s", problem->detail);
		session_report_rollback(keeper, keeper->session.seen.seen_batch,
		    "and does not stand in its journal now");
		keeper->session.asked_plain = true;
		say_hello(keeper);
	} else {
		session_hang_up(keeper, "the site refuses a session: %s",
		    problem->detail);
		session_blame(keeper, err, problem);
		refused(keeper, err);
	}
}

static void
say_hello(struct keeper *keeper)
{
	struct hello request = {
		.protocol = PROTOCOL_VERSION,
		.software = SOFTWARE,
		.device = keeper->site.device,
	};

	const struct journal_seen *seen = &keeper->session.seen;

	if (!keeper->session.asked_plain)
		request.known = seen->known;
	else
		request.evidence = (struct record_span){ seen->token,
			(uint32_t)strlen(seen->token) };
	keeper->session.state = SESSION_HELLO;
	keeper->session.hello_at = clock_wall_ms();
	int err = calls_ask(keeper->calls, OP_SESSION_HELLO, &request, on_hello,
	    keeper);

	if (err < 0)
		session_hang_up(keeper, "the uplink takes no calls: %s",
		    err_str(err));
}

void
session_resumed(struct keeper *keeper)
{
	if (keeper->session.state != SESSION_RESUMING ||
	    keeper->borrows.holds_session)
		return;
	if (keeper->session.borrows || borrows_are_held(keeper))
		borrows_resume(keeper);
	else
		session_ready(keeper);
}

void
session_ready(struct keeper *keeper)
{
	struct session *session = &keeper->session;

	if (session->state != SESSION_RESUMING)
		return;
	session->state = SESSION_UP;
	session->up_ms = clock_boottime_ms();
	session->failures = 0;
	session->refused = 0;
	session->since = clock_wall_ms();
	session->trouble[0] = session->hint[0] = session->fault[0] = '\0';
	session->fault_at = 0;
	session->cause = CAUSE_NONE;
	log_info("keeper", "connected to site %s as device-%llu",
	    keeper->site.site, (unsigned long long)keeper->site.device);
	enroll_session_result(keeper);
	checkouts_resume(keeper);
	renewal_resume(keeper, keeper->renewal.renew_s);
	borrows_go_on(keeper);
}

/* --- what the channel tells ----------------------------------------------- */

static void
on_opened(void *ctx, const struct uplink_peer *peer)
{
	struct keeper *keeper = ctx;

	if (enroll_is_talking(keeper)) {
		enroll_opened(keeper, peer);
		return;
	}
	if (keeper->session.state != SESSION_CONNECTING)
		return;
	memcpy(keeper->session.exporter, peer->exporter,
	    sizeof(keeper->session.exporter));
	keeper->session.proving_ms = 0;
	keeper->session.certificate_end = peer->certificate_end;
	keeper->session.asked_plain = false;
	say_hello(keeper);
}

/* The site ended the session for what will not be otherwise soon. */
static void
turned_away(struct keeper *keeper, enum local_cause cause)
{
	struct session *session = &keeper->session;

	if (cause == CAUSE_REPLACED) {
		if (clock_boottime_ms() - session->up_ms > UNDISPUTED_MS)
			session->replaced = 0;
		session->replaced++;
		session->refused = ERR_FORBIDDEN;
	} else if (cause == CAUSE_REVOKED) {
		session->refused = ERR_DEVICE_REVOKED;
	}
}

static void
on_closed(void *ctx, enum local_cause cause, const char *reason)
{
	struct keeper *keeper = ctx;
	struct session *session = &keeper->session;

	if (enroll_is_talking(keeper)) {
		enroll_closed(keeper, reason);
		return;
	}
	session->proving_ms = 0;
	if (session->state == SESSION_IDLE)
		return;
	if (session->state == SESSION_PENDING)
		session->since = clock_wall_ms();
	/* What an admin said stays the reason, whatever else fails then. */
	if (!session->told && session->refused != ERR_DEVICE_REVOKED)
		session_trouble(keeper,
		    session->stopping ? CAUSE_STOPPING : cause, reason);
	session->stopping = false;
	turned_away(keeper, cause);
	if (session->resumed) {
		session->resumed = false;
		session->since = clock_wall_ms();
		leases_disconnected(keeper);
		checkouts_disconnected(keeper);
	}
	if (session->refused != 0)
		checkouts_refuse(keeper);
	/* They ended when it was revoked. */
	if (session->refused == ERR_DEVICE_REVOKED) {
		leases_lost(keeper, err_code(ERR_DEVICE_REVOKED));
		tickets_watch(keeper);
	}
	if (calls_have_uplink(keeper->calls))
		session_wait(keeper);
	else
		session->state = SESSION_IDLE;
	enroll_session_result(keeper);
}

/* Nothing that a site refused is kept here, so nothing is to be forgotten: who
 * asks again asks the site. */
static void
on_policy(struct session *session, const struct policy_changed *changed)
{
	log_info("keeper", "version %llu of the site's policy is in force",
	    (unsigned long long)changed->version);
	session->policy = changed->version;
	session->policy_at = clock_wall_ms();
}

static void
on_notice(void *ctx, enum operation_id op, const void *record)
{
	struct keeper *keeper = ctx;
	const struct lease_refused *ended = record;
	const struct draining *draining = record;

	if (op == OP_SERVER_DRAINING) {
		log_info("keeper", "the site is about to stop");
		keeper->session.stopping = true;
		keeper->session.spread_ms = draining->spread_ms;
	} else if (op == OP_LEASE_REVOKED) {
		struct lease *lease = lease_find(keeper, ended->lease);

		if (lease != NULL)
			lease_lost(lease, ended->code);
		else if (book_find_any(&keeper->borrows.book, ended->lease) !=
		    NULL)
			borrows_settle(keeper);
	} else if (op == OP_DEVICE_APPROVED) {
		log_info("keeper", "an admin approved of this device");
		if (session_waits_for_admin(keeper))
			begin_resuming(keeper);
	} else if (op == OP_POLICY_CHANGED) {
		on_policy(&keeper->session, record);
	} else if (op == OP_LEASE_WAITING) {
		checkouts_waiting(keeper, record);
	} else if (op == OP_LEASE_OFFERED) {
		checkouts_offered(keeper, record);
	}
}

static void
on_answered(void *ctx, enum operation_id op, int err,
    const struct problem *problem)
{
	session_note_answer(ctx, op, err, problem);
}

static void
on_ready(void *ctx)
{
	session_start(ctx);
}

/* --- keeping watch -------------------------------------------------------- */

static void
on_watch(evutil_socket_t fd, short what, void *ctx)
{
	struct keeper *keeper = ctx;

	(void)fd;
	(void)what;
	session_write_seen(keeper);
	if (keeper->session.state == SESSION_CONNECTING &&
	    clock_boottime_ms() - keeper->session.tried_ms > ANSWER_MAX_MS)
		session_connect(keeper); /* the uplink never said how it went */
	else if (keeper->session.state > SESSION_CONNECTING &&
	    calls_oldest_ms(keeper->calls) > ANSWER_MAX_MS)
		session_hang_up(keeper, "the site does not answer");
	else if (keeper->session.proving_ms != 0 &&
	    clock_boottime_ms() - keeper->session.proving_ms > PROOF_MAX_MS)
		session_hang_up(keeper, "the TPM does not answer");
}

int
session_open(struct keeper *keeper)
{
	static const struct calls_callbacks callbacks = {
		.opened = on_opened,
		.closed = on_closed,
		.notice = on_notice,
		.answered = on_answered,
		.ready = on_ready,
	};
	struct session *session = &keeper->session;
	struct timeval every = { .tv_sec = WATCH_S };

	session->since = clock_wall_ms();
	session->watch =
	    event_new(keeper->base, -1, EV_PERSIST, on_watch, keeper);
	if (session->watch == NULL || event_add(session->watch, &every) < 0)
		return ERR_NOMEM;
	int err = session_attempts_open(keeper);

	if (err == 0)
		err = files_read_seen(&session->seen, &keeper->files);
	if (err < 0)
		return err;
	return calls_new(&keeper->calls, keeper->base, &callbacks, keeper);
}

void
session_close(struct keeper *keeper)
{
	struct session *session = &keeper->session;

	session_write_seen(keeper);
	calls_free(keeper->calls);
	keeper->calls = NULL;
	if (session->timer != NULL)
		event_free(session->timer);
	if (session->watch != NULL)
		event_free(session->watch);
	session->timer = session->watch = NULL;
}
