#include "shared/rpc/operations.h"

#include <string.h>

/* What a repeat does follows from the kind, unless a row says otherwise: a
 * command is done once, what is no fact is as good done twice. */
#define REPEAT_OF_QUERY REPEAT_READS
#define REPEAT_OF_SOFT REPEAT_SAME
#define REPEAT_OF_COMMAND REPEAT_ONCE

/* clang-format off */
#define AGENT(id, name, kind, scope, request, reply, doc)                      \
	{ id, name, NULL, NULL, OPERATION_##kind, SCOPE_##scope, REPEAT_AGENT, \
	  &request##_record, &reply##_record, 200, doc, NULL, NULL }
#define MAKE(id, name, method, path, kind, scope, repeat, request, reply,      \
    status, doc, is_waiting)                                                   \
	{ id, name, method, path, OPERATION_##kind, SCOPE_##scope, repeat,     \
	  &request##_record, &reply##_record, status, doc, is_waiting, NULL }
#define CALL(id, name, method, path, kind, scope, request, reply, status, doc) \
	MAKE(id, name, method, path, kind, scope, REPEAT_OF_##kind, request,   \
	    reply, status, doc, NULL)
/* REPEAT(SAME, OP_...): as CALL, and what a repeat does. */
#define REPEAT(repeat, id, name, method, path, kind, scope, request, reply,    \
    status, doc)                                                               \
	MAKE(id, name, method, path, kind, scope, REPEAT_##repeat, request,    \
	    reply, status, doc, NULL)
#define WAIT(id, name, method, path, kind, scope, request, reply, status, doc, \
    is_waiting)                                                                \
	MAKE(id, name, method, path, kind, scope, REPEAT_ROW, request, reply,  \
	    status, doc, is_waiting)
#define TEXT(id, name, path, scope, type, request, reply, doc)                 \
	{ id, name, "GET", path, OPERATION_QUERY, SCOPE_##scope, REPEAT_READS, \
	  &request##_record, &reply##_record, 200, doc, NULL, type }
#define OPEN(id, name, path, reply, doc)                                       \
	{ id, name, "GET", path, OPERATION_QUERY, SCOPE_OPEN, REPEAT_READS,    \
	  &empty_record, &reply##_record, 200, doc, NULL, NULL }

static const struct operation operations[] = {
	AGENT(OP_SESSION_HELLO, "session.hello", SESSION, SESSION,
	    hello, hello_reply, "Begin a session; get a nonce to prove over."),
	AGENT(OP_SESSION_PROVE, "session.prove", SESSION, SESSION,
	    prove, prove_reply, "Prove which device speaks."),
	AGENT(OP_DEVICE_ENROLL, "device.enroll", COMMAND, SESSION,
	    enroll, enroll_reply, "Become a device, with a token."),
	AGENT(OP_DEVICE_ACTIVATE, "device.activate", COMMAND, SESSION,
	    enroll_activate, enroll_reply,
	    "Answer the challenge that an enrolment got."),
	AGENT(OP_LEASE_CHECKOUT, "lease.checkout", COMMAND, DEVICE,
	    checkout, checkout_reply, "Take a seat."),
	AGENT(OP_LEASE_RENEW, "lease.renew", SOFT, DEVICE,
	    renew, renew_reply, "Renew leases; one beat answers all."),
	AGENT(OP_LEASE_RETURN, "lease.return", COMMAND, DEVICE,
	    lease_return, lease_ended, "Give a seat back."),
	AGENT(OP_LEASE_ATTACH, "lease.attach", SOFT, DEVICE,
	    attach, attach_reply, "Go on with leases held before."),
	AGENT(OP_LICENSE_GET, "license.get", QUERY, DEVICE,
	    license_ref, license_file, "The license behind a lease."),
	AGENT(OP_LEASE_MINE, "lease.list", QUERY, DEVICE,
	    lease_query, lease_page, "Leases of this device."),
	AGENT(OP_LEASE_CANCEL, "lease.cancel", SOFT, DEVICE,
	    lease_cancel, empty, "Leave the queue."),
	AGENT(OP_BORROW_CHALLENGE, "borrow.challenge", SOFT, DEVICE,
	    empty, borrow_challenge, "Get a nonce to prove over."),
	AGENT(OP_BORROW_TAKE, "borrow.take", COMMAND, DEVICE,
	    borrow_take, borrow_taken, "Take a seat along, offline."),
	AGENT(OP_BORROW_EXTEND, "borrow.extend", COMMAND, DEVICE,
	    borrow_extend, borrow_taken, "Keep a borrowed seat for longer."),
	AGENT(OP_BORROW_PREPARE, "borrow.prepare", COMMAND, DEVICE,
	    borrow_prepare, borrow_prepared, "Begin to give seats back."),
	AGENT(OP_BORROW_RETURN, "borrow.return", COMMAND, DEVICE,
	    borrow_return, borrow_returned, "Prove that they are given back."),
	AGENT(OP_BORROW_MINE, "borrow.list", QUERY, DEVICE,
	    borrow_mine, borrow_tickets, "Tickets of this device."),
	AGENT(OP_USAGE_MINE, "usage.report", COMMAND, DEVICE,
	    usage_track, usage_tracked, "Tell what was used, by metric."),
	AGENT(OP_LEASE_REVOKED, "lease.revoked", NOTICE, DEVICE,
	    lease_refused, empty, "A lease was taken."),
	AGENT(OP_LEASE_WAITING, "lease.waiting", NOTICE, DEVICE,
	    lease_waiting, empty, "A place in the queue changed."),
	AGENT(OP_LEASE_OFFERED, "lease.offered", NOTICE, DEVICE,
	    lease_offered, empty, "The seat is there: ask again."),
	AGENT(OP_DEVICE_APPROVED, "device.approved", NOTICE, DEVICE,
	    empty, empty, "An admin let this device in."),
	AGENT(OP_POLICY_CHANGED, "policy.changed", NOTICE, DEVICE,
	    policy_changed, empty, "Another policy is in force."),
	AGENT(OP_SERVER_DRAINING, "server.draining", NOTICE, DEVICE,
	    draining, empty, "The site is about to stop; leases stay."),

	CALL(OP_SITE_SHOW, "site.show", "GET", "/api/v1/site", QUERY, READ,
	    empty, site_view, 200, "Show the site."),
	CALL(OP_SITE_REQUEST, "site.request", "GET", "/api/v1/site/request",
	    QUERY, READ, empty, site_request_reply, 200,
	    "The activation request for the vendor."),
	CALL(OP_LICENSE_INSTALL, "license.install", "POST",
	    "/api/v1/licenses", COMMAND, LICENSES, license_install, license_view, 201,
	    "Install a license that a vendor issued."),
	REPEAT(SAME, OP_LICENSE_CHANGE, "license.change", "POST",
	    "/api/v1/licenses/changes", COMMAND, LICENSES, license_change_file,
	    license_view, 200,
	    "Put in force what a vendor says of a license: renew, suspend, "
	    "resume, cancel."),
	CALL(OP_LICENSE_LIST, "license.list", "GET", "/api/v1/licenses",
	    QUERY, READ, license_query, license_page, 200,
	    "List licenses and their use."),
	CALL(OP_LICENSE_SHOW, "license.show", "GET",
	    "/api/v1/licenses/{license}", QUERY, READ, license_number, license_view,
	    200, "Show a license and its use."),
	CALL(OP_SYNC_STATUS, "sync.status", "GET", "/api/v1/sync", QUERY, READ,
	    empty, sync_status, 200,
	    "What vendors have acknowledged, and what waits."),
	CALL(OP_SYNC_PREVIEW, "sync.preview", "GET", "/api/v1/sync/preview",
	    QUERY, LICENSES, sync_ask, sync_previewed, 200,
	    "What the next report would say. Nothing leaves."),
	REPEAT(ANEW, OP_SYNC_EXPORT, "sync.export", "POST",
	    "/api/v1/sync/exports", SOFT, LICENSES, sync_export,
	    sync_exported, 200, "The next report to a vendor, sealed."),
	CALL(OP_SYNC_IMPORT, "sync.import", "POST", "/api/v1/sync/imports",
	    COMMAND, LICENSES, sync_file, sync_imported, 200,
	    "Take receipts and changes of licenses."),
	CALL(OP_SYNC_NOW, "sync.now", "POST", "/api/v1/sync/now", SOFT,
	    LICENSES, sync_now, sync_started, 200,
	    "Send reports to the hubs of vendors at once."),
	CALL(OP_POLICY_SHOW, "policy.show", "GET", "/api/v1/policies", QUERY,
	    LICENSES, empty, policy_view, 200, "Show the policy in force."),
	CALL(OP_POLICY_PUT, "policy.put", "PUT", "/api/v1/policies", COMMAND,
	    LICENSES, policy_put, policy_summary, 200,
	    "Bring a policy into force. It takes no seat from who has one."),
	CALL(OP_POLICY_LIST, "policy.list", "GET", "/api/v1/policies/versions",
	    QUERY, READ, policy_query, policy_page, 200,
	    "List versions of the policy, newest first."),
	CALL(OP_POLICY_VERSION, "policy.version", "GET",
	    "/api/v1/policies/versions/{version}", QUERY, LICENSES,
	    policy_version, policy_view, 200, "Show a version of the policy."),
	CALL(OP_POLICY_CHECK, "policy.check", "POST", "/api/v1/policies/check",
	    QUERY, LICENSES, policy_check, policy_impact, 200,
	    "Try a policy: whom it would touch. Nothing changes."),
	CALL(OP_POLICY_REVOKE, "policy.revoke", "POST",
	    "/api/v1/policies/revoke", SOFT, LEASES, policy_revoke,
	    policy_revoking, 200,
	    "End leases that the policy in force would refuse, after a grace."),
	WAIT(OP_SEAT_CHECKOUT, "license.checkout", "POST",
	    "/api/v1/licenses/checkout", COMMAND, CHECKOUT, seat_checkout,
	    seat_lease, 201, "Take a seat, without an agent.", seat_is_waiting),
	CALL(OP_SEAT_RENEW, "license.renew", "POST", "/api/v1/licenses/renew",
	    SOFT, CHECKOUT, seat_renew, seat_renewed, 200,
	    "Keep leases of this key."),
	REPEAT(SAME, OP_SEAT_RETURN, "license.return", "POST", "/api/v1/licenses/return",
	    COMMAND, RETURN, seat_id, seat_returned, 200,
	    "Give a seat of this key back."),
	CALL(OP_SEAT_CANCEL, "license.cancel", "POST", "/api/v1/licenses/cancel",
	    SOFT, CHECKOUT, seat_cancel, seat_cancelled, 200,
	    "Leave the queue that a checkout of this key stands in."),
	CALL(OP_SEAT_LICENSE, "license.file", "GET",
	    "/api/v1/licenses/files/{digest}", QUERY, CHECKOUT, license_ref,
	    license_file, 200, "The license behind a lease."),
	CALL(OP_LEASE_LIST, "lease.list", "GET", "/api/v1/leases", QUERY, READ,
	    lease_query, lease_page, 200, "List leases held."),
	CALL(OP_LEASE_SHOW, "lease.show", "GET", "/api/v1/leases/{lease}",
	    QUERY, READ, lease_ref, lease_view, 200, "Show a lease."),
	CALL(OP_LEASE_RELEASE, "lease.release", "DELETE",
	    "/api/v1/leases/{lease}", COMMAND, LEASES, lease_ref, lease_ended, 200,
	    "Take a seat from who holds it."),
	REPEAT(READS, OP_QUEUE_LIST, "queue.list", "GET", "/api/v1/queue", SOFT, READ,
	    waiter_query, waiter_page, 200, "List who waits for a seat."),
	CALL(OP_QUEUE_REMOVE, "queue.remove", "DELETE",
	    "/api/v1/queue/{waiter}", SOFT, LEASES, waiter_number, waiter_number, 200,
	    "Take somebody out of the queue."),
	CALL(OP_BORROW_LIST, "borrow.list", "GET", "/api/v1/borrows", QUERY, READ,
	    borrow_query, borrow_page, 200, "List seats on loan."),
	CALL(OP_BORROW_SHOW, "borrow.show", "GET", "/api/v1/borrows/{lease}",
	    QUERY, READ, lease_ref, borrow_view, 200, "Show a borrow."),
	CALL(OP_BORROW_DELIVER, "borrow.deliver", "POST",
	    "/api/v1/borrows/returns", COMMAND, LEASES, borrow_file, borrow_returned,
	    200, "Bring a return that a device made offline."),
	CALL(OP_BORROW_WRITE_OFF, "borrow.write_off", "DELETE",
	    "/api/v1/borrows/{lease}", COMMAND, LEASES, borrow_write_off,
	    borrow_written_off, 200,
	    "Give up a borrow whose device will not prove its return."),
	CALL(OP_JOIN_CREATE, "join.create", "POST", "/api/v1/devices/tokens",
	    COMMAND, DEVICES, join_create, join_created, 201,
	    "Make an enrolment token."),
	CALL(OP_JOIN_LIST, "join.list", "GET", "/api/v1/devices/tokens",
	    QUERY, READ, join_query, join_page, 200,
	    "List enrolment tokens that can still be used, or all."),
	CALL(OP_JOIN_REVOKE, "join.revoke", "DELETE",
	    "/api/v1/devices/tokens/{join}", COMMAND, DEVICES, join_number, join_number,
	    200, "Let nobody else join with a token."),
	CALL(OP_KEY_GENERATE, "key.generate", "POST", "/api/v1/keys/generate",
	    COMMAND, KEYS, key_generate, key_generated, 201,
	    "Make an API key; it is shown this once."),
	CALL(OP_KEY_LIST, "key.list", "GET", "/api/v1/keys", QUERY, KEYS,
	    key_query, key_page, 200, "List API keys."),
	CALL(OP_KEY_SHOW, "key.show", "GET", "/api/v1/keys/{key_id}", QUERY,
	    KEYS, key_ref, key_details, 200,
	    "Show an API key and what it is bound to."),
	CALL(OP_KEY_RESTRICT, "key.restrict", "POST",
	    "/api/v1/keys/{key_id}/restrictions", COMMAND, KEYS, key_restrict,
	    key_details, 200, "Bind an API key to hosts, addresses, hours."),
	CALL(OP_KEY_ROTATE, "key.rotate", "POST",
	    "/api/v1/keys/{key_id}/rotate", COMMAND, KEYS, key_rotate,
	    key_generated, 200,
	    "Give an API key a new secret; the old one is good for a while."),
	CALL(OP_KEY_REVOKE, "key.revoke", "DELETE", "/api/v1/keys/{key_id}",
	    COMMAND, KEYS, key_revoke, key_ref, 200,
	    "End an API key at once, and take its seats."),
	CALL(OP_SITE_KEY_LIST, "site.key.list", "GET", "/api/v1/site/keys",
	    QUERY, SITE, empty, site_key_page, 200,
	    "List the keys of the site's own admins."),
	REPEAT(SAME, OP_SITE_KEY_REVOKE, "site.key.revoke", "DELETE",
	    "/api/v1/site/keys/{key_id}", COMMAND, SITE, key_ref, key_ref, 200,
	    "End a key of the site's own admins."),
	CALL(OP_DEVICE_LIST, "device.list", "GET", "/api/v1/devices", QUERY, READ,
	    device_query, device_page, 200, "List devices."),
	CALL(OP_DEVICE_SHOW, "device.show", "GET",
	    "/api/v1/devices/{device}", QUERY, READ, device_number, device_view, 200,
	    "Show a device."),
	CALL(OP_DEVICE_APPROVE, "device.approve", "POST",
	    "/api/v1/devices/{device}/approve", COMMAND, DEVICES, device_number,
	    device_number, 200, "Let a device in that waits for approval."),
	CALL(OP_DEVICE_REVOKE, "device.revoke", "DELETE",
	    "/api/v1/devices/{device}", COMMAND, DEVICES, device_revoke, device_number,
	    200, "Shut a device out and take its seats."),
	CALL(OP_JOURNAL_BATCHES, "journal.batches", "GET",
	    "/api/v1/journal/batches", QUERY, AUDIT, batch_query, batch_page, 200,
	    "Read the journal."),
	CALL(OP_JOURNAL_CHECKPOINT, "journal.checkpoint", "POST",
	    "/api/v1/journal/checkpoint", COMMAND, AUDIT, empty, checkpoint_reply,
	    200, "Journal a checkpoint of the state."),
	CALL(OP_JOURNAL_SHOW, "journal.show", "GET", "/api/v1/journal", QUERY,
	    AUDIT, empty, journal_view, 200,
	    "Where the journal begins, and how long it is."),
	REPEAT(SAME, OP_JOURNAL_PRUNE, "journal.prune", "POST",
	    "/api/v1/journal/prune", COMMAND, SITE, journal_prune, journal_pruned,
	    200, "Give up what is old; the chain goes on."),
	CALL(OP_AUDIT_SEARCH, "audit.search", "GET", "/api/v1/audit", QUERY,
	    AUDIT, audit_query, audit_page, 200,
	    "Search who did what, when, from where and with what result."),
	CALL(OP_AUDIT_STATE, "audit.state", "GET", "/api/v1/audit/state",
	    QUERY, AUDIT, empty, audit_state, 200,
	    "How much of the journal is searched."),
	REPEAT(SAME, OP_AUDIT_REBUILD, "audit.rebuild", "POST",
	    "/api/v1/audit/rebuild", QUERY, AUDIT, empty, audit_state, 200,
	    "Make what is searched anew from the journal, while all goes on."),
	REPEAT(SAME, OP_USAGE_TRACK, "usage.track", "POST",
	    "/api/v1/usage/track", COMMAND, USAGE_WRITE, usage_track,
	    usage_tracked, 200,
	    "Tell what was used, by metric; the same event counts once."),
	CALL(OP_USAGE_CURRENT, "usage.current", "GET", "/api/v1/usage/current",
	    QUERY, USAGE_READ, empty, usage_current, 200,
	    "What is used now, of seats and named metrics, and the limits."),
	CALL(OP_USAGE_REPORT, "usage.period", "GET", "/api/v1/usage/report",
	    QUERY, USAGE_READ, usage_query, usage_report, 200,
	    "What was used in a period, by day."),
	CALL(OP_USAGE_STATS, "usage.stats", "GET", "/api/v1/usage/stats",
	    QUERY, USAGE_READ, usage_stats_query, usage_page, 200,
	    "What was used in a period, by feature, serial, user, host or "
	    "metric."),
	CALL(OP_USAGE_ALERTS, "usage.alerts", "GET", "/api/v1/usage/alerts",
	    QUERY, USAGE_READ, empty, alert_page, 200,
	    "Limits of which 80 or 100 % are used."),
	TEXT(OP_BILLING_STATEMENT, "billing.statement",
	    "/api/v1/billing/statement", USAGE_READ, "",
	    billing_statement_query, billing_document,
	    "What is owed to a vendor for a month or some days. At a hub: "
	    "billing:read."),
	TEXT(OP_BILLING_OVERAGE, "billing.overage", "/api/v1/billing/overage",
	    USAGE_READ, "", billing_overage_query, billing_document,
	    "Overage of some days, a row a license. At a hub: "
	    "billing:read."),
	CALL(OP_BILLING_EVIDENCE, "billing.evidence", "GET",
	    "/api/v1/billing/evidence", QUERY, USAGE_READ,
	    billing_evidence_query, billing_evidence_page, 200,
	    "The rows of the journal that say overage. At a hub: "
	    "billing:read."),
	CALL(OP_SUBJECT_SHOW, "subject.show", "GET",
	    "/api/v1/subjects/{subject}", QUERY, SUBJECTS, subject_ref, subject_view,
	    200, "Who or what a subject id stands for."),
	CALL(OP_PERSON_FIND, "person.find", "GET", "/api/v1/subjects", QUERY,
	    SUBJECTS, person_query, person_page, 200,
	    "Which subjects are a person's?"),
	CALL(OP_PERSON_EXPORT, "person.export", "POST",
	    "/api/v1/subjects/export", QUERY, SUBJECTS, person_export,
	    person_data, 200, "All that is known of a person."),
	CALL(OP_PERSON_ERASE, "person.erase", "POST", "/api/v1/subjects/erase",
	    COMMAND, SUBJECTS, person_erase, person_erased, 200,
	    "Erase a person; the journal stays whole."),
	CALL(OP_ERASURE_LIST, "erasure.list", "GET", "/api/v1/erasures", QUERY,
	    SUBJECTS, erasure_query, erasure_page, 200,
	    "List who was erased, by number, with the signed documents."),
	CALL(OP_CLOCK_CONFIRM, "clock.confirm", "POST",
	    "/api/v1/site/clock/confirm", COMMAND, SITE, empty, empty, 200,
	    "Adopt what the wall clock says after a jump."),
	CALL(OP_CLOCK_CORRECT, "clock.correct", "POST",
	    "/api/v1/site/clock/correct", COMMAND, SITE, clock_correct, empty, 200,
	    "Undo a mistake of the clock that was confirmed."),
	REPEAT(SAME, OP_ROLLBACK_ACKNOWLEDGE, "site.acknowledge_rollback", "POST",
	    "/api/v1/site/rollback/acknowledge", COMMAND, SITE, rollback_acknowledge,
	    rollback_acknowledged, 200,
	    "Go on after the store was put back to an older copy."),
	CALL(OP_ALERT_LIST, "alert.list", "GET", "/api/v1/alerts", QUERY, READ,
	    alert_query, alert_page, 200, "List what somebody must know of."),
	CALL(OP_ALERT_SHOW, "alert.show", "GET", "/api/v1/alerts/{alert}", QUERY,
	    READ, alert_number, alert_view, 200, "Show an alert."),
	CALL(OP_ALERT_ACKNOWLEDGE, "alert.acknowledge", "POST",
	    "/api/v1/alerts/{alert}/acknowledge", COMMAND, LEASES, alert_number,
	    alert_number, 200, "Say that somebody has seen it."),
	CALL(OP_CHANNEL_ADD, "channel.add", "POST", "/api/v1/alert-channels",
	    COMMAND, KEYS, channel_add, channel_added, 201,
	    "Send alerts there too."),
	CALL(OP_CHANNEL_LIST, "channel.list", "GET", "/api/v1/alert-channels",
	    QUERY, KEYS, empty, channel_page, 200, "List where alerts go."),
	CALL(OP_CHANNEL_REMOVE, "channel.remove", "DELETE",
	    "/api/v1/alert-channels/{channel}", COMMAND, KEYS, channel_number,
	    channel_number, 200, "Send no alerts there any more."),
	CALL(OP_CHANNEL_TEST, "channel.test", "POST",
	    "/api/v1/alert-channels/{channel}/test", COMMAND, KEYS,
	    channel_number, channel_number, 200, "Send a test there."),
	CALL(OP_OUTBOX_LIST, "outbox.list", "GET", "/api/v1/outbox", QUERY, READ,
	    delivery_query, delivery_page, 200,
	    "List alerts that are on their way, and those given up."),
	CALL(OP_OUTBOX_RETRY, "outbox.retry", "POST",
	    "/api/v1/outbox/{delivery}/retry", COMMAND, KEYS, delivery_ref,
	    delivery_ref, 200, "Try one again, now."),
	CALL(OP_OUTBOX_DROP, "outbox.drop", "DELETE",
	    "/api/v1/outbox/{delivery}", COMMAND, KEYS, delivery_ref,
	    delivery_ref, 200, "Give one up."),

	REPEAT(SAME, OP_TENANT_CREATE, "tenant.create", "POST", "/api/v1/b2b/tenants",
	    COMMAND, TENANTS, tenant_create, tenant_created, 201,
	    "Make a tenant; its keys are shown once."),
	CALL(OP_TENANT_LIST, "tenant.list", "GET", "/api/v1/b2b/tenants",
	    QUERY, TENANTS, tenant_query, tenant_page, 200, "List tenants."),
	CALL(OP_TENANT_SHOW, "tenant.show", "GET",
	    "/api/v1/b2b/tenants/{tenantId}", QUERY, TENANTS, tenant_ref,
	    tenant_shown, 200, "Show a tenant."),
	REPEAT(SAME, OP_TENANT_CHANGE, "tenant.change", "PUT",
	    "/api/v1/b2b/tenants/{tenantId}", COMMAND, TENANTS, tenant_change,
	    tenant_changed, 200,
	    "Change a tenant's limits, names or branding; suspend it, or let it "
	    "go on."),
	CALL(OP_TENANT_USAGE, "tenant.usage", "GET",
	    "/api/v1/b2b/tenants/{tenantId}/usage", QUERY, TENANTS,
	    tenant_usage_query, tenant_usage, 200,
	    "What a tenant used, by day."),

	REPEAT(ANEW, OP_BACKUP_BEGIN, "backup.begin", "POST", "/api/v1/backups", QUERY,
	    SITE, backup_begin, backup_part, 201,
	    "Copy a store as it is at this moment, to read it in pieces."),
	CALL(OP_BACKUP_READ, "backup.read", "GET", "/api/v1/backups/{part}",
	    QUERY, SITE, backup_read, backup_piece, 200,
	    "Read a piece of such a copy."),
	CALL(OP_BACKUP_END, "backup.end", "DELETE", "/api/v1/backups/{part}",
	    SOFT, SITE, backup_ref, empty, 200, "Throw such a copy away."),
	REPEAT(ANEW, OP_RESTORE_BEGIN, "restore.begin", "POST", "/api/v1/restores",
	    SOFT, SITE, restore_begin, restore_place, 201,
	    "Begin to send a tenant's store, to put it back."),
	CALL(OP_RESTORE_PUT, "restore.put", "PUT", "/api/v1/restores/{part}",
	    SOFT, SITE, restore_put, restore_place, 200,
	    "Send a piece of it, in order; the same once more does no harm."),
	CALL(OP_RESTORE_END, "restore.end", "POST",
	    "/api/v1/restores/{part}/end", SOFT, SITE, restore_finish,
	    restore_view, 202,
	    "Begin to check what was sent, and to put it in place of the "
	    "tenant's store; once more does no harm."),
	CALL(OP_RESTORE_LOOK, "restore.look", "GET", "/api/v1/restores/{part}",
	    QUERY, SITE, backup_ref, restore_view, 200,
	    "How far that is, and how it ended: until it is dropped, or nobody "
	    "has asked in five minutes."),
	CALL(OP_RESTORE_DROP, "restore.drop", "DELETE",
	    "/api/v1/restores/{part}", SOFT, SITE, backup_ref, empty, 200,
	    "Throw away what was sent."),
	REPEAT(ANEW, OP_TENANT_EXPORT, "tenant.export", "POST",
	    "/api/v1/b2b/tenants/{tenantId}/export", QUERY, TENANTS,
	    vault_ref, backup_part, 201,
	    "Copy everything of one tenant, readable, to take it along."),
	REPEAT(ANEW, OP_EXPORT_BEGIN, "export.begin", "POST", "/api/v1/exports",
	    QUERY, SUBJECTS, empty, backup_part, 201,
	    "Copy everything of one's own tenant, readable."),
	CALL(OP_EXPORT_READ, "export.read", "GET", "/api/v1/exports/{part}",
	    QUERY, READ, backup_read, backup_piece, 200,
	    "Read a piece of such a copy."),
	CALL(OP_EXPORT_END, "export.end", "DELETE", "/api/v1/exports/{part}",
	    SOFT, READ, backup_ref, empty, 200, "Throw such a copy away."),
	REPEAT(SAME, OP_TENANT_DELETE, "tenant.delete", "DELETE",
	    "/api/v1/b2b/tenants/{tenantId}", COMMAND, TENANTS, tenant_delete,
	    tenant_deleted, 200,
	    "Delete a tenant for good, with a signed certificate."),
	CALL(OP_CERTIFICATE_LIST, "certificate.list", "GET",
	    "/api/v1/b2b/certificates", QUERY, TENANTS, certificate_query,
	    certificate_page, 200, "Certificates of tenants that were deleted."),
	CALL(OP_APPLIANCE_STATUS, "appliance.status", "GET",
	    "/api/v1/appliance/status", QUERY, SITE, empty,
	    appliance_status, 200,
	    "The box: its version, slot, floor, last update, warnings."),
	REPEAT(SAME, OP_UPDATE_BEGIN, "update.begin", "POST",
	    "/api/v1/appliance/updates", SOFT, SITE, update_begin,
	    update_view, 201,
	    "Begin to send an update of the box, or go on with it."),
	CALL(OP_UPDATE_PUT, "update.put", "PUT",
	    "/api/v1/appliance/updates/{digest}/chunks", SOFT, SITE,
	    update_put, update_view, 200,
	    "Send a piece of it, in order; the same once more does no harm."),
	CALL(OP_UPDATE_SHOW, "update.show", "GET",
	    "/api/v1/appliance/updates/{digest}", QUERY, SITE, update_ref,
	    update_view, 200, "How far it is, and how it ended."),
	REPEAT(SAME, OP_UPDATE_INSTALL, "update.install", "POST",
	    "/api/v1/appliance/updates/{digest}/install", COMMAND, SITE,
	    update_ref, update_view, 202,
	    "Install what was sent, and start it; once more does no harm."),
	REPEAT(SAME, OP_UPDATE_USB, "update.usb", "POST",
	    "/api/v1/appliance/usb/install", COMMAND, SITE, empty,
	    update_view, 202,
	    "Install the update on the stick labelled LEASEHOLD in the box."),
	CALL(OP_UPDATE_DROP, "update.drop", "DELETE",
	    "/api/v1/appliance/updates/{digest}", SOFT, SITE, update_ref,
	    empty, 200, "Throw away what was sent."),
	REPEAT(SAME, OP_MAINTENANCE_OPEN, "maintenance.open", "POST",
	    "/api/v1/appliance/maintenance", SOFT, SITE, maintenance_ask,
	    maintenance_view, 202,
	    "Show the box a token of its owner: it opens a shell on its "
	    "console, once, for its minutes. The box itself judges it."),
	CALL(OP_MAINTENANCE_SHOW, "maintenance.show", "GET",
	    "/api/v1/appliance/maintenance", QUERY, SITE, empty,
	    maintenance_view, 200,
	    "Whose the box is, what is open, what was."),
	REPEAT(ANEW, OP_SESSION_CREATE, "session.create", "POST", "/api/v1/session",
	    COMMAND, OPEN, session_create, session_created, 201,
	    "Log in with a password."),
	CALL(OP_SESSION_SHOW, "session.show", "GET", "/api/v1/session", QUERY,
	    SELF, empty, session_shown, 200, "Who am I?"),
	CALL(OP_SESSION_END, "session.end", "DELETE", "/api/v1/session", SOFT,
	    SELF, empty, session_number, 200, "Log out."),
	REPEAT(READS, OP_SESSION_LIST, "session.list", "GET", "/api/v1/sessions", SOFT,
	    SELF, session_query, session_page, 200,
	    "List one's own sessions, or those of a user."),
	CALL(OP_SESSION_REVOKE, "session.revoke", "DELETE",
	    "/api/v1/sessions/{session}", SOFT, SELF, session_number,
	    session_number, 200, "End a session."),
	CALL(OP_PASSWORD_CHANGE, "password.change", "POST",
	    "/api/v1/session/password", COMMAND, SELF, password_change,
	    user_number, 200,
	    "Change one's own password; all other sessions end."),
	CALL(OP_TOTP_BEGIN, "totp.begin", "POST", "/api/v1/session/totp",
	    COMMAND, SELF, totp_begin, totp_begun, 200,
	    "Get a secret for an authenticator."),
	CALL(OP_TOTP_CONFIRM, "totp.confirm", "POST",
	    "/api/v1/session/totp/confirm", COMMAND, SELF, totp_confirm,
	    totp_confirmed, 200,
	    "Show that the authenticator has it; codes are asked for from now "
	    "on."),
	CALL(OP_TOTP_OFF, "totp.off", "POST", "/api/v1/session/totp/off",
	    COMMAND, SELF, totp_off, user_number, 200,
	    "Do without the second factor."),
	CALL(OP_USER_CREATE, "user.create", "POST", "/api/v1/users", COMMAND,
	    USERS, user_create, user_created, 201, "Let somebody log in."),
	CALL(OP_USER_LIST, "user.list", "GET", "/api/v1/users", QUERY, USERS,
	    user_query, user_page, 200, "List users."),
	CALL(OP_USER_SHOW, "user.show", "GET", "/api/v1/users/{user}", QUERY,
	    USERS, user_number, user_view, 200, "Show a user."),
	CALL(OP_USER_SET, "user.set", "PUT", "/api/v1/users/{user}", COMMAND,
	    USERS, user_set, user_view, 200,
	    "Change a user's name, mail or role."),
	CALL(OP_USER_DISABLE, "user.disable", "POST",
	    "/api/v1/users/{user}/disable", COMMAND, USERS, user_number,
	    user_view, 200, "Let a user log in no more, and end his sessions."),
	CALL(OP_USER_ENABLE, "user.enable", "POST",
	    "/api/v1/users/{user}/enable", COMMAND, USERS, user_number,
	    user_view, 200, "Let a user log in again."),
	CALL(OP_USER_REMOVE, "user.remove", "DELETE", "/api/v1/users/{user}",
	    COMMAND, USERS, user_number, user_number, 200,
	    "Remove a user for good, and forget who it was."),
	CALL(OP_USER_RESET, "user.reset", "POST", "/api/v1/users/{user}/reset",
	    COMMAND, USERS, user_number, user_created, 200,
	    "Give a user a password that he has to change."),
	CALL(OP_USER_TOTP_RESET, "user.totp_reset", "DELETE",
	    "/api/v1/users/{user}/totp", COMMAND, USERS, user_number,
	    user_view, 200, "Take a user's second factor away."),
	REPEAT(SAME, OP_HUB_GENERATE, "hub.generate", "POST",
	    "/api/v1/licenses/generate", COMMAND, VENDOR, hub_generate,
	    hub_generated, 201,
	    "Order a license for a customer; once for each opportunity."),
	REPEAT(SAME, OP_HUB_PROVISION, "hub.provision", "POST",
	    "/api/v1/licenses/provision", COMMAND, VENDOR, hub_provision,
	    hub_provisioned, 200,
	    "Issue a license that was ordered, once its site is known."),
	CALL(OP_HUB_PACKAGE, "hub.package", "GET",
	    "/api/v1/licenses/{license_id}/package", QUERY, VENDOR,
	    hub_license_ref, license_file, 200,
	    "The license file, for leasehold license install."),
	CALL(OP_HUB_LICENSE_LIST, "hub.license.list", "GET",
	    "/api/v1/hub/licenses", QUERY, VENDOR, hub_license_query,
	    hub_license_page, 200, "List licenses of customers."),
	CALL(OP_HUB_LICENSE_SHOW, "hub.license.show", "GET",
	    "/api/v1/hub/licenses/{license_id}", QUERY, VENDOR,
	    hub_license_ref, hub_license_view, 200,
	    "Show a license of a customer."),
	REPEAT(SAME, OP_HUB_LICENSE_RENEW, "hub.license.renew", "POST",
	    "/api/v1/hub/licenses/{license_id}/renew", COMMAND, VENDOR,
	    hub_license_renew, hub_license_view, 200,
	    "Issue the next serial, with a later end."),
	REPEAT(SAME, OP_HUB_LICENSE_SUSPEND, "hub.license.suspend", "POST",
	    "/api/v1/hub/licenses/{license_id}/suspend", COMMAND, VENDOR,
	    hub_license_change, hub_license_view, 200, "Suspend a license."),
	REPEAT(SAME, OP_HUB_LICENSE_RESUME, "hub.license.resume", "POST",
	    "/api/v1/hub/licenses/{license_id}/resume", COMMAND, VENDOR,
	    hub_license_change, hub_license_view, 200,
	    "Let a suspended license go on."),
	REPEAT(SAME, OP_HUB_LICENSE_CANCEL, "hub.license.cancel", "POST",
	    "/api/v1/hub/licenses/{license_id}/cancel", COMMAND, VENDOR,
	    hub_license_change, hub_license_view, 200,
	    "Cancel a license for good."),
	CALL(OP_HUB_STATISTICS, "hub.statistics", "GET",
	    "/api/v1/hub/statistics", QUERY, VENDOR, empty, hub_statistics,
	    200, "The account in figures."),
	CALL(OP_HUB_ANALYTICS, "hub.analytics", "GET",
	    "/api/v1/analytics/usage", QUERY, BILLING, analytics_query, analytics,
	    200,
	    "Who used what beyond what he bought, when, and what it brings."),
	CALL(OP_CUSTOMER_SEARCH, "customer.search", "GET",
	    "/api/v1/customers/search", QUERY, VENDOR, customer_search,
	    customer_found, 200, "Find a customer."),
	REPEAT(SAME, OP_CUSTOMER_ADD, "customer.add", "POST",
	    "/api/v1/customers", COMMAND, VENDOR, customer_add, customer_view,
	    201, "Add a customer."),
	CALL(OP_CUSTOMER_LIST, "customer.list", "GET", "/api/v1/customers",
	    QUERY, VENDOR, customer_query, customer_page, 200,
	    "List customers."),
	CALL(OP_CUSTOMER_SHOW, "customer.show", "GET",
	    "/api/v1/customers/{crm_account_id}", QUERY, VENDOR, hub_crm,
	    customer_view, 200, "Show a customer and its contact."),
	REPEAT(SAME, OP_CUSTOMER_SET, "customer.set", "PUT",
	    "/api/v1/customers/{crm_account_id}", COMMAND, VENDOR,
	    customer_put, customer_view, 200, "Change a customer."),
	REPEAT(SAME, OP_TENANT_REGISTER, "customer.register", "POST",
	    "/api/v1/tenants/register", COMMAND, VENDOR, tenant_register,
	    tenant_registered, 201,
	    "Begin a company's registration; its domain is to be proved."),
	REPEAT(SAME, OP_TENANT_VERIFY, "customer.verify", "POST",
	    "/api/v1/tenants/verify", COMMAND, VENDOR, tenant_verify,
	    tenant_verified, 200,
	    "Look for the record in the DNS; then it is a customer."),
	REPEAT(SAME, OP_HUB_SITE_ADD, "hub.site.add", "POST",
	    "/api/v1/hub/sites", COMMAND, VENDOR, hub_site_add,
	    hub_site_added, 201,
	    "Make a customer's site known; what waits for it is issued."),
	CALL(OP_HUB_SITE_LIST, "hub.site.list", "GET", "/api/v1/hub/sites",
	    QUERY, VENDOR, hub_site_query, hub_site_page, 200,
	    "List sites of customers."),
	CALL(OP_HUB_SITE_SHOW, "hub.site.show", "GET",
	    "/api/v1/hub/sites/{site}", QUERY, VENDOR, hub_site_ref,
	    hub_site_shown, 200,
	    "A site, and gaps, forks and rollbacks of its reports."),
	REPEAT(SAME, OP_HUB_REISSUE, "hub.reissue", "POST",
	    "/api/v1/hub/reissue", COMMAND, VENDOR, hub_reissue,
	    hub_site_added, 200,
	    "A site goes on in another box: retire its old key, issue its "
	    "licenses anew."),
	REPEAT(SAME, OP_HUB_REPORT_IMPORT, "hub.report.import", "POST",
	    "/api/v1/hub/reports", COMMAND, VENDOR, sync_file,
	    hub_reports_taken, 200, "Take reports of a site; the answer for it."),
	REPEAT(ANEW, OP_HUB_REPORT_TAKE, "sync.report", "POST",
	    "/api/v1/sync/report", COMMAND, OPEN, hub_report_sent,
	    hub_reports_taken, 200,
	    "Reports of a site that speaks for itself, by its client "
	    "certificate; X-Vendor-ID names the account."),
	CALL(OP_HUB_KEY_SHOW, "hub.key.show", "GET", "/api/v1/hub/key",
	    QUERY, VENDOR, empty, hub_key_view, 200, "Show the issuing key."),
	REPEAT(SAME, OP_HUB_KEY_MAKE, "hub.key.make", "POST",
	    "/api/v1/hub/key", COMMAND, VENDOR, empty, hub_key_view, 200,
	    "Make an issuing key, unless one waits for the root key's word."),
	REPEAT(SAME, OP_HUB_KEY_INSTALL, "hub.key.install", "PUT",
	    "/api/v1/hub/key", COMMAND, VENDOR, license_issuer_file,
	    hub_key_view, 200, "Install the root key's word for it."),
	REPEAT(SAME, OP_HUB_IMAGE_ADD, "hub.image.add", "POST",
	    "/api/v1/hub/images", COMMAND, VENDOR, hub_image, hub_image, 201,
	    "Make a released image known: its machines are genuine."),
	CALL(OP_HUB_IMAGE_LIST, "hub.image.list", "GET", "/api/v1/hub/images",
	    QUERY, VENDOR, hub_image_query, hub_image_page, 200,
	    "List released images."),
	REPEAT(SAME, OP_HUB_IMAGE_REMOVE, "hub.image.remove", "DELETE",
	    "/api/v1/hub/images/{version}", COMMAND, VENDOR, hub_image_ref,
	    hub_image_ref, 200,
	    "Forget a released image; sites are judged by their next reports."),
	REPEAT(SAME, OP_BILLING_CREDIT_ADD, "billing.credit.add", "POST",
	    "/api/v1/billing/credits", COMMAND, VENDOR, billing_credit_add,
	    billing_credit_view, 201,
	    "Credit a customer, in the statement of a month that is not over. "
	    "The same id again is the same credit."),
	CALL(OP_BILLING_CREDIT_LIST, "billing.credit.list", "GET",
	    "/api/v1/billing/credits", QUERY, BILLING, billing_credit_query,
	    billing_credit_page, 200, "Credits of a customer."),
	REPEAT(SAME, OP_BILLING_INVOICE_ADD, "billing.invoice.add", "POST",
	    "/api/v1/billing/invoices", COMMAND, VENDOR, billing_invoice_add,
	    billing_invoice_view, 201,
	    "Make the invoice of a customer for a month that is over, and send "
	    "it to every channel that takes invoices. There is one for a "
	    "customer and month, and it never changes."),
	CALL(OP_BILLING_INVOICE_LIST, "billing.invoice.list", "GET",
	    "/api/v1/billing/invoices", QUERY, BILLING, billing_invoice_query,
	    billing_invoice_page, 200,
	    "Invoices that were made, and whether they arrived."),
	TEXT(OP_EVENTS, "event.follow", "/api/v1/events", READ,
	    "text/event-stream", event_query, event_page,
	    "Follow what is journaled, as server-sent events."),
	TEXT(OP_METRICS, "metrics", "/metrics", READ,
	    "text/plain; version=0.0.4", empty, metrics_text,
	    "Figures for Prometheus."),

	OPEN(OP_HEALTHZ, "healthz", "/healthz", health,
	    "Does the program run?"),
	OPEN(OP_READYZ, "readyz", "/readyz", health,
	    "Does it grant seats?"),
	OPEN(OP_OPENAPI, "openapi", "/api/v1/openapi.json", empty,
	    "This description."),
};
/* clang-format on */
#define N_OPERATIONS (sizeof(operations) / sizeof(operations[0]))

/* Row i is operation i + 1: nothing is missing, nothing stands twice. */
_Static_assert(N_OPERATIONS == OPERATION_COUNT - 1, "a row per operation");

static const char *const scope_names[SCOPE_COUNT] = {
	[SCOPE_CHECKOUT] = "license:checkout",
	[SCOPE_RETURN] = "license:return",
	[SCOPE_BORROW] = "license:borrow",
	[SCOPE_USAGE_WRITE] = "usage:write",
	[SCOPE_USAGE_READ] = "usage:read",
	[SCOPE_READ] = "admin:read",
	[SCOPE_LICENSES] = "admin:licenses",
	[SCOPE_LEASES] = "admin:leases",
	[SCOPE_DEVICES] = "admin:devices",
	[SCOPE_KEYS] = "admin:keys",
	[SCOPE_USERS] = "admin:users",
	[SCOPE_SUBJECTS] = "admin:subjects",
	[SCOPE_AUDIT] = "admin:audit",
	[SCOPE_SITE] = "site:admin",
	[SCOPE_TENANTS] = "site:tenants",
	[SCOPE_VENDOR] = "vendor:admin",
	[SCOPE_BILLING] = "billing:read",
	[SCOPE_SELF] = "user:self",
};

const char *
scope_name(enum scope scope)
{
	return scope < SCOPE_COUNT ? scope_names[scope] : NULL;
}

scope_set
scope_read(const char *name, size_t len)
{
	bool family = len > 2 && memcmp(name + len - 2, ":*", 2) == 0;
	scope_set set = 0;

	for (enum scope scope = 0; scope < SCOPE_COUNT; scope++) {
		const char *known = scope_names[scope];

		if (known == NULL)
			continue;
		if (family
			? strncmp(known, name, len - 1) == 0
			: strlen(known) == len && memcmp(known, name, len) == 0)
			set |= SCOPE_BIT(scope);
	}
	return set;
}

/* Whose scope does not say it. */
static const uint16_t of_sites[] = { OP_SITE_REQUEST, OP_LICENSE_INSTALL,
	OP_LICENSE_LIST, OP_LICENSE_SHOW, OP_LICENSE_GET, OP_SYNC_STATUS,
	OP_SYNC_PREVIEW, OP_SYNC_EXPORT, OP_SYNC_IMPORT, OP_SYNC_NOW,
	OP_POLICY_SHOW, OP_POLICY_PUT, OP_POLICY_LIST, OP_POLICY_VERSION,
	OP_POLICY_CHECK, OP_POLICY_REVOKE, OP_LEASE_LIST, OP_LEASE_SHOW,
	OP_LEASE_RELEASE, OP_QUEUE_LIST, OP_QUEUE_REMOVE, OP_BORROW_LIST,
	OP_BORROW_SHOW, OP_BORROW_DELIVER, OP_BORROW_WRITE_OFF, OP_JOIN_CREATE,
	OP_JOIN_LIST, OP_JOIN_REVOKE, OP_DEVICE_APPROVE };

enum scope
operation_scope(const struct operation *op, bool hub)
{
	switch ((int)op->id) {
	case OP_BILLING_STATEMENT:
	case OP_BILLING_OVERAGE:
	case OP_BILLING_EVIDENCE:
		return hub ? SCOPE_BILLING : op->scope;
	default:
		return op->scope;
	}
}

enum operation_place
operation_place(const struct operation *op)
{
	if (op->id == OP_HUB_REPORT_TAKE)
		return OPERATION_ON_HUB;
	switch ((int)op->scope) {
	case SCOPE_VENDOR:
	case SCOPE_BILLING:
		return OPERATION_ON_HUB;
	case SCOPE_SESSION:
	case SCOPE_DEVICE:
	case SCOPE_CHECKOUT:
	case SCOPE_RETURN:
	case SCOPE_BORROW:
		return OPERATION_ON_SITE;
	default:
		break;
	}
	for (size_t i = 0; i < sizeof(of_sites) / sizeof(of_sites[0]); i++)
		if (of_sites[i] == op->id)
			return OPERATION_ON_SITE;
	return OPERATION_ANYWHERE;
}

const char *
operation_place_name(const struct operation *op)
{
	switch (operation_place(op)) {
	case OPERATION_ANYWHERE:
		return "anywhere";
	case OPERATION_ON_SITE:
		return "site";
	case OPERATION_ON_HUB:
		return "hub";
	}
	return "anywhere";
}

const char *
operation_repeat_name(const struct operation *op)
{
	switch (op->repeat) {
	case REPEAT_AGENT:
		return NULL;
	case REPEAT_READS:
		return "reads";
	case REPEAT_ONCE:
		return "once";
	case REPEAT_ROW:
		return "row";
	case REPEAT_SAME:
		return "same";
	case REPEAT_ANEW:
		return "anew";
	}
	return NULL;
}

const struct operation *
operation_get(uint32_t id)
{
	if (id == OP_NONE || id >= OPERATION_COUNT)
		return NULL;
	return &operations[id - 1];
}

const struct operation *
operation_by_name(const char *name, size_t len)
{
	for (size_t i = 0; i < N_OPERATIONS; i++) {
		const struct operation *op = &operations[i];

		if (op->scope != SCOPE_SESSION && op->scope != SCOPE_DEVICE)
			continue;
		if (strlen(op->name) == len && memcmp(op->name, name, len) == 0)
			return op;
	}
	return NULL;
}
