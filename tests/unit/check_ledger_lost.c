/* Borrows in a journal that was put back to an older copy, in the core: tickets
 * of the lost branch that devices show, and the fence that closes those that
 * nobody shows (borrow.h). */
#include "tests/unit/ledger_borrow.h"
#include "tests/unit/ledger_copy.h"
#include "tests/unit/suite.h"

#define PRODUCT "davinci"
#define SEATS 4
#define AHEAD 16 /* BORROW_AHEAD_MAX */

static struct world world;
static struct borrower alice;

/* Tickets as a keeper has them. */
struct shown {
	struct arena arena;
	struct attach_item items[8];
	uint32_t n;
};

static void
begin_generation(uint32_t lost)
{
	struct ledger_generation request = {
		.lost = { .generation = lost, .batch = 1000 },
		.stored = 3,
		.witnessed = 9,
		.counter = 10 * lost,
		.reason = "the disk failed",
	};
	struct command command =
	    world_command(&world, LEDGER_GENERATION, ACTOR_ADMIN, 1, &request);

	world.now += 1000;
	ck_assert_int_eq(world_do(&world, &command), 0);
	arena_release(&command.arena);
}

static void
put_back(void)
{
	ledger_put_back(&world);
	begin_generation(1);
}

static void
setup(void)
{
	world_init(&world, 78);
	struct license license = borrow_license(&world, PRODUCT, SEATS - 1, 1);

	ck_assert_int_eq(world_install(&world, &license), 0);
	alice = borrower_new(&world, "alice");
}

static void
teardown(void)
{
	char saved[128];

	snprintf(saved, sizeof saved, "%s/copy", world.dir);
	unlink(saved);
	world_free(&world);
}

static void
keep(struct shown *shown, uint64_t device)
{
	struct borrow_mine query = { .after = 0 };
	struct borrow_tickets page;
	struct ledger_view *view;

	memset(shown, 0, sizeof *shown);
	ck_assert_int_eq(ledger_view_open(&view, world.ledger), 0);
	ck_assert_int_eq(ledger_tickets(&page, view, device, &query,
			     &shown->arena),
	    0);
	ledger_view_close(view);
	const struct borrow_evidence *items = page.items.items;

	ck_assert_uint_le(page.items.count, 8);
	for (uint32_t i = 0; i < page.items.count; i++)
		shown->items[shown->n++] = (struct attach_item){
			.lease = items[i].lease,
			.row_number = items[i].row_number,
			.row = items[i].row,
			.path = items[i].path,
			.header = items[i].header,
		};
}

/* What became of the last one. */
static int
show(const struct shown *shown, const struct borrower *device)
{
	struct ledger_adopt_item items[8];
	struct ledger_adopt request = { items, shown->n };
	struct arena arena = { .chunks = NULL };

	for (uint32_t i = 0; i < shown->n; i++)
		ck_assert_int_eq(ledger_adopt_read(&items[i], world.ledger,
				     &shown->items[i], device->device, &arena),
		    0);
	struct command command = world_command(&world, LEDGER_ADOPT,
	    ACTOR_DEVICE, device->device, &request);

	command.counter = device->counter;
	int err = world_do(&world, &command);

	if (err == 0 && shown->n > 0)
		err = items[shown->n - 1].err;
	arena_release(&command.arena);
	arena_release(&arena);
	return err;
}

/* Prepare, raise and prove, until nothing is owed; `lease` comes back. */
static void
give_back(uint64_t lease)
{
	struct borrow_returned returned;
	uint64_t epoch;

	for (int i = 0; i < 4; i++) {
		ck_assert_int_eq(borrow_prepare(&world, &epoch, &alice, lease),
		    0);
		if (epoch == 0)
			return;
		ck_assert_uint_le(epoch, alice.counter + AHEAD);
		alice.counter = epoch;
		ck_assert_int_eq(borrow_prove(&world, &returned, &alice), 0);
		lease = UINT64_C(1) << 40; /* named once */
	}
	ck_abort_msg("it never ends");
}

static uint64_t
owed(void)
{
	struct borrow_ticket tickets[2 * BORROW_DEVICE_MAX];
	struct borrow_tickets last;

	borrow_tickets(tickets, 2 * BORROW_DEVICE_MAX, &last, &world,
	    alice.device);
	return last.owed;
}

START_TEST(borrow_of_a_lost_branch_is_known_again)
{
	struct shown shown;

	ledger_snapshot(&world);
	uint64_t lease = borrow_take(&world, &alice, PRODUCT, BORROW_DAY_S);

	ck_assert_uint_ne(lease, 0);
	keep(&shown, alice.device);
	put_back();
	ck_assert_uint_eq(world_seats_free(&world, PRODUCT), SEATS);
	ck_assert_int_eq(show(&shown, &alice), 0);
	ck_assert_uint_eq(world_seats_free(&world, PRODUCT), SEATS - 1);
	ck_assert(borrow_has(&world, alice.device, lease, alice.counter));
	/* Shown again it takes no second seat. */
	ck_assert_int_eq(show(&shown, &alice), 0);
	ck_assert_uint_eq(world_seats_free(&world, PRODUCT), SEATS - 1);
	world_check_folded(&world);
	give_back(lease);
	ck_assert_uint_eq(world_seats_free(&world, PRODUCT), SEATS);
	/* Nor does it come back once it is over. */
	ck_assert_int_eq(show(&shown, &alice), ERR_GONE);
	ck_assert_uint_eq(world_seats_free(&world, PRODUCT), SEATS);
	ck_assert_uint_ne(borrow_take(&world, &alice, PRODUCT, 3600), 0);
	arena_release(&shown.arena);
	world_check_folded(&world);
}
END_TEST

/* The lost branch had given one back, and a ticket at the raised counter to the
 * other. Who hides that one has it freed by no proof that it outlives. */
START_TEST(hidden_ticket_is_closed_before_its_seat_is_free)
{
	struct borrow_returned returned;
	uint64_t one = borrow_take(&world, &alice, PRODUCT, BORROW_DAY_S);
	uint64_t two = borrow_take(&world, &alice, PRODUCT, BORROW_DAY_S);
	uint64_t epoch;

	ck_assert(one != 0 && two != 0);
	ledger_snapshot(&world);
	ck_assert_int_eq(borrow_prepare(&world, &epoch, &alice, one), 0);
	alice.counter = epoch;
	ck_assert_int_eq(borrow_prove(&world, &returned, &alice), 0);
	ck_assert_uint_eq(returned.ended, 1);
	uint64_t hidden = alice.counter; /* of the ticket of `two` */

	put_back();
	ck_assert_int_eq(borrow_prove(&world, &returned, &alice), 0);
	ck_assert_uint_eq(returned.ended, 0);
	ck_assert_uint_eq(world_seats_free(&world, PRODUCT), SEATS - 2);
	ck_assert_uint_eq(owed(), hidden + AHEAD);
	/* Nothing is lent before that. */
	ck_assert_uint_eq(borrow_take(&world, &alice, PRODUCT, 60), 0);
	alice.counter = hidden + AHEAD;
	ck_assert_int_eq(borrow_prove(&world, &returned, &alice), 0);
	ck_assert_uint_eq(returned.ended, 0);
	alice.counter++;
	ck_assert_int_eq(borrow_prove(&world, &returned, &alice), 0);
	ck_assert_uint_eq(returned.ended, 2);
	ck_assert_uint_gt(alice.counter, hidden);
	ck_assert_uint_eq(world_seats_free(&world, PRODUCT), SEATS);
	ck_assert_uint_eq(owed(), 0);
	world_check_folded(&world);
}
END_TEST

/* The first target after it is as far as a counter is raised at once, and what
 * stays has a ticket for it. Whose answer is lost may still give that back. */
START_TEST(answer_that_was_lost_after_it_is_no_dead_end)
{
	struct borrow_returned returned;
	uint64_t one = borrow_take(&world, &alice, PRODUCT, BORROW_DAY_S);
	uint64_t epoch;

	ck_assert_uint_ne(one, 0);
	ledger_snapshot(&world);
	put_back();
	ck_assert_int_eq(borrow_prepare(&world, &epoch, &alice,
			     UINT64_C(1) << 40),
	    0);
	ck_assert_uint_eq(epoch, alice.counter + AHEAD);
	ck_assert(borrow_has(&world, alice.device, one, epoch));
	ck_assert_int_eq(borrow_prepare(&world, &epoch, &alice, one), 0);
	ck_assert_uint_eq(epoch, alice.counter + AHEAD);
	alice.counter = epoch;
	ck_assert_int_eq(borrow_prove(&world, &returned, &alice), 0);
	ck_assert_uint_eq(returned.left, 1);
	give_back(one);
	ck_assert_uint_eq(world_seats_free(&world, PRODUCT), SEATS);
	world_check_folded(&world);
}
END_TEST

/* Who shows it keeps it. */
START_TEST(replaced_ticket_that_is_shown_goes_on_above_the_fence)
{
	struct borrow_returned returned;
	struct shown shown;
	uint64_t one = borrow_take(&world, &alice, PRODUCT, BORROW_DAY_S);
	uint64_t two = borrow_take(&world, &alice, PRODUCT, BORROW_DAY_S);
	uint64_t epoch;

	ledger_snapshot(&world);
	ck_assert_int_eq(borrow_prepare(&world, &epoch, &alice, one), 0);
	keep(&shown, alice.device); /* before and behind the raise */
	ck_assert_uint_eq(shown.n, 3);
	alice.counter = epoch;
	ck_assert_int_eq(borrow_prove(&world, &returned, &alice), 0);
	put_back();
	(void)show(&shown, &alice);
	ck_assert(borrow_has(&world, alice.device, two, alice.counter));
	give_back(UINT64_C(1) << 40); /* none by name */
	ck_assert_uint_eq(owed(), 0);
	ck_assert(borrow_has(&world, alice.device, two, alice.counter));
	ck_assert(!borrow_has(&world, alice.device, one, alice.counter));
	/* What was on its way back is back, once. */
	ck_assert_uint_eq(world_seats_free(&world, PRODUCT), SEATS - 1);
	arena_release(&shown.arena);
	world_check_folded(&world);
}
END_TEST

START_TEST(both_tickets_of_an_unknown_borrow_are_one_seat)
{
	struct shown shown;
	uint64_t epoch;

	ck_assert_uint_ne(borrow_take(&world, &alice, PRODUCT, 3600), 0);
	ledger_snapshot(&world);
	uint64_t two = borrow_take(&world, &alice, PRODUCT, BORROW_DAY_S);
	uint64_t three = borrow_take(&world, &alice, PRODUCT, BORROW_DAY_S);

	ck_assert_int_eq(borrow_prepare(&world, &epoch, &alice, three), 0);
	keep(&shown, alice.device);
	ck_assert_uint_eq(shown.n, 5);
	put_back();
	ck_assert_int_eq(show(&shown, &alice), 0);
	/* The counter has not moved: what is good now is what is listed. */
	ck_assert(borrow_has(&world, alice.device, two, alice.counter));
	ck_assert(borrow_has(&world, alice.device, three, alice.counter));
	ck_assert_uint_eq(world_seats_free(&world, PRODUCT), SEATS - 3);
	world_check_folded(&world);
	give_back(0);
	ck_assert_uint_eq(world_seats_free(&world, PRODUCT), SEATS);
	arena_release(&shown.arena);
	world_check_folded(&world);
}
END_TEST

START_TEST(ticket_below_the_counter_is_not_taken_up)
{
	struct borrow_returned returned;
	struct shown shown;
	uint64_t epoch;

	ck_assert_uint_ne(borrow_take(&world, &alice, PRODUCT, 3600), 0);
	ledger_snapshot(&world);
	uint64_t lost = borrow_take(&world, &alice, PRODUCT, BORROW_DAY_S);

	keep(&shown, alice.device);
	ck_assert_int_eq(borrow_prepare(&world, &epoch, &alice, lost), 0);
	alice.counter = epoch;
	ck_assert_int_eq(borrow_prove(&world, &returned, &alice), 0);
	put_back();
	/* Its disk was put back, too: the counter was not. */
	ck_assert_int_eq(show(&shown, &alice), ERR_GONE);
	ck_assert_uint_eq(world_seats_free(&world, PRODUCT), SEATS - 1);
	arena_release(&shown.arena);
}
END_TEST

START_TEST(extension_of_the_lost_branch_takes_its_place)
{
	struct borrow_ticket tickets[2 * BORROW_DEVICE_MAX];
	struct borrow_tickets last;
	struct command command;
	struct shown shown;
	uint64_t lease = borrow_take(&world, &alice, PRODUCT, 3600);

	ledger_snapshot(&world);
	ck_assert_int_eq(borrow_extend(&world, &command, &alice, lease,
			     BORROW_DAY_S),
	    0);
	keep(&shown, alice.device);
	put_back();
	ck_assert_int_eq(show(&shown, &alice), 0);
	ck_assert_uint_eq(borrow_tickets(tickets, 2 * BORROW_DEVICE_MAX, &last,
			      &world, alice.device),
	    1);
	ck_assert_uint_eq(tickets[0].ticket.length_s, BORROW_DAY_S);
	ck_assert_uint_eq(tickets[0].ticket.why, TICKET_ADOPTED);
	ck_assert_uint_eq(world_seats_free(&world, PRODUCT), SEATS - 1);
	/* Its time goes on above the fence. */
	give_back(UINT64_C(1) << 40);
	ck_assert_uint_eq(borrow_tickets(tickets, 2 * BORROW_DEVICE_MAX, &last,
			      &world, alice.device),
	    1);
	ck_assert_uint_eq(tickets[0].ticket.length_s, BORROW_DAY_S);
	arena_release(&shown.arena);
	world_check_folded(&world);
}
END_TEST

/* An old proof would make a low fence. */
START_TEST(proof_of_before_the_session_is_refused)
{
	ck_assert_uint_ne(borrow_take(&world, &alice, PRODUCT, 3600), 0);
	ledger_snapshot(&world);
	put_back();
	struct borrow_return request = { .proof = borrower_proof(&alice) };
	struct command command = world_command(&world, OP_BORROW_RETURN,
	    ACTOR_DEVICE, alice.device, &request);

	command.counter = alice.counter + 1;
	ck_assert_int_eq(world_do(&world, &command), ERR_BAD_PROOF);
	arena_release(&command.arena);
	command.arena = (struct arena){ .chunks = NULL };
	command.counter = alice.counter;
	ck_assert_int_eq(world_do(&world, &command), 0);
	arena_release(&command.arena);
	ck_assert_uint_eq(owed(), alice.counter + AHEAD);
}
END_TEST

START_TEST(file_of_a_return_frees_nothing_that_is_not_fenced)
{
	struct borrow_returned returned;
	struct command command;

	ck_assert_uint_ne(borrow_take(&world, &alice, PRODUCT, 3600), 0);
	ledger_snapshot(&world);
	put_back();
	alice.counter += 40;
	struct borrow_file file = { .site = "site-test",
		.tenant = "default",
		.device = alice.device,
		.proof = borrower_proof(&alice) };

	ck_assert_int_eq(borrow_do(&world, &command, OP_BORROW_DELIVER,
			     ACTOR_ADMIN, 7, &file),
	    ERR_CONFLICT);
	ck_assert_uint_eq(world_seats_free(&world, PRODUCT), SEATS - 1);
	/* Once it came, a file counts again. */
	ck_assert_int_eq(borrow_prove(&world, &returned, &alice), 0);
	alice.counter += AHEAD + 1;
	file.proof = borrower_proof(&alice);
	ck_assert_int_eq(borrow_do(&world, &command, OP_BORROW_DELIVER,
			     ACTOR_ADMIN, 7, &file),
	    0);
	ck_assert_uint_eq(world_seats_free(&world, PRODUCT), SEATS);
	world_check_folded(&world);
}
END_TEST

/* Its first proof in another generation is no fence for what it never had. */
START_TEST(device_that_is_new_is_not_fenced)
{
	struct borrow_returned returned;

	ledger_snapshot(&world);
	put_back();
	struct borrower bob = borrower_new(&world, "bob");
	uint64_t lease = borrow_take(&world, &bob, PRODUCT, 3600);

	ck_assert_uint_ne(lease, 0);
	bob.counter++;
	ck_assert_int_eq(borrow_prove(&world, &returned, &bob), 0);
	ck_assert_uint_eq(returned.ended, 1);
}
END_TEST

/* The copy of before the first time is put back a second time. */
START_TEST(numbers_of_two_lost_branches_stand_apart)
{
	ledger_snapshot(&world);
	put_back();
	uint64_t first = borrow_take(&world, &alice, PRODUCT, 3600);

	ledger_put_back(&world);
	begin_generation(2);
	uint64_t second = borrow_take(&world, &alice, PRODUCT, 3600);

	ck_assert(first != 0 && second != 0);
	ck_assert_uint_ge(second - first, LEDGER_SKIP_LEASES / 2);
}
END_TEST

START_TEST(window_that_is_over_is_not_taken_up)
{
	struct shown shown;

	ledger_snapshot(&world);
	ck_assert_uint_ne(borrow_take(&world, &alice, PRODUCT, 3600), 0);
	keep(&shown, alice.device);
	put_back();
	world.now += 3600 * 1000 + 1;
	ck_assert_int_eq(show(&shown, &alice), ERR_GONE);
	arena_release(&shown.arena);
}
END_TEST

Suite *
suite(void)
{
	Suite *s = suite_create("ledger_lost");
	TCase *tc = tcase_create("borrows");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, borrow_of_a_lost_branch_is_known_again);
	tcase_add_test(tc, hidden_ticket_is_closed_before_its_seat_is_free);
	tcase_add_test(tc, answer_that_was_lost_after_it_is_no_dead_end);
	tcase_add_test(tc,
	    replaced_ticket_that_is_shown_goes_on_above_the_fence);
	tcase_add_test(tc, both_tickets_of_an_unknown_borrow_are_one_seat);
	tcase_add_test(tc, ticket_below_the_counter_is_not_taken_up);
	tcase_add_test(tc, extension_of_the_lost_branch_takes_its_place);
	tcase_add_test(tc, proof_of_before_the_session_is_refused);
	tcase_add_test(tc, file_of_a_return_frees_nothing_that_is_not_fenced);
	tcase_add_test(tc, device_that_is_new_is_not_fenced);
	tcase_add_test(tc, numbers_of_two_lost_branches_stand_apart);
	tcase_add_test(tc, window_that_is_over_is_not_taken_up);
	suite_add_tcase(s, tc);
	return s;
}
