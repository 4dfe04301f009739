#include "appliance/ledger/table.h"

#include "shared/base/err.h"

#include <stdlib.h>

/* Finaliser of SplitMix64 (Steele, Lea, Flood 2014). */
static size_t
place(const struct table *table, uint64_t key)
{
	key = (key ^ (key >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	key = (key ^ (key >> 27)) * UINT64_C(0x94d049bb133111eb);
	key ^= key >> 31;
	return (size_t)key & (table->size - 1);
}

/* The slot of the key, or the free one where it would stand. */
static struct table_slot *
find(const struct table *table, uint64_t key)
{
	size_t at = place(table, key);

	while (table->slots[at].value != NULL && table->slots[at].key != key)
		at = (at + 1) & (table->size - 1);
	return &table->slots[at];
}

void *
table_get(const struct table *table, uint64_t key)
{
	return table->size == 0 ? NULL : find(table, key)->value;
}

static int
grow(struct table *table)
{
	struct table bigger = { .size =
				    table->size == 0 ? 16 : table->size * 2 };

	bigger.slots = calloc(bigger.size, sizeof(*bigger.slots));
	if (bigger.slots == NULL)
		return ERR_NOMEM;
	for (size_t i = 0; i < table->size; i++)
		if (table->slots[i].value != NULL)
			*find(&bigger, table->slots[i].key) = table->slots[i];
	bigger.count = table->count;
	free(table->slots);
	*table = bigger;
	return 0;
}

int
table_put(struct table *table, uint64_t key, void *value)
{
	/* Replacing needs no room. */
	if ((table->count + 1) * 4 > table->size * 3 &&
	    table_get(table, key) == NULL) {
		int rc = grow(table);

		if (rc != 0)
			return rc;
	}
	struct table_slot *slot = find(table, key);

	if (slot->value == NULL)
		table->count++;
	*slot = (struct table_slot){ key, value };
	return 0;
}

void *
table_remove(struct table *table, uint64_t key)
{
	if (table->size == 0)
		return NULL;
	struct table_slot *slot = find(table, key);
	void *value = slot->value;

	if (value == NULL)
		return NULL;
	table->count--;
	/* Close the gap (Knuth 6.4, algorithm R), so that no mark is left. */
	size_t mask = table->size - 1, gap = (size_t)(slot - table->slots);

	for (size_t at = (gap + 1) & mask; table->slots[at].value != NULL;
	     at = (at + 1) & mask) {
		size_t home = place(table, table->slots[at].key);

		if (((at - home) & mask) < ((at - gap) & mask))
			continue;
		table->slots[gap] = table->slots[at];
		gap = at;
	}
	table->slots[gap] = (struct table_slot){ 0 };
	return value;
}

void *
table_next(const struct table *table, size_t *at)
{
	while (*at < table->size) {
		void *value = table->slots[(*at)++].value;

		if (value != NULL)
			return value;
	}
	return NULL;
}

void
table_release(struct table *table)
{
	free(table->slots);
	*table = (struct table){ 0 };
}
