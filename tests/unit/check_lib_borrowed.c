/* Seats of a borrow: taken, proved again, lost, given back, by a real client on
 * a real socket; and an agent that would rather lie. */
#include "tests/unit/lib_client.h"
#include "tests/unit/lib_ticket.h"

#include <stdatomic.h>

unsigned int
suite_at_once(void)
{
	return 4;
}

#define WEEK_S (7 * TICKET_DAY_S)

/* How the agent lends; with its lock. */
enum lie {
	LIE_NONE,
	LIE_REPLAY, /* the proof of the first question, again */
	LIE_BEAT, /* a true beat, and no proof */
	LIE_FORGE, /* a ticket signed by another key */
	LIE_OTHER_BORROW, /* a true ticket of another borrow */
	LIE_TICKET_FOR_LEASE, /* in the place of a beat */
};
static struct {
	struct chain_device device;
	enum lie lie;
	bool online; /* true leases, from the site */
	uint32_t prove_s, length_s;
	bool lent, stale; /* the row is to be written anew */
	struct proof first;
} lends;

/* What `lost` was told. */
static struct {
	_Atomic int calls;
	_Atomic int error;
	char detail[256];
} told;

static void
on_lost(void *ctx, struct lh_seat *seat, int error)
{
	(void)ctx;
	ck_assert_int_eq(lh_seat_valid(seat), 0);
	snprintf(told.detail, sizeof(told.detail), "%s", lh_detail());
	atomic_store(&told.error, error);
	atomic_fetch_add(&told.calls, 1);
}

/* --- the agent ------------------------------------------------------------ */

static void
write_ticket(const struct local_checkout *ask)
{
	struct chain *chain = &agent.chain;
	struct chain_keys mine = chain->site_key;

	if (lends.lie == LIE_FORGE)
		chain_new_keys(&chain->site_key);
	chain_lend(chain, &lends.device, ask, 0, lends.length_s);
	chain->row.u.borrowed.grant.ttl_s = lends.prove_s;
	chain_commit(chain);
	chain->site_key = mine;
	lends.lent = true;
}

/* Another row for the same borrow. */
static void
write_again(void)
{
	struct chain *chain = &agent.chain;
	struct row_ticket *ticket = &chain->row.u.borrowed.ticket;

	chain->row.kind = ROW_BORROW_REISSUED;
	ticket->why = TICKET_EXTENDED;
	ticket->epoch = lends.device.counter;
	ticket->length_s = lends.length_s;
	ticket->until = ticket->from + (int64_t)lends.length_s * 1000;
	if (lends.lie == LIE_OTHER_BORROW)
		chain->row.u.borrowed.grant.lease++;
	chain_commit(chain);
	lends.stale = false;
}

static void
answer_checkout(int fd, uint64_t id, const struct local_checkout *request)
{
	struct local_checkout ask = *request;
	struct local_checkout_reply reply;

	agent.checkouts++;
	agent.last_ask = *request;
	ask.count = 4; /* that were borrowed */
	if (!lends.lent)
		write_ticket(&ask);
	chain_ticket(&reply, &agent.chain, &lends.device, request->nonce);
	lends.first = reply.proof;
	agent_answer(fd, id, &local_checkout_reply_record, &reply);
}

static bool
answer_renew(int fd, uint64_t id, const struct local_renew *request)
{
	struct local_renew_reply reply = { 0 };

	if (lends.lie == LIE_BEAT)
		return false;
	agent.renewals++;
	if (lends.stale || lends.lie == LIE_OTHER_BORROW)
		write_again();
	chain_ticket(&reply.ticket, &agent.chain, &lends.device,
	    request->nonce);
	if (lends.lie == LIE_REPLAY)
		reply.ticket.proof = lends.first;
	agent_answer(fd, id, &local_renew_reply_record, &reply);
	return true;
}

static bool
instead(int fd, uint64_t id, enum local_id op, const void *request)
{
	if (op == LOCAL_RENEW && lends.lie == LIE_TICKET_FOR_LEASE)
		return answer_renew(fd, id, request);
	if (lends.online)
		return false;
	if (op == LOCAL_CHECKOUT) {
		answer_checkout(fd, id, request);
		return true;
	}
	return op == LOCAL_RENEW && answer_renew(fd, id, request);
}

static void
setup_borrowed(void)
{
	struct lh_options given;

	agent_open(&agent);
	chain_may_lend(&agent.chain);
	memset(&lends, 0, sizeof(lends));
	chain_device_tpm(&lends.device, PROOF_TPM);
	lends.prove_s = TICKET_PROVE_S;
	lends.length_s = WEEK_S;
	AGENT_SET(&agent, instead, instead);
	memset(&told, 0, sizeof(told));
	given = options();
	given.lost = on_lost;
	ck_assert_int_eq(lh_client_new(&client, &given), LH_OK);
}

static void
teardown_borrowed(void)
{
	teardown();
	chain_device_close(&lends.device);
}

#define LENDS(statement)                           \
	do {                                       \
		pthread_mutex_lock(&agent.lock);   \
		statement;                         \
		pthread_mutex_unlock(&agent.lock); \
	} while (0)

static struct lh_seat *
take(void)
{
	struct lh_seat *seat;

	ck_assert_int_eq(checkout(&seat), LH_OK);
	ck_assert_int_eq(lh_seat_valid(seat), 1);
	return seat;
}

static int
beat(void)
{
	int error = lh_beat(client, 5000);

	ck_assert_int_eq(error != LH_OK, lh_detail()[0] != '\0');
	return error;
}

/* --- what it is ----------------------------------------------------------- */

START_TEST(borrowed_seat_says_that_it_is_and_until_when)
{
	struct lh_seat *seat = take();

	ck_assert_int_eq(lh_seat_is_borrowed(seat), 1);
	ck_assert_int_eq(lh_seat_until_ms(seat),
	    AGENT_GET(&agent, chain.time) + WEEK_S * INT64_C(1000));
	ck_assert_uint_eq(lh_seat_count(seat), 1);
	ck_assert_uint_eq(lh_seat_id(seat), 1);
	ck_assert_int_eq(lh_seat_is_borrowed(NULL), 0);
	ck_assert_int_eq(lh_seat_until_ms(NULL), 0);
}
END_TEST

START_TEST(lease_of_the_site_is_not_borrowed)
{
	LENDS(lends.online = true);
	struct lh_seat *seat = take();

	ck_assert_int_eq(lh_seat_is_borrowed(seat), 0);
	ck_assert_int_eq(lh_seat_until_ms(seat), 0);
	ck_assert_int_eq(beat(), LH_OK);
}
END_TEST

START_TEST(a_proof_is_good_for_an_hour_from_its_question)
{
	int64_t began_ms = clock_boottime_ms();
	struct lh_seat *seat;

	AGENT_SET(&agent, delay_ms, 300);
	seat = take();
	/* What the answer took is no part of it. */
	ck_assert_int_le(lh_seat_left_ms(seat), 3600000 - 300);
	ck_assert_int_ge(lh_seat_left_ms(seat),
	    3600000 - (clock_boottime_ms() - began_ms));
	ck_assert_int_le(lh_beat_interval_ms(client), 3600000 / 3);
}
END_TEST

START_TEST(what_is_left_of_the_borrow_bounds_it)
{
	LENDS(lends.length_s = 600);
	struct lh_seat *seat = take();

	ck_assert_int_le(lh_seat_left_ms(seat), 600000);
	ck_assert_int_gt(lh_seat_left_ms(seat), 590000);
	/* So that an extension is heard of in time. */
	ck_assert_int_le(lh_beat_interval_ms(client), 600000 / 3);
	LENDS(lends.device.clock_ms += 599000);
	ck_assert_int_eq(beat(), LH_OK);
	ck_assert_int_le(lh_seat_left_ms(seat), 1000);
	ck_assert_int_ge(lh_beat_interval_ms(client), 5000);
}
END_TEST

/* --- proving again -------------------------------------------------------- */

START_TEST(seat_is_proved_again_for_as_long_as_it_is_held)
{
	LENDS(lends.prove_s = 1);
	struct lh_seat *seat = take();
	int64_t until = clock_boottime_ms() + 2500;

	while (clock_boottime_ms() < until) {
		ck_assert_int_eq(lh_seat_valid(seat), 1);
		usleep(1000);
	}
	ck_assert_uint_ge(AGENT_GET(&agent, renewals), 4);
	ck_assert_uint_le(AGENT_GET(&agent, renewals), 20);
	ck_assert_int_eq(atomic_load(&told.calls), 0);
}
END_TEST

/* The seat lives to the end of what was proved, and no longer. */
static void
expect_no_renewal_by(enum lie lie, int error)
{
	LENDS(lends.prove_s = 2);
	struct lh_seat *seat = take();

	LENDS(lends.lie = lie);
	ck_assert_int_eq(beat(), error);
	ck_assert_int_eq(lh_seat_valid(seat), 1);
	ck_assert_int_le(lh_seat_left_ms(seat), 2000);
	WAIT_UNTIL(atomic_load(&told.calls) == 1, 4000);
	ck_assert_int_eq(atomic_load(&told.error), error);
	ck_assert_int_eq(lh_seat_valid(seat), 0);
}

START_TEST(replayed_proof_renews_nothing)
{
	expect_no_renewal_by(LIE_REPLAY, LH_E_BAD_PROOF);
}
END_TEST

START_TEST(beat_of_the_site_renews_no_borrowed_seat)
{
	expect_no_renewal_by(LIE_BEAT, LH_E_BAD_SIGNATURE);
}
END_TEST

START_TEST(ticket_of_another_borrow_renews_nothing)
{
	expect_no_renewal_by(LIE_OTHER_BORROW, LH_E_MISMATCH);
	ck_assert_ptr_nonnull(strstr(told.detail, "another borrow"));
}
END_TEST

START_TEST(ticket_renews_no_lease_of_the_site)
{
	LENDS(lends.online = true);
	agent_terms(&agent, 1, 0);
	struct lh_seat *seat = take();

	pthread_mutex_lock(&agent.lock);
	write_ticket(&agent.last_ask);
	lends.lie = LIE_TICKET_FOR_LEASE;
	pthread_mutex_unlock(&agent.lock);
	WAIT_UNTIL(atomic_load(&told.calls) == 1, 4000);
	ck_assert_int_eq(lh_seat_valid(seat), 0);
	ck_assert_int_eq(atomic_load(&told.error), LH_E_BAD_SIGNATURE);
}
END_TEST

/* What is proved to be over is over now, not at the end of the hour. */
static void
expect_end(int error)
{
	struct lh_seat *seat = take();

	LENDS(lends.device.clock_ms += 100000);
	ck_assert_int_eq(beat(), LH_OK);
	if (error == LH_E_GONE)
		LENDS(lends.device.counter++);
	else
		LENDS(lends.device.clock_ms--);
	ck_assert_int_eq(beat(), error);
	ck_assert_int_eq(lh_seat_valid(seat), 0);
	WAIT_UNTIL(atomic_load(&told.calls) == 1, 2000);
	ck_assert_int_eq(atomic_load(&told.error), error);
}

START_TEST(proof_that_it_was_given_back_ends_it_at_once)
{
	expect_end(LH_E_GONE);
	ck_assert_ptr_nonnull(strstr(told.detail, "given back"));
}
END_TEST

START_TEST(clock_that_went_back_between_proofs_ends_it_at_once)
{
	expect_end(LH_E_CLOCK);
	ck_assert_ptr_nonnull(strstr(told.detail, "went back"));
}
END_TEST

START_TEST(end_of_the_borrow_is_told_as_such)
{
	LENDS(lends.length_s = 1);
	struct lh_seat *seat = take();

	WAIT_UNTIL(atomic_load(&told.calls) == 1, 3000);
	ck_assert_int_eq(atomic_load(&told.error), LH_E_GONE);
	ck_assert_ptr_nonnull(strstr(told.detail, "time is over"));
	ck_assert_int_eq(lh_seat_valid(seat), 0);
}
END_TEST

/* As after a sleep of the machine: nobody asked while the hour passed. */
static struct lh_seat *
sleep_too_long(void)
{
	struct lh_options given = options();
	struct lh_seat *seat;

	lh_client_free(client);
	given.lost = on_lost;
	given.manual_beats = 1;
	ck_assert_int_eq(lh_client_new(&client, &given), LH_OK);
	LENDS(lends.prove_s = 1);
	seat = take();
	usleep(1200000);
	ck_assert_int_eq(lh_seat_valid(seat), 0);
	return seat;
}

START_TEST(seat_that_slept_too_long_is_valid_when_it_is_proved_again)
{
	struct lh_seat *seat = sleep_too_long();

	ck_assert_int_eq(beat(), LH_OK);
	ck_assert_int_eq(lh_seat_valid(seat), 1);
	ck_assert_int_eq(atomic_load(&told.calls), 0);
}
END_TEST

START_TEST(seat_that_slept_too_long_and_is_not_proved_is_lost)
{
	struct lh_seat *seat = sleep_too_long();

	LENDS(lends.lie = LIE_REPLAY);
	ck_assert_int_eq(beat(), LH_E_BAD_PROOF);
	ck_assert_int_eq(lh_seat_valid(seat), 0);
	(void)lh_beat(client, 1000);
	ck_assert_int_eq(atomic_load(&told.calls), 1);
	ck_assert_int_eq(atomic_load(&told.error), LH_E_BAD_PROOF);
}
END_TEST

START_TEST(lease_of_the_site_that_slept_too_long_is_lost)
{
	LENDS(lends.online = true);
	agent_terms(&agent, 1, 0);
	(void)sleep_too_long();
	(void)lh_beat(client, 1000);
	ck_assert_int_eq(atomic_load(&told.calls), 1);
}
END_TEST

START_TEST(extension_reaches_the_seat_with_the_next_proof)
{
	LENDS(lends.length_s = 600);
	struct lh_seat *seat = take();
	int64_t until_ms = lh_seat_until_ms(seat);

	LENDS(lends.length_s = WEEK_S; lends.stale = true);
	ck_assert_int_eq(beat(), LH_OK);
	ck_assert_int_eq(lh_seat_until_ms(seat),
	    until_ms + (WEEK_S - 600) * INT64_C(1000));
	ck_assert_int_gt(lh_seat_left_ms(seat), 3500000);
}
END_TEST

START_TEST(replacement_for_a_raised_counter_goes_on)
{
	struct lh_seat *seat = take();

	LENDS(lends.device.counter++; lends.stale = true);
	ck_assert_int_eq(beat(), LH_OK);
	ck_assert_int_eq(lh_seat_valid(seat), 1);
}
END_TEST

/* --- the agent, and the journal ------------------------------------------- */

START_TEST(forged_ticket_is_refused_and_given_back)
{
	struct lh_seat *seat;

	LENDS(lends.lie = LIE_FORGE);
	ck_assert_int_eq(checkout(&seat), LH_E_BAD_SIGNATURE);
	ck_assert_uint_eq(AGENT_GET(&agent, returns), 1);
	ck_assert_uint_eq(AGENT_GET(&agent, last_return.count), 1);
}
END_TEST

START_TEST(given_back_seats_of_one_borrow_are_told_apart)
{
	struct lh_request request = { .size = sizeof(request),
		.product = "tool",
		.version = "8.1.0",
		.count = 2 };
	struct lh_seat *one = take(), *two;

	ck_assert_int_eq(lh_checkout_with(&two, client, &request), LH_OK);
	ck_assert_uint_eq(lh_seat_id(one), lh_seat_id(two));
	ck_assert_uint_eq(lh_seat_count(two), 2);
	lh_return(two);
	ck_assert_uint_eq(AGENT_GET(&agent, last_return.count), 2);
	ck_assert_int_eq(lh_seat_valid(one), 1);
	lh_return(one);
	ck_assert_uint_eq(AGENT_GET(&agent, last_return.count), 1);
	ck_assert_uint_eq(AGENT_GET(&agent, returns), 2);
}
END_TEST

START_TEST(seat_is_attached_to_an_agent_that_was_restarted)
{
	struct lh_seat *seat = take();

	agent_stop(&agent);
	agent_start(&agent);
	WAIT_UNTIL(AGENT_GET(&agent, attaches) == 1, 6000);
	ck_assert_uint_eq(AGENT_GET(&agent, last_attach_count), 1);
	WAIT_UNTIL(AGENT_GET(&agent, renewals) >= 1, 2000);
	ck_assert_int_eq(lh_seat_valid(seat), 1);
}
END_TEST

START_TEST(ticket_of_another_branch_of_the_journal_is_a_fork)
{
	struct lh_seat *seat;

	LENDS(lends.online = true);
	seat = take();
	pthread_mutex_lock(&agent.lock);
	lends.online = false;
	agent.chain.next_batch--; /* the same batch, and another one */
	pthread_mutex_unlock(&agent.lock);
	ck_assert_int_eq(checkout(&seat), LH_E_FORK);
}
END_TEST

START_TEST(ticket_from_before_what_was_seen_is_no_fork)
{
	pthread_mutex_lock(&agent.lock);
	struct local_checkout ask = { .product = "tool",
		.version = "8.1.0",
		.count = 4 };

	write_ticket(&ask);
	struct chain before = agent.chain;
	struct buf row = agent.chain.row_bytes,
		   header = agent.chain.header_token;

	memset(&agent.chain.row_bytes, 0, sizeof(row));
	memset(&agent.chain.header_token, 0, sizeof(header));
	lends.online = true;
	pthread_mutex_unlock(&agent.lock);
	struct lh_seat *seat = take();

	ck_assert_int_eq(lh_seat_is_borrowed(seat), 0);
	pthread_mutex_lock(&agent.lock);
	buf_release(&agent.chain.row_bytes);
	buf_release(&agent.chain.header_token);
	agent.chain = before;
	lends.online = false;
	pthread_mutex_unlock(&agent.lock);
	seat = take();
	ck_assert_int_eq(lh_seat_is_borrowed(seat), 1);
}
END_TEST

Suite *
suite(void)
{
	Suite *s = suite_create("lib borrowed");
	TCase *tc = tcase_create("lib borrowed");

	tcase_set_timeout(tc, 20);
	tcase_add_checked_fixture(tc, setup_borrowed, teardown_borrowed);
	tcase_add_test(tc, borrowed_seat_says_that_it_is_and_until_when);
	tcase_add_test(tc, lease_of_the_site_is_not_borrowed);
	tcase_add_test(tc, a_proof_is_good_for_an_hour_from_its_question);
	tcase_add_test(tc, what_is_left_of_the_borrow_bounds_it);
	tcase_add_test(tc, seat_is_proved_again_for_as_long_as_it_is_held);
	tcase_add_test(tc, replayed_proof_renews_nothing);
	tcase_add_test(tc, beat_of_the_site_renews_no_borrowed_seat);
	tcase_add_test(tc, ticket_of_another_borrow_renews_nothing);
	tcase_add_test(tc, ticket_renews_no_lease_of_the_site);
	tcase_add_test(tc, proof_that_it_was_given_back_ends_it_at_once);
	tcase_add_test(tc, clock_that_went_back_between_proofs_ends_it_at_once);
	tcase_add_test(tc, end_of_the_borrow_is_told_as_such);
	tcase_add_test(tc,
	    seat_that_slept_too_long_is_valid_when_it_is_proved_again);
	tcase_add_test(tc, seat_that_slept_too_long_and_is_not_proved_is_lost);
	tcase_add_test(tc, lease_of_the_site_that_slept_too_long_is_lost);
	tcase_add_test(tc, extension_reaches_the_seat_with_the_next_proof);
	tcase_add_test(tc, replacement_for_a_raised_counter_goes_on);
	tcase_add_test(tc, forged_ticket_is_refused_and_given_back);
	tcase_add_test(tc, given_back_seats_of_one_borrow_are_told_apart);
	tcase_add_test(tc, seat_is_attached_to_an_agent_that_was_restarted);
	tcase_add_test(tc, ticket_of_another_branch_of_the_journal_is_a_fork);
	tcase_add_test(tc, ticket_from_before_what_was_seen_is_no_fork);
	suite_add_tcase(s, tc);
	return s;
}
