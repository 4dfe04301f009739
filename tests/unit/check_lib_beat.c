/* Keeping seats: renewals, their lies, the end of a span, agents that go. */
#include "agent/lib/leasehold.h"
#include "tests/unit/lib_agent.h"

unsigned int
suite_at_once(void)
{
	return 6;
}

static struct agent agent;
static struct lh_client *client;
static char vendor_key[TOKEN_PUBLIC_TEXT];

/* What `lost` was told. */
static struct {
	pthread_mutex_t lock;
	int calls;
	int error;
	uint64_t lease;
	int valid;
	char detail[256];
	int pause_ms;
	struct lh_seat *let_go[2]; /* returned from within */
} told = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void
lost(void *ctx, struct lh_seat *seat, int error)
{
	ck_assert_ptr_eq(ctx, &told);
	pthread_mutex_lock(&told.lock);
	told.calls++;
	told.error = error;
	told.lease = lh_seat_id(seat);
	told.valid = lh_seat_valid(seat);
	snprintf(told.detail, sizeof(told.detail), "%s", lh_detail());
	int pause_ms = told.pause_ms;

	for (int i = 0; i < 2; i++) {
		lh_return(told.let_go[i]);
		told.let_go[i] = NULL;
	}
	pthread_mutex_unlock(&told.lock);
	usleep((useconds_t)pause_ms * 1000);
}

static int
lost_calls(void)
{
	pthread_mutex_lock(&told.lock);
	int calls = told.calls;

	pthread_mutex_unlock(&told.lock);
	return calls;
}

static void
open_client(int manual)
{
	struct lh_options options = { .size = sizeof(options),
		.vendor_key = vendor_key,
		.socket_path = agent.path,
		.state_folder = "",
		.manual_beats = manual,
		.lost = lost,
		.ctx = &told };

	token_public_format(vendor_key, agent.chain.root.public_key);
	ck_assert_int_eq(lh_client_new(&client, &options), LH_OK);
}

static void
setup(void)
{
	agent_open(&agent);
	agent_terms(&agent, 1, 0);
	open_client(0);
}

static void
setup_manual(void)
{
	agent_open(&agent);
	agent_terms(&agent, 1, 0);
	open_client(1);
}

static void
teardown(void)
{
	lh_client_free(client);
	agent_close(&agent);
}

static struct lh_seat *
take(void)
{
	struct lh_seat *seat;

	ck_assert_int_eq(lh_checkout(&seat, client, "tool", "8.1.0", NULL, NULL,
			     0),
	    LH_OK);
	ck_assert_int_eq(lh_seat_valid(seat), 1);
	return seat;
}

/* Not one moment of the time without a seat. */
static void
stays_valid(const struct lh_seat *seat, int ms)
{
	int64_t until = clock_boottime_ms() + ms;

	while (clock_boottime_ms() < until) {
		ck_assert_int_eq(lh_seat_valid(seat), 1);
		usleep(1000);
	}
}

START_TEST(seat_is_renewed_for_as_long_as_it_is_held)
{
	struct lh_seat *seat = take();

	stays_valid(seat, 1700);
	ck_assert_uint_ge(AGENT_GET(&agent, renewals), 3);
	ck_assert_uint_le(AGENT_GET(&agent, renewals), 12);
	ck_assert_int_eq(lost_calls(), 0);
	lh_return(seat);
	unsigned int renewals = AGENT_GET(&agent, renewals);

	usleep(500000);
	ck_assert_uint_eq(AGENT_GET(&agent, renewals), renewals);
}
END_TEST

START_TEST(grace_is_honored_and_no_more)
{
	agent_terms(&agent, 1, 1);
	struct lh_seat *seat = take();
	int64_t taken = clock_boottime_ms();

	AGENT_SET(&agent, renew, VICE_REFUSES);
	AGENT_SET(&agent, refusal, ERR_UNAVAILABLE);
	stays_valid(seat, 1800);
	WAIT_UNTIL(lost_calls() == 1, 600);
	ck_assert_int_eq(lh_seat_valid(seat), 0);
	ck_assert_int_le(clock_boottime_ms() - taken, 2200);
	ck_assert_int_eq(told.error, LH_E_SITE);
	ck_assert_int_eq(told.valid, 0);
	ck_assert_uint_eq(told.lease, 1);
	ck_assert_str_eq(told.detail, "what happened");
	/* Told once, and asked for no more. */
	unsigned int renewals = AGENT_GET(&agent, renewals);

	usleep(400000);
	ck_assert_int_eq(lost_calls(), 1);
	ck_assert_uint_eq(AGENT_GET(&agent, renewals), renewals);
	ck_assert_int_eq(lh_seat_left_ms(seat), 0);
}
END_TEST

/* Whatever the lie, the seat lives to the end of its span and no longer. */
static void
lie(enum agent_vice vice, int error)
{
	struct lh_seat *seat = take();

	AGENT_SET(&agent, renew, vice);
	stays_valid(seat, 900);
	WAIT_UNTIL(lost_calls() == 1, 500);
	ck_assert_int_eq(told.error, error);
	ck_assert_int_eq(lh_seat_valid(seat), 0);
	ck_assert_str_ne(told.detail, "");
}

START_TEST(forged_beat_renews_nothing)
{
	lie(VICE_FORGES, LH_E_BAD_SIGNATURE);
}
END_TEST

START_TEST(beat_over_another_nonce_renews_nothing)
{
	lie(VICE_OTHER_NONCE, LH_E_NOT_IN_JOURNAL);
}
END_TEST

START_TEST(beat_of_a_rolled_back_site_renews_nothing)
{
	lh_return(take()); /* so that there is a batch to be behind of */
	lie(VICE_OLD_BATCH, LH_E_FORK);
}
END_TEST

START_TEST(seat_ends_with_its_span_when_the_contract_is_over)
{
	struct lh_seat *seat = take();

	pthread_mutex_lock(&agent.lock);
	agent.chain.time =
	    ((int64_t)agent.chain.license.contract.end_date + 1) * CHAIN_DAY_MS;
	pthread_mutex_unlock(&agent.lock);
	stays_valid(seat, 900);
	WAIT_UNTIL(lost_calls() == 1, 500);
	ck_assert_int_eq(told.error, LH_E_EXPIRED);
	ck_assert_int_eq(lh_seat_valid(seat), 0);
	ck_assert_ptr_nonnull(strstr(told.detail, "over"));
}
END_TEST

START_TEST(silent_agent_loses_the_seat_in_the_end)
{
	lie(VICE_SILENT, LH_E_TIMEOUT);
}
END_TEST

START_TEST(babbling_agent_loses_the_seat_in_the_end)
{
	AGENT_SET(&agent, attach, VICE_GARBAGE);
	lie(VICE_GARBAGE, LH_E_PROTOCOL);
}
END_TEST

START_TEST(agent_gone_for_good_loses_the_seat_in_the_end)
{
	struct lh_seat *seat = take();

	agent_stop(&agent);
	stays_valid(seat, 800);
	WAIT_UNTIL(lost_calls() == 1, 500);
	ck_assert_int_eq(told.error, LH_E_AGENT);
	agent_start(&agent);
}
END_TEST

START_TEST(ended_lease_is_lost_at_once)
{
	agent_terms(&agent, 3, 100);
	struct lh_seat *seat = take();

	AGENT_SET(&agent, renew, VICE_REFUSES);
	AGENT_SET(&agent, refusal, ERR_GONE);
	WAIT_UNTIL(lost_calls() == 1, 1500);
	ck_assert_int_eq(told.error, LH_E_GONE);
	ck_assert_int_eq(lh_seat_valid(seat), 0);
	/* There is nothing to return. */
	lh_return(seat);
	ck_assert_uint_eq(AGENT_GET(&agent, returns), 0);
}
END_TEST

START_TEST(revoked_lease_is_lost_at_once)
{
	agent_terms(&agent, 100, 100);
	struct lh_seat *kept = take(), *seat = take();

	agent_revoke(&agent, lh_seat_id(seat));
	WAIT_UNTIL(lost_calls() == 1, 500);
	ck_assert_int_eq(told.error, LH_E_GONE);
	ck_assert_uint_eq(told.lease, lh_seat_id(seat));
	ck_assert_int_eq(lh_seat_valid(seat), 0);
	ck_assert_int_eq(lh_seat_valid(kept), 1);
}
END_TEST

START_TEST(lost_may_return_seats)
{
	agent_terms(&agent, 1, 1);
	struct lh_seat *kept = take(), *seat = take(), *other = take();
	uint64_t lease = lh_seat_id(seat), other_lease = lh_seat_id(other);

	pthread_mutex_lock(&told.lock);
	told.let_go[0] = seat;
	told.let_go[1] = other;
	pthread_mutex_unlock(&told.lock);
	agent_revoke(&agent, lease);
	WAIT_UNTIL(lost_calls() == 1, 500);
	ck_assert_uint_eq(told.lease, lease);
	/* Of the lost one there is nothing to tell the agent. */
	WAIT_UNTIL(AGENT_GET(&agent, returns) == 1, 500);
	ck_assert_uint_eq(AGENT_GET(&agent, last_lease), other_lease);
	/* The thread goes on with what is left. */
	stays_valid(kept, 2500);
	ck_assert_int_eq(lost_calls(), 1);
}
END_TEST

START_TEST(restarted_agent_is_told_whose_the_leases_are)
{
	struct lh_seat *first = take(), *second = take();

	for (unsigned int i = 1; i <= 2; i++) {
		agent_stop(&agent);
		usleep(200000);
		agent_start(&agent);
		WAIT_UNTIL(AGENT_GET(&agent, attaches) == 2 * i, 1000);
		unsigned int renewals = AGENT_GET(&agent, renewals);

		WAIT_UNTIL(AGENT_GET(&agent, renewals) >= renewals + 2, 500);
		ck_assert_int_eq(lh_seat_valid(first), 1);
		ck_assert_int_eq(lh_seat_valid(second), 1);
	}
	ck_assert_int_eq(lost_calls(), 0);
	ck_assert_uint_eq(AGENT_GET(&agent, grants), 2);
}
END_TEST

START_TEST(attach_that_is_refused_loses_the_seat)
{
	agent_terms(&agent, 100, 100);
	struct lh_seat *seat = take();

	agent_stop(&agent);
	agent.attach = VICE_REFUSES;
	agent.refusal = ERR_GONE;
	agent_start(&agent);
	WAIT_UNTIL(lost_calls() == 1, 1000);
	ck_assert_int_eq(told.error, LH_E_GONE);
	ck_assert_int_eq(lh_seat_valid(seat), 0);
}
END_TEST

START_TEST(agent_that_forgot_a_lease_is_told_again)
{
	struct lh_seat *seat = take();

	AGENT_SET(&agent, renew, VICE_REFUSES);
	AGENT_SET(&agent, refusal, ERR_NOT_FOUND);
	WAIT_UNTIL(AGENT_GET(&agent, renewals) >= 1, 600);
	AGENT_SET(&agent, renew, VICE_NONE);
	WAIT_UNTIL(AGENT_GET(&agent, attaches) >= 1, 900);
	stays_valid(seat, 1200);
}
END_TEST

START_TEST(return_without_an_agent_is_told_later)
{
	struct lh_seat *seat = take();

	agent_stop(&agent);
	lh_return(seat);
	ck_assert_uint_eq(agent.returns, 0);
	agent_start(&agent);
	WAIT_UNTIL(AGENT_GET(&agent, returns) == 1, 1000);
	ck_assert_uint_eq(AGENT_GET(&agent, last_lease), 1);
}
END_TEST

START_TEST(passing_trouble_costs_no_seat)
{
	struct lh_seat *seat = take();

	for (int i = 0; i < 2; i++) {
		AGENT_SET(&agent, refusal, ERR_UNAVAILABLE);
		AGENT_SET(&agent, renew,
		    i % 2 == 0 ? VICE_REFUSES : VICE_FORGES);
		stays_valid(seat, 250);
		AGENT_SET(&agent, renew, VICE_NONE);
		stays_valid(seat, 450);
	}
	ck_assert_int_eq(lost_calls(), 0);
}
END_TEST

START_TEST(renewals_of_many_seats_go_out_together)
{
	struct lh_seat *seats[5];

	for (int i = 0; i < 5; i++) {
		seats[i] = take();
		usleep(10000);
	}
	AGENT_SET(&agent, delay_ms, 30); /* 150 ms for all, in a row */
	for (int i = 0; i < 5; i++)
		stays_valid(seats[i], 300);
	ck_assert_int_eq(lost_calls(), 0);
	ck_assert_uint_eq(AGENT_GET(&agent, connections), 1);
}
END_TEST

static void *
take_another(void *arg)
{
	struct lh_seat **seat = arg;

	ck_assert_int_eq(lh_checkout(seat, client, "tool", "8.2.0", NULL, NULL,
			     0),
	    LH_OK);
	return NULL;
}

START_TEST(slow_checkout_holds_up_no_beat)
{
	struct lh_seat *seat = take(), *other;

	/* Answered by nobody; the call waits, the seat beats on. The retry
	 * comes when the connection ends. */
	AGENT_SET(&agent, checkout, VICE_SILENT);
	pthread_t thread;

	ck_assert_int_eq(pthread_create(&thread, NULL, take_another, &other),
	    0);
	WAIT_UNTIL(AGENT_GET(&agent, checkouts) == 2, 500);
	stays_valid(seat, 1500);
	agent_stop(&agent);
	agent.checkout = VICE_NONE;
	agent_start(&agent);
	pthread_join(thread, NULL);
	ck_assert_uint_eq(lh_seat_id(other), 2);
	ck_assert_int_eq(lh_seat_valid(other), 1);
	ck_assert_uint_eq(AGENT_GET(&agent, grants), 2);
	ck_assert_int_eq(lost_calls(), 0);
}
END_TEST

START_TEST(nothing_is_told_of_a_returned_seat)
{
	struct lh_seat *seat = take();

	AGENT_SET(&agent, renew, VICE_SILENT);
	told.pause_ms = 300;
	WAIT_UNTIL(lost_calls() == 1, 1500);
	/* The call is under way, and over when this returns. */
	int64_t began = clock_boottime_ms();

	lh_return(seat);
	ck_assert_int_ge(clock_boottime_ms() - began, 200);
}
END_TEST

/* --- manual ----------------------------------------------------------------
 */

START_TEST(manual_beats_renew_every_seat)
{
	struct lh_seat *first = take(), *second = take();

	ck_assert_int_eq(lh_beat_interval_ms(client), 333);
	for (unsigned int i = 1; i <= 4; i++) {
		usleep(300000);
		ck_assert_int_eq(lh_beat(client, 1000), LH_OK);
		ck_assert_uint_eq(AGENT_GET(&agent, renewals), 2 * i);
		ck_assert_int_gt(lh_seat_left_ms(first), 900);
		ck_assert_int_gt(lh_seat_left_ms(second), 900);
	}
	ck_assert_int_eq(lost_calls(), 0);
}
END_TEST

START_TEST(manual_client_has_no_thread)
{
	struct lh_seat *seat = take();

	WAIT_UNTIL(lh_seat_valid(seat) == 0, 1500);
	ck_assert_uint_eq(AGENT_GET(&agent, renewals), 0);
	/* Lost when somebody looks. */
	ck_assert_int_eq(lost_calls(), 0);
	(void)lh_beat(client, 200);
	ck_assert_int_eq(lost_calls(), 1);
	ck_assert_int_eq(told.error, LH_E_TIMEOUT);
	ck_assert_int_eq(lh_seat_valid(seat), 0);
}
END_TEST

START_TEST(manual_beat_gives_up_in_time_and_takes_a_late_answer)
{
	struct lh_seat *seat = take();

	AGENT_SET(&agent, delay_ms, 300);
	int64_t began = clock_boottime_ms();

	ck_assert_int_eq(lh_beat(client, 100), LH_E_TIMEOUT);
	ck_assert_int_ge(clock_boottime_ms() - began, 100);
	ck_assert_int_lt(clock_boottime_ms() - began, 200);
	usleep(300000);
	ck_assert_int_eq(lh_beat(client, 1000), LH_OK);
	ck_assert_int_eq(lh_seat_valid(seat), 1);
	ck_assert_int_eq(lost_calls(), 0);
}
END_TEST

START_TEST(manual_beat_names_the_first_error)
{
	struct lh_seat *seat = take();

	AGENT_SET(&agent, renew, VICE_FORGES);
	ck_assert_int_eq(lh_beat(client, 1000), LH_E_BAD_SIGNATURE);
	ck_assert_str_ne(lh_detail(), "");
	AGENT_SET(&agent, renew, VICE_REFUSES);
	AGENT_SET(&agent, refusal, ERR_UNAVAILABLE);
	ck_assert_int_eq(lh_beat(client, 1000), LH_E_SITE);
	agent_stop(&agent);
	ck_assert_int_eq(lh_beat(client, 1000), LH_E_AGENT);
	ck_assert_int_eq(lh_beat(client, 1000), LH_E_AGENT);
	agent.renew = VICE_NONE;
	agent_start(&agent);
	ck_assert_int_eq(lh_beat(client, 1000), LH_OK);
	ck_assert_int_gt(lh_seat_left_ms(seat), 900);
}
END_TEST

/* A refusal by the code of success would leave the answer unread. */
START_TEST(refusal_that_says_ok_renews_nothing)
{
	struct lh_seat *seat = take();

	AGENT_SET(&agent, renew, VICE_REFUSES);
	AGENT_SET(&agent, refusal, ERR_OK);
	ck_assert_int_eq(lh_beat(client, 1000), LH_E_SITE);
	ck_assert_int_le(lh_seat_left_ms(seat), 1000);
}
END_TEST

/* The notice arrives while the question is being given up. */
START_TEST(return_of_a_revoked_lease_that_is_being_renewed_ends)
{
	agent_terms(&agent, 100, 0);
	struct lh_seat *seat = take();

	AGENT_SET(&agent, renew, VICE_SILENT);
	ck_assert_int_eq(lh_beat(client, 50), LH_E_TIMEOUT);
	agent_revoke(&agent, lh_seat_id(seat));
	lh_return(seat);
	ck_assert_int_eq(lost_calls(), 0);
}
END_TEST

START_TEST(beat_works_beside_the_thread_too)
{
	agent_terms(&agent, 100, 0);
	struct lh_seat *seat = take();
	unsigned int renewals = AGENT_GET(&agent, renewals);

	usleep(50000);
	ck_assert_int_eq(lh_beat(client, 1000), LH_OK);
	ck_assert_uint_eq(AGENT_GET(&agent, renewals), renewals + 1);
	ck_assert_int_gt(lh_seat_left_ms(seat), 99960);
}
END_TEST

Suite *
suite(void)
{
	Suite *s = suite_create("lib beat");
	TCase *tc = tcase_create("lib beats");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 20);
	tcase_add_test(tc, seat_is_renewed_for_as_long_as_it_is_held);
	tcase_add_test(tc, grace_is_honored_and_no_more);
	tcase_add_test(tc, forged_beat_renews_nothing);
	tcase_add_test(tc, beat_over_another_nonce_renews_nothing);
	tcase_add_test(tc, beat_of_a_rolled_back_site_renews_nothing);
	tcase_add_test(tc, seat_ends_with_its_span_when_the_contract_is_over);
	tcase_add_test(tc, silent_agent_loses_the_seat_in_the_end);
	tcase_add_test(tc, babbling_agent_loses_the_seat_in_the_end);
	tcase_add_test(tc, agent_gone_for_good_loses_the_seat_in_the_end);
	tcase_add_test(tc, ended_lease_is_lost_at_once);
	tcase_add_test(tc, revoked_lease_is_lost_at_once);
	tcase_add_test(tc, lost_may_return_seats);
	tcase_add_test(tc, restarted_agent_is_told_whose_the_leases_are);
	tcase_add_test(tc, attach_that_is_refused_loses_the_seat);
	tcase_add_test(tc, agent_that_forgot_a_lease_is_told_again);
	tcase_add_test(tc, return_without_an_agent_is_told_later);
	tcase_add_test(tc, passing_trouble_costs_no_seat);
	tcase_add_test(tc, renewals_of_many_seats_go_out_together);
	tcase_add_test(tc, slow_checkout_holds_up_no_beat);
	tcase_add_test(tc, nothing_is_told_of_a_returned_seat);
	tcase_add_test(tc, beat_works_beside_the_thread_too);
	suite_add_tcase(s, tc);

	tc = tcase_create("lib manual beats");
	tcase_add_checked_fixture(tc, setup_manual, teardown);
	tcase_set_timeout(tc, 20);
	tcase_add_test(tc, manual_beats_renew_every_seat);
	tcase_add_test(tc, manual_client_has_no_thread);
	tcase_add_test(tc,
	    manual_beat_gives_up_in_time_and_takes_a_late_answer);
	tcase_add_test(tc, manual_beat_names_the_first_error);
	tcase_add_test(tc, refusal_that_says_ok_renews_nothing);
	tcase_add_test(tc,
	    return_of_a_revoked_lease_that_is_being_renewed_ends);
	suite_add_tcase(s, tc);
	return s;
}
