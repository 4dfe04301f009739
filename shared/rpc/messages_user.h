/*
 * What is said about people who log in, and by them: users, sessions,
 * passwords, one-time codes. Source: DESIGN 10. It must not know who acts on
 * it.
 */
#ifndef SHARED_RPC_MESSAGES_USER_H
#define SHARED_RPC_MESSAGES_USER_H

#include "shared/rpc/messages.h"

#define USER_LOGIN_MAX 63
/** Of a password as it is sent; the rule for new ones is stricter. */
#define USER_PASSWORD_MAX 256
/** "lhus_", a tenant of up to 40 bytes, "_", 43 characters, NUL. */
#define USER_TOKEN_TEXT 96

/* --- users ---------------------------------------------------------------- */

struct user_view {
	uint64_t user;
	char login[USER_LOGIN_MAX + 1]; /* these three "" once he is removed */
	char name[128];
	char mail[128];
	uint32_t role; /* enum user_role */
	uint32_t state; /* enum user_state */
	uint32_t source; /* enum user_source */
	bool totp; /* he has a second factor */
	bool change_password; /* before he may do anything else */
	uint32_t recovery_codes; /* left */
	int64_t created_at;
	int64_t login_at; /* 0: never */
};
struct user_page {
	struct record_list items; /* user_view */
	uint64_t next; /* cursor; 0: that was all */
};
struct user_query {
	uint64_t after; /* cursor: the last user seen */
	uint32_t limit;
	bool all; /* the removed ones too */
};
struct user_number {
	uint64_t user;
};
struct user_create {
	char login[USER_LOGIN_MAX + 1];
	char name[128];
	char mail[128];
	uint32_t role;
	struct record_span password; /* empty: one is made up */
};
struct user_created {
	struct user_view user;
	char password[64]; /* that was made up, to be changed; or "" */
};
/** Absent: it stays. */
extern const char *const user_role_choice_names[];
struct user_set {
	uint64_t user;
	char name[128];
	char mail[128];
	uint32_t role; /* 0: it stays; else enum user_role + 1 */
};

/* --- logging in ----------------------------------------------------------- */

struct session_create {
	char login[128];
	struct record_span password;
	char code[64]; /* of the second factor, or a recovery code */
	bool cookie; /* for a page: the token comes as a cookie only */
};
struct login_session {
	uint64_t session;
	uint64_t user;
	uint32_t role;
	char address[64]; /* where it began */
	int64_t created_at;
	int64_t used_at;
	int64_t expires_at; /* at the latest */
	bool cookie;
	bool current; /* the one that asks */
};
struct session_created {
	struct record_span token; /* empty: it came as a cookie */
	struct login_session session;
	char login[USER_LOGIN_MAX + 1];
	char tenant[64];
	uint32_t idle_s; /* it ends when it is not used for so long */
	bool change_password; /* nothing else is allowed before */
	uint32_t recovery_codes; /* left */
};
struct session_shown {
	struct login_session session;
	struct user_view user;
	char tenant[64];
	bool change_password;
};
struct session_query {
	uint64_t user; /* 0: one's own */
};
struct session_page {
	struct record_list items; /* login_session */
};
struct session_number {
	uint64_t session;
};

struct password_change {
	struct record_span password;
	struct record_span new_password;
};
struct totp_begin {
	struct record_span password;
};
struct totp_begun {
	char secret[64]; /* base32, to be typed */
	char uri[448]; /* otpauth, to be shown as a picture */
};
struct totp_confirm {
	char code[64];
};
struct recovery_code {
	char code[24];
};
struct totp_confirmed {
	struct record_list recovery_codes; /* shown once */
};
struct totp_off {
	struct record_span password;
	char code[64];
};

extern const struct record user_view_record, user_page_record,
    user_query_record, user_number_record, user_create_record,
    user_created_record, user_set_record, session_create_record,
    login_session_record, session_created_record, session_shown_record,
    session_query_record, session_page_record, session_number_record,
    password_change_record, totp_begin_record, totp_begun_record,
    totp_confirm_record, recovery_code_record, totp_confirmed_record,
    totp_off_record;

#endif
