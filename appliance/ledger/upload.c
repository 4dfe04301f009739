#include "appliance/ledger/upload.h"

#include "appliance/ledger/backup.h"
#include "appliance/ledger/store.h"
#include "appliance/ledger/tenant_restore.h"
#include "appliance/setup/setup.h"
#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/base/text.h"

#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* --- beginning --------------------------------------------------------------- */

static bool
refuse(const struct request *request, int err, const char *hint,
    const char *words)
{
	struct problem problem;

	problem_set(&problem, err, hint, "%s", words);
	request_refuse(request, err, &problem);
	return false;
}

static bool
is_known(const struct request *request, const struct restore_begin *asked)
{
	struct process *process = request->process;
	struct problem problem;

	if (strcmp(asked->site, process->site.site) != 0) {
		problem_set(&problem, ERR_CONFLICT, NULL,
		    "it is a backup of %s, and this is %s", asked->site,
		    process->site.site);
		request_refuse(request, ERR_CONFLICT, &problem);
		return false;
	}
	if (strcmp(asked->tenant, SETUP_TENANT) == 0)
		return refuse(request, ERR_FORBIDDEN,
		    "stop the site, and type: leaseholdd restore FILE --tenant "
		    "" SETUP_TENANT,
		    "the tenant " SETUP_TENANT " is the site's own: its admins "
		    "come through it, so it is restored while the site is "
		    "stopped");
	const struct tenant_entry *entry =
	    tenants_find(&process->known, asked->tenant);

	if (entry != NULL && entry->facts.status != TENANT_PROVISIONING &&
	    entry->facts.status != TENANT_DELETING)
		return true;
	problem_set(&problem, ERR_NOT_FOUND, "see: leasehold tenant list",
	    "the site has no tenant '%s'", asked->tenant);
	request_refuse(request, ERR_NOT_FOUND, &problem);
	return false;
}

/* The bytes, and the store that is made of them. */
static bool
has_room(const struct request *request, const char *folder, uint64_t bytes)
{
	struct statvfs disk;

	if (bytes <= STORE_MAP_BYTES && statvfs(folder, &disk) == 0 &&
	    (uint64_t)disk.f_bavail * disk.f_frsize / 3 >=
		bytes + UPLOAD_SPARE_BYTES)
		return true;
	return refuse(request, ERR_FULL,
	    "free some space on the site's disk, three times as much as the "
	    "store takes, and try again",
	    "there is no room on the site's disk for this copy");
}

/* One that is over makes room: its outcome is in the tenant's journal. */
static bool
is_first(const struct request *request)
{
	struct spools *spools = &request->process->spools;
	struct spool *spool = spools->first, *next;
	int n = 0;

	for (; spool != NULL; spool = next) {
		next = spool->next;
		if (spool->use != SPOOL_RESTORE)
			continue;
		if (spool->busy == 0 && tenant_restore_is_over(spool))
			spools_remove(spools, spool);
		else
			n++;
	}
	return n < UPLOADS_MAX
	    ? true
	    : refuse(request, ERR_BUSY, "try again in five minutes",
		  "another copy is being sent and put back already");
}

static void
tell_place(const struct request *request, const struct spool *spool)
{
	const struct restore_place reply = {
		.part = spool->number,
		.offset = spool->bytes,
	};

	request_reply(request, &reply);
}

void
restore_begin_asked(const struct request *request)
{
	const struct restore_begin *asked = request_read(request);
	struct process *process = request->process;
	struct spools *spools = &process->spools;
	char folder[SETUP_PATH_MAX];
	int fd = -1;

	if (asked == NULL || !is_known(request, asked) || !is_first(request))
		return;
	int rc = setup_path(folder, process->options->state, "system");

	if (rc != 0) {
		request_refuse(request, rc, NULL);
		return;
	}
	if (!has_room(request, folder, asked->bytes) || !spool_wanted(request))
		return;
	rc = spool_file(&fd, folder);
	if (rc != 0) {
		spools_give_up(spools);
		request_refuse(request, rc, NULL);
		return;
	}
	struct spool *spool = spools_add(spools, fd, 0, clock_boottime_ms());

	if (spool == NULL) {
		request_refuse(request, ERR_NOMEM, NULL);
		return;
	}
	spool_own(spool, request, SPOOL_RESTORE);
	spool->expected = asked->bytes;
	text_copy(spool->about, sizeof(spool->about), asked->tenant);
	tell_place(request, spool);
}

/* --- pieces ------------------------------------------------------------------ */

struct putting {
	struct spool *spool;
	uint64_t skip; /* bytes of it that are there already */
	struct restore_place reply;
};

static void
run_put(struct work *work)
{
	struct call *call = (struct call *)work;
	const struct restore_put *asked = call->request;
	const struct putting *putting = call->own;

	call->write.command.err =
	    spool_write_at(putting->spool->fd, asked->data.data + putting->skip,
		asked->data.len - putting->skip, putting->spool->bytes);
}

static void
finish_put(struct call *call)
{
	const struct restore_put *asked = call->request;
	struct command *command = &call->write.command;
	struct putting *putting = call->own;
	struct spool *spool = putting->spool;

	spool->busy--;
	spool->used_at = clock_boottime_ms();
	if (command->err == 0)
		spool->bytes = asked->offset + asked->data.len;
	else if (command->err == ERR_FULL)
		problem_set(&command->problem, ERR_FULL,
		    "free some space on the site's disk, and begin again",
		    "there is no room on the site's disk for this copy");
	putting->reply = (struct restore_place){
		.part = spool->number,
		.offset = spool->bytes,
	};
	call->reply = &putting->reply;
	call_answer(call);
}

/* A retry repeats a piece that is there, or its beginning. */
static bool
fits(const struct request *request, const struct restore_put *asked,
    const struct spool *spool)
{
	struct problem problem;

	if (asked->offset > spool->bytes) {
		problem_set(&problem, ERR_CONFLICT,
		    "go on where the last answer says",
		    "this piece begins with byte %llu, and what is there ends "
		    "before byte %llu: there is a gap",
		    (unsigned long long)asked->offset,
		    (unsigned long long)spool->bytes);
		request_refuse(request, ERR_CONFLICT, &problem);
		return false;
	}
	if (asked->data.len <= spool->expected &&
	    asked->offset <= spool->expected - asked->data.len)
		return true;
	problem_set(&problem, ERR_BAD_REQUEST, NULL,
	    "this piece ends behind byte %llu, which was said to be the last",
	    (unsigned long long)spool->expected);
	request_refuse(request, ERR_BAD_REQUEST, &problem);
	return false;
}

static void
write_piece(const struct request *request, struct spool *spool, uint64_t skip)
{
	struct call *call = call_new(request);

	if (call == NULL)
		return;
	struct putting *putting = arena_alloc(&call->arena, sizeof(*putting));

	if (putting == NULL) {
		call->write.command.err = ERR_NOMEM;
		call_answer(call);
		return;
	}
	*putting = (struct putting){ .spool = spool, .skip = skip };
	spool->busy++;
	call->own = putting;
	call->finish = finish_put;
	call_query(call, run_put);
}

void
restore_put_asked(const struct request *request)
{
	const struct restore_put *asked = request_read(request);
	struct spool *spool = asked == NULL
	    ? NULL
	    : spool_asked(request, asked->part, SPOOL_RESTORE);

	if (spool == NULL || !fits(request, asked, spool))
		return;
	if (spool->busy > 0)
		refuse(request, ERR_BUSY, "try again soon",
		    "another piece of it is being written, or it is being put "
		    "back");
	else if (asked->offset + asked->data.len <= spool->bytes)
		tell_place(request, spool);
	else
		write_piece(request, spool, spool->bytes - asked->offset);
}

void
restore_drop_asked(const struct request *request)
{
	const struct backup_ref *asked = request_read(request);
	const struct empty reply = { 0 };
	struct spool *spool = asked == NULL
	    ? NULL
	    : spool_asked(request, asked->part, SPOOL_RESTORE);

	if (spool == NULL)
		return;
	if (spool->busy > 0) {
		request_refuse(request, ERR_BUSY, NULL);
		return;
	}
	spools_remove(&request->process->spools, spool);
	request_reply(request, &reply);
}
