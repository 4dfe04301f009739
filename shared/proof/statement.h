/*
 * The bytes that are signed. Class `software` and `assigned`: class u32,
 * sequence, counter, clock, resets u64 each (big-endian), then the qualifying
 * data. A TPM's are in template.h. Only this folder may use it: callers choose
 * a purpose, never bytes.
 */
#ifndef SHARED_PROOF_STATEMENT_H
#define SHARED_PROOF_STATEMENT_H

#include "shared/proof/proof.h"

#define STATEMENT_BYTES 68

void statement_write(uint8_t out[STATEMENT_BYTES], const struct proof *proof,
    const struct proof_subject *subject);

#endif
