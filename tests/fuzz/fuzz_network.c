/* network.ini from a stick that anybody may have written: what is taken becomes
 * a unit of harmless lines, and is the same when it is read again. */
#include "firmware/box/network.h"
#include "shared/base/err.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Every line is a section, a comment of ours, or KEY=VALUE without blanks. */
static void
check_unit(const char *text)
{
	while (*text != '\0') {
		size_t len = strcspn(text, "\n");

		assert(text[len] == '\n');
		if (text[0] != '#')
			for (size_t i = 0; i < len; i++)
				assert(text[i] > ' ' && text[i] < 0x7f);
		text += len + 1;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf unit = { .max = 16384 }, ntp = { .max = 4096 },
		   words = { .max = 1024 };
	struct network network;
	char error[120] = "?";
	int rc = network_read(&network, "f", (const char *)data, size, error,
	    sizeof(error));

	assert(rc == 0 || rc == ERR_BAD_REQUEST);
	assert(memchr(error, '\0', sizeof(error)) != NULL);
	if (rc == 0) {
		network_write_unit(&unit, &network);
		network_write_ntp(&ntp, &network);
		network_describe(&words, &network);
		assert(!unit.failed && !ntp.failed && !words.failed);
		check_unit(buf_text(&unit));
		if (ntp.len != 0)
			check_unit(buf_text(&ntp));
	} else {
		for (const char *p = error; *p != '\0'; p++)
			assert((uint8_t)*p >= 0x20 && *p != 0x7f);
	}
	buf_release(&unit);
	buf_release(&ntp);
	buf_release(&words);
	return 0;
}
