/*
 * A tenant's API keys as requests meet them, in the loop: a cache of keys that
 * were used, by the hash of their secret, with their restrictions compiled; how
 * often each was used (buckets.h); refusals of them for the journal. The store
 * has the truth (ledger_key.h): what a row changes is forgotten here before its
 * command is answered, so a revoked key is refused from then on. It must not
 * know HTTP or operations beyond their scopes.
 */
#ifndef APPLIANCE_LEDGER_KEYS_H
#define APPLIANCE_LEDGER_KEYS_H

#include "appliance/ledger/caller.h"
#include "appliance/ledger/ledger_key.h"
#include "appliance/ledger/restrict.h"

/** How often uses are written, ms; a crash loses as much. */
#define KEYS_SAVE_MS ((int64_t)60 * 1000)

struct keys;

/** Read how keys were used before. */
int keys_open(struct tenant *tenant);
/** Write what is not yet written; before its ledger is closed. */
void keys_close(struct tenant *tenant);

/** Once a second. */
void keys_tick(struct tenant *tenant);

/**
 * The key that a credential is, if it may make this request: tenant, principal,
 * scopes and how much is left of its rate. Otherwise, as caller_find; what is
 * refused to a key that is good is noted for the journal and, where it is
 * strange, logged as an alert.
 */
int keys_find(struct caller *caller, struct tenant *tenant,
    const struct wire_caller *wire, const struct operation *op);

/** A batch changed it: forget what is known. */
void keys_changed(struct tenant *tenant, uint64_t device);

/** Any may have changed. */
void keys_forget(struct tenant *tenant);

/** When it was used last; 0: never, or nobody remembers. */
int64_t keys_last_used(const struct tenant *tenant, uint64_t device);

/** A refusal of a key: a row, with others of its kind in the same minute. */
void keys_note_denial(struct tenant *tenant, uint64_t device,
    const struct wire_caller *wire, int err);

/* --- keys_admin.c: handlers ------------------------------------------------ */

void key_generate_asked(const struct request *request);
void key_restrict_asked(const struct request *request);
void key_rotate_asked(const struct request *request);
void key_revoke_asked(const struct request *request);
void key_query(const struct request *request);
/* In keys_site.c. */
void site_key_list(const struct request *request);
void site_key_revoke(const struct request *request);

/** "clsk_TENANT_..." out of 32 random bytes. */
void key_make_text(char text[KEY_TEXT_SIZE], const char *tenant,
    const uint8_t random[32]);

/**
 * A key of a tenant whose ledger no writer has yet: the first one, of its
 * admin. Synchronous; commits.
 *
 * @param[out] text  The key, in the clear only here; wipe it.
 */
int process_key_create(char text[KEY_TEXT_SIZE], uint64_t *device,
    struct ledger *ledger, const char *tenant, const char *name,
    scope_set scopes, int64_t now_ms);

#endif
