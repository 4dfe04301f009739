/*
 * One question and its true answer, for tests that then change one of them.
 */
#ifndef TESTS_UNIT_LIB_QUESTION_H
#define TESTS_UNIT_LIB_QUESTION_H

#include "agent/lib/leasehold.h"
#include "agent/lib/verify.h"
#include "tests/unit/lib_chain.h"

static struct chain chain;
static struct local_checkout request;
static struct local_checkout_reply reply;
static struct verify_question question;
static struct verify_lease lease;
static struct journal_known nothing;
static char why[VERIFY_WHY];

static inline void
ask(void)
{
	memset(&request, 0, sizeof(request));
	text_copy(request.product, sizeof(request.product), "tool");
	text_copy(request.version, sizeof(request.version), "8.1.0");
	request.count = 1;
	randombytes_buf(request.nonce, sizeof(request.nonce));
	randombytes_buf(request.request, sizeof(request.request));
	question = (struct verify_question){ .count = 1 };
	memcpy(question.root, chain.root.public_key, 32);
	text_copy(question.product, sizeof(question.product), request.product);
	text_copy(question.version, sizeof(question.version), request.version);
	memcpy(question.nonce, request.nonce, 32);
}

static inline void
grant(uint32_t slot)
{
	ask();
	chain_prepare(&chain, &request, slot);
	chain_commit(&chain);
	chain_reply(&reply, &chain, &nothing);
}

static inline void
setup(void)
{
	chain_open(&chain);
	grant(0);
}

static inline void
teardown(void)
{
	chain_close(&chain);
}

static inline int
verify(void)
{
	int error = verify_grant(&lease, &reply, &question, why);

	/* Whoever refuses says why. */
	ck_assert_int_eq(error != LH_OK, why[0] != '\0');
	return error;
}

/* A row changed before it went into the journal: signed, and still a lie. */
static inline void
commit_again(void)
{
	chain_commit(&chain);
	chain_reply(&reply, &chain, &nothing);
}

static inline struct row_lease_granted *
granted(void)
{
	return &chain.row.u.lease_granted;
}

#endif
