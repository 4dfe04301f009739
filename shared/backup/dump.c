#include "shared/backup/dump.h"

#include "shared/base/err.h"

#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char magic[] = "leasehold-dump 1\n";
#define MAGIC_BYTES (sizeof(magic) - 1)
#define HASH_BYTES 32

/* What stands before a table's name, an entry, the end. */
#define MARK_TABLE 'T'
#define MARK_ENTRY 'E'
#define MARK_END '.'
#define ENTRY_HEAD 9 /* mark, be32 length of the key, be32 of the value */
#define END_BYTES (1 + 8 + HASH_BYTES)

_Static_assert(sizeof(crypto_generichash_state) <= 384, "room for its hash");

/* --- writing --------------------------------------------------------------- */

static int
put(struct dump_writer *writer, const void *data, size_t len)
{
	crypto_generichash_state state;

	memcpy(&state, writer->hash, sizeof(state));
	crypto_generichash_update(&state, data, len);
	memcpy(writer->hash, &state, sizeof(state));
	return len == 0 ? 0 : writer->put(writer->ctx, data, len);
}

int
dump_begin(struct dump_writer *writer,
    int (*put_bytes)(void *ctx, const void *data, size_t len), void *ctx)
{
	crypto_generichash_state state;

	*writer = (struct dump_writer){ .put = put_bytes, .ctx = ctx };
	crypto_generichash_init(&state, NULL, 0, HASH_BYTES);
	memcpy(writer->hash, &state, sizeof(state));
	return put(writer, magic, MAGIC_BYTES);
}

int
dump_table(struct dump_writer *writer, const char *name)
{
	uint8_t head[2 + DUMP_NAME_MAX];
	size_t len = strlen(name);

	if (len == 0 || len > DUMP_NAME_MAX)
		return ERR_TOO_LARGE;
	head[0] = MARK_TABLE;
	head[1] = (uint8_t)len;
	memcpy(head + 2, name, len);
	return put(writer, head, 2 + len);
}

int
dump_entry(struct dump_writer *writer, const void *key, size_t key_len,
    const void *value, size_t value_len)
{
	uint8_t head[ENTRY_HEAD] = { MARK_ENTRY };

	if (key_len == 0 || key_len > DUMP_KEY_MAX ||
	    value_len > DUMP_VALUE_MAX)
		return ERR_TOO_LARGE;
	be32_write(head + 1, (uint32_t)key_len);
	be32_write(head + 5, (uint32_t)value_len);
	int rc = put(writer, head, sizeof(head));

	if (rc == 0)
		rc = put(writer, key, key_len);
	if (rc == 0)
		rc = put(writer, value, value_len);
	writer->entries++;
	return rc;
}

int
dump_end(struct dump_writer *writer)
{
	crypto_generichash_state state;
	uint8_t end[END_BYTES] = { MARK_END };

	be64_write(end + 1, writer->entries);
	int rc = put(writer, end, 9);

	memcpy(&state, writer->hash, sizeof(state));
	crypto_generichash_final(&state, end + 9, HASH_BYTES);
	return rc == 0 ? writer->put(writer->ctx, end + 9, HASH_BYTES) : rc;
}

/* --- reading --------------------------------------------------------------- */

enum expected { EXPECT_MAGIC, EXPECT_MARK, EXPECT_NOTHING };

struct dump_reader {
	struct dump_callbacks callbacks;
	enum expected expected;
	struct buf waiting; /* bytes of what is not whole yet */
	crypto_generichash_state hash;
	uint64_t entries;
	char tables[DUMP_TABLES_MAX][DUMP_NAME_MAX + 1];
	size_t n_tables;
	uint8_t last[DUMP_KEY_MAX]; /* key, of this table */
	size_t last_len;
	int err;
	char error[160];
};

static int fail(struct dump_reader *reader, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static int
fail(struct dump_reader *reader, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(reader->error, sizeof(reader->error), format, args);
	va_end(args);
	return ERR_CORRUPT;
}

struct dump_reader *
dump_reader_new(const struct dump_callbacks *callbacks)
{
	struct dump_reader *reader = calloc(1, sizeof(*reader));

	if (reader == NULL)
		return NULL;
	reader->callbacks = *callbacks;
	crypto_generichash_init(&reader->hash, NULL, 0, HASH_BYTES);
	return reader;
}

void
dump_reader_free(struct dump_reader *reader)
{
	if (reader == NULL)
		return;
	/* Subjects, sealed; and what else a store holds. */
	if (reader->waiting.data != NULL)
		sodium_memzero(reader->waiting.data, reader->waiting.size);
	buf_release(&reader->waiting);
	free(reader);
}

static bool
is_name(const uint8_t *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((text[i] < 'a' || text[i] > 'z') && text[i] != '_' &&
		    (text[i] < '0' || text[i] > '9'))
			return false;
	return len > 0 && len <= DUMP_NAME_MAX;
}

/* Each reads what stands at `at`: the bytes that it is of, 0 when it is not
 * whole yet, or an error. */

static int
read_table(struct dump_reader *reader, const uint8_t *at, size_t left)
{
	if (left < 2 || left < 2 + (size_t)at[1])
		return 0;
	size_t len = at[1];

	if (!is_name(at + 2, len))
		return fail(reader, "the name of a table is none");
	if (reader->n_tables == DUMP_TABLES_MAX)
		return fail(reader, "there are too many tables");
	char *name = reader->tables[reader->n_tables];

	memcpy(name, at + 2, len);
	name[len] = '\0';
	for (size_t i = 0; i < reader->n_tables; i++)
		if (strcmp(reader->tables[i], name) == 0)
			return fail(reader, "table %s stands twice", name);
	reader->n_tables++;
	reader->last_len = 0;
	int rc = reader->callbacks.table(reader->callbacks.ctx, name);

	return rc != 0 ? rc : (int)(2 + len);
}

static bool
is_after(const struct dump_reader *reader, const uint8_t *key, size_t len)
{
	size_t least = len < reader->last_len ? len : reader->last_len;
	int order = memcmp(key, reader->last, least);

	return order > 0 || (order == 0 && len > reader->last_len);
}

static int
read_entry(struct dump_reader *reader, const uint8_t *at, size_t left)
{
	if (left < ENTRY_HEAD)
		return 0;
	uint32_t key_len = be32_read(at + 1), value_len = be32_read(at + 5);
	const uint8_t *key = at + ENTRY_HEAD;

	if (reader->n_tables == 0)
		return fail(reader, "an entry stands in no table");
	if (key_len == 0 || key_len > DUMP_KEY_MAX ||
	    value_len > DUMP_VALUE_MAX)
		return fail(reader,
		    "entry %llu has a key of %u and a value of %u bytes",
		    (unsigned long long)reader->entries, key_len, value_len);
	if (left < (size_t)ENTRY_HEAD + key_len + value_len)
		return 0;
	if (!is_after(reader, key, key_len))
		return fail(reader, "entry %llu is out of order in table %s",
		    (unsigned long long)reader->entries,
		    reader->tables[reader->n_tables - 1]);
	memcpy(reader->last, key, key_len);
	reader->last_len = key_len;
	reader->entries++;
	int rc = reader->callbacks.entry(reader->callbacks.ctx, key, key_len,
	    key + key_len, value_len);

	return rc != 0 ? rc : (int)(ENTRY_HEAD + key_len + value_len);
}

static int
read_end(struct dump_reader *reader, const uint8_t *at, size_t left)
{
	uint8_t hash[HASH_BYTES];

	if (left < END_BYTES)
		return 0;
	if (be64_read(at + 1) != reader->entries)
		return fail(reader, "it has %llu entries and says %llu",
		    (unsigned long long)reader->entries,
		    (unsigned long long)be64_read(at + 1));
	crypto_generichash_update(&reader->hash, at, 9);
	crypto_generichash_final(&reader->hash, hash, sizeof(hash));
	if (memcmp(hash, at + 9, sizeof(hash)) != 0)
		return fail(reader, "its hash does not fit its bytes");
	reader->expected = EXPECT_NOTHING;
	return END_BYTES;
}

static int
read_magic(struct dump_reader *reader, const uint8_t *at, size_t left)
{
	if (left < MAGIC_BYTES)
		return 0;
	if (memcmp(at, magic, MAGIC_BYTES) != 0)
		return fail(reader,
		    "it is no dump of a store that this program reads");
	reader->expected = EXPECT_MARK;
	return (int)MAGIC_BYTES;
}

static int
read_one(struct dump_reader *reader, const uint8_t *at, size_t left)
{
	int rc;

	if (reader->expected == EXPECT_NOTHING)
		return fail(reader, "there are bytes behind its end");
	if (reader->expected == EXPECT_MAGIC)
		rc = read_magic(reader, at, left);
	else if (at[0] == MARK_TABLE)
		rc = read_table(reader, at, left);
	else if (at[0] == MARK_ENTRY)
		rc = read_entry(reader, at, left);
	else if (at[0] == MARK_END)
		return read_end(reader, at, left);
	else
		return fail(reader, "neither table nor entry nor end: byte %u",
		    at[0]);
	if (rc > 0)
		crypto_generichash_update(&reader->hash, at,
		    (unsigned long long)rc);
	return rc;
}

int
dump_feed(struct dump_reader *reader, const void *data, size_t len)
{
	struct buf *waiting = &reader->waiting;

	if (reader->err != 0)
		return reader->err;
	buf_add(waiting, data, len);
	if (waiting->failed)
		return reader->err = ERR_NOMEM;
	size_t used = 0;

	while (used < waiting->len) {
		int n =
		    read_one(reader, waiting->data + used, waiting->len - used);

		if (n < 0)
			return reader->err = n;
		if (n == 0)
			break;
		used += (size_t)n;
	}
	/* What is left is less than one entry. */
	if (used > 0) {
		memmove(waiting->data, waiting->data + used,
		    waiting->len - used);
		waiting->len -= used;
	}
	return 0;
}

int
dump_finish(struct dump_reader *reader)
{
	if (reader->err != 0)
		return reader->err;
	if (reader->expected == EXPECT_NOTHING)
		return 0;
	return reader->err = fail(reader, "its end is missing");
}

uint64_t
dump_entries(const struct dump_reader *reader)
{
	return reader->entries;
}

const char *
dump_error(const struct dump_reader *reader)
{
	return reader->error;
}

/* --- keys in a dump -------------------------------------------------------- */

/* Of the seed, for this use alone (libsodium keeps it before the public key).
 */
static void
sealing_key(uint8_t out[32], const uint8_t site_secret[64])
{
	static const char use[] = "leasehold backup keys";

	crypto_generichash(out, 32, (const uint8_t *)use, sizeof(use) - 1,
	    site_secret, 32);
}

/* "default key" */
static int
bind(char out[160], const char *name, const char *entry)
{
	int n = snprintf(out, 160, "%s %s", name, entry);

	return n > 0 && n < 160 ? n : -1;
}

int
dump_seal(uint8_t *sealed, const void *secret, size_t len, const char *name,
    const char *entry, const uint8_t site_secret[64])
{
	char bound[160];
	int n = bind(bound, name, entry);
	uint8_t *with = sodium_malloc(32);

	if (with == NULL || n < 0) {
		sodium_free(with);
		return ERR_NOMEM;
	}
	sealing_key(with, site_secret);
	randombytes_buf(sealed, 24);
	crypto_aead_xchacha20poly1305_ietf_encrypt(sealed + 24, NULL, secret,
	    len, (const uint8_t *)bound, (unsigned long long)n, NULL, sealed,
	    with);
	sodium_free(with);
	return 0;
}

int
dump_unseal(void *secret, size_t len, const void *sealed, size_t sealed_len,
    const char *name, const char *entry, const uint8_t site_secret[64])
{
	const uint8_t *bytes = sealed;
	char bound[160];
	int n = bind(bound, name, entry);

	if (sealed_len != len + DUMP_SEALED_EXTRA || n < 0)
		return ERR_BAD_SIGNATURE;
	uint8_t *with = sodium_malloc(32);

	if (with == NULL)
		return ERR_NOMEM;
	sealing_key(with, site_secret);
	int rc = crypto_aead_xchacha20poly1305_ietf_decrypt(secret, NULL, NULL,
	    bytes + 24, sealed_len - 24, (const uint8_t *)bound,
	    (unsigned long long)n, bytes, with);

	sodium_free(with);
	return rc == 0 ? 0 : ERR_BAD_SIGNATURE;
}

/* --- for an heir ------------------------------------------------------------- */

static int
bound_to(uint8_t hash[16], const char *name, const char *entry)
{
	char bound[160];
	int n = bind(bound, name, entry);

	if (n < 0)
		return ERR_TOO_LARGE;
	crypto_generichash(hash, 16, (const uint8_t *)bound,
	    (unsigned long long)n, NULL, 0);
	return 0;
}

int
dump_seal_heir(uint8_t *sealed, const void *secret, size_t len,
    const char *name, const char *entry, const uint8_t heir[32])
{
	uint8_t box[32];
	uint8_t *plain = sodium_malloc(16 + len);
	int rc = plain == NULL ? ERR_NOMEM : bound_to(plain, name, entry);

	if (rc == 0) {
		memcpy(plain + 16, secret, len);
		if (crypto_sign_ed25519_pk_to_curve25519(box, heir) != 0 ||
		    crypto_box_seal(sealed, plain, 16 + len, box) != 0)
			rc = ERR_BAD_REQUEST;
	}
	sodium_free(plain);
	return rc;
}

int
dump_unseal_heir(void *secret, size_t len, const void *sealed,
    size_t sealed_len, const char *name, const char *entry,
    const uint8_t heir_secret[64])
{
	uint8_t box[32], bound[16];
	uint8_t *box_secret = sodium_malloc(32);
	uint8_t *plain = sodium_malloc(16 + len);
	int rc = box_secret == NULL || plain == NULL
	    ? ERR_NOMEM
	    : bound_to(bound, name, entry);

	if (rc == 0 &&
	    (sealed_len != len + DUMP_HEIR_EXTRA ||
		crypto_sign_ed25519_pk_to_curve25519(box, heir_secret + 32) !=
		    0 ||
		crypto_sign_ed25519_sk_to_curve25519(box_secret, heir_secret) !=
		    0 ||
		crypto_box_seal_open(plain, sealed, sealed_len, box,
		    box_secret) != 0 ||
		sodium_memcmp(plain, bound, sizeof(bound)) != 0))
		rc = ERR_BAD_SIGNATURE;
	if (rc == 0)
		memcpy(secret, plain + 16, len);
	sodium_free(plain);
	sodium_free(box_secret);
	return rc;
}
