/*
 * What the site tells of the start of its machine: the version of its image, the
 * event log of its TPM and whether that gives the PCRs, and a quote of them by
 * the attestation key over each report (shared/report, report_subject). A plain
 * Debian machine has no event log that the daemon may read, and says so. It must
 * not know which values are good: that is the vendor's to know.
 */
#ifndef APPLIANCE_LEDGER_MEASURE_H
#define APPLIANCE_LEDGER_MEASURE_H

#include "shared/report/report.h"

struct identity;

/** For report_source.quote: asks the TPM while a report is made. */
struct measure {
	struct identity *identity; /* borrowed; NULL: no TPM */
	/** So that the core, which makes reports, knows no TPM. */
	int (*quote)(struct measure *measure, struct quote *out,
	    const uint8_t subject[32]);
	struct report_measured said; /* without the quote */
};

/** Look at the files of the appliance; NULL: this site is none. Files that are
 * not there are no error. May block on the disk and the TPM. */
void measure_look(struct measure *measure, struct identity *identity,
    const char *appliance);

#endif
