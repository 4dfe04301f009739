/*
 * What every way to a seat has in common, a checkout's and a borrow's: which
 * license grants it, which slots of which pool, and the row that says so. It
 * must not know why somebody may have a seat beyond that. Only the core's
 * decide_*.c may include it.
 */
#ifndef APPLIANCE_LEDGER_GRANT_H
#define APPLIANCE_LEDGER_GRANT_H

#include "appliance/ledger/core.h"

/** A grant on its way to its row. */
struct grant {
	const struct checkout *request;
	uint8_t digest[16];
	uint32_t count; /* seats wanted, at least 1 */
	const struct state_license *license;
	struct pool_id id; /* of the seats it draws from */
	struct state_pool pool;
	struct license_seats seats; /* of it that the license grants now */
	struct policy_verdict verdict; /* of the site's policy */
	uint64_t overage_checkouts; /* of the license, so far */
	struct row_slots *slots; /* in the command's arena */
	uint32_t n_slots;
};

/** For whom it is, by subject. */
struct grant_people {
	uint8_t user[SUBJECT_BYTES];
	uint8_t host[SUBJECT_BYTES];
};

/* Each returns 0, also when it refused, or a fault. */

/** The license that grants the request today; into grant->license and id. */
int grant_find_license(struct grant *grant, struct batch *batch,
    struct command *command);

/** Does the license take devices of this one's class? */
int grant_check_class(struct batch *batch, struct command *command,
    const struct license *license);

/** All or none of the seats: the lowest free slots say what they are: below
 * commit_qty commit, else overage; all of them overage where the contract is
 * over. Into grant->pool, seats and slots. */
int grant_choose_slots(struct grant *grant, struct batch *batch,
    struct command *command);

/* In grant_policy.c. */

/** Who asks for what. */
void grant_facts(struct policy_facts *out, const struct grant *grant,
    const struct command *command);
/** What the tenant's policy says, into grant->verdict; the pool is known. */
void grant_judge(struct grant *grant, struct batch *batch,
    const struct command *command);
/** Refuse as the verdict says. Always 0. */
int grant_refuse_policy(struct command *command, const struct grant *grant);
/** Before a borrow: its bounds are the site's and the policy's; refused where
 * the policy lends nothing. */
int grant_narrow_borrow(struct batch *batch, struct command *command,
    const struct grant *grant);
/** After its row: it is held. */
int grant_count(struct batch *batch, const struct command *command,
    const struct grant *grant, uint64_t lease);

/** What is left after the grant, and what overage costs. */
void grant_fill_seats(struct ledger_seats *out, const struct grant *grant);
/** The same for a lease that is there already. */
int grant_find_seats(struct ledger_seats *out, struct batch *batch,
    struct command *command, const struct state_lease *lease);

/** Emits rows for those who are seen for the first time. */
int grant_find_people(struct grant_people *out, struct batch *batch,
    struct command *command, const struct grant *grant);

/** All but ttl_s and grace_s. */
void grant_fill(struct row_lease_granted *r, const struct batch *batch,
    const struct command *command, const struct grant *grant,
    const struct grant_people *people);

/* In decide_borrow.c: a device that owes no proof of a return; else a refusal.
 * Costs one read for those who never borrowed. */
int decide_owes_nothing(struct batch *batch, struct command *command);

/* In decide_return.c: end a borrow without a proof, and its seats with the end
 * of its window. */
int decide_give_up(struct batch *batch, struct command *command,
    const struct state_lease *lease, enum borrow_end reason);

#endif
