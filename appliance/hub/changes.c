/* Which changes of licenses go back to a site with a receipt. A hub does not learn
 * which of them arrived, so it sends again what a site may still need: of each
 * license its last renewals, the last suspension or resumption, and a
 * cancellation. What is more than one answer holds goes in turns, a license's
 * changes together and in their order, so that each arrives within a few
 * reports. */
#include "appliance/hub/decide.h"
#include "appliance/hub/reported.h"

#include "shared/base/err.h"

#include <string.h>

/* A site that did not hear of more renewals than these installs the last ones:
 * the others were over before it could. */
#define RENEWALS_MAX 12
#define KEPT_MAX (RENEWALS_MAX + 2)

/* Revisions of one license, ascending. */
struct kept {
	uint64_t revisions[KEPT_MAX];
	uint32_t whats[KEPT_MAX];
	uint32_t n, renewals;
};

struct gathering {
	struct batch *batch;
	struct arena *arena;
	const struct row_account_issuer *issuing; /* now */
	struct sync_box *box;
	struct sync_token *changes, *issuers;
	char kids[SYNC_ISSUERS_MAX][TOKEN_KID_TEXT]; /* of `issuers` */
	uint64_t site;
	/* Cut into answers, an order is in one of them as a whole. */
	uint64_t answers, turn;
	uint32_t filled; /* of the last one */
	bool counting;
};

static void
drop(struct kept *kept, uint32_t i)
{
	kept->renewals -= kept->whats[i] == REVISION_RENEWED;
	kept->n--;
	memmove(&kept->revisions[i], &kept->revisions[i + 1],
	    (kept->n - i) * sizeof kept->revisions[0]);
	memmove(&kept->whats[i], &kept->whats[i + 1],
	    (kept->n - i) * sizeof kept->whats[0]);
}

static bool
is_pause(uint32_t what)
{
	return what == REVISION_SUSPENDED || what == REVISION_RESUMED;
}

/* The one that a later one leaves without effect. */
static bool
is_over(const struct kept *kept, uint32_t i, uint32_t what)
{
	if (what == REVISION_RENEWED)
		return kept->whats[i] == what && kept->renewals == RENEWALS_MAX;
	return kept->whats[i] == what ||
	    (is_pause(what) && is_pause(kept->whats[i]));
}

static int
keep(void *ctx, const struct row_license_revised *revision)
{
	struct kept *kept = ctx;

	for (uint32_t i = 0; i < kept->n; i++)
		if (is_over(kept, i, revision->what)) {
			drop(kept, i);
			break;
		}
	kept->revisions[kept->n] = revision->revision;
	kept->whats[kept->n++] = revision->what;
	kept->renewals += revision->what == REVISION_RENEWED;
	return 0;
}

/* Whose word stands behind a change: also a key that issues no more. Not `yes`
 * where the file has no room for it, or another root vouched for it than that of
 * the file. */
static int
add_issuer(bool *yes, struct gathering *gathering, const char *kid)
{
	const struct state *state = &gathering->batch->state;
	struct record_list *list = &gathering->box->issuers;
	struct hub_account account;
	int err = hub_account(&account, state);

	*yes = false;
	for (uint32_t i = 0; i < list->count; i++)
		if (strcmp(gathering->kids[i], kid) == 0) {
			*yes = true;
			return 0;
		}
	for (uint64_t n = account.keys;
	     err == 0 && n > 0 && list->count < SYNC_ISSUERS_MAX; n--) {
		char own[TOKEN_KID_TEXT];
		struct row_account_issuer issuer;
		struct row_account_key key;

		err = hub_key(&key, state, n, gathering->arena);
		if (err != 0)
			return err;
		token_key_id(own, key.public_key);
		if (strcmp(own, kid) != 0)
			continue;
		err = hub_issuer(&issuer, state, n, gathering->arena);
		if (err != 0 ||
		    memcmp(issuer.root, gathering->issuing->root,
			sizeof issuer.root) != 0)
			break;
		memcpy(gathering->kids[list->count], own, TOKEN_KID_TEXT);
		gathering->issuers[list->count++].token = issuer.issuer;
		*yes = true;
		return 0;
	}
	return err == ERR_NOT_FOUND_INTERNAL ? 0 : err;
}

static int
add_changes(struct gathering *gathering, uint64_t order,
    const struct kept *kept)
{
	struct record_list *list = &gathering->box->changes;
	int err = 0;

	for (uint32_t i = 0; i < kept->n && err == 0; i++) {
		struct row_license_revised revision;
		char kid[TOKEN_KID_TEXT];
		bool yes = false;

		err = hub_revision(&revision, &gathering->batch->state, order,
		    kept->revisions[i], gathering->arena);
		if (err == 0)
			err = token_kid(kid, (const char *)revision.token.data,
			    revision.token.len);
		if (err == 0)
			err = add_issuer(&yes, gathering, kid);
		if (yes)
			gathering->changes[list->count++].token =
			    revision.token;
	}
	return err;
}

static int
add_order(void *ctx, uint64_t number)
{
	struct gathering *gathering = ctx;
	const struct state *state = &gathering->batch->state;
	struct arena arena = { .chunks = NULL };
	struct kept kept = { .n = 0 };
	struct hub_order order;
	int err = hub_order(&order, state, number, &arena);
	bool here = err == 0 && order.site == gathering->site;

	arena_release(&arena);
	if (here)
		err = hub_each_revision(state, number, 0, keep, &kept);
	if (err != 0 || kept.n == 0)
		return err;
	if (gathering->filled + kept.n > SYNC_CHANGES_MAX) {
		gathering->answers++;
		gathering->filled = 0;
	}
	gathering->filled += kept.n;
	return gathering->counting || gathering->answers != gathering->turn
	    ? 0
	    : add_changes(gathering, number, &kept);
}

static int
each_order(struct gathering *gathering, const struct hub_site *site)
{
	gathering->answers = 0;
	gathering->filled = 0;
	return hub_each_order(&gathering->batch->state, site->row.customer, 0,
	    add_order, gathering);
}

int
hub_add_changes(struct sync_box *box, struct batch *batch,
    const struct hub_site *site, const struct row_account_issuer *issuing,
    struct arena *arena)
{
	struct gathering gathering = { .batch = batch,
		.arena = arena,
		.issuing = issuing,
		.box = box,
		.site = site->row.number,
		.counting = true };
	struct row_account_key key;
	int err = hub_key(&key, &batch->state, issuing->key, arena);

	if (err != 0)
		return err;
	gathering.changes =
	    arena_alloc(arena, SYNC_CHANGES_MAX * sizeof *gathering.changes);
	gathering.issuers =
	    arena_alloc(arena, SYNC_ISSUERS_MAX * sizeof *gathering.issuers);
	if (gathering.changes == NULL || gathering.issuers == NULL)
		return ERR_NOMEM;
	/* Who signed the receipt. */
	gathering.issuers[0].token = issuing->issuer;
	token_key_id(gathering.kids[0], key.public_key);
	box->changes = (struct record_list){ gathering.changes, 0 };
	box->issuers = (struct record_list){ gathering.issuers, 1 };
	err = each_order(&gathering, site);
	if (err != 0)
		return err;
	gathering.turn = site->sequence % (gathering.answers + 1);
	gathering.counting = false;
	return each_order(&gathering, site);
}
