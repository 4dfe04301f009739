/*
 * A store made anew out of a dump (shared/backup): tables and entries in their
 * order into an empty environment, on the disk when it is done. It must not
 * know what they mean; whoever has it opens and checks it then.
 */
#ifndef APPLIANCE_LEDGER_LOAD_STORE_H
#define APPLIANCE_LEDGER_LOAD_STORE_H

#include <stdbool.h>
#include <stddef.h>

struct load_store;

/** In a folder that is there and holds no store. `tenant`: only the tables of a
 * tenant's store are taken, else those of any name. Errors are logged. */
int load_store_open(struct load_store **load, const char *path, bool tenant);
/** ERR_CORRUPT: a table that this release does not know. */
int load_store_table(struct load_store *load, const char *name);
int load_store_entry(struct load_store *load, const void *key, size_t key_len,
    const void *value, size_t value_len);
/** All of it on the disk; the load is gone, whatever is returned. */
int load_store_finish(struct load_store *load);
/** What was made is left where it is. Takes NULL. */
void load_store_cancel(struct load_store *load);

#endif
