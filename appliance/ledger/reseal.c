/* Names under another key: the store's side of person_key.h. See core.h. */
#include "appliance/ledger/core.h"
#include "shared/base/err.h"
#include "shared/base/log.h"

#include <sodium.h>
#include <string.h>

_Static_assert(LEDGER_PERSON_KEY_BYTES == PERSON_KEY_FILE_BYTES,
    "the same file");

static const char generation_key[] = "people";

int
reseal_generation(uint64_t *generation, const struct state *state)
{
	struct record_span value;
	int err = store_get(&value, &state->txn, STORE_META, generation_key,
	    sizeof generation_key);

	*generation = 0;
	if (err == ERR_NOT_FOUND_INTERNAL)
		return 0;
	if (err == 0 && value.len != 8)
		err = ERR_CORRUPT;
	if (err == 0)
		*generation = be64_read(value.data);
	return err;
}

static int
make_keys(struct ledger *ledger)
{
	uint8_t root[32];
	int err = person_key_root(root, ledger->person_key,
	    ledger->person_generation, ledger->tenant_key);

	if (err != 0)
		return err;
	ledger->keys = subject_keys_new(root);
	ledger->sealed = sealed_keys_new(root);
	ledger->users = user_keys_new(ledger->tenant_key, root);
	sodium_memzero(root, sizeof root);
	return ledger->keys != NULL && ledger->sealed != NULL &&
		ledger->users != NULL
	    ? 0
	    : ERR_NOMEM;
}

int
reseal_open(struct ledger *ledger, const char *folder, bool create,
    bool volatile_)
{
	struct state state;
	int err = state_begin(&state, ledger->store, create, NULL);

	if (err != 0)
		return err;
	err = reseal_generation(&ledger->person_generation, &state);
	state_abort(&state);
	if (err == 0)
		err = person_key_open(&ledger->person_key, folder, create,
		    volatile_);
	if (err == 0)
		err = person_key_settle(ledger->person_key,
		    ledger->person_generation);
	return err == 0 ? make_keys(ledger) : err;
}

static int
turn_keys(struct ledger *ledger, const uint8_t fresh[PERSON_KEY_BYTES])
{
	uint8_t root[32];
	int err = person_key_next(ledger->person_key, fresh);

	if (err == 0)
		err = ledger_fault(ledger, "next_key");
	if (err == 0)
		err = person_key_root(root, ledger->person_key,
		    ledger->person_generation + 1, ledger->tenant_key);
	if (err != 0) {
		person_key_back(ledger->person_key);
		return err;
	}
	subject_keys_turn(ledger->keys, root);
	sealed_keys_turn(ledger->sealed, root);
	user_keys_turn(ledger->users, root);
	sodium_memzero(root, sizeof root);
	return 0;
}

int
reseal_begin(struct batch *batch, const struct subject_turn *what,
    const struct person_query *who, const uint8_t entropy[64])
{
	struct ledger *ledger = batch->ledger;
	struct state *state = &batch->state;
	uint8_t generation[8];

	if (batch->turned)
		return ERR_BUSY;
	int err = turn_keys(ledger, entropy);

	if (err != 0)
		return err;
	batch->turned = true;
	subject_cache_forget(ledger->subjects);
	be64_write(generation, ledger->person_generation + 1);
	err = store_put(&state->txn, STORE_META, generation_key,
	    sizeof generation_key, generation, sizeof generation);
	if (err == 0)
		err = subject_turn(state, ledger->keys, entropy + 32, what);
	if (err == 0)
		err = sealed_turn(state, ledger->sealed, entropy + 32);
	if (err == 0)
		err = user_logins_turn(state, ledger->users, ledger->sealed);
	if (err == 0)
		err = policy_texts_turn(state, ledger->sealed, who);
	/* Its names are asked for no more. */
	ledger->policy_stale = true;
	return err;
}

void
reseal_back(struct batch *batch)
{
	struct ledger *ledger = batch->ledger;

	subject_keys_back(ledger->keys);
	sealed_keys_back(ledger->sealed);
	user_keys_back(ledger->users);
	subject_cache_forget(ledger->subjects);
	person_key_back(ledger->person_key);
	batch->turned = false;
}

bool
ledger_is_wiped(const struct ledger *ledger)
{
	return !atomic_load(&ledger->wipe_due);
}

int
reseal_settle(struct ledger *ledger)
{
	int err = ledger_fault(ledger, "wipe");

	if (err == 0)
		err = person_key_settle(ledger->person_key,
		    ledger->person_generation);
	if (err != 0 && !atomic_load(&ledger->wipe_due))
		log_error("ledger",
		    "ALERT: tenant %s: somebody was erased, but the old key of "
		    "his name could not be written over (%s); it is tried "
		    "again with every commit and at the next start",
		    ledger->tenant, err_str(err));
	atomic_store(&ledger->wipe_due, err != 0);
	return err;
}

int
ledger_person_key(uint8_t file[LEDGER_PERSON_KEY_BYTES],
    struct ledger_view *view)
{
	uint64_t generation;
	int err = reseal_generation(&generation, &view->state);

	return err == 0
	    ? person_key_copy(file, view->ledger->person_key, generation)
	    : err;
}

int
reseal_copy(struct state *to, const char *folder, struct ledger_view *from)
{
	uint8_t file[LEDGER_PERSON_KEY_BYTES], bytes[8];
	uint64_t generation;
	int err = reseal_generation(&generation, &from->state);

	be64_write(bytes, generation);
	if (err == 0 && generation > 0)
		err = store_put(&to->txn, STORE_META, generation_key,
		    sizeof generation_key, bytes, sizeof bytes);
	if (err == 0)
		err = ledger_person_key(file, from);
	if (err == 0)
		err = person_key_write(folder, file);
	sodium_memzero(file, sizeof file);
	return err;
}
