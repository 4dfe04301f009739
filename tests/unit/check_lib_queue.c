/* Standing in the queue: places told, turns taken, waits given up. */
#include "tests/unit/lib_client.h"

unsigned int
suite_at_once(void)
{
	return 6;
}

/* What `waiting` was told, and what it does about it, on the thread of the
 * test: each step is run once, when its call comes. */
#define CALLS_MAX 64
struct script {
	void (*step)(struct script *script);
	unsigned int calls;
	uint32_t places[CALLS_MAX], lengths[CALLS_MAX];
	int64_t at_ms[CALLS_MAX];
	int answer; /* what the call returns */
};

static int
waiting(void *ctx, uint32_t place, uint32_t length)
{
	struct script *script = ctx;

	ck_assert_uint_lt(script->calls, CALLS_MAX);
	script->places[script->calls] = place;
	script->lengths[script->calls] = length;
	script->at_ms[script->calls] = clock_boottime_ms();
	script->calls++;
	if (script->step != NULL)
		script->step(script);
	return script->answer;
}

static struct lh_request
question(struct script *script, int wait_s)
{
	return (struct lh_request){ .size = sizeof(struct lh_request),
		.product = "tool",
		.version = "8.1.0",
		.wait_s = wait_s,
		.waiting = waiting,
		.ctx = script };
}

static int
ask(struct lh_seat **seat, const struct lh_request *request)
{
	int error = lh_checkout_with(seat, client, request);

	ck_assert_int_eq(error != LH_OK, lh_detail()[0] != '\0');
	return error;
}

static void
stand_at(uint32_t place, uint32_t length)
{
	struct queue_place queue = { place, length, 0 };

	AGENT_SET(&agent, queue, queue);
}

/* --- the turn -------------------------------------------------------------
 */

static void
move_up(struct script *script)
{
	if (script->calls == 1)
		agent_place(&agent, 2, 6, "");
	else if (script->places[script->calls - 1] == 2)
		agent_offer(&agent);
}

START_TEST(places_are_told_and_the_turn_is_taken)
{
	struct script script = { .step = move_up };
	struct lh_request request = question(&script, 20);
	struct lh_seat *seat;

	stand_at(3, 7);
	int64_t began_ms = clock_boottime_ms();

	ck_assert_int_eq(ask(&seat, &request), LH_OK);
	/* Told at the start and when it changed, not only each second. */
	ck_assert_int_lt(clock_boottime_ms() - began_ms, 900);
	ck_assert_uint_eq(script.calls, 2);
	ck_assert_uint_eq(script.places[0], 3);
	ck_assert_uint_eq(script.lengths[0], 7);
	ck_assert_uint_eq(script.places[1], 2);
	ck_assert_uint_eq(script.lengths[1], 6);
	ck_assert_int_eq(lh_seat_valid(seat), 1);
	ck_assert_uint_eq(lh_seat_count(seat), 1);
	ck_assert_uint_eq(AGENT_GET(&agent, grants), 1);
	ck_assert_uint_eq(AGENT_GET(&agent, cancels), 0);
	lh_return(seat);
}
END_TEST

static struct local_checkout first_ask;

static void
offer_after_three_seconds(struct script *script)
{
	if (script->calls == 1)
		first_ask = AGENT_GET(&agent, last_ask);
	if (script->at_ms[script->calls - 1] - script->at_ms[0] >= 3000)
		agent_offer(&agent);
}

START_TEST(span_counts_from_the_claim_however_long_the_wait_was)
{
	struct script script = { .step = offer_after_three_seconds };
	struct lh_request request = question(&script, 20);
	struct lh_seat *seat;

	/* The wait is longer than span and grace together. */
	agent_terms(&agent, 1, 1);
	stand_at(1, 1);
	ck_assert_int_eq(ask(&seat, &request), LH_OK);
	ck_assert_int_eq(lh_seat_valid(seat), 1);
	ck_assert_int_gt(lh_seat_left_ms(seat), 1500);
	/* It needed no renewal to be so. */
	ck_assert_uint_eq(AGENT_GET(&agent, renewals), 0);
	/* About once a second. */
	ck_assert_uint_ge(script.calls, 4);
	ck_assert_uint_le(script.calls, 6);

	struct local_checkout claim = AGENT_GET(&agent, last_ask);

	ck_assert_mem_eq(claim.request, first_ask.request, REQUEST_BYTES);
	ck_assert_mem_ne(claim.nonce, first_ask.nonce, NONCE_BYTES);
	/* What is left of the wait, not all of it. */
	ck_assert_uint_eq(first_ask.wait_s, 20);
	ck_assert_uint_le(claim.wait_s, 17);
	lh_return(seat);
}
END_TEST

static void
come_back_with_another_place(struct script *script)
{
	if (script->places[script->calls - 1] == 2)
		agent_offer(&agent);
	if (script->calls > 1)
		return;
	first_ask = AGENT_GET(&agent, last_ask);
	agent_stop(&agent);
	agent_start(&agent);
	stand_at(2, 2);
}

START_TEST(restart_of_the_agent_keeps_the_place)
{
	struct script script = { .step = come_back_with_another_place };
	struct lh_request request = question(&script, 20);
	struct lh_seat *seat;

	stand_at(1, 1);
	ck_assert_int_eq(ask(&seat, &request), LH_OK);
	struct local_checkout claim = AGENT_GET(&agent, last_ask);

	/* Asked by two agents, and claimed. */
	ck_assert_uint_eq(AGENT_GET(&agent, checkouts), 3);
	ck_assert_mem_eq(claim.request, first_ask.request, REQUEST_BYTES);
	ck_assert_mem_ne(claim.nonce, first_ask.nonce, NONCE_BYTES);
	ck_assert_uint_eq(script.places[0], 1);
	ck_assert_uint_eq(script.places[script.calls - 1], 2);
	lh_return(seat);
}
END_TEST

/* The turn came while nobody was connected: the answer itself says so. */
static void
come_back_to_its_turn(struct script *script)
{
	struct queue_place turn = { 1, 1, 10 };

	if (script->calls == 1) {
		agent_stop(&agent);
		agent_start(&agent);
		AGENT_SET(&agent, queue, turn);
	} else if (AGENT_GET(&agent, checkouts) > 2) {
		stand_at(0, 0);
	}
}

START_TEST(turn_told_in_an_answer_is_taken_without_haste)
{
	struct script script = { .step = come_back_to_its_turn };
	struct lh_request request = question(&script, 20);
	struct lh_seat *seat;

	stand_at(1, 1);
	ck_assert_int_eq(ask(&seat, &request), LH_OK);
	/* An agent that says so for a second is not asked without end. */
	ck_assert_uint_ge(AGENT_GET(&agent, checkouts), 3);
	ck_assert_uint_le(AGENT_GET(&agent, checkouts), 60);
	lh_return(seat);
}
END_TEST

/* --- the end of a wait ----------------------------------------------------
 */

static void
give_up(struct script *script)
{
	script->answer = 1;
}

START_TEST(waiting_may_leave_the_queue)
{
	struct script script = { .step = give_up };
	struct lh_request request = question(&script, 20);
	struct lh_seat *seat = NULL;

	stand_at(2, 2);
	ck_assert_int_eq(ask(&seat, &request), LH_E_CANCELLED);
	ck_assert_ptr_null(seat);
	WAIT_UNTIL(AGENT_GET(&agent, cancels) == 1, 1000);
	ck_assert_mem_eq(agent.last_cancel, agent.last_ask.request,
	    REQUEST_BYTES);
	/* It is over: the same question is a new request. */
	first_ask = AGENT_GET(&agent, last_ask);
	stand_at(0, 0);
	ck_assert_int_eq(ask(&seat, &request), LH_OK);
	ck_assert_mem_ne(agent.last_ask.request, first_ask.request,
	    REQUEST_BYTES);
}
END_TEST

START_TEST(waiting_may_give_up_a_question_without_an_answer)
{
	struct script script = { .step = give_up };
	struct lh_request request = question(&script, 20);
	struct lh_seat *seat = NULL;
	int64_t began_ms = clock_boottime_ms();

	AGENT_SET(&agent, checkout, VICE_SILENT);
	ck_assert_int_eq(ask(&seat, &request), LH_E_CANCELLED);
	ck_assert_int_lt(clock_boottime_ms() - began_ms, 6000);
	ck_assert_uint_eq(script.calls, 1);
	ck_assert_uint_eq(script.places[0], 0);
	ck_assert_uint_eq(AGENT_GET(&agent, cancels), 1);
}
END_TEST

START_TEST(grant_that_crosses_a_cancel_is_given_back)
{
	struct script script = { .step = give_up };
	struct lh_request request = question(&script, 20);
	struct lh_seat *seat = NULL;

	/* Status and grant come late, the grant after the second call of
	 * `waiting` would have been due. */
	AGENT_SET(&agent, delay_ms, 1300);
	ck_assert_int_eq(ask(&seat, &request), LH_E_CANCELLED);
	ck_assert_uint_eq(AGENT_GET(&agent, grants), 1);
	AGENT_SET(&agent, delay_ms, 0);
	WAIT_UNTIL(AGENT_GET(&agent, returns) == 1, 4000);
	ck_assert_uint_eq(AGENT_GET(&agent, last_lease), 1);
}
END_TEST

START_TEST(wait_ends_though_nobody_says_so)
{
	struct script script = { 0 };
	struct lh_request request = question(&script, 1);
	struct lh_seat *seat = NULL;
	int64_t began_ms = clock_boottime_ms();

	stand_at(4, 4);
	ck_assert_int_eq(ask(&seat, &request), LH_E_NO_SEATS);
	int64_t took_ms = clock_boottime_ms() - began_ms;

	ck_assert_int_ge(took_ms, 1000);
	ck_assert_int_le(took_ms, 5000);
	WAIT_UNTIL(AGENT_GET(&agent, cancels) == 1, 1000);
}
END_TEST

static const struct {
	const char *code;
	int error;
} endings[] = {
	{ "no_seats", LH_E_NO_SEATS },
	{ "overage_exhausted", LH_E_OVERAGE_EXHAUSTED },
	{ "queue_full", LH_E_REFUSED },
	{ "max_reached", LH_E_REFUSED },
	{ "license_expired", LH_E_EXPIRED },
	{ "unavailable", LH_E_SITE },
	{ "gone", LH_E_REFUSED },
};
static int ending;

static void
end_so(struct script *script)
{
	(void)script;
	agent_place(&agent, 0, 0, endings[ending].code);
}

START_TEST(end_of_a_wait_says_why)
{
	struct script script = { .step = end_so };
	struct lh_request request = question(&script, 20);
	struct lh_seat *seat = NULL;

	ending = _i;
	stand_at(1, 1);
	ck_assert_int_eq(ask(&seat, &request), endings[_i].error);
	/* Nothing was granted: a retry is a new request. */
	first_ask = AGENT_GET(&agent, last_ask);
	stand_at(0, 0);
	ck_assert_int_eq(ask(&seat, &request), LH_OK);
	ck_assert_mem_ne(agent.last_ask.request, first_ask.request,
	    REQUEST_BYTES);
}
END_TEST

static void
lose_sight(struct script *script)
{
	if (script->calls == 1)
		agent_place(&agent, 0, 0, "");
	else if (script->places[script->calls - 1] == 0)
		agent_offer(&agent);
}

START_TEST(place_that_is_not_known_ends_no_wait)
{
	struct script script = { .step = lose_sight };
	struct lh_request request = question(&script, 20);
	struct lh_seat *seat;

	stand_at(5, 5);
	ck_assert_int_eq(ask(&seat, &request), LH_OK);
	ck_assert_uint_eq(script.calls, 2);
	lh_return(seat);
}
END_TEST

START_TEST(hung_up_question_is_asked_the_same_until_the_wait_is_over)
{
	struct lh_request request = question(NULL, 1);
	struct lh_seat *seat = NULL;

	request.waiting = NULL;
	AGENT_SET(&agent, checkout, VICE_HANGS_UP);
	ck_assert_int_eq(ask(&seat, &request), LH_E_AGENT);
	/* The outcome is unknown: the retry is the same request. */
	first_ask = AGENT_GET(&agent, last_ask);
	AGENT_SET(&agent, checkout, VICE_NONE);
	ck_assert_int_eq(ask(&seat, &request), LH_OK);
	ck_assert_mem_eq(agent.last_ask.request, first_ask.request,
	    REQUEST_BYTES);
	ck_assert_mem_eq(agent.last_ask.nonce, first_ask.nonce, NONCE_BYTES);
	lh_return(seat);
}
END_TEST

/* --- answers that are none ------------------------------------------------
 */

START_TEST(answer_without_lease_or_place_is_impossible)
{
	struct script script = { 0 };
	struct lh_request request = question(&script, 20);
	struct lh_seat *seat = NULL;

	AGENT_SET(&agent, checkout, VICE_NO_PLACE);
	ck_assert_int_eq(ask(&seat, &request), LH_E_PROTOCOL);
	request.wait_s = 0;
	ck_assert_int_eq(ask(&seat, &request), LH_E_PROTOCOL);
}
END_TEST

START_TEST(place_for_one_who_does_not_wait_is_impossible)
{
	struct script script = { 0 };
	struct lh_request request = question(&script, 0);
	struct queue_place queue = { 1, 1, 10 };
	struct lh_seat *seat = NULL;

	AGENT_SET(&agent, queue, queue);
	AGENT_SET(&agent, checkout, VICE_PLACE);
	ck_assert_int_eq(ask(&seat, &request), LH_E_PROTOCOL);
	ck_assert_uint_eq(script.calls, 0);
}
END_TEST

START_TEST(lease_without_evidence_is_impossible)
{
	struct script script = { 0 };
	struct lh_request request = question(&script, 0);
	struct lh_seat *seat = NULL;

	AGENT_SET(&agent, checkout, VICE_NO_ROW);
	ck_assert_int_eq(ask(&seat, &request), LH_E_PROTOCOL);
	ck_assert_ptr_null(seat);
}
END_TEST

/* --- several threads ------------------------------------------------------
 */

struct waiter {
	struct lh_request request;
	struct lh_seat *seat;
	int error;
};

static void *
wait_in_a_thread(void *arg)
{
	struct waiter *waiter = arg;

	waiter->error =
	    lh_checkout_with(&waiter->seat, client, &waiter->request);
	return NULL;
}

START_TEST(wait_holds_up_no_beat_and_no_other_wait)
{
	struct waiter waiters[2] = { 0 };
	uint8_t requests[2][REQUEST_BYTES];
	pthread_t threads[2];
	struct lh_seat *seat;

	agent_terms(&agent, 1, 0);
	ck_assert_int_eq(checkout(&seat), LH_OK);
	stand_at(1, 2);
	for (int i = 0; i < 2; i++) {
		unsigned int asked = AGENT_GET(&agent, checkouts);

		waiters[i].request = question(NULL, 20);
		waiters[i].request.waiting = NULL;
		waiters[i].request.version = i == 0 ? "8.1.0" : "8.2.0";
		ck_assert_int_eq(pthread_create(&threads[i], NULL,
				     wait_in_a_thread, &waiters[i]),
		    0);
		WAIT_UNTIL(AGENT_GET(&agent, checkouts) == asked + 1, 2000);
		memcpy(requests[i], agent.last_ask.request, REQUEST_BYTES);
	}
	/* Nobody reads for the first seat but those who wait. */
	usleep(2500 * 1000);
	ck_assert_int_eq(lh_seat_valid(seat), 1);
	ck_assert_uint_ge(AGENT_GET(&agent, renewals), 5);
	/* An offer wakes the one it is for. */
	agent_offer(&agent);
	pthread_join(threads[1], NULL);
	ck_assert_int_eq(waiters[1].error, LH_OK);
	ck_assert_mem_eq(agent.last_ask.request, requests[1], REQUEST_BYTES);

	struct lease_offered offered = { .claim_s = 10 };

	memcpy(offered.request, requests[0], REQUEST_BYTES);
	agent_notify(&agent, LOCAL_OFFERED, &offered);
	pthread_join(threads[0], NULL);
	ck_assert_int_eq(waiters[0].error, LH_OK);
	ck_assert_mem_eq(agent.last_ask.request, requests[0], REQUEST_BYTES);
	ck_assert_int_eq(lh_seat_valid(waiters[0].seat), 1);
	ck_assert_int_eq(lh_seat_valid(waiters[1].seat), 1);
}
END_TEST

/* --- the request itself ---------------------------------------------------
 */

START_TEST(bounds_of_a_request_are_kept)
{
	struct lh_seat *seat = NULL;
	struct lh_request request = question(NULL, 0);

	ck_assert_int_eq(ask(&seat, NULL), LH_E_ARGUMENT);
	request.size = 8;
	ck_assert_int_eq(ask(&seat, &request), LH_E_ARGUMENT);
	request = question(NULL, -1);
	ck_assert_int_eq(ask(&seat, &request), LH_E_ARGUMENT);
	request = question(NULL, LEASE_WAIT_MAX_S + 1);
	ck_assert_int_eq(ask(&seat, &request), LH_E_ARGUMENT);
	request = question(NULL, 0);
	request.count = LEASE_COUNT_MAX + 1;
	ck_assert_int_eq(ask(&seat, &request), LH_E_ARGUMENT);
	request = question(NULL, 0);
	request.product = NULL;
	ck_assert_int_eq(ask(&seat, &request), LH_E_ARGUMENT);
	ck_assert_uint_eq(AGENT_GET(&agent, checkouts), 0);
}
END_TEST

START_TEST(longer_requests_of_newer_headers_are_taken_if_they_ask_nothing_new)
{
	struct {
		struct lh_request request;
		uint64_t newer;
	} longer = { .request = question(NULL, 0) };
	struct lh_seat *seat = NULL;

	longer.request.size = sizeof(longer);
	ck_assert_int_eq(ask(&seat, &longer.request), LH_OK);
	longer.newer = 1;
	ck_assert_int_eq(ask(&seat, &longer.request), LH_E_ARGUMENT);
	lh_return(seat);
}
END_TEST

START_TEST(question_carries_feature_user_and_count)
{
	struct lh_request request = question(NULL, 7);
	struct lh_seat *seat = NULL;

	request.feature = "flux";
	request.user = "carol";
	request.count = 3;
	AGENT_SET(&agent, checkout, VICE_REFUSES);
	AGENT_SET(&agent, refusal, ERR_QUEUE_FULL);
	ck_assert_int_eq(ask(&seat, &request), LH_E_REFUSED);
	struct local_checkout asked = AGENT_GET(&agent, last_ask);

	ck_assert_str_eq(asked.feature, "flux");
	ck_assert_str_eq(asked.user, "carol");
	ck_assert_uint_eq(asked.count, 3);
	ck_assert_uint_eq(asked.wait_s, 7);
	/* One seat more is another question. */
	request.count = 4;
	ck_assert_int_eq(ask(&seat, &request), LH_E_REFUSED);
	ck_assert_mem_ne(agent.last_ask.request, asked.request, REQUEST_BYTES);
}
END_TEST

START_TEST(lease_of_many_seats_is_one_seat_object)
{
	struct lh_request request = question(NULL, 0);
	struct lh_seat *seat;

	request.count = 3;
	ck_assert_int_eq(ask(&seat, &request), LH_OK);
	ck_assert_uint_eq(lh_seat_count(seat), 3);
	ck_assert_uint_eq(AGENT_GET(&agent, grants), 1);
	lh_return(seat);
	ck_assert_uint_eq(AGENT_GET(&agent, returns), 1);
}
END_TEST

Suite *
suite(void)
{
	Suite *s = suite_create("lib queue");
	TCase *turn = tcase_create("turn");
	TCase *end = tcase_create("end");
	TCase *answers = tcase_create("answers");
	TCase *threads = tcase_create("threads");
	TCase *request = tcase_create("request");
	TCase *cases[] = { turn, end, answers, threads, request };

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		tcase_add_checked_fixture(cases[i], setup, teardown);
		tcase_set_timeout(cases[i], 30);
		suite_add_tcase(s, cases[i]);
	}
	tcase_add_test(turn, places_are_told_and_the_turn_is_taken);
	tcase_add_test(turn,
	    span_counts_from_the_claim_however_long_the_wait_was);
	tcase_add_test(turn, restart_of_the_agent_keeps_the_place);
	tcase_add_test(turn, turn_told_in_an_answer_is_taken_without_haste);
	tcase_add_test(end, waiting_may_leave_the_queue);
	tcase_add_test(end, waiting_may_give_up_a_question_without_an_answer);
	tcase_add_test(end, grant_that_crosses_a_cancel_is_given_back);
	tcase_add_test(end, wait_ends_though_nobody_says_so);
	tcase_add_loop_test(end, end_of_a_wait_says_why, 0,
	    (int)(sizeof(endings) / sizeof(endings[0])));
	tcase_add_test(end, place_that_is_not_known_ends_no_wait);
	tcase_add_test(end,
	    hung_up_question_is_asked_the_same_until_the_wait_is_over);
	tcase_add_test(answers, answer_without_lease_or_place_is_impossible);
	tcase_add_test(answers, place_for_one_who_does_not_wait_is_impossible);
	tcase_add_test(answers, lease_without_evidence_is_impossible);
	tcase_add_test(threads, wait_holds_up_no_beat_and_no_other_wait);
	tcase_add_test(request, bounds_of_a_request_are_kept);
	tcase_add_test(request,
	    longer_requests_of_newer_headers_are_taken_if_they_ask_nothing_new);
	tcase_add_test(request, question_carries_feature_user_and_count);
	tcase_add_test(request, lease_of_many_seats_is_one_seat_object);
	return s;
}
