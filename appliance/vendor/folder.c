/* A vendor's folder; see vendor.h. */
#include "appliance/vendor/vendor.h"

#include "shared/base/err.h"
#include "shared/base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

struct vendor_serial {
	uint64_t serial;
};
static const struct record_field vendor_serial_fields[] = {
	R_U64(vendor_serial, serial, 1, U53_MAX, 0, "The last one used."),
};
static RECORD_DEFINE(vendor_serial, 1, "Serials of licenses.");

bool
vendor_path(char out[PATH_MAX], const char *folder, const char *name)
{
	size_t len = strlen(folder);
	const char *slash = len > 0 && folder[len - 1] == '/' ? "" : "/";
	int n = snprintf(out, PATH_MAX, "%s%s%s", folder, slash, name);

	return n > 0 && n < PATH_MAX;
}

/* "leasehold-vendor VERB DIR REST", as the next command to type. */
static const char *
next_command(char out[PATH_MAX], const char *verb, const char *folder,
    const char *rest)
{
	snprintf(out, PATH_MAX, "leasehold-vendor %s %.3000s%s", verb, folder,
	    rest);
	return out;
}

static int
read_vendor(struct vendor_folder *folder, const struct vendor_call *call)
{
	char path[PATH_MAX];
	char next[PATH_MAX];
	struct arena arena = { 0 };
	struct record_error why = { "", "" };
	uint8_t *text = NULL;
	size_t len;

	if (!vendor_path(path, folder->path, "vendor.json"))
		return vendor_fail(call, ERR_BAD_REQUEST,
		    "No file below it could be named", NULL,
		    "%.64s...: the path is too long", folder->path);
	int err = file_read(&text, &len, path, VENDOR_FILE_MAX);

	if (err != 0)
		return vendor_fail(call, err,
		    "The folder holds no vendor that this tool made",
		    next_command(next, "init", folder->path,
			" --name \"Your Name\" --id your-id"),
		    "%s: %s", path, vendor_reason(err));
	err = record_read_json(&folder->vendor, &license_vendor_record,
	    (const char *)text, len, &arena, &why);
	free(text);
	arena_release(&arena);
	if (err != 0)
		return vendor_fail(call, err,
		    "The file was altered since it was made", NULL, "%s: %s %s",
		    path, why.field, why.reason);
	return VENDOR_DONE;
}

static int
read_root(struct vendor_folder *folder, const struct vendor_call *call)
{
	char path[PATH_MAX];
	uint8_t *text = NULL;
	size_t len;
	int err = vendor_path(path, folder->path, "root.pub")
	    ? file_read(&text, &len, path, VENDOR_FILE_MAX)
	    : ERR_NOT_FOUND;

	if (err == 0) {
		text[strcspn((char *)text, "\r\n")] = '\0';
		err = token_public_parse(folder->root, (char *)text);
		free(text);
	}
	if (err != 0)
		return vendor_fail(call, err,
		    "Without the public root key no signature can be checked",
		    NULL, "%s: %s", path,
		    err == ERR_BAD_REQUEST ? "is no public key (k4.public...)"
					   : vendor_reason(err));
	return VENDOR_DONE;
}

int
vendor_folder_open(struct vendor_folder *folder, const struct vendor_call *call,
    const char *path)
{
	char next[PATH_MAX];

	memset(folder, 0, sizeof(*folder));
	folder->path = path;
	folder->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (folder->fd < 0)
		return vendor_fail(call, ERR_NOT_FOUND,
		    "It should be the folder that holds the vendor's keys",
		    next_command(next, "init", path,
			" --name \"Your Name\" --id your-id"),
		    "%s: %s", path, strerror(errno));
	/* Two runs at once would use one serial twice. */
	if (flock(folder->fd, LOCK_EX) != 0) {
		vendor_fail(call, ERR_SYSTEM,
		    "Another run could use the same serial", NULL,
		    "%s: cannot be locked: %s", path, strerror(errno));
		close(folder->fd);
		return VENDOR_FAILED;
	}
	int status = read_vendor(folder, call);

	if (status == VENDOR_DONE)
		status = read_root(folder, call);
	if (status != VENDOR_DONE)
		vendor_folder_close(folder);
	return status;
}

void
vendor_folder_close(struct vendor_folder *folder)
{
	close(folder->fd);
}

int
vendor_issuer_read(struct license_issuer *issuer, struct buf *token,
    const struct vendor_folder *folder, const struct vendor_call *call)
{
	char path[PATH_MAX];
	char next[PATH_MAX];
	struct arena arena = { 0 };
	struct record_error why = { "", "" };
	uint8_t *text = NULL;
	size_t len;
	int err = vendor_path(path, folder->path, "issuer.token")
	    ? file_read(&text, &len, path, VENDOR_FILE_MAX)
	    : ERR_NOT_FOUND;

	if (err != 0)
		return vendor_fail(call, err,
		    "Licenses are signed by an issuing key, which the root "
		    "key vouches for",
		    next_command(next, "issuer", folder->path, ""), "%s: %s",
		    path, vendor_reason(err));
	len = strcspn((char *)text, "\r\n");
	err = license_document_read(issuer, &license_issuer_record,
	    TOKEN_ISSUER, (char *)text, len, folder->root, &arena, &why);
	buf_add(token, text, len);
	free(text);
	arena_release(&arena);
	if (err == 0 && token->failed)
		err = ERR_NOMEM;
	if (err != 0)
		return vendor_fail(call, err,
		    "No application would believe a license issued by it",
		    next_command(next, "issuer", folder->path, " --renew"),
		    "%s: %s: %s", path, why.field, why.reason);
	return VENDOR_DONE;
}

/* The last serial used; 0 when none was. */
static int
read_serial(uint64_t *serial, const char *path, const struct vendor_call *call)
{
	struct vendor_serial last = { 0 };
	struct arena arena = { 0 };
	struct record_error why = { "", "" };
	uint8_t *text = NULL;
	size_t len;
	int err = file_read(&text, &len, path, VENDOR_FILE_MAX);

	*serial = 0;
	if (err == ERR_NOT_FOUND)
		return VENDOR_DONE;
	if (err == 0) {
		err = record_read_json(&last, &vendor_serial_record,
		    (const char *)text, len, &arena, &why);
		free(text);
		arena_release(&arena);
	}
	if (err != 0)
		return vendor_fail(call, err,
		    "A serial used twice would make one license stand for "
		    "another",
		    "write {\"serial\": N} into it, N being the highest serial "
		    "that was ever used",
		    "%s: %s %s", path, why.field,
		    why.reason[0] != '\0' ? why.reason : vendor_reason(err));
	*serial = last.serial;
	return VENDOR_DONE;
}

int
vendor_serial_take(uint64_t *serial, const struct vendor_folder *folder,
    uint64_t wanted, const struct vendor_call *call)
{
	char path[PATH_MAX];
	struct vendor_serial next = { 0 };
	struct buf text = { 0 };
	uint64_t last;

	if (!vendor_path(path, folder->path, "serial.json"))
		return VENDOR_FAILED;
	int status = read_serial(&last, path, call);

	if (status != VENDOR_DONE)
		return status;
	*serial = wanted != 0 ? wanted : last + 1;
	if (*serial > U53_MAX)
		return vendor_fail(call, ERR_FULL, "No license can follow it",
		    NULL, "%s: %" PRIu64 " is the last serial there is", path,
		    last);
	if (*serial <= last) {
		vendor_warn(call,
		    "serial %" PRIu64 " is not above %" PRIu64 ", the highest "
		    "used so far: a site that holds a higher one of this "
		    "license refuses it",
		    *serial, last);
		return VENDOR_DONE;
	}
	next.serial = *serial;
	record_write_json_pretty(&text, &vendor_serial_record, &next);
	buf_add_byte(&text, '\n');
	int err = text.failed ? ERR_NOMEM
			      : file_write(path, text.data, text.len, 0644);

	buf_release(&text);
	if (err != 0)
		return vendor_fail(call, err,
		    "Nothing was issued, so that no serial is used twice", NULL,
		    "%s: %s", path, vendor_reason(err));
	return VENDOR_DONE;
}
