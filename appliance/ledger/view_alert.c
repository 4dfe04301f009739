/* Alerts as people and programs see them. See ledger_alert.h. */
#include "appliance/ledger/alert_words.h"
#include "appliance/ledger/codec.h"
#include "appliance/ledger/ledger_alert.h"
#include "appliance/ledger/view_query.h"
#include "shared/base/err.h"
#include "shared/base/text.h"

#include <sodium.h>
#include <string.h>

/* Looked at for one page at most. */
#define SCAN_MAX 4096

struct each_alert {
	struct ledger_view *view;
	int (*each)(void *ctx, const struct state_alert *alert);
	void *ctx;
};

static int
read_open(void *ctx, const struct record_span *key,
    const struct record_span *value)
{
	struct each_alert *walk = ctx;
	struct codec_reader r = codec_reader_of(value);
	struct state_alert alert;
	uint64_t number = codec_get_u64(&r);
	int err = codec_end(&r, "open alert");

	(void)key;
	if (err == 0)
		err = state_alert(&alert, &walk->view->state, number);
	if (err == ERR_NOT_FOUND_INTERNAL)
		return ERR_CORRUPT;
	return err == 0 ? walk->each(walk->ctx, &alert) : err;
}

int
ledger_each_alert(struct ledger_view *view,
    int (*each)(void *ctx, const struct state_alert *alert), void *ctx)
{
	struct each_alert walk = { view, each, ctx };

	return store_each(&view->state.txn, STORE_ALERTS_OPEN, NULL, 0,
	    read_open, &walk);
}

static int
count_one(void *ctx, const struct record_span *key,
    const struct record_span *value)
{
	uint64_t *counts = ctx;

	(void)value;
	if (key->len < 4 || be32_read(key->data) >= ALERT_KINDS)
		return ERR_CORRUPT;
	counts[be32_read(key->data)]++;
	return 0;
}

int
ledger_count_alerts(uint64_t counts[ALERT_KINDS], struct ledger_view *view)
{
	memset(counts, 0, ALERT_KINDS * sizeof *counts);
	return store_each(&view->state.txn, STORE_ALERTS_OPEN, NULL, 0,
	    count_one, counts);
}

int
ledger_alert_view(struct alert_view *out, struct ledger_view *view,
    const struct state_alert *alert)
{
	*out = (struct alert_view){
		.alert = alert->alert,
		.state = alert->closed_at != 0    ? ALERT_CLOSED
		    : alert->acknowledged_at != 0 ? ALERT_ACKNOWLEDGED
						  : ALERT_OPEN,
		.count = alert->count,
		.first_at = alert->first_at,
		.last_at = alert->last_at,
		.acknowledged_at = alert->acknowledged_at,
		.closed_at = alert->closed_at,
		.by = alert->by,
	};
	int err = view_subject(out->address, sizeof out->address, view,
	    alert->address);

	if (err == 0)
		err = view_subject(out->host, sizeof out->host, view,
		    alert->host);
	if (!sodium_is_zero(alert->fingerprint, sizeof alert->fingerprint))
		text_to_hex(out->fingerprint, alert->fingerprint, 32);
	alert_words(out, &alert->subject, alert->value, alert->limit,
	    view->ledger->tenant);
	return err;
}

/* --- the worst ------------------------------------------------------------- */

struct worst_walk {
	uint64_t n; /* that nobody has seen */
	struct state_alert worst[SITE_WORST_MAX];
	uint32_t kept;
};

static int
keep_worst(void *ctx, const struct state_alert *alert)
{
	struct worst_walk *walk = ctx;
	struct state_alert next = *alert;

	if (alert->acknowledged_at != 0)
		return 0;
	walk->n++;
	for (uint32_t i = 0; i < SITE_WORST_MAX; i++) {
		struct state_alert *at = &walk->worst[i], other;

		if (i == walk->kept) {
			*at = next;
			walk->kept++;
			return 0;
		}
		if (!alert_is_worse(alert_severity_of(&next.subject),
			next.last_at, alert_severity_of(&at->subject),
			at->last_at))
			continue;
		other = *at;
		*at = next;
		next = other;
	}
	return 0;
}

int
view_worst_alerts(struct site_view *out, struct query *q)
{
	struct worst_walk walk = { .n = 0 };
	struct alert_view *items;
	int err = ledger_each_alert(q->view, keep_worst, &walk);

	if (err != 0 || walk.n == 0)
		return err;
	items = arena_alloc(q->arena, walk.kept * sizeof *items);
	if (items == NULL)
		return ERR_NOMEM;
	for (uint32_t i = 0; i < walk.kept && err == 0; i++)
		err = ledger_alert_view(&items[i], q->view, &walk.worst[i]);
	out->alerts = walk.n;
	out->worst = (struct record_list){ items, walk.kept };
	return err;
}

/* --- pages ------------------------------------------------------------------ */

struct alert_walk {
	struct query *q;
	struct alert_view *items;
	uint32_t n, limit, scanned;
	uint64_t last; /* number of the last one that was looked at */
	bool more;
};

static int
walk_alert(void *ctx, const struct record_span *key,
    const struct record_span *value)
{
	struct alert_walk *walk = ctx;
	const struct alert_query *request = walk->q->request;
	struct state_alert alert;

	if (walk->n == walk->limit || walk->scanned == SCAN_MAX) {
		walk->more = true;
		return ERR_BUSY; /* the page is full */
	}
	int err = state_alert_read(&alert, key, value);

	if (err != 0)
		return err;
	walk->last = alert.alert;
	walk->scanned++;
	if (!request->all && alert.closed_at != 0)
		return 0;
	return ledger_alert_view(&walk->items[walk->n++], walk->q->view,
	    &alert);
}

int
query_alerts(struct query *q)
{
	const struct alert_query *request = q->request;
	struct alert_page *out = q->reply;
	struct alert_walk walk = {
		.q = q,
		.limit = query_limit(request->limit),
	};
	uint8_t from[8];

	walk.items = arena_alloc(q->arena, walk.limit * sizeof *walk.items);
	if (walk.items == NULL)
		return ERR_NOMEM;
	be64_write(from, request->after + 1);
	int err = store_each(&q->view->state.txn, STORE_ALERTS, from,
	    sizeof from, walk_alert, &walk);

	if (err != 0 && !walk.more)
		return err;
	out->items = (struct record_list){ walk.items, walk.n };
	out->next = walk.more ? walk.last : 0;
	return 0;
}

int
query_alert(struct query *q)
{
	const struct alert_number *request = q->request;
	struct state_alert alert;
	int err = state_alert(&alert, &q->view->state, request->alert);

	if (err == ERR_NOT_FOUND_INTERNAL)
		return query_refuse(q->problem, ERR_NOT_FOUND,
		    "there is no alert-%llu",
		    (unsigned long long)request->alert);
	return err == 0 ? ledger_alert_view(q->reply, q->view, &alert) : err;
}
