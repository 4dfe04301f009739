/* The format of a store: raised only when that may be, and left alone by a
 * version that is too old for it. */
#include "appliance/ledger/store.h"
#include "shared/base/err.h"
#include "tests/unit/suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char folder[64];
static char path[80];

static void
setup(void)
{
	snprintf(folder, sizeof(folder), "/tmp/check-store-format-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/store", folder);
}

static void
teardown(void)
{
	char name[100];

	for (int i = 0; i < 3; i++) {
		snprintf(name, sizeof(name), "%s/%s", path,
		    (const char *[]){ "data.mdb", "lock.mdb",
			"writer.lock" }[i]);
		unlink(name);
	}
	rmdir(path);
	rmdir(folder);
}

/* A program of that format opens it, writes a value of the key and closes it. */
static int
use(uint32_t format, bool hold, const char *key)
{
	struct store *store;
	struct store_txn txn;
	int err = store_open(&store,
	    &(struct store_options){ .path = path,
		.map_bytes = (size_t)16 << 20,
		.create = true,
		.hold_format = hold,
		.format = format });

	if (err != 0)
		return err;
	ck_assert_int_eq(store_begin(&txn, store, true), 0);
	ck_assert_int_eq(store_put(&txn, STORE_PRODUCTS, key, strlen(key), "x",
			     1),
	    0);
	ck_assert_int_eq(store_commit(&txn), 0);
	store_close(store);
	return 0;
}

static bool
has(uint32_t format, const char *key)
{
	struct store *store;
	struct store_txn txn;
	struct record_span value;

	ck_assert_int_eq(store_open(&store,
			     &(struct store_options){ .path = path,
				 .map_bytes = (size_t)16 << 20,
				 .hold_format = true,
				 .format = format }),
	    0);
	ck_assert_int_eq(store_begin(&txn, store, false), 0);
	int err = store_get(&value, &txn, STORE_PRODUCTS, key, strlen(key));

	store_abort(&txn);
	store_close(store);
	return err == 0;
}

START_TEST(a_version_that_is_tried_leaves_the_way_back)
{
	ck_assert_int_eq(use(1, false, "old"), 0);
	ck_assert_int_eq(use(2, true, "tried"), 0);
	/* It did not pass: the old one runs again, and has all. */
	ck_assert_int_eq(use(1, false, "again"), 0);
	ck_assert(has(1, "old") && has(1, "tried") && has(1, "again"));
}
END_TEST

START_TEST(a_version_that_is_confirmed_raises_the_format)
{
	ck_assert_int_eq(use(1, false, "old"), 0);
	ck_assert_int_eq(use(2, true, "tried"), 0);
	ck_assert_int_eq(use(2, false, "confirmed"), 0);
	ck_assert(has(2, "old") && has(2, "tried") && has(2, "confirmed"));
	ck_assert(has(3, "old"));
}
END_TEST

START_TEST(an_older_version_leaves_a_newer_format_alone)
{
	ck_assert_int_eq(use(2, false, "new"), 0);
	ck_assert_int_eq(use(1, false, "old"), ERR_CONFLICT);
	ck_assert_int_eq(use(1, true, "old"), ERR_CONFLICT);
	ck_assert(has(2, "new") && !has(2, "old"));
}
END_TEST

START_TEST(a_store_of_today_opens_as_before)
{
	ck_assert_int_eq(use(0, false, "today"), 0);
	ck_assert_int_eq(use(STORE_FORMAT, true, "too"), 0);
	ck_assert(has(0, "today") && has(0, "too"));
}
END_TEST

Suite *
suite(void)
{
	Suite *out = suite_create("store_format");
	TCase *tc = tcase_create("format");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, a_version_that_is_tried_leaves_the_way_back);
	tcase_add_test(tc, a_version_that_is_confirmed_raises_the_format);
	tcase_add_test(tc, an_older_version_leaves_a_newer_format_alone);
	tcase_add_test(tc, a_store_of_today_opens_as_before);
	suite_add_tcase(out, tc);
	return out;
}
