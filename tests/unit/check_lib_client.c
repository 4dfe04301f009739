/* Taking seats and giving them back, against an agent with vices. */
#include "tests/unit/lib_client.h"

#include <signal.h>

START_TEST(seat_is_taken_and_given_back)
{
	struct lh_seat *seat = NULL;

	ck_assert_int_eq(checkout(&seat), LH_OK);
	ck_assert_int_eq(lh_seat_valid(seat), 1);
	ck_assert_uint_eq(lh_seat_id(seat), 1);
	ck_assert_int_eq(lh_seat_type(seat), LH_SEAT_COMMIT);
	ck_assert_int_gt(lh_seat_left_ms(seat), 415000);
	ck_assert_int_le(lh_seat_left_ms(seat), 420000);
	ck_assert_int_eq(lh_beat_interval_ms(client), 40000);
	lh_return(seat);
	ck_assert_uint_eq(AGENT_GET(&agent, returns), 1);
	ck_assert_uint_eq(AGENT_GET(&agent, last_lease), 1);
	ck_assert_int_eq(lh_beat_interval_ms(client), 0);
}
END_TEST

START_TEST(third_seat_is_overage)
{
	struct lh_seat *seats[3];

	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(checkout(&seats[i]), LH_OK);
	ck_assert_int_eq(lh_seat_type(seats[1]), LH_SEAT_COMMIT);
	ck_assert_int_eq(lh_seat_type(seats[2]), LH_SEAT_OVERAGE);
	/* All over one connection. */
	ck_assert_uint_eq(AGENT_GET(&agent, connections), 1);
}
END_TEST

START_TEST(freeing_the_client_returns_every_seat)
{
	struct lh_seat *seat;

	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(checkout(&seat), LH_OK);
	lh_client_free(client);
	client = NULL;
	ck_assert_uint_eq(AGENT_GET(&agent, returns), 3);
}
END_TEST

START_TEST(freeing_waits_once_for_an_agent_that_hangs)
{
	struct lh_seat *seat;

	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(checkout(&seat), LH_OK);
	AGENT_SET(&agent, delay_ms, 1000);
	int64_t began = clock_boottime_ms();

	lh_client_free(client);
	client = NULL;
	ck_assert_int_ge(clock_boottime_ms() - began, 1900);
	ck_assert_int_lt(clock_boottime_ms() - began, 3000);
	/* All the same it was told of every one. */
	WAIT_UNTIL(AGENT_GET(&agent, returns) == 4, 5000);
}
END_TEST

START_TEST(refusals_have_their_names)
{
	static const struct {
		int err;
		int error;
	} refusals[] = {
		{ ERR_NO_SEATS, LH_E_NO_SEATS },
		{ ERR_OVERAGE_EXHAUSTED, LH_E_OVERAGE_EXHAUSTED },
		{ ERR_NOT_ENTITLED, LH_E_NOT_ENTITLED },
		{ ERR_VERSION_NOT_COVERED, LH_E_VERSION },
		{ ERR_LICENSE_EXPIRED, LH_E_EXPIRED },
		{ ERR_LICENSE_SUSPENDED, LH_E_SUSPENDED },
		{ ERR_EXCLUDED, LH_E_REFUSED },
		{ ERR_DEVICE_REVOKED, LH_E_REFUSED },
		{ ERR_UNAVAILABLE, LH_E_SITE },
		{ ERR_ROLLED_BACK, LH_E_FORK },
	};
	struct lh_seat *seat = (struct lh_seat *)&agent;

	AGENT_SET(&agent, checkout, VICE_REFUSES);
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		AGENT_SET(&agent, refusal, refusals[i].err);
		ck_assert_int_eq(checkout(&seat), refusals[i].error);
		ck_assert_str_eq(lh_detail(), "what happened (do this)");
		ck_assert_str_ne(lh_strerror(refusals[i].error),
		    "unknown error");
	}
	/* Untouched. */
	ck_assert_ptr_eq(seat, (struct lh_seat *)&agent);
}
END_TEST

START_TEST(impossible_answers_are_errors_of_the_protocol)
{
	static const enum agent_vice vices[] = { VICE_GARBAGE,
		VICE_WRONG_RECORD, VICE_OVERSIZED, VICE_OTHER_ID };
	struct lh_seat *seat;

	for (size_t i = 0; i < sizeof(vices) / sizeof(vices[0]); i++) {
		AGENT_SET(&agent, checkout, vices[i]);
		ck_assert_int_eq(checkout(&seat), LH_E_PROTOCOL);
		AGENT_SET(&agent, checkout, VICE_NONE);
		ck_assert_int_eq(checkout(&seat), LH_OK);
		lh_return(seat);
	}
}
END_TEST

START_TEST(agent_that_hangs_up_is_asked_once_more)
{
	struct lh_seat *seat;

	AGENT_SET(&agent, checkout, VICE_HANGS_UP);
	ck_assert_int_eq(checkout(&seat), LH_E_AGENT);
	ck_assert_uint_eq(AGENT_GET(&agent, checkouts), 2);
	ck_assert_uint_eq(AGENT_GET(&agent, grants), 1);
}
END_TEST

START_TEST(agent_restarted_between_two_calls_goes_unnoticed)
{
	struct lh_seat *seat;

	ck_assert_int_eq(checkout(&seat), LH_OK);
	lh_return(seat);
	agent_stop(&agent);
	agent_start(&agent);
	ck_assert_int_eq(checkout(&seat), LH_OK);
}
END_TEST

START_TEST(no_agent_is_said_so)
{
	struct lh_seat *seat;

	agent_stop(&agent);
	ck_assert_int_eq(checkout(&seat), LH_E_AGENT);
	ck_assert_ptr_nonnull(strstr(lh_detail(), agent.path));
	agent_start(&agent);
	ck_assert_int_eq(checkout(&seat), LH_OK);
}
END_TEST

START_TEST(forged_answer_is_refused_and_the_lease_given_back)
{
	struct lh_seat *seat;

	AGENT_SET(&agent, checkout, VICE_FORGES);
	ck_assert_int_eq(checkout(&seat), LH_E_BAD_SIGNATURE);
	ck_assert_uint_eq(AGENT_GET(&agent, returns), 1);
}
END_TEST

START_TEST(replayed_answer_is_a_mismatch)
{
	struct lh_seat *seat;

	AGENT_SET(&agent, checkout, VICE_OTHER_NONCE);
	ck_assert_int_eq(checkout(&seat), LH_E_MISMATCH);
	ck_assert_uint_eq(AGENT_GET(&agent, returns), 1);
}
END_TEST

START_TEST(rolled_back_site_is_found_out_by_the_next_process)
{
	struct lh_seat *seat;

	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(checkout(&seat), LH_OK);
	lh_client_free(client);
	/* The store is put back to an earlier copy, and grows again. */
	agent.chain.next_batch = 1;
	agent.chain.next_row = 1 + CHAIN_ROWS;
	agent.chain.time++;
	new_client();
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(checkout(&seat), LH_E_FORK);
		ck_assert_uint_eq(AGENT_GET(&agent, last_known.batch), 2);
	}
	/* Without a folder there is no memory. */
	struct lh_options given = options();

	lh_client_free(client);
	given.state_folder = "";
	ck_assert_int_eq(lh_client_new(&client, &given), LH_OK);
	ck_assert_int_eq(checkout(&seat), LH_OK);
}
END_TEST

START_TEST(agent_that_names_another_site_hides_no_fork)
{
	struct lh_seat *seat;

	ck_assert_int_eq(checkout(&seat), LH_OK);
	ck_assert_int_eq(checkout(&seat), LH_OK);
	agent.chain.next_batch = 1;
	agent.chain.next_row = 1 + CHAIN_ROWS;
	agent.chain.time++;
	/* Nothing is known of that one, so no header is sent. */
	pthread_mutex_lock(&agent.lock);
	text_copy(agent.status_site, sizeof(agent.status_site), "site-2");
	pthread_mutex_unlock(&agent.lock);
	ck_assert_int_eq(checkout(&seat), LH_E_FORK);
	ck_assert_uint_eq(AGENT_GET(&agent, last_known.batch), 0);
}
END_TEST

START_TEST(arguments_have_bounds)
{
	struct lh_seat *seat = NULL;
	struct lh_options given = options();
	struct lh_client *other;
	char longer[80];

	memset(longer, 'a', sizeof(longer));
	longer[64] = '\0';
#define REFUSED(...) \
	ck_assert_int_eq(lh_checkout(&seat, client, __VA_ARGS__), LH_E_ARGUMENT)
	REFUSED(NULL, "8", NULL, NULL, 0);
	REFUSED("", "8", NULL, NULL, 0);
	REFUSED(longer, "8", NULL, NULL, 0);
	REFUSED("to\nol", "8", NULL, NULL, 0);
	REFUSED("tool\xff", "8", NULL, NULL, 0);
	REFUSED("tool", NULL, NULL, NULL, 0);
	REFUSED("tool", "eight", NULL, NULL, 0);
	REFUSED("tool", "8", longer, NULL, 0);
	REFUSED("tool", "8", NULL, longer, 0);
	REFUSED("tool", "8", NULL, NULL, -1);
	REFUSED("tool", "8", NULL, NULL, 86401);
	ck_assert_int_eq(lh_checkout(&seat, NULL, "tool", "8", NULL, NULL, 0),
	    LH_E_ARGUMENT);
	ck_assert_int_eq(lh_checkout(NULL, client, "tool", "8", NULL, NULL, 0),
	    LH_E_ARGUMENT);
	given.vendor_key = "k4.public.AAAA";
	ck_assert_int_eq(lh_client_new(&other, &given), LH_E_ARGUMENT);
	given.vendor_key = NULL;
	ck_assert_int_eq(lh_client_new(&other, &given), LH_E_ARGUMENT);
	given = options();
	given.size--;
	ck_assert_int_eq(lh_client_new(&other, &given), LH_E_ARGUMENT);
	ck_assert_int_eq(lh_client_new(&other, NULL), LH_E_ARGUMENT);
	ck_assert_uint_eq(AGENT_GET(&agent, connections), 0);
	lh_return(NULL);
	lh_client_free(NULL);
	ck_assert_int_eq(lh_seat_valid(NULL), 0);
}
END_TEST

START_TEST(options_of_a_newer_header_must_be_empty)
{
	struct {
		struct lh_options known;
		void *unknown;
	} given = { .known = options() };
	struct lh_client *other;

	given.known.size = sizeof(given);
	ck_assert_int_eq(lh_client_new(&other, &given.known), LH_OK);
	lh_client_free(other);
	given.unknown = &given;
	ck_assert_int_eq(lh_client_new(&other, &given.known), LH_E_ARGUMENT);
}
END_TEST

START_TEST(words_of_the_question_arrive)
{
	struct lh_seat *seat;

	ck_assert_int_eq(lh_checkout(&seat, client, "tool", "8.1.0",
			     "simulation", "alice", 0),
	    LH_OK);
	pthread_mutex_lock(&agent.lock);
	ck_assert_str_eq(agent.last_user, "alice");
	ck_assert_str_eq(agent.chain.row.u.lease_granted.feature, "simulation");
	pthread_mutex_unlock(&agent.lock);
}
END_TEST

/* --- threads ---------------------------------------------------------------
 */

static void *
take_and_return(void *arg)
{
	unsigned int *taken = arg;

	for (int i = 0; i < 6; i++) {
		struct lh_seat *seat;

		if (lh_checkout(&seat, client, "tool", "8.1.0", NULL, NULL,
			0) != LH_OK)
			return NULL;
		*taken += (unsigned int)lh_seat_valid(seat);
		if (i % 2 == 0)
			(void)lh_beat(client, 1000);
		lh_return(seat);
	}
	return NULL;
}

START_TEST(threads_share_a_client)
{
	pthread_t threads[4];
	unsigned int taken[4] = { 0 };

	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL,
				     take_and_return, &taken[i]),
		    0);
	for (int i = 0; i < 4; i++) {
		pthread_join(threads[i], NULL);
		ck_assert_uint_eq(taken[i], 6);
	}
	ck_assert_uint_eq(AGENT_GET(&agent, connections), 1);
	ck_assert_uint_eq(AGENT_GET(&agent, returns), 24);
}
END_TEST

static volatile sig_atomic_t signals;

static void
on_signal(int number)
{
	(void)number;
	signals = signals + 1;
}

static void *
send_signals(void *arg)
{
	pthread_t *to = arg;

	for (int i = 0; i < 100; i++) {
		pthread_kill(*to, SIGUSR1);
		usleep(1000);
	}
	return NULL;
}

START_TEST(signals_interrupt_nothing)
{
	struct sigaction action = { .sa_handler = on_signal }; /* no restart */
	pthread_t me = pthread_self(), thread;
	struct lh_seat *seat;

	sigaction(SIGUSR1, &action, NULL);
	AGENT_SET(&agent, delay_ms, 30);
	pthread_create(&thread, NULL, send_signals, &me);
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(checkout(&seat), LH_OK);
		lh_return(seat);
	}
	pthread_join(thread, NULL);
	ck_assert_int_gt(signals, 10);
}
END_TEST

Suite *
suite(void)
{
	Suite *s = suite_create("lib client");
	TCase *tc = tcase_create("lib client");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 20);
	tcase_add_test(tc, seat_is_taken_and_given_back);
	tcase_add_test(tc, third_seat_is_overage);
	tcase_add_test(tc, freeing_the_client_returns_every_seat);
	tcase_add_test(tc, freeing_waits_once_for_an_agent_that_hangs);
	tcase_add_test(tc, refusals_have_their_names);
	tcase_add_test(tc, impossible_answers_are_errors_of_the_protocol);
	tcase_add_test(tc, agent_that_hangs_up_is_asked_once_more);
	tcase_add_test(tc, agent_restarted_between_two_calls_goes_unnoticed);
	tcase_add_test(tc, no_agent_is_said_so);
	tcase_add_test(tc, forged_answer_is_refused_and_the_lease_given_back);
	tcase_add_test(tc, replayed_answer_is_a_mismatch);
	tcase_add_test(tc, rolled_back_site_is_found_out_by_the_next_process);
	tcase_add_test(tc, agent_that_names_another_site_hides_no_fork);
	tcase_add_test(tc, arguments_have_bounds);
	tcase_add_test(tc, options_of_a_newer_header_must_be_empty);
	tcase_add_test(tc, words_of_the_question_arrive);
	tcase_add_test(tc, threads_share_a_client);
	tcase_add_test(tc, signals_interrupt_nothing);
	suite_add_tcase(s, tc);
	return s;
}
