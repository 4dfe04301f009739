/*
 * lease.attach: a device goes on with leases that it held before. What the
 * site knows is answered from memory and a view. What it does not know, and the
 * device brings evidence for, was granted on a branch of the journal that was
 * lost: that is read on the helper thread, and adopted by a command once an
 * admin has acknowledged; before that it proves that the store was put back.
 */
#include "appliance/ledger/inside.h"

#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/base/text.h"

#include <string.h>

/* 0: it goes on; ERR_GONE: not this device's any more; else a fault. A row costs
 * the reading of its batch, so it is looked up `*left` times at most. */
static int
attach_item(const struct request *request, struct ledger_view *view,
    const struct attach_item *item, size_t *left, struct arena *arena)
{
	struct ledger_lease lease;

	if (lease_held_by(request, item->lease) == NULL)
		return ERR_GONE;
	if (*left == 0)
		return ERR_BAD_REQUEST;
	(*left)--;
	arena_clear(arena);
	int rc = ledger_lease(&lease, view, item->lease, arena);

	if (rc != 0)
		return rc;
	if (lease.device != request->who.id ||
	    lease.row_number != item->row_number ||
	    lease.row.len != item->row.len ||
	    memcmp(lease.row.data, item->row.data, item->row.len) != 0)
		return ERR_GONE;
	return 0;
}

/* --- leases that this journal does not hold -------------------------------- */

/* One call's way: what became of each item. */
struct attaching {
	int *errs; /* of each */
	struct attach_reply reply;
	struct ledger_adopt adopt;
	uint32_t *adopted; /* which items those are */
	struct row_mark proof; /* generation 0: none */
};

/* The granting batch is none of ours: does that show a store that was put back,
 * or is it of a branch that was abandoned? */
static int
judge_origin(struct attaching *attaching, const struct call *call,
    const struct ledger_adopt_item *item)
{
	const struct guard_part part = { call->tenant->name,
		call->tenant->ledger };
	const struct row_mark mark = {
		.generation = item->origin.generation,
		.batch = item->origin.batch,
		.time = item->time,
	};
	struct row_mark place = mark;

	memcpy(place.head, item->origin.head, sizeof(place.head));
	int proof = guard_is_proof(&part, &place);

	if (proof <= 0)
		return proof;
	if (place.batch >= attaching->proof.batch)
		attaching->proof = place;
	return ERR_ROLLED_BACK;
}

/* On the helper thread. Errors of an item are its own; ERR_BUSY: it is one to
 * adopt. */
static int
look_at(struct attaching *attaching, struct call *call,
    struct ledger_view *view, uint32_t i)
{
	const struct attach *request = call->request;
	const struct attach_item *item =
	    (const struct attach_item *)request->leases.items + i;
	struct ledger_adopt *adopt = &attaching->adopt;

	if (adopt->count == LEDGER_ADOPT_MAX)
		return ERR_RATE_LIMITED;
	struct ledger_adopt_item *found = &adopt->items[adopt->count];
	int rc = ledger_adopt_read(found, call->tenant->ledger, item,
	    call->write.command.who.id, &call->arena);

	if (rc != 0)
		return rc == ERR_NOMEM ? rc : ERR_GONE;
	rc = ledger_holds(view, found->origin.batch, found->origin.head);
	if (rc != ERR_ROLLED_BACK) /* granted here, and it has ended */
		return rc == 0 ? ERR_GONE : rc;
	rc = judge_origin(attaching, call, found);
	if (rc != 0)
		return rc;
	attaching->adopted[adopt->count++] = i;
	return ERR_BUSY;
}

static void
run_look(struct work *work)
{
	struct call *call = (struct call *)work;
	struct command *command = &call->write.command;
	const struct attach *request = call->request;
	const struct attach_item *items = request->leases.items;
	struct attaching *attaching = call->own;
	struct ledger_view *view;

	command->err = ledger_view_open(&view, call->tenant->ledger);
	if (command->err != 0)
		return;
	for (uint32_t i = 0; i < request->leases.count; i++)
		if (attaching->errs[i] == ERR_GONE && items[i].header.len > 0)
			attaching->errs[i] = look_at(attaching, call, view, i);
	ledger_view_close(view);
}

static void
answer(struct call *call)
{
	const struct attach *request = call->request;
	const struct attach_item *items = request->leases.items;
	struct attaching *attaching = call->own;

	for (uint32_t i = 0; i < request->leases.count; i++)
		if (attaching->errs[i] != 0)
			lease_refuse(&attaching->reply.refused, items[i].lease,
			    attaching->errs[i]);
	call->reply = &attaching->reply;
	call_answer(call);
}

static void
finish_adopt(struct call *call)
{
	struct attaching *attaching = call->own;
	const struct ledger_adopt *adopt = &attaching->adopt;
	struct command *command = &call->write.command;
	uint32_t n = 0;

	if (command->err != 0 && command->err != ERR_ROLLED_BACK) {
		call->process->counts.refused++;
		call_answer(call);
		return;
	}
	for (uint32_t i = 0; i < adopt->count; i++) {
		int err =
		    command->err != 0 ? command->err : adopt->items[i].err;

		attaching->errs[attaching->adopted[i]] = err;
		n += err == 0;
	}
	command->err = 0;
	if (n > 0)
		log_info("ledger",
		    "tenant %s: device-%llu brought %u leases of an abandoned "
		    "branch, which go on",
		    call->tenant->name, (unsigned long long)command->who.id, n);
	answer(call);
}

static void
finish_look(struct call *call)
{
	struct attaching *attaching = call->own;
	struct command *command = &call->write.command;

	if (command->err != 0) {
		call_answer(call);
		return;
	}
	if (attaching->proof.generation != 0)
		rollback_look(call->tenant, &attaching->proof,
		    command->who.address, command->who.id);
	if (attaching->adopt.count == 0) {
		answer(call);
		return;
	}
	command->op = LEDGER_ADOPT;
	command->request = &attaching->adopt;
	call->finish = finish_adopt;
	call_commit(call);
}

/* What is known was looked at already. */
static void
look_further(const struct request *request, const int *errs)
{
	struct call *call = call_new(request);

	if (call == NULL)
		return;
	const struct attach *attach = call->request;
	uint32_t n = attach->leases.count;
	struct attaching *attaching =
	    arena_alloc(&call->arena, sizeof(*attaching));
	int *copy = arena_copy(&call->arena, errs, n * sizeof(*errs));

	call->own = attaching;
	call->finish = finish_look;
	call->write.command.counter = session_counter(request->session);
	if (attaching != NULL) {
		attaching->errs = copy;
		attaching->reply.refused.items =
		    arena_alloc(&call->arena, n * sizeof(struct lease_refused));
		attaching->adopt.items = arena_alloc(&call->arena,
		    LEDGER_ADOPT_MAX * sizeof(struct ledger_adopt_item));
		attaching->adopted = arena_alloc(&call->arena,
		    LEDGER_ADOPT_MAX * sizeof(uint32_t));
	}
	if (attaching == NULL || copy == NULL ||
	    attaching->reply.refused.items == NULL ||
	    attaching->adopt.items == NULL || attaching->adopted == NULL) {
		call->write.command.err = ERR_NOMEM;
		call_answer(call);
		return;
	}
	call_help(call, run_look);
}

/* --- the operation --------------------------------------------------------- */

static void
reply(const struct request *request, const struct attach *attach,
    const int *errs)
{
	const struct attach_item *items = attach->leases.items;
	struct attach_reply out = { 0 };

	out.refused.items = arena_alloc(&request->process->arena,
	    attach->leases.count * sizeof(struct lease_refused));
	if (out.refused.items == NULL) {
		request_refuse(request, ERR_NOMEM, NULL);
		return;
	}
	for (uint32_t i = 0; i < attach->leases.count; i++)
		if (errs[i] != 0)
			lease_refuse(&out.refused, items[i].lease, errs[i]);
	request_reply(request, &out);
}

void
lease_attach(const struct request *request)
{
	const struct attach *attach = request_read(request);
	struct arena scratch = { 0 };
	struct ledger_view *view;
	bool further = false;

	if (attach == NULL)
		return;
	const struct attach_item *items = attach->leases.items;
	int *errs = arena_alloc(&request->process->arena,
	    attach->leases.count * sizeof(*errs));
	int rc = errs == NULL
	    ? ERR_NOMEM
	    : ledger_view_open(&view, request->tenant->ledger);

	if (rc != 0) {
		request_refuse(request, rc, NULL);
		return;
	}
	/* Twice each: a keeper may have two rows that it takes for one's own.
	 */
	size_t left = 2 *
	    liveness_count_device(&request->tenant->liveness, request->who.id);

	for (uint32_t i = 0; rc == 0 && i < attach->leases.count; i++) {
		errs[i] =
		    attach_item(request, view, &items[i], &left, &scratch);
		if (errs[i] == ERR_GONE)
			further = further || items[i].header.len > 0;
		else
			rc = errs[i];
	}
	ledger_view_close(view);
	arena_release(&scratch);
	if (rc != 0)
		request_refuse(request, rc, NULL);
	else if (further)
		look_further(request, errs);
	else
		reply(request, attach, errs);
}
