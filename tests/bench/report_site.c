#include "tests/bench/report_site.h"

#include "tests/fuzz/fuzz.h"

#include "tests/unit/report_world.h"

static void
secret_of(uint8_t secret[64], uint64_t site)
{
	uint8_t seed[32] = { 0 }, public_key[32];

	memcpy(seed, &site, sizeof site);
	seed[31] = 1;
	crypto_sign_seed_keypair(public_key, secret, seed);
}

static void
name_of(char out[64], uint64_t site)
{
	snprintf(out, 64, "site-%llu", (unsigned long long)site);
}

void
report_site_key(uint8_t public_key[32], uint64_t site)
{
	uint8_t secret[64];

	secret_of(secret, site);
	memcpy(public_key, secret + 32, 32);
}

void
report_site_request(struct buf *token, uint64_t site, int64_t time)
{
	struct license_request request = { .created_at = time };
	uint8_t secret[64];

	secret_of(secret, site);
	name_of(request.site, site);
	text_copy(request.name, sizeof request.name, "Plant");
	text_copy(request.tenant, sizeof request.tenant, "default");
	text_copy(request.key_class, sizeof request.key_class, "file");
	text_copy(request.software, sizeof request.software, "leaseholdd 1");
	memcpy(request.site_key, secret + 32, 32);
	ck_assert_int_eq(license_document_sign(token, &license_request_record,
			     &request, TOKEN_REQUEST, secret),
	    0);
}

static void
begin_journal(struct maker *maker, const char *site, const uint8_t secret[64])
{
	struct row row = { .kind = ROW_GENESIS };

	memset(maker, 0, sizeof *maker);
	memcpy(maker->secret, secret, 64);
	text_copy(maker->next.site, sizeof maker->next.site, site);
	text_copy(maker->next.tenant, sizeof maker->next.tenant, "default");
	maker->next.first_row = 1;
	maker->next.time = MAKER_TIME;
	maker->next.generation = 1;
	text_copy(row.u.genesis.site, sizeof row.u.genesis.site, site);
	text_copy(row.u.genesis.tenant, sizeof row.u.genesis.tenant, "default");
	memcpy(row.u.genesis.site_key, secret + 32, 32);
	row.u.genesis.format = 1;
	maker_add(maker, &row);
	maker_commit(maker);
}

static void
use(struct report_world *world, const char *site,
    const struct report_site_license *license, uint32_t seats)
{
	struct row row = world_install(1, 1);
	struct row_license_installed *r = &row.u.license_installed;

	memcpy(r->digest, license->digest, sizeof r->digest);
	text_copy(r->document.license_id, sizeof r->document.license_id,
	    license->license_id);
	text_copy(r->document.site, sizeof r->document.site, site);
	world_commit(world, row);
	for (uint32_t i = 1; i <= seats; i++) {
		row = world_grant(i, 1, i);
		memcpy(row.u.lease_granted.license_digest, license->digest, 32);
		world_commit(world, row);
	}
}

static void
build(struct report_world *world, const char *site, const char *vendor)
{
	const struct report_source source = {
		.ctx = world,
		.batch = world_batch,
		.license = world_license,
		.lent = world_lent,
		.edition = world_edition,
		.history = { &merkle_blake2b, world, world_node },
		.pseudonym = world_pseudonym,
	};
	const struct report_asked asked = {
		.site = site,
		.tenant = "default",
		.vendor = vendor,
		.newest = world->maker->n - 1,
		.proof = { .counter = 17, .clock = MAKER_TIME },
		.software = "leaseholdd 0.1.0",
	};

	ck_assert_int_eq(report_build(&world->token, &world->body,
			     &world->report, &world->next, &source, &asked,
			     world->maker->secret),
	    0);
}

void
report_site_file(struct buf *file, uint64_t site,
    const struct report_site_license *license, uint32_t seats,
    const char *vendor, const uint8_t hub_key[32])
{
	static struct report_world world;
	static struct maker maker;
	uint8_t secret[64];
	char name[64];

	secret_of(secret, site);
	name_of(name, site);
	world.maker = &maker;
	memset(world.tenant_key, 7, sizeof world.tenant_key);
	begin_journal(&maker, name, secret);
	use(&world, name, license, seats);
	build(&world, name, vendor);
	struct sync_report report = {
		{ world.token.data, (uint32_t)world.token.len },
		{ world.body.data, (uint32_t)world.body.len },
	};
	struct sync_box box = { .reports = { &report, 1 } };

	text_copy(box.site, sizeof box.site, name);
	text_copy(box.tenant, sizeof box.tenant, "default");
	text_copy(box.vendor, sizeof box.vendor, vendor);
	ck_assert_int_eq(sync_box_seal(file, &box, hub_key), 0);
	maker_release(&maker);
	buf_release(&world.token);
	buf_release(&world.body);
	arena_release(&world.arena);
}
