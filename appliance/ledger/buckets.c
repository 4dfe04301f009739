#include "appliance/ledger/buckets.h"

static int64_t
cost_of(const struct bucket_rate *rate)
{
	return rate->window_us / rate->limit;
}

/* What is missing in the bucket, in time. After its limit was raised, or the
 * clock was put back, more may seem to be missing than there is room for. */
static int64_t
missing(int64_t full_at_us, const struct bucket_rate *rate, int64_t now_us)
{
	int64_t most = cost_of(rate) * rate->limit;

	if (full_at_us <= now_us)
		return 0;
	return full_at_us - now_us < most ? full_at_us - now_us : most;
}

bool
bucket_take(int64_t *full_at_us, const struct bucket_rate *rate, int64_t now_us)
{
	int64_t cost = cost_of(rate);
	int64_t after = missing(*full_at_us, rate, now_us) + cost;

	if (after > cost * rate->limit)
		return false;
	*full_at_us = now_us + after;
	return true;
}

void
bucket_give(int64_t *full_at_us, const struct bucket_rate *rate)
{
	*full_at_us -= cost_of(rate);
}

uint32_t
bucket_left(int64_t full_at_us, const struct bucket_rate *rate, int64_t now_us)
{
	int64_t cost = cost_of(rate);

	return (
	    uint32_t)((cost * rate->limit - missing(full_at_us, rate, now_us)) /
	    cost);
}

static uint32_t
seconds(int64_t us)
{
	return (uint32_t)((us + 999999) / 1000000);
}

uint32_t
bucket_full_s(int64_t full_at_us, const struct bucket_rate *rate,
    int64_t now_us)
{
	return seconds(missing(full_at_us, rate, now_us));
}

uint32_t
bucket_wait_s(int64_t full_at_us, const struct bucket_rate *rate,
    int64_t now_us)
{
	int64_t cost = cost_of(rate);
	int64_t wait =
	    missing(full_at_us, rate, now_us) + cost - cost * rate->limit;

	return wait > 0 ? seconds(wait) : 0;
}
