/*
 * What both halves of a site's check of an enrolment share: the EK that the
 * public key names. Only this folder may use it.
 */
#ifndef SHARED_PROOF_ENDORSE_H
#define SHARED_PROOF_ENDORSE_H

#include "shared/proof/enroll.h"
#include "shared/proof/template.h"

#include <openssl/evp.h>

/** Does the public key stand under this EK? False too when either is none.
 * `key` points into `public_key`. */
bool endorse_key_fits(struct template_key *key,
    const struct proof_material *material, const uint8_t *public_key,
    size_t len);

/** The EK for libcrypto, to be freed; NULL: it is no key. */
EVP_PKEY *endorse_ek_read(const struct record_span *ek);

#endif
