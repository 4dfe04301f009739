/* Channels and what is on its way to them, as people, programs and the courier
 * see them. See ledger_channel.h. */
#include "appliance/hub/invoice.h"
#include "appliance/ledger/ledger_channel.h"
#include "appliance/ledger/view_query.h"
#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/text.h"
#include "shared/rpc/messages_crm.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

static int
open_document(struct channel_document *out, struct ledger_view *view,
    const struct state_channel *channel, struct arena *arena)
{
	struct sealed sealed;
	int err = sealed_get(&sealed, &view->state, view->ledger->sealed,
	    SEALED_CHANNEL, channel->document);

	memset(out, 0, sizeof *out);
	if (err != 0)
		return err;
	const uint8_t *copy = arena_copy(arena, sealed.data, sealed.len);

	err = copy == NULL ? ERR_NOMEM
			   : record_read_msgpack(out, &channel_document_record,
				 copy, sealed.len, NULL, arena, NULL);
	sealed_wipe(&sealed);
	return err == ERR_BAD_REQUEST ? ERR_CORRUPT : err;
}

/* --- lists ---------------------------------------------------------------------- */

struct channel_walk {
	struct query *q;
	struct channel_view *items;
	uint32_t n;
};

static int
view_channel(void *ctx, const struct record_span *key,
    const struct record_span *value)
{
	struct channel_walk *walk = ctx;
	struct state_channel channel;
	struct channel_document document;
	int err = state_channel_read(&channel, key, value);

	if (err != 0 || channel.removed || walk->n == CHANNELS_MAX)
		return err;
	err = open_document(&document, walk->q->view, &channel, walk->q->arena);
	if (err != 0)
		return err == ERR_NOT_FOUND_INTERNAL ? ERR_CORRUPT : err;
	struct channel_view *item = &walk->items[walk->n++];

	*item = (struct channel_view){
		.channel = channel.channel,
		.kind = channel.kind,
		.least = channel.least,
		.takes = channel.takes,
		.to = document.to,
		.created_at = channel.created_at,
		.by = channel.by,
	};
	memcpy(item->name, document.name, sizeof item->name);
	memcpy(item->url, document.url, sizeof item->url);
	sodium_memzero(document.secret, sizeof document.secret);
	return 0;
}

int
query_channels(struct query *q)
{
	struct channel_page *out = q->reply;
	struct channel_walk walk = { .q = q };

	walk.items = arena_alloc(q->arena, CHANNELS_MAX * sizeof *walk.items);
	if (walk.items == NULL)
		return ERR_NOMEM;
	int err = store_each(&q->view->state.txn, STORE_CHANNELS, NULL, 0,
	    view_channel, &walk);

	out->items = (struct record_list){ walk.items, walk.n };
	return err;
}

struct each_delivery {
	int (*each)(void *ctx, const struct state_delivery *delivery);
	void *ctx;
};

static int
read_delivery(void *ctx, const struct record_span *key,
    const struct record_span *value)
{
	struct each_delivery *walk = ctx;
	struct state_delivery delivery;
	int err = state_delivery_read(&delivery, key, value);

	return err == 0 ? walk->each(walk->ctx, &delivery) : err;
}

int
ledger_each_delivery(struct ledger_view *view,
    int (*each)(void *ctx, const struct state_delivery *delivery), void *ctx)
{
	struct each_delivery walk = { each, ctx };

	int err = store_each(&view->state.txn, STORE_OUTBOX, NULL, 0,
	    read_delivery, &walk);

	return err != 0 ? err
			: store_each(&view->state.txn, STORE_OUTBOX_KEPT, NULL,
			      0, read_delivery, &walk);
}

struct delivery_walk {
	struct delivery_page *page;
	struct delivery_view *items;
	bool dead;
};

static int
view_delivery(void *ctx, const struct state_delivery *delivery)
{
	struct delivery_walk *walk = ctx;
	struct delivery_page *page = walk->page;
	bool dead = delivery->state == DELIVERY_IS_DEAD;

	page->dead += dead;
	page->waiting += !dead;
	if ((walk->dead && !dead) || page->items.count == DELIVERY_PAGE_MAX)
		return 0;
	struct delivery_view *item = &walk->items[page->items.count++];

	*item = (struct delivery_view){
		.of = delivery->of,
		.alert = delivery->of == CHANNEL_ALERTS ? delivery->alert : 0,
		.invoice =
		    delivery->of == CHANNEL_INVOICES ? delivery->alert : 0,
		.channel = delivery->channel,
		.customer =
		    delivery->of == CHANNEL_CRM ? delivery->subject.id : 0,
		.event = delivery->event,
		.state = delivery->state,
		.attempts = delivery->attempts,
		.created_at = delivery->created_at,
		.due_at = dead ? 0 : delivery->due_at,
		.status = delivery->status,
	};
	if (delivery->of == CHANNEL_CRM)
		text_copy(item->news, sizeof item->news,
		    crm_event_names[delivery->subject.stage]);
	text_to_hex(item->delivery, delivery->id, sizeof delivery->id);
	text_copy(item->error, sizeof item->error, delivery->error);
	return 0;
}

int
query_deliveries(struct query *q)
{
	const struct delivery_query *request = q->request;
	struct delivery_page *page = q->reply;
	struct delivery_walk walk = { .page = page, .dead = request->dead };

	walk.items =
	    arena_alloc(q->arena, DELIVERY_PAGE_MAX * sizeof *walk.items);
	if (walk.items == NULL)
		return ERR_NOMEM;
	page->items.items = walk.items;
	return ledger_each_delivery(q->view, view_delivery, &walk);
}

/* --- jobs ----------------------------------------------------------------------- */

void
delivery_sign(char out[128], const char *secret, int64_t now_ms,
    const void *body, size_t len)
{
	crypto_auth_hmacsha256_state hmac;
	uint8_t mac[crypto_auth_hmacsha256_BYTES];
	char time[32], hex[2 * sizeof mac + 1];
	snprintf(time, sizeof time, "%" PRId64, now_ms / 1000);

	crypto_auth_hmacsha256_init(&hmac, (const uint8_t *)secret,
	    strlen(secret));
	crypto_auth_hmacsha256_update(&hmac, (const uint8_t *)time,
	    strlen(time));
	crypto_auth_hmacsha256_update(&hmac, (const uint8_t *)".", 1);
	crypto_auth_hmacsha256_update(&hmac, body, len);
	crypto_auth_hmacsha256_final(&hmac, mac);
	text_to_hex(hex, mac, sizeof mac);
	snprintf(out, 128, "t=%s,v1=%s", time, hex);
	sodium_memzero(&hmac, sizeof hmac);
}

static int
keep(struct delivery_job *out, struct arena *arena, enum courier_job kind,
    const struct record *record, const void *job)
{
	struct buf bytes = { 0 };

	record_write_msgpack(&bytes, record, job);
	out->kind = kind;
	out->payload.data =
	    bytes.failed ? NULL : arena_copy(arena, bytes.data, bytes.len);
	out->payload.len = (uint32_t)bytes.len;
	buf_release(&bytes);
	return out->payload.data != NULL ? 0 : ERR_NOMEM;
}

/* The same body and id each time; the signature is of now. */
static int
make_post(struct delivery_job *out, const char *event,
    const struct record_span *body, const struct channel_document *document,
    int64_t now_ms, struct arena *arena)
{
	struct courier_header headers[3];
	struct courier_post post = { .headers = { headers, 3 }, .body = *body };
	char signature[128], id[2 * DELIVERY_ID_BYTES + 1];

	text_to_hex(id, out->id, sizeof out->id);
	delivery_sign(signature, document->secret, now_ms, body->data,
	    body->len);
	memcpy(post.url, document->url, sizeof post.url);
	snprintf(headers[0].text, sizeof headers[0].text,
	    "Leasehold-Delivery: %s", id);
	snprintf(headers[1].text, sizeof headers[1].text, "Leasehold-Event: %s",
	    event);
	snprintf(headers[2].text, sizeof headers[2].text,
	    "Leasehold-Signature: %s", signature);
	return keep(out, arena, COURIER_POST, &courier_post_record, &post);
}

static int
make_webhook(struct delivery_job *out, const struct alert_event *event,
    const struct channel_document *document, int64_t now_ms,
    struct arena *arena)
{
	struct buf body = { .max = COURIER_BODY_MAX };

	record_write_json(&body, &alert_event_record, event);
	int err = body.failed
	    ? ERR_NOMEM
	    : make_post(out, alert_event_names[event->event],
		  &(struct record_span){ body.data, (uint32_t)body.len },
		  document, now_ms, arena);

	buf_release(&body);
	return err;
}

/* One line: what happened, how bad, whose. */
static void
write_subject(char *out, size_t size, const struct alert_event *event)
{
	const struct alert_view *alert = &event->alert;

	snprintf(out, size, "%s%s: %.160s (%.40s)",
	    event->event == ALERT_EVENT_CLOSED ? "over: " : "",
	    alert_severity_names[alert->severity], alert->text, event->tenant);
	/* Cut within a character of UTF-8 it would be none. */
	while (!text_is_utf8(out, strlen(out)))
		out[strlen(out) - 1] = '\0';
}

static int
make_mail(struct delivery_job *out, const struct alert_event *event,
    const struct channel_document *document, struct arena *arena)
{
	const struct alert_view *alert = &event->alert;
	struct courier_mail mail = {
		.to = document->to,
		.date = event->sent_at,
	};
	struct buf body = { .max = COURIER_BODY_MAX };
	char first[CLOCK_TEXT_SIZE], last[CLOCK_TEXT_SIZE];

	clock_format(first, alert->first_at);
	clock_format(last, alert->last_at);
	buf_printf(&body,
	    "%s%s\n\nAlert:   alert-%" PRIu64 " (%s, %s)\nSite:    %s\n"
	    "Tenant:  %s\nTimes:   %" PRIu64 "\nFirst:   %s\nLast:    %s\n",
	    event->event == ALERT_EVENT_CLOSED ? "It is over: " : "",
	    alert->text, alert->alert, alert_kind_names[alert->kind],
	    alert_severity_names[alert->severity], event->site, event->tenant,
	    alert->count, first, last);
	if (alert->answer[0] != '\0' && event->event == ALERT_EVENT_OPENED)
		buf_printf(&body, "\nAnswer it with:\n\n    %s\n",
		    alert->answer);
	buf_printf(&body,
	    "\nSeen:\n\n    leasehold alerts ack alert-%" PRIu64 "\n",
	    alert->alert);
	memcpy(mail.id, event->id, sizeof event->id);
	write_subject(mail.subject, sizeof mail.subject, event);
	mail.body = (struct record_span){ body.data, (uint32_t)body.len };
	int err = body.failed
	    ? ERR_NOMEM
	    : keep(out, arena, COURIER_MAIL, &courier_mail_record, &mail);

	buf_release(&body);
	return err;
}

static int
make_line(struct delivery_job *out, const struct alert_event *event,
    struct arena *arena)
{
	static const uint32_t priorities[] = { 6, 4, 2 };
	const struct alert_view *alert = &event->alert;
	struct courier_line line = {
		.priority = event->event == ALERT_EVENT_CLOSED
		    ? 6
		    : priorities[alert->severity],
	};

	snprintf(line.text, sizeof line.text,
	    "%s alert-%" PRIu64 " %s tenant=%s delivery=%s: %s",
	    alert_event_names[event->event], alert->alert,
	    alert_kind_names[alert->kind], event->tenant, event->id,
	    alert->text);
	return keep(out, arena, COURIER_LINE, &courier_line_record, &line);
}

static int
make_alert(struct delivery_job *out, struct ledger_view *view,
    const struct state_delivery *delivery, const struct state_channel *channel,
    const struct channel_document *document, int64_t now_ms,
    struct arena *arena)
{
	struct alert_event event = {
		.event = delivery->event,
		.sent_at = now_ms,
	};
	struct state_alert alert;
	int err = state_alert(&alert, &view->state, delivery->alert);

	if (err == 0)
		err = ledger_alert_view(&event.alert, view, &alert);
	if (err != 0)
		return err;
	text_to_hex(event.id, delivery->id, sizeof delivery->id);
	memcpy(event.site, view->ledger->site, sizeof event.site);
	memcpy(event.tenant, view->ledger->tenant, sizeof event.tenant);
	if (channel->kind == CHANNEL_WEBHOOK)
		return make_webhook(out, &event, document, now_ms, arena);
	return channel->kind == CHANNEL_MAIL
	    ? make_mail(out, &event, document, arena)
	    : make_line(out, &event, arena);
}

static int
make_invoice(struct delivery_job *out, struct ledger_view *view,
    const struct state_delivery *delivery,
    const struct channel_document *document, int64_t now_ms,
    struct arena *arena)
{
	struct hub_invoice invoice;
	int err = hub_invoice(&invoice, &view->state, delivery->alert, arena);

	return err == 0 ? make_post(out, "invoice", &invoice.row.document,
			      document, now_ms, arena)
			: err;
}

/* As it was said in the transaction of its row. */
static int
make_news(struct delivery_job *out, struct ledger_view *view,
    const struct state_delivery *delivery,
    const struct channel_document *document, int64_t now_ms,
    struct arena *arena)
{
	struct record_span body;
	int err = state_delivery_body(&body, &view->state, delivery);

	return err == 0
	    ? make_post(out, crm_event_names[delivery->subject.stage], &body,
		  document, now_ms, arena)
	    : err;
}

int
ledger_delivery_job(struct delivery_job *out, struct ledger_view *view,
    const struct state_delivery *delivery, int64_t now_ms, struct arena *arena)
{
	struct channel_document document;
	struct state_channel channel;
	int err = state_channel(&channel, &view->state, delivery->channel);

	*out = (struct delivery_job){
		.row = delivery->row,
		.channel = delivery->channel,
		.part = delivery->part,
		.attempts = delivery->attempts,
	};
	memcpy(out->id, delivery->id, sizeof out->id);
	if (err == 0 && channel.removed)
		err = ERR_NOT_FOUND_INTERNAL;
	if (err == 0)
		err = open_document(&document, view, &channel, arena);
	if (err != 0)
		return err == ERR_NOT_FOUND_INTERNAL ? ERR_GONE : err;
	if (delivery->of == CHANNEL_INVOICES)
		err =
		    make_invoice(out, view, delivery, &document, now_ms, arena);
	else if (delivery->of == CHANNEL_CRM)
		err = make_news(out, view, delivery, &document, now_ms, arena);
	else
		err = make_alert(out, view, delivery, &channel, &document,
		    now_ms, arena);
	sodium_memzero(document.secret, sizeof document.secret);
	return err == ERR_NOT_FOUND_INTERNAL ? ERR_GONE : err;
}
