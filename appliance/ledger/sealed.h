/*
 * Small private documents: what is kept of a person or a program besides its
 * number and plain facts (names, host names, addresses, password hashes). They
 * lie encrypted under the tenant's key, outside journal and fold, as subjects
 * do; the row that introduces one carries its commitment, so that the document
 * can be proved to be the one that was meant, and deleting it leaves the
 * journal as it is (DESIGN 5). A change is a new document with a new id: old
 * and new never share salt or nonce. It must not know what they say.
 *
 * commitment = BLAKE2b-256(salt || kind, one byte || document), salt 16 bytes
 */
#ifndef APPLIANCE_LEDGER_SEALED_H
#define APPLIANCE_LEDGER_SEALED_H

#include "appliance/ledger/state.h"

#define SEALED_ID_BYTES 16
#define SEALED_MAX ((size_t)16 << 10)
/** Random bytes for one new document: id, salt, nonce. */
#define SEALED_ENTROPY (SEALED_ID_BYTES + 16 + 24)

/** Of what a document is; numbers are stored, so they stay. */
enum sealed_kind {
	SEALED_KEY = 1, /* of an API key: its names and restrictions */
	SEALED_USER = 2,
	SEALED_CHANNEL = 8, /* where alerts go */
	SEALED_ISSUER = 20, /* of a hub's account: its issuing key */
	SEALED_CUSTOMER = 21, /* of a customer there: whom to write to */
};

/** A key derived from `root`, in guarded memory: person_key_root() makes it of
 * the tenant's key and the one that an erasure throws away. */
struct sealed_keys;
struct sealed_keys *sealed_keys_new(const uint8_t root[32]);
void sealed_keys_free(struct sealed_keys *keys);
/** As subject_keys_turn() and subject_keys_back(). */
void sealed_keys_turn(struct sealed_keys *keys, const uint8_t root[32]);
void sealed_keys_back(struct sealed_keys *keys);
/** After sealed_keys_turn(): seal all anew under the key in force. Ids and
 * commitments stay. `seed`: random, for the nonces. */
int sealed_turn(struct state *state, const struct sealed_keys *keys,
    const uint8_t seed[32]);

/**
 * Any text, sealed likewise, for who keeps it himself: appended to `out`, longer
 * by SEALED_TEXT_EXTRA, bound to `id`. After an erasure it is noise. The nonce is
 * drawn here: what is sealed so is never in a row.
 */
#define SEALED_TEXT_EXTRA ((size_t)24 + 16)
int sealed_text_add(struct buf *out, const struct sealed_keys *keys,
    const uint8_t id[SEALED_ID_BYTES], const void *text, size_t len);
/** `out` holds len - SEALED_TEXT_EXTRA. False: it does not open. */
bool sealed_text_open(uint8_t *out, const struct sealed_keys *keys,
    const uint8_t id[SEALED_ID_BYTES], const uint8_t *sealed, size_t len);

/** One document, opened; in the clear only here. */
struct sealed {
	uint8_t id[SEALED_ID_BYTES];
	uint8_t commitment[32]; /* computed from what was stored */
	uint32_t kind;
	uint32_t len;
	uint8_t data[SEALED_MAX];
};

/** Write a new one: its id comes from `entropy`, its commitment is for the row
 * that introduces it. ERR_TOO_LARGE above SEALED_MAX. */
int sealed_put(uint8_t id[SEALED_ID_BYTES], uint8_t commitment[32],
    struct state *state, const struct sealed_keys *keys, enum sealed_kind kind,
    const void *document, size_t len, const uint8_t entropy[SEALED_ENTROPY]);

/** ERR_NOT_FOUND_INTERNAL when it was deleted or is of another kind,
 * ERR_CORRUPT when it does not decrypt. Wipe `out` after use. */
int sealed_get(struct sealed *out, const struct state *state,
    const struct sealed_keys *keys, enum sealed_kind kind,
    const uint8_t id[SEALED_ID_BYTES]);
void sealed_wipe(struct sealed *sealed);

/** ERR_NOT_FOUND_INTERNAL when there is none. */
int sealed_delete(struct state *state, const uint8_t id[SEALED_ID_BYTES]);

/** Every document of a kind, in no meaningful order; stops on non-zero, which
 * is returned. One lasts for its call alone; `each` must not write. */
int sealed_each(const struct state *state, const struct sealed_keys *keys,
    enum sealed_kind kind, int (*each)(void *ctx, const struct sealed *sealed),
    void *ctx);

#endif
