/*
 * Class `software` and `assigned`: an Ed25519 key and a counter in a folder.
 * It stands where there is no TPM and promises less: who can read the folder
 * is the device. It must not know of threads: identity.c calls one at a time.
 */
#ifndef SHARED_PROOF_SOFTWARE_H
#define SHARED_PROOF_SOFTWARE_H

#include "shared/proof/identity.h"

/* In the folder. */
#define SOFTWARE_KEY_FILE "device.key"
#define SOFTWARE_COUNTER_FILE "counter.json"

struct software;

/** `folder` is borrowed; key_file NULL: DIR/device.key, made when missing. */
int software_open(struct software **software, const char *folder,
    enum proof_class class_, const char *key_file);
void software_close(struct software *software);

void software_public(uint8_t out[PROOF_KEY_BYTES_SOFTWARE],
    const struct software *software);
int software_make(struct proof *proof, struct software *software,
    const struct proof_subject *subject);

uint64_t software_counter(const struct software *software);
int software_counter_raise(struct software *software, uint64_t to);
void software_clock(struct identity_clock *clock,
    const struct software *software);

#endif
