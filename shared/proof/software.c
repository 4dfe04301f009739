/*
 * Class `software` and `assigned`; see software.h. What counts is on the disk
 * before a proof leaves, so that a crash never makes the same number twice; a
 * restored backup does, and the verifier sees it. The clock is CLOCK_BOOTTIME;
 * a new boot id or a clock that went back counts as a reset.
 */
#include "shared/proof/software.h"

#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/base/text.h"
#include "shared/proof/statement.h"
#include "shared/token/token.h"

#include <errno.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BOOT_ID_FILE "/proc/sys/kernel/random/boot_id"
#define SOFTWARE_COUNTER_FILE_MAX 1024

/* SOFTWARE_COUNTER_FILE */
struct proof_counter {
	uint64_t counter; /* raised by returns */
	uint64_t sequence; /* of the last proof */
	uint64_t resets;
	int64_t clock_ms; /* at the last proof */
	char boot[40]; /* the kernel's boot id then */
};

static const struct record_field proof_counter_fields[] = {
	R_U64(proof_counter, counter, 1, U53_MAX, 0, "Raised by returns."),
	R_U64(proof_counter, sequence, 0, U53_MAX, RECORD_OPTIONAL,
	    "Number of the last proof."),
	R_U64(proof_counter, resets, 0, U53_MAX, 0,
	    "How often the clock began anew."),
	R_I64(proof_counter, clock_ms, 0, INT64_MAX >> 10, 0,
	    "CLOCK_BOOTTIME at the last proof."),
	R_TEXT(proof_counter, boot, 0, 39, RECORD_OPTIONAL,
	    "The kernel's boot id then."),
};
static RECORD_DEFINE(proof_counter, 2, "Counter of a software identity.");

struct software {
	const char *folder;
	enum proof_class class_;
	uint8_t *secret; /* sodium_malloc'd */
	struct proof_counter counter;
};

static void
path_in(char out[PATH_MAX], const struct software *software, const char *name)
{
	snprintf(out, PATH_MAX, "%s/%s", software->folder, name);
}

/* --- opening -------------------------------------------------------------- */

/* A key that was handed over is there, or it is an error: making another
 * would be a device that nobody approved. */
static int
open_key(struct software *software, const char *key_file)
{
	char path[PATH_MAX];

	software->secret = sodium_malloc(TOKEN_SECRET_BYTES);
	if (software->secret == NULL)
		return ERR_NOMEM;
	if (key_file == NULL)
		path_in(path, software, SOFTWARE_KEY_FILE);
	else if (!text_copy(path, sizeof(path), key_file))
		return ERR_TOO_LARGE;
	int err = token_key_read(software->secret, path);

	if (err == ERR_NOT_FOUND && key_file == NULL)
		err = token_key_create(software->secret, path);
	if (err < 0) {
		log_error("proof", "the device's key %s: %s", path,
		    err == ERR_FORBIDDEN ? "others can read it (want mode 0600)"
					 : err_str(err));
		return err;
	}
	sodium_mprotect_readonly(software->secret);
	return 0;
}

/* Files of before there were two numbers had the sequence alone, under the
 * name of counter. */
static void
upgrade(struct proof_counter *counter)
{
	if (counter->sequence == 0)
		counter->sequence = counter->counter;
}

/* A container that is thrown away keeps no file: with a key that was handed
 * over the numbers go on from the wall clock, above those of its last life. */
static void
begin_counter(struct software *software)
{
	software->counter.counter = 1;
	if (software->class_ == PROOF_ASSIGNED)
		software->counter.sequence = (uint64_t)clock_wall_ms();
}

static int
open_counter(struct software *software)
{
	char path[PATH_MAX];
	uint8_t *data;
	size_t len;
	struct arena arena = { .max_bytes = SOFTWARE_COUNTER_FILE_MAX };
	struct record_error error;

	path_in(path, software, SOFTWARE_COUNTER_FILE);
	int err = file_read(&data, &len, path, SOFTWARE_COUNTER_FILE_MAX);

	if (err == ERR_NOT_FOUND) { /* a new key has made no proof yet */
		begin_counter(software);
		return 0;
	}
	if (err < 0) {
		log_error("proof", "cannot read %s: %s", path, err_str(err));
		return err;
	}
	err = record_read_json(&software->counter, &proof_counter_record,
	    (const char *)data, len, &arena, &error);
	if (err < 0) {
		log_error("proof", "%s is damaged: %s %s", path, error.field,
		    error.reason);
		err = ERR_CORRUPT;
	}
	upgrade(&software->counter);
	arena_release(&arena);
	free(data);
	return err;
}

int
software_open(struct software **out, const char *folder,
    enum proof_class class_, const char *key_file)
{
	struct software *software = calloc(1, sizeof(*software));

	if (software == NULL)
		return ERR_NOMEM;
	software->folder = folder;
	software->class_ = class_;
	int err = open_key(software, key_file);

	if (err == 0)
		err = open_counter(software);
	if (err < 0) {
		software_close(software);
		return err;
	}
	*out = software;
	return 0;
}

void
software_close(struct software *software)
{
	if (software == NULL)
		return;
	sodium_free(software->secret);
	free(software);
}

void
software_public(uint8_t out[PROOF_KEY_BYTES_SOFTWARE],
    const struct software *software)
{
	/* libsodium keeps the public half behind the seed. */
	memcpy(out, software->secret + 32, PROOF_KEY_BYTES_SOFTWARE);
}

/* --- counter and clock ---------------------------------------------------- */

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

/* What the next file says of the clock. The first one has nothing to compare
 * with. */
static void
read_clock(struct proof_counter *next, const struct proof_counter *last)
{
	read_boot_id(next->boot);
	next->clock_ms = clock_boottime_ms();
	if (last->clock_ms > 0 &&
	    (next->clock_ms < last->clock_ms ||
		strcmp(next->boot, last->boot) != 0))
		next->resets++;
}

/* On the disk before anybody sees it. */
static int
keep_counter(struct software *software, const struct proof_counter *next)
{
	struct buf text = { 0 };
	char path[PATH_MAX];

	record_write_json(&text, &proof_counter_record, next);
	buf_add_byte(&text, '\n');
	path_in(path, software, SOFTWARE_COUNTER_FILE);
	int err = text.failed ? ERR_NOMEM
			      : file_write(path, text.data, text.len, 0600);

	buf_release(&text);
	if (err < 0) {
		log_error("proof", "cannot write %s: %s", path,
		    strerror(errno));
		return err;
	}
	software->counter = *next;
	return 0;
}

uint64_t
software_counter(const struct software *software)
{
	return software->counter.counter;
}

int
software_counter_raise(struct software *software, uint64_t to)
{
	struct proof_counter next = software->counter;

	if (next.counter == to)
		return 0;
	if (next.counter + 1 != to || to > U53_MAX)
		return ERR_CONFLICT;
	next.counter = to;
	read_clock(&next, &software->counter);
	return keep_counter(software, &next);
}

void
software_clock(struct identity_clock *clock, const struct software *software)
{
	struct proof_counter now = software->counter;

	read_clock(&now, &software->counter);
	*clock = (struct identity_clock){
		.clock_ms = (uint64_t)now.clock_ms,
		.resets = now.resets,
	};
}

/* --- proofs --------------------------------------------------------------- */

int
software_make(struct proof *proof, struct software *software,
    const struct proof_subject *subject)
{
	uint8_t statement[STATEMENT_BYTES];
	struct proof_counter next = software->counter;

	next.sequence++;
	read_clock(&next, &software->counter);
	int err = keep_counter(software, &next);

	if (err < 0)
		return err;
	proof->class_ = software->class_;
	proof->counter = next.counter;
	proof->sequence = next.sequence;
	proof->clock_ms = (uint64_t)next.clock_ms;
	proof->resets = next.resets;
	statement_write(statement, proof, subject);
	if (crypto_sign_detached(proof->signature, NULL, statement,
		sizeof(statement), software->secret) != 0) {
		log_error("proof", "signing failed");
		return ERR_SYSTEM;
	}
	return 0;
}
