/*
 * What the files of the projection share: its tables, the form of an hour and of
 * a line on disk, the lines at hand of a transaction. Nothing outside of this
 * folder includes it.
 */
#ifndef APPLIANCE_METERING_INSIDE_H
#define APPLIANCE_METERING_INSIDE_H

#include "appliance/metering/metering.h"
#include "appliance/projection/projection.h"

#include "shared/base/buf.h"

#include <pthread.h>

/* Of the tables below; another one is made anew. */
#define METERING_FORMAT 3

/*
 * meta      format, place
 * names     scope (1) license NUL serial (8) feature NUL subject (16)
 *                                  -> number of the line (4)
 * lines     line (4)               -> what is held, since when; see line_write
 * hours     line (4) hour (4)      -> see hour_write
 * leases    lease (8)              -> struct held
 * licenses  number (8)             -> serial (8) id
 * digests   of a license (32)      -> serial (8)
 * overages  line (4) time (8) row (8) -> first (8) count (4) lease (8)
 */
enum metering_table {
	METERING_META,
	METERING_NAMES,
	METERING_LINES,
	METERING_HOURS,
	METERING_LEASES,
	METERING_LICENSES,
	METERING_DIGESTS,
	METERING_OVERAGES,
	METERING_TABLES,
};

_Static_assert(METERING_TABLES <= PROJECTION_TABLES_MAX, "there is room");

struct metering {
	struct projection base;
	/** Who reads has it for reading: it is not thrown away under him. */
	pthread_rwlock_t lock;
};

/** What a line is between its hours. */
struct line_state {
	/* Seats. */
	uint32_t held, borrowed;
	int64_t since; /* up to then it is in the hours */
	/* A gauge. */
	bool gauge; /* it was set */
	uint64_t value;
	/** The last hour in which it holds: another serial came; UINT32_MAX. */
	uint32_t until;
};
#define LINE_BYTES ((size_t)4 + 4 + 8 + 1 + 8 + 4)
void line_write(uint8_t out[LINE_BYTES], const struct line_state *in);
bool line_read(struct line_state *out, const MDB_val *value);

/** An hour of a line, whichever it is of. */
struct hour {
	struct metering_seats seats;
	struct metering_metric metric;
};
#define HOUR_BYTES_MAX 1024
size_t hour_write(uint8_t out[HOUR_BYTES_MAX], const struct hour *in);
bool hour_read(struct hour *out, const MDB_val *value);
/** What `more` says beside or after `sum`. */
void hour_add(struct hour *sum, const struct hour *more);
void hour_deny(struct metering_seats *seats, const char *code, uint64_t count);
void hour_overage(struct metering_seats *seats, uint64_t first, uint64_t count);
/** a + b, or UINT64_MAX. */
uint64_t hour_sum(uint64_t a, uint64_t b);

static inline uint32_t
hour_of(int64_t time)
{
	int64_t hour = time / METERING_HOUR_MS;

	return time < 0             ? 0
	    : hour > UINT32_MAX - 1 ? UINT32_MAX - 1
				    : (uint32_t)hour;
}
static inline int64_t
hour_start(uint32_t hour)
{
	return hour * METERING_HOUR_MS;
}

#define NAME_BYTES_MAX ((size_t)1 + 64 + 8 + 64 + SUBJECT_BYTES)
size_t name_write(uint8_t out[NAME_BYTES_MAX],
    const struct metering_line *line);
bool name_read(struct metering_line *out, const MDB_val *key);

#define HOUR_KEY_BYTES 8
#define OVERAGE_KEY_BYTES 20
#define OVERAGE_BYTES 20

/* --- lines at hand ---------------------------------------------------------- */

/* So many are kept between two writes. */
#define HOT_LINES 8192
#define HOT_SLOTS (HOT_LINES * 2)

/** A line, its state, and the hour that is written to. */
struct hot {
	uint32_t line;
	struct line_state state;
	bool has_hour, hour_dirty, state_dirty;
	uint32_t at;
	struct hour hour;
	size_t name_len; /* 0: it was not asked for by its name */
	uint8_t name[NAME_BYTES_MAX];
};

struct metering_txn {
	struct metering *metering;
	MDB_txn *txn;
	struct metering_place place;
	uint32_t next_line;
	struct hot *hot; /* HOT_LINES */
	uint32_t n_hot;
	uint16_t by_line[HOT_SLOTS]; /* index + 1 */
	uint16_t by_name[HOT_SLOTS];
	struct arena arena; /* of a row */
};

/** Its line, made when it has none yet. Good until the next call of hot_*. */
int hot_named(struct hot **hot, struct metering_txn *txn,
    const struct metering_line *line);
int hot_numbered(struct hot **hot, struct metering_txn *txn, uint32_t line);
/** Make this its hour at hand. */
int hot_enter(struct metering_txn *txn, struct hot *hot, uint32_t hour);
/** What is held until then goes into the hours. */
int hot_settle(struct metering_txn *txn, struct hot *hot, int64_t time);
/** Write all and forget them. */
int hot_flush(struct metering_txn *txn);

/** Ours for LMDB's; logged but what is merely not there. */
static inline int
metering_error(int rc, const char *what)
{
	return projection_error("metering", rc, what);
}
int metering_put(struct metering_txn *txn, enum metering_table table,
    const void *key, size_t key_len, const void *value, size_t len);
int metering_get(MDB_val *value, const struct metering_txn *txn,
    enum metering_table table, const void *key, size_t len);

/** Begin and end to read. ERR_UNAVAILABLE: it could not be made anew. */
int metering_reader(MDB_txn **txn, struct metering *metering);
void metering_reader_end(MDB_txn *txn, struct metering *metering);

/* --- between rows.c and shown.c ---------------------------------------------- */

/** Of a hub: ROW_REPORT_SHOWN, _METRICS, _SEATS. */
int metering_shown(struct metering_txn *txn, const struct row *row);
/** Under this serial from that hour on: a gauge of an earlier one holds no longer
 * than into it; and (`carry`) the new one begins with its value. */
int metering_end_gauges(struct metering_txn *txn, const char *license,
    const char *metric, uint64_t serial, uint32_t hour, bool carry);
/** Where overage stands in the journal; count 0: nothing. */
int metering_put_overage(struct metering_txn *txn, uint32_t line, uint64_t row,
    int64_t time, uint64_t first, uint32_t count, uint64_t lease);

int metering_place_read(struct metering_place *place, uint32_t *next_line,
    const struct metering *metering, MDB_txn *txn);

#endif
