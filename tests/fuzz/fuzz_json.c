/* JSON of strangers: what is read, written and read again says the same. The
 * first byte picks the record. */
#include "shared/rpc/local.h"
#include "shared/rpc/messages.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct record *const records[] = { &license_terms_record,
	&checkout_record, &checkout_reply_record, &join_create_record,
	&lease_page_record, &row_license_installed_record, &batch_page_record,
	&local_status_record };
#define N_RECORDS (sizeof(records) / sizeof(records[0]))

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	const struct record *record = records[data[0] % N_RECORDS];
	const char *text = (const char *)data + 1;
	struct arena arena = { .max_bytes = (size_t)16 << 20 };
	struct buf json = { 0 }, packed = { 0 }, again = { 0 };
	void *value = malloc(record->size);

	assert(value != NULL);
	if (record_read_json(value, record, text, size - 1, &arena, NULL) ==
	    0) {
		assert(record_check(record, value, NULL) == 0);
		record_write_json(&json, record, value);
		record_write_msgpack(&packed, record, value);
		assert(!json.failed && !packed.failed);
		assert(record_read_json(value, record, (char *)json.data,
			   json.len, &arena, NULL) == 0);
		record_write_msgpack(&again, record, value);
		assert(again.len == packed.len &&
		    memcmp(again.data, packed.data, packed.len) == 0);
		assert(record_read_msgpack(value, record, packed.data,
			   packed.len, NULL, &arena, NULL) == 0);
	}
	free(value);
	buf_release(&json);
	buf_release(&packed);
	buf_release(&again);
	arena_release(&arena);
	return 0;
}
