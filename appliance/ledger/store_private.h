/*
 * What the two files of the store share: the environment, and who is inside a
 * transaction, because the map may only be replaced while nobody is.
 */
#ifndef APPLIANCE_LEDGER_STORE_PRIVATE_H
#define APPLIANCE_LEDGER_STORE_PRIVATE_H

#include "appliance/ledger/store.h"

#include <pthread.h>
#include <stdatomic.h>

struct store {
	MDB_env *env;
	MDB_dbi table[STORE_TABLES];
	int lock_fd;
	uint32_t format; /* since it was opened */
	bool map_grows;
	_Atomic bool broken;
	pthread_mutex_t lock; /* of what follows, and of the map itself */
	pthread_cond_t changed;
	size_t inside; /* transactions that are open */
	bool growing; /* nobody else may begin one */
};

void store_enter(struct store *store);
void store_leave(struct store *store);
/** In store_format.c: before anything else is read or written. `meta` is open.
 * Changes the format where it may; tells which it is then. */
int store_format_settle(uint32_t *format, MDB_txn *txn, MDB_dbi meta,
    const struct store_options *options);
/** Ours for LMDB's and the system's. */
int store_error(int rc, const char *what);

#endif
