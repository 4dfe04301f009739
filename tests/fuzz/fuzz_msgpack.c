/* MessagePack of strangers: what is read writes back to the same bytes, and
 * survives the way through JSON. The first byte picks the record. */
#include "shared/rpc/messages.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct record *const records[] = { &license_terms_record,
	&checkout_record, &checkout_reply_record, &join_create_record,
	&lease_page_record, &row_license_installed_record,
	&journal_batch_record, &journal_header_record };
#define N_RECORDS (sizeof(records) / sizeof(records[0]))

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	const struct record *record = records[data[0] % N_RECORDS];
	struct arena arena = { .max_bytes = (size_t)16 << 20 };
	struct buf json = { 0 }, packed = { 0 };
	void *value = malloc(record->size);

	assert(value != NULL);
	if (record_read_msgpack(value, record, data + 1, size - 1, NULL, &arena,
		NULL) == 0) {
		assert(record_check(record, value, NULL) == 0);
		record_write_msgpack(&packed, record, value);
		assert(packed.len == size - 1 &&
		    memcmp(packed.data, data + 1, packed.len) == 0);
		record_write_json(&json, record, value);
		assert(!json.failed);
		assert(record_read_json(value, record, (char *)json.data,
			   json.len, &arena, NULL) == 0);
		buf_clear(&packed);
		record_write_msgpack(&packed, record, value);
		assert(packed.len == size - 1 &&
		    memcmp(packed.data, data + 1, packed.len) == 0);
	}
	free(value);
	buf_release(&json);
	buf_release(&packed);
	arena_release(&arena);
	return 0;
}
