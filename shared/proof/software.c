/*
 * Class `software`: an Ed25519 key and a counter in a folder. It stands where
 * there is no TPM and promises less: who can read the folder is the device.
 * The counter is on the disk before a proof leaves, so that a crash never
 * makes the same number twice; a restored backup does, and the verifier sees
 * it. The clock is CLOCK_BOOTTIME; a new boot id or a clock that went back
 * counts as a reset.
 */
#include "shared/proof/proof.h"

#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/base/text.h"
#include "shared/proof/statement.h"
#include "shared/token/token.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEY_FILE "device.key"
#define COUNTER_FILE "counter.json"
#define LOCK_FILE "lock"
#define BOOT_ID_FILE "/proc/sys/kernel/random/boot_id"
#define COUNTER_FILE_MAX 1024

/* COUNTER_FILE */
struct proof_counter {
	uint64_t counter; /* of the last proof */
	uint64_t resets;
	int64_t clock_ms; /* at the last proof */
	char boot[40]; /* the kernel's boot id then */
};

static const struct record_field proof_counter_fields[] = {
	R_U64(proof_counter, counter, 0, ((uint64_t)1 << 53) - 1, 0,
	    "Number of the last proof."),
	R_U64(proof_counter, resets, 0, ((uint64_t)1 << 53) - 1, 0,
	    "How often the clock began anew."),
	R_I64(proof_counter, clock_ms, 0, INT64_MAX >> 10, 0,
	    "CLOCK_BOOTTIME at the last proof."),
	R_TEXT(proof_counter, boot, 0, 39, RECORD_OPTIONAL,
	    "The kernel's boot id then."),
};
static RECORD_DEFINE(proof_counter, 1, "Counter of a software identity.");

struct identity {
	char folder[PATH_MAX - 64];
	uint8_t *secret; /* sodium_malloc'd */
	struct proof_counter counter;
	int lock; /* one process per folder: a counter has one writer */
};

static void
path_in(char out[PATH_MAX], const struct identity *identity, const char *name)
{
	snprintf(out, PATH_MAX, "%s/%s", identity->folder, name);
}

static int
open_folder(struct identity *identity)
{
	char path[PATH_MAX];

	if (mkdir(identity->folder, 0700) < 0 && errno != EEXIST) {
		log_error("proof", "cannot make the folder %s: %s",
		    identity->folder, strerror(errno));
		return ERR_IO;
	}
	path_in(path, identity, LOCK_FILE);
	identity->lock =
	    open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (identity->lock < 0) {
		log_error("proof", "cannot open %s: %s", path, strerror(errno));
		return ERR_IO;
	}
	if (flock(identity->lock, LOCK_EX | LOCK_NB) < 0) {
		log_error("proof", "another agent uses the identity in %s",
		    identity->folder);
		return ERR_BUSY;
	}
	return 0;
}

static int
open_key(struct identity *identity)
{
	char path[PATH_MAX];

	identity->secret = sodium_malloc(TOKEN_SECRET_BYTES);
	if (identity->secret == NULL)
		return ERR_NOMEM;
	path_in(path, identity, KEY_FILE);
	int err = token_key_read(identity->secret, path);

	if (err == ERR_NOT_FOUND)
		err = token_key_create(identity->secret, path);
	if (err < 0) {
		log_error("proof", "the device's key %s: %s", path,
		    err == ERR_FORBIDDEN ? "others can read it (want mode 0600)"
					 : err_str(err));
		return err;
	}
	sodium_mprotect_readonly(identity->secret);
	return 0;
}

static int
open_counter(struct identity *identity)
{
	char path[PATH_MAX];
	uint8_t *data;
	size_t len;
	struct arena arena = { .max_bytes = COUNTER_FILE_MAX };
	struct record_error error;

	path_in(path, identity, COUNTER_FILE);
	int err = file_read(&data, &len, path, COUNTER_FILE_MAX);

	if (err == ERR_NOT_FOUND) /* a new key has made no proof yet */
		return 0;
	if (err < 0) {
		log_error("proof", "cannot read %s: %s", path, err_str(err));
		return err;
	}
	err = record_read_json(&identity->counter, &proof_counter_record,
	    (const char *)data, len, &arena, &error);
	if (err < 0) {
		log_error("proof", "%s is damaged: %s %s", path, error.field,
		    error.reason);
		err = ERR_CORRUPT;
	}
	arena_release(&arena);
	free(data);
	return err;
}

int
identity_open(struct identity **out, const char *folder, const char *tcti)
{
	if (tcti != NULL) {
		log_error("proof",
		    "class tpm is not built into this version: leave the "
		    "setting for the TPM (%s) empty to use a key file",
		    tcti);
		return ERR_UNAVAILABLE;
	}
	struct identity *identity = calloc(1, sizeof(*identity));

	if (identity == NULL)
		return ERR_NOMEM;
	identity->lock = -1;
	int err = 0;

	if (!text_copy(identity->folder, sizeof(identity->folder), folder)) {
		log_error("proof", "the name of the folder is too long");
		err = ERR_TOO_LARGE;
	}
	if (err == 0)
		err = open_folder(identity);
	if (err == 0)
		err = open_key(identity);
	if (err == 0)
		err = open_counter(identity);
	if (err < 0) {
		identity_close(identity);
		return err;
	}
	*out = identity;
	return 0;
}

void
identity_close(struct identity *identity)
{
	if (identity == NULL)
		return;
	if (identity->lock >= 0)
		close(identity->lock);
	sodium_free(identity->secret);
	free(identity);
}

void
identity_remove(const char *folder)
{
	static const char *const names[] = { KEY_FILE, COUNTER_FILE,
		LOCK_FILE };
	char path[PATH_MAX];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
		if (unlink(path) < 0 && errno != ENOENT)
			log_warn("proof", "cannot remove %s: %s", path,
			    strerror(errno));
	}
	if (rmdir(folder) < 0 && errno != ENOENT)
		log_warn("proof", "cannot remove %s: %s", folder,
		    strerror(errno));
}

enum proof_class
identity_class(const struct identity *identity)
{
	(void)identity;
	return PROOF_SOFTWARE;
}

size_t
identity_public(uint8_t out[PROOF_KEY_MAX], const struct identity *identity)
{
	/* libsodium keeps the public half behind the seed. */
	memcpy(out, identity->secret + 32, TOKEN_PUBLIC_BYTES);
	return TOKEN_PUBLIC_BYTES;
}

static void
read_boot_id(char out[40])
{
	uint8_t *data;
	size_t len;

	out[0] = '\0';
	/* Without /proc the clock alone shows a reset. */
	if (file_read(&data, &len, BOOT_ID_FILE, 64) < 0)
		return;
	text_copy_n(out, 40, (const char *)data,
	    strcspn((const char *)data, "\n"));
	free(data);
}

/* The next number, on the disk before anybody sees it. */
static int
take_counter(struct identity *identity)
{
	struct proof_counter next = identity->counter;
	struct buf text = { 0 };
	char path[PATH_MAX];
	char boot[40];

	read_boot_id(boot);
	next.counter++;
	next.clock_ms = clock_boottime_ms();
	if (identity->counter.counter > 0 &&
	    (next.clock_ms < identity->counter.clock_ms ||
		strcmp(boot, identity->counter.boot) != 0))
		next.resets++;
	text_copy(next.boot, sizeof(next.boot), boot);
	record_write_json(&text, &proof_counter_record, &next);
	buf_add_byte(&text, '\n');
	path_in(path, identity, COUNTER_FILE);
	int err = text.failed ? ERR_NOMEM
			      : file_write(path, text.data, text.len, 0600);

	buf_release(&text);
	if (err < 0) {
		log_error("proof", "cannot write %s: %s", path,
		    strerror(errno));
		return err;
	}
	identity->counter = next;
	return 0;
}

int
proof_make(struct proof *proof, struct identity *identity,
    const struct proof_subject *subject)
{
	uint8_t statement[STATEMENT_BYTES];
	int err = take_counter(identity);

	memset(proof, 0, sizeof(*proof));
	if (err < 0)
		return err;
	proof->class_ = PROOF_SOFTWARE;
	proof->counter = identity->counter.counter;
	proof->clock_ms = (uint64_t)identity->counter.clock_ms;
	proof->resets = identity->counter.resets;
	statement_write(statement, proof, subject);
	if (crypto_sign_detached(proof->signature, NULL, statement,
		sizeof(statement), identity->secret) != 0) {
		log_error("proof", "signing failed");
		return ERR_SYSTEM;
	}
	return 0;
}
