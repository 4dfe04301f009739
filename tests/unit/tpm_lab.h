/*
 * TPMs and their makers for tests: swtpm processes, each with a folder of its
 * own, that can be killed, started again, and put back to an earlier state; and
 * certificate authorities that certify endorsement keys (EK). A swtpm that is
 * missing fails the test.
 */
#ifndef TESTS_UNIT_TPM_LAB_H
#define TESTS_UNIT_TPM_LAB_H

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct lab_tpm {
	char dir[64];
	char tcti[128];
	pid_t pid;
};

/* Each ends the test (or the tool) with words when it fails. */
void lab_tpm_new(struct lab_tpm *tpm);
void lab_tpm_start(struct lab_tpm *tpm);
void lab_tpm_kill(struct lab_tpm *tpm);
void lab_tpm_remove(struct lab_tpm *tpm);
/** Copy its state aside, and back while it does not run. */
void lab_tpm_save(const struct lab_tpm *tpm, const char *name);
void lab_tpm_restore(const struct lab_tpm *tpm, const char *name);

struct lab_ca {
	X509 *certificate;
	EVP_PKEY *key;
};
/** Self-signed, or signed by `above`. */
void lab_ca_new(struct lab_ca *ca, const char *name,
    const struct lab_ca *above);
void lab_ca_release(struct lab_ca *ca);
/** Append it to a file of PEM. */
void lab_ca_write(const struct lab_ca *ca, const char *path);
/** "hardware <fingerprint>" appended to a file. */
void lab_ca_list(const struct lab_ca *ca, const char *path, const char *word);

/** What a certificate says otherwise than an EK's should. */
struct lab_leaf {
	bool no_manufacturer;
	const char *manufacturer; /* NULL: "id:4C454153" */
	bool critical_name; /* as where the subject is empty (TCG) */
	bool unknown_critical; /* an extension that nobody knows */
	const char *usage; /* extended; NULL: that of EKs; "": none */
	int64_t not_before_s, not_after_s; /* from now; 0: an hour, a year */
	uint64_t serial; /* 0: random */
	bool sha1; /* signed so */
	bool odd_key; /* the key's algorithm is one that nobody reads */
	bool usage_twice; /* the extension is there twice */
	bool more_names; /* before and behind the TPM's */
};
/** DER of a certificate for the EK (256 or 64 bytes); returns its length. */
size_t lab_certify(uint8_t out[4096], const struct lab_ca *ca,
    const uint8_t *ek, size_t ek_len, const struct lab_leaf *leaf);

/** As its maker does: into the index of the TCG, by the platform. */
void lab_tpm_put_certificate(const struct lab_tpm *tpm, size_t ek_len,
    const uint8_t *der, size_t len);

/** Extend a PCR of its SHA-256 bank, as firmware does. */
void lab_tpm_extend(const struct lab_tpm *tpm, uint32_t pcr,
    const uint8_t digest[32]);

#endif
