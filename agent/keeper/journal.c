/*
 * What this device saw of the site's journal: every header must go on from the
 * one before. A journal that was rolled back or forked is reported as loudly as
 * possible, and the session goes on: whether a lease is good is the library's
 * to decide.
 */
#include "agent/keeper/private.h"

#include "shared/base/err.h"
#include "shared/base/log.h"

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
session_saw(struct keeper *keeper, uint64_t batch, const uint8_t head[32])
{
	struct journal_seen *seen = &keeper->session.seen;

	if (batch <= seen->seen_batch &&
	    !sodium_is_zero(seen->seen_head, sizeof(seen->seen_head)))
		return;
	seen->seen_batch = batch;
	memcpy(seen->seen_head, head, sizeof(seen->seen_head));
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

void
session_advance(struct keeper *keeper, const struct journal_header *header,
    const uint8_t head[32], const struct record_span *inclusion,
    const struct record_span *consistency)
{
	struct journal_seen *seen = &keeper->session.seen;

	if (keeper->session.rollback[0] != '\0' ||
	    header->batch <= seen->known.batch ||
	    inclusion->len % MERKLE_BYTES != 0 ||
	    consistency->len % MERKLE_BYTES != 0)
		return;
	if (knows(&seen->known) &&
	    journal_continues(&seen->known, header, head, inclusion->data,
		inclusion->len / MERKLE_BYTES, consistency->data,
		consistency->len / MERKLE_BYTES) < 0)
		return;
	seen->known.batch = header->batch;
	memcpy(seen->known.head, head, 32);
	memcpy(seen->known.history, header->history, 32);
	keeper->session.seen_dirty = true;
}

int
session_check_grant(struct journal_header *header, uint8_t head[32],
    struct row *row, struct arena *arena, struct keeper *keeper,
    const struct checkout_reply *reply)
{
	int err = journal_header_verify(header, head, reply->header.data,
	    reply->header.len, keeper->site.site_key);

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
	if (err == 0 && row->kind != ROW_LEASE_GRANTED)
		err = ERR_MISMATCH;
	return err;
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

void
session_judge_journal(struct keeper *keeper, const struct hello_reply *reply,
    const struct journal_header *header, const uint8_t head[32])
{
	struct session *session = &keeper->session;
	struct journal_seen *seen = &session->seen;
	uint64_t newest = seen->seen_batch > seen->known.batch
	    ? seen->seen_batch
	    : seen->known.batch;
	char how[128];

	if (session->asked_plain)
		return; /* the site itself said so */
	if (continues(seen, header, head, &reply->inclusion,
		&reply->consistency) < 0) {
		snprintf(how, sizeof(how), "and now it stands at batch %llu%s",
		    (unsigned long long)header->batch,
		    header->batch < newest ? "" : " of another past");
		session_report_rollback(keeper, newest, how);
		return;
	}
	if (session->rollback[0] != '\0')
		log_info("keeper", "the site's journal is the known one again");
	session->rollback[0] = '\0';
	if (header->batch != seen->known.batch || !knows(&seen->known)) {
		seen->known.batch = header->batch;
		memcpy(seen->known.head, head, 32);
		memcpy(seen->known.history, header->history, 32);
		session->seen_dirty = true;
	}
	session_saw(keeper, header->batch, head);
	session_write_seen(keeper);
}
