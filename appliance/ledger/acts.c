#include "appliance/ledger/acts.h"

#include "appliance/ledger/denials.h"
#include "appliance/ledger/inside.h"

#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/base/text.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define MINUTE_MS ((int64_t)60 * 1000)
/* Rows that one turn of the loop makes at most. */
#define FLUSH_MAX 256

struct act {
	struct act *next;
	struct ledger_act told; /* count: how many are still to be told */
	int64_t minute;
};

/* --- which ------------------------------------------------------------------ */

static bool
is_of_seats(const struct operation *op)
{
	return op->scope == SCOPE_CHECKOUT || op->scope == SCOPE_RETURN ||
	    op->scope == SCOPE_BORROW || op->scope == SCOPE_DEVICE ||
	    op->scope == SCOPE_USAGE_WRITE || /* each event has a row */
	    op->scope == SCOPE_SESSION;
}

bool
acts_fold_done(const struct operation *op)
{
	return op->method != NULL && strcmp(op->method, "GET") == 0;
}

bool
acts_want_done(const struct operation *op)
{
	if (op->path == NULL || is_of_seats(op))
		return false;
	if (op->id == OP_UPDATE_PUT)
		return false; /* that it began is told, and what it was for */
	if (op->scope == SCOPE_OPEN)
		return op->kind == OPERATION_COMMAND;
	/* To look at people's data is an act. */
	return !acts_fold_done(op) || op->scope == SCOPE_SUBJECTS ||
	    op->id == OP_AUDIT_SEARCH;
}

bool
acts_want_refusal(const struct operation *op, int err)
{
	/* Faults, and what says something about the moment. */
	if (err > ERR_UNAUTHENTICATED || err == ERR_UNAVAILABLE)
		return false;
	/* These have rows with more to say. */
	if ((op->id == OP_LEASE_CHECKOUT || op->id == OP_BORROW_TAKE ||
		op->id == OP_SEAT_CHECKOUT) &&
	    denials_want(err))
		return false;
	return acts_want_done(op) || op->kind == OPERATION_COMMAND ||
	    op->id == OP_UPDATE_PUT;
}

/* --- what it is about -------------------------------------------------------- */

static void
fill_number(struct row_act *row, const char *key, uint64_t number)
{
	if (strcmp(key, "device") == 0 || strcmp(key, "key_id") == 0)
		row->device = number;
	else if (strcmp(key, "license") == 0)
		row->license = number;
	else if (strcmp(key, "lease") == 0)
		row->lease = number;
	else
		row->object = number;
}

static void
fill_field(struct row_act *row, const struct record_field *field,
    const uint8_t *at)
{
	uint64_t number;

	if (field->type == RECORD_U64) {
		memcpy(&number, at, sizeof(number));
		fill_number(row, field->key, number);
	} else if (field->type == RECORD_FIXED && field->size <= 16) {
		text_to_hex(row->about, at, field->size);
	} else if (field->type == RECORD_TEXT) {
		const char *text = (const char *)at;
		size_t prefix = strncmp(text, "key-", 4) == 0 ? 4 : 0;

		if (prefix > 0 &&
		    text_to_u64(&number, text + prefix, strlen(text + prefix)))
			fill_number(row, field->key, number);
		else
			text_copy(row->about, sizeof(row->about), text);
	}
}

void
acts_fill(struct row_act *row, const struct operation *op, const void *request)
{
	text_copy(row->operation, sizeof(row->operation), op->name);
	if (request == NULL || op->path == NULL)
		return;
	for (size_t i = 0; i < op->request->n_fields; i++) {
		const struct record_field *field = &op->request->fields[i];
		const char *at = strchr(op->path, '{');
		size_t len = strlen(field->key);

		for (; at != NULL; at = strchr(at + 1, '{'))
			if (strncmp(at + 1, field->key, len) == 0 &&
			    at[1 + len] == '}')
				fill_field(row, field,
				    (const uint8_t *)request + field->offset);
	}
}

/* --- rows ---------------------------------------------------------------------- */

static bool
can_tell(const struct tenant *tenant)
{
	return tenant->started && tenant->fault == 0 &&
	    !tenant->process->guard.frozen;
}

static bool
tell(struct tenant *tenant, const struct ledger_act *act)
{
	struct call *call = call_new_own(tenant, LEDGER_ACT, act, sizeof(*act));

	if (call == NULL)
		return false;
	call->finish = call_free;
	call_commit(call);
	return true;
}

static bool
is_same(const struct act *act, const struct ledger_act *other, int64_t minute)
{
	return act->minute == minute &&
	    act->told.row.by.id == other->row.by.id &&
	    act->told.row.by.kind == other->row.by.kind &&
	    strcmp(act->told.row.code, other->row.code) == 0 &&
	    strcmp(act->told.row.operation, other->row.operation) == 0;
}

static struct act *
find(const struct acts *acts, const struct ledger_act *told, int64_t minute)
{
	struct act *act = acts->first;

	while (act != NULL && !is_same(act, told, minute))
		act = act->next;
	return act;
}

static struct act *
find_or_add(struct acts *acts, struct ledger_act *told, int64_t minute)
{
	struct act *act = find(acts, told, minute);

	if (act == NULL && acts->n >= ACTS_MAX) {
		/* Whoever it was. */
		told->row.by = (struct row_actor){ ACTOR_SITE, 0 };
		told->address[0] = '\0';
		act = find(acts, told, minute);
	}
	if (act != NULL || acts->n >= (size_t)2 * ACTS_MAX)
		return act;
	act = calloc(1, sizeof(*act));
	if (act == NULL)
		return NULL;
	act->told = *told;
	act->told.row.count = 0;
	act->minute = minute;
	act->next = acts->first;
	acts->first = act;
	acts->n++;
	return act;
}

static void
fold(struct tenant *tenant, struct ledger_act *told)
{
	struct acts *acts = &tenant->acts;
	int64_t now = process_now(tenant->process);
	size_t before = acts->n;
	struct act *act = find_or_add(acts, told, now - now % MINUTE_MS);

	if (act == NULL) {
		acts->lost++;
		return;
	}
	/* The first one at once. */
	if (acts->n > before && can_tell(tenant) && tell(tenant, told))
		return;
	acts->pending += act->told.row.count == 0;
	act->told.row.count++;
}

void
acts_note(struct tenant *tenant, const struct operation *op,
    const struct row_actor *by, const char *address, const void *asked, int err)
{
	struct ledger_act told = { .row = { .by = *by, .count = 1 } };

	if (tenant == NULL || op->id == OP_NONE ||
	    !(err == 0 ? acts_want_done(op) : acts_want_refusal(op, err)))
		return;
	/* Nobody has said who he is. */
	if (op->scope == SCOPE_OPEN)
		told.row.by = (struct row_actor){ ACTOR_USER, 0 };
	acts_fill(&told.row, op, asked);
	text_copy(told.row.code, sizeof(told.row.code),
	    err == 0 ? "done" : err_code(err));
	text_copy(told.address, sizeof(told.address), address);
	if (err != 0 || acts_fold_done(op) || !can_tell(tenant) ||
	    !tell(tenant, &told))
		fold(tenant, &told);
}

void
acts_note_call(const struct call *call)
{
	const struct command *command = &call->write.command;
	struct row_actor by = { command->who.kind, command->who.id };

	if (call->op == NULL || (command->err == 0 && command->acted))
		return;
	acts_note(call->tenant, call->op, &by, command->who.address,
	    call->request, command->err);
}

void
acts_note_from(struct tenant *tenant, uint64_t device, const char *address)
{
	struct acts *acts = &tenant->acts;
	struct ledger_act told = { .row = { .by = { ACTOR_DEVICE, device },
				       .device = device,
				       .count = 1 } };
	uint8_t hash[crypto_generichash_BYTES_MIN];
	uint64_t from;

	if (acts->seen == NULL)
		acts->seen = calloc(ACTS_SEEN, sizeof(*acts->seen));
	if (acts->seen == NULL || address[0] == '\0' || !can_tell(tenant))
		return;
	crypto_generichash(hash, sizeof(hash), (const uint8_t *)address,
	    strlen(address), NULL, 0);
	memcpy(&from, hash, sizeof(from));
	struct act_seen *seen = &acts->seen[device % ACTS_SEEN];

	if (seen->device == device && seen->from == from)
		return;
	text_copy(told.row.operation, sizeof(told.row.operation),
	    "device.seen");
	text_copy(told.row.code, sizeof(told.row.code), "done");
	text_copy(told.address, sizeof(told.address), address);
	if (tell(tenant, &told))
		*seen = (struct act_seen){ device, from };
}

void
acts_flush(struct tenant *tenant, bool now)
{
	struct acts *acts = &tenant->acts;
	int64_t time = process_now(tenant->process);
	int64_t minute = now ? INT64_MAX : time - time % MINUTE_MS;
	size_t told = 0;

	if (!can_tell(tenant))
		return;
	for (struct act **link = &acts->first; *link != NULL;) {
		struct act *act = *link;

		if (act->minute >= minute || told == FLUSH_MAX) {
			link = &act->next;
			continue;
		}
		if (act->told.row.count > 0) {
			act->told.row.minute = act->minute;
			if (!tell(tenant, &act->told))
				return;
			acts->pending--;
			told++;
		}
		*link = act->next;
		acts->n--;
		free(act);
	}
	if (acts->lost > 0)
		log_warn("ledger", "acts that got no row: %llu",
		    (unsigned long long)acts->lost);
	acts->lost = 0;
}

void
acts_release(struct acts *acts)
{
	while (acts->first != NULL) {
		struct act *act = acts->first;

		acts->first = act->next;
		free(act);
	}
	free(acts->seen);
	*acts = (struct acts){ .first = NULL };
}
