/*
 * Backups of strangers. The first byte picks what is tried: a file of any
 * bytes; a true file that is changed, cut and lengthened at will, and must not
 * be read to its end then; a dump in pieces of any size.
 */
#include "tests/fuzz/fuzz.h"

#include "shared/backup/archive.h"
#include "shared/backup/dump.h"
#include "shared/base/text.h"

#include <sodium.h>
#include <unistd.h>

static const char word[] = "correct horse";

/* Made once: that takes its own file. */
static uint8_t *
true_file(size_t *len)
{
	static uint8_t *bytes;
	static size_t bytes_len;
	struct archive_tenant tenant = { .tenant = "default" };
	const struct archive_cost cheap = { 1, 8192 };
	struct archive_header header = { .site = "site-a",
		.software = "fuzz",
		.tenants = { &tenant, 1 } };
	struct archive_writer *writer;
	char path[64];

	if (bytes == NULL) {
		fuzz_must(sodium_init() >= 0);
		snprintf(path, sizeof(path), "/tmp/fuzz_backup.%d",
		    (int)getpid());
		fuzz_must(archive_create(&writer, path, &header, word,
			      sizeof(word) - 1, &cheap) == 0);
		fuzz_must(archive_put(writer, ARCHIVE_PART, "part", 4) == 0);
		fuzz_must(archive_put(writer, ARCHIVE_DATA, "data", 4) == 0);
		fuzz_must(archive_finish(writer, &header) == 0);
		fuzz_must(file_read(&bytes, &bytes_len, path, 1 << 20) == 0);
		unlink(path);
	}
	*len = bytes_len;
	return bytes;
}

/* Is it read to its end? */
static bool
read_file(const uint8_t *data, size_t len)
{
	struct archive_reader *reader;
	struct record_span span;
	enum archive_item item = ARCHIVE_PART;
	bool ended = false;
	FILE *file = fmemopen((void *)(uintptr_t)data, len, "r");

	if (file == NULL)
		return false;
	int rc = archive_open(&reader, file);
	const struct archive_header *header = archive_header(reader);

	/* What it costs is bounded, but not for millions of runs. */
	if (rc == 0 && header->memory <= 65536 && header->passes == 1)
		rc = archive_unlock(reader, word, sizeof(word) - 1);
	while (rc == 0 && !ended) {
		rc = archive_next(&item, &span, reader);
		ended = rc == 0 && item == ARCHIVE_END;
	}
	fuzz_must((archive_error(reader)[0] != '\0') == (rc != 0));
	archive_close(reader);
	fclose(file);
	return ended;
}

static void
change(const uint8_t *data, size_t size)
{
	struct fuzz_input input = { data, size };
	size_t len;
	uint8_t *bytes = true_file(&len);
	uint8_t *changed = malloc(2 * len);
	size_t changed_len = len;

	fuzz_must(changed != NULL);
	memcpy(changed, bytes, len);
	while (input.size >= 4) {
		size_t at = (size_t)fuzz_byte(&input) << 8 | fuzz_byte(&input);
		uint8_t how = fuzz_byte(&input), value = fuzz_byte(&input);

		if (how % 8 == 0)
			changed_len = at % (len + 16);
		else if (how % 8 == 1 && at + value <= len)
			memmove(changed + at, bytes + (at + how) % (len - 255),
			    value);
		else
			changed[at % len] ^= value;
	}
	if (changed_len > len)
		memset(changed + len, 0, changed_len - len);
	bool same = changed_len == len && memcmp(changed, bytes, len) == 0;

	fuzz_must(read_file(changed, changed_len) == same);
	free(changed);
}

struct told {
	uint64_t tables, entries;
};

static int
told_table(void *ctx, const char *name)
{
	struct told *told = ctx;

	fuzz_must(strlen(name) > 0 && strlen(name) <= DUMP_NAME_MAX);
	told->tables++;
	return 0;
}

static int
told_entry(void *ctx, const void *key, size_t key_len, const void *value,
    size_t value_len)
{
	struct told *told = ctx;
	volatile uint8_t last;

	fuzz_must(told->tables > 0 && key_len > 0 && key_len <= DUMP_KEY_MAX);
	last = ((const uint8_t *)key)[key_len - 1];
	if (value_len > 0)
		last = ((const uint8_t *)value)[value_len - 1];
	(void)last;
	told->entries++;
	return 0;
}

static void
read_dump(const uint8_t *data, size_t size)
{
	static const char magic[] = "leasehold-dump 1\n";
	struct told told = { 0 };
	const struct dump_callbacks callbacks = { &told, told_table,
		told_entry };
	struct dump_reader *reader = dump_reader_new(&callbacks);
	struct fuzz_input input = { data, size };
	const uint8_t *piece;

	fuzz_must(reader != NULL);
	size_t step = (size_t)fuzz_byte(&input) + 1;
	int rc = dump_feed(reader, magic, sizeof(magic) - 1);

	while (rc == 0 && input.size > 0) {
		size_t n = fuzz_take(&piece, &input, step);

		rc = dump_feed(reader, piece, n);
	}
	fuzz_must(told.entries == dump_entries(reader));
	if (rc == 0)
		rc = dump_finish(reader);
	fuzz_must((rc == 0) == (dump_error(reader)[0] == '\0'));
	dump_reader_free(reader);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	if (data[0] % 3 == 0)
		read_file(data + 1, size - 1);
	else if (data[0] % 3 == 1)
		change(data + 1, size - 1);
	else
		read_dump(data + 1, size - 1);
	return 0;
}
