/*
 * Who holds what. A lease lives in its file from the grant to the site's word
 * that it has ended; in between the keeper may be killed at any moment. All
 * leases are kept in the order of their numbers.
 */
#include "agent/keeper/private.h"

#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/base/text.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#define SWEEP_S 15

static struct lease_bucket *
bucket_of(struct keeper *keeper, uint64_t lease)
{
	return &keeper->leases.buckets[lease % LEASE_BUCKETS];
}

struct lease *
lease_find(struct keeper *keeper, uint64_t number)
{
	struct lease *lease;

	LIST_FOREACH(lease, bucket_of(keeper, number), entry)
		if (lease->lease == number)
			return lease;
	return NULL;
}

static void
lease_free(struct lease *lease)
{
	struct keeper *keeper = lease->keeper;

	renewal_forget(lease);
	if (lease->giving_back != NULL)
		giving_back_done(keeper, lease->giving_back);
	if (!lease->ending) {
		keeper->leases.held--;
		lease->user->leases--;
	}
	LIST_REMOVE(lease, entry);
	TAILQ_REMOVE(&keeper->leases.all, lease, order);
	process_unref(lease->process);
	user_unref(lease->user);
	free(lease->row);
	free(lease);
}

/* By number; new ones are nearly always the last. */
static void
insert(struct keeper *keeper, struct lease *lease)
{
	struct lease *before = TAILQ_LAST(&keeper->leases.all, lease_list);

	LIST_INSERT_HEAD(bucket_of(keeper, lease->lease), lease, entry);
	while (before != NULL && before->lease > lease->lease)
		before = TAILQ_PREV(before, lease_list, order);
	if (before == NULL)
		TAILQ_INSERT_HEAD(&keeper->leases.all, lease, order);
	else
		TAILQ_INSERT_AFTER(&keeper->leases.all, before, lease, order);
}

static int
read_row(struct lease *lease, const struct lease_file *file)
{
	struct arena arena = { .max_bytes = 1 << 16 };
	struct row row;
	int err = row_read(&row, file->row_number, file->row.data,
	    file->row.len, &arena);

	if (err == 0 &&
	    (row.kind != ROW_LEASE_GRANTED ||
		row.u.lease_granted.lease != file->lease))
		err = ERR_CORRUPT;
	if (err == 0) {
		const struct row_lease_granted *granted = &row.u.lease_granted;

		memcpy(lease->product, granted->product,
		    sizeof(lease->product));
		memcpy(lease->version, granted->version,
		    sizeof(lease->version));
		memcpy(lease->feature, granted->feature,
		    sizeof(lease->feature));
		lease->count = granted->count;
		lease->type = granted->type;
		lease->ttl_s = granted->ttl_s;
		lease->grace_s = granted->grace_s;
	}
	arena_release(&arena);
	return err;
}

int
lease_new(struct lease **out, struct keeper *keeper,
    const struct lease_file *file, struct process *process)
{
	struct lease *lease = calloc(1, sizeof(*lease));

	if (lease == NULL)
		return ERR_NOMEM;
	lease->keeper = keeper;
	lease->lease = file->lease;
	lease->row_number = file->row_number;
	lease->hold = file->hold;
	lease->granted_at = file->granted_at;
	lease->generation = file->generation != 0 ? file->generation : 1;
	memcpy(lease->request, file->request, sizeof(lease->request));
	lease->row = malloc(file->row.len);
	lease->user = user_ref(keeper, file->uid);
	int err = lease->row == NULL || lease->user == NULL
	    ? ERR_NOMEM
	    : read_row(lease, file);

	if (err < 0) {
		free(lease->row);
		user_unref(lease->user);
		free(lease);
		return err;
	}
	memcpy(lease->row, file->row.data, file->row.len);
	lease->row_len = file->row.len;
	lease->process = process == NULL ? NULL : process_ref(process);
	lease->user->leases++;
	keeper->leases.held++;
	insert(keeper, lease);
	*out = lease;
	return 0;
}

int
lease_add(struct lease **out, struct keeper *keeper,
    const struct lease_file *facts, struct process *process)
{
	struct lease_file file = *facts;
	struct lease *lease;

	file.pid = (uint64_t)process->pid;
	file.start = process->start;
	memcpy(file.boot, keeper->leases.boot, sizeof(file.boot));
	memcpy(file.command, process->command, sizeof(file.command));
	int err = lease_new(&lease, keeper, &file, process);

	if (err < 0)
		return err;
	err = files_write_lease(&keeper->files, &file);
	if (err < 0) {
		/* A lease that a restart would forget is not held. */
		lease_free(lease);
		return err;
	}
	lease->attached = true;
	*out = lease;
	return 0;
}

/* --- how leases end ------------------------------------------------------- */

static void
on_returned(void *ctx, int err, const void *reply,
    const struct problem *problem)
{
	struct lease *lease = ctx;

	(void)reply;
	if (err == ERR_CLOSED) {
		/* Outcome unknown; told again in the next session. */
		lease->told = false;
		return;
	}
	if (err != 0 && err != ERR_GONE && err != ERR_NOT_FOUND) {
		/* A site that was put back takes nothing for now. */
		if (err != ERR_ROLLED_BACK)
			log_error("keeper", "lease-%llu is not taken back: %s",
			    (unsigned long long)lease->lease, problem->detail);
		lease->told = false; /* the sweep tries again */
		return;
	}
	files_remove_lease(&lease->keeper->files, lease->lease);
	lease_free(lease);
}

void
lease_tell_end(struct lease *lease)
{
	struct lease_return request = {
		.lease = lease->lease,
		.reason = lease->reason,
	};

	if (lease->told)
		return;
	memcpy(request.request, lease->request, sizeof(request.request));
	lease->told = calls_ask(lease->keeper->calls, OP_LEASE_RETURN, &request,
			  on_returned, lease) == 0;
}

/* Who gave it back need not wait for a site that cannot be reached. */
static void
release_giver(struct lease *lease)
{
	struct giving_back *giving_back = lease->giving_back;

	lease->giving_back = NULL;
	if (giving_back != NULL)
		giving_back_done(lease->keeper, giving_back);
}

void
lease_end(struct lease *lease, uint32_t reason, struct giving_back *giving_back)
{
	struct keeper *keeper = lease->keeper;

	if (lease->ending) {
		if (giving_back != NULL)
			giving_back_done(keeper, giving_back);
		return;
	}
	renewal_forget(lease);
	lease->ending = true;
	lease->reason = reason;
	lease->giving_back = giving_back;
	lease->user->leases--;
	keeper->leases.held--;
	files_end_lease(&keeper->files, lease->lease);
	log_debug("keeper", "lease-%llu of process %d ends: %s",
	    (unsigned long long)lease->lease,
	    lease->process != NULL ? (int)lease->process->pid : 0,
	    lease_end_names[reason]);
	process_unref(lease->process);
	lease->process = NULL;
	if (session_is_up(keeper))
		lease_tell_end(lease);
	if (!lease->told)
		release_giver(lease);
}

void
lease_lost(struct lease *lease, const char *code)
{
	struct keeper *keeper = lease->keeper;
	struct local_revoked notice = { .lease = lease->lease };

	if (!lease->ending) {
		log_info("keeper", "lease-%llu was ended by the site: %s",
		    (unsigned long long)lease->lease, code);
		text_copy(notice.code, sizeof(notice.code), code);
		application_notify(keeper, lease->application, LOCAL_REVOKED,
		    &local_revoked_record, &notice);
	}
	if (lease->told)
		return; /* the answer to its return frees it */
	files_remove_lease(&keeper->files, lease->lease);
	lease_free(lease);
}

void
leases_lost(struct keeper *keeper, const char *code)
{
	struct lease *lease, *next;

	for (lease = TAILQ_FIRST(&keeper->leases.all); lease != NULL;
	     lease = next) {
		next = TAILQ_NEXT(lease, order);
		lease_lost(lease, code);
	}
}

void
leases_process_ended(void *ctx, struct process *process)
{
	struct keeper *keeper = ctx;
	struct lease *lease, *next;

	for (lease = TAILQ_FIRST(&keeper->leases.all); lease != NULL;
	     lease = next) {
		next = TAILQ_NEXT(lease, order);
		if (lease->process == process)
			lease_end(lease, LEASE_EXITED, NULL);
	}
	tickets_process_ended(keeper, process);
	checkouts_process_ended(keeper, process);
	tickets_freed(keeper);
}

static void
on_stray_returned(void *ctx, int err, const void *reply,
    const struct problem *problem)
{
	(void)ctx;
	(void)reply;
	if (err != 0 && err != ERR_GONE && err != ERR_CLOSED &&
	    err != ERR_ROLLED_BACK)
		log_error("keeper", "an unused lease is not taken back: %s",
		    problem->detail);
}

/* No file: if the answer is lost, the comparison after the next start or the
 * end of its span takes care of it. */
void
leases_return_stray(struct keeper *keeper, uint64_t number,
    const uint8_t request_id[REQUEST_BYTES])
{
	struct lease_return request = {
		.lease = number,
		.reason = LEASE_EXITED,
	};

	if (request_id != NULL)
		memcpy(request.request, request_id, sizeof(request.request));
	log_info("keeper", "lease-%llu is held by nobody here: returned",
	    (unsigned long long)number);
	if (calls_ask(keeper->calls, OP_LEASE_RETURN, &request,
		on_stray_returned, keeper) < 0)
		keeper->leases.reconciled = false;
}

void
leases_disconnected(struct keeper *keeper)
{
	struct lease *lease;

	TAILQ_FOREACH(lease, &keeper->leases.all, order) {
		lease->attached = false;
		lease->told = false;
		release_giver(lease);
	}
}

/* A library that stopped renewing holds its seat no longer, by its own clock;
 * and ends that were not taken are told again. */
static void
on_sweep(evutil_socket_t fd, short what, void *ctx)
{
	struct keeper *keeper = ctx;
	struct lease *lease, *next;
	int64_t now_ms = clock_boottime_ms();

	(void)fd;
	(void)what;
	for (lease = TAILQ_FIRST(&keeper->leases.all); lease != NULL;
	     lease = next) {
		int64_t over_ms = lease->valid_until_ms +
		    (int64_t)lease->grace_s * 1000 + SWEEP_S * 1000;

		next = TAILQ_NEXT(lease, order);
		if (lease->ending && session_is_up(keeper))
			lease_tell_end(lease);
		else if (lease->ending)
			continue;
		else if (!lease->hold && now_ms > over_ms)
			lease_end(lease, LEASE_RETURNED, NULL);
		else if (lease->kept != 0 && now_ms > over_ms - SWEEP_S * 1000)
			lease_lost(lease, err_code(lease->kept));
	}
	if (session_is_up(keeper))
		leases_attach_kept(keeper);
}

int
leases_open(struct keeper *keeper)
{
	struct timeval every = { .tv_sec = SWEEP_S };

	for (size_t i = 0; i < LEASE_BUCKETS; i++)
		LIST_INIT(&keeper->leases.buckets[i]);
	TAILQ_INIT(&keeper->leases.all);
	process_boot_id(keeper->leases.boot);
	keeper->leases.sweep =
	    event_new(keeper->base, -1, EV_PERSIST, on_sweep, keeper);
	if (keeper->leases.sweep == NULL ||
	    event_add(keeper->leases.sweep, &every) < 0)
		return ERR_NOMEM;
	return leases_load(keeper);
}

void
leases_close(struct keeper *keeper)
{
	struct lease *lease;

	if (keeper->leases.sweep == NULL)
		return;
	event_free(keeper->leases.sweep);
	keeper->leases.sweep = NULL;
	while ((lease = TAILQ_FIRST(&keeper->leases.all)) != NULL)
		lease_free(lease);
}
