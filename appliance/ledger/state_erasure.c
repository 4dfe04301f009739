/* State: who was erased, by number. See state.h. */
#include "appliance/ledger/state.h"

#include "shared/base/err.h"

#include <string.h>

#define FORMAT 1
#define VALUE (1 + 8 + 8 + 8 + 4 + 4 + 4 + 8 + 32)

int
state_erasure_put(struct state *state, const struct state_erasure *erasure)
{
	uint8_t key[8], value[VALUE] = { FORMAT };

	be64_write(key, erasure->erasure);
	be64_write(value + 1, erasure->row_number);
	be64_write(value + 9, erasure->batch);
	be64_write(value + 17, (uint64_t)erasure->at);
	be32_write(value + 25, erasure->subjects);
	be32_write(value + 29, erasure->users);
	be32_write(value + 33, erasure->by.kind);
	be64_write(value + 37, erasure->by.id);
	memcpy(value + 45, erasure->document, 32);
	return store_append(&state->txn, STORE_ERASURES, key, sizeof key, value,
	    sizeof value);
}

int
state_erasure_read(struct state_erasure *out, const struct record_span *key,
    const struct record_span *value)
{
	const uint8_t *data = value->data;

	if (key->len != 8 || value->len != VALUE || data[0] != FORMAT)
		return ERR_CORRUPT;
	*out = (struct state_erasure){ .erasure = be64_read(key->data),
		.row_number = be64_read(data + 1),
		.batch = be64_read(data + 9),
		.at = (int64_t)be64_read(data + 17),
		.subjects = be32_read(data + 25),
		.users = be32_read(data + 29),
		.by = { be32_read(data + 33), be64_read(data + 37) } };
	memcpy(out->document, data + 45, 32);
	return 0;
}

int
state_erasure_next(uint64_t *number, const struct state *state)
{
	return store_next(number, &state->txn, STORE_ERASURES);
}

int
state_erasure_token(struct record_span *token, const struct state *state,
    uint64_t erasure)
{
	uint8_t key[8];

	be64_write(key, erasure);
	return store_get(token, &state->txn, STORE_ERASURE_TOKENS, key,
	    sizeof key);
}

int
state_erasure_token_put(struct state *state, uint64_t erasure,
    const void *token, size_t len)
{
	uint8_t key[8];

	be64_write(key, erasure);
	return store_append(&state->txn, STORE_ERASURE_TOKENS, key, sizeof key,
	    token, len);
}
