/*
 * The counter in a file of its own, one line that people can read:
 *
 *	leasehold-witness 1 SITE COUNTER
 *
 * Written whole or not at all, as all our files (shared/base/text.h).
 */
#include "appliance/ledger/witness_private.h"
#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/base/text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TITLE "leasehold-witness 1"
#define LINE_MAX_BYTES 256

struct witness_file {
	struct witness base; /* first */
	char path[512];
	char site[64];
	/** A count to this failed, maybe behind the moment in which the file
	 * had the new number: it is not counted again. 0: none did. */
	uint64_t unsure;
};

static int
file_failed(const struct witness_file *file, const char *verb, int err)
{
	log_error("witness", "cannot %s %s: %s", verb, file->path,
	    errno != 0 ? strerror(errno) : err_str(err));
	return err;
}

/* The title and the site, then the number, then the end. */
static int
parse(uint64_t *counter, const struct witness_file *file, const char *line,
    size_t len)
{
	char before[LINE_MAX_BYTES];
	int n = snprintf(before, sizeof before, TITLE " %s ", file->site);

	if (n < 0 || (size_t)n >= sizeof before || len <= (size_t)n ||
	    memcmp(line, before, (size_t)n) != 0 || line[len - 1] != '\n' ||
	    !text_to_u64(counter, line + n, len - (size_t)n - 1) ||
	    *counter == 0 || *counter >= UINT64_C(1) << 53)
		return ERR_CORRUPT;
	return 0;
}

static int
read_file(uint64_t *counter, struct witness *witness)
{
	const struct witness_file *file = (struct witness_file *)witness;
	uint8_t *data = NULL;
	size_t len = 0;

	errno = 0;
	int err = file_read(&data, &len, file->path, LINE_MAX_BYTES);

	if (err == ERR_NOT_FOUND)
		return err;
	if (err == ERR_TOO_LARGE)
		err = ERR_CORRUPT;
	if (err == 0)
		err = parse(counter, file, (const char *)data, len);
	free(data);
	return err == 0 ? 0 : file_failed(file, "read", err);
}

/* Who reads it goes on from what is there. */
static int
look_at_file(uint64_t *counter, struct witness *witness)
{
	struct witness_file *file = (struct witness_file *)witness;

	file->unsure = 0;
	return read_file(counter, witness);
}

static int
write_file(uint64_t *counter, struct witness *witness, uint64_t value)
{
	const struct witness_file *file = (struct witness_file *)witness;
	char line[LINE_MAX_BYTES];
	int len = snprintf(line, sizeof line, TITLE " %s %llu\n", file->site,
	    (unsigned long long)value);

	errno = 0;
	int err = file_write(file->path, line, (size_t)len, 0600);

	if (err != 0)
		return file_failed(file, "write", err);
	*counter = value;
	return 0;
}

static int
make_file(uint64_t *counter, struct witness *witness, uint64_t at_least)
{
	return write_file(counter, witness, at_least > 0 ? at_least : 1);
}

static int
increment_file(uint64_t *counter, struct witness *witness)
{
	struct witness_file *file = (struct witness_file *)witness;
	uint64_t before;
	int err = read_file(&before, witness);

	if (err != 0)
		return err;
	uint64_t next = before == file->unsure ? before : before + 1;

	err = write_file(counter, witness, next);
	file->unsure = err == 0 ? 0 : next;
	return err;
}

static int
clock_of_file(struct identity_clock *clock, struct witness *witness)
{
	(void)witness;
	*clock = (struct identity_clock){ 0 };
	return 0;
}

static int
retire_file(struct witness *witness)
{
	const struct witness_file *file = (struct witness_file *)witness;

	if (unlink(file->path) == 0 || errno == ENOENT)
		return 0;
	return file_failed(file, "remove", ERR_IO);
}

static uint64_t
base_of_file(const struct witness *witness)
{
	(void)witness;
	return 0;
}

static void
close_file(struct witness *witness)
{
	free(witness);
}

static const struct witness_kind kind = {
	.class_ = WITNESS_FILE,
	.read = look_at_file,
	.make = make_file,
	.increment = increment_file,
	.clock = clock_of_file,
	.retire = retire_file,
	.base = base_of_file,
	.close = close_file,
};

int
witness_open_file(struct witness **out, const char *folder, const char *site)
{
	struct witness_file *file = calloc(1, sizeof *file);

	if (file == NULL)
		return ERR_NOMEM;
	file->base.kind = &kind;
	int len =
	    snprintf(file->path, sizeof file->path, "%s/%s", folder, site);

	if (len < 0 || (size_t)len >= sizeof file->path ||
	    !text_copy(file->site, sizeof file->site, site)) {
		free(file);
		return ERR_TOO_LARGE;
	}
	snprintf(file->base.name, sizeof file->base.name, "the file %s",
	    file->path);
	*out = &file->base;
	return 0;
}
