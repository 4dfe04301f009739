/* Decide on what comes from a hub: receipts and changes of licenses in one file.
 * All of it is opened and checked before a row is written, so that a file is
 * taken or refused as a whole; what was known before is told as such, and is no
 * refusal. */
#include "appliance/ledger/credits.h"
#include "appliance/ledger/metered.h"
#include "appliance/ledger/sync.h"

#include "shared/base/err.h"
#include "shared/base/text.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#define AGAIN "ask the hub for the file again, and copy it whole"

/* A file on its way in. */
struct importing {
	struct batch *batch;
	struct command *command;
	struct sync_box box;
	struct buf clear;
	uint8_t keys[SYNC_ISSUERS_MAX][TOKEN_PUBLIC_BYTES]; /* of box.issuers */
	struct report_receipt receipts[SYNC_RECEIPTS_MAX];
	struct license_change *changes;
	struct sync_receipt_view *receipts_told;
	struct sync_change_view *changes_told;
	struct report_credit *credits;
	struct sync_credit_view *credits_told;
};

int
decide_sync_made(struct batch *batch, struct command *command)
{
	const struct sync_ask *request = command->request;
	struct sync_state sync;
	int err = state_sync(&sync, &batch->state, request->vendor);

	if (err == ERR_NOT_FOUND_INTERNAL)
		return decide_refuse_field(command, "vendor", ERR_NOT_FOUND,
		    "leasehold sync status shows the vendors",
		    "no license of vendor %s was ever installed here",
		    request->vendor);
	if (err != 0)
		return err;
	struct row *row = batch_row(batch, ROW_REPORT_MADE);

	if (row == NULL)
		return ERR_NOMEM;
	struct row_report_made *r = &row->u.report_made;

	text_copy(r->vendor, sizeof r->vendor, request->vendor);
	r->sequence = sync.mark.sequence + 1;
	r->by = decide_actor(&command->who);
	return batch_emit(batch);
}

/* --- opening --------------------------------------------------------------------- */

static int
open_file(struct importing *in)
{
	const struct sync_file *request = in->command->request;
	const struct ledger *ledger = in->batch->ledger;
	int err = sync_box_open(&in->box, &in->clear, request->file.data,
	    request->file.len, ledger->site_public, ledger->site_secret,
	    &in->command->arena);

	switch (err) {
	case ERR_BAD_TOKEN:
		return decide_refuse_field(in->command, "file", ERR_BAD_REQUEST,
		    "", "this is no file of sync");
	case ERR_CLOSED:
		return decide_refuse_field(in->command, "file", ERR_BAD_REQUEST,
		    AGAIN, "the file is cut short");
	case ERR_TOO_LARGE:
		return decide_refuse_field(in->command, "file", ERR_BAD_REQUEST,
		    AGAIN, "there is more in the file than there should be");
	case ERR_MISMATCH:
		return decide_refuse_field(in->command, "file", ERR_BAD_REQUEST,
		    "import it where it was meant for",
		    "the file is for another site or hub");
	case ERR_BAD_SIGNATURE:
	case ERR_BAD_REQUEST:
		return decide_refuse_field(in->command, "file", ERR_BAD_REQUEST,
		    AGAIN, "the file was altered on its way");
	default:
		return err;
	}
}

/* The root key that came with it is the vendor's when its id is the one that
 * its first license pinned. */
static int
check_root(struct importing *in)
{
	char pinned[TOKEN_KID_TEXT], kid[TOKEN_KID_TEXT];
	int err = state_vendor(pinned, &in->batch->state, in->box.vendor);

	if (err == ERR_NOT_FOUND_INTERNAL)
		return decide_refuse(in->command, ERR_NOT_FOUND, "",
		    "no license of vendor %s was ever installed here",
		    in->box.vendor);
	if (err != 0)
		return err;
	token_key_id(kid, in->box.vendor_key);
	if (strcmp(kid, pinned) != 0)
		return decide_refuse(in->command, ERR_UNTRUSTED,
		    "ask the vendor which of the two keys is theirs",
		    "vendor %s is known here by another root key than that of "
		    "the file",
		    in->box.vendor);
	return 0;
}

static int
check_issuers(struct importing *in)
{
	const struct sync_token *issuers = in->box.issuers.items;

	for (uint32_t i = 0; i < in->box.issuers.count; i++) {
		struct record_error error = { .reason = "" };
		struct license_issuer issuer;
		int err = license_document_read(&issuer, &license_issuer_record,
		    TOKEN_ISSUER, issuers[i].token.data, issuers[i].token.len,
		    in->box.vendor_key, &in->command->arena, &error);

		if (err == 0 && strcmp(issuer.vendor.id, in->box.vendor) != 0)
			err = ERR_MISMATCH;
		if (err != 0)
			return decide_refuse_document(in->command, err, &error);
		memcpy(in->keys[i], issuer.key, sizeof in->keys[i]);
	}
	return 0;
}

static int
check_receipt(struct importing *in, uint32_t i)
{
	const struct ledger *ledger = in->batch->ledger;
	const struct record_span *token =
	    &((const struct sync_token *)in->box.receipts.items)[i].token;
	struct record_error error = { .reason = "" };
	struct report_receipt *receipt = &in->receipts[i];
	int err = ERR_UNTRUSTED;

	for (uint32_t k = 0; k < in->box.issuers.count && err == ERR_UNTRUSTED;
	     k++)
		err = report_receipt_verify(receipt, token->data, token->len,
		    in->keys[k], ledger->site, ledger->tenant, in->box.vendor,
		    &error);
	if (err != 0)
		return decide_refuse_document(in->command, err, &error);
	const struct report_mark *mark = &receipt->mark;
	struct journal_known known = { .batch = mark->batch };

	if (mark->sequence == 0)
		return 0;
	memcpy(known.head, mark->head, sizeof known.head);
	err = history_holds(&in->batch->state, &known);
	/* What was taken of a branch that is lost stays taken. */
	if (err != ERR_ROLLED_BACK ||
	    mark->generation < in->batch->state.counters.generation)
		return err == ERR_ROLLED_BACK ? 0 : err;
	return decide_refuse(in->command, ERR_ROLLED_BACK,
	    "leasehold site show; an older copy of the store was put back",
	    "vendor %s has taken batch %" PRIu64
	    " of a journal that is not this one",
	    in->box.vendor, mark->batch);
}

static int
check_change(struct importing *in, uint32_t i)
{
	const struct ledger *ledger = in->batch->ledger;
	const struct record_span *token =
	    &((const struct sync_token *)in->box.changes.items)[i].token;
	const struct sync_token *issuers = in->box.issuers.items;
	struct record_error error = { .reason = "" };
	int err = ERR_UNTRUSTED;

	for (uint32_t k = 0; k < in->box.issuers.count && err == ERR_UNTRUSTED;
	     k++)
		err = license_change_verify(&in->changes[i], token->data,
		    token->len, issuers[k].token.data, issuers[k].token.len,
		    in->box.vendor_key, ledger->site, ledger->tenant,
		    &in->command->arena, &error);
	return err == 0 ? 0 : decide_refuse_document(in->command, err, &error);
}

static int
check_credit(struct importing *in, uint32_t i)
{
	const struct sync_token *tokens = in->box.credits.items;

	return sync_credit_check(&in->credits[i], in->batch, in->command,
	    &tokens[i].token, (const uint8_t(*)[TOKEN_PUBLIC_BYTES])in->keys,
	    in->box.issuers.count, in->box.vendor);
}

/* --- doing ------------------------------------------------------------------------ */

static bool
is_news(const struct report_receipt *receipt, const struct sync_state *sync)
{
	const uint64_t taken = receipt->mark.sequence;

	return taken > sync->mark.sequence ||
	    (taken == sync->mark.sequence && receipt->at > sync->answered_at);
}

static int
take_receipt(struct importing *in, uint32_t i)
{
	const struct record_span *token =
	    &((const struct sync_token *)in->box.receipts.items)[i].token;
	const struct report_receipt *receipt = &in->receipts[i];
	const struct report_mark *mark = &receipt->mark;
	struct sync_receipt_view *told = &in->receipts_told[i];
	struct sync_state sync;
	int err = state_sync(&sync, &in->batch->state, receipt->vendor);

	if (err != 0)
		return err == ERR_NOT_FOUND_INTERNAL ? ERR_CORRUPT : err;
	/* An older one than of the generation that is known tells of a branch
	 * that the hub has abandoned. */
	const bool later = receipt->generation > sync.hub_generation;
	const bool same = receipt->generation == sync.hub_generation;

	*told = (struct sync_receipt_view){
		.report = receipt->report,
		.answer = receipt->answer,
		.acknowledged = mark->sequence,
		.batch = mark->batch,
		.back = later && mark->sequence < sync.mark.sequence,
		.news = later || (same && is_news(receipt, &sync)),
	};
	text_copy(told->vendor, sizeof told->vendor, receipt->vendor);
	text_copy(told->reason, sizeof told->reason, receipt->reason);
	if (!told->news)
		return 0;
	uint64_t lost_from, lost_overage;

	err = sync_lost(&lost_from, &lost_overage, &in->batch->state, mark);
	struct row *row =
	    err == 0 ? batch_row(in->batch, ROW_RECEIPT_TAKEN) : NULL;

	if (row == NULL)
		return err != 0 ? err : ERR_NOMEM;
	struct row_receipt_taken *r = &row->u.receipt_taken;

	text_copy(r->vendor, sizeof r->vendor, receipt->vendor);
	text_copy(r->reason, sizeof r->reason, receipt->reason);
	r->lost_from = lost_from;
	r->lost_overage = lost_overage;
	r->report = receipt->report;
	r->answer = receipt->answer;
	r->at = receipt->at;
	r->generation = receipt->generation;
	r->taken = (struct row_taken){
		.sequence = mark->sequence,
		.batch = mark->batch,
		.generation = mark->generation,
		.time = mark->time,
		.overage = mark->overage,
	};
	memcpy(r->taken.head, mark->head, sizeof r->taken.head);
	memcpy(r->taken.history, mark->history, sizeof r->taken.history);
	crypto_generichash(r->digest, sizeof r->digest, token->data, token->len,
	    NULL, 0);
	r->by = decide_actor(&in->command->who);
	return batch_emit(in->batch);
}

struct find_license {
	const struct license_change *change;
	uint64_t license; /* 0: it is not installed */
};

static int
find_license(void *ctx, const struct record_span *key,
    const struct record_span *value)
{
	struct find_license *find = ctx;
	struct state_license license;
	struct arena arena = { .chunks = NULL };
	int err = state_license_read(&license, key, value, &arena);

	arena_release(&arena);
	if (err == 0 &&
	    strcmp(license.document.license_id, find->change->license_id) ==
		0 &&
	    strcmp(license.document.vendor.id, find->change->vendor) == 0)
		find->license = license.license;
	return err;
}

static int
changed_row(struct importing *in, uint64_t license, uint32_t i)
{
	const struct license_change *change = &in->changes[i];
	const struct record_span *token =
	    &((const struct sync_token *)in->box.changes.items)[i].token;
	struct row *row = batch_row(in->batch, ROW_LICENSE_CHANGED);

	if (row == NULL)
		return ERR_NOMEM;
	struct row_license_changed *r = &row->u.license_changed;

	r->license = license;
	r->turn = change->what;
	r->revision = change->revision;
	r->from = change->from;
	r->issued_at = change->issued_at;
	crypto_generichash(r->digest, sizeof r->digest, token->data, token->len,
	    NULL, 0);
	if (change->what != LICENSE_RENEW)
		r->token = *token;
	r->by = decide_actor(&in->command->who);
	return batch_emit(in->batch);
}

/* A renewal is installed as any other license is; what speaks against that is
 * told of this change alone. */
static int
renew(struct importing *in, uint64_t license, uint32_t i)
{
	struct command *command = in->command;
	int err = decide_renewal(in->batch, command, in->box.vendor_key,
	    &in->changes[i], license);

	if (err != 0 || command->err == 0)
		return err;
	text_copy(in->changes_told[i].reason, sizeof in->changes_told[i].reason,
	    command->problem.detail);
	memset(&command->problem, 0, sizeof command->problem);
	command->err = 0;
	in->changes_told[i].done = false;
	return 0;
}

static int
apply_change(struct importing *in, uint32_t i)
{
	const struct license_change *change = &in->changes[i];
	struct sync_change_view *told = &in->changes_told[i];
	struct find_license find = { .change = change };
	struct state_status status;
	int err = store_each(&in->batch->state.txn, STORE_LICENSES, NULL, 0,
	    find_license, &find);

	*told = (struct sync_change_view){
		.revision = change->revision,
		.what = change->what,
		.done = true,
	};
	text_copy(told->license_id, sizeof told->license_id,
	    change->license_id);
	if (err != 0)
		return err;
	if (find.license == 0) {
		told->done = false;
		text_copy(told->reason, sizeof told->reason,
		    "it is not installed here");
		return 0;
	}
	err = state_status(&status, &in->batch->state, find.license);
	if (err != 0)
		return err;
	if (change->revision <= status.revision) {
		text_copy(told->reason, sizeof told->reason,
		    "it was applied before");
		return 0;
	}
	if (change->what == LICENSE_RENEW)
		err = renew(in, find.license, i);
	return err == 0 && told->done ? changed_row(in, find.license, i) : err;
}

/* --- the whole ---------------------------------------------------------------------- */

static int
check_all(struct importing *in)
{
	struct command *command = in->command;
	int err = open_file(in);

	if (err == 0 && command->err == 0)
		err = check_root(in);
	if (err == 0 && command->err == 0)
		err = check_issuers(in);
	for (uint32_t i = 0;
	     i < in->box.receipts.count && err == 0 && command->err == 0; i++)
		err = check_receipt(in, i);
	for (uint32_t i = 0;
	     i < in->box.changes.count && err == 0 && command->err == 0; i++)
		err = check_change(in, i);
	for (uint32_t i = 0;
	     i < in->box.credits.count && err == 0 && command->err == 0; i++)
		err = check_credit(in, i);
	return err;
}

static int
do_all(struct importing *in)
{
	int err = 0;

	for (uint32_t i = 0; i < in->box.receipts.count && err == 0; i++)
		err = take_receipt(in, i);
	for (uint32_t i = 0; i < in->box.changes.count && err == 0; i++)
		err = apply_change(in, i);
	for (uint32_t i = 0; i < in->box.credits.count && err == 0; i++)
		err = sync_credit_take(&in->credits_told[i], in->batch,
		    in->command, &in->credits[i]);
	in->command->reply.imported = (struct sync_imported){
		.receipts = { in->receipts_told, in->box.receipts.count },
		.changes = { in->changes_told, in->box.changes.count },
		.credits = { in->credits_told, in->box.credits.count },
	};
	return err;
}

int
decide_sync_import(struct batch *batch, struct command *command)
{
	struct arena *arena = &command->arena;
	struct importing *in = arena_alloc(arena, sizeof *in);

	if (in == NULL)
		return ERR_NOMEM;
	in->batch = batch;
	in->command = command;
	in->changes =
	    arena_alloc(arena, SYNC_CHANGES_MAX * sizeof *in->changes);
	in->receipts_told =
	    arena_alloc(arena, SYNC_RECEIPTS_MAX * sizeof *in->receipts_told);
	in->changes_told =
	    arena_alloc(arena, SYNC_CHANGES_MAX * sizeof *in->changes_told);
	in->credits =
	    arena_alloc(arena, SYNC_CREDITS_MAX * sizeof *in->credits);
	in->credits_told =
	    arena_alloc(arena, SYNC_CREDITS_MAX * sizeof *in->credits_told);
	if (in->credits == NULL || in->credits_told == NULL ||
	    in->changes == NULL || in->receipts_told == NULL ||
	    in->changes_told == NULL)
		return ERR_NOMEM;
	int err = check_all(in);

	if (err == 0 && command->err == 0)
		err = do_all(in);
	buf_release(&in->clear);
	return err;
}
