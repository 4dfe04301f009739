#include "agent/keeper/backoff.h"

/* The first attempts fall evenly into the spread. Whoever came too early waits
 * twice as long on average, so that those who wait together do not come faster
 * than the first did. */
static uint32_t
spread_most_ms(const struct backoff *backoff)
{
	uint32_t most = backoff->spread_ms < BACKOFF_SPREAD_MAX_MS
	    ? backoff->spread_ms
	    : BACKOFF_SPREAD_MAX_MS;

	if (backoff->failures > 0)
		most *= 2;
	if (backoff->bound_ms > 0 && most > backoff->bound_ms)
		most = backoff->bound_ms;
	return most;
}

uint32_t
backoff_ms(const struct backoff *backoff, uint32_t random)
{
	unsigned int doublings = backoff->failures < BACKOFF_DOUBLINGS
	    ? backoff->failures
	    : BACKOFF_DOUBLINGS;
	uint32_t most = (uint32_t)BACKOFF_FIRST_MS << doublings;
	uint32_t spread = spread_most_ms(backoff);

	if (most > BACKOFF_MAX_MS)
		most = BACKOFF_MAX_MS;
	if (most < spread)
		most = spread;
	return (uint32_t)((uint64_t)random * (most + 1) >> 32);
}
