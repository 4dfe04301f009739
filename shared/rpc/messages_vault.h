/*
 * What admins ask to keep, move, take along and end a tenant or a site:
 * backups, restores, exports, deletion. Large things pass in pieces of bounded
 * size, under a number that the site gave and forgets soon.
 */
#ifndef SHARED_RPC_MESSAGES_VAULT_H
#define SHARED_RPC_MESSAGES_VAULT_H

#include "shared/record/record.h"

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

extern const struct record vault_tenant_record, backup_begin_record,
    backup_part_record, backup_read_record, backup_piece_record,
    backup_ref_record, vault_ref_record;

#endif
