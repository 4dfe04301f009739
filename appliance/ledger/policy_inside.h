/*
 * What the files of a compiled policy share; see policy.h. Nothing else
 * includes it.
 *
 * Whoever is named stands in sets: one for each group, and one for each rule's
 * own names. A name is found by its keyed hash and says in which sets it is; a
 * set says, as bits, which rules name it. So who asks is looked up once, and a
 * question looks at those rules alone that are about it: bits of the kind, of
 * the product and of who asks, in the order of the rules.
 */
#ifndef APPLIANCE_LEDGER_POLICY_INSIDE_H
#define APPLIANCE_LEDGER_POLICY_INSIDE_H

#include "appliance/ledger/policy.h"
#include "appliance/ledger/table.h"

#define POLICY_KEY_BYTES 16
#define POLICY_SETS_MAX (POLICY_GROUPS_MAX + POLICY_RULES_MAX)
/** Words of a bit for each rule. */
#define POLICY_WORDS ((POLICY_RULES_MAX + 63) / 64)
#define POLICY_EACH_KINDS 3 /* users, hosts, devices */

/** What kind of thing a name is; part of what is hashed. */
enum policy_name {
	POLICY_NAME_USER,
	POLICY_NAME_HOST,
	POLICY_NAME_BELOW, /* all hosts below it */
	POLICY_NAME_DEVICE,
	POLICY_NAME_V4, /* a range; one for each length of prefix */
	POLICY_NAME_V6,
	POLICY_NAME_ADDRESS, /* of who asked, as text */
};

struct policy_member {
	uint8_t key[POLICY_KEY_BYTES];
	uint32_t set;
};

/** What the maxima with `each` count for one user, host or device. */
struct policy_single {
	uint8_t key[POLICY_KEY_BYTES];
	uint64_t holders; /* leases that are counted */
	struct policy_single *next; /* of the same hash */
	uint64_t held[]; /* seats, by the rules' `single` */
};

struct policy_compiled {
	const char *name, *product, *version, *feature; /* in policy->text */
	uint32_t kind, each;
	uint32_t set; /* of its own names */
	bool anybody;
	bool plain; /* about all versions and features */
	uint32_t single; /* its place among those of the same `each` */
	const uint32_t *groups; /* sets */
	uint32_t n_groups;
	uint32_t seats, linger_s, longest_s, keep, length, wait_s, priority;
	uint32_t idle_s;
	bool none, silent;
};

/** A lease in the books, where something counts it. */
struct policy_holder {
	uint32_t seats;
	uint32_t linger_s;
	uint32_t idle_s, silent_s; /* 0: not bound */
	struct policy_single *singles[POLICY_EACH_KINDS]; /* or NULL */
	uint32_t n;
	uint16_t rules[]; /* that count it */
};

/** Who asked last, by keyed hashes: what a decision asks next is mostly about
 * the same. */
struct policy_asker {
	bool known;
	uint8_t keys[POLICY_EACH_KINDS][POLICY_KEY_BYTES];
	uint8_t address[POLICY_KEY_BYTES]; /* zero: it does not matter */
	uint64_t named[POLICY_WORDS]; /* rules that are about them */
};

struct policy {
	bool ignore_case;
	bool counts;
	uint8_t secret[16]; /* of the hashes */
	struct arena arena; /* rules and their text */

	struct policy_compiled *rules; /* by product; "" first */
	uint64_t *held; /* seats that each counts, all together */
	uint32_t n_rules, words;
	uint32_t kinds[POLICY_KINDS]; /* so many rules of each */
	uint32_t each[POLICY_EACH_KINDS]; /* maxima of each, likewise */
	uint64_t of_kind[POLICY_KINDS][POLICY_WORDS];
	uint64_t of_anybody[POLICY_WORDS];
	uint64_t *of_set; /* `words` for each set */

	struct policy_member *members; /* by key */
	uint32_t n_members;
	uint32_t *index; /* key -> its first member, plus one */
	uint32_t index_mask;
	bool lengths[2][129]; /* prefixes in use, of IPv4 and IPv6 */

	struct table holders; /* lease -> policy_holder */
	struct table singles; /* hash -> policy_single */

	uint32_t of_all; /* so many rules, the first, are of all products */
	bool has_addresses;
	struct policy_asker asker;
	/** Rules about the product that is asked for; made anew for each
	 * question. */
	uint64_t about[POLICY_WORDS];
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

/** The first rule that is behind those of a product. */
uint32_t policy_find_behind(const struct policy *policy, const char *product);
/** Who asks, and for which product: policy->asker and policy->about. */
void policy_ask(struct policy *policy, const struct policy_facts *facts);
/** Is it about what they ask for, beside the product? */
bool policy_fits_what(const struct policy_compiled *rule,
    const struct policy_facts *facts);
static inline bool
policy_fits(const struct policy_compiled *rule,
    const struct policy_facts *facts)
{
	return rule->plain || policy_fits_what(rule, facts);
}

/** Every rule whose bit is set in a word of `bits`, an expression over the
 * number of the word `w`. */
#define POLICY_EACH_RULE(i, policy, bits)                                    \
	for (uint32_t w = 0; w < (policy)->words; w++)                       \
		for (uint64_t left = (bits); left != 0 &&                    \
		     ((i) = w * 64 + (uint32_t)__builtin_ctzll(left), true); \
		     left &= left - 1)

/** In policy_count.c: what one of those who ask holds of a maximum with `each`;
 * NULL: nothing. */
struct policy_single *policy_single_find(const struct policy *policy,
    const uint8_t key[POLICY_KEY_BYTES]);

#endif
