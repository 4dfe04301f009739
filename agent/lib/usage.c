/* What was used beside seats: told to the site through the agent. */
#include "agent/lib/client.h"

#include "shared/base/err.h"
#include "shared/rpc/messages_usage.h"

#include <stddef.h>

#define USAGE_REPLY_BYTES ((size_t)64 << 10)
#define AMOUNT_MAX ((UINT64_C(1) << 53) - 1) /* exact in JSON */
/* Of the first struct that there was. */
#define USAGE_SIZE_FIRST                    \
	(offsetof(struct lh_usage, at_ms) + \
	    sizeof(((struct lh_usage *)0)->at_ms))

static int
read_usage(struct usage_event *event, const struct lh_usage *given)
{
	struct lh_usage usage;
	int error = question_copy(&usage, sizeof(usage), given,
	    given == NULL ? 0 : given->size, USAGE_SIZE_FIRST);

	*event = (struct usage_event){ 0 };
	if (error == LH_OK)
		error = question_text(event->event_id, sizeof(event->event_id),
		    "event_id", usage.event_id, true);
	if (error == LH_OK)
		error = question_text(event->product, sizeof(event->product),
		    "product", usage.product, true);
	if (error == LH_OK)
		error = question_text(event->metric, sizeof(event->metric),
		    "metric", usage.metric, true);
	if (error == LH_OK)
		error = question_text(event->user, sizeof(event->user), "user",
		    usage.user, false);
	if (error != LH_OK)
		return error;
	if (usage.kind != LH_USAGE_COUNTER && usage.kind != LH_USAGE_GAUGE)
		return detail_set(LH_E_ARGUMENT, "kind is counter or gauge");
	if (usage.amount > AMOUNT_MAX)
		return detail_set(LH_E_ARGUMENT,
		    "amount must be below 2 to the power of 53");
	if (usage.at_ms < 0)
		return detail_set(LH_E_ARGUMENT, "at_ms is before 1970");
	event->kind =
	    usage.kind == LH_USAGE_GAUGE ? USAGE_GAUGE : USAGE_COUNTER;
	event->amount = usage.amount;
	event->timestamp = usage.at_ms;
	return LH_OK;
}

int
lh_usage_report(int *repeated, struct lh_client *client,
    const struct lh_usage *usage, int timeout_ms)
{
	struct arena arena = { .max_bytes = USAGE_REPLY_BYTES };
	struct usage_result reply = { 0 };
	struct usage_event event;
	struct problem problem;
	int error = client_begin(client);

	if (error == LH_OK)
		error = read_usage(&event, usage);
	if (error != LH_OK)
		return error;
	int err = client_ask(&reply, client, LOCAL_USAGE, &event, &arena,
	    timeout_ms, &problem);

	if (err == 0 && repeated != NULL)
		*repeated = reply.outcome == USAGE_REPEATED;
	arena_release(&arena);
	return err == 0 ? LH_OK : detail_problem(error_from_err(err), &problem);
}
