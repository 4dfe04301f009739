/* What people are shown: widths, escapes, columns, spreadsheets. */
#include "agent/cli/csv.h"
#include "agent/cli/table.h"
#include "agent/cli/visible.h"
#include "shared/base/text.h"
#include "tests/unit/suite.h"

#include <string.h>

static const char *
shown(struct buf *out, const char *text, unsigned int most)
{
	buf_clear(out);
	visible_init();
	visible_add(out, text, strlen(text), most);
	return buf_text(out);
}

static void
looks(const char *text, const char *like, unsigned int columns)
{
	struct buf out = { 0 };

	ck_assert_str_eq(shown(&out, text, 0), like);
	ck_assert_uint_eq(visible_width(text), columns);
	buf_release(&out);
}

START_TEST(plain_text_stays_as_it_is)
{
	looks("", "", 0);
	looks("alice", "alice", 5);
	looks("C:\\users\\alice ~", "C:\\users\\alice ~", 16);
	looks("J\u00fcrgen", "J\u00fcrgen", 6);
}
END_TEST

START_TEST(wide_names_take_two_columns)
{
	looks("\u4e2d\u6587", "\u4e2d\u6587", 4);
	looks("\uac00x", "\uac00x", 3);
	looks("\U0001f600", "\U0001f600", 2);
	/* e and a combining acute */
	looks("e\u0301", "e\u0301", 1);
}
END_TEST

START_TEST(nothing_steers_the_terminal)
{
	looks("\033[2J", "\\u{1b}[2J", 9);
	looks("a\tb\r\n\x7f", "a\\u{09}b\\u{0d}\\u{0a}\\u{7f}", 26);
	looks("\xc2\x9b"
	      "31m",
	    "\\u{9b}31m", 9); /* CSI in one character */
	looks("\u202eexe.txt", "\\u{202e}exe.txt", 15);
	looks("\u200bx\u2066\ufeff", "\\u{200b}x\\u{2066}\\u{feff}", 25);
	looks("\U000e0041", "\\u{e0041}", 9);
}
END_TEST

START_TEST(bytes_that_are_no_text_are_shown_as_bytes)
{
	looks("\xff", "\\xff", 4);
	looks("a\x9bm", "a\\x9bm", 6);
	looks("\xe4\xb8", "\\xe4\\xb8", 8);
	looks("\xc0\xaf", "\\xc0\\xaf", 8); /* overlong */
	looks("\xed\xa0\x80", "\\xed\\xa0\\x80", 12); /* surrogate */
	looks("\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80", 16);
}
END_TEST

static void
cut(const char *text, unsigned int most, const char *like)
{
	struct buf out = { 0 };

	ck_assert_str_eq(shown(&out, text, most), like);
	ck_assert_uint_le(visible_width(like), most);
	buf_release(&out);
}

START_TEST(what_is_too_long_ends_with_an_ellipsis)
{
	cut("alice", 5, "alice");
	cut("alice", 4, "ali\u2026");
	cut("alice", 1, "\u2026");
	/* never half of a wide one, nor half of an escape */
	cut("\u4e2d\u6587\u5b57", 6, "\u4e2d\u6587\u5b57");
	cut("\u4e2d\u6587\u5b57", 5, "\u4e2d\u6587\u2026");
	cut("\u4e2d\u6587\u5b57", 4, "\u4e2d\u2026");
	cut("ab\033", 5, "ab\u2026");
}
END_TEST

/* A small generator, so that a failure can be repeated. */
static uint32_t
next_random(uint32_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

START_TEST(any_bytes_are_shown_within_their_columns)
{
	static const char bits[] = "\033[]m\x9b\xe2\x80\xae\xcc\x81\xe4\xb8"
				   "\xad\xf0\x9f\x98\x80\xff\n\t a";
	struct buf out = { 0 };
	uint32_t state = 20261122;

	visible_init();
	for (int round = 0; round < 50000; round++) {
		char text[24];
		size_t len = next_random(&state) % sizeof(text);
		unsigned int most = next_random(&state) % 12;
		unsigned int width;

		for (size_t i = 0; i < len; i++)
			text[i] = next_random(&state) % 2 == 0
			    ? (char)next_random(&state)
			    : bits[next_random(&state) % (sizeof(bits) - 1)];
		buf_clear(&out);
		width = visible_add(&out, text, len, most);
		ck_assert_msg(text_is_printable((const char *)out.data,
				  out.len),
		    "round %d", round);
		ck_assert_uint_eq(visible_width(buf_text(&out)), width);
		ck_assert(most == 0 || width <= most);
	}
	buf_release(&out);
}
END_TEST

static void
wraps(const char *text, unsigned int most, unsigned int indent,
    const char *like)
{
	struct buf out = { 0 };

	visible_init();
	visible_add_wrapped(&out, text, most, indent);
	ck_assert_str_eq(buf_text(&out), like);
	buf_release(&out);
}

START_TEST(long_lines_are_wrapped_at_words)
{
	wraps("one two three", 0, 2, "one two three");
	wraps("one two three", 9, 2, "one two\n  three");
	wraps("one two three", 7, 2, "one\n  two\n  three");
	/* a word that is too long is cut, never half a character */
	wraps("abcdef", 5, 1, "abcd\n ef");
	wraps("\u4e2d\u6587\u5b57", 5, 0, "\u4e2d\u6587\n\u5b57");
	wraps("x y", 2, 4, "x y");
	/* tones take no column */
	wraps("\033[1mone\033[0m two", 7, 0, "\033[1mone\033[0m two");
}
END_TEST

static const struct table_column columns[] = {
	{ .name = "USER", .least = 4 },
	{ .name = "SEATS", .right = true },
	{ .name = "FEATURE", .spare = true },
	{ .name = "HOST" },
};

static void
fill(struct table *table)
{
	visible_init();
	table_begin(table, 4, columns);
	table_cell(table, "alice");
	table_cell(table, "%u", 3);
	table_cell(table, "%s", "");
	table_cell(table, "ws-1");
	table_cell(table, "\u4e2d\u6587\u5b57\u5b57");
	table_cell(table, "%u", 12);
	table_cell(table, "%s", "");
	table_cell(table, "%s", "");
}

static void
renders(struct table *table, unsigned int width, const char *like)
{
	struct buf out = { 0 };

	ck_assert(table_render(&out, table, width));
	ck_assert_str_eq(buf_text(&out), like);
	buf_release(&out);
}

START_TEST(columns_are_as_wide_as_their_widest_cell)
{
	struct table table = { 0 };

	fill(&table);
	renders(&table, 0,
	    "USER      SEATS  HOST\n"
	    "alice         3  ws-1\n"
	    "\u4e2d\u6587\u5b57\u5b57     12\n");
	table_end(&table);
}
END_TEST

START_TEST(a_narrow_screen_cuts_what_may_be_cut)
{
	struct table table = { 0 };

	fill(&table);
	renders(&table, 18,
	    "USER   SEATS  HOST\n"
	    "alice      3  ws-1\n"
	    "\u4e2d\u6587\u2026     12\n");
	/* no further than its least, then the line is long... */
	fill(&table);
	table.head_shown = false;
	renders(&table, 10,
	    "USER  SEATS  HOST\n"
	    "ali\u2026      3  ws-1\n"
	    "\u4e2d\u2026      12\n");
	/* ...or ends where the screen does */
	fill(&table);
	table.head_shown = false;
	table.clip = true;
	renders(&table, 9,
	    "USER  SE\u2026\n"
	    "ali\u2026\n"
	    "\u4e2d\u2026\n");
	table_end(&table);
}
END_TEST

START_TEST(a_table_in_parts_has_one_head_and_one_width)
{
	static const char *const names[] = { "A", "B" };
	struct table table = { 0 };

	visible_init();
	table_head(&table, 2, names);
	table_cell(&table, "longer");
	table_cell(&table, "x");
	renders(&table, 0, "A       B\nlonger  x\n");
	table_cell(&table, "s");
	table_cell(&table, "y");
	renders(&table, 0, "s       y\n");
	renders(&table, 0, "");
	table_end(&table);
}
END_TEST

START_TEST(news_is_bold_and_no_wider)
{
	static const char *const names[] = { "A" };
	struct table table = { 0 };

	visible_init();
	table_head(&table, 1, names);
	table_cell(&table, "old");
	table_cell(&table, "new");
	table_mark(&table);
	renders(&table, 0, "A\nold\n\033[1mnew\033[0m\n");
	table_end(&table);
}
END_TEST

static void
csv(const char *text, const char *like)
{
	struct buf out = { 0 };

	csv_text(&out, text, true);
	ck_assert_str_eq(buf_text(&out), like);
	buf_release(&out);
}

START_TEST(csv_quotes_what_would_part_a_value)
{
	csv("alice", "alice\r\n");
	csv("", "\r\n");
	csv("a,b", "\"a,b\"\r\n");
	csv("say \"x\"", "\"say \"\"x\"\"\"\r\n");
}
END_TEST

START_TEST(csv_holds_no_formula)
{
	csv("=1+1", "'=1+1\r\n");
	csv("@SUM(A1)", "'@SUM(A1)\r\n");
	csv("-2", "'-2\r\n");
	csv("+cmd|' /C calc'!A0", "\"'+cmd|' /C calc'!A0\"\r\n");
	csv("a=b", "a=b\r\n");
}
END_TEST

Suite *
suite(void)
{
	Suite *s = suite_create("cli_text");
	TCase *visible = tcase_create("visible");
	TCase *table = tcase_create("table");
	TCase *values = tcase_create("csv");

	tcase_add_test(visible, plain_text_stays_as_it_is);
	tcase_add_test(visible, wide_names_take_two_columns);
	tcase_add_test(visible, nothing_steers_the_terminal);
	tcase_add_test(visible, bytes_that_are_no_text_are_shown_as_bytes);
	tcase_add_test(visible, what_is_too_long_ends_with_an_ellipsis);
	tcase_add_test(visible, any_bytes_are_shown_within_their_columns);
	tcase_add_test(visible, long_lines_are_wrapped_at_words);
	suite_add_tcase(s, visible);
	tcase_add_test(table, columns_are_as_wide_as_their_widest_cell);
	tcase_add_test(table, a_narrow_screen_cuts_what_may_be_cut);
	tcase_add_test(table, a_table_in_parts_has_one_head_and_one_width);
	tcase_add_test(table, news_is_bold_and_no_wider);
	suite_add_tcase(s, table);
	tcase_add_test(values, csv_quotes_what_would_part_a_value);
	tcase_add_test(values, csv_holds_no_formula);
	suite_add_tcase(s, values);
	return s;
}
