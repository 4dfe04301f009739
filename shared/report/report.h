/*
 * What a site and a vendor's hub tell each other of usage (DESIGN 5, 13): a
 * report, signed by the site, and what comes back: a receipt and changes of
 * licenses, signed by the vendor's issuing key. Over the network or in a file
 * the same documents, made and verified by the same code. It must not know
 * stores, requests, time or prices: batches and what was known before come in
 * by callbacks, findings go out as values.
 *
 *   report   token (TOKEN_REPORT: struct report) + body (struct report_body, in
 *            MessagePack; its size and BLAKE2b-256 stand in the token)
 *   receipt  token (TOKEN_RECEIPT: struct report_receipt)
 *   change   token (TOKEN_CHANGE: struct license_change, change.h)
 *   file     all of these in a container sealed to its receiver: box.h
 *
 * Where a site stands with a vendor is a `struct report_mark`: the last batch
 * that was taken, its head and history. The next report begins behind it, and
 * its last header proves by the history tree that it continues it. So a report
 * is no state of the site: it is what follows from the last receipt and the
 * journal, and may be made again, or larger, at any time. Sequence numbers name
 * reports: n + 1 begins where n ended, so several may be on their way at once.
 *
 * What is shown: every row of that vendor that has overage numbers, and every
 * license that it installed here, each with its path, in the header of its
 * batch, whose head has its path to the last header's history; what began a
 * generation, and corrections of the clock. Other rows stay where they are. A
 * row says who had a seat by random ids that only the site can open, and by the
 * device's number. What is told beside it is the tenant's to say (enum
 * report_people): a pseudonym of the device, nothing, or names in the clear.
 *
 * Metrics are told by the hour, as the rows of the range add up: the site signs
 * the sums, and no event of a range is told by another report. So they are taken
 * as often as the range is, which is once. When a journal was put back, what was
 * taken of the lost branch stays taken: an event that is tracked anew behind it
 * is another one.
 *
 * Hours of seats are told as the site counts them, whole: the two at the ends of
 * a range are told by two reports, and the later one knows more. They prove
 * nothing, no money follows from them, and a report that has no room for them
 * goes without.
 *
 * What that proves: overage numbers of a license have no gap. A row that was
 * left out of its range can never be shown later, and the next one shows that
 * it is missing. Running totals of the headers bound what was not shown.
 *
 * A journal that was put back (its generation is a later one) continues a mark
 * that it does not hold from the batch on that began the generation: its first
 * shown row says what was lost. What was taken before stays taken. A lease of
 * the lost branch that goes on carries the row it was granted by, and is no
 * second checkout when that one was taken: `again`.
 */
#ifndef SHARED_REPORT_REPORT_H
#define SHARED_REPORT_REPORT_H

#include "shared/journal/journal.h"
#include "shared/license/license.h"
#include "shared/proof/quote.h"
#include "shared/report/change.h"

/** Bytes of a body, which one batch may need, and that a report of several
 * stays below; batches and rows that it shows; hours it tells of. */
#define REPORT_BODY_MAX ((size_t)16 << 20)
#define REPORT_BODY_GOAL ((size_t)2 << 20)
#define REPORT_BATCHES_MAX 2048
#define REPORT_ROWS_MAX 8192
#define REPORT_HOURS_MAX 16384
#define REPORT_DEVICES_MAX 8192
#define REPORT_NAMES_MAX 16384
/** Of the token's text. */
#define REPORT_TOKEN_MAX 16384
#define REPORT_RECEIPT_MAX 8192
/** Memory that reading and verifying one takes at most, beside the body. */
#define REPORT_ARENA_MAX ((size_t)48 << 20)
/** Batches of one report's range, shown or not, and how long it may last: what
 * one turn of the site reads. */
#define REPORT_RANGE_MAX 65536
#define REPORT_SPAN_MS (INT64_C(7) * 86400000)

/* --- the documents --------------------------------------------------------- */

/** Where a site stands with a vendor. sequence 0: nothing was taken yet. */
struct report_mark {
	uint64_t sequence;
	uint64_t batch;
	uint8_t head[32];
	uint8_t history[32];
	uint32_t generation;
	int64_t time; /* of the batch */
	uint64_t overage; /* the header's running total */
};

/** What the site says of its own counter: the last one in its journal, and
 * where it is kept (enum witness_class). A statement of the site, which its
 * journal holds as a row; only a witness of class tpm cannot be put back with
 * the disk. */
struct report_proof {
	uint64_t counter;
	uint32_t witness;
	int64_t clock; /* the site's time when the report was made */
	bool clock_doubted; /* the wall clock says otherwise by an hour */
};

/** What a report tells of who used seats, beside the rows. Numbers are stored, so
 * they stay. */
enum report_people {
	REPORT_PSEUDONYMS, /* of devices: struct report_device */
	REPORT_NOBODY,
	REPORT_CLEAR, /* names of users and hosts, beside the pseudonyms */
	REPORT_PEOPLE,
};
extern const char *const report_people_names[];

/** What the site found in the event log of its TPM. It says so itself: the
 * receiver believes the quote alone. */
enum report_log {
	REPORT_LOG_NONE, /* there is none: no appliance */
	REPORT_LOG_REPLAYS, /* its events give the PCRs that are quoted */
	REPORT_LOG_CONTRADICTS,
	REPORT_LOG_UNREADABLE,
};
extern const char *const report_log_names[];

/** How the site's machine was started. All of it absent: nothing measures
 * there, or its TPM did not answer. */
struct report_measured {
	char image[64]; /* version that it says to run; "": no image */
	uint32_t log; /* enum report_log */
	uint8_t log_digest[32]; /* SHA-256 of it */
	/** Over report_subject(). Zero: there is none. */
	struct quote quote;
};

/** Payload of a TOKEN_REPORT. */
struct report {
	char site[64];
	char tenant[64];
	char vendor[64];
	uint64_t sequence; /* previous.sequence + 1 */
	struct report_mark previous;
	uint64_t first_batch; /* previous.batch + 1; 0 of the first */
	uint64_t last_batch;
	uint8_t last_head[32];
	uint32_t generation; /* of the last batch */
	int64_t time; /* of the last batch: hours are counted up to it */
	struct journal_totals totals; /* of the last batch */
	uint32_t rows; /* shown */
	uint64_t seats; /* overage seats that they have */
	struct report_proof proof;
	struct report_measured measured;
	char software[32]; /* that measured: "leaseholdd 0.1.0" */
	uint32_t body_bytes;
	uint8_t body_digest[32];
	uint32_t people; /* enum report_people */
};

/** A row, as it stands in its batch. */
struct report_row {
	uint32_t index; /* in its batch, from 0 */
	struct record_span bytes;
	struct record_span path; /* 32 bytes a hash */
	/** ROW_BORROW_ENDED alone, whose row does not say what was borrowed:
	 * the license's digest and the feature, as the site says. */
	uint8_t digest[32];
	char feature[64];
};
/** A batch with rows to show; the last one of the range may have none. */
struct report_batch {
	struct record_span header; /* token */
	/** Path of its head in the history of the last one; of that: empty. */
	struct record_span inclusion;
	struct record_list rows; /* report_row, by index */
};

/** Denials by code. */
struct report_denial {
	char code[32];
	uint64_t count;
};
/**
 * What was in an hour, of one line: metering_rollup of scope PRICED (seats) or
 * METRIC. Of a metric it is what the batches of this report's range say and no
 * more, so that reports add up; `feature` "": from this hour on the serial is in
 * force, which gauges go on under.
 */
struct report_hour {
	char license[64];
	uint64_t serial;
	char feature[64]; /* or the metric */
	int64_t start; /* of an hour */
	bool metric;
	/* seats */
	uint64_t checkouts, seats, borrows;
	uint32_t peak;
	uint64_t seat_ms, borrow_ms;
	uint64_t denials; /* of feature "" */
	struct record_list denied; /* report_denial, up to 16 */
	/* metric */
	uint32_t kind; /* enum metering_kind */
	uint64_t events, sum, max, last;
};
/** Keyed hash over vendor and device, under the tenant key: the same device has the same name with one
 * vendor, and another one with another. */
struct report_device {
	uint64_t device;
	uint8_t pseudonym[16];
};
/** Whose name stands behind an id of a row that is shown, in the clear. */
struct report_name {
	uint8_t subject[SUBJECT_BYTES];
	uint32_t kind; /* SUBJECT_USER, SUBJECT_HOST */
	char name[128];
};

struct report_body {
	struct record_list batches; /* report_batch, ascending; at least one */
	/** Of previous.head in the last header's history, and that this one
	 * begins with previous.history; both empty where nothing was known or
	 * the mark is not of this journal. */
	struct record_span inclusion;
	struct record_span consistency;
	struct record_list hours; /* report_hour */
	struct record_list devices; /* report_device */
	struct record_list names; /* report_name */
};

/** What became of a report. Numbers are stored, so they stay. */
enum report_answer {
	REPORT_TAKEN,
	REPORT_REPLAYED, /* it, or one of its sequence, was taken before: the
			    same receipt again */
	REPORT_GAP, /* something between the last one and it is missing */
	REPORT_FORK, /* the journal is not the one that was reported before */
	REPORT_HOLE, /* an overage checkout is missing */
	REPORT_ALTERED, /* it does not say what was signed */
	REPORT_FORGED, /* signed by another key than that of the site */
	REPORT_WRONG_VENDOR,
	REPORT_WRONG_SITE,
	REPORT_TRUNCATED,
	REPORT_MALFORMED, /* signed, and contradicts itself */
	REPORT_ANSWERS,
};
extern const char *const report_answer_names[];

/** Payload of a TOKEN_RECEIPT: the answer to a report, and up to where usage was
 * taken. `mark` of a refusal is the last one that was. It never goes back within
 * a generation of the hub's journal: in a later one the hub's store was put back,
 * and all behind `mark` is to be reported again. */
struct report_receipt {
	char site[64];
	char tenant[64];
	char vendor[64];
	uint64_t report; /* sequence of the one that is answered */
	uint32_t answer; /* enum report_answer */
	char reason[192]; /* "", or why it was refused */
	struct report_mark mark;
	int64_t at;
	uint32_t generation; /* of the hub's journal; 0: its first */
};

extern const struct record report_mark_record, report_proof_record,
    report_measured_record, report_record, report_row_record,
    report_batch_record, report_denial_record, report_hour_record,
    report_device_record, report_name_record, report_body_record,
    report_receipt_record;

/* --- making: build.c ------------------------------------------------------- */

/** Whose a license of the journal is. */
struct report_license {
	char vendor[64];
	char license_id[64];
};

/** Where batches come from. What is lent lives until the next call. */
struct report_source {
	void *ctx;
	/** A stored batch (journal_batch, MessagePack). ERR_GONE: it was
	 * pruned. */
	int (*batch)(void *ctx, struct record_span *blob, uint64_t batch);
	/** By its number in the journal. */
	int (*license)(void *ctx, struct report_license *out, uint64_t number);
	/** What a borrow that was given up was of. */
	int (*lent)(void *ctx, uint8_t digest[32], char feature[64],
	    uint64_t license, uint64_t lease);
	/** The history tree. */
	struct merkle_source history;
	/** Of a device that has a row shown; NULL: they are not told. */
	int (*pseudonym)(void *ctx, uint8_t out[16], uint64_t device);
	/** Of a user or host that such a row names; NULL: they are not told.
	 * ERR_NOT_FOUND_INTERNAL: it was erased. */
	int (*name)(void *ctx, struct report_name *out,
	    const uint8_t subject[SUBJECT_BYTES]);
	/** The serial of a license that was in force at the batch that was read
	 * last, before any edition that is installed within it or behind it.
	 * NULL: no metrics are told. */
	int (*edition)(void *ctx, uint64_t *serial, uint64_t license);
	/** Every hour of the vendor's seats from the hour that begins at `from`
	 * to that of `to`; NULL: none are told. `each` is to be called for each;
	 * what it returns unless 0 is returned. */
	int (*hours)(void *ctx, int64_t from, int64_t to,
	    int (*each)(void *sink, const struct report_hour *hour),
	    void *sink);
	/** Quote the PCRs over that; NULL: nothing measures. A report goes
	 * without when it fails: usage is told in any case. */
	int (*quote)(void *ctx, struct quote *out, const uint8_t subject[32]);
};

struct report_asked {
	const char *site, *tenant, *vendor;
	struct report_mark previous;
	uint64_t newest; /* batch of the journal: not beyond */
	/** The first batch, where `previous` is not of this journal: that
	 * began the first later generation. */
	uint64_t restart;
	bool restarts;
	struct report_proof proof;
	struct report_measured measured; /* without the quote */
	enum report_people people; /* what the source tells of them */
	const char *software;
	/** Where it ends for its size; 0: REPORT_BODY_GOAL. One batch alone may
	 * be longer, to REPORT_BODY_MAX. */
	size_t body_goal;
};

/**
 * The next report: as much of what follows `previous` as its bounds allow.
 * `body` and `token` are appended to; `next` is where the one after begins.
 * Time is linear in the batches of the range.
 * @retval ERR_NOT_FOUND_INTERNAL  There is no batch behind `previous`.
 * @retval ERR_TOO_LARGE           One batch alone is beyond the bounds.
 */
int report_build(struct buf *token, struct buf *body, struct report *report,
    struct report_mark *next, const struct report_source *source,
    const struct report_asked *asked, const uint8_t site_secret[64]);

/* --- verifying: verify.c ----------------------------------------------------- */

/** An overage that a row shows. */
struct report_overage {
	uint64_t license; /* its number in the site's journal */
	char license_id[64];
	uint8_t digest[32]; /* of the license it was granted under */
	uint64_t serial; /* of that one */
	char feature[64];
	uint64_t lease, device;
	uint32_t generation; /* where it stands */
	uint64_t batch, row;
	int64_t time;
	uint64_t first; /* its numbers: `count` from it on */
	uint32_t count;
	/** It stands for a row of a lost branch: where that one is. */
	uint32_t origin_generation;
	uint64_t origin_row;
	bool again; /* that one was taken: it is not counted again */
};

/** A license of the vendor that a row installs. */
struct report_installed {
	uint64_t license;
	char license_id[64];
	uint64_t serial;
	uint8_t digest[32];
	uint64_t batch, row;
	/** As it was installed; empty when it was shown before. */
	struct record_span issuer, token;
};

/** The journal was put back. */
struct report_rollback {
	struct row_generation row;
	uint64_t batch;
	uint64_t first_row; /* of that batch */
	int64_t time;
};

/** What the receiver knew of the site; the callbacks may be NULL (it knows
 * nothing). */
struct report_known {
	const char *site, *tenant, *vendor;
	/** The last one signs; older ones, whose boxes are retired, signed what
	 * the journal has of them. */
	struct site_keys keys;
	struct report_mark mark;
	void *ctx;
	/** Last overage number of a license that was taken, and the generation
	 * of the batch of its row; 0 and 0: none. Where the next row is of a
	 * later one, its numbers may go on from what the journal was put back
	 * to. */
	int (*overage)(void *ctx, uint64_t *last, uint32_t *generation,
	    uint64_t license);
	/** An edition of a license that was shown before. ERR_NOT_FOUND_INTERNAL:
	 * there is none. */
	int (*installed)(void *ctx, struct report_installed *out,
	    uint64_t license, const uint8_t digest[32]);
	/** Was the overage of that row counted? Of an adopted lease that was,
	 * both are: its own row and the one it stands for, for its device may
	 * present either when the journal is put back again. */
	int (*counted)(void *ctx, bool *yes, uint32_t generation, uint64_t row);
};

struct report_finding {
	enum report_answer answer;
	char reason[192]; /* in words, unless it was taken */
	struct report report; /* as far as it could be read */
	struct report_mark mark; /* taken: the new one; else the old one */
	struct report_overage *overage;
	uint32_t n_overage;
	struct report_installed *installed;
	uint32_t n_installed;
	struct report_rollback *rollbacks;
	uint32_t n_rollbacks;
	const struct report_hour *hours;
	uint32_t n_hours;
	const struct report_device *devices;
	uint32_t n_devices;
	const struct report_name *names;
	uint32_t n_names;
	uint64_t seats; /* overage seats that count: without `again` */
	uint64_t others; /* that the totals count and no row shows */
	bool restarted; /* a later generation, which does not hold the mark */
};

/** Whose report is it? Nothing is verified. ERR_BAD_TOKEN, ERR_TOO_LARGE. */
int report_peek(struct report *report, const char *token, size_t len);

/**
 * Verify one whole. Returns 0 with the answer, taken or refused; else a fault
 * (memory, or what a callback returned). Lists and spans live in the arena and
 * in `body`. At most one signature a shown batch, and a log of hashes for each
 * of them and of the rows.
 */
int report_verify(struct report_finding *out, const struct report_known *known,
    const char *token, size_t token_len, const uint8_t *body, size_t body_len,
    struct arena *arena);

/** Verify a receipt by the vendor's issuing key: for this site, tenant and
 * vendor. ERR_MISMATCH names what is another's. */
int report_receipt_verify(struct report_receipt *out, const char *token,
    size_t len, const uint8_t issuer_key[32], const char *site,
    const char *tenant, const char *vendor, struct record_error *error);

/** What the quote of a report is over: SHA-256 of all that the report says but
 * the quote, its body's digest included. So it is good with no other one. */
int report_subject(uint8_t out[32], const struct report *report);

/** BLAKE2b keyed with the tenant key over vendor and device, 16 bytes. */
void report_pseudonym(uint8_t out[16], const uint8_t tenant_key[32],
    const char *vendor, uint64_t device);

#endif
