/* Logins that a directory judges: a job for the courier, and what comes back. */
#include "appliance/ledger/people.h"

#include "appliance/ledger/deliver.h"
#include "shared/base/clock.h"

#include "shared/base/err.h"
#include "shared/base/log.h"

#include <event2/event.h>
#include <sodium.h>
#include <string.h>
#include <unistd.h>

bool
people_edge(struct process *process, int fd, int index)
{
	struct people *people = process->people;

	/* The first edge is a front. */
	if (index == 0 || index != process->options->courier_edge)
		return false;
	if (outward_attach(people->outward, process->base, fd) != 0)
		log_error("ledger", "no memory for the courier");
	for (size_t i = 0; i < process->n_tenants; i++)
		deliver_wake(process->tenants[i]);
	return true;
}

bool
people_has_directory(const struct process *process, const char *tenant)
{
	const struct directory_options *directory = process->options->directory;

	return directory != NULL && strcmp(directory->tenant, tenant) == 0;
}

/* As enum courier_outcome has it. The courier is believed about people of the
 * directory only, and never that one is an owner: the core sees to that. */
static int
read_bound(struct courier_bound *bound, const uint8_t *payload, size_t len)
{
	struct arena arena = { 0 };
	int rc = record_read_msgpack(bound, &courier_bound_record, payload, len,
	    NULL, &arena, NULL);

	arena_release(&arena);
	if (rc != 0)
		return ERR_UNAVAILABLE;
	switch ((enum courier_outcome)bound->outcome) {
	case COURIER_DONE:
		return 0;
	case COURIER_WRONG:
		return ERR_UNAUTHENTICATED;
	case COURIER_NO_ROLE:
		return ERR_FORBIDDEN;
	case COURIER_UNAVAILABLE:
		break;
	}
	return ERR_UNAVAILABLE;
}

static void
got_answer(void *ctx, int err, const uint8_t *payload, size_t len)
{
	struct call *call = ctx;
	struct person_call *person = call->own;

	person->rc = err != 0 ? err : read_bound(&person->bound, payload, len);
	person->hashed(call);
}

void
person_ask_directory(struct call *call)
{
	struct people *people = call->process->people;
	struct person_call *person = call->own;
	struct courier_bind job = { .password = person->password };
	struct buf payload = { 0 };

	memcpy(job.login, person->login_text, sizeof(job.login));
	record_write_msgpack(&payload, &courier_bind_record, &job);
	int rc = payload.failed ||
		!people_has_directory(call->process, call->tenant->name)
	    ? ERR_UNAVAILABLE
	    : outward_send(people->outward, COURIER_BIND, payload.data,
		  payload.len, got_answer, call);

	if (payload.data != NULL)
		sodium_memzero(payload.data, payload.len);
	buf_release(&payload);
	if (rc == 0)
		return;
	person->rc = rc;
	person->hashed(call);
}

/* --- how long it takes ------------------------------------------------------ */

/* What it took, and a quarter more; what was slow is forgotten slowly, so that
 * one answer tells little about those after it. */
void
person_directory_answered(struct call *call)
{
	struct people *people = call->process->people;
	const struct person_call *person = call->own;

	if (person->rc != 0 && person->rc != ERR_UNAUTHENTICATED &&
	    person->rc != ERR_FORBIDDEN)
		return;
	int64_t took = clock_boottime_ms() - person->hashed_at;
	int64_t enough = took + took / 4;

	if (enough < PEOPLE_DIRECTORY_MS)
		enough = PEOPLE_DIRECTORY_MS;
	if (enough > people->directory_ms)
		people->directory_ms = enough;
	else
		people->directory_ms -= (people->directory_ms - enough) / 64;
}

static void
waited(evutil_socket_t fd, short what, void *ctx)
{
	struct call *call = ctx;
	struct person_call *person = call->own;

	(void)fd;
	(void)what;
	person->hashed(call);
}

void
person_directory_wait(struct call *call, void (*then)(struct call *call))
{
	struct people *people = call->process->people;
	struct person_call *person = call->own;
	int64_t left =
	    person->hashed_at + people->directory_ms - clock_boottime_ms();

	person->hashed = then;
	if (left > 0 &&
	    people_has_directory(call->process, call->tenant->name)) {
		const struct timeval wait = { .tv_sec = (time_t)(left / 1000),
			.tv_usec = (suseconds_t)(left % 1000 * 1000) };

		if (event_base_once(call->process->base, -1, EV_TIMEOUT, waited,
			call, &wait) == 0)
			return;
	}
	then(call);
}
