/*
 * Evidence of a true lease, changed: a grant and a beat as the agent hands them
 * to the library, with edits of the input. Whatever is still believed says
 * exactly what the true one says. Input: edits of four bytes: which part, where
 * in it (two bytes), and the byte; parts from 16 on are cut or put in place of
 * another.
 */
#include "tests/fuzz/fuzz.h"

#include "agent/lib/leasehold.h"
#include "agent/lib/verify.h"
#include "tests/unit/lib_chain.h"

#define PARTS 8

struct truth {
	struct chain chain;
	struct journal_known before, after;
	struct verify_question question;
	struct local_checkout_reply grant;
	struct verify_lease lease;
	struct buf beat;
	uint8_t beat_path[16][32];
	size_t beat_hashes;
	uint8_t nonce[NONCE_BYTES];
};

static struct truth *truth;

static void
make_truth(void)
{
	struct local_checkout request = { .product = "tool",
		.version = "8.1.0" };
	char why[VERIFY_WHY];

	truth = calloc(1, sizeof(*truth));
	fuzz_must(truth != NULL && sodium_init() >= 0);
	chain_open(&truth->chain);
	for (int i = 0; i < 5; i++) {
		chain_prepare(&truth->chain, &request, 0);
		chain_commit(&truth->chain);
	}
	chain_known(&truth->before, &truth->chain);
	for (int i = 0; i < 6; i++) {
		chain_prepare(&truth->chain, &request, 0);
		chain_commit(&truth->chain);
	}
	memset(request.nonce, 7, sizeof(request.nonce));
	memset(request.request, 9, sizeof(request.request));
	chain_prepare(&truth->chain, &request, 1);
	chain_commit(&truth->chain);
	chain_reply(&truth->grant, &truth->chain, &truth->before);
	memcpy(truth->question.root, truth->chain.root.public_key, 32);
	memcpy(truth->question.product, "tool", 5);
	memcpy(truth->question.version, "8.1.0", 6);
	truth->question.count = 1;
	memcpy(truth->question.nonce, request.nonce, NONCE_BYTES);
	fuzz_must(verify_grant(&truth->lease, &truth->grant, &truth->question,
		      why) == LH_OK);
	fuzz_must(verify_continues(&truth->lease, &truth->grant, &truth->before,
		      why) == LH_OK);
	verify_keep(&truth->after, &truth->lease);

	uint64_t leases[3] = { 3, truth->lease.lease, 99 };
	uint8_t nonces[3][32];

	memset(nonces, 5, sizeof(nonces));
	memset(truth->nonce, 6, sizeof(truth->nonce));
	memcpy(nonces[1], truth->nonce, 32);
	chain_beat(&truth->beat, truth->beat_path, &truth->beat_hashes,
	    &truth->chain, leases, nonces, truth->lease.ttl_s, 3, 1);
}

/* The parts as bytes of their own, to be changed. */
struct parts {
	uint8_t *data[PARTS];
	size_t len[PARTS];
	uint64_t number; /* lease or row, for what is no bytes */
};

static void
copy_parts(struct parts *parts, const struct record_span *spans, size_t n)
{
	for (size_t i = 0; i < PARTS; i++) {
		parts->len[i] = i < n ? spans[i].len : 0;
		parts->data[i] = malloc(parts->len[i] + 1);
		fuzz_must(parts->data[i] != NULL);
		if (parts->len[i] > 0)
			memcpy(parts->data[i], spans[i].data, parts->len[i]);
	}
}

static void
free_parts(struct parts *parts)
{
	for (size_t i = 0; i < PARTS; i++)
		free(parts->data[i]);
}

static void
edit(struct parts *parts, struct fuzz_input *input)
{
	uint8_t which = fuzz_byte(input);
	size_t at = (size_t)fuzz_byte(input) << 8;
	uint8_t value;
	size_t i = which % PARTS;

	at |= fuzz_byte(input);
	value = fuzz_byte(input);
	if (which >= 128 && which < 160) {
		parts->number ^= (uint64_t)value << (at % 64);
	} else if (which >= 160 && which < 192) {
		parts->len[i] = parts->len[i] > at ? at : parts->len[i];
	} else if (which >= 192 && parts->len[i] > 0 &&
	    parts->len[value % PARTS] > 0) {
		size_t n = parts->len[i] < parts->len[value % PARTS]
		    ? parts->len[i]
		    : parts->len[value % PARTS];

		memmove(parts->data[i], parts->data[value % PARTS], n);
	} else if (parts->len[i] > 0) {
		parts->data[i][at % parts->len[i]] ^= value;
	}
}

static struct record_span
span(const struct parts *parts, size_t i)
{
	return (struct record_span){ parts->data[i], (uint32_t)parts->len[i] };
}

static bool
same_span(const struct record_span *a, const struct record_span *b)
{
	return a->len == b->len &&
	    (a->len == 0 || memcmp(a->data, b->data, a->len) == 0);
}

static void
try_grant(struct fuzz_input *input)
{
	const struct local_checkout_reply *grant = &truth->grant;
	const struct record_span spans[] = { grant->row, grant->path,
		grant->header, grant->inclusion, grant->consistency,
		grant->issuer, grant->license };
	struct local_checkout_reply changed = *grant;
	struct verify_lease lease;
	struct parts parts = { 0 };
	char why[VERIFY_WHY];

	copy_parts(&parts, spans, 7);
	while (input->size >= 4)
		edit(&parts, input);
	changed.row = span(&parts, 0);
	changed.path = span(&parts, 1);
	changed.header = span(&parts, 2);
	changed.inclusion = span(&parts, 3);
	changed.consistency = span(&parts, 4);
	changed.issuer = span(&parts, 5);
	changed.license = span(&parts, 6);
	changed.row_number = grant->row_number ^ parts.number;
	if (verify_grant(&lease, &changed, &truth->question, why) == LH_OK) {
		/* A signature may be written in more ways than one; what is
		 * signed is not. */
		fuzz_must(lease.lease == truth->lease.lease &&
		    lease.type == truth->lease.type &&
		    lease.slot == truth->lease.slot &&
		    lease.count == truth->lease.count &&
		    lease.ttl_s == truth->lease.ttl_s &&
		    lease.grace_s == truth->lease.grace_s);
		fuzz_must(
		    memcmp(lease.site_key, truth->lease.site_key, 32) == 0);
		fuzz_must(memcmp(lease.head, truth->lease.head, 32) == 0);
		fuzz_must(changed.row_number == grant->row_number);
		fuzz_must(same_span(&changed.row, &grant->row));
		fuzz_must(same_span(&changed.path, &grant->path));
		if (verify_continues(&lease, &changed, &truth->before, why) ==
		    LH_OK)
			fuzz_must(
			    same_span(&changed.inclusion, &grant->inclusion) &&
			    same_span(&changed.consistency,
				&grant->consistency));
	} else {
		fuzz_must(memchr(why, '\0', sizeof(why)) != NULL);
	}
	free_parts(&parts);
}

static void
try_beat(struct fuzz_input *input)
{
	const struct record_span spans[] = {
		{ truth->beat.data, (uint32_t)truth->beat.len },
		{ truth->beat_path, (uint32_t)truth->beat_hashes * 32 },
		{ truth->nonce, NONCE_BYTES },
	};
	struct local_renew_reply reply = { 0 };
	struct verify_lease lease = truth->lease;
	struct journal_beat beat;
	struct parts parts = { 0 };
	char why[VERIFY_WHY];

	copy_parts(&parts, spans, 3);
	while (input->size >= 4)
		edit(&parts, input);
	lease.lease ^= parts.number & 0xff;
	lease.ttl_s ^= (uint32_t)(parts.number >> 16) & 0xff;
	reply.beat = span(&parts, 0);
	reply.path = span(&parts, 1);
	reply.index = 1 ^ ((uint32_t)(parts.number >> 8) & 0xff);
	struct record_span nonce = span(&parts, 2);
	bool true_nonce = same_span(&nonce, &spans[2]);

	if (nonce.len == NONCE_BYTES &&
	    verify_beat_token(&beat, &lease, &reply, &truth->after, why) ==
		LH_OK &&
	    verify_beat(&beat, &lease, &reply, nonce.data, why) == LH_OK) {
		fuzz_must(true_nonce && reply.index == 1);
		fuzz_must(lease.lease == truth->lease.lease &&
		    lease.ttl_s == truth->lease.ttl_s);
		fuzz_must(same_span(&reply.path, &spans[1]));
		fuzz_must(memcmp(beat.head, truth->chain.head, 32) == 0);
	}
	free_parts(&parts);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input input = { data, size };

	if (truth == NULL)
		make_truth();
	if (fuzz_byte(&input) % 2 == 0)
		try_grant(&input);
	else
		try_beat(&input);
	return 0;
}
