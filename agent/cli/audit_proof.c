/*
 * `audit verify FILE`: an export is held against the batches in it, and those
 * against the site's public key. No site is asked. What it proves: the rows, that
 * none is missing between the first and the last, and that each entry says what
 * its row says. What not: whose names the ids were; the site opens those.
 */
#include "agent/cli/cli.h"
#include "shared/base/err.h"
#include "shared/base/text.h"
#include "shared/journal/entry.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct proving {
	const char *named; /* --site-key */
	bool head, over, filtered, resumed;
	uint8_t key[32];
	struct site_keys keys; /* that one, and those that it followed */
	char site_key[128];
	struct journal_walk walk;
	/* Of the batch at hand. */
	struct journal_entry *rows;
	uint32_t n_rows, size_rows, told;
	uint64_t first_row, last_told;
	uint64_t batches, entries, missing;
	int64_t from;
};

static int
no(uint64_t line, const char *words)
{
	cli_say("line %llu: %s", (unsigned long long)line, words);
	cli_say("what this means: the export was altered or is not whole. Ask "
		"for it again, and keep this one.");
	return CLI_FAILED;
}

static int
take_head(struct proving *proving, const struct audit_line *line)
{
	const char *named =
	    proving->named != NULL ? proving->named : line->site_key;

	if (strcmp(line->export_, AUDIT_EXPORT) != 0 ||
	    line->version != AUDIT_EXPORT_VERSION)
		return no(1, "this is no audit export of this release");
	if (token_public_parse(proving->key, named) != 0)
		return no(1, "names no key of a site");
	text_copy(proving->site_key, sizeof(proving->site_key), named);
	proving->filtered = line->filtered;
	proving->head = true;
	if (line->succession.count == 0 ||
	    succession_keys(&proving->keys, line->site, NULL,
		&line->succession) != 0 ||
	    site_keys_find(&proving->keys, proving->key) == proving->keys.n)
		proving->keys = site_keys_one(proving->key);
	journal_walk_init(&proving->walk, proving->key);
	journal_walk_trust(&proving->walk, &proving->keys);
	return CLI_DONE;
}

static int
take_checkpoint(struct proving *proving, const struct audit_line *line,
    uint64_t n)
{
	if (proving->batches > 0 || proving->resumed ||
	    line->frontier.len % MERKLE_BYTES != 0)
		return no(n, "a checkpoint stands before the first batch");
	int err = journal_walk_resume(&proving->walk,
	    site_keys_of(&proving->keys, line->checkpoint.data,
		line->checkpoint.len),
	    line->checkpoint.data, line->checkpoint.len, line->frontier.data,
	    line->frontier.len / MERKLE_BYTES);

	journal_walk_trust(&proving->walk, &proving->keys);
	proving->resumed = true;
	return err == 0 ? CLI_DONE : no(n, err_str(err));
}

static int
keep_row(void *ctx, const struct row *row, int64_t time)
{
	struct proving *proving = ctx;
	struct journal_entry entry;

	if (proving->from == 0)
		proving->from = time;
	if (!journal_entry_read(&entry, row, time))
		return 0;
	if (proving->n_rows == proving->size_rows) {
		uint32_t size =
		    proving->size_rows == 0 ? 64 : 2 * proving->size_rows;
		struct journal_entry *more =
		    realloc(proving->rows, size * sizeof(*more));

		if (more == NULL)
			return ERR_NOMEM;
		proving->rows = more;
		proving->size_rows = size;
	}
	proving->rows[proving->n_rows++] = entry;
	return 0;
}

/* Every row of the batch before has its entry? */
static void
count_missing(struct proving *proving)
{
	proving->missing += proving->n_rows - proving->told;
	proving->n_rows = proving->told = 0;
}

static int
take_batch(struct proving *proving, const struct audit_line *line, uint64_t n)
{
	char error[256] = "";

	count_missing(proving);
	int err = journal_walk_batch(&proving->walk, line->blob.data,
	    line->blob.len, keep_row, proving, error, sizeof(error));

	proving->batches++;
	return err == 0 ? CLI_DONE
			: no(n, error[0] != '\0' ? error : err_str(err));
}

/* --- entries ---------------------------------------------------------------- */

static bool
is_actor(const struct row_actor *by, const char *text)
{
	static const char *const prefixes[] = { [ACTOR_SITE] = "site",
		[ACTOR_DEVICE] = "device-",
		[ACTOR_ADMIN] = "admin-",
		[ACTOR_KEY] = "key-",
		[ACTOR_USER] = "user-" };
	char name[32];

	if (by->kind == ACTOR_SITE)
		return strcmp(text, "site") == 0;
	if (by->kind == ACTOR_USER && by->id == 0)
		return strcmp(text, "nobody") == 0;
	snprintf(name, sizeof(name), "%s%" PRIu64, prefixes[by->kind], by->id);
	if (strcmp(text, name) == 0)
		return true;
	/* A key that takes seats is a device to the journal. */
	snprintf(name, sizeof(name), "key-%" PRIu64, by->id);
	return by->kind == ACTOR_DEVICE && strcmp(text, name) == 0;
}

static bool
is_device(uint64_t device, const struct audit_item *item)
{
	char name[32];

	snprintf(name, sizeof(name), "device-%" PRIu64, device);
	if (strcmp(item->device_id, name) == 0)
		return true;
	snprintf(name, sizeof(name), "key-%" PRIu64, device);
	return strcmp(item->api_key_id, name) == 0;
}

static bool
is_print(const uint8_t print[32], const char *text)
{
	static const uint8_t none[32];
	char hex[65];

	text_to_hex(hex, print, 32);
	return memcmp(print, none, sizeof(none)) == 0 || strcmp(text, hex) == 0;
}

/* Does it say what the row says? What the row leaves open (the product of a
 * lease that ended) stands in another row. */
static bool
says_the_same(const struct audit_item *item, const struct journal_entry *row)
{
	return item->timestamp == row->time &&
	    strcmp(item->event, row->what) == 0 &&
	    strcmp(item->result, row->result) == 0 &&
	    (item->count != 0 ? item->count : 1) == row->count &&
	    (row->product[0] == '\0' ||
		strcmp(item->product, row->product) == 0) &&
	    (row->license == 0 || item->license == row->license) &&
	    (row->lease == 0 || item->lease == row->lease) &&
	    (row->object == 0 || item->object == row->object) &&
	    (row->device == 0 || is_device(row->device, item)) &&
	    is_print(row->print, item->fingerprint) &&
	    is_actor(&row->by, item->actor);
}

static int
take_entry(struct proving *proving, const struct audit_item *item, uint64_t n)
{
	const struct journal_entry *row = NULL;

	if (item->row <= proving->last_told)
		return no(n, "entries are not in the order of their rows");
	for (uint32_t i = 0; i < proving->n_rows && row == NULL; i++)
		if (proving->rows[i].row == item->row)
			row = &proving->rows[i];
	if (row == NULL)
		return no(n, "the batch above holds no row for this entry");
	if (!says_the_same(item, row))
		return no(n, "this entry does not say what its row says");
	proving->last_told = item->row;
	proving->told++;
	proving->entries++;
	return CLI_DONE;
}

/* --- lines -------------------------------------------------------------------- */

static int
take_line(struct proving *proving, const struct audit_line *line, uint64_t n)
{
	if (proving->over)
		return no(n, "something follows the end");
	if (!proving->head)
		return take_head(proving, line);
	if (line->checkpoint.len > 0)
		return take_checkpoint(proving, line, n);
	if (line->blob.len > 0)
		return take_batch(proving, line, n);
	if (line->entry.row != 0)
		return take_entry(proving, &line->entry, n);
	if (!line->end)
		return no(n, "is none that an export has");
	proving->over = true;
	count_missing(proving);
	if (line->batches != proving->batches ||
	    line->entries != proving->entries)
		return no(n, "its end counts more or less than there is");
	return CLI_DONE;
}

static int
take_lines(struct proving *proving, FILE *file)
{
	struct arena arena = { 0 };
	struct record_error error;
	char *text = NULL;
	size_t size = 0;
	uint64_t n = 0;
	ssize_t len;
	int status = CLI_DONE;

	while (status == CLI_DONE && (len = getline(&text, &size, file)) >= 0) {
		struct audit_line line;

		n++;
		arena_clear(&arena);
		if (record_read_json(&line, &audit_line_record, text,
			(size_t)len, &arena, &error) != 0)
			status = no(n, "cannot be read");
		else
			status = take_line(proving, &line, n);
	}
	if (status == CLI_DONE && !proving->over)
		status = no(n + 1, "the end is missing: the file was cut off");
	arena_release(&arena);
	free(text);
	return status;
}

static void
print_proved(const struct cli *cli, const struct proving *proving)
{
	const struct journal_walk *walk = &proving->walk;
	bool whole = !proving->filtered && proving->missing == 0;
	char head[65], before[65], from[32], to[32];

	text_to_hex(head, walk->head, 32);
	cli_time(from, proving->from);
	cli_time(to, walk->time);
	if (cli->json) {
		printf("{\"entries\":%llu,\"batches\":%llu,\"from_genesis\":%s,"
		       "\"complete\":%s,\"site_key\":\"%s\",\"begins\":%" PRIu64
		       ",\"head\":\"%s\"}\n",
		    (unsigned long long)proving->entries,
		    (unsigned long long)proving->batches,
		    proving->resumed ? "false" : "true",
		    whole ? "true" : "false", proving->site_key, walk->anchor,
		    head);
		return;
	}
	printf("The export holds: %llu entries, each as its row says; %llu "
	       "batches, every\nsignature, root and number checked, %s to %s, "
	       "none missing between.\n",
	    (unsigned long long)proving->entries,
	    (unsigned long long)proving->batches, from, to);
	if (proving->resumed) {
		text_to_hex(before, walk->anchor_head, 32);
		printf("They begin with batch %" PRIu64 ", behind head\n%s.\n"
		       "What was before is not in it, and not proved by it.\n",
		    walk->anchor, before);
	}
	if (whole)
		puts("Every row of them has its entry.");
	else
		printf("%llu rows of them have no entry here: it was asked for "
		       "some only.\n",
		    (unsigned long long)proving->missing);
	puts("Names, hosts and addresses are as the site told them; the rows "
	     "hold their ids.");
	if (proving->named == NULL)
		cli_say("the key is the one that the file names, %s: compare "
			"it with what the site's admin tells you, or say "
			"--site-key",
		    proving->site_key);
}

int
audit_prove_file(const struct cli *cli, const char *path, const char *site_key)
{
	struct proving *proving = calloc(1, sizeof(*proving));
	FILE *file = fopen(path, "re");
	int status = CLI_FAILED;

	if (file == NULL)
		cli_say("%s cannot be opened: %s", path, strerror(errno));
	if (file != NULL && proving != NULL) {
		proving->named = site_key;
		status = take_lines(proving, file);
	}
	/* Else nothing vouches for what an older key is said to have been. */
	if (status == CLI_DONE &&
	    site_keys_find(&proving->keys, proving->walk.site_key) <
		site_keys_find(&proving->keys, proving->key)) {
		cli_say("nothing in %s is signed with %s: it ends before the "
			"site had that key; name the older one with --site-key",
		    path, proving->site_key);
		status = CLI_FAILED;
	}
	if (status == CLI_DONE)
		print_proved(cli, proving);
	if (file != NULL)
		fclose(file);
	if (proving != NULL)
		free(proving->rows);
	free(proving);
	return status;
}
