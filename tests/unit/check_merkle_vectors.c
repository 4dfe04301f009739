/* The tree against the published SHA-256 vectors of RFC 6962. */
#include "shared/base/text.h"
#include "tests/unit/merkle_tree.h"
#include "tests/unit/suite.h"

/* certificate-transparency, cpp/merkletree/merkle_tree_test.cc */
static const char *const inputs[8] = { "", "00", "10", "2021", "3031",
	"40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f" };

static const char *const roots[9] = {
	"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
	"6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
	"fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
	"aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
	"d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
	"4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
	"76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
	"ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
	"5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
};

static const struct {
	size_t index;
	size_t n;
	size_t len;
	const char *path[3];
} paths[] = {
	{ 0, 1, 0, { NULL } },
	{ 0, 8, 3,
	    { "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc"
	      "7",
		"5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de303"
		"1e",
		"6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6"
		"e4" } },
	{ 5, 8, 3,
	    { "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6"
	      "b",
		"ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0a"
		"e0",
		"d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614"
		"b7" } },
	{ 2, 3, 1,
	    { "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c12"
	      "5" } },
	{ 1, 5, 3,
	    { "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01"
	      "d",
		"5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de303"
		"1e",
		"bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e"
		"6b" } },
};

static const struct {
	size_t m;
	size_t n;
	size_t len;
	const char *proof[3];
} proofs[] = {
	{ 1, 1, 0, { NULL } },
	{ 1, 8, 3,
	    { "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc"
	      "7",
		"5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de303"
		"1e",
		"6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6"
		"e4" } },
	{ 6, 8, 3,
	    { "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6"
	      "a",
		"ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0a"
		"e0",
		"d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614"
		"b7" } },
	{ 2, 5, 2,
	    { "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031"
	      "e",
		"bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e"
		"6b" } },
};

static void
from_hex(uint8_t out[MERKLE_BYTES], const char *hex)
{
	size_t len;

	ck_assert_int_eq(text_from_hex(out, MERKLE_BYTES, &len, hex,
			     strlen(hex)),
	    0);
	ck_assert_uint_eq(len, MERKLE_BYTES);
}

static void
reference_leaves(uint8_t leaves[8][MERKLE_BYTES])
{
	for (size_t i = 0; i < 8; i++) {
		uint8_t data[16];
		size_t len;

		ck_assert_int_eq(text_from_hex(data, sizeof(data), &len,
				     inputs[i], strlen(inputs[i])),
		    0);
		merkle_leaf(leaves[i], &merkle_sha256,
		    &(struct merkle_part){ data, len }, 1);
	}
}

START_TEST(published_roots_hold)
{
	uint8_t leaves[8][MERKLE_BYTES];
	uint8_t root[MERKLE_BYTES];
	uint8_t expected[MERKLE_BYTES];
	struct tree tree;

	reference_leaves(leaves);
	tree_init(&tree, &merkle_sha256);
	for (size_t n = 0; n <= 8; n++) {
		from_hex(expected, roots[n]);
		merkle_root(root, &merkle_sha256, leaves[0], n);
		ck_assert_mem_eq(root, expected, MERKLE_BYTES);
		ck_assert_int_eq(merkle_source_root(root, &tree.source, n), 0);
		ck_assert_mem_eq(root, expected, MERKLE_BYTES);
		if (n < 8)
			tree_add(&tree, leaves[n]);
	}
}
END_TEST

START_TEST(published_paths_hold)
{
	uint8_t leaves[8][MERKLE_BYTES];
	uint8_t path[MERKLE_PATH_MAX][MERKLE_BYTES];
	uint8_t expected[MERKLE_BYTES];
	uint8_t root[MERKLE_BYTES];

	reference_leaves(leaves);
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		size_t len = merkle_path(path, &merkle_sha256, leaves[0],
		    paths[i].n, paths[i].index);

		ck_assert_uint_eq(len, paths[i].len);
		for (size_t j = 0; j < len; j++) {
			from_hex(expected, paths[i].path[j]);
			ck_assert_mem_eq(path[j], expected, MERKLE_BYTES);
		}
		from_hex(root, roots[paths[i].n]);
		ck_assert_int_eq(merkle_verify_path(&merkle_sha256, root,
				     leaves[paths[i].index], paths[i].index,
				     paths[i].n, (const void *)path, len),
		    0);
	}
}
END_TEST

START_TEST(published_consistency_proofs_hold)
{
	uint8_t leaves[8][MERKLE_BYTES];
	uint8_t proof[MERKLE_PATH_MAX][MERKLE_BYTES];
	uint8_t expected[MERKLE_BYTES];
	uint8_t root_m[MERKLE_BYTES];
	uint8_t root_n[MERKLE_BYTES];
	struct tree tree;
	size_t len;

	reference_leaves(leaves);
	tree_init(&tree, &merkle_sha256);
	for (size_t i = 0; i < 8; i++)
		tree_add(&tree, leaves[i]);
	for (size_t i = 0; i < sizeof(proofs) / sizeof(proofs[0]); i++) {
		ck_assert_int_eq(merkle_source_consistency(proof, &len,
				     &tree.source, proofs[i].m, proofs[i].n),
		    0);
		ck_assert_uint_eq(len, proofs[i].len);
		for (size_t j = 0; j < len; j++) {
			from_hex(expected, proofs[i].proof[j]);
			ck_assert_mem_eq(proof[j], expected, MERKLE_BYTES);
		}
		from_hex(root_m, roots[proofs[i].m]);
		from_hex(root_n, roots[proofs[i].n]);
		ck_assert_int_eq(merkle_verify_consistency(&merkle_sha256,
				     proofs[i].m, root_m, proofs[i].n, root_n,
				     (const void *)proof, len),
		    0);
	}
}
END_TEST

Suite *
suite(void)
{
	Suite *s = suite_create("merkle vectors");
	TCase *tc = tcase_create("merkle vectors");

	tcase_add_test(tc, published_roots_hold);
	tcase_add_test(tc, published_paths_hold);
	tcase_add_test(tc, published_consistency_proofs_hold);
	suite_add_tcase(s, tc);
	return s;
}
