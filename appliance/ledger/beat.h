/*
 * Beats: one signed document a renewal round, over (lease, nonce, ttl_s) of
 * each lease in order (DESIGN 8). Not journaled; it names the newest batch, so
 * that a client learns of it. It must not know of sessions or deadlines.
 */
#ifndef APPLIANCE_LEDGER_BEAT_H
#define APPLIANCE_LEDGER_BEAT_H

#include "shared/journal/journal.h"

/** Append the token. `leaves` are count * 32 bytes, made by
 * journal_beat_leaf. Returns 0 or an error of signing. */
int beat_sign(struct buf *token, const struct journal_header *newest,
    const uint8_t head[32], int64_t now_ms, const uint8_t *leaves,
    uint32_t count, const uint8_t secret[TOKEN_SECRET_BYTES]);

#endif
