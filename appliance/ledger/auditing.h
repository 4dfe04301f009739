/*
 * Between the ledger and its audit projection (appliance/audit): the rows that
 * are new go in, and questions that name people, hosts and addresses are put to
 * it by their ids. Names are opened for the answer alone. One thread at a time.
 * It must not know requests, tenants or when it is time to follow.
 */
#ifndef APPLIANCE_LEDGER_AUDITING_H
#define APPLIANCE_LEDGER_AUDITING_H

#include "appliance/audit/audit.h"
#include "appliance/ledger/ledger.h"
#include "shared/rpc/messages_audit.h"

/** Rows that go in in one transaction. */
#define AUDITING_ROWS 20000
/** Entries that are given up in one. */
#define AUDITING_PRUNE 5000

/**
 * Tell the projection what the journal has more, AUDITING_ROWS about; a journal
 * that is not the one it was made from (a copy was put back) makes it anew.
 *
 * @param keep_from  Entries before that time are given up; INT64_MIN: none.
 * @param[out] more  Something is left to do.
 */
int auditing_follow(bool *more, struct audit *audit, struct ledger_view *view,
    int64_t keep_from);

int auditing_search(struct audit_page *reply, struct audit *audit,
    struct ledger_view *view, const struct audit_query *query,
    struct arena *arena, struct problem *problem);

int auditing_state(struct audit_state *reply, struct audit *audit,
    struct ledger_view *view, uint32_t keep_days);

/** "user-3", "site"; the inverse is false for what is no actor. */
void auditing_write_actor(char out[32], const struct row_actor *actor);
bool auditing_read_actor(struct row_actor *actor, const char *text);

#endif
