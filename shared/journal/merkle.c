/* Merkle trees: hashes, roots and what proves them; see merkle.h. */
#include "shared/journal/merkle.h"

#include "shared/base/err.h"

#include <assert.h>
#include <sodium.h>
#include <stdbool.h>
#include <string.h>

static void
hash_blake2b(uint8_t out[MERKLE_BYTES], const struct merkle_part *parts,
    size_t n)
{
	crypto_generichash_state state;

	crypto_generichash_init(&state, NULL, 0, MERKLE_BYTES);
	for (size_t i = 0; i < n; i++)
		crypto_generichash_update(&state, parts[i].data, parts[i].len);
	crypto_generichash_final(&state, out, MERKLE_BYTES);
}

static void
hash_sha256(uint8_t out[MERKLE_BYTES], const struct merkle_part *parts,
    size_t n)
{
	crypto_hash_sha256_state state;

	crypto_hash_sha256_init(&state);
	for (size_t i = 0; i < n; i++)
		crypto_hash_sha256_update(&state, parts[i].data, parts[i].len);
	crypto_hash_sha256_final(&state, out);
}

const struct merkle_hash merkle_blake2b = { "blake2b-256", hash_blake2b };
const struct merkle_hash merkle_sha256 = { "sha-256", hash_sha256 };

void
merkle_leaf(uint8_t out[MERKLE_BYTES], const struct merkle_hash *hash,
    const struct merkle_part *parts, size_t n)
{
	struct merkle_part all[1 + MERKLE_PARTS_MAX] = { { "\x00", 1 } };

	assert(n <= MERKLE_PARTS_MAX);
	if (n != 0)
		memcpy(&all[1], parts, n * sizeof(*parts));
	hash->hash(out, all, n + 1);
}

void
merkle_node(uint8_t out[MERKLE_BYTES], const struct merkle_hash *hash,
    const uint8_t left[MERKLE_BYTES], const uint8_t right[MERKLE_BYTES])
{
	const struct merkle_part all[3] = { { "\x01", 1 },
		{ left, MERKLE_BYTES }, { right, MERKLE_BYTES } };

	hash->hash(out, all, 3);
}

/* --- small trees, from their leaves --------------------------------------- */

void
merkle_root(uint8_t out[MERKLE_BYTES], const struct merkle_hash *hash,
    const uint8_t *leaves, size_t n)
{
	/* Roots of the complete subtrees so far, largest first: one for each
	 * bit set in the number of leaves seen. */
	uint8_t stack[MERKLE_PATH_MAX][MERKLE_BYTES];
	size_t depth = 0;

	if (n == 0) {
		hash->hash(out, NULL, 0);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		memcpy(stack[depth++], leaves + i * MERKLE_BYTES, MERKLE_BYTES);
		for (size_t bits = i; (bits & 1) != 0; bits >>= 1) {
			depth--;
			merkle_node(stack[depth - 1], hash, stack[depth - 1],
			    stack[depth]);
		}
	}
	while (depth > 1) {
		depth--;
		merkle_node(stack[depth - 1], hash, stack[depth - 1],
		    stack[depth]);
	}
	memcpy(out, stack[0], MERKLE_BYTES);
}

/* The largest power of two below n, for n above 1 (RFC 9162, 2.1.1). */
static uint64_t
split_point(uint64_t n)
{
	return UINT64_C(1) << (63 - __builtin_clzll(n - 1));
}

/* Proofs are made from the root down and told from the leaf up. */
static void
reverse(uint8_t out[][MERKLE_BYTES], size_t len)
{
	uint8_t spare[MERKLE_BYTES];

	for (size_t i = 0; i < len / 2; i++) {
		memcpy(spare, out[i], MERKLE_BYTES);
		memcpy(out[i], out[len - 1 - i], MERKLE_BYTES);
		memcpy(out[len - 1 - i], spare, MERKLE_BYTES);
	}
}

size_t
merkle_path(uint8_t out[][MERKLE_BYTES], const struct merkle_hash *hash,
    const uint8_t *leaves, size_t n, size_t index)
{
	size_t len = 0;

	assert(index < n);
	while (n > 1) {
		size_t k = (size_t)split_point(n);

		if (index < k) {
			merkle_root(out[len++], hash, leaves + k * MERKLE_BYTES,
			    n - k);
			n = k;
		} else {
			merkle_root(out[len++], hash, leaves, k);
			leaves += k * MERKLE_BYTES;
			index -= k;
			n -= k;
		}
	}
	reverse(out, len);
	return len;
}

/* --- growing trees, from their complete subtrees -------------------------- */

/* Root over the leaves start to end - 1, at least one of them. `start` is a
 * multiple of the smallest power of two that is not below their number, so that
 * every piece is a complete subtree of the whole. */
static int
range_root(uint8_t out[MERKLE_BYTES], const struct merkle_source *source,
    uint64_t start, uint64_t end)
{
	uint8_t pieces[MERKLE_PATH_MAX][MERKLE_BYTES];
	size_t n = 0;

	while (start < end) {
		unsigned int level =
		    63 - (unsigned int)__builtin_clzll(end - start);
		int err = source->get(pieces[n++], source->ctx, level,
		    start >> level);

		if (err != 0)
			return err;
		start += UINT64_C(1) << level;
	}
	while (n > 1) {
		n--;
		merkle_node(pieces[n - 1], source->hash, pieces[n - 1],
		    pieces[n]);
	}
	memcpy(out, pieces[0], MERKLE_BYTES);
	return 0;
}

int
merkle_source_root(uint8_t out[MERKLE_BYTES],
    const struct merkle_source *source, uint64_t n)
{
	if (n > MERKLE_LEAVES_MAX)
		return ERR_BAD_REQUEST;
	if (n == 0) {
		source->hash->hash(out, NULL, 0);
		return 0;
	}
	return range_root(out, source, 0, n);
}

int
merkle_source_path(uint8_t out[][MERKLE_BYTES], size_t *len,
    const struct merkle_source *source, uint64_t index, uint64_t n)
{
	uint64_t start = 0;
	uint64_t end = n;

	*len = 0;
	if (index >= n || n > MERKLE_LEAVES_MAX)
		return ERR_BAD_REQUEST;
	while (end - start > 1) {
		uint64_t middle = start + split_point(end - start);
		bool left = index < middle;
		int err = range_root(out[*len], source, left ? middle : start,
		    left ? end : middle);

		if (err != 0)
			return err;
		(*len)++;
		if (left)
			end = middle;
		else
			start = middle;
	}
	reverse(out, *len);
	return 0;
}

int
merkle_source_consistency(uint8_t out[][MERKLE_BYTES], size_t *len,
    const struct merkle_source *source, uint64_t m, uint64_t n)
{
	uint64_t start = 0;
	uint64_t end = n;
	int err = 0;

	*len = 0;
	if (m > n || n > MERKLE_LEAVES_MAX)
		return ERR_BAD_REQUEST;
	if (m == 0 || m == n)
		return 0;
	/* SUBPROOF of RFC 9162, 2.1.4.1, without the recursion: the subtree in
	 * question is start to end, and m lies in it or at its end. */
	while (err == 0 && m != end) {
		uint64_t middle = start + split_point(end - start);

		if (m <= middle) {
			err = range_root(out[(*len)++], source, middle, end);
			end = middle;
		} else {
			err = range_root(out[(*len)++], source, start, middle);
			start = middle;
		}
	}
	/* The verifier knows the root of the first m leaves already when it is
	 * a complete subtree from 0 on. */
	if (err == 0 && start != 0)
		err = range_root(out[(*len)++], source, start, end);
	if (err != 0) {
		*len = 0;
		return err;
	}
	reverse(out, *len);
	return 0;
}

int
merkle_append(const struct merkle_source *source,
    int (*put)(void *ctx, unsigned int level, uint64_t index,
	const uint8_t hash[MERKLE_BYTES]),
    uint64_t index, const uint8_t leaf[MERKLE_BYTES])
{
	uint8_t node[MERKLE_BYTES];
	uint8_t left[MERKLE_BYTES];
	unsigned int level = 0;

	if (index >= MERKLE_LEAVES_MAX)
		return ERR_BAD_REQUEST;
	memcpy(node, leaf, MERKLE_BYTES);
	int err = put(source->ctx, 0, index, node);

	/* A right child completes its parent. */
	while (err == 0 && (index >> level & 1) != 0) {
		err =
		    source->get(left, source->ctx, level, (index >> level) - 1);
		if (err != 0)
			break;
		merkle_node(node, source->hash, left, node);
		level++;
		err = put(source->ctx, level, index >> level, node);
	}
	return err;
}

/* --- verifying ------------------------------------------------------------ */

int
merkle_verify_path(const struct merkle_hash *hash,
    const uint8_t root[MERKLE_BYTES], const uint8_t leaf[MERKLE_BYTES],
    uint64_t index, uint64_t n, const uint8_t path[][MERKLE_BYTES], size_t len)
{
	uint8_t node[MERKLE_BYTES];
	uint64_t fn = index; /* the names of RFC 9162, 2.1.3.2 */
	uint64_t sn = n - 1;

	if (index >= n || len > MERKLE_PATH_MAX)
		return ERR_BAD_PATH;
	memcpy(node, leaf, MERKLE_BYTES);
	for (size_t i = 0; i < len; i++) {
		if (sn == 0)
			return ERR_BAD_PATH;
		if ((fn & 1) != 0 || fn == sn) {
			merkle_node(node, hash, path[i], node);
			while ((fn & 1) == 0 && fn != 0) {
				fn >>= 1;
				sn >>= 1;
			}
		} else {
			merkle_node(node, hash, node, path[i]);
		}
		fn >>= 1;
		sn >>= 1;
	}
	if (sn != 0 || memcmp(node, root, MERKLE_BYTES) != 0)
		return ERR_BAD_PATH;
	return 0;
}

int
merkle_verify_consistency(const struct merkle_hash *hash, uint64_t m,
    const uint8_t root_m[MERKLE_BYTES], uint64_t n,
    const uint8_t root_n[MERKLE_BYTES], const uint8_t proof[][MERKLE_BYTES],
    size_t len)
{
	uint8_t first[MERKLE_BYTES]; /* fr and sr of RFC 9162, 2.1.4.2 */
	uint8_t second[MERKLE_BYTES];
	uint64_t fn = m - 1;
	uint64_t sn = n - 1;
	size_t i = 0;

	if (m > n || len > MERKLE_PATH_MAX)
		return ERR_FORK;
	if (m == 0)
		return len == 0 ? 0 : ERR_FORK;
	if (m == n)
		return len == 0 && memcmp(root_m, root_n, MERKLE_BYTES) == 0
		    ? 0
		    : ERR_FORK;
	if (len == 0)
		return ERR_FORK;
	/* The root of a power of two is the proof's first hash and left out. */
	memcpy(first, (m & (m - 1)) == 0 ? root_m : proof[i++], MERKLE_BYTES);
	memcpy(second, first, MERKLE_BYTES);
	while ((fn & 1) != 0) {
		fn >>= 1;
		sn >>= 1;
	}
	for (; i < len; i++) {
		if (sn == 0)
			return ERR_FORK;
		if ((fn & 1) != 0 || fn == sn) {
			merkle_node(first, hash, proof[i], first);
			merkle_node(second, hash, proof[i], second);
			while ((fn & 1) == 0 && fn != 0) {
				fn >>= 1;
				sn >>= 1;
			}
		} else {
			merkle_node(second, hash, second, proof[i]);
		}
		fn >>= 1;
		sn >>= 1;
	}
	if (sn != 0 || memcmp(first, root_m, MERKLE_BYTES) != 0 ||
	    memcmp(second, root_n, MERKLE_BYTES) != 0)
		return ERR_FORK;
	return 0;
}
