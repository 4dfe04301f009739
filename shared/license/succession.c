#include "shared/license/succession.h"

#include "shared/base/err.h"
#include "shared/base/text.h"
#include "shared/license/license.h"

#include <string.h>

static const struct record_field succession_heir_fields[] = {
	R_TEXT(succession_heir, site, 1, 63, 0, "The site's id."),
	R_FIXED(succession_heir, heir, 0,
	    "The key that may name the site key's successor."),
	R_TIME(succession_heir, at, 0, "When, by the site's time."),
};
RECORD_DEFINE(succession_heir, 1, "Who may name the next key of a site.");

static const struct record_field succession_word_fields[] = {
	R_TEXT(succession_word, site, 1, 63, 0, "The site's id."),
	R_FIXED(succession_word, from, 0, "The key that was lost."),
	R_FIXED(succession_word, to, 0, "The key that follows it."),
	R_TIME(succession_word, at, 0, "When."),
};
RECORD_DEFINE(succession_word, 1, "Which key of a site follows which.");

static const struct record_field succession_step_fields[] = {
	R_STRING(succession_step, heir, 1, SUCCESSION_TOKEN_MAX, 0,
	    "The older key's word for its heir."),
	R_STRING(succession_step, word, 1, SUCCESSION_TOKEN_MAX, 0,
	    "The heir's word for the key that follows."),
};
RECORD_DEFINE(succession_step, 1, "One key of a site followed by the next.");

static const struct record_field succession_fields[] = {
	R_LIST(succession, steps, &succession_step_record, 0, SITE_KEYS_MAX - 1,
	    0, "Oldest first."),
};
RECORD_DEFINE(succession, 1, "How a site came to its key.");

/* --- keys ------------------------------------------------------------------ */

struct site_keys
site_keys_one(const uint8_t key[TOKEN_PUBLIC_BYTES])
{
	struct site_keys keys = { .n = 1 };

	memcpy(keys.key[0], key, TOKEN_PUBLIC_BYTES);
	return keys;
}

const uint8_t *
site_keys_last(const struct site_keys *keys)
{
	return keys->key[keys->n - 1];
}

const uint8_t *
site_keys_of(const struct site_keys *keys, const char *token, size_t len)
{
	char said[TOKEN_KID_TEXT], kid[TOKEN_KID_TEXT];

	if (keys->n == 1 || token_kid(said, token, len) != 0)
		return site_keys_last(keys);
	for (uint32_t i = keys->n; i-- > 0;) {
		token_key_id(kid, keys->key[i]);
		if (strcmp(kid, said) == 0)
			return keys->key[i];
	}
	return site_keys_last(keys);
}

uint32_t
site_keys_find(const struct site_keys *keys,
    const uint8_t key[TOKEN_PUBLIC_BYTES])
{
	uint32_t i = 0;

	while (
	    i < keys->n && memcmp(keys->key[i], key, TOKEN_PUBLIC_BYTES) != 0)
		i++;
	return i;
}

/* --- words ----------------------------------------------------------------- */

int
succession_name(struct buf *token, const char *site,
    const uint8_t heir[TOKEN_PUBLIC_BYTES], int64_t at,
    const uint8_t site_secret[TOKEN_SECRET_BYTES])
{
	struct succession_heir says = { .at = at };

	text_copy(says.site, sizeof(says.site), site);
	memcpy(says.heir, heir, sizeof(says.heir));
	return license_document_sign(token, &succession_heir_record, &says,
	    TOKEN_HEIR, site_secret);
}

int
succession_named(uint8_t heir[TOKEN_PUBLIC_BYTES], const char *site,
    const uint8_t site_key[TOKEN_PUBLIC_BYTES], const char *token, size_t len)
{
	struct arena arena = { .max_bytes = 1 << 16 };
	struct succession_heir says;
	int err = license_document_read(&says, &succession_heir_record,
	    TOKEN_HEIR, token, len, site_key, &arena, NULL);

	arena_release(&arena);
	if (err == 0 && strcmp(says.site, site) != 0)
		err = ERR_UNTRUSTED;
	if (err == 0)
		memcpy(heir, says.heir, TOKEN_PUBLIC_BYTES);
	return err;
}

int
succession_follow(struct buf *token, const char *site,
    const uint8_t from[TOKEN_PUBLIC_BYTES],
    const uint8_t to[TOKEN_PUBLIC_BYTES], int64_t at,
    const uint8_t heir_secret[TOKEN_SECRET_BYTES])
{
	struct succession_word says = { .at = at };

	text_copy(says.site, sizeof(says.site), site);
	memcpy(says.from, from, sizeof(says.from));
	memcpy(says.to, to, sizeof(says.to));
	return license_document_sign(token, &succession_word_record, &says,
	    TOKEN_SUCCESSION, heir_secret);
}

/* Unverified: only to find the step to begin with. */
static int
peek_from(uint8_t from[TOKEN_PUBLIC_BYTES], const struct succession_step *step)
{
	struct arena arena = { .max_bytes = 1 << 16 };
	struct buf payload = { 0 };
	struct succession_word says;
	int err = token_peek(&payload, step->word.data, step->word.len);

	if (err == 0)
		err = record_read_json(&says, &succession_word_record,
		    (const char *)payload.data, payload.len, &arena, NULL);
	buf_release(&payload);
	arena_release(&arena);
	if (err == 0)
		memcpy(from, says.from, TOKEN_PUBLIC_BYTES);
	return err;
}

static int
take_step(struct site_keys *keys, const char *site,
    const struct succession_step *step)
{
	struct arena arena = { .max_bytes = 1 << 16 };
	struct succession_word says;
	uint8_t heir[TOKEN_PUBLIC_BYTES];
	int err = succession_named(heir, site, site_keys_last(keys),
	    step->heir.data, step->heir.len);

	if (err == 0)
		err = license_document_read(&says, &succession_word_record,
		    TOKEN_SUCCESSION, step->word.data, step->word.len, heir,
		    &arena, NULL);
	arena_release(&arena);
	if (err != 0)
		return err;
	if (strcmp(says.site, site) != 0 || keys->n == SITE_KEYS_MAX ||
	    memcmp(says.from, site_keys_last(keys), sizeof(says.from)) != 0 ||
	    site_keys_find(keys, says.to) < keys->n)
		return ERR_UNTRUSTED;
	memcpy(keys->key[keys->n++], says.to, sizeof(says.to));
	return 0;
}

int
succession_keys(struct site_keys *keys, const char *site,
    const uint8_t known[TOKEN_PUBLIC_BYTES], const struct record_list *steps)
{
	const struct succession_step *items = steps->items;
	uint8_t from[TOKEN_PUBLIC_BYTES] = { 0 };
	uint32_t at = 0;
	int err = 0;

	if (known == NULL && steps->count == 0)
		return ERR_UNTRUSTED;
	for (; at < steps->count; at++) {
		err = peek_from(from, &items[at]);
		if (err != 0)
			return err;
		if (known == NULL || memcmp(from, known, sizeof(from)) == 0)
			break;
	}
	*keys = site_keys_one(known != NULL ? known : from);
	for (; at < steps->count && err == 0; at++)
		err = take_step(keys, site, &items[at]);
	return err;
}
