/* The TPM's event log, which the firmware wrote: none is read beyond its end.
 * Behind a true head, so that events are reached at once; and as it is. */
#include "shared/proof/event_log.h"
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

static const uint8_t head[] = { 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 37, 0, 0, 0, 'S', 'p', 'e', 'c',
	' ', 'I', 'D', ' ', 'E', 'v', 'e', 'n', 't', '0', '3', 0, 0, 0, 0, 0, 0,
	0, 0, 0, 2, 0, 0, 0, 4, 0, 20, 0, 11, 0, 32, 0, 0 };

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct event_log log;
	uint8_t *whole = malloc(sizeof head + size);

	(void)event_log_replay(&log, data, size);
	if (whole == NULL)
		return 0;
	memcpy(whole, head, sizeof head);
	if (size > 0)
		memcpy(whole + sizeof head, data, size);
	(void)event_log_replay(&log, whole, sizeof head + size);
	free(whole);
	return 0;
}
