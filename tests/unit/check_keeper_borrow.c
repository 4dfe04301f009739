/* Seats that a workstation borrows: its keeper between applications and a site
 * that lends. The way back is in check_keeper_return.c. */
#include "tests/unit/keeper_borrower.h"

/* --- taking, and using offline -------------------------------------------- */

START_TEST(borrowed_seats_serve_while_the_site_is_away)
{
	uint64_t lease = borrow(2, 172800);

	go_offline();
	ck_assert_uint_eq(use_seat(), lease);
	ck_assert_uint_eq(use_seat(), lease);
	ck_assert_uint_eq(used(lease), 2);
	ck_assert_uint_eq(world.asked[OP_LEASE_CHECKOUT], 0);
}
END_TEST

START_TEST(borrowed_seat_is_used_before_another_is_taken)
{
	uint64_t lease = borrow(1, 172800);
	struct local_checkout ask = question();

	ck_assert_uint_eq(use_seat(), lease);
	ck_assert_uint_eq(world.asked[OP_LEASE_CHECKOUT], 0);
	/* It is used: the next one is the site's. */
	ck_assert_uint_ne(take_seat(&ask).lease, lease);
	ck_assert_uint_eq(world.asked[OP_LEASE_CHECKOUT], 1);
}
END_TEST

START_TEST(other_product_feature_or_more_seats_are_not_borrowed)
{
	struct local_checkout ask = question();

	borrow(2, 172800);
	strcpy(ask.product, "q");
	take_seat(&ask);
	ask = question();
	strcpy(ask.feature, "f");
	take_seat(&ask);
	ask = question();
	ask.count = 3;
	take_seat(&ask);
	ck_assert_uint_eq(world.asked[OP_LEASE_CHECKOUT], 3);
}
END_TEST

START_TEST(renewal_is_proved_over_a_fresh_nonce)
{
	uint64_t lease = borrow(1, 172800);
	struct local_renew_reply reply;

	go_offline();
	use_seat();
	ck_assert_int_eq(renew(&reply, lease), 0);
	ck_assert_uint_eq(reply.beat.len, 0);
	ck_assert_int_eq(renew(&reply, lease), 0);
}
END_TEST

START_TEST(lost_answer_takes_no_second_seat)
{
	uint64_t lease = borrow(2, 172800);
	struct local_checkout ask = question();
	struct local_checkout_reply reply;

	go_offline();
	take_seat(&ask);
	world_connect_app(&world);
	reply = take_seat(&ask);
	expect_ticket(&reply, ask.nonce);
	ck_assert_uint_eq(used(lease), 1);
	ask.count = 2;
	ck_assert_int_eq(world_call(&reply, &world, LOCAL_CHECKOUT, &ask,
			     &arena, &problem),
	    ERR_CONFLICT);
}
END_TEST

START_TEST(seat_is_back_when_its_process_ends)
{
	uint64_t lease = borrow(1, 172800);
	struct local_checkout ask = question();
	pid_t pid = start_sleeper();

	go_offline();
	ask.hold = true;
	memset(ask.nonce, 0, sizeof(ask.nonce));
	ask.pid = (uint64_t)pid;
	ck_assert_uint_eq(take_seat(&ask).lease, lease);
	ck_assert_uint_eq(used(lease), 1);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	for (int i = 0; i < 200 && used(lease) != 0; i++)
		usleep(10000);
	ck_assert_uint_eq(used(lease), 0);
}
END_TEST

START_TEST(who_waits_offline_gets_the_next_borrowed_seat)
{
	uint64_t lease = borrow(1, 172800);
	struct local_checkout ask = question(), waits = question();
	struct local_checkout_reply reply;
	pid_t pid = start_sleeper();

	ask.hold = true;
	memset(ask.nonce, 0, sizeof(ask.nonce));
	ask.pid = (uint64_t)pid;
	go_offline();
	take_seat(&ask);
	waits.wait_s = 60;
	world_ask(&world, LOCAL_CHECKOUT, &waits);
	world_serve_for(&world, 100);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	ck_assert_int_eq(world_take(&reply, &world, LOCAL_CHECKOUT, &arena,
			     &problem),
	    0);
	ck_assert_uint_eq(reply.lease, lease);
	expect_ticket(&reply, waits.nonce);
}
END_TEST

START_TEST(revoked_device_uses_no_borrow_and_may_return_it)
{
	uint64_t lease = borrow(1, 172800);
	struct local_borrow_return back = { .all = true, .offline = true };
	struct local_borrow_returned reply;
	struct local_checkout ask = question();
	struct local_checkout_reply seat;
	struct local_revoked notice;

	use_seat();
	world.refuse_hello = ERR_DEVICE_REVOKED;
	world_disconnect(&world);
	world_notice(&notice, &world, LOCAL_REVOKED);
	ck_assert_uint_eq(notice.lease, lease);
	ck_assert_str_eq(notice.code, "device_revoked");
	ck_assert_int_eq(world_call(&seat, &world, LOCAL_CHECKOUT, &ask, &arena,
			     &problem),
	    ERR_DEVICE_REVOKED);
	ck_assert_int_eq(world_call(&reply, &world, LOCAL_BORROW_RETURN, &back,
			     &arena, &problem),
	    0);
	ck_assert_uint_eq(reply.count, 1);
}
END_TEST

START_TEST(seat_given_back_stays_borrowed)
{
	uint64_t lease = borrow(1, 172800);
	struct local_return back = { .lease = lease };
	struct local_returned reply;

	use_seat();
	ck_assert_int_eq(world_call(&reply, &world, LOCAL_RETURN, &back, &arena,
			     &problem),
	    0);
	ck_assert_uint_eq(reply.count, 1);
	ck_assert_uint_eq(used(lease), 0);
	ck_assert_uint_eq(lender_count(), 1);
	ck_assert_uint_eq(world.asked[OP_LEASE_RETURN], 0);
	ck_assert_uint_eq(use_seat(), lease);
}
END_TEST

START_TEST(one_of_two_seats_of_a_process_goes_back)
{
	uint64_t lease = borrow(3, 172800);
	struct local_return back = { .lease = lease, .count = 2 };
	struct local_checkout ask = question();
	struct local_returned reply;
	struct local_renew_reply renewed;

	ask.count = 2;
	take_seat(&ask);
	use_seat();
	ck_assert_uint_eq(used(lease), 3);
	ck_assert_int_eq(world_call(&reply, &world, LOCAL_RETURN, &back, &arena,
			     &problem),
	    0);
	ck_assert_uint_eq(used(lease), 1);
	ck_assert_int_eq(renew(&renewed, lease), 0);
}
END_TEST

START_TEST(seats_of_a_process_take_turns_in_being_proved)
{
	uint64_t lease = borrow(3, 172800);
	struct local_renew_reply reply;
	struct local_list all = { 0 };
	struct local_leases leases;
	const struct local_lease *items;

	for (int i = 0; i < 3; i++)
		use_seat();
	usleep(1100000);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(renew(&reply, lease), 0);
	ck_assert_int_eq(world_call(&leases, &world, LOCAL_LIST, &all, &arena,
			     &problem),
	    0);
	items = leases.items.items;
	ck_assert_uint_eq(leases.items.count, 3);
	for (uint32_t i = 0; i < 3; i++)
		ck_assert_uint_eq(items[i].beat_age_s, 0);
}
END_TEST

/* Of one that has none any more, while others go on. */
START_TEST(process_without_a_seat_gives_back_nobody_elses)
{
	uint64_t lease = borrow(1, 172800);
	struct local_checkout ask = question();
	struct local_return back = { .lease = lease, .count = 1 };
	struct local_returned reply;
	pid_t pid = start_sleeper();

	ask.hold = true;
	memset(ask.nonce, 0, sizeof(ask.nonce));
	ask.pid = (uint64_t)pid;
	ck_assert_uint_eq(take_seat(&ask).lease, lease);
	world_connect_app(&world);
	ck_assert_int_eq(world_call(&reply, &world, LOCAL_RETURN, &back, &arena,
			     &problem),
	    ERR_GONE);
	ck_assert_uint_eq(used(lease), 1);
	/* A person takes it away. */
	back.count = 0;
	ck_assert_int_eq(world_call(&reply, &world, LOCAL_RETURN, &back, &arena,
			     &problem),
	    0);
	ck_assert_uint_eq(reply.count, 1);
	ck_assert_uint_eq(used(lease), 0);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}
END_TEST

START_TEST(who_holds_a_seat_for_another_process_is_attached_to_it)
{
	uint64_t lease = borrow(2, 172800);
	struct local_checkout ask = question();
	struct local_attach attach = { .lease = lease };
	struct local_return back = { .lease = lease, .count = 1 };
	struct local_returned reply;
	struct local_checkout_reply seat;
	struct empty nothing;
	pid_t pid = start_sleeper();

	ask.hold = true;
	memset(ask.nonce, 0, sizeof(ask.nonce));
	ask.pid = (uint64_t)pid;
	seat = take_seat(&ask);
	attach.row_number = seat.row_number;
	attach.row = seat.row;
	attach.header = seat.header;
	go_offline();
	world_kill_keeper(&world);
	world_start_keeper(&world);
	world_connect_app(&world);
	ck_assert_int_eq(world_call(&nothing, &world, LOCAL_ATTACH, &attach,
			     &arena, &problem),
	    0);
	ck_assert_uint_eq(used(lease), 1);
	ck_assert_int_eq(world_call(&reply, &world, LOCAL_RETURN, &back, &arena,
			     &problem),
	    0);
	ck_assert_uint_eq(used(lease), 0);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}
END_TEST

START_TEST(lists_show_who_uses_a_borrow)
{
	uint64_t lease = borrow(2, 172800);
	struct local_list all = { 0 };
	struct local_leases reply;
	const struct local_lease *items;

	use_seat();
	use_seat();
	ck_assert_int_eq(world_call(&reply, &world, LOCAL_LIST, &all, &arena,
			     &problem),
	    0);
	items = reply.items.items;
	ck_assert_uint_eq(reply.items.count, 2);
	ck_assert_uint_eq(reply.next, 0);
	for (uint32_t i = 0; i < 2; i++) {
		ck_assert_uint_eq(items[i].lease, lease);
		ck_assert(items[i].borrowed);
		ck_assert_uint_eq(items[i].pid, (uint64_t)getpid());
		ck_assert_str_eq(items[i].product, "p");
	}
	ck_assert_uint_eq(status().leases, 2);
}
END_TEST

START_TEST(pages_of_borrowed_seats_leave_none_out)
{
	struct local_list from = { 0 };
	struct local_leases reply;
	uint32_t n = 0;

	borrow(130, 172800);
	for (int i = 0; i < 130; i++)
		use_seat();
	do {
		ck_assert_int_eq(world_call(&reply, &world, LOCAL_LIST, &from,
				     &arena, &problem),
		    0);
		n += reply.items.count;
		from.after = reply.next;
	} while (reply.next != 0);
	ck_assert_uint_eq(n, 130);
}
END_TEST

START_TEST(refusal_of_the_site_is_passed_on)
{
	struct local_borrow_take ask = wish(1, 172800);
	struct local_borrow reply;

	lender.refuse = ERR_CLASS_NOT_ALLOWED;
	ck_assert_int_eq(world_call(&reply, &world, LOCAL_BORROW_TAKE, &ask,
			     &arena, &problem),
	    ERR_CLASS_NOT_ALLOWED);
	ck_assert_str_eq(problem.hint, "do this");
	ck_assert_uint_eq(borrows().items.count, 0);
}
END_TEST

START_TEST(extension_replaces_the_ticket)
{
	uint64_t lease = borrow(1, 100);
	struct local_borrow_extend ask = { lease, 7200 };
	struct local_borrow reply;
	struct local_renew_reply renewed;
	struct row row;

	use_seat();
	ck_assert_int_eq(world_call(&reply, &world, LOCAL_BORROW_EXTEND, &ask,
			     &arena, &problem),
	    0);
	ck_assert_uint_eq(reply.length_s, 7200);
	ck_assert_uint_eq(reply.used, 1);
	ck_assert_int_eq(renew(&renewed, lease), 0);
	ck_assert_int_eq(row_read(&row, renewed.ticket.row_number,
			     renewed.ticket.row.data, renewed.ticket.row.len,
			     &arena),
	    0);
	ck_assert_uint_eq(row.u.borrowed.ticket.length_s, 7200);
	ask.lease = 77;
	ck_assert_int_eq(world_call(&reply, &world, LOCAL_BORROW_EXTEND, &ask,
			     &arena, &problem),
	    ERR_GONE);
}
END_TEST

/* --- restarts ------------------------------------------------------------- */

START_TEST(borrow_outlives_its_keeper)
{
	uint64_t lease = borrow(2, 172800);
	struct local_renew_reply reply;

	use_seat();
	go_offline();
	world_kill_keeper(&world);
	world_start_keeper(&world);
	world_connect_app(&world);
	/* This process still has its seat, and there is another. */
	ck_assert_int_eq(renew(&reply, lease), 0);
	ck_assert_uint_eq(used(lease), 1);
	ck_assert_uint_eq(use_seat(), lease);
	ck_assert_uint_eq(used(lease), 2);
	ck_assert_uint_eq(world.asked[OP_LEASE_CHECKOUT], 0);
}
END_TEST

START_TEST(seat_is_attached_by_its_ticket)
{
	uint64_t lease = borrow(1, 172800);
	struct local_checkout ask = question();
	struct local_checkout_reply seat = take_seat(&ask);
	struct local_attach attach = { .lease = lease,
		.row_number = seat.row_number,
		.row = seat.row,
		.header = seat.header };
	struct empty nothing;
	char path[128];

	go_offline();
	world_kill_keeper(&world);
	snprintf(path, sizeof(path), "%s/seats.json", world.folder);
	ck_assert_int_eq(unlink(path), 0);
	world_start_keeper(&world);
	world_connect_app(&world);
	ck_assert_uint_eq(used(lease), 0);
	ck_assert_int_eq(world_call(&nothing, &world, LOCAL_ATTACH, &attach,
			     &arena, &problem),
	    0);
	ck_assert_uint_eq(used(lease), 1);
	/* Said again it is the same one. */
	ck_assert_int_eq(world_call(&nothing, &world, LOCAL_ATTACH, &attach,
			     &arena, &problem),
	    0);
	ck_assert_uint_eq(used(lease), 1);
	attach.row.len--;
	attach.lease = 78;
	ck_assert_int_eq(world_call(&nothing, &world, LOCAL_ATTACH, &attach,
			     &arena, &problem),
	    ERR_GONE);
}
END_TEST

START_TEST(seat_of_before_the_machine_started_is_nobodys)
{
	uint64_t lease = borrow(1, 172800);
	char words[256];

	use_seat();
	go_offline();
	world_kill_keeper(&world);
	snprintf(words, sizeof(words),
	    "sed -i 's/\"boot\": *\"[^\"]*\"/\"boot\":\"another\"/' "
	    "%s/seats.json && grep -q another %s/seats.json",
	    world.folder, world.folder);
	ck_assert_int_eq(system(words), 0);
	world_start_keeper(&world);
	world_connect_app(&world);
	ck_assert_uint_eq(used(lease), 0);
	ck_assert_uint_eq(use_seat(), lease);
}
END_TEST

START_TEST(borrow_whose_answer_was_lost_is_its_takers)
{
	struct local_borrow_take ask = wish(1, 172800);
	struct local_borrow reply;

	if (!connect_as(1))
		return;
	wait_connected();
	lender.dies_at = OP_BORROW_TAKE;
	world_ask(&world, LOCAL_BORROW_TAKE, &ask);
	world_serve_until(&world, OP_BORROW_TAKE, 1);
	crash();
	ck_assert_uint_eq(borrows().items.count, 1);
	ck_assert_uint_eq(((const struct local_borrow *)borrows().items.items)
			      ->uid,
	    1);
	/* The question said again is answered with it. */
	connect_as(1);
	ck_assert_int_eq(world_call(&reply, &world, LOCAL_BORROW_TAKE, &ask,
			     &arena, &problem),
	    0);
	ck_assert_uint_eq(lender_count(), 1);
}
END_TEST

START_TEST(connection_lost_in_a_take_is_asked_again)
{
	struct local_borrow_take ask = wish(1, 172800);
	struct local_borrow reply;

	lender.dies_at = OP_BORROW_TAKE;
	world_ask(&world, LOCAL_BORROW_TAKE, &ask);
	world_serve_until(&world, OP_BORROW_TAKE, 1);
	lender.dies_at = 0;
	world_disconnect(&world);
	ck_assert_int_eq(world_take(&reply, &world, LOCAL_BORROW_TAKE, &arena,
			     &problem),
	    0);
	ck_assert_uint_eq(lender_count(), 1);
	ck_assert_uint_eq(borrows().items.count, 1);
}
END_TEST

START_TEST(damaged_book_is_asked_for_again)
{
	uint64_t lease = borrow(1, 172800);
	char words[128];

	world_kill_keeper(&world);
	snprintf(words, sizeof(words), "echo '{\"x' > %s/borrows.json",
	    world.folder);
	ck_assert_int_eq(system(words), 0);
	world_start_keeper(&world);
	world_connect_app(&world);
	wait_connected();
	ck_assert_uint_eq(used(lease), 0);
}
END_TEST

Suite *
suite(void)
{
	Suite *s = suite_create("keeper borrow");
	TCase *using_ = tcase_create("using");
	TCase *restarts = tcase_create("restarts");
	TCase *cases[] = { using_, restarts };

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		tcase_add_checked_fixture(cases[i], lender_setup,
		    lender_teardown);
		tcase_set_timeout(cases[i], 60);
		suite_add_tcase(s, cases[i]);
	}
	tcase_add_test(using_, borrowed_seats_serve_while_the_site_is_away);
	tcase_add_test(using_, borrowed_seat_is_used_before_another_is_taken);
	tcase_add_test(using_,
	    other_product_feature_or_more_seats_are_not_borrowed);
	tcase_add_test(using_, renewal_is_proved_over_a_fresh_nonce);
	tcase_add_test(using_, lost_answer_takes_no_second_seat);
	tcase_add_test(using_, seat_is_back_when_its_process_ends);
	tcase_add_test(using_, seat_given_back_stays_borrowed);
	tcase_add_test(using_, one_of_two_seats_of_a_process_goes_back);
	tcase_add_test(using_, seats_of_a_process_take_turns_in_being_proved);
	tcase_add_test(using_, process_without_a_seat_gives_back_nobody_elses);
	tcase_add_test(using_,
	    who_holds_a_seat_for_another_process_is_attached_to_it);
	tcase_add_test(using_, who_waits_offline_gets_the_next_borrowed_seat);
	tcase_add_test(using_, revoked_device_uses_no_borrow_and_may_return_it);
	tcase_add_test(using_, lists_show_who_uses_a_borrow);
	tcase_add_test(using_, pages_of_borrowed_seats_leave_none_out);
	tcase_add_test(using_, refusal_of_the_site_is_passed_on);
	tcase_add_test(using_, extension_replaces_the_ticket);
	tcase_add_test(restarts, borrow_outlives_its_keeper);
	tcase_add_test(restarts, seat_is_attached_by_its_ticket);
	tcase_add_test(restarts, seat_of_before_the_machine_started_is_nobodys);
	tcase_add_test(restarts, borrow_whose_answer_was_lost_is_its_takers);
	tcase_add_test(restarts, connection_lost_in_a_take_is_asked_again);
	tcase_add_test(restarts, damaged_book_is_asked_for_again);
	return s;
}
