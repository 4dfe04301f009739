/* The core's small parts: slots, the batch's tree, the memory of requests,
 * subjects, the store. */
#include "appliance/ledger/requests.h"
#include "appliance/ledger/slots.h"
#include "appliance/ledger/subjects.h"
#include "shared/base/err.h"
#include "shared/journal/tree.h"
#include "tests/unit/suite.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char dir[64], path[96];
static struct store *store;
static struct state state;

static int
open_store(struct store **out, const char *at, size_t map_bytes, bool create)
{
	return store_open(out,
	    &(struct store_options){
		.path = at,
		.map_bytes = map_bytes,
		.volatile_ = true,
		.create = create,
	    });
}

static void
setup(void)
{
	snprintf(dir, sizeof dir, "/tmp/parts-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/store", dir);
	ck_assert_int_eq(open_store(&store, path, 64 << 20, true), 0);
	ck_assert_int_eq(state_begin(&state, store, true, NULL), 0);
}

static void
teardown(void)
{
	static const char *const files[] = { "data.mdb", "lock.mdb",
		"writer.lock" };
	char name[160];

	state_abort(&state);
	store_close(store);
	for (int i = 0; i < 3; i++) {
		snprintf(name, sizeof name, "%s/%s", path, files[i]);
		unlink(name);
	}
	rmdir(path);
	rmdir(dir);
}

/* --- slots ------------------------------------------------------------- */

static const struct pool_id one = { 1, 0 }, feature = { 1, 1 };

static uint32_t
lowest(uint32_t end)
{
	struct row_slots run;
	uint32_t n;
	int err = slots_find(&run, &n, &state, one, 1, end);

	if (err == ERR_NOT_FOUND_INTERNAL)
		return UINT32_MAX;
	ck_assert_int_eq(err, 0);
	ck_assert_uint_eq(n, 1);
	ck_assert_uint_eq(run.count, 1);
	return run.first;
}

static int
take(struct pool_id id, uint32_t first, uint32_t count)
{
	struct row_slots run = { first, count };

	return slots_take(&state, id, &run, 1);
}

static int
give(struct pool_id id, uint32_t first, uint32_t count)
{
	struct row_slots run = { first, count };

	return slots_give(&state, id, &run, 1);
}

static bool
is_taken(struct pool_id id, uint32_t first, uint32_t count)
{
	struct row_slots run = { first, count };
	bool taken = false;

	ck_assert_int_eq(slots_are_taken(&taken, &state, id, &run, 1), 0);
	return taken;
}

START_TEST(the_lowest_free_slot_is_found_across_chunks)
{
	uint32_t n = 2 * SLOTS_CHUNK + 5;

	for (uint32_t i = 0; i < n; i++) {
		ck_assert_uint_eq(lowest(n), i);
		ck_assert_int_eq(take(one, i, 1), 0);
	}
	ck_assert_uint_eq(lowest(n), UINT32_MAX);
	ck_assert_uint_eq(lowest(n + 1), n);
	ck_assert_int_eq(give(one, SLOTS_CHUNK, 1), 0);
	ck_assert_uint_eq(lowest(n), SLOTS_CHUNK);
	ck_assert_int_eq(give(one, 7, 1), 0);
	ck_assert_uint_eq(lowest(n), 7);
	ck_assert_uint_eq(lowest(7), UINT32_MAX);
	ck_assert_int_eq(take(one, 7, 1), 0);
	ck_assert_uint_eq(lowest(n), SLOTS_CHUNK);
}
END_TEST

START_TEST(a_slot_is_taken_and_given_once)
{
	ck_assert_int_eq(take(one, 3, 1), 0);
	ck_assert_int_eq(take(one, 3, 1), ERR_CORRUPT);
	ck_assert_int_eq(take(one, 2, 2), ERR_CORRUPT);
	ck_assert(!is_taken(one, 4, 1));
	ck_assert(is_taken(one, 3, 1));
	ck_assert_int_eq(give(one, 3, 1), 0);
	ck_assert_int_eq(give(one, 3, 1), ERR_CORRUPT);
}
END_TEST

START_TEST(pools_of_a_license_have_slots_of_their_own)
{
	struct pool_id another_license = { 2, 0 };

	ck_assert_int_eq(take(one, 3, 1), 0);
	ck_assert(!is_taken(feature, 3, 1));
	ck_assert_int_eq(take(feature, 3, 1), 0);
	ck_assert_int_eq(take(another_license, 3, 1), 0);
	ck_assert_int_eq(give(one, 3, 1), 0);
	ck_assert(is_taken(feature, 3, 1));
	ck_assert(is_taken(another_license, 3, 1));
}
END_TEST

START_TEST(the_highest_slots_of_the_largest_license_are_found)
{
	uint32_t end = LICENSE_SEATS_MAX;

	ck_assert_int_eq(take(one, end - 1, 1), 0);
	ck_assert_uint_eq(lowest(end), 0);
	ck_assert_int_eq(give(one, end - 1, 1), 0);
}
END_TEST

/* Holes of every kind, and one request that needs them all. */
START_TEST(many_slots_are_the_lowest_in_as_few_runs_as_can_be)
{
	uint32_t end = 3 * SLOTS_CHUNK, n, taken;
	struct row_slots runs[LEASE_COUNT_MAX];
	bool all;

	ck_assert_int_eq(take(one, 0, end), 0);
	ck_assert_int_eq(give(one, 5, 3), 0);
	ck_assert_int_eq(give(one, 40, 1), 0);
	/* Over the edge of a chunk. */
	ck_assert_int_eq(give(one, SLOTS_CHUNK - 2, 4), 0);
	ck_assert_int_eq(give(one, end - 1, 1), 0);
	ck_assert_int_eq(slots_find(runs, &n, &state, one, 9, end), 0);
	ck_assert_uint_eq(n, 4);
	ck_assert_mem_eq(runs,
	    ((struct row_slots[]){ { 5, 3 }, { 40, 1 }, { SLOTS_CHUNK - 2, 4 },
		{ end - 1, 1 } }),
	    4 * sizeof *runs);
	ck_assert_int_eq(slots_find(runs, &n, &state, one, 10, end),
	    ERR_NOT_FOUND_INTERNAL);
	ck_assert_int_eq(slots_find(runs, &n, &state, one, 9, end - 1),
	    ERR_NOT_FOUND_INTERNAL);
	ck_assert_int_eq(slots_find(runs, &n, &state, one, 5, end), 0);
	ck_assert_uint_eq(n, 3);
	ck_assert_uint_eq(runs[2].count, 1);
	ck_assert_int_eq(slots_count(&taken, &state, one, end), 0);
	ck_assert_uint_eq(taken, end - 9);
	ck_assert_int_eq(slots_count(&taken, &state, one, 7), 0);
	ck_assert_uint_eq(taken, 5);
	ck_assert_int_eq(slots_count(&taken, &state, one, SLOTS_CHUNK), 0);
	ck_assert_uint_eq(taken, SLOTS_CHUNK - 6);
	/* And taken at once, they are full again. */
	ck_assert_int_eq(slots_find(runs, &n, &state, one, 9, end), 0);
	ck_assert_int_eq(slots_take(&state, one, runs, n), 0);
	ck_assert_uint_eq(lowest(end), UINT32_MAX);
	ck_assert_int_eq(slots_are_taken(&all, &state, one, runs, n), 0);
	ck_assert(all);
	ck_assert_int_eq(slots_give(&state, one, runs, n), 0);
	ck_assert_uint_eq(lowest(end), 5);
	ck_assert_int_eq(slots_are_taken(&all, &state, one, runs, n), 0);
	ck_assert(!all);
}
END_TEST

/* --- tree -------------------------------------------------------------- */

START_TEST(paths_and_roots_are_those_of_the_published_tree)
{
	struct tree tree = { 0 };

	for (size_t n = 0; n <= 130; n++) {
		uint8_t root[32], expected[32];
		uint8_t leaves[130][32];

		ck_assert_int_eq(tree_reserve(&tree, n), 0);
		for (size_t i = 0; i < n; i++) {
			randombytes_buf(leaves[i], 32);
			memcpy(tree.hashes[i], leaves[i], 32);
		}
		tree_build(root, &tree, n);
		merkle_root(expected, &merkle_blake2b, leaves[0], n);
		ck_assert_mem_eq(root, expected, 32);
		for (size_t i = 0; i < n; i++) {
			uint8_t path_of[MERKLE_PATH_MAX][32];
			uint8_t other[MERKLE_PATH_MAX][32];
			size_t len = tree_path(path_of, &tree, i);

			ck_assert_uint_eq(len,
			    merkle_path(other, &merkle_blake2b, leaves[0], n,
				i));
			ck_assert_mem_eq(path_of, other, len * 32);
		}
	}
	tree_release(&tree);
}
END_TEST

/* --- requests ---------------------------------------------------------- */

static struct request
request_of(uint64_t device, uint64_t lease)
{
	struct request request = { .device = device, .lease = lease };

	memcpy(request.request, &lease, sizeof lease);
	memset(request.digest, (int)lease, sizeof request.digest);
	return request;
}

static bool
find(const struct requests *requests, uint64_t device, uint64_t lease,
    struct request *out)
{
	struct request request = request_of(device, lease);

	return requests_find(out, requests, device, request.request);
}

START_TEST(what_a_failed_batch_did_is_forgotten)
{
	struct requests *requests = requests_new(10);
	struct request request = request_of(5, 1), out;

	ck_assert_int_eq(requests_grant(requests, &request), 0);
	requests_keep(requests);
	request = request_of(5, 2);
	ck_assert_int_eq(requests_end(requests, 1), 0);
	ck_assert_int_eq(requests_grant(requests, &request), 0);
	ck_assert_int_eq(requests_end(requests, 2), 0);
	ck_assert_uint_eq(requests_device_count(requests, 5), 0);
	requests_undo(requests);
	ck_assert_uint_eq(requests_device_count(requests, 5), 1);
	ck_assert(find(requests, 5, 1, &out));
	ck_assert(!out.ended);
	ck_assert(!find(requests, 5, 2, &out));
	requests_free(requests);
}
END_TEST

START_TEST(the_oldest_ended_ones_are_forgotten_first)
{
	struct requests *requests = requests_new(3);
	struct request out;

	for (uint64_t i = 1; i <= 5000; i++) {
		struct request request = request_of(i % 7, i);

		ck_assert_int_eq(requests_grant(requests, &request), 0);
		ck_assert_int_eq(requests_end(requests, i), 0);
		requests_keep(requests);
	}
	ck_assert(!find(requests, 4997 % 7, 4997, &out));
	for (uint64_t i = 4998; i <= 5000; i++) {
		ck_assert(find(requests, i % 7, i, &out));
		ck_assert(out.ended);
		ck_assert_uint_eq(out.lease, i);
	}
	requests_free(requests);
}
END_TEST

START_TEST(the_leases_of_a_device_come_in_order_and_pages)
{
	struct requests *requests = requests_new(3);
	uint64_t leases[100];

	for (uint64_t i = 1; i <= 100; i++) {
		struct request request = request_of(i % 2, i);

		ck_assert_int_eq(requests_grant(requests, &request), 0);
	}
	requests_end(requests, 50);
	requests_keep(requests);
	ck_assert_uint_eq(requests_device(leases, 100, requests, 0, 90), 5);
	for (uint64_t i = 0; i < 5; i++)
		ck_assert_uint_eq(leases[i], 92 + 2 * i);
	ck_assert_uint_eq(requests_device_count(requests, 0), 49);
	ck_assert_uint_eq(requests_device_count(requests, 1), 50);
	ck_assert_uint_eq(requests_device(leases, 100, requests, 77777, 0), 0);
	requests_free(requests);
}
END_TEST

/* --- subjects ---------------------------------------------------------- */

START_TEST(a_subject_is_found_by_value_and_read_by_id)
{
	const uint8_t tenant_key[32] = { 7 };
	struct subject_keys *keys = subject_keys_new(tenant_key);
	uint8_t entropy[SUBJECT_ENTROPY], id[16], again[16], commitment[32];
	struct subject subject;

	randombytes_buf(entropy, sizeof entropy);
	ck_assert_int_eq(subject_find(id, &state, keys, SUBJECT_USER, "alice"),
	    ERR_NOT_FOUND_INTERNAL);
	ck_assert_int_eq(subject_add(id, commitment, &state, keys, SUBJECT_USER,
			     "alice", entropy),
	    0);
	ck_assert_int_eq(subject_find(again, &state, keys, SUBJECT_USER,
			     "alice"),
	    0);
	ck_assert_mem_eq(id, again, 16);
	/* A host of that name is somebody else. */
	ck_assert_int_eq(subject_find(again, &state, keys, SUBJECT_HOST,
			     "alice"),
	    ERR_NOT_FOUND_INTERNAL);
	ck_assert_int_eq(subject_get(&subject, &state, keys, id), 0);
	ck_assert_str_eq(subject.value, "alice");
	ck_assert_uint_eq(subject.kind, SUBJECT_USER);
	subject_keys_free(keys);
}
END_TEST

START_TEST(the_commitment_opens_with_salt_kind_and_value)
{
	const uint8_t tenant_key[32] = { 7 };
	struct subject_keys *keys = subject_keys_new(tenant_key);
	uint8_t entropy[SUBJECT_ENTROPY], id[16], commitment[32], expected[32];
	uint8_t text[16 + 1 + 5];

	randombytes_buf(entropy, sizeof entropy);
	ck_assert_int_eq(subject_add(id, commitment, &state, keys, SUBJECT_HOST,
			     "ws-17", entropy),
	    0);
	memcpy(text, entropy + 16, 16);
	text[16] = SUBJECT_HOST;
	memcpy(text + 17, "ws-17", 5);
	crypto_generichash(expected, 32, text, sizeof text, NULL, 0);
	ck_assert_mem_eq(commitment, expected, 32);
	subject_keys_free(keys);
}
END_TEST

START_TEST(a_value_is_stored_encrypted_under_the_tenants_key)
{
	const uint8_t tenant_key[32] = { 7 }, other_key[32] = { 8 };
	struct subject_keys *keys = subject_keys_new(tenant_key);
	struct subject_keys *others = subject_keys_new(other_key);
	uint8_t entropy[SUBJECT_ENTROPY], id[16], commitment[32];
	struct record_span stored;
	struct subject subject;

	randombytes_buf(entropy, sizeof entropy);
	ck_assert_int_eq(subject_add(id, commitment, &state, keys, SUBJECT_USER,
			     "alice-the-architect", entropy),
	    0);
	ck_assert_int_eq(store_get(&stored, &state.txn, STORE_SUBJECTS, id, 16),
	    0);
	ck_assert_ptr_null(memmem(stored.data, stored.len, "architect", 9));
	ck_assert_int_eq(subject_get(&subject, &state, others, id),
	    ERR_CORRUPT);
	subject_keys_free(keys);
	subject_keys_free(others);
}
END_TEST

START_TEST(nobody_is_the_zero_subject)
{
	const uint8_t tenant_key[32] = { 7 };
	struct subject_keys *keys = subject_keys_new(tenant_key);
	uint8_t id[16] = { 1 };
	struct subject subject;

	ck_assert_int_eq(subject_find(id, &state, keys, SUBJECT_USER, ""), 0);
	ck_assert(sodium_is_zero(id, 16));
	ck_assert_int_eq(subject_get(&subject, &state, keys, id), 0);
	ck_assert_str_eq(subject.value, "");
	subject_keys_free(keys);
}
END_TEST

/* --- store ------------------------------------------------------------- */

START_TEST(a_store_is_open_once)
{
	struct store *second = NULL;

	ck_assert_int_eq(open_store(&second, path, 0, false), ERR_BUSY);
	ck_assert_ptr_null(second);
}
END_TEST

START_TEST(a_store_that_is_not_there_is_not_made_by_opening)
{
	struct store *none = NULL;

	ck_assert_int_eq(open_store(&none, "/tmp/no-such-store", 0, false),
	    ERR_NOT_FOUND);
	ck_assert_int_ne(access("/tmp/no-such-store", F_OK), 0);
}
END_TEST

START_TEST(a_full_map_fails_the_transaction_and_not_the_store)
{
	static uint8_t value[1 << 20];
	int err = 0;

	state_abort(&state);
	ck_assert_int_eq(state_begin(&state, store, true, NULL), 0);
	for (uint64_t i = 0; i < 200 && err == 0; i++) {
		uint8_t key[8];

		be64_write(key, i);
		err = store_put(&state.txn, STORE_BATCHES, key, 8, value,
		    sizeof value);
	}
	ck_assert_int_eq(err, ERR_FULL);
	state_abort(&state);
	ck_assert_int_eq(state_begin(&state, store, true, NULL), 0);
	ck_assert_int_eq(store_put(&state.txn, STORE_BATCHES, "k", 1, value,
			     100),
	    0);
	state.counters.batches = 1;
	ck_assert_int_eq(state_commit(&state), 0);
	ck_assert_int_eq(state_begin(&state, store, false, NULL), 0);
	ck_assert_uint_eq(state.counters.batches, 1);
}
END_TEST

Suite *
suite(void)
{
	Suite *s = suite_create("ledger_parts");
	TCase *t = tcase_create("ledger_parts");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, the_lowest_free_slot_is_found_across_chunks);
	tcase_add_test(t, a_slot_is_taken_and_given_once);
	tcase_add_test(t, pools_of_a_license_have_slots_of_their_own);
	tcase_add_test(t, many_slots_are_the_lowest_in_as_few_runs_as_can_be);
	tcase_add_test(t, the_highest_slots_of_the_largest_license_are_found);
	tcase_add_test(t, paths_and_roots_are_those_of_the_published_tree);
	tcase_add_test(t, what_a_failed_batch_did_is_forgotten);
	tcase_add_test(t, the_oldest_ended_ones_are_forgotten_first);
	tcase_add_test(t, the_leases_of_a_device_come_in_order_and_pages);
	tcase_add_test(t, a_subject_is_found_by_value_and_read_by_id);
	tcase_add_test(t, the_commitment_opens_with_salt_kind_and_value);
	tcase_add_test(t, a_value_is_stored_encrypted_under_the_tenants_key);
	tcase_add_test(t, nobody_is_the_zero_subject);
	tcase_add_test(t, a_store_is_open_once);
	tcase_add_test(t, a_store_that_is_not_there_is_not_made_by_opening);
	tcase_add_test(t, a_full_map_fails_the_transaction_and_not_the_store);
	suite_add_tcase(s, t);
	return s;
}
