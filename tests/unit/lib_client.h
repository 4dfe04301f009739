/*
 * What the tests of a client share: an agent with vices, a client of it that
 * keeps headers in the agent's folder, and a checkout that insists on words for
 * every failure. It must not know what is tested.
 */
#ifndef TESTS_UNIT_LIB_CLIENT_H
#define TESTS_UNIT_LIB_CLIENT_H

#include "agent/lib/leasehold.h"
#include "tests/unit/lib_agent.h"

static struct agent agent;
static struct lh_client *client;
static char vendor_key[TOKEN_PUBLIC_TEXT];

static inline struct lh_options
options(void)
{
	static char state[96];

	snprintf(state, sizeof(state), "%s/state", agent.folder);
	token_public_format(vendor_key, agent.chain.root.public_key);
	return (struct lh_options){ .size = sizeof(struct lh_options),
		.vendor_key = vendor_key,
		.socket_path = agent.path,
		.state_folder = state };
}

static inline void
new_client(void)
{
	struct lh_options given = options();

	ck_assert_int_eq(lh_client_new(&client, &given), LH_OK);
}

static inline void
setup(void)
{
	agent_open(&agent);
	new_client();
}

static inline void
teardown(void)
{
	lh_client_free(client);
	agent_close(&agent);
}

static inline int
checkout(struct lh_seat **seat)
{
	int error = lh_checkout(seat, client, "tool", "8.1.0", NULL, NULL, 0);

	/* Who fails says more than its name. */
	ck_assert_int_eq(error != LH_OK, lh_detail()[0] != '\0');
	return error;
}

#endif
