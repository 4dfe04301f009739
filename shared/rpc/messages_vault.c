/* Tables: backups, restores, exports, deletion. */
#include "shared/rpc/messages_vault.h"
#include "shared/license/succession.h"

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
	SUCCESSION_FIELD(backup_part),
	R_BOOL(backup_part, heir, OPT,
	    "Whoever has the site's recovery key can open it."),
	R_BOOL(backup_part, box, OPT,
	    "Certificates and configuration of the box are in it, for "
	    "that key."),
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

static const struct record_field restore_begin_fields[] = {
	R_TEXT(restore_begin, tenant, 1, 40, 0, "Whose store."),
	R_TEXT(restore_begin, site, 1, 63, 0, "The site whose backup it is."),
	R_U64(restore_begin, bytes, 1, U53_MAX, 0, "Length of its dump."),
};
RECORD_DEFINE(restore_begin, 1, "Put back a tenant's store.");

static const struct record_field restore_place_fields[] = {
	R_U64(restore_place, part, 1, U53_MAX, 0,
	    "Its number, to write it by."),
	R_U64(restore_place, offset, 0, U53_MAX, 0,
	    "Bytes that are there: where the next piece begins."),
};
RECORD_DEFINE(restore_place, 1, "A store on its way into the site.");

static const struct record_field restore_put_fields[] = {
	R_U64(restore_put, part, 1, U53_MAX, 0, "Its number."),
	R_U64(restore_put, offset, 0, U53_MAX, OPT, "From which byte on."),
	R_BLOB(restore_put, data, 1, VAULT_PIECE_MAX, 0, "Bytes."),
};
RECORD_DEFINE(restore_put, 1, "A piece of a store.");

static const struct record_field restore_finish_fields[] = {
	R_U64(restore_finish, part, 1, U53_MAX, 0, "Its number."),
	R_TEXT(restore_finish, reason, 1, RESTORE_REASON_MAX, 0,
	    "Why; is kept in the journal."),
};
RECORD_DEFINE(restore_finish, 1, "All of it is there: put it in place.");

static const struct record_field restore_done_fields[] = {
	R_TEXT(restore_done, tenant, 1, 63, 0, "Who was put back."),
	R_U64(restore_done, batch, 0, U53_MAX, 0,
	    "The newest batch of the copy."),
	R_TIME(restore_done, time, 0, "When that was written."),
	R_U32(restore_done, lost_generation, 0, UINT32_MAX, OPT,
	    "Generation of the journal until now; absent: the copy has all of "
	    "it."),
	R_U64(restore_done, lost_batch, 0, U53_MAX, OPT, "Its newest batch."),
	R_TIME(restore_done, lost_time, OPT, "When that was written."),
	R_U32(restore_done, generation, 1, UINT32_MAX, 0,
	    "The generation that begins."),
	R_U64(restore_done, erasedSubjects, 0, U53_MAX, OPT,
	    "Names that were erased after the copy was made, and are erased "
	    "in it."),
	R_U64(restore_done, erasedUsers, 0, U53_MAX, OPT,
	    "Accounts that went with them."),
	R_U64(restore_done, removedUsers, 0, U53_MAX, OPT,
	    "Accounts that were removed or locked after the copy was made, and "
	    "are in it."),
	R_U64(restore_done, revokedKeys, 0, U53_MAX, OPT,
	    "API keys that were revoked after the copy was made, and are in "
	    "it."),
	R_U64(restore_done, revokedDevices, 0, U53_MAX, OPT,
	    "Devices, likewise."),
	R_U64(restore_done, revokedTokens, 0, U53_MAX, OPT,
	    "Enrolment tokens, likewise."),
};
RECORD_DEFINE(restore_done, 1, "A tenant was put back to an older copy.");

static const struct record_field restore_failure_fields[] = {
	R_TEXT(restore_failure, code, 1, 31, 0, "Stable, as a problem's."),
	R_TEXT(restore_failure, detail, 0, 255, OPT, "What happened."),
	R_TEXT(restore_failure, hint, 0, 191, OPT, "What to do now."),
};
RECORD_DEFINE(restore_failure, 1, "Why a tenant was not put back.");

const char *const restore_state_names[] = { "receiving", "checking", "closing",
	"exchanging", "done", "failed", NULL };
static const struct record_field restore_view_fields[] = {
	R_U64(restore_view, part, 1, U53_MAX, 0, "Its number."),
	R_TEXT(restore_view, tenant, 1, 40, 0, "Whose store."),
	R_ENUM(restore_view, state, restore_state_names, 0,
	    "How far it is; what was checked and did not hold changed "
	    "nothing."),
	R_U64(restore_view, offset, 0, U53_MAX, 0, "Bytes that are there."),
	R_U64(restore_view, bytes, 1, U53_MAX, 0, "Bytes of all of it."),
	R_STRUCT(restore_view, done, &restore_done_record, OPT,
	    "Once it is done."),
	R_STRUCT(restore_view, failure, &restore_failure_record, OPT,
	    "Why it came to nothing."),
};
RECORD_DEFINE(restore_view, 1, "A tenant that is put back.");

static const struct record_field tenant_delete_fields[] = {
	R_TEXT(tenant_delete, tenantId, 1, 40, 0, "The tenant."),
	R_TEXT(tenant_delete, confirm, 1, 40, 0, "Its name once more."),
	R_BOOL(tenant_delete, force, OPT, "Also when seats are held."),
	R_TEXT(tenant_delete, reason, 0, 127, OPT,
	    "Why, for the certificate; with `force` it must be there."),
};
RECORD_DEFINE(tenant_delete, 1, "Delete a tenant for good.");

static const struct record_field deletion_certificate_fields[] = {
	R_TEXT(deletion_certificate, site, 1, 63, 0, "The site's id."),
	R_FIXED(deletion_certificate, site_key, 0,
	    "The key that signed; the site's id is the hash of its first."),
	R_TEXT(deletion_certificate, tenant, 1, 63, 0, "Who was deleted."),
	R_U64(deletion_certificate, number, 0, U53_MAX, 0,
	    "Its number at the site; names may be used again."),
	R_TIME(deletion_certificate, created_at, 0, "When it was made."),
	R_U32(deletion_certificate, generation, 0, UINT32_MAX, 0,
	    "Generation of its journal."),
	R_U64(deletion_certificate, batch, 0, U53_MAX, 0, "Its last batch."),
	R_FIXED(deletion_certificate, head, 0, "Head of that batch."),
	R_U64(deletion_certificate, rows, 0, U53_MAX, 0, "Rows in it."),
	R_STRUCT(deletion_certificate, totals, &journal_totals_record, 0,
	    "What it had granted and ended."),
	R_U64(deletion_certificate, devices, 0, U53_MAX, 0,
	    "Devices that were ever enrolled."),
	R_U64(deletion_certificate, leases, 0, U53_MAX, 0,
	    "Leases that were held, and are lost."),
	R_TIME(deletion_certificate, deleted_at, 0, "When."),
	R_STRUCT(deletion_certificate, by, &row_actor_record, 0, "By whom."),
	R_TEXT(deletion_certificate, reason, 0, 127, OPT, "Why."),
	R_TEXT(deletion_certificate, deleted, 1, 255, 0, "What there was."),
};
RECORD_DEFINE(deletion_certificate, 1, "A tenant was deleted.");

static const struct record_field tenant_deleted_fields[] = {
	R_STRUCT(tenant_deleted, certificate, &deletion_certificate_record, 0,
	    "What was deleted."),
	R_TEXT(tenant_deleted, token, 1, DELETION_TOKEN_MAX, 0,
	    "The same, signed by the site."),
};
RECORD_DEFINE(tenant_deleted, 1, "A tenant was deleted, with proof of it.");

static const struct record_field certificate_query_fields[] = {
	R_TEXT(certificate_query, tenant, 0, 40, OPT,
	    "Of this tenant; absent: of all."),
	R_U64(certificate_query, after, 0, U53_MAX, OPT,
	    "Cursor: the last one already seen."),
	R_U32(certificate_query, limit, 0, LIST_LIMIT_MAX, OPT,
	    "Items at most; absent: 100."),
};
RECORD_DEFINE(certificate_query, 1, "Which certificates of deletion.");

static const struct record_field certificate_view_fields[] = {
	R_U64(certificate_view, number, 0, U53_MAX, 0,
	    "The deleted tenant's number."),
	R_TEXT(certificate_view, tenant, 1, 63, 0, "Its name."),
	R_TEXT(certificate_view, token, 1, DELETION_TOKEN_MAX, 0,
	    "The certificate, a signed document."),
};
RECORD_DEFINE(certificate_view, 1, "A certificate of deletion.");

static const struct record_field certificate_page_fields[] = {
	R_LIST(certificate_page, items, &certificate_view_record, 0,
	    LIST_LIMIT_MAX, 0, "In the order of their numbers."),
	R_U64(certificate_page, next, 0, U53_MAX, OPT,
	    "Cursor for `after`; absent: that was all."),
};
RECORD_DEFINE(certificate_page, 1, "A page of certificates of deletion.");
