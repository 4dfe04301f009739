/* Key files: made once, read as made, and refused when others may read them or
 * they are damaged. */
#include "shared/base/err.h"
#include "shared/base/text.h"
#include "shared/token/token.h"
#include "tests/unit/suite.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[64];
static char path[96];

static void
folder_make(void)
{
	text_copy(folder, sizeof(folder), "/tmp/check_token.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/test.key", folder);
}

static void
folder_remove(void)
{
	unlink(path);
	ck_assert_int_eq(rmdir(folder), 0);
}

START_TEST(a_key_file_is_read_as_it_was_made)
{
	uint8_t *made = sodium_malloc(64);
	uint8_t *found = sodium_malloc(64);
	struct stat st;

	ck_assert_int_eq(token_key_create(made, path), 0);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0600);
	ck_assert_int_eq(token_key_read(found, path), 0);
	ck_assert_mem_eq(found, made, 64);
	sodium_free(made);
	sodium_free(found);
}
END_TEST

START_TEST(a_key_file_is_never_overwritten)
{
	uint8_t *made = sodium_malloc(64);
	uint8_t *other = sodium_malloc(64);

	ck_assert_int_eq(token_key_create(made, path), 0);
	ck_assert_int_eq(token_key_create(other, path), ERR_CONFLICT);
	ck_assert_int_eq(token_key_read(other, path), 0);
	ck_assert_mem_eq(other, made, 64);
	sodium_free(made);
	sodium_free(other);
}
END_TEST

START_TEST(a_key_file_that_others_may_read_is_refused)
{
	static const mode_t modes[] = { 0640, 0604, 0620, 0602, 0610, 0601 };
	uint8_t *secret = sodium_malloc(64);

	ck_assert_int_eq(token_key_create(secret, path), 0);
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		ck_assert_int_eq(chmod(path, modes[i]), 0);
		ck_assert_int_eq(token_key_read(secret, path), ERR_FORBIDDEN);
	}
	ck_assert_int_eq(chmod(path, 0400), 0);
	ck_assert_int_eq(token_key_read(secret, path), 0);
	sodium_free(secret);
}
END_TEST

START_TEST(a_damaged_key_file_is_refused)
{
	uint8_t *secret = sodium_malloc(64);
	uint8_t *text;
	size_t len;

	ck_assert_int_eq(token_key_create(secret, path), 0);
	ck_assert_int_eq(file_read(&text, &len, path, 4096), 0);
	ck_assert_uint_eq(len, strlen("k4.secret.") + 86 + 1);
	/* Any other character: prefix, seed, public half, last bits. */
	for (size_t i = 0; i < len; i++) {
		uint8_t was = text[i];

		text[i] = was == 'A' ? 'B' : 'A';
		ck_assert_int_eq(file_write(path, text, len, 0600), 0);
		ck_assert_int_eq(token_key_read(secret, path), ERR_CORRUPT);
		text[i] = was;
	}
	for (size_t n = 0; n + 2 < len; n += 7) {
		ck_assert_int_eq(file_write(path, text, n, 0600), 0);
		ck_assert_int_eq(token_key_read(secret, path), ERR_CORRUPT);
	}
	ck_assert_int_eq(file_write(path, text, len - 1, 0600), 0);
	ck_assert_int_eq(token_key_read(secret, path), 0);
	free(text);
	sodium_free(secret);
}
END_TEST

START_TEST(a_missing_key_file_is_said_to_be_missing)
{
	uint8_t *secret = sodium_malloc(64);

	ck_assert_int_eq(token_key_read(secret, path), ERR_NOT_FOUND);
	ck_assert_int_eq(token_key_read(secret, folder), ERR_CORRUPT);
	ck_assert_int_eq(token_key_create(secret, "/nonexistent/test.key"),
	    ERR_NOT_FOUND);
	sodium_free(secret);
}
END_TEST

Suite *
suite(void)
{
	Suite *s = suite_create("token key");
	TCase *files = tcase_create("token key");

	tcase_add_checked_fixture(files, folder_make, folder_remove);
	tcase_add_test(files, a_key_file_is_read_as_it_was_made);
	tcase_add_test(files, a_key_file_is_never_overwritten);
	tcase_add_test(files, a_key_file_that_others_may_read_is_refused);
	tcase_add_test(files, a_damaged_key_file_is_refused);
	tcase_add_test(files, a_missing_key_file_is_said_to_be_missing);
	suite_add_tcase(s, files);
	return s;
}
