/* Configuration files: what is taken, and how the rest is refused. */
#include "shared/base/config.h"
#include "shared/base/err.h"
#include "tests/unit/suite.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct settings {
	char state[16];
	char name[2000];
	int64_t port;
	int64_t shift;
	bool tls;
};

#define TEXT(section, name, field)                                            \
	{                                                                     \
		section, name, CONFIG_TEXT, offsetof(struct settings, field), \
		    sizeof(((struct settings *)0)->field), 0, 0, ""           \
	}

static const struct config_key keys[] = {
	TEXT("site", "state", state),
	TEXT("site", "name", name),
	{ "listen", "port", CONFIG_NUMBER, offsetof(struct settings, port), 0,
	    1, 65535, "" },
	{ "listen", "shift", CONFIG_NUMBER, offsetof(struct settings, shift), 0,
	    INT64_MIN, INT64_MAX, "" },
	{ "listen", "tls", CONFIG_BOOL, offsetof(struct settings, tls), 0, 0, 0,
	    "" },
	{ NULL, NULL, CONFIG_TEXT, 0, 0, 0, 0, NULL },
};

static char error[256];
static struct settings settings;

static int
take(const char *text)
{
	memset(&settings, 0, sizeof(settings));
	settings.port = 7443;
	memset(error, '#', sizeof(error));
	return config_read_text(&settings, keys, "f.conf", text, error,
	    sizeof(error));
}

static void
refuses(const char *text, const char *words)
{
	ck_assert_int_eq(take(text), ERR_BAD_REQUEST);
	ck_assert_str_eq(error, words);
}

START_TEST(settings_lie_over_the_defaults)
{
	ck_assert_int_eq(take("\xef\xbb\xbf# a comment\n; another\n\n"
			      "[site]\r\n"
			      "state = /var/lib/l  ; inline\r\n"
			      "name=B\xc3\xbcro = 1\n"
			      "[listen]\n"
			      "tls = on\n"
			      "\tshift = -5"),
	    0);
	ck_assert_str_eq(error, "");
	ck_assert_str_eq(settings.state, "/var/lib/l");
	ck_assert_str_eq(settings.name, "B\xc3\xbcro = 1");
	ck_assert_int_eq(settings.port, 7443);
	ck_assert_int_eq(settings.shift, -5);
	ck_assert(settings.tls);
	ck_assert_int_eq(take(""), 0);
	ck_assert_int_eq(take("[site]\nname =\n[listen]\nport=65535\ntls=no"),
	    0);
	ck_assert_str_eq(settings.name, "");
	ck_assert_int_eq(settings.port, 65535);
	ck_assert(!settings.tls);
}
END_TEST

START_TEST(a_misspelt_key_is_named_with_its_neighbour)
{
	refuses("[site]\nstat = x\n",
	    "f.conf:2: unknown key \"stat\" in [site]; did you mean "
	    "\"state\"?");
	refuses("\n\n[sit]\nstate = x\n",
	    "f.conf:3: unknown section [sit]; did you mean [site]?");
	refuses("[courier]\n", "f.conf:1: unknown section [courier]");
	refuses("[site]\nport = 1\n",
	    "f.conf:2: \"port\" belongs in [listen], not in [site]");
	refuses("[site]\ncolour = 1\n",
	    "f.conf:2: unknown key \"colour\" in [site]");
	refuses("state = x\n[site]\n",
	    "f.conf:1: \"state\" stands before any [section]");
	refuses("[Site]\nstate = x\n",
	    "f.conf:1: unknown section [Site]; did you mean [site]?");
}
END_TEST

START_TEST(a_key_is_set_once)
{
	refuses("[site]\nstate = a\nname = b\n[listen]\n[site]\nstate = a\n",
	    "f.conf:6: \"state\" in [site] is set twice");
}
END_TEST

START_TEST(values_keep_to_their_bounds)
{
	refuses("[listen]\nport = 0\n",
	    "f.conf:2: \"port\" is a whole number from 1 to 65535, not \"0\"");
	refuses("[listen]\nport = 65536\n",
	    "f.conf:2: \"port\" is a whole number from 1 to 65535, not "
	    "\"65536\"");
	refuses("[listen]\nport = 80x\n",
	    "f.conf:2: \"port\" is a whole number from 1 to 65535, not "
	    "\"80x\"");
	refuses("[listen]\nport =\n",
	    "f.conf:2: \"port\" is a whole number from 1 to 65535, not \"\"");
	ck_assert_int_eq(take("[listen]\nshift=9223372036854775808\n"),
	    ERR_BAD_REQUEST);
	ck_assert_int_eq(take("[listen]\nshift=--1\n"), ERR_BAD_REQUEST);
	ck_assert_int_eq(take("[listen]\nshift=9223372036854775807\n"), 0);
	refuses("[listen]\ntls = maybe\n",
	    "f.conf:2: \"tls\" is yes or no, not \"maybe\"");
	ck_assert_int_eq(take("[site]\nstate = 123456789012345\n"), 0);
	refuses("[site]\nstate = 1234567890123456\n",
	    "f.conf:2: \"state\" holds at most 15 bytes");
}
END_TEST

START_TEST(broken_lines_are_refused)
{
	refuses("[site\nstate = x\n", "f.conf:1: a section is written [name]");
	refuses("[site]\nstate\n",
	    "f.conf:2: expected [section] or key = value");
	refuses("[site]\nstate = a\n  and more\n",
	    "f.conf:3: expected [section] or key = value");
	refuses("[site]\nname = a\x1b[2J\n",
	    "f.conf:2: there is a control character in the line");
	refuses("[site]\nname = \xff\n", "f.conf:2: the line is not UTF-8");
}
END_TEST

START_TEST(a_line_is_taken_whole_or_refused)
{
	char text[CONFIG_LINE_MAX + 64] = "[site]\nname=";
	size_t start = strlen(text);
	size_t room = CONFIG_LINE_MAX - strlen("name=");

	memset(text + start, 'x', room);
	ck_assert_int_eq(take(text), 0);
	ck_assert_uint_eq(strlen(settings.name), room);
	memset(text + start, 'x', room + 1);
	refuses(text, "f.conf:2: the line is longer than 1024 bytes");
	ck_assert_str_eq(settings.name, "");
}
END_TEST

START_TEST(a_short_error_buffer_is_kept_to)
{
	char small[12] = "###########";

	ck_assert_int_eq(config_read_text(&settings, keys, "f.conf", "[x]",
			     small, 9),
	    ERR_BAD_REQUEST);
	ck_assert_uint_le(strlen(small), 8);
	ck_assert_int_eq(small[9], '#');
}
END_TEST

START_TEST(files_are_read_and_missed)
{
	char path[] = "/tmp/check_config.XXXXXX";
	int fd = mkstemp(path);
	char expected[200];

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, "[listen]\nport = 99\n", 19), 19);
	ck_assert_int_eq(config_read(&settings, keys, path, error,
			     sizeof(error)),
	    0);
	ck_assert_int_eq(settings.port, 99);
	ck_assert_int_eq(write(fd, "\0", 1), 1);
	ck_assert_int_eq(config_read(&settings, keys, path, error,
			     sizeof(error)),
	    ERR_BAD_REQUEST);
	close(fd);
	unlink(path);
	ck_assert_int_eq(config_read(&settings, keys, path, error,
			     sizeof(error)),
	    ERR_NOT_FOUND);
	snprintf(expected, sizeof(expected),
	    "%s: cannot be read: No such file or directory", path);
	ck_assert_str_eq(error, expected);
	ck_assert_int_eq(config_read(&settings, keys, "/tmp", error,
			     sizeof(error)),
	    ERR_BAD_REQUEST);
}
END_TEST

Suite *
suite(void)
{
	Suite *s = suite_create("config");
	TCase *tcase = tcase_create("config");

	tcase_add_test(tcase, settings_lie_over_the_defaults);
	tcase_add_test(tcase, a_misspelt_key_is_named_with_its_neighbour);
	tcase_add_test(tcase, a_key_is_set_once);
	tcase_add_test(tcase, values_keep_to_their_bounds);
	tcase_add_test(tcase, broken_lines_are_refused);
	tcase_add_test(tcase, a_line_is_taken_whole_or_refused);
	tcase_add_test(tcase, a_short_error_buffer_is_kept_to);
	tcase_add_test(tcase, files_are_read_and_missed);
	suite_add_tcase(s, tcase);
	return s;
}
