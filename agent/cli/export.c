/*
 * `tenant export`: everything of one tenant, as the site copies it for us, into
 * a tar archive that other programs read: a file of JSON objects, one a line,
 * for each list, the journal's batches as they are, and words about them.
 */
#include "agent/cli/cli.h"
#include "shared/backup/dump.h"
#include "shared/base/err.h"
#include "shared/base/text.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Lists are gathered here before they go into the archive: tar wants to know
 * their length first. */
struct exporting {
	struct cli *cli;
	const char *path;
	char partial[4200];
	struct archive *tar;
	FILE *list; /* without a name; NULL: batches are written at once */
	char name[64]; /* of the list */
	uint64_t length;
	uint64_t batches;
	int64_t made_at;
	int status; /* CLI_DONE so far; what is wrong was said */
};

static const char readme[] =
    "Everything that a Leasehold site holds of one tenant.\n"
    "\n"
    "about.jsonl      site, tenant, when, and where the journal ends\n"
    "licenses.jsonl   installed licenses\n"
    "devices.jsonl    workstations, containers, API keys: whoever may take "
    "seats\n"
    "leases.jsonl     seats held\n"
    "borrows.jsonl    seats on loan\n"
    "tokens.jsonl     enrolment tokens, without their secrets\n"
    "keys.jsonl       API keys, without their secrets\n"
    "users.jsonl      people who may log in, without passwords\n"
    "subjects.jsonl   who or what stands behind the ids in rows\n"
    "journal/N.batch  the journal: batch N, a signed header and its rows, in\n"
    "                 MessagePack; their format is in the sources, "
    "shared/journal\n"
    "\n"
    "A .jsonl file holds one JSON object (RFC 8259) a line, as the site's API\n"
    "shows it; times are RFC 3339, in UTC. An empty file is an empty list.\n"
    "It names people: keep it as you would keep them.\n";

static int
say_tar(struct exporting *exporting)
{
	const char *words = archive_error_string(exporting->tar);

	cli_say("%s cannot be written: %s", exporting->path,
	    words != NULL ? words : "no reason given");
	exporting->status = CLI_FAILED;
	return ERR_IO;
}

static int
say_system(struct exporting *exporting, const char *what)
{
	cli_say("%s: %s", what, strerror(errno));
	exporting->status = CLI_FAILED;
	return ERR_IO;
}

/* --- files of the archive ---------------------------------------------------- */

static int
begin_file(struct exporting *exporting, const char *name, uint64_t len)
{
	struct archive_entry *entry = archive_entry_new();
	int rc = ARCHIVE_FATAL;

	if (entry != NULL) {
		archive_entry_set_pathname(entry, name);
		archive_entry_set_filetype(entry, AE_IFREG);
		archive_entry_set_perm(entry, 0600);
		archive_entry_set_size(entry, (int64_t)len);
		archive_entry_set_mtime(entry,
		    (time_t)(exporting->made_at / 1000), 0);
		rc = archive_write_header(exporting->tar, entry);
	}
	archive_entry_free(entry);
	return rc == ARCHIVE_OK ? 0 : say_tar(exporting);
}

static int
put_bytes(struct exporting *exporting, const void *data, size_t len)
{
	return len == 0 ||
		archive_write_data(exporting->tar, data, len) == (la_ssize_t)len
	    ? 0
	    : say_tar(exporting);
}

static int
put_file(struct exporting *exporting, const char *name, const void *data,
    size_t len)
{
	int err = begin_file(exporting, name, len);

	return err == 0 ? put_bytes(exporting, data, len) : err;
}

static int
end_list(struct exporting *exporting)
{
	char name[80], data[65536];
	size_t n;

	if (exporting->list == NULL)
		return 0;
	snprintf(name, sizeof(name), "%s.jsonl", exporting->name);
	int err = begin_file(exporting, name, exporting->length);

	rewind(exporting->list);
	while (
	    err == 0 && (n = fread(data, 1, sizeof(data), exporting->list)) > 0)
		err = put_bytes(exporting, data, n);
	if (err == 0 && ferror(exporting->list))
		err = say_system(exporting, "a temporary file");
	fclose(exporting->list);
	exporting->list = NULL;
	return err;
}

/* --- what the site gives ------------------------------------------------------ */

static int
on_table(void *ctx, const char *name)
{
	struct exporting *exporting = ctx;
	int err = end_list(exporting);

	if (err != 0 || strcmp(name, "journal") == 0)
		return err;
	text_copy(exporting->name, sizeof(exporting->name), name);
	exporting->length = 0;
	exporting->list = tmpfile();
	return exporting->list != NULL
	    ? 0
	    : say_system(exporting, "a temporary file");
}

static int
on_entry(void *ctx, const void *key, size_t key_len, const void *value,
    size_t value_len)
{
	struct exporting *exporting = ctx;
	char name[64];

	(void)key;
	(void)key_len;
	if (exporting->list == NULL) {
		snprintf(name, sizeof(name), "journal/%010llu.batch",
		    (unsigned long long)exporting->batches++);
		return put_file(exporting, name, value, value_len);
	}
	if (fwrite(value, 1, value_len, exporting->list) != value_len ||
	    fputc('\n', exporting->list) == EOF)
		return say_system(exporting, "a temporary file");
	exporting->length += value_len + 1;
	return 0;
}

static int
fetch(struct exporting *exporting, struct dump_reader *reader,
    const struct backup_part *part)
{
	struct backup_read request = { .part = part->part };
	struct arena arena = { 0 };
	int status = CLI_DONE, err = 0;

	while (status == CLI_DONE && err == 0 && request.offset < part->bytes) {
		struct backup_piece piece;

		arena_clear(&arena);
		status = cli_call(exporting->cli, OP_EXPORT_READ, &request,
		    &piece, &arena);
		if (status != CLI_DONE)
			break;
		request.offset += piece.data.len;
		err = piece.data.len == 0
		    ? ERR_CORRUPT
		    : dump_feed(reader, piece.data.data, piece.data.len);
	}
	if (status == CLI_DONE && err == 0)
		err = dump_finish(reader);
	if (err == 0 && status == CLI_DONE)
		err = end_list(exporting);
	if (err != 0 && exporting->status == CLI_DONE) {
		cli_say("what the site gives is not understood: %s",
		    dump_error(reader)[0] != '\0' ? dump_error(reader)
						  : err_str(err));
		exporting->status = CLI_FAILED;
	}
	arena_release(&arena);
	return status != CLI_DONE ? status : exporting->status;
}

static int
fetch_all(struct exporting *exporting, const struct backup_part *part)
{
	const struct dump_callbacks callbacks = { exporting, on_table,
		on_entry };
	struct backup_ref ref = { .part = part->part };
	struct arena arena = { 0 };
	struct empty nothing;
	struct dump_reader *reader = dump_reader_new(&callbacks);
	int status = CLI_FAILED;

	if (reader == NULL)
		cli_say("out of memory");
	else if (put_file(exporting, "README", readme, sizeof(readme) - 1) == 0)
		status = fetch(exporting, reader, part);
	dump_reader_free(reader);
	if (exporting->list != NULL)
		fclose(exporting->list);
	if (status == CLI_DONE)
		status = cli_call(exporting->cli, OP_EXPORT_END, &ref, &nothing,
		    &arena);
	arena_release(&arena);
	return status;
}

/* --- the archive -------------------------------------------------------------- */

static int
publish(struct exporting *exporting, int fd)
{
	if (archive_write_close(exporting->tar) != ARCHIVE_OK)
		return say_tar(exporting);
	if (fsync(fd) != 0 || rename(exporting->partial, exporting->path) != 0)
		return say_system(exporting, exporting->path);
	return 0;
}

static int
write_archive(struct exporting *exporting, const struct backup_part *part)
{
	int fd = open(exporting->partial,
	    O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	int status = CLI_FAILED;

	if (fd < 0) {
		say_system(exporting, exporting->partial);
		return CLI_FAILED;
	}
	exporting->tar = archive_write_new();
	exporting->made_at = part->made_at;
	if (exporting->tar == NULL) {
		cli_say("out of memory");
	} else if (archive_write_set_format_pax_restricted(exporting->tar) !=
		ARCHIVE_OK ||
	    archive_write_open_fd(exporting->tar, fd) != ARCHIVE_OK) {
		say_tar(exporting);
	} else {
		status = fetch_all(exporting, part);
		if (status == CLI_DONE && publish(exporting, fd) != 0)
			status = CLI_FAILED;
	}
	archive_write_free(exporting->tar);
	close(fd);
	if (status != CLI_DONE)
		unlink(exporting->partial);
	return status;
}

int
tenant_export(struct cli *cli, int argc, char **argv)
{
	struct exporting exporting = { .cli = cli };
	struct vault_ref request = { 0 };
	struct backup_part part;
	struct arena arena = { 0 };
	struct empty nothing = { 0 };
	bool own = cli_flag(&argc, argv, "--own");
	int status = cli_arguments(argc, argv, own ? 1 : 2, own ? 1 : 2,
	    own ? "tenant export --own FILE" : "tenant export TENANT FILE");

	if (status != CLI_DONE)
		return status;
	exporting.path = argv[own ? 1 : 2];
	if (!own &&
	    !text_copy(request.tenantId, sizeof(request.tenantId), argv[1])) {
		cli_say("TENANT: longer than 63 bytes");
		return CLI_USAGE;
	}
	if (snprintf(exporting.partial, sizeof(exporting.partial), "%s.partial",
		exporting.path) >= (int)sizeof(exporting.partial) ||
	    access(exporting.path, F_OK) == 0) {
		cli_say("%s is there already and was not touched; name another "
			"file",
		    exporting.path);
		return CLI_FAILED;
	}
	status = own ? cli_call(cli, OP_EXPORT_BEGIN, &nothing, &part, &arena)
		     : cli_call(cli, OP_TENANT_EXPORT, &request, &part, &arena);
	if (status == CLI_DONE)
		status = write_archive(&exporting, &part);
	if (status == CLI_DONE && cli->json)
		printf("{\"tenant\":\"%s\",\"batches\":%llu}\n", part.tenant,
		    (unsigned long long)exporting.batches);
	else if (status == CLI_DONE)
		cli_show("%s holds everything of tenant %s, with %llu batches "
			 "of its journal. It names\npeople, and is not "
			 "encrypted: keep it so.\n",
		    exporting.path, part.tenant,
		    (unsigned long long)exporting.batches);
	arena_release(&arena);
	return status;
}
