/* Log lines, read back from a pipe in the place of standard error. */
#include "shared/base/log.h"
#include "tests/unit/suite.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int pipe_fds[2];
static int saved_stderr;
static char text[65536];

static void
catch_stderr(void)
{
	ck_assert_int_eq(pipe2(pipe_fds, O_CLOEXEC | O_NONBLOCK), 0);
	saved_stderr = dup(STDERR_FILENO);
	ck_assert_int_ge(dup2(pipe_fds[1], STDERR_FILENO), 0);
}

static void
give_back_stderr(void)
{
	dup2(saved_stderr, STDERR_FILENO);
	close(saved_stderr);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
}

static const char *
caught(void)
{
	ssize_t n = read(pipe_fds[0], text, sizeof(text) - 1);

	text[n > 0 ? n : 0] = '\0';
	return text;
}

START_TEST(the_journal_gets_its_level_numbers)
{
	log_open("ledger", LOG_DEBUG, 1);
	log_debug("store", "opened map_bytes=%d", 7);
	ck_assert_str_eq(caught(),
	    "<7>ledger debug store: opened map_bytes=7\n");
	log_info("store", "x");
	ck_assert_str_eq(caught(), "<6>ledger info store: x\n");
	log_warn("store", "x");
	ck_assert_str_eq(caught(), "<4>ledger warn store: x\n");
	log_error("store", "x");
	ck_assert_str_eq(caught(), "<3>ledger error store: x\n");
}
END_TEST

START_TEST(a_place_that_talks_without_end_is_cut_short)
{
	int lines = 0;

	log_open("front", LOG_INFO, 1);
	for (int i = 0; i < 1000; i++)
		log_info("net", "a stranger was here");
	for (const char *p = caught(); *p != '\0'; p++)
		lines += *p == '\n' ? 1 : 0;
	ck_assert_int_ge(lines, 100);
	ck_assert_int_le(lines, 102);
	/* Another place is heard all the same. */
	log_warn("net", "something else");
	ck_assert_str_eq(caught(), "<4>front warn net: something else\n");
	/* And the first again when its time has come, with the count. */
	for (int i = 0; i < 30 && caught()[0] == '\0'; i++) {
		usleep(100000);
		log_info("net", "a stranger was here");
	}
	ck_assert_ptr_nonnull(strstr(text, "a stranger was here (and 9"));
	ck_assert_ptr_nonnull(strstr(text, " more of this kind)\n"));
}
END_TEST

START_TEST(people_get_the_time)
{
	unsigned year;
	unsigned ms;

	log_open("front", LOG_INFO, 0);
	log_warn("net", "slow");
	ck_assert_int_eq(sscanf(caught(), "%4u-%*2u-%*2uT%*2u:%*2u:%*2u.%3uZ",
			     &year, &ms),
	    2);
	ck_assert_uint_ge(year, 2024);
	ck_assert_str_eq(text + 24, " front warn net: slow\n");
}
END_TEST

START_TEST(what_is_below_the_level_is_silent)
{
	log_open("front", LOG_WARN, 1);
	log_info("net", "chatter");
	ck_assert_str_eq(caught(), "");
	log_error("net", "x");
	ck_assert_str_eq(caught(), "<3>front error net: x\n");
	ck_assert_int_eq(log_level_parse("debug"), LOG_DEBUG);
	ck_assert_int_eq(log_level_parse("error"), LOG_ERROR);
	ck_assert_int_eq(log_level_parse("loud"), -1);
}
END_TEST

START_TEST(a_strangers_text_forges_no_line)
{
	log_open("front", LOG_INFO, 1);
	log_info("net", "user=%s", "eve\n<3>ledger error store: lost\r\x1b[2J");
	ck_assert_str_eq(caught(),
	    "<6>front info net: user=eve\\x0a<3>ledger error store: "
	    "lost\\x0d\\x1b[2J\n");
	/* A C1 control, a stray one, a right-to-left override. */
	log_info("net", "%s",
	    "a\xc2\x9b"
	    "b\x9b"
	    "c\xe2\x80\xae"
	    "d");
	ck_assert_str_eq(caught(),
	    "<6>front info net: a\\xc2\\x9bb\\x9bc\\xe2\\x80\\xaed\n");
	log_info("net", "%s",
	    "Gr\xc3\xbc\xc3\x9f"
	    "e \xe2\x82\xac");
	ck_assert_str_eq(caught(),
	    "<6>front info net: Gr\xc3\xbc\xc3\x9f"
	    "e \xe2\x82\xac\n");
	/* No sequence hides a control behind its first byte. */
	log_info("net", "%s", "\xe2\x1b\xf0\x0a");
	ck_assert_str_eq(caught(), "<6>front info net: \xe2\\x1b\xf0\\x0a\n");
}
END_TEST

START_TEST(a_line_has_an_end)
{
	char *huge = malloc(100000);

	ck_assert_ptr_nonnull(huge);
	memset(huge, 'x', 99999);
	huge[99999] = '\0';
	log_open("front", LOG_INFO, 1);
	log_info("net", "%s", huge);
	size_t len = strlen(caught());

	ck_assert_uint_le(len, 4096);
	ck_assert_uint_gt(len, 2000);
	ck_assert_str_eq(text + len - 5, "x...\n");
	memset(huge, '\n', 99999);
	log_info("net", "%s", huge);
	len = strlen(caught());
	ck_assert_uint_le(len, 4096);
	ck_assert_ptr_eq(strchr(text, '\n'), text + len - 1);
	free(huge);
}
END_TEST

START_TEST(logging_keeps_errno)
{
	log_open("front", LOG_INFO, 1);
	close(STDERR_FILENO);
	errno = ENOSPC;
	log_info("net", "nobody reads this");
	ck_assert_int_eq(errno, ENOSPC);
}
END_TEST

Suite *
suite(void)
{
	Suite *s = suite_create("log");
	TCase *tcase = tcase_create("log");

	tcase_add_checked_fixture(tcase, catch_stderr, give_back_stderr);
	tcase_add_test(tcase, a_place_that_talks_without_end_is_cut_short);
	tcase_add_test(tcase, the_journal_gets_its_level_numbers);
	tcase_add_test(tcase, people_get_the_time);
	tcase_add_test(tcase, what_is_below_the_level_is_silent);
	tcase_add_test(tcase, a_strangers_text_forges_no_line);
	tcase_add_test(tcase, a_line_has_an_end);
	tcase_add_test(tcase, logging_keeps_errno);
	suite_add_tcase(s, tcase);
	return s;
}
