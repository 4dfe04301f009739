/* A journal that was put back to an older copy, in the core: ticks, frozen
 * ledgers, generations, and leases of the lost branch that are adopted. */
#include "appliance/ledger/store.h"
#include "tests/unit/ledger_borrow.h"
#include "tests/unit/ledger_copy.h"
#include "tests/unit/suite.h"

static struct world world;
static uint64_t alice, bob;

/* A lease as its keeper has it. */
struct kept {
	struct attach_item item;
	struct checkout body;
	struct command command; /* owns the bytes */
};

static void
setup(void)
{
	world_init(&world, 77);
	struct license license = world_license(&world, "davinci", 2, 2);

	ck_assert_int_eq(world_install(&world, &license), 0);
	alice = world_device(&world, "alice");
	bob = world_device(&world, "bob");
}

static void
teardown(void)
{
	char copy[128];

	snprintf(copy, sizeof copy, "%s/copy", world.dir);
	unlink(copy);
	world_free(&world);
}

static void
take(struct kept *kept, uint64_t device, uint32_t count)
{
	memset(kept, 0, sizeof *kept);
	kept->body = world_checkout_body(&world, "davinci", "user");
	kept->body.count = count;
	ck_assert_int_eq(world_checkout(&world, &kept->command, device,
			     &kept->body),
	    0);
	const struct checkout_reply *reply = &kept->command.reply.checkout;

	kept->item = (struct attach_item){
		.lease = reply->lease,
		.row_number = reply->row_number,
		.row = reply->row,
		.path = reply->path,
		.header = reply->header,
	};
}

static void
drop(struct kept *kept)
{
	arena_release(&kept->command.arena);
}

static int
tick(uint64_t counter)
{
	struct row_tick row = { .counter = counter };
	struct command command =
	    world_command(&world, LEDGER_TICK, ACTOR_SITE, 0, &row);

	return world_do(&world, &command);
}

static int
begin_generation(uint64_t counter)
{
	struct ledger_generation request = {
		.stored = 3,
		.witnessed = 9,
		.counter = counter,
		.reason = "the disk failed",
	};
	struct command command =
	    world_command(&world, LEDGER_GENERATION, ACTOR_ADMIN, 1, &request);

	world.now += 1000;
	return world_do(&world, &command);
}

/* As the process does it: read, then decide. What became of it. */
static int
adopt(struct kept *const *kept, uint32_t n, uint64_t device)
{
	struct ledger_adopt_item items[8];
	struct ledger_adopt request = { items, n };
	struct arena arena = { .chunks = NULL };

	for (uint32_t i = 0; i < n; i++)
		ck_assert_int_eq(ledger_adopt_read(&items[i], world.ledger,
				     &kept[i]->item, device, &arena),
		    0);
	struct command command =
	    world_command(&world, LEDGER_ADOPT, ACTOR_DEVICE, device, &request);
	int err = world_do(&world, &command);

	for (uint32_t i = 0; i < n && err == 0; i++)
		err = items[i].err;
	arena_release(&command.arena);
	arena_release(&arena);
	return err;
}

static int
adopt_one(struct kept *kept, uint64_t device)
{
	return adopt(&kept, 1, device);
}

static struct row_mark
mark(void)
{
	struct ledger_view *view;
	struct row_mark mark;

	ck_assert_int_eq(ledger_view_open(&view, world.ledger), 0);
	ck_assert_int_eq(ledger_mark(&mark, view), 0);
	ledger_view_close(view);
	return mark;
}

/* --- ticks ---------------------------------------------------------------- */

START_TEST(a_tick_is_journaled_once)
{
	uint64_t batch = mark().batch;

	ck_assert_int_eq(tick(5), 0);
	ck_assert_uint_eq(mark().batch, batch + 1);
	/* A crash came behind it, and the same is tried again. */
	ck_assert_int_eq(tick(5), 0);
	ck_assert_uint_eq(mark().batch, batch + 1);
	ck_assert_int_eq(tick(4), ERR_CONFLICT);
	ck_assert_int_eq(tick(6), 0);
	world_reopen(&world);
	ck_assert_int_eq(tick(6), 0);
	ck_assert_uint_eq(mark().batch, batch + 2);
	world_check_folded(&world);
}
END_TEST

START_TEST(a_frozen_ledger_decides_nothing_but_a_generation)
{
	struct checkout body = world_checkout_body(&world, "davinci", "eve");
	struct command command;
	uint64_t lease = world_lease(&world, alice, "davinci");
	uint64_t batch = mark().batch;

	ledger_freeze(world.ledger, true);
	ck_assert_int_eq(world_checkout(&world, &command, alice, &body),
	    ERR_ROLLED_BACK);
	arena_release(&command.arena);
	ck_assert_int_eq(world_return(&world, alice, lease), ERR_ROLLED_BACK);
	ck_assert_int_eq(tick(5), ERR_ROLLED_BACK);
	ck_assert_uint_eq(mark().batch, batch);
	ck_assert_int_eq(begin_generation(7), 0);
	ck_assert_uint_eq(mark().batch, batch + 1);
	ck_assert_int_eq(world_return(&world, alice, lease), ERR_ROLLED_BACK);
	ledger_freeze(world.ledger, false);
	ck_assert_int_eq(world_return(&world, alice, lease), 0);
	world_check_folded(&world);
}
END_TEST

/* --- generations ------------------------------------------------------------ */

START_TEST(a_generation_passes_over_numbers_that_may_have_been_given)
{
	ck_assert_uint_eq(world_lease(&world, alice, "davinci"), 1);
	ck_assert_uint_eq(mark().generation, 1);
	ck_assert_int_eq(begin_generation(7), 0);
	ck_assert_uint_eq(mark().generation, 2);
	ck_assert_uint_eq(world_lease(&world, alice, "davinci"), 1000000001);
	ck_assert_uint_eq(world_device(&world, "carol"), 1000001);
	world_check_folded(&world);
	ck_assert_int_eq(begin_generation(9), 0);
	ck_assert_uint_eq(mark().generation, 3);
	ck_assert_uint_eq(world_lease(&world, alice, "davinci"), 2000000001);
	world_reopen(&world);
	ck_assert_uint_eq(mark().generation, 3);
	world_check_folded(&world);
}
END_TEST

/* The crash came before the rest was written: asked again, it is done. */
START_TEST(a_generation_begins_once_for_one_value_of_the_counter)
{
	ck_assert_int_eq(begin_generation(7), 0);
	uint64_t batch = mark().batch;

	ck_assert_int_eq(begin_generation(7), 0);
	world_reopen(&world);
	ck_assert_int_eq(begin_generation(7), 0);
	ck_assert_uint_eq(mark().batch, batch);
	ck_assert_uint_eq(mark().generation, 2);
	ck_assert_int_eq(tick(7), 0);
	ck_assert_uint_eq(mark().batch, batch);
	ck_assert_int_eq(tick(8), 0);
	world_check_folded(&world);
}
END_TEST

/* Of the lost branch: no refusal for ever, and no proof. Of this generation, as
 * before. */
START_TEST(what_was_known_of_a_lost_branch_is_no_refusal)
{
	struct command command;
	struct checkout body;

	ledger_snapshot(&world);
	ck_assert_uint_ne(world_lease(&world, alice, "davinci"), 0);
	ck_assert_uint_ne(world_lease(&world, alice, "davinci"), 0);
	struct journal_known lost = world_known(&world);

	ledger_put_back(&world);
	body = world_checkout_body(&world, "davinci", "eve");
	body.known = lost;
	ck_assert_int_eq(world_checkout(&world, &command, alice, &body),
	    ERR_ROLLED_BACK);
	arena_release(&command.arena);
	ck_assert_int_eq(begin_generation(7), 0);
	ck_assert_int_eq(world_checkout(&world, &command, alice, &body), 0);
	ck_assert_uint_eq(command.reply.checkout.inclusion.len, 0);
	ck_assert_uint_eq(command.reply.checkout.consistency.len, 0);
	arena_release(&command.arena);
	/* An agent's header of this generation that it does not hold. */
	body = world_checkout_body(&world, "davinci", "eve");
	body.known = lost;
	body.known.generation = 2;
	ck_assert_int_eq(world_checkout(&world, &command, alice, &body),
	    ERR_ROLLED_BACK);
	arena_release(&command.arena);
	/* What it does hold is proved, whatever the generation. */
	body.known = world_known(&world);
	ck_assert_int_eq(begin_generation(9), 0);
	ck_assert_int_eq(world_checkout(&world, &command, alice, &body), 0);
	ck_assert_uint_ne(command.reply.checkout.inclusion.len, 0);
	arena_release(&command.arena);
}
END_TEST

START_TEST(places_are_held_or_not)
{
	struct row_mark before = mark();
	struct ledger_view *view;

	ck_assert_int_eq(tick(5), 0);
	struct row_mark after = mark();

	ck_assert_int_eq(ledger_view_open(&view, world.ledger), 0);
	ck_assert_int_eq(ledger_holds(view, before.batch, before.head), 0);
	ck_assert_int_eq(ledger_holds(view, after.batch, after.head), 0);
	ck_assert_int_eq(ledger_holds(view, after.batch, before.head),
	    ERR_ROLLED_BACK);
	ck_assert_int_eq(ledger_holds(view, after.batch + 1, after.head),
	    ERR_ROLLED_BACK);
	ck_assert_uint_eq(ledger_tick(view), 5);
	ledger_view_close(view);
}
END_TEST

/* --- adoption ---------------------------------------------------------------- */

static bool
is_held(uint64_t lease)
{
	struct ledger_view *view;
	struct ledger_lease found;

	ck_assert_int_eq(ledger_view_open(&view, world.ledger), 0);
	int err = ledger_lease(&found, view, lease, NULL);

	ledger_view_close(view);
	return err == 0;
}

START_TEST(a_lease_of_a_lost_branch_goes_on)
{
	struct ledger_lease found;
	struct ledger_view *view;
	struct arena arena = { .chunks = NULL };
	struct kept kept;

	ledger_snapshot(&world);
	take(&kept, alice, 2);
	ledger_put_back(&world);
	ck_assert_int_eq(begin_generation(7), 0);
	ck_assert(!is_held(kept.item.lease));
	ck_assert_int_eq(adopt_one(&kept, alice), 0);
	ck_assert(is_held(kept.item.lease));
	ck_assert_uint_eq(world_usage(&world, 1).used_commit, 2);
	/* Its holder has the row that it was granted with, and shows that. */
	ck_assert_int_eq(ledger_view_open(&view, world.ledger), 0);
	ck_assert_int_eq(ledger_lease(&found, view, kept.item.lease, &arena),
	    0);
	ck_assert_uint_eq(found.row_number, kept.item.row_number);
	ck_assert_uint_eq(found.row.len, kept.item.row.len);
	ck_assert_mem_eq(found.row.data, kept.item.row.data, found.row.len);
	ledger_view_close(view);
	/* Once more changes nothing. */
	uint64_t batch = mark().batch;

	ck_assert_int_eq(adopt_one(&kept, alice), 0);
	world_reopen(&world);
	ck_assert_int_eq(adopt_one(&kept, alice), 0);
	ck_assert_uint_eq(mark().batch, batch);
	world_check_folded(&world);
	/* It ends as any other, once and for all. */
	ck_assert_int_eq(world_return(&world, alice, kept.item.lease), 0);
	ck_assert_uint_eq(world_usage(&world, 1).used_commit, 0);
	ck_assert_int_eq(adopt_one(&kept, alice), ERR_GONE);
	ck_assert_uint_eq(world_lease(&world, alice, "davinci"), 1000000001);
	world_check_folded(&world);
	arena_release(&arena);
	drop(&kept);
}
END_TEST

/* Seats are not given twice: those above the license are as they were granted,
 * and the vendor's money is that of the grants, once. */
START_TEST(adopted_seats_keep_their_type_above_the_license)
{
	struct kept lost[2], fresh[2];
	struct kept *both[] = { &lost[0], &lost[1] };
	struct checkout body;
	struct command command;

	ledger_snapshot(&world);
	take(&lost[0], alice, 2);
	take(&lost[1], alice, 2); /* overage */
	ledger_put_back(&world);
	ck_assert_int_eq(begin_generation(7), 0);
	take(&fresh[0], bob, 2);
	take(&fresh[1], bob, 2);
	ck_assert_int_eq(adopt(both, 2, alice), 0);
	struct license_view use = world_usage(&world, 1);

	ck_assert_uint_eq(use.used_commit, 4);
	ck_assert_uint_eq(use.used_overage, 4);
	ck_assert_uint_eq(use.overage_checkouts, 4);
	world_check_folded(&world);
	body = world_checkout_body(&world, "davinci", "eve");
	ck_assert_int_eq(world_checkout(&world, &command, bob, &body),
	    ERR_OVERAGE_EXHAUSTED);
	arena_release(&command.arena);
	/* While more is taken than there is, what comes back is not given. */
	ck_assert_int_eq(world_return(&world, bob, fresh[0].item.lease), 0);
	ck_assert_int_eq(world_checkout(&world, &command, bob, &body),
	    ERR_OVERAGE_EXHAUSTED);
	arena_release(&command.arena);
	ck_assert_int_eq(world_return(&world, alice, lost[0].item.lease), 0);
	ck_assert_int_eq(world_return(&world, alice, lost[1].item.lease), 0);
	ck_assert_int_eq(world_checkout(&world, &command, bob, &body), 0);
	arena_release(&command.arena);
	world_check_folded(&world);
	for (int i = 0; i < 2; i++) {
		drop(&lost[i]);
		drop(&fresh[i]);
	}
}
END_TEST

START_TEST(evidence_is_read_strictly)
{
	struct arena arena = { .chunks = NULL };
	struct ledger_adopt_item out;
	struct row_mark place;
	struct kept kept;
	uint8_t row[1024], path[1024];
	char header[2048];

	take(&kept, alice, 1);
	memcpy(row, kept.item.row.data, kept.item.row.len);
	memcpy(path, kept.item.path.data, kept.item.path.len);
	memcpy(header, kept.item.header.data, kept.item.header.len);
	ck_assert_int_eq(ledger_adopt_read(&out, world.ledger, &kept.item,
			     alice, &arena),
	    0);
	ck_assert_uint_eq(out.grant.lease, kept.item.lease);
	ck_assert_uint_eq(out.origin.generation, 1);
	for (int i = 0; i < 8; i++) {
		struct attach_item bad = kept.item;
		uint64_t device = alice;

		bad.row.data = row;
		bad.path.data = path;
		bad.header.data = header;
		row[20] ^= i == 0;
		header[60] = (char)(header[60] ^ (i == 1));
		path[0] ^= i == 2;
		bad.path.len -= i == 3;
		bad.lease += i == 4;
		bad.row_number += i == 5;
		device = i == 6 ? bob : alice;
		bad.header.len = i == 7 ? 0 : bad.header.len;
		/* A batch of one row has no path to be wrong. */
		if ((i == 2 || i == 3) && kept.item.path.len == 0)
			continue;
		ck_assert_int_ne(ledger_adopt_read(&out, world.ledger, &bad,
				     device, &arena),
		    0);
		row[20] ^= i == 0;
		header[60] = (char)(header[60] ^ (i == 1));
		path[0] ^= i == 2;
	}
	/* Of another tenant, by the same key. */
	struct world other;

	world_init(&other, 78);
	ck_assert_int_ne(ledger_adopt_read(&out, other.ledger, &kept.item,
			     alice, &arena),
	    0);
	ck_assert_int_ne(ledger_read_evidence(&place, other.ledger,
			     kept.item.header.data, kept.item.header.len),
	    0);
	world_free(&other);
	ck_assert_int_eq(ledger_read_evidence(&place, world.ledger,
			     kept.item.header.data, kept.item.header.len),
	    0);
	ck_assert_uint_eq(place.batch, mark().batch);
	ck_assert_mem_eq(place.head, mark().head, 32);
	ck_assert_int_ne(ledger_read_evidence(&place, world.ledger, "v4.public",
			     9),
	    0);
	arena_release(&arena);
	drop(&kept);
}
END_TEST

/* Nobody can hold it any more: nothing was signed for it since. */
START_TEST(a_lease_is_adopted_only_while_somebody_may_hold_it)
{
	struct kept kept[2];

	ledger_snapshot(&world);
	take(&kept[0], alice, 1);
	take(&kept[1], alice, 1);
	ledger_put_back(&world);
	ck_assert_int_eq(begin_generation(7), 0);
	world.now += (120 + 300) * 1000 + LEDGER_SKEW_MS;
	ck_assert_int_eq(adopt_one(&kept[0], alice), 0);
	world.now += 1;
	ck_assert_int_eq(adopt_one(&kept[1], alice), ERR_GONE);
	drop(&kept[0]);
	drop(&kept[1]);
}
END_TEST

/* The site went on unawares and gave the number to another. */
START_TEST(a_number_given_again_is_not_adopted)
{
	struct kept lost, again;

	ledger_snapshot(&world);
	take(&lost, alice, 1);
	ledger_put_back(&world);
	take(&again, bob, 1);
	ck_assert_uint_eq(lost.item.lease, again.item.lease);
	ck_assert_int_eq(begin_generation(7), 0);
	ck_assert_int_eq(adopt_one(&lost, alice), ERR_GONE);
	ck_assert_int_eq(world_return(&world, bob, again.item.lease), 0);
	ck_assert_int_eq(adopt_one(&lost, alice), ERR_GONE);
	world_check_folded(&world);
	drop(&lost);
	drop(&again);
}
END_TEST

/* And to the same device: its return is not that of the other. */
START_TEST(a_return_names_the_checkout_it_is_of)
{
	struct kept lost, again;
	struct lease_return give = { 0 };
	struct command command;

	ledger_snapshot(&world);
	take(&lost, alice, 1);
	ledger_put_back(&world);
	take(&again, alice, 1);
	give.lease = again.item.lease;
	memcpy(give.request, lost.body.request, sizeof give.request);
	command =
	    world_command(&world, OP_LEASE_RETURN, ACTOR_DEVICE, alice, &give);
	ck_assert_int_eq(world_do(&world, &command), ERR_GONE);
	ck_assert(is_held(again.item.lease));
	memcpy(give.request, again.body.request, sizeof give.request);
	command =
	    world_command(&world, OP_LEASE_RETURN, ACTOR_DEVICE, alice, &give);
	ck_assert_int_eq(world_do(&world, &command), 0);
	ck_assert(!is_held(again.item.lease));
	drop(&lost);
	drop(&again);
}
END_TEST

START_TEST(who_may_not_hold_seats_brings_none)
{
	struct device_revoke revoke = { .device = alice };
	struct command command;
	struct kept kept;

	ledger_snapshot(&world);
	take(&kept, alice, 1);
	ledger_put_back(&world);
	ck_assert_int_eq(begin_generation(7), 0);
	command =
	    world_command(&world, OP_DEVICE_REVOKE, ACTOR_ADMIN, 1, &revoke);
	ck_assert_int_eq(world_do(&world, &command), 0);
	arena_release(&command.arena);
	ck_assert_int_eq(adopt_one(&kept, alice), ERR_DEVICE_REVOKED);
	drop(&kept);
}
END_TEST

/* The license was installed on the lost branch: it is to be installed again. */
START_TEST(a_lease_waits_for_its_license)
{
	struct license license = world_license(&world, "other", 1, 0);
	struct kept kept = { 0 };

	ledger_snapshot(&world);
	ck_assert_int_eq(world_install(&world, &license), 0);
	kept.body = world_checkout_body(&world, "other", "user");
	ck_assert_int_eq(world_checkout(&world, &kept.command, alice,
			     &kept.body),
	    0);
	const struct checkout_reply *reply = &kept.command.reply.checkout;

	kept.item = (struct attach_item){ reply->lease, reply->row_number,
		reply->row, reply->path, reply->header };
	ledger_put_back(&world);
	ck_assert_int_eq(begin_generation(7), 0);
	ck_assert_int_eq(adopt_one(&kept, alice), ERR_NOT_ENTITLED);
	ck_assert_int_eq(world_install(&world, &license), 0);
	ck_assert_int_eq(adopt_one(&kept, alice), 0);
	world_check_folded(&world);
	drop(&kept);
}
END_TEST

/* Twice put back: what was lost the first time may still come. */
START_TEST(a_later_generation_adopts_of_all_before)
{
	struct kept first, second;

	ledger_snapshot(&world);
	take(&first, alice, 1);
	ledger_put_back(&world);
	ck_assert_int_eq(begin_generation(7), 0);
	ledger_snapshot(&world);
	take(&second, alice, 1);
	ledger_put_back(&world);
	ck_assert_int_eq(begin_generation(9), 0);
	ck_assert_int_eq(adopt_one(&second, alice), 0);
	ck_assert_int_eq(adopt_one(&first, alice), 0);
	ck_assert_uint_eq(world_usage(&world, 1).used_commit, 2);
	world_check_folded(&world);
	drop(&first);
	drop(&second);
}
END_TEST

/* Its holder was told by nobody when it came: its slot lingers. */
START_TEST(an_adopted_lease_taken_by_force_lingers)
{
	struct lease_ref ref;
	struct command command;
	struct kept kept;

	ledger_snapshot(&world);
	take(&kept, alice, 1);
	ledger_put_back(&world);
	ck_assert_int_eq(begin_generation(7), 0);
	ck_assert_int_eq(adopt_one(&kept, alice), 0);
	ref.lease = kept.item.lease;
	command = world_command(&world, OP_LEASE_RELEASE, ACTOR_ADMIN, 1, &ref);
	/* The command was made before it came. */
	command.unseen_from = 1000000001;
	ck_assert_int_eq(world_do(&world, &command), 0);
	struct ledger_view *view;
	int64_t until = 0;

	ck_assert_int_eq(ledger_view_open(&view, world.ledger), 0);
	ck_assert_int_eq(ledger_linger_end(&until, view), 0);
	ledger_view_close(view);
	ck_assert_int_ge(until, world.now + 420 * 1000);
	world_check_folded(&world);
	drop(&kept);
}
END_TEST

/* The one ticket of a device, as its keeper has it. */
static void
keep_ticket(struct kept *kept, uint64_t device)
{
	struct borrow_mine query = { .after = 0 };
	struct borrow_tickets page;
	struct ledger_view *view;

	memset(kept, 0, sizeof *kept);
	ck_assert_int_eq(ledger_view_open(&view, world.ledger), 0);
	ck_assert_int_eq(ledger_tickets(&page, view, device, &query,
			     &kept->command.arena),
	    0);
	ledger_view_close(view);
	ck_assert_uint_eq(page.items.count, 1);
	const struct borrow_evidence *e = page.items.items;

	kept->item = (struct attach_item){
		.lease = e->lease,
		.row_number = e->row_number,
		.row = e->row,
		.path = e->path,
		.header = e->header,
	};
}

/* By the slots in its ticket an application tells commit from overage, and what
 * is beyond the license: those of the grant, wherever it stands here. */
static void
check_slots_of_ticket(const struct kept *kept)
{
	struct arena arena = { .chunks = NULL };
	struct row row;

	ck_assert_int_eq(row_read(&row, kept->item.row_number,
			     kept->item.row.data, kept->item.row.len, &arena),
	    0);
	const struct row_lease_granted *r = &row.u.borrowed.grant;

	ck_assert_uint_eq(r->count - r->overage_count,
	    row_slots_below(r->slots.items, r->slots.count, 2));
	ck_assert_uint_eq(r->count,
	    row_slots_below(r->slots.items, r->slots.count, 4));
	arena_release(&arena);
}

START_TEST(an_adopted_ticket_is_true_by_its_license)
{
	struct license license = borrow_license(&world, "davinci", 2, 2);
	struct borrower laptop = { .device = alice,
		.counter = 1,
		.clock_ms = 5000,
		.resets = 1 };
	struct kept kept, later;
	uint64_t lease;

	license.serial = 2;
	ck_assert_int_eq(world_install(&world, &license), 0);
	ledger_snapshot(&world);
	lease = borrow_take(&world, &laptop, "davinci", 86400);
	ck_assert_uint_ne(lease, 0);
	keep_ticket(&kept, alice);
	ledger_put_back(&world);
	ck_assert_int_eq(begin_generation(7), 0);
	/* Others were faster: there is no seat left for it. */
	for (int i = 0; i < 4; i++)
		ck_assert_uint_ne(world_lease(&world, bob, "davinci"), 0);
	ck_assert_int_eq(adopt_one(&kept, alice), 0);
	keep_ticket(&later, alice);
	ck_assert_uint_eq(later.item.lease, lease);
	check_slots_of_ticket(&later);
	world_check_folded(&world);
	drop(&kept);
	drop(&later);
}
END_TEST

/* Cut off what is counted since there are generations. */
static void
age_counters(void)
{
	const struct store_options options = { .path = world.path,
		.map_bytes = world.options.map_bytes };
	static const uint8_t key[1] = { 0 };
	uint8_t copy[256];
	struct record_span value;
	struct store *store;
	struct store_txn txn;

	ledger_close(world.ledger);
	ck_assert_int_eq(store_open(&store, &options), 0);
	ck_assert_int_eq(store_begin(&txn, store, true), 0);
	ck_assert_int_eq(store_get(&value, &txn, STORE_COUNTERS, key, 1), 0);
	ck_assert_uint_eq(value.len, 1 + 12 * 8 + 4 + 6 * 8);
	memcpy(copy, value.data, 1 + 12 * 8);
	ck_assert_int_eq(store_put(&txn, STORE_COUNTERS, key, 1, copy,
			     1 + 12 * 8),
	    0);
	ck_assert_int_eq(store_commit(&txn), 0);
	store_close(store);
	world_open(&world);
}

START_TEST(a_store_of_before_there_were_generations_goes_on)
{
	struct kept kept;

	take(&kept, alice, 2);
	age_counters();
	ck_assert_uint_eq(mark().generation, 1);
	ck_assert_int_eq(tick(1), 0);
	world_check_folded(&world);
	ck_assert_int_eq(world_return(&world, alice, kept.item.lease), 0);
	world_check_folded(&world);
	drop(&kept);
}
END_TEST

Suite *
suite(void)
{
	Suite *s = suite_create("ledger_generation");
	TCase *tc = tcase_create("ledger_generation");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, a_tick_is_journaled_once);
	tcase_add_test(tc, a_frozen_ledger_decides_nothing_but_a_generation);
	tcase_add_test(tc,
	    a_generation_passes_over_numbers_that_may_have_been_given);
	tcase_add_test(tc,
	    a_generation_begins_once_for_one_value_of_the_counter);
	tcase_add_test(tc, what_was_known_of_a_lost_branch_is_no_refusal);
	tcase_add_test(tc, places_are_held_or_not);
	tcase_add_test(tc, a_lease_of_a_lost_branch_goes_on);
	tcase_add_test(tc, adopted_seats_keep_their_type_above_the_license);
	tcase_add_test(tc, evidence_is_read_strictly);
	tcase_add_test(tc, a_lease_is_adopted_only_while_somebody_may_hold_it);
	tcase_add_test(tc, a_number_given_again_is_not_adopted);
	tcase_add_test(tc, a_return_names_the_checkout_it_is_of);
	tcase_add_test(tc, who_may_not_hold_seats_brings_none);
	tcase_add_test(tc, a_lease_waits_for_its_license);
	tcase_add_test(tc, a_later_generation_adopts_of_all_before);
	tcase_add_test(tc, an_adopted_lease_taken_by_force_lingers);
	tcase_add_test(tc, an_adopted_ticket_is_true_by_its_license);
	tcase_add_test(tc, a_store_of_before_there_were_generations_goes_on);
	suite_add_tcase(s, tc);
	return s;
}
