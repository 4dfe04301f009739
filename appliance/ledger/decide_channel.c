/* Decide on channels, and on what is on its way to them. See
 * ledger_channel.h. */
#include "appliance/ledger/alert_words.h"
#include "appliance/ledger/core.h"
#include "appliance/ledger/ledger_channel.h"
#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/base/text.h"

#include <inttypes.h>
#include <sodium.h>
#include <string.h>

/* Made by the process alone. */
const struct record ledger_channel_add_record = {
	.name = "ledger_channel_add",
	.doc = "Alerts go there too.",
	.version = 1,
	.size = sizeof(struct ledger_channel_add),
};
const struct record ledger_delivered_record = {
	.name = "ledger_delivered",
	.doc = "What became of a try.",
	.version = 1,
	.size = sizeof(struct ledger_delivered),
};

_Static_assert(SEALED_ENTROPY <= LEDGER_ENTROPY,
    "a channel's document has random bytes of its own");

/* --- what is owed -------------------------------------------------------- */

struct owing {
	struct batch *batch;
	struct state_delivery delivery;
	const uint8_t *entropy;
	uint64_t only;
	const struct record_span *body; /* of news */
	uint64_t channels[CHANNELS_MAX];
	size_t n;
};

/* The table must not change while it is walked. */
static int
choose(void *ctx, const struct record_span *key,
    const struct record_span *value)
{
	struct owing *owing = ctx;
	struct state_channel channel;
	int err = state_channel_read(&channel, key, value);

	if (err != 0 || channel.removed || owing->n == CHANNELS_MAX)
		return err;
	bool takes = channel.takes == owing->delivery.of;

	if (takes && channel.takes == CHANNEL_ALERTS)
		takes = channel.least <=
		    alert_severity_of(&owing->delivery.subject);
	/* A test goes there whatever else does. */
	if (owing->only != 0)
		takes = channel.channel == owing->only;
	if (takes)
		owing->channels[owing->n++] = channel.channel;
	return 0;
}

static int
first_dead(void *ctx, const struct record_span *key,
    const struct record_span *value)
{
	struct state_delivery *out = ctx;
	int err = state_delivery_read(out, key, value);

	return err != 0 ? err : out->state == DELIVERY_IS_DEAD;
}

/* What is given up goes first; then nothing new comes. */
static int
make_room(bool *room, struct state *state)
{
	struct state_delivery dead;
	uint64_t n;
	int err = store_count(&n, &state->txn, STORE_OUTBOX);

	*room = n < OUTBOX_MAX;
	if (err != 0 || *room)
		return err;
	err = store_each(&state->txn, STORE_OUTBOX, NULL, 0, first_dead, &dead);
	if (err == 1) {
		*room = true;
		return state_delivery_delete(state, &dead);
	}
	return err;
}

static int
owe(struct owing *owing, uint64_t channel)
{
	struct state *state = &owing->batch->state;
	crypto_generichash_state hash;
	uint8_t number[8];
	bool room = true;
	int err =
	    owing->delivery.of == CHANNEL_ALERTS ? make_room(&room, state) : 0;

	if (err != 0)
		return err;
	if (!room) {
		log_error("ledger",
		    "tenant %s: %d deliveries of alerts wait: this one is left "
		    "out; see: leasehold outbox list",
		    owing->batch->ledger->tenant, OUTBOX_MAX);
		return 0;
	}
	be64_write(number, channel);
	crypto_generichash_init(&hash, owing->entropy, DELIVERY_ENTROPY,
	    DELIVERY_ID_BYTES);
	crypto_generichash_update(&hash, number, sizeof number);
	be64_write(number, owing->delivery.row);
	crypto_generichash_update(&hash, number, sizeof number);
	if (owing->delivery.part != 0) {
		be64_write(number, owing->delivery.part);
		crypto_generichash_update(&hash, number, sizeof number);
	}
	crypto_generichash_final(&hash, owing->delivery.id, DELIVERY_ID_BYTES);
	owing->delivery.channel = channel;
	owing->batch->owed = true;
	err = state_delivery_put(state, &owing->delivery);
	return err == 0 && owing->body != NULL
	    ? state_delivery_body_put(state, &owing->delivery, owing->body)
	    : err;
}

static int
owe_all(struct owing *owing)
{
	int err = store_each(&owing->batch->state.txn, STORE_CHANNELS, NULL, 0,
	    choose, owing);

	for (size_t i = 0; i < owing->n && err == 0; i++)
		err = owe(owing, owing->channels[i]);
	return err;
}

int
delivery_add(struct batch *batch, uint64_t alert,
    const struct alert_subject *subject, enum alert_event_kind event,
    uint64_t only, const uint8_t entropy[DELIVERY_ENTROPY])
{
	struct owing owing = {
		.batch = batch,
		.delivery = {
			.row = batch->state.counters.next_row - 1,
			.alert = alert,
			.subject = *subject,
			.event = event,
			.created_at = batch->place.time,
			.due_at = batch->place.time,
		},
		.entropy = entropy,
		.only = only,
	};

	/* A test goes to the channel that it is of. */
	if (subject->kind == ALERT_TEST)
		owing.only = subject->id;
	return owe_all(&owing);
}

int
delivery_add_invoice(struct batch *batch, uint64_t invoice, uint64_t customer,
    const uint8_t entropy[DELIVERY_ENTROPY])
{
	struct owing owing = {
		.batch = batch,
		.delivery = {
			.row = batch->state.counters.next_row - 1,
			.of = CHANNEL_INVOICES,
			.event = ALERT_EVENT_MADE,
			.alert = invoice,
			.subject = { .id = customer },
			.created_at = batch->place.time,
			.due_at = batch->place.time,
		},
		.entropy = entropy,
	};

	return owe_all(&owing);
}

int
delivery_add_news(struct batch *batch, const struct delivery_news *news,
    const uint8_t entropy[DELIVERY_ENTROPY])
{
	const uint64_t row = batch->state.counters.next_row - 1;
	struct owing owing = {
		.batch = batch,
		.delivery = {
			.row = row,
			.part = news->part,
			.of = CHANNEL_CRM,
			.event = ALERT_EVENT_MADE,
			.alert = row,
			.subject = { .id = news->customer,
			    .stage = news->event },
			.created_at = batch->place.time,
			.due_at = batch->place.time,
		},
		.entropy = entropy,
		.body = &news->body,
	};

	return owe_all(&owing);
}

struct taking {
	enum channel_takes of;
	uint32_t n;
};

static int
count_taking(void *ctx, const struct record_span *key,
    const struct record_span *value)
{
	struct taking *taking = ctx;
	struct state_channel channel;
	int err = state_channel_read(&channel, key, value);

	taking->n +=
	    err == 0 && !channel.removed && channel.takes == taking->of;
	return err;
}

int
delivery_channels(uint32_t *n, const struct state *state, enum channel_takes of)
{
	struct taking taking = { of, 0 };
	int err = store_each(&state->txn, STORE_CHANNELS, NULL, 0, count_taking,
	    &taking);

	*n = taking.n;
	return err;
}

/* --- channels ------------------------------------------------------------------- */

static int
count_live(void *ctx, const struct record_span *key,
    const struct record_span *value)
{
	struct state_channel channel;
	int err = state_channel_read(&channel, key, value);

	*(uint32_t *)ctx += err == 0 && !channel.removed;
	return err;
}

int
decide_channel_add(struct batch *batch, struct command *command)
{
	const struct ledger_channel_add *request = command->request;
	uint8_t id[SEALED_ID_BYTES], commitment[32];
	uint64_t number;
	uint32_t live = 0;
	int err = store_each(&batch->state.txn, STORE_CHANNELS, NULL, 0,
	    count_live, &live);

	if (err == 0)
		err = state_channel_next(&number, &batch->state);
	if (err != 0)
		return err;
	if (live >= CHANNELS_MAX)
		return decide_refuse(command, ERR_CONFLICT,
		    "remove one: leasehold alerts channel remove",
		    "there are %d channels already", CHANNELS_MAX);
	err = sealed_put(id, commitment, &batch->state, batch->ledger->sealed,
	    SEALED_CHANNEL, request->document.data, request->document.len,
	    command->entropy);
	if (err != 0)
		return err;
	struct row *row = batch_row(batch, ROW_CHANNEL_ADDED);

	if (row == NULL)
		return ERR_NOMEM;
	struct row_channel_added *r = &row->u.channel_added;

	r->channel = number;
	r->kind = request->kind;
	r->least = request->least;
	r->takes = request->takes;
	memcpy(r->document, id, sizeof r->document);
	memcpy(r->commitment, commitment, sizeof r->commitment);
	r->by = decide_actor(&command->who);
	command->reply.channel.channel = number;
	return batch_emit(batch);
}

static int
find_channel(struct state_channel *channel, struct batch *batch,
    struct command *command)
{
	const struct channel_number *request = command->request;
	int err = state_channel(channel, &batch->state, request->channel);

	if (err == ERR_NOT_FOUND_INTERNAL || (err == 0 && channel->removed))
		return decide_refuse_field(command, "channel", ERR_NOT_FOUND,
		    "see what there is: leasehold alerts channel list",
		    "there is no channel-%" PRIu64, request->channel);
	command->reply.channel.channel = request->channel;
	return err;
}

struct ending {
	uint64_t channel;
	struct state_delivery found[64];
	size_t n;
};

static int
gather(void *ctx, const struct record_span *key,
    const struct record_span *value)
{
	struct ending *ending = ctx;
	struct state_delivery *at = &ending->found[ending->n];
	int err = state_delivery_read(at, key, value);

	if (err != 0 || at->channel != ending->channel)
		return err;
	return ++ending->n == 64 ? 1 : 0;
}

static int
drop_all(struct state *state, enum store_table table, uint64_t channel)
{
	struct ending ending = { .channel = channel };
	int err;

	do {
		ending.n = 0;
		err = store_each(&state->txn, table, NULL, 0, gather, &ending);
		if (err < 0)
			return err;
		for (size_t i = 0; i < ending.n; i++) {
			int rc = state_delivery_delete(state, &ending.found[i]);

			if (rc != 0)
				return rc;
		}
	} while (err == 1);
	return 0;
}

int
decide_channel_remove(struct batch *batch, struct command *command)
{
	const struct channel_number *request = command->request;
	struct state_channel channel;
	int err = find_channel(&channel, batch, command);

	if (err != 0 || command->err != 0)
		return err;
	err = drop_all(&batch->state, STORE_OUTBOX, request->channel);
	if (err == 0)
		err = drop_all(&batch->state, STORE_OUTBOX_KEPT,
		    request->channel);
	if (err == 0)
		err = sealed_delete(&batch->state, channel.document);
	if (err != 0 && err != ERR_NOT_FOUND_INTERNAL)
		return err;
	struct row *row = batch_row(batch, ROW_CHANNEL_REMOVED);

	if (row == NULL)
		return ERR_NOMEM;
	row->u.channel_removed.channel = request->channel;
	row->u.channel_removed.by = decide_actor(&command->who);
	return batch_emit(batch);
}

int
decide_channel_test(struct batch *batch, struct command *command)
{
	const struct channel_number *request = command->request;
	struct state_channel channel;
	struct ledger_alert alert = {
		.subject = { ALERT_TEST, ALERT_OF_CHANNEL, request->channel,
		    0 },
		.count = 1,
		.first_at = batch->place.time,
		.last_at = batch->place.time,
		.over = true,
	};
	int err = find_channel(&channel, batch, command);

	if (err != 0 || command->err != 0)
		return err;
	struct channel_number number = { request->channel };
	const void *asked = command->request;

	command->request = &alert;
	err = decide_alert(batch, command);
	command->request = asked;
	command->reply.channel = number;
	return err;
}

/* --- deliveries ------------------------------------------------------------------- */

static int
tell(struct batch *batch, const struct command *command,
    const struct state_delivery *delivery, enum delivery_event event)
{
	struct row *row = batch_row(batch, ROW_DELIVERY);

	if (row == NULL)
		return ERR_NOMEM;
	memcpy(row->u.delivery.delivery, delivery->id, sizeof delivery->id);
	row->u.delivery.of = delivery->of;
	row->u.delivery.alert = delivery->alert;
	row->u.delivery.channel = delivery->channel;
	row->u.delivery.event = event;
	row->u.delivery.by = decide_actor(&command->who);
	return batch_emit(batch);
}

/* It may have been dropped, or its channel removed, meanwhile. */
int
decide_delivered(struct batch *batch, struct command *command)
{
	const struct ledger_delivered *request = command->request;
	struct state_delivery delivery;
	int err = state_delivery(&delivery, &batch->state, request->row,
	    request->channel, request->part);

	if (err == ERR_NOT_FOUND_INTERNAL ||
	    (err == 0 &&
		(memcmp(delivery.id, request->id, sizeof delivery.id) != 0 ||
		    delivery.state == DELIVERY_IS_DEAD)))
		return 0;
	if (err != 0)
		return err;
	batch->noted = true;
	if (request->delivered)
		return state_delivery_delete(&batch->state, &delivery);
	delivery.attempts++;
	delivery.status = request->status;
	text_copy(delivery.error, sizeof delivery.error, request->error);
	delivery.due_at = request->due_at;
	/* What a hub owes is tried until it is taken. */
	if (delivery.of == CHANNEL_ALERTS &&
	    delivery.attempts >= request->attempts_max)
		delivery.state = DELIVERY_IS_DEAD;
	err = state_delivery_put(&batch->state, &delivery);
	return err == 0 && delivery.state == DELIVERY_IS_DEAD
	    ? tell(batch, command, &delivery, DELIVERY_DEAD)
	    : err;
}

static int
find_delivery(struct state_delivery *delivery, struct batch *batch,
    struct command *command)
{
	const struct delivery_ref *request = command->request;
	int err =
	    state_delivery_find(delivery, &batch->state, request->delivery);

	if (err == ERR_NOT_FOUND_INTERNAL)
		return decide_refuse_field(command, "delivery", ERR_NOT_FOUND,
		    "see what there is: leasehold outbox list",
		    "there is no such delivery: it arrived, or was dropped");
	command->reply.delivery = *request;
	return err;
}

int
decide_delivery_retry(struct batch *batch, struct command *command)
{
	struct state_delivery delivery;
	int err = find_delivery(&delivery, batch, command);

	if (err != 0 || command->err != 0)
		return err;
	delivery.state = DELIVERY_WAITS;
	delivery.attempts = 0;
	delivery.due_at = batch->place.time;
	err = state_delivery_put(&batch->state, &delivery);
	return err == 0 ? tell(batch, command, &delivery, DELIVERY_RETRIED)
			: err;
}

int
decide_delivery_drop(struct batch *batch, struct command *command)
{
	struct state_delivery delivery;
	int err = find_delivery(&delivery, batch, command);

	if (err != 0 || command->err != 0)
		return err;
	err = state_delivery_delete(&batch->state, &delivery);
	return err == 0 ? tell(batch, command, &delivery, DELIVERY_DROPPED)
			: err;
}
