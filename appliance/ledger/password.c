#include "appliance/ledger/password.h"

#include "shared/base/err.h"
#include "shared/base/text.h"

#include <ctype.h>
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

_Static_assert(PASSWORD_HASH_TEXT >= crypto_pwhash_STRBYTES,
    "room for a hash of libsodium");

const char *const password_cost_names[] = { "moderate", "interactive",
	"sensitive", NULL };

static const struct {
	unsigned long long passes;
	size_t bytes;
} costs[] = {
	[PASSWORD_MODERATE] = { crypto_pwhash_OPSLIMIT_MODERATE,
	    crypto_pwhash_MEMLIMIT_MODERATE },
	[PASSWORD_INTERACTIVE] = { crypto_pwhash_OPSLIMIT_INTERACTIVE,
	    crypto_pwhash_MEMLIMIT_INTERACTIVE },
	[PASSWORD_SENSITIVE] = { crypto_pwhash_OPSLIMIT_SENSITIVE,
	    crypto_pwhash_MEMLIMIT_SENSITIVE },
};

/* --- the rule ------------------------------------------------------------ */

/* The commonest of those that are long enough, and what people make of short
 * ones to get there. Lower case; digits and signs at the end do not count. */
static const char *const common[] = {
	"password",
	"passwordpassword",
	"passwort",
	"passwortpasswort",
	"administrator",
	"adminadminadmin",
	"letmeinletmein",
	"letmein",
	"welcome",
	"welcomewelcome",
	"changeme",
	"changemechangeme",
	"changemeplease",
	"qwertyuiop",
	"qwertyuiopas",
	"qwertyuiopasdfghjkl",
	"qwertyqwerty",
	"qwertzuiop",
	"qwertzuiopas",
	"asdfghjkl",
	"asdfghjklzxc",
	"zxcvbnmasdfg",
	"1q2w3e4r5t6y",
	"q1w2e3r4t5y6",
	"1qaz2wsx3edc",
	"iloveyou",
	"iloveyouiloveyou",
	"correcthorsebatterystaple",
	"correct horse battery staple",
	"trustno",
	"masterpassword",
	"mypassword",
	"secretsecret",
	"supersecret",
	"leasehold",
	"leaseholdleasehold",
};

/* Each letter is the one before it, or the next one, or the one before that:
 * "aaaaaaaaaaaa", "abcdefghijkl", "210987654321". */
static bool
is_run(const char *text, size_t len)
{
	int step = len > 1 ? text[1] - text[0] : 0;

	if (step < -1 || step > 1)
		return false;
	for (size_t i = 1; i < len; i++) {
		bool wraps = (text[i - 1] == '9' && text[i] == '0') ||
		    (text[i - 1] == '0' && (text[i] == '9' || text[i] == '1'));

		if (text[i] - text[i - 1] != step && !wraps)
			return false;
	}
	return true;
}

static bool
is_common(const char *text, size_t len)
{
	size_t letters = len;

	while (letters > 0 && !isalpha((unsigned char)text[letters - 1]) &&
	    (unsigned char)text[letters - 1] < 128)
		letters--;
	for (size_t i = 0; i < sizeof(common) / sizeof(common[0]); i++) {
		size_t n = strlen(common[i]);

		if ((n == letters || n == len) &&
		    strncasecmp(common[i], text, n) == 0)
			return true;
	}
	return is_run(text, len);
}

static size_t
count_characters(const char *text, size_t len)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++)
		if (((unsigned char)text[i] & 0xc0) != 0x80)
			n++;
	return n;
}

const char *
password_fault(const char *text, size_t len, const char *login)
{
	char copy[PASSWORD_BYTES_MAX + 1];
	const char *fault = NULL;

	if (len > PASSWORD_BYTES_MAX)
		return "is longer than 128 bytes";
	if (!text_is_printable(text, len))
		return "holds a control character or is not UTF-8";
	if (count_characters(text, len) < PASSWORD_CHARACTERS_MIN)
		return "needs at least 12 characters; a few words will do";
	text_copy_n(copy, sizeof(copy), text, len);
	if (is_common(copy, len))
		fault = "is among the first that anybody would try";
	else if (strlen(login) >= 3 && strcasestr(copy, login) != NULL)
		fault = "holds the login";
	sodium_memzero(copy, sizeof(copy));
	return fault;
}

/* --- hashes -------------------------------------------------------------- */

int
password_hash(char out[PASSWORD_HASH_TEXT], const char *text, size_t len,
    enum password_cost cost)
{
	memset(out, 0, PASSWORD_HASH_TEXT);
	return crypto_pwhash_str_alg(out, text, len, costs[cost].passes,
		   costs[cost].bytes, crypto_pwhash_ALG_ARGON2ID13) == 0
	    ? 0
	    : ERR_NOMEM;
}

int
password_check(const char hash[PASSWORD_HASH_TEXT], const char *text,
    size_t len)
{
	errno = 0;
	if (crypto_pwhash_str_verify(hash, text, len) == 0)
		return 0;
	return errno == ENOMEM ? ERR_NOMEM : ERR_UNAUTHENTICATED;
}

void
password_decoy(char out[PASSWORD_HASH_TEXT], enum password_cost cost)
{
	uint8_t salt[crypto_pwhash_SALTBYTES], hash[32];
	char salt_text[24], hash_text[44];

	randombytes_buf(salt, sizeof(salt));
	randombytes_buf(hash, sizeof(hash));
	sodium_bin2base64(salt_text, sizeof(salt_text), salt, sizeof(salt),
	    sodium_base64_VARIANT_ORIGINAL_NO_PADDING);
	sodium_bin2base64(hash_text, sizeof(hash_text), hash, sizeof(hash),
	    sodium_base64_VARIANT_ORIGINAL_NO_PADDING);
	snprintf(out, PASSWORD_HASH_TEXT,
	    "$argon2id$v=19$m=%zu,t=%llu,p=1$%s$%s", costs[cost].bytes / 1024,
	    costs[cost].passes, salt_text, hash_text);
}

/* --- codes for people ---------------------------------------------------- */

static const char letters_of[] = "0123456789abcdefghjkmnpqrstvwxyz";

void
password_make_code(char *out, size_t letters)
{
	size_t n = 0;

	for (size_t i = 0; i < letters; i++) {
		if (i > 0 && i % 5 == 0)
			out[n++] = '-';
		out[n++] = letters_of[randombytes_uniform(32)];
	}
	out[n] = '\0';
}

bool
password_plain_code(char *out, size_t letters, const char *text)
{
	size_t n = 0;

	for (; *text != '\0'; text++) {
		char c = (char)tolower((unsigned char)*text);

		if (c == '-' || c == ' ')
			continue;
		/* What people read for what was meant. */
		if (c == 'o')
			c = '0';
		else if (c == 'i' || c == 'l')
			c = '1';
		if (strchr(letters_of, c) == NULL || n == letters)
			return false;
		out[n++] = c;
	}
	out[n] = '\0';
	return n == letters;
}
