/* Asking again when no answer came: one seat, and no lie slips in. */
#include "tests/unit/lib_client.h"

START_TEST(retry_of_an_unknown_outcome_takes_no_second_seat)
{
	struct lh_seat *seat;

	/* The site granted, but the answer was lost. */
	AGENT_SET(&agent, checkout, VICE_GARBAGE);
	ck_assert_int_eq(checkout(&seat), LH_E_PROTOCOL);
	ck_assert_uint_eq(AGENT_GET(&agent, grants), 1);
	AGENT_SET(&agent, checkout, VICE_NONE);
	ck_assert_int_eq(checkout(&seat), LH_OK);
	ck_assert_uint_eq(AGENT_GET(&agent, grants), 1);
	ck_assert_uint_eq(AGENT_GET(&agent, checkouts), 2);
	ck_assert_uint_eq(lh_seat_id(seat), 1);
	/* And the next seat is a seat of its own. */
	ck_assert_int_eq(checkout(&seat), LH_OK);
	ck_assert_uint_eq(AGENT_GET(&agent, grants), 2);
}
END_TEST

/* A question whose answer is lost, and what was granted since. */
static void
lose_an_answer(int since)
{
	struct lh_seat *seat;

	AGENT_SET(&agent, checkout, VICE_GARBAGE);
	ck_assert_int_eq(checkout(&seat), LH_E_PROTOCOL);
	AGENT_SET(&agent, checkout, VICE_NONE);
	for (int i = 0; i < since; i++)
		ck_assert_int_eq(lh_checkout(&seat, client, "tool", "8.2.0",
				     NULL, NULL, 0),
		    LH_OK);
}

START_TEST(retry_gets_the_first_grant_though_the_journal_went_on)
{
	struct lh_seat *seat;

	/* Something is known at the first try too. */
	ck_assert_int_eq(checkout(&seat), LH_OK);
	lose_an_answer(3);
	unsigned int renewals = AGENT_GET(&agent, renewals);

	ck_assert_int_eq(checkout(&seat), LH_OK);
	ck_assert_uint_eq(lh_seat_id(seat), 2);
	ck_assert_uint_eq(AGENT_GET(&agent, grants), 5);
	ck_assert_int_eq(lh_seat_valid(seat), 1);
	/* Its header is older than what was seen since: only a beat over a
	 * fresh nonce shows that the lease is still held. */
	ck_assert_uint_eq(AGENT_GET(&agent, renewals), renewals + 1);
	/* And what was known has not gone back. */
	AGENT_SET(&agent, checkout, VICE_NONE);
	ck_assert_int_eq(lh_checkout(&seat, client, "tool", "8.3.0", NULL, NULL,
			     0),
	    LH_OK);
	ck_assert_uint_eq(AGENT_GET(&agent, last_known.batch), 4);
}
END_TEST

START_TEST(retry_whose_lease_is_not_shown_to_be_held_is_refused)
{
	struct lh_seat *seat = NULL;

	lose_an_answer(2);
	AGENT_SET(&agent, renew, VICE_FORGES);
	ck_assert_int_eq(checkout(&seat), LH_E_BAD_SIGNATURE);
	ck_assert_ptr_null(seat);
}
END_TEST

START_TEST(retry_of_what_has_ended_asks_anew)
{
	struct lh_seat *seat;

	AGENT_SET(&agent, checkout, VICE_GARBAGE);
	ck_assert_int_eq(checkout(&seat), LH_E_PROTOCOL);
	AGENT_SET(&agent, checkout, VICE_REFUSES);
	AGENT_SET(&agent, refusal, ERR_GONE);
	ck_assert_int_eq(checkout(&seat), LH_E_GONE);
	/* With the old id, and with a new one. */
	ck_assert_uint_eq(AGENT_GET(&agent, checkouts), 3);
	AGENT_SET(&agent, checkout, VICE_NONE);
	ck_assert_int_eq(checkout(&seat), LH_OK);
	ck_assert_uint_eq(lh_seat_id(seat), 2);
}
END_TEST

START_TEST(retry_at_another_site_is_a_new_question)
{
	struct lh_seat *seat;

	ck_assert_int_eq(checkout(&seat), LH_OK);
	lh_return(seat);
	/* Asked while the agent was at another site, unanswered; meanwhile it
	 * is back at the one of which a header is kept. */
	text_copy(agent.status_site, sizeof(agent.status_site), "site-2");
	AGENT_SET(&agent, refusal, ERR_UNAVAILABLE);
	AGENT_SET(&agent, checkout, VICE_REFUSES);
	ck_assert_int_eq(checkout(&seat), LH_E_SITE);
	AGENT_SET(&agent, checkout, VICE_NONE);
	pthread_mutex_lock(&agent.lock);
	text_copy(agent.status_site, sizeof(agent.status_site), "");
	pthread_mutex_unlock(&agent.lock);
	ck_assert_int_eq(checkout(&seat), LH_OK);
}
END_TEST

START_TEST(retry_hides_no_fork)
{
	struct lh_seat *seat, *others[2];

	/* Asked before anything was known, and never answered. */
	AGENT_SET(&agent, checkout, VICE_GARBAGE);
	ck_assert_int_eq(checkout(&seat), LH_E_PROTOCOL);
	AGENT_SET(&agent, checkout, VICE_NONE);
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(lh_checkout(&others[i], client, "tool",
				     "8.2.0", NULL, NULL, 0),
		    LH_OK);
	/* The site is put back to before all that, and grants it again. */
	pthread_mutex_lock(&agent.lock);
	agent.chain.next_batch = 0;
	agent.chain.next_row = 1;
	agent.chain.time++;
	memset(agent.last_request, 0, sizeof(agent.last_request));
	buf_clear(&agent.lost);
	pthread_mutex_unlock(&agent.lock);
	ck_assert_int_eq(checkout(&seat), LH_E_FORK);
}
END_TEST

Suite *
suite(void)
{
	Suite *s = suite_create("lib retry");
	TCase *tc = tcase_create("lib retries");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 20);
	tcase_add_test(tc, retry_of_an_unknown_outcome_takes_no_second_seat);
	tcase_add_test(tc,
	    retry_gets_the_first_grant_though_the_journal_went_on);
	tcase_add_test(tc,
	    retry_whose_lease_is_not_shown_to_be_held_is_refused);
	tcase_add_test(tc, retry_of_what_has_ended_asks_anew);
	tcase_add_test(tc, retry_at_another_site_is_a_new_question);
	tcase_add_test(tc, retry_hides_no_fork);
	suite_add_tcase(s, tc);
	return s;
}
