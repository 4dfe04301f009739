/* Tables: problems, sessions and enrolment. */
#include "shared/rpc/messages.h"
#include "shared/license/succession.h"

#include "shared/rpc/tables.h"

const struct record empty_record = {
	.name = "empty",
	.doc = "Nothing.",
	.version = 1,
	.size = sizeof(struct empty),
	.fields = NULL,
	.n_fields = 0,
};

static const struct record_field problem_fields[] = {
	R_TEXT(problem, code, 1, 31, 0, "Stable name of what is wrong."),
	R_TEXT(problem, detail, 0, 255, 0, "What happened and what it means."),
	R_TEXT(problem, hint, 0, 191, OPT, "The next command to type."),
	R_TEXT(problem, field, 0, 95, OPT, "The field of the request."),
	R_U32(problem, retry_after_s, 0, UINT32_MAX, OPT,
	    "Seconds to wait before the next try."),
};
RECORD_DEFINE(problem, 1, "A refusal or fault (RFC 9457).");

static const struct record_field hello_fields[] = {
	R_U32(hello, protocol, 1, 1000, 0, "Version of this protocol: 1."),
	R_TEXT(hello, software, 1, 31, 0, "Name and version of the agent."),
	R_U64(hello, device, 0, U53_MAX, 0, "Device; 0: wants to enroll."),
	R_STRUCT(hello, known, &journal_known_record, OPT,
	    "The last header that the agent saw."),
	R_STRING(hello, evidence, 0, HEADER_MAX, OPT,
	    "The newest header or beat that it has, a signed document, where "
	    "the site does not continue what is known."),
};
RECORD_DEFINE(hello, 1, "An agent's first words.");

static const struct record_field hello_reply_fields[] = {
	R_TEXT(hello_reply, site, 1, 63, 0, "The site's id."),
	R_TEXT(hello_reply, name, 0, 127, OPT, "Its name, for people."),
	R_TEXT(hello_reply, tenant, 1, 63, 0, "The tenant."),
	R_FIXED(hello_reply, nonce, 0, "To be proved over; once."),
	R_TIME(hello_reply, time, 0, "The site's time."),
	R_STRING(hello_reply, header, 1, HEADER_MAX, 0,
	    "The newest batch's header, a signed document."),
	SUCCESSION_FIELD(hello_reply),
	R_BLOB(hello_reply, inclusion, 0, HASHES_MAX, OPT,
	    "Path of the known head in the history; 32 bytes a hash."),
	R_BLOB(hello_reply, consistency, 0, HASHES_MAX, OPT,
	    "Proof that the history continues the known one."),
};
RECORD_DEFINE(hello_reply, 1,
    "The site's journal as it stands, and that it continues what was known.");

static const struct record_field prove_fields[] = {
	R_STRUCT(prove, proof, &proof_record, 0, "Purpose login."),
};
RECORD_DEFINE(prove, 1, "The device proves who it is.");

static const struct record_field prove_reply_fields[] = {
	R_U64(prove_reply, device, 1, U53_MAX, 0, "The device."),
	R_TEXT(prove_reply, name, 0, 63, OPT, "Its name, for people."),
	R_U32(prove_reply, renew_s, 1, 86400, 0,
	    "Seconds between renewals at most."),
	R_BOOL(prove_reply, pending, OPT, "It waits for an admin's approval."),
	R_BOOL(prove_reply, borrows, OPT,
	    "It has borrowed seats, or is to prove that it returned some."),
	R_U32(prove_reply, spread_ms, 0, 600000, OPT,
	    "When the session ends, come back at some moment of so long."),
	R_CLASS(prove_reply, OPT, "The device's class; absent: software."),
};
RECORD_DEFINE(prove_reply, 1, "The session is the device's now.");

static const struct record_field draining_fields[] = {
	R_U32(draining, spread_ms, 0, 600000, OPT,
	    "Come back at some moment of so long."),
};
RECORD_DEFINE(draining, 1, "The site is about to stop.");

static const struct record_field enroll_fields[] = {
	R_STRING(enroll, join, 1, HEADER_MAX, RECORD_SECRET,
	    "The enrolment token."),
	R_CLASS(enroll, 0, "What keeps the device's key."),
	R_BLOB(enroll, public_key, 1, PROOF_KEY_MAX, 0,
	    "The device's public key."),
	R_TEXT(enroll, name, 1, 63, 0, "Name of the device, for people."),
	R_TEXT(enroll, host, 0, 127, OPT, "Host name; a claim."),
	R_STRUCT(enroll, proof, &proof_record, 0,
	    "Purpose enroll; the request digest is SHA-256 of the token."),
	R_STRUCT(enroll, material, &proof_material_record, OPT,
	    "What is shown of its TPM."),
};
RECORD_DEFINE(enroll, 1, "A new device with an enrolment token.");

static const struct record_field enroll_reply_fields[] = {
	R_U64(enroll_reply, device, 0, U53_MAX, OPT,
	    "The device's number; absent: the challenge is to be answered."),
	R_TEXT(enroll_reply, site, 1, 63, 0, "The site's id."),
	R_TEXT(enroll_reply, tenant, 1, 63, 0, "The tenant."),
	R_FIXED(enroll_reply, site_key, 0,
	    "The site's public key (Ed25519), to be kept."),
	R_BOOL(enroll_reply, pending, OPT, "It waits for an admin's approval."),
	R_CLASS(enroll_reply, OPT, "The device's class; absent: software."),
	R_STRUCT(enroll_reply, challenge, &proof_challenge_record, OPT,
	    "For the TPM that was shown; device.activate answers it."),
};
RECORD_DEFINE(enroll_reply, 1,
    "The device is enrolled, or is to show that its key is in its TPM.");

static const struct record_field enroll_activate_fields[] = {
	R_FIXED(enroll_activate, secret, RECORD_SECRET,
	    "What the TPM found in the challenge."),
};
RECORD_DEFINE(enroll_activate, 1, "The answer to an enrolment's challenge.");
