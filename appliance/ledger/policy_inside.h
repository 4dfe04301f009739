/*
 * What the files of a compiled policy share; see policy.h. Nothing else
 * includes it.
 *
 * Whoever is named stands in sets: one for each group, and one for each rule's
 * own names. A name is found by its keyed hash and says in which sets it is; a
 * rule is about somebody who is in its own set or in one of its groups'.
 */
#ifndef APPLIANCE_LEDGER_POLICY_INSIDE_H
#define APPLIANCE_LEDGER_POLICY_INSIDE_H

#include "appliance/ledger/policy.h"
#include "appliance/ledger/table.h"

#define POLICY_KEY_BYTES 16
#define POLICY_SETS_MAX (POLICY_GROUPS_MAX + POLICY_RULES_MAX)

/** What kind of thing a name is; part of what is hashed. */
enum policy_name {
	POLICY_NAME_USER,
	POLICY_NAME_HOST,
	POLICY_NAME_BELOW, /* all hosts below it */
	POLICY_NAME_DEVICE,
	POLICY_NAME_V4, /* a range; one for each length of prefix */
	POLICY_NAME_V6,
};

struct policy_member {
	uint8_t key[POLICY_KEY_BYTES];
	uint32_t set;
};

/** What a maximum counts for one of those whom its rule names. */
struct policy_single {
	uint8_t key[POLICY_KEY_BYTES];
	uint64_t held;
	struct policy_single *next; /* of the same hash */
};

struct policy_compiled {
	const char *name, *product, *version, *feature; /* in policy->text */
	uint32_t kind, each;
	uint32_t set; /* of its own names */
	bool anybody;
	const uint32_t *groups; /* sets */
	uint32_t n_groups;
	uint32_t seats, linger_s, longest_s, keep, length, wait_s, priority;
	uint32_t idle_s;
	bool none, silent;
	uint64_t held; /* by all whom it names */
};

/** A lease in the books, where something counts it. */
struct policy_holder {
	uint32_t seats;
	uint32_t linger_s;
	uint32_t idle_s, silent_s; /* 0: not bound */
	uint32_t n;
	struct policy_holding {
		struct policy_compiled *rule;
		struct policy_single *single; /* NULL: all together */
	} holdings[];
};

struct policy {
	bool ignore_case;
	bool counts;
	uint8_t secret[16]; /* of the hashes */
	struct arena arena; /* rules and their text */

	struct policy_compiled *rules; /* by product; "" first */
	uint32_t n_rules;
	uint32_t kinds[POLICY_KINDS]; /* so many rules of each */

	struct policy_member *members; /* by key */
	uint32_t n_members;
	uint32_t *index; /* key -> its first member, plus one */
	uint32_t index_mask;
	bool lengths[2][129]; /* prefixes in use, of IPv4 and IPv6 */

	struct table holders; /* lease -> policy_holder */
	struct table singles; /* hash -> policy_single */

	/** Sets that who asks is in; made anew for each question. */
	uint64_t in[(POLICY_SETS_MAX + 63) / 64];
};

void policy_hash(uint8_t key[POLICY_KEY_BYTES], const struct policy *policy,
    enum policy_name kind, const void *name, size_t len);
void policy_hash_user(uint8_t key[POLICY_KEY_BYTES],
    const struct policy *policy, const char *user);
/** `below`: it is a name that others end with. */
void policy_hash_host(uint8_t key[POLICY_KEY_BYTES],
    const struct policy *policy, const char *host, bool below);
void policy_hash_device(uint8_t key[POLICY_KEY_BYTES],
    const struct policy *policy, uint64_t device);
/** The first `bits` of it. */
void policy_hash_range(uint8_t key[POLICY_KEY_BYTES],
    const struct policy *policy, const uint8_t address[16], uint32_t bits,
    bool v4);
/** Is it an IPv4 address, as ::ffff:a.b.c.d? */
bool policy_is_v4(const uint8_t address[16]);

/** policy->in, for these. */
void policy_find_sets(struct policy *policy, const struct policy_facts *facts);
/** Is the rule about them? After policy_find_sets. */
bool policy_names(const struct policy *policy,
    const struct policy_compiled *rule);
/** Is it about what they ask for? */
bool policy_fits(const struct policy_compiled *rule,
    const struct policy_facts *facts);
/** Rules about this product: two runs, of all products and of this one. */
struct policy_run {
	struct policy_compiled *rule, *end;
};
void policy_runs(struct policy_run runs[2], const struct policy *policy,
    const char *product);

#endif
