/* Cursors as text: which list, which place, and a checksum over both, so that
 * one of another list, or with a slip in it, is told from a good one. It is no
 * MAC: a cursor gives nobody anything. */
#include "shared/record/base64.h"
#include "shared/record/record_fields.h"

#include <sodium.h>
#include <string.h>

#define CURSOR_BYTES 12
#define PLACE_BYTES 8 /* the list's letter, seven bytes of the number */

static void
add_checksum(uint8_t bytes[CURSOR_BYTES])
{
	static const uint8_t key[] = "leasehold cursor";
	uint8_t hash[crypto_generichash_BYTES_MIN];

	crypto_generichash(hash, sizeof(hash), bytes, PLACE_BYTES, key,
	    sizeof(key) - 1);
	memcpy(bytes + PLACE_BYTES, hash, CURSOR_BYTES - PLACE_BYTES);
}

static void
make(uint8_t bytes[CURSOR_BYTES], uint8_t list, uint64_t number)
{
	bytes[0] = list;
	for (unsigned int i = 1; i < PLACE_BYTES; i++)
		bytes[i] = (uint8_t)(number >> 8 * (PLACE_BYTES - 1 - i));
	add_checksum(bytes);
}

void
record_cursor_write(char *out, uint8_t list, uint64_t number)
{
	uint8_t bytes[CURSOR_BYTES];

	make(bytes, list, number);
	out[base64_write(out, bytes, sizeof(bytes))] = '\0';
}

bool
record_cursor_read(uint64_t *number, uint8_t list, const char *text, size_t len)
{
	uint8_t bytes[CURSOR_BYTES], expected[CURSOR_BYTES];
	uint64_t value = 0;

	if (len != RECORD_CURSOR_TEXT || !base64_read(bytes, text, len))
		return false;
	for (unsigned int i = 1; i < PLACE_BYTES; i++)
		value = value << 8 | bytes[i];
	make(expected, list, value);
	if (memcmp(bytes, expected, sizeof(bytes)) != 0 ||
	    value >= UINT64_C(1) << 53)
		return false;
	*number = value;
	return true;
}
