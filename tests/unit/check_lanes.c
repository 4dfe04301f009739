/* What of an outbox goes next: in order for one thing, and nobody holds up
 * another. */
#include "appliance/ledger/lanes.h"
#include "tests/unit/suite.h"

#include <check.h>
#include <string.h>

#define NOW INT64_C(1000000)
#define DEAD_CHANNEL 1
#define LIVE_CHANNEL 7

static struct lanes *lanes;
static struct state_delivery chosen[LANES_LOOK_MAX];
static uint64_t row;

static void
set_up(void)
{
	row = 0;
	lanes = lanes_new(NOW, 0);
	ck_assert_ptr_nonnull(lanes);
}

static void
tear_down(void)
{
	lanes_free(lanes);
}

static void
again(uint64_t turn)
{
	lanes_free(lanes);
	lanes = lanes_new(NOW, turn);
	ck_assert_ptr_nonnull(lanes);
}

static void
owe(enum channel_takes of, uint64_t channel, uint64_t about, int64_t due_at)
{
	const struct state_delivery delivery = { .row = ++row,
		.channel = channel,
		.of = of,
		.subject = { .id = about },
		.due_at = due_at };

	ck_assert_int_eq(lanes_add(lanes, &delivery), 0);
}

static size_t
chosen_of(uint64_t channel)
{
	size_t n = lanes_choose(chosen, lanes), of = 0;

	for (size_t i = 0; i < n; i++)
		of += chosen[i].channel == channel;
	return of;
}

START_TEST(one_thing_goes_after_the_other)
{
	owe(CHANNEL_CRM, 1, 5, NOW);
	owe(CHANNEL_CRM, 1, 5, NOW);
	owe(CHANNEL_CRM, 1, 6, NOW + 50);
	owe(CHANNEL_CRM, 1, 6, NOW);
	owe(CHANNEL_CRM, 2, 5, NOW);
	ck_assert_uint_eq(lanes_choose(chosen, lanes), 2);
	ck_assert_uint_eq(chosen[0].row, 1);
	ck_assert_uint_eq(chosen[1].row, 5);
	ck_assert_uint_eq(lanes_waiting(lanes), 5);
	ck_assert_int_eq(lanes_next_at(lanes), NOW + 50);
}
END_TEST

START_TEST(what_is_given_up_holds_up_nothing)
{
	const struct state_delivery dead = { .row = ++row,
		.channel = 1,
		.subject = { .id = 5 },
		.state = DELIVERY_IS_DEAD };

	ck_assert_int_eq(lanes_add(lanes, &dead), 0);
	owe(CHANNEL_ALERTS, 1, 5, NOW);
	ck_assert_uint_eq(lanes_choose(chosen, lanes), 1);
	ck_assert_uint_eq(chosen[0].row, 2);
	ck_assert_uint_eq(lanes_waiting(lanes), 1);
	ck_assert_int_eq(lanes_next_at(lanes), INT64_MAX);
}
END_TEST

/* A CRM that is away, and more customers than one look knows. */
START_TEST(a_channel_that_is_away_holds_up_no_other)
{
	for (uint64_t customer = 1; customer <= 3 * OUTBOX_MAX; customer++)
		owe(CHANNEL_CRM, DEAD_CHANNEL, customer, NOW + 3600000);
	owe(CHANNEL_INVOICES, LIVE_CHANNEL, 9, NOW);
	ck_assert_uint_eq(lanes_choose(chosen, lanes), 1);
	ck_assert_uint_eq(chosen[0].channel, LIVE_CHANNEL);
}
END_TEST

/* Nor do several, whose deliveries are due all the time, nor alerts. */
START_TEST(channels_take_turns)
{
	size_t seen = 0;

	for (uint64_t turn = 0; turn < 8; turn++) {
		again(turn);
		for (uint64_t i = 0; i < 20; i++)
			owe(CHANNEL_ALERTS, 6, i, NOW);
		for (uint64_t i = 0; i < 100; i++)
			owe(CHANNEL_CRM, 1 + i % 5, i, NOW);
		for (uint64_t i = 0; i < 4; i++)
			owe(CHANNEL_INVOICES, 20 + i, 9, NOW);
		owe(CHANNEL_INVOICES, LIVE_CHANNEL, 9, NOW);
		ck_assert_uint_eq(lanes_choose(chosen, lanes), LANES_LOOK_MAX);
		ck_assert_uint_le(chosen_of(6), 2);
		ck_assert_uint_le(chosen_of(1), LANES_CHANNEL_MAX);
		seen += chosen_of(LIVE_CHANNEL);
	}
	ck_assert_uint_ge(seen, 4);
}
END_TEST

START_TEST(alerts_alone_have_the_whole_look)
{
	for (uint64_t i = 0; i < 20; i++)
		owe(CHANNEL_ALERTS, 6, i, NOW);
	ck_assert_uint_eq(chosen_of(6), LANES_LOOK_MAX);
	for (size_t i = 0; i < LANES_LOOK_MAX; i++)
		ck_assert_uint_eq(chosen[i].row, i + 1);
}
END_TEST

Suite *
suite(void)
{
	Suite *out = suite_create("lanes");
	TCase *tc = tcase_create("lanes");

	tcase_add_test(tc, one_thing_goes_after_the_other);
	tcase_add_test(tc, what_is_given_up_holds_up_nothing);
	tcase_add_test(tc, a_channel_that_is_away_holds_up_no_other);
	tcase_add_test(tc, channels_take_turns);
	tcase_add_test(tc, alerts_alone_have_the_whole_look);
	tcase_add_checked_fixture(tc, set_up, tear_down);
	suite_add_tcase(out, tc);
	return out;
}
