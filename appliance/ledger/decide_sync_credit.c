/* Decide on credit notes that came back with receipts. They are checked before a
 * row of their file is written; one that is known is told as such. */
#include "appliance/ledger/credits.h"

#include "shared/base/err.h"
#include "shared/base/text.h"

#include <string.h>

int
sync_credit_check(struct report_credit *out, struct batch *batch,
    struct command *command, const struct record_span *token,
    const uint8_t (*keys)[TOKEN_PUBLIC_BYTES], uint32_t n_keys,
    const char *vendor)
{
	const struct ledger *ledger = batch->ledger;
	struct record_error error = { .reason = "" };
	struct row_credit known;
	int err = ERR_UNTRUSTED;

	for (uint32_t k = 0; k < n_keys && err == ERR_UNTRUSTED; k++)
		err = report_credit_verify(out, token->data, token->len,
		    keys[k], ledger->site, ledger->tenant, vendor, &error);
	if (err != 0)
		return decide_refuse_document(command, err, &error);
	err =
	    state_credit(&known, &batch->state, 0, out->credit.number, vendor);
	if (err != 0)
		return err == ERR_NOT_FOUND_INTERNAL ? 0 : err;
	if (strcmp(known.id, out->credit.id) == 0 &&
	    known.amount == out->credit.amount &&
	    strcmp(known.currency, out->credit.currency) == 0)
		return 0;
	return decide_refuse(command, ERR_CONFLICT,
	    "ask the vendor which of the two it is",
	    "credit %s of vendor %s is another one than was sent before",
	    out->credit.id, vendor);
}

struct looking {
	const struct report_credit *for_it;
	bool found;
};

/* A hub that was put back gave a credit that it does not know any more, and gives
 * the same one again: it has another number. */
static int
is_same(void *ctx, const struct row_credit *known)
{
	struct looking *looking = ctx;
	const struct row_credit *credit = &looking->for_it->credit;

	looking->found = strcmp(known->vendor, looking->for_it->vendor) == 0 &&
	    strcmp(known->id, credit->id) == 0 &&
	    strcmp(known->license_id, credit->license_id) == 0 &&
	    strcmp(known->currency, credit->currency) == 0 &&
	    known->amount == credit->amount && known->first == credit->first;
	return looking->found;
}

int
sync_credit_take(struct sync_credit_view *told, struct batch *batch,
    struct command *command, const struct report_credit *credit)
{
	struct looking looking = { credit, false };
	struct row_credit known;
	int err = state_credit(&known, &batch->state, 0, credit->credit.number,
	    credit->vendor);

	if (err == ERR_NOT_FOUND_INTERNAL) {
		err = state_each_credit(&batch->state, 0, is_same, &looking);
		if (err == 0)
			err = ERR_NOT_FOUND_INTERNAL;
		else if (looking.found)
			err = 0;
	}

	*told = (struct sync_credit_view){
		.amount = credit->credit.amount,
		.news = err == ERR_NOT_FOUND_INTERNAL,
	};
	text_copy(told->vendor, sizeof told->vendor, credit->vendor);
	text_copy(told->credit_id, sizeof told->credit_id, credit->credit.id);
	text_copy(told->currency, sizeof told->currency,
	    credit->credit.currency);
	if (!told->news)
		return err;
	struct row *row = batch_row(batch, ROW_CREDIT_TAKEN);

	if (row == NULL)
		return ERR_NOMEM;
	row->u.credit = credit->credit;
	row->u.credit.customer = row->u.credit.site = 0;
	text_copy(row->u.credit.vendor, sizeof row->u.credit.vendor,
	    credit->vendor);
	row->u.credit.by = decide_actor(&command->who);
	return batch_emit(batch);
}
