/* Credits on their way to the site that they are for: signed anew with each
 * answer, so that one key vouches for all. */
#include "appliance/hub/decide.h"
#include "appliance/ledger/credits.h"

#include "shared/base/err.h"
#include "shared/base/text.h"
#include "shared/report/credit.h"

#include <string.h>

/** An answer holds twice as many at most, beside what changed in licenses. */
#define TOLD_PART 32

struct telling {
	struct batch *batch;
	struct command *command;
	const struct hub_site *site;
	struct sync_token *tokens; /* NULL: they are only counted */
	uint64_t all; /* that there are */
	uint64_t n; /* that were looked at, */
	uint32_t told; /* and that are told */
};

static bool is_told(const struct telling *telling, uint64_t at, uint64_t all);

static int
sign(struct record_span *out, struct telling *telling,
    const struct row_credit *credit)
{
	const struct license_request *to = &telling->site->row.request;
	struct report_credit document = { .credit = *credit };
	struct buf token = { .data = NULL };

	document.credit.customer = document.credit.site = 0;
	document.credit.by = (struct row_actor){ ACTOR_SITE, 0 };
	text_copy(document.site, sizeof document.site, to->site);
	text_copy(document.tenant, sizeof document.tenant, to->tenant);
	text_copy(document.vendor, sizeof document.vendor,
	    telling->batch->ledger->tenant);
	int err = hub_sign(&token, telling->batch->ledger,
	    &telling->batch->state, &report_credit_record, &document,
	    TOKEN_CREDIT, telling->batch->place.time);

	if (err == 0) {
		out->len = (uint32_t)token.len;
		out->data =
		    arena_copy(&telling->command->arena, token.data, token.len);
		err = out->data != NULL ? 0 : ERR_NOMEM;
	}
	buf_release(&token);
	return err;
}

static int
tell(void *ctx, const struct row_credit *credit)
{
	struct telling *telling = ctx;
	uint64_t at;

	if (credit->site != telling->site->row.number)
		return 0;
	at = telling->n++;
	if (telling->tokens == NULL || !is_told(telling, at, telling->all))
		return 0;
	return sign(&telling->tokens[telling->told++].token, telling, credit);
}

/* The newest, and of those before them a part of the same size: another one with
 * each report that is taken, so that all arrive in time. */
static bool
is_told(const struct telling *telling, uint64_t at, uint64_t all)
{
	const uint64_t parts = (all - 1) / TOLD_PART;

	if (at + TOLD_PART >= all)
		return true;
	return at / TOLD_PART == telling->site->sequence % parts;
}

int
hub_credit_tokens(struct record_list *out, struct batch *batch,
    struct command *command, const struct hub_site *site)
{
	struct telling telling = { .batch = batch,
		.command = command,
		.site = site };
	const uint64_t customer = site->row.customer;
	int err = state_each_credit(&batch->state, customer, tell, &telling);
	uint64_t n = telling.n;

	*out = (struct record_list){ NULL, 0 };
	if (err != 0 || n == 0)
		return err;
	telling.all = n;
	telling.n = 0;
	telling.tokens = arena_alloc(&command->arena,
	    (size_t)2 * TOLD_PART * sizeof *telling.tokens);
	if (telling.tokens == NULL)
		return ERR_NOMEM;
	err = state_each_credit(&batch->state, customer, tell, &telling);
	*out = (struct record_list){ telling.tokens, telling.told };
	return err;
}
