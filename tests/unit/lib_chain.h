/*
 * A small true world for the library's tests: a vendor with its issuer, a
 * license, a site and its journal, all with real keys and the real code of
 * shared/. Tests then change one thing and look who notices.
 */
#ifndef TESTS_UNIT_LIB_CHAIN_H
#define TESTS_UNIT_LIB_CHAIN_H

#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/text.h"
#include "shared/journal/journal.h"
#include "shared/license/license.h"
#include "shared/rpc/local.h"
#include "tests/unit/suite.h"

#include <sodium.h>
#include <string.h>

#define CHAIN_BATCHES 64
#define CHAIN_ROWS 4
#define CHAIN_DEVICE 7
#define CHAIN_DAY_MS INT64_C(86400000)

struct chain_keys {
	uint8_t public_key[32];
	uint8_t secret[64];
};

struct chain {
	struct chain_keys root, issuer_key, site_key;
	struct license_issuer issuer;
	struct license license;
	struct license_feature features[2]; /* of it */
	struct buf issuer_token, license_token;
	/* the journal */
	uint32_t put_back; /* so often, and acknowledged */
	uint64_t next_batch, next_row, next_lease;
	uint8_t heads[CHAIN_BATCHES][32]; /* leaves of the history */
	struct journal_header header; /* of the last batch */
	uint8_t head[32];
	int64_t time;
	/* of the last grant */
	struct row row;
	struct row_slots slots[LEASE_COUNT_MAX];
	struct buf row_bytes, header_token;
	const char *raw; /* written in place of the row, when set */
	uint8_t path[8][32];
	size_t path_hashes;
	uint8_t inclusion[64][32], consistency[64][32];
};

static inline void
chain_new_keys(struct chain_keys *keys)
{
	ck_assert_int_eq(crypto_sign_keypair(keys->public_key, keys->secret),
	    0);
}

/* Sign issuer and license anew, after a change. */
static inline void
chain_sign(struct chain *chain)
{
	buf_clear(&chain->issuer_token);
	buf_clear(&chain->license_token);
	ck_assert_int_eq(license_document_sign(&chain->issuer_token,
			     &license_issuer_record, &chain->issuer,
			     TOKEN_ISSUER, chain->root.secret),
	    0);
	ck_assert_int_eq(license_document_sign(&chain->license_token,
			     &license_record, &chain->license, TOKEN_LICENSE,
			     chain->issuer_key.secret),
	    0);
}

static inline void
chain_open(struct chain *chain)
{
	int64_t now = clock_wall_ms();
	int32_t today = (int32_t)(now / CHAIN_DAY_MS);

	memset(chain, 0, sizeof(*chain));
	chain_new_keys(&chain->root);
	chain_new_keys(&chain->issuer_key);
	chain_new_keys(&chain->site_key);
	chain->issuer = (struct license_issuer){
		.vendor = { "vector", "Vector" },
		.not_before = now - 30 * CHAIN_DAY_MS,
		.not_after = now + 300 * CHAIN_DAY_MS,
	};
	memcpy(chain->issuer.key, chain->issuer_key.public_key, 32);
	chain->license = (struct license){
		.license_id = "lic-1",
		.serial = 1,
		.vendor = { "vector", "Vector" },
		.site = "site-1",
		.tenant = "default",
		.product = { "tool", "The Tool", ">=8.0.0 <9.0.0" },
		.entitlement = { .total_licenses = 5,
		    .commit_qty = 2,
		    .max_overage = 3,
		    .pricing = { 500000, 50000, "EUR" } },
		.contract = { .start_date = today - 10,
		    .end_date = today + 200 },
		.terms = { .ttl_s = 120, .grace_s = 300 },
		.issued_at = now - CHAIN_DAY_MS,
	};
	chain->features[0] = (struct license_feature){ "simulation",
		"The Simulation", 4, 3, 1, 25000, "EUR" };
	chain->features[1] =
	    (struct license_feature){ "autosar", "", 2, 2, 0, 0, "EUR" };
	chain->license.features = (struct record_list){ chain->features, 2 };
	memcpy(chain->license.site_key, chain->site_key.public_key, 32);
	chain_sign(chain);
	chain->next_row = 1;
	chain->next_lease = 1;
	chain->time = now;
}

static inline void
chain_close(struct chain *chain)
{
	buf_release(&chain->issuer_token);
	buf_release(&chain->license_token);
	buf_release(&chain->row_bytes);
	buf_release(&chain->header_token);
}

/* The grant that a true site would write for this request: slots from `slot`
 * on. */
static inline void
chain_prepare(struct chain *chain, const struct local_checkout *request,
    uint32_t slot)
{
	struct row_lease_granted *grant = &chain->row.u.lease_granted;
	uint32_t count = request->count > 0 ? request->count : 1;
	struct license_seats seats;
	uint32_t overage;

	memset(&chain->row, 0, sizeof(chain->row));
	chain->row.kind = ROW_LEASE_GRANTED;
	grant->lease = chain->next_lease++;
	grant->license = 1;
	license_digest(grant->license_digest,
	    (const char *)chain->license_token.data, chain->license_token.len);
	grant->device = CHAIN_DEVICE;
	license_seats(&seats, &chain->license, request->feature);
	chain->slots[0] = (struct row_slots){ slot, count };
	overage = count - row_slots_below(chain->slots, 1, seats.commit);
	grant->count = count;
	grant->slots = (struct record_list){ chain->slots, 1 };
	grant->type = overage > 0 ? SEAT_OVERAGE : SEAT_COMMIT;
	grant->overage = overage > 0 ? slot + 1 : 0;
	grant->overage_count = overage;
	memcpy(grant->nonce, request->nonce, sizeof(grant->nonce));
	memcpy(grant->request, request->request, sizeof(grant->request));
	memcpy(grant->product, request->product, sizeof(grant->product));
	memcpy(grant->version, request->version, sizeof(grant->version));
	memcpy(grant->feature, request->feature, sizeof(grant->feature));
	grant->ttl_s = chain->license.terms.ttl_s;
	grant->grace_s = chain->license.terms.grace_s;
}

/* Put chain->row into a batch among others, sign it, keep its evidence. */
static inline void
chain_commit(struct chain *chain)
{
	uint8_t leaves[CHAIN_ROWS][32];
	struct row other = { .kind = ROW_CHECKPOINT };
	const size_t at = 2;

	ck_assert_uint_lt(chain->next_batch, CHAIN_BATCHES);
	for (size_t i = 0; i < CHAIN_ROWS; i++) {
		struct buf bytes = { 0 };
		uint64_t number = chain->next_row + i;

		other.u.checkpoint.batch = number;
		if (i == at && chain->raw != NULL)
			buf_add_str(&bytes, chain->raw);
		else
			row_write(&bytes, i == at ? &chain->row : &other);
		journal_row_leaf(leaves[i], chain->license.tenant, number,
		    bytes.data, bytes.len);
		if (i == at) {
			buf_clear(&chain->row_bytes);
			buf_add(&chain->row_bytes, bytes.data, bytes.len);
			chain->row.number = number;
		}
		buf_release(&bytes);
	}
	chain->path_hashes = merkle_path(chain->path, &merkle_blake2b,
	    leaves[0], CHAIN_ROWS, at);
	chain->header = (struct journal_header){
		.generation = 1 + chain->put_back,
		.batch = chain->next_batch,
		.first_row = chain->next_row,
		.rows = CHAIN_ROWS,
		.time = chain->time,
	};
	text_copy(chain->header.site, sizeof(chain->header.site),
	    chain->license.site);
	text_copy(chain->header.tenant, sizeof(chain->header.tenant),
	    chain->license.tenant);
	merkle_root(chain->header.root, &merkle_blake2b, leaves[0], CHAIN_ROWS);
	merkle_root(chain->header.history, &merkle_blake2b, chain->heads[0],
	    chain->next_batch);
	buf_clear(&chain->header_token);
	ck_assert_int_eq(journal_header_sign(&chain->header_token, chain->head,
			     &chain->header, chain->site_key.secret),
	    0);
	journal_head_leaf(chain->heads[chain->next_batch], chain->head);
	chain->next_batch++;
	chain->next_row += CHAIN_ROWS;
}

/* Complete subtrees of the history, from its leaves. */
static inline int
chain_subtree(uint8_t out[MERKLE_BYTES], void *ctx, unsigned int level,
    uint64_t index)
{
	struct chain *chain = ctx;

	merkle_root(out, &merkle_blake2b, chain->heads[index << level],
	    (size_t)1 << level);
	return 0;
}

/* The evidence of chain->row, and that its batch continues `known`. */
static inline void
chain_reply(struct local_checkout_reply *reply, struct chain *chain,
    const struct journal_known *known)
{
	struct merkle_source source = { &merkle_blake2b, chain, chain_subtree };
	uint64_t batch = chain->header.batch;
	size_t inclusion = 0, consistency = 0;

	if (!sodium_is_zero(known->head, 32) && known->batch < batch) {
		inclusion = merkle_path(chain->inclusion, &merkle_blake2b,
		    chain->heads[0], batch, known->batch);
		ck_assert_int_eq(merkle_source_consistency(chain->consistency,
				     &consistency, &source, known->batch,
				     batch),
		    0);
	}
	*reply = (struct local_checkout_reply){
		.lease = chain->row.u.lease_granted.lease,
		.row_number = chain->row.number,
		.row = { chain->row_bytes.data,
		    (uint32_t)chain->row_bytes.len },
		.path = { chain->path, (uint32_t)chain->path_hashes * 32 },
		.header = { chain->header_token.data,
		    (uint32_t)chain->header_token.len },
		.inclusion = { chain->inclusion, (uint32_t)inclusion * 32 },
		.consistency = { chain->consistency,
		    (uint32_t)consistency * 32 },
		.issuer = { chain->issuer_token.data,
		    (uint32_t)chain->issuer_token.len },
		.license = { chain->license_token.data,
		    (uint32_t)chain->license_token.len },
		.device = CHAIN_DEVICE,
	};
}

static inline void
chain_known(struct journal_known *known, const struct chain *chain)
{
	known->batch = chain->header.batch;
	known->generation = chain->header.generation;
	memcpy(known->head, chain->head, 32);
	memcpy(known->history, chain->header.history, 32);
}

/* A beat over `n` (lease, nonce), of which `index` is shown the path. */
static inline void
chain_beat(struct buf *token, uint8_t path[][32], size_t *path_hashes,
    const struct chain *chain, const uint64_t leases[],
    const uint8_t nonces[][32], uint32_t ttl_s, uint32_t n, uint32_t index)
{
	struct journal_beat beat = { .generation = chain->header.generation,
		.batch = chain->header.batch,
		.time = chain->time,
		.count = n };
	uint8_t leaves[16][32];

	ck_assert_uint_le(n, 16);
	text_copy(beat.site, sizeof(beat.site), chain->license.site);
	text_copy(beat.tenant, sizeof(beat.tenant), chain->license.tenant);
	memcpy(beat.head, chain->head, 32);
	for (uint32_t i = 0; i < n; i++)
		journal_beat_leaf(leaves[i], leases[i], nonces[i], ttl_s);
	merkle_root(beat.root, &merkle_blake2b, leaves[0], n);
	*path_hashes = merkle_path(path, &merkle_blake2b, leaves[0], n, index);
	buf_clear(token);
	ck_assert_int_eq(license_document_sign(token, &journal_beat_record,
			     &beat, TOKEN_BEAT, chain->site_key.secret),
	    0);
}

#endif
