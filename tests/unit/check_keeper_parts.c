/* The keeper's parts that need no site: processes, digests, beats, files. */
#include "agent/keeper/beat.h"
#include "agent/keeper/digest.h"
#include "agent/keeper/files.h"
#include "agent/keeper/private.h"
#include "agent/keeper/process.h"

#include "shared/base/err.h"
#include "shared/journal/merkle.h"
#include "tests/unit/suite.h"

#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* --- processes ------------------------------------------------------------ */

static struct event_base *base;
static struct processes processes;
static struct process *ended;

static void
on_ended(void *ctx, struct process *process)
{
	(void)ctx;
	ended = process;
}

static void
setup_loop(void)
{
	base = event_base_new();
	ck_assert_ptr_nonnull(base);
	processes_init(&processes, base, on_ended, NULL);
	ended = NULL;
}

static void
teardown_loop(void)
{
	event_base_free(base);
}

static pid_t
start_sleeper(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		pause();
		_exit(0);
	}
	ck_assert_int_gt(pid, 0);
	return pid;
}

START_TEST(start_time_is_read_past_any_name)
{
	uint64_t start = 0;

	ck_assert_int_eq(process_parse_start(&start,
			     "12 (a) b ((c) S 1 12 12 0 -1 4194304 1 2 3 4 5 "
			     "6 7 8 20 0 1 0 987654 1000 10\n"),
	    0);
	ck_assert_uint_eq(start, 987654);
	ck_assert_int_lt(process_parse_start(&start, "12 (a) S 1 2"), 0);
	ck_assert_int_lt(process_parse_start(&start, ""), 0);
	ck_assert_int_lt(process_parse_start(&start, "no parenthesis"), 0);
}
END_TEST

START_TEST(uids_are_read)
{
	uid_t uids[3];

	ck_assert_int_eq(process_parse_uids(uids,
			     "Name:\tx\nUid:\t1000\t0\t1\t2\nGid:\t0\n"),
	    0);
	ck_assert_uint_eq(uids[0], 1000);
	ck_assert_uint_eq(uids[1], 0);
	ck_assert_uint_eq(uids[2], 1);
	ck_assert_int_lt(process_parse_uids(uids, "Name:\tUid:\t1\n"), 0);
}
END_TEST

START_TEST(own_process_is_seen)
{
	struct process *process, *again;

	ck_assert_int_eq(process_take(&process, &processes, getpid()), 0);
	ck_assert(process_is_all(process, getuid()));
	ck_assert_str_ne(process->command, "");
	ck_assert_uint_gt(process->start, 0);
	ck_assert(process_lives(process));
	ck_assert_int_eq(process_take(&again, &processes, getpid()), 0);
	ck_assert_ptr_eq(process, again);
	int fd = process_open_executable(process);

	ck_assert_int_ge(fd, 0);
	close(fd);
	process_unref(process);
	process_unref(again);
}
END_TEST

START_TEST(killed_process_is_noticed_at_once)
{
	pid_t pid = start_sleeper();
	struct process *process;

	ck_assert_int_eq(process_take(&process, &processes, pid), 0);
	event_base_loop(base, EVLOOP_NONBLOCK);
	ck_assert_ptr_null(ended);
	kill(pid, SIGKILL);
	event_base_loop(base, EVLOOP_ONCE); /* before it was waited for */
	ck_assert_ptr_eq(ended, process);
	ck_assert(!process_lives(process));
	ck_assert_int_eq(process_open_executable(process), -1);
	process_unref(process);
	waitpid(pid, NULL, 0);
}
END_TEST

START_TEST(dead_process_is_not_found)
{
	pid_t pid = start_sleeper();
	struct process *process;

	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	ck_assert_int_eq(process_take(&process, &processes, pid),
	    ERR_NOT_FOUND);
	ck_assert_int_eq(process_take(&process, &processes, 0), ERR_NOT_FOUND);
	ck_assert_int_eq(process_take(&process, &processes, -1), ERR_NOT_FOUND);
}
END_TEST

/* --- digests -------------------------------------------------------------- */

#define UID_A 1001
#define UID_B 1002

static uint8_t got[32];
static int answers;

static void
on_digest(void *ctx, const uint8_t digest[32])
{
	(void)ctx;
	memcpy(got, digest, sizeof(got));
	answers++;
}

static void
wait_for_answers(int n)
{
	for (int i = 0; i < 500 && answers < n; i++) {
		struct timeval pause = { .tv_usec = 10000 };

		event_base_loopexit(base, &pause);
		event_base_loop(base, EVLOOP_ONCE);
	}
	ck_assert_int_eq(answers, n);
}

static int
open_text(const char *text)
{
	char path[] = "/tmp/check_digest.XXXXXX";
	int fd = mkstemp(path);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, text, strlen(text)), (int)strlen(text));
	ck_assert_int_eq(lseek(fd, 0, SEEK_SET), 0);
	unlink(path);
	return fd;
}

START_TEST(file_is_hashed_once)
{
	struct digests *digests;
	int fd = open_text("abc"), again = dup(fd), third = dup(fd);
	uint8_t digest[32], expected[32];

	answers = 0;
	crypto_hash_sha256(expected, (const uint8_t *)"abc", 3);
	ck_assert_int_eq(digests_new(&digests, base), 0);
	ck_assert_int_eq(digests_get(digest, digests, fd, UID_A, on_digest,
			     base),
	    ERR_BUSY);
	ck_assert_int_eq(digests_get(digest, digests, again, UID_A, on_digest,
			     base),
	    ERR_BUSY);
	wait_for_answers(2);
	ck_assert_mem_eq(got, expected, 32);
	ck_assert_int_eq(digests_get(digest, digests, third, UID_A, on_digest,
			     base),
	    0);
	ck_assert_mem_eq(digest, expected, 32);
	digests_free(digests);
}
END_TEST

START_TEST(who_does_not_wait_is_not_called)
{
	struct digests *digests;
	uint8_t digest[32];
	int here;

	answers = 0;
	ck_assert_int_eq(digests_new(&digests, base), 0);
	ck_assert_int_eq(digests_get(digest, digests, open_text("1"), UID_A,
			     on_digest, &here),
	    ERR_BUSY);
	ck_assert_int_eq(digests_get(digest, digests, open_text("2"), UID_A,
			     on_digest, base),
	    ERR_BUSY);
	digests_forget(digests, &here);
	wait_for_answers(1);
	digests_free(digests);
}
END_TEST

START_TEST(what_is_no_file_is_refused)
{
	struct digests *digests;
	uint8_t digest[32];

	ck_assert_int_eq(digests_new(&digests, base), 0);
	ck_assert_int_eq(digests_get(digest, digests,
			     open("/dev/zero", O_RDONLY), UID_A, on_digest,
			     base),
	    ERR_TOO_LARGE);
	digests_free(digests);
}
END_TEST

static int
open_hole(off_t size)
{
	int fd = open_text("x");

	ck_assert_int_eq(ftruncate(fd, size), 0);
	return fd;
}

/* An executable may be sparse: gigabytes that cost nothing but our time. */
START_TEST(files_of_one_user_leave_the_others_their_turn)
{
	struct digests *digests;
	uint8_t digest[32], expected[32];
	int err, n = 0;
	char *nine = calloc(1, 9 << 20);

	answers = 0;
	ck_assert_int_eq(digests_new(&digests, base), 0);
	while ((err = digests_get(digest, digests, open_hole(128 << 20), UID_A,
		    on_digest, base)) == ERR_BUSY)
		ck_assert_int_lt(++n, 64);
	ck_assert_int_eq(err, ERR_RATE_LIMITED);
	digests_forget(digests, base);
	ck_assert_int_eq(digests_get(digest, digests, open_hole(9 << 20), UID_B,
			     on_digest, &answers),
	    ERR_BUSY);
	wait_for_answers(1);
	ck_assert_ptr_nonnull(nine);
	nine[0] = 'x';
	crypto_hash_sha256(expected, (const uint8_t *)nine, 9 << 20);
	ck_assert_mem_eq(got, expected, 32);
	free(nine);
	digests_free(digests);
}
END_TEST

/* --- beats ---------------------------------------------------------------- */

START_TEST(beat_paths_are_those_of_the_journal)
{
	uint8_t leaves[130][32];
	uint8_t path[MERKLE_PATH_MAX][32], expected[MERKLE_PATH_MAX][32];
	uint8_t root[32];

	randombytes_buf(leaves, sizeof(leaves));
	for (size_t n = 1; n <= 130; n += n < 20 ? 1 : 37) {
		struct beat_tree tree;

		ck_assert_int_eq(beat_tree_make(&tree, leaves[0], n), 0);
		merkle_root(root, &merkle_blake2b, leaves[0], n);
		ck_assert_mem_eq(beat_tree_root(&tree), root, 32);
		for (size_t i = 0; i < n; i++) {
			size_t len = beat_tree_path(path, &tree, i);

			ck_assert_uint_eq(len,
			    merkle_path(expected, &merkle_blake2b, leaves[0], n,
				i));
			ck_assert_mem_eq(path, expected, len * 32);
			ck_assert_int_eq(merkle_verify_path(&merkle_blake2b,
					     root, leaves[i], i, n,
					     (const uint8_t(*)[32])path, len),
			    0);
		}
		beat_tree_release(&tree);
	}
}
END_TEST

/* --- files ---------------------------------------------------------------- */

static char folder[64];
static struct files files;

static void
setup_files(void)
{
	strcpy(folder, "/tmp/check_keeper.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	ck_assert_int_eq(files_open(&files, folder), 0);
}

static void
teardown_files(void)
{
	test_remove(folder);
}

static struct lease_file
make_lease(uint64_t number)
{
	return (struct lease_file){
		.lease = number,
		.row_number = 10 * number,
		.row = { "row", 3 },
		.header = { "header", 6 },
		.pid = 77,
		.start = 12345,
		.boot = "boot",
		.uid = 1000,
		.hold = true,
		.command = "cat",
		.granted_at = 5,
	};
}

struct seen {
	int n, n_ended;
	uint64_t sum;
	uint32_t longest; /* row */
};

static void
on_lease(void *ctx, const struct lease_file *lease, bool is_ended)
{
	struct seen *seen = ctx;

	seen->n++;
	seen->n_ended += is_ended;
	seen->sum += lease->lease;
	if (seen->longest < lease->row.len)
		seen->longest = lease->row.len;
	ck_assert_mem_eq(lease->row.data, "row", 3);
	ck_assert_uint_eq(lease->start, 12345);
	ck_assert(lease->hold);
}

START_TEST(leases_are_found_again)
{
	struct seen seen = { 0 };

	for (uint64_t i = 1; i <= 3; i++) {
		static char row[LEASE_ROW_MAX] = "row";
		struct lease_file lease = make_lease(i);

		if (i == 1)
			lease.row = (struct record_span){ row, sizeof(row) };
		ck_assert_int_eq(files_write_lease(&files, &lease), 0);
	}
	files_end_lease(&files, 2);
	files_remove_lease(&files, 3);
	ck_assert_int_eq(files_each_lease(&files, on_lease, &seen), 0);
	ck_assert_int_eq(seen.n, 2);
	ck_assert_int_eq(seen.n_ended, 1);
	ck_assert_uint_eq(seen.sum, 3);
	ck_assert_uint_eq(seen.longest, LEASE_ROW_MAX);
	files_remove_lease(&files, 2);
	files_remove_lease(&files, 1);
	seen.n = 0;
	ck_assert_int_eq(files_each_lease(&files, on_lease, &seen), 0);
	ck_assert_int_eq(seen.n, 0);
}
END_TEST

static void
write_text(const char *name, const char *text)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	FILE *file = fopen(path, "w");

	ck_assert_ptr_nonnull(file);
	fputs(text, file);
	fclose(file);
}

START_TEST(damaged_and_foreign_files_are_passed_over)
{
	struct lease_file lease = make_lease(4);
	struct seen seen = { 0 };

	ck_assert_int_eq(files_write_lease(&files, &lease), 0);
	write_text("leases/5.json", "{\"lease\":5");
	write_text("leases/6.json.tmp", "{}");
	write_text("leases/x.json", "{}");
	write_text("leases/07.json", "{}");
	ck_assert_int_eq(files_each_lease(&files, on_lease, &seen), 0);
	ck_assert_int_eq(seen.n, 1);
}
END_TEST

START_TEST(enrolment_is_read_back)
{
	struct enrolment site = { .url = "https://a:1",
		.host = "a",
		.port = 1,
		.site = "site-a",
		.tenant = "default",
		.device = 3 };
	struct enrolment back;
	char *ca = NULL;

	ck_assert_int_eq(files_read_enrolment(&back, &ca, &files),
	    ERR_NOT_FOUND);
	ck_assert_int_eq(files_write_enrolment(&files, &site, "PEM"), 0);
	ck_assert_int_eq(files_read_enrolment(&back, &ca, &files), 0);
	ck_assert_mem_eq(&site, &back, sizeof(site));
	ck_assert_str_eq(ca, "PEM");
	free(ca);
}
END_TEST

START_TEST(another_enrolment_forgets_the_journal)
{
	struct journal_seen seen = { .seen_batch = 7 }, back;
	struct enrolment site = { .url = "https://a:1",
		.host = "a",
		.port = 1,
		.site = "site-a",
		.tenant = "default",
		.device = 3 };

	ck_assert_int_eq(files_read_seen(&back, &files), 0);
	ck_assert_uint_eq(back.seen_batch, 0);
	memset(seen.known.head, 1, 32);
	ck_assert_int_eq(files_write_seen(&files, &seen), 0);
	ck_assert_int_eq(files_read_seen(&back, &files), 0);
	ck_assert_mem_eq(&seen, &back, sizeof(seen));
	ck_assert_int_eq(files_write_enrolment(&files, &site, "PEM"), 0);
	ck_assert_int_eq(files_read_seen(&back, &files), 0);
	ck_assert_uint_eq(back.seen_batch, 0);
}
END_TEST

START_TEST(half_an_enrolment_is_an_error)
{
	struct enrolment back;
	char *ca = NULL;

	write_text("site.json", "{}");
	ck_assert_int_eq(files_read_enrolment(&back, &ca, &files), ERR_CORRUPT);
}
END_TEST

START_TEST(licenses_are_kept_by_digest)
{
	struct license_file license = { .issuer = { "issuer", 6 },
		.license = { "license", 7 } };
	struct license_file back;
	struct arena arena = { 0 };
	uint8_t digest[32] = { 1, 2, 3 };

	ck_assert_int_eq(files_read_license(&back, &files, digest, &arena),
	    ERR_NOT_FOUND);
	ck_assert_int_eq(files_write_license(&files, digest, &license), 0);
	ck_assert_int_eq(files_read_license(&back, &files, digest, &arena), 0);
	ck_assert_mem_eq(back.license.data, "license", 7);
	arena_release(&arena);
}
END_TEST

/* --- URLs ----------------------------------------------------------------- */

START_TEST(urls_are_taken_apart)
{
	static const struct {
		const char *url, *host;
		uint32_t port;
	} good[] = {
		{ "https://site.example", "site.example", 7443 },
		{ "https://site.example/", "site.example", 7443 },
		{ "https://127.0.0.1:8443", "127.0.0.1", 8443 },
		{ "https://[::1]:1/", "::1", 1 },
		{ "https://[::1]", "::1", 7443 },
	};
	static const char *const bad[] = { "", "site.example",
		"http://site.example", "https://", "https://:1", "https://a:0",
		"https://a:65536", "https://a:x", "https://a:", "https://a/b",
		"https://a?b", "https://u@a", "https://[::1", "https://[]:1",
		"https://a:1x" };
	char host[256];
	uint32_t port;

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		ck_assert_int_eq(enroll_parse_url(host, &port, good[i].url), 0);
		ck_assert_str_eq(host, good[i].host);
		ck_assert_uint_eq(port, good[i].port);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_msg(enroll_parse_url(host, &port, bad[i]) < 0, "%s",
		    bad[i]);
}
END_TEST

Suite *
suite(void)
{
	Suite *s = suite_create("keeper_parts");
	TCase *process = tcase_create("process");
	TCase *digest = tcase_create("digest");
	TCase *kept = tcase_create("files");
	TCase *pure = tcase_create("pure");

	tcase_add_checked_fixture(process, setup_loop, teardown_loop);
	tcase_add_test(process, start_time_is_read_past_any_name);
	tcase_add_test(process, uids_are_read);
	tcase_add_test(process, own_process_is_seen);
	tcase_add_test(process, killed_process_is_noticed_at_once);
	tcase_add_test(process, dead_process_is_not_found);
	suite_add_tcase(s, process);
	tcase_add_checked_fixture(digest, setup_loop, teardown_loop);
	tcase_add_test(digest, file_is_hashed_once);
	tcase_add_test(digest, who_does_not_wait_is_not_called);
	tcase_add_test(digest, what_is_no_file_is_refused);
	tcase_add_test(digest, files_of_one_user_leave_the_others_their_turn);
	suite_add_tcase(s, digest);
	tcase_add_checked_fixture(kept, setup_files, teardown_files);
	tcase_add_test(kept, leases_are_found_again);
	tcase_add_test(kept, damaged_and_foreign_files_are_passed_over);
	tcase_add_test(kept, enrolment_is_read_back);
	tcase_add_test(kept, another_enrolment_forgets_the_journal);
	tcase_add_test(kept, half_an_enrolment_is_an_error);
	tcase_add_test(kept, licenses_are_kept_by_digest);
	suite_add_tcase(s, kept);
	tcase_add_test(pure, beat_paths_are_those_of_the_journal);
	tcase_add_test(pure, urls_are_taken_apart);
	suite_add_tcase(s, pure);
	return s;
}
