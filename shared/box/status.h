/*
 * What the ledger tells whoever stands before the box: one record, written as
 * JSON beside the requests to root's units every few seconds, and shown by the
 * console. Anybody on the box may read it, so it holds no secret and names no
 * person, host or address. This part must not know who writes it nor how it is
 * shown.
 */
#ifndef SHARED_BOX_STATUS_H
#define SHARED_BOX_STATUS_H

#include "shared/record/record.h"

/** In [appliance] state_dir. */
#define BOX_STATUS_FILE "status.json"
#define BOX_STATUS_BYTES_MAX 32768
#define BOX_LICENSES_MAX 64
#define BOX_WARNINGS_MAX 32

enum box_state {
	BOX_STARTING,
	BOX_READY, /* it grants */
	BOX_REFUSING, /* it runs and grants nothing; `reason` says why */
	BOX_STOPPING,
};
extern const char *const box_state_names[];

/** One license of one tenant; tenants are not named. */
struct box_license {
	char license_id[64];
	char product[64];
	uint32_t used, seats; /* of those that are paid for */
	uint32_t overage_used, overage_seats;
	char state[16]; /* "active", as license_view says */
};

struct box_warning {
	char text[160];
};

struct box_status {
	int64_t time; /* the site's */
	uint64_t boottime_ms; /* when it was written: CLOCK_BOOTTIME */
	uint32_t state; /* enum box_state */
	char reason[192];
	char site[64];
	char name[128];
	char software[32];
	uint32_t port;
	uint8_t ca_sha256[32];
	uint32_t tenants; /* that are open */
	uint64_t licenses;
	struct record_list items; /* box_license; the first of them */
	uint64_t leases;
	uint64_t devices;
	uint64_t connected;
	uint64_t waiting;
	int64_t receipt_at; /* the oldest of the vendors' last ones; 0: none */
	uint64_t unreported; /* batches that wait for a report */
	int64_t stops_at; /* without a receipt; 0: never */
	uint64_t alerts; /* open */
	struct record_list warnings; /* box_warning */
};

extern const struct record box_license_record, box_warning_record,
    box_status_record;

#endif
