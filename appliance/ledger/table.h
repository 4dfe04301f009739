/*
 * A map from 64-bit numbers to pointers: open addressing, linear probing, grown
 * at three quarters. Keys are mixed, but not with a secret: for numbers that
 * we gave out ourselves. It must not know what the pointers are.
 */
#ifndef APPLIANCE_LEDGER_TABLE_H
#define APPLIANCE_LEDGER_TABLE_H

#include <stddef.h>
#include <stdint.h>

struct table_slot {
	uint64_t key;
	void *value; /* NULL: free */
};

/** Zero-initialised is empty and valid. */
struct table {
	struct table_slot *slots;
	size_t size; /* a power of two, or 0 */
	size_t count;
};

void *table_get(const struct table *table, uint64_t key);

/** Put or replace; value is not NULL. Returns 0 or ERR_NOMEM (unchanged);
 * replacing does not fail. */
int table_put(struct table *table, uint64_t key, void *value);

/** Take out; NULL when it was not there. */
void *table_remove(struct table *table, uint64_t key);

/** The next value from slot *at on, in no order; NULL at the end. Start with
 * 0. The table must not change meanwhile. */
void *table_next(const struct table *table, size_t *at);

void table_release(struct table *table);

#endif
