/* Leases: who gets which seat, what a retry gets, when seats come back. */
#include "tests/unit/ledger_world.h"
#include "tests/unit/suite.h"

#define PRODUCT "davinci-configurator-se"

static struct world world;
static uint64_t device;

static void
setup(void)
{
	world_init(&world, 1);
	struct license license = world_license(&world, PRODUCT, 2, 3);

	ck_assert_int_eq(world_install(&world, &license), 0);
	device = world_device(&world, "ws-1");
}

static void
teardown(void)
{
	world_check(&world);
	world_free(&world);
}

static int
checkout_of(const struct checkout *body)
{
	struct command command;
	int err = world_checkout(&world, &command, device, body);

	arena_release(&command.arena);
	return err;
}

/* The granting row of a reply; its slots live until the next one. */
static struct row_lease_granted
granted(const struct command *command)
{
	static struct arena arena;
	const struct checkout_reply *reply = &command->reply.checkout;
	struct row row;

	arena_release(&arena);
	ck_assert_int_eq(row_read(&row, reply->row_number, reply->row.data,
			     reply->row.len, &arena),
	    0);
	ck_assert_int_eq(row.kind, ROW_LEASE_GRANTED);
	return row.u.lease_granted;
}

static uint32_t
slot_of(const struct command *command)
{
	struct row_lease_granted row = granted(command);

	return row_slot_first(&row);
}

/* --- seats ------------------------------------------------------------- */

START_TEST(commit_seats_come_first_then_overage_then_a_refusal)
{
	for (uint32_t i = 0; i < 5; i++) {
		struct checkout body =
		    world_checkout_body(&world, PRODUCT, "alice");
		struct command command;

		ck_assert_int_eq(world_checkout(&world, &command, device,
				     &body),
		    0);
		struct row_lease_granted row = granted(&command);

		ck_assert_uint_eq(row_slot_first(&row), i);
		ck_assert_uint_eq(row.type, i < 2 ? SEAT_COMMIT : SEAT_OVERAGE);
		ck_assert_uint_eq(row.overage, i < 2 ? 0 : i - 1);
		ck_assert_uint_eq(row.device, device);
		ck_assert_mem_eq(row.nonce, body.nonce, NONCE_BYTES);
		ck_assert_str_eq(row.product, PRODUCT);
		ck_assert_uint_eq(row.ttl_s, 120);
		ck_assert_uint_eq(row.grace_s, 300);
		arena_release(&command.arena);
	}
	struct checkout body = world_checkout_body(&world, PRODUCT, "alice");
	struct command command;

	ck_assert_int_eq(world_checkout(&world, &command, device, &body),
	    ERR_OVERAGE_EXHAUSTED);
	ck_assert_str_eq(command.problem.code, "overage_exhausted");
	ck_assert_str_eq(command.problem.detail,
	    "all 5 seats of davinci-configurator-se are taken "
	    "(2 commit, 3 overage)");
	ck_assert_str_eq(command.problem.hint,
	    "see who holds them: leasehold leases --product "
	    "davinci-configurator-se");
	arena_release(&command.arena);
}
END_TEST

START_TEST(without_overage_the_refusal_is_no_seats)
{
	struct license license = world_license(&world, "other", 1, 0);

	ck_assert_int_eq(world_install(&world, &license), 0);
	ck_assert_uint_ne(world_lease(&world, device, "other"), 0);
	struct checkout body = world_checkout_body(&world, "other", "bob");

	ck_assert_int_eq(checkout_of(&body), ERR_NO_SEATS);
}
END_TEST

START_TEST(the_lowest_slot_given_back_is_given_out_again)
{
	uint64_t lease[5];

	for (int i = 0; i < 5; i++)
		lease[i] = world_lease(&world, device, PRODUCT);
	ck_assert_int_eq(world_return(&world, device, lease[3]), 0);
	ck_assert_int_eq(world_return(&world, device, lease[1]), 0);
	struct checkout body = world_checkout_body(&world, PRODUCT, "alice");
	struct command command;

	ck_assert_int_eq(world_checkout(&world, &command, device, &body), 0);
	ck_assert_uint_eq(slot_of(&command), 1);
	ck_assert_uint_eq(granted(&command).type, SEAT_COMMIT);
	arena_release(&command.arena);
	body = world_checkout_body(&world, PRODUCT, "alice");
	ck_assert_int_eq(world_checkout(&world, &command, device, &body), 0);
	ck_assert_uint_eq(slot_of(&command), 3);
	/* A lease of its own, billed on its own: numbers go on. */
	ck_assert_uint_eq(granted(&command).overage, 4);
	arena_release(&command.arena);
}
END_TEST

/* --- what is refused --------------------------------------------------- */

START_TEST(a_product_without_a_license_is_not_entitled)
{
	struct checkout body = world_checkout_body(&world, "unknown", "bob");

	ck_assert_int_eq(checkout_of(&body), ERR_NOT_ENTITLED);
}
END_TEST

START_TEST(a_version_outside_the_range_is_not_covered)
{
	struct checkout body = world_checkout_body(&world, PRODUCT, "bob");

	snprintf(body.version, sizeof body.version, "7.9.9");
	ck_assert_int_eq(checkout_of(&body), ERR_VERSION_NOT_COVERED);
	snprintf(body.version, sizeof body.version, "eight");
	ck_assert_int_eq(checkout_of(&body), ERR_BAD_REQUEST);
}
END_TEST

START_TEST(a_feature_that_is_not_licensed_is_refused_by_name)
{
	struct checkout body = world_checkout_body(&world, PRODUCT, "bob");
	struct command command;

	snprintf(body.feature, sizeof body.feature, "autosar");
	ck_assert_int_eq(world_checkout(&world, &command, device, &body),
	    ERR_NOT_ENTITLED);
	ck_assert_ptr_nonnull(strstr(command.problem.detail, "autosar"));
	arena_release(&command.arena);
}
END_TEST

START_TEST(a_contract_that_is_over_grants_nothing)
{
	struct checkout body = world_checkout_body(&world, PRODUCT, "bob");

	world.now = (int64_t)(WORLD_TODAY + 331) * WORLD_DAY - 1;
	ck_assert_int_eq(checkout_of(&body), 0);
	world.now++;
	body = world_checkout_body(&world, PRODUCT, "bob");
	ck_assert_int_eq(checkout_of(&body), ERR_LICENSE_EXPIRED);
}
END_TEST

START_TEST(an_unknown_or_revoked_device_gets_nothing)
{
	struct checkout body = world_checkout_body(&world, PRODUCT, "bob");
	struct command command;

	ck_assert_int_eq(world_checkout(&world, &command, device + 1, &body),
	    ERR_UNKNOWN_DEVICE);
	arena_release(&command.arena);
	struct device_revoke number = { .device = device };

	command =
	    world_command(&world, OP_DEVICE_REVOKE, ACTOR_ADMIN, 1, &number);
	ck_assert_int_eq(world_do(&world, &command), 0);
	arena_release(&command.arena);
	ck_assert_int_eq(checkout_of(&body), ERR_DEVICE_REVOKED);
}
END_TEST

START_TEST(a_request_out_of_its_bounds_leaves_no_row)
{
	struct checkout body = world_checkout_body(&world, PRODUCT, "bob");
	struct journal_known before = world_known(&world);

	body.product[0] = '\x01';
	ck_assert_int_eq(checkout_of(&body), ERR_BAD_REQUEST);
	ck_assert_uint_eq(world_known(&world).batch, before.batch);
}
END_TEST

START_TEST(an_admin_cannot_check_out)
{
	struct checkout body = world_checkout_body(&world, PRODUCT, "bob");
	struct command command = world_command(&world, OP_LEASE_CHECKOUT,
	    ACTOR_ADMIN, device, &body);

	ck_assert_int_eq(world_do(&world, &command), ERR_FORBIDDEN);
	arena_release(&command.arena);
}
END_TEST

START_TEST(a_device_holds_no_more_leases_than_one_renewal_carries)
{
	struct license license = world_license(&world, "big", 5000, 0);
	static struct command commands[512];
	static struct checkout bodies[512];
	struct command *list[512];
	int full = 0;

	ck_assert_int_eq(world_install(&world, &license), 0);
	for (int round = 0; round < 9; round++) {
		for (int i = 0; i < 512; i++) {
			bodies[i] = world_checkout_body(&world, "big", "ci");
			commands[i] = world_command(&world, OP_LEASE_CHECKOUT,
			    ACTOR_DEVICE, device, &bodies[i]);
			list[i] = &commands[i];
		}
		ck_assert_int_eq(ledger_commit(world.ledger, list, 512,
				     world.now, NULL),
		    0);
		for (int i = 0; i < 512; i++) {
			if (commands[i].err == ERR_MAX_REACHED)
				full++;
			else
				ck_assert_int_eq(commands[i].err, 0);
			arena_release(&commands[i].arena);
		}
	}
	ck_assert_int_eq(full, 9 * 512 - LEDGER_DEVICE_LEASES_MAX);
	/* And all of them can be taken at once. */
	struct device_revoke number = { .device = device };
	struct command command =
	    world_command(&world, OP_DEVICE_REVOKE, ACTOR_ADMIN, 1, &number);

	ck_assert_int_eq(world_do(&world, &command), 0);
	arena_release(&command.arena);
	ck_assert_uint_eq(world_usage(&world, 2).used_commit, 0);
}
END_TEST

/* --- ends -------------------------------------------------------------- */

static int
expire(uint64_t lease, int64_t deadline)
{
	struct ledger_expire request = { lease, deadline };
	struct command command =
	    world_command(&world, LEDGER_EXPIRE, ACTOR_SITE, 0, &request);
	int err = world_do(&world, &command);

	arena_release(&command.arena);
	return err;
}

START_TEST(only_its_own_device_gives_a_lease_back)
{
	uint64_t other = world_device(&world, "ws-2");
	uint64_t lease = world_lease(&world, device, PRODUCT);

	ck_assert_int_eq(world_return(&world, other, lease), ERR_NOT_FOUND);
	ck_assert_int_eq(world_return(&world, device, lease + 1),
	    ERR_NOT_FOUND);
	ck_assert_int_eq(world_return(&world, device, lease), 0);
	ck_assert_int_eq(world_return(&world, device, lease), ERR_GONE);
}
END_TEST

START_TEST(a_lease_expires_only_after_its_deadline)
{
	uint64_t lease = world_lease(&world, device, PRODUCT);

	ck_assert_int_eq(expire(lease, world.now + 1), ERR_CONFLICT);
	ck_assert_int_eq(expire(lease, world.now), 0);
	ck_assert_int_eq(expire(lease, world.now), ERR_GONE);
	ck_assert_uint_eq(world_usage(&world, 1).used_commit, 0);
}
END_TEST

START_TEST(an_admin_takes_a_seat_from_its_holder)
{
	struct lease_ref ref = { world_lease(&world, device, PRODUCT) };
	struct command command =
	    world_command(&world, OP_LEASE_RELEASE, ACTOR_ADMIN, 7, &ref);

	ck_assert_int_eq(world_do(&world, &command), 0);
	ck_assert_uint_eq(command.reply.ended.reason, LEASE_RELEASED);
	arena_release(&command.arena);
	ck_assert_int_eq(world_return(&world, device, ref.lease), ERR_GONE);
}
END_TEST

START_TEST(a_device_cannot_release_by_force)
{
	struct lease_ref ref = { world_lease(&world, device, PRODUCT) };
	struct command command =
	    world_command(&world, OP_LEASE_RELEASE, ACTOR_DEVICE, device, &ref);

	ck_assert_int_eq(world_do(&world, &command), ERR_FORBIDDEN);
	arena_release(&command.arena);
}
END_TEST

/* --- who holds what ---------------------------------------------------- */

START_TEST(leases_are_listed_with_names_and_pages)
{
	struct lease_query query = { .limit = 2 };
	struct lease_page page;
	struct problem problem;
	struct arena arena = { .chunks = NULL };
	struct ledger_view *view;

	for (int i = 0; i < 3; i++)
		world_lease(&world, device, PRODUCT);
	ck_assert_int_eq(ledger_view_open(&view, world.ledger), 0);
	ck_assert_int_eq(ledger_query(&page, view, OP_LEASE_LIST, &query,
			     world.now, &arena, &problem),
	    0);
	const struct lease_view *items = page.items.items;

	ck_assert_uint_eq(page.items.count, 2);
	ck_assert_uint_eq(page.next, 2);
	ck_assert_str_eq(items[0].product, PRODUCT);
	ck_assert_str_eq(items[0].version, "8.1.0");
	ck_assert_str_eq(items[0].user, "alice");
	ck_assert_str_eq(items[0].host, "ws-1");
	ck_assert_str_eq(items[0].device_name, "ws-1");
	ck_assert_int_eq(items[0].granted_at, WORLD_NOW);
	query.after = page.next;
	ck_assert_int_eq(ledger_query(&page, view, OP_LEASE_LIST, &query,
			     world.now, &arena, &problem),
	    0);
	ck_assert_uint_eq(page.items.count, 1);
	ck_assert_uint_eq(page.next, 0);
	query = (struct lease_query){ .product = "other" };
	ck_assert_int_eq(ledger_query(&page, view, OP_LEASE_LIST, &query,
			     world.now, &arena, &problem),
	    0);
	ck_assert_uint_eq(page.items.count, 0);
	ledger_view_close(view);
	arena_release(&arena);
}
END_TEST

START_TEST(a_device_sees_its_own_leases_only)
{
	uint64_t other = world_device(&world, "ws-2");
	struct lease_query query = { .limit = 0 };
	struct lease_page page;
	struct arena arena = { .chunks = NULL };
	struct ledger_view *view;

	world_lease(&world, device, PRODUCT);
	uint64_t mine = world_lease(&world, other, PRODUCT);

	world_lease(&world, device, PRODUCT);
	ck_assert_int_eq(ledger_view_open(&view, world.ledger), 0);
	ck_assert_int_eq(ledger_device_leases(&page, view, other, &query,
			     &arena),
	    0);
	ck_assert_uint_eq(page.items.count, 1);
	ck_assert_uint_eq(((struct lease_view *)page.items.items)[0].lease,
	    mine);
	ck_assert_int_eq(ledger_device_leases(&page, view, device, &query,
			     &arena),
	    0);
	ck_assert_uint_eq(page.items.count, 2);
	ledger_view_close(view);
	arena_release(&arena);
}
END_TEST

static int
count_lease(void *ctx, const struct ledger_lease *lease)
{
	ck_assert_uint_eq(lease->device, device);
	++*(int *)ctx;
	return 0;
}

START_TEST(liveness_reads_every_lease_and_its_row)
{
	struct ledger_view *view;
	struct ledger_lease lease;
	struct arena arena = { .chunks = NULL };
	struct row row;
	int n = 0;

	world_lease(&world, device, PRODUCT);
	world_lease(&world, device, PRODUCT);
	ck_assert_int_eq(ledger_view_open(&view, world.ledger), 0);
	ck_assert_int_eq(ledger_each_lease(view, 0, count_lease, &n), 0);
	ck_assert_int_eq(n, 2);
	ck_assert_int_eq(ledger_lease(&lease, view, 2, &arena), 0);
	ck_assert_int_eq(row_read(&row, lease.row_number, lease.row.data,
			     lease.row.len, &arena),
	    0);
	ck_assert_uint_eq(row.u.lease_granted.lease, 2);
	ck_assert_int_eq(ledger_lease(&lease, view, 3, NULL), ERR_GONE);
	ledger_view_close(view);
	arena_release(&arena);
}
END_TEST

Suite *
suite(void)
{
	Suite *s = suite_create("ledger");
	TCase *t = tcase_create("ledger");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, commit_seats_come_first_then_overage_then_a_refusal);
	tcase_add_test(t, without_overage_the_refusal_is_no_seats);
	tcase_add_test(t, the_lowest_slot_given_back_is_given_out_again);
	tcase_add_test(t, a_product_without_a_license_is_not_entitled);
	tcase_add_test(t, a_version_outside_the_range_is_not_covered);
	tcase_add_test(t, a_feature_that_is_not_licensed_is_refused_by_name);
	tcase_add_test(t, a_contract_that_is_over_grants_nothing);
	tcase_add_test(t, an_unknown_or_revoked_device_gets_nothing);
	tcase_add_test(t, a_request_out_of_its_bounds_leaves_no_row);
	tcase_add_test(t, an_admin_cannot_check_out);
	tcase_add_test(t,
	    a_device_holds_no_more_leases_than_one_renewal_carries);
	tcase_add_test(t, only_its_own_device_gives_a_lease_back);
	tcase_add_test(t, a_lease_expires_only_after_its_deadline);
	tcase_add_test(t, an_admin_takes_a_seat_from_its_holder);
	tcase_add_test(t, a_device_cannot_release_by_force);
	tcase_add_test(t, leases_are_listed_with_names_and_pages);
	tcase_add_test(t, a_device_sees_its_own_leases_only);
	tcase_add_test(t, liveness_reads_every_lease_and_its_row);
	suite_add_tcase(s, t);
	return s;
}
