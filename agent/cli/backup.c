/*
 * Backups: copies of the site's stores are fetched in pieces and made one
 * encrypted file here (shared/backup); and what such a file is, and whether it
 * holds, is found out without a site.
 */
#include "agent/cli/cli.h"
#include "shared/backup/passphrase.h"
#include "shared/backup/walk.h"
#include "shared/base/err.h"
#include "shared/base/text.h"

#include <dirent.h>
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SITE_FILE_MAX 65536

static int
say_error(const char *error)
{
	cli_say("%s", error);
	return CLI_FAILED;
}

static int
ask_passphrase(struct passphrase *passphrase, const char *file, bool twice)
{
	char error[700];

	return passphrase_read(passphrase, file, twice, error, sizeof(error)) ==
		0
	    ? CLI_DONE
	    : say_error(error);
}

/* --- making ---------------------------------------------------------------- */

struct making {
	struct cli *cli;
	const char *path;
	const char *state; /* the site's folder, or NULL */
	const char *etc; /* of the box's configuration, or NULL */
	bool site_key; /* is in it */
	struct archive_header header;
	struct archive_tenant *tenants;
	struct archive_writer *writer;
	uint64_t bytes;
};

static int
say_write(const struct making *making, int err)
{
	if (err == ERR_CONFLICT)
		cli_say("%s is there already and was not touched; name another "
			"file",
		    making->path);
	else
		cli_say("%s cannot be written: %s; nothing is left of it",
		    making->path,
		    err == ERR_IO ? strerror(errno) : err_str(err));
	return CLI_FAILED;
}

static int
put(struct making *making, enum archive_item item, const void *data, size_t len)
{
	int err = archive_put(making->writer, item, data, len);

	return err == 0 ? CLI_DONE : say_write(making, err);
}

static int
put_record(struct making *making, enum archive_item item,
    const struct record *record, const void *value)
{
	struct buf bytes = { 0 };
	int status = CLI_FAILED;

	record_write_msgpack(&bytes, record, value);
	if (bytes.failed)
		cli_say("out of memory");
	else
		status = put(making, item, bytes.data, bytes.len);
	if (bytes.data != NULL)
		sodium_memzero(bytes.data, bytes.size);
	buf_release(&bytes);
	return status;
}

static int
begin_part(struct backup_part *part, struct cli *cli, const char *tenant,
    struct arena *arena)
{
	struct backup_begin request = { 0 };

	text_copy(request.tenant, sizeof(request.tenant), tenant);
	return cli_call(cli, OP_BACKUP_BEGIN, &request, part, arena);
}

static int
fetch_pieces(struct making *making, const struct backup_part *part)
{
	struct backup_read request = { .part = part->part };
	struct arena arena = { 0 };
	int status = CLI_DONE;

	while (status == CLI_DONE && request.offset < part->bytes) {
		struct backup_piece piece;

		arena_clear(&arena);
		status = cli_call(making->cli, OP_BACKUP_READ, &request, &piece,
		    &arena);
		if (status != CLI_DONE)
			break;
		if (piece.data.len == 0 ||
		    piece.data.len > part->bytes - request.offset) {
			cli_say("the site gave another number of bytes than it "
				"said");
			status = CLI_FAILED;
			break;
		}
		request.offset += piece.data.len;
		status =
		    put(making, ARCHIVE_DATA, piece.data.data, piece.data.len);
	}
	making->bytes += part->bytes;
	arena_release(&arena);
	return status;
}

/* What the site holds for it is thrown away, however it went. */
static int
fetch_part(struct making *making, const struct backup_part *part)
{
	struct archive_part begins;
	struct backup_ref ref = { .part = part->part };
	struct arena arena = { 0 };
	struct empty nothing;

	memcpy(begins.tenant, part->tenant, sizeof(begins.tenant));
	int status =
	    put_record(making, ARCHIVE_PART, &archive_part_record, &begins);

	if (status == CLI_DONE)
		status = fetch_pieces(making, part);
	if (status == CLI_DONE)
		status = cli_call(making->cli, OP_BACKUP_END, &ref, &nothing,
		    &arena);
	arena_release(&arena);
	return status;
}

static void
note_place(struct archive_tenant *tenant, const struct backup_part *part)
{
	tenant->generation = part->generation;
	tenant->batch = part->batch;
	tenant->rows = part->rows;
	memcpy(tenant->head, part->head, sizeof(tenant->head));
}

static int
fetch_tenant(struct making *making, struct archive_tenant *tenant)
{
	struct backup_part part;
	struct arena arena = { 0 };
	int status = begin_part(&part, making->cli, tenant->tenant, &arena);

	if (status == CLI_DONE && strcmp(part.tenant, tenant->tenant) != 0) {
		cli_say("the site gave another tenant than it was asked for");
		status = CLI_FAILED;
	}
	if (status == CLI_DONE)
		note_place(tenant, &part);
	if (status == CLI_DONE)
		status = fetch_part(making, &part);
	arena_release(&arena);
	return status;
}

/* ERR_NOT_FOUND: it is not there; nothing was said. */
static int
put_file(int *err, struct making *making, const char *name, const char *path)
{
	struct archive_file file = { 0 };
	uint8_t *data = NULL;
	size_t len = 0;

	*err = file_read(&data, &len, path, SITE_FILE_MAX);
	if (*err != 0)
		return CLI_FAILED;
	text_copy(file.name, sizeof(file.name), name);
	file.data = (struct record_span){ data, (uint32_t)len };
	int status =
	    put_record(making, ARCHIVE_FILE, &archive_file_record, &file);

	sodium_memzero(data, len);
	free(data);
	return status;
}

/* Where the key is sealed to the box's TPM another box can do nothing with it;
 * the recovery key stands for it. */
static bool
is_sealed(const struct making *making)
{
	char path[4200];

	snprintf(path, sizeof(path), "%s/keys/site.key.sealed", making->state);
	return making->header.heir && access(path, F_OK) == 0;
}

/* The plain files of the folder that the box is configured by. */
static int
put_etc(struct making *making)
{
	DIR *folder = making->etc != NULL ? opendir(making->etc) : NULL;
	int status = CLI_DONE, err = 0;
	const struct dirent *entry;

	if (making->etc != NULL && folder == NULL) {
		cli_say("%s cannot be read: %s", making->etc, strerror(errno));
		return CLI_FAILED;
	}
	while (status == CLI_DONE && folder != NULL &&
	    (entry = readdir(folder)) != NULL) {
		char path[4500], name[64];
		struct stat st;

		snprintf(path, sizeof(path), "%s/%s", making->etc,
		    entry->d_name);
		if (entry->d_name[0] == '.' || lstat(path, &st) != 0 ||
		    !S_ISREG(st.st_mode))
			continue;
		if ((size_t)snprintf(name, sizeof(name), "etc/%s",
			entry->d_name) >= sizeof(name)) {
			cli_say("%s: its name is too long for a backup", path);
			status = CLI_FAILED;
			break;
		}
		status = put_file(&err, making, name, path);
		if (err != 0)
			cli_say("%s cannot be read: %s", path,
			    err == ERR_IO ? strerror(errno) : err_str(err));
	}
	if (folder != NULL)
		closedir(folder);
	return status;
}

/* What nobody but root on the box may read, from there. */
static int
put_site_files(struct making *making)
{
	static const struct {
		const char *name;
	} files[] = {
		{ "keys/site.key" },
		{ "tls/ca.pem" },
		{ "tls/ca.key" },
		{ "tls/server.pem" },
		{ "tls/server.key" },
	};
	int status = CLI_DONE, err = 0;

	if (making->state == NULL)
		return CLI_DONE;
	for (size_t i = making->site_key ? 0 : 1;
	     i < sizeof(files) / sizeof(files[0]) && status == CLI_DONE; i++) {
		char path[4200];

		snprintf(path, sizeof(path), "%s/%s", making->state,
		    files[i].name);
		status = put_file(&err, making, files[i].name, path);
		if (err != 0) {
			cli_say("%s cannot be read: %s; --state is for root on "
				"the site's box%s",
			    path, strerror(errno),
			    i == 0 ? ", where the key is not sealed to a TPM: "
				     "then make a recovery key first "
				     "(leaseholdd heir), or leave --state out "
				     "and keep the copy of the key in its safe"
				   : "");
			return CLI_FAILED;
		}
	}
	return status == CLI_DONE ? put_etc(making) : status;
}

static int
name_tenants(struct making *making, const struct backup_part *first)
{
	const struct vault_tenant *items = first->tenants.items;
	bool whole = first->tenant[0] == '\0';
	uint32_t n = whole ? first->tenants.count : 1;

	making->tenants = calloc(n + 1, sizeof(*making->tenants));
	if (making->tenants == NULL) {
		cli_say("out of memory");
		return CLI_FAILED;
	}
	for (uint32_t i = 0; i < n; i++)
		memcpy(making->tenants[i].tenant,
		    whole ? items[i].tenant : first->tenant,
		    sizeof(making->tenants[i].tenant));
	struct archive_header *header = &making->header;

	memcpy(header->site, first->site, sizeof(header->site));
	memcpy(header->name, first->name, sizeof(header->name));
	memcpy(header->site_key, first->site_key, sizeof(header->site_key));
	memcpy(header->software, first->software, sizeof(header->software));
	header->made_at = first->made_at;
	header->whole = whole;
	header->heir = whole && first->heir;
	header->box = whole && first->box;
	header->succession = first->succession;
	making->site_key = making->state != NULL && !is_sealed(making);
	header->keys = making->site_key;
	header->tenants = (struct record_list){ making->tenants, n };
	if (!whole)
		note_place(&making->tenants[0], first);
	return CLI_DONE;
}

static int
make(struct making *making, const char *tenant,
    const struct passphrase *passphrase)
{
	struct backup_part first;
	struct arena arena = { 0 };
	int status = begin_part(&first, making->cli, tenant, &arena);

	if (status == CLI_DONE)
		status = name_tenants(making, &first);
	if (status == CLI_DONE) {
		int err = archive_create(&making->writer, making->path,
		    &making->header, passphrase->text, passphrase->len, NULL);

		status = err == 0 ? CLI_DONE : say_write(making, err);
	}
	if (status == CLI_DONE)
		status = put_site_files(making);
	if (status == CLI_DONE)
		status = fetch_part(making, &first);
	for (uint32_t i = 0; i < making->header.tenants.count &&
	     making->header.whole && status == CLI_DONE;
	     i++)
		status = fetch_tenant(making, &making->tenants[i]);
	if (status != CLI_DONE) {
		archive_cancel(making->writer);
	} else {
		int err = archive_finish(making->writer, &making->header);

		status = err == 0 ? CLI_DONE : say_write(making, err);
	}
	making->header.succession = (struct record_list){ NULL, 0 };
	arena_release(&arena);
	return status;
}

static void
print_made(const struct making *making)
{
	const struct archive_header *header = &making->header;
	struct buf json = { 0 };

	if (making->cli->json) {
		record_write_json_pretty(&json, &archive_header_record, header);
		puts(buf_text(&json));
		buf_release(&json);
		return;
	}
	if (header->whole)
		cli_show("%s is a backup of %s (%u tenants, %llu bytes of "
			 "stores).\n",
		    making->path, header->site, header->tenants.count,
		    (unsigned long long)making->bytes);
	else
		cli_show("%s is a backup of tenant %s of %s (%llu bytes of its "
			 "store).\n",
		    making->path, making->tenants[0].tenant, header->site,
		    (unsigned long long)making->bytes);
	if (making->state != NULL)
		puts("It was read back from the disk: every frame, signature "
		     "and number in it holds.");
	else
		cli_show("Check it: leasehold backup verify %s\n",
		    making->path);
	if (header->heir && !header->box && making->state == NULL)
		puts("With the site's recovery key another box can go on from "
		     "it, under certificates of\nits own: agents would have "
		     "to enroll again. Start the site once more, or name\n"
		     "--state on the box, and make another.");
	else if (header->heir)
		puts("With the site's recovery key another box can go on from "
		     "it: leasehold-disaster(7).");
	else if (header->whole && !header->keys)
		puts("The site's own key is not in it: without the copy of "
		     "keys/site.key in its safe, or\na backup made with "
		     "--state on the box, no other box can become this site.");
}

/* All of it again, from the disk: before it is called done. */
static int
read_back(const struct making *making, const struct passphrase *passphrase)
{
	struct archive_reader *reader = NULL;
	struct backup_summary summary;
	char error[256] = "";
	FILE *file = fopen(making->path, "re");
	int err = file == NULL ? ERR_IO : archive_open(&reader, file);

	if (err == 0)
		err = archive_unlock(reader, passphrase->text, passphrase->len);
	if (err == 0)
		err = backup_walk(&summary, reader, NULL, NULL, error,
		    sizeof(error));
	archive_close(reader);
	if (file != NULL)
		fclose(file);
	if (err == 0)
		return CLI_DONE;
	cli_say("%s was written, and does not hold when it is read back: %s",
	    making->path, error[0] != '\0' ? error : err_str(err));
	cli_say("what this means: it is no backup; look at what it lies on, "
		"and make another");
	return CLI_FAILED;
}

int
backup_make(struct cli *cli, int argc, char **argv)
{
	struct making making = { .cli = cli };
	struct passphrase passphrase = { 0 };
	const char *tenant = "", *file = NULL;

	if (cli_option(&tenant, &argc, argv, "--tenant") < 0 ||
	    cli_option(&file, &argc, argv, "--passphrase-file") < 0 ||
	    cli_option(&making.state, &argc, argv, "--state") < 0 ||
	    cli_option(&making.etc, &argc, argv, "--etc") < 0)
		return CLI_USAGE;
	int status = cli_arguments(argc, argv, 1, 1,
	    "backup FILE [--tenant T] [--passphrase-file FILE] [--state DIR "
	    "[--etc DIR]]");

	if (status != CLI_DONE)
		return status;
	making.path = argv[1];
	if (strlen(tenant) >= sizeof(making.tenants->tenant)) {
		cli_say("--tenant: longer than 63 bytes");
		return CLI_USAGE;
	}
	if (making.etc != NULL && making.state == NULL) {
		cli_say("--etc goes with --state, on the site's box");
		return CLI_USAGE;
	}
	if (access(making.path, F_OK) == 0)
		return say_write(&making, ERR_CONFLICT);
	status = ask_passphrase(&passphrase, file, file == NULL);
	if (status == CLI_DONE)
		status = make(&making, tenant, &passphrase);
	if (status == CLI_DONE && making.state != NULL)
		status = read_back(&making, &passphrase);
	if (status == CLI_DONE)
		print_made(&making);
	passphrase_release(&passphrase);
	free(making.tenants);
	return status;
}

/* --- looking at one -------------------------------------------------------- */

static int
open_file(FILE **file, struct archive_reader **reader, const char *path)
{
	*reader = NULL;
	*file = fopen(path, "re");
	if (*file == NULL) {
		cli_say("%s cannot be read: %s", path, strerror(errno));
		return CLI_FAILED;
	}
	if (archive_open(reader, *file) == 0)
		return CLI_DONE;
	cli_say("%s is not to be used: %s", path, archive_error(*reader));
	archive_close(*reader);
	fclose(*file);
	return CLI_FAILED;
}

static void
print_header(const struct archive_header *header)
{
	const struct archive_tenant *tenants = header->tenants.items;
	char time[32], head[17];

	cli_time(time, header->made_at);
	cli_show("site      %s  %s\n", header->site, header->name);
	cli_show("made      %s by %s\n", time, header->software);
	printf("holds     %s\n",
	    header->whole ? "the whole site" : "one tenant");
	printf("site key  %s\n",
	    header->keys ? "is in it"
		: header->heir
		? "is not in it: restored with the site's recovery key"
		: "is not in it: restored only with a copy of it");
	for (uint32_t i = 0; i < header->tenants.count; i++) {
		text_to_hex(head, tenants[i].head, 8);
		cli_show("tenant    %s: generation %u, batch %llu, %llu rows, "
			 "head %s...\n",
		    tenants[i].tenant, tenants[i].generation,
		    (unsigned long long)tenants[i].batch,
		    (unsigned long long)tenants[i].rows, head);
	}
}

int
backup_show(struct cli *cli, int argc, char **argv)
{
	struct archive_reader *reader;
	FILE *file;
	int status = cli_arguments(argc, argv, 1, 1, "backup show FILE");

	if (status == CLI_DONE)
		status = open_file(&file, &reader, argv[1]);
	if (status != CLI_DONE)
		return status;
	if (cli->json) {
		cli_print_json(&archive_header_record, archive_header(reader));
	} else {
		print_header(archive_header(reader));
		cli_show("\nSo it says of itself; what is true of it: "
			 "leasehold backup verify %s\n",
		    argv[1]);
	}
	archive_close(reader);
	fclose(file);
	return CLI_DONE;
}

static void
print_summary(const struct cli *cli, const struct archive_header *header,
    const struct backup_summary *summary)
{
	if (cli->json) {
		printf("{\"site\":\"%s\",\"whole\":%s,\"tenants\":%u,"
		       "\"batches\":%llu,\"rows\":%llu,\"entries\":%llu}\n",
		    header->site, header->whole ? "true" : "false",
		    summary->tenants, (unsigned long long)summary->batches,
		    (unsigned long long)summary->rows,
		    (unsigned long long)summary->entries);
		return;
	}
	print_header(header);
	printf("\nThe backup holds: %u journals of %llu batches and %llu rows, "
	       "every signature, root\nand number checked; %llu entries in "
	       "all.\n",
	    summary->tenants, (unsigned long long)summary->batches,
	    (unsigned long long)summary->rows,
	    (unsigned long long)summary->entries);
}

static int
verify(struct cli *cli, struct archive_reader *reader, const char *path,
    const char *passphrase_file, const uint8_t *key)
{
	struct passphrase passphrase = { 0 };
	struct backup_summary summary;
	char error[256];
	int status = ask_passphrase(&passphrase, passphrase_file, false);

	if (status != CLI_DONE)
		return status;
	int err = archive_unlock(reader, passphrase.text, passphrase.len);

	passphrase_release(&passphrase);
	if (err != 0) {
		cli_say("%s cannot be opened: %s", path, archive_error(reader));
		return CLI_FAILED;
	}
	err = backup_walk(&summary, reader, key, NULL, error, sizeof(error));
	if (err != 0) {
		cli_say("%s does not hold: %s", path,
		    error[0] != '\0' ? error : err_str(err));
		cli_say("what this means: nothing can be restored from it; "
			"take another backup");
		return CLI_FAILED;
	}
	print_summary(cli, archive_header(reader), &summary);
	return CLI_DONE;
}

int
backup_verify(struct cli *cli, int argc, char **argv)
{
	struct archive_reader *reader;
	const char *file_name = NULL, *named = NULL;
	uint8_t key[32];
	FILE *file;

	if (cli_option(&file_name, &argc, argv, "--passphrase-file") < 0 ||
	    cli_option(&named, &argc, argv, "--site-key") < 0)
		return CLI_USAGE;
	int status = cli_arguments(argc, argv, 1, 1,
	    "backup verify FILE [--passphrase-file FILE] [--site-key "
	    "k4.public...]");

	if (status == CLI_DONE && named != NULL &&
	    token_public_parse(key, named) != 0) {
		cli_say("--site-key: '%s' is no k4.public key; leasehold site "
			"show prints it",
		    named);
		status = CLI_USAGE;
	}
	if (status == CLI_DONE)
		status = open_file(&file, &reader, argv[1]);
	if (status != CLI_DONE)
		return status;
	status =
	    verify(cli, reader, argv[1], file_name, named != NULL ? key : NULL);
	archive_close(reader);
	fclose(file);
	return status;
}
