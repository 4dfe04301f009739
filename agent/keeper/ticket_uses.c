/*
 * Uses of borrowed seats as a list, and as a note of it in a file, for a keeper
 * that is killed; after the machine starts again there are none. Who gets what
 * is tickets.c's.
 *
 *   STATE/seats.json
 */
#include "agent/keeper/checkout_way.h"
#include "agent/keeper/private.h"

#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/base/text.h"

#include <stdlib.h>
#include <string.h>

#define USES_MAX 4096
#define USES_BYTES_MAX ((size_t)2 << 20)

/* --- the file ------------------------------------------------------------- */

struct use_file {
	uint64_t lease;
	uint32_t count;
	uint32_t uid;
	uint64_t pid;
	uint64_t start;
	uint8_t request[REQUEST_BYTES];
	bool hold;
	int64_t taken_at;
};
struct uses_file {
	char boot[40];
	struct record_list uses; /* use_file */
};

static const struct record_field use_file_fields[] = {
	R_U64(use_file, lease, 1, UINT64_MAX >> 11, 0, "The borrow."),
	R_U32(use_file, count, 1, LEASE_COUNT_MAX, 0, "Seats of it."),
	R_U32(use_file, uid, 0, UINT32_MAX, 0, "Whose process."),
	R_U64(use_file, pid, 1, UINT32_MAX, 0, "The process."),
	R_U64(use_file, start, 0, UINT64_MAX >> 11, 0, "When it started."),
	R_FIXED(use_file, request, 0, "The request's id."),
	R_BOOL(use_file, hold, RECORD_OPTIONAL, "Held for a process."),
	R_TIME(use_file, taken_at, 0, "When."),
};
static RECORD_DEFINE(use_file, 1, "Seats of a borrow in use.");

static const struct record_field uses_file_fields[] = {
	R_TEXT(uses_file, boot, 0, 39, RECORD_OPTIONAL,
	    "Boot id that the starts count from."),
	R_LIST(uses_file, uses, &use_file_record, 0, USES_MAX, 0, "Uses."),
};
static RECORD_DEFINE(uses_file, 1, "Who uses the borrows.");

int
uses_write(struct keeper *keeper)
{
	struct use_file *items = calloc(USES_MAX, sizeof(*items));
	struct uses_file file = { .uses = { items, 0 } };
	const struct seat_use *use;

	if (items == NULL)
		return ERR_NOMEM;
	memcpy(file.boot, keeper->leases.boot, sizeof(file.boot));
	TAILQ_FOREACH(use, &keeper->tickets.uses, entry) {
		struct use_file *item = &items[file.uses.count++];

		*item = (struct use_file){ .lease = use->lease,
			.count = use->count,
			.uid = use->user->uid,
			.pid = (uint64_t)use->process->pid,
			.start = use->process->start,
			.hold = use->hold,
			.taken_at = use->taken_at };
		memcpy(item->request, use->request, sizeof(item->request));
	}
	int err = files_note_record(&keeper->files, "seats.json",
	    &uses_file_record, &file);

	free(items);
	return err;
}

/* --- one of them ---------------------------------------------------------- */

struct seat_use *
use_new(struct keeper *keeper, const struct ticket *ticket, uint32_t count,
    struct process *process, uid_t uid)
{
	struct tickets *tickets = &keeper->tickets;
	struct seat_use *use =
	    tickets->n < USES_MAX ? calloc(1, sizeof(*use)) : NULL;
	struct user *user = use == NULL ? NULL : user_ref(keeper, uid);

	if (user == NULL) {
		free(use);
		return NULL;
	}
	use->keeper = keeper;
	use->number = ++tickets->next;
	use->lease = ticket->lease;
	use->count = count;
	use->prove_s = ticket->prove_s;
	use->process = process_ref(process);
	use->user = user;
	use->user->leases++;
	use->taken_at = clock_wall_ms();
	use->proved_ms = clock_boottime_ms();
	TAILQ_INSERT_TAIL(&tickets->uses, use, entry);
	tickets->n++;
	return use;
}

void
use_free(struct seat_use *use)
{
	struct tickets *tickets = &use->keeper->tickets;

	if (use->way != NULL)
		use->way->use = NULL;
	TAILQ_REMOVE(&tickets->uses, use, entry);
	tickets->n--;
	use->user->leases--;
	process_unref(use->process);
	user_unref(use->user);
	free(use);
}

void
use_drop(struct seat_use *use)
{
	struct keeper *keeper = use->keeper;

	use_free(use);
	(void)uses_write(keeper); /* logged there */
}

void
use_lost(struct seat_use *use, const char *code)
{
	struct local_revoked notice = { .lease = use->lease };

	log_info("keeper", "process %d uses borrow-%llu no longer: %s",
	    (int)use->process->pid, (unsigned long long)use->lease, code);
	text_copy(notice.code, sizeof(notice.code), code);
	if (use->way == NULL)
		application_notify(use->keeper, use->application, LOCAL_REVOKED,
		    &local_revoked_record, &notice);
	use_drop(use);
}

struct seat_use *
tickets_find(const struct keeper *keeper, uint64_t number)
{
	struct seat_use *use;

	TAILQ_FOREACH(use, &keeper->tickets.uses, entry)
		if (use->number == number)
			return use;
	return NULL;
}

const struct seat_use *
tickets_next(const struct keeper *keeper, const struct seat_use *use)
{
	return use == NULL ? TAILQ_FIRST(&keeper->tickets.uses)
			   : TAILQ_NEXT(use, entry);
}

uint32_t
tickets_used(const struct keeper *keeper, uint64_t lease)
{
	const struct seat_use *use;
	uint32_t used = 0;

	TAILQ_FOREACH(use, &keeper->tickets.uses, entry)
		if (use->lease == lease)
			used += use->count;
	return used;
}

/* --- opening -------------------------------------------------------------- */

void
tickets_open(struct keeper *keeper)
{
	TAILQ_INIT(&keeper->tickets.uses);
}

static void
load_use(struct keeper *keeper, const struct use_file *file)
{
	const struct ticket *ticket =
	    book_find_any(&keeper->borrows.book, file->lease);
	struct process *process;
	struct seat_use *use;

	if (ticket == NULL ||
	    process_take(&process, &keeper->processes, (pid_t)file->pid) != 0)
		return;
	/* Only the very process counts, not a later one with its pid. */
	use = process->start == file->start
	    ? use_new(keeper, ticket, file->count, process, file->uid)
	    : NULL;
	process_unref(process);
	if (use == NULL)
		return;
	memcpy(use->request, file->request, sizeof(use->request));
	use->hold = file->hold;
	use->taken_at = file->taken_at;
}

int
tickets_load(struct keeper *keeper)
{
	struct arena arena = { .max_bytes = 2 * USES_BYTES_MAX };
	struct uses_file file;
	int err = files_read_record(&file, &keeper->files, "seats.json",
	    &uses_file_record, USES_BYTES_MAX, &arena);
	const struct use_file *items = err == 0 ? file.uses.items : NULL;

	if (err == 0 && strcmp(file.boot, keeper->leases.boot) == 0)
		for (uint32_t i = 0; i < file.uses.count; i++)
			load_use(keeper, &items[i]);
	arena_release(&arena);
	/* Without the note applications show their tickets again. */
	return 0;
}

void
tickets_close(struct keeper *keeper)
{
	struct seat_use *use;

	while ((use = TAILQ_FIRST(&keeper->tickets.uses)) != NULL)
		use_free(use);
}
