/* What a CRM is told: which changes of an account owe it what, with their rows
 * or not at all, each with one body for as long as it waits. */
#include "appliance/hub/crm.h"
#include "appliance/hub/invoice.h"
#include "appliance/ledger/ledger_channel.h"
#include "shared/base/clock.h"
#include "tests/unit/hub_world.h"

#define NEWS_MAX 64

struct news {
	struct state_delivery items[NEWS_MAX];
	struct crm_event events[NEWS_MAX]; /* as they would go out now */
	char bodies[NEWS_MAX][4096];
	uint32_t lengths[NEWS_MAX];
	size_t n;
};
static struct news news;

static int
gather(void *ctx, const struct state_delivery *delivery)
{
	struct ledger_view *view = ctx;
	struct delivery_job job;
	struct courier_post post;
	struct record_error error;

	ck_assert_uint_lt(news.n, NEWS_MAX);
	ck_assert_int_eq(ledger_delivery_job(&job, view, delivery, world.now,
			     &arena),
	    0);
	ck_assert_int_eq(record_read_msgpack(&post, &courier_post_record,
			     job.payload.data, job.payload.len, NULL, &arena,
			     NULL),
	    0);
	news.items[news.n] = *delivery;
	news.lengths[news.n] = post.body.len;
	if (delivery->of == CHANNEL_CRM) {
		ck_assert(text_copy_n(news.bodies[news.n], sizeof *news.bodies,
		    post.body.data, post.body.len));
		ck_assert_msg(record_read_json(&news.events[news.n],
				  &crm_event_record, post.body.data,
				  post.body.len, &arena, &error) == 0,
		    "%s %s", error.field, error.reason);
	}
	news.n++;
	return 0;
}

static size_t
look(void)
{
	struct ledger_view *view;

	memset(&news, 0, sizeof news);
	ck_assert_int_eq(ledger_view_open(&view, world.ledger), 0);
	ck_assert_int_eq(ledger_each_delivery(view, gather, view), 0);
	ledger_view_close(view);
	return news.n;
}

static uint64_t
add_channel(uint32_t takes)
{
	struct channel_document document = { .name = "crm",
		.url = "https://crm.example/hook",
		.secret = "whsec_test" };
	struct buf bytes = { .len = 0 };

	record_write_msgpack(&bytes, &channel_document_record, &document);
	const struct ledger_channel_add add = { CHANNEL_WEBHOOK, ALERT_INFO,
		takes, { bytes.data, (uint32_t)bytes.len } };
	struct command command =
	    world_command(&world, LEDGER_CHANNEL_ADD, ACTOR_USER, 1, &add);

	ck_assert_int_eq(world_do(&world, &command), 0);
	arena_release(&command.arena);
	buf_release(&bytes);
	return command.reply.channel.channel;
}

static void
came(const struct state_delivery *delivery, bool delivered)
{
	struct ledger_delivered result = {
		.row = delivery->row,
		.channel = delivery->channel,
		.part = delivery->part,
		.delivered = delivered,
		.error = "it answered 500",
		.due_at = world.now + 5000,
		.attempts_max = 1,
	};

	memcpy(result.id, delivery->id, sizeof result.id);
	struct command command =
	    world_command(&world, LEDGER_DELIVERED, ACTOR_SITE, 0, &result);

	ck_assert_int_eq(world_do(&world, &command), 0);
	arena_release(&command.arena);
}

static void
change(uint32_t op)
{
	struct hub_license_change request = { .reason = "Anna said so" };

	text_copy(request.license_id, sizeof request.license_id,
	    "lic-default-mercedes-2026-001");
	ask(op, &request, 0);
}

START_TEST(each_change_of_a_license_is_owed_to_who_takes_such)
{
	static const enum crm_event_kind expected[] = { CRM_LICENSE_GENERATED,
		CRM_LICENSE_PROVISIONED, CRM_LICENSE_SUSPENDED,
		CRM_LICENSE_RESUMED, CRM_LICENSE_RENEWED,
		CRM_LICENSE_CANCELLED };
	struct hub_generate request = order("OPP-1");
	struct hub_license_renew renew = { .end_date = WORLD_TODAY + 700 };

	vouch(3650);
	add_channel(CHANNEL_ALERTS);
	add_channel(CHANNEL_INVOICES);
	const uint64_t channel = add_channel(CHANNEL_CRM);

	ask(OP_HUB_GENERATE, &request, 0);
	ask(OP_HUB_GENERATE, &request, 0); /* again: it is so */
	bind("site-1", "default");
	change(OP_HUB_LICENSE_SUSPEND);
	change(OP_HUB_LICENSE_SUSPEND);
	change(OP_HUB_LICENSE_RESUME);
	text_copy(renew.license_id, sizeof renew.license_id,
	    "lic-default-mercedes-2026-001");
	ask(OP_HUB_LICENSE_RENEW, &renew, 0);
	change(OP_HUB_LICENSE_CANCEL);
	ck_assert_uint_eq(look(), 6);
	for (size_t i = 0; i < news.n; i++) {
		const struct crm_event *event = &news.events[i];

		ck_assert_uint_eq(event->event, expected[i]);
		ck_assert_uint_eq(news.items[i].channel, channel);
		ck_assert_uint_eq(news.items[i].row, event->sequence);
		ck_assert_str_eq(event->crm_account_id, "ACC-1");
		ck_assert_str_eq(event->license.crm_opportunity_id, "OPP-1");
		ck_assert_uint_eq(event->license.serial,
		    i == 0      ? 0
			: i < 4 ? 1
				: 2);
		ck_assert(
		    i == 0 || strcmp(event->id, news.events[i - 1].id) != 0);
		ck_assert_ptr_null(strstr(news.bodies[i], "Anna"));
	}
	ck_assert_uint_eq(news.events[2].license.status, HUB_STATUS_SUSPENDED);
	ck_assert_uint_eq(news.events[5].license.status, HUB_STATUS_CANCELLED);
}
END_TEST

START_TEST(an_event_is_there_exactly_when_its_row_is)
{
	struct hub_generate request = order("OPP-1");

	vouch(30);
	add_channel(CHANNEL_CRM);
	world.fault_step = "commit";
	world.fault_err = ERR_IO;
	ask(OP_HUB_GENERATE, &request, ERR_IO);
	ck_assert_uint_eq(look(), 0);
	ck_assert(!ledger_owes(world.ledger));
	ask(OP_HUB_GENERATE, &request, 0);
	ck_assert(ledger_owes(world.ledger));
	ck_assert(!ledger_owes(world.ledger));
	ck_assert_uint_eq(look(), 1);
}
END_TEST

START_TEST(what_waits_says_what_it_said_and_is_never_given_up)
{
	struct hub_generate request = order("OPP-1");
	static struct news before;

	vouch(30);
	add_channel(CHANNEL_CRM);
	ask(OP_HUB_GENERATE, &request, 0);
	look();
	before = news;
	bind("site-1", "default");
	change(OP_HUB_LICENSE_CANCEL);
	for (int i = 0; i < 50; i++)
		came(&before.items[0], false);
	world_reopen(&world);
	ck_assert_uint_eq(look(), 3);
	ck_assert_uint_eq(news.items[0].state, DELIVERY_WAITS);
	ck_assert_uint_eq(news.items[0].attempts, 50);
	ck_assert_str_eq(news.bodies[0], before.bodies[0]);
	ck_assert_mem_eq(news.items[0].id, before.items[0].id,
	    DELIVERY_ID_BYTES);
	came(&before.items[0], true);
	ck_assert_uint_eq(look(), 2);
	came(&before.items[0], true); /* it came twice */
	ck_assert_uint_eq(look(), 2);
}
END_TEST

START_TEST(every_channel_is_told_the_same_event_and_goes_with_its_own)
{
	struct hub_generate request = order("OPP-1");
	const struct channel_number number = { 1 };

	vouch(30);
	add_channel(CHANNEL_CRM);
	add_channel(CHANNEL_CRM);
	ask(OP_HUB_GENERATE, &request, 0);
	ck_assert_uint_eq(look(), 2);
	ck_assert_str_eq(news.events[0].id, news.events[1].id);
	ck_assert_mem_ne(news.items[0].id, news.items[1].id, DELIVERY_ID_BYTES);
	struct command command =
	    world_command(&world, OP_CHANNEL_REMOVE, ACTOR_USER, 1, &number);

	ck_assert_int_eq(world_do(&world, &command), 0);
	arena_release(&command.arena);
	ck_assert_uint_eq(look(), 1);
	ck_assert_uint_eq(news.items[0].channel, 2);
}
END_TEST

START_TEST(a_contract_that_is_over_is_said_once)
{
	struct hub_generate request = order("OPP-1");
	struct hub_expire expire = { .order = 1 };
	struct hub_license_renew renew = { .end_date = WORLD_TODAY + 700 };
	struct ledger_view *view;
	uint64_t over[4];
	uint32_t n;

	request.contract.auto_renew = false;
	vouch(3650);
	add_channel(CHANNEL_CRM);
	ask(OP_HUB_GENERATE, &request, 0);
	world.now += 355 * WORLD_DAY;
	/* Who was never issued is not over. */
	ask_as(LEDGER_HUB_EXPIRE, ACTOR_SITE, &expire, 0);
	ck_assert_uint_eq(look(), 1);
	world.now -= WORLD_DAY;
	bind("site-1", "default");
	ask_as(LEDGER_HUB_EXPIRE, ACTOR_SITE, &expire, 0); /* not yet */
	ck_assert_uint_eq(look(), 2);
	world.now += WORLD_DAY;
	ck_assert_int_eq(ledger_view_open(&view, world.ledger), 0);
	ck_assert_int_eq(hub_over(over, &n, 4, view, world.now), 0);
	ledger_view_close(view);
	ck_assert(n == 1 && over[0] == 1);
	ask(LEDGER_HUB_EXPIRE, &expire, ERR_FORBIDDEN);
	ask_as(LEDGER_HUB_EXPIRE, ACTOR_SITE, &expire, 0);
	ask_as(LEDGER_HUB_EXPIRE, ACTOR_SITE, &expire, 0);
	ck_assert_uint_eq(look(), 3);
	ck_assert_uint_eq(news.events[2].event, CRM_LICENSE_EXPIRED);
	ck_assert_uint_eq(news.events[2].license.status, HUB_STATUS_EXPIRED);
	ck_assert(news.events[2].automatic && !news.events[1].automatic);
	ck_assert_int_eq(ledger_view_open(&view, world.ledger), 0);
	ck_assert_int_eq(hub_over(over, &n, 4, view, world.now), 0);
	ledger_view_close(view);
	ck_assert_uint_eq(n, 0);
	/* It goes on, and is over again. */
	text_copy(renew.license_id, sizeof renew.license_id,
	    "lic-default-mercedes-2026-001");
	ask(OP_HUB_LICENSE_RENEW, &renew, 0);
	world.now = WORLD_NOW + 701 * WORLD_DAY;
	ask_as(LEDGER_HUB_EXPIRE, ACTOR_SITE, &expire, 0);
	ck_assert_uint_eq(look(), 5);
	ck_assert_uint_eq(news.events[4].event, CRM_LICENSE_EXPIRED);
}
END_TEST

static struct hub_invoice_add
invoice(const char *period, const char *first, const char *last)
{
	struct hub_invoice_add out = { .total = 2700000,
		.currency = "EUR",
		.document = { "{}", 2 } };

	text_copy(out.asked.customer_crm_id, sizeof out.asked.customer_crm_id,
	    "ACC-1");
	text_copy(out.asked.period, sizeof out.asked.period, period);
	out.asked.incomplete = true;
	ck_assert_int_eq(clock_parse_date(&out.first, first, 10), 0);
	ck_assert_int_eq(clock_parse_date(&out.last, last, 10), 0);
	return out;
}

static void
make(const struct hub_invoice_add *asked)
{
	struct command command =
	    world_command(&world, LEDGER_HUB_INVOICE, ACTOR_KEY, 1, asked);

	ck_assert_int_eq(world_do(&world, &command), 0);
	arena_release(&command.arena);
}

static uint32_t
state_of(uint64_t number)
{
	struct ledger_view *view;
	struct hub_invoice found;
	uint32_t waiting;

	ck_assert_int_eq(ledger_view_open(&view, world.ledger), 0);
	ck_assert_int_eq(hub_invoice(&found, &view->state, number, &arena), 0);
	ck_assert_int_eq(delivery_waiting(&waiting, NULL, &view->state,
			     found.owed_by),
	    0);
	ledger_view_close(view);
	return waiting;
}

START_TEST(an_invoice_waits_by_itself_whatever_else_does)
{
	struct hub_generate request = order("OPP-1");
	struct hub_invoice_add march =
	    invoice("2026-03", "2026-03-01", "2026-03-31");
	struct hub_invoice_add april =
	    invoice("2026-04", "2026-04-01", "2026-04-30");

	vouch(30);
	ask(OP_HUB_GENERATE, &request, 0);
	add_channel(CHANNEL_INVOICES);
	add_channel(CHANNEL_CRM);
	make(&march);
	make(&march); /* there is one */
	make(&april);
	ck_assert_uint_eq(look(), 4);
	ck_assert_uint_eq(news.items[0].of, CHANNEL_INVOICES);
	ck_assert_uint_eq(news.events[1].event, CRM_INVOICE_MADE);
	ck_assert_str_eq(news.events[1].invoice.period, "2026-03");
	ck_assert_uint_eq(news.events[3].invoice.invoice, 2);
	ck_assert_int_eq(news.events[3].invoice.total, 2700000);
	ck_assert_uint_eq(state_of(1), 1);
	/* The first was taken: the second and the CRM's are none of it. */
	came(&news.items[0], true);
	ck_assert_uint_eq(state_of(1), 0);
	ck_assert_uint_eq(state_of(2), 1);
}
END_TEST

START_TEST(the_longest_invoice_goes_out)
{
	struct hub_generate request = order("OPP-1");
	struct hub_invoice_add march =
	    invoice("2026-03", "2026-03-01", "2026-03-31");
	static char text[INVOICE_DOCUMENT_MAX];

	memset(text, ' ', sizeof text);
	march.document = (struct record_span){ text, sizeof text };
	vouch(30);
	ask(OP_HUB_GENERATE, &request, 0);
	add_channel(CHANNEL_INVOICES);
	make(&march);
	ck_assert_uint_eq(look(), 1);
	ck_assert_uint_eq(news.lengths[0], INVOICE_DOCUMENT_MAX);
}
END_TEST

START_TEST(an_account_without_a_crm_owes_nothing)
{
	struct hub_generate request = order("OPP-1");

	vouch(30);
	add_channel(CHANNEL_ALERTS);
	ask(OP_HUB_GENERATE, &request, 0);
	ck_assert_uint_eq(look(), 0);
}
END_TEST

Suite *
suite(void)
{
	Suite *out = suite_create("crm");
	TCase *tc = tcase_create("news");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, each_change_of_a_license_is_owed_to_who_takes_such);
	tcase_add_test(tc, an_event_is_there_exactly_when_its_row_is);
	tcase_add_test(tc, what_waits_says_what_it_said_and_is_never_given_up);
	tcase_add_test(tc,
	    every_channel_is_told_the_same_event_and_goes_with_its_own);
	tcase_add_test(tc, a_contract_that_is_over_is_said_once);
	tcase_add_test(tc, an_invoice_waits_by_itself_whatever_else_does);
	tcase_add_test(tc, the_longest_invoice_goes_out);
	tcase_add_test(tc, an_account_without_a_crm_owes_nothing);
	suite_add_tcase(out, tc);
	return out;
}
