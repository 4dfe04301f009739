/*
 * Who uses the seats of borrows on this workstation. A borrow of three seats
 * serves applications that ask for three in all, of its user, or of everybody
 * when root took it. It is used first by its owner, also while the site can be
 * reached: else he would hold two seats. Uses are noted in a file, for a keeper
 * that is killed; after the machine starts again there are none.
 *
 *   STATE/seats.json
 */
#include "agent/keeper/checkout_way.h"
#include "agent/keeper/private.h"

#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/base/text.h"
#include "shared/base/version.h"

#include <event2/event.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define USES_MAX 4096
#define USES_BYTES_MAX ((size_t)2 << 20)
/* Of a library that does not ask any more, after its proof ran out. */
#define SILENT_MS 60000

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

static int
write_uses(struct keeper *keeper)
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

static struct seat_use *
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

static void
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
	(void)write_uses(keeper); /* logged there */
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

/* --- choosing ------------------------------------------------------------- */

static bool
is_good(const struct keeper *keeper, const struct ticket *ticket)
{
	return ticket != NULL && !ticket->over &&
	    ticket->ticket.until > clock_wall_ms() &&
	    keeper->session.refused != ERR_DEVICE_REVOKED;
}

/* Does its license cover this version too? The site signed its digest. */
static bool
covers(struct keeper *keeper, const struct ticket *ticket, const char *version)
{
	struct arena arena = { .max_bytes = 1 << 20 };
	struct record_error error;
	struct license_issuer issuer;
	struct license_file file;
	struct license license;
	bool does;

	if (strcmp(ticket->version, version) == 0)
		return true;
	does = files_read_license(&file, &keeper->files, ticket->license,
		   &arena) == 0 &&
	    license_verify(&license, &issuer, file.issuer.data, file.issuer.len,
		file.license.data, file.license.len, NULL, &arena,
		&error) == 0 &&
	    version_in_range(version, license.product.version);
	arena_release(&arena);
	return does;
}

/* Root asks for others. */
static uid_t
owner_of(const struct checkout_way *way)
{
	return way->user->uid != 0 ? way->user->uid : way->process->uids[0];
}

static bool
is_for(const struct ticket *ticket, const struct checkout_way *way)
{
	return (ticket->uid == 0 || ticket->uid == owner_of(way)) &&
	    strcmp(ticket->product, way->ask.product) == 0 &&
	    strcmp(ticket->feature, way->ask.feature) == 0;
}

/* His own before everybody's. */
static struct ticket *
choose(const struct checkout_way *way)
{
	struct keeper *keeper = way->keeper;
	struct book *book = &keeper->borrows.book;
	struct ticket *ticket, *found = NULL;

	TAILQ_FOREACH(ticket, &book->tickets, entry) {
		if (ticket != borrows_find(keeper, ticket->lease) ||
		    !is_good(keeper, ticket) || !is_for(ticket, way) ||
		    book_returns(book, ticket->lease) ||
		    (uint64_t)tickets_used(keeper, ticket->lease) +
			    way->ask.count >
			ticket->count ||
		    (found != NULL && (found->uid != 0 || ticket->uid == 0)) ||
		    !covers(keeper, ticket, way->ask.version))
			continue;
		found = ticket;
	}
	return found;
}

bool
tickets_take(struct checkout_way *way)
{
	struct keeper *keeper = way->keeper;
	struct ticket *ticket = way->no_ticket ? NULL : choose(way);
	struct seat_use *use = ticket == NULL
	    ? NULL
	    : use_new(keeper, ticket, way->ask.count, way->process,
		  owner_of(way));

	if (use == NULL)
		return false;
	memcpy(use->request, way->request, sizeof(use->request));
	use->hold = way->hold;
	use->way = way;
	way->use = use;
	way->step = CHECKOUT_PROVING;
	event_del(way->timer);
	if (use_prove(use, USE_CHECKOUT, way->ask.nonce, &way->asker) == 0 &&
	    write_uses(keeper) == 0)
		return true;
	use_drop(use);
	way->no_ticket = true;
	return false;
}

void
tickets_leave(struct checkout_way *way)
{
	if (way->use != NULL)
		use_drop(way->use);
}

void
tickets_why_not(char *out, size_t size, const struct checkout_way *way)
{
	const struct keeper *keeper = way->keeper;
	const struct book *book = &keeper->borrows.book;
	const struct ticket *ticket;
	uint32_t free_ = 0, all = 0;

	out[0] = '\0';
	TAILQ_FOREACH(ticket, &book->tickets, entry) {
		if (ticket != book_find_any(book, ticket->lease) ||
		    !is_for(ticket, way))
			continue;
		if (!is_good(keeper, ticket) ||
		    book_returns(book, ticket->lease)) {
			snprintf(out, size, "borrow-%llu is over; ",
			    (unsigned long long)ticket->lease);
			continue;
		}
		all += ticket->count;
		free_ += ticket->count - tickets_used(keeper, ticket->lease);
	}
	if (all > 0 && way->no_ticket)
		snprintf(out, size,
		    "the borrowed seats cannot be proved now; ");
	else if (all > 0)
		snprintf(out, size, "of %u borrowed seats %u are free; ", all,
		    free_);
}

/* --- what applications say ------------------------------------------------ */

/* A process's own first, then any of its user's. */
static struct seat_use *
find_use(const struct application *application, uint64_t lease)
{
	struct seat_use *use, *found = NULL;

	TAILQ_FOREACH(use, &application->keeper->tickets.uses, entry) {
		if (use->lease != lease || use->way != NULL ||
		    !local_may_see(application, use->user->uid))
			continue;
		if (use->process == application->process)
			return use;
		if (found == NULL)
			found = use;
	}
	return found;
}

bool
tickets_rejoin(struct application *application, const struct asker *asker,
    const struct local_checkout *request)
{
	struct keeper *keeper = application->keeper;
	const struct ticket *ticket;
	struct seat_use *use;

	TAILQ_FOREACH(use, &keeper->tickets.uses, entry)
		if (use->way == NULL && use->process == application->process &&
		    memcmp(use->request, request->request, REQUEST_BYTES) == 0)
			break;
	if (use == NULL)
		return false;
	ticket = borrows_find(keeper, use->lease);
	if (ticket == NULL || use->hold != request->hold ||
	    strcmp(ticket->product, request->product) != 0 ||
	    strcmp(ticket->feature, request->feature) != 0 ||
	    use->count != (request->count == 0 ? 1 : request->count)) {
		application_refuse(keeper, asker, ERR_CONFLICT, NULL);
		return true;
	}
	int err = use_prove(use, USE_AGAIN, request->nonce, asker);

	if (err < 0)
		application_refuse(keeper, asker, err, NULL);
	return true;
}

bool
tickets_renew(struct application *application, const struct asker *asker,
    const struct local_renew *request)
{
	struct seat_use *use = find_use(application, request->lease);

	if (use == NULL)
		return false;
	use->application = application->number;
	int err = use_prove(use, USE_RENEW, request->nonce, asker);

	if (err < 0)
		application_refuse(application->keeper, asker, err, NULL);
	return true;
}

/* Of a keeper that lost its note, or of a process whose seat nobody else took
 * meanwhile: it has a ticket to show that this workstation still has. */
static int
take_again(struct application *application, const struct local_attach *request)
{
	struct keeper *keeper = application->keeper;
	const struct ticket *ticket = borrows_find(keeper, request->lease);
	uint32_t count = request->count == 0 ? 1 : request->count;
	struct seat_use *use;

	if (!is_good(keeper, ticket) ||
	    book_returns(&keeper->borrows.book, request->lease) ||
	    (ticket->uid != 0 && !local_may_see(application, ticket->uid)) ||
	    ticket->row.len != request->row.len ||
	    memcmp(ticket->row.data, request->row.data, ticket->row.len) != 0 ||
	    (uint64_t)tickets_used(keeper, ticket->lease) + count >
		ticket->count)
		return ERR_GONE;
	use = use_new(keeper, ticket, count, application->process,
	    application->user->uid);
	if (use == NULL)
		return ERR_NOMEM;
	randombytes_buf(use->request, sizeof(use->request));
	use->application = application->number;
	int err = write_uses(keeper);

	if (err < 0)
		use_drop(use);
	return err;
}

bool
tickets_attach(struct application *application, const struct asker *asker,
    const struct local_attach *request)
{
	static const struct empty nothing = { 0 };
	struct keeper *keeper = application->keeper;
	struct seat_use *use = find_use(application, request->lease);
	int err = 0;

	if (book_find_any(&keeper->borrows.book, request->lease) == NULL &&
	    use == NULL)
		return false;
	if (use != NULL && use->process == application->process)
		use->application = application->number;
	else
		err = take_again(application, request);
	if (err < 0)
		application_refuse(keeper, asker, err, NULL);
	else
		application_answer(keeper, asker, &empty_record, &nothing);
	return true;
}

/* Somebody else of the same user gives it back: who uses it must not go on. */
static void
give_back(struct application *giver, struct seat_use *use)
{
	if (use->process == giver->process)
		use_drop(use);
	else
		use_lost(use, err_code(ERR_GONE));
}

/* A process gives back one of its own; anybody else those of all. */
uint32_t
tickets_return(struct application *application, uint64_t lease, uint32_t count)
{
	struct keeper *keeper = application->keeper;
	struct seat_use *use, *next, *own = NULL;
	uint32_t n = 0;

	TAILQ_FOREACH(use, &keeper->tickets.uses, entry)
		if (lease != 0 && use->lease == lease && use->way == NULL &&
		    use->process == application->process &&
		    (count == 0 || use->count == count))
			own = use; /* the latest */
	if (own != NULL) {
		use_drop(own);
		return 1;
	}
	for (use = TAILQ_FIRST(&keeper->tickets.uses); use != NULL;
	     use = next) {
		next = TAILQ_NEXT(use, entry);
		if ((lease != 0 && use->lease != lease) || use->way != NULL ||
		    !local_may_see(application, use->user->uid))
			continue;
		n++;
		give_back(application, use);
	}
	return n;
}

void
tickets_process_ended(struct keeper *keeper, struct process *process)
{
	struct seat_use *use, *next;
	bool any = false;

	for (use = TAILQ_FIRST(&keeper->tickets.uses); use != NULL;
	     use = next) {
		next = TAILQ_NEXT(use, entry);
		/* A question that is being proved ends by itself. */
		if (use->process != process || use->way != NULL)
			continue;
		use_free(use);
		any = true;
	}
	if (any)
		(void)write_uses(keeper);
}

/* --- keeping watch -------------------------------------------------------- */

/* What a keeper holds for a process is proved to nobody; its time is. */
static void
look_at(struct seat_use *use)
{
	int64_t silent_ms = clock_boottime_ms() - use->proved_ms;
	int64_t prove_ms = (int64_t)use->prove_s * 1000;
	uint8_t nonce[NONCE_BYTES];

	if (use->way != NULL)
		return;
	if (!is_good(use->keeper, borrows_find(use->keeper, use->lease))) {
		use_lost(use, err_code(ERR_GONE));
	} else if (use->hold && silent_ms > prove_ms) {
		randombytes_buf(nonce, sizeof(nonce));
		use->proved_ms = clock_boottime_ms();
		(void)use_prove(use, USE_HOLD, nonce, &(struct asker){ 0 });
	} else if (!use->hold && silent_ms > prove_ms + SILENT_MS) {
		use_drop(use);
	}
}

void
tickets_watch(struct keeper *keeper)
{
	struct seat_use *use, *next;

	for (use = TAILQ_FIRST(&keeper->tickets.uses); use != NULL;
	     use = next) {
		next = TAILQ_NEXT(use, entry);
		look_at(use);
	}
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
