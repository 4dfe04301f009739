#include "agent/lib/verify_parts.h"

#include "agent/lib/leasehold.h"
#include "shared/base/err.h"
#include "shared/base/version.h"

#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int
verify_say(char why[static VERIFY_WHY], int error, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(why, VERIFY_WHY, format, args);
	va_end(args);
	return error;
}

/* What a broken link of the chain of signatures is called. */
static int
chain_error(int err)
{
	switch (err) {
	case ERR_NOMEM:
		return LH_E_MEMORY;
	case ERR_BAD_REQUEST:
	case ERR_CORRUPT:
	case ERR_UNKNOWN_ROW:
		return LH_E_PROTOCOL;
	default:
		return LH_E_BAD_SIGNATURE;
	}
}

static bool
is_path(const struct record_span *span)
{
	return span->len % MERKLE_BYTES == 0 &&
	    span->len / MERKLE_BYTES <= MERKLE_PATH_MAX;
}

int
verify_chain(struct verify_lease *lease, struct license *license,
    const struct local_checkout_reply *reply, const uint8_t root[32],
    struct arena *arena, char why[static VERIFY_WHY])
{
	struct license_issuer issuer;
	struct record_error error = { .field = "" };
	int err = license_verify(license, &issuer, reply->issuer.data,
	    reply->issuer.len, reply->license.data, reply->license.len, root,
	    arena, &error);

	if (err != 0)
		return verify_say(why, chain_error(err),
		    "the license does not come from the vendor: %s: %s",
		    err_str(err), error.reason);
	err = journal_header_verify(&lease->header, lease->head,
	    reply->header.data, reply->header.len, license->site_key);
	if (err != 0)
		return verify_say(why, chain_error(err),
		    "the site's journal is not signed with the key that the "
		    "license names: %s",
		    err_str(err));
	if (license_check_for(license, lease->header.site, lease->header.tenant,
		license->site_key, &error) != 0)
		return verify_say(why, LH_E_MISMATCH,
		    "the license is for another site: %s %s", error.field,
		    error.reason);
	memcpy(lease->site_key, license->site_key, sizeof(lease->site_key));
	return LH_OK;
}

int
verify_row(struct row *row, const struct verify_lease *lease,
    const struct local_checkout_reply *reply, struct arena *arena,
    char why[static VERIFY_WHY])
{
	if (!is_path(&reply->path) ||
	    journal_row_verify(&lease->header, reply->row_number,
		reply->row.data, reply->row.len, reply->path.data,
		reply->path.len / MERKLE_BYTES) != 0)
		return verify_say(why, LH_E_NOT_IN_JOURNAL,
		    "row %llu does not stand in batch %llu of the site's "
		    "journal",
		    (unsigned long long)reply->row_number,
		    (unsigned long long)lease->header.batch);
	int err = row_read(row, reply->row_number, reply->row.data,
	    reply->row.len, arena);

	if (err != 0)
		return verify_say(why, chain_error(err),
		    "row %llu of the site's journal cannot be read: %s",
		    (unsigned long long)reply->row_number, err_str(err));
	return LH_OK;
}

/* row -> question. */
static int
verify_answer(const struct row_lease_granted *row,
    const struct local_checkout_reply *reply,
    const struct verify_question *question, char why[static VERIFY_WHY])
{
	const char *other = NULL;

	if (sodium_memcmp(row->nonce, question->nonce, NONCE_BYTES) != 0)
		other = "nonce";
	else if (strcmp(row->product, question->product) != 0)
		other = "product";
	else if (strcmp(row->version, question->version) != 0)
		other = "version";
	else if (strcmp(row->feature, question->feature) != 0)
		other = "feature";
	else if (row->count != question->count)
		other = "number of seats";
	else if (row->lease != reply->lease)
		other = "lease";
	else if (row->device != reply->device)
		other = "device";
	if (other != NULL)
		return verify_say(why, LH_E_MISMATCH,
		    "the lease is a true one, but for another %s", other);
	return LH_OK;
}

int
verify_seats(const struct row_lease_granted *row, const struct license *license,
    int64_t time_ms, char why[static VERIFY_WHY])
{
	const struct row_slots *slots = row->slots.items;
	struct license_seats seats;

	if (!license_seats(&seats, license, row->feature))
		return verify_say(why, LH_E_MISMATCH,
		    "the license for %s has no feature %s", license->product.id,
		    row->feature);
	if (!row_slots_are_sound(row))
		return verify_say(why, LH_E_MISMATCH,
		    "the slots of the lease are not those of %u seats",
		    row->count);
	/* Beyond its seats or dates some licenses grant overage. */
	license_seats_at(&seats, license, &seats, time_ms);
	uint32_t commit =
	    row_slots_below(slots, row->slots.count, seats.commit);

	if (row->overage_count != row->count - commit)
		return verify_say(why, LH_E_MISMATCH,
		    "%u of %u seats are called overage, and %u are",
		    row->overage_count, row->count, row->count - commit);
	if (row_slots_below(slots, row->slots.count, seats.total) != row->count)
		return verify_say(why, LH_E_MISMATCH,
		    "a slot is beyond the %u seats of the license",
		    seats.total);
	return LH_OK;
}

int
verify_terms(const struct row_lease_granted *row, const struct license *license,
    const struct local_checkout_reply *reply, char why[static VERIFY_WHY])
{
	uint8_t digest[DIGEST_BYTES];

	license_digest(digest, reply->license.data, reply->license.len);
	if (memcmp(digest, row->license_digest, sizeof(digest)) != 0)
		return verify_say(why, LH_E_MISMATCH,
		    "the lease was granted under another license");
	if (strcmp(license->product.id, row->product) != 0)
		return verify_say(why, LH_E_MISMATCH,
		    "the license is for %s, not for %s", license->product.id,
		    row->product);
	if (!version_in_range(row->version, license->product.version))
		return verify_say(why, LH_E_VERSION,
		    "the license covers %s %s, not %s", license->product.id,
		    license->product.version, row->version);
	return LH_OK;
}

static int
verify_span(const struct row_lease_granted *row, const struct license *license,
    char why[static VERIFY_WHY])
{
	if (row->ttl_s == 0 || row->ttl_s > license->terms.ttl_s ||
	    row->grace_s > license->terms.grace_s)
		return verify_say(why, LH_E_MISMATCH,
		    "the lease runs for longer than the license allows");
	return LH_OK;
}

int
verify_contract(const struct license *license, int64_t time_ms,
    char why[static VERIFY_WHY])
{
	struct record_error error = { .field = "" };

	if (license_check_grants(license, time_ms, &error) == 0)
		return LH_OK;
	return verify_say(why, LH_E_EXPIRED,
	    "the license %s is not running: %s", license->license_id,
	    error.reason);
}

void
verify_fill(struct verify_lease *lease, const struct row_lease_granted *grant,
    const struct license *license)
{
	lease->lease = grant->lease;
	lease->type = grant->type;
	lease->slot = row_slot_first(grant);
	lease->ttl_s = grant->ttl_s;
	lease->grace_s = grant->grace_s;
	memcpy(lease->license_id, license->license_id,
	    sizeof(lease->license_id));
	lease->contract = license->contract;
	lease->enforce = license->terms.enforce;
	lease->grace_days = license->terms.grace_days;
}

int
verify_grant(struct verify_lease *lease,
    const struct local_checkout_reply *reply,
    const struct verify_question *question, char why[static VERIFY_WHY])
{
	struct arena arena = { .max_bytes = VERIFY_ARENA_BYTES };
	struct license license;
	struct row row;
	const struct row_lease_granted *grant = &row.u.lease_granted;

	why[0] = '\0';
	/* What no check filled in must match nothing. */
	memset(&license, 0, sizeof(license));
	memset(&row, 0, sizeof(row));
	int error =
	    verify_chain(lease, &license, reply, question->root, &arena, why);

	if (error == LH_OK)
		error = verify_row(&row, lease, reply, &arena, why);
	if (error == LH_OK && row.kind != ROW_LEASE_GRANTED)
		error = verify_say(why, LH_E_MISMATCH,
		    "row %llu of the site's journal grants no lease",
		    (unsigned long long)reply->row_number);
	if (error == LH_OK)
		error = verify_answer(grant, reply, question, why);
	if (error == LH_OK)
		error = verify_terms(grant, &license, reply, why);
	if (error == LH_OK)
		error = verify_span(grant, &license, why);
	if (error == LH_OK)
		error = verify_contract(&license, lease->header.time, why);
	if (error == LH_OK)
		error = verify_seats(grant, &license, lease->header.time, why);
	if (error == LH_OK) {
		verify_fill(lease, grant, &license);
		lease->count = grant->count;
	}
	arena_release(&arena);
	return error;
}

void
verify_keep(struct journal_known *known, const struct verify_lease *lease)
{
	known->batch = lease->header.batch;
	known->generation = lease->header.generation;
	memcpy(known->head, lease->head, sizeof(known->head));
	memcpy(known->history, lease->header.history, sizeof(known->history));
}

bool
verify_knows(const struct journal_known *known)
{
	return known->batch != 0 ||
	    !sodium_is_zero(known->head, sizeof(known->head));
}

int
verify_continues(const struct verify_lease *lease,
    const struct local_checkout_reply *reply, const struct journal_known *known,
    char why[static VERIFY_WHY])
{
	if (!verify_knows(known))
		return LH_OK;
	if (is_path(&reply->inclusion) && is_path(&reply->consistency) &&
	    journal_continues(known, &lease->header, lease->head,
		reply->inclusion.data, reply->inclusion.len / MERKLE_BYTES,
		reply->consistency.data,
		reply->consistency.len / MERKLE_BYTES) == 0)
		return LH_OK;
	return verify_say(why, LH_E_FORK,
	    "the journal of site %s does not continue what was seen of it: "
	    "batch %llu was there, now it shows batch %llu of another past; "
	    "its store was put back to an earlier copy, or it keeps two",
	    lease->header.site, (unsigned long long)known->batch,
	    (unsigned long long)lease->header.batch);
}

/* Is the beat older than that batch, or another past's? A later generation is
 * ahead of all that an earlier one had: that past was abandoned. */
static bool
is_behind(const struct journal_beat *beat, uint32_t generation, uint64_t batch,
    const uint8_t head[32])
{
	if (beat->generation > generation)
		return false;
	return beat->batch < batch ||
	    (beat->batch == batch && memcmp(beat->head, head, 32) != 0);
}

int
verify_beat_token(struct journal_beat *beat, const struct verify_lease *lease,
    const struct local_renew_reply *reply, const struct journal_known *known,
    char why[static VERIFY_WHY])
{
	struct arena arena = { .max_bytes = VERIFY_ARENA_BYTES };
	struct record_error error = { .field = "" };
	const struct record_span *token = &reply->beat;
	struct site_keys keys = site_keys_one(lease->site_key);
	int err = 0;

	/* The box was lost: the key that the license names says who goes on. A
	 * new seat needs a license for the new key. */
	if (reply->succession.count > 0)
		err = succession_keys(&keys, lease->header.site,
		    lease->site_key, &reply->succession);
	if (err == 0)
		err = license_document_read(beat, &journal_beat_record,
		    TOKEN_BEAT, token->data, token->len, site_keys_last(&keys),
		    &arena, &error);

	arena_release(&arena);
	if (err != 0)
		return verify_say(why, chain_error(err),
		    "the beat is not signed by the site: %s", err_str(err));
	if (strcmp(beat->site, lease->header.site) != 0 ||
	    strcmp(beat->tenant, lease->header.tenant) != 0)
		return verify_say(why, LH_E_MISMATCH,
		    "the beat is of another site or tenant");
	if (beat->generation < lease->header.generation)
		return verify_say(why, LH_E_FORK,
		    "site %s is in generation %u of its journal, and the "
		    "lease was granted in %u: its store was put back to an "
		    "earlier copy",
		    beat->site, beat->generation, lease->header.generation);
	if (verify_knows(known) && known->generation > 1 &&
	    beat->generation < known->generation)
		return verify_say(why, LH_E_FORK,
		    "site %s is in generation %u of its journal, and %u was "
		    "seen of it: its store was put back to an earlier copy",
		    beat->site, beat->generation, known->generation);
	uint64_t seen = lease->header.batch;
	bool behind =
	    is_behind(beat, lease->header.generation, seen, lease->head);

	if (!behind && verify_knows(known)) {
		seen = known->batch;
		behind = is_behind(beat, journal_known_generation(known), seen,
		    known->head);
	}
	if (behind)
		return verify_say(why, LH_E_FORK,
		    "site %s stands at batch %llu of its journal, and batch "
		    "%llu was seen of it: its store was put back to an earlier "
		    "copy, or it keeps two",
		    beat->site, (unsigned long long)beat->batch,
		    (unsigned long long)seen);
	return LH_OK;
}

int
verify_beat(const struct journal_beat *beat, const struct verify_lease *lease,
    const struct local_renew_reply *reply, const uint8_t nonce[NONCE_BYTES],
    char why[static VERIFY_WHY])
{
	if (is_path(&reply->path) &&
	    journal_beat_verify(beat, lease->lease, nonce, lease->ttl_s,
		reply->index, reply->path.data,
		reply->path.len / MERKLE_BYTES) == 0)
		return LH_OK;
	return verify_say(why, LH_E_NOT_IN_JOURNAL,
	    "the site's beat does not renew lease %llu",
	    (unsigned long long)lease->lease);
}

int
verify_beat_contract(const struct journal_beat *beat,
    const struct verify_lease *lease, char why[static VERIFY_WHY])
{
	struct license license = { .contract = lease->contract,
		.terms = { .enforce = lease->enforce,
		    .grace_days = lease->grace_days } };

	memcpy(license.license_id, lease->license_id,
	    sizeof(license.license_id));
	return verify_contract(&license, beat->time, why);
}
