/*
 * Deleting a tenant, and the certificates of those that were deleted: shown,
 * written to files, and checked without a site.
 */
#include "agent/cli/cli.h"
#include "shared/backup/walk.h"
#include "shared/base/err.h"
#include "shared/base/text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CERTIFICATE_FILE_MAX 8192

static void
print_certificate(const struct deletion_certificate *c)
{
	char created[32], deleted[32], head[65];

	cli_time(created, c->created_at);
	cli_time(deleted, c->deleted_at);
	text_to_hex(head, c->head, 32);
	cli_show("tenant    %s (number %llu, made %s)\n", c->tenant,
	    (unsigned long long)c->number, created);
	cli_show("site      %s\n", c->site);
	cli_show("deleted   %s by %s %llu\n", deleted,
	    actor_kind_names[c->by.kind], (unsigned long long)c->by.id);
	if (c->reason[0] != '\0')
		cli_show("reason    %s\n", c->reason);
	printf("journal   generation %u, batch %llu, %llu rows; %llu leases "
	       "granted, %llu ended\n",
	    c->generation, (unsigned long long)c->batch,
	    (unsigned long long)c->rows, (unsigned long long)c->totals.grants,
	    (unsigned long long)c->totals.ends);
	printf("head      %s\n", head);
	printf("lost      %llu devices, %llu leases that were held\n",
	    (unsigned long long)c->devices, (unsigned long long)c->leases);
	cli_show("what      %s\n", c->deleted);
}

static int
write_token(const char *path, const char *token)
{
	char text[DELETION_TOKEN_MAX + 2];
	int len = snprintf(text, sizeof(text), "%s\n", token);

	if (file_write(path, text, (size_t)len, 0644) == 0)
		return CLI_DONE;
	cli_say("%s cannot be written: %s", path, strerror(errno));
	return CLI_FAILED;
}

int
tenant_delete(struct cli *cli, int argc, char **argv)
{
	static const char usage[] =
	    "tenant delete TENANT --confirm TENANT [--force --reason TEXT] "
	    "[--out FILE]";
	struct tenant_delete request = { .force =
					     cli_flag(&argc, argv, "--force") };
	const char *confirm = "", *reason = "", *out = NULL;
	struct arena arena = { 0 };

	if (cli_option(&confirm, &argc, argv, "--confirm") < 0 ||
	    cli_option(&reason, &argc, argv, "--reason") < 0 ||
	    cli_option(&out, &argc, argv, "--out") < 0)
		return CLI_USAGE;
	int status = cli_arguments(argc, argv, 1, 1, usage);

	if (status != CLI_DONE)
		return status;
	if (strcmp(confirm, argv[1]) != 0) {
		cli_say("say which one twice: leasehold tenant delete %s "
			"--confirm %s. Nothing brings it back but a backup",
		    argv[1], argv[1]);
		return CLI_USAGE;
	}
	if (!text_copy(request.tenantId, sizeof(request.tenantId), argv[1]) ||
	    !text_copy(request.confirm, sizeof(request.confirm), confirm) ||
	    !text_copy(request.reason, sizeof(request.reason), reason)) {
		cli_say("TENANT is longer than 63, or --reason than 127 bytes");
		return CLI_USAGE;
	}
	struct tenant_deleted *reply = arena_alloc(&arena, sizeof(*reply));

	if (reply == NULL) {
		cli_say("out of memory");
		return CLI_FAILED;
	}
	status = cli_answer(cli, OP_TENANT_DELETE, &request, reply, &arena);
	if (status == CLI_DONE && out != NULL)
		status = write_token(out, reply->token);
	if (status == CLI_DONE && !cli->json) {
		cli_show("Tenant %s is deleted for good.\n\n", argv[1]);
		print_certificate(&reply->certificate);
		if (out == NULL)
			cli_show("\nThe certificate: leasehold tenant "
				 "certificate %s --out FILE\n",
			    argv[1]);
	}
	arena_release(&arena);
	return status;
}

/* --- certificates -------------------------------------------------------------- */

/* Whose key? The one that was named, else the one in it, whose site it names
 * then. */
static int
read_certificate(struct deletion_certificate *out, const char *token,
    size_t len, const uint8_t *pinned, struct arena *arena)
{
	struct buf payload = { 0 };
	struct record_error error;
	char site[64];
	int err = token_peek(&payload, token, len);

	if (err == 0)
		err = record_read_json(out, &deletion_certificate_record,
		    (const char *)payload.data, payload.len, arena, &error);
	buf_release(&payload);
	if (err == 0)
		err = token_verify(&payload, TOKEN_DELETION, token, len,
		    pinned != NULL ? pinned : out->site_key);
	buf_release(&payload);
	if (err != 0)
		return err;
	backup_site_id(site, out->site_key);
	/* A site that went on in another box has a key of another name. */
	return pinned != NULL || strcmp(site, out->site) == 0 ? 0
							      : ERR_MISMATCH;
}

static int
say_bad(const char *what, int err)
{
	cli_say("%s does not hold: %s", what,
	    err == ERR_BAD_REQUEST ? "it is no certificate of deletion"
		: err == ERR_MISMATCH
		? "the site's id is not that of the key; where the site went "
		  "on in another box, name its key with --site-key"
		: err_str(err));
	return CLI_FAILED;
}

static int
show_item(struct cli *cli, const struct certificate_view *item,
    struct json_items *items, struct arena *arena)
{
	struct deletion_certificate certificate;
	int err = read_certificate(&certificate, item->token,
	    strlen(item->token), NULL, arena);
	const struct record_list one = { &certificate, 1 };

	if (err != 0)
		return say_bad("what the site gave", err);
	if (cli->json) {
		cli_add_items(items, &deletion_certificate_record, &one);
		return CLI_DONE;
	}
	print_certificate(&certificate);
	putchar('\n');
	return CLI_DONE;
}

/* The last one of that name is written. */
static int
each_page(struct cli *cli, struct certificate_query *request, const char *out,
    uint64_t *found, struct json_items *json)
{
	struct certificate_page page;
	struct arena arena = { 0 };
	int status = cli_call(cli, OP_CERTIFICATE_LIST, request, &page, &arena);
	const struct certificate_view *items =
	    status == CLI_DONE ? page.items.items : NULL;

	for (uint32_t i = 0; status == CLI_DONE && i < page.items.count; i++) {
		status = out != NULL ? write_token(out, items[i].token)
				     : show_item(cli, &items[i], json, &arena);
		++*found;
	}
	uint64_t next = status == CLI_DONE ? page.next : 0;

	arena_release(&arena);
	if (next == 0) {
		request->after = 0;
		return status;
	}
	return cli_next_page(&request->after, next);
}

int
tenant_certificate(struct cli *cli, int argc, char **argv)
{
	struct certificate_query request = { 0 };
	struct json_items json = { 0 };
	const char *out = NULL;
	uint64_t found = 0;

	if (cli_option(&out, &argc, argv, "--out") < 0)
		return CLI_USAGE;
	int status = cli_arguments(argc, argv, out != NULL ? 1 : 0, 1,
	    "tenant certificate [TENANT [--out FILE]]");

	if (status == CLI_DONE && argc > 1 &&
	    !text_copy(request.tenant, sizeof(request.tenant), argv[1])) {
		cli_say("TENANT: longer than 63 bytes");
		status = CLI_USAGE;
	}
	while (status == CLI_DONE) {
		status = each_page(cli, &request, out, &found, &json);
		if (request.after == 0)
			break;
	}
	if (status != CLI_DONE)
		return status;
	if (found == 0 && argc > 1) {
		cli_say("no tenant %s was deleted here", argv[1]);
		return CLI_FAILED;
	}
	if (cli->json && out == NULL)
		cli_end_items(&json);
	else if (found == 0)
		puts("No tenant was ever deleted here.");
	return CLI_DONE;
}

int
tenant_check(struct cli *cli, int argc, char **argv)
{
	struct deletion_certificate certificate;
	struct arena arena = { 0 };
	const char *named = NULL;
	uint8_t key[32], *data = NULL;
	size_t len = 0;

	if (cli_option(&named, &argc, argv, "--site-key") < 0)
		return CLI_USAGE;
	int status = cli_arguments(argc, argv, 1, 1,
	    "tenant certificate check FILE [--site-key k4.public...]");

	if (status != CLI_DONE)
		return status;
	if (named != NULL && token_public_parse(key, named) != 0) {
		cli_say("--site-key: '%s' is no k4.public key; leasehold site "
			"show prints it",
		    named);
		return CLI_USAGE;
	}
	if (file_read(&data, &len, argv[1], CERTIFICATE_FILE_MAX) != 0) {
		cli_say("%s cannot be read: %s", argv[1], strerror(errno));
		return CLI_FAILED;
	}
	while (len > 0 && (data[len - 1] == '\n' || data[len - 1] == '\r'))
		len--;
	int err = read_certificate(&certificate, (const char *)data, len,
	    named != NULL ? key : NULL, &arena);

	free(data);
	arena_release(&arena);
	if (err != 0)
		return say_bad(argv[1], err);
	if (cli->json) {
		cli_print_json(&deletion_certificate_record, &certificate);
		return CLI_DONE;
	}
	print_certificate(&certificate);
	cli_show("\nThe certificate holds: site %s signed it%s.\n",
	    certificate.site,
	    named != NULL ? ", whose key you named"
			  : "; its id is the hash of the key that did");
	return CLI_DONE;
}
