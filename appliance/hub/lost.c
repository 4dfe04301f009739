/* Licenses that were issued before the store was put back: see reported.h. What
 * proves them is the vendor's own signature, and not the word of who shows them. */
#include "appliance/hub/decide.h"
#include "appliance/hub/reported.h"

#include "shared/base/err.h"
#include "shared/base/log.h"
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

/* ERR_NOT_FOUND_INTERNAL: it is none of ours, or known. */
static int
find_order(struct hub_order *order, const struct state *state,
    const struct report_installed *shown, struct arena *arena)
{
	struct row_license_issued known;
	uint64_t number;
	int err = hub_name(&number, state, HUB_NAME_LICENSE, shown->license_id);

	if (err == 0)
		err = hub_order(order, state, number, arena);
	if (err != 0)
		return err;
	err = hub_issued(&known, state, number, shown->serial, arena);
	if (err == 0)
		return ERR_NOT_FOUND_INTERNAL;
	return err == ERR_NOT_FOUND_INTERNAL ? 0 : err;
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
	return 0;
}

static int
emit(struct batch *batch, struct command *command, const struct hub_site *site,
    const struct hub_order *order, uint64_t key, const struct license *license,
    const struct report_installed *shown)
{
	struct row *row = batch_row(batch, ROW_LICENSE_FOUND);

	if (row == NULL)
		return ERR_NOMEM;
	struct row_license_issued *r = &row->u.license_issued;

	r->order = order->row.order;
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
	int err = 0;

	if (state->counters.generation <= 1)
		return 0;
	for (uint32_t i = 0; i < found->n_installed && err == 0; i++) {
		const struct report_installed *shown = &found->installed[i];
		struct hub_order order;
		struct license license;
		uint64_t key;
		bool yes = false;

		arena_clear(&arena);
		err = find_order(&order, state, shown, &arena);
		if (err == 0)
			err = check(&yes, &license, &key, state, site, shown,
			    &arena);
		if (err == 0 && yes)
			err = emit(batch, command, site, &order, key, &license,
			    shown);
		if (err == ERR_NOT_FOUND_INTERNAL)
			err = 0;
	}
	arena_release(&arena);
	return err;
}
