/*
 * What the files of the queue share. Nothing else includes it.
 */
#ifndef APPLIANCE_LEDGER_QUEUE_INSIDE_H
#define APPLIANCE_LEDGER_QUEUE_INSIDE_H

#include "appliance/ledger/queue.h"

/** The pool of these names, made if there is none. ERR_NOMEM. */
int queue_pool_open(struct queue_pool **pool, struct queue *queue,
    const char *product, const char *feature, uint64_t license);
/** Frees it when nobody waits for it any more. */
void queue_pool_close_empty(struct queue *queue, struct queue_pool *pool);

/** It stands among the deadlines from now on, with the one of its state; a
 * claim on its way has none. */
void queue_time_add(struct queue *queue, struct waiter *waiter);
void queue_time_remove(struct queue *queue, struct waiter *waiter);

/** May it be offered seats? Told to its place in line. */
void queue_set_ready(struct queue *queue, struct waiter *waiter);
/** WAITER_WAITING from another state; its deadline and seats are seen to. */
void queue_wait_again(struct queue *queue, struct waiter *waiter);

#endif
