/* The ledger process: hello, the proof and what ends an agent's session. */
#include "tests/unit/process_site.h"

#include "tests/unit/suite.h"

/* --- sessions ------------------------------------------------------------ */

START_TEST(hello_shows_the_journal_and_gives_a_nonce)
{
	const uint8_t zero[32] = { 0 };
	struct journal_header header;
	struct site_view site;
	const struct empty empty = { 0 };
	uint8_t head[32], first[32];

	agent_connect(&world, &alice, 1);
	ck_assert_int_eq(agent_hello(&world, &alice, NULL, NULL), 0);
	ck_assert_int_ne(memcmp(alice.nonce, zero, 32), 0);
	ck_assert_str_eq(alice.hello.site, world.site.site);
	char *token = strndup(alice.hello.header.data, alice.hello.header.len);

	memcpy(first, alice.nonce, sizeof(first));
	ck_assert_int_eq(admin_do(&world, &site, OP_SITE_SHOW, &empty), 0);
	ck_assert_int_eq(journal_header_verify(&header, head, token,
			     strlen(token), site.site_key),
	    0);
	/* Genesis and the start. */
	ck_assert_uint_eq(header.batch, 1);
	ck_assert_int_eq(agent_hello(&world, &alice, NULL, NULL), 0);
	ck_assert_int_ne(memcmp(alice.nonce, first, 32), 0);
	free(token);
}
END_TEST

START_TEST(other_protocol_is_refused)
{
	const struct hello hello = { .protocol = 2, .software = "test" };
	struct problem problem;

	agent_connect(&world, &alice, 1);
	ck_assert_int_eq(agent_ask(&world, NULL, 1, OP_SESSION_HELLO, &hello,
			     &problem),
	    ERR_BAD_REQUEST);
	ck_assert_str_eq(problem.field, "protocol");
}
END_TEST

START_TEST(nothing_is_given_before_the_proof)
{
	struct checkout_reply reply;
	struct problem problem;

	agent_connect(&world, &alice, 1);
	ck_assert_int_eq(agent_checkout(&world, &reply, &alice, PRODUCT,
			     &problem),
	    ERR_UNAUTHENTICATED);
	ck_assert_int_eq(agent_hello(&world, &alice, NULL, NULL), 0);
	ck_assert_int_eq(agent_checkout(&world, &reply, &alice, PRODUCT,
			     &problem),
	    ERR_UNAUTHENTICATED);
}
END_TEST

START_TEST(admins_operations_are_not_for_agents)
{
	const struct empty empty = { 0 };

	agent_enroll(&world, &alice, "alice", 1);
	ck_assert_int_eq(agent_ask(&world, NULL, 1, OP_SITE_SHOW, &empty, NULL),
	    ERR_UNAUTHENTICATED);
}
END_TEST

START_TEST(client_that_saw_a_newer_journal_is_refused_in_words)
{
	struct journal_known known = { .batch = 999, .head = { 1 } };
	struct problem problem;

	agent_connect(&world, &alice, 1);
	ck_assert_int_eq(agent_hello(&world, &alice, &known, &problem),
	    ERR_ROLLED_BACK);
	ck_assert_str_eq(problem.code, "rolled_back");
	ck_assert_ptr_nonnull(strstr(problem.detail, "999"));
	/* And has no nonce to prove over. */
	identity_open(&alice.identity, world.dir, NULL);
	ck_assert_int_eq(agent_prove(&world, &alice, NULL),
	    ERR_UNAUTHENTICATED);
}
END_TEST

START_TEST(proof_over_another_connection_is_refused)
{
	agent_enroll(&world, &alice, "alice", 1);
	agent_connect(&world, &alice, 2);
	ck_assert_int_eq(agent_hello(&world, &alice, NULL, NULL), 0);
	alice.exporter[0] ^= 1;
	ck_assert_int_eq(agent_prove(&world, &alice, NULL), ERR_BAD_PROOF);
	/* The nonce is used up. */
	alice.exporter[0] ^= 1;
	ck_assert_int_eq(agent_prove(&world, &alice, NULL),
	    ERR_UNAUTHENTICATED);
}
END_TEST

START_TEST(counter_that_does_not_rise_is_refused)
{
	char command[256];
	struct problem problem;

	agent_enroll(&world, &alice, "alice", 1);
	/* A copy of the key as it is now, and the original goes on. */
	snprintf(command, sizeof(command), "cp -a %s/alice %s/copy", world.dir,
	    world.dir);
	ck_assert_int_eq(system(command), 0);
	agent_login(&world, &alice, 2);
	agent_login(&world, &alice, 3);
	identity_close(alice.identity);
	snprintf(command, sizeof(command), "%s/copy", world.dir);
	ck_assert_int_eq(identity_open(&alice.identity, command, NULL), 0);
	agent_connect(&world, &alice, 4);
	ck_assert_int_eq(agent_hello(&world, &alice, NULL, NULL), 0);
	ck_assert_int_eq(agent_prove(&world, &alice, &problem), ERR_BAD_PROOF);
	ck_assert_ptr_nonnull(strstr(problem.detail, "number"));
}
END_TEST

/* The same key, said to be one that was handed over. */
static void
say_assigned(struct agent *agent, const char *name)
{
	char folder[128], key[160];
	const struct identity_options options = { .folder = folder,
		.class_ = PROOF_ASSIGNED,
		.key_file = key };

	snprintf(key, sizeof(key), "%s/%s/device.key", world.dir, name);
	snprintf(folder, sizeof(folder), "%s/%s-assigned", world.dir, name);
	identity_close(agent->identity);
	ck_assert_int_eq(identity_open_with(&agent->identity, &options), 0);
}

START_TEST(proof_of_another_class_is_refused)
{
	agent_enroll(&world, &alice, "alice", 1);
	say_assigned(&alice, "alice");
	agent_connect(&world, &alice, 2);
	ck_assert_int_eq(agent_hello(&world, &alice, NULL, NULL), 0);
	ck_assert_int_eq(agent_prove(&world, &alice, NULL), ERR_BAD_PROOF);
}
END_TEST

START_TEST(device_that_was_never_enrolled_is_told)
{
	struct problem problem;

	agent_enroll(&world, &alice, "alice", 1);
	alice.device += 7;
	agent_connect(&world, &alice, 2);
	ck_assert_int_eq(agent_hello(&world, &alice, NULL, NULL), 0);
	ck_assert_int_eq(agent_prove(&world, &alice, &problem),
	    ERR_UNKNOWN_DEVICE);
	ck_assert_ptr_nonnull(strstr(problem.hint, "leasehold enroll"));
}
END_TEST

START_TEST(proof_that_cannot_be_read_is_refused)
{
	struct buf garbage = { 0 };
	struct problem problem;
	struct prove_reply reply;
	struct enroll_reply enrolled;

	agent_enroll(&world, &alice, "alice", 1);
	agent_connect(&world, &alice, 2);
	ck_assert_int_eq(agent_hello(&world, &alice, NULL, NULL), 0);
	buf_add(&garbage, "\xc1", 1);
	front_write(&world, WIRE_REQUEST, OP_SESSION_PROVE, 2, ++world.tag,
	    &garbage);
	ck_assert_int_ne(front_answer(&world, &reply, OP_SESSION_PROVE,
			     world.tag, &problem),
	    0);
	front_write(&world, WIRE_REQUEST, OP_DEVICE_ENROLL, 2, ++world.tag,
	    &garbage);
	ck_assert_int_ne(front_answer(&world, &enrolled, OP_DEVICE_ENROLL,
			     world.tag, &problem),
	    0);
	buf_release(&garbage);
	/* And the process goes on. */
	ck_assert_int_eq(agent_prove(&world, &alice, NULL), 0);
}
END_TEST

/* A third of the shortest span, which is that of its lease. */
START_TEST(device_renews_as_often_as_its_leases_ask)
{
	struct prove prove = { 0 };
	struct prove_reply reply;
	struct checkout_reply granted;

	install_license(&world, "short", 3, 60, 300);
	agent_enroll(&world, &alice, "alice", 1);
	ck_assert_int_eq(agent_checkout(&world, &granted, &alice, "short",
			     NULL),
	    0);
	agent_connect(&world, &alice, 2);
	ck_assert_int_eq(agent_hello(&world, &alice, NULL, NULL), 0);
	agent_proof(&prove.proof, &world, &alice, PROOF_LOGIN, NULL);
	ck_assert_int_eq(agent_ask(&world, &reply, 2, OP_SESSION_PROVE, &prove,
			     NULL),
	    0);
	ck_assert_uint_eq(reply.renew_s, 20);
}
END_TEST

/* --- enrolment ------------------------------------------------------------ */

/* All but what a case bends; the token is good for many. */
static int
enroll_as(struct identity *identity, struct agent *agent, uint32_t class_,
    const char *over, struct enroll_reply *reply)
{
	const struct join_create create = { .uses = 1,
		.valid_s = 600,
		.approved = true };
	struct enroll enroll = { .class_ = class_, .name = "x", .host = "x" };
	uint8_t public_key[PROOF_KEY_MAX], digest[32];
	struct join_created created;
	int rc;

	ck_assert_int_eq(admin_do(&world, &created, OP_JOIN_CREATE, &create),
	    0);
	char *join = strndup(created.token.data, created.token.len);

	if (over == NULL)
		over = join;
	crypto_hash_sha256(digest, (const uint8_t *)over, strlen(over));
	ck_assert_int_eq(agent_hello(&world, agent, NULL, NULL), 0);
	agent_proof(&enroll.proof, &world, agent, PROOF_ENROLL, digest);
	enroll.join = (struct record_span){ join, (uint32_t)strlen(join) };
	enroll.public_key.data = public_key;
	enroll.public_key.len = (uint32_t)identity_public(public_key, identity);
	rc = agent_ask(&world, reply, agent->conn, OP_DEVICE_ENROLL, &enroll,
	    NULL);
	free(join);
	return rc;
}

START_TEST(key_is_enrolled_by_who_proves_that_he_has_it)
{
	struct agent mallory = { 0 };
	struct enroll_reply reply;
	char folder[128];

	agent_enroll(&world, &alice, "alice", 1);
	snprintf(folder, sizeof(folder), "%s/mallory", world.dir);
	ck_assert_int_eq(identity_open(&mallory.identity, folder, NULL), 0);
	agent_connect(&world, &mallory, 2);
	/* Another's key. */
	ck_assert_int_eq(enroll_as(alice.identity, &mallory, PROOF_SOFTWARE,
			     NULL, &reply),
	    ERR_BAD_PROOF);
	/* Another class than the proof's. */
	ck_assert_int_eq(enroll_as(mallory.identity, &mallory, PROOF_ASSIGNED,
			     NULL, &reply),
	    ERR_BAD_PROOF);
	/* A proof that was made for another token. */
	ck_assert_int_eq(enroll_as(mallory.identity, &mallory, PROOF_SOFTWARE,
			     "another", &reply),
	    ERR_BAD_PROOF);
	ck_assert_int_eq(enroll_as(mallory.identity, &mallory, PROOF_SOFTWARE,
			     NULL, &reply),
	    0);
	ck_assert_uint_eq(reply.device, alice.device + 1);
	identity_close(mallory.identity);
}
END_TEST

START_TEST(newer_session_closes_the_older)
{
	struct heard heard;

	agent_enroll(&world, &alice, "alice", 1);
	agent_connect(&world, &alice, 2);
	ck_assert_int_eq(agent_hello(&world, &alice, NULL, NULL), 0);
	struct prove prove = { 0 };
	struct buf payload = { 0 };

	agent_proof(&prove.proof, &world, &alice, PROOF_LOGIN, NULL);
	record_write_msgpack(&payload, &prove_record, &prove);
	front_write(&world, WIRE_REQUEST, OP_SESSION_PROVE, 2, 9, &payload);
	buf_release(&payload);
	ck_assert(front_await(&world, &heard, WIRE_CLOSE, 1, ANSWER_MS));
	ck_assert_uint_eq(heard.op, 4001);
	ck_assert(front_await(&world, &heard, WIRE_REPLY, 2, ANSWER_MS));
}
END_TEST

START_TEST(revoked_device_is_shut_out)
{
	struct device_revoke revoke = { .reason = "it was stolen" };
	struct device_number reply;
	struct problem problem;
	struct heard heard;
	struct buf payload = { 0 };
	struct wire_caller caller = { .address = "192.0.2.1",
		.key = { world.key, (uint32_t)strlen(world.key) } };

	agent_enroll(&world, &alice, "alice", 1);
	revoke.device = alice.device;
	record_write_msgpack(&payload, &wire_caller_record, &caller);
	record_write_msgpack(&payload, &device_revoke_record, &revoke);
	front_write(&world, WIRE_CALL, OP_DEVICE_REVOKE, 8, 5, &payload);
	buf_release(&payload);
	ck_assert(front_await(&world, &heard, WIRE_CLOSE, 1, ANSWER_MS));
	ck_assert_int_eq(front_answer(&world, &reply, OP_DEVICE_REVOKE, 5,
			     NULL),
	    0);
	agent_connect(&world, &alice, 2);
	ck_assert_int_eq(agent_hello(&world, &alice, NULL, NULL), 0);
	ck_assert_int_eq(agent_prove(&world, &alice, &problem),
	    ERR_DEVICE_REVOKED);
}
END_TEST

/* --- trouble ------------------------------------------------------------- */

/* Each costs a walk through the store, and a stranger may ask. */
START_TEST(stranger_that_says_hello_without_end_is_closed)
{
	struct problem problem;
	struct heard heard;
	int said = 0, rc;

	agent_connect(&world, &alice, 1);
	while ((rc = agent_hello(&world, &alice, NULL, &problem)) == 0 &&
	    said < 1000)
		said++;
	ck_assert_int_eq(rc, ERR_RATE_LIMITED);
	ck_assert_int_ge(said, 4);
	ck_assert_int_le(said, 64);
	ck_assert(front_await(&world, &heard, WIRE_CLOSE, 1, ANSWER_MS));
	/* The next one is as good as the first. */
	agent_enroll(&world, &bob, "bob", 2);
}
END_TEST

/* A connection's name used again while calls of its first use are under way. */
START_TEST(name_of_a_connection_used_again_does_no_harm)
{
	struct checkout checkout = { .version = "8.1.0", .count = 1 };
	struct checkout_reply granted;
	struct buf payload = { 0 };

	install_license(&world, PRODUCT, 5, 120, 300);
	agent_enroll(&world, &alice, "alice", 1);
	randombytes_buf(checkout.request, sizeof(checkout.request));
	snprintf(checkout.product, sizeof(checkout.product), PRODUCT);
	record_write_msgpack(&payload, &checkout_record, &checkout);
	front_write(&world, WIRE_REQUEST, OP_LEASE_CHECKOUT, 1, 9, &payload);
	buf_release(&payload);
	agent_login(&world, &alice, 1);
	ck_assert_int_eq(agent_checkout(&world, &granted, &alice, PRODUCT,
			     NULL),
	    0);
	ck_assert_int_eq(agent_checkout(&world, &granted, &alice, PRODUCT,
			     NULL),
	    0);
}
END_TEST

Suite *
suite(void)
{
	Suite *suite = suite_create("process_session");
	TCase *sessions = tcase_create("sessions");
	TCase *trouble = tcase_create("trouble");

	tcase_add_test(sessions, hello_shows_the_journal_and_gives_a_nonce);
	tcase_add_test(sessions, other_protocol_is_refused);
	tcase_add_test(sessions, nothing_is_given_before_the_proof);
	tcase_add_test(sessions, admins_operations_are_not_for_agents);
	tcase_add_test(sessions,
	    client_that_saw_a_newer_journal_is_refused_in_words);
	tcase_add_test(sessions, proof_over_another_connection_is_refused);
	tcase_add_test(sessions, counter_that_does_not_rise_is_refused);
	tcase_add_test(sessions, proof_of_another_class_is_refused);
	tcase_add_test(sessions, device_that_was_never_enrolled_is_told);
	tcase_add_test(sessions, proof_that_cannot_be_read_is_refused);
	tcase_add_test(sessions, device_renews_as_often_as_its_leases_ask);
	tcase_add_test(sessions, key_is_enrolled_by_who_proves_that_he_has_it);
	tcase_add_test(sessions, newer_session_closes_the_older);
	tcase_add_test(sessions, revoked_device_is_shut_out);
	tcase_add_test(trouble, stranger_that_says_hello_without_end_is_closed);
	tcase_add_test(trouble, name_of_a_connection_used_again_does_no_harm);
	process_case_add(suite, sessions);
	process_case_add(suite, trouble);
	return suite;
}
