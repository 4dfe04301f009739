#include "appliance/ledger/requests.h"

#include "shared/base/err.h"

#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define NONE UINT32_MAX

/* Entries are in one array and name each other by index. */
struct entry {
	struct request request;
	uint32_t next_by_request; /* in its bucket; in the list of free ones */
	uint32_t next_by_lease;
	uint32_t next; /* of the same device, or ended after it */
	uint32_t prev;
};

struct held {
	uint32_t first;
	uint32_t count;
};

struct undo {
	uint32_t entry;
	bool end; /* it was an end, not a grant */
};

struct requests {
	pthread_mutex_t
	    lock; /* entries, devices: changed by one, read by all */
	uint8_t key[crypto_shorthash_KEYBYTES]; /* ids are chosen by clients */
	struct entry *entries;
	uint32_t size, used; /* entries there is room for; ever used */
	uint32_t free;
	uint32_t *by_request, *by_lease; /* buckets, as many as `size` */
	struct held *devices;
	size_t n_devices;
	uint32_t ended_first, ended_last;
	size_t ended, ended_max;
	struct undo *undo;
	size_t n_undo, undo_size;
};

struct requests *
requests_new(size_t ended_max)
{
	struct requests *r = calloc(1, sizeof *r);

	if (r == NULL)
		return NULL;
	if (pthread_mutex_init(&r->lock, NULL) != 0) {
		free(r);
		return NULL;
	}
	randombytes_buf(r->key, sizeof r->key);
	r->free = r->ended_first = r->ended_last = NONE;
	r->ended_max = ended_max;
	return r;
}

void
requests_free(struct requests *r)
{
	if (r == NULL)
		return;
	pthread_mutex_destroy(&r->lock);
	free(r->entries);
	free(r->by_request);
	free(r->by_lease);
	free(r->devices);
	free(r->undo);
	free(r);
}

static uint32_t
bucket_of_request(const struct requests *r, uint64_t device,
    const uint8_t request[REQUEST_BYTES])
{
	uint8_t text[8 + REQUEST_BYTES];
	uint64_t hash;

	memcpy(text, &device, 8);
	memcpy(text + 8, request, REQUEST_BYTES);
	crypto_shorthash((uint8_t *)&hash, text, sizeof text, r->key);
	return (uint32_t)hash & (r->size - 1);
}

static uint32_t
bucket_of_lease(const struct requests *r, uint64_t lease)
{
	return (uint32_t)lease & (r->size - 1);
}

static void
hash_in(struct requests *r, uint32_t i)
{
	struct entry *e = &r->entries[i];
	uint32_t b =
	    bucket_of_request(r, e->request.device, e->request.request);

	e->next_by_request = r->by_request[b];
	r->by_request[b] = i;
	b = bucket_of_lease(r, e->request.lease);
	e->next_by_lease = r->by_lease[b];
	r->by_lease[b] = i;
}

static void
hash_out(struct requests *r, uint32_t i)
{
	const struct entry *e = &r->entries[i];
	uint32_t *at = &r->by_request[bucket_of_request(r, e->request.device,
	    e->request.request)];

	while (*at != i)
		at = &r->entries[*at].next_by_request;
	*at = e->next_by_request;
	at = &r->by_lease[bucket_of_lease(r, e->request.lease)];
	while (*at != i)
		at = &r->entries[*at].next_by_lease;
	*at = e->next_by_lease;
}

/* Only called when every entry is in use, so all of them are hashed anew. */
static int
grow(struct requests *r)
{
	uint32_t size = r->size == 0 ? 64 : r->size * 2;

	if (size < r->size)
		return ERR_NOMEM;
	uint32_t *by_request = malloc(size * sizeof *by_request);
	uint32_t *by_lease = malloc(size * sizeof *by_lease);
	struct entry *entries = realloc(r->entries, size * sizeof *entries);

	if (entries != NULL)
		r->entries = entries;
	if (by_request == NULL || by_lease == NULL || entries == NULL) {
		free(by_request);
		free(by_lease);
		return ERR_NOMEM;
	}
	free(r->by_request);
	free(r->by_lease);
	r->by_request = by_request;
	r->by_lease = by_lease;
	r->size = size;
	memset(by_request, 0xff, size * sizeof *by_request);
	memset(by_lease, 0xff, size * sizeof *by_lease);
	for (uint32_t i = 0; i < r->used; i++)
		hash_in(r, i);
	return 0;
}

static int
grow_devices(struct requests *r, uint64_t device)
{
	if (device < r->n_devices)
		return 0;
	size_t n = r->n_devices == 0 ? 1024 : r->n_devices;

	while (n <= device)
		n *= 2;
	struct held *devices = realloc(r->devices, n * sizeof *devices);

	if (devices == NULL)
		return ERR_NOMEM;
	for (size_t i = r->n_devices; i < n; i++)
		devices[i] = (struct held){ NONE, 0 };
	r->devices = devices;
	r->n_devices = n;
	return 0;
}

static void
device_link(struct requests *r, uint32_t i)
{
	struct entry *e = &r->entries[i];
	struct held *held = &r->devices[e->request.device];

	e->prev = NONE;
	e->next = held->first;
	if (held->first != NONE)
		r->entries[held->first].prev = i;
	held->first = i;
	held->count++;
}

static void
device_unlink(struct requests *r, uint32_t i)
{
	struct entry *e = &r->entries[i];
	struct held *held = &r->devices[e->request.device];

	if (e->prev != NONE)
		r->entries[e->prev].next = e->next;
	else
		held->first = e->next;
	if (e->next != NONE)
		r->entries[e->next].prev = e->prev;
	held->count--;
}

static int
note_undo(struct requests *r, uint32_t entry, bool end)
{
	if (r->n_undo == r->undo_size) {
		size_t size = r->undo_size == 0 ? 256 : r->undo_size * 2;
		struct undo *undo = realloc(r->undo, size * sizeof *undo);

		if (undo == NULL)
			return ERR_NOMEM;
		r->undo = undo;
		r->undo_size = size;
	}
	r->undo[r->n_undo++] = (struct undo){ entry, end };
	return 0;
}

static int
grant_locked(struct requests *r, const struct request *request)
{
	uint32_t i = r->free;
	int err = grow_devices(r, request->device);

	if (err == 0 && i == NONE && r->used == r->size)
		err = grow(r);
	if (err != 0)
		return err;
	if (i == NONE)
		i = r->used;
	err = note_undo(r, i, false);
	if (err != 0)
		return err;
	if (i == r->free)
		r->free = r->entries[i].next_by_request;
	else
		r->used++;
	r->entries[i].request = *request;
	r->entries[i].request.ended = false;
	hash_in(r, i);
	device_link(r, i);
	return 0;
}

int
requests_grant(struct requests *r, const struct request *request)
{
	pthread_mutex_lock(&r->lock);

	int err = grant_locked(r, request);

	pthread_mutex_unlock(&r->lock);
	return err;
}

static uint32_t
find_lease(const struct requests *r, uint64_t lease)
{
	if (r->size == 0)
		return NONE;
	uint32_t i = r->by_lease[bucket_of_lease(r, lease)];

	while (i != NONE && r->entries[i].request.lease != lease)
		i = r->entries[i].next_by_lease;
	return i;
}

int
requests_end(struct requests *r, uint64_t lease)
{
	uint32_t i = find_lease(r, lease);

	if (i == NONE || r->entries[i].request.ended)
		return 0;
	pthread_mutex_lock(&r->lock);

	int err = note_undo(r, i, true);

	if (err == 0) {
		device_unlink(r, i);
		r->entries[i].request.ended = true;
	}
	pthread_mutex_unlock(&r->lock);
	return err;
}

static void
entry_free(struct requests *r, uint32_t i)
{
	hash_out(r, i);
	r->entries[i].next_by_request = r->free;
	r->free = i;
}

static void
ended_push(struct requests *r, uint32_t i)
{
	r->entries[i].next = NONE;
	if (r->ended_last != NONE)
		r->entries[r->ended_last].next = i;
	else
		r->ended_first = i;
	r->ended_last = i;
	r->ended++;
	if (r->ended <= r->ended_max)
		return;
	i = r->ended_first;
	r->ended_first = r->entries[i].next;
	if (r->ended_first == NONE)
		r->ended_last = NONE;
	r->ended--;
	entry_free(r, i);
}

void
requests_keep(struct requests *r)
{
	if (r->n_undo == 0)
		return;
	pthread_mutex_lock(&r->lock);
	for (size_t i = 0; i < r->n_undo; i++) {
		if (r->undo[i].end)
			ended_push(r, r->undo[i].entry);
	}
	r->n_undo = 0;
	pthread_mutex_unlock(&r->lock);
}

void
requests_undo(struct requests *r)
{
	if (r->n_undo == 0)
		return;
	pthread_mutex_lock(&r->lock);
	while (r->n_undo > 0) {
		struct undo undo = r->undo[--r->n_undo];

		if (undo.end) {
			r->entries[undo.entry].request.ended = false;
			device_link(r, undo.entry);
		} else {
			device_unlink(r, undo.entry);
			entry_free(r, undo.entry);
		}
	}
	pthread_mutex_unlock(&r->lock);
}

bool
requests_find(struct request *out, const struct requests *r, uint64_t device,
    const uint8_t request[REQUEST_BYTES])
{
	if (r->size == 0)
		return false;
	uint32_t i = r->by_request[bucket_of_request(r, device, request)];

	for (; i != NONE; i = r->entries[i].next_by_request) {
		const struct request *at = &r->entries[i].request;

		if (at->device != device ||
		    memcmp(at->request, request, REQUEST_BYTES) != 0)
			continue;
		*out = *at;
		return true;
	}
	return false;
}

uint32_t
requests_device_count(const struct requests *r, uint64_t device)
{
	return device < r->n_devices ? r->devices[device].count : 0;
}

uint32_t
requests_device_count_shared(struct requests *r, uint64_t device)
{
	pthread_mutex_lock(&r->lock);

	uint32_t count = requests_device_count(r, device);

	pthread_mutex_unlock(&r->lock);
	return count;
}

static int
compare_u64(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

size_t
requests_device(uint64_t *leases, size_t size, struct requests *r,
    uint64_t device, uint64_t after)
{
	size_t n = 0;

	pthread_mutex_lock(&r->lock);
	uint32_t i = device < r->n_devices ? r->devices[device].first : NONE;

	for (; i != NONE && n < size; i = r->entries[i].next) {
		if (r->entries[i].request.lease > after)
			leases[n++] = r->entries[i].request.lease;
	}
	pthread_mutex_unlock(&r->lock);
	qsort(leases, n, sizeof *leases, compare_u64);
	return n;
}

size_t
requests_ended_max(const struct requests *r)
{
	return r->ended_max;
}
