/*
 * How long to wait before the site is tried again. Full jitter (a time between
 * nothing and the most), the most doubling with each failure; and after a
 * session that ended, spread over what the site has asked for: a site that
 * restarts would otherwise see all its agents in the same moment. A pure
 * function: randomness comes in. It must not know sessions or timers.
 */
#ifndef AGENT_KEEPER_BACKOFF_H
#define AGENT_KEEPER_BACKOFF_H

#include <stdint.h>

#define BACKOFF_FIRST_MS 200
#define BACKOFF_MAX_MS 30000
#define BACKOFF_DOUBLINGS 8
/** What a site may ask for at most. */
#define BACKOFF_SPREAD_MAX_MS 60000

struct backoff {
	unsigned int failures; /* attempts since the last session */
	/** Over how long the site wants its agents to come back; 0: at once. */
	uint32_t spread_ms;
	/** No wait is longer than this because of the spread, so that leases
	 * are renewed in time; 0: nothing is held. */
	uint32_t bound_ms;
};

/** ms; `random` is any of 2^32 alike. */
uint32_t backoff_ms(const struct backoff *backoff, uint32_t random);

#endif
