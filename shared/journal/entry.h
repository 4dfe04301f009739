/*
 * A row of the journal as an entry of an audit: who did what, about which
 * device, license, lease and product, and how it ended. Only what the row itself
 * says: site, library and CLI read the same out of it, so that an entry can be
 * held against the row that is to prove it. Rows say what they mean by the keys
 * of their fields, so that a row of a new kind is an entry as soon as there is
 * one. It must not know where rows are kept.
 */
#ifndef SHARED_JOURNAL_ENTRY_H
#define SHARED_JOURNAL_ENTRY_H

#include "shared/journal/rows.h"

struct journal_entry {
	uint64_t row;
	int64_t time;
	struct row_actor by;
	char what[48]; /* kind of the row, or the operation asked for */
	char result[48]; /* "done", "granted", "no_seats" */
	char product[64];
	uint64_t device; /* 0: none; so are these */
	uint64_t license;
	uint64_t lease;
	uint64_t object; /* number of a user, token, erasure */
	uint64_t count; /* of one cause; else 1 */
	uint8_t user[SUBJECT_BYTES];
	uint8_t host[SUBJECT_BYTES];
	uint8_t address[SUBJECT_BYTES];
	uint8_t reason[SUBJECT_BYTES];
	uint8_t print[32];
};

/** False: the row is no entry (a pulse, a name that is introduced). */
bool journal_entry_read(struct journal_entry *out, const struct row *row,
    int64_t time);

#endif
