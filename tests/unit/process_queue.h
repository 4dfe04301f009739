/*
 * What the tests of waiting in the ledger process share: a third agent, how to
 * ask, and how to hear what comes unasked. Header only.
 */
#ifndef TESTS_UNIT_PROCESS_QUEUE_H
#define TESTS_UNIT_PROCESS_QUEUE_H

#include "tests/unit/process_site.h"
#include "tests/unit/suite.h"

static struct agent carol;

static inline void
set_up_queue(void)
{
	set_up();
	memset(&carol, 0, sizeof(carol));
}

static inline void
tear_down_queue(void)
{
	identity_close(carol.identity);
	tear_down();
}

static inline void
restart(uint32_t claim_s, uint32_t absent_s)
{
	world.options.claim_s = claim_s;
	world.options.absent_s = absent_s;
	process_stop(&world, SIGTERM);
	process_start(&world);
	process_await_ready(&world);
}

/* --- asking -------------------------------------------------------------- */

static inline void
fill_checkout(struct checkout *checkout, char request, uint32_t wait_s)
{
	*checkout = (struct checkout){ .version = "8.1.0",
		.count = 1,
		.product = PRODUCT,
		.user = "alice",
		.wait_s = wait_s };
	memset(checkout->request, request, sizeof(checkout->request));
	randombytes_buf(checkout->nonce, sizeof(checkout->nonce));
}

static inline int
ask(struct checkout_reply *reply, const struct agent *agent, char request,
    uint32_t wait_s)
{
	struct checkout checkout;

	fill_checkout(&checkout, request, wait_s);
	return agent_ask(&world, reply, agent->conn, OP_LEASE_CHECKOUT,
	    &checkout, NULL);
}

static inline uint64_t
get_seat(const struct agent *agent, char request)
{
	struct checkout_reply reply;

	ck_assert_int_eq(ask(&reply, agent, request, 0), 0);
	ck_assert_uint_ne(reply.lease, 0);
	ck_assert_uint_eq(reply.queue.place, 0);
	return reply.lease;
}

static inline void
wait_at(const struct agent *agent, char request, uint32_t wait_s,
    uint32_t place, uint32_t length)
{
	struct checkout_reply reply;

	ck_assert_int_eq(ask(&reply, agent, request, wait_s), 0);
	ck_assert_uint_eq(reply.lease, 0);
	ck_assert_uint_eq(reply.queue.place, place);
	ck_assert_uint_eq(reply.queue.length, length);
	ck_assert_uint_eq(reply.queue.claim_s, 0);
}

static inline void
give_back(const struct agent *agent, uint64_t lease)
{
	const struct lease_return back = { .lease = lease };
	struct lease_ended ended;

	ck_assert_int_eq(agent_ask(&world, &ended, agent->conn, OP_LEASE_RETURN,
			     &back, NULL),
	    0);
}

static inline void
cancel(const struct agent *agent, char request)
{
	struct lease_cancel cancel;

	memset(cancel.request, request, sizeof(cancel.request));
	ck_assert_int_eq(agent_ask(&world, NULL, agent->conn, OP_LEASE_CANCEL,
			     &cancel, NULL),
	    0);
}

/* --- hearing ------------------------------------------------------------- */

/* What this agent is told unasked; but for `op`, that of a policy is passed
 * over. */
static inline bool
hear(struct heard *heard, const struct agent *agent, uint16_t op, int wait_ms)
{
	int64_t end = clock_boottime_ms() + wait_ms;

	do {
		if (!front_await(&world, heard, WIRE_NOTICE, agent->conn,
			(int)(end - clock_boottime_ms())))
			return false;
	} while (heard->op == OP_POLICY_CHANGED && op != OP_POLICY_CHANGED);
	return true;
}

static inline void
hear_notice(void *notice, const struct agent *agent, uint16_t op)
{
	struct heard heard;

	ck_assert_msg(hear(&heard, agent, op, ANSWER_MS), "no %s",
	    operation_get(op)->name);
	ck_assert_str_eq(operation_get(heard.op)->name,
	    operation_get(op)->name);
	ck_assert_int_eq(record_read_msgpack(notice, operation_get(op)->request,
			     world.payload, heard.len, NULL, &world.arena,
			     NULL),
	    0);
}

static inline void
hear_offer(const struct agent *agent, char request)
{
	struct lease_offered offered;

	hear_notice(&offered, agent, OP_LEASE_OFFERED);
	ck_assert_int_eq(offered.request[0], request);
	ck_assert_uint_eq(offered.claim_s,
	    world.options.claim_s == 0 ? 15 : world.options.claim_s);
}

static inline void
hear_end(const struct agent *agent, char request, const char *code)
{
	struct lease_waiting waiting;

	hear_notice(&waiting, agent, OP_LEASE_WAITING);
	ck_assert_int_eq(waiting.request[0], request);
	ck_assert_uint_eq(waiting.queue.place, 0);
	ck_assert_str_eq(waiting.code, code);
}

static inline void
hear_nothing(const struct agent *agent, int wait_ms)
{
	struct heard heard;

	ck_assert(!hear(&heard, agent, OP_LEASE_OFFERED, wait_ms));
}

static inline uint32_t
list_waiters(struct waiter_view *views, const char *product)
{
	struct waiter_query query = { 0 };
	struct waiter_page page;

	snprintf(query.product, sizeof(query.product), "%s", product);
	ck_assert_int_eq(admin_do(&world, &page, OP_QUEUE_LIST, &query), 0);
	ck_assert_uint_le(page.items.count, 8);
	if (page.items.count > 0)
		memcpy(views, page.items.items,
		    page.items.count * sizeof(*views));
	return page.items.count;
}

static inline void
start_three(uint32_t seats)
{
	install_license(&world, PRODUCT, seats, 120, 300);
	agent_enroll(&world, &alice, "alice", 1);
	agent_enroll(&world, &bob, "bob", 2);
	agent_enroll(&world, &carol, "carol", 3);
}

static inline void
add_case(Suite *suite, const char *name, const TTest *const *tests, size_t n)
{
	TCase *tcase = tcase_create(name);

	tcase_add_checked_fixture(tcase, set_up_queue, tear_down_queue);
	tcase_set_timeout(tcase, PROCESS_TEST_S);
	for (size_t i = 0; i < n; i++)
		tcase_add_test(tcase, tests[i]);
	suite_add_tcase(suite, tcase);
}

#define ADD_CASE(suite, name, tests) \
	add_case(suite, name, tests, sizeof(tests) / sizeof((tests)[0]))

#endif
