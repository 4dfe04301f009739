/* One store of a tenant in place of another, and which one it is after a crash;
 * tenant_restore.h has the steps. */
#include "appliance/ledger/guard.h"
#include "appliance/ledger/tenant_restore.h"
#include "appliance/ledger/updating.h"

#include "appliance/setup/restore_beside.h"
#include "shared/base/err.h"
#include "shared/base/log.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

static int
open_store(struct ledger **ledger, const struct process *process,
    const char *name, const char *path, const uint8_t *key)
{
	const struct ledger_options options = {
		.path = path,
		.site = process->site.site,
		.tenant = name,
		.site_public = process->secret + 32,
		.site_keys = &process->site_keys,
		.site_secret = process->secret,
		.tenant_key = key,
		.map_bytes = process->options->map_bytes,
		.map_grows = process->options->map_grows,
		.hold_format = updating_holds_format(process),
	};

	return ledger_open(ledger, &options);
}

static int
open_in_place(struct ledger **ledger, const struct process *process,
    const char *name, const uint8_t *key)
{
	char path[SETUP_PATH_MAX], folder[128];

	snprintf(folder, sizeof(folder), "tenants/%s/ledger", name);
	int err = setup_path(path, process->options->state, folder);

	return err == 0 ? open_store(ledger, process, name, path, key) : err;
}

static int
holds(struct ledger *ledger, const struct row_mark *mark)
{
	struct ledger_view *view;
	int err = ledger_view_open(&view, ledger);

	if (err != 0)
		return err;
	err = ledger_holds(view, mark->batch, mark->head);
	ledger_view_close(view);
	return err;
}

/* --- afterwards -------------------------------------------------------------- */

static int
look(bool *in_place, struct process *process, const char *name,
    const struct row_mark *mark)
{
	uint8_t *key = sodium_malloc(SETUP_KEY_BYTES);
	struct ledger *ledger = NULL;
	int err = key == NULL ? ERR_NOMEM
			      : setup_key(key, process->options->state, name);

	if (err == 0)
		err = open_in_place(&ledger, process, name, key);
	if (err == 0) {
		err = holds(ledger, mark);
		*in_place = err == 0;
		ledger_close(ledger);
	}
	sodium_free(key);
	return err == ERR_ROLLED_BACK ? 0 : err;
}

int
tenant_restore_settle(struct process *process, const char *name)
{
	struct row_mark mark;
	bool in_place = false;
	int err = system_restore_load(&mark, process->system, name);

	if (err != 0)
		return err == ERR_NOT_FOUND ? 0 : err;
	err = look(&in_place, process, name, &mark);
	if (err == 0)
		err = system_restore_end(process->system, name,
		    in_place ? &mark : NULL);
	if (err != 0)
		log_error("ledger",
		    "tenant %s was being put back to an older copy, and it "
		    "cannot be told how far that came: %s",
		    name, err_str(err));
	else
		log_warn("ledger",
		    "tenant %s was being put back to an older copy: %s is in "
		    "place",
		    name, in_place ? "that copy" : "the store before it");
	return err;
}

int
tenant_restore_clear(struct process *process, const char *name)
{
	int err = tenant_restore_settle(process, name);

	return err == 0 ? setup_beside_clear(process->options->state, name)
			: err;
}

/* --- the steps --------------------------------------------------------------- */

static int
step(const struct tenant_exchange *exchange, const char *name)
{
	return exchange->fault == NULL
	    ? 0
	    : exchange->fault(exchange->fault_ctx, name);
}

/* What the copy does not have: where the other one ends, or what somebody
 * proved that is further still. */
static int
find_lost(struct tenant_exchange *exchange, struct ledger *ledger)
{
	struct guard guard = { .system = exchange->process->system };
	const struct guard_part part = { exchange->name, ledger };
	const struct row_mark *until_now = &exchange->until_now;
	struct row_mark *lost = &exchange->lost;
	int err = guard_lost(lost, &guard, &part);

	if (err != 0)
		return err;
	err = holds(ledger, until_now);
	if (err == ERR_ROLLED_BACK) {
		if (until_now->generation > lost->generation ||
		    (until_now->generation == lost->generation &&
			until_now->batch > lost->batch))
			*lost = *until_now;
		return 0;
	}
	return err;
}

static int
commit_row(struct tenant_exchange *exchange, struct ledger *ledger)
{
	struct process *process = exchange->process;
	struct ledger_generation row = {
		.lost = exchange->lost,
		.witness = process->guard.witness != NULL
		    ? witness_class_of(process->guard.witness)
		    : WITNESS_FILE,
		.stored = exchange->counter,
		.witnessed = exchange->counter,
		.counter = exchange->counter,
	};
	struct command command = {
		.op = LEDGER_GENERATION,
		.who = exchange->who,
		.request = &row,
	};
	struct command *commands[] = { &command };

	snprintf(row.reason, sizeof(row.reason),
	    "restored from batch %llu: %.90s",
	    (unsigned long long)exchange->copied.batch, exchange->reason);
	randombytes_buf(command.entropy, sizeof(command.entropy));
	int err = step(exchange, "row");

	if (err == 0)
		err = ledger_commit(ledger, commands, 1, process_now(process),
		    NULL);
	if (err == ERR_FULL && ledger_grow(ledger) == 0) {
		arena_clear(&command.arena);
		command.err = 0;
		err = ledger_commit(ledger, commands, 1, process_now(process),
		    NULL);
	}
	if (err == 0)
		err = command.err;
	arena_release(&command.arena);
	return err;
}

static int
carry(struct tenant_exchange *exchange, struct ledger *copy)
{
	struct process *process = exchange->process;
	struct ledger *newer;
	int err = open_in_place(&newer, process, exchange->name, exchange->key);

	if (err != 0)
		return err;
	err = ledger_carry(&exchange->carried, copy, newer, &exchange->who,
	    process_now(process));
	ledger_close(newer);
	return err;
}

static int
begin_generation(struct tenant_exchange *exchange, struct ledger *ledger)
{
	struct ledger_view *view;
	int err = ledger_view_open(&view, ledger);

	if (err != 0)
		return err;
	err = ledger_mark(&exchange->copied, view);
	ledger_view_close(view);
	if (err == 0)
		err = find_lost(exchange, ledger);
	if (err == 0)
		err = commit_row(exchange, ledger);
	if (err == 0)
		err = step(exchange, "carry");
	if (err == 0)
		err = carry(exchange, ledger);
	if (err == 0)
		err = ledger_view_open(&view, ledger);
	if (err != 0)
		return err;
	err = ledger_mark(&exchange->now, view);
	ledger_view_close(view);
	return err;
}

int
tenant_exchange(struct tenant_exchange *exchange)
{
	struct process *process = exchange->process;
	const char *state = process->options->state, *name = exchange->name;
	char path[SETUP_PATH_MAX];
	struct ledger *ledger;
	int err = setup_beside_path(path, state, name);

	if (err == 0)
		err = open_store(&ledger, process, name, path, exchange->key);
	if (err != 0)
		return err;
	err = begin_generation(exchange, ledger);
	ledger_close(ledger);
	if (err == 0)
		err = step(exchange, "note");
	if (err == 0)
		err =
		    system_restore_begin(process->system, name, &exchange->now);
	if (err == 0)
		err = step(exchange, "exchange");
	if (err == 0)
		err = setup_beside_exchange(state, name);
	if (err == 0)
		err = step(exchange, "settle");
	return err == 0
	    ? system_restore_end(process->system, name, &exchange->now)
	    : err;
}
