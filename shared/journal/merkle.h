/*
 * Merkle trees shaped as in RFC 9162 section 2.1 (RFC 6962), with the hash as
 * a parameter: BLAKE2b-256 for journals, SHA-256 for the published vectors.
 * Pure functions over hashes. It must not know what the leaves are.
 */
#ifndef SHARED_JOURNAL_MERKLE_H
#define SHARED_JOURNAL_MERKLE_H

#include <stddef.h>
#include <stdint.h>

#define MERKLE_BYTES 32
/** The longest path: a tree of 2^63 leaves. */
#define MERKLE_PATH_MAX 64
#define MERKLE_LEAVES_MAX (UINT64_C(1) << 63)
/** Parts of one leaf at most. */
#define MERKLE_PARTS_MAX 7

struct merkle_part {
	const void *data;
	size_t len;
};

/** H(parts[0] || parts[1] || ...). */
struct merkle_hash {
	const char *name;
	void (*hash)(uint8_t out[MERKLE_BYTES], const struct merkle_part *parts,
	    size_t n);
};

extern const struct merkle_hash merkle_blake2b;
extern const struct merkle_hash merkle_sha256;

/** H(0x00 || data): the hash of a leaf. */
void merkle_leaf(uint8_t out[MERKLE_BYTES], const struct merkle_hash *hash,
    const struct merkle_part *parts, size_t n);
/** H(0x01 || left || right). */
void merkle_node(uint8_t out[MERKLE_BYTES], const struct merkle_hash *hash,
    const uint8_t left[MERKLE_BYTES], const uint8_t right[MERKLE_BYTES]);

/** Root over n leaf hashes; H() for none. `leaves` is n * 32 bytes. */
void merkle_root(uint8_t out[MERKLE_BYTES], const struct merkle_hash *hash,
    const uint8_t *leaves, size_t n);

/** Path of leaf `index` in a tree of n, from the leaves; index < n. Returns its
 * length. Hashes all n leaves: for the paths of many leaves of one tree keep
 * its nodes (merkle_append) and ask merkle_source_path. */
size_t merkle_path(uint8_t out[][MERKLE_BYTES], const struct merkle_hash *hash,
    const uint8_t *leaves, size_t n, size_t index);

/**
 * A tree that only grows and whose complete subtrees are kept somewhere:
 * `get` reads the root of the complete subtree of 2^level leaves that starts
 * at leaf index << level. Returns 0 or an error, which is passed on.
 */
struct merkle_source {
	const struct merkle_hash *hash;
	void *ctx;
	int (*get)(uint8_t out[MERKLE_BYTES], void *ctx, unsigned int level,
	    uint64_t index);
};

/* `out` of paths and proofs has room for MERKLE_PATH_MAX hashes. An index or a
 * size that is none gives ERR_BAD_REQUEST. */

/** Root of the first n leaves: reads at most 64 nodes. */
int merkle_source_root(uint8_t out[MERKLE_BYTES],
    const struct merkle_source *source, uint64_t n);
/** Inclusion path of `index` in the tree of the first n leaves. */
int merkle_source_path(uint8_t out[][MERKLE_BYTES], size_t *len,
    const struct merkle_source *source, uint64_t index, uint64_t n);
/** Consistency proof between the first m and the first n leaves, m <= n. */
int merkle_source_consistency(uint8_t out[][MERKLE_BYTES], size_t *len,
    const struct merkle_source *source, uint64_t m, uint64_t n);

/** A new leaf, number `index` (= leaves before it): calls `put` for it and
 * every subtree it completes. */
int merkle_append(const struct merkle_source *source,
    int (*put)(void *ctx, unsigned int level, uint64_t index,
	const uint8_t hash[MERKLE_BYTES]),
    uint64_t index, const uint8_t leaf[MERKLE_BYTES]);

/** RFC 9162 section 2.1.3.2. Returns 0 or ERR_BAD_PATH. */
int merkle_verify_path(const struct merkle_hash *hash,
    const uint8_t root[MERKLE_BYTES], const uint8_t leaf[MERKLE_BYTES],
    uint64_t index, uint64_t n, const uint8_t path[][MERKLE_BYTES], size_t len);

/** RFC 9162 section 2.1.4.2; m = 0 holds with an empty proof; m = n needs
 * equal roots and an empty proof. Returns 0 or ERR_FORK. */
int merkle_verify_consistency(const struct merkle_hash *hash, uint64_t m,
    const uint8_t root_m[MERKLE_BYTES], uint64_t n,
    const uint8_t root_n[MERKLE_BYTES], const uint8_t proof[][MERKLE_BYTES],
    size_t len);

#endif
