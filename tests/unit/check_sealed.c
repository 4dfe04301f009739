/* Sealed documents: what is stored tells nothing, and nothing can be moved. */
#include "appliance/ledger/sealed.h"
#include "shared/base/err.h"
#include "tests/unit/suite.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char dir[64], path[96];
static struct store *store;
static struct state state;
static struct sealed_keys *keys;
static struct sealed sealed;

static void
setup(void)
{
	const uint8_t tenant_key[32] = { 7 };

	snprintf(dir, sizeof dir, "/tmp/sealed-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/store", dir);
	ck_assert_int_eq(store_open(&store,
			     &(struct store_options){
				 .path = path,
				 .map_bytes = 64 << 20,
				 .volatile_ = true,
				 .create = true,
			     }),
	    0);
	ck_assert_int_eq(state_begin(&state, store, true, NULL), 0);
	keys = sealed_keys_new(tenant_key);
	ck_assert_ptr_nonnull(keys);
}

static void
teardown(void)
{
	static const char *const files[] = { "data.mdb", "lock.mdb",
		"writer.lock" };
	char name[160];

	sealed_keys_free(keys);
	state_abort(&state);
	store_close(store);
	for (int i = 0; i < 3; i++) {
		snprintf(name, sizeof name, "%s/%s", path, files[i]);
		unlink(name);
	}
	rmdir(path);
	rmdir(dir);
}

static void
put(uint8_t id[SEALED_ID_BYTES], uint8_t commitment[32], enum sealed_kind kind,
    const void *document, size_t len)
{
	uint8_t entropy[SEALED_ENTROPY];

	randombytes_buf(entropy, sizeof entropy);
	ck_assert_int_eq(sealed_put(id, commitment, &state, keys, kind,
			     document, len, entropy),
	    0);
}

START_TEST(a_document_comes_back_as_it_was_put)
{
	static uint8_t large[SEALED_MAX];
	uint8_t id[16], commitment[32];

	put(id, commitment, SEALED_KEY, "", 0);
	ck_assert_int_eq(sealed_get(&sealed, &state, keys, SEALED_KEY, id), 0);
	ck_assert_uint_eq(sealed.len, 0);

	randombytes_buf(large, sizeof large);
	put(id, commitment, SEALED_USER, large, sizeof large);
	ck_assert_int_eq(sealed_get(&sealed, &state, keys, SEALED_USER, id), 0);
	ck_assert_uint_eq(sealed.len, sizeof large);
	ck_assert_mem_eq(sealed.data, large, sizeof large);
	ck_assert_mem_eq(sealed.commitment, commitment, 32);
	ck_assert_mem_eq(sealed.id, id, 16);
	ck_assert_uint_eq(sealed.kind, SEALED_USER);
}
END_TEST

START_TEST(the_largest_document_has_a_bound)
{
	static uint8_t large[SEALED_MAX + 1];
	uint8_t entropy[SEALED_ENTROPY] = { 1 }, id[16], commitment[32];

	ck_assert_int_eq(sealed_put(id, commitment, &state, keys, SEALED_KEY,
			     large, sizeof large, entropy),
	    ERR_TOO_LARGE);
}
END_TEST

START_TEST(the_commitment_opens_with_salt_kind_and_document)
{
	const uint8_t kind = SEALED_USER;
	uint8_t entropy[SEALED_ENTROPY], id[16], commitment[32], expected[32];
	crypto_generichash_state st;

	randombytes_buf(entropy, sizeof entropy);
	ck_assert_int_eq(sealed_put(id, commitment, &state, keys, kind, "alice",
			     5, entropy),
	    0);
	crypto_generichash_init(&st, NULL, 0, 32);
	crypto_generichash_update(&st, entropy + 16, 16);
	crypto_generichash_update(&st, &kind, 1);
	crypto_generichash_update(&st, (const uint8_t *)"alice", 5);
	crypto_generichash_final(&st, expected, 32);
	ck_assert_mem_eq(commitment, expected, 32);
	ck_assert_mem_eq(id, entropy, 16);
}
END_TEST

START_TEST(equal_documents_have_nothing_in_common)
{
	uint8_t id[2][16], commitment[2][32];
	struct record_span stored;
	char words[32] = "the-architects-workstation";

	for (int i = 0; i < 2; i++)
		put(id[i], commitment[i], SEALED_KEY, words, sizeof words);
	ck_assert_mem_ne(id[0], id[1], 16);
	ck_assert_mem_ne(commitment[0], commitment[1], 32);
	ck_assert_int_eq(store_get(&stored, &state.txn, STORE_SEALED, id[0],
			     16),
	    0);
	ck_assert_ptr_null(memmem(stored.data, stored.len, "architect", 9));
}
END_TEST

START_TEST(a_document_opens_under_its_own_key_alone)
{
	const uint8_t other_key[32] = { 8 };
	struct sealed_keys *others = sealed_keys_new(other_key);
	uint8_t id[16], commitment[32];

	put(id, commitment, SEALED_KEY, "ws-17", 5);
	ck_assert_int_eq(sealed_get(&sealed, &state, others, SEALED_KEY, id),
	    ERR_CORRUPT);
	sealed_keys_free(others);
}
END_TEST

START_TEST(a_document_put_in_the_place_of_another_does_not_open)
{
	uint8_t id[2][16], commitment[32], copy[256];
	struct record_span stored;
	size_t len;

	put(id[0], commitment, SEALED_KEY, "ws-17", 5);
	put(id[1], commitment, SEALED_KEY, "ws-18", 5);
	ck_assert_int_eq(store_get(&stored, &state.txn, STORE_SEALED, id[0],
			     16),
	    0);
	len = stored.len;
	ck_assert_uint_le(len, sizeof copy);
	memcpy(copy, stored.data, len);
	ck_assert_int_eq(store_put(&state.txn, STORE_SEALED, id[1], 16, copy,
			     len),
	    0);
	ck_assert_int_eq(sealed_get(&sealed, &state, keys, SEALED_KEY, id[1]),
	    ERR_CORRUPT);
	/* Nor one that is said to be of another kind, nor a changed one. */
	copy[1] = SEALED_USER;
	ck_assert_int_eq(store_put(&state.txn, STORE_SEALED, id[0], 16, copy,
			     len),
	    0);
	ck_assert_int_eq(sealed_get(&sealed, &state, keys, SEALED_USER, id[0]),
	    ERR_CORRUPT);
	for (size_t i = 0; i < len; i++) {
		copy[1] = SEALED_KEY;
		copy[i] ^= 1;
		ck_assert_int_eq(store_put(&state.txn, STORE_SEALED, id[0], 16,
				     copy, len),
		    0);
		ck_assert_int_ne(sealed_get(&sealed, &state, keys, SEALED_KEY,
				     id[0]),
		    0);
		copy[i] ^= 1;
	}
}
END_TEST

START_TEST(a_deleted_document_is_gone)
{
	uint8_t id[16], commitment[32];

	put(id, commitment, SEALED_KEY, "ws-17", 5);
	ck_assert_int_eq(sealed_delete(&state, id), 0);
	ck_assert_int_eq(sealed_get(&sealed, &state, keys, SEALED_KEY, id),
	    ERR_NOT_FOUND_INTERNAL);
	ck_assert_int_eq(sealed_delete(&state, id), ERR_NOT_FOUND_INTERNAL);
}
END_TEST

static int
count_one(void *ctx, const struct sealed *one)
{
	unsigned int *seen = ctx;

	ck_assert_uint_eq(one->len, 1);
	*seen |= 1u << one->data[0];
	return 0;
}

static int
stop_at_once(void *ctx, const struct sealed *one)
{
	(void)one;
	(*(int *)ctx)++;
	return ERR_BUSY;
}

START_TEST(a_walk_meets_every_document_of_its_kind)
{
	uint8_t id[16], commitment[32];
	unsigned int seen = 0;
	int calls = 0;

	for (uint8_t i = 0; i < 20; i++)
		put(id, commitment, i % 2 == 0 ? SEALED_KEY : SEALED_USER, &i,
		    1);
	ck_assert_int_eq(sealed_each(&state, keys, SEALED_USER, count_one,
			     &seen),
	    0);
	ck_assert_uint_eq(seen, 0xaaaaa);
	ck_assert_int_eq(sealed_get(&sealed, &state, keys, SEALED_KEY, id),
	    ERR_NOT_FOUND_INTERNAL);
	ck_assert_int_eq(sealed_each(&state, keys, SEALED_KEY, stop_at_once,
			     &calls),
	    ERR_BUSY);
	ck_assert_int_eq(calls, 1);
}
END_TEST

Suite *
suite(void)
{
	Suite *s = suite_create("sealed");
	TCase *t = tcase_create("sealed");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_document_comes_back_as_it_was_put);
	tcase_add_test(t, the_largest_document_has_a_bound);
	tcase_add_test(t, the_commitment_opens_with_salt_kind_and_document);
	tcase_add_test(t, equal_documents_have_nothing_in_common);
	tcase_add_test(t, a_document_opens_under_its_own_key_alone);
	tcase_add_test(t, a_document_put_in_the_place_of_another_does_not_open);
	tcase_add_test(t, a_deleted_document_is_gone);
	tcase_add_test(t, a_walk_meets_every_document_of_its_kind);
	suite_add_tcase(s, t);
	return s;
}
