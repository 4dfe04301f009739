/* The ledger process with a front played by the test. */
#include "tests/unit/process_world.h"

#include "appliance/ledger/ledger.h"
#include "shared/base/text.h"
#include "tests/unit/suite.h"

#define PRODUCT "davinci"

static struct process_world world;
static struct agent alice, bob;

static void
set_up(void)
{
	process_world_init(&world);
	process_await_ready(&world);
	memset(&alice, 0, sizeof(alice));
	memset(&bob, 0, sizeof(bob));
}

static void
tear_down(void)
{
	identity_close(alice.identity);
	identity_close(bob.identity);
	process_world_free(&world);
}

static int
renew_one(struct renew_reply *reply, const struct agent *agent, uint64_t lease,
    const uint8_t nonce[32])
{
	struct renew_item item = { .lease = lease };
	struct renew renew = { .leases = { &item, 1 } };

	memcpy(item.nonce, nonce, sizeof(item.nonce));
	return agent_ask(&world, reply, agent->conn, OP_LEASE_RENEW, &renew,
	    NULL);
}

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
	ck_assert_ptr_nonnull(strstr(problem.detail, "counter"));
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
	struct device_number number, reply;
	struct problem problem;
	struct heard heard;
	struct buf payload = { 0 };
	struct wire_caller caller = { .address = "192.0.2.1",
		.key = { world.key, (uint32_t)strlen(world.key) } };

	agent_enroll(&world, &alice, "alice", 1);
	number.device = alice.device;
	record_write_msgpack(&payload, &wire_caller_record, &caller);
	record_write_msgpack(&payload, &device_number_record, &number);
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

/* --- leases -------------------------------------------------------------- */

START_TEST(one_beat_renews_all_and_refuses_what_is_gone)
{
	struct checkout_reply granted[2];
	struct renew_item items[3];
	struct renew renew = { .leases = { items, 3 } };
	struct renew_reply reply;
	struct journal_beat beat;
	struct record_error error;
	struct site_view site;
	const struct empty empty = { 0 };

	install_license(&world, PRODUCT, 5, 120, 300);
	ck_assert_int_eq(admin_do(&world, &site, OP_SITE_SHOW, &empty), 0);
	agent_enroll(&world, &alice, "alice", 1);
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(agent_checkout(&world, &granted[i], &alice,
				     PRODUCT, NULL),
		    0);
	randombytes_buf(items, sizeof(items));
	items[0].lease = granted[0].lease;
	items[1].lease = 4711; /* nobody's */
	items[2].lease = granted[1].lease;
	ck_assert_int_eq(agent_ask(&world, &reply, 1, OP_LEASE_RENEW, &renew,
			     NULL),
	    0);
	ck_assert_uint_eq(reply.refused.count, 1);
	ck_assert_uint_eq(((struct lease_refused *)reply.refused.items)->lease,
	    4711);
	ck_assert_int_eq(license_document_read(&beat, &journal_beat_record,
			     TOKEN_BEAT, reply.beat.data, reply.beat.len,
			     site.site_key, &world.arena, &error),
	    0);
	ck_assert_uint_eq(beat.count, 2);
	uint8_t leaves[2][32];

	journal_beat_leaf(leaves[0], items[0].lease, items[0].nonce, 120);
	journal_beat_leaf(leaves[1], items[2].lease, items[2].nonce, 120);
	for (uint32_t i = 0; i < 2; i++)
		ck_assert_int_eq(journal_beat_verify(&beat, items[2 * i].lease,
				     items[2 * i].nonce, 120, i, leaves[1 - i],
				     1),
		    0);
	ck_assert_int_eq(journal_beat_verify(&beat, items[2].lease,
			     items[0].nonce, 120, 1, leaves[0], 1),
	    ERR_BAD_PATH);
}
END_TEST

START_TEST(lease_of_another_device_is_neither_renewed_nor_returned)
{
	struct checkout_reply granted;
	struct renew_reply renewed;
	struct lease_ended ended;
	const uint8_t nonce[32] = { 1 };

	install_license(&world, PRODUCT, 5, 120, 300);
	agent_enroll(&world, &alice, "alice", 1);
	agent_enroll(&world, &bob, "bob", 2);
	ck_assert_int_eq(agent_checkout(&world, &granted, &alice, PRODUCT,
			     NULL),
	    0);
	ck_assert_int_eq(renew_one(&renewed, &bob, granted.lease, nonce), 0);
	ck_assert_uint_eq(renewed.refused.count, 1);
	ck_assert_uint_eq(renewed.beat.len, 0);
	const struct lease_return back = { .lease = granted.lease };

	ck_assert_int_ne(agent_ask(&world, &ended, 2, OP_LEASE_RETURN, &back,
			     NULL),
	    0);
	ck_assert_int_eq(renew_one(&renewed, &alice, granted.lease, nonce), 0);
	ck_assert_uint_eq(renewed.refused.count, 0);
	ck_assert_int_eq(agent_ask(&world, &ended, 1, OP_LEASE_RETURN, &back,
			     NULL),
	    0);
	ck_assert_int_eq(renew_one(&renewed, &alice, granted.lease, nonce), 0);
	ck_assert_uint_eq(renewed.refused.count, 1);
}
END_TEST

START_TEST(released_lease_is_told_and_its_seat_is_free)
{
	struct checkout_reply granted;
	struct lease_ref ref;
	struct lease_refused notice;
	struct heard heard;
	struct wire_caller caller = { .address = "192.0.2.1",
		.key = { world.key, (uint32_t)strlen(world.key) } };
	struct buf payload = { 0 };

	install_license(&world, PRODUCT, 1, 120, 300);
	agent_enroll(&world, &alice, "alice", 1);
	ck_assert_int_eq(agent_checkout(&world, &granted, &alice, PRODUCT,
			     NULL),
	    0);
	ref.lease = granted.lease;
	record_write_msgpack(&payload, &wire_caller_record, &caller);
	record_write_msgpack(&payload, &lease_ref_record, &ref);
	front_write(&world, WIRE_CALL, OP_LEASE_RELEASE, 8, 5, &payload);
	buf_release(&payload);
	ck_assert(front_await(&world, &heard, WIRE_NOTICE, 1, ANSWER_MS));
	ck_assert_uint_eq(heard.op, OP_LEASE_REVOKED);
	ck_assert_int_eq(record_read_msgpack(&notice, &lease_refused_record,
			     world.payload, heard.len, NULL, &world.arena,
			     NULL),
	    0);
	ck_assert_uint_eq(notice.lease, granted.lease);
	ck_assert(front_await(&world, &heard, WIRE_REPLY, 8, ANSWER_MS));
	ck_assert_int_eq(agent_checkout(&world, &granted, &alice, PRODUCT,
			     NULL),
	    0);
}
END_TEST

START_TEST(released_lease_of_a_silent_device_keeps_its_seat_taken)
{
	struct checkout_reply granted;
	struct lease_ref ref;
	struct lease_ended ended;

	install_license(&world, PRODUCT, 1, 120, 300);
	agent_enroll(&world, &alice, "alice", 1);
	agent_enroll(&world, &bob, "bob", 2);
	ck_assert_int_eq(agent_checkout(&world, &granted, &alice, PRODUCT,
			     NULL),
	    0);
	front_write(&world, WIRE_CLOSED, 0, 1, 0, NULL);
	ref.lease = granted.lease;
	ck_assert_int_eq(admin_do(&world, &ended, OP_LEASE_RELEASE, &ref), 0);
	ck_assert_int_eq(agent_checkout(&world, &granted, &bob, PRODUCT, NULL),
	    ERR_NO_SEATS);
}
END_TEST

START_TEST(leases_survive_kill_and_are_attached_by_their_rows)
{
	struct checkout_reply granted;
	struct attach_item items[2];
	struct attach attach = { .leases = { items, 2 } };
	struct attach_reply reply;
	struct renew_reply renewed;
	struct lease_query query = { 0 };
	struct lease_page page;
	const uint8_t nonce[32] = { 1 };
	uint8_t row[512], wrong[512];

	install_license(&world, PRODUCT, 2, 120, 300);
	agent_enroll(&world, &alice, "alice", 1);
	ck_assert_int_eq(agent_checkout(&world, &granted, &alice, PRODUCT,
			     NULL),
	    0);
	ck_assert_uint_le(granted.row.len, sizeof(row));
	memcpy(row, granted.row.data, granted.row.len);
	memcpy(wrong, row, granted.row.len);
	wrong[granted.row.len - 1] ^= 1;
	process_stop(&world, SIGKILL);
	process_start(&world);
	process_await_ready(&world);
	agent_login(&world, &alice, 1);
	for (int i = 0; i < 2; i++)
		items[i] =
		    (struct attach_item){ granted.lease, granted.row_number,
			    { i == 0 ? row : wrong, granted.row.len } };
	ck_assert_int_eq(agent_ask(&world, &reply, 1, OP_LEASE_ATTACH, &attach,
			     NULL),
	    0);
	ck_assert_uint_eq(reply.refused.count, 1);
	ck_assert_int_eq(renew_one(&renewed, &alice, granted.lease, nonce), 0);
	ck_assert_uint_eq(renewed.refused.count, 0);
	ck_assert_int_eq(agent_ask(&world, &page, 1, OP_LEASE_MINE, &query,
			     NULL),
	    0);
	ck_assert_uint_eq(page.items.count, 1);
}
END_TEST

/* One second of span, no grace, ten seconds of skew, a second of ticks. */
START_TEST(seat_of_a_silent_device_comes_back_after_span_and_skew)
{
	struct checkout_reply granted;
	int64_t began = clock_boottime_ms();

	install_license(&world, PRODUCT, 1, 1, 1);
	agent_enroll(&world, &alice, "alice", 1);
	agent_enroll(&world, &bob, "bob", 2);
	ck_assert_int_eq(agent_checkout(&world, &granted, &alice, PRODUCT,
			     NULL),
	    0);
	while (agent_checkout(&world, &granted, &bob, PRODUCT, NULL) != 0) {
		ck_assert_int_lt(clock_boottime_ms() - began,
		    2000 + LEDGER_SKEW_MS + 3000);
		usleep(100000);
	}
	ck_assert_int_ge(clock_boottime_ms() - began, 2000 + LEDGER_SKEW_MS);
}
END_TEST

/* --- admins -------------------------------------------------------------- */

START_TEST(bad_keys_are_refused_and_limited_by_address)
{
	const struct empty empty = { 0 };
	struct site_view site;
	char bad[96];
	int refused = 0, limited = 0;

	snprintf(bad, sizeof(bad), "%s", world.key);
	bad[strlen(bad) - 2] = bad[strlen(bad) - 2] == 'A' ? 'B' : 'A';
	ck_assert_int_eq(admin_ask(&world, &site, "", "192.0.2.9", OP_SITE_SHOW,
			     &empty, NULL),
	    ERR_UNAUTHENTICATED);
	for (int i = 0; i < 100; i++) {
		int rc = admin_ask(&world, &site, bad, "192.0.2.8",
		    OP_SITE_SHOW, &empty, NULL);

		refused += rc == ERR_UNAUTHENTICATED;
		limited += rc == ERR_RATE_LIMITED;
	}
	ck_assert_int_eq(refused + limited, 100);
	ck_assert_int_ge(limited, 50);
	/* Neither the good key nor other addresses are slowed. */
	ck_assert_int_eq(admin_ask(&world, &site, world.key, "192.0.2.8",
			     OP_SITE_SHOW, &empty, NULL),
	    0);
	ck_assert_int_eq(admin_ask(&world, &site, bad, "192.0.2.7",
			     OP_SITE_SHOW, &empty, NULL),
	    ERR_UNAUTHENTICATED);
}
END_TEST

START_TEST(site_is_shown_with_what_the_process_knows)
{
	const struct empty empty = { 0 };
	const struct device_query query = { 0 };
	struct device_page page;
	struct site_view site;

	agent_enroll(&world, &alice, "alice", 1);
	ck_assert_int_eq(admin_do(&world, &site, OP_SITE_SHOW, &empty), 0);
	ck_assert_str_eq(site.site, world.site.site);
	ck_assert_str_eq(site.name, "Test");
	ck_assert_uint_eq(site.sessions, 1);
	ck_assert(!site.clock_held);
	ck_assert_int_eq(admin_do(&world, &page, OP_DEVICE_LIST, &query), 0);
	ck_assert_uint_eq(page.items.count, 1);
	ck_assert(((struct device_view *)page.items.items)->connected);
}
END_TEST

START_TEST(checkpoint_is_journaled)
{
	const struct empty empty = { 0 };
	struct checkpoint_reply reply;
	struct site_view site;

	ck_assert_int_eq(admin_do(&world, &reply, OP_JOURNAL_CHECKPOINT,
			     &empty),
	    0);
	ck_assert_uint_eq(reply.batch, 1);
	ck_assert_int_eq(admin_do(&world, &site, OP_SITE_SHOW, &empty), 0);
	ck_assert_uint_eq(site.batch, 2);
}
END_TEST

/* The site was made yesterday, as far as its folder says. */
static void
make_older(void)
{
	struct site_file site = world.site;
	struct buf text = { 0 };
	char path[128];

	site.created_at -= DAY_MS;
	record_write_json(&text, &site_file_record, &site);
	snprintf(path, sizeof(path), "%s/site.json", world.state);
	ck_assert_int_eq(file_write(path, text.data, text.len, 0644), 0);
	buf_release(&text);
	process_stop(&world, SIGTERM);
	process_start(&world);
	process_await_ready(&world);
}

START_TEST(time_goes_back_by_correction_only_and_stays_so)
{
	const struct empty empty = { 0 };
	struct clock_correct correct = { .reason = "a test" };
	struct site_view site;
	int64_t now = clock_wall_ms();

	make_older();
	/* Not forward, not before the site, and nothing is held. */
	correct.time = now + DAY_MS;
	ck_assert_int_eq(admin_do(&world, NULL, OP_CLOCK_CORRECT, &correct),
	    ERR_BAD_REQUEST);
	correct.time = now - 2 * DAY_MS;
	ck_assert_int_eq(admin_do(&world, NULL, OP_CLOCK_CORRECT, &correct),
	    ERR_BAD_REQUEST);
	ck_assert_int_eq(admin_do(&world, NULL, OP_CLOCK_CONFIRM, &empty),
	    ERR_CONFLICT);
	correct.time = now - DAY_MS / 2;
	ck_assert_int_eq(admin_do(&world, NULL, OP_CLOCK_CORRECT, &correct), 0);
	for (int i = 0; i < 2; i++) {
		/* By this site's wall clock it is half a day later. */
		install_license(&world, i == 0 ? "one" : "two", 1, 120, 300);
		ck_assert_int_eq(admin_do(&world, &site, OP_SITE_SHOW, &empty),
		    0);
		ck_assert_int_ge(site.time, correct.time);
		ck_assert_int_lt(site.time, correct.time + 60000);
		ck_assert(site.clock_held);
		ck_assert_int_ge(site.clock_wall, now);
		process_stop(&world, i == 0 ? SIGKILL : SIGTERM);
		process_start(&world);
		process_await_ready(&world);
	}
	ck_assert_int_eq(admin_do(&world, NULL, OP_CLOCK_CONFIRM, &empty), 0);
	ck_assert_int_eq(admin_do(&world, &site, OP_SITE_SHOW, &empty), 0);
	ck_assert(!site.clock_held);
	install_license(&world, "three", 1, 120, 300);
	ck_assert_int_eq(admin_do(&world, &site, OP_SITE_SHOW, &empty), 0);
	ck_assert_int_ge(site.time, now);
}
END_TEST

/* Running applications end with the contract: their last span and its grace.
 * It ended yesterday, and so far the site takes it for yesterday. */
START_TEST(lease_of_a_contract_that_is_over_is_not_renewed)
{
	const struct empty empty = { 0 };
	struct clock_correct correct = { .reason = "a test" };
	struct checkout_reply granted;
	struct renew_reply renewed;
	const uint8_t nonce[32] = { 1 };

	make_older();
	correct.time = clock_wall_ms() - DAY_MS;
	ck_assert_int_eq(admin_do(&world, NULL, OP_CLOCK_CORRECT, &correct), 0);
	install_serial(&world, PRODUCT, 1, 1, 120, 300, -1);
	agent_enroll(&world, &alice, "alice", 1);
	ck_assert_int_eq(agent_checkout(&world, &granted, &alice, PRODUCT,
			     NULL),
	    0);
	ck_assert_int_eq(renew_one(&renewed, &alice, granted.lease, nonce), 0);
	ck_assert_uint_eq(renewed.refused.count, 0);
	ck_assert_int_eq(admin_do(&world, NULL, OP_CLOCK_CONFIRM, &empty), 0);
	install_license(&world, "another", 1, 120, 300);
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(renew_one(&renewed, &alice, granted.lease,
				     nonce),
		    0);
		ck_assert_uint_eq(renewed.refused.count, 1);
		ck_assert_str_eq(((struct lease_refused *)renewed.refused.items)
				     ->code,
		    "license_expired");
		ck_assert_uint_eq(renewed.beat.len, 0);
		/* A process that starts knows it from the store. */
		if (i > 0)
			break;
		process_stop(&world, SIGKILL);
		process_start(&world);
		process_await_ready(&world);
		agent_login(&world, &alice, 1);
	}
	/* The vendor renewed it: they go on. */
	install_serial(&world, PRODUCT, 2, 1, 120, 300, 30);
	ck_assert_int_eq(renew_one(&renewed, &alice, granted.lease, nonce), 0);
	ck_assert_uint_eq(renewed.refused.count, 0);
}
END_TEST

/* --- starting and stopping ----------------------------------------------- */

static void
read_last_start(struct row_started *started)
{
	struct batch_query query = { .from = 0, .limit = 100 };
	struct batch_page page;
	struct journal_batch batch;

	memset(started, 0, sizeof(*started));
	ck_assert_int_eq(admin_do(&world, &page, OP_JOURNAL_BATCHES, &query),
	    0);
	for (uint32_t i = 0; i < page.items.count; i++) {
		const struct batch_item *item =
		    (const struct batch_item *)page.items.items + i;

		ck_assert_int_eq(record_read_msgpack(&batch,
				     &journal_batch_record, item->blob.data,
				     item->blob.len, NULL, &world.arena, NULL),
		    0);
		for (uint32_t r = 0; r < batch.rows.count; r++) {
			const struct journal_row_bytes *bytes =
			    (const struct journal_row_bytes *)batch.rows.items +
			    r;
			struct row row;

			ck_assert_int_eq(row_read(&row, 1, bytes->bytes.data,
					     bytes->bytes.len, &world.arena),
			    0);
			if (row.kind == ROW_STARTED)
				*started = row.u.started;
		}
	}
}

START_TEST(start_says_whether_the_last_stop_was_clean)
{
	struct row_started started;
	int status = process_stop(&world, SIGTERM);

	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), 0);
	process_start(&world);
	process_await_ready(&world);
	read_last_start(&started);
	ck_assert(started.clean);
	ck_assert_uint_eq(started.generation, 1);
	process_stop(&world, SIGKILL);
	process_start(&world);
	process_await_ready(&world);
	read_last_start(&started);
	ck_assert(!started.clean);
}
END_TEST

START_TEST(second_process_on_the_store_is_refused)
{
	struct process_world second = world;

	process_start(&second);
	ck_assert_int_eq(second.front, -1);
	int status = process_stop(&second, 0);

	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), 1);
	/* The first one goes on. */
	agent_enroll(&world, &alice, "alice", 1);
}
END_TEST

START_TEST(refusals_of_a_minute_make_one_row_at_a_stop)
{
	struct checkout_reply granted;
	struct batch_query query = { .from = 0, .limit = 100 };
	struct batch_page page;
	struct journal_batch batch;
	uint64_t denied = 0, count = 0;

	agent_enroll(&world, &alice, "alice", 1);
	for (int i = 0; i < 5; i++)
		ck_assert_int_eq(agent_checkout(&world, &granted, &alice,
				     "unheard-of", NULL),
		    ERR_NOT_ENTITLED);
	install_license(&world, PRODUCT, 1, 120, 300);
	ck_assert_int_eq(agent_checkout(&world, &granted, &alice, PRODUCT,
			     NULL),
	    0);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(agent_checkout(&world, &granted, &alice,
				     PRODUCT, NULL),
		    ERR_NO_SEATS);
	process_stop(&world, SIGTERM);
	process_start(&world);
	process_await_ready(&world);
	ck_assert_int_eq(admin_do(&world, &page, OP_JOURNAL_BATCHES, &query),
	    0);
	for (uint32_t i = 0; i < page.items.count; i++) {
		const struct batch_item *item =
		    (const struct batch_item *)page.items.items + i;
		struct row row;

		ck_assert_int_eq(record_read_msgpack(&batch,
				     &journal_batch_record, item->blob.data,
				     item->blob.len, NULL, &world.arena, NULL),
		    0);
		for (uint32_t r = 0; r < batch.rows.count; r++) {
			const struct journal_row_bytes *bytes =
			    (const struct journal_row_bytes *)batch.rows.items +
			    r;

			ck_assert_int_eq(row_read(&row, 1, bytes->bytes.data,
					     bytes->bytes.len, &world.arena),
			    0);
			if (row.kind != ROW_DENIED)
				continue;
			denied++;
			bool seats = strcmp(row.u.denied.code, "no_seats") == 0;

			count += row.u.denied.count * (seats ? 10 : 1);
			if (!seats)
				ck_assert_str_eq(row.u.denied.code,
				    "not_entitled");
			/* Which license it was about, where one fits. */
			ck_assert_uint_eq(row.u.denied.license, seats);
		}
	}
	/* One more at most, where the minute ended in between. */
	ck_assert_uint_ge(denied, 2);
	ck_assert_uint_le(denied, 3);
	ck_assert_uint_eq(count, 5 + 10 * 3);
}
END_TEST

START_TEST(stop_after_many_batches_leaves_a_checkpoint)
{
	const struct empty empty = { 0 };
	struct batch_query query = { .limit = 10 };
	struct checkout_reply granted;
	struct site_view site;
	struct batch_page page;
	struct journal_batch batch;

	install_license(&world, PRODUCT, 2000, 120, 300);
	agent_enroll(&world, &alice, "alice", 1);
	for (int i = 0; i < 1000; i++)
		ck_assert_int_eq(agent_checkout(&world, &granted, &alice,
				     PRODUCT, NULL),
		    0);
	ck_assert_int_eq(admin_do(&world, &site, OP_SITE_SHOW, &empty), 0);
	ck_assert_int_eq(process_stop(&world, SIGTERM), 0);
	process_start(&world);
	process_await_ready(&world);
	query.from = site.batch + 1;
	ck_assert_int_eq(admin_do(&world, &page, OP_JOURNAL_BATCHES, &query),
	    0);
	/* The checkpoint, then the new start. */
	ck_assert_uint_eq(page.items.count, 2);
	const struct batch_item *item = page.items.items;

	ck_assert_int_eq(record_read_msgpack(&batch, &journal_batch_record,
			     item->blob.data, item->blob.len, NULL,
			     &world.arena, NULL),
	    0);
	const struct journal_row_bytes *bytes = batch.rows.items;
	struct row row;

	ck_assert_int_eq(row_read(&row, 1, bytes->bytes.data, bytes->bytes.len,
			     &world.arena),
	    0);
	ck_assert_int_eq(row.kind, ROW_CHECKPOINT);
	ck_assert_uint_eq(row.u.checkpoint.batch, site.batch);
}
END_TEST

/* --- trouble ------------------------------------------------------------- */

/* What a taken front could send: anything that is framed. */
START_TEST(nonsense_from_a_front_does_no_harm)
{
	const struct empty empty = { 0 };
	struct buf payload = { 0 };
	struct site_view site;
	struct heard heard;
	int peers = 0;

	srand(4711);
	agent_enroll(&world, &alice, "alice", 1);
	for (int i = 0; i < 20000; i++) {
		uint16_t op = (uint16_t)(rand() % (OPERATION_COUNT + 4));
		uint8_t bytes[64];

		randombytes_buf(bytes, sizeof(bytes));
		/* Some that begin like a record: an array of few items. */
		if (rand() % 2 == 0)
			bytes[0] = (uint8_t)(0x90 + rand() % 8);
		if (rand() % 2 == 0)
			bytes[1] = 1;
		buf_clear(&payload);
		buf_add(&payload, bytes, (size_t)(rand() % 64));
		front_write(&world, (uint16_t)(rand() % 7), op,
		    (uint64_t)(rand() % 3), (uint64_t)i, &payload);
		while (front_hear(&world, &heard, 0))
			peers++;
	}
	while (front_hear(&world, &heard, 200))
		peers++;
	ck_assert_int_gt(peers, 0);
	ck_assert_int_eq(admin_do(&world, &site, OP_SITE_SHOW, &empty), 0);
	ck_assert_uint_eq(site.leases, 0);
	buf_release(&payload);
}
END_TEST

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

/* A row costs the reading of its batch. */
START_TEST(lease_named_often_in_one_attach_is_not_looked_up_often)
{
	struct checkout_reply granted;
	struct attach_item items[3];
	struct attach attach = { .leases = { items, 3 } };
	struct attach_reply reply;
	uint8_t row[512];

	install_license(&world, PRODUCT, 1, 120, 300);
	agent_enroll(&world, &alice, "alice", 1);
	ck_assert_int_eq(agent_checkout(&world, &granted, &alice, PRODUCT,
			     NULL),
	    0);
	memcpy(row, granted.row.data, granted.row.len);
	for (int i = 0; i < 3; i++)
		items[i] = (struct attach_item){ granted.lease,
			granted.row_number, { row, granted.row.len } };
	ck_assert_int_eq(agent_ask(&world, &reply, 1, OP_LEASE_ATTACH, &attach,
			     NULL),
	    ERR_BAD_REQUEST);
	attach.leases.count = 1;
	ck_assert_int_eq(agent_ask(&world, &reply, 1, OP_LEASE_ATTACH, &attach,
			     NULL),
	    0);
	ck_assert_uint_eq(reply.refused.count, 0);
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

START_TEST(front_that_breaks_the_framing_is_dropped_and_replaced)
{
	const struct empty empty = { 0 };
	struct site_view site;
	uint8_t bytes[64];
	char byte;

	memset(bytes, 0xff, sizeof(bytes));
	agent_enroll(&world, &alice, "alice", 1);
	ck_assert_int_eq(send(world.front, bytes, sizeof(bytes), 0),
	    sizeof(bytes));
	ck_assert_int_eq(recv(world.front, &byte, 1, 0), 0);
	close(world.front);
	process_hand_front(&world);
	ck_assert_int_eq(admin_do(&world, &site, OP_SITE_SHOW, &empty), 0);
	ck_assert_uint_eq(site.sessions, 0);
	agent_login(&world, &alice, 1);
}
END_TEST

/* A holder hears of a release before it is journaled: here it never is. */
static void
tell_before_journal(uint64_t lease)
{
	const struct lease_ref ref = { .lease = lease };
	struct wire_caller caller = { .address = "192.0.2.1",
		.key = { world.key, (uint32_t)strlen(world.key) } };
	struct buf payload = { 0 };
	struct heard heard;

	record_write_msgpack(&payload, &wire_caller_record, &caller);
	record_write_msgpack(&payload, &lease_ref_record, &ref);
	front_write(&world, WIRE_CALL, OP_LEASE_RELEASE, 8, 5, &payload);
	buf_release(&payload);
	ck_assert(front_await(&world, &heard, WIRE_NOTICE, 1, ANSWER_MS));
	ck_assert_uint_eq(heard.op, OP_LEASE_REVOKED);
	ck_assert(front_await(&world, &heard, WIRE_PROBLEM, 8, ANSWER_MS));
}

START_TEST(full_store_refuses_writes_and_goes_on_reading_and_renewing)
{
	const struct empty empty = { 0 };
	struct checkout_reply granted;
	struct renew_reply renewed;
	struct lease_page page;
	struct lease_query query = { .limit = 10 };
	struct problem problem;
	struct health health;
	const uint8_t nonce[32] = { 1 };
	uint64_t first = 0;
	int rc = 0;

	install_license(&world, PRODUCT, 1000000, 120, 300);
	agent_enroll(&world, &alice, "alice", 1);
	process_stop(&world, SIGTERM);
	world.options.map_bytes = (size_t)1 << 20;
	process_start(&world);
	process_await_ready(&world);
	agent_login(&world, &alice, 1);
	for (int i = 0; rc == 0 && i < 4000; i++) {
		rc =
		    agent_checkout(&world, &granted, &alice, PRODUCT, &problem);
		if (first == 0)
			first = granted.lease;
	}
	ck_assert_int_eq(rc, ERR_FULL);
	ck_assert_str_eq(problem.code, "unavailable");
	ck_assert_ptr_nonnull(strstr(problem.detail, "full"));
	ck_assert_int_eq(admin_ask(&world, &health, "", "192.0.2.1", OP_READYZ,
			     &empty, NULL),
	    ERR_UNAVAILABLE);
	ck_assert_int_eq(renew_one(&renewed, &alice, first, nonce), 0);
	ck_assert_uint_eq(renewed.refused.count, 0);
	ck_assert_int_eq(admin_do(&world, &page, OP_LEASE_LIST, &query), 0);
	ck_assert_uint_eq(page.items.count, 10);
	tell_before_journal(first);
	/* With room again all goes on, with what was held. */
	process_stop(&world, SIGTERM);
	world.options.map_bytes = (size_t)256 << 20;
	process_start(&world);
	process_await_ready(&world);
	agent_login(&world, &alice, 1);
	ck_assert_int_eq(renew_one(&renewed, &alice, first, nonce), 0);
	ck_assert_uint_eq(renewed.refused.count, 0);
	ck_assert_int_eq(agent_checkout(&world, &granted, &alice, PRODUCT,
			     NULL),
	    0);
}
END_TEST

Suite *
suite(void)
{
	Suite *suite = suite_create("process");
	TCase *sessions = tcase_create("sessions");
	TCase *leases = tcase_create("leases");
	TCase *admins = tcase_create("admins");
	TCase *life = tcase_create("life");
	TCase *trouble = tcase_create("trouble");

	tcase_add_test(sessions, hello_shows_the_journal_and_gives_a_nonce);
	tcase_add_test(sessions, other_protocol_is_refused);
	tcase_add_test(sessions, nothing_is_given_before_the_proof);
	tcase_add_test(sessions, admins_operations_are_not_for_agents);
	tcase_add_test(sessions,
	    client_that_saw_a_newer_journal_is_refused_in_words);
	tcase_add_test(sessions, proof_over_another_connection_is_refused);
	tcase_add_test(sessions, counter_that_does_not_rise_is_refused);
	tcase_add_test(sessions, newer_session_closes_the_older);
	tcase_add_test(sessions, revoked_device_is_shut_out);
	tcase_add_test(leases, one_beat_renews_all_and_refuses_what_is_gone);
	tcase_add_test(leases,
	    lease_of_another_device_is_neither_renewed_nor_returned);
	tcase_add_test(leases, released_lease_is_told_and_its_seat_is_free);
	tcase_add_test(leases,
	    released_lease_of_a_silent_device_keeps_its_seat_taken);
	tcase_add_test(leases,
	    leases_survive_kill_and_are_attached_by_their_rows);
	tcase_add_test(leases,
	    seat_of_a_silent_device_comes_back_after_span_and_skew);
	tcase_add_test(admins, bad_keys_are_refused_and_limited_by_address);
	tcase_add_test(admins, site_is_shown_with_what_the_process_knows);
	tcase_add_test(admins, checkpoint_is_journaled);
	tcase_add_test(admins, time_goes_back_by_correction_only_and_stays_so);
	tcase_add_test(admins, lease_of_a_contract_that_is_over_is_not_renewed);
	tcase_add_test(life, start_says_whether_the_last_stop_was_clean);
	tcase_add_test(life, second_process_on_the_store_is_refused);
	tcase_add_test(life, refusals_of_a_minute_make_one_row_at_a_stop);
	tcase_add_test(life, stop_after_many_batches_leaves_a_checkpoint);
	tcase_add_test(trouble, nonsense_from_a_front_does_no_harm);
	tcase_add_test(trouble, stranger_that_says_hello_without_end_is_closed);
	tcase_add_test(trouble,
	    lease_named_often_in_one_attach_is_not_looked_up_often);
	tcase_add_test(trouble, name_of_a_connection_used_again_does_no_harm);
	tcase_add_test(trouble,
	    front_that_breaks_the_framing_is_dropped_and_replaced);
	tcase_add_test(trouble,
	    full_store_refuses_writes_and_goes_on_reading_and_renewing);
	TCase *all[] = { sessions, leases, admins, life, trouble };

	for (size_t i = 0; i < 5; i++) {
		tcase_add_checked_fixture(all[i], set_up, tear_down);
		tcase_set_timeout(all[i], 60);
		suite_add_tcase(suite, all[i]);
	}
	return suite;
}
