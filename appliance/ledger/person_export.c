/* All that is known of one person, page by page: ids, accounts, keys, customers
 * of a hub, seats, then the journal's facts. A page of the journal is read in some 50 ms at most:
 * an id is random, so bytes are searched before rows are read. Nothing is left
 * out: a page that is full says where the next begins. See ledger.h. */
#include "appliance/hub/person.h"
#include "appliance/ledger/base.h"
#include "appliance/ledger/key_person.h"
#include "appliance/ledger/view_query.h"
#include "shared/base/err.h"
#include "shared/rpc/messages_hub.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGE_NS UINT64_C(40000000)
#define PAGE_BYTES ((size_t)512 << 10)
#define PAGE_KEYS 1024 /* that are looked at */

/* A page in the making. */
struct export
{
	struct query *q;
	const struct person_export *request;
	struct person_data *out;
	struct row_subject *named; /* his ids */
	uint32_t n;
	struct person_document *documents;
	struct person_row *rows;
	size_t bytes;
	uint64_t began;
};

/* Where the next page begins. */
static void
go_on(struct export *export, const char *what, uint64_t number)
{
	snprintf(export->out->cursor, sizeof export->out->cursor, "%s-%" PRIu64,
	    what, number);
}

static int
export_ids(struct export *export)
{
	struct ledger_view *view = export->q->view;
	const struct record_list *more = &export->request->subjects;
	struct person_query who = { .hosts = export->request->hosts };

	memcpy(who.name, export->request->name, sizeof who.name);
	export->named = arena_alloc(export->q->arena,
	    PERSON_IDS_MAX * sizeof *export->named);
	if (export->named == NULL)
		return ERR_NOMEM;
	int err = person_names(export->named, &export->n, &view->state,
	    view->ledger->keys, &who);

	for (uint32_t i = 0; i < more->count && err == 0; i++) {
		const struct row_subject *id =
		    &((const struct row_subject *)more->items)[i];
		bool known = sodium_is_zero(id->subject, SUBJECT_BYTES);

		for (uint32_t j = 0; j < export->n && !known; j++)
			known = memcmp(export->named[j].subject, id->subject,
				    SUBJECT_BYTES) == 0;
		if (!known)
			export->named[export->n++] = *id;
	}
	return err;
}

static int
export_subjects(struct export *export)
{
	struct person_subject *items =
	    arena_alloc(export->q->arena, export->n * sizeof *items + 1);
	uint32_t n = 0;
	int err = items != NULL ? 0 : ERR_NOMEM;

	for (uint32_t i = 0; i < export->n && err == 0; i++) {
		struct subject subject;

		err = subject_get(&subject, &export->q->view->state,
		    export->q->view->ledger->keys, export->named[i].subject);
		if (err == ERR_NOT_FOUND_INTERNAL) {
			err = 0;
			continue;
		}
		if (err != 0)
			break;
		items[n] = (struct person_subject){ .kind = subject.kind };
		memcpy(items[n].subject, subject.id, SUBJECT_BYTES);
		memcpy(items[n++].value, subject.value, sizeof items->value);
	}
	export->out->subjects = (struct record_list){ items, n };
	return err;
}

static int
add_document(struct export *export, const char *kind, uint64_t number,
    const struct record *record, const void *value)
{
	struct record_list *list = &export->out->documents;
	struct person_document *item = &export->documents[list->count];
	struct buf json = { .len = 0 };

	record_write_json(&json, record, value);
	*item = (struct person_document){ .number = number };
	snprintf(item->kind, sizeof item->kind, "%s", kind);
	item->text.data = json.failed
	    ? NULL
	    : arena_copy(export->q->arena, json.data, json.len);
	item->text.len = (uint32_t)json.len;
	buf_release(&json);
	if (item->text.data == NULL)
		return ERR_NOMEM;
	list->count++;
	export->bytes += item->text.len;
	return 0;
}

static int
begin_documents(struct export *export)
{
	export->documents = arena_alloc(export->q->arena,
	    PERSON_DOCUMENTS_MAX * sizeof *export->documents);
	export->out->documents.items = export->documents;
	return export->documents != NULL ? 0 : ERR_NOMEM;
}

/* What is kept of his accounts, but for what a login is proved with. */
static int
export_accounts(struct export *export, uint64_t after)
{
	struct query *q = export->q;
	struct user_names names = { .state = &q->view->state,
		.sealed = q->view->ledger->sealed,
		.name = export->request->name,
		.after = after };
	int err = begin_documents(export);

	_Static_assert(ERASURE_USERS_MAX <= PERSON_DOCUMENTS_MAX, "a page");
	if (err == 0)
		err = user_named(&names);
	for (uint32_t i = 0; i < names.n && err == 0; i++) {
		uint64_t number = names.users[i].number;
		struct user_view view;
		struct state_user user;

		err = state_user(&user, &q->view->state, number);
		if (err == 0)
			err = user_view_fill(&view, &q->view->state,
			    q->view->ledger->sealed, &user);
		if (err == 0)
			err = add_document(export, "user", number,
			    &user_view_record, &view);
	}
	if (names.more)
		go_on(export, "user", names.users[names.n - 1].number);
	else
		go_on(export, "key", 0);
	return err;
}

/* As admins see it. */
static int
add_key(struct export *export, uint64_t number)
{
	struct key_details details;
	struct key_ref ref;
	struct query q = *export->q;

	snprintf(ref.key_id, sizeof ref.key_id, "key-%" PRIu64, number);
	memset(&details, 0, sizeof details);
	q.request = &ref;
	q.reply = &details;
	int err = query_key(&q);

	return err == 0
	    ? add_document(export, "key", number, &key_details_record, &details)
	    : err;
}

static int
export_keys(struct export *export, uint64_t after)
{
	struct person_query who = { .hosts = export->request->hosts,
		.mentions = export->request->mentions };
	struct key_person_walk walk = { .state = &export->q->view->state,
		.sealed = export->q->view->ledger->sealed,
		.who = &who,
		.after = after,
		.limit = PAGE_KEYS };
	int err = begin_documents(export);

	_Static_assert(ERASURE_KEYS_MAX <= PERSON_DOCUMENTS_MAX, "a page");
	memcpy(who.name, export->request->name, sizeof who.name);
	if (err == 0)
		err = key_person_find(&walk);
	for (uint32_t i = 0; i < walk.n && err == 0; i++) {
		if (export->bytes > PAGE_BYTES) {
			walk.after = walk.numbers[i] - 1;
			walk.more = true;
			break;
		}
		err = add_key(export, walk.numbers[i]);
	}
	go_on(export, walk.more ? "key" : "customer",
	    walk.more ? walk.after : 0);
	return err;
}

static int
add_customer(struct export *export, uint64_t number)
{
	const struct ledger_view *view = export->q->view;
	struct customer_view customer;
	int err = hub_person_view(&customer, view->ledger, &view->state, number,
	    export->q->arena);

	return err == 0 ? add_document(export, "customer", number,
			      &customer_view_record, &customer)
			: err;
}

/* Of a hub: those that write to him. */
static int
export_customers(struct export *export, uint64_t after)
{
	struct person_query who = { .mentions = export->request->mentions };
	struct hub_person_walk walk = { .state = &export->q->view->state,
		.sealed = export->q->view->ledger->sealed,
		.who = &who,
		.after = after,
		.limit = PAGE_KEYS };
	int err = begin_documents(export);

	memcpy(who.name, export->request->name, sizeof who.name);
	if (err == 0)
		err = hub_person_find(&walk);
	for (uint32_t i = 0; i < walk.n && err == 0; i++)
		err = add_customer(export, walk.numbers[i]);
	if (walk.more)
		go_on(export, "customer", walk.after);
	else if (export->n > 0)
		go_on(export, "lease", 0);
	return err;
}

static bool
names_him(const struct export *export, const struct record_span *bytes)
{
	for (uint32_t i = 0; i < export->n; i++) {
		if (memmem(bytes->data, bytes->len, export->named[i].subject,
			SUBJECT_BYTES) != NULL)
			return true;
	}
	return false;
}

static int
export_row(struct export *export, const struct journal_header *header,
    uint32_t index, const struct record_span *bytes, struct arena *scratch)
{
	struct person_row *item = &export->rows[export->out->rows.count];
	struct buf json = { .len = 0 };
	struct row row;
	int err = row_read(&row, header->first_row + index, bytes->data,
	    bytes->len, scratch);

	if (err != 0)
		return err == ERR_NOMEM ? err : ERR_CORRUPT;
	record_write_json(&json, row_record(row.kind), &row.u);
	*item = (struct person_row){ .row = row.number,
		.batch = header->batch,
		.time = header->time };
	snprintf(item->kind, sizeof item->kind, "%s", row_kind_name(row.kind));
	item->fact.data = json.failed
	    ? NULL
	    : arena_copy(export->q->arena, json.data, json.len);
	item->fact.len = (uint32_t)json.len;
	buf_release(&json);
	if (item->fact.data == NULL)
		return ERR_NOMEM;
	export->out->rows.count++;
	export->bytes += item->fact.len;
	return 0;
}

/* Those of one batch, from `at_row` on, as far as the page has room. When it is
 * full, `at_row` is the first that it had none for. */
static int
export_batch(struct export *export, const struct record_span *blob,
    uint32_t *at_row, bool *full)
{
	struct arena scratch = { .chunks = NULL };
	struct journal_header header;
	struct journal_batch batch;
	uint8_t head[32];
	int err = view_batch(&batch, blob, &scratch);

	*full = false;
	if (err == 0)
		err = journal_header_verify(&header, head, batch.header.data,
		    batch.header.len,
		    site_keys_of(&export->q->view->ledger->site_keys,
			batch.header.data, batch.header.len));
	for (uint32_t i = *at_row; err == 0 && i < batch.rows.count; i++) {
		const struct journal_row_bytes *row =
		    &((const struct journal_row_bytes *)batch.rows.items)[i];

		if (!names_him(export, &row->bytes))
			continue;
		if (export->out->rows.count == PERSON_ROWS_MAX ||
		    export->bytes > PAGE_BYTES) {
			*at_row = i;
			*full = true;
			break;
		}
		err = export_row(export, &header, i, &row->bytes, &scratch);
	}
	arena_release(&scratch);
	return err;
}

static int
take_number(void *ctx, const struct record_span *key,
    const struct record_span *value)
{
	uint64_t *number = ctx;

	(void)value;
	*number = key->len == 8 ? be64_read(key->data) : 0;
	return 1;
}

/* To the one before the next that is there. */
static int
skip_gone(uint64_t *at, const struct state *state, uint64_t before)
{
	uint64_t next = before;
	uint8_t key[8];

	be64_write(key, *at);
	int err = store_each(&state->txn, STORE_BATCHES, key, sizeof key,
	    take_number, &next);

	if (err != 0 && err != 1)
		return err;
	if (next <= *at)
		return ERR_CORRUPT;
	*at = next - 1;
	return 0;
}

/* A place is a batch and a row of it. */
static int
export_rows(struct export *export, uint64_t from, uint32_t row)
{
	struct person_data *out = export->out;
	const struct state *state = &export->q->view->state;
	uint64_t end = state->counters.batches, at = from, before = 0;
	bool full = false;
	int err = anchor_before(&before, state);

	export->rows = arena_alloc(export->q->arena,
	    PERSON_ROWS_MAX * sizeof *export->rows);
	if (export->rows == NULL)
		return ERR_NOMEM;
	out->rows.items = export->rows;
	for (; err == 0 && at < end; at++) {
		struct record_span blob;

		if (at > from &&
		    (export->bytes > PAGE_BYTES ||
			core_now_ns() - export->began > PAGE_NS))
			break;
		err = state_batch(&blob, state, at);
		/* What was given up is not there; what it says of a lease that
		 * is held, is. */
		if (err == ERR_NOT_FOUND_INTERNAL && at < before) {
			err = skip_gone(&at, state, before);
			row = 0;
			continue;
		}
		if (err == ERR_NOT_FOUND_INTERNAL)
			err = ERR_CORRUPT;
		if (err == 0 && names_him(export, &blob))
			err = export_batch(export, &blob, &row, &full);
		if (err != 0 || full)
			break;
		row = 0;
	}
	if (err == 0 && full)
		snprintf(out->cursor, sizeof out->cursor,
		    "batch-%" PRIu64 "-%" PRIu32, at, row);
	else if (err == 0 && at < end)
		go_on(export, "batch", at);
	return err;
}

static int
export_leases(struct export *export, uint64_t after)
{
	struct person_data *out = export->out;
	struct lease_page page = { .next = 0 };
	int err = view_leases_naming(&page, export->q->view, export->named,
	    export->n, after, export->q->arena);

	out->leases = page.items;
	go_on(export, page.next != 0 ? "lease" : "batch", page.next);
	return err;
}

/* "lease-17"; of a batch also "batch-3-250". */
static bool
read_cursor(uint64_t *number, uint32_t *row, const char *text, const char *what)
{
	size_t len = strlen(what);
	unsigned long long within = 0;
	char *end;

	if (strncmp(text, what, len) != 0 || text[len] < '0' || text[len] > '9')
		return false;
	*number = strtoull(text + len, &end, 10);
	if (row != NULL && end[0] == '-' && end[1] >= '0' && end[1] <= '9')
		within = strtoull(end + 1, &end, 10);
	if (*end != '\0' || *number >= UINT64_MAX >> 11 ||
	    within >= JOURNAL_BATCH_ROWS_MAX)
		return false;
	if (row != NULL)
		*row = (uint32_t)within;
	return true;
}

int
query_person_data(struct query *q)
{
	const struct person_export *request = q->request;
	const char *cursor = request->cursor;
	struct export export = { .q = q,
		.request = request,
		.out = q->reply,
		.began = core_now_ns() };
	uint64_t number = 0;
	uint32_t row = 0;
	int err = export_ids(&export);

	*export.out = (struct person_data){ .cursor = "" };
	if (err == 0 && cursor[0] == '\0')
		err = export_subjects(&export);
	if (err != 0)
		return err;
	if (cursor[0] == '\0' || read_cursor(&number, NULL, cursor, "user-"))
		return export_accounts(&export, number);
	if (read_cursor(&number, NULL, cursor, "key-"))
		return export_keys(&export, number);
	if (read_cursor(&number, NULL, cursor, "customer-"))
		return export_customers(&export, number);
	if (read_cursor(&number, NULL, cursor, "lease-"))
		return export_leases(&export, number);
	if (read_cursor(&number, &row, cursor, "batch-"))
		return export_rows(&export, number, row);
	return query_refuse(q->problem, ERR_BAD_REQUEST,
	    "the cursor is none of an earlier answer");
}
