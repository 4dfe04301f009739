/*
 * Where alerts, a hub's invoices and its news for a CRM go, and what is on its way there, in the
 * ledger's core. A channel is made and removed by rows; its name, address and
 * secret lie in a sealed document. What is owed to a channel is written in the
 * transaction of its row into an outbox, a table outside of the fold, and stays
 * there until somebody has taken it: so nothing is lost, and what is repeated
 * has the id it had. That of alerts is bounded, and what was tried often enough
 * is given up; what a hub owes lies in one that has neither bound nor end, the
 * bytes of news beside it.
 * It must not know how anything is brought there (deliver.h).
 */
#ifndef APPLIANCE_LEDGER_LEDGER_CHANNEL_H
#define APPLIANCE_LEDGER_LEDGER_CHANNEL_H

#include "appliance/courier/jobs.h"
#include "appliance/ledger/ledger_alert.h"

struct batch;

/** Alerts of one tenant, on their way or given up. */
#define OUTBOX_MAX 4096
#define DELIVERY_ID_BYTES 16
#define DELIVERY_ENTROPY 32

struct state_channel {
	uint64_t channel;
	uint32_t kind, least, takes;
	bool removed; /* its number is not given again */
	int64_t created_at;
	uint8_t document[16];
	uint8_t commitment[32];
	struct row_actor by;
};

/** In the order of `row`, which is that of what happened. */
struct state_delivery {
	uint64_t row; /* that owes it */
	uint64_t channel;
	uint32_t part; /* of news for a CRM: a row may owe several */
	uint8_t id[DELIVERY_ID_BYTES];
	uint32_t of; /* enum channel_takes */
	uint64_t alert; /* or the number of the invoice; of news the row */
	/** What is in order with it; of an invoice and of news the customer is
	 * its id, and of news the kind (enum crm_event_kind) its stage. */
	struct alert_subject subject;
	uint32_t event; /* enum alert_event_kind */
	uint32_t state; /* enum delivery_state */
	uint32_t attempts;
	int64_t created_at, due_at;
	uint32_t status;
	char error[96];
};

/* state_channel.c; as the readers of state.h. */
int state_channel(struct state_channel *out, const struct state *state,
    uint64_t channel);
int state_channel_put(struct state *state, const struct state_channel *channel);
int state_channel_read(struct state_channel *out, const struct record_span *key,
    const struct record_span *value);
/** The number of the next one. */
int state_channel_next(uint64_t *number, const struct state *state);
int state_delivery(struct state_delivery *out, const struct state *state,
    uint64_t row, uint64_t channel, uint32_t part);
int state_delivery_put(struct state *state,
    const struct state_delivery *delivery);
int state_delivery_delete(struct state *state,
    const struct state_delivery *delivery);
int state_delivery_read(struct state_delivery *out,
    const struct record_span *key, const struct record_span *value);
/** What news say, beside them: it goes with them. Borrowed. */
int state_delivery_body(struct record_span *out, const struct state *state,
    const struct state_delivery *delivery);
int state_delivery_body_put(struct state *state,
    const struct state_delivery *delivery, const struct record_span *body);
/** By its id; looks at all. */
int state_delivery_find(struct state_delivery *out, const struct state *state,
    const char id_hex[33]);

/** Owe what the row just emitted says to every channel that it is bad enough
 * for, or to `only` (0: to all). */
int delivery_add(struct batch *batch, uint64_t alert,
    const struct alert_subject *subject, enum alert_event_kind event,
    uint64_t only, const uint8_t entropy[DELIVERY_ENTROPY]);

/** Owe the row just emitted to every channel that takes such: the invoice of
 * that number. `customer`: what is his goes in order. */
int delivery_add_invoice(struct batch *batch, uint64_t invoice,
    uint64_t customer, const uint8_t entropy[DELIVERY_ENTROPY]);
/** Owe the row just emitted to every channel that takes crm: those bytes, after
 * all else of that customer. */
struct delivery_news {
	uint32_t event; /* enum crm_event_kind */
	uint32_t part; /* of the row: from 0 */
	uint64_t customer;
	struct record_span body;
};
int delivery_add_news(struct batch *batch, const struct delivery_news *news,
    const uint8_t entropy[DELIVERY_ENTROPY]);
/** How many channels would take it now. */
int delivery_channels(uint32_t *n, const struct state *state,
    enum channel_takes of);
/** What waits of the invoice that this row sent; `worst` (NULL: nobody asks) is
 * one of it. */
int delivery_waiting(uint32_t *n, struct state_delivery *worst,
    const struct state *state, uint64_t row);

struct ledger_channel_add {
	uint32_t kind, least, takes;
	struct record_span document; /* channel_document in MessagePack */
};

/** What became of a try. */
struct ledger_delivered {
	uint64_t row, channel;
	uint32_t part;
	uint8_t id[DELIVERY_ID_BYTES];
	bool delivered;
	uint32_t status;
	char error[96];
	int64_t due_at; /* of the next try */
	uint32_t attempts_max; /* then it is dead */
};

/** Every one in order; stops on non-zero, which is returned. */
int ledger_each_delivery(struct ledger_view *view,
    int (*each)(void *ctx, const struct state_delivery *delivery), void *ctx);

/** A job for the courier. */
struct delivery_job {
	uint64_t row, channel;
	uint32_t part;
	uint8_t id[DELIVERY_ID_BYTES];
	uint32_t attempts;
	enum courier_job kind;
	struct record_span payload; /* in the arena */
};
/** ERR_GONE: its channel or alert is not there any more. */
int ledger_delivery_job(struct delivery_job *out, struct ledger_view *view,
    const struct state_delivery *delivery, int64_t now_ms, struct arena *arena);

/** "t=1700000000,v1=HEX": HMAC-SHA256 of "1700000000." and the body. */
void delivery_sign(char out[128], const char *secret, int64_t now_ms,
    const void *body, size_t len);

#endif
