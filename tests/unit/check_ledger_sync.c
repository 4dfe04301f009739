/* Reports out of a ledger and receipts into it: what follows for grants, and
 * what is refused whole. */
#include "appliance/ledger/ledger_sync.h"
#include "shared/base/err.h"
#include "shared/base/text.h"
#include "shared/report/box.h"
#include "tests/unit/ledger_world.h"
#include "tests/unit/suite.h"

#define PRODUCT "davinci-configurator-se"
#define DAY_MS INT64_C(86400000)

static struct world world;
static uint64_t device;
static struct buf token, body, file;
static struct report report;
static struct report_finding found;
static struct arena arena;

static void
setup(void)
{
	world_init(&world, 41);
}

static void
teardown(void)
{
	world_check_folded(&world);
	world_free(&world);
	buf_release(&token);
	buf_release(&body);
	buf_release(&file);
	arena_release(&arena);
}

static void
install(uint32_t days, int64_t refresh_by)
{
	struct license license = world_license(&world, PRODUCT, 1, 9);

	license.sync.max_unsynced_days = days;
	license.sync.refresh_by = refresh_by;
	ck_assert_int_eq(world_install(&world, &license), 0);
	device = world_device(&world, "ws-1");
}

static int
checkout(void)
{
	struct checkout asked = world_checkout_body(&world, PRODUCT, "anna");
	struct command command;
	int err = world_checkout(&world, &command, device, &asked);

	arena_release(&command.arena);
	return err;
}

/* The next report, verified as the vendor does that knows nothing yet. */
static void
make_report(void)
{
	const struct report_proof proof = { .clock = world.now };
	struct report_known known = { .site = world.options.site,
		.tenant = world.options.tenant,
		.vendor = "vector" };
	struct report_mark next;
	struct ledger_view *view;
	bool more;

	known.keys = site_keys_one(world.site_public);
	ck_assert_int_eq(ledger_view_open(&view, world.ledger), 0);
	ck_assert_int_eq(sync_build(&token, &body, &report, &next, &more, view,
			     "vector", NULL, &proof, NULL, NULL),
	    0);
	ledger_view_close(view);
	ck_assert_int_eq(report_verify(&found, &known, (char *)token.data,
			     token.len, body.data, body.len, &arena),
	    0);
}

/* The vendor's answer up to a mark. */
static int
answer(const struct report_mark *mark)
{
	struct report_receipt receipt = { .report = mark->sequence,
		.mark = *mark,
		.at = world.now };
	struct sync_token issuer = { { world.vendor.issuer.data,
	    (uint32_t)world.vendor.issuer.len } };
	struct sync_token signed_one;
	struct sync_box box = { .vendor = "vector", .issuers = { &issuer, 1 } };
	struct buf text = { .len = 0 };

	text_copy(receipt.site, 64, world.options.site);
	text_copy(receipt.tenant, 64, world.options.tenant);
	text_copy(receipt.vendor, 64, "vector");
	ck_assert_int_eq(license_document_sign(&text, &report_receipt_record,
			     &receipt, TOKEN_RECEIPT, world.vendor.key_secret),
	    0);
	signed_one.token =
	    (struct record_span){ text.data, (uint32_t)text.len };
	box.receipts = (struct record_list){ &signed_one, 1 };
	memcpy(box.vendor_key, world.vendor.root_public, 32);
	buf_clear(&file);
	ck_assert_int_eq(sync_box_seal(&file, &box, world.site_public), 0);
	buf_release(&text);
	const struct sync_file asked = { { file.data, (uint32_t)file.len } };
	struct command command =
	    world_command(&world, OP_SYNC_IMPORT, ACTOR_ADMIN, 1, &asked);
	int err = world_do(&world, &command);

	arena_release(&command.arena);
	return err;
}

START_TEST(a_report_out_of_a_ledger_holds)
{
	install(0, 0);
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(checkout(), 0);
	make_report();
	ck_assert_int_eq(found.answer, REPORT_TAKEN);
	ck_assert_uint_eq(found.seats, 3);
	ck_assert_uint_eq(found.n_installed, 1);
	ck_assert_int_eq(answer(&found.mark), 0);
	ck_assert_int_eq(checkout(), 0);
	make_report();
	ck_assert_uint_eq(report.sequence, 2);
	ck_assert_uint_eq(report.seats, 1);
}
END_TEST

START_TEST(without_a_receipt_grants_stop_after_the_days_allowed)
{
	install(3, 0);
	ck_assert_int_eq(checkout(), 0);
	world.now += 3 * DAY_MS - 60000;
	ck_assert_int_eq(checkout(), 0);
	world.now += 120000;
	ck_assert_int_eq(checkout(), ERR_LICENSE_SUSPENDED);
	make_report();
	ck_assert_int_eq(answer(&found.mark), 0);
	ck_assert_int_eq(checkout(), 0);
	world.now += 3 * DAY_MS + 60000;
	ck_assert_int_eq(checkout(), ERR_LICENSE_SUSPENDED);
	/* An old receipt is no news. */
	ck_assert_int_eq(answer(&found.mark), 0);
	ck_assert_int_eq(checkout(), ERR_LICENSE_SUSPENDED);
}
END_TEST

START_TEST(a_license_that_was_to_be_renewed_grants_nothing)
{
	install(0, world.now + DAY_MS);
	ck_assert_int_eq(checkout(), 0);
	world.now += DAY_MS;
	ck_assert_int_eq(checkout(), ERR_LICENSE_SUSPENDED);
	make_report();
	ck_assert_int_eq(answer(&found.mark), 0);
	ck_assert_int_eq(checkout(), ERR_LICENSE_SUSPENDED);
	/* The next edition says when it is to be renewed in turn. */
	struct license license = world_license(&world, PRODUCT, 1, 9);

	license.serial = 2;
	license.sync.refresh_by = world.now + DAY_MS;
	ck_assert_int_eq(world_install(&world, &license), 0);
	ck_assert_int_eq(checkout(), 0);
}
END_TEST

START_TEST(a_receipt_of_another_journal_is_refused)
{
	uint8_t before[32], after[32];

	install(0, 0);
	ck_assert_int_eq(checkout(), 0);
	make_report();
	world_state_hash(before, &world);
	struct report_mark mark = found.mark;

	mark.head[0] ^= 1;
	ck_assert_int_eq(answer(&mark), ERR_ROLLED_BACK);
	mark.batch += 1000;
	ck_assert_int_eq(answer(&mark), ERR_ROLLED_BACK);
	world_state_hash(after, &world);
	ck_assert_mem_eq(before, after, 32);
	ck_assert_int_eq(answer(&found.mark), 0);
}
END_TEST

Suite *
suite(void)
{
	Suite *suite = suite_create("ledger_sync");
	TCase *tcase = tcase_create("ledger_sync");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, a_report_out_of_a_ledger_holds);
	tcase_add_test(tcase,
	    without_a_receipt_grants_stop_after_the_days_allowed);
	tcase_add_test(tcase, a_license_that_was_to_be_renewed_grants_nothing);
	tcase_add_test(tcase, a_receipt_of_another_journal_is_refused);
	suite_add_tcase(suite, tcase);
	return suite;
}
