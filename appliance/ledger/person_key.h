/*
 * The key that an erasure throws away. Names of people lie in the store
 * encrypted, and a store keeps old pages: what is deleted there can be read
 * again by who has the tenant's key and the disk. So the keys of everything
 * that names people are made of two: the tenant's, and this one, which lies in
 * a file of its own, `people.key`, and is written over in place when somebody
 * is erased. What stays is sealed anew under the next one in the same
 * transaction; whatever old pages hold is noise then.
 *
 * The file has two places, one for every other generation; which of them is in
 * force stands in the store, so that the commit decides:
 *
 *	the next key is written into the other place, and synced
 *	the store commits: everything lies under it, the generation is the next
 *	the place of the old key is written over, and synced
 *
 * A crash between the steps is repaired when the file is opened: the place that
 * is not in force is written over.
 *
 * It cannot reach copies that were made before: backups, snapshots of the disk,
 * blocks that a drive has set aside. It must not know the store.
 */
#ifndef APPLIANCE_LEDGER_PERSON_KEY_H
#define APPLIANCE_LEDGER_PERSON_KEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PERSON_KEY_FILE "people.key"
#define PERSON_KEY_BYTES 32
/** All of the file: 8 bytes that name it, two places. */
#define PERSON_KEY_FILE_BYTES (8 + 2 * PERSON_KEY_BYTES)

struct person_key;

/**
 * Open the file in the folder; with `create` one is made where there is none.
 * @param volatile_  never sync: for the simulator
 * Errors are logged: ERR_CORRUPT when it is missing or no such file.
 */
int person_key_open(struct person_key **key, const char *folder, bool create,
    bool volatile_);
/** Takes NULL. */
void person_key_close(struct person_key *key);

/** The generation that the store names is in force: the other place is
 * written over, unless it is already. ERR_CORRUPT when there is no key. */
int person_key_settle(struct person_key *key, uint64_t generation);

/** What keys are derived from: of the tenant's key and that of a generation,
 * which is the one in force, the next, or the one before. */
int person_key_root(uint8_t root[32], const struct person_key *key,
    uint64_t generation, const uint8_t tenant_key[32]);

/** Put the next generation's key into the other place. */
int person_key_next(struct person_key *key,
    const uint8_t fresh[PERSON_KEY_BYTES]);
/** It came to nothing. */
void person_key_back(struct person_key *key);

/** A file with the key of that generation alone, for a copy of the store. Any
 * thread. ERR_BUSY when somebody was erased meanwhile: copy both again. */
int person_key_copy(uint8_t file[PERSON_KEY_FILE_BYTES], struct person_key *key,
    uint64_t generation);
/** Write such a file into a folder that has none, synced. */
int person_key_write(const char *folder,
    const uint8_t file[PERSON_KEY_FILE_BYTES]);

#endif
