/*
 * Released images of the appliance, as a hub knows them, and how the machines of
 * its customers' sites were started. The document that `make image` writes
 * (image-measurements.json, firmware/README.md) is a struct hub_image.
 */
#ifndef SHARED_RPC_MESSAGES_MEASURED_H
#define SHARED_RPC_MESSAGES_MEASURED_H

#include "shared/record/record.h"

#define HUB_IMAGE_PCRS_MAX 64

/** What the start of a site's machine was, by its last report. */
enum hub_boot {
	HUB_BOOT_NONE, /* no report came yet */
	HUB_BOOT_UNKNOWN, /* nothing measures there, or no image is like it */
	HUB_BOOT_GENUINE, /* the quote holds; its PCRs are a released image's */
	HUB_BOOT_ALTERED, /* it says to be one, or was one, and is not */
};
extern const char *const hub_boot_names[];

/** One value that a PCR may have; others of the same PCR are as good. */
struct hub_image_pcr {
	uint32_t pcr; /* one that is quoted: shared/proof/quote.h */
	char sha256[65]; /* lower-case hex */
};
struct hub_image {
	char version[64];
	char build_id[64];
	struct record_list pcrs; /* hub_image_pcr; PCRs that differ from box to
				    box are left out */
	int64_t added_at; /* of a hub's answer */
};
struct hub_image_ref {
	char version[64];
};
struct hub_image_query {
	uint64_t after;
	uint32_t limit;
};
struct hub_image_page {
	struct record_list items; /* hub_image */
	uint64_t next;
};

extern const struct record hub_image_pcr_record, hub_image_record,
    hub_image_ref_record, hub_image_query_record, hub_image_page_record;

#endif
