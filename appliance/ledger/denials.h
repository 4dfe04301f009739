/*
 * Refused checkouts of devices that proved themselves, gathered by device,
 * product (and its license), code and minute, so that a refused application that tries again and
 * again makes one row with a count, not a row a try (DESIGN 5). In memory until
 * its minute is over: a crash loses at most a minute of counts. Bounded: what
 * comes beyond is counted without its product, then only as `lost`. It must
 * not know how rows come about.
 */
#ifndef APPLIANCE_LEDGER_DENIALS_H
#define APPLIANCE_LEDGER_DENIALS_H

#include "shared/journal/rows.h"

#define DENIALS_BUCKETS 1024
#define DENIALS_MAX 8192
/** Products and codes of one device in a minute that get rows of their own. */
#define DENIALS_PER_DEVICE 32
/** Taken out at once, so that the loop goes on. */
#define DENIALS_FLUSH 256

struct denial {
	struct denial *next;
	struct row_denied row;
	/** Of an API key: what the first of them came with. */
	bool of_key;
	char address[64];
	char host[128];
	char user[128];
	uint8_t fingerprint[32];
};

/** Zero-initialised is empty and valid. */
struct denials {
	struct denial *buckets[DENIALS_BUCKETS];
	size_t count;
	uint64_t lost;
};

/** Does a refusal with this error make a row? Not when it says something about
 * the moment (unavailable) or the request (bad_request, gone). */
bool denials_want(int err);

/** license 0: no installed one fits. Where it was counted; NULL: it is lost. */
struct denial *denials_add(struct denials *denials, uint64_t device,
    uint64_t license, const char *product, const char *code, int64_t now_ms);
/** The device is an API key; only of the first is this written down. NULL:
 * nothing. */
void denials_say_from(struct denial *denial, const char *address,
    const char *host, const char *user, const uint8_t fingerprint[32]);

/** Take out one of a minute before `minute` (ms, its start); the caller frees
 * it. NULL when there is none. */
struct denial *denials_take(struct denials *denials, int64_t minute);

void denials_release(struct denials *denials);

#endif
