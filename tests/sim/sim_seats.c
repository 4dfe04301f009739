/* The model's seats: which slots are held, linger or are free, and who believes
 * in them. See sim.h. */
#include "tests/sim/sim.h"

static void
slot_free(struct sim_license *license, uint32_t slot)
{
	license->slots[slot].lease = 0;
	license->slots[slot].lingers_until = 0;
	if (slot < license->lowest)
		license->lowest = slot;
}

uint32_t
sim_slot_lowest(struct sim_license *license)
{
	uint32_t slot = license->lowest;

	while (slot < SIM_SLOTS_MAX &&
	    (license->slots[slot].lease != 0 ||
		license->slots[slot].lingers_until != 0))
		slot++;
	license->lowest = slot;
	return slot;
}

/* The journal's time frees what lingers. */
void
sim_end_lingering(struct sim *sim, int64_t time)
{
	sim->n_freed = 0;
	for (uint32_t i = 0; i < sim->n_licenses; i++) {
		struct sim_license *license = &sim->licenses[i];

		if (license->lingering == 0)
			continue;
		for (uint32_t slot = 0; slot < SIM_SLOTS_MAX; slot++) {
			int64_t until = license->slots[slot].lingers_until;

			if (until == 0 || until > time)
				continue;
			slot_free(license, slot);
			license->lingering--;
			sim->freed[sim->n_freed++] =
			    (struct sim_freed){ i, slot, until };
		}
	}
}

/* A batch without rows is no batch: its time was never journaled. */
void
sim_undo_lingering(struct sim *sim)
{
	while (sim->n_freed > 0) {
		const struct sim_freed *freed = &sim->freed[--sim->n_freed];
		struct sim_license *license = &sim->licenses[freed->license];

		license->slots[freed->slot].lingers_until = freed->until;
		license->lingering++;
	}
}

/* Somebody begins to believe in a lease: nobody else may. */
void
sim_believe(struct sim *sim, struct sim_client *client, uint64_t number)
{
	const struct sim_lease *lease = &sim->leases[number];
	struct sim_slot *slot =
	    &sim->licenses[lease->license].slots[lease->slot];
	int64_t until = client->sent_at + (int64_t)lease->span_s * 1000;

	/* Its clock may be slow: 100 ppm. */
	until += (int64_t)lease->span_s / 10;
	client->state = SIM_HOLDING;
	client->lease = number;
	client->believes_until = until;
	if (until <= sim->now)
		return;
	if (slot->believed != number && slot->believed_until > sim->now) {
		fprintf(stderr,
		    "slot %u of license %u: lease-%llu is believed in for "
		    "%lld ms more, now lease-%llu too\n",
		    lease->slot, lease->license,
		    (unsigned long long)slot->believed,
		    (long long)(slot->believed_until - sim->now),
		    (unsigned long long)number);
		sim_fail(sim, __FILE__, __LINE__,
		    "no seat is believed in by two");
	}
	slot->believed = number;
	slot->believed_until = until;
}

void
sim_lease_end(struct sim *sim, uint64_t number, int64_t lingers_until,
    int64_t time)
{
	struct sim_lease *lease = &sim->leases[number];
	struct sim_license *license = &sim->licenses[lease->license];

	sim_must(sim, lease->held);
	sim->wrote = true;
	lease->held = false;
	lease->ended_as = ++sim->ended;
	sim->totals.ends++;
	if (lease->type == SEAT_OVERAGE)
		license->overage--;
	else
		license->commit--;
	if (lingers_until > time) {
		license->slots[lease->slot].lease = 0;
		license->slots[lease->slot].lingers_until = lingers_until;
		license->lingering++;
	} else {
		slot_free(license, lease->slot);
	}
}

void
sim_stop_believing(struct sim *sim, struct sim_client *client)
{
	const struct sim_lease *lease = &sim->leases[client->lease];
	struct sim_slot *slot =
	    &sim->licenses[lease->license].slots[lease->slot];

	client->believes_until = 0;
	if (slot->believed == client->lease)
		slot->believed_until = 0;
}

bool
sim_is_reachable(const struct sim *sim, const struct sim_client *client)
{
	return client->silent_until <= sim->now;
}
