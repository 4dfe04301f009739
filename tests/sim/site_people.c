/* Users, what they may, and their logins. See site.h. */
#include "tests/sim/site.h"

#include <inttypes.h>

static struct site_user *
user_of(struct site_sim *sim, const struct site_login *login)
{
	return &sim->users[login->tenant][login->user];
}

static void
login_name(char out[USER_LOGIN_MAX + 1], uint32_t tenant,
    const struct site_user *user)
{
	snprintf(out, USER_LOGIN_MAX + 1, "user-%u-%u", tenant, user->serial);
}

static void
make_user(struct site_sim *sim, uint32_t tenant, uint32_t index,
    enum user_role role)
{
	struct site_user *user = &sim->users[tenant][index];
	struct user_create ask = { .name = "Somebody",
		.role = role,
		.password = { SITE_PASSWORD, sizeof(SITE_PASSWORD) - 1 } };
	struct user_created made;

	user->serial = (uint32_t)++sim->serial;
	login_name(ask.login, tenant, user);
	int err = site_admin(sim, &made, tenant, OP_USER_CREATE, &ask);

	if (sim->tenants[tenant].suspended) {
		site_must(sim, err == ERR_TENANT_SUSPENDED);
		return;
	}
	site_must(sim, err == 0);
	user->number = made.user.user;
	user->role = role;
	user->state = USER_ACTIVE;
}

void
site_people_begin(struct site_sim *sim, uint32_t tenant)
{
	make_user(sim, tenant, 0, USER_OWNER);
}

void
site_people_lost(struct site_sim *sim)
{
	for (size_t i = 0; i < SITE_LOGINS; i++)
		sim->logins[i].alive = false;
}

/* What they rest on is another now. */
static void
end_logins(struct site_sim *sim, uint32_t tenant, uint32_t user)
{
	for (size_t i = 0; i < SITE_LOGINS; i++)
		if (sim->logins[i].tenant == tenant &&
		    sim->logins[i].user == user)
			sim->logins[i].alive = false;
}

/* --- what an admin does to them --------------------------------------------- */

static void
change_user(struct site_sim *sim, uint32_t tenant, uint32_t index)
{
	static const struct {
		uint16_t op;
		enum user_state state;
	} changes[] = {
		{ OP_USER_DISABLE, USER_DISABLED },
		{ OP_USER_ENABLE, USER_ACTIVE },
		{ OP_USER_REMOVE, USER_REMOVED },
	};
	struct site_user *user = &sim->users[tenant][index];
	const struct user_number number = { user->number };
	uint32_t what = site_below(sim, 5);
	struct user_set set = { .user = user->number };
	int err;

	if (what < 3) {
		err = site_admin(sim, NULL, tenant, changes[what].op, &number);
	} else {
		set.role = 1 + site_below(sim, USER_ROLES);
		err = site_admin(sim, NULL, tenant, OP_USER_SET, &set);
	}
	if (sim->tenants[tenant].suspended) {
		site_must(sim, err == ERR_TENANT_SUSPENDED);
		return;
	}
	site_must(sim, err == 0);
	if (what < 3)
		user->state = changes[what].state;
	else
		user->role = set.role - 1;
	end_logins(sim, tenant, index);
}

static void
step_user(struct site_sim *sim)
{
	uint32_t tenant = site_below(sim, SITE_TENANTS);
	uint32_t index = 1 + site_below(sim, SITE_USERS - 1);
	const struct site_user *user = &sim->users[tenant][index];

	if (user->number == 0 || user->state == USER_REMOVED)
		make_user(sim, tenant, index, site_below(sim, USER_ROLES));
	else
		change_user(sim, tenant, index);
}

/* --- logging in -------------------------------------------------------------- */

static void
log_in(struct site_sim *sim)
{
	uint32_t tenant = site_below(sim, SITE_TENANTS);
	uint32_t index = site_below(sim, SITE_USERS);
	const struct site_user *user = &sim->users[tenant][index];
	struct site_login *login = &sim->logins[site_below(sim, SITE_LOGINS)];
	struct session_create ask = { .password = { SITE_PASSWORD,
					  sizeof(SITE_PASSWORD) - 1 } };
	struct session_created made;

	if (user->number == 0)
		return;
	login_name(ask.login, tenant, user);
	int err = site_ask(sim, &made, tenant, "", "192.0.2.1",
	    OP_SESSION_CREATE, &ask);

	if (user->state != USER_ACTIVE) {
		site_must(sim,
		    err == ERR_UNAUTHENTICATED || err == ERR_LOCKED_OUT);
		sim->tally.refused_logins++;
		return;
	}
	/* He was disabled a moment ago, and tried too often. */
	if (err == ERR_LOCKED_OUT && sim->tally.refused_logins > 0)
		return;
	site_must(sim, err == 0);
	*login = (struct site_login){ .alive = true,
		.tenant = tenant,
		.user = index,
		.began = site_now(),
		.used = site_now() };
	snprintf(login->token, sizeof(login->token), "%.*s",
	    (int)made.token.len, (const char *)made.token.data);
	sim->tally.logins++;
}

/* --- what they ask ------------------------------------------------------------ */

static bool
is_alive(const struct site_login *login)
{
	return login->alive &&
	    site_now() - login->used < USER_SESSION_IDLE_MS &&
	    site_now() - login->began < USER_SESSION_MAX_MS;
}

static void
ask_something(struct site_sim *sim)
{
	static const uint16_t ops[] = { OP_KEY_LIST, OP_LEASE_LIST,
		OP_USER_LIST, OP_LEASE_RELEASE };
	struct site_login *login = &sim->logins[site_below(sim, SITE_LOGINS)];
	uint16_t op = ops[site_below(sim, 4)];
	const struct operation *operation = operation_get(op);
	/* Large enough for any of them. */
	union {
		struct key_query keys;
		struct lease_query leases;
		struct user_query users;
		struct lease_ref ref;
	} ask;
	union {
		struct key_page keys;
		struct lease_page leases;
		struct user_page users;
		struct lease_ended ended;
	} reply;
	uint32_t tenant = login->tenant;

	if (login->token[0] == '\0')
		return;
	memset(&ask, 0, sizeof(ask));
	if (op == OP_LEASE_RELEASE)
		ask.ref.lease = 1000000; /* that is not there */
	if (site_one_in(sim, 6))
		tenant = site_below(sim, SITE_TENANTS);
	int err =
	    site_ask(sim, &reply, tenant, login->token, "192.0.2.1", op, &ask);

	if (!is_alive(login)) {
		site_must(sim, err == ERR_UNAUTHENTICATED);
		login->alive = false;
		return;
	}
	login->used = site_now();
	scope_set scopes = ledger_role_scopes(user_of(sim, login)->role);
	bool command = operation->kind == OPERATION_COMMAND;

	if (tenant != login->tenant)
		site_must(sim, err == ERR_WRONG_TENANT);
	else if ((scopes & SCOPE_BIT(operation->scope)) == 0)
		site_must(sim, err == ERR_FORBIDDEN);
	else if (command && sim->tenants[tenant].suspended)
		site_must(sim, err == ERR_TENANT_SUSPENDED);
	else
		site_must(sim, err == (command ? ERR_NOT_FOUND : 0));
}

static void
log_out(struct site_sim *sim)
{
	struct site_login *login = &sim->logins[site_below(sim, SITE_LOGINS)];
	const struct empty empty = { 0 };
	struct session_number reply;

	if (login->token[0] == '\0')
		return;
	int err = site_ask(sim, &reply, login->tenant, login->token,
	    "192.0.2.1", OP_SESSION_END, &empty);

	site_must(sim, (err == 0) == is_alive(login));
	login->alive = false;
}

void
site_step_people(struct site_sim *sim)
{
	uint32_t what = site_below(sim, 20);

	if (what < 2)
		step_user(sim);
	else if (what < 4)
		log_in(sim);
	else if (what < 5)
		log_out(sim);
	else
		ask_something(sim);
}
