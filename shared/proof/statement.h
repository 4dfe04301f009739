/*
 * The bytes that class `software` signs: class u32, counter u64, clock u64,
 * resets u64 (big-endian), then the qualifying data. A TPM makes its own. Only
 * this folder may use it: callers choose a purpose, never bytes.
 */
#ifndef SHARED_PROOF_STATEMENT_H
#define SHARED_PROOF_STATEMENT_H

#include "shared/proof/proof.h"

#define STATEMENT_BYTES 60

void statement_write(uint8_t out[STATEMENT_BYTES], const struct proof *proof,
    const struct proof_subject *subject);

#endif
