/*
 * What the tests of the ledger process share: one process, two agents, and how
 * a test begins and ends. What the world can do is in process_world.h. Header
 * only.
 */
#ifndef TESTS_UNIT_PROCESS_SITE_H
#define TESTS_UNIT_PROCESS_SITE_H

#include "shared/base/text.h"
#include "tests/unit/process_world.h"

#define PRODUCT "davinci"
#define PROCESS_TEST_S 60

/* check runs each test in a process of its own, so these are one test's. */
static struct process_world world;
static struct agent alice, bob;

static inline void
set_up(void)
{
	process_world_init(&world);
	process_await_ready(&world);
	memset(&alice, 0, sizeof(alice));
	memset(&bob, 0, sizeof(bob));
}

static inline void
tear_down(void)
{
	identity_close(alice.identity);
	identity_close(bob.identity);
	process_world_free(&world);
}

static inline int
renew_one(struct renew_reply *reply, const struct agent *agent, uint64_t lease,
    const uint8_t nonce[32])
{
	struct renew_item item = { .lease = lease };
	struct renew renew = { .leases = { &item, 1 } };

	memcpy(item.nonce, nonce, sizeof(item.nonce));
	return agent_ask(&world, reply, agent->conn, OP_LEASE_RENEW, &renew,
	    NULL);
}

/* The site was made yesterday, as far as its folder says. */
static inline void
make_older(void)
{
	struct site_file site = world.site;
	struct buf text = { 0 };
	char path[128];

	site.created_at -= DAY_MS;
	record_write_json(&text, &site_file_record, &site);
	snprintf(path, sizeof(path), "%s/site.json", world.state);
	ck_assert_int_eq(file_write(path, text.data, text.len, 0644), 0);
	buf_release(&text);
	process_stop(&world, SIGTERM);
	process_start(&world);
	process_await_ready(&world);
}

static inline void
process_case_add(Suite *suite, TCase *tcase)
{
	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_set_timeout(tcase, PROCESS_TEST_S);
	suite_add_tcase(suite, tcase);
}

#endif
