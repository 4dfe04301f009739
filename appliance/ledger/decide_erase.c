/*
 * Decide that a person is erased (DESIGN 5): the entries of his subjects go, all
 * others are sealed anew under the next key, and a row and a signed document say
 * which ids mean nobody any more. API keys that name him go on without his name,
 * customers of a hub without their contact.
 * Leases, devices and rows stay as they are: they hold ids only.
 */
#include "appliance/hub/person.h"
#include "appliance/ledger/core.h"
#include "appliance/ledger/key_person.h"
#include "shared/base/err.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#define REMAINS                                                              \
	"Copies made before still hold the name: backups, snapshots of the " \
	"disk, blocks that a drive has set aside, logs of agents. Who is "   \
	"restored from a backup is erased again with the same command."

/* What is found while everything is sealed anew. */
struct erasing {
	struct person_query who;
	struct user_names accounts;
	struct key_person_walk keys;
	struct hub_person_walk customers;
	struct row_subject *names; /* of devices that those keys are */
	uint32_t n_names;
	struct erased_subject *found;
	uint32_t n;
	bool more; /* not all had room: those stay */
};

/* What a key is called by stands in its document, and as that of a device. */
static bool
is_his_key(const struct erasing *erasing, const struct subject *subject)
{
	for (uint32_t i = 0; i < erasing->n_names; i++)
		if (memcmp(erasing->names[i].subject, subject->id,
			SUBJECT_BYTES) == 0)
			return true;
	return false;
}

static bool
erase_one(void *ctx, const struct subject *subject,
    const uint8_t commitment[32])
{
	struct erasing *erasing = ctx;

	if (!person_has(&erasing->who, subject) &&
	    !is_his_key(erasing, subject))
		return false;
	if (erasing->n == ERASURE_SUBJECTS_MAX) {
		erasing->more = true;
		return false;
	}
	struct erased_subject *found = &erasing->found[erasing->n++];

	memcpy(found->subject, subject->id, SUBJECT_BYTES);
	found->kind = subject->kind;
	memcpy(found->commitment, commitment, 32);
	return true;
}

/* --- seats that are held for him -------------------------------------------- */

/* Those that were granted since a reader looked. */
struct holds {
	struct batch *batch;
	struct arena scratch;
	struct row_subject names[PERSON_NAMES_MAX];
	uint32_t n;
	uint64_t lease; /* one that is held; 0: none */
};

static int
read_grant(struct row_lease_granted *grant, struct holds *holds,
    const struct state_lease *lease)
{
	const struct batch *batch = holds->batch;
	struct record_span bytes;
	struct row row;

	/* Of this very batch: not stored yet. */
	if (lease->batch == batch->place.batch)
		return lease->index < batch->n_rows
		    ? row_grant(grant, &batch->rows[lease->index],
			  &holds->scratch)
		    : ERR_CORRUPT;
	int err = view_row(&bytes, &batch->state, lease->batch, lease->index,
	    &holds->scratch);

	if (err == 0)
		err = row_read(&row, lease->row_number, bytes.data, bytes.len,
		    &holds->scratch);
	return err == 0 ? row_grant(grant, &row, &holds->scratch) : err;
}

static int
look_at_lease(void *ctx, const struct record_span *key,
    const struct record_span *value)
{
	struct holds *holds = ctx;
	struct row_lease_granted grant;
	struct state_lease lease;
	int err = state_lease_read(&lease, key, value);

	arena_clear(&holds->scratch);
	if (err == 0)
		err = read_grant(&grant, holds, &lease);
	for (uint32_t i = 0; i < holds->n && err == 0; i++) {
		const uint8_t *id = holds->names[i].subject;

		if (memcmp(id, grant.user, SUBJECT_BYTES) == 0 ||
		    memcmp(id, grant.host, SUBJECT_BYTES) == 0)
			holds->lease = lease.lease;
	}
	return err;
}

static int
refuse_held(struct batch *batch, struct command *command,
    const struct person_query *who)
{
	const struct person_erase *request = command->request;
	struct holds holds = { .batch = batch };
	uint8_t from[8];

	if (request->force)
		return 0;
	int err = person_names(holds.names, &holds.n, &batch->state,
	    batch->ledger->keys, who);

	be64_write(from, command->unseen_from);
	if (err == 0 && holds.n > 0)
		err = store_each(&batch->state.txn, STORE_LEASES, from,
		    sizeof from, look_at_lease, &holds);
	arena_release(&holds.scratch);
	return err == 0 && holds.lease != 0
	    ? ledger_refuse_held(command, 1, &holds.lease, 1)
	    : err;
}

int
ledger_refuse_held(struct command *command, uint64_t held,
    const uint64_t *leases, uint32_t n)
{
	struct buf list = { .max = 128 };

	for (uint32_t i = 0; i < n; i++)
		buf_printf(&list, "%slease-%" PRIu64, i > 0 ? ", " : "",
		    leases[i]);
	decide_refuse(command, ERR_CONFLICT,
	    "have them given back, or take them: leasehold leases release "
	    "LEASE; or erase all the same, and they go on for \"erased\": "
	    "--force",
	    "%" PRIu64 " seat%s held for this person: %s%s", held,
	    held == 1 ? " is" : "s are", list.failed ? "" : buf_text(&list),
	    held > n ? ", ..." : "");
	buf_release(&list);
	return 0;
}

/* --- what says so ------------------------------------------------------------ */

static int
fill_document(struct erasure *out, const struct batch *batch,
    struct command *command, const struct erasing *erasing)
{
	const struct ledger *ledger = batch->ledger;

	*out = (struct erasure){
		.at = batch->place.time,
		.by = decide_actor(&command->who),
		.subjects = { erasing->found, erasing->n },
		.users = { arena_copy(&command->arena, erasing->accounts.users,
			       sizeof erasing->accounts.users),
		    erasing->accounts.n },
		.keys = erasing->keys.n,
		.contacts = command->erases_contact || erasing->customers.n > 0,
		.generation = batch->state.counters.generation,
		.batch = batch->place.batch,
	};
	memcpy(out->site, ledger->site, sizeof out->site);
	memcpy(out->tenant, ledger->tenant, sizeof out->tenant);
	return out->users.items == NULL
	    ? ERR_NOMEM
	    : state_erasure_next(&out->erasure, &batch->state);
}

static int
emit_row(struct batch *batch, struct command *command,
    const struct erasure *document, const uint8_t digest[32])
{
	const struct erased_subject *from = document->subjects.items;
	struct row_subject *ids = arena_alloc(&command->arena,
	    document->subjects.count * sizeof *ids + 1);
	struct row *row = batch_row(batch, ROW_ERASURE);

	if (ids == NULL || row == NULL)
		return ERR_NOMEM;
	for (uint32_t i = 0; i < document->subjects.count; i++)
		memcpy(ids[i].subject, from[i].subject, SUBJECT_BYTES);
	struct row_erasure *r = &row->u.erasure;

	r->erasure = document->erasure;
	r->subjects = (struct record_list){ ids, document->subjects.count };
	r->users = document->users;
	memcpy(r->document, digest, sizeof r->document);
	r->by = document->by;
	return batch_emit(batch);
}

static int
say(struct batch *batch, struct command *command, const struct erasing *erasing)
{
	struct person_erased *reply = &command->reply.person_erased;
	struct buf token = { .len = 0 };
	struct erasure document = { .erasure = 0 };
	uint8_t digest[32];
	int err = fill_document(&document, batch, command, erasing);

	if (err == 0)
		err = erasure_sign(&token, digest, &document,
		    batch->ledger->site_secret);
	if (err == 0)
		err = state_erasure_token_put(&batch->state, document.erasure,
		    token.data, token.len);
	if (err == 0)
		err = emit_row(batch, command, &document, digest);
	*reply = (struct person_erased){ .erasure = document.erasure,
		.at = document.at,
		.subjects = document.subjects,
		.users = document.users,
		.keys = document.keys,
		.contacts = document.contacts,
		.batch = document.batch,
		.more = erasing->more };
	snprintf(reply->remains, sizeof reply->remains, "%s", REMAINS);
	reply->document.len = (uint32_t)token.len;
	if (err == 0)
		reply->document.data =
		    arena_copy(&command->arena, token.data, token.len);
	buf_release(&token);
	if (err == 0 && reply->document.data == NULL)
		err = ERR_NOMEM;
	return err;
}

/* Is there anything at all? Nothing is sealed anew for a name nobody has. */
struct any {
	const struct person_query *who;
	bool found;
};

static int
look_for_any(void *ctx, const struct subject *subject)
{
	struct any *any = ctx;

	any->found = person_has(any->who, subject);
	return any->found ? ERR_CONFLICT : 0;
}

static int
find_any(bool *found, struct batch *batch, const struct person_query *who)
{
	static const uint8_t first[SUBJECT_BYTES] = { 0 };
	struct row_subject names[PERSON_NAMES_MAX];
	struct any any = { .who = who };
	uint32_t n;
	int err =
	    person_names(names, &n, &batch->state, batch->ledger->keys, who);

	*found = n > 0;
	if (err == 0 && !*found)
		err = policy_texts_name(found, &batch->state,
		    batch->ledger->sealed, who);
	if (err != 0 || *found || !who->mentions)
		return err;
	err = subject_each(&batch->state, batch->ledger->keys, first,
	    look_for_any, &any);
	*found = any.found;
	return any.found ? 0 : err;
}

/* May all of them go? Nothing is done yet. */
static int
check_accounts(struct batch *batch, struct command *command,
    const struct erasing *erasing)
{
	const struct user_names *names = &erasing->accounts;
	int err = 0;

	for (uint32_t i = 0; i < names->n && err == 0 && command->err == 0; i++)
		err = decide_user_erase(batch, command, names->users[i].number,
		    true);
	return err;
}

/* Accounts go as they do when they are removed. The last owner of several stays
 * until he is asked for alone, which is refused. */
static int
erase_accounts(struct batch *batch, struct command *command,
    struct erasing *erasing)
{
	struct user_names *names = &erasing->accounts;
	int err = 0;

	for (uint32_t i = 0; i < names->n && err == 0; i++) {
		err = decide_user_erase(batch, command, names->users[i].number,
		    false);
		if (err != 0 || command->err == 0)
			continue;
		command->err = 0;
		names->n = i;
		erasing->more = true;
	}
	return err;
}

/* What is his, and whether it may go. Nothing is done yet. */
static int
prepare(struct batch *batch, struct command *command, struct erasing *erasing)
{
	bool found = false;
	int err = refuse_held(batch, command, &erasing->who);

	if (err == 0 && command->err == 0)
		err = find_any(&found, batch, &erasing->who);
	if (err == 0 && command->err == 0)
		err = user_named(&erasing->accounts);
	if (err == 0 && command->err == 0)
		err = key_person_find(&erasing->keys);
	if (err == 0 && command->err == 0)
		err = hub_person_find(&erasing->customers);
	if (err != 0 || command->err != 0)
		return err;
	found |= erasing->accounts.n > 0 || erasing->keys.n > 0 ||
	    erasing->customers.n > 0 || command->erases_contact;
	erasing->more |= erasing->accounts.more || erasing->keys.more ||
	    erasing->customers.more;
	if (!found)
		return decide_refuse(command, ERR_NOT_FOUND,
		    "look for other names: leasehold person find NAME --hosts "
		    "--mentions",
		    "nothing here is known of a person of this name");
	return check_accounts(batch, command, erasing);
}

static int
carry_out(struct batch *batch, struct command *command, struct erasing *erasing)
{
	const struct subject_turn what = { erase_one, erasing };

	erasing->found = arena_alloc(&command->arena,
	    ERASURE_SUBJECTS_MAX * sizeof *erasing->found);
	erasing->names = arena_alloc(&command->arena,
	    ERASURE_KEYS_MAX * sizeof *erasing->names);
	if (erasing->found == NULL || erasing->names == NULL)
		return ERR_NOMEM;
	int err = erase_accounts(batch, command, erasing);

	if (err == 0)
		err = key_person_erase(batch, command, &erasing->keys,
		    command->entropy + RESEAL_ENTROPY, erasing->names,
		    &erasing->n_names);
	if (err == 0)
		err = hub_person_erase(batch, command, &erasing->customers,
		    command->entropy + RESEAL_ENTROPY);
	if (err == 0)
		err =
		    reseal_begin(batch, &what, &erasing->who, command->entropy);
	if (err == 0)
		err = say(batch, command, erasing);
	batch->erased = command;
	return err;
}

int
decide_erase(struct batch *batch, struct command *command)
{
	const struct person_erase *request = command->request;
	struct erasing erasing = {
		.who = { .hosts = request->hosts,
		    .mentions = request->mentions },
		.accounts = { .state = &batch->state,
		    .sealed = batch->ledger->sealed },
		.keys = { .state = &batch->state,
		    .sealed = batch->ledger->sealed },
		.customers = { .state = &batch->state,
		    .sealed = batch->ledger->sealed },
	};

	_Static_assert(RESEAL_ENTROPY + 32 <= LEDGER_ENTROPY,
	    "keys have random bytes of their own");
	memcpy(erasing.who.name, request->name, sizeof erasing.who.name);
	erasing.accounts.name = erasing.who.name;
	erasing.keys.who = erasing.customers.who = &erasing.who;
	if (batch->turned)
		return decide_refuse(command, ERR_BUSY, "",
		    "somebody else is being erased; try again");
	int err = prepare(batch, command, &erasing);

	return err != 0 || command->err != 0 || command->rehearses
	    ? err
	    : carry_out(batch, command, &erasing);
}

/* --- again, in a copy ------------------------------------------------------- */

struct again {
	const struct ledger_erase_again *request;
	struct erasing erasing;
};

static bool
erase_known(void *ctx, const struct subject *subject,
    const uint8_t commitment[32])
{
	struct again *again = ctx;
	struct erasing *erasing = &again->erasing;
	const struct record_list *ids = &again->request->subjects;
	bool known = false;

	for (uint32_t i = 0; i < ids->count && !known; i++)
		known =
		    memcmp(((const struct row_subject *)ids->items)[i].subject,
			subject->id, SUBJECT_BYTES) == 0;
	if (!known || erasing->n == ERASURE_SUBJECTS_MAX)
		return false;
	struct erased_subject *found = &erasing->found[erasing->n++];

	memcpy(found->subject, subject->id, SUBJECT_BYTES);
	found->kind = subject->kind;
	memcpy(found->commitment, commitment, 32);
	return true;
}

/* Who may not go stays, and the others go. */
static int
erase_users_again(struct batch *batch, struct command *command,
    struct again *again)
{
	const struct record_list *users = &again->request->users;
	struct user_names *gone = &again->erasing.accounts;
	int err = 0;

	for (uint32_t i = 0; i < users->count && err == 0; i++) {
		uint64_t user =
		    ((const struct row_number *)users->items)[i].number;

		err = decide_user_erase(batch, command, user, false);
		if (err == 0 && command->err == 0)
			gone->users[gone->n++].number = user;
		again->erasing.more |= command->err != 0;
		command->err = 0;
		command->problem.code[0] = '\0';
	}
	return err;
}

int
decide_erase_again(struct batch *batch, struct command *command)
{
	struct again again = { .request = command->request };
	const struct subject_turn what = { erase_known, &again };

	if (again.request->subjects.count > ERASURE_SUBJECTS_MAX ||
	    again.request->users.count > ERASURE_USERS_MAX)
		return decide_refuse(command, ERR_TOO_LARGE, "",
		    "too many at once");
	if (batch->turned)
		return decide_refuse(command, ERR_BUSY, "",
		    "somebody else is being erased; try again");
	again.erasing.found = arena_alloc(&command->arena,
	    ERASURE_SUBJECTS_MAX * sizeof *again.erasing.found);
	if (again.erasing.found == NULL)
		return ERR_NOMEM;
	int err = erase_users_again(batch, command, &again);

	if (err == 0)
		err = reseal_begin(batch, &what, NULL, command->entropy);
	if (err == 0)
		err = say(batch, command, &again.erasing);
	batch->erased = command;
	return err;
}
