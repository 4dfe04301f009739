/*
 * The site's own certificate authority and the server's certificate: P-256,
 * made by libcrypto, as PEM in memory. It must not know where files lie.
 */
#ifndef APPLIANCE_SETUP_CERTIFICATES_H
#define APPLIANCE_SETUP_CERTIFICATES_H

#include "shared/base/buf.h"

#include <stdint.h>

#define CERTIFICATE_CA_DAYS 3650
#define CERTIFICATE_SERVER_DAYS 825
/** They begin this much before now, for clocks that are a little late. */
#define CERTIFICATE_BACKDATE_S 3600
/** Names and addresses in one certificate at most. */
#define CERTIFICATE_HOSTS_MAX 64

/** A key pair with its certificate; zero-initialised is empty. */
struct certificate {
	void *x509; /* X509 */
	void *key; /* EVP_PKEY */
};

void certificate_release(struct certificate *certificate);

/** "node-1.plant.example", "*.plant.example", "192.0.2.7", "2001:db8::1"? */
bool certificate_host_is_valid(const char *host);

/** A new authority for one site: 10 years, pathlen 0, may sign certificates
 * and nothing else. Errors are logged. */
int certificate_make_ca(struct certificate *ca, const char *site,
    const char *name);

/** A server's certificate signed by the CA, 825 days; hosts ends with NULL,
 * at least one. With "site.example" also "*.site.example", for the tenants; not
 * with a name of one label, where no client would take it. ERR_BAD_REQUEST: a host is not a name or address. */
int certificate_make_server(struct certificate *server,
    const struct certificate *ca, const char *const *hosts);

/** Append PEM; the key's goes into memory that the caller wipes. */
int certificate_write(struct buf *pem, const struct certificate *certificate);
int certificate_write_key(struct buf *pem,
    const struct certificate *certificate);

/** A certificate and its key from PEM texts; ERR_CORRUPT when they are not or
 * do not belong together. */
int certificate_read(struct certificate *certificate, const void *pem,
    size_t len, const void *key_pem, size_t key_len);

/** Every DNS name of the first certificate of a PEM text; stops on non-zero,
 * which is returned. ERR_CORRUPT. */
int certificate_each_host(const void *pem, size_t len,
    int (*each)(void *ctx, const char *host), void *ctx);

/** Its addresses, too. */
int certificate_each_name(const void *pem, size_t len,
    int (*each)(void *ctx, const char *host), void *ctx);

/** SHA-256 of the DER of the first certificate in a PEM text. */
int certificate_digest(uint8_t sha256[32], const void *pem, size_t len);

#endif
