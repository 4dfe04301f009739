/*
 * Token buckets as one number each: the moment at which the bucket is full
 * again (GCRA). A bucket of `limit` tokens fills within its window; a new one is
 * full. The number is site time, so that it can be kept: after a restart the
 * bucket is as full as if nothing had happened. It must not know whose it is.
 */
#ifndef APPLIANCE_LEDGER_BUCKETS_H
#define APPLIANCE_LEDGER_BUCKETS_H

#include <stdbool.h>
#include <stdint.h>

#define BUCKET_MINUTE_US (INT64_C(60) * 1000000)
#define BUCKET_HOUR_US (INT64_C(3600) * 1000000)

struct bucket_rate {
	uint32_t limit; /* tokens, at least 1 */
	int64_t window_us; /* at least `limit` */
};

/** Take a token; false: there is none, and nothing was taken. */
bool bucket_take(int64_t *full_at_us, const struct bucket_rate *rate,
    int64_t now_us);

/** Give one back that was taken. */
void bucket_give(int64_t *full_at_us, const struct bucket_rate *rate);

/** Tokens that are there now. */
uint32_t bucket_left(int64_t full_at_us, const struct bucket_rate *rate,
    int64_t now_us);
/** Seconds until it is full, and until there is a token again; rounded up. */
uint32_t bucket_full_s(int64_t full_at_us, const struct bucket_rate *rate,
    int64_t now_us);
uint32_t bucket_wait_s(int64_t full_at_us, const struct bucket_rate *rate,
    int64_t now_us);

#endif
