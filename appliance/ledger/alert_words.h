/*
 * What an alert says, in words, and the one command that answers it. Values of
 * strangers are shown as text: nothing in them ends a line or steers a
 * terminal. It must not know where alerts come from nor where they go.
 */
#ifndef APPLIANCE_LEDGER_ALERT_WORDS_H
#define APPLIANCE_LEDGER_ALERT_WORDS_H

#include "shared/rpc/messages_alert.h"

/** Which of a tenant's limits an ALERT_QUOTA is about, in its stage. */
enum alert_quota {
	ALERT_QUOTA_CALLS, /* of a day */
	ALERT_QUOTA_DEVICES,
	ALERT_QUOTA_KEYS,
	ALERT_QUOTA_USERS,
	ALERT_QUOTAS,
};

/** Fills about, severity, text and answer; the rest of `view` is filled in, its
 * address, host and fingerprint are made harmless. */
void alert_words(struct alert_view *view, const struct alert_subject *subject,
    uint64_t value, uint64_t limit, const char *tenant);

/** Is the first worse than the other, or as bad and newer? */
bool alert_is_worse(uint32_t severity, int64_t last_at, uint32_t than,
    int64_t than_last_at);
/** enum alert_severity. */
uint32_t alert_severity_of(const struct alert_subject *subject);
/** Anything but printable UTF-8 becomes "?". */
void alert_clean(char *text);

#endif
