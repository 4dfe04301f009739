/* The invariants of DESIGN 5 over the whole state. See ledger.h. */
#include "appliance/ledger/borrow.h"
#include "appliance/ledger/codec.h"
#include "appliance/ledger/core.h"
#include "appliance/ledger/linger.h"
#include "appliance/ledger/pools.h"
#include "appliance/ledger/slots.h"
#include "shared/base/err.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- invariants -------------------------------------------------------- */

/* What the walks add up, per pool. */
struct tally {
	uint64_t commit, overage, lingering, slots;
	char feature[64];
};

struct check {
	struct ledger_view *view;
	struct state *state;
	size_t *first; /* by license: where the tallies of its pools begin */
	struct tally *pools;
	uint64_t n_licenses;
	uint64_t leases, scattered; /* those of more than one run of slots */
	uint64_t overage_checkouts, pending;
	uint64_t tpm_ids; /* entries that lead from a TPM to its device */
	uint64_t api_keys; /* devices of class key */
	uint64_t key_hashes;
	uint64_t last_row;
	struct arena licenses;
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

/* NULL when there is no such pool. */
static struct tally *
tally_of(const struct check *check, struct pool_id id)
{
	if (id.license == 0 || id.license > check->n_licenses ||
	    id.pool >= check->first[id.license + 1] - check->first[id.license])
		return NULL;
	return &check->pools[check->first[id.license] + id.pool];
}

/* --- leases ------------------------------------------------------------ */

/* The granting row says what the state says. */
static int
compare_row(struct check *check, const struct state_lease *lease,
    const struct row_lease_granted *r, const struct tally *tally)
{
	struct pool_id id = { lease->license, lease->pool };
	struct row_slots slots[LEASE_COUNT_MAX];
	bool taken = false;

	if (state_lease_slots(slots, check->state, lease) != 0 ||
	    r->lease != lease->lease || r->license != lease->license ||
	    r->device != lease->device || r->count != lease->count ||
	    r->overage != lease->overage ||
	    r->overage_count != lease->overage_count ||
	    r->slots.count != lease->n_slots || !row_slots_are_sound(r) ||
	    memcmp(r->slots.items, slots, lease->n_slots * sizeof *slots) !=
		0 ||
	    memcmp(r->request, lease->request, sizeof r->request) != 0 ||
	    strcmp(r->feature, tally->feature) != 0)
		return broken(check,
		    "lease-%" PRIu64 " is not what its row says", lease->lease);
	if (slots_are_taken(&taken, check->state, id, slots, lease->n_slots) !=
		0 ||
	    !taken)
		return broken(check, "a slot of lease-%" PRIu64 " is free",
		    lease->lease);
	return 0;
}

static int
check_lease_row(struct check *check, const struct state_lease *lease,
    const struct tally *tally)
{
	struct row_lease_granted grant;
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
	if (err == 0)
		err = row_grant(&grant, &row, &check->arena);
	if (err != 0)
		return broken(check, "lease-%" PRIu64 " has no row",
		    lease->lease);
	return compare_row(check, lease, &grant, tally);
}

static int
check_lease(void *ctx, const struct record_span *key,
    const struct record_span *value)
{
	struct check *check = ctx;
	struct state_lease lease;
	struct state_device device;
	int err = state_lease_read(&lease, key, value);

	if (err != 0)
		return broken(check, "a lease cannot be read");
	struct tally *tally =
	    tally_of(check, (struct pool_id){ lease.license, lease.pool });

	check->leases++;
	check->scattered += lease.n_slots > 1;
	if (lease.lease >= check->state->counters.next_lease)
		return broken(check, "lease-%" PRIu64 " is beyond the counter",
		    lease.lease);
	if (tally == NULL)
		return broken(check, "lease-%" PRIu64 " has no license",
		    lease.lease);
	if (state_device(&device, check->state, lease.device) != 0)
		return broken(check, "lease-%" PRIu64 " has no device",
		    lease.lease);
	if (device.state != DEVICE_APPROVED)
		return broken(check,
		    "lease-%" PRIu64 " is of a device that is %s", lease.lease,
		    device_state_names[device.state]);
	tally->overage += lease.overage_count;
	tally->commit += lease.count - lease.overage_count;
	return check_lease_row(check, &lease, tally);
}

/* --- pools ------------------------------------------------------------- */

static int
check_slots(void *ctx, struct pool_id id, uint32_t taken)
{
	struct check *check = ctx;
	struct tally *tally = tally_of(check, id);

	if (tally == NULL)
		return broken(check, "slots of no license are taken");
	tally->slots += taken;
	return 0;
}

static int
check_lingering(void *ctx, struct pool_id id, const struct row_slots *slots)
{
	struct check *check = ctx;
	struct tally *tally = tally_of(check, id);
	bool taken = false;

	if (tally == NULL)
		return broken(check, "a slot of no license lingers");
	tally->lingering += slots->count;
	if (slots_are_taken(&taken, check->state, id, slots, 1) != 0 || !taken)
		return broken(check, "lingering slot %u is free", slots->first);
	return 0;
}

static int
check_name(void *ctx, const struct record_span *key,
    const struct record_span *value)
{
	struct check *check = ctx;
	const uint8_t *k = key->data;
	struct codec_reader r = codec_reader_of(value);
	struct pool_id id = { 0, codec_get_u32(&r) };
	struct tally *tally;

	if (key->len <= 8 || key->len - 8 >= sizeof tally->feature ||
	    codec_end(&r, "name of a pool") != 0)
		return broken(check, "the name of a pool cannot be read");
	id.license = be64_read(k);
	tally = tally_of(check, id);
	if (tally == NULL || id.pool == 0 || tally->feature[0] != '\0')
		return broken(check,
		    "license %" PRIu64 ": pool %u has no name or two",
		    id.license, id.pool);
	memcpy(tally->feature, k + 8, key->len - 8);
	return 0;
}

static int
check_pool_counts(struct check *check, struct pool_id id,
    const struct state_pool *pool, const struct tally *tally)
{
	uint32_t below;

	if (pool->commit != tally->commit || pool->overage != tally->overage)
		return broken(check,
		    "license %" PRIu64 ", pool %u counts %u commit and %u "
		    "overage, its leases are %" PRIu64 " and %" PRIu64,
		    id.license, id.pool, pool->commit, pool->overage,
		    tally->commit, tally->overage);
	if (pool->lingering != tally->lingering)
		return broken(check,
		    "license %" PRIu64 ", pool %u counts %u lingering slots, "
		    "and has %" PRIu64,
		    id.license, id.pool, pool->lingering, tally->lingering);
	if (tally->slots != pool_taken(pool))
		return broken(check,
		    "license %" PRIu64 ", pool %u has %" PRIu64 " slots taken "
		    "and %" PRIu64 " seats",
		    id.license, id.pool, tally->slots, pool_taken(pool));
	if (slots_count(&below, check->state, id, pool->seats.commit) != 0 ||
	    below != pool->below)
		return broken(check,
		    "license %" PRIu64 ", pool %u counts %u of its first %u "
		    "slots taken, and they are not",
		    id.license, id.pool, pool->below, pool->seats.commit);
	return 0;
}

static int
check_pool(struct check *check, const struct license *license,
    struct pool_id id)
{
	const struct tally *tally =
	    &check->pools[check->first[id.license] + id.pool];
	struct state_pool pool;
	struct license_seats seats;

	if (state_pool(&pool, check->state, id) != 0 ||
	    (id.pool != 0) != (tally->feature[0] != '\0'))
		return broken(check,
		    "license %" PRIu64 ", pool %u cannot be read", id.license,
		    id.pool);
	license_seats(&seats, license, tally->feature);
	if (memcmp(&seats, &pool.seats, sizeof seats) != 0)
		return broken(check,
		    "license %" PRIu64 ", pool %u has other seats than the "
		    "license says",
		    id.license, id.pool);
	if (tally->slots > pool.seats_max)
		return broken(check,
		    "license %" PRIu64 ", pool %u holds %" PRIu64 " of %u "
		    "seats",
		    id.license, id.pool, tally->slots, pool.seats_max);
	if (id.pool == 0)
		check->overage_checkouts += pool.overage_checkouts;
	else if (pool.overage_checkouts != 0)
		return broken(check, "a feature numbers overage seats");
	return check_pool_counts(check, id, &pool, tally);
}

static int
check_license(struct check *check, uint64_t number)
{
	const struct state_license *license;
	uint64_t product = 0;
	int err = 0;

	arena_clear(&check->licenses);
	if (state_license(&license, check->state, number, &check->licenses) !=
	    0)
		return broken(check, "license %" PRIu64 " cannot be read",
		    number);
	if (state_product(&product, check->state,
		license->document.product.id) != 0 ||
	    product != number)
		return broken(check,
		    "product %s does not lead to license %" PRIu64,
		    license->document.product.id, number);
	for (uint32_t i = 0; i < license->pools && err == 0; i++)
		err = check_pool(check, &license->document,
		    (struct pool_id){ number, i });
	return err;
}

/* --- the rest ---------------------------------------------------------- */

/* A TPM leads to its device, or to a newer one when that was revoked. */
static int
check_tpm(struct check *check, const struct state_device *device,
    enum state_tpm_id what, const uint8_t id[32])
{
	static const uint8_t none[32];
	uint64_t number = 0;

	if (memcmp(id, none, sizeof none) == 0)
		return 0;
	int err = state_device_by_tpm(&number, check->state, what, id);

	if (err != 0 || number < device->device ||
	    (number > device->device && device->state != DEVICE_REVOKED))
		return broken(check,
		    "the TPM of device-%" PRIu64 " leads to device-%" PRIu64,
		    device->device, number);
	check->tpm_ids += number == device->device;
	return 0;
}

/* Its own hash, and the one before, lead to it. */
static int
check_key(struct check *check, const struct state_device *device)
{
	struct state_key key;
	uint64_t number = 0;

	if (state_key(&key, check->state, device->device) != 0)
		return broken(check, "key-%" PRIu64 " is a device alone",
		    device->device);
	check->api_keys++;
	check->key_hashes++;
	if (state_key_by_hash(&number, check->state, key.hash) != 0 ||
	    number != device->device)
		return broken(check, "the hash of key-%" PRIu64 " leads astray",
		    device->device);
	if (sodium_is_zero(key.previous, sizeof key.previous))
		return 0;
	check->key_hashes++;
	if (state_key_by_hash(&number, check->state, key.previous) != 0 ||
	    number != device->device)
		return broken(check,
		    "the old hash of key-%" PRIu64 " leads astray",
		    device->device);
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
	if (device.class_ == PROOF_KEY)
		return check_key(check, &device);
	if (state_join(&join, check->state, device.join) != 0)
		return broken(check, "device-%" PRIu64 " has no join token",
		    device.device);
	int err = check_tpm(check, &device, STATE_TPM_EK, device.ek_id);

	if (err == 0)
		err = check_tpm(check, &device, STATE_TPM_CERTIFICATE,
		    device.certificate_id);
	if (err != 0)
		return err;
	check->pending += device.state == DEVICE_PENDING;
	return 0;
}

static int
check_join(void *ctx, const struct record_span *key,
    const struct record_span *value)
{
	struct check *check = ctx;
	struct state_join join;

	if (state_join_read(&join, key, value) != 0)
		return broken(check, "a join token cannot be read");
	if (join.join >= check->state->counters.next_join)
		return broken(check, "join-%" PRIu64 " is beyond the counter",
		    join.join);
	if (join.used > join.uses)
		return broken(check,
		    "join-%" PRIu64 " for %u devices was used %u times",
		    join.join, join.uses, join.used);
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
		err = check_count(check, STORE_LEASE_SLOTS, check->scattered);
	if (err == 0)
		err = check_count(check, STORE_POOLS,
		    check->first[check->n_licenses + 1]);
	if (err == 0)
		err = check_count(check, STORE_POOL_NAMES,
		    check->first[check->n_licenses + 1] - check->n_licenses);
	if (err == 0)
		err = check_count(check, STORE_LICENSES, c->next_license - 1);
	if (err == 0)
		err = check_count(check, STORE_DEVICES,
		    c->next_device - 1 - c->devices_skipped);
	if (err == 0)
		err = check_count(check, STORE_DEVICE_KEYS,
		    c->next_device - 1 - c->devices_skipped + check->tpm_ids);
	if (err == 0)
		err = check_count(check, STORE_JOINS, c->next_join - 1);
	if (err == 0)
		err = check_count(check, STORE_KEYS, check->api_keys);
	if (err == 0)
		err = check_count(check, STORE_KEY_HASHES, check->key_hashes);
	if (err == 0)
		err = check_count(check, STORE_ADOPTED, c->adopted);
	if (err != 0)
		return err;
	if (c->totals.grants !=
	    c->next_lease - 1 - c->leases_skipped + c->adopted)
		return broken(check, "lease numbers and grants differ");
	if (check->pending != c->pending)
		return broken(check,
		    "%" PRIu64 " devices are counted as pending, and %" PRIu64
		    " are",
		    c->pending, check->pending);
	if (check->overage_checkouts != c->totals.overage)
		return broken(check, "overage numbers and totals differ");
	if (ledger_newest(&header, known.head, &token, check->view,
		&check->arena) != 0)
		return broken(check, "the newest header cannot be read");
	known.batch = header.batch;
	if (header.generation != c->generation)
		return broken(check, "the newest header is of generation %u",
		    header.generation);
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
	int err = store_each(txn, STORE_POOL_NAMES, NULL, 0, check_name, check);

	if (err == 0)
		err =
		    store_each(txn, STORE_LEASES, NULL, 0, check_lease, check);
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
	if (err == 0)
		err = store_each(txn, STORE_JOINS, NULL, 0, check_join, check);
	if (err == 0)
		err = borrows_check(check->state, check->error,
		    check->error_size);
	return err == 0 ? check_counters(check) : err;
}

/* A tally for each pool of each license. */
static int
make_tallies(struct check *check)
{
	const struct state_license *license;
	size_t n = 0;

	check->first =
	    calloc((size_t)check->n_licenses + 2, sizeof *check->first);
	if (check->first == NULL)
		return ERR_NOMEM;
	for (uint64_t i = 1; i <= check->n_licenses; i++) {
		arena_clear(&check->licenses);
		if (state_license(&license, check->state, i,
			&check->licenses) != 0)
			return broken(check,
			    "license %" PRIu64 " cannot be read", i);
		check->first[i] = n;
		n += license->pools;
	}
	check->first[check->n_licenses + 1] = n;
	check->pools = calloc(n + 1, sizeof *check->pools);
	return check->pools != NULL ? 0 : ERR_NOMEM;
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
	int err = make_tallies(&check);

	if (err == 0)
		err = check_all(&check);
	free(check.first);
	free(check.pools);
	arena_release(&check.licenses);
	arena_release(&check.arena);
	if (err != 0 && error[0] == '\0')
		snprintf(error, error_size, "the state cannot be read");
	return err;
}
