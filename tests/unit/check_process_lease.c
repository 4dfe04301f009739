/* The ledger process: leases from the checkout to their end, and refusals. */
#include "tests/unit/process_site.h"

#include "appliance/ledger/ledger.h"
#include "tests/unit/suite.h"

unsigned int
suite_at_once(void)
{
	return 4;
}

/* --- leases -------------------------------------------------------------- */

START_TEST(one_beat_renews_all_and_refuses_what_is_gone)
{
	struct checkout_reply granted[2];
	struct renew_item items[3] = { 0 };
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
	for (int i = 0; i < 3; i++)
		randombytes_buf(items[i].nonce, sizeof(items[i].nonce));
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
		items[i] = (struct attach_item){ .lease = granted.lease,
			.row_number = granted.row_number,
			.row = { i == 0 ? row : wrong, granted.row.len } };
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
		items[i] = (struct attach_item){ .lease = granted.lease,
			.row_number = granted.row_number,
			.row = { row, granted.row.len } };
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

/* --- denials ------------------------------------------------------------- */

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

Suite *
suite(void)
{
	Suite *suite = suite_create("process_lease");
	TCase *leases = tcase_create("leases");
	TCase *denials = tcase_create("denials");

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
	tcase_add_test(leases,
	    lease_named_often_in_one_attach_is_not_looked_up_often);
	tcase_add_test(denials, refusals_of_a_minute_make_one_row_at_a_stop);
	process_case_add(suite, leases);
	process_case_add(suite, denials);
	return suite;
}
