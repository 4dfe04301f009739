/*
 * What this device saw of the site's journal: every header must go on from the
 * one before, or be of a later generation, in which an admin acknowledged that
 * some of it was lost. A journal that was rolled back or forked is reported as
 * loudly as possible, and the site is shown its own signature over what it does
 * not hold; the session goes on: whether a lease is good is the library's to
 * decide.
 */
#include "agent/keeper/private.h"

#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/base/text.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

void
session_write_seen(struct keeper *keeper)
{
	if (!keeper->session.seen_dirty)
		return;
	if (files_write_seen(&keeper->files, &keeper->session.seen) == 0)
		keeper->session.seen_dirty = false;
}

void
journal_seen_begin(struct journal_seen *seen,
    const struct journal_header *header, const uint8_t head[32])
{
	*seen = (struct journal_seen){
		.known = { .batch = header->batch,
		    .generation = header->generation },
		.seen_batch = header->batch,
		.seen_generation = header->generation,
	};
	memcpy(seen->known.head, head, 32);
	memcpy(seen->known.history, header->history, 32);
	memcpy(seen->seen_head, head, 32);
}

/* The latest generation of which anything was seen. */
static uint32_t
generation_of(const struct journal_seen *seen)
{
	uint32_t known = journal_known_generation(&seen->known);

	return seen->seen_generation > known ? seen->seen_generation : known;
}

void
session_saw(struct keeper *keeper, uint32_t generation, uint64_t batch,
    const uint8_t head[32], const struct record_span *token)
{
	struct journal_seen *seen = &keeper->session.seen;
	uint32_t before =
	    seen->seen_generation != 0 ? seen->seen_generation : 1;

	if (generation == 0)
		generation = 1;
	if (!sodium_is_zero(seen->seen_head, sizeof(seen->seen_head)) &&
	    (generation < before ||
		(generation <= before && batch <= seen->seen_batch)))
		return;
	seen->seen_generation = generation;
	seen->seen_batch = batch;
	memcpy(seen->seen_head, head, sizeof(seen->seen_head));
	(void)text_copy_n(seen->token, sizeof(seen->token), token->data,
	    token->len);
	keeper->session.seen_dirty = true; /* written by the watch */
}

static bool
knows(const struct journal_known *known)
{
	return !sodium_is_zero(known->head, sizeof(known->head));
}

static int
continues(const struct journal_seen *seen, const struct journal_header *header,
    const uint8_t head[32], const struct record_span *inclusion,
    const struct record_span *consistency)
{
	if (inclusion->len % MERKLE_BYTES != 0 ||
	    consistency->len % MERKLE_BYTES != 0)
		return ERR_BAD_PATH;
	/* An admin acknowledged that some of what was seen is lost. */
	if (header->generation > generation_of(seen))
		return 0;
	if (header->generation < generation_of(seen) && generation_of(seen) > 1)
		return ERR_ROLLED_BACK;
	if (header->batch < seen->seen_batch)
		return ERR_ROLLED_BACK;
	if (header->batch == seen->seen_batch &&
	    !sodium_is_zero(seen->seen_head, sizeof(seen->seen_head)) &&
	    memcmp(head, seen->seen_head, 32) != 0)
		return ERR_FORK;
	if (!knows(&seen->known))
		return 0;
	return journal_continues(&seen->known, header, head, inclusion->data,
	    inclusion->len / MERKLE_BYTES, consistency->data,
	    consistency->len / MERKLE_BYTES);
}

static void
take_known(struct keeper *keeper, const struct journal_header *header,
    const uint8_t head[32])
{
	struct journal_known *known = &keeper->session.seen.known;

	known->batch = header->batch;
	known->generation = header->generation;
	memcpy(known->head, head, 32);
	memcpy(known->history, header->history, 32);
	keeper->session.seen_dirty = true;
}

void
session_advance(struct keeper *keeper, const struct journal_header *header,
    const uint8_t head[32], const struct record_span *inclusion,
    const struct record_span *consistency)
{
	struct journal_seen *seen = &keeper->session.seen;

	uint32_t known = journal_known_generation(&seen->known);

	if (keeper->session.rollback[0] != '\0' ||
	    (header->generation <= known &&
		header->batch <= seen->known.batch) ||
	    inclusion->len % MERKLE_BYTES != 0 ||
	    consistency->len % MERKLE_BYTES != 0)
		return;
	if (knows(&seen->known) &&
	    journal_continues(&seen->known, header, head, inclusion->data,
		inclusion->len / MERKLE_BYTES, consistency->data,
		consistency->len / MERKLE_BYTES) < 0)
		return;
	take_known(keeper, header, head);
}

int
session_check_row(struct journal_header *header, uint8_t head[32],
    struct row *row, struct arena *arena, struct keeper *keeper,
    const struct checkout_reply *reply)
{
	const struct site_keys keys = session_site_keys(keeper);
	int err = journal_header_verify(header, head, reply->header.data,
	    reply->header.len,
	    site_keys_of(&keys, (const char *)reply->header.data,
		reply->header.len));

	if (err == 0 &&
	    (strcmp(header->site, keeper->site.site) != 0 ||
		strcmp(header->tenant, keeper->site.tenant) != 0))
		err = ERR_MISMATCH;
	if (err == 0 && reply->path.len % MERKLE_BYTES != 0)
		err = ERR_BAD_PATH;
	if (err == 0)
		err = journal_row_verify(header, reply->row_number,
		    reply->row.data, reply->row.len, reply->path.data,
		    reply->path.len / MERKLE_BYTES);
	if (err == 0)
		err = row_read(row, reply->row_number, reply->row.data,
		    reply->row.len, arena);
	return err;
}

int
session_check_grant(struct journal_header *header, uint8_t head[32],
    struct row *row, struct arena *arena, struct keeper *keeper,
    const struct checkout_reply *reply)
{
	int err = session_check_row(header, head, row, arena, keeper, reply);

	return err == 0 && row->kind != ROW_LEASE_GRANTED ? ERR_MISMATCH : err;
}

void
session_report_rollback(struct keeper *keeper, uint64_t batch, const char *how)
{
	struct session *session = &keeper->session;

	if (session->rollback[0] == '\0')
		log_error("keeper",
		    "the journal of site %s was rolled back or forked: batch "
		    "%llu was seen, %s. Applications that saw as much refuse "
		    "its leases. The site's admin must look into it",
		    keeper->site.site, (unsigned long long)batch, how);
	snprintf(session->rollback, sizeof(session->rollback),
	    "the site's journal was rolled back or forked: batch %llu was "
	    "seen, %s",
	    (unsigned long long)batch, how);
}

/* An admin of the site acknowledged that its store was put back: what was seen
 * of the branch that is lost counts no more, and what is held is to be told
 * anew. */
static void
begin_generation(struct keeper *keeper, const struct journal_header *header)
{
	log_warn("keeper",
	    "the journal of site %s goes on in generation %u from batch %llu: "
	    "its store was put back to an older copy, and its admin "
	    "acknowledged it; batch %llu was seen of the branch that is lost",
	    keeper->site.site, header->generation,
	    (unsigned long long)header->batch,
	    (unsigned long long)keeper->session.seen.seen_batch);
	keeper->leases.reconciled = false;
}

bool
session_judge_journal(struct keeper *keeper, const struct hello_reply *reply,
    const struct journal_header *header, const uint8_t head[32])
{
	struct session *session = &keeper->session;
	struct journal_seen *seen = &session->seen;
	bool later =
	    header->generation > generation_of(seen) && knows(&seen->known);
	uint64_t newest = seen->seen_batch > seen->known.batch
	    ? seen->seen_batch
	    : seen->known.batch;
	char how[128];

	if (session->asked_plain && !later)
		return true; /* it is told already */
	if (continues(seen, header, head, &reply->inclusion,
		&reply->consistency) < 0) {
		snprintf(how, sizeof(how), "and now it stands at batch %llu%s",
		    (unsigned long long)header->batch,
		    header->batch < newest ? "" : " of another past");
		session_report_rollback(keeper, newest, how);
		return seen->token[0] == '\0';
	}
	if (later)
		begin_generation(keeper, header);
	else if (session->rollback[0] != '\0')
		log_info("keeper", "the site's journal is the known one again");
	session->rollback[0] = '\0';
	if (later || header->batch != seen->known.batch || !knows(&seen->known))
		take_known(keeper, header, head);
	session_saw(keeper, header->generation, header->batch, head,
	    &reply->header);
	session_write_seen(keeper);
	return true;
}
