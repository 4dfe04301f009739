/* The document of an API key as MessagePack, ranges, hours and time zones as
 * text: what is taken can be asked, and says the same twice. */
#include "appliance/ledger/restrict.h"
#include "shared/base/err.h"
#include "shared/base/zone.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
try_document(const uint8_t *data, size_t size)
{
	static const uint8_t print[32] = { 1 };
	const struct restrict_facts facts = {
		.address = "192.0.2.7",
		.hostname = "build-7",
		.client_cn = "build-7",
		.certificate = print,
		.fingerprint = print,
		.lib_version = "1",
		.now_ms = INT64_C(1800000000000),
	};
	struct key_document document;
	struct restrict_rules *rules;
	struct record_error error = { .reason = "" };
	struct problem problem;
	enum restrict_print seen;
	struct arena arena = { 0 };

	if (record_read_msgpack(&document, &key_document_record, data, size,
		NULL, &arena, NULL) == 0) {
		if (restrict_compile(&rules, &document.restrictions, &error) ==
		    0) {
			int err =
			    restrict_check(rules, &seen, &facts, &problem);

			assert(err ==
			    restrict_check(rules, &seen, &facts, &problem));
			restrict_free(rules);
		} else {
			assert(error.field[0] != '\0');
		}
	}
	arena_release(&arena);
}

static void
try_text(const char *text)
{
	struct restrict_range range;
	const char *reason = NULL;
	char host[128];
	int minute = restrict_read_minute(text);

	assert(minute >= -1 && minute <= 24 * 60);
	assert(restrict_read_days(text) < 1u << 7);
	if (restrict_read_range(&range, text, &reason)) {
		assert(range.bits <= 128);
		assert(restrict_in_range(&range, range.address));
	} else {
		assert(reason != NULL);
	}
	if (restrict_read_host(host, text))
		assert(host[0] == '*' || restrict_host_fits(host, host));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);
	struct zone *zone;

	assert(text != NULL);
	if (size > 0)
		memcpy(text, data, size);
	text[size] = '\0';
	try_document(data, size);
	try_text(text);
	if (zone_read(&zone, data, size) == 0) {
		for (int64_t at = 0; at < INT64_C(4000000000);
		     at += 123456789) {
			int32_t offset = zone_offset(zone, at);

			assert(offset > -200 * 3600 && offset < 200 * 3600);
		}
		zone_free(zone);
	}
	free(text);
	return 0;
}
