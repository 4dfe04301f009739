/*
 * The store of the site as a whole (STATE/system, LMDB): its tenants, the
 * admins' keys (only as keyed hashes) and a few small facts. What belongs to
 * one tenant lies in that tenant's own store. It must not know of sessions,
 * operations or journals.
 *
 * Writing takes milliseconds (a sync): from a helper thread or at start. The
 * look-ups are for any thread.
 */
#ifndef APPLIANCE_LEDGER_SYSTEM_H
#define APPLIANCE_LEDGER_SYSTEM_H

#include "shared/journal/rows.h"
#include "shared/rpc/messages_tenant.h"

#include <stddef.h>
#include <stdint.h>

struct system_store;

#define SYSTEM_HASH_KEY_BYTES 32
/** "clsk_", a tenant of up to 40 bytes, "_", 43 characters, NUL. */
#define SYSTEM_KEY_TEXT 96
#define SYSTEM_TENANT_MAX 40

struct system_tenant {
	char name[64];
	int64_t created_at;
	uint64_t number; /* from 1, never given twice */
	uint32_t status; /* enum tenant_status */
	char reason[128]; /* why it is suspended */
	/** Goes up with each change that its journal is to know of (status and
	 * limits). */
	uint64_t revision;
	struct tenant_limits limits;
	/** By which Idempotency-Key of whom it was made, and the request; zero:
	 * by none. Written with its name, so that no crash makes it twice. */
	uint8_t made_by[16], made_of[16];
};

/**
 * A tenant that is closed, and where its journal stood then: it was closed in
 * order and there is nothing to look at before something is asked of it. Written
 * when all of it is on the disk; taken away, on the disk, before its journal is
 * written to again. Who puts another store in its place takes it away first
 * (system_quiet_clear).
 */
struct system_quiet {
	struct row_mark mark;
	int64_t time; /* its journal's: the site's clock is not before it */
	uint64_t tick; /* the site's counter then */
	/** The clock was put back since: this row is owed to its journal. */
	bool owes_clock;
	struct row_clock clock;
};

/** The last rollback that was acknowledged: tenants that slept through it get
 * their row when they open. */
struct system_generation {
	uint64_t counter; /* of the site, in the rows */
	uint32_t witness; /* enum witness_class */
	uint64_t stored, witnessed;
	char reason[128];
	struct row_actor by;
	/** What the wall clock said then: the site's own time may be that of the
	 * older copy still. */
	int64_t wall;
};

/** What one tenant did on one day (UTC). */
#define SYSTEM_USERS_BYTES 256
struct system_usage {
	uint64_t calls, errors; /* requests; of them, refused or failed */
	uint64_t micros; /* to answer them, in all */
	uint32_t peak; /* leases held at once */
	/** A bit for each user's hash: how many there were follows from how
	 * many bits are set. */
	uint8_t users[SYSTEM_USERS_BYTES];
};

/** An admin's key; its secret is not here. */
struct system_key {
	uint64_t number; /* of this tenant, from 1 */
	char tenant[64];
	char name[64]; /* for people */
	int64_t created_at;
	bool revoked;
	uint32_t scopes; /* scope_set */
};

/** What the site clock needs to tell a jump from a power-off (clock.h). */
struct system_clock {
	char boot[64]; /* the kernel's boot id */
	int64_t offset_ms; /* site time less CLOCK_BOOTTIME */
};

/** The site's own counter, as the store has it (guard.h). */
struct system_tick {
	uint32_t witness; /* enum witness_class */
	uint64_t counter;
	bool making; /* the witness is about to be made */
	uint64_t base; /* counter less that of the TPM (witness.h) */
	/** Its clock then, which tells at the next start how long the machine
	 * was on (clock.h). 0: there was no TPM. */
	uint64_t clock_ms;
	uint64_t resets;
	int64_t at;
};

/** Where a tenant's journal stood. */
struct system_anchor {
	const char *tenant;
	struct row_mark mark;
};

/** Make the empty store in an existing folder. Errors are logged. */
int system_create(const char *path);

/** hash_key is copied into guarded memory. */
int system_open(struct system_store **system, const char *path,
    const uint8_t hash_key[SYSTEM_HASH_KEY_BYTES]);
void system_close(struct system_store *system);

/* --- system_tenant.c: tenants --------------------------------------------- */

/** Lower-case letters, digits and '-', 1 to 40: also a folder's name, and a
 * label of host names. */
bool system_tenant_is_valid(const char *name);
/** Active at once; for making a site. */
int system_tenant_add(struct system_store *system, const char *name,
    int64_t now_ms);
/**
 * Step one of making a tenant: its number, name and profile are taken, and its
 * status is `provisioning`; nothing else reads it. ERR_CONFLICT: there is one.
 * Afterwards system_tenant_put says that it is whole, or system_tenant_delete
 * that it never was; a start deletes those that a crash left half made.
 */
int system_tenant_begin(struct system_tenant *tenant,
    struct system_store *system, const struct tenant_profile *profile);
int system_tenant_load(struct system_tenant *tenant,
    struct system_store *system, const char *name);
/** It is there already. `change`: what it says of the profile is set; NULL: that
 * stays. `hosts` NULL: they stay, else all of `n` in place of those it had.
 * ERR_CONFLICT: a host name is another tenant's. One transaction. */
int system_tenant_put(struct system_store *system,
    const struct system_tenant *tenant, const struct tenant_change *change,
    const struct tenant_host_name *hosts, size_t n);
/** The same, and its journal is owed the row of that: system_owed.c. ERR_BUSY:
 * it is owed too many. */
struct system_owed;
int system_tenant_change(struct system_store *system,
    const struct system_tenant *tenant, const struct tenant_change *change,
    const struct tenant_host_name *hosts, size_t n,
    const struct system_owed *owed);
/** All that the store has of it, admin keys too. */
int system_tenant_delete(struct system_store *system, const char *name);
int system_each_tenant(struct system_store *system,
    int (*each)(void *ctx, const struct system_tenant *tenant), void *ctx);
int system_each_host(struct system_store *system,
    int (*each)(void *ctx, const char *host, const char *tenant), void *ctx);
/** ERR_NOT_FOUND: it is not noted as quiet. */
int system_quiet_load(struct system_quiet *quiet, struct system_store *system,
    const char *name);
int system_quiet_save(struct system_store *system, const char *name,
    const struct system_quiet *quiet);
/** Durable when it returns. */
int system_quiet_clear(struct system_store *system, const char *name);
/** The site's clock is put back: no quiet tenant's time is after it, and each is
 * owed the row. */
int system_quiet_correct(struct system_store *system,
    const struct row_clock *row);

/** ERR_NOT_FOUND: nothing was ever acknowledged. */
int system_generation_load(struct system_generation *generation,
    struct system_store *system);

/** Days since 1970. What is there is replaced. */
struct system_usage_item {
	char tenant[64];
	int32_t day;
	struct system_usage usage;
};
int system_usage_save(struct system_store *system,
    const struct system_usage_item *items, size_t n);
/** ERR_NOT_FOUND. */
int system_usage_load(struct system_usage *usage, struct system_store *system,
    const char *tenant, int32_t day);
int system_each_usage(struct system_store *system, const char *tenant,
    int32_t first, int32_t last,
    int (*each)(void *ctx, int32_t day, const struct system_usage *usage),
    void *ctx);

/* --- system_owed.c: rows that a tenant's journal is to get ---------------- */

#define SYSTEM_OWED_MAX 64

/** One revision of a tenant; sealed, for an admin's words may name anybody. */
struct system_owed {
	uint64_t revision;
	int64_t at;
	uint32_t status; /* enum tenant_status */
	struct tenant_limits limits;
	char reason[128];
	struct row_actor by;
};

/** Those after that revision, in their order; stops on non-zero, which is
 * returned. */
int system_each_owed(struct system_store *system, const char *name,
    uint64_t after, int (*each)(void *ctx, const struct system_owed *owed),
    void *ctx);
/** Those up to that revision are journaled. Writes only if there are any. */
int system_owed_done(struct system_store *system, const char *name,
    uint64_t revision);

/* --- system_profile.c: what people want to know of a tenant --------------- */

/** Sealed under the store's own key. ERR_NOT_FOUND. */
int system_profile_load(struct tenant_profile *profile,
    struct system_store *system, const char *name);
/** Does it say anything of the profile? */
bool system_profile_changes(const struct tenant_change *change);

/**
 * Is this person who to call at that tenant? By the whole name or mail address,
 * whatever the case of its letters (ASCII's; others must be the same).
 * ERR_NOT_FOUND: another person is, or nobody.
 */
int system_contact_find(struct tenant_contact *contact,
    struct system_store *system, const char *tenant, const char *person);
/**
 * Nobody is from now on: name, mail, telephone and address are gone, durably.
 * Another person's contact stays: ERR_NOT_FOUND, also when it was erased before,
 * so it may be said again after a crash. What LMDB has freed in the file stays
 * until it is used again, sealed under the store's own key.
 */
int system_contact_erase(struct system_store *system, const char *tenant,
    const char *person);

/* --- system_deletion.c: tenants that are deleted (tenant_delete.h) -------- */

#define SYSTEM_TOKEN_MAX 4095

struct system_deletion {
	uint64_t number; /* the tenant's */
	char tenant[64];
	char token[SYSTEM_TOKEN_MAX + 1]; /* the certificate */
};

/** `tenant` as it is from now on, with its certificate: one transaction. */
int system_deletion_begin(struct system_store *system,
    const struct system_tenant *tenant, const struct system_deletion *deletion);
/** Its files are gone: the certificate counts. May be said twice. */
int system_deletion_keep(struct system_store *system, const char *name);
/** Certificates of tenants with a number after that one, in their order; stops
 * on non-zero, which is returned. */
int system_each_deletion(struct system_store *system, uint64_t after,
    int (*each)(void *ctx, const struct system_deletion *deletion), void *ctx);

/* --- system.c: keys, the clock, the counter ------------------------------- */

struct dump_writer;
/** All of it as it is at this moment. Any thread, but one at a time. Errors are
 * logged. */
int system_dump(struct dump_writer *out, struct system_store *system);

/** A new admin key: `text` is the only place where it stands in the clear. */
int system_key_add(char text[SYSTEM_KEY_TEXT], struct system_store *system,
    const char *tenant, const char *name, uint32_t scopes, int64_t now_ms);
/** Is what the table holds a key of this tenant? */
bool system_key_is_of(const void *data, size_t len, const char *tenant);

/** Has it the shape of a key, of the site or of a tenant? And of which tenant's;
 * whether that is there nobody has looked. */
bool system_key_has_shape(char tenant[SYSTEM_TENANT_MAX + 1], const char *text,
    size_t len);

/** The key that a credential names. ERR_UNAUTHENTICATED when it is malformed,
 * unknown or revoked; which of them is not told. */
int system_key_find(struct system_key *key, struct system_store *system,
    const char *text, size_t len);

/** Every key, revoked ones too, in no order; stops on non-zero. */
int system_each_key(struct system_store *system,
    int (*each)(void *ctx, const struct system_key *key), void *ctx);

/** From now on it is no good. ERR_NOT_FOUND; ERR_CONFLICT: it is the last that
 * is. Nothing when it was revoked before. */
int system_key_revoke(struct system_store *system, uint64_t number);

/** ERR_NOT_FOUND when none was kept. */
int system_clock_load(struct system_clock *clock, struct system_store *system);
int system_clock_save(struct system_store *system,
    const struct system_clock *clock);

/** ERR_NOT_FOUND when there never was one. */
int system_tick_load(struct system_tick *tick, struct system_store *system);
/** With where journals stand, all at once. `settled` not NULL: an admin
 * acknowledged, and what was proved of these journals is forgotten. */
int system_tick_save(struct system_store *system,
    const struct system_tick *tick, const struct system_anchor *anchors,
    size_t n, const struct system_generation *settled);
/** Where a journal stood at the last tick; ERR_NOT_FOUND. */
int system_anchor_load(struct row_mark *mark, struct system_store *system,
    const char *tenant);

/** The furthest place of a tenant's journal that somebody proved by the site's
 * own signature, and that it did not hold; ERR_NOT_FOUND. */
int system_evidence_load(struct row_mark *mark, struct system_store *system,
    const char *tenant);
int system_evidence_save(struct system_store *system, const char *tenant,
    const struct row_mark *mark);

/** A tenant's store is about to be exchanged for one that ends here; see
 * tenant_restore.h. */
int system_restore_begin(struct system_store *system, const char *tenant,
    const struct row_mark *mark);
/** ERR_NOT_FOUND: none is. */
int system_restore_load(struct row_mark *mark, struct system_store *system,
    const char *tenant);
/** It is over. `in_place` NULL: the one before is still there; else this is
 * where its journal stands, and what was known of the one before is forgotten.
 */
int system_restore_end(struct system_store *system, const char *tenant,
    const struct row_mark *in_place);

#endif
