/*
 * Where the documents of API keys name a person: whom to ask, what it is called
 * and where it may be used from. Found for an export, and taken out when he is
 * erased: the mark stands there then. A binding that named him stays one, and
 * fits nothing (restrict.h): no key gets looser because somebody left. It must
 * not know requests or batches.
 */
#ifndef APPLIANCE_LEDGER_KEY_PERSON_H
#define APPLIANCE_LEDGER_KEY_PERSON_H

#include "appliance/ledger/core.h"
#include "shared/rpc/messages_key.h"

/** Is he the one to write to? Of "NAME <MAIL>" either part is a name. */
bool key_person_contact(const char *text, const struct person_query *who);
/** Does it name him? `hosts` and `mentions` of `who` count as for subjects. */
bool key_person_named(const struct key_document *document,
    const struct person_query *who);
/** Put the mark wherever it does. Lists are copied into the arena. */
int key_person_forget(struct key_document *document,
    const struct person_query *who, struct arena *arena);

/** Keys that name him, by number. */
struct key_person_walk {
	const struct state *state;
	const struct sealed_keys *sealed;
	const struct person_query *who;
	uint64_t after; /* in: the last one seen; out: the last looked at */
	uint32_t limit; /* of those that are looked at; 0: all */
	bool more; /* not all were looked at, or not all had room */
	uint32_t n;
	uint64_t numbers[ERASURE_KEYS_MAX];
};
int key_person_find(struct key_person_walk *walk);

/** Take him out of those keys: a new document and a row each. `seed`: 32 random
 * bytes. The ids of what they are called by are put into `names`, where that was
 * his name; as many as there are numbers at most. */
int key_person_erase(struct batch *batch, const struct command *command,
    const struct key_person_walk *keys, const uint8_t seed[32],
    struct row_subject *names, uint32_t *n_names);

#endif
