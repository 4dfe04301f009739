/* Decide on reports of sites: verified whole, then journaled, and answered with
 * one sealed file of a receipt and of what changed in the licenses of the site.
 * What is refused is a row too, and changes no figure. */
#include "appliance/hub/crm.h"
#include "appliance/hub/decide.h"
#include "appliance/hub/measured.h"
#include "appliance/hub/reported.h"

#include "shared/base/err.h"
#include "shared/base/text.h"

#include <inttypes.h>
#include <sodium.h>
#include <string.h>

#define AGAIN "ask the site for the file again, and copy it whole"

struct importing {
	struct batch *batch;
	struct command *command;
	const struct record_span *file; /* as it came */
	struct sync_box box;
	struct buf clear;
	struct hub_site site;
	struct hub_reports_taken *reply;
	struct hub_report_view *told;
	struct report_receipt receipt; /* to the last one */
	struct hub_editions editions;
	struct report_finding found; /* of the one at hand */
	uint64_t unbilled; /* the same: seats */
	struct arena arena; /* the same */
};

/* --- opening ------------------------------------------------------------------ */

static int
refuse_file(struct importing *in, int err)
{
	const char *words = "the file was altered on its way";
	const char *hint = AGAIN;

	if (err == ERR_BAD_TOKEN) {
		words = "this is no file of sync";
		hint = "";
	} else if (err == ERR_CLOSED)
		words = "the file is cut short";
	else if (err == ERR_TOO_LARGE)
		words = "there is more in the file than there should be";
	else if (err == ERR_MISMATCH) {
		words = "the file is sealed to a key that is not of this "
			"account";
		hint = "import it where it was meant for";
	} else if (err != ERR_BAD_SIGNATURE && err != ERR_BAD_REQUEST)
		return err;
	return decide_refuse_field(in->command, "file", ERR_BAD_REQUEST, hint,
	    "%s", words);
}

/* With that of the account's keys, also an older one, that it is sealed to. */
static int
open_with(struct importing *in, uint64_t number)
{
	struct row_account_key key;
	struct sealed *secret;
	int err = hub_key(&key, &in->batch->state, number, &in->command->arena);

	if (err != 0)
		return err == ERR_NOT_FOUND_INTERNAL ? ERR_CORRUPT : err;
	secret = sodium_malloc(sizeof *secret);
	if (secret == NULL)
		return ERR_NOMEM;
	err = sealed_get(secret, &in->batch->state, in->batch->ledger->sealed,
	    SEALED_ISSUER, key.document);
	if (err == ERR_NOT_FOUND_INTERNAL ||
	    (err == 0 && secret->len != TOKEN_SECRET_BYTES))
		err = ERR_CORRUPT;
	if (err == 0)
		err = sync_box_open(&in->box, &in->clear, in->file->data,
		    in->file->len, key.public_key, secret->data,
		    &in->command->arena);
	sodium_free(secret);
	return err;
}

static int
open_file(struct importing *in)
{
	struct hub_account account;
	int err = hub_account(&account, &in->batch->state);
	int opened = ERR_MISMATCH;

	if (err != 0)
		return err;
	for (uint64_t n = account.keys; n > 0 && opened == ERR_MISMATCH; n--)
		opened = open_with(in, n);
	if (opened != 0)
		return refuse_file(in, opened);
	if (in->box.reports.count == 0)
		return decide_refuse_field(in->command, "file", ERR_BAD_REQUEST,
		    "", "there is no report in the file");
	return 0;
}

static int
find_site(struct importing *in)
{
	const struct sync_report *reports = in->box.reports.items;
	struct report report;
	int err = report_peek(&report, reports->token.data, reports->token.len);

	if (err != 0)
		return decide_refuse_field(in->command, "file", ERR_BAD_REQUEST,
		    AGAIN, "the file holds what is no report");
	err = hub_site_by_id(&in->site, &in->batch->state, report.site,
	    report.tenant, &in->command->arena);
	if (err != ERR_NOT_FOUND_INTERNAL)
		return err;
	return decide_refuse(in->command, ERR_NOT_FOUND,
	    "leasehold hub site add REQUEST --customer ID",
	    "tenant %s of site %s is not known here", report.tenant,
	    report.site);
}

/* --- one report ------------------------------------------------------------------ */

static struct report_mark
mark_of(const struct hub_site *site)
{
	struct report_mark mark = {
		.sequence = site->sequence,
		.batch = site->batch,
		.generation = site->generation,
		.time = site->time,
		.overage = site->overage,
	};

	memcpy(mark.head, site->head, sizeof mark.head);
	memcpy(mark.history, site->history, sizeof mark.history);
	return mark;
}

static int
verify(struct importing *in, const struct sync_report *report)
{
	struct hub_known ctx = { &in->batch->state, in->site.row.number };
	struct report_known known = {
		.site = in->site.row.request.site,
		.tenant = in->site.row.request.tenant,
		.vendor = in->batch->ledger->tenant,
		.mark = mark_of(&in->site),
		.ctx = &ctx,
		.overage = hub_known_overage,
		.installed = hub_known_installed,
		.counted = hub_known_counted,
	};

	int err = hub_site_keys(&known.keys, &in->site);

	if (err != 0)
		return err;
	arena_clear(&in->arena);
	return report_verify(&in->found, &known, report->token.data,
	    report->token.len, report->body.data, report->body.len, &in->arena);
}

static void
shown_of(struct row_shown_overage *out, const struct report_overage *shown)
{
	*out = (struct row_shown_overage){
		.license = shown->license,
		.serial = shown->serial,
		.generation = shown->generation,
		.row = shown->row,
		.time = shown->time,
		.first = shown->first,
		.count = shown->count,
		.lease = shown->lease,
		.origin_generation = shown->origin_generation,
		.origin_row = shown->origin_row,
		.again = shown->again,
	};
	text_copy(out->license_id, sizeof out->license_id, shown->license_id);
	text_copy(out->feature, sizeof out->feature, shown->feature);
}

static int
show_overage(struct row_shown_overage *out, struct importing *in,
    const struct report_overage *shown)
{
	int err;

	shown_of(out, shown);
	err = hub_is_billed(&out->billed, &in->editions, shown);
	if (err == 0 && !out->billed && !out->again)
		in->unbilled += out->count;
	return err;
}

static uint32_t
piece(uint32_t all, uint32_t at, uint32_t room)
{
	return all - at < room ? all - at : room;
}

/* As many rows as it needs, licenses first, of ROW_SHOWN_MAX items both together:
 * with more a row could be longer than a journal takes. The first says what is
 * said once. */
static int
emit_shown(struct importing *in)
{
	const struct report_finding *found = &in->found;
	struct row_shown_license *licenses =
	    arena_alloc(&in->arena, ROW_SHOWN_MAX * sizeof *licenses);
	struct row_shown_overage *overage =
	    arena_alloc(&in->arena, ROW_SHOWN_MAX * sizeof *overage);
	struct hub_crm_shown *before = arena_alloc(&in->arena, sizeof *before);
	int err = licenses != NULL && overage != NULL && before != NULL
	    ? 0
	    : ERR_NOMEM;

	uint32_t at_license = 0, at_overage = 0;

	for (bool first = true; err == 0 &&
	     (first || at_license < found->n_installed ||
		 at_overage < found->n_overage);
	     first = false) {
		struct row *row = batch_row(in->batch, ROW_REPORT_SHOWN);

		if (row == NULL)
			return ERR_NOMEM;
		struct row_report_shown *r = &row->u.report_shown;

		r->site = in->site.row.number;
		r->sequence = found->report.sequence;
		r->others = first ? found->others : 0;
		r->rollbacks = first ? found->n_rollbacks : 0;
		r->licenses = (struct record_list){ licenses,
			piece(found->n_installed, at_license, ROW_SHOWN_MAX) };
		r->overage = (struct record_list){ overage,
			piece(found->n_overage, at_overage,
			    ROW_SHOWN_MAX - r->licenses.count) };
		for (uint32_t i = 0; i < r->licenses.count; i++) {
			const struct report_installed *one =
			    &found->installed[at_license + i];

			licenses[i] = (struct row_shown_license){
				.license = one->license,
				.serial = one->serial,
			};
			text_copy(licenses[i].license_id,
			    sizeof licenses[i].license_id, one->license_id);
			memcpy(licenses[i].digest, one->digest, 32);
		}
		for (uint32_t i = 0; i < r->overage.count && err == 0; i++)
			err = show_overage(&overage[i], in,
			    &found->overage[at_overage + i]);
		at_license += r->licenses.count;
		at_overage += r->overage.count;
		const struct row_report_shown shown = *r;

		if (err == 0)
			err =
			    hub_tell_before(before, &in->batch->state, &shown);
		if (err == 0)
			err = batch_emit(in->batch);
		if (err == 0)
			err = hub_tell_shown(in->batch, in->command, &in->site,
			    before, &shown);
	}
	return err;
}

/* A site can have as many as it likes: the newest are told one by one. */
static int
emit_rollbacks(struct importing *in)
{
	const uint32_t n = in->found.n_rollbacks;

	for (uint32_t i = n > HUB_ROLLBACKS_MAX ? n - HUB_ROLLBACKS_MAX : 0;
	     i < n; i++) {
		const struct report_rollback *found = &in->found.rollbacks[i];
		struct row_site_rolled_back rolled = {
			.site = in->site.row.number,
			.sequence = in->found.report.sequence,
			.generation = found->row.generation,
			.batch = found->batch,
			.row = found->first_row,
			.time = found->time,
			.lost_batch = found->row.lost.batch,
		};
		int err = hub_gone(&rolled.seats, &in->batch->state,
		    rolled.site, rolled.generation, rolled.row);
		struct row *row = err == 0
		    ? batch_row(in->batch, ROW_SITE_ROLLED_BACK)
		    : NULL;

		if (row == NULL)
			return err != 0 ? err : ERR_NOMEM;
		row->u.site_rolled_back = rolled;
		err = batch_emit(in->batch);
		if (err != 0)
			return err;
	}
	return 0;
}

static int
sign_receipt(struct importing *in, struct buf *token)
{
	const struct report_finding *found = &in->found;
	struct report_receipt *receipt = &in->receipt;
	const uint32_t generation = in->batch->state.counters.generation;

	*receipt = (struct report_receipt){
		.report = found->report.sequence,
		.answer = found->answer,
		.mark = found->mark,
		.at = in->batch->place.time,
		.generation = generation > 1 ? generation : 0,
	};
	text_copy(receipt->site, sizeof receipt->site,
	    in->site.row.request.site);
	text_copy(receipt->tenant, sizeof receipt->tenant,
	    in->site.row.request.tenant);
	text_copy(receipt->vendor, sizeof receipt->vendor,
	    in->batch->ledger->tenant);
	text_copy(receipt->reason, sizeof receipt->reason, found->reason);
	return hub_sign(token, in->batch->ledger, &in->batch->state,
	    &report_receipt_record, receipt, TOKEN_RECEIPT,
	    in->batch->place.time);
}

static int
emit_taken(struct importing *in, const struct sync_report *report)
{
	const struct report_mark *mark = &in->found.mark;
	struct buf token = { .data = NULL };
	int err = sign_receipt(in, &token);
	struct row *row =
	    err == 0 ? batch_row(in->batch, ROW_REPORT_TAKEN) : NULL;

	if (row == NULL) {
		buf_release(&token);
		return err != 0 ? err : ERR_NOMEM;
	}
	struct row_report_taken *r = &row->u.report_taken;

	r->site = in->site.row.number;
	r->sequence = mark->sequence;
	r->batch = mark->batch;
	r->generation = mark->generation;
	r->time = mark->time;
	r->overage = mark->overage;
	memcpy(r->head, mark->head, sizeof r->head);
	memcpy(r->history, mark->history, sizeof r->history);
	crypto_generichash(r->digest, sizeof r->digest, report->token.data,
	    report->token.len, NULL, 0);
	r->receipt = (struct record_span){ token.data, (uint32_t)token.len };
	err = batch_emit(in->batch);
	buf_release(&token);
	if (err == 0)
		err = emit_rollbacks(in);
	if (err == 0)
		err = hub_find_lost(in->batch, in->command, &in->site,
		    &in->found);
	if (err == 0)
		err = emit_shown(in);
	if (err == 0)
		err = hub_emit_metrics(in->batch, &in->editions, &in->found,
		    &in->arena);
	if (err == 0)
		err = hub_emit_seats(in->batch, &in->editions, &in->found,
		    &in->arena);
	return err == 0 ? hub_measure(in->batch, &in->site, &in->found.report)
			: err;
}

static int
emit_refused(struct importing *in, const struct sync_report *report)
{
	struct row *row = batch_row(in->batch, ROW_REPORT_REFUSED);

	if (row == NULL)
		return ERR_NOMEM;
	struct row_report_refused *r = &row->u.report_refused;

	r->site = in->site.row.number;
	r->sequence = in->found.report.sequence;
	r->answer = in->found.answer;
	text_copy(r->reason, sizeof r->reason, in->found.reason);
	crypto_generichash(r->digest, sizeof r->digest, report->token.data,
	    report->token.len, NULL, 0);
	return batch_emit(in->batch);
}

static int
take_one(struct importing *in, uint32_t i)
{
	const struct sync_report *report =
	    &((const struct sync_report *)in->box.reports.items)[i];
	struct hub_report_view *told = &in->told[i];
	int err = verify(in, report);

	in->unbilled = 0;
	if (err != 0)
		return err;
	*told = (struct hub_report_view){
		.report = in->found.report.sequence,
		.answer = in->found.answer,
		.seats = in->found.seats,
		.others = in->found.others,
		.rollbacks = in->found.n_rollbacks,
		.acknowledged = in->found.mark.sequence,
		.people = in->found.report.people,
		.devices = in->found.n_devices,
		.names = in->found.n_names,
	};
	text_copy(told->site, sizeof told->site, in->site.row.request.site);
	text_copy(told->tenant, sizeof told->tenant,
	    in->site.row.request.tenant);
	text_copy(told->reason, sizeof told->reason, in->found.reason);
	if (in->found.answer == REPORT_TAKEN)
		err = emit_taken(in, report);
	else if (in->found.answer != REPORT_REPLAYED)
		err = emit_refused(in, report);
	told->unbilled = in->unbilled;
	told->unbilled_hours = in->editions.unbilled_hours;
	in->editions.unbilled_hours = 0;
	/* The next one goes on from there. */
	return err == 0 ? hub_site(&in->site, &in->batch->state,
			      in->site.row.number, &in->command->arena)
			: err;
}

/* --- the answer ----------------------------------------------------------------- */

static int
seal_answer(struct importing *in, const struct row_account_issuer *issuer)
{
	struct sync_token receipt;
	struct sync_box box = { .vendor = "" };
	struct buf token = { .data = NULL }, file = { .data = NULL };
	int err = sign_receipt(in, &token);

	if (err == 0)
		err = hub_add_changes(&box, in->batch, &in->site, issuer,
		    &in->command->arena);
	receipt.token = (struct record_span){ token.data, (uint32_t)token.len };
	box.receipts = (struct record_list){ &receipt, 1 };
	memcpy(box.vendor_key, issuer->root, sizeof box.vendor_key);
	text_copy(box.site, sizeof box.site, in->site.row.request.site);
	text_copy(box.tenant, sizeof box.tenant, in->site.row.request.tenant);
	text_copy(box.vendor, sizeof box.vendor, in->batch->ledger->tenant);
	if (err == 0)
		err = hub_credit_tokens(&box.credits, in->batch, in->command,
		    &in->site);
	if (err == 0)
		err = sync_box_seal(&file, &box, in->site.row.request.site_key);
	if (err == 0) {
		in->reply->file.len = (uint32_t)file.len;
		in->reply->file.data =
		    arena_copy(&in->command->arena, file.data, file.len);
		err = in->reply->file.data != NULL ? 0 : ERR_NOMEM;
	}
	buf_release(&token);
	buf_release(&file);
	return err;
}

/* Whose reports they are, the connection has to say as well. `speaker` 0: it was
 * brought by hand. */
static int
check_speaker(struct importing *in, uint64_t speaker)
{
	if (speaker == 0 || speaker == in->site.row.number)
		return 0;
	return decide_refuse(in->command, ERR_CERTIFICATE_NOT_ALLOWED,
	    "each tenant of a site sends its own reports",
	    "the report is of tenant %s of site %s, which is not who speaks "
	    "here",
	    in->site.row.request.tenant, in->site.row.request.site);
}

static int
refuse_rate(struct importing *in, int64_t since, const char *hint,
    const char *what, uint32_t n, const char *more, const char *reason)
{
	const int64_t left = since + HUB_HOUR_MS - in->batch->place.time;
	int err = decide_refuse(in->command, ERR_RATE_LIMITED, hint,
	    "%" PRIu32 " reports of site %s were %s within an hour%s%s", n,
	    in->site.row.request.site, what, more, reason);

	in->command->problem.retry_after_s = (uint32_t)((left + 999) / 1000);
	return err;
}

/* Each that is refused costs a look at all of it, and a row; one that is taken
 * costs rows for good. */
static int
check_rate(struct importing *in, uint64_t speaker)
{
	const int64_t now = in->batch->place.time;
	struct hub_reported reported;
	int err =
	    hub_reported(&reported, &in->batch->state, in->site.row.number);

	if (err != 0 || speaker == 0)
		return err;
	if (reported.hour_refused >= HUB_REFUSED_HOUR_MAX &&
	    now - reported.hour_at < HUB_HOUR_MS)
		return refuse_rate(in, reported.hour_at,
		    "see why with: leasehold sync status; or bring the report "
		    "as a file",
		    "refused", reported.hour_refused,
		    ", the last one for: ", reported.reason);
	if (reported.hour_taken >= HUB_TAKEN_HOUR_MAX &&
	    now - reported.taking_at < HUB_HOUR_MS)
		return refuse_rate(in, reported.taking_at,
		    "it goes on by itself when the hour is over; or bring the "
		    "report as a file",
		    "taken", reported.hour_taken, ", as many as are", "");
	return 0;
}

static int
take_file(struct batch *batch, struct command *command,
    const struct record_span *file, uint64_t speaker)
{
	struct importing *in = arena_alloc(&command->arena, sizeof *in);
	struct row_account_issuer issuer;

	if (in == NULL)
		return ERR_NOMEM;
	in->batch = batch;
	in->command = command;
	in->file = file;
	in->reply = hub_reply(command, sizeof *in->reply);
	in->told =
	    arena_alloc(&command->arena, SYNC_REPORTS_MAX * sizeof *in->told);
	if (in->reply == NULL || in->told == NULL)
		return ERR_NOMEM;
	int err = hub_find_issuer(&issuer, batch, command);

	if (err == 0 && command->err == 0)
		err = open_file(in);
	if (err == 0 && command->err == 0)
		err = find_site(in);
	if (err == 0 && command->err == 0)
		err = check_speaker(in, speaker);
	if (err == 0 && command->err == 0)
		err = check_rate(in, speaker);
	if (err == 0 && command->err == 0) {
		in->editions = (struct hub_editions){ &batch->state,
			in->site.row.number, &command->arena, NULL, 0 };
		for (uint32_t i = 0; i < in->box.reports.count && err == 0; i++)
			err = take_one(in, i);
		in->reply->items =
		    (struct record_list){ in->told, in->box.reports.count };
		if (err == 0)
			err = seal_answer(in, &issuer);
	}
	buf_release(&in->clear);
	arena_release(&in->arena);
	return err;
}

int
decide_hub_report(struct batch *batch, struct command *command)
{
	const struct sync_file *request = command->request;

	return take_file(batch, command, &request->file, 0);
}

int
decide_hub_report_sent(struct batch *batch, struct command *command)
{
	const struct hub_report_sent *sent = command->request;
	struct hub_site speaker;
	int err = hub_find_speaker(&speaker, batch, command, sent);

	return err == 0 && command->err == 0
	    ? take_file(batch, command, &sent->file, speaker.row.number)
	    : err;
}
