/*
 * Maintenance of an appliance: its owner signs that one box may open a shell on
 * its console, once, for so many minutes. The token, what a box remembers so
 * that none counts twice or after its end, and the judgement; pure, so that
 * tests have every clock. It must not know who opens what.
 *
 * Time on a box without network time is only as good as what root saw of it:
 * the judgement never goes back behind the latest time that it has seen, so a
 * clock that is turned back makes no ended token good again, nor one that was
 * used; and one that is behind what was seen opens nothing at all until it is
 * set. What was done is remembered beside that, for the journal.
 */
#ifndef SHARED_BOX_MAINTENANCE_H
#define SHARED_BOX_MAINTENANCE_H

#include "shared/record/record.h"
#include "shared/token/token.h"

#define MAINTENANCE_MINUTES_MAX 240
/** From signing to the last moment at which it may be used, at most. */
#define MAINTENANCE_VALID_MAX_MS (INT64_C(24) * 3600 * 1000)
/** A token that is signed so far ahead of the box's clock is not taken; none is
 * by a clock that is so far behind what was seen. */
#define MAINTENANCE_AHEAD_MAX_MS (INT64_C(10) * 60 * 1000)
#define MAINTENANCE_TOKEN_MAX 2048
#define MAINTENANCE_USED_MAX 64
#define MAINTENANCE_EVENTS_MAX 24
/** Of a box's id, with its NUL: "box-" and 20 digits of hex. */
#define MAINTENANCE_BOX_TEXT 25

struct maintenance_grant {
	uint8_t id[16]; /* random */
	char site[64];
	char box[MAINTENANCE_BOX_TEXT];
	uint32_t minutes;
	char reason[128];
	int64_t issued_at; /* ms since 1970 */
	int64_t not_after; /* it opens nothing from then on */
};

struct maintenance_used {
	uint8_t id[16];
	int64_t not_after;
};

enum maintenance_step {
	MAINTENANCE_OPENED,
	MAINTENANCE_REFUSED,
	MAINTENANCE_ENDED,
};
extern const char *const maintenance_step_names[];

/** Something that root did about maintenance. */
struct maintenance_event {
	uint64_t event; /* from 1; a later one has a higher number */
	uint32_t step; /* enum maintenance_step */
	uint8_t id[16]; /* of the token; zero: it could not be read */
	char owner[64]; /* id of the key that signed it; "": nobody's */
	uint32_t minutes; /* that were granted */
	char reason[128]; /* of the token; else why not, or why it ended */
	int64_t at;
	int64_t until; /* of an opened one */
};

/** What root keeps. */
struct maintenance_memory {
	int64_t latest; /* time that was ever seen */
	char box[MAINTENANCE_BOX_TEXT]; /* random; made with the memory */
	uint64_t events_made;
	struct record_list used; /* maintenance_used */
	struct record_list events; /* maintenance_event, the oldest first */
};

/** Items of the lists of a memory that changes. */
struct maintenance_room {
	struct maintenance_used used[MAINTENANCE_USED_MAX];
	struct maintenance_event events[MAINTENANCE_EVENTS_MAX];
};

extern const struct record maintenance_grant_record, maintenance_used_record,
    maintenance_event_record, maintenance_memory_record;

/** A new box's: no time, nothing used, an id. */
void maintenance_begin(struct maintenance_memory *memory);

/** Append the token. The grant is checked: ERR_BAD_REQUEST names the field in
 * `error`. */
int maintenance_sign(struct buf *out, const struct maintenance_grant *grant,
    const uint8_t secret[TOKEN_SECRET_BYTES], struct record_error *error);

/**
 * May it be opened now? Nothing is kept by it; see maintenance_use.
 * @param[out] grant  Filled when the signature holds.
 * @param wall        the box's clock, ms since 1970
 * Returns 0; ERR_BAD_TOKEN, ERR_BAD_SIGNATURE, ERR_UNTRUSTED (another key's);
 * ERR_MISMATCH: of another box; ERR_GONE: it was used; ERR_CLOCK_TAMPERED: the
 * clock is behind what was seen; ERR_EXPIRED: over, or signed ahead of the
 * box's clock; ERR_CONFLICT: one is open; ERR_BUSY: too many that are not over
 * yet were used.
 */
int maintenance_judge(struct maintenance_grant *grant, const char *token,
    size_t len, const uint8_t owner[TOKEN_PUBLIC_BYTES], const char *site,
    const struct maintenance_memory *memory, int64_t wall);

/** The time that counts: never behind the latest. */
int64_t maintenance_now(const struct maintenance_memory *memory, int64_t wall);

/** It is used from here on: what is over is forgotten, `grant` (NULL: none)
 * remembered, the time goes on. `room` becomes the list. Call it with what
 * maintenance_judge let through. */
void maintenance_use(struct maintenance_memory *memory,
    struct maintenance_room *room, const struct maintenance_grant *grant,
    int64_t wall);

/** Remember an event; it gets its number. Where there is no room the oldest
 * refusal goes, or else the oldest. `room` becomes the list. */
void maintenance_note(struct maintenance_memory *memory,
    struct maintenance_room *room, struct maintenance_event *event);

/** The opening that has not ended; NULL: nothing is open. Of the list. */
const struct maintenance_event *maintenance_open(
    const struct record_list *events);

#endif
