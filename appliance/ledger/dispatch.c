/*
 * From a message to its handler. Who may do it is decided by the operation's
 * id, before a byte of the request is decoded; what stands in no row is
 * refused (DESIGN 6).
 */
#include "appliance/ledger/audit_asked.h"
#include "appliance/ledger/backup.h"
#include "appliance/ledger/billing_asked.h"
#include "appliance/ledger/by_key.h"
#include "appliance/ledger/caller.h"
#include "appliance/ledger/deliver.h"
#include "appliance/ledger/events.h"
#include "appliance/ledger/keys.h"
#include "appliance/ledger/maintaining.h"
#include "appliance/ledger/metrics.h"
#include "appliance/ledger/online.h"
#include "appliance/ledger/people.h"
#include "appliance/ledger/sync_asked.h"
#include "appliance/ledger/tenant_delete.h"
#include "appliance/ledger/tenant_restore.h"
#include "appliance/ledger/tenant_use.h"
#include "appliance/ledger/updating.h"
#include "appliance/ledger/upload.h"
#include "appliance/ledger/usage.h"
#include "appliance/ledger/waiting.h"

#include "shared/base/err.h"
#include "shared/base/text.h"

#include <string.h>

static void (*const handlers[OPERATION_COUNT])(const struct request *) = {
	[OP_SESSION_HELLO] = session_hello,
	[OP_SESSION_PROVE] = session_prove,
	[OP_DEVICE_ENROLL] = session_enroll,
	[OP_DEVICE_ACTIVATE] = session_activate,
	[OP_LEASE_CHECKOUT] = waiting_checkout,
	[OP_LEASE_RENEW] = lease_renew,
	[OP_LEASE_RETURN] = command_end_lease,
	[OP_LEASE_ATTACH] = lease_attach,
	[OP_LICENSE_GET] = query_plain,
	[OP_LEASE_MINE] = lease_mine,
	[OP_LEASE_CANCEL] = waiting_cancel,
	[OP_BORROW_CHALLENGE] = lending_challenge,
	[OP_BORROW_TAKE] = lending_asked,
	[OP_BORROW_EXTEND] = lending_asked,
	[OP_BORROW_PREPARE] = lending_asked,
	[OP_BORROW_RETURN] = lending_asked,
	[OP_BORROW_MINE] = lending_tickets,
	[OP_USAGE_MINE] = usage_track_asked,
	[OP_BORROW_LIST] = query_plain,
	[OP_BORROW_SHOW] = query_plain,
	[OP_BORROW_DELIVER] = lending_asked,
	[OP_BORROW_WRITE_OFF] = command_ticked,
	[OP_SITE_SHOW] = query_plain,
	[OP_SITE_REQUEST] = site_request,
	[OP_LICENSE_INSTALL] = command_ticked,
	[OP_LICENSE_CHANGE] = command_ticked,
	[OP_LICENSE_LIST] = query_plain,
	[OP_LICENSE_SHOW] = query_plain,
	[OP_SYNC_STATUS] = sync_status_asked,
	[OP_SYNC_PREVIEW] = sync_preview_asked,
	[OP_SYNC_EXPORT] = sync_export_asked,
	[OP_SYNC_IMPORT] = command_ticked,
	[OP_SYNC_NOW] = sync_now_asked,
	[OP_POLICY_SHOW] = query_plain,
	[OP_POLICY_PUT] = policy_put_asked,
	[OP_POLICY_LIST] = query_plain,
	[OP_POLICY_VERSION] = query_plain,
	[OP_POLICY_CHECK] = policy_check_asked,
	[OP_POLICY_REVOKE] = policy_revoke_asked,
	[OP_SEAT_CHECKOUT] = by_key_checkout,
	[OP_SEAT_RENEW] = by_key_renew,
	[OP_SEAT_RETURN] = by_key_return,
	[OP_SEAT_CANCEL] = by_key_cancel,
	[OP_SEAT_LICENSE] = query_plain,
	[OP_LEASE_LIST] = query_plain,
	[OP_LEASE_SHOW] = query_plain,
	[OP_LEASE_RELEASE] = command_end_lease,
	[OP_QUEUE_LIST] = waiting_list,
	[OP_QUEUE_REMOVE] = waiting_remove,
	[OP_JOIN_CREATE] = join_create_asked,
	[OP_JOIN_LIST] = query_plain,
	[OP_JOIN_REVOKE] = command_plain,
	[OP_KEY_GENERATE] = key_generate_asked,
	[OP_KEY_LIST] = key_query,
	[OP_KEY_SHOW] = key_query,
	[OP_KEY_RESTRICT] = key_restrict_asked,
	[OP_KEY_ROTATE] = key_rotate_asked,
	[OP_KEY_REVOKE] = key_revoke_asked,
	[OP_SITE_KEY_LIST] = site_key_list,
	[OP_SITE_KEY_REVOKE] = site_key_revoke,
	[OP_DEVICE_LIST] = query_plain,
	[OP_DEVICE_SHOW] = query_plain,
	[OP_DEVICE_APPROVE] = command_plain,
	[OP_DEVICE_REVOKE] = command_revoke,
	[OP_JOURNAL_BATCHES] = query_plain,
	[OP_JOURNAL_CHECKPOINT] = checkpoint_asked,
	[OP_JOURNAL_SHOW] = journal_show_asked,
	[OP_JOURNAL_PRUNE] = journal_prune_asked,
	[OP_AUDIT_SEARCH] = audit_search_asked,
	[OP_AUDIT_STATE] = audit_state_asked,
	[OP_AUDIT_REBUILD] = audit_rebuild_asked,
	[OP_USAGE_TRACK] = usage_track_asked,
	[OP_USAGE_CURRENT] = query_plain,
	[OP_USAGE_REPORT] = usage_report_asked,
	[OP_USAGE_STATS] = usage_stats_asked,
	[OP_USAGE_ALERTS] = query_plain,
	[OP_BILLING_STATEMENT] = billing_asked,
	[OP_BILLING_OVERAGE] = billing_asked,
	[OP_BILLING_EVIDENCE] = billing_asked,
	[OP_HUB_ANALYTICS] = billing_asked,
	[OP_SUBJECT_SHOW] = query_plain,
	[OP_PERSON_FIND] = query_plain,
	[OP_PERSON_ERASE] = erasure_asked,
	[OP_PERSON_EXPORT] = person_export_asked,
	[OP_ERASURE_LIST] = query_plain,
	[OP_CLOCK_CONFIRM] = clock_confirm_asked,
	[OP_CLOCK_CORRECT] = clock_correct_asked,
	[OP_ROLLBACK_ACKNOWLEDGE] = rollback_acknowledge,
	[OP_ALERT_LIST] = query_plain,
	[OP_ALERT_SHOW] = query_plain,
	[OP_ALERT_ACKNOWLEDGE] = command_plain,
	[OP_CHANNEL_ADD] = channel_add_asked,
	[OP_CHANNEL_LIST] = query_plain,
	[OP_CHANNEL_REMOVE] = command_plain,
	[OP_CHANNEL_TEST] = deliver_command,
	[OP_OUTBOX_LIST] = query_plain,
	[OP_OUTBOX_RETRY] = deliver_command,
	[OP_OUTBOX_DROP] = deliver_command,
	[OP_TENANT_CREATE] = tenant_create_asked,
	[OP_TENANT_LIST] = tenant_list_asked,
	[OP_TENANT_SHOW] = tenant_show_asked,
	[OP_TENANT_CHANGE] = tenant_change_asked,
	[OP_TENANT_USAGE] = tenant_usage_asked,
	[OP_BACKUP_BEGIN] = backup_begin_asked,
	[OP_BACKUP_READ] = backup_read_asked,
	[OP_BACKUP_END] = backup_end_asked,
	[OP_RESTORE_BEGIN] = restore_begin_asked,
	[OP_RESTORE_PUT] = restore_put_asked,
	[OP_RESTORE_END] = tenant_restore_asked,
	[OP_RESTORE_LOOK] = tenant_restore_looked,
	[OP_RESTORE_DROP] = restore_drop_asked,
	[OP_TENANT_EXPORT] = export_begin_asked,
	[OP_EXPORT_BEGIN] = export_begin_asked,
	[OP_EXPORT_READ] = backup_read_asked,
	[OP_EXPORT_END] = backup_end_asked,
	[OP_TENANT_DELETE] = tenant_delete_asked,
	[OP_CERTIFICATE_LIST] = certificate_list_asked,
	[OP_APPLIANCE_STATUS] = appliance_status_asked,
	[OP_UPDATE_BEGIN] = update_begin_asked,
	[OP_UPDATE_PUT] = update_put_asked,
	[OP_UPDATE_SHOW] = update_show_asked,
	[OP_UPDATE_INSTALL] = update_install_asked,
	[OP_UPDATE_USB] = update_install_asked,
	[OP_UPDATE_DROP] = update_drop_asked,
	[OP_MAINTENANCE_OPEN] = maintenance_open_asked,
	[OP_MAINTENANCE_SHOW] = maintenance_show_asked,
	[OP_HUB_PACKAGE] = query_plain,
	[OP_HUB_LICENSE_LIST] = query_plain,
	[OP_HUB_LICENSE_SHOW] = query_plain,
	[OP_HUB_STATISTICS] = query_plain,
	[OP_HUB_SITE_LIST] = query_plain,
	[OP_HUB_SITE_SHOW] = query_plain,
	[OP_HUB_KEY_SHOW] = query_plain,
	[OP_HUB_IMAGE_LIST] = query_plain,
	[OP_HUB_IMAGE_ADD] = command_plain,
	[OP_HUB_IMAGE_REMOVE] = command_plain,
	[OP_BILLING_CREDIT_ADD] = credit_asked,
	[OP_BILLING_CREDIT_LIST] = query_plain,
	[OP_BILLING_INVOICE_ADD] = invoice_asked,
	[OP_BILLING_INVOICE_LIST] = query_plain,
	[OP_CUSTOMER_SEARCH] = query_plain,
	[OP_CUSTOMER_LIST] = query_plain,
	[OP_CUSTOMER_SHOW] = query_plain,
	[OP_HUB_GENERATE] = command_plain,
	[OP_HUB_PROVISION] = hub_provision_asked,
	[OP_HUB_LICENSE_RENEW] = command_plain,
	[OP_HUB_LICENSE_SUSPEND] = command_plain,
	[OP_HUB_LICENSE_RESUME] = command_plain,
	[OP_HUB_LICENSE_CANCEL] = command_plain,
	[OP_CUSTOMER_ADD] = command_plain,
	[OP_CUSTOMER_SET] = command_plain,
	[OP_HUB_SITE_ADD] = command_plain,
	[OP_HUB_REISSUE] = command_plain,
	[OP_HUB_REPORT_IMPORT] = command_ticked,
	[OP_HUB_REPORT_TAKE] = hub_report_asked,
	[OP_HUB_KEY_INSTALL] = command_plain,
	[OP_HUB_KEY_MAKE] = hub_key_make_asked,
	[OP_TENANT_REGISTER] = command_plain,
	[OP_TENANT_VERIFY] = hub_verify_asked,
	[OP_SESSION_CREATE] = session_create_asked,
	[OP_SESSION_SHOW] = session_show_asked,
	[OP_SESSION_END] = session_end_asked,
	[OP_SESSION_LIST] = session_list_asked,
	[OP_SESSION_REVOKE] = session_revoke_asked,
	[OP_PASSWORD_CHANGE] = password_change_asked,
	[OP_TOTP_BEGIN] = totp_begin_asked,
	[OP_TOTP_CONFIRM] = totp_confirm_asked,
	[OP_TOTP_OFF] = totp_off_asked,
	[OP_USER_CREATE] = user_create_asked,
	[OP_USER_LIST] = query_plain,
	[OP_USER_SHOW] = query_plain,
	[OP_USER_SET] = user_set_asked,
	[OP_USER_DISABLE] = user_state_asked,
	[OP_USER_ENABLE] = user_state_asked,
	[OP_USER_REMOVE] = user_state_asked,
	[OP_USER_RESET] = user_reset_asked,
	[OP_USER_TOTP_RESET] = user_reset_asked,
	[OP_EVENTS] = events_open,
	[OP_METRICS] = metrics_asked,
	[OP_HEALTHZ] = site_health,
	[OP_READYZ] = site_health,
};

/* So that a refusal has an operation to be about. */
static const struct operation nothing = { .id = OP_NONE, .name = "nothing" };

static const struct operation *
find_operation(struct request *request, uint16_t op)
{
	const struct operation *found = operation_get(op);

	request->op = found != NULL ? found : &nothing;
	if (found != NULL && handlers[op] != NULL)
		return found;
	request_refuse(request, ERR_NOT_FOUND, NULL);
	return NULL;
}

static void
run_handler(const struct request *request)
{
	int64_t began = usage_clock_ns();

	handlers[request->op->id](request);
	/* A session may have ended, its tenant is open all the same. */
	if (request->tenant != NULL)
		usage_took(request->tenant, usage_clock_ns() - began);
	arena_clear(&request->process->arena);
}

static void
refuse_stranger(const struct request *request, int err)
{
	request->process->counts.unauthenticated++;
	request_refuse(request, err, NULL);
}

/* The journal must hold the start before anything else. Where it takes nothing,
 * for the disk is full, what needs no row goes on. */
static bool
is_starting(const struct request *request)
{
	const struct tenant *tenant = request->tenant;
	struct problem problem;

	if (tenant->started ||
	    (tenant->fault != 0 && request->op->kind != OPERATION_COMMAND))
		return false;
	if (tenant->fault != 0)
		problem_set(&problem, ERR_UNAVAILABLE, NULL,
		    "nothing can be journaled: %s", err_str(tenant->fault));
	else
		problem_set(&problem, ERR_UNAVAILABLE, NULL,
		    "the site is starting; try again soon");
	request_refuse(request, ERR_UNAVAILABLE, &problem);
	return true;
}

/* A command is refused before it does anything: who is told that he loses his
 * seat loses it. */
static bool
is_frozen(const struct request *request)
{
	struct problem problem;

	if (!request->process->guard.frozen ||
	    request->op->kind != OPERATION_COMMAND ||
	    request->op->id == OP_ROLLBACK_ACKNOWLEDGE)
		return false;
	problem_set(&problem, ERR_ROLLED_BACK,
	    request->who.kind == ACTOR_ADMIN
		? "see: leasehold site show; then, when that copy is to stay: "
		  "leasehold site acknowledge-rollback --reason TEXT"
		: "tell the site's admin: leasehold site show",
	    "the site's store was put back to an older copy; nothing is "
	    "granted or changed until an admin acknowledges it");
	request_refuse(request, ERR_ROLLED_BACK, &problem);
	return true;
}

/* Of the site's admin, about tenants and the site: they must get through. */
static bool
is_of_the_site(const struct operation *op)
{
	return op->scope == SCOPE_SITE || op->scope == SCOPE_TENANTS;
}

/* A suspended tenant looks, and gives back; its people log in. */
static bool
is_suspended(const struct request *request)
{
	const struct system_tenant *facts = &request->tenant->entry->facts;
	const struct operation *op = request->op;
	struct problem problem;

	if (facts->status != TENANT_SUSPENDED || is_of_the_site(op) ||
	    op->scope == SCOPE_OPEN || op->scope == SCOPE_RETURN)
		return false;
	if (op->kind != OPERATION_COMMAND && op->scope != SCOPE_SESSION &&
	    op->scope != SCOPE_DEVICE && op->scope != SCOPE_CHECKOUT &&
	    op->scope != SCOPE_BORROW)
		return false;
	problem_set(&problem, ERR_TENANT_SUSPENDED,
	    "ask who runs the site; looking is still allowed",
	    "the tenant %s is suspended%s%s", facts->name,
	    facts->reason[0] != '\0' ? ": " : "", facts->reason);
	request_refuse(request, ERR_TENANT_SUSPENDED, &problem);
	return true;
}

/* Who has a seat keeps it: renewals and returns go on. */
static bool
is_used_up(const struct request *request)
{
	const struct operation *op = request->op;
	struct problem problem;

	if (!usage_counts(op) || usage_call(request->tenant) ||
	    is_of_the_site(op) || op->scope == SCOPE_RETURN ||
	    (op->path == NULL && op->id != OP_LEASE_CHECKOUT &&
		op->id != OP_BORROW_TAKE))
		return false;
	problem_set(&problem, ERR_QUOTA_EXCEEDED,
	    "wait until midnight UTC, or ask who runs the site for more",
	    "the tenant %s has used up its %llu requests of today",
	    request->tenant->name,
	    (unsigned long long)
		request->tenant->entry->facts.limits.apiCallsPerDay);
	request_refuse(request, ERR_QUOTA_EXCEEDED, &problem);
	return true;
}

/* A hub gives no seats, a site issues nothing: there it does not exist. */
static bool
is_elsewhere(const struct request *request)
{
	const enum operation_place place = operation_place(request->op);
	const bool hub = request->process->options->hub;
	struct problem problem;

	if (place == OPERATION_ANYWHERE || (place == OPERATION_ON_HUB) == hub)
		return false;
	problem_set(&problem, ERR_NOT_FOUND,
	    hub ? "ask the site that the license is for"
		: "ask the vendor's hub",
	    hub ? "this is a vendor's hub: it gives no seats, and %s is of "
		  "sites"
		: "this is a site: it issues no licenses, and %s is of "
		  "vendors' hubs",
	    request->op->name);
	request_refuse(request, ERR_NOT_FOUND, &problem);
	return true;
}

/* A CRM that names another vendor than its key does has mixed them up. */
static bool
is_of_another_vendor(const struct request *request,
    const struct wire_caller *wire)
{
	struct problem problem;

	/* Statements and users are there for both: at a hub they are a
	 * vendor's, too. */
	if (wire->vendor[0] == '\0' || !request->process->options->hub ||
	    strcmp(wire->vendor, request->tenant->name) == 0)
		return false;
	problem_set(&problem, ERR_FORBIDDEN,
	    "use the key of that vendor's account",
	    "X-Vendor-ID is %s, and this key is of %s", wire->vendor,
	    request->tenant->name);
	request_refuse(request, ERR_FORBIDDEN, &problem);
	return true;
}

/* Whoever asks, and whatever: may it be handled at this moment? */
static bool
may_go_on(const struct request *request)
{
	return !is_starting(request) && !is_suspended(request) &&
	    !is_used_up(request) && !is_frozen(request);
}

/* --- agents -------------------------------------------------------------- */

void
dispatch_request(struct front *front, const struct ipc_message *message)
{
	struct request request = {
		.process = front->process,
		.front = front,
		.session = table_get(&front->sessions, message->conn),
		.message = message,
		.conn = message->conn,
		.tag = message->tag,
		.payload = message->payload,
		.len = message->len,
	};
	const struct operation *op = find_operation(&request, message->op);

	/* No session: it was closed a moment ago. */
	if (op == NULL || request.session == NULL)
		return;
	if ((op->scope != SCOPE_SESSION && op->scope != SCOPE_DEVICE) ||
	    (op->scope == SCOPE_DEVICE &&
		!session_is_proved(request.session))) {
		refuse_stranger(&request, ERR_UNAUTHENTICATED);
		return;
	}
	int rc = session_bind(&request.tenant, request.session);

	if (rc == ERR_BUSY)
		tenant_park(front, message, false);
	else if (rc != 0)
		request_refuse(&request, rc, NULL);
	if (rc != 0)
		return;
	session_fill_who(&request.who, request.session);
	session_heard(request.session);
	if (is_elsewhere(&request))
		return;
	if (op->scope == SCOPE_DEVICE && session_is_pending(request.session)) {
		struct problem problem;

		problem_set_pending(&problem, request.who.id);
		request_refuse(&request, ERR_FORBIDDEN, &problem);
		return;
	}
	if (may_go_on(&request))
		run_handler(&request);
}

/* --- keys and the open operations ---------------------------------------- */

static int
refuse_scope(const struct request *request, scope_set scopes)
{
	const struct operation *op = request->op;
	const enum scope scope =
	    operation_scope(op, request->process->options->hub);
	struct problem problem;

	if ((scopes & SCOPE_BIT(scope)) != 0)
		return 0;
	problem_set(&problem, ERR_FORBIDDEN,
	    scopes == SCOPE_BIT(SCOPE_SELF)
		? "change your password first: leasehold user password"
		: NULL,
	    "this credential has not the scope %s, which %s needs",
	    scope_name(scope), op->name);
	if (request->who.kind == ACTOR_KEY)
		keys_note_denial(request->tenant, request->who.id,
		    request->caller, ERR_FORBIDDEN);
	request_refuse(request, ERR_FORBIDDEN, &problem);
	return ERR_FORBIDDEN;
}

/* The caller stands before the request's record. */
static int
read_caller(struct wire_caller *caller, struct request *request)
{
	size_t used = 0;
	int rc =
	    record_read_msgpack(caller, &wire_caller_record, request->payload,
		request->len, &used, &request->process->arena, NULL);

	if (rc == 0) {
		request->payload += used;
		request->len -= used;
	}
	return rc;
}

static void
refuse_caller(const struct request *request, const struct caller *caller,
    int err)
{
	const bool words = caller->problem.code[0] != '\0';

	if (err == ERR_UNAUTHENTICATED && !words)
		refuse_stranger(request, err);
	else
		request_refuse(request, err, words ? &caller->problem : NULL);
}

/* Host name and credential must name the same tenant. */
static int
refuse_host(const struct request *request, const struct caller *caller,
    const char *host)
{
	struct problem problem;

	if (tenant_by_host(request->process, host) == caller->tenant->entry)
		return 0;
	problem_set(&problem, ERR_WRONG_TENANT,
	    "use the host name of your own tenant",
	    "this credential is of tenant %s, and this host name is not",
	    caller->tenant->name);
	if (caller->who.kind == ACTOR_KEY)
		keys_note_denial(caller->tenant, caller->who.id,
		    request->caller, ERR_WRONG_TENANT);
	request_refuse(request, ERR_WRONG_TENANT, &problem);
	return ERR_WRONG_TENANT;
}

/* What needs no credential: a command is about the tenant of the host name. */
static int
find_open(struct request *request, const struct wire_caller *wire)
{
	struct tenant_entry *entry;

	if (request->op->kind != OPERATION_COMMAND)
		return 0;
	/* A site knows its vendor's id, and not the account's host name. */
	if (request->op->id == OP_HUB_REPORT_TAKE) {
		if (!request->process->options->hub)
			return 0;
		entry = tenants_find(&request->process->known, wire->vendor);
		return entry == NULL ? ERR_NOT_FOUND
				     : tenant_use_entry(&request->tenant,
					   request->process, entry);
	}
	return tenant_use_entry(&request->tenant, request->process,
	    tenant_by_host(request->process, wire->host));
}

/* True: it may be handled. Otherwise it was answered, or is kept until its
 * tenant is open. `wire` is the room for who calls. */
static bool
authorize(struct request *request, const struct ipc_message *message,
    struct wire_caller *wire)
{
	struct caller caller = { 0 };
	int rc = request->op->path != NULL ? read_caller(wire, request)
					   : ERR_NOT_FOUND;

	request->caller = wire;
	/* Figures name nobody; whether they are anybody's is the admin's. */
	const bool figures = rc == 0 && request->op->id == OP_METRICS &&
	    request->process->options->metrics_open && wire->key.len == 0;
	const bool open = request->op->scope == SCOPE_OPEN || figures;

	if (rc == 0)
		text_copy(request->who.address, sizeof(request->who.address),
		    wire->address);
	if (rc == 0)
		rc = open
		    ? find_open(request, wire)
		    : caller_find(&caller, request->process, wire, request->op);
	if (rc == ERR_BUSY) {
		tenant_park(request->front, message, true);
		return false;
	}
	if (caller.limits.limit != 0)
		request_tell_limits(request, &caller.limits);
	if (rc != 0) {
		refuse_caller(request, &caller, rc);
		return false;
	}
	if (figures)
		request->scopes = SCOPES_SITE;
	if (open)
		return !is_elsewhere(request) &&
		    (request->tenant == NULL || may_go_on(request));
	if (refuse_host(request, &caller, wire->host) != 0)
		return false;
	request->tenant = caller.tenant;
	request->who = caller.who;
	request->scopes = caller.scopes;
	request->login = caller.login;
	/* Its admins are the vendor's. */
	if (request->process->options->hub &&
	    (caller.scopes & SCOPE_BIT(SCOPE_LICENSES)) != 0)
		request->scopes |= SCOPES_HUB;
	return !is_elsewhere(request) &&
	    refuse_scope(request, request->scopes) == 0 &&
	    !is_of_another_vendor(request, wire) && may_go_on(request);
}

void
dispatch_call(struct front *front, const struct ipc_message *message)
{
	struct wire_caller wire;
	struct request request = {
		.process = front->process,
		.front = front,
		.message = message,
		.conn = message->conn,
		.tag = message->tag,
		.payload = message->payload,
		.len = message->len,
	};

	if (find_operation(&request, message->op) != NULL &&
	    authorize(&request, message, &wire) && !again_answered(&request)) {
		run_handler(&request);
		return;
	}
	arena_clear(&front->process->arena);
}
