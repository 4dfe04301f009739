/* What is known of one person, and who was erased. A page of the journal is
 * read in some 50 ms at most: an id is random, so bytes are searched before
 * rows are read. See ledger.h. */
#include "appliance/ledger/view_query.h"
#include "shared/base/err.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGE_NS UINT64_C(40000000)
#define PAGE_BYTES ((size_t)512 << 10)

bool
person_has(const struct person_query *who, const struct subject *subject)
{
	switch ((enum subject_kind)subject->kind) {
	case SUBJECT_USER:
		return strcmp(subject->value, who->name) == 0;
	case SUBJECT_HOST:
	case SUBJECT_DEVICE:
	case SUBJECT_ADDRESS:
		return who->hosts && strcmp(subject->value, who->name) == 0;
	case SUBJECT_PATTERN:
	case SUBJECT_REASON:
		return who->mentions &&
		    strcasestr(subject->value, who->name) != NULL;
	}
	return false;
}

int
person_names(struct row_subject out[PERSON_NAMES_MAX], uint32_t *n,
    const struct state *state, const struct subject_keys *keys,
    const struct person_query *who)
{
	static const enum subject_kind kinds[PERSON_NAMES_MAX] = { SUBJECT_USER,
		SUBJECT_HOST, SUBJECT_DEVICE, SUBJECT_ADDRESS };
	int err = 0;

	*n = 0;
	for (size_t i = 0; i < (who->hosts ? PERSON_NAMES_MAX : 1) && err == 0;
	     i++) {
		err = subject_find(out[*n].subject, state, keys, kinds[i],
		    who->name);
		*n += err == 0;
		if (err == ERR_NOT_FOUND_INTERNAL)
			err = 0;
	}
	return err;
}

int
ledger_person_leases(struct lease_page *page, uint64_t *granted,
    struct ledger_view *view, const struct person_erase *who, uint64_t after,
    struct arena *arena)
{
	struct person_query query = { .hosts = who->hosts };
	struct row_subject names[PERSON_NAMES_MAX];
	uint32_t n;

	memcpy(query.name, who->name, sizeof query.name);
	*page = (struct lease_page){ .next = 0 };
	*granted = view->state.counters.next_lease;
	int err =
	    person_names(names, &n, &view->state, view->ledger->keys, &query);

	return err != 0 || n == 0
	    ? err
	    : view_leases_naming(page, view, names, n, after, arena);
}

/* --- find ------------------------------------------------------------------ */

struct find {
	const struct person_query *who;
	struct person_subject *items;
	uint32_t n;
	uint32_t looked;
	uint64_t began;
	uint8_t next[SUBJECT_BYTES];
	bool more;
};

static int
find_one(void *ctx, const struct subject *subject)
{
	struct find *find = ctx;

	if (find->n == PERSON_SUBJECTS_MAX ||
	    (++find->looked % 64 == 0 &&
		core_now_ns() - find->began > PAGE_NS)) {
		memcpy(find->next, subject->id, SUBJECT_BYTES);
		find->more = true;
		return ERR_FULL;
	}
	if (!person_has(find->who, subject))
		return 0;
	struct person_subject *item = &find->items[find->n++];

	*item = (struct person_subject){ .kind = subject->kind };
	memcpy(item->subject, subject->id, SUBJECT_BYTES);
	memcpy(item->value, subject->value, sizeof item->value);
	return 0;
}

int
query_person(struct query *q)
{
	struct person_page *out = q->reply;
	const struct person_query *who = q->request;
	struct find find = { .who = who, .began = core_now_ns() };

	find.items =
	    arena_alloc(q->arena, PERSON_SUBJECTS_MAX * sizeof *find.items);
	if (find.items == NULL)
		return ERR_NOMEM;
	int err = subject_each(&q->view->state, q->view->ledger->keys,
	    who->after, find_one, &find);

	out->items = (struct record_list){ find.items, find.n };
	memcpy(out->next, find.next, sizeof out->next);
	return find.more ? 0 : err;
}

/* --- export ----------------------------------------------------------------- */

/* A page in the making. */
struct export
{
	struct query *q;
	const struct person_export *request;
	struct person_data *out;
	struct row_subject *named; /* his ids */
	uint32_t n;
	struct person_row *rows;
	size_t bytes;
	uint64_t began;
};

static int
export_ids(struct export *export)
{
	struct ledger_view *view = export->q->view;
	const struct record_list *more = &export->request->subjects;
	struct person_query who = { .hosts = export->request->hosts };

	memcpy(who.name, export->request->name, sizeof who.name);
	export->named = arena_alloc(export->q->arena,
	    (PERSON_NAMES_MAX + PERSON_SUBJECTS_MAX) * sizeof *export->named);
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
		if (err != 0 || n == PERSON_SUBJECTS_MAX)
			break;
		items[n] = (struct person_subject){ .kind = subject.kind };
		memcpy(items[n].subject, subject.id, SUBJECT_BYTES);
		memcpy(items[n++].value, subject.value, sizeof items->value);
	}
	export->out->subjects = (struct record_list){ items, n };
	return err;
}

/* What is kept of his accounts, but for what a login is proved with. */
static int
export_accounts(struct export *export)
{
	struct query *q = export->q;
	struct user_names names = { .state = &q->view->state,
		.sealed = q->view->ledger->sealed,
		.name = export->request->name };
	struct person_document *items =
	    arena_alloc(q->arena, ERASURE_USERS_MAX * sizeof *items);
	int err = items != NULL ? user_named(&names) : ERR_NOMEM;

	for (uint32_t i = 0; i < names.n && err == 0; i++) {
		struct buf json = { .len = 0 };
		struct user_view view;
		struct state_user user;

		err = state_user(&user, &q->view->state, names.users[i].number);
		if (err == 0)
			err = user_view_fill(&view, &q->view->state,
			    q->view->ledger->sealed, &user);
		if (err == 0)
			record_write_json(&json, &user_view_record, &view);
		items[i] = (struct person_document){ .kind = "user",
			.number = names.users[i].number };
		items[i].text.data =
		    err == 0 ? arena_copy(q->arena, json.data, json.len) : NULL;
		items[i].text.len = (uint32_t)json.len;
		buf_release(&json);
		if (err == 0 && items[i].text.data == NULL)
			err = ERR_NOMEM;
	}
	export->out->documents = (struct record_list){ items, names.n };
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

/* Of a batch all rows or none, so that the cursor is a batch: `none` when the
 * page has no room for them. */
static int
export_batch(struct export *export, const struct record_span *blob, bool *none)
{
	struct record_list *rows = &export->out->rows;
	const uint32_t before = rows->count;
	struct arena scratch = { .chunks = NULL };
	struct journal_header header;
	struct journal_batch batch;
	uint8_t head[32];
	int err = view_batch(&batch, blob, &scratch);

	*none = false;
	if (err == 0)
		err = journal_header_verify(&header, head, batch.header.data,
		    batch.header.len, export->q->view->ledger->site_public);
	for (uint32_t i = 0; err == 0 && !*none && i < batch.rows.count; i++) {
		const struct journal_row_bytes *row =
		    &((const struct journal_row_bytes *)batch.rows.items)[i];

		if (!names_him(export, &row->bytes))
			continue;
		*none = rows->count == PERSON_ROWS_MAX && before > 0;
		/* More of one batch than a page holds: it names him often. */
		if (rows->count == PERSON_ROWS_MAX)
			break;
		err = export_row(export, &header, i, &row->bytes, &scratch);
	}
	if (*none)
		rows->count = before;
	arena_release(&scratch);
	return err;
}

static int
export_rows(struct export *export, uint64_t from)
{
	struct person_data *out = export->out;
	const struct state *state = &export->q->view->state;
	uint64_t end = state->counters.batches, at = from;
	int err = 0;

	export->rows = arena_alloc(export->q->arena,
	    PERSON_ROWS_MAX * sizeof *export->rows);
	if (export->rows == NULL)
		return ERR_NOMEM;
	out->rows.items = export->rows;
	for (; at < end && err == 0; at++) {
		struct record_span blob;
		bool none = false;

		if (at > from &&
		    (export->bytes > PAGE_BYTES ||
			core_now_ns() - export->began > PAGE_NS))
			break;
		err = state_batch(&blob, state, at);
		if (err == ERR_NOT_FOUND_INTERNAL)
			err = ERR_CORRUPT;
		if (err == 0 && names_him(export, &blob))
			err = export_batch(export, &blob, &none);
		if (none)
			break;
	}
	if (err == 0 && at < end)
		snprintf(out->cursor, sizeof out->cursor, "batch-%" PRIu64, at);
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
	snprintf(out->cursor, sizeof out->cursor, "%s-%" PRIu64,
	    page.next != 0 ? "lease" : "batch", page.next);
	return err;
}

/* "lease-17", "batch-3". */
static bool
read_cursor(uint64_t *number, const char *text, const char *what)
{
	size_t len = strlen(what);
	char *end;

	if (strncmp(text, what, len) != 0 || text[len] < '0' || text[len] > '9')
		return false;
	*number = strtoull(text + len, &end, 10);
	return *end == '\0' && *number < UINT64_MAX >> 11;
}

int
query_person_data(struct query *q)
{
	const struct person_export *request = q->request;
	struct export export = { .q = q,
		.request = request,
		.out = q->reply,
		.began = core_now_ns() };
	uint64_t number = 0;
	int err = export_ids(&export);

	*export.out = (struct person_data){ .cursor = "" };
	if (err != 0)
		return err;
	if (request->cursor[0] == '\0')
		err = export_subjects(&export);
	if (err == 0 && request->cursor[0] == '\0')
		err = export_accounts(&export);
	if (err == 0 && export.n == 0)
		return 0;
	if (err == 0 &&
	    (request->cursor[0] == '\0' ||
		read_cursor(&number, request->cursor, "lease-")))
		return export_leases(&export, number);
	if (err == 0 && read_cursor(&number, request->cursor, "batch-"))
		return export_rows(&export, number);
	return err != 0 ? err
			: query_refuse(q->problem, ERR_BAD_REQUEST,
			      "the cursor is none of an earlier answer");
}

/* --- erasures ---------------------------------------------------------------- */

struct listing {
	struct query *q;
	struct erasure_view *items;
	uint32_t n, limit;
	size_t bytes;
	bool more;
};

static int
list_one(void *ctx, const struct record_span *key,
    const struct record_span *value)
{
	struct listing *list = ctx;
	struct state_erasure erasure;
	struct record_span token;

	if (list->n == list->limit || list->bytes > PAGE_BYTES) {
		list->more = true;
		return ERR_FULL;
	}
	int err = state_erasure_read(&erasure, key, value);

	if (err == 0)
		err = state_erasure_token(&token, &list->q->view->state,
		    erasure.erasure);
	if (err != 0)
		return err == ERR_NOT_FOUND_INTERNAL ? ERR_CORRUPT : err;
	struct erasure_view *item = &list->items[list->n++];

	*item = (struct erasure_view){ .erasure = erasure.erasure,
		.at = erasure.at,
		.subjects = erasure.subjects,
		.users = erasure.users,
		.row = erasure.row_number,
		.batch = erasure.batch,
		.by = erasure.by };
	item->document.data = arena_copy(list->q->arena, token.data, token.len);
	item->document.len = token.len;
	list->bytes += token.len;
	return item->document.data != NULL ? 0 : ERR_NOMEM;
}

int
query_erasures(struct query *q)
{
	const struct erasure_query *request = q->request;
	struct erasure_page *out = q->reply;
	struct listing list = { .q = q, .limit = query_limit(request->limit) };
	uint8_t from[8];

	list.items = arena_alloc(q->arena, list.limit * sizeof *list.items);
	if (list.items == NULL)
		return ERR_NOMEM;
	be64_write(from, request->after + 1);
	int err = store_each(&q->view->state.txn, STORE_ERASURES, from,
	    sizeof from, list_one, &list);

	out->items = (struct record_list){ list.items, list.n };
	out->next = list.more ? list.items[list.n - 1].erasure : 0;
	return list.more ? 0 : err;
}
