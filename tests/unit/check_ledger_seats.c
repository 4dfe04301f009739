/* Seats of features, and several in one lease: who gets which, what is refused,
 * and what a renewal does to them. */
#include "shared/journal/rows.h"
#include "tests/unit/ledger_world.h"
#include "tests/unit/suite.h"

#define PRODUCT "davinci"

static struct world world;
static uint64_t device;
static struct license license;
static struct license_feature features[3];
static struct command command; /* the last checkout */
static struct row row; /* and its grant */
static struct arena arena;
static uint64_t leases[64];

static struct license_feature
feature(const char *id, uint32_t commit, uint32_t overage)
{
	struct license_feature f = { .total_licenses = commit + overage,
		.commit_qty = commit,
		.max_overage = overage,
		.overage_per_use = 12050,
		.currency = "EUR" };

	snprintf(f.id, sizeof f.id, "%s", id);
	return f;
}

/* A license or, from the second time on, its renewal. */
static void
install(uint32_t commit, uint32_t overage, uint32_t n_features)
{
	uint64_t serial = license.serial;

	license = world_license(&world, PRODUCT, commit, overage);
	license.serial = serial + 1;
	license.features = (struct record_list){ features, n_features };
	ck_assert_int_eq(world_install(&world, &license), 0);
}

static void
setup(void)
{
	world_init(&world, 41);
	device = world_device(&world, "ws-1");
	memset(&license, 0, sizeof license);
	features[0] = feature("autosar", 2, 3);
	features[1] = feature("calibration", 3, 0);
	features[2] = feature("tracing", 0, 4);
	install(4, 4, 2);
}

static void
teardown(void)
{
	arena_release(&command.arena);
	arena_release(&arena);
	world_free(&world);
}

static int
ask_with(const char *of, uint32_t count, uint32_t reserved)
{
	struct checkout body = world_checkout_body(&world, PRODUCT, "alice");

	snprintf(body.feature, sizeof body.feature, "%s", of);
	body.count = count;
	arena_release(&command.arena);
	arena_release(&arena);
	command = world_command(&world, OP_LEASE_CHECKOUT, ACTOR_DEVICE, device,
	    &body);
	command.reserved = reserved;
	int err = world_do(&world, &command);

	command.request = NULL;
	if (err == 0)
		ck_assert_int_eq(row_read(&row,
				     command.reply.checkout.row_number,
				     command.reply.checkout.row.data,
				     command.reply.checkout.row.len, &arena),
		    0);
	return err;
}

static int
ask(const char *of, uint32_t count)
{
	return ask_with(of, count, 0);
}

static const struct row_lease_granted *
granted(void)
{
	return &row.u.lease_granted;
}

static const struct row_slots *
slots(void)
{
	return granted()->slots.items;
}

static uint64_t
take(const char *of, uint32_t count)
{
	ck_assert_int_eq(ask(of, count), 0);
	return granted()->lease;
}

static void
give(uint64_t lease)
{
	ck_assert_int_eq(world_return(&world, device, lease), 0);
}

static struct ledger_pool
pool_of(const char *of)
{
	struct ledger_pool pool;
	struct ledger_view *view;

	ck_assert_int_eq(ledger_view_open(&view, world.ledger), 0);
	ck_assert_int_eq(ledger_pool(&pool, view, PRODUCT, of, world.now), 0);
	ledger_view_close(view);
	return pool;
}

static int
pool_err(const char *product, const char *of)
{
	struct ledger_pool pool;
	struct ledger_view *view;

	ck_assert_int_eq(ledger_view_open(&view, world.ledger), 0);
	int err = ledger_pool(&pool, view, product, of, world.now);

	ledger_view_close(view);
	return err;
}

/* --- features ---------------------------------------------------------- */

START_TEST(a_feature_has_seats_of_its_own)
{
	for (uint32_t i = 0; i < 5; i++) {
		take("autosar", 1);
		ck_assert_str_eq(granted()->feature, "autosar");
		ck_assert_str_eq(granted()->product, PRODUCT);
		ck_assert_uint_eq(slots()[0].first, i);
		ck_assert_uint_eq(granted()->type,
		    i < 2 ? SEAT_COMMIT : SEAT_OVERAGE);
	}
	ck_assert_int_eq(ask("autosar", 1), ERR_OVERAGE_EXHAUSTED);
	ck_assert_str_eq(command.problem.detail,
	    "all 5 seats of autosar of davinci are taken "
	    "(2 commit, 3 overage)");
	/* The product and the other feature have all of theirs. */
	for (uint32_t i = 0; i < 8; i++) {
		take("", 1);
		ck_assert_uint_eq(slots()[0].first, i);
	}
	for (uint32_t i = 0; i < 3; i++)
		take("calibration", 1);
	ck_assert_int_eq(ask("calibration", 1), ERR_NO_SEATS);
	ck_assert_str_eq(command.problem.detail,
	    "all 3 seats of calibration of davinci are taken");
	world_check(&world);
}
END_TEST

START_TEST(an_unknown_feature_is_refused_with_those_there_are)
{
	ck_assert_int_eq(ask("autosa", 1), ERR_NOT_ENTITLED);
	ck_assert_str_eq(command.problem.detail,
	    "license lic-davinci for davinci has no feature autosa");
	ck_assert_str_eq(command.problem.hint,
	    "its features: autosar, calibration");
	ck_assert_uint_eq(command.license, 1);
	ck_assert_int_eq(pool_err(PRODUCT, "autosa"), ERR_NOT_ENTITLED);
	ck_assert_int_eq(pool_err("other", ""), ERR_NOT_ENTITLED);
	install(4, 4, 0);
	ck_assert_int_eq(ask("autosar", 1), ERR_NOT_ENTITLED);
	ck_assert_str_eq(command.problem.hint, "its features: none");
}
END_TEST

START_TEST(many_long_features_are_named_as_far_as_they_fit)
{
	static struct license_feature long_ones[LICENSE_FEATURES_MAX];

	for (unsigned int i = 0; i < LICENSE_FEATURES_MAX; i++) {
		char id[64];

		snprintf(id, sizeof id, "%02u-%056u-€", i % 100, 0u);
		long_ones[i] = feature(id, 1, 0);
	}
	license.serial++;
	license.features =
	    (struct record_list){ long_ones, LICENSE_FEATURES_MAX };
	ck_assert_int_eq(world_install(&world, &license), 0);
	ck_assert_int_eq(ask("autosar", 1), ERR_NOT_ENTITLED);
	size_t len = strlen(command.problem.hint);

	ck_assert_uint_lt(len, sizeof command.problem.hint - 1);
	ck_assert_str_eq(command.problem.hint + len - 5, ", ...");
	ck_assert_int_eq(record_check(&problem_record, &command.problem, NULL),
	    0);
	ck_assert_int_eq(ask(long_ones[63].id, 1), 0);
}
END_TEST

START_TEST(overage_numbers_go_on_over_all_seats_of_a_license)
{
	take("", 6); /* 4 commit, 2 overage: 1 and 2 */
	ck_assert_uint_eq(granted()->overage, 1);
	ck_assert_uint_eq(granted()->overage_count, 2);
	take("autosar", 4); /* 3 and 4 */
	ck_assert_uint_eq(granted()->overage, 3);
	ck_assert_uint_eq(granted()->overage_count, 2);
	take("", 1);
	ck_assert_uint_eq(granted()->overage, 5);
	take("calibration", 3);
	ck_assert_uint_eq(granted()->overage, 0);
	ck_assert_uint_eq(world_usage(&world, 1).overage_checkouts, 5);
	world_check(&world);
}
END_TEST

/* --- renewals ---------------------------------------------------------- */

START_TEST(a_feature_keeps_its_seats_when_others_come_and_go)
{
	uint64_t of_calibration = take("calibration", 2);

	take("autosar", 1);
	/* Another order, one gone, one new. */
	features[0] = feature("tracing", 0, 4);
	features[1] = feature("calibration", 3, 0);
	install(4, 4, 2);
	ck_assert_uint_eq(pool_of("calibration").taken, 2);
	ck_assert_uint_eq(pool_of("tracing").taken, 0);
	ck_assert_int_eq(ask("calibration", 2), ERR_NO_SEATS);
	ck_assert_int_eq(ask("tracing", 4), 0);
	ck_assert_uint_eq(slots()[0].first, 0);
	give(of_calibration);
	ck_assert_uint_eq(pool_of("calibration").taken, 0);
	world_check(&world);
}
END_TEST

START_TEST(leases_of_a_feature_that_is_gone_go_on_to_their_end)
{
	uint64_t lease = take("calibration", 2), other = take("autosar", 3);

	install(4, 4, 1);
	world_check(&world);
	ck_assert_int_eq(ask("calibration", 1), ERR_NOT_ENTITLED);
	ck_assert_int_eq(pool_err(PRODUCT, "calibration"), ERR_NOT_ENTITLED);
	/* Nothing of it stands in the way of the others. */
	ck_assert_uint_eq(pool_of("autosar").taken, 3);
	give(lease);
	give(other);
	world_check(&world);
	/* It comes back, and its one seat is the lowest. */
	install(4, 4, 2);
	take("calibration", 3);
	ck_assert_uint_eq(slots()[0].first, 0);
	world_check(&world);
}
END_TEST

START_TEST(both_bounds_of_a_feature_hold_after_a_renewal)
{
	/* Slots 0 and 1 commit, 2 and 3 overage. */
	leases[0] = take("autosar", 1);
	leases[1] = take("autosar", 1);
	take("autosar", 2);
	give(leases[0]);
	give(leases[1]);
	/* Of two overage seats at most both are taken; two commit are free. */
	features[0] = feature("autosar", 3, 2);
	install(4, 4, 2);
	ck_assert_uint_eq(pool_of("autosar").free, 2);
	ck_assert_int_eq(ask("autosar", 3), ERR_OVERAGE_EXHAUSTED);
	ck_assert_str_eq(command.problem.detail,
	    "asked for 3 seats of autosar of davinci, 2 are free");
	/* Fewer seats than are held: none is free, though slots are. */
	features[0] = feature("autosar", 2, 0);
	install(4, 4, 2);
	ck_assert_uint_eq(pool_of("autosar").free, 0);
	ck_assert_uint_eq(pool_of("autosar").taken, 2);
	ck_assert_int_eq(ask("autosar", 1), ERR_NO_SEATS);
	world_check(&world);
}
END_TEST

/* Nobody pays for overage while commit seats are only called something else;
 * and nobody is told that all are taken. */
START_TEST(seats_bought_while_overage_is_held_come_as_that_ends)
{
	take("autosar", 2);
	uint64_t overage = take("autosar", 1);

	take("autosar", 2);
	features[0] = feature("autosar", 5, 3);
	install(4, 4, 2);
	ck_assert_uint_eq(pool_of("autosar").taken, 5);
	ck_assert_uint_eq(pool_of("autosar").free, 0);
	ck_assert_int_eq(ask("autosar", 1), ERR_OVERAGE_EXHAUSTED);
	ck_assert_str_eq(command.problem.detail,
	    "the license has 8 seats of autosar of davinci now, and more of "
	    "them come free as overage leases of before its renewal end (2 "
	    "commit, 3 overage)");
	give(overage);
	take("autosar", 1);
	ck_assert_uint_eq(granted()->type, SEAT_COMMIT);
	ck_assert_uint_eq(granted()->overage_count, 0);
	world_check(&world);
}
END_TEST

/* --- several in one lease ---------------------------------------------- */

START_TEST(a_lease_of_many_seats_has_the_lowest_free_slots)
{
	for (int i = 0; i < 8; i++)
		leases[i] = take("", 1);
	give(leases[1]);
	give(leases[2]);
	give(leases[4]);
	give(leases[7]);
	uint64_t lease = take("", 4);

	ck_assert_uint_eq(granted()->count, 4);
	ck_assert_uint_eq(granted()->slots.count, 3);
	ck_assert_mem_eq(slots(),
	    ((struct row_slots[]){ { 1, 2 }, { 4, 1 }, { 7, 1 } }),
	    3 * sizeof(struct row_slots));
	ck_assert_uint_eq(granted()->overage_count, 2);
	ck_assert_uint_eq(granted()->overage, 5);
	ck_assert_uint_eq(granted()->type, SEAT_OVERAGE);
	ck_assert_int_eq(ask("", 1), ERR_OVERAGE_EXHAUSTED);
	world_check(&world);
	give(lease);
	ck_assert_uint_eq(pool_of("").free, 4);
	world_check(&world);
}
END_TEST

START_TEST(seats_are_given_all_or_none)
{
	take("", 5);
	ck_assert_int_eq(ask("", 4), ERR_OVERAGE_EXHAUSTED);
	ck_assert_str_eq(command.problem.detail,
	    "asked for 4 seats of davinci, 3 are free");
	ck_assert_uint_eq(pool_of("").taken, 5);
	take("calibration", 2);
	ck_assert_int_eq(ask("calibration", 2), ERR_NO_SEATS);
	ck_assert_str_eq(command.problem.detail,
	    "asked for 2 seats of calibration of davinci, 1 is free");
	take("", 3);
	take("calibration", 1);
	world_check(&world);
}
END_TEST

START_TEST(more_than_there_ever_are_is_refused_for_good)
{
	ck_assert_int_eq(ask("", 9), ERR_MAX_REACHED);
	ck_assert_str_eq(command.problem.detail,
	    "asked for 9 seats of davinci, and the license has 8 in all");
	ck_assert_int_eq(ask("calibration", 4), ERR_MAX_REACHED);
	ck_assert_uint_eq(pool_of("").max_once, 8);
	ck_assert_int_eq(ask("", LEASE_COUNT_MAX + 1), ERR_BAD_REQUEST);
	take("", 8);
}
END_TEST

START_TEST(seats_on_offer_to_others_are_not_given)
{
	ck_assert_int_eq(ask_with("autosar", 1, 5), ERR_OVERAGE_EXHAUSTED);
	ck_assert_str_eq(command.problem.detail,
	    "all 5 seats of autosar of davinci are taken, or on offer to who "
	    "waited longer");
	ck_assert_int_eq(ask_with("autosar", 3, 3), ERR_OVERAGE_EXHAUSTED);
	ck_assert_str_eq(command.problem.detail,
	    "asked for 3 seats of autosar of davinci, 2 are free");
	ck_assert_int_eq(ask_with("autosar", 2, 3), 0);
	ck_assert_int_eq(ask_with("autosar", 3, 0), 0);
	/* Set aside are seats that could be given, overage at most. */
	features[0] = feature("autosar", 7, 3);
	install(4, 4, 2);
	ck_assert_uint_eq(pool_of("autosar").free, 2);
	ck_assert_int_eq(ask_with("autosar", 1, 2), ERR_OVERAGE_EXHAUSTED);
	ck_assert_int_eq(ask_with("autosar", 1, 1), 0);
}
END_TEST

/* Takes, returns and renewals of many kinds. */
static void
play(void)
{
	for (uint32_t i = 0; i < 200; i++) {
		uint32_t free = pool_of("").free, held = i % 7;

		if (leases[held] != 0)
			give(leases[held]);
		leases[held] = 0;
		free = pool_of("").free;
		ck_assert_int_ne(ask("", free + 1), 0);
		if (i % 3 == 0 && free > 0) {
			leases[held] = take("", free);
			ck_assert_uint_eq(pool_of("").free, 0);
		} else if (free > 0) {
			leases[held] = take("", 1 + i % free);
		}
		if (i % 20 == 19) {
			uint32_t commit = 1 + i * 7 % 9;

			install(commit, i % 5, 2);
		}
		world_check(&world);
	}
}

START_TEST(what_a_pool_says_is_free_is_what_is_given)
{
	play();
}
END_TEST

START_TEST(a_retry_of_many_seats_takes_none_more)
{
	struct checkout body = world_checkout_body(&world, PRODUCT, "alice");
	struct command first, again;

	snprintf(body.feature, sizeof body.feature, "autosar");
	body.count = 3;
	ck_assert_int_eq(world_checkout(&world, &first, device, &body), 0);
	world_reopen(&world);
	body.wait_s = 30;
	ck_assert_int_eq(world_checkout(&world, &again, device, &body), 0);
	ck_assert_uint_eq(again.reply.checkout.lease,
	    first.reply.checkout.lease);
	ck_assert_mem_eq(again.reply.checkout.row.data,
	    first.reply.checkout.row.data, first.reply.checkout.row.len);
	arena_release(&again.arena);
	body.count = 2;
	ck_assert_int_eq(world_checkout(&world, &again, device, &body),
	    ERR_CONFLICT);
	ck_assert_uint_eq(pool_of("autosar").taken, 3);
	arena_release(&again.arena);
	arena_release(&first.arena);
}
END_TEST

/* The longest row: no two seats side by side, far up. */
START_TEST(a_lease_of_the_most_scattered_seats_fits_a_message)
{
	const uint32_t n = LEASE_COUNT_MAX;
	uint64_t *held = calloc(2 * n, sizeof *held);
	struct buf message = { .len = 0 };

	install(1, LICENSE_SEATS_MAX - 1, 2);
	for (uint32_t i = 0; i < 80; i++)
		take("", n);
	for (uint32_t i = 0; i < 2 * n; i++)
		held[i] = take("", 1);
	for (uint32_t i = 0; i < 2 * n; i += 2)
		give(held[i]);
	uint64_t lease = take("", n);

	ck_assert_uint_eq(granted()->slots.count, n);
	ck_assert_uint_gt(slots()[0].first, UINT16_MAX);
	record_write_json(&message, &checkout_reply_record,
	    &command.reply.checkout);
	ck_assert_int_eq(record_check(&checkout_reply_record,
			     &command.reply.checkout, NULL),
	    0);
	ck_assert_uint_lt(message.len, 32768);
	/* And what the keeper keeps of it. */
	ck_assert_uint_le(command.reply.checkout.row.len, LEASE_ROW_MAX);
	world_check(&world);
	world_reopen(&world);
	give(lease);
	world_check(&world);
	buf_release(&message);
	free(held);
}
END_TEST

static void
release(uint64_t lease, int64_t until)
{
	struct lease_ref request = { lease };
	struct command c =
	    world_command(&world, OP_LEASE_RELEASE, ACTOR_ADMIN, 1, &request);

	c.held_until = until;
	ck_assert_int_eq(world_do(&world, &c), 0);
	arena_release(&c.arena);
}

START_TEST(released_seats_of_a_feature_linger_together)
{
	leases[0] = take("autosar", 1);
	leases[1] = take("autosar", 1);
	take("autosar", 1);
	give(leases[0]);
	uint64_t lease = take("autosar", 2); /* 0 and 3 */

	ck_assert_uint_eq(granted()->slots.count, 2);
	release(lease, world.now + 1000);
	ck_assert_uint_eq(pool_of("autosar").lingering, 2);
	ck_assert_uint_eq(pool_of("autosar").taken, 4);
	ck_assert_uint_eq(pool_of("autosar").free, 1);
	ck_assert_int_eq(ask("autosar", 2), ERR_OVERAGE_EXHAUSTED);
	ck_assert_str_eq(command.problem.detail,
	    "asked for 2 seats of autosar of davinci, 1 is free, 2 released "
	    "but not yet free");
	world_check(&world);
	/* A renewal that moves the line between commit and overage meanwhile.
	 */
	features[0] = feature("autosar", 4, 1);
	install(4, 4, 2);
	world_check(&world);
	ck_assert_uint_eq(pool_of("autosar").free, 0);
	world.now += 1000;
	/* Said before the batch that gives them back. */
	ck_assert_uint_eq(pool_of("autosar").lingering, 0);
	ck_assert_uint_eq(pool_of("autosar").free, 2);
	take("", 1);
	ck_assert_uint_eq(pool_of("autosar").free, 2);
	world_check(&world);
	/* The third is overage still, and the only one that may be. */
	ck_assert_int_eq(ask("autosar", 3), ERR_OVERAGE_EXHAUSTED);
	take("autosar", 2);
	world_check(&world);
}
END_TEST

/* --- views ------------------------------------------------------------- */

static struct license_view
shown(void)
{
	struct license_number number = { 1 };
	struct license_view view;
	struct problem problem;
	struct ledger_view *reader;

	ck_assert_int_eq(ledger_view_open(&reader, world.ledger), 0);
	arena_release(&arena);
	ck_assert_int_eq(ledger_query(&view, reader, OP_LICENSE_SHOW, &number,
			     world.now, &arena, &problem),
	    0);
	ledger_view_close(reader);
	return view;
}

START_TEST(a_license_shows_the_use_of_its_features)
{
	take("autosar", 4);
	take("calibration", 1);
	take("", 1);
	struct license_view view = shown();
	const struct license_feature_view *f = view.features.items;

	ck_assert_uint_eq(view.features.count, 2);
	ck_assert_str_eq(f[0].id, "autosar");
	ck_assert_uint_eq(f[0].used_commit, 2);
	ck_assert_uint_eq(f[0].used_overage, 2);
	ck_assert_uint_eq(f[0].max_overage, 3);
	ck_assert_int_eq(f[0].overage_per_use, 12050);
	ck_assert_str_eq(f[0].currency, "EUR");
	ck_assert_uint_eq(f[1].used_commit, 1);
	ck_assert_uint_eq(f[1].used_overage, 0);
	ck_assert_uint_eq(view.used_commit, 1);
	ck_assert_uint_eq(view.overage_checkouts, 2);
	ck_assert_int_eq(record_check(&license_view_record, &view, NULL), 0);
}
END_TEST

static struct lease_page
page_of(const struct lease_query *query)
{
	struct lease_page page;
	struct problem problem;
	struct ledger_view *view;

	ck_assert_int_eq(ledger_view_open(&view, world.ledger), 0);
	arena_release(&arena);
	ck_assert_int_eq(ledger_query(&page, view, OP_LEASE_LIST, query,
			     world.now, &arena, &problem),
	    0);
	ledger_view_close(view);
	return page;
}

START_TEST(leases_are_found_by_feature_user_host_and_device)
{
	uint64_t second = world_device(&world, "ws-2"), first = device;
	struct checkout body = world_checkout_body(&world, PRODUCT, "bob");
	struct command c;

	take("autosar", 3);
	take("calibration", 1);
	take("", 2);
	snprintf(body.host, sizeof body.host, "ws-2");
	ck_assert_int_eq(world_checkout(&world, &c, second, &body), 0);
	arena_release(&c.arena);

	const struct {
		struct lease_query query;
		uint32_t n;
		uint64_t lease; /* the first found */
	} cases[] = {
		{ { .limit = 0 }, 4, 1 },
		{ { .feature = "autosar" }, 1, 1 },
		{ { .feature = "calibration" }, 1, 2 },
		{ { .feature = "nothing" }, 0, 0 },
		{ { .user = "alice" }, 3, 1 },
		{ { .user = "bob" }, 1, 4 },
		{ { .user = "nobody" }, 0, 0 },
		{ { .host = "ws-2" }, 1, 4 },
		{ { .device = first }, 3, 1 },
		{ { .device = second }, 1, 4 },
		{ { .device = second, .user = "alice" }, 0, 0 },
		{ { .device = 99 }, 0, 0 },
		{ { .product = PRODUCT, .host = "ws-1" }, 3, 1 },
		{ { .user = "alice", .after = 1 }, 2, 2 },
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct lease_page page = page_of(&cases[i].query);
		const struct lease_view *items = page.items.items;

		ck_assert_msg(page.items.count == cases[i].n, "case %zu", i);
		ck_assert_uint_eq(page.next, 0);
		if (cases[i].n > 0)
			ck_assert_uint_eq(items[0].lease, cases[i].lease);
	}
	struct lease_page page =
	    page_of(&(struct lease_query){ .feature = "autosar" });
	const struct lease_view *items = page.items.items;

	ck_assert_uint_eq(items[0].count, 3);
	ck_assert_uint_eq(items[0].type, SEAT_OVERAGE);
	ck_assert_str_eq(items[0].feature, "autosar");
	/* Page by page. */
	page = page_of(&(struct lease_query){ .user = "alice", .limit = 2 });
	ck_assert_uint_eq(page.items.count, 2);
	ck_assert_uint_eq(page.next, 2);
}
END_TEST

/* --- the journal ------------------------------------------------------- */

START_TEST(the_journal_folds_to_the_same_pools)
{
	play();
	take("autosar", 3);
	release(take("calibration", 2), world.now + 5000);
	features[0] = feature("tracing", 1, 1);
	install(3, 9, 1);
	take("tracing", 2);
	world_check_folded(&world);
}
END_TEST

Suite *
suite(void)
{
	Suite *s = suite_create("ledger_seats");
	TCase *t = tcase_create("ledger_seats");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_feature_has_seats_of_its_own);
	tcase_add_test(t, an_unknown_feature_is_refused_with_those_there_are);
	tcase_add_test(t, many_long_features_are_named_as_far_as_they_fit);
	tcase_add_test(t, overage_numbers_go_on_over_all_seats_of_a_license);
	tcase_add_test(t, a_feature_keeps_its_seats_when_others_come_and_go);
	tcase_add_test(t, leases_of_a_feature_that_is_gone_go_on_to_their_end);
	tcase_add_test(t, both_bounds_of_a_feature_hold_after_a_renewal);
	tcase_add_test(t, seats_bought_while_overage_is_held_come_as_that_ends);
	tcase_add_test(t, a_lease_of_many_seats_has_the_lowest_free_slots);
	tcase_add_test(t, seats_are_given_all_or_none);
	tcase_add_test(t, more_than_there_ever_are_is_refused_for_good);
	tcase_add_test(t, seats_on_offer_to_others_are_not_given);
	tcase_add_test(t, what_a_pool_says_is_free_is_what_is_given);
	tcase_add_test(t, a_retry_of_many_seats_takes_none_more);
	tcase_add_test(t, a_lease_of_the_most_scattered_seats_fits_a_message);
	tcase_add_test(t, released_seats_of_a_feature_linger_together);
	tcase_add_test(t, a_license_shows_the_use_of_its_features);
	tcase_add_test(t, leases_are_found_by_feature_user_host_and_device);
	tcase_add_test(t, the_journal_folds_to_the_same_pools);
	tcase_set_timeout(t, 60);
	suite_add_tcase(s, t);
	return s;
}
