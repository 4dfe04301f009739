/*
 * Devices of the load generators: keys in memory, thousands of them, for what
 * is measured is the site. Class software is an Ed25519 key; class vtpm is a
 * TPM as a program: it says byte for byte what a TPM with those keys would say,
 * and a site calls it virtual, for nobody certified it. A folder remembers a
 * seed and the number at the site, so that devices come back. It must not know
 * of sockets.
 */
#ifndef TESTS_BENCH_DEVICE_H
#define TESTS_BENCH_DEVICE_H

#include "shared/proof/enroll.h"

#include <openssl/evp.h>

struct device {
	uint32_t class_; /* PROOF_SOFTWARE, PROOF_VTPM */
	uint64_t number; /* at the site; 0: it is new */
	uint64_t counter;
	uint64_t sequence;
	uint8_t seed[32];
	uint8_t key[PROOF_KEY_MAX]; /* public */
	size_t key_len;
	uint8_t secret[64]; /* software */
	EVP_PKEY *ak, *ek; /* vtpm */
	uint8_t ek_point[64];
};

/** The one of this number in the folder, or a new one. 0 or -1. */
int device_open(struct device *device, const char *folder, unsigned int number,
    uint32_t class_);
/** It has been enrolled. 0 or -1. */
int device_remember(const struct device *device, const char *folder,
    unsigned int number);
void device_close(struct device *device);

/** Was this one of the folder remembered? */
bool device_is_known(const char *folder, unsigned int number);

int device_prove(struct proof *proof, struct device *device,
    const struct proof_subject *subject);

/** What it shows when it enrolls; points into the device. */
struct proof_material device_material(const struct device *device);

/** TPM2_ActivateCredential of class vtpm: 0, or -1 when it is for another. */
int device_activate(uint8_t secret[PROOF_SECRET_BYTES],
    const struct device *device, const struct proof_challenge *challenge);

#endif
