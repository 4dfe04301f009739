/* A hub's account: what is decided and folded, by commands alone. */
#include "appliance/hub/hub.h"
#include "appliance/hub/register.h"
#include "appliance/hub/renew.h"
#include "appliance/hub/reported.h"
#include "shared/base/clock.h"
#include "shared/base/text.h"
#include "shared/report/box.h"
#include "shared/report/change.h"
#include "shared/report/line.h"
#include "tests/unit/hub_world.h"

/* --- the issuing key -------------------------------------------------------------- */

START_TEST(nothing_is_issued_without_the_word_of_the_root_key)
{
	const struct empty none = { 0 };
	struct hub_generate request = order("OPP-1");

	ask(OP_HUB_GENERATE, &request, ERR_CONFLICT);
	const struct hub_key_view *key = ask(OP_HUB_KEY_MAKE, &none, 0);

	ck_assert(!key->vouched && key->key == 1 && key->issuing == 0);
	ask(OP_HUB_GENERATE, &request, ERR_CONFLICT);
	/* One that waits is as good as another. */
	ck_assert_uint_eq(((const struct hub_key_view *)ask(OP_HUB_KEY_MAKE,
			       &none, 0))
			      ->key,
	    1);
	vouch(30);
	ask(OP_HUB_GENERATE, &request, 0);
	/* Its time is over. */
	world.now += 31 * WORLD_DAY;
	request = order("OPP-2");
	ask(OP_HUB_GENERATE, &request, ERR_CONFLICT);
	vouch(30);
	ask(OP_HUB_GENERATE, &request, 0);
}
END_TEST

START_TEST(the_word_of_another_vendor_or_root_is_none)
{
	const struct empty none = { 0 };
	const struct hub_key_view *key = ask(OP_HUB_KEY_MAKE, &none, 0);
	struct world_vendor other;
	struct buf tokens[4] = { { 0 } };
	char stranger[TOKEN_PUBLIC_TEXT];

	/* Of vendor "vector", while the account is "default". */
	struct license_issuer_file file =
	    word(&tokens[0], &world.vendor, key->public_key, 30);
	ask(OP_HUB_KEY_INSTALL, &file, ERR_BAD_REQUEST);
	/* For a key that is not the account's. */
	token_public_format(stranger, world.site_public);
	file = word(&tokens[1], &root, stranger, 30);
	ask(OP_HUB_KEY_INSTALL, &file, ERR_BAD_REQUEST);
	/* Signed by nobody who was told. */
	file = word(&tokens[2], &root, key->public_key, 30);
	memcpy(file.vendor_key, world.site_public, 32);
	ask(OP_HUB_KEY_INSTALL, &file, ERR_UNTRUSTED);
	/* A second root, after the first. */
	vouch(30);
	world_vendor_new(&other, &world, "default");
	key = ask(OP_HUB_KEY_MAKE, &none, 0);
	file = word(&tokens[3], &other, key->public_key, 30);
	ask(OP_HUB_KEY_INSTALL, &file, ERR_CONFLICT);
	for (size_t i = 0; i < 4; i++)
		buf_release(&tokens[i]);
	buf_release(&other.issuer);
}
END_TEST

/* --- orders ------------------------------------------------------------------------ */

START_TEST(the_same_order_is_one_and_another_is_a_conflict)
{
	struct hub_generate request = order("OPP-1");

	vouch(30);
	const struct hub_generated *first = ask(OP_HUB_GENERATE, &request, 0);
	uint64_t batches = world_known(&world).batch;
	const struct hub_generated *again = ask(OP_HUB_GENERATE, &request, 0);

	ck_assert_str_eq(first->license_id, "lic-default-mercedes-2026-001");
	ck_assert_str_eq(first->license_id, again->license_id);
	ck_assert_uint_eq(batches, world_known(&world).batch);
	request.entitlement.commit_qty = 6;
	request.entitlement.total_licenses = 21;
	ask(OP_HUB_GENERATE, &request, ERR_CONFLICT);
	request.crm_opportunity_id[4] = '2';
	again = ask(OP_HUB_GENERATE, &request, 0);
	ck_assert_str_eq(again->license_id, "lic-default-mercedes-2026-002");
	/* Another customer of that tenant is none. */
	request.crm_opportunity_id[4] = '3';
	text_copy(request.customer.crm_account_id, 64, "ACC-2");
	ask(OP_HUB_GENERATE, &request, ERR_CONFLICT);
}
END_TEST

START_TEST(an_order_waits_for_its_site_and_not_for_another)
{
	struct hub_generate request = order("OPP-1");
	struct hub_provision provision = { .site = "site-2" };

	vouch(30);
	const struct hub_generated *made = ask(OP_HUB_GENERATE, &request, 0);

	ck_assert_uint_eq(made->status, HUB_STATUS_AWAITING_SITE);
	ck_assert_uint_eq(bind("site-1", "default")->issued.count, 1);
	made = ask(OP_HUB_GENERATE, &request, 0);
	ck_assert_uint_eq(made->status, HUB_STATUS_PROVISIONED);
	ck_assert_str_eq(made->package_url,
	    "/api/v1/licenses/lic-default-mercedes-2026-001/package");
	/* Of two sites none is named as the customer's tenant. */
	ck_assert_uint_eq(bind("site-2", "plant")->issued.count, 0);
	request = order("OPP-2");
	made = ask(OP_HUB_GENERATE, &request, 0);
	ck_assert_uint_eq(made->status, HUB_STATUS_AWAITING_SITE);
	memcpy(provision.license_id, made->license_id, 64);
	text_copy(provision.site, sizeof provision.site, "site-3");
	ask(OP_HUB_PROVISION, &provision, ERR_NOT_FOUND);
	text_copy(provision.site, sizeof provision.site, "site-2");
	const struct hub_provisioned *done =
	    ask(OP_HUB_PROVISION, &provision, 0);

	ck_assert_uint_eq(done->status, HUB_STATUS_PROVISIONED);
	ck_assert_int_eq(done->provisioned_at, world.now);
}
END_TEST

START_TEST(a_site_is_one_customers_and_has_one_key)
{
	struct buf token = { 0 };
	struct hub_generate request = order("OPP-1");

	vouch(30);
	ask(OP_HUB_GENERATE, &request, 0);
	struct hub_site_add add = site_request(&token, "site-1", "default");

	ask(OP_HUB_SITE_ADD, &add, 0);
	uint64_t batches = world_known(&world).batch;

	ask(OP_HUB_SITE_ADD, &add, 0); /* it is known: nothing to do */
	ck_assert_uint_eq(batches, world_known(&world).batch);
	text_copy(add.crm_account_id, sizeof add.crm_account_id, "ACC-9");
	ask(OP_HUB_SITE_ADD, &add, ERR_NOT_FOUND);
	buf_clear(&token);
	add = site_request(&token, "site-1", "default");
	ask(OP_HUB_SITE_ADD, &add, ERR_CONFLICT); /* another key */
	token.data[token.len / 2] ^= 1;
	struct command command =
	    world_command(&world, OP_HUB_SITE_ADD, ACTOR_KEY, 1, &add);

	ck_assert_int_ne(world_do(&world, &command), 0);
	arena_release(&command.arena);
	buf_release(&token);
}
END_TEST

/* --- what is refused of a site --------------------------------------------------- */

/* A report of site-1 that a stranger signed, sealed to the account. */
static void
forge(struct buf *file)
{
	struct report report = { .sequence = 1,
		.time = world.now,
		.body_bytes = 1,
		.proof.clock = world.now };
	struct buf token = { 0 };
	uint8_t public_key[32], secret[64], body = 0;

	text_copy(report.site, sizeof report.site, "site-1");
	text_copy(report.tenant, sizeof report.tenant, "default");
	text_copy(report.vendor, sizeof report.vendor, "default");
	text_copy(report.software, sizeof report.software, "leaseholdd 1");
	world_keypair(&world, public_key, secret);
	ck_assert_int_eq(license_document_sign(&token, &report_record, &report,
			     TOKEN_REPORT, secret),
	    0);
	struct sync_report sent = { { token.data, (uint32_t)token.len },
		{ &body, 1 } };
	struct sync_box box = { .reports = { &sent, 1 } };

	ck_assert_int_eq(sync_box_seal(file, &box, issuing), 0);
	buf_release(&token);
}

/* Over the connection of the site; what is said of it. */
static int
send_forged(struct problem *problem)
{
	struct buf file = { 0 }, token = { 0 };
	struct report_line line = { .certificate = { 7 }, .at = world.now };
	struct hub_report_sent sent = { .certificate = { 7 } };

	forge(&file);
	text_copy(line.site, sizeof line.site, "site-1");
	text_copy(line.tenant, sizeof line.tenant, "default");
	text_copy(line.vendor, sizeof line.vendor, "default");
	ck_assert_int_eq(report_line_sign(&token, &line, site_secret), 0);
	sent.line = (struct record_span){ token.data, (uint32_t)token.len };
	sent.file = (struct record_span){ file.data, (uint32_t)file.len };
	struct command command =
	    world_command(&world, OP_HUB_REPORT_TAKE, ACTOR_SITE, 0, &sent);
	int err = world_do(&world, &command);

	*problem = command.problem;
	if (err == 0) {
		const struct hub_reports_taken *taken = command.said;
		const struct hub_report_view *views = taken->items.items;

		ck_assert_int_eq(views[0].answer, REPORT_FORGED);
	}
	arena_release(&command.arena);
	buf_release(&token);
	buf_release(&file);
	return err;
}

/* As if so many reports had been taken; 0: as if none ever came. */
static void
pretend_taken(unsigned int n)
{
	struct fold_place place = { .batch = 1000, .time = world.now };
	static uint64_t sequence;
	struct state state;

	ck_assert_int_eq(state_begin(&state, world.ledger->store, true, NULL),
	    0);
	for (unsigned int i = 0; i < n; i++) {
		struct row row = { .kind = ROW_REPORT_SHOWN };

		sequence++;
		row.u.report_shown.site = 1;
		row.u.report_shown.sequence = sequence;
		/* Of a long report there are several. */
		for (int piece = 0; piece < 2; piece++)
			ck_assert_int_eq(fold_report_shown(&state, &row,
					     &place),
			    0);
	}
	if (n == 0)
		ck_assert_int_eq(store_clear(&state.txn, STORE_HUB_REPORTED),
		    0);
	ck_assert_int_eq(state_commit(&state), 0);
}

static uint32_t
taken_this_hour(void)
{
	struct hub_reported reported;
	struct ledger_view *view;

	ck_assert_int_eq(ledger_view_open(&view, world.ledger), 0);
	ck_assert_int_eq(hub_reported(&reported, &view->state, 1), 0);
	ledger_view_close(view);
	return reported.hour_taken;
}

START_TEST(a_site_sends_no_more_in_an_hour_than_is_taken)
{
	struct problem problem;

	vouch(30);
	struct hub_generate request = order("OPP-1");

	ask(OP_HUB_GENERATE, &request, 0);
	bind("site-1", "default");
	pretend_taken(HUB_TAKEN_HOUR_MAX - 1);
	ck_assert_uint_eq(taken_this_hour(), HUB_TAKEN_HOUR_MAX - 1);
	pretend_taken(1);
	world.now += 60000;
	ck_assert_int_eq(send_forged(&problem), ERR_RATE_LIMITED);
	ck_assert(strstr(problem.detail,
		      "600 reports of site site-1 were "
		      "taken within an hour") != NULL);
	ck_assert_uint_eq(problem.retry_after_s, 3540);
	/* Another hour begins with what comes in it. */
	world.now += (int64_t)problem.retry_after_s * 1000;
	pretend_taken(2);
	ck_assert_uint_eq(taken_this_hour(), 2);
	pretend_taken(0);
}
END_TEST

START_TEST(a_site_whose_reports_are_refused_waits_its_hour)
{
	struct problem problem;
	struct buf file = { 0 };

	vouch(30);
	struct hub_generate request = order("OPP-1");

	ask(OP_HUB_GENERATE, &request, 0);
	bind("site-1", "default");
	for (unsigned int i = 0; i < HUB_REFUSED_HOUR_MAX; i++)
		ck_assert_int_eq(send_forged(&problem), 0);
	world.now += 60000;
	ck_assert_int_eq(send_forged(&problem), ERR_RATE_LIMITED);
	ck_assert_str_eq(problem.code, "rate_limited");
	ck_assert_uint_gt(problem.retry_after_s, 3500);
	ck_assert_uint_le(problem.retry_after_s, 3600);
	ck_assert(strstr(problem.detail, "not signed by the key") != NULL);
	/* Whoever brings a file is heard. */
	forge(&file);
	struct sync_file brought = { { file.data, (uint32_t)file.len } };
	const struct hub_reports_taken *taken =
	    ask(OP_HUB_REPORT_IMPORT, &brought, 0);

	ck_assert_uint_eq(taken->items.count, 1);
	/* And the site again when the hour is over. */
	world.now += (int64_t)problem.retry_after_s * 1000;
	ck_assert_int_eq(send_forged(&problem), 0);
	ck_assert_int_eq(send_forged(&problem), 0);
	buf_release(&file);
}
END_TEST

/* --- what a site may be billed for ------------------------------------------------- */

static bool
is_billed(uint64_t site, const struct report_overage *shown)
{
	struct arena scratch = { .chunks = NULL };
	struct ledger_view *view;
	bool yes = true, again = false;

	ck_assert_int_eq(ledger_view_open(&view, world.ledger), 0);
	struct hub_editions editions = { &view->state, site, &scratch, NULL,
		0 };

	ck_assert_int_eq(hub_is_billed(&yes, &editions, shown), 0);
	/* What it remembers says the same. */
	ck_assert_int_eq(hub_is_billed(&again, &editions, shown), 0);
	ck_assert(yes == again);
	ledger_view_close(view);
	arena_release(&scratch);
	return yes;
}

START_TEST(only_what_was_issued_to_that_site_is_billed)
{
	struct hub_generate request = order("OPP-1");
	struct license_feature feature = { "autosar", "AUTOSAR", 2, 1, 1, 100,
		"EUR" };
	struct report_overage shown = { .serial = 1, .first = 1, .count = 1 };
	struct row_license_issued issued;
	struct ledger_view *view;

	request.features = (struct record_list){ &feature, 1 };
	vouch(30);
	ask(OP_HUB_GENERATE, &request, 0);
	ck_assert_uint_eq(bind("site-1", "default")->issued.count, 1);
	ck_assert_uint_eq(bind("site-2", "plant")->issued.count, 0);
	ck_assert_int_eq(ledger_view_open(&view, world.ledger), 0);
	ck_assert_int_eq(hub_issued(&issued, &view->state, 1, 1, &arena), 0);
	memcpy(shown.digest, issued.digest, sizeof shown.digest);
	ledger_view_close(view);
	text_copy(shown.license_id, sizeof shown.license_id,
	    "lic-default-mercedes-2026-001");
	ck_assert(is_billed(1, &shown));
	ck_assert(!is_billed(2, &shown)); /* of another site */
	text_copy(shown.feature, sizeof shown.feature, "autosar");
	ck_assert(is_billed(1, &shown));
	/* No price of it stands anywhere: it would stop every statement. */
	text_copy(shown.feature, sizeof shown.feature, "autosaw");
	ck_assert(!is_billed(1, &shown));
	shown.feature[0] = '\0';
	shown.serial = 2; /* never issued */
	ck_assert(!is_billed(1, &shown));
	shown.serial = 1;
	shown.digest[31] ^= 1; /* of another document */
	ck_assert(!is_billed(1, &shown));
	shown.digest[31] ^= 1;
	text_copy(shown.license_id, sizeof shown.license_id,
	    "lic-default-mercedes-2026-002");
	ck_assert(!is_billed(1, &shown));
}
END_TEST

static bool
is_metric_billed(uint64_t site, struct row_shown_metric item)
{
	struct arena scratch = { .chunks = NULL };
	struct ledger_view *view;

	ck_assert_int_eq(ledger_view_open(&view, world.ledger), 0);
	struct hub_editions editions = { &view->state, site, &scratch, NULL,
		0 };

	ck_assert_int_eq(hub_bill_metric(&item, &editions), 0);
	ck_assert_uint_eq(editions.unbilled_hours, item.billed ? 0 : 1);
	ledger_view_close(view);
	arena_release(&scratch);
	return item.billed;
}

START_TEST(no_hour_of_a_metric_stops_all_statements)
{
	struct hub_generate request = order("OPP-1");
	struct license_usage_price usage = { "api_calls", 0, 10, 50, "EUR" };
	struct row_shown_metric item = {
		.license_id = "lic-default-mercedes-2026-001",
		.serial = 1,
		.metric = "api_calls",
		.events = 1,
	};
	const uint64_t most = LICENSE_USAGE_MONEY_MAX / 50 * 10;

	request.billing.model = LICENSE_PER_USE;
	text_copy(request.billing.currency, sizeof request.billing.currency,
	    "EUR");
	request.billing.usage = (struct record_list){ &usage, 1 };
	vouch(30);
	ask(OP_HUB_GENERATE, &request, 0);
	ck_assert_uint_eq(bind("site-1", "default")->issued.count, 1);
	ck_assert_uint_eq(bind("site-2", "plant")->issued.count, 0);
	item.sum = item.max = item.last = most;
	ck_assert(is_metric_billed(1, item));
	ck_assert(!is_metric_billed(2, item)); /* of another site */
	item.sum = most + 1;
	ck_assert(!is_metric_billed(1, item));
	/* Of a gauge the highest counts, and not how often it was told. */
	item.kind = USAGE_GAUGE;
	ck_assert(is_metric_billed(1, item));
	item.max = most + 1;
	ck_assert(!is_metric_billed(1, item));
	/* What has no price is any number. */
	text_copy(item.metric, sizeof item.metric, "free");
	item.sum = item.max = U53_MAX;
	ck_assert(is_metric_billed(1, item));
	item.serial = 2; /* never issued */
	ck_assert(!is_metric_billed(1, item));
}
END_TEST

/* --- what becomes of them ---------------------------------------------------------- */

static int
check_change(void *ctx, const struct row_license_revised *revision)
{
	static const uint32_t wanted[] = { LICENSE_RENEW, LICENSE_SUSPEND,
		LICENSE_RESUME, LICENSE_CANCEL };
	uint64_t *seen = ctx;
	struct arena scratch = { .chunks = NULL };
	struct record_error error = { .reason = "" };
	struct license_change change;
	struct row_account_issuer issuer;
	struct ledger_view *view;

	ck_assert_int_eq(ledger_view_open(&view, world.ledger), 0);
	ck_assert_int_eq(hub_issuer(&issuer, &view->state, 1, &scratch), 0);
	ck_assert_msg(license_change_verify(&change, revision->token.data,
			  revision->token.len, issuer.issuer.data,
			  issuer.issuer.len, root.root_public, "site-1",
			  "default", &scratch, &error) == 0,
	    "%s %s", error.field, error.reason);
	ck_assert_uint_eq(change.what, wanted[*seen]);
	ck_assert_uint_eq(change.revision, ++*seen);
	ledger_view_close(view);
	arena_release(&scratch);
	return 0;
}

START_TEST(each_change_is_a_document_that_its_site_believes)
{
	struct hub_generate request = order("OPP-1");
	struct hub_license_renew renew = { .end_date = WORLD_TODAY + 500 };
	struct hub_license_change change = { .reason = "unpaid" };
	struct ledger_view *view;
	uint64_t seen = 0;

	vouch(30);
	const struct hub_generated *made = ask(OP_HUB_GENERATE, &request, 0);

	memcpy(renew.license_id, made->license_id, 64);
	memcpy(change.license_id, made->license_id, 64);
	ask(OP_HUB_LICENSE_RENEW, &renew, ERR_CONFLICT); /* not issued */
	ask(OP_HUB_LICENSE_SUSPEND, &change, ERR_CONFLICT);
	bind("site-1", "default");
	const struct hub_license_view *now =
	    ask(OP_HUB_LICENSE_RENEW, &renew, 0);

	ck_assert_uint_eq(now->serial, 2);
	now = ask(OP_HUB_LICENSE_RENEW, &renew, 0); /* again: it is so */
	ck_assert_uint_eq(now->serial, 2);
	renew.end_date--;
	ask(OP_HUB_LICENSE_RENEW, &renew, ERR_CONFLICT);
	ask(OP_HUB_LICENSE_SUSPEND, &change, 0);
	now = ask(OP_HUB_LICENSE_SUSPEND, &change, 0);
	ck_assert_uint_eq(now->revisions, 2);
	ask(OP_HUB_LICENSE_RESUME, &change, 0);
	ask(OP_HUB_LICENSE_CANCEL, &change, 0);
	ask(OP_HUB_LICENSE_RESUME, &change, ERR_CONFLICT);
	renew.end_date += 90;
	ask(OP_HUB_LICENSE_RENEW, &renew, ERR_CONFLICT);
	ck_assert_int_eq(ledger_view_open(&view, world.ledger), 0);
	ck_assert_int_eq(hub_each_revision(&view->state, 1, 0, check_change,
			     &seen),
	    0);
	ledger_view_close(view);
	ck_assert_uint_eq(seen, 4);
}
END_TEST

START_TEST(a_contract_near_its_end_goes_on_once)
{
	struct hub_generate request = order("OPP-1");
	struct hub_auto_renew renew = { .order = 1 };
	struct hub_order now;
	struct ledger_view *view;
	uint64_t due[4];
	uint32_t n;

	vouch(3650);
	ask(OP_HUB_GENERATE, &request, 0);
	bind("site-1", "default");
	ck_assert_int_eq(ledger_view_open(&view, world.ledger), 0);
	ck_assert_int_eq(hub_due(due, &n, 4, view, world.now), 0);
	ck_assert_uint_eq(n, 0);
	world.now += 330 * WORLD_DAY;
	ck_assert_int_eq(hub_due(due, &n, 4, view, world.now), 0);
	ck_assert(n == 1 && due[0] == 1);
	ledger_view_close(view);
	ask_as(LEDGER_HUB_RENEW, ACTOR_SITE, &renew, 0);
	uint64_t batches = world_known(&world).batch;

	ask_as(LEDGER_HUB_RENEW, ACTOR_SITE, &renew, 0); /* it has */
	ck_assert_uint_eq(batches, world_known(&world).batch);
	ck_assert_int_eq(ledger_view_open(&view, world.ledger), 0);
	ck_assert_int_eq(hub_order(&now, &view->state, 1, &arena), 0);
	ck_assert_uint_eq(now.serial, 2);
	ck_assert_int_eq(now.contract.start_date, WORLD_TODAY - 10);
	/* Twelve months, with the 29th of February 2028. */
	ck_assert_int_eq(now.contract.end_date, WORLD_TODAY + 354 + 366);
	ledger_view_close(view);
	/* Nobody but the hub itself asks for it. */
	ask(LEDGER_HUB_RENEW, &renew, ERR_FORBIDDEN);
}
END_TEST

static struct tenant_register
registration(const char *tenant, const char *domain)
{
	struct tenant_register out = {
		.company = { "Mercedes-Benz AG", "", "DE", "DE-1" },
		.tenant = { "", "eu", CUSTOMER_STARTUP },
		.admin = { "it@b.example", "Ada Admin" },
	};

	text_copy(out.company.domain, sizeof out.company.domain, domain);
	text_copy(out.tenant.id, sizeof out.tenant.id, tenant);
	return out;
}

static int
pending(struct hub_pending *out, const struct tenant_verify *asked)
{
	struct ledger_view *view;
	struct problem problem;

	ck_assert_int_eq(ledger_view_open(&view, world.ledger), 0);
	int err = hub_pending(out, view, asked, world.now, &arena, &problem);

	ledger_view_close(view);
	return err;
}

START_TEST(a_registration_waits_a_week_and_then_makes_room)
{
	struct tenant_register request =
	    registration("mercedes", "Mercedes.Example");
	struct tenant_verify asked = { .tenant_id = "mercedes" };
	struct hub_pending found;
	const struct tenant_registered *made =
	    ask(OP_TENANT_REGISTER, &request, 0);

	memcpy(asked.verification_token, made->verification_token, 64);
	ck_assert_int_eq(pending(&found, &asked), 0);
	ck_assert_str_eq(found.name, "_leasehold.mercedes.example");
	ck_assert_str_eq(found.text, made->verification.dns_record.value);
	world.now += 7 * WORLD_DAY;
	ck_assert_int_eq(pending(&found, &asked), ERR_GONE);
	ask(OP_TENANT_VERIFY, &asked, ERR_GONE);
	/* Whoever comes now may have the name; the old word is none for it. */
	request = registration("mercedes", "other.example");
	made = ask(OP_TENANT_REGISTER, &request, 0);
	ck_assert_int_eq(pending(&found, &asked), ERR_FORBIDDEN);
	memcpy(asked.verification_token, made->verification_token, 64);
	const struct tenant_verified *done = ask(OP_TENANT_VERIFY, &asked, 0);

	ck_assert_str_eq(done->crm_id, "CUST-00001");
	world.now += 90 * WORLD_DAY;
	ck_assert_int_eq(pending(&found, &asked), 0);
	ck_assert(found.verified);
	ask(OP_TENANT_REGISTER, &request, ERR_CONFLICT);
}
END_TEST

static int32_t
day(const char *text)
{
	int32_t out;

	ck_assert_int_eq(clock_parse_date(&out, text, strlen(text)), 0);
	return out;
}

START_TEST(terms_are_counted_in_whole_months)
{
	static const struct {
		const char *start, *end, *next, *after;
	} cases[] = {
		{ "2025-01-01", "2025-12-31", "2026-12-31", "2027-12-31" },
		{ "2024-01-31", "2024-02-28", "2024-03-30", "2024-04-29" },
		{ "2024-02-29", "2025-02-27", "2026-02-27", "2027-02-27" },
		{ "2026-01-01", "2026-03-31", "2026-06-30", "2026-09-30" },
		{ "2026-05-10", "2026-05-10", "2026-07-09", "2026-08-09" },
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const struct license_contract first = {
			.start_date = day(cases[i].start),
			.end_date = day(cases[i].end),
		};
		struct license_contract now = first;

		now.end_date = hub_next_end(&first, &now);
		ck_assert_msg(now.end_date == day(cases[i].next), "%s",
		    cases[i].start);
		now.end_date = hub_next_end(&first, &now);
		ck_assert_msg(now.end_date == day(cases[i].after), "%s, then",
		    cases[i].start);
	}
}
END_TEST

START_TEST(the_same_commands_give_the_same_journal)
{
	uint8_t heads[2][32];

	for (int i = 0; i < 2; i++) {
		struct hub_generate request = order("OPP-1");
		struct journal_header header;
		struct record_span token;
		struct ledger_view *view;

		if (i > 0) {
			world_free(&world);
			buf_release(&root.issuer);
			world_init(&world, 4711);
			world_vendor_new(&root, &world, "default");
		}
		vouch(30);
		ask(OP_HUB_GENERATE, &request, 0);
		bind("site-1", "default");
		ck_assert_int_eq(ledger_view_open(&view, world.ledger), 0);
		ck_assert_int_eq(ledger_newest(&header, heads[i], &token, view,
				     &arena),
		    0);
		ledger_view_close(view);
	}
	ck_assert_mem_eq(heads[0], heads[1], 32);
}
END_TEST

Suite *
suite(void)
{
	Suite *out = suite_create("hub");
	TCase *tc = tcase_create("account");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, nothing_is_issued_without_the_word_of_the_root_key);
	tcase_add_test(tc, the_word_of_another_vendor_or_root_is_none);
	tcase_add_test(tc, the_same_order_is_one_and_another_is_a_conflict);
	tcase_add_test(tc, an_order_waits_for_its_site_and_not_for_another);
	tcase_add_test(tc, a_site_is_one_customers_and_has_one_key);
	tcase_add_test(tc, a_site_whose_reports_are_refused_waits_its_hour);
	tcase_add_test(tc, a_site_sends_no_more_in_an_hour_than_is_taken);
	tcase_add_test(tc, only_what_was_issued_to_that_site_is_billed);
	tcase_add_test(tc, no_hour_of_a_metric_stops_all_statements);
	tcase_add_test(tc, each_change_is_a_document_that_its_site_believes);
	tcase_add_test(tc, a_contract_near_its_end_goes_on_once);
	tcase_add_test(tc, a_registration_waits_a_week_and_then_makes_room);
	tcase_add_test(tc, terms_are_counted_in_whole_months);
	tcase_add_test(tc, the_same_commands_give_the_same_journal);
	suite_add_tcase(out, tc);
	return out;
}
