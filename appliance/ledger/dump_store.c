/* A whole store as a dump: see ledger.h and system.h. */
#include "appliance/ledger/core.h"
#include "appliance/ledger/subjects.h"
#include "shared/backup/dump.h"

#include "shared/base/err.h"

#include <string.h>

/* Notes of this one file, which a copy has no part in. */
static bool
stays(enum store_table table, const struct record_span *key)
{
	static const char *const names[] = { "clean", "probe" };

	if (table != STORE_META)
		return false;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (key->len == strlen(names[i]) + 1 &&
		    memcmp(key->data, names[i], key->len) == 0)
			return true;
	return false;
}

struct dumping {
	struct dump_writer *out;
	enum store_table table;
};

static int
dump_one(void *ctx, const struct record_span *key,
    const struct record_span *value)
{
	const struct dumping *dumping = ctx;

	if (stays(dumping->table, key))
		return 0;
	return dump_entry(dumping->out, key->data, key->len, value->data,
	    value->len);
}

int
ledger_dump(struct dump_writer *out, struct ledger_view *view)
{
	int err = 0;

	for (enum store_table i = 0; i < STORE_TABLES && err == 0; i++) {
		struct dumping dumping = { out, i };

		err = dump_table(out, store_table_name(i));
		if (err == 0)
			err = store_each(&view->state.txn, i, NULL, 0, dump_one,
			    &dumping);
	}
	return err;
}

/* --- parts of it, readable --------------------------------------------------- */

struct showing {
	int (*subject)(void *ctx, const struct subject_view *subject);
	int (*batch)(void *ctx, const void *blob, size_t len);
	void *ctx;
};

static int
show_subject(void *ctx, const struct subject *subject)
{
	const struct showing *showing = ctx;
	struct subject_view view = { .kind = subject->kind };

	memcpy(view.subject, subject->id, sizeof(view.subject));
	memcpy(view.value, subject->value, sizeof(view.value));
	return showing->subject(showing->ctx, &view);
}

int
ledger_each_subject(struct ledger_view *view,
    int (*each)(void *ctx, const struct subject_view *subject), void *ctx)
{
	static const uint8_t first[SUBJECT_BYTES];
	struct showing showing = { .subject = each, .ctx = ctx };

	return subject_each(&view->state, view->ledger->keys, first,
	    show_subject, &showing);
}

static int
show_batch(void *ctx, const struct record_span *key,
    const struct record_span *value)
{
	const struct showing *showing = ctx;

	(void)key;
	return showing->batch(showing->ctx, value->data, value->len);
}

int
ledger_each_batch(struct ledger_view *view,
    int (*each)(void *ctx, const void *blob, size_t len), void *ctx)
{
	struct showing showing = { .batch = each, .ctx = ctx };

	return store_each(&view->state.txn, STORE_BATCHES, NULL, 0, show_batch,
	    &showing);
}
