/* issuer: the key that issues licenses, and the root key's word for it; see
 * vendor.h. */
#include "appliance/vendor/vendor.h"

#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/text.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define DAY_MS INT64_C(86400000)

/* The root key, which must be the one whose public half is pinned. */
static int
read_root_key(uint8_t secret[TOKEN_SECRET_BYTES],
    const struct vendor_folder *folder, const struct vendor_call *call)
{
	char path[PATH_MAX];
	int err = vendor_path(path, folder->path, "root.key")
	    ? token_key_read(secret, path)
	    : ERR_NOT_FOUND;

	if (err == ERR_NOT_FOUND)
		return vendor_fail(call, err,
		    "Only the root key can vouch for an issuing key; is its "
		    "disk or stick connected?",
		    NULL, "%s: %s", path, vendor_reason(err));
	if (err == ERR_FORBIDDEN) {
		char next[PATH_MAX];

		snprintf(next, sizeof(next), "chmod 600 %.3000s", path);
		return vendor_fail(call, err,
		    "Whoever could read it may be the vendor now", next,
		    "%s: %s", path, vendor_reason(err));
	}
	if (err != 0)
		return vendor_fail(call, err,
		    "The root key is damaged: take it from your backup", NULL,
		    "%s: %s", path, vendor_reason(err));
	if (memcmp(secret + 32, folder->root, TOKEN_PUBLIC_BYTES) != 0)
		return vendor_fail(call, ERR_UNTRUSTED,
		    "Applications pin root.pub and would refuse what this key "
		    "signs",
		    NULL, "%s is not the key of %s/root.pub", path,
		    folder->path);
	return VENDOR_DONE;
}

/* A new issuing key and the token that vouches for it, in that order: a crash
 * between leaves a key without a fitting token, which issuing refuses. */
static int
write_issuer(struct license_issuer *issuer, const uint8_t root[64],
    const struct vendor_folder *folder)
{
	char fresh[PATH_MAX];
	char key[PATH_MAX];
	char path[PATH_MAX];
	struct buf token = { 0 };
	uint8_t *secret;
	int err;

	if (!vendor_path(fresh, folder->path, "issuer.key.new") ||
	    !vendor_path(key, folder->path, "issuer.key") ||
	    !vendor_path(path, folder->path, "issuer.token"))
		return ERR_BAD_REQUEST;
	secret = sodium_malloc(TOKEN_SECRET_BYTES);
	if (secret == NULL)
		return ERR_NOMEM;
	unlink(fresh); /* of a run that was cut off */
	err = token_key_create(secret, fresh);
	memcpy(issuer->key, secret + 32, TOKEN_PUBLIC_BYTES);
	sodium_free(secret);
	if (err != 0)
		return err;
	err = license_document_sign(&token, &license_issuer_record, issuer,
	    TOKEN_ISSUER, root);
	buf_add_byte(&token, '\n');
	if (err == 0 && token.failed)
		err = ERR_NOMEM;
	if (err == 0 && rename(fresh, key) != 0)
		err = ERR_IO;
	if (err == 0)
		err = file_write(path, token.data, token.len, 0644);
	else
		unlink(fresh);
	buf_release(&token);
	return err;
}

static int
check_no_issuer(const struct vendor_folder *folder,
    const struct vendor_call *call)
{
	char path[PATH_MAX];
	char next[PATH_MAX];

	if (!vendor_path(path, folder->path, "issuer.key") ||
	    access(path, F_OK) != 0)
		return VENDOR_DONE;
	snprintf(next, sizeof(next), "leasehold-vendor issuer %.3000s --renew",
	    folder->path);
	return vendor_fail(call, ERR_CONFLICT,
	    "Licenses issued by it stay good, but it could issue no more once "
	    "it is replaced. Nothing was changed",
	    next, "%s is already there", path);
}

static int
print_issuer(const struct vendor_call *call,
    const struct license_issuer *issuer)
{
	char kid[TOKEN_KID_TEXT];
	char to[CLOCK_TEXT_SIZE];
	struct buf out = { 0 };

	token_key_id(kid, issuer->key);
	clock_format(to, issuer->not_after);
	if (call->json) {
		buf_add_str(&out, "{\"issuer\":");
		record_write_json(&out, &license_issuer_record, issuer);
		buf_add_byte(&out, ',');
		vendor_add_member(&out, "kid", kid);
		buf_add_byte(&out, '}');
	} else {
		buf_printf(&out,
		    "The root key vouches for a new issuing key until %s.\n"
		    "  key    %s/issuer.key\n"
		    "  its id %s\n"
		    "The root key is not needed again until then: take it "
		    "offline.",
		    to, call->subject, kid);
	}
	int status = vendor_print(call, &out);

	buf_release(&out);
	return status;
}

static int
make_issuer(struct license_issuer *issuer, const struct vendor_folder *folder,
    const struct vendor_call *call)
{
	uint8_t *root = sodium_malloc(TOKEN_SECRET_BYTES);

	if (root == NULL)
		return vendor_fail(call, ERR_NOMEM, "No key was made", NULL,
		    "%s", err_str(ERR_NOMEM));
	int status = read_root_key(root, folder, call);

	if (status == VENDOR_DONE) {
		int err = write_issuer(issuer, root, folder);

		if (err != 0)
			status = vendor_fail(call, err,
			    "There may be no issuing key now: run the command "
			    "again with --renew when there is room",
			    NULL, "%s: %s", folder->path, vendor_reason(err));
	}
	sodium_free(root);
	return status;
}

/* --- a hub's key -------------------------------------------------------------- */

/* Its secret is the hub's: nothing in the folder changes. */
static int
write_word(const struct license_issuer *issuer, const uint8_t root[64],
    const char *path)
{
	struct license_issuer_file file;
	struct buf token = { 0 }, out = { 0 };
	int err = license_document_sign(&token, &license_issuer_record, issuer,
	    TOKEN_ISSUER, root);

	memcpy(file.vendor_key, root + 32, sizeof(file.vendor_key));
	file.issuer = (struct record_span){ token.data, (uint32_t)token.len };
	if (err == 0)
		record_write_json_pretty(&out, &license_issuer_file_record,
		    &file);
	buf_add_byte(&out, '\n');
	if (err == 0)
		err = out.failed ? ERR_NOMEM
				 : file_write(path, out.data, out.len, 0644);
	buf_release(&token);
	buf_release(&out);
	return err;
}

static int
vouch(const struct license_issuer *issuer, const struct vendor_folder *folder,
    const struct vendor_call *call, const char *path)
{
	uint8_t *root = sodium_malloc(TOKEN_SECRET_BYTES);
	int status = root == NULL
	    ? vendor_fail(call, ERR_NOMEM, "Nothing was signed", NULL, "%s",
		  err_str(ERR_NOMEM))
	    : read_root_key(root, folder, call);

	if (root != NULL && status == VENDOR_DONE) {
		int err = write_word(issuer, root, path);

		if (err != 0)
			status = vendor_fail(call, err, "Nothing was written",
			    NULL, "%s: %s", path, vendor_reason(err));
	}
	sodium_free(root);
	return status;
}

static int
print_word(const struct vendor_call *call, const struct license_issuer *issuer,
    const char *path)
{
	char kid[TOKEN_KID_TEXT], to[CLOCK_TEXT_SIZE];
	struct buf out = { 0 };

	token_key_id(kid, issuer->key);
	clock_format(to, issuer->not_after);
	if (call->json) {
		buf_add_str(&out, "{\"issuer\":");
		record_write_json(&out, &license_issuer_record, issuer);
		buf_add_byte(&out, ',');
		vendor_add_member(&out, "kid", kid);
		buf_add_byte(&out, ',');
		vendor_add_member(&out, "file", path);
		buf_add_byte(&out, '}');
	} else {
		buf_printf(&out,
		    "The root key vouches for the hub's key %s until %s.\n"
		    "Next, for the hub: leasehold hub key install %s",
		    kid, to, path);
	}
	int status = vendor_print(call, &out);

	buf_release(&out);
	return status;
}

static int
vouch_for_hub(struct license_issuer *issuer, const struct vendor_folder *folder,
    const struct vendor_call *call)
{
	const char *key = vendor_option(call, "--key");
	const char *path = vendor_option(call, "--out");

	if (path == NULL)
		return vendor_fail(call, ERR_BAD_REQUEST,
		    "The hub takes a file; nothing was signed", NULL,
		    "--key needs --out FILE");
	if (token_public_parse(issuer->key, key) != 0)
		return vendor_fail(call, ERR_BAD_REQUEST,
		    "It is what the hub prints; nothing was signed",
		    "for the hub: leasehold hub key",
		    "--key: is no public key, k4.public...");
	int status = vouch(issuer, folder, call, path);

	return status == VENDOR_DONE ? print_word(call, issuer, path) : status;
}

static int
run_issuer(struct vendor_call *call)
{
	struct vendor_folder folder;
	struct license_issuer issuer;
	uint64_t days;

	if (vendor_option_number(&days, call, "--days", 1, 3650, 365) !=
	    VENDOR_DONE)
		return VENDOR_USAGE;
	int status = vendor_folder_open(&folder, call, call->subject);

	if (status != VENDOR_DONE)
		return status;
	memset(&issuer, 0, sizeof(issuer));
	issuer.vendor = folder.vendor;
	issuer.not_before = clock_wall_ms();
	issuer.not_after = issuer.not_before + (int64_t)days * DAY_MS;
	if (vendor_option(call, "--key") != NULL) {
		status = vouch_for_hub(&issuer, &folder, call);
		vendor_folder_close(&folder);
		return status;
	}
	if (vendor_option(call, "--renew") == NULL)
		status = check_no_issuer(&folder, call);
	if (status == VENDOR_DONE)
		status = make_issuer(&issuer, &folder, call);
	if (status == VENDOR_DONE)
		status = print_issuer(call, &issuer);
	vendor_folder_close(&folder);
	return status;
}

static const struct vendor_option issuer_options[] = {
	{ "--days", "N", "how long it may issue licenses (365)", false },
	{ "--renew", NULL, "replace the issuing key that is there", false },
	{ "--key", "K", "vouch for this key, which a hub made", false },
	{ "--out", "FILE", "with --key: write the word for it there", false },
	{ NULL, NULL, NULL, false },
};
const struct vendor_command vendor_issuer_command = { "issuer", "DIR",
	"Make an issuing key that the root key vouches for",
	"leasehold-vendor issuer vendor --days 365", issuer_options,
	run_issuer };
