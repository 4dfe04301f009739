/* State: alerts by number, and those that are open by what they are about. See
 * ledger_alert.h. */
#include "appliance/ledger/codec.h"
#include "appliance/ledger/ledger_alert.h"

#define OPEN_KEY (4 + 4 + 8 + 4)

int
state_alert_read(struct state_alert *out, const struct record_span *key,
    const struct record_span *value)
{
	struct codec_reader r = codec_reader_of(value);

	memset(out, 0, sizeof *out);
	out->subject.kind = codec_get_u32(&r);
	out->subject.about = codec_get_u32(&r);
	out->subject.id = codec_get_u64(&r);
	out->subject.stage = codec_get_u32(&r);
	codec_get_bytes(out->address, &r, sizeof out->address);
	codec_get_bytes(out->host, &r, sizeof out->host);
	codec_get_bytes(out->fingerprint, &r, sizeof out->fingerprint);
	out->value = codec_get_u64(&r);
	out->limit = codec_get_u64(&r);
	out->count = codec_get_u64(&r);
	out->opened_at = (int64_t)codec_get_u64(&r);
	out->first_at = (int64_t)codec_get_u64(&r);
	out->last_at = (int64_t)codec_get_u64(&r);
	out->acknowledged_at = (int64_t)codec_get_u64(&r);
	out->by.kind = codec_get_u32(&r);
	out->by.id = codec_get_u64(&r);
	out->closed_at = (int64_t)codec_get_u64(&r);
	out->why = codec_get_u32(&r);
	if (key->len != 8 || out->subject.kind >= ALERT_KINDS ||
	    out->subject.about > ALERT_OF_CHANNEL || out->why > ALERT_QUIET ||
	    out->by.kind > ACTOR_USER)
		r.failed = true;
	else
		out->alert = be64_read(key->data);
	return codec_end(&r, "alert");
}

int
state_alert(struct state_alert *out, const struct state *state, uint64_t alert)
{
	struct record_span value;
	uint8_t key[8];

	be64_write(key, alert);
	int err = store_get(&value, &state->txn, STORE_ALERTS, key, sizeof key);

	return err != 0 ? err
			: state_alert_read(out,
			      &(struct record_span){ key, sizeof key }, &value);
}

int
state_alert_put(struct state *state, const struct state_alert *alert)
{
	struct codec_writer w = { .len = 0 };
	uint8_t key[8];

	be64_write(key, alert->alert);
	codec_put_u8(&w, CODEC_FORMAT);
	codec_put_u32(&w, alert->subject.kind);
	codec_put_u32(&w, alert->subject.about);
	codec_put_u64(&w, alert->subject.id);
	codec_put_u32(&w, alert->subject.stage);
	codec_put_bytes(&w, alert->address, sizeof alert->address);
	codec_put_bytes(&w, alert->host, sizeof alert->host);
	codec_put_bytes(&w, alert->fingerprint, sizeof alert->fingerprint);
	codec_put_u64(&w, alert->value);
	codec_put_u64(&w, alert->limit);
	codec_put_u64(&w, alert->count);
	codec_put_u64(&w, (uint64_t)alert->opened_at);
	codec_put_u64(&w, (uint64_t)alert->first_at);
	codec_put_u64(&w, (uint64_t)alert->last_at);
	codec_put_u64(&w, (uint64_t)alert->acknowledged_at);
	codec_put_u32(&w, alert->by.kind);
	codec_put_u64(&w, alert->by.id);
	codec_put_u64(&w, (uint64_t)alert->closed_at);
	codec_put_u32(&w, alert->why);
	return store_put(&state->txn, STORE_ALERTS, key, sizeof key, w.data,
	    w.len);
}

int
state_alert_delete(struct state *state, uint64_t alert)
{
	uint8_t key[8];

	be64_write(key, alert);
	return store_delete(&state->txn, STORE_ALERTS, key, sizeof key);
}

int
state_alert_next(uint64_t *number, const struct state *state)
{
	return store_next(number, &state->txn, STORE_ALERTS);
}

/* --- by what they are about ------------------------------------------------ */

static void
write_key(uint8_t key[OPEN_KEY], const struct alert_subject *subject)
{
	be32_write(key, subject->kind);
	be32_write(key + 4, subject->about);
	be64_write(key + 8, subject->id);
	be32_write(key + 16, subject->stage);
}

int
state_alert_open(uint64_t *alert, const struct state *state,
    const struct alert_subject *subject)
{
	struct record_span value;
	uint8_t key[OPEN_KEY];

	write_key(key, subject);
	int err =
	    store_get(&value, &state->txn, STORE_ALERTS_OPEN, key, sizeof key);

	if (err != 0)
		return err;
	struct codec_reader r = codec_reader_of(&value);

	*alert = codec_get_u64(&r);
	return codec_end(&r, "open alert");
}

int
state_alert_open_put(struct state *state, const struct alert_subject *subject,
    uint64_t alert)
{
	struct codec_writer w = { .len = 0 };
	uint8_t key[OPEN_KEY];

	write_key(key, subject);
	codec_put_u8(&w, CODEC_FORMAT);
	codec_put_u64(&w, alert);
	return store_put(&state->txn, STORE_ALERTS_OPEN, key, sizeof key,
	    w.data, w.len);
}

int
state_alert_open_delete(struct state *state,
    const struct alert_subject *subject)
{
	uint8_t key[OPEN_KEY];

	write_key(key, subject);
	return store_delete(&state->txn, STORE_ALERTS_OPEN, key, sizeof key);
}
