/* People in the ledger's core: who may give what to whom, the last owner,
 * codes that are good once, what a refold makes of it, what stands where. */
#include "appliance/ledger/ledger_key.h"
#include "appliance/ledger/totp.h"
#include "tests/unit/ledger_world.h"
#include "tests/unit/suite.h"

static struct world world;
static const uint8_t secret[20] = "12345678901234567890";

static void
set_up(void)
{
	world_init(&world, 77);
}

static void
tear_down(void)
{
	world_free(&world);
}

static int
run(struct command *command, uint32_t kind, uint64_t id,
    const struct ledger_user *request)
{
	*command = world_command(&world, LEDGER_USER, kind, id, request);
	int err = world_do(&world, command);

	command->request = NULL;
	arena_release(&command->arena);
	return err;
}

static int
create_by(uint32_t kind, uint64_t id, scope_set scopes, const char *login,
    uint32_t role, uint64_t *user)
{
	struct ledger_user request = {
		.what = LEDGER_USER_CREATE,
		.role = role,
		.scopes = scopes,
		.hash = "$argon2id$of-a-password",
	};
	struct command command;

	snprintf(request.login, sizeof request.login, "%s", login);
	snprintf(request.name, sizeof request.name, "Name of %s", login);
	snprintf(request.mail, sizeof request.mail, "%s@example.com", login);
	int err = run(&command, kind, id, &request);

	if (err == 0 && user != NULL)
		*user = command.reply.user_created.user.user;
	return err;
}

static uint64_t
create(const char *login, uint32_t role)
{
	uint64_t user = 0;

	ck_assert_int_eq(create_by(ACTOR_ADMIN, 1, SCOPES_SITE, login, role,
			     &user),
	    0);
	return user;
}

static int
set_state(uint32_t kind, uint64_t id, uint64_t user, uint32_t state)
{
	struct ledger_user request = {
		.what = LEDGER_USER_STATE,
		.user = user,
		.state = state,
		.scopes = SCOPES_ADMIN,
	};
	struct command command;

	return run(&command, kind, id, &request);
}

static int
set_role(uint32_t kind, uint64_t id, uint64_t user, uint32_t role)
{
	struct ledger_user request = {
		.what = LEDGER_USER_SET,
		.user = user,
		.sets_role = true,
		.role = role,
		.scopes = SCOPES_ADMIN,
	};
	struct command command;

	return run(&command, kind, id, &request);
}

static int
plain(uint32_t what, uint32_t kind, uint64_t id, uint64_t user)
{
	struct ledger_user request = {
		.what = what,
		.user = user,
		.scopes = SCOPES_ADMIN,
		.hash = "$argon2id$another",
	};
	struct command command;

	return run(&command, kind, id, &request);
}

static struct ledger_login
login_of(const char *login)
{
	struct ledger_login found = { 0 };
	struct ledger_view *view;

	ck_assert_int_eq(ledger_view_open(&view, world.ledger), 0);
	int err = ledger_login(&found, view, login);

	ledger_view_close(view);
	ck_assert(err == 0 || err == ERR_NOT_FOUND_INTERNAL);
	return found;
}

static int
log_in(const char *login, const char *code, struct ledger_login *out)
{
	struct ledger_login found = login_of(login);
	struct ledger_user request = {
		.what = LEDGER_USER_LOGIN,
		.user = found.user,
		.epoch = found.epoch,
		.session = 1,
	};
	struct command command;

	snprintf(request.code, sizeof request.code, "%s", code);
	int err = run(&command, ACTOR_SITE, 0, &request);

	if (out != NULL)
		*out = command.reply.login;
	return err;
}

static void
code_at(char out[8], int64_t step_off)
{
	snprintf(out, 8, "%06u",
	    totp_code(secret, 20, (uint64_t)(world.now / 30000 + step_off)));
}

/* --- who may ------------------------------------------------------------- */

START_TEST(nobody_gives_a_role_above_his_own)
{
	uint64_t who[USER_ROLES];
	char name[32];

	for (uint32_t r = 0; r < USER_ROLES; r++) {
		snprintf(name, sizeof name, "user%u", r);
		who[r] = create(name, r);
	}
	for (uint32_t by = 0; by < USER_ROLES; by++)
		for (uint32_t role = 0; role < USER_ROLES; role++) {
			snprintf(name, sizeof name, "new-%u-%u", by, role);
			ck_assert_int_eq(create_by(ACTOR_USER, who[by],
					     SCOPES_ADMIN, name, role, NULL),
			    role >= by ? 0 : ERR_FORBIDDEN);
		}
}
END_TEST

START_TEST(nobody_touches_who_has_a_role_above_his_own)
{
	uint64_t owner = create("olga", USER_OWNER);
	uint64_t admin = create("anna", USER_ADMIN);

	create("other", USER_OWNER);
	ck_assert_int_eq(plain(LEDGER_USER_RESET, ACTOR_USER, admin, owner),
	    ERR_FORBIDDEN);
	ck_assert_int_eq(plain(LEDGER_USER_NO_TOTP, ACTOR_USER, admin, owner),
	    ERR_FORBIDDEN);
	ck_assert_int_eq(set_state(ACTOR_USER, admin, owner, USER_DISABLED),
	    ERR_FORBIDDEN);
	ck_assert_int_eq(set_state(ACTOR_USER, admin, owner, USER_REMOVED),
	    ERR_FORBIDDEN);
	ck_assert_int_eq(set_role(ACTOR_USER, admin, owner, USER_VIEWER),
	    ERR_FORBIDDEN);
	/* Nor does he lift himself. */
	ck_assert_int_eq(set_role(ACTOR_USER, admin, admin, USER_OWNER),
	    ERR_FORBIDDEN);
	ck_assert_int_eq(plain(LEDGER_USER_RESET, ACTOR_USER, owner, admin), 0);
}
END_TEST

START_TEST(who_was_disabled_gives_nothing_any_more)
{
	uint64_t owner = create("olga", USER_OWNER);

	create("other", USER_OWNER);
	ck_assert_int_eq(set_state(ACTOR_ADMIN, 1, owner, USER_DISABLED), 0);
	ck_assert_int_eq(create_by(ACTOR_USER, owner, SCOPES_ADMIN, "new",
			     USER_VIEWER, NULL),
	    ERR_FORBIDDEN);
	ck_assert_int_eq(create_by(ACTOR_USER, 4711, SCOPES_ADMIN, "new",
			     USER_VIEWER, NULL),
	    ERR_FORBIDDEN);
}
END_TEST

static uint64_t
create_key(uint32_t kind, uint64_t id, uint8_t number)
{
	struct ledger_key_create request = {
		.hash = { number },
		.name = "program",
		.scopes = SCOPES_ADMIN,
		.document = { "x", 1 },
	};
	struct command command =
	    world_command(&world, LEDGER_KEY_CREATE, kind, id, &request);

	ck_assert_int_eq(world_do(&world, &command), 0);
	uint64_t device = command.reply.key.device;

	arena_release(&command.arena);
	return device;
}

static void
turn_key(uint32_t kind, uint64_t id, uint64_t device, uint8_t number)
{
	struct ledger_key_rotate request = { .device = device,
		.hash = { number } };
	struct command command =
	    world_command(&world, LEDGER_KEY_ROTATE, kind, id, &request);

	ck_assert_int_eq(world_do(&world, &command), 0);
	arena_release(&command.arena);
}

static int
create_by_key(uint64_t device, const char *login, uint32_t role)
{
	return create_by(ACTOR_KEY, device, SCOPES_ADMIN, login, role, NULL);
}

/* An admin may give a key as much as an owner has: both have the same scopes. */
START_TEST(key_has_no_rank_above_who_made_it)
{
	uint64_t owner = create("o", USER_OWNER),
		 admin = create("a", USER_ADMIN);
	uint64_t by_admin = create_key(ACTOR_USER, admin, 1);
	uint64_t by_owner = create_key(ACTOR_USER, owner, 2);

	ck_assert_int_eq(create_by_key(by_admin, "b", USER_OWNER),
	    ERR_FORBIDDEN);
	ck_assert_int_eq(create_by_key(by_admin, "b", USER_ADMIN), 0);
	ck_assert_int_eq(create_by_key(by_owner, "c", USER_OWNER), 0);
	/* Nor touches the owner, nor by a key that the key made. */
	ck_assert_int_eq(set_state(ACTOR_KEY, by_admin, owner, USER_DISABLED),
	    ERR_FORBIDDEN);
	uint64_t second = create_key(ACTOR_KEY, by_admin, 3);

	ck_assert_int_eq(create_by_key(second, "d", USER_OWNER), ERR_FORBIDDEN);
	ck_assert_int_eq(create_by_key(second, "d", USER_ADMIN), 0);
	/* Who has less now, has less through it. */
	ck_assert_int_eq(set_role(ACTOR_ADMIN, 1, admin, USER_VIEWER), 0);
	ck_assert_int_eq(create_by_key(second, "e", USER_ADMIN), ERR_FORBIDDEN);
	ck_assert_int_eq(create_by_key(second, "e", USER_VIEWER), 0);
	world_check_folded(&world);
}
END_TEST

/* A secret is theirs who turned it last. */
START_TEST(turned_key_has_the_rank_of_who_turned_it)
{
	uint64_t admin = create("a", USER_ADMIN);
	uint64_t key = create_key(ACTOR_SITE, 0, 1);

	ck_assert_int_eq(create_by_key(key, "b", USER_OWNER), 0);
	turn_key(ACTOR_KEY, key, key, 2);
	ck_assert_int_eq(create_by_key(key, "c", USER_OWNER), 0);
	turn_key(ACTOR_USER, admin, key, 3);
	ck_assert_int_eq(create_by_key(key, "d", USER_OWNER), ERR_FORBIDDEN);
	ck_assert_int_eq(create_by_key(key, "d", USER_ADMIN), 0);
	turn_key(ACTOR_KEY, key, key, 4);
	ck_assert_int_eq(create_by_key(key, "e", USER_OWNER), ERR_FORBIDDEN);
	turn_key(ACTOR_ADMIN, 1, key, 5);
	ck_assert_int_eq(create_by_key(key, "e", USER_OWNER), 0);
	world_check_folded(&world);
}
END_TEST

START_TEST(key_gives_roles_whose_scopes_it_has)
{
	uint64_t key = create_key(ACTOR_SITE, 0, 1);
	const scope_set few = SCOPE_BIT(SCOPE_USERS) | SCOPE_BIT(SCOPE_READ) |
	    SCOPE_BIT(SCOPE_USAGE_READ);

	ck_assert_int_eq(create_by(ACTOR_KEY, key, few, "a", USER_VIEWER, NULL),
	    0);
	ck_assert_int_eq(create_by(ACTOR_KEY, key, few, "b", USER_AUDITOR,
			     NULL),
	    ERR_FORBIDDEN);
	ck_assert_int_eq(create_by(ACTOR_KEY, key, few, "c", USER_OPERATOR,
			     NULL),
	    ERR_FORBIDDEN);
	ck_assert_int_eq(create_by(ACTOR_KEY, key, few, "d", USER_OWNER, NULL),
	    ERR_FORBIDDEN);
	/* One that nobody made is nobody's. */
	ck_assert_int_eq(create_by(ACTOR_KEY, key + 1, SCOPES_ADMIN, "e",
			     USER_VIEWER, NULL),
	    ERR_FORBIDDEN);
	/* The first owner of a tenant is made by its first key. */
	ck_assert_int_eq(create_by(ACTOR_KEY, key, SCOPES_ADMIN, "e",
			     USER_OWNER, NULL),
	    0);
}
END_TEST

START_TEST(device_and_site_make_no_users)
{
	ck_assert_int_eq(create_by(ACTOR_DEVICE, 1, SCOPES_SITE, "a",
			     USER_VIEWER, NULL),
	    ERR_FORBIDDEN);
	ck_assert_int_eq(create_by(ACTOR_SITE, 0, SCOPES_SITE, "a", USER_VIEWER,
			     NULL),
	    ERR_FORBIDDEN);
}
END_TEST

START_TEST(last_owner_stays)
{
	uint64_t a = create("a", USER_OWNER), b = create("b", USER_OWNER);

	ck_assert_int_eq(set_role(ACTOR_USER, a, b, USER_ADMIN), 0);
	ck_assert_int_eq(set_role(ACTOR_USER, a, a, USER_ADMIN), ERR_CONFLICT);
	ck_assert_int_eq(set_state(ACTOR_ADMIN, 1, a, USER_DISABLED),
	    ERR_CONFLICT);
	ck_assert_int_eq(set_state(ACTOR_ADMIN, 1, a, USER_REMOVED),
	    ERR_CONFLICT);
	ck_assert_int_eq(set_role(ACTOR_ADMIN, 1, b, USER_OWNER), 0);
	/* One who is disabled does not count. */
	ck_assert_int_eq(set_state(ACTOR_ADMIN, 1, b, USER_DISABLED), 0);
	ck_assert_int_eq(set_state(ACTOR_ADMIN, 1, a, USER_REMOVED),
	    ERR_CONFLICT);
	/* He may go for good, for he was none. */
	ck_assert_int_eq(set_state(ACTOR_ADMIN, 1, b, USER_REMOVED), 0);
	ck_assert_int_eq(set_role(ACTOR_ADMIN, 1, a, USER_OWNER), 0);
}
END_TEST

START_TEST(login_is_one_persons)
{
	create("olga", USER_VIEWER);
	ck_assert_int_eq(create_by(ACTOR_ADMIN, 1, SCOPES_SITE, "olga",
			     USER_VIEWER, NULL),
	    ERR_CONFLICT);
}
END_TEST

START_TEST(removed_user_is_forgotten_and_his_login_free)
{
	uint64_t user = create("olga", USER_VIEWER);

	ck_assert_int_eq(set_state(ACTOR_ADMIN, 1, user, USER_REMOVED), 0);
	ck_assert_uint_eq(login_of("olga").user, 0);
	ck_assert_int_eq(set_state(ACTOR_ADMIN, 1, user, USER_ACTIVE),
	    ERR_GONE);
	uint64_t other = create("olga", USER_VIEWER);

	ck_assert_uint_eq(other, user + 1);
	ck_assert_uint_eq(login_of("olga").user, other);
}
END_TEST

START_TEST(admin_resets_others_and_not_himself)
{
	uint64_t admin = create("anna", USER_ADMIN);

	ck_assert_int_eq(plain(LEDGER_USER_RESET, ACTOR_USER, admin, admin),
	    ERR_FORBIDDEN);
	ck_assert_int_eq(plain(LEDGER_USER_NO_TOTP, ACTOR_USER, admin, admin),
	    ERR_FORBIDDEN);
	ck_assert(!login_of("anna").one_time);
	ck_assert_int_eq(plain(LEDGER_USER_RESET, ACTOR_ADMIN, 1, admin), 0);
	ck_assert(login_of("anna").one_time);
}
END_TEST

/* --- himself ------------------------------------------------------------- */

static int
by_himself(uint32_t what, uint64_t user, uint64_t epoch, const char *code,
    struct command *command)
{
	struct ledger_user request = {
		.what = what,
		.user = user,
		.epoch = epoch,
		.hash = "$argon2id$changed",
	};

	memcpy(request.secret, secret, sizeof request.secret);
	snprintf(request.code, sizeof request.code, "%s", code);
	for (int i = 0; i < 10; i++)
		snprintf(request.recovery[i], sizeof request.recovery[i],
		    "aaaaa-bbbbb-cccc%c", '0' + i);
	return run(command, ACTOR_USER, user, &request);
}

static void
set_totp(const char *login)
{
	struct ledger_login found = login_of(login);
	struct command command;
	char code[8];

	ck_assert_int_eq(by_himself(LEDGER_USER_TOTP_BEGIN, found.user,
			     found.epoch, "", &command),
	    0);
	ck_assert(!login_of(login).totp);
	code_at(code, 0);
	ck_assert_int_eq(by_himself(LEDGER_USER_TOTP_CONFIRM, found.user, 0,
			     code, &command),
	    0);
	ck_assert(login_of(login).totp);
}

START_TEST(only_he_changes_his_password_and_by_the_one_that_was_checked)
{
	uint64_t user = create("olga", USER_VIEWER);
	uint64_t other = create("other", USER_OWNER);
	struct ledger_user request = {
		.what = LEDGER_USER_PASSWORD,
		.user = user,
		.epoch = login_of("olga").epoch,
		.hash = "$argon2id$changed",
	};
	struct command command;

	ck_assert_int_eq(run(&command, ACTOR_USER, other, &request),
	    ERR_FORBIDDEN);
	ck_assert_int_eq(run(&command, ACTOR_ADMIN, 1, &request),
	    ERR_FORBIDDEN);
	ck_assert_int_eq(run(&command, ACTOR_USER, user, &request), 0);
	ck_assert_str_eq(login_of("olga").hash, "$argon2id$changed");
	/* The old one was checked, and is no more. */
	ck_assert_int_eq(run(&command, ACTOR_USER, user, &request),
	    ERR_UNAUTHENTICATED);
}
END_TEST

START_TEST(login_that_was_changed_meanwhile_is_refused)
{
	uint64_t user = create("olga", USER_VIEWER);
	struct ledger_user request = {
		.what = LEDGER_USER_LOGIN,
		.user = user,
		.epoch = login_of("olga").epoch,
		.session = 1,
	};
	struct command command;

	ck_assert_int_eq(run(&command, ACTOR_SITE, 0, &request), 0);
	ck_assert_int_eq(set_role(ACTOR_ADMIN, 1, user, USER_AUDITOR), 0);
	ck_assert_int_eq(run(&command, ACTOR_SITE, 0, &request),
	    ERR_UNAUTHENTICATED);
	ck_assert_int_eq(log_in("olga", "", NULL), 0);
	ck_assert_int_eq(set_state(ACTOR_ADMIN, 1, user, USER_DISABLED), 0);
	ck_assert_int_eq(log_in("olga", "", NULL), ERR_UNAUTHENTICATED);
	ck_assert_int_eq(set_state(ACTOR_ADMIN, 1, user, USER_ACTIVE), 0);
	ck_assert_int_eq(log_in("olga", "", NULL), 0);
}
END_TEST

START_TEST(code_is_asked_for_and_good_once)
{
	char code[8];

	create("olga", USER_VIEWER);
	set_totp("olga");
	ck_assert_int_eq(log_in("olga", "", NULL), ERR_UNAUTHENTICATED);
	ck_assert_int_eq(log_in("olga", "000000", NULL), ERR_UNAUTHENTICATED);
	/* The one that confirmed it was used. */
	code_at(code, 0);
	ck_assert_int_eq(log_in("olga", code, NULL), ERR_UNAUTHENTICATED);
	world.now += 30000;
	code_at(code, 0);
	ck_assert_int_eq(log_in("olga", code, NULL), 0);
	ck_assert_int_eq(log_in("olga", code, NULL), ERR_UNAUTHENTICATED);
	world_reopen(&world);
	ck_assert_int_eq(log_in("olga", code, NULL), ERR_UNAUTHENTICATED);
	code_at(code, 1);
	ck_assert_int_eq(log_in("olga", code, NULL), 0);
}
END_TEST

START_TEST(recovery_code_is_good_once)
{
	struct ledger_login found;

	create("olga", USER_VIEWER);
	set_totp("olga");
	ck_assert_int_eq(log_in("olga", "aaaaa-bbbbb-cccc3", &found), 0);
	ck_assert_uint_eq(found.recovery, 9);
	ck_assert_int_eq(log_in("olga", "aaaaa-bbbbb-cccc3", NULL),
	    ERR_UNAUTHENTICATED);
	ck_assert_int_eq(log_in("olga", "AAAAA BBBBB CCCC0", &found), 0);
	ck_assert_uint_eq(found.recovery, 8);
	ck_assert_int_eq(log_in("olga", "aaaaa-bbbbb-ccccx", NULL),
	    ERR_UNAUTHENTICATED);
}
END_TEST

START_TEST(codes_of_one_are_no_codes_of_another)
{
	create("olga", USER_VIEWER);
	create("anna", USER_VIEWER);
	set_totp("olga");
	set_totp("anna");
	ck_assert_int_eq(log_in("olga", "aaaaa-bbbbb-cccc3", NULL), 0);
	ck_assert_int_eq(log_in("anna", "aaaaa-bbbbb-cccc3", NULL), 0);
}
END_TEST

START_TEST(second_factor_goes_by_code_or_by_an_admin)
{
	uint64_t user = create("olga", USER_VIEWER);
	struct command command;
	char code[8];

	set_totp("olga");
	ck_assert_int_eq(by_himself(LEDGER_USER_TOTP_BEGIN, user,
			     login_of("olga").epoch, "", &command),
	    ERR_CONFLICT);
	ck_assert_int_eq(by_himself(LEDGER_USER_TOTP_OFF, user,
			     login_of("olga").epoch, "000000", &command),
	    ERR_UNAUTHENTICATED);
	code_at(code, 1);
	ck_assert_int_eq(by_himself(LEDGER_USER_TOTP_OFF, user,
			     login_of("olga").epoch, code, &command),
	    0);
	ck_assert_int_eq(log_in("olga", "", NULL), 0);
	set_totp("olga");
	ck_assert_int_eq(plain(LEDGER_USER_NO_TOTP, ACTOR_ADMIN, 1, user), 0);
	ck_assert_int_eq(log_in("olga", "", NULL), 0);
}
END_TEST

START_TEST(nothing_is_confirmed_that_was_not_begun)
{
	uint64_t user = create("olga", USER_VIEWER);
	struct command command;
	char code[8];

	code_at(code, 0);
	ck_assert_int_eq(by_himself(LEDGER_USER_TOTP_CONFIRM, user, 0, code,
			     &command),
	    ERR_CONFLICT);
	ck_assert_int_eq(by_himself(LEDGER_USER_TOTP_BEGIN, user,
			     login_of("olga").epoch, "", &command),
	    0);
	ck_assert_int_eq(by_himself(LEDGER_USER_TOTP_CONFIRM, user, 0, "000000",
			     &command),
	    ERR_BAD_REQUEST);
	ck_assert(!login_of("olga").totp);
}
END_TEST

/* --- the directory ------------------------------------------------------- */

static int
from_directory(const char *login, uint32_t role, struct ledger_login *out)
{
	struct ledger_user request = {
		.what = LEDGER_USER_DIRECTORY,
		.role = role,
		.session = 1,
		.name = "From there",
	};
	struct command command;

	snprintf(request.login, sizeof request.login, "%s", login);
	int err = run(&command, ACTOR_SITE, 0, &request);

	if (out != NULL)
		*out = command.reply.login;
	return err;
}

START_TEST(directory_makes_and_moves_its_own_and_no_owners)
{
	struct ledger_login found;

	ck_assert_int_eq(from_directory("dora", USER_VIEWER, &found), 0);
	ck_assert_uint_eq(found.source, USER_DIRECTORY);
	uint64_t user = found.user, epoch = found.epoch;

	ck_assert_int_eq(from_directory("dora", USER_VIEWER, &found), 0);
	ck_assert_uint_eq(found.user, user);
	ck_assert_uint_eq(found.epoch, epoch);
	ck_assert_int_eq(from_directory("dora", USER_OPERATOR, &found), 0);
	ck_assert_uint_eq(found.role, USER_OPERATOR);
	ck_assert_uint_gt(found.epoch, epoch);
	ck_assert_int_eq(from_directory("dora", USER_OWNER, NULL),
	    ERR_FORBIDDEN);
	ck_assert_int_eq(set_role(ACTOR_ADMIN, 1, user, USER_ADMIN),
	    ERR_CONFLICT);
	ck_assert_int_eq(plain(LEDGER_USER_RESET, ACTOR_ADMIN, 1, user),
	    ERR_CONFLICT);
	/* Who is shut out here stays so, whatever it says. */
	ck_assert_int_eq(set_state(ACTOR_ADMIN, 1, user, USER_DISABLED), 0);
	ck_assert_int_eq(from_directory("dora", USER_ADMIN, NULL),
	    ERR_UNAUTHENTICATED);
	ck_assert_uint_eq(login_of("dora").role, USER_OPERATOR);
}
END_TEST

START_TEST(directory_does_not_take_over_a_local_user)
{
	create("olga", USER_OWNER);
	ck_assert_int_eq(from_directory("olga", USER_VIEWER, NULL),
	    ERR_UNAUTHENTICATED);
	ck_assert_uint_eq(login_of("olga").role, USER_OWNER);
	ck_assert_uint_eq(login_of("olga").source, USER_LOCAL);
}
END_TEST

/* --- what stands where --------------------------------------------------- */

static int
look_for_names(void *ctx, const struct record_span *blob)
{
	static const char *const names[] = { "olga", "Name of", "example.com",
		"argon2id", "12345678901234567890" };

	(void)ctx;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		ck_assert_ptr_null(
		    memmem(blob->data, blob->len, names[i], strlen(names[i])));
	return 0;
}

START_TEST(journal_names_nobody_and_folds_to_the_same)
{
	struct batch_query query = { .limit = 1000 };
	struct batch_page page = { 0 };
	struct arena arena = { 0 };
	struct problem problem;
	struct ledger_view *view;
	char copy[160];
	uint64_t user = create("olga", USER_OWNER);

	create("anna", USER_OWNER);
	set_totp("olga");
	ck_assert_int_eq(log_in("olga", "aaaaa-bbbbb-cccc3", NULL), 0);
	ck_assert_int_eq(set_role(ACTOR_ADMIN, 1, user, USER_VIEWER), 0);
	ck_assert_int_eq(set_state(ACTOR_ADMIN, 1, user, USER_REMOVED), 0);
	ck_assert_int_eq(ledger_view_open(&view, world.ledger), 0);
	ck_assert_int_eq(ledger_query(&page, view, OP_JOURNAL_BATCHES, &query,
			     world.now, &arena, &problem),
	    0);
	const struct batch_item *items = page.items.items;

	ck_assert_uint_gt(page.items.count, 6);
	for (uint32_t i = 0; i < page.items.count; i++)
		look_for_names(NULL, &items[i].blob);
	snprintf(copy, sizeof copy, "%s/copy", world.dir);
	struct ledger_options to = world.options;

	to.path = copy;
	ck_assert_int_eq(ledger_refold(view, &to), 0);
	ledger_view_close(view);
	arena_release(&arena);
	/* The copy knows her whom nobody removed. */
	ledger_close(world.ledger);
	ck_assert_int_eq(ledger_open(&world.ledger, &to), 0);
	ck_assert_uint_eq(login_of("anna").user, 2);
	ck_assert_int_eq(log_in("anna", "", NULL), 0);
	ledger_close(world.ledger);
	world_remove(copy);
	world_open(&world);
}
END_TEST

Suite *
suite(void)
{
	Suite *suite = suite_create("users");
	TCase *tcase = tcase_create("users");

	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, nobody_gives_a_role_above_his_own);
	tcase_add_test(tcase, nobody_touches_who_has_a_role_above_his_own);
	tcase_add_test(tcase, who_was_disabled_gives_nothing_any_more);
	tcase_add_test(tcase, key_gives_roles_whose_scopes_it_has);
	tcase_add_test(tcase, key_has_no_rank_above_who_made_it);
	tcase_add_test(tcase, turned_key_has_the_rank_of_who_turned_it);
	tcase_add_test(tcase, device_and_site_make_no_users);
	tcase_add_test(tcase, last_owner_stays);
	tcase_add_test(tcase, login_is_one_persons);
	tcase_add_test(tcase, removed_user_is_forgotten_and_his_login_free);
	tcase_add_test(tcase, admin_resets_others_and_not_himself);
	tcase_add_test(tcase,
	    only_he_changes_his_password_and_by_the_one_that_was_checked);
	tcase_add_test(tcase, login_that_was_changed_meanwhile_is_refused);
	tcase_add_test(tcase, code_is_asked_for_and_good_once);
	tcase_add_test(tcase, recovery_code_is_good_once);
	tcase_add_test(tcase, codes_of_one_are_no_codes_of_another);
	tcase_add_test(tcase, second_factor_goes_by_code_or_by_an_admin);
	tcase_add_test(tcase, nothing_is_confirmed_that_was_not_begun);
	tcase_add_test(tcase, directory_makes_and_moves_its_own_and_no_owners);
	tcase_add_test(tcase, directory_does_not_take_over_a_local_user);
	tcase_add_test(tcase, journal_names_nobody_and_folds_to_the_same);
	suite_add_tcase(suite, tcase);
	return suite;
}
