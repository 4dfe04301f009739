/*
 * `audit export`: entries with the batches that prove them, a JSON object a
 * line, for somebody who has nothing but the site's public key; or a table for
 * spreadsheets, which proves nothing.
 */
#include "agent/cli/audit_query.h"
#include "agent/cli/csv.h"
#include "agent/cli/journal.h"
#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct exporting {
	struct cli *cli;
	struct audit_query query;
	FILE *file;
	struct buf line;
	struct site_view site; /* in its arena */
	struct arena site_arena;
	struct site_keys keys;
	struct journal_walk
	    walk; /* all that was before is checked on the way */
	bool begun, over;
	bool bare; /* no entries */
	uint64_t until; /* the first batch that is not wanted; 0: none */
	uint64_t batches, entries;
	/* Where the walk stands before the next batch. */
	struct buf before; /* header */
	uint8_t frontier[64 * MERKLE_BYTES];
	size_t hashes;
	/* Entries that were fetched and not written yet. */
	struct arena arena;
	struct audit_page page;
	uint32_t at;
	bool last_page;
};

/* --- lines -------------------------------------------------------------------- */

static int
write_failed(void)
{
	cli_say("the export cannot be written: %s", strerror(errno));
	return CLI_FAILED;
}

static int
write_line(struct exporting *exporting, const struct audit_line *line)
{
	struct buf *buf = &exporting->line;

	buf_clear(buf);
	record_write_json(buf, &audit_line_record, line);
	buf_add_byte(buf, '\n');
	if (buf->failed) {
		cli_say("no memory for a line of the export");
		return CLI_FAILED;
	}
	return fwrite(buf->data, 1, buf->len, exporting->file) == buf->len
	    ? CLI_DONE
	    : write_failed();
}

static bool
is_filtered(const struct audit_query *query)
{
	struct audit_query plain = *query;
	const struct audit_query none = { .from = 0 };

	plain.from = plain.to = 0;
	plain.oldest_first = false;
	plain.after = 0;
	plain.limit = 0;
	return memcmp(&plain, &none, sizeof(plain)) != 0;
}

static int
write_head(struct exporting *exporting)
{
	struct audit_line line = { .version = AUDIT_EXPORT_VERSION,
		.made_at = clock_wall_ms(),
		.filtered = exporting->bare || is_filtered(&exporting->query) };
	int status;

	text_copy(line.export_, sizeof(line.export_), AUDIT_EXPORT);
	text_copy(line.site, sizeof(line.site), exporting->site.site);
	text_copy(line.tenant, sizeof(line.tenant), exporting->site.tenant);
	token_public_format(line.site_key, exporting->site.site_key);
	line.succession = exporting->site.succession;
	status = write_line(exporting, &line);
	if (status != CLI_DONE || exporting->before.len == 0)
		return status;
	line = (struct audit_line){
		.checkpoint = { exporting->before.data,
		    (uint32_t)exporting->before.len },
		.frontier = { exporting->frontier,
		    (uint32_t)(exporting->hashes * MERKLE_BYTES) },
	};
	return write_line(exporting, &line);
}

/* --- entries ------------------------------------------------------------------- */

static int
next_entry(const struct audit_item **out, struct exporting *exporting)
{
	struct audit_page *page = &exporting->page;
	int status = CLI_DONE;

	*out = NULL;
	while (exporting->at == page->items.count && !exporting->last_page &&
	    status == CLI_DONE) {
		arena_clear(&exporting->arena);
		status = cli_call(exporting->cli, OP_AUDIT_SEARCH,
		    &exporting->query, page, &exporting->arena);
		exporting->at = 0;
		if (status != CLI_DONE)
			return status;
		if (page->behind > 0) {
			cli_say("the site has not searched through all of its "
				"journal yet; try again when it has: leasehold "
				"audit state");
			return CLI_FAILED;
		}
		exporting->last_page = page->next == 0;
		exporting->query.after = page->next;
	}
	const struct audit_item *items = page->items.items;

	if (status == CLI_DONE && exporting->at < page->items.count)
		*out = &items[exporting->at];
	return status;
}

/* Those of rows up to this one. */
static int
write_entries(struct exporting *exporting, uint64_t last_row)
{
	const struct audit_item *item;
	int status = next_entry(&item, exporting);

	while (status == CLI_DONE && item != NULL && item->row <= last_row) {
		struct audit_line line = { .entry = *item };

		status = write_line(exporting, &line);
		exporting->entries++;
		exporting->at++;
		if (status == CLI_DONE)
			status = next_entry(&item, exporting);
	}
	return status;
}

/* --- batches -------------------------------------------------------------------- */

/* The header's token and fields, of a batch as it is stored. */
static int
peek(struct journal_header *header, struct journal_batch *batch,
    const struct batch_item *item, struct arena *arena)
{
	struct buf payload = { 0 };
	int err = record_read_msgpack(batch, &journal_batch_record,
	    item->blob.data, item->blob.len, NULL, arena, NULL);

	if (err == 0)
		err =
		    token_peek(&payload, batch->header.data, batch->header.len);
	if (err == 0)
		err = record_read_json(header, &journal_header_record,
		    (const char *)payload.data, payload.len, arena, NULL);
	buf_release(&payload);
	return err;
}

static int
write_batch(struct exporting *exporting, const struct batch_item *item)
{
	struct audit_line line = { .blob = item->blob };
	int status = exporting->begun ? CLI_DONE : write_head(exporting);

	exporting->begun = true;
	if (status == CLI_DONE)
		status = write_line(exporting, &line);
	exporting->batches++;
	return status == CLI_DONE && !exporting->bare
	    ? write_entries(exporting, exporting->walk.next_row - 1)
	    : status;
}

static int
take_batch(struct exporting *exporting, const struct batch_item *item)
{
	const struct audit_query *query = &exporting->query;
	struct arena arena = { 0 };
	struct journal_header header;
	struct journal_batch batch;
	char error[256] = "";
	int status = CLI_DONE;

	if (exporting->until != 0 && item->batch >= exporting->until) {
		exporting->over = true;
		return CLI_DONE;
	}
	exporting->hashes =
	    journal_walk_frontier(exporting->frontier, &exporting->walk);
	int err = journal_walk_batch(&exporting->walk, item->blob.data,
	    item->blob.len, NULL, NULL, error, sizeof(error));

	if (err == 0)
		err = peek(&header, &batch, item, &arena);
	if (err != 0) {
		cli_say("the journal does not hold: %s (%s); nothing is "
			"exported from it; see: leasehold audit verify",
		    error, err_str(err));
		status = CLI_FAILED;
	} else if (query->to != 0 && header.time >= query->to) {
		exporting->over = true;
	} else if (exporting->begun || query->from == 0 ||
	    header.time >= query->from) {
		status = write_batch(exporting, item);
	}
	if (err == 0) {
		buf_clear(&exporting->before);
		buf_add(&exporting->before, batch.header.data,
		    batch.header.len);
	}
	arena_release(&arena);
	return status;
}

static int
take_batches(struct exporting *exporting)
{
	struct batch_query request = { .from = exporting->walk.next_batch,
		.limit = LIST_LIMIT_MAX };
	struct arena arena = { 0 };
	struct batch_page page;
	int status = CLI_DONE;

	while (status == CLI_DONE && !exporting->over &&
	    request.from <= exporting->site.batch) {
		arena_clear(&arena);
		status = cli_call(exporting->cli, OP_JOURNAL_BATCHES, &request,
		    &page, &arena);
		const struct batch_item *items = page.items.items;

		for (uint32_t i = 0; status == CLI_DONE &&
		     i < page.items.count && !exporting->over &&
		     items[i].batch <= exporting->site.batch;
		     i++)
			status = take_batch(exporting, &items[i]);
		if (status != CLI_DONE || page.items.count == 0)
			break;
		status = cli_next_page(&request.from,
		    items[page.items.count - 1].batch + 1);
	}
	arena_release(&arena);
	return status;
}

static int
export_lines(struct exporting *exporting)
{
	struct arena arena = { 0 };
	struct empty nothing = { 0 };
	struct journal_view view = { .begins = 0 };
	int status = cli_call(exporting->cli, OP_SITE_SHOW, &nothing,
	    &exporting->site, &exporting->site_arena);

	if (status == CLI_DONE)
		status = audit_site_keys(&exporting->keys, &exporting->site);
	if (status == CLI_DONE)
		status = journal_begin(&exporting->walk, &view, exporting->cli,
		    &exporting->keys, &arena);
	if (status == CLI_DONE)
		buf_add(&exporting->before, view.header.data, view.header.len);
	/* Searches find what was given up, but no batch proves it any more. */
	if (status == CLI_DONE && view.begins != 0)
		exporting->query.after = view.first_row - 1;
	arena_release(&arena);
	if (status != CLI_DONE)
		return status;
	status = take_batches(exporting);
	if (status == CLI_DONE && !exporting->begun) {
		cli_say("nothing happened in that time");
		return CLI_FAILED;
	}
	struct audit_line end = { .end = true,
		.batches = exporting->batches,
		.entries = exporting->entries };

	return status == CLI_DONE ? write_line(exporting, &end) : status;
}

/* --- for spreadsheets -------------------------------------------------------------- */

static int
write_csv(void *ctx, const struct audit_item *item)
{
	struct exporting *exporting = ctx;
	struct buf *buf = &exporting->line;
	char when[CLOCK_TEXT_SIZE];

	buf_clear(buf);
	clock_format(when, item->timestamp);
	csv_text(buf, when, false);
	csv_text(buf, item->tenant_id, false);
	csv_text(buf, item->event, false);
	csv_text(buf, item->result, false);
	csv_number(buf, item->count != 0 ? item->count : 1, false);
	csv_text(buf, item->actor, false);
	csv_text(buf, item->api_key_id, false);
	csv_text(buf, item->device_id, false);
	csv_text(buf, item->product, false);
	csv_text(buf, item->user, false);
	csv_text(buf, item->hostname, false);
	csv_text(buf, item->ip_address, false);
	csv_text(buf, item->fingerprint, false);
	csv_number(buf, item->lease, false);
	csv_text(buf, item->reason, false);
	csv_number(buf, item->row, true);
	exporting->entries++;
	return !buf->failed &&
		fwrite(buf->data, 1, buf->len, exporting->file) == buf->len
	    ? CLI_DONE
	    : write_failed();
}

static int
export_csv(struct exporting *exporting)
{
	bool cut;

	fputs("timestamp,tenant_id,event,result,count,actor,api_key_id,"
	      "device_id,product,user,hostname,ip_address,fingerprint,lease,"
	      "reason,row\r\n",
	    exporting->file);
	return audit_query_each(&cut, exporting->cli, &exporting->query, 0,
	    write_csv, exporting);
}

/* --- all of it ---------------------------------------------------------------------- */

static FILE *
open_new(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	FILE *file = fd < 0 ? NULL : fdopen(fd, "w");

	if (file == NULL) {
		cli_say("%s cannot be made: %s", path, strerror(errno));
		if (fd >= 0)
			close(fd);
	}
	return file;
}

static int
close_file(struct exporting *exporting, const char *path, int status)
{
	bool written =
	    fflush(exporting->file) == 0 && fsync(fileno(exporting->file)) == 0;

	if (status == CLI_DONE && !written)
		status = write_failed();
	fclose(exporting->file);
	/* Half an export is none. */
	if (status != CLI_DONE)
		unlink(path);
	return status;
}

static void
exporting_free(struct exporting *exporting)
{
	arena_release(&exporting->arena);
	arena_release(&exporting->site_arena);
	buf_release(&exporting->line);
	buf_release(&exporting->before);
	free(exporting);
}

int
audit_archive(struct cli *cli, const char *path, uint64_t until,
    const uint8_t head[32])
{
	struct exporting *exporting = calloc(1, sizeof(*exporting));
	int status = CLI_FAILED;

	if (exporting == NULL)
		return CLI_FAILED;
	exporting->cli = cli;
	exporting->bare = true;
	exporting->until = until;
	exporting->file = open_new(path);
	if (exporting->file != NULL) {
		status = export_lines(exporting);
		if (status == CLI_DONE &&
		    (exporting->walk.next_batch != until ||
			memcmp(exporting->walk.head, head, 32) != 0)) {
			cli_say("the site gave another journal than the one "
				"that it gives up; nothing was given up");
			status = CLI_FAILED;
		}
		status = close_file(exporting, path, status);
	}
	exporting_free(exporting);
	return status;
}

int
audit_export_command(struct cli *cli, int argc, char **argv)
{
	struct exporting *exporting = calloc(1, sizeof(*exporting));
	const char *format = "jsonl";
	int status;

	if (exporting == NULL)
		return CLI_FAILED;
	exporting->cli = cli;
	status = audit_query_read(&exporting->query, &argc, argv);
	exporting->query.oldest_first = true;
	if (cli_option(&format, &argc, argv, "--format") < 0)
		status = CLI_USAGE;
	bool csv = strcmp(format, "csv") == 0;

	if (status == CLI_DONE && !csv && strcmp(format, "jsonl") != 0) {
		cli_say("--format: jsonl or csv");
		status = CLI_USAGE;
	}
	if (status == CLI_DONE)
		status = cli_arguments(argc, argv, 1, 1,
		    "audit export FILE [--format jsonl|csv] [--from TIME] ...");
	const char *path = argv[1];

	if (status == CLI_DONE && (exporting->file = open_new(path)) == NULL)
		status = CLI_FAILED;
	if (status == CLI_DONE)
		status = close_file(exporting, path,
		    csv ? export_csv(exporting) : export_lines(exporting));
	if (status == CLI_DONE && cli->json)
		printf("{\"entries\":%llu,\"batches\":%llu}\n",
		    (unsigned long long)exporting->entries,
		    (unsigned long long)exporting->batches);
	else if (status == CLI_DONE)
		printf("%llu entries are in %s.%s\n",
		    (unsigned long long)exporting->entries, path,
		    csv ? " A table proves nothing; --format jsonl does."
			: " Anybody checks it with: leasehold audit verify "
			  "FILE --site-key K");
	exporting_free(exporting);
	return status;
}
