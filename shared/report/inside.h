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
	uint8_t user[SUBJECT_BYTES], host[SUBJECT_BYTES]; /* zero: unknown */
	const struct row_origin *origin; /* of a lease that was adopted */
};

/** By its kind, which its first bytes say: may a report show it at all? */
bool report_may_show(const uint8_t *data, size_t len);
/** Zero for rows that are not about seats. ERR_CORRUPT, ERR_NOMEM. */
int report_seats_of(struct report_seats *out, const struct row *row,
    struct arena *arena);

/** Editions that a report shows, by license and digest: each is found at once,
 * however many a site shows. */
#define REPORT_EDITIONS_KEY 16
struct report_editions {
	const struct report_installed *list; /* borrowed */
	uint32_t *slots; /* place in the list, + 1 */
	uint32_t mask;
	uint8_t key[REPORT_EDITIONS_KEY];
};
/** Empty, for a list that will have `room` at most. The key must be one that
 * nobody can choose together with the digests. ERR_NOMEM. */
int report_editions_begin(struct report_editions *editions,
    const struct report_installed *list, uint32_t room,
    const uint8_t key[REPORT_EDITIONS_KEY], struct arena *arena);
/** What stands at that place of the list; of two that are alike the first is
 * found. */
void report_editions_add(struct report_editions *editions, uint32_t place);
/** NULL: it is not there. */
const struct report_installed *report_editions_find(const struct report_editions
							*editions,
    uint64_t license, const uint8_t digest[32]);

/** Metrics of the vendor's licenses while a report is made; zero is empty. */
struct report_usage {
	const struct report_source *source;
	const char *vendor;
	struct report_usage_license *licenses;
	uint32_t n_licenses;
	struct report_hour *pending; /* of the batch that is looked at */
	uint32_t n_pending;
	struct report_hour *hours; /* of those that were taken */
	uint32_t n_hours;
	uint16_t *slots; /* where each is, + 1 */
	uint64_t top; /* highest sum */
};
/** Rows in their order; those that say nothing of metrics are passed over. */
int report_usage_see(struct report_usage *usage, const struct row *row,
    int64_t time);
/** Is there room for what is pending? One batch alone always has. */
bool report_usage_fits(const struct report_usage *usage);
/** What is pending counts. ERR_NOMEM. */
int report_usage_take(struct report_usage *usage);
void report_usage_release(struct report_usage *usage);

/** Who is named by the rows of a report in the making: two ids a row, by the
 * row's place, so that what was not taken is written over. */
struct report_named {
	uint8_t (*subjects)[SUBJECT_BYTES]; /* NULL: names are not told */
};
/** What a row needs in the body at most. */
#define REPORT_NAMED_ROOM ((size_t)2 * (SUBJECT_BYTES + 128 + 16))
/** ERR_NOMEM. */
int report_named_begin(struct report_named *named,
    const struct report_source *source);
void report_named_see(struct report_named *named, uint32_t row,
    const struct report_seats *seats);
/** Each name once, of the first `rows`; what was erased is left out. */
int report_named_list(struct record_list *names, struct report_named *named,
    uint32_t rows, const struct report_source *source, struct arena *arena);
void report_named_release(struct report_named *named);

int64_t report_hour_start(int64_t time);
/** Two struct report_hour, for qsort: license, serial, seats before metrics,
 * feature, start. */
int report_hour_compare(const void *a, const void *b);

struct report_mark report_mark_of(uint64_t sequence,
    const struct journal_header *header, const uint8_t head[32]);

#endif
