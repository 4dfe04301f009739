/* Journals of strangers: rows that are read write back to the same bytes,
 * batches and proofs are refused or held, never worse. The first byte picks
 * what is tried. */
#include "shared/journal/journal.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define ROWS_MAX 16

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
make_keys(uint8_t secret[64])
{
	static const uint8_t seed[32] = { 1 };
	uint8_t public_key[32];

	assert(sodium_init() >= 0);
	crypto_sign_seed_keypair(public_key, secret, seed);
}

/* Sound slots are told apart one by one, and are as many as the seats. */
static void
look_at_slots(const struct row_lease_granted *grant)
{
	const struct row_slots *slots = grant->slots.items;
	uint32_t n = grant->slots.count;

	if (!row_slots_are_sound(grant))
		return;
	assert(row_slots_below(slots, n, row_slot_first(grant)) == 0);
	assert(grant->overage_count <= grant->count);
	for (uint32_t i = 0; i + 1 < n; i++)
		assert(slots[i].first < slots[i + 1].first);
	if (slots[n - 1].first <= UINT32_MAX - slots[n - 1].count)
		assert(row_slots_below(slots, n,
			   slots[n - 1].first + slots[n - 1].count) ==
		    grant->count);
}

static void
read_row(const uint8_t *data, size_t size)
{
	struct arena arena = { 0 };
	struct buf again = { 0 };
	struct row row;

	if (row_read(&row, 1, data, size, &arena) == 0) {
		row_write(&again, &row);
		assert(again.len == size);
		assert(memcmp(again.data, data, size) == 0);
		if (row.kind == ROW_LEASE_GRANTED)
			look_at_slots(&row.u.lease_granted);
	}
	buf_release(&again);
	arena_release(&arena);
}

static void
walk_blob(struct journal_walk *walk, const uint8_t *data, size_t size)
{
	char error[128];
	uint64_t batch = walk->next_batch;
	int err = journal_walk_batch(walk, data, size, NULL, NULL, error,
	    sizeof(error));

	assert(strnlen(error, sizeof(error)) < sizeof(error));
	assert((err == 0) == (error[0] == '\0'));
	assert(walk->next_batch == batch + (err == 0 ? 1 : 0));
}

/* A rightful signer over rows of any bytes: be16 length and bytes of each. */
static void
walk_rows(struct journal_walk *walk, const uint8_t *data, size_t size,
    const uint8_t secret[64])
{
	struct journal_header header = { .site = "s",
		.tenant = "t",
		.first_row = 1 };
	struct journal_row_bytes rows[ROWS_MAX];
	uint8_t leaves[ROWS_MAX][32];
	uint8_t head[32];
	struct buf token = { 0 }, blob = { 0 };
	uint32_t n = 0;

	while (size >= 2 && n < ROWS_MAX) {
		size_t len = be16_read(data);

		if (len > size - 2)
			len = size - 2;
		rows[n].bytes.data = data + 2;
		rows[n].bytes.len = (uint32_t)len;
		journal_row_leaf(leaves[n], "t", 1 + n, data + 2, len);
		data += 2 + len;
		size -= 2 + len;
		n++;
	}
	if (n == 0)
		return;
	header.rows = n;
	merkle_root(header.root, &merkle_blake2b, leaves[0], n);
	merkle_root(header.history, &merkle_blake2b, NULL, 0);
	assert(journal_header_sign(&token, head, &header, secret) == 0);
	struct journal_batch batch = {
		.header = { token.data, (uint32_t)token.len },
		.rows = { rows, n },
	};

	record_write_msgpack(&blob, &journal_batch_record, &batch);
	walk_blob(walk, blob.data, blob.len);
	buf_release(&token);
	buf_release(&blob);
}

/* Numbers and hashes of any kind: no proof of nothing. */
static void
verify_proofs(const uint8_t *data, size_t size)
{
	struct journal_header header = { .site = "s", .tenant = "t" };
	struct journal_known known = { 0 };

	if (size < 40 + 3 * 32)
		return;
	header.batch = be64_read(data);
	header.first_row = be64_read(data + 8);
	header.rows = be32_read(data + 16);
	known.batch = be64_read(data + 20);
	size_t split = data[28];

	data += 40;
	memcpy(header.root, data, 32);
	memcpy(header.history, data + 32, 32);
	memcpy(known.head, data + 64, 32);
	data += 96;
	size_t hashes = (size - 136) / 32;

	if (split > hashes)
		split = hashes;
	/* The fuzzer sees what hashes are compared with and puts it there: a
	 * root may be right for one row, but then not for another. */
	int err =
	    journal_row_verify(&header, known.batch, "x", 1, data, hashes);

	assert(err != 0 ||
	    journal_row_verify(&header, known.batch, "y", 1, data, hashes) !=
		0);
	journal_continues(&known, &header, header.root, data, split,
	    data + split * 32, hashes - split);
	struct journal_beat beat = { .count = header.rows };

	memcpy(beat.root, header.root, 32);
	journal_beat_verify(&beat, 1, known.head, 2, (uint32_t)known.batch,
	    data, hashes);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t secret[64];
	struct journal_walk *walk;

	if (size == 0)
		return 0;
	make_keys(secret);
	walk = malloc(sizeof(*walk));
	assert(walk != NULL);
	journal_walk_init(walk, secret + 32);
	switch (data[0] % 4) {
	case 0:
		read_row(data + 1, size - 1);
		break;
	case 1:
		walk_blob(walk, data + 1, size - 1);
		break;
	case 2:
		walk_rows(walk, data + 1, size - 1, secret);
		break;
	default:
		verify_proofs(data + 1, size - 1);
		break;
	}
	free(walk);
	return 0;
}
