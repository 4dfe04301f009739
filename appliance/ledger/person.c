/* Who is this, and who was erased; what is known of one is in
 * person_export.c. See ledger.h. */
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
