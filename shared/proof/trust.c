/* The two files of proof_trust_open(); see enroll.h. */
#include "shared/proof/trust.h"

#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/base/text.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#define CA_FILE_MAX ((size_t)4 << 20)
#define ISSUERS_FILE_MAX ((size_t)1 << 20)
#define ISSUERS_MAX 4096
#define BLANKS " \t\r"

static int
read_file(uint8_t **data, size_t *len, const char *path, size_t max)
{
	int err = file_read(data, len, path, max);

	if (err < 0)
		log_error("proof", "cannot read %s: %s", path, err_str(err));
	return err;
}

/* --- certificates --------------------------------------------------------- */

static unsigned int
count_blocks(const char *text)
{
	unsigned int n = 0;

	while ((text = strstr(text, "-----BEGIN ")) != NULL) {
		text++;
		n++;
	}
	return n;
}

/* Every block of the file, or none: libcrypto does not tell its end from a
 * block that it cannot read. */
static int
add_all(X509_STORE *store, BIO *bio, unsigned int blocks, const char *path)
{
	unsigned int n = 0;
	X509 *ca;

	while ((ca = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) {
		bool added = X509_check_ca(ca) > 0 &&
		    (X509_get_extension_flags(ca) & EXFLAG_INVALID) == 0 &&
		    X509_STORE_add_cert(store, ca) == 1;

		X509_free(ca);
		n++;
		if (!added) {
			log_error("proof",
			    "%s: certificate %u is none of a CA, or damaged",
			    path, n);
			return ERR_BAD_REQUEST;
		}
	}
	if (n > 0 && n == blocks)
		return 0;
	if (blocks == 0)
		log_error("proof", "%s: there is no certificate in it", path);
	else
		log_error("proof", "%s: block %u is no certificate", path,
		    n + 1);
	return ERR_BAD_REQUEST;
}

static int
read_bundle(struct proof_trust *trust, const char *path)
{
	uint8_t *data;
	size_t len;
	int err = read_file(&data, &len, path, CA_FILE_MAX);

	if (err < 0)
		return err;
	BIO *bio = BIO_new_mem_buf(data, (int)len);

	trust->store = X509_STORE_new();
	ERR_set_mark();
	err = bio == NULL || trust->store == NULL
	    ? ERR_NOMEM
	    : add_all(trust->store, bio, count_blocks((const char *)data),
		  path);
	ERR_pop_to_mark();
	BIO_free(bio);
	free(data);
	return err;
}

/* --- issuers -------------------------------------------------------------- */

static bool
read_word(enum trust_word *word, const char *text, size_t len)
{
	if (len == 8 && memcmp(text, "hardware", 8) == 0)
		*word = TRUST_HARDWARE;
	else if (len == 7 && memcmp(text, "virtual", 7) == 0)
		*word = TRUST_VIRTUAL;
	else
		return false;
	return true;
}

/* With colons between bytes, or without; in either case. */
static bool
read_fingerprint(uint8_t out[32], const char *text, size_t len)
{
	char hex[64];
	size_t n = 0, out_len;

	if (len != 64 && len != 95)
		return false;
	for (size_t i = 0; i < len; i++) {
		char c = text[i];

		if (len == 95 && i % 3 == 2) {
			if (c != ':')
				return false;
			continue;
		}
		hex[n++] = c >= 'A' && c <= 'F' ? (char)(c - 'A' + 'a') : c;
	}
	return text_from_hex(out, 32, &out_len, hex, sizeof(hex)) == 0;
}

/* 0, ERR_NOT_FOUND (nothing in this line) or ERR_BAD_REQUEST. */
static int
read_line(struct trust_issuer *issuer, const char *line, size_t len)
{
	const char *comment = memchr(line, '#', len);
	const char *end = comment != NULL ? comment : line + len;

	while (line < end && strchr(BLANKS, *line) != NULL)
		line++;
	while (end > line && strchr(BLANKS, end[-1]) != NULL)
		end--;
	if (line == end)
		return ERR_NOT_FOUND;
	size_t word = 0;

	while (line + word < end && strchr(BLANKS, line[word]) == NULL)
		word++;
	if (!read_word(&issuer->word, line, word))
		return ERR_BAD_REQUEST;
	line += word;
	while (line < end && strchr(BLANKS, *line) != NULL)
		line++;
	return read_fingerprint(issuer->sha256, line, (size_t)(end - line))
	    ? 0
	    : ERR_BAD_REQUEST;
}

static int
read_lines(struct proof_trust *trust, const char *text, const char *path)
{
	for (unsigned int n = 1; *text != '\0'; n++) {
		size_t len = strcspn(text, "\n");
		struct trust_issuer *issuer = &trust->issuers[trust->n_issuers];
		int err = trust->n_issuers < ISSUERS_MAX
		    ? read_line(issuer, text, len)
		    : ERR_TOO_LARGE;

		if (err == 0) {
			trust->n_issuers++;
		} else if (err != ERR_NOT_FOUND) {
			log_error("proof",
			    "%s, line %u: want \"hardware\" or \"virtual\" and "
			    "the SHA-256 of a CA certificate (%u lines at "
			    "most)",
			    path, n, ISSUERS_MAX);
			return ERR_BAD_REQUEST;
		}
		text += len + (text[len] == '\n');
	}
	return 0;
}

static int
read_issuers(struct proof_trust *trust, const char *path)
{
	uint8_t *data;
	size_t len;
	int err = read_file(&data, &len, path, ISSUERS_FILE_MAX);

	if (err < 0)
		return err;
	trust->issuers = calloc(ISSUERS_MAX + 1, sizeof(*trust->issuers));
	if (trust->issuers == NULL) {
		err = ERR_NOMEM;
	} else if (strlen((const char *)data) != len) {
		log_error("proof", "%s is no text", path);
		err = ERR_BAD_REQUEST;
	} else {
		err = read_lines(trust, (const char *)data, path);
	}
	free(data);
	return err;
}

enum trust_word
trust_of(const struct proof_trust *trust, X509 *certificate)
{
	uint8_t digest[EVP_MAX_MD_SIZE];
	enum trust_word word = TRUST_UNKNOWN;

	if (X509_digest(certificate, EVP_sha256(), digest, NULL) != 1)
		return word;
	for (size_t i = 0; i < trust->n_issuers; i++) {
		if (memcmp(trust->issuers[i].sha256, digest, 32) != 0)
			continue;
		/* Listed as both: the lesser counts. */
		if (word != TRUST_VIRTUAL)
			word = trust->issuers[i].word;
	}
	return word;
}

/* --- opening -------------------------------------------------------------- */

int
proof_trust_open(struct proof_trust **out, const char *ca_file,
    const char *issuers_file)
{
	struct proof_trust *trust = calloc(1, sizeof(*trust));
	int err = trust == NULL ? ERR_NOMEM : 0;

	if (err == 0 && ca_file != NULL)
		err = read_bundle(trust, ca_file);
	if (err == 0 && issuers_file != NULL)
		err = read_issuers(trust, issuers_file);
	if (err < 0) {
		proof_trust_close(trust);
		return err;
	}
	*out = trust;
	return 0;
}

void
proof_trust_close(struct proof_trust *trust)
{
	if (trust == NULL)
		return;
	X509_STORE_free(trust->store);
	free(trust->issuers);
	free(trust);
}
