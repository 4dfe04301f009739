/*
 * The constant templates: public areas of the endorsement key (EK), the
 * attestation key (AK) and the counter, byte for byte as a TPM marshals them,
 * their Names, and the statement that TPM2_NV_Certify signs about them. A site
 * accepts these and no others, so only what differs from TPM to TPM travels.
 * Sources: TPM 2.0 Library, parts 1 (16, Names; 26, qualified Names) and 2
 * (10.12, 12.2, 13); TCG EK Credential Profile 2.x, templates L-1 and L-2.
 * Pure: no TPM, no crypto but SHA-256. Only this folder may use it.
 */
#ifndef SHARED_PROOF_TEMPLATE_H
#define SHARED_PROOF_TEMPLATE_H

#include "shared/proof/proof.h"

struct quote;

/** SHA-256's number and the digest. */
#define TEMPLATE_NAME_BYTES 34
/** Of the largest public area: an RSA EK. */
#define TEMPLATE_PUBLIC_MAX 314
#define TEMPLATE_COUNTER_BYTES 46
#define TEMPLATE_ATTEST_BYTES 149
#define TEMPLATE_QUOTE_BYTES 145

/* EK by the length of its key; see proof_material. */
#define TEMPLATE_EK_RSA_BYTES 256
#define TEMPLATE_EK_P256_BYTES 64

/** Counters have a range of their own among the owner's indexes. */
#define TEMPLATE_COUNTER_FIRST 0x0199ea00u
#define TEMPLATE_COUNTERS 64u

/** A public key of class tpm taken apart; the spans point into it. */
struct template_key {
	uint32_t index; /* of the counter */
	const uint8_t *ek_qualified; /* digest of the qualified Name [32] */
	const uint8_t *x, *y; /* of the AK [32] */
};

/** False: not a key of this format. */
bool template_key_read(struct template_key *key, const uint8_t *bytes,
    size_t len);
void template_key_write(uint8_t out[PROOF_KEY_BYTES_TPM],
    const struct template_key *key);

/** TPMT_PUBLIC of an EK; key NULL: the template to make one of that size.
 * Returns its length; 0 when `len` is that of no EK. */
size_t template_ek_public(uint8_t out[TEMPLATE_PUBLIC_MAX], const uint8_t *key,
    size_t len);

/** TPMT_PUBLIC of an AK; x and y NULL: the template to make one. */
size_t template_ak_public(uint8_t out[TEMPLATE_PUBLIC_MAX], const uint8_t *x,
    const uint8_t *y);

/** TPMS_NV_PUBLIC of a counter, `written` or new. */
void template_counter_public(uint8_t out[TEMPLATE_COUNTER_BYTES],
    uint32_t index, bool written);

/** Name of a public area. */
void template_name(uint8_t out[TEMPLATE_NAME_BYTES], const uint8_t *public_area,
    size_t len);

/** Digest of the qualified Name of the EK, a primary of the endorsement
 * hierarchy: of other hierarchies' keys it differs. */
void template_ek_qualified(uint8_t out[32], const uint8_t *ek_public,
    size_t len);

/** The TPMS_ATTEST that the TPM signs for this proof. */
void template_attest(uint8_t out[TEMPLATE_ATTEST_BYTES],
    const struct proof *proof, const struct template_key *key,
    const uint8_t qualifying[32]);

/** The same for a quote of its PCRs. */
void template_quote(uint8_t out[TEMPLATE_QUOTE_BYTES],
    const struct quote *quote, const struct template_key *key,
    const uint8_t qualifying[32]);

#endif
