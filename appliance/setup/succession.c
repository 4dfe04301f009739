/*
 * The site's recovery key, and the keys that its own followed. The recovery key
 * is 160 random bits as text, for a safe: it is the seed of the heir's key, of
 * which the box has the public half alone.
 */
#include "appliance/setup/setup.h"

#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/base/text.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HEIR_FILE "keys/heir.key"
#define TRUSTED_FILE "tls/heir.key"
#define SUCCESSION_FILE "keys/succession.json"
#define SUCCESSION_FILE_MAX 65536
#define RECOVERY_BYTES 20
#define RECOVERY_LETTERS 32
#define RECOVERY_GROUP 4

static const char alphabet[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/* --- the text -------------------------------------------------------------- */

static void
write_text(char text[SETUP_RECOVERY_TEXT], const uint8_t *bytes)
{
	size_t out = 0;

	for (size_t i = 0; i < RECOVERY_LETTERS; i++) {
		size_t bit = i * 5;
		unsigned int pair = (unsigned int)bytes[bit / 8] << 8;

		if (bit / 8 + 1 < RECOVERY_BYTES)
			pair |= bytes[bit / 8 + 1];
		if (i > 0 && i % RECOVERY_GROUP == 0)
			text[out++] = '-';
		text[out++] = alphabet[(pair >> (11 - bit % 8)) & 31];
	}
	text[out] = '\0';
}

/* As people read them: O for 0, I and L for 1. */
static int
letter_value(char letter)
{
	char up = letter >= 'a' && letter <= 'z' ? (char)(letter - 32) : letter;
	const char *at;

	if (up == 'O')
		up = '0';
	if (up == 'I' || up == 'L')
		up = '1';
	at = up != '\0' ? strchr(alphabet, up) : NULL;
	return at != NULL ? (int)(at - alphabet) : -1;
}

static int
read_text(uint8_t *bytes, const char *text)
{
	size_t letters = 0;

	memset(bytes, 0, RECOVERY_BYTES);
	for (; *text != '\0'; text++) {
		if (*text == '-' || *text == ' ')
			continue;
		int value = letter_value(*text);

		if (value < 0 || letters == RECOVERY_LETTERS)
			return ERR_BAD_REQUEST;
		for (size_t i = 0; i < 5; i++) {
			size_t bit = letters * 5 + i;

			if ((value >> (4 - i) & 1) != 0)
				bytes[bit / 8] = (uint8_t)(bytes[bit / 8] |
				    (0x80 >> (bit % 8)));
		}
		letters++;
	}
	return letters == RECOVERY_LETTERS ? 0 : ERR_BAD_REQUEST;
}

static void
derive(uint8_t public_key[TOKEN_PUBLIC_BYTES],
    uint8_t secret[TOKEN_SECRET_BYTES], const uint8_t *bytes)
{
	static const char use[] = "leasehold recovery key";
	uint8_t seed[crypto_sign_SEEDBYTES];

	crypto_generichash(seed, sizeof(seed), bytes, RECOVERY_BYTES,
	    (const uint8_t *)use, sizeof(use) - 1);
	crypto_sign_seed_keypair(public_key, secret, seed);
	sodium_memzero(seed, sizeof(seed));
}

int
setup_heir_secret(uint8_t secret[TOKEN_SECRET_BYTES], const char *text)
{
	uint8_t bytes[RECOVERY_BYTES], public_key[TOKEN_PUBLIC_BYTES];
	int rc = read_text(bytes, text);

	if (rc == 0)
		derive(public_key, secret, bytes);
	sodium_memzero(bytes, sizeof(bytes));
	return rc;
}

/* --- the heir -------------------------------------------------------------- */

static int
write_text_file(const char *state, const char *name, const char *text)
{
	char path[SETUP_PATH_MAX];
	int rc = setup_path(path, state, name);

	if (rc == 0 && (rc = file_write(path, text, strlen(text), 0644)) != 0)
		log_error("setup", "cannot write %s: %s", path,
		    rc == ERR_IO ? strerror(errno) : err_str(rc));
	return rc;
}

/* As it was: an heir whose text nobody saw is none. */
static void
put_back(const char *state, const uint8_t *was)
{
	char path[SETUP_PATH_MAX];

	if (was != NULL)
		(void)write_text_file(state, TRUSTED_FILE, (const char *)was);
	else if (setup_path(path, state, TRUSTED_FILE) == 0)
		(void)unlink(path);
}

/* Where the ledger cannot put another, and for the ledger: in this order, so that
 * who may not write the first changes nothing, and backups are sealed for who
 * has the old text until both are there. */
static int
write_public(const char *state, const uint8_t public_key[TOKEN_PUBLIC_BYTES])
{
	char path[SETUP_PATH_MAX], key[TOKEN_PUBLIC_TEXT];
	char text[TOKEN_PUBLIC_TEXT + 1];
	uint8_t *was = NULL;
	size_t len;
	int rc = setup_path(path, state, TRUSTED_FILE);

	token_public_format(key, public_key);
	snprintf(text, sizeof(text), "%s\n", key);
	if (rc == 0)
		rc = file_read(&was, &len, path, 256);
	if (rc != 0 && rc != ERR_NOT_FOUND)
		log_error("setup", "cannot read %s: %s", path,
		    rc == ERR_IO ? strerror(errno) : err_str(rc));
	else if ((rc = write_text_file(state, TRUSTED_FILE, text)) == 0 &&
	    (rc = write_text_file(state, HEIR_FILE, text)) != 0)
		put_back(state, was);
	free(was);
	return rc;
}

int
setup_heir_make(char recovery[SETUP_RECOVERY_TEXT], const char *state)
{
	uint8_t bytes[RECOVERY_BYTES], public_key[TOKEN_PUBLIC_BYTES];
	uint8_t *secret = sodium_malloc(TOKEN_SECRET_BYTES);
	struct site_file site;
	int rc = secret == NULL ? ERR_NOMEM : setup_read(&site, state);

	if (rc == 0) {
		randombytes_buf(bytes, sizeof(bytes));
		derive(public_key, secret, bytes);
		write_text(recovery, bytes);
		rc = write_public(state, public_key);
	}
	if (rc != 0)
		sodium_memzero(recovery, SETUP_RECOVERY_TEXT);
	sodium_memzero(bytes, sizeof(bytes));
	sodium_free(secret);
	return rc;
}

static int
read_public(uint8_t key[TOKEN_PUBLIC_BYTES], const char *state,
    const char *name)
{
	char path[SETUP_PATH_MAX];
	uint8_t *data = NULL;
	size_t len;
	int rc = setup_path(path, state, name);

	if (rc == 0)
		rc = file_read(&data, &len, path, 256);
	if (rc == 0 && len > 0 && data[len - 1] == '\n') {
		data[len - 1] = '\0';
		rc = token_public_parse(key, (const char *)data);
	} else if (rc == 0) {
		rc = ERR_CORRUPT;
	}
	free(data);
	if (rc != 0 && rc != ERR_NOT_FOUND)
		log_error("setup", "the heir's key %s cannot be read: %s", path,
		    rc == ERR_IO ? strerror(errno) : err_str(rc));
	return rc;
}

int
setup_heir_read(uint8_t key[TOKEN_PUBLIC_BYTES], const char *state)
{
	return read_public(key, state, HEIR_FILE);
}

int
setup_heir_trusted(uint8_t key[TOKEN_PUBLIC_BYTES], const char *state)
{
	return read_public(key, state, TRUSTED_FILE);
}

/* --- the keys before ------------------------------------------------------- */

int
setup_succession(struct site_keys *keys, struct succession *succession,
    struct arena *arena, const char *state, const char *site,
    const uint8_t own[TOKEN_PUBLIC_BYTES])
{
	char path[SETUP_PATH_MAX];
	uint8_t *data = NULL;
	size_t len;
	int rc = setup_path(path, state, SUCCESSION_FILE);

	*succession = (struct succession){ { NULL, 0 } };
	*keys = site_keys_one(own);
	if (rc == 0)
		rc = file_read(&data, &len, path, SUCCESSION_FILE_MAX);
	if (rc == ERR_NOT_FOUND)
		return 0;
	if (rc == 0)
		rc = record_read_json(succession, &succession_record,
		    (const char *)data, len, arena, NULL);
	free(data);
	if (rc == 0 && succession->steps.count > 0)
		rc = succession_keys(keys, site, NULL, &succession->steps);
	if (rc == 0 && memcmp(site_keys_last(keys), own, 32) != 0)
		rc = ERR_MISMATCH;
	if (rc != 0)
		log_error("setup",
		    "%s does not say how the site came to its key: %s", path,
		    err_str(rc));
	return rc;
}
