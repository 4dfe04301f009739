/* The local socket's operations but checkout. */
#include "agent/keeper/private.h"

#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/text.h"

#include <stdlib.h>
#include <string.h>

bool
local_may_see(const struct application *application, uid_t uid)
{
	return application->user->uid == 0 || application->user->uid == uid;
}

/* A uid sees and returns its own leases only; root everybody's. */
static bool
may_touch(const struct application *application, const struct lease *lease)
{
	return local_may_see(application, lease->user->uid);
}

static struct lease *
find_own(struct application *application, uint64_t number)
{
	struct lease *lease = lease_find(application->keeper, number);

	/* Somebody else's lease is no different from none. */
	if (lease == NULL || lease->ending || !may_touch(application, lease))
		return NULL;
	return lease;
}

static void
refuse_gone(struct application *application, const struct asker *asker,
    uint64_t lease)
{
	struct problem problem;

	problem_set(&problem, ERR_GONE, NULL,
	    "lease-%llu is not held by this agent for this user",
	    (unsigned long long)lease);
	application_refuse(application->keeper, asker, ERR_GONE, &problem);
}

static void
do_renew(struct application *application, const struct asker *asker,
    const struct local_renew *request)
{
	struct lease *lease = find_own(application, request->lease);

	if (lease == NULL) {
		if (!tickets_renew(application, asker, request))
			refuse_gone(application, asker, request->lease);
		return;
	}
	lease->application = application->number;
	renewal_want(lease, request, asker);
}

/* --- return --------------------------------------------------------------- */

void
giving_back_done(struct keeper *keeper, struct giving_back *giving_back)
{
	if (--giving_back->left > 0)
		return;
	application_answer(keeper, &giving_back->asker, &local_returned_record,
	    &giving_back->reply);
	free(giving_back);
}

/* Somebody else of the same user gives it back: who holds it must not go on. */
static void
tell_holder(const struct application *giver, const struct lease *lease)
{
	struct local_revoked notice = { .lease = lease->lease };

	if (lease->application == giver->number)
		return;
	text_copy(notice.code, sizeof(notice.code), err_code(ERR_GONE));
	application_notify(giver->keeper, lease->application, LOCAL_REVOKED,
	    &local_revoked_record, &notice);
}

static void
do_return(struct application *application, const struct asker *asker,
    const struct local_return *request)
{
	struct keeper *keeper = application->keeper;
	struct lease *lease, *next;
	struct giving_back *giving_back;
	uint32_t borrowed = tickets_return(application,
	    request->all ? 0 : request->lease, request->count);

	if (!request->all && borrowed == 0 &&
	    find_own(application, request->lease) == NULL) {
		refuse_gone(application, asker, request->lease);
		return;
	}
	giving_back = calloc(1, sizeof(*giving_back));
	if (giving_back == NULL) {
		application_refuse(keeper, asker, ERR_NOMEM, NULL);
		return;
	}
	giving_back->asker = *asker;
	giving_back->left = 1; /* this function's */
	giving_back->reply.count = borrowed;
	for (lease = TAILQ_FIRST(&keeper->leases.all); lease != NULL;
	     lease = next) {
		next = TAILQ_NEXT(lease, order);
		if (lease->ending || !may_touch(application, lease) ||
		    (!request->all && lease->lease != request->lease))
			continue;
		giving_back->reply.count++;
		giving_back->left++;
		tell_holder(application, lease);
		lease_end(lease, LEASE_RETURNED, giving_back);
	}
	giving_back_done(keeper, giving_back);
	tickets_freed(keeper);
}

/* --- attach --------------------------------------------------------------- */

/* The application came back to a keeper that knows its lease from its file:
 * that is the way after a restart. A lease without a file has ended, or was
 * never this agent's. */
static void
do_attach(struct application *application, const struct asker *asker,
    const struct local_attach *request)
{
	static const struct empty nothing = { 0 };
	struct lease *lease = find_own(application, request->lease);

	if (lease == NULL && tickets_attach(application, asker, request))
		return;
	if (lease == NULL || lease->row_number != request->row_number ||
	    lease->row_len != request->row.len ||
	    memcmp(lease->row, request->row.data, lease->row_len) != 0) {
		refuse_gone(application, asker, request->lease);
		return;
	}
	lease->application = application->number;
	application_answer(application->keeper, asker, &empty_record, &nothing);
}

void
local_dispatch(struct application *application, uint64_t id,
    const struct local_operation *op, const void *request)
{
	struct asker asker = { application->number, id };

	switch (op->id) {
	case LOCAL_CHECKOUT:
		checkout_begin(application, id, request);
		return;
	case LOCAL_RENEW:
		do_renew(application, &asker, request);
		return;
	case LOCAL_RETURN:
		do_return(application, &asker, request);
		return;
	case LOCAL_ATTACH:
		do_attach(application, &asker, request);
		return;
	case LOCAL_LIST:
		show_leases(application, &asker, request);
		return;
	case LOCAL_STATUS:
		show_status(application, &asker);
		return;
	case LOCAL_QUESTIONS:
		show_questions(application, &asker);
		return;
	case LOCAL_ENROLL:
		enroll_begin(application, id, request);
		return;
	case LOCAL_CANCEL:
		checkout_cancel(application, &asker, request);
		return;
	case LOCAL_BORROW_TAKE:
		borrow_take_begin(application, &asker, request);
		return;
	case LOCAL_BORROW_EXTEND:
		borrow_extend_begin(application, &asker, request);
		return;
	case LOCAL_BORROW_RETURN:
		borrow_return_begin(application, &asker, request);
		return;
	case LOCAL_BORROW_LIST:
		borrow_show(application, &asker);
		return;
	case LOCAL_USAGE:
		usage_tell(application, &asker, request);
		return;
	case LOCAL_NONE:
	case LOCAL_WAITING:
	case LOCAL_OFFERED:
	case LOCAL_REVOKED:
	case LOCAL_COUNT:
		break;
	}
	application_refuse(application->keeper, &asker, ERR_BAD_REQUEST, NULL);
}
