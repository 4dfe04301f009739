/*
 * What projections of a journal have in common: an LMDB environment of their own
 * that may be thrown away and made anew at any time (DESIGN 5). One that is of
 * another release, or damaged, is emptied when it is opened. It must not know
 * what is projected, nor from where.
 */
#ifndef APPLIANCE_PROJECTION_PROJECTION_H
#define APPLIANCE_PROJECTION_PROJECTION_H

#include <lmdb.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PROJECTION_TABLES_MAX 16

struct projection_table {
	const char *name;
	unsigned int flags; /* of mdb_dbi_open() */
};

/** What it is; all static. */
struct projection_kind {
	const char *name; /* part in the log: "audit" */
	const struct projection_table *tables;
	unsigned int n_tables;
	size_t map_bytes; /* the file is sparse */
};

struct projection {
	MDB_env *env;
	MDB_dbi table[PROJECTION_TABLES_MAX];
	const struct projection_kind *kind;
	char path[4096];
	size_t map_bytes;
	bool volatile_;
};

/**
 * Open it in the folder, made when missing. `map_bytes` 0: that of its kind.
 * `volatile_`: sync nothing; projection_sync() at the end. `is_usable` looks
 * whether it is of this release. Errors are logged, and leave nothing open.
 */
int projection_open(struct projection *projection,
    const struct projection_kind *kind, const char *path, size_t map_bytes,
    bool volatile_, bool (*is_usable)(void *ctx), void *ctx);
/** One that is not open is fine. */
void projection_close(struct projection *projection);
/** Throw away all of it. No transaction may be open. */
int projection_clear(struct projection *projection);
int projection_sync(struct projection *projection);
/** Bytes of its file that are used. */
uint64_t projection_bytes(struct projection *projection);

/** Ours for LMDB's; logged but what is merely not there. */
int projection_error(const char *part, int rc, const char *what);

#endif
