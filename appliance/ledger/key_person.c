#include "appliance/ledger/key_person.h"

#include "shared/base/err.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* --- where it names him ---------------------------------------------------- */

static bool
mentions(const char *text, const struct person_query *who)
{
	return who->mentions && strcasestr(text, who->name) != NULL;
}

static bool
is_name(const char *text, const struct person_query *who)
{
	return strcasecmp(text, who->name) == 0 || mentions(text, who);
}

static bool
is_host(const char *text, const struct person_query *who)
{
	return (who->hosts && strcasecmp(text, who->name) == 0) ||
	    mentions(text, who);
}

static bool
is_part(const char *text, size_t len, const struct person_query *who)
{
	while (len > 0 && text[0] == ' ') {
		text++;
		len--;
	}
	while (len > 0 && text[len - 1] == ' ')
		len--;
	return len == strlen(who->name) &&
	    strncasecmp(text, who->name, len) == 0;
}

/* "Name <mail>" names him by either. */
bool
key_person_contact(const char *text, const struct person_query *who)
{
	const char *open = strchr(text, '<');
	const char *close = open != NULL ? strchr(open, '>') : NULL;

	return is_name(text, who) || is_part(text, strlen(text), who) ||
	    (close != NULL &&
		(is_part(text, (size_t)(open - text), who) ||
		    is_part(open + 1, (size_t)(close - open - 1), who)));
}

static bool
is_certificate(const char *text, const struct person_query *who)
{
	return is_name(text, who) || is_host(text, who);
}

static bool
is_any_host(const struct record_list *list, const struct person_query *who)
{
	const struct key_host *hosts = list->items;

	for (uint32_t i = 0; i < list->count; i++)
		if (is_host(hosts[i].host, who))
			return true;
	return false;
}

static bool
is_any_range(const struct record_list *list, const struct person_query *who)
{
	const struct key_range *ranges = list->items;

	for (uint32_t i = 0; i < list->count; i++)
		if (is_host(ranges[i].range, who))
			return true;
	return false;
}

bool
key_person_named(const struct key_document *document,
    const struct person_query *who)
{
	const struct key_metadata *about = &document->metadata;
	const struct key_restrictions *bound = &document->restrictions;

	return is_name(document->app_name, who) ||
	    key_person_contact(about->contact, who) ||
	    is_name(about->department, who) || is_host(about->hostname, who) ||
	    is_certificate(bound->client_cert_cn, who) ||
	    is_any_host(&bound->allowed_hostnames, who) ||
	    is_any_range(&bound->allowed_ip_ranges, who);
}

/* --- taking him out -------------------------------------------------------- */

static void
mark(char *text, size_t size, bool his)
{
	if (!his)
		return;
	sodium_memzero(text, size);
	snprintf(text, size, "%s", SUBJECT_ERASED);
}

static int
mark_hosts(struct record_list *list, const struct person_query *who,
    struct arena *arena)
{
	struct key_host *hosts =
	    arena_copy(arena, list->items, list->count * sizeof *hosts);

	if (hosts == NULL)
		return ERR_NOMEM;
	for (uint32_t i = 0; i < list->count; i++)
		mark(hosts[i].host, sizeof hosts[i].host,
		    is_host(hosts[i].host, who));
	list->items = hosts;
	return 0;
}

static int
mark_ranges(struct record_list *list, const struct person_query *who,
    struct arena *arena)
{
	struct key_range *ranges =
	    arena_copy(arena, list->items, list->count * sizeof *ranges);

	if (ranges == NULL)
		return ERR_NOMEM;
	for (uint32_t i = 0; i < list->count; i++)
		mark(ranges[i].range, sizeof ranges[i].range,
		    is_host(ranges[i].range, who));
	list->items = ranges;
	return 0;
}

int
key_person_forget(struct key_document *document, const struct person_query *who,
    struct arena *arena)
{
	struct key_metadata *about = &document->metadata;
	struct key_restrictions *bound = &document->restrictions;
	int err = 0;

	mark(document->app_name, sizeof document->app_name,
	    is_name(document->app_name, who));
	mark(about->contact, sizeof about->contact,
	    key_person_contact(about->contact, who));
	mark(about->department, sizeof about->department,
	    is_name(about->department, who));
	mark(about->hostname, sizeof about->hostname,
	    is_host(about->hostname, who));
	mark(bound->client_cert_cn, sizeof bound->client_cert_cn,
	    is_certificate(bound->client_cert_cn, who));
	if (is_any_host(&bound->allowed_hostnames, who))
		err = mark_hosts(&bound->allowed_hostnames, who, arena);
	if (err == 0 && is_any_range(&bound->allowed_ip_ranges, who))
		err = mark_ranges(&bound->allowed_ip_ranges, who, arena);
	return err;
}

/* --- keys ------------------------------------------------------------------ */

/* ERR_NOT_FOUND_INTERNAL: it has none any more. */
static int
read_document(struct key_document *out, const struct state *state,
    const struct sealed_keys *keys, const struct state_key *key,
    struct arena *arena)
{
	struct sealed sealed;
	int err = sealed_get(&sealed, state, keys, SEALED_KEY, key->document);

	if (err != 0)
		return err;
	const uint8_t *copy = arena_copy(arena, sealed.data, sealed.len);

	err = copy == NULL ? ERR_NOMEM
			   : record_read_msgpack(out, &key_document_record,
				 copy, sealed.len, NULL, arena, NULL);
	sealed_wipe(&sealed);
	return err == ERR_BAD_REQUEST ? ERR_CORRUPT : err;
}

struct looking {
	struct key_person_walk *walk;
	struct arena arena; /* of one document */
	uint32_t looked;
};

static int
look_at_key(void *ctx, const struct record_span *bytes,
    const struct record_span *value)
{
	struct looking *looking = ctx;
	struct key_person_walk *walk = looking->walk;
	struct key_document document;
	struct state_key key;

	if (walk->n == ERASURE_KEYS_MAX ||
	    (walk->limit != 0 && looking->looked == walk->limit)) {
		walk->more = true;
		return ERR_FULL;
	}
	int err = state_key_read(&key, bytes, value);

	if (err != 0)
		return err;
	looking->looked++;
	arena_clear(&looking->arena);
	err = read_document(&document, walk->state, walk->sealed, &key,
	    &looking->arena);
	walk->after = key.device;
	if (err == 0 && key_person_named(&document, walk->who))
		walk->numbers[walk->n++] = key.device;
	return err == ERR_NOT_FOUND_INTERNAL ? 0 : err;
}

int
key_person_find(struct key_person_walk *walk)
{
	struct looking looking = { .walk = walk };
	uint8_t from[8];

	walk->n = 0;
	walk->more = false;
	be64_write(from, walk->after + 1);
	int err = store_each(&walk->state->txn, STORE_KEYS, from, sizeof from,
	    look_at_key, &looking);

	arena_release(&looking.arena);
	return walk->more ? 0 : err;
}

/* --- erasing --------------------------------------------------------------- */

static int
put_document(uint8_t id[SEALED_ID_BYTES], uint8_t commitment[32],
    struct batch *batch, const struct key_document *document,
    const uint8_t seed[32], uint64_t number)
{
	struct buf bytes = { .len = 0 };
	uint8_t entropy[SEALED_ENTROPY], place[8];

	_Static_assert(SEALED_ENTROPY <= crypto_generichash_BYTES_MAX,
	    "one hash has enough for one document");
	be64_write(place, number);
	crypto_generichash(entropy, sizeof entropy, place, sizeof place, seed,
	    32);
	record_write_msgpack(&bytes, &key_document_record, document);
	int err = bytes.failed
	    ? ERR_NOMEM
	    : sealed_put(id, commitment, &batch->state, batch->ledger->sealed,
		  SEALED_KEY, bytes.data, bytes.len, entropy);

	if (bytes.data != NULL)
		sodium_memzero(bytes.data, bytes.len);
	buf_release(&bytes);
	return err;
}

static int
emit_changed(struct batch *batch, const struct command *command,
    uint64_t number, const uint8_t id[SEALED_ID_BYTES],
    const uint8_t commitment[32])
{
	struct row *row = batch_row(batch, ROW_KEY_CHANGED);

	if (row == NULL)
		return ERR_NOMEM;
	struct row_key_changed *r = &row->u.key_changed;

	r->device = number;
	memcpy(r->document, id, sizeof r->document);
	memcpy(r->commitment, commitment, sizeof r->commitment);
	r->by = decide_actor(&command->who);
	return batch_emit(batch);
}

static int
erase_in_key(struct batch *batch, const struct command *command,
    const struct key_person_walk *keys, uint64_t number, const uint8_t seed[32],
    struct row_subject *name, bool *named, struct arena *arena)
{
	uint8_t id[SEALED_ID_BYTES], commitment[32];
	struct key_document document;
	struct state_device device;
	struct state_key key;
	int err = state_key(&key, &batch->state, number);

	if (err == 0)
		err = read_document(&document, &batch->state,
		    batch->ledger->sealed, &key, arena);
	if (err == 0)
		err = state_device(&device, &batch->state, number);
	if (err != 0)
		return err == ERR_NOT_FOUND_INTERNAL ? ERR_CORRUPT : err;
	*named = is_name(document.app_name, keys->who);
	memcpy(name->subject, device.name, sizeof name->subject);
	err = key_person_forget(&document, keys->who, arena);
	if (err == 0)
		err = sealed_delete(&batch->state, key.document);
	if (err == 0)
		err = put_document(id, commitment, batch, &document, seed,
		    number);
	sodium_memzero(&document, sizeof document);
	return err == 0 ? emit_changed(batch, command, number, id, commitment)
			: err;
}

int
key_person_erase(struct batch *batch, const struct command *command,
    const struct key_person_walk *keys, const uint8_t seed[32],
    struct row_subject *names, uint32_t *n_names)
{
	struct arena arena = { .chunks = NULL };
	int err = 0;

	*n_names = 0;
	for (uint32_t i = 0; i < keys->n && err == 0; i++) {
		bool named = false;

		arena_clear(&arena);
		err = erase_in_key(batch, command, keys, keys->numbers[i], seed,
		    &names[*n_names], &named, &arena);
		*n_names += named;
	}
	arena_release(&arena);
	return err;
}
