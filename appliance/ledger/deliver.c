#include "appliance/ledger/deliver.h"

#include "appliance/ledger/lanes.h"
#include "appliance/ledger/people.h"
#include "appliance/ledger/tenant_use.h"
#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/base/text.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

const struct deliver_policy deliver_default = {
	.first_ms = 5000,
	.most_ms = 3600000,
	.attempts = 24,
};

struct deliver {
	bool woken;
	bool looking;
	uint64_t turn; /* of looks: whose is first */
	uint64_t waiting; /* as the last look found them */
	int64_t next_at; /* boottime; 0: nothing is due */
	size_t n_going;
	struct table going; /* row and channel -> struct going */
};

/* On its way. It may outlive its tenant, which may close. */
struct going {
	struct process *process;
	char tenant[64];
	uint64_t serial;
	uint64_t place;
	uint64_t row, channel;
	uint32_t part, attempts;
	uint8_t id[DELIVERY_ID_BYTES];
};

int64_t
deliver_backoff_ms(const struct deliver_policy *policy, uint32_t attempts,
    uint32_t random)
{
	int64_t wait = policy->first_ms;

	for (uint32_t i = 1; i < attempts && wait < policy->most_ms; i++)
		wait *= 2;
	if (wait > policy->most_ms)
		wait = policy->most_ms;
	return wait / 2 +
	    (int64_t)((uint64_t)random * (uint64_t)(wait / 2) / UINT32_MAX);
}

/* Two that share a place wait for each other: no harm; and parts of a row are of
 * one customer, who has them in order. */
static uint64_t
place_of(uint64_t row, uint64_t channel)
{
	return row << 12 | (channel & 0xfff);
}

int
deliver_open(struct tenant *tenant)
{
	tenant->deliver = calloc(1, sizeof *tenant->deliver);
	if (tenant->deliver == NULL)
		return ERR_NOMEM;
	tenant->deliver->woken = true;
	return 0;
}

void
deliver_close(struct tenant *tenant)
{
	if (tenant->deliver == NULL)
		return;
	/* They are the process's. */
	table_release(&tenant->deliver->going);
	free(tenant->deliver);
	tenant->deliver = NULL;
}

void
deliver_wake(struct tenant *tenant)
{
	tenant->deliver->woken = true;
	deliver_tick(tenant);
}

bool
deliver_waits(const struct tenant *tenant)
{
	const struct deliver *deliver = tenant->deliver;

	return deliver->woken || deliver->looking || deliver->waiting > 0 ||
	    deliver->n_going > 0;
}

void
deliver_release(struct process *process)
{
	struct going *going;
	size_t at = 0;

	while ((going = table_next(&process->going, &at)) != NULL)
		free(going);
	table_release(&process->going);
}

/* --- what became of it ----------------------------------------------------------- */

static struct tenant *
forget(struct going *going)
{
	struct process *process = going->process;
	struct tenant *tenant = process_tenant(process, going->tenant);

	table_remove(&process->going, going->serial);
	if (tenant == NULL ||
	    table_get(&tenant->deliver->going, going->place) != going)
		return NULL;
	table_remove(&tenant->deliver->going, going->place);
	tenant->deliver->n_going--;
	return tenant;
}

static void
noted(struct call *call)
{
	struct going *going =
	    table_get(&call->process->going, *(uint64_t *)call->own);
	struct tenant *tenant = going != NULL ? forget(going) : NULL;

	free(going);
	if (call->write.command.err != 0 &&
	    call->write.command.err != ERR_ROLLED_BACK)
		log_warn("deliver",
		    "tenant %s: what became of a delivery cannot be noted "
		    "(%s): it will go out again, with the same id",
		    call->tenant->name, err_str(call->write.command.err));
	call_free(call);
	if (tenant != NULL)
		deliver_wake(tenant);
}

static const struct deliver_policy *
policy_of(const struct process *process)
{
	return process->options->deliver.attempts != 0
	    ? &process->options->deliver
	    : &deliver_default;
}

static bool
note(struct tenant *tenant, const struct going *going,
    const struct courier_posted *posted)
{
	const struct deliver_policy *policy = policy_of(tenant->process);
	struct ledger_delivered delivered = {
		.row = going->row,
		.channel = going->channel,
		.part = going->part,
		.delivered = posted->outcome == COURIER_DELIVERED,
		.status = posted->status,
		.attempts_max = policy->attempts,
		.due_at = process_now(tenant->process) +
		    deliver_backoff_ms(policy, going->attempts + 1,
			randombytes_random()),
	};

	memcpy(delivered.id, going->id, sizeof delivered.id);
	if (!text_copy_n(delivered.error, sizeof delivered.error, posted->error,
		strnlen(posted->error, sizeof delivered.error - 1)))
		delivered.error[0] = '\0';
	struct call *call = call_new_own(tenant, LEDGER_DELIVERED, &delivered,
	    sizeof delivered);

	if (call == NULL)
		return false;
	call->own =
	    arena_copy(&call->arena, &going->serial, sizeof going->serial);
	if (call->own == NULL) {
		call_free(call);
		return false;
	}
	if (!delivered.delivered)
		log_warn("deliver",
		    "tenant %s: a delivery to channel-%llu did not succeed: "
		    "%s",
		    tenant->name, (unsigned long long)going->channel,
		    delivered.error);
	call->finish = noted;
	call_commit(call);
	return true;
}

/* A courier that dies, or lies, has not tried. */
static void
came_back(void *ctx, int err, const uint8_t *payload, size_t len)
{
	struct going *going = ctx;
	struct process *process = going->process;
	struct tenant *tenant = process_tenant(process, going->tenant);
	struct courier_posted posted;

	if (err == 0)
		err = courier_posted_read(&posted, payload, len);
	if (err == 0 && tenant != NULL && process->phase == PHASE_READY &&
	    tenant->fault == 0 && note(tenant, going, &posted))
		return;
	tenant = forget(going);
	free(going);
	if (tenant != NULL)
		tenant->deliver->woken = true; /* with the next tick */
}

/* --- sending --------------------------------------------------------------------- */

static int
send_one(struct tenant *tenant, const struct delivery_job *job)
{
	struct process *process = tenant->process;
	struct deliver *deliver = tenant->deliver;
	struct going *going = calloc(1, sizeof *going);

	if (going == NULL)
		return ERR_NOMEM;
	*going = (struct going){
		.process = process,
		.serial = ++process->next_going,
		.place = place_of(job->row, job->channel),
		.row = job->row,
		.channel = job->channel,
		.part = job->part,
		.attempts = job->attempts,
	};
	memcpy(going->tenant, tenant->name, sizeof going->tenant);
	memcpy(going->id, job->id, sizeof going->id);
	if (table_put(&process->going, going->serial, going) != 0) {
		free(going);
		return ERR_NOMEM;
	}
	if (table_put(&deliver->going, going->place, going) != 0) {
		table_remove(&process->going, going->serial);
		free(going);
		return ERR_NOMEM;
	}
	deliver->n_going++;
	int err = outward_send(process->people->outward, job->kind,
	    job->payload.data, job->payload.len, came_back, going);

	if (err != 0) {
		forget(going);
		free(going);
	}
	return err;
}

/* --- looking --------------------------------------------------------------------- */

struct looking {
	int64_t now;
	uint64_t turn;
	struct delivery_job jobs[LANES_LOOK_MAX];
	size_t n;
	uint64_t waiting;
	int64_t next_at; /* site time; INT64_MAX: none */
};

/* On the reader's thread. */
struct look {
	struct looking *out;
	struct lanes *lanes;
	struct state_delivery found[LANES_LOOK_MAX];
};

static int
look_at(void *ctx, const struct state_delivery *delivery)
{
	const struct look *look = ctx;

	return lanes_add(look->lanes, delivery);
}

static int
make_jobs(struct look *look, struct ledger_view *view, struct arena *arena)
{
	struct looking *out = look->out;
	size_t n = 0;

	for (size_t i = 0; i < out->n; i++) {
		int err = ledger_delivery_job(&out->jobs[n], view,
		    &look->found[i], out->now, arena);

		/* What it is about is gone: a job without a payload. */
		if (err == ERR_GONE)
			out->jobs[n].payload.len = 0;
		else if (err != 0)
			return err;
		n++;
	}
	return 0;
}

static void
run_look(struct work *work)
{
	struct call *call = (struct call *)work;
	struct looking *out = call->request;
	struct look *look = arena_alloc(&call->arena, sizeof *look);
	struct ledger_view *view;
	int *err = &call->write.command.err;

	*err = look == NULL ? ERR_NOMEM
			    : ledger_view_open(&view, call->tenant->ledger);
	if (*err != 0)
		return;
	*look = (struct look){ .out = out,
		.lanes = lanes_new(out->now, out->turn) };
	*err = look->lanes == NULL ? ERR_NOMEM
				   : ledger_each_delivery(view, look_at, look);
	if (*err == 0) {
		out->n = lanes_choose(look->found, look->lanes);
		out->waiting = lanes_waiting(look->lanes);
		out->next_at = lanes_next_at(look->lanes);
	}
	lanes_free(look->lanes);
	if (*err == 0)
		*err = make_jobs(look, view, &call->arena);
	ledger_view_close(view);
}

/* Nobody can be told of it any more: given up at once. */
static void
give_up(struct tenant *tenant, const struct delivery_job *job)
{
	struct ledger_delivered delivered = {
		.row = job->row,
		.channel = job->channel,
		.part = job->part,
		.delivered = true,
	};

	memcpy(delivered.id, job->id, sizeof delivered.id);
	struct call *call = call_new_own(tenant, LEDGER_DELIVERED, &delivered,
	    sizeof delivered);

	if (call == NULL)
		return;
	call->finish = call_free;
	call_commit(call);
}

static void
looked(struct call *call)
{
	const struct looking *found = call->request;
	struct tenant *tenant = call->tenant;
	struct process *process = call->process;
	struct deliver *deliver = tenant->deliver;
	int64_t now = clock_boottime_ms();

	deliver->looking = false;
	if (call->write.command.err != 0) {
		deliver->woken = true;
		call_free(call);
		return;
	}
	deliver->waiting = found->waiting;
	deliver->next_at = found->next_at == INT64_MAX
	    ? 0
	    : now + (found->next_at - found->now);
	for (size_t i = 0; i < found->n; i++) {
		const struct delivery_job *job = &found->jobs[i];

		if (table_get(&deliver->going,
			place_of(job->row, job->channel)) != NULL)
			continue;
		if (job->payload.len == 0) {
			give_up(tenant, job);
			continue;
		}
		if (process->going.count >= DELIVER_MAX ||
		    process->phase != PHASE_READY ||
		    send_one(tenant, job) != 0) {
			deliver->woken = true; /* with the next tick */
			break;
		}
	}
	call_free(call);
}

void
deliver_tick(struct tenant *tenant)
{
	struct deliver *deliver = tenant->deliver;
	struct process *process = tenant->process;

	/* Whoever was answered, or not, for the rows that owe it. */
	if (ledger_owes(tenant->ledger))
		deliver->woken = true;
	bool due =
	    deliver->next_at != 0 && clock_boottime_ms() >= deliver->next_at;

	if ((!deliver->woken && !due) || deliver->looking || !tenant->started ||
	    tenant->fault != 0 || process->guard.frozen ||
	    process->phase != PHASE_READY ||
	    tenant->entry->phase != TENANT_OPEN)
		return;
	const struct looking looking = {
		.now = process_now(process),
		.turn = deliver->turn++,
		.next_at = INT64_MAX,
	};
	struct call *call =
	    call_new_own(tenant, LEDGER_DELIVERED, &looking, sizeof looking);

	if (call == NULL)
		return;
	deliver->woken = false;
	deliver->next_at = 0;
	deliver->looking = true;
	call->finish = looked;
	call_query(call, run_look);
}

/* --- what an admin asks for -------------------------------------------------------- */

static void
finish_command(struct call *call)
{
	struct tenant *tenant = call->tenant;
	bool good = call->write.command.err == 0;

	command_finish(call);
	if (good)
		deliver_wake(tenant);
}

void
deliver_command(const struct request *request)
{
	struct call *call = call_new(request);

	if (call == NULL)
		return;
	call->finish = finish_command;
	call_commit(call);
}
