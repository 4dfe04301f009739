/* The ledger process: devices with a TPM enroll in two steps, and proofs are
 * checked beside the loop. */
#include "tests/unit/process_site.h"

#include "tests/unit/suite.h"
#include "tests/unit/tpm_lab.h"

static struct lab_tpm tpm;
static struct proof_trust *trust;
static char *join;
static uint8_t public_key[PROOF_KEY_MAX];
static struct arena shown;

/* A site that knows one maker of chips, and a TPM of his. */
static void
set_up_tpm(void)
{
	struct proof_material material;
	struct join_create create = { .uses = 5, .approved = true };
	struct join_created created;
	struct lab_ca maker;
	char ca[128], issuers[128], folder[128];
	uint8_t der[4096];

	process_world_init(&world);
	process_await_ready(&world);
	snprintf(ca, sizeof(ca), "%s/ca.pem", world.dir);
	snprintf(issuers, sizeof(issuers), "%s/issuers", world.dir);
	lab_ca_new(&maker, "maker", NULL);
	lab_ca_write(&maker, ca);
	lab_ca_list(&maker, issuers, "hardware");
	ck_assert_int_eq(proof_trust_open(&trust, ca, issuers), 0);
	world.options.trust = trust;
	process_stop(&world, SIGTERM);
	process_start(&world);
	process_await_ready(&world);
	memset(&alice, 0, sizeof(alice));
	memset(&bob, 0, sizeof(bob));
	lab_tpm_new(&tpm);
	snprintf(folder, sizeof(folder), "%s/alice", world.dir);
	ck_assert_int_eq(identity_open(&alice.identity, folder, tpm.tcti), 0);
	ck_assert_int_eq(identity_enroll_material(&material, alice.identity,
			     &shown),
	    0);
	size_t len =
	    lab_certify(der, &maker, material.ek.data, material.ek.len, NULL);

	lab_tpm_put_certificate(&tpm, material.ek.len, der, len);
	lab_ca_release(&maker);
	ck_assert_int_eq(identity_bind(alice.identity, world.site.site,
			     "default"),
	    0);
	ck_assert_int_eq(admin_do(&world, &created, OP_JOIN_CREATE, &create),
	    0);
	join = strndup(created.token.data, created.token.len);
}

static void
tear_down_tpm(void)
{
	free(join);
	arena_release(&shown);
	tear_down();
	proof_trust_close(trust);
	lab_tpm_remove(&tpm);
}

/* The first step, on the connection that alice has. */
static int
enroll_with(struct enroll_reply *reply, const char *token,
    struct problem *problem)
{
	struct enroll enroll = { .class_ = PROOF_TPM, .name = "ws" };
	uint8_t digest[32];

	alice.device = 0;
	ck_assert_int_eq(agent_hello(&world, &alice, NULL, NULL), 0);
	crypto_hash_sha256(digest, (const uint8_t *)token, strlen(token));
	agent_proof(&enroll.proof, &world, &alice, PROOF_ENROLL, digest);
	enroll.join = (struct record_span){ token, (uint32_t)strlen(token) };
	enroll.public_key.data = public_key;
	enroll.public_key.len =
	    (uint32_t)identity_public(public_key, alice.identity);
	ck_assert_int_eq(identity_enroll_material(&enroll.material,
			     alice.identity, &shown),
	    0);
	return agent_ask(&world, reply, alice.conn, OP_DEVICE_ENROLL, &enroll,
	    problem);
}

/* The answer that alice's TPM finds. */
static void
solve(struct enroll_activate *activate, const struct enroll_reply *reply)
{
	ck_assert_uint_eq(reply->device, 0);
	ck_assert_uint_gt(reply->challenge.credential.len, 0);
	ck_assert_int_eq(identity_challenge_answer(activate->secret,
			     alice.identity, &reply->challenge),
	    0);
}

static int
activate_with(struct enroll_reply *reply,
    const struct enroll_activate *activate)
{
	return agent_ask(&world, reply, alice.conn, OP_DEVICE_ACTIVATE,
	    activate, NULL);
}

static uint64_t
count_devices(void)
{
	const struct empty empty = { 0 };
	struct site_view site;

	ck_assert_int_eq(admin_do(&world, &site, OP_SITE_SHOW, &empty), 0);
	return site.devices;
}

START_TEST(tpm_enrolls_by_answering_a_challenge)
{
	struct enroll_activate activate;
	struct enroll_reply reply;

	agent_connect(&world, &alice, 1);
	ck_assert_int_eq(enroll_with(&reply, join, NULL), 0);
	ck_assert_uint_eq(reply.class_, PROOF_TPM);
	solve(&activate, &reply);
	ck_assert_uint_eq(count_devices(), 0);
	ck_assert_int_eq(activate_with(&reply, &activate), 0);
	ck_assert_uint_eq(reply.device, 1);
	ck_assert_uint_eq(reply.class_, PROOF_TPM);
	ck_assert_uint_eq(count_devices(), 1);
	alice.device = 1;
	ck_assert_int_eq(agent_hello(&world, &alice, NULL, NULL), 0);
	ck_assert_int_eq(agent_prove(&world, &alice, NULL), 0);
	/* It was good once. */
	ck_assert_int_eq(activate_with(&reply, &activate), ERR_GONE);
}
END_TEST

START_TEST(wrong_answer_uses_the_challenge_up)
{
	struct enroll_activate activate, wrong = { .secret = { 1 } };
	struct enroll_reply reply;

	agent_connect(&world, &alice, 1);
	ck_assert_int_eq(enroll_with(&reply, join, NULL), 0);
	solve(&activate, &reply);
	ck_assert_int_eq(activate_with(&reply, &wrong), ERR_BAD_PROOF);
	ck_assert_int_eq(activate_with(&reply, &activate), ERR_GONE);
	ck_assert_uint_eq(count_devices(), 0);
}
END_TEST

START_TEST(challenge_ends_with_its_connection_and_the_next_hello)
{
	struct enroll_activate activate;
	struct enroll_reply reply;

	agent_connect(&world, &alice, 1);
	ck_assert_int_eq(activate_with(&reply, &activate), ERR_GONE);
	ck_assert_int_eq(enroll_with(&reply, join, NULL), 0);
	solve(&activate, &reply);
	ck_assert_int_eq(agent_hello(&world, &alice, NULL, NULL), 0);
	ck_assert_int_eq(activate_with(&reply, &activate), ERR_GONE);
	ck_assert_int_eq(enroll_with(&reply, join, NULL), 0);
	solve(&activate, &reply);
	front_write(&world, WIRE_CLOSED, 0, 1, 0, NULL);
	agent_connect(&world, &alice, 2);
	ck_assert_int_eq(activate_with(&reply, &activate), ERR_GONE);
	ck_assert_uint_eq(count_devices(), 0);
}
END_TEST

START_TEST(stranger_without_a_token_gets_no_challenge)
{
	struct enroll_reply reply;
	struct problem problem;
	char *forged = strdup(join);

	forged[strlen(forged) - 8] ^= 1;
	agent_connect(&world, &alice, 1);
	ck_assert_int_eq(enroll_with(&reply, forged, &problem), ERR_BAD_PROOF);
	ck_assert_ptr_nonnull(strstr(problem.hint, "leasehold join create"));
	free(forged);
}
END_TEST

START_TEST(who_is_proved_proves_nothing_more)
{
	const struct empty nothing = { 0 };
	struct borrow_challenge challenge;

	agent_enroll(&world, &bob, "bob", 3);
	ck_assert_int_eq(agent_ask(&world, &challenge, 3, OP_BORROW_CHALLENGE,
			     &nothing, NULL),
	    0);
	memcpy(bob.nonce, challenge.nonce, sizeof(bob.nonce));
	ck_assert_int_eq(agent_prove(&world, &bob, NULL), ERR_CONFLICT);
	/* Its session lives. */
	ck_assert_int_eq(agent_ask(&world, &challenge, 3, OP_BORROW_CHALLENGE,
			     &nothing, NULL),
	    0);
}
END_TEST

/* Messages without an answer, while the first proof may be checked still. */
START_TEST(connection_that_closes_while_its_proof_is_checked_is_over)
{
	struct prove prove = { 0 };
	struct buf payload = { 0 };

	agent_enroll(&world, &bob, "bob", 3);
	for (uint64_t conn = 10; conn < 40; conn++) {
		agent_connect(&world, &bob, conn);
		ck_assert_int_eq(agent_hello(&world, &bob, NULL, NULL), 0);
		agent_proof(&prove.proof, &world, &bob, PROOF_LOGIN, NULL);
		buf_clear(&payload);
		record_write_msgpack(&payload, &prove_record, &prove);
		front_write(&world, WIRE_REQUEST, OP_SESSION_PROVE, conn,
		    1000000 + conn, &payload);
		front_write(&world, WIRE_CLOSED, 0, conn, 0, NULL);
	}
	buf_release(&payload);
	ck_assert_uint_eq(count_devices(), 1);
}
END_TEST

Suite *
suite(void)
{
	Suite *suite = suite_create("process_enroll");
	TCase *t = tcase_create("process_enroll");

	tcase_set_timeout(t, PROCESS_TEST_S);
	tcase_add_checked_fixture(t, set_up_tpm, tear_down_tpm);
	tcase_add_test(t, tpm_enrolls_by_answering_a_challenge);
	tcase_add_test(t, wrong_answer_uses_the_challenge_up);
	tcase_add_test(t,
	    challenge_ends_with_its_connection_and_the_next_hello);
	tcase_add_test(t, stranger_without_a_token_gets_no_challenge);
	tcase_add_test(t, who_is_proved_proves_nothing_more);
	tcase_add_test(t,
	    connection_that_closes_while_its_proof_is_checked_is_over);
	suite_add_tcase(suite, t);
	return suite;
}
