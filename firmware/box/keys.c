/* See keys.h. */
#include "firmware/box/keys.h"

bool
keys_page_up(struct keys *keys, const uint8_t *bytes, size_t len)
{
	static const uint8_t sequence[] = { 0x1b, '[', '5', '~' };
	bool found = false;

	for (size_t i = 0; i < len; i++) {
		if (bytes[i] == sequence[keys->matched])
			keys->matched++;
		else
			keys->matched = bytes[i] == sequence[0] ? 1 : 0;
		if (keys->matched == sizeof(sequence)) {
			found = true;
			keys->matched = 0;
		}
	}
	return found;
}
