/*
 * A site with a journal in memory and a hub that takes its reports, made of
 * shared/report and the journal maker alone: for unit tests, the fuzzer and the
 * simulator. The hub keeps what one has to keep: the mark, the last overage
 * number and the editions of each license, and which rows were counted. It must
 * not know the ledger.
 */
#ifndef TESTS_UNIT_REPORT_WORLD_H
#define TESTS_UNIT_REPORT_WORLD_H

#include "shared/base/err.h"
#include "shared/report/box.h"
#include "tests/unit/journal_maker.h"

#define WORLD_LICENSES 4 /* 1 and 2 of "vector", 3 of "other" */
#define WORLD_COUNTED 1024

struct report_hub {
	struct report_mark mark;
	uint64_t overage[WORLD_LICENSES];
	uint32_t generation[WORLD_LICENSES];
	struct report_installed installed[16];
	uint32_t n_installed;
	struct {
		uint32_t generation;
		uint64_t row;
		uint64_t seats;
	} counted[WORLD_COUNTED];
	uint32_t n_counted;
	uint64_t seats; /* billed */
	uint64_t others, rollbacks;
};

struct report_world {
	struct maker *maker;
	uint8_t site_key[32];
	uint8_t tenant_key[32];
	struct report_mark acknowledged; /* that the site has */
	uint64_t restart; /* batch; 0: none */
	uint32_t people; /* enum report_people: what its tenant tells */
	uint32_t says; /* the same: what it says that it tells */
	size_t body_goal;
	uint32_t features; /* each with an hour of seats in every hour told */
	int64_t hours_from, hours_to; /* as was asked last */
	struct report_hub hub;
	/* The last report made, and what became of it. */
	struct buf token, body;
	struct report report;
	struct report_mark next;
	struct arena arena;
	struct report_finding finding;
};

/* --- the site's side ------------------------------------------------------- */

static inline int
world_batch(void *ctx, struct record_span *blob, uint64_t batch)
{
	struct report_world *world = ctx;

	if (batch >= world->maker->n)
		return ERR_NOT_FOUND_INTERNAL;
	*blob = (struct record_span){ world->maker->blobs[batch].data,
		(uint32_t)world->maker->blobs[batch].len };
	return 0;
}

static inline int
world_license(void *ctx, struct report_license *out, uint64_t number)
{
	(void)ctx;
	if (number == 0 || number >= WORLD_LICENSES)
		return ERR_NOT_FOUND_INTERNAL;
	snprintf(out->vendor, sizeof out->vendor, "%s",
	    number < 3 ? "vector" : "other");
	snprintf(out->license_id, sizeof out->license_id, "lic-%u",
	    (unsigned int)number);
	return 0;
}

/* One seat of each feature was held all the time. */
static inline int
world_hours(void *ctx, int64_t from, int64_t to,
    int (*each)(void *sink, const struct report_hour *hour), void *sink)
{
	struct report_world *world = ctx;
	struct report_denial denied = { .code = "no_seats", .count = 2 };
	int err = 0;

	world->hours_from = from;
	world->hours_to = to;
	for (uint32_t i = 0; i < world->features; i++)
		for (int64_t at = from; at <= to && err == 0; at += 3600000) {
			struct report_hour hour = { .license = "lic-1",
				.serial = 1,
				.start = at,
				.checkouts = 1,
				.seats = 1,
				.peak = 1,
				.seat_ms = 3600000,
				.denials = 2,
				.denied = { &denied, 1 } };

			snprintf(hour.feature, sizeof hour.feature, "f%05u",
			    (unsigned int)i);
			err = each(sink, &hour);
		}
	return err;
}

static inline void
world_digest(uint8_t digest[32], uint64_t license, uint64_t serial)
{
	memset(digest, 0, 32);
	digest[0] = (uint8_t)license;
	digest[1] = (uint8_t)serial;
}

static inline int
world_lent(void *ctx, uint8_t digest[32], char feature[64], uint64_t license,
    uint64_t lease)
{
	(void)ctx;
	(void)license;
	world_digest(digest, lease % 2 + 1, 1);
	snprintf(feature, 64, "autosar");
	return 0;
}

static inline int
world_edition(void *ctx, uint64_t *serial, uint64_t license)
{
	(void)ctx;
	(void)license;
	*serial = 1;
	return 0;
}

static inline int
world_node(uint8_t out[MERKLE_BYTES], void *ctx, unsigned int level,
    uint64_t index)
{
	struct report_world *world = ctx;
	uint64_t first = index << level, n = UINT64_C(1) << level;

	if (first + n > world->maker->n)
		return ERR_NOT_FOUND_INTERNAL;
	merkle_root(out, &merkle_blake2b, world->maker->leaves[first], n);
	return 0;
}

static inline int
world_pseudonym(void *ctx, uint8_t out[16], uint64_t device)
{
	struct report_world *world = ctx;

	report_pseudonym(out, world->tenant_key, "vector", device);
	return 0;
}

/* Subjects are a letter each; "x" was erased. */
static inline int
world_name(void *ctx, struct report_name *out,
    const uint8_t subject[SUBJECT_BYTES])
{
	(void)ctx;
	if (subject[0] == 'x')
		return ERR_NOT_FOUND_INTERNAL;
	out->kind = subject[0] >= 'a';
	snprintf(out->name, sizeof out->name, "%c", subject[0]);
	return 0;
}

static inline struct row
world_install(uint64_t number, uint64_t serial)
{
	struct row row = { .kind = ROW_LICENSE_INSTALLED };
	struct row_license_installed *r = &row.u.license_installed;
	struct license *l = &r->document;
	struct report_license about = { "", "" };

	world_license(NULL, &about, number);
	r->license = number;
	world_digest(r->digest, number, serial);
	snprintf(l->license_id, sizeof l->license_id, "%s", about.license_id);
	l->serial = serial;
	snprintf(l->vendor.id, sizeof l->vendor.id, "%s", about.vendor);
	snprintf(l->vendor.name, sizeof l->vendor.name, "%s", about.vendor);
	snprintf(l->site, sizeof l->site, "site-test");
	snprintf(l->tenant, sizeof l->tenant, "default");
	snprintf(l->product.id, sizeof l->product.id, "davinci-%u",
	    (unsigned int)number);
	snprintf(l->product.version, sizeof l->product.version, "*");
	l->entitlement.total_licenses = 10;
	l->entitlement.max_overage = 10;
	snprintf(l->entitlement.pricing.currency, 4, "EUR");
	l->contract.end_date = 30000;
	l->terms.ttl_s = 120;
	l->issued_at = MAKER_TIME;
	r->issuer_token = (struct record_span){ "i", 1 };
	r->license_token = (struct record_span){ "l", 1 };
	return row;
}

/* An overage seat, or (0) a committed one. */
static inline struct row
world_grant(uint64_t lease, uint64_t license, uint64_t overage)
{
	struct row row = maker_grant(lease, license, overage);

	world_digest(row.u.lease_granted.license_digest, license, 1);
	row.u.lease_granted.device = lease % 3 + 1;
	return row;
}

static inline void
world_commit(struct report_world *world, struct row row)
{
	maker_add(world->maker, &row);
	maker_commit(world->maker);
}

/* Genesis, and the three licenses. */
static inline struct report_world *
report_world_new(uint8_t seed)
{
	static struct report_world one; /* one a test, as its maker */
	struct report_world *world = &one;

	memset(world, 0, sizeof *world);
	world->maker = maker_new(seed);
	memcpy(world->site_key, world->maker->secret + 32, 32);
	memset(world->tenant_key, 7, sizeof world->tenant_key);
	for (uint64_t i = 1; i < WORLD_LICENSES; i++) {
		struct row row = world_install(i, 1);

		maker_add(world->maker, &row);
	}
	maker_commit(world->maker);
	return world;
}

static inline void
report_world_release(struct report_world *world)
{
	maker_release(world->maker);
	buf_release(&world->token);
	buf_release(&world->body);
	arena_release(&world->arena);
}

static inline int
world_report_as(struct report_world *world, const char *vendor)
{
	const struct report_source source = {
		.ctx = world,
		.batch = world_batch,
		.license = world_license,
		.lent = world_lent,
		.edition = world_edition,
		.history = { &merkle_blake2b, world, world_node },
		.pseudonym =
		    world->people != REPORT_NOBODY ? world_pseudonym : NULL,
		.name = world->people == REPORT_CLEAR ? world_name : NULL,
		.hours = world->features > 0 ? world_hours : NULL,
	};
	const struct report_asked asked = {
		.site = "site-test",
		.tenant = "default",
		.vendor = vendor,
		.previous = world->acknowledged,
		.newest = world->maker->n - 1,
		.restart = world->restart,
		.restarts = world->restart != 0,
		.people = (enum report_people)world->says,
		.proof = { .counter = 17, .clock = MAKER_TIME },
		.software = "leaseholdd 0.1.0",
		.body_goal = world->body_goal,
	};

	return report_build(&world->token, &world->body, &world->report,
	    &world->next, &source, &asked, world->maker->secret);
}

/* --- the hub's side ------------------------------------------------------------ */

static inline int
hub_overage(void *ctx, uint64_t *last, uint32_t *generation, uint64_t license)
{
	const struct report_hub *hub = ctx;

	*last = license < WORLD_LICENSES ? hub->overage[license] : 0;
	*generation = license < WORLD_LICENSES ? hub->generation[license] : 0;
	return 0;
}

static inline int
hub_installed(void *ctx, struct report_installed *out, uint64_t license,
    const uint8_t digest[32])
{
	const struct report_hub *hub = ctx;

	for (uint32_t i = 0; i < hub->n_installed; i++) {
		*out = hub->installed[i];
		if (out->license == license &&
		    memcmp(out->digest, digest, 32) == 0)
			return 0;
	}
	return ERR_NOT_FOUND_INTERNAL;
}

static inline int
hub_counted(void *ctx, bool *yes, uint32_t generation, uint64_t row)
{
	const struct report_hub *hub = ctx;

	*yes = false;
	for (uint32_t i = 0; i < hub->n_counted; i++)
		if (hub->counted[i].generation == generation &&
		    hub->counted[i].row == row)
			*yes = true;
	return 0;
}

static inline void
hub_note(struct report_hub *hub, uint32_t generation, uint64_t row,
    uint64_t seats)
{
	ck_assert_uint_lt(hub->n_counted, WORLD_COUNTED);
	hub->counted[hub->n_counted].generation = generation;
	hub->counted[hub->n_counted].row = row;
	hub->counted[hub->n_counted++].seats = seats;
}

static inline void
hub_count(struct report_hub *hub, const struct report_overage *shown)
{
	hub->overage[shown->license] = shown->first + shown->count - 1;
	hub->generation[shown->license] = shown->generation;
	hub_note(hub, shown->generation, shown->row,
	    shown->again ? 0 : shown->count);
	if (shown->again)
		return;
	if (shown->origin_row != 0)
		hub_note(hub, shown->origin_generation, shown->origin_row, 0);
	hub->seats += shown->count;
}

/* Bytes that arrive at the hub. What was taken is counted. */
static inline enum report_answer
hub_take(struct report_world *world, const void *token, size_t token_len,
    const void *body, size_t body_len)
{
	struct report_hub *hub = &world->hub;
	struct report_finding *found = &world->finding;
	struct report_known known = {
		.site = "site-test",
		.tenant = "default",
		.vendor = "vector",
		.mark = hub->mark,
		.ctx = hub,
		.overage = hub_overage,
		.installed = hub_installed,
		.counted = hub_counted,
	};

	known.keys = site_keys_one(world->site_key);
	arena_clear(&world->arena);
	ck_assert_int_eq(report_verify(found, &known, token, token_len, body,
			     body_len, &world->arena),
	    0);
	if (found->answer != REPORT_TAKEN) {
		ck_assert(found->reason[0] != '\0');
		ck_assert_uint_eq(found->mark.sequence, hub->mark.sequence);
		ck_assert_uint_eq(found->n_overage, 0);
		return found->answer;
	}
	for (uint32_t i = 0; i < found->n_installed; i++) {
		ck_assert_uint_lt(hub->n_installed, 16);
		hub->installed[hub->n_installed++] = found->installed[i];
	}
	for (uint32_t i = 0; i < found->n_overage; i++)
		hub_count(hub, &found->overage[i]);
	hub->mark = found->mark;
	hub->others += found->others;
	hub->rollbacks += found->n_rollbacks;
	return found->answer;
}

static inline enum report_answer
hub_take_report_of(struct report_world *world, const struct buf *token,
    const struct buf *body)
{
	return hub_take(world, token->data, token->len, body->data, body->len);
}

/* As it was made. */
static inline enum report_answer
hub_take_report(struct report_world *world)
{
	return hub_take_report_of(world, &world->token, &world->body);
}

/* The site makes one, the hub takes it, the receipt comes back. */
static inline void
world_sync(struct report_world *world)
{
	ck_assert_int_eq(world_report_as(world, "vector"), 0);
	ck_assert_int_eq(hub_take_report(world), REPORT_TAKEN);
	ck_assert(memcmp(&world->next.head, &world->hub.mark.head, 32) == 0);
	world->acknowledged = world->hub.mark;
	world->restart = 0;
}

#endif
