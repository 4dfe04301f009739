/*
 * Streams of events: what a tenant journals, told row by row to whoever
 * follows over HTTP. A stream is pulled: its front asks for the next rows once
 * the last are with the kernel, so a slow reader costs nothing here. Rows are
 * read back from the journal, which is why a stream goes on where it was left,
 * also after a restart; ids are row numbers, people are subject ids. It must
 * not know HTTP.
 */
#ifndef APPLIANCE_LEDGER_EVENTS_H
#define APPLIANCE_LEDGER_EVENTS_H

#include "appliance/ledger/inside.h"

/** Streams at once. */
#define EVENTS_STREAMS_MAX 512
#define EVENTS_TENANT_MAX 64
#define EVENTS_PRINCIPAL_MAX 16

/** OP_EVENTS: a stream begins, or is refused. */
void events_open(const struct request *request);
/** WIRE_MORE: what was sent is out. */
void events_more(const struct front *front, uint64_t conn, uint64_t tag);
/** Nobody reads it any more. */
void events_abandoned(const struct front *front, uint64_t conn, uint64_t tag);
/** A batch of this tenant is committed. */
void events_news(struct tenant *tenant);
/** How many follow this tenant. */
size_t events_count(const struct tenant *tenant);

/** End the streams of one principal (his credential was revoked), of a tenant
 * that closes, or of a front that is gone; those who followed come again. */
void events_close_principal(struct tenant *tenant, uint32_t kind, uint64_t id);
void events_close_tenant(struct tenant *tenant);
/** The same of one login session, which has ended. */
void events_close_login(struct process *process, uint64_t login);
void events_close_front(const struct front *front);
void events_release(struct process *process);

#endif
