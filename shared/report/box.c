#include "shared/report/box.h"

#include "shared/base/err.h"

#include <sodium.h>
#include <string.h>

#define MAGIC "leasehold-sync-1\n"
#define MAGIC_BYTES (sizeof(MAGIC) - 1)
#define FRONT_BYTES (MAGIC_BYTES + 32 + 4)
_Static_assert(FRONT_BYTES == SYNC_BOX_FRONT, "see box.h");

static const struct record_field sync_report_fields[] = {
	R_STRING(sync_report, token, 1, REPORT_TOKEN_MAX, 0, "Signed report."),
	R_BLOB(sync_report, body, 1, REPORT_BODY_MAX, 0, "What it shows."),
};
RECORD_DEFINE(sync_report, 1, "A report.");

static const struct record_field sync_token_fields[] = {
	R_STRING(sync_token, token, 1, LICENSE_CHANGE_TOKEN_MAX, 0,
	    "Signed document."),
};
RECORD_DEFINE(sync_token, 1, "A signed document.");

static const struct record_field sync_box_fields[] = {
	R_TEXT(sync_box, site, 0, 63, RECORD_OPTIONAL, "The site."),
	R_TEXT(sync_box, tenant, 0, 63, RECORD_OPTIONAL, "Its tenant."),
	R_TEXT(sync_box, vendor, 0, 63, RECORD_OPTIONAL, "The vendor."),
	R_FIXED(sync_box, vendor_key, RECORD_OPTIONAL,
	    "Root key of the vendor."),
	R_LIST(sync_box, reports, &sync_report_record, 0, SYNC_REPORTS_MAX,
	    RECORD_OPTIONAL, "Reports, by their numbers."),
	R_LIST(sync_box, issuers, &sync_token_record, 0, SYNC_ISSUERS_MAX,
	    RECORD_OPTIONAL, "What vouches for issuing keys."),
	R_LIST(sync_box, receipts, &sync_token_record, 0, SYNC_RECEIPTS_MAX,
	    RECORD_OPTIONAL, "Receipts."),
	R_LIST(sync_box, changes, &sync_token_record, 0, SYNC_CHANGES_MAX,
	    RECORD_OPTIONAL, "Changes of licenses."),
	R_LIST(sync_box, credits, &sync_token_record, 0, SYNC_CREDITS_MAX,
	    RECORD_OPTIONAL, "Credit notes."),
};
RECORD_DEFINE(sync_box, 1, "Documents of sync on their way.");

int
sync_box_seal(struct buf *out, const struct sync_box *box,
    const uint8_t receiver[32])
{
	uint8_t key[crypto_box_PUBLICKEYBYTES];
	struct buf clear = { .max = SYNC_BOX_MAX };
	int err = 0;

	if (crypto_sign_ed25519_pk_to_curve25519(key, receiver) != 0)
		return ERR_BAD_REQUEST;
	record_write_msgpack(&clear, &sync_box_record, box);
	if (clear.failed ||
	    clear.len > SYNC_BOX_MAX - FRONT_BYTES - crypto_box_SEALBYTES)
		err = ERR_TOO_LARGE;
	if (err == 0) {
		size_t sealed = clear.len + crypto_box_SEALBYTES;

		buf_add(out, MAGIC, MAGIC_BYTES);
		buf_add(out, receiver, 32);
		buf_add_be32(out, (uint32_t)sealed);
		uint8_t *at = buf_extend(out, sealed);

		if (at == NULL || out->failed ||
		    crypto_box_seal(at, clear.data, clear.len, key) != 0)
			err = ERR_NOMEM;
	}
	if (clear.data != NULL)
		sodium_memzero(clear.data, clear.len);
	buf_release(&clear);
	return err;
}

int
sync_box_peek(uint8_t receiver[32], const uint8_t *data, size_t len)
{
	size_t known = len < MAGIC_BYTES ? len : MAGIC_BYTES;

	if (len == 0 || memcmp(data, MAGIC, known) != 0)
		return ERR_BAD_TOKEN;
	if (len < FRONT_BYTES)
		return ERR_CLOSED;
	size_t sealed = be32_read(data + MAGIC_BYTES + 32);

	if (sealed > SYNC_BOX_MAX - FRONT_BYTES || len > FRONT_BYTES + sealed)
		return ERR_TOO_LARGE;
	if (len < FRONT_BYTES + sealed || sealed < crypto_box_SEALBYTES)
		return ERR_CLOSED;
	memcpy(receiver, data + MAGIC_BYTES, 32);
	return 0;
}

static int
unseal(struct buf *clear, const uint8_t *sealed, size_t len,
    const uint8_t public_key[32], const uint8_t secret_key[64])
{
	uint8_t ours[crypto_box_PUBLICKEYBYTES];
	uint8_t *secret = sodium_malloc(crypto_box_SECRETKEYBYTES);
	int err = 0;

	if (secret == NULL)
		return ERR_NOMEM;
	if (crypto_sign_ed25519_pk_to_curve25519(ours, public_key) != 0 ||
	    crypto_sign_ed25519_sk_to_curve25519(secret, secret_key) != 0)
		err = ERR_BAD_REQUEST;
	/* At least a byte, so that there is memory to write to. */
	uint8_t *at =
	    err == 0 ? buf_extend(clear, len - crypto_box_SEALBYTES + 1) : NULL;

	if (err == 0 && (at == NULL || clear->failed))
		err = ERR_NOMEM;
	if (err == 0) {
		clear->len--;
		if (crypto_box_seal_open(at, sealed, len, ours, secret) != 0)
			err = ERR_BAD_SIGNATURE;
	}
	sodium_free(secret);
	return err;
}

int
sync_box_open(struct sync_box *box, struct buf *clear, const uint8_t *data,
    size_t len, const uint8_t receiver_public[32],
    const uint8_t receiver_secret[64], struct arena *arena)
{
	uint8_t receiver[32];
	int err = sync_box_peek(receiver, data, len);

	memset(box, 0, sizeof *box);
	buf_clear(clear);
	if (err == 0 && memcmp(receiver, receiver_public, 32) != 0)
		err = ERR_MISMATCH;
	if (err == 0)
		err = unseal(clear, data + FRONT_BYTES, len - FRONT_BYTES,
		    receiver_public, receiver_secret);
	if (err == 0)
		err = record_read_msgpack(box, &sync_box_record, clear->data,
		    clear->len, NULL, arena, NULL);
	if (err != 0)
		memset(box, 0, sizeof *box);
	return err;
}
