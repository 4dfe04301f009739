#include "appliance/hub/person.h"

#include "appliance/hub/decide.h"
#include "appliance/ledger/key_person.h"
#include "shared/base/err.h"

#include <sodium.h>
#include <string.h>

static bool
is_his(const struct customer_contact *contact, const struct person_query *who)
{
	return key_person_contact(contact->email, who) ||
	    key_person_contact(contact->name, who);
}

/* --- finding ----------------------------------------------------------------- */

static int
look_at(struct hub_person_walk *walk, uint64_t number, struct arena *arena)
{
	struct customer_contact contact;
	struct hub_customer customer;
	int err = hub_customer(&customer, walk->state, number, arena);

	if (err == 0)
		err =
		    hub_contact(&contact, walk->state, walk->sealed, &customer);
	if (err == 0 && is_his(&contact, walk->who))
		walk->numbers[walk->n++] = number;
	sodium_memzero(&contact, sizeof contact);
	return err == ERR_NOT_FOUND_INTERNAL ? 0 : err;
}

int
hub_person_find(struct hub_person_walk *walk)
{
	struct arena arena = { .chunks = NULL };
	uint64_t last = 0;
	uint32_t looked = 0;
	int err = hub_last(&last, walk->state, STORE_HUB_CUSTOMERS);

	walk->n = 0;
	walk->more = false;
	while (err == 0 && !walk->more && walk->after < last) {
		if (walk->n == ERASURE_KEYS_MAX ||
		    (walk->limit != 0 && looked == walk->limit)) {
			walk->more = true;
			break;
		}
		looked++;
		arena_clear(&arena);
		err = look_at(walk, ++walk->after, &arena);
	}
	arena_release(&arena);
	return err;
}

int
hub_person_view(struct customer_view *out, const struct ledger *ledger,
    const struct state *state, uint64_t number, struct arena *arena)
{
	struct hub_customer customer;
	int err = hub_customer(&customer, state, number, arena);

	if (err != 0)
		return err;
	hub_view_customer(out, &customer);
	return hub_view_contact(out, ledger, state, &customer);
}

/* --- erasing ----------------------------------------------------------------- */

/* What a document is sealed with: of the seed of this erasure, and its place. */
static void
derive_entropy(uint8_t out[SEALED_ENTROPY], uint64_t customer,
    const uint8_t seed[32])
{
	static const char what[8] = "customer";
	uint8_t place[16];

	memcpy(place, what, 8);
	be64_write(place + 8, customer);
	crypto_generichash(out, SEALED_ENTROPY, place, sizeof place, seed, 32);
}

static int
erase_in(struct batch *batch, const struct command *command, uint64_t number,
    const uint8_t seed[32], struct arena *arena)
{
	struct customer_contact contact;
	struct hub_customer customer;
	uint8_t entropy[SEALED_ENTROPY];
	int err = hub_customer(&customer, &batch->state, number, arena);

	if (err == 0)
		err = hub_contact(&contact, &batch->state,
		    batch->ledger->sealed, &customer);
	if (err != 0)
		return err == ERR_NOT_FOUND_INTERNAL ? ERR_CORRUPT : err;
	sodium_memzero(contact.email, sizeof contact.email);
	sodium_memzero(contact.name, sizeof contact.name);
	err = hub_contact_forget(batch, &customer);
	struct row_customer r = customer.row;

	r.by = decide_actor(&command->who);
	/* Without him: a document of its own where something is left. */
	derive_entropy(entropy, number, seed);
	if (err == 0)
		err = hub_contact_seal(&r, batch, &contact, entropy);
	sodium_memzero(entropy, sizeof entropy);
	sodium_memzero(&contact, sizeof contact);
	return err == 0 ? hub_emit_customer(batch, ROW_CUSTOMER_CHANGED, &r)
			: err;
}

int
hub_person_erase(struct batch *batch, const struct command *command,
    const struct hub_person_walk *customers, const uint8_t seed[32])
{
	struct arena arena = { .chunks = NULL };
	int err = 0;

	for (uint32_t i = 0; i < customers->n && err == 0; i++) {
		arena_clear(&arena);
		err = erase_in(batch, command, customers->numbers[i], seed,
		    &arena);
	}
	arena_release(&arena);
	return err;
}
