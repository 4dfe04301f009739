/*
 * For tests of a hub's account by commands alone: its store, its root key, an
 * order and the site that it is for. Header only.
 */
#ifndef TESTS_UNIT_HUB_WORLD_H
#define TESTS_UNIT_HUB_WORLD_H

#include "appliance/hub/hub.h"
#include "shared/base/text.h"
#include "tests/unit/ledger_world.h"
#include "tests/unit/suite.h"

static struct world world;
static struct world_vendor root;
static struct arena arena;
static uint8_t site_secret[64]; /* of the last site */
static uint8_t issuing[32]; /* the account's public key */

/* What was answered stays until the end of the test. */
static inline const void *
ask_as(uint32_t op, uint32_t kind, const void *request, int err)
{
	struct command command = world_command(&world, op, kind, 1, request);
	const void *reply = NULL;

	ck_assert_int_eq(world_do(&world, &command), err);
	if (err == 0 && command.said != NULL)
		reply = arena_copy(&arena, command.said,
		    operation_get(op)->reply->size);
	arena_release(&command.arena);
	return reply;
}

static inline const void *
ask(uint32_t op, const void *request, int err)
{
	return ask_as(op, ACTOR_KEY, request, err);
}

/* The word of `by` for a key, until `days` from now on. */
static inline struct license_issuer_file
word(struct buf *token, const struct world_vendor *by, const char *public_key,
    int days)
{
	struct license_issuer issuer = { .not_before = world.now - 1000,
		.not_after = world.now + days * WORLD_DAY };
	struct license_issuer_file file;

	text_copy(issuer.vendor.id, sizeof issuer.vendor.id, by->id);
	text_copy(issuer.vendor.name, sizeof issuer.vendor.name, "Vector");
	ck_assert_int_eq(token_public_parse(issuer.key, public_key), 0);
	ck_assert_int_eq(license_document_sign(token, &license_issuer_record,
			     &issuer, TOKEN_ISSUER, by->root_secret),
	    0);
	memcpy(file.vendor_key, by->root_public, sizeof file.vendor_key);
	file.issuer = (struct record_span){ token->data, (uint32_t)token->len };
	return file;
}

static inline void
vouch(int days)
{
	const struct empty none = { 0 };
	const struct hub_key_view *key = ask(OP_HUB_KEY_MAKE, &none, 0);
	struct buf token = { 0 };
	struct license_issuer_file file =
	    word(&token, &root, key->public_key, days);

	key = ask(OP_HUB_KEY_INSTALL, &file, 0);
	ck_assert(key->vouched);
	ck_assert_int_eq(token_public_parse(issuing, key->public_key), 0);
	buf_release(&token);
}

static inline void
setup(void)
{
	world_init(&world, 4711);
	world_vendor_new(&root, &world, "default");
	memset(&arena, 0, sizeof arena);
}

/* Every test ends with a store that folds to itself and is sound. */
static inline void
teardown(void)
{
	world_check_folded(&world);
	arena_release(&arena);
	buf_release(&root.issuer);
	world_free(&world);
}

static inline struct hub_generate
order(const char *opportunity)
{
	struct hub_generate out = {
		.customer = { "ACC-1", "Mercedes-Benz AG", "mercedes",
		    "a@b.example" },
		.product = { "davinci", "DaVinci", ">=8" },
		.entitlement = { 20, 5, 15, { 500000, 50000, "EUR" } },
		.contract = { WORLD_TODAY - 10, WORLD_TODAY + 354, true,
		    LICENSE_MONTHLY },
		.auto_provision = true,
	};

	text_copy(out.crm_opportunity_id, sizeof out.crm_opportunity_id,
	    opportunity);
	return out;
}

static inline struct hub_site_add
site_request(struct buf *token, const char *site, const char *tenant)
{
	struct license_request request = { .created_at = world.now };
	uint8_t secret[64];
	struct hub_site_add out = { .crm_account_id = "ACC-1" };

	text_copy(request.site, sizeof request.site, site);
	text_copy(request.name, sizeof request.name, "Halle 4");
	text_copy(request.tenant, sizeof request.tenant, tenant);
	text_copy(request.key_class, sizeof request.key_class, "file");
	text_copy(request.software, sizeof request.software, "leaseholdd 1");
	world_keypair(&world, request.site_key, secret);
	memcpy(site_secret, secret, sizeof site_secret);
	ck_assert_int_eq(license_document_sign(token, &license_request_record,
			     &request, TOKEN_REQUEST, secret),
	    0);
	out.request = (struct record_span){ token->data, (uint32_t)token->len };
	return out;
}

static inline const struct hub_site_added *
bind(const char *site, const char *tenant)
{
	struct buf token = { 0 };
	struct hub_site_add request = site_request(&token, site, tenant);
	const struct hub_site_added *reply = ask(OP_HUB_SITE_ADD, &request, 0);

	buf_release(&token);
	return reply;
}

#endif
