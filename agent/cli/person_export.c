/* `leasehold person export`: answers of the site, page by page, as one document.
 * See person.c. */
#include "agent/cli/person.h"

#include "shared/base/err.h"
#include "shared/base/text.h"

#include <stdio.h>
#include <string.h>

/* Lists of the whole document, as JSON texts: an answer is a part of it. */
struct parts {
	struct cli *cli;
	struct buf documents, sessions, leases, rows;
	uint64_t n_documents, n_sessions, n_leases, n_rows;
};

static void
next_item(struct buf *out, uint64_t *n)
{
	buf_add_str(out, (*n)++ > 0 ? ",\n    " : "\n    ");
}

static void
add_leases(struct parts *parts, const struct record_list *list)
{
	const struct lease_view *items = list->items;

	for (uint32_t i = 0; i < list->count; i++) {
		char since[32];

		if (parts->cli->json) {
			next_item(&parts->leases, &parts->n_leases);
			record_write_json(&parts->leases, &lease_view_record,
			    &items[i]);
			continue;
		}
		parts->n_leases++;
		cli_time(since, items[i].granted_at);
		cli_show("seat      lease-%llu  %s on %s, since %s%s\n",
		    (unsigned long long)items[i].lease, items[i].product,
		    items[i].device_name, since,
		    items[i].until != 0 ? ", borrowed" : "");
	}
}

static void
add_rows(struct parts *parts, const struct record_list *list)
{
	const struct person_row *items = list->items;

	for (uint32_t i = 0; i < list->count; i++) {
		const struct person_row *row = &items[i];
		char when[32];

		if (!parts->cli->json) {
			parts->n_rows++;
			cli_time(when, row->time);
			cli_show("%8llu  %s  %-17s %.*s\n",
			    (unsigned long long)row->row, when, row->kind,
			    (int)row->fact.len, (const char *)row->fact.data);
			continue;
		}
		cli_time(when, row->time);
		when[10] = 'T';
		next_item(&parts->rows, &parts->n_rows);
		buf_printf(&parts->rows,
		    "{\"row\":%llu,\"batch\":%llu,\"time\":\"%s\","
		    "\"kind\":\"%s\",\"fact\":%.*s}",
		    (unsigned long long)row->row,
		    (unsigned long long)row->batch, when, row->kind,
		    (int)row->fact.len, (const char *)row->fact.data);
	}
}

static void
print_subjects(const struct parts *parts, const struct record_list *list)
{
	const struct person_subject *items = list->items;
	struct buf out = { 0 };

	for (uint32_t i = 0; i < list->count; i++) {
		char id[2 * SUBJECT_BYTES + 1];

		text_to_hex(id, items[i].subject, SUBJECT_BYTES);
		if (!parts->cli->json) {
			cli_show("subject   %s  %s  %s\n", id,
			    subject_kind_names[items[i].kind], items[i].value);
			continue;
		}
		buf_add_str(&out, i > 0 ? ",\n    " : "\n    ");
		record_write_json(&out, &person_subject_record, &items[i]);
	}
	if (parts->cli->json)
		printf("  \"subjects\": [%s],\n", buf_text(&out));
	buf_release(&out);
}

/* "key-17  {...}"; a contact has no number. */
static void
show_document(const struct person_document *item)
{
	char name[40];

	if (item->number == 0)
		snprintf(name, sizeof(name), "%s", item->kind);
	else
		snprintf(name, sizeof(name), "%s-%llu", item->kind,
		    (unsigned long long)item->number);
	cli_show("%-8s  %s  %.*s\n", item->kind, name, (int)item->text.len,
	    (const char *)item->text.data);
}

static void
add_documents(struct parts *parts, const struct record_list *list)
{
	const struct person_document *items = list->items;
	struct buf *out = &parts->documents;

	for (uint32_t i = 0; i < list->count; i++) {
		const struct person_document *item = &items[i];

		if (!parts->cli->json) {
			parts->n_documents++;
			show_document(item);
			continue;
		}
		next_item(out, &parts->n_documents);
		buf_printf(out, "{\"kind\":\"%s\",", item->kind);
		if (item->number != 0)
			buf_printf(out, "\"number\":%llu,",
			    (unsigned long long)item->number);
		buf_add_str(out, "\"document\":");
		buf_add(out, item->text.data, item->text.len);
		buf_add_str(out, "}");
	}
}

static void
add_sessions(struct parts *parts, const struct record_list *list)
{
	const struct login_session *items = list->items;

	for (uint32_t i = 0; i < list->count; i++) {
		char since[32];

		if (parts->cli->json) {
			next_item(&parts->sessions, &parts->n_sessions);
			record_write_json(&parts->sessions,
			    &login_session_record, &items[i]);
			continue;
		}
		parts->n_sessions++;
		cli_time(since, items[i].created_at);
		cli_show("session   session-%llu  user-%llu from %s, since "
			 "%s\n",
		    (unsigned long long)items[i].session,
		    (unsigned long long)items[i].user, items[i].address, since);
	}
}

static int
export_pages(struct parts *parts, struct person_export *request)
{
	struct arena arena = { 0 };
	struct person_data data;
	bool first = true;
	int status;

	do {
		arena_clear(&arena);
		status = cli_call(parts->cli, OP_PERSON_EXPORT, request, &data,
		    &arena);
		if (status != CLI_DONE)
			break;
		if (first && parts->cli->json) {
			struct buf name = { 0 };
			struct person_export told = *request;

			told.subjects.count = 0;
			record_write_json(&name, &person_export_record, &told);
			printf("{\n  \"person\": %s,\n", buf_text(&name));
			buf_release(&name);
		}
		if (first)
			print_subjects(parts, &data.subjects);
		first = false;
		add_documents(parts, &data.documents);
		add_sessions(parts, &data.sessions);
		add_leases(parts, &data.leases);
		add_rows(parts, &data.rows);
		if (strcmp(data.cursor, request->cursor) == 0 &&
		    data.cursor[0] != '\0') {
			cli_say("the site's pages do not go on");
			status = CLI_FAILED;
		}
		memcpy(request->cursor, data.cursor, sizeof(request->cursor));
	} while (status == CLI_DONE && data.cursor[0] != '\0');
	arena_release(&arena);
	return status;
}

static int
finish_export(struct parts *parts)
{
	if (!parts->cli->json) {
		printf("%llu seats held, %llu facts of the journal name this "
		       "person. Erase: leasehold person erase NAME\n",
		    (unsigned long long)parts->n_leases,
		    (unsigned long long)parts->n_rows);
		return CLI_DONE;
	}
	if (parts->documents.failed || parts->sessions.failed ||
	    parts->leases.failed || parts->rows.failed) {
		cli_say("no memory for so much");
		return CLI_FAILED;
	}
	printf("  \"documents\": [%s],\n  \"sessions\": [%s],\n",
	    buf_text(&parts->documents), buf_text(&parts->sessions));
	printf("  \"leases\": [%s],\n  \"rows\": [%s]\n}\n",
	    buf_text(&parts->leases), buf_text(&parts->rows));
	return CLI_DONE;
}

int
person_export(struct cli *cli, int argc, char **argv)
{
	struct person_query who = { .hosts = false };
	struct person_export request = { .hosts = false };
	struct row_subject ids[PERSON_SUBJECTS_MAX];
	struct parts parts = { .cli = cli };
	struct record_list found;
	struct arena arena = { 0 };
	int status = person_read_who(&who, argc, argv,
	    "person export NAME [--hosts] [--mentions]");

	if (status == CLI_DONE)
		status = person_find_all(cli, &found, &who, &arena);
	if (status != CLI_DONE)
		goto out;
	for (uint32_t i = 0; i < found.count; i++)
		memcpy(ids[i].subject,
		    ((const struct person_subject *)found.items)[i].subject,
		    SUBJECT_BYTES);
	request.hosts = who.hosts;
	request.mentions = who.mentions;
	request.subjects = (struct record_list){ ids, found.count };
	memcpy(request.name, who.name, sizeof(request.name));
	status = export_pages(&parts, &request);
	if (status == CLI_DONE)
		status = finish_export(&parts);
out:
	buf_release(&parts.documents);
	buf_release(&parts.sessions);
	buf_release(&parts.leases);
	buf_release(&parts.rows);
	arena_release(&arena);
	return status;
}
