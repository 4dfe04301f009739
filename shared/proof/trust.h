/*
 * Whom a site believes about TPMs: a bundle of CA certificates, and which of
 * them make chips. Only this folder may use it.
 */
#ifndef SHARED_PROOF_TRUST_H
#define SHARED_PROOF_TRUST_H

#include "shared/proof/enroll.h"

#include <openssl/x509.h>

enum trust_word { TRUST_UNKNOWN, TRUST_HARDWARE, TRUST_VIRTUAL };

struct trust_issuer {
	uint8_t sha256[32]; /* of the CA's certificate */
	enum trust_word word;
};

struct proof_trust {
	X509_STORE *store; /* NULL: no bundle */
	struct trust_issuer *issuers;
	size_t n_issuers;
};

enum trust_word trust_of(const struct proof_trust *trust, X509 *certificate);

#endif
