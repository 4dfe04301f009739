/* State: channels, and what is on its way to them. See ledger_channel.h. */
#include "appliance/ledger/codec.h"
#include "appliance/ledger/ledger_channel.h"
#include "shared/base/err.h"
#include "shared/base/text.h"
#include "shared/rpc/messages_crm.h"

#define DELIVERY_KEY (8 + 8)
/* Of news a row may owe several. */
#define DELIVERY_KEY_MAX (DELIVERY_KEY + 4)
/* What it is of stands above what it tells. */
#define OF_SHIFT 8

/* --- channels ---------------------------------------------------------------- */

int
state_channel_read(struct state_channel *out, const struct record_span *key,
    const struct record_span *value)
{
	struct codec_reader r = codec_reader_of(value);

	memset(out, 0, sizeof *out);
	out->kind = codec_get_u32(&r);
	out->least = codec_get_u32(&r);
	out->removed = codec_get_u8(&r) != 0;
	out->created_at = (int64_t)codec_get_u64(&r);
	codec_get_bytes(out->document, &r, sizeof out->document);
	codec_get_bytes(out->commitment, &r, sizeof out->commitment);
	out->by.kind = codec_get_u32(&r);
	out->by.id = codec_get_u64(&r);
	/* It was not there when all took alerts. */
	if (r.left > 0)
		out->takes = codec_get_u32(&r);
	if (key->len != 8 || out->kind > CHANNEL_SYSLOG ||
	    out->least > ALERT_CRITICAL || out->takes > CHANNEL_CRM)
		r.failed = true;
	else
		out->channel = be64_read(key->data);
	return codec_end(&r, "channel");
}

int
state_channel(struct state_channel *out, const struct state *state,
    uint64_t channel)
{
	struct record_span value;
	uint8_t key[8];

	be64_write(key, channel);
	int err =
	    store_get(&value, &state->txn, STORE_CHANNELS, key, sizeof key);

	return err != 0 ? err
			: state_channel_read(out,
			      &(struct record_span){ key, sizeof key }, &value);
}

int
state_channel_put(struct state *state, const struct state_channel *channel)
{
	struct codec_writer w = { .len = 0 };
	uint8_t key[8];

	be64_write(key, channel->channel);
	codec_put_u8(&w, CODEC_FORMAT);
	codec_put_u32(&w, channel->kind);
	codec_put_u32(&w, channel->least);
	codec_put_u8(&w, channel->removed);
	codec_put_u64(&w, (uint64_t)channel->created_at);
	codec_put_bytes(&w, channel->document, sizeof channel->document);
	codec_put_bytes(&w, channel->commitment, sizeof channel->commitment);
	codec_put_u32(&w, channel->by.kind);
	codec_put_u64(&w, channel->by.id);
	if (channel->takes != CHANNEL_ALERTS)
		codec_put_u32(&w, channel->takes);
	return store_put(&state->txn, STORE_CHANNELS, key, sizeof key, w.data,
	    w.len);
}

int
state_channel_next(uint64_t *number, const struct state *state)
{
	return store_next(number, &state->txn, STORE_CHANNELS);
}

/* --- deliveries -------------------------------------------------------------- */

static size_t
write_key(uint8_t key[DELIVERY_KEY_MAX], uint64_t row, uint64_t channel,
    uint32_t part)
{
	be64_write(key, row);
	be64_write(key + 8, channel);
	if (part == 0)
		return DELIVERY_KEY;
	be32_write(key + 16, part);
	return DELIVERY_KEY_MAX;
}

static bool
read_key(struct state_delivery *out, const struct record_span *key)
{
	const uint8_t *at = key->data;

	if (key->len != DELIVERY_KEY && key->len != DELIVERY_KEY_MAX)
		return false;
	out->row = be64_read(at);
	out->channel = be64_read(at + 8);
	out->part = key->len == DELIVERY_KEY_MAX ? be32_read(at + 16) : 0;
	return true;
}

int
state_delivery_read(struct state_delivery *out, const struct record_span *key,
    const struct record_span *value)
{
	struct codec_reader r = codec_reader_of(value);

	memset(out, 0, sizeof *out);
	codec_get_bytes(out->id, &r, sizeof out->id);
	out->alert = codec_get_u64(&r);
	out->subject.kind = codec_get_u32(&r);
	out->subject.about = codec_get_u32(&r);
	out->subject.id = codec_get_u64(&r);
	out->subject.stage = codec_get_u32(&r);
	out->event = codec_get_u32(&r);
	out->of = out->event >> OF_SHIFT;
	out->event &= (1u << OF_SHIFT) - 1;
	out->state = codec_get_u32(&r);
	out->attempts = codec_get_u32(&r);
	out->created_at = (int64_t)codec_get_u64(&r);
	out->due_at = (int64_t)codec_get_u64(&r);
	out->status = codec_get_u32(&r);
	if (!read_key(out, key) || r.left >= sizeof out->error ||
	    out->event > ALERT_EVENT_MADE || out->state > DELIVERY_IS_DEAD ||
	    out->subject.kind >= ALERT_KINDS || out->of > CHANNEL_CRM ||
	    out->subject.about > ALERT_OF_CHANNEL ||
	    (out->of == CHANNEL_CRM && out->subject.stage >= CRM_EVENT_KINDS))
		r.failed = true;
	if (!r.failed && r.left > 0)
		codec_get_bytes(out->error, &r, r.left);
	return codec_end(&r, "delivery");
}

int
state_delivery(struct state_delivery *out, const struct state *state,
    uint64_t row, uint64_t channel, uint32_t part)
{
	struct record_span value;
	uint8_t key[DELIVERY_KEY_MAX];
	size_t len = write_key(key, row, channel, part);
	int err = store_get(&value, &state->txn, STORE_OUTBOX, key, len);

	if (err == ERR_NOT_FOUND_INTERNAL)
		err =
		    store_get(&value, &state->txn, STORE_OUTBOX_KEPT, key, len);
	return err != 0
	    ? err
	    : state_delivery_read(out,
		  &(struct record_span){ key, (uint32_t)len }, &value);
}

static enum store_table
table_of(const struct state_delivery *delivery)
{
	return delivery->of == CHANNEL_ALERTS ? STORE_OUTBOX
					      : STORE_OUTBOX_KEPT;
}

int
state_delivery_put(struct state *state, const struct state_delivery *delivery)
{
	struct codec_writer w = { .len = 0 };
	uint8_t key[DELIVERY_KEY_MAX];
	size_t len =
	    write_key(key, delivery->row, delivery->channel, delivery->part);

	codec_put_u8(&w, CODEC_FORMAT);
	codec_put_bytes(&w, delivery->id, sizeof delivery->id);
	codec_put_u64(&w, delivery->alert);
	codec_put_u32(&w, delivery->subject.kind);
	codec_put_u32(&w, delivery->subject.about);
	codec_put_u64(&w, delivery->subject.id);
	codec_put_u32(&w, delivery->subject.stage);
	codec_put_u32(&w, delivery->event | delivery->of << OF_SHIFT);
	codec_put_u32(&w, delivery->state);
	codec_put_u32(&w, delivery->attempts);
	codec_put_u64(&w, (uint64_t)delivery->created_at);
	codec_put_u64(&w, (uint64_t)delivery->due_at);
	codec_put_u32(&w, delivery->status);
	codec_put_bytes(&w, delivery->error, strlen(delivery->error));
	return store_put(&state->txn, table_of(delivery), key, len, w.data,
	    w.len);
}

int
state_delivery_delete(struct state *state,
    const struct state_delivery *delivery)
{
	uint8_t key[DELIVERY_KEY_MAX];
	size_t len =
	    write_key(key, delivery->row, delivery->channel, delivery->part);
	int err = store_delete(&state->txn, table_of(delivery), key, len);

	if (err != 0 || delivery->of != CHANNEL_CRM)
		return err;
	err = store_delete(&state->txn, STORE_OUTBOX_BODIES, key, len);
	return err == ERR_NOT_FOUND_INTERNAL ? 0 : err;
}

int
state_delivery_body(struct record_span *out, const struct state *state,
    const struct state_delivery *delivery)
{
	uint8_t key[DELIVERY_KEY_MAX];
	size_t len =
	    write_key(key, delivery->row, delivery->channel, delivery->part);

	return store_get(out, &state->txn, STORE_OUTBOX_BODIES, key, len);
}

int
state_delivery_body_put(struct state *state,
    const struct state_delivery *delivery, const struct record_span *body)
{
	uint8_t key[DELIVERY_KEY_MAX];
	size_t len =
	    write_key(key, delivery->row, delivery->channel, delivery->part);

	return store_put(&state->txn, STORE_OUTBOX_BODIES, key, len, body->data,
	    body->len);
}

struct finding {
	struct state_delivery *out;
	const char *id;
};

static int
compare(void *ctx, const struct record_span *key,
    const struct record_span *value)
{
	struct finding *finding = ctx;
	char hex[33];
	int err = state_delivery_read(finding->out, key, value);

	if (err != 0)
		return err;
	text_to_hex(hex, finding->out->id, sizeof finding->out->id);
	return strcmp(hex, finding->id) == 0 ? 1 : 0;
}

int
state_delivery_find(struct state_delivery *out, const struct state *state,
    const char id_hex[33])
{
	struct finding finding = { out, id_hex };
	int err =
	    store_each(&state->txn, STORE_OUTBOX, NULL, 0, compare, &finding);

	if (err == 0)
		err = store_each(&state->txn, STORE_OUTBOX_KEPT, NULL, 0,
		    compare, &finding);
	if (err == 0)
		return ERR_NOT_FOUND_INTERNAL;
	return err == 1 ? 0 : err;
}

struct counting {
	uint64_t row;
	uint32_t n;
	struct state_delivery *worst;
};

static int
count_row(void *ctx, const struct record_span *key,
    const struct record_span *value)
{
	struct counting *counting = ctx;
	struct state_delivery delivery;
	int err = state_delivery_read(&delivery, key, value);

	if (err != 0)
		return err;
	if (delivery.row != counting->row)
		return 1; /* the rows behind it */
	if (delivery.of != CHANNEL_INVOICES)
		return 0;
	if (counting->worst != NULL &&
	    (counting->n == 0 || delivery.attempts > counting->worst->attempts))
		*counting->worst = delivery;
	counting->n++;
	return 0;
}

int
delivery_waiting(uint32_t *n, struct state_delivery *worst,
    const struct state *state, uint64_t row)
{
	struct counting counting = { row, 0, worst };
	uint8_t key[8];

	be64_write(key, row);
	int err = store_each(&state->txn, STORE_OUTBOX_KEPT, key, sizeof key,
	    count_row, &counting);

	*n = counting.n;
	return err == 1 ? 0 : err;
}
