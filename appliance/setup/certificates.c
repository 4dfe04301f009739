#include "appliance/setup/certificates.h"

#include "shared/base/err.h"
#include "shared/base/log.h"

#include <arpa/inet.h>
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define DAY_S (24L * 60 * 60)

static int
tls_failed(const char *what)
{
	unsigned long code = ERR_get_error();
	char text[160] = "no reason given";

	if (code != 0)
		ERR_error_string_n(code, text, sizeof(text));
	ERR_clear_error();
	log_error("setup", "cannot make %s: %s", what, text);
	return ERR_SYSTEM;
}

void
certificate_release(struct certificate *certificate)
{
	if (certificate == NULL)
		return;
	X509_free(certificate->x509);
	EVP_PKEY_free(certificate->key);
	*certificate = (struct certificate){ 0 };
}

static bool
is_address(const char *host)
{
	struct in6_addr address;

	return inet_pton(AF_INET, host, &address) == 1 ||
	    inet_pton(AF_INET6, host, &address) == 1;
}

/* RFC 1123 labels; a wildcard may stand for the first one only. */
bool
certificate_host_is_valid(const char *host)
{
	size_t label = 0, len = strlen(host);

	if (is_address(host))
		return true;
	if (len == 0 || len > 253)
		return false;
	if (strncmp(host, "*.", 2) == 0)
		host += 2;
	for (const char *p = host;; p++) {
		bool letter = (*p >= 'a' && *p <= 'z') ||
		    (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9');

		if (letter || (*p == '-' && label > 0)) {
			if (++label > 63)
				return false;
			continue;
		}
		if ((*p != '.' && *p != '\0') || label == 0 || p[-1] == '-')
			return false;
		if (*p == '\0')
			return true;
		label = 0;
	}
}

static int
set_serial(X509 *x509)
{
	BIGNUM *serial = BN_new();
	int ok = serial != NULL &&
	    BN_rand(serial, 159, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) == 1 &&
	    BN_to_ASN1_INTEGER(serial, X509_get_serialNumber(x509)) != NULL;

	BN_free(serial);
	return ok;
}

/* RFC 5280 bounds a common name at 64 characters. */
static int
add_name(X509_NAME *name, const char *field, const char *text)
{
	char cut[65];
	size_t len = strnlen(text, sizeof(cut) - 1);

	/* Not in the middle of a UTF-8 character. */
	while (len > 0 && ((unsigned char)text[len] & 0xc0) == 0x80)
		len--;
	memcpy(cut, text, len);
	cut[len] = '\0';
	return X509_NAME_add_entry_by_txt(name, field, MBSTRING_UTF8,
	    (const unsigned char *)cut, (int)len, -1, 0);
}

/* Key, serial, validity and subject; the issuer is the subject so far. */
static int
begin(struct certificate *out, int days, const char *common_name,
    const char *organization)
{
	X509 *x509 = X509_new();

	out->x509 = x509;
	out->key = EVP_EC_gen("P-256");
	if (x509 == NULL || out->key == NULL)
		return tls_failed("a P-256 key");
	X509_NAME *subject = X509_get_subject_name(x509);
	int ok = X509_set_version(x509, X509_VERSION_3) && set_serial(x509) &&
	    X509_gmtime_adj(X509_getm_notBefore(x509),
		-CERTIFICATE_BACKDATE_S) != NULL &&
	    X509_gmtime_adj(X509_getm_notAfter(x509),
		days * DAY_S - CERTIFICATE_BACKDATE_S) != NULL &&
	    X509_set_pubkey(x509, out->key) &&
	    add_name(subject, "O", organization) &&
	    add_name(subject, "CN", common_name) &&
	    X509_set_issuer_name(x509, subject);

	return ok ? 0 : tls_failed("a certificate");
}

static int
add_extension(X509 *x509, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;

	X509V3_set_ctx_nodb(&ctx);
	X509V3_set_ctx(&ctx, issuer, x509, NULL, NULL, 0);
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	int ok = extension != NULL && X509_add_ext(x509, extension, -1);

	X509_EXTENSION_free(extension);
	return ok;
}

int
certificate_make_ca(struct certificate *ca, const char *site, const char *name)
{
	char common_name[96];

	snprintf(common_name, sizeof(common_name), "Leasehold CA of %s", site);
	int rc = begin(ca, CERTIFICATE_CA_DAYS, common_name, name);

	if (rc == 0) {
		X509 *x509 = ca->x509;
		int ok = add_extension(x509, x509, NID_basic_constraints,
			     "critical,CA:TRUE,pathlen:0") &&
		    add_extension(x509, x509, NID_key_usage,
			"critical,keyCertSign,cRLSign") &&
		    add_extension(x509, x509, NID_subject_key_identifier,
			"hash") &&
		    X509_sign(x509, ca->key, EVP_sha256()) > 0;

		rc = ok ? 0 : tls_failed("the site's CA");
	}
	if (rc != 0)
		certificate_release(ca);
	return rc;
}

static int
add_host(GENERAL_NAMES *names, const char *host)
{
	GENERAL_NAME *name = NULL;

	if (is_address(host)) {
		name = a2i_GENERAL_NAME(NULL, NULL, NULL, GEN_IPADD, host, 0);
	} else if ((name = GENERAL_NAME_new()) != NULL) {
		ASN1_IA5STRING *text = ASN1_IA5STRING_new();

		if (text == NULL ||
		    !ASN1_STRING_set(text, host, (int)strlen(host))) {
			ASN1_IA5STRING_free(text);
			GENERAL_NAME_free(name);
			return 0;
		}
		GENERAL_NAME_set0_value(name, GEN_DNS, text);
	}
	if (name != NULL && sk_GENERAL_NAME_push(names, name) > 0)
		return 1;
	GENERAL_NAME_free(name);
	return 0;
}

/* Tenants have names of their own under the site's. */
static int
add_tenants(GENERAL_NAMES *names, const char *const *hosts, const char *host)
{
	char wildcard[256];

	if (is_address(host) || host[0] == '*' || strchr(host, '.') == NULL ||
	    snprintf(wildcard, sizeof(wildcard), "*.%s", host) > 253)
		return 1;
	for (; *hosts != NULL; hosts++)
		if (strcasecmp(*hosts, wildcard) == 0)
			return 1;
	return add_host(names, wildcard);
}

static int
add_hosts(X509 *x509, const char *const *hosts)
{
	GENERAL_NAMES *names = sk_GENERAL_NAME_new_null();
	int ok = names != NULL;

	for (size_t i = 0; ok && hosts[i] != NULL; i++)
		ok = add_host(names, hosts[i]) &&
		    add_tenants(names, hosts, hosts[i]);
	ok = ok &&
	    X509_add1_ext_i2d(x509, NID_subject_alt_name, names, 0, 0) > 0;
	GENERAL_NAMES_free(names);
	return ok;
}

static int
check_hosts(const char *const *hosts)
{
	size_t n = 0;

	for (; hosts[n] != NULL; n++) {
		if (certificate_host_is_valid(hosts[n]))
			continue;
		log_error("setup", "\"%s\" is not a host name or address",
		    hosts[n]);
		return ERR_BAD_REQUEST;
	}
	if (n >= 1 && n <= CERTIFICATE_HOSTS_MAX)
		return 0;
	log_error("setup", "a certificate takes 1 to %d hosts, not %zu",
	    CERTIFICATE_HOSTS_MAX, n);
	return ERR_BAD_REQUEST;
}

int
certificate_make_server(struct certificate *server,
    const struct certificate *ca, const char *const *hosts)
{
	int rc = check_hosts(hosts);

	if (rc != 0)
		return rc;
	rc = begin(server, CERTIFICATE_SERVER_DAYS, hosts[0], "Leasehold");
	if (rc == 0) {
		X509 *x509 = server->x509;
		X509 *issuer = ca->x509;
		int ok =
		    X509_set_issuer_name(x509, X509_get_subject_name(issuer)) &&
		    add_extension(x509, issuer, NID_basic_constraints,
			"critical,CA:FALSE") &&
		    add_extension(x509, issuer, NID_key_usage,
			"critical,digitalSignature") &&
		    add_extension(x509, issuer, NID_ext_key_usage,
			"serverAuth") &&
		    add_extension(x509, issuer, NID_subject_key_identifier,
			"hash") &&
		    add_extension(x509, issuer, NID_authority_key_identifier,
			"keyid:always") &&
		    add_hosts(x509, hosts) &&
		    X509_sign(x509, ca->key, EVP_sha256()) > 0;

		rc = ok ? 0 : tls_failed("the server's certificate");
	}
	if (rc != 0)
		certificate_release(server);
	return rc;
}

static int
write_bio(struct buf *pem, BIO *bio, int ok)
{
	char *data = NULL;
	long len = ok && bio != NULL ? BIO_get_mem_data(bio, &data) : 0;

	if (len > 0)
		buf_add(pem, data, (size_t)len);
	BIO_free(bio);
	if (len <= 0)
		return tls_failed("PEM text");
	return pem->failed ? ERR_NOMEM : 0;
}

int
certificate_write(struct buf *pem, const struct certificate *certificate)
{
	BIO *bio = BIO_new(BIO_s_mem());

	return write_bio(pem, bio,
	    bio != NULL && PEM_write_bio_X509(bio, certificate->x509));
}

int
certificate_write_key(struct buf *pem, const struct certificate *certificate)
{
	/* A secure BIO wipes its memory when it is freed. */
	BIO *bio = BIO_new(BIO_s_secmem());

	return write_bio(pem, bio,
	    bio != NULL &&
		PEM_write_bio_PrivateKey(bio, certificate->key, NULL, NULL, 0,
		    NULL, NULL));
}

static BIO *
read_bio(const void *data, size_t len)
{
	return len > 0 && len <= 1 << 20 ? BIO_new_mem_buf(data, (int)len)
					 : NULL;
}

int
certificate_read(struct certificate *certificate, const void *pem, size_t len,
    const void *key_pem, size_t key_len)
{
	BIO *cert = read_bio(pem, len), *key = read_bio(key_pem, key_len);

	if (cert != NULL && key != NULL) {
		certificate->x509 = PEM_read_bio_X509(cert, NULL, NULL, NULL);
		certificate->key =
		    PEM_read_bio_PrivateKey(key, NULL, NULL, NULL);
	}
	int ok = certificate->x509 != NULL && certificate->key != NULL &&
	    X509_check_private_key(certificate->x509, certificate->key) == 1;

	ERR_clear_error();
	BIO_free(cert);
	BIO_free(key);
	if (!ok)
		certificate_release(certificate);
	return ok ? 0 : ERR_CORRUPT;
}

/* As people type it; false: neither a name nor an address. */
static bool
read_name(char host[256], const GENERAL_NAME *name, bool addresses)
{
	if (name->type != GEN_DNS && !(addresses && name->type == GEN_IPADD))
		return false;
	const ASN1_STRING *text =
	    name->type == GEN_DNS ? name->d.dNSName : name->d.iPAddress;
	const unsigned char *data = ASN1_STRING_get0_data(text);
	int len = ASN1_STRING_length(text);

	if (name->type == GEN_IPADD)
		return (len == 4 || len == 16) &&
		    inet_ntop(len == 4 ? AF_INET : AF_INET6, data, host, 256) !=
		    NULL;
	if (len <= 0 || len >= 256)
		return false;
	memcpy(host, data, (size_t)len);
	host[len] = '\0';
	return true;
}

static int
walk_names(const GENERAL_NAMES *names, bool addresses,
    int (*each)(void *ctx, const char *host), void *ctx)
{
	char host[256];
	int rc = 0;

	for (int i = 0; i < sk_GENERAL_NAME_num(names) && rc == 0; i++)
		if (read_name(host, sk_GENERAL_NAME_value(names, i), addresses))
			rc = each(ctx, host);
	return rc;
}

static int
walk_certificate(const void *pem, size_t len, bool addresses,
    int (*each)(void *ctx, const char *host), void *ctx)
{
	BIO *bio = read_bio(pem, len);
	X509 *x509 =
	    bio == NULL ? NULL : PEM_read_bio_X509(bio, NULL, NULL, NULL);
	GENERAL_NAMES *names = x509 == NULL
	    ? NULL
	    : X509_get_ext_d2i(x509, NID_subject_alt_name, NULL, NULL);
	int rc = x509 == NULL ? ERR_CORRUPT : 0;

	ERR_clear_error();
	if (names != NULL)
		rc = walk_names(names, addresses, each, ctx);
	GENERAL_NAMES_free(names);
	X509_free(x509);
	BIO_free(bio);
	return rc;
}

int
certificate_each_host(const void *pem, size_t len,
    int (*each)(void *ctx, const char *host), void *ctx)
{
	return walk_certificate(pem, len, false, each, ctx);
}

int
certificate_each_name(const void *pem, size_t len,
    int (*each)(void *ctx, const char *host), void *ctx)
{
	return walk_certificate(pem, len, true, each, ctx);
}

int
certificate_digest(uint8_t sha256[32], const void *pem, size_t len)
{
	BIO *bio =
	    len > 0 && len <= 1 << 20 ? BIO_new_mem_buf(pem, (int)len) : NULL;
	X509 *x509 =
	    bio == NULL ? NULL : PEM_read_bio_X509(bio, NULL, NULL, NULL);
	unsigned int size = 0;
	int ok = x509 != NULL &&
	    X509_digest(x509, EVP_sha256(), sha256, &size) && size == 32;

	ERR_clear_error();
	X509_free(x509);
	BIO_free(bio);
	return ok ? 0 : ERR_CORRUPT;
}
