/*
 * What each call of an identity costs on swtpm, and a proof's check without
 * one. Of a swtpm only proportions are worth anything: a chip is slower by a
 * factor of ten to a hundred, and RSA by more than P-256.
 */
#include "shared/base/buf.h"
#include "shared/base/clock.h"
#include "shared/proof/enroll.h"
#include "shared/proof/identity.h"
#include "tests/unit/tpm_lab.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TPM_ROUNDS 50
#define VERIFY_ROUNDS 2000

struct bench {
	struct lab_tpm tpm;
	char folder[128];
	struct identity *identity;
	uint8_t key[PROOF_KEY_MAX];
	size_t key_len;
	struct proof_subject subject;
	struct proof proof;
	struct arena arena;
	struct proof_material material;
	struct proof_challenge challenge;
	struct buf blob;
	uint64_t counter;
	uint8_t secret[64];
};

typedef int bench_fn(struct bench *bench);

static void
stop(const char *what)
{
	fprintf(stderr, "proof_bench: cannot %s\n", what);
	exit(1);
}

static void
measure(struct bench *bench, const char *name, bench_fn *call, int rounds)
{
	int64_t began = clock_boottime_us();

	for (int i = 0; i < rounds; i++)
		if (call(bench) != 0)
			stop(name);
	double us = (double)(clock_boottime_us() - began) / rounds;

	printf("  %-24s %9.1f us\n", name, us);
	fflush(stdout);
}

static int
prove(struct bench *b)
{
	return proof_make(&b->proof, b->identity, &b->subject);
}

static int
verify(struct bench *b)
{
	return proof_verify(&b->proof, &b->subject, b->key, b->key_len);
}

static int
raise_counter(struct bench *b)
{
	return identity_counter_raise(b->identity, ++b->counter);
}

static int
read_counter(struct bench *b)
{
	return identity_counter_read(&b->counter, b->identity);
}

static int
read_clock(struct bench *b)
{
	struct identity_clock clock;

	return identity_clock_read(&clock, b->identity);
}

static int
make_challenge(struct bench *b)
{
	arena_clear(&b->arena);
	return proof_challenge_make(&b->challenge, &b->arena, b->secret,
	    &b->material, b->key, b->key_len);
}

static int
answer(struct bench *b)
{
	uint8_t secret[PROOF_SECRET_BYTES];

	return identity_challenge_answer(secret, b->identity, &b->challenge);
}

static int
seal(struct bench *b)
{
	buf_clear(&b->blob);
	return identity_seal(&b->blob, b->identity, b->secret, 64, 0);
}

static int
unseal(struct bench *b)
{
	size_t len;

	return identity_unseal(b->secret, &len, b->identity, b->blob.data,
	    b->blob.len);
}

static int
reopen(struct bench *b)
{
	identity_close(b->identity);
	b->identity = NULL;
	return identity_open(&b->identity, b->folder,
	    b->tpm.pid > 0 ? b->tpm.tcti : NULL);
}

static void
run_tpm(const char *title, enum identity_ek ek)
{
	struct bench b = { .subject = { .purpose = PROOF_LOGIN,
			       .site = "site-a",
			       .tenant = "default" } };
	struct identity_options options = { .ek = ek };
	struct arena keep = { 0 };
	char command[200];

	lab_tpm_new(&b.tpm);
	snprintf(b.folder, sizeof(b.folder), "%s-id", b.tpm.dir);
	options.folder = b.folder;
	options.tcti = b.tpm.tcti;
	int64_t began = clock_boottime_us();

	printf("%s:\n", title);
	if (identity_open_with(&b.identity, &options) != 0)
		stop("open");
	printf("  %-24s %9.1f us\n", "open, a new identity",
	    (double)(clock_boottime_us() - began));
	if (identity_bind(b.identity, "site-a", "default") != 0 ||
	    identity_enroll_material(&b.material, b.identity, &keep) != 0)
		stop("enroll");
	b.key_len = identity_public(b.key, b.identity);
	measure(&b, "open again", reopen, 5);
	measure(&b, "proof_make", prove, TPM_ROUNDS);
	measure(&b, "counter_read", read_counter, TPM_ROUNDS);
	measure(&b, "counter_raise", raise_counter, TPM_ROUNDS);
	measure(&b, "clock_read", read_clock, TPM_ROUNDS);
	measure(&b, "challenge_make, no TPM", make_challenge, VERIFY_ROUNDS);
	measure(&b, "challenge_answer", answer, TPM_ROUNDS);
	measure(&b, "seal", seal, TPM_ROUNDS);
	measure(&b, "unseal", unseal, TPM_ROUNDS);
	measure(&b, "proof_verify, no TPM", verify, VERIFY_ROUNDS);
	identity_close(b.identity);
	arena_release(&b.arena);
	arena_release(&keep);
	buf_release(&b.blob);
	lab_tpm_remove(&b.tpm);
	snprintf(command, sizeof(command), "rm -r %s", b.folder);
	if (system(command) != 0)
		stop("tidy up");
}

static void
run_software(void)
{
	struct bench b = { .folder = "/tmp/proof_bench.XXXXXX",
		.subject = { .purpose = PROOF_LOGIN,
		    .site = "site-a",
		    .tenant = "default" } };
	char command[200];

	if (mkdtemp(b.folder) == NULL ||
	    identity_open(&b.identity, b.folder, NULL) != 0)
		stop("open");
	printf("software:\n");
	b.key_len = identity_public(b.key, b.identity);
	measure(&b, "proof_make, with fsync", prove, TPM_ROUNDS);
	measure(&b, "proof_verify", verify, VERIFY_ROUNDS);
	identity_close(b.identity);
	snprintf(command, sizeof(command), "rm -r %s", b.folder);
	if (system(command) != 0)
		stop("tidy up");
}

int
main(void)
{
	if (sodium_init() < 0)
		stop("begin");
	run_tpm("swtpm, RSA-2048 endorsement key", IDENTITY_RSA);
	run_tpm("swtpm, P-256 endorsement key", IDENTITY_P256);
	run_software();
	return 0;
}
