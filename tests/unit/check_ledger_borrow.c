/* Borrowing in the ledger: who is lent what, and what frees a seat. */
#include "tests/unit/ledger_borrow.h"
#include "tests/unit/suite.h"

#define PRODUCT "davinci-configurator-se"

static struct world world;
static struct borrower laptop;

static void
setup(void)
{
	world_init(&world, 11);
	struct license license = borrow_license(&world, PRODUCT, 3, 2);

	license.terms.borrow_max_s = 30 * BORROW_DAY_S;
	ck_assert_int_eq(world_install(&world, &license), 0);
	laptop = borrower_new(&world, "laptop-1");
}

static void
teardown(void)
{
	world_check_folded(&world);
	world_free(&world);
}

static int
take_problem(const struct borrower *borrower, struct borrow_take *body,
    struct problem *problem)
{
	struct command command;

	if (borrow_take_as(&world, &command, borrower, body) == 0)
		ck_assert_int_ne(command.err, 0);
	*problem = command.problem;
	return command.err;
}

static int
take_refused(const struct borrower *borrower, uint32_t length_s)
{
	struct borrow_take body =
	    borrow_take_body(&world, borrower, PRODUCT, length_s);
	struct problem problem;

	return take_problem(borrower, &body, &problem);
}

/* Raise the counter and prove it. */
static struct borrow_returned
raise_to(struct borrower *borrower, uint64_t epoch)
{
	struct borrow_returned returned;

	borrower->counter = epoch;
	ck_assert_int_eq(borrow_prove(&world, &returned, borrower), 0);
	return returned;
}

static struct borrow_view
show(uint64_t lease)
{
	struct lease_ref ref = { lease };
	struct borrow_view view;
	struct problem problem;
	struct ledger_view *v;
	struct arena arena = { .chunks = NULL };

	ck_assert_int_eq(ledger_view_open(&v, world.ledger), 0);
	ck_assert_int_eq(ledger_query(&view, v, OP_BORROW_SHOW, &ref, world.now,
			     &arena, &problem),
	    0);
	ledger_view_close(v);
	arena_release(&arena);
	return view;
}

/* --- taking --------------------------------------------------------------- */

START_TEST(a_borrow_takes_a_seat_and_has_a_ticket)
{
	uint64_t lease = borrow_take(&world, &laptop, PRODUCT, BORROW_DAY_S);
	struct borrow_ticket ticket[2];
	struct borrow_tickets last;

	ck_assert_uint_ne(lease, 0);
	ck_assert_uint_eq(world_seats_free(&world, PRODUCT), 4);
	ck_assert_uint_eq(borrow_tickets(ticket, 2, &last, &world,
			      laptop.device),
	    1);
	ck_assert_uint_eq(ticket[0].lease, lease);
	ck_assert_uint_eq(ticket[0].ticket.epoch, laptop.counter);
	ck_assert_uint_eq(ticket[0].ticket.clock_ms, laptop.clock_ms);
	ck_assert_uint_eq(ticket[0].ticket.resets, laptop.resets);
	ck_assert_uint_eq(ticket[0].ticket.class_, PROOF_SOFTWARE);
	ck_assert_int_eq(ticket[0].ticket.until, world.now + WORLD_DAY);
	ck_assert_uint_eq(last.target, 0);
	ck_assert_uint_eq(last.owed, 0);
	ck_assert_uint_eq(show(lease).state, BORROW_LENT);
	ck_assert_str_eq(show(lease).user, "alice");
	ck_assert_str_eq(show(lease).device_name, "laptop-1");
}
END_TEST

START_TEST(a_retry_takes_no_second_seat)
{
	struct borrow_take body =
	    borrow_take_body(&world, &laptop, PRODUCT, BORROW_DAY_S);
	struct command command;
	uint64_t first = borrow_take_as(&world, &command, &laptop, &body);

	/* Another challenge, a later clock: the same question. */
	memset(body.ask.nonce, 9, sizeof body.ask.nonce);
	laptop.clock_ms += 5000;
	body.proof = borrower_proof(&laptop);
	world_reopen(&world);
	ck_assert_uint_eq(borrow_take_as(&world, &command, &laptop, &body),
	    first);
	ck_assert_uint_eq(world_seats_free(&world, PRODUCT), 4);
	body.length_s++;
	ck_assert_uint_eq(borrow_take_as(&world, &command, &laptop, &body), 0);
	ck_assert_int_eq(command.err, ERR_CONFLICT);
	/* Nor is it a checkout. */
	ck_assert_int_eq(world_checkout(&world, &command, laptop.device,
			     &body.ask),
	    ERR_CONFLICT);
	arena_release(&command.arena);
	raise_to(&laptop, 2);
	body.length_s--;
	ck_assert_uint_eq(borrow_take_as(&world, &command, &laptop, &body), 0);
	ck_assert_int_eq(command.err, ERR_GONE);
}
END_TEST

START_TEST(a_class_that_may_not_borrow_is_refused_by_name)
{
	struct license license = world_license(&world, "other", 3, 0);
	struct problem problem;

	ck_assert_int_eq(world_install(&world, &license), 0);
	struct borrow_take body =
	    borrow_take_body(&world, &laptop, "other", 60);

	ck_assert_int_eq(take_problem(&laptop, &body, &problem),
	    ERR_CLASS_NOT_ALLOWED);
	ck_assert_str_eq(problem.code, "class_not_allowed");
	ck_assert_ptr_nonnull(strstr(problem.detail, "class software"));
	ck_assert_ptr_nonnull(strstr(problem.hint, "tpm"));
	license = borrow_license(&world, "none", 3, 0);
	license.terms.no_borrow = true;
	ck_assert_int_eq(world_install(&world, &license), 0);
	body = borrow_take_body(&world, &laptop, "none", 60);
	ck_assert_int_eq(take_problem(&laptop, &body, &problem),
	    ERR_CLASS_NOT_ALLOWED);
}
END_TEST

START_TEST(nobody_borrows_for_longer_than_license_site_and_contract_say)
{
	struct borrow_take body =
	    borrow_take_body(&world, &laptop, PRODUCT, 30 * BORROW_DAY_S + 1);
	struct command command;
	struct problem problem;

	ck_assert_int_eq(take_problem(&laptop, &body, &problem),
	    ERR_BORROW_LIMIT);
	ck_assert_str_eq(problem.field, "length_s");
	ck_assert_ptr_nonnull(strstr(problem.detail, "the license"));
	body = borrow_take_body(&world, &laptop, PRODUCT, 2 * BORROW_DAY_S);
	command = world_command(&world, OP_BORROW_TAKE, ACTOR_DEVICE,
	    laptop.device, &body);
	command.borrow.max_s = BORROW_DAY_S;
	ck_assert_int_eq(world_do(&world, &command), ERR_BORROW_LIMIT);
	ck_assert_ptr_nonnull(strstr(command.problem.detail, "this site"));
	arena_release(&command.arena);

	struct license license = borrow_license(&world, "short", 3, 0);

	license.contract.end_date = WORLD_TODAY + 1;
	ck_assert_int_eq(world_install(&world, &license), 0);
	body = borrow_take_body(&world, &laptop, "short", 3 * BORROW_DAY_S);
	ck_assert_int_eq(take_problem(&laptop, &body, &problem),
	    ERR_BORROW_LIMIT);
	ck_assert_ptr_nonnull(strstr(problem.detail, "contract"));
}
END_TEST

/* Signed before licenses spoke of borrows. */
START_TEST(a_license_without_a_longest_borrow_lends_for_a_week)
{
	struct license license = borrow_license(&world, "older", 3, 0);
	struct problem problem;

	license.terms.borrow_max_s = 0;
	ck_assert_int_eq(world_install(&world, &license), 0);
	struct borrow_take body =
	    borrow_take_body(&world, &laptop, "older", 7 * BORROW_DAY_S + 1);

	ck_assert_int_eq(take_problem(&laptop, &body, &problem),
	    ERR_BORROW_LIMIT);
	body.length_s--;
	ck_assert_int_eq(take_problem(&laptop, &body, &problem), 0);
}
END_TEST

START_TEST(no_more_seats_are_on_loan_than_license_and_site_lend)
{
	struct license license = borrow_license(&world, "few", 5, 0);
	struct command command;

	license.terms.borrow_seats = 2;
	ck_assert_int_eq(world_install(&world, &license), 0);
	struct borrow_take body = borrow_take_body(&world, &laptop, "few", 60);

	body.ask.count = 2;
	ck_assert_uint_ne(borrow_take_as(&world, &command, &laptop, &body), 0);
	body = borrow_take_body(&world, &laptop, "few", 60);
	ck_assert_uint_eq(borrow_take_as(&world, &command, &laptop, &body), 0);
	ck_assert_int_eq(command.err, ERR_BORROW_LIMIT);
	ck_assert_uint_ne(world_lease(&world, laptop.device, "few"), 0);

	/* The site keeps four of the five at home. */
	body = borrow_take_body(&world, &laptop, PRODUCT, 60);
	body.ask.count = 2;
	command = world_command(&world, OP_BORROW_TAKE, ACTOR_DEVICE,
	    laptop.device, &body);
	command.borrow.keep = 4;
	ck_assert_int_eq(world_do(&world, &command), ERR_BORROW_LIMIT);
	arena_release(&command.arena);
	body = borrow_take_body(&world, &laptop, PRODUCT, 60);
	command = world_command(&world, OP_BORROW_TAKE, ACTOR_DEVICE,
	    laptop.device, &body);
	command.borrow.keep = 4;
	ck_assert_int_eq(world_do(&world, &command), 0);
	arena_release(&command.arena);
}
END_TEST

START_TEST(seats_on_offer_to_others_are_not_lent)
{
	struct borrow_take body =
	    borrow_take_body(&world, &laptop, PRODUCT, 60);
	struct command command = world_command(&world, OP_BORROW_TAKE,
	    ACTOR_DEVICE, laptop.device, &body);

	command.reserved = 5;
	ck_assert_int_eq(world_do(&world, &command), ERR_OVERAGE_EXHAUSTED);
	arena_release(&command.arena);
}
END_TEST

START_TEST(overage_seats_are_lent_with_their_numbers)
{
	struct borrow_take body =
	    borrow_take_body(&world, &laptop, PRODUCT, 60);
	struct command command;

	body.ask.count = 4;
	ck_assert_uint_ne(borrow_take_as(&world, &command, &laptop, &body), 0);
	ck_assert_uint_eq(world_usage(&world, 1).overage_checkouts, 1);
	ck_assert_uint_eq(world_usage(&world, 1).used_overage, 1);
	ck_assert_uint_eq(world_lease(&world, laptop.device, PRODUCT) != 0, 1);
	ck_assert_uint_eq(world_usage(&world, 1).overage_checkouts, 2);
}
END_TEST

START_TEST(a_counter_or_a_clock_that_went_back_gets_nothing)
{
	struct borrow_returned returned;
	struct borrower now = laptop;

	laptop.counter = 5;
	ck_assert_uint_ne(borrow_take(&world, &laptop, PRODUCT, 60), 0);
	now = laptop;
	now.counter = 4;
	ck_assert_int_eq(take_refused(&now, 60), ERR_BAD_PROOF);
	now = laptop;
	now.clock_ms--;
	ck_assert_int_eq(take_refused(&now, 60), ERR_CLOCK_TAMPERED);
	now.resets++;
	ck_assert_uint_ne(borrow_take(&world, &now, PRODUCT, 60), 0);
	now.resets -= 2;
	ck_assert_int_eq(take_refused(&now, 60), ERR_CLOCK_TAMPERED);
	/* A device that gives back is never refused for its clock. */
	now.counter++;
	ck_assert_int_eq(borrow_prove(&world, &returned, &now), 0);
	ck_assert_uint_eq(returned.ended, 2);
}
END_TEST

/* A key file counts as it likes. What no later value could close is not lent,
 * and no number that a row cannot hold is asked for: that would fail the batch,
 * and with it what others asked. */
START_TEST(a_counter_at_its_end_gets_nothing)
{
	const uint64_t last = (UINT64_C(1) << 53) - 1;
	uint64_t lease = borrow_take(&world, &laptop, PRODUCT, BORROW_DAY_S);
	struct borrow_returned returned;
	struct command command;
	uint64_t epoch;

	ck_assert_uint_ne(lease, 0);
	laptop.counter = last;
	ck_assert_int_eq(borrow_prepare(&world, &epoch, &laptop, lease),
	    ERR_BORROW_LIMIT);
	ck_assert_int_eq(borrow_prove(&world, &returned, &laptop), 0);
	ck_assert_uint_eq(returned.ended, 1);
	ck_assert_int_eq(take_refused(&laptop, BORROW_DAY_S), ERR_BORROW_LIMIT);
	/* The last value that lends leaves room for every return. */
	struct borrower desk = borrower_new(&world, "desk-1");

	desk.counter = UINT64_C(1) << 52;
	lease = borrow_take(&world, &desk, PRODUCT, BORROW_DAY_S);
	ck_assert_uint_ne(lease, 0);
	ck_assert_int_eq(borrow_prepare(&world, &epoch, &desk, lease), 0);
	ck_assert_uint_eq(epoch, desk.counter + 1);
	ck_assert_uint_eq(raise_to(&desk, epoch).ended, 1);
	ck_assert_int_eq(take_refused(&desk, BORROW_DAY_S), ERR_BORROW_LIMIT);
	desk = borrower_new(&world, "desk-2");
	lease = borrow_take(&world, &desk, PRODUCT, BORROW_DAY_S);
	desk.counter = last;
	ck_assert_int_eq(borrow_extend(&world, &command, &desk, lease, 60),
	    ERR_BORROW_LIMIT);
	ck_assert_uint_eq(raise_to(&desk, last).ended, 1);
}
END_TEST

START_TEST(a_lease_that_is_borrowed_ends_by_no_other_way)
{
	uint64_t lease = borrow_take(&world, &laptop, PRODUCT, 60);
	struct lease_ref ref = { lease };
	struct ledger_expire expire = { lease, world.now };
	struct command command;

	ck_assert_int_eq(world_return(&world, laptop.device, lease),
	    ERR_CONFLICT);
	ck_assert_int_eq(borrow_do(&world, &command, OP_LEASE_RELEASE,
			     ACTOR_ADMIN, 1, &ref),
	    ERR_CONFLICT);
	ck_assert_int_eq(borrow_do(&world, &command, LEDGER_EXPIRE, ACTOR_SITE,
			     0, &expire),
	    ERR_CONFLICT);
	ck_assert_uint_eq(world_seats_free(&world, PRODUCT), 4);
	/* And one that is not, not by these. */
	ref.lease = world_lease(&world, laptop.device, PRODUCT);
	ck_assert_int_eq(borrow_write_off(&world, &command, ref.lease, false),
	    ERR_CONFLICT);
	ck_assert_int_eq(borrow_write_off(&world, &command, 99, false),
	    ERR_NOT_FOUND);
}
END_TEST

START_TEST(a_device_has_so_many_borrows_and_no_more)
{
	struct license license = borrow_license(&world, "many", 100, 0);
	struct borrow_ticket tickets[2 * BORROW_DEVICE_MAX];
	struct borrow_tickets last;
	uint64_t epoch, first = 0;

	ck_assert_int_eq(world_install(&world, &license), 0);
	for (int i = 0; i < BORROW_DEVICE_MAX; i++) {
		uint64_t lease = borrow_take(&world, &laptop, "many", 60);

		ck_assert_uint_ne(lease, 0);
		first = first == 0 ? lease : first;
	}
	struct borrow_take body = borrow_take_body(&world, &laptop, "many", 60);
	struct problem problem;

	ck_assert_int_eq(take_problem(&laptop, &body, &problem),
	    ERR_BORROW_LIMIT);
	/* All others are replaced at once. */
	ck_assert_int_eq(borrow_prepare(&world, &epoch, &laptop, first), 0);
	ck_assert_uint_eq(borrow_tickets(tickets, 2 * BORROW_DEVICE_MAX, &last,
			      &world, laptop.device),
	    2 * BORROW_DEVICE_MAX - 1);
	ck_assert_uint_eq(raise_to(&laptop, epoch).left, BORROW_DEVICE_MAX - 1);
}
END_TEST

/* --- the early return ----------------------------------------------------- */

START_TEST(only_a_proof_above_its_epoch_frees_a_seat)
{
	uint64_t lease = borrow_take(&world, &laptop, PRODUCT, BORROW_DAY_S);
	struct borrow_returned returned;
	uint64_t epoch;

	ck_assert_int_eq(borrow_prepare(&world, &epoch, &laptop, lease), 0);
	ck_assert_uint_eq(epoch, 2);
	ck_assert_uint_eq(show(lease).state, BORROW_RETURNING);
	ck_assert_int_eq(borrow_prove(&world, &returned, &laptop), 0);
	ck_assert_uint_eq(returned.ended, 0);
	ck_assert_uint_eq(world_seats_free(&world, PRODUCT), 4);
	returned = raise_to(&laptop, 2);
	ck_assert_uint_eq(returned.ended, 1);
	ck_assert_uint_eq(returned.left, 0);
	ck_assert_uint_eq(world_seats_free(&world, PRODUCT), 5);
	/* The same proof once more frees nothing. */
	ck_assert_uint_eq(raise_to(&laptop, 2).ended, 0);
	ck_assert_uint_eq(world_seats_free(&world, PRODUCT), 5);
}
END_TEST

START_TEST(the_others_go_on_at_the_new_epoch)
{
	uint64_t a = borrow_take(&world, &laptop, PRODUCT, BORROW_DAY_S);
	uint64_t b = borrow_take(&world, &laptop, PRODUCT, 2 * BORROW_DAY_S);
	struct borrow_ticket tickets[4];
	struct borrow_tickets last;
	uint64_t epoch;

	ck_assert_int_eq(borrow_prepare(&world, &epoch, &laptop, a), 0);
	/* B has a ticket for both values of the counter, A for one. */
	ck_assert(borrow_has(&world, laptop.device, b, 1));
	ck_assert(borrow_has(&world, laptop.device, b, 2));
	ck_assert(borrow_has(&world, laptop.device, a, 1));
	ck_assert(!borrow_has(&world, laptop.device, a, 2));
	ck_assert_uint_eq(raise_to(&laptop, epoch).ended, 1);
	ck_assert_uint_eq(borrow_tickets(tickets, 4, &last, &world,
			      laptop.device),
	    1);
	ck_assert_uint_eq(tickets[0].lease, b);
	/* Its time goes on from where it began. */
	ck_assert_uint_eq(tickets[0].ticket.why, TICKET_REPLACED);
	ck_assert_uint_eq(tickets[0].ticket.clock_ms, laptop.clock_ms);
	ck_assert_int_eq(tickets[0].ticket.until, world.now + 2 * WORLD_DAY);
	ck_assert_uint_eq(world_seats_free(&world, PRODUCT), 4);
}
END_TEST

START_TEST(said_again_it_says_the_same)
{
	uint64_t a = borrow_take(&world, &laptop, PRODUCT, BORROW_DAY_S);
	uint64_t epoch;

	borrow_take(&world, &laptop, PRODUCT, BORROW_DAY_S);
	ck_assert_int_eq(borrow_prepare(&world, &epoch, &laptop, a), 0);
	struct journal_known before = world_known(&world);

	for (int i = 0; i < 20; i++) {
		world_reopen(&world);
		ck_assert_int_eq(borrow_prepare(&world, &epoch, &laptop, a), 0);
		ck_assert_uint_eq(epoch, 2);
	}
	ck_assert_uint_eq(world_known(&world).batch, before.batch);
	raise_to(&laptop, 2);
	/* Nothing that it names is lent any more. */
	ck_assert_int_eq(borrow_prepare(&world, &epoch, &laptop, a), 0);
	ck_assert_uint_eq(epoch, 0);
}
END_TEST

/* First A, and then, before the counter was raised, B instead. */
START_TEST(who_changes_his_mind_returns_both_or_neither)
{
	uint64_t a = borrow_take(&world, &laptop, PRODUCT, BORROW_DAY_S);
	uint64_t b = borrow_take(&world, &laptop, PRODUCT, BORROW_DAY_S);
	uint64_t c = borrow_take(&world, &laptop, PRODUCT, BORROW_DAY_S);
	uint64_t epoch;

	ck_assert_int_eq(borrow_prepare(&world, &epoch, &laptop, a), 0);
	ck_assert_uint_eq(epoch, 2);
	ck_assert_int_eq(borrow_prepare(&world, &epoch, &laptop, b), 0);
	ck_assert_uint_eq(epoch, 3);
	ck_assert(borrow_has(&world, laptop.device, c, 3));
	ck_assert(!borrow_has(&world, laptop.device, a, 3));
	/* Half of the way: A is over, and B is not yet. */
	struct borrow_returned returned = raise_to(&laptop, 2);

	ck_assert_uint_eq(returned.ended, 1);
	ck_assert_uint_eq(world_seats_free(&world, PRODUCT), 3);
	returned = raise_to(&laptop, 3);
	ck_assert_uint_eq(returned.ended, 1);
	ck_assert_uint_eq(returned.left, 1);
	ck_assert_uint_eq(show(c).epoch, 3);
}
END_TEST

static uint64_t
rows_now(void)
{
	struct journal_header header;
	struct record_span token;
	struct arena arena = { .chunks = NULL };
	struct ledger_view *view;
	uint8_t head[32];

	ck_assert_int_eq(ledger_view_open(&view, world.ledger), 0);
	ck_assert_int_eq(ledger_newest(&header, head, &token, view, &arena), 0);
	ledger_view_close(view);
	arena_release(&arena);
	return header.first_row + header.rows;
}

/* Each time one that the target before kept: it goes no further than a counter
 * may be raised at once, and nobody who only begins fills the journal. What is
 * named too late comes back in the next round. */
START_TEST(returns_that_are_never_finished_end_somewhere)
{
	struct license license = borrow_license(&world, "many", 100, 0);
	uint64_t leases[20], epoch = 0, rows = 0;

	ck_assert_int_eq(world_install(&world, &license), 0);
	for (int i = 0; i < 20; i++)
		leases[i] = borrow_take(&world, &laptop, "many", 60);
	for (uint64_t n = 0; n < 20; n++) {
		ck_assert_int_eq(borrow_prepare(&world, &epoch, &laptop,
				     leases[n]),
		    0);
		ck_assert_uint_eq(epoch, n < 16 ? 2 + n : 17);
		if (n == 16)
			rows = rows_now();
	}
	ck_assert_uint_eq(rows_now(), rows);
	ck_assert_uint_eq(raise_to(&laptop, 17).left, 4);
	for (int n = 16; n < 20; n++)
		ck_assert_int_eq(borrow_prepare(&world, &epoch, &laptop,
				     leases[n]),
		    0);
	ck_assert_uint_eq(raise_to(&laptop, epoch).left, 0);
}
END_TEST

START_TEST(nothing_is_lent_while_a_return_is_half_done)
{
	uint64_t a = borrow_take(&world, &laptop, PRODUCT, BORROW_DAY_S);
	struct command command;
	uint64_t epoch;

	ck_assert_int_eq(borrow_prepare(&world, &epoch, &laptop, a), 0);
	ck_assert_int_eq(take_refused(&laptop, 60), ERR_CONFLICT);
	ck_assert_int_eq(borrow_extend(&world, &command, &laptop, a, 60),
	    ERR_CONFLICT);
	/* Raised, and not proved: what is below is still counted. */
	laptop.counter = epoch;
	ck_assert_int_eq(take_refused(&laptop, 60), ERR_CONFLICT);
	raise_to(&laptop, epoch);
	ck_assert_uint_ne(borrow_take(&world, &laptop, PRODUCT, 60), 0);
}
END_TEST

START_TEST(any_higher_value_closes_all_below)
{
	struct borrow_returned returned;

	borrow_take(&world, &laptop, PRODUCT, BORROW_DAY_S);
	borrow_take(&world, &laptop, PRODUCT, BORROW_DAY_S);
	returned = raise_to(&laptop, 1000);
	ck_assert_uint_eq(returned.ended, 2);
	ck_assert_uint_eq(world_seats_free(&world, PRODUCT), 5);
	/* And with a proof in the first step it is enough. */
	uint64_t c = borrow_take(&world, &laptop, PRODUCT, BORROW_DAY_S);
	uint64_t epoch;

	laptop.counter++;
	ck_assert_int_eq(borrow_prepare(&world, &epoch, &laptop, c), 0);
	ck_assert_uint_eq(epoch, 0);
	ck_assert_uint_eq(world_seats_free(&world, PRODUCT), 5);
}
END_TEST

static uint64_t
rows_written(void)
{
	struct journal_header header;
	struct record_span token;
	struct ledger_view *view;
	struct arena arena = { .chunks = NULL };
	uint8_t head[32];

	ck_assert_int_eq(ledger_view_open(&view, world.ledger), 0);
	ck_assert_int_eq(ledger_newest(&header, head, &token, view, &arena), 0);
	ledger_view_close(view);
	arena_release(&arena);
	return header.first_row + header.rows;
}

/* A fence above the last value that there is: refused, and no batch fails. */
START_TEST(a_fence_at_the_counters_end_is_no_fault)
{
	struct ledger_generation generation = { .reason = "test",
		.counter = 3 };
	uint64_t lease = borrow_take(&world, &laptop, PRODUCT, BORROW_DAY_S);
	struct borrow_returned returned;
	struct command command;
	uint64_t epoch;

	ck_assert_int_eq(borrow_do(&world, &command, LEDGER_GENERATION,
			     ACTOR_ADMIN, 1, &generation),
	    0);
	laptop.counter = (UINT64_C(1) << 53) - 1;
	ck_assert_int_eq(borrow_prepare(&world, &epoch, &laptop, lease),
	    ERR_BORROW_LIMIT);
	ck_assert_int_eq(borrow_prove(&world, &returned, &laptop), 0);
	ck_assert_int_eq(borrow_prepare(&world, &epoch, &laptop, lease),
	    ERR_BORROW_LIMIT);
	ck_assert_int_eq(borrow_write_off(&world, &command, lease, false), 0);
}
END_TEST

/* Or whoever counts as he likes would fill the disk with proofs. */
START_TEST(who_has_borrowed_nothing_writes_nothing)
{
	uint64_t rows = rows_written(), epoch;

	for (uint64_t counter = 2; counter < 10; counter++) {
		ck_assert_uint_eq(raise_to(&laptop, counter).ended, 0);
		ck_assert_int_eq(borrow_prepare(&world, &epoch, &laptop, 0), 0);
		ck_assert_uint_eq(epoch, 0);
	}
	ck_assert_uint_eq(rows_written(), rows);
	ck_assert_uint_ne(borrow_take(&world, &laptop, PRODUCT, 60), 0);
	laptop.counter--;
	ck_assert_int_eq(take_refused(&laptop, 60), ERR_BAD_PROOF);
}
END_TEST

START_TEST(a_file_is_as_good_as_the_device_and_no_better)
{
	uint64_t lease = borrow_take(&world, &laptop, PRODUCT, BORROW_DAY_S);
	struct borrow_file file = { .device = laptop.device,
		.proof = borrower_proof(&laptop),
		.made_at = WORLD_NOW };
	struct device_revoke revoke = { .device = laptop.device };
	struct command command;

	ck_assert_uint_ne(lease, 0);
	snprintf(file.site, sizeof file.site, "site-test");
	snprintf(file.tenant, sizeof file.tenant, "default");
	ck_assert_int_eq(borrow_do(&world, &command, OP_BORROW_DELIVER,
			     ACTOR_ADMIN, 7, &file),
	    0);
	ck_assert_uint_eq(command.reply.borrow_returned.ended, 0);
	file.proof.counter = 2;
	ck_assert_int_eq(borrow_do(&world, &command, OP_BORROW_DELIVER,
			     ACTOR_ADMIN, 7, &file),
	    0);
	ck_assert_uint_eq(command.reply.borrow_returned.ended, 1);
	/* Late, and twice. */
	file.proof.counter = 1;
	ck_assert_int_eq(borrow_do(&world, &command, OP_BORROW_DELIVER,
			     ACTOR_ADMIN, 7, &file),
	    0);
	ck_assert_uint_eq(command.reply.borrow_returned.counter, 2);
	ck_assert_int_eq(borrow_do(&world, &command, OP_DEVICE_REVOKE,
			     ACTOR_ADMIN, 7, &revoke),
	    0);
	file.proof.counter = 9;
	ck_assert_int_eq(borrow_do(&world, &command, OP_BORROW_DELIVER,
			     ACTOR_ADMIN, 7, &file),
	    0);
	ck_assert_uint_eq(world_seats_free(&world, PRODUCT), 5);
}
END_TEST

/* --- extending ------------------------------------------------------------ */

START_TEST(an_extension_begins_anew_and_costs_no_seat)
{
	uint64_t lease = borrow_take(&world, &laptop, PRODUCT, BORROW_DAY_S);
	struct borrow_ticket ticket[2];
	struct borrow_tickets last;
	struct command command;

	world.now += WORLD_DAY / 2;
	laptop.clock_ms += (uint64_t)WORLD_DAY / 2;
	ck_assert_int_eq(borrow_extend(&world, &command, &laptop, lease,
			     3 * BORROW_DAY_S),
	    0);
	ck_assert_int_eq(command.reply.borrow_taken.until,
	    world.now + 3 * WORLD_DAY);
	ck_assert_uint_eq(borrow_tickets(ticket, 2, &last, &world,
			      laptop.device),
	    1);
	ck_assert_uint_eq(ticket[0].ticket.why, TICKET_EXTENDED);
	ck_assert_uint_eq(ticket[0].ticket.clock_ms, laptop.clock_ms);
	ck_assert_uint_eq(ticket[0].ticket.epoch, 1);
	ck_assert_uint_eq(world_seats_free(&world, PRODUCT), 4);
	ck_assert_int_eq(borrow_extend(&world, &command, &laptop, lease,
			     40 * BORROW_DAY_S),
	    ERR_BORROW_LIMIT);
	ck_assert_int_eq(borrow_extend(&world, &command, &laptop, lease + 1,
			     60),
	    ERR_NOT_FOUND);
	/* Both tickets are over with one proof. */
	ck_assert_uint_eq(raise_to(&laptop, 2).ended, 1);
}
END_TEST

START_TEST(what_a_renewal_took_away_is_not_extended)
{
	struct license license = borrow_license(&world, PRODUCT, 3, 2);
	struct borrow_take body =
	    borrow_take_body(&world, &laptop, PRODUCT, 60);
	struct command command;

	body.ask.count = 2;
	uint64_t lease = borrow_take_as(&world, &command, &laptop, &body);

	license.serial = 2;
	license.entitlement.commit_qty = 1;
	license.entitlement.max_overage = 4;
	ck_assert_int_eq(world_install(&world, &license), 0);
	ck_assert_int_eq(borrow_extend(&world, &command, &laptop, lease, 60),
	    ERR_CONFLICT);
}
END_TEST

/* --- what nobody proves --------------------------------------------------- */

START_TEST(a_borrow_that_ran_out_keeps_its_seat_until_it_is_proved)
{
	uint64_t lease = borrow_take(&world, &laptop, PRODUCT, BORROW_DAY_S);
	struct command command;
	uint64_t epoch;

	world.now += 100 * WORLD_DAY;
	laptop.clock_ms += 5000;
	ck_assert_uint_eq(show(lease).state, BORROW_UNPROVEN);
	ck_assert_uint_eq(world_seats_free(&world, PRODUCT), 4);
	/* And nothing more for its device, not even a lease. */
	ck_assert_int_eq(take_refused(&laptop, 60), ERR_BORROW_LIMIT);
	ck_assert_int_eq(borrow_extend(&world, &command, &laptop, lease, 60),
	    ERR_BORROW_LIMIT);
	ck_assert_uint_eq(world_lease(&world, laptop.device, PRODUCT), 0);
	ck_assert_int_eq(borrow_prepare(&world, &epoch, &laptop, 99), 0);
	ck_assert_uint_eq(epoch, 2); /* though another was named */
	ck_assert_uint_eq(raise_to(&laptop, epoch).ended, 1);
	ck_assert_uint_eq(world_seats_free(&world, PRODUCT), 5);
	ck_assert_uint_ne(world_lease(&world, laptop.device, PRODUCT), 0);
}
END_TEST

START_TEST(a_written_off_borrow_frees_its_seat_at_the_end_of_its_window)
{
	uint64_t lease = borrow_take(&world, &laptop, PRODUCT, BORROW_DAY_S);
	struct borrow_tickets last;
	struct borrow_ticket ticket[2];
	struct command command;
	int64_t until = world.now + WORLD_DAY;

	ck_assert_int_eq(borrow_write_off(&world, &command, lease, false), 0);
	ck_assert_int_eq(command.reply.borrow_written_off.until, until);
	ck_assert_int_eq(borrow_write_off(&world, &command, lease, false),
	    ERR_GONE);
	world.now = until - 1;
	ck_assert_uint_eq(world_seats_free(&world, PRODUCT), 4);
	/* Its device owes a proof, whatever it asks for. */
	ck_assert_int_eq(take_refused(&laptop, 60), ERR_BORROW_LIMIT);
	ck_assert_uint_eq(world_lease(&world, laptop.device, PRODUCT), 0);
	ck_assert_uint_eq(borrow_tickets(ticket, 2, &last, &world,
			      laptop.device),
	    0);
	ck_assert_uint_eq(last.owed, 1);
	world.now = until;
	ck_assert_uint_eq(world_seats_free(&world, PRODUCT), 5);
	ck_assert_int_eq(take_refused(&laptop, 60), ERR_BORROW_LIMIT);
	raise_to(&laptop, 2);
	ck_assert_uint_ne(borrow_take(&world, &laptop, PRODUCT, 60), 0);
}
END_TEST

START_TEST(a_written_off_borrow_counts_as_overage_when_an_admin_wants_its_seat)
{
	uint64_t lease = borrow_take(&world, &laptop, PRODUCT, BORROW_DAY_S);
	uint64_t other = world_device(&world, "ws-2");
	struct command command;

	/* As long as a committed seat is free there is nothing to win. */
	ck_assert_int_eq(borrow_write_off(&world, &command, lease, true),
	    ERR_CONFLICT);
	ck_assert_uint_ne(world_lease(&world, other, PRODUCT), 0);
	ck_assert_uint_ne(world_lease(&world, other, PRODUCT), 0);
	ck_assert_uint_eq(world_seats_free(&world, PRODUCT), 2);
	ck_assert_int_eq(borrow_write_off(&world, &command, lease, true), 0);
	ck_assert_uint_eq(command.reply.borrow_written_off.overage_count, 1);
	/* One seat for another, and it is billed. */
	ck_assert_uint_eq(world_seats_free(&world, PRODUCT), 2);
	ck_assert_uint_eq(world_usage(&world, 1).overage_checkouts, 1);
	uint64_t next = world_lease(&world, other, PRODUCT);

	ck_assert_uint_ne(next, 0);
	ck_assert_uint_eq(world_usage(&world, 1).used_commit, 3);
	ck_assert_uint_eq(world_usage(&world, 1).overage_checkouts, 1);
	world_check(&world);
	world.now += WORLD_DAY;
	ck_assert_uint_eq(world_seats_free(&world, PRODUCT), 2);
}
END_TEST

START_TEST(overage_that_is_not_there_is_not_taken_for_a_lost_seat)
{
	struct license license = borrow_license(&world, "hard", 1, 0);
	struct command command;

	ck_assert_int_eq(world_install(&world, &license), 0);
	uint64_t lease = borrow_take(&world, &laptop, "hard", BORROW_DAY_S);

	ck_assert_int_eq(borrow_write_off(&world, &command, lease, true),
	    ERR_OVERAGE_EXHAUSTED);
	ck_assert_int_eq(borrow_write_off(&world, &command, lease, false), 0);
}
END_TEST

START_TEST(a_revoked_device_holds_its_seats_to_the_end_of_their_windows)
{
	struct device_revoke revoke = { .device = laptop.device };
	struct command command;

	borrow_take(&world, &laptop, PRODUCT, BORROW_DAY_S);
	ck_assert_uint_ne(world_lease(&world, laptop.device, PRODUCT), 0);
	ck_assert_int_eq(borrow_do(&world, &command, OP_DEVICE_REVOKE,
			     ACTOR_ADMIN, 7, &revoke),
	    0);
	ck_assert_uint_eq(command.reply.device.device, laptop.device);
	ck_assert_uint_eq(world_seats_free(&world, PRODUCT), 4);
	world.now += WORLD_DAY;
	ck_assert_uint_eq(world_seats_free(&world, PRODUCT), 5);
}
END_TEST

START_TEST(borrows_are_listed_by_number_in_pages)
{
	struct borrower other = borrower_new(&world, "laptop-2");
	uint64_t leases[4];
	struct borrow_query query = { .limit = 3 };
	struct borrow_page page;
	struct problem problem;
	struct ledger_view *view;
	struct arena arena = { .chunks = NULL };

	for (int i = 0; i < 4; i++)
		leases[i] =
		    borrow_take(&world, i % 2 ? &laptop : &other, PRODUCT, 60);
	ck_assert_int_eq(ledger_view_open(&view, world.ledger), 0);
	ck_assert_int_eq(ledger_query(&page, view, OP_BORROW_LIST, &query,
			     world.now, &arena, &problem),
	    0);
	const struct borrow_view *items = page.items.items;

	ck_assert_uint_eq(page.items.count, 3);
	for (int i = 0; i < 3; i++)
		ck_assert_uint_eq(items[i].lease, leases[i]);
	query.after = page.next;
	ck_assert_int_eq(ledger_query(&page, view, OP_BORROW_LIST, &query,
			     world.now, &arena, &problem),
	    0);
	items = page.items.items;
	ck_assert_uint_eq(page.items.count, 1);
	ck_assert_uint_eq(items[0].lease, leases[3]);
	ck_assert_uint_eq(page.next, 0);
	query = (struct borrow_query){ .device = laptop.device };
	ck_assert_int_eq(ledger_query(&page, view, OP_BORROW_LIST, &query,
			     world.now, &arena, &problem),
	    0);
	ck_assert_uint_eq(page.items.count, 2);
	snprintf(query.product, sizeof query.product, "unknown");
	ck_assert_int_eq(ledger_query(&page, view, OP_BORROW_LIST, &query,
			     world.now, &arena, &problem),
	    0);
	ck_assert_uint_eq(page.items.count, 0);
	ledger_view_close(view);
	arena_release(&arena);
}
END_TEST

Suite *
suite(void)
{
	Suite *s = suite_create("ledger_borrow");
	TCase *tc = tcase_create("borrow");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, a_borrow_takes_a_seat_and_has_a_ticket);
	tcase_add_test(tc, a_retry_takes_no_second_seat);
	tcase_add_test(tc, a_class_that_may_not_borrow_is_refused_by_name);
	tcase_add_test(tc,
	    nobody_borrows_for_longer_than_license_site_and_contract_say);
	tcase_add_test(tc, a_license_without_a_longest_borrow_lends_for_a_week);
	tcase_add_test(tc,
	    no_more_seats_are_on_loan_than_license_and_site_lend);
	tcase_add_test(tc, seats_on_offer_to_others_are_not_lent);
	tcase_add_test(tc, overage_seats_are_lent_with_their_numbers);
	tcase_add_test(tc, a_counter_or_a_clock_that_went_back_gets_nothing);
	tcase_add_test(tc, a_counter_at_its_end_gets_nothing);
	tcase_add_test(tc, a_lease_that_is_borrowed_ends_by_no_other_way);
	tcase_add_test(tc, a_device_has_so_many_borrows_and_no_more);
	tcase_add_test(tc, only_a_proof_above_its_epoch_frees_a_seat);
	tcase_add_test(tc, the_others_go_on_at_the_new_epoch);
	tcase_add_test(tc, said_again_it_says_the_same);
	tcase_add_test(tc, who_changes_his_mind_returns_both_or_neither);
	tcase_add_test(tc, returns_that_are_never_finished_end_somewhere);
	tcase_add_test(tc, nothing_is_lent_while_a_return_is_half_done);
	tcase_add_test(tc, any_higher_value_closes_all_below);
	tcase_add_test(tc, a_fence_at_the_counters_end_is_no_fault);
	tcase_add_test(tc, who_has_borrowed_nothing_writes_nothing);
	tcase_add_test(tc, a_file_is_as_good_as_the_device_and_no_better);
	tcase_add_test(tc, an_extension_begins_anew_and_costs_no_seat);
	tcase_add_test(tc, what_a_renewal_took_away_is_not_extended);
	tcase_add_test(tc,
	    a_borrow_that_ran_out_keeps_its_seat_until_it_is_proved);
	tcase_add_test(tc,
	    a_written_off_borrow_frees_its_seat_at_the_end_of_its_window);
	tcase_add_test(tc,
	    a_written_off_borrow_counts_as_overage_when_an_admin_wants_its_seat);
	tcase_add_test(tc,
	    overage_that_is_not_there_is_not_taken_for_a_lost_seat);
	tcase_add_test(tc,
	    a_revoked_device_holds_its_seats_to_the_end_of_their_windows);
	tcase_add_test(tc, borrows_are_listed_by_number_in_pages);
	suite_add_tcase(s, tc);
	return s;
}
