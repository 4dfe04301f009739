#include "appliance/ledger/measure.h"

#include "appliance/ledger/update_files.h"
#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/base/text.h"
#include "shared/proof/event_log.h"
#include "shared/proof/quote.h"

#include <errno.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What the log gives, and what the TPM says now. PCR 11 alone goes on after the
 * copy was made: systemd writes its phases to a log of its own. */
static uint32_t
judge_log(const struct event_log *log, const struct quote *now)
{
	for (uint32_t i = 0; i < QUOTE_PCRS; i++) {
		const uint32_t pcr = quote_pcr(i);

		if (pcr > EVENT_LOG_FIRMWARE_PCR)
			continue;
		if (memcmp(log->pcrs[pcr], now->pcrs + i * QUOTE_PCR_BYTES,
			QUOTE_PCR_BYTES) != 0)
			return REPORT_LOG_CONTRADICTS;
	}
	return REPORT_LOG_REPLAYS;
}

static void
look_at_log(struct measure *measure, const char *appliance)
{
	static const uint8_t nothing[32];
	struct event_log *log = calloc(1, sizeof *log);
	char path[PATH_MAX];
	uint8_t *data = NULL;
	struct quote now;
	size_t len = 0;

	snprintf(path, sizeof path, "%s/eventlog", appliance);
	if (log == NULL ||
	    file_read(&data, &len, path, EVENT_LOG_BYTES_MAX) != 0) {
		if (log != NULL && errno != ENOENT)
			log_warn("ledger", "the event log %s does not read: %s",
			    path, strerror(errno));
		free(log);
		return;
	}
	crypto_hash_sha256(measure->said.log_digest, data, len);
	measure->said.log = REPORT_LOG_UNREADABLE;
	if (event_log_replay(log, data, len) != 0)
		log_warn("ledger", "the event log %s is no whole one", path);
	else if (identity_quote(&now, measure->identity, nothing) == 0)
		measure->said.log = judge_log(log, &now);
	if (measure->said.log == REPORT_LOG_CONTRADICTS)
		log_error("ledger",
		    "the event log %s does not give the PCRs of the box's TPM: "
		    "the report says so",
		    path);
	free(data);
	free(log);
}

static int
quote_report(struct measure *measure, struct quote *out,
    const uint8_t subject[32])
{
	if (measure->identity == NULL)
		return ERR_UNAVAILABLE;
	int err = identity_quote(out, measure->identity, subject);

	if (err != 0)
		log_warn("ledger",
		    "the report goes without a word of the box's TPM: %s",
		    err_str(err));
	return err;
}

void
measure_look(struct measure *measure, struct identity *identity,
    const char *appliance)
{
	struct update_image image;

	*measure =
	    (struct measure){ .identity = identity, .quote = quote_report };
	if (identity == NULL || appliance == NULL || appliance[0] == '\0')
		return;
	if (update_files_image(&image, appliance) == 0)
		text_copy(measure->said.image, sizeof measure->said.image,
		    image.version);
	look_at_log(measure, appliance);
}
