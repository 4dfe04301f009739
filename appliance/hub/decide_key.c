/* The issuing key of an account: made, vouched for, and what it signs. */
#include "appliance/hub/decide.h"

#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/text.h"

#include <inttypes.h>
#include <sodium.h>
#include <string.h>

_Static_assert(crypto_sign_SEEDBYTES + SEALED_ENTROPY <= LEDGER_ENTROPY_ACT,
    "a key and its document have random bytes of their own");

void *
hub_reply(struct command *command, size_t size)
{
	void *reply = arena_alloc(&command->arena, size);

	if (reply != NULL)
		memset(reply, 0, size);
	command->said = reply;
	return reply;
}

static int
answer_key(struct batch *batch, struct command *command)
{
	struct hub_key_view *reply = hub_reply(command, sizeof *reply);

	return reply == NULL
	    ? ERR_NOMEM
	    : hub_view_key(reply, &batch->state, &command->arena);
}

/* The secret is sealed, its public half is for the row. The bytes that it comes
 * from stay: a batch may be decided again. Who made the call wipes them. */
static int
seal_key(struct row_account_key *r, struct batch *batch,
    const struct command *command)
{
	uint8_t *secret = sodium_malloc(crypto_sign_SECRETKEYBYTES);

	if (secret == NULL)
		return ERR_NOMEM;
	crypto_sign_seed_keypair(r->public_key, secret, command->entropy);
	int err = sealed_put(r->document, r->commitment, &batch->state,
	    batch->ledger->sealed, SEALED_ISSUER, secret,
	    crypto_sign_SECRETKEYBYTES,
	    command->entropy + crypto_sign_SEEDBYTES);

	sodium_free(secret);
	return err;
}

int
decide_hub_key_make(struct batch *batch, struct command *command)
{
	struct row_account_key r = { .by = decide_actor(&command->who) };
	struct hub_account account;
	int err = hub_account(&account, &batch->state);

	if (err != 0)
		return err;
	/* One that waits to be vouched for is as good as another. */
	if (account.keys > account.issuing)
		return answer_key(batch, command);
	r.key = account.keys + 1;
	err = seal_key(&r, batch, command);
	if (err != 0)
		return err;
	struct row *row = batch_row(batch, ROW_ACCOUNT_KEY);

	if (row == NULL)
		return ERR_NOMEM;
	row->u.account_key = r;
	err = batch_emit(batch);
	return err == 0 ? answer_key(batch, command) : err;
}

/* --- the root key's word ---------------------------------------------------- */

/* Of which of the account's keys it is. */
static int
match_key(uint64_t *number, struct batch *batch, struct command *command,
    const struct license_issuer *issuer)
{
	struct row_account_key key;
	struct hub_account account;
	int err = hub_account(&account, &batch->state);

	*number = 0;
	for (uint64_t n = err == 0 ? account.keys : 0; n > 0 && err == 0; n--) {
		err = hub_key(&key, &batch->state, n, &command->arena);
		if (err == 0 &&
		    memcmp(key.public_key, issuer->key, sizeof issuer->key) ==
			0) {
			*number = n;
			return 0;
		}
	}
	return err;
}

/* One root for ever: sites and applications pin it. */
static int
check_root(struct batch *batch, struct command *command,
    const struct license_issuer_file *request)
{
	struct row_account_issuer now;
	struct hub_account account;
	int err = hub_account(&account, &batch->state);

	if (err != 0 || account.issuing == 0)
		return err;
	err = hub_issuer(&now, &batch->state, account.issuing, &command->arena);
	if (err == 0 &&
	    memcmp(now.root, request->vendor_key, sizeof now.root) != 0)
		return decide_refuse_field(command, "vendor_key", ERR_CONFLICT,
		    "sites that have licenses of this account believe the "
		    "first root key only",
		    "another root key vouches for this account's keys");
	return err;
}

static int
read_issuer(struct license_issuer *issuer, struct batch *batch,
    struct command *command)
{
	const struct license_issuer_file *request = command->request;
	struct record_error error = { .reason = "" };
	int err = license_document_read(issuer, &license_issuer_record,
	    TOKEN_ISSUER, request->issuer.data, request->issuer.len,
	    request->vendor_key, &command->arena, &error);

	if (err != 0)
		return decide_refuse_document(command, err, &error);
	if (strcmp(issuer->vendor.id, batch->ledger->tenant) != 0)
		return decide_refuse_field(command, "issuer", ERR_BAD_REQUEST,
		    "", "it is of vendor %s, and this account is %s",
		    issuer->vendor.id, batch->ledger->tenant);
	if (issuer->not_after <= batch->place.time)
		return decide_refuse_field(command, "issuer", ERR_EXPIRED,
		    "leasehold-vendor issuer DIR --key KEY",
		    "it is over already");
	return check_root(batch, command, request);
}

static int
emit_issuer(struct batch *batch, struct command *command, uint64_t number,
    const struct license_issuer *issuer)
{
	const struct license_issuer_file *request = command->request;
	struct row *row = batch_row(batch, ROW_ACCOUNT_ISSUER);

	if (row == NULL)
		return ERR_NOMEM;
	struct row_account_issuer *r = &row->u.account_issuer;

	r->key = number;
	memcpy(r->root, request->vendor_key, sizeof r->root);
	r->vendor = issuer->vendor;
	r->not_before = issuer->not_before;
	r->not_after = issuer->not_after;
	r->issuer = request->issuer;
	r->by = decide_actor(&command->who);
	return batch_emit(batch);
}

/* Brought twice it is the same word. */
static bool
is_known(struct batch *batch, struct command *command, uint64_t number)
{
	const struct license_issuer_file *request = command->request;
	struct row_account_issuer now;

	return hub_issuer(&now, &batch->state, number, &command->arena) == 0 &&
	    now.issuer.len == request->issuer.len &&
	    memcmp(now.issuer.data, request->issuer.data, now.issuer.len) == 0;
}

int
decide_hub_key_install(struct batch *batch, struct command *command)
{
	struct license_issuer issuer;
	uint64_t number;
	int err = read_issuer(&issuer, batch, command);

	if (err == 0 && command->err == 0)
		err = match_key(&number, batch, command, &issuer);
	if (err != 0 || command->err != 0)
		return err;
	if (number == 0)
		return decide_refuse_field(command, "issuer", ERR_BAD_REQUEST,
		    "sign what this prints: leasehold hub key",
		    "it vouches for a key that is not this account's");
	if (!is_known(batch, command, number))
		err = emit_issuer(batch, command, number, &issuer);
	return err == 0 ? answer_key(batch, command) : err;
}

/* --- signing ------------------------------------------------------------------ */

int
hub_sign(struct buf *token, const struct ledger *ledger,
    const struct state *state, const struct record *record, const void *value,
    enum token_kind kind, int64_t time)
{
	struct arena arena = { .chunks = NULL };
	struct row_account_issuer issuer;
	struct row_account_key key;
	struct hub_account account;
	struct sealed *sealed = NULL;
	int err = hub_account(&account, state);

	if (err == 0 && account.issuing == 0)
		return ERR_NOT_FOUND_INTERNAL;
	if (err == 0)
		err = hub_issuer(&issuer, state, account.issuing, &arena);
	if (err == 0)
		err = hub_key(&key, state, account.issuing, &arena);
	if (err == 0 && (time < issuer.not_before || time > issuer.not_after))
		err = ERR_EXPIRED;
	if (err == 0 && (sealed = sodium_malloc(sizeof *sealed)) == NULL)
		err = ERR_NOMEM;
	if (err == 0)
		err = sealed_get(sealed, state, ledger->sealed, SEALED_ISSUER,
		    key.document);
	if (err == ERR_NOT_FOUND_INTERNAL ||
	    (err == 0 && sealed->len != TOKEN_SECRET_BYTES))
		err = ERR_CORRUPT;
	if (err == 0)
		err = license_document_sign(token, record, value, kind,
		    sealed->data);
	sodium_free(sealed);
	arena_release(&arena);
	return err;
}

int
hub_find_issuer(struct row_account_issuer *out, struct batch *batch,
    struct command *command)
{
	struct hub_account account;
	char day[CLOCK_TEXT_SIZE];
	int err = hub_account(&account, &batch->state);

	if (err == 0 && account.issuing == 0)
		return decide_refuse(command, ERR_CONFLICT,
		    "make one: leasehold hub key; sign it: leasehold-vendor "
		    "issuer DIR --key KEY; bring that: leasehold hub key "
		    "install FILE",
		    "this account has no issuing key that the vendor's root "
		    "key vouches for");
	if (err == 0)
		err = hub_issuer(out, &batch->state, account.issuing,
		    &command->arena);
	if (err != 0)
		return err == ERR_NOT_FOUND_INTERNAL ? ERR_CORRUPT : err;
	if (batch->place.time >= out->not_before &&
	    batch->place.time <= out->not_after)
		return 0;
	clock_format(day, out->not_after);
	return decide_refuse(command, ERR_CONFLICT,
	    "make another: leasehold hub key make",
	    "the issuing key was good until %s, or is not yet", day);
}
