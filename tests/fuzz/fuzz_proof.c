/* What strangers send to be believed: proofs, public keys, certificates,
 * endorsement keys. Nothing holds but what a TPM signed (tests/data/tpm). The
 * first byte picks what is tried. */
#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/base/text.h"
#include "shared/proof/enroll.h"
#include "shared/proof/p256.h"
#include "shared/proof/template.h"

#include <assert.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* When the recorded certificate was good: 2027-01-01. */
#define NOW_MS ((int64_t)1798761600000)

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What was recorded; read once. */
static struct {
	uint8_t key[PROOF_KEY_BYTES_TPM];
	struct proof proof;
	uint8_t enrolled_key[PROOF_KEY_BYTES_TPM];
	uint8_t ek[PROOF_EK_MAX];
	size_t ek_len;
	uint8_t certificate_id[32];
	struct proof_trust *trust;
} known;

static struct proof_subject
make_subject(void)
{
	struct proof_subject subject = { .purpose = PROOF_BORROW,
		.site = "site-a",
		.tenant = "default",
		.device = 7 };

	memset(subject.nonce, 0x11, 32);
	memset(subject.exporter, 0x22, 32);
	memset(subject.request_digest, 0x33, 32);
	return subject;
}

/* --- what is known -------------------------------------------------------- */

static size_t
read_line(uint8_t *out, size_t size, FILE *file)
{
	char line[4200];
	size_t len;

	assert(fgets(line, sizeof(line), file) != NULL);
	const char *hex = strchr(line, ' ') + 1;

	assert(text_from_hex(out, size, &len, hex, strcspn(hex, "\n")) == 0);
	return len;
}

static FILE *
open_data(const char *name)
{
	char path[300];

	snprintf(path, sizeof(path), TESTS_FOLDER "/data/tpm/%s", name);
	FILE *file = fopen(path, "re");

	assert(file != NULL);
	return file;
}

static void
read_honest(void)
{
	uint8_t attest[TEMPLATE_ATTEST_BYTES], ak[64];
	FILE *file = open_data("honest.txt");
	struct proof *proof = &known.proof;

	assert(read_line(known.key, sizeof(known.key), file) == 101);
	assert(read_line(ak, sizeof(ak), file) == 64);
	assert(read_line(attest, sizeof(attest), file) == sizeof(attest));
	assert(read_line(proof->signature, 64, file) == 64);
	p256_lower(proof->signature + 32);
	fclose(file);
	proof->class_ = PROOF_TPM;
	proof->clock_ms = be64_read(attest + 76);
	proof->resets = be32_read(attest + 84);
	proof->restarts = be32_read(attest + 88);
	proof->clock_unsafe = attest[92] == 0;
	memcpy(proof->firmware, attest + 93, 8);
	proof->counter = be64_read(attest + 141);
}

static void
read_enrolled(void)
{
	uint8_t der[PROOF_CERTIFICATE_MAX];
	FILE *file = open_data("enrolled.txt");
	struct proof_endorsement found;

	assert(read_line(known.enrolled_key, 101, file) == 101);
	known.ek_len = read_line(known.ek, sizeof(known.ek), file);
	struct proof_material material = {
		{ known.ek, (uint32_t)known.ek_len },
		{ der, (uint32_t)read_line(der, sizeof(der), file) },
	};

	fclose(file);
	assert(
	    proof_trust_open(&known.trust, TESTS_FOLDER "/data/tpm/maker.pem",
		TESTS_FOLDER "/data/tpm/issuers.txt") == 0);
	assert(proof_material_judge(&found, known.trust, &material,
		   known.enrolled_key, 101, NOW_MS) == 0);
	assert(found.class_ == PROOF_TPM);
	memcpy(known.certificate_id, found.certificate_id, 32);
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	struct proof_subject subject = make_subject();

	(void)argc;
	(void)argv;
	assert(sodium_init() >= 0);
	log_open("fuzz", LOG_ERROR + 1, 0);
	read_honest();
	assert(proof_verify(&known.proof, &subject, known.key, 101) == 0);
	read_enrolled();
	return 0;
}

/* --- what is tried -------------------------------------------------------- */

/* A proof as it travels, for the key that is known. */
static void
read_proof(const uint8_t *data, size_t size)
{
	struct proof_subject subject = make_subject();
	struct arena arena = { 0 };
	struct proof proof;

	if (record_read_msgpack(&proof, &proof_record, data, size, NULL, &arena,
		NULL) == 0 &&
	    proof_verify(&proof, &subject, known.key, 101) == 0)
		assert(
		    memcmp(&proof.signature, known.proof.signature, 64) == 0 &&
		    proof.counter == known.proof.counter &&
		    proof.clock_ms == known.proof.clock_ms &&
		    proof.resets == known.proof.resets &&
		    proof.restarts == known.proof.restarts &&
		    proof.sequence == 0 &&
		    proof.clock_unsafe == known.proof.clock_unsafe);
	arena_release(&arena);
}

/* The proof that is known, for a key as the stranger says. */
static void
read_key(const uint8_t *data, size_t size)
{
	struct proof_subject subject = make_subject();
	struct template_key key;
	uint8_t again[PROOF_KEY_BYTES_TPM];

	if (template_key_read(&key, data, size)) {
		template_key_write(again, &key);
		assert(memcmp(again, data, sizeof(again)) == 0);
	}
	if (proof_verify(&known.proof, &subject, data, size) == 0)
		assert(size == sizeof(known.key) &&
		    memcmp(data, known.key, size) == 0);
}

static void
read_certificate(const uint8_t *data, size_t size)
{
	struct proof_material material = {
		{ known.ek, (uint32_t)known.ek_len },
		{ data, (uint32_t)size },
	};
	struct proof_endorsement found;
	int err = proof_material_judge(&found, known.trust, &material,
	    known.enrolled_key, 101, NOW_MS);

	if (err == 0 && found.class_ == PROOF_TPM)
		assert(memcmp(found.certificate_id, known.certificate_id, 32) ==
		    0);
	else if (err == 0)
		assert(found.class_ == PROOF_VTPM && found.reason[0] != '\0');
	assert(strlen(found.issuer) < sizeof(found.issuer) &&
	    text_is_printable(found.issuer, strlen(found.issuer)) &&
	    text_is_printable(found.manufacturer, strlen(found.manufacturer)));
}

/* An EK of the stranger's, and his public key under it. */
static void
challenge(const uint8_t *data, size_t size)
{
	uint8_t area[TEMPLATE_PUBLIC_MAX], qualified[32], ak[64] = { 1 };
	uint8_t public_key[PROOF_KEY_BYTES_TPM];
	struct template_key key = { TEMPLATE_COUNTER_FIRST, qualified, ak,
		ak + 32 };
	const uint8_t secret[PROOF_SECRET_BYTES] = { 2 };
	struct proof_material material = { .ek = { data, (uint32_t)size } };
	struct proof_challenge made;
	struct arena arena = { 0 };
	size_t len = template_ek_public(area, data, size);

	template_ek_qualified(qualified, area, len);
	template_key_write(public_key, &key);
	int err = proof_challenge_make(&made, &arena, secret, &material,
	    public_key, sizeof(public_key));

	assert((err == 0) == (made.seed.len != 0));
	assert(err == 0 || err == ERR_BAD_PROOF);
	assert(err != 0 || size == 64 || size == 256);
	arena_release(&arena);
}

/* The two files of the site's own, which may be damaged. */
static void
read_files(const uint8_t *data, size_t size)
{
	struct proof_trust *trust = NULL;
	char path[40];
	int fd = memfd_create("fuzz", MFD_CLOEXEC);

	assert(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	int err = proof_trust_open(&trust, NULL, path);

	assert((err == 0) == (trust != NULL));
	proof_trust_close(trust);
	trust = NULL;
	err = proof_trust_open(&trust, path, NULL);
	assert((err == 0) == (trust != NULL));
	proof_trust_close(trust);
	close(fd);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	switch (data[0] % 5) {
	case 0:
		read_proof(data + 1, size - 1);
		break;
	case 1:
		read_key(data + 1, size - 1);
		break;
	case 2:
		read_certificate(data + 1, size - 1);
		break;
	case 3:
		challenge(data + 1, size - 1);
		break;
	default:
		read_files(data + 1, size - 1);
		break;
	}
	return 0;
}
