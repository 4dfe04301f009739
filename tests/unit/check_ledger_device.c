/* Devices: join tokens, enrolment, revocation. */
#include "tests/unit/ledger_world.h"
#include "tests/unit/suite.h"

#define PRODUCT "davinci-configurator-se"

static struct world world;
static struct buf token;
static uint8_t key[32] = { 42 };

static void
setup(void)
{
	world_init(&world, 3);
	struct license license = world_license(&world, PRODUCT, 3, 0);

	ck_assert_int_eq(world_install(&world, &license), 0);
	ck_assert_int_eq(world_join(&world, &token, 1, 3600), 0);
}

static void
teardown(void)
{
	buf_release(&token);
	world_check(&world);
	world_free(&world);
}

static int
enroll(const uint8_t public_key[32], uint64_t *device)
{
	struct command command;
	int err = world_enroll_as(&world, &command, &token, "ws-1", "ws-1",
	    public_key, PROOF_SOFTWARE);

	*device = err == 0 ? command.reply.enroll.device : 0;
	return err;
}

START_TEST(a_device_is_known_by_key_and_name)
{
	struct ledger_view *view;
	struct ledger_device device;
	struct arena arena = { .chunks = NULL };
	uint64_t number;

	ck_assert_int_eq(enroll(key, &number), 0);
	ck_assert_int_eq(ledger_view_open(&view, world.ledger), 0);
	ck_assert_int_eq(ledger_device(&device, view, number, &arena), 0);
	ck_assert_uint_eq(device.public_key.len, 32);
	ck_assert_mem_eq(device.public_key.data, key, 32);
	ck_assert_str_eq(device.name, "ws-1");
	ck_assert_uint_eq(device.class_, PROOF_SOFTWARE);
	ck_assert_int_eq(ledger_device(&device, view, number + 1, &arena),
	    ERR_UNKNOWN_DEVICE);
	ledger_view_close(view);
	arena_release(&arena);
}
END_TEST

START_TEST(the_token_names_this_site_and_its_ca)
{
	struct license_join join;
	struct record_error error;
	struct arena arena = { .chunks = NULL };

	ck_assert_int_eq(license_document_read(&join, &license_join_record,
			     TOKEN_JOIN, (const char *)token.data, token.len,
			     world.site_public, &arena, &error),
	    0);
	ck_assert_str_eq(join.site, "site-test");
	ck_assert_str_eq(join.tenant, "default");
	ck_assert_mem_eq(join.ca_sha256, world.ca, 32);
	ck_assert_uint_eq(join.uses, 1);
	ck_assert_int_eq(join.expires_at, world.now + 3600000);
	arena_release(&arena);
}
END_TEST

START_TEST(a_token_is_good_for_its_uses)
{
	uint8_t other[32] = { 43 };
	uint64_t device;

	ck_assert_int_eq(enroll(key, &device), 0);
	ck_assert_int_eq(enroll(other, &device), ERR_GONE);
}
END_TEST

START_TEST(an_enrolment_whose_reply_was_lost_may_be_repeated)
{
	uint64_t first, second;

	ck_assert_int_eq(enroll(key, &first), 0);
	ck_assert_int_eq(enroll(key, &second), 0);
	ck_assert_uint_eq(first, second);
}
END_TEST

START_TEST(the_same_key_with_a_new_token_keeps_its_number)
{
	uint64_t first, second;

	ck_assert_int_eq(enroll(key, &first), 0);
	buf_clear(&token);
	ck_assert_int_eq(world_join(&world, &token, 1, 3600), 0);
	ck_assert_int_eq(enroll(key, &second), 0);
	ck_assert_uint_eq(first, second);
	/* And uses it up. */
	uint8_t other[32] = { 43 };

	ck_assert_int_eq(enroll(other, &second), ERR_GONE);
}
END_TEST

START_TEST(a_token_ends)
{
	uint64_t device;

	world.now += 3600000;
	ck_assert_int_eq(enroll(key, &device), ERR_GONE);
}
END_TEST

START_TEST(a_token_of_another_site_is_none)
{
	struct license_join join = { .uses = 1,
		.expires_at = WORLD_NOW + 1000000 };
	uint8_t public_key[32], secret[64];
	uint64_t device;

	snprintf(join.site, sizeof join.site, "site-test");
	snprintf(join.tenant, sizeof join.tenant, "default");
	join.join = 1;
	world_keypair(&world, public_key, secret);
	buf_clear(&token);
	ck_assert_int_eq(license_document_sign(&token, &license_join_record,
			     &join, TOKEN_JOIN, secret),
	    0);
	ck_assert_int_eq(enroll(key, &device), ERR_BAD_PROOF);
	/* Signed by this site, but for another tenant. */
	snprintf(join.tenant, sizeof join.tenant, "other");
	buf_clear(&token);
	ck_assert_int_eq(license_document_sign(&token, &license_join_record,
			     &join, TOKEN_JOIN, world.site_secret),
	    0);
	ck_assert_int_eq(enroll(key, &device), ERR_FORBIDDEN);
	/* Signed by this site, and in no journal: of before a rollback. */
	snprintf(join.tenant, sizeof join.tenant, "default");
	buf_clear(&token);
	ck_assert_int_eq(license_document_sign(&token, &license_join_record,
			     &join, TOKEN_JOIN, world.site_secret),
	    0);
	ck_assert_int_eq(enroll(key, &device), ERR_NOT_FOUND);
}
END_TEST

START_TEST(the_class_is_the_tokens)
{
	struct command command;

	ck_assert_int_eq(world_enroll_as(&world, &command, &token, "ws-1",
			     "ws-1", key, PROOF_TPM),
	    ERR_CLASS_NOT_ALLOWED);
}
END_TEST

START_TEST(the_class_never_changes)
{
	struct join_create create = { .uses = 1,
		.valid_s = 60,
		.class_ = PROOF_TPM };
	struct command command;
	uint64_t device;

	ck_assert_int_eq(enroll(key, &device), 0);
	command =
	    world_command(&world, OP_JOIN_CREATE, ACTOR_ADMIN, 1, &create);
	ck_assert_int_eq(world_do(&world, &command), 0);
	buf_clear(&token);
	buf_add(&token, command.reply.join.token.data,
	    command.reply.join.token.len);
	arena_release(&command.arena);
	ck_assert_int_eq(world_enroll_as(&world, &command, &token, "ws-1",
			     "ws-1", key, PROOF_TPM),
	    ERR_CLASS_NOT_ALLOWED);
}
END_TEST

START_TEST(a_host_must_match_the_tokens_patterns)
{
	struct license_host_pattern patterns[] = { { "ws-*.plant.example" },
		{ "lab7" } };
	struct join_create create = { .uses = 5,
		.valid_s = 60,
		.hosts = { patterns, 2 } };
	struct command command =
	    world_command(&world, OP_JOIN_CREATE, ACTOR_ADMIN, 1, &create);

	ck_assert_int_eq(world_do(&world, &command), 0);
	buf_clear(&token);
	buf_add(&token, command.reply.join.token.data,
	    command.reply.join.token.len);
	arena_release(&command.arena);
	ck_assert_int_eq(world_enroll_as(&world, &command, &token, "ws-1",
			     "ws-1.office.example", key, PROOF_SOFTWARE),
	    ERR_HOSTNAME_NOT_ALLOWED);
	ck_assert_int_eq(world_enroll_as(&world, &command, &token, "ws-1",
			     "WS-1.plant.example", key, PROOF_SOFTWARE),
	    0);
	key[0]++;
	ck_assert_int_eq(world_enroll_as(&world, &command, &token, "ws-2",
			     "lab7", key, PROOF_SOFTWARE),
	    0);
}
END_TEST

/* --- revocation -------------------------------------------------------- */

static int
revoke_device(uint64_t device, int64_t held_until)
{
	struct device_revoke number = { .device = device };
	struct command command =
	    world_command(&world, OP_DEVICE_REVOKE, ACTOR_ADMIN, 1, &number);

	command.held_until = held_until;
	int err = world_do(&world, &command);

	arena_release(&command.arena);
	return err;
}

START_TEST(revoking_a_device_ends_its_leases_and_no_others)
{
	uint64_t first, second = world_device(&world, "ws-2");

	ck_assert_int_eq(enroll(key, &first), 0);
	world_lease(&world, first, PRODUCT);
	world_lease(&world, second, PRODUCT);
	world_lease(&world, first, PRODUCT);
	ck_assert_int_eq(revoke_device(first, 0), 0);
	ck_assert_uint_eq(world_usage(&world, 1).used_commit, 1);
	ck_assert_int_eq(world_return(&world, second, 2), 0);
	ck_assert_int_eq(revoke_device(first, 0), 0);
	ck_assert_int_eq(revoke_device(99, 0), ERR_NOT_FOUND);
}
END_TEST

START_TEST(a_revoked_key_stays_out)
{
	uint64_t device;

	ck_assert_int_eq(enroll(key, &device), 0);
	ck_assert_int_eq(revoke_device(device, 0), 0);
	buf_clear(&token);
	ck_assert_int_eq(world_join(&world, &token, 1, 3600), 0);
	ck_assert_int_eq(enroll(key, &device), ERR_DEVICE_REVOKED);
}
END_TEST

START_TEST(a_seat_taken_by_force_waits_for_who_could_not_be_told)
{
	uint64_t device, other = world_device(&world, "ws-2");
	int64_t until = world.now + 400000;

	ck_assert_int_eq(enroll(key, &device), 0);
	for (int i = 0; i < 3; i++)
		world_lease(&world, device, PRODUCT);
	ck_assert_int_eq(revoke_device(device, until), 0);
	ck_assert_uint_eq(world_usage(&world, 1).used_commit, 0);
	struct checkout body = world_checkout_body(&world, PRODUCT, "bob");
	struct command command;

	world.now = until - 1;
	ck_assert_int_eq(world_checkout(&world, &command, other, &body),
	    ERR_NO_SEATS);
	ck_assert_str_eq(command.problem.detail,
	    "all 3 seats of davinci-configurator-se are taken, 3 released "
	    "but not yet free");
	arena_release(&command.arena);
	world_reopen(&world);
	world.now = until;
	ck_assert_int_eq(world_checkout(&world, &command, other, &body), 0);
	arena_release(&command.arena);
}
END_TEST

/* A checkout stands in the queue before the order that takes all by force. */
START_TEST(a_lease_granted_while_its_end_was_ordered_keeps_its_slot)
{
	uint64_t device, other = world_device(&world, "ws-2");

	ck_assert_int_eq(enroll(key, &device), 0);
	uint64_t told = world_lease(&world, device, PRODUCT);
	struct checkout body = world_checkout_body(&world, PRODUCT, "alice");
	struct device_revoke number = { .device = device };
	struct command checkout = world_command(&world, OP_LEASE_CHECKOUT,
	    ACTOR_DEVICE, device, &body);
	struct command revoke =
	    world_command(&world, OP_DEVICE_REVOKE, ACTOR_ADMIN, 1, &number);
	struct command *both[] = { &checkout, &revoke };

	revoke.unseen_from = told + 1;
	ck_assert_int_eq(ledger_commit(world.ledger, both, 2, world.now, NULL),
	    0);
	ck_assert_int_eq(checkout.err, 0);
	ck_assert_int_eq(revoke.err, 0);
	arena_release(&checkout.arena);
	arena_release(&revoke.arena);
	int64_t until = world.now + (120 + 300) * 1000 + LEDGER_SKEW_MS;

	ck_assert_uint_ne(world_lease(&world, other, PRODUCT), 0);
	ck_assert_uint_ne(world_lease(&world, other, PRODUCT), 0);
	world.now = until - 1;
	ck_assert_uint_eq(world_lease(&world, other, PRODUCT), 0);
	world_check(&world);
	world.now = until;
	ck_assert_uint_ne(world_lease(&world, other, PRODUCT), 0);
}
END_TEST

START_TEST(devices_are_listed_in_pages)
{
	struct device_query query = { .limit = 2 };
	struct device_page page;
	struct problem problem;
	struct arena arena = { .chunks = NULL };
	struct ledger_view *view;
	uint64_t device;

	ck_assert_int_eq(enroll(key, &device), 0);
	world_device(&world, "ws-2");
	world_device(&world, "ws-3");
	world_lease(&world, device, PRODUCT);
	ck_assert_int_eq(ledger_view_open(&view, world.ledger), 0);
	ck_assert_int_eq(ledger_query(&page, view, OP_DEVICE_LIST, &query,
			     world.now, &arena, &problem),
	    0);
	const struct device_view *items = page.items.items;

	ck_assert_uint_eq(page.items.count, 2);
	ck_assert_str_eq(items[1].name, "ws-2");
	ck_assert_uint_eq(items[0].leases, 1);
	ck_assert_uint_eq(page.next, 2);
	query.after = 2;
	ck_assert_int_eq(ledger_query(&page, view, OP_DEVICE_LIST, &query,
			     world.now, &arena, &problem),
	    0);
	ck_assert_uint_eq(page.items.count, 1);
	ck_assert_uint_eq(page.next, 0);
	ledger_view_close(view);
	arena_release(&arena);
}
END_TEST

Suite *
suite(void)
{
	Suite *s = suite_create("ledger_device");
	TCase *t = tcase_create("ledger_device");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_device_is_known_by_key_and_name);
	tcase_add_test(t, the_token_names_this_site_and_its_ca);
	tcase_add_test(t, a_token_is_good_for_its_uses);
	tcase_add_test(t, an_enrolment_whose_reply_was_lost_may_be_repeated);
	tcase_add_test(t, the_same_key_with_a_new_token_keeps_its_number);
	tcase_add_test(t, a_token_ends);
	tcase_add_test(t, a_token_of_another_site_is_none);
	tcase_add_test(t, the_class_is_the_tokens);
	tcase_add_test(t, the_class_never_changes);
	tcase_add_test(t, a_host_must_match_the_tokens_patterns);
	tcase_add_test(t, revoking_a_device_ends_its_leases_and_no_others);
	tcase_add_test(t, a_revoked_key_stays_out);
	tcase_add_test(t,
	    a_lease_granted_while_its_end_was_ordered_keeps_its_slot);
	tcase_add_test(t,
	    a_seat_taken_by_force_waits_for_who_could_not_be_told);
	tcase_add_test(t, devices_are_listed_in_pages);
	suite_add_tcase(s, t);
	return s;
}
