/* Questions about borrows: what is asked, what is told, what of retries and of
 * applications that are older or newer than the library. */
#include "tests/unit/lib_client.h"

#include <stddef.h>

/* What the agent does; with its lock. */
static struct {
	enum agent_vice vice;
	bool offline; /* nothing is proved */
	unsigned int takes;
	struct local_borrow_take take;
	uint8_t before[REQUEST_BYTES]; /* of the take before */
	struct local_borrow_extend extend;
	struct local_borrow_return back;
} lends;

static struct local_borrow
a_borrow(uint64_t lease)
{
	return (struct local_borrow){
		.lease = lease,
		.product = "tool",
		.version = "8.1.0",
		.feature = "autosar",
		.count = 3,
		.used = 2,
		.type = SEAT_OVERAGE,
		.uid = 1000,
		.user = "anna",
		.state = lease == 18 ? BORROW_RETURNING
		    : lease == 19    ? BORROW_UNPROVEN
				     : BORROW_LENT,
		.taken_at = 1780000000000,
		.until = 1780604800000,
		.length_s = 604800,
		.epoch = 5,
	};
}

static bool
answer(int fd, uint64_t id, enum local_id op, const void *request)
{
	struct local_borrow borrow = a_borrow(17),
			    three[] = { a_borrow(17), a_borrow(18),
				    a_borrow(19) };
	struct local_borrows list = { .items = { three, 3 } };
	struct local_borrow_returned back = { .count = 1,
		.proved = !lends.offline };

	if (op == LOCAL_BORROW_TAKE) {
		lends.takes++;
		memcpy(lends.before, lends.take.request, REQUEST_BYTES);
		lends.take = *(const struct local_borrow_take *)request;
	} else if (op == LOCAL_BORROW_EXTEND) {
		lends.extend = *(const struct local_borrow_extend *)request;
	} else if (op == LOCAL_BORROW_RETURN) {
		lends.back = *(const struct local_borrow_return *)request;
	} else if (op != LOCAL_BORROW_LIST) {
		return false;
	}
	if (agent_misbehaves(&agent, fd, id, lends.vice))
		return true;
	if (op == LOCAL_BORROW_LIST)
		agent_answer(fd, id, &local_borrows_record, &list);
	else if (op == LOCAL_BORROW_RETURN)
		agent_answer(fd, id, &local_borrow_returned_record, &back);
	else
		agent_answer(fd, id, &local_borrow_record, &borrow);
	return true;
}

static void
setup_lender(void)
{
	setup();
	memset(&lends, 0, sizeof(lends));
	AGENT_SET(&agent, instead, answer);
}

#define LENDS(statement)                           \
	do {                                       \
		pthread_mutex_lock(&agent.lock);   \
		statement;                         \
		pthread_mutex_unlock(&agent.lock); \
	} while (0)

static struct lh_borrow borrow = { .size = sizeof(struct lh_borrow) };
static struct lh_borrow_request request = {
	.size = sizeof(struct lh_borrow_request),
	.product = "tool",
	.version = "8.1.0",
	.length_s = 604800,
};

/* Who fails says more than its name. */
static int
told(int error)
{
	ck_assert_int_eq(error != LH_OK, lh_detail()[0] != '\0');
	return error;
}

static int
take(void)
{
	return told(lh_borrow_take(&borrow, client, &request, 2000));
}

/* --- what is asked and told ----------------------------------------------- */

static void
expect_borrow(const struct lh_borrow *got, uint64_t id)
{
	ck_assert_uint_eq(got->id, id);
	ck_assert_uint_eq(got->count, 3);
	ck_assert_uint_eq(got->used, 2);
	ck_assert_int_eq(got->type, LH_SEAT_OVERAGE);
	ck_assert_uint_eq(got->length_s, 604800);
	ck_assert_int_eq(got->taken_at_ms, 1780000000000);
	ck_assert_int_eq(got->until_ms, 1780604800000);
	ck_assert_str_eq(got->product, "tool");
	ck_assert_str_eq(got->version, "8.1.0");
	ck_assert_str_eq(got->feature, "autosar");
}

START_TEST(take_asks_for_all_that_was_said_and_tells_what_it_got)
{
	struct lh_borrow_request all = request;

	all.feature = "autosar";
	all.user = "anna";
	all.count = 3;
	ck_assert_int_eq(told(lh_borrow_take(&borrow, client, &all, 2000)),
	    LH_OK);
	ck_assert_str_eq(lends.take.product, "tool");
	ck_assert_str_eq(lends.take.version, "8.1.0");
	ck_assert_str_eq(lends.take.feature, "autosar");
	ck_assert_str_eq(lends.take.user, "anna");
	ck_assert_uint_eq(lends.take.count, 3);
	ck_assert_uint_eq(lends.take.length_s, 604800);
	ck_assert(!sodium_is_zero(lends.take.request, REQUEST_BYTES));
	expect_borrow(&borrow, 17);
	ck_assert_int_eq(borrow.state, LH_BORROW_LENT);
}
END_TEST

START_TEST(count_0_is_1)
{
	ck_assert_int_eq(take(), LH_OK);
	ck_assert_uint_eq(lends.take.count, 1);
}
END_TEST

START_TEST(extend_names_the_borrow_and_the_time)
{
	ck_assert_int_eq(told(lh_borrow_extend(&borrow, client, 17, 86400,
			     2000)),
	    LH_OK);
	ck_assert_uint_eq(lends.extend.lease, 17);
	ck_assert_uint_eq(lends.extend.length_s, 86400);
	expect_borrow(&borrow, 17);
}
END_TEST

START_TEST(return_says_whether_the_site_has_the_proof)
{
	int proved = -1;

	ck_assert_int_eq(told(lh_borrow_return(&proved, client, 17, 2000)),
	    LH_OK);
	ck_assert_int_eq(proved, 1);
	ck_assert_uint_eq(lends.back.lease, 17);
	ck_assert(!lends.back.all && !lends.back.offline);
	LENDS(lends.offline = true);
	ck_assert_int_eq(told(lh_borrow_return(&proved, client, 0, 2000)),
	    LH_OK);
	ck_assert_int_eq(proved, 0);
	ck_assert_uint_eq(lends.back.lease, 0);
	ck_assert(lends.back.all);
	ck_assert_int_eq(told(lh_borrow_return(NULL, client, 0, 2000)), LH_OK);
}
END_TEST

static void
each(void *ctx, const struct lh_borrow *got)
{
	unsigned int *n = ctx;
	static const enum lh_borrow_state states[] = { LH_BORROW_LENT,
		LH_BORROW_RETURNING, LH_BORROW_UNPROVEN };

	ck_assert_uint_lt(*n, 3);
	ck_assert_uint_eq(got->size, sizeof(*got));
	ck_assert_int_eq(got->state, states[*n]);
	expect_borrow(got, 17 + *n);
	/* Nothing is locked. */
	ck_assert_int_eq(lh_borrow_return(NULL, client, got->id, 2000), LH_OK);
	++*n;
}

START_TEST(list_tells_each)
{
	unsigned int n = 0;

	ck_assert_int_eq(told(lh_borrow_list(client, each, &n, 2000)), LH_OK);
	ck_assert_uint_eq(n, 3);
}
END_TEST

/* --- refusals and faults -------------------------------------------------- */

static int
take_refused(int refusal)
{
	LENDS(lends.vice = VICE_REFUSES; agent.refusal = refusal);
	return take();
}

START_TEST(refusals_have_their_names)
{
	ck_assert_int_eq(take_refused(ERR_NO_SEATS), LH_E_NO_SEATS);
	ck_assert_int_eq(take_refused(ERR_BORROW_LIMIT), LH_E_REFUSED);
	ck_assert_int_eq(take_refused(ERR_CLASS_NOT_ALLOWED), LH_E_REFUSED);
	ck_assert_int_eq(take_refused(ERR_NOT_ENTITLED), LH_E_NOT_ENTITLED);
	ck_assert_int_eq(take_refused(ERR_CLOCK_TAMPERED), LH_E_CLOCK);
	ck_assert_int_eq(take_refused(ERR_UNAVAILABLE), LH_E_SITE);
	ck_assert_ptr_nonnull(strstr(lh_detail(), "do this"));
	ck_assert_int_eq(take_refused(ERR_GONE), LH_E_GONE);
	ck_assert_int_eq(told(lh_borrow_return(NULL, client, 3, 2000)),
	    LH_E_GONE);
	ck_assert_int_eq(told(lh_borrow_extend(&borrow, client, 3, 60, 2000)),
	    LH_E_GONE);
}
END_TEST

START_TEST(refused_take_leaves_what_it_was_given)
{
	struct lh_borrow other = { .size = sizeof(other), .id = 99 };

	LENDS(lends.vice = VICE_REFUSES; agent.refusal = ERR_NO_SEATS);
	ck_assert_int_eq(lh_borrow_take(&other, client, &request, 2000),
	    LH_E_NO_SEATS);
	ck_assert_uint_eq(other.id, 99);
}
END_TEST

START_TEST(faults_have_their_names)
{
	int64_t began_ms = clock_boottime_ms();

	LENDS(lends.vice = VICE_SILENT);
	ck_assert_int_eq(told(lh_borrow_take(&borrow, client, &request, 200)),
	    LH_E_TIMEOUT);
	ck_assert_int_eq(told(lh_borrow_extend(&borrow, client, 3, 60, 200)),
	    LH_E_TIMEOUT);
	ck_assert_int_eq(told(lh_borrow_return(NULL, client, 3, 200)),
	    LH_E_TIMEOUT);
	unsigned int n = 0;

	ck_assert_int_eq(told(lh_borrow_list(client, each, &n, 200)),
	    LH_E_TIMEOUT);
	ck_assert_uint_eq(n, 0);
	ck_assert_int_lt(clock_boottime_ms() - began_ms, 3000);
	LENDS(lends.vice = VICE_WRONG_RECORD);
	ck_assert_int_eq(take(), LH_E_PROTOCOL);
	LENDS(lends.vice = VICE_HANGS_UP);
	ck_assert_int_eq(take(), LH_E_AGENT);
	agent_stop(&agent);
	ck_assert_int_eq(take(), LH_E_AGENT);
	agent_start(&agent);
}
END_TEST

/* --- retries -------------------------------------------------------------- */

START_TEST(retry_takes_no_second_borrow)
{
	LENDS(lends.vice = VICE_SILENT);
	ck_assert_int_eq(told(lh_borrow_take(&borrow, client, &request, 200)),
	    LH_E_TIMEOUT);
	/* Another one is another one. */
	request.length_s = 3600;
	ck_assert_int_eq(told(lh_borrow_take(&borrow, client, &request, 200)),
	    LH_E_TIMEOUT);
	LENDS(
	    ck_assert_mem_ne(lends.before, lends.take.request, REQUEST_BYTES));
	request.length_s = 604800;
	LENDS(lends.vice = VICE_NONE;
	      memcpy(lends.take.request, lends.before, REQUEST_BYTES));
	ck_assert_int_eq(take(), LH_OK);
	ck_assert_mem_eq(lends.before, lends.take.request, REQUEST_BYTES);
	/* Done: the next is a new one. */
	ck_assert_int_eq(take(), LH_OK);
	ck_assert_mem_ne(lends.before, lends.take.request, REQUEST_BYTES);
}
END_TEST

START_TEST(retry_of_what_has_ended_asks_anew)
{
	LENDS(lends.vice = VICE_SILENT);
	ck_assert_int_eq(told(lh_borrow_take(&borrow, client, &request, 200)),
	    LH_E_TIMEOUT);
	ck_assert_int_eq(take_refused(ERR_GONE), LH_E_GONE);
	ck_assert_uint_eq(lends.takes, 3);
	ck_assert_mem_ne(lends.before, lends.take.request, REQUEST_BYTES);
}
END_TEST

/* --- bounds, older and newer applications --------------------------------- */

static int
take_other(const struct lh_borrow_request *other)
{
	return told(lh_borrow_take(&borrow, client, other, 2000));
}

START_TEST(what_is_out_of_bounds_is_not_asked)
{
	static const uint64_t ids[] = { 0, UINT64_C(1) << 53 };
	struct lh_borrow_request bad = request;

	ck_assert_int_eq(take_other(NULL), LH_E_ARGUMENT);
	bad.product = NULL;
	ck_assert_int_eq(take_other(&bad), LH_E_ARGUMENT);
	bad = request;
	bad.version = "eight";
	ck_assert_int_eq(take_other(&bad), LH_E_ARGUMENT);
	bad = request;
	bad.feature = "a\nb";
	ck_assert_int_eq(take_other(&bad), LH_E_ARGUMENT);
	bad = request;
	bad.user = "a\nb";
	ck_assert_int_eq(take_other(&bad), LH_E_ARGUMENT);
	bad = request;
	bad.count = LEASE_COUNT_MAX + 1;
	ck_assert_int_eq(take_other(&bad), LH_E_ARGUMENT);
	bad = request;
	bad.length_s = 0;
	ck_assert_int_eq(take_other(&bad), LH_E_ARGUMENT);
	bad.length_s = LICENSE_BORROW_MAX_S + 1;
	ck_assert_int_eq(take_other(&bad), LH_E_ARGUMENT);
	for (size_t i = 0; i < 2; i++)
		ck_assert_int_eq(told(lh_borrow_extend(&borrow, client, ids[i],
				     60, 2000)),
		    LH_E_ARGUMENT);
	ck_assert_int_eq(told(lh_borrow_extend(&borrow, client, 3, 0, 2000)),
	    LH_E_ARGUMENT);
	ck_assert_int_eq(told(lh_borrow_return(NULL, client, ids[1], 2000)),
	    LH_E_ARGUMENT);
	ck_assert_int_eq(told(lh_borrow_list(client, NULL, NULL, 2000)),
	    LH_E_ARGUMENT);
	ck_assert_int_eq(told(lh_borrow_take(&borrow, NULL, &request, 2000)),
	    LH_E_ARGUMENT);
	ck_assert_int_eq(told(lh_borrow_take(NULL, client, &request, 2000)),
	    LH_E_ARGUMENT);
	ck_assert_int_eq(told(lh_borrow_extend(NULL, client, 3, 60, 2000)),
	    LH_E_ARGUMENT);
	ck_assert_uint_eq(AGENT_GET(&agent, connections), 0);
}
END_TEST

START_TEST(structs_of_older_and_newer_applications_fit)
{
	struct {
		struct lh_borrow known;
		uint64_t more;
	} newer = { .known.size = sizeof(newer), .more = 7 };
	struct {
		struct lh_borrow_request known;
		uint64_t more;
	} asks = { .known = request };
	struct lh_borrow older = { .size =
				       offsetof(struct lh_borrow, feature) };

	/* What it knows beyond us is zero. */
	ck_assert_int_eq(told(lh_borrow_take(&newer.known, client, &request,
			     2000)),
	    LH_OK);
	expect_borrow(&newer.known, 17);
	ck_assert_uint_eq(newer.known.size, sizeof(newer));
	ck_assert_uint_eq(newer.more, 0);
	/* Smaller than the first that there was. */
	ck_assert_int_eq(told(lh_borrow_take(&older, client, &request, 2000)),
	    LH_E_ARGUMENT);
	asks.known.size = sizeof(asks);
	ck_assert_int_eq(take_other(&asks.known), LH_OK);
	asks.more = 1;
	ck_assert_int_eq(take_other(&asks.known), LH_E_ARGUMENT);
	asks.known.size = 4;
	ck_assert_int_eq(take_other(&asks.known), LH_E_ARGUMENT);
}
END_TEST

Suite *
suite(void)
{
	Suite *s = suite_create("lib borrow");
	TCase *tc = tcase_create("lib borrow");

	tcase_set_timeout(tc, 20);
	tcase_add_checked_fixture(tc, setup_lender, teardown);
	tcase_add_test(tc,
	    take_asks_for_all_that_was_said_and_tells_what_it_got);
	tcase_add_test(tc, count_0_is_1);
	tcase_add_test(tc, extend_names_the_borrow_and_the_time);
	tcase_add_test(tc, return_says_whether_the_site_has_the_proof);
	tcase_add_test(tc, list_tells_each);
	tcase_add_test(tc, refusals_have_their_names);
	tcase_add_test(tc, refused_take_leaves_what_it_was_given);
	tcase_add_test(tc, faults_have_their_names);
	tcase_add_test(tc, retry_takes_no_second_borrow);
	tcase_add_test(tc, retry_of_what_has_ended_asks_anew);
	tcase_add_test(tc, what_is_out_of_bounds_is_not_asked);
	tcase_add_test(tc, structs_of_older_and_newer_applications_fit);
	suite_add_tcase(s, tc);
	return s;
}
