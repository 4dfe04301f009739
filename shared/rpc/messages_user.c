/* Tables: people who log in. */
#include "shared/rpc/messages_user.h"

#include "shared/rpc/tables.h"

#define SECRET RECORD_SECRET

const char *const user_role_choice_names[] = { "same", "owner", "admin",
	"operator", "auditor", "viewer", NULL };

static const struct record_field user_view_fields[] = {
	R_U64(user_view, user, 1, U53_MAX, 0, "The user's number."),
	R_TEXT(user_view, login, 0, USER_LOGIN_MAX, OPT, "Login."),
	R_TEXT(user_view, name, 0, 127, OPT, "Name, for people."),
	R_TEXT(user_view, mail, 0, 127, OPT, "Mail address."),
	R_ENUM(user_view, role, user_role_names, 0, "What he may."),
	R_ENUM(user_view, state, user_state_names, 0, "May he log in?"),
	R_ENUM(user_view, source, user_source_names, 0,
	    "Who knows his password: this site, or a directory (LDAP)."),
	R_BOOL(user_view, totp, OPT, "A one-time code is asked for."),
	R_BOOL(user_view, change_password, OPT,
	    "His password is to be changed at the next login."),
	R_U32(user_view, recovery_codes, 0, 10, OPT, "Codes that are left."),
	R_TIME(user_view, created_at, 0, "When he was created."),
	R_TIME(user_view, login_at, OPT, "His last login."),
};
RECORD_DEFINE(user_view, 1, "Somebody who may log in.");

static const struct record_field user_page_fields[] = {
	R_LIST(user_page, items, &user_view_record, 0, LIST_LIMIT_MAX, 0,
	    "Users in the order of their numbers."),
	R_CURSOR(user_page, next, 'P', OPT,
	    "Cursor for `after`; absent: that was all."),
};
RECORD_DEFINE(user_page, 1, "Users.");

static const struct record_field user_query_fields[] = {
	R_CURSOR(user_query, after, 'P', OPT,
	    "Cursor: the last user already seen."),
	R_U32(user_query, limit, 0, LIST_LIMIT_MAX, OPT,
	    "Items at most; absent: 100."),
	R_BOOL(user_query, all, OPT, "Those that were removed too."),
};
RECORD_DEFINE(user_query, 1, "Which users.");

static const struct record_field user_number_fields[] = {
	R_U64(user_number, user, 1, U53_MAX, 0, "The user's number."),
};
RECORD_DEFINE(user_number, 1, "A user by number.");

static const struct record_field user_create_fields[] = {
	R_TEXT(user_create, login, 1, USER_LOGIN_MAX, 0,
	    "Letters, digits and . _ - @ +; case does not matter."),
	R_TEXT(user_create, name, 0, 127, OPT, "Name, for people."),
	R_TEXT(user_create, mail, 0, 127, OPT, "Mail address."),
	R_ENUM(user_create, role, user_role_names, 0, "What he may."),
	R_STRING(user_create, password, 1, USER_PASSWORD_MAX, OPT | SECRET,
	    "At least 12 characters; absent: one is made up, to be changed."),
};
RECORD_DEFINE(user_create, 1, "A new user.");

static const struct record_field user_created_fields[] = {
	R_STRUCT(user_created, user, &user_view_record, 0, "The user."),
	R_TEXT(user_created, password, 0, 63, OPT | SECRET,
	    "Made up, to be changed at once; shown only now."),
};
RECORD_DEFINE(user_created, 1, "A user, and how he gets in.");

static const struct record_field user_set_fields[] = {
	R_U64(user_set, user, 1, U53_MAX, 0, "The user's number."),
	R_TEXT(user_set, name, 0, 127, OPT, "Name, for people."),
	R_TEXT(user_set, mail, 0, 127, OPT, "Mail address."),
	R_ENUM(user_set, role, user_role_choice_names, OPT, "What he may."),
};
RECORD_DEFINE(user_set, 1, "What is to change; the rest stays.");

static const struct record_field session_create_fields[] = {
	R_TEXT(session_create, login, 1, 127, 0, "Login."),
	R_STRING(session_create, password, 1, USER_PASSWORD_MAX, SECRET,
	    "Password."),
	R_TEXT(session_create, code, 0, 63, OPT | SECRET,
	    "One-time code of the authenticator, or a recovery code."),
	R_BOOL(session_create, cookie, OPT,
	    "For a page: the token comes as a cookie only. Requests by cookie "
	    "that change something need the header X-Leasehold-Page: 1."),
};
RECORD_DEFINE(session_create, 1, "A login.");

static const struct record_field login_session_fields[] = {
	R_U64(login_session, session, 1, U53_MAX, 0, "Its number."),
	R_U64(login_session, user, 1, U53_MAX, 0, "Whose."),
	R_ENUM(login_session, role, user_role_names, 0, "What it may."),
	R_TEXT(login_session, address, 0, 63, OPT, "Where it began."),
	R_TIME(login_session, created_at, 0, "When it began."),
	R_TIME(login_session, used_at, 0, "When it was last used."),
	R_TIME(login_session, expires_at, 0, "When it ends at the latest."),
	R_BOOL(login_session, cookie, OPT, "Of a page."),
	R_BOOL(login_session, current, OPT, "The one that asks."),
};
RECORD_DEFINE(login_session, 1, "A session of somebody who logged in.");

static const struct record_field session_created_fields[] = {
	R_STRING(session_created, token, 0, USER_TOKEN_TEXT, OPT | SECRET,
	    "Send it as \"Authorization: Bearer TOKEN\"; shown only now."),
	R_STRUCT(session_created, session, &login_session_record, 0,
	    "The session."),
	R_TEXT(session_created, login, 1, USER_LOGIN_MAX, 0, "Login."),
	R_TEXT(session_created, tenant, 1, 63, 0, "The tenant."),
	R_U32(session_created, idle_s, 1, UINT32_MAX, 0,
	    "Seconds without use after which it ends."),
	R_BOOL(session_created, change_password, OPT,
	    "Nothing else is allowed before the password is changed."),
	R_U32(session_created, recovery_codes, 0, 10, OPT,
	    "Recovery codes that are left."),
};
RECORD_DEFINE(session_created, 1, "He is in.");

static const struct record_field session_shown_fields[] = {
	R_STRUCT(session_shown, session, &login_session_record, 0,
	    "The session."),
	R_STRUCT(session_shown, user, &user_view_record, 0, "Who it is."),
	R_TEXT(session_shown, tenant, 1, 63, 0, "The tenant."),
	R_BOOL(session_shown, change_password, OPT,
	    "Nothing else is allowed before the password is changed."),
};
RECORD_DEFINE(session_shown, 1, "Who asks.");

static const struct record_field session_query_fields[] = {
	R_U64(session_query, user, 1, U53_MAX, OPT,
	    "Whose; absent: one's own."),
};
RECORD_DEFINE(session_query, 1, "Whose sessions.");

static const struct record_field session_page_fields[] = {
	R_LIST(session_page, items, &login_session_record, 0, LIST_LIMIT_MAX, 0,
	    "Sessions."),
};
RECORD_DEFINE(session_page, 1, "Sessions that have not ended.");

static const struct record_field session_number_fields[] = {
	R_U64(session_number, session, 1, U53_MAX, 0, "The session's number."),
};
RECORD_DEFINE(session_number, 1, "A session by number.");

static const struct record_field password_change_fields[] = {
	R_STRING(password_change, password, 1, USER_PASSWORD_MAX, SECRET,
	    "The one that is good now."),
	R_STRING(password_change, new_password, 1, USER_PASSWORD_MAX, SECRET,
	    "At least 12 characters."),
};
RECORD_DEFINE(password_change, 1, "Another password.");

static const struct record_field totp_begin_fields[] = {
	R_STRING(totp_begin, password, 1, USER_PASSWORD_MAX, SECRET,
	    "Once more."),
};
RECORD_DEFINE(totp_begin, 1, "A second factor is wanted.");

static const struct record_field totp_begun_fields[] = {
	R_TEXT(totp_begun, secret, 1, 63, SECRET, "To be typed; base32."),
	R_TEXT(totp_begun, uri, 1, 447, SECRET,
	    "To be shown as a picture; shown only now."),
};
RECORD_DEFINE(totp_begun, 1, "For the authenticator; a code confirms it.");

static const struct record_field totp_confirm_fields[] = {
	R_TEXT(totp_confirm, code, 1, 63, SECRET, "What it shows."),
};
RECORD_DEFINE(totp_confirm, 1, "The authenticator has the secret.");

static const struct record_field recovery_code_fields[] = {
	R_TEXT(recovery_code, code, 1, 23, SECRET, "Good once."),
};
const struct record recovery_code_record = {
	.name = "recovery_code",
	.doc = "In place of a one-time code.",
	.version = 1,
	.size = sizeof(struct recovery_code),
	.fields = recovery_code_fields,
	.n_fields = 1,
	.bare = true,
};

static const struct record_field totp_confirmed_fields[] = {
	R_LIST(totp_confirmed, recovery_codes, &recovery_code_record, 0, 10, 0,
	    "Each good once, when the authenticator is lost; shown only now."),
};
RECORD_DEFINE(totp_confirmed, 1, "From now on a code is asked for.");

static const struct record_field totp_off_fields[] = {
	R_STRING(totp_off, password, 1, USER_PASSWORD_MAX, SECRET,
	    "Once more."),
	R_TEXT(totp_off, code, 1, 63, SECRET,
	    "A one-time code, or a recovery code."),
};
RECORD_DEFINE(totp_off, 1, "No second factor any more.");
