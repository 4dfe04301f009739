/* Tables: backups, restores, exports, deletion. */
#include "shared/rpc/messages_vault.h"

#include "shared/rpc/tables.h"

static const struct record_field vault_tenant_fields[] = {
	R_TEXT(vault_tenant, tenant, 1, 63, 0, "A tenant's name."),
};
const struct record vault_tenant_record = {
	.name = "vault_tenant",
	.doc = "A tenant by name.",
	.version = 1,
	.size = sizeof(struct vault_tenant),
	.fields = vault_tenant_fields,
	.n_fields = 1,
	.bare = true,
};

static const struct record_field vault_ref_fields[] = {
	R_TEXT(vault_ref, tenantId, 1, 40, 0, "The tenant."),
};
RECORD_DEFINE(vault_ref, 1, "Everything of a tenant.");

static const struct record_field backup_begin_fields[] = {
	R_TEXT(backup_begin, tenant, 0, 63, OPT,
	    "Whose store; absent: that of the site as a whole."),
};
RECORD_DEFINE(backup_begin, 1, "Copy a store.");

static const struct record_field backup_part_fields[] = {
	R_U64(backup_part, part, 1, U53_MAX, 0, "Its number, to read it by."),
	R_TEXT(backup_part, tenant, 0, 63, OPT, "Whose store."),
	R_U64(backup_part, bytes, 0, U53_MAX, 0, "Length of its dump."),
	R_TEXT(backup_part, site, 1, 63, 0, "The site's id."),
	R_TEXT(backup_part, name, 0, 127, OPT, "Its name, for people."),
	R_FIXED(backup_part, site_key, 0, "The site's public key (Ed25519)."),
	R_TEXT(backup_part, software, 1, 31, 0, "Name and version."),
	R_TIME(backup_part, made_at, 0, "When, by the site's time."),
	R_U32(backup_part, generation, 0, UINT32_MAX, OPT,
	    "Generation of the tenant's journal."),
	R_U64(backup_part, batch, 0, U53_MAX, OPT, "Its newest batch."),
	R_U64(backup_part, rows, 0, U53_MAX, OPT, "Rows in it."),
	R_FIXED(backup_part, head, OPT, "Head of that batch."),
	R_LIST(backup_part, tenants, &vault_tenant_record, 0, VAULT_TENANTS_MAX,
	    OPT, "Of the site's own store: the tenants that it knows."),
};
RECORD_DEFINE(backup_part, 1, "A copy of a store as it was at one moment.");

static const struct record_field backup_read_fields[] = {
	R_U64(backup_read, part, 1, U53_MAX, 0, "The copy's number."),
	R_U64(backup_read, offset, 0, U53_MAX, OPT, "From which byte on."),
};
RECORD_DEFINE(backup_read, 1, "Read a piece of a copy.");

static const struct record_field backup_piece_fields[] = {
	R_BLOB(backup_piece, data, 0, VAULT_PIECE_MAX, 0,
	    "Bytes; none at the end."),
};
RECORD_DEFINE(backup_piece, 1, "A piece of a copy.");

static const struct record_field backup_ref_fields[] = {
	R_U64(backup_ref, part, 1, U53_MAX, 0, "The copy's number."),
};
RECORD_DEFINE(backup_ref, 1, "A copy by number.");
