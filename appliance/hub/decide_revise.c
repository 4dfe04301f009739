/* What becomes of a license that was issued: renewed, suspended, resumed,
 * cancelled. */
#include "appliance/hub/crm.h"
#include "appliance/hub/decide.h"

#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/text.h"
#include "shared/report/change.h"

#include <inttypes.h>
#include <string.h>

static const uint32_t changes[] = {
	[REVISION_RENEWED] = LICENSE_RENEW,
	[REVISION_SUSPENDED] = LICENSE_SUSPEND,
	[REVISION_RESUMED] = LICENSE_RESUME,
	[REVISION_CANCELLED] = LICENSE_CANCEL,
};
static const enum crm_event_kind told[] = {
	[REVISION_RENEWED] = CRM_LICENSE_RENEWED,
	[REVISION_SUSPENDED] = CRM_LICENSE_SUSPENDED,
	[REVISION_RESUMED] = CRM_LICENSE_RESUMED,
	[REVISION_CANCELLED] = CRM_LICENSE_CANCELLED,
};

/* A renewal carries the whole new license, and who signed it. */
static int
add_license(struct license_change *change, struct batch *batch,
    struct command *command, const struct hub_order *order)
{
	struct row_account_issuer issuer;
	struct row_license_issued issued;
	int err = hub_issued(&issued, &batch->state, order->row.order,
	    order->serial, &command->arena);

	if (err == 0)
		err = hub_issuer(&issuer, &batch->state, issued.key,
		    &command->arena);
	if (err != 0)
		return err;
	change->license = issued.token;
	change->issuer = issuer.issuer;
	return 0;
}

static uint64_t
next_revision(const struct batch *batch, const struct hub_order *order)
{
	return hub_next(order->revision,
	    order->revised_at != 0 ? order->revised_at : order->at,
	    &batch->state);
}

/* What its site is to be told; empty where there is no site. */
static int
sign_change(struct record_span *out, struct batch *batch,
    struct command *command, const struct hub_order *order,
    enum revision_what what)
{
	struct license_change change = { .revision =
					     next_revision(batch, order),
		.what = changes[what],
		.serial = order->serial,
		.issued_at = batch->place.time };
	struct buf token = { 0 };
	struct hub_site site;
	int err;

	*out = (struct record_span){ NULL, 0 };
	if (order->serial == 0)
		return 0;
	err = hub_site(&site, &batch->state, order->site, &command->arena);
	if (err != 0)
		return err;
	memcpy(change.site, site.row.request.site, sizeof change.site);
	memcpy(change.tenant, site.row.request.tenant, sizeof change.tenant);
	text_copy(change.vendor, sizeof change.vendor, batch->ledger->tenant);
	memcpy(change.license_id, order->row.license_id,
	    sizeof change.license_id);
	if (what == REVISION_RENEWED)
		err = add_license(&change, batch, command, order);
	if (err == 0)
		err = hub_sign(&token, batch->ledger, &batch->state,
		    &license_change_record, &change, TOKEN_CHANGE,
		    batch->place.time);
	if (err == 0) {
		out->len = (uint32_t)token.len;
		out->data = arena_copy(&command->arena, token.data, token.len);
		err = out->data == NULL ? ERR_NOMEM : 0;
	}
	buf_release(&token);
	return err;
}

static int
emit_revision(struct hub_order *order, struct batch *batch,
    struct command *command, enum revision_what what,
    const uint8_t reason[SUBJECT_BYTES])
{
	struct record_span token;
	int err = sign_change(&token, batch, command, order, what);
	struct row *row =
	    err == 0 ? batch_row(batch, ROW_LICENSE_REVISED) : NULL;

	if (row == NULL)
		return err != 0 ? err : ERR_NOMEM;
	struct row_license_revised *r = &row->u.license_revised;

	r->order = order->row.order;
	r->revision = next_revision(batch, order);
	r->what = what;
	r->serial = order->serial;
	r->automatic = command->who.kind == ACTOR_SITE;
	if (reason != NULL)
		memcpy(r->reason, reason, sizeof r->reason);
	r->token = token;
	r->by = decide_actor(&command->who);
	err = batch_emit(batch);
	if (err == 0)
		err = hub_order(order, &batch->state, order->row.order,
		    &command->arena);
	return err == 0 ? hub_tell_license(batch, command, told[what], order)
			: err;
}

static int
answer(struct batch *batch, struct command *command,
    const struct hub_order *order)
{
	struct hub_license_view *reply = hub_reply(command, sizeof *reply);

	return reply == NULL ? ERR_NOMEM
			     : hub_view_order(reply, &batch->state, order,
				   batch->place.time, &command->arena);
}

/* --- renew ------------------------------------------------------------------------ */

static int
refuse_state(struct command *command, const struct hub_order *order,
    const char *hint, const char *words)
{
	return decide_refuse_field(command, "license_id", ERR_CONFLICT, hint,
	    "license %s %s", order->row.license_id, words);
}

static int
check_renewal(struct command *command, const struct hub_order *order,
    int32_t end_date)
{
	char day[CLOCK_TEXT_SIZE];

	if (order->state == HUB_CANCELLED)
		return refuse_state(command, order, "generate another",
		    "is cancelled");
	if (order->serial == 0)
		return refuse_state(command, order,
		    "leasehold hub site add REQUEST --customer ID",
		    "is not issued yet");
	if (end_date > order->contract.end_date)
		return 0;
	clock_format_date(day, order->contract.end_date);
	return decide_refuse_field(command, "end_date", ERR_CONFLICT, "",
	    "license %s is good until %s already", order->row.license_id, day);
}

static int
renew(struct hub_order *order, struct batch *batch, struct command *command,
    int32_t end_date)
{
	struct license_contract contract = order->contract;

	contract.end_date = end_date;
	int err = hub_issue(order, batch, command, order->site, &contract);

	return err != 0 || command->err != 0
	    ? err
	    : emit_revision(order, batch, command, REVISION_RENEWED, NULL);
}

int
decide_hub_renew(struct batch *batch, struct command *command)
{
	const struct hub_license_renew *request = command->request;
	struct hub_order order;
	int err = hub_find_order(&order, batch, command, request->license_id);

	/* Asked for again: it is so already. */
	if (err == 0 && command->err == 0 && order.serial > 1 &&
	    order.state != HUB_CANCELLED &&
	    order.contract.end_date == request->end_date)
		return answer(batch, command, &order);
	if (err == 0 && command->err == 0)
		err = check_renewal(command, &order, request->end_date);
	if (err == 0 && command->err == 0)
		err = renew(&order, batch, command, request->end_date);
	return err != 0 || command->err != 0 ? err
					     : answer(batch, command, &order);
}

/* --- by itself ---------------------------------------------------------------------- */

const struct record hub_auto_renew_record = {
	.name = "hub_auto_renew",
	.doc = "A contract that goes on by itself is near its end.",
	.version = 1,
	.size = sizeof(struct hub_auto_renew),
};

/* It has gone on, or was ended, meanwhile: then nothing is to be done. Who asks
 * is the hub itself, and hears no refusal. */
int
decide_hub_auto_renew(struct batch *batch, struct command *command)
{
	const struct hub_auto_renew *request = command->request;
	struct hub_order order;
	int err =
	    hub_order(&order, &batch->state, request->order, &command->arena);

	if (err != 0)
		return err == ERR_NOT_FOUND_INTERNAL ? 0 : err;
	if (!hub_is_to_renew(&order, batch->place.time))
		return 0;
	return renew(&order, batch, command,
	    hub_next_end(&order.row.terms.contract, &order.contract));
}

/* --- suspend, resume, cancel ----------------------------------------------------- */

static enum revision_what
what_of(uint32_t op)
{
	switch (op) {
	case OP_HUB_LICENSE_SUSPEND:
		return REVISION_SUSPENDED;
	case OP_HUB_LICENSE_RESUME:
		return REVISION_RESUMED;
	default:
		return REVISION_CANCELLED;
	}
}

/* True: it is so already. */
static bool
is_so(const struct hub_order *order, enum revision_what what)
{
	switch (what) {
	case REVISION_RENEWED:
		break;
	case REVISION_SUSPENDED:
		return order->state == HUB_SUSPENDED;
	case REVISION_RESUMED:
		return order->state == HUB_ISSUED;
	case REVISION_CANCELLED:
		return order->state == HUB_CANCELLED;
	}
	return false;
}

static int
check_revision(struct command *command, const struct hub_order *order,
    enum revision_what what)
{
	if (order->state == HUB_CANCELLED)
		return refuse_state(command, order, "generate another",
		    "is cancelled, which is for good");
	if (order->serial == 0 && what != REVISION_CANCELLED)
		return refuse_state(command, order,
		    "leasehold hub license cancel", "is not issued yet");
	return 0;
}

int
decide_hub_revise(struct batch *batch, struct command *command)
{
	const struct hub_license_change *request = command->request;
	enum revision_what what = what_of(command->op);
	uint8_t reason[SUBJECT_BYTES] = { 0 };
	struct row_account_issuer issuer;
	struct hub_order order;
	int err = hub_find_order(&order, batch, command, request->license_id);

	if (err != 0 || command->err != 0)
		return err;
	if (is_so(&order, what))
		return answer(batch, command, &order);
	err = check_revision(command, &order, what);
	if (err == 0 && command->err == 0 && order.serial > 0)
		err = hub_find_issuer(&issuer, batch, command);
	if (err == 0 && command->err == 0 && request->reason[0] != '\0')
		err = decide_subject(reason, batch, SUBJECT_REASON,
		    request->reason, command->entropy);
	if (err == 0 && command->err == 0)
		err = emit_revision(&order, batch, command, what, reason);
	return err != 0 || command->err != 0 ? err
					     : answer(batch, command, &order);
}
