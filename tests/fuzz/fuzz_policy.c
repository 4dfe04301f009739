/* A policy's document as JSON and as MessagePack: what is taken compiles or is
 * refused by name, is written and read back as the same, and says the same
 * twice; what it counts comes back to nothing. */
#include "appliance/ledger/policy.h"
#include "shared/base/err.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
try_facts(struct policy *policy, const struct policy_facts *facts)
{
	struct policy_verdict before, between, after;
	struct policy_borrow borrow;
	struct policy_queue queue;

	policy_judge(&before, policy, facts, 5, 1);
	assert((before.err == 0) == (before.rule[0] == '\0'));
	for (uint64_t lease = 1; lease <= 3; lease++)
		assert(policy_hold(policy, lease, facts) == 0);
	policy_judge(&between, policy, facts, 5, 1);
	/* To hold more never lets in: but what fills a reservation of others
	 * frees seats for nobody who is not in it. */
	assert(before.err == 0 || between.err != 0);
	for (uint64_t lease = 1; lease <= 3; lease++)
		policy_end(policy, lease);
	policy_judge(&after, policy, facts, 5, 1);
	assert(before.err == after.err && before.held == after.held);
	policy_of_borrow(&borrow, policy, facts);
	policy_of_queue(&queue, policy, facts);
	assert(
	    policy_reserved(policy, facts) == policy_reserved(policy, facts));
}

static void
try_document(const struct policy_document *document)
{
	static const struct policy_facts facts[] = {
		{ "ann", "ws-7.lab.example", 17, "10.4.1.2", "p", "1", "", 1 },
		{ "", "", 1, NULL, "", "", "", 1024 },
		{ "BOB", "a", 3, "2001:db8::1", "p", "8.1", "f", 2 },
	};
	struct record_error error = { .field = "" };
	struct policy *policy;
	int err = policy_compile(&policy, document, &error);

	assert(policy_count_members(document) != UINT32_MAX);
	if (err != 0) {
		assert(err == ERR_BAD_REQUEST && error.field[0] != '\0' &&
		    error.reason[0] != '\0');
		return;
	}
	for (size_t i = 0; i < sizeof facts / sizeof *facts; i++)
		try_facts(policy, &facts[i]);
	policy_free(policy);
}

/* Taken once, it is taken again from what is written of it. */
static void
try_again(const struct policy_document *document)
{
	struct policy_document again;
	struct arena arena = { 0 };
	struct buf first = { 0 }, second = { 0 };

	record_write_msgpack(&first, &policy_document_record, document);
	assert(!first.failed);
	assert(record_read_msgpack(&again, &policy_document_record, first.data,
		   first.len, NULL, &arena, NULL) == 0);
	record_write_msgpack(&second, &policy_document_record, &again);
	assert(first.len == second.len &&
	    memcmp(first.data, second.data, first.len) == 0);
	buf_release(&first);
	buf_release(&second);
	arena_release(&arena);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct policy_document document;
	struct arena arena = { .max_bytes = (size_t)16 << 20 };

	if (sodium_init() < 0)
		return 0;
	if (record_read_json(&document, &policy_document_record,
		(const char *)data, size, &arena, NULL) == 0) {
		try_document(&document);
		try_again(&document);
	}
	arena_clear(&arena);
	if (record_read_msgpack(&document, &policy_document_record, data, size,
		NULL, &arena, NULL) == 0)
		try_document(&document);
	arena_release(&arena);
	return 0;
}
