/*
 * What an admin asks of the box that the site runs on: what it is, and its
 * updates. A bundle is named by its digest, so that the same file sent again
 * goes on where it was cut; it comes in pieces of bounded size. Only a site
 * with [appliance] in its settings has any of this.
 */
#ifndef SHARED_RPC_MESSAGES_APPLIANCE_H
#define SHARED_RPC_MESSAGES_APPLIANCE_H

#include "shared/journal/journal.h"

/** Bytes of a piece at most: in base64 it fits an HTTP body. */
#define UPDATE_PIECE_MAX ((uint32_t)512 << 10)
#define APPLIANCE_WARNINGS_MAX 8

struct update_begin {
	uint8_t digest[32]; /* BLAKE2b-256 of the file */
	uint64_t bytes;
};
struct update_ref {
	uint8_t digest[32];
};
struct update_put {
	uint8_t digest[32];
	uint64_t offset;
	struct record_span data; /* 1 to UPDATE_PIECE_MAX */
};

enum update_phase {
	UPDATE_NONE,
	UPDATE_RECEIVING, /* not all of it is here, or nobody said install */
	UPDATE_REQUESTED, /* journaled; nobody has taken it up yet */
	UPDATE_CHECKING, /* signature, floor, room */
	UPDATE_INSTALLING, /* into the slot that does not run */
	UPDATE_RESTARTING, /* installed: the box starts it once, to try it */
	UPDATE_TRYING, /* it runs, and its health is being checked */
	UPDATE_DONE, /* confirmed */
	UPDATE_FAILED, /* the box is as before */
	UPDATE_FELL_BACK, /* it was started, and the old version runs again */
};
extern const char *const update_phase_names[];

struct update_view {
	uint8_t digest[32]; /* zero: of a stick, and not read yet */
	uint64_t bytes;
	uint64_t offset; /* bytes that are there: where the next piece begins */
	uint32_t phase; /* enum update_phase */
	uint64_t update; /* number in the journal; 0: it was not asked for */
	bool usb;
	uint32_t percent; /* of UPDATE_INSTALLING */
	char version[64]; /* that its manifest names, once it was checked */
	char slot[8]; /* that it is written to */
	int64_t requested_at;
	int64_t ended_at;
	char reason[160]; /* why it came to nothing */
};

struct appliance_warning {
	char text[160];
};
struct appliance_status {
	char version[64]; /* of the image that runs */
	char build[64];
	char slot[8]; /* "A" or "B" */
	bool confirmed; /* it passed its check; else it is being tried */
	uint32_t level; /* of the image */
	uint32_t floor; /* images below that level are refused */
	uint32_t store_format; /* of the site's own store */
	struct update_view last; /* UPDATE_NONE: there was none */
	struct record_list warnings; /* appliance_warning */
};

extern const struct record update_begin_record, update_ref_record,
    update_put_record, update_view_record, appliance_warning_record,
    appliance_status_record;

#endif
