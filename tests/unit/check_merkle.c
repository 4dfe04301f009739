/* The tree: every small one against the words of RFC 9162, and every lie about
 * it. */
#include "shared/base/err.h"
#include "tests/unit/merkle_tree.h"
#include "tests/unit/suite.h"

#include <sodium.h>
#include <stdbool.h>
#include <string.h>

/* Distinct leaves; the same in every run. */
static void
some_leaves(uint8_t leaves[N_MAX][MERKLE_BYTES], const struct merkle_hash *hash)
{
	for (size_t i = 0; i < N_MAX; i++) {
		uint8_t data = (uint8_t)i;

		merkle_leaf(leaves[i], hash, &(struct merkle_part){ &data, 1 },
		    1);
	}
}

/* --- the definitions of RFC 9162, section 2.1, word for word -------------- */

static size_t
rfc_split(size_t n)
{
	size_t k = 1;

	while (2 * k < n)
		k *= 2;
	return k;
}

static void
rfc_root(uint8_t out[MERKLE_BYTES], const struct merkle_hash *hash,
    uint8_t (*d)[MERKLE_BYTES], size_t n)
{
	uint8_t left[MERKLE_BYTES];
	uint8_t right[MERKLE_BYTES];

	if (n == 0) {
		hash->hash(out, NULL, 0);
	} else if (n == 1) {
		memcpy(out, d[0], MERKLE_BYTES);
	} else {
		size_t k = rfc_split(n);

		rfc_root(left, hash, d, k);
		rfc_root(right, hash, d + k, n - k);
		merkle_node(out, hash, left, right);
	}
}

static size_t
rfc_path(uint8_t (*out)[MERKLE_BYTES], const struct merkle_hash *hash, size_t m,
    uint8_t (*d)[MERKLE_BYTES], size_t n)
{
	if (n == 1)
		return 0;
	size_t k = rfc_split(n);
	size_t len = m < k ? rfc_path(out, hash, m, d, k)
			   : rfc_path(out, hash, m - k, d + k, n - k);

	if (m < k)
		rfc_root(out[len], hash, d + k, n - k);
	else
		rfc_root(out[len], hash, d, k);
	return len + 1;
}

static size_t
rfc_subproof(uint8_t (*out)[MERKLE_BYTES], const struct merkle_hash *hash,
    size_t m, uint8_t (*d)[MERKLE_BYTES], size_t n, bool whole)
{
	size_t len;

	if (m == n) {
		if (whole)
			return 0;
		rfc_root(out[0], hash, d, n);
		return 1;
	}
	size_t k = rfc_split(n);

	if (m <= k) {
		len = rfc_subproof(out, hash, m, d, k, whole);
		rfc_root(out[len], hash, d + k, n - k);
	} else {
		len = rfc_subproof(out, hash, m - k, d + k, n - k, false);
		rfc_root(out[len], hash, d, k);
	}
	return len + 1;
}

/* --- tests ---------------------------------------------------------------- */

START_TEST(a_leaf_is_the_hash_of_its_parts_together)
{
	const struct merkle_part whole = { "abcdef", 6 };
	const struct merkle_part parts[] = { { "ab", 2 }, { "", 0 },
		{ "cde", 3 }, { "f", 1 } };
	uint8_t one[MERKLE_BYTES];
	uint8_t four[MERKLE_BYTES];
	uint8_t plain[MERKLE_BYTES];

	merkle_leaf(one, &merkle_blake2b, &whole, 1);
	merkle_leaf(four, &merkle_blake2b, parts, 4);
	ck_assert_mem_eq(one, four, MERKLE_BYTES);
	crypto_generichash(plain, sizeof(plain), (const uint8_t *)"\0abcdef", 7,
	    NULL, 0);
	ck_assert_mem_eq(one, plain, MERKLE_BYTES);
}
END_TEST

/* _i: 0 is BLAKE2b, 1 is SHA-256. */
static const struct merkle_hash *
hash_of(int i)
{
	return i == 0 ? &merkle_blake2b : &merkle_sha256;
}

START_TEST(every_small_tree_is_as_defined)
{
	const struct merkle_hash *hash = hash_of(_i);
	uint8_t leaves[N_MAX][MERKLE_BYTES];
	uint8_t expected[MERKLE_PATH_MAX][MERKLE_BYTES];
	uint8_t found[MERKLE_PATH_MAX][MERKLE_BYTES];
	struct tree tree;
	size_t len;

	some_leaves(leaves, hash);
	tree_init(&tree, hash);
	for (size_t n = 1; n <= N_MAX; n++) {
		tree_add(&tree, leaves[n - 1]);
		rfc_root(expected[0], hash, leaves, n);
		merkle_root(found[0], hash, leaves[0], n);
		ck_assert_mem_eq(found[0], expected[0], MERKLE_BYTES);
		for (size_t i = 0; i < n; i++) {
			size_t rfc = rfc_path(expected, hash, i, leaves, n);

			ck_assert_uint_eq(merkle_path(found, hash, leaves[0], n,
					      i),
			    rfc);
			ck_assert_mem_eq(found, expected, rfc * MERKLE_BYTES);
		}
	}
	/* From the whole tree, for every size it ever had. */
	for (size_t n = 1; n <= N_MAX; n++) {
		rfc_root(expected[0], hash, leaves, n);
		ck_assert_int_eq(merkle_source_root(found[0], &tree.source, n),
		    0);
		ck_assert_mem_eq(found[0], expected[0], MERKLE_BYTES);
		for (size_t i = 0; i < n; i++) {
			size_t rfc = rfc_path(expected, hash, i, leaves, n);

			ck_assert_int_eq(merkle_source_path(found, &len,
					     &tree.source, i, n),
			    0);
			ck_assert_uint_eq(len, rfc);
			ck_assert_mem_eq(found, expected, rfc * MERKLE_BYTES);
		}
		for (size_t m = 1; m <= n; m++) {
			size_t rfc =
			    rfc_subproof(expected, hash, m, leaves, n, true);

			ck_assert_int_eq(merkle_source_consistency(found, &len,
					     &tree.source, m, n),
			    0);
			ck_assert_uint_eq(len, rfc);
			ck_assert_mem_eq(found, expected, rfc * MERKLE_BYTES);
		}
	}
}
END_TEST

/* A path and everything it claims; altered, none may pass. */
struct claim {
	const struct merkle_hash *hash;
	uint8_t root[MERKLE_BYTES];
	uint8_t leaf[MERKLE_BYTES];
	uint64_t index;
	uint64_t n;
	uint8_t path[MERKLE_PATH_MAX + 1][MERKLE_BYTES];
	size_t len;
};

static int
claim_verify(const struct claim *c)
{
	return merkle_verify_path(c->hash, c->root, c->leaf, c->index, c->n,
	    (const void *)c->path, c->len);
}

static void
claim_alterations_fail(struct claim *c)
{
	uint64_t index = c->index;

	ck_assert_int_eq(claim_verify(c), 0);
	for (size_t bit = 0; bit < 256; bit += 51) {
		c->root[bit / 8] ^= (uint8_t)(1 << bit % 8);
		ck_assert_int_eq(claim_verify(c), ERR_BAD_PATH);
		c->root[bit / 8] ^= (uint8_t)(1 << bit % 8);
		c->leaf[bit / 8] ^= (uint8_t)(1 << bit % 8);
		ck_assert_int_eq(claim_verify(c), ERR_BAD_PATH);
		c->leaf[bit / 8] ^= (uint8_t)(1 << bit % 8);
		for (size_t i = 0; i < c->len; i++) {
			c->path[i][bit / 8] ^= (uint8_t)(1 << bit % 8);
			ck_assert_int_eq(claim_verify(c), ERR_BAD_PATH);
			c->path[i][bit / 8] ^= (uint8_t)(1 << bit % 8);
		}
	}
	for (uint64_t other = 0; other < c->n + 2; other++) {
		c->index = other;
		ck_assert_int_eq(claim_verify(c),
		    other == index ? 0 : ERR_BAD_PATH);
	}
	c->index = index;
	for (size_t shorter = 0; shorter < c->len; shorter++) {
		size_t len = c->len;

		c->len = shorter;
		ck_assert_int_eq(claim_verify(c), ERR_BAD_PATH);
		c->len = len;
	}
	memcpy(c->path[c->len++], c->root, MERKLE_BYTES);
	ck_assert_int_eq(claim_verify(c), ERR_BAD_PATH);
	c->len--;
}

START_TEST(an_altered_path_is_refused)
{
	uint8_t leaves[N_MAX][MERKLE_BYTES];
	struct claim c = { .hash = hash_of(_i) };

	some_leaves(leaves, c.hash);
	for (c.n = 1; c.n <= N_MAX; c.n++) {
		merkle_root(c.root, c.hash, leaves[0], c.n);
		for (uint64_t i = 0; i < c.n; i++) {
			c.index = i;
			memcpy(c.leaf, leaves[i], MERKLE_BYTES);
			c.len = merkle_path(c.path, c.hash, leaves[0], c.n, i);
			claim_alterations_fail(&c);
		}
	}
}
END_TEST

struct proof {
	const struct merkle_hash *hash;
	uint64_t m;
	uint8_t root_m[MERKLE_BYTES];
	uint64_t n;
	uint8_t root_n[MERKLE_BYTES];
	uint8_t proof[MERKLE_PATH_MAX + 1][MERKLE_BYTES];
	size_t len;
};

static int
proof_verify(const struct proof *p)
{
	return merkle_verify_consistency(p->hash, p->m, p->root_m, p->n,
	    p->root_n, (const void *)p->proof, p->len);
}

static void
proof_alterations_fail(struct proof *p)
{
	uint64_t m = p->m;
	size_t len = p->len;

	ck_assert_int_eq(proof_verify(p), 0);
	for (size_t bit = 0; bit < 256; bit += 51) {
		uint8_t flip = (uint8_t)(1 << bit % 8);

		p->root_m[bit / 8] ^= flip;
		ck_assert_int_eq(proof_verify(p), ERR_FORK);
		p->root_m[bit / 8] ^= flip;
		p->root_n[bit / 8] ^= flip;
		ck_assert_int_eq(proof_verify(p), ERR_FORK);
		p->root_n[bit / 8] ^= flip;
		for (size_t i = 0; i < len; i++) {
			p->proof[i][bit / 8] ^= flip;
			ck_assert_int_eq(proof_verify(p), ERR_FORK);
			p->proof[i][bit / 8] ^= flip;
		}
	}
	for (p->m = 1; p->m < p->n + 2; p->m++)
		ck_assert_int_eq(proof_verify(p), p->m == m ? 0 : ERR_FORK);
	/* Nothing is the beginning of everything, but not by this proof. */
	p->m = 0;
	ck_assert_int_eq(proof_verify(p), len == 0 ? 0 : ERR_FORK);
	p->m = m;
	for (p->len = 0; p->len < len; p->len++)
		ck_assert_int_eq(proof_verify(p), ERR_FORK);
	memcpy(p->proof[p->len++], p->root_n, MERKLE_BYTES);
	ck_assert_int_eq(proof_verify(p), ERR_FORK);
	p->len = len;
}

START_TEST(an_altered_consistency_proof_is_refused)
{
	uint8_t leaves[N_MAX][MERKLE_BYTES];
	struct proof p = { .hash = hash_of(_i) };
	struct tree tree;

	some_leaves(leaves, p.hash);
	tree_init(&tree, p.hash);
	for (uint64_t n = 1; n <= N_MAX; n++) {
		tree_add(&tree, leaves[n - 1]);
		p.n = n;
		merkle_root(p.root_n, p.hash, leaves[0], n);
		for (uint64_t m = 1; m <= n; m++) {
			p.m = m;
			merkle_root(p.root_m, p.hash, leaves[0], m);
			ck_assert_int_eq(merkle_source_consistency(p.proof,
					     &p.len, &tree.source, m, n),
			    0);
			proof_alterations_fail(&p);
		}
	}
}
END_TEST

/* Two histories that share their beginning: neither continues the other. */
START_TEST(a_fork_is_never_consistent)
{
	uint8_t leaves[N_MAX][MERKLE_BYTES];
	uint8_t forked[N_MAX][MERKLE_BYTES];
	struct proof p = { .hash = &merkle_blake2b };
	struct tree tree;

	some_leaves(leaves, p.hash);
	for (size_t at = 0; at < 16; at++) {
		memcpy(forked, leaves, sizeof(leaves));
		forked[at][0] ^= 1;
		tree_init(&tree, p.hash);
		for (p.n = 1; p.n <= 16; p.n++) {
			tree_add(&tree, forked[p.n - 1]);
			merkle_root(p.root_n, p.hash, forked[0], p.n);
			for (p.m = 1; p.m <= p.n; p.m++) {
				merkle_root(p.root_m, p.hash, leaves[0], p.m);
				ck_assert_int_eq(
				    merkle_source_consistency(p.proof, &p.len,
					&tree.source, p.m, p.n),
				    0);
				ck_assert_int_eq(proof_verify(&p),
				    p.m <= at ? 0 : ERR_FORK);
			}
		}
	}
}
END_TEST

START_TEST(nothing_is_the_beginning_of_everything)
{
	struct proof p = { .hash = &merkle_blake2b };

	for (p.n = 0; p.n < 5; p.n++)
		ck_assert_int_eq(proof_verify(&p), 0);
	p.len = 1;
	for (p.n = 0; p.n < 5; p.n++)
		ck_assert_int_eq(proof_verify(&p), ERR_FORK);
}
END_TEST

START_TEST(the_largest_numbers_are_handled)
{
	struct claim c = { .hash = &merkle_blake2b };
	struct proof p = { .hash = &merkle_blake2b };
	static const uint64_t large[] = { UINT64_MAX, UINT64_MAX - 1,
		UINT64_C(1) << 63, (UINT64_C(1) << 63) + 1 };

	for (size_t i = 0; i < sizeof(large) / sizeof(large[0]); i++) {
		for (c.len = 0; c.len <= MERKLE_PATH_MAX + 1; c.len++) {
			c.n = large[i];
			c.index = 0;
			ck_assert_int_eq(claim_verify(&c), ERR_BAD_PATH);
			c.index = c.n - 1;
			ck_assert_int_eq(claim_verify(&c), ERR_BAD_PATH);
			c.index = c.n;
			ck_assert_int_eq(claim_verify(&c), ERR_BAD_PATH);
			p.n = large[i];
			p.len = c.len;
			p.m = 1;
			ck_assert_int_eq(proof_verify(&p), ERR_FORK);
			p.m = p.n - 1;
			ck_assert_int_eq(proof_verify(&p), ERR_FORK);
		}
	}
}
END_TEST

START_TEST(questions_about_no_tree_are_refused)
{
	uint8_t out[MERKLE_PATH_MAX][MERKLE_BYTES];
	struct tree tree;
	size_t len = 7;

	tree_init(&tree, &merkle_blake2b);
	ck_assert_int_eq(merkle_source_path(out, &len, &tree.source, 0, 0),
	    ERR_BAD_REQUEST);
	ck_assert_uint_eq(len, 0);
	ck_assert_int_eq(merkle_source_path(out, &len, &tree.source, 3, 3),
	    ERR_BAD_REQUEST);
	ck_assert_int_eq(merkle_source_consistency(out, &len, &tree.source, 4,
			     3),
	    ERR_BAD_REQUEST);
	ck_assert_int_eq(merkle_source_root(out[0], &tree.source, UINT64_MAX),
	    ERR_BAD_REQUEST);
	ck_assert_int_eq(merkle_append(&tree.source, tree_put, UINT64_MAX,
			     out[0]),
	    ERR_BAD_REQUEST);
	ck_assert_uint_eq(tree.reads, 0);
}
END_TEST

START_TEST(a_store_that_fails_is_passed_on)
{
	uint8_t leaves[N_MAX][MERKLE_BYTES];
	uint8_t out[MERKLE_PATH_MAX][MERKLE_BYTES];
	struct tree tree;
	size_t len;

	some_leaves(leaves, &merkle_blake2b);
	tree_init(&tree, &merkle_blake2b);
	for (size_t i = 0; i < 43; i++)
		tree_add(&tree, leaves[i]);
	tree.fail = ERR_IO;
	for (tree.fail_at = 1; tree.fail_at <= 4; tree.fail_at++) {
		tree.reads = 0;
		ck_assert_int_eq(merkle_source_root(out[0], &tree.source, 43),
		    ERR_IO);
		tree.reads = 0;
		ck_assert_int_eq(merkle_source_path(out, &len, &tree.source, 5,
				     43),
		    ERR_IO);
		tree.reads = 0;
		ck_assert_int_eq(merkle_source_consistency(out, &len,
				     &tree.source, 21, 43),
		    ERR_IO);
		ck_assert_uint_eq(len, 0);
	}
	tree.reads = 0;
	tree.fail_at = 1;
	ck_assert_int_eq(merkle_append(&tree.source, tree_put, 43, leaves[43]),
	    ERR_IO);
}
END_TEST

Suite *
suite(void)
{
	Suite *s = suite_create("merkle");
	TCase *tc = tcase_create("merkle");

	tcase_add_test(tc, a_leaf_is_the_hash_of_its_parts_together);
	tcase_add_loop_test(tc, every_small_tree_is_as_defined, 0, 2);
	tcase_add_loop_test(tc, an_altered_path_is_refused, 0, 2);
	tcase_add_loop_test(tc, an_altered_consistency_proof_is_refused, 0, 2);
	tcase_add_test(tc, a_fork_is_never_consistent);
	tcase_add_test(tc, nothing_is_the_beginning_of_everything);
	tcase_add_test(tc, the_largest_numbers_are_handled);
	tcase_add_test(tc, questions_about_no_tree_are_refused);
	tcase_add_test(tc, a_store_that_fails_is_passed_on);
	tcase_set_timeout(tc, 120);
	suite_add_tcase(s, tc);
	return s;
}
