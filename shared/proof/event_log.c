#include "shared/proof/event_log.h"

#include "shared/base/err.h"

#include <sodium.h>
#include <stdbool.h>
#include <string.h>

#define NO_ACTION 3u
#define ALG_SHA256 0x000bu
#define ALGORITHMS_MAX 8
#define SHA1_BYTES 20
/* PCRs 17 to 22 begin with ones, for a launch that we have none of. */
#define ONES_FIRST 17
#define ONES_LAST 22

struct reader {
	const uint8_t *at;
	size_t left;
	bool failed;
};

struct algorithms {
	uint32_t count;
	struct {
		uint32_t id, size;
	} item[ALGORITHMS_MAX];
};

static const uint8_t *
take(struct reader *r, size_t len)
{
	const uint8_t *at = r->at;

	if (r->failed || len > r->left) {
		r->failed = true;
		return NULL;
	}
	r->at += len;
	r->left -= len;
	return at;
}

static uint32_t
take_le(struct reader *r, size_t bytes)
{
	const uint8_t *at = take(r, bytes);
	uint32_t value = 0;

	for (size_t i = 0; at != NULL && i < bytes; i++)
		value |= (uint32_t)at[i] << 8 * i;
	return value;
}

/* TCG_EfiSpecIDEvent: platform class u32, version u8 [3], size of numbers u8,
 * then the algorithms, then bytes of the maker. */
static int
read_head(struct algorithms *out, struct reader *r)
{
	static const char signature[16] = "Spec ID Event03";
	const uint32_t pcr = take_le(r, 4), type = take_le(r, 4);

	take(r, SHA1_BYTES);
	const uint32_t size = take_le(r, 4);
	const uint8_t *bytes = take(r, size);
	/* One after the other: what is not there has no length. */
	struct reader event = { bytes, size, r->failed };
	const uint8_t *name = take(&event, sizeof signature);

	take(&event, 8);
	out->count = take_le(&event, 4);
	if (event.failed || pcr != 0 || type != NO_ACTION ||
	    memcmp(name, signature, sizeof signature) != 0 || out->count == 0 ||
	    out->count > ALGORITHMS_MAX)
		return ERR_CORRUPT;
	bool sha256 = false;

	for (uint32_t i = 0; i < out->count; i++) {
		out->item[i].id = take_le(&event, 2);
		out->item[i].size = take_le(&event, 2);
		if (out->item[i].size == 0 || out->item[i].size > 64)
			return ERR_CORRUPT;
		if (out->item[i].id == ALG_SHA256)
			sha256 = out->item[i].size == 32;
	}
	return event.failed || !sha256 ? ERR_CORRUPT : 0;
}

static uint32_t
size_of(const struct algorithms *algorithms, uint32_t id)
{
	for (uint32_t i = 0; i < algorithms->count; i++)
		if (algorithms->item[i].id == id)
			return algorithms->item[i].size;
	return 0;
}

static void
extend(struct event_log *log, uint32_t pcr, const uint8_t digest[32])
{
	uint8_t both[64];

	memcpy(both, log->pcrs[pcr], 32);
	memcpy(both + 32, digest, 32);
	crypto_hash_sha256(log->pcrs[pcr], both, sizeof both);
	log->events++;
}

/* Without an event before it that extended PCR 0. */
static void
take_locality(struct event_log *log, uint32_t pcr, const uint8_t *event,
    uint32_t size)
{
	static const char signature[16] = "StartupLocality";

	if (pcr == 0 && size == sizeof signature + 1 &&
	    memcmp(event, signature, sizeof signature) == 0 && log->events == 0)
		log->pcrs[0][31] = event[sizeof signature];
}

static int
read_event(struct event_log *log, struct reader *r,
    const struct algorithms *algorithms)
{
	const uint32_t pcr = take_le(r, 4), type = take_le(r, 4);
	const uint32_t count = take_le(r, 4);
	const uint8_t *digest = NULL;

	if (r->failed || pcr >= EVENT_LOG_PCRS || count == 0 ||
	    count > algorithms->count)
		return ERR_CORRUPT;
	for (uint32_t i = 0; i < count; i++) {
		const uint32_t id = take_le(r, 2);
		const uint32_t size = size_of(algorithms, id);
		const uint8_t *bytes = take(r, size);

		if (size == 0 || bytes == NULL ||
		    (id == ALG_SHA256 && digest != NULL))
			return ERR_CORRUPT;
		if (id == ALG_SHA256)
			digest = bytes;
	}
	const uint32_t size = take_le(r, 4);
	const uint8_t *event = take(r, size);

	if (r->failed || digest == NULL)
		return ERR_CORRUPT;
	if (type == NO_ACTION)
		take_locality(log, pcr, event, size);
	else
		extend(log, pcr, digest);
	return 0;
}

int
event_log_replay(struct event_log *log, const uint8_t *data, size_t len)
{
	struct reader r = { data, len, false };
	struct algorithms algorithms = { .count = 0 };

	memset(log, 0, sizeof *log);
	for (uint32_t i = ONES_FIRST; i <= ONES_LAST; i++)
		memset(log->pcrs[i], 0xff, 32);
	if (len > EVENT_LOG_BYTES_MAX)
		return ERR_TOO_LARGE;
	int err = read_head(&algorithms, &r);

	for (uint32_t n = 0; err == 0 && r.left > 0; n++)
		err = n == EVENT_LOG_EVENTS_MAX
		    ? ERR_TOO_LARGE
		    : read_event(log, &r, &algorithms);
	return err;
}
