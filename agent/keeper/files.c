#include "agent/keeper/files.h"

#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/base/text.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_BYTES_MAX ((size_t)256 << 10)
/* Decoded, a file needs no more than this. */
#define ARENA_BYTES_MAX (2 * FILE_BYTES_MAX)

static const struct record_field enrolment_fields[] = {
	R_TEXT(enrolment, url, 1, 255, 0, "As it was given."),
	R_TEXT(enrolment, host, 1, 255, 0, "Its host."),
	R_U32(enrolment, port, 1, 65535, 0, "Its port."),
	R_TEXT(enrolment, site, 1, 63, 0, "The site's id."),
	R_TEXT(enrolment, tenant, 1, 63, 0, "The tenant."),
	R_FIXED(enrolment, site_key, 0,
	    "Pinned at enrolment; or what followed that."),
	R_FIXED(enrolment, former_key, RECORD_OPTIONAL,
	    "The site's key before, which signed what is held from then."),
	R_U64(enrolment, device, 1, U53_MAX, 0, "This device."),
	R_TEXT(enrolment, name, 0, 63, RECORD_OPTIONAL, "Its name."),
	R_TEXT(enrolment, identity, 0, 31, RECORD_OPTIONAL,
	    "Folder of its key; absent: identity."),
	{ .key = "class",
	    .offset = offsetof(struct enrolment, class_),
	    .size = sizeof(((struct enrolment *)0)->class_),
	    .type = RECORD_ENUM,
	    .flags = RECORD_OPTIONAL,
	    .names = proof_class_names,
	    .doc = "As the site has it." },
};
RECORD_DEFINE(enrolment, 1, "Which site this is a device of.");

static const struct record_field journal_seen_fields[] = {
	R_STRUCT(journal_seen, known, &journal_known_record, RECORD_OPTIONAL,
	    "Proved to continue all before."),
	R_U64(journal_seen, seen_batch, 0, U53_MAX, 0, "Newest batch seen."),
	R_FIXED(journal_seen, seen_head, RECORD_OPTIONAL, "Its head."),
	R_U32(journal_seen, seen_generation, 0, UINT32_MAX, RECORD_OPTIONAL,
	    "Its generation."),
	R_TEXT(journal_seen, token, 0, JOURNAL_TOKEN_MAX - 1, RECORD_OPTIONAL,
	    "What the site signed about it."),
};
RECORD_DEFINE(journal_seen, 1, "What was seen of the site's journal.");

static const struct record_field lease_file_fields[] = {
	R_U64(lease_file, lease, 1, U53_MAX, 0, "The lease."),
	R_U64(lease_file, row_number, 1, U53_MAX, 0, "Its row's number."),
	R_BLOB(lease_file, row, 1, LEASE_ROW_MAX, 0, "Its row."),
	R_BLOB(lease_file, path, 0, 4096, RECORD_OPTIONAL, "Path to the root."),
	R_STRING(lease_file, header, 1, 8192, 0, "The batch's header."),
	R_U64(lease_file, pid, 1, INT32_MAX, 0, "The process."),
	R_U64(lease_file, start, 0, U53_MAX, 0, "When it began."),
	R_TEXT(lease_file, boot, 0, 39, RECORD_OPTIONAL, "The boot id."),
	R_U32(lease_file, uid, 0, UINT32_MAX, 0, "The user."),
	R_BOOL(lease_file, hold, 0, "The agent renews it by itself."),
	R_FIXED(lease_file, request, 0, "The request's id."),
	R_TEXT(lease_file, command, 0, 63, RECORD_OPTIONAL, "For people."),
	R_TIME(lease_file, granted_at, 0, "The site's time of the grant."),
	R_U32(lease_file, generation, 0, UINT32_MAX, RECORD_OPTIONAL,
	    "Of the journal, then."),
};
RECORD_DEFINE(lease_file, 1, "A lease and the process that holds it.");

static int
make_folder(const char *path)
{
	if (mkdir(path, 0700) == 0 || errno == EEXIST)
		return 0;
	log_error("keeper", "cannot make the folder %s: %s", path,
	    strerror(errno));
	return ERR_IO;
}

static void
path_of(char out[PATH_MAX], const struct files *files, const char *name)
{
	snprintf(out, PATH_MAX, "%s/%s", files->path, name);
}

int
files_open(struct files *files, const char *path)
{
	char folder[PATH_MAX];

	if (!text_copy(files->path, sizeof(files->path), path)) {
		log_error("keeper", "the state folder's name is too long");
		return ERR_TOO_LARGE;
	}
	int err = make_folder(path);

	path_of(folder, files, "leases");
	if (err == 0)
		err = make_folder(folder);
	path_of(folder, files, "licenses");
	if (err == 0)
		err = make_folder(folder);
	return err;
}

void
files_identity_path(char out[PATH_MAX], const struct files *files,
    const char *identity)
{
	path_of(out, files, identity[0] != '\0' ? identity : "identity");
}

/* --- one record a file ---------------------------------------------------- */

static int
read_file(void *out, const struct record *record, const char *path,
    size_t max_bytes, struct arena *arena)
{
	struct record_error error;
	uint8_t *data;
	size_t len;
	int err = file_read(&data, &len, path, max_bytes);

	if (err == ERR_NOT_FOUND)
		return err;
	if (err < 0) {
		log_error("keeper", "cannot read %s: %s", path, err_str(err));
		return err;
	}
	err = record_read_json(out, record, (const char *)data, len, arena,
	    &error);
	free(data);
	if (err == ERR_BAD_REQUEST) {
		log_error("keeper", "%s is damaged: %s %s", path, error.field,
		    error.reason);
		err = ERR_CORRUPT;
	}
	return err;
}

static int
read_record(void *out, const struct record *record, const char *path,
    struct arena *arena)
{
	return read_file(out, record, path, FILE_BYTES_MAX, arena);
}

static int
write_durably(const char *path, const struct record *record, const void *value)
{
	struct buf text = { 0 };

	record_write_json_pretty(&text, record, value);
	buf_add_byte(&text, '\n');
	int err = text.failed ? ERR_NOMEM
			      : file_write(path, text.data, text.len, 0600);

	buf_release(&text);
	if (err < 0)
		log_error("keeper", "cannot write %s: %s", path,
		    strerror(errno));
	return err;
}

static int
write_whole(int fd, const uint8_t *data, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, data, len);

		if (n < 0)
			return -1;
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

/* Whole or not at all for readers after a crash of this process, which is
 * what these files are for; no fsync. There is one writer, so one temporary
 * name is enough. */
static int
write_quickly(const char *path, const struct record *record, const void *value)
{
	char temporary[PATH_MAX + 8];
	struct buf text = { 0 };
	int failed = -1;

	record_write_json(&text, record, value);
	buf_add_byte(&text, '\n');
	snprintf(temporary, sizeof(temporary), "%s.tmp", path);
	int fd = text.failed
	    ? -1
	    : open(temporary,
		  O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd >= 0) {
		failed = write_whole(fd, text.data, text.len);
		close(fd);
		if (failed == 0)
			failed = rename(temporary, path);
	}
	buf_release(&text);
	if (failed == 0)
		return 0;
	log_error("keeper", "cannot write %s: %s", path, strerror(errno));
	return errno == ENOSPC || errno == EDQUOT ? ERR_FULL : ERR_IO;
}

/* --- the site ------------------------------------------------------------- */

int
files_read_enrolment(struct enrolment *enrolment, char **ca_pem,
    const struct files *files)
{
	struct arena arena = { .max_bytes = ARENA_BYTES_MAX };
	char path[PATH_MAX];
	size_t len;

	path_of(path, files, "site.json");
	int err = read_record(enrolment, &enrolment_record, path, &arena);

	arena_release(&arena);
	if (err < 0)
		return err;
	path_of(path, files, "ca.pem");
	err = file_read((uint8_t **)ca_pem, &len, path, FILE_BYTES_MAX);
	if (err < 0) {
		log_error("keeper", "cannot read %s: %s", path, err_str(err));
		err = ERR_CORRUPT; /* enrolled, but by halves */
	}
	return err;
}

int
files_write_enrolment(const struct files *files,
    const struct enrolment *enrolment, const char *ca_pem)
{
	char path[PATH_MAX];

	/* site.json comes last: it alone says that there is an enrolment. */
	path_of(path, files, "site.json");
	if (unlink(path) < 0 && errno != ENOENT) {
		log_error("keeper", "cannot remove %s: %s", path,
		    strerror(errno));
		return ERR_IO;
	}
	path_of(path, files, "known.json");
	if (unlink(path) < 0 && errno != ENOENT) {
		log_error("keeper", "cannot remove %s: %s", path,
		    strerror(errno));
		return ERR_IO;
	}
	path_of(path, files, "ca.pem");
	int err = file_write(path, ca_pem, strlen(ca_pem), 0600);

	if (err < 0) {
		log_error("keeper", "cannot write %s: %s", path,
		    strerror(errno));
		return err;
	}
	path_of(path, files, "site.json");
	return write_durably(path, &enrolment_record, enrolment);
}

int
files_keep_enrolment(const struct files *files,
    const struct enrolment *enrolment)
{
	char path[PATH_MAX];

	path_of(path, files, "site.json");
	return write_durably(path, &enrolment_record, enrolment);
}

int
files_read_seen(struct journal_seen *seen, const struct files *files)
{
	struct arena arena = { .max_bytes = ARENA_BYTES_MAX };
	char path[PATH_MAX];

	path_of(path, files, "known.json");
	int err = read_record(seen, &journal_seen_record, path, &arena);

	arena_release(&arena);
	if (err == ERR_NOT_FOUND) {
		memset(seen, 0, sizeof(*seen));
		err = 0;
	}
	return err;
}

int
files_write_seen(const struct files *files, const struct journal_seen *seen)
{
	char path[PATH_MAX];

	path_of(path, files, "known.json");
	return write_durably(path, &journal_seen_record, seen);
}

/* --- leases --------------------------------------------------------------- */

static void
lease_path(char out[PATH_MAX], const struct files *files, uint64_t lease,
    const char *suffix)
{
	snprintf(out, PATH_MAX, "%s/leases/%llu.%s", files->path,
	    (unsigned long long)lease, suffix);
}

int
files_write_lease(const struct files *files, const struct lease_file *lease)
{
	char path[PATH_MAX];

	lease_path(path, files, lease->lease, "json");
	return write_quickly(path, &lease_file_record, lease);
}

int
files_read_lease(struct lease_file *lease, const struct files *files,
    uint64_t number, struct arena *arena)
{
	char path[PATH_MAX];

	lease_path(path, files, number, "json");
	return read_record(lease, &lease_file_record, path, arena);
}

void
files_end_lease(const struct files *files, uint64_t lease)
{
	char from[PATH_MAX], to[PATH_MAX];

	lease_path(from, files, lease, "json");
	lease_path(to, files, lease, "ended");
	if (rename(from, to) < 0 && errno != ENOENT)
		log_error("keeper", "cannot rename %s: %s", from,
		    strerror(errno));
}

static void
remove_file(const char *path)
{
	if (unlink(path) < 0 && errno != ENOENT)
		log_error("keeper", "cannot remove %s: %s", path,
		    strerror(errno));
}

void
files_remove_lease(const struct files *files, uint64_t lease)
{
	char path[PATH_MAX];

	lease_path(path, files, lease, "ended");
	remove_file(path);
	lease_path(path, files, lease, "json");
	remove_file(path);
}

/* "17.json" or "17.ended"; anything else is not ours to read. */
static bool
parse_name(uint64_t *lease, bool *ended, const char *name)
{
	size_t digits = strspn(name, "0123456789");

	*ended = strcmp(name + digits, ".ended") == 0;
	return text_to_u64(lease, name, digits) &&
	    (*ended || strcmp(name + digits, ".json") == 0);
}

int
files_each_lease(const struct files *files,
    void (*each)(void *ctx, const struct lease_file *lease, bool ended),
    void *ctx)
{
	struct arena arena = { .max_bytes = ARENA_BYTES_MAX };
	struct lease_file file;
	char path[PATH_MAX];
	struct dirent *entry;
	uint64_t lease;
	bool ended;

	path_of(path, files, "leases");
	DIR *folder = opendir(path);

	if (folder == NULL) {
		log_error("keeper", "cannot read %s: %s", path,
		    strerror(errno));
		return ERR_IO;
	}
	while ((entry = readdir(folder)) != NULL) {
		if (!parse_name(&lease, &ended, entry->d_name))
			continue;
		lease_path(path, files, lease, ended ? "ended" : "json");
		if (read_record(&file, &lease_file_record, path, &arena) == 0 &&
		    file.lease == lease)
			each(ctx, &file, ended);
		arena_clear(&arena);
	}
	closedir(folder);
	arena_release(&arena);
	return 0;
}

/* --- licenses ------------------------------------------------------------- */

static void
license_path(char out[PATH_MAX], const struct files *files,
    const uint8_t digest[32])
{
	char hex[65];

	text_to_hex(hex, digest, 32);
	snprintf(out, PATH_MAX, "%s/licenses/%s.json", files->path, hex);
}

int
files_read_license(struct license_file *license, const struct files *files,
    const uint8_t digest[32], struct arena *arena)
{
	char path[PATH_MAX];

	license_path(path, files, digest);
	return read_record(license, &license_file_record, path, arena);
}

int
files_write_license(const struct files *files, const uint8_t digest[32],
    const struct license_file *license)
{
	char path[PATH_MAX];

	license_path(path, files, digest);
	return write_quickly(path, &license_file_record, license);
}

int
files_keep_license(const struct files *files, const uint8_t digest[32],
    const struct license_file *license)
{
	char path[PATH_MAX];

	license_path(path, files, digest);
	return write_durably(path, &license_file_record, license);
}

/* --- others --------------------------------------------------------------- */

int
files_write_record(const struct files *files, const char *name,
    const struct record *record, const void *value)
{
	char path[PATH_MAX];

	path_of(path, files, name);
	return write_durably(path, record, value);
}

int
files_note_record(const struct files *files, const char *name,
    const struct record *record, const void *value)
{
	char path[PATH_MAX];

	path_of(path, files, name);
	return write_quickly(path, record, value);
}

int
files_read_record(void *out, const struct files *files, const char *name,
    const struct record *record, size_t max_bytes, struct arena *arena)
{
	char path[PATH_MAX];

	path_of(path, files, name);
	return read_file(out, record, path, max_bytes, arena);
}

void
files_remove_record(const struct files *files, const char *name)
{
	char path[PATH_MAX];

	path_of(path, files, name);
	remove_file(path);
}
