/*
 * Random policies and changes of them while leases come and go, restarts and
 * commits that fail between: against a model that knows names, lists and sums
 * alone, and none of what the ledger does for speed. What the model forbids is
 * not granted, and what it allows is.
 */
#include "tests/unit/ledger_world.h"
#include "tests/unit/suite.h"

#define SEEDS 12
#define STEPS 400
#define LEASES_MAX 64
#define RULES_MAX 6

static const char *const users[] = { "ann", "bob", "carl", "dora", "eve", "" };
static const char *const hosts[] = { "ws-1", "a.lab.example", "lab.example",
	"b.x.lab.example" };
static const char *const products[] = { "davinci", "canoe" };
static const char *const addresses[] = { "10.4.1.2", "10.5.1.2",
	"2001:db8:4::1" };
static const uint32_t totals[] = { 9, 5 };

struct held {
	uint64_t lease; /* 0: free */
	int user, host, product;
	uint64_t device;
	uint32_t count;
};

/* A rule as the model has it: whom it names, by index. */
struct plain_rule {
	uint32_t kind, each, seats;
	int product; /* -1: all */
	unsigned int in_users, in_hosts, in_devices, in_addresses; /* bits */
	bool below; /* all hosts below lab.example */
	bool anybody;
};

struct sim {
	struct world world;
	uint64_t devices[2];
	struct held held[LEASES_MAX];
	struct plain_rule rules[RULES_MAX];
	uint32_t n_rules;
	uint32_t random;
	uint32_t granted, refused[4];
};

static uint32_t
draw(struct sim *sim, uint32_t below)
{
	sim->random = sim->random * 1664525u + 1013904223u;
	return (sim->random >> 10) % below;
}

/* --- the model ---------------------------------------------------------------- */

/* address -1: a lease does not say. */
static bool
names(const struct plain_rule *rule, const struct held *who, int address)
{
	bool below = who->host == 1 || who->host == 3;

	return rule->anybody ||
	    (who->user < 5 && (rule->in_users >> who->user & 1) != 0) ||
	    (rule->in_hosts >> who->host & 1) != 0 || (rule->below && below) ||
	    (rule->in_devices >> (who->device - 1) & 1) != 0 ||
	    (address >= 0 && (rule->in_addresses >> address & 1) != 0);
}

static bool
is_about(const struct plain_rule *rule, int product)
{
	return rule->product < 0 || rule->product == product;
}

/* Seats that those hold whom the rule names; `same`: as this one alone. */
static uint32_t
sum(const struct sim *sim, const struct plain_rule *rule,
    const struct held *same)
{
	uint32_t all = 0;

	for (int i = 0; i < LEASES_MAX; i++) {
		const struct held *held = &sim->held[i];

		if (held->lease == 0 || !is_about(rule, held->product) ||
		    !names(rule, held, -1))
			continue;
		if (same != NULL &&
		    ((rule->each == POLICY_EACH_USER &&
			 held->user != same->user) ||
			(rule->each == POLICY_EACH_HOST &&
			    held->host != same->host) ||
			(rule->each == POLICY_EACH_DEVICE &&
			    held->device != same->device)))
			continue;
		all += held->count;
	}
	return all;
}

static int
expect_lists(const struct sim *sim, const struct held *who, int address)
{
	bool include = false, included = false;

	for (uint32_t i = 0; i < sim->n_rules; i++) {
		const struct plain_rule *rule = &sim->rules[i];

		if (!is_about(rule, who->product))
			continue;
		bool named = names(rule, who, address);

		if (rule->kind == POLICY_EXCLUDE && named)
			return ERR_EXCLUDED;
		include |= rule->kind == POLICY_INCLUDE;
		included |= rule->kind == POLICY_INCLUDE && named;
	}
	return include && !included ? ERR_EXCLUDED : 0;
}

static int
expect_max(const struct sim *sim, const struct held *who)
{
	bool never = false, now = false;

	for (uint32_t i = 0; i < sim->n_rules; i++) {
		const struct plain_rule *rule = &sim->rules[i];

		if (rule->kind != POLICY_MAX || !is_about(rule, who->product) ||
		    !names(rule, who, -1))
			continue;
		never |= who->count > rule->seats;
		now |= sum(sim, rule, rule->each == POLICY_ALL ? NULL : who) +
			who->count >
		    rule->seats;
	}
	/* Which of several is told is not said. */
	return never ? ERR_MAX_REACHED : now ? ERR_POLICY_MAX : 0;
}

static uint32_t
taken(const struct sim *sim, int product)
{
	uint32_t all = 0;

	for (int i = 0; i < LEASES_MAX; i++)
		if (sim->held[i].lease != 0 && sim->held[i].product == product)
			all += sim->held[i].count;
	return all;
}

static int
expect_seats(const struct sim *sim, const struct held *who)
{
	uint32_t free = totals[who->product] - taken(sim, who->product);
	uint32_t others = 0;

	if (who->count > totals[who->product])
		return ERR_MAX_REACHED;
	if (who->count > free)
		return ERR_NO_SEATS;
	for (uint32_t i = 0; i < sim->n_rules; i++) {
		const struct plain_rule *rule = &sim->rules[i];
		uint32_t held;

		if (rule->kind != POLICY_RESERVE ||
		    !is_about(rule, who->product) || names(rule, who, -1))
			continue;
		held = sum(sim, rule, NULL);
		others += rule->seats > held ? rule->seats - held : 0;
	}
	return who->count + others > free && others > 0 ? ERR_RESERVED : 0;
}

static bool
is_expected(const struct sim *sim, const struct held *who, int address, int err)
{
	int expected = expect_lists(sim, who, address);

	if (expected != 0)
		return err == expected;
	expected = expect_max(sim, who);
	if (expected != 0)
		return err == ERR_MAX_REACHED || err == ERR_POLICY_MAX;
	return err == expect_seats(sim, who);
}

/* --- what is done --------------------------------------------------------------- */

static void
draw_rule(struct sim *sim, struct plain_rule *rule)
{
	static const uint32_t kinds[] = { POLICY_INCLUDE, POLICY_EXCLUDE,
		POLICY_MAX, POLICY_MAX, POLICY_RESERVE, POLICY_RESERVE };

	*rule = (struct plain_rule){ .kind = kinds[draw(sim, 6)],
		.seats = 1 + draw(sim, 5),
		.product = (int)draw(sim, 3) - 1 };
	bool counts = rule->kind == POLICY_MAX || rule->kind == POLICY_RESERVE;

	if (rule->kind == POLICY_RESERVE && rule->product < 0)
		rule->product = 0;
	if (rule->kind == POLICY_MAX) {
		rule->each = draw(sim, 4);
		rule->anybody = draw(sim, 3) == 0;
	}
	if (rule->anybody)
		return;
	rule->in_users = draw(sim, 32);
	if (draw(sim, 3) == 0)
		rule->in_hosts = draw(sim, 16);
	rule->below = draw(sim, 4) == 0;
	if (draw(sim, 4) == 0)
		rule->in_devices = draw(sim, 4);
	if (!counts && draw(sim, 3) == 0)
		rule->in_addresses = draw(sim, 8);
	/* Somebody is named. */
	if (rule->kind == POLICY_INCLUDE || rule->in_users == 0)
		rule->in_users |= 1;
}

static void
write_rule(char *out, size_t size, const struct plain_rule *rule, uint32_t i)
{
	static const char *const ranges[] = { "10.4.0.0/16", "10.5.1.2",
		"2001:db8:4::/48" };
	size_t len = 0;

#define ADD(...) len += (size_t)snprintf(out + len, size - len, __VA_ARGS__)
#define LIST(name, bits, n, format, value)                          \
	do {                                                        \
		bool some = false;                                  \
		for (unsigned int j = 0; j < (n); j++) {            \
			if (((bits) >> j & 1) == 0)                 \
				continue;                           \
			ADD("%s\"" format "\"",                     \
			    some ? "," : ",\"" name "\":[", value); \
			some = true;                                \
		}                                                   \
		if (some)                                           \
			ADD("]");                                   \
	} while (0)
	ADD("{\"name\":\"r%u\",\"kind\":\"%s\"", i,
	    policy_kind_names[rule->kind]);
	if (rule->product >= 0)
		ADD(",\"product\":\"%s\"", products[rule->product]);
	if (rule->kind == POLICY_MAX || rule->kind == POLICY_RESERVE)
		ADD(",\"seats\":%u", rule->seats);
	if (rule->each != POLICY_ALL)
		ADD(",\"each\":\"%s\"", policy_each_names[rule->each]);
	LIST("users", rule->in_users, 5, "%s", users[j]);
	LIST("devices", rule->in_devices, 2, "device-%u", j + 1);
	LIST("addresses", rule->in_addresses, 3, "%s", ranges[j]);
	if (rule->below) {
		ADD(",\"hosts\":[\"*.lab.example\"");
		for (unsigned int j = 0; j < 4; j++)
			if ((rule->in_hosts >> j & 1) != 0)
				ADD(",\"%s\"", hosts[j]);
		ADD("]");
	} else {
		LIST("hosts", rule->in_hosts, 4, "%s", hosts[j]);
	}
	ADD("}");
#undef LIST
#undef ADD
	ck_assert_uint_lt(len, size);
}

static void
change_policy(struct sim *sim)
{
	struct plain_rule rules[RULES_MAX];
	uint32_t n = draw(sim, RULES_MAX + 1);
	struct record_error error = { .reason = "" };
	struct policy_put put = { .follows = 0 };
	struct arena arena = { 0 };
	char json[4096] = "{\"rules\":[";
	bool fails = draw(sim, 8) == 0;

	for (uint32_t i = 0; i < n; i++) {
		size_t len = strlen(json);

		draw_rule(sim, &rules[i]);
		if (i > 0)
			json[len++] = ',';
		write_rule(json + len, sizeof json - len, &rules[i], i);
	}
	strcat(json, "]}");
	ck_assert_msg(record_read_json(&put.policy, &policy_document_record,
			  json, strlen(json), &arena, &error) == 0,
	    "%s: %s %s", json, error.field, error.reason);
	if (fails) {
		sim->world.fault_step = "commit";
		sim->world.fault_err = ERR_FULL;
	}
	struct command command =
	    world_command(&sim->world, OP_POLICY_PUT, ACTOR_ADMIN, 1, &put);
	int err = world_do(&sim->world, &command);

	ck_assert_msg(err == (fails ? ERR_FULL : 0), "%s: %s %s", json,
	    command.problem.field, command.problem.detail);
	arena_release(&command.arena);
	arena_release(&arena);
	if (fails)
		return;
	memcpy(sim->rules, rules, sizeof rules);
	sim->n_rules = n;
}

static void
take(struct sim *sim, struct held *held)
{
	struct held who = { .user = (int)draw(sim, 6),
		.host = (int)draw(sim, 4),
		.product = (int)draw(sim, 2),
		.device = sim->devices[draw(sim, 2)],
		.count = 1 + draw(sim, 3) };
	int address = (int)draw(sim, 3);
	struct checkout checkout = world_checkout_body(&sim->world,
	    products[who.product], users[who.user]);
	bool fails = draw(sim, 40) == 0;

	checkout.count = who.count;
	snprintf(checkout.host, sizeof checkout.host, "%s", hosts[who.host]);
	struct command command = world_command(&sim->world, OP_LEASE_CHECKOUT,
	    ACTOR_DEVICE, who.device, &checkout);

	snprintf(command.who.address, sizeof command.who.address, "%s",
	    addresses[address]);
	if (fails) {
		sim->world.fault_step = "append";
		sim->world.fault_err = ERR_FULL;
	}
	int err = world_do(&sim->world, &command);

	sim->world.fault_step = NULL;
	if (err != ERR_FULL)
		ck_assert_msg(is_expected(sim, &who, address, err),
		    "%s x%u for %s on %s from %s: %s (%s)",
		    products[who.product], who.count, users[who.user],
		    hosts[who.host], addresses[address], err_name(err),
		    command.problem.hint);
	if (err == 0) {
		*held = who;
		held->lease = command.reply.checkout.lease;
		sim->granted++;
	}
	sim->refused[0] += err == ERR_EXCLUDED;
	sim->refused[1] += err == ERR_POLICY_MAX;
	sim->refused[2] += err == ERR_RESERVED;
	sim->refused[3] += err == ERR_NO_SEATS;
	arena_release(&command.arena);
}

static void
step(struct sim *sim)
{
	struct held *held = &sim->held[draw(sim, LEASES_MAX)];
	uint32_t what = draw(sim, 100);

	sim->world.now += draw(sim, 2000);
	if (what < 6)
		change_policy(sim);
	else if (what < 8)
		world_reopen(&sim->world);
	else if (what < 45 && held->lease != 0) {
		ck_assert_int_eq(world_return(&sim->world, held->device,
				     held->lease),
		    0);
		held->lease = 0;
	} else if (held->lease == 0) {
		take(sim, held);
	}
}

START_TEST(what_is_granted_is_what_the_policy_allows)
{
	struct sim *sim = calloc(1, sizeof *sim);

	ck_assert_ptr_nonnull(sim);
	sim->random = (uint32_t)_i * 7919u + 1;
	world_init(&sim->world, 500 + (uint64_t)_i);
	for (int i = 0; i < 2; i++) {
		struct license license =
		    world_license(&sim->world, products[i], totals[i], 0);

		ck_assert_int_eq(world_install(&sim->world, &license), 0);
		sim->devices[i] = world_device(&sim->world, "ws");
		ck_assert_uint_eq(sim->devices[i], (uint64_t)i + 1);
	}
	for (int i = 0; i < STEPS; i++)
		step(sim);
	/* It was worth its name. */
	ck_assert_uint_gt(sim->granted, 0);
	ck_assert_uint_gt(sim->refused[0] + sim->refused[1] + sim->refused[2],
	    0);
	world_check_folded(&sim->world);
	world_free(&sim->world);
	free(sim);
}
END_TEST

Suite *
suite(void)
{
	Suite *s = suite_create("policy_sim");
	TCase *t = tcase_create("policy_sim");

	tcase_set_timeout(t, 240);
	tcase_add_loop_test(t, what_is_granted_is_what_the_policy_allows, 0,
	    SEEDS);
	suite_add_tcase(s, t);
	return s;
}
