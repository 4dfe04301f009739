/* Seats that a workstation borrows: its keeper between applications and a site
 * that lends, and a crash at each step on the way back. */
#include "tests/unit/keeper_lender.h"

#include <sys/stat.h>

/* --- words ---------------------------------------------------------------- */

static struct local_borrow_take
wish(uint32_t count, uint32_t length_s)
{
	struct local_borrow_take ask = { .product = "p",
		.version = "1.0",
		.count = count,
		.length_s = length_s };

	randombytes_buf(ask.request, sizeof(ask.request));
	return ask;
}

static uint64_t
borrow(uint32_t count, uint32_t length_s)
{
	struct local_borrow_take ask = wish(count, length_s);
	struct local_borrow reply;

	ck_assert_int_eq(world_call(&reply, &world, LOCAL_BORROW_TAKE, &ask,
			     &arena, &problem),
	    0);
	ck_assert_uint_eq(reply.count, count);
	ck_assert_uint_eq(reply.state, BORROW_LENT);
	return reply.lease;
}

static struct local_borrows
borrows(void)
{
	static const struct empty nothing = { 0 };
	struct local_borrows reply;

	ck_assert_int_eq(world_call(&reply, &world, LOCAL_BORROW_LIST, &nothing,
			     &arena, &problem),
	    0);
	return reply;
}

static uint32_t
used(uint64_t lease)
{
	struct local_borrows all = borrows();
	const struct local_borrow *items = all.items.items;

	for (uint32_t i = 0; i < all.items.count; i++)
		if (items[i].lease == lease)
			return items[i].used;
	return UINT32_MAX;
}

static int
give_back(struct local_borrow_returned *reply, uint64_t lease, bool offline)
{
	const struct local_borrow_return ask = { .lease = lease,
		.all = lease == 0,
		.offline = offline };

	return world_call(reply, &world, LOCAL_BORROW_RETURN, &ask, &arena,
	    &problem);
}

static void
give_back_all(uint32_t count)
{
	struct local_borrow_returned reply;

	ck_assert_int_eq(give_back(&reply, 0, false), 0);
	ck_assert_uint_eq(reply.count, count);
	ck_assert(reply.proved);
}

/* The site is gone, and will not be there again by itself. */
static void
go_offline(void)
{
	world.offline = true;
	world_disconnect(&world);
	while (status().connected)
		world_serve_for(&world, 10);
}

/* At once: the attempts of before count for nothing. */
static void
come_back(void)
{
	world_kill_keeper(&world);
	world.offline = false;
	world_start_keeper(&world);
	world_connect_app(&world);
	wait_connected();
}

/* What a library looks at: signature, nonce, and what is left. */
static void
expect_ticket(const struct local_checkout_reply *reply,
    const uint8_t nonce[NONCE_BYTES])
{
	struct proof_subject subject;
	struct row row;
	int64_t left_ms;
	struct ticket_now now = { .counter = reply->proof.counter,
		.clock_ms = reply->proof.clock_ms,
		.resets = reply->proof.resets,
		.wall_ms = clock_wall_ms() };

	ticket_subject(&subject, WORLD_SITE, "default", 3, nonce,
	    reply->row.data, reply->row.len);
	ck_assert_int_eq(proof_verify(&reply->proof, &subject, world.device_key,
			     world.device_key_len),
	    0);
	ck_assert_int_eq(row_read(&row, reply->row_number, reply->row.data,
			     reply->row.len, &arena),
	    0);
	ck_assert(row.kind == ROW_BORROWED || row.kind == ROW_BORROW_REISSUED);
	ck_assert_uint_eq(row.u.borrowed.grant.lease, reply->lease);
	ck_assert_int_eq(ticket_left_ms(&left_ms, &row.u.borrowed.ticket, &now),
	    0);
	ck_assert_uint_eq(reply->license.len, 13);
	ck_assert_uint_eq(reply->device, 3);
}

static uint64_t
use_seat(void)
{
	struct local_checkout ask = question();
	struct local_checkout_reply reply = take_seat(&ask);

	expect_ticket(&reply, ask.nonce);
	return reply.lease;
}

static int
renew(struct local_renew_reply *reply, uint64_t lease)
{
	struct local_renew ask = { .lease = lease };

	randombytes_buf(ask.nonce, sizeof(ask.nonce));
	int err =
	    world_call(reply, &world, LOCAL_RENEW, &ask, &arena, &problem);

	if (err == 0)
		expect_ticket(&reply->ticket, ask.nonce);
	return err;
}

static void
expect_revoked(uint64_t lease)
{
	struct local_revoked notice;

	world_notice(&notice, &world, LOCAL_REVOKED);
	ck_assert_uint_eq(notice.lease, lease);
	ck_assert_str_eq(notice.code, "gone");
}

/* The keeper is killed where the site stands now, and another one starts. */
static void
crash(void)
{
	lender.silent_at = lender.dies_at = 0;
	world_kill_keeper(&world);
	world_start_keeper(&world);
	world_connect_app(&world);
	wait_connected();
}

/* Say it, and serve the site until it was asked for so much. */
static void
begin_return(uint64_t lease, uint32_t until_op)
{
	const struct local_borrow_return ask = { .lease = lease,
		.all = lease == 0 };
	unsigned int before = world.asked[until_op];

	world_ask(&world, LOCAL_BORROW_RETURN, &ask);
	world_serve_until(&world, until_op, before + 1);
}

/* Parts of the keeper's folder, as they were. */
static void
copy_part(const char *from, const char *to)
{
	char words[256];

	snprintf(words, sizeof(words), "rm -rf %s/%s && cp -a %s/%s %s/%s",
	    world.folder, to, world.folder, from, world.folder, to);
	ck_assert_int_eq(system(words), 0);
}

/* False: the test cannot be several users. */
static bool
connect_as(uid_t uid)
{
	if (getuid() != 0) {
		test_skip("keeper borrow", "needs root to be several users");
		return false;
	}
	ck_assert_int_eq(chmod(world.folder, 0755), 0);
	ck_assert_int_eq(chmod(world.socket, 0666), 0);
	ck_assert_int_eq(seteuid(uid), 0);
	world_connect_app(&world);
	borrows(); /* the keeper has looked who it is */
	ck_assert_int_eq(seteuid(0), 0);
	return true;
}

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

/* --- returning ------------------------------------------------------------ */

START_TEST(return_takes_the_seats_in_use)
{
	uint64_t lease = borrow(2, 172800);
	struct local_borrow_return ask = { .lease = lease };
	struct local_borrow_returned reply;
	struct local_renew_reply renewed;

	use_seat();
	world_ask(&world, LOCAL_BORROW_RETURN, &ask);
	expect_revoked(lease);
	ck_assert_int_eq(world_take(&reply, &world, LOCAL_BORROW_RETURN, &arena,
			     &problem),
	    0);
	ck_assert_uint_eq(reply.count, 1);
	ck_assert(reply.proved);
	ck_assert_uint_eq(lender_count(), 0);
	ck_assert_uint_eq(borrows().items.count, 0);
	ck_assert_int_eq(renew(&renewed, lease), ERR_GONE);
}
END_TEST

START_TEST(others_go_on_while_one_comes_back)
{
	uint64_t first = borrow(1, 172800), second, third;
	struct local_borrow_returned reply;
	struct local_renew_reply renewed;

	use_seat();
	second = borrow(1, 172800);
	third = borrow(1, 172800);
	ck_assert_int_eq(give_back(&reply, second, false), 0);
	ck_assert(reply.proved);
	ck_assert_uint_eq(reply.count, 1);
	ck_assert_uint_eq(lender_count(), 2);
	ck_assert_uint_eq(borrows().items.count, 2);
	go_offline();
	ck_assert_int_eq(renew(&renewed, first), 0);
	ck_assert_uint_eq(use_seat(), third);
	ck_assert_uint_eq(used(second), UINT32_MAX);
}
END_TEST

START_TEST(return_of_what_is_not_there_is_refused)
{
	struct local_borrow_returned reply;

	ck_assert_int_eq(give_back(&reply, 7, false), ERR_GONE);
	ck_assert_int_eq(give_back(&reply, 0, true), ERR_NOT_FOUND);
	ck_assert_int_eq(give_back(&reply, 0, false), 0);
	ck_assert_uint_eq(reply.count, 0);
}
END_TEST

START_TEST(others_borrows_are_not_ones_own)
{
	struct local_borrow_returned reply;
	struct local_checkout ask = question();
	uint64_t lease;

	if (!connect_as(1))
		return;
	lease = borrow(1, 172800);
	connect_as(2);
	ck_assert_uint_eq(borrows().items.count, 0);
	ck_assert_int_eq(give_back(&reply, lease, false), ERR_GONE);
	ck_assert_int_eq(give_back(&reply, 0, true), ERR_FORBIDDEN);
	take_seat(&ask);
	ck_assert_uint_eq(world.asked[OP_LEASE_CHECKOUT], 1);
	world_connect_app(&world);
	ck_assert_uint_eq(borrows().items.count, 1);
	give_back_all(1);
}
END_TEST

START_TEST(offline_all_or_nothing_goes_back)
{
	uint64_t lease = borrow(1, 172800);
	struct local_borrow_returned reply, again;
	struct proof_subject subject;

	borrow(2, 172800);
	go_offline();
	ck_assert_int_eq(give_back(&reply, lease, true), ERR_CONFLICT);
	ck_assert_int_eq(give_back(&reply, 0, true), 0);
	ck_assert_uint_eq(reply.count, 2);
	ck_assert(!reply.proved);
	ck_assert_str_eq(reply.file.site, WORLD_SITE);
	ticket_return_subject(&subject, WORLD_SITE, "default", 3,
	    reply.file.nonce);
	ck_assert_int_eq(proof_verify(&reply.file.proof, &subject,
			     world.device_key, world.device_key_len),
	    0);
	for (size_t i = 0; i < LENDER_MAX; i++)
		if (lender.lent[i].lease != 0)
			ck_assert_uint_lt(lent_epoch(&lender.lent[i]),
			    reply.file.proof.counter);
	/* The file was lost: another proves the same. */
	ck_assert_int_eq(give_back(&again, 0, true), 0);
	ck_assert_uint_eq(again.file.proof.counter, reply.file.proof.counter);
	/* And it is told by itself. */
	come_back();
	ck_assert_uint_eq(lender_count(), 0);
	ck_assert_uint_eq(borrows().items.count, 0);
}
END_TEST

START_TEST(nothing_is_used_after_an_offline_return)
{
	uint64_t lease = borrow(1, 172800);
	struct local_borrow_return ask = { .all = true, .offline = true };
	struct local_borrow_returned reply;

	use_seat();
	go_offline();
	world_ask(&world, LOCAL_BORROW_RETURN, &ask);
	expect_revoked(lease);
	ck_assert_int_eq(world_take(&reply, &world, LOCAL_BORROW_RETURN, &arena,
			     &problem),
	    0);
	/* Also not by a keeper that starts with an older book. */
	ck_assert_uint_eq(used(lease), 0);
	ck_assert_uint_eq(((const struct local_borrow *)borrows().items.items)
			      ->state,
	    BORROW_RETURNING);
}
END_TEST

START_TEST(restored_book_serves_nothing_after_a_return)
{
	struct local_checkout ask = question();
	struct local_borrow_returned reply;

	borrow(1, 172800);
	copy_part("borrows.json", "old");
	go_offline();
	ck_assert_int_eq(give_back(&reply, 0, true), 0);
	world_kill_keeper(&world);
	copy_part("old", "borrows.json");
	world.offline = false;
	world_start_keeper(&world);
	world_connect_app(&world);
	wait_connected();
	ck_assert_uint_eq(borrows().items.count, 0);
	ck_assert_uint_eq(lender_count(), 0);
	take_seat(&ask);
	ck_assert_uint_eq(world.asked[OP_LEASE_CHECKOUT], 1);
}
END_TEST

/* --- a crash at each step ------------------------------------------------- */

/* Two borrows, of which the second comes back; where it was interrupted, it
 * goes on by itself, and the first goes on all the while. */
static void
expect_second_returned(uint64_t first)
{
	struct local_renew_reply renewed;

	ck_assert_uint_eq(lender_count(), 1);
	ck_assert_uint_eq(borrows().items.count, 1);
	ck_assert_int_eq(renew(&renewed, first), 0);
	ck_assert_ptr_nonnull(lender_find(first));
}

static uint64_t
borrow_two(uint64_t *second)
{
	uint64_t first = borrow(1, 172800);

	use_seat();
	*second = borrow(1, 172800);
	return first;
}

START_TEST(crash_before_the_site_hears_of_a_return)
{
	uint64_t second, first = borrow_two(&second);

	lender.silent_at = OP_BORROW_PREPARE;
	begin_return(second, OP_BORROW_PREPARE);
	crash();
	expect_second_returned(first);
}
END_TEST

START_TEST(crash_before_the_target_is_heard)
{
	uint64_t second, first = borrow_two(&second);

	lender.dies_at = OP_BORROW_PREPARE;
	begin_return(second, OP_BORROW_PREPARE);
	ck_assert_uint_ne(lender.target, 0);
	crash();
	expect_second_returned(first);
}
END_TEST

START_TEST(crash_before_replacements_are_stored)
{
	uint64_t second, first = borrow_two(&second);

	lender.silent_at = OP_BORROW_MINE;
	begin_return(second, OP_BORROW_MINE);
	crash();
	expect_second_returned(first);
}
END_TEST

/* The target is written, the counter not raised: by the book of after and the
 * key of before. */
START_TEST(crash_before_the_counter_is_raised)
{
	uint64_t second, first = borrow_two(&second);

	copy_part("identity", "before");
	lender.silent_at = OP_BORROW_RETURN;
	begin_return(second, OP_BORROW_RETURN);
	world_kill_keeper(&world);
	copy_part("before", "identity");
	lender.silent_at = 0;
	world_start_keeper(&world);
	world_connect_app(&world);
	wait_connected();
	expect_second_returned(first);
}
END_TEST

START_TEST(crash_before_the_site_hears_the_proof)
{
	uint64_t second, first = borrow_two(&second);

	lender.silent_at = OP_BORROW_RETURN;
	begin_return(second, OP_BORROW_RETURN);
	ck_assert_uint_eq(lender_count(), 2);
	crash();
	expect_second_returned(first);
}
END_TEST

START_TEST(crash_before_the_book_forgets)
{
	uint64_t second, first = borrow_two(&second);

	lender.dies_at = OP_BORROW_RETURN;
	begin_return(second, OP_BORROW_RETURN);
	ck_assert_uint_eq(lender_count(), 1);
	crash();
	expect_second_returned(first);
	ck_assert_uint_eq(lender.ended, 1);
}
END_TEST

/* The same steps, and the line is cut instead. */
START_TEST(cut_line_ends_no_return)
{
	static const uint32_t steps[] = { OP_BORROW_PREPARE, OP_BORROW_MINE,
		OP_BORROW_RETURN };
	struct local_borrow_returned reply;
	uint64_t second, first = borrow_two(&second);

	for (size_t i = 0; i < 3; i++) {
		lender.dies_at = steps[i];
		begin_return(second, steps[i]);
		lender.dies_at = 0;
		world_disconnect(&world);
		ck_assert_int_eq(world_take(&reply, &world, LOCAL_BORROW_RETURN,
				     &arena, &problem),
		    0);
		ck_assert(!reply.proved);
		ck_assert_uint_eq(reply.count, 1);
		wait_connected();
		expect_second_returned(first);
		second = borrow(1, 172800);
	}
}
END_TEST

/* The answer with the target was lost, and without the site all goes back: also
 * what the site has made tickets of for that target. */
START_TEST(offline_return_is_above_a_target_that_was_lost)
{
	struct local_borrow_returned reply;
	uint64_t second;

	borrow_two(&second);
	lender.dies_at = OP_BORROW_PREPARE;
	begin_return(second, OP_BORROW_PREPARE);
	lender.dies_at = 0;
	world.offline = true;
	world_disconnect(&world);
	ck_assert_int_eq(world_take(&reply, &world, LOCAL_BORROW_RETURN, &arena,
			     &problem),
	    0);
	world_connect_app(&world);
	ck_assert_int_eq(give_back(&reply, 0, true), 0);
	for (size_t i = 0; i < LENDER_MAX; i++)
		if (lender.lent[i].lease != 0)
			ck_assert_uint_lt(lent_epoch(&lender.lent[i]),
			    reply.file.proof.counter);
	come_back();
	ck_assert_uint_eq(lender_count(), 0);
	ck_assert_uint_eq(borrows().items.count, 0);
}
END_TEST

/* No target was ever heard, and one that ran out meanwhile made it higher. */
START_TEST(offline_return_is_above_all_targets_that_were_lost)
{
	struct local_borrow_returned reply;
	uint64_t second;

	borrow_two(&second);
	borrow(1, 1);
	lender.dies_at = OP_BORROW_PREPARE;
	begin_return(second, OP_BORROW_PREPARE);
	ck_assert_uint_eq(lender.target, lender.proven + 1);
	usleep(1100000);
	world_disconnect(&world);
	ck_assert_int_eq(world_take(&reply, &world, LOCAL_BORROW_RETURN, &arena,
			     &problem),
	    0);
	world_serve_until(&world, OP_BORROW_PREPARE, 2);
	ck_assert_uint_gt(lender.target, lender.proven + 1);
	lender.dies_at = 0;
	world.offline = true;
	world_disconnect(&world);
	world_connect_app(&world);
	ck_assert_int_eq(give_back(&reply, 0, true), 0);
	for (size_t i = 0; i < LENDER_MAX; i++)
		if (lender.lent[i].lease != 0)
			ck_assert_uint_lt(lent_epoch(&lender.lent[i]),
			    reply.file.proof.counter);
	come_back();
	ck_assert_uint_eq(lender_count(), 0);
}
END_TEST

/* --- a site that is no good ------------------------------------------------ */

static uint64_t
counter_now(uint64_t lease)
{
	struct local_renew_reply reply;

	ck_assert_int_eq(renew(&reply, lease), 0);
	return reply.ticket.proof.counter;
}

/* Each step is written into the TPM, which bears so many and no more. */
START_TEST(target_far_away_is_not_counted_to)
{
	uint64_t second, first = borrow_two(&second), before;
	struct local_borrow_returned reply;

	before = counter_now(first);
	lender.far = UINT64_C(1) << 40;
	ck_assert_int_eq(give_back(&reply, second, false), ERR_BAD_PROOF);
	ck_assert_ptr_nonnull(strstr(problem.detail, "steps"));
	ck_assert_uint_eq(counter_now(first), before);
	/* It was a mistake: what was begun is settled before anything else. */
	lender.far = 0;
	ck_assert_int_eq(give_back(&reply, second, false), ERR_GONE);
	ck_assert_uint_eq(lender_count(), 1);
}
END_TEST

START_TEST(list_that_never_ends_is_given_up)
{
	struct local_borrow_returned reply;
	uint64_t lease = borrow(1, 172800);

	lender.endless = true;
	ck_assert_int_eq(give_back(&reply, lease, false), ERR_BAD_PROOF);
	lender.endless = false;
	ck_assert_int_eq(give_back(&reply, 0, false), 0);
	ck_assert(reply.proved);
	ck_assert_uint_eq(lender_count(), 0);
}
END_TEST

/* Who reads the number of another's request in a row gets nothing by it. */
START_TEST(anothers_request_takes_nothing_over)
{
	struct local_borrow_take ask = wish(1, 172800);
	struct local_borrow reply;
	uint64_t lease;

	wait_connected();
	text_copy(ask.user, sizeof(ask.user), "somebody");
	ck_assert_int_eq(world_call(&reply, &world, LOCAL_BORROW_TAKE, &ask,
			     &arena, &problem),
	    0);
	lease = reply.lease;
	if (!connect_as(1))
		return;
	memcpy(ask.request, lender_find(lease)->row.grant.request,
	    sizeof(ask.request));
	ck_assert_int_eq(world_call(&reply, &world, LOCAL_BORROW_TAKE, &ask,
			     &arena, &problem),
	    0);
	ck_assert_uint_ne(reply.lease, lease);
	connect_as(0);
	for (uint32_t i = 0; i < borrows().items.count; i++) {
		const struct local_borrow *item =
		    (const struct local_borrow *)borrows().items.items + i;

		ck_assert_uint_eq(item->uid, item->lease == lease ? 0 : 1);
	}
}
END_TEST

/* Whoever asks faster than the key proves does not keep others from it. */
START_TEST(proofs_of_one_seat_are_not_piled_up)
{
	uint64_t lease = borrow(1, 172800);
	struct local_renew ask = { .lease = lease };
	struct local_renew_reply reply;
	unsigned int refused = 0;

	use_seat();
	for (int i = 0; i < 100; i++) {
		randombytes_buf(ask.nonce, sizeof(ask.nonce));
		world_ask(&world, LOCAL_RENEW, &ask);
	}
	for (int i = 0; i < 100; i++) {
		struct rpc_envelope line;

		world_line(&line, &world);
		if (line.error == NULL)
			continue;
		ck_assert_int_eq(rpc_read_error(&problem, line.error,
				     line.error_len),
		    ERR_RATE_LIMITED);
		refused++;
	}
	ck_assert_uint_gt(refused, 0);
	ck_assert_int_eq(renew(&reply, lease), 0);
}
END_TEST

/* --- what is over, and what is owed --------------------------------------- */

START_TEST(borrow_that_ran_out_is_settled_at_the_next_contact)
{
	uint64_t lease = borrow(1, 1), other = borrow(1, 172800);

	go_offline();
	usleep(1100000);
	ck_assert_uint_eq(((const struct local_borrow *)borrows().items.items)
			      ->state,
	    BORROW_UNPROVEN);
	ck_assert_uint_eq(use_seat(), other);
	ck_assert_uint_eq(lender_count(), 2);
	come_back();
	ck_assert_ptr_null(lender_find(lease));
	ck_assert_ptr_nonnull(lender_find(other));
	ck_assert_uint_eq(borrows().items.count, 1);
}
END_TEST

START_TEST(what_ran_out_is_settled_before_more_is_borrowed)
{
	uint64_t lease = borrow(1, 1), other;

	usleep(1100000);
	other = borrow(1, 100);
	ck_assert_ptr_null(lender_find(lease));
	ck_assert_ptr_nonnull(lender_find(other));
}
END_TEST

/* The wall clock says that it is good; the device's own says otherwise. */
START_TEST(used_up_time_ends_a_ticket)
{
	struct local_checkout ask = question();
	uint64_t lease;

	lender.clock_back_ms = 3600000;
	lease = borrow(1, 3600);
	/* Not given out, and the site is asked instead. */
	ck_assert_uint_ne(take_seat(&ask).lease, lease);
	ck_assert_uint_eq(used(lease), 0);
	for (int i = 0; i < 100 && lender_count() != 0; i++)
		world_serve_for(&world, 20);
	ck_assert_uint_eq(lender_count(), 0);
}
END_TEST

START_TEST(used_up_time_ends_a_renewal)
{
	struct local_renew_reply reply;
	uint64_t lease;

	lender.clock_back_ms = 3600000 - 400;
	lease = borrow(1, 3600);
	use_seat();
	go_offline();
	usleep(500000);
	ck_assert_int_eq(renew(&reply, lease), ERR_GONE);
	ck_assert_ptr_nonnull(strstr(problem.detail, "are over"));
	expect_revoked(lease);
}
END_TEST

START_TEST(what_is_owed_is_proved_without_being_asked)
{
	borrow(1, 172800);
	/* An admin wrote it off. */
	lender.owed = lender_find(501)->now.epoch;
	lender.lent[0].lease = 0;
	world_disconnect(&world);
	wait_connected();
	ck_assert_uint_eq(lender.owed, 0);
	ck_assert_uint_eq(borrows().items.count, 0);
	borrow(1, 100);
}
END_TEST

START_TEST(site_that_forgot_a_borrow_takes_none_away)
{
	uint64_t lease = borrow(1, 172800);

	world_disconnect(&world);
	world_roll_back(&world, 1);
	lender.lent[0].lease = 0;
	wait_connected();
	go_offline();
	ck_assert_uint_eq(use_seat(), lease);
}
END_TEST

Suite *
suite(void)
{
	Suite *s = suite_create("keeper borrow");
	TCase *using_ = tcase_create("using");
	TCase *restarts = tcase_create("restarts");
	TCase *returns = tcase_create("returns");
	TCase *crashes = tcase_create("crashes");
	TCase *over = tcase_create("over");
	TCase *cases[] = { using_, restarts, returns, crashes, over };

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
	tcase_add_test(returns, return_takes_the_seats_in_use);
	tcase_add_test(returns, others_go_on_while_one_comes_back);
	tcase_add_test(returns, return_of_what_is_not_there_is_refused);
	tcase_add_test(returns, others_borrows_are_not_ones_own);
	tcase_add_test(returns, offline_all_or_nothing_goes_back);
	tcase_add_test(returns, nothing_is_used_after_an_offline_return);
	tcase_add_test(returns, restored_book_serves_nothing_after_a_return);
	tcase_add_test(crashes, crash_before_the_site_hears_of_a_return);
	tcase_add_test(crashes, crash_before_the_target_is_heard);
	tcase_add_test(crashes, crash_before_replacements_are_stored);
	tcase_add_test(crashes, crash_before_the_counter_is_raised);
	tcase_add_test(crashes, crash_before_the_site_hears_the_proof);
	tcase_add_test(crashes, crash_before_the_book_forgets);
	tcase_add_test(crashes, cut_line_ends_no_return);
	tcase_add_test(crashes, offline_return_is_above_a_target_that_was_lost);
	tcase_add_test(crashes,
	    offline_return_is_above_all_targets_that_were_lost);
	tcase_add_test(over, proofs_of_one_seat_are_not_piled_up);
	tcase_add_test(over, target_far_away_is_not_counted_to);
	tcase_add_test(over, list_that_never_ends_is_given_up);
	tcase_add_test(over, anothers_request_takes_nothing_over);
	tcase_add_test(over,
	    borrow_that_ran_out_is_settled_at_the_next_contact);
	tcase_add_test(over, what_ran_out_is_settled_before_more_is_borrowed);
	tcase_add_test(over, used_up_time_ends_a_ticket);
	tcase_add_test(over, used_up_time_ends_a_renewal);
	tcase_add_test(over, what_is_owed_is_proved_without_being_asked);
	tcase_add_test(over, site_that_forgot_a_borrow_takes_none_away);
	return s;
}
