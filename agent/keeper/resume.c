/*
 * Leases of before: those in the files of a keeper that was killed, and those
 * that a new session's site must hear of.
 */
#include "agent/keeper/private.h"

#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/log.h"

#include <string.h>

/* Bytes of rows in one lease.attach: in base64 they fit a message. */
#define ATTACH_BYTES 32768
#define ATTACH_MAX 256

/* --- a new session -------------------------------------------------------- */

static void resume_next(struct keeper *keeper);

/* A journal that was put back does not know leases that it did grant: that is
 * not the same as having ended them, and who loses his seat is told so. */
static const char *
why_refused(const struct keeper *keeper, const struct lease_refused *refused)
{
	int err = err_from_code(refused->code);

	if (keeper->session.rollback[0] != '\0' &&
	    (err == ERR_GONE || err == ERR_NOT_FOUND))
		return err_code(ERR_ROLLED_BACK);
	return refused->code;
}

/* What the site granted and does not take up now is held all the same, to the
 * end of the span that it signed: it may take it up once its admin has looked.
 */
static void
refuse(struct lease *lease, const struct lease_refused *refused)
{
	int err = err_from_code(refused->code);

	if (err != ERR_ROLLED_BACK && err != ERR_NOT_ENTITLED &&
	    err != ERR_RATE_LIMITED && err != ERR_MAX_REACHED) {
		lease_lost(lease, why_refused(lease->keeper, refused));
		return;
	}
	if (lease->kept == 0)
		log_warn("keeper",
		    "the site does not take up lease-%llu (%s); it is held to "
		    "the end of its signed span",
		    (unsigned long long)lease->lease, refused->code);
	lease->kept = err;
	lease->attached = false;
}

static void
take_up(struct keeper *keeper)
{
	struct lease *lease;

	TAILQ_FOREACH(lease, &keeper->leases.all, order) {
		if (lease->kept == 0 || !lease->attached)
			continue;
		log_info("keeper", "the site takes up lease-%llu again",
		    (unsigned long long)lease->lease);
		lease->kept = 0;
	}
}

static void
on_attached(void *ctx, int err, const void *reply,
    const struct problem *problem)
{
	struct keeper *keeper = ctx;
	const struct attach_reply *said = reply;

	if (err == ERR_CLOSED)
		return;
	if (err != 0) {
		session_hang_up(keeper, "leases cannot be attached: %s",
		    problem->detail);
		return;
	}
	const struct lease_refused *refused = said->refused.items;

	for (uint32_t i = 0; i < said->refused.count; i++) {
		struct lease *lease = lease_find(keeper, refused[i].lease);

		if (lease != NULL)
			refuse(lease, &refused[i]);
	}
	take_up(keeper);
	resume_next(keeper);
}

/* May the site not know that it granted it? */
static bool
wants_evidence(const struct lease *lease)
{
	const struct session *session = &lease->keeper->session;

	return session->rollback[0] != '\0' ||
	    lease->generation < session->seen.seen_generation;
}

/* The rest of it lies in the file. */
static void
add_evidence(struct attach_item *item, const struct lease *lease,
    struct arena *arena)
{
	struct lease_file file;

	if (files_read_lease(&file, &lease->keeper->files, lease->lease,
		arena) != 0 ||
	    file.row_number != lease->row_number)
		return;
	item->path = file.path;
	item->header = file.header;
}

/* The next leases that this session's site was not told of. */
static uint32_t
fill_attach(struct attach_item items[ATTACH_MAX], struct keeper *keeper,
    struct arena *arena)
{
	struct lease *lease;
	uint32_t n = 0;
	size_t bytes = 0;

	TAILQ_FOREACH(lease, &keeper->leases.all, order) {
		struct attach_item item = {
			.lease = lease->lease,
			.row_number = lease->row_number,
			.row = { lease->row, lease->row_len },
		};

		if (lease->attached || lease->ending || lease->asked)
			continue;
		if (wants_evidence(lease))
			add_evidence(&item, lease, arena);
		size_t more = item.row.len + item.path.len + item.header.len;

		if (n == ATTACH_MAX || (n > 0 && bytes + more > ATTACH_BYTES))
			break;
		bytes += more + 64;
		items[n++] = item;
		lease->attached = lease->asked = true;
	}
	return n;
}

static void
on_mine(void *ctx, int err, const void *reply, const struct problem *problem)
{
	struct keeper *keeper = ctx;
	const struct lease_page *page = reply;
	struct lease_query query = { .limit = LIST_LIMIT_DEFAULT };

	if (err == ERR_CLOSED)
		return;
	if (err != 0) {
		log_warn("keeper", "the site does not list our leases: %s",
		    problem->detail);
		session_resumed(keeper);
		return;
	}
	const struct lease_view *items = page->items.items;

	for (uint32_t i = 0; i < page->items.count; i++)
		/* Borrows come back by another way. */
		if (items[i].until == 0 &&
		    lease_find(keeper, items[i].lease) == NULL)
			leases_return_stray(keeper, items[i].lease, NULL);
	query.after = page->next;
	if (page->next == 0) {
		keeper->leases.reconciled = true;
		session_resumed(keeper);
	} else if (calls_ask(keeper->calls, OP_LEASE_MINE, &query, on_mine,
		       keeper) < 0) {
		session_hang_up(keeper, "the uplink takes no calls");
	}
}

/* One question at a time: attach all, then (in the first session of this
 * keeper) give back what the site granted to one that was killed before it
 * could write it down. */
static void
resume_next(struct keeper *keeper)
{
	struct attach_item items[ATTACH_MAX];
	struct attach request = { .leases = { items, 0 } };
	struct lease_query query = { .limit = LIST_LIMIT_DEFAULT };
	struct arena arena = { .max_bytes = 1 << 22 };
	int err = 0;

	request.leases.count = fill_attach(items, keeper, &arena);
	if (request.leases.count > 0)
		err = calls_ask(keeper->calls, OP_LEASE_ATTACH, &request,
		    on_attached, keeper);
	else if (!keeper->leases.reconciled)
		err = calls_ask(keeper->calls, OP_LEASE_MINE, &query, on_mine,
		    keeper);
	else
		session_resumed(keeper);
	arena_release(&arena);
	if (err < 0)
		session_hang_up(keeper, "the uplink takes no calls");
}

void
leases_resume(struct keeper *keeper)
{
	struct lease *lease;

	TAILQ_FOREACH(lease, &keeper->leases.all, order) {
		lease->asked = false;
		if (lease->ending)
			lease_tell_end(lease);
	}
	resume_next(keeper);
}

/* A license may have come meanwhile, or room. A site that was put back says by
 * the end of the session that it goes on. */
void
leases_attach_kept(struct keeper *keeper)
{
	struct lease *lease;
	bool any = false;

	TAILQ_FOREACH(lease, &keeper->leases.all, order) {
		if (lease->kept == 0 || lease->kept == ERR_ROLLED_BACK ||
		    lease->attached)
			continue;
		lease->asked = false;
		any = true;
	}
	if (any)
		resume_next(keeper);
}

/* --- files from before ---------------------------------------------------- */

static void
load(void *ctx, const struct lease_file *file, bool ended)
{
	struct keeper *keeper = ctx;
	struct process *process = NULL;
	struct lease *lease;

	if (lease_find(keeper, file->lease) != NULL)
		return;
	/* Only the very process counts, not a later one with its pid. */
	if (strcmp(file->boot, keeper->leases.boot) == 0)
		(void)process_take(&process, &keeper->processes,
		    (pid_t)file->pid);
	if (process != NULL && process->start != file->start) {
		process_unref(process);
		process = NULL;
	}
	int err = lease_new(&lease, keeper, file, process);

	if (err < 0)
		log_error("keeper", "lease-%llu cannot be taken up: %s",
		    (unsigned long long)file->lease, err_str(err));
	else if (process == NULL)
		lease_end(lease, LEASE_EXITED, NULL);
	else if (ended)
		lease_end(lease, LEASE_RETURNED, NULL);
	process_unref(process);
}

int
leases_load(struct keeper *keeper)
{
	struct lease *lease;
	int err = files_each_lease(&keeper->files, load, keeper);

	if (err < 0)
		return err;
	/* When the last nonce went out is not known: give each a whole span
	 * from now before it counts as silent. */
	TAILQ_FOREACH(lease, &keeper->leases.all, order)
		lease->valid_until_ms =
		    clock_boottime_ms() + (int64_t)lease->ttl_s * 1000;
	if (keeper->leases.held > 0)
		log_info("keeper", "%u leases are held from before",
		    keeper->leases.held);
	return 0;
}
