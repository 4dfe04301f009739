/*
 * Facts of a hub about released images of the appliance, and about how the
 * machines of sites were started. Tables in rows_measured.c; rows.h includes
 * this, nobody else does.
 */
#ifndef SHARED_JOURNAL_ROWS_MEASURED_H
#define SHARED_JOURNAL_ROWS_MEASURED_H

struct row_image_pcr {
	uint32_t pcr;
	uint8_t value[32];
};

/** Machines that were started from it are genuine from here on. */
struct row_image_added {
	uint64_t image; /* per-account number, from 1 */
	char version[64];
	char build_id[64];
	struct record_list pcrs; /* row_image_pcr */
	struct row_actor by;
};

/** They are not any more. */
struct row_image_removed {
	uint64_t image;
	struct row_actor by;
};

/** What a report says of its machine's start is another than before. */
struct row_site_measured {
	uint64_t site; /* number of the site here */
	uint64_t sequence; /* of the report */
	uint32_t boot; /* enum hub_boot: messages_measured.h */
	uint64_t image; /* that it is, or says to be; 0: none */
	uint8_t pcrs[32]; /* SHA-256 of what was quoted; zero: nothing */
	uint8_t log_digest[32]; /* of its event log, as it says; zero: none */
	char reason[128]; /* "": it is genuine */
};

extern const struct record row_image_pcr_record, row_image_added_record,
    row_image_removed_record, row_site_measured_record;

#endif
