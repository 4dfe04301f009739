#include "appliance/ledger/beat.h"

#include <string.h>

int
beat_sign(struct buf *token, const struct journal_header *newest,
    const uint8_t head[32], int64_t now_ms, const uint8_t *leaves,
    uint32_t count, const uint8_t secret[TOKEN_SECRET_BYTES])
{
	struct journal_beat beat = {
		.generation = newest->generation,
		.batch = newest->batch,
		.time = now_ms,
		.count = count,
	};

	memcpy(beat.site, newest->site, sizeof(beat.site));
	memcpy(beat.tenant, newest->tenant, sizeof(beat.tenant));
	memcpy(beat.head, head, sizeof(beat.head));
	merkle_root(beat.root, &merkle_blake2b, leaves, count);
	return license_document_sign(token, &journal_beat_record, &beat,
	    TOKEN_BEAT, secret);
}
