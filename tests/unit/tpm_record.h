/*
 * Statements that a TPM signed, kept as data (tests/data/tpm): so the verifier
 * is tested without a TPM too. Lines of "name hex". check_proof_attacks writes
 * them anew when LEASEHOLD_RECORD names the folder.
 */
#ifndef TESTS_UNIT_TPM_RECORD_H
#define TESTS_UNIT_TPM_RECORD_H

#include "shared/base/text.h"
#include "tests/unit/tpm_attacker.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct recorded {
	uint8_t public_key[PROOF_KEY_BYTES_TPM]; /* as enrolled */
	uint8_t ak[64]; /* who signed */
	struct statement statement;
};

/** What all of them are over. */
static inline struct proof_subject
recorded_subject(void)
{
	struct proof_subject subject = {
		.purpose = PROOF_BORROW,
		.site = "site-a",
		.tenant = "default",
		.device = 7,
	};

	memset(subject.nonce, 0x11, sizeof(subject.nonce));
	memset(subject.exporter, 0x22, sizeof(subject.exporter));
	memset(subject.request_digest, 0x33, sizeof(subject.request_digest));
	return subject;
}

static inline void
record_line(FILE *file, const char *name, const uint8_t *data, size_t len)
{
	char hex[4096];

	text_to_hex(hex, data, len);
	fprintf(file, "%s %s\n", name, hex);
}

static inline void
recorded_write(const struct recorded *r, const char *name)
{
	const char *folder = getenv("LEASEHOLD_RECORD");
	char path[300];

	if (folder == NULL)
		return;
	snprintf(path, sizeof(path), "%s/%s.txt", folder, name);
	FILE *file = fopen(path, "we");

	ck_assert_ptr_nonnull(file);
	record_line(file, "public_key", r->public_key, sizeof(r->public_key));
	record_line(file, "ak", r->ak, sizeof(r->ak));
	record_line(file, "attest", r->statement.attest, r->statement.len);
	record_line(file, "signature", r->statement.signature, 64);
	ck_assert_int_eq(fclose(file), 0);
}

static inline size_t
recorded_line(uint8_t *out, size_t size, FILE *file, const char *name)
{
	char line[4200];
	size_t len = 0, head = strlen(name);

	ck_assert_ptr_nonnull(fgets(line, sizeof(line), file));
	line[strcspn(line, "\n")] = '\0';
	ck_assert_msg(strncmp(line, name, head) == 0 && line[head] == ' ',
	    "want %s", name);
	ck_assert_int_eq(text_from_hex(out, size, &len, line + head + 1,
			     strlen(line + head + 1)),
	    0);
	return len;
}

static inline void
recorded_read(struct recorded *r, const char *name)
{
	char path[300];

	snprintf(path, sizeof(path), "%s/data/tpm/%s.txt", TESTS_FOLDER, name);
	FILE *file = fopen(path, "re");

	ck_assert_msg(file != NULL, "%s", path);
	memset(r, 0, sizeof(*r));
	ck_assert_uint_eq(recorded_line(r->public_key, sizeof(r->public_key),
			      file, "public_key"),
	    sizeof(r->public_key));
	ck_assert_uint_eq(recorded_line(r->ak, sizeof(r->ak), file, "ak"),
	    sizeof(r->ak));
	r->statement.len = recorded_line(r->statement.attest,
	    sizeof(r->statement.attest), file, "attest");
	ck_assert_uint_eq(recorded_line(r->statement.signature, 64, file,
			      "signature"),
	    64);
	fclose(file);
}

#endif
