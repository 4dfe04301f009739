/* The book of borrows: what is written, what is believed of a file. */
#include "agent/keeper/book.h"
#include "shared/base/err.h"
#include "tests/unit/suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char folder[] = "/tmp/check_book.XXXXXX";
static struct files files;
static struct book book;

static void
setup(void)
{
	strcpy(folder, "/tmp/check_book.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	ck_assert_int_eq(files_open(&files, folder), 0);
	book_init(&book);
}

static void
teardown(void)
{
	book_release(&book);
	test_remove(folder);
}

/* --- rows ----------------------------------------------------------------- */

static void
write_ticket(struct buf *out, uint64_t lease, uint64_t epoch, uint32_t ttl_s)
{
	static uint8_t key[PROOF_KEY_BYTES_SOFTWARE] = { 1 };
	struct row_slots slots = { 0, 2 };
	struct row row = { .kind = ROW_BORROWED, .number = lease + epoch };
	struct row_lease_granted *grant = &row.u.borrowed.grant;
	struct row_ticket *ticket = &row.u.borrowed.ticket;

	grant->lease = lease;
	grant->license = 1;
	grant->device = 3;
	grant->count = 2;
	grant->slots = (struct record_list){ &slots, 1 };
	grant->ttl_s = ttl_s;
	memset(grant->request, (int)lease, sizeof(grant->request));
	strcpy(grant->product, "p");
	strcpy(grant->version, "1.0");
	ticket->epoch = epoch;
	ticket->public_key = (struct record_span){ key, sizeof(key) };
	ticket->length_s = 100;
	ticket->from = 1700000000000;
	ticket->until = ticket->from + 100000;
	buf_clear(out);
	row_write(out, &row);
	ck_assert(!out->failed);
}

static int
add(uint64_t lease, uint64_t epoch, uint32_t ttl_s)
{
	struct buf row = { 0 };

	write_ticket(&row, lease, epoch, ttl_s);
	const struct borrow_evidence evidence = { .lease = lease,
		.row_number = lease + epoch,
		.row = { row.data, (uint32_t)row.len },
		.header = { "header", 6 } };
	int err = book_add(&book, &evidence, 1000);

	buf_release(&row);
	return err;
}

static void
read_again(void)
{
	book_release(&book);
	book_init(&book);
	ck_assert_int_eq(book_read(&book, &files), 0);
}

/* --- tests ---------------------------------------------------------------- */

START_TEST(book_is_read_as_it_was_written)
{
	const struct ticket *ticket;

	ck_assert_int_eq(add(5, 1, 3600), 0);
	ck_assert_int_eq(add(5, 2, 3600), 0);
	ck_assert_int_eq(add(6, 1, 3600), 0);
	memset(book.taking, 7, sizeof(book.taking));
	book.taker = 1001;
	ck_assert(book_give_back(&book, 6));
	book.target = 2;
	ck_assert_int_eq(book_write(&book, &files), 0);
	read_again();
	ck_assert_uint_eq(book.n, 3);
	ck_assert(book.returning && !book.all);
	ck_assert_uint_eq(book.target, 2);
	ck_assert_uint_eq(book.taker, 1001);
	ck_assert_uint_eq(book.taking[0], 7);
	ck_assert(book_returns(&book, 6) && !book_returns(&book, 5));
	ticket = book_find(&book, 5, 2);
	ck_assert_ptr_nonnull(ticket);
	ck_assert_uint_eq(ticket->uid, 1000);
	ck_assert_uint_eq(ticket->count, 2);
	ck_assert_uint_eq(ticket->row_number, 7);
	ck_assert_uint_eq(ticket->prove_s, 3600);
	ck_assert_uint_eq(ticket->request[0], 5);
	ck_assert_str_eq(ticket->product, "p");
	ck_assert_mem_eq(ticket->header.data, "header", 6);
	ck_assert_ptr_null(book_find(&book, 5, 3));
	ck_assert_uint_eq(book_highest(&book), 2);
}
END_TEST

START_TEST(no_book_is_an_empty_one)
{
	ck_assert_int_eq(book_read(&book, &files), 0);
	ck_assert_uint_eq(book.n, 0);
	ck_assert(!book.returning);
	ck_assert_uint_eq(book_highest(&book), 0);
}
END_TEST

START_TEST(finished_return_forgets_what_is_below)
{
	add(5, 1, 3600);
	add(5, 2, 3600);
	add(6, 1, 3600);
	book_give_back(&book, 6);
	book_finish(&book, 2);
	ck_assert_uint_eq(book.n, 1);
	ck_assert_ptr_nonnull(book_find(&book, 5, 2));
	ck_assert(!book.returning);
	ck_assert_uint_eq(book.n_leases, 0);
	ck_assert_uint_eq(book.target, 0);
}
END_TEST

/* A target was made for those that were named before. */
START_TEST(one_more_that_comes_back_needs_a_new_target)
{
	book_give_back(&book, 6);
	book.target = 2;
	ck_assert(book_give_back(&book, 7));
	ck_assert_uint_eq(book.target, 0);
	ck_assert(book_give_back(&book, 7));
	ck_assert_uint_eq(book.n_leases, 2);
}
END_TEST

START_TEST(full_book_takes_no_more)
{
	for (uint64_t i = 1; i <= 2 * BORROW_DEVICE_MAX; i++)
		ck_assert_int_eq(add(i, 1, 3600), 0);
	ck_assert_int_eq(add(500, 1, 3600), ERR_FULL);
	ck_assert_int_eq(book_write(&book, &files), 0);
	read_again();
	ck_assert_uint_eq(book.n, 2 * BORROW_DEVICE_MAX);
	for (uint64_t i = 1; i <= BORROW_DEVICE_MAX; i++)
		ck_assert(book_give_back(&book, i));
	ck_assert(!book_give_back(&book, 500));
}
END_TEST

START_TEST(row_that_is_no_sound_ticket_is_not_taken)
{
	struct buf row = { 0 };
	struct borrow_evidence evidence = { .lease = 6,
		.row_number = 6,
		.header = { "h", 1 } };

	/* Without a proof for longer than any ticket allows. */
	ck_assert_int_eq(add(5, 1, 3601), ERR_CORRUPT);
	/* Of another lease than it is said to be. */
	write_ticket(&row, 5, 1, 3600);
	evidence.row = (struct record_span){ row.data, (uint32_t)row.len };
	ck_assert_int_eq(book_add(&book, &evidence, 0), ERR_CORRUPT);
	for (uint32_t len = 1; len < row.len; len++) {
		evidence.lease = 5;
		evidence.row.len = len;
		ck_assert_int_ne(book_add(&book, &evidence, 0), 0);
	}
	ck_assert_uint_eq(book.n, 0);
	buf_release(&row);
}
END_TEST

START_TEST(damaged_file_is_not_believed)
{
	char path[128], text[65536];
	size_t len;
	FILE *f;

	add(5, 1, 3600);
	ck_assert_int_eq(book_write(&book, &files), 0);
	snprintf(path, sizeof(path), "%s/borrows.json", folder);
	f = fopen(path, "r");
	len = fread(text, 1, sizeof(text), f);
	fclose(f);
	for (size_t cut = 0; cut < len; cut += 7) {
		f = fopen(path, "w");
		fwrite(text, 1, cut, f);
		fclose(f);
		book_release(&book);
		book_init(&book);
		ck_assert_int_eq(book_read(&book, &files), ERR_CORRUPT);
	}
}
END_TEST

Suite *
suite(void)
{
	Suite *s = suite_create("book");
	TCase *tc = tcase_create("book");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, book_is_read_as_it_was_written);
	tcase_add_test(tc, no_book_is_an_empty_one);
	tcase_add_test(tc, finished_return_forgets_what_is_below);
	tcase_add_test(tc, one_more_that_comes_back_needs_a_new_target);
	tcase_add_test(tc, full_book_takes_no_more);
	tcase_add_test(tc, row_that_is_no_sound_ticket_is_not_taken);
	tcase_add_test(tc, damaged_file_is_not_believed);
	suite_add_tcase(s, tc);
	return s;
}
