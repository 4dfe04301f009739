#include "appliance/ledger/backup.h"

#include "appliance/ledger/tenant_use.h"
#include "appliance/setup/box_files.h"

#include "shared/backup/dump.h"
#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/base/text.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Bytes that are gathered before they go to the file. */
#define GATHER_BYTES ((size_t)256 << 10)

/* --- spools and who may ---------------------------------------------------- */

void
spool_own(struct spool *spool, const struct request *request,
    enum spool_use use)
{
	spool->use = use;
	spool->owner_kind = request->who.kind;
	spool->owner = request->who.id;
	text_copy(spool->tenant, sizeof(spool->tenant), request->tenant->name);
}

void
spool_hand_over(struct spool *spool, const struct spool *owned)
{
	spool->use = owned->use;
	spool->owner_kind = owned->owner_kind;
	spool->owner = owned->owner;
	memcpy(spool->tenant, owned->tenant, sizeof(spool->tenant));
}

struct spool *
spool_asked(const struct request *request, uint64_t number, enum spool_use use)
{
	struct spool *spool = spools_find(&request->process->spools, number);
	struct problem problem;

	if (spool != NULL && spool->use == (uint32_t)use &&
	    spool->owner_kind == request->who.kind &&
	    spool->owner == request->who.id &&
	    strcmp(spool->tenant, request->tenant->name) == 0) {
		spool->used_at = clock_boottime_ms();
		return spool;
	}
	problem_set(&problem, ERR_NOT_FOUND, "begin again",
	    "there is no copy of that number: it was never made, or nobody "
	    "asked for it in five minutes");
	request_refuse(request, ERR_NOT_FOUND, &problem);
	return NULL;
}

bool
spool_wanted(const struct request *request)
{
	struct problem problem;

	if (spools_reserve(&request->process->spools))
		return true;
	problem_set(&problem, ERR_BUSY, "try again soon",
	    "%d copies are being made and read at once already", SPOOLS_MAX);
	request_refuse(request, ERR_BUSY, &problem);
	return false;
}

/* --- making ---------------------------------------------------------------- */

static int
put_away(struct copying *copying)
{
	int err = copying->gathered.failed
	    ? ERR_NOMEM
	    : spool_write(copying->fd, copying->gathered.data,
		  copying->gathered.len);

	copying->bytes += copying->gathered.len;
	buf_clear(&copying->gathered);
	return err;
}

static int
gather(void *ctx, const void *data, size_t len)
{
	struct copying *copying = ctx;

	buf_add(&copying->gathered, data, len);
	return copying->gathered.len < GATHER_BYTES ? 0 : put_away(copying);
}

static const char *
key_name(const struct copying *copying)
{
	return copying->tenant != NULL ? copying->tenant->name : "system";
}

static int
put_sealed(struct dump_writer *out, const struct copying *copying,
    const uint8_t *site_secret, const char *entry, const void *secret,
    size_t len)
{
	uint8_t sealed[LEDGER_PERSON_KEY_BYTES + DUMP_SEALED_EXTRA];
	int err = dump_seal(sealed, secret, len, key_name(copying), entry,
	    site_secret);

	return err == 0 ? dump_entry(out, entry, strlen(entry), sealed,
			      len + DUMP_SEALED_EXTRA)
			: err;
}

/* And once more for whoever has the site's recovery key. */
static int
put_for_heir(struct dump_writer *out, const struct copying *copying,
    const char *entry, const void *secret, size_t len)
{
	uint8_t sealed[LEDGER_PERSON_KEY_BYTES + DUMP_HEIR_EXTRA];

	if (!copying->reply.heir)
		return 0;
	int err = dump_seal_heir(sealed, secret, len, key_name(copying), entry,
	    copying->heir);

	return err == 0 ? dump_entry(out, entry, strlen(entry), sealed,
			      len + DUMP_HEIR_EXTRA)
			: err;
}

/* What root sealed for him; the site cannot look into it. */
static int
put_box(struct dump_writer *out, struct copying *copying,
    const struct process *process)
{
	uint8_t *sealed = NULL;
	size_t len = 0;
	int err;

	if (!copying->reply.heir || copying->tenant != NULL)
		return 0;
	err = box_files_read(&sealed, &len, process->options->state);
	if (err == ERR_NOT_FOUND)
		return 0;
	if (err == 0)
		err = dump_entry(out, DUMP_HEIR_BOX, strlen(DUMP_HEIR_BOX),
		    sealed, len);
	copying->reply.box = err == 0;
	free(sealed);
	return err;
}

static int
put_heir_word(struct dump_writer *out, const struct copying *copying,
    const struct process *process)
{
	struct buf token = { 0 };

	if (!copying->reply.heir || copying->tenant != NULL)
		return 0;
	int err = succession_name(&token, process->site.site, copying->heir,
	    copying->reply.made_at, process->secret);

	if (err == 0)
		err = dump_entry(out, DUMP_HEIR_WORD, strlen(DUMP_HEIR_WORD),
		    token.data, token.len);
	buf_release(&token);
	return err;
}

/* The tenant's key, or that of the system store, for the site alone. */
static int
dump_key(struct dump_writer *out, struct copying *copying,
    const struct process *process, const uint8_t *people)
{
	uint8_t *key = sodium_malloc(SETUP_KEY_BYTES);

	if (key == NULL)
		return ERR_NOMEM;
	int err = setup_key(key, process->options->state, key_name(copying));

	if (err == 0)
		err = dump_table(out, DUMP_KEY_TABLE);
	if (err == 0)
		err = put_sealed(out, copying, process->secret, DUMP_KEY, key,
		    SETUP_KEY_BYTES);
	/* Entries go up by name: those of people follow "key". */
	if (err == 0 && people != NULL)
		err = put_sealed(out, copying, process->secret, DUMP_PEOPLE_KEY,
		    people, LEDGER_PERSON_KEY_BYTES);
	if (err == 0)
		err = put_for_heir(out, copying, DUMP_HEIR_KEY, key,
		    SETUP_KEY_BYTES);
	if (err == 0)
		err = put_box(out, copying, process);
	if (err == 0 && people != NULL)
		err = put_for_heir(out, copying, DUMP_HEIR_PEOPLE_KEY, people,
		    LEDGER_PERSON_KEY_BYTES);
	if (err == 0)
		err = put_heir_word(out, copying, process);
	sodium_free(key);
	return err;
}

/* What names of people lie under besides; of this snapshot. */
static int
dump_keys(struct dump_writer *out, struct copying *copying,
    const struct process *process, struct ledger_view *view)
{
	uint8_t *key = sodium_malloc(LEDGER_PERSON_KEY_BYTES);
	int err = key == NULL ? ERR_NOMEM : ledger_person_key(key, view);

	if (err == 0)
		err = dump_key(out, copying, process, key);
	sodium_free(key);
	return err;
}

int
copying_place(struct backup_part *reply, struct ledger_view *view)
{
	struct journal_header header;
	struct record_span token;
	struct arena arena = { 0 };
	int err = ledger_newest(&header, reply->head, &token, view, &arena);

	arena_release(&arena);
	if (err != 0)
		return err;
	reply->generation = header.generation;
	reply->batch = header.batch;
	reply->rows = header.first_row + header.rows - 1;
	return 0;
}

static int
dump_tenant(struct dump_writer *out, struct copying *copying,
    const struct process *process)
{
	struct ledger_view *view;
	int err = ledger_view_open(&view, copying->tenant->ledger);

	if (err != 0)
		return err;
	err = copying_place(&copying->reply, view);
	if (err == 0)
		err = dump_keys(out, copying, process, view);
	if (err == 0)
		err = ledger_dump(out, view);
	ledger_view_close(view);
	return err;
}

struct naming {
	struct arena *arena;
	struct record_list *list;
	size_t room;
};

static int
name_tenant(void *ctx, const struct system_tenant *tenant)
{
	struct naming *naming = ctx;
	struct vault_tenant *items = naming->list->items;

	if (naming->list->count == VAULT_TENANTS_MAX)
		return ERR_TOO_LARGE;
	if (naming->list->count == naming->room) {
		size_t room = naming->room == 0 ? 64 : 2 * naming->room;
		struct vault_tenant *more =
		    arena_alloc(naming->arena, room * sizeof(*more));

		if (more == NULL)
			return ERR_NOMEM;
		if (items != NULL)
			memcpy(more, items, naming->room * sizeof(*more));
		naming->list->items = items = more;
		naming->room = room;
	}
	memcpy(items[naming->list->count++].tenant, tenant->name,
	    sizeof(tenant->name));
	return 0;
}

static int
dump_stores(struct dump_writer *out, struct copying *copying, struct call *call)
{
	struct process *process = call->process;
	struct naming naming = { .arena = &call->arena,
		.list = &copying->reply.tenants };

	if (copying->tenant != NULL)
		return dump_tenant(out, copying, process);
	int err = dump_key(out, copying, process, NULL);

	if (err != 0)
		return err;
	/* Those made a moment later are in the copy, and found missing by
	 * nobody: their stores are not asked for. */
	err = system_each_tenant(process->system, name_tenant, &naming);

	return err == 0 ? system_dump(out, process->system) : err;
}

static void
run_copy(struct work *work)
{
	struct call *call = (struct call *)work;
	struct copying *copying = call->own;
	struct dump_writer out;
	int err = spool_file(&copying->fd, copying->folder);

	if (err == 0)
		err = dump_begin(&out, gather, copying);
	if (err == 0)
		err = copying->fill(&out, copying, call);
	if (err == 0)
		err = dump_end(&out);
	if (err == 0)
		err = put_away(copying);
	buf_release(&copying->gathered);
	call->write.command.err = err;
}

static void
finish_copy(struct call *call)
{
	struct process *process = call->process;
	struct command *command = &call->write.command;
	struct copying *copying = call->own;
	struct spool *spool = NULL;

	if (command->err != 0) {
		if (copying->fd >= 0)
			close(copying->fd);
		spools_give_up(&process->spools);
		if (command->err == ERR_FULL)
			problem_set(&command->problem, ERR_FULL,
			    "free some space on the site's disk, as much as "
			    "the store takes, and try again",
			    "there is no room on the site's disk for a copy");
		log_error("backup", "a copy of %s%s cannot be made: %s",
		    copying->tenant != NULL ? "tenant " : "the system store",
		    copying->tenant != NULL ? copying->tenant->name : "",
		    err_str(command->err));
		call_answer(call);
		return;
	}
	spool = spools_add(&process->spools, copying->fd, copying->bytes,
	    clock_boottime_ms());
	if (spool == NULL) {
		command->err = ERR_NOMEM;
		call_answer(call);
		return;
	}
	spool_hand_over(spool, &copying->owned);
	copying->reply.part = spool->number;
	copying->reply.bytes = spool->bytes;
	call->reply = &copying->reply;
	log_info("backup", "%s %llu copies %s%s: %llu bytes",
	    actor_kind_names[spool->owner_kind],
	    (unsigned long long)spool->owner,
	    copying->tenant != NULL ? "tenant " : "the system store",
	    copying->tenant != NULL ? copying->tenant->name : "",
	    (unsigned long long)spool->bytes);
	call_answer(call);
}

static void
fill_reply(struct backup_part *reply, struct process *process,
    const char *tenant)
{
	text_copy(reply->tenant, sizeof(reply->tenant), tenant);
	memcpy(reply->site, process->site.site, sizeof(reply->site));
	memcpy(reply->name, process->site.name, sizeof(reply->name));
	memcpy(reply->site_key, process->secret + 32, 32);
	text_copy(reply->software, sizeof(reply->software), PROCESS_SOFTWARE);
	reply->made_at = process_now(process);
	reply->succession = process->succession.steps;
}

/* Whose store is asked for; false: it was refused, or is asked anew once that
 * tenant is open. */
static bool
find_tenant(struct tenant **tenant, const struct request *request,
    const char *name)
{
	*tenant = name[0] != '\0' ? tenant_for(request, name) : NULL;
	return name[0] == '\0' || *tenant != NULL;
}

void
copying_begin(const struct request *request, struct tenant *tenant,
    enum spool_use use,
    int (*fill)(struct dump_writer *out, struct copying *copying,
	struct call *call))
{
	struct process *process = request->process;

	if (!spool_wanted(request))
		return;
	/* It is the tenant's call, which so stays open. */
	struct request of = *request;

	if (tenant != NULL)
		of.tenant = tenant;
	struct call *call = call_new(&of);

	if (call == NULL) {
		spools_give_up(&process->spools);
		return;
	}
	struct copying *copying = arena_alloc(&call->arena, sizeof(*copying));

	if (copying == NULL ||
	    setup_path(copying->folder, process->options->state, "system") !=
		0) {
		spools_give_up(&process->spools);
		call->write.command.err = ERR_NOMEM;
		call_answer(call);
		return;
	}
	copying->fd = -1;
	copying->tenant = tenant;
	copying->fill = fill;
	spool_own(&copying->owned, request, use);
	if (use == SPOOL_BACKUP)
		copying->reply.heir = setup_heir_read(copying->heir,
					  process->options->state) == 0;
	fill_reply(&copying->reply, process,
	    tenant != NULL ? tenant->name : "");
	call->own = copying;
	call->finish = finish_copy;
	call_vault(call, run_copy);
}

void
backup_begin_asked(const struct request *request)
{
	const struct backup_begin *asked = request_read(request);
	struct tenant *tenant;

	if (asked != NULL && find_tenant(&tenant, request, asked->tenant))
		copying_begin(request, tenant, SPOOL_BACKUP, dump_stores);
}

/* --- reading --------------------------------------------------------------- */

struct reading {
	struct spool *spool;
	uint64_t offset;
	struct backup_piece piece;
};

static void
run_read(struct work *work)
{
	struct call *call = (struct call *)work;
	struct reading *reading = call->own;
	uint8_t *data = arena_alloc(&call->arena, VAULT_PIECE_MAX);
	size_t got = 0;

	call->write.command.err = data == NULL
	    ? ERR_NOMEM
	    : spool_read_at(&got, reading->spool->fd, data, VAULT_PIECE_MAX,
		  reading->offset);
	reading->piece.data = (struct record_span){ data, (uint32_t)got };
	call->reply = &reading->piece;
}

static void
finish_read(struct call *call)
{
	struct reading *reading = call->own;

	reading->spool->busy--;
	call_answer(call);
}

void
spool_answer(const struct request *request, struct spool *spool,
    uint64_t offset)
{
	struct call *call = call_new(request);

	if (call == NULL)
		return;
	struct reading *reading = arena_alloc(&call->arena, sizeof(*reading));

	if (reading == NULL) {
		call->write.command.err = ERR_NOMEM;
		call_answer(call);
		return;
	}
	*reading = (struct reading){ .spool = spool, .offset = offset };
	spool->busy++;
	call->own = reading;
	call->finish = finish_read;
	call_query(call, run_read);
}

/* The same handlers serve exports, by their own numbers. */
static enum spool_use
use_of(const struct request *request)
{
	return request->op->id == OP_EXPORT_READ ||
		request->op->id == OP_EXPORT_END
	    ? SPOOL_EXPORT
	    : SPOOL_BACKUP;
}

void
backup_read_asked(const struct request *request)
{
	const struct backup_read *asked = request_read(request);
	struct spool *spool = asked == NULL
	    ? NULL
	    : spool_asked(request, asked->part, use_of(request));

	if (spool != NULL)
		spool_answer(request, spool, asked->offset);
}

void
backup_end_asked(const struct request *request)
{
	const struct backup_ref *asked = request_read(request);
	struct empty reply = { 0 };
	struct spool *spool = asked == NULL
	    ? NULL
	    : spool_asked(request, asked->part, use_of(request));

	if (spool == NULL)
		return;
	if (spool->busy > 0) {
		request_refuse(request, ERR_BUSY, NULL);
		return;
	}
	spools_remove(&request->process->spools, spool);
	request_reply(request, &reply);
}
