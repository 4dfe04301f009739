/*
 * P-256 as proofs use it: points by their two coordinates, and the one form of
 * a signature: with s also n - s signs the same, so a proof carries the lower
 * of both. Only this folder may use it.
 */
#ifndef SHARED_PROOF_P256_H
#define SHARED_PROOF_P256_H

#include <openssl/evp.h>
#include <stdbool.h>
#include <stdint.h>

/** A public key, to be freed; NULL: not a point of the curve, or no memory. */
EVP_PKEY *p256_key(const uint8_t x[32], const uint8_t y[32]);

/** Does r, s sign that SHA-256 digest with the key at x, y? */
bool p256_verify(const uint8_t digest[32], const uint8_t signature[64],
    const uint8_t x[32], const uint8_t y[32]);

/** At most half of the curve's order. */
bool p256_is_low(const uint8_t s[32]);

/** n - s where s is above the half. */
void p256_lower(uint8_t s[32]);

#endif
