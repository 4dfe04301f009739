/* Tables and operations of the agent's socket. */
#include "shared/rpc/local.h"
#include "shared/license/succession.h"

#include "shared/rpc/messages_usage.h"
#include "shared/rpc/tables.h"

#include <string.h>

static const struct record_field local_checkout_fields[] = {
	R_TEXT(local_checkout, product, 1, 63, 0, "The product's id."),
	R_TEXT(local_checkout, version, 1, 31, 0, "Version that runs."),
	R_TEXT(local_checkout, feature, 0, 63, OPT, "Feature."),
	R_U32(local_checkout, count, 0, LEASE_COUNT_MAX, OPT,
	    "Seats, all or none; 0 is 1."),
	R_TEXT(local_checkout, user, 0, 63, OPT,
	    "Who it is for; absent: the user's login name."),
	R_U32(local_checkout, wait_s, 0, LEASE_WAIT_MAX_S, OPT,
	    "Seconds to wait for a seat."),
	R_FIXED(local_checkout, nonce, OPT, "Random; absent with hold."),
	R_STRUCT(local_checkout, known, &journal_known_record, OPT,
	    "The last header that the application saw."),
	R_U64(local_checkout, pid, 0, INT32_MAX, OPT,
	    "Process to hold it for; absent: the asking one."),
	R_BOOL(local_checkout, hold, OPT,
	    "The agent renews it until the process ends."),
	R_FIXED(local_checkout, request, 0, "Random; the same in a retry."),
};
RECORD_DEFINE(local_checkout, 1, "One seat, please.");

static const struct record_field local_checkout_reply_fields[] = {
	R_U64(local_checkout_reply, lease, 0, U53_MAX, OPT,
	    "The lease; absent: it waits in the queue."),
	R_U64(local_checkout_reply, row_number, 0, U53_MAX, OPT,
	    "Number of the granting row."),
	R_BLOB(local_checkout_reply, row, 0, ROW_MAX, OPT, "The granting row."),
	R_BLOB(local_checkout_reply, path, 0, HASHES_MAX, OPT,
	    "Its path to the batch's root."),
	R_STRING(local_checkout_reply, header, 0, HEADER_MAX, OPT,
	    "The batch's header, a signed document."),
	R_BLOB(local_checkout_reply, inclusion, 0, HASHES_MAX, OPT,
	    "Path of the known head in the history."),
	R_BLOB(local_checkout_reply, consistency, 0, HASHES_MAX, OPT,
	    "Proof that the history continues the known one."),
	R_STRING(local_checkout_reply, issuer, 0, TOKEN_MAX, OPT,
	    "The vendor's issuing key, a signed document."),
	R_STRING(local_checkout_reply, license, 0, TOKEN_MAX, OPT,
	    "The license, a signed document."),
	R_U64(local_checkout_reply, device, 1, U53_MAX, 0, "This device."),
	R_STRUCT(local_checkout_reply, queue, &queue_place_record, OPT,
	    "Its place, while it waits."),
	R_STRUCT(local_checkout_reply, proof, &proof_record, OPT,
	    "The row is a borrow's ticket: what the device proves over nonce "
	    "and row."),
};
RECORD_DEFINE(local_checkout_reply, 1,
    "A grant and all its evidence, or a place in the queue.");

static const struct record_field local_renew_fields[] = {
	R_U64(local_renew, lease, 1, U53_MAX, 0, "The lease."),
	R_FIXED(local_renew, nonce, 0, "Fresh, random."),
	R_BOOL(local_renew, reports, OPT,
	    "The application says whether it is worked with."),
	R_BOOL(local_renew, active, OPT, "It was, since it renewed last."),
};
RECORD_DEFINE(local_renew, 1, "A lease to renew.");

static const struct record_field local_renew_reply_fields[] = {
	R_STRING(local_renew_reply, beat, 0, HEADER_MAX, OPT,
	    "The beat, a signed document."),
	SUCCESSION_FIELD(local_renew_reply),
	R_U32(local_renew_reply, index, 0, 4095, OPT, "Place in the beat."),
	R_BLOB(local_renew_reply, path, 0, HASHES_MAX, OPT,
	    "Path to the beat's root; 32 bytes a hash."),
	R_STRUCT(local_renew_reply, ticket, &local_checkout_reply_record, OPT,
	    "Of a borrowed seat: its ticket and a proof."),
};
RECORD_DEFINE(local_renew_reply, 1, "A beat that covers the lease.");

static const struct record_field local_attach_fields[] = {
	R_U64(local_attach, lease, 1, U53_MAX, 0, "The lease."),
	R_U64(local_attach, row_number, 1, U53_MAX, 0,
	    "Number of the granting row."),
	R_BLOB(local_attach, row, 1, ROW_MAX, 0, "The granting row."),
	R_BLOB(local_attach, path, 0, HASHES_MAX, OPT,
	    "Its path to the batch's root."),
	R_STRING(local_attach, header, 1, HEADER_MAX, 0,
	    "The batch's header, a signed document."),
	R_U32(local_attach, count, 0, LEASE_COUNT_MAX, OPT,
	    "Seats of a borrowed one; absent: 1."),
};
RECORD_DEFINE(local_attach, 1, "A lease that this process still holds.");

static const struct record_field local_return_fields[] = {
	R_U64(local_return, lease, 0, U53_MAX, OPT, "The lease."),
	R_BOOL(local_return, all, OPT,
	    "All leases of the asking user; root: of everybody."),
	R_U32(local_return, count, 0, LEASE_COUNT_MAX, OPT,
	    "Of a borrowed seat: that with so many; absent: the last taken."),
};
RECORD_DEFINE(local_return, 1, "Seats go back.");

static const struct record_field local_returned_fields[] = {
	R_U32(local_returned, count, 0, UINT32_MAX, 0, "How many."),
};
RECORD_DEFINE(local_returned, 1, "Seats that went back.");

static const struct record_field local_list_fields[] = {
	R_U64(local_list, after, 0, U53_MAX, OPT,
	    "Cursor: the last lease already seen."),
};
RECORD_DEFINE(local_list, 1, "Which leases.");

static const struct record_field local_lease_fields[] = {
	R_U64(local_lease, lease, 1, U53_MAX, 0, "The lease."),
	R_TEXT(local_lease, product, 1, 63, 0, "The product's id."),
	R_TEXT(local_lease, version, 0, 31, 0, "Version that runs."),
	R_ENUM(local_lease, type, seat_type_names, 0, "Commit or overage."),
	R_U64(local_lease, pid, 0, INT32_MAX, 0, "The process it is for."),
	R_U32(local_lease, uid, 0, UINT32_MAX, 0, "Its user."),
	R_TEXT(local_lease, command, 0, 63, OPT, "Its command, for people."),
	R_TIME(local_lease, granted_at, 0, "When it was granted."),
	R_U32(local_lease, left_s, 0, UINT32_MAX, 0,
	    "Seconds to the end of the last signed span."),
	R_TEXT(local_lease, feature, 0, 63, OPT, "Feature."),
	R_U32(local_lease, count, 0, LEASE_COUNT_MAX, OPT, "Seats."),
	R_TEXT(local_lease, user, 0, 63, OPT, "Login name of the uid."),
	R_U32(local_lease, grace_s, 0, UINT32_MAX, OPT,
	    "Seconds of grace signed beyond the span."),
	R_U32(local_lease, beat_age_s, 0, UINT32_MAX, OPT,
	    "Seconds since the beat or grant that gave the span."),
	R_BOOL(local_lease, borrowed, OPT,
	    "A seat of a borrow, whose number this is."),
};
RECORD_DEFINE(local_lease, 1, "A lease of this agent.");

static const struct record_field local_leases_fields[] = {
	R_LIST(local_leases, items, &local_lease_record, 0, LIST_LIMIT_MAX, 0,
	    "Leases in the order of their numbers."),
	R_U64(local_leases, next, 0, U53_MAX, OPT,
	    "Cursor for `after`; absent: that was all."),
};
RECORD_DEFINE(local_leases, 1, "Leases of this agent.");

const char *const local_waits_names[] = { "agent", "site", "answer", "seat",
	"admin", NULL };

static const struct record_field local_question_fields[] = {
	R_TEXT(local_question, product, 1, 63, 0, "The product's id."),
	R_TEXT(local_question, feature, 0, 63, OPT, "Feature."),
	R_U32(local_question, count, 0, LEASE_COUNT_MAX, OPT, "Seats wanted."),
	R_TEXT(local_question, user, 0, 63, OPT, "Whom the seat is for."),
	R_U64(local_question, pid, 0, INT32_MAX, OPT, "The process it is for."),
	R_U32(local_question, uid, 0, UINT32_MAX, 0, "Its user."),
	R_TEXT(local_question, command, 0, 63, OPT, "Its command, for people."),
	R_ENUM(local_question, waits, local_waits_names, 0,
	    "For the agent, the site, its answer, a seat or an admin."),
	R_STRUCT(local_question, queue, &queue_place_record, OPT,
	    "Its place in the site's queue."),
	R_U32(local_question, left_s, 0, UINT32_MAX, OPT,
	    "Seconds until it is given up."),
};
RECORD_DEFINE(local_question, 1, "A question for a seat without an answer.");

static const struct record_field local_questions_fields[] = {
	R_LIST(local_questions, items, &local_question_record, 0,
	    LIST_LIMIT_MAX, 0, "The oldest first."),
	R_U32(local_questions, more, 0, UINT32_MAX, OPT, "Not listed."),
};
RECORD_DEFINE(local_questions, 1, "Questions without an answer.");

const char *const local_cause_names[] = { "none", "other", "no_uplink",
	"name_not_found", "connection_refused", "no_route", "no_answer",
	"not_a_site", "certificate_unknown", "certificate_expired",
	"certificate_name", "certificate_refused", "site_closed",
	"connection_lost", "site_stopping", "session_replaced", "unavailable",
	"protocol", "another_site", "another_key", "unknown_device",
	"device_revoked", "bad_proof", "class_not_allowed", "rolled_back",
	"tpm_unavailable", "another_tpm", NULL };
_Static_assert(sizeof(local_cause_names) / sizeof(local_cause_names[0]) ==
	CAUSE_OTHER_TPM + 2,
    "a name for each cause");

static const struct record_field local_status_fields[] = {
	R_TEXT(local_status, software, 1, 31, 0, "Name and version."),
	R_TEXT(local_status, url, 0, 255, OPT, "The site; absent: none yet."),
	R_TEXT(local_status, site, 0, 63, OPT, "The site's id."),
	R_TEXT(local_status, tenant, 0, 63, OPT, "The tenant."),
	R_U64(local_status, device, 0, U53_MAX, OPT, "This device."),
	R_TEXT(local_status, name, 0, 63, OPT, "Its name."),
	R_CLASS(local_status, 0, "What keeps its key."),
	R_BOOL(local_status, connected, 0, "The site is reached."),
	R_BOOL(local_status, pending, OPT,
	    "It waits for an admin's approval; no seats until then."),
	R_TIME(local_status, since, 0, "Connected or disconnected since."),
	R_TEXT(local_status, trouble, 0, 255, OPT, "What is wrong."),
	R_U32(local_status, retry_s, 0, UINT32_MAX, OPT,
	    "Seconds to the next attempt."),
	R_U32(local_status, leases, 0, UINT32_MAX, 0,
	    "Leases held by the asking user; root: by everybody."),
	R_ENUM(local_status, cause, local_cause_names, OPT,
	    "What is wrong, for programs."),
	R_TEXT(local_status, hint, 0, 191, OPT, "What the site says to do."),
	R_TEXT(local_status, site_name, 0, 127, OPT, "The site's name."),
	R_TEXT(local_status, rollback, 0, 255, OPT,
	    "What is wrong with the site's journal."),
	R_TEXT(local_status, fault, 0, 255, OPT,
	    "Why the site could not do the last thing it was asked."),
	R_TIME(local_status, fault_at, OPT, "When that was."),
	R_I64(local_status, clock_ahead_ms, -(int64_t)U53_MAX, (int64_t)U53_MAX,
	    OPT, "This machine's clock less the site's."),
	R_TIME(local_status, certificate_end, OPT,
	    "When the site's certificate ends."),
	R_TIME(local_status, last_beat, OPT, "When leases were last renewed."),
	R_U32(local_status, questions, 0, UINT32_MAX, OPT,
	    "Questions for seats without an answer, likewise."),
	R_TEXT(local_status, tpm, 0, 255, OPT,
	    "The TPM that holds its key; absent: a file does."),
	R_TEXT(local_status, key_trouble, 0, 127, OPT,
	    "Why the key cannot be used now."),
	R_U64(local_status, policy, 0, U53_MAX, OPT,
	    "The version of the site's policy that came into force while this "
	    "agent was connected."),
	R_TIME(local_status, policy_at, OPT, "When that was."),
};
RECORD_DEFINE(local_status, 1, "The agent at a glance.");

static const struct record_field local_enroll_fields[] = {
	R_TEXT(local_enroll, url, 1, 255, 0, "https://site.example:7443"),
	R_STRING(local_enroll, join, 1, HEADER_MAX, RECORD_SECRET,
	    "The enrolment token."),
	R_TEXT(local_enroll, name, 0, 63, OPT, "Absent: the host's name."),
	R_BOOL(local_enroll, new_key, OPT,
	    "With a new key, as another device; the old key goes."),
};
RECORD_DEFINE(local_enroll, 1, "Make this a device of a site.");

static const struct record_field local_revoked_fields[] = {
	R_U64(local_revoked, lease, 1, U53_MAX, 0, "The lease."),
	R_TEXT(local_revoked, code, 1, 31, 0, "Why: \"gone\"."),
};
RECORD_DEFINE(local_revoked, 1, "A lease was taken.");

static const struct local_operation local_operations[] = {
	{ LOCAL_CHECKOUT, "lease.checkout", &local_checkout_record,
	    &local_checkout_reply_record, false, "Take a seat." },
	{ LOCAL_RENEW, "lease.renew", &local_renew_record,
	    &local_renew_reply_record, false,
	    "Renew a lease; answered after the agent's next round." },
	{ LOCAL_RETURN, "lease.return", &local_return_record,
	    &local_returned_record, false, "Give seats back." },
	{ LOCAL_CANCEL, "lease.cancel", &lease_cancel_record, &empty_record,
	    false, "Leave the queue." },
	{ LOCAL_ATTACH, "lease.attach", &local_attach_record, &empty_record,
	    false, "This connection speaks for the lease again." },
	{ LOCAL_LIST, "lease.list", &local_list_record, &local_leases_record,
	    false, "Leases of the asking user; root: of everybody." },
	{ LOCAL_STATUS, "agent.status", &empty_record, &local_status_record,
	    false, "How the agent is." },
	{ LOCAL_ENROLL, "agent.enroll", &local_enroll_record,
	    &local_status_record, true, "Make this a device of a site." },
	{ LOCAL_QUESTIONS, "lease.questions", &empty_record,
	    &local_questions_record, false,
	    "Questions without an answer, likewise." },
	{ LOCAL_BORROW_TAKE, "borrow.take", &local_borrow_take_record,
	    &local_borrow_record, false, "Take seats along, offline." },
	{ LOCAL_BORROW_EXTEND, "borrow.extend", &local_borrow_extend_record,
	    &local_borrow_record, false, "Keep borrowed seats for longer." },
	{ LOCAL_BORROW_RETURN, "borrow.return", &local_borrow_return_record,
	    &local_borrow_returned_record, false,
	    "Give borrowed seats back, and prove it." },
	{ LOCAL_BORROW_LIST, "borrow.list", &empty_record,
	    &local_borrows_record, false,
	    "Seats that this workstation has borrowed." },
	{ LOCAL_USAGE, "usage.report", &usage_event_record,
	    &usage_result_record, false,
	    "Something was used, which the site counts once." },
	{ LOCAL_REVOKED, "lease.revoked", &local_revoked_record, &empty_record,
	    false, "Notice: a lease was taken." },
	{ LOCAL_WAITING, "lease.waiting", &lease_waiting_record, &empty_record,
	    false, "Notice: a place in the queue changed." },
	{ LOCAL_OFFERED, "lease.offered", &lease_offered_record, &empty_record,
	    false, "Notice: the seat is there: ask again." },
};
#define N_LOCAL (sizeof(local_operations) / sizeof(local_operations[0]))

const struct local_operation *
local_by_name(const char *name, size_t len)
{
	for (size_t i = 0; i < N_LOCAL; i++) {
		const struct local_operation *op = &local_operations[i];

		if (strlen(op->name) == len && memcmp(op->name, name, len) == 0)
			return op;
	}
	return NULL;
}

const struct local_operation *
local_get(uint32_t id)
{
	for (size_t i = 0; i < N_LOCAL; i++)
		if (local_operations[i].id == id)
			return &local_operations[i];
	return NULL;
}
