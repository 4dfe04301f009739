/*
 * The server's certificate and key as the fronts see them: text in one page of
 * memory shared by the parent, which alone reads files, and the fronts. On
 * SIGHUP the parent rereads the files into it and then passes SIGHUP on: each
 * front gives the new text to its TLS, for connections to come; those that are
 * open stay. Only the parent can write: a front that was taken must not choose the
 * key of its successor, so it maps the page again, read-only, and seals see to it
 * that it stays so. The ledger gives the page up first thing. It must not know
 * TLS.
 */
#ifndef APPLIANCE_SETUP_TLS_H
#define APPLIANCE_SETUP_TLS_H

#include <stddef.h>

#define TLS_CERT_NAME "server.pem"
#define TLS_KEY_NAME "server.key"
#define TLS_CERT_MAX ((size_t)64 << 10)
#define TLS_KEY_MAX ((size_t)16 << 10)

/** Texts end with a NUL. */
struct tls_page {
	char cert_pem[TLS_CERT_MAX];
	char key_pem[TLS_KEY_MAX];
};

/** A page with server.pem and server.key of this folder (STATE/tls, or a copy of
 * it), writable here, and the descriptor it lives behind; before any fork.
 * Errors are logged in words. */
int tls_page_new(struct tls_page **page, int *fd, const char *folder);

/** In a front: the same page for reading only; `page` and `fd`, inherited from
 * the parent, are given up (also on failure). */
int tls_page_for_reading(const struct tls_page **out, struct tls_page *page,
    int fd);

/** Read the files again; on an error the page stays as it was. */
int tls_page_reload(struct tls_page *page, const char *folder);

/** Unmap it in this process. The parent does not wipe: others may look. */
void tls_page_free(struct tls_page *page, int fd);

#endif
