/*
 * Links of the chain that verify.h describes, for those who verify: a grant
 * (verify.c) and a ticket (verify_ticket.c). Each is one step and believes what
 * the steps before it have shown; who calls keeps that order. Nobody else may
 * include it.
 */
#ifndef AGENT_LIB_VERIFY_PARTS_H
#define AGENT_LIB_VERIFY_PARTS_H

#include "agent/lib/verify.h"

/** A license and a row are small; more is not what it says it is. */
#define VERIFY_ARENA_BYTES ((size_t)256 << 10)

/** Words in `why`; returns `error`. */
int verify_say(char why[static VERIFY_WHY], int error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/** vendor root -> issuer -> license -> site key -> header. */
int verify_chain(struct verify_lease *lease, struct license *license,
    const struct local_checkout_reply *reply, const uint8_t root[32],
    struct arena *arena, char why[static VERIFY_WHY]);
/** header -> row, of whatever kind. */
int verify_row(struct row *row, const struct verify_lease *lease,
    const struct local_checkout_reply *reply, struct arena *arena,
    char why[static VERIFY_WHY]);
/** row -> license: that it is this one, and covers product and version. */
int verify_terms(const struct row_lease_granted *row,
    const struct license *license, const struct local_checkout_reply *reply,
    char why[static VERIFY_WHY]);
/** row -> license: the seats that the vendor lets the site give at the time
 * that it signed, and what they are called. */
int verify_seats(const struct row_lease_granted *row,
    const struct license *license, int64_t time_ms,
    char why[static VERIFY_WHY]);
/** Of a verified license, at a time that the site signed. */
int verify_contract(const struct license *license, int64_t time_ms,
    char why[static VERIFY_WHY]);
/** What is verified; but for `count`, of which a borrower may use less. */
void verify_fill(struct verify_lease *lease,
    const struct row_lease_granted *grant, const struct license *license);

#endif
