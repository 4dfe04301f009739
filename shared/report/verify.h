/* How a report is verified, among the files that do it: verify.c looks at the
 * report as a whole, verify_rows.c at each batch and row that it shows. For
 * report_verify alone; see report.h for what is promised of it. */
#ifndef SHARED_REPORT_VERIFY_H
#define SHARED_REPORT_VERIFY_H

#include "shared/report/inside.h"

/** Of the functions here, beside 0 and a fault: the finding says why. */
#define REPORT_REFUSED 1

/* How far the overage numbers of a license are. */
struct counting {
	uint64_t license;
	uint64_t last;
	uint32_t generation; /* of its row */
};

struct verifying {
	const struct report_known *known;
	struct report_finding *out;
	struct arena *arena;
	const struct report *report;
	struct report_body body;
	struct journal_header last;
	uint8_t last_head[32];
	bool corrected; /* the clock went back within */
	struct report_editions editions; /* of those it shows */
	struct counting *licenses;
	uint32_t n_licenses;
	uint32_t n_rows;
	uint64_t shown; /* overage seats, `again` included */
};

/** The answer and why, into the finding; cut to what it holds. Returns
 * REPORT_REFUSED. */
int report_refuse(struct report_finding *out, enum report_answer answer,
    const char *format, ...) __attribute__((format(printf, 3, 4)));

/**
 * Every batch that it shows is signed and of the journal that ends with `last`,
 * and every row is in its batch; the finding gets what they say: overage seats,
 * licenses, rollbacks. Wants the body read and `last` checked. Returns 0,
 * REPORT_REFUSED or a fault of the store or of memory.
 */
int report_verify_batches(struct verifying *v);

#endif
