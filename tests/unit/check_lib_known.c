/* Kept headers: they move forward, and outlive the process. */
#include "agent/lib/known.h"
#include "shared/base/err.h"
#include "shared/base/text.h"
#include "tests/unit/suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* --- kept headers ----------------------------------------------------------
 */

static char folder[64];
static const uint8_t root_1[32] = { 1 }, root_2[32] = { 2 };

static void
setup_folder(void)
{
	text_copy(folder, sizeof(folder), "/tmp/check-known-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
}

static void
teardown_folder(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf '%s'", folder);
	ck_assert_int_eq(system(command), 0);
}

static struct known *
open_known(const uint8_t root[32])
{
	char path[96];
	struct known *known;

	/* Folders that are not there yet are made. */
	snprintf(path, sizeof(path), "%s/a/b", folder);
	ck_assert_int_eq(known_open(&known, path, root), 0);
	return known;
}

static struct journal_known
header_of(uint64_t batch, uint8_t head)
{
	struct journal_known header = { .batch = batch };

	memset(header.head, head, 32);
	memset(header.history, 9, 32);
	return header;
}

static uint64_t
kept_batch(struct known *known, const char *tenant)
{
	struct journal_known kept, floor;

	known_get(&kept, &floor, known, "site-1", tenant);
	return kept.batch;
}

START_TEST(kept_header_is_there_for_the_next_process)
{
	struct known *known = open_known(root_1);
	struct journal_known header = header_of(7, 1), kept, floor;

	ck_assert_int_eq(known_put(known, "site-1", "default", &header), 0);
	known_close(known);
	known = open_known(root_1);
	known_get(&kept, &floor, known, "site-1", "default");
	ck_assert_mem_eq(&kept, &header, sizeof(kept));
	ck_assert_mem_eq(&floor, &header, sizeof(floor));
	/* Another tenant's, and another vendor's, is not known by it. */
	ck_assert_uint_eq(kept_batch(known, "other"), 0);
	known_close(known);
	known = open_known(root_2);
	ck_assert_uint_eq(kept_batch(known, "default"), 0);
	known_close(known);
}
END_TEST

START_TEST(older_header_never_replaces_a_newer)
{
	struct known *known = open_known(root_1);
	struct known *other = open_known(root_1);
	struct journal_known header = header_of(7, 1);

	ck_assert_int_eq(known_put(known, "site-1", "default", &header), 0);
	header = header_of(5, 1);
	ck_assert_int_eq(known_put(known, "site-1", "default", &header), 0);
	ck_assert_uint_eq(kept_batch(known, "default"), 7);
	/* Nor through a process that has not seen the newer one. */
	ck_assert_int_eq(known_put(other, "site-1", "default", &header), 0);
	ck_assert_uint_eq(kept_batch(other, "default"), 7);
	known_close(known);
	known_close(other);
	known = open_known(root_1);
	ck_assert_uint_eq(kept_batch(known, "default"), 7);
	known_close(known);
}
END_TEST

START_TEST(two_heads_of_one_batch_are_a_fork)
{
	struct known *known = open_known(root_1);
	struct known *other = open_known(root_1);
	struct journal_known header = header_of(7, 1);

	ck_assert_int_eq(known_put(known, "site-1", "default", &header), 0);
	header = header_of(7, 2);
	ck_assert_int_eq(known_put(known, "site-1", "default", &header),
	    ERR_FORK);
	ck_assert_int_eq(known_put(other, "site-1", "default", &header),
	    ERR_FORK);
	known_close(known);
	known_close(other);
}
END_TEST

START_TEST(beat_raises_the_floor_alone)
{
	struct known *known = open_known(root_1);
	struct journal_known header = header_of(7, 1), kept, floor;

	ck_assert_int_eq(known_put(known, "site-1", "default", &header), 0);
	header = header_of(9, 3);
	ck_assert_int_eq(known_see(known, "site-1", "default", 1, 9,
			     header.head),
	    0);
	header = header_of(9, 4);
	ck_assert_int_eq(known_see(known, "site-1", "default", 1, 9,
			     header.head),
	    ERR_FORK);
	known_get(&kept, &floor, known, "site-1", "default");
	ck_assert_uint_eq(kept.batch, 7);
	ck_assert_uint_eq(floor.batch, 9);
	known_close(known);
}
END_TEST

/* The site's store was put back, and its admin acknowledged it: what was seen
 * of the branch that is lost is not waited for. */
START_TEST(later_generation_replaces_whatever_was_seen)
{
	struct known *known = open_known(root_1);
	struct known *other = open_known(root_1);
	struct journal_known header = header_of(9, 1), kept, floor;

	ck_assert_int_eq(known_put(known, "site-1", "default", &header), 0);
	header = header_of(5, 2);
	header.generation = 2;
	ck_assert_int_eq(known_put(known, "site-1", "default", &header), 0);
	ck_assert_uint_eq(kept_batch(known, "default"), 5);
	ck_assert_uint_eq(kept_batch(other, "default"), 5);
	/* The lost branch is no fork of it, and does not come back. */
	header = header_of(5, 1);
	ck_assert_int_eq(known_put(other, "site-1", "default", &header), 0);
	header = header_of(12, 1);
	ck_assert_int_eq(known_put(known, "site-1", "default", &header), 0);
	ck_assert_int_eq(known_see(known, "site-1", "default", 1, 12,
			     header.head),
	    0);
	known_get(&kept, &floor, known, "site-1", "default");
	ck_assert_uint_eq(kept.batch, 5);
	ck_assert_uint_eq(kept.generation, 2);
	ck_assert_uint_eq(floor.batch, 5);
	ck_assert_int_eq(known_see(known, "site-1", "default", 3, 2,
			     header.head),
	    0);
	known_get(&kept, &floor, known, "site-1", "default");
	ck_assert_uint_eq(floor.batch, 2);
	known_close(known);
	known_close(other);
}
END_TEST

START_TEST(damaged_file_counts_as_nothing_known)
{
	struct known *known = open_known(root_1);
	struct journal_known header = header_of(7, 1);
	char command[256];

	ck_assert_int_eq(known_put(known, "site-1", "default", &header), 0);
	known_close(known);
	snprintf(command, sizeof(command),
	    "for f in %s/a/b/*.json; do printf '{\"site\":\"si' >$f; done",
	    folder);
	ck_assert_int_eq(system(command), 0);
	known = open_known(root_1);
	ck_assert_uint_eq(kept_batch(known, "default"), 0);
	header = header_of(3, 1);
	ck_assert_int_eq(known_put(known, "site-1", "default", &header), 0);
	known_close(known);
	known = open_known(root_1);
	ck_assert_uint_eq(kept_batch(known, "default"), 3);
	known_close(known);
}
END_TEST

START_TEST(folder_that_cannot_be_is_no_reason_to_fail)
{
	struct journal_known header = header_of(7, 1);
	struct known *known;

	ck_assert_int_eq(known_open(&known, "/dev/null/x", root_1), 0);
	ck_assert_int_eq(known_put(known, "site-1", "default", &header), 0);
	ck_assert_uint_eq(kept_batch(known, "default"), 7);
	known_close(known);
}
END_TEST

START_TEST(files_are_the_users_own)
{
	struct known *known = open_known(root_1);
	struct journal_known header = header_of(7, 1);
	struct stat st;
	char path[96];

	ck_assert_int_eq(known_put(known, "site-1", "default", &header), 0);
	known_close(known);
	snprintf(path, sizeof(path), "%s/a", folder);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0700);
	snprintf(path, sizeof(path), "%s/a/b/lock", folder);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0600);
}
END_TEST

START_TEST(many_processes_keep_the_newest)
{
	pid_t children[4];

	for (uint64_t p = 0; p < 4; p++) {
		children[p] = fork();
		if (children[p] != 0)
			continue;
		struct known *known = open_known(root_1);

		for (uint64_t i = 1; i <= 20; i++) {
			struct journal_known header = header_of(i * 4 + p, 1);

			if (known_put(known, "site-1", "default", &header) != 0)
				_exit(1);
		}
		known_close(known);
		_exit(0);
	}
	for (int p = 0; p < 4; p++) {
		int status;

		ck_assert_int_eq(waitpid(children[p], &status, 0), children[p]);
		ck_assert_int_eq(status, 0);
	}
	struct known *known = open_known(root_1);

	ck_assert_uint_eq(kept_batch(known, "default"), 83);
	known_close(known);
}
END_TEST

Suite *
suite(void)
{
	Suite *s = suite_create("lib known");
	TCase *tc = tcase_create("lib known");
	tcase_add_checked_fixture(tc, setup_folder, teardown_folder);
	tcase_add_test(tc, kept_header_is_there_for_the_next_process);
	tcase_add_test(tc, older_header_never_replaces_a_newer);
	tcase_add_test(tc, two_heads_of_one_batch_are_a_fork);
	tcase_add_test(tc, beat_raises_the_floor_alone);
	tcase_add_test(tc, later_generation_replaces_whatever_was_seen);
	tcase_add_test(tc, damaged_file_counts_as_nothing_known);
	tcase_add_test(tc, folder_that_cannot_be_is_no_reason_to_fail);
	tcase_add_test(tc, files_are_the_users_own);
	tcase_add_test(tc, many_processes_keep_the_newest);
	suite_add_tcase(s, tc);
	return s;
}
