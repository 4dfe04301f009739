/*
 * Where the documents of policies lie: sealed, as other texts are that name
 * people; nothing that is folded needs them (core.h).
 */
#include "appliance/ledger/core.h"
#include "shared/base/err.h"
#include "shared/base/log.h"

#include <inttypes.h>
#include <sodium.h>
#include <string.h>
#include <strings.h>

#define SALT_BYTES 16

/* --- documents ------------------------------------------------------------ */

/* A text of another version, put in its place, does not open. */
static void
text_id(uint8_t id[SEALED_ID_BYTES], uint64_t version)
{
	memcpy(id, "policy..", 8);
	be64_write(id + 8, version);
}

static int
put_sealed(struct state *state, const struct sealed_keys *keys,
    uint64_t version, const void *text, size_t len)
{
	uint8_t id[SEALED_ID_BYTES], key[8];
	struct buf sealed = { 0 };

	text_id(id, version);
	be64_write(key, version);
	int err = sealed_text_add(&sealed, keys, id, text, len);

	if (err == 0)
		err = store_put(&state->txn, STORE_POLICY_TEXTS, key,
		    sizeof key, sealed.data, sealed.len);
	buf_release(&sealed);
	return err;
}

int
policy_text_put(uint8_t commitment[32], struct state *state,
    const struct sealed_keys *keys, uint64_t version, const void *document,
    size_t len, const uint8_t salt[SALT_BYTES])
{
	struct buf text = { 0 };
	uint8_t old[8];
	int err = ERR_NOMEM;

	buf_add(&text, salt, SALT_BYTES);
	buf_add(&text, document, len);
	if (!text.failed) {
		crypto_generichash(commitment, 32, text.data, text.len, NULL,
		    0);
		err = put_sealed(state, keys, version, text.data, text.len);
		sodium_memzero(text.data, text.len);
	}
	buf_release(&text);
	if (err != 0 || version <= POLICY_TEXTS_KEPT)
		return err;
	be64_write(old, version - POLICY_TEXTS_KEPT);
	err = store_delete(&state->txn, STORE_POLICY_TEXTS, old, sizeof old);
	return err == ERR_NOT_FOUND_INTERNAL ? 0 : err;
}

/* Salt and document, opened. */
static int
get_text(struct record_span *out, const struct state *state,
    const struct sealed_keys *keys, uint64_t version, struct arena *arena)
{
	uint8_t id[SEALED_ID_BYTES], key[8];
	struct record_span value;

	text_id(id, version);
	be64_write(key, version);
	int err =
	    store_get(&value, &state->txn, STORE_POLICY_TEXTS, key, sizeof key);

	if (err != 0)
		return err;
	if (value.len < SEALED_TEXT_EXTRA + SALT_BYTES)
		return ERR_CORRUPT;
	uint8_t *text = arena_alloc(arena, value.len - SEALED_TEXT_EXTRA);

	if (text == NULL)
		return ERR_NOMEM;
	if (!sealed_text_open(text, keys, id, value.data, value.len)) {
		log_error("policy", "version %" PRIu64 " does not decrypt",
		    version);
		return ERR_CORRUPT;
	}
	*out = (struct record_span){ text,
		(uint32_t)(value.len - SEALED_TEXT_EXTRA) };
	return 0;
}

static int
read_text(struct policy_document *out, const struct record_span *text,
    struct arena *arena)
{
	int err = record_read_msgpack(out, &policy_document_record,
	    (const uint8_t *)text->data + SALT_BYTES, text->len - SALT_BYTES,
	    NULL, arena, NULL);

	return err == 0 || err == ERR_NOMEM ? err : ERR_CORRUPT;
}

int
policy_text_get(struct policy_document *out, const struct state *state,
    const struct sealed_keys *keys, uint64_t version, struct arena *arena)
{
	struct record_span text;
	int err = get_text(&text, state, keys, version, arena);

	return err == 0 ? read_text(out, &text, arena) : err;
}

/* --- somebody is erased --------------------------------------------------- */

static bool
strike_users(const struct record_list *list, const char *name, bool any_case)
{
	struct policy_user *users = list->items;
	bool found = false;

	for (uint32_t i = 0; i < list->count; i++) {
		if (any_case ? strcasecmp(users[i].user, name) != 0
			     : strcmp(users[i].user, name) != 0)
			continue;
		memcpy(users[i].user, POLICY_ERASED, sizeof POLICY_ERASED);
		found = true;
	}
	return found;
}

static bool
strike_hosts(const struct record_list *list, const char *name)
{
	struct policy_host *hosts = list->items;
	bool found = false;

	for (uint32_t i = 0; i < list->count; i++) {
		if (strcasecmp(hosts[i].host, name) != 0)
			continue;
		memcpy(hosts[i].host, POLICY_ERASED, sizeof POLICY_ERASED);
		found = true;
	}
	return found;
}

/* False: he does not stand in it. */
static bool
strike(struct policy_document *document, const struct person_query *who)
{
	const struct policy_group *groups = document->groups.items;
	const struct policy_rule *rules = document->rules.items;
	bool any_case = document->ignore_case, found = false;

	for (uint32_t i = 0; i < document->groups.count; i++) {
		found |= strike_users(&groups[i].users, who->name, any_case);
		if (who->hosts)
			found |= strike_hosts(&groups[i].hosts, who->name);
	}
	for (uint32_t i = 0; i < document->rules.count; i++) {
		found |= strike_users(&rules[i].users, who->name, any_case);
		if (who->hosts)
			found |= strike_hosts(&rules[i].hosts, who->name);
	}
	if (who->mentions && strcasestr(document->comment, who->name) != NULL) {
		memset(document->comment, 0, sizeof document->comment);
		found = true;
	}
	return found;
}

/* Those that are kept: from `first` to `last`. */
static int
kept_versions(uint64_t *first, uint64_t *last, const struct state *state)
{
	struct state_policy newest;
	int err = state_policy_newest(&newest, state);

	*last = newest.version;
	*first = newest.version > POLICY_TEXTS_KEPT
	    ? newest.version - POLICY_TEXTS_KEPT + 1
	    : 1;
	return err;
}

int
policy_texts_name(bool *named, const struct state *state,
    const struct sealed_keys *keys, const struct person_query *who)
{
	struct policy_document document;
	struct arena arena = { 0 };
	uint64_t at, last;
	int err = kept_versions(&at, &last, state);

	*named = false;
	for (; err == 0 && at <= last && !*named; at++) {
		arena_clear(&arena);
		err = policy_text_get(&document, state, keys, at, &arena);
		if (err == 0)
			*named = strike(&document, who);
		else if (err == ERR_NOT_FOUND_INTERNAL)
			err = 0;
	}
	arena_release(&arena);
	return err;
}

static int
turn_text(struct state *state, const struct sealed_keys *keys,
    const struct person_query *who, uint64_t version, struct arena *arena)
{
	struct policy_document document;
	struct record_span text;
	struct buf bytes = { 0 };
	int err = get_text(&text, state, keys, version, arena);

	if (err == 0)
		err = read_text(&document, &text, arena);
	if (err != 0)
		return err == ERR_NOT_FOUND_INTERNAL ? 0 : err;
	if (who != NULL && strike(&document, who)) {
		buf_add(&bytes, text.data, SALT_BYTES);
		record_write_msgpack(&bytes, &policy_document_record,
		    &document);
		text = (struct record_span){ bytes.data, (uint32_t)bytes.len };
	}
	err = bytes.failed
	    ? ERR_NOMEM
	    : put_sealed(state, keys, version, text.data, text.len);
	buf_release(&bytes);
	return err;
}

int
policy_texts_turn(struct state *state, const struct sealed_keys *keys,
    const struct person_query *who)
{
	struct arena arena = { 0 };
	uint64_t at, last;
	int err = kept_versions(&at, &last, state);

	for (; err == 0 && at <= last; at++) {
		arena_clear(&arena);
		err = turn_text(state, keys, who, at, &arena);
	}
	arena_release(&arena);
	return err;
}
