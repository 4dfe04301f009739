/* The invariants of DESIGN 5 over the whole state, and the hash of its logical
 * dump. See ledger.h. */
#include "appliance/ledger/core.h"
#include "appliance/ledger/linger.h"
#include "appliance/ledger/slots.h"
#include "shared/base/err.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- state hash -------------------------------------------------------- */

static void
hash_u32(crypto_generichash_state *st, uint32_t value)
{
	uint8_t bytes[4];

	be32_write(bytes, value);
	crypto_generichash_update(st, bytes, sizeof bytes);
}

static int
hash_entry(void *ctx, const struct record_span *key,
    const struct record_span *value)
{
	crypto_generichash_state *st = ctx;

	hash_u32(st, key->len);
	crypto_generichash_update(st, key->data, key->len);
	hash_u32(st, value->len);
	crypto_generichash_update(st, value->data, value->len);
	return 0;
}

int
ledger_state_hash(uint8_t hash[32], struct journal_header *after,
    uint8_t head[32], struct ledger_view *view)
{
	static const char title[] = "leasehold.state.v1";
	crypto_generichash_state st;
	struct arena arena = { .chunks = NULL };
	struct record_span token;
	int err = ledger_newest(after, head, &token, view, &arena);

	arena_release(&arena);
	crypto_generichash_init(&st, NULL, 0, 32);
	crypto_generichash_update(&st, (const uint8_t *)title, sizeof title);
	for (enum store_table t = 0; t < STORE_TABLES && err == 0; t++) {
		const char *name = store_table_name(t);

		if (!store_table_is_state(t))
			continue;
		hash_u32(&st, UINT32_MAX); /* no key is that long */
		crypto_generichash_update(&st, (const uint8_t *)name,
		    strlen(name) + 1);
		err = store_each(&view->state.txn, t, NULL, 0, hash_entry, &st);
	}
	crypto_generichash_final(&st, hash, 32);
	return err;
}

/* --- invariants -------------------------------------------------------- */

/* What the walks add up, per license. */
struct tally {
	uint64_t commit, overage, lingering, slots;
};

struct check {
	struct ledger_view *view;
	struct state *state;
	struct tally *licenses; /* by number */
	uint64_t n_licenses;
	uint64_t leases, overage_checkouts;
	uint64_t last_row;
	struct arena arena; /* the batch read last */
	struct journal_batch batch;
	uint64_t batch_number;
	bool batch_read;
	char *error;
	size_t error_size;
};

static int broken(struct check *check, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static int
broken(struct check *check, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(check->error, check->error_size, format, args);
	va_end(args);
	return ERR_CORRUPT;
}

/* The granting row says what the state says. */
static int
check_lease_row(struct check *check, const struct state_lease *lease)
{
	struct row row;
	int err = 0;

	if (!check->batch_read || check->batch_number != lease->batch) {
		struct record_span blob;

		arena_clear(&check->arena);
		err = state_batch(&blob, check->state, lease->batch);
		if (err == 0)
			err = view_batch(&check->batch, &blob, &check->arena);
		check->batch_number = lease->batch;
		check->batch_read = err == 0;
	}
	if (err != 0 || lease->index >= check->batch.rows.count)
		return broken(check, "lease-%" PRIu64 " has no row",
		    lease->lease);
	const struct journal_row_bytes *rows = check->batch.rows.items;
	const struct record_span *bytes = &rows[lease->index].bytes;

	err = row_read(&row, lease->row_number, bytes->data, bytes->len,
	    &check->arena);
	const struct row_lease_granted *r = &row.u.lease_granted;

	if (err != 0 || row.kind != ROW_LEASE_GRANTED ||
	    r->lease != lease->lease || r->license != lease->license ||
	    r->device != lease->device || r->slot != lease->slot ||
	    r->type != lease->type || r->overage != lease->overage ||
	    memcmp(r->request, lease->request, sizeof r->request) != 0)
		return broken(check,
		    "lease-%" PRIu64 " is not what its row "
		    "says",
		    lease->lease);
	return 0;
}

static int
check_lease(void *ctx, const struct record_span *key,
    const struct record_span *value)
{
	struct check *check = ctx;
	struct state_lease lease;
	struct state_device device;
	bool taken = false;
	int err = state_lease_read(&lease, key, value);

	if (err != 0)
		return broken(check, "a lease cannot be read");
	check->leases++;
	if (lease.lease >= check->state->counters.next_lease)
		return broken(check, "lease-%" PRIu64 " is beyond the counter",
		    lease.lease);
	if (lease.license == 0 || lease.license > check->n_licenses)
		return broken(check, "lease-%" PRIu64 " has no license",
		    lease.lease);
	if (state_device(&device, check->state, lease.device) != 0)
		return broken(check, "lease-%" PRIu64 " has no device",
		    lease.lease);
	if (device.revoked)
		return broken(check, "lease-%" PRIu64 " is of a revoked device",
		    lease.lease);
	if (slots_is_taken(&taken, check->state, lease.license, lease.slot) !=
		0 ||
	    !taken)
		return broken(check, "slot %u of lease-%" PRIu64 " is free",
		    lease.slot, lease.lease);
	if ((lease.type == SEAT_OVERAGE) != (lease.overage > 0))
		return broken(check, "lease-%" PRIu64 " is of no one type",
		    lease.lease);
	struct tally *tally = &check->licenses[lease.license];

	if (lease.type == SEAT_OVERAGE)
		tally->overage++;
	else
		tally->commit++;
	return check_lease_row(check, &lease);
}

static int
check_slots(void *ctx, uint64_t license, uint32_t taken)
{
	struct check *check = ctx;

	if (license == 0 || license > check->n_licenses)
		return broken(check, "slots of no license are taken");
	check->licenses[license].slots += taken;
	return 0;
}

static int
check_lingering(void *ctx, uint64_t license, uint32_t slot)
{
	struct check *check = ctx;
	bool taken = false;

	if (license == 0 || license > check->n_licenses)
		return broken(check, "a slot of no license lingers");
	check->licenses[license].lingering++;
	if (slots_is_taken(&taken, check->state, license, slot) != 0 || !taken)
		return broken(check, "lingering slot %u is free", slot);
	return 0;
}

static int
check_license(struct check *check, uint64_t number)
{
	const struct tally *tally = &check->licenses[number];
	struct state_license room;
	const struct state_license *license;
	struct state_usage usage;
	uint64_t product = 0;

	if (state_license(&license, check->state, number, &room) != 0 ||
	    state_usage(&usage, check->state, number) != 0)
		return broken(check, "license %" PRIu64 " cannot be read",
		    number);
	if (usage.commit != tally->commit || usage.overage != tally->overage)
		return broken(check,
		    "license %" PRIu64 " counts %u commit and %u overage, its "
		    "leases are %" PRIu64 " and %" PRIu64,
		    number, usage.commit, usage.overage, tally->commit,
		    tally->overage);
	if (usage.lingering != tally->lingering)
		return broken(check,
		    "license %" PRIu64 " counts %u lingering slots, and has "
		    "%" PRIu64,
		    number, usage.lingering, tally->lingering);
	if (tally->slots != tally->commit + tally->overage + tally->lingering)
		return broken(check,
		    "license %" PRIu64 " has %" PRIu64 " slots taken and "
		    "%" PRIu64 " leases",
		    number, tally->slots, tally->commit + tally->overage);
	if (tally->slots > license->seats_max)
		return broken(check,
		    "license %" PRIu64 " holds %" PRIu64 " of %u seats", number,
		    tally->slots, license->seats_max);
	if (state_product(&product, check->state,
		license->document.product.id) != 0 ||
	    product != number)
		return broken(check,
		    "product %s does not lead to license %" PRIu64,
		    license->document.product.id, number);
	check->overage_checkouts += usage.overage_checkouts;
	return 0;
}

static int
check_device(void *ctx, const struct record_span *key,
    const struct record_span *value)
{
	struct check *check = ctx;
	struct state_device device;
	struct state_join join;
	uint64_t number = 0;

	if (state_device_read(&device, key, value) != 0)
		return broken(check, "a device cannot be read");
	if (device.device >= check->state->counters.next_device)
		return broken(check, "device-%" PRIu64 " is beyond the counter",
		    device.device);
	if (state_device_by_key(&number, check->state, device.public_key,
		device.public_key_len) != 0 ||
	    number != device.device)
		return broken(check,
		    "the key of device-%" PRIu64 " leads to device-%" PRIu64,
		    device.device, number);
	if (state_join(&join, check->state, device.join) != 0)
		return broken(check, "device-%" PRIu64 " has no join token",
		    device.device);
	if (join.used > join.uses)
		return broken(check,
		    "a join token for %u devices was used %u times", join.uses,
		    join.used);
	return 0;
}

static int
check_count(struct check *check, enum store_table table, uint64_t expected)
{
	uint64_t n = 0;

	if (store_count(&n, &check->state->txn, table) != 0 || n != expected)
		return broken(check,
		    "table %s has %" PRIu64 " entries and should have "
		    "%" PRIu64,
		    store_table_name(table), n, expected);
	return 0;
}

/* Numbers without gaps, totals, and the newest header over them. */
static int
check_counters(struct check *check)
{
	const struct counters *c = &check->state->counters;
	struct journal_header header;
	struct record_span token;
	struct journal_known known;
	int err =
	    check_count(check, STORE_LEASES, c->totals.grants - c->totals.ends);

	if (err == 0)
		err = check_count(check, STORE_LICENSES, c->next_license - 1);
	if (err == 0)
		err = check_count(check, STORE_DEVICES, c->next_device - 1);
	if (err == 0)
		err = check_count(check, STORE_DEVICE_KEYS, c->next_device - 1);
	if (err != 0)
		return err;
	if (c->totals.grants != c->next_lease - 1)
		return broken(check, "lease numbers and grants differ");
	if (check->overage_checkouts != c->totals.overage)
		return broken(check, "overage numbers and totals differ");
	if (ledger_newest(&header, known.head, &token, check->view,
		&check->arena) != 0)
		return broken(check, "the newest header cannot be read");
	known.batch = header.batch;
	if (header.batch + 1 != c->batches ||
	    header.first_row + header.rows != c->next_row ||
	    memcmp(&header.totals, &c->totals, sizeof c->totals) != 0)
		return broken(check, "the newest header does not fit");
	if (history_holds(check->state, &known) != 0)
		return broken(check, "the newest head is not in the history");
	return 0;
}

static int
check_all(struct check *check)
{
	struct store_txn *txn = &check->state->txn;
	int err = store_each(txn, STORE_LEASES, NULL, 0, check_lease, check);

	if (err == 0)
		err = slots_check(check->state, check_slots, check,
		    check->error, check->error_size);
	if (err == 0)
		err = linger_each(check->state, check_lingering, check);
	for (uint64_t i = 1; i <= check->n_licenses && err == 0; i++)
		err = check_license(check, i);
	if (err == 0)
		err = store_each(txn, STORE_DEVICES, NULL, 0, check_device,
		    check);
	return err == 0 ? check_counters(check) : err;
}

int
ledger_check(struct ledger_view *view, char *error, size_t error_size)
{
	struct check check = { .view = view,
		.state = &view->state,
		.n_licenses = view->state.counters.next_license - 1,
		.error = error,
		.error_size = error_size };

	error[0] = '\0';
	check.licenses =
	    calloc((size_t)check.n_licenses + 1, sizeof *check.licenses);
	if (check.licenses == NULL)
		return ERR_NOMEM;
	int err = check_all(&check);

	free(check.licenses);
	arena_release(&check.arena);
	if (err != 0 && error[0] == '\0')
		snprintf(error, error_size, "the state cannot be read");
	return err;
}
