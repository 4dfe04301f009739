/*
 * The ledger's end of the courier: jobs go out with an id, and each comes back
 * once, with its result or without: when the courier dies or does not answer,
 * it is told so here. In the loop. It must not know what the jobs are.
 */
#ifndef APPLIANCE_LEDGER_OUTWARD_H
#define APPLIANCE_LEDGER_OUTWARD_H

#include "appliance/courier/jobs.h"

#include <stdbool.h>

struct event_base;
struct outward;

/** `patience_ms`: how long a job may take. NULL: no memory. */
struct outward *outward_new(int64_t patience_ms);
void outward_free(struct outward *outward);

/** A courier has started; takes fd. The one before is gone. */
int outward_attach(struct outward *outward, struct event_base *base, int fd);

/** err 0 with the result's bytes, good until the return; or
 * ERR_UNAVAILABLE. */
typedef void outward_done(void *ctx, int err, const uint8_t *payload,
    size_t len);

/** 0, and `done` will be called, never from here; or ERR_UNAVAILABLE. The
 * payload is copied. */
int outward_send(struct outward *outward, enum courier_job kind,
    const void *payload, size_t len, outward_done *done, void *ctx);

/** SHA-256 of what the courier that is there shows to hubs; false: there is none,
 * or it has not said so yet. */
bool outward_certificate(const struct outward *outward, uint8_t sha256[32]);

/** How long jobs of that kind may take, where that is longer. */
void outward_be_patient(struct outward *outward, enum courier_job kind,
    int64_t patience_ms);

/** Once a second. */
void outward_tick(struct outward *outward);

#endif
