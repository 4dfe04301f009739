/* Devices: enrolment, approval, revocation. */
#include "tests/unit/ledger_device.h"
#include "tests/unit/suite.h"

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
	struct proof_endorsement endorsement = { .class_ = PROOF_TPM };

	ck_assert_int_eq(world_enroll_tpm(&world, &command, &token, key,
			     PROOF_TPM, &endorsement),
	    ERR_CLASS_NOT_ALLOWED);
}
END_TEST

/* --- TPMs -------------------------------------------------------------- */

/* A device with a TPM of that class, EK and certificate; its key's first byte
 * is `key_byte`. */
static int
enroll_tpm(struct enroll_reply *reply, uint8_t key_byte, uint32_t class_,
    uint8_t ek, uint8_t certificate)
{
	const struct join_create create = { .uses = 1,
		.approved = true,
		.class_ = PROOF_SOFTWARE };
	struct proof_endorsement endorsement = { .class_ = class_,
		.ek_id = { ek },
		.certificate_id = { certificate },
		.manufacturer = "IFX",
		.issuer = "CN=maker" };
	uint8_t public_key[32] = { key_byte };
	struct command command;

	make_join(&create);
	int err = world_enroll_tpm(&world, &command, &token, public_key,
	    PROOF_TPM, &endorsement);

	*reply = command.reply.enroll;
	return err;
}

static void
shut_out(uint64_t device)
{
	struct device_revoke request = { .device = device };

	ck_assert_int_eq(admin_does(OP_DEVICE_REVOKE, &request, NULL), 0);
}

START_TEST(one_device_for_each_tpm)
{
	struct enroll_reply first, second;

	ck_assert_int_eq(enroll_tpm(&first, 1, PROOF_TPM, 5, 6), 0);
	/* Another key in the same TPM, shown by its EK, or its certificate. */
	ck_assert_int_eq(enroll_tpm(&second, 2, PROOF_TPM, 5, 6), ERR_CONFLICT);
	ck_assert_int_eq(enroll_tpm(&second, 2, PROOF_TPM, 5, 7), ERR_CONFLICT);
	ck_assert_int_eq(enroll_tpm(&second, 2, PROOF_TPM, 8, 6), ERR_CONFLICT);
	ck_assert_int_eq(enroll_tpm(&second, 2, PROOF_VTPM, 5, 0),
	    ERR_CONFLICT);
	/* Its own key is itself. */
	ck_assert_int_eq(enroll_tpm(&second, 1, PROOF_TPM, 5, 6), 0);
	ck_assert_uint_eq(second.device, first.device);
	ck_assert_int_eq(enroll_tpm(&second, 3, PROOF_TPM, 9, 10), 0);
	ck_assert_uint_ne(second.device, first.device);
}
END_TEST

START_TEST(tpm_of_a_revoked_device_makes_another)
{
	struct enroll_reply first, second, third;

	ck_assert_int_eq(enroll_tpm(&first, 1, PROOF_TPM, 5, 6), 0);
	shut_out(first.device);
	ck_assert_int_eq(enroll_tpm(&second, 1, PROOF_TPM, 5, 6),
	    ERR_DEVICE_REVOKED);
	ck_assert_int_eq(enroll_tpm(&second, 2, PROOF_TPM, 5, 6), 0);
	ck_assert_uint_ne(second.device, first.device);
	ck_assert_int_eq(enroll_tpm(&third, 3, PROOF_TPM, 5, 6), ERR_CONFLICT);
}
END_TEST

START_TEST(certificate_that_changed_leaves_the_old_one)
{
	struct enroll_reply reply;

	ck_assert_int_eq(enroll_tpm(&reply, 1, PROOF_TPM, 5, 6), 0);
	ck_assert_int_eq(enroll_tpm(&reply, 1, PROOF_TPM, 5, 7), 0);
	ck_assert_int_eq(enroll_tpm(&reply, 2, PROOF_TPM, 8, 7), ERR_CONFLICT);
	ck_assert_int_eq(enroll_tpm(&reply, 2, PROOF_TPM, 8, 6), 0);
}
END_TEST

START_TEST(vtpm_stays_one_when_its_maker_becomes_known)
{
	struct enroll_reply first, again;

	ck_assert_int_eq(enroll_tpm(&first, 1, PROOF_VTPM, 5, 0), 0);
	ck_assert_uint_eq(first.class_, PROOF_VTPM);
	ck_assert_int_eq(enroll_tpm(&again, 1, PROOF_TPM, 5, 6), 0);
	ck_assert_uint_eq(again.device, first.device);
	ck_assert_uint_eq(again.class_, PROOF_VTPM);
	/* And a chip that is believed no more is not confirmed as one. */
	ck_assert_int_eq(enroll_tpm(&first, 2, PROOF_TPM, 8, 9), 0);
	ck_assert_int_eq(enroll_tpm(&again, 2, PROOF_VTPM, 8, 0),
	    ERR_CLASS_NOT_ALLOWED);
}
END_TEST

START_TEST(site_lets_in_the_classes_that_it_names)
{
	struct proof_endorsement endorsement = { .class_ = PROOF_VTPM };
	struct enroll enroll = { .class_ = PROOF_TPM,
		.join = { token.data, (uint32_t)token.len },
		.name = "ws-1",
		.public_key = { key, sizeof key },
		.proof = { .class_ = PROOF_TPM, .counter = 1 } };
	struct command command =
	    world_command(&world, OP_DEVICE_ENROLL, ACTOR_DEVICE, 0, &enroll);

	command.endorsement = &endorsement;
	command.devices.classes = 1u << PROOF_TPM | 1u << PROOF_SOFTWARE;
	ck_assert_int_eq(world_do(&world, &command), ERR_CLASS_NOT_ALLOWED);
	arena_release(&command.arena);
	command =
	    world_command(&world, OP_DEVICE_ENROLL, ACTOR_DEVICE, 0, &enroll);
	command.endorsement = &endorsement;
	command.devices.classes = 1u << PROOF_VTPM;
	ck_assert_int_eq(world_do(&world, &command), 0);
	arena_release(&command.arena);
}
END_TEST

static int
checkout_of(uint64_t device)
{
	struct checkout body = world_checkout_body(&world, "tied", "bob");
	struct command command;
	int err = world_checkout(&world, &command, device, &body);

	arena_release(&command.arena);
	return err;
}

START_TEST(license_names_the_classes_that_get_seats)
{
	struct license_class classes[] = { { PROOF_TPM } };
	struct license license = world_license(&world, "tied", 3, 0);
	struct enroll_reply chip, virtual;

	license.terms.classes = (struct record_list){ classes, 1 };
	ck_assert_int_eq(world_install(&world, &license), 0);
	ck_assert_int_eq(enroll_tpm(&chip, 1, PROOF_TPM, 5, 6), 0);
	ck_assert_int_eq(enroll_tpm(&virtual, 2, PROOF_VTPM, 7, 0), 0);
	ck_assert_int_eq(checkout_of(chip.device), 0);
	ck_assert_int_eq(checkout_of(virtual.device), ERR_CLASS_NOT_ALLOWED);
}
END_TEST

START_TEST(strangers_certificate_is_not_journaled)
{
	struct device_number number;
	struct enroll_reply reply;
	struct device_view view;
	struct arena arena = { 0 };

	ck_assert_int_eq(enroll_tpm(&reply, 1, PROOF_VTPM, 5, 0), 0);
	number.device = reply.device;
	ck_assert_int_eq(ask(&view, OP_DEVICE_SHOW, &number, &arena), 0);
	ck_assert_str_eq(view.tpm_issuer, "");
	ck_assert_str_eq(view.tpm_maker, "");
	ck_assert_int_eq(enroll_tpm(&reply, 2, PROOF_TPM, 6, 7), 0);
	number.device = reply.device;
	ck_assert_int_eq(ask(&view, OP_DEVICE_SHOW, &number, &arena), 0);
	ck_assert_str_eq(view.tpm_issuer, "CN=maker");
	ck_assert_str_eq(view.tpm_maker, "IFX");
	arena_release(&arena);
}
END_TEST

/* --- approval ---------------------------------------------------------- */

static int
checkout_problem(uint64_t device, struct problem *problem)
{
	struct checkout body = world_checkout_body(&world, PRODUCT, "bob");
	struct command command;
	int err = world_checkout(&world, &command, device, &body);

	*problem = command.problem;
	arena_release(&command.arena);
	return err;
}

static uint64_t
pending_device(const uint8_t public_key[32])
{
	struct join_create create = { .uses = 1 };
	uint64_t device;

	make_join(&create);
	ck_assert_int_eq(enroll(public_key, &device), 0);
	return device;
}

START_TEST(a_device_gets_no_seat_before_an_admin_lets_it_in)
{
	struct device_number number = { pending_device(key) };
	struct site_view site;
	const struct empty nothing = { 0 };
	struct device_view view;
	struct problem problem;
	struct arena arena = { .chunks = NULL };

	ck_assert_int_eq(checkout_problem(number.device, &problem),
	    ERR_FORBIDDEN);
	ck_assert_str_eq(problem.detail,
	    "device-1 waits for an admin's approval");
	ck_assert_ptr_nonnull(
	    strstr(problem.hint, "leasehold device approve 1"));
	ck_assert_int_eq(ask(&site, OP_SITE_SHOW, &nothing, &arena), 0);
	ck_assert_uint_eq(site.devices_pending, 1);
	world_reopen(&world);
	ck_assert_int_eq(checkout_problem(number.device, &problem),
	    ERR_FORBIDDEN);
	world.now += 5000;
	ck_assert_int_eq(admin_does(OP_DEVICE_APPROVE, &number, NULL), 0);
	ck_assert_int_eq(admin_does(OP_DEVICE_APPROVE, &number, NULL), 0);
	ck_assert_int_eq(checkout_problem(number.device, &problem), 0);
	ck_assert_int_eq(ask(&view, OP_DEVICE_SHOW, &number, &arena), 0);
	ck_assert_uint_eq(view.state, DEVICE_APPROVED);
	ck_assert_int_eq(view.decided_at, world.now);
	ck_assert_uint_eq(view.join, 2);
	ck_assert_int_eq(ask(&site, OP_SITE_SHOW, &nothing, &arena), 0);
	ck_assert_uint_eq(site.devices_pending, 0);
	number.device = 99;
	ck_assert_int_eq(admin_does(OP_DEVICE_APPROVE, &number, &problem),
	    ERR_NOT_FOUND);
	ck_assert_str_eq(problem.field, "device");
	arena_release(&arena);
}
END_TEST

START_TEST(who_was_shut_out_is_not_let_in_again)
{
	uint64_t device = pending_device(key);
	struct device_revoke revoke = { .device = device };
	struct device_number number = { device };

	ck_assert_int_eq(admin_does(OP_DEVICE_REVOKE, &revoke, NULL), 0);
	ck_assert_int_eq(admin_does(OP_DEVICE_APPROVE, &number, NULL),
	    ERR_DEVICE_REVOKED);
	struct join_create create = { .uses = 1, .approved = true };

	make_join(&create);
	ck_assert_int_eq(enroll(key, &device), ERR_DEVICE_REVOKED);
}
END_TEST

START_TEST(another_token_may_let_in_and_never_shuts_out)
{
	struct join_create approving = { .uses = 2, .approved = true };
	struct join_create other = { .uses = 2 };
	struct problem problem;
	uint64_t device = pending_device(key), again;

	/* Another that lets nobody in changes nothing. */
	make_join(&other);
	ck_assert_int_eq(enroll(key, &again), 0);
	ck_assert_uint_eq(again, device);
	ck_assert_int_eq(checkout_problem(device, &problem), ERR_FORBIDDEN);
	make_join(&approving);
	ck_assert_int_eq(enroll(key, &again), 0);
	ck_assert_uint_eq(again, device);
	ck_assert_int_eq(checkout_problem(device, &problem), 0);
	make_join(&other);
	ck_assert_int_eq(enroll(key, &again), 0);
	ck_assert_int_eq(checkout_problem(device, &problem), 0);
	ck_assert_uint_eq(world_usage(&world, 1).used_commit, 2);
}
END_TEST

START_TEST(the_reply_says_who_waits_also_in_a_retry)
{
	struct join_create create = { .uses = 2 };
	struct device_number number = { 1 };
	struct command command;

	make_join(&create);
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(world_enroll_as(&world, &command, &token,
				     "ws-1", "ws-1", key, PROOF_SOFTWARE),
		    0);
		ck_assert(command.reply.enroll.pending == (i < 2));
		if (i == 1)
			ck_assert_int_eq(admin_does(OP_DEVICE_APPROVE, &number,
					     NULL),
			    0);
	}
}
END_TEST

/* --- revocation -------------------------------------------------------- */

START_TEST(the_reason_is_shown_and_stands_in_the_journal_by_id_alone)
{
	struct device_revoke revoke = { .reason = "Mallory took it home" };
	struct device_number number;
	struct device_view view;
	struct batch_query from = { .from = 0 };
	struct batch_page page;
	struct arena arena = { .chunks = NULL };
	struct ledger_view *ledger_view;
	struct ledger_device device;

	ck_assert_int_eq(enroll(key, &revoke.device), 0);
	number.device = revoke.device;
	ck_assert_int_eq(admin_does(OP_DEVICE_REVOKE, &revoke, NULL), 0);
	world_reopen(&world);
	ck_assert_int_eq(ask(&view, OP_DEVICE_SHOW, &number, &arena), 0);
	ck_assert_str_eq(view.reason, revoke.reason);
	ck_assert_uint_eq(view.state, DEVICE_REVOKED);
	ck_assert_int_eq(ledger_view_open(&ledger_view, world.ledger), 0);
	ck_assert_int_eq(ledger_device(&device, ledger_view, revoke.device,
			     &arena),
	    ERR_DEVICE_REVOKED);
	ck_assert_str_eq(device.reason, revoke.reason);
	ledger_view_close(ledger_view);
	ck_assert_int_eq(ask(&page, OP_JOURNAL_BATCHES, &from, &arena), 0);
	const struct batch_item *items = page.items.items;

	for (uint32_t i = 0; i < page.items.count; i++)
		ck_assert_ptr_null(memmem(items[i].blob.data, items[i].blob.len,
		    "Mallory", 7));
	arena_release(&arena);
}
END_TEST

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

static uint32_t
count_devices(const struct device_query *query)
{
	struct device_page page;
	struct arena arena = { .chunks = NULL };

	ck_assert_int_eq(ask(&page, OP_DEVICE_LIST, query, &arena), 0);
	uint32_t n = page.items.count;

	arena_release(&arena);
	return n;
}

START_TEST(devices_are_found_by_state_name_and_host)
{
	struct device_query query = { .limit = 10 };
	struct device_revoke revoke = { .reason = "" };

	revoke.device = world_device(&world, "ws-7");
	world_device(&world, "ws-8");
	world_device(&world, "lab-8");
	pending_device(key); /* "ws-1" */
	ck_assert_int_eq(admin_does(OP_DEVICE_REVOKE, &revoke, NULL), 0);
	ck_assert_uint_eq(count_devices(&query), 4);
	query.state = 1 + DEVICE_PENDING;
	ck_assert_uint_eq(count_devices(&query), 1);
	query.state = 1 + DEVICE_APPROVED;
	ck_assert_uint_eq(count_devices(&query), 2);
	query.state = 1 + DEVICE_REVOKED;
	ck_assert_uint_eq(count_devices(&query), 1);
	query.state = DEVICE_FILTER_ANY;
	snprintf(query.match, sizeof query.match, "WS-*");
	ck_assert_uint_eq(count_devices(&query), 3);
	snprintf(query.match, sizeof query.match, "*-8");
	ck_assert_uint_eq(count_devices(&query), 2);
	query.after = 2;
	ck_assert_uint_eq(count_devices(&query), 1);
}
END_TEST

Suite *
suite(void)
{
	Suite *s = suite_create("ledger_device");
	TCase *t = tcase_create("ledger_device");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_device_is_known_by_key_and_name);
	tcase_add_test(t, the_same_key_with_a_new_token_keeps_its_number);
	tcase_add_test(t, the_class_never_changes);
	tcase_add_test(t, one_device_for_each_tpm);
	tcase_add_test(t, tpm_of_a_revoked_device_makes_another);
	tcase_add_test(t, certificate_that_changed_leaves_the_old_one);
	tcase_add_test(t, vtpm_stays_one_when_its_maker_becomes_known);
	tcase_add_test(t, site_lets_in_the_classes_that_it_names);
	tcase_add_test(t, license_names_the_classes_that_get_seats);
	tcase_add_test(t, strangers_certificate_is_not_journaled);
	tcase_add_test(t, revoking_a_device_ends_its_leases_and_no_others);
	tcase_add_test(t, a_revoked_key_stays_out);
	tcase_add_test(t,
	    a_lease_granted_while_its_end_was_ordered_keeps_its_slot);
	tcase_add_test(t,
	    a_seat_taken_by_force_waits_for_who_could_not_be_told);
	tcase_add_test(t, devices_are_listed_in_pages);
	tcase_add_test(t, devices_are_found_by_state_name_and_host);
	tcase_add_test(t, a_device_gets_no_seat_before_an_admin_lets_it_in);
	tcase_add_test(t, who_was_shut_out_is_not_let_in_again);
	tcase_add_test(t, another_token_may_let_in_and_never_shuts_out);
	tcase_add_test(t, the_reply_says_who_waits_also_in_a_retry);
	tcase_add_test(t,
	    the_reason_is_shown_and_stands_in_the_journal_by_id_alone);
	suite_add_tcase(s, t);
	return s;
}
