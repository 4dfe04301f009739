/* API keys in the ledger's core: what is decided about them, what a row makes
 * of the state, and what contradicts it. */
#include "appliance/ledger/core.h"
#include "appliance/ledger/fold.h"
#include "appliance/ledger/ledger_key.h"
#include "tests/unit/ledger_world.h"
#include "tests/unit/suite.h"

#define HOUR ((int64_t)3600 * 1000)
#define PRODUCT "davinci"

static struct world world;
static struct arena arena;

static void
set_up(void)
{
	world_init(&world, 31);
	memset(&arena, 0, sizeof arena);
}

/* Whatever a test did, its journal says. */
static void
tear_down(void)
{
	world_check_folded(&world);
	arena_release(&arena);
	world_free(&world);
}

/* --- commands --------------------------------------------------------------- */

static struct record_span
document_of(const char *name, uint32_t checkouts)
{
	struct key_document document = { .restrictions.checkouts_per_minute =
					     checkouts };
	struct record_span span;
	struct buf bytes = { .len = 0 };

	snprintf(document.app_name, sizeof document.app_name, "%s", name);
	record_write_msgpack(&bytes, &key_document_record, &document);
	ck_assert(!bytes.failed);
	span.data = arena_copy(&arena, bytes.data, bytes.len);
	span.len = (uint32_t)bytes.len;
	ck_assert_ptr_nonnull(span.data);
	buf_release(&bytes);
	return span;
}

static void
hash_of(uint8_t hash[KEY_HASH_BYTES], const char *secret)
{
	ledger_key_hash(hash, world.ledger, secret, strlen(secret));
}

static int
run(struct ledger_key_made *made, uint32_t op, const void *request)
{
	struct command command =
	    world_command(&world, op, ACTOR_ADMIN, 1, request);
	int err = world_do(&world, &command);

	if (err == 0 && made != NULL)
		*made = command.reply.key;
	arena_release(&command.arena);
	return err;
}

static uint64_t
create(const char *secret, uint32_t days)
{
	struct ledger_key_create request = { .name = "build",
		.scopes = SCOPE_BIT(SCOPE_CHECKOUT) | SCOPE_BIT(SCOPE_RETURN),
		.expires_in_days = days,
		.document = document_of(secret, 7) };
	struct ledger_key_made made;

	hash_of(request.hash, secret);
	ck_assert_int_eq(run(&made, LEDGER_KEY_CREATE, &request), 0);
	ck_assert_int_eq(made.expires_at,
	    days == 0 ? 0 : made.at + days * WORLD_DAY);
	return made.device;
}

static int
rotate(struct ledger_key_made *made, uint64_t device, const char *secret,
    uint32_t overlap_hours, uint32_t days)
{
	struct ledger_key_rotate request = { .device = device,
		.overlap_hours = overlap_hours,
		.expires_in_days = days };

	hash_of(request.hash, secret);
	return run(made, LEDGER_KEY_ROTATE, &request);
}

static int
change(const struct ledger_key *read, const char *name)
{
	struct ledger_key_change request = { .device = read->device,
		.document = document_of(name, 9) };

	memcpy(request.before, read->document, sizeof request.before);
	return run(NULL, LEDGER_KEY_CHANGE, &request);
}

static int
revoke_key(uint64_t device)
{
	struct device_revoke request = { .device = device,
		.reason = "it leaked" };

	return run(NULL, OP_DEVICE_REVOKE, &request);
}

/* --- looking ---------------------------------------------------------------- */

static int
find(struct ledger_key *key, const char *secret)
{
	uint8_t hash[KEY_HASH_BYTES];
	struct ledger_view *view;

	hash_of(hash, secret);
	ck_assert_int_eq(ledger_view_open(&view, world.ledger), 0);
	int err = ledger_key_find(key, view, hash);

	ledger_view_close(view);
	return err;
}

static struct ledger_key
key_of(uint64_t device)
{
	struct ledger_view *view;
	struct ledger_key key;

	ck_assert_int_eq(ledger_view_open(&view, world.ledger), 0);
	ck_assert_int_eq(ledger_key(&key, view, device), 0);
	ledger_view_close(view);
	return key;
}

static struct key_document
read_document(const struct ledger_key *key)
{
	struct key_document document;
	struct ledger_view *view;

	ck_assert_int_eq(ledger_view_open(&view, world.ledger), 0);
	ck_assert_int_eq(ledger_key_document(&document, view, key, &arena), 0);
	ledger_view_close(view);
	return document;
}

/* --- made ------------------------------------------------------------------- */

START_TEST(a_key_is_found_by_its_secret_alone)
{
	uint64_t device = create("secret", 3);
	uint64_t other = create("another", 0);
	struct ledger_key key;

	ck_assert_uint_ne(device, other);
	ck_assert_int_eq(find(&key, "secret"), 0);
	ck_assert_uint_eq(key.device, device);
	ck_assert_uint_eq(key.scopes,
	    SCOPE_BIT(SCOPE_CHECKOUT) | SCOPE_BIT(SCOPE_RETURN));
	ck_assert(!key.revoked && !key.previous);
	ck_assert_int_eq(key.expires_at, key.created_at + 3 * WORLD_DAY);
	ck_assert_uint_eq(key.by.kind, ACTOR_ADMIN);
	const struct key_document document = read_document(&key);

	ck_assert_str_eq(document.app_name, "secret");
	ck_assert_uint_eq(document.restrictions.checkouts_per_minute, 7);
	ck_assert_int_eq(find(&key, "Secret"), ERR_NOT_FOUND_INTERNAL);
	ck_assert_int_eq(find(&key, ""), ERR_NOT_FOUND_INTERNAL);
}
END_TEST

START_TEST(scopes_are_kept_by_name)
{
	const scope_set all = SCOPES_ADMIN | SCOPE_BIT(SCOPE_CHECKOUT) |
	    SCOPE_BIT(SCOPE_RETURN) | SCOPE_BIT(SCOPE_BORROW) |
	    SCOPE_BIT(SCOPE_USAGE_WRITE);
	char text[256];

	key_scopes_write(text, SCOPE_BIT(SCOPE_RETURN));
	ck_assert_str_eq(text, "license:return");
	key_scopes_write(text, all);
	ck_assert_uint_eq(key_scopes_read(text), all);
	key_scopes_write(text, 0);
	ck_assert_str_eq(text, "");
	/* One of a later release is none of ours. */
	ck_assert_uint_eq(key_scopes_read("license:return license:melt"),
	    SCOPE_BIT(SCOPE_RETURN));
}
END_TEST

/* --- changed ---------------------------------------------------------------- */

START_TEST(a_document_is_replaced_by_who_has_read_it)
{
	uint64_t device = create("secret", 0);
	struct ledger_key before = key_of(device), after;

	ck_assert_int_eq(change(&before, "new"), 0);
	after = key_of(device);
	ck_assert_str_eq(read_document(&after).app_name, "new");
	/* The old one is gone. */
	ck_assert_str_eq(read_document(&before).app_name, "");
	ck_assert_int_eq(change(&before, "late"), ERR_CONFLICT);
	after = key_of(device);
	ck_assert_str_eq(read_document(&after).app_name, "new");
}
END_TEST

START_TEST(what_is_no_key_is_not_changed)
{
	uint64_t device = world_device(&world, "ws-1");
	struct ledger_key none = { .device = device };

	ck_assert_int_eq(change(&none, "x"), ERR_NOT_FOUND);
	ck_assert_int_eq(rotate(NULL, device, "x", 1, 0), ERR_NOT_FOUND);
	ck_assert_int_eq(rotate(NULL, 99, "x", 1, 0), ERR_NOT_FOUND);
}
END_TEST

START_TEST(a_revoked_key_stays_as_it_was)
{
	uint64_t device = create("secret", 0);
	struct ledger_key key = key_of(device);

	ck_assert_int_eq(revoke_key(device), 0);
	ck_assert_int_eq(change(&key, "x"), ERR_GONE);
	ck_assert_int_eq(rotate(NULL, device, "x", 1, 0), ERR_GONE);
	ck_assert_int_eq(find(&key, "secret"), 0);
	ck_assert(key.revoked);
}
END_TEST

/* --- rotated ---------------------------------------------------------------- */

START_TEST(both_secrets_are_found_until_the_next_one)
{
	uint64_t device = create("one", 0);
	struct ledger_key_made made;
	struct ledger_key key;

	ck_assert_int_eq(rotate(&made, device, "two", 24, 0), 0);
	ck_assert_int_eq(made.previous_until, made.at + 24 * HOUR);
	ck_assert_int_eq(find(&key, "one"), 0);
	ck_assert(key.previous);
	ck_assert_int_eq(key.previous_until, made.previous_until);
	ck_assert_int_eq(find(&key, "two"), 0);
	ck_assert(!key.previous);
	ck_assert_int_eq(key.rotated_at, made.at);
	ck_assert_int_eq(rotate(&made, device, "three", 0, 0), 0);
	ck_assert_int_eq(made.previous_until, 0);
	ck_assert_int_eq(find(&key, "one"), ERR_NOT_FOUND_INTERNAL);
	ck_assert_int_eq(find(&key, "two"), 0);
	ck_assert(key.previous && key.previous_until == 0);
	ck_assert_int_eq(find(&key, "three"), 0);
}
END_TEST

START_TEST(an_old_secret_does_not_outlive_what_it_was_given)
{
	uint64_t device = create("one", 1);
	int64_t end = key_of(device).expires_at;
	struct ledger_key_made made;

	ck_assert_int_eq(rotate(&made, device, "two", 720, 30), 0);
	ck_assert_int_eq(made.previous_until, end);
	ck_assert_int_eq(made.expires_at, made.at + 30 * WORLD_DAY);
	/* Said nothing, it ends when it did before. */
	end = made.expires_at;
	ck_assert_int_eq(rotate(&made, device, "three", 1, 0), 0);
	ck_assert_int_eq(made.expires_at, end);
}
END_TEST

/* --- seats ------------------------------------------------------------------ */

/* It may have asked in time and waited since. */
START_TEST(a_key_that_has_ended_gets_no_seat)
{
	struct license license = world_license(&world, PRODUCT, 2, 0);
	uint64_t device = create("secret", 1);
	struct checkout body;
	struct command command;

	ck_assert_int_eq(world_install(&world, &license), 0);
	int64_t end = key_of(device).expires_at;

	world.now = end - 1;
	body = world_checkout_body(&world, PRODUCT, "build");
	ck_assert_int_eq(world_checkout(&world, &command, device, &body), 0);
	arena_release(&command.arena);
	world.now = end;
	body = world_checkout_body(&world, PRODUCT, "build");
	ck_assert_int_eq(world_checkout(&world, &command, device, &body),
	    ERR_UNAUTHENTICATED);
	arena_release(&command.arena);
}
END_TEST

START_TEST(a_revoked_key_gets_no_seat)
{
	struct license license = world_license(&world, PRODUCT, 2, 0);
	uint64_t device = create("secret", 0);
	struct checkout body;
	struct command command;

	ck_assert_int_eq(world_install(&world, &license), 0);
	ck_assert_int_eq(revoke_key(device), 0);
	body = world_checkout_body(&world, PRODUCT, "build");
	ck_assert_int_eq(world_checkout(&world, &command, device, &body),
	    ERR_DEVICE_REVOKED);
	arena_release(&command.arena);
}
END_TEST

/* --- rows that contradict --------------------------------------------------- */

/* As the next row of the journal; nothing of it stays. */
static int
fold(const struct row *row)
{
	struct fold_place place = { .batch = 1000, .time = world.now };
	struct row next = *row;
	struct state state;

	ck_assert_int_eq(state_begin(&state, world.ledger->store, true, NULL),
	    0);
	next.number = state.counters.next_row;
	int err = fold_row(&state, &next, &place);

	state_abort(&state);
	return err;
}

START_TEST(numbers_of_keys_are_those_of_devices)
{
	uint64_t last = create("one", 0);
	struct row row = { .kind = ROW_KEY_CREATED,
		.u.key_created = { .device = last + 1, .hash = { 1 } } };

	ck_assert_int_eq(fold(&row), 0);
	row.u.key_created.device = last + 2;
	ck_assert_int_eq(fold(&row), ERR_CORRUPT);
	row.u.key_created.device = last;
	ck_assert_int_eq(fold(&row), ERR_CORRUPT);
}
END_TEST

START_TEST(rows_are_of_keys_that_are_there)
{
	uint64_t device = create("one", 0);
	struct row changed = { .kind = ROW_KEY_CHANGED,
		.u.key_changed = { .device = device } };
	struct row rotated = { .kind = ROW_KEY_ROTATED,
		.u.key_rotated = { .device = device, .hash = { 2 } } };

	ck_assert_int_eq(fold(&changed), 0);
	ck_assert_int_eq(fold(&rotated), 0);
	changed.u.key_changed.device = device + 1;
	rotated.u.key_rotated.device = device + 1;
	ck_assert_int_eq(fold(&changed), ERR_CORRUPT);
	ck_assert_int_eq(fold(&rotated), ERR_CORRUPT);
}
END_TEST

Suite *
suite(void)
{
	Suite *s = suite_create("ledger_key");
	TCase *keys = tcase_create("keys");

	tcase_add_checked_fixture(keys, set_up, tear_down);
	tcase_add_test(keys, a_key_is_found_by_its_secret_alone);
	tcase_add_test(keys, scopes_are_kept_by_name);
	tcase_add_test(keys, a_document_is_replaced_by_who_has_read_it);
	tcase_add_test(keys, what_is_no_key_is_not_changed);
	tcase_add_test(keys, a_revoked_key_stays_as_it_was);
	tcase_add_test(keys, both_secrets_are_found_until_the_next_one);
	tcase_add_test(keys, an_old_secret_does_not_outlive_what_it_was_given);
	tcase_add_test(keys, a_key_that_has_ended_gets_no_seat);
	tcase_add_test(keys, a_revoked_key_gets_no_seat);
	tcase_add_test(keys, numbers_of_keys_are_those_of_devices);
	tcase_add_test(keys, rows_are_of_keys_that_are_there);
	suite_add_tcase(s, keys);
	return s;
}
