/* Licenses that were issued before the store was put back: see reported.h. What
 * proves them is the vendor's own signature, and not the word of who shows them. */
#include "appliance/hub/decide.h"
#include "appliance/hub/reported.h"

#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/base/text.h"
#include "shared/token/token.h"

#include <inttypes.h>
#include <string.h>

/* The key that signed, if this account had it then and the root vouches for it. */
static int
find_key(uint64_t *key, struct row_account_issuer *out,
    const struct state *state, const char *kid, struct arena *arena)
{
	struct hub_account account;
	int err = hub_account(&account, state);

	for (uint64_t n = err == 0 ? account.keys : 0; err == 0 && n > 0; n--) {
		struct row_account_key own;
		char id[TOKEN_KID_TEXT];

		err = hub_key(&own, state, n, arena);
		if (err == 0)
			token_key_id(id, own.public_key);
		if (err != 0 || strcmp(id, kid) != 0)
			continue;
		*key = n;
		return hub_issuer(out, state, n, arena);
	}
	return err == 0 ? ERR_NOT_FOUND_INTERNAL : err;
}

/* Number of the order; 0: that is lost too. `known`: nothing is. */
static int
find_order(uint64_t *number, bool *known, const struct state *state,
    const struct report_installed *shown, struct arena *arena)
{
	struct row_license_issued issued;
	int err = hub_name(number, state, HUB_NAME_LICENSE, shown->license_id);

	*known = false;
	if (err == 0)
		err = hub_issued(&issued, state, *number, shown->serial, arena);
	else
		*number = 0;
	*known = err == 0;
	return err == ERR_NOT_FOUND_INTERNAL ? 0 : err;
}

/* What it says is what was ordered; of which opportunity, nobody knows. */
static int
emit_order(uint64_t *number, struct batch *batch, struct command *command,
    const struct hub_site *site, const struct license *license)
{
	uint64_t last;
	int err = hub_last(&last, &batch->state, STORE_HUB_ORDERS);
	struct row *row =
	    err == 0 ? batch_row(batch, ROW_LICENSE_ORDERED) : NULL;

	if (row == NULL)
		return err != 0 ? err : ERR_NOMEM;
	struct row_license_ordered *r = &row->u.license_ordered;

	r->order = *number = last + 1;
	r->customer = site->row.customer;
	text_copy(r->license_id, sizeof r->license_id, license->license_id);
	r->provision = true;
	r->terms = (struct license_terms){ .product = license->product,
		.entitlement = license->entitlement,
		.features = license->features,
		.contract = license->contract,
		.terms = license->terms,
		.billing = license->billing,
		.tier = license->tier,
		.limits = license->limits,
		.sync = license->sync,
		.customer = license->customer };
	r->by = decide_actor(&command->who);
	return batch_emit(batch);
}

/* As a site verifies it, with what this account knows of its keys. Not `yes`: it
 * is another's, or was signed since. */
static int
check(bool *yes, struct license *license, uint64_t *key,
    const struct state *state, const struct hub_site *site,
    const struct report_installed *shown, struct arena *arena)
{
	const struct license_request *request = &site->row.request;
	struct row_account_issuer issuer;
	struct license_issuer by;
	char kid[TOKEN_KID_TEXT];

	*yes = false;
	*key = 0;
	if (shown->token.len == 0 ||
	    token_kid(kid, shown->token.data, shown->token.len) != 0)
		return 0;
	int err = find_key(key, &issuer, state, kid, arena);

	if (err == 0)
		err = license_verify(license, &by, issuer.issuer.data,
		    issuer.issuer.len, shown->token.data, shown->token.len,
		    issuer.root, arena, NULL);
	if (err != 0)
		return err == ERR_NOMEM || err == ERR_CORRUPT ? err : 0;
	*yes = license->serial == shown->serial &&
	    license->issued_at <= state->counters.generation_at &&
	    strcmp(license->license_id, shown->license_id) == 0 &&
	    strcmp(license->site, request->site) == 0 &&
	    strcmp(license->tenant, request->tenant) == 0;
	if (!*yes)
		return 0;
	struct hub_customer customer;

	err = hub_customer(&customer, state, site->row.customer, arena);
	*yes = err == 0 &&
	    strcmp(license->customer.crm_account_id,
		customer.row.crm_account_id) == 0;
	return err == ERR_NOT_FOUND_INTERNAL ? ERR_CORRUPT : err;
}

static int
emit(struct batch *batch, struct command *command, const struct hub_site *site,
    uint64_t order, uint64_t key, const struct license *license,
    const struct report_installed *shown)
{
	struct row *row = batch_row(batch, ROW_LICENSE_FOUND);

	if (row == NULL)
		return ERR_NOMEM;
	struct row_license_issued *r = &row->u.license_issued;

	r->order = order;
	r->serial = license->serial;
	r->site = site->row.number;
	r->key = key;
	r->at = license->issued_at;
	r->contract = license->contract;
	license_digest(r->digest, shown->token.data, shown->token.len);
	r->token = shown->token;
	r->by = decide_actor(&command->who);
	log_warn("hub",
	    "license %s, serial %" PRIu64 ", was issued to site %s before the "
	    "store was put back: it is known again",
	    license->license_id, license->serial, site->row.request.site);
	return batch_emit(batch);
}

int
hub_find_lost(struct batch *batch, struct command *command,
    const struct hub_site *site, const struct report_finding *found)
{
	const struct state *state = &batch->state;
	struct arena arena = { .chunks = NULL };
	uint32_t n = 0;
	int err = 0;

	if (state->counters.generation <= 1)
		return 0;
	for (uint32_t i = 0;
	     i < found->n_installed && err == 0 && n < HUB_LOST_MAX; i++) {
		const struct report_installed *shown = &found->installed[i];
		struct license license;
		uint64_t order, key;
		bool known, yes = false;

		arena_clear(&arena);
		err = find_order(&order, &known, state, shown, &arena);
		if (err == 0 && !known)
			err = check(&yes, &license, &key, state, site, shown,
			    &arena);
		if (err == 0 && yes && order == 0)
			err =
			    emit_order(&order, batch, command, site, &license);
		if (err == 0 && yes)
			err = emit(batch, command, site, order, key, &license,
			    shown);
		n += yes;
	}
	arena_release(&arena);
	return err;
}
