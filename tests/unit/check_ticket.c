/* A ticket: what is left of it, as the device's counter and clocks say. */
#include "shared/base/err.h"
#include "shared/journal/ticket.h"
#include "tests/unit/suite.h"

#include <string.h>

#define WALL INT64_C(1780000000000)
#define WEEK_S 604800
#define WEEK_MS INT64_C(604800000)

static struct row_ticket
a_ticket(void)
{
	return (struct row_ticket){ .epoch = 5,
		.length_s = WEEK_S,
		.clock_ms = 1000000000,
		.resets = 3,
		.from = WALL,
		.until = WALL + WEEK_MS };
}

static struct ticket_now
at(int64_t after_ms)
{
	return (struct ticket_now){ .counter = 5,
		.clock_ms = (uint64_t)(1000000000 + after_ms),
		.resets = 3,
		.wall_ms = WALL + after_ms };
}

START_TEST(it_lasts_its_length_in_powered_on_time)
{
	struct row_ticket ticket = a_ticket();
	struct ticket_now now = at(0);
	int64_t left_ms = 0;

	ck_assert_int_eq(ticket_left_ms(&left_ms, &ticket, &now), 0);
	ck_assert_int_eq(left_ms, WEEK_MS);
	now = at(WEEK_MS - 1);
	ck_assert_int_eq(ticket_left_ms(&left_ms, &ticket, &now), 0);
	ck_assert_int_eq(left_ms, 1);
	now = at(WEEK_MS);
	ck_assert_int_eq(ticket_left_ms(&left_ms, &ticket, &now), ERR_EXPIRED);
	/* Whatever the wall clock says. */
	now.wall_ms = WALL + 5;
	ck_assert_int_eq(ticket_left_ms(&left_ms, &ticket, &now), ERR_EXPIRED);
}
END_TEST

START_TEST(it_is_good_at_exactly_one_value_of_the_counter)
{
	struct row_ticket ticket = a_ticket();
	struct ticket_now now = at(1000);
	int64_t left_ms;
	char words[160];

	now.counter = 6;
	ck_assert_int_eq(ticket_left_ms(&left_ms, &ticket, &now), ERR_GONE);
	ticket_explain(words, sizeof(words), ERR_GONE, &ticket, &now);
	ck_assert_ptr_nonnull(strstr(words, "given back"));
	now.counter = 4;
	ck_assert_int_eq(ticket_left_ms(&left_ms, &ticket, &now), ERR_GONE);
}
END_TEST

START_TEST(each_reset_costs_what_it_may_have_hidden)
{
	struct row_ticket ticket = a_ticket();
	struct ticket_now now = at(1000);
	int64_t left_ms;

	now.resets = 5;
	ck_assert_int_eq(ticket_left_ms(&left_ms, &ticket, &now), 0);
	ck_assert_int_eq(left_ms,
	    WEEK_MS - 1000 - 2 * (int64_t)TICKET_RESET_MS);
	/* No more resets than the week has such intervals. */
	now.resets = 3 + 144;
	ck_assert_int_eq(ticket_left_ms(&left_ms, &ticket, &now), 0);
	now.resets = 3 + 145;
	ck_assert_int_eq(ticket_left_ms(&left_ms, &ticket, &now), ERR_EXPIRED);
	now.resets = UINT64_MAX;
	ck_assert_int_eq(ticket_left_ms(&left_ms, &ticket, &now), ERR_EXPIRED);
}
END_TEST

START_TEST(a_clock_that_went_back_ends_it)
{
	struct row_ticket ticket = a_ticket();
	struct ticket_now now = at(-1);
	int64_t left_ms;
	char words[160];

	now.wall_ms = WALL + 1000;
	ck_assert_int_eq(ticket_left_ms(&left_ms, &ticket, &now),
	    ERR_CLOCK_TAMPERED);
	/* A reset explains so much and no more. */
	now.resets = 4;
	ck_assert_int_eq(ticket_left_ms(&left_ms, &ticket, &now), 0);
	ck_assert_int_eq(left_ms, WEEK_MS + 1 - (int64_t)TICKET_RESET_MS);
	now.clock_ms = 1000000000 - TICKET_RESET_MS;
	ck_assert_int_eq(ticket_left_ms(&left_ms, &ticket, &now), 0);
	now.clock_ms--;
	ck_assert_int_eq(ticket_left_ms(&left_ms, &ticket, &now),
	    ERR_CLOCK_TAMPERED);
	/* Cleared: it counts resets from the beginning. */
	now = at(1000);
	now.resets = 2;
	ck_assert_int_eq(ticket_left_ms(&left_ms, &ticket, &now),
	    ERR_CLOCK_TAMPERED);
	ticket_explain(words, sizeof(words), ERR_CLOCK_TAMPERED, &ticket, &now);
	ck_assert_ptr_nonnull(strstr(words, "cleared"));
}
END_TEST

START_TEST(a_clock_beyond_all_time_is_none)
{
	struct row_ticket ticket = a_ticket();
	struct ticket_now now = at(1000);
	int64_t left_ms;

	/* With what a reset is charged it would be a small one again. */
	ticket.clock_ms = 1000;
	now.clock_ms = UINT64_MAX - 1000;
	now.resets = 4;
	ck_assert_int_eq(ticket_left_ms(&left_ms, &ticket, &now),
	    ERR_CLOCK_TAMPERED);
}
END_TEST

START_TEST(its_parts_agree_with_each_other)
{
	struct row_slots slots = { 3, 2 };
	struct row_borrowed row = { .grant = { .count = 2,
					.slots = { &slots, 1 },
					.ttl_s = BORROW_PROVE_MAX_S },
		.ticket = a_ticket() };

	ck_assert(ticket_is_sound(&row));
	slots.count = 3;
	ck_assert(!ticket_is_sound(&row));
	slots.count = 2;
	row.grant.grace_s = 1;
	ck_assert(!ticket_is_sound(&row));
	row.grant.grace_s = 0;
	row.grant.ttl_s++;
	ck_assert(!ticket_is_sound(&row));
	row.grant.ttl_s--;
	row.ticket.length_s++;
	ck_assert(!ticket_is_sound(&row));
}
END_TEST

START_TEST(the_wall_clock_is_looked_at_too)
{
	struct row_ticket ticket = a_ticket();
	struct ticket_now now = at(1000);
	int64_t left_ms;

	now.wall_ms = WALL + WEEK_MS;
	ck_assert_int_eq(ticket_left_ms(&left_ms, &ticket, &now), ERR_EXPIRED);
	/* Clocks differ a little. */
	now.wall_ms = WALL - TICKET_SLACK_MS;
	ck_assert_int_eq(ticket_left_ms(&left_ms, &ticket, &now), 0);
	now.wall_ms--;
	ck_assert_int_eq(ticket_left_ms(&left_ms, &ticket, &now),
	    ERR_CLOCK_TAMPERED);
}
END_TEST

START_TEST(each_refusal_is_told_in_its_own_words)
{
	struct row_ticket ticket = a_ticket();
	struct ticket_now now = at(WEEK_MS);
	char words[160];

	ticket_explain(words, sizeof(words), ERR_EXPIRED, &ticket, &now);
	ck_assert_ptr_nonnull(strstr(words, "604800 s"));
	ck_assert_ptr_nonnull(strstr(words, "are over"));
	now = at(1000);
	now.wall_ms = WALL - TICKET_SLACK_MS - 1;
	ticket_explain(words, sizeof(words), ERR_CLOCK_TAMPERED, &ticket, &now);
	ck_assert_ptr_nonnull(strstr(words, "this machine's clock"));
	now = at(-1000);
	ticket_explain(words, sizeof(words), ERR_CLOCK_TAMPERED, &ticket, &now);
	ck_assert_ptr_nonnull(strstr(words, "the device's own clock"));
}
END_TEST

/* Of a proof for an application nothing else can be made. */
START_TEST(proofs_for_applications_and_of_returns_are_not_alike)
{
	uint8_t nonce[PROOF_NONCE_BYTES] = { 1 };
	struct proof_subject use, back;
	uint8_t a[32], b[32];

	ticket_subject(&use, "site-1", "default", 3, nonce, "row", 3);
	ticket_return_subject(&back, "site-1", "default", 3, nonce);
	ck_assert_int_eq(use.purpose, PROOF_BORROW);
	ck_assert_int_eq(back.purpose, PROOF_RETURN);
	proof_qualifying_data(a, &use);
	proof_qualifying_data(b, &back);
	ck_assert_mem_ne(a, b, 32);
	ticket_subject(&back, "site-1", "default", 3, nonce, "raw", 3);
	proof_qualifying_data(b, &back);
	ck_assert_mem_ne(a, b, 32);
}
END_TEST

Suite *
suite(void)
{
	Suite *s = suite_create("ticket");
	TCase *tc = tcase_create("ticket");

	tcase_add_test(tc, it_lasts_its_length_in_powered_on_time);
	tcase_add_test(tc, it_is_good_at_exactly_one_value_of_the_counter);
	tcase_add_test(tc, each_reset_costs_what_it_may_have_hidden);
	tcase_add_test(tc, a_clock_that_went_back_ends_it);
	tcase_add_test(tc, a_clock_beyond_all_time_is_none);
	tcase_add_test(tc, its_parts_agree_with_each_other);
	tcase_add_test(tc, the_wall_clock_is_looked_at_too);
	tcase_add_test(tc, each_refusal_is_told_in_its_own_words);
	tcase_add_test(tc,
	    proofs_for_applications_and_of_returns_are_not_alike);
	suite_add_tcase(s, tc);
	return s;
}
