/*
 * Keys that give way to others while readers go on: those in force, and those
 * before them, under which a snapshot that is still open was written. In
 * guarded memory; any thread may get, one may turn. It must not know what the
 * keys are for.
 */
#ifndef APPLIANCE_LEDGER_TURNING_H
#define APPLIANCE_LEDGER_TURNING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TURNING_KEY 32

struct turning;

/** n keys, one behind the other. NULL: no memory. */
struct turning *turning_new(const uint8_t *keys, size_t n);
/** Takes NULL. */
void turning_free(struct turning *turning);

/** Copy one out; wipe it after use. False: there is none before. */
bool turning_get(uint8_t key[TURNING_KEY], struct turning *turning,
    size_t which, bool before);

/** These are in force from now on, and the others are those before. */
void turning_turn(struct turning *turning, const uint8_t *keys);
/** It came to nothing: those before are in force. */
void turning_back(struct turning *turning);

#endif
