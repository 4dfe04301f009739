/*
 * TLS 1.3 only, both sides: no tickets, no resumption, no early data, so that
 * there is one way to an exporter. Certificates come from memory. The client
 * trusts exactly one CA: given as PEM, or known by its SHA-256 and sent by the
 * server.
 */
#include "shared/net/net_private.h"

#include "shared/base/err.h"
#include "shared/base/log.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <time.h>

/* OpenSSL's own would ask at the terminal. */
static int
no_passphrase(char *buf, int size, int writing, void *ctx)
{
	(void)buf;
	(void)size;
	(void)writing;
	(void)ctx;
	return -1;
}

static int
tls_failed(const char *what)
{
	char text[160];

	ERR_error_string_n(ERR_peek_last_error(), text, sizeof(text));
	ERR_clear_error();
	log_error("net", "%s: %s", what, text);
	return ERR_BAD_REQUEST;
}

X509 *
net_tls_read_certificate(const char *pem)
{
	BIO *bio = BIO_new_mem_buf(pem, -1);
	X509 *certificate = bio != NULL
	    ? PEM_read_bio_X509(bio, NULL, no_passphrase, NULL)
	    : NULL;

	BIO_free(bio);
	ERR_clear_error();
	return certificate;
}

/* The first certificate is the server's own, the others lead to its CA. */
static int
read_chain(X509 **certificate, STACK_OF(X509) * *chain, const char *pem)
{
	BIO *bio = BIO_new_mem_buf(pem, -1);
	X509 *next;

	*certificate = NULL;
	*chain = sk_X509_new_null();
	if (bio == NULL || *chain == NULL) {
		BIO_free(bio);
		return ERR_NOMEM;
	}
	while ((next = PEM_read_bio_X509(bio, NULL, no_passphrase, NULL)) !=
	    NULL) {
		if (*certificate == NULL) {
			*certificate = next;
		} else if (sk_X509_push(*chain, next) == 0) {
			X509_free(next);
			break;
		}
	}
	BIO_free(bio);
	/* The end of the text is an error to OpenSSL, and no other is. */
	bool ended =
	    ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;

	if (*certificate == NULL || !ended)
		return tls_failed("the certificate cannot be read");
	ERR_clear_error();
	return 0;
}

int
net_tls_use(SSL_CTX *tls, const char *cert_pem, const char *key_pem)
{
	X509 *certificate = NULL;
	STACK_OF(X509) *chain = NULL;
	EVP_PKEY *key = NULL;
	BIO *bio = NULL;
	int err = read_chain(&certificate, &chain, cert_pem);

	if (err != 0)
		goto out;
	bio = BIO_new_mem_buf(key_pem, -1);
	if (bio != NULL)
		key = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
	if (key == NULL) {
		err = tls_failed("the private key cannot be read");
		goto out;
	}
	/* All or nothing: it looks whether they fit before it changes any. */
	if (SSL_CTX_use_cert_and_key(tls, certificate, key, chain, 1) != 1)
		err = tls_failed("certificate and key do not fit together");
out:
	EVP_PKEY_free(key);
	BIO_free(bio);
	sk_X509_pop_free(chain, X509_free);
	X509_free(certificate);
	return err;
}

static int
set_common(SSL_CTX *tls)
{
	if (SSL_CTX_set_min_proto_version(tls, TLS1_3_VERSION) != 1 ||
	    SSL_CTX_set_max_proto_version(tls, TLS1_3_VERSION) != 1)
		return tls_failed("TLS 1.3 is not available");
	SSL_CTX_set_session_cache_mode(tls, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_options(tls, SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION);
	/* Idle connections hold no buffers. */
	SSL_CTX_set_mode(tls,
	    SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
		SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	return 0;
}

static int
ask_for_certificates(SSL_CTX *tls, const char *ca_pem)
{
	X509 *ca = NULL;
	STACK_OF(X509) *more = NULL;
	int err = read_chain(&ca, &more, ca_pem);

	for (int i = -1; err == 0 && i < sk_X509_num(more); i++) {
		X509 *one = i < 0 ? ca : sk_X509_value(more, i);

		if (X509_STORE_add_cert(SSL_CTX_get_cert_store(tls), one) !=
			1 ||
		    SSL_CTX_add_client_CA(tls, one) != 1)
			err = tls_failed("the CA of clients cannot be used");
	}
	sk_X509_pop_free(more, X509_free);
	X509_free(ca);
	if (err != 0)
		return err;
	/* Asked for, not required: the ledger knows which keys need one. A
	 * certificate that does not verify ends the handshake. */
	SSL_CTX_set_verify(tls, SSL_VERIFY_PEER, NULL);
	return 0;
}

/* Its key is proved by the handshake; whose it is, somebody else finds out. What
 * was wrong with it stays the connection's verify result. */
static int
take_any(int good, X509_STORE_CTX *presented)
{
	(void)good;
	(void)presented;
	return 1;
}

int
net_tls_server(SSL_CTX *tls, const char *cert_pem, const char *key_pem,
    const char *client_ca_pem, bool client_any)
{
	int err = set_common(tls);

	if (err != 0)
		return err;
	if (SSL_CTX_set_num_tickets(tls, 0) != 1 ||
	    SSL_CTX_set_max_early_data(tls, 0) != 1)
		return tls_failed("tickets cannot be turned off");
	err = net_tls_use(tls, cert_pem, key_pem);
	if (err == 0 && client_ca_pem != NULL)
		err = ask_for_certificates(tls, client_ca_pem);
	if (err == 0 && client_any)
		SSL_CTX_set_verify(tls, SSL_VERIFY_PEER, take_any);
	return err;
}

/* --- what a client believes ---------------------------------------------- */

/* The certificate with the wanted SHA-256 among those the server sent; it has
 * to be a CA and cannot be the server's own. */
static X509 *
find_pinned(X509_STORE_CTX *presented, const uint8_t sha256[32])
{
	STACK_OF(X509) *sent = X509_STORE_CTX_get0_untrusted(presented);
	X509 *own = X509_STORE_CTX_get0_cert(presented);

	for (int i = 0; i < sk_X509_num(sent); i++) {
		X509 *one = sk_X509_value(sent, i);
		unsigned char digest[EVP_MAX_MD_SIZE];
		unsigned int len = 0;

		if (X509_cmp(one, own) == 0 || X509_check_ca(one) != 1)
			continue;
		if (X509_digest(one, EVP_sha256(), digest, &len) == 1 &&
		    len == 32 && CRYPTO_memcmp(digest, sha256, 32) == 0)
			return one;
	}
	return NULL;
}

static int
expect_name(X509_VERIFY_PARAM *param, const char *host)
{
	unsigned char address[sizeof(struct in6_addr)];

	X509_VERIFY_PARAM_set_hostflags(param,
	    X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS |
		X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
	if (inet_pton(AF_INET, host, address) == 1 ||
	    inet_pton(AF_INET6, host, address) == 1)
		return X509_VERIFY_PARAM_set1_ip_asc(param, host);
	return X509_VERIFY_PARAM_set1_host(param, host, 0);
}

/* Does the presented certificate lead to `ca`, is it for this host, a server's
 * and valid today? Returns an X509_V_* code. */
static int
verify_by(X509_STORE_CTX *presented, X509 *ca, const char *host)
{
	int result = X509_V_ERR_OUT_OF_MEM;
	X509_STORE *store = X509_STORE_new();
	X509_STORE_CTX *check = X509_STORE_CTX_new();

	if (store == NULL || check == NULL ||
	    X509_STORE_add_cert(store, ca) != 1 ||
	    X509_STORE_CTX_init(check, store,
		X509_STORE_CTX_get0_cert(presented),
		X509_STORE_CTX_get0_untrusted(presented)) != 1)
		goto out;
	X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(check);

	/* The CA we were told of is the anchor, whoever signed it. */
	X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_PARTIAL_CHAIN);
	X509_VERIFY_PARAM_set_auth_level(param, 2); /* 112 bits */
	if (X509_VERIFY_PARAM_set_purpose(param, X509_PURPOSE_SSL_SERVER) !=
		1 ||
	    expect_name(param, host) != 1)
		goto out;
	if (X509_verify_cert(check) == 1)
		result = X509_V_OK;
	else
		result = X509_STORE_CTX_get_error(check);
	if (result == X509_V_OK && X509_STORE_CTX_get_error(check) != X509_V_OK)
		result = X509_STORE_CTX_get_error(check);
out:
	X509_STORE_CTX_free(check);
	X509_STORE_free(store);
	ERR_clear_error();
	return result;
}

static void
explain(struct net_target *target, int result)
{
	const char *words = X509_verify_cert_error_string(result);

	target->trouble = NET_TROUBLE_TLS;
	if (result == X509_V_ERR_HOSTNAME_MISMATCH ||
	    result == X509_V_ERR_IP_ADDRESS_MISMATCH)
		target->trouble = NET_TROUBLE_HOST;
	else if (result == X509_V_ERR_CERT_HAS_EXPIRED ||
	    result == X509_V_ERR_CERT_NOT_YET_VALID)
		target->trouble = NET_TROUBLE_EXPIRED;
	else if (result == X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY ||
	    result == X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE ||
	    result == X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT ||
	    result == X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN)
		target->trouble = NET_TROUBLE_CA;

	if (target->trouble == NET_TROUBLE_HOST)
		snprintf(target->reason, sizeof(target->reason),
		    "the site's certificate is not for %s", target->host);
	else if (result == X509_V_ERR_CERT_HAS_EXPIRED)
		snprintf(target->reason, sizeof(target->reason),
		    "the site's certificate has expired");
	else if (result == X509_V_ERR_CERT_NOT_YET_VALID)
		snprintf(target->reason, sizeof(target->reason),
		    "the site's certificate is not valid yet; "
		    "is this machine's clock right?");
	else if (target->trouble == NET_TROUBLE_CA)
		snprintf(target->reason, sizeof(target->reason),
		    "the site's certificate is not signed by its CA");
	else
		snprintf(target->reason, sizeof(target->reason),
		    "the site's certificate is refused: %s", words);
}

static struct net_connection *
connection_of_tls(struct net *net, const SSL *ssl)
{
	for (uint32_t i = 0; i < net->n_slots; i++) {
		struct net_connection *conn = net->slots[i].conn;

		if (conn != NULL && conn->kind == NET_CLIENT &&
		    conn->wsi != NULL && lws_get_ssl(conn->wsi) == ssl)
			return conn;
	}
	return NULL;
}

/* In place of OpenSSL's verification, and of libwebsockets', which accepts
 * certificates of the future. */
static int
verify(X509_STORE_CTX *presented, void *ctx)
{
	const SSL *ssl = X509_STORE_CTX_get_ex_data(presented,
	    SSL_get_ex_data_X509_STORE_CTX_idx());
	struct net_connection *conn = connection_of_tls(ctx, ssl);

	X509_STORE_CTX_set_error(presented,
	    X509_V_ERR_APPLICATION_VERIFICATION);
	if (conn == NULL || conn->target == NULL)
		return 0;
	struct net_target *target = conn->target;

	target->refused = true;
	if (target->pinned && target->ca == NULL) {
		X509 *ca = find_pinned(presented, target->ca_sha256);

		if (ca == NULL) {
			target->trouble = NET_TROUBLE_CA;
			snprintf(target->reason, sizeof(target->reason),
			    "the site does not have the CA that the token "
			    "names");
			return 0;
		}
		X509_up_ref(ca);
		target->ca = ca;
	}
	int result = verify_by(presented, target->ca, target->host);

	X509_STORE_CTX_set_error(presented, result);
	if (result != X509_V_OK) {
		explain(target, result);
		return 0;
	}
	target->refused = false;
	return 1;
}

SSL_CTX *
net_tls_client(struct net *net)
{
	SSL_CTX *tls = SSL_CTX_new(TLS_client_method());

	if (tls == NULL)
		return NULL;
	if (set_common(tls) != 0) {
		SSL_CTX_free(tls);
		return NULL;
	}
	SSL_CTX_set_verify(tls, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_cert_verify_callback(tls, verify, net);
	return tls;
}

size_t
net_peer_ca(char *pem, size_t size, struct net *net, net_conn name)
{
	struct net_connection *conn = net_connection_get(net, name);

	if (conn == NULL || conn->target == NULL || !conn->target->pinned ||
	    conn->target->ca == NULL || !conn->open || size == 0)
		return 0;
	BIO *bio = BIO_new(BIO_s_mem());
	char *text = NULL;
	size_t len = 0;

	if (bio != NULL && PEM_write_bio_X509(bio, conn->target->ca) == 1) {
		long n = BIO_get_mem_data(bio, &text);

		if (n > 0 && (size_t)n < size) {
			len = (size_t)n;
			memcpy(pem, text, len);
			pem[len] = '\0';
		}
	}
	BIO_free(bio);
	return len;
}

/* When the server's certificate ends, ms; 0: unknown. */
static int64_t
certificate_end(const SSL *ssl)
{
	const X509 *certificate = SSL_get0_peer_certificate(ssl);
	struct tm end;

	if (certificate == NULL ||
	    ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &end) != 1)
		return 0;
	return (int64_t)timegm(&end) * 1000;
}

static int
digest_of(uint8_t sha256[32], const X509 *certificate)
{
	unsigned int len = 0;

	return X509_digest(certificate, EVP_sha256(), sha256, &len) == 1
	    ? 0
	    : ERR_SYSTEM;
}

/* A name that does not fit, or holds a NUL, is none. */
static int
describe_client(struct net_peer *peer, const X509 *certificate)
{
	int n = X509_NAME_get_text_by_NID(X509_get_subject_name(certificate),
	    NID_commonName, peer->client_cn, (int)sizeof(peer->client_cn));

	if (n < 0 || strlen(peer->client_cn) != (size_t)n ||
	    X509_NAME_get_text_by_NID(X509_get_subject_name(certificate),
		NID_commonName, NULL, 0) != n)
		peer->client_cn[0] = '\0';
	return digest_of(peer->client_sha256, certificate);
}

int
net_tls_describe(struct net_peer *peer, struct lws *wsi)
{
	SSL *ssl = lws_get_ssl(lws_get_network_wsi(wsi));

	if (ssl == NULL || !SSL_is_init_finished(ssl) ||
	    SSL_version(ssl) != TLS1_3_VERSION)
		return ERR_SYSTEM;
	if (SSL_export_keying_material(ssl, peer->exporter,
		sizeof(peer->exporter), NET_EXPORTER_LABEL,
		strlen(NET_EXPORTER_LABEL), NULL, 0, 0) != 1)
		return ERR_SYSTEM;
	if (!SSL_is_server(ssl))
		peer->certificate_end = certificate_end(ssl);
	X509 *certificate =
	    SSL_is_server(ssl) ? SSL_get0_peer_certificate(ssl) : NULL;

	peer->client_cn[0] = '\0';
	memset(peer->client_sha256, 0, sizeof(peer->client_sha256));
	memset(peer->shown_sha256, 0, sizeof(peer->shown_sha256));
	if (certificate == NULL)
		return 0;
	if (SSL_get_verify_result(ssl) == X509_V_OK)
		return describe_client(peer, certificate);
	return digest_of(peer->shown_sha256, certificate);
}
