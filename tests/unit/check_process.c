/*
 * The ledger process with a front played by the test: how it starts, stops and
 * goes on after trouble.
 */
#include "tests/unit/process_site.h"

#include "tests/unit/suite.h"

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
	/* The checkpoint, the last tick, then the new start. */
	ck_assert_uint_eq(page.items.count, 3);
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

/* A store that has no room for a checkout may have some for a release: until
 * none is left for that either. */
static void
fill_with_releases(uint64_t first)
{
	struct lease_ended ended;
	int failed = 0;

	for (uint64_t lease = first + 1; failed < 2; lease++) {
		const struct lease_ref ref = { .lease = lease };

		ck_assert_uint_lt(lease, first + 2000);
		int err = admin_do(&world, &ended, OP_LEASE_RELEASE, &ref);

		ck_assert(err == 0 || err == ERR_FULL);
		failed = err != 0 ? failed + 1 : 0;
	}
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
	fill_with_releases(first);
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
	TCase *life = tcase_create("life");
	TCase *trouble = tcase_create("trouble");

	tcase_add_test(life, start_says_whether_the_last_stop_was_clean);
	tcase_add_test(life, second_process_on_the_store_is_refused);
	tcase_add_test(life, stop_after_many_batches_leaves_a_checkpoint);
	tcase_add_test(trouble, nonsense_from_a_front_does_no_harm);
	tcase_add_test(trouble,
	    front_that_breaks_the_framing_is_dropped_and_replaced);
	tcase_add_test(trouble,
	    full_store_refuses_writes_and_goes_on_reading_and_renewing);
	process_case_add(suite, life);
	process_case_add(suite, trouble);
	return suite;
}
