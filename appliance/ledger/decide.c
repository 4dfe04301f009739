/* Decide: the table of commands, and what the handlers share. See core.h. */
#include "appliance/hub/credit.h"
#include "appliance/hub/hub.h"
#include "appliance/hub/invoice.h"
#include "appliance/hub/measured.h"
#include "appliance/hub/reported.h"
#include "appliance/ledger/base.h"
#include "appliance/ledger/limits.h"
#include "appliance/ledger/maintenance_rows.h"
#include "appliance/ledger/metered.h"
#include "appliance/ledger/sync.h"
#include "appliance/ledger/update.h"
#include "shared/base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void refuse(struct command *command, int err, const char *hint,
    const char *format, va_list args) __attribute__((format(printf, 4, 0)));

static void
refuse(struct command *command, int err, const char *hint, const char *format,
    va_list args)
{
	struct problem *problem = &command->problem;

	command->err = err;
	memset(problem, 0, sizeof *problem);
	snprintf(problem->code, sizeof problem->code, "%s", err_code(err));
	snprintf(problem->hint, sizeof problem->hint, "%s", hint);
	vsnprintf(problem->detail, sizeof problem->detail, format, args);
}

int
decide_refuse(struct command *command, int err, const char *hint,
    const char *format, ...)
{
	va_list args;

	va_start(args, format);
	refuse(command, err, hint, format, args);
	va_end(args);
	return 0;
}

int
decide_refuse_field(struct command *command, const char *field, int err,
    const char *hint, const char *format, ...)
{
	struct problem *problem = &command->problem;
	va_list args;

	va_start(args, format);
	refuse(command, err, hint, format, args);
	va_end(args);
	snprintf(problem->field, sizeof problem->field, "%s", field);
	return 0;
}

int
decide_refuse_document(struct command *command, int err,
    const struct record_error *error)
{
	if (err == ERR_NOMEM || err == ERR_SYSTEM)
		return err;
	const char *reason =
	    error->reason[0] != '\0' ? error->reason : err_str(err);

	decide_refuse(command, err, "", "%s", reason);
	snprintf(command->problem.field, sizeof command->problem.field, "%s",
	    error->field);
	return 0;
}

struct row_actor
decide_actor(const struct principal *who)
{
	return (struct row_actor){ who->kind, who->id };
}

int
decide_subject(uint8_t id[SUBJECT_BYTES], struct batch *batch,
    enum subject_kind kind, const char *value,
    const uint8_t entropy[SUBJECT_ENTROPY])
{
	const struct subject_keys *keys = batch->ledger->keys;
	struct subject_cache *cache = batch->ledger->subjects;

	if (subject_cache_get(id, cache, kind, value))
		return 0;
	int err = subject_find(id, &batch->state, keys, kind, value);

	if (err == 0)
		subject_cache_put(cache, kind, value, id);
	if (err != ERR_NOT_FOUND_INTERNAL)
		return err;
	struct row *row = batch_row(batch, ROW_SUBJECT_ADDED);

	if (row == NULL)
		return ERR_NOMEM;
	struct row_subject_added *r = &row->u.subject_added;

	err = subject_add(id, r->commitment, &batch->state, keys, kind, value,
	    entropy);
	if (err != 0)
		return err;
	memcpy(r->subject, id, sizeof r->subject);
	r->kind = kind;
	return batch_emit(batch);
}

/* --- facts that the process around found out ------------------------------ */

static int
decide_start(struct batch *batch, struct command *command)
{
	const struct ledger_start *request = command->request;
	struct row *row = batch_row(batch, ROW_STARTED);

	if (row == NULL)
		return ERR_NOMEM;
	row->u.started = request->row;
	row->u.started.generation = batch->state.counters.generation;
	int err = batch_emit(batch);

	return err == 0 && request->tick.counter != 0
	    ? decide_tick_at(batch, command, &request->tick)
	    : err;
}

static int
decide_denied(struct batch *batch, struct command *command)
{
	struct row *row = batch_row(batch, ROW_DENIED);

	if (row == NULL)
		return ERR_NOMEM;
	row->u.denied = *(const struct row_denied *)command->request;
	return batch_emit(batch);
}

static int
decide_checkpoint(struct batch *batch, struct command *command)
{
	const struct row_checkpoint *request = command->request;
	struct journal_known known = { .batch = request->batch };

	memcpy(known.head, request->head, sizeof known.head);

	int err = history_holds(&batch->state, &known);

	if (err == ERR_ROLLED_BACK)
		return decide_refuse(command, ERR_CONFLICT, "",
		    "the journal does not hold this head as batch %llu",
		    (unsigned long long)request->batch);
	if (err != 0)
		return err;
	struct row *row = batch_row(batch, ROW_CHECKPOINT);

	if (row == NULL)
		return ERR_NOMEM;
	row->u.checkpoint = *request;
	command->reply.checkpoint =
	    (struct checkpoint_reply){ .batch = request->batch };
	memcpy(command->reply.checkpoint.head, request->head, 32);
	memcpy(command->reply.checkpoint.state_hash, request->state_hash, 32);
	return batch_emit(batch);
}

static int
decide_clock(struct batch *batch, struct command *command)
{
	const struct row_clock *request = command->request;

	if (request->event == CLOCK_CORRECTED &&
	    request->wall > batch->place.time)
		return decide_refuse(command, ERR_BAD_REQUEST, "",
		    "a correction sets the clock back, not forward");
	struct row *row = batch_row(batch, ROW_CLOCK);

	if (row == NULL)
		return ERR_NOMEM;
	row->u.clock = *request;
	return batch_emit(batch);
}

/* --- the table --------------------------------------------------------- */

static const struct record_field expire_fields[] = {
	{ .key = "lease",
	    .type = RECORD_U64,
	    .offset = offsetof(struct ledger_expire, lease),
	    .size = 8,
	    .min = 1,
	    .max = UINT64_MAX >> 11,
	    .doc = "The lease." },
	{ .key = "deadline",
	    .type = RECORD_TIME,
	    .offset = offsetof(struct ledger_expire, deadline),
	    .size = 8,
	    .doc = "When it was over." },
};
static const struct record expire_record = {
	.name = "ledger_expire",
	.doc = "A deadline that passed.",
	.version = 1,
	.size = sizeof(struct ledger_expire),
	.fields = expire_fields,
	.n_fields = 2,
};

/* Their parts were checked when they were read. */
static const struct record generation_record = {
	.name = "ledger_generation",
	.doc = "An older copy is acknowledged.",
	.version = 1,
	.size = sizeof(struct ledger_generation),
};
static const struct record remember_record = {
	.name = "ledger_remember",
	.doc = "The answer to what was done.",
	.version = 1,
	.size = sizeof(struct ledger_remember),
};
static const struct record erase_again_record = {
	.name = "ledger_erase_again",
	.doc = "Erasures that a copy does not have.",
	.version = 1,
	.size = sizeof(struct ledger_erase_again),
};
static const struct record adopt_record = {
	.name = "ledger_adopt",
	.doc = "Leases of an abandoned branch.",
	.version = 1,
	.size = sizeof(struct ledger_adopt),
};

static const struct record act_record = {
	.name = "ledger_act",
	.doc = "Who asked for what.",
	.version = 1,
	.size = sizeof(struct ledger_act),
};

static const struct record user_record = {
	.name = "ledger_user",
	.doc = "Whatever concerns people.",
	.version = 1,
	.size = sizeof(struct ledger_user),
};

#define BY(kind) (1u << ACTOR_##kind)
#define BY_ADMINS (BY(ADMIN) | BY(KEY) | BY(USER))

/* Who may is checked by the process around, from the table of operations; here
 * once more, because a row says who did it. `rows_max` is what it can add. */
static const struct decision {
	uint32_t op;
	unsigned int actors;
	const struct record *request;
	uint32_t rows_max;
	int (*decide)(struct batch *batch, struct command *command);
} decisions[] = {
	{ OP_LEASE_CHECKOUT, BY(DEVICE), &checkout_record, 3, decide_checkout },
	{ OP_LEASE_RETURN, BY(DEVICE), &lease_return_record, 1, decide_return },
	{ OP_LEASE_RELEASE, BY_ADMINS, &lease_ref_record, 1, decide_release },
	{ OP_DEVICE_ENROLL, BY(DEVICE) | BY(SITE), &enroll_record, 3,
	    decide_enroll },
	{ OP_DEVICE_APPROVE, BY_ADMINS, &device_number_record, 1,
	    decide_approve },
	{ OP_DEVICE_REVOKE, BY_ADMINS, &device_revoke_record,
	    2 + LEDGER_DEVICE_LEASES_MAX, decide_revoke },
	{ OP_LICENSE_INSTALL, BY_ADMINS, &license_install_record, 1,
	    decide_install },
	{ LEDGER_SYNC_MADE, BY(SITE) | BY_ADMINS, &sync_ask_record, 1,
	    decide_sync_made },
	{ OP_SYNC_IMPORT, BY(SITE) | BY_ADMINS, &sync_file_record,
	    SYNC_RECEIPTS_MAX + 2 * SYNC_CHANGES_MAX + SYNC_CREDITS_MAX,
	    decide_sync_import },
	{ OP_LICENSE_CHANGE, BY(SITE) | BY_ADMINS, &license_change_file_record,
	    2, decide_license_change },
	{ OP_USAGE_TRACK, BY(DEVICE) | BY_ADMINS, &usage_track_record,
	    2 * USAGE_EVENTS_MAX, decide_usage_track },
	{ OP_USAGE_MINE, BY(DEVICE), &usage_track_record, 2 * USAGE_EVENTS_MAX,
	    decide_usage_track },
	{ OP_JOIN_CREATE, BY_ADMINS, &join_create_record, 1 + JOIN_HOSTS_MAX,
	    decide_join },
	{ OP_JOIN_REVOKE, BY_ADMINS, &join_number_record, 1,
	    decide_join_revoke },
	{ OP_PERSON_ERASE, BY(ADMIN) | BY(KEY) | BY(USER), &person_erase_record,
	    1 + ERASURE_USERS_MAX, decide_erase },
	{ OP_POLICY_PUT, BY_ADMINS, &policy_put_record, 1, decide_policy_put },
	{ OP_BORROW_TAKE, BY(DEVICE), &borrow_take_record, 4,
	    decide_borrow_take },
	{ OP_BORROW_EXTEND, BY(DEVICE), &borrow_extend_record, 2,
	    decide_borrow_extend },
	{ OP_BORROW_PREPARE, BY(DEVICE), &borrow_prepare_record,
	    2 + 2 * BORROW_DEVICE_MAX, decide_borrow_prepare },
	{ OP_BORROW_RETURN, BY(DEVICE), &borrow_return_record,
	    1 + BORROW_DEVICE_MAX, decide_borrow_return },
	{ OP_BORROW_DELIVER, BY_ADMINS, &borrow_file_record,
	    1 + BORROW_DEVICE_MAX, decide_borrow_deliver },
	{ OP_BORROW_WRITE_OFF, BY_ADMINS, &borrow_write_off_record, 1,
	    decide_borrow_write_off },
	{ LEDGER_EXPIRE, BY(SITE), &expire_record, 1, decide_expire },
	{ LEDGER_IDLE, BY(SITE), &lease_ref_record, 1, decide_idle },
	{ LEDGER_DENIED, BY(SITE), &row_denied_record, 1, decide_denied },
	{ LEDGER_START, BY(SITE), &row_started_record, 2, decide_start },
	{ LEDGER_CHECKPOINT, BY(SITE) | BY_ADMINS, &row_checkpoint_record, 1,
	    decide_checkpoint },
	{ LEDGER_CLOCK, BY(SITE) | BY(ADMIN), &row_clock_record, 1,
	    decide_clock },
	{ LEDGER_TICK, BY(SITE), &row_tick_record, 1, decide_tick },
	{ LEDGER_GENERATION, BY(ADMIN), &generation_record, 2,
	    decide_generation },
	{ LEDGER_REMEMBER, BY(SITE), &remember_record, 0, decide_remember },
	{ LEDGER_ADOPT, BY(DEVICE), &adopt_record, 2 * LEDGER_ADOPT_MAX,
	    decide_adopt },
	{ LEDGER_USER, BY(SITE) | BY_ADMINS, &user_record, 3, decide_user },
	{ LEDGER_USER_DENIED, BY(SITE), &row_user_denied_record, 1,
	    decide_user_denied },
	{ LEDGER_KEY_CREATE, BY(SITE) | BY_ADMINS, &ledger_key_create_record, 2,
	    decide_key_create },
	{ LEDGER_KEY_CHANGE, BY(SITE) | BY_ADMINS, &ledger_key_change_record, 1,
	    decide_key_change },
	{ LEDGER_KEY_ROTATE, BY_ADMINS, &ledger_key_rotate_record, 1,
	    decide_key_rotate },
	{ LEDGER_KEY_DENIED, BY(SITE), &ledger_key_denied_record, 4,
	    decide_key_denied },
	{ LEDGER_TENANT, BY(SITE) | BY(ADMIN), &ledger_tenant_change_record, 2,
	    decide_tenant },
	{ LEDGER_ALERT, BY(SITE), &ledger_alert_record, 4, decide_alert },
	{ OP_ALERT_ACKNOWLEDGE, BY_ADMINS, &alert_number_record, 1,
	    decide_alert_acknowledge },
	{ LEDGER_CHANNEL_ADD, BY_ADMINS, &ledger_channel_add_record, 1,
	    decide_channel_add },
	{ OP_CHANNEL_REMOVE, BY_ADMINS, &channel_number_record, 1,
	    decide_channel_remove },
	{ OP_CHANNEL_TEST, BY_ADMINS, &channel_number_record, 2,
	    decide_channel_test },
	{ LEDGER_DELIVERED, BY(SITE), &ledger_delivered_record, 1,
	    decide_delivered },
	{ OP_OUTBOX_RETRY, BY_ADMINS, &delivery_ref_record, 1,
	    decide_delivery_retry },
	{ OP_OUTBOX_DROP, BY_ADMINS, &delivery_ref_record, 1,
	    decide_delivery_drop },
	{ OP_HUB_KEY_MAKE, BY_ADMINS, &empty_record, 1, decide_hub_key_make },
	{ OP_HUB_KEY_INSTALL, BY_ADMINS, &license_issuer_file_record, 1,
	    decide_hub_key_install },
	{ LEDGER_HUB_INVOICE, BY(SITE) | BY_ADMINS, &hub_invoice_add_record, 1,
	    decide_hub_invoice },
	{ LEDGER_HUB_CREDIT, BY_ADMINS, &hub_credit_record, 1,
	    decide_hub_credit },
	{ OP_HUB_IMAGE_ADD, BY_ADMINS, &hub_image_record, 1,
	    decide_hub_image_add },
	{ OP_HUB_IMAGE_REMOVE, BY_ADMINS, &hub_image_ref_record, 1,
	    decide_hub_image_remove },
	{ OP_CUSTOMER_ADD, BY_ADMINS, &customer_add_record, 1,
	    decide_hub_customer_add },
	{ OP_TENANT_REGISTER, BY_ADMINS, &tenant_register_record, 1,
	    decide_hub_register },
	{ OP_TENANT_VERIFY, BY_ADMINS, &tenant_verify_record, 1,
	    decide_hub_verify },
	{ OP_CUSTOMER_SET, BY_ADMINS, &customer_put_record, 1,
	    decide_hub_customer_set },
	{ OP_HUB_SITE_ADD, BY_ADMINS, &hub_site_add_record, 1 + HUB_ISSUE_ONCE,
	    decide_hub_site_add },
	{ OP_HUB_REISSUE, BY_ADMINS, &hub_reissue_record, 1 + HUB_ISSUE_ONCE,
	    decide_hub_reissue },
	{ OP_HUB_REPORT_TAKE, BY(SITE), &hub_report_sent_record,
	    SYNC_REPORTS_MAX *HUB_REPORT_ROWS_MAX, decide_hub_report_sent },
	{ OP_HUB_REPORT_IMPORT, BY(SITE) | BY_ADMINS, &sync_file_record,
	    SYNC_REPORTS_MAX *HUB_REPORT_ROWS_MAX, decide_hub_report },
	{ OP_HUB_GENERATE, BY_ADMINS, &hub_generate_record, 3,
	    decide_hub_generate },
	{ OP_HUB_PROVISION, BY_ADMINS, &hub_provision_record, 2,
	    decide_hub_provision },
	{ OP_HUB_LICENSE_RENEW, BY_ADMINS, &hub_license_renew_record, 2,
	    decide_hub_renew },
	{ OP_HUB_LICENSE_SUSPEND, BY_ADMINS, &hub_license_change_record, 2,
	    decide_hub_revise },
	{ OP_HUB_LICENSE_RESUME, BY_ADMINS, &hub_license_change_record, 2,
	    decide_hub_revise },
	{ OP_HUB_LICENSE_CANCEL, BY_ADMINS, &hub_license_change_record, 2,
	    decide_hub_revise },
	{ LEDGER_HUB_RENEW, BY(SITE), &hub_auto_renew_record, 2,
	    decide_hub_auto_renew },
	{ LEDGER_HUB_EXPIRE, BY(SITE), &hub_expire_record, 1,
	    decide_hub_expire },
	{ LEDGER_ACT, BY(SITE), &act_record, 2, decide_act },
	{ LEDGER_ERASE_AGAIN, BY_ADMINS, &erase_again_record,
	    1 + ERASURE_USERS_MAX, decide_erase_again },
	{ LEDGER_PRUNE, BY(SITE) | BY_ADMINS, &ledger_prune_record, 2,
	    decide_prune },
	{ LEDGER_UPDATE, BY_ADMINS, &ledger_update_record, 1, decide_update },
	{ LEDGER_UPDATE_ENDED, BY(SITE), &ledger_update_ended_record, 1,
	    decide_update_ended },
	{ LEDGER_MAINTENANCE, BY(SITE), &maintenance_event_record, 2,
	    decide_maintenance },
};

static const struct decision *
decision_get(uint32_t op)
{
	for (size_t i = 0; i < sizeof decisions / sizeof *decisions; i++) {
		if (decisions[i].op == op)
			return &decisions[i];
	}
	return NULL;
}

int
decide(struct batch *batch, struct command *command)
{
	const struct decision *decision = decision_get(command->op);
	struct record_error error = { .reason = "" };

	command->err = 0;
	command->acted = false;
	command->license = 0;
	command->problem.code[0] = '\0';
	if (decision == NULL)
		return decide_refuse(command, ERR_BAD_REQUEST, "",
		    "operation %u is no command", command->op);
	if (command->who.kind > ACTOR_USER ||
	    (decision->actors & 1u << command->who.kind) == 0)
		return decide_refuse(command, ERR_FORBIDDEN, "", "%s",
		    err_str(ERR_FORBIDDEN));
	if (atomic_load(&batch->ledger->frozen) &&
	    command->op != LEDGER_GENERATION)
		return decide_refuse(command, ERR_ROLLED_BACK,
		    "an admin of the site looks at: leasehold site show",
		    "the site's store was put back to an older copy: nothing "
		    "is granted or changed until an admin acknowledges it");
	/* A row out of its bounds could be written and never read again. */
	if (record_check(decision->request, command->request, &error) != 0)
		return decide_refuse_document(command, ERR_BAD_REQUEST, &error);
	/* And two that say who asked for it. */
	if (batch->n_rows + decision->rows_max +
		(command->act != NULL ? 2 : 0) >
	    JOURNAL_BATCH_ROWS_MAX)
		return decide_refuse(command, ERR_BUSY, "",
		    "too much at once; try again");
	return decision->decide(batch, command);
}
