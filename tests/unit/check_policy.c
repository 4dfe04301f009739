/* Policies: documents that hold and those that do not, and each kind of rule at
 * its bounds. */
#include "appliance/ledger/policy.h"

#include "shared/base/err.h"
#include "suite.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct arena arena;
static struct policy *policy;
static struct record_error error;
static struct policy_facts facts;

static void
setup(void)
{
	ck_assert_int_ge(sodium_init(), 0);
	facts = (struct policy_facts){ .user = "ann",
		.host = "ws-7.lab.example",
		.device = 17,
		.address = "10.4.1.2",
		.product = "davinci",
		.version = "8.1",
		.feature = "",
		.count = 1 };
}

static void
teardown(void)
{
	policy_free(policy);
	policy = NULL;
	arena_release(&arena);
}

static int
try(const char *json)
{
	struct policy_document document;

	policy_free(policy);
	policy = NULL;
	memset(&error, 0, sizeof error);
	int err = record_read_json(&document, &policy_document_record, json,
	    strlen(json), &arena, &error);

	return err != 0 ? err : policy_compile(&policy, &document, &error);
}

static void
set(const char *json)
{
	int err = try(json);

	ck_assert_msg(err == 0, "%s: %s %s", json, error.field, error.reason);
}

/* A rule with "davinci" as its product, and more. */
static void
set_rule(const char *rule)
{
	char json[1024];

	snprintf(json, sizeof json,
	    "{\"groups\":[{\"name\":\"g\",\"users\":[\"ann\",\"bob\"]},"
	    "{\"name\":\"empty\"}],\"rules\":[{\"name\":\"r\","
	    "\"product\":\"davinci\",%s}]}",
	    rule);
	set(json);
}

static struct policy_verdict
judge(uint64_t free)
{
	struct policy_verdict verdict;

	policy_judge(&verdict, policy, &facts, free, 0);
	return verdict;
}

static int
ask(void)
{
	return judge(UINT32_MAX).err;
}

static int
ask_as(const char *user)
{
	facts.user = user;
	return ask();
}

static void
hold(uint64_t lease, const char *user)
{
	facts.user = user;
	ck_assert_int_eq(policy_hold(policy, lease, &facts), 0);
}

START_TEST(what_is_wrong_is_named)
{
	static const struct {
		const char *json, *field;
	} wrong[] = {
		{ "{\"surprise\":1}", "surprise" },
		{ "{\"rules\":[{\"kind\":\"max\",\"seats\":1}]}",
		    "rules[0].name" },
		{ "{\"rules\":[{\"name\":\"a\",\"kind\":\"most\"}]}",
		    "rules[0].kind" },
		{ "{\"rules\":[{\"name\":\"a\",\"kind\":\"max\"}]}",
		    "rules[0].seats" },
		{ "{\"rules\":[{\"name\":\"a\",\"kind\":\"max\",\"seats\":0}]}",
		    "rules[0].seats" },
		{ "{\"rules\":[{\"name\":\"a\",\"kind\":\"max\",\"seats\":-1}]"
		  "}",
		    "rules[0].seats" },
		{ "{\"rules\":[{\"name\":\"a\",\"kind\":\"max\",\"seats\":1,"
		  "\"linger_s\":5}]}",
		    "rules[0].linger_s" },
		{ "{\"rules\":[{\"name\":\"a\",\"kind\":\"idle\"}]}",
		    "rules[0].idle_s" },
		{ "{\"rules\":[{\"name\":\"a\",\"kind\":\"idle\","
		  "\"idle_s\":2592001}]}",
		    "rules[0].idle_s" },
		{ "{\"rules\":[{\"name\":\"a\",\"kind\":\"max\",\"seats\":1,"
		  "\"silent\":true}]}",
		    "rules[0].silent" },
		{ "{\"rules\":[{\"name\":\"a\",\"kind\":\"exclude\"}]}",
		    "rules[0].groups" },
		{ "{\"rules\":[{\"name\":\"a\",\"kind\":\"exclude\","
		  "\"groups\":[\"none\"]}]}",
		    "rules[0].groups[0]" },
		{ "{\"rules\":[{\"name\":\"a\",\"kind\":\"exclude\","
		  "\"users\":[\"x\"]},{\"name\":\"a\",\"kind\":\"exclude\","
		  "\"users\":[\"x\"]}]}",
		    "rules[1].name" },
		{ "{\"groups\":[{\"name\":\"g\"},{\"name\":\"h\"},{\"name\":"
		  "\"g\"}]}",
		    "groups[2].name" },
		{ "{\"groups\":[{\"name\":\"g\",\"hosts\":[\"a\",\"b c\"]}]}",
		    "groups[0].hosts[1]" },
		{ "{\"groups\":[{\"name\":\"g\",\"devices\":[\"ws-1\"]}]}",
		    "groups[0].devices[0]" },
		{ "{\"groups\":[{\"name\":\"g\",\"devices\":[\"key-0\"]}]}",
		    "groups[0].devices[0]" },
		{ "{\"groups\":[{\"name\":\"g\",\"addresses\":"
		  "[\"10.0.0.1/8\"]}]}",
		    "groups[0].addresses[0]" },
		{ "{\"rules\":[{\"name\":\"a\",\"kind\":\"max\",\"seats\":1,"
		  "\"version\":\"new\"}]}",
		    "rules[0].version" },
		{ "{\"rules\":[{\"name\":\"a\",\"kind\":\"max\",\"seats\":1,"
		  "\"feature\":\"f\"}]}",
		    "rules[0].feature" },
		{ "{\"rules\":[{\"name\":\"a\",\"kind\":\"reserve\","
		  "\"seats\":1,\"users\":[\"x\"]}]}",
		    "rules[0].product" },
		{ "{\"rules\":[{\"name\":\"a\",\"kind\":\"reserve\","
		  "\"seats\":1,\"product\":\"p\"}]}",
		    "rules[0].groups" },
		{ "{\"rules\":[{\"name\":\"a\",\"kind\":\"reserve\","
		  "\"seats\":1,\"product\":\"p\",\"version\":\"1\","
		  "\"users\":[\"x\"]}]}",
		    "rules[0].version" },
		{ "{\"rules\":[{\"name\":\"a\",\"kind\":\"max\",\"seats\":1,"
		  "\"addresses\":[\"10.0.0.0/8\"]}]}",
		    "rules[0].addresses" },
		{ "{\"groups\":[{\"name\":\"g\",\"addresses\":"
		  "[\"10.0.0.0/8\"]}],\"rules\":[{\"name\":\"a\",\"kind\":"
		  "\"max\",\"seats\":1,\"groups\":[\"g\"]}]}",
		    "rules[0].groups[0]" },
		{ "{\"rules\":[{\"name\":\"a\",\"kind\":\"borrow\"}]}",
		    "rules[0].kind" },
		{ "{\"rules\":[{\"name\":\"a\",\"kind\":\"queue\","
		  "\"none\":true,\"length\":3}]}",
		    "rules[0].none" },
	};

	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		ck_assert_msg(try(wrong[i].json) == ERR_BAD_REQUEST, "%s",
		    wrong[i].json);
		ck_assert_str_eq(error.field, wrong[i].field);
		ck_assert_msg(error.reason[0] != '\0', "%s", wrong[i].json);
	}
}
END_TEST

/* So many users in so many groups. */
static int
try_members(uint32_t groups, uint32_t users)
{
	struct policy_user *user = calloc(users + 1, sizeof *user);
	struct policy_group *group = calloc(groups + 1, sizeof *group);
	struct policy_document document = { .groups = { group, groups } };

	for (uint32_t i = 0; i < users; i++)
		snprintf(user[i].user, sizeof user[i].user, "u%u", i);
	for (uint32_t i = 0; i < groups; i++)
		snprintf(group[i].name, sizeof group[i].name, "g%u", i);
	if (groups > 0)
		group[0].users = (struct record_list){ user, users };
	policy_free(policy);
	policy = NULL;
	int err = policy_compile(&policy, &document, &error);

	free(user);
	free(group);
	return err;
}

START_TEST(bounds_are_kept_and_reached)
{
	ck_assert_int_eq(try_members(POLICY_GROUPS_MAX, POLICY_MEMBERS_MAX), 0);
	ck_assert_int_eq(try_members(POLICY_GROUPS_MAX + 1, 0),
	    ERR_BAD_REQUEST);
	ck_assert_str_eq(error.field, "groups");
	ck_assert_int_eq(try_members(1, POLICY_MEMBERS_MAX + 1),
	    ERR_BAD_REQUEST);
}
END_TEST

START_TEST(members_are_those_of_all_lists_together)
{
	struct policy_user users[POLICY_MEMBERS_MAX / 1000];
	struct policy_rule *rules = calloc(POLICY_RULES_MAX, sizeof *rules);
	struct policy_group group = { .name = "g", .users = { users, 1 } };
	struct policy_document document = { .rules = { rules,
						POLICY_RULES_MAX } };

	memset(users, 0, sizeof users);
	for (size_t i = 0; i < sizeof users / sizeof *users; i++)
		snprintf(users[i].user, sizeof users[i].user, "u%zu", i);
	for (uint32_t i = 0; i < POLICY_RULES_MAX; i++) {
		snprintf(rules[i].name, sizeof rules[i].name, "r%u", i);
		rules[i].kind = POLICY_EXCLUDE;
		rules[i].users =
		    (struct record_list){ users, sizeof users / sizeof *users };
	}
	ck_assert_uint_eq(policy_count_members(&document), POLICY_MEMBERS_MAX);
	ck_assert_int_eq(policy_compile(&policy, &document, &error), 0);
	ck_assert_int_eq(ask_as("u99"), ERR_EXCLUDED);
	ck_assert_int_eq(ask_as("u100"), 0);
	policy_free(policy);
	policy = NULL;
	document.groups = (struct record_list){ &group, 1 };
	ck_assert_int_eq(policy_compile(&policy, &document, &error),
	    ERR_BAD_REQUEST);
	ck_assert_str_eq(error.field, "groups");
	free(rules);
}
END_TEST

START_TEST(without_rules_everything_is_allowed)
{
	set("{}");
	ck_assert_int_eq(ask(), 0);
	ck_assert(!policy_counts(policy));
	set("{\"groups\":[{\"name\":\"g\",\"users\":[\"ann\"]}]}");
	ck_assert_int_eq(ask(), 0);
	policy_judge(&(struct policy_verdict){ 0 }, NULL, &facts, 0, 0);
}
END_TEST

START_TEST(only_the_included_are_let_in_where_there_is_an_include)
{
	set_rule("\"kind\":\"include\",\"groups\":[\"g\"]");
	ck_assert_int_eq(ask_as("ann"), 0);
	ck_assert_int_eq(ask_as("bob"), 0);
	ck_assert_int_eq(ask_as("carl"), ERR_EXCLUDED);
	ck_assert_int_eq(ask_as(""), ERR_EXCLUDED);
	ck_assert_str_eq(judge(9).rule, "r");
	facts.product = "other";
	ck_assert_int_eq(ask_as("carl"), 0);
	set_rule("\"kind\":\"include\",\"groups\":[\"empty\"]");
	facts.product = "davinci";
	ck_assert_int_eq(ask_as("ann"), ERR_EXCLUDED);
}
END_TEST

START_TEST(one_of_several_includes_is_enough_and_an_exclude_wins)
{
	set("{\"rules\":[{\"name\":\"a\",\"kind\":\"include\",\"users\":"
	    "[\"ann\"]},{\"name\":\"b\",\"kind\":\"include\",\"product\":"
	    "\"davinci\",\"users\":[\"bob\",\"eve\"]},{\"name\":\"c\","
	    "\"kind\":\"exclude\",\"users\":[\"eve\"]}]}");
	ck_assert_int_eq(ask_as("ann"), 0);
	ck_assert_int_eq(ask_as("bob"), 0);
	ck_assert_int_eq(ask_as("eve"), ERR_EXCLUDED);
	ck_assert_str_eq(judge(9).rule, "c");
	ck_assert_int_eq(ask_as("carl"), ERR_EXCLUDED);
	facts.product = "other";
	ck_assert_int_eq(ask_as("ann"), 0);
	ck_assert_int_eq(ask_as("bob"), ERR_EXCLUDED);
}
END_TEST

START_TEST(hosts_devices_and_addresses_name_people_too)
{
	set_rule("\"kind\":\"exclude\",\"hosts\":[\"WS-7.lab.example\"]");
	ck_assert_int_eq(ask(), ERR_EXCLUDED);
	facts.host = "ws-7.LAB.example";
	ck_assert_int_eq(ask(), ERR_EXCLUDED);
	facts.host = "ws-7";
	ck_assert_int_eq(ask(), 0);
	set_rule("\"kind\":\"exclude\",\"hosts\":[\"*.example\"]");
	ck_assert_int_eq(ask(), 0);
	facts.host = "a.b.Example";
	ck_assert_int_eq(ask(), ERR_EXCLUDED);
	facts.host = "example";
	ck_assert_int_eq(ask(), 0);
	facts.host = "notexample";
	ck_assert_int_eq(ask(), 0);
	set_rule("\"kind\":\"exclude\",\"devices\":[\"key-3\",\"device-17\"]");
	ck_assert_int_eq(ask(), ERR_EXCLUDED);
	facts.device = 3;
	ck_assert_int_eq(ask(), ERR_EXCLUDED);
	facts.device = 4;
	ck_assert_int_eq(ask(), 0);
}
END_TEST

START_TEST(addresses_are_in_ranges_of_their_own_family)
{
	static const struct {
		const char *range, *in, *out;
	} ranges[] = {
		{ "10.4.0.0/16", "10.4.255.255", "10.5.0.0" },
		{ "10.4.1.2", "10.4.1.2", "10.4.1.3" },
		{ "10.4.1.2/31", "10.4.1.3", "10.4.1.4" },
		{ "0.0.0.0/0", "1.2.3.4", "2001:db8::1" },
		{ "::/0", "2001:db8::1", "1.2.3.4" },
		{ "2001:db8:4::/47", "2001:db8:5::9", "2001:db8:6::" },
		{ "2001:db8::1", "2001:db8::1", "2001:db8::2" },
		{ "10.0.0.0/8", "::ffff:10.1.2.3", "::ffff:11.1.2.3" },
	};
	char rule[256];

	for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
		snprintf(rule, sizeof rule,
		    "\"kind\":\"exclude\",\"addresses\":[\"192.0.2.0/24\","
		    "\"%s\"]",
		    ranges[i].range);
		set_rule(rule);
		facts.address = ranges[i].in;
		ck_assert_msg(ask() == ERR_EXCLUDED, "%s", ranges[i].in);
		facts.address = ranges[i].out;
		ck_assert_msg(ask() == 0, "%s", ranges[i].out);
		facts.address = NULL;
		ck_assert_int_eq(ask(), 0);
		facts.address = "somewhere";
		ck_assert_int_eq(ask(), 0);
	}
}
END_TEST

START_TEST(case_of_users_counts_unless_it_is_ignored)
{
	set("{\"rules\":[{\"name\":\"a\",\"kind\":\"exclude\",\"users\":"
	    "[\"Ann\"]}]}");
	ck_assert_int_eq(ask_as("ann"), 0);
	ck_assert_int_eq(ask_as("Ann"), ERR_EXCLUDED);
	set("{\"ignore_case\":true,\"rules\":[{\"name\":\"a\",\"kind\":"
	    "\"exclude\",\"users\":[\"Ann\"]}]}");
	ck_assert_int_eq(ask_as("aNN"), ERR_EXCLUDED);
	ck_assert_int_eq(ask_as("annn"), 0);
}
END_TEST

START_TEST(a_rule_is_about_its_product_version_and_feature)
{
	set_rule("\"kind\":\"exclude\",\"users\":[\"ann\"],\"version\":"
		 "\">=8 <9\"");
	ck_assert_int_eq(ask(), ERR_EXCLUDED);
	facts.version = "9.0";
	ck_assert_int_eq(ask(), 0);
	set_rule("\"kind\":\"exclude\",\"users\":[\"ann\"],\"feature\":"
		 "\"can\"");
	ck_assert_int_eq(ask(), 0);
	facts.feature = "can";
	ck_assert_int_eq(ask(), ERR_EXCLUDED);
	set_rule("\"kind\":\"exclude\",\"users\":[\"ann\"]");
	ck_assert_int_eq(ask(), ERR_EXCLUDED);
}
END_TEST

START_TEST(a_maximum_is_reached_and_not_passed)
{
	set_rule("\"kind\":\"max\",\"seats\":3,\"groups\":[\"g\"]");
	ck_assert(policy_counts(policy));
	facts.count = 2;
	hold(1, "ann");
	ck_assert_int_eq(ask_as("bob"), ERR_POLICY_MAX);
	ck_assert_uint_eq(judge(9).held, 2);
	ck_assert_uint_eq(judge(9).seats, 3);
	ck_assert_str_eq(judge(9).rule, "r");
	ck_assert_int_eq(ask_as("carl"), 0);
	facts.count = 1;
	ck_assert_int_eq(ask_as("bob"), 0);
	hold(2, "bob");
	ck_assert_int_eq(ask_as("ann"), ERR_POLICY_MAX);
	policy_end(policy, 1);
	policy_end(policy, 1);
	policy_end(policy, 99);
	facts.count = 2;
	ck_assert_int_eq(ask_as("ann"), 0);
	facts.count = 3;
	ck_assert_int_eq(ask_as("ann"), ERR_POLICY_MAX);
}
END_TEST

START_TEST(each_one_has_a_maximum_of_his_own)
{
	set_rule("\"kind\":\"max\",\"seats\":1,\"each\":\"user\"");
	hold(1, "ann");
	ck_assert_int_eq(ask_as("ann"), ERR_POLICY_MAX);
	ck_assert_int_eq(ask_as("bob"), 0);
	hold(2, "bob");
	ck_assert_int_eq(ask_as("bob"), ERR_POLICY_MAX);
	policy_end(policy, 1);
	ck_assert_int_eq(ask_as("ann"), 0);
	set_rule("\"kind\":\"max\",\"seats\":1,\"each\":\"host\","
		 "\"groups\":[\"g\"]");
	hold(1, "ann");
	ck_assert_int_eq(ask_as("bob"), ERR_POLICY_MAX);
	ck_assert_int_eq(ask_as("carl"), 0);
	facts.host = "other";
	ck_assert_int_eq(ask_as("bob"), 0);
	set_rule("\"kind\":\"max\",\"seats\":1,\"each\":\"device\"");
	hold(1, "ann");
	ck_assert_int_eq(ask_as("carl"), ERR_POLICY_MAX);
	facts.device++;
	ck_assert_int_eq(ask_as("carl"), 0);
}
END_TEST

START_TEST(a_maximum_counts_only_what_it_is_about)
{
	set_rule("\"kind\":\"max\",\"seats\":1,\"feature\":\"can\"");
	hold(1, "ann");
	facts.feature = "can";
	ck_assert_int_eq(ask(), 0);
	hold(2, "ann");
	ck_assert_int_eq(ask(), ERR_POLICY_MAX);
	facts.feature = "";
	ck_assert_int_eq(ask(), 0);
}
END_TEST

START_TEST(reserved_seats_are_for_members_alone)
{
	set_rule("\"kind\":\"reserve\",\"seats\":2,\"groups\":[\"g\"]");
	facts.user = "carl";
	ck_assert_int_eq(judge(3).err, 0);
	ck_assert_int_eq(judge(2).err, ERR_RESERVED);
	ck_assert_str_eq(judge(2).rule, "r");
	ck_assert_uint_eq(judge(2).held, 2);
	ck_assert_uint_eq(policy_reserved(policy, &facts), 2);
	facts.user = "ann";
	ck_assert_int_eq(judge(1).err, 0);
	ck_assert_uint_eq(policy_reserved(policy, &facts), 0);
	/* It fills with what its members hold. */
	hold(1, "ann");
	facts.user = "carl";
	ck_assert_int_eq(judge(2).err, 0);
	ck_assert_int_eq(judge(1).err, ERR_RESERVED);
	hold(2, "bob");
	hold(3, "bob");
	facts.user = "carl";
	ck_assert_int_eq(judge(1).err, 0);
	policy_end(policy, 2);
	ck_assert_int_eq(judge(1).err, 0);
	policy_end(policy, 3);
	ck_assert_int_eq(judge(1).err, ERR_RESERVED);
}
END_TEST

START_TEST(a_reservation_is_of_one_pool)
{
	set_rule("\"kind\":\"reserve\",\"seats\":2,\"groups\":[\"g\"]");
	facts.user = "carl";
	facts.feature = "can";
	ck_assert_int_eq(judge(1).err, 0);
	hold(1, "ann");
	facts.feature = "";
	facts.user = "carl";
	ck_assert_uint_eq(policy_reserved(policy, &facts), 2);
	facts.product = "other";
	ck_assert_uint_eq(policy_reserved(policy, &facts), 0);
}
END_TEST

START_TEST(reservations_of_others_add_up)
{
	set("{\"rules\":[{\"name\":\"a\",\"kind\":\"reserve\",\"product\":"
	    "\"davinci\",\"seats\":2,\"users\":[\"ann\",\"eve\"]},{\"name\":"
	    "\"b\",\"kind\":\"reserve\",\"product\":\"davinci\",\"seats\":3,"
	    "\"users\":[\"bob\",\"eve\"]}]}");
	facts.user = "carl";
	ck_assert_int_eq(judge(6).err, 0);
	ck_assert_int_eq(judge(5).err, ERR_RESERVED);
	ck_assert_str_eq(judge(5).rule, "b");
	facts.user = "ann";
	ck_assert_int_eq(judge(4).err, 0);
	ck_assert_int_eq(judge(3).err, ERR_RESERVED);
	/* A member of both fills both. */
	hold(1, "eve");
	facts.user = "carl";
	ck_assert_uint_eq(policy_reserved(policy, &facts), 3);
	facts.user = "eve";
	ck_assert_int_eq(judge(1).err, 0);
}
END_TEST

START_TEST(what_is_on_offer_to_others_is_not_free)
{
	struct policy_verdict verdict;

	set_rule("\"kind\":\"reserve\",\"seats\":2,\"groups\":[\"g\"]");
	facts.user = "carl";
	policy_judge(&verdict, policy, &facts, 4, 1);
	ck_assert_int_eq(verdict.err, 0);
	policy_judge(&verdict, policy, &facts, 3, 1);
	ck_assert_int_eq(verdict.err, ERR_RESERVED);
	policy_judge(&verdict, policy, &facts, UINT64_MAX, UINT32_MAX);
	ck_assert_int_eq(verdict.err, 0);
}
END_TEST

START_TEST(the_longest_linger_that_fits_counts)
{
	set("{\"rules\":[{\"name\":\"a\",\"kind\":\"linger\",\"linger_s\":60},"
	    "{\"name\":\"b\",\"kind\":\"linger\",\"linger_s\":90,\"users\":"
	    "[\"bob\"]}]}");
	hold(1, "ann");
	hold(2, "bob");
	ck_assert_uint_eq(policy_linger_s(policy, 1), 60);
	ck_assert_uint_eq(policy_linger_s(policy, 2), 90);
	ck_assert_uint_eq(policy_linger_s(policy, 3), 0);
	policy_end(policy, 2);
	ck_assert_uint_eq(policy_linger_s(policy, 2), 0);
}
END_TEST

START_TEST(the_shortest_idle_that_fits_counts)
{
	set("{\"rules\":[{\"name\":\"a\",\"kind\":\"idle\",\"idle_s\":60},"
	    "{\"name\":\"b\",\"kind\":\"idle\",\"idle_s\":30,\"users\":"
	    "[\"bob\"]},{\"name\":\"c\",\"kind\":\"idle\",\"idle_s\":90,"
	    "\"silent\":true,\"users\":[\"bob\"]}]}");
	hold(1, "ann");
	hold(2, "bob");
	ck_assert_uint_eq(policy_idle_s(policy, 1, true), 60);
	ck_assert_uint_eq(policy_idle_s(policy, 1, false), 0);
	ck_assert_uint_eq(policy_idle_s(policy, 2, true), 30);
	ck_assert_uint_eq(policy_idle_s(policy, 2, false), 90);
	ck_assert_uint_eq(policy_linger_s(policy, 2), 0);
	ck_assert_uint_eq(policy_idle_s(policy, 3, true), 0);
	policy_end(policy, 2);
	ck_assert_uint_eq(policy_idle_s(policy, 2, true), 0);
}
END_TEST

START_TEST(all_rules_on_borrowing_and_waiting_hold_together)
{
	struct policy_borrow borrow;
	struct policy_queue queue;

	set("{\"rules\":[{\"name\":\"a\",\"kind\":\"borrow\",\"longest_s\":60,"
	    "\"keep\":2},{\"name\":\"b\",\"kind\":\"borrow\",\"longest_s\":90,"
	    "\"seats\":3,\"keep\":1},{\"name\":\"c\",\"kind\":\"borrow\","
	    "\"none\":true,\"users\":[\"bob\"]},{\"name\":\"d\",\"kind\":"
	    "\"queue\",\"length\":5,\"wait_s\":9},{\"name\":\"e\",\"kind\":"
	    "\"queue\",\"length\":4,\"wait_s\":10,\"priority\":7,\"users\":"
	    "[\"ann\"]},{\"name\":\"f\",\"kind\":\"queue\",\"none\":true,"
	    "\"users\":[\"bob\"]}]}");
	ck_assert(!policy_counts(policy));
	policy_of_borrow(&borrow, policy, &facts);
	ck_assert_uint_eq(borrow.longest_s, 60);
	ck_assert_uint_eq(borrow.seats, 3);
	ck_assert_uint_eq(borrow.keep, 2);
	ck_assert(!borrow.none);
	policy_of_queue(&queue, policy, &facts);
	ck_assert_uint_eq(queue.length, 4);
	ck_assert_uint_eq(queue.wait_s, 9);
	ck_assert_uint_eq(queue.priority, 7);
	ck_assert(!queue.none);
	ck_assert_str_eq(queue.rule, "e");
	facts.user = "bob";
	policy_of_borrow(&borrow, policy, &facts);
	ck_assert(borrow.none);
	ck_assert_str_eq(borrow.rule, "c");
	policy_of_queue(&queue, policy, &facts);
	ck_assert(queue.none);
	ck_assert_uint_eq(queue.priority, 0);
	ck_assert_str_eq(queue.rule, "f");
}
END_TEST

START_TEST(who_was_erased_is_nobody)
{
	set("{\"rules\":[{\"name\":\"a\",\"kind\":\"include\",\"users\":"
	    "[\"(erased)\"],\"hosts\":[\"(erased)\"]}]}");
	ck_assert_int_eq(ask_as("(erased)"), ERR_EXCLUDED);
	ck_assert_int_eq(ask_as("ann"), ERR_EXCLUDED);
}
END_TEST

/* Leases come and go; what is counted is what is held. */
START_TEST(counts_are_those_of_a_naive_model)
{
	static const char *const users[] = { "ann", "bob", "carl", "dora" };
	uint32_t held[4] = { 0 }, lease_count[200] = { 0 };
	uint32_t lease_user[200] = { 0 }, random = 7;

	set_rule("\"kind\":\"max\",\"seats\":9,\"each\":\"user\"");
	for (int i = 0; i < 20000; i++) {
		random = random * 1664525u + 1013904223u;
		uint32_t lease = random >> 8 & 127, user = random >> 20 & 3;
		uint32_t count = 1 + (random >> 26 & 3);

		if (lease_count[lease] != 0) {
			policy_end(policy, lease);
			held[lease_user[lease]] -= lease_count[lease];
			lease_count[lease] = 0;
			continue;
		}
		facts.user = users[user];
		facts.count = count;
		ck_assert_int_eq(ask(),
		    held[user] + count > 9 ? ERR_POLICY_MAX : 0);
		if (held[user] + count > 9)
			continue;
		ck_assert_int_eq(policy_hold(policy, lease, &facts), 0);
		held[user] += count;
		lease_count[lease] = count;
		lease_user[lease] = user;
	}
}
END_TEST

Suite *
suite(void)
{
	Suite *s = suite_create("policy");
	TCase *t = tcase_create("policy");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, what_is_wrong_is_named);
	tcase_add_test(t, bounds_are_kept_and_reached);
	tcase_add_test(t, members_are_those_of_all_lists_together);
	tcase_add_test(t, without_rules_everything_is_allowed);
	tcase_add_test(t,
	    only_the_included_are_let_in_where_there_is_an_include);
	tcase_add_test(t,
	    one_of_several_includes_is_enough_and_an_exclude_wins);
	tcase_add_test(t, hosts_devices_and_addresses_name_people_too);
	tcase_add_test(t, addresses_are_in_ranges_of_their_own_family);
	tcase_add_test(t, case_of_users_counts_unless_it_is_ignored);
	tcase_add_test(t, a_rule_is_about_its_product_version_and_feature);
	tcase_add_test(t, a_maximum_is_reached_and_not_passed);
	tcase_add_test(t, each_one_has_a_maximum_of_his_own);
	tcase_add_test(t, a_maximum_counts_only_what_it_is_about);
	tcase_add_test(t, reserved_seats_are_for_members_alone);
	tcase_add_test(t, a_reservation_is_of_one_pool);
	tcase_add_test(t, reservations_of_others_add_up);
	tcase_add_test(t, what_is_on_offer_to_others_is_not_free);
	tcase_add_test(t, the_longest_linger_that_fits_counts);
	tcase_add_test(t, the_shortest_idle_that_fits_counts);
	tcase_add_test(t, all_rules_on_borrowing_and_waiting_hold_together);
	tcase_add_test(t, who_was_erased_is_nobody);
	tcase_add_test(t, counts_are_those_of_a_naive_model);
	suite_add_tcase(s, t);
	return s;
}
