/* Decide on devices: enrolment, approval, revocation (DESIGN 9). */
#include "appliance/ledger/borrow.h"
#include "appliance/ledger/grant.h"
#include "appliance/ledger/limits.h"
#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/text.h"
#include "shared/rpc/rpc.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

/* --- device.enroll ----------------------------------------------------- */

static const char ask_admin[] =
    "ask an admin for a new token: leasehold join create";

/* An enrolment on its way to its row. */
struct joining {
	const struct enroll *request;
	struct license_join token; /* what was signed */
	struct state_join join; /* and what became of it */
	struct state_device device; /* that has this key; number 0: none */
	uint32_t judged; /* class, of what it shows now */
	uint32_t class_; /* that it has then */
};

static bool
host_fits(const struct license_join *token, const char *host)
{
	const struct license_host_pattern *patterns = token->hosts.items;

	for (uint32_t i = 0; i < token->hosts.count; i++) {
		if (text_fits(patterns[i].pattern, host))
			return true;
	}
	return token->hosts.count == 0;
}

/* What the token alone says about it. */
static int
check_token(struct batch *batch, struct command *command,
    const struct joining *joining)
{
	const struct enroll *request = joining->request;
	const struct license_join *token = &joining->token;
	const struct ledger *ledger = batch->ledger;

	if (strcmp(token->site, ledger->site) != 0 ||
	    strcmp(token->tenant, ledger->tenant) != 0)
		return decide_refuse_field(command, "join", ERR_FORBIDDEN,
		    ask_admin, "the token is for site %s, tenant %s",
		    token->site, token->tenant);
	if (batch->place.time >= token->expires_at) {
		char text[CLOCK_TEXT_SIZE];

		clock_format(text, token->expires_at);
		return decide_refuse_field(command, "join", ERR_GONE, ask_admin,
		    "the token was good until %s", text);
	}
	if (!host_fits(token, request->host))
		return decide_refuse_field(command, "host",
		    ERR_HOSTNAME_NOT_ALLOWED,
		    "ask an admin for a token that allows it: leasehold join "
		    "create --host PATTERN",
		    "the token does not allow host \"%s\"", request->host);
	return 0;
}

/* Tokens of before the journal was put back stand in it no more, and their
 * numbers may be others'. */
static int
find_join(struct batch *batch, struct command *command, struct joining *joining)
{
	int err =
	    state_join(&joining->join, &batch->state, joining->token.join);

	if (err == ERR_NOT_FOUND_INTERNAL ||
	    (err == 0 &&
		memcmp(joining->join.id, joining->token.id,
		    sizeof joining->join.id) != 0))
		return decide_refuse_field(command, "join", ERR_NOT_FOUND,
		    ask_admin, "the token stands in no journal of this site");
	return err;
}

/* The same key keeps its number and its class. A key that was shut out stays
 * out: whoever revoked it may have done so because others have it too. */
static int
find_device(struct batch *batch, struct command *command,
    struct joining *joining)
{
	const struct enroll *request = joining->request;
	struct state_device *device = &joining->device;
	int err = state_device_by_key(&device->device, &batch->state,
	    request->public_key.data, request->public_key.len);

	if (err == ERR_NOT_FOUND_INTERNAL) {
		device->device = 0;
		return 0;
	}
	if (err == 0)
		err = state_device(device, &batch->state, device->device);
	if (err != 0)
		return err == ERR_NOT_FOUND_INTERNAL ? ERR_CORRUPT : err;
	if (device->state == DEVICE_REVOKED)
		return decide_refuse_field(command, "public_key",
		    ERR_DEVICE_REVOKED,
		    "give the workstation a new key: leasehold enroll URL "
		    "--token TOKEN --new-key",
		    "device-%" PRIu64 " has this key and was revoked",
		    device->device);
	return 0;
}

/* --- its class ---------------------------------------------------------- */

/* How much a class proves; an assigned key is a matter of its own. */
static int
rank_of(uint32_t class_)
{
	switch ((enum proof_class)class_) {
	case PROOF_SOFTWARE:
		return 1;
	case PROOF_VTPM:
		return 2;
	case PROOF_TPM:
		return 3;
	case PROOF_ASSIGNED:
	case PROOF_KEY:
		break;
	}
	return 0;
}

/* A token names the least that is wanted. */
static bool
token_takes(uint32_t token, uint32_t class_)
{
	if (rank_of(token) == 0 || rank_of(class_) == 0)
		return token == class_ && class_ == PROOF_ASSIGNED;
	return rank_of(class_) >= rank_of(token);
}

static bool
site_takes(const struct ledger_device_policy *policy, uint32_t class_)
{
	return policy->classes == 0 || (policy->classes >> class_ & 1) != 0;
}

/* What the device is, by what it has shown; the same key keeps its class: what
 * is judged better by now stays what it was, and what is judged worse is not
 * taken for what it was. */
static int
find_class(struct command *command, struct joining *joining)
{
	const struct proof_endorsement *endorsement = command->endorsement;
	const struct state_device *device = &joining->device;
	uint32_t claimed = joining->request->class_;
	bool has_tpm = claimed == PROOF_TPM || claimed == PROOF_VTPM;

	if (has_tpm != (endorsement != NULL) || claimed == PROOF_KEY)
		return decide_refuse_field(command, "class", ERR_BAD_PROOF, "",
		    "a device of class %s does not enroll like this",
		    proof_class_names[claimed]);
	joining->judged = has_tpm ? endorsement->class_ : claimed;
	joining->class_ = joining->judged;
	if (device->device == 0 || device->class_ == joining->judged)
		return 0;
	joining->class_ = device->class_;
	if (device->class_ == PROOF_VTPM && joining->judged == PROOF_TPM)
		return 0;
	return decide_refuse_field(command, "class", ERR_CLASS_NOT_ALLOWED,
	    "a class never changes; with a new key it is another device: "
	    "leasehold enroll URL --token TOKEN --new-key",
	    "device-%" PRIu64 " has this key and is of class %s, and this is "
	    "%s%s%s",
	    device->device, proof_class_names[device->class_],
	    proof_class_names[joining->judged],
	    has_tpm && endorsement->reason[0] != '\0' ? ": " : "",
	    has_tpm ? endorsement->reason : "");
}

static int
check_class(struct command *command, const struct joining *joining)
{
	const struct proof_endorsement *endorsement = command->endorsement;
	const char *why = endorsement != NULL ? endorsement->reason : "";
	uint32_t token = joining->token.class_;

	if (!token_takes(token, joining->class_))
		return decide_refuse_field(command, "class",
		    ERR_CLASS_NOT_ALLOWED,
		    "ask an admin for a token of its class: leasehold join "
		    "create --class CLASS",
		    "the token is for devices of class %s, this one is %s%s%s",
		    proof_class_names[token],
		    proof_class_names[joining->class_],
		    why[0] != '\0' ? ": " : "", why);
	if (!site_takes(&command->devices, joining->class_))
		return decide_refuse_field(command, "class",
		    ERR_CLASS_NOT_ALLOWED,
		    "tell the site's admin: [devices] classes in "
		    "leaseholdd.ini says which are let in",
		    "this site lets in no devices of class %s%s%s",
		    proof_class_names[joining->class_],
		    why[0] != '\0' ? ": " : "", why);
	return 0;
}

/* A key that was handed over is one of those the admin named. */
static int
check_assigned(struct command *command, const struct joining *joining)
{
	const struct state_join *join = &joining->join;
	const struct record_span *key = &joining->request->public_key;
	uint8_t fingerprint[32];

	if (joining->class_ != PROOF_ASSIGNED)
		return 0;
	crypto_hash_sha256(fingerprint, key->data, key->len);
	for (uint32_t i = 0; i < join->n_keys; i++)
		if (memcmp(join->keys[i], fingerprint, sizeof fingerprint) == 0)
			return 0;
	return decide_refuse_field(command, "public_key",
	    ERR_FINGERPRINT_BLOCKED,
	    "ask an admin: leasehold join create --class assigned "
	    "--fingerprint HEX",
	    "the token names other keys than this device's");
}

/* --- its TPM ------------------------------------------------------------ */

/* One device a TPM and a certificate: a second one is a clone, or the same
 * machine that was set up anew, and which of them an admin knows. */
static int
check_tpm_id(struct batch *batch, struct command *command,
    const struct joining *joining, enum state_tpm_id what, const uint8_t id[32])
{
	struct state_device other;
	char hint[160];
	uint64_t number;

	if (sodium_is_zero(id, 32))
		return 0;
	int err = state_device_by_tpm(&number, &batch->state, what, id);

	if (err == ERR_NOT_FOUND_INTERNAL)
		return 0;
	if (err == 0 && number == joining->device.device)
		return 0;
	if (err == 0)
		err = state_device(&other, &batch->state, number);
	if (err != 0)
		return err == ERR_NOT_FOUND_INTERNAL ? ERR_CORRUPT : err;
	if (other.state == DEVICE_REVOKED)
		return 0;
	snprintf(hint, sizeof hint,
	    "if it is that machine, set up anew: leasehold device revoke "
	    "%" PRIu64 ", then enroll again; a clone needs a TPM of its own",
	    number);
	return decide_refuse_field(command, "material", ERR_CONFLICT, hint,
	    "device-%" PRIu64 " has this TPM%s, with another key", number,
	    what == STATE_TPM_CERTIFICATE ? "'s certificate" : "");
}

static int
check_tpm(struct batch *batch, struct command *command,
    const struct joining *joining)
{
	const struct proof_endorsement *endorsement = command->endorsement;

	if (endorsement == NULL)
		return 0;
	int err = check_tpm_id(batch, command, joining, STATE_TPM_EK,
	    endorsement->ek_id);

	if (err == 0 && command->err == 0)
		err = check_tpm_id(batch, command, joining,
		    STATE_TPM_CERTIFICATE, endorsement->certificate_id);
	return err;
}

/* --- and in ------------------------------------------------------------- */

static int
check_uses(struct command *command, const struct state_join *join)
{
	if (join->revoked)
		return decide_refuse_field(command, "join", ERR_GONE, ask_admin,
		    "the token (join-%" PRIu64 ") was revoked by an admin",
		    join->join);
	if (join->used >= join->uses)
		return decide_refuse_field(command, "join", ERR_GONE, ask_admin,
		    "the token (join-%" PRIu64 ") was good for %u %s and is "
		    "used up",
		    join->join, join->uses,
		    join->uses == 1 ? "device" : "devices");
	return 0;
}

/* A new token takes nothing from a key that an admin has let in, and lets in
 * one that waits if the token may. */
static bool
is_approved(const struct joining *joining)
{
	return joining->join.approved || joining->class_ == PROOF_ASSIGNED ||
	    (joining->device.device != 0 &&
		joining->device.state == DEVICE_APPROVED);
}

/* What a stranger's certificate says is not written down for ever. */
static void
fill_tpm(struct row_device_enrolled *r,
    const struct proof_endorsement *endorsement)
{
	if (endorsement == NULL)
		return;
	memcpy(r->ek_id, endorsement->ek_id, sizeof r->ek_id);
	memcpy(r->certificate_id, endorsement->certificate_id,
	    sizeof r->certificate_id);
	memcpy(r->reason, endorsement->reason, sizeof r->reason);
	if (sodium_is_zero(endorsement->certificate_id,
		sizeof endorsement->certificate_id))
		return;
	if (text_is_printable(endorsement->manufacturer,
		strlen(endorsement->manufacturer)))
		memcpy(r->manufacturer, endorsement->manufacturer,
		    sizeof r->manufacturer);
	if (text_is_printable(endorsement->issuer, strlen(endorsement->issuer)))
		memcpy(r->issuer, endorsement->issuer, sizeof r->issuer);
}

static int
emit_enrolled(struct batch *batch, struct command *command,
    const struct joining *joining, uint64_t number)
{
	const struct enroll *request = joining->request;
	uint8_t name[SUBJECT_BYTES], host[SUBJECT_BYTES];
	int err = decide_subject(name, batch, SUBJECT_DEVICE, request->name,
	    command->entropy);

	if (err == 0)
		err = decide_subject(host, batch, SUBJECT_HOST, request->host,
		    command->entropy + SUBJECT_ENTROPY);
	if (err != 0)
		return err;
	struct row *row = batch_row(batch, ROW_DEVICE_ENROLLED);

	if (row == NULL)
		return ERR_NOMEM;
	struct row_device_enrolled *r = &row->u.device_enrolled;

	r->device = number;
	r->class_ = joining->class_;
	fill_tpm(r, command->endorsement);
	r->public_key = request->public_key;
	memcpy(r->name, name, sizeof r->name);
	memcpy(r->host, host, sizeof r->host);
	r->join = joining->join.join;
	r->approved = is_approved(joining);
	return batch_emit(batch);
}

static void
fill_enrolled(struct enroll_reply *reply, const struct ledger *ledger,
    uint64_t device, bool pending, uint32_t class_)
{
	*reply = (struct enroll_reply){
		.device = device,
		.pending = pending,
		.class_ = class_,
	};
	memcpy(reply->site, ledger->site, sizeof reply->site);
	memcpy(reply->tenant, ledger->tenant, sizeof reply->tenant);
	memcpy(reply->site_key, ledger->site_public, sizeof reply->site_key);
}

/* A refusal by any of them ends it. */
static int
check_joining(struct batch *batch, struct command *command,
    struct joining *joining)
{
	int err = check_token(batch, command, joining);

	if (err == 0 && command->err == 0)
		err = find_join(batch, command, joining);
	if (err == 0 && command->err == 0)
		err = find_device(batch, command, joining);
	if (err == 0 && command->err == 0)
		err = find_class(command, joining);
	if (err == 0 && command->err == 0)
		err = check_class(command, joining);
	if (err == 0 && command->err == 0)
		err = check_assigned(command, joining);
	if (err == 0 && command->err == 0)
		err = check_tpm(batch, command, joining);
	return err;
}

int
decide_enroll(struct batch *batch, struct command *command)
{
	struct joining joining = { .request = command->request };
	const struct state_device *device = &joining.device;
	struct record_error error = { .reason = "" };
	struct enroll_reply *reply = &command->reply.enroll;
	int err = license_document_read(&joining.token, &license_join_record,
	    TOKEN_JOIN, joining.request->join.data, joining.request->join.len,
	    batch->ledger->site_public, &command->arena, &error);

	if (err == ERR_NOMEM)
		return err;
	if (err != 0)
		return decide_refuse_field(command, "join", ERR_BAD_PROOF,
		    ask_admin, "this is no enrolment token of this site");
	err = check_joining(batch, command, &joining);
	if (err != 0 || command->err != 0)
		return err;
	/* The very same token brought it in before: a retry, which uses
	 * nothing up. */
	if (device->device != 0 && device->join == joining.join.join) {
		fill_enrolled(reply, batch->ledger, device->device,
		    device->state == DEVICE_PENDING, device->class_);
		return 0;
	}
	check_uses(command, &joining.join);
	if (command->err != 0)
		return 0;
	uint64_t number = device->device != 0
	    ? device->device
	    : batch->state.counters.next_device;

	if (device->device == 0)
		err = decide_limit(batch, command, LIMIT_DEVICES);
	if (err != 0 || command->err != 0)
		return err;
	fill_enrolled(reply, batch->ledger, number, !is_approved(&joining),
	    joining.class_);
	return emit_enrolled(batch, command, &joining, number);
}

/* --- device.approve ---------------------------------------------------- */

int
decide_refuse_pending(struct command *command, uint64_t device)
{
	command->err = ERR_FORBIDDEN;
	problem_set_pending(&command->problem, device);
	return 0;
}

static int
find_by_number(struct state_device *device, struct batch *batch,
    struct command *command, uint64_t number)
{
	int err = state_device(device, &batch->state, number);

	if (err != ERR_NOT_FOUND_INTERNAL)
		return err;
	return decide_refuse_field(command, "device", ERR_NOT_FOUND,
	    "see what there is: leasehold device list",
	    "there is no device-%" PRIu64, number);
}

int
decide_approve(struct batch *batch, struct command *command)
{
	const struct device_number *request = command->request;
	struct state_device device;
	int err = find_by_number(&device, batch, command, request->device);

	if (err != 0 || command->err != 0)
		return err;
	if (device.state == DEVICE_REVOKED)
		return decide_refuse_field(command, "device",
		    ERR_DEVICE_REVOKED,
		    "let the workstation enroll with a new key: leasehold "
		    "enroll URL --token TOKEN --new-key",
		    "device-%" PRIu64 " was revoked, and its key stays out",
		    request->device);
	command->reply.device = *request;
	if (device.state == DEVICE_APPROVED)
		return 0; /* it is as asked for */
	struct row *row = batch_row(batch, ROW_DEVICE_APPROVED);

	if (row == NULL)
		return ERR_NOMEM;
	row->u.device_approved.device = request->device;
	row->u.device_approved.by = decide_actor(&command->who);
	return batch_emit(batch);
}

/* --- device.revoke ----------------------------------------------------- */

static int
end_leases(struct batch *batch, struct command *command, uint64_t device)
{
	struct requests *requests = batch->ledger->requests;
	size_t n = requests_device_count(requests, device);
	uint64_t *leases =
	    arena_alloc(&command->arena, (n + 1) * sizeof *leases);
	int err = 0;

	if (leases == NULL)
		return ERR_NOMEM;
	n = requests_device(leases, n, requests, device, 0);
	for (size_t i = 0; i < n && err == 0; i++) {
		struct state_lease lease;

		err = state_lease(&lease, &batch->state, leases[i]);
		if (err == 0)
			err = lease_is_borrow(&lease)
			    ? decide_give_up(batch, command, &lease,
				  BORROW_REVOKED)
			    : decide_end(batch, &lease, LEASE_REVOKED,
				  decide_held_until(command, batch, &lease),
				  &command->who);
	}
	return err == ERR_NOT_FOUND_INTERNAL ? ERR_CORRUPT : err;
}

int
decide_revoke(struct batch *batch, struct command *command)
{
	const struct device_revoke *request = command->request;
	struct state_device device;
	uint8_t reason[SUBJECT_BYTES];
	int err = find_by_number(&device, batch, command, request->device);

	if (err != 0 || command->err != 0)
		return err;
	command->reply.device.device = request->device;
	if (device.state == DEVICE_REVOKED)
		return 0; /* it is as asked for */
	err = decide_subject(reason, batch, SUBJECT_REASON, request->reason,
	    command->entropy);
	if (err != 0)
		return err;
	struct row *row = batch_row(batch, ROW_DEVICE_REVOKED);

	if (row == NULL)
		return ERR_NOMEM;
	row->u.device_revoked.device = request->device;
	memcpy(row->u.device_revoked.reason, reason, sizeof reason);
	row->u.device_revoked.by = decide_actor(&command->who);
	err = batch_emit(batch);
	return err == 0 ? end_leases(batch, command, request->device) : err;
}
