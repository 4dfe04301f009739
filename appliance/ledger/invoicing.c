/* Invoices by themselves; see invoicing.h. */
#include "appliance/ledger/invoicing.h"

#include "appliance/hub/invoice.h"
#include "appliance/ledger/billing_answer.h"
#include "appliance/ledger/billing_asked.h"
#include "appliance/ledger/inside.h"
#include "appliance/ledger/tenant_use.h"

#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/base/text.h"

#include <inttypes.h>
#include <string.h>

#define DAY_MS INT64_C(86400000)
#define ROUND_MS ((int64_t)3600 * 1000)
/* When the metering is behind. */
#define SOON_MS ((int64_t)10 * 1000)
/* Customers of one turn on the thread: others wait for it too. */
#define TURN_CUSTOMERS 16
/* What is older is left to people. */
#define BACK_DAYS 366

struct turn {
	struct hub_invoice_add add; /* first; found: what is to be made */
	/** What was reported by then is counted in `view`; what comes in between
	 * is seen to be missing when it is decided. */
	struct ledger_view *before, *view;
	bool found;
	bool over; /* the round is */
	int32_t today;
	int64_t put_back_at; /* the store, at the latest; 0: it never was */
};

/* "2026-11" of its first day, and where the month ends. */
static int
read_month(struct billing_period *month, char text[8], int32_t day)
{
	char date[CLOCK_TEXT_SIZE];

	clock_format_date(date, day);
	if (!text_copy_n(text, 8, date, 7))
		return ERR_BAD_REQUEST;
	return billing_period_read(month, text, 7);
}

/* What there is to pay for a month; `found`: an invoice is to be made. */
static int
look_at_month(struct turn *turn, struct call *call)
{
	struct problem *problem = &call->write.command.problem;
	int err = billing_invoice_known(&turn->add, turn->before);

	if (err == 0)
		err = billing_invoice(&turn->add, turn->view,
		    call->tenant->metering.metering, &call->arena, problem);

	turn->found = err == 0 && turn->add.currency[0] != '\0';
	if (err == 0 || problem->code[0] == '\0')
		return err;
	if (err != ERR_NOT_FOUND)
		log_warn("hub",
		    "account %s: the invoice of customer %s for %s cannot be "
		    "made: %s",
		    call->tenant->name, turn->add.asked.customer_crm_id,
		    turn->add.asked.period, problem->detail);
	memset(problem, 0, sizeof(*problem));
	return 0;
}

/* By the site's time and by the wall clock: that the time went on is confirmed
 * after the rollback is acknowledged. */
static int
look_at_rollback(struct turn *turn, struct call *call)
{
	struct system_generation known;
	int err = system_generation_load(&known, call->process->system);

	turn->put_back_at = ledger_generation_at(turn->view);
	if (err == 0 && known.wall > turn->put_back_at)
		turn->put_back_at = known.wall;
	return err == ERR_NOT_FOUND ? 0 : err;
}

/* Was it due before the store was put back to an older copy? */
static bool
may_be_lost(const struct turn *turn, const struct call *call,
    const struct billing_period *month)
{
	const int64_t due =
	    ((int64_t)month->last + call->process->options->invoice_day) *
	    DAY_MS;

	return due <= turn->put_back_at;
}

/* The oldest month that is to be invoiced; none that is not reported is passed
 * over. */
static int
look_at_customer(struct turn *turn, struct call *call,
    const struct hub_billed *customer)
{
	const struct ledger_process_options *options = call->process->options;
	struct billing_invoice_add *asked = &turn->add.asked;
	struct billing_period month;
	int32_t first = options->invoice_from;
	int err = 0;

	if (first < turn->today - BACK_DAYS)
		first = turn->today - BACK_DAYS;
	text_copy(asked->customer_crm_id, sizeof(asked->customer_crm_id),
	    customer->crm_account_id);
	for (; err == 0 && !turn->found; first = month.last + 1) {
		bool made;

		err = read_month(&month, asked->period, first);
		/* The day of the month after it. */
		if (err != 0 ||
		    turn->today < month.last + (int32_t)options->invoice_day)
			return err;
		err = hub_invoice_made(&made, turn->view, customer->number,
		    month.first);
		if (err != 0 || made)
			continue;
		if (may_be_lost(turn, call, &month)) {
			call->tenant->invoicing.left++;
			continue;
		}
		if (customer->reported_until <
		    ((int64_t)month.last + 1) * DAY_MS) {
			call->tenant->invoicing.waiting++;
			return 0;
		}
		err = look_at_month(turn, call);
	}
	return err;
}

static int
look(struct turn *turn, struct call *call)
{
	struct tenant_invoicing *invoicing = &call->tenant->invoicing;
	int err = 0;

	for (unsigned int i = 0; i < TURN_CUSTOMERS; i++) {
		struct hub_billed customer;

		err = hub_billed(&customer, turn->before,
		    invoicing->customer + 1);
		turn->over = err == ERR_NOT_FOUND_INTERNAL;
		if (turn->over)
			return 0;
		if (err == 0 && customer.orders > 0)
			err = look_at_customer(turn, call, &customer);
		if (err != 0 || turn->found)
			return err;
		invoicing->customer = customer.number;
	}
	return 0;
}

static void
run_look(struct work *work)
{
	struct call *call = (struct call *)work;
	struct command *command = &call->write.command;
	struct turn *turn = call->own;

	command->err = ledger_view_open(&turn->before, call->tenant->ledger);
	if (command->err != 0)
		return;
	command->err =
	    billing_open_view(&turn->view, call->tenant, &command->problem);
	if (command->err == 0) {
		command->err = look_at_rollback(turn, call);
		if (command->err == 0)
			command->err = look(turn, call);
		ledger_view_close(turn->view);
	}
	ledger_view_close(turn->before);
}

static void take_turn(struct tenant *tenant);

static void
end_round(struct tenant *tenant, int64_t wait_ms)
{
	struct tenant_invoicing *invoicing = &tenant->invoicing;

	if (invoicing->waiting != 0 && invoicing->waiting != invoicing->told)
		log_warn("hub",
		    "account %s: invoices of %" PRIu32 " customers wait for "
		    "reports of their sites; see: leasehold hub site list",
		    tenant->name, invoicing->waiting);
	if (invoicing->left > invoicing->left_told)
		log_warn("hub",
		    "account %s: %" PRIu32 " months of customers were due "
		    "before its store was put back: their invoices may have "
		    "been sent; look, and make them: leasehold hub invoice "
		    "make",
		    tenant->name, invoicing->left);
	invoicing->told = invoicing->waiting;
	invoicing->waiting = 0;
	invoicing->left_told = invoicing->left;
	invoicing->left = 0;
	invoicing->customer = 0;
	invoicing->next_at = clock_boottime_ms() + wait_ms;
}

/* Where it was refused, or is made by now, the others go on. */
static void
finish_made(struct call *call)
{
	const struct turn *turn = call->own;
	const struct billing_invoice_add *asked = &turn->add.asked;
	struct command *command = &call->write.command;
	struct tenant *tenant = call->tenant;

	if (command->err == 0) {
		log_info("hub", "account %s: the invoice of customer %s for %s",
		    tenant->name, asked->customer_crm_id, asked->period);
	} else {
		log_warn("hub",
		    "account %s: the invoice of customer %s for %s is not "
		    "made: %s",
		    tenant->name, asked->customer_crm_id, asked->period,
		    command->problem.detail[0] != '\0' ? command->problem.detail
						       : err_str(command->err));
		tenant->invoicing.customer++;
	}
	tenant->invoicing.busy = false;
	call_free(call);
	take_turn(tenant);
}

static void
finish_look(struct call *call)
{
	const struct turn *turn = call->own;
	struct command *command = &call->write.command;
	struct tenant *tenant = call->tenant;

	if (command->err == 0 && turn->found) {
		command->op = LEDGER_HUB_INVOICE;
		command->request = &turn->add;
		call->finish = finish_made;
		call_commit(call);
		return;
	}
	tenant->invoicing.busy = false;
	if (command->err != 0) {
		if (command->err != ERR_UNAVAILABLE)
			log_warn("hub",
			    "account %s: invoices are not looked for: %s",
			    tenant->name, err_str(command->err));
		end_round(tenant,
		    command->err == ERR_UNAVAILABLE ? SOON_MS : ROUND_MS);
	} else if (turn->over) {
		end_round(tenant, ROUND_MS);
	}
	bool goes_on = command->err == 0 && !turn->over;

	call_free(call);
	if (goes_on)
		take_turn(tenant);
}

static int32_t
today_of(struct process *process)
{
	return (int32_t)(process_now(process) / DAY_MS);
}

static void
take_turn(struct tenant *tenant)
{
	struct process *process = tenant->process;
	struct call *call;
	struct turn *turn;

	if (tenant->invoicing.busy || tenant->fault != 0 ||
	    tenant->entry->phase != TENANT_OPEN || process->guard.frozen ||
	    process->phase != PHASE_READY ||
	    (call = call_new_own(tenant, OP_NONE, NULL, 0)) == NULL)
		return;
	turn = arena_alloc(&call->arena, sizeof(*turn));
	if (turn == NULL) {
		call_free(call);
		return;
	}
	memset(turn, 0, sizeof(*turn));
	turn->today = today_of(process);
	if (tenant->invoicing.customer == 0)
		tenant->invoicing.day = turn->today;
	call->own = turn;
	call->finish = finish_look;
	tenant->invoicing.busy = true;
	call_audit(call, run_look);
}

void
invoicing_tick(struct tenant *tenant)
{
	const struct ledger_process_options *options = tenant->process->options;

	if (options->hub && options->invoice_day != 0 && tenant->started &&
	    (clock_boottime_ms() >= tenant->invoicing.next_at ||
		today_of(tenant->process) != tenant->invoicing.day))
		take_turn(tenant);
}
