/*
 * The site's folder: how it is made (`leaseholdd init`), what lies in it, and
 * how the parent, front and ledger find their parts. It must not know what
 * happens in a running site.
 *
 *   STATE/site.json        id, name, format; read by all             0644
 *   STATE/keys/site.key    site key, k4.secret                       0600
 *   STATE/keys/site.key.sealed  in its place: the same, sealed to the TPM
 *   STATE/keys/heir.key    public: who may name its successor  0644
 *   STATE/keys/succession.json  how the key followed older ones     0644
 *   STATE/keys/tpm/        the site's identity in its TPM (shared/proof)
 * ledger STATE/keys/default.key key of tenant `default` (32 bytes, hex)   0600
 * ledger STATE/keys/system.key  hashes the admins' keys (32 bytes, hex)   0600
 * ledger STATE/tls/ca.pem       the site's own CA                         0644
 *   STATE/tls/ca.key                                                 0600 root
 *   STATE/tls/server.pem   chain of the server, with the CA          0644
 *   STATE/tls/server.key                                             0600 root
 *   STATE/system/          LMDB: tenants, admins' keys (hashed), installations
 *   STATE/tenants/default/ledger/   LMDB: journal and state
 *   STATE/keys/NAME.key, STATE/tenants/NAME/ledger/   of each tenant (tenant.h)
 *   STATE/empty/           what a front sees as its root             0555 root
 *   STATE/lock             held by the daemon that runs
 *   STATE.witness/SITE     the site's counter (ledger/witness.h)   0600 ledger
 */
#ifndef APPLIANCE_SETUP_SETUP_H
#define APPLIANCE_SETUP_SETUP_H

#include "shared/license/license.h"
#include "shared/license/succession.h"
#include "shared/proof/identity.h"
#include "shared/record/record.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define SETUP_PATH_MAX 512
#define SETUP_FORMAT 1
#define SETUP_TENANT "default"
/** Keys of tenants and of the system store, bytes. */
#define SETUP_KEY_BYTES 32

struct site_file {
	char site[64]; /* "site-" and 13 characters of the key's hash */
	char name[128];
	uint32_t format;
	int64_t created_at;
};
extern const struct record site_file_record;

struct setup_options {
	const char *state;
	const char *name; /* of the site, for people */
	const char *const *hosts; /* names and addresses in the certificate;
				     ends with NULL */
	const char *user; /* owner of the ledger's files, or NULL */
	char *recovery; /* SETUP_RECOVERY_TEXT: it has an heir from the start
			   (setup_heir_make); NULL: none */
};

/**
 * Make a site: keys, CA, certificate (P-256), system store, tenant `default`
 * with its genesis, one admin key. Whole or not at all: made in STATE.new and
 * renamed. ERR_CONFLICT when STATE is there and not an empty folder; ERR_BUSY
 * when another is being made there. Every error is logged in words.
 * @param[out] admin_key  "clsk_default_...", shown once; 96 bytes
 */
int setup_create(char admin_key[96], const struct setup_options *options);

/** A new key and certificate for the server, signed by the site's CA, for these
 * hosts (ends with NULL); a running daemon takes them at SIGHUP. As root or
 * whoever owns STATE/tls. Errors are logged. */
int setup_renew(const char *state, const char *const *hosts);

/** One more admin key, also while a daemon runs. Errors are logged. */
int setup_add_key(char admin_key[96], const char *state, const char *name);

/** ERR_NOT_FOUND: no site there. Errors are logged in words. */
int setup_read(struct site_file *site, const char *state);

/** The activation request for the vendor: a token on one line. Reads the site
 * key, so as the ledger's user or root. */
int setup_request(struct buf *token, const char *state);
/** The same with the key at hand; `identity`: the box's
 * TPM, to which it is sealed; NULL: none. */
int setup_request_sign(struct buf *token, const struct site_file *site,
    const char *tenant, int64_t now_ms,
    const uint8_t secret[TOKEN_SECRET_BYTES], struct identity *identity,
    const struct succession *succession);

/**
 * How the site came to its key (shared/license/succession.h): STATE/keys/
 * succession.json. Without that file `own` is the only one. Errors are logged.
 */
int setup_succession(struct site_keys *keys, struct succession *succession,
    struct arena *arena, const char *state, const char *site,
    const uint8_t own[TOKEN_PUBLIC_BYTES]);
/** "XXXXX-XXXXX-...", and NUL: what an heir's key is made of, for a safe. */
#define SETUP_RECOVERY_TEXT 48
/**
 * Name an heir: STATE/tls/heir.key and STATE/keys/heir.key have the public half,
 * the text is shown once and kept nowhere. One that was named before is of no use
 * for backups that are made from now on. As root, or whoever owns STATE/tls.
 * Errors are logged; the one that was named before is it still.
 */
int setup_heir_make(char recovery[SETUP_RECOVERY_TEXT], const char *state);
/** The public half. ERR_NOT_FOUND: none was named. */
int setup_heir_read(uint8_t key[TOKEN_PUBLIC_BYTES], const char *state);
/** The same from STATE/tls, where root alone puts one; logs nothing where it is
 * not. */
int setup_heir_trusted(uint8_t key[TOKEN_PUBLIC_BYTES], const char *state);
/** The key that the text stands for, into the caller's guarded memory; blanks,
 * dashes and case do not matter. ERR_BAD_REQUEST: it is no such text. */
int setup_heir_secret(uint8_t secret[TOKEN_SECRET_BYTES], const char *text);

/** STATE/a/b; ERR_TOO_LARGE, logged, when the path is too long. */
int setup_path(char out[SETUP_PATH_MAX], const char *state, const char *name);

/** The folder of the witness (ledger/witness.h): `chosen`, or STATE.witness
 * where that is NULL or "". */
int setup_witness_path(char out[SETUP_PATH_MAX], const char *state,
    const char *chosen);
/** Make it if it is not there, for this user (-1: as we are). Errors are
 * logged. */
int setup_witness_folder(const char *path, uid_t uid, gid_t gid);

/** From here on whoever owns STATE/name, for good, where we are root: what lies
 * there is his, and a link that he puts there leads root nowhere. Errors are
 * logged. */
int setup_become_owner(const char *state, const char *name);

/** The site key, into the caller's sodium_malloc'd memory. Errors are logged,
 * one that is sealed with what to do. */
int setup_site_key(uint8_t secret[TOKEN_SECRET_BYTES], const char *state);
/**
 * The same where the box has a TPM: one that is not sealed to it yet is sealed
 * now, to its PCRs of the mask too, and its file wiped (seal.c). Takes as long
 * as the TPM does.
 *
 * @retval ERR_MISMATCH   Sealed with another TPM.
 * @retval ERR_FORBIDDEN  The machine was started otherwise.
 */
int setup_site_key_in_tpm(uint8_t secret[TOKEN_SECRET_BYTES], const char *state,
    struct identity *identity, uint32_t pcrs);
bool setup_site_key_is_sealed(const char *state);
/** STATE/keys/NAME.key, "default" or "system", likewise. */
int setup_key(uint8_t key[SETUP_KEY_BYTES], const char *state,
    const char *name);

/** SHA-256 of the DER of the site's CA: what join tokens pin. */
int setup_ca_digest(uint8_t sha256[32], const char *state);

/** Take STATE/lock for as long as the process lives; inherited by its
 * children. ERR_BUSY when a daemon has it: logged, with its pid. */
int setup_lock(int *fd, const char *state);

#endif
