#include "appliance/setup/box_files.h"

#include "appliance/setup/parts.h"
#include "appliance/setup/setup.h"
#include "shared/backup/dump.h"
#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/base/text.h"
#include "shared/record/record.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define SEALED_FILE "tls/box.sealed"
#define SYSTEM "system" /* whose backup it goes into */
#define FILES_MAX 32
#define FILE_MAX 65536 /* of archive_file */

struct box_files {
	struct record_list files; /* archive_file */
};
static const struct record_field box_files_fields[] = {
	R_LIST(box_files, files, &archive_file_record, 1, FILES_MAX, 0,
	    "What only root may read."),
};
RECORD_DEFINE(box_files, 1, "A box's own files.");

/* --- sealing --------------------------------------------------------------- */

struct sealing {
	struct archive_file files[FILES_MAX];
	uint32_t n;
};

static void
release(struct sealing *sealing)
{
	for (uint32_t i = 0; i < sealing->n; i++) {
		void *data = (void *)(uintptr_t)sealing->files[i].data.data;

		sodium_memzero(data, sealing->files[i].data.len);
		free(data);
	}
	sealing->n = 0;
}

static int
add(struct sealing *sealing, const char *name, const char *path)
{
	struct archive_file *file = &sealing->files[sealing->n];
	uint8_t *data = NULL;
	size_t len = 0;
	int rc = file_read(&data, &len, path, FILE_MAX);

	if (rc != 0)
		return rc;
	*file = (struct archive_file){
		.data = { data, (uint32_t)len },
	};
	text_copy(file->name, sizeof(file->name), name);
	sealing->n++;
	return 0;
}

/* One that people compare with: a backup without it is one, too. */
static int
add_etc(void *ctx, const char *name, const char *path)
{
	struct sealing *sealing = ctx;
	char entry[64];

	if (sealing->n == FILES_MAX ||
	    snprintf(entry, sizeof(entry), "etc/%s", name) >=
		(int)sizeof(entry))
		return 0;
	int rc = add(sealing, entry, path);

	if (rc != 0 && rc != ERR_NOT_FOUND)
		log_warn("setup", "%s is not taken into backups: %s", path,
		    rc == ERR_IO ? strerror(errno) : err_str(rc));
	return 0;
}

static int
gather(struct sealing *sealing, const char *state,
    const struct settings *settings, const char *config)
{
	static const char *const own[] = { "tls/ca.pem", "tls/ca.key",
		"tls/server.pem", "tls/server.key" };
	char path[SETUP_PATH_MAX];
	int rc = 0;

	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]) && rc == 0; i++) {
		rc = setup_path(path, state, own[i]);
		if (rc == 0)
			rc = add(sealing, own[i], path);
		if (rc != 0)
			log_error("setup", "cannot read %s: %s", path,
			    rc == ERR_IO ? strerror(errno) : err_str(rc));
	}
	if (rc == 0 && config != NULL)
		rc = add_etc(sealing, "leaseholdd.ini", config);
	if (rc == 0 && settings != NULL)
		rc = parts_each_file(settings, add_etc, sealing);
	return rc;
}

/* So that no part of a key stays behind where the bytes outgrew their place. */
static void
reserve(struct buf *plain, const struct sealing *sealing)
{
	size_t room = 64;

	for (uint32_t i = 0; i < sealing->n; i++)
		room += sizeof(sealing->files[i].name) + 16 +
		    sealing->files[i].data.len;
	if (buf_extend(plain, room) != NULL)
		buf_clear(plain);
}

static int
seal(struct sealing *sealing, const char *path,
    const uint8_t heir[TOKEN_PUBLIC_BYTES])
{
	const struct box_files box = { { sealing->files, sealing->n } };
	struct buf plain = { 0 };
	uint8_t *sealed = NULL;
	int rc = 0;

	reserve(&plain, sealing);
	if (!plain.failed)
		record_write_msgpack(&plain, &box_files_record, &box);
	if (plain.failed)
		rc = ERR_NOMEM;
	else if (plain.len + DUMP_HEIR_EXTRA > BOX_FILES_MAX)
		rc = ERR_TOO_LARGE;
	if (rc == 0 && (sealed = malloc(plain.len + DUMP_HEIR_EXTRA)) == NULL)
		rc = ERR_NOMEM;
	if (rc == 0)
		rc = dump_seal_heir(sealed, plain.data, plain.len, SYSTEM,
		    DUMP_HEIR_BOX, heir);
	if (rc == 0)
		rc =
		    file_write(path, sealed, plain.len + DUMP_HEIR_EXTRA, 0644);
	if (rc != 0)
		log_error("setup", "cannot write %s: %s", path,
		    rc == ERR_IO ? strerror(errno) : err_str(rc));
	if (plain.data != NULL)
		sodium_memzero(plain.data, plain.size);
	buf_release(&plain);
	free(sealed);
	return rc;
}

/* Units start at once, and somebody may name an heir meanwhile. */
static int
take_turn(int *turn, const char *state)
{
	char path[SETUP_PATH_MAX];
	int rc = setup_path(path, state, "tls");

	*turn = -1;
	if (rc != 0)
		return rc;
	*turn = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (*turn >= 0 && flock(*turn, LOCK_EX) == 0)
		return 0;
	if (errno == ENOENT)
		return ERR_NOT_FOUND;
	log_error("setup", "cannot lock %s: %s", path, strerror(errno));
	return ERR_IO;
}

int
box_files_seal(const char *state, const struct settings *settings,
    const char *config)
{
	uint8_t heir[TOKEN_PUBLIC_BYTES];
	char path[SETUP_PATH_MAX];
	struct sealing sealing = { .n = 0 };
	int turn, rc = take_turn(&turn, state);

	if (rc == 0)
		rc = setup_heir_trusted(heir, state);
	const bool none = rc == ERR_NOT_FOUND;

	if (rc == 0)
		rc = setup_path(path, state, SEALED_FILE);
	if (rc == 0)
		rc = gather(&sealing, state, settings, config);
	if (rc == 0)
		rc = seal(&sealing, path, heir);
	release(&sealing);
	if (turn >= 0)
		close(turn);
	return none ? 0 : rc;
}

void
box_files_drop(const char *state)
{
	char path[SETUP_PATH_MAX];

	if (setup_path(path, state, SEALED_FILE) == 0)
		(void)unlink(path);
	log_warn("setup",
	    "backups have no certificates for this recovery key until the site "
	    "is started once more");
}

/* --- reading --------------------------------------------------------------- */

int
box_files_read(uint8_t **sealed, size_t *len, const char *state)
{
	char path[SETUP_PATH_MAX];
	int rc = setup_path(path, state, SEALED_FILE);

	return rc == 0 ? file_read(sealed, len, path, BOX_FILES_MAX) : rc;
}

int
box_files_open(const void *sealed, size_t len, const uint8_t heir_secret[64],
    int (*each)(void *ctx, const struct archive_file *file), void *ctx)
{
	if (len <= DUMP_HEIR_EXTRA || len > BOX_FILES_MAX)
		return ERR_BAD_SIGNATURE;
	size_t plain_len = len - DUMP_HEIR_EXTRA;
	uint8_t *plain = sodium_malloc(plain_len);
	struct arena arena = { 0 };
	struct box_files box = { 0 };
	int rc = plain == NULL ? ERR_NOMEM
			       : dump_unseal_heir(plain, plain_len, sealed, len,
				     SYSTEM, DUMP_HEIR_BOX, heir_secret);

	/* Spans point into `plain`. */
	if (rc == 0 &&
	    record_read_msgpack(&box, &box_files_record, plain, plain_len, NULL,
		&arena, NULL) != 0)
		rc = ERR_BAD_SIGNATURE;
	const struct archive_file *files = box.files.items;

	for (uint32_t i = 0; i < box.files.count && rc == 0; i++)
		rc = each(ctx, &files[i]);
	arena_release(&arena);
	sodium_free(plain);
	return rc;
}
