/*
 * Alerts in the ledger's core: what somebody must know, as rows and state. One
 * alert is open for one subject (kind, what it is about, stage) at a time; what
 * happens again meanwhile is counted in it. It is acknowledged by an admin, and
 * closed when what it is about is over. Addresses and hosts are subject ids, in
 * rows and in the tables. It must not know who finds out what happens
 * (alerts.h), nor in which words it is told (alert_words.h).
 */
#ifndef APPLIANCE_LEDGER_LEDGER_ALERT_H
#define APPLIANCE_LEDGER_LEDGER_ALERT_H

#include "appliance/ledger/ledger.h"
#include "appliance/ledger/state.h"
#include "shared/rpc/messages_alert.h"

/** Of those that are closed the newest are kept, so many numbers back. The fold
 * goes by it: it stays as it is. */
#define ALERTS_KEPT 4096

/** LEDGER_ALERT: it happened (count not 0), it is over, or both, in that
 * order. The reply is struct ledger_alerted. */
struct ledger_alert {
	struct alert_subject subject;
	char address[64]; /* of the first time, or "" */
	char host[128];
	uint8_t fingerprint[32]; /* zero: none */
	uint64_t value, limit;
	uint64_t count;
	int64_t first_at, last_at;
	bool over;
	uint32_t why; /* enum alert_end */
};

struct state_alert {
	uint64_t alert;
	struct alert_subject subject;
	uint8_t address[SUBJECT_BYTES];
	uint8_t host[SUBJECT_BYTES];
	uint8_t fingerprint[32];
	uint64_t value, limit;
	uint64_t count;
	int64_t opened_at;
	int64_t first_at;
	int64_t last_at;
	int64_t acknowledged_at; /* 0: not */
	struct row_actor by; /* who did */
	int64_t closed_at; /* 0: it is open */
	uint32_t why; /* enum alert_end */
};

/* state_alert.c; as the readers of state.h. */
int state_alert(struct state_alert *out, const struct state *state,
    uint64_t alert);
int state_alert_put(struct state *state, const struct state_alert *alert);
int state_alert_delete(struct state *state, uint64_t alert);
int state_alert_read(struct state_alert *out, const struct record_span *key,
    const struct record_span *value);
/** The number of the next one. */
int state_alert_next(uint64_t *number, const struct state *state);
/** The one that is open for a subject. */
int state_alert_open(uint64_t *alert, const struct state *state,
    const struct alert_subject *subject);
int state_alert_open_put(struct state *state,
    const struct alert_subject *subject, uint64_t alert);
int state_alert_open_delete(struct state *state,
    const struct alert_subject *subject);

/** Those that are open, in no order that means anything; stops on non-zero,
 * which is returned. */
int ledger_each_alert(struct ledger_view *view,
    int (*each)(void *ctx, const struct state_alert *alert), void *ctx);
/** How many are open, by kind. */
int ledger_count_alerts(uint64_t counts[ALERT_KINDS], struct ledger_view *view);
/** In words. */
int ledger_alert_view(struct alert_view *out, struct ledger_view *view,
    const struct state_alert *alert);

#endif
