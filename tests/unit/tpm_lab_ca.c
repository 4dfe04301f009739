/* Makers of TPMs, as certificate authorities; see tpm_lab.h. */
#include "tests/unit/tpm_lab.h"

#include <openssl/core_names.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define YEAR_S ((long)365 * 86400)

#define MUST(what)                                                             \
	do {                                                                   \
		if (!(what)) {                                                 \
			fprintf(stderr, "tpm_lab: %s: %s\n", __func__, #what); \
			abort();                                               \
		}                                                              \
	} while (0)

static void
add_name(X509_NAME *name, const char *oid, const char *value)
{
	ASN1_OBJECT *object = OBJ_txt2obj(oid, 1);

	MUST(object != NULL);
	MUST(X509_NAME_add_entry_by_OBJ(name, object, MBSTRING_UTF8,
		 (const unsigned char *)value, -1, -1, 0) == 1);
	ASN1_OBJECT_free(object);
}

static void
set_serial(X509 *certificate, uint64_t serial)
{
	if (serial == 0)
		MUST(RAND_bytes((unsigned char *)&serial, 7) == 1);
	MUST(ASN1_INTEGER_set_uint64(X509_get_serialNumber(certificate),
		 serial) == 1);
}

static void
add_text_extension(X509 *certificate, int nid, const char *value)
{
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, nid, value);

	MUST(extension != NULL);
	MUST(X509_add_ext(certificate, extension, -1) == 1);
	X509_EXTENSION_free(extension);
}

/* --- authorities ---------------------------------------------------------- */

void
lab_ca_new(struct lab_ca *ca, const char *name, const struct lab_ca *above)
{
	X509 *certificate = X509_new();

	MUST(certificate != NULL);
	ca->key = EVP_EC_gen("P-256");
	MUST(ca->key != NULL);
	MUST(X509_set_version(certificate, X509_VERSION_3) == 1);
	set_serial(certificate, 0);
	add_name(X509_get_subject_name(certificate), "2.5.4.3", name);
	MUST(X509_set_issuer_name(certificate,
		 X509_get_subject_name(
		     above == NULL ? certificate : above->certificate)) == 1);
	X509_gmtime_adj(X509_getm_notBefore(certificate), -YEAR_S);
	X509_gmtime_adj(X509_getm_notAfter(certificate), 10 * YEAR_S);
	MUST(X509_set_pubkey(certificate, ca->key) == 1);
	add_text_extension(certificate, NID_basic_constraints,
	    "critical,CA:TRUE");
	add_text_extension(certificate, NID_key_usage, "critical,keyCertSign");
	MUST(X509_sign(certificate, above == NULL ? ca->key : above->key,
		 EVP_sha256()) > 0);
	ca->certificate = certificate;
}

void
lab_ca_release(struct lab_ca *ca)
{
	X509_free(ca->certificate);
	EVP_PKEY_free(ca->key);
	*ca = (struct lab_ca){ 0 };
}

void
lab_ca_write(const struct lab_ca *ca, const char *path)
{
	FILE *file = fopen(path, "ae");

	MUST(file != NULL);
	MUST(PEM_write_X509(file, ca->certificate) == 1);
	MUST(fclose(file) == 0);
}

void
lab_ca_list(const struct lab_ca *ca, const char *path, const char *word)
{
	FILE *file = fopen(path, "ae");
	unsigned char digest[32];

	MUST(file != NULL);
	MUST(X509_digest(ca->certificate, EVP_sha256(), digest, NULL) == 1);
	fprintf(file, "%s ", word);
	for (size_t i = 0; i < sizeof(digest); i++)
		fprintf(file, "%02x", digest[i]);
	fputs("  # of a test\n", file);
	MUST(fclose(file) == 0);
}

/* --- certificates of EKs -------------------------------------------------- */

static EVP_PKEY *
read_ek(const uint8_t *ek, size_t len)
{
	OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
	EVP_PKEY_CTX *ctx =
	    EVP_PKEY_CTX_new_from_name(NULL, len == 256 ? "RSA" : "EC", NULL);
	BIGNUM *n = BN_bin2bn(ek, (int)len, NULL);
	uint8_t point[65] = { 4 };
	EVP_PKEY *key = NULL;

	MUST(build != NULL && ctx != NULL && n != NULL);
	if (len == 256) {
		MUST(OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, n));
		MUST(OSSL_PARAM_BLD_push_ulong(build, OSSL_PKEY_PARAM_RSA_E,
		    65537));
	} else {
		memcpy(point + 1, ek, 64);
		MUST(OSSL_PARAM_BLD_push_utf8_string(build,
		    OSSL_PKEY_PARAM_GROUP_NAME, "P-256", 0));
		MUST(OSSL_PARAM_BLD_push_octet_string(build,
		    OSSL_PKEY_PARAM_PUB_KEY, point, sizeof(point)));
	}
	OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(build);

	MUST(EVP_PKEY_fromdata_init(ctx) == 1);
	MUST(EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) == 1);
	OSSL_PARAM_free(params);
	OSSL_PARAM_BLD_free(build);
	EVP_PKEY_CTX_free(ctx);
	BN_free(n);
	return key;
}

static void
set_key(X509 *certificate, const uint8_t *ek, size_t len)
{
	EVP_PKEY *key = read_ek(ek, len);

	MUST(X509_set_pubkey(certificate, key) == 1);
	EVP_PKEY_free(key);
}

/* RSAES-OAEP, as TPMs of before 2.0 said it. */
static void
make_key_odd(X509 *certificate)
{
	X509_PUBKEY *public_key = X509_get_X509_PUBKEY(certificate);
	const unsigned char *bits;
	int len;

	MUST(X509_PUBKEY_get0_param(NULL, &bits, &len, NULL, public_key) == 1);
	unsigned char *copy = OPENSSL_memdup(bits, (size_t)len);

	MUST(copy != NULL);
	MUST(X509_PUBKEY_set0_param(public_key, OBJ_nid2obj(NID_rsaesOaep),
		 V_ASN1_NULL, NULL, copy, len) == 1);
}

static void
push_dns_name(GENERAL_NAMES *names)
{
	GENERAL_NAME *name = GENERAL_NAME_new();
	ASN1_IA5STRING *text = ASN1_IA5STRING_new();

	MUST(name != NULL && text != NULL);
	MUST(ASN1_STRING_set(text, "tpm.example", -1) == 1);
	GENERAL_NAME_set0_value(name, GEN_DNS, text);
	MUST(sk_GENERAL_NAME_push(names, name) > 0);
}

/* TCG EK Credential Profile, 3.2.9. */
static void
add_tpm_name(X509 *certificate, const char *manufacturer,
    const struct lab_leaf *leaf)
{
	GENERAL_NAMES *names = sk_GENERAL_NAME_new_null();
	GENERAL_NAME *name = GENERAL_NAME_new();

	MUST(names != NULL && name != NULL);
	name->type = GEN_DIRNAME;
	name->d.directoryName = X509_NAME_new();
	MUST(name->d.directoryName != NULL);
	if (manufacturer != NULL)
		add_name(name->d.directoryName, "2.23.133.2.1", manufacturer);
	add_name(name->d.directoryName, "2.23.133.2.2", "lab");
	add_name(name->d.directoryName, "2.23.133.2.3", "id:00010002");
	if (leaf->more_names)
		push_dns_name(names);
	MUST(sk_GENERAL_NAME_push(names, name) > 0);
	if (leaf->more_names)
		push_dns_name(names);
	MUST(X509_add1_ext_i2d(certificate, NID_subject_alt_name, names,
		 leaf->critical_name, X509V3_ADD_DEFAULT) == 1);
	sk_GENERAL_NAME_pop_free(names, GENERAL_NAME_free);
}

static void
add_extensions(X509 *certificate, size_t ek_len, const struct lab_leaf *leaf)
{
	static const char *const of_ek = "2.23.133.8.1";

	add_text_extension(certificate, NID_basic_constraints,
	    "critical,CA:FALSE");
	add_text_extension(certificate, NID_key_usage,
	    ek_len == 256 ? "critical,keyEncipherment"
			  : "critical,keyAgreement");
	if (leaf->usage == NULL || leaf->usage[0] != '\0')
		add_text_extension(certificate, NID_ext_key_usage,
		    leaf->usage == NULL ? of_ek : leaf->usage);
	const char *maker =
	    leaf->manufacturer != NULL ? leaf->manufacturer : "id:4C454153";

	add_tpm_name(certificate, leaf->no_manufacturer ? NULL : maker, leaf);
	if (leaf->usage_twice)
		add_text_extension(certificate, NID_ext_key_usage,
		    "serverAuth");
	if (leaf->unknown_critical) {
		ASN1_OBJECT *oid = OBJ_txt2obj("1.3.6.1.4.1.99999.1", 1);
		ASN1_OCTET_STRING *data = ASN1_OCTET_STRING_new();

		MUST(ASN1_OCTET_STRING_set(data, (const unsigned char *)"\x05",
			 2) == 1);
		X509_EXTENSION *extension =
		    X509_EXTENSION_create_by_OBJ(NULL, oid, 1, data);

		MUST(X509_add_ext(certificate, extension, -1) == 1);
		X509_EXTENSION_free(extension);
		ASN1_OCTET_STRING_free(data);
		ASN1_OBJECT_free(oid);
	}
}

size_t
lab_certify(uint8_t out[4096], const struct lab_ca *ca, const uint8_t *ek,
    size_t ek_len, const struct lab_leaf *leaf)
{
	static const struct lab_leaf plain = { 0 };
	X509 *certificate = X509_new();

	if (leaf == NULL)
		leaf = &plain;
	MUST(certificate != NULL);
	MUST(X509_set_version(certificate, X509_VERSION_3) == 1);
	set_serial(certificate, leaf->serial);
	MUST(X509_set_issuer_name(certificate,
		 X509_get_subject_name(ca->certificate)) == 1);
	X509_gmtime_adj(X509_getm_notBefore(certificate),
	    leaf->not_before_s != 0 ? leaf->not_before_s : -3600);
	X509_gmtime_adj(X509_getm_notAfter(certificate),
	    leaf->not_after_s != 0 ? leaf->not_after_s : YEAR_S);
	set_key(certificate, ek, ek_len);
	if (leaf->odd_key)
		make_key_odd(certificate);
	add_extensions(certificate, ek_len, leaf);
	MUST(X509_sign(certificate, ca->key,
		 leaf->sha1 ? EVP_sha1() : EVP_sha256()) > 0);
	int len = i2d_X509(certificate, NULL);

	MUST(len > 0 && len <= 4096);
	i2d_X509(certificate, &out);
	X509_free(certificate);
	return (size_t)len;
}
