/*
 * Who uses the seats of borrows on this workstation. A borrow of three seats
 * serves applications that ask for three in all, of its user, or of everybody
 * when root took it. It is used first by its owner, also while the site can be
 * reached: else he would hold two seats.
 */
#include "agent/keeper/checkout_way.h"
#include "agent/keeper/private.h"

#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/version.h"

#include <event2/event.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

/* Of a library that does not ask any more, after its proof ran out. */
#define SILENT_MS 60000

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
	    uses_write(keeper) == 0)
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
		if (borrows_find(keeper, ticket->lease) == NULL) {
			snprintf(out, size,
			    "borrow-%llu was given back: this device's counter "
			    "stands at %llu, and its ticket is for %llu; ",
			    (unsigned long long)ticket->lease,
			    (unsigned long long)keeper->borrows.counter,
			    (unsigned long long)ticket->ticket.epoch);
			continue;
		}
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

/* Does this one come before that one, for the next proof? Several seats of a
 * process are one to whoever proves: they take turns. */
static bool
is_next(const struct seat_use *use, const struct seat_use *than)
{
	if (use->proofs != than->proofs)
		return use->proofs < than->proofs;
	return use->proved_ms < than->proved_ms;
}

/* A process's own first, then any of its user's. */
static struct seat_use *
find_use(const struct application *application, uint64_t lease)
{
	struct seat_use *use, *own = NULL, *other = NULL;

	TAILQ_FOREACH(use, &application->keeper->tickets.uses, entry) {
		if (use->lease != lease || use->way != NULL ||
		    !local_may_see(application, use->user->uid))
			continue;
		if (use->process != application->process)
			other = use;
		else if (own == NULL || is_next(use, own))
			own = use;
	}
	return own != NULL ? own : other;
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
	int err = uses_write(keeper);

	if (err < 0)
		use_drop(use);
	return err;
}

/* What was held for another process, by one whose connection is gone. */
static struct seat_use *
find_held(const struct application *application,
    const struct local_attach *request)
{
	struct keeper *keeper = application->keeper;
	uint32_t count = request->count == 0 ? 1 : request->count;
	struct seat_use *use;

	TAILQ_FOREACH(use, &keeper->tickets.uses, entry)
		if (use->lease == request->lease && use->hold &&
		    use->count == count &&
		    local_may_see(application, use->user->uid) &&
		    application_find(keeper, use->application) == NULL)
			return use;
	return NULL;
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
	if (use == NULL || use->process != application->process)
		use = find_held(application, request);
	if (use != NULL)
		use->application = application->number;
	else
		err = take_again(application, request);
	if (err < 0)
		application_refuse(keeper, asker, err, NULL);
	else
		application_answer(keeper, asker, &empty_record, &nothing);
	return true;
}

/* Its own process does, or who holds it for that process. */
static bool
is_spoken_for(const struct seat_use *use, const struct application *by)
{
	return use->process == by->process || use->application == by->number;
}

/* Somebody else of the same user gives it back: who uses it must not go on. */
static void
give_back(struct application *giver, struct seat_use *use)
{
	if (is_spoken_for(use, giver))
		use_drop(use);
	else
		use_lost(use, err_code(ERR_GONE));
}

/* A process gives back one of its own, and says which; who names none and has
 * none gives back those of all. */
uint32_t
tickets_return(struct application *application, uint64_t lease, uint32_t count)
{
	struct keeper *keeper = application->keeper;
	struct seat_use *use, *next, *own = NULL;
	uint32_t n = 0;

	TAILQ_FOREACH(use, &keeper->tickets.uses, entry)
		if (lease != 0 && use->lease == lease && use->way == NULL &&
		    is_spoken_for(use, application) &&
		    (count == 0 || use->count == count))
			own = use; /* the latest */
	if (own != NULL)
		use_drop(own);
	if (own != NULL || count != 0)
		return own != NULL;
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
		(void)uses_write(keeper);
}

void
tickets_freed(struct keeper *keeper)
{
	if (keeper->borrows.book.n > 0 && !session_is_up(keeper))
		checkouts_try_tickets(keeper);
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
		use_lost(use,
		    err_code(use->keeper->session.refused == ERR_DEVICE_REVOKED
			    ? ERR_DEVICE_REVOKED
			    : ERR_GONE));
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
