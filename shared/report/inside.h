/*
 * Between the files of this part: which rows a report shows and what of them
 * counts, said once for who makes and who verifies it.
 */
#ifndef SHARED_REPORT_INSIDE_H
#define SHARED_REPORT_INSIDE_H

#include "shared/report/report.h"

#define REPORT_HOUR_MS INT64_C(3600000)

/** What a shown row says of seats; count 0: it has no overage. */
struct report_seats {
	uint64_t license, lease, device;
	uint64_t first;
	uint32_t count;
	uint8_t digest[32]; /* zero: the row does not say */
	char feature[64];
	const struct row_origin *origin; /* of a lease that was adopted */
};

/** By its kind, which its first bytes say: may a report show it at all? */
bool report_may_show(const uint8_t *data, size_t len);
/** Zero for rows that are not about seats. ERR_CORRUPT, ERR_NOMEM. */
int report_seats_of(struct report_seats *out, const struct row *row,
    struct arena *arena);

int64_t report_hour_start(int64_t time);
/** Two struct report_hour, for qsort: license, serial, seats before metrics,
 * feature, start. */
int report_hour_compare(const void *a, const void *b);

struct report_mark report_mark_of(uint64_t sequence,
    const struct journal_header *header, const uint8_t head[32]);

#endif
