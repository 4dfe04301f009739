/*
 * What the files of the projection share: its tables, the form of an entry on
 * disk, the dictionary. Nothing outside of this folder includes it.
 */
#ifndef APPLIANCE_AUDIT_INSIDE_H
#define APPLIANCE_AUDIT_INSIDE_H

#include "appliance/audit/audit.h"
#include "appliance/projection/projection.h"

/* Of the tables below; another one is made anew. */
#define AUDIT_FORMAT 1

/*
 * meta      format, place
 * entries   row (8)                        -> struct stored, packed
 * index     field (1) value (8)            -> row (6), many, ascending
 * words     sort (1) bytes                 -> ordinal (4)
 * ordinals  ordinal (4)                    -> sort (1) bytes
 * devices   number (8)                     -> what is known of it
 * leases    number (8)                     -> whose it is, while it is held
 * hours     hour (8)                       -> first row (8), last row (8)
 */
enum audit_table {
	AUDIT_META,
	AUDIT_ENTRIES,
	AUDIT_INDEX,
	AUDIT_WORDS,
	AUDIT_ORDINALS,
	AUDIT_DEVICES,
	AUDIT_LEASES,
	AUDIT_HOURS,
	AUDIT_TABLES,
};

_Static_assert(AUDIT_TABLES <= PROJECTION_TABLES_MAX, "there is room");

struct audit {
	struct projection base;
};

/** Sorts of words in the dictionary: subjects by their kind, and text. */
#define WORD_SUBJECT 16 /* + enum subject_kind */
#define WORD_TEXT 1
#define WORD_PRINT 2
/** Of an ordinal that stood for somebody erased, and of none. */
#define WORD_NONE 0

/** An entry on disk: everything by ordinal. */
struct stored {
	int64_t time;
	uint32_t by_kind;
	uint64_t by_id;
	uint64_t device;
	bool of_key;
	uint64_t license, lease, object, count;
	uint32_t what, result, product, user, host, address, reason, print;
};
#define STORED_BYTES ((size_t)8 + 1 + 8 + 6 + 1 + 4 + 6 + 6 + 4 + 8 * 4)

void stored_write(uint8_t out[STORED_BYTES], const struct stored *in);
bool stored_read(struct stored *out, const MDB_val *value);

#define INDEX_KEY_BYTES 9
#define INDEX_ROW_BYTES 6
void index_key(uint8_t key[INDEX_KEY_BYTES], enum audit_field field,
    uint64_t value);
void index_row(uint8_t out[INDEX_ROW_BYTES], uint64_t row);
uint64_t index_row_read(const MDB_val *value);
/** The value of an entry under a field; 0: it has none. */
uint64_t stored_value(const struct stored *entry, enum audit_field field);

/** One line of the index that waits for the commit. */
struct posting {
	uint8_t key[INDEX_KEY_BYTES];
	uint8_t row[INDEX_ROW_BYTES];
};

struct audit_txn {
	struct audit *audit;
	MDB_txn *txn;
	struct audit_place place;
	uint32_t next_ordinal;
	struct posting *postings;
	size_t n_postings, size_postings;
	/** Of the entries at hand; written when it is over. first 0: none. */
	uint64_t hour, hour_first, hour_last;
};

#define HOUR_MS INT64_C(3600000)
static inline uint64_t
hour_of(int64_t time)
{
	return time < 0 ? 0 : (uint64_t)(time / HOUR_MS);
}

/** Ours for LMDB's; logged but what is merely not there. */
static inline int
audit_error(int rc, const char *what)
{
	return projection_error("audit", rc, what);
}

/** ERR_NOT_FOUND_INTERNAL. */
int word_find(uint32_t *ordinal, const struct audit *audit, MDB_txn *txn,
    uint8_t sort, const void *data, size_t len);
int word_add(uint32_t *ordinal, struct audit_txn *txn, uint8_t sort,
    const void *data, size_t len);
/** `sort` WORD_NONE: it was erased. Points into the transaction. */
int word_get(uint8_t *sort, MDB_val *word, const struct audit *audit,
    MDB_txn *txn, uint32_t ordinal);

/** Write down the hour at hand. */
int hour_flush(struct audit_txn *txn);

int place_read(struct audit_place *place, uint32_t *next_ordinal,
    const struct audit *audit, MDB_txn *txn);

#endif
