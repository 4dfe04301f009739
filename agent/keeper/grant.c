/*
 * What becomes of a grant: checked against the site's key, its license
 * fetched, the lease written down, the application told; or given back.
 */
#include "agent/keeper/checkout_way.h"
#include "agent/keeper/private.h"

#include "shared/base/err.h"
#include "shared/base/log.h"

#include <string.h>

static void
give_up_grant(struct checkout_way *way, uint64_t lease, int err)
{
	if (lease_find(way->keeper, lease) == NULL)
		leases_return_stray(way->keeper, lease, way->request);
	way_refuse(way, err, NULL);
}

static int
answer(struct checkout_way *way, const struct checkout_reply *grant,
    const struct license_file *license)
{
	struct local_checkout_reply reply = {
		.lease = grant->lease,
		.row_number = grant->row_number,
		.row = grant->row,
		.path = grant->path,
		.header = grant->header,
		.issuer = license->issuer,
		.license = license->license,
		.device = way->keeper->site.device,
	};

	/* Proofs are for the one who named the known header. */
	if (!way->own_known) {
		reply.inclusion = grant->inclusion;
		reply.consistency = grant->consistency;
	}
	return application_answer(way->keeper, &way->asker,
	    &local_checkout_reply_record, &reply);
}

static int
write_down(struct lease **lease, struct checkout_way *way,
    const struct checkout_reply *grant, const struct journal_header *header)
{
	struct lease_file file = {
		.lease = grant->lease,
		.row_number = grant->row_number,
		.row = grant->row,
		.path = grant->path,
		.header = grant->header,
		/* Root takes seats for others. */
		.uid = way->user->uid != 0 ? way->user->uid
					   : way->process->uids[0],
		.hold = way->hold,
		.granted_at = header->time,
		.generation = header->generation,
	};

	memcpy(file.request, way->request, sizeof(file.request));
	int err = lease_add(lease, way->keeper, &file, way->process);

	if (err < 0)
		return err;
	(*lease)->nonce_ms = way->sent_ms;
	(*lease)->valid_until_ms =
	    way->sent_ms + (int64_t)(*lease)->ttl_s * 1000;
	return 0;
}

/* Grant and license are both here. */
static void
finish(struct checkout_way *way, const struct license_file *license)
{
	struct keeper *keeper = way->keeper;
	struct arena arena = { .max_bytes = 1 << 20 };
	struct checkout_reply grant;
	struct journal_header header;
	struct lease *lease;
	uint8_t head[32];
	struct row row;
	int err = record_read_msgpack(&grant, &checkout_reply_record,
	    way->grant.data, way->grant.len, NULL, &arena, NULL);

	if (err == 0)
		err = session_check_grant(&header, head, &row, &arena, keeper,
		    &grant);
	if (err < 0) {
		way_refuse(way, err, NULL); /* checked before: no memory */
		goto out;
	}
	if (!process_lives(way->process) || !way_is_wanted(way)) {
		give_up_grant(way, grant.lease, ERR_GONE);
		goto out;
	}
	lease = lease_find(keeper, grant.lease);
	if (lease == NULL)
		err = write_down(&lease, way, &grant, &header);
	else if (lease->ending || lease->process != way->process)
		err = ERR_GONE; /* else a retry found its lease */
	if (err < 0) {
		give_up_grant(way, grant.lease, err);
		goto out;
	}
	lease->application = way->asker.application;
	/* A lease that nobody could be told of. */
	if (answer(way, &grant, license) < 0)
		lease_end(lease, LEASE_RETURNED, NULL);
	renewal_schedule(keeper);
	way_free(way);
out:
	arena_release(&arena);
}

static void
on_license(void *ctx, int err, const void *reply, const struct problem *problem)
{
	struct checkout_way *way = ctx;
	const struct license_file *license = reply;
	uint8_t digest[DIGEST_BYTES];

	if (err == ERR_CLOSED) {
		/* Ask for the grant again: the site knows the request. */
		way->unknown = true;
		way_ask(way);
		return;
	}
	if (err == 0) {
		license_digest(digest, license->license.data,
		    license->license.len);
		if (memcmp(digest, way->digest, sizeof(digest)) != 0)
			err = ERR_MISMATCH;
	}
	if (err != 0) {
		struct checkout_reply grant;
		struct arena arena = { .max_bytes = 1 << 20 };

		log_error("keeper", "the license of a grant: %s",
		    problem != NULL ? problem->detail : err_str(err));
		if (record_read_msgpack(&grant, &checkout_reply_record,
			way->grant.data, way->grant.len, NULL, &arena,
			NULL) == 0)
			give_up_grant(way, grant.lease, err);
		else
			way_refuse(way, err, NULL);
		arena_release(&arena);
		return;
	}
	/* Without the file it is fetched again: logged there. */
	(void)files_write_license(&way->keeper->files, digest, license);
	finish(way, license);
}

static void
fetch_license(struct checkout_way *way)
{
	struct keeper *keeper = way->keeper;
	struct arena arena = { .max_bytes = 1 << 20 };
	struct license_file license;
	struct license_ref ref;

	if (files_read_license(&license, &keeper->files, way->digest, &arena) ==
	    0) {
		finish(way, &license);
		arena_release(&arena);
		return;
	}
	arena_release(&arena);
	way->step = CHECKOUT_LICENSE;
	memcpy(ref.digest, way->digest, sizeof(ref.digest));
	int err =
	    calls_ask(keeper->calls, OP_LICENSE_GET, &ref, on_license, way);

	if (err < 0) {
		way->unknown = true;
		way_ask(way);
	}
}

/* --- the site's answer ---------------------------------------------------- */

/* The answer is to this question, and of this site. */
static int
check_grant(struct checkout_way *way, const struct checkout_reply *grant)
{
	struct keeper *keeper = way->keeper;
	struct arena arena = { .max_bytes = 1 << 20 };
	struct journal_header header;
	uint8_t head[32];
	struct row row;
	int err = ERR_CORRUPT;

	/* The record leaves them out where a place is the answer. */
	if (grant->row_number != 0 && grant->row.len > 0 &&
	    grant->header.len > 0)
		err = session_check_grant(&header, head, &row, &arena, keeper,
		    grant);
	if (err == 0) {
		const struct row_lease_granted *lease = &row.u.lease_granted;

		if (lease->lease != grant->lease ||
		    lease->device != keeper->site.device ||
		    lease->count != way->ask.count ||
		    memcmp(lease->nonce, way->ask.nonce, NONCE_BYTES) != 0)
			err = ERR_MISMATCH;
		memcpy(way->digest, lease->license_digest, sizeof(way->digest));
	}
	if (err < 0) {
		log_error("keeper",
		    "the site's grant of lease-%llu is no "
		    "proof: %s",
		    (unsigned long long)grant->lease, err_str(err));
	} else {
		session_saw(keeper, header.generation, header.batch, head,
		    &grant->header);
		if (way->own_known &&
		    memcmp(&way->ask.known, &keeper->session.seen.known,
			sizeof(way->ask.known)) == 0)
			session_advance(keeper, &header, head,
			    &grant->inclusion, &grant->consistency);
	}
	arena_release(&arena);
	return err;
}

void
way_take_grant(struct checkout_way *way, const struct checkout_reply *grant)
{
	int err = check_grant(way, grant);

	if (err < 0) {
		give_up_grant(way, grant->lease, err);
		return;
	}
	buf_clear(&way->grant);
	record_write_msgpack(&way->grant, &checkout_reply_record, grant);
	if (way->grant.failed) {
		give_up_grant(way, grant->lease, ERR_NOMEM);
		return;
	}
	fetch_license(way);
}
