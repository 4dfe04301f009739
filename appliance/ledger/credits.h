/*
 * Credit notes as the state has them: at a hub those of all customers of the
 * account, at a site those that its vendors sent. They are read for statements,
 * and never change. It must not know what is owed.
 */
#ifndef APPLIANCE_LEDGER_CREDITS_H
#define APPLIANCE_LEDGER_CREDITS_H

#include "appliance/ledger/core.h"
#include "shared/report/credit.h"

/** Those of a customer (at a hub) or of all vendors (0, at a site), by number;
 * non-zero stops, and is returned. */
int state_each_credit(const struct state *state, uint64_t customer,
    int (*each)(void *ctx, const struct row_credit *credit), void *ctx);
/** ERR_NOT_FOUND_INTERNAL: there is none. */
int state_credit(struct row_credit *out, const struct state *state,
    uint64_t customer, uint64_t number, const char *vendor);

/** One of a hub's file: by one of those keys, and not another one than is known.
 * Refuses the command. */
int sync_credit_check(struct report_credit *out, struct batch *batch,
    struct command *command, const struct record_span *token,
    const uint8_t (*keys)[TOKEN_PUBLIC_BYTES], uint32_t n_keys,
    const char *vendor);
/** That was checked: a row, where it is news. */
int sync_credit_take(struct sync_credit_view *told, struct batch *batch,
    struct command *command, const struct report_credit *credit);

/** Of a site; what a hub folds is its own (fold_hub). */
int fold_credit_taken(struct state *state, const struct row *row);
/** For folding alone. */
int state_credit_put(struct state *state, const struct row_credit *credit);

#endif
