#include "appliance/ledger/turning.h"

#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

struct turning {
	pthread_rwlock_t lock;
	uint8_t *keys; /* guarded: n in force, n before */
	size_t n;
	bool before;
};

struct turning *
turning_new(const uint8_t *keys, size_t n)
{
	struct turning *turning = calloc(1, sizeof *turning);

	if (turning == NULL)
		return NULL;
	turning->n = n;
	turning->keys = sodium_allocarray(2 * n, TURNING_KEY);
	if (turning->keys == NULL ||
	    pthread_rwlock_init(&turning->lock, NULL) != 0) {
		sodium_free(turning->keys);
		free(turning);
		return NULL;
	}
	memset(turning->keys, 0, 2 * n * TURNING_KEY);
	memcpy(turning->keys, keys, n * TURNING_KEY);
	return turning;
}

void
turning_free(struct turning *turning)
{
	if (turning == NULL)
		return;
	sodium_free(turning->keys);
	pthread_rwlock_destroy(&turning->lock);
	free(turning);
}

bool
turning_get(uint8_t key[TURNING_KEY], struct turning *turning, size_t which,
    bool before)
{
	pthread_rwlock_rdlock(&turning->lock);
	bool is = !before || turning->before;

	if (is)
		memcpy(key,
		    turning->keys +
			(which + (before ? turning->n : 0)) * TURNING_KEY,
		    TURNING_KEY);
	pthread_rwlock_unlock(&turning->lock);
	return is;
}

void
turning_turn(struct turning *turning, const uint8_t *keys)
{
	size_t len = turning->n * TURNING_KEY;

	pthread_rwlock_wrlock(&turning->lock);
	memcpy(turning->keys + len, turning->keys, len);
	memcpy(turning->keys, keys, len);
	turning->before = true;
	pthread_rwlock_unlock(&turning->lock);
}

void
turning_back(struct turning *turning)
{
	size_t len = turning->n * TURNING_KEY;

	pthread_rwlock_wrlock(&turning->lock);
	if (turning->before) {
		memcpy(turning->keys, turning->keys + len, len);
		sodium_memzero(turning->keys + len, len);
		turning->before = false;
	}
	pthread_rwlock_unlock(&turning->lock);
}
