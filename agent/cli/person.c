/*
 * The admin's commands about one person's data: find what is his, erase him, and
 * check what a site signed about that; person_export.c has all of it as one
 * document. What is found is printed for people or as JSON; the journal itself
 * never changes.
 */
#include "agent/cli/person.h"
#include "agent/cli/list.h"
#include "shared/base/err.h"
#include "shared/base/text.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DOCUMENT_MAX ((size_t)64 << 10)

/* --- whom ------------------------------------------------------------------- */

int
person_read_who(struct person_query *who, int argc, char **argv,
    const char *usage)
{
	who->hosts = cli_flag(&argc, argv, "--hosts");
	who->mentions = cli_flag(&argc, argv, "--mentions");
	int status = cli_arguments(argc, argv, 1, 1, usage);

	if (status != CLI_DONE)
		return status;
	if (argv[1][0] != '\0' &&
	    text_copy(who->name, sizeof(who->name), argv[1]))
		return CLI_DONE;
	cli_say("a name has 1 to 127 bytes");
	return CLI_USAGE;
}

int
person_find_all(struct cli *cli, struct record_list *found,
    struct person_query *who, struct arena *arena)
{
	struct person_subject *items =
	    arena_alloc(arena, PERSON_SUBJECTS_MAX * sizeof(*items));
	struct person_page page;
	uint32_t n = 0;
	int status = items != NULL ? CLI_DONE : CLI_FAILED;

	while (status == CLI_DONE) {
		uint8_t before[SUBJECT_BYTES];

		status = cli_call(cli, OP_PERSON_FIND, who, &page, arena);
		if (status != CLI_DONE)
			break;
		for (uint32_t i = 0;
		     i < page.items.count && n < PERSON_SUBJECTS_MAX; i++)
			items[n++] = ((
			    const struct person_subject *)page.items.items)[i];
		memcpy(before, who->after, sizeof(before));
		memcpy(who->after, page.next, sizeof(who->after));
		if (sodium_is_zero(page.next, sizeof(page.next)))
			break;
		if (n == PERSON_SUBJECTS_MAX) {
			cli_say("more than %d subjects fit that name, which is "
				"more than one answer holds; look for a longer "
				"name, or without --mentions",
			    PERSON_SUBJECTS_MAX);
			status = CLI_FAILED;
		}
		/* Who names an old place would be asked for ever. */
		if (memcmp(page.next, before, sizeof(before)) <= 0) {
			cli_say("the site's pages do not go on");
			status = CLI_FAILED;
		}
	}
	*found = (struct record_list){ items, n };
	return status;
}

int
person_find(struct cli *cli, int argc, char **argv)
{
	static const char *const head[] = { "SUBJECT", "KIND", "VALUE" };
	struct person_query who = { .hosts = false };
	struct json_items all = { 0 };
	struct record_list found;
	struct table table = { 0 };
	struct arena arena = { 0 };
	int status = person_read_who(&who, argc, argv,
	    "person find NAME [--hosts] [--mentions]");

	if (status == CLI_DONE)
		status = person_find_all(cli, &found, &who, &arena);
	if (status == CLI_DONE && cli->json) {
		cli_add_items(&all, &person_subject_record, &found);
		cli_end_items(&all);
	} else if (status == CLI_DONE && found.count == 0) {
		cli_show("Nothing is known here of a person named %s. Look "
			 "for more: leasehold person find NAME --hosts "
			 "--mentions\n",
		    who.name);
	} else if (status == CLI_DONE) {
		table_head(&table, 3, head);
		for (uint32_t i = 0; i < found.count; i++) {
			const struct person_subject *item =
			    &((const struct person_subject *)found.items)[i];
			char id[2 * SUBJECT_BYTES + 1];

			text_to_hex(id, item->subject, SUBJECT_BYTES);
			table_cell(&table, "%s", id);
			table_cell(&table, "%s",
			    subject_kind_names[item->kind]);
			table_cell(&table, "%s", item->value);
		}
		table_flush(&table);
	}
	table_end(&table);
	arena_release(&arena);
	return status;
}

/* --- erase -------------------------------------------------------------------- */

static void
tell_erased(const struct person_erased *reply)
{
	const uint32_t n[] = { reply->subjects.count, reply->users.count,
		reply->keys };

	printf("erasure-%llu: of this person %u subject%s and %u account%s "
	       "%s erased, and %u key%s%s no longer name%s them: nobody can "
	       "read them here any more.\n",
	    (unsigned long long)reply->erasure, n[0], n[0] == 1 ? "" : "s",
	    n[1], n[1] == 1 ? "" : "s", n[0] + n[1] == 1 ? "is" : "are", n[2],
	    n[2] == 1 ? "" : "s",
	    reply->contacts > 0 ? " and the tenant's contact" : "",
	    n[2] == 1 && reply->contacts == 0 ? "s" : "");
	cli_show("%s\n", reply->remains);
	printf("The site's signed word on it; check it anywhere: leasehold "
	       "person verify FILE --site-key KEY\n%.*s\n",
	    (int)reply->document.len, (const char *)reply->document.data);
}

static void
warn_erased(const struct person_erased *reply)
{
	if (!reply->wiped)
		cli_say("the old key of the names could not be written over "
			"yet (is the disk in order?): the site tries again "
			"with every commit; until then its disk still holds "
			"what opens them");
	if (reply->more)
		cli_say("there was more than one erasure holds: give the same "
			"command again");
}

int
person_erase(struct cli *cli, int argc, char **argv)
{
	struct person_query who = { .hosts = false };
	struct person_erase request = { .hosts = false };
	struct person_erased reply;
	struct arena arena = { 0 };
	int status;

	request.force = cli_flag(&argc, argv, "--force");
	status = person_read_who(&who, argc, argv,
	    "person erase NAME [--hosts] [--mentions] [--force]");
	if (status != CLI_DONE)
		return status;
	request.hosts = who.hosts;
	request.mentions = who.mentions;
	memcpy(request.name, who.name, sizeof(request.name));
	status = cli_answer(cli, OP_PERSON_ERASE, &request, &reply, &arena);
	if (status == CLI_DONE && !cli->json)
		tell_erased(&reply);
	if (status == CLI_DONE)
		warn_erased(&reply);
	if (status == CLI_DONE && (!reply.wiped || reply.more))
		status = CLI_FAILED;
	arena_release(&arena);
	return status;
}

static void
add_erasure(struct table *table, const void *item)
{
	const struct erasure_view *erasure = item;
	char when[32];

	cli_time(when, erasure->at);
	table_cell(table, "erasure-%llu", (unsigned long long)erasure->erasure);
	table_cell(table, "%s", when);
	table_cell(table, "%u", erasure->subjects);
	table_cell(table, "%u", erasure->users);
	table_cell(table, "%llu", (unsigned long long)erasure->batch);
	table_cell(table, "%s-%llu", actor_kind_names[erasure->by.kind],
	    (unsigned long long)erasure->by.id);
}

int
person_erasures(struct cli *cli, int argc, char **argv)
{
	static const char *const head[] = { "ERASURE", "WHEN", "SUBJECTS",
		"ACCOUNTS", "BATCH", "BY" };
	struct erasure_query request = { .limit = LIST_LIMIT_MAX };
	struct erasure_page page;
	struct table table = { 0 };
	int status = cli_arguments(argc, argv, 0, 0, "person erasures");

	if (status != CLI_DONE)
		return status;
	const struct cli_list list = {
		.op = OP_ERASURE_LIST,
		.request = &request,
		.after = &request.after,
		.page = &page,
		.items = &page.items,
		.next = &page.next,
		.record = &erasure_view_record,
		.row = add_erasure,
		.none = NULL,
	};

	table_head(&table, 6, head);
	return cli_list(cli, &list, &table);
}

/* --- verify ------------------------------------------------------------------- */

static int
read_document(struct buf *out, const char *path)
{
	FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
	char chunk[4096];
	size_t n;

	if (file == NULL) {
		cli_say("cannot read %s", path);
		return CLI_FAILED;
	}
	out->max = DOCUMENT_MAX;
	while ((n = fread(chunk, 1, sizeof(chunk), file)) > 0)
		buf_add(out, chunk, n);
	if (file != stdin)
		fclose(file);
	while (out->len > 0 && strchr(" \n\r\t", out->data[out->len - 1]))
		out->len--;
	if (!out->failed)
		return CLI_DONE;
	cli_say("%s is too large to be an erasure's document", path);
	return CLI_FAILED;
}

static void
tell_document(const struct cli *cli, const struct erasure *erasure)
{
	char when[32];

	if (cli->json) {
		cli_print_json(&erasure_record, erasure);
		return;
	}
	cli_time(when, erasure->at);
	cli_show("It holds: site %s, tenant %s, erasure-%llu of %s, by "
		 "%s-%llu.\nThese ids mean nobody any more in the journal up "
		 "to batch %llu (generation %u):\n",
	    erasure->site, erasure->tenant,
	    (unsigned long long)erasure->erasure, when,
	    actor_kind_names[erasure->by.kind],
	    (unsigned long long)erasure->by.id,
	    (unsigned long long)erasure->batch, erasure->generation);
	for (uint32_t i = 0; i < erasure->subjects.count; i++) {
		const struct erased_subject *item = &(
		    (const struct erased_subject *)erasure->subjects.items)[i];
		char id[2 * SUBJECT_BYTES + 1];

		text_to_hex(id, item->subject, SUBJECT_BYTES);
		printf("  %s  %s\n", id, subject_kind_names[item->kind]);
	}
	for (uint32_t i = 0; i < erasure->users.count; i++)
		printf("  user-%llu\n",
		    (unsigned long long)((
			const struct row_number *)erasure->users.items)[i]
			.number);
}

int
person_verify(struct cli *cli, int argc, char **argv)
{
	struct record_error error = { .reason = "" };
	struct buf document = { 0 };
	struct arena arena = { 0 };
	struct erasure erasure;
	const char *named = NULL;
	uint8_t key[TOKEN_PUBLIC_BYTES];
	int err;

	if (cli_option(&named, &argc, argv, "--site-key") < 0)
		return CLI_USAGE;
	int status = cli_arguments(argc, argv, 1, 1,
	    "person verify FILE --site-key k4.public...");

	if (status != CLI_DONE)
		return status;
	if (named == NULL || token_public_parse(key, named) != 0) {
		cli_say("--site-key: the site's public key, k4.public...; "
			"leasehold site show prints it");
		return CLI_USAGE;
	}
	status = read_document(&document, argv[1]);
	err = status != CLI_DONE
	    ? 0
	    : erasure_verify(&erasure, (const char *)document.data,
		  document.len, key, &arena, &error);
	if (status == CLI_DONE && err == 0) {
		tell_document(cli, &erasure);
	} else if (status == CLI_DONE) {
		cli_say("this document does not hold: %s",
		    error.reason[0] != '\0' ? error.reason : err_str(err));
		status = CLI_FAILED;
	}
	buf_release(&document);
	arena_release(&arena);
	return status;
}
