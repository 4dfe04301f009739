/*
 * Requests for a tenant that is not open yet: they are parked, so many and so
 * long, and are dispatched anew when it is. In the loop.
 */
#include "appliance/ledger/tenant_use.h"

#include "shared/base/clock.h"
#include "shared/base/err.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

/* Requests that wait for a tenant: so many of one, so many bytes in all, and so
 * long. Opening takes milliseconds. */
#define PARKED_TENANT_MAX 256
#define PARKED_BYTES_MAX ((size_t)16 << 20)
#define PARKED_MS ((int64_t)5000)

struct parked {
	struct parked *next;
	uint64_t front; /* serial */
	bool is_call;
	int64_t until; /* boottime */
	struct ipc_message message; /* its payload stands behind */
	uint8_t payload[];
};

static void
refuse_message(struct front *front, const struct ipc_message *message, int err,
    const char *words)
{
	const struct operation *op = operation_get(message->op);
	struct request request = {
		.process = front->process,
		.front = front,
		.op = op,
		.conn = message->conn,
		.tag = message->tag,
	};
	struct problem problem;

	if (op == NULL)
		return;
	problem_set(&problem, err, NULL, "%s", words);
	request_refuse(&request, err, &problem);
}

static const char *
why_not(const struct process *process, const struct tenant_entry *entry,
    const struct ipc_message *message)
{
	if (process->phase == PHASE_DRAINING)
		return "the site is stopping; leases stay, try again soon";
	if (process->phase == PHASE_STARTING)
		return "the site is starting; try again soon";
	if (entry->refused_until > clock_boottime_ms())
		return "the tenant's store cannot be opened right now; the "
		       "site's log says why";
	if (entry->n_parked >= PARKED_TENANT_MAX ||
	    process->parked_bytes + message->len > PARKED_BYTES_MAX)
		return "the tenant is being opened, and too many wait for it; "
		       "try again soon";
	return NULL;
}

void
tenant_park(struct front *front, const struct ipc_message *message,
    bool is_call)
{
	struct process *process = front->process;
	struct tenant_entry *entry = process->wanted;
	const char *words = why_not(process, entry, message);
	struct parked *parked =
	    words == NULL ? malloc(sizeof(*parked) + message->len) : NULL;

	if (parked == NULL) {
		refuse_message(front, message, ERR_UNAVAILABLE,
		    words != NULL ? words : err_str(ERR_NOMEM));
		return;
	}
	*parked = (struct parked){
		.front = front->serial,
		.is_call = is_call,
		.until = clock_boottime_ms() + PARKED_MS,
		.message = *message,
	};
	memcpy(parked->payload, message->payload, message->len);
	parked->message.payload = parked->payload;
	if (entry->last != NULL)
		entry->last->next = parked;
	else
		entry->first = parked;
	entry->last = parked;
	entry->n_parked++;
	process->parked_bytes += message->len;
}

static struct parked *
take_parked(struct process *process, struct tenant_entry *entry)
{
	struct parked *parked = entry->first;

	if (parked == NULL)
		return NULL;
	entry->first = parked->next;
	if (entry->first == NULL)
		entry->last = NULL;
	entry->n_parked--;
	process->parked_bytes -= parked->message.len;
	return parked;
}

/* Credentials stand in it. */
static void
free_parked(struct parked *parked)
{
	sodium_memzero(parked->payload, parked->message.len);
	free(parked);
}

void
tenant_parked_refuse(struct process *process, struct tenant_entry *entry,
    int err, const char *words)
{
	struct parked *parked;

	while ((parked = take_parked(process, entry)) != NULL) {
		struct front *front = front_by_serial(process, parked->front);

		if (front != NULL)
			refuse_message(front, &parked->message, err, words);
		free_parked(parked);
	}
}

/* Those that came meanwhile stand behind. */
void
tenant_parked_dispatch(struct process *process, struct tenant_entry *entry)
{
	uint32_t n = entry->n_parked;

	while (n-- > 0) {
		struct parked *parked = take_parked(process, entry);
		struct front *front = front_by_serial(process, parked->front);

		if (front != NULL && parked->is_call)
			dispatch_call(front, &parked->message);
		else if (front != NULL)
			dispatch_request(front, &parked->message);
		free_parked(parked);
	}
}

bool
tenant_parked_too_long(const struct tenant_entry *entry)
{
	return entry->first != NULL &&
	    entry->first->until <= clock_boottime_ms();
}

void
tenant_parked_release(struct process *process)
{
	struct parked *parked;

	for (struct tenant_entry *entry = process->known.first; entry != NULL;
	     entry = entry->following)
		while ((parked = take_parked(process, entry)) != NULL)
			free_parked(parked);
}
