/*
 * Everything of one tenant as people and other programs can read it: a dump
 * (shared/backup) whose tables are lists of JSON objects, one an entry, as the
 * API shows them, and the journal's batches as they are. One snapshot. Secrets
 * are not in it, but for the names of people, in the clear: that is what it is
 * for.
 */
#include "appliance/ledger/backup.h"
#include "appliance/ledger/tenant_use.h"

#include "shared/backup/dump.h"
#include "shared/base/err.h"
#include "shared/base/log.h"

#include <stdlib.h>
#include <string.h>

struct exporting {
	struct dump_writer *out;
	struct ledger_view *view;
	struct process *process;
	struct arena arena; /* of a page */
	struct buf json;
	uint64_t number; /* of the entry, in its table */
};

static int
put_entry(struct exporting *exporting, const void *data, size_t len)
{
	uint8_t key[8];

	be64_write(key, ++exporting->number);
	return dump_entry(exporting->out, key, sizeof(key), data, len);
}

static int
put_json(struct exporting *exporting, const struct record *record,
    const void *value)
{
	buf_clear(&exporting->json);
	record_write_json(&exporting->json, record, value);
	return exporting->json.failed
	    ? ERR_NOMEM
	    : put_entry(exporting, exporting->json.data, exporting->json.len);
}

static int
begin_table(struct exporting *exporting, const char *name)
{
	exporting->number = 0;
	return dump_table(exporting->out, name);
}

/* --- lists of the API ------------------------------------------------------- */

static const struct record_field *
field_of(const struct record *record, const char *key)
{
	for (size_t i = 0; i < record->n_fields; i++)
		if (strcmp(record->fields[i].key, key) == 0)
			return &record->fields[i];
	return NULL;
}

/* Cursors are numbers inside; lists without one come whole. */
static uint64_t
next_of(const struct record *reply, const void *page)
{
	const struct record_field *field = field_of(reply, "next");
	uint64_t next = 0;

	if (field != NULL)
		memcpy(&next, (const uint8_t *)page + field->offset,
		    sizeof(next));
	return next;
}

static void
ask_after(void *request, const struct record *record, uint64_t after, bool all)
{
	const struct record_field *field = field_of(record, "after");

	if (field != NULL)
		memcpy((uint8_t *)request + field->offset, &after,
		    sizeof(after));
	field = field_of(record, "all");
	if (field != NULL)
		memcpy((uint8_t *)request + field->offset, &all, sizeof(all));
}

static int
put_page(struct exporting *exporting, const struct record *reply,
    const void *page)
{
	const struct record_field *field = field_of(reply, "items");
	struct record_list list;
	int err = 0;

	memcpy(&list, (const uint8_t *)page + field->offset, sizeof(list));
	for (uint32_t i = 0; i < list.count && err == 0; i++)
		err = put_json(exporting, field->of,
		    (const uint8_t *)list.items + i * field->of->size);
	return err;
}

static int
put_list(struct exporting *exporting, const char *name, enum operation_id id)
{
	const struct operation *op = operation_get(id);
	const size_t size = op->request->size;
	uint64_t after = 0;
	int err = begin_table(exporting, name);

	while (err == 0) {
		struct problem problem;

		arena_clear(&exporting->arena);
		void *request =
		    arena_alloc(&exporting->arena, size > 0 ? size : 1);
		void *page = arena_alloc(&exporting->arena, op->reply->size);

		if (request == NULL || page == NULL)
			return ERR_NOMEM;
		ask_after(request, op->request, after, true);
		err = ledger_query(page, exporting->view, id, request,
		    process_now(exporting->process), &exporting->arena,
		    &problem);
		if (err == 0)
			err = put_page(exporting, op->reply, page);
		uint64_t next = err == 0 ? next_of(op->reply, page) : 0;

		if (next <= after)
			break;
		after = next;
	}
	return err;
}

/* --- people and the journal -------------------------------------------------- */

static int
put_subject(void *ctx, const struct subject_view *view)
{
	return put_json(ctx, &subject_view_record, view);
}

static int
put_subjects(struct exporting *exporting)
{
	int err = begin_table(exporting, "subjects");

	return err == 0
	    ? ledger_each_subject(exporting->view, put_subject, exporting)
	    : err;
}

static int
put_batch(void *ctx, const void *blob, size_t len)
{
	return put_entry(ctx, blob, len);
}

static int
put_journal(struct exporting *exporting)
{
	int err = begin_table(exporting, "journal");

	return err == 0
	    ? ledger_each_batch(exporting->view, put_batch, exporting)
	    : err;
}

/* --- the whole ---------------------------------------------------------------- */

static int
put_all(struct exporting *exporting, const struct backup_part *about)
{
	static const struct {
		const char *name;
		enum operation_id op;
	} lists[] = {
		{ "licenses", OP_LICENSE_LIST },
		{ "devices", OP_DEVICE_LIST },
		{ "leases", OP_LEASE_LIST },
		{ "borrows", OP_BORROW_LIST },
		{ "tokens", OP_JOIN_LIST },
		{ "users", OP_USER_LIST },
		{ "keys", OP_KEY_LIST },
	};
	int err = begin_table(exporting, "about");

	if (err == 0)
		err = put_json(exporting, &backup_part_record, about);
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]) && err == 0;
	     i++)
		err = put_list(exporting, lists[i].name, lists[i].op);
	if (err == 0)
		err = put_subjects(exporting);
	return err == 0 ? put_journal(exporting) : err;
}

static int
fill_export(struct dump_writer *out, struct copying *copying, struct call *call)
{
	struct exporting exporting = { .out = out, .process = call->process };
	int err = ledger_view_open(&exporting.view, copying->tenant->ledger);

	if (err != 0)
		return err;
	/* Its number is of no meaning there. */
	copying->reply.part = 1;
	err = copying_place(&copying->reply, exporting.view);
	if (err == 0)
		err = put_all(&exporting, &copying->reply);
	ledger_view_close(exporting.view);
	arena_release(&exporting.arena);
	buf_release(&exporting.json);
	return err;
}

void
export_begin_asked(const struct request *request)
{
	struct tenant *tenant = request->tenant;

	if (request->op->id == OP_TENANT_EXPORT) {
		const struct vault_ref *asked = request_read(request);

		tenant =
		    asked != NULL ? tenant_for(request, asked->tenantId) : NULL;
	}
	if (tenant != NULL)
		copying_begin(request, tenant, SPOOL_EXPORT, fill_export);
}
