/*
 * A small PKI for tests, made through libcrypto: a CA and server certificates
 * it signs, as PEM in memory. Header only, for tests that need it.
 */
#ifndef TESTS_UNIT_PKI_H
#define TESTS_UNIT_PKI_H

#include <check.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct pki_ca {
	EVP_PKEY *key;
	X509 *certificate;
	char *pem;
	uint8_t sha256[32];
};

struct pki_leaf {
	char *cert_pem; /* with the CA behind it */
	char *key_pem;
};

static inline char *
pki_text(BIO *bio)
{
	char *data;
	long len = BIO_get_mem_data(bio, &data);
	char *text = strndup(data, (size_t)len);

	BIO_free(bio);
	ck_assert_ptr_nonnull(text);
	return text;
}

static inline void
pki_extend(X509 *certificate, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;

	X509V3_set_ctx(&ctx, issuer, certificate, NULL, NULL, 0);
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);

	ck_assert_ptr_nonnull(extension);
	ck_assert_int_eq(X509_add_ext(certificate, extension, -1), 1);
	X509_EXTENSION_free(extension);
}

/* From `from_s` to `to_s` seconds from now. */
static inline X509 *
pki_certificate(EVP_PKEY *key, const char *name, long serial, long from_s,
    long to_s)
{
	X509 *certificate = X509_new();

	ck_assert_int_eq(X509_set_version(certificate, 2), 1);
	ASN1_INTEGER_set(X509_get_serialNumber(certificate), serial);
	X509_gmtime_adj(X509_getm_notBefore(certificate), from_s);
	X509_gmtime_adj(X509_getm_notAfter(certificate), to_s);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN",
	    MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
	ck_assert_int_eq(X509_set_pubkey(certificate, key), 1);
	return certificate;
}

static inline struct pki_ca
pki_ca_new(const char *name)
{
	struct pki_ca ca = { .key = EVP_EC_gen("P-256") };
	unsigned int len = 0;

	ca.certificate = pki_certificate(ca.key, name, 1, -3600, 86400);
	X509_set_issuer_name(ca.certificate,
	    X509_get_subject_name(ca.certificate));
	pki_extend(ca.certificate, ca.certificate, NID_basic_constraints,
	    "critical,CA:TRUE");
	pki_extend(ca.certificate, ca.certificate, NID_key_usage,
	    "critical,keyCertSign,cRLSign");
	pki_extend(ca.certificate, ca.certificate, NID_subject_key_identifier,
	    "hash");
	ck_assert_int_gt(X509_sign(ca.certificate, ca.key, EVP_sha256()), 0);
	ck_assert_int_eq(X509_digest(ca.certificate, EVP_sha256(), ca.sha256,
			     &len),
	    1);
	BIO *bio = BIO_new(BIO_s_mem());

	ck_assert_int_eq(PEM_write_bio_X509(bio, ca.certificate), 1);
	ca.pem = pki_text(bio);
	return ca;
}

static inline void
pki_ca_release(struct pki_ca *ca)
{
	EVP_PKEY_free(ca->key);
	X509_free(ca->certificate);
	free(ca->pem);
}

/* `names` as in "DNS:site.example,IP:127.0.0.1"; `usage` "serverAuth". */
static inline struct pki_leaf
pki_leaf_new(const struct pki_ca *ca, const char *cn, const char *names,
    const char *usage, long from_s, long to_s)
{
	struct pki_leaf leaf;
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *certificate = pki_certificate(key, cn, 2, from_s, to_s);

	X509_set_issuer_name(certificate,
	    X509_get_subject_name(ca->certificate));
	pki_extend(certificate, ca->certificate, NID_basic_constraints,
	    "critical,CA:FALSE");
	if (names != NULL)
		pki_extend(certificate, ca->certificate, NID_subject_alt_name,
		    names);
	pki_extend(certificate, ca->certificate, NID_ext_key_usage, usage);
	pki_extend(certificate, ca->certificate, NID_authority_key_identifier,
	    "keyid");
	ck_assert_int_gt(X509_sign(certificate, ca->key, EVP_sha256()), 0);
	BIO *bio = BIO_new(BIO_s_mem());

	ck_assert_int_eq(PEM_write_bio_X509(bio, certificate), 1);
	ck_assert_int_eq(PEM_write_bio_X509(bio, ca->certificate), 1);
	leaf.cert_pem = pki_text(bio);
	bio = BIO_new(BIO_s_mem());
	ck_assert_int_eq(PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL,
			     NULL),
	    1);
	leaf.key_pem = pki_text(bio);
	EVP_PKEY_free(key);
	X509_free(certificate);
	return leaf;
}

static inline void
pki_leaf_release(struct pki_leaf *leaf)
{
	free(leaf->cert_pem);
	free(leaf->key_pem);
}

#endif
