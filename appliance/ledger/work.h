/*
 * Work handed from the loop to another thread and back: a worker runs its
 * queue in order, and what is done waits in an outbox, whose descriptor wakes
 * the loop once however much waits. It must not know what the work is.
 */
#ifndef APPLIANCE_LEDGER_WORK_H
#define APPLIANCE_LEDGER_WORK_H

#include <stdbool.h>
#include <stddef.h>

struct event_base;

/** Embed it. `run` is called on the worker, then `done` in the loop, which
 * owns it again (and may free it). */
struct work {
	struct work *next;
	void (*run)(struct work *work); /* NULL: nothing to do there */
	void (*done)(struct work *work);
};

/** First in, first out. Zero-initialised is empty. */
struct work_list {
	struct work *first, *last;
	size_t count;
};
void work_list_add(struct work_list *list, struct work *work);
struct work *work_list_take(struct work_list *list);
/** Move all of `from` behind `to`. */
void work_list_join(struct work_list *to, struct work_list *from);

/** What is done, for one loop. */
struct outbox;
struct outbox *outbox_new(struct event_base *base);
void outbox_free(struct outbox *outbox); /* its threads have ended */
/** From any thread; takes the list's content. */
void outbox_put(struct outbox *outbox, struct work_list *list);

/** One thread with a queue. Blocks all signals in it. NULL: log says why. */
struct worker;
struct worker *worker_new(const char *name, struct outbox *outbox);
void worker_put(struct worker *worker, struct work *work);
/** Finishes what is queued first. */
void worker_free(struct worker *worker);

#endif
