/*
 * What people are shown: why the site is not reached, what is held, who waits.
 * It changes nothing that anything else hangs on.
 */
#include "agent/keeper/checkout_way.h"
#include "agent/keeper/private.h"

#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/base/text.h"

#include <stdlib.h>
#include <string.h>

/* Items that surely fit a line of the local socket. */
#define LEASES_PAGE 60
#define USES_CURSOR (UINT64_C(1) << 52)
#define QUESTIONS_PAGE 50

/* --- why ------------------------------------------------------------------ */

void
session_trouble(struct keeper *keeper, enum local_cause cause,
    const char *words)
{
	struct session *session = &keeper->session;
	struct problem problem;

	/* Makes the words fit for a record, whoever they came from. */
	problem_set(&problem, ERR_UNAVAILABLE, NULL, "%s", words);
	if (strcmp(problem.detail, session->trouble) != 0)
		log_warn("keeper", "no session with the site: %s",
		    problem.detail);
	text_copy(session->trouble, sizeof(session->trouble), problem.detail);
	session->cause = cause;
	session->hint[0] = '\0';
}

void
session_blame(struct keeper *keeper, int err, const struct problem *problem)
{
	static const struct {
		int err;
		enum local_cause cause;
	} causes[] = {
		{ ERR_UNKNOWN_DEVICE, CAUSE_UNKNOWN_DEVICE },
		{ ERR_DEVICE_REVOKED, CAUSE_REVOKED },
		{ ERR_BAD_PROOF, CAUSE_BAD_PROOF },
		{ ERR_CLASS_NOT_ALLOWED, CAUSE_CLASS },
		{ ERR_ROLLED_BACK, CAUSE_ROLLED_BACK },
		{ ERR_UNAVAILABLE, CAUSE_UNAVAILABLE },
	};
	struct session *session = &keeper->session;

	for (size_t i = 0; i < sizeof(causes) / sizeof(causes[0]); i++)
		if (causes[i].err == err)
			session->cause = causes[i].cause;
	if (err == ERR_BAD_REQUEST && strcmp(problem->field, "protocol") == 0)
		session->cause = CAUSE_PROTOCOL;
	memcpy(session->hint, problem->hint, sizeof(session->hint));
}

/* A site whose disk is full answers and reads, but takes and gives nothing. */
void
session_note_answer(struct keeper *keeper, enum operation_id op, int err,
    const struct problem *problem)
{
	struct session *session = &keeper->session;

	if (op != OP_LEASE_CHECKOUT && op != OP_LEASE_RETURN)
		return;
	if (err == ERR_UNAVAILABLE) {
		memcpy(session->fault, problem->detail, sizeof(session->fault));
		session->fault_at = clock_wall_ms();
	} else if (err != ERR_CLOSED) {
		session->fault[0] = '\0';
		session->fault_at = 0;
	}
}

void
session_met(struct keeper *keeper, const struct hello_reply *said)
{
	struct session *session = &keeper->session;
	int64_t now = clock_wall_ms();

	memcpy(session->site_name, said->name, sizeof(session->site_name));
	/* The answer was on its way for half of the time, about. */
	session->clock_ahead_ms =
	    session->hello_at + (now - session->hello_at) / 2 - said->time;
}

/* --- status --------------------------------------------------------------- */

void
session_status(struct local_status *status, const struct keeper *keeper)
{
	const struct session *session = &keeper->session;
	int64_t left_ms = session->retry_at_ms - clock_boottime_ms();
	struct problem words; /* cut at whole characters */

	memset(status, 0, sizeof(*status));
	text_copy(status->software, sizeof(status->software), SOFTWARE);
	status->class_ = keeper->enrolled ? keeper->site.class_
					  : (uint32_t)key_class(keeper);
	if (key_class(keeper) == PROOF_TPM)
		text_copy(status->tpm, sizeof(status->tpm),
		    keeper->options.tcti);
	key_trouble(status->key_trouble, keeper);
	status->leases = keeper->leases.held;
	status->since = session->since;
	if (!keeper->enrolled)
		return;
	memcpy(status->url, keeper->site.url, sizeof(status->url));
	memcpy(status->site, keeper->site.site, sizeof(status->site));
	memcpy(status->tenant, keeper->site.tenant, sizeof(status->tenant));
	memcpy(status->name, keeper->site.name, sizeof(status->name));
	status->device = keeper->site.device;
	status->pending = session_waits_for_admin(keeper);
	status->connected = session_is_up(keeper) || status->pending;
	problem_set(&words, ERR_UNAVAILABLE, NULL, "%s%s%s", session->rollback,
	    session->rollback[0] != '\0' && session->trouble[0] != '\0' ? "; "
									: "",
	    session->trouble);
	memcpy(status->trouble, words.detail, sizeof(status->trouble));
	if (session->state == SESSION_WAITING && left_ms > 0)
		status->retry_s = (uint32_t)((left_ms + 999) / 1000);
	status->cause = session->cause;
	if (!calls_have_uplink(keeper->calls))
		status->cause = CAUSE_UPLINK;
	memcpy(status->hint, session->hint, sizeof(status->hint));
	memcpy(status->site_name, session->site_name,
	    sizeof(status->site_name));
	memcpy(status->rollback, session->rollback, sizeof(status->rollback));
	memcpy(status->fault, session->fault, sizeof(status->fault));
	status->fault_at = session->fault_at;
	status->clock_ahead_ms = session->clock_ahead_ms;
	status->certificate_end = session->certificate_end;
	status->last_beat = session->last_beat;
	status->policy = session->policy;
	status->policy_at = session->policy_at;
}

void
show_status(struct application *application, const struct asker *asker)
{
	struct keeper *keeper = application->keeper;
	struct checkout_way *way;
	struct local_status reply;
	struct lease *lease;

	session_status(&reply, keeper);
	reply.leases = 0;
	TAILQ_FOREACH(lease, &keeper->leases.all, order)
		reply.leases += !lease->ending &&
		    local_may_see(application, lease->user->uid);
	const struct seat_use *use = NULL;

	while ((use = tickets_next(keeper, use)) != NULL)
		reply.leases += use->way == NULL &&
		    local_may_see(application, use->user->uid);
	TAILQ_FOREACH(way, &keeper->checkouts, entry)
		reply.questions += way_is_wanted(way) &&
		    local_may_see(application, way->user->uid);
	application_answer(keeper, asker, &local_status_record, &reply);
}

/* --- leases --------------------------------------------------------------- */

static uint32_t
seconds(int64_t ms)
{
	return ms > 0 ? (uint32_t)(ms / 1000) : 0;
}

static void
describe_lease(struct local_lease *out, const struct lease *lease)
{
	int64_t left_ms = lease->valid_until_ms - clock_boottime_ms();

	memset(out, 0, sizeof(*out));
	out->lease = lease->lease;
	memcpy(out->product, lease->product, sizeof(out->product));
	memcpy(out->version, lease->version, sizeof(out->version));
	memcpy(out->feature, lease->feature, sizeof(out->feature));
	out->count = lease->count;
	out->type = lease->type;
	out->uid = lease->user->uid;
	memcpy(out->user, lease->user->name, sizeof(out->user));
	out->granted_at = lease->granted_at;
	out->left_s = seconds(left_ms);
	out->grace_s = lease->grace_s;
	/* One that was taken up from its file had no beat yet. */
	if (lease->valid_until_ms != 0)
		out->beat_age_s =
		    seconds((int64_t)lease->ttl_s * 1000 - left_ms);
	if (lease->process == NULL)
		return;
	out->pid = (uint64_t)lease->process->pid;
	memcpy(out->command, lease->process->command, sizeof(out->command));
}

/* A borrowed seat in use, by the borrow's number. */
static void
describe_use(struct local_lease *out, const struct seat_use *use)
{
	const struct ticket *ticket = borrows_find(use->keeper, use->lease);
	int64_t age_ms = clock_boottime_ms() - use->proved_ms;

	*out = (struct local_lease){ .lease = use->lease,
		.borrowed = true,
		.count = use->count,
		.uid = use->user->uid,
		.pid = (uint64_t)use->process->pid,
		.granted_at = use->taken_at,
		.left_s = seconds((int64_t)use->prove_s * 1000 - age_ms),
		.beat_age_s = seconds(age_ms) };
	memcpy(out->user, use->user->name, sizeof(out->user));
	memcpy(out->command, use->process->command, sizeof(out->command));
	if (ticket == NULL)
		ticket = book_find_any(&use->keeper->borrows.book, use->lease);
	if (ticket == NULL)
		return;
	memcpy(out->product, ticket->product, sizeof(out->product));
	memcpy(out->version, ticket->version, sizeof(out->version));
	memcpy(out->feature, ticket->feature, sizeof(out->feature));
	out->type = ticket->type;
}

/* After all leases; their cursors are numbers that no lease has. */
static void
add_uses(struct local_leases *page, struct local_lease *items,
    const struct application *application, uint64_t after)
{
	const struct seat_use *use = NULL;
	uint64_t cursor = 0;

	if (page->next != 0)
		return;
	while ((use = tickets_next(application->keeper, use)) != NULL) {
		if (use->way != NULL || USES_CURSOR + use->number <= after ||
		    !local_may_see(application, use->user->uid))
			continue;
		if (page->items.count == LEASES_PAGE) {
			/* 0 uses fit: all are behind this one's */
			page->next = cursor != 0 ? cursor : USES_CURSOR;
			return;
		}
		describe_use(&items[page->items.count++], use);
		cursor = USES_CURSOR + use->number;
	}
}

void
show_leases(struct application *application, const struct asker *asker,
    const struct local_list *request)
{
	struct keeper *keeper = application->keeper;
	struct local_leases reply = { 0 };
	struct local_lease *items = calloc(LEASES_PAGE, sizeof(*items));
	struct lease *lease;

	if (items == NULL) {
		application_refuse(keeper, asker, ERR_NOMEM, NULL);
		return;
	}
	reply.items.items = items;
	TAILQ_FOREACH(lease, &keeper->leases.all, order) {
		if (lease->ending || lease->lease <= request->after ||
		    !local_may_see(application, lease->user->uid))
			continue;
		if (reply.items.count == LEASES_PAGE) {
			reply.next = items[LEASES_PAGE - 1].lease;
			break;
		}
		describe_lease(&items[reply.items.count++], lease);
	}
	add_uses(&reply, items, application, request->after);
	application_answer(keeper, asker, &local_leases_record, &reply);
	free(items);
}

/* --- questions without an answer ------------------------------------------ */

static enum local_waits
waits_for(const struct checkout_way *way)
{
	switch (way->step) {
	case CHECKOUT_HASHING:
	case CHECKOUT_PROVING:
		return LOCAL_WAITS_HERE;
	case CHECKOUT_OFFLINE:
		return session_waits_for_admin(way->keeper) ? LOCAL_WAITS_ADMIN
							    : LOCAL_WAITS_SITE;
	case CHECKOUT_ASKED:
	case CHECKOUT_LICENSE:
		return LOCAL_WAITS_ANSWER;
	case CHECKOUT_QUEUED:
		return LOCAL_WAITS_SEAT;
	}
	return LOCAL_WAITS_ANSWER;
}

static void
describe_question(struct local_question *out, const struct checkout_way *way)
{
	int64_t until_ms = way->step == CHECKOUT_OFFLINE ? way->patience_ms
							 : way->wait_until_ms;

	memset(out, 0, sizeof(*out));
	memcpy(out->product, way->ask.product, sizeof(out->product));
	memcpy(out->feature, way->ask.feature, sizeof(out->feature));
	out->count = way->ask.count;
	memcpy(out->user, way->ask.user, sizeof(out->user));
	out->pid = (uint64_t)way->process->pid;
	out->uid = way->user->uid;
	memcpy(out->command, way->process->command, sizeof(out->command));
	out->waits = waits_for(way);
	out->queue = way->place;
	out->left_s = seconds(until_ms - clock_boottime_ms());
}

void
show_questions(struct application *application, const struct asker *asker)
{
	struct keeper *keeper = application->keeper;
	struct local_questions reply = { 0 };
	struct local_question *items = calloc(QUESTIONS_PAGE, sizeof(*items));
	struct checkout_way *way;

	if (items == NULL) {
		application_refuse(keeper, asker, ERR_NOMEM, NULL);
		return;
	}
	reply.items.items = items;
	TAILQ_FOREACH(way, &keeper->checkouts, entry) {
		if (!way_is_wanted(way) ||
		    !local_may_see(application, way->user->uid))
			continue;
		if (reply.items.count == QUESTIONS_PAGE)
			reply.more++;
		else
			describe_question(&items[reply.items.count++], way);
	}
	application_answer(keeper, asker, &local_questions_record, &reply);
	free(items);
}
