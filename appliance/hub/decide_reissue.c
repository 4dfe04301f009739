/*
 * A site whose box was lost goes on in another one with another key. The site's
 * older key named an heir, the heir names the new key: so a request that leads
 * from the key that is known here is of whoever holds the site's recovery key.
 * An admin confirms it all the same: from then on nothing that the old key signs
 * is believed, and what is in force is issued anew, for the new key.
 */
#include "appliance/hub/decide.h"

#include "shared/base/err.h"
#include "shared/base/text.h"

#include <string.h>

/* The request, and the site that it goes on as. */
struct reissuing {
	struct batch *batch;
	struct command *command;
	struct license_request request;
	struct hub_site site;
	struct hub_site_added *reply;
	struct hub_license_name *issued;
	uint64_t orders[HUB_ISSUE_ONCE];
	int err;
};

static int
find_site(struct reissuing *in)
{
	const struct license_request *request = &in->request;
	int err = hub_site_by_id(&in->site, &in->batch->state, request->site,
	    request->tenant, &in->command->arena);

	if (err != ERR_NOT_FOUND_INTERNAL)
		return err;
	return decide_refuse_field(in->command, "request", ERR_NOT_FOUND,
	    "leasehold hub site add REQUEST --customer ID",
	    "tenant %s of site %s is not known here", request->tenant,
	    request->site);
}

static bool
is_known(const struct reissuing *in)
{
	return memcmp(in->site.row.request.site_key, in->request.site_key,
		   sizeof in->request.site_key) == 0;
}

/* From the key that is known to the one that asks. */
static int
check_succession(struct reissuing *in)
{
	const uint8_t *old = in->site.row.request.site_key;
	struct site_keys keys;
	int err = succession_keys(&keys, in->request.site, old,
	    &in->request.succession);

	if (err == ERR_NOMEM)
		return err;
	if (err == 0 &&
	    memcmp(site_keys_last(&keys), in->request.site_key, 32) == 0)
		return 0;
	return decide_refuse_field(in->command, "request", ERR_CONFLICT,
	    "ask who runs that site which of the two boxes is his",
	    "nothing leads from the key that site %s has here to the one that "
	    "asks: it was not restored with the site's recovery key",
	    in->request.site);
}

static int
ask_to_confirm(struct reissuing *in)
{
	char old[TOKEN_KID_TEXT], new[TOKEN_KID_TEXT];

	token_key_id(old, in->site.row.request.site_key);
	token_key_id(new, in->request.site_key);
	return decide_refuse_field(in->command, "confirm", ERR_CONFLICT,
	    "ask who runs it whether that box is lost; then: leasehold hub "
	    "reissue REQUEST --confirm",
	    "site %s (%s) asks to go on in another box: its key %s is retired "
	    "for ever, nothing that it signs is taken from then on, and its "
	    "licenses are issued anew for %s",
	    in->request.site, in->request.name, old, new);
}

static int
rebind(struct reissuing *in)
{
	struct row *row = batch_row(in->batch, ROW_SITE_REISSUED);

	if (row == NULL)
		return ERR_NOMEM;
	struct row_site_reissued *r = &row->u.site_reissued;

	r->number = in->site.row.number;
	memcpy(r->retired, in->site.row.request.site_key, sizeof r->retired);
	r->request = in->request;
	r->by = decide_actor(&in->command->who);
	int err = batch_emit(in->batch);

	return err == 0 ? hub_site(&in->site, &in->batch->state,
			      in->site.row.number, &in->command->arena)
			: err;
}

/* What is in force there, and was signed for the key before. */
static int
reissue_order(void *ctx, uint64_t number)
{
	struct reissuing *in = ctx;
	struct row_license_issued issued;
	struct hub_order order;
	struct arena *arena = &in->command->arena;
	const struct state *state = &in->batch->state;
	uint32_t *n = &in->reply->issued.count;

	in->err = hub_order(&order, state, number, arena);
	if (in->err != 0 || order.site != in->site.row.number ||
	    order.serial == 0 || order.state == HUB_CANCELLED)
		return in->err;
	in->err = hub_issued(&issued, state, number, order.serial, arena);
	if (in->err != 0 || issued.at >= in->site.at)
		return in->err;
	if (*n == HUB_ISSUE_ONCE)
		return 1;
	in->orders[*n] = number;
	memcpy(in->issued[(*n)++].license_id, order.row.license_id,
	    sizeof in->issued->license_id);
	return 0;
}

static int
reissue(struct reissuing *in)
{
	struct hub_order order;
	int err = hub_each_order(&in->batch->state, in->site.row.customer, 0,
	    reissue_order, in);

	err = in->err != 0 ? in->err : err == 1 ? 0 : err;
	for (uint32_t i = 0;
	     i < in->reply->issued.count && err == 0 && in->command->err == 0;
	     i++) {
		err = hub_order(&order, &in->batch->state, in->orders[i],
		    &in->command->arena);
		if (err == 0)
			err = hub_issue(&order, in->batch, in->command,
			    in->site.row.number, &order.contract);
	}
	return err;
}

int
decide_hub_reissue(struct batch *batch, struct command *command)
{
	const struct hub_reissue *asked = command->request;
	struct row_account_issuer issuer;
	struct reissuing in = { .batch = batch, .command = command };
	int err;

	in.reply = hub_reply(command, sizeof *in.reply);
	in.issued =
	    arena_alloc(&command->arena, HUB_ISSUE_ONCE * sizeof *in.issued);
	if (in.reply == NULL || in.issued == NULL)
		return ERR_NOMEM;
	in.reply->issued.items = in.issued;
	err = hub_read_request(&in.request, command, &asked->request);
	if (err == 0 && command->err == 0)
		err = find_site(&in);
	bool known = err == 0 && command->err == 0 && is_known(&in);

	if (err == 0 && command->err == 0 && !known)
		err = check_succession(&in);
	if (err == 0 && command->err == 0 && !known && !asked->confirm)
		err = ask_to_confirm(&in);
	/* Before a row is written. */
	if (err == 0 && command->err == 0)
		err = hub_find_issuer(&issuer, batch, command);
	if (err == 0 && command->err == 0 && !known)
		err = rebind(&in);
	if (err == 0 && command->err == 0)
		err = reissue(&in);
	return err != 0 || command->err != 0
	    ? err
	    : hub_view_site(&in.reply->site, &batch->state, &in.site,
		  &command->arena);
}
