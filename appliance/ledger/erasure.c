/*
 * One person's data, in the process around the ledger. Whether seats are held
 * for who is to be erased is looked for on the reader's thread, page by page,
 * for there may be many leases; what was granted meanwhile the core looks at
 * itself.
 *
 * Who is whom to call at the tenant stands in the system store. Then the order
 * is: the core says that the erasure would be done; the contact goes; the core
 * does it. So what is signed is never more than what is so, and after a crash
 * between the last two the same command goes on: the contact is gone, the rest
 * is still to go, and nobody was told anything. Nothing is to be repaired.
 *
 * To an export the process adds what no store has: who is logged in.
 */
#include "appliance/ledger/inside.h"
#include "appliance/ledger/people.h"

#include "shared/base/clock.h"
#include "shared/base/err.h"

#include <sodium.h>
#include <string.h>

#define NAMED_MAX 6

struct erasure_look {
	uint64_t after;
	uint64_t held;
	uint64_t leases[NAMED_MAX];
	uint64_t granted;
	bool more;
};

static void
note_leases(struct erasure_look *look, const struct lease_page *page)
{
	const struct lease_view *items = page->items.items;

	for (uint32_t i = 0; i < page->items.count; i++) {
		if (look->held < NAMED_MAX)
			look->leases[look->held] = items[i].lease;
		look->held++;
	}
	look->more = page->next != 0;
	look->after = page->next;
}

/* On the reader's thread. */
static void
run_look(struct work *work)
{
	struct call *call = (struct call *)work;
	struct erasure_look *look = call->own;
	struct arena arena = { .chunks = NULL };
	struct lease_page page;
	struct ledger_view *view;
	int err = ledger_view_open(&view, call->tenant->ledger);

	if (err == 0) {
		err = ledger_person_leases(&page, &look->granted, view,
		    call->request, look->after, &arena);
		ledger_view_close(view);
	}
	if (err == 0)
		note_leases(look, &page);
	arena_release(&arena);
	call->write.command.err = err;
}

/* Who has no account any more has no session. */
static void
finish_erased(struct call *call)
{
	const struct command *command = &call->write.command;
	const struct record_list *users = &command->reply.person_erased.users;

	for (uint32_t i = 0; command->err == 0 && i < users->count; i++)
		user_sessions_end_user(call->process->people->sessions,
		    call->tenant->name,
		    ((const struct row_number *)users->items)[i].number, 0);
	command_finish(call);
}

/* --- whom to call ----------------------------------------------------------- */

static int
find_contact(struct tenant_contact *contact, struct call *call,
    const char *name)
{
	return system_contact_find(contact, call->process->system,
	    call->tenant->name, name);
}

/* On the helper's thread. */
static void
run_forget(struct work *work)
{
	struct call *call = (struct call *)work;
	const struct person_erase *erase = call->request;
	int err = system_contact_erase(call->process->system,
	    call->tenant->name, erase->name);

	/* Somebody else erased it meanwhile, or put another there. */
	call->write.command.erases_contact = err == 0;
	call->write.command.err = err == ERR_NOT_FOUND ? 0 : err;
}

static void
forgotten(struct call *call)
{
	struct command *command = &call->write.command;

	command->rehearses = false;
	call->finish = finish_erased;
	if (command->err != 0)
		command_finish(call);
	else
		call_commit(call);
}

static void
rehearsed(struct call *call)
{
	call->finish = forgotten;
	if (call->write.command.err != 0)
		command_finish(call);
	else
		call_help(call, run_forget);
}

/* On the helper's thread. */
static void
run_contact(struct work *work)
{
	struct call *call = (struct call *)work;
	const struct person_erase *erase = call->request;
	struct tenant_contact contact;
	int err = find_contact(&contact, call, erase->name);

	sodium_memzero(&contact, sizeof(contact));
	call->write.command.erases_contact = err == 0;
	call->write.command.err = err == ERR_NOT_FOUND ? 0 : err;
}

static void
contact_known(struct call *call)
{
	struct command *command = &call->write.command;

	command->rehearses = command->erases_contact;
	call->finish = command->rehearses ? rehearsed : finish_erased;
	if (command->err != 0)
		command_finish(call);
	else
		call_commit(call);
}

static void
ask_contact(struct call *call)
{
	call->finish = contact_known;
	call_help(call, run_contact);
}

/* --- seats ------------------------------------------------------------------ */

static void
looked(struct call *call)
{
	struct command *command = &call->write.command;
	const struct erasure_look *look = call->own;

	if (command->err == 0 && look->more) {
		call_query(call, run_look);
		return;
	}
	if (command->err == 0 && look->held > 0)
		ledger_refuse_held(command, look->held, look->leases,
		    look->held < NAMED_MAX ? (uint32_t)look->held : NAMED_MAX);
	command->unseen_from = look->granted;
	call->finish = finish_erased;
	if (command->err != 0)
		command_finish(call);
	else
		ask_contact(call);
}

void
erasure_asked(const struct request *request)
{
	struct call *call = call_new(request);

	if (call == NULL)
		return;
	const struct person_erase *erase = call->request;

	call->finish = finish_erased;
	call->write.command.scopes = request->scopes;
	if (erase->force) {
		ask_contact(call);
		return;
	}
	call->own = arena_alloc(&call->arena, sizeof(struct erasure_look));
	if (call->own == NULL) {
		call->write.command.err = ERR_NOMEM;
		command_finish(call);
		return;
	}
	*(struct erasure_look *)call->own = (struct erasure_look){ 0 };
	call->finish = looked;
	call_query(call, run_look);
}

/* --- export ----------------------------------------------------------------- */

static int
add_contact(struct person_data *data, struct call *call)
{
	const struct person_export *asked = call->request;
	struct tenant_contact contact;
	struct buf json = { 0 };
	int err = find_contact(&contact, call, asked->name);

	if (err != 0)
		return err == ERR_NOT_FOUND ? 0 : err;
	struct person_document *items = arena_alloc(&call->arena,
	    (data->documents.count + 1) * sizeof(*items));

	record_write_json(&json, &tenant_contact_record, &contact);
	sodium_memzero(&contact, sizeof(contact));
	const void *text =
	    json.failed ? NULL : arena_copy(&call->arena, json.data, json.len);

	if (items != NULL && text != NULL) {
		struct person_document *item = &items[data->documents.count];

		if (data->documents.count > 0)
			memcpy(items, data->documents.items,
			    data->documents.count * sizeof(*items));
		memset(item, 0, sizeof(*item));
		memcpy(item->kind, "contact", sizeof("contact"));
		item->text = (struct record_span){ text, (uint32_t)json.len };
		data->documents.items = items;
		data->documents.count++;
	}
	buf_release(&json);
	return items != NULL && text != NULL ? 0 : ERR_NOMEM;
}

/* On the reader's thread. */
static void
run_export(struct work *work)
{
	struct call *call = (struct call *)work;
	struct command *command = &call->write.command;
	const struct person_export *asked = call->request;
	struct ledger_view *view;

	call->reply = arena_alloc(&call->arena, call->op->reply->size);
	command->err = call->reply == NULL
	    ? ERR_NOMEM
	    : ledger_view_open(&view, call->tenant->ledger);
	if (command->err != 0)
		return;
	command->err = ledger_query(call->reply, view, call->op->id, asked,
	    process_now(call->process), &call->arena, &command->problem);
	ledger_view_close(view);
	if (command->err == 0 && asked->cursor[0] == '\0')
		command->err = add_contact(call->reply, call);
}

/* Of the users of this page. */
static int
add_sessions(struct person_data *data, struct call *call)
{
	const struct user_session *found[USER_SESSIONS_EACH];
	const struct person_document *items = data->documents.items;
	struct login_session *sessions =
	    arena_alloc(&call->arena, PERSON_SESSIONS_MAX * sizeof(*sessions));
	uint32_t n = 0;

	_Static_assert(ERASURE_USERS_MAX * USER_SESSIONS_EACH <=
		PERSON_SESSIONS_MAX,
	    "all of a page");
	if (sessions == NULL)
		return ERR_NOMEM;
	for (uint32_t i = 0; i < data->documents.count; i++) {
		if (strcmp(items[i].kind, "user") != 0)
			continue;
		size_t some = user_sessions_list(found, USER_SESSIONS_EACH,
		    call->process->people->sessions, call->tenant->name,
		    items[i].number, clock_boottime_ms());

		for (size_t k = 0; k < some; k++)
			user_session_view(&sessions[n++], found[k], 0);
	}
	data->sessions = (struct record_list){ sessions, n };
	return 0;
}

static void
finish_export(struct call *call)
{
	struct command *command = &call->write.command;

	if (command->err == 0)
		command->err = add_sessions(call->reply, call);
	if (command->err != 0)
		call->process->counts.refused++;
	call_answer(call);
}

void
person_export_asked(const struct request *request)
{
	struct call *call = call_new(request);

	if (call == NULL)
		return;
	call->finish = finish_export;
	call_query(call, run_export);
}
