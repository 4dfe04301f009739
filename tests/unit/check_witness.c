/* The file that witnesses the site's counter: what a disk that fails for a
 * moment leaves of it. */
#include "appliance/ledger/witness.h"

#include "shared/base/err.h"
#include "tests/unit/suite.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SITE "site-x"

static char folder[64];
static struct witness *witness;
/* Calls of fsync until one fails; below zero: none does. */
static int fsync_fails_in = -1;

/* In place of libc's: our files are written by it. */
int
fsync(int fd)
{
	if (fsync_fails_in >= 0 && fsync_fails_in-- == 0) {
		errno = EIO;
		return -1;
	}
	return (int)syscall(SYS_fsync, fd);
}

static void
setup(void)
{
	uint64_t counter;

	snprintf(folder, sizeof folder, "/tmp/witness-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	ck_assert_int_eq(witness_open_file(&witness, folder, SITE), 0);
	ck_assert_int_eq(witness_make(&counter, witness, 7), 0);
	ck_assert_uint_eq(counter, 7);
}

static void
teardown(void)
{
	char path[128];

	witness_close(witness);
	snprintf(path, sizeof path, "%s/" SITE, folder);
	unlink(path);
	rmdir(folder);
}

/* The first fsync is of the new file, the second of its folder: by then it has
 * the new number, and the tick that is tried again is the same. */
START_TEST(count_that_was_cut_off_is_not_counted_twice)
{
	uint64_t counter = 0;

	for (int at = 0; at < 2; at++) {
		uint64_t before;

		ck_assert_int_eq(witness_read(&before, witness), 0);
		fsync_fails_in = at;
		ck_assert_int_eq(witness_increment(&counter, witness), ERR_IO);
		fsync_fails_in = at;
		ck_assert_int_eq(witness_increment(&counter, witness), ERR_IO);
		fsync_fails_in = -1;
		ck_assert_int_eq(witness_increment(&counter, witness), 0);
		ck_assert_uint_eq(counter, before + 1);
		ck_assert_int_eq(witness_increment(&counter, witness), 0);
		ck_assert_uint_eq(counter, before + 2);
	}
}
END_TEST

START_TEST(count_goes_on_from_what_was_read)
{
	uint64_t counter = 0;

	fsync_fails_in = 1;
	ck_assert_int_eq(witness_increment(&counter, witness), ERR_IO);
	ck_assert_int_eq(witness_read(&counter, witness), 0);
	ck_assert_uint_eq(counter, 8);
	ck_assert_int_eq(witness_increment(&counter, witness), 0);
	ck_assert_uint_eq(counter, 9);
}
END_TEST

/* Somebody else counts with the same file: that shows as before. */
START_TEST(another_that_counts_shows)
{
	struct witness *other;
	uint64_t counter = 0;

	fsync_fails_in = 0;
	ck_assert_int_eq(witness_increment(&counter, witness), ERR_IO);
	fsync_fails_in = -1;
	ck_assert_int_eq(witness_increment(&counter, witness), 0);
	ck_assert_uint_eq(counter, 8);
	ck_assert_int_eq(witness_open_file(&other, folder, SITE), 0);
	ck_assert_int_eq(witness_increment(&counter, other), 0);
	ck_assert_uint_eq(counter, 9);
	witness_close(other);
	ck_assert_int_eq(witness_increment(&counter, witness), 0);
	ck_assert_uint_eq(counter, 10);
}
END_TEST

Suite *
suite(void)
{
	Suite *s = suite_create("witness");
	TCase *tc = tcase_create("file");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, count_that_was_cut_off_is_not_counted_twice);
	tcase_add_test(tc, count_goes_on_from_what_was_read);
	tcase_add_test(tc, another_that_counts_shows);
	suite_add_tcase(s, tc);
	return s;
}
