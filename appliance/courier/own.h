/*
 * What a courier shows of itself to hubs: a P-256 key and a certificate of its
 * own, made at its start and kept in memory alone, so that no file, backup or
 * core dump has it. The site key says whose it is (shared/report/line.h). It
 * must not know hubs, nor any other key.
 */
#ifndef APPLIANCE_COURIER_OWN_H
#define APPLIANCE_COURIER_OWN_H

#include <stddef.h>
#include <stdint.h>

/** Zero-initialised is none. PEM; the key's is guarded. */
struct own {
	uint8_t *certificate, *key;
	size_t certificate_len, key_len;
	uint8_t sha256[32]; /* of the certificate's DER */
};

/** 0 or ERR_SYSTEM (logged), ERR_NOMEM. */
int own_make(struct own *own);
void own_release(struct own *own);

#endif
