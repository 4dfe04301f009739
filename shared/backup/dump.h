/*
 * A store as a stream of bytes: its tables one after the other, their entries
 * in order, a count and a hash at the end. It is what a backup carries instead
 * of a database file: it fits any version of the engine, and a stranger's bytes
 * never reach the engine's own parser. Read piece by piece, as they come, in
 * bounded memory. It must not know what tables mean, where bytes come from, nor
 * any engine.
 *
 * Here too: the one table that is ours, `sealed_key`, with the key of a tenant
 * or of the system store. It leaves the ledger sealed to the site's own key, so
 * nobody on its way holds it.
 */
#ifndef SHARED_BACKUP_DUMP_H
#define SHARED_BACKUP_DUMP_H

#include "shared/base/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DUMP_NAME_MAX 31
#define DUMP_KEY_MAX 511 /* as LMDB's */
#define DUMP_VALUE_MAX ((uint32_t)32 << 20)
#define DUMP_TABLES_MAX 64

/* --- writing --------------------------------------------------------------- */

struct dump_writer {
	/** Takes the bytes, in order; a fault ends it. */
	int (*put)(void *ctx, const void *data, size_t len);
	void *ctx;
	uint64_t entries;
	uint8_t hash[384]; /* crypto_generichash_state, at any alignment */
};

int dump_begin(struct dump_writer *writer,
    int (*put)(void *ctx, const void *data, size_t len), void *ctx);
/** Entries that follow are of this table. */
int dump_table(struct dump_writer *writer, const char *name);
int dump_entry(struct dump_writer *writer, const void *key, size_t key_len,
    const void *value, size_t value_len);
int dump_end(struct dump_writer *writer);

/* --- reading --------------------------------------------------------------- */

struct dump_reader;

/** What is told; non-zero ends the reading and is returned by dump_feed. */
struct dump_callbacks {
	void *ctx;
	int (*table)(void *ctx, const char *name);
	/** Of the last table; keys go up. Borrowed until the return. */
	int (*entry)(void *ctx, const void *key, size_t key_len,
	    const void *value, size_t value_len);
};

struct dump_reader *dump_reader_new(const struct dump_callbacks *callbacks);
void dump_reader_free(struct dump_reader *reader);
/** More bytes. ERR_CORRUPT: it is no dump, dump_error tells why. After an error
 * it is over. */
int dump_feed(struct dump_reader *reader, const void *data, size_t len);
/** Was all of it there? ERR_CORRUPT when the end is missing. */
int dump_finish(struct dump_reader *reader);
uint64_t dump_entries(const struct dump_reader *reader);
/** "" when a callback ended it. */
const char *dump_error(const struct dump_reader *reader);

/* --- keys in a dump -------------------------------------------------------- */

#define DUMP_KEY_TABLE "sealed_key"
/** Entries of it: the key of the tenant, or of the system store; of a tenant,
 * what names of people lie under besides (LEDGER_PERSON_KEY_BYTES). */
#define DUMP_KEY "key"
#define DUMP_PEOPLE_KEY "people"
/** The same once more, where the site has named an heir: what he can open. */
#define DUMP_HEIR_KEY "successor"
#define DUMP_HEIR_PEOPLE_KEY "successor.people"
/** And in the system store the box's own files, which the site cannot read
 * (appliance/setup/box_files.h). */
#define DUMP_HEIR_BOX "successor.box"
/** And there, too, the site key's word for him, a token. */
#define DUMP_HEIR_WORD "successor.word"
/** What crypto_box_seal adds, and what it is bound to. */
#define DUMP_HEIR_EXTRA (48 + 16)
/** Nonce and tag. */
#define DUMP_SEALED_EXTRA (24 + 16)

/**
 * A secret of a tenant, or of "system", readable with the site's secret key
 * alone, and as that site's, that name's and that entry's.
 * @param[out] sealed  len + DUMP_SEALED_EXTRA bytes
 */
int dump_seal(uint8_t *sealed, const void *secret, size_t len, const char *name,
    const char *entry, const uint8_t site_secret[64]);
/** `len` bytes into the caller's guarded memory. ERR_BAD_SIGNATURE: of another
 * site, changed, or of another length. */
int dump_unseal(void *secret, size_t len, const void *sealed, size_t sealed_len,
    const char *name, const char *entry, const uint8_t site_secret[64]);

/** The same for the heir's key alone (succession.h), of which the site knows the
 * public half. @param[out] sealed  len + DUMP_HEIR_EXTRA bytes */
int dump_seal_heir(uint8_t *sealed, const void *secret, size_t len,
    const char *name, const char *entry, const uint8_t heir[32]);
int dump_unseal_heir(void *secret, size_t len, const void *sealed,
    size_t sealed_len, const char *name, const char *entry,
    const uint8_t heir_secret[64]);

#endif
