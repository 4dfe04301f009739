/* Alerts in the core: one for one subject, counted, acknowledged, closed; and
 * the bounds at which what is measured becomes one. */
#include "appliance/ledger/alert_words.h"
#include "appliance/ledger/alerts.h"
#include "tests/unit/ledger_world.h"
#include "tests/unit/suite.h"

#include <string.h>

static struct world world;

static void
set_up(void)
{
	ck_assert(sodium_init() >= 0);
	world_init(&world, 91);
}

static void
tear_down(void)
{
	world_free(&world);
}

static uint64_t
say(const struct ledger_alert *alert)
{
	struct command command =
	    world_command(&world, LEDGER_ALERT, ACTOR_SITE, 0, alert);

	ck_assert_int_eq(world_do(&world, &command), 0);
	arena_release(&command.arena);
	return command.reply.alert.alert;
}

static struct ledger_alert
of_key(uint64_t key, uint64_t count)
{
	struct ledger_alert alert = {
		.subject = { ALERT_UNKNOWN_ADDRESS, ALERT_OF_KEY, key, 0 },
		.address = "192.0.2.7",
		.host = "build-7",
		.count = count,
		.first_at = world.now,
		.last_at = world.now,
	};

	return alert;
}

static int
acknowledge(uint64_t number, uint32_t kind)
{
	const struct alert_number request = { number };
	struct command command =
	    world_command(&world, OP_ALERT_ACKNOWLEDGE, kind, 1, &request);
	int err = world_do(&world, &command);

	arena_release(&command.arena);
	return err;
}

static void
show(struct alert_view *out, uint64_t number)
{
	const struct alert_number request = { number };
	struct arena arena = { 0 };
	struct problem problem;
	struct ledger_view *view;

	ck_assert_int_eq(ledger_view_open(&view, world.ledger), 0);
	ck_assert_int_eq(ledger_query(out, view, OP_ALERT_SHOW, &request,
			     world.now, &arena, &problem),
	    0);
	ledger_view_close(view);
	arena_release(&arena);
}

static uint32_t
listed(bool all)
{
	const struct alert_query request = { .all = all };
	struct arena arena = { 0 };
	struct alert_page page;
	struct problem problem;
	struct ledger_view *view;

	ck_assert_int_eq(ledger_view_open(&view, world.ledger), 0);
	ck_assert_int_eq(ledger_query(&page, view, OP_ALERT_LIST, &request,
			     world.now, &arena, &problem),
	    0);
	ledger_view_close(view);
	arena_release(&arena);
	return page.items.count;
}

/* The site at a glance, its worst alerts copied. */
static uint64_t
glance(struct alert_view worst[SITE_WORST_MAX], uint32_t *n)
{
	const struct empty nothing = { 0 };
	struct arena arena = { 0 };
	struct site_view site;
	struct problem problem;
	struct ledger_view *view;

	ck_assert_int_eq(ledger_view_open(&view, world.ledger), 0);
	ck_assert_int_eq(ledger_query(&site, view, OP_SITE_SHOW, &nothing,
			     world.now, &arena, &problem),
	    0);
	*n = site.worst.count;
	ck_assert_uint_le(*n, SITE_WORST_MAX);
	if (*n > 0)
		memcpy(worst, site.worst.items, *n * sizeof(*worst));
	ledger_view_close(view);
	arena_release(&arena);
	return site.alerts;
}

START_TEST(the_worst_that_nobody_has_seen_come_first)
{
	struct ledger_alert disk = {
		.subject = { ALERT_DISK, ALERT_OF_SITE, 0, 0 },
		.count = 1,
	};
	struct alert_view worst[SITE_WORST_MAX];
	uint64_t first, last = 0;
	uint32_t n;

	ck_assert_uint_eq(glance(worst, &n), 0);
	ck_assert_uint_eq(n, 0);
	disk.first_at = disk.last_at = world.now;
	first = say(&disk);
	for (uint64_t key = 1; key <= 5; key++) {
		struct ledger_alert alert = of_key(key, 1);

		alert.last_at += (int64_t)key;
		last = say(&alert);
	}
	ck_assert_uint_eq(glance(worst, &n), 6);
	ck_assert_uint_eq(n, SITE_WORST_MAX);
	ck_assert_uint_eq(worst[0].alert, first);
	ck_assert_uint_eq(worst[0].severity, ALERT_CRITICAL);
	ck_assert_uint_eq(worst[1].alert, last);
	ck_assert_uint_eq(worst[2].alert, last - 1);
	ck_assert_str_eq(worst[1].answer, "leasehold key revoke key-5");
	/* What was seen is no news. */
	ck_assert_int_eq(acknowledge(first, ACTOR_KEY), 0);
	ck_assert_uint_eq(glance(worst, &n), 5);
	ck_assert_uint_eq(worst[0].alert, last);
}
END_TEST

START_TEST(what_happens_again_is_counted_in_the_open_alert)
{
	struct ledger_alert alert = of_key(7, 3);
	struct alert_view view;

	ck_assert_uint_eq(say(&alert), 1);
	world.now += 60000;
	alert = of_key(7, 4);
	ck_assert_uint_eq(say(&alert), 1);
	alert = of_key(8, 1);
	ck_assert_uint_eq(say(&alert), 2);
	show(&view, 1);
	ck_assert_uint_eq(view.count, 7);
	ck_assert_int_eq(view.last_at, world.now);
	ck_assert_int_eq(view.first_at, world.now - 60000);
	ck_assert_str_eq(view.about, "key-7");
	ck_assert_str_eq(view.address, "192.0.2.7");
	ck_assert_str_eq(view.answer, "leasehold key revoke key-7");
	ck_assert_uint_eq(listed(false), 2);
}
END_TEST

START_TEST(acknowledged_alert_is_counted_on_and_closed_one_is_opened_anew)
{
	struct ledger_alert alert = of_key(7, 1);
	struct alert_view view;

	say(&alert);
	ck_assert_int_eq(acknowledge(1, ACTOR_USER), 0);
	ck_assert_int_eq(acknowledge(1, ACTOR_USER), 0);
	show(&view, 1);
	ck_assert_uint_eq(view.state, ALERT_ACKNOWLEDGED);
	ck_assert_uint_eq(view.by.kind, ACTOR_USER);
	ck_assert_uint_eq(say(&alert), 1);
	alert.count = 0;
	alert.over = true;
	alert.why = ALERT_QUIET;
	ck_assert_uint_eq(say(&alert), 0);
	ck_assert_uint_eq(say(&alert), 0); /* it is over already */
	show(&view, 1);
	ck_assert_uint_eq(view.state, ALERT_CLOSED);
	ck_assert_int_eq(acknowledge(1, ACTOR_USER), ERR_GONE);
	ck_assert_uint_eq(listed(false), 0);
	ck_assert_uint_eq(listed(true), 1);
	alert = of_key(7, 1);
	ck_assert_uint_eq(say(&alert), 2);
}
END_TEST

START_TEST(only_an_admin_acknowledges_and_only_what_is_there)
{
	struct ledger_alert alert = of_key(7, 1);

	say(&alert);
	ck_assert_int_eq(acknowledge(2, ACTOR_ADMIN), ERR_NOT_FOUND);
	ck_assert_int_eq(acknowledge(1, ACTOR_DEVICE), ERR_FORBIDDEN);
	ck_assert_int_eq(acknowledge(1, ACTOR_KEY), 0);
}
END_TEST

START_TEST(what_began_and_ended_while_nothing_could_be_written_is_both)
{
	struct ledger_alert alert = of_key(7, 2);
	struct alert_view view;

	alert.over = true;
	ck_assert_uint_eq(say(&alert), 0);
	show(&view, 1);
	ck_assert_uint_eq(view.state, ALERT_CLOSED);
	ck_assert_uint_eq(view.count, 2);
}
END_TEST

START_TEST(old_closed_alerts_are_forgotten_and_open_ones_never)
{
	struct ledger_alert first = of_key(7, 1);
	struct ledger_alert alert = of_key(8, 1);
	struct alert_view view;

	say(&first);
	alert.over = true;
	for (int i = 0; i < ALERTS_KEPT + 20; i++)
		say(&alert);
	show(&view, 1);
	ck_assert_uint_eq(view.state, ALERT_OPEN);
	first.count = 0;
	first.over = true;
	say(&first);
	struct arena arena = { 0 };
	struct problem problem;
	struct ledger_view *at;
	const struct alert_number gone = { 1 };

	ck_assert_int_eq(ledger_view_open(&at, world.ledger), 0);
	ck_assert_int_eq(ledger_query(&view, at, OP_ALERT_SHOW, &gone,
			     world.now, &arena, &problem),
	    ERR_NOT_FOUND);
	ledger_view_close(at);
	arena_release(&arena);
	alert.over = false;
	ck_assert_uint_eq(say(&alert), ALERTS_KEPT + 22);
}
END_TEST

START_TEST(folding_the_journal_gives_the_same_alerts)
{
	struct ledger_alert alert = of_key(7, 1);
	struct ledger_options to = world.options;
	char path[128];
	uint8_t before[32], after[32], head[32];
	struct journal_header header;
	struct ledger_view *view;
	struct ledger *copy;

	say(&alert);
	say(&alert);
	acknowledge(1, ACTOR_USER);
	alert = of_key(9, 1);
	alert.over = true;
	say(&alert);
	snprintf(path, sizeof path, "%s/folded", world.dir);
	to.path = path;
	to.fault = NULL;
	ck_assert_int_eq(ledger_view_open(&view, world.ledger), 0);
	ck_assert_int_eq(ledger_state_hash(before, &header, head, view), 0);
	ck_assert_int_eq(ledger_refold(view, &to), 0);
	ledger_view_close(view);
	ck_assert_int_eq(ledger_open(&copy, &to), 0);
	ck_assert_int_eq(ledger_view_open(&view, copy), 0);
	ck_assert_int_eq(ledger_state_hash(after, &header, head, view), 0);
	ledger_view_close(view);
	ledger_close(copy);
	world_remove(path);
	ck_assert_mem_eq(before, after, sizeof before);
}
END_TEST

START_TEST(figure_at_its_bound_does_not_flap)
{
	ck_assert(!alert_crosses(false, 69, 70, 65));
	ck_assert(alert_crosses(false, 70, 70, 65));
	ck_assert(alert_crosses(true, 69, 70, 65));
	ck_assert(alert_crosses(true, 65, 70, 65));
	ck_assert(!alert_crosses(true, 64, 70, 65));
}
END_TEST

START_TEST(contract_is_told_a_month_a_week_and_a_day_before_its_end)
{
	ck_assert_int_eq(alert_license_stage(31 * WORLD_DAY), -1);
	ck_assert_int_eq(alert_license_stage(30 * WORLD_DAY), 30);
	ck_assert_int_eq(alert_license_stage(7 * WORLD_DAY + 1), 30);
	ck_assert_int_eq(alert_license_stage(7 * WORLD_DAY), 7);
	ck_assert_int_eq(alert_license_stage(WORLD_DAY), 1);
	ck_assert_int_eq(alert_license_stage(1), 1);
	ck_assert_int_eq(alert_license_stage(0), 0);
	ck_assert_int_eq(alert_license_stage(-WORLD_DAY), 0);
}
END_TEST

START_TEST(each_quota_says_what_it_limits_and_what_raises_it)
{
	static const struct {
		uint32_t stage, severity;
		const char *text, *answer;
	} cases[] = {
		{ 80, ALERT_WARNING,
		    "tenant acme has used 80 % of its 5 requests of today: 4",
		    "leasehold tenant set acme --calls-per-day N" },
		{ 1080, ALERT_WARNING,
		    "tenant acme has used 80 % of its 5 devices: 4",
		    "leasehold tenant set acme --devices N" },
		{ 2100, ALERT_CRITICAL,
		    "tenant acme has used 100 % of its 5 API keys: 4",
		    "leasehold tenant set acme --keys N" },
		{ 3080, ALERT_WARNING,
		    "tenant acme has used 80 % of its 5 users: 4",
		    "leasehold tenant set acme --users N" },
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct alert_view view = { .count = 1 };
		const struct alert_subject subject = { ALERT_QUOTA,
			ALERT_OF_TENANT, 0, cases[i].stage };

		alert_words(&view, &subject, 4, 5, "acme");
		ck_assert_uint_eq(view.severity, cases[i].severity);
		ck_assert_str_eq(view.text, cases[i].text);
		ck_assert_str_eq(view.answer, cases[i].answer);
	}
}
END_TEST

START_TEST(every_kind_has_words_and_strangers_end_no_line)
{
	for (uint32_t kind = 0; kind < ALERT_KINDS; kind++) {
		struct alert_view view = { .count = 1 };
		const struct alert_subject subject = { kind, ALERT_OF_KEY, 7,
			80 };

		strcpy(view.host, "x\r\nALERT: \x1b[2J");
		strcpy(view.address,
		    "\xe2\x80\xae"
		    "7.0.0.1");
		alert_words(&view, &subject, 80, 100, "default");
		ck_assert_uint_gt(strlen(view.text), 10);
		ck_assert_ptr_null(strpbrk(view.text, "\r\n\x1b"));
		ck_assert_ptr_null(strpbrk(view.host, "\r\n\x1b"));
		ck_assert_str_eq(view.address, "???7.0.0.1");
	}
}
END_TEST

Suite *
suite(void)
{
	Suite *suite = suite_create("alert");
	TCase *tcase = tcase_create("alert");

	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, the_worst_that_nobody_has_seen_come_first);
	tcase_add_test(tcase, what_happens_again_is_counted_in_the_open_alert);
	tcase_add_test(tcase,
	    acknowledged_alert_is_counted_on_and_closed_one_is_opened_anew);
	tcase_add_test(tcase,
	    only_an_admin_acknowledges_and_only_what_is_there);
	tcase_add_test(tcase,
	    what_began_and_ended_while_nothing_could_be_written_is_both);
	tcase_add_test(tcase,
	    old_closed_alerts_are_forgotten_and_open_ones_never);
	tcase_add_test(tcase, folding_the_journal_gives_the_same_alerts);
	tcase_add_test(tcase,
	    each_quota_says_what_it_limits_and_what_raises_it);
	tcase_add_test(tcase, figure_at_its_bound_does_not_flap);
	tcase_add_test(tcase,
	    contract_is_told_a_month_a_week_and_a_day_before_its_end);
	tcase_add_test(tcase, every_kind_has_words_and_strangers_end_no_line);
	suite_add_tcase(suite, tcase);
	return suite;
}
