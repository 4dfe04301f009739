/* Editions of licenses by their digests: open places, by a keyed hash. The site
 * writes the digests, so the key is of what it signed: who changes one to meet
 * another changes the key. See inside.h. */
#include "shared/report/inside.h"

#include "shared/base/err.h"

#include <sodium.h>
#include <string.h>

int
report_editions_begin(struct report_editions *editions,
    const struct report_installed *list, uint32_t room,
    const uint8_t key[REPORT_EDITIONS_KEY], struct arena *arena)
{
	uint32_t places = 2;

	while (places / 2 < room)
		places *= 2;
	editions->list = list;
	editions->mask = places - 1;
	editions->slots = arena_alloc(arena, places * sizeof *editions->slots);
	if (editions->slots == NULL)
		return ERR_NOMEM;
	memset(editions->slots, 0, places * sizeof *editions->slots);
	memcpy(editions->key, key, sizeof editions->key);
	return 0;
}

/* Where it is, or the free place where it would be: half of them are free. */
static uint32_t
find_slot(const struct report_editions *editions, uint64_t license,
    const uint8_t digest[32])
{
	struct {
		uint64_t license;
		uint8_t digest[32];
	} of = { .license = license };
	uint64_t hash;

	memcpy(of.digest, digest, sizeof of.digest);
	crypto_shorthash((uint8_t *)&hash, (const uint8_t *)&of, sizeof of,
	    editions->key);
	for (uint32_t at = (uint32_t)hash & editions->mask;;
	     at = (at + 1) & editions->mask) {
		if (editions->slots[at] == 0)
			return at;
		const struct report_installed *one =
		    &editions->list[editions->slots[at] - 1];

		if (one->license == license &&
		    memcmp(one->digest, digest, 32) == 0)
			return at;
	}
}

void
report_editions_add(struct report_editions *editions, uint32_t place)
{
	const struct report_installed *one = &editions->list[place];
	uint32_t at = find_slot(editions, one->license, one->digest);

	if (editions->slots[at] == 0)
		editions->slots[at] = place + 1;
}

const struct report_installed *
report_editions_find(const struct report_editions *editions, uint64_t license,
    const uint8_t digest[32])
{
	uint32_t slot = editions->slots[find_slot(editions, license, digest)];

	return slot == 0 ? NULL : &editions->list[slot - 1];
}
