/* Folding rows about borrows that nobody would decide: what contradicts the
 * state is damage, whoever wrote it. Each row is bent from one that folds. */
#include "appliance/ledger/borrow.h"
#include "appliance/ledger/core.h"
#include "appliance/ledger/fold.h"
#include "tests/unit/ledger_borrow.h"
#include "tests/unit/suite.h"

#define PRODUCT "davinci-configurator-se"
#define SEATS 80u

static struct world world;
static struct borrower laptop;
static struct arena arena;
static uint64_t one, other; /* its borrows */

static void
setup(void)
{
	world_init(&world, 13);
	struct license license = borrow_license(&world, PRODUCT, SEATS, 5);

	license.terms.borrow_max_s = 30 * BORROW_DAY_S;
	ck_assert_int_eq(world_install(&world, &license), 0);
	laptop = borrower_new(&world, "laptop-1");
	one = borrow_take(&world, &laptop, PRODUCT, BORROW_DAY_S);
	other = borrow_take(&world, &laptop, PRODUCT, BORROW_DAY_S);
	ck_assert_uint_ne(one, 0);
	ck_assert_uint_ne(other, 0);
	memset(&arena, 0, sizeof(arena));
}

static void
teardown(void)
{
	world_check_folded(&world);
	arena_release(&arena);
	world_free(&world);
}

/* As the next row of the journal; nothing of it stays. */
static int
fold(const struct row *row)
{
	struct fold_place place = { .batch = 1000, .time = world.now };
	struct row next = *row;
	struct state state;

	ck_assert_int_eq(state_begin(&state, world.ledger->store, true, NULL),
	    0);
	next.number = state.counters.next_row;
	int err = fold_row(&state, &next, &place);

	state_abort(&state);
	return err;
}

/* The row that holds a ticket. */
static struct row
ticket_row(uint64_t lease, uint64_t epoch)
{
	const struct borrow_mine all = { 0 };
	struct borrow_tickets tickets;
	struct ledger_view *view;
	struct row row = { .number = 0 };

	ck_assert_int_eq(ledger_view_open(&view, world.ledger), 0);
	ck_assert_int_eq(ledger_tickets(&tickets, view, laptop.device, &all,
			     &arena),
	    0);
	const struct borrow_evidence *e = tickets.items.items;

	for (uint32_t i = 0; i < tickets.items.count; i++) {
		struct row read;

		ck_assert_int_eq(row_read(&read, e[i].row_number, e[i].row.data,
				     e[i].row.len, &arena),
		    0);
		if (e[i].lease == lease &&
		    read.u.borrowed.ticket.epoch == epoch)
			row = read;
	}
	ck_assert_uint_ne(row.number, 0);
	ledger_view_close(view);
	return row;
}

/* A row that takes one more seat. */
static struct row
taking(struct row_slots *slots)
{
	struct row row = ticket_row(one, laptop.counter);

	*slots = *(const struct row_slots *)row.u.borrowed.grant.slots.items;
	slots->first = SEATS - 1;
	row.u.borrowed.grant.slots = (struct record_list){ slots, 1 };
	row.u.borrowed.grant.lease = other + 1;
	return row;
}

START_TEST(a_borrow_begins_with_a_true_ticket)
{
	struct row_slots slots;
	struct row row = taking(&slots);
	struct row_ticket *ticket = &row.u.borrowed.ticket;

	ck_assert_int_eq(fold(&row), 0);
	ticket->until++;
	ck_assert_int_eq(fold(&row), ERR_CORRUPT);
	ticket->until--;
	ticket->why = TICKET_EXTENDED;
	ck_assert_int_eq(fold(&row), ERR_CORRUPT);
	ticket->why = TICKET_TAKEN;
	ticket->epoch++;
	ck_assert_int_eq(fold(&row), ERR_CORRUPT);
	ticket->epoch--;
	ck_assert_int_eq(fold(&row), 0);
}
END_TEST

START_TEST(a_device_has_no_more_borrows_than_it_may)
{
	struct row_slots slots;

	for (uint32_t i = 2; i < BORROW_DEVICE_MAX; i++) {
		struct row row = taking(&slots);

		ck_assert_int_eq(fold(&row), 0);
		other = borrow_take(&world, &laptop, PRODUCT, BORROW_DAY_S);
		ck_assert_uint_ne(other, 0);
	}
	struct row row = taking(&slots);

	ck_assert_int_eq(fold(&row), ERR_CORRUPT);
}
END_TEST

START_TEST(an_extension_is_of_the_same_seats_and_epoch)
{
	struct row_slots two = { 0, 2 };
	struct row row = ticket_row(other, 1), bent;
	struct row_borrowed *r = &bent.u.borrowed;
	uint64_t epoch;

	row.kind = ROW_BORROW_REISSUED;
	row.u.borrowed.ticket.why = TICKET_EXTENDED;
	ck_assert_int_eq(fold(&row), 0);
	bent = row;
	r->ticket.until++;
	ck_assert_int_eq(fold(&bent), ERR_CORRUPT);
	bent = row;
	r->ticket.why = TICKET_TAKEN;
	ck_assert_int_eq(fold(&bent), ERR_CORRUPT);
	bent = row;
	r->ticket.epoch++;
	ck_assert_int_eq(fold(&bent), ERR_CORRUPT);
	bent = row;
	r->grant.license++;
	ck_assert_int_eq(fold(&bent), ERR_CORRUPT);
	bent = row;
	r->grant.count = 2;
	r->grant.slots = (struct record_list){ &two, 1 };
	ck_assert_int_eq(fold(&bent), ERR_CORRUPT);
	bent = row;
	r->grant.type = SEAT_OVERAGE;
	r->grant.overage = r->grant.overage_count = 1;
	ck_assert_int_eq(fold(&bent), ERR_CORRUPT);
	/* It has a replacement, so it is extended no more. */
	ck_assert_int_eq(borrow_prepare(&world, &epoch, &laptop, one), 0);
	ck_assert_int_eq(fold(&row), ERR_CORRUPT);
}
END_TEST

START_TEST(a_replacement_is_for_the_return_that_was_begun)
{
	struct row row, bent;
	uint64_t epoch;

	row = ticket_row(one, 1);
	row.kind = ROW_BORROW_REISSUED;
	row.u.borrowed.ticket.why = TICKET_REPLACED;
	ck_assert_int_eq(fold(&row), ERR_CORRUPT);
	row.u.borrowed.ticket.epoch = 2;
	ck_assert_int_eq(fold(&row), ERR_CORRUPT); /* none was */
	ck_assert_int_eq(borrow_prepare(&world, &epoch, &laptop, one), 0);
	ck_assert_uint_eq(epoch, 2);
	ck_assert_int_eq(fold(&row), 0);
	bent = row;
	bent.u.borrowed.ticket.epoch = 3;
	ck_assert_int_eq(fold(&bent), ERR_CORRUPT);
	/* This one has its own already. */
	bent = ticket_row(other, 2);
	ck_assert_int_eq(fold(&bent), ERR_CORRUPT);
}
END_TEST

START_TEST(a_return_begins_above_all_that_was)
{
	struct row row = { .kind = ROW_BORROW_RETURNING };
	uint64_t epoch;

	row.u.borrow_returning =
	    (struct row_borrow_returning){ .device = laptop.device,
		    .epoch = 1 };
	ck_assert_int_eq(fold(&row), ERR_CORRUPT);
	row.u.borrow_returning.epoch = 2;
	ck_assert_int_eq(fold(&row), 0);
	ck_assert_int_eq(borrow_prepare(&world, &epoch, &laptop, one), 0);
	ck_assert_int_eq(fold(&row), ERR_CORRUPT);
	row.u.borrow_returning.epoch = 3;
	ck_assert_int_eq(fold(&row), 0);
}
END_TEST

START_TEST(a_counter_that_was_proved_does_not_go_back)
{
	struct row row = { .kind = ROW_DEVICE_PROVED };

	row.u.device_proved.device = laptop.device;
	row.u.device_proved.purpose = PROOF_RETURN;
	row.u.device_proved.proof = borrower_proof(&laptop);
	ck_assert_int_eq(fold(&row), 0);
	row.u.device_proved.proof.counter--;
	ck_assert_int_eq(fold(&row), ERR_CORRUPT);
}
END_TEST

/* --- ends ----------------------------------------------------------------- */

static struct row
ending(enum borrow_end reason)
{
	const struct row borrowed = ticket_row(one, 1);
	struct row row = { .kind = ROW_BORROW_ENDED };

	row.u.borrow_ended = (struct row_borrow_ended){
		.lease = one,
		.license = borrowed.u.borrowed.grant.license,
		.device = laptop.device,
		.count = 1,
		.reason = reason,
		.epoch = 1,
		.until = reason == BORROW_WRITTEN_OFF
		    ? borrowed.u.borrowed.ticket.until
		    : 0,
		.by = { ACTOR_ADMIN, 7 },
	};
	return row;
}

START_TEST(no_seat_comes_back_without_the_proof_that_frees_it)
{
	struct row row = ending(BORROW_RETURNED);

	ck_assert_int_eq(fold(&row), ERR_CORRUPT);
	row = ending(BORROW_RAN_OUT);
	ck_assert_int_eq(fold(&row), ERR_CORRUPT);
	/* Given up it stays taken. */
	row = ending(BORROW_WRITTEN_OFF);
	ck_assert_int_eq(fold(&row), 0);
}
END_TEST

START_TEST(an_end_is_of_the_borrow_that_it_names)
{
	struct row row = ending(BORROW_WRITTEN_OFF), bent = row;
	struct row_borrow_ended *end = &bent.u.borrow_ended;

	ck_assert_int_eq(fold(&row), 0);
	end->license++;
	ck_assert_int_eq(fold(&bent), ERR_CORRUPT);
	bent = row;
	end->count++;
	ck_assert_int_eq(fold(&bent), ERR_CORRUPT);
	bent = row;
	end->epoch++;
	ck_assert_int_eq(fold(&bent), ERR_CORRUPT);
	bent = row;
	end->lease = other + 1;
	ck_assert_int_eq(fold(&bent), ERR_CORRUPT);
	bent = row;
	end->overage_count = 1; /* of no seats */
	ck_assert_int_eq(fold(&bent), ERR_CORRUPT);
}
END_TEST

START_TEST(seats_in_place_of_others_stay_for_a_while)
{
	struct row_slots slots = { SEATS, 1 };
	struct row row = ending(BORROW_WRITTEN_OFF);
	struct row_borrow_ended *end = &row.u.borrow_ended;

	end->slots = (struct record_list){ &slots, 1 };
	end->overage = end->overage_count = 1;
	ck_assert_int_eq(fold(&row), 0);
	world.now = end->until;
	ck_assert_int_eq(fold(&row), ERR_CORRUPT);
	world.now = end->until - 1;
	ck_assert_int_eq(fold(&row), 0);
}
END_TEST

/* --- what an extension says ------------------------------------------------ */

START_TEST(the_latest_of_its_windows_is_a_borrows_end)
{
	struct state_borrow borrow;
	struct command command;
	struct state state;
	int64_t until = world.now + 2 * WORLD_DAY;

	ck_assert_int_eq(borrow_extend(&world, &command, &laptop, one,
			     2 * BORROW_DAY_S),
	    0);
	/* A shorter one takes nothing away: its other ticket is good still. */
	ck_assert_int_eq(borrow_extend(&world, &command, &laptop, one, 60), 0);
	ck_assert_int_eq(state_begin(&state, world.ledger->store, false, NULL),
	    0);
	ck_assert_int_eq(state_borrow(&borrow, &state, laptop.device, one), 0);
	state_abort(&state);
	ck_assert_int_ge(borrow.until, until);
}
END_TEST

Suite *
suite(void)
{
	Suite *s = suite_create("ledger_fold_borrow");
	TCase *tc = tcase_create("fold");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, a_borrow_begins_with_a_true_ticket);
	tcase_add_test(tc, a_device_has_no_more_borrows_than_it_may);
	tcase_add_test(tc, an_extension_is_of_the_same_seats_and_epoch);
	tcase_add_test(tc, a_replacement_is_for_the_return_that_was_begun);
	tcase_add_test(tc, a_return_begins_above_all_that_was);
	tcase_add_test(tc, a_counter_that_was_proved_does_not_go_back);
	tcase_add_test(tc, no_seat_comes_back_without_the_proof_that_frees_it);
	tcase_add_test(tc, an_end_is_of_the_borrow_that_it_names);
	tcase_add_test(tc, seats_in_place_of_others_stay_for_a_while);
	tcase_add_test(tc, the_latest_of_its_windows_is_a_borrows_end);
	suite_add_tcase(s, tc);
	return s;
}
