/*
 * Which images of the appliance were released, and whether a site's machine was
 * started from one (DESIGN 13; shared/proof/quote.h). What a site says of itself
 * counts for nothing here but its word to run a version: the verdict rests on
 * the quote in its report, which must hold over that very report, by the
 * attestation key that the site's activation request named. That this key lives
 * in a TPM the request alone says: it was made when nobody had a reason to lie,
 * and is not replaced by a later request.
 *
 *   genuine  every PCR that a released image names has one of its values
 *   altered  the quote does not hold; or the machine says to run a released
 *            image, or was genuine and names none, and its PCRs are others
 *   unknown  all else: no key, no quote, no such image
 */
#ifndef APPLIANCE_HUB_MEASURED_H
#define APPLIANCE_HUB_MEASURED_H

#include "appliance/hub/hub.h"
#include "shared/report/report.h"

struct hub_image_state {
	struct row_image_added row;
	int64_t at;
	bool removed;
};
struct hub_measured {
	struct row_site_measured row;
	int64_t at;
};
extern const struct record hub_image_state_record, hub_measured_record;

/** Where none was said: boot is HUB_BOOT_NONE. */
int hub_measured(struct hub_measured *out, const struct state *state,
    uint64_t site);
/** ERR_NOT_FOUND_INTERNAL: there is no such number. */
int hub_image(struct hub_image_state *out, const struct state *state,
    uint64_t image, struct arena *arena);

/** A report was taken: journal what it says of the start, if that is news. */
int hub_measure(struct batch *batch, const struct hub_site *site,
    const struct report *report);

int fold_hub_measured(struct state *state, const struct row *row,
    const struct fold_place *place);

/** Of a site, for hub_view_site(). */
int hub_view_measured(struct hub_site_view *out, const struct state *state,
    uint64_t site);

int decide_hub_image_add(struct batch *batch, struct command *command);
int decide_hub_image_remove(struct batch *batch, struct command *command);

#endif
