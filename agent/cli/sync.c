/* The admin's commands about reports to vendors: what left, what would leave,
 * and what came back. A file holds sealed documents, one behind the other; each
 * says its own length. */
#include "agent/cli/cli.h"
#include "agent/cli/table.h"
#include "shared/base/err.h"
#include "shared/base/text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/** Reports in one file at most, and its bytes. */
#define FILES_MAX 256
#define FILE_MAX ((size_t)256 << 20)

/* --- status ------------------------------------------------------------------ */

/* Over the network, where there is a hub for it. */
static void
show_online(const struct sync_vendor_view *v)
{
	char at[32];

	if (v->hub[0] == '\0')
		return;
	cli_show("hub           %s%s\n", v->hub,
	    v->under_way ? ", being synced now" : "");
	if (v->synced_at != 0) {
		cli_time(at, v->synced_at);
		cli_show("last success  %s\n", at);
	}
	if (v->failed[0] != '\0') {
		cli_time(at, v->tried_at);
		if (v->failures > 0)
			cli_show("failed        %u in a row, the last one %s: "
				 "%s\n",
			    v->failures, at, v->failed);
		else
			cli_show("waits         as the hub asked, %s: %s\n", at,
			    v->failed);
	}
	if (v->next_try_at != 0) {
		cli_time(at, v->next_try_at);
		cli_show("next try      %s\n", at);
	} else if (!v->under_way)
		cli_show("next try      leasehold sync now\n");
}

static void
show_vendor(const struct sync_vendor_view *v)
{
	char at[32];

	cli_show("vendor        %s\n", v->vendor);
	if (v->acknowledged == 0)
		cli_show("acknowledged  nothing yet\n");
	else {
		cli_time(at, v->acknowledged_to);
		cli_show("acknowledged  report %" PRIu64 ", to batch %" PRIu64
			 ", %s\n",
		    v->acknowledged, v->acknowledged_batch, at);
	}
	cli_show("waiting       %" PRIu64 " batches\n", v->waiting_batches);
	if (v->made != 0) {
		cli_time(at, v->made_at);
		cli_show("last made     from report %" PRIu64 " on, %s\n",
		    v->made, at);
	}
	if (v->reason[0] != '\0' && v->answer != REPORT_REPLAYED)
		cli_show("refused       report %" PRIu64 " (%s): %s\n",
		    v->answered, report_answer_names[v->answer], v->reason);
	if (v->lost_from != 0) {
		cli_time(at, v->lost_at);
		cli_show("put back      batches %" PRIu64 " to %" PRIu64
			 " of generation %u were taken and are not here any "
			 "more;\n"
			 "              their %" PRIu64
			 " overage seats (of all vendors) stay billed; seen "
			 "%s\n",
		    v->lost_from, v->lost_to, v->lost_generation,
		    v->lost_overage, at);
	}
	if (v->again_at != 0) {
		cli_time(at, v->again_at);
		cli_show("again         the hub was put back to an older copy "
			 "of its store; seen %s\n",
		    at);
	}
	cli_show("no receipt    for %u days%s", v->days,
	    v->max_days == 0 ? "\n" : "");
	if (v->max_days != 0)
		cli_show("; %u are allowed\n", v->max_days);
	show_online(v);
	if (v->stops_at != 0) {
		cli_time(at, v->stops_at);
		cli_show("grants stop   %s, unless a receipt or a renewal "
			 "comes "
			 "before\n",
		    at);
	}
}

int
sync_show(struct cli *cli, int argc, char **argv)
{
	struct sync_status reply;
	struct arena arena = { 0 };
	int status = cli_arguments(argc, argv, 0, 0, "sync status");

	if (status == CLI_DONE)
		status = cli_answer(cli, OP_SYNC_STATUS, NULL, &reply, &arena);
	if (status == CLI_DONE && !cli->json) {
		const struct sync_vendor_view *items = reply.items.items;

		if (reply.items.count == 0)
			cli_show("no license is installed: there is nobody to "
				 "report to\n");
		for (uint32_t i = 0; i < reply.items.count; i++) {
			if (i > 0)
				cli_show("\n");
			show_vendor(&items[i]);
		}
	}
	arena_release(&arena);
	return status;
}

/* The one that --vendor names, or the only one there is. */
static int
choose_vendor(char vendor[64], struct cli *cli, const char *named)
{
	struct sync_status reply;
	struct arena arena = { 0 };

	if (named != NULL) {
		if (text_copy(vendor, 64, named) && named[0] != '\0')
			return CLI_DONE;
		cli_say("%s is no id of a vendor", named);
		return CLI_USAGE;
	}
	int status = cli_call(cli, OP_SYNC_STATUS, NULL, &reply, &arena);

	if (status == CLI_DONE && reply.items.count != 1) {
		cli_say(reply.items.count == 0
			? "no license is installed: there is nobody to report "
			  "to"
			: "there are several vendors: say which one with "
			  "--vendor; leasehold sync status lists them");
		status = reply.items.count == 0 ? CLI_FAILED : CLI_USAGE;
	}
	if (status == CLI_DONE)
		text_copy(vendor, 64,
		    ((struct sync_vendor_view *)reply.items.items)->vendor);
	arena_release(&arena);
	return status;
}

/* --- preview ------------------------------------------------------------------- */

/* A row by the names of its fields, as the journal has it. */
static void
write_row(struct buf *out, const struct report_row *shown, uint64_t number)
{
	struct arena arena = { 0 };
	struct row row;

	buf_printf(out, "{\"row\":%" PRIu64 ",", number);
	if (row_read(&row, number, shown->bytes.data, shown->bytes.len,
		&arena) == 0) {
		buf_printf(out,
		    "\"kind\":\"%s\",\"says\":", row_kind_name(row.kind));
		record_write_json(out, row_record(row.kind), &row.u);
	} else
		buf_add_str(out, "\"kind\":\"unknown\"");
	buf_add_str(out, "}");
	arena_release(&arena);
}

static void
write_batch(struct buf *out, const struct report_batch *batch)
{
	const struct report_row *rows = batch->rows.items;
	struct journal_header header = { .batch = 0 };
	struct buf payload = { 0 };
	struct arena arena = { 0 };

	if (token_peek(&payload, batch->header.data, batch->header.len) == 0)
		(void)record_read_json(&header, &journal_header_record,
		    (char *)payload.data, payload.len, &arena, NULL);
	buf_add_str(out, "{\"header\":");
	record_write_json(out, &journal_header_record, &header);
	buf_add_str(out, ",\"rows\":[");
	for (uint32_t i = 0; i < batch->rows.count; i++) {
		if (i > 0)
			buf_add_str(out, ",\n  ");
		write_row(out, &rows[i], header.first_row + rows[i].index);
	}
	buf_add_str(out, "]}");
	buf_release(&payload);
	arena_release(&arena);
}

static void
write_items(struct buf *out, const char *name, const struct record *record,
    const struct record_list *list)
{
	const uint8_t *items = list->items;

	buf_printf(out, ",\n\"%s\":[", name);
	for (uint32_t i = 0; i < list->count; i++) {
		if (i > 0)
			buf_add_str(out, ",\n ");
		record_write_json(out, record, items + i * record->size);
	}
	buf_add_str(out, "]");
}

static int
print_preview(const struct sync_previewed *reply)
{
	struct report_body body;
	struct arena arena = { 0 };
	struct buf out = { 0 };

	if (record_read_msgpack(&body, &report_body_record, reply->body.data,
		reply->body.len, NULL, &arena, NULL) != 0) {
		cli_say("what the site answered cannot be read");
		arena_release(&arena);
		return CLI_FAILED;
	}
	const struct report_batch *batches = body.batches.items;

	buf_add_str(&out, "{\"report\":");
	record_write_json(&out, &report_record, &reply->report);
	/* Also where the report leaves it out, for it is the default. */
	buf_printf(&out, ",\n\"people\":\"%s\"",
	    report_people_names[reply->report.people]);
	buf_add_str(&out, ",\n\"batches\":[");
	for (uint32_t i = 0; i < body.batches.count; i++) {
		if (i > 0)
			buf_add_str(&out, ",\n ");
		write_batch(&out, &batches[i]);
	}
	buf_add_str(&out, "]");
	write_items(&out, "hours", &report_hour_record, &body.hours);
	write_items(&out, "devices", &report_device_record, &body.devices);
	write_items(&out, "names", &report_name_record, &body.names);
	buf_add_str(&out, "}\n");
	int status = out.failed ? CLI_FAILED : CLI_DONE;

	if (status == CLI_DONE)
		fwrite(out.data, 1, out.len, stdout);
	buf_release(&out);
	arena_release(&arena);
	return status;
}

int
sync_preview(struct cli *cli, int argc, char **argv)
{
	struct sync_ask request = { .vendor = "" };
	struct sync_previewed reply;
	struct arena arena = { 0 };
	const char *vendor = NULL;

	if (cli_option(&vendor, &argc, argv, "--vendor") < 0)
		return CLI_USAGE;
	int status = cli_arguments(argc, argv, 0, 0, "sync preview");

	if (status == CLI_DONE)
		status = choose_vendor(request.vendor, cli, vendor);
	if (status == CLI_DONE)
		status =
		    cli_call(cli, OP_SYNC_PREVIEW, &request, &reply, &arena);
	if (status == CLI_DONE)
		status = print_preview(&reply);
	arena_release(&arena);
	return status;
}

/* --- export ---------------------------------------------------------------------- */

struct exporting {
	struct buf file;
	uint64_t first, last; /* reports */
	uint64_t seats;
};

static int
export_reports(struct exporting *out, struct cli *cli,
    struct sync_export *request)
{
	struct arena arena = { 0 };
	struct sync_exported reply = { .more = true };
	int status = CLI_DONE;

	out->file.max = FILE_MAX;
	for (int i = 0; i < FILES_MAX && status == CLI_DONE && reply.more;
	     i++) {
		arena_clear(&arena);
		status = cli_call(cli, OP_SYNC_EXPORT, request, &reply, &arena);
		if (status != CLI_DONE)
			break;
		if (i == 0)
			out->first = reply.report;
		out->last = reply.report;
		out->seats += reply.seats;
		request->after = reply.next;
		buf_add(&out->file, reply.file.data, reply.file.len);
	}
	arena_release(&arena);
	return status;
}

int
sync_export(struct cli *cli, int argc, char **argv)
{
	struct sync_export request = { .vendor = "" };
	struct exporting out = { .first = 0 };
	const char *vendor = NULL;

	if (cli_option(&vendor, &argc, argv, "--vendor") < 0)
		return CLI_USAGE;
	int status = cli_arguments(argc, argv, 1, 1, "sync export FILE");

	if (status == CLI_DONE)
		status = choose_vendor(request.vendor, cli, vendor);
	if (status == CLI_DONE)
		status = export_reports(&out, cli, &request);
	if (status == CLI_DONE &&
	    (out.file.failed ||
		file_write(argv[1], out.file.data, out.file.len, 0600) != 0)) {
		cli_say("%s cannot be written: %s", argv[1], strerror(errno));
		status = CLI_FAILED;
	}
	if (status == CLI_DONE && cli->json)
		cli_show("{\"vendor\":\"%s\",\"first\":%" PRIu64
			 ",\"last\":%" PRIu64 ",\"seats\":%" PRIu64 "}\n",
		    request.vendor, out.first, out.last, out.seats);
	else if (status == CLI_DONE)
		cli_show("%s holds report %" PRIu64 " to %" PRIu64
			 " for %s, with %" PRIu64 " overage seats, sealed to "
			 "%s.\nTake it there; bring what comes back with: "
			 "leasehold sync import FILE\n",
		    argv[1], out.first, out.last, request.vendor, out.seats,
		    request.vendor);
	buf_release(&out.file);
	return status;
}

/* --- import ------------------------------------------------------------------------ */

static void
show_imported(const struct sync_imported *reply)
{
	const struct sync_receipt_view *receipts = reply->receipts.items;
	const struct sync_change_view *changes = reply->changes.items;

	for (uint32_t i = 0; i < reply->receipts.count; i++) {
		const struct sync_receipt_view *r = &receipts[i];

		cli_show("%s: report %" PRIu64
			 " %s%s%s; taken up to report %" PRIu64 "%s\n",
		    r->vendor, r->report, report_answer_names[r->answer],
		    r->reason[0] != '\0' ? ": " : "", r->reason,
		    r->acknowledged, r->news ? "" : " (known before)");
		if (r->back)
			cli_show("The hub of %s was put back to an older copy "
				 "of its store. Usage after report %" PRIu64
				 " goes to it again: leasehold sync now, or "
				 "export\n",
			    r->vendor, r->acknowledged);
	}
	for (uint32_t i = 0; i < reply->changes.count; i++) {
		const struct sync_change_view *c = &changes[i];

		cli_show("license %s: %s (%" PRIu64 ")%s%s%s\n", c->license_id,
		    license_change_names[c->what], c->revision,
		    c->done ? "" : " not done",
		    c->reason[0] != '\0' ? ": " : "", c->reason);
	}
}

static void
show_credits(const struct sync_imported *reply)
{
	const struct sync_credit_view *credits = reply->credits.items;

	for (uint32_t i = 0; i < reply->credits.count; i++) {
		const struct sync_credit_view *c = &credits[i];
		char amount[32];

		money_format(amount, c->amount, c->currency);
		if (c->news)
			cli_show("%s: credit %s, %s %s\n", c->vendor,
			    c->credit_id, amount, c->currency);
	}
}

/* The length of the sealed document that begins there; 0: none does, whole. */
static size_t
next_document(const uint8_t *data, size_t left)
{
	const size_t front = SYNC_BOX_FRONT;

	if (left < front)
		return 0;
	size_t len = front + be32_read(data + front - 4);

	return len <= left ? len : 0;
}

static int
import_one(struct cli *cli, const uint8_t *data, size_t len)
{
	struct sync_file request = { { data, (uint32_t)len } };
	struct sync_imported reply;
	struct arena arena = { 0 };
	int status = cli_answer(cli, OP_SYNC_IMPORT, &request, &reply, &arena);

	if (status == CLI_DONE && !cli->json)
		show_imported(&reply);
	if (status == CLI_DONE && !cli->json)
		show_credits(&reply);
	arena_release(&arena);
	return status;
}

int
sync_import(struct cli *cli, int argc, char **argv)
{
	uint8_t *data = NULL;
	size_t len = 0, at = 0;
	int status = cli_arguments(argc, argv, 1, 1, "sync import FILE");

	if (status != CLI_DONE)
		return status;
	if (file_read(&data, &len, argv[1], FILE_MAX) != 0 || len == 0) {
		cli_say("%s cannot be read: %s", argv[1],
		    len == 0 && errno == 0 ? "it is empty" : strerror(errno));
		free(data);
		return CLI_FAILED;
	}
	while (at < len && status == CLI_DONE) {
		size_t part = next_document(data + at, len - at);

		/* The site says what is wrong with what is none. */
		if (part == 0 || part > SYNC_FILE_MAX)
			part =
			    len - at < SYNC_FILE_MAX ? len - at : SYNC_FILE_MAX;
		status = import_one(cli, data + at, part);
		at += part;
	}
	free(data);
	return status;
}

/* --- now --------------------------------------------------------------------------- */

/** Between two looks whether it is over, and how long to look. */
#define LOOK_MS 200
#define LOOKS_MAX (15 * 60 * 1000 / LOOK_MS)

static bool
is_asked(const struct sync_vendor_view *v, const char *vendor)
{
	return v->hub[0] != '\0' &&
	    (vendor[0] == '\0' || strcmp(v->vendor, vendor) == 0);
}

/* True while one is under way. */
static bool
goes_on(const struct sync_status *reply, const char *vendor)
{
	const struct sync_vendor_view *items = reply->items.items;

	for (uint32_t i = 0; i < reply->items.count; i++)
		if (is_asked(&items[i], vendor) && items[i].under_way)
			return true;
	return false;
}

static int
show_outcome(const struct cli *cli, const struct sync_status *reply,
    const char *vendor)
{
	const struct sync_vendor_view *items = reply->items.items;
	int status = CLI_DONE;

	for (uint32_t i = 0; i < reply->items.count; i++) {
		const struct sync_vendor_view *v = &items[i];

		if (!is_asked(v, vendor))
			continue;
		if (v->under_way)
			cli_say("%s: still under way; see leasehold sync "
				"status",
			    v->vendor);
		else if (v->failed[0] != '\0')
			cli_say("%s: %s; what was used stays in the journal, "
				"and can go by file: leasehold sync export "
				"FILE",
			    v->vendor, v->failed);
		else if (!cli->json)
			cli_show("%s: taken up to report %" PRIu64 "\n",
			    v->vendor, v->acknowledged);
		if (v->under_way || v->failed[0] != '\0')
			status = CLI_FAILED;
	}
	return status;
}

static void
show_json(const struct sync_status *reply)
{
	struct buf json = { 0 };

	record_write_json_pretty(&json, &sync_status_record, reply);
	cli_show("%s\n", buf_text(&json));
	buf_release(&json);
}

int
sync_run_now(struct cli *cli, int argc, char **argv)
{
	struct sync_now request = { .vendor = "" };
	struct sync_started started;
	struct sync_status reply = { .items = { NULL, 0 } };
	struct arena arena = { 0 };
	const char *vendor = NULL;
	int looks = 0;

	if (cli_option(&vendor, &argc, argv, "--vendor") < 0)
		return CLI_USAGE;
	int status = cli_arguments(argc, argv, 0, 0, "sync now");

	if (status == CLI_DONE && vendor != NULL &&
	    (vendor[0] == '\0' ||
		!text_copy(request.vendor, sizeof(request.vendor), vendor))) {
		cli_say("%s is no id of a vendor", vendor);
		return CLI_USAGE;
	}
	if (status == CLI_DONE)
		status = cli_call(cli, OP_SYNC_NOW, &request, &started, &arena);
	for (bool on = true; on && status == CLI_DONE; looks++) {
		arena_clear(&arena);
		status = cli_call(cli, OP_SYNC_STATUS, NULL, &reply, &arena);
		on = status == CLI_DONE && looks < LOOKS_MAX &&
		    goes_on(&reply, request.vendor);
		if (on)
			usleep(LOOK_MS * 1000);
	}
	if (status == CLI_DONE && cli->json)
		show_json(&reply);
	if (status == CLI_DONE)
		status = show_outcome(cli, &reply, request.vendor);
	arena_release(&arena);
	return status;
}

/* --- at a hub -------------------------------------------------------------------- */

static int
hub_import_one(struct cli *cli, struct buf *answer, const uint8_t *data,
    size_t len, bool *refused)
{
	struct sync_file request = { { data, (uint32_t)len } };
	struct hub_reports_taken reply;
	struct arena arena = { 0 };
	int status =
	    cli_call(cli, OP_HUB_REPORT_IMPORT, &request, &reply, &arena);
	const struct hub_report_view *items = reply.items.items;

	for (uint32_t i = 0; status == CLI_DONE && i < reply.items.count; i++) {
		const struct hub_report_view *v = &items[i];
		struct buf json = { 0 };

		*refused = *refused ||
		    (v->answer != REPORT_TAKEN && v->answer != REPORT_REPLAYED);
		if (cli->json) {
			record_write_json(&json, &hub_report_view_record, v);
			cli_show("%s\n", buf_text(&json));
			buf_release(&json);
			continue;
		}
		cli_show("%s: report %" PRIu64 " %s%s%s; %" PRIu64
			 " overage seats; taken up to report %" PRIu64 "\n",
		    v->site, v->report, report_answer_names[v->answer],
		    v->reason[0] != '\0' ? ": " : "", v->reason, v->seats,
		    v->acknowledged);
		if (v->unbilled > 0)
			cli_show("  %" PRIu64 " of these seats are of licenses "
				 "or serials that were not issued to this "
				 "site: "
				 "no statement counts them\n",
			    v->unbilled);
		if (v->unbilled_hours > 0)
			cli_show("  %" PRIu64 " hours of metrics are of what "
				 "was not issued to this site, or of more "
				 "money than an hour can come to: no statement "
				 "counts them\n",
			    v->unbilled_hours);
	}
	/* The last one knows all that came before it. */
	buf_clear(answer);
	if (status == CLI_DONE)
		buf_add(answer, reply.file.data, reply.file.len);
	arena_release(&arena);
	return status;
}

static int
hub_import_all(struct cli *cli, struct buf *answer, const uint8_t *data,
    size_t len, bool *refused)
{
	int status = CLI_DONE;

	for (size_t at = 0; at < len && status == CLI_DONE;) {
		size_t part = next_document(data + at, len - at);

		if (part == 0 || part > SYNC_FILE_MAX)
			part =
			    len - at < SYNC_FILE_MAX ? len - at : SYNC_FILE_MAX;
		status = hub_import_one(cli, answer, data + at, part, refused);
		at += part;
	}
	return status;
}

int
hub_import(struct cli *cli, int argc, char **argv)
{
	struct buf answer = { .max = FILE_MAX };
	const char *named = NULL;
	char out[4096];
	uint8_t *data = NULL;
	size_t len = 0;
	bool refused = false;

	if (cli_option(&named, &argc, argv, "--out") < 0)
		return CLI_USAGE;
	int status = cli_arguments(argc, argv, 1, 1, "hub import FILE");

	if (status != CLI_DONE)
		return status;
	if (file_read(&data, &len, argv[1], FILE_MAX) != 0 || len == 0) {
		cli_say("%s cannot be read, or is empty", argv[1]);
		free(data);
		return CLI_FAILED;
	}
	snprintf(out, sizeof(out), "%s%s", named != NULL ? named : argv[1],
	    named != NULL ? "" : ".receipt");
	status = hub_import_all(cli, &answer, data, len, &refused);
	if (status == CLI_DONE &&
	    file_write(out, answer.data, answer.len, 0600) != 0) {
		cli_say("%s cannot be written: %s", out, strerror(errno));
		status = CLI_FAILED;
	}
	if (status == CLI_DONE && !cli->json)
		cli_show("%s is for the site: leasehold sync import %s\n", out,
		    out);
	buf_release(&answer);
	free(data);
	return status == CLI_DONE && refused ? CLI_REFUSED : status;
}
