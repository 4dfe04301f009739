/*
 * The site's folder: how it is made (`leaseholdd init`), what lies in it, and
 * how the parent, front and ledger find their parts. It must not know what
 * happens in a running site.
 *
 *   STATE/site.json        id, name, format; read by all             0644
 *   STATE/keys/site.key    site key, k4.secret                       0600 ledger
 *   STATE/keys/default.key key of tenant `default` (32 bytes, hex)   0600 ledger
 *   STATE/tls/ca.pem       the site's own CA                         0644
 *   STATE/tls/ca.key                                                 0600 root
 *   STATE/tls/server.pem   chain of the server                       0644
 *   STATE/tls/server.key                                             0600 root
 *   STATE/system/          LMDB: tenants, admins' keys (hashed), installations
 *   STATE/tenants/default/ledger/   LMDB: journal and state
 */
#ifndef APPLIANCE_SETUP_SETUP_H
#define APPLIANCE_SETUP_SETUP_H

#include "shared/record/record.h"

#include <stddef.h>
#include <stdint.h>

struct site_file {
	char site[64]; /* "site-" and 13 characters of the key's hash */
	char name[128];
	uint32_t format;
	int64_t created_at;
};
extern const struct record site_file_record;

struct setup_options {
	const char *state;
	const char *name;	   /* of the site, for people */
	const char *const *hosts;  /* names and addresses in the certificate */
	const char *user;	   /* owner of the ledger's files, or NULL */
};

/**
 * Make a site: keys, CA, certificate (P-256), system store, tenant `default`
 * with its genesis, one admin key. Whole or not at all: made in STATE.new and
 * renamed. ERR_CONFLICT when STATE is there.
 * @param[out] admin_key  "clsk_default_...", shown once; 96 bytes
 */
int setup_create(char admin_key[96], const struct setup_options *options);

int setup_read(struct site_file *site, const char *state);

/** The activation request for the vendor: a token on one line. */
int setup_request(struct buf *token, const char *state);

#endif
