/*
 * What admins ask to keep, move, take along and end a tenant or a site:
 * backups, restores, exports, deletion. Large things pass in pieces of bounded
 * size, under a number that the site gave and forgets soon.
 */
#ifndef SHARED_RPC_MESSAGES_VAULT_H
#define SHARED_RPC_MESSAGES_VAULT_H

#include "shared/journal/journal.h"

/** Bytes of a piece at most: in base64 it fits an HTTP body. */
#define VAULT_PIECE_MAX ((uint32_t)512 << 10)
/** Tenants that one answer names. */
#define VAULT_TENANTS_MAX 8192

struct vault_tenant {
	char tenant[64];
};

struct vault_ref {
	char tenantId[64];
};

struct backup_begin {
	char tenant[64]; /* "": the store of the site as a whole */
};
/** A copy of one store as it was at one moment, to be read in pieces. */
struct backup_part {
	uint64_t part;
	char tenant[64];
	uint64_t bytes; /* of its dump */
	char site[64];
	char name[128];
	uint8_t site_key[32];
	char software[32];
	int64_t made_at;
	struct record_list succession; /* succession_step */
	bool heir; /* it has named one */
	bool box; /* the box's own files are in it, for the heir */
	/* of a tenant: where its journal ends */
	uint32_t generation;
	uint64_t batch;
	uint64_t rows;
	uint8_t head[32];
	/* of the site: whose stores are to follow */
	struct record_list tenants; /* vault_tenant, bare */
};
struct backup_read {
	uint64_t part;
	uint64_t offset;
};
struct backup_piece {
	struct record_span data; /* up to VAULT_PIECE_MAX; empty at the end */
};
struct backup_ref {
	uint64_t part;
};

/** A tenant's store is put back, out of its dump in a backup. */
struct restore_begin {
	char tenant[64];
	char site[64]; /* whose backup it is */
	uint64_t bytes; /* of the dump */
};
struct restore_place {
	uint64_t part;
	uint64_t offset; /* bytes that are there */
};
struct restore_put {
	uint64_t part;
	uint64_t offset;
	struct record_span data; /* 1 to VAULT_PIECE_MAX */
};
/** Reasons are journaled with where the copy ended before them. */
#define RESTORE_REASON_MAX 90
struct restore_finish {
	uint64_t part;
	char reason[RESTORE_REASON_MAX + 1];
};
struct restore_done {
	char tenant[64];
	/* where the copy's journal ended */
	uint64_t batch;
	int64_t time;
	/* where the journal ended until now; generation 0: the copy has all of
	 * it */
	uint32_t lost_generation;
	uint64_t lost_batch;
	int64_t lost_time;
	/* the one that begins */
	uint32_t generation;
	/* what was done since the copy, and in it again */
	uint64_t erasedSubjects;
	uint64_t erasedUsers;
	uint64_t removedUsers;
	uint64_t revokedKeys;
	uint64_t revokedDevices;
	uint64_t revokedTokens;
};

/** As a problem says it. */
struct restore_failure {
	char code[32];
	char detail[256];
	char hint[192];
};

/** How far it is. Checking takes as long as the journal is: nobody waits for an
 * answer, he looks again. */
enum restore_state {
	RESTORE_RECEIVING,
	RESTORE_CHECKING,
	RESTORE_CLOSING, /* what goes on there comes to its end */
	RESTORE_EXCHANGING,
	RESTORE_DONE,
	RESTORE_FAILED, /* nothing was changed */
};
extern const char *const restore_state_names[];
struct restore_view {
	uint64_t part;
	char tenant[64];
	uint32_t state;
	uint64_t offset; /* bytes that are there */
	uint64_t bytes; /* of all of it */
	struct restore_done done; /* RESTORE_DONE */
	struct restore_failure failure; /* RESTORE_FAILED */
};

/** A tenant is deleted for good. */
struct tenant_delete {
	char tenantId[64];
	char confirm[64]; /* its name once more */
	bool force; /* though seats are held */
	char reason[128];
};
#define DELETION_TOKEN_MAX 4095
/** Payload of a TOKEN_DELETION: what was deleted, of whom, by whom. It proves
 * itself: site is the name of site_key. */
struct deletion_certificate {
	char site[64];
	uint8_t site_key[32];
	char tenant[64];
	uint64_t number; /* of the tenant at its site; its name may be used
			    again */
	int64_t created_at;
	/* where its journal ended */
	uint32_t generation;
	uint64_t batch;
	uint8_t head[32];
	uint64_t rows;
	struct journal_totals totals;
	uint64_t devices;
	uint64_t leases; /* held then, and lost with it */
	int64_t deleted_at;
	struct row_actor by;
	char reason[128];
	char deleted[256]; /* in words: what there was */
};
struct tenant_deleted {
	struct deletion_certificate certificate;
	char token[DELETION_TOKEN_MAX + 1]; /* the same, signed */
};
struct certificate_query {
	char tenant[64]; /* "": of any */
	uint64_t after; /* cursor: number of the last one seen */
	uint32_t limit;
};
struct certificate_view {
	uint64_t number; /* of the tenant */
	char tenant[64];
	char token[DELETION_TOKEN_MAX + 1];
};
struct certificate_page {
	struct record_list items; /* certificate_view */
	uint64_t next; /* cursor; 0: that was all */
};

extern const struct record vault_tenant_record, backup_begin_record,
    backup_part_record, backup_read_record, backup_piece_record,
    backup_ref_record, vault_ref_record, restore_begin_record,
    restore_place_record, restore_put_record, restore_finish_record,
    restore_done_record, restore_failure_record, restore_view_record,
    tenant_delete_record, deletion_certificate_record, tenant_deleted_record,
    certificate_query_record, certificate_view_record, certificate_page_record;

#endif
