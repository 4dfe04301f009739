#include "appliance/ledger/outward.h"

#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/ipc/ipc.h"

#include <stdlib.h>
#include <string.h>

struct outward_job {
	uint64_t id; /* 0: free */
	int64_t deadline;
	outward_done *done;
	void *ctx;
};

struct outward {
	struct ipc *ipc; /* NULL: there is no courier now */
	int64_t patience_ms;
	int64_t slow_ms; /* of jobs of that kind */
	enum courier_job slow;
	bool certified;
	uint8_t certificate[32]; /* that it shows to hubs */
	uint64_t next;
	struct outward_job jobs[COURIER_JOBS_MAX];
};

struct outward *
outward_new(int64_t patience_ms)
{
	struct outward *outward = calloc(1, sizeof(*outward));

	if (outward != NULL)
		outward->patience_ms = patience_ms;
	return outward;
}

static void
finish(struct outward_job *job, int err, const uint8_t *payload, size_t len)
{
	struct outward_job was = *job;

	job->id = 0;
	was.done(was.ctx, err, payload, len);
}

static void
fail_all(struct outward *outward)
{
	for (size_t i = 0; i < COURIER_JOBS_MAX; i++)
		if (outward->jobs[i].id != 0)
			finish(&outward->jobs[i], ERR_UNAVAILABLE, NULL, 0);
}

void
outward_free(struct outward *outward)
{
	if (outward == NULL)
		return;
	ipc_free(outward->ipc);
	free(outward);
}

static void
got_message(void *ctx, const struct ipc_message *message)
{
	struct outward *outward = ctx;

	if (message->kind == COURIER_CERTIFICATE &&
	    message->len == sizeof(outward->certificate)) {
		memcpy(outward->certificate, message->payload, message->len);
		outward->certified = true;
		return;
	}
	for (size_t i = 0; i < COURIER_JOBS_MAX; i++) {
		struct outward_job *job = &outward->jobs[i];

		if (message->kind != COURIER_RESULT || message->tag == 0 ||
		    job->id != message->tag)
			continue;
		finish(job, message->len > 0 ? 0 : ERR_UNAVAILABLE,
		    message->payload, message->len);
		return;
	}
	/* It was too late. */
}

static void
got_closed(void *ctx)
{
	struct outward *outward = ctx;

	log_info("ledger", "the courier is gone");
	ipc_free(outward->ipc);
	outward->ipc = NULL;
	outward->certified = false;
	fail_all(outward);
}

int
outward_attach(struct outward *outward, struct event_base *base, int fd)
{
	static const struct ipc_callbacks callbacks = {
		.message = got_message,
		.closed = got_closed,
	};

	if (outward->ipc != NULL)
		got_closed(outward);
	outward->ipc = ipc_new(base, fd, &callbacks, outward);
	return outward->ipc != NULL ? 0 : ERR_NOMEM;
}

int
outward_send(struct outward *outward, enum courier_job kind,
    const void *payload, size_t len, outward_done *done, void *ctx)
{
	struct outward_job *job = NULL;

	for (size_t i = 0; i < COURIER_JOBS_MAX && job == NULL; i++)
		if (outward->jobs[i].id == 0)
			job = &outward->jobs[i];
	if (job == NULL || outward->ipc == NULL)
		return ERR_UNAVAILABLE;
	const struct ipc_message message = {
		.kind = COURIER_JOB,
		.op = (uint16_t)kind,
		.tag = ++outward->next,
		.payload = payload,
		.len = (uint32_t)len,
	};

	if (ipc_send(outward->ipc, &message) != 0)
		return ERR_UNAVAILABLE;
	const int64_t patience =
	    kind == outward->slow && outward->slow_ms > outward->patience_ms
	    ? outward->slow_ms
	    : outward->patience_ms;

	*job = (struct outward_job){
		.id = message.tag,
		.deadline = clock_boottime_ms() + patience,
		.done = done,
		.ctx = ctx,
	};
	return 0;
}

void
outward_tick(struct outward *outward)
{
	int64_t now = clock_boottime_ms();

	for (size_t i = 0; i < COURIER_JOBS_MAX; i++)
		if (outward->jobs[i].id != 0 &&
		    outward->jobs[i].deadline <= now)
			finish(&outward->jobs[i], ERR_UNAVAILABLE, NULL, 0);
}

bool
outward_certificate(const struct outward *outward, uint8_t sha256[32])
{
	memcpy(sha256, outward->certificate, sizeof(outward->certificate));
	return outward->certified;
}

void
outward_be_patient(struct outward *outward, enum courier_job kind,
    int64_t patience_ms)
{
	outward->slow = kind;
	outward->slow_ms = patience_ms;
}
