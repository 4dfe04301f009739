/* init: a vendor's folder and root key; see vendor.h. */
#include "appliance/vendor/vendor.h"

#include "shared/base/err.h"
#include "shared/base/text.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* It stands in every license id, which has 63 bytes. */
#define VENDOR_ID_MAX 20

static bool
id_is_valid(const char *id)
{
	size_t len = strlen(id);

	return len >= 1 && len <= VENDOR_ID_MAX &&
	    strspn(id, "abcdefghijklmnopqrstuvwxyz0123456789-") == len &&
	    id[0] != '-' && id[len - 1] != '-';
}

static int
read_names(struct license_vendor *vendor, const struct vendor_call *call)
{
	const char *id = vendor_option(call, "--id");
	const char *name = vendor_option(call, "--name");

	if (!id_is_valid(id) || !text_copy(vendor->id, sizeof(vendor->id), id))
		return vendor_fail(call, ERR_BAD_REQUEST,
		    "The id stands in every license id, for ever",
		    "leasehold-vendor init --help",
		    "--id \"%.64s\": must be 1 to 20 lower-case letters, "
		    "digits and hyphens, like \"vector\"",
		    id);
	if (name[0] == '\0' || !text_is_printable(name, strlen(name)) ||
	    !text_copy(vendor->name, sizeof(vendor->name), name))
		return vendor_fail(call, ERR_BAD_REQUEST,
		    "The name is shown to the people who install licenses",
		    "leasehold-vendor init --help",
		    "--name: must be 1 to 127 bytes of UTF-8 without control "
		    "characters");
	return VENDOR_DONE;
}

/* The three files; what was written is taken away again on an error. */
static int
write_vendor(const struct license_vendor *vendor,
    const uint8_t root[TOKEN_PUBLIC_BYTES], const char *folder)
{
	char pub[PATH_MAX];
	char about[PATH_MAX];
	char text[TOKEN_PUBLIC_TEXT];
	struct buf json = { 0 };

	if (!vendor_path(pub, folder, "root.pub") ||
	    !vendor_path(about, folder, "vendor.json"))
		return ERR_BAD_REQUEST;
	token_public_format(text, root);
	text[TOKEN_PUBLIC_TEXT - 1] = '\n';
	record_write_json_pretty(&json, &license_vendor_record, vendor);
	buf_add_byte(&json, '\n');
	int err = json.failed ? ERR_NOMEM
			      : file_write(pub, text, TOKEN_PUBLIC_TEXT, 0644);

	if (err == 0) {
		err = file_write(about, json.data, json.len, 0644);
		if (err != 0)
			unlink(pub);
	}
	buf_release(&json);
	return err;
}

static int
print_vendor(const struct vendor_call *call,
    const struct license_vendor *vendor, const uint8_t root[TOKEN_PUBLIC_BYTES])
{
	char text[TOKEN_PUBLIC_TEXT];
	char kid[TOKEN_KID_TEXT];
	struct buf out = { 0 };

	token_public_format(text, root);
	token_key_id(kid, root);
	if (call->json) {
		buf_add_str(&out, "{\"vendor\":");
		record_write_json(&out, &license_vendor_record, vendor);
		buf_add_byte(&out, ',');
		vendor_add_member(&out, "folder", call->subject);
		buf_add_byte(&out, ',');
		vendor_add_member(&out, "root", text);
		buf_add_byte(&out, ',');
		vendor_add_member(&out, "kid", kid);
		buf_add_byte(&out, '}');
	} else {
		buf_printf(&out,
		    "%s (%s) has its root key.\n"
		    "  keep offline, never lose  %s/root.key\n"
		    "  compile into applications %s\n"
		    "  its id                    %s\n"
		    "Next: leasehold-vendor issuer %s",
		    vendor->name, vendor->id, call->subject, text, kid,
		    call->subject);
	}
	int status = vendor_print(call, &out);

	buf_release(&out);
	return status;
}

static int
fail_exists(const struct vendor_call *call, const char *path)
{
	char next[PATH_MAX];

	snprintf(next, sizeof(next), "leasehold-vendor issuer %.3000s",
	    call->subject);
	return vendor_fail(call, ERR_CONFLICT,
	    "The folder holds a vendor; a new root key would make every "
	    "license of the old one worthless. Nothing was changed",
	    next, "%s is already there", path);
}

static int
run_init(struct vendor_call *call)
{
	struct license_vendor vendor;
	char key[PATH_MAX];
	char about[PATH_MAX];
	uint8_t *secret;
	bool made;
	int err;

	memset(&vendor, 0, sizeof(vendor));
	if (read_names(&vendor, call) != VENDOR_DONE)
		return VENDOR_USAGE;
	if (!vendor_path(key, call->subject, "root.key") ||
	    !vendor_path(about, call->subject, "vendor.json"))
		return vendor_fail(call, ERR_BAD_REQUEST,
		    "No file below it could be named", NULL,
		    "%.64s...: the path is too long", call->subject);
	if (access(about, F_OK) == 0)
		return fail_exists(call, about);
	secret = sodium_malloc(TOKEN_SECRET_BYTES);
	if (secret == NULL)
		return vendor_fail(call, ERR_NOMEM, "No key was made", NULL,
		    "%s", err_str(ERR_NOMEM));
	made = mkdir(call->subject, 0700) == 0;
	err = token_key_create(secret, key);
	if (err == 0) {
		err = write_vendor(&vendor, secret + 32, call->subject);
		if (err != 0)
			unlink(key);
	}
	uint8_t root[TOKEN_PUBLIC_BYTES];

	memcpy(root, secret + 32, sizeof(root));
	sodium_free(secret);
	if (err == 0)
		return print_vendor(call, &vendor, root);
	if (err == ERR_CONFLICT)
		return fail_exists(call, key);
	int status = vendor_fail(call, err, "Nothing was left behind", NULL,
	    "%s: %s", call->subject,
	    err == ERR_NOT_FOUND ? "its parent folder is not there"
				 : vendor_reason(err));

	if (made)
		rmdir(call->subject);
	return status;
}

static const struct vendor_option init_options[] = {
	{ "--name", "NAME", "the vendor's name, shown to people", true },
	{ "--id", "ID", "short name in license ids: a-z, 0-9, -", true },
	{ NULL, NULL, NULL, false },
};
const struct vendor_command vendor_init_command = { "init", "DIR",
	"Make a vendor's folder and root key",
	"leasehold-vendor init vendor --name \"Vector Informatik\" --id vector",
	init_options, run_init };
