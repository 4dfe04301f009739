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
};

/** An admin's key; its secret is not here. */
struct system_key {
	uint64_t number; /* of this tenant, from 1 */
	char tenant[64];
	char name[64]; /* for people */
	int64_t created_at;
	bool revoked;
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

/** Lower-case letters, digits and '-', 1 to 40: also a folder's name. */
bool system_tenant_is_valid(const char *name);
int system_tenant_add(struct system_store *system, const char *name,
    int64_t now_ms);
int system_each_tenant(struct system_store *system,
    int (*each)(void *ctx, const struct system_tenant *tenant), void *ctx);

struct dump_writer;
/** All of it as it is at this moment. Any thread, but one at a time. Errors are
 * logged. */
int system_dump(struct dump_writer *out, struct system_store *system);

/** A new admin key: `text` is the only place where it stands in the clear. */
int system_key_add(char text[SYSTEM_KEY_TEXT], struct system_store *system,
    const char *tenant, const char *name, int64_t now_ms);

/** The key that a credential names. ERR_UNAUTHENTICATED when it is malformed,
 * unknown or revoked; which of them is not told. */
int system_key_find(struct system_key *key, struct system_store *system,
    const char *text, size_t len);

/** ERR_NOT_FOUND when none was kept. */
int system_clock_load(struct system_clock *clock, struct system_store *system);
int system_clock_save(struct system_store *system,
    const struct system_clock *clock);

/** ERR_NOT_FOUND when there never was one. */
int system_tick_load(struct system_tick *tick, struct system_store *system);
/** With where journals stand, all at once. `settled`: an admin acknowledged,
 * and what was proved of these journals is forgotten. */
int system_tick_save(struct system_store *system,
    const struct system_tick *tick, const struct system_anchor *anchors,
    size_t n, bool settled);
/** Where a journal stood at the last tick; ERR_NOT_FOUND. */
int system_anchor_load(struct row_mark *mark, struct system_store *system,
    const char *tenant);

/** The furthest place of a tenant's journal that somebody proved by the site's
 * own signature, and that it did not hold; ERR_NOT_FOUND. */
int system_evidence_load(struct row_mark *mark, struct system_store *system,
    const char *tenant);
int system_evidence_save(struct system_store *system, const char *tenant,
    const struct row_mark *mark);

#endif
