/* Invoices and credits of a hub's account: what may be made, and what is told of
 * it, by commands alone. */
#include "appliance/hub/credit.h"
#include "appliance/hub/invoice.h"
#include "appliance/ledger/core.h"
#include "appliance/ledger/ledger_channel.h"
#include "tests/unit/hub_world.h"

static const uint8_t document[] = "{}";

static void
add_customer(void)
{
	struct customer_add add = { .crm_account_id = "ACC-1" };

	text_copy(add.name, sizeof add.name, "Mercedes-Benz AG");
	ask(OP_CUSTOMER_ADD, &add, 0);
}

/* --- invoices ---------------------------------------------------------------------- */

static void
add_channel(void)
{
	struct channel_document books = { .name = "books",
		.url = "https://books.example/hook",
		.secret = "whsec_test" };
	struct buf bytes = { .len = 0 };

	record_write_msgpack(&bytes, &channel_document_record, &books);
	const struct ledger_channel_add add = { CHANNEL_WEBHOOK, ALERT_INFO,
		CHANNEL_INVOICES, { bytes.data, (uint32_t)bytes.len } };
	struct command command =
	    world_command(&world, LEDGER_CHANNEL_ADD, ACTOR_USER, 1, &add);

	ck_assert_int_eq(world_do(&world, &command), 0);
	arena_release(&command.arena);
	buf_release(&bytes);
}

/* What is known of the customer and the month that ended so many days ago, as its
 * invoice is begun. */
static uint64_t
known(int32_t ago)
{
	struct ledger_view *view;
	uint64_t known = 0;

	ck_assert_int_eq(ledger_view_open(&view, world.ledger), 0);
	ck_assert_int_eq(hub_invoice_known(&known, &view->state, "ACC-1",
			     WORLD_TODAY - ago - 27, WORLD_TODAY - ago),
	    0);
	ledger_view_close(view);
	return known;
}

/* Of a month that ended so many days ago. */
static int
invoice(struct billing_invoice_view *out, int32_t ago, bool again,
    uint64_t as_known)
{
	struct hub_invoice_add request = {
		.asked = { .customer_crm_id = "ACC-1",
		    .again = again,
		    .incomplete = true },
		.known = as_known,
		.first = WORLD_TODAY - ago - 27,
		.last = WORLD_TODAY - ago,
		.total = 2700000,
		.currency = "EUR",
		.document = { document, sizeof document - 1 },
	};
	struct command command =
	    world_command(&world, LEDGER_HUB_INVOICE, ACTOR_KEY, 1, &request);
	int err = world_do(&world, &command);

	if (err == 0 && out != NULL)
		memcpy(out, command.said, sizeof *out);
	arena_release(&command.arena);
	return err;
}

struct gathered {
	struct state_delivery items[16];
	size_t n;
};

static int
gather(void *ctx, const struct state_delivery *delivery)
{
	struct gathered *gathered = ctx;

	ck_assert_uint_lt(gathered->n, 16);
	gathered->items[gathered->n++] = *delivery;
	return 0;
}

static struct gathered
outbox(void)
{
	struct gathered gathered = { .n = 0 };
	struct ledger_view *view;

	ck_assert_int_eq(ledger_view_open(&view, world.ledger), 0);
	ck_assert_int_eq(ledger_each_delivery(view, gather, &gathered), 0);
	ledger_view_close(view);
	return gathered;
}

static void
deliver(const struct state_delivery *delivery, bool delivered)
{
	struct ledger_delivered result = {
		.row = delivery->row,
		.channel = delivery->channel,
		.delivered = delivered,
		.error = "it answered 500",
		.due_at = world.now + 5000,
		.attempts_max = 1,
	};
	struct command command =
	    world_command(&world, LEDGER_DELIVERED, ACTOR_SITE, 0, &result);

	memcpy(result.id, delivery->id, sizeof result.id);
	ck_assert_int_eq(world_do(&world, &command), 0);
	arena_release(&command.arena);
}

START_TEST(an_invoice_that_arrived_does_not_wait_with_the_next_one)
{
	struct billing_invoice_view view;

	add_customer();
	add_channel();
	ck_assert_int_eq(invoice(&view, 100, false, known(100)), 0);
	ck_assert_uint_eq(view.state, INVOICE_WAITING);
	struct gathered all = outbox();

	ck_assert_uint_eq(all.n, 1);
	deliver(&all.items[0], true);
	ck_assert_int_eq(invoice(&view, 40, false, known(40)), 0);
	ck_assert_uint_eq(view.state, INVOICE_WAITING);
	all = outbox();
	ck_assert_uint_eq(all.n, 1);
	deliver(&all.items[0], false);
	/* The first arrived, and nothing went wrong with it. */
	ck_assert_int_eq(invoice(&view, 100, false, 0), 0);
	ck_assert_uint_eq(view.invoice, 1);
	ck_assert_uint_eq(view.state, INVOICE_SENT);
	ck_assert_uint_eq(view.attempts, 0);
	ck_assert_str_eq(view.error, "");
	ck_assert_uint_eq(outbox().n, 1);
	/* So it is sent again when somebody asks for it. */
	ck_assert_int_eq(invoice(&view, 100, true, 0), 0);
	ck_assert_uint_eq(view.state, INVOICE_WAITING);
	all = outbox();
	ck_assert_uint_eq(all.n, 2);
	ck_assert_uint_eq(all.items[0].alert, 2);
	ck_assert_uint_eq(all.items[1].alert, 1);
	/* And what waits is owed once. */
	ck_assert_int_eq(invoice(&view, 100, true, 0), 0);
	ck_assert_uint_eq(outbox().n, 2);
}
END_TEST

/* As a report that was taken leaves the site: it ends so many days ago. */
static void
take_report(uint64_t site, uint64_t sequence, int64_t ago)
{
	struct batch *batch = &world.ledger->batch;

	ck_assert_int_eq(batch_begin(batch, world.now), 0);
	struct row *row = batch_row(batch, ROW_REPORT_TAKEN);

	ck_assert_ptr_nonnull(row);
	row->u.report_taken = (struct row_report_taken){
		.site = site,
		.sequence = sequence,
		.time = world.now - ago * WORLD_DAY,
		.receipt = { (const char *)document, sizeof document - 1 },
	};
	ck_assert_int_eq(batch_emit(batch), 0);
	ck_assert_int_eq(batch_seal(batch), 0);
	ck_assert_int_eq(batch_commit(batch), 0);
}

START_TEST(an_invoice_without_the_report_that_came_meanwhile_is_none)
{
	struct billing_invoice_view view;

	vouch(30);
	struct hub_generate request = order("OPP-1");

	ask(OP_HUB_GENERATE, &request, 0);
	bind("site-1", "default");
	uint64_t before = known(40);

	take_report(1, 1, 50);
	ck_assert_int_eq(invoice(NULL, 40, false, before), ERR_BUSY);
	before = known(40);
	take_report(1, 2, 30);
	ck_assert_int_eq(invoice(NULL, 40, false, before), ERR_BUSY);
	/* From then on the site says nothing more of that month. */
	before = known(40);
	take_report(1, 3, 0);
	ck_assert_uint_eq(known(40), before);
	ck_assert_int_eq(invoice(&view, 40, false, before), 0);
	/* Once it is made it stays. */
	ck_assert_int_eq(invoice(&view, 40, false, 0), 0);
	ck_assert_uint_eq(view.invoice, 1);
}
END_TEST

/* --- credits ----------------------------------------------------------------------- */

/* Owed are 100.00 for that license; `alone`: there is no sum of all of them. */
static int
credit(const char *id, const char *license, const char *currency,
    int64_t amount, bool alone)
{
	struct hub_credit request = {
		.asked = { .customer_crm_id = "ACC-1",
		    .amount = amount,
		    .reason = CREDIT_OUTAGE },
		.first = WORLD_TODAY,
		.last = WORLD_TODAY + 20,
		.owed = alone ? 10000 : 20000,
		.owed_license = 10000,
		.alone = alone,
	};

	text_copy(request.asked.credit_id, sizeof request.asked.credit_id, id);
	text_copy(request.asked.license, sizeof request.asked.license, license);
	text_copy(request.asked.currency, sizeof request.asked.currency,
	    currency);
	text_copy(request.currency, sizeof request.currency, currency);
	struct command command =
	    world_command(&world, LEDGER_HUB_CREDIT, ACTOR_KEY, 1, &request);
	int err = world_do(&world, &command);

	arena_release(&command.arena);
	return err;
}

START_TEST(a_credit_in_one_currency_leaves_what_is_owed_in_another)
{
	char euros[64], dollars[64];
	const struct hub_generated *made;

	vouch(30);
	struct hub_generate request = order("OPP-1");

	made = ask(OP_HUB_GENERATE, &request, 0);
	text_copy(euros, sizeof euros, made->license_id);
	request = order("OPP-2");
	text_copy(request.product.id, sizeof request.product.id, "canoe");
	text_copy(request.entitlement.pricing.currency,
	    sizeof request.entitlement.pricing.currency, "USD");
	made = ask(OP_HUB_GENERATE, &request, 0);
	text_copy(dollars, sizeof dollars, made->license_id);
	bind("site-1", "mercedes");
	ck_assert_int_eq(credit("CN-1", euros, "EUR", 8000, true), 0);
	ck_assert_int_eq(credit("CN-2", dollars, "USD", 8000, true), 0);
	/* And no more than what is owed for each. */
	ck_assert_int_eq(credit("CN-3", dollars, "USD", 2001, true),
	    ERR_CONFLICT);
	ck_assert_int_eq(credit("CN-3", dollars, "USD", 2000, true), 0);
	/* Of one currency the sum counts as well. */
	ck_assert_int_eq(credit("CN-4", euros, "EUR", 2001, false),
	    ERR_CONFLICT);
}
END_TEST

/* --- a store that was put back ---------------------------------------------------- */

START_TEST(numbers_that_are_left_out_leave_no_customer_out)
{
	struct ledger_generation back = { .stored = 3,
		.witnessed = 9,
		.counter = 20,
		.reason = "the disk failed" };
	struct customer_add add = { .crm_account_id = "ACC-2" };
	struct hub_billed billed;
	struct ledger_view *view;

	add_customer();
	struct command command =
	    world_command(&world, LEDGER_GENERATION, ACTOR_ADMIN, 1, &back);

	world.now += 1000;
	ck_assert_int_eq(world_do(&world, &command), 0);
	arena_release(&command.arena);
	world.now += 1000;
	text_copy(add.name, sizeof add.name, "Second");
	const struct customer_view *added = ask(OP_CUSTOMER_ADD, &add, 0);

	ck_assert_str_eq(added->platform_customer_id, "CUST-01001");
	text_copy(add.crm_account_id, sizeof add.crm_account_id, "ACC-3");
	added = ask(OP_CUSTOMER_ADD, &add, 0);
	ck_assert_str_eq(added->platform_customer_id, "CUST-01002");
	ck_assert_int_eq(ledger_view_open(&view, world.ledger), 0);
	ck_assert_int_eq(hub_billed(&billed, view, 1), 0);
	ck_assert_uint_eq(billed.number, 1);
	ck_assert_int_eq(hub_billed(&billed, view, 2), 0);
	ck_assert_uint_eq(billed.number, 1001);
	ck_assert_str_eq(billed.crm_account_id, "ACC-2");
	ck_assert_int_eq(hub_billed(&billed, view, 1003),
	    ERR_NOT_FOUND_INTERNAL);
	ledger_view_close(view);
}
END_TEST

Suite *
suite(void)
{
	Suite *suite = suite_create("hub_money");
	TCase *money = tcase_create("money");

	tcase_add_checked_fixture(money, setup, teardown);
	tcase_add_test(money, numbers_that_are_left_out_leave_no_customer_out);
	tcase_add_test(money,
	    an_invoice_that_arrived_does_not_wait_with_the_next_one);
	tcase_add_test(money,
	    an_invoice_without_the_report_that_came_meanwhile_is_none);
	tcase_add_test(money,
	    a_credit_in_one_currency_leaves_what_is_owed_in_another);
	suite_add_tcase(suite, money);
	return suite;
}
