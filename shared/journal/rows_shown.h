/*
 * Facts of a hub: how much a license's seats were used, hour by hour, as a report
 * of its site says. No money follows from them; overage has rows that prove it
 * (ROW_REPORT_SHOWN). Tables in rows_shown.c; rows.h includes this, nobody else
 * does.
 */
#ifndef SHARED_JOURNAL_ROWS_SHOWN_H
#define SHARED_JOURNAL_ROWS_SHOWN_H

struct row_shown_denial {
	char code[32]; /* "no_seats" */
	uint64_t count;
};

/** One feature under one serial in one hour: all that its site knew of it then.
 * It takes the place of what an earlier report said of the same hour. */
struct row_shown_seats {
	char license_id[64];
	uint64_t serial;
	char feature[64]; /* "": the product */
	int64_t start; /* of the hour */
	uint64_t checkouts, seats, borrows;
	uint32_t peak;
	uint64_t seat_ms, borrow_ms;
	uint64_t denials;
	struct record_list denied; /* row_shown_denial, up to ROW_DENIED_MAX */
	bool issued; /* to that very site: others are not counted */
};
#define ROW_DENIED_MAX 16

/** Comes with ROW_REPORT_SHOWN. */
struct row_report_seats {
	uint64_t site;
	uint64_t sequence;
	struct record_list hours; /* row_shown_seats, up to ROW_SHOWN_MAX */
};

extern const struct record row_shown_denial_record, row_shown_seats_record,
    row_report_seats_record;

#endif
