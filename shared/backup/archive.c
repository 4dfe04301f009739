/* Records of the archive, and what writer and reader share. */
#include "shared/backup/inside.h"

#include "shared/base/err.h"

#include <sodium.h>
#include <string.h>

static const struct record_field archive_tenant_fields[] = {
	R_TEXT(archive_tenant, tenant, 1, 63, 0, "The tenant."),
	R_U32(archive_tenant, generation, 0, UINT32_MAX, 0,
	    "Generation of its journal."),
	R_U64(archive_tenant, batch, 0, U53_MAX, 0, "Its newest batch."),
	R_U64(archive_tenant, rows, 0, U53_MAX, 0, "Rows in it."),
	R_FIXED(archive_tenant, head, 0, "BLAKE2b-256 of the newest header."),
};
RECORD_DEFINE(archive_tenant, 1, "A tenant in a backup.");

static const struct record_field archive_header_fields[] = {
	R_TEXT(archive_header, site, 1, 63, 0, "The site's id."),
	R_TEXT(archive_header, name, 0, 127, RECORD_OPTIONAL,
	    "Its name, for people."),
	R_FIXED(archive_header, site_key, 0, "The site's public key."),
	R_TEXT(archive_header, software, 1, 31, 0, "What made it."),
	R_TIME(archive_header, made_at, 0, "When, by the site's time."),
	R_BOOL(archive_header, whole, 0, "The whole site; else one tenant."),
	SUCCESSION_FIELD(archive_header),
	R_BOOL(archive_header, heir, RECORD_OPTIONAL,
	    "It can be restored with the site's recovery key."),
	R_BOOL(archive_header, box, RECORD_OPTIONAL,
	    "Certificates and configuration of the box are in it, for that "
	    "key."),
	R_BOOL(archive_header, keys, 0, "The site's own keys are in it."),
	R_LIST(archive_header, tenants, &archive_tenant_record, 0,
	    ARCHIVE_TENANTS_MAX, 0, "Whose journals are in it, to where."),
	R_U32(archive_header, passes, 1, ARCHIVE_PASSES_MAX, 0,
	    "Argon2id: passes."),
	R_U64(archive_header, memory, 8192, ARCHIVE_MEMORY_MAX, 0,
	    "Argon2id: bytes of memory."),
	R_FIXED(archive_header, salt, 0, "Argon2id: salt."),
	R_FIXED(archive_header, check, 0, "Tells a wrong passphrase."),
	R_FIXED(archive_header, stream, 0, "Header of the secretstream."),
};
RECORD_DEFINE(archive_header, 1, "What a backup says of itself.");

static const struct record_field archive_part_fields[] = {
	R_TEXT(archive_part, tenant, 0, 63, 0, "Whose store."),
};
RECORD_DEFINE(archive_part, 1, "A store begins.");

static const struct record_field archive_file_fields[] = {
	R_TEXT(archive_file, name, 1, 63, 0, "Its name below the folder."),
	R_BLOB(archive_file, data, 0, 65536, 0, "Its bytes."),
};
RECORD_DEFINE(archive_file, 1, "A file of the site's folder.");

int
archive_derive(uint8_t key[32], uint8_t check[ARCHIVE_CHECK_BYTES],
    const struct archive_header *header, const char *passphrase,
    size_t passphrase_len)
{
	static const char key_use[] = "leasehold backup stream";
	static const char check_use[] = "leasehold backup check";
	uint8_t *root = sodium_malloc(32);

	if (root == NULL)
		return ERR_NOMEM;
	int rc = crypto_pwhash(root, 32, passphrase, passphrase_len,
	    header->salt, header->passes, (size_t)header->memory,
	    crypto_pwhash_ALG_ARGON2ID13);

	if (rc == 0) {
		crypto_generichash(key, 32, (const uint8_t *)key_use,
		    sizeof(key_use) - 1, root, 32);
		crypto_generichash(check, ARCHIVE_CHECK_BYTES,
		    (const uint8_t *)check_use, sizeof(check_use) - 1, root,
		    32);
	}
	sodium_free(root);
	return rc == 0 ? 0 : ERR_NOMEM;
}

void
archive_header_hash(uint8_t hash[32], const void *bytes, size_t len)
{
	crypto_generichash(hash, 32, bytes, len, NULL, 0);
}
