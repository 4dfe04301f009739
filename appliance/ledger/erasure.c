/*
 * Erasing a person, in the process around the ledger. Whether seats are held
 * for him is looked for on the reader's thread, page by page, for there may be
 * many leases; what was granted meanwhile the core looks at itself.
 */
#include "appliance/ledger/inside.h"
#include "appliance/ledger/people.h"

#include "shared/base/err.h"

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
		call_commit(call);
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
		call_commit(call);
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
