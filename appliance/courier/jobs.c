/* Record tables of jobs.h. */
#include "appliance/courier/jobs.h"

const char *const courier_outcome_names[] = { "done", "wrong", "no_role",
	"unavailable", NULL };

static const struct record_field courier_bind_fields[] = {
	R_TEXT(courier_bind, login, 1, USER_LOGIN_MAX, 0, "Login"),
	R_STRING(courier_bind, password, 1, USER_PASSWORD_MAX, RECORD_SECRET,
	    "Password"),
};
RECORD_DEFINE(courier_bind, 1, "A login for the directory to judge");

static const struct record_field courier_bound_fields[] = {
	R_ENUM(courier_bound, outcome, courier_outcome_names, 0,
	    "What it said"),
	R_ENUM(courier_bound, role, user_role_names, 0, "By his groups"),
	R_TEXT(courier_bound, name, 0, 127, 0, "Name"),
	R_TEXT(courier_bound, mail, 0, 127, 0, "Mail"),
};
RECORD_DEFINE(courier_bound, 1, "What the directory says of him");
