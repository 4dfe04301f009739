/* The file that a backup is. */
#include "shared/backup/archive.h"
#include "shared/base/err.h"
#include "shared/base/text.h"
#include "tests/unit/suite.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static const char word[] = "correct horse";
static const struct archive_cost cheap = { 1, 8192 };

struct place {
	char folder[64];
	char path[96];
	char partial[112];
};

static struct place place;

/* A stick with FAT has no second names. */
static bool is_fat;

int
link(const char *from, const char *to)
{
	if (!is_fat)
		return linkat(AT_FDCWD, from, AT_FDCWD, to, 0);
	errno = EPERM;
	return -1;
}

static void
setup(void)
{
	strcpy(place.folder, "/tmp/check_backup.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(place.folder));
	snprintf(place.path, sizeof(place.path), "%s/site.backup",
	    place.folder);
	snprintf(place.partial, sizeof(place.partial), "%s.partial",
	    place.path);
}

static void
teardown(void)
{
	unlink(place.path);
	unlink(place.partial);
	ck_assert_int_eq(rmdir(place.folder), 0);
}

static struct archive_tenant tenants[2] = {
	{ .tenant = "default", .generation = 1, .batch = 7, .rows = 20 },
	{ .tenant = "mercedes", .generation = 2, .batch = 3, .rows = 9 },
};

static struct archive_header
header_of(void)
{
	return (struct archive_header){
		.site = "site-abc",
		.name = "Stuttgart",
		.software = "leaseholdd 1",
		.made_at = 1000,
		.whole = true,
		.tenants = { tenants, 2 },
	};
}

/* A part, three pieces of data, the end. */
static void
make(void)
{
	struct archive_header header = header_of();
	struct archive_writer *writer;
	uint8_t data[300];

	ck_assert_int_eq(archive_create(&writer, place.path, &header, word,
			     strlen(word), &cheap),
	    0);
	ck_assert_int_eq(archive_put(writer, ARCHIVE_PART, "part", 4), 0);
	for (int i = 0; i < 3; i++) {
		memset(data, i, sizeof(data));
		ck_assert_int_eq(archive_put(writer, ARCHIVE_DATA, data,
				     sizeof(data)),
		    0);
	}
	tenants[0].batch = 8;
	ck_assert_int_eq(archive_finish(writer, &header), 0);
}

struct outcome {
	int err;
	unsigned int items;
	char error[200];
};

static struct outcome
read_from(FILE *file, const char *passphrase)
{
	struct outcome out = { 0 };
	struct archive_reader *reader;
	struct record_span data;
	enum archive_item item = ARCHIVE_PART;

	out.err = archive_open(&reader, file);
	if (out.err == 0)
		out.err =
		    archive_unlock(reader, passphrase, strlen(passphrase));
	while (out.err == 0 && item != ARCHIVE_END) {
		out.err = archive_next(&item, &data, reader);
		out.items += out.err == 0;
	}
	text_copy(out.error, sizeof(out.error), archive_error(reader));
	archive_close(reader);
	return out;
}

static struct outcome
read_bytes(const uint8_t *bytes, size_t len)
{
	FILE *file = fmemopen((void *)(uintptr_t)bytes, len, "r");

	ck_assert_ptr_nonnull(file);
	struct outcome out = read_from(file, word);

	fclose(file);
	return out;
}

static uint8_t *
made_bytes(size_t *len)
{
	uint8_t *bytes;

	make();
	ck_assert_int_eq(file_read(&bytes, len, place.path, 1 << 20), 0);
	return bytes;
}

/* Where the frames begin: behind magic and header. */
static size_t
first_frame(const uint8_t *bytes)
{
	return 19 + 4 + be32_read(bytes + 19);
}

static size_t
frame_after(const uint8_t *bytes, size_t at)
{
	return at + 12 + be32_read(bytes + at);
}

START_TEST(what_was_written_is_read)
{
	struct archive_reader *reader;
	struct record_span data;
	enum archive_item item;
	struct stat st;

	make();
	ck_assert_int_eq(stat(place.path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0600);
	ck_assert_int_ne(access(place.partial, F_OK), 0);
	FILE *file = fopen(place.path, "r");

	ck_assert_int_eq(archive_open(&reader, file), 0);
	const struct archive_header *header = archive_header(reader);
	const struct archive_tenant *tenant = header->tenants.items;

	ck_assert_str_eq(header->site, "site-abc");
	ck_assert_uint_eq(header->tenants.count, 2);
	/* As it was at the end, not at the beginning. */
	ck_assert_uint_eq(tenant[0].batch, 8);
	ck_assert_str_eq(tenant[1].tenant, "mercedes");
	ck_assert_int_eq(archive_unlock(reader, word, strlen(word)), 0);
	ck_assert_int_eq(archive_next(&item, &data, reader), 0);
	ck_assert_int_eq(item, ARCHIVE_PART);
	ck_assert_mem_eq(data.data, "part", 4);
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(archive_next(&item, &data, reader), 0);
		ck_assert_int_eq(item, ARCHIVE_DATA);
		ck_assert_uint_eq(data.len, 300);
		ck_assert_int_eq(((const uint8_t *)data.data)[299], i);
	}
	ck_assert_int_eq(archive_next(&item, &data, reader), 0);
	ck_assert_int_eq(item, ARCHIVE_END);
	ck_assert_int_eq(archive_next(&item, &data, reader), ERR_CORRUPT);
	archive_close(reader);
	fclose(file);
}
END_TEST

START_TEST(another_passphrase_is_named_as_such)
{
	make();
	FILE *file = fopen(place.path, "r");
	struct outcome out = read_from(file, "wrong horse");

	fclose(file);
	ck_assert_int_eq(out.err, ERR_FORBIDDEN);
	ck_assert_ptr_nonnull(strstr(out.error, "another passphrase"));
}
END_TEST

START_TEST(a_file_that_was_cut_off_anywhere_is_refused)
{
	size_t len;
	uint8_t *bytes = made_bytes(&len);
	size_t frames = first_frame(bytes);

	for (size_t cut = 1; cut < len; cut++) {
		/* The blanks of the header: a few of them tell for all. */
		if (cut > 30 && cut < frames - 3 && cut % 97 != 0)
			continue;
		struct outcome out = read_bytes(bytes, cut);

		ck_assert_msg(out.err == ERR_CORRUPT, "cut at %zu: %d %s", cut,
		    out.err, out.error);
		ck_assert_msg(strstr(out.error, "cut off") != NULL,
		    "cut at %zu: %s", cut, out.error);
	}
	free(bytes);
}
END_TEST

START_TEST(a_byte_that_was_changed_anywhere_is_found)
{
	size_t len;
	uint8_t *bytes = made_bytes(&len);
	size_t frames = first_frame(bytes);

	for (size_t at = 0; at < len; at++) {
		if (at > 30 && at < frames && at % 13 != 0)
			continue;
		bytes[at] ^= 1;
		struct outcome out = read_bytes(bytes, len);

		bytes[at] ^= 1;
		ck_assert_msg(out.err != 0, "byte %zu", at);
		ck_assert_msg(out.error[0] != '\0', "byte %zu", at);
		if (at >= frames)
			ck_assert_msg(out.err == ERR_CORRUPT, "byte %zu", at);
	}
	free(bytes);
}
END_TEST

START_TEST(frames_that_changed_places_are_named)
{
	size_t len;
	uint8_t *bytes = made_bytes(&len);
	size_t part = first_frame(bytes);
	size_t one = frame_after(bytes, part), two = frame_after(bytes, one);
	size_t each = two - one;
	uint8_t *swapped = malloc(len);

	memcpy(swapped, bytes, len);
	memcpy(swapped + one, bytes + two, each);
	memcpy(swapped + two, bytes + one, each);
	struct outcome out = read_bytes(swapped, len);

	ck_assert_int_eq(out.err, ERR_CORRUPT);
	ck_assert_str_eq(out.error,
	    "frames are missing or out of order: number 2 stands where 1 is "
	    "due");
	/* With their numbers set right, what is in them tells. */
	be64_write(swapped + one + 4, 1);
	be64_write(swapped + two + 4, 2);
	out = read_bytes(swapped, len);
	ck_assert_int_eq(out.err, ERR_CORRUPT);
	ck_assert_ptr_nonnull(strstr(out.error, "frame 1 was changed"));
	/* One is left out. */
	memcpy(swapped, bytes, two);
	memcpy(swapped + two, bytes + two + each, len - two - each);
	out = read_bytes(swapped, len - each);
	ck_assert_ptr_nonnull(strstr(out.error, "number 3 stands where 2"));
	free(swapped);
	free(bytes);
}
END_TEST

START_TEST(bytes_behind_the_end_are_refused)
{
	size_t len;
	uint8_t *bytes = made_bytes(&len);
	uint8_t *longer = calloc(1, len + 1);

	memcpy(longer, bytes, len);
	struct outcome out = read_bytes(longer, len + 1);

	ck_assert_int_eq(out.err, ERR_CORRUPT);
	ck_assert_ptr_nonnull(strstr(out.error, "behind its end"));
	free(longer);
	free(bytes);
}
END_TEST

START_TEST(a_header_that_tells_another_story_is_found_at_the_end)
{
	size_t len;
	uint8_t *bytes = made_bytes(&len);
	char *name = memmem(bytes, len, "mercedes", 8);

	ck_assert_ptr_nonnull(name);
	memcpy(name, "daimlers", 8);
	struct outcome out = read_bytes(bytes, len);

	ck_assert_int_eq(out.err, ERR_CORRUPT);
	ck_assert_ptr_nonnull(strstr(out.error, "its header was changed"));
	ck_assert_uint_eq(out.items, 4);
	free(bytes);
}
END_TEST

START_TEST(a_file_that_asks_for_too_much_memory_is_refused)
{
	size_t len;
	uint8_t *bytes = made_bytes(&len);
	char *memory = memmem(bytes, len, "\"memory\":8192", 13);

	ck_assert_ptr_nonnull(memory);
	memcpy(memory, "\"memory\":9e99", 13);
	ck_assert_int_eq(read_bytes(bytes, len).err, ERR_BAD_REQUEST);
	/* Blanks behind the header are there to be used. */
	memmove(memory + 20, memory + 13, 200);
	memcpy(memory, "\"memory\":10737418240", 20);
	struct outcome out = read_bytes(bytes, len);

	ck_assert_int_eq(out.err, ERR_BAD_REQUEST);
	ck_assert_ptr_nonnull(strstr(out.error, "memory"));
	free(bytes);
}
END_TEST

START_TEST(what_is_no_backup_is_told_from_one_that_is_damaged)
{
	struct outcome out = read_bytes((const uint8_t *)"PK\3\4....", 8);

	ck_assert_int_eq(out.err, ERR_BAD_REQUEST);
	ck_assert_ptr_nonnull(strstr(out.error, "no backup"));
	out = read_bytes((const uint8_t *)"leasehold-backup 2\nabcdefg", 26);
	ck_assert_int_eq(out.err, ERR_BAD_REQUEST);
	ck_assert_ptr_nonnull(strstr(out.error, "another version"));
	static const uint8_t zeros[64];

	out = read_bytes(zeros, sizeof(zeros));
	ck_assert_int_eq(out.err, ERR_BAD_REQUEST);
	ck_assert_ptr_nonnull(strstr(out.error, "interrupted"));
}
END_TEST

START_TEST(a_file_that_is_there_is_not_replaced)
{
	struct archive_header header = header_of();
	struct archive_writer *writer;

	make();
	ck_assert_int_eq(archive_create(&writer, place.path, &header, word,
			     strlen(word), &cheap),
	    ERR_CONFLICT);
	/* Nor one that came meanwhile. */
	unlink(place.path);
	ck_assert_int_eq(archive_create(&writer, place.path, &header, word,
			     strlen(word), &cheap),
	    0);
	ck_assert_int_eq(file_write(place.path, "x", 1, 0600), 0);
	ck_assert_int_eq(archive_finish(writer, &header), ERR_CONFLICT);
	ck_assert_int_ne(access(place.partial, F_OK), 0);
}
END_TEST

START_TEST(nor_is_one_on_a_stick)
{
	struct archive_header header = header_of();
	struct archive_writer *writer;
	uint8_t *data;
	size_t len;

	is_fat = true;
	make();
	ck_assert_int_eq(access(place.path, F_OK), 0);
	ck_assert_int_ne(access(place.partial, F_OK), 0);
	unlink(place.path);
	ck_assert_int_eq(archive_create(&writer, place.path, &header, word,
			     strlen(word), &cheap),
	    0);
	ck_assert_int_eq(file_write(place.path, "x", 1, 0600), 0);
	ck_assert_int_eq(archive_finish(writer, &header), ERR_CONFLICT);
	ck_assert_int_eq(file_read(&data, &len, place.path, 4096), 0);
	ck_assert_uint_eq(len, 1);
	free(data);
	ck_assert_int_ne(access(place.partial, F_OK), 0);
	is_fat = false;
}
END_TEST

START_TEST(nothing_is_left_of_one_that_was_given_up)
{
	struct archive_header header = header_of();
	struct archive_writer *writer;

	ck_assert_int_eq(archive_create(&writer, place.path, &header, word,
			     strlen(word), &cheap),
	    0);
	ck_assert_int_eq(access(place.partial, F_OK), 0);
	ck_assert_int_ne(access(place.path, F_OK), 0);
	archive_cancel(writer);
	ck_assert_int_ne(access(place.partial, F_OK), 0);
}
END_TEST

START_TEST(a_short_passphrase_is_refused)
{
	struct archive_header header = header_of();
	struct archive_writer *writer;

	ck_assert_int_eq(archive_create(&writer, place.path, &header, "1234567",
			     7, &cheap),
	    ERR_BAD_REQUEST);
}
END_TEST

/* A limit of the process stands for the disk. */
START_TEST(a_full_disk_is_one_error_and_leaves_nothing)
{
	struct archive_header header = header_of();
	struct archive_writer *writer;
	struct rlimit limit;
	static uint8_t data[65536];
	int rc = 0;

	signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = 100000;
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	ck_assert_int_eq(archive_create(&writer, place.path, &header, word,
			     strlen(word), &cheap),
	    0);
	for (int i = 0; i < 4 && rc == 0; i++)
		rc = archive_put(writer, ARCHIVE_DATA, data, sizeof(data));
	ck_assert_int_eq(rc, ERR_FULL);
	/* Whoever goes on gets the same again, not a file with a hole. */
	ck_assert_int_eq(archive_finish(writer, &header), ERR_FULL);
	ck_assert_int_ne(access(place.path, F_OK), 0);
	ck_assert_int_ne(access(place.partial, F_OK), 0);
}
END_TEST

Suite *
suite(void)
{
	Suite *s = suite_create("backup");
	TCase *archive = tcase_create("archive");

	tcase_add_checked_fixture(archive, setup, teardown);
	tcase_set_timeout(archive, 60);
	tcase_add_test(archive, what_was_written_is_read);
	tcase_add_test(archive, another_passphrase_is_named_as_such);
	tcase_add_test(archive, a_file_that_was_cut_off_anywhere_is_refused);
	tcase_add_test(archive, a_byte_that_was_changed_anywhere_is_found);
	tcase_add_test(archive, frames_that_changed_places_are_named);
	tcase_add_test(archive, bytes_behind_the_end_are_refused);
	tcase_add_test(archive,
	    a_header_that_tells_another_story_is_found_at_the_end);
	tcase_add_test(archive,
	    a_file_that_asks_for_too_much_memory_is_refused);
	tcase_add_test(archive,
	    what_is_no_backup_is_told_from_one_that_is_damaged);
	tcase_add_test(archive, a_file_that_is_there_is_not_replaced);
	tcase_add_test(archive, nor_is_one_on_a_stick);
	tcase_add_test(archive, nothing_is_left_of_one_that_was_given_up);
	tcase_add_test(archive, a_short_passphrase_is_refused);
	tcase_add_test(archive, a_full_disk_is_one_error_and_leaves_nothing);
	suite_add_tcase(s, archive);
	return s;
}
