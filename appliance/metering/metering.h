/*
 * The metering projection of one tenant: hourly rollups of what was used, made
 * from the rows of the journal (on a hub: those that say what reports showed),
 * so that a month's statement is read from some hundred lines and not from ten
 * million rows. An LMDB environment of its own, beside the ledger's; it may be
 * thrown away and made anew from the journal at any time (DESIGN 5, 12).
 *
 * One line of rollups is one thing that is counted: a license's feature under
 * one serial (what a price holds for), the same of all serials together, the
 * license, the tenant, and apart from those what one user or host had of it; or
 * a named metric of a license. Users and hosts are subject ids, or on a hub the
 * pseudonyms of the report; the metrics of a license are named by the vendor.
 *
 * One writer, which follows the journal with a place of its own: rollups, open
 * leases and place are written in one transaction, so a crash loses nothing and
 * counts nothing twice. A lease that is open is carried as a number of seats
 * held since a time, and what it adds to an hour is added when it ends or when
 * it is read: both give the same. Memory does not grow with rows or hours. Any
 * number of readers. It must not know requests, names, prices or what time it
 * is.
 */
#ifndef APPLIANCE_METERING_METERING_H
#define APPLIANCE_METERING_METERING_H

#include "shared/journal/rows.h"

#include <lmdb.h>

#define METERING_HOUR_MS INT64_C(3600000)
/** Codes of denials that one hour of one line tells apart; more are counted in
 * the last one, "other". */
#define METERING_DENIALS_MAX 16

/** What a line is of. */
enum metering_scope {
	METERING_TENANT = 1, /* all seats */
	METERING_LICENSE = 2, /* all features and serials of it */
	METERING_FEATURE = 3, /* a feature of it, or "" the product; all
				 serials */
	METERING_PRICED = 4, /* the same under one serial: statements */
	METERING_USER = 5, /* a feature, all serials, by one user */
	METERING_HOST = 6, /* by one host */
	METERING_METRIC = 7, /* a named metric under one serial */
};

/** A line's name. What its scope does not say is "" and 0. */
struct metering_line {
	enum metering_scope scope;
	char license[64]; /* the vendor's id; "": denials that none fits */
	uint64_t serial; /* PRICED, METRIC */
	/** The feature, "": the product itself. METRIC: the metric. */
	char feature[64];
	uint8_t subject[SUBJECT_BYTES]; /* USER, HOST */
};

struct metering_denial {
	char code[32]; /* "no_seats" */
	uint64_t count;
};

/** What was in an hour (or day, month: they add up). */
struct metering_seats {
	uint64_t checkouts; /* leases and borrows that were granted */
	uint64_t seats; /* of all of them */
	uint64_t borrows; /* of the checkouts: taken offline */
	uint32_t peak; /* most seats held at once */
	uint64_t seat_ms; /* seats times how long they were held */
	uint64_t borrow_ms; /* of that, offline */
	/** Overage seats by their own numbers: of grants, borrows, adopted
	 * leases, and of seats that stay taken for a borrow given up. PRICED,
	 * FEATURE, LICENSE. 0, 0, 0: none. */
	uint64_t overage, overage_first, overage_last;
	uint64_t denials; /* all; by code: */
	struct metering_denial denied[METERING_DENIALS_MAX];
	uint32_t n_denied;
};

enum metering_kind {
	METERING_COUNTER, /* amounts add up */
	METERING_GAUGE, /* the last amount holds until the next one */
};
struct metering_metric {
	enum metering_kind kind;
	uint64_t events;
	uint64_t sum; /* of the amounts; stays at UINT64_MAX */
	uint64_t max; /* highest amount; of a gauge also what it came with */
	uint64_t last; /* the newest amount */
};

/** One line in one span of time. */
struct metering_rollup {
	struct metering_line line;
	int64_t start; /* ms, UTC */
	int64_t end; /* exclusive */
	struct metering_seats seats; /* all scopes but METRIC */
	struct metering_metric metric; /* METRIC */
};

/** Where overage stands in the journal: what proves one line of a statement. */
struct metering_overage {
	char license[64];
	uint64_t serial;
	char feature[64];
	uint64_t row; /* its number in the journal (on a hub: the site's) */
	int64_t time;
	uint64_t first; /* its overage numbers, side by side */
	uint32_t count;
	uint64_t lease;
};

/** How far the projection is. */
struct metering_place {
	uint64_t batch; /* the next one to be read; 0: it is empty */
	uint8_t head[32]; /* of the one before */
	uint64_t row; /* the last row told */
	int64_t time; /* of the last batch told; INT64_MIN: none */
};

struct metering;

/** Open it in the folder, made when missing. What is of another format or
 * damaged is made anew. `map_bytes` 0: the default. `volatile_`: sync nothing;
 * metering_sync() at the end. Errors are logged. */
int metering_open(struct metering **metering, const char *path,
    size_t map_bytes, bool volatile_);
/** Takes NULL. */
void metering_close(struct metering *metering);
/** Throw away all of it, once nobody reads. No transaction that writes may be
 * open. Where it could not be made anew, readers get ERR_UNAVAILABLE. */
int metering_clear(struct metering *metering);
int metering_sync(struct metering *metering);
/** Bytes of its file that are used. */
uint64_t metering_bytes(struct metering *metering);

/* --- writing: one thread --------------------------------------------------- */

struct metering_txn;
int metering_begin(struct metering_txn **txn, struct metering *metering);
/** The next row of the journal, and the time of its batch. Rows must come in
 * their order; a time before that of an earlier row counts no span twice. */
int metering_row(struct metering_txn *txn, const struct row *row, int64_t time);
/** All rows of that batch were told. */
void metering_batch(struct metering_txn *txn, uint64_t batch,
    const uint8_t head[32], uint64_t last_row, int64_t time);
/** Either ends it. */
int metering_commit(struct metering_txn *txn);
void metering_abort(struct metering_txn *txn);

/**
 * Drop hours of single users and hosts that began before `before`, a page at a
 * time; `more`: some are left. All other lines stay, and so all totals. Made
 * anew from the journal, they are there again until the next time. No
 * transaction may be open.
 */
int metering_forget_people(bool *more, struct metering *metering,
    int64_t before);

/* --- reading: any thread --------------------------------------------------- */

int metering_place(struct metering_place *place, struct metering *metering);

enum metering_step {
	METERING_HOUR,
	METERING_DAY, /* UTC */
	METERING_MONTH, /* of the calendar, UTC */
	METERING_WHOLE, /* the span that was asked for, in one */
};
struct metering_question {
	enum metering_scope scope;
	const char *license; /* NULL: every one */
	uint64_t serial; /* 0: every one */
	const char *feature; /* or metric; NULL: every one */
	const uint8_t *subject; /* NULL: every one */
	int64_t from; /* inclusive; the start of an hour */
	int64_t to; /* exclusive; the start of an hour */
	enum metering_step step;
	/**
	 * Seats that are held are counted up to here: at least the time of the
	 * last row told, or INT64_MIN for that time itself. A report takes the
	 * time of its last batch, so that it says the same whenever it is made.
	 */
	int64_t now;
};
/**
 * Every line that fits, ordered by its name (license, serial, feature, subject)
 * and then by time; spans in which nothing was are left out. Sums of a span are
 * exact, its peak is the highest of its hours, its overage numbers are the first
 * and the last. A gauge that was set before `from` holds on into it: then a
 * span's `max` is at least that, and events may be 0.
 * Non-zero from `each` stops, and is returned. The rollup is valid within the
 * call only. Memory is constant.
 */
int metering_read(struct metering *metering,
    const struct metering_question *question,
    int (*each)(void *ctx, const struct metering_rollup *rollup), void *ctx);

/** Those of a license (serial 0: of all; feature NULL: of all) in a period, by
 * serial and feature, then by time. Constant memory; non-zero from `each` stops,
 * and is returned. */
int metering_evidence(struct metering *metering, const char *license,
    uint64_t serial, const char *feature, int64_t from, int64_t to,
    int (*each)(void *ctx, const struct metering_overage *overage), void *ctx);

#endif
