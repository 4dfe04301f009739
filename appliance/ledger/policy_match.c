/* Who and what a rule is about. See policy_inside.h. */
#include "appliance/ledger/policy_inside.h"

#include "appliance/ledger/restrict.h"
#include "shared/base/text.h"
#include "shared/base/version.h"

#include <sodium.h>
#include <string.h>

#define NAME_MAX_BYTES 192

bool
policy_is_v4(const uint8_t address[16])
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

	return memcmp(address, mapped, sizeof mapped) == 0;
}

/* --- names ---------------------------------------------------------------- */

_Static_assert(POLICY_KEY_BYTES == crypto_shorthash_siphashx24_BYTES &&
	sizeof(((struct policy *)0)->secret) ==
	    crypto_shorthash_siphashx24_KEYBYTES,
    "names are hashed with SipHashx-2-4");

void
policy_hash(uint8_t key[POLICY_KEY_BYTES], const struct policy *policy,
    enum policy_name kind, const void *name, size_t len)
{
	uint8_t bytes[NAME_MAX_BYTES];

	if (len > sizeof bytes - 1)
		len = sizeof bytes - 1;
	bytes[0] = (uint8_t)kind;
	memcpy(bytes + 1, name, len);
	crypto_shorthash_siphashx24(key, bytes, len + 1, policy->secret);
}

static size_t
to_lower(char out[NAME_MAX_BYTES], const char *text)
{
	size_t len = 0;

	for (; text[len] != '\0' && len < NAME_MAX_BYTES - 1; len++)
		out[len] = (char)(text[len] >= 'A' && text[len] <= 'Z'
			? text[len] - 'A' + 'a'
			: text[len]);
	out[len] = '\0';
	return len;
}

void
policy_hash_user(uint8_t key[POLICY_KEY_BYTES], const struct policy *policy,
    const char *user)
{
	char lower[NAME_MAX_BYTES];

	if (policy->ignore_case)
		policy_hash(key, policy, POLICY_NAME_USER, lower,
		    to_lower(lower, user));
	else
		policy_hash(key, policy, POLICY_NAME_USER, user, strlen(user));
}

void
policy_hash_host(uint8_t key[POLICY_KEY_BYTES], const struct policy *policy,
    const char *host, bool below)
{
	char lower[NAME_MAX_BYTES];
	size_t len = to_lower(lower, host);

	policy_hash(key, policy, below ? POLICY_NAME_BELOW : POLICY_NAME_HOST,
	    lower, len);
}

void
policy_hash_device(uint8_t key[POLICY_KEY_BYTES], const struct policy *policy,
    uint64_t device)
{
	policy_hash(key, policy, POLICY_NAME_DEVICE, &device, sizeof device);
}

void
policy_hash_range(uint8_t key[POLICY_KEY_BYTES], const struct policy *policy,
    const uint8_t address[16], uint32_t bits, bool v4)
{
	uint8_t bytes[17] = { 0 };

	memcpy(bytes, address, bits / 8);
	if (bits % 8 != 0)
		bytes[bits / 8] =
		    (uint8_t)(address[bits / 8] & (0xffu << (8 - bits % 8)));
	bytes[16] = (uint8_t)bits;
	policy_hash(key, policy, v4 ? POLICY_NAME_V4 : POLICY_NAME_V6, bytes,
	    sizeof bytes);
}

/* --- sets ----------------------------------------------------------------- */

/* The first member of that name; n_members: there is none. */
static uint32_t
find_member(const struct policy *policy, const uint8_t key[POLICY_KEY_BYTES])
{
	uint32_t at, i;

	memcpy(&at, key, sizeof at);
	for (;; at++) {
		i = policy->index[at & policy->index_mask];
		if (i == 0)
			return policy->n_members;
		if (memcmp(policy->members[i - 1].key, key, POLICY_KEY_BYTES) ==
		    0)
			return i - 1;
	}
}

uint32_t
policy_user_groups(uint32_t groups[POLICY_GROUPS_MAX],
    const struct policy *policy, const struct policy_document *document,
    const char *user)
{
	const struct policy_member *members = policy->members;
	uint8_t key[POLICY_KEY_BYTES];
	uint32_t n = 0;

	if (policy->n_members == 0 || user[0] == '\0' ||
	    strcmp(user, POLICY_ERASED) == 0)
		return 0;
	policy_hash_user(key, policy, user);
	/* Sets of groups come before those of rules. */
	for (uint32_t i = find_member(policy, key); i < policy->n_members &&
	     memcmp(members[i].key, key, POLICY_KEY_BYTES) == 0;
	     i++)
		if (members[i].set < document->groups.count &&
		    n < POLICY_GROUPS_MAX)
			groups[n++] = members[i].set;
	return n;
}

/* The rules that name the sets which this name is in. */
static void
add_sets(struct policy *policy, const uint8_t key[POLICY_KEY_BYTES])
{
	const struct policy_member *members = policy->members;
	uint64_t *named = policy->asker.named;

	for (uint32_t i = find_member(policy, key); i < policy->n_members &&
	     memcmp(members[i].key, key, POLICY_KEY_BYTES) == 0;
	     i++) {
		const uint64_t *rules =
		    policy->of_set + (size_t)members[i].set * policy->words;

		for (uint32_t w = 0; w < policy->words; w++)
			named[w] |= rules[w];
	}
}

static void
add_host(struct policy *policy, const char *host)
{
	uint8_t key[POLICY_KEY_BYTES];

	add_sets(policy, policy->asker.keys[POLICY_EACH_HOST - 1]);
	/* "a.b.c" is below "b.c" and "c". */
	for (const char *dot = strchr(host, '.'); dot != NULL;
	     dot = strchr(dot + 1, '.')) {
		policy_hash_host(key, policy, dot + 1, true);
		add_sets(policy, key);
	}
}

static void
add_address(struct policy *policy, const char *text)
{
	uint8_t key[POLICY_KEY_BYTES], address[16];

	if (!restrict_read_address(address, text))
		return;
	bool v4 = policy_is_v4(address);

	for (uint32_t bits = 0; bits <= 128; bits++) {
		if (!policy->lengths[v4 ? 0 : 1][bits])
			continue;
		policy_hash_range(key, policy, address, bits, v4);
		add_sets(policy, key);
	}
}

static const char *
address_of(const struct policy *policy, const struct policy_facts *facts)
{
	return policy->has_addresses && facts->address != NULL ? facts->address
							       : "";
}

/* True: it is who asked last. */
static bool
is_known(struct policy *policy, const struct policy_facts *facts)
{
	struct policy_asker *asker = &policy->asker, is = { .known = true };
	const char *address = address_of(policy, facts);

	policy_hash_user(is.keys[POLICY_EACH_USER - 1], policy, facts->user);
	policy_hash_host(is.keys[POLICY_EACH_HOST - 1], policy, facts->host,
	    false);
	policy_hash_device(is.keys[POLICY_EACH_DEVICE - 1], policy,
	    facts->device);
	if (address[0] != '\0')
		policy_hash(is.address, policy, POLICY_NAME_ADDRESS, address,
		    strlen(address));
	if (asker->known && memcmp(asker->keys, is.keys, sizeof is.keys) == 0 &&
	    memcmp(asker->address, is.address, sizeof is.address) == 0)
		return true;
	*asker = is;
	return false;
}

static void
find_named(struct policy *policy, const struct policy_facts *facts)
{
	struct policy_asker *asker = &policy->asker;
	const char *address = address_of(policy, facts);

	memcpy(asker->named, policy->of_anybody, sizeof asker->named);
	if (policy->n_members == 0)
		return;
	if (facts->user[0] != '\0')
		add_sets(policy, asker->keys[POLICY_EACH_USER - 1]);
	if (facts->host[0] != '\0')
		add_host(policy, facts->host);
	add_sets(policy, asker->keys[POLICY_EACH_DEVICE - 1]);
	if (address[0] != '\0')
		add_address(policy, address);
}

/* --- what ----------------------------------------------------------------- */

bool
policy_fits_what(const struct policy_compiled *rule,
    const struct policy_facts *facts)
{
	/* Seats are reserved of one pool, and that without a name is the
	 * product's own. */
	if ((rule->feature[0] != '\0' || rule->kind == POLICY_RESERVE) &&
	    strcmp(rule->feature, facts->feature) != 0)
		return false;
	return rule->version[0] == '\0' ||
	    version_in_range(facts->version, rule->version);
}

/* The first rule that is not before this product, or (behind) is behind it. */
static uint32_t
find_bound(const struct policy *policy, const char *product, bool behind)
{
	uint32_t low = 0, high = policy->n_rules;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		int order = strcmp(policy->rules[middle].product, product);

		if (order < 0 || (behind && order == 0))
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Bits from `first` to before `end`. */
static void
add_range(uint64_t bits[POLICY_WORDS], uint32_t first, uint32_t end)
{
	for (uint32_t w = first / 64; w * 64 < end; w++) {
		uint64_t word = UINT64_MAX;

		if (w == first / 64)
			word <<= first % 64;
		if (end < w * 64 + 64)
			word &= (UINT64_C(1) << end % 64) - 1;
		bits[w] |= word;
	}
}

void
policy_ask(struct policy *policy, const struct policy_facts *facts)
{
	const char *product = facts->product;

	if (!is_known(policy, facts))
		find_named(policy, facts);
	memset(policy->about, 0, policy->words * sizeof *policy->about);
	add_range(policy->about, 0, policy->of_all);
	if (product[0] != '\0')
		add_range(policy->about, find_bound(policy, product, false),
		    find_bound(policy, product, true));
}

uint32_t
policy_find_behind(const struct policy *policy, const char *product)
{
	return find_bound(policy, product, true);
}
