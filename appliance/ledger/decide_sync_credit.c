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

int
sync_credit_take(struct sync_credit_view *told, struct batch *batch,
    struct command *command, const struct report_credit *credit)
{
	struct row_credit known;
	int err = state_credit(&known, &batch->state, 0, credit->credit.number,
	    credit->vendor);

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
