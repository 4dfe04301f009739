/*
 * What applications say was used, on its way to the site: asked once, with the
 * event's own id, and never again by itself. Who does not hear what became of it
 * says it again, and the site counts it once. It must not know metrics or
 * limits. Of private.h.
 */
#ifndef AGENT_KEEPER_USAGE_H
#define AGENT_KEEPER_USAGE_H

#include "agent/keeper/application.h"
#include "shared/rpc/messages_usage.h"

#include <sys/queue.h>

LIST_HEAD(usage_list, usage_telling);

/** Answers now or later. */
void usage_tell(struct application *application, const struct asker *asker,
    const struct usage_event *event);
/** Nobody hears any more. After calls_free(). */
void usage_close(struct keeper *keeper);

#endif
