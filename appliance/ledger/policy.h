/*
 * A tenant's policy, compiled: what a document says, asked for every seat. What
 * the rules mean stands in POLICY.md. Names are kept as keyed hashes alone:
 * memory holds nobody's name. It must not know stores, rows, commands or
 * licenses: how many seats there are, and who holds them, it is told.
 *
 * One policy is asked and counted by one thread at a time; the caller sees to
 * it.
 */
#ifndef APPLIANCE_LEDGER_POLICY_H
#define APPLIANCE_LEDGER_POLICY_H

#include "shared/rpc/messages_policy.h"

/** In place of the name of a user or host that was erased: nobody. */
#define POLICY_ERASED "(erased)"

struct policy;

/**
 * Check a document and make a policy of it. It holds no lease yet.
 *
 * @param error  May be NULL: names the field, and says what is wrong with it.
 * @retval ERR_BAD_REQUEST  It does not hold.
 * @retval ERR_NOMEM
 */
int policy_compile(struct policy **policy,
    const struct policy_document *document, struct record_error *error);
void policy_free(struct policy *policy);

/** Members of all its groups and rules. */
uint32_t policy_count_members(const struct policy_document *document);

/** The groups of its document, by their places, that name this user; at most
 * POLICY_GROUPS_MAX. What of them names hosts, devices or addresses is not asked.
 */
uint32_t policy_user_groups(uint32_t groups[POLICY_GROUPS_MAX],
    const struct policy *policy, const struct policy_document *document,
    const char *user);

/** Must it be told who holds what? Else policy_hold() and policy_end() do
 * nothing. */
bool policy_counts(const struct policy *policy);

/** Who asks for what, or holds it. */
struct policy_facts {
	const char *user, *host; /* "": nobody said, or erased */
	uint64_t device;
	const char *address; /* of the peer; NULL: not known */
	const char *product, *version, *feature;
	uint32_t count; /* seats */
};

struct policy_verdict {
	/** 0; ERR_EXCLUDED: never; ERR_POLICY_MAX, ERR_RESERVED: not now. */
	int err;
	char rule[64]; /* that says so; "" where no include fits */
	uint32_t seats; /* of that rule */
	uint32_t held; /* what it counts already; of ERR_RESERVED: of the pool's
			  free seats, those that are for others */
};

/**
 * May they have it, with `free` seats free in the pool of their product and
 * feature, of which `offered` are set aside for others? Whether the seats
 * suffice without a policy is the caller's to find out.
 */
void policy_judge(struct policy_verdict *verdict, struct policy *policy,
    const struct policy_facts *facts, uint64_t free, uint64_t offered);

/** Seats of the pool that are kept for others than these. */
uint64_t policy_reserved(struct policy *policy,
    const struct policy_facts *facts);

/** And those that are kept for them, still unfilled. */
uint64_t policy_own(struct policy *policy, const struct policy_facts *facts);

/** A lease is held from now on. ERR_NOMEM: nothing changed. */
int policy_hold(struct policy *policy, uint64_t lease,
    const struct policy_facts *facts);
/** It has ended; unknown ones are passed over. */
void policy_end(struct policy *policy, uint64_t lease);
/** How long its seats stay taken when it is given back; 0: they do not. */
uint32_t policy_linger_s(const struct policy *policy, uint64_t lease);

/** After how long without work its seats are taken back; 0: never.
 * @param reports  Its application says when somebody works with it. */
uint32_t policy_idle_s(const struct policy *policy, uint64_t lease,
    bool reports);

/** What it says of borrowing; zero: nothing. */
struct policy_borrow {
	bool none;
	uint32_t longest_s;
	uint32_t seats;
	uint32_t keep;
	char rule[64]; /* of none */
};
void policy_of_borrow(struct policy_borrow *out, struct policy *policy,
    const struct policy_facts *facts);

/** What it says of waiting; zero: nothing. */
struct policy_queue {
	bool none;
	uint32_t length;
	uint32_t wait_s;
	uint32_t priority;
	char rule[64]; /* of none, or of length */
};
void policy_of_queue(struct policy_queue *out, struct policy *policy,
    const struct policy_facts *facts);

#endif
