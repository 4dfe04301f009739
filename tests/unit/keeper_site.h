/*
 * What the site of a keeper's test answers. Included by keeper_world.h alone.
 */
#ifndef TESTS_UNIT_KEEPER_SITE_H
#define TESTS_UNIT_KEEPER_SITE_H

/* --- the site's answers --------------------------------------------------- */

static inline void
world_hello(struct world *world, uint64_t tag, const struct hello *hello)
{
	const struct merkle_source source = { &merkle_blake2b, world,
		world_node };
	uint8_t inclusion[MERKLE_PATH_MAX][32], proof[2 * MERKLE_PATH_MAX][32];
	struct hello_reply reply = { .site = WORLD_SITE,
		.tenant = "default",
		.header = { world->token.data, (uint32_t)world->token.len } };
	uint64_t n = world->batches - 1; /* heads in the newest history */
	size_t len;

	world->last_hello = *hello;
	if (world->refuse_hello != 0) {
		world_refuse(world, OP_SESSION_HELLO, tag, world->refuse_hello);
		return;
	}
	text_copy(reply.name, sizeof(reply.name), "Stuttgart");
	reply.time = clock_wall_ms() - world->clock_behind_ms;
	randombytes_buf(world->nonce, sizeof(world->nonce));
	memcpy(reply.nonce, world->nonce, sizeof(reply.nonce));
	if (!sodium_is_zero(hello->known.head, 32) && hello->known.batch < n) {
		len = merkle_path(inclusion, &merkle_blake2b, world->leaves[0],
		    n, hello->known.batch);
		reply.inclusion =
		    (struct record_span){ inclusion, (uint32_t)len * 32 };
		ck_assert_int_eq(merkle_source_consistency(proof, &len, &source,
				     hello->known.batch, n),
		    0);
		reply.consistency =
		    (struct record_span){ proof, (uint32_t)len * 32 };
	}
	world_reply(world, OP_SESSION_HELLO, tag, &reply);
}

static inline void
world_prove(struct world *world, uint32_t op, uint64_t tag,
    const struct proof *proof, enum proof_purpose purpose)
{
	struct prove_reply reply = { .device = 3,
		.name = "ws",
		.renew_s = 60,
		.borrows = world->borrows,
		.pending = world->pending };
	struct proof_subject subject = { .purpose = purpose,
		.site = WORLD_SITE,
		.tenant = "default",
		.device = purpose == PROOF_ENROLL ? 0 : 3 };

	if (world->refuse_proof != 0) {
		world_refuse(world, op, tag, world->refuse_proof);
		return;
	}
	memcpy(subject.nonce, world->nonce, 32);
	memset(subject.exporter, 9, 32);
	if (purpose == PROOF_ENROLL)
		crypto_hash_sha256(subject.request_digest,
		    (const uint8_t *)world->join, strlen(world->join));
	if (proof_verify(proof, &subject, world->device_key,
		world->device_key_len) != 0) {
		world->refused_proofs++;
		world_refuse(world, op, tag, ERR_BAD_PROOF);
	} else if (purpose == PROOF_ENROLL) {
		struct enroll_reply enrolled = { .device = 3,
			.site = WORLD_SITE,
			.tenant = "default",
			.pending = world->pending };

		memcpy(enrolled.site_key, world->site_public, 32);
		world_reply(world, op, tag, &enrolled);
	} else {
		world_reply(world, op, tag, &reply);
	}
}

static inline void
world_checkout(struct world *world, uint64_t tag, const struct checkout *ask)
{
	struct row_slots slots = { 0, ask->count > 0 ? ask->count : 1 };
	struct row row = { .kind = ROW_LEASE_GRANTED };
	struct row_lease_granted *granted = &row.u.lease_granted;
	struct checkout_reply reply = { 0 };
	struct buf bytes = { 0 };

	world->last_checkout = *ask;
	if (world->asked[OP_LEASE_CHECKOUT] == 1)
		memcpy(world->first_request, ask->request, REQUEST_BYTES);
	if (world->refuse_checkouts > 0) {
		world->refuse_checkouts--;
		world_refuse(world, OP_LEASE_CHECKOUT, tag,
		    world->faulty ? ERR_UNAVAILABLE : ERR_NO_SEATS);
		return;
	}
	if (world->place_for_all ||
	    (world->queue.place > 0 && ask->wait_s > 0)) {
		reply.queue = world->queue;
		world_reply(world, OP_LEASE_CHECKOUT, tag, &reply);
		return;
	}
	granted->lease = world->batches + 100;
	granted->license = 1;
	license_digest(granted->license_digest, "license-token", 13);
	granted->device = 3;
	granted->count = slots.count;
	granted->slots = (struct record_list){ &slots, 1 };
	memcpy(granted->nonce, ask->nonce, NONCE_BYTES);
	memcpy(granted->request, ask->request, REQUEST_BYTES);
	memcpy(granted->product, ask->product, sizeof(granted->product));
	memcpy(granted->version, ask->version, sizeof(granted->version));
	granted->ttl_s = 3;
	row.number = world->batches + 1;
	row_write(&bytes, &row);
	world_commit(world, bytes.data, bytes.len);
	reply.lease = granted->lease;
	reply.row_number = row.number;
	reply.row = (struct record_span){ bytes.data, (uint32_t)bytes.len };
	reply.header = (struct record_span){ world->token.data,
		(uint32_t)world->token.len };
	if (world->no_evidence)
		reply.row.len = reply.header.len = 0;
	world_reply(world, OP_LEASE_CHECKOUT, tag, &reply);
	buf_release(&bytes);
}

static inline void
world_renew(struct world *world, uint64_t tag, const struct renew *ask)
{
	const struct renew_item *items = ask->leases.items;
	uint8_t leaves[64][32];
	struct lease_refused refused = { .code = "gone" };
	struct renew_reply reply = { 0 };
	struct journal_beat beat = { .site = WORLD_SITE,
		.tenant = "default",
		.batch = world->header.batch,
		.time = 1700000000000 };
	struct buf token = { 0 };

	world->last_renewed = ask->leases.count;
	memcpy(beat.head, world->heads[world->batches - 1], 32);
	for (uint32_t i = 0; i < ask->leases.count && i < 64; i++) {
		if (items[i].lease == world->refuse_lease) {
			refused.lease = items[i].lease;
			if (world->refuse_code != NULL)
				snprintf(refused.code, sizeof(refused.code),
				    "%s", world->refuse_code);
			reply.refused = (struct record_list){ &refused, 1 };
			continue;
		}
		journal_beat_leaf(leaves[beat.count++], items[i].lease,
		    items[i].nonce, 3);
	}
	merkle_root(beat.root, &merkle_blake2b, leaves[0], beat.count);
	if (beat.count > 0)
		ck_assert_int_eq(license_document_sign(&token,
				     &journal_beat_record, &beat, TOKEN_BEAT,
				     world->site_secret),
		    0);
	reply.beat = (struct record_span){ token.data, (uint32_t)token.len };
	world_reply(world, OP_LEASE_RENEW, tag, &reply);
	buf_release(&token);
}

static inline void
world_attach(struct world *world, uint64_t tag, const struct attach *ask)
{
	const struct attach_item *items = ask->leases.items;
	struct lease_refused refused = { .code = "gone" };
	struct attach_reply reply = { 0 };

	for (uint32_t i = 0; i < ask->leases.count; i++) {
		world->last_attached = items[i].lease;
		if (items[i].lease == world->refuse_lease) {
			refused.lease = items[i].lease;
			reply.refused = (struct record_list){ &refused, 1 };
		}
	}
	world_reply(world, OP_LEASE_ATTACH, tag, &reply);
}

static inline void
world_mine(struct world *world, uint64_t tag)
{
	struct lease_view view = { .lease = world->stray,
		.count = 1,
		.product = "p",
		.license = 1,
		.device = 3 };
	struct lease_page page = { .items = { &view,
				       world->stray != 0 ? 1 : 0 } };

	world_reply(world, OP_LEASE_MINE, tag, &page);
}

static inline void
world_answer(struct world *world, uint32_t op, uint64_t tag, void *request)
{
	struct license_file license = { .issuer = { "issuer-token", 12 },
		.license = { "license-token", 13 } };
	static const struct empty nothing = { 0 };
	struct lease_return *returned = request;
	struct enroll *enroll = request;

	world->asked[op]++;
	if (world->silent ||
	    (world->answer != NULL && world->answer(world, op, tag, request)))
		return;
	switch (op) {
	case OP_SESSION_HELLO:
		world_hello(world, tag, request);
		break;
	case OP_SESSION_PROVE:
		world_prove(world, op, tag, &((struct prove *)request)->proof,
		    PROOF_LOGIN);
		break;
	case OP_DEVICE_ENROLL:
		world->device_key_len = enroll->public_key.len;
		memcpy(world->device_key, enroll->public_key.data,
		    enroll->public_key.len);
		world_prove(world, op, tag, &enroll->proof, PROOF_ENROLL);
		break;
	case OP_LEASE_CHECKOUT:
		world_checkout(world, tag, request);
		break;
	case OP_LEASE_RENEW:
		world_renew(world, tag, request);
		break;
	case OP_LEASE_RETURN: {
		struct lease_ended ended = { returned->lease,
			returned->reason };

		world->last_return = *returned;
		world_reply(world, op, tag, &ended);
		break;
	}
	case OP_LEASE_CANCEL:
		memcpy(world->last_cancel,
		    ((struct lease_cancel *)request)->request, REQUEST_BYTES);
		world_reply(world, op, tag, &nothing);
		break;
	case OP_LEASE_ATTACH:
		world_attach(world, tag, request);
		break;
	case OP_LICENSE_GET:
		if (world->wrong_license)
			license.license.len--;
		world_reply(world, op, tag, &license);
		break;
	case OP_LEASE_MINE:
		world_mine(world, tag);
		break;
	default:
		ck_abort_msg("the site was asked operation %u", op);
	}
}

#endif
