/* Reports out of a snapshot, and how the site stands with its vendors; see
 * sync.h. */
#include "appliance/ledger/sync.h"
#include "appliance/ledger/view_query.h"

#include "shared/base/err.h"
#include "shared/base/text.h"
#include "shared/base/version.h"

#include <string.h>

#define DAY_MS INT64_C(86400000)
#define SOFTWARE "leaseholdd " LEASEHOLD_VERSION
/** Batches that are searched for what was lent, before that of its end. */
#define LENT_SEARCH 65536

struct syncing {
	struct ledger_view *view;
	const char *vendor;
	struct measure *measure; /* or NULL */
	const struct sync_hours *hours; /* or NULL */
	struct arena arena; /* of one question */
	uint64_t last; /* batch that was read last */
};

/* --- where a report reads ---------------------------------------------------------- */

static int
source_batch(void *ctx, struct record_span *blob, uint64_t batch)
{
	struct syncing *s = ctx;
	int err = state_batch(blob, &s->view->state, batch);

	s->last = batch;
	return err == ERR_NOT_FOUND_INTERNAL ? ERR_GONE : err;
}

static int
source_license(void *ctx, struct report_license *out, uint64_t number)
{
	struct syncing *s = ctx;
	const struct state_license *license;

	arena_clear(&s->arena);
	int err = state_license(&license, &s->view->state, number, &s->arena);

	if (err != 0)
		return err;
	text_copy(out->vendor, sizeof out->vendor, license->document.vendor.id);
	text_copy(out->license_id, sizeof out->license_id,
	    license->document.license_id);
	return 0;
}

/* The newest ticket of a borrow in a batch. */
static int
lent_in(bool *found, struct syncing *s, uint8_t digest[32], char feature[64],
    uint64_t lease, uint64_t number)
{
	struct journal_batch batch = { .rows = { NULL, 0 } };
	struct record_span blob;

	arena_clear(&s->arena);
	int err = state_batch(&blob, &s->view->state, number);

	if (err == 0)
		err = view_batch(&batch, &blob, &s->arena);
	const struct journal_row_bytes *rows = batch.rows.items;

	for (uint32_t i = 0; err == 0 && !*found && i < batch.rows.count; i++) {
		const struct record_span *bytes = &rows[i].bytes;
		uint16_t kind = be16_read(bytes->data);
		struct row row;

		if (kind != ROW_BORROWED && kind != ROW_BORROW_REISSUED)
			continue;
		err = row_read(&row, 1, bytes->data, bytes->len, &s->arena);
		if (err != 0 || row.u.borrowed.grant.lease != lease)
			continue;
		*found = true;
		memcpy(digest, row.u.borrowed.grant.license_digest, 32);
		text_copy(feature, 64, row.u.borrowed.grant.feature);
	}
	return err;
}

/* Its ticket was given up with old batches: then it is billed as a seat of the
 * product, under the edition in force. */
static int
lent_of_old(struct syncing *s, uint8_t digest[32], char feature[64],
    uint64_t number)
{
	const struct state_license *license;

	arena_clear(&s->arena);
	int err = state_license(&license, &s->view->state, number, &s->arena);

	if (err != 0)
		return err == ERR_NOT_FOUND_INTERNAL ? ERR_CORRUPT : err;
	memcpy(digest, license->digest, 32);
	feature[0] = '\0';
	return 0;
}

/* The row that ends a borrow does not say what it was of, and the state has
 * forgotten it: it stands in the journal before. */
static int
source_lent(void *ctx, uint8_t digest[32], char feature[64], uint64_t license,
    uint64_t lease)
{
	struct syncing *s = ctx;
	const uint64_t from = s->last;
	bool found = false;

	for (uint64_t n = 0; n <= from && n < LENT_SEARCH && !found; n++) {
		int err = lent_in(&found, s, digest, feature, lease, from - n);

		if (err == ERR_NOT_FOUND_INTERNAL)
			break; /* it was given up */
		if (err != 0)
			return err;
	}
	return found ? 0 : lent_of_old(s, digest, feature, license);
}

/* --- the edition of a license at a batch ------------------------------------------- */

struct editions {
	struct syncing *s;
	uint64_t license;
	uint64_t before; /* this serial */
	uint64_t found; /* the highest one below */
	uint32_t n;
};

static int
see_document(void *ctx, const struct record_span *key,
    const struct record_span *value)
{
	struct editions *editions = ctx;
	struct syncing *s = editions->s;
	struct state_document document;
	struct license license;

	(void)value;
	int err = key->len == 32
	    ? state_document(&document, &s->view->state, key->data)
	    : ERR_CORRUPT;

	if (err != 0 || document.license != editions->license)
		return err;
	arena_clear(&s->arena);
	err = license_read_stored(&license, (const char *)document.token.data,
	    document.token.len, &s->arena);
	if (err != 0)
		return err;
	editions->n++;
	if (license.serial < editions->before &&
	    license.serial > editions->found)
		editions->found = license.serial;
	return 0;
}

/* The serial that a batch installs of it; 0: none. */
static int
installed_in(uint64_t *serial, struct syncing *s, uint64_t license,
    uint64_t number)
{
	struct journal_batch batch = { .rows = { NULL, 0 } };
	struct record_span blob;

	arena_clear(&s->arena);
	int err = state_batch(&blob, &s->view->state, number);

	if (err == 0)
		err = view_batch(&batch, &blob, &s->arena);
	const struct journal_row_bytes *rows = batch.rows.items;

	for (uint32_t i = 0; err == 0 && *serial == 0 && i < batch.rows.count;
	     i++) {
		const struct record_span *bytes = &rows[i].bytes;
		struct row row;

		if (be16_read(bytes->data) != ROW_LICENSE_INSTALLED)
			continue;
		err = row_read(&row, 1, bytes->data, bytes->len, &s->arena);
		if (err == 0 && row.u.license_installed.license == license)
			*serial = row.u.license_installed.document.serial;
	}
	return err;
}

/* The one in force, or the one before the next that came. */
static int
source_edition(void *ctx, uint64_t *serial, uint64_t license)
{
	struct syncing *s = ctx;
	struct editions editions = { s, license, UINT64_MAX, 0, 0 };
	const struct state_license *now;
	uint64_t next = 0;

	arena_clear(&s->arena);
	int err = state_license(&now, &s->view->state, license, &s->arena);

	if (err != 0)
		return err;
	*serial = now->document.serial;
	err = store_each(&s->view->state.txn, STORE_DOCUMENTS, NULL, 0,
	    see_document, &editions);
	if (err != 0 || editions.n < 2)
		return err;
	for (uint64_t n = s->last;
	     n < s->view->state.counters.batches && err == 0 && next == 0; n++)
		err = installed_in(&next, s, license, n);
	if (err != 0 || next == 0)
		return err;
	editions = (struct editions){ s, license, next, 0, 0 };
	err = store_each(&s->view->state.txn, STORE_DOCUMENTS, NULL, 0,
	    see_document, &editions);
	*serial = editions.found != 0 ? editions.found : next;
	return err;
}

static int
source_pseudonym(void *ctx, uint8_t out[16], uint64_t device)
{
	const struct syncing *s = ctx;

	report_pseudonym(out, s->view->ledger->tenant_key, s->vendor, device);
	return 0;
}

static int
source_name(void *ctx, struct report_name *out,
    const uint8_t subject[SUBJECT_BYTES])
{
	const struct syncing *s = ctx;

	return sync_name(out, s->view, subject);
}

static int
source_hours(void *ctx, int64_t from, int64_t to,
    int (*each)(void *sink, const struct report_hour *hour), void *sink)
{
	const struct syncing *s = ctx;

	return s->hours->tell(s->hours, s->view, s->vendor, from, to, each,
	    sink);
}

static int
source_quote(void *ctx, struct quote *out, const uint8_t subject[32])
{
	const struct syncing *s = ctx;

	return s->measure->quote(s->measure, out, subject);
}

/* --- where it begins --------------------------------------------------------------- */

static int
find_begin(struct report_asked *asked, struct syncing *s,
    const struct report_mark *after)
{
	struct sync_state sync;
	struct journal_known known;
	int err = state_sync(&sync, &s->view->state, s->vendor);

	if (err != 0)
		return err == ERR_NOT_FOUND_INTERNAL ? ERR_NOT_FOUND : err;
	asked->previous = sync.mark;
	if (after != NULL && after->sequence > sync.mark.sequence)
		asked->previous = *after;
	if (asked->previous.sequence == 0)
		return 0;
	known = (struct journal_known){ .batch = asked->previous.batch };
	memcpy(known.head, asked->previous.head, sizeof known.head);
	err = history_holds(&s->view->state, &known);
	if (err != ERR_ROLLED_BACK)
		return err;
	if (after != NULL && after->sequence > sync.mark.sequence)
		return ERR_ROLLED_BACK;
	asked->restarts = true;
	return sync_restart(&asked->restart, &s->view->state,
	    asked->previous.generation);
}

int
sync_build(struct buf *token, struct buf *body, struct report *report,
    struct report_mark *next, bool *more, struct ledger_view *view,
    const char *vendor, const struct report_mark *after,
    const struct report_proof *proof, struct measure *measure,
    const struct sync_hours *hours)
{
	struct syncing s = { .view = view,
		.vendor = vendor,
		.measure = measure,
		.hours = hours };
	const struct ledger *ledger = view->ledger;
	struct report_source source = {
		.ctx = &s,
		.batch = source_batch,
		.license = source_license,
		.lent = source_lent,
		.edition = source_edition,
		.history = history_source(&view->state),
		.pseudonym = source_pseudonym,
		.hours = hours != NULL ? source_hours : NULL,
		.quote = measure != NULL ? source_quote : NULL,
	};
	struct report_asked asked = {
		.site = ledger->site,
		.tenant = ledger->tenant,
		.vendor = vendor,
		.software = SOFTWARE,
		.proof = *proof,
		.body_goal = SYNC_BODY_GOAL,
	};
	int err = find_begin(&asked, &s, after);

	if (measure != NULL)
		asked.measured = measure->said;
	asked.proof.counter = view->state.counters.tick;
	if (err == 0 && view->state.counters.batches == 0)
		err = ERR_NOT_FOUND_INTERNAL;
	asked.newest = view->state.counters.batches - 1;
	if (err == 0)
		err = sync_people(&asked.people, view, vendor);
	if (asked.people == REPORT_NOBODY)
		source.pseudonym = NULL;
	if (asked.people == REPORT_CLEAR)
		source.name = source_name;
	if (err == 0)
		err = report_build(token, body, report, next, &source, &asked,
		    ledger->site_secret);
	*more = err == 0 && next->batch < asked.newest;
	arena_release(&s.arena);
	return err;
}

/* --- to whom it is sealed ------------------------------------------------------------- */

struct find_newest {
	const char *vendor;
	int64_t issued_at;
	uint8_t digest[32];
};

static int
find_newest(void *ctx, const struct record_span *key,
    const struct record_span *value)
{
	struct find_newest *find = ctx;
	struct state_license license;
	struct arena arena = { .chunks = NULL };
	int err = state_license_read(&license, key, value, &arena);

	arena_release(&arena);
	if (err == 0 && strcmp(license.document.vendor.id, find->vendor) == 0 &&
	    license.document.issued_at >= find->issued_at) {
		find->issued_at = license.document.issued_at;
		memcpy(find->digest, license.digest, sizeof find->digest);
	}
	return err;
}

static int
receiver_of(uint8_t key[32], struct ledger_view *view, const char *vendor)
{
	struct find_newest find = { .vendor = vendor, .issued_at = INT64_MIN };
	struct state_document document;
	struct license_issuer issuer;
	struct arena arena = { .chunks = NULL };
	struct buf payload = { .data = NULL };
	int err = store_each(&view->state.txn, STORE_LICENSES, NULL, 0,
	    find_newest, &find);

	if (err == 0 && find.issued_at == INT64_MIN)
		err = ERR_NOT_FOUND;
	if (err == 0)
		err = state_document(&document, &view->state, find.digest);
	/* It was verified when the license was installed. */
	if (err == 0)
		err = token_peek(&payload, document.issuer.data,
		    document.issuer.len);
	if (err == 0)
		err = record_read_json(&issuer, &license_issuer_record,
		    (char *)payload.data, payload.len, &arena, NULL);
	if (err == 0)
		memcpy(key, issuer.key, 32);
	buf_release(&payload);
	arena_release(&arena);
	return err;
}

int
sync_seal(struct buf *file, struct ledger_view *view, const char *vendor,
    const struct buf *token, const struct buf *body)
{
	struct sync_report report = {
		{ token->data, (uint32_t)token->len },
		{ body->data, (uint32_t)body->len },
	};
	struct sync_box box = { .reports = { &report, 1 } };
	uint8_t receiver[32];
	int err = receiver_of(receiver, view, vendor);

	text_copy(box.site, sizeof box.site, view->ledger->site);
	text_copy(box.tenant, sizeof box.tenant, view->ledger->tenant);
	text_copy(box.vendor, sizeof box.vendor, vendor);
	return err == 0 ? sync_box_seal(file, &box, receiver) : err;
}

/* --- how long nothing was acknowledged ------------------------------------------------- */

int
sync_unsynced(uint64_t *percent, uint64_t *days, struct ledger_view *view,
    const struct license *license, int64_t now_ms)
{
	const int64_t most = (int64_t)license->sync.max_unsynced_days * DAY_MS;
	struct sync_state sync;

	*percent = 0;
	*days = 0;
	if (most == 0)
		return 0;
	int err = state_sync(&sync, &view->state, license->vendor.id);

	if (err != 0)
		return err == ERR_NOT_FOUND_INTERNAL ? ERR_CORRUPT : err;
	int64_t from = sync.receipt_at != 0 ? sync.receipt_at : sync.since;
	int64_t passed = now_ms > from ? now_ms - from : 0;

	*days = (uint64_t)(passed / DAY_MS);
	*percent = passed >= most ? 100 : (uint64_t)(passed * 100 / most);
	return 0;
}

/* --- how the site stands ----------------------------------------------------------------- */

struct standing {
	struct query *q;
	struct sync_vendor_view *items;
	int64_t *named; /* its hub: by a license issued then */
	uint32_t n;
};

static int
add_vendor(void *ctx, const struct sync_state *sync)
{
	struct standing *standing = ctx;
	const uint64_t batches = standing->q->view->state.counters.batches;
	const struct report_mark *mark = &sync->mark;
	int64_t from = sync->receipt_at != 0 ? sync->receipt_at : sync->since;

	if (standing->n == SYNC_VENDORS_MAX)
		return 0;
	struct sync_vendor_view *view = &standing->items[standing->n++];
	int64_t passed = standing->q->now_ms - from;

	*view = (struct sync_vendor_view){
		.acknowledged = mark->sequence,
		.acknowledged_batch = mark->batch,
		.acknowledged_to = mark->time,
		.receipt_at = sync->receipt_at,
		.made = sync->made,
		.made_at = sync->made_at,
		.waiting_batches = batches,
		.answered = sync->answered,
		.answer = sync->answer,
		.days = passed > 0 ? (uint32_t)(passed / DAY_MS) : 0,
		.lost_from = sync->lost_from,
		.lost_to = sync->lost_to,
		.lost_generation = sync->lost_generation,
		.lost_overage = sync->lost_overage,
		.again_at = sync->again_at,
		.lost_at = sync->lost_at,
	};
	if (mark->sequence > 0)
		view->waiting_batches =
		    batches > mark->batch + 1 ? batches - mark->batch - 1 : 0;
	text_copy(view->vendor, sizeof view->vendor, sync->vendor);
	text_copy(view->reason, sizeof view->reason, sync->reason);
	return 0;
}

/* The newest license that names a hub says where it is. */
static void
add_hub(struct standing *standing, uint32_t i, const struct license *license)
{
	struct sync_vendor_view *view = &standing->items[i];

	if (license->sync.hub[0] == '\0' ||
	    (view->hub[0] != '\0' && license->issued_at < standing->named[i]))
		return;
	standing->named[i] = license->issued_at;
	text_copy(view->hub, sizeof view->hub, license->sync.hub);
}

/* What its licenses allow: the strictest counts. */
static int
add_license(void *ctx, const struct record_span *key,
    const struct record_span *value)
{
	struct standing *standing = ctx;
	struct state_license license;
	struct arena arena = { .chunks = NULL };
	int64_t stops;
	int err = state_license_read(&license, key, value, &arena);

	if (err == 0)
		err = sync_stops_at(&stops, &standing->q->view->state,
		    &license.document);
	arena_release(&arena);
	for (uint32_t i = 0; i < standing->n && err == 0; i++) {
		struct sync_vendor_view *view = &standing->items[i];
		uint32_t days = license.document.sync.max_unsynced_days;

		if (strcmp(view->vendor, license.document.vendor.id) != 0)
			continue;
		add_hub(standing, i, &license.document);
		if (days != 0 && (view->max_days == 0 || days < view->max_days))
			view->max_days = days;
		if (stops != INT64_MAX &&
		    (view->stops_at == 0 || stops < view->stops_at))
			view->stops_at = stops;
	}
	return err;
}

int
query_sync(struct query *q)
{
	struct sync_status *out = q->reply;
	struct standing standing = { .q = q };

	standing.items =
	    arena_alloc(q->arena, SYNC_VENDORS_MAX * sizeof *standing.items);
	standing.named =
	    arena_alloc(q->arena, SYNC_VENDORS_MAX * sizeof *standing.named);
	if (standing.items == NULL || standing.named == NULL)
		return ERR_NOMEM;
	int err = state_each_sync(&q->view->state, add_vendor, &standing);

	if (err == 0)
		err = store_each(&q->view->state.txn, STORE_LICENSES, NULL, 0,
		    add_license, &standing);
	out->items = (struct record_list){ standing.items, standing.n };
	return err;
}
