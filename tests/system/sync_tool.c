/*
 * A hub by hand, for the system tests of a site: opens a file of reports,
 * verifies each as a hub does, remembers what was taken, and answers with a
 * sealed file.
 *
 *   sync_tool VENDOR_DIR REQUEST STATE IN OUT
 *             [--suspend|--resume|--cancel LICENSE REVISION]
 *             [--renew FILE REVISION] ...
 *
 * Of changes as many as are said, in that order. IN "-" takes no reports: OUT is
 * the first change alone, as a file for `leasehold license install`.
 * VENDOR_DIR is that of leasehold-vendor, REQUEST the site's activation request.
 * Prints a line of JSON a report.
 */
#include "tests/fuzz/fuzz.h"

#include "shared/rpc/messages_usage.h"
#include "tests/unit/report_world.h"

#include <inttypes.h>
#include <limits.h>
#include <time.h>

#define CHANGES 8

struct tool {
	uint8_t issuer_public[32], *issuer_secret, root[32];
	struct buf issuer;
	struct license_request request;
	struct report_hub hub;
	uint64_t report;
	enum report_answer answer;
	char reason[192];
	char vendor[64];
	struct arena arena;
};

static int64_t
now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void
read_text(struct buf *out, const char *folder, const char *name)
{
	char path[PATH_MAX];
	uint8_t *data;
	size_t len;

	snprintf(path, sizeof path, "%s%s%s", folder, name[0] ? "/" : "", name);
	fuzz_must(file_read(&data, &len, path, (size_t)64 << 20) == 0);
	buf_add(out, data, len);
	free(data);
}

static void
trim(struct buf *text)
{
	while (text->len > 0 && text->data[text->len - 1] <= ' ')
		text->len--;
}

static void
load(struct tool *tool, const char *folder, const char *request,
    const char *state)
{
	char path[PATH_MAX];
	struct buf text = { 0 }, payload = { 0 };

	tool->issuer_secret = sodium_malloc(64);
	snprintf(path, sizeof path, "%s/issuer.key", folder);
	fuzz_must(token_key_read(tool->issuer_secret, path) == 0);
	memcpy(tool->issuer_public, tool->issuer_secret + 32, 32);
	read_text(&tool->issuer, folder, "issuer.token");
	trim(&tool->issuer);
	read_text(&text, folder, "root.pub");
	trim(&text);
	fuzz_must(token_public_parse(tool->root, buf_text(&text)) == 0);
	buf_clear(&text);
	read_text(&text, request, "");
	trim(&text);
	fuzz_must(token_peek(&payload, (char *)text.data, text.len) == 0);
	fuzz_must(
	    record_read_json(&tool->request, &license_request_record,
		(char *)payload.data, payload.len, &tool->arena, NULL) == 0);
	FILE *file = fopen(state, "rb");

	if (file != NULL) {
		fuzz_must(fread(&tool->hub, sizeof tool->hub, 1, file) == 1);
		fclose(file);
	}
	buf_release(&text);
	buf_release(&payload);
}

static void
take(struct tool *tool, const struct sync_report *report)
{
	struct report_hub *hub = &tool->hub;
	struct report_finding found;
	struct report_known known = {
		.site = tool->request.site,
		.tenant = tool->request.tenant,
		.vendor = tool->vendor,
		.mark = hub->mark,
		.ctx = hub,
		.overage = hub_overage,
		.installed = hub_installed,
		.counted = hub_counted,
	};

	known.keys = site_keys_one(tool->request.site_key);
	fuzz_must(
	    report_verify(&found, &known, report->token.data, report->token.len,
		report->body.data, report->body.len, &tool->arena) == 0);
	tool->report = found.report.sequence;
	tool->answer = found.answer;
	text_copy(tool->reason, sizeof tool->reason, found.reason);
	if (found.answer == REPORT_TAKEN) {
		for (uint32_t i = 0; i < found.n_installed; i++)
			hub->installed[hub->n_installed++] = found.installed[i];
		for (uint32_t i = 0; i < found.n_overage; i++)
			hub_count(hub, &found.overage[i]);
		hub->mark = found.mark;
	}
	printf("{\"report\":%" PRIu64 ",\"answer\":\"%s\",\"reason\":\"%s\","
	       "\"seats\":%" PRIu64 ",\"software\":\"%s\",\"counter\":%" PRIu64
	       ",\"devices\":%u,\"names\":%u,\"people\":\"%s\"}\n",
	    tool->report, report_answer_names[found.answer], found.reason,
	    hub->seats, found.report.software, found.report.proof.counter,
	    found.n_devices, found.n_names,
	    report_people_names[found.report.people]);
}

static int
open_all(struct tool *tool, const char *path)
{
	struct buf file = { 0 };
	size_t at = 0;

	read_text(&file, path, "");
	while (at < file.len) {
		struct buf clear = { 0 };
		struct sync_box box;
		size_t len = file.len - at;

		if (len >= SYNC_BOX_FRONT &&
		    SYNC_BOX_FRONT +
			    be32_read(file.data + at + SYNC_BOX_FRONT - 4) <
			len)
			len = SYNC_BOX_FRONT +
			    be32_read(file.data + at + SYNC_BOX_FRONT - 4);
		int err = sync_box_open(&box, &clear, file.data + at, len,
		    tool->issuer_public, tool->issuer_secret, &tool->arena);

		if (err != 0) {
			printf("{\"answer\":\"%s\"}\n",
			    err == ERR_CLOSED         ? "truncated"
				: err == ERR_MISMATCH ? "for another"
						      : "altered");
			buf_release(&clear);
			buf_release(&file);
			return 3;
		}
		text_copy(tool->vendor, sizeof tool->vendor, box.vendor);
		for (uint32_t i = 0; i < box.reports.count; i++)
			take(tool,
			    &((const struct sync_report *)
				    box.reports.items)[i]);
		buf_release(&clear);
		at += len;
	}
	buf_release(&file);
	return 0;
}

static void
make_change(struct tool *tool, struct buf *token, char **argv)
{
	struct license_change change = {
		.revision = strtoull(argv[2], NULL, 10),
		.what = LICENSE_SUSPEND,
		.serial = 1,
		.issued_at = now_ms(),
	};
	struct license_file file;
	struct license license;
	struct license_issuer issuer;

	text_copy(change.site, 64, tool->request.site);
	text_copy(change.tenant, 64, tool->request.tenant);
	text_copy(change.vendor, 64, tool->vendor);
	text_copy(change.license_id, 64, argv[1]);
	if (strcmp(argv[0], "--resume") == 0)
		change.what = LICENSE_RESUME;
	else if (strcmp(argv[0], "--cancel") == 0)
		change.what = LICENSE_CANCEL;
	else if (strcmp(argv[0], "--renew") == 0) {
		struct buf text = { 0 };

		read_text(&text, argv[1], "");
		fuzz_must(
		    record_read_json(&file, &license_file_record,
			(char *)text.data, text.len, &tool->arena, NULL) == 0);
		fuzz_must(
		    license_verify(&license, &issuer, file.issuer.data,
			file.issuer.len, file.license.data, file.license.len,
			tool->root, &tool->arena, NULL) == 0);
		change.what = LICENSE_RENEW;
		change.serial = license.serial;
		text_copy(change.license_id, 64, license.license_id);
		change.license = file.license;
		change.issuer = file.issuer;
		buf_release(&text);
	}
	fuzz_must(license_document_sign(token, &license_change_record, &change,
		      TOKEN_CHANGE, tool->issuer_secret) == 0);
}

static void
answer(struct tool *tool, const char *path, int argc, char **argv)
{
	struct report_receipt receipt = {
		.report = tool->report,
		.answer = tool->answer,
		.mark = tool->hub.mark,
		.at = now_ms(),
	};
	struct buf token = { 0 }, file = { 0 };
	struct sync_token issuer = { { tool->issuer.data,
	    (uint32_t)tool->issuer.len } };
	struct sync_token receipts, changes[CHANGES] = { { { NULL, 0 } } };
	struct sync_box box = { .issuers = { &issuer, 1 },
		.changes = { changes, 0 } };

	text_copy(receipt.site, 64, tool->request.site);
	text_copy(receipt.tenant, 64, tool->request.tenant);
	text_copy(receipt.vendor, 64, tool->vendor);
	text_copy(receipt.reason, sizeof receipt.reason, tool->reason);
	fuzz_must(license_document_sign(&token, &report_receipt_record,
		      &receipt, TOKEN_RECEIPT, tool->issuer_secret) == 0);
	receipts.token =
	    (struct record_span){ token.data, (uint32_t)token.len };
	box.receipts = (struct record_list){ &receipts, 1 };
	for (; argc >= 3; argc -= 3, argv += 3) {
		struct buf change = { 0 };

		fuzz_must(box.changes.count < CHANGES);
		make_change(tool, &change, argv);
		changes[box.changes.count++].token =
		    (struct record_span){ change.data, (uint32_t)change.len };
	}
	text_copy(box.vendor, 64, tool->vendor);
	memcpy(box.vendor_key, tool->root, 32);
	fuzz_must(sync_box_seal(&file, &box, tool->request.site_key) == 0);
	fuzz_must(file_write(path, file.data, file.len, 0600) == 0);
	for (uint32_t i = 0; i < box.changes.count; i++)
		free((uint8_t *)(uintptr_t)changes[i].token.data);
	buf_release(&token);
	buf_release(&file);
}

static void
write_change(struct tool *tool, const char *path, char **argv)
{
	struct license_change_file file = { .issuer = { tool->issuer.data,
						(uint32_t)tool->issuer.len } };
	struct license_issuer issuer;
	struct buf token = { 0 }, payload = { 0 }, text = { 0 };

	fuzz_must(token_peek(&payload, (char *)tool->issuer.data,
		      tool->issuer.len) == 0);
	fuzz_must(
	    record_read_json(&issuer, &license_issuer_record,
		(char *)payload.data, payload.len, &tool->arena, NULL) == 0);
	text_copy(tool->vendor, sizeof tool->vendor, issuer.vendor.id);
	make_change(tool, &token, argv);
	memcpy(file.vendor_key, tool->root, sizeof file.vendor_key);
	file.change = (struct record_span){ token.data, (uint32_t)token.len };
	record_write_json(&text, &license_change_file_record, &file);
	fuzz_must(
	    !text.failed && file_write(path, text.data, text.len, 0600) == 0);
	buf_release(&token);
	buf_release(&payload);
	buf_release(&text);
}

int
main(int argc, char **argv)
{
	static struct tool tool;

	if (argc < 6 || sodium_init() < 0)
		return 2;
	load(&tool, argv[1], argv[2], argv[3]);
	bool alone = strcmp(argv[4], "-") == 0;
	int status = alone ? 0 : open_all(&tool, argv[4]);

	if (alone && argc >= 9)
		write_change(&tool, argv[5], argv + 6);
	else if (status == 0) {
		answer(&tool, argv[5], argc - 6, argv + 6);
		FILE *state = fopen(argv[3], "wb");

		fuzz_must(state != NULL &&
		    fwrite(&tool.hub, sizeof tool.hub, 1, state) == 1);
		fuzz_must(fclose(state) == 0);
	}
	sodium_free(tool.issuer_secret);
	buf_release(&tool.issuer);
	arena_release(&tool.arena);
	return status;
}
