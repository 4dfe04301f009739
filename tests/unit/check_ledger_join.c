/* Join tokens: what they allow, how often, and what is seen of them. */
#include "tests/unit/ledger_device.h"
#include "tests/unit/suite.h"

START_TEST(the_token_names_this_site_and_its_ca)
{
	struct license_join join;
	struct record_error error;
	struct arena arena = { .chunks = NULL };

	ck_assert_int_eq(license_document_read(&join, &license_join_record,
			     TOKEN_JOIN, (const char *)token.data, token.len,
			     world.site_public, &arena, &error),
	    0);
	ck_assert_str_eq(join.site, "site-test");
	ck_assert_str_eq(join.tenant, "default");
	ck_assert_mem_eq(join.ca_sha256, world.ca, 32);
	ck_assert_uint_eq(join.uses, 1);
	ck_assert_int_eq(join.expires_at, world.now + 3600000);
	arena_release(&arena);
}
END_TEST

START_TEST(a_token_is_good_for_its_uses)
{
	uint8_t other[32] = { 43 };
	uint64_t device;

	ck_assert_int_eq(enroll(key, &device), 0);
	ck_assert_int_eq(enroll(other, &device), ERR_GONE);
}
END_TEST

START_TEST(an_enrolment_whose_reply_was_lost_may_be_repeated)
{
	uint64_t first, second;

	ck_assert_int_eq(enroll(key, &first), 0);
	ck_assert_int_eq(enroll(key, &second), 0);
	ck_assert_uint_eq(first, second);
}
END_TEST

START_TEST(a_token_ends)
{
	uint64_t device;

	world.now += 3600000;
	ck_assert_int_eq(enroll(key, &device), ERR_GONE);
}
END_TEST

START_TEST(a_token_of_another_site_is_none)
{
	struct license_join join = { .uses = 1,
		.expires_at = WORLD_NOW + 1000000 };
	uint8_t public_key[32], secret[64];
	uint64_t device;

	snprintf(join.site, sizeof join.site, "site-test");
	snprintf(join.tenant, sizeof join.tenant, "default");
	join.join = 1;
	world_keypair(&world, public_key, secret);
	buf_clear(&token);
	ck_assert_int_eq(license_document_sign(&token, &license_join_record,
			     &join, TOKEN_JOIN, secret),
	    0);
	ck_assert_int_eq(enroll(key, &device), ERR_BAD_PROOF);
	/* Signed by this site, but for another tenant. */
	snprintf(join.tenant, sizeof join.tenant, "other");
	buf_clear(&token);
	ck_assert_int_eq(license_document_sign(&token, &license_join_record,
			     &join, TOKEN_JOIN, world.site_secret),
	    0);
	ck_assert_int_eq(enroll(key, &device), ERR_FORBIDDEN);
	/* Signed by this site, and in no journal: of before a rollback. */
	snprintf(join.tenant, sizeof join.tenant, "default");
	buf_clear(&token);
	ck_assert_int_eq(license_document_sign(&token, &license_join_record,
			     &join, TOKEN_JOIN, world.site_secret),
	    0);
	ck_assert_int_eq(enroll(key, &device), ERR_NOT_FOUND);
}
END_TEST

/* What the core says of a class, with a token for another. */
static int
enroll_class(uint32_t wanted, uint32_t shown, uint32_t *class_)
{
	struct join_create create = { .class_ = wanted, .approved = true };
	struct proof_endorsement endorsement = { .class_ = shown };
	uint8_t public_key[32];
	struct command command;

	make_join(&create);
	randombytes_buf(public_key, sizeof public_key);
	randombytes_buf(endorsement.ek_id, sizeof endorsement.ek_id);
	bool has_tpm = shown == PROOF_TPM || shown == PROOF_VTPM;
	int err = world_enroll_tpm(&world, &command, &token, public_key,
	    has_tpm ? PROOF_TPM : shown, has_tpm ? &endorsement : NULL);

	*class_ = command.reply.enroll.class_;
	return err;
}

START_TEST(token_names_the_least_class)
{
	uint32_t class_;

	ck_assert_int_eq(enroll_class(PROOF_TPM, PROOF_TPM, &class_), 0);
	ck_assert_uint_eq(class_, PROOF_TPM);
	ck_assert_int_eq(enroll_class(PROOF_VTPM, PROOF_TPM, &class_), 0);
	ck_assert_uint_eq(class_, PROOF_TPM);
	ck_assert_int_eq(enroll_class(PROOF_SOFTWARE, PROOF_VTPM, &class_), 0);
	ck_assert_uint_eq(class_, PROOF_VTPM);
	ck_assert_int_eq(enroll_class(PROOF_TPM, PROOF_VTPM, &class_),
	    ERR_CLASS_NOT_ALLOWED);
	ck_assert_int_eq(enroll_class(PROOF_VTPM, PROOF_SOFTWARE, &class_),
	    ERR_CLASS_NOT_ALLOWED);
	ck_assert_int_eq(enroll_class(PROOF_SOFTWARE, PROOF_ASSIGNED, &class_),
	    ERR_CLASS_NOT_ALLOWED);
}
END_TEST

START_TEST(tpm_that_was_not_judged_does_not_enroll)
{
	struct proof_endorsement endorsement = { .class_ = PROOF_TPM };
	struct command command;

	ck_assert_int_eq(world_enroll_tpm(&world, &command, &token, key,
			     PROOF_TPM, NULL),
	    ERR_BAD_PROOF);
	ck_assert_int_eq(world_enroll_tpm(&world, &command, &token, key,
			     PROOF_VTPM, NULL),
	    ERR_BAD_PROOF);
	ck_assert_int_eq(world_enroll_tpm(&world, &command, &token, key,
			     PROOF_KEY, NULL),
	    ERR_BAD_PROOF);
	ck_assert_int_eq(world_enroll_tpm(&world, &command, &token, key,
			     PROOF_SOFTWARE, &endorsement),
	    ERR_BAD_PROOF);
}
END_TEST

START_TEST(assigned_key_is_one_that_the_token_names)
{
	struct row_key keys[2] = { { { 1 } } };
	struct join_create create = { .class_ = PROOF_ASSIGNED,
		.keys = { keys, 2 } };
	uint8_t other[32] = { 7 };
	struct command command;

	crypto_hash_sha256(keys[1].fingerprint, key, sizeof key);
	make_join(&create);
	ck_assert_int_eq(world_enroll_tpm(&world, &command, &token, other,
			     PROOF_ASSIGNED, NULL),
	    ERR_FINGERPRINT_BLOCKED);
	ck_assert_int_eq(world_enroll_tpm(&world, &command, &token, key,
			     PROOF_SOFTWARE, NULL),
	    ERR_CLASS_NOT_ALLOWED);
	ck_assert_int_eq(world_enroll_tpm(&world, &command, &token, key,
			     PROOF_ASSIGNED, NULL),
	    0);
	/* Named beforehand is approved beforehand. */
	ck_assert(!command.reply.enroll.pending);
	ck_assert_uint_eq(command.reply.enroll.class_, PROOF_ASSIGNED);
}
END_TEST

static int
create_problem(const struct join_create *create,
    const struct ledger_device_policy *policy)
{
	struct command command =
	    world_command(&world, OP_JOIN_CREATE, ACTOR_ADMIN, 1, create);

	command.devices = *policy;
	int err = world_do(&world, &command);

	arena_release(&command.arena);
	return err;
}

START_TEST(token_that_lets_nobody_in_is_not_made)
{
	const struct ledger_device_policy anybody = { 0 },
					  no_chips = { .no_chips = true },
					  only_tpm = { .classes = 1u
						      << PROOF_TPM };
	struct row_key keys[1] = { { { 1 } } };
	struct join_create create = { .class_ = PROOF_TPM };

	ck_assert_int_eq(create_problem(&create, &anybody), 0);
	ck_assert_int_eq(create_problem(&create, &only_tpm), 0);
	ck_assert_int_eq(create_problem(&create, &no_chips),
	    ERR_CLASS_NOT_ALLOWED);
	create.class_ = PROOF_SOFTWARE; /* a tpm may come with it */
	ck_assert_int_eq(create_problem(&create, &only_tpm), 0);
	create.class_ = PROOF_KEY;
	ck_assert_int_eq(create_problem(&create, &anybody),
	    ERR_CLASS_NOT_ALLOWED);
	create.class_ = PROOF_ASSIGNED;
	ck_assert_int_eq(create_problem(&create, &anybody), ERR_BAD_REQUEST);
	create.keys = (struct record_list){ keys, 1 };
	ck_assert_int_eq(create_problem(&create, &anybody), 0);
	ck_assert_int_eq(create_problem(&create, &only_tpm),
	    ERR_CLASS_NOT_ALLOWED);
	create.class_ = PROOF_SOFTWARE;
	ck_assert_int_eq(create_problem(&create, &anybody), ERR_BAD_REQUEST);
}
END_TEST

START_TEST(a_host_must_match_the_tokens_patterns)
{
	struct license_host_pattern patterns[] = { { "ws-*.plant.example" },
		{ "lab7" } };
	struct join_create create = { .uses = 5,
		.valid_s = 60,
		.hosts = { patterns, 2 } };
	struct command command =
	    world_command(&world, OP_JOIN_CREATE, ACTOR_ADMIN, 1, &create);

	ck_assert_int_eq(world_do(&world, &command), 0);
	buf_clear(&token);
	buf_add(&token, command.reply.join.token.data,
	    command.reply.join.token.len);
	arena_release(&command.arena);
	ck_assert_int_eq(world_enroll_as(&world, &command, &token, "ws-1",
			     "ws-1.office.example", key, PROOF_SOFTWARE),
	    ERR_HOSTNAME_NOT_ALLOWED);
	ck_assert_int_eq(world_enroll_as(&world, &command, &token, "ws-1",
			     "WS-1.plant.example", key, PROOF_SOFTWARE),
	    0);
	key[0]++;
	ck_assert_int_eq(world_enroll_as(&world, &command, &token, "ws-2",
			     "lab7", key, PROOF_SOFTWARE),
	    0);
}
END_TEST

START_TEST(a_token_is_shown_as_it_was_made)
{
	struct license_host_pattern hosts[] = { { "ws-*" }, { "lab?" } };
	struct join_create create = { .uses = 3,
		.valid_s = 60,
		.class_ = PROOF_TPM,
		.hosts = { hosts, 2 },
		.approved = true };
	struct join_query query = { .after = 1 };
	struct join_page page;
	struct arena arena = { .chunks = NULL };
	const struct join_view *join;

	ck_assert_uint_eq(make_join(&create), 2);
	world_reopen(&world);
	ck_assert_int_eq(ask(&page, OP_JOIN_LIST, &query, &arena), 0);
	ck_assert_uint_eq(page.items.count, 1);
	ck_assert_uint_eq(page.next, 0);
	join = page.items.items;
	ck_assert_uint_eq(join->join, 2);
	ck_assert_uint_eq(join->state, JOIN_OPEN);
	ck_assert_uint_eq(join->uses, 3);
	ck_assert_uint_eq(join->used, 0);
	ck_assert_uint_eq(join->class_, PROOF_TPM);
	ck_assert(join->approved);
	ck_assert_uint_eq(join->hosts.count, 2);
	const struct license_host_pattern *shown = join->hosts.items;

	ck_assert_str_eq(shown[0].pattern, "ws-*");
	ck_assert_str_eq(shown[1].pattern, "lab?");
	ck_assert_int_eq(join->created_at, world.now);
	ck_assert_int_eq(join->expires_at, world.now + 60000);
	ck_assert_uint_eq(join->by.kind, ACTOR_ADMIN);
	ck_assert_uint_eq(join->by.id, 7);
	/* One that nobody can use any more is shown to who asks for all. */
	world.now += 60000;
	ck_assert_int_eq(ask(&page, OP_JOIN_LIST, &query, &arena), 0);
	ck_assert_uint_eq(page.items.count, 0);
	query.all = true;
	ck_assert_int_eq(ask(&page, OP_JOIN_LIST, &query, &arena), 0);
	join = page.items.items;
	ck_assert_uint_eq(join->state, JOIN_EXPIRED);
	arena_release(&arena);
}
END_TEST

START_TEST(more_patterns_than_a_token_holds_are_refused)
{
	struct license_host_pattern hosts[JOIN_HOSTS_MAX + 1];
	struct join_create create = { .hosts = { hosts, JOIN_HOSTS_MAX + 1 } };
	struct problem problem;

	for (int i = 0; i <= JOIN_HOSTS_MAX; i++)
		snprintf(hosts[i].pattern, sizeof hosts[i].pattern, "h%d", i);
	ck_assert_int_eq(admin_does(OP_JOIN_CREATE, &create, &problem),
	    ERR_BAD_REQUEST);
	ck_assert_str_eq(problem.field, "hosts");
	create.hosts.count--;
	ck_assert_uint_eq(make_join(&create), 2);
}
END_TEST

START_TEST(a_revoked_token_lets_nobody_else_in)
{
	struct join_create create = { .uses = 5, .approved = true };
	struct join_number number = { make_join(&create) };
	struct join_query query = { .after = 1, .all = true };
	struct join_page page;
	struct problem problem;
	struct arena arena = { .chunks = NULL };
	uint8_t other[32] = { 43 };
	uint64_t device;

	ck_assert_int_eq(enroll(key, &device), 0);
	ck_assert_int_eq(admin_does(OP_JOIN_REVOKE, &number, NULL), 0);
	ck_assert_int_eq(admin_does(OP_JOIN_REVOKE, &number, NULL), 0);
	ck_assert_int_eq(enroll(other, &device), ERR_GONE);
	/* Who came with it may hear so again, and stays. */
	ck_assert_int_eq(enroll(key, &device), 0);
	ck_assert_uint_ne(world_lease(&world, device, PRODUCT), 0);
	ck_assert_int_eq(ask(&page, OP_JOIN_LIST, &query, &arena), 0);
	ck_assert_uint_eq(((struct join_view *)page.items.items)->state,
	    JOIN_REVOKED);
	ck_assert_uint_eq(((struct join_view *)page.items.items)->used, 1);
	number.join = 99;
	ck_assert_int_eq(admin_does(OP_JOIN_REVOKE, &number, &problem),
	    ERR_NOT_FOUND);
	ck_assert_str_eq(problem.field, "join");
	arena_release(&arena);
}
END_TEST

/* The number alone makes no token: after the store was put back to an older
 * copy, another one has it. */
START_TEST(a_token_of_the_same_number_is_not_the_same)
{
	struct license_join join;
	struct record_error error;
	struct arena arena = { .chunks = NULL };
	uint64_t device;

	ck_assert_int_eq(license_document_read(&join, &license_join_record,
			     TOKEN_JOIN, (const char *)token.data, token.len,
			     world.site_public, &arena, &error),
	    0);
	join.id[3] ^= 1;
	buf_clear(&token);
	ck_assert_int_eq(license_document_sign(&token, &license_join_record,
			     &join, TOKEN_JOIN, world.site_secret),
	    0);
	ck_assert_int_eq(enroll(key, &device), ERR_NOT_FOUND);
	arena_release(&arena);
}
END_TEST

/* Eight at once for three places, in one commit; and once more over a commit
 * whose answers were lost. */
START_TEST(uses_are_counted_exactly_whoever_comes_at_once)
{
	struct join_create create = { .uses = 3, .approved = true };
	uint64_t join = make_join(&create);
	uint8_t keys[8][32] = { 0 };
	struct enroll requests[8];
	struct command commands[8], *list[8];
	int in = 0, out = 0;

	for (int i = 0; i < 8; i++) {
		keys[i][0] = (uint8_t)(100 + i);
		requests[i] = (struct enroll){
			.join = { token.data, (uint32_t)token.len },
			.public_key = { keys[i], 32 },
			.name = "ws",
			.proof = { .counter = 1 },
		};
		commands[i] = world_command(&world, OP_DEVICE_ENROLL,
		    ACTOR_DEVICE, 0, &requests[i]);
		list[i] = &commands[i];
	}
	ck_assert_int_eq(ledger_commit(world.ledger, list, 8, world.now, NULL),
	    0);
	for (int i = 0; i < 8; i++) {
		in += commands[i].err == 0;
		out += commands[i].err == ERR_GONE;
		arena_release(&commands[i].arena);
	}
	ck_assert_int_eq(in, 3);
	ck_assert_int_eq(out, 5);
	struct join_query query = { .after = join - 1, .all = true };
	struct join_page page;
	struct arena arena = { .chunks = NULL };

	ck_assert_int_eq(ask(&page, OP_JOIN_LIST, &query, &arena), 0);
	ck_assert_uint_eq(((struct join_view *)page.items.items)->used, 3);
	ck_assert_uint_eq(((struct join_view *)page.items.items)->state,
	    JOIN_USED);
	arena_release(&arena);
}
END_TEST

START_TEST(a_crash_neither_loses_nor_doubles_a_use)
{
	static const char *const steps[] = { "decide", "fold", "commit",
		"committed" };
	struct join_create create = { .uses = 2, .approved = true };
	uint8_t second[32] = { 51 }, third[32] = { 52 };
	uint64_t device;

	make_join(&create);
	for (int i = 0; i < 4; i++) {
		world.fault_step = steps[i];
		world.fault_err = ERR_IO;
		ck_assert_int_ne(enroll(key, &device), 0);
		world_reopen(&world);
		world_check(&world);
	}
	/* It was in the store the last time: a retry uses nothing up. */
	ck_assert_int_eq(enroll(key, &device), 0);
	ck_assert_int_eq(enroll(second, &device), 0);
	ck_assert_int_eq(enroll(third, &device), ERR_GONE);
}
END_TEST

Suite *
suite(void)
{
	Suite *s = suite_create("ledger_join");
	TCase *t = tcase_create("ledger_join");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, the_token_names_this_site_and_its_ca);
	tcase_add_test(t, a_token_is_good_for_its_uses);
	tcase_add_test(t, an_enrolment_whose_reply_was_lost_may_be_repeated);
	tcase_add_test(t, a_token_ends);
	tcase_add_test(t, a_token_of_another_site_is_none);
	tcase_add_test(t, token_names_the_least_class);
	tcase_add_test(t, tpm_that_was_not_judged_does_not_enroll);
	tcase_add_test(t, assigned_key_is_one_that_the_token_names);
	tcase_add_test(t, token_that_lets_nobody_in_is_not_made);
	tcase_add_test(t, a_host_must_match_the_tokens_patterns);
	tcase_add_test(t, a_token_is_shown_as_it_was_made);
	tcase_add_test(t, more_patterns_than_a_token_holds_are_refused);
	tcase_add_test(t, a_revoked_token_lets_nobody_else_in);
	tcase_add_test(t, a_token_of_the_same_number_is_not_the_same);
	tcase_add_test(t, uses_are_counted_exactly_whoever_comes_at_once);
	tcase_add_test(t, a_crash_neither_loses_nor_doubles_a_use);
	suite_add_tcase(s, t);
	return s;
}
