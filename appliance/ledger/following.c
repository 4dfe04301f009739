/* Turns of the auditor's thread. See following.h. */
#include "appliance/ledger/following.h"

#include "appliance/ledger/inside.h"

#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/log.h"

/* One turn of the thread for one tenant. */
#define TURN_MS 200
/* What somebody waits for may take so long more; then he gets what is there. */
#define CATCH_UP_MS 2000
/* A disk that is full is full for a while. */
#define AGAIN_MS 30000

/* Pages of a view each: a snapshot stays short. */
static int
follow(bool *more, const struct following_kind *kind, struct tenant *tenant,
    int64_t turn_ms)
{
	int64_t end = clock_boottime_ms() + turn_ms;
	int err = kind->open(tenant);

	*more = err == 0;
	while (err == 0 && *more && clock_boottime_ms() < end) {
		struct ledger_view *view;

		err = ledger_view_open(&view, tenant->ledger);
		if (err != 0)
			break;
		err = kind->feed(more, tenant, view);
		ledger_view_close(view);
	}
	return err;
}

int
following_catch_up(bool *more, const struct following_kind *kind,
    struct tenant *tenant)
{
	return follow(more, kind, tenant, CATCH_UP_MS);
}

static void
run_follow(struct work *work)
{
	struct following *following = (struct following *)work;

	following->rc = follow(&following->more, following->kind,
	    following->tenant, TURN_MS);
}

static void
begin(struct following *following)
{
	following->running = true;
	following->due = false;
	worker_put(following->tenant->process->auditor, &following->work);
}

static void
followed(struct work *work)
{
	struct following *following = (struct following *)work;
	const struct following_kind *kind = following->kind;
	const struct tenant *tenant = following->tenant;
	const bool faulty = following->rc != 0;

	following->running = false;
	if (faulty && !following->faulty)
		log_error(kind->part,
		    "tenant %s: %s: the projection cannot be written (%s); it "
		    "is tried again",
		    tenant->name, kind->lost, err_str(following->rc));
	else if (!faulty && following->faulty)
		log_info(kind->part, "tenant %s: %s again", tenant->name,
		    kind->again);
	following->faulty = faulty;
	following->due |= faulty || following->more;
	following->again_at = faulty ? clock_boottime_ms() + AGAIN_MS : 0;
	if (following->more && !faulty &&
	    tenant->process->phase != PHASE_DRAINING)
		begin(following);
}

void
following_tick(struct following *following, const struct following_kind *kind,
    struct tenant *tenant)
{
	following->kind = kind;
	following->tenant = tenant;
	following->work.run = run_follow;
	following->work.done = followed;
	if (following->due && !following->running &&
	    clock_boottime_ms() >= following->again_at)
		begin(following);
}
