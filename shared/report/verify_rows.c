/* The batches and rows that a report shows: each is signed, in its place, and
 * continues the numbers that were billed before. See verify.h. */
#include "shared/report/verify.h"

#include "shared/base/err.h"
#include "shared/base/text.h"

#include <inttypes.h>
#include <sodium.h>
#include <string.h>

/** Licenses that one report shows overage of. */
#define LICENSES_MAX 1024

static int
check_header(struct verifying *v, struct journal_header *header,
    const struct report_batch *batch, const struct journal_header *before)
{
	uint8_t head[32], leaf[32];
	int err = journal_header_verify(header, head, batch->header.data,
	    batch->header.len,
	    site_keys_of(&v->known->keys, (const char *)batch->header.data,
		batch->header.len));

	if (err == ERR_NOMEM)
		return err;
	if (err != 0)
		return report_refuse(v->out,
		    err == ERR_UNTRUSTED ? REPORT_FORGED : REPORT_ALTERED,
		    "a batch that it shows is not signed by the site");
	if (header->batch < v->report->first_batch ||
	    header->batch > v->report->last_batch ||
	    (before != NULL && header->batch <= before->batch) ||
	    header->generation > v->last.generation ||
	    (before != NULL && header->generation < before->generation) ||
	    strcmp(header->site, v->last.site) != 0 ||
	    strcmp(header->tenant, v->last.tenant) != 0)
		return report_refuse(v->out, REPORT_MALFORMED,
		    "batch %" PRIu64 " has no place in it", header->batch);
	if (header->batch == v->last.batch)
		return memcmp(head, v->last_head, 32) == 0 &&
			batch->inclusion.len == 0
		    ? 0
		    : report_refuse(v->out, REPORT_MALFORMED,
			  "its last batch is there twice");
	journal_head_leaf(leaf, head);
	if (batch->inclusion.len % MERKLE_BYTES != 0 ||
	    merkle_verify_path(&merkle_blake2b, v->last.history, leaf,
		header->batch, v->last.batch, batch->inclusion.data,
		batch->inclusion.len / MERKLE_BYTES) != 0)
		return report_refuse(v->out, REPORT_FORK,
		    "batch %" PRIu64 " is not of the journal that it ends with",
		    header->batch);
	return 0;
}

static int
find_counting(struct counting **out, struct verifying *v, uint64_t license)
{
	for (uint32_t i = 0; i < v->n_licenses; i++)
		if (v->licenses[i].license == license) {
			*out = &v->licenses[i];
			return 0;
		}
	if (v->n_licenses == LICENSES_MAX)
		return report_refuse(v->out, REPORT_MALFORMED,
		    "it shows more than %d licenses", LICENSES_MAX);
	struct counting *new = &v->licenses[v->n_licenses++];

	*out = new;
	new->license = license;
	return v->known->overage == NULL
	    ? 0
	    : v->known->overage(v->known->ctx, &new->last, &new->generation,
		  license);
}

/* Numbers go on where they ended. In a journal that was put back they may go on
 * from what it was put back to. */
static int
check_numbers(struct verifying *v, const struct report_overage *shown)
{
	struct counting *license = NULL;
	int err = find_counting(&license, v, shown->license);

	if (err != 0)
		return err;
	bool follows = shown->first == license->last + 1 ||
	    (shown->generation > license->generation &&
		shown->first <= license->last + 1);

	if (!follows)
		return report_refuse(v->out, REPORT_HOLE,
		    "row %" PRIu64 ": overage checkout %" PRIu64
		    " of license %.63s follows number %" PRIu64,
		    shown->row, shown->first, shown->license_id, license->last);
	license->last = shown->first + shown->count - 1;
	license->generation = shown->generation;
	return 0;
}

/* The edition that the row was granted under: shown here, or before. */
static int
find_installed(struct report_installed *out, struct verifying *v,
    uint64_t license, const uint8_t digest[32])
{
	const struct report_installed *shown =
	    report_editions_find(&v->editions, license, digest);

	if (shown != NULL) {
		*out = *shown;
		return 0;
	}
	return v->known->installed == NULL
	    ? ERR_NOT_FOUND_INTERNAL
	    : v->known->installed(v->known->ctx, out, license, digest);
}

static int
see_overage(struct verifying *v, const struct journal_header *header,
    const struct report_row *row, const struct report_seats *seats,
    uint64_t number)
{
	struct report_overage *shown = &v->out->overage[v->out->n_overage];
	const uint8_t *digest = seats->digest;
	struct report_installed installed;

	if (sodium_is_zero(digest, 32))
		digest = row->digest;
	*shown = (struct report_overage){
		.license = seats->license,
		.lease = seats->lease,
		.device = seats->device,
		.generation = header->generation,
		.batch = header->batch,
		.row = number,
		.time = header->time,
		.first = seats->first,
		.count = seats->count,
	};
	memcpy(shown->digest, digest, sizeof shown->digest);
	text_copy(shown->feature, sizeof shown->feature,
	    digest == row->digest ? row->feature : seats->feature);
	int err = find_installed(&installed, v, seats->license, digest);

	if (err == ERR_NOT_FOUND_INTERNAL)
		return report_refuse(v->out, REPORT_HOLE,
		    "row %" PRIu64 " was granted under a license that was "
		    "never shown",
		    number);
	if (err != 0)
		return err;
	shown->serial = installed.serial;
	text_copy(shown->license_id, sizeof shown->license_id,
	    installed.license_id);
	if (seats->origin != NULL) {
		shown->origin_generation = seats->origin->generation;
		shown->origin_row = seats->origin->row_number;
		if (v->known->counted != NULL)
			err = v->known->counted(v->known->ctx, &shown->again,
			    shown->origin_generation, shown->origin_row);
	}
	if (err == 0)
		err = check_numbers(v, shown);
	if (err != 0)
		return err;
	v->out->n_overage++;
	v->shown += shown->count;
	v->out->seats += shown->again ? 0 : shown->count;
	return 0;
}

static int
see_installed(struct verifying *v, const struct journal_header *header,
    const struct row *row)
{
	const struct row_license_installed *r = &row->u.license_installed;

	if (strcmp(r->document.vendor.id, v->report->vendor) != 0)
		return report_refuse(v->out, REPORT_MALFORMED,
		    "it shows a license of vendor %s", r->document.vendor.id);
	struct report_installed *shown =
	    &v->out->installed[v->out->n_installed++];

	shown->license = r->license;
	shown->serial = r->document.serial;
	shown->batch = header->batch;
	shown->row = row->number;
	shown->issuer = r->issuer_token;
	shown->token = r->license_token;
	memcpy(shown->digest, r->digest, sizeof shown->digest);
	text_copy(shown->license_id, sizeof shown->license_id,
	    r->document.license_id);
	report_editions_add(&v->editions, v->out->n_installed - 1);
	return 0;
}

static int
see_row(struct verifying *v, const struct journal_header *header,
    const struct report_row *shown)
{
	const uint64_t number = header->first_row + shown->index;
	struct report_seats seats;
	struct row row;

	if (shown->path.len % MERKLE_BYTES != 0 ||
	    journal_row_verify(header, number, shown->bytes.data,
		shown->bytes.len, shown->path.data,
		shown->path.len / MERKLE_BYTES) != 0)
		return report_refuse(v->out, REPORT_ALTERED,
		    "row %" PRIu64 " is not in the batch that it is shown in",
		    number);
	v->n_rows++;
	if (!report_may_show(shown->bytes.data, shown->bytes.len))
		return report_refuse(v->out, REPORT_MALFORMED,
		    "row %" PRIu64 " is of a kind that reports do not show",
		    number);
	int err = row_read(&row, number, shown->bytes.data, shown->bytes.len,
	    v->arena);

	if (err == 0)
		err = report_seats_of(&seats, &row, v->arena);
	if (err == ERR_NOMEM)
		return err;
	if (err != 0)
		return report_refuse(v->out, REPORT_MALFORMED,
		    "row %" PRIu64 " cannot be read", number);
	if (row.kind == ROW_LICENSE_INSTALLED)
		return see_installed(v, header, &row);
	if (row.kind == ROW_CLOCK) {
		v->corrected = true;
		return 0;
	}
	if (row.kind == ROW_GENERATION) {
		v->out->rollbacks[v->out->n_rollbacks++] =
		    (struct report_rollback){ row.u.generation, header->batch,
			    header->first_row, header->time };
		return 0;
	}
	return seats.count == 0
	    ? report_refuse(v->out, REPORT_MALFORMED,
		  "row %" PRIu64 " has nothing that counts", number)
	    : see_overage(v, header, shown, &seats, number);
}

static int
see_batch(struct verifying *v, struct journal_header *header,
    const struct report_batch *batch, const struct journal_header *before)
{
	const struct report_row *rows = batch->rows.items;
	int err = check_header(v, header, batch, before);

	for (uint32_t i = 0; i < batch->rows.count && err == 0; i++) {
		if (i > 0 && rows[i].index <= rows[i - 1].index)
			return report_refuse(v->out, REPORT_MALFORMED,
			    "batch %" PRIu64 " shows a row twice",
			    header->batch);
		err = see_row(v, header, &rows[i]);
	}
	return err;
}

static int
make_lists(struct verifying *v)
{
	const struct report_batch *batches = v->body.batches.items;
	uint64_t rows = 1; /* no list is empty memory */

	for (uint32_t i = 0; i < v->body.batches.count; i++)
		rows += batches[i].rows.count;
	if (rows > REPORT_ROWS_MAX + 1)
		return report_refuse(v->out, REPORT_MALFORMED,
		    "it shows more than %d rows", REPORT_ROWS_MAX);
	v->out->overage = arena_alloc(v->arena, rows * sizeof *v->out->overage);
	v->out->installed =
	    arena_alloc(v->arena, rows * sizeof *v->out->installed);
	v->out->rollbacks =
	    arena_alloc(v->arena, rows * sizeof *v->out->rollbacks);
	v->licenses = arena_alloc(v->arena, LICENSES_MAX * sizeof *v->licenses);
	return v->out->overage == NULL || v->out->installed == NULL ||
		v->out->rollbacks == NULL || v->licenses == NULL
	    ? ERR_NOMEM
	    : report_editions_begin(&v->editions, v->out->installed,
		  (uint32_t)rows, v->report->body_digest, v->arena);
}

int
report_verify_batches(struct verifying *v)
{
	const struct report_batch *batches = v->body.batches.items;
	struct journal_header headers[2];
	const struct journal_header *before = NULL;
	int err = make_lists(v);

	for (uint32_t i = 0; i < v->body.batches.count && err == 0; i++) {
		struct journal_header *header = &headers[i % 2];

		err = see_batch(v, header, &batches[i], before);
		before = header;
		if (err != 0 || i > 0 || !v->out->restarted)
			continue;
		if (v->out->n_rollbacks == 0 ||
		    header->batch != v->report->first_batch ||
		    header->generation <= v->known->mark.generation)
			return report_refuse(v->out, REPORT_FORK,
			    "its journal is another one, and no row of it says "
			    "that it was put back");
	}
	return err;
}
