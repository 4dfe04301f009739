#include "appliance/courier/own.h"

#include "shared/base/err.h"
#include "shared/base/log.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Nobody looks at its dates but TLS; a courier does not live so long. */
#define DAY_S 86400L
#define DAYS 3650

static int
failed(void)
{
	char text[160];

	ERR_error_string_n(ERR_peek_last_error(), text, sizeof(text));
	ERR_clear_error();
	log_error("courier", "a certificate for hubs cannot be made: %s", text);
	return ERR_SYSTEM;
}

static bool
fill(X509 *x509, EVP_PKEY *key)
{
	X509_NAME *name = X509_get_subject_name(x509);
	static const unsigned char text[] = "leasehold courier";

	return X509_set_version(x509, X509_VERSION_3) == 1 &&
	    ASN1_INTEGER_set(X509_get_serialNumber(x509),
		1 + (long)randombytes_uniform(1u << 30)) == 1 &&
	    X509_gmtime_adj(X509_getm_notBefore(x509), -DAY_S) != NULL &&
	    X509_gmtime_adj(X509_getm_notAfter(x509), DAYS * DAY_S) != NULL &&
	    X509_set_pubkey(x509, key) == 1 &&
	    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, text, -1, -1,
		0) == 1 &&
	    X509_set_issuer_name(x509, name) == 1 &&
	    X509_sign(x509, key, EVP_sha256()) > 0;
}

/* Takes the bytes out of a BIO into memory of ours. */
static int
take(uint8_t **out, size_t *len, BIO *bio, void *(*get)(size_t size))
{
	char *data = NULL;
	long n = BIO_get_mem_data(bio, &data);

	if (n <= 0)
		return ERR_SYSTEM;
	*out = get((size_t)n);
	if (*out == NULL)
		return ERR_NOMEM;
	memcpy(*out, data, (size_t)n);
	*len = (size_t)n;
	sodium_memzero(data, (size_t)n);
	return 0;
}

static int
write_pem(struct own *own, X509 *x509, EVP_PKEY *key)
{
	BIO *bio = BIO_new(BIO_s_secmem());
	BIO *key_bio = BIO_new(BIO_s_secmem());
	int rc = ERR_SYSTEM;

	if (bio != NULL && key_bio != NULL &&
	    PEM_write_bio_X509(bio, x509) == 1 &&
	    PEM_write_bio_PrivateKey(key_bio, key, NULL, NULL, 0, NULL, NULL) ==
		1)
		rc =
		    take(&own->certificate, &own->certificate_len, bio, malloc);
	if (rc == 0)
		rc = take(&own->key, &own->key_len, key_bio, sodium_malloc);
	BIO_free(bio);
	BIO_free(key_bio);
	return rc;
}

int
own_make(struct own *own)
{
	X509 *x509 = X509_new();
	EVP_PKEY *key = EVP_EC_gen("P-256");
	unsigned int len = 0;
	int rc = ERR_SYSTEM;

	*own = (struct own){ .certificate = NULL };
	if (x509 != NULL && key != NULL && fill(x509, key) &&
	    X509_digest(x509, EVP_sha256(), own->sha256, &len) == 1)
		rc = write_pem(own, x509, key);
	X509_free(x509);
	EVP_PKEY_free(key);
	if (rc == 0)
		return 0;
	own_release(own);
	return rc == ERR_SYSTEM ? failed() : rc;
}

void
own_release(struct own *own)
{
	free(own->certificate);
	sodium_free(own->key);
	*own = (struct own){ .certificate = NULL };
}
