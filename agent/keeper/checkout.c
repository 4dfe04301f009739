/*
 * An application's question for a seat: is it a sound one, of which process, and
 * of which executable? Then it is on its way (checkout_ask.c).
 */
#include "agent/keeper/checkout_way.h"

#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/base/text.h"

#include <event2/event.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

void
way_free(struct checkout_way *way)
{
	struct keeper *keeper = way->keeper;

	tickets_leave(way);
	TAILQ_REMOVE(&keeper->checkouts, way, entry);
	digests_forget(keeper->digests, way);
	if (way->timer != NULL)
		event_free(way->timer);
	process_unref(way->process);
	way->user->leases--;
	user_unref(way->user);
	buf_release(&way->grant);
	free(way);
}

void
way_refuse(struct checkout_way *way, int err, const struct problem *problem)
{
	application_refuse(way->keeper, &way->asker, err, problem);
	way_free(way);
}

/* Does anybody still wait? */
bool
way_is_wanted(const struct checkout_way *way)
{
	return application_find(way->keeper, way->asker.application) != NULL;
}

static void
on_hashed(void *ctx, const uint8_t digest[32])
{
	struct checkout_way *way = ctx;

	memcpy(way->ask.application, digest, sizeof(way->ask.application));
	if (!way_is_wanted(way) || !process_lives(way->process))
		way_refuse(way, ERR_CLOSED, NULL);
	else
		way_ask(way);
}

static void
hash_executable(struct checkout_way *way)
{
	int fd = process_open_executable(way->process);
	int err;

	if (fd < 0) {
		/* Not ours to read: the site sees an unknown application. */
		log_debug("keeper", "process %d: executable is not readable",
		    (int)way->process->pid);
		way_ask(way);
		return;
	}
	err = digests_get(way->ask.application, way->keeper->digests, fd,
	    way->user->uid, on_hashed, way);
	if (err == ERR_BUSY)
		way->step = CHECKOUT_HASHING;
	else if (err == ERR_RATE_LIMITED || err == ERR_NOMEM)
		way_refuse(way, err, NULL);
	else
		way_ask(way);
}

/* --- the question --------------------------------------------------------- */

/* What is new each time that the same is asked: nonce, known header, wait. */
static void
take_question(struct checkout_way *way, const struct local_checkout *request)
{
	struct checkout *ask = &way->ask;

	way->own_known = sodium_is_zero((const uint8_t *)&request->known,
	    sizeof(request->known));
	ask->known =
	    way->own_known ? way->keeper->session.seen.known : request->known;
	way->sent_ms = clock_boottime_ms();
	if (way->hold)
		randombytes_buf(ask->nonce, sizeof(ask->nonce));
	else
		memcpy(ask->nonce, request->nonce, sizeof(ask->nonce));
	way->wait_until_ms = request->wait_s == 0
	    ? 0
	    : way->sent_ms + (int64_t)request->wait_s * 1000;
}

static bool
is_same_question(const struct checkout_way *way,
    const struct local_checkout *request)
{
	return strcmp(way->ask.product, request->product) == 0 &&
	    strcmp(way->ask.version, request->version) == 0 &&
	    strcmp(way->ask.feature, request->feature) == 0 &&
	    way->ask.count == (request->count == 0 ? 1 : request->count) &&
	    way->hold == request->hold;
}

/* The same question again: of one that waits in the queue it takes the turn,
 * over the same connection; of one that has no answer yet it waits for the same
 * answer, over another. */
static bool
rejoin(struct application *application, const struct asker *asker,
    const struct local_checkout *request)
{
	struct keeper *keeper = application->keeper;
	struct checkout_way *way;

	TAILQ_FOREACH(way, &keeper->checkouts, entry)
		if (way->user == application->user &&
		    memcmp(way->request, request->request, REQUEST_BYTES) == 0)
			break;
	if (way == NULL)
		return false;
	bool turn = way->step == CHECKOUT_QUEUED;
	bool taken = way_is_wanted(way) &&
	    !(turn && way->asker.application == application->number);
	bool same = is_same_question(way, request) &&
	    sodium_is_zero(request->nonce, NONCE_BYTES) == request->hold;

	if (!turn && !way->hold &&
	    memcmp(way->ask.nonce, request->nonce, NONCE_BYTES) != 0)
		same = false;
	if (taken || !same) {
		application_refuse(keeper, asker, ERR_CONFLICT, NULL);
		return true;
	}
	way->asker = *asker;
	if (turn) {
		take_question(way, request);
		way_ask(way);
	}
	return true;
}

/* Of the asking process, or of another one that is the asker's to speak for. */
static int
find_process(struct process **process, struct application *application,
    const struct local_checkout *request, struct problem *problem)
{
	uid_t uid = application->user->uid;

	if (request->pid == 0) {
		*process = process_ref(application->process);
		return 0;
	}
	int err = process_take(process, &application->keeper->processes,
	    (pid_t)request->pid);

	if (err == 0 && uid != 0 && !process_is_all(*process, uid)) {
		process_unref(*process);
		err = ERR_FORBIDDEN;
	}
	if (err < 0)
		problem_set(problem, err == ERR_FORBIDDEN ? err : ERR_NOT_FOUND,
		    NULL,
		    err == ERR_FORBIDDEN ? "process %llu is another user's"
					 : "there is no process %llu",
		    (unsigned long long)request->pid);
	return err < 0 && err != ERR_FORBIDDEN ? ERR_NOT_FOUND : err;
}

static int
check_question(struct application *application,
    const struct local_checkout *request, struct problem *problem)
{
	bool has_nonce = !sodium_is_zero(request->nonce, NONCE_BYTES);

	if (!application->keeper->enrolled) {
		problem_set(problem, ERR_UNAVAILABLE,
		    "leasehold enroll URL --token TOKEN",
		    "this agent is not enrolled at a site");
		return ERR_UNAVAILABLE;
	}
	if (has_nonce == request->hold) {
		problem_set(problem, ERR_BAD_REQUEST, NULL, "nonce %s",
		    request->hold ? "must be absent with hold" : "is missing");
		text_copy(problem->field, sizeof(problem->field), "nonce");
		return ERR_BAD_REQUEST;
	}
	if (application->user->leases >= USER_LEASES_MAX) {
		problem_set(problem, ERR_QUOTA_EXCEEDED, NULL,
		    "this user holds %d leases on this workstation",
		    USER_LEASES_MAX);
		return ERR_QUOTA_EXCEEDED;
	}
	return 0;
}

static void
fill_ask(struct checkout_way *way, struct application *application,
    const struct local_checkout *request)
{
	struct checkout *ask = &way->ask;
	struct keeper *keeper = way->keeper;

	memcpy(ask->request, request->request, sizeof(ask->request));
	memcpy(ask->product, request->product, sizeof(ask->product));
	memcpy(ask->version, request->version, sizeof(ask->version));
	memcpy(ask->feature, request->feature, sizeof(ask->feature));
	memcpy(ask->host, keeper->host, sizeof(ask->host));
	memcpy(ask->user,
	    request->user[0] != '\0' ? request->user : application->user->name,
	    sizeof(ask->user));
	ask->count = request->count == 0 ? 1 : request->count;
	take_question(way, request);
}

void
checkout_begin(struct application *application, uint64_t id,
    const struct local_checkout *request)
{
	struct keeper *keeper = application->keeper;
	struct asker asker = { application->number, id };
	struct process *process = NULL;
	struct checkout_way *way;
	struct problem problem;

	if (rejoin(application, &asker, request) ||
	    tickets_rejoin(application, &asker, request))
		return;
	int err = check_question(application, request, &problem);

	if (err == 0)
		err = find_process(&process, application, request, &problem);
	if (err < 0) {
		application_refuse(keeper, &asker, err, &problem);
		return;
	}
	way = calloc(1, sizeof(*way));
	if (way != NULL)
		way->timer = event_new(keeper->base, -1, 0, way_on_timer, way);
	if (way == NULL || way->timer == NULL) {
		free(way);
		process_unref(process);
		application_refuse(keeper, &asker, ERR_NOMEM, NULL);
		return;
	}
	way->keeper = keeper;
	way->asker = asker;
	way->process = process;
	way->hold = request->hold;
	way->user = user_ref(keeper, application->user->uid);
	way->user->leases++;
	memcpy(way->request, request->request, sizeof(way->request));
	fill_ask(way, application, request);
	TAILQ_INSERT_TAIL(&keeper->checkouts, way, entry);
	hash_executable(way);
}

void
checkouts_close(struct keeper *keeper)
{
	struct checkout_way *way;

	while ((way = TAILQ_FIRST(&keeper->checkouts)) != NULL)
		way_free(way);
}
