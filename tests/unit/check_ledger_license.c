/* Licenses: which may be installed, what a renewal changes. */
#include "tests/unit/ledger_world.h"
#include "tests/unit/suite.h"

#define PRODUCT "davinci-configurator-se"

static struct world world;
static struct license license;

static void
setup(void)
{
	world_init(&world, 2);
	license = world_license(&world, PRODUCT, 2, 2);
}

static void
teardown(void)
{
	world_check(&world);
	world_free(&world);
}

/* Install the license as it is now. */
static int
install(void)
{
	return world_install(&world, &license);
}

static int
install_words(char detail[256])
{
	struct command command;
	int err = world_install_by(&world, &command, &license, &world.vendor);

	memcpy(detail, command.problem.detail, 256);
	return err;
}

START_TEST(an_installed_license_shows_its_terms_and_use)
{
	ck_assert_int_eq(install(), 0);
	struct license_view view = world_usage(&world, 1);

	ck_assert_str_eq(view.license_id, "lic-" PRODUCT);
	ck_assert_str_eq(view.state, "active");
	ck_assert_uint_eq(view.entitlement.total_licenses, 4);
	ck_assert_uint_eq(view.used_commit, 0);
	world.now += 400 * WORLD_DAY;
	ck_assert_str_eq(world_usage(&world, 1).state, "expired");
}
END_TEST

START_TEST(a_license_for_another_site_tenant_or_key_is_refused)
{
	char detail[256];

	snprintf(license.site, sizeof license.site, "site-other");
	ck_assert_int_eq(install_words(detail), ERR_MISMATCH);
	ck_assert_ptr_nonnull(strstr(detail, "site"));
	license = world_license(&world, PRODUCT, 2, 2);
	snprintf(license.tenant, sizeof license.tenant, "other");
	ck_assert_int_eq(install(), ERR_MISMATCH);
	license = world_license(&world, PRODUCT, 2, 2);
	license.site_key[0] ^= 1;
	ck_assert_int_eq(install(), ERR_MISMATCH);
}
END_TEST

/* The kid in a footer is only a word: somebody else's issuing key under the
 * vendor's root id must not pass. */
START_TEST(an_issuer_that_the_root_did_not_sign_is_refused)
{
	struct world_vendor pirate;
	struct license_issuer issuer = { .not_before = 0,
		.not_after = WORLD_NOW + WORLD_DAY };
	struct buf forged = { .len = 0 }, payload = { .len = 0 };
	struct command command;

	world_vendor_new(&pirate, &world, world.vendor.id);
	issuer.vendor = license.vendor;
	memcpy(issuer.key, pirate.key_public, sizeof issuer.key);
	record_write_json(&payload, &license_issuer_record, &issuer);
	char kid[TOKEN_KID_TEXT], footer[96];

	token_key_id(kid, world.vendor.root_public);
	snprintf(footer, sizeof footer, "{\"kid\":\"%s\"}", kid);
	const char *implicit = token_kind_assertion(TOKEN_ISSUER);

	ck_assert_int_eq(token_sign_raw(&forged, payload.data, payload.len,
			     footer, strlen(footer), implicit, strlen(implicit),
			     pirate.root_secret),
	    0);
	buf_release(&pirate.issuer);
	pirate.issuer = forged;
	memcpy(pirate.root_public, world.vendor.root_public, 32);
	ck_assert_int_eq(world_install_by(&world, &command, &license, &pirate),
	    ERR_BAD_SIGNATURE);
	ck_assert_uint_eq(world_known(&world).batch, 0);
	buf_release(&pirate.issuer);
	buf_release(&payload);
}
END_TEST

START_TEST(an_altered_license_is_refused)
{
	struct buf token = { .len = 0 };
	struct license_install request = {
		.issuer = { world.vendor.issuer.data,
		    (uint32_t)world.vendor.issuer.len },
	};

	ck_assert_int_eq(license_document_sign(&token, &license_record,
			     &license, TOKEN_LICENSE, world.vendor.key_secret),
	    0);
	memcpy(request.vendor_key, world.vendor.root_public,
	    sizeof request.vendor_key);
	token.data[40] ^= 1;
	request.license =
	    (struct record_span){ token.data, (uint32_t)token.len };
	struct command command =
	    world_command(&world, OP_LICENSE_INSTALL, ACTOR_ADMIN, 1, &request);

	ck_assert_int_ne(world_do(&world, &command), 0);
	ck_assert_uint_gt(strlen(command.problem.detail), 0);
	arena_release(&command.arena);
	buf_release(&token);
	ck_assert_uint_eq(world_known(&world).batch, 0);
}
END_TEST

START_TEST(an_expired_contract_is_not_installed)
{
	license.contract.start_date = WORLD_TODAY - 30;
	license.contract.end_date = WORLD_TODAY - 1;
	char detail[256];

	ck_assert_int_eq(install_words(detail), ERR_LICENSE_EXPIRED);
	ck_assert_ptr_nonnull(strstr(detail, "2026-05-"));
}
END_TEST

START_TEST(a_contract_to_come_is_installed_and_grants_from_its_first_day)
{
	license.contract.start_date = WORLD_TODAY + 10;
	ck_assert_int_eq(install(), 0);
	uint64_t device = world_device(&world, "ws-1");

	ck_assert_str_eq(world_usage(&world, 1).state, "not_yet");
	struct checkout body = world_checkout_body(&world, PRODUCT, "bob");
	struct command command;

	ck_assert_int_eq(world_checkout(&world, &command, device, &body),
	    ERR_LICENSE_EXPIRED);
	arena_release(&command.arena);
	world.now = (int64_t)(WORLD_TODAY + 10) * WORLD_DAY;
	ck_assert_uint_eq(world_lease(&world, device, PRODUCT), 1);
}
END_TEST

START_TEST(a_higher_serial_replaces_and_leases_stay)
{
	ck_assert_int_eq(install(), 0);
	uint64_t device = world_device(&world, "ws-1");

	for (int i = 0; i < 3; i++)
		ck_assert_uint_ne(world_lease(&world, device, PRODUCT), 0);
	license.serial = 2;
	license.entitlement.commit_qty = 4;
	license.entitlement.total_licenses = 6;
	ck_assert_int_eq(install(), 0);
	struct license_view view = world_usage(&world, 1);

	ck_assert_uint_eq(view.serial, 2);
	ck_assert_uint_eq(view.used_commit, 2);
	/* What was overage stays overage: it was billed. */
	ck_assert_uint_eq(view.used_overage, 1);
	ck_assert_uint_ne(world_lease(&world, device, PRODUCT), 0);
	ck_assert_uint_eq(world_usage(&world, 1).used_commit, 3);
}
END_TEST

START_TEST(the_same_or_a_lower_serial_is_a_conflict)
{
	char detail[256];

	license.serial = 5;
	ck_assert_int_eq(install(), 0);
	ck_assert_int_eq(install_words(detail), ERR_CONFLICT);
	ck_assert_ptr_nonnull(strstr(detail, "is installed already"));
	license.serial = 4;
	ck_assert_int_eq(install_words(detail), ERR_CONFLICT);
	ck_assert_ptr_nonnull(strstr(detail, "serial 5; this one has 4"));
}
END_TEST

START_TEST(fewer_seats_than_are_held_take_none_and_grant_none)
{
	ck_assert_int_eq(install(), 0);
	uint64_t device = world_device(&world, "ws-1");
	uint64_t lease[4];

	for (int i = 0; i < 4; i++)
		lease[i] = world_lease(&world, device, PRODUCT);
	license.serial = 2;
	license.entitlement.commit_qty = 1;
	license.entitlement.max_overage = 1;
	license.entitlement.total_licenses = 2;
	ck_assert_int_eq(install(), 0);
	ck_assert_int_eq(world_return(&world, device, lease[0]), 0);
	ck_assert_int_eq(world_return(&world, device, lease[1]), 0);
	/* Two are held still, though the two lowest slots are free. */
	ck_assert_uint_eq(world_lease(&world, device, PRODUCT), 0);
	ck_assert_int_eq(world_return(&world, device, lease[2]), 0);
	ck_assert_uint_ne(world_lease(&world, device, PRODUCT), 0);
}
END_TEST

START_TEST(another_license_for_the_same_product_is_a_conflict)
{
	char detail[256];

	ck_assert_int_eq(install(), 0);
	snprintf(license.license_id, sizeof license.license_id, "lic-other");
	ck_assert_int_eq(install_words(detail), ERR_CONFLICT);
	ck_assert_ptr_nonnull(strstr(detail, "lic-" PRODUCT));
}
END_TEST

START_TEST(a_license_id_does_not_move_to_another_product)
{
	ck_assert_int_eq(install(), 0);
	snprintf(license.product.id, sizeof license.product.id, "canoe");
	license.serial = 2;
	ck_assert_int_eq(install(), ERR_CONFLICT);
}
END_TEST

START_TEST(a_vendor_is_known_by_its_first_root_key)
{
	struct world_vendor fake;
	struct command command;

	ck_assert_int_eq(install(), 0);
	world_vendor_new(&fake, &world, "vector");
	snprintf(license.product.id, sizeof license.product.id, "canoe");
	snprintf(license.license_id, sizeof license.license_id, "lic-canoe");
	ck_assert_int_eq(world_install_by(&world, &command, &license, &fake),
	    ERR_CONFLICT);
	ck_assert_ptr_nonnull(strstr(command.problem.detail, "k4.pid."));
	ck_assert_int_eq(install(), 0);
	buf_release(&fake.issuer);
}
END_TEST

START_TEST(two_vendors_live_side_by_side)
{
	struct world_vendor other;
	struct command command;

	ck_assert_int_eq(install(), 0);
	world_vendor_new(&other, &world, "etas");
	license = world_license(&world, "inca", 1, 0);
	snprintf(license.vendor.id, sizeof license.vendor.id, "etas");
	ck_assert_int_eq(world_install_by(&world, &command, &license, &other),
	    0);
	ck_assert_uint_eq(command.reply.license.license, 2);
	/* But one product has one vendor. */
	license = world_license(&world, PRODUCT, 1, 0);
	snprintf(license.vendor.id, sizeof license.vendor.id, "etas");
	license.serial = 9;
	ck_assert_int_eq(world_install_by(&world, &command, &license, &other),
	    ERR_CONFLICT);
	buf_release(&other.issuer);
}
END_TEST

/* The file of a license by the digest that a lease names. */
static int
get_file(const uint8_t digest[32], uint32_t *len)
{
	struct license_ref ref;
	struct license_file file;
	struct problem problem;
	struct arena arena = { .chunks = NULL };
	struct ledger_view *view;

	memcpy(ref.digest, digest, 32);
	ck_assert_int_eq(ledger_view_open(&view, world.ledger), 0);
	int err = ledger_query(&file, view, OP_LICENSE_GET, &ref, world.now,
	    &arena, &problem);

	*len = file.license.len;
	ledger_view_close(view);
	arena_release(&arena);
	return err;
}

START_TEST(a_replaced_license_is_still_there_for_its_leases)
{
	uint8_t digest[32];
	uint32_t len = 0;

	ck_assert_int_eq(install(), 0);
	memcpy(digest, world_usage(&world, 1).digest, 32);
	license.serial = 2;
	ck_assert_int_eq(install(), 0);
	ck_assert_mem_ne(digest, world_usage(&world, 1).digest, 32);
	ck_assert_int_eq(get_file(digest, &len), 0);
	ck_assert_uint_gt(len, 100);
	digest[0] ^= 1;
	ck_assert_int_eq(get_file(digest, &len), ERR_NOT_FOUND);
}
END_TEST

START_TEST(a_failed_renewal_changes_nothing_that_is_remembered)
{
	ck_assert_int_eq(install(), 0);
	uint64_t device = world_device(&world, "ws-1");

	ck_assert_uint_ne(world_lease(&world, device, PRODUCT), 0);
	license.serial = 2;
	license.entitlement.commit_qty = 1;
	license.entitlement.max_overage = 0;
	license.entitlement.total_licenses = 1;
	world.fault_step = "commit";
	world.fault_err = ERR_IO;
	ck_assert_int_eq(install(), ERR_IO);
	ck_assert_uint_ne(world_lease(&world, device, PRODUCT), 0);
	ck_assert_uint_eq(world_usage(&world, 1).used_commit, 2);
}
END_TEST

Suite *
suite(void)
{
	Suite *s = suite_create("ledger_license");
	TCase *t = tcase_create("ledger_license");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, an_installed_license_shows_its_terms_and_use);
	tcase_add_test(t, a_license_for_another_site_tenant_or_key_is_refused);
	tcase_add_test(t, an_altered_license_is_refused);
	tcase_add_test(t, an_issuer_that_the_root_did_not_sign_is_refused);
	tcase_add_test(t, an_expired_contract_is_not_installed);
	tcase_add_test(t,
	    a_contract_to_come_is_installed_and_grants_from_its_first_day);
	tcase_add_test(t, a_higher_serial_replaces_and_leases_stay);
	tcase_add_test(t, the_same_or_a_lower_serial_is_a_conflict);
	tcase_add_test(t, fewer_seats_than_are_held_take_none_and_grant_none);
	tcase_add_test(t, another_license_for_the_same_product_is_a_conflict);
	tcase_add_test(t, a_license_id_does_not_move_to_another_product);
	tcase_add_test(t, a_vendor_is_known_by_its_first_root_key);
	tcase_add_test(t, two_vendors_live_side_by_side);
	tcase_add_test(t, a_replaced_license_is_still_there_for_its_leases);
	tcase_add_test(t, a_failed_renewal_changes_nothing_that_is_remembered);
	suite_add_tcase(s, t);
	return s;
}
