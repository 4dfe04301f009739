/* Borrows, while all that they rest on changes: licenses with other seats and
 * without a feature, leases beside them, devices shut out, clocks set forward
 * and back, a journal that was put back. Whatever is asked in whatever order is
 * granted or refused: nothing fails, the state is sound after each step, and
 * the journal folds to it. */
#include "tests/unit/ledger_borrow.h"
#include "tests/unit/suite.h"

#define PRODUCT "davinci"
#define FEATURE "autosar"
#define STEPS 1500
#define DEVICES 4
#define LEASES 64

struct mixed {
	struct borrower borrower;
	uint64_t target;
	bool revoked;
};

static struct world world;
static struct mixed devices[DEVICES];
static uint64_t leases[LEASES]; /* any that there ever were */
static size_t n_leases;
static uint64_t serial, n_devices, witness;

static uint32_t
draw(uint32_t below)
{
	uint32_t value;

	world_random(&world, &value, sizeof value);
	return value % below;
}

/* A refusal is as good as a grant. */
static void
must_be_decided(int err, const char *what)
{
	ck_assert_msg(err != ERR_CORRUPT && err != ERR_NOMEM && err != ERR_IO &&
		err != ERR_SYSTEM && err != ERR_FULL && err != ERR_BUSY,
	    "%s: %s", what, err_name(err));
}

static void
install(void)
{
	static struct license_feature features[1];
	struct license license =
	    borrow_license(&world, PRODUCT, 1 + draw(5), draw(4));

	license.serial = ++serial;
	license.terms.borrow_max_s = 30 * BORROW_DAY_S;
	license.terms.borrow_seats = draw(3) == 0 ? 1 + draw(3) : 0;
	license.contract.end_date += 3000;
	if (draw(3) > 0) {
		uint32_t commit = 1 + draw(3), overage = draw(3);

		features[0] = (struct license_feature){
			.total_licenses = commit + overage,
			.commit_qty = commit,
			.max_overage = overage,
			.overage_per_use = 50000,
			.name = FEATURE,
			.currency = "EUR",
		};
		snprintf(features[0].id, sizeof features[0].id, FEATURE);
		license.features = (struct record_list){ features, 1 };
	}
	ck_assert_int_eq(world_install(&world, &license), 0);
}

static void
replace_device(struct mixed *device)
{
	char name[32];

	snprintf(name, sizeof name, "laptop-%llu",
	    (unsigned long long)++n_devices);
	*device = (struct mixed){ .borrower = borrower_new(&world, name) };
}

static void
remember(uint64_t lease)
{
	if (lease != 0)
		leases[n_leases++ % LEASES] = lease;
}

static uint64_t
some_lease(void)
{
	size_t n = n_leases < LEASES ? n_leases : LEASES;

	return n > 0 ? leases[draw((uint32_t)n)] : 1;
}

/* --- steps ---------------------------------------------------------------- */

static void
do_take(struct mixed *device)
{
	struct borrow_take body = borrow_take_body(&world, &device->borrower,
	    PRODUCT, 60 + draw(3 * BORROW_DAY_S));
	struct command command;

	body.ask.count = 1 + draw(3);
	if (draw(3) == 0)
		snprintf(body.ask.feature, sizeof body.ask.feature, FEATURE);
	remember(borrow_take_as(&world, &command, &device->borrower, &body));
	must_be_decided(command.err, "take");
}

static void
do_checkout(struct mixed *device)
{
	struct checkout body = world_checkout_body(&world, PRODUCT, "bob");
	struct command command;

	if (draw(2) == 0)
		snprintf(body.feature, sizeof body.feature, FEATURE);
	if (world_checkout(&world, &command, device->borrower.device, &body) ==
	    0)
		remember(command.reply.checkout.lease);
	must_be_decided(command.err, "checkout");
	arena_release(&command.arena);
}

static void
do_end(struct mixed *device)
{
	struct command command;

	switch (draw(5)) {
	case 0:
		must_be_decided(borrow_write_off(&world, &command, some_lease(),
				    true),
		    "write off as overage");
		break;
	case 1:
		must_be_decided(borrow_write_off(&world, &command, some_lease(),
				    false),
		    "write off");
		break;
	default:
		must_be_decided(world_return(&world, device->borrower.device,
				    some_lease()),
		    "return");
	}
}

static void
do_give_back(struct mixed *device)
{
	struct borrow_returned returned;
	uint64_t target;

	switch (draw(3)) {
	case 0:
		must_be_decided(borrow_prepare(&world, &target,
				    &device->borrower,
				    draw(4) == 0 ? 0 : some_lease()),
		    "prepare");
		if (target != 0)
			device->target = target;
		break;
	case 1:
		if (device->borrower.counter < device->target)
			device->borrower.counter++;
		else if (draw(4) == 0)
			device->borrower.counter += 1 + draw(3);
		break;
	default:
		must_be_decided(borrow_prove(&world, &returned,
				    &device->borrower),
		    "prove");
	}
}

static void
do_extend(struct mixed *device)
{
	struct command command;

	must_be_decided(borrow_extend(&world, &command, &device->borrower,
			    some_lease(), 60 + draw(3 * BORROW_DAY_S)),
	    "extend");
}

static void
do_time(void)
{
	struct row_clock clock = { .event = CLOCK_CORRECTED,
		.held = world.now };
	struct command command;

	world.now += draw(100) * 1000;
	if (draw(20) == 0)
		world.now += (int64_t)draw(4) * WORLD_DAY;
	if (draw(40) > 0)
		return;
	clock.held = world.now;
	clock.wall = world.now - (int64_t)draw(5) * WORLD_DAY;
	command = world_command(&world, LEDGER_CLOCK, ACTOR_ADMIN, 1, &clock);
	must_be_decided(world_do(&world, &command), "clock");
	if (command.err == 0)
		world.now = clock.wall;
	arena_release(&command.arena);
}

static void
do_rarely(struct mixed *device)
{
	struct device_revoke revoke = { .device = device->borrower.device };
	struct ledger_generation generation = { .reason = "test" };
	struct command command;

	switch (draw(6)) {
	case 0:
		must_be_decided(borrow_do(&world, &command, OP_DEVICE_REVOKE,
				    ACTOR_ADMIN, 1, &revoke),
		    "revoke");
		replace_device(device);
		break;
	case 1:
		witness += 2;
		generation.counter = witness;
		must_be_decided(borrow_do(&world, &command, LEDGER_GENERATION,
				    ACTOR_ADMIN, 1, &generation),
		    "generation");
		break;
	case 2:
		world_reopen(&world);
		break;
	default:
		install();
	}
}

static void
step(void)
{
	struct mixed *device = &devices[draw(DEVICES)];
	uint32_t what = draw(100);

	device->borrower.clock_ms += draw(5000);
	if (what < 25)
		do_take(device);
	else if (what < 40)
		do_checkout(device);
	else if (what < 50)
		do_end(device);
	else if (what < 80)
		do_give_back(device);
	else if (what < 88)
		do_extend(device);
	else if (what < 96)
		do_time();
	else
		do_rarely(device);
}

START_TEST(nothing_fails_whatever_changes_below_borrows)
{
	const char *runs = getenv("LEDGER_MIX_SEED");
	uint64_t seed =
	    runs != NULL ? strtoull(runs, NULL, 10) : 1 + (uint64_t)_i;

	world_init(&world, seed);
	serial = n_devices = witness = 0;
	n_leases = 0;
	install();
	for (size_t i = 0; i < DEVICES; i++)
		replace_device(&devices[i]);
	for (int i = 0; i < STEPS; i++) {
		step();
		world_check(&world);
	}
	world_check_folded(&world);
	world_free(&world);
}
END_TEST

Suite *
suite(void)
{
	Suite *s = suite_create("ledger_borrow_mix");
	TCase *tc = tcase_create("mix");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, nothing_fails_whatever_changes_below_borrows, 0,
	    4);
	suite_add_tcase(s, tc);
	return s;
}
