/* The process that is simulated: its clock, its beginning and ends, and how it
 * is asked. See site.h. */
#include "tests/sim/site.h"

#include <sys/mman.h>
#include <time.h>

/* --- time ------------------------------------------------------------------ */

static _Atomic int64_t *passed; /* ms since 1970; shared with the process */

/* Every clock that does not count work is this one, in libraries too. */
__attribute__((visibility("default"))) int
clock_gettime(clockid_t clock, struct timespec *out)
{
	int64_t now;

	(void)clock;
	now = passed != NULL ? *passed : INT64_C(1795000000000);
	out->tv_sec = now / 1000;
	out->tv_nsec = now % 1000 * 1000000;
	return 0;
}

void
site_clock_init(void)
{
	void *at = mmap(NULL, sizeof(*passed), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED)
		exit(1);
	passed = at;
	*passed = INT64_C(1795000000000);
}

int64_t
site_now(void)
{
	return *passed;
}

/* Its loop turns when something comes in: what is due is done behind the first
 * question, so the second one is answered after it. */
static void
turn(struct site_sim *sim)
{
	const struct empty empty = { 0 };
	struct health health;

	for (int i = 0; i < 2; i++)
		site_must(sim,
		    site_ask(sim, &health, 0, "", "192.0.2.1", OP_HEALTHZ,
			&empty) == 0);
}

/* Who waits must not see the site stand still: seconds, one by one. */
void
site_pass(struct site_sim *sim, int64_t ms)
{
	if (site_has_waits(sim) && ms > 30000)
		ms = 30000;
	while (ms > 0) {
		int64_t step = site_has_waits(sim) ? 1100 : ms;

		*passed += step;
		ms -= step;
		turn(sim);
	}
	site_seats_pass(sim);
}

/* --- asking ---------------------------------------------------------------- */

uint64_t
site_send(struct site_sim *sim, uint32_t tenant, const char *credential,
    const char *address, const char *again, uint16_t op, const void *request)
{
	struct wire_caller caller = {
		.key = { credential, (uint32_t)strlen(credential) },
	};
	struct buf payload = { 0 };
	uint64_t tag = ++sim->world.tag;

	snprintf(caller.address, sizeof(caller.address), "%s", address);
	snprintf(caller.host, sizeof(caller.host), "%s",
	    sim->tenants[tenant].host);
	if (again != NULL)
		snprintf(caller.idempotency_key, sizeof(caller.idempotency_key),
		    "%s", again);
	record_write_msgpack(&payload, &wire_caller_record, &caller);
	record_write_msgpack(&payload, operation_get(op)->request, request);
	front_write(&sim->world, WIRE_CALL, op, 4242, tag, &payload);
	buf_release(&payload);
	return tag;
}

static struct site_wait *
wait_of(struct site_sim *sim, const struct heard *heard)
{
	for (size_t i = 0; i < SITE_WAITS; i++)
		if (sim->waits[i].open && sim->waits[i].tag == heard->tag &&
		    (heard->kind == WIRE_REPLY || heard->kind == WIRE_PROBLEM))
			return &sim->waits[i];
	return NULL;
}

static int
answer(struct site_sim *sim, void *reply, uint16_t op, uint64_t tag)
{
	struct process_world *world = &sim->world;
	struct site_wait *wait;
	struct heard heard;

	for (;;) {
		site_must(sim, front_hear(world, &heard, ANSWER_MS));
		if (heard.tag == tag &&
		    (heard.kind == WIRE_REPLY || heard.kind == WIRE_PROBLEM))
			break;
		if ((wait = wait_of(sim, &heard)) != NULL)
			site_wait_answered(sim, wait, &heard);
	}
	if (heard.kind == WIRE_PROBLEM)
		return (int32_t)be32_read(world->payload + heard.len - 4);
	if (reply == NULL)
		return 0;
	arena_clear(&world->arena);
	site_must(sim,
	    record_read_msgpack(reply, operation_get(op)->reply, world->payload,
		heard.len, NULL, &world->arena, NULL) == 0);
	return 0;
}

int
site_ask(struct site_sim *sim, void *reply, uint32_t tenant,
    const char *credential, const char *address, uint16_t op,
    const void *request)
{
	return answer(sim, reply, op,
	    site_send(sim, tenant, credential, address, NULL, op, request));
}

int
site_admin(struct site_sim *sim, void *reply, uint32_t tenant, uint16_t op,
    const void *request)
{
	return site_ask(sim, reply, tenant, sim->tenants[tenant].admin,
	    "192.0.2.1", op, request);
}

/* --- its beginning --------------------------------------------------------- */

static void
start(struct site_sim *sim)
{
	const struct empty empty = { 0 };
	struct health health;

	process_start(&sim->world);
	site_must(sim, sim->world.front >= 0);
	/* The start is journaled by a thread of its own. */
	for (int i = 0;
	     site_ask(sim, &health, 0, "", "192.0.2.1", OP_READYZ, &empty) != 0;
	     i++) {
		site_must(sim, i < 6000);
		usleep(10000);
	}
}

static void
make_tenant(struct site_sim *sim, uint32_t index)
{
	struct site_tenant *tenant = &sim->tenants[index];
	struct tenant_create create = { .partnerName = "Partner" };
	struct tenant_created made;

	snprintf(create.tenantId, sizeof(create.tenantId), "t%u", index);
	site_must(sim,
	    site_admin(sim, &made, 0, OP_TENANT_CREATE, &create) == 0);
	snprintf(tenant->name, sizeof(tenant->name), "%s", create.tenantId);
	snprintf(tenant->admin, sizeof(tenant->admin), "%.*s",
	    (int)made.tenant.apiSecret.len,
	    (const char *)made.tenant.apiSecret.data);
	snprintf(tenant->host, sizeof(tenant->host), "t%u.localhost", index);
}

static void
install(struct site_sim *sim, uint32_t index)
{
	struct process_world *world = &sim->world;
	struct site_tenant *tenant = &sim->tenants[index];
	const struct empty empty = { 0 };
	struct license_view view;
	struct site_view site;
	struct license_issuer issuer = { .not_before = site_now() - DAY_MS,
		.not_after = site_now() + 3000 * DAY_MS };
	struct license license = { .serial = 1,
		.entitlement = { .total_licenses = tenant->seats,
		    .commit_qty = tenant->seats,
		    .pricing = { 100, 100, "EUR" } },
		.contract = { (int32_t)(site_now() / DAY_MS - 1),
		    (int32_t)(site_now() / DAY_MS + 2000) },
		.terms = { .ttl_s = SITE_TTL_S, .grace_s = SITE_GRACE_S },
		.issued_at = site_now() };
	struct buf tokens[2] = { 0 };

	site_must(sim, site_admin(sim, &site, 0, OP_SITE_SHOW, &empty) == 0);
	snprintf(issuer.vendor.id, sizeof(issuer.vendor.id), "vector");
	snprintf(issuer.vendor.name, sizeof(issuer.vendor.name), "Vector");
	memcpy(issuer.key, world->issuer_public, 32);
	license.vendor = issuer.vendor;
	snprintf(license.license_id, sizeof(license.license_id), "lic-%s",
	    tenant->name);
	snprintf(license.site, sizeof(license.site), "%s", site.site);
	snprintf(license.tenant, sizeof(license.tenant), "%s", tenant->name);
	memcpy(license.site_key, site.site_key, 32);
	snprintf(license.product.id, sizeof(license.product.id), SITE_PRODUCT);
	snprintf(license.product.name, sizeof(license.product.name), "x");
	snprintf(license.product.version, sizeof(license.product.version),
	    ">=8.0.0");
	site_must(sim,
	    license_document_sign(&tokens[0], &license_issuer_record, &issuer,
		TOKEN_ISSUER, world->vendor_secret) == 0);
	site_must(sim,
	    license_document_sign(&tokens[1], &license_record, &license,
		TOKEN_LICENSE, world->issuer_secret) == 0);
	struct license_install ask = {
		.issuer = { tokens[0].data, (uint32_t)tokens[0].len },
		.license = { tokens[1].data, (uint32_t)tokens[1].len },
	};

	memcpy(ask.vendor_key, world->vendor_public, sizeof(ask.vendor_key));
	site_must(sim,
	    site_admin(sim, &view, index, OP_LICENSE_INSTALL, &ask) == 0);
	buf_release(&tokens[0]);
	buf_release(&tokens[1]);
}

/* A site that is tried says a lot: it stays with it, and a sanitizer's words. */
static void
keep_log(const struct site_sim *sim)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/log", sim->world.dir);
	site_must(sim, freopen(path, "a", stderr) != NULL);
}

void
site_begin(struct site_sim *sim, uint64_t seed)
{
	sim->seed = sim->prng = seed;
	process_world_init(&sim->world);
	keep_log(sim);
	process_stop(&sim->world, SIGTERM);
	sim->world.options.password_cost = PASSWORD_INTERACTIVE;
	start(sim);
	snprintf(sim->tenants[0].name, sizeof(sim->tenants[0].name), "default");
	snprintf(sim->tenants[0].host, sizeof(sim->tenants[0].host),
	    "localhost");
	snprintf(sim->tenants[0].admin, sizeof(sim->tenants[0].admin), "%s",
	    sim->world.key);
	for (uint32_t i = 0; i < SITE_TENANTS; i++) {
		if (i > 0)
			make_tenant(sim, i);
		sim->tenants[i].seats = 1 + site_below(sim, 6);
		install(sim, i);
		site_people_begin(sim, i);
	}
}

/* --- its ends -------------------------------------------------------------- */

static void
lost(struct site_sim *sim)
{
	site_seats_lost(sim);
	site_people_lost(sim);
}

static void
again(struct site_sim *sim)
{
	start(sim);
	site_seats_again(sim);
	for (uint32_t i = 0; i < SITE_TENANTS; i++)
		site_check_leases(sim, i);
}

void
site_stop(struct site_sim *sim)
{
	int status = process_stop(&sim->world, SIGTERM);

	site_must(sim, WIFEXITED(status) && WEXITSTATUS(status) == 0);
	sim->tally.stops++;
	lost(sim);
	again(sim);
}

void
site_kill(struct site_sim *sim)
{
	process_stop(&sim->world, SIGKILL);
	sim->tally.kills++;
	lost(sim);
	again(sim);
}
