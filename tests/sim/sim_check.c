/* What is looked at: cheaply after every batch, whole from time to time, and
 * the journal at the end. See sim.h. */
#include "appliance/ledger/prune.h"
#include "tests/sim/sim.h"

/* What a pool is said to have left is what the model counts. */
static void
check_pool(struct sim *sim, struct ledger_view *view, struct sim_pool *pool)
{
	const struct sim_license *license = &sim->licenses[pool->license];
	struct license_seats seats;
	struct ledger_pool told;
	int err = ledger_pool(&told, view, license->document.product.id,
	    pool->feature, sim->last);

	if (license->number == 0 ||
	    !license_seats(&seats, &license->document, pool->feature)) {
		sim_must(sim, err == ERR_NOT_ENTITLED);
		return;
	}
	sim_must(sim, err == 0);
	sim_must(sim, told.license == license->number);
	sim_must(sim, told.total == seats.total);
	sim_must(sim, told.lingering == pool->lingering);
	sim_must(sim,
	    told.taken == pool->commit + pool->overage + pool->lingering);
	if (sim_seats_at(&seats, &license->document, pool->feature, sim->last))
		sim_must(sim, told.free == sim_pool_free(pool, &seats));
	else
		sim_must(sim, told.free == 0);
}

static void
check_feature(struct sim *sim, const struct sim_license *license,
    const struct license_feature_view *use)
{
	const struct sim_pool *pool = sim_pool_of(sim, license, use->id);

	sim_must(sim, pool != NULL);
	sim_must(sim, use->used_commit == pool->commit);
	sim_must(sim, use->used_overage == pool->overage);
}

static void
check_use(struct sim *sim, struct ledger_view *view,
    const struct sim_license *license, struct arena *arena)
{
	const struct sim_pool *pool = sim_pool_of(sim, license, "");
	struct license_number number = { license->number };
	struct license_view use;
	struct problem problem;

	sim_must(sim,
	    ledger_query(&use, view, OP_LICENSE_SHOW, &number, sim->last, arena,
		&problem) == 0);
	const struct license_feature_view *features = use.features.items;

	sim_must(sim, use.used_commit == pool->commit);
	sim_must(sim, use.used_overage == pool->overage);
	sim_must(sim, use.overage_checkouts == license->overage_checkouts);
	sim_must(sim, use.features.count == license->document.features.count);
	for (uint32_t i = 0; i < use.features.count; i++)
		check_feature(sim, license, &features[i]);
}

/* Totals and one license's use against the model; and what every client now
 * could know of the journal. */
void
sim_check_batch(struct sim *sim)
{
	const struct sim_license *license =
	    &sim->licenses[sim_below(sim, sim->n_licenses)];
	struct ledger_view *view;
	struct journal_header header;
	struct record_span token;
	struct arena *arena = &sim->commands[0].command.arena;

	sim_must(sim, ledger_view_open(&view, sim->world.ledger) == 0);
	sim_must(sim,
	    ledger_newest(&header, sim->newest.head, &token, view, arena) == 0);
	sim_must(sim, header.batch >= sim->newest.batch);
	sim->newest.batch = header.batch;
	sim->newest.generation = header.generation;
	memcpy(sim->newest.history, header.history, 32);
	sim_must(sim,
	    memcmp(&header.totals, &sim->totals, sizeof sim->totals) == 0);
	if (license->number != 0)
		check_use(sim, view, license, arena);
	check_pool(sim, view, &sim->pools[sim_below(sim, sim->n_pools)]);
	ledger_view_close(view);
}

static int
check_lease(void *ctx, const struct ledger_lease *lease)
{
	struct sim *sim = ctx;

	sim_must(sim, lease->lease <= sim->n_leases);
	const struct sim_lease *model = &sim->leases[lease->lease];

	sim_must(sim, model->held);
	const struct sim_device *device = &sim->devices[model->device];

	sim_must(sim, device->number == lease->device);
	sim_must(sim, !device->pending && !device->revoked);
	sim_must(sim,
	    sim->licenses[sim->pools[model->pool].license].number ==
		lease->license);
	sim_must(sim, lease->ttl_s + lease->grace_s == model->span_s);
	return 0;
}

/* Every seat that anybody believes in is taken, for whoever believes in it. */
static void
check_beliefs(struct sim *sim)
{
	for (uint32_t i = 0; i < sim->n_slots; i++) {
		const struct sim_slot *slot = &sim->slots[i];

		if (slot->believed_until <= sim->now)
			continue;
		sim_must(sim,
		    slot->lease == slot->believed || slot->lingers_until > 0);
	}
}

/* Who may hold seats is what the admins said, and every use of a token was
 * counted once. */
static void
check_devices(struct sim *sim, struct ledger_view *view)
{
	struct arena arena = { .chunks = NULL };
	struct problem problem;

	for (uint32_t i = 0; i < sim->n_devices; i++) {
		const struct sim_device *model = &sim->devices[i];
		struct device_number number = { model->number };
		struct device_view device;

		sim_must(sim,
		    ledger_query(&device, view, OP_DEVICE_SHOW, &number,
			sim->last, &arena, &problem) == 0);
		sim_must(sim,
		    device.state ==
			(model->revoked          ? DEVICE_REVOKED
				: model->pending ? DEVICE_PENDING
						 : DEVICE_APPROVED));
	}
	for (uint32_t i = 0; i < SIM_JOINS; i++) {
		const struct sim_join *model = &sim->joins[i];
		struct join_query query = { .after = model->number - 1,
			.limit = 1,
			.all = true };
		struct join_page page;

		if (model->token.len == 0)
			continue;
		arena_clear(&arena);
		sim_must(sim,
		    ledger_query(&page, view, OP_JOIN_LIST, &query, sim->last,
			&arena, &problem) == 0);
		const struct join_view *join = page.items.items;

		sim_must(sim, page.items.count == 1);
		sim_must(sim, join->join == model->number);
		sim_must(sim, join->used == model->used);
		sim_must(sim, (join->state == JOIN_REVOKED) == model->revoked);
	}
	arena_release(&arena);
}

void
sim_check_all(struct sim *sim)
{
	struct ledger_view *view;
	char error[256];

	sim->tally.checks++;
	sim_must(sim, ledger_view_open(&view, sim->world.ledger) == 0);
	if (ledger_check(view, error, sizeof error) != 0)
		sim_fail(sim, __FILE__, __LINE__, error);
	sim_must(sim, ledger_each_lease(view, 0, check_lease, sim) == 0);
	check_devices(sim, view);
	ledger_view_close(view);
	check_beliefs(sim);
}

/* --- evidence ---------------------------------------------------------- */

static void
check_row(struct sim *sim, const struct sim_command *c)
{
	const struct checkout_reply *reply = &c->command.reply.checkout;
	const struct checkout *body = &c->request.checkout;
	struct arena arena = { .chunks = NULL };
	struct row row;

	sim_must(sim,
	    row_read(&row, reply->row_number, reply->row.data, reply->row.len,
		&arena) == 0);
	const struct row_lease_granted *r = &row.u.lease_granted;
	const struct sim_lease *lease = &sim->leases[r->lease];

	sim_must(sim, row.kind == ROW_LEASE_GRANTED);
	sim_must(sim, r->lease == reply->lease);
	sim_must(sim, row_slots_are_sound(r));
	sim_must(sim, r->count == lease->count);
	sim_must(sim, r->slots.count == lease->n_runs);
	sim_must(sim,
	    memcmp(r->slots.items, lease->runs,
		lease->n_runs * sizeof *lease->runs) == 0);
	sim_must(sim, r->overage == lease->overage);
	sim_must(sim, r->overage_count == lease->overage_count);
	sim_must(sim, strcmp(r->feature, body->feature) == 0);
	sim_must(sim, r->device == c->command.who.id);
	sim_must(sim, strcmp(r->product, body->product) == 0);
	sim_must(sim, memcmp(r->nonce, body->nonce, NONCE_BYTES) == 0);
	sim_must(sim, memcmp(r->request, body->request, REQUEST_BYTES) == 0);
	arena_release(&arena);
}

/* As journal_continues, but a retry may have an older header than the client:
 * then what it knows must continue that. */
static int
continues(const struct journal_known *known,
    const struct journal_header *header, const uint8_t head[32],
    const struct checkout_reply *reply)
{
	struct journal_known early = { .batch = header->batch,
		.generation = header->generation };
	struct journal_header late = *header;

	if (known->batch <= header->batch)
		return journal_continues(known, header, head,
		    reply->inclusion.data, reply->inclusion.len / 32,
		    reply->consistency.data, reply->consistency.len / 32);
	memcpy(early.head, head, 32);
	memcpy(early.history, header->history, 32);
	late.batch = known->batch;
	memcpy(late.history, known->history, 32);
	return journal_continues(&early, &late, known->head,
	    reply->inclusion.data, reply->inclusion.len / 32,
	    reply->consistency.data, reply->consistency.len / 32);
}

void
sim_check_grant(struct sim *sim, const struct sim_command *c)
{
	const struct checkout_reply *reply = &c->command.reply.checkout;
	const struct journal_known *known = &c->request.checkout.known;
	struct journal_header header;
	uint8_t head[32];

	if (!sim_one_in(sim, 64))
		return;
	sim->tally.verified++;
	check_row(sim, c);
	sim_must(sim,
	    journal_header_verify(&header, head, reply->header.data,
		reply->header.len, sim->world.site_public) == 0);
	sim_must(sim,
	    journal_row_verify(&header, reply->row_number, reply->row.data,
		reply->row.len, reply->path.data, reply->path.len / 32) == 0);
	if (known->batch == 0)
		return;
	sim_must(sim, continues(known, &header, head, reply) == 0);
}

/* --- the end of a run -------------------------------------------------- */

/* The journal as an auditor reads it: page by page, every signature. */
static void
check_journal(struct sim *sim, struct ledger_view *view)
{
	struct journal_walk *walk = calloc(1, sizeof *walk);
	struct batch_query query = { .from = 0 };
	struct journal_anchor anchor;
	struct arena arena = { .chunks = NULL };
	char error[256] = "";

	world_must(walk != NULL);
	journal_walk_init(walk, sim->world.site_public);
	sim_must(sim, ledger_anchor(&anchor, view) == 0);
	if (anchor.before != 0)
		sim_must(sim,
		    journal_walk_anchor(walk, sim->world.site_public,
			&anchor) == 0);
	query.from = anchor.before;
	do {
		struct batch_page page;
		struct problem problem;

		arena_clear(&arena);
		sim_must(sim,
		    ledger_query(&page, view, OP_JOURNAL_BATCHES, &query,
			sim->last, &arena, &problem) == 0);
		const struct batch_item *items = page.items.items;

		for (uint32_t i = 0; i < page.items.count; i++) {
			if (journal_walk_batch(walk, items[i].blob.data,
				items[i].blob.len, NULL, NULL, error,
				sizeof error) != 0)
				sim_fail(sim, __FILE__, __LINE__, error);
		}
		query.from = page.next;
	} while (query.from != 0);
	sim_must(sim, journal_walk_is_explained(walk));
	sim_must(sim, walk->next_batch == sim->newest.batch + 1);
	sim_must(sim, memcmp(walk->head, sim->newest.head, 32) == 0);
	sim_must(sim,
	    memcmp(&walk->totals, &sim->totals, sizeof sim->totals) == 0);
	arena_release(&arena);
	free(walk);
}

void
sim_check_end(struct sim *sim)
{
	struct ledger_view *view;
	char path[160];
	struct ledger_options to = sim->world.options;

	sim_check_all(sim);
	snprintf(path, sizeof path, "%s/folded", sim->world.dir);
	to.path = path;
	to.map_bytes = (size_t)4 << 30;
	sim_must(sim, ledger_view_open(&view, sim->world.ledger) == 0);
	check_journal(sim, view);
	sim_must(sim, ledger_refold(view, &to) == 0);
	ledger_view_close(view);
	world_remove(path);
}
