/*
 * Facts about the box that the site runs on, as its root told them: who was let
 * in by its owner. Tables in rows_box.c; rows.h includes this, nobody else does.
 */
#ifndef SHARED_JOURNAL_ROWS_BOX_H
#define SHARED_JOURNAL_ROWS_BOX_H

/** ROW_MAINTENANCE_OPENED: a shell on the console, until then at most.
 * ROW_MAINTENANCE_REFUSED: a token opened nothing.
 * ROW_MAINTENANCE_ENDED: the shell is closed. */
struct row_maintenance {
	uint64_t
	    event; /* root's number of it; goes up, refusals may be missing */
	uint8_t token[16]; /* its id; zero: it could not be read */
	char owner[64]; /* id of the key that signed it; "": nobody's */
	uint32_t minutes; /* that the token grants */
	uint8_t reason[SUBJECT_BYTES]; /* words; zero: none */
	int64_t at; /* the box's clock */
	int64_t until; /* of an opened one */
};

extern const struct record row_maintenance_record;

#endif
