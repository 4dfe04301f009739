#include "appliance/hub/measured.h"

#include "appliance/hub/decide.h"
#include "appliance/ledger/borrow.h"
#include "shared/base/err.h"
#include "shared/base/text.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct record_field hub_image_state_fields[] = {
	R_STRUCT(hub_image_state, row, &row_image_added_record, 0, "As added."),
	R_TIME(hub_image_state, at, 0, "When."),
	R_BOOL(hub_image_state, removed, 0, "It counts no more."),
};
RECORD_DEFINE(hub_image_state, 1, "A released image.");

static const struct record_field hub_measured_fields[] = {
	R_STRUCT(hub_measured, row, &row_site_measured_record, 0, "The last."),
	R_TIME(hub_measured, at, 0, "Since then."),
};
RECORD_DEFINE(hub_measured, 1, "How a site's machine was started.");

/* --- state ------------------------------------------------------------------ */

int
hub_measured(struct hub_measured *out, const struct state *state, uint64_t site)
{
	struct arena none = { .chunks = NULL };
	int err = hub_get(out, state, STORE_HUB_MEASURED, site, 0,
	    &hub_measured_record, &none);

	if (err != ERR_NOT_FOUND_INTERNAL)
		return err;
	*out = (struct hub_measured){ .at = 0 };
	return 0;
}

int
hub_image(struct hub_image_state *out, const struct state *state,
    uint64_t image, struct arena *arena)
{
	return hub_get(out, state, STORE_HUB_IMAGES, image, 0,
	    &hub_image_state_record, arena);
}

static int
fold_added(struct state *state, const struct row *row,
    const struct fold_place *place)
{
	const struct hub_image_state image = { .row = row->u.image_added,
		.at = place->time };
	uint64_t last;
	int err = hub_last(&last, state, STORE_HUB_IMAGES);

	if (err == 0 && image.row.image != last + 1)
		return fold_contradicted(row, "image numbers have a gap");
	return err == 0 ? hub_put(state, STORE_HUB_IMAGES, last + 1, 0,
			      &hub_image_state_record, &image)
			: err;
}

static int
fold_removed(struct state *state, const struct row *row)
{
	const uint64_t number = row->u.image_removed.image;
	struct arena arena = { .chunks = NULL };
	struct hub_image_state image;
	int err = hub_image(&image, state, number, &arena);

	if (err == ERR_NOT_FOUND_INTERNAL || (err == 0 && image.removed))
		err = fold_contradicted(row, "there is no such image");
	if (err == 0) {
		image.removed = true;
		err = hub_put(state, STORE_HUB_IMAGES, number, 0,
		    &hub_image_state_record, &image);
	}
	arena_release(&arena);
	return err;
}

int
fold_hub_measured(struct state *state, const struct row *row,
    const struct fold_place *place)
{
	switch ((int)row->kind) {
	case ROW_IMAGE_ADDED:
		return fold_added(state, row, place);
	case ROW_IMAGE_REMOVED:
		return fold_removed(state, row);
	case ROW_SITE_MEASURED: {
		const struct hub_measured measured = {
			.row = row->u.site_measured,
			.at = place->time,
		};

		return hub_put(state, STORE_HUB_MEASURED, measured.row.site, 0,
		    &hub_measured_record, &measured);
	}
	}
	return ERR_UNKNOWN_ROW;
}

/* --- the verdict ------------------------------------------------------------ */

static void __attribute__((format(printf, 3, 4)))
judge(struct row_site_measured *r, enum hub_boot boot, const char *words, ...)
{
	va_list args;

	r->boot = boot;
	va_start(args, words);
	vsnprintf(r->reason, sizeof r->reason, words, args);
	va_end(args);
}

/* The first PCR that has none of the image's values; -1: it is that image. */
static int
differs_in(const struct row_image_added *image, const struct quote *quote)
{
	const struct row_image_pcr *pcrs = image->pcrs.items;
	bool named[QUOTE_PCRS] = { false }, fits[QUOTE_PCRS] = { false };

	for (uint32_t i = 0; i < image->pcrs.count; i++) {
		int place = quote_place(pcrs[i].pcr);

		if (place < 0)
			return (int)pcrs[i].pcr;
		const uint8_t *value =
		    quote->pcrs + (size_t)place * QUOTE_PCR_BYTES;

		named[place] = true;
		if (memcmp(value, pcrs[i].value, QUOTE_PCR_BYTES) == 0)
			fits[place] = true;
	}
	for (uint32_t i = 0; i < QUOTE_PCRS; i++)
		if (named[i] && !fits[i])
			return (int)quote_pcr(i);
	return -1;
}

/* Against all images; the newest that fits counts. */
static int
compare(struct row_site_measured *r, const struct state *state,
    const struct report_measured *said, bool was_one)
{
	struct arena arena = { .chunks = NULL };
	struct hub_image_state image;
	uint64_t last, claimed = 0;
	int err = hub_last(&last, state, STORE_HUB_IMAGES), differs = -1;

	for (uint64_t n = last; n > 0 && err == 0; n--) {
		arena_clear(&arena);
		err = hub_image(&image, state, n, &arena);
		if (err != 0 || image.removed)
			continue;
		int pcr = differs_in(&image.row, &said->quote);

		if (pcr < 0) {
			r->image = n;
			judge(r, HUB_BOOT_GENUINE, "%s", "");
			break;
		}
		if (claimed == 0 &&
		    strcmp(image.row.version, said->image) == 0) {
			claimed = n;
			differs = pcr;
		}
	}
	arena_release(&arena);
	if (err != 0 || r->boot == HUB_BOOT_GENUINE)
		return err;
	r->image = claimed;
	if (claimed != 0)
		judge(r, HUB_BOOT_ALTERED,
		    "it says to run %s, and PCR %d is another", said->image,
		    differs);
	else if (was_one && said->image[0] == '\0')
		judge(r, HUB_BOOT_ALTERED,
		    "it was genuine, and its PCRs are of no released image");
	else
		judge(r, HUB_BOOT_UNKNOWN, "no released image has its PCRs");
	return 0;
}

static int
judge_site(struct row_site_measured *r, const struct state *state,
    const struct hub_site *site, const struct report *report, bool was_one)
{
	const uint8_t *key = site->row.request.attestation;
	const size_t key_len = sizeof site->row.request.attestation;
	const struct report_measured *said = &report->measured;
	uint8_t subject[32];

	memcpy(r->log_digest, said->log_digest, sizeof r->log_digest);
	if (sodium_is_zero(said->quote.signature,
		sizeof said->quote.signature)) {
		judge(r, HUB_BOOT_UNKNOWN, "unmeasured: no TPM said anything");
		return 0;
	}
	if (sodium_is_zero(key, key_len)) {
		judge(r, HUB_BOOT_UNKNOWN,
		    "its request named no key of a TPM: nothing to check by");
		return 0;
	}
	int err = report_subject(subject, report);

	if (err != 0)
		return err;
	if (quote_verify(&said->quote, subject, key, key_len) != 0) {
		judge(r, HUB_BOOT_ALTERED,
		    "the quote is not one of its TPM over this report");
		return 0;
	}
	crypto_hash_sha256(r->pcrs, said->quote.pcrs, sizeof said->quote.pcrs);
	return compare(r, state, said, was_one);
}

static bool
is_news(const struct row_site_measured *now,
    const struct row_site_measured *before)
{
	return now->boot != before->boot || now->image != before->image ||
	    strcmp(now->reason, before->reason) != 0 ||
	    memcmp(now->pcrs, before->pcrs, sizeof now->pcrs) != 0 ||
	    memcmp(now->log_digest, before->log_digest,
		sizeof now->log_digest) != 0;
}

int
hub_measure(struct batch *batch, const struct hub_site *site,
    const struct report *report)
{
	struct row_site_measured found = { .site = site->row.number,
		.sequence = report->sequence };
	struct hub_measured before;
	int err = hub_measured(&before, &batch->state, site->row.number);

	if (err == 0)
		err = judge_site(&found, &batch->state, site, report,
		    before.row.boot == HUB_BOOT_GENUINE ||
			before.row.boot == HUB_BOOT_ALTERED);
	if (err != 0 || !is_news(&found, &before.row))
		return err;
	struct row *row = batch_row(batch, ROW_SITE_MEASURED);

	if (row == NULL)
		return ERR_NOMEM;
	row->u.site_measured = found;
	return batch_emit(batch);
}

/* --- what is told ------------------------------------------------------------- */

int
hub_view_measured(struct hub_site_view *out, const struct state *state,
    uint64_t site)
{
	struct arena arena = { .chunks = NULL };
	struct hub_image_state image;
	struct hub_measured measured;
	int err = hub_measured(&measured, state, site);

	if (err != 0)
		return err;
	out->boot = measured.row.boot;
	out->boot_since = measured.at;
	text_copy(out->boot_reason, sizeof out->boot_reason,
	    measured.row.reason);
	if (measured.row.image == 0)
		return 0;
	err = hub_image(&image, state, measured.row.image, &arena);
	if (err == 0)
		text_copy(out->image, sizeof out->image, image.row.version);
	arena_release(&arena);
	return err == ERR_NOT_FOUND_INTERNAL ? ERR_CORRUPT : err;
}
