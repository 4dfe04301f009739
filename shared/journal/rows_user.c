/* Tables of the rows about people: who logs in, and who was erased; see rows.h.
 */
#include "shared/journal/rows_private.h"

const char *const user_role_names[] = { "owner", "admin", "operator", "auditor",
	"viewer", NULL };
const char *const user_state_names[] = { "active", "disabled", "removed",
	NULL };
const char *const user_source_names[] = { "local", "directory", NULL };
const char *const user_change_names[] = { "profile", "role", "state",
	"password", "password_reset", "totp_begun", "totp_set", "totp_off",
	"recovery_used", NULL };

static const struct record_field row_user_created_fields[] = {
	R_U64(row_user_created, user, 1, U53_MAX, 0, "Number."),
	R_ENUM(row_user_created, role, user_role_names, 0, "What he may."),
	R_ENUM(row_user_created, source, user_source_names, 0,
	    "Who knows his password."),
	R_FIXED(row_user_created, document, 0, "Id of the sealed document."),
	R_FIXED(row_user_created, commitment, 0, "Commitment to it."),
	R_STRUCT(row_user_created, by, &row_actor_record, 0, "Who did it."),
};
RECORD_DEFINE(row_user_created, 1, "Somebody may log in.");

static const struct record_field row_user_changed_fields[] = {
	R_U64(row_user_changed, user, 1, U53_MAX, 0, "Number."),
	R_ENUM(row_user_changed, what, user_change_names, 0, "What changed."),
	R_ENUM(row_user_changed, role, user_role_names, 0, "What he may now."),
	R_ENUM(row_user_changed, state, user_state_names, 0, "May he log in?"),
	R_FIXED(row_user_changed, document, 0, "Id of the sealed document."),
	R_FIXED(row_user_changed, commitment, 0, "Commitment to it."),
	R_U64(row_user_changed, totp_step, 0, U53_MAX, 0,
	    "Step of a one-time code that was used; 0: none."),
	R_STRUCT(row_user_changed, by, &row_actor_record, 0, "Who did it."),
};
RECORD_DEFINE(row_user_changed, 1, "Somebody who may log in was changed.");

static const struct record_field row_user_login_fields[] = {
	R_U64(row_user_login, user, 1, U53_MAX, 0, "Number."),
	R_U64(row_user_login, session, 1, U53_MAX, 0, "Of the daemon's run."),
	R_U64(row_user_login, totp_step, 0, U53_MAX, 0,
	    "Step of the one-time code; 0: there was none."),
};
RECORD_DEFINE(row_user_login, 1, "Somebody logged in.");

static const struct record_field row_user_denied_fields[] = {
	R_U64(row_user_denied, user, 0, U53_MAX, 0,
	    "Number; 0: the login is nobody's."),
	R_TEXT(row_user_denied, code, 1, 31, 0, "Why."),
	R_U64(row_user_denied, count, 1, U53_MAX, 0, "How often."),
	R_TIME(row_user_denied, minute, 0, "Start of the minute."),
};
RECORD_DEFINE(row_user_denied, 1, "Logins that were refused in a minute.");

static const struct record_field row_number_fields[] = {
	R_U64(row_number, number, 1, U53_MAX, 0, "The number."),
};
const struct record row_number_record = {
	.name = "row_number",
	.doc = "A number in a list.",
	.version = 1,
	.size = sizeof(struct row_number),
	.fields = row_number_fields,
	.n_fields = 1,
	.bare = true,
};

static const struct record_field row_erasure_fields[] = {
	R_U64(row_erasure, erasure, 1, U53_MAX, 0, "Its number."),
	R_LIST(row_erasure, subjects, &row_subject_record, 0, 128, 0,
	    "Ids that mean nobody any more."),
	R_LIST(row_erasure, users, &row_number_record, 0, 16, RECORD_OPTIONAL,
	    "Users whose accounts are gone."),
	R_FIXED(row_erasure, document, 0,
	    "BLAKE2b-256 of the signed document."),
	R_STRUCT(row_erasure, by, &row_actor_record, 0, "By whose order."),
};
RECORD_DEFINE(row_erasure, 1, "A person was erased.");
