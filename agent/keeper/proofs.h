/*
 * The device's key at work: proofs and the counter, in a helper thread, because
 * a TPM takes up to a second and the loop waits for nobody. Questions are
 * answered in their order. It must not know what a proof is for, nor sites but
 * by name.
 */
#ifndef AGENT_KEEPER_PROOFS_H
#define AGENT_KEEPER_PROOFS_H

#include "shared/proof/identity.h"

struct event_base;
struct proofs;

/** Questions that may wait; beyond, ERR_BUSY. */
#define PROOFS_MAX 1024

/**
 * From the loop, once for each question that was taken. err 0: `proof` is made
 * (proofs_make), or the counter stands at proof->counter (the others; the rest
 * of it is zero). ERR_CLOSED: the end came first. What else it may be stands
 * in identity.h.
 */
typedef void proofs_done(void *ctx, int err, const struct proof *proof);

/** The identity is borrowed until proofs_free or proofs_use. */
int proofs_new(struct proofs **proofs, struct event_base *base,
    struct identity *identity);
/** Answers what waits with ERR_CLOSED. Takes NULL. */
void proofs_free(struct proofs *proofs);
/** Another identity from now on. Waits for what is being done with the one
 * before. */
void proofs_use(struct proofs *proofs, struct identity *identity);

/* Each returns 0, or ERR_BUSY, ERR_NOMEM: then `done` is not called. */

/** The subject is copied. */
int proofs_make(struct proofs *proofs, const struct proof_subject *subject,
    proofs_done *done, void *ctx);
int proofs_counter(struct proofs *proofs, proofs_done *done, void *ctx);
/** From the number before; see identity_counter_raise. */
int proofs_raise(struct proofs *proofs, uint64_t to, proofs_done *done,
    void *ctx);

#endif
