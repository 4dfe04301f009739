#include "appliance/ledger/tenant_delete.h"

#include "appliance/ledger/events.h"

#include "appliance/ledger/tenant_use.h"
#include "appliance/setup/tenant.h"
#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/base/text.h"

#include <stdlib.h>
#include <string.h>

/* What is under way when it begins ends long before. */
#define WAIT_MS ((int64_t)20 * 1000)
#define PAGE_MAX 50

static const char what_there_was[] =
    "the key of the tenant and that of the names in it, its journal and state "
    "with devices, users, keys, leases and subjects, its host names, profile, "
    "daily figures and admins' keys";

struct deleting {
	struct process *process;
	struct tenant_entry *entry;
	struct tenant *tenant;
	struct system_tenant before; /* as the system store has it */
	int64_t since;
	bool noted; /* step 2 is done */
	struct system_deletion deletion;
	struct tenant_deleted reply;
};

/* --- the certificate --------------------------------------------------------- */

static int
count_lease(void *ctx, const struct ledger_lease *lease)
{
	(void)lease;
	++*(uint64_t *)ctx;
	return 0;
}

static int
read_leases(uint64_t *leases, struct tenant *tenant)
{
	struct ledger_view *view;

	*leases = 0;
	int err = ledger_view_open(&view, tenant->ledger);

	if (err != 0)
		return err;
	err = ledger_each_lease(view, 0, count_lease, leases);
	ledger_view_close(view);
	return err;
}

static int
read_end(struct deletion_certificate *out, struct ledger_view *view)
{
	struct journal_header header;
	struct record_span token;
	struct arena arena = { 0 };
	int err = ledger_newest(&header, out->head, &token, view, &arena);

	arena_release(&arena);
	if (err != 0)
		return err;
	out->generation = header.generation;
	out->batch = header.batch;
	out->rows = header.first_row + header.rows - 1;
	out->totals = header.totals;
	out->devices = ledger_devices(view);
	return ledger_each_lease(view, 0, count_lease, &out->leases);
}

static int
sign(struct deleting *deleting)
{
	struct deletion_certificate *out = &deleting->reply.certificate;
	struct system_deletion *deletion = &deleting->deletion;
	struct buf json = { 0 }, token = { 0 };

	record_write_json(&json, &deletion_certificate_record, out);
	int err = json.failed ? ERR_NOMEM
			      : token_sign(&token, TOKEN_DELETION, json.data,
				    json.len, deleting->process->secret);

	if (err == 0 &&
	    !text_copy(deletion->token, sizeof(deletion->token),
		buf_text(&token)))
		err = ERR_TOO_LARGE;
	buf_release(&json);
	buf_release(&token);
	deletion->number = out->number;
	memcpy(deletion->tenant, out->tenant, sizeof(deletion->tenant));
	memcpy(deleting->reply.token, deletion->token,
	    sizeof(deleting->reply.token));
	return err;
}

static int
certify(struct deleting *deleting)
{
	struct deletion_certificate *out = &deleting->reply.certificate;
	struct process *process = deleting->process;
	struct ledger_view *view;
	int err = ledger_view_open(&view, deleting->tenant->ledger);

	if (err != 0)
		return err;
	err = read_end(out, view);
	ledger_view_close(view);
	if (err != 0)
		return err;
	memcpy(out->site, process->site.site, sizeof(out->site));
	memcpy(out->site_key, process->secret + 32, sizeof(out->site_key));
	out->number = deleting->before.number;
	out->created_at = deleting->before.created_at;
	out->deleted_at = process_now(process);
	text_copy(out->deleted, sizeof(out->deleted), what_there_was);
	return sign(deleting);
}

/* --- on the opener's thread ---------------------------------------------------- */

int
tenant_delete_end(struct process *process, const char *name)
{
	int rc = setup_tenant_remove(process->options->state, name);

	if (rc == 0)
		rc = system_deletion_keep(process->system, name);
	if (rc == 0)
		rc = system_tenant_delete(process->system, name);
	if (rc != 0)
		log_error("ledger",
		    "tenant %s is not deleted to its end (%s); the next start "
		    "goes on with it",
		    name, err_str(rc));
	else
		log_info("ledger", "tenant %s is deleted", name);
	return rc;
}

static void
run_delete(struct work *work)
{
	struct call *call = (struct call *)work;
	struct deleting *deleting = call->own;
	struct system_tenant tenant = deleting->before;
	int err = certify(deleting);

	tenant.status = TENANT_DELETING;
	if (err == 0)
		err = system_deletion_begin(deleting->process->system, &tenant,
		    &deleting->deletion);
	deleting->noted = err == 0;
	tenant_close(deleting->tenant);
	deleting->tenant = NULL;
	if (err == 0)
		err = tenant_delete_end(deleting->process, tenant.name);
	call->write.command.err = err;
}

/* --- in the loop ---------------------------------------------------------------- */

static void
finish_delete(struct call *call)
{
	struct deleting *deleting = call->own;
	struct process *process = deleting->process;
	struct tenant_entry *entry = deleting->entry;
	struct command *command = &call->write.command;

	/* Its status stays when only the end of it is missing. */
	if (!deleting->noted)
		entry->facts.status = deleting->before.status;
	if (command->err == 0) {
		session_close_all(process, entry, "the tenant was deleted");
		log_warn("ledger",
		    "ALERT: admin key %llu deleted tenant %s of %llu rows",
		    (unsigned long long)command->who.id, entry->facts.name,
		    (unsigned long long)deleting->reply.certificate.rows);
		call->reply = &deleting->reply;
		tenants_remove(&process->known, entry);
		entry = NULL;
	} else {
		log_error("ledger", "tenant %s cannot be deleted: %s",
		    entry->facts.name, err_str(command->err));
	}
	tenant_give_back(process, entry);
	call_answer(call);
}

bool
tenant_delete_step(struct tenant *tenant)
{
	struct call *call = tenant->deleting;
	struct deleting *deleting = call->own;
	struct process *process = tenant->process;

	session_close_all(process, tenant->entry, "the tenant is deleted");
	events_close_tenant(tenant);
	if (!tenant_is_still(tenant)) {
		if (clock_boottime_ms() - deleting->since > WAIT_MS)
			tenant_delete_refuse(tenant,
			    "what is under way there did not end; nothing was "
			    "deleted: try again");
		return false;
	}
	tenant_take(tenant);
	call->finish = finish_delete;
	call_open(call, run_delete);
	return true;
}

void
tenant_delete_refuse(struct tenant *tenant, const char *words)
{
	struct call *call = tenant->deleting;
	const struct deleting *deleting = call->own;
	struct command *command = &call->write.command;

	tenant->deleting = NULL;
	tenant->entry->facts.status = deleting->before.status;
	command->err = ERR_BUSY;
	problem_set(&command->problem, ERR_BUSY, NULL, "%s", words);
	call_answer(call);
}

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
is_meant(const struct request *request, const struct tenant_delete *asked)
{
	if (strcmp(asked->confirm, asked->tenantId) != 0)
		return refuse(request, ERR_BAD_REQUEST, NULL,
		    "confirm is not the tenant's name: nothing was deleted");
	if (strcmp(asked->tenantId, SETUP_TENANT) == 0)
		return refuse(request, ERR_FORBIDDEN, NULL,
		    "the tenant " SETUP_TENANT " is the site's own: it goes "
		    "with the site");
	if (asked->force && asked->reason[0] == '\0')
		return refuse(request, ERR_BAD_REQUEST, NULL,
		    "force needs a reason, which the certificate says");
	return true;
}

static bool
may_go(const struct request *request, const struct tenant_delete *asked,
    struct tenant *tenant)
{
	struct problem problem;
	uint64_t leases = 0;
	int err = read_leases(&leases, tenant);

	if (err != 0) {
		request_refuse(request, err, NULL);
		return false;
	}
	if (leases == 0 || asked->force)
		return true;
	problem_set(&problem, ERR_CONFLICT,
	    "see: leasehold leases; or delete it all the same, with --force "
	    "--reason TEXT",
	    "%llu leases of tenant %s are held: who holds them would lose "
	    "them. Nothing was deleted",
	    (unsigned long long)leases, asked->tenantId);
	request_refuse(request, ERR_CONFLICT, &problem);
	return false;
}

void
tenant_delete_asked(const struct request *request)
{
	const struct tenant_delete *asked = request_read(request);
	struct tenant *tenant = asked != NULL && is_meant(request, asked)
	    ? tenant_for(request, asked->tenantId)
	    : NULL;

	if (tenant == NULL)
		return;
	if (tenant->restoring != NULL) {
		refuse(request, ERR_CONFLICT, NULL,
		    "the tenant is being put back to an older copy; nothing "
		    "was deleted");
		return;
	}
	if (!may_go(request, asked, tenant))
		return;
	struct call *call = call_new(request);

	if (call == NULL)
		return;
	struct deleting *deleting =
	    arena_alloc(&call->arena, sizeof(*deleting));

	if (deleting == NULL) {
		call->write.command.err = ERR_NOMEM;
		call_answer(call);
		return;
	}
	struct deletion_certificate *out = &deleting->reply.certificate;

	deleting->process = request->process;
	deleting->entry = tenant->entry;
	deleting->tenant = tenant;
	deleting->before = tenant->entry->facts;
	deleting->since = clock_boottime_ms();
	text_copy(out->tenant, sizeof(out->tenant), tenant->name);
	text_copy(out->reason, sizeof(out->reason), asked->reason);
	out->by.kind = request->who.kind;
	out->by.id = request->who.id;
	call->own = deleting;
	tenant->deleting = call;
	/* From now on nobody finds it; the tick goes on. */
	tenant->entry->facts.status = TENANT_DELETING;
}

/* --- certificates ---------------------------------------------------------------- */

struct listing {
	const struct certificate_query *asked;
	struct certificate_page page;
	uint32_t limit;
};

static int
list_one(void *ctx, const struct system_deletion *deletion)
{
	struct listing *listing = ctx;
	struct certificate_view *items = listing->page.items.items;

	if (listing->asked->tenant[0] != '\0' &&
	    strcmp(listing->asked->tenant, deletion->tenant) != 0)
		return 0;
	if (listing->page.items.count == listing->limit) {
		listing->page.next =
		    items[listing->page.items.count - 1].number;
		return 1;
	}
	struct certificate_view *item = &items[listing->page.items.count++];

	item->number = deletion->number;
	memcpy(item->tenant, deletion->tenant, sizeof(item->tenant));
	memcpy(item->token, deletion->token, sizeof(item->token));
	return 0;
}

static void
run_list(struct work *work)
{
	struct call *call = (struct call *)work;
	struct listing *listing = arena_alloc(&call->arena, sizeof(*listing));
	struct command *command = &call->write.command;

	command->err = ERR_NOMEM;
	if (listing == NULL)
		return;
	listing->asked = call->request;
	listing->limit = listing->asked->limit;
	if (listing->limit == 0 || listing->limit > PAGE_MAX)
		listing->limit = PAGE_MAX;
	listing->page.items.items = arena_alloc(&call->arena,
	    listing->limit * sizeof(struct certificate_view));
	if (listing->page.items.items == NULL)
		return;
	int err = system_each_deletion(call->process->system,
	    listing->asked->after, list_one, listing);

	command->err = err > 0 ? 0 : err;
	call->reply = &listing->page;
}

void
certificate_list_asked(const struct request *request)
{
	struct call *call = call_new(request);

	if (call == NULL)
		return;
	call->finish = call_answer;
	call_query(call, run_list);
}
