/* Runs one suite, by several processes where its tests may run at once, and
 * prints a line a test; see suite.h. */
#include "tests/unit/suite.h"

#include <ftw.h>
#include <limits.h>
#include <signal.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define AT_ONCE_MAX 16
#define ALL UINT_MAX
#define NONE (UINT_MAX - 1)

__attribute__((weak)) unsigned int
suite_at_once(void)
{
	return 1;
}

/* Which tests the suite is made of; how many there are. */
static struct choice {
	unsigned int number;
	unsigned int tests;
} choice = { .number = ALL };

void
suite_add_test(TCase *tcase, const TTest *test, int first, int end)
{
	for (int i = first; i < end; i++, choice.tests++)
		if (choice.number == ALL || choice.number == choice.tests)
			_tcase_add_test(tcase, test, 0, 0, i, i + 1);
}

const char *
test_data(void)
{
	return getenv("LEASEHOLD_DATA");
}

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

void
test_remove(const char *path)
{
	if (nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS) == 0)
		return;
	perror(path);
	abort();
}

void
test_skip(const char *name, const char *why)
{
	printf("skip %s: %s\n", name, why);
	fflush(stdout);
}

/* "ok 3 - check_base.c:base:a_buf_grows: Passed" to "ok base:a_buf_grows".
 * check tells a test's name nowhere but in its own reports. */
static void
print_line(char *line)
{
	const char *verdict =
	    strncmp(line, "not ok ", 7) == 0 ? "not ok" : "ok";
	char *dash = strstr(line, " - ");

	if (dash == NULL ||
	    (strncmp(line, "ok ", 3) != 0 && strncmp(line, "not ok ", 7) != 0))
		return;
	char *name = strchr(dash, ':');

	if (name == NULL)
		return;
	name++;
	line[strcspn(line, "\n")] = '\0';
	char *passed = strstr(name, ": Passed");

	if (passed != NULL && strcmp(verdict, "ok") == 0)
		*passed = '\0';
	printf("%s %s\n", verdict, name);
}

static int
print_report(const char *path)
{
	char *line = NULL;
	size_t size = 0;
	FILE *report = fopen(path, "re");

	if (report == NULL)
		return -1;
	while (getline(&line, &size, report) >= 0)
		print_line(line);
	free(line);
	fclose(report);
	return 0;
}

/* Those of the tests that are chosen. */
static int
run_chosen(void)
{
	char path[] = "/tmp/leasehold-check.XXXXXX";
	int fd = mkstemp(path);

	if (fd < 0)
		return 1;
	close(fd);
	choice.tests = 0;
	SRunner *runner = srunner_create(suite());

	srunner_set_tap(runner, path);
	srunner_run_all(runner, CK_SILENT);
	int failed = srunner_ntests_failed(runner);

	/* With a test at least, so that an empty suite is no success. */
	if (print_report(path) != 0 || choice.tests == 0 ||
	    (choice.number != NONE && srunner_ntests_run(runner) == 0))
		failed++;
	srunner_free(runner);
	remove(path);
	return failed == 0 ? 0 : 1;
}

/* One after the other, until none is left that no other runner took. */
static int
run_next(atomic_uint *next, unsigned int tests)
{
	int failed = 0;

	/* check ends its test when it is told to end. */
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	while ((choice.number = atomic_fetch_add(next, 1)) < tests)
		failed += run_chosen();
	return failed == 0 ? 0 : 1;
}

static int
run_at_once(unsigned int n)
{
	pid_t runners[AT_ONCE_MAX];
	int failed = 0, status;
	atomic_uint *next = mmap(NULL, sizeof(*next), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	choice.number = NONE; /* to count them */
	if (n > AT_ONCE_MAX || next == MAP_FAILED || run_chosen() != 0)
		return 1;
	for (unsigned int i = 0; i < n; i++) {
		runners[i] = fork();
		if (runners[i] == 0)
			exit(run_next(next, choice.tests));
	}
	for (unsigned int i = 0; i < n; i++)
		failed += runners[i] < 0 ||
		    waitpid(runners[i], &status, 0) != runners[i] ||
		    !WIFEXITED(status) || WEXITSTATUS(status) != 0;
	munmap(next, sizeof(*next));
	return failed == 0 ? 0 : 1;
}

int
main(void)
{
	/* Whole lines, where standard error goes to the same place. */
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (sodium_init() < 0)
		return 1;
	if (suite_at_once() == 1 || getenv("CK_FORK") != NULL)
		return run_chosen();
	return run_at_once(suite_at_once());
}
