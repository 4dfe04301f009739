/*
 * What the parts of an identity share: identity.c owns the folder, the locks
 * and what may be read without waiting; software.c or the tpm_*.c files do the
 * work, one call at a time. Only this folder may include it.
 */
#ifndef SHARED_PROOF_IDENTITY_PRIVATE_H
#define SHARED_PROOF_IDENTITY_PRIVATE_H

#include "shared/proof/identity.h"

#include <limits.h>
#include <pthread.h>

/** Name of a file in the folder. */
#define IDENTITY_FOLDER_SIZE (PATH_MAX - 64)

struct software;
struct tpm_identity;

struct identity {
	char folder[IDENTITY_FOLDER_SIZE];
	int folder_lock; /* one process a folder: a counter has one writer */
	enum proof_class class_;
	struct software *software; /* one of these two */
	struct tpm_identity *tpm;

	pthread_mutex_t calls; /* held while a call works */
	pthread_mutex_t shown; /* for an instant, over what is read meanwhile */
	uint8_t public_key[PROOF_KEY_MAX];
	size_t public_len;
};

#endif
