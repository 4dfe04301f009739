/*
 * How a site goes on under another key, when its box was lost with the TPM that
 * held the first one. While that box lives its site key names an heir: a key
 * whose secret is kept in a safe. The heir says once which key follows. Whoever
 * pinned an older key of the site follows these words, each signed, to the one
 * that signs now. A key is of use for what it signed before it was followed;
 * nothing new is believed of it. It must not know backups, nor who asks.
 */
#ifndef SHARED_LICENSE_SUCCESSION_H
#define SHARED_LICENSE_SUCCESSION_H

#include "shared/record/record.h"
#include "shared/token/token.h"

/** Keys of one site, first to last. */
#define SITE_KEYS_MAX 8
#define SUCCESSION_TOKEN_MAX 2048

/** Oldest first; the last one signs. */
struct site_keys {
	uint32_t n;
	uint8_t key[SITE_KEYS_MAX][TOKEN_PUBLIC_BYTES];
};

/** Payload of a TOKEN_HEIR, signed by the site key. */
struct succession_heir {
	char site[64];
	uint8_t heir[TOKEN_PUBLIC_BYTES];
	int64_t at;
};
/** Payload of a TOKEN_SUCCESSION, signed by the heir. */
struct succession_word {
	char site[64];
	uint8_t from[TOKEN_PUBLIC_BYTES];
	uint8_t to[TOKEN_PUBLIC_BYTES];
	int64_t at;
};
/** One step: both. */
struct succession_step {
	struct record_span heir; /* token */
	struct record_span word; /* token */
};
/** All of them, as a file. */
struct succession {
	struct record_list steps; /* succession_step, oldest first */
};
extern const struct record succession_heir_record, succession_word_record,
    succession_step_record, succession_record;

/** The field of a record that carries the steps. */
#define SUCCESSION_FIELD(type)                                               \
	R_LIST(type, succession, &succession_step_record, 0,                 \
	    SITE_KEYS_MAX - 1, RECORD_OPTIONAL,                              \
	    "How the key followed older ones of the site, whose boxes were " \
	    "lost.")

/** A site that has one key. */
struct site_keys site_keys_one(const uint8_t key[TOKEN_PUBLIC_BYTES]);
/** The one of them that the token says it is signed with; where it names none
 * of them the last one, with which it does not verify. */
const uint8_t *site_keys_of(const struct site_keys *keys, const char *token,
    size_t len);
/** The last one. */
const uint8_t *site_keys_last(const struct site_keys *keys);
/** Its place; keys->n where it is none of them. */
uint32_t site_keys_find(const struct site_keys *keys,
    const uint8_t key[TOKEN_PUBLIC_BYTES]);

/** The site key's word for an heir. */
int succession_name(struct buf *token, const char *site,
    const uint8_t heir[TOKEN_PUBLIC_BYTES], int64_t at,
    const uint8_t site_secret[TOKEN_SECRET_BYTES]);
/** Which heir that key named. */
int succession_named(uint8_t heir[TOKEN_PUBLIC_BYTES], const char *site,
    const uint8_t site_key[TOKEN_PUBLIC_BYTES], const char *token, size_t len);
/** The heir's word for the key that follows. */
int succession_follow(struct buf *token, const char *site,
    const uint8_t from[TOKEN_PUBLIC_BYTES],
    const uint8_t to[TOKEN_PUBLIC_BYTES], int64_t at,
    const uint8_t heir_secret[TOKEN_SECRET_BYTES]);

/**
 * The site's keys from a known one on. `known` NULL: from the first that the
 * steps name. Where no step leads from the known key it must be the last.
 *
 * @retval ERR_UNTRUSTED  They do not lead from there, or of another site.
 * Others: those of token_verify, ERR_NOMEM.
 */
int succession_keys(struct site_keys *keys, const char *site,
    const uint8_t known[TOKEN_PUBLIC_BYTES], const struct record_list *steps);

#endif
