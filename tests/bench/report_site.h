/*
 * Sites by the thousands, each a key, a journal and one small report, sealed to
 * a hub as a site seals it: for benchmarks of a hub. Journals and reports are
 * made by the true code (shared/journal, shared/report). It must not know the
 * ledger.
 */
#ifndef TESTS_BENCH_REPORT_SITE_H
#define TESTS_BENCH_REPORT_SITE_H

#include "shared/base/buf.h"

#include <stdint.h>

/** A license as the hub issued it, installed at the site. */
struct report_site_license {
	char license_id[64];
	uint8_t digest[32];
};

void report_site_key(uint8_t public_key[32], uint64_t site);
/** Append the activation request of a site, signed. */
void report_site_request(struct buf *token, uint64_t site, int64_t time);
/** Append the file of its first report: the license and `seats` overage seats. */
void report_site_file(struct buf *file, uint64_t site,
    const struct report_site_license *license, uint32_t seats,
    const char *vendor, const uint8_t hub_key[32]);

#endif
