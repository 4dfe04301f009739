/* The ledger process: what a proof must be over before anything is lent, and
 * the way of a borrow from the challenge to the return. */
#include "tests/unit/process_site.h"

#include "shared/journal/ticket.h"
#include "tests/unit/process_queue.h"
#include "tests/unit/suite.h"

#define DAY_S 86400

static struct site_view site;

static void
set_up_loans(void)
{
	static struct license_class classes[] = { { PROOF_SOFTWARE } };
	const struct empty empty = { 0 };

	set_up();
	world.borrow_classes = (struct record_list){ classes, 1 };
	install_license(&world, PRODUCT, 2, 120, 300);
	ck_assert_int_eq(admin_do(&world, &site, OP_SITE_SHOW, &empty), 0);
	agent_enroll(&world, &alice, "alice", 1);
}

/* What a proof is over, as the keeper knows it. */
static struct proof_subject
subject_of(const struct agent *agent, const uint8_t nonce[32])
{
	struct proof_subject subject = { .purpose = PROOF_BORROW,
		.site = world.site.site,
		.tenant = "default",
		.device = agent->device };

	memcpy(subject.nonce, nonce, sizeof(subject.nonce));
	memcpy(subject.exporter, agent->exporter, sizeof(subject.exporter));
	return subject;
}

static void
challenge(struct borrow_challenge *out, const struct agent *agent)
{
	const struct empty empty = { 0 };

	ck_assert_int_eq(agent_ask(&world, out, agent->conn,
			     OP_BORROW_CHALLENGE, &empty, NULL),
	    0);
}

/* All but the proof. */
static struct borrow_take
new_take(const struct agent *agent)
{
	struct borrow_take take = { .length_s = DAY_S };
	struct borrow_challenge nonce;

	challenge(&nonce, agent);
	randombytes_buf(take.ask.request, sizeof(take.ask.request));
	memcpy(take.ask.nonce, nonce.nonce, sizeof(take.ask.nonce));
	text_copy(take.ask.product, sizeof(take.ask.product), PRODUCT);
	text_copy(take.ask.version, sizeof(take.ask.version), "8.1.0");
	text_copy(take.ask.user, sizeof(take.ask.user), "alice");
	return take;
}

static void
prove_take(struct borrow_take *take, const struct agent *agent)
{
	struct proof_subject subject = subject_of(agent, take->ask.nonce);

	ck_assert_int_eq(borrow_take_digest(subject.request_digest, take), 0);
	ck_assert_int_eq(proof_make(&take->proof, agent->identity, &subject),
	    0);
}

static int
send_take(const struct agent *agent, const struct borrow_take *take,
    struct borrow_taken *taken)
{
	return agent_ask(&world, taken, agent->conn, OP_BORROW_TAKE, take,
	    NULL);
}

static uint64_t
take_one(const struct agent *agent)
{
	struct borrow_take take = new_take(agent);
	struct borrow_taken taken;

	prove_take(&take, agent);
	ck_assert_int_eq(send_take(agent, &take, &taken), 0);
	return taken.lease;
}

static void
prove_return(uint8_t nonce[32], struct proof *proof, const struct agent *agent)
{
	struct proof_subject subject;

	randombytes_buf(nonce, 32);
	ticket_return_subject(&subject, world.site.site, "default",
	    agent->device, nonce);
	ck_assert_int_eq(proof_make(proof, agent->identity, &subject), 0);
}

/* --- what a proof is over ------------------------------------------------- */

START_TEST(lent_seat_has_a_ticket_that_a_library_can_check)
{
	struct borrow_take take = new_take(&alice);
	struct borrow_taken taken;
	const struct borrow_mine mine = { 0 };
	struct borrow_tickets tickets;
	struct journal_header header;
	struct proof_subject subject;
	struct proof proof;
	uint8_t head[32], nonce[32] = { 7 };
	struct row row;

	prove_take(&take, &alice);
	ck_assert_int_eq(send_take(&alice, &take, &taken), 0);
	ck_assert_int_eq(agent_ask(&world, &tickets, 1, OP_BORROW_MINE, &mine,
			     NULL),
	    0);
	ck_assert_uint_eq(tickets.items.count, 1);
	const struct borrow_evidence *e = tickets.items.items;

	ck_assert_int_eq(journal_header_verify(&header, head, e->header.data,
			     e->header.len, site.site_key),
	    0);
	ck_assert_int_eq(journal_row_verify(&header, e->row_number, e->row.data,
			     e->row.len, e->path.data, e->path.len / 32),
	    0);
	ck_assert_int_eq(row_read(&row, e->row_number, e->row.data, e->row.len,
			     &world.arena),
	    0);
	ck_assert_int_eq(row.kind, ROW_BORROWED);
	ck_assert_uint_eq(row.u.borrowed.grant.lease, taken.lease);
	ck_assert_int_eq(row.u.borrowed.ticket.until, taken.until);
	/* The key in it is the device's. */
	ticket_subject(&subject, site.site, site.tenant, alice.device, nonce,
	    e->row.data, e->row.len);
	ck_assert_int_eq(proof_make(&proof, alice.identity, &subject), 0);
	ck_assert_int_eq(proof_verify(&proof, &subject,
			     row.u.borrowed.ticket.public_key.data,
			     row.u.borrowed.ticket.public_key.len),
	    0);
	ck_assert_uint_eq(proof.counter, row.u.borrowed.ticket.epoch);
}
END_TEST

START_TEST(nonce_is_good_for_one_proof)
{
	struct borrow_take take = new_take(&alice);
	struct borrow_taken taken;

	prove_take(&take, &alice);
	ck_assert_int_eq(send_take(&alice, &take, &taken), 0);
	ck_assert_int_eq(send_take(&alice, &take, &taken), ERR_BAD_PROOF);
	/* Nor is one that nobody was given. */
	randombytes_buf(take.ask.nonce, sizeof(take.ask.nonce));
	prove_take(&take, &alice);
	ck_assert_int_eq(send_take(&alice, &take, &taken), ERR_BAD_PROOF);
	/* A proof that failed used its nonce up. */
	take = new_take(&alice);
	prove_take(&take, &alice);
	take.proof.signature[0] ^= 1;
	ck_assert_int_eq(send_take(&alice, &take, &taken), ERR_BAD_PROOF);
	prove_take(&take, &alice);
	ck_assert_int_eq(send_take(&alice, &take, &taken), ERR_BAD_PROOF);
}
END_TEST

START_TEST(nonce_of_ones_own_is_none)
{
	struct borrow_take take = new_take(&alice);
	struct borrow_taken taken;

	/* One was given, and this is another. */
	take.ask.nonce[31] ^= 1;
	prove_take(&take, &alice);
	ck_assert_int_eq(send_take(&alice, &take, &taken), ERR_BAD_PROOF);
	/* None is given any more, and none is not zero. */
	memset(take.ask.nonce, 0, sizeof(take.ask.nonce));
	prove_take(&take, &alice);
	ck_assert_int_eq(send_take(&alice, &take, &taken), ERR_BAD_PROOF);
}
END_TEST

START_TEST(proof_for_another_request_or_connection_lends_nothing)
{
	struct borrow_take take = new_take(&alice);
	struct borrow_taken taken;
	struct agent other = alice;

	prove_take(&take, &alice);
	take.length_s++;
	ck_assert_int_eq(send_take(&alice, &take, &taken), ERR_BAD_PROOF);
	take = new_take(&alice);
	prove_take(&take, &alice);
	take.ask.count = 2;
	ck_assert_int_eq(send_take(&alice, &take, &taken), ERR_BAD_PROOF);
	/* Relayed: made over another TLS connection. */
	take = new_take(&alice);
	memset(other.exporter, 1, sizeof(other.exporter));
	prove_take(&take, &other);
	ck_assert_int_eq(send_take(&alice, &take, &taken), ERR_BAD_PROOF);
}
END_TEST

START_TEST(proof_for_another_purpose_lends_nothing)
{
	struct borrow_take take = new_take(&alice);
	struct proof_subject subject = subject_of(&alice, take.ask.nonce);
	struct borrow_taken taken;

	subject.purpose = PROOF_LOGIN;
	ck_assert_int_eq(borrow_take_digest(subject.request_digest, &take), 0);
	ck_assert_int_eq(proof_make(&take.proof, alice.identity, &subject), 0);
	ck_assert_int_eq(send_take(&alice, &take, &taken), ERR_BAD_PROOF);
	/* What an application may have: its nonce is the site's. */
	take = new_take(&alice);
	ticket_subject(&subject, site.site, site.tenant, alice.device,
	    take.ask.nonce, "row", 3);
	ck_assert_int_eq(proof_make(&take.proof, alice.identity, &subject), 0);
	ck_assert_int_eq(send_take(&alice, &take, &taken), ERR_BAD_PROOF);
}
END_TEST

START_TEST(proof_of_another_device_gives_nothing_back)
{
	struct borrow_return back;
	struct borrow_returned returned;

	take_one(&alice);
	agent_enroll(&world, &bob, "bob", 2);
	ck_assert_int_eq(identity_counter_raise(bob.identity, 2), 0);
	struct agent liar = alice;

	liar.identity = bob.identity;
	prove_return(back.nonce, &back.proof, &liar);
	ck_assert_int_eq(agent_ask(&world, &returned, 1, OP_BORROW_RETURN,
			     &back, NULL),
	    ERR_BAD_PROOF);
	/* And a number that nobody signed, none either. */
	prove_return(back.nonce, &back.proof, &alice);
	back.proof.counter++;
	ck_assert_int_eq(agent_ask(&world, &returned, 1, OP_BORROW_RETURN,
			     &back, NULL),
	    ERR_BAD_PROOF);
}
END_TEST

/* --- the way of a borrow -------------------------------------------------- */

START_TEST(seat_comes_back_when_the_raised_counter_is_proved)
{
	uint64_t lease = take_one(&alice);
	struct lease_ref ref = { lease };
	struct borrow_prepare prepare = { .leases = { &ref, 1 } };
	struct borrow_prepared prepared;
	struct borrow_return back;
	struct borrow_returned returned;
	struct checkout_reply granted;

	take_one(&alice);
	ck_assert_int_eq(agent_checkout(&world, &granted, &alice, PRODUCT,
			     NULL),
	    ERR_NO_SEATS);
	prove_return(prepare.nonce, &prepare.proof, &alice);
	ck_assert_int_eq(agent_ask(&world, &prepared, 1, OP_BORROW_PREPARE,
			     &prepare, NULL),
	    0);
	ck_assert_uint_eq(prepared.epoch, 2);
	prove_return(back.nonce, &back.proof, &alice);
	ck_assert_int_eq(agent_ask(&world, &returned, 1, OP_BORROW_RETURN,
			     &back, NULL),
	    0);
	ck_assert_uint_eq(returned.ended, 0);
	ck_assert_int_eq(identity_counter_raise(alice.identity, 2), 0);
	prove_return(back.nonce, &back.proof, &alice);
	ck_assert_int_eq(agent_ask(&world, &returned, 1, OP_BORROW_RETURN,
			     &back, NULL),
	    0);
	ck_assert_uint_eq(returned.ended, 1);
	ck_assert_uint_eq(returned.left, 1);
	ck_assert_int_eq(agent_checkout(&world, &granted, &alice, PRODUCT,
			     NULL),
	    0);
}
END_TEST

START_TEST(extension_is_proved_like_a_borrow)
{
	struct borrow_extend extend = { .lease = take_one(&alice),
		.length_s = 2 * DAY_S };
	struct borrow_challenge nonce;
	struct proof_subject subject;
	struct borrow_taken taken;

	challenge(&nonce, &alice);
	memcpy(extend.nonce, nonce.nonce, sizeof(extend.nonce));
	subject = subject_of(&alice, extend.nonce);
	ck_assert_int_eq(borrow_extend_digest(subject.request_digest, &extend),
	    0);
	ck_assert_int_eq(proof_make(&extend.proof, alice.identity, &subject),
	    0);
	extend.length_s++;
	ck_assert_int_eq(agent_ask(&world, &taken, 1, OP_BORROW_EXTEND, &extend,
			     NULL),
	    ERR_BAD_PROOF);
	extend.length_s--;
	challenge(&nonce, &alice);
	memcpy(extend.nonce, nonce.nonce, sizeof(extend.nonce));
	subject = subject_of(&alice, extend.nonce);
	ck_assert_int_eq(borrow_extend_digest(subject.request_digest, &extend),
	    0);
	ck_assert_int_eq(proof_make(&extend.proof, alice.identity, &subject),
	    0);
	ck_assert_int_eq(agent_ask(&world, &taken, 1, OP_BORROW_EXTEND, &extend,
			     NULL),
	    0);
}
END_TEST

START_TEST(file_is_taken_from_whoever_brings_it)
{
	struct borrow_file file = { .device = alice.device, .made_at = 1 };
	struct borrow_returned returned;
	struct problem problem;

	take_one(&alice);
	ck_assert_int_eq(identity_counter_raise(alice.identity, 2), 0);
	prove_return(file.nonce, &file.proof, &alice);
	text_copy(file.site, sizeof(file.site), "site-other");
	text_copy(file.tenant, sizeof(file.tenant), "default");
	ck_assert_int_eq(admin_ask(&world, &returned, world.key, "192.0.2.1",
			     OP_BORROW_DELIVER, &file, &problem),
	    ERR_BAD_REQUEST);
	text_copy(file.site, sizeof(file.site), world.site.site);
	text_copy(file.tenant, sizeof(file.tenant), "other");
	ck_assert_int_eq(admin_ask(&world, &returned, world.key, "192.0.2.1",
			     OP_BORROW_DELIVER, &file, &problem),
	    ERR_BAD_REQUEST);
	ck_assert_ptr_nonnull(strstr(problem.detail, "tenant other"));
	text_copy(file.tenant, sizeof(file.tenant), "default");
	file.nonce[0] ^= 1;
	ck_assert_int_eq(admin_do(&world, &returned, OP_BORROW_DELIVER, &file),
	    ERR_BAD_PROOF);
	file.nonce[0] ^= 1;
	file.device++;
	ck_assert_int_eq(admin_do(&world, &returned, OP_BORROW_DELIVER, &file),
	    ERR_UNKNOWN_DEVICE);
	file.device--;
	ck_assert_int_eq(admin_do(&world, &returned, OP_BORROW_DELIVER, &file),
	    0);
	ck_assert_uint_eq(returned.ended, 1);
	ck_assert_int_eq(admin_do(&world, &returned, OP_BORROW_DELIVER, &file),
	    0);
	ck_assert_uint_eq(returned.ended, 0);
}
END_TEST

START_TEST(file_of_a_revoked_device_is_as_true_as_before)
{
	const struct device_revoke revoke = { .device = alice.device,
		.reason = "it was sold" };
	struct borrow_file file = { .device = alice.device, .made_at = 1 };
	struct borrow_returned returned;
	struct device_view view;

	take_one(&alice);
	ck_assert_int_eq(identity_counter_raise(alice.identity, 2), 0);
	prove_return(file.nonce, &file.proof, &alice);
	text_copy(file.site, sizeof(file.site), world.site.site);
	text_copy(file.tenant, sizeof(file.tenant), "default");
	ck_assert_int_eq(admin_do(&world, &view, OP_DEVICE_REVOKE, &revoke), 0);
	/* The borrow was given up with the device; what is owed is proved. */
	ck_assert_int_eq(admin_do(&world, &returned, OP_BORROW_DELIVER, &file),
	    0);
	ck_assert_uint_eq(returned.counter, 2);
}
END_TEST

/* The key of the device, said to be one that was handed over. */
START_TEST(proof_of_another_class_gives_nothing_back)
{
	char folder[128], key[160];
	const struct identity_options options = { .folder = folder,
		.class_ = PROOF_ASSIGNED,
		.key_file = key };
	struct agent liar = alice;
	struct borrow_return back;
	struct borrow_returned returned;

	take_one(&alice);
	snprintf(key, sizeof(key), "%s/alice/device.key", world.dir);
	snprintf(folder, sizeof(folder), "%s/assigned", world.dir);
	ck_assert_int_eq(identity_open_with(&liar.identity, &options), 0);
	ck_assert_int_eq(identity_counter_raise(liar.identity, 2), 0);
	prove_return(back.nonce, &back.proof, &liar);
	ck_assert_int_eq(agent_ask(&world, &returned, 1, OP_BORROW_RETURN,
			     &back, NULL),
	    ERR_BAD_PROOF);
	identity_close(liar.identity);
}
END_TEST

START_TEST(borrow_outlives_the_site_and_no_deadline_ends_it)
{
	uint64_t lease = take_one(&alice);
	struct borrow_query query = { 0 };
	struct borrow_page page;
	struct lease_query leases = { 0 };
	struct lease_page held;

	process_stop(&world, SIGKILL);
	process_start(&world);
	process_await_ready(&world);
	ck_assert_int_eq(admin_do(&world, &page, OP_BORROW_LIST, &query), 0);
	ck_assert_uint_eq(page.items.count, 1);
	ck_assert_uint_eq(((struct borrow_view *)page.items.items)->lease,
	    lease);
	/* It stands among the leases too, and says how long. */
	ck_assert_int_eq(admin_do(&world, &held, OP_LEASE_LIST, &leases), 0);
	ck_assert_uint_eq(held.items.count, 1);
	const struct lease_view *view = held.items.items;

	ck_assert_int_gt(view->until, clock_wall_ms());
	ck_assert_uint_gt(view->left_s, DAY_S - 60);
}
END_TEST

START_TEST(admin_gives_up_a_borrow)
{
	uint64_t lease = take_one(&alice);
	struct borrow_write_off request = { lease, false };
	struct borrow_written_off written_off;
	struct borrow_tickets tickets;
	const struct borrow_mine mine = { 0 };

	ck_assert_int_eq(admin_do(&world, &written_off, OP_BORROW_WRITE_OFF,
			     &request),
	    0);
	ck_assert_int_gt(written_off.until, clock_wall_ms());
	ck_assert_int_eq(admin_do(&world, &written_off, OP_BORROW_WRITE_OFF,
			     &request),
	    ERR_GONE);
	ck_assert_int_eq(agent_ask(&world, &tickets, 1, OP_BORROW_MINE, &mine,
			     NULL),
	    0);
	ck_assert_uint_eq(tickets.items.count, 0);
	ck_assert_uint_eq(tickets.owed, 1);
}
END_TEST

START_TEST(nobody_borrows_what_others_wait_for)
{
	struct borrow_take take;
	struct borrow_taken taken;
	uint64_t first = take_one(&alice);

	take_one(&alice);
	agent_enroll(&world, &bob, "bob", 2);
	wait_at(&bob, 'b', 600, 1, 1);
	ck_assert_uint_ne(first, 0);
	take = new_take(&alice);
	prove_take(&take, &alice);
	ck_assert_int_eq(send_take(&alice, &take, &taken), ERR_NO_SEATS);
	/* A seat comes back, and is on offer to Bob. */
	struct borrow_prepare prepare = { .all = true };
	struct borrow_prepared prepared;
	struct borrow_return back;
	struct borrow_returned returned;
	struct heard heard;

	prove_return(prepare.nonce, &prepare.proof, &alice);
	ck_assert_int_eq(agent_ask(&world, &prepared, 1, OP_BORROW_PREPARE,
			     &prepare, NULL),
	    0);
	ck_assert_int_eq(identity_counter_raise(alice.identity, prepared.epoch),
	    0);
	prove_return(back.nonce, &back.proof, &alice);
	ck_assert_int_eq(agent_ask(&world, &returned, 1, OP_BORROW_RETURN,
			     &back, NULL),
	    0);
	ck_assert(front_await(&world, &heard, WIRE_NOTICE, 2, ANSWER_MS));
	ck_assert_uint_eq(heard.op, OP_LEASE_OFFERED);
	take = new_take(&alice);
	take.ask.count = 2;
	prove_take(&take, &alice);
	ck_assert_int_eq(send_take(&alice, &take, &taken), ERR_NO_SEATS);
	take_one(&alice);
}
END_TEST

/* --- what the site says of itself ------------------------------------------ */

static uint64_t
ticks(void)
{
	const struct empty empty = { 0 };

	ck_assert_int_eq(admin_do(&world, &site, OP_SITE_SHOW, &empty), 0);
	return site.ticks;
}

/* A store from before a borrow, a return or what was given up is the older one
 * by its counter, as soon as anybody was told. */
START_TEST(site_counts_on_before_it_answers)
{
	struct borrow_return back;
	struct borrow_returned returned;
	const struct lease_query all = { .limit = 10 };
	struct lease_page held;

	process_stop(&world, SIGTERM);
	world.options.tick_asked_ms = 1;
	process_start(&world);
	process_await_ready(&world);
	agent_login(&world, &alice, 1);
	uint64_t before = ticks();
	uint64_t lease = take_one(&alice);
	uint64_t lent = ticks();

	ck_assert_uint_gt(lent, before);
	/* Its keeper takes it for no lease that nobody holds. */
	ck_assert_int_eq(agent_ask(&world, &held, 1, OP_LEASE_MINE, &all, NULL),
	    0);
	ck_assert_uint_eq(held.items.count, 0);
	ck_assert_int_eq(identity_counter_raise(alice.identity, 2), 0);
	prove_return(back.nonce, &back.proof, &alice);
	ck_assert_int_eq(agent_ask(&world, &returned, 1, OP_BORROW_RETURN,
			     &back, NULL),
	    0);
	ck_assert_uint_eq(returned.ended, 1);
	uint64_t taken_back = ticks();

	ck_assert_uint_gt(taken_back, lent);
	struct borrow_write_off request = { take_one(&alice), false };
	struct borrow_written_off written_off;

	ck_assert_uint_gt(request.lease, lease);
	uint64_t again = ticks();

	ck_assert_int_eq(admin_do(&world, &written_off, OP_BORROW_WRITE_OFF,
			     &request),
	    0);
	ck_assert_uint_gt(ticks(), again);
}
END_TEST

Suite *
suite(void)
{
	Suite *s = suite_create("process_borrow");
	TCase *proofs = tcase_create("proofs");
	TCase *way = tcase_create("way");

	tcase_add_checked_fixture(proofs, set_up_loans, tear_down);
	tcase_add_checked_fixture(way, set_up_loans, tear_down);
	tcase_set_timeout(proofs, PROCESS_TEST_S);
	tcase_set_timeout(way, PROCESS_TEST_S);
	tcase_add_test(proofs, lent_seat_has_a_ticket_that_a_library_can_check);
	tcase_add_test(proofs, nonce_is_good_for_one_proof);
	tcase_add_test(proofs, nonce_of_ones_own_is_none);
	tcase_add_test(proofs,
	    proof_for_another_request_or_connection_lends_nothing);
	tcase_add_test(proofs, proof_for_another_purpose_lends_nothing);
	tcase_add_test(proofs, proof_of_another_device_gives_nothing_back);
	tcase_add_test(way, seat_comes_back_when_the_raised_counter_is_proved);
	tcase_add_test(way, extension_is_proved_like_a_borrow);
	tcase_add_test(way, file_is_taken_from_whoever_brings_it);
	tcase_add_test(way, file_of_a_revoked_device_is_as_true_as_before);
	tcase_add_test(way, proof_of_another_class_gives_nothing_back);
	tcase_add_test(way, borrow_outlives_the_site_and_no_deadline_ends_it);
	tcase_add_test(way, admin_gives_up_a_borrow);
	tcase_add_test(way, nobody_borrows_what_others_wait_for);
	tcase_add_test(way, site_counts_on_before_it_answers);
	suite_add_tcase(s, proofs);
	suite_add_tcase(s, way);
	return s;
}
