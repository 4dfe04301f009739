/* A store as a stream of bytes, and the key in it that leaves sealed. */
#include "shared/backup/dump.h"
#include "shared/base/err.h"
#include "shared/base/text.h"
#include "tests/unit/suite.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

static int
put_buf(void *ctx, const void *data, size_t len)
{
	buf_add(ctx, data, len);
	return 0;
}

static int
told_table(void *ctx, const char *name)
{
	buf_printf(ctx, "[%s]", name);
	return 0;
}

static int
told_entry(void *ctx, const void *key, size_t key_len, const void *value,
    size_t value_len)
{
	buf_printf(ctx, "%.*s=%.*s;", (int)key_len, (const char *)key,
	    (int)value_len, (const char *)value);
	return 0;
}

static void
make_dump(struct buf *out)
{
	struct dump_writer writer;

	ck_assert_int_eq(dump_begin(&writer, put_buf, out), 0);
	ck_assert_int_eq(dump_table(&writer, "one"), 0);
	ck_assert_int_eq(dump_entry(&writer, "a", 1, "1", 1), 0);
	ck_assert_int_eq(dump_entry(&writer, "ab", 2, "", 0), 0);
	ck_assert_int_eq(dump_entry(&writer, "b", 1, "3", 1), 0);
	ck_assert_int_eq(dump_table(&writer, "empty"), 0);
	ck_assert_int_eq(dump_table(&writer, "two"), 0);
	ck_assert_int_eq(dump_entry(&writer, "a", 1, "4", 1), 0);
	ck_assert_int_eq(dump_end(&writer), 0);
}

static int
read_dump(struct buf *told, char error[160], const void *data, size_t len,
    size_t step)
{
	const struct dump_callbacks callbacks = { told, told_table,
		told_entry };
	struct dump_reader *reader = dump_reader_new(&callbacks);
	int rc = 0;

	for (size_t at = 0; at < len && rc == 0; at += step) {
		size_t n = len - at < step ? len - at : step;
		/* Exactly so long: the sanitizer sees a step too far. */
		uint8_t *piece = malloc(n);

		memcpy(piece, (const uint8_t *)data + at, n);
		rc = dump_feed(reader, piece, n);
		free(piece);
	}
	if (rc == 0)
		rc = dump_finish(reader);
	text_copy(error, 160, dump_error(reader));
	dump_reader_free(reader);
	return rc;
}

START_TEST(a_dump_is_read_in_pieces_of_any_size)
{
	struct buf dump = { 0 };
	char error[160];

	make_dump(&dump);
	for (size_t step = 1; step <= dump.len; step++) {
		struct buf told = { 0 };

		ck_assert_int_eq(read_dump(&told, error, dump.data, dump.len,
				     step),
		    0);
		ck_assert_str_eq(buf_text(&told),
		    "[one]a=1;ab=;b=3;[empty][two]a=4;");
		buf_release(&told);
	}
	buf_release(&dump);
}
END_TEST

START_TEST(a_dump_that_was_cut_off_or_changed_is_refused)
{
	struct buf dump = { 0 };
	char error[160];

	make_dump(&dump);
	for (size_t at = 0; at < dump.len; at++) {
		struct buf told = { 0 };

		ck_assert_int_eq(read_dump(&told, error, dump.data, at,
				     dump.len),
		    ERR_CORRUPT);
		dump.data[at] ^= 0x40;
		ck_assert_int_eq(read_dump(&told, error, dump.data, dump.len,
				     dump.len),
		    ERR_CORRUPT);
		ck_assert(error[0] != '\0');
		dump.data[at] ^= 0x40;
		buf_release(&told);
	}
	buf_release(&dump);
}
END_TEST

START_TEST(entries_out_of_order_are_refused)
{
	static const char *const keys[][2] = { { "b", "a" }, { "a", "a" },
		{ "ab", "a" } };

	for (size_t i = 0; i < 3; i++) {
		struct buf dump = { 0 }, told = { 0 };
		struct dump_writer writer;
		char error[160];

		dump_begin(&writer, put_buf, &dump);
		dump_table(&writer, "one");
		dump_entry(&writer, keys[i][0], strlen(keys[i][0]), "", 0);
		dump_entry(&writer, keys[i][1], strlen(keys[i][1]), "", 0);
		dump_end(&writer);
		ck_assert_int_eq(read_dump(&told, error, dump.data, dump.len,
				     dump.len),
		    ERR_CORRUPT);
		ck_assert_ptr_nonnull(strstr(error, "out of order"));
		buf_release(&dump);
		buf_release(&told);
	}
}
END_TEST

START_TEST(a_table_stands_once)
{
	struct buf dump = { 0 }, told = { 0 };
	struct dump_writer writer;
	char error[160];

	dump_begin(&writer, put_buf, &dump);
	dump_table(&writer, "one");
	dump_table(&writer, "one");
	dump_end(&writer);
	ck_assert_int_eq(read_dump(&told, error, dump.data, dump.len, dump.len),
	    ERR_CORRUPT);
	ck_assert_ptr_nonnull(strstr(error, "stands twice"));
	buf_release(&dump);
	buf_release(&told);
}
END_TEST

START_TEST(a_sealed_key_opens_as_itself_with_its_sites_key_alone)
{
	uint8_t sealed[32 + DUMP_SEALED_EXTRA], key[32], out[32];
	uint8_t site[64], other[64], public_key[32];

	crypto_sign_keypair(public_key, site);
	crypto_sign_keypair(public_key, other);
	randombytes_buf(key, sizeof(key));
	ck_assert_int_eq(dump_seal(sealed, key, 32, "default", DUMP_KEY, site),
	    0);
	ck_assert_int_eq(dump_unseal(out, 32, sealed, sizeof(sealed), "default",
			     DUMP_KEY, site),
	    0);
	ck_assert_mem_eq(out, key, 32);
	ck_assert_int_eq(dump_unseal(out, 32, sealed, sizeof(sealed), "system",
			     DUMP_KEY, site),
	    ERR_BAD_SIGNATURE);
	ck_assert_int_eq(dump_unseal(out, 32, sealed, sizeof(sealed), "default",
			     DUMP_KEY, other),
	    ERR_BAD_SIGNATURE);
	ck_assert_int_eq(dump_unseal(out, 32, sealed, sizeof(sealed) - 1,
			     "default", DUMP_KEY, site),
	    ERR_BAD_SIGNATURE);
	ck_assert_int_eq(dump_unseal(out, 32, sealed, sizeof(sealed), "default",
			     DUMP_PEOPLE_KEY, site),
	    ERR_BAD_SIGNATURE);
	sealed[30] ^= 1;
	ck_assert_int_eq(dump_unseal(out, 32, sealed, sizeof(sealed), "default",
			     DUMP_KEY, site),
	    ERR_BAD_SIGNATURE);
}
END_TEST

Suite *
suite(void)
{
	Suite *s = suite_create("backup_dump");
	TCase *dump = tcase_create("dump");

	tcase_add_test(dump, a_dump_is_read_in_pieces_of_any_size);
	tcase_add_test(dump, a_dump_that_was_cut_off_or_changed_is_refused);
	tcase_add_test(dump, entries_out_of_order_are_refused);
	tcase_add_test(dump, a_table_stands_once);
	tcase_add_test(dump,
	    a_sealed_key_opens_as_itself_with_its_sites_key_alone);
	suite_add_tcase(s, dump);
	return s;
}
