#include "agent/keeper/private.h"

#include "shared/base/err.h"
#include "shared/base/text.h"

#include <stdlib.h>
#include <string.h>

/* An event that the site was told of. */
struct usage_telling {
	LIST_ENTRY(usage_telling) entry;
	struct keeper *keeper;
	struct asker asker;
};

static void
refuse_away(struct keeper *keeper, const struct asker *asker, const char *what)
{
	const struct session *session = &keeper->session;
	struct problem problem;

	problem_set(&problem, ERR_UNAVAILABLE, "leasehold status",
	    "%s%s%s; the same event again counts once", what,
	    session->trouble[0] != '\0' ? ": " : "", session->trouble);
	application_refuse(keeper, asker, ERR_UNAVAILABLE, &problem);
}

static void
on_told(void *ctx, int err, const void *reply, const struct problem *problem)
{
	struct usage_telling *telling = ctx;
	struct keeper *keeper = telling->keeper;
	const struct usage_tracked *tracked = reply;

	LIST_REMOVE(telling, entry);
	if (err == ERR_CLOSED)
		refuse_away(keeper, &telling->asker,
		    "the site was lost before it answered");
	else if (err != 0)
		application_refuse(keeper, &telling->asker, err, problem);
	else if (tracked->results.count != 1)
		application_refuse(keeper, &telling->asker, ERR_CORRUPT, NULL);
	else
		application_answer(keeper, &telling->asker,
		    &usage_result_record, tracked->results.items);
	free(telling);
}

void
usage_tell(struct application *application, const struct asker *asker,
    const struct usage_event *event)
{
	struct keeper *keeper = application->keeper;
	struct usage_event told = *event;
	const struct usage_track request = { .events = { &told, 1 } };

	if (!session_is_up(keeper)) {
		session_hurry(keeper);
		refuse_away(keeper, asker, "the site is not reached");
		return;
	}
	if (told.user[0] == '\0')
		text_copy(told.user, sizeof(told.user),
		    application->user->name);
	struct usage_telling *telling = calloc(1, sizeof(*telling));

	if (telling == NULL) {
		application_refuse(keeper, asker, ERR_NOMEM, NULL);
		return;
	}
	telling->keeper = keeper;
	telling->asker = *asker;
	LIST_INSERT_HEAD(&keeper->usage, telling, entry);
	int err =
	    calls_ask(keeper->calls, OP_USAGE_MINE, &request, on_told, telling);

	if (err != 0) {
		LIST_REMOVE(telling, entry);
		free(telling);
		application_refuse(keeper, asker, err, NULL);
	}
}

void
usage_close(struct keeper *keeper)
{
	struct usage_telling *telling;

	while ((telling = LIST_FIRST(&keeper->usage)) != NULL) {
		LIST_REMOVE(telling, entry);
		free(telling);
	}
}
