/* What a tenant may have, in the ledger's core: at the exact boundary, many at
 * once, raised and lowered, after what failed, and after a refold. */
#include "appliance/ledger/ledger_key.h"
#include "appliance/ledger/ledger_tenant.h"
#include "tests/unit/ledger_world.h"
#include "tests/unit/suite.h"

static struct world world;

static void
set_up(void)
{
	world_init(&world, 91);
}

static void
tear_down(void)
{
	world_check_folded(&world);
	world_free(&world);
}

static uint64_t
rows(void)
{
	struct ledger_view *view;
	struct journal_header header;
	struct record_span token;
	struct arena arena = { 0 };
	uint8_t head[32];

	ck_assert_int_eq(ledger_view_open(&view, world.ledger), 0);
	ck_assert_int_eq(ledger_newest(&header, head, &token, view, &arena), 0);
	ledger_view_close(view);
	arena_release(&arena);
	return header.first_row + header.rows - 1;
}

static struct ledger_tenant_facts
facts(void)
{
	struct ledger_tenant_facts out;
	struct ledger_view *view;

	ck_assert_int_eq(ledger_view_open(&view, world.ledger), 0);
	ck_assert_int_eq(ledger_tenant_facts(&out, view), 0);
	ledger_view_close(view);
	return out;
}

static int
change(uint64_t revision, bool suspended, struct row_limits limits,
    const char *reason)
{
	struct ledger_tenant_change request = {
		.row = { .revision = revision,
		    .at = world.now,
		    .suspended = suspended,
		    .limits = limits,
		    .by = { ACTOR_ADMIN, 1 } },
	};

	snprintf(request.reason, sizeof request.reason, "%s", reason);
	struct command command =
	    world_command(&world, LEDGER_TENANT, ACTOR_ADMIN, 1, &request);
	int err = world_do(&world, &command);

	arena_release(&command.arena);
	return err;
}

static void
limit_to(struct row_limits limits)
{
	ck_assert_int_eq(change(facts().revision + 1, false, limits, ""), 0);
}

/* --- one more of each --------------------------------------------------------- */

#define MANY 16
enum kind { DEVICE, KEY, USER, KINDS };
static const char *const fields[] = { "devices", "keys", "users" };

/* Room for the requests of one batch. */
struct more {
	struct command command;
	uint8_t public_key[32], hash[32];
	struct enroll enroll;
	struct ledger_key_create key;
	struct ledger_user user;
};

static void
fill(struct more *more, enum kind kind, const struct buf *token)
{
	static unsigned int n;
	const void *request = &more->enroll;
	uint32_t op = OP_DEVICE_ENROLL, by = ACTOR_DEVICE;

	memset(more, 0, sizeof *more);
	world_random(&world, more->public_key, 32);
	more->enroll = (struct enroll){
		.join = { token->data, (uint32_t)token->len },
		.class_ = PROOF_SOFTWARE,
		.public_key = { more->public_key, 32 },
		.proof = { .class_ = PROOF_SOFTWARE, .counter = 1 },
	};
	snprintf(more->enroll.name, sizeof more->enroll.name, "ws-%u", ++n);
	snprintf(more->enroll.host, sizeof more->enroll.host, "ws-%u", n);
	world_random(&world, more->key.hash, 32);
	more->key.document = (struct record_span){ "document", 8 };
	snprintf(more->key.name, sizeof more->key.name, "key %u", n);
	more->user.what = LEDGER_USER_CREATE;
	more->user.role = USER_VIEWER;
	more->user.scopes = SCOPES_SITE;
	snprintf(more->user.login, sizeof more->user.login, "user%u", n);
	snprintf(more->user.hash, sizeof more->user.hash, "$argon2id$x");
	if (kind == KEY) {
		request = &more->key;
		op = LEDGER_KEY_CREATE;
		by = ACTOR_ADMIN;
	} else if (kind == USER) {
		request = &more->user;
		op = LEDGER_USER;
		by = ACTOR_ADMIN;
	}
	more->command =
	    world_command(&world, op, by, by == ACTOR_ADMIN, request);
}

/* So many in one commit; how many were let in. The last one's number. */
static uint32_t
add(enum kind kind, uint32_t n, uint64_t *number)
{
	static struct more more[MANY];
	struct command *commands[MANY];
	struct buf token = { 0 };
	uint32_t in = 0;

	ck_assert_uint_le(n, MANY);
	ck_assert_int_eq(world_join(&world, &token, MANY, 3600), 0);
	for (uint32_t i = 0; i < n; i++) {
		fill(&more[i], kind, &token);
		commands[i] = &more[i].command;
	}
	ck_assert_int_eq(ledger_commit(world.ledger, commands, n, world.now,
			     NULL),
	    0);
	for (uint32_t i = 0; i < n; i++) {
		struct command *command = &more[i].command;

		if (command->err == 0 && number != NULL)
			*number = kind == DEVICE ? command->reply.enroll.device
			    : kind == KEY
			    ? command->reply.key.device
			    : command->reply.user_created.user.user;
		if (command->err != 0) {
			ck_assert_int_eq(command->err, ERR_QUOTA_EXCEEDED);
			ck_assert_str_eq(command->problem.field, fields[kind]);
			ck_assert_ptr_nonnull(
			    strstr(command->problem.hint, "tenant set"));
		}
		in += command->err == 0;
		arena_release(&command->arena);
	}
	buf_release(&token);
	return in;
}

static void
take_away(enum kind kind, uint64_t number)
{
	struct device_revoke revoke = { .device = number };
	struct ledger_user user = {
		.what = LEDGER_USER_STATE,
		.user = number,
		.state = USER_REMOVED,
		.scopes = SCOPES_SITE,
	};
	struct command command = kind == USER
	    ? world_command(&world, LEDGER_USER, ACTOR_ADMIN, 1, &user)
	    : world_command(&world, OP_DEVICE_REVOKE, ACTOR_ADMIN, 1, &revoke);

	ck_assert_int_eq(world_do(&world, &command), 0);
	arena_release(&command.arena);
}

static struct row_limits
only(enum kind kind, uint32_t most)
{
	return (struct row_limits){
		.devices = kind == DEVICE ? most : 0,
		.keys = kind == KEY ? most : 0,
		.users = kind == USER ? most : 0,
	};
}

/* --- the limits ----------------------------------------------------------------- */

START_TEST(no_more_than_the_limit_gets_in_whether_one_by_one_or_at_once)
{
	enum kind kind = (enum kind)_i;

	limit_to(only(kind, 3));
	for (int i = 0; i < 3; i++)
		ck_assert_uint_eq(add(kind, 1, NULL), 1);
	uint64_t before = rows();

	ck_assert_uint_eq(add(kind, 1, NULL), 0);
	ck_assert_uint_eq(rows(), before + 1); /* a token's */
	/* Many at once in one commit. */
	limit_to(only(kind, 7));
	ck_assert_uint_eq(add(kind, MANY, NULL), 4);
	ck_assert_uint_eq(add(kind, MANY, NULL), 0);
}
END_TEST

START_TEST(a_limit_is_of_its_own_kind_alone)
{
	limit_to((struct row_limits){ .devices = 1, .keys = 1, .users = 1 });
	for (int kind = 0; kind < KINDS; kind++) {
		ck_assert_uint_eq(add((enum kind)kind, 2, NULL), 1);
		ck_assert_uint_eq(add((enum kind)kind, 2, NULL), 0);
	}
	limit_to((struct row_limits){ .keys = 1 });
	ck_assert_uint_eq(add(DEVICE, 5, NULL), 5);
	ck_assert_uint_eq(add(USER, 5, NULL), 5);
	ck_assert_uint_eq(add(KEY, 5, NULL), 0);
}
END_TEST

START_TEST(who_goes_makes_room_for_one_and_no_more)
{
	enum kind kind = (enum kind)_i;
	uint64_t first = 0, second = 0;

	limit_to(only(kind, 2));
	ck_assert_uint_eq(add(kind, 1, &first), 1);
	ck_assert_uint_eq(add(kind, 1, &second), 1);
	for (int turn = 0; turn < 3; turn++) {
		ck_assert_uint_eq(add(kind, 2, NULL), 0);
		take_away(kind, first);
		ck_assert_uint_eq(add(kind, 3, &first), 1);
	}
	/* Those that are gone do not come back with a restart. */
	world_reopen(&world);
	ck_assert_uint_eq(add(kind, 1, NULL), 0);
}
END_TEST

START_TEST(a_lowered_limit_takes_nothing_and_lets_nobody_in_until_it_is_raised)
{
	enum kind kind = (enum kind)_i;
	uint64_t last = 0;

	ck_assert_uint_eq(add(kind, 5, &last), 5);
	limit_to(only(kind, 2));
	ck_assert_uint_eq(add(kind, 1, NULL), 0);
	take_away(kind, last);
	ck_assert_uint_eq(add(kind, 1, NULL), 0); /* there are four */
	limit_to(only(kind, 4));
	ck_assert_uint_eq(add(kind, 1, NULL), 0);
	limit_to(only(kind, 5));
	ck_assert_uint_eq(add(kind, 2, NULL), 1);
	limit_to(only(kind, 0));
	ck_assert_uint_eq(add(kind, MANY, NULL), MANY);
}
END_TEST

START_TEST(what_a_failed_commit_let_in_does_not_count)
{
	static const char *const steps[] = { "append", "commit" };
	enum kind kind = (enum kind)(_i / 2);
	struct buf token = { 0 };
	struct more more;
	struct command *command = &more.command;

	limit_to(only(kind, 2));
	ck_assert_uint_eq(add(kind, 1, NULL), 1);
	ck_assert_int_eq(world_join(&world, &token, 1, 3600), 0);
	fill(&more, kind, &token);
	world.fault_step = steps[_i % 2];
	world.fault_err = ERR_IO;
	ck_assert_int_eq(ledger_commit(world.ledger, &command, 1, world.now,
			     NULL),
	    ERR_IO);
	arena_release(&command->arena);
	buf_release(&token);
	ck_assert_uint_eq(add(kind, 3, NULL), 1);
}
END_TEST

START_TEST(a_device_that_enrolls_again_counts_once)
{
	struct buf token = { 0 };
	struct command command;
	uint8_t key[32] = { 5 };

	limit_to(only(DEVICE, 2));
	for (int i = 0; i < 4; i++) {
		ck_assert_int_eq(world_join(&world, &token, 1, 3600), 0);
		ck_assert_int_eq(world_enroll_as(&world, &command, &token, "ws",
				     "ws", key, PROOF_SOFTWARE),
		    0);
		buf_clear(&token);
	}
	buf_release(&token);
	ck_assert_uint_eq(add(DEVICE, 3, NULL), 1);
}
END_TEST

/* --- the row ---------------------------------------------------------------------- */

START_TEST(each_revision_is_journaled_once_and_in_its_order)
{
	struct row_limits limits = { .keys = 4, .calls_per_day = 99 };

	ck_assert_uint_eq(facts().revision, 0);
	ck_assert_int_eq(change(3, true, limits, "unpaid since May"), 0);
	uint64_t after = rows();

	ck_assert_uint_eq(facts().revision, 3);
	ck_assert(facts().suspended);
	ck_assert_uint_eq(facts().limits.keys, 4);
	ck_assert_uint_eq(facts().limits.calls_per_day, 99);
	/* Said again, after a crash, or late: it is there already. */
	ck_assert_int_eq(change(3, true, limits, "unpaid since May"), 0);
	ck_assert_int_eq(change(2, false, limits, ""), 0);
	ck_assert_uint_eq(rows(), after);
	ck_assert_int_eq(change(4, false, limits, ""), 0);
	ck_assert_uint_eq(rows(), after + 1);
	ck_assert(!facts().suspended);
	world_reopen(&world);
	ck_assert_uint_eq(facts().revision, 4);
}
END_TEST

START_TEST(a_reason_stands_in_no_row)
{
	static const char words[] = "Erika Mustermann has not paid";
	char path[160], text[4096];
	size_t n, kept = 0;

	ck_assert_int_eq(change(1, true, (struct row_limits){ 0 }, words), 0);
	snprintf(path, sizeof path, "%s/data.mdb", world.path);
	FILE *file = fopen(path, "r");

	ck_assert_ptr_nonnull(file);
	while ((n = fread(text + kept, 1, sizeof text - kept, file)) > 0) {
		n += kept;
		ck_assert_ptr_null(memmem(text, n, words, sizeof words - 1));
		kept = n < sizeof words ? n : sizeof words;
		memmove(text, text + n - kept, kept);
	}
	fclose(file);
}
END_TEST

Suite *
suite(void)
{
	Suite *s = suite_create("limits");
	TCase *tc = tcase_create("limits");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_loop_test(tc,
	    no_more_than_the_limit_gets_in_whether_one_by_one_or_at_once, 0,
	    KINDS);
	tcase_add_test(tc, a_limit_is_of_its_own_kind_alone);
	tcase_add_loop_test(tc, who_goes_makes_room_for_one_and_no_more, 0,
	    KINDS);
	tcase_add_loop_test(tc,
	    a_lowered_limit_takes_nothing_and_lets_nobody_in_until_it_is_raised,
	    0, KINDS);
	tcase_add_loop_test(tc, what_a_failed_commit_let_in_does_not_count, 0,
	    2 * KINDS);
	tcase_add_test(tc, a_device_that_enrolls_again_counts_once);
	tcase_add_test(tc, each_revision_is_journaled_once_and_in_its_order);
	tcase_add_test(tc, a_reason_stands_in_no_row);
	suite_add_tcase(s, tc);
	return s;
}
