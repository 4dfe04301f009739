/* Keys: made, bound, rotated, revoked; by the tenant's admin, in any tenant.
 * See site.h. */
#include "tests/sim/site.h"

#include <inttypes.h>

#define HOUR_MS ((int64_t)3600 * 1000)

bool
site_key_may(const struct site_sim *sim, const struct site_key *key,
    bool before, bool inside)
{
	if (key->revoked || sim->tenants[key->tenant].suspended ||
	    (key->bound && !inside))
		return false;
	if (key->expires_at != 0 && key->expires_at <= site_now())
		return false;
	return !before || key->before_until > site_now();
}

/* Mostly a good one. */
struct site_key *
site_key_any(struct site_sim *sim)
{
	struct site_key *key = &sim->keys[site_below(sim, sim->n_keys)];

	for (int i = 0; i < 3 && !site_key_may(sim, key, false, true); i++)
		key = &sim->keys[site_below(sim, sim->n_keys)];
	return key;
}

/* --- made ------------------------------------------------------------------ */

/* A key of which nothing is left, or a new place. */
static struct site_key *
make_room(struct site_sim *sim)
{
	if (sim->n_keys < SITE_KEYS)
		return &sim->keys[sim->n_keys];
	struct site_key *key = &sim->keys[site_below(sim, sim->n_keys)];
	uint32_t index = (uint32_t)(key - sim->keys);

	if (!key->revoked)
		return NULL;
	for (uint32_t i = 0; i < sim->n_leases; i++)
		if (sim->leases[i].key == index &&
		    sim->leases[i].taken_until != 0)
			return NULL;
	for (uint32_t i = 0; i < SITE_WAITS; i++)
		if (sim->waits[i].open && sim->waits[i].key == index)
			return NULL;
	for (uint32_t i = 0; i < sim->n_leases;)
		if (sim->leases[i].key == index)
			sim->leases[i] = sim->leases[--sim->n_leases];
		else
			i++;
	return key;
}

static bool
is_refused(struct site_sim *sim, uint32_t tenant, int err)
{
	if (!sim->tenants[tenant].suspended)
		return false;
	site_must(sim, err == ERR_TENANT_SUSPENDED);
	return true;
}

static void
make_key(struct site_sim *sim)
{
	static const uint32_t days[] = { 0, 0, 1, 2 };
	struct key_scope scopes[] = { { "license:checkout" },
		{ "license:return" } };
	struct key_generate ask = { .app_type = KEY_CI_CD,
		.scopes = { scopes, 2 },
		.expires_in_days = days[site_below(sim, 4)] };
	struct site_key *key = make_room(sim);
	uint32_t tenant = site_below(sim, SITE_TENANTS);
	struct key_generated made;
	uint64_t number = 0;

	if (key == NULL)
		return;
	snprintf(ask.app_name, sizeof(ask.app_name), "build-%" PRIu64,
	    ++sim->serial);
	int err = site_admin(sim, &made, tenant, OP_KEY_GENERATE, &ask);

	if (is_refused(sim, tenant, err))
		return;
	site_must(sim, err == 0);
	site_must(sim, sscanf(made.key_id, "key-%" SCNu64, &number) == 1);
	site_must(sim,
	    made.expires_at ==
		(ask.expires_in_days == 0
			? 0
			: site_now() + ask.expires_in_days * DAY_MS));
	if (key == &sim->keys[sim->n_keys])
		sim->n_keys++;
	*key = (struct site_key){ .tenant = tenant,
		.number = number,
		.expires_at = made.expires_at };
	snprintf(key->text, sizeof(key->text), "%s", made.api_key);
	sim->tally.keys++;
}

/* --- changed --------------------------------------------------------------- */

static void
name(char id[32], const struct site_key *key)
{
	snprintf(id, 32, "key-%" PRIu64, key->number);
}

static void
bind_key(struct site_sim *sim, struct site_key *key)
{
	struct key_range range = { "10.7.0.0/16" };
	struct key_field field = { "allowed_ip_ranges" };
	struct key_restrict ask = { .key_id = "" };
	struct key_details details;

	name(ask.key_id, key);
	if (key->bound)
		ask.clear = (struct record_list){ &field, 1 };
	else
		ask.allowed_ip_ranges = (struct record_list){ &range, 1 };
	int err = site_admin(sim, &details, key->tenant, OP_KEY_RESTRICT, &ask);

	if (is_refused(sim, key->tenant, err))
		return;
	site_must(sim, err == (key->revoked ? ERR_GONE : 0));
	if (err != 0)
		return;
	key->bound = !key->bound;
	site_must(sim,
	    details.restrictions.allowed_ip_ranges.count == key->bound);
}

static void
rotate_key(struct site_sim *sim, struct site_key *key)
{
	static const uint32_t hours[] = { 0, 1, 1, 24 };
	struct key_rotate ask = { .overlap_hours = hours[site_below(sim, 4)],
		.expires_in_days = site_below(sim, 3) };
	struct key_generated made;

	name(ask.key_id, key);
	ask.at_once = ask.overlap_hours == 0;
	int err = site_admin(sim, &made, key->tenant, OP_KEY_ROTATE, &ask);

	if (is_refused(sim, key->tenant, err))
		return;
	site_must(sim, err == (key->revoked ? ERR_GONE : 0));
	if (err != 0)
		return;
	memcpy(key->before, key->text, sizeof(key->before));
	snprintf(key->text, sizeof(key->text), "%s", made.api_key);
	key->before_until = site_now() + ask.overlap_hours * HOUR_MS;
	/* It never outlives what it was given. */
	if (key->expires_at != 0 && key->before_until > key->expires_at)
		key->before_until = key->expires_at;
	if (ask.expires_in_days != 0)
		key->expires_at = site_now() + ask.expires_in_days * DAY_MS;
	site_must(sim, made.expires_at == key->expires_at);
	sim->tally.rotations++;
}

static void
revoke_key(struct site_sim *sim, struct site_key *key)
{
	struct key_revoke ask = { .reason = "it leaked" };

	name(ask.key_id, key);
	key->ending = true;
	int err = site_admin(sim, NULL, key->tenant, OP_KEY_REVOKE, &ask);

	key->ending = false;
	if (is_refused(sim, key->tenant, err))
		return;
	site_must(sim, err == 0);
	key->revoked = true;
	site_key_leases_end(sim, (uint32_t)(key - sim->keys));
	sim->tally.revocations++;
}

/* As its admin sees it. */
static void
look(struct site_sim *sim, const struct site_key *key)
{
	struct key_ref ref = { "" };
	struct key_details details;
	bool over = key->expires_at != 0 && key->expires_at <= site_now();

	name(ref.key_id, key);
	site_must(sim,
	    site_admin(sim, &details, key->tenant, OP_KEY_SHOW, &ref) == 0);
	site_must(sim,
	    details.key.state ==
		(key->revoked  ? API_KEY_REVOKED
			: over ? API_KEY_EXPIRED
			       : API_KEY_ACTIVE));
	site_must(sim,
	    key->revoked ||
		details.restrictions.allowed_ip_ranges.count == key->bound);
	site_must(sim, details.key.expires_at == key->expires_at);
}

void
site_step_key(struct site_sim *sim)
{
	if (sim->n_keys == 0 || site_one_in(sim, 3)) {
		make_key(sim);
		return;
	}
	struct site_key *key = site_key_any(sim);

	switch (site_below(sim, 8)) {
	case 0:
	case 1:
		bind_key(sim, key);
		return;
	case 2:
	case 3:
		rotate_key(sim, key);
		return;
	case 4:
		revoke_key(sim, key);
		return;
	default:
		look(sim, key);
		return;
	}
}
