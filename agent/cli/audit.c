/*
 * The journal as people read it, and the check of all of it: every batch is
 * fetched and verified here, with nothing believed but the site's public key.
 */
#include "agent/cli/journal.h"
#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/text.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Pages of batches, each handed to `each` until it says stop (non-zero). */
static int
each_batch(struct cli *cli, uint64_t *from,
    int (*each)(void *ctx, const struct batch_item *item), void *ctx)
{
	struct arena arena = { 0 };
	int status = CLI_DONE;

	for (;;) {
		struct batch_query request = { .from = *from,
			.limit = LIST_LIMIT_MAX };
		struct batch_page page;
		const struct batch_item *items;

		arena_clear(&arena);
		status =
		    cli_call(cli, OP_JOURNAL_BATCHES, &request, &page, &arena);
		if (status != CLI_DONE)
			break;
		items = page.items.items;
		for (uint32_t i = 0; i < page.items.count; i++) {
			status = each(ctx, &items[i]);
			if (status != CLI_DONE)
				goto out;
			status = cli_next_page(from, items[i].batch + 1);
			if (status != CLI_DONE)
				goto out;
		}
		/* A site that gives nothing more has no next page. */
		if (page.next == 0 || page.items.count == 0)
			break;
	}
out:
	arena_release(&arena);
	return status;
}

struct tail {
	struct cli *cli;
	struct arena arena;
	struct journal_header header;
};

/* One field of a fact, for people: identifiers cut to what an eye compares. */
#define SLOTS_SHOWN 8

/* " slots=0-2,7" */
static void
print_slots(const struct record_list *list)
{
	const struct row_slots *slots = list->items;
	const char *before = " slots=";

	for (uint32_t i = 0; i < list->count && i < SLOTS_SHOWN; i++) {
		printf("%s%u", before, slots[i].first);
		if (slots[i].count > 1)
			printf("-%u", slots[i].first + slots[i].count - 1);
		before = ",";
	}
	if (list->count > SLOTS_SHOWN)
		printf(",...");
}

static void
print_field(const struct record_field *field, const uint8_t *record)
{
	const void *at = record + field->offset;
	char text[65] = "";
	uint32_t number;
	uint64_t long_number;
	int64_t time;

	switch (field->type) {
	case RECORD_TEXT:
		if (((const char *)at)[0] != '\0')
			cli_show(" %s=%s", field->key, (const char *)at);
		break;
	case RECORD_U32:
	case RECORD_ENUM:
		memcpy(&number, at, sizeof(number));
		if (field->type == RECORD_ENUM)
			cli_show(" %s=%s", field->key, field->names[number]);
		else if (number != 0)
			cli_show(" %s=%u", field->key, number);
		break;
	case RECORD_U64:
		memcpy(&long_number, at, sizeof(long_number));
		if (long_number != 0)
			cli_show(" %s=%llu", field->key,
			    (unsigned long long)long_number);
		break;
	case RECORD_TIME:
		memcpy(&time, at, sizeof(time));
		cli_time(text, time);
		if (text[0] != '\0')
			cli_show(" %s=%s", field->key, text);
		break;
	case RECORD_FIXED:
		text_to_hex(text, at, field->size < 4 ? field->size : 4);
		if (strspn(text, "0") != strlen(text))
			cli_show(" %s=%s..", field->key, text);
		break;
	case RECORD_BOOL:
		cli_show(" %s=%s", field->key,
		    *(const bool *)at ? "yes" : "no");
		break;
	case RECORD_I64:
	case RECORD_DATE:
	case RECORD_MONEY:
	case RECORD_BLOB:
	case RECORD_STRING:
	case RECORD_STRUCT:
	case RECORD_CURSOR:
		break;
	case RECORD_LIST:
		if (field->of == &row_slots_record)
			print_slots(at);
		break;
	}
}

/* People get the fields that one line holds, programs all of them. */
static void
print_row(struct tail *tail, const struct row *row, int64_t time)
{
	const struct record *record = row_record(row->kind);
	struct buf json = { 0 };
	char stamp[CLOCK_TEXT_SIZE], when[32];

	if (!tail->cli->json) {
		cli_time(when, time);
		printf("%6llu  %s  %-17s", (unsigned long long)row->number,
		    when, row_kind_name(row->kind));
		for (size_t i = 0; i < record->n_fields; i++)
			print_field(&record->fields[i],
			    (const uint8_t *)&row->u);
		putchar('\n');
		return;
	}
	record_write_json(&json, record, &row->u);
	clock_format(stamp, time);
	printf("{\"row\":%llu,\"time\":\"%s\",\"kind\":\"%s\",\"fact\":%s}\n",
	    (unsigned long long)row->number, stamp, row_kind_name(row->kind),
	    buf_text(&json));
	buf_release(&json);
}

static int
tail_batch(void *ctx, const struct batch_item *item)
{
	struct tail *tail = ctx;
	struct journal_batch batch;
	struct record_error error;
	struct buf payload = { 0 };
	const struct journal_row_bytes *rows;
	int err;

	arena_clear(&tail->arena);
	err = record_read_msgpack(&batch, &journal_batch_record,
	    item->blob.data, item->blob.len, NULL, &tail->arena, &error);
	if (err == 0)
		err = token_peek(&payload, batch.header.data, batch.header.len);
	if (err == 0)
		err = record_read_json(&tail->header, &journal_header_record,
		    (const char *)payload.data, payload.len, &tail->arena,
		    &error);
	buf_release(&payload);
	rows = err == 0 ? batch.rows.items : NULL;
	for (uint32_t i = 0; err == 0 && i < batch.rows.count; i++) {
		struct row row;

		err = row_read(&row, tail->header.first_row + i,
		    rows[i].bytes.data, rows[i].bytes.len, &tail->arena);
		if (err == 0)
			print_row(tail, &row, tail->header.time);
	}
	if (err != 0) {
		cli_say("batch %llu cannot be read: %s; check the whole "
			"journal: leasehold audit verify",
		    (unsigned long long)item->batch, err_str(err));
		return CLI_FAILED;
	}
	return CLI_DONE;
}

int
audit_tail(struct cli *cli, int argc, char **argv)
{
	struct tail tail = { .cli = cli };
	struct arena arena = { 0 };
	struct empty nothing = { 0 };
	struct site_view site;
	struct journal_view view = { .begins = 0 };
	bool follow = cli_flag(&argc, argv, "--follow");
	const char *value;
	uint64_t last = 10;
	uint64_t from;
	int found = cli_option(&value, &argc, argv, "-n");
	int status;

	if (found < 0 ||
	    (found > 0 && !cli_number(&last, value, "-n", 1, 1000000)))
		return CLI_USAGE;
	status = cli_arguments(argc, argv, 0, 0,
	    "audit tail [-n BATCHES] [--follow]");
	if (status == CLI_DONE)
		status = cli_call(cli, OP_SITE_SHOW, &nothing, &site, &arena);
	if (status == CLI_DONE)
		status = journal_begin(NULL, &view, cli, NULL, &arena);
	if (status == CLI_DONE) {
		from = site.batch + 1 > last ? site.batch + 1 - last : 0;
		if (from < view.begins)
			from = view.begins;
		status = each_batch(cli, &from, tail_batch, &tail);
		while (status == CLI_DONE && follow) {
			fflush(stdout);
			sleep(1);
			status = each_batch(cli, &from, tail_batch, &tail);
		}
	}
	arena_release(&tail.arena);
	arena_release(&arena);
	return status;
}

/* A generation of the journal, and where it begins. */
struct begun {
	struct row_generation row;
	uint64_t batch;
	int64_t time;
};
#define BEGUN_SHOWN 16

struct verify {
	struct cli *cli;
	struct journal_walk walk;
	struct site_keys keys;
	uint64_t batches;
	struct begun begun[BEGUN_SHOWN]; /* the last ones */
	uint64_t n_begun;
};

static int
verify_row(void *ctx, const struct row *row, int64_t time)
{
	struct verify *verify = ctx;

	if (row->kind == ROW_GENERATION)
		verify->begun[verify->n_begun++ % BEGUN_SHOWN] =
		    (struct begun){ row->u.generation, verify->walk.next_batch,
			    time };
	return 0;
}

/* The words of the admin who acknowledged it; "" when they were erased. */
static void
find_reason(char out[128], struct cli *cli, const uint8_t id[SUBJECT_BYTES])
{
	struct subject_ref request;
	struct subject_view view;
	struct arena arena = { 0 };

	memcpy(request.subject, id, sizeof(request.subject));
	out[0] = '\0';
	if (cli_call(cli, OP_SUBJECT_SHOW, &request, &view, &arena) == CLI_DONE)
		text_copy(out, 128, view.value);
	arena_release(&arena);
}

/* A store that was put back to an older copy, and what that cost. */
static void
print_begun(struct cli *cli, const struct begun *begun)
{
	const struct row_generation *row = &begun->row;
	char time[32], lost[32], head[17], reason[128];

	cli_time(time, begun->time);
	find_reason(reason, cli, row->reason);
	printf("\nGeneration %u begins with batch %llu, %s: the store had been "
	       "put back to an older\ncopy (tick %llu; the site had been at "
	       "%llu).\nIts counter is witnessed by %s.\n",
	    row->generation, (unsigned long long)begun->batch, time,
	    (unsigned long long)row->stored, (unsigned long long)row->witnessed,
	    row->witness == WITNESS_TPM ? "the box's TPM"
					: "a file, which is weaker than a TPM");
	cli_show("Acknowledged by %s %llu: %s\n",
	    actor_kind_names[row->by.kind], (unsigned long long)row->by.id,
	    reason[0] != '\0' ? reason : "(the words were erased)");
	if (row->lost.generation == 0) {
		puts("No batch that was lost is known by its number.");
		return;
	}
	cli_time(lost, row->lost.time);
	text_to_hex(head, row->lost.head, 8);
	printf("Abandoned: generation %u to batch %llu at least, %s, head "
	       "%s...;\nuntil then it had granted %llu leases (%llu overage) "
	       "and ended %llu.\n",
	    row->lost.generation, (unsigned long long)row->lost.batch, lost,
	    head, (unsigned long long)row->lost.grants,
	    (unsigned long long)row->lost.overage,
	    (unsigned long long)row->lost.ends);
}

static void
print_begun_all(struct verify *verify)
{
	uint64_t n = verify->n_begun;
	uint64_t first = n > BEGUN_SHOWN ? n - BEGUN_SHOWN : 0;

	if (first > 0)
		printf("\nGenerations began %llu times; the last ones:\n",
		    (unsigned long long)n);
	for (uint64_t i = first; i < n; i++)
		print_begun(verify->cli, &verify->begun[i % BEGUN_SHOWN]);
}

static void
add_begun_json(struct buf *out, const struct verify *verify)
{
	uint64_t n = verify->n_begun;

	for (uint64_t i = n > BEGUN_SHOWN ? n - BEGUN_SHOWN : 0; i < n; i++) {
		const struct begun *begun = &verify->begun[i % BEGUN_SHOWN];

		buf_printf(out,
		    "%s{\"batch\":%llu,\"fact\":", out->len > 0 ? "," : "",
		    (unsigned long long)begun->batch);
		record_write_json(out, &row_generation_record, &begun->row);
		buf_add_str(out, "}");
	}
}

static int
verify_batch(void *ctx, const struct batch_item *item)
{
	struct verify *verify = ctx;
	char error[256] = "";
	int err = journal_walk_batch(&verify->walk, item->blob.data,
	    item->blob.len, verify_row, verify, error, sizeof(error));

	if (err == 0) {
		verify->batches++;
		return CLI_DONE;
	}
	cli_say("the journal does not hold: %s (%s)", error, err_str(err));
	cli_say("what this means: a batch was altered, removed or signed by "
		"another key. Keep the store as it is and tell your vendor.");
	return CLI_FAILED;
}

int
audit_site_keys(struct site_keys *keys, const struct site_view *site)
{
	*keys = site_keys_one(site->site_key);
	if (site->succession.count == 0)
		return CLI_DONE;
	int err = succession_keys(keys, site->site, NULL, &site->succession);

	if (err == 0 && memcmp(site_keys_last(keys), site->site_key, 32) == 0)
		return CLI_DONE;
	cli_say("what the site says of its older keys does not lead to its "
		"own: %s",
	    err_str(err != 0 ? err : ERR_UNTRUSTED));
	return CLI_FAILED;
}

/* The key to believe: the one named, else what the site says of itself. */
static int
pinned_key(uint8_t key[32], const struct site_view *site, const char *named)
{
	if (named == NULL) {
		memcpy(key, site->site_key, 32);
		return CLI_DONE;
	}
	if (token_public_parse(key, named) == 0)
		return CLI_DONE;
	cli_say("--site-key: '%s' is no k4.public key; leasehold site show "
		"prints it",
	    named);
	return CLI_USAGE;
}

/* What it proves, and what not. */
static void
print_given_up(const struct journal_view *view)
{
	char time[32], hex[65];

	cli_time(time, view->given_up_to);
	text_to_hex(hex, view->head, 32);
	printf("It begins with batch %llu: what was before, rows 1 to %llu, to "
	       "%s, was given up,\nand a row says so. What those rows were is "
	       "not proved by this; that nobody can put others\nin their "
	       "place is: an archive of them ends with head\n%s.\n",
	    (unsigned long long)view->begins,
	    (unsigned long long)view->first_row - 1, time, hex);
}

int
audit_verify(struct cli *cli, int argc, char **argv)
{
	struct verify verify = { .cli = cli };
	struct buf begun = { 0 };
	struct arena arena = { 0 };
	struct empty nothing = { 0 };
	struct site_view site;
	struct journal_view view = { .begins = 0 };
	const char *named = NULL;
	uint8_t key[32];
	uint64_t from = 0;
	char head[65], time[32];
	int status;

	if (cli_option(&named, &argc, argv, "--site-key") < 0)
		return CLI_USAGE;
	status = cli_arguments(argc, argv, 0, 1,
	    "audit verify [FILE] [--site-key k4.public...]");
	if (status == CLI_DONE && argc == 2)
		return audit_prove_file(cli, argv[1], named);
	if (status == CLI_DONE)
		status = cli_call(cli, OP_SITE_SHOW, &nothing, &site, &arena);
	if (status == CLI_DONE)
		status = pinned_key(key, &site, named);
	if (status == CLI_DONE)
		status = audit_site_keys(&verify.keys, &site);
	if (status != CLI_DONE)
		goto out;
	if (site_keys_find(&verify.keys, key) == verify.keys.n)
		verify.keys = site_keys_one(key);
	status = journal_begin(&verify.walk, &view, cli, &verify.keys, &arena);
	from = view.begins;
	if (status == CLI_DONE)
		status = each_batch(cli, &from, verify_batch, &verify);
	if (status != CLI_DONE)
		goto out;
	if (verify.walk.next_batch <= site.batch) {
		cli_say("the site said that its newest batch is %llu but gave "
			"only %llu batches",
		    (unsigned long long)site.batch,
		    (unsigned long long)verify.batches);
		status = CLI_FAILED;
		goto out;
	}
	if (!journal_walk_is_explained(&verify.walk)) {
		cli_say("the batches before %llu are missing, and nothing in "
			"the journal says that they were given up",
		    (unsigned long long)view.begins);
		status = CLI_FAILED;
		goto out;
	}
	/* What an older key is said to have been, a batch of the one that is
	 * believed has to vouch for. */
	if (site_keys_find(&verify.keys, verify.walk.site_key) <
	    site_keys_find(&verify.keys, key)) {
		cli_say("nothing in the journal is signed with the key that "
			"is believed: it ends with an older one");
		status = CLI_FAILED;
		goto out;
	}
	/* One key signs the journals of all tenants. */
	if (strcmp(verify.walk.site, site.site) != 0 ||
	    strcmp(verify.walk.tenant, site.tenant) != 0) {
		cli_say("the site says that it is %s, tenant %s, but gave the "
			"journal of %s, tenant %s",
		    site.site, site.tenant, verify.walk.site,
		    verify.walk.tenant);
		status = CLI_FAILED;
		goto out;
	}
	text_to_hex(head, verify.walk.head, 32);
	cli_time(time, verify.walk.time);
	add_begun_json(&begun, &verify);
	if (cli->json)
		printf("{\"batches\":%llu,\"rows\":%llu,\"grants\":%llu,"
		       "\"ends\":%llu,\"overage\":%llu,\"generation\":%u,"
		       "\"tick\":%llu,\"generations\":[%s],"
		       "\"begins\":%llu,\"head\":\"%s\"}\n",
		    (unsigned long long)verify.batches,
		    (unsigned long long)verify.walk.next_row - 1,
		    (unsigned long long)verify.walk.totals.grants,
		    (unsigned long long)verify.walk.totals.ends,
		    (unsigned long long)verify.walk.totals.overage,
		    verify.walk.generation,
		    (unsigned long long)verify.walk.tick, buf_text(&begun),
		    (unsigned long long)view.begins, head);
	else
		printf("The journal holds: %llu batches, %llu rows, every "
		       "signature, root and number checked.\n"
		       "%llu leases granted (%llu overage), %llu ended. Head "
		       "%.16s... of %s\n",
		    (unsigned long long)verify.batches,
		    (unsigned long long)verify.walk.next_row - 1,
		    (unsigned long long)verify.walk.totals.grants,
		    (unsigned long long)verify.walk.totals.overage,
		    (unsigned long long)verify.walk.totals.ends, head, time);
	if (!cli->json && view.begins != 0)
		print_given_up(&view);
	if (!cli->json)
		print_begun_all(&verify);
	if (verify.walk.overage_unchecked > 0)
		cli_say("the numbers of %llu overage checkouts of licenses "
			"beyond the first 4096 were counted but not followed",
		    (unsigned long long)verify.walk.overage_unchecked);
out:
	buf_release(&begun);
	arena_release(&arena);
	return status;
}

int
audit_checkpoint(struct cli *cli, int argc, char **argv)
{
	struct checkpoint_reply reply;
	struct arena arena = { 0 };
	struct empty request = { 0 };
	char hash[65];
	int status = cli_arguments(argc, argv, 0, 0, "audit checkpoint");

	if (status == CLI_DONE)
		status = cli_call(cli, OP_JOURNAL_CHECKPOINT, &request, &reply,
		    &arena);
	if (status == CLI_DONE && cli->json) {
		cli_print_json(&checkpoint_reply_record, &reply);
	} else if (status == CLI_DONE) {
		text_to_hex(hash, reply.state_hash, 32);
		printf("Checkpoint after batch %llu: state %s\n",
		    (unsigned long long)reply.batch, hash);
	}
	arena_release(&arena);
	return status;
}
