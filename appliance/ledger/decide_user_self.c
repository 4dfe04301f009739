/* What one changes of himself: his password and his second factor, and the
 * codes of that. See decide_user.h. */
#include "appliance/ledger/decide_user.h"

#include "shared/base/err.h"

#include <sodium.h>
#include <string.h>

/* --- codes --------------------------------------------------------------- */

static bool
take_recovery(struct change *c, const char *plain)
{
	struct user_document *document = &c->document;
	uint8_t hash[USER_RECOVERY_BYTES];

	user_recovery_hash(hash, c->batch->ledger->users, c->user.user, plain);
	for (uint32_t i = 0; i < document->n_recovery; i++) {
		if (sodium_memcmp(document->recovery[i], hash, sizeof hash) !=
		    0)
			continue;
		document->n_recovery--;
		memmove(document->recovery[i],
		    document->recovery[document->n_recovery],
		    USER_RECOVERY_BYTES);
		return true;
	}
	return false;
}

/* Where he has a second factor: `recovered` tells that it was a recovery code,
 * which is then gone from his document. */
int
user_check_code(struct change *c, bool *recovered)
{
	char plain[PASSWORD_RECOVERY_LETTERS + 1];
	const char *code = c->request->code;

	*recovered = false;
	if (!c->document.totp)
		return 0;
	if (code[0] == '\0')
		return decide_refuse_field(c->command, "code",
		    ERR_UNAUTHENTICATED,
		    "type what the authenticator shows, or a recovery code",
		    "a one-time code is needed");
	if (totp_check(&c->totp_step, c->document.secret, code,
		c->batch->place.time, c->user.totp_step) == 0)
		return 0;
	if (password_plain_code(plain, PASSWORD_RECOVERY_LETTERS, code))
		*recovered = take_recovery(c, plain);
	sodium_memzero(plain, sizeof plain);
	return *recovered
	    ? 0
	    : decide_refuse_field(c->command, "code", ERR_UNAUTHENTICATED,
		  "wait for the next code; see that the clock of the "
		  "authenticator is right",
		  "the code is wrong, too old, or was used already");
}

/* --- his password and his second factor ------------------------------------ */

int
user_check_local(struct change *c)
{
	return c->user.source == USER_LOCAL
	    ? 0
	    : decide_refuse(c->command, ERR_CONFLICT,
		  "change it in the directory",
		  "his password is the directory's");
}

void
user_drop_totp(struct user_document *document)
{
	document->totp = false;
	sodium_memzero(document->secret, sizeof document->secret);
	sodium_memzero(document->begun, sizeof document->begun);
	sodium_memzero(document->recovery, sizeof document->recovery);
	document->n_recovery = 0;
}

int
decide_user_password(struct change *c)
{
	int err = user_change_find_self(c, true);

	if (err == 0 && c->command->err == 0)
		err = user_check_local(c);
	if (err != 0 || c->command->err != 0)
		return err;
	memcpy(c->document.hash, c->request->hash, sizeof c->document.hash);
	c->document.one_time = false;
	err = user_change_write(c, USER_CHANGED_PASSWORD);
	c->command->reply.user_number =
	    (struct user_number){ .user = c->user.user };
	return err;
}

int
decide_user_totp_begin(struct change *c)
{
	int err = user_change_find_self(c, true);

	if (err == 0 && c->command->err == 0 && c->document.totp)
		return decide_refuse(c->command, ERR_CONFLICT,
		    "leasehold user totp off",
		    "there is a second factor already");
	if (err != 0 || c->command->err != 0)
		return err;
	memcpy(c->document.begun, c->request->secret, sizeof c->document.begun);
	return user_change_write(c, USER_TOTP_BEGUN);
}

int
decide_user_totp_confirm(struct change *c)
{
	struct totp_confirmed *reply = &c->command->reply.totp_confirmed;
	char plain[PASSWORD_RECOVERY_LETTERS + 1];
	int err = user_change_find_self(c, false);

	if (err != 0 || c->command->err != 0)
		return err;
	if (c->document.totp ||
	    sodium_is_zero(c->document.begun, sizeof c->document.begun))
		return decide_refuse(c->command, ERR_CONFLICT,
		    "leasehold user totp on",
		    "there is no second factor to confirm");
	if (totp_check(&c->totp_step, c->document.begun, c->request->code,
		c->batch->place.time, c->user.totp_step) != 0)
		return decide_refuse_field(c->command, "code", ERR_BAD_REQUEST,
		    "see that the clock of the authenticator is right",
		    "that is not what an authenticator with the secret shows");
	struct recovery_code *codes = arena_alloc(&c->command->arena,
	    USER_RECOVERY_CODES * sizeof *codes);

	if (codes == NULL)
		return ERR_NOMEM;
	memcpy(c->document.secret, c->document.begun,
	    sizeof c->document.secret);
	sodium_memzero(c->document.begun, sizeof c->document.begun);
	c->document.totp = true;
	c->document.n_recovery = USER_RECOVERY_CODES;
	for (size_t i = 0; i < USER_RECOVERY_CODES; i++) {
		memset(&codes[i], 0, sizeof codes[i]);
		memcpy(codes[i].code, c->request->recovery[i],
		    sizeof c->request->recovery[i]);
		if (!password_plain_code(plain, PASSWORD_RECOVERY_LETTERS,
			codes[i].code))
			return ERR_CORRUPT;
		user_recovery_hash(c->document.recovery[i],
		    c->batch->ledger->users, c->user.user, plain);
	}
	sodium_memzero(plain, sizeof plain);
	reply->recovery_codes =
	    (struct record_list){ codes, USER_RECOVERY_CODES };
	return user_change_write(c, USER_TOTP_SET);
}

int
decide_user_totp_off(struct change *c)
{
	bool recovered;
	int err = user_change_find_self(c, true);

	if (err == 0 && c->command->err == 0)
		err = user_check_code(c, &recovered);
	if (err != 0 || c->command->err != 0)
		return err;
	user_drop_totp(&c->document);
	c->command->reply.user_number =
	    (struct user_number){ .user = c->user.user };
	return user_change_write(c, USER_TOTP_OFF);
}
