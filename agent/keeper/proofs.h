/*
 * The device's key at work: proofs, the counter, enrolment, in a helper thread,
 * because a TPM takes up to a second, and several while it is opened; the loop
 * waits for nobody. It owns the identity in use, and questions are answered in
 * their order. It must not know what a proof is for, nor sites but by name.
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
 * of it is zero). ERR_CLOSED: the end came first. ERR_UNAVAILABLE: no identity
 * is open, or as in identity.h, where what else it may be stands.
 */
typedef void proofs_done(void *ctx, int err, const struct proof *proof);

/** Starts the thread: before the sandbox closes. Takes the identity, on errors
 * too; NULL: none is open yet. */
int proofs_new(struct proofs **proofs, struct event_base *base,
    struct identity *identity);
/** Waits for what is being done, answers the rest with ERR_CLOSED, and closes
 * the identity. Takes NULL. */
void proofs_free(struct proofs *proofs);

/* Each returns 0, or ERR_BUSY, ERR_NOMEM: then `done` is not called. */

/** The subject is copied. */
int proofs_make(struct proofs *proofs, const struct proof_subject *subject,
    proofs_done *done, void *ctx);
int proofs_counter(struct proofs *proofs, proofs_done *done, void *ctx);
/** From the number before; see identity_counter_raise. */
int proofs_raise(struct proofs *proofs, uint64_t to, proofs_done *done,
    void *ctx);

/** Anything else, in the thread: `*identity` is the one in use, or NULL, and
 * another may be put in its place. */
typedef int proofs_work(void *ctx, struct identity **identity);
/** `err` is what the work said, or ERR_CLOSED: it was never done. */
typedef void proofs_ran(void *ctx, int err);
/** Not counted against PROOFS_MAX: its callers are few. */
int proofs_run(struct proofs *proofs, proofs_work *work, proofs_ran *done,
    void *ctx);

#endif
