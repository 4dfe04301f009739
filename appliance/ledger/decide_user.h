/*
 * What the parts of deciding on people share: one change on its way, what every
 * change needs of it, and the changes themselves, one function each. Who may
 * give what to whom, and that somebody is left who may do everything, is judged
 * here and nowhere else. Passwords were checked, and hashed, by the process
 * around; codes are checked here, so that each is good once. It must not know
 * sessions or requests.
 */
#ifndef APPLIANCE_LEDGER_DECIDE_USER_H
#define APPLIANCE_LEDGER_DECIDE_USER_H

#include "appliance/ledger/core.h"

/** One command on its way. */
struct change {
	struct batch *batch;
	struct command *command;
	const struct ledger_user *request;
	struct state_user user;
	struct user_document document;
	uint64_t totp_step; /* that a code used */
	size_t documents; /* written so far */
};

/* --- decide_user.c: whatever is refused stands in the command -------------- */

/** Nobody gives a role above his own, or touches who has one. A key counts for
 * the roles whose scopes it has, and for none above that of who made it or
 * turned its secret. */
int user_check_rank(struct change *c, uint32_t role);
/** Before an owner is no more one who can log in. */
int user_check_last_owner(struct change *c);
/** Is the login of the request free, and is there room for one more? */
int user_check_room(struct change *c);

/** The one of the request. */
int user_change_find(struct change *c);
/** The same, by who may change him. */
int user_change_find_other(struct change *c);
/** Himself; with `checked` by the password that was checked when he was at the
 * request's epoch. */
int user_change_find_self(struct change *c, bool checked);

/** A new one of the request. */
int user_change_add(struct change *c, enum user_source source);
/** A row about him as he is in `c`; no commitment: his document stays. */
int user_change_emit(struct change *c, enum user_change what,
    const uint8_t *commitment);
/** His document changed: a new one, and its row. */
int user_change_write(struct change *c, enum user_change what);
/** As the row left him. */
int user_change_view(struct change *c, struct user_view *out);

/* --- decide_user_self.c ---------------------------------------------------- */

/** Where he has a second factor: is the request's code good? `recovered` tells
 * that it was a recovery code, which is then gone from his document. */
int user_check_code(struct change *c, bool *recovered);
/** Has he a password of ours? */
int user_check_local(struct change *c);
void user_drop_totp(struct user_document *document);

/* --- the changes ----------------------------------------------------------- */

/* decide_user_admin.c */
int decide_user_create(struct change *c);
int decide_user_set(struct change *c);
int decide_user_state(struct change *c);
int decide_user_reset(struct change *c);
int decide_user_no_totp(struct change *c);
/* decide_user_self.c */
int decide_user_password(struct change *c);
int decide_user_totp_begin(struct change *c);
int decide_user_totp_confirm(struct change *c);
int decide_user_totp_off(struct change *c);
/* decide_user_login.c */
int decide_user_login(struct change *c);
int decide_user_directory(struct change *c);

#endif
