#include "appliance/ledger/update_files.h"

#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#define PATH_BYTES 640
/* Every file here but the bundle is a few hundred bytes. */
#define FILE_BYTES_MAX ((size_t)8 << 10)
#define HASH_BYTES ((size_t)1 << 20)

/* --- tables -------------------------------------------------------------------- */

static const struct record_field update_request_fields[] = {
	R_U64(update_request, update, 1, U53_MAX, 0, "Its number."),
	R_TEXT(update_request, digest, 0, 64, RECORD_OPTIONAL,
	    "Of the bundle, hex."),
	R_BOOL(update_request, usb, RECORD_OPTIONAL, "It is on a stick."),
};
RECORD_DEFINE(update_request, 1, "Install an update.");

static const struct record_field update_progress_fields[] = {
	R_U64(update_progress, update, 1, U53_MAX, 0, "Its number."),
	R_ENUM(update_progress, phase, update_phase_names, 0, "How far."),
	R_U32(update_progress, percent, 0, 100, RECORD_OPTIONAL, "Of it."),
	R_TEXT(update_progress, digest, 0, 64, RECORD_OPTIONAL,
	    "Of the bundle, hex."),
	R_TEXT(update_progress, version, 0, 63, RECORD_OPTIONAL,
	    "That its manifest names."),
	R_TEXT(update_progress, slot, 0, 7, RECORD_OPTIONAL, "Written to."),
	R_TEXT(update_progress, reason, 0, 159, RECORD_OPTIONAL, "Why not."),
};
RECORD_DEFINE(update_progress, 1, "What became of a request.");

static const struct record_field update_image_fields[] = {
	R_TEXT(update_image, version, 0, 63, RECORD_OPTIONAL, "Its version."),
	R_TEXT(update_image, build_id, 0, 63, RECORD_OPTIONAL, "Its build."),
	R_TEXT(update_image, root_hash, 0, 64, RECORD_OPTIONAL, "Its root."),
	R_TEXT(update_image, slot, 0, 7, RECORD_OPTIONAL, "Where it lies."),
};
RECORD_DEFINE(update_image, 1, "The image that runs.");

static const struct record_field update_box_fields[] = {
	R_TEXT(update_box, slot, 0, 7, RECORD_OPTIONAL, "Where it lies."),
	R_BOOL(update_box, confirmed, RECORD_OPTIONAL, "It passed its check."),
	R_U32(update_box, level, 0, UINT32_MAX, RECORD_OPTIONAL, "Of it."),
	R_U32(update_box, floor, 0, UINT32_MAX, RECORD_OPTIONAL, "Least."),
	R_BOOL(update_box, hold, RECORD_OPTIONAL, "Stores keep their format."),
	R_TEXT(update_box, warning, 0, 159, RECORD_OPTIONAL, "In words."),
};
RECORD_DEFINE(update_box, 1, "What root's units found out.");

/* --- small files ---------------------------------------------------------------- */

static int
path_of(char path[PATH_BYTES], const char *dir, const char *name)
{
	return snprintf(path, PATH_BYTES, "%s/%s", dir, name) < PATH_BYTES
	    ? 0
	    : ERR_SYSTEM;
}

static int
read_small(void *out, const struct record *record, const char *dir,
    const char *name)
{
	struct record_error error = { "", "" };
	struct arena arena = { .chunks = NULL };
	char path[PATH_BYTES];
	uint8_t *text;
	size_t len;
	int err = path_of(path, dir, name);

	memset(out, 0, record->size);
	if (err == 0)
		err = file_read(&text, &len, path, FILE_BYTES_MAX);
	if (err != 0)
		return err;
	err = record_read_json(out, record, (const char *)text, len, &arena,
	    &error);
	if (err != 0) {
		log_error("update", "%s: %s %s", path, error.field,
		    error.reason);
		memset(out, 0, record->size);
		err = err == ERR_NOMEM ? err : ERR_CORRUPT;
	}
	arena_release(&arena);
	free(text);
	return err;
}

static int
write_small(const char *dir, const char *name, const struct record *record,
    const void *value)
{
	struct buf text = { .data = NULL };
	char path[PATH_BYTES];
	int err = path_of(path, dir, name);

	record_write_json(&text, record, value);
	buf_add_str(&text, "\n");
	if (err == 0)
		err = text.failed ? ERR_NOMEM
				  : file_write(path, text.data, text.len, 0640);
	if (err != 0)
		log_error("update", "cannot write %s: %s", path, err_str(err));
	buf_release(&text);
	return err;
}

static void
remove_file(const char *dir, const char *name)
{
	char path[PATH_BYTES];

	if (path_of(path, dir, name) == 0 && unlink(path) != 0 &&
	    errno != ENOENT)
		log_error("update", "cannot remove %s: %s", path,
		    strerror(errno));
}

/* --- a bundle on its way --------------------------------------------------------- */

#define UPLOAD "in/upload.json"
#define BUNDLE "in/bundle"
#define REQUEST "in/request.json"

static int
fail(struct problem *problem, int err, const char *hint, const char *words)
{
	problem_set(problem, err, hint, "%s", words);
	return err;
}

static int
fail_full(struct problem *problem)
{
	return fail(problem, ERR_UNAVAILABLE,
	    "free some space on the box's disk, and send it again: it goes on "
	    "where it was",
	    "there is no room on the box's disk for this update");
}

uint64_t
update_files_room(const char *dir)
{
	struct statvfs disk;

	return statvfs(dir, &disk) == 0
	    ? (uint64_t)disk.f_bavail * disk.f_frsize
	    : 0;
}

/* Length of what is there, and when the last of it came. */
static int
look_at_bundle(uint64_t *len, int64_t *idle_s, const char *dir)
{
	struct stat found;
	char path[PATH_BYTES];
	int err = path_of(path, dir, BUNDLE);

	*len = 0;
	*idle_s = INT64_MAX;
	if (err != 0)
		return err;
	if (lstat(path, &found) != 0)
		return errno == ENOENT ? ERR_NOT_FOUND : ERR_IO;
	if (!S_ISREG(found.st_mode))
		return ERR_CORRUPT;
	*len = (uint64_t)found.st_size;
	*idle_s = (int64_t)time(NULL) - (int64_t)found.st_mtime;
	return 0;
}

/* What is being sent, and how much of it is there. A half that does not fit its
 * own note is none. */
static int
upload_read(struct update_begin *upload, uint64_t *len, int64_t *idle_s,
    const char *dir)
{
	int err = look_at_bundle(len, idle_s, dir);

	if (err == 0)
		err = read_small(upload, &update_begin_record, dir, UPLOAD);
	if (err == 0 && *len > upload->bytes)
		err = ERR_CORRUPT;
	return err == ERR_CORRUPT ? ERR_NOT_FOUND : err;
}

static void
fill_view(struct update_view *out, const struct update_begin *upload,
    uint64_t len)
{
	memset(out, 0, sizeof(*out));
	memcpy(out->digest, upload->digest, sizeof(out->digest));
	out->bytes = upload->bytes;
	out->offset = len;
	out->phase = UPDATE_RECEIVING;
}

static int
make_bundle(const char *dir, const struct update_begin *asked)
{
	char path[PATH_BYTES];
	int err = path_of(path, dir, BUNDLE);

	if (err != 0)
		return err;
	update_files_clear(dir);
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);

	if (fd < 0) {
		log_error("update", "cannot make %s: %s", path,
		    strerror(errno));
		return errno == ENOSPC ? ERR_FULL : ERR_IO;
	}
	close(fd);
	return write_small(dir, UPLOAD, &update_begin_record, asked);
}

int
update_files_begin(struct update_view *out, const char *dir,
    const struct update_begin *asked, uint64_t most, struct problem *problem)
{
	struct update_begin upload;
	uint64_t len;
	int64_t idle_s;
	int err = upload_read(&upload, &len, &idle_s, dir);

	if (err != 0 && err != ERR_NOT_FOUND)
		return err;
	if (asked->bytes > most) {
		problem_set(problem, ERR_TOO_LARGE,
		    "is it the right file? An update of the box is smaller",
		    "it has %llu bytes, and %llu are the most",
		    (unsigned long long)asked->bytes, (unsigned long long)most);
		return ERR_TOO_LARGE;
	}
	const bool same = err == 0 &&
	    memcmp(upload.digest, asked->digest, 32) == 0 &&
	    upload.bytes == asked->bytes;

	if (err == 0 && !same && len < upload.bytes && idle_s >= 0 &&
	    idle_s < UPDATE_IDLE_S)
		return fail(problem, ERR_BUSY,
		    "wait for it to end, or try again in five minutes",
		    "another update is being sent at this moment");
	/* What is replaced gives its room back. */
	if (update_files_room(dir) + len < asked->bytes + UPDATE_SPARE_BYTES)
		return fail_full(problem);
	if (!same) {
		len = 0;
		err = make_bundle(dir, asked);
	}
	if (err == ERR_FULL)
		return fail_full(problem);
	fill_view(out, asked, len);
	return err;
}

static int
write_at(const char *dir, const uint8_t *data, size_t len, uint64_t offset)
{
	char path[PATH_BYTES];
	int err = path_of(path, dir, BUNDLE);

	if (err != 0)
		return err;
	int fd = open(path, O_WRONLY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return ERR_IO;
	while (err == 0 && len > 0) {
		ssize_t n = pwrite(fd, data, len, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			err = n < 0 && (errno == ENOSPC || errno == EDQUOT)
			    ? ERR_FULL
			    : ERR_IO;
			log_error("update", "cannot write %s: %s", path,
			    strerror(errno));
			break;
		}
		data += n;
		len -= (size_t)n;
		offset += (uint64_t)n;
	}
	if (close(fd) != 0 && err == 0)
		err = ERR_IO;
	return err;
}

int
update_files_put(struct update_view *out, const char *dir,
    const struct update_put *asked, struct problem *problem)
{
	struct update_begin upload;
	uint64_t len;
	int64_t idle_s;
	int err = upload_read(&upload, &len, &idle_s, dir);

	if (err != 0 && err != ERR_NOT_FOUND)
		return err;
	if (err != 0 || memcmp(upload.digest, asked->digest, 32) != 0)
		return fail(problem, ERR_NOT_FOUND,
		    "begin again: leasehold appliance update FILE",
		    "this update is not being sent");
	if (asked->offset > len) {
		problem_set(problem, ERR_CONFLICT,
		    "go on where the last answer says",
		    "this piece begins with byte %llu, and what is there ends "
		    "before byte %llu: there is a gap",
		    (unsigned long long)asked->offset, (unsigned long long)len);
		return ERR_CONFLICT;
	}
	if (asked->data.len > upload.bytes ||
	    asked->offset > upload.bytes - asked->data.len)
		return fail(problem, ERR_BAD_REQUEST, NULL,
		    "this piece ends behind the end that was named before");
	const uint64_t end = asked->offset + asked->data.len;

	if (end > len) {
		const size_t skip = (size_t)(len - asked->offset);

		err = write_at(dir, asked->data.data + skip,
		    asked->data.len - skip, len);
		if (err == ERR_FULL)
			return fail_full(problem);
		if (err != 0)
			return err;
		len = end;
	}
	fill_view(out, &upload, len);
	return 0;
}

int
update_files_show(struct update_view *out, const char *dir,
    const uint8_t digest[32])
{
	struct update_begin upload;
	uint64_t len;
	int64_t idle_s;
	int err = upload_read(&upload, &len, &idle_s, dir);

	if (err == 0 && memcmp(upload.digest, digest, 32) != 0)
		err = ERR_NOT_FOUND;
	if (err == 0)
		fill_view(out, &upload, len);
	return err;
}

static int
hash_bundle(uint8_t digest[32], const char *dir)
{
	crypto_generichash_state st;
	char path[PATH_BYTES];
	uint8_t *room = malloc(HASH_BYTES);
	int err = room == NULL ? ERR_NOMEM : path_of(path, dir, BUNDLE);
	int fd = err == 0 ? open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC) : -1;

	if (err == 0 && fd < 0)
		err = ERR_IO;
	crypto_generichash_init(&st, NULL, 0, 32);
	while (err == 0) {
		ssize_t n = read(fd, room, HASH_BYTES);

		if (n < 0 && errno != EINTR)
			err = ERR_IO;
		if (n == 0)
			break;
		if (n > 0)
			crypto_generichash_update(&st, room,
			    (unsigned long long)n);
	}
	/* The power may go from here on. */
	if (err == 0 && fsync(fd) != 0)
		err = ERR_IO;
	crypto_generichash_final(&st, digest, 32);
	if (fd >= 0)
		close(fd);
	free(room);
	return err;
}

int
update_files_check(struct update_view *out, const char *dir,
    const uint8_t digest[32], struct problem *problem)
{
	uint8_t found[32];
	int err = update_files_show(out, dir, digest);

	if (err == ERR_NOT_FOUND)
		return fail(problem, err,
		    "send it: leasehold appliance update FILE",
		    "this update was not sent");
	if (err == 0 && out->offset < out->bytes) {
		problem_set(problem, ERR_CONFLICT,
		    "send the rest: leasehold appliance update FILE",
		    "only %llu of its %llu bytes are here",
		    (unsigned long long)out->offset,
		    (unsigned long long)out->bytes);
		return ERR_CONFLICT;
	}
	if (err == 0)
		err = hash_bundle(found, dir);
	if (err != 0)
		return err;
	if (memcmp(found, digest, 32) == 0)
		return 0;
	update_files_clear(dir);
	return fail(problem, ERR_BAD_REQUEST,
	    "send it again: leasehold appliance update FILE",
	    "what was sent is not the file of that digest; it was thrown "
	    "away");
}

int
update_files_drop(const char *dir, const uint8_t digest[32],
    struct problem *problem)
{
	struct update_view view;
	int err = update_files_show(&view, dir, digest);

	(void)problem;
	if (err == 0)
		update_files_clear(dir);
	/* It is gone: nothing is left to do. */
	return err == ERR_NOT_FOUND ? 0 : err;
}

void
update_files_clear(const char *dir)
{
	remove_file(dir, UPLOAD);
	remove_file(dir, BUNDLE);
}

/* --- the runner ------------------------------------------------------------------ */

int
update_files_ask(const char *dir, const struct update_request *request)
{
	return write_small(dir, REQUEST, &update_request_record, request);
}

bool
update_files_asked(const char *dir)
{
	char path[PATH_BYTES];
	struct stat found;

	return path_of(path, dir, REQUEST) == 0 && lstat(path, &found) == 0;
}

int
update_files_progress(struct update_progress *out, const char *dir)
{
	return read_small(out, &update_progress_record, dir, "out/state.json");
}

int
update_files_image(struct update_image *out, const char *state_dir)
{
	return read_small(out, &update_image_record, state_dir, "image.json");
}

int
update_files_box(struct update_box *out, const char *state_dir)
{
	return read_small(out, &update_box_record, state_dir, "box.json");
}
