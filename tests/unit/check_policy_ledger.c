/* A policy in a ledger: what it grants and refuses, through changes, faults,
 * restarts, and the erasure of people whom it names. */
#include "appliance/ledger/core.h"
#include "tests/unit/ledger_world.h"
#include "tests/unit/suite.h"

#define PRODUCT "davinci"

static struct world world;
static uint64_t device;

static void
setup(void)
{
	world_init(&world, 91);
	struct license license = world_license(&world, PRODUCT, 4, 0);

	ck_assert_int_eq(world_install(&world, &license), 0);
	device = world_device(&world, "ws-1");
}

static void
teardown(void)
{
	world_check_folded(&world);
	world_free(&world);
}

/* --- words ------------------------------------------------------------------ */

static int
put_after(uint64_t follows, const char *json, struct problem *problem)
{
	struct policy_put put = { .follows = follows };
	struct record_error error = { .reason = "" };
	struct arena arena = { 0 };

	ck_assert_msg(record_read_json(&put.policy, &policy_document_record,
			  json, strlen(json), &arena, &error) == 0,
	    "%s %s", error.field, error.reason);
	struct command command =
	    world_command(&world, OP_POLICY_PUT, ACTOR_ADMIN, 1, &put);
	int err = world_do(&world, &command);

	if (problem != NULL)
		*problem = command.problem;
	arena_release(&command.arena);
	arena_release(&arena);
	return err;
}

static void
set(const char *json)
{
	ck_assert_int_eq(put_after(0, json, NULL), 0);
}

/* A rule about the product. */
static void
set_rule(const char *rule)
{
	char json[512];

	snprintf(json, sizeof json,
	    "{\"groups\":[{\"name\":\"g\",\"users\":[\"ann\",\"bob\"]}],"
	    "\"rules\":[{\"name\":\"r\",\"product\":\"" PRODUCT "\",%s}]}",
	    rule);
	set(json);
}

/* A lease, or 0 and why not. */
static uint64_t
ask(const char *user, int *err)
{
	struct checkout checkout = world_checkout_body(&world, PRODUCT, user);
	struct command command;

	*err = world_checkout(&world, &command, device, &checkout);
	uint64_t lease = *err == 0 ? command.reply.checkout.lease : 0;

	if (*err == ERR_EXCLUDED || *err == ERR_POLICY_MAX ||
	    *err == ERR_RESERVED)
		ck_assert_msg(strstr(command.problem.hint, "the rule is r") !=
			NULL,
		    "%s", command.problem.hint);
	arena_release(&command.arena);
	return lease;
}

static int
refusal(const char *user)
{
	int err;
	uint64_t lease = ask(user, &err);

	if (lease != 0)
		ck_assert_int_eq(world_return(&world, device, lease), 0);
	return err;
}

static uint64_t
hold(const char *user)
{
	int err;
	uint64_t lease = ask(user, &err);

	ck_assert_int_eq(err, 0);
	return lease;
}

static void
give(uint64_t lease)
{
	ck_assert_int_eq(world_return(&world, device, lease), 0);
}

static int
look(void *reply, uint32_t op, const void *request, struct arena *arena)
{
	struct ledger_view *view;
	struct problem problem;

	ck_assert_int_eq(ledger_view_open(&view, world.ledger), 0);
	int err =
	    ledger_query(reply, view, op, request, world.now, arena, &problem);

	ledger_view_close(view);
	return err;
}

/* --- rules ------------------------------------------------------------------ */

START_TEST(a_policy_decides_from_its_commit_on_and_takes_nothing)
{
	uint64_t lease = hold("carl");

	set_rule("\"kind\":\"include\",\"groups\":[\"g\"]");
	ck_assert_int_eq(refusal("carl"), ERR_EXCLUDED);
	ck_assert_int_eq(refusal("ann"), 0);
	give(lease);
	set("{}");
	ck_assert_int_eq(refusal("carl"), 0);
}
END_TEST

START_TEST(a_maximum_counts_what_was_held_before_it)
{
	uint64_t first = hold("ann"), second = hold("ann");

	set_rule("\"kind\":\"max\",\"seats\":2,\"each\":\"user\"");
	ck_assert_int_eq(refusal("ann"), ERR_POLICY_MAX);
	ck_assert_int_eq(refusal("bob"), 0);
	give(first);
	ck_assert_int_eq(refusal("ann"), 0);
	first = hold("ann");
	set_rule("\"kind\":\"max\",\"seats\":1,\"each\":\"user\"");
	give(first);
	ck_assert_int_eq(refusal("ann"), ERR_POLICY_MAX);
	give(second);
	ck_assert_int_eq(refusal("ann"), 0);
}
END_TEST

START_TEST(more_than_a_maximum_ever_allows_is_not_waited_for)
{
	struct checkout checkout = world_checkout_body(&world, PRODUCT, "ann");
	struct command command;

	set_rule("\"kind\":\"max\",\"seats\":2,\"each\":\"user\"");
	checkout.count = 3;
	ck_assert_int_eq(world_checkout(&world, &command, device, &checkout),
	    ERR_MAX_REACHED);
	arena_release(&command.arena);
}
END_TEST

START_TEST(reserved_seats_are_given_to_members_alone)
{
	set_rule("\"kind\":\"reserve\",\"seats\":2,\"groups\":[\"g\"]");
	uint64_t first = hold("carl"), second = hold("dora");

	ck_assert_int_eq(refusal("eve"), ERR_RESERVED);
	uint64_t third = hold("ann");

	ck_assert_int_eq(refusal("eve"), ERR_RESERVED);
	hold("bob");
	ck_assert_int_eq(refusal("ann"), ERR_NO_SEATS);
	give(third);
	ck_assert_int_eq(refusal("eve"), ERR_RESERVED);
	give(first);
	ck_assert_int_eq(refusal("eve"), 0);
	give(second);
	ck_assert_int_eq(refusal("eve"), 0);
}
END_TEST

START_TEST(a_seat_that_lingers_is_free_when_its_time_is_over)
{
	set_rule("\"kind\":\"linger\",\"linger_s\":60,\"groups\":[\"g\"]");
	uint64_t ann = hold("ann");

	for (int i = 0; i < 3; i++)
		hold("carl");
	give(ann);
	ck_assert_int_eq(refusal("carl"), ERR_NO_SEATS);
	world.now += 59999;
	ck_assert_int_eq(refusal("carl"), ERR_NO_SEATS);
	world.now += 1;
	ck_assert_int_eq(refusal("carl"), 0);
	/* He is in no group: it is free at once. */
	ck_assert_int_eq(refusal("carl"), 0);
}
END_TEST

START_TEST(a_retry_gets_its_lease_whatever_the_policy_says_by_now)
{
	struct checkout checkout = world_checkout_body(&world, PRODUCT, "carl");
	struct command command;

	ck_assert_int_eq(world_checkout(&world, &command, device, &checkout),
	    0);
	uint64_t lease = command.reply.checkout.lease;

	arena_release(&command.arena);
	set_rule("\"kind\":\"exclude\",\"users\":[\"carl\"]");
	ck_assert_int_eq(world_checkout(&world, &command, device, &checkout),
	    0);
	ck_assert_uint_eq(command.reply.checkout.lease, lease);
	arena_release(&command.arena);
}
END_TEST

/* --- versions ----------------------------------------------------------------- */

START_TEST(versions_count_and_are_kept)
{
	struct policy_query query = { .after = 0 };
	struct policy_version version = { 1 };
	struct policy_page page;
	struct policy_view view;
	struct arena arena = { 0 };

	ck_assert_int_eq(look(&view, OP_POLICY_SHOW, &version, &arena), 0);
	ck_assert_uint_eq(view.summary.version, 0);
	set_rule("\"kind\":\"exclude\",\"users\":[\"carl\"]");
	set("{\"comment\":\"none\"}");
	ck_assert_int_eq(look(&view, OP_POLICY_SHOW, &version, &arena), 0);
	ck_assert_uint_eq(view.summary.version, 2);
	ck_assert_str_eq(view.policy.comment, "none");
	ck_assert_int_eq(look(&view, OP_POLICY_VERSION, &version, &arena), 0);
	ck_assert_uint_eq(view.summary.version, 1);
	ck_assert_uint_eq(view.summary.members, 3);
	ck_assert(!view.summary.in_force);
	ck_assert_uint_eq(view.policy.rules.count, 1);
	version.version = 3;
	ck_assert_int_eq(look(&view, OP_POLICY_VERSION, &version, &arena),
	    ERR_NOT_FOUND);
	query.limit = 1;
	ck_assert_int_eq(look(&page, OP_POLICY_LIST, &query, &arena), 0);
	ck_assert_uint_eq(page.items.count, 1);
	ck_assert_uint_eq(((struct policy_summary *)page.items.items)[0]
			      .version,
	    2);
	query.after = page.next;
	ck_assert_int_eq(look(&page, OP_POLICY_LIST, &query, &arena), 0);
	ck_assert_uint_eq(page.items.count, 1);
	ck_assert_uint_eq(((struct policy_summary *)page.items.items)[0]
			      .version,
	    1);
	ck_assert_uint_eq(page.next, 0);
	arena_release(&arena);
}
END_TEST

START_TEST(old_documents_go_and_their_rows_stay)
{
	struct policy_version version = { 1 };
	struct policy_view view;
	struct arena arena = { 0 };

	for (int i = 0; i <= POLICY_TEXTS_KEPT; i++)
		set("{}");
	ck_assert_int_eq(look(&view, OP_POLICY_VERSION, &version, &arena),
	    ERR_GONE);
	version.version = 2;
	ck_assert_int_eq(look(&view, OP_POLICY_VERSION, &version, &arena), 0);
	arena_release(&arena);
}
END_TEST

START_TEST(who_looked_at_another_version_is_told)
{
	struct problem problem;

	ck_assert_int_eq(put_after(1, "{}", &problem), ERR_CONFLICT);
	ck_assert_str_eq(problem.field, "follows");
	set("{}");
	ck_assert_int_eq(put_after(1, "{}", NULL), 0);
	ck_assert_int_eq(put_after(1, "{}", NULL), ERR_CONFLICT);
}
END_TEST

START_TEST(what_does_not_hold_changes_nothing)
{
	struct problem problem;

	set_rule("\"kind\":\"exclude\",\"users\":[\"carl\"]");
	ck_assert_int_eq(put_after(0,
			     "{\"rules\":[{\"name\":\"a\",\"kind\":\"max\"}]}",
			     &problem),
	    ERR_BAD_REQUEST);
	ck_assert_str_eq(problem.field, "policy.rules[0].seats");
	ck_assert_int_eq(refusal("carl"), ERR_EXCLUDED);
}
END_TEST

/* --- faults and restarts -------------------------------------------------------- */

START_TEST(a_restart_counts_what_is_held)
{
	set_rule("\"kind\":\"max\",\"seats\":2,\"groups\":[\"g\"]");
	uint64_t lease = hold("ann");

	hold("bob");
	world_reopen(&world);
	ck_assert_int_eq(refusal("bob"), ERR_POLICY_MAX);
	give(lease);
	ck_assert_int_eq(refusal("bob"), 0);
}
END_TEST

START_TEST(a_batch_given_up_counts_nothing)
{
	static const char *const steps[] = { "fold", "append", "commit" };
	int err;

	set_rule("\"kind\":\"max\",\"seats\":1,\"groups\":[\"g\"]");
	for (size_t i = 0; i < 3; i++) {
		world.fault_step = steps[i];
		world.fault_err = ERR_FULL;
		ck_assert_uint_eq(ask("ann", &err), 0);
		ck_assert_int_eq(err, ERR_FULL);
		ck_assert_int_eq(refusal("ann"), 0);
	}
	uint64_t lease = hold("ann");

	world.fault_step = "commit";
	ck_assert_int_eq(world_return(&world, device, lease), ERR_FULL);
	ck_assert_int_eq(refusal("bob"), ERR_POLICY_MAX);
	give(lease);
	ck_assert_int_eq(refusal("bob"), 0);
}
END_TEST

START_TEST(a_policy_given_up_was_never_in_force)
{
	static const char *const steps[] = { "fold", "append", "commit" };

	set_rule("\"kind\":\"exclude\",\"users\":[\"carl\"]");
	for (size_t i = 0; i < 3; i++) {
		world.fault_step = steps[i];
		world.fault_err = ERR_FULL;
		ck_assert_int_eq(put_after(0, "{}", NULL), ERR_FULL);
		ck_assert_int_eq(refusal("carl"), ERR_EXCLUDED);
	}
	ck_assert_int_eq(put_after(1, "{}", NULL), 0);
	ck_assert_int_eq(refusal("carl"), 0);
}
END_TEST

START_TEST(leases_of_the_same_batch_are_counted)
{
	struct checkout first = world_checkout_body(&world, PRODUCT, "ann"),
			second = world_checkout_body(&world, PRODUCT, "ann");
	struct policy_rule rule = { .name = "r",
		.kind = POLICY_MAX,
		.each = POLICY_EACH_USER,
		.seats = 1 };
	struct policy_put put = { .policy.rules = { &rule, 1 } };
	struct command commands[3] = {
		world_command(&world, OP_LEASE_CHECKOUT, ACTOR_DEVICE, device,
		    &first),
		world_command(&world, OP_POLICY_PUT, ACTOR_ADMIN, 1, &put),
		world_command(&world, OP_LEASE_CHECKOUT, ACTOR_DEVICE, device,
		    &second),
	};
	struct command *batch[3] = { &commands[0], &commands[1], &commands[2] };

	ck_assert_int_eq(ledger_commit(world.ledger, batch, 3, world.now, NULL),
	    0);
	ck_assert_int_eq(commands[0].err, 0);
	ck_assert_int_eq(commands[1].err, 0);
	ck_assert_int_eq(commands[2].err, ERR_POLICY_MAX);
	for (int i = 0; i < 3; i++)
		arena_release(&commands[i].arena);
}
END_TEST

/* --- people ----------------------------------------------------------------------- */

static int
erase(const char *name)
{
	struct person_erase request = { .force = true };
	struct command command;

	snprintf(request.name, sizeof request.name, "%s", name);
	command =
	    world_command(&world, OP_PERSON_ERASE, ACTOR_ADMIN, 1, &request);
	int err = world_do(&world, &command);

	arena_release(&command.arena);
	return err;
}

START_TEST(who_is_erased_stands_in_no_version)
{
	struct policy_version version = { 1 };
	struct policy_view view;
	struct arena arena = { 0 };

	set_rule("\"kind\":\"exclude\",\"users\":[\"carl\",\"Ann\"]");
	set_rule("\"kind\":\"include\",\"users\":[\"carl\"]");
	ck_assert_int_eq(refusal("carl"), 0);
	ck_assert_int_eq(erase("carl"), 0);
	for (; version.version <= 2; version.version++) {
		ck_assert_int_eq(look(&view, OP_POLICY_VERSION, &version,
				     &arena),
		    0);
		const struct policy_rule *rule = view.policy.rules.items;
		const struct policy_user *users = rule->users.items;

		ck_assert_str_eq(users[0].user, POLICY_ERASED);
		ck_assert(rule->users.count == 1 ||
		    strcmp(users[1].user, "Ann") == 0);
	}
	/* Nobody is let in in his place, before a restart as after it. */
	ck_assert_int_eq(refusal("carl"), ERR_EXCLUDED);
	world_reopen(&world);
	ck_assert_int_eq(refusal("carl"), ERR_EXCLUDED);
	ck_assert_int_eq(refusal(POLICY_ERASED), ERR_EXCLUDED);
	arena_release(&arena);
}
END_TEST

START_TEST(who_stands_in_a_policy_alone_is_erased_too)
{
	set_rule("\"kind\":\"exclude\",\"users\":[\"carl\"]");
	ck_assert_int_eq(erase("dora"), ERR_NOT_FOUND);
	ck_assert_int_eq(erase("carl"), 0);
	ck_assert_int_eq(erase("carl"), ERR_NOT_FOUND);
	ck_assert_int_eq(refusal("carl"), 0);
}
END_TEST

START_TEST(an_erased_holder_counts_for_all_and_for_no_group)
{
	set_rule("\"kind\":\"max\",\"seats\":2");
	hold("ann");
	hold("carl");
	ck_assert_int_eq(erase("carl"), 0);
	ck_assert_int_eq(refusal("ann"), ERR_POLICY_MAX);
	set_rule("\"kind\":\"max\",\"seats\":2,\"groups\":[\"g\"]");
	ck_assert_int_eq(refusal("bob"), 0);
}
END_TEST

Suite *
suite(void)
{
	Suite *s = suite_create("policy_ledger");
	TCase *t = tcase_create("policy_ledger");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 120);
	tcase_add_test(t,
	    a_policy_decides_from_its_commit_on_and_takes_nothing);
	tcase_add_test(t, a_maximum_counts_what_was_held_before_it);
	tcase_add_test(t, more_than_a_maximum_ever_allows_is_not_waited_for);
	tcase_add_test(t, reserved_seats_are_given_to_members_alone);
	tcase_add_test(t, a_seat_that_lingers_is_free_when_its_time_is_over);
	tcase_add_test(t,
	    a_retry_gets_its_lease_whatever_the_policy_says_by_now);
	tcase_add_test(t, versions_count_and_are_kept);
	tcase_add_test(t, old_documents_go_and_their_rows_stay);
	tcase_add_test(t, who_looked_at_another_version_is_told);
	tcase_add_test(t, what_does_not_hold_changes_nothing);
	tcase_add_test(t, a_restart_counts_what_is_held);
	tcase_add_test(t, a_batch_given_up_counts_nothing);
	tcase_add_test(t, a_policy_given_up_was_never_in_force);
	tcase_add_test(t, leases_of_the_same_batch_are_counted);
	tcase_add_test(t, who_is_erased_stands_in_no_version);
	tcase_add_test(t, who_stands_in_a_policy_alone_is_erased_too);
	tcase_add_test(t, an_erased_holder_counts_for_all_and_for_no_group);
	suite_add_tcase(s, t);
	return s;
}
