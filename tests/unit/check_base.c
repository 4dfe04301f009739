/* Errors, buffers, arenas, text and files. */
#include "shared/base/buf.h"
#include "shared/base/err.h"
#include "shared/base/text.h"
#include "tests/unit/suite.h"

#include <errno.h>
#include <signal.h>
#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- errors --- */

START_TEST(every_refusal_comes_back_from_its_code)
{
	static const int refusals[] = {
#define X(name, value, code, text) value,
		ERR_LIST(X)
#undef X
	};

	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		int err = refusals[i];
		int back = err_from_code(err_code(err));

		ck_assert_int_le(back, ERR_UNAUTHENTICATED);
		ck_assert_str_eq(err_code(back), err_code(err));
		if (err <= ERR_UNAUTHENTICATED)
			ck_assert_int_eq(back, err);
		ck_assert_int_ge(err_http_status(err), 400);
		ck_assert_int_eq(err_http_status(err), err_http_status(back));
	}
}
END_TEST

START_TEST(an_unknown_code_is_unavailable)
{
	ck_assert_int_eq(err_from_code("brewing"), ERR_UNAVAILABLE);
	ck_assert_int_eq(err_from_code(NULL), ERR_UNAVAILABLE);
	ck_assert_int_eq(err_from_code("unavailable"), ERR_UNAVAILABLE);
	/* A refusal that names success is one all the same. */
	ck_assert_int_eq(err_from_code("ok"), ERR_UNAVAILABLE);
	ck_assert_str_eq(err_code(-9999), "unavailable");
	ck_assert_str_eq(err_name(ERR_NO_SEATS), "ERR_NO_SEATS");
	ck_assert_str_eq(err_str(0), "done");
	ck_assert_int_eq(err_http_status(-9999), 503);
}
END_TEST

START_TEST(statuses_are_those_of_the_http_standard)
{
	ck_assert_int_eq(err_http_status(0), 200);
	ck_assert_int_eq(err_http_status(ERR_NO_SEATS), 409);
	ck_assert_int_eq(err_http_status(ERR_UNAUTHENTICATED), 401);
	ck_assert_int_eq(err_http_status(ERR_FORBIDDEN), 403);
	ck_assert_int_eq(err_http_status(ERR_BAD_REQUEST), 400);
	ck_assert_int_eq(err_http_status(ERR_TOO_LARGE), 413);
	ck_assert_int_eq(err_http_status(ERR_RATE_LIMITED), 429);
	ck_assert_int_eq(err_http_status(ERR_GONE), 410);
	ck_assert_int_eq(err_http_status(ERR_FULL), 503);
	ck_assert_int_eq(err_http_status(ERR_FORK), 409);
	ck_assert_int_eq(err_http_status(ERR_BAD_SIGNATURE), 403);
	ck_assert_int_eq(err_http_status(ERR_NOT_FOUND_INTERNAL), 404);
}
END_TEST

/* --- buf --- */

START_TEST(a_buf_holds_what_was_added)
{
	struct buf buf = { 0 };
	char long_text[1000];

	memset(long_text, 'x', sizeof(long_text));
	buf_add_byte(&buf, 1);
	buf_add_be16(&buf, 0x0203);
	buf_add_be32(&buf, 0x04050607);
	buf_add_be64(&buf, UINT64_C(0x08090a0b0c0d0e0f));
	ck_assert_uint_eq(buf.len, 15);
	for (uint8_t i = 0; i < 15; i++)
		ck_assert_uint_eq(buf.data[i], i + 1);
	ck_assert_uint_eq(be16_read(buf.data + 1), 0x0203);
	ck_assert_uint_eq(be32_read(buf.data + 3), 0x04050607);
	ck_assert_uint_eq(be64_read(buf.data + 7),
	    UINT64_C(0x08090a0b0c0d0e0f));
	buf_clear(&buf);
	buf_add_str(&buf, "seat ");
	buf_printf(&buf, "%d of %.*s", 7, 1000, long_text);
	ck_assert_uint_eq(buf.len, 5 + 5 + 1000);
	ck_assert(strncmp(buf_text(&buf), "seat 7 of xxx", 13) == 0);
	ck_assert_uint_eq(strlen(buf_text(&buf)), buf.len);
	ck_assert(!buf.failed);
	buf_release(&buf);
	ck_assert_ptr_null(buf.data);
	ck_assert_str_eq(buf_text(&buf), "");
	buf_release(&buf);
	buf_release(NULL);
}
END_TEST

START_TEST(a_buf_over_its_bound_stays_failed)
{
	struct buf buf = { .max = 8 };

	buf_add(&buf, "12345678", 8);
	ck_assert(!buf.failed);
	buf_add_byte(&buf, '9');
	ck_assert(buf.failed);
	ck_assert_uint_eq(buf.len, 8);
	ck_assert_ptr_null(buf_extend(&buf, 0));
	ck_assert_str_eq(buf_text(&buf), "");
	buf_clear(&buf);
	buf_printf(&buf, "%s", "123456789");
	ck_assert(buf.failed);
	ck_assert_uint_eq(buf.len, 0);
	buf_clear(&buf);
	ck_assert_ptr_null(buf_extend(&buf, SIZE_MAX));
	buf_release(&buf);
}
END_TEST

/* --- arena --- */

START_TEST(arena_memory_is_zeroed_and_aligned)
{
	struct arena arena = { 0 };

	for (int round = 0; round < 3; round++) {
		for (size_t size = 0; size < 3000; size += 7) {
			uint8_t *p = arena_alloc(&arena, size);

			ck_assert_ptr_nonnull(p);
			ck_assert_uint_eq((uintptr_t)p % alignof(max_align_t),
			    0);
			for (size_t i = 0; i < size; i++)
				ck_assert_uint_eq(p[i], 0);
			memset(p, 0xff, size);
		}
		arena_clear(&arena);
		ck_assert_uint_eq(arena.used_bytes, 0);
	}
	arena_release(&arena);
	arena_release(NULL);
}
END_TEST

START_TEST(an_arena_keeps_to_its_bound)
{
	struct arena arena = { .max_bytes = 1024 };

	ck_assert_ptr_nonnull(arena_alloc(&arena, 1000));
	ck_assert_ptr_null(arena_alloc(&arena, 1000));
	ck_assert_ptr_null(arena_alloc(&arena, SIZE_MAX));
	ck_assert_ptr_null(arena_alloc(&arena, SIZE_MAX - 7));
	ck_assert_ptr_null(arena_copy(&arena, "", SIZE_MAX));
	arena_clear(&arena);
	char *copy = arena_copy(&arena, "seat!", 4);

	ck_assert_str_eq(copy, "seat");
	arena_release(&arena);
}
END_TEST

/* --- text --- */

static bool
utf8(const char *text)
{
	return text_is_utf8(text, strlen(text));
}

static bool
printable(const char *text)
{
	return text_is_printable(text, strlen(text));
}

START_TEST(utf8_is_judged_by_the_standard)
{
	ck_assert(utf8(""));
	ck_assert(utf8("Stra\xc3\x9f"
		       "e \xe2\x82\xac \xf0\x9f\x98\x80"));
	ck_assert(utf8("\xf4\x8f\xbf\xbf"));
	ck_assert(!text_is_utf8("a\0b", 3));
	ck_assert(!utf8("\xc0\x80")); /* overlong NUL */
	ck_assert(!utf8("\xe0\x80\xaf")); /* overlong / */
	ck_assert(!utf8("\xf0\x80\x80\xaf")); /* the same in four */
	ck_assert(!utf8("\xed\xa0\x80")); /* surrogate */
	ck_assert(!utf8("\xf4\x90\x80\x80")); /* above U+10FFFF */
	ck_assert(!utf8("\xe2\x82")); /* cut off */
	ck_assert(!utf8("\x80"));
	ck_assert(!utf8("\xff"));
}
END_TEST

START_TEST(printable_text_has_no_controls)
{
	ck_assert(printable("\xc3\xa4\xc2\xa0 ok"));
	ck_assert(!printable("a\nb"));
	ck_assert(!printable("a\x1b[2J"));
	ck_assert(!printable("a\x7f"));
	ck_assert(!printable("a\xc2\x9b"
			     "2J")); /* CSI of the C1 set */
}
END_TEST

START_TEST(copies_fit_or_are_empty)
{
	char out[4] = "zzz";

	ck_assert(text_copy(out, sizeof(out), "abc"));
	ck_assert_str_eq(out, "abc");
	ck_assert(!text_copy(out, sizeof(out), "abcd"));
	ck_assert_str_eq(out, "");
	ck_assert(text_copy_n(out, sizeof(out), "abcd", 2));
	ck_assert_str_eq(out, "ab");
}
END_TEST

START_TEST(base64_goes_there_and_back)
{
	uint8_t data[40];
	uint8_t back[40];
	char text[TEXT_BASE64_SIZE(sizeof(data))];

	for (size_t len = 0; len <= sizeof(data); len++) {
		for (size_t i = 0; i < len; i++)
			data[i] = (uint8_t)(i * 37 + len * 11 + 200);
		size_t n = text_to_base64(text, data, len);
		size_t back_len;

		ck_assert_uint_eq(n, strlen(text));
		ck_assert_int_eq(text_from_base64(back, sizeof(back), &back_len,
				     text, n),
		    0);
		ck_assert_uint_eq(back_len, len);
		ck_assert_mem_eq(back, data, len);
	}
}
END_TEST

START_TEST(base64_is_read_strictly)
{
	static const char *const bad[] = { "QQ==", "QR", "Q", "Q Q", "QUJ+",
		"QUJ/", "QUI\n" };
	uint8_t out[8];
	size_t len;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_int_eq(text_from_base64(out, sizeof(out), &len,
				     bad[i], strlen(bad[i])),
		    ERR_BAD_REQUEST);
	ck_assert_int_eq(text_from_base64(out, 2, &len, "QUJD", 4),
	    ERR_BAD_REQUEST);
	ck_assert_int_eq(text_from_base64(out, 3, &len, "QUJD", 4), 0);
	ck_assert_int_eq(text_from_base64(out, 8, &len, "QU\0D", 4),
	    ERR_BAD_REQUEST);
}
END_TEST

START_TEST(hex_goes_there_and_back)
{
	uint8_t data[3] = { 0x00, 0xab, 0xff };
	uint8_t back[3];
	size_t len;
	char text[7];

	text_to_hex(text, data, 3);
	ck_assert_str_eq(text, "00abff");
	ck_assert_int_eq(text_from_hex(back, 3, &len, text, 6), 0);
	ck_assert_uint_eq(len, 3);
	ck_assert_mem_eq(back, data, 3);
	ck_assert_int_eq(text_from_hex(back, 3, &len, "00abf", 5),
	    ERR_BAD_REQUEST);
	ck_assert_int_eq(text_from_hex(back, 2, &len, text, 6),
	    ERR_BAD_REQUEST);
	ck_assert_int_eq(text_from_hex(back, 3, &len, "0g", 2),
	    ERR_BAD_REQUEST);
}
END_TEST

/* A second text for the same bytes would be a second name for a document. */
START_TEST(each_digit_is_one_of_its_alphabet)
{
	int base64 = 0;
	int hex = 0;

	for (int c = 0; c < 256; c++) {
		char text[4] = { 'A', 'A', (char)c, 'A' };
		char pair[2] = { (char)c, '0' };
		uint8_t out[8];
		size_t len;

		base64 += text_from_base64(out, 8, &len, text, 4) == 0;
		hex += text_from_hex(out, 8, &len, pair, 2) == 0;
	}
	ck_assert_int_eq(base64, 64);
	ck_assert_int_eq(hex, 22);
}
END_TEST

START_TEST(numbers_are_whole_and_in_range)
{
	uint64_t value;

	ck_assert(text_to_u64(&value, "0", 1) && value == 0);
	ck_assert(text_to_u64(&value, "18446744073709551615", 20) &&
	    value == UINT64_MAX);
	ck_assert(!text_to_u64(&value, "18446744073709551616", 20));
	ck_assert(!text_to_u64(&value, "99999999999999999999", 20));
	ck_assert(!text_to_u64(&value, "", 0));
	ck_assert(!text_to_u64(&value, "01", 2));
	ck_assert(!text_to_u64(&value, "+1", 2));
	ck_assert(!text_to_u64(&value, "1 ", 2));
}
END_TEST

START_TEST(a_misspelt_word_finds_its_neighbour)
{
	static const char *const known[] = { "listen", "state", "user", "ttl",
		NULL };

	ck_assert_str_eq(text_closest("lisen", known), "listen");
	ck_assert_str_eq(text_closest("lsiten", known), "listen");
	ck_assert_str_eq(text_closest("States", known), "state");
	ck_assert_str_eq(text_closest("tll", known), "ttl");
	ck_assert_ptr_null(text_closest("colour", known));
	ck_assert_ptr_null(text_closest("x", known));
	ck_assert_ptr_null(text_closest("", known));
	char long_word[200];

	memset(long_word, 'l', sizeof(long_word) - 1);
	long_word[sizeof(long_word) - 1] = '\0';
	ck_assert_ptr_null(text_closest(long_word, known));
}
END_TEST

/* --- files --- */

static char folder[64];

static void
folder_make(void)
{
	text_copy(folder, sizeof(folder), "/tmp/check_base.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	ck_assert_int_eq(chdir(folder), 0);
}

static void
folder_remove(void)
{
	(void)!unlink("file");
	ck_assert_int_eq(chdir("/"), 0);
	/* Fails when a temporary file was left behind. */
	ck_assert_int_eq(rmdir(folder), 0);
}

START_TEST(a_pattern_fits_the_whole_of_a_name)
{
	ck_assert(text_fits("ws-*", "ws-17"));
	ck_assert(text_fits("ws-*", "WS-"));
	ck_assert(text_fits("*.plant.example", "ws-1.Plant.example"));
	ck_assert(text_fits("*", ""));
	ck_assert(text_fits("**a**b**", "xaxb"));
	ck_assert(text_fits("a*b*c", "abxbxc"));
	ck_assert(text_fits("lab?", "lab7"));
	ck_assert(text_fits("", ""));
	ck_assert(!text_fits("", "a"));
	ck_assert(!text_fits("ws-*", "xws-1"));
	ck_assert(!text_fits("lab?", "lab"));
	ck_assert(!text_fits("lab?", "lab17"));
	ck_assert(!text_fits("a*b", "abc"));
	ck_assert(!text_fits("[a]", "a"));
	ck_assert(!text_fits("a.c", "abc"));
}
END_TEST

/* What makes others try every way there is. */
START_TEST(a_pattern_of_stars_takes_no_time)
{
	char pattern[128] = "", name[128] = "";

	for (int i = 0; i < 60; i++)
		strcat(pattern, "*a");
	strcat(pattern, "b");
	memset(name, 'a', 127);
	for (int i = 0; i < 1000; i++)
		ck_assert(!text_fits(pattern, name));
}
END_TEST

START_TEST(a_file_is_replaced_whole)
{
	uint8_t *data;
	size_t len;
	struct stat st;

	ck_assert_int_eq(file_write("file", "first", 5, 0600), 0);
	ck_assert_int_eq(file_write("file", "second!", 7, 0640), 0);
	ck_assert_int_eq(file_read(&data, &len, "file", 7), 0);
	ck_assert_uint_eq(len, 7);
	ck_assert_str_eq((char *)data, "second!");
	free(data);
	ck_assert_int_eq(stat("file", &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0640);
	char path[128];

	snprintf(path, sizeof(path), "%s/file", folder);
	ck_assert_int_eq(file_write(path, "", 0, 0600), 0);
	ck_assert_int_eq(file_read(&data, &len, path, 0), 0);
	ck_assert_uint_eq(len, 0);
	ck_assert_str_eq((char *)data, "");
	free(data);
}
END_TEST

START_TEST(files_tell_why_they_cannot_be_read)
{
	uint8_t *data;
	size_t len;

	ck_assert_int_eq(file_write("file", "12345678", 8, 0600), 0);
	ck_assert_int_eq(file_read(&data, &len, "file", 7), ERR_TOO_LARGE);
	ck_assert_int_eq(file_read(&data, &len, "none", 7), ERR_NOT_FOUND);
	ck_assert_int_eq(file_read(&data, &len, folder, 7000), ERR_IO);
	ck_assert_int_eq(errno, EISDIR);
	/* No size is known beforehand, and it never ends. */
	ck_assert_int_eq(file_read(&data, &len, "/dev/zero", 100000),
	    ERR_TOO_LARGE);
	ck_assert_int_eq(file_write("none/file", "1", 1, 0600), ERR_IO);
	ck_assert_int_eq(errno, ENOENT);
}
END_TEST

START_TEST(a_failed_write_leaves_the_old_file)
{
	uint8_t *data;
	size_t len;

	ck_assert_int_eq(file_write("file", "old", 3, 0600), 0);
	ck_assert_int_eq(file_write(folder, "new", 3, 0600), ERR_IO);
	/* The disk takes four bytes and no more. */
	struct rlimit limit = { 4, 4 };

	signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	ck_assert_int_eq(file_write("file", "longer", 6, 0600), ERR_IO);
	ck_assert_int_eq(errno, EFBIG);
	ck_assert_int_eq(file_read(&data, &len, "file", 7), 0);
	ck_assert_str_eq((char *)data, "old");
	free(data);
}
END_TEST

static TCase *
files_case(void)
{
	TCase *tcase = tcase_create("files");

	tcase_add_checked_fixture(tcase, folder_make, folder_remove);
	tcase_add_test(tcase, a_file_is_replaced_whole);
	tcase_add_test(tcase, files_tell_why_they_cannot_be_read);
	tcase_add_test(tcase, a_failed_write_leaves_the_old_file);
	return tcase;
}

Suite *
suite(void)
{
	Suite *s = suite_create("base");
	TCase *tcase = tcase_create("base");

	tcase_add_test(tcase, every_refusal_comes_back_from_its_code);
	tcase_add_test(tcase, an_unknown_code_is_unavailable);
	tcase_add_test(tcase, statuses_are_those_of_the_http_standard);
	tcase_add_test(tcase, a_buf_holds_what_was_added);
	tcase_add_test(tcase, a_buf_over_its_bound_stays_failed);
	tcase_add_test(tcase, arena_memory_is_zeroed_and_aligned);
	tcase_add_test(tcase, an_arena_keeps_to_its_bound);
	tcase_add_test(tcase, utf8_is_judged_by_the_standard);
	tcase_add_test(tcase, printable_text_has_no_controls);
	tcase_add_test(tcase, copies_fit_or_are_empty);
	tcase_add_test(tcase, base64_goes_there_and_back);
	tcase_add_test(tcase, base64_is_read_strictly);
	tcase_add_test(tcase, hex_goes_there_and_back);
	tcase_add_test(tcase, each_digit_is_one_of_its_alphabet);
	tcase_add_test(tcase, numbers_are_whole_and_in_range);
	tcase_add_test(tcase, a_misspelt_word_finds_its_neighbour);
	tcase_add_test(tcase, a_pattern_fits_the_whole_of_a_name);
	tcase_add_test(tcase, a_pattern_of_stars_takes_no_time);
	suite_add_tcase(s, tcase);
	suite_add_tcase(s, files_case());
	return s;
}
